"""The page of a report, and what a session's report says."""

import base64
import json
import re
from html.parser import HTMLParser

import h5py
import numpy as np
import pytest

from spikeloom.analysis import (
    LayerView,
    Picture,
    Section,
    SimulationAnalyzer,
    Table,
    plots,
    session_report,
    write_report,
    write_session_report,
)
from spikeloom.errors import StorageError
from spikeloom.recording import RecorderConfig, Session, SimulationRecorder
from spikeloom.spikes import Spikes

MEANINGS = ["What the numbers mean"]


class Page(HTMLParser):
    """The tags, the words and the attributes of the images of a page."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.words, self.images = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        if tag == "img":
            self.images.append(dict(attributes))

    def handle_data(self, data):
        self.words.append(data)


def page_of(path):
    return Page(path.read_text(encoding="utf-8"))


def recorder(folder, **settings):
    return SimulationRecorder(
        RecorderConfig(enable_recording=True, output_dir=folder, session_name="s", **settings), dt=0.5
    )


def spikes_of(n_steps=40, n_samples=2, n=6, p=0.2, seed=0):
    raster = (np.random.default_rng(seed).random((n_steps, n_samples, n)) < p).astype(np.int8)
    return Spikes.from_raster(raster, 0.5)


def test_a_page_holds_its_parts_escaped_and_needs_no_other_file(tmp_path):
    figure = plots.weights_histogram([1.0, 2.0])
    section = Section(
        "A <b> & heading",
        "one\n\ntwo",
        figures=[Picture(figure, "a <caption>", 'an "alt"')],
        table=Table(("name",), [("<script>alert(1)</script>",), (3,)]),
        cards={"test accuracy": "97 %"},
        warnings=["mind <the> gap"],
        details={"more <here>": Table(("x",), [("<i>",)])},
    )
    path = write_report(tmp_path / "new" / "r.html", "Run <1>", [section])
    text = path.read_text(encoding="utf-8")
    page = Page(text)
    words = "".join(page.words)
    for expected in (
        "Run <1>",
        "A <b> & heading",
        "a <caption>",
        "<script>alert(1)</script>",
        "97 %",
        "mind <the> gap",
    ):
        assert expected in words
    assert "more <here>" in words
    assert not {"script", "b", "i", "the", "link", "iframe"} & set(page.tags)
    assert page.tags.count("p") == 3
    assert page.images[0]["alt"] == 'an "alt"'
    assert base64.b64decode(page.images[0]["src"].partition(",")[2]).startswith(b"\x89PNG")
    assert not re.search(r'(?:src|href)="(?!data:)', text)
    assert "url(" not in text
    assert "@import" not in text


def test_a_page_of_many_sections_begins_with_links_to_them(tmp_path):
    few, many = ([Section(f"part {k}") for k in range(n)] for n in (3, 6))
    assert "nav" not in page_of(write_report(tmp_path / "few.html", "t", few)).tags
    text = write_report(tmp_path / "many.html", "t", many).read_text(encoding="utf-8")
    links = re.findall(r'<a href="#(\w+)">(.*?)</a>', text)
    assert [name for _, name in links] == [f"part {k}" for k in range(6)]
    assert [f'id="{target}"' in text for target, _ in links] == [True] * 6


def test_a_report_that_cannot_be_written_says_where(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(StorageError, match="cannot make"):
        write_report(tmp_path / "file" / "r.html", "t", [])


def test_pictures_of_a_row_and_wide_ones_and_tables_fit_a_narrow_screen(tmp_path):
    small = Picture(plots.training_curve("loss", {"train": [1, 2]}), "c", "a")
    wide = Picture(plots.raster(spikes_of()), "c", "a")
    section = Section(row=[small, small], figures=[wide], table=Table(("x",), [(1,)]))
    page = page_of(write_report(tmp_path / "r.html", "t", [section]))
    assert [image.get("class") for image in page.images] == ["wide", None, None]


@pytest.mark.parametrize("rate", [1.0, 0.5])
def test_a_session_report_has_sections_for_what_was_recorded(tmp_path, rate):
    with recorder(tmp_path, record_membrane=True, spike_subsample_rate=rate) as r:
        r.metadata({"seed": 42})
        spikes = spikes_of(n_steps=400)
        r.write("hidden", "spikes", spikes, 0.5)
        r.write("hidden", "v", spikes.raster().astype(float), 0.5)
        r.write("silent", "spikes", spikes_of(p=0), 0.5)
    with Session(r.path) as session:
        sections = list(session_report(session))
    assert [s.heading for s in sections] == [
        "What was recorded",
        "hidden",
        "silent",
        "hidden: membrane potential",
        *MEANINGS,
    ]
    first, hidden, silent, *_ = sections
    assert first.cards["seed"] == "42"
    recorded = int(first.cards["spikes recorded"].replace(",", ""))
    assert recorded == spikes.n_spikes if rate == 1 else recorded < spikes.n_spikes
    captions = [picture.caption for picture in (*hidden.figures, *hidden.row)]
    for word in ("Spikes", "Rate of the population", "How fast", "Times between", "Correlation"):
        assert any(word in caption for caption in captions)
    assert any("Stretches of bins" in caption for caption in captions) == (rate == 1)
    assert ("Left out, as sub-sampling spoils them: avalanches." in " ".join(hidden.warnings)) == (rate < 1)
    assert silent.text == "None of the neurons (6) fired."
    path = write_session_report(r.path)
    assert path == r.path / "report.html"
    assert len(page_of(path).images) == sum(len(s.figures) + len(s.row) for s in sections)


def written(folder, batches, **settings):
    """A session with these (layer, number of runs) of 20 ms each, in steps of 0.5 ms."""
    with recorder(folder, **settings) as r:
        for layer, n_runs in batches:
            for seed in range(n_runs):
                r.write(layer, "spikes", spikes_of(seed=seed), 0.5)
                r.flush_all()
    return r.path


def test_layers_stand_from_input_to_output_and_the_input_is_no_neuron(tmp_path):
    path = written(tmp_path, [("output", 2), ("hidden", 2), ("input", 2), ("aux 10", 2), ("aux 9", 2)])
    with Session(path) as session:
        sections = list(session_report(session))
        viewed = list(session_report(session, views={"hidden": LayerView(), "output": LayerView(notes=["x", "y"])}))
    assert [s.heading for s in sections[1:]] == ["input", "aux 9", "aux 10", "hidden", "output", *MEANINGS]
    assert [s.heading for s in viewed[1:]] == ["hidden", "output", "input", "aux 9", "aux 10", *MEANINGS]
    assert "mean rate without input" in sections[0].cards
    assert sections[0].cards["samples"] == "4"
    assert "nodes" not in sections[0].cards


@pytest.mark.parametrize(
    ("lost", "sentences"),
    [
        ([0], ["Spikes of output: from 20 to 60 of 60 ms only."]),
        ([2], ["Spikes of output: from 0 to 40 of 60 ms only."]),
        ([1], ["Spikes of output: from 0 to 20 and from 40 to 60 of 60 ms only."]),
        ([], []),
    ],
)
def test_a_report_says_what_is_missing_of_a_layer(tmp_path, lost, sentences):
    path = written(tmp_path, [("input", 3), ("output", 3)])
    with h5py.File(path / "nodes" / "main.h5", "r+") as file:
        for k in lost:
            del file[f"spikes/main/output/t_{20 * k * 10**6:019}"]
    with Session(path) as session:
        assert list(next(session_report(session)).warnings) == sentences


def test_a_session_of_one_step_and_one_neuron_has_a_report(tmp_path):
    with recorder(tmp_path) as r:
        r.record_spike_data("n", "l", np.ones((1, 1), np.int8))
        r.record_spike_data("n", "none", np.zeros((1, 1), np.int8))
    page = page_of(write_session_report(r.path))
    assert len(page.images) == 3
    assert "None of the neurons (1) fired." in page.words


@pytest.mark.parametrize("mode", ["steps", "spikes"])
def test_a_report_of_thinned_spikes_leaves_out_what_they_spoil_and_corrects_the_rest(tmp_path, mode):
    with recorder(tmp_path, spike_subsample_rate=0.2, spike_subsample_mode=mode) as r:
        r.write("l", "spikes", spikes_of(n_steps=4000, n=50), 0.5)
    with Session(r.path) as session:
        _, layer, *_ = session_report(session)
    assert len(layer.figures) == 2
    assert len(layer.row) == 1
    assert float(layer.cards["mean rate"].removesuffix(" Hz")) == pytest.approx(400, rel=0.05)
    for name in ("cv", "fano factor", "spike correlations"):
        assert name in layer.warnings[0]


def test_what_nodes_did_is_drawn_whatever_their_statuses_are_called(tmp_path):
    with recorder(tmp_path) as r:
        for k, status in enumerate([r"$\frac{", "<script>", "_hidden", "ok"] + [f"s{n}" for n in range(30)]):
            r.record_spike_data("n", "l", np.ones((10, 2), np.int8))
            r.record_control_state("n", "pfc", status, "x" * 500 if k % 2 else None, 10 * k)
    with Session(r.path) as session:
        _, nodes, *_ = session_report(session)
    assert nodes.heading == "What the nodes did"
    assert len(nodes.figures) == 1
    assert not nodes.warnings
    page = page_of(write_session_report(r.path))
    assert "script" not in page.tags


def test_names_that_the_font_lacks_are_kept_in_the_page_and_drawn_as_far_as_can_be(tmp_path):
    with recorder(tmp_path) as r:
        for node in ("視覚-0", "聴覚-0"):
            for k in range(3):
                r.record_spike_data(node, "隠れ層", np.ones((10, 2), np.int8))
                r.record_control_state(node, "m", ["待機", "実行"][k % 2], None, 10 * k)
    with SimulationAnalyzer(r.path) as analyzer:
        words = "".join(page_of(analyzer.generate_html_report()).words)
        figure = analyzer.plot_spike_raster("視覚-0", "隠れ層", save_path=tmp_path / "r.png")
        _, nodes, *_ = session_report(analyzer.session)
    assert "視覚-0 / 隠れ層" in words
    assert figure.axes[0].get_title(loc="left").startswith("??-0 / ???")
    labels = [label.get_text() for label in nodes.figures[0].figure.axes[0].get_yticklabels()]
    assert labels == ["??-0", "??-0 (2)"]


def test_what_is_not_finite_is_named_and_not_drawn(tmp_path):
    with recorder(tmp_path, record_membrane=True, record_weights=True) as r:
        r.record_membrane_data("n", "l", np.full((5, 2), np.nan))
        r.record_weight_data("n", "w", np.array([[np.inf]]))
    with Session(r.path) as session:
        sections = {section.heading: section for section in session_report(session)}
    for heading in ("l: membrane potential", "w: weights"):
        assert "cannot be drawn" in sections[heading].warnings[0]
    write_session_report(r.path)


@pytest.mark.parametrize(("n_runs", "lines"), [(2, 1), (60, 59), (61, 0)])
def test_a_caption_speaks_of_lines_between_runs_only_where_they_are_drawn(tmp_path, n_runs, lines):
    with recorder(tmp_path) as r:
        for _ in range(n_runs):
            r.write("l", "spikes", Spikes.from_raster(np.ones((4, 1, 2), np.int8), 1.0), 1.0)
    with Session(r.path) as session:
        pictures = [picture for section in session_report(session) for picture in section.figures]
    (raster,) = [picture for picture in pictures if picture.caption.startswith("Spikes")]
    assert len(raster.figure.axes[0].lines) == lines
    assert (f"of each of {n_runs} runs" in raster.caption, "lines part" in raster.caption) == (True, lines > 0)


def test_a_recorder_that_did_not_close_and_a_limit_are_told(tmp_path):
    with recorder(tmp_path, max_recording_duration=0.01) as r:
        r.record_spike_data("n", "l", np.ones((40, 2), np.int8))
    (part,) = r.path.glob("recording_statistics.*.json")
    said = json.loads(part.read_text())
    part.write_text(json.dumps(said | {"state": "recording", "process_start": 1}))
    with Session(r.path) as session:
        warnings = " ".join(next(session_report(session)).warnings)
    assert "Recording stopped by max_recording_duration" in warnings
    assert f"Recorder {said['recorder']} (n) did not close, its process died" in warnings


def test_a_layer_that_cannot_be_read_is_named_and_the_others_are_shown(tmp_path):
    path = written(tmp_path, [("bad", 1), ("good", 1)])
    with h5py.File(path / "nodes" / "main.h5", "r+") as file:
        file["spikes/main/bad"][next(iter(file["spikes/main/bad"]))].attrs["offsets"] = np.array([0, 1, 10**6], "u8")
    with Session(path) as session:
        first, *others = session_report(session)
    assert [section.heading for section in others] == ["good", *MEANINGS]
    assert "Spikes of bad cannot be shown" in " ".join(first.warnings)


def test_pairs_are_those_of_200_seeded_neurons_and_the_report_says_so(tmp_path):
    with recorder(tmp_path) as r:
        r.write("l", "spikes", spikes_of(n_steps=200, n_samples=1, n=300), 0.5)
    with SimulationAnalyzer(r.path) as analyzer:
        (measured,) = analyzer.analysis().measures.values()
        assert measured.found["spike_correlations"].shape == (200, 200)
        page = page_of(analyzer.generate_html_report())
    assert "200 of 300 neurons, drawn with seed 0" in "".join(page.words)


def test_progress_rises_to_the_end(tmp_path):
    path = written(tmp_path, [("a", 3), ("b", 2)])
    told = {"reading": [], "drawing": []}
    with SimulationAnalyzer(path) as analyzer:
        analyzer.analysis(told["reading"].append)
        analyzer.generate_html_report(progress=told["drawing"].append)
    for shares in told.values():
        assert shares == sorted(shares)
        assert 0 < shares[0] <= shares[-1] <= 1
    assert told["reading"][-1] == 1


def test_the_last_section_says_what_each_number_of_a_layer_means(tmp_path):
    with recorder(tmp_path) as r:
        r.write("l", "spikes", spikes_of(n_steps=4000, n=30, p=0.02), 0.5)
    with Session(r.path) as session:
        _, layer, meanings = session_report(session)
    assert meanings.heading == "What the numbers mean"
    assert [name for name, _ in meanings.table.rows] == [name for name in layer.cards if name != "neurons"]
    assert {"CV", "Lv", "Fano factor", "correlation", "synchrony chi", "branching ratio"} <= set(layer.cards)


def test_of_a_few_spikes_rates_are_told_and_nothing_else(tmp_path):
    raster = np.zeros((400, 1, 10), np.int8)
    raster[[50, 90, 300], 0, 4] = 1
    with recorder(tmp_path) as r:
        r.write("l", "spikes", Spikes.from_raster(raster, 0.5), 0.5)
    with SimulationAnalyzer(r.path) as analyzer:
        _, layer, meanings = session_report(analyzer.session)
        assert "CV" not in analyzer.generate_summary_report()
    assert list(layer.cards) == [name for name, _ in [("neurons", ""), *meanings.table.rows]]
    assert list(layer.cards) == ["neurons", "mean rate", "active neurons"]
    assert "too few spikes" in layer.text
    assert not any("Correlation" in picture.caption for picture in layer.row)


@pytest.mark.parametrize(("n_steps", "short"), [(400, True), (8000, False)])
def test_runs_too_short_for_the_intervals_are_told(tmp_path, n_steps, short):
    with recorder(tmp_path) as r:
        r.write("l", "spikes", spikes_of(n_steps=n_steps, n=20, p=0.01), 0.5)
    with Session(r.path) as session:
        _, layer, *_ = session_report(session)
    assert ("A run holds 3.8 spikes of a neuron" in layer.text) == short
    assert ("not seen" in layer.text) == short


@pytest.mark.parametrize(("p", "caption"), [(0.01, "a mark each"), (0.9, "darker where there are more")])
def test_the_caption_of_a_raster_says_how_it_is_to_be_read(tmp_path, p, caption):
    with recorder(tmp_path) as r:
        r.write("l", "spikes", spikes_of(n_steps=1000, n_samples=1, n=500, p=p), 0.5)
    with Session(r.path) as session:
        _, layer, *_ = session_report(session)
    assert caption in layer.figures[0].caption


def test_variables_other_than_potentials_have_sections_and_their_gaps_are_told(tmp_path):
    values = np.random.default_rng(0).normal(size=(40, 2, 6))
    with recorder(tmp_path, record_membrane=True) as r:
        for k in range(2):
            r.write("l", "spikes", spikes_of(seed=k), 0.5)
            r.write("l", "v", values, 0.5)
            if not k:
                r.write("l", "i_syn", values, 0.5)
    with Session(r.path) as session:
        first, _, potential, current, *_ = session_report(session, views={"l": LayerView(threshold=1.0)})
    assert [potential.heading, current.heading] == ["l: membrane potential", "l: i_syn"]
    assert first.warnings == ["i_syn of l: from 0 to 20 of 40 ms only."]
    (picture,) = current.figures
    assert picture.caption.startswith("i_syn in sample 0, 0 to 20 ms, of the neurons that fire most")
    assert picture.figure.get_supylabel() == "i_syn"
    thresholds = [sum(line.get_linestyle() == "--" for line in p.figure.axes[0].lines) for p in potential.figures]
    assert thresholds == [1]
    assert not any(line.get_linestyle() == "--" for line in picture.figure.axes[0].lines)
