"""A recorder against what was handed to it, and against what HDF5 itself finds in its files."""

import json
import shutil
from types import SimpleNamespace

import h5py
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from spikeloom.errors import DataError, ParameterError, ShapeError, StateError, StorageError, UnknownNameError
from spikeloom.recording import (
    RecorderConfig,
    Run,
    Session,
    SimulationRecorder,
    get_global_recorder,
    set_global_recorder,
)
from spikeloom.spikes import Spikes


def recorder(folder, session="s", **settings):
    node, dt = settings.pop("node_id", "main"), settings.pop("dt", 1.0)
    settings.setdefault("flush_interval", 1000)
    config = RecorderConfig(enable_recording=True, output_dir=folder, session_name=session, **settings)
    return SimulationRecorder(config, node_id=node, dt=dt)


def random_spikes(seed, n_steps=20, n_samples=3, shape=(2, 5), p=0.2, dt=1.0):
    raster = np.random.default_rng(seed).random((n_steps, n_samples, *shape)) < p
    return Spikes.from_raster(raster.astype(np.int8), dt)


def in_time(windows):
    return Spikes.from_raster(np.concatenate([w.raster() for w in windows]), windows[0].grid.dt)


@settings(max_examples=25, deadline=None)
@given(
    rasters=st.lists(st.integers(0, 2**16), min_size=1, max_size=4),
    n_samples=st.integers(1, 3),
    buffer_size=st.integers(1, 60),
    batch_steps=st.integers(1, 60),
    graded=st.booleans(),
    dt=st.sampled_from([0.1, 1.0, 1 / 3]),
)
def test_spikes_come_back_from_the_file_as_they_went_in(
    tmp_path_factory, rasters, n_samples, buffer_size, batch_steps, graded, dt
):
    windows = []
    for seed in rasters:
        generator = np.random.default_rng(seed)
        raster = (generator.random((17, n_samples, 3, 2)) < 0.2).astype(np.int8)
        raster[0, 0, 0, 0] = 1
        windows.append(Spikes.from_raster(raster * (generator.integers(1, 5, raster.shape) if graded else 1), dt))
    with recorder(tmp_path_factory.mktemp("r"), buffer_size=buffer_size, batch_steps=batch_steps) as r:
        for window in windows:
            r.write("layer", "spikes", window, dt)
    with Session(r.path) as session:
        batches = list(session.spikes("main", "layer"))
        raster = np.concatenate([batch.spikes.raster() for batch in batches])
        assert np.array_equal(raster, np.concatenate([w.raster() for w in windows]))
        assert session.train("main", "layer", n_samples - 1).equals(in_time(windows)[n_samples - 1])


def test_a_batch_in_the_file_has_the_stated_layout(tmp_path):
    raster = np.zeros((4, 2, 3), np.int8)
    raster[1, 0, 2] = raster[3, 0, 1] = raster[2, 1, 0] = 1
    with recorder(tmp_path, batch_steps=4) as r:
        r.write("out", "spikes", Spikes.from_raster(raster, 0.5), 0.5)
        r.write("out", "spikes", Spikes.from_raster(raster, 0.5), 0.5)
    with h5py.File(r.path / "nodes" / "main.h5") as file:
        assert list(file["spikes/main/out"]) == ["t_0000000000000000000", "t_0000000000002000000"]
        batch = file["spikes/main/out/t_0000000000002000000"]
        assert batch[()].tolist() == [(1, 2), (3, 1), (2, 0)]
        assert (batch.dtype["step"], batch.dtype["id"]) == (np.dtype("u4"), np.dtype("u2"))
        assert batch.compression == "gzip"
        assert batch.shuffle
        found = {name: np.asarray(value).tolist() for name, value in batch.attrs.items()}
    assert found == {
        "n_steps": 4,
        "n_neurons": 3,
        "dt": 0.5,
        "t_start": 2.0,
        "mode": b"all",
        "rate": 1.0,
        "windows": [4],
        "offsets": [0, 2, 3],
        "shape": [3],
    }


