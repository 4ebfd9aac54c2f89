"""Random sequences of edits, nested, with runs in between: what must hold after each."""

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import spikeloom as sl
from spikeloom.errors import ParameterError, ShapeError, StateError, UnsupportedError
from spikeloom.network import Assembly, Connection, IncludedTypePolicy, Merge, NeuronGroup, Projection

REFUSALS = (ParameterError, ShapeError, StateError, UnsupportedError)
EDITS = ("add", "join", "merge_node", "project", "delete", "unlink", "copy", "replace", "merge", "hide", "show", "run")
STEPS = st.lists(
    st.tuples(st.sampled_from(EDITS), st.integers(0, 10**6), st.integers(0, 10**6)), min_size=3, max_size=9
)


def start():
    net = sl.Network()
    net.set_backend(sl.TorchBackend(dt=1.0, dtype=torch.float64, path="torch"))
    net.set_random_seed(2)
    net.input = sl.Encoder(3, "constant_current")
    net.block = Assembly()
    net.block.a, net.block.b = NeuronGroup(3, "clif", v_th=0.3), NeuronGroup(2, "lif")
    net.block.c = Connection(net.block.a, net.block.b, link_type="full")
    net.c = Connection(net.input, net.block.a, link_type="full", w_mean=0.4)
    net.answer = sl.Decoder(None, net.block.b)
    net.mon = sl.SpikeMonitor(net.block.a)
    return net


def chosen(parts, number):
    return parts[number % len(parts)] if parts else None


def edit(net, what, first, second):
    """One edit, of parts that two numbers choose. Refusals are errors of the package."""
    groups, homes = net.get_groups(), [net, *net.get_assemblies()]
    nodes = [*groups, *net.of_kind(Merge)]
    home, free = chosen(homes, first), f"x{len(net.walk())}_{first}"
    if len(net.walk()) > 40 and what in ("copy", "merge", "project"):
        return
    if what == "add":
        home.add_assembly(free, Assembly() if second % 3 == 0 else NeuronGroup(2 + second % 2, "clif"))
    elif what == "join" and groups:
        home.add_connection(free, Connection(chosen(nodes, second), chosen(groups, second // 7), link_type="full"))
    elif what == "merge_node" and groups:
        home.add_assembly(free, Merge(chosen(nodes, second), chosen(nodes, second // 5), operation="concatenation"))
    elif what == "project":
        net.add_projection(free, Projection(home, chosen(homes, second), IncludedTypePolicy(), "full"))
    elif what == "delete":
        net.del_assembly(chosen(net.walk(), second))
    elif what == "unlink" and net.get_connections():
        net.del_connection(chosen(net.get_connections(), second))
    elif what == "copy":
        home.copy_assembly(free, chosen([net, *net.walk()], second))
    elif what == "replace" and groups:
        old = chosen(groups, first)
        net.replace_assembly(old, chosen(groups, second) if second % 2 else NeuronGroup(old.num, "clif"))
    elif what == "merge":
        home.merge_assembly(start())
    else:
        show_or_run(net, what, second)


def show_or_run(net, what, number):
    """What changes no member."""
    if what in ("hide", "show"):
        part = chosen(net.walk(), number)
        part.assembly_hide() if what == "hide" else part.assembly_show()
    elif what == "run":
        for encoder in net.encoders:
            encoder(np.full((2, 3), 0.7))
        net.run(4.0)


def values(net):
    """What has been drawn or trained, by component and name; a component keeps its own whatever its path becomes."""
    arrays = net.store.arrays()
    return {
        (id(part), spec.name.removeprefix(f"{part.path}.")): arrays[spec.name]
        for part in net.walk()
        for spec in part.parameter_specs()
        if spec.name in arrays and arrays[spec.name].shape == spec.shape
    }


def check(net, before, after):
    inside = {id(part) for part in net.walk()} | {id(net)}
    for part in net.walk():
        assert part.network is net
        assert net.get_elements()[part.path] is part
        assert all(id(end) in inside for end in part.refers_to()), part.path
    names = [spec.name for spec in net.specs()]
    assert len(set(names)) == len(names)
    for key, array in before.items():
        if key in after:
            np.testing.assert_array_equal(array, after[key])


def played(steps):
    net, log, alive = start(), [], []
    for what, first, second in steps:
        before, paths = values(net), [*net.get_elements()]
        alive.append(net.walk())  # so that no id is used twice
        try:
            edit(net, what, first, second)
        except REFUSALS as error:
            log.append(f"{what}: {type(error).__name__}")
            assert [*net.get_elements()] == paths
        else:
            log.append(what)
        after = values(net)
        check(net, before, after)
        if what not in ("delete", "unlink", "replace"):
            assert set(before) <= set(after)
    return net, log


@settings(max_examples=40, deadline=None)
@given(STEPS)
def test_ends_lie_inside_and_untouched_weights_stay_through_any_edits(steps):
    net, _ = played(steps)
    described = sl.network.describe(net)
    again = sl.network_from(described)
    assert sl.network.describe(again) == described


@settings(max_examples=15, deadline=None)
@given(STEPS)
def test_the_same_edits_give_the_same_weights_and_refusals_again(steps):
    (one, first), (two, second) = played(steps), played(steps)
    assert first == second
    assert [*one.get_elements()] == [*two.get_elements()]
    ours, theirs = one.draw_parameters().arrays(), two.draw_parameters().arrays()
    assert ours.keys() == theirs.keys()
    for name, array in ours.items():
        np.testing.assert_array_equal(array, theirs[name])


@settings(max_examples=25, deadline=None)
@given(STEPS)
def test_an_edited_network_runs_like_one_that_was_made_so(steps):
    net, _ = played(steps)
    weights = net.draw_parameters().arrays()
    again = sl.network_from(sl.network.describe(net))
    again.set_backend(sl.TorchBackend(dt=1.0, dtype=torch.float64, path="torch"))
    again.state_from_dict(weights)
    outcomes = []
    for each in (net, again):
        for encoder in each.encoders:
            encoder(np.full((2, 3), 0.7))
        try:
            each.run(6.0)
        except REFUSALS as error:
            outcomes.append(type(error))
        else:
            outcomes.append([decoder.predict.detach() for decoder in each.decoders])
    one, two = outcomes
    if isinstance(one, list):
        assert all(torch.equal(a, b) for a, b in zip(one, two, strict=True))
    else:
        assert one is two
