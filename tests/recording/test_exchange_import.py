"""Import of files that others wrote: EvoSpikeNet's layout, SONATA, tables; what is assumed is stated."""

import json

import h5py
import numpy as np
import pytest
from recorded_sessions import full_session, raster, recorded, simple_session

from spikeloom.errors import DataError, ParameterError, SpikeloomError
from spikeloom.recording import Run, Session
from spikeloom.recording.exchange import export, import_session
from spikeloom.recording.exchange import original as original_format
from spikeloom.recording.verify import verify
from spikeloom.units import steps

WALL = 1_733_420_400_000_000_000


def original(folder, spikes, *, late=(), every=1):
    """A folder as EvoSpikeNet's recorder leaves it: a data set a step, named by the clock on the wall."""
    folder.mkdir()
    with h5py.File(folder / "simulation_data.h5", "w") as file:
        for step, row in enumerate(spikes):
            wall = WALL + step * 10_000_000 + 60_000_000 * sum(step >= t for t in late)
            file[f"spikes/pfc-0/output/t_{wall}"] = row
            if step % every == 0:
                file[f"membrane/pfc-0/output/t_{wall + 5000}"] = row * 0.5
        file[f"weights/pfc-0/readout/t_{WALL + 35_000_000}"] = np.eye(3)
        file["metadata/pfc-0/note"] = "free text"
    state = {"timestamp": WALL / 1e9, "node_id": "pfc-0", "module_type": "pfc", "status": "Idle",
             "active_task": None, "step_count": 1, "metadata": {"pfc_entropy": 0.5}}  # fmt: skip
    (folder / "control_states.jsonl").write_text(json.dumps(state) + "\n")
    return folder


def test_steps_of_the_original_are_numbered_in_the_order_of_their_names(tmp_path, monkeypatch):
    monkeypatch.setattr(original_format, "_BATCH_STEPS", 50)
    spikes = raster(np.random.default_rng(0), (203, 7))
    source = original(tmp_path / "old", spikes)
    report = import_session(source, tmp_path / "s", dt=1.0)
    with Session(tmp_path / "s") as session:
        np.testing.assert_array_equal(session.train("pfc-0", "output").raster()[:, 0], spikes)
        assert session.runs("pfc-0", "output") == [Run(0, 203, 1)]
        v = np.concatenate([batch.values[:, 0] for batch in session.membrane("pfc-0", "output")])
        np.testing.assert_array_equal(v, spikes * np.float32(0.5))
        (shot,) = session.weights("pfc-0", "readout")
        assert shot.t == 4.0
        assert session.control_states()[0]["metadata"] == {"pfc_entropy": 0.5}
        assert session.metadata("pfc-0")["imported"]["started"] == WALL / 1e9
    assert "203 data sets are taken as steps 0..202 of 1 ms in the order of their names" in str(report)
    assert "10 ms apart" in str(report)
    assert verify(tmp_path / "s").is_whole


def test_times_of_the_clock_on_the_wall_are_not_taken_as_simulated_time(tmp_path):
    source = original(tmp_path / "old", np.eye(4, dtype=np.int8))
    with pytest.raises(ParameterError, match="times by the clock on the wall, not simulated time; give dt="):
        import_session(source, tmp_path / "s")
    assert not (tmp_path / "s").exists()


def test_gaps_between_the_names_are_reported(tmp_path):
    source = original(tmp_path / "old", np.eye(9, dtype=np.int8), late=(3, 7))
    report = str(import_session(source, tmp_path / "s", dt=1.0))
    places = f"t_{WALL + 20_000_000}, t_{WALL + 120_000_000}"
    assert f"2 times more than 1.5 of that, after {places}: steps may be missing" in report