def test_the_main_file_links_to_every_node(tmp_path):
    with recorder(tmp_path) as r:
        r.record_spike_data("pfc-0", "lif", np.array([0, 1, 1], np.int8))
        r.record_spike_data("visual-0", "lif", np.array([[1, 0]], np.int8))
    with h5py.File(r.path / "simulation_data.h5") as file:
        assert sorted(file["spikes"]) == ["pfc-0", "visual-0"]
        assert file["spikes/pfc-0/lif/t_0000000000000000000"][()].tolist() == [(0, 1), (0, 2)]
        assert json.loads(file["metadata/visual-0/node"][()]) == "visual-0"


def test_two_recorders_of_one_session_share_it_and_one_node_is_never_overwritten(tmp_path):
    for node in ("a", "b"):
        with recorder(tmp_path, node_id=node) as r:
            r.write("l", "spikes", random_spikes(1), 1.0)
    with h5py.File(r.path / "simulation_data.h5") as file:
        assert sorted(file["spikes"]) == ["a", "b"]
    before = (r.path / "nodes" / "a.h5").read_bytes()
    with recorder(tmp_path, node_id="a") as second:
        with pytest.raises(ParameterError, match="session 's' holds"):
            second.metadata({"seed": 1})
        with pytest.raises(ParameterError, match="session 's' holds"):
            second.write("l", "spikes", random_spikes(1), 1.0)
    assert (r.path / "nodes" / "a.h5").read_bytes() == before


@pytest.mark.parametrize("convert", [np.asarray, torch.as_tensor])
def test_steps_given_one_by_one_equal_steps_given_at_once(tmp_path, convert):
    raster = (np.random.default_rng(0).random((30, 7)) < 0.3).astype(np.int8)
    v = np.random.default_rng(1).random((30, 7)).astype(np.float32)
    with recorder(tmp_path, record_membrane=True, batch_steps=8) as r:
        r.record_spike_data("n", "whole", convert(raster))
        r.record_membrane_data("n", "whole", convert(v))
        for row, potentials in zip(raster, v, strict=True):
            r.record_spike_data("n", "single", convert(row))
            r.record_membrane_data("n", "single", convert(potentials))
    with Session(r.path) as session:
        assert len(list(session.spikes("n", "single"))) == 4
        assert session.train("n", "whole").equals(session.train("n", "single"))
        assert np.array_equal(session.train("n", "single").raster()[:, 0], raster)
        for layer in ("whole", "single"):
            assert np.array_equal(np.concatenate([b.values for b in session.membrane("n", layer)])[:, 0], v)


def test_windows_with_fewer_samples_follow_in_time_and_the_missing_sample_is_refused(tmp_path):
    windows = [random_spikes(1, n_samples=3), random_spikes(2, n_samples=2)]
    with recorder(tmp_path) as r:
        for window in windows:
            r.write("l", "spikes", window, 1.0)
    with Session(r.path) as session:
        assert [(b.start, b.n_samples) for b in session.spikes("main", "l")] == [(0, 3), (20, 2)]
        assert session.train("main", "l", 1).equals(in_time([w[:2] for w in windows])[1])
        with pytest.raises(DataError, match=r"sample must be in 0\.\.1"):
            session.train("main", "l", 2)


def test_a_run_of_ten_thousand_samples_keeps_its_offsets(tmp_path):
    spikes = random_spikes(0, n_steps=2, n_samples=10_000, shape=(3,))
    with recorder(tmp_path) as r:
        r.write("l", "spikes", spikes, 1.0)
    with Session(r.path) as session:
        (batch,) = session.spikes("main", "l")
    assert batch.spikes.equals(spikes)


