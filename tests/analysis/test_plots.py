"""Figures hold the data they were given, and pages what they were told, escaped."""

import base64
import re
import subprocess
import sys
from html.parser import HTMLParser

import numpy as np
import pytest

from spikeloom.analysis import Picture, Section, Table, plots, session_report, write_report, write_session_report
from spikeloom.errors import ParameterError, ShapeError
from spikeloom.recording import RecorderConfig, Session, SimulationRecorder
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
    (image,) = plots.raster(spikes).axes[0].collections
    assert image.get_array().sum() == spikes.n_spikes == 210_700
    assert (image.get_array() == 1).all()


def test_an_image_of_grouped_spikes_keeps_every_one():
    spikes = spikes_of(n_steps=2501, n_samples=1, n=1001, p=0.1)
    (image,) = plots.raster(spikes).axes[0].collections
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
    lines = plots.membrane_traces(v, 0.5, threshold=0.9, neurons=[3, 1]).axes[0].lines
    assert np.array_equal(lines[0].get_ydata(), v[:, 3])
    assert lines[0].get_xdata()[-1] == 14.5
    assert list(lines[2].get_ydata()) == [0.9, 0.9]


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


class Page(HTMLParser):
    """What a browser finds in a page."""

    def __init__(self, text):
        super().__init__()
        self.words, self.tags, self.images = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        if tag == "img":
            self.images.append(dict(attributes))

    def handle_data(self, data):
        self.words.append(data)


def test_a_page_holds_its_parts_escaped_and_needs_no_other_file(tmp_path):
    figure = plots.weights_histogram([1.0, 2.0])
    section = Section(
        "A <b> & heading",
        "one\n\ntwo",
        figures=[Picture(figure, "a <caption>", 'an "alt"')],
        table=Table(("name",), [("<script>alert(1)</script>",), (3,)]),
        cards={"test accuracy": "97 %"},
    )
    path = write_report(tmp_path / "new" / "r.html", "Run <1>", [section])
    text = path.read_text(encoding="utf-8")
    page = Page(text)
    words = "".join(page.words)
    for expected in ("Run <1>", "A <b> & heading", "a <caption>", "<script>alert(1)</script>", "97 %"):
        assert expected in words
    assert "script" not in page.tags
    assert page.tags.count("p") == 2
    assert page.images[0]["alt"] == 'an "alt"'
    assert base64.b64decode(page.images[0]["src"].partition(",")[2]).startswith(b"\x89PNG")
    assert not re.search(r'(?:src|href)="(?!data:)', text)


@pytest.mark.parametrize("rate", [1.0, 0.5])
def test_a_session_report_has_sections_for_what_was_recorded(tmp_path, rate):
    config = RecorderConfig(
        enable_recording=True,
        output_dir=tmp_path,
        session_name="s",
        record_membrane=True,
        spike_subsample_rate=rate,
    )
    with SimulationRecorder(config) as r:
        r.metadata({"seed": 42})
        spikes = spikes_of()
        r.write("hidden", "spikes", spikes, 0.5)
        r.write("hidden", "v", spikes.raster().astype(float), 0.5)
        r.write("silent", "spikes", spikes_of(p=0), 0.5)
    with Session(r.path) as session:
        sections = session_report(session)
    headings = [section.heading for section in sections]
    assert headings[1:] == ["main / hidden", "main / silent", "main / hidden: membrane potential"]
    assert [len(section.figures) for section in sections] == ([0, 3, 3, 1] if rate == 1 else [0, 1, 1, 1])
    assert sections[0].cards["seed"] == "42"
    recorded = int(sections[0].cards["spikes recorded"].replace(",", ""))
    assert recorded == spikes.n_spikes if rate == 1 else recorded < spikes.n_spikes
    path = write_session_report(r.path)
    assert path == r.path / "report.html"
    assert len(Page(path.read_text(encoding="utf-8")).images) == sum(len(s.figures) for s in sections)
