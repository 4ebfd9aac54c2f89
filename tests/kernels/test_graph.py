"""Expressions: arithmetic in the order of the lines, common parts once, nothing simplified that changes a result."""

import math

import numpy as np
import pytest

from spikeloom.kernels.graph import Graph, GraphOps, TraceError, evaluate, in_order
from spikeloom.ops import NumpyOps


@pytest.fixture
def graph():
    return Graph()


@pytest.fixture
def xp(graph):
    return GraphOps(graph)


def value(root, **values):
    return evaluate([root], {name: np.float64(v) for name, v in values.items()}, NumpyOps())[0]


def test_equal_expressions_are_one_node(graph, xp):
    a, b = graph.symbol("a"), graph.symbol("b")
    assert a + b is graph.symbol("a") + graph.symbol("b")
    assert xp.exp(a * 2) is xp.exp(a * 2.0)
    assert a + b is not b + a  # the order of the lines stays


def test_a_sum_keeps_its_order(graph):
    a, b, c = map(graph.symbol, "abc")
    values = {"a": 1e16, "b": -1e16, "c": 1.0}
    assert value((a + b) + c, **values) == 1.0
    assert value(a + (b + c), **values) == 0.0


def test_zeros_and_ones_of_the_lines_cost_nothing(graph, xp):
    a = graph.symbol("a")
    assert a + 0 is a
    assert 0.0 + a is a
    assert a - 0 is a
    assert a * 1 is a
    assert 1.0 * a is a
    assert a / 1 is a
    assert a.__neg__().__neg__() is a
    assert +a is a
    assert repr(0 - a) == "neg(a)"
    assert (a * 0).value == 0.0
    assert xp.where(a > 0, a, a) is a
    assert xp.where(True, a, 2.0) is a
    assert xp.where(np.bool_(False), a, 2.0).value == 2.0


def test_numbers_alone_are_computed_at_once(graph, xp):
    assert (graph.constant(3.0) * 4.0).value == 12.0
    assert xp.exp(0.5) == math.exp(0.5)
    assert xp.maximum(1.0, 2.0) == 2.0
    assert xp.stop_gradient(1.5) == 1.5


def test_signed_zeros_are_two_numbers(graph):
    assert graph.constant(0.0) is not graph.constant(-0.0)


@pytest.mark.parametrize("power", [-3, -2, -1, -0.5, 0, 0.5, 1, 2, 3, 8, 2.0, np.int64(2), np.float64(3.0)])
def test_powers_are_products(graph, power):
    a = graph.symbol("a")
    made = a**power
    assert {n.op for n in in_order([made])} <= {"symbol", "const", "mul", "div", "sqrt"}
    assert value(made, a=1.7) == pytest.approx(1.7 ** float(power), rel=1e-15)


@pytest.mark.parametrize("power", [9, -9, 1.5, -1.5, 0.25, math.nan, math.inf, "2", None])
def test_other_powers_are_refused(graph, power):
    with pytest.raises(TraceError, match=r"is not a whole number up to 8; use xp\.exp and xp\.log"):
        _ = graph.symbol("a") ** power


def test_every_word_of_the_vocabulary_is_that_of_numpy(graph, xp):
    a, b = graph.symbol("a"), graph.symbol("b")
    x, y = -0.3, 1.7
    for made, wanted in (
        (xp.exp(a), np.exp(x)), (xp.log(b), np.log(y)), (xp.tanh(a), np.tanh(x)), (xp.sqrt(b), np.sqrt(y)),
        (xp.abs(a), 0.3), (abs(a), 0.3), (xp.minimum(a, b), x), (xp.minimum(0.5, b), 0.5), (xp.maximum(a, b), y),
        (xp.maximum(a, 0.5), 0.5), (xp.stop_gradient(a), x), (xp.where(a > b, a, b), y), (xp.where(a < b, a, 2.0), x),
    ):  # fmt: skip
        assert value(made, a=x, b=y) == wanted, made


def test_comparisons_and_their_joins_are_those_of_numpy(graph, xp):
    a, b = graph.symbol("a"), graph.symbol("b")
    for x, y in ((1.0, 2.0), (2.0, 1.0), (1.0, 1.0)):
        for made, wanted in (
            (a < b, x < y), (a <= b, x <= y), (a > b, x > y), (a >= b, x >= y), (a == b, x == y), (a != b, x != y),
            (a > 1.0, x > 1), ((a < b) & (b > 1), x < y and y > 1), ((a < b) | (b > 1), x < y or y > 1),
            (~(a < b), not x < y), (xp.logical_and(a < b, b > 1), x < y and y > 1), (xp.logical_not(a < b), not x < y),
        ):  # fmt: skip
            assert made.is_bool
            assert bool(value(made, a=x, b=y)) is wanted


def test_a_comparison_in_a_sum_counts_as_one_or_nothing(graph):
    a = graph.symbol("a")
    assert value((a > 0) * 2.0 + a, a=3.0) == 5.0
    assert value((a > 0) * 2.0 + a, a=-3.0) == -3.0


def test_a_spike_is_one_from_the_threshold_on(graph):
    d = graph.symbol("d")
    spike = graph.fire(d, d * 7.0)
    for x, wanted in ((0.0, 1.0), (-0.0, 1.0), (1e-300, 1.0), (-1e-300, 0.0), (math.nan, 0.0)):
        assert value(spike, d=x) == wanted


def test_nodes_stand_after_what_they_are_made_of(graph, xp):
    a, b = graph.symbol("a"), graph.symbol("b")
    root = xp.where(a > b, xp.exp(a) + b, graph.fire(a - b, xp.tanh(b)))
    order = in_order([root, a])
    places = {id(n): k for k, n in enumerate(order)}
    assert len(places) == len(order)
    assert all(places[id(argument)] < places[id(n)] for n in order for argument in n.args)
    assert "tanh" in {n.op for n in order}
    assert "tanh" not in {n.op for n in in_order([root], slopes=False)}
    assert [n.op for n in in_order([xp.exp(a) + b], ends={id(xp.exp(a))})] == ["exp", "symbol", "add"]


def test_an_expression_is_no_plain_number_and_has_no_parts(graph):
    a = graph.symbol("a")
    for use in (float, int, bool, list, len, math.exp, range, round):
        with pytest.raises((TraceError, TypeError)):
            use(a)
    for wrong in ("text", None, [1.0], np.ones(3), object()):
        with pytest.raises(TypeError):
            _ = a + wrong
    with pytest.raises(TypeError):
        np.add(a, 1.0)


def test_infinities_and_nan_are_numbers(graph, xp):
    a = graph.symbol("a")
    root = xp.where(a > math.inf, math.nan, xp.minimum(a, -math.inf))
    assert value(root, a=1.0) == -math.inf