def test_a_session_left_without_close_holds_all_up_to_the_last_flush(tmp_path):
    r = recorder(tmp_path, batch_steps=10)
    raster = (np.random.default_rng(0).random((25, 4)) < 0.5).astype(np.int8)
    for row in raster:
        r.record_spike_data("main", "l", row)
        if r.get_statistics()["steps"]["main"]["l"] == 20:
            r.flush_all()
    shutil.copytree(r.path, tmp_path / "left")
    with Session(tmp_path / "left") as session:
        assert np.array_equal(session.train("main", "l").raster()[:, 0], raster[:20])
        assert session.statistics()["stopped_by"] is None
    with Session(r.path) as live:
        assert live.train("main", "l").grid.n_steps == 20
    r.close()


def test_without_auto_flush_nothing_is_written_before_it_is_asked_for(tmp_path):
    with recorder(tmp_path, batch_steps=20, auto_flush=False) as r:
        for _ in range(9):
            r.record_spike_data("main", "l", np.ones(2, np.int8))
        assert r.get_statistics()["batches_written"] == 0
        r.flush_all()
        assert r.get_statistics()["batches_written"] == 1


def test_membrane_potentials_are_kept_at_every_tenth_step(tmp_path):
    v = np.arange(40.0).reshape(40, 1, 1)
    with recorder(tmp_path, record_membrane=True, membrane_subsample_rate=0.1, batch_steps=25) as r:
        for part in (v[:15], v[15:]):
            r.write("l", "v", part, 1.0)
    with Session(r.path) as session:
        batches = list(session.membrane("main", "l"))
    assert [(batch.start + batch.step).tolist() for batch in batches] == [[9], [19, 29, 39]]
    assert np.concatenate([batch.values for batch in batches]).ravel().tolist() == [9, 19, 29, 39]


@pytest.mark.parametrize("mode", ["neurons", "steps", "spikes"])
def test_a_count_divided_by_the_recorded_fraction_estimates_the_true_count(tmp_path, mode):
    spikes = random_spikes(3, n_steps=400, n_samples=2, shape=(100,), p=0.1)
    with recorder(tmp_path, spike_subsample_rate=0.25, spike_subsample_mode=mode) as r:
        r.write("l", "spikes", spikes, 1.0)
    with Session(r.path) as session:
        sampling, (batch,) = session.sampling("main", "l"), session.spikes("main", "l")
    assert sampling.mode == mode
    assert sampling.recorded_fraction(0, 400, 100) == 0.25
    assert batch.size / 0.25 == pytest.approx(spikes.n_spikes, rel=0.07)
    kept = np.isin(batch.spikes.ids, sampling.neurons).all() if mode == "neurons" else True
    assert kept
    if mode == "steps":
        assert set(batch.spikes.step % 4) == {3}


def test_recording_a_layer_ends_at_the_longest_duration_and_says_so(tmp_path):
    with recorder(tmp_path, record_membrane=True, max_recording_duration=0.03) as r:
        spikes = [random_spikes(k) for k in range(3)]
        for window in spikes:
            r.write("l", "spikes", window, 1.0)
            r.write("l", "v", window.raster().astype(float), 1.0)
        assert r.wants("l") == frozenset()
        assert r.wants("other") == {"spikes", "v"}
        assert r.stopped_by.startswith("max_recording_duration: 0.03 s")
    with Session(r.path) as session:
        assert np.array_equal(session.train("main", "l").raster(), in_time(spikes)[0].raster()[:30])
        assert sum(len(batch.values) for batch in session.membrane("main", "l")) == 30
        assert session.statistics()["stopped_by"] == r.stopped_by
        assert session.statistics()["simulated_seconds"] == 0.03


def test_recording_stops_when_the_disk_is_nearly_full_and_keeps_what_was_there(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=10_000_000))
    with recorder(tmp_path, batch_steps=20) as r:
        r.write("l", "spikes", random_spikes(0), 1.0)
        r.flush_all()
        r.write("l", "spikes", random_spikes(1), 1.0)
        assert r.stopped_by.startswith("min_free_bytes")
        assert r.wants("l") == frozenset()
        assert json.loads((r.path / "recording_statistics.json").read_text())["stopped_by"] == r.stopped_by
    with Session(r.path) as session:
        assert session.train("main", "l").equals(random_spikes(0)[0])


