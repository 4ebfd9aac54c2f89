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
from .consolidate import Progress
from .layout import KINDS, LINKS
from .reading import (
    DAMAGE,
    Stored,
    check_own,
    members,
    opened,
    read_array,
    read_json,
    read_membrane,
    read_sampling,
    read_spikes,
    subgroup,
)

_CHILD = """
import json, sys
sys.path[:] = json.loads(sys.argv[1])
from spikeloom.recording.examine import child
child()
"""
_SECONDS = 120
"""Processor time for one data set; HDF5 can hang on damaged files too."""
_MOST_CRASHES = 20
_MOST_DEPTH = 5
_NOT_OPENED = "it cannot be read as HDF5: it is damaged or was cut off"
_CRASH = "HDF5 crashes on it"


class Found(NamedTuple):
    """A data set, by its name in the file; or a group or, with the name '', the file itself, that has a problem.

    start, n_steps and dt are those of a batch, else 0. value: the JSON that metadata hold, and of the file that links
    to the nodes their names. n_bytes: how much of the file it takes.
    """

    name: str
    problem: str | None = None
    start: int = 0
    n_steps: int = 0
    dt: float = 0.0
    value: Any = None
    n_bytes: int = 0


def examine(paths: Sequence[Path], progress: Progress | None = None) -> list[list[Found]]:
    """What is in each of these HDF5 files: all data sets, each of which was read, with its problem if it has one.

    progress: is told the share of the bytes that were read.
    """
    found: list[list[Found]] = [[] for _ in paths]
    skipped: set[tuple[int, str]] = set()
    for _ in range(_MOST_CRASHES):
        found = [[] for _ in paths]
        crashed = _run_child(paths, skipped, found, progress or (lambda _: None))
        if crashed is None:
            break
        skipped.add(crashed)
    for file, name in skipped:
        found[file].append(Found(name, _CRASH))
    return found


def _run_child(
    paths: Sequence[Path], skipped: set[tuple[int, str]], found: list[list[Found]], progress: Progress
) -> tuple[int, str] | None:
    """Collects what a child finds; the number of the file and the name at which it crashed, or None."""
    at, done, all_bytes = (0, ""), 0, sum(path.stat().st_size for path in paths)
    task = json.dumps([[str(path) for path in paths], sorted(skipped)])
    command = [sys.executable, "-I", "-c", _CHILD, json.dumps(sys.path), task]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        for line in process.stdout or ():
            of, *said = json.loads(line)
            at = (of, said[0])
            if len(said) > 1:
                found[of].append(Found(*said))
                done += found[of][-1].n_bytes
                progress(min(1.0, done / max(1, all_bytes)))
    return at if process.returncode else None


def child() -> None:
    """The other process: does what argv[2] says, and writes what it finds to the standard output."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.setitimer(signal.ITIMER_PROF, _SECONDS)
    paths, skipped = json.loads(sys.argv[2])
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
        with opened(path) as (file, _):
            if path.name == LINKS:
                _say([of, *Found("", value=_linked(file))])
                return
            for name, thing in _things(file, "", set()):
                if name not in skipped:
                    _say([of, name])
                    signal.setitimer(signal.ITIMER_PROF, _SECONDS)
                    _say([of, *_found(file, name, thing)])
    except (DataError, *DAMAGE) as error:
        _say([of, "", f"{_NOT_OPENED} ({error})"])


def _things(group: h5py.Group, prefix: str, seen: set[int]) -> Iterator[tuple[str, h5py.Dataset | DataError]]:
    """All data sets below a group, and the problems of those groups that cannot be listed."""
    try:
        seen.add(h5py.h5o.get_info(group.id).addr)
        names = members(group)
    except (DataError, *DAMAGE) as error:
        yield prefix.rstrip("/"), DataError(str(error))
        return
    for name in names:
        try:
            thing = group[name]
            is_new = h5py.h5o.get_info(thing.id).addr not in seen
        except DAMAGE as error:
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
        return _read(file, name, thing)._replace(n_bytes=thing.id.get_storage_size())
    except DataError as error:
        return Found(name, f"{error} ({error.__cause__})" if error.__cause__ else str(error))


def _read(file: h5py.File, name: str, data: h5py.Dataset) -> Found:
    """Reads all of a data set, as what its name says that it is."""
    kind, *folders, last = name.split("/")
    stored = Stored(data.parent, last)
    if kind == "spikes":
        spikes = read_spikes(stored, subgroup(file, "offsets", *folders))
        read_sampling(stored, subgroup(file, "sampled_neurons", *folders[:1]))
        return Found(name, None, spikes.start, spikes.n_steps, spikes.dt)
    if kind in ("membrane", "variables"):
        values = read_membrane(stored)
        return Found(name, None, values.start, values.n_steps, values.dt)
    if kind == "metadata":
        value = read_json(data)
        return Found(name, value=value if last in ("config", "gaps") else None)
    if kind == "weights":
        stored.number("t_start")
    check_own(data)
    read_array(data, "biufSV")
    return Found(name)


def _linked(file: h5py.File) -> list[str]:
    """The nodes that the groups of recorded variables name, by links or as their own."""
    groups = [subgroup(file, kind) for kind in (*KINDS, "metadata")]
    return sorted({name for group in groups if group is not None for name in group})


def value_of(found: Sequence[Found], name: str) -> Mapping[str, Any]:
    """The mapping that a node's file holds as metadata of a name; an empty one where it holds none."""
    values = [each.value for each in found if each.name == f"metadata/{name}"]
    return values[0] if values and isinstance(values[0], dict) else {}


def nodes_in(found: Sequence[Found]) -> set[str]:
    """The nodes that a file names: its own, or those that it links to."""
    return {name for each in found if not each.name and each.problem is None for name in each.value or ()}
