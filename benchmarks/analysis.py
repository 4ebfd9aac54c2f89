"""How long the analysis of a recorded session takes, to its full report, beside Elephant on the same spikes.

1,000 Poisson neurons at 20 Hz for 500 s in steps of 1 ms, 1e7 spikes, are recorded by spikeloom. Elephant with Neo, and
spikeloom once more, get them from a file of arrays, and take the measures of the report that Elephant has; pairs are
those of the same 200 neurons. Each runs in fresh processes of one thread, in turn. CPU seconds, and the peak of
resident memory.
"""

import argparse
import json
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import numpy as np
from results import HERE, Record, machine, peer_python, run_process, table, version_lines, write_section

N, N_STEPS, DT_MS, RATE = 1000, 500_000, 1.0, 0.02
PAIRED, BIN_MS, COUNT_MS, RATE_MS = 200, 10.0, 100.0, 1250.0
LIMIT_S, MOST_MB = 20.0, 1000.0
REPEATS = 3


def make(folder: Path) -> None:
    """Records the session, and writes the same spikes as arrays: the steps of each neuron, one after the other."""
    from spikeloom.recording import RecorderConfig, SimulationRecorder

    generator = np.random.default_rng(0)
    config = RecorderConfig(enable_recording=True, output_dir=folder, session_name="session")
    step, ids = [], []
    with SimulationRecorder(config, dt=DT_MS) as recorder:
        for begin in range(0, N_STEPS, 5000):
            raster = generator.random((5000, N), dtype=np.float32) < RATE
            recorder.record_spike_data("main", "cortex", raster.astype(np.int8))
            rows, columns = np.nonzero(raster)
            step.append((rows + begin).astype(np.int32))
            ids.append(columns.astype(np.int32))
    steps, neuron = np.concatenate(step), np.concatenate(ids)
    order = np.argsort(neuron, kind="stable")
    ends = np.cumsum(np.bincount(neuron, minlength=N))
    np.savez(folder / "trains.npz", steps=steps[order], ends=ends)


def of_spikeloom(folder: Path) -> dict[str, float]:
    """The whole report: every measure in one pass, and every picture."""
    began = time.process_time()
    from spikeloom.analysis import SimulationAnalyzer

    seconds = {"imports": time.process_time() - began}
    with SimulationAnalyzer(folder / "session") as analyzer:
        _take(seconds, "all measures", analyzer.analysis)
        _take(seconds, "pictures and page", lambda: analyzer.generate_html_report(folder / "report.html"))
        seconds["all"] = time.process_time() - began
        _take(
            seconds,
            "the file read once more, alone",
            lambda: sum(b.size for b in analyzer.session.spikes("main", "cortex")),
        )
    return seconds


def of_arrays(folder: Path) -> dict[str, float]:
    """The measures that Elephant has, of the same arrays; no picture."""
    began = time.process_time()
    from spikeloom import measures
    from spikeloom.analysis.measures.trains import TrainSorter
    from spikeloom.analysis.windows import Window
    from spikeloom.spikes import Spikes

    seconds = {"imports": time.process_time() - began}

    def read() -> Spikes:
        held = np.load(folder / "trains.npz")
        ids = np.repeat(np.arange(N), np.diff(held["ends"], prepend=0))
        return Spikes.from_steps(held["steps"], ids, N, N_STEPS, DT_MS, n_samples=1)

    spikes = _take(seconds, "trains", read)
    intervals = _take(seconds, "intervals", lambda: TrainSorter().intervals(Window.of(spikes)))
    for name, made in (
        ("CV", measures.CvAccumulator),
        ("Lv", measures.LocalVariationAccumulator),
        ("histogram of intervals", lambda: measures.IsiHistogramAccumulator(5.0, 400.0)),
    ):
        _take(seconds, name, lambda made=made: made().take(intervals))
    _take(seconds, "rates of neurons", lambda: measures.neuron_rates(spikes))
    _take(seconds, "population rate", lambda: measures.population_rate(spikes, RATE_MS))
    _take(seconds, "Fano factors", lambda: measures.fano_factor(spikes, COUNT_MS))
    few = np.arange(PAIRED)
    _take(seconds, "correlation matrix", lambda: measures.spike_count_correlation(spikes, BIN_MS, few))
    return seconds | {"all": time.process_time() - began}