def test_potentials_of_fewer_steps_need_their_own_dt(tmp_path):
    source = original(tmp_path / "old", np.eye(10, dtype=np.int8), every=5)
    with pytest.raises(ParameterError, match="10 steps of spikes and 2 of potentials; give membrane_dt="):
        import_session(source, tmp_path / "s", dt=1.0)
    import_session(source, tmp_path / "s", dt=1.0, membrane_dt=5.0)
    with Session(tmp_path / "s") as session:
        (batch,) = session.membrane("pfc-0", "output")
    assert (batch.dt, batch.n_steps) == (5.0, 2)


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        (f"spikes/pfc-0/output/t_{WALL}", np.zeros(3), "must have the shape"),
        (f"spikes/pfc-0/output/t_{WALL}", np.zeros((4, 4)), "must have the shape"),
        (f"spikes/pfc-0/output/t_{WALL}", np.array([b"text"] * 4), "must hold data of kind"),
        (f"spikes/pfc-0/output/t_{WALL}", np.array([np.nan] * 4), "finite"),
        (f"weights/pfc-0/readout/t_{WALL + 35_000_000}", np.array([b"text"]), "must hold data of kind"),
    ],
)
def test_steps_that_are_no_steps_are_refused(tmp_path, name, data, message):
    source = original(tmp_path / "old", np.eye(4, dtype=np.int8))
    with h5py.File(source / "simulation_data.h5", "r+") as file:
        del file[name]
        file[name] = data
    with pytest.raises(SpikeloomError, match=message):
        import_session(source, tmp_path / "s", dt=1.0)
    assert not (tmp_path / "s").exists()


@pytest.mark.parametrize("name", ["t_07", "t_" + "9" * 19])
def test_names_that_are_one_time_or_none_are_refused(tmp_path, name):
    with h5py.File(tmp_path / "in.h5", "w") as file:
        for key in ("t_7", name):
            file[f"spikes/pfc-0/output/{key}"] = np.ones(4)
    with pytest.raises(DataError, match="must be different times in ns"):
        import_session(tmp_path / "in.h5", tmp_path / "s", dt=1.0)


def test_a_file_that_holds_links_alone_makes_no_session(tmp_path):
    with h5py.File(tmp_path / "in.h5", "w") as file:
        file["spikes/pfc-0/output/t_1"] = h5py.ExternalLink("elsewhere.h5", "/x")
    with pytest.raises(DataError, match="must hold spikes, potentials or weights itself, got none"):
        import_session(tmp_path / "in.h5", tmp_path / "s", dt=1.0)
    assert not (tmp_path / "s").exists()


def test_a_table_of_very_many_nodes_is_refused(tmp_path):
    lines = "".join(f"n{k},l,0,0,1.0,1\n" for k in range(1001))
    (tmp_path / "in.csv").write_text("node,layer,sample,run,time_ms,neuron\n" + lines)
    with pytest.raises(DataError, match="at most 1000 nodes, got more"):
        import_session(tmp_path / "in.csv", tmp_path / "s", dt=1.0)


def test_links_of_a_simulation_file_to_elsewhere_are_not_followed(tmp_path):
    path = simple_session(tmp_path)
    with pytest.raises(DataError, match="holds no layer itself"):
        import_session(path, tmp_path / "s", dt=1.0)


@pytest.mark.parametrize("ending", ["h5", "old", "csv"])
def test_no_damaged_byte_and_no_cut_escapes_as_another_error(tmp_path, ending):
    generator, refused = np.random.default_rng(1), 0
    if ending == "old":
        source = original(tmp_path / "old", np.eye(9, dtype=np.int8)) / "simulation_data.h5"
    else:
        source = tmp_path / f"in.{ending}"
        export(full_session(tmp_path), source, kinds="spikes")
    good = source.read_bytes()
    for trial in range(60):
        damaged = bytearray(good)
        if trial % 3:
            for place in generator.integers(0, len(good), 8):
                damaged[place] = generator.integers(256)
        else:
            damaged = damaged[: generator.integers(len(good))]
        source.write_bytes(damaged)
        try:
            import_session(source, tmp_path / f"s{trial}", dt=1.0)
        except SpikeloomError:
            refused += 1
            assert not (tmp_path / f"s{trial}").exists()
    assert refused > 20


