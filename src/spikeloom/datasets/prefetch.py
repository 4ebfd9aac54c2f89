"""Work done ahead by threads, its results in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from threading import Event
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def in_order(job: Callable[[T, Event], R], tasks: Iterable[T], workers: int) -> Iterator[R]:
    """job(task, stop) of each task, in the order of the tasks, done by `workers` threads; by none where that is 0.

    At most 2 * workers results are made ahead. What a job raises comes out in its place, behind the results before it.
    `stop` is set when nobody wants results any more: a long job should look at it. Ending waits for no job.
    """
    stop = Event()
    if not workers:
        yield from (job(task, stop) for task in tasks)
        return
    pool, rest = ThreadPoolExecutor(workers, thread_name_prefix="Dataloader"), iter(tasks)
    begun: deque[Future[R]] = deque()
    try:
        begun.extend(pool.submit(job, task, stop) for task in islice(rest, 2 * workers))
        while begun:
            result = begun.popleft().result()
            begun.extend(pool.submit(job, task, stop) for task in islice(rest, 1))
            yield result
    finally:
        stop.set()
        pool.shutdown(wait=False, cancel_futures=True)
