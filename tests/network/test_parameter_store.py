"""The parameter store and the initializers: what is kept, what is drawn, and that a failed load changes nothing."""

import math

import numpy as np
import pytest
import torch

from spikeloom.errors import ParameterError, ShapeError
from spikeloom.network import (
    INITIALIZERS,
    Constant,
    KaimingNormal,
    KaimingUniform,
    Normal,
    Orthogonal,
    ParameterStore,
    SparseNormal,
    TruncatedNormal,
    Uniform,
    XavierNormal,
    XavierUniform,
)
from spikeloom.network.initializers import fans
from spikeloom.network.parameters import ParameterSpec, as_array


def drawn(name="c.weight", shape=(2, 3)):
    return ParameterSpec(name, shape, lambda generator: generator.normal(size=shape))


def given(value, name="c.weight"):
    return ParameterSpec(name, np.shape(value), np.asarray(value, dtype=np.float64))


def test_a_missing_entry_is_drawn_by_seed_and_name_alone():
    stores = [ParameterStore() for _ in range(3)]
    stores[1].require(drawn("d.weight"), 7)
    values = [store.require(drawn(), seed) for store, seed in zip(stores, (7, 7, 8), strict=True)]
    np.testing.assert_array_equal(values[0], values[1])
    assert not np.array_equal(values[0], values[2])
    assert not np.array_equal(values[0], stores[1]["d.weight"])


def test_what_fits_is_kept_and_what_does_not_is_drawn():
    store = ParameterStore()
    first = store.require(drawn(), 7)
    assert store.require(drawn(), 8) is first
    assert store.require(drawn(shape=(3, 3)), 7).shape == (3, 3)


def test_an_array_that_is_given_is_a_start_and_not_a_fixed_value():
    store = ParameterStore()
    store.require(given([1.0, 2.0]), 7)
    store.assign("c.weight", [5.0, 6.0])
    assert store.require(given([1.0, 2.0]), 7).tolist() == [5.0, 6.0]


def test_what_lies_below_a_path_is_dropped_and_nothing_else():
    store = ParameterStore()
    for name in ("c.weight", "c.bias", "c2.weight", "block.c.weight"):
        store.require(drawn(name), 7)
    store.drop("c")
    assert list(store) == ["c2.weight", "block.c.weight"]
    store.drop("block")
    assert list(store) == ["c2.weight"]


def test_a_draw_of_the_wrong_shape_is_refused():
    with pytest.raises(ShapeError, match=r"c\.weight must have shape \(2,\), got \(3,\)"):
        ParameterStore().require(ParameterSpec("c.weight", (2,), lambda _: np.zeros(3)), 7)


def test_only_what_is_needed_is_retained():
    store = ParameterStore()
    store.require(drawn("a"), 7)
    store.require(drawn("b"), 7)
    store.retain({"b"})
    assert list(store) == ["b"]
    assert "a" not in store


def test_arrays_are_copies():
    store = ParameterStore()
    store.require(drawn(), 7)
    store.arrays()["c.weight"][:] = 0
    assert store["c.weight"].all()


@pytest.fixture
def filled():
    """A store with an array `a` and a tensor `b`, and what a network needs of it."""
    store = ParameterStore()
    specs = [drawn("a"), drawn("b", (4,))]
    for spec in specs:
        store.require(spec, 7)
    store.put("b", torch.nn.Parameter(torch.zeros(4)))
    return store, specs


def test_a_load_copies_in_place(filled):
    store, specs = filled
    tensor, a = store["b"], np.ones((2, 3))
    store.load({"a": a, "b": np.full(4, 2.0)}, specs)
    assert store["b"] is tensor
    assert tensor.tolist() == [2.0] * 4
    a[:] = 5.0
    assert (store["a"] == 1.0).all()


def test_loaded_weights_win_over_those_that_were_given():
    store, spec = ParameterStore(), given([1.0, 2.0])
    store.load({"c.weight": np.array([3.0, 4.0])}, [spec])
    assert store.require(spec, 7).tolist() == [3.0, 4.0]


@pytest.mark.parametrize(
    ("arrays", "error", "message"),
    [
        ({"a": np.ones((2, 3))}, ParameterError, "'b' is missing; the weights are those of another network"),
        ({"a": np.ones((2, 3)), "b": np.ones(4), "bb": np.ones(1)}, ParameterError, "no 'bb'; did you mean 'b'"),
        ({"a": np.ones((2, 3)), "b": np.ones(5)}, ShapeError, r"'b' must have shape \(4,\), got \(5,\)"),
        ({"b": np.ones(4), "a": np.ones((3, 2))}, ShapeError, r"'a' must have shape \(2, 3\), got \(3, 2\)"),
    ],
)
def test_a_load_that_does_not_fit_changes_nothing(filled, arrays, error, message):
    store, specs = filled
    before = store.arrays()
    with pytest.raises(error, match=message):
        store.load(arrays, specs)
    after = store.arrays()
    assert all(np.array_equal(before[name], after[name]) for name in before)


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_refused_and_nothing_is_changed(filled, wrong):
    store, specs = filled
    before = store.arrays()
    for name, shape in (("a", (2, 3)), ("b", (4,))):
        with pytest.raises(ParameterError, match=f"{name} must hold finite numbers, got NaN or infinity"):
            store.assign(name, np.full(shape, wrong))
    with pytest.raises(ParameterError, match="'b' must hold finite numbers"):
        store.load({"a": np.ones((2, 3)), "b": np.full(4, wrong)}, specs)
    assert all(np.array_equal(before[name], store.arrays()[name]) for name in before)


