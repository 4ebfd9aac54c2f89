"""What a session itself says of its gaps is told apart from what is missing in it."""

import h5py
import numpy as np
import pytest

from spikeloom.recording import RecorderConfig, SimulationRecorder, verify
from spikeloom.recording.exchange import export, import_session


def remove(path, first):
    with h5py.File(path / "nodes" / "main.h5", "r+") as file:
        del file[f"spikes/main/a/t_{first * 10**6:019}"]


@pytest.fixture
def imported(tmp_path):
    """A session of 300 steps, of which steps 0 to 25 and 50 to 100 were lost before it was exported and imported."""
    config = RecorderConfig(enable_recording=True, output_dir=tmp_path, session_name="s", batch_steps=25)
    with SimulationRecorder(config) as recorder:
        for _ in range(12):
            recorder.record_spike_data("main", "a", np.ones((25, 4), np.int8))
            recorder.flush_all()
    for first in (0, 50, 75):
        remove(recorder.path, first)
    assert not verify(recorder.path).is_whole
    export(recorder.path, tmp_path / "s.csv")
    return import_session(tmp_path / "s.csv", tmp_path / "imported").path


def test_what_was_not_there_to_be_imported_is_a_gap_and_is_not_missing(imported):
    report = verify(imported)
    assert report.is_whole
    assert [(gap.layers, gap.begin, gap.end) for gap in report.gaps] == [
        (("main/a spikes",), 0, 25),
        (("main/a spikes",), 50, 100),
    ]
    assert "gap: main/a spikes: steps 50 to 100: not in what it was imported from" in str(report)


def test_what_is_lost_beside_a_gap_is_missing(imported):
    with h5py.File(imported / "nodes" / "main.h5") as file:
        firsts = [int(name[2:]) // 10**6 for name in file["spikes/main/a"]]
        lengths = [int(batch.attrs["n_steps"]) for batch in file["spikes/main/a"].values()]
    assert (firsts[:2], lengths[0]) == ([25, 100], 25)
    remove(imported, 25)
    report = verify(imported)
    assert [(gap.begin, gap.end, gap.at_most) for gap in report.missing] == [(25, 50, 25)]


@pytest.mark.parametrize(
    "said",
    ["1", '{"a": 3}', '{"a": {"spikes": 3}}', '{"a": {"spikes": [3, [1], [5, 2], [0, true], ["a", "b"], [1, 2, 3]]}}'],
)
def test_gaps_that_are_none_are_passed_over(imported, said):
    with h5py.File(imported / "nodes" / "main.h5", "r+") as file:
        del file["metadata/gaps"]
        file["metadata/gaps"] = np.bytes_(said.encode())
    report = verify(imported)
    assert (report.gaps, report.problems) == ((), ())
    assert [(gap.begin, gap.end) for gap in report.missing] == [(0, 25), (50, 100)]