def sonata(path, timestamps, node_ids, unit="ms", population="V1"):
    """A file as the SONATA developer guide shows it."""
    with h5py.File(path, "w") as file:
        group = file.create_group(f"spikes/{population}")
        group.attrs.create("sorting", 2, dtype=h5py.enum_dtype({"none": 0, "by_id": 1, "by_time": 2}, basetype="u1"))
        group["timestamps"], group["node_ids"] = timestamps, np.asarray(node_ids, np.uint64)
        group["timestamps"].attrs["units"] = np.bytes_(unit)
    return path


def test_a_population_of_sonata_becomes_a_layer(tmp_path):
    source = sonata(tmp_path / "spikes.h5", [0.1, 0.2, 7.3], [3, 0, 3])
    report = import_session(source, tmp_path / "s", dt=0.1)
    layer = recorded(tmp_path / "s")["sonata", "V1"]
    assert layer["events"] == [(0, 1, 3, 1), (0, 2, 0, 1), (0, 73, 3, 1)]
    assert (layer["runs"], layer["shape"]) == ([Run(0, 74, 1)], (4,))
    assert "taken as 4 neurons, by the greatest id, and one run of 74 steps" in str(report)
    with pytest.raises(ParameterError, match="give dt="):
        import_session(source, tmp_path / "other")


@pytest.mark.parametrize(
    ("timestamps", "node_ids", "unit", "message"),
    [
        ([1.0, 2.0], [1], "ms", "must be as many"),
        ([-1.0], [1], "ms", "not negative"),
        ([np.inf], [1], "ms", "finite"),
        ([1.0], [1 << 40], "ms", "node_ids must be in"),
        ([1.0], [1], "s", "must be in ms, got 's'"),
        ([1.0, 1.2], [1, 1], "ms", "fires twice"),
        ([1e300], [1], "ms", "at most"),
    ],
)
def test_a_population_that_cannot_be_is_refused(tmp_path, timestamps, node_ids, unit, message):
    source = sonata(tmp_path / "spikes.h5", timestamps, node_ids, unit)
    with pytest.raises(SpikeloomError, match=message):
        import_session(source, tmp_path / "s", dt=1.0)


def test_spikes_outside_of_the_described_runs_are_refused(tmp_path):
    export(full_session(tmp_path), tmp_path / "out.h5", kinds="spikes")
    with h5py.File(tmp_path / "out.h5", "r+") as file:
        file["spikes/front:hidden:0/timestamps"][-1] = 4.3
    with pytest.raises(DataError, match="front/hidden: every spike must lie in a recorded run"):
        import_session(tmp_path / "out.h5", tmp_path / "s")


@pytest.mark.parametrize(
    "change",
    [
        {"shape": [1 << 40]}, {"shape": []}, {"shape": [-1]}, {"dt_ms": 0.0}, {"dt_ms": "x"}, {"node": "../x"},
        {"runs": [[0, 1 << 40, 1]]}, {"runs": [[5, 2, 1]]}, {"runs": [[0, 20, 2], [10, 30, 2]]}, {"runs": [[0, 20]]},
        {"runs": []}, {"runs": [[0, 67, 1 << 61]]}, {"sampling": "some"}, {"sampling": "neurons"}, {"rate": 7},
        {"sampled_neurons": [0]}, {"sampling": "neurons", "sampled_neurons": [9]}, {"values": "object"},
    ],
)  # fmt: skip
def test_a_description_that_claims_nonsense_is_refused(tmp_path, change):
    export(full_session(tmp_path), tmp_path / "out.h5", kinds="spikes")
    with h5py.File(tmp_path / "out.h5", "r+") as file:
        description = json.loads(file["spikeloom_session"][()].tobytes())
        next(layer for layer in description["layers"] if layer["layer"] == "hidden").update(change)
        del file["spikeloom_session"]
        file["spikeloom_session"] = np.frombuffer(json.dumps(description).encode(), np.uint8)
    with pytest.raises((DataError, ParameterError)):
        import_session(tmp_path / "out.h5", tmp_path / "s")
    assert not (tmp_path / "s").exists()


