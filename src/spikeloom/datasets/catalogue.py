"""What there is to choose from: data sets, formats of event files, kinds of data, as rows of tables."""

from __future__ import annotations

import inspect
from typing import Any

from ..events.files import FORMATS
from . import DATASETS
from .describe import KINDS


def data_sets() -> list[dict[str, Any]]:
    """Of each data set its name, whether it is read from files, and what it is."""
    rows = []
    for name in DATASETS:
        made = DATASETS[name]
        told = (inspect.getdoc(made) or "").split("\n\n")[0].replace("\n", " ")
        rows.append({"name": name, "files": "root" in inspect.signature(made).parameters, "what": told})
    return rows


def event_formats() -> list[dict[str, Any]]:
    """Of each format its name, the endings of its files, and whether it can be written."""
    return [
        {"name": name, "suffixes": list(FORMATS[name].suffixes), "writable": FORMATS[name].writable} for name in FORMATS
    ]


def other_kinds() -> list[dict[str, Any]]:
    """Of each kind its name, how its files are called, and what it is."""
    return [{"name": name, "suffixes": KINDS[name].suffixes.split(), "what": KINDS[name].what} for name in KINDS]
