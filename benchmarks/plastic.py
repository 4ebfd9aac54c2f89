"""A plastic connection, 784 to 100 neurons, one sample: the kernel beside loops over time in torch and in NumPy.

    python benchmarks/plastic.py [--steps 1000] [--repeats 7]

Prints a Markdown table: CPU microseconds a step of one thread, medians. The neurons are driven so that they fire at the
stated rate, whatever the weights. "only what spikes" is a loop written for this rule alone: rows of spikes are added
and changed, not whole matrices.
"""

from __future__ import annotations

import argparse
import os

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")

import math
import time
from collections.abc import Callable, Iterator
from statistics import median
from typing import Any, NamedTuple

import numpy as np
import torch

from spikeloom import Connection, Encoder, Learner, Network, NeuronGroup, Spikes, TorchBackend
from spikeloom.backends.plastic import PlasticRun
from spikeloom.backends.plastic_loop import PlasticModel, step_window
from spikeloom.native.events import EventRows, rows_of_raster
from spikeloom.neurons import LIF
from spikeloom.ops import NumpyOps
from spikeloom.plasticity import (
    Normalise,
    bcm,
    diehl_cook,
    oja,
    rstdp_eligibility,
    stdp,
    triplet_stdp,
)
from spikeloom.plasticity.rule import Rule

K, N, DRIVE = 784, 100, 2e3
NEURON = LIF(tau_m=20.0, v_th=DRIVE / 2)
A_MINUS, A_PLUS = 1e-4, 1e-2
PLAIN = stdp(a_minus=A_MINUS, a_plus=A_PLUS)
LOOP_STEPS = 200
"""How many steps the loops run: they are slow, and each step costs the same."""


class Load(NamedTuple):
    """Pre spikes (T, K), a current (T, N) that makes chosen neurons fire, and weights (N, K)."""

    rows: EventRows
    raster: np.ndarray[Any, Any]
    current: np.ndarray[Any, Any]
    weights: np.ndarray[Any, Any]


def load(density: float, rate: float, n_steps: int, dtype: type) -> Load:
    rng = np.random.default_rng(0)
    raster = (rng.random((n_steps, 1, K)) < density).astype(np.int8)
    current = np.where(rng.random((n_steps, N)) < rate, DRIVE, 0.0).astype(dtype)
    return Load(rows_of_raster(raster), raster[:, 0].astype(dtype), current, rng.uniform(0, 0.3, (N, K)).astype(dtype))


def microseconds(window: Callable[[], object], n_steps: int, repeats: int) -> float:
    """The median CPU time of a step in microseconds, over windows of so many steps, after one to warm up."""
    window()
    taken = []
    for _ in range(repeats):
        before = time.process_time()
        window()
        taken.append((time.process_time() - before) / n_steps * 1e6)
    return median(taken)


def run_of(given: Load, rule: Rule, path: str) -> PlasticRun:
    run = PlasticRun(NEURON, rule, torch.from_numpy(given.weights), dt=1.0, path=path)
    assert path == "torch" or run.path == "kernel path", run.path
    return run


def kernel(given: Load, rule: Rule, repeats: int, rewarded: float | None = None) -> float:
    """rewarded: in which part of the steps there is a reward; None for the modulator 1 in all."""
    run, current = run_of(given, rule, "auto"), torch.from_numpy(given.current)
    rewards = None if rewarded is None else (torch.arange(len(current)) % round(1 / rewarded) == 0).double()
    return microseconds(lambda: run.run(given.rows, modulator=rewards, current=current), len(current), repeats)


def torch_loop(given: Load, rule: Rule, repeats: int) -> float:
    run, current = run_of(given, rule, "torch"), torch.from_numpy(given.current)
    return microseconds(lambda: run.run(given.rows, current=current), len(current), repeats)


def numpy_loop(given: Load, rule: Rule, repeats: int) -> float:
    model = PlasticModel(neuron=NEURON, rule=rule, dt=1.0)
    state = model.initial(given.weights, NumpyOps())

    def window() -> None:
        nonlocal state
        _, state = step_window(model, state, given.raster, NumpyOps(), current=given.current)

    return microseconds(window, len(given.current), repeats)


def sparse_numpy_loop(given: Load, rule: Rule, repeats: int) -> float:
    """The additive rule on the rows and columns of spikes alone, weights stored by pre neuron."""
    w, v = np.ascontiguousarray(given.weights.T), np.zeros(N, given.weights.dtype)
    x, y = np.zeros(K, v.dtype), np.zeros(N, v.dtype)
    keep_v, keep = v.dtype.type(math.exp(-1 / NEURON.tau_m)), v.dtype.type(math.exp(-1 / 20.0))
    events = [given.rows.ids[a:b] for a, b in zip(given.rows.start[:-1], given.rows.start[1:], strict=True)]

    def window() -> None:
        nonlocal v, x, y
        for ids, current in zip(events, given.current, strict=True):
            v = v * keep_v + w[ids].sum(0) + current
            fired = np.flatnonzero(v >= NEURON.v_th)
            v[fired] = NEURON.v_reset
            w[ids] = np.clip(w[ids] - A_MINUS * y, rule.w_min, rule.w_max)
            w[:, fired] = np.clip(w[:, fired] + A_PLUS * x[:, None], rule.w_min, rule.w_max)
            x, y = x * keep, y * keep
            x[ids] += 1
            y[fired] += 1

    return microseconds(window, len(events), repeats)


