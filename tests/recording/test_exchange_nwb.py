"""NWB: what pynwb reads of an exported session, units of other writers as sessions, and hostile files."""

from datetime import UTC, datetime

import h5py
import numpy as np
import pytest
from recorded_sessions import full_session, recorded, simple_session, thinned_session

from spikeloom.errors import DataError, ParameterError, SpikeloomError, UnsupportedError
from spikeloom.recording import RecorderConfig, Run, Sampling, Session, SpikeBatch
from spikeloom.recording.exchange import export, import_session
from spikeloom.recording.writing import NodeWriter
from spikeloom.spikes import Spikes
from spikeloom.units import steps

pynwb = pytest.importorskip("pynwb", reason="the extra 'exchange' is not installed")


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    folder = tmp_path_factory.mktemp("nwb")
    path = full_session(folder)
    export(path, folder / "out.nwb", session_start_time=datetime(2025, 12, 6, tzinfo=UTC))
    return path, folder / "out.nwb"


@pytest.fixture(scope="module")
def opened(exported):
    with pynwb.NWBHDF5IO(exported[1], "r") as io:
        yield io.read()


def test_the_validator_of_pynwb_finds_nothing(exported):
    assert pynwb.validate(path=str(exported[1])) == []


def test_units_have_the_spikes_of_each_neuron_and_sample_in_seconds(exported, opened):
    units, session = opened.units.to_dataframe(), recorded(exported[0])
    assert len(units) == 4 + 5 + 3 * 6
    found = {}
    for _, unit in units.iterrows():
        dt = session[unit.node, unit.layer]["dt"]
        step = steps(np.asarray(unit.spike_times) * 1000, dt)
        np.testing.assert_allclose(np.asarray(unit.spike_times) * 1000, step * dt)
        found.setdefault((unit.node, unit.layer), []).extend((unit["sample"], int(s), unit.neuron, 1) for s in step)
    for key, events in found.items():
        assert sorted(events) == session[key]["events"]


def test_units_are_observed_in_the_runs_that_have_their_sample(opened):
    units = opened.units.to_dataframe()
    hidden = units[units.layer == "hidden"]
    for sample, runs in ((0, [[0, 2], [2, 4], [4.7, 6.7]]), (2, [[4.7, 6.7]])):
        for intervals in hidden[hidden["sample"] == sample].obs_intervals:
            np.testing.assert_allclose(intervals, np.array(runs) / 1000)


def test_runs_are_a_table_of_intervals(opened):
    runs = opened.intervals["runs"].to_dataframe()
    hidden = runs[runs.layer == "hidden"]
    assert hidden.n_samples.tolist() == [2, 2, 3]
    np.testing.assert_allclose(hidden.start_time, [0, 0.002, 0.0047])


def test_runs_of_several_layers_are_in_the_order_of_time(tmp_path):
    path = tmp_path / "s"
    writer = NodeWriter(path, "main", RecorderConfig(enable_recording=True))
    for layer in ("a", "b"):
        for start in (0, 5):
            spikes = Spikes.from_raster(np.ones((5, 1, 2), np.int8), 1.0)
            writer.write(layer, SpikeBatch(start, spikes, (5,)), Sampling())
    writer.close()
    export(path, tmp_path / "out.nwb")
    with pynwb.NWBHDF5IO(tmp_path / "out.nwb", "r") as io:
        runs = io.read().intervals["runs"].to_dataframe()
    assert runs.start_time.tolist() == [0, 0, 0.005, 0.005]
    assert list(zip(runs.layer, runs.run, strict=True)) == [("a", 0), ("b", 0), ("a", 1), ("b", 1)]


