"""Convolution and pooling of events, there and back, against torch's dense operations and by hand."""

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from spikeloom import native
from spikeloom.errors import DataError, ShapeError, UnsupportedError
from spikeloom.native import conv
from spikeloom.native import geometry as layout
from spikeloom.native.conv import backward, forward, new_winners
from spikeloom.native.events import EventRows, rows_of_raster
from spikeloom.native.geometry import Geometry

every_level = pytest.mark.parametrize("level", native.available())
pairs = st.tuples(st.integers(1, 3), st.integers(1, 3))
small_pairs = st.tuples(st.integers(0, 2), st.integers(0, 2))
densities = st.sampled_from([0.0, 0.05, 0.3, 1.0])
seeds = st.integers(0, 2**32 - 1)


@pytest.fixture(params=[0.0, float("inf")], ids=["gathered", "scattered"], scope="module", autouse=True)
def way(request):
    """Positions gather events, or events are scattered to positions, whatever their density."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(conv, "GATHER_FROM", request.param)
        yield


@st.composite
def geometries(draw):
    """Convolutions, pooled or not, and poolings alone, that leave something of their frames."""
    source = draw(st.tuples(st.integers(1, 6), st.integers(1, 10), st.integers(1, 10)))
    pool, pool_kernel = draw(st.sampled_from([None, "max", "avg"])), draw(pairs)
    window = {}
    if pool is not None:
        padding = tuple(draw(st.integers(0, k // 2)) for k in pool_kernel)
        stride = draw(st.sampled_from([pool_kernel, draw(pairs)]))
        window = {"pool": pool, "pool_kernel": pool_kernel, "pool_stride": stride, "pool_padding": padding}
    try:
        if pool is not None and draw(st.booleans()) and draw(st.booleans()):
            return Geometry(source=source, outputs=source[0], kernel=None, **window)
        kernel = draw(st.tuples(st.integers(1, 5), st.integers(1, 5)))
        outputs, stride = draw(st.sampled_from([1, 3, 4, 16, 20, 70])), draw(st.sampled_from([(1, 1), draw(pairs)]))
        options = {"outputs": outputs, "kernel": kernel, "stride": stride, "padding": draw(small_pairs)}
        return Geometry(source=source, **options, **window)
    except ShapeError:
        assume(False)


def whole(rng, shape):
    """Whole numbers, of which sums are exact in any order and ties are frequent."""
    return rng.integers(-3, 4, shape).astype(np.float64)


def drawn(geometry, size, density, seed, exact, graded=False):
    """A raster, weight, bias and gradient of the current, as tensors of float64."""
    rng = np.random.default_rng(seed)
    numbers = whole if exact else lambda rng, shape: rng.normal(size=shape)
    x = (rng.random((*size, *geometry.source)) < density) * (numbers(rng, (*size, *geometry.source)) if graded else 1.0)
    weight = None if geometry.kernel is None else numbers(rng, (geometry.outputs, geometry.source[0], *geometry.kernel))
    bias = None if geometry.kernel is None else numbers(rng, geometry.outputs)
    grad = numbers(rng, (*size, *geometry.target)) * (rng.random((*size, *geometry.target)) < 0.7)
    return [None if a is None else torch.from_numpy(a) for a in (x, weight, bias, grad)]


def by_torch(geometry, x, weight, bias, grad):
    """Current, and the gradients of weight, bias and signal."""
    leaves = [a for a in (weight, bias, x) if a is not None]
    for leaf in leaves:
        leaf.requires_grad_()
    y = x.flatten(0, 1)
    if weight is not None:
        y = F.conv2d(y, weight, bias, geometry.stride, geometry.padding)
    window = geometry.pool_kernel, geometry.pool_stride, geometry.pool_padding
    if geometry.pool is not None:
        y = (F.max_pool2d if geometry.pool == "max" else F.avg_pool2d)(y, *window)
    y = y.view_as(grad)
    found = torch.autograd.grad(y, leaves, grad)
    return [y.detach(), *([None, None] if weight is None else []), *found]


def by_kernels(geometry, x, weight, bias, grad, threads=1):
    """The same by the compiled kernels."""
    weight, bias, x = (None if a is None else a.detach().clone() for a in (weight, bias, x))
    events, real = rows_of_raster(x.flatten(2).numpy(), str(x.dtype)[6:]), str(x.dtype)[6:]
    current, back = torch.full_like(grad, 7.0), torch.full_like(x, 7.0)
    winners = new_winners(geometry, x.shape[0] * x.shape[1], real) if geometry.pool == "max" else None
    forward(geometry, events, weight, bias, current, winners, threads)
    d_weight, d_bias = (None if a is None else torch.full_like(a, 7.0) for a in (weight, bias))
    backward(geometry, events, weight, grad, winners, d_weight, d_bias, back, threads)
    return [current, d_weight, d_bias, back]


def assert_same(found, expected, **tolerance):
    for name, a, b in zip(("current", "weight", "bias", "signal"), found, expected, strict=True):
        if b is not None:
            torch.testing.assert_close(a, b, msg=lambda text, name=name: f"{name}: {text}", **tolerance)


@every_level
@settings(deadline=None, max_examples=60)
@given(geometry=geometries(), size=st.tuples(st.integers(1, 3), st.integers(0, 3)), density=densities, seed=seeds)
def test_doubles_equal_torch_to_rounding(level, geometry, size, density, seed):
    graded = seed % 2 == 0 or geometry.pool == "max"  # torch breaks ties of rounded sums by where they stand
    given_numbers = drawn(geometry, size, density, seed, exact=False, graded=graded)
    with native.using(level):
        found = by_kernels(geometry, *given_numbers)
    assert_same(found, by_torch(geometry, *given_numbers), rtol=0, atol=1e-10)


@every_level
@settings(deadline=None, max_examples=60)
@given(
    geometry=geometries(),
    size=st.tuples(st.integers(1, 3), st.integers(0, 3)),
    density=densities,
    seed=seeds,
    real=st.sampled_from([torch.float32, torch.float64]),
)
def test_exact_sums_equal_those_of_torch_and_the_first_of_equal_maxima_wins(level, geometry, size, density, seed, real):
    numbers = drawn(geometry, size, density, seed, exact=True, graded=seed % 2 == 0)
    numbers = [a if a is None else a.to(real) for a in numbers]
    if geometry.pool == "avg":
        numbers[3] *= geometry.pool_kernel[0] * geometry.pool_kernel[1]  # so that the mean is whole again
    with native.using(level):
        found = by_kernels(geometry, *numbers)
    assert_same(found, by_torch(geometry, *numbers), rtol=1e-6, atol=2e-5)


PAIRS = {"pool": "max", "pool_kernel": (2, 2), "pool_stride": (2, 2)}
OVERLAP = {"pool": "max", "pool_kernel": (3, 3), "pool_padding": (1, 0)}
MEAN = {"pool": "avg", "pool_kernel": (3, 2), "pool_padding": (1, 1)}
LARGE = {
    "several tiles": Geometry(source=(3, 8, 9), outputs=150, kernel=(3, 3), **PAIRS),
    "stride and windows that overlap": Geometry(
        source=(2, 15, 20), outputs=5, kernel=(4, 3), stride=(2, 3), padding=(1, 2), **OVERLAP
    ),
    "mean of windows that overlap": Geometry(source=(2, 15, 20), outputs=5, kernel=(3, 3), **MEAN),
    "many events of a channel": Geometry(source=(1, 20, 20), outputs=4, kernel=(3, 3), padding=(1, 1)),
    "a kernel wider than the registers": Geometry(source=(9, 4, 30), outputs=60, kernel=(2, 13)),
    "a stride beyond the kernel": Geometry(source=(3, 11, 20), outputs=6, kernel=(2, 1), stride=(4, 3), **PAIRS),
}


@pytest.mark.parametrize("real", [np.float32, np.float64])
@pytest.mark.parametrize("stride", [(1, 1), (2, 1), (2, 3)])
def test_equal_sums_are_equal_to_the_last_bit_wherever_they_lie(stride, real):
    geometry = Geometry(source=(3, 21, 23), outputs=5, kernel=(4, 5), stride=stride)
    weight = np.random.default_rng(0).normal(size=(5, 3, 4, 5)).astype(real)
    current = np.empty((1, 1, *geometry.target), real)
    forward(geometry, rows_of_raster(np.ones((1, 1, 3 * 21 * 23), real)), weight, None, current)
    assert (current == current[..., :1, :1]).all()


@pytest.mark.parametrize("bands", [False, True], ids=["whole frames", "bands"])
@pytest.mark.parametrize("name", LARGE)
def test_large_frames_equal_torch_whole_and_in_bands(monkeypatch, name, bands):
    if bands:
        monkeypatch.setattr(layout, "BAND_BYTES", 4096)
    conv._plan.cache_clear()
    numbers = drawn(LARGE[name], (2, 3), 0.4, 1, exact=False, graded=True)
    found = by_kernels(LARGE[name], *numbers)
    conv._plan.cache_clear()
    assert_same(found, by_torch(LARGE[name], *numbers), rtol=0, atol=1e-10)


@pytest.mark.parametrize("real", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", LARGE)
def test_two_threads_give_the_same_bits_as_one(name, real):
    numbers = [a.to(real) for a in drawn(LARGE[name], (3, 5), 0.2, 2, exact=False)]
    one, two = (by_kernels(LARGE[name], *numbers, threads=n) for n in (1, 2))
    assert all(torch.equal(a, b) for a, b in zip(one, two, strict=True))


def test_many_samples_are_summed_in_parts_that_the_threads_do_not_change():
    geometry = LARGE["several tiles"]
    numbers = [a.float() for a in drawn(geometry, (1, 37), 0.1, 3, exact=False)]
    one, three = (by_kernels(geometry, *numbers, threads=n) for n in (1, 3))
    assert all(torch.equal(a, b) for a, b in zip(one, three, strict=True))
    assert_same(one, by_torch(geometry, *numbers), rtol=1e-4, atol=1e-4)


def test_a_spike_puts_the_kernel_around_its_place():
    geometry = Geometry(source=(1, 5, 5), outputs=1, kernel=(3, 3), padding=(1, 1))
    x = np.zeros((1, 1, 25), np.float32)
    x[0, 0, 2 * 5 + 1] = 1
    weight, current = np.arange(9, dtype=np.float32).reshape(1, 1, 3, 3), np.empty((1, 1, 1, 5, 5), np.float32)
    forward(geometry, rows_of_raster(x), weight, None, current)
    expected = np.zeros((5, 5), np.float32)
    expected[1:4, 0:3] = [[8, 7, 6], [5, 4, 3], [2, 1, 0]]
    assert np.array_equal(current[0, 0, 0], expected)


def test_silence_gives_the_bias_and_its_first_place_the_gradient():
    geometry = Geometry(source=(2, 4, 4), outputs=3, kernel=(1, 1), pool="max", pool_kernel=(2, 2), pool_stride=(2, 2))
    events = rows_of_raster(np.zeros((2, 1, 32), np.float32))
    weight, bias = np.ones((3, 2, 1, 1), np.float32), np.array([1.0, -2.0, 0.5], np.float32)
    current, back = np.empty((2, 1, 3, 2, 2), np.float32), np.empty((2, 1, 2, 4, 4), np.float32)
    winners = new_winners(geometry, 2, "float32")
    forward(geometry, events, weight, bias, current, winners)
    assert np.array_equal(current, np.broadcast_to(bias[:, None, None], current.shape))
    backward(geometry, events, weight, np.ones_like(current), winners, d_signal=back)
    expected = np.zeros((4, 4), np.float32)
    expected[::2, ::2] = 3
    assert np.array_equal(back, np.broadcast_to(expected, back.shape))


def test_nan_is_the_maximum_and_takes_the_gradient():
    geometry = Geometry(source=(1, 2, 4), outputs=1, kernel=None, pool="max", pool_kernel=(2, 2), pool_stride=(2, 2))
    x = np.array([1.0, np.nan, 3.0, 0.0, 5.0, 2.0, 0.0, 4.0]).reshape(1, 1, 8)
    current, back = np.empty((1, 1, 1, 1, 2)), np.empty((1, 1, 1, 2, 4))
    winners = new_winners(geometry, 1, "float64")
    events = rows_of_raster(x)
    forward(geometry, events, None, None, current, winners)
    backward(geometry, events, None, np.ones_like(current), winners, d_signal=back)
    assert np.isnan(current[0, 0, 0, 0, 0])
    assert current[0, 0, 0, 0, 1] == 4
    assert back.ravel().tolist() == [0, 1, 0, 0, 0, 0, 0, 1]


def test_events_in_any_order_give_the_same():
    geometry = LARGE["several tiles"]
    x, weight, bias, grad = drawn(geometry, (2, 2), 0.3, 4, exact=True, graded=True)
    rows = rows_of_raster(x.flatten(2).numpy())
    order = np.concatenate(
        [a + np.random.default_rng(a).permutation(b - a) for a, b in zip(rows.start[:-1], rows.start[1:], strict=True)]
    )
    mixed = EventRows(rows.start, rows.ids[order], rows.values[order], 2, 2, rows.n)
    found = []
    for events in (rows, mixed):
        current, winners, d_weight = (
            torch.empty_like(grad),
            new_winners(geometry, 4, "float64"),
            torch.empty_like(weight),
        )
        forward(geometry, events, weight, bias, current, winners)
        backward(geometry, events, weight, grad, winners, d_weight)
        found.append((current, torch.from_numpy(winners), d_weight))
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))


def test_gradients_that_are_not_asked_for_are_not_needed_for_those_that_are():
    geometry = LARGE["stride and windows that overlap"]
    numbers = drawn(geometry, (2, 3), 0.3, 5, exact=False)
    whole_answer = by_kernels(geometry, *numbers)
    x, weight, bias, grad = numbers
    events, winners = rows_of_raster(x.flatten(2).numpy()), new_winners(geometry, 6, "float64")
    forward(geometry, events, weight, bias, torch.empty_like(grad), winners)
    for k, like in enumerate((weight, bias, x)):
        outs = [None, None, None]
        outs[k] = torch.empty_like(like)
        backward(geometry, events, weight if k == 2 else None, grad, winners, *outs)
        assert torch.equal(outs[k], whole_answer[k + 1])


GOOD = Geometry(source=(2, 6, 6), outputs=3, kernel=(3, 3), pool="max", pool_kernel=(2, 2), pool_stride=(2, 2))


def arguments():
    """What `forward` and `backward` take of GOOD, all in order."""
    events = rows_of_raster(np.ones((2, 1, 72), np.float32))
    given = {"weight": np.ones((3, 2, 3, 3), np.float32), "winners": new_winners(GOOD, 2, "float32")}
    there = {"current": np.empty((2, 1, 3, 2, 2), np.float32), "bias": np.ones(3, np.float32)}
    back = {"grad": np.ones((2, 1, 3, 2, 2), np.float32), "d_weight": np.empty((3, 2, 3, 3), np.float32)}
    back |= {"d_bias": np.empty(3, np.float32), "d_signal": np.empty((2, 1, 2, 6, 6), np.float32)}
    return events, given | there, given | back


def read_only(shape):
    array = np.ones(shape, np.float32)
    array.flags.writeable = False
    return array


WRONG = [
    ("current", np.empty((2, 1, 3, 2, 3), np.float32), ShapeError, r"current must have shape \(2, 1, 3, 2, 2\)"),
    ("current", np.empty((2, 1, 3, 2, 2), np.float16), DataError, "current must be an array of float32 or float64"),
    ("current", read_only((2, 1, 3, 2, 2)), DataError, "read-only"),
    ("current", np.empty((2, 1, 3, 2, 4), np.float32)[..., ::2], DataError, "contiguous"),
    ("weight", np.ones((3, 2, 3, 3)), DataError, "weight must be an array of float32, got float64"),
    ("weight", np.ones((2, 3, 3, 3), np.float32), ShapeError, r"weight must have shape \(3, 2, 3, 3\)"),
    ("weight", None, DataError, "weight must be an array of float32, got NoneType"),
    ("bias", np.ones(4, np.float32), ShapeError, "bias must have shape"),
    ("winners", np.empty((2, 4), np.uint8), ShapeError, "winners must have shape"),
    ("winners", np.empty((2, 1, 4, 16), np.int8), DataError, "winners must be an array of uint8"),
    ("grad", np.ones((2, 1, 3, 4), np.float32), ShapeError, "grad must have shape"),
    ("grad", torch.ones(2, 1, 3, 2, 2, dtype=torch.float16), DataError, "grad must be an array of float32 or float64"),
    ("d_weight", np.empty((3, 2, 3), np.float32), ShapeError, "d_weight must have shape"),
    ("d_weight", read_only((3, 2, 3, 3)), DataError, "read-only"),
    ("d_bias", np.empty(3), DataError, "d_bias must be an array of float32"),
    ("d_signal", np.empty((2, 1, 2, 6, 7), np.float32), ShapeError, "d_signal must have shape"),
]


@pytest.mark.parametrize(("name", "value", "error", "message"), WRONG)
def test_arrays_that_do_not_fit_are_refused_before_the_call(name, value, error, message):
    events, there, back = arguments()
    for function, given_arrays in ((forward, there), (backward, back)):
        if name in given_arrays:
            with pytest.raises(error, match=message):
                function(GOOD, events, **given_arrays | {name: value})


def test_events_of_other_neurons_or_reals_are_refused():
    _, there, back = arguments()
    for function, given_arrays in ((forward, there), (backward, back)):
        with pytest.raises(ShapeError, match=r"events must be of the 72 neurons \(2, 6, 6\), got 71"):
            function(GOOD, rows_of_raster(np.ones((2, 1, 71), np.float32)), **given_arrays)
        with pytest.raises(DataError, match=r"events\.values must be an array of float32, got float64"):
            function(GOOD, rows_of_raster(np.full((2, 1, 72), 2.0)), **given_arrays)


def test_a_maximum_does_not_go_back_without_its_winners_and_nothing_else_has_any():
    events, there, back = arguments()
    del back["winners"]
    with pytest.raises(ShapeError, match="winners belong to a pooling 'max', got NoneType"):
        backward(GOOD, events, **back)
    plain = Geometry(source=(2, 6, 6), outputs=3, kernel=(5, 5))
    there |= {"weight": np.ones((3, 2, 5, 5), np.float32)}
    with pytest.raises(ShapeError, match="got ndarray for None"):
        forward(plain, events, **there)


def test_a_pooling_alone_has_no_gradient_of_a_weight():
    geometry = Geometry(source=(2, 6, 6), outputs=2, kernel=None, pool="avg", pool_kernel=(2, 2), pool_stride=(2, 2))
    events, grad = rows_of_raster(np.ones((1, 1, 72), np.float32)), np.ones((1, 1, 2, 3, 3), np.float32)
    with pytest.raises(ShapeError, match="has no weight"):
        backward(geometry, events, None, grad, d_weight=np.empty((2, 2, 1, 1), np.float32))


@pytest.mark.parametrize(
    ("wrong", "error", "message"),
    [
        ({"kernel": (7, 1)}, ShapeError, "no target is left"),
        ({"pool": "max", "pool_kernel": (5, 5)}, ShapeError, "no target is left"),
        ({"pool": "sum"}, ShapeError, "no target is left"),
        ({"outputs": 0}, ShapeError, "no target is left"),
        ({"stride": (0, 1)}, ShapeError, r"Geometry\.stride must be at least 1"),
        ({"kernel": (0, 3)}, ShapeError, r"Geometry\.taps must be at least 1"),
        ({"padding": (-1, 0)}, ShapeError, r"Geometry\.padding must be at least 0"),
        ({"pool_kernel": (2, 2)}, ShapeError, "pool=None"),
        ({"pool": "max", "pool_kernel": (2, 2), "pool_padding": (2, 0)}, ShapeError, "at most half of the window"),
        ({"kernel": None}, ShapeError, "a pooling alone keeps the 2 channels, got outputs=3"),
        ({"source": (2, 40, 40), "pool": "max", "pool_kernel": (16, 16)}, UnsupportedError, "at most 255 entries"),
        ({"source": (2, 2**17, 2**17)}, UnsupportedError, r"less than 2\*\*31 entries"),
    ],
)
def test_a_geometry_that_cannot_be_is_refused(wrong, error, message):
    with pytest.raises(error, match=message):
        Geometry(**{"source": (2, 6, 6), "outputs": 3, "kernel": (3, 3)} | wrong)


def test_weights_that_32_bits_cannot_tell_apart_are_not_gathered():
    """A tall source whose rows are far apart, behind a long kernel: the position of a weight would overflow."""
    tall = Geometry(source=(16, 8192, 512), outputs=64, kernel=(3, 512), stride=(2, 1), padding=(0, 0))
    assert not layout.Plan(tall, 16, 4).may_gather
    assert layout.Plan(
        Geometry(source=(16, 64, 64), outputs=64, kernel=(3, 3), stride=(2, 1), padding=(0, 0)), 16, 4
    ).may_gather


def test_a_gradient_in_tiles_of_no_width_is_refused():
    geometry = Geometry(source=(1, 2, 2), outputs=1, kernel=(1, 1), stride=(1, 1), padding=(0, 0))
    way = conv.Backward(
        geometry, rows_of_raster(np.ones((2, 3, 4), np.float32)), None, "float32", d_bias=np.empty(1, np.float32)
    )
    with pytest.raises(ShapeError, match=r"in tiles of 16, 32, 64, got \(1, 6, 4\)"):
        way.run(np.ones((1, 6, 4), np.float32), 0, 3)
