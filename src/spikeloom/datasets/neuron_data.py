"""Neuron data in `.pt` files: a dictionary of tensors such as `spikes` and `membrane_potential`, by time and neuron."""

from __future__ import annotations

import math
import os
import pickletools
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from pickle import UnpicklingError
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from ..errors import DataError, ShapeError
from ..spikes import Spikes, validate_raster
from ..storage import write_atomically
from .checks import check_count, check_flag
from .text.decoding import read_limited
from .zip_files import checked_members, opened_zip, read_member

if TYPE_CHECKING:
    import torch

MAX_BYTES = 1 << 32
_MAX_PICKLE = 1 << 24
_MAX_KEYS = 10_000
_STORAGES = (
    "Float", "Double", "Half", "BFloat16", "Char", "Byte", "Short", "Int", "Long", "Bool",
)  # fmt: skip
_ALLOWED = frozenset(
    {"torch._utils _rebuild_tensor_v2", "torch._utils _rebuild_parameter", "collections OrderedDict"}
    | {f"torch {kind}Storage" for kind in _STORAGES}
)


@dataclass(frozen=True, eq=False, slots=True)
class NeuronData:
    """Tensors by name, on the CPU. `spikes` is torch.int8 (T, N), 0 or 1; `membrane_potential`, where it is, as long.

    Raises ParameterError, ShapeError or DataError for anything else.
    """

    tensors: Mapping[str, torch.Tensor]

    def __post_init__(self) -> None:
        object.__setattr__(self, "tensors", MappingProxyType(_checked(self.tensors, "NeuronData")))

    @property
    def spikes(self) -> torch.Tensor:
        """int8 (T, N)."""
        return self.tensors["spikes"]

    def __getitem__(self, name: str) -> torch.Tensor:
        if name not in self.tensors:
            raise DataError(f"NeuronData: there is no {name!r}; it has {', '.join(self.tensors)}")
        return self.tensors[name]

    def __repr__(self) -> str:
        parts = ", ".join(f"{name} {tuple(tensor.shape)}" for name, tensor in self.tensors.items())
        return f"NeuronData({parts})"

    def to_spikes(self, dt: float) -> Spikes:
        """The spikes as one sample of N neurons, on a grid of T steps of dt ms."""
        return Spikes.from_raster(self.spikes, dt, batched=False)


def read_neuron_data(
    path: str | os.PathLike[str], *, transposed: bool = False, max_bytes: int = MAX_BYTES
) -> NeuronData:
    """The tensors of a `.pt` file that `torch.save` wrote of a dictionary with `spikes`.

    Spikes that are bool, float or another type in the file come as int8 where they are all 0 or 1. `transposed`:
    spikes and membrane potentials lie in the file as (N, T). Nothing in the file is run: it is a zip
    file whose declared sizes are checked, whose pickle may name tensors and dictionaries alone, and which is then read
    with `weights_only`. Raises DataError for more than `max_bytes`, for damage and for other content, ShapeError for
    wrong shapes, and says where spikes seem to be transposed.
    """
    file = Path(path)
    check_flag(transposed, "read_neuron_data.transposed")
    most = check_count(max_bytes, "read_neuron_data.max_bytes")
    content = read_limited(file, most, "read_neuron_data")
    _check_archive(content, file, most)
    found = _loaded(content, file)
    if not isinstance(found, dict) or not found or len(found) > _MAX_KEYS:
        raise DataError(f"{file}: expected a dictionary of tensors, got {type(found).__name__}")
    if transposed:
        found |= {name: found[name].T for name in ("spikes", "membrane_potential") if _is_matrix(found.get(name))}
    return NeuronData(_checked(found, str(file), converted=True))


def write_neuron_data(path: str | os.PathLike[str], tensors: Mapping[str, Any] | NeuronData) -> None:
    """Writes tensors (or arrays) by name, `spikes` among them, as a `.pt` file of torch."""
    import torch

    given = tensors.tensors if isinstance(tensors, NeuronData) else tensors
    whole = _checked({name: torch.as_tensor(value) for name, value in given.items()}, "write_neuron_data")
    memory = BytesIO()
    torch.save({name: tensor.detach().cpu().contiguous().clone() for name, tensor in whole.items()}, memory)
    write_atomically(Path(path), memory.getvalue())


