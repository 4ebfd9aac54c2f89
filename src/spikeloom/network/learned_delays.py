"""Delays that learn: the position of each synapse in time, and how wide around it a spike arrives."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError, ParameterError, ShapeError
from ..neurons.surrogates import is_number
from .initializers import INITIALIZERS, Initializer, Uniform
from .parameters import ParameterSpec, as_array, check_finite, real_numbers
from .values import entries, made, named, settings_of

if TYPE_CHECKING:
    from .connection import Connection
    from .network import Network

LEAST_WIDTH = 0.23
"""The width in steps at which narrowing ends."""
MOST_STEPS = 100_000
"""How many steps a delay may take: so many currents are under way at once."""


@dataclass(frozen=True, kw_only=True, eq=False)
class LearnedDelays:
    """`Connection(..., delay=LearnedDelays(max=25.0))`: a delay for each synapse that is trained beside the weight.

    In training a spike arrives as a bell around its delay d: with the weight w, the width sigma and lags k = 0 .. max /
    dt in steps, w g_k / (sum_k g_k + 1e-7), g_k = exp(-((k - d) / (sigma + 0.27))^2 / 2); in evaluation once, at the
    nearest step (Hammouamri et al. 2023, arXiv 2306.17670). max: the longest delay in ms. init: where delays start, an
    array in ms in the shape of the weight, or an initializer; None: uniform from 0 to max, within which they are kept.
    sigma: the width that training starts with, in ms; None: max / 2. over: the share of a training over which it
    narrows to 0.23 steps, see `narrow_delays`. Parameters: `<connection>.delay` and `<connection>.sigma`, both in ms.
    """

    max: float
    init: Any = None
    sigma: float | None = None
    over: float = 0.25

    def __post_init__(self) -> None:
        if not is_number(self.max) or not 0 < self.max < math.inf:
            raise ParameterError(f"LearnedDelays.max must be a positive time in ms, got {self.max!r}")
        if self.sigma is not None and (not is_number(self.sigma) or not 0 <= self.sigma < math.inf):
            raise ParameterError(f"LearnedDelays.sigma must be a time in ms, zero or more, or None, got {self.sigma!r}")
        if not is_number(self.over) or not 0 <= self.over <= 1:
            raise ParameterError(f"LearnedDelays.over must be a number from 0 to 1, got {self.over!r}")
        if self.init is not None and not isinstance(self.init, Initializer):
            array = real_numbers("LearnedDelays.init", self.init, "an initializer, or one time in ms for each synapse")
            self.check("LearnedDelays.init", array)
            array.setflags(write=False)
            object.__setattr__(self, "init", array)

    @property
    def width(self) -> float:
        """The width in ms that training starts with."""
        return self.max / 2 if self.sigma is None else float(self.sigma)

    def check(self, name: str, delays: NDArray[Any]) -> None:
        """Raises ParameterError unless these are finite times from 0 to max, in single precision."""
        if delays.dtype.kind == "b":
            raise ParameterError(f"{name} must be times in ms, got booleans; give numbers")
        check_finite(name, delays)
        if np.any(delays < 0) or np.any(delays > self.max * (1 + 1e-6)):
            raise ParameterError(
                f"{name} must be times from 0 to {self.max:g} ms, got {delays.min():g} to {delays.max():g}; give "
                "LearnedDelays another max, or call Network.constrain() after each step of an optimizer of your own"
            )

    def check_steps(self, owner: str, dt: float) -> None:
        """Raises ParameterError where max is more than MOST_STEPS steps of dt ms."""
        if self.max / dt > MOST_STEPS:
            raise ParameterError(f"{owner} must be at most {MOST_STEPS} steps of {dt:g} ms, got {self.max:g} ms")

    def specs(self, path: str, weight: ParameterSpec) -> list[ParameterSpec]:
        """Delays, trained where the weight is, and their width, as the parameter store keeps them."""
        name, start = f"{path}.delay", Uniform(0.0, self.max) if self.init is None else self.init
        initial: Any = partial(self._drawn, name, start, weight.shape)
        if isinstance(start, np.ndarray):
            if start.shape != weight.shape:
                raise ShapeError(f"{name} must have the shape of the weight, {weight.shape}, got {start.shape}")
            initial = start.copy()
        delays = ParameterSpec(name, weight.shape, initial, weight.trainable, partial(self.check, name))
        width = np.array(self.width)
        sigma = ParameterSpec(f"{path}.sigma", (), width, trainable=False, accept=check_width(f"{path}.sigma"))
        return [delays, sigma]

    def describe(self) -> dict[str, Any]:
        """Plain values; of an array only that there is one."""
        given = isinstance(self.init, Initializer)
        init = {"initializer": named(INITIALIZERS, self.init)} | settings_of(self.init) if given else None
        return {"max": self.max, "init": init, "sigma": self.sigma, "over": self.over}

    @classmethod
    def from_description(cls, described: Any) -> LearnedDelays:
        """What `describe` described; DataError, ParameterError and UnknownNameError for anything else."""
        values = entries("delay.learned", described, ("max", "init", "sigma", "over"))
        for name in ("max", "sigma", "over"):
            if type(values[name]) not in (int, float) and not (name == "sigma" and values[name] is None):
                raise DataError(f"delay.learned.{name} must be a number, got {values[name]!r:.80}")
        if values["init"] is not None:
            if not isinstance(values["init"], dict):
                raise DataError(f"delay.learned.init must be an initializer or null, got {values['init']!r:.80}")
            options = {k: v for k, v in values["init"].items() if k != "initializer"}
            values["init"] = made("delay.learned.init", INITIALIZERS[values["init"].get("initializer", "")], options)
        return cls(**values)

    def _drawn(
        self, name: str, start: Initializer, shape: tuple[int, ...], generator: np.random.Generator
    ) -> NDArray[Any]:
        delays = start.draw(shape, generator)
        self.check(f"{name}, drawn by {start},", delays)
        return delays

    def __str__(self) -> str:
        return f"learned, up to {self.max:g}"


def check_width(name: str) -> Callable[[NDArray[Any]], None]:
    """A check that raises ParameterError unless an array is a finite width, zero or more."""

    def check(width: NDArray[Any]) -> None:
        check_finite(name, width)
        if width.dtype.kind == "b" or np.any(width < 0):
            raise ParameterError(f"{name} must be a time in ms, zero or more, got {width}")

    return check


def learning(network: Network) -> Mapping[str, Connection]:
    """The connections with delays that learn, by path."""
    return {str(c.path): c for c in network.connections if isinstance(c.delay, LearnedDelays)}


def narrow_delays(network: Network, done: float) -> None:
    """Narrows the widths of all delays that learn to where they belong when this share of a training is done.

    From the width that training starts with, geometrically, to 0.23 steps when `over` of it is done; a width never
    grows, so that a second training goes on with what the first one left. `fit` does it before each epoch. Raises
    ParameterError unless done is a number from 0 to 1.
    """
    if not is_number(done) or not 0 <= done <= 1:
        raise ParameterError(f"narrow_delays: done must be a number from 0 to 1, got {done!r}")
    for connection in learning(network).values():
        delays: Any = connection.delay
        end = LEAST_WIDTH * network.backend.dt
        share = 1.0 if delays.over == 0 else min(1.0, done / delays.over)
        width = delays.width * (end / delays.width) ** share if delays.width > end else delays.width
        if width < float(as_array(connection.get_value("sigma"))):
            connection.set_value("sigma", width)
