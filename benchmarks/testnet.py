"""The quick start's TestNet side by side in SPAIC 0.6.3 and in spikeloom: time, memory, growth with T, accuracy.

Each case runs `testnet_program.py` in fresh processes, one framework after the other (A B A B ...), one thread each.
Every process prints a line of JSON; the tables and the picture go into RESULTS.md beside this file.

    python benchmarks/testnet.py --mnist FOLDER               time, memory, growth
    python benchmarks/testnet.py --mnist FOLDER --accuracy    an epoch of MNIST, then the whole test set

SPAIC needs a Python of its own: python -m venv .bench/spaic and, with its pip,
install torch==2.13.0 spaic==0.6.3.0.0 scipy matplotlib pyyaml tqdm h5py networkx
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import shlex
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from statistics import mean, median

import numpy as np
from results import (
    HERE,
    Record,
    Records,
    exponent,
    machine,
    peer_python,
    run_process,
    table,
    version_lines,
    write_section,
)

FRAMEWORKS = ("spaic", "spikeloom")
LABEL = {"spaic": "SPAIC", "spikeloom": "spikeloom"}

Case = tuple[int, int]


def run_program(python: str, framework: str, task: str, **options: object) -> Record:
    """The record of one fresh process, which is also printed as a line of JSON."""
    given = [f"--{name}={value}" for name, value in options.items() if value is not None]
    record = run_process([python, str(HERE / "testnet_program.py"), framework, task, *given])
    print(json.dumps(record), flush=True)
    return record


def measure(args: argparse.Namespace) -> list[Record]:
    """The records of all processes, the frameworks taking turns."""
    pythons = {"spaic": args.spaic, "spikeloom": sys.executable}
    turns: Iterable[tuple[dict[str, object], str]]
    if args.accuracy:
        options = [{"seed": seed, "epochs": args.epochs} for seed in range(args.seeds)]
    else:
        cases = [(case, turn) for case in args.cases for turn in range(args.rounds)]
        options = [{"neurons": n, "steps": t, "batches": args.batches, "seed": turn} for (n, t), turn in cases]
    turns = itertools.product(options, args.frameworks)
    task = "accuracy" if args.accuracy else "time"
    done = Records(args.records)
    records = []
    for given, name in turns:
        kept = done.find({"framework": name, "task": task, "given": given})
        if kept is None:
            kept = done.add(run_program(pythons[name], name, task, mnist=args.mnist, **given) | {"given": given})
        records.append(kept)
    return records


class Found:
    """The records of one task, asked by framework and case."""

    def __init__(self, records: list[Record]) -> None:
        self.records = records
        self.frameworks = [name for name in FRAMEWORKS if any(r["framework"] == name for r in records)]
        self.cases: list[Case] = sorted({(r["neurons"], r["steps"]) for r in records})

    def of(self, framework: str, case: Case) -> list[Record]:
        return [r for r in self.records if (r["framework"], r["neurons"], r["steps"]) == (framework, *case)]

    def each(self, framework: str, case: Case, value: Callable[[Record], float]) -> list[float]:
        """The value in each process of the case."""
        return [value(record) for record in self.of(framework, case)]

    def ratio(self, case: Case, value: Callable[[Record], float]) -> str:
        """SPAIC over spikeloom, process by process as they took turns: median (lowest-highest)."""
        theirs, ours = (self.each(name, case, value) for name in FRAMEWORKS)
        ratios = [a / b for a, b in zip(theirs, ours, strict=True)]
        return f"**{median(ratios):.2f}** ({min(ratios):.2f}-{max(ratios):.2f})"

    def growing(self) -> dict[int, list[int]]:
        """The numbers of steps of every network that was measured at three or more."""
        steps = {n: [t for m, t in self.cases if m == n] for n, _ in self.cases}
        return {n: ts for n, ts in steps.items() if len(ts) >= 3}


def step_cpu(record: Record) -> float:
    return float(median(record["cpu"]))


def first_cpu(record: Record) -> float:
    return float(record["import_cpu"] + record["first_cpu"])


def peak(record: Record) -> float:
    return float(record["peak"])


def working(record: Record) -> float:
    return float(record["peak"] - record["base"])


def spikes(record: Record) -> float:
    return float(record["seen"]["spikes"]) / 100


def cost_table(records: Found) -> str:
    """Each case with what it costs in each framework, and the ratios."""
    columns: list[tuple[str, Callable[[Record], float], str, bool]] = [
        ("CPU s a step", step_cpu, ".3f", True),
        ("first step, CPU s", first_cpu, ".1f", False),
        ("peak MB", peak, ".0f", True),
        ("spikes a picture", spikes, ".1f", False),
    ]
    head, rows = ["N", "T"], [list(map(str, case)) for case in records.cases]
    for title, value, form, compared in columns:
        head += [f"{LABEL[name]} {title}" for name in records.frameworks]
        pair = compared and len(records.frameworks) == 2
        head += ["ratio"] * pair
        for row, case in zip(rows, records.cases, strict=True):
            row += [format(median(records.each(name, case, value)), form) for name in records.frameworks]
            row += [records.ratio(case, value)] if pair else []
    return table(head, rows)


def growth_table(records: Found) -> str:
    """How time and memory grow with T: ratio for each doubling, exponent, R^2 of a straight line, slope."""
    rows = []
    for n, steps in records.growing().items():
        for title, value, unit in (("CPU time", step_cpu, "ms"), ("memory above the built network", working, "MB")):
            for name in records.frameworks:
                cost = np.array([median(records.each(name, (n, t), value)) for t in steps])
                slope = np.polyfit(steps, cost, 1)[0] * (1000 if unit == "ms" else 1)
                ratios = ", ".join(f"{b / a:.2f}" for a, b in itertools.pairwise(cost))
                fit = np.corrcoef(steps, cost)[0, 1] ** 2
                rows.append(
                    [n, title, LABEL[name], ratios, f"{exponent(steps, cost):.2f}", f"{fit:.4f}", f"{slope:.2f} {unit}"]
                )
    head = ["N", "of", "framework", "ratios T to next T", "exponent", "R² of a line", "slope a step of T"]
    return table(head, rows)


def accuracy_table(records: Found) -> str:
    """A row for each framework: accuracies over its seeds, and what the epoch and the test cost."""
    rows = []
    for name in records.frameworks:
        runs = [r for r in records.records if r["framework"] == name]
        tests = [100 * r["accuracy"] for r in runs]
        last = [r["epochs"][-1] for r in runs]
        cost = mean(e["cpu"] for r in runs for e in r["epochs"])
        rows.append([
            LABEL[name], len(runs), len(runs[0]["epochs"]), f"{100 * mean(e['accuracy'] for e in last):.2f}",
            f"**{mean(tests):.2f}** ({min(tests):.2f}-{max(tests):.2f})", f"{cost:.0f}",
            f"{cost / last[0]['batches']:.3f}", f"{mean(r['test_cpu'] for r in runs):.0f}",
            f"{max(map(peak, runs)):.0f}",
        ])  # fmt: skip
    head = ["framework", "seeds", "epochs", "training accuracy %, last epoch", "test accuracy %"]
    return table([*head, "CPU s an epoch", "CPU s a batch", "CPU s the test", "peak MB"], rows)


def picture(records: Found, path: Path) -> None:
    """Left: time of a training step against T. Right: the same at the T that most networks share, against N."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    style = {"spaic": ("#D55E00", "s", "//"), "spikeloom": ("#0072B2", "o", "")}
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
    for n, steps in records.growing().items():
        for name in records.frameworks:
            cost = [median(records.each(name, (n, t), step_cpu)) for t in steps]
            left.plot(steps, cost, color=style[name][0], marker=style[name][1], label=f"{LABEL[name]}, N = {n}")
    left.set(xlabel="T (steps of 0.1 ms)", ylabel="CPU seconds a training step", xlim=0, ylim=0)
    left.set_title("Growth with the length of the run", loc="left")
    if records.growing():
        left.legend(frameon=False)
    times = [t for _, t in records.cases]
    shared = max(sorted(set(times)), key=times.count)
    neurons = [n for n, t in records.cases if t == shared]
    width = 0.8 / len(records.frameworks)
    for i, name in enumerate(records.frameworks):
        cost = [median(records.each(name, (n, shared), step_cpu)) for n in neurons]
        places = np.arange(len(neurons)) + (i - (len(records.frameworks) - 1) / 2) * width
        colour, _, hatch = style[name]
        bars = right.bar(places, cost, width * 0.95, color=colour, hatch=hatch, edgecolor="white", label=LABEL[name])
        right.bar_label(bars, fmt="%.3g")
    right.set(
        ylabel="CPU seconds a training step", xticks=range(len(neurons)), xticklabels=[f"784-{n}" for n in neurons]
    )
    right.set_title(f"T = {shared}, batch 100", loc="left")
    right.legend(frameon=False)
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=120)


