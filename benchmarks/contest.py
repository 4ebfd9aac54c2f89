"""Who is compared, in which form, and how their processes are run in turn."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from results import HERE, Record, Records, peer_python, run_process

OURS = "spikeloom"
COMPILE_LIMIT = 900.0
"""Seconds after which a process is given up: how long one waits for torch.compile."""


@dataclass(frozen=True)
class Contender:
    """A framework in the form in which it is fastest here; `--forms` shows how the forms compare.

    form: for every workload and mode but those in `otherwise`, by (workload, mode).
    """

    framework: str
    title: str
    form: str
    otherwise: Mapping[tuple[str, str], str] = field(default_factory=dict)

    def form_for(self, workload: str, mode: str) -> str:
        return self.otherwise.get((workload, mode), self.form)


CONTENDERS = {
    OURS: Contender(OURS, "spikeloom", "auto"),
    "snntorch": Contender("snntorch", "snnTorch", "layered", {("W1", "infer"): "stepped", ("W3", "train"): "stepped"}),
    "snntorch-compiled": Contender("snntorch", "snnTorch, compiled", "compiled"),
    "spikingjelly": Contender("spikingjelly", "SpikingJelly", "layered"),
    "norse": Contender("norse", "Norse", "layered", {("W3", "train"): "cells", ("W3", "infer"): "cells"}),
    "spyx": Contender("spyx", "Spyx", "stepped", {("W3", "train"): "layered"}),
}

FORMS = {
    OURS: ("auto", "torch"),
    "snntorch": ("stepped", "layered", "compiled", "compiled layered"),
    "spikingjelly": ("layered", "detached", "compiled"),
    "norse": ("layered", "cells", "modules", "compiled"),
    "spyx": ("stepped", "layered"),
}
"""Every form that the programs have."""


@dataclass(frozen=True)
class Case:
    """One process: a contender's form of a workload with changes (n_steps, batch, density, hidden), in a turn."""

    name: str
    framework: str
    form: str
    workload: str
    mode: str
    turn: int
    changes: tuple[tuple[str, float], ...] = ()

    @property
    def key(self) -> Record:
        """What its record is found by."""
        given = {"framework": self.framework, "form": self.form, "workload": self.workload, "mode": self.mode}
        return given | {"turn": self.turn, "changes": dict(self.changes)}

    def command(self, repeats: int) -> list[str]:
        python = sys.executable if self.framework == OURS else str(peer_python(self.framework))
        options = {"form": self.form, "repeats": repeats} | {name.replace("_", "-"): v for name, v in self.changes}
        given = [f"--{name}={value}" for name, value in options.items()]
        return [python, str(HERE / f"with_{self.framework}.py"), self.workload, self.mode, *given]


def case(name: str, workload: str, mode: str, turn: int, changes: Mapping[str, float] | None = None) -> Case:
    """The process of a contender in its form for the workload and mode."""
    contender = CONTENDERS[name]
    form = contender.form_for(workload, mode)
    return Case(name, contender.framework, form, workload, mode, turn, tuple((changes or {}).items()))


def run(cases: Sequence[Case], records: Records, repeats: int) -> list[Record]:
    """The record of every case in order, each with the contender's name; progress is printed.

    Compilers start with an empty cache for each workload and mode, so that first steps can be compared.
    """
    found = []
    with tempfile.TemporaryDirectory() as caches:
        for i, each in enumerate(cases):
            record = records.find(each.key) or given_up(each, found)
            if record is None:
                folder = Path(caches) / f"{each.workload}-{each.mode}"
                folder.mkdir(exist_ok=True)
                record = records.add(one(each, repeats, folder))
            found.append(record | {"name": each.name})
            print(f"[{i + 1}/{len(cases)}] {sentence(each, record)}", flush=True)
    return found


def given_up(each: Case, found: Sequence[Record]) -> Record | None:
    """The record of an earlier turn of the same case that could not be measured, if there is one."""
    same = {name: value for name, value in each.key.items() if name != "turn"}
    earlier = (r for r in found if "missing" in r and all(r[n] == value for n, value in same.items()))
    return next(({**r, "turn": each.turn} for r in earlier), None)


def one(each: Case, repeats: int, cache: Path) -> Record:
    """The record of a fresh process."""
    environment = {"SPIKELOOM_CACHE": str(cache), "TORCHINDUCTOR_CACHE_DIR": str(cache)}
    return run_process(each.command(repeats), COMPILE_LIMIT, **environment) | each.key


def step_ms(record: Record) -> float:
    """CPU time of a step in ms: the median of the process."""
    return 1000 * float(median(record["cpu"]))


def sentence(each: Case, record: Record) -> str:
    changes = "".join(f" {name}={value:g}" for name, value in each.changes)
    what = f"{each.workload} {each.mode}{changes}, {each.framework} {each.form}, turn {each.turn + 1}: "
    if "missing" in record:
        return what + record["missing"]
    return what + (
        f"{step_ms(record):.2f} ms, first step {record['first_cpu']:.2f} s, {record['growth']:.0f} MB, "
        f"rate {record['first_rate']:.4f}"
    )
