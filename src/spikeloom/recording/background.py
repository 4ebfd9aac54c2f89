"""The thread that writes, and the room for what waits for it."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import NamedTuple


class Task(NamedTuple):
    """Something to do, and how much room what it needs takes until it is done."""

    do: Callable[[], None]
    n_steps: int = 0
    nbytes: int = 0


class Background:
    """A thread that does tasks one after the other. What they need has a bounded room: who needs more waits for it.

    lock: is held by those who call `has_room`, `wait_for_room`, `hold`, `give_back` and `submit`, and by nobody for
    long.
    most_steps, most_bytes: the room; what alone needs more bytes gets in once the room is empty. collect: hands over,
    as tasks, what holds room but waits outside; it is called with the lock held, whenever room is short and every
    `interval` seconds (None: never). failed: takes what a task raises. blocked_seconds: how long callers have waited
    for room; cpu_seconds: the processor time of the thread.
    """

    def __init__(
        self,
        name: str,
        *,
        most_steps: int,
        most_bytes: int,
        interval: float | None,
        collect: Callable[[], None],
        failed: Callable[[Exception], None],
    ) -> None:
        self.lock = threading.RLock()  # that of a Condition may stay locked where Ctrl-C comes amid `with`
        self._changed = threading.Condition(self.lock)
        self.blocked_seconds = self.cpu_seconds = 0.0
        self._name, self._most_steps, self._most_bytes = name, most_steps, most_bytes
        self._interval, self._collect, self._failed = interval, collect, failed
        self._n_steps = self._nbytes = self._submitted = self._done = self._blocked = 0
        self._tasks: deque[Task] = deque()
        self._due = 0.0
        self._ending = False
        self._thread: threading.Thread | None = None

    @property
    def is_short(self) -> bool:
        """Whether somebody waits for room."""
        return self._blocked > 0

    def start(self) -> None:
        """Starts the thread."""
        self._due = time.monotonic() + (self._interval or 0.0)
        self._thread = threading.Thread(target=self._work, name=self._name, daemon=True)
        self._thread.start()

    def has_room(self, n_steps: int, nbytes: int) -> bool:
        """Whether there is room for so much more."""
        return self._n_steps + n_steps <= self._most_steps and (
            not self._nbytes or self._nbytes + nbytes <= self._most_bytes
        )

    def wait_for_room(self, n_steps: int, nbytes: int) -> None:
        """Returns when there is room, with the lock held; it is free meanwhile."""
        if not self.has_room(n_steps, nbytes):
            began = time.monotonic()
            self._blocked += 1
            try:
                self._collect()
                self._changed.wait_for(lambda: self.has_room(n_steps, nbytes))
            finally:
                self._blocked -= 1
                self.blocked_seconds += time.monotonic() - began

    def hold(self, n_steps: int, nbytes: int) -> None:
        """Takes room for what has been kept; Ctrl-C before it leaves too much room, which does no harm."""
        self._n_steps += n_steps
        self._nbytes += nbytes

    def give_back(self, n_steps: int, nbytes: int) -> None:
        """Gives room back."""
        self._n_steps -= n_steps
        self._nbytes -= nbytes
        self._changed.notify_all()

    def submit(self, task: Task) -> None:
        """Puts a task behind the others; its room is held already, and is given back when it is done."""
        self._tasks.append(task)
        self._submitted += 1
        self._changed.notify_all()

    def drain(self) -> None:
        """Returns when all that was handed over before has been done."""
        with self.lock:
            self._collect()
            last = self._submitted
            self._changed.wait_for(lambda: self._done >= last)

    def end(self) -> None:
        """Does what is left and ends the thread."""
        with self.lock:
            self._ending = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join()

    def _work(self) -> None:
        while (task := self._next()) is not None:
            try:
                task.do()
            except Exception as error:  # noqa: BLE001  whatever it is, the next task and those who wait must go on
                self._failed(error)
            self.cpu_seconds = time.thread_time()
            with self.lock:
                self._done += 1
                self.give_back(task.n_steps, task.nbytes)

    def _next(self) -> Task | None:
        """The next task, when there is one; None at the end."""
        with self.lock:
            while True:
                left = None if self._interval is None else self._due - time.monotonic()
                if left is not None and self._interval is not None and left <= 0:
                    try:
                        self._collect()
                    except Exception as error:  # noqa: BLE001  as of a task
                        self._failed(error)
                    self._due = time.monotonic() + self._interval
                    continue
                if self._tasks:
                    return self._tasks.popleft()
                if self._ending:
                    return None
                self._changed.wait(left)
