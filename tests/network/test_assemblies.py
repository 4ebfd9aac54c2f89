"""Edits of assemblies: what goes, what stays, and with which weights."""

import subprocess
import sys

import numpy as np
import pytest
import torch

import spikeloom as sl
from spikeloom.errors import ParameterError, ShapeError, StateError
from spikeloom.Library import ExampleNet
from spikeloom.network import Assembly, Connection, NeuronGroup
from spikeloom.network.parameters import as_array

T, B = 20, 3
DATA = np.random.default_rng(0).random((B, 4)).astype(np.float32)


class Block(Assembly):
    """Two layers in a row."""

    def __init__(self, n_first, n_last):
        super().__init__()
        self.first = NeuronGroup(n_first, "lif", v_th=0.4)
        self.last = NeuronGroup(n_last, "clif", v_th=0.4)
        self.inner = Connection(self.first, self.last, link_type="full", w_mean=0.4, w_std=0.3)


def made(seed=1):
    net = sl.Network()
    net.set_backend(sl.TorchBackend(dt=1.0, dtype=torch.float64))
    if seed is not None:
        net.set_random_seed(seed)
    net.input = sl.Encoder(4, "constant_current")
    net.block = Block(5, 3)
    net.out = NeuronGroup(2, "lif", v_th=0.5)
    net.c_in = Connection(net.input, net.block.first, link_type="full", w_mean=0.3, w_std=0.2)
    net.c_out = Connection(net.block.last, net.out, link_type="full", w_mean=0.4, w_std=0.2)
    net.answer = sl.Decoder(2, net.out)
    return net


def ran(net, decoder=None):
    for encoder in net.encoders:
        encoder(DATA if encoder.num == 4 else np.ones((B, encoder.num), np.float32))
    net.run(float(T))
    return (decoder or net.answer).predict.detach().clone()


def weights(net):
    return net.draw_parameters().arrays()


def same(some, others, renamed=None):
    """Whether all that stands in `some` stands equal in `others`, under other names where they were given."""
    for name, array in some.items():
        np.testing.assert_array_equal(array, others[(renamed or {}).get(name, name)], err_msg=name)


def all_ends_lie_inside(net):
    inside = {id(part) for part in net.walk()} | {id(net)}
    return all(id(end) in inside for part in net.walk() for end in part.refers_to())


class TestSeed:
    """The lines of seed 003, section "import and modify the base model", as they stand there."""

    def edited(self, *, literal):
        Net = ExampleNet()
        Net.set_random_seed(5)
        neuron_param = {"tau_m": 8.0, "V_th": 1.5}
        layer3 = sl.NeuronGroup(100, model="lif", param=neuron_param)
        layer4 = sl.NeuronGroup(100, model="lif", param=neuron_param)
        assert layer4.neuron.v_th == 1.5
        Net.add_assembly("layer3", layer3)
        if not literal:
            Net.del_assembly(Net.layer3)
        Net.copy_assembly("net_layer", ExampleNet())
        Net.replace_assembly(Net.layer1, layer3)
        Net2 = ExampleNet()
        if not literal:
            Net.merge_assembly(Net2)
        con = sl.Connection(Net.layer2, Net.net_layer, link_type="full")
        Net.add_connection("con3", con)
        net_layer = Net.net_layer
        return Net, Net.select_assembly([Net.layer2, net_layer])

    @pytest.mark.parametrize("literal", [False, True])
    def test_every_line_does_what_it_says(self, literal):
        Net, Net3 = self.edited(literal=literal)
        assert Net.layer1.neuron.v_th == 1.5
        assert "layer3" not in Net.members
        assert (Net.con3.pre, Net.con3.post) == (Net.layer2, Net.net_layer.layer1)
        assert [*Net3.members] == ["layer2", "net_layer", "con3"]
        assert Net3.con3.post is Net3.net_layer.layer1
        assert all_ends_lie_inside(Net)
        assert all_ends_lie_inside(Net3)

    def test_the_network_runs_and_answers_in_every_output(self):
        Net, Net3 = self.edited(literal=False)
        assert [e.path for e in Net.encoders] == ["input", "net_layer.input", "input_1"]
        for encoder in Net.encoders:
            encoder(np.full((2, 784), 0.5))
        Net.run(5.0)
        assert [d.predict.shape for d in Net.decoders] == [(2, 10)] * 3
        Net3.net_layer.input(np.full((2, 784), 0.5))
        Net3.run(5.0)
        assert Net3.net_layer.output.predict.shape == (2, 10)

    def test_a_missing_input_is_named(self):
        Net, _ = self.edited(literal=False)
        Net.input(np.ones((1, 784)))
        with pytest.raises(StateError, match=r"net\.net_layer\.input\(data\)"):
            Net.run(1.0)


