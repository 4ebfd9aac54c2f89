"""Figures hold the data they were given, and pages what they were told, escaped."""

import subprocess
import sys

import numpy as np
import pytest

from spikeloom.analysis import (
    plots,
    votes,
)
from spikeloom.errors import ParameterError, ShapeError
from spikeloom.recording import SpikeBatch
from spikeloom.spikes import Spikes


def spikes_of(n_steps=40, n_samples=2, n=6, p=0.2, seed=0):
    raster = np.random.default_rng(seed).random((n_steps, n_samples, n)) < p
    return Spikes.from_raster(raster.astype(np.int8), 0.5)


def test_a_raster_has_one_mark_for_each_spike_of_the_sample():
    spikes = spikes_of()
    (marks,) = plots.raster(spikes, 1).axes[0].collections
    expected = set(zip(spikes[1].times_ms(), spikes[1].ids, strict=True))
    assert {tuple(point) for point in marks.get_offsets()} == expected


def test_a_raster_of_some_neurons_says_so_and_shows_only_those():
    axes = plots.raster(spikes_of(), max_neurons=3).axes[0]
    assert "first 3 of 6 neurons" in axes.get_title(loc="left")
    assert axes.collections[0].get_offsets()[:, 1].max() <= 2


def test_a_raster_of_many_spikes_is_an_image_of_their_counts():
    spikes = Spikes.from_raster(np.ones((700, 1, 301), np.int8), 0.1)
    (image,) = plots.raster(spikes).axes[0].images
    assert image.get_array().sum() == spikes.n_spikes == 210_700
    assert (image.get_array() == 1).all()


def test_an_image_of_grouped_spikes_keeps_every_one():
    spikes = spikes_of(n_steps=2501, n_samples=1, n=1001, p=0.1)
    (image,) = plots.raster(spikes).axes[0].images
    assert image.get_array().sum() == spikes.n_spikes


def test_a_timeline_shows_the_rate_of_each_bin():
    raster = np.zeros((20, 1, 2), np.int8)
    raster[:10, 0, 0] = 1
    steps = plots.rate_timeline(Spikes.from_raster(raster, 1.0), 10).axes[0].patches[1]
    assert np.asarray(steps.get_data().values).tolist() == [500, 0]


def test_many_rates_become_a_histogram_and_few_become_bars():
    assert len(plots.neuron_rate_bars(np.arange(5.0)).axes[0].patches) == 5
    assert sum(bar.get_height() for bar in plots.neuron_rate_bars(np.arange(500.0)).axes[0].patches) == 500


def test_membrane_traces_and_threshold_are_drawn():
    v = np.random.default_rng(0).random((30, 4))
    figure = plots.membrane_traces(v, 0.5, threshold=0.9, neurons=[3, 1])
    for axes, n in zip(figure.axes, (3, 1), strict=True):
        trace, threshold = axes.lines
        assert np.array_equal(trace.get_ydata(), v[:, n])
        assert trace.get_xdata()[-1] == 14.5
        assert list(threshold.get_ydata()) == [0.9, 0.9]
    assert figure.axes[0].get_title(loc="right") == "dashed: threshold 0.9"
    assert plots.membrane_traces(v, 0.5).axes[0].get_title(loc="right") == ""


def test_membrane_traces_do_not_cross_runs():
    axes = plots.membrane_traces(np.arange(20.0)[:, None], 0.5, runs=[(0, 4), (4, 10)]).axes[0]
    assert [len(line.get_xdata()) for line in axes.lines[:2]] == [8, 12]


def test_a_raster_shows_runs_notes_gaps_and_classes():
    spikes = spikes_of()
    axes = plots.raster(spikes, runs=[(5, 10), (10, 20)], notes=["a", "b"], classes=["x", "y", "z"]).axes[0]
    assert [line.get_xdata()[0] for line in axes.lines] == [10]
    assert [text.get_text() for text in axes.texts] == ["a", "b"]
    assert [text.get_text() for text in axes.get_yticklabels()] == ["x", "y", "z"]
    assert axes.get_yticks().tolist() == [0.5, 2.5, 4.5]
    assert (0, 5) in [(p.get_x(), p.get_width()) for p in axes.patches]


def test_a_spike_at_the_first_step_lies_inside_the_axis():
    assert plots.raster(spikes_of()).axes[0].get_xlim()[0] < 0


def test_a_timeline_is_averaged_over_what_was_recorded():
    raster = np.zeros((20, 1, 1), np.int8)
    raster[10:15] = 1
    (mean, *_) = plots.rate_timeline(Spikes.from_raster(raster, 1.0), 5, runs=[(10, 20)]).axes[0].lines
    assert mean.get_ydata()[0] == 500


