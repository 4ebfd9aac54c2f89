"""The input of a network: raw values in, spikes or currents out."""

from __future__ import annotations

import inspect
import logging
import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..errors import DataError, ParameterError, ShapeError, StateError
from ..neurons.surrogates import is_number
from ..registry import canonical, fill_keywords, resolve_keywords
from ..spikes import Spikes, moved, silence
from ..units import check_dt, duration_steps
from .codings import CODINGS, spike_lists
from .component import Component
from .group import population_shape

_log = logging.getLogger(__name__)


class Encoder(Component):
    """`Encoder(num, coding_method='poisson', shape=..., **options)`: raw values to a signal in time.

    num: how many input neurons, or a data set or loader, whose samples give the shape. coding_method: 'poisson'
    (default), 'bernoulli', 'latency', 'relative_latency', 'uniform', 'constant_current', 'sstb' (a spike time for each
    neuron), 'mstb' (lists of times and ids), 'null' (already encoded); its options (unit_conversion, max_prob, ...) are
    given beside it. time: the window in ms in which it encodes (default: the run); dt: the time step that the network
    must have. `encoder(batch)` sets the batch (B, *shape) that the next run encodes; Spikes are taken as they are. All
    times, such as time, start_time and those of spikes, count from the beginning of the first run of a batch;
    `run_continue` without a new batch goes on with it: 'poisson', 'bernoulli' and the currents until `time`, all others
    have given their signal in the first run and are silent, but for an array of 'null', which is an error.
    """

    kind = "encoder"
    observables = ("spikes",)

    def __init__(
        self,
        num: Any = None,
        coding_method: str | None = None,
        shape: int | Iterable[int] | None = None,
        *,
        time: float | None = None,
        dt: float | None = None,
        coding_var_name: str | None = None,
        name: str | None = None,
        **options: Any,
    ) -> None:
        owner = f"Encoder {name!r}" if name else "Encoder"
        if isinstance(num, (str, bytes)):
            raise ParameterError(
                f"{owner}: num must be how many inputs there are, such as 784, a shape, such as (1, 28, 28), or a data "
                f"set, got the text {num!r:.80}"
            )
        if isinstance(num, (tuple, list)):
            num, shape = None, num if shape is None else shape
        elif hasattr(num, "dataset") or (hasattr(num, "__getitem__") and hasattr(num, "__len__")):
            num, shape = None, sample_shape(owner, num) if shape is None else shape
        own, options = fill_keywords(owner, "encoder", {"coding_method": coding_method, "time": time}, options)
        self.shape = population_shape(owner, num, shape)
        self.coding_method = CODINGS.name_of("poisson" if own["coding_method"] is None else own["coding_method"])
        owner = f"{owner}, coding {self.coding_method!r}"
        self.options = checked_options(owner, CODINGS[self.coding_method], options)
        self.time = None if own["time"] is None else check_dt(own["time"], f"{owner}: time")
        self.dt = None if dt is None else check_dt(dt, f"{owner}: dt")
        if coding_var_name is not None and canonical("observable", coding_var_name, self.observables) is None:
            raise ParameterError(f"{owner}: an encoder gives out 'spikes', got coding_var_name={coding_var_name!r}")
        self._data: Any = None
        self._n_batches = 0
        self._told = False
        super().__init__(name)

    @property
    def num(self) -> int:
        """How many input neurons it has."""
        return math.prod(self.shape)

    @property
    def batch_size(self) -> int:
        """How many samples the batch has that was given last."""
        return len(self._given())

    @property
    def n_batches(self) -> int:
        """How many batches it was given so far."""
        return self._n_batches

    def __call__(self, data: Any) -> None:
        """Sets the batch of the next run: values (B, *shape) or (B, num), Spikes, for 'null' (B, T, *shape), and for
        'mstb' a list of samples [times, ids]. Values are copied: what becomes of the array afterwards changes nothing.
        """
        if self.coding_method == "mstb" and not isinstance(data, Spikes):
            data = spike_lists(f"encoder {self.name!r}", data, self.shape)
        self._data = self._reshaped(data) if isinstance(data, Spikes) else self._checked(data)
        self._n_batches += 1

    @property
    def goes_on(self) -> bool:
        """Whether a run that continues another gets more of the same batch, not silence."""
        return (
            hasattr(CODINGS[self.coding_method], "going_on")
            and self.time is None
            and not isinstance(self._given(), Spikes)
        )

    def encode(self, n_steps: int, dt: float, generator: np.random.Generator, first: int = 0) -> Any:
        """The signal of the batch: Spikes on the grid of dt, or values (T, B, *shape), T = 1 where constant.

        first: the step that the window begins with, counted from the first run of the batch. Raises StateError for an
        array of steps that have all been run.
        """
        data, coding, goes_on = self._given(), CODINGS[self.coding_method], self.goes_on
        if first and not goes_on:
            return self._nothing(n_steps, dt)
        length = self._window(n_steps, dt)
        if isinstance(data, Spikes) and self.coding_method != "mstb":
            spikes = data if data.dt == dt else data.on_grid(dt)
            if spikes.grid.n_steps > n_steps and spikes.n_spikes and int(spikes.grid.step.max()) >= n_steps:
                raise DataError(
                    f"encoder {self.name!r}: the spikes last {spikes.grid.n_steps} steps, the run only {n_steps}; "
                    f"run at least {spikes.duration} ms"
                )
            return spikes
        if not hasattr(coding, "on_tensors") and hasattr(data, "detach"):
            data = data.detach().cpu().numpy()
        try:
            signal = coding(data, length, dt, generator, *([first] if goes_on else []), **self.options)
        except (DataError, ParameterError, ShapeError) as error:
            raise type(error)(f"encoder {self.name!r}: {error}") from error
        if self.coding_method == "poisson" and not self._told:
            self._tell_saturation(data, dt)
        return signal if length == n_steps else filled(signal, length, n_steps)

    def _tell_saturation(self, data: NDArray[Any], dt: float) -> None:
        """Logs once that most of what fires does so in every step, as a raw image of 0..255 does."""
        per_unit = self.options.get("unit_conversion", 1.0) * dt
        if 2 * np.count_nonzero(data * per_unit > 1) > np.count_nonzero(data):
            self._told = True
            _log.warning(
                "encoder %r: most of the non-zero input has a rate above 1 spike a step (largest %.4g) and fires in "
                "every step; divide the input by its maximum, or give a lower unit_conversion",
                self.name,
                float(data.max()) * per_unit,
            )

    def _nothing(self, n_steps: int, dt: float) -> Any:
        """No signal, of the kind that the batch had in its first run."""
        data = self._given()
        if isinstance(data, Spikes) or not hasattr(CODINGS[self.coding_method], "on_tensors"):
            return silence(self.shape, len(data), n_steps, dt)
        if self.coding_method == "null" and self.time is None:
            raise StateError(
                f"encoder {self.name!r}: all {data.shape[1]} steps of its batch have been run; give it the next ones "
                f"before run_continue: net.{self.path}(data)"
            )
        shape = (1, len(data), *self.shape)
        return data.new_zeros(shape) if hasattr(data, "detach") else np.zeros(shape, data.dtype)

    def _window(self, n_steps: int, dt: float) -> int:
        """How many steps of a run are encoded; ParameterError where they do not fit the run."""
        if self.dt is not None and self.dt != dt:
            raise ParameterError(
                f"encoder {self.name!r} was made for dt {self.dt} ms, the network has {dt} ms; "
                f"call net.set_backend_dt({self.dt})"
            )
        length = n_steps if self.time is None else duration_steps(self.time, dt)
        if length > n_steps:
            raise ParameterError(
                f"encoder {self.name!r} encodes over {self.time} ms, the run lasts {n_steps} steps of {dt} ms; "
                "run longer, or leave time= out"
            )
        return length

    def __getstate__(self) -> dict[str, Any]:
        data = self._data.detach() if hasattr(self._data, "detach") else self._data
        return super().__getstate__() | {"_data": data}

    def _given(self) -> Any:
        if self._data is None:
            raise StateError(f"encoder {self.name!r} has no input yet; call it with a batch: net.{self.path}(data)")
        return self._data

    def _reshaped(self, spikes: Spikes) -> Spikes:
        """The spikes in the shape of the encoder."""
        if len(spikes) == 0:
            raise ShapeError(f"encoder {self.name!r} takes Spikes with at least one sample, got a batch of 0")
        if math.prod(spikes.shape) != self.num:
            raise ShapeError(f"encoder {self.name!r} has shape {self.shape}, the spikes have {spikes.shape}")
        return spikes if spikes.shape == self.shape else replace(spikes, shape=self.shape)

    def _checked(self, data: Any) -> Any:
        """A copy of the batch as float values (B, *shape), or (B, T, *shape) for 'null'; tensors stay tensors."""
        tensor = hasattr(data, "detach")
        if tensor and (data.is_complex() or data.layout is not torch.strided):
            raise DataError(
                f"encoder {self.name!r} takes a dense tensor of real numbers, got {data.dtype}, {data.layout}; "
                "call .to_dense() or .real on it"
            )
        data = data.clone() if tensor else _numbers(f"encoder {self.name!r}", data)
        lead = 2 if self.coding_method == "null" else 1
        given, flat = tuple(data.shape[lead:]), (self.num,)
        want = ", ".join(map(str, ("B", *(["T"] if lead == 2 else []), *self.shape)))
        takes = f"encoder {self.name!r} takes a batch of shape ({want})"
        if data.ndim <= lead or (
            given != self.shape and not (given == flat or (self.shape == flat and math.prod(given) == self.num))
        ):
            raise ShapeError(f"{takes}, got {tuple(data.shape)}")
        if len(data) == 0:
            raise ShapeError(f"{takes} with at least one sample, got {tuple(data.shape)}")
        finite = data.isfinite().all() if tensor else np.isfinite(data).all()
        if not bool(finite):
            where = np.argwhere(~np.isfinite(data.detach().cpu().numpy() if tensor else data))[0]
            raise DataError(
                f"encoder {self.name!r}: the input holds NaN or infinity, first at index {tuple(map(int, where))}"
            )
        return data.reshape(*data.shape[:lead], *self.shape)


