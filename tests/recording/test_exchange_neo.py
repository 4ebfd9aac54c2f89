"""Neo: a session as a Block and back, Blocks of other programs, and Neo's MATLAB file."""

import numpy as np
import pytest
from recorded_sessions import full_session, graded_session, recorded, simple_session, thinned_session

from spikeloom.errors import DataError, ParameterError, UnsupportedError
from spikeloom.recording import MembraneBatch, RecorderConfig, Run, Sampling, Session
from spikeloom.recording.exchange import export, from_neo, to_neo
from spikeloom.recording.writing import NodeWriter

neo = pytest.importorskip("neo", reason="the extra 'exchange' is not installed")
pq = pytest.importorskip("quantities", reason="the extra 'exchange' is not installed")


def block_of(path):
    with Session(path) as session:
        return to_neo(session)


@pytest.mark.parametrize("make", [full_session, graded_session, lambda f: thinned_session(f, "neurons")])
def test_a_block_gives_back_the_session_it_was_made_of(tmp_path, make):
    path = make(tmp_path)
    from_neo(block_of(path), tmp_path / "again")
    assert recorded(tmp_path / "again") == recorded(path)


def test_a_segment_is_a_run_of_a_sample_with_a_train_for_each_neuron(tmp_path):
    path = full_session(tmp_path)
    block = block_of(path)
    names = [segment.name for segment in block.segments if segment.annotations["node"] == "front"]
    assert names == [f"front, run {run}, sample {b}" for run, n in enumerate((2, 2, 3)) for b in range(n)]
    segment = next(s for s in block.segments if s.name == "front, run 2, sample 1")
    assert [train.annotations["neuron"] for train in segment.spiketrains] == list(range(6))
    events = recorded(path)["front", "hidden"]["events"]
    for train in segment.spiketrains:
        assert (float(train.t_start), float(train.t_stop)) == (pytest.approx(4.7), pytest.approx(6.7))
        assert train.units == pq.ms
        neuron = train.annotations["neuron"]
        expected = [step * 0.1 for b, step, n, _ in events if (b, n) == (1, neuron) and step >= 47]
        np.testing.assert_allclose(train.rescale("ms").magnitude, expected)


def test_potentials_are_analog_signals_at_their_times(tmp_path):
    path = full_session(tmp_path)
    segment = next(s for s in block_of(path).segments if s.name == "front, run 1, sample 0")
    (signal,) = segment.analogsignals
    with Session(path) as session:
        batch = list(session.membrane("front", "hidden"))[1]
    np.testing.assert_array_equal(signal.magnitude, batch.values[:, 0].reshape(20, 6))
    np.testing.assert_allclose(signal.times.rescale("ms").magnitude, 2 + np.arange(20) * 0.1)
    assert signal.dimensionality.string == "dimensionless"
    assert (signal.annotations["layer"], signal.annotations["variable"]) == ("hidden", "v")


def test_potentials_at_uneven_steps_keep_their_times(tmp_path):
    sampling = Sampling("steps", 0.4)
    step = np.array([2, 4, 7, 9])
    v = np.arange(8, dtype=np.float32).reshape(4, 1, 2)
    writer = NodeWriter(tmp_path / "s", "n", RecorderConfig(enable_recording=True))
    writer.write("l", MembraneBatch(0, 10, 0.5, step, v, (10,)), sampling)
    writer.close()
    (signal,) = block_of(tmp_path / "s").segments[0].irregularlysampledsignals
    np.testing.assert_allclose(signal.times.rescale("ms").magnitude, step * 0.5)
    np.testing.assert_array_equal(signal.magnitude, v[:, 0])


def test_values_of_spikes_are_array_annotations(tmp_path):
    path = graded_session(tmp_path)
    segment = next(s for s in block_of(path).segments if s.annotations["sample"] == 1)
    events = recorded(path)["main", "levels"]["events"]
    for train in segment.spiketrains:
        expected = [value for b, _, neuron, value in events if (b, neuron) == (1, train.annotations["neuron"])]
        assert train.array_annotations["value"].tolist() == expected


def test_segments_of_another_program_become_runs(tmp_path):
    block = neo.Block()
    for first in (0.0, 1.0):
        segment = neo.Segment()
        for times in ([first + 0.002, first + 0.02], [first + 0.0105]):
            segment.spiketrains.append(
                neo.SpikeTrain(times, units="s", t_start=first * pq.s, t_stop=(first + 0.02) * pq.s)
            )
        block.segments.append(segment)
    with pytest.raises(ParameterError, match="a Block has times and no steps; give dt="):
        from_neo(block, tmp_path / "s")
    report = from_neo(block, tmp_path / "s", dt=0.5)
    layer = recorded(tmp_path / "s")["neo", "units"]
    assert layer["runs"] == [Run(0, 40, 1), Run(40, 80, 1)]
    assert layer["events"] == [(0, 4, 0, 1), (0, 21, 1, 1), (0, 39, 0, 1), (0, 44, 0, 1), (0, 61, 1, 1), (0, 79, 0, 1)]
    assert "2 Segments are runs that follow one another" in str(report)


def test_a_block_that_lacks_trains_is_refused(tmp_path):
    block = block_of(simple_session(tmp_path))
    block.segments[0].spiketrains = list(block.segments[0].spiketrains)[1:]
    with pytest.raises(DataError, match="main/layer must have 6 trains, got 5"):
        from_neo(block, tmp_path / "again")
    uneven = neo.Block()
    uneven.segments.append(neo.Segment())
    with pytest.raises(UnsupportedError, match="the same number of trains"):
        from_neo(uneven, tmp_path / "again", dt=1.0)
    assert not (tmp_path / "again").exists()


def test_neo_reads_its_matlab_file_as_the_block_that_was_written(tmp_path):
    path = simple_session(tmp_path)
    export(path, tmp_path / "out.mat")
    read = neo.io.NeoMatlabIO(str(tmp_path / "out.mat")).read_block()
    (segment,) = read.segments
    events = recorded(path)["main", "layer"]["events"]
    found = [
        (0, round(float(t) / 0.5), int(train.annotations["neuron"]), 1) for train in segment.spiketrains for t in train
    ]
    assert sorted(found) == events
    assert segment.analogsignals[0].shape == (40, 6)
    from_neo(read, tmp_path / "again")
    assert recorded(tmp_path / "again") == recorded(path)
    with pytest.raises(UnsupportedError, match=r"Neo's \.mat cannot hold"):
        export(graded_session(tmp_path), tmp_path / "graded.mat")


def test_a_block_without_spikes_makes_no_session(tmp_path):
    writer = NodeWriter(tmp_path / "s", "n", RecorderConfig(enable_recording=True))
    writer.weights("a_b", np.eye(2), 0.0)
    writer.close()
    with pytest.raises(DataError, match="must hold spikes, potentials or weights itself, got none"):
        from_neo(block_of(tmp_path / "s"), tmp_path / "again")
    assert not (tmp_path / "again").exists()


def test_a_block_is_made_in_a_time_that_grows_with_its_trains(tmp_path, monkeypatch):
    looked, counted = 0, neo.core.spiketrainlist.SpikeTrainList.append

    def append(self, train):
        nonlocal looked
        looked += len(self)
        counted(self, train)

    monkeypatch.setattr(neo.core.spiketrainlist.SpikeTrainList, "append", append)
    block_of(simple_session(tmp_path, n_neurons=50))
    assert looked == 0
