"""The kernel path against the torch path over layer sizes, input densities, firing rates and numbers of steps.

Each point is one population of n neurons behind n inputs, fully connected, and a read-out of 10. Its biases are
found so that it fires at the wanted rate. Both paths run in this process, step by step in turn, from the same weights.
"""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from measuring import versions
from results import Record, Records, table
from workloads import DECAY, THRESHOLD, Weights, Workload, data, weights

AXES = {"n": (16, 4096), "density": (0.002, 0.5), "rate": (0.005, 0.5), "n_steps": (1, 2000)}
"""Lowest and highest value of each axis."""

TITLES = {"n": "neurons and inputs", "density": "input density", "rate": "firing rate", "n_steps": "steps T"}
OPERATIONS = 3e10
"""About how many additions and multiplications a training step may take densely; it bounds the batch."""
TOO_MANY = 2.5e11
"""A point that takes more with a batch of one is left out."""
LIMIT = 1.1
"""What the kernel path may take, in times of the torch path."""
SECONDS = 1.0
"""How long a pair of steps is repeated, at least three and at most forty times."""


@dataclass(frozen=True)
class Point:
    """One population: its kind, size, input density, wanted firing rate, steps and batch."""

    kind: str
    n: int
    density: float
    rate: float
    n_steps: int
    batch: int

    @property
    def workload(self) -> Workload:
        """The population as a workload; the gain keeps the spread of the current the same at every density."""
        gains = (0.3 / math.sqrt(self.density / 3), 1.0, 1.0)
        return Workload(
            kind=self.kind, sizes=(self.n, self.n, 10), n_steps=self.n_steps, batch=self.batch, density=self.density,
            gains=gains if self.kind == "recurrent" else gains[:2],
        )  # fmt: skip


def point(kind: str, n: float, density: float, rate: float, n_steps: float) -> Point | None:
    """The point with the largest batch up to 64 that stays below OPERATIONS; None where even one sample is too much."""
    size, steps = round(n), max(1, round(n_steps))
    operations = 6.0 * size * size * steps * (2 if kind == "recurrent" else 1)
    if operations > TOO_MANY:
        return None
    return Point(
        kind, size, round(float(density), 5), round(float(rate), 5), steps, int(np.clip(OPERATIONS / operations, 1, 64))
    )


def design(count: int) -> list[Point]:
    """The corners of the axes, then `count` points spread evenly over them, every fifth recurrent; repeatable."""
    from scipy.stats import qmc

    low, high = np.log(np.array(list(AXES.values()), float)).T
    spread = np.exp(low + qmc.Halton(len(AXES), seed=0).random(count) * (high - low))
    kinds = ["recurrent" if i % 5 == 4 else "feedforward" for i in range(count)]
    corners = [("feedforward", *values) for values in itertools.product(*AXES.values())]
    found = [point(kind, *values) for kind, *values in [*corners, *zip(kinds, *spread.T, strict=True)]]
    return list(dict.fromkeys(p for p in found if p is not None))


def tuned(given: Point) -> list[Weights]:
    """The weights of the point, with biases around the value at which its population fires at the wanted rate."""
    workload = given.workload
    raster = data(workload)[0][: min(given.n_steps, 200), :4]
    drawn = weights(workload)
    first = drawn[0]
    spread = np.random.default_rng(2).normal(0, 0.3, given.n).astype(np.float32)
    currents = raster @ first.weight.T + spread
    low, high = -3.0, 3.0
    for _ in range(14):
        middle = (low + high) / 2
        low, high = (middle, high) if fired(currents + middle) < given.rate else (low, middle)
    return [Weights(first.weight, spread + np.float32(high)), *drawn[1:]]


def fired(currents: np.ndarray) -> float:
    """The mean output of leaky neurons at currents (T, B, n)."""
    v, count = np.zeros_like(currents[0]), 0
    for current in currents:
        v = v * DECAY + current
        spikes = v >= THRESHOLD
        v -= THRESHOLD * spikes
        count += int(spikes.sum())
    return count / currents.size


def pair(given: Point, mode: str) -> Record:
    """CPU ms of a step on each path, and how often the population fired."""
    from with_spikeloom import Task

    drawn = tuned(given)
    tasks = {form: Task(given.workload, form, drawn) for form in ("auto", "torch")}
    steps = {form: task.train if mode == "train" else task.infer for form, task in tasks.items()}
    for step in steps.values():
        step(), step()
    took: dict[str, list[float]] = {form: [] for form in steps}
    while len(took["auto"]) < 3 or (len(took["auto"]) < 40 and sum(map(sum, took.values())) < SECONDS):
        for form, step in steps.items():
            took[form].append(cpu_time(step))
    rate = tasks["torch"].firing_rates()["layer0"]
    return {form: 1000 * median(times) for form, times in took.items()} | {"fired": rate}


