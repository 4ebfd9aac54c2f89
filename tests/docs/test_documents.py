"""Every Python block of the documents runs, as does every example."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from spikeloom.datasets.idx import write_idx

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
ENVIRONMENT = os.environ | {"MPLBACKEND": "agg", "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}


def blocks(document: Path) -> str:
    """The Python blocks of a document as one program."""
    return "\n".join(re.findall(r"^```python\n(.*?)^```", document.read_text(), re.MULTILINE | re.DOTALL))


def run(program: list[str], folder: Path) -> str:
    done = subprocess.run([sys.executable, *program], cwd=folder, env=ENVIRONMENT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.mark.parametrize("document", [d for d in DOCUMENTS if blocks(d)], ids=lambda d: d.name)
def test_the_python_blocks_of_a_document_run(document, tmp_path):
    run(["-c", blocks(document)], tmp_path)


def test_the_readme_has_a_program():
    assert blocks(ROOT / "README.md").count("\n") >= 20


def tiny_mnist(folder: Path) -> None:
    """MNIST's files in their true format with a few easy pictures: class k lights row k."""
    folder.mkdir(parents=True)
    for part, count in (("train", 60), ("t10k", 20)):
        labels = (np.arange(count) % 10).astype(np.uint8)
        images = np.zeros((count, 28, 28), np.uint8)
        for image, label in zip(images, labels, strict=True):
            image[4 + 2 * label : 6 + 2 * label, 4:24] = 255
        write_idx(folder / f"{part}-images-idx3-ubyte", images)
        write_idx(folder / f"{part}-labels-idx1-ubyte", labels)


def test_spaic_s_first_tutorial_runs_and_learns(tmp_path):
    tiny_mnist(tmp_path / "spaic" / "Datasets" / "MNIST")
    program = (ROOT / "examples" / "spaic_testnet.py").read_text()
    for seedless, seeded in (
        ("range(100)", "range(15)"),
        ("Net = TestNet()", "Net = TestNet()\nNet.set_random_seed(0)"),
        ("shuffle=True", "shuffle=True, generator=__import__('numpy').random.default_rng(0)"),
    ):
        assert seedless in program
        program = program.replace(seedless, seeded)
    out = run(["-c", program], tmp_path)
    accuracy = [float(a) for a in re.findall(r"Test Acc:([\d.]+)", out)]
    assert len(accuracy) == 15
    assert accuracy[-1] >= 0.6 > accuracy[0]
    assert (tmp_path / "TestNetwork" / "TestNetwork.json").exists()