def _check_archive(content: bytes, file: Path, most: int) -> None:
    """DataError for a file that is no zip file of torch, declares too much, or names what is no tensor."""
    if not content.startswith(b"PK\x03\x04"):
        raise DataError(f"{file}: expected a .pt file as torch has written them since 1.6, a zip file, got another")
    with opened_zip(file) as archive:
        members = checked_members(archive, file, most)
        pickles = [info for name, info in members.items() if name.endswith("data.pkl")]
        packed = [name for name, info in members.items() if info.compress_type != zipfile.ZIP_STORED]
        if len(pickles) != 1 or packed or pickles[0].file_size > _MAX_PICKLE:
            raise DataError(f"{file}: expected a .pt file with one small data.pkl and nothing compressed, got another")
        program = read_member(archive, pickles[0], file)
    try:
        for opcode, argument, place in pickletools.genops(program):
            by_stack = opcode.name in ("STACK_GLOBAL", "INST", "OBJ", "NEWOBJ", "NEWOBJ_EX", "EXT1", "EXT2", "EXT4")
            if by_stack or (opcode.name == "GLOBAL" and argument not in _ALLOWED):
                raise DataError(
                    f"{file}: expected tensors alone, its pickle names {argument or opcode.name} at {place}"
                )
    except (ValueError, IndexError, EOFError, OverflowError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{file}: expected a whole pickle in data.pkl, got a damaged one ({error})") from error


def _loaded(content: bytes, file: Path) -> Any:
    import torch

    try:
        return torch.load(BytesIO(content), map_location="cpu", weights_only=True)
    except UnpicklingError as error:
        raise DataError(f"{file}: expected tensors alone, got other content ({error!s:.300})") from error
    except (
        RuntimeError, ValueError, TypeError, KeyError, IndexError, AttributeError, EOFError, OSError, AssertionError,
        ImportError, OverflowError, MemoryError,
    ) as error:  # fmt: skip
        raise DataError(f"{file}: expected a file of tensors, got a damaged one ({error!s:.300})") from error


def _checked(tensors: Any, owner: str, *, converted: bool = False) -> dict[str, torch.Tensor]:
    """The tensors as a new dictionary; `converted`: with spikes of 0 and 1 of any type as int8."""
    import torch

    if not isinstance(tensors, Mapping) or "spikes" not in tensors:
        known = ", ".join(map(str, list(tensors)[:20])) if isinstance(tensors, Mapping) else type(tensors).__name__
        raise DataError(f"{owner}: expected a dictionary with the key 'spikes', got {known or 'an empty one'}")
    for name, tensor in tensors.items():
        if not isinstance(name, str) or not isinstance(tensor, torch.Tensor):
            raise DataError(f"{owner}: expected tensors by name, got {type(tensor).__name__} as {name!r:.60}")
        # A view may claim far more elements than its memory has.
        if tensor.layout != torch.strided or tensor.device.type != "cpu" or tensor.is_quantized:
            raise DataError(f"{owner}: {name!r:.60} must be a dense tensor on the CPU")
        if math.prod(tensor.shape) * tensor.element_size() > tensor.untyped_storage().nbytes():
            raise DataError(f"{owner}: {name!r:.60} claims shape {tuple(tensor.shape)}, more than is stored")
    spikes, potential = tensors["spikes"], tensors.get("membrane_potential")
    if spikes.ndim != 2 or 0 in spikes.shape:
        raise ShapeError(f"{owner}: spikes must have shape (T, N), got {tuple(spikes.shape)}")
    if potential is not None and potential.shape != spikes.shape:
        turned = potential.shape == spikes.T.shape
        hint = "; one of them seems to be transposed, see transposed=" if turned else ""
        raise ShapeError(
            f"{owner}: membrane_potential must have the shape of spikes {tuple(spikes.shape)}, got "
            f"{tuple(potential.shape)}{hint}"
        )
    spikes = _as_int8(spikes, owner) if converted else spikes
    return {**tensors, "spikes": validate_raster(spikes)}


def _as_int8(spikes: torch.Tensor, owner: str) -> torch.Tensor:
    """Spikes as int8, where they are all 0 or 1."""
    import torch

    if spikes.dtype == torch.int8:
        return spikes
    ones = spikes != 0
    if not torch.equal(ones.to(spikes.dtype), spikes):
        raise DataError(f"{owner}: spikes must be 0 or 1, got others in {spikes.dtype}")
    return ones.to(torch.int8)


def _is_matrix(value: Any) -> bool:
    import torch

    return isinstance(value, torch.Tensor) and value.ndim == 2
