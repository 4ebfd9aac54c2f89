"""Hebbian rules and calibration, against loops over their equations and against what the papers prove of them."""

import math

import numpy as np
import pytest
from dense_rules import learn

from spikeloom.errors import ParameterError
from spikeloom.plasticity import bcm, calibrated_gain, calibrated_threshold, feast, oja, oja_subspace, rate_modulation


def test_bcm_follows_its_equations():
    rng = np.random.default_rng(0)
    pre, post = rng.random((200, 4)) < 0.3, rng.random((200, 3)) < 0.2
    w, x, y, theta = np.full((3, 4), 0.5), np.zeros(4), np.zeros(3), np.zeros(3)
    d, slow = math.exp(-1 / 50), math.exp(-1 / 1000)
    for p, s in zip(pre.astype(float), post.astype(float), strict=True):
        x, y = d * x + (1 - d) * p, d * y + (1 - d) * s
        w = np.clip(w + 0.05 * np.outer(y * (y - theta), x), 0, 1)
        theta = slow * theta + (1 - slow) * y * y / 0.1
    found, _ = learn(bcm(lr=0.05), np.full((3, 4), 0.5), pre, post)
    assert np.abs(w - 0.5).max() > 0.01
    np.testing.assert_allclose(found, w, rtol=1e-12)


def linear(rule, weights, inputs):
    """Weights after each input (T, K) was shown to linear neurons, whose answer the weights of that step make."""
    for x in inputs:
        weights, _ = learn(rule, weights, x[None], (weights @ x)[None])
    return weights


def gaussian(n, seed=0):
    """Inputs with variances 9, 4, 1, ... along random orthogonal axes, and these axes."""
    rng = np.random.default_rng(seed)
    axes = np.linalg.qr(rng.normal(size=(6, 6)))[0]
    return (rng.normal(size=(n, 6)) * [3.0, 2.0, 1.0, 0.5, 0.3, 0.1]) @ axes.T, axes


def test_oja_s_rule_finds_the_first_principal_component():
    inputs, axes = gaussian(2000)
    start = np.full((1, 6), 0.2)
    (found,) = linear(oja(lr=0.002), start, inputs)
    assert abs(found @ axes[:, 0]) == pytest.approx(1.0, abs=0.02)
    assert np.linalg.norm(found) == pytest.approx(1.0, abs=0.05)


def test_oja_s_subspace_is_that_of_the_first_components_with_orthonormal_rows():
    inputs, axes = gaussian(2000)
    found = linear(oja_subspace(lr=0.01), np.random.default_rng(1).normal(size=(2, 6)) * 0.3, inputs)
    np.testing.assert_allclose(found @ found.T, np.eye(2), atol=0.05)
    np.testing.assert_allclose(found.T @ found, axes[:, :2] @ axes[:, :2].T, atol=0.1)


def test_without_its_decay_oja_s_rule_grows_without_bound():
    from spikeloom.plasticity.rule import Change, Rule

    inputs, _ = gaussian(300)
    hebb = Rule(changes=(Change(trigger="step", pre="s", post="s"),), lr=0.01)
    assert np.linalg.norm(linear(hebb, np.full((1, 6), 0.2), inputs)) > 100


def test_the_winner_turns_to_what_it_won_and_thresholds_move():
    c, w = np.array([0.6, 0.8]), np.array([[1.0, 0.0], [0.0, 1.0]])
    rule = feast(eta=0.1, delta_i=0.03, delta_e=0.01)
    found, offsets = learn(rule, w, c[None], [[0.0, 1.0]])
    turned = w[1] + 0.1 * (c - w[1])
    np.testing.assert_allclose(found, [[1, 0], turned / np.linalg.norm(turned)], rtol=1e-12)
    np.testing.assert_allclose(offsets["v_th"], [0.0, 0.03])
    missed, offsets = learn(rule, w, c[None], [[0.0, 0.0]], thresholds={"v_th": np.array([0.5, 0.7])})
    np.testing.assert_array_equal(missed, w)
    np.testing.assert_allclose(offsets["v_th"], [0.49, 0.69])


def test_calibration_scales_the_potential_to_its_root_mean_square_after_the_first_run_alone():
    rng = np.random.default_rng(2)
    inputs, w = rng.normal(size=(50, 5)), rng.normal(size=(3, 5)) * 0.1
    v = inputs @ w.T
    found, _ = learn(calibrated_gain(level=0.5), w, inputs, 0 * v, variables={"v": v})
    np.testing.assert_allclose(np.sqrt(((inputs @ found.T) ** 2).mean(0)), 0.5, rtol=1e-9)
    later, _ = learn(calibrated_gain(level=0.5), w, inputs, 0 * v, variables={"v": v}, first=False)
    np.testing.assert_array_equal(later, w)
    silent, _ = learn(calibrated_gain(level=0.5), w, inputs, 0 * v, variables={"v": 0 * v})
    np.testing.assert_array_equal(silent, w)


def test_calibration_puts_the_threshold_where_so_many_potentials_are_above_it():
    rng = np.random.default_rng(2)
    v = rng.normal(size=(20_000, 2)) * [1.0, 3.0] + [0.2, -1.0]
    _, offsets = learn(
        calibrated_threshold(rate=0.05, v_th=100.0), np.zeros((2, 1)), np.zeros((20_000, 1)), 0 * v, variables={"v": v}
    )
    np.testing.assert_allclose((v >= 100.0 + offsets["v_th"]).mean(0), 0.05, atol=0.005)


def test_counts_of_a_run_move_the_weights_towards_the_target():
    pre, post = np.zeros((9, 2)), np.zeros((9, 1))
    pre[:4, 0] = post[2:9] = 1
    found, _ = learn(rate_modulation(target=5, lr=0.01), [[0.5, 0.5]], pre, post)
    np.testing.assert_allclose(found, [[0.5 + 0.01 * (5 - 7) * 4, 0.5]])


def test_wrong_targets_are_refused():
    with pytest.raises(ParameterError, match="rate must be a share of the steps"):
        calibrated_threshold(rate=1.0)
    with pytest.raises(ParameterError, match="target must be a finite number of at least 0"):
        rate_modulation(target=-1)
