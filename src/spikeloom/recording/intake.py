"""The way of a recording from memory to the disk: tracks in which data wait, the thread that writes, why it stopped."""

from __future__ import annotations

import logging
import os
import shutil
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

from ..errors import StateError
from .background import Background, Task
from .config import RecorderConfig
from .layout import check_name, write_links
from .parts import BATCH_BYTES, Part
from .steps import Steps, divided
from .track import Handed, Key, Track
from .writing import NodeWriter

_BUFFER_BYTES = 4 * BATCH_BYTES
_MANY = 256
"""How many steps of layers are kept at most before they are looked at."""

_log = logging.getLogger(__name__)


class Intake:
    """Takes parts of layers and other tasks for the files of nodes, from any thread; another thread writes them.

    path: the session's folder, None for a recording that is off. told: is called with the reason when recording stops,
    and when a file of a node was begun, with none. What is taken is counted in layer-steps and bytes until it is on the
    disk; whoever brings more than there is room for waits.
    """

    def __init__(
        self, config: RecorderConfig, path: Path | None, told: Callable[[str | None, str | None], None]
    ) -> None:
        self.config, self.path = config, path
        self.stopped_by: str | None = None
        self.n_batches = 0
        self.tracks: dict[Key, Track] = {}
        self.began = time.monotonic()
        self._told, self._pid = told, os.getpid()
        self._is_stopped, self._is_failed, self._is_closed = path is None, False, False
        self._writers: dict[str, NodeWriter] = {}
        self._steps: list[tuple[Steps, Sequence[Any]]] = []
        self._parts: list[tuple[Track, Part]] = []
        self._n_steps, self._most_steps = 0, min(_MANY, config.buffer_size // 4)
        self._handed: list[Handed] = []
        self._n_waiting = self._n_queued = 0
        self._has_warned = False
        self.background = Background(
            "spikeloom recorder",
            most_steps=config.buffer_size,
            most_bytes=_BUFFER_BYTES,
            interval=config.flush_interval if config.auto_flush else None,
            collect=self._hand_over,
            failed=self._fail,
        )
        if path is not None:
            self.background.start()

    # ---- whether it takes anything

    @property
    def state(self) -> str:
        """'off', 'recording', 'stopped' or 'closed'."""
        if self.path is None:
            return "off"
        if self._is_closed:
            return "closed"
        return "stopped" if self._is_stopped else "recording"

    def is_on(self) -> bool:
        """Whether it takes what comes; StateError when it is closed, or was opened by another process."""
        if self._is_closed or os.getpid() != self._pid:
            self.check_process()
            raise StateError("SimulationRecorder is closed; make a new one with another session_name")
        limit = self.config.max_wall_seconds
        if limit is not None and not self._is_stopped and time.monotonic() - self.began >= limit:
            self.stop(f"max_wall_seconds: {limit:g} s have passed")
        return not self._is_stopped

    def is_open_for(self, key: Key) -> bool:
        """Whether it takes more of an observable of a layer."""
        track = self.tracks.get(key)
        return self.is_on() and not (track and track.is_full)

    def check_process(self) -> None:
        """StateError in a process that was forked from the one that opened it."""
        if os.getpid() != self._pid:
            raise StateError(
                f"SimulationRecorder belongs to process {self._pid}, and this is a fork of it; make a recorder here, "
                "with the same session_name and another node_id"
            )

    def stop(self, reason: str) -> None:
        """Takes nothing more; what was taken before is still written."""
        self._is_stopped = True
        self.note(reason)

    def note(self, reason: str) -> None:
        """Keeps the first reason why something is recorded no further."""
        if self.stopped_by is None and self.path is not None:
            self.stopped_by = reason
            _log.warning("recording %s stopped by %s", self.path.name, reason)
            self._told(reason, None)

    def _fail(self, error: Exception) -> None:
        """Stops the recording, not the run, when the disk refuses; nothing more is written."""
        self._is_failed = True
        if isinstance(error, OSError):
            self.stop(f"the disk: {error}; what came last was not written")
        else:
            _log.error("recording failed", exc_info=error)
            self.stop(f"an error: {type(error).__name__}: {error}; what came last was not written")

    @contextmanager
    def stopping_on_failure(self) -> Iterator[None]:
        """Stops the recording when the disk refuses what is done within."""
        try:
            yield
        except OSError as error:
            self._fail(error)

    # ---- what comes in

    def add_step(self, steps: Steps, found: Sequence[Any], n_layers: int, nbytes: int) -> bool:
        """Keeps a step of some layers, to be looked at with others; False where it takes no more, or has no room."""
        background = self.background
        with background.lock:
            if not self.is_on() or not background.has_room(n_layers, nbytes):
                return False
            self._steps.append((steps, found))
            background.hold(n_layers, nbytes)
            self._n_steps += n_layers
            if self._n_steps >= self._most_steps:
                self._settle()
        return True

    def _settle(self) -> None:
        """Puts the steps that were kept where they belong; what comes after a duration is full is dropped.

        Where Ctrl-C breaks it off, the next call goes on: Python looks for it between calls, and each thing is put and
        struck off the list without a call between.
        """
        if self._steps:
            groups = [(steps, [found for _, found in each]) for steps, each in groupby(self._steps, itemgetter(0))]
            fresh = [part for steps, taken in groups for part in steps.parts(taken)]
            self._parts += fresh
            self._steps, self._n_steps = [], 0
        if self._parts:
            while self._parts:
                self._settle_part(*self._parts[0])
            self._look(self.tracks.values())

    def _settle_part(self, track: Track, part: Part) -> None:
        """Puts the first of the parts, or divides it where the batch or the duration ends in it."""
        left, n_steps = track.left, part.n_steps
        if not left:
            self.background.give_back(n_steps, part.nbytes)
            del self._parts[0]
        elif left < n_steps:
            self._parts[:1] = [(track, each) for each in divided(part, left)]
        else:
            track.add(part)
            self._n_waiting += n_steps
            del self._parts[0]

    def settled(self) -> list[Track]:
        """All tracks, with all that was taken so far."""
        self.check_process()
        with self.background.lock:
            self._settle()
            return list(self.tracks.values())

    def add(self, key: Key, parts: Iterable[Part], dt: float, shape: tuple[int, ...]) -> None:
        """Takes parts of an observable of a layer that follow one another in its time, and lets its clock advance."""
        if not self.is_on():
            return
        for part in parts:
            with self.background.lock:
                self._settle()
                if (track := self._track(key, dt, shape)) is None:
                    return
                self._wait_for_room(part.n_steps, part.nbytes)
                if not self.is_on() or track.is_full:
                    return
                kept = track.within(part)
                track.add(kept)
                self._n_waiting += kept.n_steps
                self.background.hold(kept.n_steps, kept.nbytes)
                self._look((track,))

    def task(self, node: str, do: Callable[[NodeWriter], None], nbytes: int) -> None:
        """Has something done with the file of a node that needs so many bytes until then."""
        with self.background.lock:
            writer = self._writer(node)
            if writer is not None:
                self._wait_for_room(0, nbytes)
                if self.is_on():
                    self.background.submit(Task(partial(self._do, do, writer), 0, nbytes))
                    self.background.hold(0, nbytes)

    def _track(self, key: Key, dt: float, shape: tuple[int, ...]) -> Track | None:
        """The track of an observable of a layer, made with its first part; None where nothing of it is taken."""
        track = self.tracks.get(key)
        if track is None:
            for name, owner in zip(key, ("variable", "node_id", "layer"), strict=True):
                check_name(name, owner)
        if not self.is_on() or (track is None and self._writer(key.node) is None):
            return None
        if track is None:
            track = self.tracks[key] = Track(key, dt, shape, self.config)
        track.check(dt, shape)
        return None if track.is_full else track

    def _wait_for_room(self, n_steps: int, nbytes: int) -> None:
        self.background.wait_for_room(n_steps, nbytes)
        if not self._has_warned and self.background.blocked_seconds > 1:
            self._has_warned = True
            _log.warning(
                "the simulation has waited %.1f s for the recording to be written; record less, or a larger "
                "RecorderConfig.buffer_size for what comes in bursts",
                self.background.blocked_seconds,
            )

    def _look(self, tracks: Collection[Track]) -> None:
        """Hands over what is due in tracks that got something, and all where room gets short; says which are full."""
        if self.background.is_short or (self.config.auto_flush and 2 * self._n_waiting > self.config.buffer_size):
            self._hand_over()
        elif self.config.auto_flush and any(track.is_due for track in tracks):
            self._hand_over(whole=True)  # the others have come as far: one flush does for all
        for track in tracks:
            if track.is_full:
                name = f"{track.key.node}/{track.key.layer}"
                self.note(f"max_recording_duration: {self.config.max_recording_duration} s of {name} recorded")

    def _hand_over(self, *, whole: bool = False) -> None:
        """Has what waits written; whole: only full batches."""
        self._settle()
        for track in self.tracks.values():
            track.hand_over(self._handed, whole=whole)
        fresh = self._handed[self._n_queued :]
        if fresh:
            n_steps, nbytes = sum(each.n_steps for each in fresh), sum(each.nbytes for each in fresh)
            self.background.submit(Task(self._save, n_steps, nbytes))
            self._n_queued += len(fresh)
            self._n_waiting -= n_steps

    def _writer(self, node: str) -> NodeWriter | None:
        """The writer of a node's file, made when first needed; None where the disk refuses it."""
        if node not in self._writers and self.path is not None and not self._is_failed:
            with self.stopping_on_failure():
                self._writers[node] = NodeWriter(self.path, node, self.config)
                write_links(self.path)
                self._told(None, node)
        return None if self._is_failed else self._writers.get(node)

    # ---- what goes out, in the thread that writes

    def _do(self, do: Callable[[NodeWriter], None], writer: NodeWriter) -> None:
        if not self._is_failed:
            do(writer)
            writer.flush()

    def _save(self) -> None:
        """Writes the batches handed over, and has them in the files before it returns."""
        with self.background.lock:
            handed, self._handed, self._n_queued = self._handed, [], 0
        if self._is_failed or self.path is None:
            return
        free, full = shutil.disk_usage(self.path).free, None
        sizes: list[tuple[Track, int]] = []
        for each in handed:
            batch = each.track.batch(each)
            if free <= batch.nbytes:
                full = f"min_free_bytes: {free} bytes are free, a batch of {batch.nbytes} was not written"
                break
            observable, node, layer = each.track.key
            self._writers[node].write(layer, batch, each.track.sampling, observable)
            free -= batch.nbytes
            sizes.append((each.track, batch.size))
        for node in {track.key.node for track, _ in sizes}:
            self._writers[node].flush()
        for track, size in sizes:
            track.size += size
            self.n_batches += 1
        if full is not None:
            self._is_failed = True
            self.stop(full)
        elif free < self.config.min_free_bytes:
            self.stop(f"min_free_bytes: less than {self.config.min_free_bytes} bytes are free")

    # ---- the end

    def flush(self) -> None:
        """Returns when all that was taken before is on the disk."""
        self.check_process()
        if not self._is_closed:
            self.background.drain()

    def close(self) -> None:
        """Takes nothing more, writes what waits and closes the files."""
        with self.background.lock:
            self._is_closed = True
            self._hand_over()
        self.background.end()
        for writer in self._writers.values():
            with self.stopping_on_failure():
                writer.close()
