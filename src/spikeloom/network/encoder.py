"""The input of a network: raw values in, spikes or currents out."""

from __future__ import annotations

import inspect
import math
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..errors import DataError, ParameterError, ShapeError, StateError
from ..neurons.surrogates import is_number
from ..registry import fill_keywords, resolve_keywords
from ..spikes import Spikes
from .codings import CODINGS
from .component import Component
from .group import population_shape


class Encoder(Component):
    """`Encoder(num, coding_method='poisson', shape=..., **options)`: raw values to a signal in time.

    coding_method: 'poisson' (default), 'bernoulli', 'latency', 'constant_current', 'null' (already encoded); its
    options (unit_conversion, max_prob, ...) are given beside it. `encoder(batch)` sets the batch (B, *shape) that the
    next run encodes; Spikes are taken as they are.
    """

    kind = "encoder"

    def __init__(
        self,
        num: int | Iterable[int] | None = None,
        coding_method: str | None = None,
        shape: int | Iterable[int] | None = None,
        *,
        name: str | None = None,
        **options: Any,
    ) -> None:
        owner = f"Encoder {name!r}" if name else "Encoder"
        if isinstance(num, (tuple, list)):
            num, shape = None, num if shape is None else shape
        own, options = fill_keywords(owner, "encoder", {"coding_method": coding_method}, options)
        self.shape = population_shape(owner, num, shape)
        self.coding_method = CODINGS.name_of("poisson" if own["coding_method"] is None else own["coding_method"])
        owner = f"{owner}, coding {self.coding_method!r}"
        parameters = inspect.signature(CODINGS[self.coding_method]).parameters.values()
        known = {p.name: p.default for p in parameters if p.kind is inspect.Parameter.KEYWORD_ONLY}
        self.options = resolve_keywords(owner, "coding option", options, known)
        for option, value in self.options.items():
            number = value.item() if isinstance(value, np.number) else value
            if isinstance(known[option], float) and not is_number(number):
                raise ParameterError(f"{owner}: {option} must be a finite number, got {value!r}")
        self._data: Any = None
        super().__init__(name)

    @property
    def num(self) -> int:
        """How many input neurons it has."""
        return math.prod(self.shape)

    @property
    def batch_size(self) -> int:
        """How many samples the batch has that was given last."""
        return len(self._given())

    def __call__(self, data: Any) -> None:
        """Sets the batch of the next run: values (B, *shape) or (B, num), Spikes, or for 'null' (B, T, *shape)."""
        self._data = self._reshaped(data) if isinstance(data, Spikes) else self._checked(data)

    def encode(self, n_steps: int, dt: float, generator: np.random.Generator) -> Any:
        """The signal of the batch: Spikes on the grid of dt, or values (T, B, *shape), T = 1 where constant."""
        data = self._given()
        if isinstance(data, Spikes):
            spikes = data if data.dt == dt else data.on_grid(dt)
            if spikes.grid.n_steps > n_steps and spikes.n_spikes and int(spikes.grid.step.max()) >= n_steps:
                raise DataError(
                    f"encoder {self.name!r}: the spikes last {spikes.grid.n_steps} steps, the run only {n_steps}; "
                    f"run at least {spikes.duration} ms"
                )
            return spikes
        if self.coding_method not in ("constant_current", "null"):
            data = data.detach().cpu().numpy() if hasattr(data, "detach") else data
        try:
            return CODINGS[self.coding_method](data, n_steps, dt, generator, **self.options)
        except (DataError, ParameterError, ShapeError) as error:
            raise type(error)(f"encoder {self.name!r}: {error}") from error

    def __getstate__(self) -> dict[str, Any]:
        data = self._data.detach() if hasattr(self._data, "detach") else self._data
        return super().__getstate__() | {"_data": data}

    def _given(self) -> Any:
        if self._data is None:
            raise StateError(f"encoder {self.name!r} has no input yet; call it with a batch: net.{self.path}(data)")
        return self._data

    def _reshaped(self, spikes: Spikes) -> Spikes:
        """The spikes in the shape of the encoder."""
        if math.prod(spikes.shape) != self.num:
            raise ShapeError(f"encoder {self.name!r} has shape {self.shape}, the spikes have {spikes.shape}")
        return spikes if spikes.shape == self.shape else replace(spikes, shape=self.shape)

    def _checked(self, data: Any) -> Any:
        """The batch as float values (B, *shape), or (B, T, *shape) for 'null'; tensors stay tensors."""
        tensor = hasattr(data, "detach")
        if tensor and (data.is_complex() or data.layout is not torch.strided):
            raise DataError(
                f"encoder {self.name!r} takes a dense tensor of real numbers, got {data.dtype}, {data.layout}; "
                "call .to_dense() or .real on it"
            )
        if not tensor:
            data = _numbers(f"encoder {self.name!r}", data)
        lead = 2 if self.coding_method == "null" else 1
        given, flat = tuple(data.shape[lead:]), (self.num,)
        if data.ndim <= lead or (
            given != self.shape and not (given == flat or (self.shape == flat and math.prod(given) == self.num))
        ):
            want = ", ".join(map(str, ("B", *(["T"] if lead == 2 else []), *self.shape)))
            raise ShapeError(f"encoder {self.name!r} takes a batch of shape ({want}), got {tuple(data.shape)}")
        finite = data.isfinite().all() if tensor else np.isfinite(data).all()
        if not bool(finite):
            where = np.argwhere(~np.isfinite(data.detach().cpu().numpy() if tensor else data))[0]
            raise DataError(
                f"encoder {self.name!r}: the input holds NaN or infinity, first at index {tuple(map(int, where))}"
            )
        return data.reshape(*data.shape[:lead], *self.shape)


def _numbers(owner: str, data: Any) -> NDArray[Any]:
    """The data as an array of floats, of the precision it has; DataError where it is something else."""
    try:
        array = np.asarray(data)
    except ValueError as error:
        raise DataError(f"{owner} takes an array of numbers, got {type(data).__name__}: {error}") from error
    if array.dtype.kind not in "biuf":
        raise DataError(f"{owner} takes real numbers, got {type(data).__name__} of dtype {array.dtype}")
    return array if array.dtype.kind == "f" else array.astype(np.float32)
