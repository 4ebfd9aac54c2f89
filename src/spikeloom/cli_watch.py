"""`spikeloom session watch`: rates and rasters of a session in the terminal, while it is written."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import typer
from numpy.typing import NDArray
from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live
from rich.text import Text

from .errors import ParameterError, UnknownNameError
from .registry import did_you_mean
from .terminal import out, plain

if TYPE_CHECKING:
    from .recording import Follower, SpikeBatch, Update

_ROWS, _COLUMNS = 192, 400
"""The cells in which a layer's latest spikes are held: no terminal shows more."""
_MOST_LINES, _LEAST_LINES = 14, 4
_MOST_FPS = 30.0
_BARS = " ▁▂▃▄▅▆▇█"
_DOTS = np.array([[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]])
"""The bits of the 4 x 2 dots of a Braille character."""
_DITHER = (np.array([[0, 8, 2, 10], [12, 4, 14, 6], [3, 11, 1, 9], [15, 7, 13, 5]]) + 0.5) / 16
"""After Bayer: a dot is set where the share of its cell exceeds this, so that density becomes shade."""


def watch(
    session: Annotated[Path, typer.Argument(metavar="SESSION", help="Folder of a session; it may not have begun yet.")],
    fps: Annotated[float, typer.Option(help="Looks and pictures a second, at most 30.")] = 10.0,
    node: Annotated[str | None, typer.Option(help="Only this node.")] = None,
    layer: Annotated[str | None, typer.Option(help="Only this layer.")] = None,
    last: Annotated[float, typer.Option(help="How much is shown, in ms of simulated time.")] = 1000.0,
    wait: Annotated[float, typer.Option(help="For how many seconds the session may not have begun.")] = 60.0,
) -> None:
    """Shows rates and rasters of a session while it is written, until it ends or Ctrl-C.

    A raster shows sample 0, neuron 0 at the bottom; a rate is that of all samples. Where the output is no terminal, a
    line is printed for what is new of each layer.

    Example: `spikeloom session watch sim_recordings/demo`.
    """
    from .recording import follow

    if not 0 < fps <= _MOST_FPS:
        raise ParameterError(f"--fps must be above 0 and at most {_MOST_FPS:g}, got {fps:g}")
    if not 0 < last < float("inf"):
        raise ParameterError(f"--last must be a positive time in ms, got {last:g}")
    follower = follow(session, 1 / fps, history=False, wait=wait, node=node, layer=layer)
    view = SessionView(session, last)
    try:
        if out.is_terminal:
            _show(follower, view, fps)
        else:
            for update in follower:
                out.print(view.add(update), markup=False)
        end = follower.reason
    except KeyboardInterrupt:
        end = "Ctrl-C"
    for line in view.summary():
        out.print(line, markup=False)
    if not view.layers and (node or layer) and end != "Ctrl-C":
        raise _unknown(session, node, layer)
    out.print(plain(f"ended: {end}"), markup=False)


def _show(follower: Follower, view: SessionView, fps: float) -> None:
    """Draws the view `fps` times a second until the session ends."""
    console = Console(highlight=False)
    with Live(view, console=console, screen=True, auto_refresh=False, vertical_overflow="crop") as live:
        due = time.monotonic()
        while follower.reason is None:
            for update in follower.look():
                view.add(update)
            live.refresh()
            due = max(due + 1 / fps, time.monotonic())
            time.sleep(max(0.0, due - time.monotonic()))


def _unknown(session: Path, node: str | None, layer: str | None) -> UnknownNameError:
    from .recording import Session

    with Session(session) as opened:
        known = [(n, each) for n in opened.nodes() for each in opened.layers(n)]
    if node is not None and node not in {n for n, _ in known}:
        names, kind, name = sorted({n for n, _ in known}), "node", node
    else:
        names, kind, name = sorted({each for n, each in known if node in (None, n)}), "layer", str(layer)
    return UnknownNameError(
        f"unknown {kind} {name!r}{did_you_mean(name, names)} Recorded: {', '.join(names) or 'none'}"
    )


