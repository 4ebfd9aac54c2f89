"""The accuracy and the cost of `make demo`: several seeds of the default training run on real digits.

    python benchmarks/digits.py [--seeds 5]

Each seed is one process of `spikeloom train` with one thread; the table goes into benchmarks/RESULTS.md.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from results import HERE, machine, table, write_section


def one_run(seed: int, folder: Path) -> dict[str, float]:
    """Test accuracy, wall and CPU seconds of a whole run with one seed."""
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    command = [
        sys.executable,
        "-m",
        "spikeloom",
        "train",
        "--seed",
        str(seed),
        "--runs",
        str(folder),
        "--name",
        f"s{seed}",
    ]
    subprocess.run(command, check=True, capture_output=True, env=os.environ | {"OMP_NUM_THREADS": "1"})
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    test = json.loads((folder / f"s{seed}" / "metrics.json").read_text())["test"]
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {
        "seed": seed,
        "accuracy": test["accuracy"],
        "rate": test["rate_hz"],
        "wall": time.perf_counter() - started,
        "cpu": cpu,
    }


def main() -> None:
    """Runs every seed and writes the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5, help="how many seeds (default 5)")
    count = parser.parse_args().seeds
    runs = []
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(count):
            runs.append(one_run(seed, Path(folder)))
            print(json.dumps(runs[-1]), flush=True)
    rows = [
        [str(r["seed"]), f"{r['accuracy']:.2%}", f"{r['rate']:.0f}", f"{r['wall']:.1f}", f"{r['cpu']:.1f}"]
        for r in runs
    ]
    mean = {key: statistics.mean(r[key] for r in runs) for key in ("accuracy", "rate", "wall", "cpu")}
    rows.append(["**mean**", f"**{mean['accuracy']:.2%}**", *(f"{mean[k]:.1f}" for k in ("rate", "wall", "cpu"))])
    head = ["seed", "test accuracy", "mean rate, Hz", "wall s", "CPU s"]
    text = (
        f"Command: `python benchmarks/digits.py --seeds {count}`. {machine()}\n\n"
        "A whole `spikeloom train` (data, training, test, recording, report), one thread; 449 test samples a seed.\n\n"
        + table(head, rows)
    )
    write_section(HERE / "RESULTS.md", "digits", "Digits, the default training run", text)


if __name__ == "__main__":
    main()
