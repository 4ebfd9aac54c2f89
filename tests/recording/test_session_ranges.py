"""Parts of a session read without the rest: ranges of steps, runs, extents, other observables; and format 1."""

import json

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import spikeloom.recording.session as session_module
from spikeloom.errors import DataError, ParameterError, UnknownNameError
from spikeloom.recording import Extent, RecorderConfig, Run, Sampling, Session, SpikeBatch, sessions_in
from spikeloom.recording.batches import MembraneBatch
from spikeloom.recording.writing import NodeWriter
from spikeloom.spikes import Spikes

DT = 0.1


def raster(seed, n_steps, n_samples=2):
    return (np.random.default_rng(seed).random((n_steps, n_samples, 5)) < 0.3).astype(np.int8)


def written(path, lengths, windows=None, gap=0, node="a"):
    """A session with one batch of each length, `gap` steps apart; its raster, zero in the gaps."""
    writer, at, parts = NodeWriter(path, node, RecorderConfig(enable_recording=True)), 0, []
    for k, n_steps in enumerate(lengths):
        part = raster(k, n_steps)
        runs = (n_steps,) if windows is None else windows[k]
        writer.write("l", SpikeBatch(at, Spikes.from_raster(part, DT), runs), Sampling())
        v = np.where(part, 1.5, 0.25).astype(np.float32)
        for variable in ("v", "i_syn"):
            writer.write("l", MembraneBatch(at, n_steps, DT, np.arange(n_steps), v, runs), Sampling(), variable)
        at += n_steps + gap
        parts += [part, np.zeros((gap, *part.shape[1:]), np.int8)]
    writer.close()
    return np.concatenate(parts)[: at - gap]


@settings(max_examples=30, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 9), min_size=1, max_size=6),
    gap=st.integers(0, 3),
    bounds=st.tuples(st.integers(0, 60), st.integers(0, 60)),
)
def test_a_range_of_steps_is_the_same_slice_of_the_whole(tmp_path_factory, lengths, gap, bounds):
    path = tmp_path_factory.mktemp("s")
    whole, (begin, end) = written(path, lengths, gap=gap), sorted(bounds)
    with Session(path) as session:
        found = np.zeros_like(whole)
        for batch in session.spikes("a", "l", begin, end):
            assert begin <= batch.start < batch.start + batch.n_steps <= end
            assert sum(batch.windows) == batch.n_steps
            found[batch.start : batch.start + batch.n_steps] = batch.spikes.raster()
        assert np.array_equal(found[begin:end], whole[begin:end])
        assert not found[:begin].any()
        assert not found[end:].any()
        for batch in session.membrane("a", "l", begin, end):
            inside = whole[batch.start : batch.start + batch.n_steps]
            assert np.array_equal(batch.values > 1, inside.astype(bool)[batch.step])


def test_batches_outside_of_a_range_are_not_read(tmp_path, monkeypatch):
    written(tmp_path, [10] * 50)
    read = []
    whole = session_module.read_spikes

    def counted(data, offsets):
        read.append(data.name)
        return whole(data, offsets)

    monkeypatch.setattr(session_module, "read_spikes", counted)
    with Session(tmp_path) as session:
        assert [b.start for b in session.spikes("a", "l", 205, 221)] == [205, 210, 220]
    assert len(read) == 3


def test_a_train_of_a_range_counts_its_steps_from_the_beginning_of_the_range(tmp_path):
    whole = written(tmp_path, [10, 10, 10])
    with Session(tmp_path) as session:
        train = session.train("a", "l", 1, begin=7, end=25)
    assert np.array_equal(train.raster()[:, 0], whole[7:25, 1])
    assert train.duration == pytest.approx(1.8)


@pytest.mark.parametrize(("begin", "end"), [(-1, 5), (6, 5), (0, -1)])
def test_ranges_that_are_none_are_refused(tmp_path, begin, end):
    written(tmp_path, [10])
    with Session(tmp_path) as session, pytest.raises(ParameterError, match="must be steps 0 <= begin <= end"):
        session.spikes("a", "l", begin, end)


def test_runs_and_extent_are_told_without_reading_data(tmp_path, monkeypatch):
    written(tmp_path, [10, 6, 7], windows=[(4, 6), (), (7,)], gap=0)
    monkeypatch.setattr(h5py.Dataset, "__getitem__", lambda *_: pytest.fail("data was read"))
    with Session(tmp_path) as session:
        assert session.runs("a", "l") == [Run(0, 4, 2), Run(4, 16, 2), Run(16, 23, 2)]
        assert session.runs("a", "l", "v") == session.runs("a", "l")
        assert session.extent("a", "l") == Extent(23, DT)
        assert [s.size for s in session.stretches("a", "l", "v")] == [100, 60, 70]
        assert sum(s.size for s in session.stretches("a", "l")) == sum(
            raster(k, n).sum() for k, n in enumerate([10, 6, 7])
        )