def test_a_batch_that_does_not_fit_on_the_disk_stops_the_recording(tmp_path, monkeypatch):
    with recorder(tmp_path, batch_steps=20) as r:
        r.write("l", "spikes", random_spikes(0), 1.0)
        r.flush_all()
        monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=10))
        r.write("l", "spikes", random_spikes(1), 1.0)
        r.flush_all()
        assert "was not written" in r.stopped_by
    with Session(r.path) as session:
        assert session.train("main", "l").equals(random_spikes(0)[0])


def test_a_disk_that_refuses_stops_the_recording_and_not_the_run(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError("no space left on device")

    with recorder(tmp_path, batch_steps=20) as r:
        r.write("l", "spikes", random_spikes(0), 1.0)
        r.flush_all()
        monkeypatch.setattr("spikeloom.recording.writing.NodeWriter.write", refuse)
        r.write("l", "spikes", random_spikes(1), 1.0)
        r.write("l", "spikes", random_spikes(2), 1.0)
    assert r.stopped_by.startswith("the disk: no space left")
    with Session(r.path) as session:
        assert session.train("main", "l").equals(random_spikes(0)[0])
        assert session.statistics()["stopped_by"] == r.stopped_by


def test_a_session_that_cannot_be_made_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot make"):
        recorder(tmp_path / "file")


def test_recording_stops_after_the_wall_time(tmp_path, monkeypatch):
    with recorder(tmp_path, max_wall_seconds=5) as r:
        r.write("l", "spikes", random_spikes(0), 1.0)
        monkeypatch.setattr("time.monotonic", lambda: r._intake.began + 6)
        r.write("l", "spikes", random_spikes(1), 1.0)
        assert r.stopped_by == "max_wall_seconds: 5 s have passed"
    with Session(r.path) as session:
        assert session.train("main", "l").equals(random_spikes(0)[0])


def test_control_states_and_weights_and_metadata_come_back(tmp_path):
    with recorder(tmp_path, record_weights=True, dt=2.0) as r:
        r.record_control_state("pfc-0", "pfc", "Processing", "route", 7, {"pfc_entropy": np.float32(0.5)})
        r.record_control_state("a-0", "audio", "Idle")
        r.record_weight_data("pfc-0", "w", np.eye(3))
        r.record_spike_data("pfc-0", "l", np.zeros((5, 2), np.int8))
        r.record_weight_data("pfc-0", "w", torch.full((3, 3), 2.0))
        r.record_weight_data("pfc-0", "w", torch.full((3, 3), 3.0))
        r.metadata({"seed": np.int64(12), "layers": {"l": (2,)}})
        r.metadata({"seed": 13})
    lines = [json.loads(line) for line in (r.path / "control_states.jsonl").read_text().splitlines()]
    assert [(s["node_id"], s["status"], s["step_count"]) for s in lines] == [
        ("a-0", "Idle", 0),
        ("pfc-0", "Processing", 7),
    ]
    assert lines[1]["metadata"] == {"pfc_entropy": 0.5}
    with Session(r.path) as session:
        assert session.control_states() == lines
        assert [(s.t, s.weights[0, 0]) for s in session.weights("pfc-0", "w")] == [(0, 1), (10, 2), (10, 3)]
        metadata = session.metadata("main")
    assert (metadata["seed"], metadata["layers"], metadata["format"]) == (13, {"l": [2]}, 2)
    assert metadata["config"]["record_weights"] is True


def test_a_recorder_that_is_off_makes_no_file(tmp_path):
    with SimulationRecorder(RecorderConfig(output_dir=tmp_path / "none")) as r:
        assert r.wants("l") == frozenset()
        r.write("l", "spikes", random_spikes(0), 1.0)
        r.metadata({"seed": 1})
        r.record_control_state("n", "pfc", "Idle")
        r.record_weight_data("n", "w", np.eye(2))
        assert r.get_statistics()["total_spikes_recorded"] == 0
        with pytest.raises(StateError, match="is off and has no session; give RecorderConfig"):
            _ = r.path
    assert list(tmp_path.iterdir()) == []


def test_sessions_without_a_name_get_one_each(tmp_path):
    paths = set()
    for _ in range(3):
        with SimulationRecorder(RecorderConfig(enable_recording=True, output_dir=tmp_path)) as r:
            paths.add(r.path)
    assert len(paths) == 3


def test_the_global_recorder_is_the_one_that_was_set(tmp_path):
    with recorder(tmp_path) as r:
        set_global_recorder(r)
        assert get_global_recorder() is r
    set_global_recorder(None)
    assert get_global_recorder() is None


@pytest.mark.parametrize("name", ["../x", "a/b", "", ".", "..", ".hidden", "a\n", "a\0b", "x" * 101, "end.", 3, None])
def test_names_that_are_no_names_are_refused(tmp_path, name):
    with recorder(tmp_path) as r:
        with pytest.raises(ParameterError, match="node_id must be"):
            r.record_spike_data(name, "l", np.ones(2, np.int8))
        with pytest.raises(ParameterError, match="layer must be"):
            r.record_spike_data("n", name, np.ones(2, np.int8))
        with pytest.raises(ParameterError, match="node_id must be"):
            r.record_control_state(name, "pfc", "Idle")
    with pytest.raises(ParameterError, match="node_id must be"):
        SimulationRecorder(node_id=name)


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("spike_subsample_rate", 0),
        ("spike_subsample_rate", 1.5),
        ("membrane_subsample_rate", float("nan")),
        ("spike_subsample_mode", "neuron"),
        ("max_recording_duration", -1),
        ("max_wall_seconds", "5"),
        ("buffer_size", 0),
        ("batch_steps", 0),
        ("flush_interval", 0),
        ("weight_interval", -1),
        ("fsync", 1),
        ("buffer_size", 2.5),
        ("compression", "zstd"),
        ("compression_level", 10),
        ("enable_recording", 1),
        ("session_name", "../x"),
        ("min_free_bytes", -1),
        ("seed", -3),
        ("output_dir", ""),
    ],
)
def test_settings_that_no_recording_can_have_are_refused(setting, value):
    with pytest.raises(ParameterError, match=rf"RecorderConfig\.{setting} must be"):
        RecorderConfig(**{setting: value})


