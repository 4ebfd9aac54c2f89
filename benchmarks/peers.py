"""Training and inference side by side in spikeloom, snnTorch, SpikingJelly, Norse and Spyx, one thread each.

Each case is a fresh process (`with_<framework>.py`); the frameworks take turns, so that a busy minute hits all of
them. The tables and pictures go into RESULTS.md beside this file.

    python benchmarks/peers.py              every workload: time, memory, first step
    python benchmarks/peers.py --forms      every way to write them: which one is the fastest of each framework
    python benchmarks/peers.py --growth     time and memory against steps, batch, hidden size and input density
    python benchmarks/peers.py --sweep      ours alone: kernel path against torch path over sizes, densities and rates

Each peer has a Python of its own, .bench/<framework>; `make bench` installs them.
"""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from collections.abc import Callable
from pathlib import Path

import contest
import growth
import peers_report
import sweep
from contest import CONTENDERS, FORMS, OURS, Case
from results import HERE, Record, Records, machine, version_lines, write_section
from workloads import WORKLOADS


def main_cases(args: argparse.Namespace) -> list[Case]:
    """Every workload and mode: all contenders one after the other, in every turn."""
    names = [OURS, *(name for name in args.peers if name != OURS)]
    return [
        contest.case(name, workload, mode, turn)
        for workload in args.workloads
        for mode in args.modes
        for turn in range(args.turns)
        for name in names
    ]


def form_cases(args: argparse.Namespace) -> list[Case]:
    """Every form of every framework, once for each turn."""
    return [
        Case(f"{framework} {form}", framework, form, workload, mode, turn)
        for workload in args.workloads
        for mode in args.modes
        for turn in range(args.turns)
        for framework in dict.fromkeys(CONTENDERS[name].framework for name in args.peers)
        for form in FORMS[framework]
    ]


def conditions(records: list[Record], load: float) -> str:
    """The command, the day, the processor and the versions behind the numbers."""
    words = sys.argv[1:]
    for option in ("--records", "--results"):
        words = [f"{option}=FILE" if word.startswith(f"{option}=") else word for word in words]
        if option in words:
            words[words.index(option) + 1] = "FILE"
    command = shlex.join(["python", "benchmarks/peers.py", *words])
    lines = [f"`{command}`", "", f"- {machine()}; load average {load:.1f} at the start; one thread"]
    return "\n".join([*lines, *version_lines(records)])


def listed(known: list[str], what: str) -> Callable[[str], list[str]]:
    """What reads a list of known names, separated by commas."""

    def names(text: str) -> list[str]:
        found = text.split(",")
        for name in found:
            if name not in known:
                raise argparse.ArgumentTypeError(f"no {what} {name!r}; there are: {', '.join(known)}")
        return found

    return names


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    kinds = parser.add_mutually_exclusive_group()
    kinds.add_argument("--forms", action="store_true", help="compare the ways to write the workloads")
    kinds.add_argument("--growth", action="store_true", help="how time and memory grow, ours and the best peer")
    kinds.add_argument("--sweep", action="store_true", help="our kernel path against our torch path")
    workloads, modes, peers = list(WORKLOADS), ["train", "infer"], list(CONTENDERS)
    parser.add_argument("--workloads", type=listed(workloads, "workload"), default=workloads, metavar="W1,W2,...")
    parser.add_argument("--modes", type=listed(modes, "mode"), default=modes, metavar="train,infer")
    parser.add_argument("--peers", type=listed(peers, "peer"), default=peers, metavar="NAME,...",
                        help=f"of: {', '.join(peers)} (default all)")  # fmt: skip
    parser.add_argument("--turns", type=int, default=3, help="processes of each contender a case (default 3)")
    parser.add_argument("--repeats", type=int, default=9, help="steps measured a process (default 9)")
    parser.add_argument("--points", type=int, default=48, help="points of --sweep beside its corners (default 48)")
    parser.add_argument("--records", metavar="FILE", type=Path, help="JSON lines: records in it are not measured again,"
                        " new ones are added, so that an interrupted measurement goes on")  # fmt: skip
    parser.add_argument("--results", metavar="FILE", type=Path, default=HERE / "RESULTS.md",
                        help="default: RESULTS.md beside this file")  # fmt: skip
    return parser.parse_args()


def main() -> None:
    args, load = arguments(), os.getloadavg()[0]
    records = Records(args.records)
    if args.sweep:
        found = sweep.measure(args.points, records)
        name, title, text = "sweep", "Kernel path against torch path", sweep.section(found, args.results.parent)
    elif args.growth:
        found = growth.measure(args, records)
        name, title, text = "growth", "Growth of time and memory", growth.section(found, args.results.parent)
    elif args.forms:
        found = contest.run(form_cases(args), records, args.repeats)
        name, title, text = "forms", "The peers' forms", peers_report.forms_section(found)
    else:
        found = contest.run(main_cases(args), records, args.repeats)
        name, title = "peers", "Training and inference beside the peers"
        text = peers_report.section(found, args.results.parent)
    text = f"{conditions(found, load)}\n\n{text}"
    print(f"\n{text}")
    write_section(args.results, name, title, text)


if __name__ == "__main__":
    main()