class TestAdd:
    def test_a_taken_name_is_refused_and_the_member_stays(self):
        net = made()
        before = net.out
        with pytest.raises(ParameterError, match=r"has a member 'out' already; .* replace_assembly\('out', new\)"):
            net.add_assembly("out", NeuronGroup(2, "lif"))
        with pytest.raises(ParameterError, match="'c_in' already"):
            net.add_connection("c_in", Connection(net.input, net.out, link_type="full"))
        assert net.out is before

    def test_what_is_no_component_is_refused(self):
        with pytest.raises(ParameterError, match="add_assembly takes a component, got int"):
            made().add_assembly("x", 3)

    def test_a_network_cannot_be_a_member(self):
        with pytest.raises(ParameterError, match=r"take a copy: copy_assembly\('other', network\)"):
            made().other = sl.Network()

    def test_a_member_of_a_nested_assembly_is_run(self):
        net = made()
        net.block.more = Assembly()
        net.block.more.add_assembly("deep", NeuronGroup(2, "lif", v_th=0.1))
        net.block.add_connection("c", Connection(net.block.last, net.block.more.deep, link_type="full", w_mean=1.0))
        net.spikes = sl.SpikeMonitor(net.block.more.deep)
        ran(net)
        assert net.spikes.spk_count.sum() > 0


class TestDelete:
    def test_connections_go_along_and_all_other_weights_stay(self):
        net = made()
        net.side = NeuronGroup(2, "lif")
        net.c_side = Connection(net.block.first, net.side, link_type="full")
        ran(net)
        before = weights(net)
        net.del_assembly(net.side)
        assert "side" not in net
        assert "c_side" not in net
        answer = ran(net)
        after = weights(net)
        assert set(before) - set(after) == {"c_side.weight"}
        same(after, before)
        plain = made()
        assert torch.equal(answer, ran(plain))

    def test_an_assembly_goes_with_all_that_joins_it(self):
        net = made()
        net.del_assembly("block")
        assert [*net.members] == ["input", "out", "answer"]

    def test_connections_in_other_assemblies_go_along(self):
        net = made()
        net.apart = Assembly()
        net.apart.c = Connection(net.block.first, net.out, link_type="full")
        net.block.del_assembly("first")
        assert [c.path for c in net.connections] == ["c_out"]
        assert [*net.apart.members] == []

    @pytest.mark.parametrize(
        ("hang", "named"),
        [
            (lambda net: setattr(net, "mon", sl.StateMonitor(net.block.last, "v")), "monitor 'mon'"),
            (lambda net: setattr(net, "seen", sl.Decoder(None, net.block.last)), "decoder 'seen'"),
            (lambda net: setattr(net, "learner", sl.Learner(net.block, "STCA")), "learner 'learner'"),
            (lambda net: setattr(net, "m", sl.Merge(net.block.last, net.block.last)), "merge 'm'"),
        ],
    )
    def test_what_would_hang_on_nothing_is_named_and_nothing_changes(self, hang, named):
        net = made()
        hang(net)
        before = [*net.get_elements()]
        with pytest.raises(StateError, match=rf"'block' cannot be deleted: {named} would hang on nothing"):
            net.del_assembly(net.block)
        assert [*net.get_elements()] == before
        ran(net)

    def test_a_monitor_on_a_connection_that_would_go_is_named(self):
        net = made()
        net.mon = sl.StateMonitor(net.c_in, "weight")
        with pytest.raises(StateError, match="monitor 'mon' would hang on nothing"):
            net.block.del_assembly(net.block.first)

    @pytest.mark.parametrize("given", [lambda net: net.c_out, lambda net: "c_out"])
    def test_a_connection_is_deleted_by_itself_or_by_name(self, given):
        net = made()
        net.del_connection(given(net))
        assert "c_out" not in net
        net.block.del_connection(name="inner")
        assert [*net.block.members] == ["first", "last"]

    @pytest.mark.parametrize(
        ("call", "message"),
        [
            (lambda net: net.del_assembly("blok"), r"holds no 'blok'; did you mean 'block'\?"),
            (lambda net: net.del_assembly(NeuronGroup(2, "lif")), "does not hold neuron group '<unnamed"),
            (lambda net: net.block.del_assembly(net.out), "'block' does not hold neuron group 'out'"),
            (lambda net: net.del_assembly(), "give the component to delete, or its name=, one of them"),
            (lambda net: net.del_assembly(net.out, "out"), "one of them"),
            (lambda net: net.del_connection(net.out), "'out' is a neuron group; use del_assembly"),
            (lambda net: net.del_assembly(3), "holds no 3"),
        ],
    )
    def test_a_wrong_call_is_refused_with_the_way_out(self, call, message):
        net = made()
        with pytest.raises(ParameterError, match=message):
            call(net)
        assert len(net.walk()) == 9


