"""A recipe: one neuron a pattern, taught by STDP and kept by homeostasis (paper 49 of the seed).

    PYTHONPATH=benchmarks python recipes/pattern.py

Claim: an ideal detector of patterns of simultaneous spikes, whose tolerance the homeostatic factor sets. Data: patterns
of k = 20 of 100 inputs. While a pattern is shown a teacher makes its neuron fire; inputs that fire with it gain, silent
ones lose, and the weights of a neuron are scaled to threshold * (1 + slack / k). Afterwards it fires where at least
k / (1 + slack / k) of its inputs do. The gate: equality with that formula. What it cannot do: patterns with more inputs
than their own are not told apart, since no weight is negative.
"""

from __future__ import annotations

import argparse
import math

import numpy as np
import torch
from numpy.typing import NDArray
from results import HERE, machine, table, write_section

import spikeloom as sl
from spikeloom.backends import PlasticRun
from spikeloom.filters import LowPass
from spikeloom.neurons import LIF
from spikeloom.plasticity import Change, Normalise, PairRule, Trace

N, K, SHOWN = 100, 20, 40
THRESHOLD = 1.0
AT_ONCE = Trace(filter=LowPass(tau=1e-3), nearest=True, before=True)  # the spikes of the step itself


def detectors(patterns: NDArray[np.bool_], slack: float) -> PlasticRun:
    """One taught neuron for each of the patterns (m, N)."""
    rule = PairRule(
        pre=AT_ONCE, post=AT_ONCE, at_pre=Change(amount=0.0), at_post=Change(amount=0.1, offset=0.5),
        normalise=Normalise(total=THRESHOLD * (1 + slack / K), every=1), w_max=math.inf,
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
    still = PlasticRun(run.model.neuron, PairRule(lr=0.0, w_max=math.inf), run.state.weights, dt=10.0)
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


def main() -> None:
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    rows = [[f"{slack:g}", *least_overlap(slack)] for slack in (0.5, 1.5, 2.5, 4.5, 7.0)]
    cross = ", ".join(f"{cross_response(c, 2.5):g} of {c}" for c in (10, 14, 17, 18, 19))
    text = (
        f"Command: `PYTHONPATH=benchmarks python recipes/pattern.py`. {machine()}\n\n"
        f"Patterns of {K} of {N} inputs; the least overlap that fires the neuron of a pattern.\n\n"
        + table(["slack", "measured", "k / (1 + slack / k)"], rows)
        + f"\n\nAnswers to another's pattern at slack 2.5, by common inputs: {cross}."
    )
    write_section(HERE / "RESULTS.md", "pattern", "Recipe: detectors of simultaneous spikes", text)
    print(text)


if __name__ == "__main__":
    main()
