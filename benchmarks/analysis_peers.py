"""What Elephant and PySpike say of spike trains: reads cases as JSON from a file and prints values as JSON.

Runs in an environment of their own, without spikeloom. A case has `duration_ms`, and its trains by trial and neuron,
`times_ms`, or `steps` of `dt_ms`. Numbers have 13 digits; one that is not finite is null.
"""

import json
import sys
import warnings
from collections.abc import Callable, Iterable
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path

import elephant.spike_train_correlation as correlation
import neo
import numpy as np
import pyspike
import quantities as pq
from elephant import statistics
from elephant.conversion import BinnedSpikeTrain
from elephant.spike_train_dissimilarity import van_rossum_distance, victor_purpura_distance
from elephant.spike_train_synchrony import spike_contrast
from elephant.sta import spike_triggered_average

PACKAGES = ("elephant", "neo", "quantities", "pyspike", "numpy", "scipy")
Trains = list[neo.SpikeTrain]


def trials_of(case: dict) -> list[Trains]:
    """The trains of each trial."""
    stop = case["duration_ms"] * pq.ms
    scale, rows = (case["dt_ms"], case["steps"]) if "steps" in case else (1, case["times_ms"])
    return [[neo.SpikeTrain(np.array(t, float) * scale * pq.ms, t_stop=stop) for t in row] for row in rows]


def intervals(train: neo.SpikeTrain) -> np.ndarray:
    return statistics.isi(train).rescale("ms").magnitude


def of_each(trains: Trains, measure: Callable, least: int) -> list:
    """A measure of the intervals of each train that has so many; NaN for the others."""
    found = [intervals(train) for train in trains]
    return [measure(values) if values.size >= least else np.nan for values in found]


def binned(trains: Trains | neo.SpikeTrain, bin_ms: float) -> BinnedSpikeTrain:
    return BinnedSpikeTrain(trains, bin_size=bin_ms * pq.ms)


def over_lags(pairs: Iterable[tuple], bin_ms: float, lags: int, coefficient: bool) -> list:
    """The cross-correlation histogram of pairs; NaN for the coefficient of a silent train."""
    found = []
    for first, second in pairs:
        if not (len(first) and len(second)):
            found.append(np.full(2 * lags + 1, np.nan if coefficient else 0))
            continue
        histogram, _ = correlation.cross_correlation_histogram(
            binned(first, bin_ms),
            binned(second, bin_ms),
            window=[-lags, lags],
            cross_correlation_coefficient=coefficient,
        )
        found.append(histogram.magnitude[:, 0])
    return found


def chi(trains: Trains, bin_ms: float) -> float:
    """Golomb's and Rinzel's chi by its definition, of Elephant's counts."""
    counts = binned(trains, bin_ms).to_array()
    return np.sqrt(counts.mean(axis=0).var() / counts.var(axis=1).mean())


def van_rossum(trains: Trains, tau_ms: float) -> np.ndarray:
    """Elephant's distances, of which those of equal trains are 0 but for the root of a rounding error."""
    found = van_rossum_distance(trains, tau_ms * pq.ms)
    found[found < 1e-6] = 0
    return found


def synchronization(trains: Trains) -> np.ndarray:
    """The matrix of PySpike, with NaN for pairs of silent trains."""
    stop = float(trains[0].t_stop)
    found = pyspike.spike_sync_matrix([pyspike.SpikeTrain(t.magnitude, [0, stop]) for t in trains])
    sizes = np.array([len(t) for t in trains])
    found[(sizes[:, None] + sizes) == 0] = np.nan
    return found


def signal(n: int) -> np.ndarray:
    """The signal of the spike-triggered average, a value a step."""
    k = np.arange(n)
    return np.sin(0.05 * k) + 0.3 * np.cos(0.0017 * k * (k % 97))


def triggered(trains: Trains, dt_ms: float, window: tuple[float, float]) -> list:
    """The average of the same signal for each train."""
    n = round(float(trains[0].t_stop) / dt_ms)
    trace = neo.AnalogSignal(signal(n)[:, None], units="mV", sampling_period=dt_ms * pq.ms)
    averages = [spike_triggered_average(trace, train, tuple(w * pq.ms for w in window)) for train in trains]
    return [average.magnitude[:, 0] for average in averages]


def around(trains: Trains, events_ms: list[float], before: float, after: float, bin_ms: float) -> list:
    """The mean rate of each train around events, in Hz."""
    found = []
    for train in trains:
        times = np.sort(np.concatenate([train.magnitude - event for event in events_ms]))
        near = times[(times >= -before) & (times < after)]
        cut = neo.SpikeTrain(near * pq.ms, t_start=-before * pq.ms, t_stop=after * pq.ms)
        counts = statistics.time_histogram([cut], bin_ms * pq.ms, output="counts").magnitude[:, 0]
        found.append(counts / (len(events_ms) * bin_ms) * 1000)
    return found


def fano_of_windows(trains: Trains, window_ms: float) -> float:
    """The same over windows of each train."""
    stop = float(trains[0].t_stop)
    edges = np.arange(0, stop + window_ms / 2, window_ms)
    parts = [
        [neo.SpikeTrain(t.magnitude[(t.magnitude >= a) & (t.magnitude < b)], units="ms", t_stop=stop) for t in trains]
        for a, b in pairwise(edges)
    ]
    return fano(parts)


