"""How far a long reading is, on standard error."""

from __future__ import annotations

import sys
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn


class Meter:
    """A bar over `total` parts (None: unknown), such as bytes, with a count of what came out; silent unless `shown`."""

    def __init__(self, label: str, total: int | None, *, unit: str, shown: bool) -> None:
        how_far = MofNCompleteColumn() if total is None else TaskProgressColumn()
        found = TextColumn("{task.fields[found]} " + unit)
        columns = (TextColumn("{task.description}"), BarColumn(), how_far, found, TimeRemainingColumn())
        self._progress = Progress(
            *columns, console=Console(stderr=True), disable=not shown, redirect_stdout=sys.stdout.isatty()
        )
        self._task = self._progress.add_task(label, total=total, found=0)
        self._found = 0

    def __enter__(self) -> Meter:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def to(self, done: int, found: int = 1) -> None:
        """Moves to `done` of the total and adds `found` to the count."""
        self._found += found
        self._progress.update(self._task, completed=done, found=self._found)
