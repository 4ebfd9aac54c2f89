"""Data sets by name, as the command line asks for them, and what they hold."""

from __future__ import annotations

import inspect
import os
from typing import Any

import numpy as np

from ..errors import ParameterError
from ..events import Events
from ..spikes import Spikes
from . import DATASETS
from .dataset import Dataset
from .describe import Description

_PARTS = ("split", "part")


def named_dataset(
    name: str, root: str | os.PathLike[str] | None = None, part: str | None = None, seed: int = 0
) -> Dataset:
    """The data set of that name in DATASETS, from the files in `root`, where it has any.

    part: "train" or "test", or what else the data set calls its parts; seed: of a set that is drawn at random. Raises
    ParameterError for what the data set does not take, or needs and was not given.
    """
    name = DATASETS.name_of(name)
    make = DATASETS[name]
    known = inspect.signature(make).parameters
    options: dict[str, Any] = {"generator": np.random.default_rng(seed)} if name == "yin_yang" else {}
    if "root" in known and root is None:
        raise ParameterError(f"data set {name!r} is read from files; give --root FOLDER")
    if root is not None:
        options["root"] = root
    if part is not None:
        options |= _part(name, part, known)
    needed = [entry.name for entry in known.values() if entry.default is entry.empty and entry.name not in options]
    needed = [entry for entry in needed if known[entry].kind is not inspect.Parameter.VAR_KEYWORD]
    if needed:
        raise ParameterError(f"data set {name!r} is made of {', '.join(needed)}; use it from Python")
    if odd := [option for option in options if option not in known]:
        raise ParameterError(f"data set {name!r} takes no {', '.join(odd)}")
    return make(**options)


def describe_dataset(dataset: Dataset) -> Description:
    """What is in a data set: what all its samples share, and the times of the first one."""
    first: Any = dataset[0][0] if len(dataset) else None
    start, end, details = None, None, {"of_each_class": _counts(dataset), "verified": dataset.verified}
    if isinstance(first, Events) and len(first):
        start, end = float(first.t.min()) / 1000, float(first.t.max()) / 1000
    elif isinstance(first, Spikes) or hasattr(first, "duration"):
        start, end = 0.0, float(first.duration)
    if isinstance(first, Spikes):
        details |= {"dt": first.dt}
    return Description(
        source=dataset.name, kind="data set", format="array" if isinstance(first, np.ndarray) else _class(first),
        samples=len(dataset), events=None, sensor_size=first.sensor_size if isinstance(first, Events) else None,
        shape=tuple(dataset.shape), start=start, end=end, classes=tuple(map(str, dataset.classes)), details=details,
    )  # fmt: skip


def _part(name: str, part: str, known: Any) -> dict[str, Any]:
    """The part as the data set takes it."""
    if (spelt := next((entry for entry in _PARTS if entry in known), None)) is not None:
        return {spelt: part}
    if "is_train" in known and part in ("train", "test"):
        return {"is_train": part == "train"}
    has = "the parts train and test" if "is_train" in known else "no parts"
    raise ParameterError(f"data set {name!r} has {has}, got --part {part}")


def _counts(dataset: Dataset) -> list[int]:
    counts: list[int] = np.bincount(dataset.labels, minlength=dataset.n_classes).tolist()
    return counts


def _class(sample: Any) -> str:
    return "nothing" if sample is None else type(sample).__name__.lower()
