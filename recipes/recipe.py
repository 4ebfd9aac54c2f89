"""What the recipes share: their outcome, and how it is written down."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from results import HERE, machine, table, write_section


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a recipe measured: of a paper, on which data, beside which baseline, and whether its gate holds.

    head and rows: the whole measurement as a table. failed: what of the claim did not reproduce, if anything.
    """

    name: str
    paper: str
    data: str
    baseline: str
    result: str
    gate: str
    holds: bool
    head: Sequence[str]
    rows: Sequence[Sequence[object]]
    failed: str = ""

    def section(self, seconds: float) -> str:
        """The outcome in Markdown, as it stands in RESULTS.md."""
        held = "holds" if self.holds else "is **missed**"
        lines = [
            f"Command: `PYTHONPATH=benchmarks python recipes/{self.name}.py`. {machine()}; {seconds:.0f} s CPU",
            "",
            f"{self.paper}. Data: {self.data}.",
            "",
            table(self.head, self.rows),
            "",
            f"Baseline: {self.baseline}. Reached: {self.result}. Gate: {self.gate}; it {held}.",
        ]
        return "\n".join(lines + ([f"Did not reproduce: {self.failed}."] if self.failed else []))


def report(text: str | None, outcome: Callable[..., Outcome], **options: Mapping[str, Any]) -> None:
    """The command of a recipe: measures, prints, and writes its section; text: its docstring, shown by --help.

    options: by name what argparse takes, such as dict(type=int, default=3, help=...); `outcome` gets their values.
    """
    parser = argparse.ArgumentParser(description=text, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, default=HERE / "RESULTS.md", help="the file to write the section into")
    parser.add_argument("--record", type=Path, help="a file that gets the outcome as a line of JSON too")
    for name, settings in options.items():
        parser.add_argument(f"--{name}", **settings)
    given = parser.parse_args()
    torch.set_num_threads(1)
    begun = time.process_time()
    found = outcome(**{name: getattr(given, name) for name in options})
    seconds = time.process_time() - begun
    print(section := found.section(seconds))
    write_section(given.results, found.name, f"Recipe: {found.name}", section)
    if given.record:
        with given.record.open("a") as file:
            record = asdict(found) | {"holds": bool(found.holds), "seconds": seconds}
            file.write(json.dumps(record, default=str) + "\n")
