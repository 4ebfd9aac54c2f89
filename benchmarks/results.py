"""What the benchmarks share: fresh processes, records of them that outlive an interruption, tables, RESULTS.md."""

from __future__ import annotations

import datetime
import json
import os
import platform
import re
import shlex
import signal
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).resolve().parent
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1") | {
    "OMP_WAIT_POLICY": "passive"
}

Record = dict[str, Any]


def peer_python(name: str) -> Path:
    """The Python of a peer's own environment."""
    return HERE.parent / ".bench" / name / "bin" / "python"


def run_process(command: Sequence[str], limit: float | None = None, **environment: str) -> Record:
    """The record that a fresh process of one thread prints as its last line.

    One that takes longer than `limit` seconds leaves a record that says so; one that fails ends the benchmark.
    """
    variables = os.environ | ONE_THREAD | environment
    try:
        process = subprocess.Popen(
            command, env=variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
        )
    except FileNotFoundError as error:
        raise SystemExit(f"{command[0]} is not there; `make bench` installs the peers") from error
    with process:
        try:
            out, errors = process.communicate(timeout=limit)
        except subprocess.TimeoutExpired:
            return {"missing": f"it took more than {limit:g} s"}
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)  # its compilers too, which hold its output open
    if process.returncode:
        raise SystemExit(f"{shlex.join(command)} failed:\n{errors}")
    record: Record = json.loads(out.splitlines()[-1])
    return record


class Records:
    """The records of a measurement, also as lines of a file, where an interrupted one finds them again."""

    def __init__(self, path: Path | None) -> None:
        self.path = path
        lines = path.read_text().splitlines() if path and path.exists() else []
        self._all: list[Record] = [json.loads(line) for line in lines]

    def find(self, key: Record) -> Record | None:
        """The record whose entries are those of the key."""
        return next((r for r in self._all if all(r.get(name) == value for name, value in key.items())), None)

    def add(self, record: Record) -> Record:
        """Keeps a record and returns it."""
        self._all.append(record)
        if self.path:
            with self.path.open("a") as file:
                file.write(json.dumps(record) + "\n")
        return record


def exponent(values: Sequence[float], costs: Sequence[float]) -> float:
    """The exponent of a power law fitted to cost against value: 1 is linear."""
    return float(np.polyfit(np.log(values), np.log(costs), 1)[0])


def table(head: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    """A table in Markdown, its columns aligned to the right."""
    head = list(head)
    lines = [head, ["---:"] * len(head), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def machine() -> str:
    """The day and the processor."""
    cpu = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    name = cpu[1] if cpu else platform.machine()
    return f"{datetime.date.today()}; {name}, {os.cpu_count()} logical processors"


def version_lines(records: Iterable[Record]) -> list[str]:
    """A line for each framework with the versions of its packages."""
    versions = {r["framework"]: r["versions"] for r in records if "versions" in r}
    return ["- " + ", ".join(f"{part} {version}" for part, version in parts.items()) for parts in versions.values()]


def write_section(path: Path, name: str, title: str, text: str) -> None:
    """Put the text between the markers of that name in the file, or at its end."""
    start, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
    section = f"{start}\n## {title}\n\n{text}\n{end}\n"
    old = path.read_text(encoding="utf-8") if path.exists() else "# Results of the benchmarks\n"
    pattern = re.compile(f"{re.escape(start)}.*?{re.escape(end)}\n", re.DOTALL)
    new = pattern.sub(lambda _: section, old) if pattern.search(old) else f"{old}\n{section}"
    path.write_text(new, encoding="utf-8")