def conditions(records: Found, args: argparse.Namespace, load: float) -> str:
    """The command, the day, the processor and the versions behind the numbers."""
    words = {args.mnist: "FOLDER", args.spaic: "PYTHON", str(args.results): "FILE", str(args.records): "RECORDS"}
    command = shlex.join(["python", "benchmarks/testnet.py", *(words.get(word, word) for word in sys.argv[1:])])
    lines = [
        f"`{command}`",
        "",
        f"- {machine()}; load average {load:.1f} at the start; one thread",
        *version_lines(records.records),
        f"- data: {records.records[0]['data']}; 784-N clif, full connection, Poisson encoder, spike counts, two "
        "monitors, STCA, Adam 0.001, dt 0.1 ms, batch 100",
    ]
    return "\n".join(lines)


def time_section(records: Found, rounds: int, batches: int) -> str:
    parts = [
        f"One training step (input, run, loss, backward, optimizer): the median of {batches} batches after two to warm "
        f"up, in each of {rounds} fresh processes a framework that take turns; ratios are SPAIC over spikeloom, median "
        "(lowest-highest) of the turns. CPU time is of all threads. The first step has the import (torch aside) and "
        "the build in it. Peak is VmHWM of the whole process. Spikes a picture, the decoder's sum in the last batch, "
        "tell whether both frameworks carry the same load: SPAIC 0.6.3 clamps clif's gain V0 to 1 at the build, where "
        "its formula and spikeloom have 6.75, and so fires less.",
        cost_table(records),
    ]
    if records.growing():
        growth = "Exponent: of a power law fitted to cost against T (1 is linear)."
        parts += [growth, growth_table(records)]
    return "\n\n".join([*parts, "![CPU time against T and against N](testnet.png)"])


