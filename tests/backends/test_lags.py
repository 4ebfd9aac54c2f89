"""The current of synapses whose spikes spread over lags: against the formula written out as a convolution."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from spikeloom.backends.lags import Lags, over_lags
from spikeloom.network.links import Ends, Full, OneToOne, Sparse, SpikeRows
from spikeloom.spikes import Spikes

T, B, PRE, POST, K, DT = 17, 3, 5, 4, 8, 0.5
RNG = np.random.default_rng(2)
SPIKES = torch.from_numpy((RNG.random((T, B, PRE)) < 0.3).astype(float))
INDICES = torch.tensor([[0, 3, 3, 1, 2], [4, 0, 1, 1, 2]])


def convolved(signal, weight, delay, sigma):
    """The naive formula: one Gaussian for each pair (post, pre), normalised, and a causal convolution."""
    lags = torch.arange(K, dtype=torch.float64)
    g = torch.exp(-0.5 * ((lags - (delay / DT)[..., None]) / (abs(sigma) / DT + 0.27)) ** 2)
    kernel = weight[..., None] * g / (g.sum(-1, keepdim=True) + 1e-7)
    padded = F.pad(signal.permute(1, 2, 0), (K - 1, K - 1))
    return F.conv1d(padded, kernel.flip(-1)).permute(2, 0, 1)


def case(kind):
    """The link, its weights, what stands beside them, and the dense matrix (post, pre) of a synapse's value."""
    if kind == "full":
        shape, link, beside = (POST, PRE), Full(), {}
    elif kind == "one_to_one":
        shape, link, beside = (PRE,), OneToOne(), {}
    else:
        shape, link, beside = (INDICES.shape[1],), Sparse(), {"indices": INDICES}

    def matrix(values):
        if kind == "full":
            return values
        if kind == "one_to_one":
            return torch.diag(values)
        return torch.zeros(POST, PRE, dtype=values.dtype).index_put(tuple(INDICES), values)

    rng = np.random.default_rng(5)
    weight = torch.from_numpy(rng.normal(size=shape)).requires_grad_()
    delay = torch.from_numpy(rng.uniform(0, (K - 1) * DT, shape)).requires_grad_()
    n_post = PRE if kind == "one_to_one" else POST
    return link, Ends((PRE,), (n_post,)), beside, weight, delay, matrix


KINDS = ["full", "one_to_one", "sparse"]


@pytest.mark.parametrize("sigma", [0.0, 0.115, 1.5])
@pytest.mark.parametrize("kind", KINDS)
def test_current_and_gradients_equal_autograd_of_the_formula(kind, sigma):
    link, ends, beside, weight, delay, matrix = case(kind)
    signal = SPIKES.clone().requires_grad_()
    found = over_lags(Lags(link, ends, signal, beside, K, sigma, DT), weight, delay)
    expected = convolved(signal, matrix(weight), matrix(delay), sigma)
    assert found.shape == (T + K - 1, B, *ends.post)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
    grad = torch.from_numpy(np.random.default_rng(0).normal(size=found.shape))
    wanted = (signal, weight, delay)
    for name, mine, theirs in zip(
        ("signal", "weight", "delay"),
        torch.autograd.grad(found, wanted, grad),
        torch.autograd.grad(expected, wanted, grad),
        strict=True,
    ):
        assert theirs.abs().max() > 0.1 or sigma == 0.0, name
        torch.testing.assert_close(mine, theirs, rtol=1e-9, atol=1e-11, msg=name)


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_equal_central_differences(kind):
    link, ends, beside, weight, delay, _ = case(kind)
    direction = torch.from_numpy(np.random.default_rng(3).normal(size=(T + K - 1, B, *ends.post)))

    def value(w, d):
        return float((over_lags(Lags(link, ends, SPIKES, beside, K, 0.4, DT), w, d) * direction).sum())

    total = (over_lags(Lags(link, ends, SPIKES, beside, K, 0.4, DT), weight, delay) * direction).sum()
    for place, (mine, tensor) in enumerate(
        zip(torch.autograd.grad(total, (weight, delay)), (weight, delay), strict=True)
    ):
        for k in range(tensor.numel()):
            sides = []
            for step in (1e-5, -1e-5):
                moved = [weight.detach().clone(), delay.detach().clone()]
                moved[place].view(-1)[k] += step
                sides.append(value(*moved))
            assert float(mine.view(-1)[k]) == pytest.approx((sides[0] - sides[1]) / 2e-5, abs=1e-7)


@pytest.mark.parametrize("density", [0.02, 0.3])
@pytest.mark.parametrize("kind", KINDS)
def test_events_give_what_their_raster_gives(kind, density):
    link, ends, beside, weight, delay, _ = case(kind)
    raster = (np.random.default_rng(7).random((T, B, PRE)) < density).astype(np.int8)
    rows = SpikeRows(Spikes.from_raster(raster, DT), T, torch.zeros((), dtype=torch.float64))
    signals = rows, torch.from_numpy(raster).double()
    found = [over_lags(Lags(link, ends, signal, beside, K, 0.4, DT), weight, delay) for signal in signals]
    torch.testing.assert_close(found[0], found[1], rtol=1e-12, atol=1e-12)
    grads = [torch.autograd.grad(each.square().sum(), (weight, delay)) for each in found]
    for mine, theirs in zip(*grads, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("density", [0.05, 0.3])
@pytest.mark.parametrize("as_events", [False, True])
def test_a_wide_signal_equals_the_formula_whether_it_is_sparse_or_not(density, as_events):
    n, rng = 70, np.random.default_rng(11)
    raster = (rng.random((T, B, n)) < density) * (1.0 if as_events else rng.normal(size=(T, B, n)))
    signal = torch.from_numpy(raster).requires_grad_()
    weight, delay = (torch.from_numpy(rng.random((POST, n))).requires_grad_() for _ in range(2))
    given = SpikeRows(Spikes.from_raster(raster.astype(np.int8), DT), T, torch.zeros((), dtype=torch.float64))
    found = over_lags(Lags(Full(), Ends((n,), (POST,)), given if as_events else signal, {}, K, 0.4, DT), weight, delay)
    expected = convolved(signal, weight, delay, 0.4)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
    wanted = (weight, delay) if as_events else (weight, delay, signal)
    both = (torch.autograd.grad(each.square().sum(), wanted) for each in (found, expected))
    for mine, theirs in zip(*both, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-10, atol=1e-10)


def test_a_bell_at_the_edge_of_the_range_keeps_its_weight():
    weight, delay = torch.ones(1, 1, dtype=torch.float64), torch.zeros(1, 1, dtype=torch.float64)
    one = torch.zeros(1, 1, 1, dtype=torch.float64) + 1
    found = over_lags(Lags(Full(), Ends((1,), (1,)), one, {}, K, 2.0, DT), weight, delay)
    assert float(found.sum()) == pytest.approx(1.0, abs=1e-6)
    assert bool((found.diff(dim=0) < 0).all())
