"""How long measures of pairs of spike trains take, side by side with Elephant and PySpike: CPU seconds of one thread.

Both measure the same Poisson trains, in fresh processes in turn. Where the others would take hours on the whole
recording, they are compared on its beginning.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import numpy as np
from results import HERE, Record, machine, peer_python, run_process, table, version_lines, write_section

RATE_HZ, DT_MS, N = 10.0, 0.1, 200
WHOLE_MS = 1e6
PARTS_MS = {
    "correlation matrix of counts in 5 ms": WHOLE_MS,
    "correlation matrix of counts in 1 ms": WHOLE_MS,
    "autocorrelation in 1 ms, lags to 100 ms": WHOLE_MS,
    "van Rossum distances, 10 ms": 1e5,
    "Victor-Purpura distances, 0.1 / ms": 1e4,
    "SPIKE-synchronization": 1e5,
    "Spike-contrast": WHOLE_MS,
    "spike-triggered average, 6 ms": 1e4,
}
"""How much of the recording the others measure as well, by measure."""


def trains(duration_ms: float) -> list[np.ndarray]:
    """The steps of each neuron in the first part of the recording."""
    generator = np.random.default_rng(0)
    n_steps = round(WHOLE_MS / DT_MS)
    counts = generator.poisson(RATE_HZ * WHOLE_MS / 1000, N)
    rows = [np.unique(generator.integers(0, n_steps, count)) for count in counts]
    return [row[row < round(duration_ms / DT_MS)] for row in rows]


def signal(duration_ms: float) -> np.ndarray:
    return np.random.default_rng(1).normal(size=round(duration_ms / DT_MS))


def of_spikeloom(rows: list[np.ndarray], duration_ms: float) -> dict[str, Callable]:
    from spikeloom.analysis import measures as m
    from spikeloom.spikes import Spikes

    ids = np.repeat(np.arange(N), [len(row) for row in rows])
    s = Spikes.from_steps(np.concatenate(rows), ids, N, round(duration_ms / DT_MS), DT_MS)
    trace = signal(duration_ms)
    calls = (
        lambda: m.spike_count_correlation(s, 5),
        lambda: m.spike_count_correlation(s, 1),
        lambda: m.autocorrelation(s, 1, 100).counts,
        lambda: m.van_rossum_distance(s, 10)[0],
        lambda: m.victor_purpura_distance(s, 0.1)[0],
        lambda: m.spike_synchronization(s)[0],
        lambda: m.spike_contrast(s)[0],
        lambda: m.spike_triggered_average(s, trace, (-5, 1)).average,
    )
    return dict(zip(PARTS_MS, calls, strict=True))


def of_others(rows: list[np.ndarray], duration_ms: float) -> dict[str, Callable]:
    import neo
    import pyspike
    import quantities as pq
    from elephant import spike_train_correlation as correlation
    from elephant import spike_train_dissimilarity as dissimilarity
    from elephant import spike_train_synchrony as synchrony
    from elephant.conversion import BinnedSpikeTrain
    from elephant.sta import spike_triggered_average

    found = [neo.SpikeTrain(row * DT_MS, units="ms", t_stop=duration_ms) for row in rows]
    spiky = [pyspike.SpikeTrain(row * DT_MS, [0, duration_ms]) for row in rows]
    trace = neo.AnalogSignal(signal(duration_ms)[:, None], units="mV", sampling_period=DT_MS * pq.ms)

    def autocorrelations() -> list:
        binned = [BinnedSpikeTrain(train, bin_size=1 * pq.ms) for train in found]
        return [correlation.cross_correlation_histogram(b, b, window=[-100, 100])[0].magnitude[:, 0] for b in binned]

    calls = (
        lambda: correlation.correlation_coefficient(BinnedSpikeTrain(found, bin_size=5 * pq.ms)),
        lambda: correlation.correlation_coefficient(BinnedSpikeTrain(found, bin_size=1 * pq.ms)),
        autocorrelations,
        lambda: dissimilarity.van_rossum_distance(found, 10 * pq.ms),
        lambda: dissimilarity.victor_purpura_distance(found, 0.1 / pq.ms),
        lambda: pyspike.spike_sync_matrix(spiky),
        lambda: synchrony.spike_contrast(found),
        lambda: [spike_triggered_average(trace, t, (-5 * pq.ms, 1 * pq.ms)).magnitude[:, 0] for t in found],
    )
    return dict(zip(PARTS_MS, calls, strict=True))


def measure(side: str, name: str, duration_ms: float, repeats: int, out: Path) -> Record:
    """The best CPU time of a measure in this process; its value goes into a file."""
    packages = ("spikeloom", "numpy") if side == "spikeloom" else ("elephant", "pyspike", "numpy")
    call = (of_spikeloom if side == "spikeloom" else of_others)(trains(duration_ms), duration_ms)[name]
    seconds = []
    while len(seconds) < repeats and sum(seconds) < 20:
        begin = time.process_time()
        value = call()
        seconds.append(time.process_time() - begin)
    np.save(out, np.asarray(value, float))
    return {"seconds": min(seconds), "framework": side, "versions": {package: version(package) for package in packages}}


def asked(side: str, name: str, duration_ms: float, repeats: int) -> tuple[Record, np.ndarray]:
    """The record of a fresh process, and the value that it computed."""
    python = sys.executable if side == "spikeloom" else str(peer_python("analysis"))
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "value.npy"
        options = [side, name, str(duration_ms), str(repeats), str(out)]
        return run_process([python, str(HERE / "pair_measures.py"), "--measure", *options]), np.load(out)


def compared(name: str, repeats: int) -> tuple[list[object], list[Record]]:
    """A line of the table; the benchmark ends where the values differ."""
    part = PARTS_MS[name]
    (ours, value), (theirs, expected) = (asked(side, name, part, repeats) for side in ("spikeloom", "others"))
    if not np.allclose(value, expected, rtol=1e-9, atol=1e-9):
        raise SystemExit(f"{name}: spikeloom differs from the others by {np.abs(value - expected).max():g}")
    whole = ours if part == WHOLE_MS else asked("spikeloom", name, WHOLE_MS, repeats)[0]
    seconds = [record["seconds"] for record in (ours, theirs, whole)]
    ratio = seconds[1] / seconds[0]
    line = [name, f"{part / 1000:g} s", *(f"{s:.3g}" for s in seconds[:2]), f"{ratio:.3g}x", f"{seconds[2]:.3g}"]
    return line, [ours, theirs]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5, help="runs of each process (default 5; fewer after 20 s)")
    parser.add_argument("--results", type=Path, default=HERE / "RESULTS.md", help="the file of results")
    parser.add_argument("--dry", action="store_true", help="print the table, write nothing")
    parser.add_argument("--measure", nargs=5, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.measure:
        side, name, duration, repeats, out = args.measure
        print(json.dumps(measure(side, name, float(duration), int(repeats), Path(out))))
        return
    lines, records = [], []
    for name in PARTS_MS:
        line, of_both = compared(name, args.repeats)
        lines.append(line)
        records += of_both
        print(*line, sep="\t", flush=True)
    head = ["all pairs or trains", "part compared", "spikeloom, s", "others, s", "faster", "whole recording, s"]
    text = (
        f"{N} Poisson neurons of {RATE_HZ:g} Hz on a grid of {DT_MS} ms, {WHOLE_MS / 1000:g} s: CPU seconds of one "
        f"thread, best of {args.repeats} (fewer after 20 s); SPIKE-synchronization against PySpike, the rest against "
        f"Elephant, whose values are the same. The last column is spikeloom's on all of it. {machine()}.\n\n"
        f"{table(head, lines)}\n\n" + "\n".join(sorted(set(version_lines(records))))
    )
    print(text)
    if not args.dry:
        write_section(args.results, "pair measures", "Measures of pairs of spike trains", text)


if __name__ == "__main__":
    main()
