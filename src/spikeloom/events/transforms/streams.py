"""Streams put together: merged by time, and with noise."""

from __future__ import annotations

from dataclasses import replace
from functools import reduce

import numpy as np

from ...errors import ParameterError, ShapeError
from ...native import memory
from ..container import DTYPES, Events
from ..filters_checks import check_range, check_sorted, checked, need
from ..filters_native import contiguous, library

MOST_NOISE = 2**32
"""How many events of noise a rate may make."""


def merge(*streams: Events) -> Events:
    """The events of all streams in order of time; those of one time in the order of the streams.

    The streams are sorted and of one sensor size.
    """
    if not streams:
        raise ParameterError("merge expected at least one stream, got none")
    sizes = {check_sorted(stream, "merge").sensor_size for stream in streams}
    if len(sizes) > 1:
        raise ShapeError(f"merge: all streams must be of one sensor size, got {sorted(sizes)}")
    return reduce(_merged, streams)


def _merged(a: Events, b: Events) -> Events:
    if (native := library()) is None:
        return Events.concatenate([a, b]).sorted()
    both = [memory.empty(len(a) + len(b), dtype) for dtype in DTYPES.values()]
    result = np.zeros(1, np.int64)
    native.call("merge_events", *contiguous(a), len(a), a.width, a.height, *both, result, *contiguous(b), len(b))
    t, x, y, p = both
    return replace(a, t=t, x=x, y=y, p=p)


def uniform_noise(
    events: Events, n: int | None = None, generator: np.random.Generator | None = None, *, rate: float | None = None
) -> Events:
    """The events and noise: n more, or as many as pixels fire that fire at `rate` Hz each (Poisson), in order of time.

    Their pixels, polarities and times (in microseconds, from the first to the last event) are drawn uniformly. Where
    there are no events there is no span of time, and nothing is added.
    """
    n, rate = checked("uniform_noise", n=n, rate=rate)
    if (n is None) == (rate is None):
        raise ParameterError("uniform_noise expected one of n, a number of events, and rate in Hz a pixel")
    generator = need(generator, "uniform_noise")
    check_range(check_sorted(events, "uniform_noise"), "uniform_noise")
    if not len(events):
        return events
    pixels = events.width * events.height
    expected = 0.0 if rate is None else rate * pixels * events.duration / 1000
    if expected > MOST_NOISE:
        raise ParameterError(f"uniform_noise.rate must make at most {MOST_NOISE} events, got {rate} Hz: {expected:g}")
    count = int(generator.poisson(expected)) if n is None else n
    place = generator.integers(2 * pixels, size=count)
    t = np.sort(generator.integers(events.t[0], events.t[-1], size=count, endpoint=True))
    y, x = np.divmod(place >> 1, events.width)
    noise = replace(events, t=t, x=x.astype(np.int16), y=y.astype(np.int16), p=(place & 1).astype(np.int8))
    return _merged(events, noise)
