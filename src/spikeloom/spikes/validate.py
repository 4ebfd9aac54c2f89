"""The door of the data model: what comes in is checked here, once, and named by its first offending entry."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import DataError, ParameterError, ShapeError

if TYPE_CHECKING:
    from torch import Tensor

Numbers: TypeAlias = "ArrayLike | Tensor"


def as_array(x: Numbers, owner: str) -> NDArray[Any]:
    """The numbers as a NumPy array, without a copy where possible; torch tensors come to the CPU, detached."""
    try:
        if hasattr(x, "detach"):
            tensor = x.detach().cpu()
            x = tensor.float().numpy() if str(tensor.dtype) == "torch.bfloat16" else tensor.numpy()
        array = np.asarray(x)
    except ValueError as error:
        raise ShapeError(f"{owner} must be a regular array, got ragged rows ({error})") from error
    except TypeError as error:  # a tensor that NumPy cannot hold, such as a sparse one
        raise ParameterError(f"{owner} must hold numbers: {error}") from error
    if array.dtype.kind not in "biuf":
        raise ParameterError(f"{owner} must hold numbers, got {array.dtype} of type {type(x).__name__}")
    return array


def check_each(array: NDArray[Any], ok: NDArray[np.bool_], owner: str, expected: str) -> None:
    """Nothing, or DataError naming the first entry of `array` where `ok` is false."""
    if not ok.all():
        where = np.unravel_index(int(np.argmin(ok)), array.shape)
        position = ", ".join(str(int(i)) for i in where)
        raise DataError(f"{owner}[{position}] must be {expected}, got {array[where]}")


def check_count(n: int, owner: str, least: int = 1) -> int:
    """n as an int; ParameterError unless it is an integer of at least `least`."""
    if not isinstance(n, (int, np.integer)) or isinstance(n, bool) or n < least:
        raise ParameterError(f"{owner} must be an integer of at least {least}, got {n!r}")
    return int(n)


def check_shape(shape: int | Sequence[int], owner: str) -> tuple[int, ...]:
    """The shape of a population as a tuple of one or more positive integers; a number n means (n,)."""
    sizes = (shape,) if isinstance(shape, (int, np.integer)) else tuple(shape)
    if not sizes:
        raise ParameterError(f"{owner} must have at least one axis, got (); one neuron has shape (1,)")
    return tuple(check_count(size, owner) for size in sizes)


def check_indices(x: Numbers, limit: int | None, owner: str) -> NDArray[np.int64]:
    """One-dimensional int64 indices in 0 .. limit - 1, any integer where there is no limit."""
    array = as_array(x, owner)
    if array.ndim != 1:
        raise ShapeError(f"{owner} must be one-dimensional, got shape {array.shape}")
    if array.size and array.dtype.kind not in "iu":
        raise ParameterError(f"{owner} must hold integers, got {array.dtype}")
    if limit is not None:
        check_each(array, (array >= 0) & (array < limit), owner, f"an integer from 0 to below {limit}")
    return array.astype(np.int64)


def check_values(x: Numbers | None, owner: str = "Spikes.values") -> NDArray[Any] | None:
    """Values of spikes as int8 (from integers) or float32 (from floats): finite and not zero."""
    if x is None:
        return None
    array = as_array(x, owner)
    if array.dtype.kind == "f":
        with np.errstate(over="ignore"):
            value = array.astype(np.float32)
        check_each(array, np.isfinite(value) & (value != 0), owner, "a finite number but 0 (no spike) in float32")
        return value
    fits = (array >= -128) & (array <= 127) & (array != 0)
    check_each(array, fits, owner, "an integer in -128..127 but 0 (no spike); give floats for a wider range")
    return array.astype(np.int8)


class Trains(NamedTuple):
    """What spikes on a grid and spikes in ms have in common: one entry for each event, one label for each sample."""

    ids: NDArray[np.int64]
    samples: NDArray[np.int64]
    value: NDArray[Any] | None
    labels: NDArray[np.int64] | None
    n_samples: int


def check_trains(
    when: NDArray[Any],
    ids: Numbers,
    n_neurons: int,
    samples: Numbers | None,
    values: Numbers | None,
    labels: Numbers | None,
    n_samples: int | None,
) -> Trains:
    """The events as checked arrays as long as `when`, the step or time of each."""
    id_array = check_indices(ids, n_neurons, "Spikes.ids")
    labelled, n_samples = check_labels(labels, n_samples)
    if samples is None:
        n_samples = 1 if n_samples is None else n_samples
        samples = np.zeros(id_array.size, np.int64)
    sample_array = check_indices(samples, n_samples, "Spikes.samples")
    if n_samples is None:
        n_samples = int(sample_array.max(initial=-1)) + 1
        check_indices(sample_array, n_samples, "Spikes.samples")
    value = check_values(values)
    lengths = {"time or step": when.shape, "ids": id_array.shape, "samples": sample_array.shape}
    lengths |= {} if value is None else {"values": value.shape}
    if len(set(lengths.values())) > 1:
        got = ", ".join(f"{name} {shape}" for name, shape in lengths.items())
        raise ShapeError(f"Spikes must get one entry for each event in every array, got shapes {got}")
    return Trains(id_array, sample_array, value, labelled, n_samples)


def check_labels(labels: Numbers | None, n_samples: int | None) -> tuple[NDArray[np.int64] | None, int | None]:
    """Labels as int64 (B,), and the number of samples, which `n_samples` or they tell (None where neither does)."""
    if n_samples is not None:
        n_samples = check_count(n_samples, "Spikes.n_samples", least=0)
    if labels is None:
        return None, n_samples
    array = check_indices(labels, None, "Spikes.labels")
    if n_samples not in (None, array.size):
        raise ShapeError(f"Spikes.labels must have one label for each of {n_samples} samples, got {array.size}")
    return array, array.size


def check_generator(generator: np.random.Generator, owner: str) -> np.random.Generator:
    """The generator; ParameterError for anything that is not a numpy.random.Generator."""
    if not isinstance(generator, np.random.Generator):
        raise ParameterError(f"{owner} must be a numpy.random.Generator such as default_rng(7), got {generator!r}")
    return generator


def validate_raster(raster: Tensor) -> Tensor:
    """The raster itself, if it is torch.int8 of shape (T, N) or (T, B, N) and holds only 0 and 1.

    This is EvoSpikeNet's form. Raises ParameterError for a wrong type or dtype, ShapeError for a wrong number of
    axes and DataError with the first offending index and value.
    """
    import torch

    if not isinstance(raster, torch.Tensor):
        raise ParameterError(f"raster must be a torch.Tensor, got {type(raster).__name__}; use torch.as_tensor")
    if raster.dtype != torch.int8:
        raise ParameterError(f"raster must have dtype torch.int8, got {raster.dtype}; use raster.to(torch.int8)")
    if raster.ndim not in (2, 3):
        raise ShapeError(f"raster must have shape (T, N) or (T, B, N), got {tuple(raster.shape)}")
    array = as_array(raster, "raster")
    check_each(array, (array == 0) | (array == 1), "raster", "0 or 1")
    return raster
