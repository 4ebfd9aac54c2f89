"""A progress bar with loss, accuracy, firing rate and the time left."""

from __future__ import annotations

import sys
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn


class Bar:
    """A bar on standard error over a number of steps; `shown=False` makes it silent."""

    def __init__(self, label: str, total: int | None, *, done: int = 0, shown: bool = True) -> None:
        columns = (
            TextColumn("[bold]{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[figures]}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
        )
        # What a program prints while the bar is shown stays where it belongs: a file or a pipe gets it.
        screen = Console(stderr=True)
        self._progress = Progress(*columns, console=screen, disable=not shown, redirect_stdout=sys.stdout.isatty())
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
        text = "  ".join(f"{name.replace('_', ' ')} {value:.3g}" for name, value in figures.items())
        self._progress.update(self._task, advance=1, figures=text, description=label)
