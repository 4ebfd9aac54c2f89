"""What every measured program shares: its options, its thread, and how a step is timed. The standard library only.

A program prints one line of JSON. CPU time is that of this process and of the children it waited for; one thread.
"""

from __future__ import annotations

import argparse
import gc
import importlib.metadata
import json
import os
import platform
import resource
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from workloads import WORKLOADS, Workload

WARM = 2


def cpu_seconds() -> float:
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def memory_mb(field: str) -> float:
    """VmRSS (now) or VmHWM (the peak so far) of this process, in MB; Linux only."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field)) / 1024


def forget_peak() -> None:
    """Lets VmHWM start anew from what is held now."""
    Path("/proc/self/clear_refs").write_text("5")


def stay_on_one_core() -> None:
    """Keeps every thread of this process on the core that it runs on now."""
    fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    os.sched_setaffinity(0, {int(fields[36])})


def options(description: str | None, forms: Sequence[str]) -> tuple[argparse.Namespace, Workload]:
    """The command line of a program, and its workload with the changes that are asked for."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("workload", choices=WORKLOADS)
    parser.add_argument("mode", choices=("train", "infer"))
    parser.add_argument("--form", choices=forms, default=forms[0], help=f"how it is written (default {forms[0]})")
    parser.add_argument("--repeats", type=int, default=9, help="steps measured after the warm-up (default 9)")
    changes = {"n_steps": int, "batch": int, "density": float, "hidden": int}
    for name, kind in changes.items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=kind, help="in place of the workload's")
    args = parser.parse_args()
    workload = WORKLOADS[args.workload]
    for name in changes:
        if (value := getattr(args, name)) is not None:
            workload = workload.varied(name, value)
    stay_on_one_core()
    return args, workload


def measured(step: Callable[[], Any], repeats: int) -> dict[str, Any]:
    """CPU and wall seconds of each step, of the first one apart, memory growth in MB, output rates.

    step returns the mean output of each sample and class, (B, classes). Its rates in the first and the last step tell
    whether two programs carry the same load.
    """
    gc.collect()
    base = memory_mb("VmRSS")
    forget_peak()
    steps = []
    for _ in range(WARM + repeats):
        wall, cpu = time.perf_counter(), cpu_seconds()
        answer = step()
        steps.append((cpu_seconds() - cpu, time.perf_counter() - wall, float(answer.mean())))
    cpu_s, wall_s, rates = zip(*steps, strict=True)
    return {
        "cpu": cpu_s[WARM:], "wall": wall_s[WARM:], "first_cpu": cpu_s[0], "first_wall": wall_s[0], "base": base,
        "growth": memory_mb("VmHWM") - base, "first_rate": rates[0], "last_rate": rates[-1],
    }  # fmt: skip


def report(args: argparse.Namespace, framework: str, packages: Sequence[str], **found: Any) -> None:
    """Prints the record of this process."""
    given = {"framework": framework, "workload": args.workload, "mode": args.mode, "form": args.form}
    print(json.dumps(given | {"versions": versions(packages)} | found), flush=True)


def versions(packages: Sequence[str]) -> dict[str, str]:
    """The version of each package, and Python's."""
    return {name: importlib.metadata.version(name) for name in packages} | {"python": platform.python_version()}
