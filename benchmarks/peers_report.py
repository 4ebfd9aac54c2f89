"""The tables and the picture of spikeloom beside its peers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from contest import CONTENDERS, OURS, step_ms
from results import Record, table
from workloads import TITLES

STYLES = {
    OURS: ("#0072B2", "o"),
    "snntorch": ("#D55E00", "s"),
    "snntorch-compiled": ("#E69F00", "D"),
    "spikingjelly": ("#009E73", "^"),
    "norse": ("#CC79A7", "v"),
    "spyx": ("#56B4E9", "P"),
}
"""Colour and mark of each contender."""
NOTHING = "–"

Case = tuple[str, str]
Figure = Callable[[Record], float]


class Found:
    """The records of every contender, asked by name and case (workload, mode)."""

    def __init__(self, records: Sequence[Record]) -> None:
        self.records = records
        self.names = list(dict.fromkeys(r["name"] for r in records))
        self.cases: list[Case] = list(dict.fromkeys((r["workload"], r["mode"]) for r in records))

    def of(self, name: str, case: Case) -> list[Record]:
        """The records that have figures, turn by turn."""
        given = (name, *case)
        return [r for r in self.records if (r["name"], r["workload"], r["mode"]) == given and "missing" not in r]

    def median(self, name: str, case: Case, figure: Figure) -> float | None:
        """The median of a figure over the turns; None where there is none."""
        values = [figure(r) for r in self.of(name, case)]
        return median(values) if values else None

    def best_peer(self, case: Case, figure: Figure) -> str | None:
        """The peer with the lowest figure."""
        measured = {n: value for n in self.names if n != OURS and (value := self.median(n, case, figure)) is not None}
        return min(measured, key=lambda name: measured[name]) if measured else None

    def ratio(self, case: Case, figure: Figure) -> str:
        """The best peer over ours, turn by turn: median (lowest-highest) and the peer."""
        peer = self.best_peer(case, figure)
        if peer is None or not self.of(OURS, case):
            return NOTHING
        theirs, ours = ({r["turn"]: figure(r) for r in self.of(name, case)} for name in (peer, OURS))
        ratios = [theirs[turn] / ours[turn] for turn in ours if turn in theirs]
        return f"**{median(ratios):.2f}** ({min(ratios):.2f}-{max(ratios):.2f}), {CONTENDERS[peer].title}"


def figures_table(found: Found, figure: Figure, form: str, compared: bool) -> str:
    """A row for each case, a column for each contender; compared: with the ratio of the best peer and ours."""
    titles = [CONTENDERS[name].title for name in found.names]
    head = ["workload", "", *titles, *(["best peer / spikeloom"] if compared else [])]
    rows = []
    for case in found.cases:
        values = [found.median(name, case, figure) for name in found.names]
        cells = [NOTHING if value is None else format(value, form) for value in values]
        rows.append([*case, *cells, *([found.ratio(case, figure)] if compared else [])])
    return table(head, rows)


def section(records: Sequence[Record], folder: Path) -> str:
    """The text of all tables; the picture is written into the folder."""
    found = Found(records)
    picture(found, folder / "peers.png")
    turns = max(r["turn"] for r in records) + 1
    steps = max((len(r["cpu"]) for r in records if "cpu" in r), default=0)
    workloads = dict.fromkeys(workload for workload, _ in found.cases)
    parts = [
        "\n".join(f"- {name}: {TITLES[name]}" for name in workloads),
        "float32, leaky neurons (decay 0.9, threshold 1, soft reset, arctan surrogate; Norse has only SuperSpike), "
        "Adam, cross entropy of the mean output. All start from the same weights and get the same input, spikeloom as "
        "events, the peers as a dense raster; a training step is forward, loss, backward and optimizer. Every peer is "
        "in the form in which it is the fastest here (`--forms`).",
        f"**CPU time of one thread, ms a step**: the median of {steps} steps after two to warm up, then over the turns "
        f"({turns}); ratio: turn by turn, median (lowest-highest).",
        figures_table(found, step_ms, ".1f", True),
        "![CPU time a step](peers.png)",
        "**Growth of memory, MB**: the peak while it runs above what data, network, optimizer and imports take.",
        figures_table(found, lambda r: r["growth"], ".0f", True),
        "**First step, CPU s**: of the first turn, with empty compile caches, imports aside; spikeloom's has its build "
        "in it.",
        figures_table(Found([r for r in records if r["turn"] == 0]), lambda r: r["first_cpu"], ".2f", False),
        "**Output spikes a neuron and step**, before training: whether all carry the same load. snnTorch resets one "
        "step late; Spyx compares one step late and has no bias on recurrent connections.",
        figures_table(found, lambda r: r["first_rate"], ".4f", False),
        *gaps(records),
    ]
    return "\n\n".join(parts)


def gaps(records: Sequence[Record]) -> list[str]:
    """Why figures are missing, as a paragraph, or nothing."""
    missing = dict.fromkeys((r["name"], r["workload"], r["mode"], r["missing"]) for r in records if "missing" in r)
    lines = [f"- {name}, {workload} {mode}: {why}" for name, workload, mode, why in missing]
    return ["Not measured:", "\n".join(lines)] if lines else []


def forms_section(records: Sequence[Record]) -> str:
    """A row for each form, with its CPU time in every case; the fastest of each framework in bold."""
    found = Found(records)
    framework = {r["name"]: r["framework"] for r in records}
    rows = []
    for name in found.names:
        cells = []
        for case in found.cases:
            same = [n for n in found.names if framework[n] == framework[name]]
            values = {n: v for n in same if (v := found.median(n, case, step_ms)) is not None}
            mine = values.get(name)
            cell = NOTHING if mine is None else f"{mine:.1f}"
            cells.append(f"**{cell}**" if mine is not None and mine == min(values.values()) else cell)
        rows.append([name, *cells])
    text = "CPU time of one thread, ms a step; the fastest form of each framework in bold."
    head = ["form", *(" ".join(case) for case in found.cases)]
    return "\n\n".join([text, table(head, rows), *gaps(records)])


def picture(found: Found, path: Path) -> None:
    """A panel for each mode: the CPU time of a step of every contender in every workload, on a logarithmic scale."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    modes = list(dict.fromkeys(mode for _, mode in found.cases))
    names = list(dict.fromkeys(workload for workload, _ in found.cases))
    size = (6.5 * len(modes), 1.6 + 0.9 * len(names))
    figure, axes = plt.subplots(1, len(modes), figsize=size, layout="constrained", squeeze=False)
    for panel, mode in zip(axes[0], modes, strict=True):
        dots(panel, found, [(workload, mode) for workload in names if (workload, mode) in found.cases])
        panel.set_title({"train": "Training", "infer": "Inference"}[mode], loc="left")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False)
    figure.savefig(path, dpi=120)


