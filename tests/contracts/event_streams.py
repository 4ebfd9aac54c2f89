"""Streams of events for the tests, and the paths that compute with them."""

from contextlib import contextmanager
from unittest.mock import patch

import numpy as np
from hypothesis import strategies as st

from spikeloom import native
from spikeloom.events import Events, filters_native
from spikeloom.native.library import include, load

PATHS = ["numpy", *native.available()]


@contextmanager
def computed_by(path):
    """Filters and transforms as NumPy code, or compiled for a level of the processor."""
    library = None if path == "numpy" else load(include("event_transforms.hpp"), path)
    with patch.object(filters_native, "compiled", lambda header: library):
        yield


def stream(rows, sensor_size=(8, 6)):
    """Events of rows (t in us, x, y, p)."""
    t, x, y, p = zip(*rows, strict=True) if rows else ([], [], [], [])
    return Events.from_arrays(t, x, y, p, sensor_size)


def rows(events):
    """The events as rows (t, x, y, p)."""
    return list(zip(*(getattr(events, name).tolist() for name in "txyp"), strict=True))


def drawn(n, sensor_size=(8, 6), span=400, seed=0, start=0):
    """n events with times from `start` on within `span` us, sorted."""
    rng = np.random.default_rng(seed)
    width, height = sensor_size
    t = start + np.sort(rng.integers(0, max(span, 1), n))
    return Events.from_arrays(
        t, rng.integers(width, size=n), rng.integers(height, size=n), rng.integers(2, size=n), sensor_size
    )


streams = st.builds(
    drawn,
    n=st.integers(0, 120),
    sensor_size=st.tuples(st.integers(1, 9), st.integers(1, 7)),
    span=st.sampled_from([1, 20, 400, 2**33]),
    seed=st.integers(0, 2**32 - 1),
    start=st.sampled_from([0, -(2**60), 2**60]),
)
