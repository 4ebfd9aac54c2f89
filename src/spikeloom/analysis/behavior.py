"""What a node did and for how long, from its control states."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any, Literal, NamedTuple

from ..errors import UnknownNameError
from ..registry import did_you_mean

Unit = Literal["ms", "steps"]


class Stay(NamedTuple):
    """A stretch of time, `begin` to `end`, during which a node kept its status and its task."""

    begin: float
    end: float
    status: str
    task: str | None


class Behavior(NamedTuple):
    """How a node spent its time. A state lasts until the node's next record; the last one marks the end.

    Times are simulated: in ms where the records tell it, else in the node's steps; `unit` says which.
    `task_active_ratio` is the part of the time with an active task, or of the records where all are of one moment.
    `status_counts` counts records. `transitions` are (time, status before, status after). `stays` follow one another
    without a gap.
    """

    records: int
    task_active_ratio: float
    unique_statuses: list[str]
    unique_tasks: list[str]
    status_counts: dict[str, int]
    step_range: tuple[int, int]
    unit: Unit
    time_in_status: dict[str, float]
    time_on_task: dict[str, float]
    transitions: list[tuple[float, str, str]]
    stays: list[Stay]


class _Record(NamedTuple):
    time: float
    status: str
    task: str | None


def node_behavior(states: Sequence[Mapping[str, Any]], node: str) -> Behavior:
    """The behaviour of a node, from the control states of all nodes; whenever by the wall clock they were written."""
    own = [state for state in states if state["node_id"] == node]
    if not own:
        known = sorted({str(state["node_id"]) for state in states})
        hint = did_you_mean(node, known)
        raise UnknownNameError(f"no control states of node {node!r}{hint} Recorded: {', '.join(known) or 'none'}")
    unit: Unit = "ms" if len({state.get("t") for state in own}) > 1 and all("t" in state for state in own) else "steps"
    own.sort(key=lambda state: (state["t"] if unit == "ms" else 0, state["step_count"]))
    records = [_record(state, "t" if unit == "ms" else "step_count") for state in own]
    stays, tasks = _stays(records), [record.task for record in records]
    whole = records[-1].time - records[0].time
    on_task = _totals((stay.task, stay.end - stay.begin) for stay in stays if stay.task is not None)
    steps = [int(state["step_count"]) for state in own]
    return Behavior(
        records=len(own),
        task_active_ratio=(
            sum(on_task.values()) / whole if whole else sum(task is not None for task in tasks) / len(tasks)
        ),
        unique_statuses=sorted({record.status for record in records}),
        unique_tasks=sorted({task for task in tasks if task is not None}),
        status_counts=dict(sorted(Counter(record.status for record in records).items())),
        step_range=(min(steps), max(steps)),
        unit=unit,
        time_in_status=_totals((stay.status, stay.end - stay.begin) for stay in stays),
        time_on_task=on_task,
        transitions=[(b.time, a.status, b.status) for a, b in pairwise(records) if a.status != b.status],
        stays=stays,
    )


def _record(state: Mapping[str, Any], clock: str) -> _Record:
    task = state.get("active_task")
    return _Record(state[clock], str(state["status"]), None if not task else str(task))


def _stays(records: Sequence[_Record]) -> list[Stay]:
    """The stretches of one status and task; records of which the next is of the same moment last no time."""
    stays: list[Stay] = []
    for record, after in pairwise(records):
        found = Stay(record.time, after.time, record.status, record.task)
        if found.end == found.begin:
            continue
        if stays and stays[-1][2:] == found[2:]:
            found = found._replace(begin=stays.pop().begin)
        stays.append(found)
    return stays


def _totals(parts: Iterable[tuple[str, float]]) -> dict[str, float]:
    totals: dict[str, float] = {}
    for name, time in parts:
        totals[name] = totals.get(name, 0) + time
    return dict(sorted(totals.items()))
