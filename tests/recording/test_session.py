"""Sessions whose files are missing, cut, damaged or made up: DataError, never a crash or a wrong answer."""

import json

import h5py
import numpy as np
import pytest

from spikeloom.errors import DataError, SpikeloomError
from spikeloom.recording import RecorderConfig, Run, Session, SimulationRecorder
from spikeloom.spikes import Spikes


@pytest.fixture
def path(tmp_path):
    config = RecorderConfig(
        enable_recording=True,
        output_dir=tmp_path,
        session_name="s",
        record_membrane=True,
        record_weights=True,
        spike_subsample_rate=0.5,
    )
    generator = np.random.default_rng(0)
    with SimulationRecorder(config) as recorder:
        for _ in range(2):
            raster = (generator.random((10, 2, 6)) < 0.5).astype(np.int8)
            recorder.write("l", "spikes", Spikes.from_raster(raster, 1.0), 1.0)
            recorder.write("l", "v", generator.random((10, 2, 6)), 1.0)
            recorder.flush_all()
        recorder.record_weight_data("main", "w", np.eye(3))
        recorder.record_control_state("main", "pfc", "Idle", None, 1)
    return recorder.path


def key(t_ms):
    return f"t_{t_ms * 1_000_000:019}"


def read_all(path):
    with Session(path) as session:
        for node in session.nodes():
            session.metadata(node)
            for layer in session.layers(node):
                session.sampling(node, layer)
                session.train(node, layer)
            for layer in session.layers(node, "membrane"):
                list(session.membrane(node, layer))
            for layer in session.layers(node, "weights"):
                list(session.weights(node, layer))
        session.control_states()
        session.statistics()


def test_an_undamaged_session_is_read(path):
    read_all(path)


def test_a_folder_without_a_recording_is_refused(tmp_path):
    with pytest.raises(DataError, match="must be a recorded session"):
        Session(tmp_path)


@pytest.mark.parametrize("content", [b"\x89HDF\r\n\x1a\n", b"no HDF5 at all" * 100])
def test_a_file_that_is_not_hdf5_is_refused(path, content):
    (path / "nodes" / "main.h5").write_bytes(content)
    with pytest.raises(
        DataError, match=r"cannot be read as HDF5: it is damaged or was cut off; copy it anew, or [^:]*$"
    ):
        read_all(path)


def test_no_damaged_byte_and_no_cut_escapes_as_another_error(path):
    file, generator = path / "nodes" / "main.h5", np.random.default_rng(1)
    good, refused = file.read_bytes(), 0
    for trial in range(60):
        damaged = bytearray(good)
        if trial % 3:
            for place in generator.integers(0, len(good), 8):
                damaged[place] = generator.integers(256)
        else:
            damaged = damaged[: generator.integers(len(good))]
        file.write_bytes(damaged)
        try:
            read_all(path)
        except SpikeloomError:
            refused += 1
    assert refused > 30


def replaced(file, name, **settings):
    """Puts a batch anew with other content or attributes."""
    old = file[name]
    attributes, data = dict(old.attrs), settings.pop("data", old[()])
    del file[name]
    new = file.create_dataset(name, data=data, **settings.pop("options", {}))
    new.attrs.update({**attributes, **settings})


EVENT = np.dtype([("step", "u4"), ("id", "u2")])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n_steps": -1}, "must be sane"),
        ({"n_steps": np.int64(2**40)}, "must be sane"),
        ({"shape": [2**40]}, "must be sane"),
        ({"shape": np.array([], int)}, "must be sane"),
        ({"shape": [2]}, "rising ids below 2"),
        ({"n_steps": 1}, r"Spikes\.step"),
        ({"dt": 0.0}, "must be sane"),
        ({"dt": np.nan}, "finite number"),
        ({"t_start": -1.0}, "must be sane"),
        ({"t_start": 5.0}, "must begin when its name says, got t_start 5.0"),
        ({"windows": [4, 5]}, "windows must be lengths that sum to 10"),
        ({"windows": [10, 0]}, "windows must be lengths"),
        ({"windows": 10}, "windows must be lengths"),
        ({"windows": [5.0, 5.0]}, "windows of kind iu"),
        ({"offsets": [0, 1]}, "offsets must rise"),
        ({"offsets": [0, 9, 3, 1]}, "offsets must rise"),
        ({"offsets": "none"}, "offsets of kind"),
        ({"mode": np.bytes_("some")}, "mode must be one of"),
        ({"mode": "neurons"}, "mode of kind"),
        ({"rate": 2.0}, r"rate must be in \(0, 1\]"),
        ({"data": np.arange(5)}, "kind V"),
        ({"data": np.zeros(5, [("step", "S4"), ("id", "u2")])}, "must hold numbers"),
        ({"data": np.zeros(2, EVENT), "offsets": [0, 2, 2]}, "fires twice"),
    ],
)
def test_a_batch_of_spikes_that_claims_nonsense_is_refused(path, change, message):
    with h5py.File(path / "nodes" / "main.h5", "r+") as file:
        replaced(file, f"spikes/main/l/{key(0)}", **change)
    with pytest.raises(DataError, match=message):
        read_all(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"data": np.zeros((3, 2, 6), np.float32)}, "must hold 1.0 of 10 steps"),
        ({"data": np.zeros((10, 2, 5), np.float32)}, "must have shape"),
        ({"data": np.zeros((10, 2, 6), np.int8)}, "kind f"),
        ({"n_steps": 2**31}, "must hold"),
    ],
)
def test_a_batch_of_potentials_that_claims_nonsense_is_refused(path, change, message):
    with h5py.File(path / "nodes" / "main.h5", "r+") as file:
        replaced(file, f"membrane/main/l/{key(0)}", **change)
    with pytest.raises(DataError, match=message):
        read_all(path)


