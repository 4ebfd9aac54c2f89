"""How the cost of a training step grows with steps, batch, hidden size and input density, ours and the best peer's."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import NamedTuple

import contest
from contest import CONTENDERS, OURS, step_ms
from peers_report import STYLES, Found, gaps
from results import Record, Records, exponent, table
from workloads import WORKLOADS

AXES: dict[str, dict[str, tuple[float, ...]]] = {
    "W1": {
        "n_steps": (6, 12, 25, 50, 100),
        "batch": (32, 64, 128, 256),
        "hidden": (250, 500, 1000, 2000),
        "density": (0.01, 0.03, 0.1, 0.3),
    },
    "W4": {
        "n_steps": (75, 150, 300, 600, 1200),
        "batch": (16, 32, 64, 128),
        "hidden": (64, 128, 256, 512),
        "density": (0.005, 0.02, 0.08, 0.3),
    },
}
"""What is varied around each workload; hidden: the size of every hidden population."""

TITLES = {"n_steps": "steps T", "batch": "batch", "hidden": "hidden neurons", "density": "input density"}
UNBOUNDED = "snntorch-compiled"
"""Left out: it compiles anew for every shape, for minutes."""


class Line(NamedTuple):
    """One contender along one axis of a workload: values, CPU ms and MB at each."""

    workload: str
    axis: str
    name: str
    values: list[float]
    time: list[float]
    memory: list[float]


def measure(args: argparse.Namespace, records: Records) -> list[Record]:
    """The records of ours and of the peer that is the fastest at the workload itself, along every axis."""
    found = []
    for workload in (name for name in args.workloads if name in AXES):
        peers = [name for name in args.peers if name not in (OURS, UNBOUNDED)]
        centre = [contest.case(name, workload, "train", 0) for name in peers]
        best = Found(contest.run(centre, records, args.repeats)).best_peer((workload, "train"), step_ms)
        names = [OURS, *([best] if best else [])]
        cases = [
            contest.case(name, workload, "train", turn, {axis: value})
            for axis, values in AXES[workload].items()
            for value in values
            for turn in range(args.turns)
            for name in names
        ]
        found += contest.run(cases, records, args.repeats)
    return found


def lines(records: Sequence[Record]) -> list[Line]:
    """The medians over the turns, along every axis of every workload, for each contender."""
    made = []
    for workload, axes in AXES.items():
        for axis in axes:
            along = [r for r in records if r["workload"] == workload and axis in r["changes"] and "cpu" in r]
            for name in dict.fromkeys(r["name"] for r in along):
                own = [r for r in along if r["name"] == name]
                values = sorted({r["changes"][axis] for r in own})
                time, memory = (
                    [median(figure(r) for r in own if r["changes"][axis] == v) for v in values] for figure in FIGURES
                )
                made.append(Line(workload, axis, name, values, time, memory))
    return made


def _growth(record: Record) -> float:
    return float(record["growth"])


FIGURES: tuple[Callable[[Record], float], ...] = (step_ms, _growth)


def section(records: Sequence[Record], folder: Path) -> str:
    """The table; the picture is written into the folder."""
    drawn = lines(records)
    rows = [
        [
            line.workload, TITLES[line.axis], CONTENDERS[line.name].title, spread(line.values), spread(line.time),
            power(line.values, line.time), spread(line.memory), power(line.values, line.memory),
        ]
        for line in drawn
    ]  # fmt: skip
    picture(drawn, folder / "growth.png")
    head = ["around", "varied", "framework", "values", "CPU ms a training step", "exponent", "MB", "exponent"]
    text = (
        "One training step; exponent of a power law fitted to cost against value (1 is linear). The peer is the one "
        "that is the fastest at the workload itself, torch.compile aside. More input makes more neurons fire."
    )
    return "\n\n".join([text, table(head, rows), "![Growth](growth.png)", *gaps(records)])


def spread(values: Sequence[float]) -> str:
    return ", ".join(f"{value:.3g}" if value < 1000 else f"{value:.0f}" for value in values)


def power(values: Sequence[float], costs: Sequence[float]) -> str:
    return f"{exponent(values, costs):.2f}" if len(values) > 1 and min(costs) > 0 else "–"


def picture(drawn: Sequence[Line], path: Path) -> None:
    """A panel for each workload and axis, both scales logarithmic."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    workloads = list(dict.fromkeys(line.workload for line in drawn))
    size = (3.2 * len(TITLES), 3.2 * len(workloads))
    figure, axes = plt.subplots(
        len(workloads), len(TITLES), figsize=size, layout="constrained", squeeze=False, sharey="row"
    )
    for line in drawn:
        panel = axes[workloads.index(line.workload), list(TITLES).index(line.axis)]
        label = f"{CONTENDERS[line.name].title}, exponent {power(line.values, line.time)}"
        colour, marker = STYLES[line.name]
        panel.plot(line.values, line.time, color=colour, marker=marker, label=label)
        panel.set(xscale="log", yscale="log", xlabel=TITLES[line.axis], title=f"{line.workload}: {line_title(line)}")
        panel.set_xticks(line.values, labels=[f"{v:g}" for v in line.values], minor=False)
        panel.minorticks_off()
        panel.spines[["top", "right"]].set_visible(False)
        panel.legend(frameon=False, fontsize="x-small", loc="upper left")
    for row in axes:
        row[0].set_ylabel("CPU ms a training step")
        low, high = row[0].get_ylim()
        row[0].set_ylim(low, high * 2)
    figure.savefig(path, dpi=120)


def line_title(line: Line) -> str:
    given = WORKLOADS[line.workload]
    at = {"n_steps": given.n_steps, "batch": given.batch, "hidden": given.sizes[1], "density": given.density}
    return f"{TITLES[line.axis]} ({at[line.axis]:g})"
