"""mlGeNN's form of spike trains, sorted by (neuron, time), and what makes it: the edge to `Spikes`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import prod
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError, ParameterError, ShapeError
from ..units import check_dt, steps, times
from .container import Spikes
from .sorting import sorted_keys
from .validate import Numbers, as_array, check_count, check_each, check_shape

Duplicates: TypeAlias = Literal["keep", "merge", "error"]
"""What becomes of several spikes of one neuron at one time: all stay, one stays, or a DataError."""


class PreprocessedSpikes(NamedTuple):
    """One example: where the spikes of each neuron end in spike_times, int64 (N,), and the times in ms, float64 (S,),
    those of neuron 0 first, each neuron's in order. A batch: end_spikes (B, N) that run on over the whole batch."""

    end_spikes: NDArray[np.int64]
    spike_times: NDArray[np.float64]


def preprocess_spikes(
    times: Numbers, ids: Numbers, num_neurons: int, *, duplicates: Duplicates = "keep"
) -> PreprocessedSpikes:
    """The spikes at times in ms of the neurons `ids`, in any order, of a population of num_neurons.

    Raises DataError for a time that is negative or not finite and for an id that is no neuron, ShapeError unless there
    is one id for each time. `duplicates`: what becomes of several spikes of one neuron at one time.
    """
    n = check_count(num_neurons, "preprocess_spikes.num_neurons")
    time, neuron = _times(times, "preprocess_spikes.times"), _ids(ids, n, "preprocess_spikes.ids")
    if time.shape != neuron.shape:
        raise ShapeError(f"preprocess_spikes: expected one id for each time, got {neuron.size} ids, {time.size} times")
    if duplicates not in ("keep", "merge", "error"):
        raise ParameterError(f"preprocess_spikes.duplicates must be 'keep', 'merge' or 'error', got {duplicates!r}")
    if not (time[1:] >= time[:-1]).all():
        by_time = np.argsort(time, kind="stable")
        time, neuron = time[by_time], neuron[by_time]
    neuron, order = sorted_keys(neuron)
    time = time[order]
    again = np.zeros(time.size, np.bool_)
    again[1:] = (neuron[1:] == neuron[:-1]) & (time[1:] == time[:-1])
    if duplicates != "keep" and again.any():
        if duplicates == "error":
            at = int(np.argmax(again))
            raise DataError(f"preprocess_spikes: neuron {neuron[at]} fires twice at {time[at]:g} ms")
        time, neuron = time[~again], neuron[~again]
    return PreprocessedSpikes(np.cumsum(np.bincount(neuron, minlength=n)), time)


def preprocess_tonic_spikes(
    events: Any,
    ordering: Iterable[str],
    shape: Sequence[int],
    time_scale: float = 1 / 1000,
    dt: float | None = None,
    histogram_thresh: float | None = None,
) -> PreprocessedSpikes:
    """The events of a Tonic data set as spikes of x + W * y, or with polarities of p + P * (x + W * y).

    `events` is a structured array (or a mapping of arrays) with the fields that `ordering` names: t and p, and x, or x
    and y. `shape` is the sensor's (W, H, P); where P is 1, polarities are merged. `time_scale` turns t into ms. With
    `histogram_thresh` events of a neuron are counted in steps of dt ms from 0 on: it fires once, at the beginning of
    each step that has at least so many. Raises DataError for an event that is none of the sensor's.
    """
    fields, (width, height, polarities) = _fields(events, ordering), _sensor(shape)
    ids = np.zeros(len(fields["t"]), np.int64)
    if "y" in fields:
        ids = _ids(fields["y"], height, "events['y']") * width
    elif height != 1:
        raise ShapeError(f"preprocess_tonic_spikes.shape {tuple(shape)} has {height} rows, the events have no 'y'")
    ids = ids + _ids(fields["x"], width, "events['x']")
    if polarities > 1:
        ids = ids * polarities + _ids(fields["p"], polarities, "events['p']")
    time = _times(fields["t"], "events['t']") * check_dt(time_scale, "preprocess_tonic_spikes.time_scale")
    n = width * height * polarities
    if histogram_thresh is None and dt is None:
        return preprocess_spikes(time, ids, n)
    if histogram_thresh is None or dt is None:
        raise ParameterError(
            f"preprocess_tonic_spikes: histogram_thresh counts in steps of dt; give both or none, got "
            f"histogram_thresh={histogram_thresh}, dt={dt}"
        )
    return _counted(time, ids, n, dt, histogram_thresh)


