"""Input models: how raw values, or spikes that are there already, become the spikes of an input population.

They are descriptions, which `Population(model, shape)` of the network turns into spikes. Names, arguments and defaults
are mlGeNN's. `input_frames`: how many values follow each other in a sample, each held for `input_frame_timesteps` steps
and the last of them to the end of the run; with one frame a sample is one value for each neuron.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, ClassVar, final

import numpy as np

from ..errors import ParameterError
from ..registry import Registry
from .surrogates import is_number

COLLISIONS = ("queue", "count", "merge", "error")
LATE = ("error", "drop")


@dataclass(frozen=True, slots=True)
class InputModel:
    """A model of input neurons; `frames` says how many values each sample has in time."""

    counts: ClassVar[tuple[str, ...]] = ("input_frames", "input_frame_timesteps")

    def __post_init__(self) -> None:
        for field in fields(self):
            owner, value = f"{type(self).__name__}.{field.name}", getattr(self, field.name)
            if field.name in self.counts:
                if not isinstance(value, (int, np.integer)) or isinstance(value, bool) or value < 1:
                    raise ParameterError(f"{owner} must be a whole number of at least 1, got {value!r}")
            elif isinstance(field.default, bool):
                if not isinstance(value, bool):
                    raise ParameterError(f"{owner} must be True or False, got {value!r}")
            elif not isinstance(field.default, str) and not (is_number(value) or value is field.default is None):
                raise ParameterError(f"{owner} must be a finite number, got {value!r}")
        self.check()

    def check(self) -> None:
        """Raises ParameterError for what only this model knows to be wrong."""

    @property
    def frames(self) -> tuple[int, int]:
        """How many frames there are, and how many steps each is held for."""
        own: Any = self
        return own.input_frames, own.input_frame_timesteps


@final
@dataclass(frozen=True, slots=True)
class PoissonInput(InputModel):
    """A spike in each step with probability 1 - exp(-|x| dt), for a rate of x per ms; none for x < 0.

    signed_spikes: negative inputs fire too, spikes of value -1.
    """

    signed_spikes: bool = False
    input_frames: int = 1
    input_frame_timesteps: int = 1


@final
@dataclass(frozen=True, slots=True)
class BinarySpikeInput(InputModel):
    """A spike in every step while x > 0; with signed_spikes one of value -1 while x < 0."""

    signed_spikes: bool = False
    input_frames: int = 1
    input_frame_timesteps: int = 1


@final
@dataclass(frozen=True, slots=True)
class LeakyIntegrateFireInput(InputModel):
    """`LIF` neurons with the input as their current: v <- v exp(-dt / tau_mem) + x, a spike where v >= v_thresh.

    relative_reset: a spike takes v_thresh - v_reset from v, else it sets v to v_reset. v: where it starts. scale_i: x
    is multiplied by 1 - exp(-dt / tau_mem). tau_refrac: no spike in that many ms after one; integrate_during_refrac:
    whether v goes on meanwhile, else it is held.
    """

    v_thresh: float = 1.0
    v_reset: float = 0.0
    v: float = 0.0
    tau_mem: float = 20.0
    tau_refrac: float | None = None
    relative_reset: bool = True
    integrate_during_refrac: bool = True
    scale_i: bool = False
    input_frames: int = 1
    input_frame_timesteps: int = 1

    def check(self) -> None:
        if self.tau_mem <= 0 or (self.tau_refrac or 0.0) < 0:
            raise ParameterError(
                "LeakyIntegrateFireInput: tau_mem must be a positive time in ms and tau_refrac one from 0 on, got "
                f"{self.tau_mem!r} and {self.tau_refrac!r}"
            )


@final
@dataclass(frozen=True, slots=True)
class IntegrateFireInput(InputModel):
    """`IF` neurons with the input as their current: v <- v + x, a spike where v >= v_thresh, v then set to v_reset."""

    v_thresh: float = 1.0
    v_reset: float = 0.0
    v: float = 0.0
    input_frames: int = 1
    input_frame_timesteps: int = 1


@final
@dataclass(frozen=True, slots=True)
class SpikeInput(InputModel):
    """Given spikes, each in the first step that begins at or after its time: PreprocessedSpikes or `Spikes`.

    collisions: what several spikes of a neuron in one step become. 'queue': they follow each other, one a step;
    'count': one whose value is their number; 'merge': one; 'error'. late: spikes after the end of the run, by
    themselves or as they were queued, are an 'error', or are left out ('drop'). max_spikes: how many a batch may have.
    """

    max_spikes: int = 1_000_000
    collisions: str = "queue"
    late: str = "error"

    counts = ("max_spikes",)

    def check(self) -> None:
        for name, known in (("collisions", COLLISIONS), ("late", LATE)):
            if getattr(self, name) not in known:
                raise ParameterError(
                    f"SpikeInput.{name} must be one of {', '.join(known)}, got {getattr(self, name)!r}"
                )

    @property
    def frames(self) -> tuple[int, int]:
        return 1, 1


INPUTS: Registry[type[InputModel]] = Registry("input model")
INPUTS.add("spike_input", SpikeInput)
INPUTS.add("poisson_input", PoissonInput)
INPUTS.add("binary_spike_input", BinarySpikeInput)
INPUTS.add("leaky_integrate_fire_input", LeakyIntegrateFireInput)
INPUTS.add("integrate_fire_input", IntegrateFireInput)