@pytest.mark.parametrize(
    ("last", "ticks"),
    [(1, [1]), (4, [1, 2, 3, 4]), (20, [5, 10, 15, 20]), (23, [5, 10, 15, 23]), (200, [50, 100, 150, 200])],
)
def test_epochs_have_whole_ticks_and_the_last_epoch_one(last, ticks):
    axes = plots.training_curve("loss", {"train": list(range(last))}).axes[0]
    assert axes.get_xticks().tolist() == ticks
    assert axes.get_xlim()[0] < 1 <= last < axes.get_xlim()[1]


def test_a_confusion_matrix_counts_truth_by_answer():
    axes = plots.confusion_matrix([0, 0, 1, 2], [0, 2, 1, 2], ["a", "b", "c"]).axes[0]
    assert {(t.get_position(), t.get_text()) for t in axes.texts} == {
        ((0, 0), "1"),
        ((2, 0), "1"),
        ((1, 1), "1"),
        ((2, 2), "1"),
    }
    assert axes.images[0].get_array()[0].tolist() == [0.5, 0, 0.5]


def test_votes_are_counted_by_run_sample_and_class():
    raster = np.zeros((6, 2, 4), np.int8)
    raster[0, 0, [0, 1]] = raster[1, 0, 2] = raster[3, 0, 3] = raster[5, 1, 1] = 1
    found = votes(SpikeBatch(12, Spikes.from_raster(raster, 1.0), (3, 3)), 2)
    assert found.start.tolist() == [12, 15]
    assert found.counts.tolist() == [[[2, 1], [0, 0]], [[0, 1], [1, 0]]]
    assert found.answers.tolist() == [[0, 0], [1, 0]]


def test_training_curves_have_a_panel_for_each_quantity():
    figure = plots.training_curves({"accuracy (%)": {"train": [50, 80], "test": [40, 70]}, "loss": {"train": [2, 1]}})
    assert [axes.get_ylabel() for axes in figure.axes] == ["accuracy (%)", "loss"]
    assert list(figure.axes[0].lines[1].get_ydata()) == [40, 70]


def test_inputs_stand_beside_their_own_spikes():
    images, spikes = np.random.default_rng(0).random((2, 4, 4)), spikes_of()
    figure = plots.inputs_beside_spikes(images, spikes, labels=["cat", "dog"])
    assert np.array_equal(figure.axes[2].images[0].get_array(), images[1])
    assert len(figure.axes[3].collections[0].get_offsets()) == spikes[1].n_spikes
    assert figure.axes[2].get_ylabel() == "dog"


def test_a_weights_histogram_counts_every_weight():
    bars = plots.weights_histogram(np.random.default_rng(0).normal(size=(20, 30))).axes[0].patches
    assert sum(bar.get_height() for bar in bars) == 600


@pytest.mark.parametrize(
    ("draw", "error", "message"),
    [
        (lambda: plots.raster(spikes_of(), 2), ParameterError, r"sample must be in 0\.\.1"),
        (lambda: plots.raster(spikes_of(), max_neurons=0), ParameterError, "max_neurons"),
        (lambda: plots.rate_timeline(spikes_of(), 0), ParameterError, "bin_ms"),
        (lambda: plots.neuron_rate_bars([]), ParameterError, "finite numbers"),
        (lambda: plots.weights_histogram([np.nan]), ParameterError, "finite numbers"),
        (lambda: plots.membrane_traces(np.ones(3), 1.0), ShapeError, r"\(T, N\)"),
        (lambda: plots.membrane_traces(np.ones((3, 2)), 1.0, neurons=[2]), ParameterError, "neurons must be in"),
        (lambda: plots.raster(spikes_of(), classes="abcd"), ParameterError, "classes must divide the 6"),
        (lambda: plots.confusion_matrix([0], [2], "ab"), ParameterError, r"must be in 0\.\.1"),
        (lambda: plots.confusion_matrix([0], [0, 1], "ab"), ShapeError, "a truth and an answer"),
        (lambda: votes(SpikeBatch(0, spikes_of()), 4), ParameterError, "must divide 6 neurons"),
        (lambda: plots.training_curves({}), ParameterError, "at least one panel"),
        (lambda: plots.inputs_beside_spikes(np.ones((3, 2, 2)), spikes_of()), ShapeError, "K = 2"),
    ],
)
def test_what_cannot_be_drawn_is_refused(draw, error, message):
    with pytest.raises(error, match=message):
        draw()


def test_drawing_leaves_pyplot_alone():
    code = "import spikeloom.analysis, sys; assert 'matplotlib.pyplot' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_histogram_of_rates_has_as_many_whole_spikes_in_each_bin():
    counts = np.random.default_rng(0).binomial(500, 0.01, 5000)
    bars = plots.neuron_rate_bars(counts / 0.5).axes[0].patches
    heights = [round(bar.get_height()) for bar in bars]
    assert heights == np.bincount(counts)[counts.min() : counts.min() + len(heights)].tolist()
    assert sum(heights) == 5000
    (single,) = [bar for bar in plots.neuron_rate_bars(np.full(200, 3.0)).axes[0].patches if bar.get_height()]
    assert single.get_x() <= 3 <= single.get_x() + single.get_width()