def sample_shape(owner: str, source: Any) -> tuple[int, ...]:
    """The shape of one sample of a data set, or of that of a loader: pairs (data, label) by index."""
    data = getattr(source, "dataset", source)
    shape = getattr(data, "shape", None)
    if isinstance(shape, tuple) and not hasattr(data, "dtype"):
        return shape
    try:
        sample = data[0][0]
    except (IndexError, KeyError, TypeError) as error:
        kind = type(source).__name__
        raise ParameterError(f"{owner}: num must be a number, a data set or a loader, got {kind}") from error
    return sample.shape if isinstance(sample, Spikes) else np.shape(sample)


def checked_options(owner: str, coding: Any, given: Mapping[str, Any]) -> dict[str, Any]:
    """The given options of a coding under their names; ParameterError unless each is of the kind of its default."""
    parameters = inspect.signature(coding).parameters.values()
    known = {p.name: p.default for p in parameters if p.kind is inspect.Parameter.KEYWORD_ONLY}
    options = resolve_keywords(owner, "coding option", given, known)
    for option, value in options.items():
        default = known[option]
        number = value.item() if isinstance(value, np.number) else value
        if isinstance(default, (bool, str)):
            if type(value) is not type(default):
                raise ParameterError(f"{owner}: {option} must be a {type(default).__name__}, got {value!r}")
        elif not is_number(number) and not (value is None and default is None):
            raise ParameterError(f"{owner}: {option} must be a finite number, got {value!r}")
    return options


def filled(signal: Any, length: int, n_steps: int) -> Any:
    """A signal of `length` steps as one of n_steps, with nothing after it."""
    if isinstance(signal, Spikes):
        return moved(signal, 0, n_steps)
    shape = (n_steps - length, *signal.shape[1:])
    if hasattr(signal, "detach"):
        return torch.cat([signal.expand(length, *signal.shape[1:]), signal.new_zeros(shape)])
    return np.concatenate([np.broadcast_to(signal, (length, *signal.shape[1:])), np.zeros(shape, signal.dtype)])


def _numbers(owner: str, data: Any) -> NDArray[Any]:
    """The data as a new array of floats, of the precision it has; DataError where it is something else."""
    try:
        array = np.asarray(data)
    except ValueError as error:
        raise DataError(f"{owner} takes an array of numbers, got {type(data).__name__}: {error}") from error
    if array.dtype.kind not in "biuf":
        raise DataError(f"{owner} takes real numbers, got {type(data).__name__} of dtype {array.dtype}")
    return array.astype(array.dtype if array.dtype.kind == "f" else np.float32)
