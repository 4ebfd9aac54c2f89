"""Measures of spike trains against Elephant and PySpike, and against what these said when the values were stored.

The trains and values are tests/analysis/oracle_values.json, which the tests read: `--write` makes it anew. Fails where
the packages no longer say what is stored, or where spikeloom says something else.
"""

import json
import sys
import tempfile
from pathlib import Path

import numpy as np
from results import HERE, peer_python, run_process

ROOT = HERE.parent
sys.path.insert(0, str(ROOT / "tests" / "contracts"))
from measured import differs, of_case  # noqa: E402

STORED = ROOT / "tests" / "analysis" / "oracle_values.json"
HAND_MADE = (
    [],
    [50.0],
    [0.0, 199.0],
    [12.0, 48.0, 49.0, 53.0, 120.0],
    [12.0, 48.0, 49.0, 53.0, 120.0],
    [20.0, 22.0, 24.0, 74.0, 76.0, 78.0, 128.0, 130.0, 132.0],
    [float(t) for t in range(3, 200, 8)],
    [7.0, 30.0, 36.0, 50.0, 95.0, 150.0],
)
"""Silent, one spike, the first and the last step, twins, bursts, regular, and one that shares times with others."""


def cases() -> dict[str, dict]:
    """The trains by the case's name."""
    generator = np.random.default_rng(6)
    poisson = [poisson_train(generator, rate, 3000.0) for rate in (0.5, 5, 8, 12, 20, 30, 45, 60)]
    trials = [[poisson_train(generator, rate, 800.0) for rate in (3, 10, 25, 40)] for _ in range(6)]
    gamma = [gamma_steps(generator, rate, 20_000) for rate in (4, 8, 15, 25, 40, 80)]
    moved = [[round(t * 0.93 + 0.37, 3) for t in train] for train in HAND_MADE]
    steps = [[int(t) for t in train] for train in HAND_MADE]
    return {
        "Poisson": {"duration_ms": 3000.0, "times_ms": [poisson]},
        "trials": {"duration_ms": 800.0, "times_ms": trials},
        "gamma, on a grid": {"duration_ms": 2000.0, "dt_ms": 0.1, "steps": [gamma]},
        "hand-made, on a grid": {"duration_ms": 200.0, "dt_ms": 1.0, "steps": [steps]},
        "hand-made, at times": {"duration_ms": 200.0, "times_ms": [moved]},
    }


def poisson_train(generator: np.random.Generator, rate_hz: float, duration_ms: float) -> list[float]:
    count = generator.poisson(rate_hz * duration_ms / 1000)
    return np.unique(generator.uniform(0, duration_ms, count).round(4)).tolist()


def gamma_steps(generator: np.random.Generator, rate_hz: float, n_steps: int) -> list[int]:
    """Steps of 0.1 ms of a renewal process with intervals of the gamma distribution of order 4."""
    times = np.cumsum(generator.gamma(4, 10_000 / rate_hz / 4, n_steps // 10)).astype(int)
    return np.unique(times[times < n_steps]).tolist()


def of_peers(made: dict[str, dict]) -> dict:
    """The values of Elephant and PySpike, and the versions of the packages."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "cases.json"
        path.write_text(json.dumps(made))
        return run_process([str(peer_python("analysis")), str(HERE / "analysis_peers.py"), str(path)], limit=600)


def complaints(name: str, measure: str, stored: object, theirs: object, ours: object) -> list[str]:
    """What is wrong with one value."""
    found = []
    if why := differs(theirs, stored):
        found.append(f"{name}, {measure}: the other packages no longer say what is stored: {why}")
    if why := differs(ours, theirs):
        found.append(f"{name}, {measure}: spikeloom differs from them: {why}")
    print(f"{name}\t{measure}\t{np.size(theirs)} values\t{'; '.join(found) or 'equal'}", flush=True)
    return found


def written(made: dict[str, dict], peers: dict) -> None:
    """The trains and values in the file, a train or a value a line."""
    stored = {"packages": peers["packages"], "cases": made, "values": peers["values"]}
    lines = [f'"packages": {json.dumps(stored["packages"])}']
    for part in ("cases", "values"):
        entries = [f"{json.dumps(name)}: {{\n{body(entry)}\n}}" for name, entry in stored[part].items()]
        lines.append(f'"{part}": {{\n' + ",\n".join(entries) + "\n}")
    STORED.write_text("{\n" + ",\n".join(lines) + "\n}\n")
    print(f"{STORED.relative_to(ROOT)} is written")


def body(entry: dict) -> str:
    return ",\n".join(f"{json.dumps(key)}: {json.dumps(value)}" for key, value in entry.items())


def main() -> int:
    made = cases()
    peers = of_peers(made)
    if "--write" in sys.argv[1:]:
        written(made, peers)
    stored = json.loads(STORED.read_text())
    found = [] if stored["cases"] == made else ["the stored trains are others than those of this program"]
    for name, case in made.items():
        ours = of_case(case)
        if missing := set(peers["values"][name]) ^ set(ours):
            found.append(f"{name}: only one of both sides has {', '.join(sorted(missing))}")
        for measure in sorted(set(peers["values"][name]) & set(ours)):
            values = (stored["values"].get(name, {}).get(measure), peers["values"][name][measure], ours[measure])
            found += complaints(name, measure, *values)
    names = {measure for values in peers["values"].values() for measure in values}
    versions = ", ".join(" ".join(package) for package in peers["packages"].items())
    print("\n".join(found) or f"{len(names)} measures agree with {versions}")
    return min(1, len(found))


if __name__ == "__main__":
    sys.exit(main())
