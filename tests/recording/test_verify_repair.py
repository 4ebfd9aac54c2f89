"""Damaged, cut, killed and incomplete sessions: what is wrong is told, what is left is kept, and nothing crashes."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from spikeloom.errors import DataError, StateError
from spikeloom.recording import RecorderConfig, Session, SimulationRecorder, repair, verify
from spikeloom.recording.examine import examine

STEPS, BATCH, N = 300, 25, 40


def raster(layer):
    return np.random.default_rng(ord(layer)).random((STEPS, N)) < 0.1


def potentials(layer):
    return np.random.default_rng(ord(layer)).random((STEPS, N)).astype(np.float32)


def record(folder, node="main", name="s", close=True):
    """Twelve batches of spikes and of potentials of layers a and b, weights and control states."""
    config = RecorderConfig(
        enable_recording=True,
        output_dir=folder,
        session_name=name,
        record_membrane=True,
        record_weights=True,
        buffer_size=1000,
        batch_steps=BATCH,
        min_free_bytes=0,
    )
    recorder = SimulationRecorder(config, node_id=node)
    for first in range(0, STEPS, BATCH):
        for layer in "ab":
            recorder.record_spike_data(node, layer, raster(layer)[first : first + BATCH])
            recorder.record_membrane_data(node, layer, potentials(layer)[first : first + BATCH])
        recorder.record_weight_data(node, "w", np.full((3, 3), first))
        recorder.record_control_state(node, "pfc", "Active", None, first)
        recorder.flush_all()
    if close:
        recorder.close()
    return recorder


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    return record(tmp_path_factory.mktemp("recorded")).path


@pytest.fixture
def path(recorded, tmp_path):
    return Path(shutil.copytree(recorded, tmp_path / "s"))


def batches(path, kind="spikes", layer="a"):
    """The first steps of the batches that stock h5py reads."""
    with h5py.File(path / "nodes" / "main.h5") as file:
        return [round(float(batch.attrs["t_start"])) for batch in file[f"{kind}/main/{layer}"].values() if batch.size]


def assert_true(path):
    """Each batch that is there holds what was recorded."""
    with Session(path) as session:
        for layer in session.layers("main"):
            for batch in session.spikes("main", layer):
                expected = raster(layer)[batch.start : batch.start + batch.n_steps]
                np.testing.assert_array_equal(batch.spikes.raster()[:, 0], expected)
        for layer in session.layers("main", "membrane"):
            for batch in session.membrane("main", layer):
                expected = potentials(layer)[batch.start : batch.start + batch.n_steps]
                np.testing.assert_array_equal(batch.values[:, 0], expected)


def test_a_whole_session_is_whole_and_needs_no_repair(path):
    before = {file: file.read_bytes() for file in path.rglob("*") if file.is_file()}
    report = verify(path)
    assert report.is_whole
    assert (report.problems, report.missing, report.not_closed) == ((), (), ())
    assert {(layer.layer, layer.observable): layer.last_step for layer in report.layers} == {
        (layer, observable): STEPS for layer in "ab" for observable in ("spikes", "v")
    }
    assert str(report).startswith(f"{path}: whole\n")
    assert str(repair(path)) == f"{path}: nothing to repair"
    assert {file: file.read_bytes() for file in path.rglob("*") if file.is_file()} == before


def test_a_folder_without_a_session_is_refused(tmp_path):
    for look in (verify, repair):
        with pytest.raises(DataError, match="must be the folder of a recorded session"):
            look(tmp_path)


@pytest.mark.parametrize("part", [0.999, 0.6, 0.05])
def test_a_file_that_was_cut_off_keeps_every_batch_before_the_cut(path, part):
    file = path / "nodes" / "main.h5"
    content = file.read_bytes()
    with h5py.File(file) as whole:
        places = [h5py.h5o.get_info(batch.id).addr for batch in whole["spikes/main/a"].values()]
    ends = [place + 16 + int.from_bytes(content[place + 8 : place + 12], "little") for place in places]
    cut = int(len(content) * part)
    file.write_bytes(content[:cut])
    report = verify(path)
    assert f"nodes/main.h5 was cut off: {len(content) - cut} bytes are missing at its end" in report.problems
    assert not report.is_whole
    done = repair(path)
    assert file.with_name("main.h5.damaged").read_bytes() == content[:cut]
    assert batches(path) == [number * BATCH for number, end in enumerate(ends) if end <= cut]
    assert_true(path)
    again = verify(path)
    assert again.problems == ()
    assert again.is_whole == (part == 0.999)
    assert part < 0.5 or done.lost == ()
    assert repair(path).done == ()


def test_a_batch_with_a_wrong_byte_is_named_and_all_others_are_kept(path):
    file = path / "nodes" / "main.h5"
    with h5py.File(file) as whole:
        chunk = whole["spikes/main/a/t_0000000000050000000"].id.get_chunk_info(0)
    content = bytearray(file.read_bytes())
    content[chunk.byte_offset + chunk.size // 2] ^= 0x55
    file.write_bytes(content)
    report = verify(path)
    assert len(report.problems) == 1
    assert "/spikes/main/a/t_0000000000050000000: " in report.problems[0]
    assert [str(gap) for gap in report.missing] == ["main/a spikes: steps 50 to 75: damaged"]
    done = repair(path)
    assert len(done.lost) == 1
    assert batches(path) == [first for first in range(0, STEPS, BATCH) if first != 50]
    assert_true(path)
    again = verify(path)
    assert again.problems == ()
    assert [str(gap) for gap in again.missing] == ["main/a spikes: steps 50 to 75: not in the file"]


def test_the_lists_of_batches_may_be_damaged_and_every_batch_is_found_again(path):
    file = path / "nodes" / "main.h5"
    content = re.sub(b"SNOD|HEAP", b"junk", file.read_bytes())
    file.write_bytes(content)
    assert not verify(path).is_whole
    repair(path)
    for layer in "ab":
        assert batches(path, layer=layer) == batches(path, "membrane", layer) == list(range(0, STEPS, BATCH))
    assert verify(path).is_whole
    assert_true(path)


@pytest.mark.parametrize("seed", range(3))
def test_random_damage_is_told_and_never_read_as_data(path, seed):
    file, generator = path / "nodes" / "main.h5", np.random.default_rng(seed)
    content = bytearray(file.read_bytes())
    for place in generator.integers(0, len(content), 12):
        content[place] = generator.integers(256)
    file.write_bytes(content)
    verify(path)
    first = repair(path)
    if file.with_name("main.h5.damaged").exists():
        assert verify(path).problems == ()
        assert first.done
    assert repair(path).done == ()
    with Session(path) as session:
        for layer in session.layers("main"):
            for batch in session.spikes("main", layer):
                expected = raster(layer)[batch.start : batch.start + batch.n_steps]
                np.testing.assert_array_equal(batch.spikes.raster()[:, 0], expected)


@pytest.mark.parametrize("content", [b"", b"no HDF5 at all" * 100])
def test_a_file_with_nothing_to_read_stays_as_it_is_and_is_told_each_time(path, content):
    file = path / "nodes" / "main.h5"
    file.write_bytes(content)
    assert any(problem.startswith("nodes/main.h5 ") for problem in verify(path).problems)
    assert [lost.partition(":")[0] for lost in repair(path).lost]
    assert file.read_bytes() == content
    assert verify(path).problems


@pytest.mark.parametrize("field", [52, 68])
@pytest.mark.parametrize("address", [1 << 40, 1 << 63, (1 << 64) - 1000])
def test_an_address_beyond_every_file_is_damage(path, field, address):
    """The fields of the superblock that say where the driver's information and the root group are."""
    file = path / "nodes" / "main.h5"
    content = bytearray(file.read_bytes())
    content[field : field + 8] = address.to_bytes(8, "little")
    file.write_bytes(content)
    assert verify(path).problems
    with Session(path) as session, pytest.raises(DataError):
        session.layers("main")


