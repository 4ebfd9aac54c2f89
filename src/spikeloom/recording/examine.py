"""What is in the HDF5 files of nodes, all of it read once, in a process of its own: HDF5 can crash on damaged files."""

from __future__ import annotations

import json
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import h5py

from ..errors import DataError
from .layout import KINDS
from .reading import (
    check_own,
    members,
    number,
    read_array,
    read_json,
    read_membrane,
    read_sampling,
    read_spikes,
    subgroup,
)

_CHILD = """
import json, sys, types
sys.path[:] = json.loads(sys.argv[1])
import spikeloom
package = sys.modules["spikeloom.recording"] = types.ModuleType("spikeloom.recording")
package.__path__ = [f"{folder}/recording" for folder in spikeloom.__path__]
from spikeloom.recording.examine import child
child()
"""
"""The package stands in for the one that loads the recorder, and with it torch, which takes seconds."""
_SECONDS = 120
"""Processor time for one data set; HDF5 can hang on damaged files too."""
_MOST_CRASHES = 20
_MOST_DEPTH = 5
_NOT_OPENED = "it cannot be read as HDF5: it is damaged or was cut off"
_CRASH = "HDF5 crashes on it"


class Found(NamedTuple):
    """A data set, by its name in the file; or a group or, with the name '', the file itself, that has a problem.

    start, n_steps and dt are those of a batch, else 0; value: the JSON that metadata hold.
    """

    name: str
    problem: str | None = None
    start: int = 0
    n_steps: int = 0
    dt: float = 0.0
    value: Any = None


def examine(paths: Sequence[Path]) -> list[list[Found]]:
    """What is in each of these HDF5 files: all data sets, each of which was read, with its problem if it has one."""
    found: list[list[Found]] = [[] for _ in paths]
    skipped: set[tuple[int, str]] = set()
    for _ in range(_MOST_CRASHES):
        found = [[] for _ in paths]
        crashed = _run_child(paths, skipped, found)
        if crashed is None:
            break
        skipped.add(crashed)
    for file, name in skipped:
        found[file].append(Found(name, _CRASH))
    return found


def linked_nodes(path: Path) -> set[str]:
    """The nodes that simulation_data.h5 names; none where it cannot be read."""
    done = _started(["links", str(path)]).communicate()[0]
    return set(json.loads(done or b"[]"))


def _started(task: Sequence[Any], **options: Any) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", _CHILD, json.dumps(sys.path), json.dumps(task)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, **options)


def _run_child(
    paths: Sequence[Path], skipped: set[tuple[int, str]], found: list[list[Found]]
) -> tuple[int, str] | None:
    """Collects what a child finds; the number of the file and the name at which it crashed, or None."""
    at = (0, "")
    with _started(["files", [str(path) for path in paths], sorted(skipped)]) as process:
        for line in process.stdout or ():
            of, *said = json.loads(line)
            at = (of, said[0])
            if len(said) > 1:
                found[of].append(Found(*said))
    return at if process.returncode else None


def child() -> None:
    """The other process: does what argv[2] says, and writes what it finds to the standard output."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.setitimer(signal.ITIMER_PROF, _SECONDS)
    kind, *task = json.loads(sys.argv[2])
    if kind == "links":
        _say(_links(Path(task[0])))
        return
    paths, skipped = task
    for file, path in enumerate(paths):
        names = {name for of, name in skipped if of == file}
        _say([file, ""])
        if "" not in names:
            _examine(file, Path(path), names)


def _say(value: Any) -> None:
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()


def _examine(of: int, path: Path, skipped: set[str]) -> None:
    try:
        with path.open("rb") as handle, h5py.File(handle, "r") as file:
            for name, thing in _things(file, "", set()):
                if name not in skipped:
                    _say([of, name])
                    signal.setitimer(signal.ITIMER_PROF, _SECONDS)
                    _say([of, *_found(file, name, thing)])
    except (OSError, RuntimeError, ValueError) as error:
        _say([of, "", f"{_NOT_OPENED} ({error})"])


def _things(group: h5py.Group, prefix: str, seen: set[int]) -> Iterator[tuple[str, h5py.Dataset | DataError]]:
    """All data sets below a group, and the problems of those groups that cannot be listed."""
    try:
        seen.add(h5py.h5o.get_info(group.id).addr)
        names = members(group)
    except (DataError, OSError, RuntimeError) as error:
        yield prefix.rstrip("/"), DataError(str(error))
        return
    for name in names:
        try:
            thing = group[name]
            is_new = h5py.h5o.get_info(thing.id).addr not in seen
        except (OSError, RuntimeError, KeyError, ValueError) as error:
            yield prefix + name, DataError(str(error))
            continue
        if isinstance(thing, h5py.Dataset):
            yield prefix + name, thing
        elif isinstance(thing, h5py.Group) and is_new and prefix.count("/") < _MOST_DEPTH:
            yield from _things(thing, f"{prefix}{name}/", seen)


def _found(file: h5py.File, name: str, thing: h5py.Dataset | DataError) -> Found:
    if isinstance(thing, DataError):
        return Found(name, f"it cannot be read: {thing}")
    try:
        return _read(file, name, thing)
    except DataError as error:
        return Found(name, f"{error} ({error.__cause__})" if error.__cause__ else str(error))


def _read(file: h5py.File, name: str, data: h5py.Dataset) -> Found:
    """Reads all of a data set, as what its name says that it is."""
    kind, *folders, last = name.split("/")
    if kind == "spikes":
        spikes = read_spikes(data, subgroup(file, "offsets", *folders))
        read_sampling(data, subgroup(file, "sampled_neurons", *folders[:1]))
        return Found(name, None, spikes.start, spikes.n_steps, spikes.dt)
    if kind in ("membrane", "variables"):
        values = read_membrane(data)
        return Found(name, None, values.start, values.n_steps, values.dt)
    if kind == "metadata":
        value = read_json(data)
        return Found(name, value=value if last == "config" else None)
    if kind == "weights":
        number(data, "t_start")
    check_own(data)
    read_array(data, "biufSV")
    return Found(name)


def _links(path: Path) -> list[str]:
    try:
        with path.open("rb") as handle, h5py.File(handle, "r") as file:
            groups = [subgroup(file, kind) for kind in (*KINDS, "metadata")]
            return sorted({name for group in groups if group is not None for name in group})
    except (DataError, OSError, RuntimeError):
        return []


def config_of(found: Sequence[Found]) -> Mapping[str, Any]:
    """The recorder's settings that a node's file holds; empty where it holds none."""
    values = [each.value for each in found if each.name == "metadata/config"]
    return values[0] if values and isinstance(values[0], dict) else {}
