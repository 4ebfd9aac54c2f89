"""The analyser against what was recorded."""

import json
import runpy
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from spikeloom.analysis import SimulationAnalyzer
from spikeloom.cli import main
from spikeloom.errors import DataError, ParameterError, UnknownNameError
from spikeloom.recording import RecorderConfig, Session, SimulationRecorder, repair
from spikeloom.spikes import Spikes

ROOT = Path(__file__).parents[2]


def recorder(folder, **settings):
    return SimulationRecorder(
        RecorderConfig(enable_recording=True, output_dir=folder, session_name="s", **settings), dt=2.0
    )


@pytest.fixture
def raster():
    return (np.random.default_rng(0).random((2500, 40)) < 0.1).astype(np.int8)


@pytest.fixture
def session(tmp_path, raster):
    with recorder(tmp_path, record_weights=True) as r:
        for part in np.split(raster, 5):
            r.record_spike_data("pfc-0", "output", part)
        r.record_spike_data("visual-0", "lif", raster[:10])
        r.record_weight_data("visual-0", "w", np.eye(3))
        for step, task in ((0, None), (10, "route"), (40, None), (100, None)):
            r.record_control_state("pfc-0", "pfc", "Busy" if task else "Idle", task, step)
    return r.path


def test_nodes_layers_steps_and_times_are_those_recorded(session, raster):
    with SimulationAnalyzer(session) as analyzer:
        assert analyzer.get_recorded_nodes() == ["pfc-0", "visual-0"]
        assert analyzer.get_recorded_layers("pfc-0") == ["output"]
        times, steps = analyzer.get_spike_data("pfc-0", "output")
        assert (times[0], times[1], times[-1]) == (0, 2_000_000, 4_998_000_000)
        assert len(steps) == len(times) == 2500
        assert steps[3].dtype == np.int8
        assert np.array_equal(np.stack(list(steps)), raster)
        assert np.array_equal(steps[-1], raster[-1])
        assert np.array_equal(np.stack(steps[5:9:2]), raster[5:9:2])
        with pytest.raises(IndexError):
            steps[2500]


def test_the_firing_rate_is_that_of_the_raster(session, raster):
    with SimulationAnalyzer(session) as analyzer:
        stats = analyzer.compute_firing_rate("pfc-0", "output")
    assert stats["total_spikes"] == raster.sum()
    assert stats["mean_rate_hz"] == pytest.approx(raster.mean() / 0.002)
    assert stats["max_neuron_rate_hz"] == pytest.approx(raster.mean(axis=0).max() / 0.002)
    assert (stats["n_neurons"], stats["duration_s"], stats["recorded_fraction"]) == (40, 5.0, 1.0)


@pytest.mark.parametrize("mode", ["neurons", "steps", "spikes"])
def test_the_firing_rate_is_the_same_when_a_quarter_is_recorded(tmp_path, raster, mode):
    with recorder(tmp_path, spike_subsample_rate=0.25, spike_subsample_mode=mode) as r:
        r.record_spike_data("n", "l", raster)
    with SimulationAnalyzer(r.path) as analyzer:
        stats = analyzer.compute_firing_rate("n", "l")
        times, steps = analyzer.get_spike_data("n", "l")
        text = analyzer.generate_summary_report()
    assert stats["mean_rate_hz"] == pytest.approx(raster.mean() / 0.002, rel=0.05)
    assert stats["total_spikes"] == pytest.approx(raster.sum() / 4, rel=0.05)
    assert stats["estimated_total_spikes"] == 4 * stats["total_spikes"]
    assert len(steps) == len(times) == (625 if mode == "steps" else 2500)
    assert f"0.25 recorded ({mode})" in text


@pytest.mark.parametrize("mode", ["neurons", "steps", "spikes"])
def test_a_timeline_is_corrected_for_what_was_not_recorded(tmp_path, raster, mode):
    with recorder(tmp_path, spike_subsample_rate=0.5, spike_subsample_mode=mode) as r:
        r.record_spike_data("n", "l", raster)
    with SimulationAnalyzer(r.path) as analyzer:
        stats = analyzer.compute_firing_rate("n", "l")
        figure = analyzer.plot_firing_rate_timeline("n", "l")
    (mean,) = figure.axes[0].lines
    assert mean.get_ydata()[0] == pytest.approx(stats["mean_rate_hz"], rel=2e-3)


