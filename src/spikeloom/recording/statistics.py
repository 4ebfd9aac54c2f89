"""What each recorder of a session says of itself, and what they say together.

<session>/recording_statistics.<8 hex>.json   one a recorder, written when it starts, stops and closes
<session>/recording_statistics.json           the sums of all of them, written by whoever stops or closes
"""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal, get_args
from uuid import uuid4

from ..errors import DataError
from ..storage import write_atomically
from .layout import is_name, json_text, write_settled, write_statistics

State = Literal["recording", "stopped", "closed"]

_JOINED = "recording_statistics.json"
_PARTS = "recording_statistics.????????.json"
_LONGEST = ("simulated_seconds", "wall_seconds")
"""Counts of which the session's is the largest of its recorders'; all others are summed."""
_MOST_BYTES = 1 << 24


@dataclass(frozen=True, kw_only=True)
class RecorderState:
    """What one recorder of a session last said of itself.

    pid and host: its process; process_start: when that began, as `process_start` tells. started and ended: seconds of
    the clock on the wall. counts: the numbers of `get_statistics()`; steps: those of each layer of each node.
    """

    recorder: str
    state: State
    pid: int
    host: str
    process_start: int
    started: float
    ended: float | None = None
    stopped_by: str | None = None
    nodes: Sequence[str] = ()
    config: Mapping[str, Any] = field(default_factory=dict)
    counts: Mapping[str, float] = field(default_factory=dict)
    steps: Mapping[str, Mapping[str, int]] = field(default_factory=dict)

    @property
    def is_here(self) -> bool:
        """Whether it ran on this machine, so that one can tell whether it is alive."""
        return self.host == socket.gethostname()

    @property
    def is_live(self) -> bool:
        """Whether it records: its state says so, and its process runs on this machine."""
        return self.state == "recording" and self.is_here and process_start(self.pid) == self.process_start

    @property
    def status(self) -> str:
        """'recording', 'stopped', 'closed', 'died', or where it records, as far as one can tell from here."""
        if self.state == "recording" and not self.is_live:
            return "died" if self.is_here else f"recording on {self.host}"
        return self.state


class StatisticsPart:
    """The file in which one recorder says what it does; written atomically by each call.

    statistics: what the recorder's `get_statistics()` returns. StorageError when the disk refuses.
    """

    def __init__(self, session: Path, config: Mapping[str, Any]) -> None:
        self._session = session
        self._said = RecorderState(
            recorder=uuid4().hex[:8],
            state="recording",
            pid=os.getpid(),
            host=socket.gethostname(),
            process_start=process_start(os.getpid()) or -1,
            started=time.time(),
            config=_plain(config),
        )

    def start(self) -> None:
        """Says that it records."""
        self._write({}, ())

    def update(self, statistics: Mapping[str, Any], nodes: Iterable[str] = ()) -> None:
        """Says what has been recorded so far, and which nodes it records besides those with steps."""
        self._write(statistics, nodes)

    def stop(self, reason: str, statistics: Mapping[str, Any], nodes: Iterable[str] = ()) -> None:
        """Says that it stopped by itself, and why; the session's statistics are joined."""
        reason = self._said.stopped_by or reason
        self._write(statistics, nodes, state="stopped", stopped_by=reason, ended=self._said.ended or time.time())
        join_statistics(self._session)

    def close(self, statistics: Mapping[str, Any], nodes: Iterable[str] = ()) -> None:
        """Says that it was closed; the session's statistics are joined."""
        self._write(statistics, nodes, state="closed", ended=self._said.ended or time.time())
        join_statistics(self._session)

    def _write(self, statistics: Mapping[str, Any], nodes: Iterable[str], **said: Any) -> None:
        found = _plain(statistics)
        steps = found.get("steps", self._said.steps)
        counts = {**self._said.counts, **{name: value for name, value in found.items() if _is_number(value)}}
        known = sorted({*self._said.nodes, *nodes, *steps})
        self._said = replace(self._said, nodes=known, counts=counts, steps=steps, **said)
        text = json_text(asdict(self._said), "statistics")
        write_atomically(self._session / f"recording_statistics.{self._said.recorder}.json", text.encode())


