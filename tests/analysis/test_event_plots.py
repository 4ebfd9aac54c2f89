"""Figures of event streams: what is drawn where, and streams at the edge of being drawn at all."""

import numpy as np
import pytest

from spikeloom.analysis.event_plots import draw_events
from spikeloom.errors import ParameterError
from spikeloom.events import Events


def images(figure):
    return [axes.images[0].get_array() for axes in figure.axes if axes.images]


def test_frames_show_on_events_blue_and_off_events_orange_in_their_part_of_the_time():
    events = Events.from_arrays([0, 10_000, 99_999], [0, 0, 2], [0, 0, 1], [1, 1, 0], (30, 20))
    first, second = images(draw_events(events, 2))
    assert first.shape == (20, 30, 3)
    assert first[0, 0, 2] > first[0, 0, 0]  # more blue than red
    assert second[1, 2, 0] > second[1, 2, 2]
    assert np.all(first[1] == 1)
    assert np.all(second[0] == 1)


def test_frames_of_a_dense_stream_are_short_and_marked():
    t = np.arange(100_000)
    figure = draw_events(Events.from_arrays(t, t % 16, t // 16 % 16, t % 2, (16, 16)), 4)
    bands = [patch.get_extents() for patch in figure.axes[-1].patches if patch.get_alpha() == 0.1]
    assert len(bands) == 4
    assert all((image < 1).any(2).mean() < 0.5 for image in images(figure))


def test_the_rate_is_that_of_each_polarity_and_a_burst_is_told():
    t = np.concatenate([np.zeros(5000, int), np.arange(0, 1_000_000, 100)])
    figure = draw_events(Events.from_arrays(t, t % 8, t % 8, t // 100 % 2, (8, 8)))
    off, on = figure.axes[-1].patches[:2]
    assert np.median(on.get_data().values) == pytest.approx(5, rel=0.05)
    assert "peak of" in figure.axes[-1].texts[0].get_text()
    assert off.get_data().values.max() > figure.axes[-1].get_ylim()[1]


def test_streams_of_none_one_and_unsorted_events_are_drawn():
    for events in (Events.from_arrays([], [], [], []), Events.from_arrays([7], [0], [0], [1]),
                   Events.from_arrays([9, 2], [1, 0], [0, 0], [1, 0])):  # fmt: skip
        assert len(images(draw_events(events, 3, title="a stream"))) == 3
    with pytest.raises(ParameterError, match=r"draw_events.n_frames must be an integer of at least 1"):
        draw_events(Events.from_arrays([], [], [], []), 0)
