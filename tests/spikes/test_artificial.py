"""Artificial spikes: their rates are the rates asked for."""

import numpy as np
import pytest

from spikeloom.errors import DataError, ParameterError, ShapeError
from spikeloom.spikes import artificial_spikes


def near(counts, n, p):
    return np.all(np.abs(counts - n * p) <= 4 * np.sqrt(n * p * (1 - p)))


def test_one_rate_holds_for_every_neuron_and_sample():
    spikes = artificial_spikes(100.0, (4, 5), 2000.0, 1.0, np.random.default_rng(0), n_samples=3)
    assert (len(spikes), spikes.shape, spikes.n_steps, spikes.dt) == (3, (4, 5), 2000, 1.0)
    assert near(spikes.counts(), 2000, 0.1)
    assert not spikes[0].equals(spikes[1])


def test_each_neuron_has_its_own_rate():
    rates = np.array([0.0, 20.0, 800.0, 1000.0])
    counts = artificial_spikes(rates, 4, 5000.0, 1.0, np.random.default_rng(1), n_samples=2).counts()
    assert near(counts, 5000, rates / 1000)


def test_rates_may_change_with_time():
    rates = np.zeros((30, 2))
    rates[10:, 0], rates[:20, 1] = 2000.0, 600.0
    raster = artificial_spikes(rates, 2, 15.0, 0.5, np.random.default_rng(2), n_samples=2000).raster()
    assert raster[10:, :, 0].all()
    assert not raster[:10, :, 0].any()
    assert not raster[20:, :, 1].any()
    assert near(raster[:20, :, 1].sum(axis=1, dtype=int), 2000, 0.3)


def test_bad_rates_and_settings_are_named():
    generator = np.random.default_rng(3)
    with pytest.raises(DataError, match=r"rates_hz\[1\] must be in 0..1000 Hz .*use a smaller dt, got 1001"):
        artificial_spikes([5, 1001], 2, 10.0, 1.0, generator)
    with pytest.raises(DataError, match="got -1"):
        artificial_spikes(-1.0, 2, 10.0, 1.0, generator)
    with pytest.raises(DataError, match="got nan"):
        artificial_spikes(np.nan, 2, 10.0, 1.0, generator)
    with pytest.raises(ShapeError, match=r"a number, \(2,\) or \(10, 2\), got \(3,\)"):
        artificial_spikes([1, 2, 3], 2, 10.0, 1.0, generator)
    with pytest.raises(ParameterError, match="duration"):
        artificial_spikes(1.0, 2, 0.0, 1.0, generator)
    with pytest.raises(ParameterError, match="Generator"):
        artificial_spikes(1.0, 2, 10.0, 1.0, None)
