"""A session followed while it is written: what is new since the last look is read, and nothing else."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import h5py

from ..errors import DataError, ParameterError, StateError
from ..registry import did_you_mean
from ..units import check_dt, times
from .batches import MembraneBatch, SpikeBatch
from .layout import batch_key, key_time, nanoseconds, node_file, node_names
from .reading import (
    Stored,
    batch_names,
    damage_named,
    has_own,
    members,
    name_of,
    opened,
    read_membrane,
    read_spikes,
    subgroup,
)
from .session import is_session
from .statistics import RecorderState, read_joined, read_recorders

Kind = Literal["spikes", "membrane"]

_MOST_BATCHES, _MOST_VALUES = 64, 1 << 22
"""What one update holds at most; the rest comes with the next."""
_PATIENCE = 5.0
"""The seconds for which a file may be unreadable while it is written."""
_GRACE = 2.0
"""The seconds without anything new after which a recorder that has stopped is believed to write no more."""
_LISTING_SHARE = 20
"""A search for batches behind a gap takes at most one part in so many of the time."""
_FRESH = 1_000_000_000
"""The ns for which a file's time of change is not trusted: the file system's clock may not have moved on."""


@dataclass(frozen=True)
class Update:
    """Batches of one layer that are new, in the order of time: of spikes or of potentials, as `kind` says."""

    node: str
    layer: str
    kind: Kind
    batches: tuple[SpikeBatch | MembraneBatch, ...]


def follow(
    session: str | Path,
    poll: float = 0.1,
    *,
    kinds: Sequence[Kind] = ("spikes",),
    node: str | None = None,
    layer: str | None = None,
    history: bool = True,
    wait: float = 60.0,
    timeout: float | None = None,
) -> Follower:
    """An iterator over what is written to a session, from its beginning to its end; looks every `poll` seconds.

    kinds: 'spikes', 'membrane' or both. node, layer: only these, None for all. history: what had been written before
    the first look comes too; otherwise only the last batch of it. The session may not have begun yet: `wait` is for how
    many seconds it may not, then StateError is raised. The iterator ends when all recorders have closed or died, or
    when nothing new came for `timeout` seconds; its `reason` says which. Nothing is locked, and the writers do not
    notice. Raises DataError for a file that stays unreadable.
    """
    return Follower(Path(session), poll, kinds, node, layer, history, wait, timeout)


class Follower(Iterator[Update]):
    """What `follow` returns. reason: why it ended, None while it goes on."""

    def __init__(
        self,
        session: Path,
        poll: float,
        kinds: Sequence[Kind],
        node: str | None,
        layer: str | None,
        history: bool,
        wait: float,
        timeout: float | None,
    ) -> None:
        self.reason: str | None = None
        self._session, self._history, self._kinds = session, history, _checked_kinds(kinds)
        self._node, self._layer = node, layer
        self._poll = _seconds(poll, "follow.poll")
        self._wait = _seconds(wait, "follow.wait")
        self._timeout = None if timeout is None else _seconds(timeout, "follow.timeout")
        self._queue: deque[Update] = deque()
        self._cursors: dict[tuple[str, str, str], _Cursor] = {}
        self._seen: dict[str, tuple[int, int]] = {}
        self._trouble: dict[str, tuple[float, str]] = {}
        self._news = self._began = time.monotonic()
        self._has_begun = False

    def __next__(self) -> Update:
        while not self._queue:
            if self.reason is not None:
                raise StopIteration
            self._queue.extend(self.look())
            if not self._queue and self.reason is None:
                time.sleep(self._poll)
        return self._queue.popleft()

    def look(self) -> list[Update]:
        """What is new right now, without waiting; sets `reason` when nothing more is to come."""
        if self.reason is not None or not self._begun():
            return []
        # Asked before the files are read: what a recorder wrote before it ended is read after that.
        end = _end_of(self._session, time.monotonic() - self._news > _GRACE)
        updates = [update for node in self._nodes() for update in self._news_of(node, end is not None)]
        now = time.monotonic()
        if updates:
            self._news = now
        elif end is not None:
            self.reason = "; ".join([end, *(error for _, error in self._trouble.values())])
        elif self._timeout is not None and now - self._news >= self._timeout:
            self.reason = f"nothing new for {self._timeout:g} s"
        return updates

    def _begun(self) -> bool:
        now = time.monotonic()
        if not self._has_begun and is_session(self._session):
            self._has_begun, self._news = True, now
        if not self._has_begun and now - self._began >= self._wait:
            raise StateError(
                f"follow.session must be a session that begins within {self._wait:g} s, but there is none at "
                f"{self._session}; start its recorder, or wait longer"
            )
        return self._has_begun

    def _nodes(self) -> list[str]:
        return [name for name in node_names(self._session) if self._node in (None, name)]

    def _news_of(self, node: str, ended: bool) -> list[Update]:
        path = node_file(self._session, node)
        try:
            status = path.stat()
        except FileNotFoundError:
            return []
        signature = (status.st_size, status.st_mtime_ns)
        if self._seen.get(node) == signature and not (ended and node in self._trouble):
            return []
        self._seen.pop(node, None)
        updates: list[Update] = []
        try:
            self._read(path, node, ended, updates)
        except DataError as error:
            since, _ = self._trouble.setdefault(node, (time.monotonic(), f"{path.name}: {error}"))
            if not ended and time.monotonic() - since > _PATIENCE:
                raise DataError(f"{path}: {error}") from error
            return updates
        self._trouble.pop(node, None)
        at_end = all(cursor.is_at_end for (_, name, _), cursor in self._cursors.items() if name == node)
        if at_end and time.time_ns() - status.st_mtime_ns > _FRESH:
            self._seen[node] = signature
        return updates

    def _layers(self, group: h5py.Group | None) -> list[str]:
        return [] if group is None else [name for name in members(group) if self._layer in (None, name)]

    @damage_named()
    def _read(self, path: Path, node: str, ended: bool, updates: list[Update]) -> None:
        """Adds the news of a node to the updates; those before an error are kept, as they are read once only."""
        with opened(path) as (file, descriptor):
            for kind in self._kinds:
                group = subgroup(file, kind, node)
                for layer in self._layers(group):
                    cursor = self._cursors.setdefault((kind, node, layer), _Cursor(kind, self._history))
                    found: list[SpikeBatch | MembraneBatch] = []
                    batches, offsets = (subgroup(file, part, node, layer) for part in (kind, "offsets"))
                    try:
                        cursor.advance(batches, offsets, descriptor, ended, found)
                    finally:
                        if found:
                            updates.append(Update(node, layer, kind, tuple(found)))


class _Cursor:
    """How far a layer has been read. is_at_end: there was nothing behind that when it was last asked."""

    def __init__(self, kind: Kind, history: bool) -> None:
        self.is_at_end = False
        self._kind = kind
        self._from_first = history
        self._next: str | None = None
        self._last = -1
        self._listed = self._cost = 0.0

    def advance(
        self,
        group: h5py.Group | None,
        offsets: h5py.Group | None,
        file: int,
        search: bool,
        found: list[SpikeBatch | MembraneBatch],
    ) -> None:
        """Adds the next batches; behind a gap too, at once when `search`, else as soon as that takes little time."""
        self.is_at_end = group is None
        while group is not None and len(found) < _MOST_BATCHES and sum(b.size for b in found) < _MOST_VALUES:
            name = self._next
            if (name is None or not has_own(group, name)) and (name := self._listed_next(group, search)) is None:
                break
            self._next = name
            data = Stored(group, name, file)
            batch = read_membrane(data) if self._kind == "membrane" else read_spikes(data, offsets)
            self._pass(name, batch, name_of(data))
            found.append(batch)

    def _listed_next(self, group: h5py.Group, search: bool) -> str | None:
        """The first batch behind the last one read, found by going through all names."""
        begun = time.monotonic()
        if not search and begun - self._listed < _LISTING_SHARE * self._cost:
            return None
        names = [name for name in batch_names(group) if (key_time(name) or 0) > self._last]
        self._listed = time.monotonic()
        self._cost = self._listed - begun
        self.is_at_end = not names
        if not names:
            return None
        return names[0] if self._from_first or self._last >= 0 else names[-1]

    def _pass(self, name: str, batch: SpikeBatch | MembraneBatch, owner: str) -> None:
        at, end = key_time(name), times(batch.start + batch.n_steps, batch.dt)
        if at is None or nanoseconds(end) <= at:
            raise DataError(f"{owner} must end after it begins, got {batch.n_steps} steps of {batch.dt} ms")
        self._last = at
        padded = batch_key(end)
        self._next = padded if len(name) == len(padded) else f"t_{nanoseconds(end)}"


def _end_of(session: Path, is_quiet: bool) -> str | None:
    """Why no recorder writes to a session any more; None while one does, or where one cannot tell from here.

    A recorder that has stopped may still write what waited, until it is quiet.
    """
    recorders = read_recorders(session)
    if not recorders:  # the layout of version 1 tells of the end only
        statistics = read_joined(session)
        return _closed(statistics.get("stopped_by")) if statistics else None
    if any(not _is_over(recorder, is_quiet) for recorder in recorders):
        return None
    died = [recorder for recorder in recorders if recorder.status == "died"]
    stopped = next((recorder.stopped_by for recorder in recorders if recorder.stopped_by is not None), None)
    words = [f"the recorder of {', '.join(part.nodes) or 'no node'} died (process {part.pid})" for part in died]
    if len(died) < len(recorders):
        words.append(_closed(stopped))
    return "; ".join(words)


def _is_over(recorder: RecorderState, is_quiet: bool) -> bool:
    return recorder.status in ("closed", "died") or (recorder.status == "stopped" and is_quiet)


def _closed(stopped_by: object) -> str:
    return "closed" if stopped_by is None else f"stopped by {stopped_by}"


def _checked_kinds(kinds: Sequence[Kind]) -> tuple[Kind, ...]:
    known = get_args(Kind)
    if isinstance(kinds, str) or not kinds:
        raise ParameterError(f"follow.kinds must be a list of some of {', '.join(known)}, got {kinds!r}")
    for kind in kinds:
        if kind not in known:
            hint = did_you_mean(str(kind), known)
            raise ParameterError(f"follow.kinds: unknown kind {kind!r}{hint} There are: {', '.join(known)}")
    return tuple(kinds)


def _seconds(value: float, owner: str) -> float:
    try:
        return check_dt(value, owner)
    except ParameterError:
        raise ParameterError(f"{owner} must be a positive number of seconds, got {value!r}") from None
