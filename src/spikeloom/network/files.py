"""Networks in files: a description that people can read and compare, and the weights beside it.

    <path>/<filename>/<filename>.json | .yml      what `describe` gives
    <path>/<filename>/<filename>.safetensors      the weights

Equal networks give equal bytes: format, version, name, seed, dt, then the components in the order in which they were
made, each with its kind first, and weights by name. Loading runs no code: JSON, or YAML without tags and aliases, and
safetensors. A save that fails leaves the files of the save before it as they were.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import yaml
from safetensors.numpy import save as safetensors_bytes

from ..errors import DataError, ParameterError, StorageError
from ..registry import Registry
from ..storage import write_atomically
from .description import describe, network_from
from .network import Network
from .parameters import numbers
from .values import at
from .weights import put_weights, read_weights

Name = str | os.PathLike[str]
MAX_DESCRIPTION = 64 * 2**20
"""How many bytes a description may have."""


class Format(NamedTuple):
    """A text format of descriptions; `load` raises ValueError or YAMLError."""

    suffix: str
    dump: Callable[[Any], str]
    load: Callable[[str], Any]


def _unique(pairs: list[tuple[Any, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if not isinstance(key, str) or key in found:
            raise ValueError(f"each key must be a text and stand once, got {key!r:.80}")
        found[key] = value
    return found


def _no_constant(text: str) -> Any:
    raise ValueError(f"{text} is not a number")


class _PlainLoader(yaml.SafeLoader):
    """YAML without tags and without aliases, a few of which can stand for gigabytes."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        if isinstance(event, yaml.AliasEvent) or getattr(event, "tag", None) is not None:
            raise ValueError(f"tags and aliases are not read,{event.start_mark}")
        return super().compose_node(parent, index)

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        return _unique(self.construct_pairs(node, deep=True))


_JSON = Format(
    ".json",
    lambda values: json.dumps(values, indent=2, ensure_ascii=False, allow_nan=False) + "\n",
    lambda text: json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant),
)
_YAML = Format(
    ".yml",
    lambda values: yaml.safe_dump(values, sort_keys=False, allow_unicode=True, default_flow_style=None),
    lambda text: _PlainLoader(text).get_single_data(),
)
FORMATS: Registry[Format] = Registry("trans_format")
FORMATS.add("json", _JSON)
FORMATS.add("yaml", _YAML)
FORMATS.add("yml", _YAML)
_BY_SUFFIX: Mapping[str, Format] = {".json": _JSON, ".yml": _YAML, ".yaml": _YAML}


def network_save(
    net: Network,
    filename: Name | None = None,
    path: Name | None = None,
    trans_format: str = "json",
    combine: bool = False,
    save: bool = True,
    save_weight: bool = True,
) -> str | dict[str, Any]:
    """The path of the description that was written, for `network_load`; with save=False the description itself.

    Writes <path or .>/<filename>/<filename>.json (or .yml) and, unless save_weight is False, .safetensors; filename:
    by default the network's name, or that of its class. combine=True puts the weights into the description, as lists.
    A network that is not built yet gets its weights now. What a network has recorded, the state of an optimizer, and
    whether it is in training or in evaluation, are not saved. Raises StorageError when the files cannot be written;
    those of the save before it stay.
    """
    if not isinstance(net, Network):
        raise ParameterError(f"network_save: net must be a Network, got {type(net).__name__}")
    written_as = FORMATS[trans_format]
    folder = _target(path, filename or net._name or type(net).__name__)
    description, weights = describe(net), net.draw_parameters().arrays()
    if combine and save_weight:
        description["weights"] = {name: weights[name].tolist() for name in sorted(weights)}
    if not save:
        return description
    text = written_as.dump(description).encode()
    if len(text) > MAX_DESCRIPTION:
        raise DataError(f"the description has more than {MAX_DESCRIPTION} bytes; save with combine=False")
    target = folder / (folder.name + written_as.suffix)
    files = {target: text}
    if save_weight and not combine:
        files[target.with_suffix(".safetensors")] = safetensors_bytes(weights)
    _write(files)
    return str(target)


