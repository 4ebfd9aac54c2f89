"""Conformance 17: CKA is 1 for orthogonal transforms and scaling, symmetric, and in [0, 1]; with TET beside it."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from spikeloom.errors import ShapeError
from spikeloom.training import linear_cka, temporal_cross_entropy


def features(seed: int, *shape: int) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).normal(0.3, 1.0, shape))


@settings(deadline=None)
@given(st.integers(0, 99), st.integers(2, 20), st.integers(1, 12), st.floats(0.01, 100.0))
def test_cka_is_one_for_a_rotated_scaled_and_moved_copy(seed, n_samples, n, scale):
    x = features(seed, n_samples, n)
    rotation = torch.linalg.qr(features(seed + 1, n, n))[0]
    torch.testing.assert_close(linear_cka(x, x @ rotation * scale + 3.0), torch.ones((), dtype=x.dtype))


@settings(deadline=None)
@given(st.integers(0, 99), st.integers(2, 20), st.integers(1, 12), st.integers(1, 12))
def test_cka_is_symmetric_and_lies_from_0_to_1(seed, n_samples, n, m):
    x, y = features(seed, n_samples, n), features(seed + 1, n_samples, m)
    found = linear_cka(x, y)
    torch.testing.assert_close(found, linear_cka(y, x))
    assert -1e-12 <= float(found) <= 1 + 1e-12


def test_cka_equals_its_formula_on_covariances_step_by_step():
    x, y = features(0, 4, 9, 5), features(1, 4, 9, 7)
    found = linear_cka(x, y)
    for t in range(4):
        a, b = (f[t].numpy() - f[t].numpy().mean(0) for f in (x, y))
        norms = np.linalg.norm(a.T @ a) * np.linalg.norm(b.T @ b)
        np.testing.assert_allclose(float(found[t]), np.linalg.norm(a.T @ b) ** 2 / norms, rtol=1e-12)


def test_cka_of_features_that_do_not_vary_is_zero_with_a_finite_gradient():
    x, y = features(0, 6, 3).requires_grad_(), torch.ones(6, 2, dtype=torch.float64, requires_grad=True)
    found = linear_cka(x, y)
    found.backward()
    assert float(found.detach()) == 0
    assert bool(x.grad.isfinite().all())
    assert bool(y.grad.isfinite().all())


def test_tet_is_the_loss_of_each_step_and_draws_answers_to_a_target():
    answers, label = features(2, 5, 4, 3), torch.tensor([0, 2, 1, 1])
    found = temporal_cross_entropy(answers, label, regularisation=0.05, target=0.5)
    for t in range(5):
        drawn = float(((answers[t] - 0.5) ** 2).mean())
        np.testing.assert_allclose(float(found[t]), 0.95 * float(F.cross_entropy(answers[t], label)) + 0.05 * drawn)


def test_wrong_shapes_are_refused():
    with pytest.raises(ShapeError, match=r"\(T, B, n\)"):
        temporal_cross_entropy(features(0, 4, 3), torch.zeros(4, dtype=torch.long))
    with pytest.raises(ShapeError, match=r"\(\.\.\., B, n\)"):
        linear_cka(features(0, 4, 3), features(0, 5, 3))