def test_an_unknown_setting_is_refused():
    with pytest.raises(ParameterError, match="unknown parameter 'record_spike'; did you mean 'record_spikes'"):
        RecorderConfig(record_spike=True)
    with pytest.raises(ParameterError, match=r"RecorderConfig takes settings by name.* got True"):
        RecorderConfig(True)


def test_a_mode_is_short_for_the_mode_of_subsampling():
    assert RecorderConfig(mode="steps").spike_subsample_mode == "steps"
    with pytest.raises(ParameterError, match="given twice"):
        RecorderConfig(mode="steps", spike_subsample_mode="spikes")


def test_a_recorder_takes_settings_as_a_config_only():
    with pytest.raises(ParameterError, match="config must be a RecorderConfig, got dict"):
        SimulationRecorder({"enable_recording": True})


def test_every_run_of_a_layer_is_known_by_its_window(tmp_path):
    with recorder(tmp_path, record_membrane=True, max_recording_duration=0.05, batch_steps=40) as r:
        for seed, n_samples in ((0, 3), (1, 3), (2, 2)):
            window = random_spikes(seed, n_samples=n_samples)
            r.write("l", "spikes", window, 1.0)
            r.write("l", "v", window.raster().astype(float), 1.0)
    with Session(r.path) as session:
        assert session.runs("main", "l") == [Run(0, 20, 3), Run(20, 40, 3), Run(40, 50, 2)]
        assert [b.windows for b in session.spikes("main", "l")] == [(20, 20), (10,)]
        assert [b.windows for b in session.membrane("main", "l")] == [(20, 20), (10,)]


