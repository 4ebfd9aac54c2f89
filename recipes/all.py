"""Runs the recipes one after another, each in a process of one thread, and writes the table of them all.

    python recipes/all.py [--mnist FOLDER] [--fsdd FOLDER] [--text FILE] [--records FILE] [NAME ...]

A recipe whose data are not named is skipped, with a word. What has run stands in the file of --records, where a run
that was interrupted finds it again. Ends with 1 where a gate was missed.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))

from results import HERE, ONE_THREAD, machine, table, write_section

from spikeloom.registry import did_you_mean

RECIPES = Path(__file__).parent
SHARED = {"all", "common", "recipe"}
NEEDS = {"diehl_cook": "mnist", "eventprop": "mnist", "spoken_digits": "fsdd", "egru": "text"}
"""Recipes on data that are not ours to keep, with the option that names them."""


def names() -> list[str]:
    """The recipes that there are."""
    return sorted(path.stem for path in RECIPES.glob("*.py") if path.stem not in SHARED)


def run(name: str, data: Path | None, results: Path, records: Path) -> bool:
    """Runs a recipe, which writes its own section and its record; whether it came to its end."""
    command = [sys.executable, str(RECIPES / f"{name}.py"), "--results", str(results), "--record", str(records)]
    command += [] if data is None else ["--data", str(data)]
    environment = os.environ | ONE_THREAD | {"PYTHONPATH": str(HERE)}
    return subprocess.run(command, env=environment, check=False).returncode == 0


def recorded(path: Path) -> dict[str, dict]:
    """The outcomes by name, the last of each."""
    lines = path.read_text().splitlines() if path.exists() else []
    return {record["name"]: record for record in map(json.loads, lines)}


def whole(found: dict[str, dict]) -> str:
    """The table of the outcomes."""
    head = ["recipe", "of", "baseline", "reached", "gate", "holds", "did not reproduce", "CPU s"]
    rows = [
        [r["name"], r["paper"], r["baseline"], r["result"], r["gate"], "yes" if r["holds"] else "**no**", r["failed"],
         f"{r['seconds']:.0f}"]
        for r in found.values()
    ]  # fmt: skip
    return f"Command: `make recipes`. {machine()}\n\n" + table(head, rows)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(names())}; by default all")
    parser.add_argument("--mnist", type=Path, help="the folder of MNIST's idx files")
    parser.add_argument("--fsdd", type=Path, help="the folder of the Free Spoken Digit Dataset")
    parser.add_argument("--text", type=Path, help="an English text of 100,000 characters or more")
    parser.add_argument("--results", type=Path, default=HERE / "RESULTS.md", help="the file to write the tables into")
    parser.add_argument("--records", type=Path, default=HERE.parent / ".bench" / "recipes.jsonl")
    given = parser.parse_args()
    chosen = given.names or names()
    for name in chosen:
        if name not in names():
            parser.error(f"there is no recipe {name!r}{did_you_mean(name, names())}")
    given.records.parent.mkdir(parents=True, exist_ok=True)
    failed = []
    for k, name in enumerate(chosen, 1):
        data = None if name not in NEEDS else getattr(given, NEEDS[name])
        if name in NEEDS and data is None:
            print(f"[{k}/{len(chosen)}] {name} is skipped: --{NEEDS[name]} names its data", flush=True)
        elif not given.names and name in recorded(given.records):
            print(f"[{k}/{len(chosen)}] {name} stands in {given.records} already", flush=True)
        else:
            print(f"[{k}/{len(chosen)}] {name}", flush=True)
            failed += [] if run(name, data, given.results, given.records) else [name]
    found = recorded(given.records)
    write_section(given.results, "recipes", "The recipes", whole(dict(sorted(found.items()))))
    missed = [name for name, r in found.items() if name in chosen and not r["holds"]]
    print(f"failed: {', '.join(failed) or 'none'}; gates missed: {', '.join(missed) or 'none'}")
    return 1 if failed or missed else 0


if __name__ == "__main__":
    sys.exit(main())