def cpu_time(step: Callable[[], Any]) -> float:
    start = time.process_time()
    step()
    return time.process_time() - start


def measure(count: int, records: Records) -> list[Record]:
    """The record of every point in training and in inference; progress is printed."""
    import torch
    from with_spikeloom import PACKAGES, missing

    torch.set_num_threads(1)
    points = design(count)
    if why := missing(points[0].workload, "torch"):
        raise SystemExit(f"the sweep cannot run: {why}")
    found = []
    for i, (each, mode) in enumerate(itertools.product(points, ("train", "infer"))):
        key: Record = {"framework": "spikeloom", "sweep": asdict(each), "mode": mode}
        record = records.find(key) or records.add(key | {"versions": versions(PACKAGES)} | pair(each, mode))
        found.append(record)
        ratio = record["auto"] / record["torch"]
        print(f"[{i + 1}/{2 * len(points)}] {mode} {each}: {record['auto']:.2f} ms, {ratio:.2f} of torch", flush=True)
    return found


def section(records: Sequence[Record], folder: Path) -> str:
    """The text with the worst points; the picture is written into the folder."""
    picture(records, folder / "sweep.png")
    ratios = {mode: [ratio(r) for r in records if r["mode"] == mode] for mode in ("train", "infer")}
    sums = [
        [mode, len(rs), sum(r <= LIMIT for r in rs), f"{min(rs):.3f}", f"{median(rs):.3f}", f"**{max(rs):.2f}**"]
        for mode, rs in ratios.items()
    ]
    worst = sorted(records, key=ratio, reverse=True)[:12]
    rows = [[*named(r), f"{r['auto']:.2f}", f"{r['torch']:.2f}", f"{ratio(r):.2f}"] for r in worst]
    head = ["mode", "kind", "n", "input density", "rate wanted", "rate", "T", "batch"]
    parts = [
        "CPU time of one thread of a step on the kernel path over the torch path, in one process, step by step in "
        f"turn. The kernel path may take {LIMIT} times as long. The points: all corners of n {AXES['n']}, input "
        f"density {AXES['density']}, firing rate {AXES['rate']}, T {AXES['n_steps']}, and points spread evenly between "
        f"them on logarithmic axes, but those of more than {TOO_MANY:.0e} dense operations.",
        table(["mode", "points", f"within {LIMIT}", "lowest", "median", "highest"], sums),
        "The highest ratios:",
        table([*head, "kernel path ms", "torch path ms", "ratio"], rows),
        "![Ratio of the paths](sweep.png)",
    ]
    return "\n\n".join(parts)


def ratio(record: Record) -> float:
    return float(record["auto"] / record["torch"])


def named(record: Record) -> list[str]:
    at = record["sweep"]
    rates = [f"{at['density']:.4g}", f"{at['rate']:.4g}", f"{record['fired']:.4g}"]
    return [record["mode"], at["kind"], str(at["n"]), *rates, str(at["n_steps"]), str(at["batch"])]


def picture(records: Sequence[Record], path: Path) -> None:
    """The ratio of every point against each axis."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(1, len(AXES), figsize=(3.4 * len(AXES), 3.6), layout="constrained", sharey=True)
    style = {"train": ("#0072B2", "o", "training"), "infer": ("#D55E00", "^", "inference")}
    for panel, axis in zip(axes, AXES, strict=True):
        for mode, (colour, marker, label) in style.items():
            some = [r for r in records if r["mode"] == mode]
            where, what = [r["sweep"][axis] for r in some], [ratio(r) for r in some]
            panel.scatter(where, what, s=18, color=colour, marker=marker, alpha=0.7, label=label, linewidths=0)
        panel.axhline(LIMIT, color="black", linewidth=0.8, linestyle="--", label=f"{LIMIT}")
        panel.set(xscale="log", yscale="log", xlabel=TITLES[axis])
        panel.spines[["top", "right"]].set_visible(False)
    axes[0].set_ylabel("kernel path / torch path")
    axes[0].legend(frameon=False)
    figure.savefig(path, dpi=120)