def table(head: list[str], rows: Iterator[list[str]]) -> str:
    return "\n".join("| " + " | ".join(row) + " |" for row in (head, ["---"] * len(head), *rows))


def against_loops(n_steps: int, repeats: int) -> Iterator[list[str]]:
    for density, rate in ((0.02, 0.01), (0.05, 0.02), (0.1, 0.05)):
        single, double = (load(density, rate, n_steps, dtype) for dtype in (np.float32, np.float64))
        short = load(density, rate, min(n_steps, LOOP_STEPS), np.float32)
        found = [kernel(single, PLAIN, repeats), kernel(double, PLAIN, repeats)]
        found += [loop(short, PLAIN, repeats) for loop in (torch_loop, numpy_loop, sparse_numpy_loop)]
        yield [f"{density:.0%}", f"{rate:.0%}", *(f"{t:.1f}" for t in found), f"{min(found[2:]) / found[0]:.0f}x"]


def by_rule(n_steps: int, repeats: int) -> Iterator[list[str]]:
    given = load(0.05, 0.02, n_steps, np.float32)
    pairs = {"a_minus": A_MINUS, "a_plus": A_PLUS}
    rules = {
        "pairs": PLAIN,
        "pairs, sums normalised every 100 steps": stdp(normalise=Normalise(total=78.4, every=100), **pairs),
        "pairs, sums normalised every step": stdp(normalise=Normalise(total=78.4, every=1), **pairs),
        "linear weight dependence": stdp(mu_plus=1.0, mu_minus=1.0, **pairs),
        "weight dependence to the power 0.2": stdp(mu_plus=0.2, mu_minus=0.2, **pairs),
        "triplets": triplet_stdp(),
        "Diehl and Cook, thresholds that rise": diehl_cook(),
        "BCM: every synapse in every step": bcm(),
        "Oja": oja(w_min=0.0, w_max=1.0),
    }
    for name, rule in rules.items():
        yield [name, f"{kernel(given, rule, repeats):.1f}"]
    for name, rewarded in {"every step": 1.0, "one step of 100": 0.01}.items():
        taken = kernel(given, rstdp_eligibility(), repeats, rewarded)
        yield [f"eligibility at each synapse, reward in {name}", f"{taken:.1f}"]
    single = load(0.05, 0.02, 1, np.float32)
    yield ["pairs, each step a call of its own", f"{kernel(single, PLAIN, 100 * repeats):.1f}"]


def in_network(n_steps: int, repeats: int) -> Iterator[list[str]]:
    """Runs of a network, what encodes the input and makes the plan included; neurons inhibit each other."""
    raster = np.random.default_rng(0).random((n_steps, 1, K)) < 0.05
    for algorithm in ("nearest_online_STDP", "full_online_STDP"):
        taken = []
        for path in ("torch", "auto"):
            net = Network()
            net.source = Encoder(shape=(K,), coding_method="null")
            net.cells = NeuronGroup(N, "lif", tau_m=20.0, v_th=8.0)
            weight = np.random.default_rng(0).uniform(0, 0.3, (N, K))
            net.input = Connection(net.source, net.cells, link_type="full", weight=weight)
            net.rivals = Connection(net.cells, net.cells, link_type="lateral", w_mean=-1.0, is_parameter=False)
            net.learner = Learner(net.input, algorithm)
            net.set_backend(TorchBackend(dt=1.0, path=path))
            net.source(Spikes.from_raster(raster.astype(np.int8), 1.0))
            taken.append(microseconds(lambda net=net: net.run(float(n_steps)), n_steps, repeats))
            assert ("plastic path" in str(net.plan)) == (path == "auto"), net.plan
        yield [f"`{algorithm}`", *(f"{t:.1f}" for t in taken), f"{taken[0] / taken[1]:.0f}x"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=1000, help="steps of a window (default 1000)")
    parser.add_argument("--repeats", type=int, default=7, help="windows measured after the first (default 7)")
    args = parser.parse_args()
    torch.set_num_threads(1)
    loops = ["torch step loop", "NumPy step loop", "NumPy, only what spikes"]
    head = ["pre spikes a step", "post", "kernel, float", "kernel, double", *loops, "kernel against the best loop"]
    print(f"CPU us a step, {K} to {N} neurons, one thread\n")
    print(table(head, against_loops(args.steps, args.repeats)))
    print("\nThe kernel in float at 5 % pre and 2 % post spikes\n")
    print(table(["rule", "us a step"], by_rule(args.steps, args.repeats)))
    print("\nRuns of a network in windows of 250 steps, float, 5 % pre spikes\n")
    head = ["learner", "torch path", "plastic path", "faster"]
    print(table(head, in_network(min(args.steps, 250), args.repeats)))


if __name__ == "__main__":
    main()
