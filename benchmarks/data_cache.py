"""A cached data set beside arrays in memory and beside making its samples anew.

    python benchmarks/data_cache.py [--samples 1500] [--print]

Digits before a simulated event camera, as frames of 30 ms and as spikes on steps of 1 ms; batches of 128 in random
order; CPU time of one thread, best of five. Writes a section of RESULTS.md.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from results import HERE, machine, table, write_section

from spikeloom.datasets import Dataset, EventDataset, cached, digits, saccades
from spikeloom.events.representations import ToFrames, ToSpikes

BATCH = 128
TRANSFORMS = {"frames": ToFrames(window=30.0, start=0.0, end=300.0), "spikes": ToSpikes(1.0, start=0.0, end=300.0)}


def recordings(n: int) -> EventDataset:
    """Digits of scikit-learn, three times as large, before the camera: 34 x 34 pixels."""
    data = digits()
    images = np.kron(data.data[:n].reshape(-1, 8, 8), np.ones((1, 3, 3)))
    return saccades(np.pad(images, ((0, 0), (2, 2), (2, 2))), data.labels[:n])


def best(run: Callable[[], object], rounds: int = 5) -> float:
    """CPU seconds of the fastest of some runs."""
    taken = []
    for _ in range(rounds):
        begun = time.thread_time()
        run()
        taken.append(time.thread_time() - begun)
    return min(taken)


def batches(dataset: Dataset, order: np.ndarray) -> float:
    """Microseconds of CPU time a sample, in batches."""
    parts = order[: len(order) // BATCH * BATCH].reshape(-1, BATCH)
    return best(lambda: [dataset.batch(part) for part in parts]) / parts.size * 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=1500)
    parser.add_argument("--print", action="store_true", help="do not write RESULTS.md")
    args = parser.parse_args()
    raw = recordings(args.samples)
    order = np.random.default_rng(0).permutation(len(raw))
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for name, transform in TRANSFORMS.items():
            dataset = raw.with_transform(transform)
            kept = cached(dataset, folder)
            opening = best(lambda: cached(dataset, folder)) * 1e3  # noqa: B023
            size = sum(file.stat().st_size for file in Path(folder).glob("*.safetensors")) / 1e6
            anew = best(lambda: dataset.batch(order[:BATCH]), 2) / BATCH * 1e6  # noqa: B023
            fields = batches(kept, order), batches(kept.select(np.arange(len(raw))), order), anew
            rows.append([name, *(f"{field:.0f}" for field in fields), f"{opening:.0f}", f"{size:.0f}"])
            for file in Path(folder).iterdir():
                file.unlink()
    text = f"{machine()}. {len(raw)} samples, batches of {BATCH} in random order, CPU time of one thread.\n\n" + table(
        ["", "us a sample from the cache", "from memory", "made anew", "opening and checking, ms", "file, MB"], rows
    )
    print(text)
    if not args.print:
        write_section(HERE / "RESULTS.md", "data_cache", "Cached data: `python benchmarks/data_cache.py`", f"{text}\n")


if __name__ == "__main__":
    main()
