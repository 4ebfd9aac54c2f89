"""Every Python block of the documents runs, as does every example."""

import os
import re
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

from spikeloom import network, neurons, training
from spikeloom.datasets.idx import write_idx

ROOT = Path(__file__).parents[2]
PAGES = sorted((ROOT / "docs").rglob("*.md"))
DOCUMENTS = [ROOT / "README.md", *PAGES]
ENVIRONMENT = os.environ | {"MPLBACKEND": "agg", "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}


def blocks(document: Path, language: str = "python") -> list[str]:
    """The fenced blocks of a document in one language."""
    return re.findall(rf"^```{language}\n(.*?)^```", document.read_text(), re.MULTILINE | re.DOTALL)


def run(program: list[str], folder: Path) -> str:
    done = subprocess.run([sys.executable, *program], cwd=folder, env=ENVIRONMENT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.fixture(scope="module")
def run_page():
    """Runs the blocks of a document as one program in a folder and returns what they print."""
    server = Path(__file__).with_name("page_server.py")
    with subprocess.Popen(
        [sys.executable, server], env=ENVIRONMENT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:

        def answer(document: Path, folder: Path) -> str:
            (folder / "page.py").write_text("\n".join(blocks(document)))
            process.stdin.write(f"{folder}\n")
            process.stdin.flush()
            assert process.stdout.readline() == "0\n", (folder / "err").read_text()[-3000:]
            return (folder / "out").read_text()

        yield answer
        process.stdin.close()


@pytest.mark.parametrize("document", [d for d in DOCUMENTS if blocks(d)], ids=lambda d: str(d.relative_to(ROOT)))
def test_the_python_blocks_of_a_document_run_and_print_what_it_says(document, tmp_path, run_page):
    printed = run_page(document, tmp_path)
    for expected in blocks(document, "output"):
        assert expected in printed
        printed = printed[printed.index(expected) + len(expected) :]


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_every_link_of_a_page_leads_to_a_file_of_the_site(page):
    targets = re.findall(r"\]\(([^)\s]+)\)", re.sub(r"^```.*?^```", "", page.read_text(), flags=re.M | re.S))
    for target in targets:
        file, _, anchor = target.partition("#")
        assert anchor if not file else (page.parent / file).is_file(), target


def test_the_navigation_lists_every_page_once():
    def listed(entries):
        for entry in entries:
            value = next(iter(entry.values()))
            yield from [value] if isinstance(value, str) else listed(value)

    nav = list(listed(yaml.safe_load((ROOT / "mkdocs.yml").read_text())["nav"]))
    assert sorted(nav) == sorted(str(page.relative_to(ROOT / "docs")) for page in PAGES)


@pytest.mark.parametrize(
    ("page", "registry"),
    [
        ("neurons", neurons.SURROGATES),
        ("neurons", neurons.RESETS),
        ("neurons", neurons.FORWARDS),
        ("connections", network.INITIALIZERS),
        ("ends", network.DECODINGS),
        ("ends", network.GENERATORS),
        ("training", training.LOSSES),
    ],
    ids=lambda value: value if isinstance(value, str) else value.kind,
)
def test_the_reference_has_the_modules_of_all_that_goes_by_a_name(page, registry):
    text = (ROOT / "docs" / "reference" / f"{page}.md").read_text()
    for name in registry:
        entry = registry[name]
        assert f"::: {getattr(entry, 'signal', entry).__module__}\n" in text, name


def test_every_model_link_type_and_encoding_gets_into_the_reference_by_being_registered():
    hook = runpy.run_path(str(ROOT / "tools" / "docs_reference.py"))["on_page_markdown"]
    page = hook("<!-- neuron models -->\n<!-- link types -->\n<!-- encodings -->")
    for name in neurons.NEURONS:
        assert re.search(rf"^\| \[`{name}`\]", page, re.MULTILINE), name
    for name in network.LINKS:
        kind = network.LINKS[name]
        assert f"::: {kind.__module__}.{kind.__name__}\n" in page
    for name in network.CODINGS:
        assert f"::: {network.CODINGS[name].__module__}\n" in page


def test_the_readme_has_a_program():
    assert blocks(ROOT / "README.md")[0].count("\n") >= 20


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


def test_spaic_s_other_ways_of_constructing_networks_run(tmp_path):
    out = run([str(ROOT / "examples" / "spaic_other_ways.py")], tmp_path)
    with_form, edited = out.split("Network, dt 0.1 ms\n")[1:]
    assert "connection1: input1 -> layer1, full, weight (10, 784)" in with_form
    assert "con3: layer2 -> net_layer.layer1, full, weight (100, 10)" in edited
