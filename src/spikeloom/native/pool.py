"""Work split over threads that wait passively: compiled calls release the interpreter, so Python threads will do."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from itertools import pairwise

from ..errors import ParameterError


class _Pool:
    """The executor of this process, made when first needed; whether the current thread is one of its threads."""

    def __init__(self) -> None:
        self._executor: ThreadPoolExecutor | None = None
        self.forget()

    def forget(self) -> None:
        """Drops what a forked child inherits: an executor without its threads, and a lock that may be held."""
        self._lock, self._executor, self._here = threading.Lock(), None, threading.local()

    def submit(self, function: Callable[[int, int], None], begin: int, end: int) -> Future[None]:
        with self._lock:
            if self._executor is None:
                self._executor = ThreadPoolExecutor(os.cpu_count() or 1, "spikeloom", self._enter)
            return self._executor.submit(function, begin, end)

    def inside(self) -> bool:
        return getattr(self._here, "inside", False)

    def _enter(self) -> None:
        self._here.inside = True


_pool = _Pool()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.forget)


def run(function: Callable[[int, int], None], n_units: int, threads: int = 1) -> None:
    """Calls function(begin, end) on ranges that together cover 0 .. n_units - 1, on up to `threads` threads at once.

    The caller's thread takes the first range. With one thread, or from within such a call, it is one direct call; with
    no units there is none. Returns when all ranges are done, and then passes on the first error among them.
    """
    if threads < 1:
        raise ParameterError(f"threads must be at least 1, got {threads}")
    parts = min(threads, n_units)
    if parts <= 1 or _pool.inside():
        if n_units > 0:
            function(0, n_units)
        return
    first, *ranges = pairwise(n_units * part // parts for part in range(parts + 1))
    others = [_pool.submit(function, begin, end) for begin, end in ranges]
    try:
        function(*first)
    finally:
        wait(others)
    for other in others:
        other.result()
