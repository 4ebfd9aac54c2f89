"""What recording costs: the wait of a stepped run, the size on disk, spikes a second, and the thread that writes.

    python benchmarks/recording.py [--steps 2000] [--rounds 9] [--results benchmarks/RESULTS.md]

One process, one thread for the network. The stepped run is of 1,000 recurrent neurons at 2 %, dt 1 ms, one call of
`run_continue` a step, with the recorder on and off in turn: medians over the rounds. Prints Markdown; --results puts
it in that file too.
"""

from __future__ import annotations

import argparse
import os

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from measuring import versions
from results import machine, table, write_section

from spikeloom import Connection, Encoder, Network, NeuronGroup, RecorderConfig, SimulationRecorder, Spikes
from spikeloom.backends import TorchBackend

N, DENSITY = 1000, 0.02


def recorder(folder: str, name: str, **settings: Any) -> SimulationRecorder:
    return SimulationRecorder(
        RecorderConfig(enable_recording=True, output_dir=folder, session_name=name, min_free_bytes=0, **settings)
    )


def network() -> Network:
    """Recurrent LIF neurons of which each input neuron makes some fire: about 2 % of them in each step of 1 ms."""
    net = Network()
    net.input = Encoder(100, coding_method="poisson")
    net.hidden = NeuronGroup(N, model="lif")
    rng = np.random.default_rng(0)
    net.up = Connection(net.input, net.hidden, link_type="full", weight=rng.gamma(1.0, 0.031, (N, 100)))
    net.back = Connection(net.hidden, net.hidden, link_type="full", weight=rng.normal(0, 0.01, (N, N)))
    net.set_backend(TorchBackend(dt=1.0))
    net.set_random_seed(1)
    net.input(torch.full((1, 100), 0.03))
    return net


def step_by_step(net: Network, n_steps: int) -> Callable[[Any], None]:
    def run(record: Any) -> None:
        for _ in range(n_steps):
            net.run_continue(1.0, record=record)

    return run


def at_once(net: Network, n_steps: int) -> Callable[[Any], None]:
    return lambda record: net.run(float(n_steps), record=record)


