"""A recipe: digits learnt by symmetric STDP alone, also what the classes are (paper 10 of the seed).

    PYTHONPATH=benchmarks python recipes/symstdp.py [--neurons 100] [--seeds 2]

Claim: a network of spiking neurons is trained to classify by local rules, in one pass, with a teacher that makes the
right class neuron fire; pairs of spikes in either order potentiate, and synaptic scaling takes back. Data: digits of
scikit-learn, each shown once. Two plastic connections by one rule, `symmetric_stdp`: from 64 inputs that fire with the
brightness of a pixel to neurons that compete, and from these to ten class neurons. A spike of a competing neuron raises
its threshold and holds all others back (no population of inhibitory neurons, no conductances as in the paper). In the
test nobody teaches, nothing learns, and the class neuron that fires most answers; a tie is no answer.

The gate: 70 % after one pass, and without scaling at least 10 points less. Before learning and without scaling nearly
all class neurons are even, which counts as no answer: those figures lie below chance, .1. The baseline is the nearest
mean image of a class, which is as good: so small a set does not show what a hundred prototypes are for. Settings were
chosen on 337 of the training images. What was not tried: the published 96.7 % of MNIST, which takes thousands of
neurons.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from common import Part, digits
from numpy.typing import NDArray
from recipe import Outcome, report

import spikeloom as sl
from spikeloom.backends import PlasticRun
from spikeloom.filters import LowPass
from spikeloom.neurons import LIF
from spikeloom.plasticity import Change, Normalise, Rule, symmetric_stdp

STEPS, RATE = 300, 0.25  # steps of 1 ms; spikes a step of a white pixel
CELL = LIF(tau_m=100.0, v_th=6.0)
CLASS = LIF(tau_m=10.0, v_th=2.0)
INHIBITION, TEACHER = 20.0, 100.0
RISE = Change(trigger="post", post="rise", target="v_th", relax=LowPass(tau=6e6))


def connections(n: int, seed: int, *, scaling: bool = True) -> tuple[PlasticRun, PlasticRun]:
    """From the inputs to n neurons that compete, and from these to the classes."""
    drawn = torch.Generator().manual_seed(seed)
    norms = [Normalise(total=0.1 * 64), Normalise(total=0.4 * n)] if scaling else [None, None]
    first = symmetric_stdp(lr=7e-4, a=1.0, w_max=1.0, normalise=norms[0])
    first = replace(first, changes=(*first.changes, RISE), parameters={"a": 1.0, "rise": 0.1 / first.lr})
    second = symmetric_stdp(lr=5e-3, a=1.0, w_max=8.0, normalise=norms[1])
    cells = PlasticRun(CELL, first, 0.2 * torch.rand(n, 64, generator=drawn), dt=1.0, inhibition=INHIBITION)
    classes = PlasticRun(CLASS, second, torch.full((10, n), 0.1), dt=1.0)
    return cells, classes


def flashes(image: NDArray[np.float32], generator: np.random.Generator) -> sl.Spikes:
    """An image (64,) as spikes."""
    return sl.Spikes.from_raster((generator.random((STEPS, 64)) < RATE * image).astype(np.int8), 1.0, batched=False)


def taught(part: Part, n: int, seed: int, **options: bool) -> tuple[PlasticRun, PlasticRun]:
    """The connections after each image was shown once, with a teacher of its class."""
    generator = np.random.default_rng(seed)
    cells, classes = connections(n, seed, **options)
    for image, label in zip(*part, strict=True):
        cells.rest()
        classes.rest()
        fired = cells.run(flashes(image, generator))
        told = torch.full((STEPS, 10), -TEACHER)
        told[:, label] = torch.from_numpy(TEACHER * (generator.random(STEPS) < 0.2)).float()
        classes.run(sl.Spikes.from_raster(fired.numpy(), 1.0, batched=False), current=told)
    return cells, classes


def accuracy(runs: tuple[PlasticRun, PlasticRun], part: Part, seed: int = 1) -> float:
    """The part of the images for which the class neuron that fires most is the right one; a tie is no answer."""
    generator = np.random.default_rng(seed)
    cells, classes = (run.state for run in runs)
    theta = cells.offsets.get("v_th", torch.zeros(len(cells.weights)))
    held = PlasticRun(
        replace(CELL, v_th=(CELL.v_th + theta).numpy()), Rule(lr=0.0), cells.weights, dt=1.0, inhibition=INHIBITION
    )
    asked = PlasticRun(CLASS, Rule(lr=0.0), classes.weights, dt=1.0)
    right = 0
    for image, label in zip(*part, strict=True):
        held.rest()
        asked.rest()
        fired = asked.run(sl.Spikes.from_raster(held.run(flashes(image, generator)).numpy(), 1.0, batched=False))
        counts = fired.sum(0, dtype=torch.int64)
        right += bool(counts[label] == counts.max() and (counts == counts.max()).sum() == 1)
    return right / len(part[1])


def nearest_mean(train: Part, test: Part) -> float:
    """The part of the images whose nearest mean image is that of their class."""
    means = np.stack([train[0][train[1] == digit].mean(0) for digit in range(10)])
    nearest = ((test[0][:, None] - means) ** 2).sum(2).argmin(1)
    return float((nearest == test[1]).mean())


def outcome(neurons: int = 100, seeds: int = 2) -> Outcome:
    train, test = digits()
    found = {}
    for scaling in (True, False):
        found[scaling] = [accuracy(taught(train, neurons, seed, scaling=scaling), test) for seed in range(seeds)]
        print(f"scaling {scaling}: {found[scaling]}", flush=True)
    reached, without = (float(np.mean(found[scaling])) for scaling in (True, False))
    untaught = float(np.mean([accuracy(connections(neurons, seed), test) for seed in range(seeds)]))
    mean = nearest_mean(train, test)
    missed = (
        "" if reached > mean + 0.02 else f"to be clearly better than the nearest mean image ({reached - mean:+.3f}); "
    )
    return Outcome(
        name="symstdp",
        paper="Supervised learning by symmetric STDP (Hao et al. 2020, Neural Networks 121:387; paper 10)",
        data="scikit-learn's digits, 1437 shown once and 360 to test on",
        baseline=f"nearest mean image {mean:.3f}; without scaling {without:.3f}; before learning {untaught:.3f}",
        result=f"{reached:.3f} after one pass with {neurons} neurons, mean of {seeds} seeds",
        gate="0.70 or more, and without scaling 0.1 or more below",
        holds=reached >= 0.70 and without <= reached - 0.1,
        head=["way", "test accuracy", "each seed"],
        rows=[
            ["symmetric STDP with scaling", f"{reached:.3f}", ", ".join(f"{a:.3f}" for a in found[True])],
            ["without scaling", f"{without:.3f}", ", ".join(f"{a:.3f}" for a in found[False])],
            ["before learning", f"{untaught:.3f}", ""],
            ["nearest mean image", f"{mean:.3f}", ""],
        ],
        failed=f"{missed}the published 96.7 % of MNIST was not tried",
    )


if __name__ == "__main__":
    report(
        __doc__, outcome, neurons={"type": int, "default": 100, "help": "neurons that compete"},
        seeds={"type": int, "default": 2, "help": "how often it is done"},
    )  # fmt: skip