def test_a_small_file_that_claims_terabytes_is_refused(path):
    with h5py.File(path / "nodes" / "main.h5", "r+") as file:
        del file[f"weights/main/w/{key(20)}"]
        bomb = file.create_dataset(
            f"weights/main/w/{key(20)}", (10**6, 10**6), "f4", chunks=(1000, 1000), compression="gzip"
        )
        bomb.attrs["t_start"] = 0.0
    with pytest.raises(DataError, match="claims 4000000000000 bytes"):
        read_all(path)


def test_data_outside_the_file_is_never_followed(path, tmp_path):
    secret = tmp_path / "secret"
    secret.write_bytes(b"\1" * 72)
    with h5py.File(tmp_path / "other.h5", "w") as other:
        other["l/t_0"] = np.arange(3)
    with h5py.File(path / "nodes" / "main.h5", "r+") as file:
        file["weights/main/linked"] = h5py.ExternalLink(str(tmp_path / "other.h5"), "/l")
    with Session(path) as session:
        assert session.layers("main", "weights") == ["w"]
    with h5py.File(path / "nodes" / "main.h5", "r+") as file:
        del file[f"weights/main/w/{key(20)}"]
        outside = file.create_dataset(f"weights/main/w/{key(20)}", (9,), "f8", external=[(str(secret), 0, 72)])
        outside.attrs["t_start"] = 0.0
    with pytest.raises(DataError, match="must lie in the file itself"):
        read_all(path)


@pytest.mark.parametrize(("lost", "left"), [(0, (10, 20)), (10, (0, 10))])
def test_a_layer_that_lost_a_batch_is_read_with_the_stretch_that_is_left(path, lost, left):
    with Session(path) as session:
        whole = session.train("main", "l", 1).raster()
    with h5py.File(path / "nodes" / "main.h5", "r+") as file:
        del file[f"spikes/main/l/{key(lost)}"]
    with Session(path) as session:
        assert session.runs("main", "l") == [Run(*left, 2)]
        train = session.train("main", "l", 1).raster()
    assert len(train) == left[1]
    assert not train[: left[0]].any()
    assert np.array_equal(train[slice(*left)], whole[slice(*left)])


def test_batches_of_another_step_are_refused(path):
    with h5py.File(path / "nodes" / "main.h5", "r+") as file:
        replaced(file, f"spikes/main/l/{key(10)}", dt=2.0)
    with pytest.raises(DataError, match=r"with dt 1.0 and shape \(6,\), got step 5, dt 2.0"):
        read_all(path)


def test_batches_that_overlap_are_refused(path):
    with h5py.File(path / "nodes" / "main.h5", "r+") as file:
        replaced(file, f"spikes/main/l/{key(0)}", n_steps=11, windows=[11])
    with pytest.raises(DataError, match="must begin at step 11 or later"):
        read_all(path)


def test_a_batch_in_the_far_future_is_refused(path):
    with h5py.File(path / "nodes" / "main.h5", "r+") as file:
        for name in (key(0), key(10)):
            replaced(file, f"spikes/main/l/{name}", shape=[1 << 31], dt=1e-3)
        file.move(f"spikes/main/l/{key(10)}", f"spikes/main/l/{key(10**12)}")
        file[f"spikes/main/l/{key(10**12)}"].attrs["t_start"] = 1e12
    with Session(path) as session, pytest.raises(DataError, match="too far from the others"):
        session.train("main", "l")


def test_one_level_too_high_the_session_of_the_run_is_named(path):
    path.rename(path.parent / "session")
    with pytest.raises(DataError, match=rf"the session of this run is {path.parent / 'session'}"):
        Session(path.parent)


def test_a_session_is_called_after_its_run(path):
    with Session(path) as session:
        assert session.title == "Session s"
    with h5py.File(path / "nodes" / "main.h5", "r+") as file:
        file["metadata/run"] = np.bytes_(b'"first"')
    with Session(path) as session:
        assert session.title == "Run first"


def test_a_missing_choice_of_neurons_is_noticed(path):
    with h5py.File(path / "nodes" / "main.h5", "r+") as file:
        del file["sampled_neurons"]
    with pytest.raises(DataError, match="sampled are missing"):
        read_all(path)


def test_a_control_line_that_was_cut_off_is_left_out_and_a_wrong_one_is_refused(path):
    file = path / "control_states.main.jsonl"
    whole = file.read_text()
    file.write_text(whole + whole[:20])
    with Session(path) as session:
        assert len(session.control_states()) == 1
        for line in ('{"node_id": 3}\n', "[1]\n", "{\n", "[" * 10**5 + "\n"):
            file.write_text(whole + line)
            with pytest.raises(DataError, match="line 2 must"):
                session.control_states()


def test_statistics_that_are_no_mapping_are_refused(path):
    (file,) = path.glob("recording_statistics.*.json")
    for content in ("[]", "{", json.dumps("x")):
        file.write_text(content)
        with Session(path) as session, pytest.raises(DataError, match="must"):
            session.statistics()
