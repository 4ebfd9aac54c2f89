"""What a printed network tells: every member in its place, and which connections take the step of a loop."""

import numpy as np
import pytest
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
    filtered = "c3: block.a -> block.b, full, weight (4, 5), LowPass(tau [2, 3, 4, 5]), 1 step for the loop"
    assert line_of(net, "c3").endswith(filtered)
    assert "full, weight (5, 4), delay 2 ms, 1 step for the loop" in line_of(net, "c2")
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
        assert route.looped == line_of(net, name).endswith("1 step for the loop"), name
    assert line_of(net, "through").endswith("through: merge Sum of block.b, block.b")
    assert {r.connection.name for r in routes if r.looped} == {"c2", "c3", "c4", "c5"}


def test_a_population_joined_to_itself_is_a_loop():
    net = sl.Network()
    net.a = sl.NeuronGroup(3, model="lif")
    net.c = sl.Connection(net.a, net.a, link_type="full")
    assert line_of(net, "c").endswith("1 step for the loop")


def test_a_long_array_is_shown_by_its_range():
    net = sl.Network()
    net.a = sl.NeuronGroup(10, model="lif", tau_m=np.linspace(5, 14, 10))
    assert "tau_m 5 to 14, (10,)" in line_of(net, "a")


def test_a_learner_shows_algorithm_optimizer_rate_and_what_it_trains():
    net = made(dense)
    net.all = sl.Learner(net, algorithm="STCA")
    assert line_of(net, "all").endswith("all: learner STCA, no optimizer, trains the whole network")
    net.all.set_optimizer("Adam", 0.001)
    assert line_of(net, "all").endswith("all: learner STCA, Adam lr 0.001, trains the whole network")
    net.part = sl.Learner([net.a], algorithm="STBP")
    net.part.set_optimizer("sgd", 0.5)
    assert line_of(net, "part").endswith("part: learner STBP, SGD lr 0.5, trains a")


def test_the_last_line_counts_one_thing_in_the_singular():
    net = sl.Network()
    net.a = sl.NeuronGroup(1, model="lif")
    net.c = sl.Connection(net.a, net.a, link_type="full")
    assert str(net).splitlines()[-1] == "1 neuron, 1 connection, 1 parameter"


@pytest.mark.parametrize("kind", ["max", "avg"])
def test_a_pool_shows_its_kind_once(kind):
    net = sl.Network()
    net.a = sl.NeuronGroup(shape=(2, 4, 4), model="lif")
    net.b = sl.NeuronGroup(shape=(2, 2, 2), model="lif")
    net.c = sl.Connection(net.a, net.b, link_type="pool", pool=kind, scale=2.0)
    assert line_of(net, "c").endswith(f"c: a -> b, pool {kind}, scale 2")


@pytest.mark.parametrize(
    ("delay", "back", "said"),
    [(0.0, True, "1 step for the loop"), (2.0, True, "3 steps: 2 of delay, 1 for the loop"),
     (1.0, False, "1 step of delay"), (3.0, False, "3 steps of delay")],
)  # fmt: skip
def test_the_plan_says_of_each_step_what_it_is_for(delay, back, said):
    net = sl.Network()
    net.a, net.b = (sl.NeuronGroup(3, model="lif") for _ in range(2))
    net.c = sl.Connection(net.a, net.b, link_type="full", delay=delay)
    if back:
        net.back = sl.Connection(net.b, net.a, link_type="full")
    net.set_backend_dt(1.0)
    net.build()
    assert f"<- a by c (full, {said})" in str(net.plan)


def test_an_empty_network_prints():
    assert str(sl.Network()).splitlines() == ["Network, dt 0.1 ms", "0 neurons, 0 connections, 0 parameters"]
