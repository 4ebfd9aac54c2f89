"""Measures of the trains of oracle_values.json by spikeloom, under the names that their stored values have."""

import numpy as np

from spikeloom.analysis import measures as m
from spikeloom.spikes import Spikes


def spikes_of(case):
    """The trains of a case, (trials, neurons), as spikes."""
    rows = case.get("steps") or case["times_ms"]
    sizes = [[len(train) for train in row] for row in rows]
    values = np.concatenate([np.asarray(train, float) for row in rows for train in row])
    samples = np.repeat(np.arange(len(rows)), np.sum(sizes, axis=1))
    ids = np.concatenate([np.repeat(np.arange(len(row)), row) for row in sizes])
    if "steps" in case:
        n_steps = round(case["duration_ms"] / case["dt_ms"])
        place = (values.astype(int), ids, len(rows[0]), n_steps, case["dt_ms"])
        return Spikes.from_steps(*place, samples=samples, n_samples=len(rows))
    return Spikes.from_times(values, ids, len(rows[0]), case["duration_ms"], samples=samples, n_samples=len(rows))


def successive(s, *arguments):
    return m.cross_correlation(s, np.arange(s.n_neurons - 1), np.arange(1, s.n_neurons), *arguments)


def signal(n):
    """The signal of the spike-triggered average, a value a step."""
    k = np.arange(n)
    return np.sin(0.05 * k) + 0.3 * np.cos(0.0017 * k * (k % 97))


def triggered(s, window_ms):
    return m.spike_triggered_average(s, signal(s.n_steps), window_ms).average


MEASURES = {
    "spike_count_correlation 5 ms": lambda s: m.spike_count_correlation(s, 5),
    "spike_count_correlation 7 ms": lambda s: m.spike_count_correlation(s, 7),
    "spike_count_correlation 20 ms": lambda s: m.spike_count_correlation(s, 20),
    "spike_count_covariance 20 ms": lambda s: m.spike_count_covariance(s, 20),
    "cross_correlation 5 ms": lambda s: successive(s, 5, 30).counts,
    "cross_correlation 5 ms, coefficient": lambda s: successive(s, 5, 30).coefficient,
    "autocorrelation 2 ms": lambda s: m.autocorrelation(s, 2, 30).counts,
    "autocorrelation 2 ms, coefficient": lambda s: m.autocorrelation(s, 2, 30).coefficient,
    "van_rossum_distance 10 ms": lambda s: m.van_rossum_distance(s, 10)[0],
    "van_rossum_distance 300 ms": lambda s: m.van_rossum_distance(s, 300)[0],
    "victor_purpura_distance 0.1 / ms": lambda s: m.victor_purpura_distance(s, 0.1)[0],
    "victor_purpura_distance 0.002 / ms": lambda s: m.victor_purpura_distance(s, 0.002)[0],
    "victor_purpura_distance 0": lambda s: m.victor_purpura_distance(s, 0)[0],
    "population_synchrony 5 ms": lambda s: m.population_synchrony(s, 5),
    "spike_contrast": lambda s: m.spike_contrast(s)[0],
    "spike_contrast 3 ms, 0.8": lambda s: m.spike_contrast(s, 3, 0.8)[0],
    "spike_synchronization": lambda s: m.spike_synchronization(s)[0],
    "neuron_rates": lambda s: m.neuron_rates(s)[0],
    "inter_spike_intervals": lambda s: m.inter_spike_intervals(s).values,
    "cv": lambda s: m.cv(s).values,
    "mean cv": lambda s: m.inter_spike_intervals(s).cv,
    "cv2": lambda s: m.cv2(s).values,
    "local_variation": lambda s: m.local_variation(s).values,
    "revised_local_variation": lambda s: m.revised_local_variation(s).values,
    "fano_factor 40 ms": lambda s: m.fano_factor(s, 40),
    "spike_counts 20 ms": lambda s: m.spike_counts(s, 20).counts[0],
    "population_rate 20 ms": lambda s: m.population_rate(s, 20).rate[0],
    "psth": lambda s: m.psth(s, [50.0, 90.0, 130.0], 20, 40, 5).rate_hz.T,
}
"""Of the trains of one trial."""
ON_GRID = {
    "spike_triggered_average": lambda s: triggered(s, (-4, 3)),
    "spike_triggered_average, after": lambda s: triggered(s, (2, 3.5)),
}
"""Of the trains of one trial on a grid."""
OF_TRIALS = {
    "fano_factor": m.fano_factor,
    "van_rossum_distance of trials": lambda s: m.van_rossum_distance(s, 20, across="samples"),
    "victor_purpura_distance of trials": lambda s: m.victor_purpura_distance(s, 0.05, across="samples"),
}
"""Of several trials."""


def of_case(case):
    """All values of a case, by the measure's name."""
    spikes = spikes_of(case)
    wanted = OF_TRIALS if len(spikes) > 1 else MEASURES
    if "steps" in case:
        wanted = wanted | ON_GRID
    return {name: measure(spikes) for name, measure in wanted.items()}


def differs(found, expected):
    """How values differ from the expected ones by more than rounding, in words; None: they do not."""
    a, b = (np.asarray(x, dtype=object) for x in (found, expected))
    if a.shape != b.shape:
        return f"shape {a.shape}, expected {b.shape}"
    a, b = (np.where(x == None, np.nan, x).astype(float) for x in (a, b))  # noqa: E711 None in an array
    scale = np.nanmax(np.abs(b), initial=0) if b.size else 0
    close = np.isclose(a, b, rtol=1e-9, atol=1e-11 * max(scale, 1), equal_nan=True)
    if close.all():
        return None
    where = tuple(map(int, np.argwhere(~close)[0]))
    return f"{a[where]} at {where}, expected {b[where]}; {(~close).sum()} of {close.size} differ"