def read_recorders(session: Path) -> list[RecorderState]:
    """What the recorders of a session last said of themselves, in the order in which they started."""
    found = [read_recorder(path) for path in sorted(session.glob(_PARTS))]
    return sorted(found, key=lambda part: (part.started, part.recorder))


def joined(session: str, recorders: Sequence[RecorderState]) -> dict[str, Any]:
    """The statistics of a session: sums over its recorders, and the reason of the one that stopped first."""
    counts: dict[str, float] = {}
    steps: dict[str, dict[str, int]] = {}
    for part in recorders:
        for name, value in part.counts.items():
            counts[name] = max(counts.get(name, 0), value) if name in _LONGEST else counts.get(name, 0) + value
        for node, layers in part.steps.items():
            steps.setdefault(node, {}).update(layers)
    stopped = sorted((part for part in recorders if part.stopped_by is not None), key=lambda part: part.ended or 0.0)
    return {
        "session": session,
        **counts,
        "steps": steps,
        "stopped_by": stopped[0].stopped_by if stopped else None,
        "recorders": [asdict(part) for part in recorders],
    }


def join_statistics(session: Path) -> None:
    """Writes recording_statistics.json anew, until it holds what every recorder last said."""
    name = session.resolve().name
    write_settled(lambda: read_recorders(session), lambda parts: write_statistics(session, joined(name, parts)))


def read_joined(session: Path) -> dict[str, Any]:
    """What recording_statistics.json says; empty where there is none."""
    path = session / _JOINED
    return _mapping(path) if path.exists() else {}


def process_start(pid: int) -> int | None:
    """When a running process began, in clock ticks since the machine did; -1 where the system does not tell.

    None when it does not run.
    """
    proc = Path("/proc")
    if not (proc / "self" / "stat").exists():
        return -1 if _answers(pid) else None
    try:
        # The name of the program, in brackets, may hold blanks and brackets; the state and 18 numbers follow it.
        state, *numbers = (proc / str(pid) / "stat").read_bytes().rpartition(b")")[2].split()
    except (OSError, ValueError):
        return None
    return None if state in (b"Z", b"X") else int(numbers[18])


def _answers(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except OSError:
        return False
    return True


def read_recorder(path: Path) -> RecorderState:
    """What the part of one recorder holds; DataError for anything else."""
    said = _mapping(path)
    known = {f.name for f in fields(RecorderState)}
    try:
        part = RecorderState(**{name: value for name, value in said.items() if name in known})
    except TypeError as error:
        raise DataError(f"{path} must hold {', '.join(sorted(known))}: {error}") from error
    if not _is_sane(part) or part.recorder != path.name.split(".")[1]:
        raise DataError(f"{path} must be what a recorder wrote of itself, got {str(said)[:200]}")
    return part


def _is_sane(part: RecorderState) -> bool:
    return (
        isinstance(part.recorder, str)
        and part.state in get_args(State)
        and _is_count(part.pid)
        and 0 < part.pid < 1 << 31
        and isinstance(part.host, str)
        and _is_number(part.process_start)
        and _is_number(part.started)
        and (part.ended is None or _is_number(part.ended))
        and (part.stopped_by is None or isinstance(part.stopped_by, str))
        and isinstance(part.nodes, list)
        and all(isinstance(node, str) and is_name(node) for node in part.nodes)
        and isinstance(part.config, dict)
        and isinstance(part.counts, dict)
        and all(map(_is_number, part.counts.values()))
        and isinstance(part.steps, dict)
        and all(isinstance(n, dict) and all(map(_is_count, n.values())) for n in part.steps.values())
    )


def _mapping(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            content = file.read(_MOST_BYTES + 1)
        found = json.loads(content) if len(content) <= _MOST_BYTES else None
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{path} must be JSON: {error}") from error
    if not isinstance(found, dict):
        raise DataError(f"{path} must hold a mapping of at most {_MOST_BYTES} bytes, got {type(found).__name__}")
    return found


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(json_text(dict(values), "statistics"))
    return found


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1e300


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0
