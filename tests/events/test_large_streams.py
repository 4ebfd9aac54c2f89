"""Streams and frames that no cache holds are written past it: with what NumPy makes of them, on every level."""

from unittest.mock import patch

import numpy as np
import pytest
from event_streams import PATHS, computed_by, drawn

from spikeloom.events import (
    crop,
    drop_by_area,
    drop_by_time,
    drop_events,
    drop_pixels,
    drop_pixels_at_random,
    frames,
    hot_pixels,
    spatial_jitter,
    time_jitter,
    time_reversal,
    time_skew,
    time_surface,
    voxel_grid,
)
from spikeloom.events.representations import pixels
from spikeloom.native import memory
from spikeloom.native.library import include, load

LARGE = drawn(2**20 + 1003, (90, 70), 2_000_000, seed=1)
LEVELS = [path for path in PATHS if path != "numpy"]


def generator():
    return np.random.default_rng(3)


SELECTING = {
    "crop": lambda e: crop(e, (10, 20, 50, 30)),
    "area": lambda e: drop_by_area(e, 0.3, generator()),
    "span": lambda e: drop_by_time(e, 0.3, generator()),
    "events": lambda e: drop_events(e, 0.3, generator()),
    "pixels": lambda e: drop_pixels(e, [(3, 4), (89, 69), (0, 0)]),
    "some pixels": lambda e: drop_pixels_at_random(e, 0.2, generator()),
    "hot": lambda e: hot_pixels(e, sigma=1.0),
    "places": lambda e: spatial_jitter(e, 1.5, generator()),
    "times": lambda e: time_jitter(e, 0.7, generator()),
    "clipped times": lambda e: time_jitter(e, 0.7, generator(), negative="clip"),
    "skew": lambda e: time_skew(e, 1.37, 2.5),
    "reversal": lambda e: time_reversal(e),
}


@pytest.mark.parametrize("name", SELECTING)
def test_a_large_stream_becomes_what_numpy_makes_of_it(name):
    with computed_by("numpy"):
        expected = SELECTING[name](LARGE)
    for level in LEVELS:
        with computed_by(level):
            found = SELECTING[name](LARGE)
            assert found.equals(expected)
            assert found.is_sorted


@pytest.mark.parametrize("name", ["crop", "hot", "reversal"])
def test_a_result_stays_as_it_is_while_the_memory_of_others_is_lent_again(name):
    for level in LEVELS:
        with computed_by(level):
            kept = SELECTING[name](LARGE)
            copies = [getattr(kept, field).copy() for field in "txyp"]
            for other in ("skew", "places", "area", "reversal"):
                SELECTING[other](LARGE)
            assert all(np.array_equal(getattr(kept, f), c) for f, c in zip("txyp", copies, strict=True))


DRAWN = {
    "dense": lambda e: frames(e, n_bins=400, dtype="int16"),
    "sparse": lambda e: frames(e[:3000], n_bins=400, dtype="float32"),
    "full bytes": lambda e: frames(e.with_arrays(x=e.x // 60, y=e.y // 60), n_bins=800, polarity="merged"),
    "bytes": lambda e: frames(e, n_bins=2000, dtype="uint8"),
    "voxels": lambda e: voxel_grid(e, 700),
    "voxels of a longer time": lambda e: voxel_grid(e, 700, start=-500.0, end=2500.0),
    "surfaces": lambda e: time_surface(e, 5.0, every=4.0),
    "odd surfaces": lambda e: time_surface(crop(e, (0, 0, 89, 67)), 5.0, every=4.0, polarity="merged"),
}


@pytest.mark.parametrize("name", DRAWN)
def test_large_pictures_are_those_of_numpy_whatever_their_memory_held(name):
    with patch.object(pixels, "compiled", lambda header: None):
        expected = DRAWN[name](LARGE)
    for level in LEVELS:
        library = load(include("event_frames.hpp"), level)
        memory.release()
        memory.empty(expected.nbytes, np.uint8).fill(0x7F)
        with patch.object(pixels, "compiled", lambda header, found=library: found):
            found = DRAWN[name](LARGE)
        assert found.dtype == expected.dtype
        np.testing.assert_allclose(found, expected, rtol=2e-6, atol=2e-6)
