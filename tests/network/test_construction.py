"""Ways to put a network together: attributes, subclasses, `with`; names, members, and what is refused."""

import pytest

import spikeloom as sl
from spikeloom.errors import ParameterError, StateError, UnknownNameError
from spikeloom.neurons import LIF, Subtract, ToValue
from spikeloom.neurons.lif import LIFState


def group(**keywords):
    return sl.NeuronGroup(3, model="lif", **keywords)


class Chain(sl.Network):
    def __init__(self):
        super().__init__()
        self.input = sl.Encoder(4)
        self.layer1 = sl.NeuronGroup(3, model="lif")
        self.c = sl.Connection(self.input, self.layer1, link_type="full")
        self.output = sl.Decoder(3, self.layer1)


def by_attributes():
    net = sl.Network()
    net.input = sl.Encoder(4)
    net.layer1 = group()
    net.c = sl.Connection(net.input, net.layer1, link_type="full")
    net.output = sl.Decoder(3, net.layer1)
    return net


def by_with():
    net = sl.Network()
    with net:
        input = sl.Encoder(4)  # noqa: A001
        layer1 = group()
        c = sl.Connection(input, layer1, link_type="full")
        output = sl.Decoder(3, layer1)
    assert c.network is net
    assert output.network is net
    return net


def by_adding():
    net, source, layer = sl.Network(), sl.Encoder(4), group()
    net.add("input", source)
    net.add_assembly("layer1", layer)
    net.add_connection("c", sl.Connection(source, layer, link_type="full"))
    net.add("output", sl.Decoder(3, layer))
    return net


@pytest.mark.parametrize("make", [Chain, by_attributes, by_with, by_adding])
def test_every_way_of_construction_gives_the_same_network(make):
    net = make()
    assert list(net.members) == ["input", "layer1", "c", "output"]
    assert [g.name for g in net.groups] == ["layer1"]
    assert (net.encoders, net.connections, net.decoders) == ([net.input], [net.c], [net.output])
    assert net.c.pre is net.input
    assert "c: input -> layer1, full" in repr(net)
    net.set_random_seed(1)
    net.build()
    assert list(net.store) == ["c.weight"]


def test_with_names_components_by_variable_name_or_kind():
    net = sl.Network("net")
    with net:
        first = second = group()
        _hidden = group()
        third = group(name="given")
        sl.Encoder(3)
        sl.Encoder(3)
    assert first is second
    assert list(net.members) == ["first", "neuron_group1", "given", "encoder1", "encoder2"]
    assert third.name == "given"
    assert net.neuron_group1 is _hidden
    with net:
        sl.Encoder(3)
    assert "encoder3" in net.members


def test_two_components_of_one_name_in_a_block_are_refused_and_none_is_added():
    net = sl.Network()
    message = "two components are to be called 'a'"
    with pytest.raises(ParameterError, match=message), net:  # noqa: PT012
        group(name="a")
        group(name="a")
    assert net.members == {}


def test_an_error_inside_a_block_adds_nothing_and_closes_it():
    net = sl.Network()
    with pytest.raises(UnknownNameError), net:  # noqa: PT012
        layer1 = group()
        sl.NeuronGroup(3, model="liff")
    assert net.members == {}
    assert layer1._owner is None
    outside = group()
    assert outside._owner is None
    with net:
        layer2 = group()
    assert net.members == {"layer2": layer2}


def test_nested_blocks_fill_the_innermost():
    net = sl.Network()
    with net:
        outer = group()
        with sl.Assembly() as block:
            inner = group()
        after = group()
    assert list(net.members) == ["outer", "block", "after"]
    assert block.members == {"inner": inner}
    assert [c.path for c in net.walk()] == ["outer", "block", "block.inner", "after"]
    assert (inner.network, outer.network, after.network) == (net, net, net)


