"""Responses to events: the histogram around them, the latency of the first spike, information per spike."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...errors import ParameterError, ShapeError
from ...spikes import Spikes
from ..windows import Window
from .bins import PRECISION, TOLERANCE, Array, bin_of, check_not_negative, check_positive, check_size

_CELLS = 1 << 20
"""How many bins around events are looked at a time."""


class Psth(NamedTuple):
    """The response of each neuron around events.

    start_ms (K,): where the bins of `bin_ms` begin, from the event on. rate_hz (K, N): the rate in each, averaged over
    events and samples; NaN where nothing was recorded. counts (K, N): the spikes in each. covered_ms (K,): the time
    that was recorded in each, over events and samples. n_events: of how many events, of all samples, any was recorded.
    """

    start_ms: Array
    bin_ms: float
    rate_hz: Array
    counts: NDArray[np.int64]
    covered_ms: Array
    n_events: int


class _Segment(NamedTuple):
    """The part of a run that lies in a window: from when to when in the window's units, and on the clock in ms."""

    window: Window
    run: NDArray[Any]
    begin: float
    end: float


class PsthAccumulator:
    """The response around events over windows; see `psth`. Keeps the windows that `before_ms` reaches back to."""

    def __init__(self, events_ms: ArrayLike, before_ms: float, after_ms: float, bin_ms: float) -> None:
        self._events = _checked_events(events_ms)
        self._before = check_not_negative(before_ms, "psth.before_ms")
        self._bin_ms = check_positive(bin_ms, "psth.bin_ms")
        span = self._before + check_positive(after_ms, "psth.after_ms")
        self._n_bins = int(np.floor(span / self._bin_ms + TOLERANCE))
        if not 1 <= self._n_bins <= 1 << 20:
            raise ParameterError(
                f"psth.bin_ms must cut before_ms + after_ms, {span:g} ms, into 1 to {1 << 20} bins, got {bin_ms!r}"
            )
        self._recent: list[_Segment] = []
        self._run_begin, self._n_events = 0.0, 0
        self._counts, self._covered = np.zeros((self._n_bins, 0), np.int64), np.zeros(self._n_bins)

    def add(self, window: Window) -> None:
        """Takes the next window of the layer."""
        if not self._counts.shape[1]:
            check_size(self._n_bins * window.spikes.n_neurons, "psth", "wider bins or a shorter time around events")
            self._counts = np.zeros((self._n_bins, window.spikes.n_neurons), np.int64)
        for k, (begin, end) in enumerate((window.runs + window.begin) * window.unit_ms):
            if k or not window.goes_on:
                self._recent, self._run_begin = [], float(begin)
            self._take(_Segment(window, window.runs[k], float(begin), float(end)))

    def result(self) -> Psth:
        """The response over all windows so far."""
        covered = self._covered[:, None] / 1000
        start = np.arange(self._n_bins, dtype=np.float64) * self._bin_ms - self._before
        known = np.broadcast_to(covered > 0, self._counts.shape)
        rate = np.divide(self._counts, covered, out=np.full(self._counts.shape, np.nan), where=known)
        return Psth(start, self._bin_ms, rate, self._counts.copy(), self._covered.copy(), self._n_events)

    def _take(self, segment: _Segment) -> None:
        """Counts what a segment says of earlier events of its run, and what it and the ones before say of its own."""
        slack, reach = _slack(self._bin_ms, segment.window), self._n_bins * self._bin_ms - self._before
        edges = [max(self._run_begin, segment.begin - reach), segment.begin, segment.end]
        first, own, last = np.searchsorted(self._events, np.array(edges) - slack)
        self._count(segment, self._events[first:last])
        for earlier in self._recent:
            self._count(earlier, self._events[own:last])
        self._n_events += int(last - own) * len(segment.window.spikes)
        self._recent = [each for each in [*self._recent, segment] if each.end > segment.end - self._before]

    def _count(self, segment: _Segment, events: Array) -> None:
        """Adds the spikes of a segment around some events, and the time of it that these cover."""
        spikes, step = segment.window.spikes, max(1, _CELLS // self._n_bins)
        for some in (events[k : k + step] - self._before for k in range(0, len(events), step)):
            edges = some[:, None] + np.arange(self._n_bins + 1) * self._bin_ms
            covered = np.diff(np.clip(edges, segment.begin, segment.end))
            self._covered += covered.sum(0) * len(spikes)
            for a, b in zip(spikes.offsets[:-1], spikes.offsets[1:], strict=True):
                self._add(segment, slice(a, b), edges)

    def _add(self, segment: _Segment, sample: slice, edges: Array) -> None:
        """Adds the spikes of one sample in the bins with these edges (E, K + 1)."""
        window, n = segment.window, segment.window.spikes.n_neurons
        at, ids, offset = window.at[sample], window.spikes.ids[sample], window.begin * window.unit_ms
        cuts = (edges[:, [0, -1]].T - _slack(self._bin_ms, window) - offset) / window.unit_ms
        begin, end = np.searchsorted(at, np.clip(cuts, *segment.run))
        n_each = end - begin
        of = np.repeat(np.arange(len(edges)), n_each)
        place = np.arange(len(of)) + np.repeat(begin - np.cumsum(n_each) + n_each, n_each)
        since = at[place] * window.unit_ms + offset - edges[of, 0]
        bins = np.clip(bin_of(since + _slack(self._bin_ms, window), self._bin_ms), 0, self._n_bins - 1)
        self._counts += np.bincount(bins * n + ids[place], minlength=self._counts.size).reshape(-1, n)


def _slack(bin_ms: float, window: Window) -> float:
    """By how many ms a time may lie before an edge and still belong behind it."""
    clock = window.begin * window.unit_ms + window.spikes.duration
    return min(TOLERANCE * bin_ms, 1e-3 * window.unit_ms) + PRECISION * clock


def psth(spikes: Spikes, events_ms: ArrayLike, before_ms: float, after_ms: float, bin_ms: float) -> Psth:
    """The peri-stimulus time histogram: the rate of each neuron from before_ms before to after_ms after events.

    events_ms (E,): their times, the same in each sample; [0] with before_ms=0 averages over samples from their begin.
    An event outside of the recording is left out; of one near its border the bins that were recorded count. What is
    left after the last whole bin of `bin_ms` is not counted.
    """
    measure = PsthAccumulator(events_ms, before_ms, after_ms, bin_ms)
    measure.add(Window.of(spikes))
    return measure.result()


class FirstSpikeLatencyAccumulator:
    """The latency after an onset on the layer's clock, in the run that it lies in; see `first_spike_latency`."""

    def __init__(self, onset_ms: float = 0.0) -> None:
        self._onset = check_not_negative(onset_ms, "first_spike_latency.onset_ms")
        self._is_in_run = False
        self._latency = np.zeros((0, 0))

    def add(self, window: Window) -> None:
        """Takes the next window of the layer."""
        onset = self._onset / window.unit_ms - window.begin + TOLERANCE
        for k, (begin, end) in enumerate(window.runs):
            self._is_in_run = self._is_in_run and not k and window.goes_on
            if not self._latency.size or begin <= onset < end:
                self._latency = np.full((len(window.spikes), window.spikes.n_neurons), np.nan)
                self._is_in_run = bool(begin <= onset < end)
            if self._is_in_run:
                self._take(window, window.run_of_spikes() == k, onset - 2 * TOLERANCE)

    def result(self) -> Array:
        """The latencies (B, N) in all windows so far; NaN where there is none."""
        return self._latency.copy()

    def _take(self, window: Window, inside: NDArray[np.bool_], onset: float) -> None:
        """Takes the first spike of each train that has none yet."""
        spikes, flat = window.spikes, self._latency.reshape(-1)
        late = inside & (window.at >= onset)
        train = (spikes.samples() * spikes.n_neurons + spikes.ids)[late]
        since = np.maximum((window.at[late] + float(window.begin)) * window.unit_ms - self._onset, 0)
        first = np.full(flat.size, np.nan)
        first[train[::-1]] = since[::-1]
        flat[:] = np.where(np.isnan(flat), first, flat)


def first_spike_latency(spikes: Spikes, onset_ms: float = 0.0) -> Array:
    """The time in ms from the onset to the first spike of each neuron in each sample, (B, N).

    A spike at the onset has latency 0; NaN for a neuron that does not fire from then on.
    """
    measure = FirstSpikeLatencyAccumulator(onset_ms)
    measure.add(Window.of(spikes))
    return measure.result()


class InformationPerSpike(NamedTuple):
    """Bits that one spike says of when it is in the stimulus, of each neuron, and what of them is bias, about."""

    bits: Array
    bias_bits: Array


def information_per_spike(rates: ArrayLike, n_spikes: ArrayLike | None = None) -> InformationPerSpike:
    """The mean of (r / mean r) log2(r / mean r) over equal bins (Brenner et al., 2000, Neural Comput 12).

    rates (K,) of one neuron, or (K, N), in any unit: those of a PSTH over many repeats of one stimulus. Few spikes look
    informative: with n_spikes, the spikes that the rates were counted from, (N,), bias_bits is (K - 1) / (2 n ln 2)
    (Miller, 1955, for spikes that are independent of each other), to be subtracted; without, it is NaN and bits are
    too high. NaN for a neuron without spikes. Raises for rates below 0 and for fewer than two bins.
    """
    found = _numbers(rates, "information_per_spike.rates")
    if found.ndim not in (1, 2) or len(found) < 2:
        raise ShapeError(f"information_per_spike.rates must have shape (K,) or (K, N), K from 2 on, got {found.shape}")
    if not np.isfinite(found).all() or (found < 0).any():
        raise ParameterError("information_per_spike.rates must be finite and not negative; leave out bins without data")
    columns = found.reshape(len(found), -1)
    mean = columns.mean(0)
    ratio = np.divide(columns, mean, out=np.full(columns.shape, np.nan), where=np.broadcast_to(mean > 0, columns.shape))
    logs = np.log2(ratio, out=np.zeros(ratio.shape), where=ratio > 0)
    bits = (ratio * logs).mean(0)
    given = np.full(bits.shape, np.nan) if n_spikes is None else _numbers(n_spikes, "information_per_spike.n_spikes")
    if given.shape not in ((), bits.shape):
        raise ShapeError(f"information_per_spike.n_spikes must have shape {bits.shape}, got {given.shape}")
    if (given < 0).any():
        raise ParameterError(f"information_per_spike.n_spikes must not be negative, got {n_spikes!r:.80}")
    known = (mean > 0) & (given > 0)
    bias = np.divide((len(found) - 1) / (2 * np.log(2)), given, out=np.full(bits.shape, np.nan), where=known)
    return InformationPerSpike(bits, bias)


def _numbers(values: ArrayLike, owner: str) -> Array:
    """Values as float64; ParameterError unless they are numbers."""
    try:
        return np.asarray(values, np.float64)
    except (TypeError, ValueError) as error:
        raise ParameterError(f"{owner} must be numbers, got {values!r:.80}") from error


def _checked_events(events_ms: ArrayLike) -> Array:
    """The times of events in ms in order; ParameterError unless they are some."""
    events = np.sort(np.atleast_1d(_numbers(events_ms, "psth.events_ms")))
    if events.ndim != 1 or not len(events) or not np.isfinite(events).all():
        raise ParameterError(f"psth.events_ms must be one or more finite times in ms, (E,), got {events_ms!r:.80}")
    return events