class SessionView:
    """What is shown of a session: its layers one below another, as many as there is room for."""

    def __init__(self, session: Path, last: float) -> None:
        self.layers: dict[tuple[str, str], LayerView] = {}
        self._session, self._last, self._began = session, last, time.monotonic()

    def add(self, update: Update) -> str:
        """Takes what is new; a line that tells of it."""
        key = (update.node, update.layer)
        if key not in self.layers:
            first: SpikeBatch = update.batches[0]  # type: ignore[assignment]
            fraction = _recorded_fraction(self._session, *key, first)
            self.layers[key] = LayerView("/".join(key), first, self._last, fraction)
        return self.layers[key].add(update.batches)  # type: ignore[arg-type]

    def summary(self) -> Iterator[str]:
        """A line a layer: how far it went, and its rate in the time that was shown last."""
        for layer in self.layers.values():
            yield layer.heading()

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        height = max(options.height or console.height, 2)
        width = options.max_width
        every = list(self.layers.values())
        shown = every[: max(1, (height - 1) // _LEAST_LINES)]
        each = min(_MOST_LINES, (height - 1) // max(len(shown), 1))
        for layer in shown:
            yield Text(layer.heading(), style="bold", no_wrap=True, overflow="crop")
            yield from layer.lines(width, each - 1)
        hidden = f", {len(every) - len(shown)} more layers: choose by --layer" if len(every) > len(shown) else ""
        state = f"{plain(self._session.name)}, {time.monotonic() - self._began:.0f} s, Ctrl-C ends{hidden}"
        text = state if every else f"waiting for {state}"
        yield Text(text, style="dim", no_wrap=True, overflow="crop", end="")


class LayerView:
    """The latest spikes of one layer, in cells: `last` ms of model time wide, as wide as a terminal can show."""

    def __init__(self, name: str, first: SpikeBatch, last: float, recorded_fraction: float) -> None:
        self._name, self._dt, self._n_neurons = name, first.dt, first.spikes.n_neurons
        self._fraction = recorded_fraction
        rows = min(self._n_neurons, _ROWS)
        self._row = np.arange(self._n_neurons) * rows // self._n_neurons
        self._per_column = max(1, round(last / self._dt / _COLUMNS))
        self._counts = np.zeros((rows, _COLUMNS), np.int64)
        self._sums = np.zeros(_COLUMNS)
        self._first = self._stop = first.start
        self._drawn: tuple[tuple[int, int, int], list[Text]] | None = None

    def add(self, batches: Iterable[SpikeBatch]) -> str:
        """Takes batches in the order of time; a line that tells of them."""
        before, n_spikes, samples = self._stop, 0, 1
        for batch in batches:
            self._add(batch)
            n_spikes, samples = n_spikes + batch.size, batch.n_samples
        n_steps = self._stop - before
        rate = self._hz(n_spikes / samples, n_steps)
        return f"{self._name}  {_time(self._stop * self._dt)}  {n_steps:,} steps  {n_spikes:,} spikes  {rate:.1f} Hz"

    def heading(self) -> str:
        """Name, size, rate in the time that is shown, and model time."""
        shown = min(self._stop - self._first, _COLUMNS * self._per_column)
        rate = self._hz(float(self._sums.sum()), shown)
        thinned = f" ({self._fraction:.3g} recorded)" if self._fraction < 1 else ""
        neurons = f"{self._n_neurons:,} neuron{'s' * (self._n_neurons != 1)}{thinned}"
        return f"{self._name}  {neurons}  {rate:.1f} Hz  {_time(self._stop * self._dt)}"

    def lines(self, width: int, height: int) -> list[Text]:
        """The rate over time as a line of bars, above the raster; `height` lines of `width` characters in all."""
        key = (width, height, self._stop)
        if self._drawn is None or self._drawn[0] != key:
            newest = (self._stop - 1) // self._per_column
            order = (newest + 1 + np.arange(_COLUMNS)) % _COLUMNS
            bars = Text(_bars(self._sums[order], width), style="#0072B2", no_wrap=True)
            dots = _braille(_fitted(self._counts[::-1, order], 4 * max(height - 1, 1), 2 * width))
            drawn = [bars, *(Text(line, no_wrap=True) for line in dots)][:height]
            self._drawn = (key, drawn)
        return self._drawn[1]

    def _add(self, batch: SpikeBatch) -> None:
        """Counts the spikes of a batch in the columns that it reaches, which are emptied before they are used anew."""
        self._stop = batch.start + batch.n_steps
        newest, begun = (self._stop - 1) // self._per_column, -(-batch.start // self._per_column)
        fresh = np.arange(max(begun, newest - _COLUMNS + 1), newest + 1) % _COLUMNS
        self._counts[:, fresh], self._sums[fresh] = 0, 0
        column = (batch.spikes.grid.step.astype(np.int64) + batch.start) // self._per_column
        kept = column > newest - _COLUMNS
        self._sums += np.bincount(column[kept] % _COLUMNS, minlength=_COLUMNS) / batch.n_samples
        kept &= np.arange(len(column)) < batch.spikes.offsets[1]
        cell = self._row[batch.spikes.ids[kept]] * _COLUMNS + column[kept] % _COLUMNS
        self._counts += np.bincount(cell, minlength=self._counts.size).reshape(self._counts.shape)

    def _hz(self, n_spikes: float, n_steps: int) -> float:
        return 1000 * n_spikes / max(n_steps * self._dt * self._n_neurons * self._fraction, 1e-12)


def _recorded_fraction(session: Path, node: str, layer: str, batch: SpikeBatch) -> float:
    from .recording import Session

    with Session(session) as opened:
        return opened.sampling(node, layer).recorded_fraction(0, batch.n_steps, batch.spikes.n_neurons)


def _fitted(cells: NDArray[np.generic], rows: int, columns: int) -> NDArray[np.float64]:
    """The cells on a grid of this size: summed where there are more of them, apart where there are fewer."""
    found = cells.astype(np.float64)
    for axis, n in ((0, rows), (1, columns)):
        size = found.shape[axis]
        if n >= size:
            wide = np.zeros((n, found.shape[1]) if axis == 0 else (found.shape[0], n))
            at = (2 * np.arange(size) + 1) * n // (2 * size)
            wide[(at, slice(None)) if axis == 0 else (slice(None), at)] = found
            found = wide
        else:
            found = np.add.reduceat(found, np.arange(n) * size // n, axis=axis)
    return found


def _braille(cells: NDArray[np.float64]) -> list[str]:
    """Lines of Braille characters of cells (4 a line, 2 a character): a dot where something is, sparser where less."""
    seen = cells[cells > 0]
    scale = max(1.0, float(np.percentile(seen, 90))) if seen.size else 1.0
    rows, columns = cells.shape
    least = np.tile(_DITHER, (-(-rows // 4), -(-columns // 4)))[:rows, :columns]
    dots = (cells / scale > least).reshape(rows // 4, 4, columns // 2, 2)
    codes = 0x2800 + (dots * _DOTS[:, None, :]).sum(axis=(1, 3))
    return ["".join(map(chr, line)) for line in codes]


def _bars(values: NDArray[np.float64], width: int) -> str:
    """A line of `width` bars, the means of as many parts of the values, the highest a whole character."""
    starts = np.arange(width) * len(values) // width
    heights = np.add.reduceat(values, starts) / np.maximum(np.diff(np.append(starts, len(values))), 1)
    top = float(heights.max()) or 1.0
    return "".join(_BARS[level] for level in np.ceil(heights / top * (len(_BARS) - 1)).astype(int))


def _time(ms: float) -> str:
    return f"{ms / 1000:,.3f} s"
