"""Export of a session and import of the file: nothing is lost, and what a format cannot hold is refused."""

import csv
import json
from datetime import UTC, datetime

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from recorded_sessions import full_session, graded_session, raster, recorded, simple_session, thinned_session

from spikeloom.datasets import read_neuron_data
from spikeloom.errors import DataError, ParameterError, StateError, StorageError, UnknownNameError, UnsupportedError
from spikeloom.recording import RecorderConfig, Sampling, Session, SimulationRecorder, SpikeBatch
from spikeloom.recording.exchange import FORMATS, export, import_session
from spikeloom.recording.exchange import csv as csv_format
from spikeloom.recording.writing import NodeWriter
from spikeloom.spikes import Spikes
from spikeloom.units import steps

ENDINGS = {"nwb": "nwb", "sonata": "h5", "csv": "csv"}


@pytest.fixture(params=ENDINGS)
def ending(request):
    if request.param == "nwb":
        pytest.importorskip("pynwb", reason="the extra 'exchange' is not installed")
    return ENDINGS[request.param]


def test_an_exported_session_is_imported_as_it_was(tmp_path, ending):
    path = full_session(tmp_path)
    export(path, tmp_path / f"out.{ending}", kinds="spikes")
    report = import_session(tmp_path / f"out.{ending}", tmp_path / "again")
    assert recorded(tmp_path / "again") == recorded(path)
    assert report.n_spikes == sum(len(layer["events"]) for layer in recorded(path).values())
    with Session(tmp_path / "again") as session:
        assert session.metadata("front")["seed"] == 3
        assert session.statistics()["total_spikes_recorded"] == report.n_spikes


@pytest.mark.parametrize("mode", ["neurons", "steps", "spikes"])
def test_how_a_layer_was_thinned_is_exported_and_stated(tmp_path, ending, mode):
    path = thinned_session(tmp_path, mode)
    report = export(path, tmp_path / f"out.{ending}")
    assert f"main/layer holds a part of its spikes (mode {mode}, rate 0.5)" in str(report)
    import_session(tmp_path / f"out.{ending}", tmp_path / "again")
    assert recorded(tmp_path / "again") == recorded(path)


@pytest.mark.parametrize("ending", ["nwb", "csv"])
def test_values_of_spikes_are_exported(tmp_path, ending):
    if ending == "nwb":
        pytest.importorskip("pynwb", reason="the extra 'exchange' is not installed")
    path = graded_session(tmp_path)
    export(path, tmp_path / f"out.{ending}")
    import_session(tmp_path / f"out.{ending}", tmp_path / "again")
    assert recorded(tmp_path / "again") == recorded(path)


def test_values_of_spikes_are_refused_where_there_is_no_place_for_them(tmp_path):
    with pytest.raises(UnsupportedError, match="main/levels has spikes with values, which SONATA cannot hold"):
        export(graded_session(tmp_path), tmp_path / "out.h5")
    assert not (tmp_path / "out.h5").exists()


