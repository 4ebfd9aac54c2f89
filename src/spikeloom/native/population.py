"""The structures that population.hpp reads, and the turns of a loop."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any

from .library import Library, include, load

MAX_INLETS, MAX_TRACES = 8, 24
TEAM, BLOCK = 4, 8
"""How many samples go forward, and back, together."""

EVENTS, BITS, VALUES, NOTHING = range(4)
"""The kinds of a source."""

_P, _N = ctypes.c_void_p, ctypes.c_int64


class Source(ctypes.Structure):
    """What brings current to a population."""

    _fields_ = [
        *((name, _N) for name in ("kind", "inlet", "size", "delay")), ("start", _P), ("ids", _P), ("values", _P),
        ("bits", _P), ("words", _N), ("dense", _P), ("weight", _P), ("bias", _P),
    ]  # fmt: skip


class Target(ctypes.Structure):
    """Who takes the output of a population, on the way back."""

    _fields_ = [("grad", _P), *((name, _N) for name in ("width", "size", "rows", "delay")), ("panels", _P)]


class Population(ctypes.Structure):
    """A population over a window of steps."""

    _fields_ = [
        *((n, _N) for n in ("steps", "samples", "size", "tiles", "words", "first", "last", "rows")),
        *((n, _N) for n in ("first_sample", "last_sample", "n_sources", "n_targets")),
        ("sources", ctypes.POINTER(Source)), ("targets", ctypes.POINTER(Target)),
        ("current", _P * MAX_INLETS), ("current_stride", _N * MAX_INLETS), ("coefficients", _P), ("state", _P),
        ("bits", _P), ("output", _P), ("keep", _P), ("trace", _P * MAX_TRACES), ("grad_output", _P), ("grad_step", _N),
        ("grad_sample", _N), ("grad_trace", _P * MAX_TRACES), ("carry", _P), ("grad_coefficients", _P),
        ("grad_bias", _P),
    ]  # fmt: skip


def in_turn(
    name: str,
    parts: Sequence[tuple[Library, str, Population]],
    window: tuple[int, int],
    together: int,
    begin: int,
    end: int,
) -> None:
    """Runs `steps_forward` or `steps_backward`: populations in turn, step after step, for units begin to end.

    parts: for each population the library and the name of its function of one step; window: the steps from and to;
    together: how many units take each step together.
    """
    turns = (_P * len(parts))(*(library.entry(function) for library, function, _ in parts))
    populations = (_P * len(parts))(*(ctypes.addressof(population) for _, _, population in parts))
    _schedule().call(name, len(parts), turns, populations, *window, together, begin, end)


def _schedule() -> Library:
    return load(include("schedule.hpp"))


def array_of(kind: type[Any], items: Sequence[Any]) -> Any:
    """Structures as one C array."""
    return (kind * max(1, len(items)))(*items)
