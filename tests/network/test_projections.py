"""Projections between assemblies: which pairs their policies choose, and what says so when there are none."""

import numpy as np
import pytest

import spikeloom as sl
from spikeloom import ExcludedTypePolicy, IncludedTypePolicy, IndexConnectPolicy, Projection
from spikeloom.errors import DataError, ParameterError, StateError
from spikeloom.network import Assembly, Connection, NeuronGroup, describe


class Area(Assembly):
    """An excitatory and an inhibitory population, and one of both kinds in an assembly below."""

    def __init__(self):
        super().__init__()
        self.exc = NeuronGroup(4, "lif", neuron_type="excitatory", v_th=0.3)
        self.inh = NeuronGroup(2, "lif", neuron_type=["inhibitory", "fast"], v_th=0.3)
        self.deep = Assembly()
        self.deep.mixed = NeuronGroup(3, "lif", neuron_type=("excitatory", "fast"), v_th=0.3)


def areas():
    net = sl.Network("net")
    net.set_backend_dt(1.0)
    net.set_random_seed(3)
    net.input = sl.Encoder(5, "constant_current")
    net.v1, net.v2 = Area(), Area()
    net.feed = Connection(net.input, net.v1.exc, link_type="full", w_mean=0.5)
    return net


def pairs(projection):
    return {(c.pre.path, c.post.path) for c in projection.get_connections()}


EXC, INH, MIXED = "exc", "inh", "deep.mixed"


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        (IncludedTypePolicy(), {(a, b) for a in (EXC, INH, MIXED) for b in (EXC, INH, MIXED)}),
        (IncludedTypePolicy("excitatory", "inhibitory"), {(EXC, INH), (MIXED, INH)}),
        (IncludedTypePolicy(pre_types=["inhibitory"]), {(INH, b) for b in (EXC, INH, MIXED)}),
        (
            IncludedTypePolicy(post_types=["fast", "inhibitory"]),
            {(a, b) for a in (EXC, INH, MIXED) for b in (INH, MIXED)},
        ),
        (ExcludedTypePolicy("fast", "fast"), {(EXC, EXC)}),
        (ExcludedTypePolicy(post_types="excitatory"), {(a, INH) for a in (EXC, INH, MIXED)}),
        (IncludedTypePolicy("excitatory") & ExcludedTypePolicy("fast", "inhibitory"), {(EXC, EXC), (EXC, MIXED)}),
        (IndexConnectPolicy([0, 2], [1, 0]), {(EXC, INH), (MIXED, EXC)}),
        (IndexConnectPolicy([(1, 1), (2, 0)], [(1, 2), 1]), {(INH, MIXED), (MIXED, INH)}),
        (IndexConnectPolicy([(0, 0)], [0]), {(a, EXC) for a in (EXC, INH, MIXED)}),
        (IndexConnectPolicy([0, 0], [0, 0]), {(EXC, EXC)}),
        ([IncludedTypePolicy("fast"), IncludedTypePolicy("excitatory", "inhibitory")], {(MIXED, INH)}),
    ],
)
def test_the_pairs_are_those_that_every_policy_chooses(policy, expected):
    net = areas()
    net.prj = Projection(net.v1, net.v2, policies=policy, link_type="full")
    assert pairs(net.prj) == {(f"v1.{a}", f"v2.{b}") for a, b in expected}
    assert len(net.prj.get_connections()) == len(expected)


def test_an_excitatory_to_inhibitory_projection_makes_exactly_one_connection():
    net = sl.Network()
    net.a, net.b = Assembly(), Assembly()
    net.a.exc, net.a.inh = NeuronGroup(3, "lif", neuron_type="exc"), NeuronGroup(2, "lif", neuron_type="inh")
    net.b.exc, net.b.inh = NeuronGroup(3, "lif", neuron_type="exc"), NeuronGroup(2, "lif", neuron_type="inh")
    net.add_projection("prj", Projection(net.a, net.b, [IncludedTypePolicy("exc", "inh")], "full", {"w_mean": 0.3}))
    (connection,) = net.prj.get_connections()
    assert (connection.pre, connection.post, connection.path) == (net.a.exc, net.b.inh, "prj.exc_to_inh")
    assert connection.link.w_mean == 0.3


def test_a_projection_computes_what_its_connections_made_by_hand_do():
    nets = [areas(), areas()]
    nets[0].prj = Projection(nets[0].v1, nets[0].v2, [IncludedTypePolicy()], "full", {"w_mean": 0.4, "delay": 1.0})
    for name, connection in nets[0].prj.members.items():
        pre, post = (nets[1].get_elements()[end.path] for end in (connection.pre, connection.post))
        weight = connection.weight.value
        nets[1].add(name, Connection(pre, post, link_type="full", weight=weight, delay=1.0))
    counts = []
    for net in nets:
        net.mon = sl.SpikeMonitor(net.v2.inh)
        net.input(np.ones((2, 5)))
        net.run(20.0)
        counts.append(net.mon.spk_count)
    np.testing.assert_array_equal(*counts)
    assert counts[0].sum() > 0


