"""Figures of rates, intervals, correlations, avalanches, weights, grids and nodes hold what they were given."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.colors import to_rgb
from PIL import Image

from spikeloom.analysis import measures, plots
from spikeloom.analysis.style import BLUE, GREY, VERMILION
from spikeloom.analysis.windows import Window
from spikeloom.errors import ParameterError, ShapeError, StorageError
from spikeloom.spikes import Spikes


def spikes_of(n_steps=40, n_samples=2, n=6, p=0.2, seed=0):
    raster = np.random.default_rng(seed).random((n_steps, n_samples, n)) < p
    return Spikes.from_raster(raster.astype(np.int8), 0.5)


def title(figure, where="left"):
    return figure.axes[0].get_title(loc=where)


def labels(figure):
    legends = [*figure.legends, *(legend for axes in figure.axes if (legend := axes.get_legend()))]
    return [text.get_text() for legend in legends for text in legend.get_texts()]


def drawn_points(figure):
    (marks,) = figure.axes[0].collections
    return {tuple(point) for point in marks.get_offsets()}


def windows_of(spikes, cuts):
    """The same spikes as windows that end at these steps."""
    step, n_steps, dt = spikes.grid
    edges = [0, *sorted(set(cuts)), n_steps]
    for begin, end in pairwise(edges):
        inside = (step >= begin) & (step < end)
        part = Spikes.from_steps(
            step[inside] - begin, spikes.ids[inside], spikes.shape, end - begin, dt, n_samples=len(spikes),
            samples=spikes.samples()[inside],
        )  # fmt: skip
        yield Window(begin, part, np.array([[0, end - begin]]), begin > 0)


@settings(max_examples=15)
@given(st.lists(st.integers(1, 39), max_size=5), st.integers(0, 1))
def test_a_raster_of_windows_equals_that_of_the_whole(cuts, sample):
    spikes = spikes_of()
    picture = plots.RasterAccumulator(6, spikes.duration, sample=sample)
    for window in windows_of(spikes, cuts):
        picture.add(window)
    assert drawn_points(picture.result()) == drawn_points(plots.raster(spikes, sample))


def test_an_image_of_windows_equals_that_of_the_whole():
    spikes = spikes_of(n_steps=3000, n_samples=1, n=1001, p=0.1)
    picture = plots.RasterAccumulator(1001, spikes.duration)
    for window in windows_of(spikes, [1, 700, 2500]):
        picture.add(window)
    (one,), (other,) = (figure.axes[0].images for figure in (picture.result(), plots.raster(spikes)))
    assert one.get_array().sum() == spikes.n_spikes
    assert np.array_equal(one.get_array(), other.get_array())


def test_a_cell_of_an_image_counts_whole_steps_and_neurons():
    step, ids = np.divmod(np.arange(1600 * 800), 800)
    busy = (step // 2 == 7) & (ids // 2 == 3)
    spikes = Spikes.from_steps(step[(ids % 2 == 0) | busy], ids[(ids % 2 == 0) | busy], 800, 1600, 1.0)
    counts = plots.raster(spikes).axes[0].images[0].get_array()
    assert counts[3, 7] == 4
    assert (np.delete(counts, 3 * 800 + 7) == 2).all()


def test_points_that_would_cover_each_other_become_an_image():
    dense, sparse = (
        spikes_of(n_steps=20_000, n_samples=1, n=2, p=0.5),
        spikes_of(n_steps=20_000, n_samples=1, n=2, p=0.01),
    )
    assert plots.raster(dense).axes[0].images[0].get_array() is not None
    assert len(drawn_points(plots.raster(sparse))) == sparse.n_spikes


def test_spikes_off_a_grid_are_drawn_at_their_times():
    spikes = Spikes.from_times([0.25, 7.5, 9.99], [0, 1, 1], 2, 10.0)
    assert drawn_points(plots.raster(spikes)) == {(0.25, 0), (7.5, 1), (9.99, 1)}


def test_a_silent_raster_says_that_it_is_silent():
    assert plots.raster(spikes_of(p=0)).axes[0].texts[0].get_text() == "no spikes"


def test_a_long_recording_has_an_axis_in_seconds():
    axes = plots.raster(spikes_of(n_steps=100_000, n_samples=1, n=1, p=0.001)).axes[0]
    assert axes.get_xlabel() == "time (s)"
    assert axes.xaxis.get_major_formatter()(50_000) == "50"
    assert plots.raster(spikes_of()).axes[0].get_xlabel() == "time (ms)"


def test_population_rates_are_the_mean_of_samples_in_the_band_of_the_middle_of_them():
    rate = np.array([[10.0, 20.0], [20.0, 40.0], [30.0, 60.0], [40.0, 80.0], [50.0, 100.0]])
    found = measures.PopulationRate(np.array([0.0, 5.0]), np.array([5.0, 5.0]), rate)
    axes = plots.population_rate({"a": found, "b": found}).axes[0]
    assert axes.lines[0].get_xydata().tolist() == [[2.5, 30], [7.5, 60]]
    low, high = axes.collections[0].get_datalim(axes.transData).get_points()[:, 1]
    assert (low, high) == pytest.approx((14, 92))
    assert axes.lines[0].get_linestyle() != axes.lines[1].get_linestyle()
    assert labels(axes.figure) == ["a", "b"]


def test_intervals_are_shares_per_ms_beside_a_poisson_process_of_their_mean():
    figure = plots.isi_histogram([2.0, 2.0, 4.0, 8.0], edges=None, cv=0.6, dt=1.0)
    (steps,) = figure.axes[0].patches
    values, edges = np.array(steps.get_data().values), np.array(steps.get_data().edges)
    assert (values * np.diff(edges)).sum() == pytest.approx(100)
    assert ((edges % 1) == 0.5).all()
    poisson = figure.axes[0].lines[0].get_xydata()
    assert poisson[:, 1] == pytest.approx(100 / 4 * np.exp(-poisson[:, 0] / 4))
    assert title(figure) == "Intervals between spikes: 4, mean 4 ms, CV 0.60"


def test_counted_intervals_are_drawn_in_their_bins():
    figure = plots.isi_histogram([1, 0, 3], edges=[0, 5, 10, 20], mean=9.0)
    values = figure.axes[0].patches[0].get_data().values
    assert list(values) == pytest.approx([5, 0, 7.5])
    assert "4, mean 9 ms" in title(figure)


def test_a_logarithmic_axis_shows_shares_of_decades():
    figure = plots.isi_histogram(np.random.default_rng(0).exponential(20, 200_000), log=True)
    steps = figure.axes[0].patches[0].get_data()
    assert (np.array(steps.values) * 10 * np.diff(np.log10(steps.edges))).sum() == pytest.approx(100)
    curve = figure.axes[0].lines[0].get_xydata()
    middle = np.sqrt(np.array(steps.edges[1:]) * np.array(steps.edges[:-1]))
    near = (middle > 5) & (middle < 60)
    assert np.interp(middle[near], *curve.T) == pytest.approx(np.array(steps.values)[near], rel=0.05)


def test_correlations_are_centred_at_0_and_silent_neurons_grey():
    matrix = np.array([[1, -0.4, np.nan], [-0.4, 1, np.nan], [np.nan] * 3])
    figure = plots.correlation_matrix(matrix, neurons=[4, 7, 9])
    (image,) = figure.axes[0].images
    assert image.get_clim() == (-0.4, 0.4)
    assert image.to_rgba(np.array([0.0]))[0, :3].tolist() == [1, 1, 1]
    assert image.get_array().mask[2].all()
    assert figure.axes[0].get_facecolor()[:3] == to_rgb(GREY)
    assert title(figure).endswith("mean of pairs -0.400, 1 of 3 silent (grey)")
    assert [text.get_text() for text in figure.axes[0].get_xticklabels()] == ["4", "7", "9"]


def test_avalanches_are_shares_of_sizes():
    axes = plots.avalanche_sizes([1, 1, 1, 2], branching_ratio=0.5).axes[0]
    assert axes.lines[0].get_xydata() == pytest.approx(np.array([[1, 0.75], [2, 0.25]]))
    assert axes.lines[1].get_ydata() == pytest.approx([0.75, 0.75 * 2**-1.5])
    assert "4 avalanches, branching ratio 0.50" in axes.get_title(loc="left")
    assert "not a fit" in plots.avalanche_sizes.__doc__


def test_the_bins_of_large_avalanches_sum_to_all():
    sizes = np.random.default_rng(0).integers(1, 10_000, 500)
    axes = plots.avalanche_sizes(sizes).axes[0]
    assert len(axes.lines[0].get_xdata()) < 30
    assert axes.lines[0].get_xdata().max() < 10_000


def test_spikes_are_marked_above_their_own_neuron_and_thresholds_may_differ():
    spikes = Spikes.from_steps([3, 5], [1, 0], 2, 10, 1.0)
    figure = plots.membrane_traces(np.zeros((10, 2)), 1.0, threshold=[0.5, 2.0], spikes=spikes)
    for axes, at, level in zip(figure.axes, (5, 3), (0.5, 2.0), strict=True):
        assert [path.vertices[0, 0] for path in axes.collections[0].get_paths()] == [at]
        assert axes.lines[1].get_ydata()[0] == level
    assert title(figure, "right") == "dashed: threshold, ticks: spikes"


def test_a_long_trace_keeps_its_extremes():
    v = np.zeros((100_000, 1))
    v[77_777], v[33_333] = 5.0, -3.0
    line = plots.membrane_traces(v, 1.0).axes[0].lines[0]
    assert len(line.get_ydata()) < 10_000
    assert (line.get_ydata().max(), line.get_ydata().min()) == (5, -3)
    assert abs(line.get_xdata()[np.argmax(line.get_ydata())] - 77_777) <= 50


def test_several_sets_of_weights_share_their_bins():
    axes = plots.weights_histogram({"before": [0.0, 1.0], "after": np.ones((2, 2))}).axes[0]
    before, after = (patch.get_data() for patch in axes.patches)
    assert np.array_equal(before.edges, after.edges)
    assert (before.values.sum(), after.values.sum()) == (2, 4)


def test_a_matrix_of_weights_is_centred_at_0_only_where_it_has_two_signs():
    both = plots.weights_matrix([[0.0, -2.0, 1.0]]).axes[0].images[0]
    one = plots.weights_matrix([[0.0, 2.0]]).axes[0].images[0]
    assert (both.get_clim(), one.get_clim()) == ((-2, 2), (0, 2))
    assert (
        both.to_rgba(both.get_array())[0, 0, :3].tolist() == one.to_rgba(one.get_array())[0, 0, :3].tolist() == [1] * 3
    )


def test_a_large_matrix_is_shown_by_the_means_of_its_blocks():
    matrix = np.arange(1300 * 4).reshape(1300, 4).astype(float)
    figure = plots.weights_matrix(matrix)
    shown = figure.axes[0].images[0].get_array()
    assert shown[0].tolist() == matrix[:3].mean(0).tolist()
    assert shown[-1].tolist() == matrix[1299:].mean(0).tolist()
    assert "means of 3 x 1" in title(figure)


def test_weights_over_time_show_mean_quantiles_and_the_first_and_last_matrix():
    w = np.arange(12.0).reshape(3, 4)
    figure = plots.weights_over_time((t, w + t) for t in range(50))
    lines = {line.get_label(): line.get_xydata() for line in figure.axes[0].lines}
    assert lines["mean"].tolist() == [[t, 5.5 + t] for t in range(50)]
    assert lines["median"].tolist() == [[t, 5.5 + t] for t in range(50)]
    images = [axes.images[0].get_array() for axes in figure.axes if axes.images]
    assert np.array_equal(images[0], w)
    assert np.array_equal(images[-1], w + 49)
    assert 2 <= len(images) <= 4
    assert figure.axes[1].get_title(loc="left") == "0 ms"


def test_images_of_weights_are_those_of_the_times_that_are_asked_for():
    w = np.arange(6.0).reshape(2, 3)
    figure = plots.weights_over_time([(t / 10, w * t) for t in range(40)], at=[0.3, 2.0])
    images = [axes.images[0].get_array() for axes in figure.axes if axes.images]
    assert [image[1, 2] for image in images] == [15, 100]


def test_weights_of_other_shapes_over_time_have_no_images():
    figure = plots.weights_over_time([(0.0, np.ones(5)), (10.0, np.zeros(5))])
    assert [len(axes.images) for axes in figure.axes] == [0]
    assert np.isfinite(plots.weights_over_time([(3.0, [1.0])]).axes[0].get_xlim()).all()


def test_counts_of_a_grid_are_an_image_with_on_blue_and_off_orange():
    spikes = Spikes.from_steps([0, 1, 2, 2], [0, 0, 5, 11], (2, 2, 3), 3, 1.0)
    image = np.asarray(plots.counts_image(spikes).axes[0].images[0].get_array())
    assert image.shape == (2, 3, 3)
    assert image[0, 0] == pytest.approx(to_rgb(VERMILION))
    assert image[1, 2, 0] < 0.6  # one of the OFF and one of the ON neurons of this pixel
    assert image[0, 1].tolist() == [1, 1, 1]


def test_graded_spikes_count_by_their_values_and_negative_ones_as_off():
    spikes = Spikes.from_steps([0, 1, 1], [0, 0, 3], 4, 2, 1.0, values=np.array([2.0, 1.5, -4.0], np.float32))
    image = plots.counts_image(spikes, shape=(2, 2)).axes[0].images[0].get_array()
    blue, orange = image[0, 0], image[1, 1]
    assert blue[2] > blue[0]
    assert orange[0] > orange[2]
    counts = plots.counts_image(np.array([[3, 0], [1, 2]])).axes[0].images[0].get_array()
    assert counts.tolist() == [[3, 0], [1, 2]]


def gif(path):
    with Image.open(path) as file:
        frames = []
        for k in range(file.n_frames):
            file.seek(k)
            frames.append(np.asarray(file.convert("RGB"), float) / 255)
        return frames, file.info


def test_an_animation_has_a_frame_a_window_with_its_spikes_in_their_pixels(tmp_path):
    spikes = Spikes.from_steps([0, 12, 25], [0, 4 * 4 + 5, 15], (2, 4, 4), 30, 1.0)
    path = plots.activity_animation(spikes, None, tmp_path / "new" / "a.gif", frame_ms=10.0, fps=5)
    frames, info = gif(path)
    assert len(frames) == 3
    assert (info["duration"], info["loop"]) == (200, 0)
    pixel = 60
    for frame, (row, column, colour) in zip(frames, [(0, 0, VERMILION), (1, 1, BLUE), (3, 3, VERMILION)], strict=True):
        middle = frame[1 + pixel * row + 30, 1 + pixel * column + 30]
        assert middle == pytest.approx(to_rgb(colour), abs=0.01)
        assert (frame[1 : 1 + 4 * pixel, 1 : 1 + 4 * pixel] == 1).all(2).sum() == 15 * pixel**2
    words = [(frame[-24:-4] < 0.5).all(2).sum() for frame in frames]
    assert min(words) > 20  # the time stands below, another one in each frame
    assert not np.array_equal(frames[0][-24:], frames[1][-24:])


def test_an_animation_of_a_large_sensor_is_shrunk_and_silent_ones_are_white(tmp_path):
    spikes = Spikes.from_steps([0], [719 * 1280 + 1279], (720, 1280), 5, 1.0)
    frames, _ = gif(plots.activity_animation(spikes, None, tmp_path / "a.gif", frame_ms=5.0))
    assert frames[0].shape[1] == 642
    assert frames[0][360, 640] == pytest.approx(to_rgb(BLUE), abs=0.01)
    silent, _ = gif(plots.activity_animation(spikes_of(p=0, n=4), (2, 2), tmp_path / "b.gif"))
    assert (silent[0][2:100, 2:100] == 1).all()


def test_the_same_animation_has_the_same_bytes(tmp_path):
    paths = [plots.activity_animation(spikes_of(), (2, 3), tmp_path / name) for name in ("a.gif", "b.gif")]
    assert paths[0].read_bytes() == paths[1].read_bytes()


def test_a_node_timeline_has_a_row_a_node_and_a_bar_a_span():
    spans = {"pfc-0": [(0, 40, "Idle"), (40, 100, "Busy")], "visual-0": [plots.Span(20, 50, "Busy")]}
    figure = plots.node_timeline(spans)
    axes = figure.axes[0]
    bars = [path.get_extents().bounds for item in axes.collections for path in item.get_paths() if len(path) == 5]
    assert sorted((x, width, round(y + 0.36)) for x, y, width, _ in bars) == [(0, 40, 0), (20, 30, 1), (40, 60, 0)]
    assert [text.get_text() for text in axes.get_yticklabels()] == ["pfc-0", "visual-0"]
    assert labels(figure) == ["Busy", "Idle"]


def test_a_graph_of_nothing_says_so():
    for figure in (plots.isi_histogram([]), plots.avalanche_sizes([])):
        assert figure.axes[0].texts[0].get_text().startswith("no ")
    assert plots.rate_timeline(spikes_of(p=0)).axes[0].get_ylim() == (0, 1)


@pytest.mark.parametrize(
    ("draw", "error", "message"),
    [
        (lambda: plots.RasterAccumulator(0, 10.0), ParameterError, "n_neurons must be an integer of at least 1"),
        (
            lambda: plots.RasterAccumulator(5, 10.0).add(Window.of(spikes_of())),
            ShapeError,
            "must have 5 neurons, got 6",
        ),
        (lambda: plots.RasterAccumulator(6, 10.0).add(Window.of(spikes_of())), ParameterError, "must lie in 10 ms"),
        (lambda: plots.RasterAccumulator(6, 20.0, sample=2).add(Window.of(spikes_of())), ParameterError, r"in 0\.\.1"),
        (lambda: plots.RasterAccumulator(1, 5.0).add_times(np.array([5.0]), np.array([0])), ParameterError, "in 5 ms"),
        (lambda: plots.rate_timeline(spikes_of(), recorded_fraction=0), ParameterError, "recorded_fraction"),
        (lambda: plots.population_rate({}), ParameterError, "1 to 6 populations, got 0"),
        (lambda: plots.isi_histogram([0.0]), ParameterError, "positive times in ms"),
        (lambda: plots.isi_histogram([np.nan]), ParameterError, "finite numbers"),
        (lambda: plots.isi_histogram([1, 2], edges=[0, 1]), ShapeError, "one more than the 2 counts"),
        (lambda: plots.isi_histogram([1], edges=[0, 1], log=True), ParameterError, "above 0"),
        (lambda: plots.correlation_matrix(np.ones((2, 3))), ShapeError, r"\(N, N\), got \(2, 3\)"),
        (lambda: plots.correlation_matrix([[1, 2], [2, 1]]), ParameterError, r"-1\.\.1"),
        (lambda: plots.correlation_matrix([[1, 0.5], [0.1, 1]]), ParameterError, "symmetric"),
        (lambda: plots.correlation_matrix([[1, np.nan], [np.nan, 1]]), ParameterError, "silent"),
        (lambda: plots.correlation_matrix([[1]], neurons=[1, 2]), ShapeError, "ids of 1 neurons"),
        (lambda: plots.avalanche_sizes([0]), ParameterError, "whole numbers"),
        (lambda: plots.avalanche_sizes([1.5]), ParameterError, "whole numbers"),
        (lambda: plots.membrane_traces([[np.nan]], 1.0), ParameterError, "finite numbers"),
        (lambda: plots.membrane_traces(np.ones((3, 2)), 0.0), ParameterError, "dt must be"),
        (lambda: plots.membrane_traces(np.ones((3, 2)), 1.0, neurons=[]), ParameterError, "at least one"),
        (lambda: plots.membrane_traces(np.ones((3, 2)), 1.0, time=[0, 1]), ShapeError, r"\(3,\)"),
        (lambda: plots.membrane_traces(np.ones((3, 2)), 1.0, threshold=[1, 2, 3]), ShapeError, "one or 2 numbers"),
        (lambda: plots.membrane_traces(np.ones((3, 6)), 1.0, spikes=spikes_of()), ShapeError, "one sample"),
        (lambda: plots.weights_histogram({}), ParameterError, "1 to 6 sets"),
        (lambda: plots.weights_matrix([1.0]), ShapeError, r"\(post, pre\)"),
        (lambda: plots.weights_matrix([[np.inf]]), ParameterError, "finite numbers"),
        (lambda: plots.weights_over_time([]), ParameterError, "at least one snapshot"),
        (lambda: plots.weights_over_time([(0.0, [[1.0]])], at=[5.0]), ParameterError, "at must be the times of"),
        (lambda: plots.weights_over_time([(5.0, [1.0]), (1.0, [1.0])]), ParameterError, "order of time"),
        (lambda: plots.weights_over_time([(0.0, [1.0]), (1.0, [1.0, 2])]), ShapeError, r"shape \(1,\), got \(2,\)"),
        (lambda: plots.counts_image(spikes_of()), ShapeError, r"\(H, W\)"),
        (lambda: plots.counts_image(spikes_of(), shape=(2, 2)), ShapeError, "grid of the 6 neurons, got 2 x 2 pixels"),
        (lambda: plots.counts_image([[np.nan]]), ParameterError, "finite numbers"),
        (lambda: plots.node_timeline({}), ParameterError, "1 to 60 nodes"),
        (lambda: plots.node_timeline({"a": [(5, 1, "x")]}), ParameterError, "begin before they end"),
        (lambda: plots.node_timeline({"a": [(0, 5, "x"), (4, 6, "y")]}), ParameterError, "must not overlap"),
    ],
)
def test_what_cannot_be_drawn_is_refused(draw, error, message):
    with pytest.raises(error, match=message):
        draw()


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"path": "a.png"}, ParameterError, r"must end in \.gif"),
        ({"frame_ms": 0.001}, ParameterError, "at most 2000 frames"),
        ({"frame_ms": 0}, ParameterError, "frame_ms"),
        ({"fps": 0}, ParameterError, "fps"),
        ({"shape": (3, 3)}, ShapeError, "grid of the 6 neurons"),
        ({"sample": 7}, ParameterError, r"in 0\.\.1"),
    ],
)
def test_what_cannot_be_animated_is_refused_and_leaves_no_file(settings, error, message, tmp_path):
    wanted = {"shape": (2, 3), "path": "a.gif", **settings}
    with pytest.raises(error, match=message):
        plots.activity_animation(spikes_of(), wanted.pop("shape"), tmp_path / wanted.pop("path"), **wanted)
    assert list(tmp_path.iterdir()) == []


def test_an_animation_into_a_file_that_is_no_folder_is_a_storage_error(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="cannot write"):
        plots.activity_animation(spikes_of(), (2, 3), tmp_path / "file" / "a.gif")


LONG = "a session with_a_name_of_many_conditions and a layer/of_excitatory_neurons in_the_cortex-0 " * 2


@pytest.mark.parametrize(
    "figure",
    [
        lambda: plots.raster(spikes_of(), title=LONG),
        lambda: plots.weights_histogram(np.arange(5), title=LONG),
        lambda: plots.correlation_matrix(np.eye(30), neurons=range(99_970, 100_000), title=LONG),
        lambda: plots.membrane_traces(np.zeros((5, 2)), 1.0, threshold=1.25, spikes=spikes_of(n=2)[0], title=LONG),
        lambda: plots.counts_image(np.ones((20, 20)), title=LONG),
        lambda: plots.counts_image(np.ones((20, 1))),
        lambda: plots.population_rate(
            {LONG[:90] + str(k): measures.population_rate(spikes_of(), 5.0) for k in range(6)}
        ),
        lambda: plots.weights_histogram({LONG[:80] + str(k): np.arange(5) for k in range(6)}),
        lambda: plots.inputs_beside_spikes(np.zeros((2, 4, 4)), spikes_of(), title=LONG),
    ],
)
def test_long_names_stay_inside_of_the_picture_and_apart(figure):
    drawn = figure()
    drawn.canvas.draw()
    page = drawn.bbox
    words = [axes.title for axes in drawn.axes] + drawn.legends + [t for axes in drawn.axes for t in _titles(axes)]
    words += [drawn._suptitle] if drawn._suptitle else []
    for text in words:
        box = text.get_window_extent()
        assert not box.width or (page.x0 <= box.x0 and box.x1 <= page.x1 and box.y1 <= page.y1 and box.y0 >= page.y0)
    for axes in drawn.axes:
        left, right = (text.get_window_extent() for text in _titles(axes))
        assert not right.width or not left.overlaps(right)
        assert axes.get_window_extent().height > 40


def _titles(axes):
    return axes._left_title, axes._right_title


def test_one_value_of_a_potential_is_seen():
    (line,) = plots.membrane_traces(np.zeros((1, 1)), 1.0).axes[0].lines
    assert line.get_marker() == "o"


def test_weights_far_from_zero_fill_the_axes():
    low, high = plots.weights_histogram(50 + 0.001 * np.arange(10)).axes[0].get_xlim()
    assert 49.9 < low < high < 50.1


def test_a_single_spike_of_many_neurons_is_drawn_larger_than_many_are():
    one, many = Spikes.from_steps([5], [3], (1000,), 10, 1.0), spikes_of(n_steps=100, n_samples=1, n=1000, p=0.1)
    size_of_one, size_of_many = (plots.raster(s).axes[0].collections[0].get_sizes()[0] for s in (one, many))
    assert size_of_one > 4 * size_of_many


def test_a_long_row_of_neurons_makes_no_giant_picture():
    figure = plots.counts_image(np.ones((3, 1000)))
    assert max(figure.get_size_inches()) < 12


def test_small_graded_counts_are_told_from_nothing():
    (image,) = plots.counts_image(np.full((4, 4), 1e-3)).axes[0].images
    assert image.norm(1e-3) == 1


def test_low_and_high_rates_are_named_with_the_digits_they_have():
    assert labels(plots.neuron_rate_bars([0.004, 0.001])) == ["mean 0.0025 Hz"]
    assert labels(plots.neuron_rate_bars([12_000.0, 12_000.0])) == ["mean 12,000.0 Hz"]


def test_images_of_weights_are_at_times_in_the_unit_of_the_axis():
    figure = plots.weights_over_time([(t, np.eye(2)) for t in (0.0, 30_000.0)])
    assert [axes.get_title(loc="left") for axes in figure.axes[1:3]] == ["0 s", "30 s"]


def test_a_matrix_of_many_classes_names_some_and_says_what_its_colours_mean():
    figure = plots.confusion_matrix(np.arange(100), np.arange(100), range(100))
    assert len(figure.axes[0].get_xticks()) <= 30
    assert figure.axes[1].get_ylabel() == "share of the true class"