def preprocess_tonic_spikes_separate(
    events: Any,
    ordering: Iterable[str],
    shape: Sequence[int],
    time_scale: float = 1 / 1000,
    dt: float | None = None,
    histogram_thresh: float | None = None,
) -> list[PreprocessedSpikes]:
    """As `preprocess_tonic_spikes`, but one for each polarity, each of W * H neurons; ShapeError where P is 1."""
    fields, (width, height, polarities) = _fields(events, ordering), _sensor(shape)
    if polarities == 1:
        raise ShapeError(f"preprocess_tonic_spikes_separate.shape must have several polarities, got {tuple(shape)}")
    of_each = _ids(fields["p"], polarities, "events['p']")
    parts = [{name: values[of_each == p] for name, values in fields.items()} for p in range(polarities)]
    options = (time_scale, dt, histogram_thresh)
    return [preprocess_tonic_spikes(part, part, (width, height, 1), *options) for part in parts]


def batch_spikes(spikes: Sequence[PreprocessedSpikes], batch_size: int) -> PreprocessedSpikes:
    """One batch of up to batch_size examples of one population; those that lack are empty."""
    batch_size = check_count(batch_size, "batch_spikes.batch_size")
    if not all(isinstance(example, PreprocessedSpikes) for example in spikes):
        raise ParameterError("batch_spikes.spikes must be a list of PreprocessedSpikes; of a single one: [spikes]")
    if not 0 < len(spikes) <= batch_size:
        raise ShapeError(f"batch_spikes expected 1 to {batch_size} examples, got {len(spikes)}")
    sizes = {np.shape(example.end_spikes) for example in spikes}
    if len(sizes) > 1 or len(next(iter(sizes))) != 1:
        raise ShapeError(f"batch_spikes: all must be examples of one population, got end_spikes of {sorted(sizes)}")
    totals = np.cumsum([0, *(np.size(example.spike_times) for example in spikes)])
    ends = np.full((batch_size, *sizes.pop()), totals[-1])
    ends[: len(spikes)] = np.stack([example.end_spikes for example in spikes]) + totals[:-1, None]
    if (odd := np.flatnonzero(ends[: len(spikes), -1] != totals[1:])).size:
        raise DataError(f"batch_spikes: end_spikes of example {odd[0]} must rise to the number of its spike times")
    return checked(
        PreprocessedSpikes(ends, np.concatenate([example.spike_times for example in spikes])), "batch_spikes"
    )


def calc_start_spikes(end_spikes: Numbers) -> NDArray[np.int64]:
    """Where the spikes of each neuron begin, from where they end: (N,), or (B, N) of a batch."""
    ends = as_array(end_spikes, "calc_start_spikes.end_spikes").astype(np.int64)
    return np.concatenate(([0], ends.ravel()[:-1])).reshape(ends.shape) if ends.size else ends


def calc_max_spikes(spikes: PreprocessedSpikes | Sequence[PreprocessedSpikes]) -> int:
    """The largest number of spikes that one of the examples has; 0 where there is none."""
    return max((example.spike_times.size for example in _each(spikes)), default=0)