def test_one_population_or_an_encoder_may_be_an_end():
    net = areas()
    net.prj = Projection(net.input, net.v1, IncludedTypePolicy(), "full")
    assert {a for a, _ in pairs(net.prj)} == {"input"}
    net.one = Projection(net.v1.exc, net.v1, IncludedTypePolicy(post_types="inhibitory"), "full")
    assert pairs(net.one) == {("v1.exc", "v1.inh")}


def test_populations_of_one_name_in_two_places_get_numbers():
    net = areas()
    net.v1.deep.exc = NeuronGroup(2, "lif")
    net.prj = Projection(net.v1, net.v2.exc, IncludedTypePolicy(), "full")
    assert [*net.prj.members] == ["exc_to_exc", "inh_to_exc", "mixed_to_exc", "exc_to_exc_1"]


def test_populations_that_have_no_name_yet_are_joined_inside_a_block():
    net = sl.Network()
    with net:
        a = sl.NeuronGroup(3, model="lif", neuron_type="exc")
        b = sl.NeuronGroup(2, model="lif", neuron_type="inh")
        p = sl.Projection(a, b, policies=[sl.IncludedTypePolicy("exc", "inh")], link_type="full")
    assert [(c.path, c.pre.path, c.post.path) for c in net.connections] == [("p.pre_to_post", "a", "b")]
    assert net.p is p


def test_no_pair_is_an_error_that_names_what_was_looked_at():
    net = areas()
    net.plain = NeuronGroup(2, "lif")
    with pytest.raises(ParameterError) as error:
        Projection(net.v1, net.plain, [IncludedTypePolicy("excitatory", "inhibitory")], "full", name="prj")
    text = str(error.value)
    assert text.startswith("Projection 'prj' makes no connection: IncludedTypePolicy(pre_types=('excitatory',), ")
    for part in ("v1: exc (excitatory), inh (inhibitory, fast), mixed (excitatory, fast)", "plain: plain (no type)"):
        assert part in text


def test_without_policies_it_says_that_nothing_says_what_to_join():
    net = areas()
    with pytest.raises(ParameterError, match=r"makes no connection: without policies .*IncludedTypePolicy\(\)"):
        Projection(net.v1, net.v2, link_type="full")


def test_an_empty_one_is_filled_by_hand_and_refused_at_the_run_while_it_is_empty():
    net = areas()
    net.prj = Projection(net.v1, net.v2)
    with pytest.raises(StateError, match="projection 'prj' from 'v1' to 'v2' has no connection"):
        net.build()
    net.prj.c = Connection(net.v1.exc, net.v2.exc, link_type="full")
    net.build()
    assert net.prj.c in net.connections


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda a: Projection(3, a, IncludedTypePolicy(), "full"), "pre must be an assembly or a population, got int"),
        (lambda a: Projection(a, sl.Encoder(3), IncludedTypePolicy(), "full"), "post must be an assembly or a popul"),
        (lambda a: Projection(a, a, ["all"], "full"), "policies must be policies such as"),
        (lambda a: Projection(a, a, IncludedTypePolicy()), "give link_type="),
        (lambda a: Projection(a, a, IncludedTypePolicy(), "full", {"w_meen": 1}), "did you mean 'w_mean'"),
        (
            lambda a: Projection(a, a, IncludedTypePolicy(), "full", [1]),
            "ConnectionParameters must map names to values",
        ),
        (lambda a: IncludedTypePolicy(3), "pre_types must be a label"),
        (lambda a: IncludedTypePolicy(post_types=[]), "post_types must be a label"),
        (lambda a: IncludedTypePolicy() & 3, "joined by & with another policy"),
        (lambda a: IndexConnectPolicy([0, 1], [0]), "must be of one length, got 2 and 1"),
        (lambda a: IndexConnectPolicy(0, [0]), "pre_indexs must be a list of numbers"),
        (lambda a: IndexConnectPolicy([-1], [0]), "from 0 on"),
        (lambda a: IndexConnectPolicy([(1, 2, 3)], [0]), "pairs"),
        (
            lambda a: Projection(a, a, IndexConnectPolicy([7], [0]), "full"),
            "has no population 7; it has: exc, inh, deep.mixed",
        ),
        (lambda a: Projection(a, a, IndexConnectPolicy([(5, 0)], [0]), "full"), "no member of level 5 0; it has: none"),
        (lambda a: NeuronGroup(3, "lif", neuron_type=3), "neuron_type must be a label"),
    ],
)
def test_what_is_wrong_is_refused_with_the_way_out(make, message):
    area = Area()
    with pytest.raises(ParameterError, match=message):
        make(area)


