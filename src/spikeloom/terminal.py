"""What the commands share: where they print, and how their help looks."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from typer.core import TyperCommand, TyperGroup

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)

_PATIENCE = 1.0
"""The seconds after which a wait is shown."""


class Command(TyperCommand):
    """A command whose help shows no type beside --help, which takes no value."""

    def get_help_option(self, ctx: Any) -> Any:
        """The option --help."""
        return _without_type(super().get_help_option(ctx))


class Commands(TyperGroup):
    """The commands together, with the same help."""

    def get_help_option(self, ctx: Any) -> Any:
        """The option --help."""
        return _without_type(super().get_help_option(ctx))


def _without_type(option: Any) -> Any:
    if option is not None:
        option.metavar = ""
    return option


class Waiting:
    """A bar on standard error that is told the share (0..1) of a work that is done, and appears after a second."""

    def __init__(self, label: str) -> None:
        columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
        self._bar = Progress(*columns, console=err, transient=True, disable=not err.is_terminal)
        self._task = self._bar.add_task(label, total=1.0)
        self._since, self._shown = time.monotonic(), False

    def __call__(self, done: float) -> None:
        if not self._shown and time.monotonic() - self._since > _PATIENCE:
            self._bar.start()
            self._shown = True
        self._bar.update(self._task, completed=done)

    def end(self) -> None:
        """Takes the bar away."""
        self._bar.stop()


@contextmanager
def waiting(label: str) -> Iterator[Waiting]:
    """A bar while the block works; Ctrl-C ends the command with code 130."""
    bar = Waiting(label)
    try:
        yield bar
    except KeyboardInterrupt as stop:
        bar.end()
        err.print("interrupted; nothing was left half-written")
        raise typer.Exit(130) from stop
    finally:
        bar.end()


def plain(text: str) -> str:
    """The text, of one line, without what would steer the terminal."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def plain_lines(text: object) -> str:
    """The lines of a text without what would steer the terminal."""
    return "\n".join(map(plain, str(text).splitlines()))
