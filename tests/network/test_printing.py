"""What a printed network tells: every member in its place, and which connections take the step of a loop."""

import numpy as np
from saved_networks import dense, image, looped, made

import spikeloom as sl


def line_of(net: sl.Network, name: str) -> str:
    (line,) = [line for line in str(net).splitlines() if f" {name}: " in line]
    return line


def test_a_tree_has_one_line_for_each_member_indented_by_its_assembly():
    net = made(looped)
    head, *lines, total = str(net).splitlines()
    assert head == "Network net, dt 1 ms"
    assert len(lines) == len(net.walk())
    assert [line.index("─") - 1 for line in lines] == [3 * c.path.count(".") for c in net.walk()]
    assert total == "9 neurons, 4 connections, 90 parameters"


def test_a_population_shows_its_model_shape_and_parameters_as_they_are_now():
    net = made(dense)
    net.a.get_value("v_0")
    net.store.assign("a.v_0", np.full((5,), 2.0) if net.store["a.v_0"].shape else np.array(2.0))
    assert "a: 5 x clif, shape (5,), tau_m [15, 17.5, 20, 22.5, 25], tau_p 12" in line_of(net, "a")
    assert "v_0 2 (trained)" in line_of(net, "a")
    assert "143 x" not in str(made(image))
    assert "a: 144 x lif, shape (4, 6, 6), tau_m 8" in line_of(made(image), "a")


def test_a_connection_shows_ends_link_weights_filter_delay_and_the_step_of_its_loop():
    net = made(looped)
    assert line_of(net, "c1").endswith("c1: input -> block.a, full, weight (5, 6)")
    filtered = "c3: block.a -> block.b, full, weight (4, 5), LowPass(tau [2, 3, 4, 5]), one step of the loop"
    assert line_of(net, "c3").endswith(filtered)
    assert "full, weight (5, 4), delay 2 ms, one step of the loop" in line_of(net, "c2")
    assert "conv, weight (4, 1, 3, 3), padding 1, groups 2" in line_of(made(image), "c")


def test_the_step_of_a_loop_is_shown_just_where_the_plan_has_it():
    net = made(looped)
    net.through = sl.Merge(net.block.b, net.block.b)
    net.c5 = sl.Connection(net.through, net.block.a, link_type="full")
    net.other = sl.NeuronGroup(3, model="lif")
    net.c6 = sl.Connection(net.through, net.other, link_type="full")
    net.build()
    routes = [r for b in net.plan.blocks for layer in b.layers for branch in layer.branches for r in branch.routes]
    assert len(routes) == 6
    for route in routes:
        name = route.connection.name
        assert route.looped == line_of(net, name).endswith("one step of the loop"), name
    assert line_of(net, "through").endswith("through: merge Sum of block.b, block.b")
    assert {r.connection.name for r in routes if r.looped} == {"c2", "c3", "c4", "c5"}


def test_a_population_joined_to_itself_is_a_loop():
    net = sl.Network()
    net.a = sl.NeuronGroup(3, model="lif")
    net.c = sl.Connection(net.a, net.a, link_type="full")
    assert line_of(net, "c").endswith("one step of the loop")


def test_a_long_array_is_shown_by_its_range():
    net = sl.Network()
    net.a = sl.NeuronGroup(10, model="lif", tau_m=np.linspace(5, 14, 10))
    assert "tau_m 5 to 14, (10,)" in line_of(net, "a")


def test_an_empty_network_prints():
    assert str(sl.Network()).splitlines() == ["Network, dt 0.1 ms", "0 neurons, 0 connections, 0 parameters"]