def test_potentials_are_time_series_at_the_times_of_their_steps(exported, opened):
    with Session(exported[0]) as session:
        batches = list(session.membrane("front", "hidden"))
    first, third = opened.acquisition["v|front|hidden|0"], opened.acquisition["v|front|hidden|2"]
    step = np.concatenate([batch.step + batch.start for batch in batches])
    np.testing.assert_allclose(first.timestamps[:], step * 0.1 / 1000)
    np.testing.assert_array_equal(first.data[:], np.concatenate([b.values[:, 0].reshape(-1, 6) for b in batches]))
    np.testing.assert_array_equal(third.data[:], batches[-1].values[:, 2].reshape(-1, 6))
    assert (third.rate, first.unit) == (pytest.approx(10_000), "n.a.")
    assert third.starting_time == pytest.approx(0.0047)


def test_weights_and_control_states_are_tables(exported, opened):
    weights = opened.processing["misc"]["weights"].to_dataframe()
    with Session(exported[0]) as session:
        shots = list(session.weights("front", "input_hidden"))
    assert weights.time.tolist() == [0, 0.002]
    for (_, row), shot in zip(weights.iterrows(), shots, strict=True):
        np.testing.assert_array_equal(np.reshape(row.weights, row["shape"]), shot.weights)
    control = opened.processing["misc"]["control_states"].to_dataframe().iloc[0]
    assert (control.node_id, control.status, control.step_count) == ("front", "Idle", 3)
    assert (list(control.metadata_name), list(control.metadata_value)) == (["entropy", "memory.size"], ["0.5", "3"])


def test_the_file_says_when_and_what_it_is(opened):
    assert opened.session_start_time == datetime(2025, 12, 6, tzinfo=UTC)
    assert opened.identifier.startswith("whole-")
    assert "simulated time" in opened.session_description


def test_of_a_thinned_layer_only_the_recorded_neurons_are_units(tmp_path):
    path = thinned_session(tmp_path, "neurons")
    export(path, tmp_path / "out.nwb")
    with pynwb.NWBHDF5IO(tmp_path / "out.nwb", "r") as io:
        units = io.read().units.to_dataframe()
    assert units.neuron.tolist() == recorded(path)["main", "layer"]["sampling"][2]


def test_potentials_that_are_not_read_are_named(exported, tmp_path):
    report = import_session(exported[1], tmp_path / "again")
    assert "spikes alone are read; out.nwb also holds acquisition/v|front|hidden|0" in str(report)


def foreign(path, times, intervals=None, names=True):
    """A file that pynwb writes of units, without what spikeloom adds."""
    file = pynwb.NWBFile("units of another program", "id", datetime(2020, 1, 1, tzinfo=UTC))
    if names:
        file.add_unit_column("quality", "how well it was sorted")
    for spike_times in times:
        more = {} if intervals is None else {"obs_intervals": intervals}
        file.add_unit(spike_times=spike_times, **more, **({"quality": "good"} if names else {}))
    with pynwb.NWBHDF5IO(path, "w") as io:
        io.write(file)
    return path


def test_units_of_another_writer_become_a_layer(tmp_path):
    source = foreign(tmp_path / "in.nwb", [[0.0012, 0.0301], [], [0.0105]])
    with pytest.raises(ParameterError, match="NWB units have times and no steps; give dt="):
        import_session(source, tmp_path / "s")
    assert not (tmp_path / "s").exists()
    report = import_session(source, tmp_path / "s", dt=1.0)
    layer = recorded(tmp_path / "s")["nwb", "units"]
    assert layer["events"] == [(0, 1, 0, 1), (0, 10, 2, 1), (0, 30, 0, 1)]
    assert (layer["runs"], layer["shape"]) == ([Run(0, 31, 1)], (3,))
    assert "the file states no obs_intervals; one run of 31 steps is taken" in str(report)


def test_intervals_of_another_writer_become_runs(tmp_path):
    source = foreign(tmp_path / "in.nwb", [[0.012], [0.051]], intervals=[[0.01, 0.02], [0.05, 0.06]])
    import_session(source, tmp_path / "s", dt=0.5)
    layer = recorded(tmp_path / "s")["nwb", "units"]
    assert layer["runs"] == [Run(20, 40, 1), Run(100, 120, 1)]
    assert layer["events"] == [(0, 24, 0, 1), (0, 102, 1, 1)]


