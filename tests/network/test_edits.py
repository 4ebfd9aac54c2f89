"""Edits of a network and copies of it: what is fixed, what is refused, what a copy takes along."""

import copy

import numpy as np
import pytest
import torch

import spikeloom as sl
from spikeloom.errors import DataError, ParameterError, ShapeError, StateError
from spikeloom.network.parameters import as_array

DATA = np.random.default_rng(0).random((3, 4)).astype(np.float32)


def small():
    net = sl.Network()
    net.set_backend(sl.TorchBackend(dt=1.0, dtype=torch.float64))
    net.set_random_seed(1)
    net.input = sl.Encoder(4, "constant_current")
    net.layer = sl.NeuronGroup(3, "clif")
    net.c = sl.Connection(net.input, net.layer, link_type="full", w_mean=0.5, w_std=0.2)
    net.spikes, net.v = sl.SpikeMonitor(net.layer), sl.StateMonitor(net.layer, "v")
    net.out = sl.Decoder(3, net.layer)
    net.learner = sl.Learner(net, "STCA")
    net.learner.set_optimizer("Adam", 0.05)
    net.learner.set_schedule("StepLR", 2, 0.5)
    return net


def trained(net, n=1):
    """The answers over n steps of training."""
    answers = []
    for _ in range(n):
        net.input(DATA)
        net.run(20.0)
        answers.append(net.out.predict.detach().clone())
        net.learner.optim_zero_grad()
        (net.out.predict - 2.0).square().mean().backward()
        net.learner.optim_step()
        net.learner.optim_schedule()
    return answers


FIXED = [
    ("c", "delay", 5.0),
    ("c", "link", None),
    ("c", "pre", None),
    ("layer", "neuron", None),
    ("layer", "shape", (2,)),
    ("input", "options", {}),
    ("out", "target", None),
    ("spikes", "variable", "v"),
    ("learner", "trainable", []),
]


@pytest.mark.parametrize(("member", "name", "value"), FIXED)
@pytest.mark.parametrize("built", [False, True])
def test_what_a_component_was_made_of_is_fixed(member, name, value, built):
    net = small()
    if built:
        net.build()
    part = getattr(net, member)
    before = getattr(part, name)
    message = (
        rf"'{member}': {name} is fixed once it is made; make a new one and assign it: net\.{member} = \w+\(\.\.\.\)"
    )
    with pytest.raises(ParameterError, match=message):
        setattr(part, name, value)
    assert getattr(part, name) is before


def test_a_component_is_fixed_before_it_is_a_member_too():
    group = sl.NeuronGroup(3, "lif")
    with pytest.raises(ParameterError, match="shape is fixed once it is made"):
        group.shape = (4,)


@pytest.mark.parametrize(("member", "name"), [("layer", "v_th"), ("c", "w_mean")])
def test_a_parameter_of_a_model_or_a_link_is_fixed_too(member, name):
    with pytest.raises(ParameterError, match=f"'{member}': {name} is fixed once it is made"):
        setattr(getattr(small(), member), name, 2.0)


def test_a_misspelt_attribute_is_an_error_with_a_suggestion():
    net = small()
    with pytest.raises(ParameterError, match=r"connection 'c' has no 'deley'; did you mean 'delay'\?"):
        net.c.deley = 3.0
    with pytest.raises(ParameterError, match=r"neuron group 'layer' has no 'qqq'\."):
        net.layer.qqq = 1


@pytest.mark.parametrize("name", ["weight", "bias"])
def test_an_assignment_to_a_weight_says_where_its_value_is(name):
    with pytest.raises(ParameterError, match=rf"'c': {name} is a parameter; .* net\.c\.{name}\.value = \.\.\."):
        setattr(small().c, name, np.ones((3, 4)))


def test_labels_private_attributes_and_those_of_a_network_are_free():
    net = small()
    net.out.label = [1, 2]
    net.c._note = "mine"
    net.note = "mine"
    net.note = "mine again"
    assert (net.out.label, net.c._note, net.note) == ([1, 2], "mine", "mine again")


def test_a_component_of_ones_own_is_fixed_when_its_constructor_is_through():
    class Noted(sl.NeuronGroup):
        mutable = frozenset({"free"})

        def __init__(self):
            super().__init__(3, "lif")
            self.note = "in the constructor"
            self.free = 1

    group = Noted()
    group.free = 2
    assert (group.note, group.free) == ("in the constructor", 2)
    with pytest.raises(ParameterError, match="note is fixed"):
        group.note = "later"