def test_components_of_an_assembly_made_inside_a_block_stay_in_it():
    class Pair(sl.Assembly):
        def __init__(self):
            super().__init__()
            self.a = group()
            self.b = group()

    net = sl.Network()
    with net:
        pair = Pair()
        c = sl.Connection(pair.a, pair.b, link_type="full")
    assert list(net.members) == ["pair", "c"]
    assert (pair.a.path, c.path) == ("pair.a", "c")
    assert net.of_kind(sl.NeuronGroup) == [pair.a, pair.b]


def test_a_component_that_was_added_inside_a_block_is_not_added_again():
    net = sl.Network()
    with net:
        x = group()
        net.layer = x
    assert list(net.members) == ["layer"]


def test_blocks_of_two_networks_do_not_mix():
    first, second = sl.Network(), sl.Network()
    with first:
        a = group()
        with second:
            b = group()
    assert (first.members, second.members) == ({"a": a}, {"b": b})


@pytest.mark.parametrize("name", ["run", "store", "seed", "groups", "backend", "kind", "name", "members", "plan"])
def test_a_name_of_the_network_itself_is_refused(name):
    net = sl.Network()
    with pytest.raises(ParameterError, match=f"'{name}' is taken by Network itself; choose another name"):
        setattr(net, name, group())
    with pytest.raises(ParameterError, match="is taken by Network itself"):
        net.add(name, group())


@pytest.mark.parametrize("name", ["", "1a", "a b", "a.b", "_a", 3, "a-b"])
def test_a_name_that_is_no_identifier_is_refused(name):
    with pytest.raises(ParameterError, match="plain identifier"):
        sl.NeuronGroup(3, model="lif", name=name)
    if isinstance(name, str) and not name.startswith("_"):
        with pytest.raises(ParameterError, match="plain identifier"):
            sl.Network().add(name, group())


def test_a_component_has_one_place():
    net, other = sl.Network(), sl.Network()
    net.a = group()
    with pytest.raises(ParameterError, match="'a' is already a member and cannot be 'b' too"):
        net.b = net.a
    with pytest.raises(ParameterError, match="'a' already belongs to an assembly"):
        other.a = net.a
    net.a = net.a
    assert list(net.members) == ["a"]


def test_an_assembly_cannot_hold_itself_or_what_holds_it():
    outer, inner = sl.Assembly(), sl.Assembly()
    with pytest.raises(ParameterError):
        outer.me = outer
    outer.inner = inner
    with pytest.raises(ParameterError):
        inner.outer = outer


def test_a_subclass_that_forgot_its_base_is_told():
    class Forgot(sl.Network):
        def __init__(self):
            self.layer1 = group()

    with pytest.raises(StateError, match=r"Forgot: call super\(\).__init__\(\) before adding 'layer1'"):
        Forgot()


def test_assignment_over_a_component_replaces_it_by_a_component_only():
    net = sl.Network()
    first = net.a = group()
    with pytest.raises(ParameterError, match=r"network\.a is a component; `del` it"):
        net.a = 3
    second = net.a = group()
    assert net.members == {"a": second}
    with pytest.raises(StateError, match="belongs to no network"):
        first.network


def test_a_deleted_component_is_free_again():
    net, other = sl.Network(), sl.Network()
    layer = net.layer = group()
    del net.layer
    assert net.members == {}
    assert not hasattr(net, "layer")
    other.layer = layer
    assert layer.network is other
    with pytest.raises(AttributeError):
        del net.layer


def test_members_is_a_copy():
    net = by_attributes()
    net.members.clear()
    assert len(net.members) == 4


def test_plain_attributes_are_no_members():
    net = sl.Network()
    net.rate = 3
    net._kept = group()
    assert (net.rate, net.members) == (3, {})


def test_a_component_outside_of_a_network_says_how_to_assign_it():
    with pytest.raises(StateError, match=r"neuron group 'a' belongs to no network; assign it: net\.a = \.\.\."):
        group(name="a").network
    with pytest.raises(StateError, match="belongs to no network"):
        sl.Connection(sl.Encoder(3), group(), link_type="full").weight


@pytest.mark.parametrize("end", ["pre", "post"])
def test_a_connection_to_what_is_not_in_the_network_stops_the_build(end):
    net = by_attributes()
    if end == "pre":
        del net.input
    else:
        net.layer1 = group()
        net.output = sl.Decoder(dec_target=net.layer1)
    with pytest.raises(StateError, match=f"connection 'c': its {end} .* is not in the network"):
        net.run(1.0)


