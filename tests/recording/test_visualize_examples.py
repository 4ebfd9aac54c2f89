"""The examples that draw `.pt` dictionaries of neuron data run as programs."""

import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
from recorded_sessions import simple_session

from spikeloom.datasets import write_neuron_data
from spikeloom.recording.exchange import export

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Runs an example as a program in the test's folder and returns its exit code and what it prints."""

    def program(name, *arguments):
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "argv", [name, *map(str, arguments)])
        code = 0
        try:
            runpy.run_path(str(EXAMPLES / name), run_name="__main__")
        except SystemExit as stop:
            code = stop.code
        return code, capsys.readouterr().out

    return program


@pytest.fixture
def data(tmp_path):
    generator = np.random.default_rng(0)
    spikes = (generator.random((200, 8)) < 0.1).astype(np.int8)
    path = tmp_path / "4_layer_snn_data_lif.pt"
    write_neuron_data(path, {"spikes": spikes, "membrane_potential": generator.random((200, 8))})
    return path


def test_spikes_are_drawn_as_png_and_svg(data, run):
    code, out = run("visualize_spikes.py", data)
    assert code == 0
    assert out.split() == [str(data.with_name(f"{data.stem}_spikes{more}.png")) for more in ("", "_rate")]
    assert data.with_name(f"{data.stem}_spikes.png").read_bytes().startswith(b"\x89PNG")
    assert run("visualize_spikes.py", data, "--out", "raster.svg", "--dt", "0.5")[0] == 0
    assert "<svg" in (data.parent / "raster.svg").read_text()[:2000]


def test_potentials_of_a_file_and_of_an_exported_session_are_drawn(data, tmp_path, run):
    assert run("visualize_membrane.py", data, "--threshold", "1.0", "--neurons", "0", "5")[0] == 0
    export(simple_session(tmp_path), tmp_path / "out.pt")
    assert run("visualize_membrane.py", "out.pt")[0] == 0
    assert (tmp_path / "out_membrane.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("name", ["visualize_spikes.py", "visualize_membrane.py"])
def test_help_and_wrong_files_are_answered_in_words(name, tmp_path, run):
    code, out = run(name, "--help")
    assert code == 0
    assert "the .pt file: a dictionary of tensors" in " ".join(out.split())
    (tmp_path / "x.pt").write_bytes(b"no tensors")
    assert str(run(name, "x.pt")[0]).startswith("error: x.pt: expected a .pt file")
    assert str(run(name, "nothing.pt")[0]).startswith("error: ")