def dots(panel: Any, found: Found, cases: list[Case]) -> None:
    """Draws a row of marks for each case; between ours and the best peer's how many times faster ours is."""
    from matplotlib.ticker import LogLocator, NullFormatter

    for name in found.names:
        drawn = [(v, row) for row, case in enumerate(cases) if (v := found.median(name, case, step_ms)) is not None]
        times, rows = zip(*drawn, strict=True) if drawn else ((), ())
        colour, marker = STYLES[name]
        panel.scatter(times, rows, s=70, color=colour, marker=marker, label=CONTENDERS[name].title, zorder=3)
    for row, case in enumerate(cases):
        best = found.best_peer(case, step_ms)
        ours, theirs = (None if n is None else found.median(n, case, step_ms) for n in (OURS, best))
        if ours is not None and theirs is not None:
            panel.plot([ours, theirs], [row, row], color="grey", linewidth=1)
            panel.text((ours * theirs) ** 0.5, row - 0.12, f"{theirs / ours:.1f} x", ha="center", va="bottom")
    panel.set(xscale="log", xlabel="CPU ms a step", yticks=range(len(cases)), yticklabels=[w for w, _ in cases])
    panel.set_ylim(len(cases) - 0.5, -0.6)
    panel.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    panel.xaxis.set_major_formatter("{x:g}")
    panel.xaxis.set_minor_formatter(NullFormatter())
    panel.grid(axis="x", color="0.9")
    panel.spines[["top", "right", "left"]].set_visible(False)
