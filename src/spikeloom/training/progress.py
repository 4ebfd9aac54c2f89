"""A progress bar with loss, accuracy, firing rate and the time left."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Literal

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskProgressColumn, TextColumn
from rich.table import Column
from rich.text import Text

_FORMATS = {"loss": "loss {:.3f}", "accuracy": "accuracy {:5.1%}", "rate_hz": "rate {:3.0f} Hz"}
"""Figures of one width, so that what stands behind them stays in its place."""


class _Clock(ProgressColumn):
    """A time as 01:23 or 2:01:23, and what it is."""

    def __init__(self, kind: Literal["elapsed", "left"]) -> None:
        super().__init__(Column(no_wrap=True))
        self._kind = kind

    def render(self, task: Task) -> Text:
        seconds = task.elapsed if self._kind == "elapsed" else task.time_remaining
        return Text(f"{'--:--' if seconds is None else _clock(int(seconds))} {self._kind}")


def _clock(seconds: int) -> str:
    minutes, hours = seconds // 60 % 60, seconds // 3600
    return (f"{hours}:" if hours else "") + f"{minutes:02}:{seconds % 60:02}"


class Bar:
    """A bar on standard error over a number of steps; `shown=False` makes it silent.

    It takes the width of the terminal; the figures of a training fit 80 columns.
    """

    def __init__(self, label: str, total: int | None, *, done: int = 0, shown: bool = True) -> None:
        columns = (
            TextColumn("[bold]{task.description}"),
            BarColumn(bar_width=None),
            TaskProgressColumn(),
            TextColumn("{task.fields[figures]}"),
            _Clock("elapsed"),
            _Clock("left"),
        )
        # What a program prints while the bar is shown stays where it belongs: a file or a pipe gets it.
        screen = Console(stderr=True)
        self._progress = Progress(
            *columns, console=screen, disable=not shown, redirect_stdout=sys.stdout.isatty(), expand=True
        )
        self._task = self._progress.add_task(label, total=total, completed=done, figures="")

    def __enter__(self) -> Bar:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def step(self, *, label: str | None = None, **figures: float) -> None:
        """Moves on by one step and shows the figures, such as loss=0.31."""
        text = " ".join(
            _FORMATS.get(name, f"{name.replace('_', ' ')} {{:.3g}}").format(v) for name, v in figures.items()
        )
        self._progress.update(self._task, advance=1, figures=text, description=label)