def test_progress_is_told_up_to_the_end(path):
    told = []
    verify(path, told.append)
    assert told == sorted(told)
    assert 0.5 < told[-1] <= 1
    assert told[0] < 0.1


def test_a_recorder_that_was_killed_misses_at_most_its_buffer_and_is_marked(tmp_path):
    """It had flushed all 300 steps of two layers, and then took 7 more."""
    script = (
        "import os, signal, sys; from pathlib import Path; sys.path.insert(0, sys.argv[1])\n"
        "import numpy as np, test_verify_repair as t\n"
        "recorder = t.record(Path(sys.argv[2]), close=False)\n"
        "recorder.record_spike_data('main', 'a', np.ones((7, t.N)))\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    subprocess.run([sys.executable, "-c", script, str(Path(__file__).parent), str(tmp_path)], check=False)
    path = tmp_path / "s"
    report = verify(path)
    assert report.problems == ()
    assert [(gap.layers, gap.end, gap.at_most) for gap in report.missing] == [(("main/a", "main/b"), None, 1000)]
    assert report.not_closed[0].endswith("of main: died")
    assert "at most 1000 steps, counted over main/a, main/b together, after their last ones" in str(report)
    assert any("marked as killed" in line for line in repair(path).done)
    statistics = json.loads((path / "recording_statistics.json").read_text())
    assert statistics["stopped_by"] == "killed"
    assert statistics["steps"]["main"] == {"a": STEPS, "b": STEPS}
    assert statistics["total_spikes_recorded"] == raster("a").sum() + raster("b").sum()
    assert len((path / "control_states.jsonl").read_text().splitlines()) == 12
    assert repair(path).done == ()
    assert not verify(path).is_whole
    assert_true(path)


def test_a_session_that_is_being_recorded_is_verified_and_not_repaired(tmp_path):
    recorder = record(tmp_path, close=False)
    report = verify(recorder.path)
    assert report.is_whole
    assert report.not_closed[0].endswith("of main: recording")
    with pytest.raises(StateError, match=f"process {os.getpid()} is recording"):
        repair(recorder.path)
    recorder.close()
    assert verify(recorder.path).not_closed == ()


def test_missing_links_and_torn_control_lines_are_told_and_mended(path):
    (path / "simulation_data.h5").unlink()
    control = path / "control_states.main.jsonl"
    whole = control.read_bytes()
    control.write_bytes(whole[:-1] + b'\nnonsense\n{"timestamp": 1')
    report = verify(path)
    assert report.problems == (
        "simulation_data.h5 has no link to main",
        "control_states.main.jsonl: 2 lines are no control state, the first is line 13",
    )
    repair(path)
    assert control.read_bytes() == whole
    assert control.with_name(f"{control.name}.damaged").read_bytes().endswith(b'nonsense\n{"timestamp": 1')
    with h5py.File(path / "simulation_data.h5") as file:
        assert len(file["spikes/main/a"]) == 12
    assert verify(path).is_whole
    assert repair(path).done == ()


def test_a_damaged_part_of_the_statistics_is_put_aside(path):
    part = next(path.glob("recording_statistics.????????.json"))
    part.write_text('{"recorder": 1')
    assert "must be JSON" in verify(path).problems[0]
    repair(path)
    assert not part.exists()
    assert part.with_name(f"{part.name}.damaged").exists()
    assert verify(path).problems == ()


def test_a_batch_that_was_removed_is_a_gap(path):
    with h5py.File(path / "nodes" / "main.h5", "r+") as file:
        del file["spikes/main/b/t_0000000000000000000"]
        del file["spikes/main/b/t_0000000000275000000"]
        del file["membrane/main/b/t_0000000000275000000"]
    assert [str(gap) for gap in verify(path).missing] == [
        "main/b spikes: steps 0 to 25: not in the file",
        f"main/b: steps 275 to 300: recorder {recorder_of(path)} said that it recorded them",
    ]


def recorder_of(path):
    return next(path.glob("recording_statistics.????????.json")).name.split(".")[1]


def test_a_recorder_of_another_machine_is_told_and_left_alone(path):
    part = next(path.glob("recording_statistics.????????.json"))
    said = json.loads(part.read_text()) | {"host": f"not-{socket.gethostname()}", "state": "recording"}
    part.write_text(json.dumps(said))
    assert verify(path).not_closed[0].endswith(f"recording on not-{socket.gethostname()}")
    repair(path)
    assert json.loads(part.read_text())["state"] == "recording"


def test_a_data_set_on_which_hdf5_crashes_is_a_problem_and_all_others_are_read(path, monkeypatch):
    """A crash is staged: the process that reads kills itself at one batch."""
    crash = (
        "import spikeloom.recording.examine as e, os, signal\n"
        "read = e._read\n"
        "e._read = lambda file, name, data: os.kill(os.getpid(), signal.SIGSEGV) "
        "if name.endswith('t_0000000000100000000') else read(file, name, data)\nchild()\n"
    )
    import spikeloom.recording.examine as module

    monkeypatch.setattr(module, "_CHILD", module._CHILD.replace("child()\n", crash))
    (found,) = examine([path / "nodes" / "main.h5"])
    assert sorted(each.name for each in found if each.problem == "HDF5 crashes on it") == [
        f"{kind}/main/{layer}/t_0000000000100000000" for kind in ("membrane", "spikes") for layer in "ab"
    ] + ["weights/main/w/t_0000000000100000000"]
    assert sum(each.problem is None for each in found) >= 11 * 5


def test_a_damaged_file_that_another_machine_may_be_recording_is_left_alone(path):
    file, part = path / "nodes" / "main.h5", next(path.glob("recording_statistics.????????.json"))
    part.write_text(json.dumps(json.loads(part.read_text()) | {"host": "elsewhere", "state": "recording"}))
    cut = file.read_bytes()[:-100]
    file.write_bytes(cut)
    assert "elsewhere may still be recording it" in repair(path).lost[0]
    assert file.read_bytes() == cut
    os.utime(file, (0, 0))
    assert repair(path).lost == ()
    assert len(batches(path)) == STEPS // BATCH


def test_a_link_out_of_the_session_is_not_followed(path, tmp_path):
    with h5py.File(tmp_path / "outside.h5", "w") as outside:
        outside["secret"] = np.arange(5)
    with h5py.File(path / "nodes" / "main.h5", "r+") as file:
        file["metadata/out"] = h5py.ExternalLink(str(tmp_path / "outside.h5"), "/secret")
        file["spikes/main/loop"] = file["spikes"]
    (found,) = examine([path / "nodes" / "main.h5"])
    assert not any("out" in each.name or "loop/main" in each.name for each in found)


def test_ten_kills_lose_nothing_that_was_acknowledged(tmp_path):
    tool = Path(__file__).parents[2] / "tools" / "stress.py"
    for processes in (1, 3):
        command = [sys.executable, str(tool), "--kills", "5", "--processes", str(processes), "--folder", str(tmp_path)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        assert f"5/5 kills of {processes} processes" in done.stdout
