"""The `spikeloom` command as a user runs it, and what a run leaves behind."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from spikeloom import Session, network_load
from spikeloom.datasets.idx import write_idx

ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1", "COLUMNS": "120"}
SMALL = ("--hidden", "20", "--time", "10", "--epochs", "2")
COMMANDS = ("train", "analyze", "info")


def spikeloom(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "error", "-m", "spikeloom", *words]
    return subprocess.run(command, cwd=cwd, env=ENVIRONMENT, capture_output=True, text=True)


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    """A small run that ended as it should."""
    folder = tmp_path_factory.mktemp("work")
    done = spikeloom("train", *SMALL, "--seed", "3", "--name", "small", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert str(Path("runs/small/report.html")) in done.stdout
    return folder / "runs" / "small"


def test_a_run_keeps_its_settings_as_submitted_and_as_effective(finished):
    submitted = json.loads((finished / "config.submitted.json").read_text())
    effective = json.loads((finished / "config.effective.json").read_text())
    assert submitted == {"hidden": "20", "time": 10.0, "epochs": 2, "seed": 3}
    assert effective["hidden"] == [20]
    assert effective["model"] == "lif"
    assert effective["seed"] == 3


def test_a_run_keeps_the_trained_network(finished):
    net = network_load(str(finished / "network"))
    assert net.seed == 3
    assert net.hidden1.num == 20
    weights = load_file(finished / "network" / "network.safetensors")
    np.testing.assert_array_equal(np.asarray(net.to_hidden1.weight.value), weights["to_hidden1.weight"])


def test_the_session_of_a_run_holds_spikes_and_membrane_of_the_whole_test(finished):
    test = json.loads((finished / "metrics.json").read_text())["test"]
    assert test["samples"] == 449
    with Session(finished / "session") as session:
        (node,) = session.nodes()
        assert set(session.layers(node)) == {"input", "hidden1", "output"}
        assert set(session.layers(node, "membrane")) == {"hidden1", "output"}
        batches = list(session.spikes(node, "hidden1"))
        n_spikes = sum(b.spikes.n_spikes for b in batches) + sum(
            b.spikes.n_spikes for b in session.spikes(node, "output")
        )
    per_neuron_and_second = n_spikes / (20 + 100) / (449 * 0.010)
    assert per_neuron_and_second == pytest.approx(test["rate_hz"], rel=1e-3)


def test_the_report_of_a_run_is_one_page_that_needs_nothing_else(finished):
    page = (finished / "report.html").read_text()
    accuracy = json.loads((finished / "metrics.json").read_text())["test"]["accuracy"]
    assert f"{accuracy:.2%}" in page
    assert page.count("data:image/png;base64,") >= 5
    assert not re.findall(r'(?:src|href)="(?!data:|#)', page)
    assert all("alt=" in tag for tag in re.findall(r"<img[^>]*>", page))


def test_ctrl_c_says_how_to_go_on_and_a_resumed_run_ends_as_an_uninterrupted_one_of_its_seed(finished, tmp_path):
    command = [sys.executable, "-m", "spikeloom", "train", *SMALL, "--seed", "3", "--name", "cut"]
    process = subprocess.Popen(
        command, cwd=tmp_path, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 60
    while not (tmp_path / "runs" / "cut" / "checkpoint.pt").exists() and time.monotonic() < deadline:
        time.sleep(0.005)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "spikeloom train --resume runs/cut" in error
    assert not (tmp_path / "runs" / "cut" / "metrics.json").exists()
    done = spikeloom("train", "--resume", "runs/cut", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    for file in ("metrics.json", "network/network.safetensors"):
        assert (tmp_path / "runs" / "cut" / file).read_bytes() == (finished / file).read_bytes()


def test_a_run_killed_after_its_training_resumes_to_what_an_uninterrupted_one_gives(finished, tmp_path):
    command = [sys.executable, "-m", "spikeloom", "train", *SMALL, "--seed", "3", "--name", "cut"]
    process = subprocess.Popen(command, cwd=tmp_path, env=ENVIRONMENT, stderr=subprocess.DEVNULL)
    folder = tmp_path / "runs" / "cut"
    while not (folder / "session.part").exists() and process.poll() is None:
        time.sleep(0.001)
    process.kill()
    process.wait()
    assert (folder / "session.part").exists()
    assert not (folder / "report.html").exists()
    done = spikeloom("train", "--resume", "runs/cut", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert not (folder / "session.part").exists()
    for file in ("metrics.json", "network/network.safetensors"):
        assert (folder / file).read_bytes() == (finished / file).read_bytes()
    with Session(folder / "session") as cut, Session(finished / "session") as whole:
        counts = [[b.spikes.n_spikes for b in session.spikes("main", "hidden1")] for session in (cut, whole)]
    assert counts[0] == counts[1]


def test_analyze_describes_a_recorded_session(finished, tmp_path):
    done = spikeloom("analyze", str(finished / "session"), "--report", "page.html", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "hidden1" in done.stdout
    assert "<img" in (tmp_path / "page.html").read_text()


def test_info_tells_versions_and_how_each_model_is_computed(tmp_path):
    done = spikeloom("info", cwd=tmp_path)
    assert done.returncode == 0
    for word in ("torch", "numpy", "threads", "clif", "torch path"):
        assert word in done.stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_a_help(command, tmp_path):
    done = spikeloom(command, "--help", cwd=tmp_path)
    assert done.returncode == 0
    assert "Usage" in done.stdout


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--model", "liff"), "unknown neuron model 'liff'; did you mean 'lif'?"),
        (("--data", "cifar"), "unknown data set 'cifar'"),
        (("--epochs", "0"), "config.epochs"),
        (("--hidden", "20,x"), "config.hidden"),
        (("--mnist", "nowhere"), "nowhere"),
        (("--resume", "nowhere"), "nowhere"),
        (("--config", "wrong.yml"), "did you mean 'epochs'?"),
        (("--config", "torn.json"), "torn.json is not a JSON or YAML file"),
        (("--config", "code.yml"), "code.yml is not a JSON or YAML file"),
        (("--name", "../x"), "../x"),
        (("--name", "taken"), "taken is there already"),
    ],
)
def test_what_is_wrong_is_one_line_that_helps(words, message, tmp_path):
    (tmp_path / "wrong.yml").write_text("epoch: 3\n")
    (tmp_path / "torn.json").write_text('{"epochs": 3')
    (tmp_path / "code.yml").write_text("epochs: !!python/object/apply:os.system ['touch ran']\n")
    (tmp_path / "runs" / "taken").mkdir(parents=True)
    done = spikeloom("train", *words, cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "ran").exists()
    assert [p.name for p in (tmp_path / "runs").iterdir()] == ["taken"]


def test_mnist_files_are_trained_on_where_they_are_given(tmp_path):
    folder = tmp_path / "mnist"
    folder.mkdir()
    for part, count in (("train", 40), ("t10k", 20)):
        labels = (np.arange(count) % 10).astype(np.uint8)
        images = np.zeros((count, 28, 28), np.uint8)
        images[np.arange(count), 5 + labels] = 255
        write_idx(folder / f"{part}-images-idx3-ubyte", images)
        write_idx(folder / f"{part}-labels-idx1-ubyte", labels)
    done = spikeloom("train", "--mnist", "mnist", *SMALL, "--name", "m", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "on 20 samples" in done.stdout
    (folder / "t10k-images-idx3-ubyte").write_bytes((folder / "t10k-images-idx3-ubyte").read_bytes()[:-1])
    torn = spikeloom("train", "--mnist", "mnist", *SMALL, "--name", "torn", cwd=tmp_path)
    assert torn.returncode == 1
    assert "t10k-images-idx3-ubyte" in torn.stderr


def test_the_default_network_learns_the_digits(tmp_path):
    done = spikeloom("train", "--epochs", "5", "--name", "digits", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    test = json.loads((tmp_path / "runs" / "digits" / "metrics.json").read_text())["test"]
    assert test["accuracy"] >= 0.95
