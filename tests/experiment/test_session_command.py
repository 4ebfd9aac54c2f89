"""The command `spikeloom session`: what it prints, writes and returns, for whole, live, dead and hostile sessions."""

import json
import shutil
import signal
import subprocess
import sys

import h5py
import numpy as np
import pytest

from spikeloom.cli import main
from spikeloom.recording import RecorderConfig, Session, SimulationRecorder

GENERATOR = np.random.default_rng(0)


@pytest.fixture
def command(tmp_path, monkeypatch, capsys):
    """Runs `spikeloom session` in an empty folder: its code, what it printed, its messages."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")

    def run(*words):
        with pytest.raises(SystemExit) as stop:
            main(["session", *map(str, words)])
        return stop.value.code or 0, *capsys.readouterr()

    return run


def recorder(tmp_path, name, node="pfc-0", **settings):
    config = RecorderConfig(
        enable_recording=True, output_dir=tmp_path / "sim_recordings", session_name=name, record_membrane=True,
        record_weights=True, **settings,
    )  # fmt: skip
    made = SimulationRecorder(config, node_id=node, dt=0.5)
    made.record_spike_data(node, "lif", (GENERATOR.random((2000, 30)) < 0.1).astype(np.int8))
    made.record_membrane_data(node, "lif", GENERATOR.random((20, 30)))
    made.record_weight_data(node, "w", np.eye(3))
    made.record_control_state(node, "pfc", "Idle", None, 3)
    made.flush_all()
    return made


@pytest.fixture
def session(tmp_path):
    for node in ("pfc-0", "visual-0"):
        recorder(tmp_path, "demo", node).close()
    return tmp_path / "sim_recordings" / "demo"


def cells(line):
    return [cell.strip() for cell in line.split("  ") if cell.strip()]


def test_list_tells_the_state_and_the_size_of_each_session(command, session, tmp_path):
    live = recorder(tmp_path, "live")
    stopped = recorder(tmp_path, "stopped", max_wall_seconds=1e-9)
    folder = tmp_path / "sim_recordings"
    shutil.copytree(live.path, folder / "died")
    for path in (folder / "died").glob("recording_statistics.????????.json"):
        path.write_text(json.dumps(json.loads(path.read_text()) | {"process_start": 1}))
    (folder / "broken" / "nodes").mkdir(parents=True)
    (folder / "broken" / "nodes" / "a.h5").write_bytes(b"no HDF5")
    code, out, err = command("list")
    live.close()
    assert (code, err) == (0, "")
    rows = {row[0]: row[1:] for row in map(cells, out.splitlines()[1:])}
    with Session(session) as opened:
        n_spikes = opened.statistics()["total_spikes_recorded"]
    assert rows["demo"][:4] == ["closed", "2", "1 s", f"{n_spikes:,}"]
    assert rows["live"][0] == "recording"
    assert rows["died"][0] == "died"
    assert rows["stopped"][0] == "stopped"
    assert rows["broken"][0] == "damaged"
    assert f"broken: {folder.name}/broken/nodes/a.h5 cannot be read as HDF5" in out
    stopped.close()


def test_an_empty_folder_and_one_that_is_not_there_are_told(command, tmp_path):
    (tmp_path / "none").mkdir()
    assert command("list", "none") == (0, "none holds no recorded session\n", "")
    code, out, err = command("list", "nowhere")
    assert (code, out) == (1, "")
    assert "must be a folder with recorded sessions, got nowhere" in err


def test_show_tells_what_each_layer_holds_and_who_recorded_it(command, session):
    code, out, err = command("show", session)
    assert (code, err) == (0, "")
    lines = [cells(line) for line in out.splitlines()]
    with Session(session) as opened:
        n_spikes = sum(stretch.size for stretch in opened.stretches("pfc-0", "lif"))
    assert lines[0] == ["Session demo"]
    assert ["pfc-0", "lif", "spikes", "30", "1", "1", "1 s", f"{n_spikes:,} spikes"] in lines
    assert ["visual-0", "lif", "v", "30", "1", "1", "0.01 s", "600 values"] in lines
    assert any(line[:3] == ["pfc-0", "w", "weights"] and line[-1] == "1 snapshot" for line in lines)
    assert sum("closed" in line for line in lines) == 2
    assert out.splitlines()[-1].startswith("2 control states, ")


def test_verify_and_repair(command, session):
    code, out, _ = command("verify", session)
    assert (code, "whole" in out) == (0, True)
    file = session / "nodes" / "pfc-0.h5"
    content = bytearray(file.read_bytes())
    content[len(content) // 3 : len(content) // 3 + 4000] = bytes(4000)
    file.write_bytes(content)
    code, out, err = command("verify", session)
    assert (code, err) == (1, "")
    assert "not whole" in out
    assert "pfc-0" in out
    code, out, err = command("repair", session)
    assert (code, err, "lost" in out) == (1, "", True)
    assert command("repair", session)[0] == 0
    assert command("list", session.parent)[1].count("closed") == 1


def test_consolidate_writes_one_file_and_never_over_another(command, session, tmp_path):
    code, out, err = command("consolidate", session, "--out", "one.h5")
    assert (code, out.startswith("wrote one.h5, "), err) == (0, True, "")
    with h5py.File(tmp_path / "one.h5") as file:
        assert sorted(file["spikes"]) == ["pfc-0", "visual-0"]
    code, _, err = command("consolidate", session, "--out", "one.h5")
    assert (code, "there already; give another name, or --force" in err) == (1, True)
    code, _, _ = command("consolidate", session, "--out", "one.h5", "--layout", "steps", "--force")
    assert code == 0
    with h5py.File(tmp_path / "one.h5") as file:
        assert len(file["spikes/pfc-0/lif"]) == 2000
    code, _, err = command("consolidate", session, "--layout", "step", "--out", "two.h5")
    assert (code, "did you mean 'steps'" in err) == (1, True)
    assert not (tmp_path / "two.h5").exists()
    assert command("consolidate", session)[0] == 0
    with h5py.File(session / "simulation_data.h5") as file:
        assert isinstance(file["spikes"].get("pfc-0", getlink=True), h5py.HardLink)


def test_a_session_is_exported_and_imported_again(command, session, tmp_path):
    code, out, err = command("export", session, "spikes.csv", "--kinds", "spikes")
    assert (code, err) == (0, "")
    assert out.startswith("spikes.csv: spikes as csv, ")
    code, out, err = command("import", "spikes.csv", "again")
    assert (code, err) == (0, "")
    with Session(session) as old, Session(tmp_path / "again") as new:
        for node in old.nodes():
            assert new.train(node, "lif").equals(old.train(node, "lif"))
    code, _, err = command("export", session, "spikes.csv")
    assert (code, "--force" in err) == (1, True)
    code, _, err = command("export", session, "x.nothing")
    assert (code, "or --format" in err) == (1, True)
    code, _, err = command("import", "spikes.csv", "again")
    assert (code, "Traceback" in err) == (1, False)


COMMANDS = {
    "show": [],
    "verify": [],
    "repair": [],
    "consolidate": ["--out", "x.h5"],
    "export": ["x.csv", "--kinds", "spikes"],
}


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize(
    "damage", ["no HDF5", "no JSON", "wrong lines", "another pid", "escapes", "a folder as file", "links"]
)
def test_no_hostile_session_ends_in_anything_but_a_message(command, session, name, damage, tmp_path):
    (part, *_) = session.glob("recording_statistics.????????.json")
    if damage == "no HDF5":
        (session / "nodes" / "pfc-0.h5").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(200))
    elif damage == "no JSON":
        part.write_text("{")
    elif damage == "wrong lines":
        (session / "control_states.pfc-0.jsonl").write_text("[1]\n{}\n")
    elif damage == "escapes":
        part.write_text(
            json.dumps(json.loads(part.read_text()) | {"host": "\x1b[2J[/red]", "stopped_by": "[bold]\x07"})
        )
    elif damage == "another pid":
        part.write_text(json.dumps(json.loads(part.read_text()) | {"pid": -1, "state": "recording"}))
    elif damage == "a folder as file":
        (session / "nodes" / "folder.h5").mkdir()
    else:
        (tmp_path / "secret").write_text("secret")
        (session / "nodes" / "link.h5").symlink_to(tmp_path / "secret")
    code, out, err = command(name, session, *COMMANDS[name])
    assert code in (0, 1)
    assert code == 0 or err.startswith("error: ") or name == "verify" or (name == "repair" and "lost" in out)
    assert "Traceback" not in out + err
    assert "\x1b" not in out
    assert "\x07" not in out


@pytest.mark.parametrize("name", ["list", "import", *COMMANDS])
def test_every_command_tells_what_it_does_with_an_example(command, name):
    code, out, _ = command(name, "--help")
    assert code == 0
    assert f"spikeloom session {name} " in out
    assert "Example" in out


def test_ctrl_c_in_the_middle_leaves_no_file(session, tmp_path):
    program = (
        "import os, signal, spikeloom.recording as r; from spikeloom.cli import main; whole = r.Session.sampling\n"
        "r.Session.sampling = lambda *a: (os.kill(os.getpid(), signal.SIGINT), whole(*a))[1]\n"
        f"main(['session', 'consolidate', {str(session)!r}, '--out', 'x.h5'])"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (130, "interrupted; nothing was left half-written\n")
    assert not list(tmp_path.glob("*x.h5*"))
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
