"""Figures as files: the same bytes each time, words that stay words, colours that every eye tells apart."""

import subprocess
import sys
import threading
from xml.etree import ElementTree

import matplotlib
import numpy as np
import pytest
from matplotlib.colors import to_rgb
from PIL import Image

from spikeloom.analysis import plots
from spikeloom.analysis.style import COLOURS, DIVERGING, OFF, ON, SEQUENTIAL, cycled
from spikeloom.errors import ParameterError, StorageError
from spikeloom.spikes import Spikes

SVG = "{http://www.w3.org/2000/svg}"
DEUTERANOPIA = np.array(
    [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]]
)
PROTANOPIA = np.array(
    [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
)
"""Of linear RGB, severity 1.0: Machado, Oliveira and Fernandes (2009), table 1."""


def raster(n=10, seed=0):
    spikes = np.random.default_rng(seed).random((500, 1, n)) < 0.1
    return plots.raster(Spikes.from_raster(spikes.astype(np.int8), 1.0), title="a <b> & c")


@pytest.mark.parametrize("ending", ["png", "svg", "pdf"])
def test_the_same_figure_has_the_same_bytes(ending, tmp_path):
    once, again = (plots.save(raster(), tmp_path / f"{k}.{ending}").read_bytes() for k in range(2))
    assert once == again
    assert plots.save(raster(seed=1), tmp_path / f"other.{ending}").read_bytes() != once


def test_the_bytes_are_the_same_in_another_process(tmp_path):
    code = (
        "import sys; from spikeloom.analysis import plots; plots.save(plots.weights_histogram([1.0, 2.0]), sys.argv[1])"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "a.svg")], check=True)
    plots.save(plots.weights_histogram([1.0, 2.0]), tmp_path / "b.svg")
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()


def test_an_svg_is_xml_with_text_as_text(tmp_path):
    root = ElementTree.parse(plots.save(raster(), tmp_path / "a.svg")).getroot()
    words = ["".join(text.itertext()) for text in root.iter(f"{SVG}text")]
    assert {"a <b> & c", "time (ms)", "neuron"} <= set(words)
    assert not list(root.iter(f"{SVG}image"))


def test_dense_marks_are_one_image_in_an_svg(tmp_path):
    step, ids = np.divmod(np.arange(1000 * 100), 100)
    sparse = (step * 7 + ids * 13) % 4 == 0
    for spikes in (
        Spikes.from_steps(step[sparse], ids[sparse], 100, 1000, 1.0),
        Spikes.from_steps(step, ids, 100, 1000, 1.0),
    ):
        path = plots.save(plots.raster(spikes), tmp_path / "a.svg")
        root = ElementTree.parse(path).getroot()
        assert len(list(root.iter(f"{SVG}image"))) >= 1
        assert path.stat().st_size < 1_000_000


def test_a_png_has_the_size_that_its_figure_has_at_its_dots_per_inch(tmp_path):
    figure = raster()
    with Image.open(plots.save(figure, tmp_path / "a.png", dpi=100)) as image:
        assert image.size == tuple(np.rint(figure.get_size_inches() * 100).astype(int))


def test_saving_leaves_the_settings_of_matplotlib_as_they_were(tmp_path):
    before = dict(matplotlib.rcParams)
    threads = [threading.Thread(target=plots.save, args=(raster(), tmp_path / f"{k}.svg")) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert dict(matplotlib.rcParams) == before
    assert len({(tmp_path / f"{k}.svg").read_bytes() for k in range(4)}) == 1


@pytest.mark.parametrize("name", ["a.jpg", "a", "a.PNG.txt"])
def test_another_ending_is_refused_with_those_that_there_are(name, tmp_path):
    with pytest.raises(ParameterError, match=r"\.png, \.svg, \.pdf"):
        plots.save(raster(), tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_a_place_that_cannot_be_written_is_a_storage_error(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="cannot write"):
        plots.save(raster(), tmp_path / "file" / "a.png")


def lab(colour, sight=None):
    """A colour of sRGB in CIE L*a*b*, as eyes of this sight see it."""
    rgb = np.asarray(to_rgb(colour))
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    seen = linear if sight is None else np.clip(sight @ linear, 0, 1)
    xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]) @ seen
    f = np.cbrt(np.maximum(xyz / (0.9505, 1.0, 1.089), 0.008856))
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("sight", [None, DEUTERANOPIA, PROTANOPIA], ids=["usual", "deuteranopia", "protanopia"])
def test_colours_differ_for_every_eye(sight):
    points = [lab(colour, sight) for colour in COLOURS]
    apart = [np.linalg.norm(a - b) for k, a in enumerate(points) for b in points[:k]]
    assert min(apart) > 11  # a difference of 2.3 is just noticeable
    assert np.linalg.norm(lab(ON, sight) - lab(OFF, sight)) > 60
    assert len({str(dashes) for _, dashes in cycled(len(COLOURS))}) == len(COLOURS)


@pytest.mark.parametrize("sight", [None, DEUTERANOPIA, PROTANOPIA], ids=["usual", "deuteranopia", "protanopia"])
def test_maps_of_colours_rise_in_darkness_and_have_two_hues_for_two_signs(sight):
    def lightness(colours):
        return np.array([lab(colour[:3], sight)[0] for colour in colours])

    assert (np.diff(lightness(SEQUENTIAL(np.linspace(0, 1, 60)))) < 0).all()
    assert lightness(SEQUENTIAL([0, 1 / 20]))[1] < 95  # the least that there is differs from nothing
    negative, positive = DIVERGING(np.linspace(0.5, 0, 30)), DIVERGING(np.linspace(0.5, 1, 30))
    assert (np.diff(lightness(negative)) < 0).all()
    assert (np.diff(lightness(positive)) < 0).all()
    strong = [np.linalg.norm(lab(a[:3], sight) - lab(b[:3], sight)) for a, b in zip(negative, positive, strict=True)][
        6:
    ]
    assert min(strong) > 20