def calc_latest_spike_time(spikes: PreprocessedSpikes | Sequence[PreprocessedSpikes]) -> float:
    """The time in ms of the last spike of all examples; 0 where there is none.

    A window that has all spikes is longer: `floor(latest / dt) + 1` steps.
    """
    return max((float(example.spike_times.max(initial=0.0)) for example in _each(spikes)), default=0.0)


def from_preprocessed(
    spikes: PreprocessedSpikes | Sequence[PreprocessedSpikes],
    shape: int | Sequence[int] | None = None,
    duration: float | None = None,
    *,
    labels: Numbers | None = None,
) -> Spikes:
    """Spikes at times in ms, a sample for each example or row of a batch, of a population of a shape (None: (N,)).

    The window lasts `duration` ms, by default the whole ms that hold the last spike. Nothing is lost: spikes of one
    neuron at one time stay as many as they are.
    """
    examples = _each(spikes)
    sizes = {example.end_spikes.size for example in examples}
    if len(sizes) != 1:
        raise ShapeError(f"from_preprocessed: expected examples of one population, got {sorted(sizes) or 'none'}")
    n = sizes.pop()
    found = (n,) if shape is None else check_shape(shape, "from_preprocessed.shape")
    if prod(found) != n:
        raise ShapeError(f"from_preprocessed.shape {found} has {prod(found)} neurons, the examples have {n}")
    counts = [np.diff(example.end_spikes, prepend=0) for example in examples]
    time = np.concatenate([example.spike_times for example in examples])
    return Spikes.from_times(
        time,
        np.concatenate([np.repeat(np.arange(n), count) for count in counts]),
        found,
        float(np.floor(time.max(initial=0.0))) + 1.0 if duration is None else duration,
        samples=np.repeat(np.arange(len(examples)), [example.spike_times.size for example in examples]),
        labels=labels,
        n_samples=len(examples),
    )


def to_preprocessed(spikes: Spikes) -> list[PreprocessedSpikes]:
    """One for each sample; a spike on a grid is at the beginning of its step. DataError for spikes with values.

    The spikes' shape, duration and labels stay behind.
    """
    if spikes.value is not None:
        raise DataError("to_preprocessed: PreprocessedSpikes hold no values, the spikes have some; drop them first")
    time = spikes.times_ms()
    bounds = zip(spikes.offsets[:-1], spikes.offsets[1:], strict=True)
    return [preprocess_spikes(time[a:b], spikes.ids[a:b], spikes.n_neurons) for a, b in bounds]


def checked(spikes: PreprocessedSpikes, owner: str) -> PreprocessedSpikes:
    """The same as arrays of int64 and float64; an error unless ends rise up to the number of times, all times of 0 or
    more, each neuron's in order."""
    if not isinstance(spikes, tuple) or len(spikes) != 2:
        raise ParameterError(f"{owner} must be PreprocessedSpikes, got {type(spikes).__name__}; use preprocess_spikes")
    ends, time = as_array(spikes[0], f"{owner}.end_spikes"), _times(spikes[1], f"{owner}.spike_times")
    if ends.dtype.kind not in "iu" or ends.ndim not in (1, 2) or not ends.size:
        raise ShapeError(f"{owner}.end_spikes must be integers (N,) or (B, N), got {ends.dtype} {ends.shape}")
    ends = ends.astype(np.int64)
    counts = np.diff(ends.ravel(), prepend=0)
    if counts.sum() != time.size or (counts < 0).any():
        raise DataError(f"{owner}.end_spikes must rise from 0 to {time.size}, the number of its spike times")
    neuron = np.repeat(np.arange(ends.size), counts)
    if ((np.diff(time) < 0) & (neuron[1:] == neuron[:-1])).any():
        raise DataError(f"{owner}.spike_times must be in order for each neuron; use preprocess_spikes")
    return PreprocessedSpikes(ends, time)