CONTAINERS = [
    lambda c: [c],
    lambda c: (1, c),
    lambda c: {c},
    lambda c: {"a": c},
    lambda c: {"a": [(c,)]},
    lambda c: [[], [c]],
]


@pytest.mark.parametrize("wrap", CONTAINERS)
def test_components_hidden_in_a_container_are_refused_with_the_way_out(wrap):
    net = small()
    with pytest.raises(
        ParameterError, match=r"network\.layers is a \w+ of components, which .* net\.add\(f'layer\{k\}'"
    ):
        net.layers = wrap(sl.NeuronGroup(3, "lif"))
    with pytest.raises(ParameterError, match=r"assembly\.layers"):
        sl.Assembly().layers = wrap(sl.NeuronGroup(3, "lif"))
    endless = [1]
    endless.append(endless)
    net.endless = endless
    net.mine = wrap(net.layer)  # a member already
    net._hidden = wrap(sl.NeuronGroup(3, "lif"))
    net.numbers = wrap(3)


def test_a_device_without_a_backend_by_name_is_refused():
    net = small()
    with pytest.raises(ParameterError, match=r"give the backend of device 'cuda' too: build\('torch', 'cuda'\)"):
        net.build(device="cuda")
    with pytest.raises(ParameterError, match="the backend is given as an object; give device='cuda' to it"):
        net.set_backend(sl.TorchBackend(), "cuda")
    net.build("torch", "cpu")


@pytest.mark.parametrize("n", [0, 3])
def test_a_copy_trains_apart_from_its_original_with_equal_results(n):
    net = small()
    trained(net, n)
    twin = copy.deepcopy(net)
    before = as_array(net.c.weight.value).copy()
    copied = trained(twin, 3)
    np.testing.assert_array_equal(as_array(net.c.weight.value), before)
    for ours, theirs in zip(trained(net, 3), copied, strict=True):
        assert torch.equal(ours, theirs)
    assert torch.equal(net.c.weight.value, twin.c.weight.value)
    assert net.learner.optim.param_groups[0]["lr"] == twin.learner.optim.param_groups[0]["lr"]


def test_a_copy_of_a_network_is_whole_and_its_own():
    net = small()
    net.block = sl.Assembly()
    net.block.inner = sl.NeuronGroup(2, "lif")
    trained(net)
    twin = copy.deepcopy(net)
    assert [c.path for c in twin.walk()] == [c.path for c in net.walk()]
    assert not {id(c) for c in twin.walk()} & {id(c) for c in net.walk()}
    assert all(c.network is twin for c in twin.walk())
    assert (twin.c.post, twin.out.target, twin.learner.trainable) == (twin.layer, twin.layer, [twin])
    np.testing.assert_array_equal(twin.v.values, net.v.values)
    assert net.out.predict is not None
    with pytest.raises(StateError, match="no answer yet"):
        twin.out.predict


def test_a_copy_of_a_component_is_free_and_leaves_its_network_behind():
    net = small()
    trained(net)
    group = copy.deepcopy(net.layer)
    assert group.neuron == net.layer.neuron
    with pytest.raises(StateError, match="belongs to no network"):
        group.network
    other = sl.Network()
    other.layer = group
    assert group.network is other
    assert net.layer.network is net
    with pytest.raises(ParameterError, match="is fixed"):
        group.shape = (4,)


def test_an_input_with_a_graph_behind_it_does_not_stop_a_copy():
    net = small()
    net.input(torch.ones(1, 4, requires_grad=True) * 2)
    assert copy.deepcopy(net).input._data.tolist() == [[2.0] * 4]


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda s: s.pop("c.weight"), ParameterError, "'c.weight' is missing"),
        (lambda s: s.update({"c.wieght": torch.ones(1)}), ParameterError, "no 'c.wieght'; did you mean 'c.weight'"),
        (lambda s: s.update({"c.weight": torch.ones(4, 3)}), ShapeError, r"'c.weight' must have shape \(3, 4\)"),
        (lambda s: s.update({"c.weight": torch.full((3, 4), torch.nan)}), ParameterError, "must hold finite numbers"),
        (lambda s: s.update({"c.weight": torch.ones(3, 4, dtype=torch.int64)}), DataError, "must hold real numbers"),
        (lambda s: s.update({"c.weight": torch.ones(3, 4).to_sparse()}), ParameterError, "must be an array of numbers"),
    ],
)
def test_a_state_that_does_not_fit_is_refused_and_changes_nothing(change, error, message):
    net = small()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    state = {name: value + 1 for name, value in before.items()}
    change(state)
    with pytest.raises(error, match=message):
        net.load_state_dict(state)
    assert all(torch.equal(before[name], value) for name, value in net.state_dict().items())