def test_other_observables_are_found_and_read_by_name(tmp_path):
    whole = written(tmp_path, [8, 3])
    with Session(tmp_path) as session:
        assert session.observables("a", "l") == ["spikes", "v", "i_syn"]
        assert session.layers("a", "variables") == ["l"]
        found = np.concatenate([b.values for b in session.values("a", "l", "i_syn")])
        assert np.array_equal(found == 1.5, whole.astype(bool))
        with pytest.raises(UnknownNameError, match="did you mean 'i_syn'"):
            session.values("a", "l", "i_sin")
        with pytest.raises(UnknownNameError, match="no variables of layer 'm'"):
            session.values("a", "m", "i_syn")


def test_a_session_of_format_1_is_read(tmp_path):
    """Names without zeros in front, no /variables, statistics without parts; in the order of time, not of names."""
    whole = raster(0, 21)
    (tmp_path / "nodes").mkdir()
    with h5py.File(tmp_path / "nodes" / "n.h5", "w") as file:
        for start in (0, 7, 14):
            spikes = Spikes.from_raster(whole[start : start + 7], 2.0)
            events = np.zeros(spikes.n_spikes, [("step", "u4"), ("id", "u2")])
            events["step"], events["id"] = spikes.step, spikes.ids
            batch = file.create_dataset(f"spikes/n/l/t_{start * 2_000_000}", data=events)
            batch.attrs.update(n_steps=7, n_neurons=5, dt=2.0, t_start=start * 2.0, shape=[5], windows=[7],
                               mode=np.bytes_("all"), rate=1.0, offsets=spikes.offsets)  # fmt: skip
        file["metadata/format"] = np.bytes_(b"1")
    (tmp_path / "recording_statistics.json").write_text(json.dumps({"stopped_by": "the disk", "simulated_seconds": 1}))
    line = {"node_id": "n", "status": "Idle", "step_count": 3, "timestamp": 12.5}
    (tmp_path / "control_states.jsonl").write_text(json.dumps(line) + "\n")
    with Session(tmp_path) as session:
        assert np.array_equal(session.train("n", "l", 1).raster()[:, 0], whole[:, 1])
        assert [b.start for b in session.spikes("n", "l", 8, 15)] == [8, 14]
        assert session.runs("n", "l") == [Run(0, 7, 2), Run(7, 14, 2), Run(14, 21, 2)]
        assert session.extent("n", "l") == Extent(21, 2.0)
        assert (session.recorders(), session.is_live) == ([], False)
        assert session.statistics()["stopped_by"] == "the disk"
        assert session.control_states() == [line]


def test_a_layer_that_grew_beyond_the_end_that_an_open_reader_knows_is_read(tmp_path):
    writer = NodeWriter(tmp_path, "a", RecorderConfig(enable_recording=True))
    spikes = Spikes.from_raster(raster(0, 4), DT)

    def write(layer, first, last):
        for k in range(first, last):
            writer.write(layer, SpikeBatch(4 * k, spikes, ()), Sampling())
        writer.flush()

    write("l", 0, 300)
    write("m", 0, 300)
    with Session(tmp_path) as session:
        assert session.metadata("a")["node"] == "a"
        write("m", 300, 600)
        assert session.train("a", "m").grid.n_steps == 2400
    writer.close()


def test_a_node_whose_file_is_still_empty_has_not_begun(tmp_path):
    written(tmp_path, [5])
    (tmp_path / "nodes" / "late.h5").touch()
    with Session(tmp_path) as session:
        assert session.nodes() == ["a"]


def test_an_attribute_of_megabytes_is_refused(tmp_path):
    written(tmp_path, [5])
    with h5py.File(tmp_path / "nodes" / "a.h5", "r+", libver="latest") as file:
        (name,) = file["spikes/a/l"]
        old = file[f"spikes/a/l/{name}"]
        new = file.create_dataset("spikes/a/l/copy", data=old[()])
        new.attrs.update({key: value for key, value in old.attrs.items() if key != "windows"})
        new.attrs["windows"] = np.ones(1 << 19, np.uint32)
        del file[f"spikes/a/l/{name}"]
        file.move("spikes/a/l/copy", f"spikes/a/l/{name}")
    with Session(tmp_path) as session, pytest.raises(DataError, match="windows must be small, got 2097152 bytes"):
        session.runs("a", "l")


def test_the_sessions_in_a_folder_are_found(tmp_path):
    for name in ("b", "a"):
        written(tmp_path / name, [3])
    (tmp_path / "no session").mkdir()
    (tmp_path / "file").touch()
    assert sessions_in(tmp_path) == [tmp_path / "a", tmp_path / "b"]
    with pytest.raises(DataError, match="must be a folder"):
        sessions_in(tmp_path / "file")
