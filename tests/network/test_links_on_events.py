"""Links on events: compiled kernels where they pay, nothing made twice, nothing made that is not wanted."""

import logging

import numpy as np
import pytest
import torch

import spikeloom as sl
from spikeloom.backends.product import Term, product
from spikeloom.errors import CompilerError, ShapeError
from spikeloom.native import conv, pool
from spikeloom.native.events import EventRows, rows_of_raster
from spikeloom.network.links import Conv, Ends, Full, OneToOne, Pool, Sparse, SpikeRows, Wanted, frames

T, B = 4, 3
IMAGE = (3, 8, 7)
POOLED = Conv(pool="max", bias=True), Ends(IMAGE, (5, 3, 2))
LINKS = {
    "conv": (Conv(padding=1, stride=(2, 1)), Ends(IMAGE, (6, 4, 7))),
    "conv, then max pool": POOLED,
    "conv, then mean pool": (Conv(pool="avg"), Ends(IMAGE, (4, 3, 2))),
    "max pool": (Pool(scale=0.5), Ends(IMAGE, (3, 4, 3))),
    "mean pool": (Pool(pool="avg"), Ends(IMAGE, (3, 4, 3))),
    "one to one": (OneToOne(w_std=1.0, bias=True), Ends(IMAGE, IMAGE)),
    "sparse": (Sparse(density=0.05), Ends(IMAGE, (20,))),
    "full": (Full(), Ends(IMAGE, (20,))),
}


@pytest.fixture(params=LINKS)
def case(request):
    return LINKS[request.param]


def drawn(link, ends, dtype=torch.float64):
    found = {spec.name.rpartition(".")[2]: torch.as_tensor(np.array(spec.start(1))) for spec in link.specs("c", ends)}
    return {name: w.to(dtype) if w.is_floating_point() else w for name, w in found.items()}


def signal(density=0.1, dtype=torch.float64, shape=IMAGE, graded=False, seed=0):
    """Events, and the same as a raster."""
    rng = np.random.default_rng(seed)
    raster = (rng.random((T, B, *shape)) < density) * (rng.integers(1, 4, (T, B, *shape)) if graded else 1)
    raster = torch.from_numpy(raster).to(dtype)
    rows = rows_of_raster(raster.flatten(2).numpy())
    return SpikeRows.of(rows, shape, torch.zeros((), dtype=dtype)), raster


def all_of(link, ends, x, weights, grad, wanted=None):
    """Current and gradients in one list."""
    wanted = wanted or Wanted(True, [k for k, w in weights.items() if w.is_floating_point()])
    current, kept = link.product(x, weights, ends, keep=True)
    found = link.gradients(x, weights, ends, grad, wanted, kept)
    return [current, found.signal, *(found.weights[k] for k in sorted(found.weights))]


def numbers(ends, dtype=torch.float64):
    return torch.from_numpy(np.random.default_rng(9).normal(size=(T, B, *ends.post))).to(dtype)


@pytest.mark.parametrize("graded", [False, True], ids=["spikes", "graded spikes"])
def test_events_give_what_their_raster_gives_to_signal_and_weights(case, graded):
    link, ends = case
    events, raster = signal(graded=graded)
    weights, grad = drawn(link, ends), numbers(ends)
    for a, b in zip(*(all_of(link, ends, x, weights, grad) for x in (events, raster)), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-12)


def test_floats_agree_with_the_raster_to_their_rounding(case):
    link, ends = case
    events, raster = signal(dtype=torch.float32)
    weights, grad = drawn(link, ends, torch.float32), numbers(ends, torch.float32)
    for a, b in zip(*(all_of(link, ends, x, weights, grad) for x in (events, raster)), strict=True):
        assert a.dtype == torch.float32
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-5)


def test_events_become_no_raster_on_the_way_there_and_back(monkeypatch, case):
    link, ends = case
    events, _ = signal()
    monkeypatch.setattr(SpikeRows, "dense", None)
    all_of(link, ends, events, drawn(link, ends), numbers(ends))


def test_only_wanted_gradients_are_made_and_they_are_the_same(case):
    link, ends = case
    weights, grad = drawn(link, ends), numbers(ends)
    names = [k for k, w in weights.items() if w.is_floating_point()]
    for x in signal():
        whole = link.gradients(x, weights, ends, grad, Wanted(True, names))
        for name in names:
            alone = link.gradients(x, weights, ends, grad, Wanted(False, [name]))
            assert alone.signal is None
            assert set(alone.weights) == {name}
            assert torch.equal(alone.weights[name], whole.weights[name])
        alone = link.gradients(x, weights, ends, grad, Wanted(True, []))
        assert not alone.weights
        torch.testing.assert_close(alone.signal, whole.signal, rtol=0, atol=1e-12)
        assert link.gradients(x, weights, ends, grad, Wanted(False, [])) == (None, {})