def case(text: str) -> Case:
    n, t = map(int, text.split(":"))
    return n, t


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    cases = [(10, 250), (10, 500), (10, 1000), (10, 2000), (100, 500), (400, 500)]
    parser.add_argument("--cases", type=case, nargs="+", default=cases, metavar="N:T",
                        help="neurons:steps (default 10:250 10:500 10:1000 10:2000 100:500 400:500); a network with "
                        "three or more T gets its growth fitted")  # fmt: skip
    parser.add_argument("--rounds", type=int, default=3, help="processes of each framework a case (default 3)")
    parser.add_argument("--batches", type=int, default=5, help="training steps measured a process (default 5)")
    parser.add_argument("--mnist", metavar="FOLDER", help="MNIST idx files, such as train-images-idx3-ubyte; needed "
                        "for --accuracy, otherwise synthetic pictures of mean 0.12 stand in")  # fmt: skip
    parser.add_argument("--accuracy", action="store_true", help="train on MNIST and test instead of timing")
    parser.add_argument("--epochs", type=int, default=1, help="epochs of --accuracy (default 1)")
    parser.add_argument("--seeds", type=int, default=1, help="seeds of --accuracy (default 1)")
    parser.add_argument("--frameworks", nargs="+", choices=FRAMEWORKS, default=FRAMEWORKS)
    parser.add_argument("--spaic", metavar="PYTHON", default=str(peer_python("spaic")), help="SPAIC's Python")
    parser.add_argument("--records", metavar="RECORDS", type=Path, help="JSON lines: records in it are not measured "
                        "again, new ones are added, so that an interrupted measurement goes on")  # fmt: skip
    parser.add_argument(
        "--results", metavar="FILE", type=Path, default=HERE / "RESULTS.md", help="default: RESULTS.md beside this file"
    )
    args = parser.parse_args()
    if args.accuracy and not args.mnist:
        parser.error("--accuracy needs --mnist FOLDER")
    return args


def main() -> None:
    args = arguments()
    load = os.getloadavg()[0]
    records = Found(measure(args))
    above = conditions(records, args, load)
    if args.accuracy:
        name, title, text = "testnet-accuracy", "TestNet: accuracy on MNIST", accuracy_table(records)
    else:
        name, title, text = "testnet", "TestNet: time and memory", time_section(records, args.rounds, args.batches)
        picture(records, args.results.with_name("testnet.png"))
    print(f"\n{above}\n\n{text}")
    write_section(args.results, name, title, f"{above}\n\n{text}")


if __name__ == "__main__":
    main()