def test_a_table_without_its_description_needs_dt_and_states_what_is_assumed(tmp_path):
    path = full_session(tmp_path)
    export(path, tmp_path / "out.csv", kinds="spikes")
    (tmp_path / "out.csv-metadata.json").unlink()
    with pytest.raises(ParameterError, match=r"out\.csv-metadata\.json is missing.*give dt="):
        import_session(tmp_path / "out.csv", tmp_path / "s")
    report = import_session(tmp_path / "out.csv", tmp_path / "s", dt=0.1)
    expected, found = recorded(path)["front", "hidden"], recorded(tmp_path / "s")["front", "hidden"]
    assert found["events"] == expected["events"]
    assert "the file states neither how many neurons there are nor how long" in str(report)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b,c\n", "the first line must be node,layer,sample,run,time_ms,neuron"),
        ("", "the first line must be"),
        ("node,layer,sample,run,time_ms,neuron\nx,y,0,0,1.0\n", "every line must have 6 fields"),
        ("node,layer,sample,run,time_ms,neuron\nx,y,0,0,late,1\n", "could not convert"),
        ("node,layer,sample,run,time_ms,neuron\nx,y,0,0,nan,1\n", "finite numbers"),
        ("node,layer,sample,run,time_ms,neuron\nx,y,-1,0,1,1\n", "at least 0"),
        ("node,layer,sample,run,time_ms,neuron\nx,y,0,0,1,99999999999999999999\n", "in.csv, lines until 2"),
        ("node,layer,sample,run,time_ms,neuron\nx,y,0,0,1,9999999999\n", "x/y"),
        ("node,layer,sample,run,time_ms,neuron\n../x,y,0,0,1,1\n", "node must be 1 to 100"),
        ('node,layer,sample,run,time_ms,neuron\n"x', "line 2"),
        ("node,layer,sample,run,time_ms,neuron\nx,y,0,0,1," + "1" * 200_000, "line 2"),
    ],
)
def test_a_table_that_is_none_is_refused(tmp_path, text, message):
    (tmp_path / "in.csv").write_text(text)
    with pytest.raises(SpikeloomError, match=message):
        import_session(tmp_path / "in.csv", tmp_path / "s", dt=1.0)
    assert [p.name for p in tmp_path.iterdir()] == ["in.csv"]


def test_what_a_small_table_claims_is_not_allocated(tmp_path):
    (tmp_path / "in.csv").write_text("node,layer,sample,run,time_ms,neuron\nx,y,99999999999,0,1,1\n")
    with pytest.raises(DataError, match="claims too many samples"):
        import_session(tmp_path / "in.csv", tmp_path / "s", dt=1.0)


def test_what_lasts_long_is_written_in_few_batches(tmp_path):
    source = sonata(tmp_path / "spikes.h5", [1.0, 2e9], [1, 0])
    import_session(source, tmp_path / "s", dt=1.0)
    with Session(tmp_path / "s") as session:
        assert session.runs("sonata", "V1") == [Run(0, 2_000_000_001, 1)]
        assert len(list(session.stretches("sonata", "V1"))) <= 1001


def test_a_layer_that_is_not_described_is_refused(tmp_path):
    export(simple_session(tmp_path), tmp_path / "out.csv", kinds="spikes")
    with (tmp_path / "out.csv").open("a") as file:
        file.write("main,other,0,0,1.0,2\n")
    with pytest.raises(DataError, match=r"spikes of main/other, which out\.csv-metadata\.json does not describe"):
        import_session(tmp_path / "out.csv", tmp_path / "s")


def test_the_folder_must_be_new_and_the_source_there(tmp_path):
    path = simple_session(tmp_path)
    with pytest.raises(ParameterError, match="folder must be new"):
        import_session(path, path, dt=1.0)
    with pytest.raises(DataError, match="which is not there"):
        import_session(tmp_path / "nothing.nwb", tmp_path / "s")
    (tmp_path / "notes.txt").write_text("no spikes")
    with pytest.raises(DataError, match="must be a file of HDF5 or one that ends in"):
        import_session(tmp_path / "notes.txt", tmp_path / "s")


def test_times_of_an_exported_table_read_back_exactly():
    step = np.arange(100_000)
    for dt in (0.1, 1 / 3, 0.025):
        text = [str(t) for t in (step * dt).tolist()]
        np.testing.assert_array_equal(steps(np.array([float(t) for t in text]), dt), step)
