"""The settings of a recording, checked where they are written down."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import wraps
from math import inf
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args

import numpy as np

from ..errors import ParameterError
from ..registry import did_you_mean, resolve_keywords
from .layout import check_name

SubsampleMode = Literal["neurons", "steps", "spikes"]
Compression = Literal["gzip"]
_SWITCHES = ("enable_recording", "record_spikes", "record_membrane", "record_weights", "record_control")

C = TypeVar("C")


def _by_name(cls: type[C]) -> type[C]:
    """The settings' class, made to take them by name only, under any name that they have; ParameterError for others."""
    set_all: Any = cls.__init__

    @wraps(set_all)
    def named(self: C, *given: Any, **settings: Any) -> None:
        if given:
            raise ParameterError(
                f"RecorderConfig takes settings by name, such as enable_recording=True, got {given[0]!r}"
            )
        known = [field.name for field in fields(cls)]  # type: ignore[arg-type]
        set_all(self, **resolve_keywords("RecorderConfig", "recorder setting", settings, known))

    cls.__init__ = named  # type: ignore[assignment]
    return cls


@_by_name
@dataclass(frozen=True, kw_only=True)
class RecorderConfig:
    """What is recorded, where, how densely, and when the recorder stops by itself.

    Raises ParameterError for a value that a recording cannot have.
    """

    enable_recording: bool = False
    """Record at all; a recorder that is off takes every call and writes nothing."""
    record_spikes: bool = True
    """Record spikes."""
    record_membrane: bool = False
    """Record membrane potentials, as float32."""
    record_weights: bool = False
    """Record the weight snapshots that are handed over."""
    record_control: bool = True
    """Record the control states of nodes."""
    output_dir: str | Path = "./sim_recordings"
    """The folder in which sessions lie."""
    session_name: str | None = None
    """The session's folder; None makes `sim_<date>_<time>`, a new one each time."""
    spike_subsample_rate: float = 1.0
    """The fraction of the spikes to keep, 0 < rate <= 1; `spike_subsample_mode` says of what."""
    spike_subsample_mode: SubsampleMode = "neurons"
    """'neurons' keeps all spikes of a random subset of neurons (rates and intervals stay true), 'steps' all
    spikes of evenly spread steps, 'spikes' each spike with that probability (both spoil intervals)."""
    membrane_subsample_rate: float = 1.0
    """The fraction of the steps, evenly spread, at which membrane potentials are kept, 0 < rate <= 1."""
    max_recording_duration: float | None = None
    """Simulated seconds after which a layer is recorded no further; None for no limit."""
    max_wall_seconds: float | None = None
    """Seconds by the clock on the wall after which recording stops; None for no limit."""
    min_free_bytes: int = 100_000_000
    """Recording stops once the disk has less free space than this."""
    buffer_size: int = 8000
    """Steps of layers, each layer's counted, that are in memory and not yet on disk: those that wait, are queued and
    are being written. Who hands over more waits until there is room; nothing is dropped. Memory is bounded besides."""
    batch_steps: int = 1000
    """The longest batch: so many steps of a layer are written as soon as there are more."""
    compression: Compression | None = "gzip"
    """'gzip' (with shuffle), or None."""
    compression_level: int = 4
    """1 (fast) to 9 (small)."""
    auto_flush: bool = True
    """Write when a batch is full and every `flush_interval`; False leaves it to `flush_all()` and `close()`, as long as
    the buffer has room."""
    flush_interval: float = 1.0
    """Seconds by the clock on the wall after which what waits is written, be it less than a batch."""
    weight_interval: float = 1000.0
    """Simulated ms between the snapshots of a run's weights; the first is taken at the start."""
    fsync: bool = False
    """A batch counts as written when it is safe from a loss of power too, not only from the end of the process."""
    seed: int = 0
    """Seed of the random subset of neurons or spikes; recorded with the session."""

    def __post_init__(self) -> None:
        for name in (*_SWITCHES, "auto_flush", "fsync"):
            self._expect(name, isinstance(getattr(self, name), bool), "True or False")
        for name in ("spike_subsample_rate", "membrane_subsample_rate"):
            self._expect(name, _is_number(getattr(self, name), above=0, most=1), "a fraction in (0, 1]")
        for name in ("max_recording_duration", "max_wall_seconds"):
            value = getattr(self, name)
            is_limit = value is None or _is_number(value, above=0, most=1e9)
            self._expect(name, is_limit, "positive seconds of at most 1e9, or None")
        for name in ("buffer_size", "batch_steps"):
            self._expect(name, _is_count(getattr(self, name), least=1), "a number of steps, at least 1")
        self._expect("flush_interval", _is_number(self.flush_interval, above=0, most=1e6), "positive seconds")
        self._expect("weight_interval", _is_number(self.weight_interval, above=0), "a positive time in ms")
        self._expect("min_free_bytes", _is_count(self.min_free_bytes, least=0), "a number of bytes")
        self._expect("compression_level", _is_count(self.compression_level, least=1, most=9), "an integer 1 to 9")
        self._expect("seed", _is_count(self.seed, least=0), "an integer, at least 0")
        self._expect("compression", self.compression in ("gzip", None), "'gzip' or None")
        self._expect("output_dir", isinstance(self.output_dir, (str, Path)) and bool(str(self.output_dir)), "a folder")
        modes = get_args(SubsampleMode)
        if self.spike_subsample_mode not in modes:
            hint = did_you_mean(str(self.spike_subsample_mode), modes)
            raise ParameterError(
                f"RecorderConfig.spike_subsample_mode must be one of {', '.join(modes)}, "
                f"got {self.spike_subsample_mode!r}{hint}"
            )
        if self.session_name is not None:
            check_name(self.session_name, "RecorderConfig.session_name")

    def _expect(self, name: str, holds: bool, expected: str) -> None:
        if not holds:
            raise ParameterError(f"RecorderConfig.{name} must be {expected}, got {getattr(self, name)!r}")


def _is_number(value: object, *, above: float, most: float = inf) -> bool:
    return isinstance(value, (int, float, np.number)) and not isinstance(value, bool) and bool(above < value <= most)


def _is_count(value: object, *, least: int, most: float = inf) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool) and bool(least <= value <= most)