def test_steps_handed_over_one_by_one_are_one_run(tmp_path):
    with recorder(tmp_path, batch_steps=4) as r:
        for _ in range(10):
            r.record_spike_data("main", "l", np.ones(2, np.int8))
    with Session(r.path) as session:
        assert len(list(session.spikes("main", "l"))) == 3
        assert session.runs("main", "l") == [Run(0, 10, 1)]


def test_more_windows_than_an_attribute_holds_are_written_in_batches(tmp_path):
    one = Spikes.from_raster(np.ones((1, 1, 1), np.int8), 1.0)
    with recorder(tmp_path, batch_steps=9000, buffer_size=18000, auto_flush=False) as r:
        for _ in range(8003):
            r.write("l", "spikes", one, 1.0)
    with Session(r.path) as session:
        assert [len(b.windows) for b in session.spikes("main", "l")] == [8000, 3]


def test_a_recorder_that_stopped_amid_a_window_takes_no_later_one(tmp_path, monkeypatch):
    with recorder(tmp_path) as r:
        r.write("l", "spikes", random_spikes(0, n_samples=3), 1.0)
        monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=10))
        r.write("l", "spikes", random_spikes(1, n_samples=2), 1.0)
        r.flush_all()
        assert "was not written" in r.stopped_by
        monkeypatch.undo()
    with Session(r.path) as session:
        assert session.layers("main") == []


def test_wrong_data_stops_at_the_door(tmp_path):
    with recorder(tmp_path, record_membrane=True) as r:
        r.write("l", "spikes", random_spikes(0), 1.0)
        with pytest.raises(ShapeError, match="stay of shape"):
            r.write("l", "spikes", random_spikes(0, shape=(4,)), 1.0)
        with pytest.raises(ParameterError, match="dt must stay"):
            r.write("l", "spikes", random_spikes(0, dt=0.5), 0.5)
        with pytest.raises(ParameterError, match="variable must be"):
            r.write("l", "spikes", np.ones((1, 1, 1)), 1.0)
        with pytest.raises(ParameterError, match="variable must be"):
            r.write("l", "v", random_spikes(0), 1.0)
        with pytest.raises(ParameterError, match="variable must be 1 to 100"):
            r.write("l", "../x", np.ones((1, 1, 1)), 1.0)
        with pytest.raises(ShapeError, match="v must have shape"):
            r.write("l", "v", np.ones((5, 2)), 1.0)
        with pytest.raises(ShapeError, match=r"\(N,\) or \(T, N\)"):
            r.record_spike_data("main", "l", np.ones((2, 2, 2), np.int8))
        with pytest.raises(ParameterError, match="numbers, texts"):
            r.metadata({"a": object()})
        with pytest.raises(ParameterError, match="at least 0 ms"):
            r.record_weight_data("main", "w", np.ones(2), t=-1)
    with pytest.raises(StateError, match="closed"):
        r.write("l", "spikes", random_spikes(0), 1.0)
    r.close()


def test_asking_for_what_was_not_recorded_names_what_was(tmp_path):
    with recorder(tmp_path) as r:
        r.record_spike_data("visual-0", "hidden", np.ones(2, np.int8))
    with Session(r.path) as session:
        with pytest.raises(UnknownNameError, match="did you mean 'visual-0'"):
            session.layers("visual0")
        with pytest.raises(UnknownNameError, match="did you mean 'hidden'"):
            session.spikes("visual-0", "hiden")
        with pytest.raises(UnknownNameError, match="no membrane of layer"):
            session.membrane("visual-0", "hidden")
