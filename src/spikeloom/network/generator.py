"""An input that makes its own signal: noise, a constant, a sine, a ramp."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ..errors import DataError, ParameterError, ShapeError, StateError
from ..registry import fill_keywords
from .component import Component
from .connection import Connection
from .encoder import checked_options
from .generations import GENERATORS
from .group import NeuronGroup, population_shape
from .links import Ends, Gradients, Link, Signal, SpikeRows, Wanted
from .parameters import ParameterSpec, check_finite, numbers

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, eq=False)
class Wire(Link):
    """Neuron k to neuron k, unweighted: what a generator puts into its target."""

    name = "wire"

    def check(self, owner: str, ends: Ends) -> None:
        if math.prod(ends.pre) != math.prod(ends.post):
            raise ShapeError(f"{owner}: a wire joins populations of one size, got {ends.pre} and {ends.post}")

    def specs(self, path: str, ends: Ends) -> list[ParameterSpec]:
        return []

    def product(
        self, signal: Signal, weights: Mapping[str, Tensor], ends: Ends, keep: bool = False
    ) -> tuple[Tensor, None]:
        current = signal.dense() if isinstance(signal, SpikeRows) else signal
        return current.reshape(*current.shape[:2], *ends.post), None

    def gradients(
        self, signal: Signal, weights: Mapping[str, Tensor], ends: Ends, grad: Tensor, wanted: Wanted, kept: Any = None
    ) -> Gradients:
        return Gradients(grad.reshape(*grad.shape[:2], *ends.pre) if wanted.signal else None, {})


class Generator(Component):
    """`Generator(num, 'poisson_generator', source=..., **options)`: an input that needs no data.

    coding_method: 'poisson_generator', 'cc_generator' (a constant), 'sin_generator' or 'ramp_generator'. source: what
    it makes its signal from (rates, current, [amplitude, period], slope), one number or one for each neuron;
    `generator(source)` sets another for the runs to come, (B, *shape) for one of each sample. The other inputs of the
    network say how many samples there are, without any there is one. Times count from the last `run`; `run_continue`
    goes on, with another source too. dec_target: a neuron group that takes the signal
    as current, unweighted, at the port coding_var_name (default: the first); without one, connections start from it.
    """

    kind = "generator"
    observables = ("spikes",)

    def __init__(
        self,
        num: int | None = None,
        coding_method: str | None = None,
        shape: int | Iterable[int] | None = None,
        *,
        source: Any = None,
        dec_target: NeuronGroup | None = None,
        coding_var_name: str | None = None,
        name: str | None = None,
        **options: Any,
    ) -> None:
        owner = f"Generator {name!r}" if name else "Generator"
        own = {"num": num, "coding_method": coding_method, "shape": shape, "source": source, "dec_target": dec_target}
        own, options = fill_keywords(owner, "generator", own, options)
        if isinstance(own["num"], (tuple, list)):
            own |= {"num": None, "shape": own["num"] if own["shape"] is None else own["shape"]}
        target = own["dec_target"]
        if not isinstance(target, NeuronGroup) and target is not None:
            raise ParameterError(f"{owner}.dec_target must be a neuron group, got {type(target).__name__}")
        shape = target.shape if target is not None and own["num"] is own["shape"] is None else own["shape"]
        self.shape = population_shape(owner, own["num"], shape)
        if own["coding_method"] is None:
            raise ParameterError(f"{owner}: give coding_method=, one of: {', '.join(GENERATORS)}")
        self.coding_method = GENERATORS.name_of(own["coding_method"])
        owner = f"{owner}, coding {self.coding_method!r}"
        self.options = checked_options(owner, GENERATORS[self.coding_method].signal, options)
        self._source = None if own["source"] is None else self._checked(owner, own["source"])
        if target is None and coding_var_name not in (None, "O", "spikes"):
            raise ParameterError(f"{owner}: without dec_target it gives out 'spikes', got {coding_var_name!r}")
        self.target, self._port = target, None if target is None else coding_var_name
        self._wire: Connection | None = None
        self._told = False
        super().__init__(name)
        self.check_fit()

    @property
    def num(self) -> int:
        """How many input neurons it has."""
        return math.prod(self.shape)

    @property
    def dec_target(self) -> NeuronGroup | None:
        """The group that its signal goes into as current, if any."""
        return self.target

    @property
    def wires(self) -> list[Connection]:
        """The connection into its target, where it has one; it has no weight."""
        if self.target is None:
            return []
        if self._wire is None or self._wire.post is not self.target or self._wire.pre is not self:
            self._wire = Connection(self, self.target, link_type=Wire(), port=self._port, name="wire")
            self._wire._owner = self  # type: ignore[assignment]
        return [self._wire]

    def check_fit(self) -> None:
        """Raises where its target is not of its size or has no such port."""
        _ = self.wires

    @property
    def source(self) -> NDArray[Any] | None:
        """What the signal is made from, as it was given last."""
        return self._source

    @property
    def batch_size(self) -> int | None:
        """How many samples its source has; None where it serves any number of them."""
        n = self._spread().shape[1]
        return None if n == 1 else n

    def __call__(self, source: Any) -> None:
        """Sets what the runs to come make their signal from."""
        self._source = self._checked(f"generator {self.name!r}", source)

    def generate(self, n_steps: int, dt: float, generator: np.random.Generator, batch: int, first: int = 0) -> Any:
        """The signal of n steps from step `first` on for `batch` samples: Spikes, or values (T or 1, batch, *shape)."""
        signal = GENERATORS[self.coding_method].signal
        self._tell_saturation(dt)
        try:
            return signal(self._spread(), n_steps, dt, generator, batch, first, **self.options)
        except (DataError, ParameterError, ShapeError) as error:
            raise type(error)(f"generator {self.name!r}: {error}") from error

    def _tell_saturation(self, dt: float) -> None:
        """Logs once that some rates are above a spike a step."""
        if self._told or self.coding_method != "poisson_generator" or self.options.get("several"):
            return
        unit = self.options.get("unit_conversion")
        most = float(self._spread().max(initial=0)) * (dt if unit is None else unit)
        if most > 1:
            self._told = True
            _log.warning(
                "generator %r: a rate of %.4g spikes a step fires in every step; several=True counts them",
                self.name, most,
            )  # fmt: skip

    def __getstate__(self) -> dict[str, Any]:
        return super().__getstate__() | {"_wire": None}

    def _spread(self) -> NDArray[np.float64]:
        """The source part by part, (parts, B or 1, *shape)."""
        parts = GENERATORS[self.coding_method].parts
        if self._source is None:
            raise StateError(
                f"generator {self.name!r} has no source yet; give source= its {' and '.join(parts)}, or call it"
            )
        each = self._source if len(parts) > 1 else self._source[None]
        given = each.shape[1:]
        if given in ((), (1,)):
            return np.broadcast_to(each.reshape(len(parts), 1, *[1] * len(self.shape)), (len(parts), 1, *self.shape))
        batched = given not in (self.shape, (self.num,))
        return each.reshape(len(parts), given[0] if batched else 1, *self.shape)

    def _checked(self, owner: str, source: Any) -> NDArray[np.float64]:
        """The source as an array of its own; an error unless its shape fits."""
        parts = GENERATORS[self.coding_method].parts
        array = numbers(f"{owner}: source", source).astype(np.float64)
        check_finite(f"{owner}: source", array)
        each = array.shape
        if len(parts) > 1:
            if each[:1] != (len(parts),):
                raise ShapeError(f"{owner}: source must be [{', '.join(parts)}], got shape {array.shape}")
            each = each[1:]
        fitting: list[tuple[int, ...]] = [(), (1,), (self.num,), self.shape]
        if each not in fitting and (each[:1] == (0,) or each[1:] not in ((self.num,), self.shape)):
            raise ShapeError(
                f"{owner}: source must be a number{' for each part' * (len(parts) > 1)}, or have shape {self.shape} or "
                f"(B, {', '.join(map(str, self.shape))}), got {array.shape}"
            )
        return array
