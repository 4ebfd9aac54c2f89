"""Tiny files of every kind, made for a test: of each a path and what is known to be in it."""

from __future__ import annotations

import wave
from pathlib import Path

import h5py
import numpy as np
from PIL import Image

from spikeloom.datasets import write_idx, write_neuron_data
from spikeloom.events import Events
from spikeloom.events.files import FORMATS, write_events

EVENTS = Events.from_arrays([1_000, 2_000, 2_000, 9_000], [0, 3, 5, 5], [0, 2, 7, 7], [1, 0, 1, 1], (6, 8))
WRITABLE = [name for name in FORMATS if FORMATS[name].writable]


def spike_file(path: Path) -> Path:
    """Three samples of two, none and one spike."""
    times, units = [[0.25, 0.5], [], [0.125]], [[699, 3], [], [12]]
    with h5py.File(path, "w") as file:
        group = file.create_group("spikes")
        for name, rows, dtype in (("times", times, np.float16), ("units", units, np.uint16)):
            column = group.create_dataset(name, (3,), h5py.vlen_dtype(dtype))
            for k, row in enumerate(rows):
                column[k] = np.array(row, dtype)
        file["labels"] = np.array([0, 2, 0])
    return path


def sound_file(path: Path) -> Path:
    """A tone of 440 Hz at half of full scale, 100 ms of 8,000 samples/s, 16 bits."""
    tone = np.sin(2 * np.pi * 440 * np.arange(800) / 8000) * 16384
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(tone.astype("<i2").tobytes())
    return path


def picture(path: Path, shade: int = 200) -> Path:
    """A grey picture of 7 x 5 pixels with a dark corner."""
    pixels = np.full((5, 7), shade, np.uint8)
    pixels[:2, :2] = 0
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


def caption_folder(path: Path, *, missing: bool = False) -> Path:
    """Two pictures with captions; with a third row, of which there is no picture, where that is asked for."""
    rows = ["image_path,caption", "images/0.png,a dark corner", "images/1.png,another one"]
    for k in range(2):
        picture(path / f"images/{k}.png", 100 + k)
    (path / "captions.csv").write_text("\n".join(rows + ["images/2.png,nothing"] * missing) + "\n")
    return path


def class_folder(path: Path) -> Path:
    """Two classes, cat and dog, of two pictures each."""
    for name in ("cat", "dog"):
        for k in range(2):
            picture(path / name / f"{k}.png", 90 * (k + 1))
    return path


def neuron_file(path: Path) -> Path:
    """Spikes (20, 4), 5 of them, and potentials."""
    spikes = np.zeros((20, 4), np.int8)
    spikes[::4, 1] = 1
    write_neuron_data(path, {"spikes": spikes, "membrane_potential": np.ones((20, 4), np.float32) * np.arange(4)})
    return path


def every_kind(folder: Path) -> dict[str, Path]:
    """A path of each kind of data."""
    write_idx(folder / "numbers.gz", np.arange(3 * 4 * 5, dtype=np.uint8).reshape(3, 4, 5))
    np.save(folder / "numbers.npy", np.arange(12.0).reshape(3, 4))
    (folder / "table.csv").write_text("text,label\nwell,good\nill,bad\nfine,good\n")
    (folder / "text.txt").write_text("Größe\nzwei\n", encoding="utf-8")
    write_events(folder / "events.es", EVENTS)
    return {
        "captions": caption_folder(folder / "captions"), "folder": class_folder(folder / "classes"),
        "spikes": spike_file(folder / "spikes.h5"), "neuron_data": neuron_file(folder / "neurons.pt"),
        "idx": folder / "numbers.gz", "npy": folder / "numbers.npy", "sound": sound_file(folder / "tone.wav"),
        "image": picture(folder / "picture.png"), "table": folder / "table.csv", "events": folder / "events.es",
        "text": folder / "text.txt",
    }  # fmt: skip
