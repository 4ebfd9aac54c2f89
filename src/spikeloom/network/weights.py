"""The weights of a network out of files and into it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from ..errors import DataError
from .connection import Connection
from .network import Network
from .parameters import check_fit


def put_weights(network: Network, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Copies every parameter into the network, in place where it is built: optimizers and builds keep their tensors.

    Raises ParameterError, ShapeError or DataError for names, shapes, types and synapses that are not the network's, and
    then changes nothing.
    """
    specs = network.specs()
    check_fit({name: array.shape for name, array in arrays.items()}, specs)
    for spec in specs:
        kinds = "f" if spec.trainable else "fiub"
        if arrays[spec.name].dtype.kind not in kinds:
            raise DataError(f"weights: {spec.name!r} must hold real numbers, got dtype {arrays[spec.name].dtype}")
    for connection in network.of_kind(Connection):
        start = f"{connection.path}."
        connection.check_weights({n.removeprefix(start): array for n, array in arrays.items() if n.startswith(start)})
    network.store.load(arrays, specs)


def read_weights(file: Path, network: Network) -> dict[str, NDArray[Any]]:
    """The arrays of a safetensors file; names and shapes are compared with the network's before any is read.

    Raises DataError for a file that is missing, torn or not of that format, ParameterError and ShapeError for the
    weights of another network.
    """
    if not file.is_file():
        raise DataError(f"there is no file of weights {file}; load without weights, or give the file that was saved")
    try:
        with safe_open(file, framework="np") as opened:
            names = list(opened.keys())
            check_fit({name: tuple(opened.get_slice(name).get_shape()) for name in names}, network.specs())
            return {name: opened.get_tensor(name) for name in names}
    except (SafetensorError, OSError, TypeError) as error:  # TypeError: an element type that NumPy does not have
        raise DataError(f"{file} is torn or not a safetensors file of weights: {error}") from error