@given(data=st.data())
@settings(max_examples=15, deadline=None)
def test_any_runs_and_samples_survive_a_round_trip(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("any")
    writer = NodeWriter(folder / "s", "n", RecorderConfig(enable_recording=True))
    dt = data.draw(st.sampled_from([0.1, 0.3, 1.0, 1 / 3]))
    at = 0
    for _ in range(data.draw(st.integers(1, 4))):
        at += data.draw(st.sampled_from([0, 0, 1, 2500]))
        n_steps, n_samples = data.draw(st.integers(1, 30)), data.draw(st.integers(1, 3))
        generator = np.random.default_rng(data.draw(st.integers(0, 99)))
        spikes = Spikes.from_raster(raster(generator, (n_steps, n_samples, 3)), dt)
        writer.write("l", SpikeBatch(at, spikes, (n_steps,)), Sampling())
        at += n_steps
    writer.close()
    for ending in ("h5", "csv"):
        export(folder / "s", folder / f"out.{ending}")
        import_session(folder / f"out.{ending}", folder / f"again_{ending}")
        assert recorded(folder / f"again_{ending}") == recorded(folder / "s")


def test_a_run_longer_than_a_batch_and_a_table_longer_than_a_block_keep_every_spike(tmp_path, monkeypatch):
    monkeypatch.setattr(csv_format, "_BLOCK", 64)
    path = simple_session(tmp_path, n_steps=2300)
    export(path, tmp_path / "out.csv", kinds=["spikes"])
    import_session(tmp_path / "out.csv", tmp_path / "again")
    assert recorded(tmp_path / "again") == recorded(path)
    with Session(tmp_path / "again") as session:
        assert [batch.n_steps for batch in session.spikes("main", "layer")] == [1000, 1000, 300]


def test_long_runs_that_meet_stay_two(tmp_path):
    writer = NodeWriter(tmp_path / "s", "n", RecorderConfig(enable_recording=True))
    for start in (0, 1500):
        spikes = Spikes.from_raster(raster(np.random.default_rng(start), (1500, 1, 2)), 1.0)
        writer.write("l", SpikeBatch(start, spikes, (1500,)), Sampling())
    writer.close()
    export(tmp_path / "s", tmp_path / "out.h5")
    import_session(tmp_path / "out.h5", tmp_path / "again")
    assert recorded(tmp_path / "again") == recorded(tmp_path / "s")


def test_a_csv_line_is_a_spike_in_ms_of_its_layer(tmp_path):
    path = full_session(tmp_path)
    export(path, tmp_path / "out.csv", kinds=["spikes"])
    with (tmp_path / "out.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["layer"] == "hidden"]
    found = sorted((int(r["sample"]), steps(float(r["time_ms"]), 0.1), int(r["neuron"]), 1) for r in rows)
    layer = recorded(path)["front", "hidden"]
    assert found == layer["events"]
    for row in rows:
        run = layer["runs"][int(row["run"])]
        assert run.start <= steps(float(row["time_ms"]), 0.1) < run.stop
    described = json.loads((tmp_path / "out.csv-metadata.json").read_text())
    assert [c["name"] for c in described["tableSchema"]["columns"]] == list(rows[0])


def test_potentials_go_into_a_table_of_their_own(tmp_path):
    path = full_session(tmp_path)
    with pytest.raises(UnsupportedError, match="csv cannot hold weights, control"):
        export(path, tmp_path / "out.csv")
    with pytest.raises(UnsupportedError, match="spikes or potentials"):
        export(path, tmp_path / "out.csv", kinds=["spikes", "membrane"])
    export(path, tmp_path / "out.csv", kinds=["membrane"])
    with (tmp_path / "out.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    with Session(path) as session:
        batches = list(session.membrane("front", "hidden"))
    assert len(rows) == sum(batch.size for batch in batches)
    last = batches[-1].values
    found = [float(row["value"]) for row in rows if row["run"] == "2" and row["sample"] == "1"]
    np.testing.assert_array_equal(np.array(found, np.float32), last[:, 1].ravel())


def test_a_sonata_file_has_the_layout_of_the_format(tmp_path):
    path = full_session(tmp_path)
    export(path, tmp_path / "out.h5", kinds=["spikes"])
    events = recorded(path)["front", "hidden"]["events"]
    with h5py.File(tmp_path / "out.h5") as file:
        assert (int(file.attrs["magic"]), file.attrs["version"].tolist()) == (0x0A7A, [0, 1])
        for sample in range(3):
            population = file[f"spikes/front:hidden:{sample}"]
            assert population.attrs["sorting"] == 2
            assert population["timestamps"].attrs["units"] == b"ms"
            assert np.all(np.diff(population["timestamps"]) >= 0)
            mine = [(step * 0.1, neuron) for s, step, neuron, _ in events if s == sample]
            assert population["node_ids"].dtype == np.uint64
            np.testing.assert_allclose(population["timestamps"], [t for t, _ in mine])
            assert population["node_ids"][()].tolist() == [n for _, n in mine]


def test_a_pt_file_holds_spikes_and_potentials_by_step_and_neuron(tmp_path):
    path = simple_session(tmp_path)
    export(path, tmp_path / "out.pt")
    data = read_neuron_data(tmp_path / "out.pt")
    with Session(path) as session:
        expected, v = session.train("main", "layer"), next(iter(session.membrane("main", "layer")))
    assert float(data["dt"]) == 0.5
    assert data.to_spikes(0.5).equals(expected)
    np.testing.assert_array_equal(data["membrane_potential"].numpy(), v.values[:, 0])


def test_pt_files_of_several_layers_and_samples_name_the_steps_that_were_recorded(tmp_path):
    path = full_session(tmp_path)
    report = export(path, tmp_path / "out.pt", kinds=["spikes", "membrane"])
    files = sorted(str(file.relative_to(report.path)) for file in report.path.rglob("*.pt"))
    assert files == [
        "back-1/silent.0.pt", "back-1/votes.0.pt", "front/hidden.0.pt", "front/hidden.1.pt", "front/hidden.2.pt",
    ]  # fmt: skip
    first, third = (read_neuron_data(report.path / "front" / f"hidden.{sample}.pt") for sample in (0, 2))
    assert first["step"].tolist() == [*range(40), *range(47, 67)]
    assert third["step"].tolist() == list(range(47, 67))
    assert first["run"].tolist() == [0] * 20 + [1] * 20 + [2] * 20
    assert first["shape"].tolist() == [2, 3]
    row, neuron = first.spikes.nonzero().T
    found = sorted(zip([0] * len(row), first["step"][row].tolist(), neuron.tolist(), [1] * len(row), strict=True))
    assert found == [event for event in recorded(path)["front", "hidden"]["events"] if event[0] == 0]


def test_pt_files_keep_values_and_leave_out_steps_that_were_not_recorded(tmp_path):
    export(graded_session(tmp_path), tmp_path / "graded.pt")
    data = read_neuron_data(tmp_path / "graded.pt" / "main" / "levels.1.pt")
    events = [e for e in recorded(tmp_path / "graded")["main", "levels"]["events"] if e[0] == 1]
    row, neuron = data["spike_values"].nonzero().T
    assert data["spike_values"][row, neuron].tolist() == [value for *_, value in events]
    export(thinned_session(tmp_path, "steps"), tmp_path / "steps.pt")
    assert read_neuron_data(tmp_path / "steps.pt")["step"].tolist() == list(range(1, 50, 2))


def test_an_export_replaces_a_file_whole_or_not_at_all(tmp_path, ending, monkeypatch):
    path, out = simple_session(tmp_path), tmp_path / f"out.{ending}"
    out.write_bytes(b"what was there")
    broken = Session.spikes

    def failing(self, *arguments):
        for batch in broken(self, *arguments):
            yield batch
            raise DataError("a damaged batch")

    with monkeypatch.context() as patch:
        patch.setattr(Session, "spikes", failing)
        with pytest.raises(DataError, match="a damaged batch"):
            export(path, out, kinds=["spikes"])
    assert out.read_bytes() == b"what was there"
    export(path, out, kinds=["spikes"])
    assert out.read_bytes() != b"what was there"
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == []


def test_a_session_that_is_being_recorded_is_not_exported(tmp_path):
    config = RecorderConfig(enable_recording=True, output_dir=tmp_path, session_name="live")
    with SimulationRecorder(config) as recorder:
        recorder.record_spike_data("main", "layer", np.eye(4, dtype=np.int8))
        recorder.flush_all()
        with pytest.raises(StateError, match="is being recorded; wait for its end"):
            export(recorder.path, tmp_path / "out.csv")
    assert export(recorder.path, tmp_path / "out.csv").n_spikes == 4


def test_a_folder_that_is_not_there_is_an_error_of_storage(tmp_path):
    with pytest.raises(StorageError, match="cannot write"):
        export(simple_session(tmp_path), tmp_path / "nowhere" / "out.csv", kinds="spikes")


def test_progress_is_told_up_to_all(tmp_path, ending):
    shares = []
    path = full_session(tmp_path)
    export(path, tmp_path / f"out.{ending}", kinds="spikes", progress=shares.append)
    assert shares[-1] == 1
    assert shares == sorted(shares)


def test_formats_are_chosen_by_ending_or_name(tmp_path):
    path = simple_session(tmp_path)
    assert export(path, tmp_path / "out.txt", "csv", kinds="spikes").format == "csv"
    with pytest.raises(ParameterError, match=r"out\.xyz must end in one of \.nwb, "):
        export(path, tmp_path / "out.xyz")
    with pytest.raises(UnknownNameError, match="did you mean 'sonata'"):
        export(path, tmp_path / "out.x", "sonatta")
    with pytest.raises(UnsupportedError, match="original is read and not written"):
        export(path, tmp_path / "out.x", "original")
    with pytest.raises(UnsupportedError, match="pt is written and not read"):
        import_session(path, tmp_path / "x", "pt")
    assert list(FORMATS) == ["nwb", "sonata", "csv", "pt", "neo", "original"]


def test_a_session_without_data_is_not_exported(tmp_path):
    NodeWriter(tmp_path / "s", "n", RecorderConfig(enable_recording=True)).close()
    with pytest.raises(DataError, match="s holds no data"):
        export(tmp_path / "s", tmp_path / "out.nwb")


def test_kinds_are_checked(tmp_path):
    path = simple_session(tmp_path)
    with pytest.raises(UnsupportedError, match="sonata cannot hold membrane; choose with kinds= from spikes"):
        export(path, tmp_path / "out.h5")
    with pytest.raises(ParameterError, match="kinds must be of spikes"):
        export(path, tmp_path / "out.h5", kinds=["spike"])
    with pytest.raises(ParameterError, match="the session has no weights; it has spikes, membrane"):
        export(path, tmp_path / "out.nwb", kinds=["weights"])
    with pytest.raises(ParameterError, match="must have a time zone"):
        export(path, tmp_path / "out.csv", kinds="spikes", session_start_time=datetime(2026, 1, 1))


def test_the_start_by_the_clock_on_the_wall_goes_along(tmp_path):
    path, start = simple_session(tmp_path), datetime(2025, 12, 6, 12, tzinfo=UTC)
    export(path, tmp_path / "out.h5", kinds="spikes", session_start_time=start)
    import_session(tmp_path / "out.h5", tmp_path / "again")
    with Session(tmp_path / "again") as session:
        assert session.metadata("main")["imported"]["started"] == start.timestamp()
    export(tmp_path / "again", tmp_path / "second.h5")
    with h5py.File(tmp_path / "second.h5") as file:
        assert json.loads(file["spikeloom_session"][()].tobytes())["started"] == start.timestamp()
