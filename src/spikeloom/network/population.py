"""mlGeNN's populations: of input models, fed like an encoder, and of any other neuron, a neuron group."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from ..errors import DataError, ParameterError, ShapeError
from ..neurons import Neuron
from ..neurons.inputs import INPUTS, InputModel, SpikeInput
from ..registry import resolve_keywords
from ..spikes import Spikes
from ..spikes.preprocessed import PreprocessedSpikes, from_preprocessed
from ..spikes.validate import as_array
from .component import Component
from .encoder import Encoder
from .group import NeuronGroup, population_shape
from .input_signals import signal_of


class InputPopulation(Encoder):
    """`InputPopulation(model, shape)`: input neurons of an input model; connections start from it.

    `population(data)` sets what the next run is fed with. Static values: (B, *shape), or (*shape) for one sample. With
    input_frames > 1: (B, frames, *shape) or (frames, *shape). A `SpikeInput` takes PreprocessedSpikes, a list of them,
    or Spikes. Times count from the beginning of the first run of a batch; `run_continue` goes on with it.
    """

    def __init__(
        self, neuron: InputModel | str, shape: int | Iterable[int], *, name: str | None = None, **parameters: Any
    ) -> None:
        owner = f"Population {name!r}" if name else "Population"
        self.neuron = _model(owner, neuron, parameters)
        self.shape = population_shape(owner, None, shape)
        kind = type(self.neuron)
        self.coding_method = next((known for known in INPUTS if INPUTS[known] is kind), kind.__name__)
        self.options, self.time, self.dt = {}, None, None
        self._data: Any = None
        self._n_batches = 0
        Component.__init__(self, name)

    def __call__(self, data: Any) -> None:
        """Sets the batch of the next run."""
        given = self._spikes(data) if isinstance(self.neuron, SpikeInput) else self._values(data)
        if len(given) == 0:
            raise ShapeError(f"population {self.name!r} takes at least one sample, got none")
        self._data = given
        self._n_batches += 1

    def encode(self, n_steps: int, dt: float, generator: np.random.Generator, first: int = 0) -> Spikes:
        """The spikes of n_steps steps of dt ms from step `first` on, counted from the first run of the batch."""
        try:
            return signal_of(self.neuron, self._given(), n_steps, dt, generator, first)
        except DataError as error:
            raise DataError(f"population {self.name!r}: {error}") from error

    def _spikes(self, data: Any) -> Spikes:
        """Given spikes as Spikes of its shape."""
        if not isinstance(data, Spikes):
            if not isinstance(data, (PreprocessedSpikes, list, tuple)):
                kind = type(data).__name__
                raise ParameterError(f"population {self.name!r} takes Spikes or PreprocessedSpikes, got {kind}")
            if len(data) == 0:
                raise ShapeError(f"population {self.name!r} takes at least one sample, got none")
            data = from_preprocessed(data)
        return self._reshaped(data)

    def _values(self, data: Any) -> Any:
        """Values as (B, frames, *shape)."""
        if isinstance(data, (Spikes, PreprocessedSpikes)):
            raise ParameterError(f"population {self.name!r} takes values, got {type(data).__name__}; use SpikeInput")
        owner = f"population {self.name!r}"
        array = as_array(data, owner)
        precision = array.dtype if array.dtype.kind == "f" else np.float16
        array = array.astype(np.promote_types(precision, np.float32))  # a copy: the given one may change
        n_frames = self.neuron.frames[0]
        own = (self.shape,) if self.shape == (self.num,) else (self.shape, (self.num,))
        each = [shape if n_frames == 1 else (n_frames, *shape) for shape in own]
        if array.shape not in each and array.shape[1:] not in each:
            trailing = ", ".join(map(str, each[0]))
            held = f" ({n_frames} frames)" if n_frames > 1 else ""
            raise ShapeError(f"{owner} takes values of shape ({trailing}) or (B, {trailing}){held}, got {array.shape}")
        if not np.isfinite(array).all():
            where = tuple(map(int, np.argwhere(~np.isfinite(array))[0]))
            raise DataError(f"{owner}: the input holds NaN or infinity, first at index {where}")
        return array.reshape(1 if array.shape in each else len(array), n_frames, *self.shape)


def Population(  # noqa: N802
    neuron: InputModel | Neuron[Any] | str,
    shape: int | Sequence[int],
    *,
    name: str | None = None,
    **parameters: Any,
) -> InputPopulation | NeuronGroup:
    """An input population of an input model, else a NeuronGroup of the neuron; a name takes the model's parameters."""
    given: Any = neuron
    kind = given if isinstance(given, type) else type(given)
    if issubclass(kind, InputModel) or (kind is str and given in INPUTS):
        return InputPopulation(given, shape, name=name, **parameters)
    return NeuronGroup(model=given, shape=shape, name=name, **parameters)


def _model(owner: str, neuron: InputModel | str, parameters: dict[str, Any]) -> InputModel:
    if isinstance(neuron, str):
        kind: Any = INPUTS[neuron]
        given = resolve_keywords(owner, "input parameter", parameters, kind.__dataclass_fields__)
        made: InputModel = kind(**given)
        return made
    if not isinstance(neuron, InputModel) or parameters:
        raise ParameterError(
            f"{owner} takes an input model such as PoissonInput(), which has its parameters itself, got {neuron!r} and "
            f"{', '.join(parameters) or 'no more'}"
        )
    return neuron