class TestCopy:
    def trained(self):
        net = made()
        ran(net)
        with torch.no_grad():
            net.block.inner.weight.value += 0.25
        return net

    def test_a_copy_has_the_weights_of_now_and_its_own_from_then_on(self):
        net = self.trained()
        now = as_array(net.block.inner.weight.value).copy()
        net.copy_assembly("twin", net.block)
        np.testing.assert_array_equal(as_array(net.twin.inner.weight.value), now)
        ran(net)
        np.testing.assert_array_equal(as_array(net.twin.inner.weight.value), now)
        with torch.no_grad():
            net.twin.inner.weight.value += 1.0
        np.testing.assert_array_equal(as_array(net.block.inner.weight.value), now)

    @pytest.mark.parametrize("seed", [None, 3])
    def test_a_copy_of_what_is_not_drawn_yet_starts_equal(self, seed):
        net = made(seed)
        net.copy_assembly("twin", net.block)
        net.copy_assembly("third", net.twin)
        net.set_random_seed(9)
        for twin in (net.twin, net.third):
            np.testing.assert_array_equal(twin.inner.weight.value, net.block.inner.weight.value)

    def test_a_copy_computes_what_its_original_does(self):
        net = self.trained()
        net.copy_assembly("twin", net.block)
        net.c_twin = Connection(net.input, net.twin, link_type="full", weight=as_array(net.c_in.weight.value))
        net.one, net.two = sl.SpikeMonitor(net.block.last), sl.SpikeMonitor(net.twin.last)
        ran(net)
        np.testing.assert_array_equal(net.one.spk_count, net.two.spk_count)
        assert net.one.spk_count.sum() > 0

    def test_a_class_with_arguments_of_its_own_is_copied(self):
        net = made()
        net.copy_assembly("twin", net.block)
        assert type(net.twin) is Block
        assert [*net.twin.members] == [*net.block.members]
        assert net.twin.inner.pre is net.twin.first

    def test_a_connection_from_outside_leads_into_the_copy_too(self):
        net = made()
        net.block.c = Connection(net.input, net.block.first, link_type="full")
        net.copy_assembly("twin", net.block)
        assert (net.twin.c.pre, net.twin.c.post) == (net.input, net.twin.first)
        assert all_ends_lie_inside(net)

    def test_a_copy_out_of_another_network_brings_its_weights(self):
        net, other = made(1), self.trained()
        net.copy_assembly("theirs", other)
        assert type(net.theirs) is Assembly
        same({f"theirs.{name}": array for name, array in weights(other).items()}, weights(net))
        assert net.theirs.answer.target is net.theirs.out
        assert all_ends_lie_inside(net)

    def test_a_seeded_network_gives_what_it_would_draw_and_one_without_a_seed_nothing(self):
        net, seeded, free = made(1), made(2), made(None)
        net.copy_assembly("seeded", seeded)
        net.copy_assembly("free", free)
        found = weights(net)
        np.testing.assert_array_equal(found["seeded.c_in.weight"], seeded.c_in.weight.value)
        again = made(1)
        again.copy_assembly("free", made(None))
        np.testing.assert_array_equal(found["free.c_in.weight"], again.free.c_in.weight.value)

    def test_weights_wait_in_a_copy_that_lies_in_no_network_yet(self):
        net = self.trained()
        shelf = Assembly()
        shelf.copy_assembly("kept", net.block)
        other = made(7)
        other.shelf = shelf
        np.testing.assert_array_equal(other.shelf.kept.inner.weight.value, as_array(net.block.inner.weight.value))

    def test_a_copy_into_itself_is_one_level_deeper_and_no_more(self):
        net = made()
        net.block.copy_assembly("deeper", net.block)
        assert [p for p in net.get_elements() if "deeper" in p] == [
            f"block.deeper{end}" for end in ("", ".first", ".last", ".inner")
        ]

    def test_what_leads_to_another_network_is_refused(self):
        net, other = made(), made()
        other.block.c = Connection(other.input, other.block.first, link_type="full")
        with pytest.raises(ParameterError, match=r"'block\.c' refers to 'input', .* copy an assembly that holds both"):
            net.copy_assembly("theirs", other.block)
        with pytest.raises(ParameterError, match="'out' already"):
            net.copy_assembly("out", other.out)
        assert "theirs" not in net