def _each(spikes: PreprocessedSpikes | Sequence[PreprocessedSpikes]) -> list[PreprocessedSpikes]:
    """The examples of a list, or of a batch, or the only one."""
    if not isinstance(spikes, PreprocessedSpikes):
        parts = [checked(example, f"spikes[{k}]") for k, example in enumerate(spikes)]
        return [example for part in parts for example in _each(part)]
    ends, time = checked(spikes, "spikes")
    if ends.ndim == 1:
        return [PreprocessedSpikes(ends, time)]
    starts = np.concatenate(([0], ends[:-1, -1]))
    return [PreprocessedSpikes(row - a, time[a : row[-1]]) for a, row in zip(starts, ends, strict=True)]


def _counted(time: NDArray[Any], ids: NDArray[Any], n: int, dt: float, thresh: float) -> PreprocessedSpikes:
    """A spike for each neuron and step of dt ms with at least `thresh` events."""
    if not isinstance(thresh, (int, float, np.number)) or isinstance(thresh, bool) or not 0 < thresh < np.inf:
        raise ParameterError(f"preprocess_tonic_spikes.histogram_thresh must be a number above 0, got {thresh!r}")
    step = steps(time, dt)
    n_steps = int(step.max(initial=0)) + 1
    if n * n_steps >= 2**63:
        raise ParameterError(f"preprocess_tonic_spikes.dt {dt} ms gives {n_steps} steps, more than can be counted")
    keys, count = np.unique(ids * n_steps + step, return_counts=True)
    keys = keys[count >= thresh]
    ends = np.cumsum(np.bincount(keys // n_steps, minlength=n))
    return PreprocessedSpikes(ends, times(keys % n_steps, dt))


def _fields(events: Any, ordering: Iterable[str]) -> dict[str, NDArray[Any]]:
    """The columns of events that `ordering` names."""
    known = tuple(ordering)
    if not {"t", "p", "x"} <= set(known):
        raise ParameterError(f"ordering must name t, p and x (and y of a camera), got {known}")
    names = [name for name in "txyp" if name in known]
    has = events.keys() if isinstance(events, Mapping) else getattr(getattr(events, "dtype", None), "names", None) or ()
    if missing := [name for name in names if name not in has]:
        raise DataError(f"events must have the fields {', '.join(names)}, got {tuple(has)}; {missing} lack")
    columns = {name: as_array(events[name], f"events[{name!r}]") for name in names}
    shapes = [column.shape for column in columns.values()]
    if len(set(shapes)) > 1 or len(shapes[0]) != 1:
        raise ShapeError(f"events: {', '.join(names)} must be one-dimensional and equally long, got {shapes}")
    return columns


def _sensor(shape: Sequence[int]) -> tuple[int, int, int]:
    sizes = check_shape(shape, "shape")
    if len(sizes) != 3:
        raise ShapeError(f"shape must be the sensor's (width, height, polarities), got {shape}")
    return sizes[0], sizes[1], sizes[2]


def _times(times: Numbers, owner: str) -> NDArray[np.float64]:
    """Times (S,) as float64, finite and not below 0."""
    array = as_array(times, owner)
    if array.ndim != 1:
        raise ShapeError(f"{owner} must be one-dimensional, got shape {array.shape}")
    check_each(array, np.isfinite(array) & (array >= 0), owner, "a finite time from 0 on")
    return array.astype(np.float64)


def _ids(ids: Numbers, limit: int, owner: str) -> NDArray[np.int64]:
    """Whole numbers (S,) from 0 to below the limit as int64, of whatever type they are."""
    array = as_array(ids, owner)
    if array.ndim != 1:
        raise ShapeError(f"{owner} must be one-dimensional, got shape {array.shape}")
    whole = array.dtype.kind in "iub"
    if not whole or (array.size and not 0 <= array.min() <= array.max() < limit):
        fits = (array >= 0) & (array < limit) & (whole or array == np.rint(array))
        check_each(array, fits, owner, f"a whole number from 0 to below {limit}")
    return array.astype(np.int64)
