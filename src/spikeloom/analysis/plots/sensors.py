"""Activity on a grid of neurons, such as the pixels of a sensor: a picture of its counts, and an animation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from numpy.typing import ArrayLike, NDArray
from PIL import Image, ImageDraw, ImageFont

from ...errors import ParameterError, ShapeError, StorageError
from ...spikes import Spikes
from ...storage import atomic_file
from ...units import check_dt
from ..style import INK, OFF, ON, SEQUENTIAL, colour_bar, coloured, dress, new_figure, whole_ticks
from .checks import finite, one_sample

_MOST_FRAMES = 2000
_LEVELS = 16
"""How strong a pixel can be, in each polarity: a GIF has 256 colours."""
_SIDE = (240, 640)
"""Least and greatest number of pixels of the longer side of an animation."""
_FOOTER, _FONT = 26, 14
_MOST_INCHES = 10.0


def counts_image(
    counts: Spikes | ArrayLike,
    sample: int = 0,
    *,
    shape: Sequence[int] | None = None,
    title: str = "Spikes of each pixel",
) -> Figure:
    """A figure of how many spikes each neuron of a grid has: of one sample of `Spikes`, or of counts that are given.

    shape: (H, W), or (2, H, W) for OFF and ON neurons, by default that of the spikes or counts; OFF is drawn orange, ON
    blue. Graded spikes count by their values, and negative ones as OFF.
    """
    if isinstance(counts, Spikes):
        train = one_sample(counts, sample)
        planes = _summed(train, slice(None), grid := _grid(shape or train.shape))
    else:
        held = finite(counts, "counts_image.counts")
        grid = _grid(np.shape(counts) if shape is None else shape)
        if held.size != grid.planes * grid.height * grid.width:
            raise ShapeError(f"counts_image.counts must be of {grid}, got {held.size} numbers")
        planes = _signed(held, grid)
    height = float(np.clip(5.0 * grid.height / grid.width, 1.2, 5.0))
    width = float(np.clip(height * grid.width / grid.height, 2.5, _MOST_INCHES))
    figure = new_figure(width + 1.4, height + 1.1)
    axes = dress(figure.add_subplot(), title, "x", "y", grid=None)
    if not planes[0].any():
        image = axes.imshow(planes[1], cmap=SEQUENTIAL, vmin=0, vmax=planes.max() or 1, interpolation="nearest")
        colour_bar(image, axes, "spikes", whole=not (planes % 1).any())
    else:
        scale = _scale(planes)
        axes.imshow(coloured(planes / scale), interpolation="nearest")
        names = ((ON, "ON"), (OFF, "OFF"))
        patches = [Patch(facecolor=colour, label=f"{name}, full at {scale:,.3g}") for colour, name in names]
        figure.legend(handles=patches, loc="outside lower center", ncols=2, frameon=False, fontsize=8.5, labelcolor=INK)
    if not 1 / 8 < grid.width / grid.height < 8:
        axes.set_aspect("auto")  # else a row of neurons would be a hair
    whole_ticks(axes.xaxis, grid.width)
    whole_ticks(axes.yaxis, grid.height)
    return figure


def activity_animation(
    spikes: Spikes,
    shape: Sequence[int] | None,
    path: str | Path,
    *,
    sample: int = 0,
    frame_ms: float | None = None,
    fps: float = 10.0,
) -> Path:
    """The path, after an animation (GIF) of one sample's spikes on a grid was written there, with the time below.

    A frame shows the spikes of `frame_ms` of simulated time (default: a hundredth of all, in whole steps), `fps` of
    them pass in a second. shape and colours are those of `counts_image`. Raises ParameterError for more than 2000
    frames and for another ending than .gif, StorageError when the file cannot be written.
    """
    path = Path(path)
    if path.suffix.lower() != ".gif":
        raise ParameterError(f"activity_animation.path must end in .gif, got {str(path)!r}")
    train, pause = one_sample(spikes, sample), round(1000 / check_dt(fps, "activity_animation.fps"))
    grid = _grid(shape or train.shape)
    _check_neurons(train, grid)
    edges = _edges(train, frame_ms)
    frames = _frames(train, grid, edges)
    first = next(frames)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error.strerror or error}") from error
    with atomic_file(path) as file:
        first.save(file, "GIF", save_all=True, append_images=frames, duration=max(pause, 20), loop=0, optimize=False)
    return path


class _Grid(NamedTuple):
    planes: int
    height: int
    width: int

    def __str__(self) -> str:
        polarities = "OFF and ON of " if self.planes == 2 else ""
        return f"{polarities}{self.height} x {self.width} pixels"


def _grid(shape: Sequence[int]) -> _Grid:
    sizes = tuple(int(n) for n in shape)
    if len(sizes) == 2:
        sizes = (1, *sizes)
    if len(sizes) != 3 or sizes[0] not in (1, 2) or min(sizes) < 1:
        raise ShapeError(f"shape of a grid must be (H, W), or (2, H, W) for OFF and ON, got {tuple(shape)}")
    return _Grid(*sizes)


def _check_neurons(train: Spikes, grid: _Grid) -> None:
    if train.n_neurons != grid.planes * grid.height * grid.width:
        raise ShapeError(f"shape must be a grid of the {train.n_neurons} neurons, got {grid}")


def _summed(train: Spikes, part: slice, grid: _Grid) -> NDArray[np.float64]:
    """What OFF and ON spikes of a part sum to, (2, H, W)."""
    _check_neurons(train, grid)
    ids, n = train.ids[part], train.n_neurons
    if train.value is None:
        return _signed(np.bincount(ids, minlength=n), grid)
    value = train.value[part].astype(np.float64)
    planes = [_signed(np.bincount(ids, side, n), grid) for side in (np.maximum(value, 0), np.minimum(value, 0))]
    return planes[0] + planes[1]


def _signed(sums: NDArray[Any], grid: _Grid) -> NDArray[np.float64]:
    """OFF and ON strengths (2, H, W) of signed sums of each neuron."""
    if grid.planes == 2:
        both: NDArray[np.float64] = np.abs(sums.astype(np.float64)).reshape(grid)
        return both
    one = sums.astype(np.float64).reshape(grid.height, grid.width)
    return np.stack((np.maximum(-one, 0), np.maximum(one, 0)))


def _scale(planes: NDArray[np.float64]) -> float:
    """The strength that is drawn in full colour: few pixels have more."""
    seen = planes[planes > 0]
    return float(np.percentile(seen, 99)) if seen.size else 1.0


def _edges(train: Spikes, frame_ms: float | None) -> NDArray[np.float64]:
    """Where frames begin, in ms, and where the last one ends."""
    if frame_ms is None:
        frame_ms = train.duration / 100
        if train.dt is not None:
            frame_ms = max(1, round(frame_ms / train.dt)) * train.dt
    n = int(np.ceil(train.duration / check_dt(frame_ms, "activity_animation.frame_ms") - 1e-9))
    if n > _MOST_FRAMES:
        raise ParameterError(
            f"activity_animation.frame_ms must make at most {_MOST_FRAMES} frames, got {frame_ms:g} ms: {n} frames of "
            f"{train.duration:g} ms; use longer ones"
        )
    return np.append(np.arange(n) * frame_ms, train.duration)


def _frames(train: Spikes, grid: _Grid, edges: NDArray[np.float64]) -> Iterator[Image.Image]:
    cuts = np.searchsorted(train.times_ms(), edges - 1e-9)
    parts = [slice(*pair) for pair in pairwise(cuts)]
    busiest = max(parts, key=lambda part: part.stop - part.start)
    shrink = -(-max(grid.height, grid.width) // _SIDE[1])
    grow = max(1, round(_SIDE[0] / max(grid.height, grid.width)))
    scale = _scale(_shrunk(_summed(train, busiest, grid), shrink))
    decimals = int(np.clip(np.ceil(-np.log10(edges[1] - edges[0])) + 1, 0, 3))
    for k, part in enumerate(parts):
        strength = _shrunk(_summed(train, part, grid), shrink) / scale
        level = np.ceil(np.clip(strength, 0, 1) * (_LEVELS - 1)).astype(np.uint8)
        picture = np.kron(level[0] * _LEVELS + level[1], np.ones((grow, grow), np.uint8))
        yield _framed(picture, f"{edges[k]:,.{decimals}f} ms", float(edges[k + 1] / edges[-1]))


def _shrunk(planes: NDArray[np.float64], by: int) -> NDArray[np.float64]:
    if by == 1:
        return planes
    rows, columns = (np.arange(0, n, by) for n in planes.shape[1:])
    return np.add.reduceat(np.add.reduceat(planes, rows, axis=1), columns, axis=2)


def _framed(picture: NDArray[np.uint8], words: str, done: float) -> Image.Image:
    """A frame with a thin line around it, and below it the time, as words and as a bar."""
    height, width = picture.shape
    ink, grey = _LEVELS**2 - 1, 4 * _LEVELS + 4
    image = Image.new("P", (max(width, 120) + 2, height + 2 + _FOOTER), 0)
    image.putpalette(_palette())
    image.paste(Image.fromarray(picture, "P"), (1, 1))
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, 0, width + 1, height + 1), outline=grey)
    draw.text((4, height + 4), words, fill=ink, font=ImageFont.load_default(_FONT))
    draw.rectangle((0, image.height - 3, round(done * image.width), image.height), fill=_LEVELS - 1)
    return image


def _palette() -> list[int]:
    """The colours of all pairs of an OFF and an ON level."""
    off, on = np.divmod(np.arange(_LEVELS**2), _LEVELS)
    strength = np.stack((off, on))[:, None] / (_LEVELS - 1)
    return [int(part) for part in np.rint(255 * coloured(strength)).ravel()]