def network_load(
    filename: Name,
    path: Name | None = None,
    device: str = "cpu",
    load_weight: bool = True,
    modules: Mapping[str, Any] | None = None,
) -> Network:
    """The network that `network_save` saved, on a TorchBackend with its dt; it is built when it first runs.

    It is in training, as every new network and torch module is: call `net.eval()` where dropout and batch normalisation
    are to evaluate.

    filename: what network_save returned, the folder, or the description in it; path: the folder it is relative to.
    load_weight=False leaves the weights to be drawn from the network's seed. modules: the torch module of each Module
    in the network, by its path: code, which no file holds. Raises DataError, with the file and the
    place in it, for whatever is missing, torn or wrong.
    """
    file = _description_file(Path("." if path is None else path) / filename)
    with at(str(file)):
        description = _read(file)
        combined = isinstance(description, dict) and "weights" in description
        if combined and not load_weight:
            del description["weights"]
        network = network_from(description, modules)
    network.set_backend("torch", device)
    if load_weight and not combined:
        weights = file.with_suffix(".safetensors")
        with at(str(weights)):
            put_weights(network, read_weights(weights, network))
    return network


def save_state(network: Network, filename: Name | None, direct: Name | None, save: bool) -> str | dict[str, Any]:
    """The path of the weights that were written, <direct or .>/<filename>.safetensors; with save=False the arrays."""
    file = _weights_file(_target(direct, filename or network._name or type(network).__name__))
    weights = network.draw_parameters().arrays()
    if not save:
        return weights
    _write({file: safetensors_bytes(weights)})
    return str(file)


def load_state(
    network: Network,
    state: Mapping[str, Any] | None,
    filename: Name | None,
    direct: Name | None,
) -> None:
    """Copies weights into the network in place: arrays or tensors by name, or a file that `save_state` wrote."""
    if (state is None) == (filename is None):
        raise ParameterError("Network.state_from_dict: give state= or filename=, one of them")
    if filename is not None:
        file = _weights_file(_target(direct, filename))
        with at(str(file)):
            return put_weights(network, read_weights(file, network))
    if not isinstance(state, Mapping):
        raise ParameterError(f"Network.state_from_dict: state must map names to arrays, got {type(state).__name__}")
    return put_weights(network, {name: numbers(f"weights: {name!r}", value) for name, value in state.items()})


def _target(path: Name | None, filename: Name) -> Path:
    target = Path("." if path is None else path) / filename
    if target.name in ("", ".."):
        raise ParameterError(f"filename must end in a name, got {os.fspath(filename)!r}")
    return target


def _weights_file(path: Path) -> Path:
    """The path with the suffix of weights; a dot in a name is part of the name."""
    return path if path.suffix == ".safetensors" else path.with_name(path.name + ".safetensors")


def _description_file(path: Path) -> Path:
    """The description that a path stands for: the file itself, or the one in the folder."""
    if path.is_dir():
        found = sorted(p for p in path.iterdir() if p.suffix in _BY_SUFFIX)
        if len(found) != 1:
            names = ", ".join(p.name for p in found) or "none"
            raise DataError(f"{path} must hold one description of a network, it holds {names}; give the file itself")
        return found[0]
    if not path.is_file() or path.suffix not in _BY_SUFFIX:
        raise DataError(f"{path} is neither the folder of a saved network nor its .json or .yml file")
    return path


def _read(file: Path) -> Any:
    if file.stat().st_size > MAX_DESCRIPTION:
        raise DataError(f"a description has at most {MAX_DESCRIPTION} bytes, this file has {file.stat().st_size}")
    try:
        return _BY_SUFFIX[file.suffix].load(file.read_text("utf-8"))
    except (ValueError, yaml.YAMLError, RecursionError) as error:
        raise DataError(f"it cannot be read: {error}") from error


def _write(files: Mapping[Path, bytes]) -> None:
    """Writes files of one folder so that each, and after an error all of them, are either new or as they were."""
    folder = next(iter(files)).parent
    done: list[Path] = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=folder, prefix=".saving-") as scratch:
            for file, content in files.items():
                write_atomically(Path(scratch, file.name), content)
            before = {file: file.read_bytes() if file.exists() else None for file in list(files)[:-1]}
            for file in files:
                os.replace(Path(scratch, file.name), file)
                done.append(file)
    except OSError as error:
        raise StorageError(f"cannot write into {folder}: {error.strerror or error}") from error
    finally:
        if len(done) < len(files):
            for file in done:
                _restore(file, before[file])


def _restore(file: Path, content: bytes | None) -> None:
    if content is None:
        file.unlink()
    else:
        write_atomically(file, content)
