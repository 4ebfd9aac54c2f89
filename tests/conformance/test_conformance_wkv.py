"""Conformance 12: the WKV is stable for keys of +-60 and 10,000 tokens, equals its formula, streams as it batches."""

import numpy as np
import pytest
import torch

from spikeloom.backends.ops import XP
from spikeloom.errors import ParameterError, ShapeError
from spikeloom.filters import weighted_mean
from spikeloom.ops import NumpyOps

OPS = NumpyOps()


def naive(k, v, w, u):
    """The two sums of the formula, token by token."""
    found = []
    for t in range(len(k)):
        past = [np.exp(k[i] - (t - 1 - i) * w) for i in range(t)]
        newest = np.exp(u + k[t])
        over = sum((weight * v[i] for i, weight in enumerate(past)), newest * v[t])
        found.append(over / (sum(past) + newest))
    return np.array(found)


def drawn(n_tokens: int, size: float, seed: int = 0):
    generator = np.random.default_rng(seed)
    shape = (n_tokens, 2, 5)
    return generator.uniform(-size, size, shape), generator.normal(size=shape), generator.uniform(0.01, 2.0, 5)


def test_it_equals_the_naive_formula_at_small_keys():
    k, v, w = drawn(40, 2.0)
    u = np.linspace(-1.0, 1.0, 5)
    np.testing.assert_allclose(weighted_mean(k, v, w, u, OPS)[0], naive(k, v, w, u), rtol=1e-12)
    np.testing.assert_allclose(weighted_mean(k, v, 0.3, 0.5, OPS)[0], naive(k, v, 0.3, 0.5), rtol=1e-12)


@pytest.mark.parametrize("sign", [1, -1, 0])
def test_keys_of_60_stay_finite_over_10_000_tokens_in_single_precision(sign):
    k, v, w = (part.astype(np.float32) for part in drawn(10_000, 60.0))
    k = k if sign == 0 else np.full_like(k, 60.0 * sign)
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        found, state = weighted_mean(k, v, w * 1e-3, np.float32(0.3), OPS)
    assert found.dtype == np.float32
    assert np.isfinite(found).all()
    assert all(np.isfinite(part).all() for part in state)
    assert np.abs(found).max() <= np.abs(v).max() * (1 + 1e-6)  # a mean lies among its values


def test_a_stream_cut_anywhere_equals_one_batch():
    k, v, w = drawn(30, 60.0)
    whole, end = weighted_mean(k, v, w, 0.2, OPS)
    state, parts = None, []
    for a, b in ((0, 1), (1, 2), (2, 17), (17, 30)):
        part, state = weighted_mean(k[a:b], v[a:b], w, 0.2, OPS, state)
        parts.append(part)
    np.testing.assert_array_equal(np.concatenate(parts), whole)
    for cut, one in zip(state, end, strict=True):
        np.testing.assert_array_equal(cut, one)


def test_on_tensors_it_gives_the_same_with_the_gradients_of_the_formula():
    k, v, w = drawn(6, 2.0)
    tensors = [torch.tensor(x, requires_grad=True) for x in (k, v, w)]
    found = weighted_mean(*tensors, torch.tensor(0.3, dtype=torch.float64), XP)[0]
    np.testing.assert_allclose(found.detach().numpy(), naive(k, v, w, 0.3), rtol=1e-12)
    inputs = tuple(t.detach().requires_grad_() for t in tensors)
    bonus = torch.tensor(0.3, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda a, b, c: weighted_mean(a, b, c, bonus, XP)[0], inputs)


def test_what_does_not_fit_is_refused():
    k, v, w = drawn(3, 1.0)
    with pytest.raises(ShapeError, match=r"one shape \(T, B, n\)"):
        weighted_mean(k, v[:, :1], w, 0.0, OPS)
    with pytest.raises(ShapeError, match="T > 0"):
        weighted_mean(k[:0], v[:0], w, 0.0, OPS)
    with pytest.raises(ParameterError, match=r"decay must be a positive number, got 0\.0"):
        weighted_mean(k, v, 0.0, 0.0, OPS)
    with pytest.raises(ParameterError, match="bonus must be finite"):
        weighted_mean(k, v, 1.0, np.inf, OPS)