class TestEdits:
    def made(self):
        net = areas()
        net.prj = Projection(net.v1, net.v2, IncludedTypePolicy("excitatory", "inhibitory"), "full")
        net.build()
        return net

    def test_it_goes_with_an_assembly_that_it_joins(self):
        net = self.made()
        net.del_assembly(net.v2)
        assert [*net.members] == ["input", "v1", "feed"]

    def test_only_the_connections_of_a_population_go_with_it(self):
        net = self.made()
        net.v1.del_assembly("exc")
        assert [*net.prj.members] == ["mixed_to_inh"]

    def test_a_new_assembly_takes_it_over_with_its_weights(self):
        net = self.made()
        before = net.store.arrays()
        new = Area()
        net.replace_assembly(net.v2, new)
        assert net.prj.post is new
        assert {b for _, b in pairs(net.prj)} == {"v2.inh"}
        net.build()
        for name in ("prj.exc_to_inh.weight", "prj.mixed_to_inh.weight"):
            np.testing.assert_array_equal(net.store.arrays()[name], before[name])

    def test_it_is_selected_with_what_it_joins_and_hidden_as_a_whole(self):
        net = self.made()
        part = net.select_assembly([net.v1, net.v2])
        assert pairs(part.prj) == pairs(net.prj)
        assert (part.prj.pre, part.prj.post) == (part.v1, part.v2)
        net.prj.assembly_hide()
        assert [c.path for c in net.connections] == ["feed"]


class TestFiles:
    def made(self):
        net = areas()
        policy = IncludedTypePolicy("excitatory") & IndexConnectPolicy([0, (2, 0)], [1, 0])
        net.prj = Projection(net.v1, net.v2, policy, "full")
        net.v2.deep.assembly_hide()
        return net

    @pytest.mark.parametrize("trans_format", ["json", "yaml"])
    def test_types_policies_hidden_parts_and_weights_come_back(self, tmp_path, trans_format):
        net = self.made()
        again = sl.network_load(net.save("net", tmp_path, trans_format=trans_format))
        assert again.v1.inh.neuron_type == ("inhibitory", "fast")
        assert again.prj.policy == net.prj.policy
        assert (again.prj.pre, again.prj.post) == (again.v1, again.v2)
        assert pairs(again.prj) == pairs(net.prj)
        assert again.v2.deep.mixed.is_hidden
        assert describe(again) == describe(net)
        for name, value in net.store.arrays().items():
            np.testing.assert_array_equal(again.store.arrays()[name], value)

    @pytest.mark.parametrize(
        ("spoil", "message"),
        [
            (lambda c: c["prj"].update(pre="nothing"), r"components\.prj: pre: there is no component 'nothing'"),
            (lambda c: c["prj"].update(policy={"policy": "Eval"}), "unknown connect policy 'Eval'"),
            (lambda c: c["prj"].update(policy={"both": [1]}), "both must be a list of two"),
            (lambda c: c["prj"].update(policy={"policy": "IncludedTypePolicy", "x": 1}), "unknown entry 'x'"),
            (lambda c: c["prj"].pop("post"), "lacks post"),
            (lambda c: c["v1.exc"].update(neuron_type="exc"), "neuron_type must be a list of labels"),
            (lambda c: c["v1.exc"].update(neuron_type=[3]), "must be a label"),
        ],
    )
    def test_a_spoilt_projection_is_refused_with_its_place(self, spoil, message):
        described = describe(self.made())
        spoil(described["components"])
        with pytest.raises(DataError, match=message):
            sl.network_from(described)

    def test_policies_nested_without_end_are_refused(self):
        described = describe(self.made())
        policy = {"policy": "IncludedTypePolicy"}
        for _ in range(40):
            policy = {"both": [policy, policy]}
        described["components"]["prj"]["policy"] = policy
        with pytest.raises(DataError, match=r"components\.prj"):
            sl.network_from(described)


@pytest.mark.parametrize(
    "make",
    [
        lambda: IncludedTypePolicy("exc", "inh", level=1),
        lambda: ExcludedTypePolicy("exc", "inh", -1),
        lambda: IndexConnectPolicy([0], [1], level=0),
    ],
)
def test_the_level_of_a_policy_of_spaic_is_told(make):
    with pytest.raises(
        ParameterError, match="connect policy option 'level' is dropped: labels are looked for at every"
    ):
        make()


def test_a_misspelt_argument_of_a_policy_is_an_error_with_its_name():
    with pytest.raises(
        ParameterError, match=r"^IncludedTypePolicy: unknown parameter 'pretypes'; did you mean 'pre_typ"
    ):
        IncludedTypePolicy(pretypes="exc")
    with pytest.raises(ParameterError, match=r"^IndexConnectPolicy: unknown .* It has: pre_indexs, post_indexs"):
        IndexConnectPolicy([0], [1], wrong=2)