def test_rates_average_over_samples_of_different_batches(tmp_path):
    with recorder(tmp_path) as r:
        for n_samples, p in ((3, 1), (1, 0)):
            r.write("l", "spikes", Spikes.from_raster(np.full((10, n_samples, 2), p, np.int8), 1.0), 1.0)
    with SimulationAnalyzer(r.path) as analyzer:
        assert analyzer.compute_firing_rate("main", "l")["mean_rate_hz"] == pytest.approx(750)
        with pytest.raises(DataError, match=r"sample must be in 0\.\.0"):
            analyzer.get_spike_data("main", "l", sample=1)


def test_a_node_is_active_for_the_time_that_its_task_lasts(session):
    with SimulationAnalyzer(session) as analyzer:
        assert len(analyzer.load_control_states()) == 4
        behavior = analyzer.analyze_node_behavior("pfc-0")
        with pytest.raises(UnknownNameError, match="did you mean 'pfc-0'"):
            analyzer.analyze_node_behavior("pfc0")
    assert behavior["task_active_ratio"] == 0.3
    assert behavior["unique_statuses"] == ["Busy", "Idle"]
    assert behavior["status_counts"] == {"Busy": 1, "Idle": 3}
    assert behavior["step_range"] == (0, 100)
    assert behavior["time_in_status"] == {"Busy": 30, "Idle": 70}
    assert behavior["transitions"] == [(10, "Idle", "Busy"), (40, "Busy", "Idle")]


def test_steps_are_read_when_they_are_asked_for(session, raster, monkeypatch):
    read = []
    spikes = Session.spikes

    def watched(self, node, layer, begin=None, end=None):
        read.append((begin, end))
        yield from spikes(self, node, layer, begin, end)

    monkeypatch.setattr(Session, "spikes", watched)
    with SimulationAnalyzer(session) as analyzer:
        times, steps = analyzer.get_spike_data("pfc-0", "output")
        assert len(steps) == len(times) == 2500
        assert not read
        assert np.array_equal(steps[2100], raster[2100])
        assert np.array_equal(steps[2101], raster[2101])
        assert read == [(2048, 3072)]
        assert np.array_equal(np.stack(list(steps)), raster)
        assert len(read) == 3
        with pytest.raises(DataError, match=r"sample must be in 0\.\.0"):
            analyzer.get_spike_data("pfc-0", "output", sample=-1)


def test_rates_are_those_of_simulated_time_however_slow_the_machine_is(tmp_path, raster):
    stats = {}
    for name, pause in (("slow", 0.02), ("fast", 0.0)):
        with recorder(tmp_path / name) as r:
            for part in np.split(raster[:500], 10):
                r.record_spike_data("n", "l", part)
                time.sleep(pause)
        with SimulationAnalyzer(r.path) as analyzer:
            stats[name] = analyzer.compute_firing_rate("n", "l")
    assert stats["slow"] == stats["fast"]


def test_plots_and_summary_are_written_where_asked(session, tmp_path):
    with SimulationAnalyzer(session) as analyzer:
        analyzer.plot_spike_raster("pfc-0", "output", max_neurons=5, save_path=tmp_path / "plots" / "raster.png")
        analyzer.plot_firing_rate_timeline("pfc-0", "output", 100.0, tmp_path / "timeline.png")
        text = analyzer.generate_summary_report(tmp_path / "report.txt")
    for name in ("plots/raster.png", "timeline.png"):
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "report.txt").read_text() == text
    assert "output: 40 neurons" in text
    assert "task active 30.0%" in text


def test_the_summary_says_why_recording_stopped(tmp_path):
    with recorder(tmp_path, max_recording_duration=0.01) as r:
        r.record_spike_data("n", "l", np.ones((20, 2), np.int8))
    with SimulationAnalyzer(r.path) as analyzer:
        assert "stopped by max_recording_duration: 0.01 s" in analyzer.generate_summary_report()


