"""A recipe: one neuron a pattern, taught by STDP and kept by homeostasis (paper 49 of the seed).

    PYTHONPATH=benchmarks python recipes/pattern.py

Claim: an ideal detector of patterns of simultaneous spikes, whose tolerance the homeostatic factor sets. Data: patterns
of k = 20 of 100 inputs. While a pattern is shown a teacher makes its neuron fire; inputs that fire with it gain, silent
ones lose, and the weights of a neuron are scaled to threshold * (1 + slack / k). Afterwards it fires where at least
k / (1 + slack / k) of its inputs do. The gate: equality with that formula. What it cannot do: patterns with more inputs
than their own are not told apart, since no weight is negative.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from recipe import Outcome, report

import spikeloom as sl
from spikeloom.backends import PlasticRun
from spikeloom.neurons import LIF
from spikeloom.plasticity import Change, Normalise, Rule

N, K, SHOWN = 100, 20, 40
THRESHOLD = 1.0


def detectors(patterns: NDArray[np.bool_], slack: float) -> PlasticRun:
    """One taught neuron for each of the patterns (m, N)."""
    rule = Rule(
        changes=(Change(trigger="post", pre="s - 0.5"),), lr=0.1, w_min=0.0,
        normalise=Normalise(total=THRESHOLD * (1 + slack / K), every=1),
    )  # fmt: skip
    weights = torch.full((len(patterns), N), THRESHOLD / N, dtype=torch.float64)
    run = PlasticRun(LIF(tau_m=1.0, v_th=THRESHOLD), rule, weights, dt=10.0)
    order = np.repeat(np.arange(len(patterns)), SHOWN)
    teacher = torch.zeros(len(order), len(patterns), dtype=torch.float64) - 10 * THRESHOLD
    teacher[np.arange(len(order)), order] = 10 * THRESHOLD
    run.run(spikes(patterns[order]), current=teacher)
    return run


def spikes(shown: NDArray[np.bool_]) -> sl.Spikes:
    """One pattern (T, N) a step."""
    return sl.Spikes.from_raster(shown.astype(np.int8), 10.0, batched=False)


def fires(run: PlasticRun, shown: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which neurons fire for each pattern shown, (T, m), without learning."""
    still = PlasticRun(run.model.neuron, Rule(lr=0.0), run.state.weights, dt=10.0)
    return still.run(spikes(shown)).numpy().astype(bool)


def overlapping(pattern: NDArray[np.bool_], overlap: int, generator: np.random.Generator) -> NDArray[np.bool_]:
    """A pattern of K inputs that shares so many with another."""
    own, others = np.flatnonzero(pattern), np.flatnonzero(~pattern)
    chosen = np.concatenate((generator.permutation(own)[:overlap], generator.permutation(others)[: K - overlap]))
    return np.isin(np.arange(N), chosen)


def least_overlap(slack: float, seed: int = 0) -> tuple[int, int]:
    """The least overlap that fires a taught neuron, and that of the formula."""
    generator = np.random.default_rng(seed)
    pattern = np.isin(np.arange(N), generator.permutation(N)[:K])
    run = detectors(pattern[None], slack)
    shown = np.stack([overlapping(pattern, overlap, generator) for overlap in range(K + 1)])
    answers = fires(run, shown)[:, 0]
    assert (np.diff(answers.astype(int)) >= 0).all(), "a greater overlap never silences it"
    return int(np.argmax(answers)), math.ceil(K / (1 + slack / K) - 1e-9)


def cross_response(common: int, slack: float, m: int = 10) -> float:
    """How often a neuron answers to another's pattern, of m patterns that share so many inputs."""
    patterns = np.zeros((m, max(N, common + m * (K - common))), bool)
    patterns[:, :common] = True
    for i in range(m):
        begin = common + i * (K - common)
        patterns[i, begin : begin + K - common] = True
    kept = [i for i in range(m) if np.flatnonzero(patterns[i])[-1] < N]
    answers = fires(detectors(patterns[kept][:, :N], slack), patterns[kept][:, :N])
    assert answers.diagonal().all()
    return float(answers[~np.eye(len(kept), dtype=bool)].mean())


def outcome() -> Outcome:
    least = {slack: least_overlap(slack) for slack in (0.5, 1.5, 2.5, 4.5, 7.0)}
    cross = {common: cross_response(common, 2.5) for common in (10, 14, 17, 18, 19)}
    rows: list[list[object]] = [[f"least overlap at slack {slack:g}", *found] for slack, found in least.items()]
    rows += [[f"answers to another's pattern, {common} common", f"{share:g}", ""] for common, share in cross.items()]
    return Outcome(
        name="pattern",
        paper="Spatial patterns by STDP and homeostasis on SpiNNaker (paper 49)",
        data=f"patterns of {K} of {N} inputs",
        baseline="the formula, k / (1 + slack / k)",
        result=f"the least overlap that fires is {', '.join(str(found[0]) for found in least.values())}",
        gate="equality with the formula",
        holds=all(measured == formula for measured, formula in least.values()),
        head=["what", "measured", "formula"],
        rows=rows,
        failed="to tell apart patterns with more inputs than their own: no weight is negative",
    )


if __name__ == "__main__":
    report(__doc__, outcome)