def waits(run: Callable[[Any], None], folder: str, name: str, n_steps: int, rounds: int) -> list[object]:
    """A row of the table: microseconds a step without and with the recorder, wall and CPU of this thread."""
    taken: dict[bool, list[tuple[float, float]]] = {False: [], True: []}
    with recorder(folder, name) as rec:
        run(rec)
        rec.flush_all()
        before = rec.get_statistics()["writer_cpu_seconds"]
        for turn in range(2 * rounds):
            on = bool(turn % 2) != bool(turn // 2 % 2)
            wall, cpu = time.perf_counter(), time.thread_time()
            run(rec if on else False)
            taken[on].append((time.perf_counter() - wall, time.thread_time() - cpu))
        rec.flush_all()
        writer = (rec.get_statistics()["writer_cpu_seconds"] - before) / rounds / n_steps * 1e6
    off, on_ = ([median(t[k] for t in taken[key]) / n_steps * 1e6 for k in (0, 1)] for key in (False, True))
    shares = [f"{100 * (b / a - 1):+.1f} %" for a, b in zip(off, on_, strict=True)]
    return [name, *(f"{x:.1f}" for x in (off[0], on_[0])), shares[0], *(f"{x:.1f}" for x in (off[1], on_[1])),
            shares[1], f"{writer:.1f}"]  # fmt: skip


def calls(folder: str, n_steps: int) -> list[list[object]]:
    """Microseconds of a call by what is handed over, hot: the best of several."""
    row = (np.random.default_rng(0).random(N) < DENSITY).astype(np.int8)
    rows: list[list[object]] = []
    with recorder(folder, "calls", record_membrane=True) as rec:
        forms: dict[str, tuple[Callable[..., None], Any]] = {
            "record_spike_data, int8": (rec.record_spike_data, row),
            "record_spike_data, float32 tensor": (rec.record_spike_data, torch.from_numpy(row.astype(np.float32))),
            "record_membrane_data, float32 tensor": (rec.record_membrane_data, torch.rand(N)),
        }
        for name, (call, data) in forms.items():
            best = float("inf")
            for _ in range(5):
                before = time.thread_time()
                for _ in range(n_steps):
                    call("main", name.replace(",", ""), data)
                best = min(best, (time.thread_time() - before) / n_steps * 1e6)
                rec.flush_all()
            rows.append([name, f"{best:.1f}"])
    return rows


def size(folder: str) -> float:
    """MB on disk of 100,000 steps of 1,000 neurons at 2 %."""
    rng = np.random.default_rng(0)
    with recorder(folder, "size") as rec:
        for _ in range(100):
            rec.record_spike_data("main", "l", (rng.random((1000, N)) < DENSITY).astype(np.int8))
    return sum(path.stat().st_size for path in rec.path.rglob("*") if path.is_file()) / 1e6


def throughput(folder: str, name: str, n_samples: int, compression: str | None) -> list[object]:
    """Million spikes a second through `write` until all of them are on the disk: the best of five, wall and CPU."""
    rng = np.random.default_rng(0)
    raster = (rng.random((1000, n_samples, N)) < DENSITY).astype(np.int8)
    spikes, best, least = Spikes.from_raster(raster, 1.0), float("inf"), float("inf")
    n_windows = max(1, 10_000_000 // spikes.n_spikes)
    for k in range(5):
        with recorder(folder, f"{name}-{k}", compression=compression) as rec:
            wall, cpu = time.perf_counter(), time.process_time()
            for _ in range(n_windows):
                rec.write("l", "spikes", spikes, 1.0)
            rec.flush_all()
            best, least = min(best, time.perf_counter() - wall), min(least, time.process_time() - cpu)
    total = n_windows * spikes.n_spikes / 1e6
    return [n_samples, compression or "none", f"{total / best:.0f}", f"{total / least:.0f}"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=2000, help="steps of a round (default 2000)")
    parser.add_argument(
        "--rounds", type=int, default=9, help="rounds with the recorder on, and as many off (default 9)"
    )
    parser.add_argument("--results", type=Path, help="the file that gets the section")
    args = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        net = network()
        net.run(1000.0)
        rate = net.firing_rates()["hidden"] / 1000
        runs = [
            waits(step_by_step(net, args.steps), folder, "one call a step", args.steps, args.rounds),
            waits(at_once(net, args.steps), folder, "one call for all", args.steps, args.rounds),
        ]
        events = [throughput(folder, f"t{n}{c}", n, c) for n in (1, 16) for c in (None, "gzip")]
        single, megabytes = calls(folder, args.steps), size(folder)
    packages = ", ".join(f"{name} {v}" for name, v in versions(("spikeloom", "torch", "numpy")).items())
    text = "\n".join([
        f"{machine()}; one thread; {packages}.",
        "", f"A recurrent network of {N} neurons at {100 * rate:.1f} %, dt 1 ms, 100 inputs, spikes of both recorded; "
        "microseconds a step, recorder off and on in turn:", "",
        table(("run", "wall, off", "wall, on", "more", "CPU, off", "CPU, on", "more", "CPU of the writer"), runs),
        "", f"Calls of one step, {N} neurons at 2 %, microseconds of CPU time:", "", table(("call", "us"), single),
        "", f"{N} neurons, 100,000 steps, 2 %: {megabytes:.2f} MB on disk.", "",
        "Million spikes a second through `write`, until all are on the disk:", "",
        table(("samples", "compression", "wall", "CPU of all threads"), events),
    ])  # fmt: skip
    print(text)
    if args.results:
        write_section(args.results, "recording", "Recording", text)


if __name__ == "__main__":
    main()