@pytest.mark.parametrize(
    ("samples", "sample", "said"),
    [([1, 1], 0, ""), ([3], 2, ", sample 2 of 3"), ([3, 3], 0, ", sample 0 of 3 in each run"),
     ([3, 2], 1, ", sample 1 of 2 to 3 in each run")],
)  # fmt: skip
def test_titles_say_which_sample_is_drawn_of_how_many(tmp_path, samples, sample, said):
    with recorder(tmp_path) as r:
        for n in samples:
            r.write("l", "spikes", Spikes.from_raster(np.ones((20, n, 2), np.int8), 1.0), 1.0)
    with SimulationAnalyzer(r.path) as analyzer:
        for picture, title in (
            (analyzer.plot_spike_raster, "l"),
            (analyzer.plot_firing_rate_timeline, "Firing rate of l"),
        ):
            figure = picture(analyzer.get_recorded_nodes()[0], "l", sample=sample)
            assert figure.axes[0].get_title(loc="left") == title + said


def test_a_repaired_session_says_that_its_process_was_killed(tmp_path):
    with recorder(tmp_path) as r:
        r.record_spike_data("n", "l", np.ones((20, 2), np.int8))
    (part,) = r.path.glob("recording_statistics.*.json")
    part.write_text(json.dumps(json.loads(part.read_text()) | {"state": "recording", "process_start": 1}))
    repair(r.path)
    with SimulationAnalyzer(r.path) as analyzer:
        text = analyzer.generate_summary_report()
    assert "The recording process was killed: what it had not written is not there." in text
    assert "stopped by" not in text


@pytest.mark.parametrize("program", ["spikeloom.sim_analyzer", "examples/sim_analyzer.py", "spikeloom"])
def test_each_program_writes_summary_report_and_pictures(session, monkeypatch, capsys, program):
    def run(*arguments):
        if program == "spikeloom":
            with pytest.raises(SystemExit) as stop:
                main(["analyze", str(session), *arguments])
            assert not stop.value.code
            return
        monkeypatch.setattr(sys, "argv", ["sim_analyzer", str(session), *arguments])
        sys.modules.pop("spikeloom.sim_analyzer", None)
        if program.endswith(".py"):
            with pytest.raises(SystemExit) as stop:
                runpy.run_path(str(ROOT / program), run_name="__main__")
            assert not stop.value.code
        else:
            runpy.run_module(program, run_name="__main__")

    run("--no-plots")
    assert "output: 40 neurons" in capsys.readouterr().out
    assert not list(session.glob("plots/*"))
    assert not (session / "report.html").exists()
    run()
    out = capsys.readouterr().out
    assert "output: 40 neurons" in out
    assert str(session / "report.html") in out
    assert (session / "report.html").read_text().startswith("<!DOCTYPE html>")
    assert sorted(path.name for path in session.glob("plots/*.png")) == [
        f"{layer}_{kind}.png" for layer in ("pfc-0_output", "visual-0_lif") for kind in ("raster", "timeline")
    ]


def test_the_command_writes_the_report_where_asked_and_refuses_it_without_pictures(session, tmp_path, capsys):
    with pytest.raises(SystemExit):
        main(["analyze", str(session), "--report", str(tmp_path / "there" / "r.html")])
    assert (tmp_path / "there" / "r.html").exists()
    capsys.readouterr()
    for arguments in (["--no-plots", "--report", "x.html"], []):
        with pytest.raises(SystemExit) as stop:
            main(["analyze", str(session if arguments else tmp_path), *arguments])
        assert stop.value.code == 1
        assert capsys.readouterr().err.startswith("error: ")


def test_unknown_names_and_folders_are_refused(session, tmp_path):
    with SimulationAnalyzer(session) as analyzer:
        with pytest.raises(UnknownNameError, match="did you mean 'output'"):
            analyzer.compute_firing_rate("pfc-0", "ouput")
        with pytest.raises(UnknownNameError, match="did you mean 'visual-0'"):
            analyzer.get_recorded_layers("visual")
        with pytest.raises(ParameterError, match="max_neurons"):
            analyzer.plot_spike_raster("pfc-0", "output", max_neurons=0)
    with pytest.raises(DataError, match="must be a recorded session"):
        SimulationAnalyzer(tmp_path / "nowhere")


def test_a_hostile_control_file_is_refused(session):
    (session / "control_states.pfc-0.jsonl").write_text(json.dumps({"node_id": "pfc-0"}) + "\n")
    with SimulationAnalyzer(session) as analyzer, pytest.raises(DataError, match="must hold node_id"):
        analyzer.load_control_states()
