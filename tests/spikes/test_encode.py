"""Encoders against the laws they claim: binomial counts, independent steps, closed forms. All seeds are fixed."""

import subprocess
import sys
from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from spikeloom.errors import DataError, ParameterError, ShapeError
from spikeloom.spikes import bernoulli, latency, poisson

PROBABILITIES = [0.001, 0.1, 0.5, 0.501, 0.9]


def fired(p, shape, n_steps, seed):
    return poisson(np.full(shape, p / 0.1), n_steps, 0.1, np.random.default_rng(seed))


def p_value(observed, probabilities):
    """The chi-square p-value of counts, rare cells pooled until each is expected at least five times."""
    expected = np.asarray(probabilities) * np.sum(observed)
    order = np.argsort(expected)
    group = np.minimum(np.cumsum(expected[order]) // 5, np.sum(expected) // 5 - 1).astype(int)
    group = np.unique(group, return_inverse=True)[1]
    pooled = [np.bincount(group, weights=np.asarray(a)[order]) for a in (observed, expected)]
    return 1.0 if group[-1] == 0 else stats.chisquare(*pooled).pvalue


@pytest.mark.parametrize("p", PROBABILITIES)
def test_spike_counts_of_trains_follow_the_binomial_law(p):
    counts = fired(p, (60, 100), 40, seed=1).counts().ravel()
    assert p_value(np.bincount(counts, minlength=41), stats.binom.pmf(np.arange(41), 40, p)) > 1e-3


@pytest.mark.parametrize("p", PROBABILITIES)
def test_every_pattern_of_steps_has_the_probability_of_independent_draws(p):
    raster = fired(p, (50, 2000), 4, seed=2).raster().reshape(4, -1)
    observed = np.bincount(np.array([8, 4, 2, 1]) @ raster, minlength=16)
    law = [p ** sum(bits) * (1 - p) ** (4 - sum(bits)) for bits in product((0, 1), repeat=4)]
    assert p_value(observed, law) > 1e-3


@pytest.mark.parametrize("p", PROBABILITIES)
def test_steps_are_equally_busy_and_neighbours_are_independent(p):
    raster = fired(p, (50, 400), 50, seed=3).raster()
    per_step = raster.sum(axis=(1, 2), dtype=np.int64)
    z = (per_step - p * 20000) / np.sqrt(p * (1 - p) * 20000)
    assert stats.chi2(50).sf(np.sum(z**2)) > 1e-3
    law = [(1 - p) ** 2, p * (1 - p), p * (1 - p), p**2]
    for first, second in ((raster[:-1:2], raster[1::2]), (raster[..., :-1:2], raster[..., 1::2])):
        assert p_value(np.bincount((2 * first + second).ravel(), minlength=4), law) > 1e-3


@pytest.mark.parametrize("x", [10.0, 25.0])
def test_a_rate_of_one_spike_a_step_or_more_fires_in_every_step(x):
    assert poisson(np.full((2, 3), x), 7, 0.1, np.random.default_rng(0)).raster().all()


@settings(max_examples=50)
@given(st.integers(0, 3), st.integers(1, 5), st.integers(1, 20), st.integers(0, 2**32 - 1))
def test_drawn_spikes_are_sorted_distinct_and_in_range(n_samples, n_neurons, n_steps, seed):
    generator = np.random.default_rng(seed)
    spikes = bernoulli(generator.random((n_samples, n_neurons)), n_steps, 1.0, generator)
    events = list(zip(spikes.samples(), spikes.step, spikes.ids, strict=True))
    assert events == sorted(set(events))
    assert (len(spikes), spikes.shape, spikes.n_steps) == (n_samples, (n_neurons,), n_steps)
    assert all(0 <= t < n_steps and 0 <= i < n_neurons for _, t, i in events)


def test_each_neuron_fires_at_its_own_rate():
    x = np.array([[[0.0, 0.5], [2.0, 9.0]], [[10.0, 4.0], [0.1, 6.0]]])
    p = np.minimum(1, x * 0.5 * 0.2)
    counts = poisson(x, 20000, 0.2, np.random.default_rng(4), unit_conversion=0.5).counts()
    assert np.all(np.abs(counts - 20000 * p) <= 4 * np.sqrt(20000 * p * (1 - p)))


def test_bernoulli_fires_with_max_prob_times_x():
    counts = bernoulli([[0, 0.5, 1]], 20000, 1.0, np.random.default_rng(5), max_prob=0.4).counts()[0]
    p = np.array([0, 0.2, 0.4])
    assert np.all(np.abs(counts - 20000 * p) <= 4 * np.sqrt(20000 * p * (1 - p)))
    assert bernoulli(np.ones((1, 2)), 9, 1.0, np.random.default_rng(5)).raster().all()


@pytest.mark.parametrize("encode", [poisson, bernoulli])
def test_the_same_seed_gives_the_same_spikes_and_another_seed_others(encode):
    x = np.random.default_rng(0).random((3, 50))
    first, again, other = (encode(x, 30, 1.0, np.random.default_rng(seed)) for seed in (6, 6, 7))
    assert first.equals(again)
    assert not first.equals(other)


def test_lists_integers_and_tensors_are_intensities_too():
    spikes = poisson(torch.full((2, 3), 2.0, requires_grad=True), 50, 0.1, np.random.default_rng(8))
    for x in (np.full((2, 3), 2, np.uint8), [[2] * 3] * 2, np.full((2, 3), 2, np.float32)):
        assert poisson(x, 50, 0.1, np.random.default_rng(8)).equals(spikes)


def test_keys_beyond_int32_are_drawn_as_well():
    spikes = poisson(np.full((2, 2), 1e-8), 3 * 10**9, 1.0, np.random.default_rng(9))
    assert spikes.step.dtype == np.int64
    assert stats.binom(3 * 10**9, 1e-8).cdf(spikes.counts()).min() > 1e-4
    assert stats.kstest(spikes.step / 3e9, "uniform").pvalue > 1e-3


def test_latency_of_twelve_levels_in_fifty_steps():
    spikes = latency(np.linspace(0, 1, 12).reshape(2, 6), 50, 0.1)
    assert spikes.raster().argmax(axis=0).tolist() == [[49, 44, 40, 35, 31, 26], [22, 17, 13, 8, 4, 0]]
    assert spikes.counts().tolist() == [[1] * 6] * 2


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("top", [10, 255, 999])
def test_latency_of_level_v_of_n_is_step_n_minus_v(dtype, top):
    x = (np.arange(top + 1) / top).astype(dtype)[None]
    assert latency(x, top + 1, 1.0).raster().argmax(axis=0)[0].tolist() == list(range(top, -1, -1))


def test_latency_of_half_precision_stays_inside_a_long_window():
    steps = latency(np.array([[0.0, 0.25, 0.5, 1.0]], np.float16), 10001, 1.0).raster().argmax(axis=0)[0]
    assert steps.tolist() == [10000, 7500, 5000, 0]


def test_max_scale_shortens_the_latest_latency():
    assert latency([[0.0, 0.5, 1.0]], 101, 1.0, max_scale=0.5).step.tolist() == [0, 25, 50]


@pytest.mark.parametrize("encode", [lambda x: poisson(x, 5, 1.0, np.random.default_rng(0)),
                                    lambda x: bernoulli(x, 5, 1.0, np.random.default_rng(0)),
                                    lambda x: latency(x, 5, 1.0)])  # fmt: skip
def test_an_empty_batch_is_encoded_and_bad_intensities_are_named(encode):
    assert len(encode(np.zeros((0, 3)))) == 0
    x = np.zeros((2, 2, 3))
    for bad in (-0.5, np.nan, np.inf):
        x[1, 0, 2] = bad
        with pytest.raises(DataError, match=rf"\.x\[1, 0, 2\] must be .*, got {bad}"):
            encode(x)
    with pytest.raises(ShapeError, match=r"\(B, \*shape\), got \(3,\)"):
        encode(np.zeros(3))


def test_intensities_above_one_are_refused_with_the_way_out():
    with pytest.raises(DataError, match=r"bernoulli.x\[0, 1\] must be in 0..1 \(divide x by its maximum\), got 255"):
        bernoulli([[0, 255]], 5, 1.0, np.random.default_rng(0))
    with pytest.raises(DataError, match=r"latency.x\[0, 1\]"):
        latency([[0, 1.5]], 5, 1.0)


def test_bad_settings_are_named():
    x, generator = np.zeros((1, 1)), np.random.default_rng(0)
    for call, message in (
        (lambda: poisson(x, 0, 1.0, generator), "n_steps must be an integer of at least 1, got 0"),
        (lambda: poisson(x, 5, 0.0, generator), "positive time step"),
        (lambda: poisson(x, 5, 1.0, 7), r"numpy.random.Generator such as default_rng\(7\), got 7"),
        (lambda: poisson(x, 5, 1.0, generator, unit_conversion=-1), "poisson.unit_conversion"),
        (lambda: bernoulli(x, 5, 1.0, generator, max_prob=1.5), "bernoulli.max_prob"),
        (lambda: latency(x, 5, 1.0, max_scale=0), "latency.max_scale"),
        (lambda: latency(x, 2.0, 1.0), "latency.n_steps"),
    ):
        with pytest.raises(ParameterError, match=message):
            call()


def test_the_data_model_needs_no_torch():
    code = (
        "import sys; sys.modules['torch'] = None; import numpy as np; from spikeloom.spikes import *;"
        "s = poisson(np.ones((2, 3)), 9, .1, np.random.default_rng(0)); s[[1]].raster(); s.counts()"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
