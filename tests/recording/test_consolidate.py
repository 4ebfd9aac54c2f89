"""One file without links: what stock h5py reads of it, and what is refused."""

import json

import h5py
import numpy as np
import pytest

from spikeloom.errors import DataError, StateError, StorageError, UnknownNameError
from spikeloom.recording import RecorderConfig, Session, SimulationRecorder, consolidate
from spikeloom.recording.batches import MembraneBatch, SpikeBatch
from spikeloom.recording.sampling import Sampling
from spikeloom.recording.writing import NodeWriter
from spikeloom.spikes import Spikes

GENERATOR = np.random.default_rng(0)
RASTER = (GENERATOR.random((12, 2, 6)) < 0.3).astype(np.int8)
V = GENERATOR.random((12, 2, 6)).astype(np.float32)


@pytest.fixture
def session(tmp_path):
    config = RecorderConfig(
        enable_recording=True, output_dir=tmp_path, session_name="s", record_membrane=True, record_weights=True,
        membrane_subsample_rate=0.5,
    )  # fmt: skip
    for node in ("pfc-0", "visual-0"):
        with SimulationRecorder(config, node_id=node) as recorder:
            for part in (slice(0, 5), slice(5, 12)):
                recorder.write("lif", "spikes", Spikes.from_raster(RASTER[part], 0.5), 0.5)
                recorder.write("lif", "v", V[part], 0.5)
                recorder.flush_all()
            recorder.record_weight_data(node, "w", np.eye(3), t=0.0)
    return tmp_path / "s"


def links_in(group):
    for name in group:
        link = group.get(name, getlink=True)
        if not isinstance(link, h5py.HardLink):
            yield name
        elif isinstance(group[name], h5py.Group):
            yield from links_in(group[name])


def test_batches_are_in_one_file_as_they_were_in_those_of_the_nodes(session, tmp_path):
    target = consolidate(session)
    assert target == session / "simulation_data.h5"
    moved = target.rename(tmp_path / "alone.h5")
    with h5py.File(moved) as file:
        assert list(links_in(file)) == []
        for kind in ("spikes", "membrane", "weights", "metadata"):
            assert sorted(file[kind]) == ["pfc-0", "visual-0"]
        assert json.loads(file["metadata/pfc-0/node"][()]) == "pfc-0"
        for node in ("pfc-0", "visual-0"):
            with h5py.File(session / "nodes" / f"{node}.h5") as own:
                for kind, layer in (("spikes", "lif"), ("membrane", "lif"), ("weights", "w")):
                    ours, theirs = file[f"{kind}/{node}/{layer}"], own[f"{kind}/{node}/{layer}"]
                    assert list(ours) == list(theirs)
                    for name in ours:
                        assert np.array_equal(ours[name][()], theirs[name][()])
                        assert dict(ours[name].attrs).keys() == dict(theirs[name].attrs).keys()


def test_steps_are_data_sets_of_all_neurons_as_in_the_original(session, tmp_path):
    path = consolidate(session, tmp_path / "steps.h5", layout="steps", sample=1)
    with h5py.File(path) as file:
        layer = file["spikes/pfc-0/lif"]
        names = [f"t_{k * 500_000:019}" for k in range(12)]
        assert list(layer) == names
        assert {layer[name].dtype for name in names} == {np.dtype("i1")}
        assert np.array_equal([layer[name][()] for name in names], RASTER[:, 1])
        membrane = file["membrane/pfc-0/lif"]
        assert list(membrane) == names[1::2]
        assert np.array_equal([membrane[name][()] for name in names[1::2]], V[1::2, 1])
        assert np.array_equal(file["weights/visual-0/w"][names[0]][()], np.eye(3))


def test_only_the_steps_that_were_kept_are_there(tmp_path):
    config = RecorderConfig(
        enable_recording=True, output_dir=tmp_path, session_name="s", spike_subsample_rate=0.25,
        spike_subsample_mode="steps",
    )  # fmt: skip
    with SimulationRecorder(config) as recorder:
        recorder.write("l", "spikes", Spikes.from_raster(RASTER, 1.0), 1.0)
    with h5py.File(consolidate(recorder.path, layout="steps")) as file:
        assert list(file["spikes/main/l"]) == [f"t_{k * 1_000_000:019}" for k in (3, 7, 11)]
        assert np.array_equal(file[f"spikes/main/l/t_{7_000_000:019}"][()], RASTER[7, 0])


def test_offsets_and_sampled_neurons_and_other_observables_come_along(tmp_path):
    writer = NodeWriter(tmp_path / "s", "n", RecorderConfig(enable_recording=True))
    many = Spikes.from_raster((GENERATOR.random((2, 9000, 3)) < 0.5).astype(np.int8), 1.0)
    writer.write("l", SpikeBatch(0, many), Sampling("neurons", 0.5, np.array([0, 2])))
    writer.write("l", MembraneBatch(0, 2, 1.0, np.arange(2), V[:2], (2,)), Sampling(), "i_syn")
    writer.close()
    with h5py.File(consolidate(tmp_path / "s", tmp_path / "x.h5")) as file:
        name = f"t_{0:019}"
        assert np.array_equal(file[f"offsets/n/l/{name}"][()], many.offsets)
        assert file["sampled_neurons/n/l"][()].tolist() == [0, 2]
        assert np.array_equal(file[f"variables/n/l/i_syn/{name}"][()], V[:2])


def test_progress_rises_to_one(session, tmp_path):
    shares = []
    consolidate(session, tmp_path / "x.h5", progress=shares.append)
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    assert len(shares) == 2 * (2 + 2 + 1)


def test_what_cannot_be_done_leaves_what_was_there(session, tmp_path):
    before = (session / "simulation_data.h5").read_bytes()
    with pytest.raises(UnknownNameError, match="did you mean 'steps'"):
        consolidate(session, layout="step")
    with pytest.raises(DataError, match=r"sample must be in 0\.\.1, got 2"):
        consolidate(session, layout="steps", sample=2)
    with pytest.raises(StorageError, match="cannot write"):
        consolidate(session, tmp_path / "none" / "x.h5")
    assert (session / "simulation_data.h5").read_bytes() == before
    assert not list(session.glob(".simulation*"))


def test_a_session_that_is_being_recorded_is_written_elsewhere_only(tmp_path):
    config = RecorderConfig(enable_recording=True, output_dir=tmp_path, session_name="s")
    with SimulationRecorder(config) as recorder:
        recorder.record_spike_data("main", "l", RASTER[:, 0])
        recorder.flush_all()
        with pytest.raises(StateError, match="is being recorded"):
            consolidate(recorder.path)
        with h5py.File(consolidate(recorder.path, tmp_path / "x.h5")) as file:
            assert len(file["spikes/main/l"]) == 1


def test_data_outside_of_the_file_is_not_taken_along(session, tmp_path):
    (tmp_path / "secret").write_bytes(b"\1" * 72)
    with h5py.File(session / "nodes" / "pfc-0.h5", "r+") as file:
        outside = file.create_dataset(
            f"weights/pfc-0/w/t_{5:019}", (9,), "f8", external=[(str(tmp_path / "secret"), 0, 72)]
        )
        outside.attrs["t_start"] = 5e-6
    with pytest.raises(DataError, match="must lie in the file itself"):
        consolidate(session, tmp_path / "x.h5")
    with Session(session) as opened:
        assert opened.layers("pfc-0", "weights") == ["w"]
    assert not (tmp_path / "x.h5").exists()
