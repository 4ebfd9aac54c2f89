"""Figures of data of any kind: events, spikes, sound, images, arrays, as files or data sets hold them."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from ..datasets import Dataset, captions, image_folder, read_neuron_data
from ..datasets.audio import Cochlea, LogMel, Sound, read_sound
from ..datasets.audio.mel import hz_to_mel, mel_to_hz
from ..datasets.audio.sound import excerpt
from ..datasets.describe import Progress, kind_of, quiet
from ..datasets.idx import read_idx
from ..datasets.kinds import files_in, read_image, read_npy
from ..datasets.shd import SpikeFile
from ..datasets.spike_hdf5 import read_spike_hdf5
from ..errors import ParameterError, SpikeloomError, UnsupportedError
from ..events import Events
from ..events.files import EventFile
from ..spikes import Spikes
from .event_plots import draw_events
from .plots import raster
from .style import BLUE, DARK, INK, MUTED, VERMILION, dress, legend, new_figure

_MOST_HEARD = 5000.0
"""How many ms of a sound are shown: more could not be told apart, and the cochlea takes a quarter of the time."""
_MOST_EVENTS = 10_000_000
"""How many events of a recording are shown: they take 13 bytes each, several times over."""
_GRID = 24


def _silent(note: str) -> None:
    """Tells nobody."""


def draw_file(
    path: str | os.PathLike[str],
    sample: int = 0,
    *,
    seed: int = 0,
    progress: Progress = quiet,
    tell: Callable[[str], None] = _silent,
) -> Figure:
    """A figure of what a file or folder holds, recognised by its content; `sample` where there are several.

    seed: of the hair cells that hear a sound. progress: is told how much of an event file was read; tell: where only
    its first ten million events are shown. Raises UnsupportedError for a text, which is better read.
    """
    place, kind = Path(path), kind_of(path)
    if kind in ("text", "table"):
        raise UnsupportedError(f"{place}: a {kind} has no picture; `spikeloom data info` tells of it")
    if kind in ("events", "image", "sound", "neuron_data"):
        _check_only(sample, kind)
    if kind == "spikes":
        return _spike_file(place, sample)
    if kind == "captions":
        found = captions(place, problems="skip")
        return _grid(found, sample, f"{place.name}: images and captions")
    if kind == "folder":
        return _folder(place, sample, seed)
    drawn = {"events": lambda: draw_events(_events(place, progress, tell)),
             "image": lambda: draw_images([np.asarray(read_image(place).convert("RGB"))], [place.name]),
             "sound": lambda: draw_sound(read_sound(place), np.random.default_rng(seed), title=place.name),
             "neuron_data": lambda: _neuron_data(place),
             "idx": lambda: draw_array(read_idx(place), sample, title=place.name),
             "npy": lambda: draw_array(read_npy(place), sample, title=place.name)}  # fmt: skip
    return drawn[kind]()


def draw_dataset(dataset: Dataset, sample: int = 0, *, seed: int = 0) -> Figure:
    """A figure of a sample of a data set with its class, or, where samples are images, of the 24 from it on."""
    if not 0 <= sample < len(dataset):
        raise ParameterError(f"sample must be from 0 to {len(dataset) - 1}, got {sample}")
    found: Any
    found, label = dataset[sample]
    title = f"{dataset.name}, sample {sample} of {len(dataset):,}: {_name(dataset, label)}"
    if isinstance(found, Events):
        return draw_events(found, title=title)
    if isinstance(found, Spikes):
        return raster(found, title=title)
    if isinstance(found, Sound):
        return draw_sound(found, np.random.default_rng(seed), title=title)
    if isinstance(found, np.ndarray) and _as_image(found) is not None:
        return _grid(dataset, sample, f"{dataset.name}: samples from {sample} on, of {len(dataset):,}")
    raise UnsupportedError(f"{dataset.name}: samples of class {type(found).__name__} have no picture")


def draw_sound(sound: Sound, generator: np.random.Generator, *, title: str = "Sound") -> Figure:
    """A figure of a sound: its waveform, its spectrogram, and the spikes of a cochlea that hears it, one above another.

    Of a long one the first 5 s are shown, and the title says so.
    """
    heard = excerpt(sound.mono(), 0.0, min(sound.duration, _MOST_HEARD))
    note = "" if heard.duration >= sound.duration - 1 else f", the first {heard.duration / 1000:.3g} s"
    figure = new_figure(9, 8)
    figure.suptitle(f"{title}{note}", x=0.01, ha="left", fontsize=11, fontweight="bold", color=INK)
    top, middle, bottom = figure.subplots(3, 1, sharex=True, height_ratios=(1, 1.5, 2))
    at = np.arange(len(heard)) * 1000 / heard.rate
    dress(top, "Waveform", "", "amplitude")
    top.plot(at, heard.waveform, color=BLUE, linewidth=0.6)
    hop = max(1.0, heard.duration / 1000)
    bands = LogMel(hop=hop, n_mels=64)(heard)
    dress(middle, "Spectrogram (log-mel)", "", "frequency (Hz)", grid=None)
    extent = (-hop / 2, (len(bands) - 0.5) * hop, -0.5, 63.5)
    centres = mel_to_hz(np.linspace(hz_to_mel(20.0), hz_to_mel(heard.rate / 2), 66))[1:-1]
    middle.set_yticks(np.arange(7, 64, 8), [f"{centre:,.0f}" for centre in centres[7::8]])
    high = float(bands.max())
    image = middle.imshow(
        bands.T, origin="lower", aspect="auto", extent=extent, cmap="cividis", vmin=high - 80, vmax=high
    )
    bar = figure.colorbar(image, ax=middle, pad=0.01)
    bar.set_label("power (dB)", fontsize=8.5, color=INK)
    bar.ax.tick_params(labelsize=8, colors=MUTED)
    cochlea = Cochlea()
    spikes = cochlea(heard, generator)
    dress(bottom, f"Cochlea ({spikes.n_spikes:,} spikes)", "time (ms)", "best frequency (Hz)", grid=None)
    bottom.scatter(spikes.times_ms(), spikes.ids, s=4, marker=".", color=DARK, linewidths=0, rasterized=True)
    ticks = np.linspace(0, cochlea.n_channels - 1, 8).astype(int)
    bottom.set_yticks(ticks, [f"{cochlea.channel_frequencies[k]:,.0f}" for k in ticks])
    bottom.set(xlim=(0, heard.duration), ylim=(cochlea.n_channels - 0.5, -0.5))
    return figure


def draw_images(images: Sequence[NDArray[Any]], titles: Sequence[str], *, title: str | None = None) -> Figure:
    """A figure of images, each (H, W) or (H, W, 3), in a grid, each under its title."""
    columns = min(len(images), 6)
    rows = -(-len(images) // columns)
    side = 1.6 if len(images) > 1 else 5.0
    height, width = images[0].shape[:2]
    figure = new_figure(columns * side, rows * (side * min(2.0, height / width) + 0.35) + 0.4)
    if title is not None:
        figure.suptitle(title, x=0.01, ha="left", fontsize=11, fontweight="bold", color=INK)
    every = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes in every:
        axes.set_axis_off()
    for axes, image, name in zip(every, images, titles, strict=False):
        axes.imshow(image, cmap="gray_r", interpolation="nearest" if max(image.shape[:2]) < 200 else "antialiased")
        lines = textwrap.wrap(name, 22, max_lines=2, placeholder=" ...") if len(images) > 1 else [name]
        axes.set_title("\n".join(lines), fontsize=8.5, color=INK)
    return figure


def draw_array(array: NDArray[Any], sample: int = 0, *, title: str = "Array") -> Figure:
    """A figure of numbers: a histogram of one dimension, an image of two, a grid of those from `sample` on of three."""
    if array.dtype.kind not in "biuf" or not array.size or not 1 <= array.ndim <= 4:
        raise UnsupportedError(
            f"{title}: only real numbers of 1 to 4 dimensions are drawn, got {array.dtype} {array.shape}"
        )
    told = f"{title}: {' x '.join(map(str, array.shape))} of {array.dtype}"
    if array.ndim >= 3 and _as_image(np.asarray(array[0])) is not None:
        if not 0 <= sample < len(array):
            raise ParameterError(f"sample must be from 0 to {len(array) - 1}, got {sample}")
        chosen = range(sample, min(sample + _GRID, len(array)))
        images = [image for k in chosen if (image := _as_image(np.asarray(array[k]))) is not None]
        return draw_images(images, [str(k) for k in chosen], title=told)
    _check_only(sample, "array")
    figure = new_figure(8, 4)
    axes = dress(figure.add_subplot(), told, "value", "how many", grid=None)
    if array.ndim != 2:
        axes.hist(np.asarray(array, float).ravel(), bins=60, color=BLUE)
        return figure
    shown = axes.imshow(array, aspect="auto", cmap="cividis", interpolation="nearest")
    axes.set(xlabel="column", ylabel="row")
    bar = figure.colorbar(shown, ax=axes, pad=0.01)
    bar.set_label("value", fontsize=8.5, color=INK)
    return figure


def _events(path: Path, progress: Progress, tell: Callable[[str], None]) -> Events:
    """The events of a file, read block by block up to the most that are shown."""
    with EventFile(path, progress=progress) as file:
        blocks, n = [Events.from_arrays([], [], [], [], file.sensor_size)], 0
        for block in file:
            blocks.append(block[: _MOST_EVENTS - n])
            n += len(block)
            if n > _MOST_EVENTS:
                break
    events = Events.concatenate(blocks)
    if n > _MOST_EVENTS:
        tell(f"shown are the first {len(events):,} events, {events.duration:,.3g} ms")
    return events


def _spike_file(path: Path, sample: int) -> Figure:
    names, n = SpikeFile(path), len(SpikeFile(path))
    if not 0 <= sample < n:
        raise ParameterError(f"sample must be from 0 to {n - 1}, got {sample}")
    spikes = read_spike_hdf5(path, [sample], dt=0.1, n_channels=1 << 16)
    channels = max(int(spikes.ids.max(initial=0)) + 1, 700 if spikes.ids.max(initial=0) < 700 else 1)
    title = f"{path.name}, sample {sample} of {n:,}: {names.classes[names.labels[sample]]}"
    return raster(replace(spikes, shape=(channels,)), title=title)


def _neuron_data(path: Path) -> Figure:
    """Spikes by step and neuron, and below them the potentials of those three that fire most."""
    found = read_neuron_data(path)
    spikes, v = found.spikes.numpy(), found.tensors.get("membrane_potential")
    figure = new_figure(9, 4 if v is None else 6.5)
    every = figure.subplots(1 if v is None else 2, 1, squeeze=False, sharex=True)[:, 0]
    dress(
        every[0], f"{path.name}: {int(spikes.sum()):,} spikes of {spikes.shape[1]:,} neurons", "", "neuron", grid=None
    )
    step, ids = np.nonzero(spikes)
    every[0].scatter(step, ids, s=8, marker="|", linewidths=0.9, color=DARK, rasterized=True)
    every[0].set(xlim=(-0.5, len(spikes) - 0.5), ylim=(-0.5, spikes.shape[1] - 0.5))
    every[0].yaxis.set_major_locator(MaxNLocator(integer=True))
    if v is not None:
        dress(every[1], "Membrane potential of the three that fire most", "", "potential")
        most = np.argsort(-spikes.sum(0), kind="stable")[:3]
        for neuron, colour, dashes in zip(most, (BLUE, VERMILION, INK), ("-", "--", ":"), strict=False):
            every[1].plot(v[:, neuron].numpy(), linewidth=1.2, color=colour, linestyle=dashes, label=f"neuron {neuron}")
        legend(every[1])
    every[-1].set_xlabel("step", fontsize=9.5, color=INK)
    return figure


def _folder(path: Path, sample: int, seed: int) -> Figure:
    """A grid of images in folders of classes, else the first file from that number on that has a picture."""
    try:
        return draw_dataset(image_folder(path, 64, "RGB"), sample)
    except SpikeloomError:
        files = files_in(path)
    if not 0 <= sample < len(files):
        raise ParameterError(f"sample must be from 0 to {len(files) - 1}, the files of {path}, got {sample}")
    for file in files[sample:]:
        with suppress(UnsupportedError):
            return draw_file(file, seed=seed)
    raise UnsupportedError(f"{path}: no file in it, from number {sample} on, has a picture")


def _grid(dataset: Any, sample: int, title: str) -> Figure:
    """The images of a data set from a sample on, each with its class or caption."""
    if not 0 <= sample < len(dataset):
        raise ParameterError(f"sample must be from 0 to {len(dataset) - 1}, got {sample}")
    pairs = [dataset[k] for k in range(sample, min(sample + _GRID, len(dataset)))]
    images = [image for data, _ in pairs if (image := _as_image(data)) is not None]
    return draw_images(images, [_name(dataset, label) for _, label in pairs], title=title)


def _as_image(data: NDArray[Any]) -> NDArray[Any] | None:
    """A sample as (H, W) or (H, W, 3); None where it is none. A flat one whose length is a square is taken as one."""
    if data.ndim == 1 and data.size >= 16 and int(data.size**0.5) ** 2 == data.size:
        return data.reshape(int(data.size**0.5), -1)
    if data.ndim == 3 and data.shape[0] in (1, 3):
        image = np.moveaxis(data, 0, 2)
        return image[..., 0] if image.shape[2] == 1 else image
    return data if data.ndim == 2 or (data.ndim == 3 and data.shape[2] == 3) else None


def _name(dataset: Any, label: Any) -> str:
    return label if isinstance(label, str) else str(dataset.classes[int(label)])


def _check_only(sample: int, kind: str) -> None:
    if sample != 0:
        raise ParameterError(f"sample must be 0: the file holds one {kind.replace('_', ' ')}, got {sample}")