class TestReplace:
    def test_the_new_group_takes_the_place_the_name_and_the_weights(self):
        net = made()
        ran(net)
        before = weights(net)
        new = NeuronGroup(2, "clif", v_th=0.3)
        net.replace_assembly(net.out, new)
        assert net.out is new
        assert [*net.members] == ["input", "block", "out", "c_in", "c_out", "answer"]
        assert (net.c_out.post, net.answer.target) == (new, new)
        answer = ran(net)
        same(before, weights(net))
        by_hand = made()
        del by_hand.answer, by_hand.c_out, by_hand.out
        by_hand.out = NeuronGroup(2, "clif", v_th=0.3)
        by_hand.c_out = Connection(by_hand.block.last, by_hand.out, link_type="full", weight=before["c_out.weight"])
        by_hand.answer = sl.Decoder(2, by_hand.out)
        assert torch.equal(answer, ran(by_hand))

    def test_another_size_redraws_only_what_no_longer_fits(self):
        net = made()
        ran(net)
        before = weights(net)
        net.del_assembly("answer")
        net.replace_assembly("out", NeuronGroup(7, "lif"))
        net.build()
        after = weights(net)
        assert after["c_out.weight"].shape == (7, 3)
        del before["c_out.weight"]
        same(before, after)

    @pytest.mark.parametrize(
        ("hang", "new", "error", "message"),
        [
            (lambda net: None, NeuronGroup(3, "lif"), ShapeError, r"'answer' does not fit .*num must be 3"),
            (
                lambda net: setattr(net, "mon", sl.StateMonitor(net.out, "v")),
                sl.Encoder(2),
                ParameterError,
                "decoder 'answer' needs a neuron group, not the encoder",
            ),
            (
                lambda net: setattr(
                    net, "w", Connection(net.block.last, net.out, link_type="full", weight=np.ones((2, 3)))
                ),
                NeuronGroup(4, "lif"),
                ShapeError,
                r"must have shape \(4, 3\)|num must be 4",
            ),
        ],
    )
    def test_what_does_not_fit_is_named_and_nothing_changes(self, hang, new, error, message):
        net = made()
        hang(net)
        before, out, ends = [*net.get_elements()], net.out, (net.c_out.post, net.answer.target)
        with pytest.raises(error, match=message):
            net.replace_assembly(net.out, new)
        assert [*net.get_elements()] == before
        assert (net.out, ends) == (out, (net.c_out.post, net.answer.target))
        ran(net)

    def test_an_assembly_for_an_assembly_keeps_the_ends_of_the_same_name(self):
        net = made()
        ran(net)
        with torch.no_grad():
            net.block.inner.weight.value += 0.25
        before = weights(net)
        new = Block(5, 3)
        net.replace_assembly(net.block, new)
        assert (net.c_in.post, net.c_out.pre) == (new.first, new.last)
        ran(net)
        after = weights(net)
        same({name: before[name] for name in ("c_in.weight", "c_out.weight")}, after)
        assert (after["block.inner.weight"] != before["block.inner.weight"]).any()

    def test_a_group_for_an_assembly_and_back(self):
        net = made()
        net.replace_assembly(net.block, NeuronGroup(5, "lif"))
        assert (net.c_in.post, net.c_out.pre) == (net.block, net.block)
        net.replace_assembly(net.block, Block(5, 3))
        assert (net.c_in.post, net.c_out.pre) == (net.block.first, net.block.last)
        ran(net)

    def test_an_assembly_with_two_entrances_is_refused_by_name(self):
        net = made()
        wide = Block(5, 3)
        wide.other = NeuronGroup(4, "lif")
        net.replace_assembly(net.block, NeuronGroup(5, "lif"))
        with pytest.raises(ParameterError, match=r"must have one entrance .* it has: first, other"):
            net.replace_assembly(net.block, wide)

    def test_a_member_that_replaces_another_moves_with_its_weights(self):
        net = made()
        net.spare = NeuronGroup(5, "clif")
        net.c_spare = Connection(net.input, net.spare, link_type="full")
        ran(net)
        with torch.no_grad():
            net.spare.set_value("v_0", 5.5)
        net.replace_assembly(net.block.first, net.spare)
        assert "spare" not in net
        assert net.c_spare.post is net.block.first
        assert net.block.first.get_value("v_0") == 5.5
        ran(net)

    def test_the_learner_trains_the_new_one(self):
        net = made()
        net.learner = sl.Learner([net.out, net.c_out], "STCA")
        net.replace_assembly(net.out, NeuronGroup(2, "clif"))
        assert net.learner.trains(net.out)
        assert "out.v_0" in dict(net.named_parameters())

    @pytest.mark.parametrize(
        ("new", "message"),
        [
            (lambda net: net, "belongs to another network"),
            (lambda net: sl.Network(), "take a copy: copy_assembly"),
            (lambda net: made().out, "belongs to another network"),
            (lambda net: net.block.first, "lie in one another"),
            (lambda net: sl.Merge(net.block.first, net.block.first), "refers to 'block', which it would replace"),
            (lambda net: 3, "replace_assembly takes a component, got int"),
        ],
    )
    def test_a_wrong_replacement_is_refused(self, new, message):
        net = made()
        with pytest.raises(ParameterError, match=message):
            net.replace_assembly(net.block, new(net))
        ran(net)

    def test_a_part_is_replaced_by_itself_without_a_change(self):
        net = made()
        net.replace_assembly(net.out, net.out)
        assert len(net.walk()) == 9