def test_gradients_without_what_the_product_kept_are_the_same(case):
    link, ends = case
    weights, grad = drawn(link, ends), numbers(ends)
    names = [k for k, w in weights.items() if w.is_floating_point()]
    for x in signal():
        _, kept = link.product(x, weights, ends, keep=True)
        one, two = (link.gradients(x, weights, ends, grad, Wanted(True, names), k) for k in (kept, None))
        assert torch.equal(one.signal, two.signal)
        assert all(torch.equal(one.weights[k], two.weights[k]) for k in names)


def test_nothing_is_kept_unasked(case):
    link, ends = case
    for x in signal():
        assert link.product(x, drawn(link, ends), ends)[1] is None


@pytest.mark.parametrize("x", [0, 1], ids=["events", "raster"])
def test_a_pooled_convolution_under_autograd_is_made_once(monkeypatch, x):
    link, ends = POOLED
    weights = {k: w.requires_grad_() for k, w in drawn(link, ends).items()}
    made = []
    original = Conv.product
    monkeypatch.setattr(Conv, "product", lambda *a, **k: made.append(1) or original(*a, **k))
    product(Term(link, ends, signal()[x], weights)).sum().backward()
    assert len(made) == 1


@pytest.mark.parametrize("x", [0, 1], ids=["events", "raster"])
def test_a_term_gives_the_gradients_of_autograd(x):
    link, ends = POOLED
    weights = {k: w.requires_grad_() for k, w in drawn(link, ends).items()}
    given, raster = signal()[x], signal()[1].requires_grad_()
    grad = numbers(ends)
    link.product(raster, weights, ends)[0].backward(grad)
    term = Term(link, ends, given.detach() if x else given, {k: w.detach() for k, w in weights.items()})
    term.product()
    found = term.gradients(grad, True)
    torch.testing.assert_close(found.signal, raster.grad, rtol=0, atol=1e-12)
    assert set(found.weights) == {"weight", "bias"}
    for name, weight in weights.items():
        torch.testing.assert_close(found.weights[name], weight.grad, rtol=0, atol=1e-12)
    assert set(term.gradients(grad, False, ["bias"]).weights) == {"bias"}


def test_a_frozen_weight_gets_no_gradient_and_costs_none(monkeypatch):
    link, ends = POOLED
    weights = drawn(link, ends)
    weights["bias"].requires_grad_()
    events, _ = signal()
    asked = []
    original = conv.Backward
    monkeypatch.setattr(conv, "Backward", lambda *a, **k: asked.append(a[5:8]) or original(*a, **k))
    product(Term(link, ends, events, weights)).sum().backward()
    ((d_weight, d_bias, d_signal),) = asked
    assert d_weight is None
    assert d_signal is None
    assert d_bias is not None
    assert torch.equal(weights["bias"].grad, torch.full((5,), float(T * B * 6), dtype=torch.float64))


def test_a_constant_signal_gets_the_sum_over_time_of_what_flows_back():
    link, ends = POOLED
    x, weights, grad = signal()[1][:1], drawn(link, ends), numbers(ends)
    term = Term(link, ends, x, weights)
    assert term.product().shape == (1, B, *ends.post)
    found = term.gradients(grad, True)
    _, back, bias, weight = all_of(link, ends, x.expand(T, B, *IMAGE), weights, grad)
    torch.testing.assert_close(found.signal, back.sum(0, keepdim=True))
    torch.testing.assert_close(found.weights["weight"], weight)
    torch.testing.assert_close(found.weights["bias"], bias)


@pytest.mark.parametrize("share", [0.1, 0.9])
@pytest.mark.parametrize("name", ["conv", "conv, then mean pool", "conv, then max pool"])
def test_a_signal_gets_the_same_from_a_gradient_with_many_zeros_and_few(monkeypatch, name, share):
    link, ends = LINKS[name]
    events, raster = signal()
    weights, grad = drawn(link, ends), numbers(ends)
    grad *= torch.rand(grad.shape, generator=torch.Generator().manual_seed(0)) < share
    asked = []
    original = conv.Backward
    monkeypatch.setattr(conv, "Backward", lambda *a, **k: asked.append(a[7]) or original(*a, **k))
    found = all_of(link, ends, events, weights, grad)
    assert (asked[0] is None) == (share > 0.5 and link.pool != "max")
    for a, b in zip(found, all_of(link, ends, raster, weights, grad), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("link", "ends", "density", "takes"),
    [
        (*POOLED, 0.1, True),
        (*POOLED, 0.9, False),
        (Conv(groups=3), Ends(IMAGE, (3, 6, 5)), 0.1, False),
        (Conv(dilation=(1, 2)), Ends(IMAGE, (3, 6, 3)), 0.1, False),
        (Conv(pool="max", kernel_size=1, pool_kernel_size=16), Ends((1, 16, 16), (2, 1, 1)), 0.1, False),
        (Pool(), Ends(IMAGE, (3, 4, 3)), 0.9, True),
        (Pool(kernel_size=16), Ends((1, 16, 16), (1, 1, 1)), 0.1, False),
    ],
    ids=["sparse", "dense", "groups", "dilation", "a large window", "pool", "a large window of a pool"],
)
def test_compiled_kernels_take_what_they_can_and_what_pays(monkeypatch, link, ends, density, takes):
    events, raster = signal(density, shape=ends.pre)
    taken = []
    original = conv.Forward
    monkeypatch.setattr(conv, "Forward", lambda *a, **k: taken.append(1) or original(*a, **k))
    weights, grad = drawn(link, ends), numbers(ends)
    found = all_of(link, ends, events, weights, grad)
    assert bool(taken) == takes
    for a, b in zip(found, all_of(link, ends, raster, weights, grad), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-12)


