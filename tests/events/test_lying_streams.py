"""Streams of the bare constructor that are not what they say: nothing is written where it must not be."""

import numpy as np
import pytest
from event_streams import PATHS, computed_by

from spikeloom.errors import DataError
from spikeloom.events import Events, crop, time_jitter, time_skew, voxel_grid


def lying(t, width=8):
    """Events that say that they are in order."""
    t = np.asarray(t, np.int64)
    x, p = np.zeros(t.size, np.int16), np.ones(t.size, np.int8)
    return Events(t=t, x=x, y=x, p=p, width=width, height=6, is_sorted=True)


def test_voxels_of_times_before_the_first_are_within_the_grid():
    grid = voxel_grid(
        lying([1000, *range(-(2**40), -(2**40) + 500), 2000, -(2**62), 2**62, 1100]), 5, polarity="merged"
    )
    assert grid.shape == (5, 1, 6, 8)
    assert not grid[:, :, 1:].any()
    assert not grid[:, :, :, 1:].any()


@pytest.mark.parametrize("path", [path for path in PATHS if path != "numpy"])
def test_times_that_are_out_of_order_and_out_of_range_are_jittered_and_skewed_without_overflow(path):
    events = lying([5, *np.resize([2**63 - 1, -(2**63), 7, 0], 70_000), 9])
    with computed_by(path):
        assert len(time_jitter(events, 0.5, np.random.default_rng(1))) == len(events)
        assert len(time_skew(events, 1.0, -5.0)) == len(events)


def test_a_sensor_larger_than_addresses_is_refused():
    with pytest.raises(DataError, match="a side of the sensor must be at most 32768, got"):
        crop(lying([0, 1], width=2**31), (0, 0, 4, 4))