class TestMerge:
    def test_both_halves_compute_what_they_did_alone(self):
        net, other = made(1), made(2)
        one, two = ran(net), ran(other)
        before = weights(other)
        names = net.merge_assembly(other)
        assert names == {name: f"{name}_1" for name in ("input", "block", "out", "c_in", "c_out", "answer")}
        assert torch.equal(ran(net), one)
        assert torch.equal(net.answer_1.predict, two)
        same(before, weights(other))
        assert all(part.network is other for part in other.walk())
        assert all_ends_lie_inside(net)

    def test_a_clash_takes_the_first_free_number_and_other_names_stay(self):
        net, other = made(), sl.Network()
        net.out_1 = NeuronGroup(1, "lif")
        other.out, other.fresh = NeuronGroup(3, "lif"), NeuronGroup(4, "lif")
        other.get_groups_ = NeuronGroup(1, "lif")
        assert net.merge_assembly(other) == {"out": "out_2", "fresh": "fresh", "get_groups_": "get_groups_"}

    def test_what_trains_the_other_trains_this_one(self):
        net, other = made(), made()
        other.learner = sl.Learner(other, "STBP")
        net.merge_assembly(other)
        assert net.learner.trainable == [net]
        assert other.learner.trainable == [other]

    def test_merging_with_itself_or_with_what_holds_it_is_refused(self):
        net = made()
        for assembly, other in ((net, net), (net.block, net)):
            with pytest.raises(ParameterError, match="takes an assembly that this one does not lie in"):
                assembly.merge_assembly(other)
        with pytest.raises(ParameterError, match="got neuron group 'out'"):
            net.merge_assembly(net.out)


