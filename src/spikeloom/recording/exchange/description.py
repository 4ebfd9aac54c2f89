"""The description that exported files keep beside their data, read back: files may come from anywhere."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from math import isfinite
from typing import Any, cast, get_args

import numpy as np

from ...errors import DataError
from ..batches import Run
from ..layout import check_name, json_text
from ..sampling import Mode, Sampling
from .content import Content
from .folder import Clock, checked_clock


def description_text(content: Content) -> bytes:
    """The description as JSON."""
    return json_text(content.describe(), "export: the recorded metadata").encode()


def parsed(text: bytes, owner: str) -> dict[str, Any]:
    """The description in a JSON text; DataError where it is none."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{owner}: the description of the session must be JSON: {error}") from error
    if not isinstance(found, dict) or found.get("spikeloom_exchange") != 1 or not isinstance(found.get("layers"), list):
        raise DataError(f"{owner}: the description must be that of an exported session, of version 1")
    return found


def clocks(description: Mapping[str, Any], owner: str) -> Iterator[Clock]:
    """The layers of a description, each checked."""
    for layer in description["layers"]:
        try:
            yield _clock(layer)
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            if isinstance(error, DataError):
                raise
            raise DataError(f"{owner}: a layer of the description is damaged: {error!r:.200}") from error


def _clock(layer: Mapping[str, Any]) -> Clock:
    mode, rate, neurons = layer["sampling"], float(layer["rate"]), layer["sampled_neurons"]
    dt, shape = float(layer["dt_ms"]), tuple(_count(n) for n in layer["shape"])
    if mode not in get_args(Mode) or not 0 < rate <= 1 or not (isfinite(dt) and dt > 0):
        raise DataError(f"sampling, rate and dt_ms must be sane, got {mode!r}, {rate} and {dt}")
    runs = tuple(Run(*(_count(n) for n in run)) for run in layer["runs"])
    node, name = check_name(layer["node"], "the node"), check_name(layer["layer"], "the layer")
    clock = checked_clock(Clock(node, name, shape, dt, runs))
    chosen = None if neurons is None else np.array([_count(n) for n in neurons], np.int64)
    if (chosen is None) != (mode != "neurons"):
        raise DataError(f"{clock.name}: mode 'neurons' and sampled_neurons go together")
    if chosen is not None and not (
        chosen.size and np.all(np.diff(chosen) > 0) and chosen[-1] < np.prod(shape, dtype=np.int64)
    ):
        raise DataError(f"{clock.name}: the sampled neurons must be rising ids of the population")
    if layer["values"] not in (None, "int8", "float32"):
        raise DataError(f"{clock.name}: values must be int8, float32 or none, got {layer['values']!r:.60}")
    return replace(clock, sampling=Sampling(cast(Mode, mode), rate, chosen), values=layer["values"])


def _count(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 1 << 62:
        raise DataError(f"expected a count, got {value!r:.60}")
    return value
