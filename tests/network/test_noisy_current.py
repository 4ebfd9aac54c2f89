"""Currents with white noise: their mean, their spread at any dt, their gradient, and one seed one noise."""

import numpy as np
import pytest
import torch

import spikeloom as sl
from spikeloom.errors import ParameterError


def encoded(x, n_steps, dt, seed=0, **options):
    encoder = sl.Encoder(shape=x.shape[1:], coding_method="noisy_current", **options)
    encoder(x)
    return encoder.encode(n_steps, dt, np.random.default_rng(seed))


@pytest.mark.parametrize("dt", [0.1, 1.0, 4.0])
def test_mean_and_spread_are_those_asked_for(dt):
    found = np.asarray(encoded(np.full((4, 5), 2.0, np.float32), 4000, dt, amp=1.5, sigma=0.3))
    assert found.shape == (4000, 4, 5)
    spread = 0.3 / np.sqrt(dt)  # 80,000 numbers: five standard errors are 5 / sqrt(80,000) of the spread
    assert found.mean() == pytest.approx(3.0, abs=5 * spread / np.sqrt(found.size))
    assert found.std() == pytest.approx(spread, rel=5 / np.sqrt(2 * found.size))


def test_no_number_depends_on_another():
    noise = np.asarray(encoded(np.zeros((2, 3), np.float32), 3000, 1.0, sigma=1.0)).reshape(3000, 6)
    correlations = np.corrcoef(np.concatenate([noise[1:], noise[:-1]], axis=1).T) - np.eye(12)
    assert np.abs(correlations).max() < 6 / np.sqrt(2999)


def test_a_seed_gives_one_noise_and_none_is_the_constant_current():
    x = np.random.default_rng(1).random((2, 3), np.float32)
    a, b, other = (np.asarray(encoded(x, 5, 1.0, seed)) for seed in (3, 3, 4))
    assert np.array_equal(a, b)
    assert not np.array_equal(a, other)
    assert np.array_equal(np.asarray(encoded(x, 5, 1.0, sigma=0)), np.broadcast_to(x, (5, 2, 3)))


def test_a_gradient_reaches_the_values():
    x = torch.rand(2, 3, requires_grad=True)
    encoded(x, 7, 1.0, amp=2.0).sum().backward()
    assert torch.equal(x.grad, torch.full((2, 3), 14.0))


@pytest.mark.parametrize("sigma", [-0.1, float("nan"), float("inf"), True, "loud"])
def test_a_sigma_without_meaning_is_refused(sigma):
    with pytest.raises(ParameterError, match=r"'noisy_current'.*sigma must be a"):
        encoded(np.zeros((1, 2), np.float32), 3, 1.0, sigma=sigma)