class TestSelect:
    def test_members_and_the_connections_between_them_come_with_their_weights(self):
        net = made()
        ran(net)
        before = weights(net)
        part = net.select_assembly(["block", net.out], "part")
        assert [*part.members] == ["block", "out", "c_out"]
        assert part.name == "part"
        found = weights(part)
        same(found, before)
        assert set(found) == {"block.inner.weight", "block.last.v_0", "c_out.weight"}
        assert len(net.walk()) == 9
        assert all(c.network is net for c in net.walk())

    def test_a_selection_of_all_computes_the_same(self):
        net = made()
        answer = ran(net)
        part = net.select_assembly([net.input, net.block, net.out, "answer"])
        assert torch.equal(ran(part), answer)

    def test_without_connections_there_are_none_but_those_inside(self):
        part = made().select_assembly(["block", "out"], with_connection=False)
        assert [c.path for c in part.connections] == ["block.inner"]

    def test_parts_of_nested_assemblies_can_be_selected_and_the_whole_once(self):
        net = made()
        part = net.select_assembly([net.block.first, net.block.last])
        assert [*part.members] == ["first", "last", "inner"]
        whole = net.select_assembly([net.block, net.block.first])
        assert [*whole.get_elements()] == ["block", "block.first", "block.last", "block.inner"]

    def test_what_refers_to_a_part_left_behind_is_left_out_of_an_assembly(self):
        net = made()
        net.block.c = Connection(net.input, net.block.first, link_type="full")
        net.block.twice = sl.Merge(net.block.last, net.out, operation="concatenation")
        net.block.joined = Connection(net.block.twice, net.block.first, link_type="full")
        net.block.back = Connection(net.block.last, net.block.first, link_type="full")
        net.block.seen = sl.Decoder(None, net.block.last)
        part = net.select_assembly([net.block])
        assert [*part.block.members] == ["first", "last", "inner", "back", "seen"]
        assert all_ends_lie_inside(part)

    def test_a_selected_decoder_without_its_target_is_refused(self):
        with pytest.raises(ParameterError, match="'answer' refers to neuron group 'out'; select that too"):
            made().select_assembly(["answer"])
        with pytest.raises(ParameterError, match="at least one"):
            made().select_assembly([])
        with pytest.raises(ParameterError, match="holds no 'nothing'"):
            made().select_assembly(["nothing"])

    def test_selecting_inside_an_open_block_adds_no_member(self):
        net = made()
        with net:
            part = net.select_assembly(["block"])
            extra = NeuronGroup(3, "lif")
        assert net.extra is extra
        assert part.ancestors() == [part]


