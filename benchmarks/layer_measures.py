"""How long the measures of one layer take: nanoseconds of CPU time a spike, as one window and window by window."""

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from results import HERE, machine, table, write_section

from spikeloom import measures as m
from spikeloom.analysis.windows import Accumulator, Window
from spikeloom.spikes import Spikes

N, WINDOW_STEPS, SHARE = 1000, 1000, 0.02
INTERVALS: dict[str, Callable] = {
    "histogram of intervals": lambda: m.IsiHistogramAccumulator(1.0, 500.0),
    "CV": m.CvAccumulator,
    "CV2": m.Cv2Accumulator,
    "local variation": m.LocalVariationAccumulator,
    "revised local variation": m.RevisedLocalVariationAccumulator,
    "bursts": lambda: m.BurstAccumulator(20.0, 30.0, 40.0),
}
MEASURES: dict[str, Callable] = {
    "mean rate": m.MeanRateAccumulator,
    "activity of each neuron": m.ActivityAccumulator,
    "population rate in 50 ms": lambda: m.PopulationRateAccumulator(50.0),
    "avalanches in 1 ms": lambda: m.AvalancheAccumulator(1.0),
    "Fano factors in 100 ms": lambda: m.FanoFactorAccumulator(100.0),
    "PSTH, an event a second": lambda: m.PsthAccumulator(np.arange(500) * 1000.0, 50.0, 200.0, 5.0),
    **INTERVALS,
    "all six of intervals": lambda: m.SharedIntervals(*(make() for make in INTERVALS.values())),
}


def recording(n_windows: int) -> tuple[Window, list[Window]]:
    """The same spikes of one run as one window, and in windows."""
    generator, size = np.random.default_rng(0), N * WINDOW_STEPS
    keys = [np.sort(generator.choice(size, int(SHARE * size), replace=False)) for _ in range(n_windows)]
    whole = np.concatenate([key + k * size for k, key in enumerate(keys)])
    parts = [Spikes.from_keys(key, (N,), 1, WINDOW_STEPS, 1.0) for key in keys]
    runs = np.array([[0, WINDOW_STEPS]])
    windows = [Window(k * WINDOW_STEPS, part, runs, k > 0) for k, part in enumerate(parts)]
    return Window.of(Spikes.from_keys(whole, (N,), 1, n_windows * WINDOW_STEPS, 1.0)), windows


def seconds(make: Callable[[], Accumulator], windows: list[Window], repeats: int) -> float:
    """The best CPU time of a measure of all windows."""
    taken = []
    for _ in range(repeats):
        measure, begin = make(), time.thread_time()
        for window in windows:
            measure.add(window)
        measure.result()
        taken.append(time.thread_time() - begin)
    return min(taken)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--windows", type=int, default=500, help=f"windows of {WINDOW_STEPS} steps (default 500)")
    parser.add_argument("--repeats", type=int, default=3, help="runs of each measure (default 3)")
    parser.add_argument("--results", type=Path, default=HERE / "RESULTS.md", help="the file of results")
    parser.add_argument("--dry", action="store_true", help="print the table, write nothing")
    args = parser.parse_args()
    whole, windows = recording(args.windows)
    n_spikes, lines = whole.spikes.n_spikes, []
    for name, make in MEASURES.items():
        took = [seconds(make, some, args.repeats) for some in ([whole], windows)]
        lines.append([name, *(f"{s / n_spikes * 1e9:.1f}" for s in took), f"{took[0]:.2f}"])
        print(*lines[-1], sep="\t", flush=True)
    head = ["measure", "one window, ns a spike", f"windows of {WINDOW_STEPS} steps, ns a spike", "one window, s"]
    text = (
        f"{n_spikes:,} spikes of {N:,} neurons, {SHARE:.0%} of the steps of 1 ms: CPU time of one thread, best of "
        f"{args.repeats}. {machine()}.\n\n{table(head, lines)}"
    )
    if not args.dry:
        write_section(args.results, "layer measures", "Measures of one layer", text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