def test_without_a_compiler_torch_takes_over_and_the_log_says_so_once(monkeypatch, caplog):
    def refuse(level=None):
        raise CompilerError("no C++ compiler found")

    link, ends = POOLED
    events, raster = signal()
    weights, grad = drawn(link, ends), numbers(ends)
    expected = all_of(link, ends, raster, weights, grad)
    monkeypatch.setattr(conv, "library", refuse)
    frames._kernels.cache_clear()
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            for a, b in zip(all_of(link, ends, events, weights, grad), expected, strict=True):
                torch.testing.assert_close(a, b, rtol=0, atol=1e-12)
    assert len(caplog.records) == 1
    assert "no C++ compiler found" in caplog.text
    frames._kernels.cache_clear()


def test_threads_share_large_work_and_change_no_bit(monkeypatch):
    link, ends = POOLED
    events, _ = signal()
    weights, grad = drawn(link, ends), numbers(ends)
    before = all_of(link, ends, events, weights, grad)
    shared = []
    run = pool.run
    monkeypatch.setattr(pool, "run", lambda function, n, threads: shared.append(threads) or run(function, n, threads))
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    for least, threads in ((0, 2), (1 << 60, 1)):
        monkeypatch.setattr(frames, "WORK_FOR_THREADS", least)
        after = all_of(link, ends, events, weights, grad)
        assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))
        assert set(shared) == {threads}
        shared.clear()


def test_rows_made_of_event_rows_are_those_of_the_spikes():
    raster = (np.random.default_rng(3).random((T, B, *IMAGE)) < 0.2).astype(np.int8)
    like = torch.zeros((), dtype=torch.float64)
    own = SpikeRows(sl.Spikes.from_raster(raster, 1.0), T, like)
    events = rows_of_raster(raster.reshape(T, B, -1))
    made = SpikeRows.of(events, IMAGE, like)
    assert made.events("float64") is events
    assert torch.equal(made.dense(), own.dense())
    assert made.density == own.density == raster.mean()
    table = torch.randn(raster[0, 0].size, 4, dtype=torch.float64)
    assert torch.equal(made.times(table), own.times(table))


def test_graded_rows_are_given_to_the_kernels_in_the_real_that_they_ask_for():
    events = rows_of_raster(np.full((1, 1, 6), 0.5))
    made = SpikeRows.of(events, (6,), torch.zeros(()))
    assert made.events("float64") is events
    assert made.events("float32").values.tolist() == [0.5] * 6
    assert made.events("float32") is made.events("float32")


@pytest.mark.parametrize("shape", [(5,), (2, 3)])
def test_rows_of_other_neurons_are_refused(shape):
    events = EventRows(np.array([0, 1]), np.array([6], np.int32), None, 1, 1, 7)
    with pytest.raises(ShapeError, match="SpikeRows"):
        SpikeRows.of(events, shape, torch.zeros(()))


def test_a_pooled_convolution_is_saved_and_loaded_with_its_network(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    net = sl.Network()
    net.input = sl.Encoder(shape=IMAGE, coding_method="bernoulli")
    net.a = sl.NeuronGroup(model="lif", shape=(5, 2, 2))
    net.c = sl.Connection(net.input, net.a, link_type="conv", pool="max", pool_kernel_size=(3, 2), pool_stride=2)
    loaded = sl.network_load(sl.network_save(net, "pooled"))
    link = loaded.c.link
    assert (link.pool, tuple(link.pool_kernel_size), link.pool_stride, link.pool_padding) == ("max", (3, 2), 2, 0)
    assert torch.equal(torch.as_tensor(loaded.c.weight.value), torch.as_tensor(net.c.weight.value))