@pytest.mark.parametrize(
    "wrong", ["text", [[1.0], [1.0, 2.0]], torch.ones(4).to_sparse(), torch.ones(4, dtype=torch.complex64), None]
)
def test_what_is_no_array_of_numbers_is_refused(filled, wrong):
    with pytest.raises(ParameterError, match="b must be an array of numbers"):
        filled[0].assign("b", wrong)


def test_an_assignment_between_a_computation_and_its_way_back_is_seen_by_autograd(filled):
    store, _ = filled
    loss = store["b"].square().sum()
    store.assign("b", np.ones(4))
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()
    assert store["b"].requires_grad
    assert store["b"].is_leaf


def test_an_assignment_of_another_shape_changes_nothing(filled):
    store, _ = filled
    before = store.arrays()
    for name in ("a", "b"):
        with pytest.raises(ShapeError, match=f"{name} must have shape"):
            store.assign(name, np.ones(7))
        np.testing.assert_array_equal(store.arrays()[name], before[name])


def test_a_tensor_with_a_gradient_becomes_an_array():
    assert as_array(torch.ones(2, requires_grad=True)).tolist() == [1.0, 1.0]
    assert as_array([1, 2]).tolist() == [1, 2]


def test_fans_count_the_kernel():
    assert fans((6, 8)) == (8, 6)
    assert fans((6, 4, 3, 2)) == (24, 36)
    assert fans((5,)) == (1, 5)


SHAPE = (300, 200)
MOMENTS = {
    "normal": (Normal(0.5, 2.0), 0.5, 2.0),
    "uniform": (Uniform(-1.0, 3.0), 1.0, 4 / math.sqrt(12)),
    "constant": (Constant(0.25), 0.25, 0.0),
    "xavier_uniform": (XavierUniform(2.0), 0.0, math.sqrt(2 * 4 / 500)),
    "kaiming_uniform": (KaimingUniform(), 0.0, math.sqrt(2 / 200)),
    "xavier_normal": (XavierNormal(2.0), 0.0, math.sqrt(2 * 4 / 500)),
    "kaiming_normal": (KaimingNormal(1.0, "fan_out"), 0.0, math.sqrt(1 / 300)),
    "sparse": (SparseNormal(0.75, 2.0), 0.0, math.sqrt(0.25) * 2.0),
    "orthogonal": (Orthogonal(3.0), 0.0, 3.0 / math.sqrt(300)),
    "truncated_normal": (TruncatedNormal(), 0.0, 0.879626),
}


@pytest.mark.parametrize("name", list(INITIALIZERS))
def test_an_initializer_has_the_mean_and_the_spread_of_its_law(name):
    initializer, mean, std = MOMENTS[name]
    values = initializer.draw(SHAPE, np.random.default_rng(0))
    assert values.shape == SHAPE
    assert values.mean() == pytest.approx(mean, abs=5 * std / math.sqrt(values.size) + 1e-15)
    assert values.std() == pytest.approx(std, rel=0.02, abs=1e-15)
    np.testing.assert_array_equal(values, initializer.draw(SHAPE, np.random.default_rng(0)))


@pytest.mark.parametrize(("kind", "bound"), [(XavierUniform(), math.sqrt(6 / 500)), (Uniform(-0.3, 0.3), 0.3)])
def test_a_uniform_law_keeps_its_bounds_and_reaches_near_them(kind, bound):
    values = np.abs(kind.draw(SHAPE, np.random.default_rng(0)))
    assert 0.999 * bound < values.max() <= bound


def test_the_bounds_of_torch_are_the_same():
    weight = torch.empty(SHAPE)
    torch.manual_seed(0)
    torch.nn.init.kaiming_uniform_(weight, nonlinearity="relu")
    values = KaimingUniform().draw(SHAPE, np.random.default_rng(0))
    assert np.abs(values).max() == pytest.approx(weight.abs().max().item(), rel=1e-3)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Normal(0.0, -1.0), r"Normal\.std must be"),
        (lambda: Normal("a"), r"Normal\.mean must be"),
        (lambda: Normal(float("nan")), r"Normal\.mean must be"),
        (lambda: Uniform(0.0, float("inf")), r"Uniform\.b must be"),
        (lambda: Constant(None), r"Constant\.constant_value must be"),
        (lambda: XavierUniform(True), r"XavierUniform\.gain must be"),
        (lambda: KaimingUniform(-1.0), r"KaimingUniform\.gain must be"),
    ],
)
def test_a_wrong_setting_of_an_initializer_is_refused_by_name(make, message):
    with pytest.raises(ParameterError, match=message):
        make()
