"""What can be mended of a session is mended: what can be read of damaged files, links, what killed recorders owe."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

import h5py

from ..errors import DataError, StateError, StorageError
from ..storage import write_atomically
from .consolidate import Progress
from .examine import Found, examine, nodes_in
from .hdf5_file import Hdf5File
from .hdf5_salvage import extended_copy, indexed_copy
from .layout import LINKS, is_control_state, json_text, node_file, write_control_states, write_links
from .reading import attribute, damage_named
from .session import Session
from .statistics import RecorderState, join_statistics, read_recorder, read_recorders
from .verify import KILLED, all_nodes, check_session, files_of, node_problems, recorders_of, torn_lines

_FLUSHED_BYTES = 1 << 26
_QUIET_SECONDS = 3600


@dataclass(frozen=True)
class RepairReport:
    """What `repair` did, and what it could not read, a sentence each; a file that it replaced is kept as .damaged."""

    session: Path
    done: tuple[str, ...]
    lost: tuple[str, ...]

    def __str__(self) -> str:
        lines = [f"  {line}" for line in self.done] + [f"  lost: {line}" for line in self.lost]
        return "\n".join([f"{self.session}: {'repaired' if self.done else 'nothing to repair'}", *lines])


def repair(session: str | Path, progress: Progress | None = None) -> RepairReport:
    """Mends a session as far as it can be; a second call finds nothing to do.

    What can be read of a damaged file of a node becomes a new one. Control states that were cut off are left out. The
    recorders that were killed are marked with stopped_by 'killed'. The links and the joined files are written anew.
    progress: is told the share of the bytes that were read.
    StateError while the session is being recorded, DataError for a folder that is none, StorageError for a full disk.
    """
    path = check_session(session)
    for part in recorders_of(path)[0]:
        if part.is_live:
            raise StateError(f"repair: process {part.pid} is recording {path}; close that recorder first")
    done: list[str] = []
    lost: list[str] = []
    nodes = all_nodes(path)
    files = files_of(path, nodes)
    found = dict(zip(files, examine(list(files.values()), progress), strict=True))
    unlinked = set(nodes) - nodes_in(found.get(LINKS, []))
    for node in nodes:
        if not node_problems(path, node, found[node]):
            continue
        if (host := _recording_host(path, node)) is not None:
            lost.append(f"nodes/{node}.h5 is left alone, since {host} may still be recording it; repair it there")
            continue
        try:
            _salvage(node_file(path, node), done, lost)
        except OSError as error:
            raise StorageError(f"repair: cannot mend nodes/{node}.h5, which is as it was: {error}") from error
    done += [line for file in sorted(path.glob("control_states.*.jsonl")) for line in _without_torn_lines(file)]
    done += _with_recorders_marked(path)
    done += _joined(path, nodes if unlinked else [])
    return RepairReport(path, tuple(done), tuple(lost))


def _recording_host(session: Path, node: str) -> str | None:
    """The other machine on which a recorder of a node has not stopped, unless the file was not touched for long."""
    if time.time() - node_file(session, node).stat().st_mtime > _QUIET_SECONDS:
        return None
    parts = (part for part in recorders_of(session)[0] if part.state == "recording" and not part.is_here)
    return next((part.host for part in parts if node in part.nodes), None)


def _salvage(path: Path, done: list[str], lost: list[str]) -> None:
    """Puts what can be read of a damaged file in its place."""
    with TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as folder:
        copies = [Path(folder) / "extended.h5", Path(folder) / "indexed.h5"]
        extended_copy(path, copies[0])
        indexed_copy(path, copies[1])
        sources: dict[str, Path] = {}
        bad: dict[str, Found] = {}
        for copy, found in zip(copies, examine(copies), strict=True):
            sources |= {each.name: copy for each in found if each.problem is None and each.name not in sources}
            bad |= {each.name: each for each in found if each.problem is not None}
        unread = [name for name in bad if not any(f"{good}/".startswith(f"{name}/") for good in sources)]
        lost += [f"nodes/{path.name} /{name}: {bad[name].problem}" for name in sorted(unread)]
        if sources:
            _copy(sources, Path(folder) / "new.h5")
            kept = _keep(path)
            os.replace(Path(folder) / "new.h5", path)
            done.append(f"nodes/{path.name}: {len(sources)} data sets are in a new file; the old one is {kept.name}")
        elif not bad:
            lost.append(f"nodes/{path.name}: there is nothing in it")


def _copy(sources: dict[str, Path], target: Path) -> None:
    """Copies data sets from these files to a new one."""
    with ExitStack() as stack:
        opened = {path: stack.enter_context(h5py.File(path, "r")) for path in set(sources.values())}
        file = Hdf5File(target)
        stack.callback(file.close)
        waiting = 0
        for name, source in sorted(sources.items()):
            waiting += _copy_one(opened[source], name, file)
            if waiting > _FLUSHED_BYTES:
                file.flush()
                waiting = 0


@damage_named()
def _copy_one(source: h5py.File, name: str, file: Hdf5File) -> int:
    data = source[name]
    stated = {key: attribute(data, key, "biufS") for key in data.attrs if data.attrs.get_id(key).dtype.kind in "biufS"}
    level = data.compression_opts if data.compression == "gzip" else None
    file.dataset(name, data[()], stated, level or None)
    return int(data.nbytes)


def _keep(path: Path) -> Path:
    """The name, with .damaged behind it, under which a file stays that is to be replaced."""
    names = (f"{path.name}.damaged{n if n > 1 else ''}" for n in count(1))
    kept = next(path.with_name(name) for name in names if not path.with_name(name).exists())
    try:
        os.link(path, kept)
    except OSError:  # This file system has no links.
        shutil.copyfile(path, kept)
    return kept


def _without_torn_lines(path: Path) -> list[str]:
    torn = torn_lines(path)
    if not torn:
        return []
    lines = path.read_bytes().splitlines()
    kept = _keep(path)
    write_atomically(path, b"".join(line + b"\n" for line in lines if is_control_state(line + b"\n")))
    return [f"{path.name}: {len(torn)} lines that hold no control state are left out; the old file is {kept.name}"]


def _with_recorders_marked(session: Path) -> list[str]:
    """Marks the recorders that were killed, and puts damaged parts of the statistics aside."""
    done = []
    for path in sorted(session.glob("recording_statistics.????????.json")):
        try:
            read_recorder(path)
        except DataError:
            kept = _keep(path)
            path.unlink()
            done.append(f"{path.name} is damaged; it is {kept.name} now")
    for part in _as_written(session):
        if part.status == "died":
            marked = replace(part, state="stopped", stopped_by=KILLED, ended=part.ended or _last_write(session, part))
            text = json_text(asdict(marked), "statistics")
            write_atomically(session / f"recording_statistics.{part.recorder}.json", text.encode())
            done.append(f"recorder {part.recorder} is marked as killed")
    return done


def _as_written(session: Path) -> list[RecorderState]:
    """The recorders, those that did not close with the counts that their files hold, where those can be read."""
    try:
        with Session(session) as reader:
            return reader.recorders()
    except DataError:
        return read_recorders(session)


def _last_write(session: Path, part: RecorderState) -> float:
    files = [node_file(session, node) for node in part.nodes]
    return max([part.started, *(path.stat().st_mtime for path in files if path.exists())])


def _joined(session: Path, nodes: Sequence[str]) -> list[str]:
    """Writes the files that join those of the nodes anew; those that changed. nodes: those to link to, if any."""
    links = session / LINKS
    done = []
    if nodes:
        kept = f"; the old file is {_keep(links).name}" if links.exists() else ""
        write_links(session)
        done.append(f"{links.name} links to {', '.join(nodes)}{kept}")
    for name, write in (("control_states.jsonl", write_control_states), ("recording_statistics.json", join_statistics)):
        path = session / name
        before = path.read_bytes() if path.exists() else None
        if name == "control_states.jsonl" or any(session.glob("recording_statistics.????????.json")):
            write(session)
        if path.exists() and path.read_bytes() != before:
            done.append(f"{name} is joined anew")
    return done