def fano(trials: list[Trains]) -> float:
    """The mean over the neurons that fire of the Fano factor over trials."""
    each = [statistics.fanofactor(list(trains)) for trains in zip(*trials, strict=True) if any(map(len, trains))]
    return float(np.mean(each))


OF_TRAINS: dict[str, Callable] = {
    "spike_count_correlation 5 ms": lambda t: correlation.correlation_coefficient(binned(t, 5)),
    "spike_count_correlation 7 ms": lambda t: correlation.correlation_coefficient(binned(t, 7)),
    "spike_count_correlation 20 ms": lambda t: correlation.correlation_coefficient(binned(t, 20)),
    "spike_count_covariance 20 ms": lambda t: correlation.covariance(binned(t, 20)),
    "cross_correlation 5 ms": lambda t: over_lags(pairwise(t), 5, 6, False),
    "cross_correlation 5 ms, coefficient": lambda t: over_lags(pairwise(t), 5, 6, True),
    "autocorrelation 2 ms": lambda t: over_lags([(one, one) for one in t], 2, 15, False),
    "autocorrelation 2 ms, coefficient": lambda t: over_lags([(one, one) for one in t], 2, 15, True),
    "van_rossum_distance 10 ms": lambda t: van_rossum(t, 10),
    "van_rossum_distance 300 ms": lambda t: van_rossum(t, 300),
    "victor_purpura_distance 0.1 / ms": lambda t: victor_purpura_distance(t, 0.1 / pq.ms),
    "victor_purpura_distance 0.002 / ms": lambda t: victor_purpura_distance(t, 0.002 / pq.ms),
    "victor_purpura_distance 0": lambda t: victor_purpura_distance(t, 0 / pq.ms),
    "population_synchrony 5 ms": lambda t: chi(t, 5),
    "spike_contrast": spike_contrast,
    "spike_contrast 3 ms, 0.8": lambda t: spike_contrast(t, min_bin=3 * pq.ms, bin_shrink_factor=0.8),
    "spike_synchronization": synchronization,
    "neuron_rates": lambda t: [statistics.mean_firing_rate(one).rescale("Hz").item() for one in t],
    "inter_spike_intervals": lambda t: np.concatenate([intervals(one) for one in t]),
    "cv": lambda t: of_each(t, statistics.cv, 2),
    "mean cv": lambda t: np.nanmean(of_each(t, statistics.cv, 2)),
    "cv2": lambda t: of_each(t, statistics.cv2, 2),
    "local_variation": lambda t: of_each(t, statistics.lv, 2),
    "revised_local_variation": lambda t: of_each(t, lambda v: statistics.lvr(v * pq.ms, R=5 * pq.ms), 2),
    "fano_factor 40 ms": lambda t: fano_of_windows(t, 40),
    "spike_counts 20 ms": lambda t: binned(t, 20).to_array().T,
    "population_rate 20 ms": lambda t: (
        statistics.time_histogram(t, 20 * pq.ms, output="counts").magnitude[:, 0] / (len(t) * 0.02)
    ),
    "psth": lambda t: around(t, [50.0, 90.0, 130.0], 20, 40, 5),
}
"""Measures of the trains of one trial."""
ON_GRID: dict[str, Callable] = {
    "spike_triggered_average": lambda t, dt: triggered(t, dt, (-4.0, 3.0)),
    "spike_triggered_average, after": lambda t, dt: triggered(t, dt, (2.0, 3.5)),
}
"""Measures of the trains of one trial on a grid."""
OF_TRIALS: dict[str, Callable] = {
    "fano_factor": fano,
    "van_rossum_distance of trials": lambda b: [van_rossum(list(t), 20) for t in zip(*b, strict=True)],
    "victor_purpura_distance of trials": lambda b: [
        victor_purpura_distance(list(t), 0.05 / pq.ms) for t in zip(*b, strict=True)
    ],
}
"""Measures of several trials."""


def values(case: dict) -> dict[str, object]:
    """All values of a case, by the measure's name."""
    trials = trials_of(case)
    if len(trials) > 1:
        found = {name: measure(trials) for name, measure in OF_TRIALS.items()}
    else:
        found = {name: measure(trials[0]) for name, measure in OF_TRAINS.items()}
    if "steps" in case:
        found |= {name: measure(trials[0], case["dt_ms"]) for name, measure in ON_GRID.items()}
    return {name: plain(value) for name, value in found.items()}


def plain(value: object) -> object:
    """Numbers as JSON has them."""
    if isinstance(value, list | tuple | np.ndarray) and np.ndim(value):
        return [plain(v) for v in value]
    number = float(f"{float(value):.13g}")
    return number if np.isfinite(number) else None


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    np.seterr(all="ignore")
    cases = json.loads(Path(sys.argv[1]).read_text())
    packages = {package: version(package) for package in PACKAGES}
    print(json.dumps({"packages": packages, "values": {name: values(case) for name, case in cases.items()}}))
