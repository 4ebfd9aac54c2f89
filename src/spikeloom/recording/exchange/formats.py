"""What a format of exchange is: what it holds, and the functions that write and read it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from ...errors import UnsupportedError
from ...registry import Registry
from ..consolidate import Progress
from .content import Content
from .folder import Import

KINDS = ("spikes", "membrane", "weights", "variables", "control")
"""What a session can hold; variables are observables other than spikes and potentials."""

Write = Callable[[Content, Path, Progress], list[str]]
"""Writes the content at a path and returns notes on what another reader of the file would not see."""

Read = Callable[[Path, Import], None]
"""Reads a file or folder into a new session."""


@dataclass(frozen=True)
class Exchange:
    """A format of exchange.

    endings of its files; `holds`: the kinds that one file holds; `write` and `read` are None where it is not written
    or not read.
    """

    name: str
    endings: tuple[str, ...]
    holds: tuple[str, ...]
    write: Write | None
    read: Read | None


FORMATS: Registry[Exchange] = Registry("exchange format")
"""The formats by name."""
for _name in ("nwb", "sonata", "csv", "pt", "neo", "original"):
    FORMATS.add(_name, f"{__package__}.{_name}:FORMAT")


def optional(package: str) -> Any:
    """An optional package; UnsupportedError that says how to get it where it is not installed."""
    try:
        return import_module(package)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != package.partition(".")[0]:
            raise
        raise UnsupportedError(
            f"this format needs the package {package.partition('.')[0]}, which is not installed: "
            "pip install 'spikeloom[exchange]'"
        ) from error
