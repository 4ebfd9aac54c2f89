"""Products of events and of dense planes, against NumPy's products in double."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from spikeloom import native
from spikeloom.errors import DataError, ParameterError, ShapeError
from spikeloom.native.events import columns, rows_of_raster
from spikeloom.native.products import (
    WIDTHS,
    WeightSums,
    bias_gradient,
    dense_product,
    dense_weight_gradient,
    n_tiles,
    pack_panels,
    pack_weight,
    signal_gradient,
    tile,
    untile,
    weight_gradient,
)

every_level = pytest.mark.parametrize("level", native.available())
every_real = pytest.mark.parametrize("real", [np.float32, np.float64])
few = settings(deadline=None, max_examples=12)
widths, flags, seeds = st.sampled_from(WIDTHS), st.booleans(), st.integers(0, 2**32 - 1)
sizes = st.tuples(st.integers(0, 40), st.integers(0, 130), st.integers(0, 130))
large = [(300, 530, 90), (530, 200, 70), (70, 100, 600), (300, 200, 10)]


def numbers(rng, shape, real):
    return rng.standard_normal(shape).astype(real)


def tiled(x, width):
    """A plane (M, N) as [tile][M][width], by NumPy."""
    tiles = n_tiles(x.shape[1], width)
    padded = np.zeros((x.shape[0], tiles * width), x.dtype)
    padded[:, : x.shape[1]] = x
    return np.ascontiguousarray(padded.reshape(x.shape[0], tiles, width).transpose(1, 0, 2))


def packed(weight, width):
    return tiled(np.ascontiguousarray(weight.T), width)


def close(got, terms):
    """Whether each number is a sum, within rounding: terms is (sum in double, sum of the sizes of its terms)."""
    total, size = terms
    return (np.abs(got - total) <= 40 * np.finfo(got.dtype).eps * (size + 1e-30)).all()


def product(a, b, before=0.0):
    a, b = a.astype(np.float64), b.astype(np.float64)
    return a @ b + before, np.abs(a) @ np.abs(b) + np.abs(before)


@every_level
@every_real
@few
@given(size=st.tuples(st.integers(0, 70), st.integers(0, 70)), width=widths, seed=seeds)
def test_packed_weights_and_tiled_planes_hold_their_numbers(level, real, size, width, seed):
    x = numbers(np.random.default_rng(seed), size, real)
    with native.using(level):
        assert np.array_equal(pack_weight(x, width), packed(x, width))
        assert np.array_equal(pack_panels(x, width), tiled(x, width))
        assert np.array_equal(tile(x, width), tiled(x, width))
        assert np.array_equal(tile(x, width, threads=2), tiled(x, width))
        assert np.array_equal(untile(tiled(x, width), size[1]), x)


def test_what_is_packed_goes_where_it_is_told_to():
    weight = torch.randn(20, 9)
    out = torch.full((2, 9, 16), torch.nan)
    assert pack_weight(weight, 16, out) is out
    assert np.array_equal(out.numpy(), packed(weight.numpy(), 16))


def test_packing_a_changed_weight_again_leaves_nothing_of_the_old_one():
    out = pack_weight(np.ones((20, 9), np.float32), 32)
    out[...] = np.nan
    pack_weight(np.ones((20, 9), np.float32), 32, out)
    assert np.array_equal(out, packed(np.ones((20, 9), np.float32), 32))


def shifted(x, first, steps):
    """The steps from `first` on of a raster, zeros where there are none."""
    out = np.zeros((steps, *x.shape[1:]), x.dtype)
    low, high = max(0, first), min(len(x), first + steps)
    if low < high:
        out[low - first : high - first] = x[low:high]
    return out


@every_level
@every_real
@few
@given(
    size=st.tuples(st.integers(0, 9), st.integers(0, 6), st.integers(0, 70), st.integers(0, 140)),
    width=widths,
    seed=seeds,
    density=st.sampled_from([0.0, 0.05, 0.4, 1.0]),
    silent=st.sampled_from([0.0, 0.6, 1.0]),
    graded=flags,
    window=st.tuples(st.integers(-3, 9), st.integers(0, 9)),
    accumulate=flags,
)
def test_the_weight_gradient_is_the_product_of_raster_and_gradient(
    level, real, size, width, seed, density, silent, graded, window, accumulate
):
    (n_steps, n_samples, k, n), (first, steps) = size, window
    rng = np.random.default_rng(seed)
    x = (rng.random((n_steps, n_samples, k)) < density) * (rng.integers(1, 9, (n_steps, n_samples, k)) if graded else 1)
    g = numbers(rng, (steps * n_samples, n), real) * (rng.random((steps * n_samples, 1)) >= silent)
    before = numbers(rng, (n, k), real)
    expected = product(g.T, shifted(x, first, steps).reshape(steps * n_samples, k), before * accumulate)
    g, results = tiled(g.astype(real), width), []
    with native.using(level):
        rows = rows_of_raster(x.astype(real))
        for threads in (1, 2):
            results.append(before.copy())
            weight_gradient(rows, g, n, results[-1], first_step=first, accumulate=accumulate, threads=threads)
        low = max(0, first)
        lists = columns(rows, 7, min(low, n_steps), max(0, min(n_steps, first + steps) - low))
        if first <= lists.first_step <= first + steps:
            for threads in (1, 3):
                results.append(before.copy())
                weight_gradient(lists, g, n, results[-1], first_step=first, accumulate=accumulate, threads=threads)
    assert all(close(result, expected) for result in results)
    assert np.array_equal(results[0], results[1])
    assert len(results) == 2 or np.array_equal(results[2], results[3])


@pytest.mark.parametrize("n", [10, 100])
@pytest.mark.parametrize("silent", [0.0, 0.9])
def test_windows_of_time_add_up_to_the_whole_weight_gradient(n, silent):
    rng = np.random.default_rng(n)
    x = (rng.random((90, 100, 30)) < 0.1).astype(np.float64)
    g = rng.standard_normal((9000, n)) * (rng.random((9000, 1)) >= silent)
    rows, out = rows_of_raster(x), np.empty((n, 30))
    for first in range(0, 90, 30):
        part = tile(g[first * 100 : first * 100 + 3000], 64)
        weight_gradient(rows, part, n, out, first_step=first, accumulate=first > 0)
    assert close(out, product(g.T, x.reshape(-1, 30)))
    given = rng.standard_normal((n, 30))
    for width, threads in ((64, 1), (16, 1), (16, 2)):
        sums, total = WeightSums(n, threads), given.copy()
        for first in (60, 30, 0):
            sums.add(rows, tile(g[first * 100 : first * 100 + 3000], width), first)
        sums.write(total, accumulate=True)
        assert close(total, given + product(g.T, x.reshape(-1, 30)))
    twice = np.empty((2, n, 30))
    for threads in (1, 2):
        weight_gradient(rows, tile(g, 16), n, twice[threads - 1], threads=threads)
    assert close(twice[0], product(g.T, x.reshape(-1, 30)))
    assert np.array_equal(twice[0], twice[1])


@pytest.mark.parametrize("first", [-9, -2, 4, 9])
@pytest.mark.parametrize("size", [1, 0])
@pytest.mark.parametrize("n", [7, 70])
def test_steps_that_only_one_of_the_two_has_add_nothing(first, size, n):
    g, out = np.full((-(-n // 16), 6, 16), size, np.float32), np.ones((n, 5), np.float32)
    weight_gradient(rows_of_raster(np.ones((4, 3, 5), np.float32)), g, n, out, first_step=first)
    assert (out == 0).all()


def test_a_recurrent_weight_pairs_the_spikes_of_a_step_with_the_next_one():
    x = np.zeros((3, 1, 2), np.float32)
    x[0, 0, 0] = x[2, 0, 1] = 1
    g = np.array([[1.0], [10.0], [100.0]], np.float32)
    out = np.empty((1, 2), np.float32)
    weight_gradient(rows_of_raster(x), tile(g, 16), 1, out, first_step=-1)
    assert out.tolist() == [[10.0, 0.0]]


@every_level
@every_real
@few
@given(size=st.tuples(st.integers(0, 600), st.integers(0, 70)), width=widths, seed=seeds, accumulate=flags)
def test_the_bias_gradient_is_the_sum_over_the_rows(level, real, size, width, seed, accumulate):
    rng = np.random.default_rng(seed)
    g, out = numbers(rng, size, real), numbers(rng, size[1], real)
    first, last = rows = sorted(map(int, rng.integers(0, size[0] + 1, 2))) if seed % 2 else (0, size[0])
    expected = product(np.ones((1, last - first)), g[first:last], out * accumulate)
    again = out.copy()
    options = {"rows": rows if seed % 2 else None, "accumulate": accumulate}
    with native.using(level):
        bias_gradient(tiled(g, width), size[1], out, **options)
        bias_gradient(tiled(g, width), size[1], again, **options, threads=2)
    assert close(out, expected)
    assert np.array_equal(out, again)


@pytest.mark.parametrize("rows", [(-1, 2), (0, 4), (2, 1)])
def test_rows_of_the_bias_gradient_lie_within_the_plane(rows):
    with pytest.raises(ShapeError, match="rows must lie within the 3 rows of g"):
        bias_gradient(np.zeros((1, 3, 16), np.float32), 7, np.zeros(7, np.float32), rows=rows)


def dense_products(rng, size, width, real, accumulate, threads):
    """For each of the three products: what comes out, and the sums it has to be."""
    m, k, n = size
    a, weight, g = numbers(rng, (m, k), real), numbers(rng, (n, k), real), numbers(rng, (m, n), real)
    outs = [numbers(rng, shape, real) for shape in ((m, n), (n, k), (m, k))]
    cases = [(a, weight.T), (g.T, a), (g, weight)]
    sums = [product(*case, out * accumulate) for case, out in zip(cases, outs, strict=True)]
    options = {"accumulate": accumulate, "threads": threads}
    dense_product(a, packed(weight, width), n, outs[0], **options)
    dense_weight_gradient(a, tiled(g, width), n, outs[1], **options)
    signal_gradient(tiled(g, width), n, weight, outs[2], **options)
    return outs, sums


def check_dense_products(level, real, size, width, seed, accumulate):
    with native.using(level):
        outs, sums = dense_products(np.random.default_rng(seed), size, width, real, accumulate, 1)
        again, _ = dense_products(np.random.default_rng(seed), size, width, real, accumulate, 2)
    assert all(close(out, total) for out, total in zip(outs, sums, strict=True))
    assert all(np.array_equal(one, other) for one, other in zip(outs, again, strict=True))


@every_level
@every_real
@few
@given(size=sizes, width=widths, seed=seeds, accumulate=flags)
def test_dense_products_are_numpys(level, real, size, width, seed, accumulate):
    check_dense_products(level, real, size, width, seed, accumulate)


@every_level
@every_real
@pytest.mark.parametrize("size", large)
def test_dense_products_of_more_than_one_block_are_numpys(level, real, size):
    for width, accumulate in zip(WIDTHS, (True, False, False), strict=True):
        check_dense_products(level, real, size, width, 3, accumulate)


@every_level
@pytest.mark.parametrize("size", [(0, 5, 6), (5, 0, 6), (5, 6, 0)])
@pytest.mark.parametrize("accumulate", [True, False])
def test_dense_products_over_nothing_are_zero(level, size, accumulate):
    check_dense_products(level, np.float32, size, 16, 3, accumulate)


def test_torch_tensors_are_multiplied_where_they_lie():
    a, weight, out = torch.randn(9, 20), torch.randn(30, 20), torch.empty(9, 30)
    dense_product(a, pack_weight(weight, 32), 30, out)
    assert close(out.numpy(), product(a.numpy(), weight.numpy().T))


def test_numbers_too_small_to_be_normal_are_taken_as_zero():
    a, out = np.full((1, 4), 1e-30, np.float32), np.empty((1, 1), np.float32)
    dense_product(a, pack_weight(np.full((1, 4), 1e-12, np.float32), 16), 1, out)
    assert out[0, 0] == 0
    assert np.float32(1e-30) * np.float32(1e-12) != 0


def arguments():
    rows = rows_of_raster(np.ones((4, 3, 5), np.float32))
    g, weight, a = np.ones((1, 12, 16), np.float32), np.ones((7, 5), np.float32), np.ones((12, 5), np.float32)
    return {
        weight_gradient: {"events": rows, "g": g, "n": 7, "out": np.empty((7, 5), np.float32)},
        bias_gradient: {"g": g, "n": 7, "out": np.empty(7, np.float32)},
        dense_product: {"a": a, "packed": pack_weight(weight, 16), "n": 7, "out": np.empty((12, 7), np.float32)},
        dense_weight_gradient: {"a": a, "g": g, "n": 7, "out": np.empty((7, 5), np.float32)},
        signal_gradient: {"g": g, "n": 7, "weight": weight, "out": np.empty((12, 5), np.float32)},
        pack_weight: {"weight": weight, "width": 16, "out": np.empty((1, 5, 16), np.float32)},
        pack_panels: {"weight": weight, "width": 16, "out": np.empty((1, 7, 16), np.float32)},
        tile: {"x": a, "width": 16, "out": np.empty((1, 12, 16), np.float32)},
        untile: {"tiled": g, "n": 7, "out": np.empty((12, 7), np.float32)},
    }


@pytest.mark.parametrize("function", arguments(), ids=lambda f: f.__name__)
def test_arrays_that_do_not_fit_are_refused(function):
    good = arguments()[function]
    function(**good)
    wrong = [(DataError, lambda x: x.astype(np.float16)), (DataError, lambda x: x.tolist())]
    wrong += [(DataError, lambda x: x.astype(np.int64)), (ShapeError, lambda x: x[None])]
    wrong += [(DataError, lambda x: np.repeat(x, 2, axis=-1)[..., ::2])]
    for name in (name for name, value in good.items() if isinstance(value, np.ndarray)):
        for error, change in wrong:
            with pytest.raises(error):
                function(**(good | {name: change(good[name])}))
    readonly = good["out"].copy()
    readonly.flags.writeable = False
    for out in (readonly, good["out"].astype(np.float64), np.append(good["out"], good["out"], axis=0)):
        with pytest.raises((DataError, ShapeError)):
            function(**(good | {"out": out}))


@pytest.mark.parametrize("function", arguments(), ids=lambda f: f.__name__)
def test_counts_that_do_not_fit_are_refused(function):
    good = arguments()[function]
    name = "n" if "n" in good else "width"
    for bad in (17, -1, 7.0, 8.5, "7", None):
        with pytest.raises((ParameterError, ShapeError)):
            function(**(good | {name: bad}))
    with pytest.raises(ParameterError):
        function(**good, threads=0)


@pytest.mark.parametrize("function", [f for f in arguments() if "n" in arguments()[f]], ids=lambda f: f.__name__)
def test_a_plane_of_too_few_tiles_is_refused(function):
    good = arguments()[function]
    wider = {
        name: np.repeat(array, 3, axis=array.shape.index(7))
        for name, array in good.items()
        if isinstance(array, np.ndarray) and 7 in array.shape
    }
    with pytest.raises(ShapeError, match="needs 2 tiles of 16"):
        function(**(good | wider | {"n": 21}))


def test_a_gradient_for_other_rows_than_the_events_is_refused():
    rows, out = rows_of_raster(np.ones((4, 3, 5), np.float32)), np.empty((7, 5), np.float32)
    with pytest.raises(ShapeError, match="whole steps of 3 samples"):
        weight_gradient(rows, np.ones((1, 10, 16), np.float32), 7, out)
    with pytest.raises(ShapeError, match="must lie within"):
        weight_gradient(columns(rows), np.ones((1, 9, 16), np.float32), 7, out)
    with pytest.raises(ShapeError, match="must lie within"):
        weight_gradient(columns(rows), np.ones((1, 12, 16), np.float32), 7, out, first_step=1)
    with pytest.raises(ParameterError):
        weight_gradient(rows, np.ones((1, 12, 16), np.float32), 7, out, first_step=0.5)
    graded = rows_of_raster(np.full((4, 3, 5), 2.0))
    with pytest.raises(DataError, match="of the dtype of g"):
        weight_gradient(graded, np.ones((1, 12, 16), np.float32), 7, out)


def test_a_tensor_whose_memory_was_given_back_is_refused():
    a = torch.ones(12, 5)
    a.untyped_storage().resize_(0)
    with pytest.raises(DataError, match="memory was given back"):
        tile(a, 16)


def test_windows_of_other_sizes_are_refused():
    x = np.ones((4, 3, 5), np.float32)
    sums = WeightSums(7).add(rows_of_raster(x), np.ones((1, 12, 16), np.float32))
    with pytest.raises(ShapeError, match=r"same tiles, neurons and width, \(1, 5, 16\), got \(1, 9, 16\)"):
        sums.add(rows_of_raster(np.ones((4, 3, 9), np.float32)), np.ones((1, 12, 16), np.float32))
    with pytest.raises(ShapeError, match=r"got \(1, 5, 32\)"):
        sums.add(rows_of_raster(x), np.ones((1, 12, 32), np.float32))
    with pytest.raises(DataError, match="dtype of the windows before, float32, got float64"):
        sums.add(rows_of_raster(x), np.ones((1, 12, 16)))


def test_row_by_row_a_first_window_of_columns_starts_at_zero():
    x, g = np.ones((4, 3, 5), np.float32), np.ones((1, 12, 16), np.float32)
    out = np.empty((7, 5), np.float32)
    WeightSums(7, by_rows=True).add(columns(rows_of_raster(x)), g).add(rows_of_raster(x), g).write(out)
    assert (out == 24).all()