def of_elephant(folder: Path) -> dict[str, float]:
    """The measures of the report that Elephant has; no picture."""
    began = time.process_time()
    import neo
    import quantities as pq
    from elephant import statistics
    from elephant.conversion import BinnedSpikeTrain
    from elephant.spike_train_correlation import correlation_coefficient

    seconds = {"imports": time.process_time() - began}
    stop = N_STEPS * DT_MS * pq.ms

    def read() -> list[neo.SpikeTrain]:
        held = np.load(folder / "trains.npz")
        parts = np.split(held["steps"] * DT_MS, held["ends"][:-1])
        return [neo.SpikeTrain(times * pq.ms, t_stop=stop) for times in parts]

    trains = _take(seconds, "trains", read)
    intervals = _take(seconds, "intervals", lambda: [statistics.isi(train).magnitude for train in trains])
    _take(seconds, "CV", lambda: [statistics.cv(values) for values in intervals])
    _take(seconds, "Lv", lambda: [statistics.lv(values) for values in intervals])
    _take(seconds, "histogram of intervals", lambda: np.histogram(np.concatenate(intervals), 80))
    _take(seconds, "rates of neurons", lambda: [statistics.mean_firing_rate(train) for train in trains])
    _take(seconds, "population rate", lambda: statistics.time_histogram(trains, RATE_MS * pq.ms))
    _take(seconds, "Fano factors", lambda: _fano(BinnedSpikeTrain(trains, bin_size=COUNT_MS * pq.ms)))
    few = trains[:PAIRED]
    _take(
        seconds,
        "correlation matrix",
        lambda: correlation_coefficient(BinnedSpikeTrain(few, bin_size=BIN_MS * pq.ms)),
    )
    return seconds | {"all": time.process_time() - began}


def _fano(binned: object) -> np.ndarray:
    counts = binned.to_array()  # type: ignore[attr-defined]
    return counts.var(axis=1) / counts.mean(axis=1)


def _take(seconds: dict[str, float], name: str, call: Callable) -> object:
    began = time.process_time()
    found = call()
    seconds[name] = time.process_time() - began
    return found


PROGRAMS = {"spikeloom": of_spikeloom, "arrays": of_arrays, "elephant": of_elephant}
PACKAGES = {
    "spikeloom": ("spikeloom", "numpy", "matplotlib"),
    "arrays": ("spikeloom", "numpy"),
    "elephant": ("elephant", "neo", "quantities", "numpy"),
}


def one(framework: str, folder: Path) -> Record:
    """The record of one run in this process."""
    seconds = PROGRAMS[framework](folder)
    megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    versions = {name: version(name) for name in PACKAGES[framework]}
    return {"framework": framework, "seconds": seconds, "megabytes": megabytes, "versions": versions}


def main() -> None:
    """Measures both in turn and writes the section, or does one part of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--one", choices=PROGRAMS)
    parser.add_argument("--make", action="store_true")
    parser.add_argument("--folder", type=Path)
    arguments = parser.parse_args()
    if arguments.make:
        make(arguments.folder)
        sys.stdout.write("{}\n")
        return
    if arguments.one:
        sys.stdout.write(json.dumps(one(arguments.one, arguments.folder)) + "\n")
        return
    with tempfile.TemporaryDirectory() as name:
        run_process(
            [sys.executable, __file__, "--make", "--folder", name]
        )  # a child's peak memory is its parent's first
        own = Path(sys.executable)
        pythons = {"spikeloom": own, "arrays": own, "elephant": peer_python("analysis")}
        runs: dict[str, list[Record]] = {framework: [] for framework in PROGRAMS}
        for _ in range(REPEATS):
            for framework, python in pythons.items():
                command = [str(python), __file__, "--one", framework, "--folder", name]
                runs[framework].append(run_process(command, 1200))
    best = {framework: min(found, key=lambda r: r["seconds"]["all"]) for framework, found in runs.items()}
    write_section(HERE / "RESULTS.md", "analysis", "Analysis of a recorded session", _text(best))


def _measures_alone(seconds: dict[str, float]) -> float:
    return seconds["all"] - seconds["imports"] - seconds["trains"]


def _text(best: dict[str, Record]) -> str:
    own, arrays, elephant = best["spikeloom"], best["arrays"], best["elephant"]
    rows = [(name, f"{seconds:.2f}") for name, seconds in own["seconds"].items()]
    rows.append(("peak MB", f"{own['megabytes']:.0f}"))
    pairs = [(name, arrays["seconds"][name], seconds) for name, seconds in elephant["seconds"].items()]
    pairs.append(("measures alone", *(_measures_alone(record["seconds"]) for record in (arrays, elephant))))
    beside = [(name, *(f"{seconds:.2f}" for seconds in both)) for name, *both in pairs]
    beside.append(("peak MB", *(f"{record['megabytes']:.0f}" for record in (arrays, elephant))))
    kept = own["seconds"]["all"] < LIMIT_S and own["megabytes"] < MOST_MB
    bar = f"The bar of {LIMIT_S:g} s and {MOST_MB:g} MB for the full report is {'kept' if kept else 'NOT kept'}."
    about = (
        f"{N:,} Poisson neurons, {N_STEPS:,} steps of {DT_MS:g} ms at {RATE:.0%}; CPU seconds of one thread, the best "
        f"of {REPEATS}. spikeloom reads the session's file and writes the whole report with its pictures."
    )
    compared = (
        "The measures of the report that Elephant has, both from the same file of arrays, neither with a picture; "
        f"pairs are those of {PAIRED} neurons. Intervals are found once, for the three measures below them."
    )
    lines = [machine(), "", *version_lines(best.values()), "", about, "", table(("part of the report", "s"), rows), ""]
    lines += [bar, "", compared, "", table(("part", "spikeloom, s", "Elephant, s"), beside)]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
