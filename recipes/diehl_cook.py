"""A recipe: STDP with homeostasis and lateral inhibition on MNIST, 80 % or more with 100 neurons in one pass.

    PYTHONPATH=benchmarks python recipes/diehl_cook.py --data FOLDER [--neurons 100] [--images 60000] [--seed 0]

FOLDER holds MNIST's four idx files. After Diehl and Cook 2015 (Frontiers in Computational Neuroscience 9:99). Each
image is shown once for 250 ms as Poisson spikes of up to 63.75 Hz a pixel; leaky neurons behind one plastic connection
compete: a spike inhibits all others, and raises the threshold of its neuron for good. No label is used. Afterwards each
neuron is given the digit that it fired most for on the last 10,000 training images, weights and thresholds held, and
the answer to a test image is the digit whose neurons fire most on average. Baseline: the same network without learning.
The gate: 80 % or more, the pass in less than 15 minutes of CPU.
"""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from recipe import Outcome, report

import spikeloom as sl
from spikeloom.backends import PlasticRun
from spikeloom.filters import LowPass
from spikeloom.neurons import LIF
from spikeloom.plasticity import Change, Normalise, Rule, stdp
from spikeloom.training.progress import Bar

STEPS, RATE = 250, 63.75  # steps of 1 ms; Hz of a white pixel
NEURON = LIF(tau_m=100.0, v_rest=-65.0, v_reset=-60.0, v_th=-52.0)
RISE = Change(trigger="post", post="0.05", target="v_th", relax=LowPass(tau=1e7))
INHIBITION = 120.0  # mV


def network(n: int, seed: int, *, learns: bool) -> PlasticRun:
    """n neurons behind 784 inputs with weights that start at random below 0.3."""
    lr, normalise = 1.0 if learns else 0.0, Normalise(total=78.4)
    rule = stdp(a_minus=1e-4, a_plus=1e-2, nearest=True, lr=lr, normalise=normalise)
    rule = replace(rule, changes=(*rule.changes, RISE))
    weights = torch.rand(n, 784, generator=torch.Generator().manual_seed(seed)) * 0.3
    return PlasticRun(NEURON, rule, weights, dt=1.0, inhibition=INHIBITION)


def counts(run: PlasticRun, images: NDArray[np.uint8], generator: np.random.Generator, label: str) -> NDArray[np.int64]:
    """How often each neuron fired for each image, (images, n)."""
    found = []
    with Bar(label, len(images)) as bar:
        for image in images.reshape(len(images), 784):
            lit = np.flatnonzero(image)
            fires = generator.random((STEPS, len(lit)), np.float32) < image[lit] * np.float32(RATE / 255_000)
            step, k = np.nonzero(fires)
            spikes = sl.Spikes.from_steps(step, lit[k], 784, STEPS, 1.0, n_samples=1)
            run.rest()
            found.append(run.run(spikes).sum(0).numpy())
            bar.step()
    return np.array(found)


def held(run: PlasticRun) -> PlasticRun:
    """The run with its weights and thresholds, and without learning."""
    state = run.state
    theta = state.offsets.get("v_th", torch.zeros(len(state.weights)))
    neuron = LIF(tau_m=100.0, v_rest=-65.0, v_reset=-60.0, v_th=(NEURON.v_th + theta).numpy())
    return PlasticRun(neuron, Rule(lr=0.0), state.weights, dt=1.0, inhibition=INHIBITION)


def accuracy(run: PlasticRun, folder: Path, generator: np.random.Generator, n_labelled: int, n_test: int) -> float:
    """The part of the test images that get their own digit, once each neuron has its digit."""
    (images, labels), (unseen, truth) = (pixels(folder, is_train=is_train) for is_train in (True, False))
    fired = counts(held(run), images[-n_labelled:], generator, "label")
    digits = labels[-n_labelled:]
    mean = np.stack([fired[digits == digit].mean(0) for digit in range(10)])
    own = mean.argmax(0)
    votes = counts(held(run), unseen[:n_test], generator, "test")
    each = np.stack([votes[:, own == d].mean(1) if (own == d).any() else np.zeros(len(votes)) for d in range(10)], 1)
    return float((each.argmax(1) == truth[:n_test]).mean())


def pixels(folder: Path, *, is_train: bool) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Images (n, 784) as 0 .. 255, and labels."""
    data = sl.MNIST(folder, is_train=is_train)
    values, labels = data.batch(np.arange(len(data)))
    return np.rint(np.asarray(values).reshape(len(data), 784) * 255).astype(np.uint8), np.asarray(labels)


def one_run(folder: Path, n: int, n_images: int, seed: int, n_labelled: int, n_test: int) -> dict[str, float]:
    """Accuracy with and without learning, CPU seconds of the pass, and the mean number of spikes of an image."""
    generator = np.random.default_rng(seed)
    images, _ = pixels(folder, is_train=True)
    order = generator.permutation(len(images))[:n_images]
    run, cpu = network(n, seed, learns=True), time.process_time()
    fired = counts(run, images[order], generator, "learn")
    cpu = time.process_time() - cpu
    found = accuracy(run, folder, generator, n_labelled, n_test)
    untrained = accuracy(network(n, seed, learns=False), folder, generator, n_labelled, n_test)
    return {"accuracy": found, "without": untrained, "cpu": cpu, "spikes": float(fired[-1000:].sum(1).mean())}


def outcome(data: Path, neurons: int, images: int, labelled: int, test: int, seed: int) -> Outcome:
    found = one_run(data, neurons, images, seed, labelled, test)
    return Outcome(
        name="diehl_cook",
        paper="Unsupervised STDP (Diehl and Cook 2015)",
        data=f"MNIST, {images} images once each for 250 ms, no label used; {neurons} neurons",
        baseline=f"without learning {found['without']:.2%}",
        result=f"{found['accuracy']:.2%}",
        gate="80 % or more, under 15 minutes",
        holds=found["accuracy"] >= 0.8 and found["cpu"] < 900,
        head=["neurons", "images", "test", "without learning", "spikes an image", "CPU s of the pass"],
        rows=[[neurons, images, f"{found['accuracy']:.2%}", f"{found['without']:.2%}", f"{found['spikes']:.1f}",
               f"{found['cpu']:.0f}"]],
    )  # fmt: skip


if __name__ == "__main__":
    report(
        __doc__,
        outcome,
        data={"type": Path, "required": True, "help": "folder of MNIST's four idx files"},
        neurons={"type": int, "default": 100},
        images={"type": int, "default": 60_000, "help": "how many training images are shown, once each"},
        labelled={"type": int, "default": 10_000, "help": "how many of them give the neurons their digits"},
        test={"type": int, "default": 10_000, "help": "how many test images are answered"},
        seed={"type": int, "default": 0},
    )
