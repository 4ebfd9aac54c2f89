"""A file in SHD's layout to sorted spikes: `read_spike_hdf5` beside Tonic's reading and mlGeNN's sorting.

    python benchmarks/shd.py [--samples 2000] [--rounds 3] [--print]

Each side reads all samples in a process of its own, in turn, one thread; what counts is the CPU time of the best round.
Tonic reads them one by one, as its data sets do; mlGeNN's sort is a bincount and a lexsort of times and ids. Writes a
section of RESULTS.md.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from results import HERE, machine, peer_python, run_process, table, write_section

CHANNELS = 700


def write(path: Path, n_samples: int) -> None:
    """A file with 6,000 to 10,000 events a sample, as PyTables lays it out; a third of the samples not in order."""
    rng = np.random.default_rng(0)
    with h5py.File(path, "w") as file:
        kinds = {"times": np.float16, "units": np.uint16}
        parts = {
            name: file.create_dataset(
                f"spikes/{name}", (n_samples,), h5py.vlen_dtype(kind), chunks=(512,), maxshape=(None,)
            )
            for name, kind in kinds.items()
        }
        for k in range(n_samples):
            n = int(rng.integers(6000, 10001))
            times = rng.random(n).astype(np.float16)
            parts["times"][k] = times if k % 3 == 0 else np.sort(times)
            parts["units"][k] = rng.integers(0, CHANNELS, n).astype(np.uint16)
        file["labels"] = rng.integers(0, 20, n_samples).astype(np.uint16)
        file["extra/keys"] = np.array([b"zero"] * 20)
        file["extra/speaker"] = np.zeros(n_samples, np.uint16)


def best(read: Callable[[], Any], seconds: float = 2.0) -> float:
    """CPU seconds of the fastest of the readings that so many seconds have room for, of two at least."""
    taken: list[float] = []
    while len(taken) < 2 or sum(taken) < seconds:
        begun = time.process_time()
        read()
        taken.append(time.process_time() - begun)
    return min(taken)


def ours(path: Path) -> dict[str, Any]:
    from spikeloom.datasets import read_spike_hdf5

    counted = read_spike_hdf5(path, dt=1.0, collisions="sum")
    n = counted.values().astype(np.int64)
    seconds = best(lambda: read_spike_hdf5(path, dt=1.0))
    return {"cpu": seconds, "events": int(n.sum()), "steps": int((n * counted.grid.step).sum())}


def theirs(path: Path) -> dict[str, Any]:
    from tonic.datasets import SHD

    class File(SHD):
        def __init__(self) -> None:
            self.location_on_system, self.data_filename = str(path.parent), path.name
            self.transform = self.target_transform = None

    found: list[tuple[Any, Any]] = []

    def read() -> None:
        found.clear()
        data = File()
        for k in range(len(data)):
            events, _ = data[k]
            times, ids = events["t"] * (1 / 1000), events["x"]
            ends = np.cumsum(np.bincount(ids, minlength=CHANNELS))
            found.append((ends, times[np.lexsort((times, ids))]))

    seconds = best(read)
    times = np.concatenate([times for _, times in found])
    return {"cpu": seconds, "events": times.size, "steps": int(np.floor(times + 1e-9).sum())}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--print", action="store_true", help="write nothing")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "shd.h5"
        write(path, args.samples)
        sides = {"spikeloom": (sys.executable, "ours"), "Tonic, mlGeNN's sort": (str(peer_python("events")), "theirs")}
        rounds = [
            {name: run_process([python, __file__, side, str(path)]) for name, (python, side) in sides.items()}
            for _ in range(args.rounds)
        ]
    checks = {(record["events"], record["steps"]) for each in rounds for record in each.values()}
    if len(checks) != 1:
        raise SystemExit(f"the two sides read different events: {checks}")
    cpu = {name: min(each[name]["cpu"] for each in rounds) / args.samples for name in sides}
    ratio = [each["Tonic, mlGeNN's sort"]["cpu"] / each["spikeloom"]["cpu"] for each in rounds]
    events = rounds[0]["spikeloom"]["events"]
    rows = [
        [name, f"{1000 * seconds:.3f}", f"{events / args.samples / seconds / 1e6:.0f}"] for name, seconds in cpu.items()
    ]
    text = (
        f"{machine()}. {args.samples} samples, {events} events in all, steps of 1 ms; both sides read the same events. "
        f"CPU time of one thread, best of {args.rounds} rounds.\n\n"
        + table(["", "ms a sample", "million events a second"], rows)
        + f"\n\nRatio, round by round: {', '.join(f'{r:.1f}' for r in ratio)}.\n"
    )
    print(text)
    if not args.print:
        write_section(HERE / "RESULTS.md", "shd", "SHD files to spikes: `python benchmarks/shd.py`", text)


if __name__ == "__main__":
    if sys.argv[1:2] in (["ours"], ["theirs"]):
        print(json.dumps({"ours": ours, "theirs": theirs}[sys.argv[1]](Path(sys.argv[2]))))
    else:
        main()