@pytest.mark.parametrize("watcher", [sl.Decoder, sl.SpikeMonitor])
def test_a_watcher_of_what_is_not_in_the_network_stops_the_build(watcher):
    net = sl.Network()
    net.layer1 = group()
    net.w = watcher(target=group())
    with pytest.raises(StateError, match=r"'w': its target .* is not in the network"):
        net.build()


@pytest.mark.parametrize("model", ["alif", "if_soft_reset"])
def test_a_value_to_reset_to_that_nothing_reads_is_refused(model):
    with pytest.raises(ParameterError, match="v_reset has no effect, since Subtract"):
        sl.NeuronGroup(3, model=model, v_reset=-2.0)
    to_value = sl.Emission(reset=ToValue("v_reset"))
    assert sl.NeuronGroup(3, model=model, v_reset=-2.0, emission=to_value).neuron.v_reset == -2.0
    assert sl.NeuronGroup(3, model="plif", v_reset=-2.0, emission=sl.Emission(reset=Subtract())).neuron.v_reset == -2.0


def test_a_model_says_which_values_to_reset_to_it_reads_itself():
    class Sinking(LIF):
        def update(self, state, inputs, dt, xp):
            return LIFState(v=state.v + inputs + 0.1 * self.v_reset)

    class Telling(Sinking):
        reads = ("v_reset",)

    subtract = sl.Emission(reset=Subtract())
    with pytest.raises(ParameterError, match=r"v_reset has no effect.* says so: reads = \('v_reset',\)"):
        sl.NeuronGroup(3, model=Sinking(v_reset=-2.0, emission=subtract))
    assert sl.NeuronGroup(3, model=Telling(v_reset=-2.0, emission=subtract)).neuron.v_reset == -2.0
    assert sl.NeuronGroup(3, model=Sinking(emission=subtract)).neuron.v_reset == 0.0


def test_a_value_to_reset_to_is_told_by_the_name_that_the_model_gives_it():
    with pytest.raises(ParameterError, match=r"c has no effect, since Subtract does not read it; give emission=.*'c'"):
        sl.NeuronGroup(3, model="izhikevich", c=-60.0, emission=sl.Emission(reset=Subtract(), threshold=30.0))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda net: net.set_backend("torch", "cpu", True), "^network option 'partition' is dropped: one network runs"),
        (lambda net: net.set_backend("torch", partition=False), "^network option 'partition' is dropped"),
        (lambda net: net.set_backend_dt(0.1, True), "^network option 'partition' is dropped"),
        (lambda net: net.build(strategy=1), "^network option 'strategy' is dropped: only a connection in a loop"),
        (lambda net: net.build("torch", 1), "^network option 'strategy' is dropped"),
        (lambda net: net.build("torch", "cpu", True), "^network option 'full_enable_grad' is dropped"),
        (lambda net: net.build(devise="cpu"), r"^Network.build: unknown parameter 'devise'; did you mean 'device'\?"),
    ],
)
def test_what_spaic_gives_to_a_backend_is_told(call, message):
    net = sl.Network()
    net.layer1 = group()
    with pytest.raises(ParameterError, match=message):
        call(net)
    net.build("torch", device="cpu")


def test_a_misspelt_argument_of_a_connection_is_told_of_those_that_are_no_link_parameters():
    with pytest.raises(ParameterError, match=r"unknown parameter 'signs'; did you mean 'sign'\? It has: weight.*delay"):
        sl.Connection(sl.Encoder(2), sl.NeuronGroup(2, "lif"), link_type="full", signs=1)


def test_an_initializer_named_by_a_text_is_told_as_an_object():
    with pytest.raises(ParameterError, match=r"an initializer: spikeloom.xavier_normal\(\), got the text"):
        sl.Connection(sl.Encoder(2), sl.NeuronGroup(2, "lif"), link_type="full", weight="xavier_normal")
