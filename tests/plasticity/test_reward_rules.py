"""Rules that a modulator multiplies, against loops over the equations of their papers."""

import math

import numpy as np
import pytest
from dense_rules import learn
from spike_pairs import each, pairs

from spikeloom.errors import ParameterError
from spikeloom.plasticity import (
    astrocyte_stdp,
    feedback_rstdp,
    feedback_rstdp_eligibility,
    rstdp,
    rstdp_eligibility,
    switch_rstdp,
)

STEPS, N, K = 60, 3, 4


@pytest.fixture
def spikes():
    rng = np.random.default_rng(3)
    return tuple((rng.random((STEPS, n)) < 0.2).astype(float) for n in (K, N))


REWARD = np.random.default_rng(4).normal(size=STEPS)
REWARDS = np.random.default_rng(5).normal(size=(STEPS, N))


@pytest.mark.parametrize("dt", [1.0, 0.5])
def test_reward_modulated_stdp_is_that_of_florian(spikes, dt):
    pre, post = spikes
    w, plus, minus = np.full((N, K), 0.5), np.zeros(K), np.zeros(N)
    for p, s, r in zip(pre, post, REWARD, strict=True):
        plus = math.exp(-dt / 15) * plus + 0.8 * p
        minus = math.exp(-dt / 30) * minus - 0.6 * s
        w = w + 0.1 * r * (np.outer(s, plus) + np.outer(minus, p))
    rule = rstdp(a_plus=0.8, a_minus=-0.6, tau_plus=15.0, tau_minus=30.0)
    found, _ = learn(rule, np.full((N, K), 0.5), pre, post, modulator=REWARD, dt=dt)
    assert np.abs(w - 0.5).max() > 0.1
    np.testing.assert_allclose(found, w, rtol=1e-12)


@pytest.mark.parametrize("dt", [1.0, 0.5])
def test_reward_that_comes_late_meets_what_synapses_remember(spikes, dt):
    pre, post = spikes
    w, plus, minus, e = np.full((N, K), 0.5), np.zeros(K), np.zeros(N), np.zeros((N, K))
    for p, s, r in zip(pre, post, REWARD, strict=True):
        plus = math.exp(-dt / 20) * plus + p
        minus = math.exp(-dt / 20) * minus - s
        e = math.exp(-dt / 40) * e + dt / 25 * (np.outer(s, plus) + np.outer(minus, p))
        w = w + 0.1 * dt * r * e
    found, _ = learn(rstdp_eligibility(tau_e_trace=40.0), np.full((N, K), 0.5), pre, post, modulator=REWARD, dt=dt)
    np.testing.assert_allclose(found, w, rtol=1e-12)


@pytest.mark.parametrize("reward", [1.0, -1.0, 0.0])
def test_the_reward_chooses_between_two_sets_of_amplitudes(spikes, reward):
    pre, post = spikes
    plus, minus = (5e-3, 4e-3) if reward > 0 else (-5e-3, -4e-3)
    expected = each(pre, post, lambda p, s: pairs(p, s, plus, minus, 20.0, 20.0, nearest=True, before=True))
    found, _ = learn(switch_rstdp(), np.full((N, K), 0.25), pre, post, modulator=np.full(STEPS, reward))
    np.testing.assert_allclose(found, 0.25 + expected, atol=1e-14)


def averages(pre, post, tau_pre, tau_post):
    x, y = np.zeros(K), np.zeros(N)
    for p, s in zip(pre, post, strict=True):
        x = math.exp(-1 / tau_pre) * x + (1 - math.exp(-1 / tau_pre)) * p
        y = math.exp(-1 / tau_post) * y + (1 - math.exp(-1 / tau_post)) * s
        yield x, y


def test_feedback_gives_each_neuron_a_reward_of_its_own(spikes):
    pre, post = spikes
    w = np.full((N, K), 0.5)
    for p, s, m, (x, y) in zip(pre, post, REWARDS, averages(pre, post, 5, 12), strict=True):
        w = w + 0.1 * m[:, None] * (np.outer(s, x) - 0.4 * np.outer(y, p)) - 0.01 * np.outer(y - 0.1, x)
    found, _ = learn(feedback_rstdp(), np.full((N, K), 0.5), pre, post, modulator=REWARDS)
    np.testing.assert_allclose(found, w, rtol=1e-12)


def test_feedback_meets_what_synapses_remember(spikes):
    pre, post = spikes
    w, e = np.full((N, K), 0.5), np.zeros((N, K))
    for p, s, m, (x, y) in zip(pre, post, REWARDS, averages(pre, post, 4, 10), strict=True):
        e = math.exp(-1 / 5) * e + np.outer(s, x)
        w = w + 0.1 * m[:, None] * e - 0.01 * np.outer(y * (y - 0.2), p)
    found, _ = learn(feedback_rstdp_eligibility(), np.full((N, K), 0.5), pre, post, modulator=REWARDS)
    np.testing.assert_allclose(found, w, rtol=1e-12)


@pytest.mark.parametrize(("sign", "plus", "minus"), [(1, 0.015, 0.04), (-1, -0.04, -0.015)])
def test_an_astrocyte_multiplies_what_lowers_a_weight_alone(spikes, sign, plus, minus):
    pre, post = spikes
    rule = astrocyte_stdp(sign=sign, w_min=-9.0, w_max=9.0)
    expected = each(pre, post, lambda p, s: pairs(p, s, plus, minus, 10.0, 10.0, nearest=False, before=False))
    found, _ = learn(rule, np.zeros((N, K)), pre, post, modulator=np.full(STEPS, 0.4))
    np.testing.assert_allclose(found, expected, atol=1e-14)


def test_an_astrocyte_knows_two_signs():
    with pytest.raises(ParameterError, match="sign must be 1, or -1 for inhibitory synapses, got 0"):
        astrocyte_stdp(sign=0)


@pytest.mark.parametrize("make", [rstdp, rstdp_eligibility])
def test_no_reward_changes_nothing(spikes, make):
    found, _ = learn(make(), np.full((N, K), 0.5), *spikes, modulator=np.zeros(STEPS))
    assert (found == 0.5).all()