def test_two_spikes_in_a_step_are_refused_or_merged(tmp_path):
    source = foreign(tmp_path / "in.nwb", [[0.0012, 0.0014]])
    with pytest.raises(DataError, match="neuron 0 fires twice in step 1"):
        import_session(source, tmp_path / "s", dt=1.0)
    assert import_session(source, tmp_path / "s", dt=1.0, collisions="merge").n_spikes == 1


@pytest.mark.parametrize("times", [[[-0.1]], [[np.nan]], [[1e300]]])
def test_times_that_no_step_has_are_refused(tmp_path, times):
    with pytest.raises(SpikeloomError):
        import_session(foreign(tmp_path / "in.nwb", times), tmp_path / "s", dt=1.0)
    assert not (tmp_path / "s").exists()


def test_units_that_are_observed_at_different_times_are_refused(tmp_path):
    source = foreign(tmp_path / "in.nwb", [[0.012], [0.012]], intervals=[[0.01, 0.02]])
    with h5py.File(source, "r+") as file:
        file["units/obs_intervals"][1] = [0.0, 0.05]
    with pytest.raises(UnsupportedError, match="observed in the same intervals"):
        import_session(source, tmp_path / "s", dt=1.0)


def replaced(file, name, data):
    attributes = dict(file[name].attrs)
    del file[name]
    file.create_dataset(name, data=data).attrs.update(attributes)


CLAIMS = [
    ("units/spike_times_index", np.array([5, 3, 900], np.uint16)),
    ("units/spike_times_index", np.array([0.5, 1.5])),
    ("units/spike_times", np.zeros((4, 4))),
    ("units/spike_times", np.array([b"a", b"b"])),
    ("scratch/spikeloom_session", np.frombuffer(b"no json", np.uint8)),
    ("scratch/spikeloom_session", np.frombuffer(b'{"spikeloom_exchange": 2, "layers": []}', np.uint8)),
    ("scratch/spikeloom_session", np.frombuffer(b'{"spikeloom_exchange": 1, "layers": []}', np.uint8)),
    ("scratch/spikeloom_session", np.frombuffer(b"[" * 100_000, np.uint8)),
]


@pytest.mark.parametrize(("name", "data"), CLAIMS)
def test_a_file_that_claims_nonsense_is_refused(exported, tmp_path, name, data):
    source = tmp_path / "in.nwb"
    source.write_bytes(exported[1].read_bytes())
    with h5py.File(source, "r+") as file:
        replaced(file, name, data)
    with pytest.raises(DataError):
        import_session(source, tmp_path / "s", dt=1.0)
    assert [p.name for p in tmp_path.iterdir()] == ["in.nwb"]


def test_links_out_of_the_file_are_not_followed(exported, tmp_path):
    source = tmp_path / "in.nwb"
    with h5py.File(source, "w") as file:
        file["units"] = h5py.ExternalLink(str(exported[1]), "/units")
    with pytest.raises(DataError, match="must have a group /units"):
        import_session(source, tmp_path / "s", dt=1.0)
    with h5py.File(source, "w") as file:
        file["units/spike_times"] = h5py.ExternalLink(str(exported[1]), "/units/spike_times")
    with pytest.raises(DataError, match="must have a data set 'spike_times'"):
        import_session(source, tmp_path / "s", dt=1.0)


def test_a_data_set_that_is_not_there_is_not_allocated(tmp_path):
    source = tmp_path / "in.nwb"
    with h5py.File(source, "w") as file:
        file.create_dataset("units/spike_times", (1 << 40,), np.float64, chunks=(1024,))
        file.create_dataset("units/spike_times_index", (1,), np.int64)
    with pytest.raises(DataError, match="claims"):
        import_session(source, tmp_path / "s", dt=1.0)


def test_without_the_package_the_error_says_how_to_get_it(tmp_path, monkeypatch):
    path = simple_session(tmp_path)
    monkeypatch.setitem(__import__("sys").modules, "pynwb", None)
    with pytest.raises(UnsupportedError, match=r"pip install 'spikeloom\[exchange\]'"):
        export(path, tmp_path / "out.nwb")