class TestHide:
    def test_a_hidden_part_is_not_run_and_comes_back_with_its_weights(self):
        net = made()
        answer = ran(net)
        before = weights(net)
        net.mon = sl.SpikeMonitor(net.block.first)
        net.block.assembly_hide()
        assert [g.path for g in net.groups] == ["out"]
        assert (net.connections, net.monitors) == ([], [])
        net.run(5.0)
        same(before, weights(net))
        net.block.assembly_show()
        assert torch.equal(ran(net), answer)

    def test_the_rest_computes_as_if_the_hidden_part_were_not_there(self):
        net, small = made(), made()
        for each in (net, small):
            each.direct = Connection(each.input, each.out, link_type="full", w_mean=0.4)
        net.block.assembly_hide()
        small.del_assembly("block")
        assert torch.equal(ran(net), ran(small))

    def test_one_population_or_connection_can_be_hidden(self):
        net = made()
        net.c_out.assembly_hide()
        assert torch.equal(ran(net), torch.zeros(B, 2, dtype=torch.float64))
        net.c_out.assembly_show()
        assert ran(net).sum() > 0

    def test_the_answer_of_a_hidden_target_is_not_the_old_one(self):
        net = made()
        ran(net)
        net.out.assembly_hide()
        net.input(DATA)
        net.run(5.0)
        with pytest.raises(StateError, match="no answer yet"):
            net.answer.predict

    def test_training_leaves_hidden_weights_alone_and_the_state_dict_has_them(self):
        net = made()
        net.direct = Connection(net.input, net.out, link_type="full", w_mean=0.4)
        net.learner = sl.Learner(net, "STCA")
        net.learner.set_optimizer("Adam", 0.1)
        net.block.assembly_hide()
        ran(net)
        before = {name: value.clone() for name, value in net.state_dict().items()}
        net.learner.optim_zero_grad()
        net.answer.predict.sum().backward()
        net.learner.optim_step()
        changed = {name for name, value in net.state_dict().items() if not torch.equal(value, before[name])}
        assert changed == {"direct.weight"}
        assert "block.inner.weight" in before

    def test_what_was_hidden_by_itself_stays_hidden_when_its_assembly_is_shown(self):
        net = made()
        net.block.first.assembly_hide()
        net.block.assembly_hide()
        net.block.assembly_show()
        assert [g.path for g in net.groups] == ["block.last", "out"]

    def test_a_run_cannot_be_continued_after_hiding(self):
        net = made()
        ran(net)
        net.block.assembly_hide()
        with pytest.raises(StateError, match="edited since the last run"):
            net.run_continue(5.0)


class TestLooks:
    def test_members_are_listed_by_kind_and_depth(self):
        net = made()
        assert net.get_groups() == [net.block.first, net.block.last, net.out]
        assert net.get_groups(recursive=False) == [net.out]
        assert net.get_connections() == [net.block.inner, net.c_in, net.c_out]
        assert net.get_connections(recursive=False) == [net.c_in, net.c_out]
        assert net.get_assemblies() == [net.block]
        assert net.block.get_assemblies() == []
        assert net.get_leveled_groups() == [[net], [net.block, net.out], [net.block.first, net.block.last]]
        assert net.get_elements()["block.last"] is net.block.last

    def test_a_network_contains_what_lies_in_it_by_object_and_by_name(self):
        net = made()
        for inside in (net.block, net.block.first, "block.first", "c_in"):
            assert inside in net
        for outside in (NeuronGroup(2, "lif"), "first", "block.nothing", 3, net):
            assert outside not in net
        assert "first" in net.block

    def test_values_are_read_and_set_by_name(self):
        net = made()
        net.c_in.set_value("weight", np.full((5, 4), 0.5))
        assert (net.c_in.get_value("weight") == 0.5).all()
        net.block.last.set_value("V_0", 6.0)
        assert net.block.last.get_value("v_0") == 6.0
        with pytest.raises(ParameterError, match=r"'c_in': unknown parameter 'wieght'; did you mean 'weight'"):
            net.c_in.set_value("wieght", 1.0)
        assert {id(p) for p in net.get_testparams()} == {id(p) for p in net.parameters()}


SCRIPT = """
import sys; sys.path.insert(0, {folder!r})
from test_assemblies import *
net = made(4)
net.copy_assembly("twin", net.block)
net.copy_assembly("free", made(None))
net.merge_assembly(made(None))
net.replace_assembly(net.block.first, NeuronGroup(5, "clif"))
net.joined = Connection(net.twin.last, net.out, link_type="full")
net.twin_in = Connection(net.input, net.twin, link_type="full", w_mean=0.4)
net.del_assembly("free.answer")
net.del_assembly("free.out")
answer = ran(net)
import hashlib
print(hashlib.sha256(b"".join(a.tobytes() for _, a in sorted(weights(net).items()))).hexdigest(), answer.tolist())
"""


def test_the_same_edits_with_the_same_seed_give_the_same_result_in_a_new_process(request):
    script = SCRIPT.format(folder=str(request.path.parent))
    outputs = [
        subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
        for _ in range(2)
    ]
    assert outputs[0] == outputs[1]
    assert len(outputs[0]) > 64
