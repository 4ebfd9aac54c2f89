"""A recipe: the direction of motion from delays, and what is left of them (heterogeneous delays; paper 44 of the seed).

    PYTHONPATH=benchmarks python recipes/motion.py [--seeds 3]

Claim: kernels over space and delays, a logistic regression that is the same at all times and places, tell directions
apart, and go on doing so with a tenth of their weights; with fewer delays they do not. Data: 96 movies of textures
(1/f in a band) that move in one of 8 directions behind a window of 20 x 20 pixels, as ON and OFF events of a change
of brightness, 48 steps. The kernels are 11 convolutions of 7 x 7, each of a delay of its own; what they say is the
greater of the answers to the events and to those of the negative picture, since linear evidence of symmetric input has
no direction. Baselines: the convolution without delay, and chance, 1/8. The gate, on 96 other movies, the class of the
mean probability over all times and places: all delays at least three times without; pruned to 10 % of the weights at
most 0.05 below all; cut to three delays more than 0.05 below. After so short a training the pruned kernel is even
better than the whole.
"""

from __future__ import annotations

import copy
import statistics

import numpy as np
import torch
from recipe import Outcome, report
from torch.nn import functional as F

import spikeloom as sl
from spikeloom.passes import prune

SIZE, STEPS, DELAYS, KERNEL, DIRECTIONS, MOVIES = 20, 48, 11, 7, 8, 96
PLACES = (SIZE - KERNEL + 1) ** 2
SPEED, THRESHOLD = 0.5, 0.4
"""Pixels a step, and the change of brightness, in standard deviations of it, that is an event."""


def movies(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Events (n, STEPS, 2, SIZE, SIZE) of n movies, and the direction of each."""
    drawn, wide = np.random.default_rng([44, seed]), 64
    labels = np.arange(n) % DIRECTIONS
    fy, fx = np.meshgrid(np.fft.fftfreq(wide), np.fft.fftfreq(wide), indexing="ij")
    radius = np.hypot(fx, fy)
    band = np.where((radius > 0.04) & (radius < 0.25), 1 / np.maximum(radius, 1e-9), 0.0)
    events = np.zeros((n, STEPS, 2, SIZE, SIZE), np.float32)
    for k, label in enumerate(labels):
        spectrum = band * np.fft.fft2(drawn.normal(size=(wide, wide)))
        angle = 2 * np.pi * label / DIRECTIONS
        moved = -2j * np.pi * SPEED * (fx * np.cos(angle) + fy * np.sin(angle))
        frames = [np.fft.ifft2(spectrum * np.exp(moved * t)).real[:SIZE, :SIZE] for t in range(STEPS + 1)]
        light = np.array(frames) / np.std(frames)
        seen = light[0].copy()
        for t in range(STEPS):
            change = light[t + 1] - seen
            events[k, t, 0], events[k, t, 1] = change >= THRESHOLD, change <= -THRESHOLD
            seen = np.where(np.abs(change) >= THRESHOLD, light[t + 1], seen)
    return events, labels


def network(delays: int, seed: int) -> sl.Network:
    """A kernel of so many delays: convolutions side by side into one population without memory."""
    net = sl.Network("motion")
    with net:
        net.events = sl.Encoder(shape=(2, SIZE, SIZE), coding_method="null")
        side = SIZE - KERNEL + 1
        net.evidence = sl.NeuronGroup(shape=(DIRECTIONS, side, side), model="li", tau_m=0.02)
        for k in range(delays):
            net.add(
                f"delay{k}",
                sl.Connection(
                    net.events, net.evidence, link_type="conv", kernel_size=KERNEL, out_channels=DIRECTIONS,
                    delay=float(k), weight=sl.normal(0.0, 0.01), bias=k == 0,
                ),
            )  # fmt: skip
        net.answer = sl.Decoder(dec_target=net.evidence, coding_method="v_t")
        net.learner = sl.Learner(trainable=net, algorithm="sbp")
    net.set_backend(sl.TorchBackend(dt=1.0))
    net.set_random_seed(seed)
    net.learner.set_optimizer("Adam", 3e-3)
    return net


def evidence(net: sl.Network, events: np.ndarray) -> torch.Tensor:
    """The logits (T, B, DIRECTIONS, PLACES): the greater of those of a movie and of its negative."""
    net.events(np.concatenate([events, events[:, :, ::-1]]))
    net.run(float(STEPS))
    both = net.answer.predict.view(STEPS, 2, len(events), DIRECTIONS, PLACES)
    return torch.maximum(both[:, 0], both[:, 1])


def accuracy(net: sl.Network, events: np.ndarray, labels: np.ndarray) -> float:
    """The share of movies whose direction has the greatest mean probability."""
    with torch.no_grad():
        parts = [torch.sigmoid(evidence(net, part)).mean((0, 3)) for part in np.array_split(events, 6)]
    return float((torch.cat(parts).argmax(1).numpy() == labels).mean())


def trained(delays: int, seed: int, n: int = MOVIES, epochs: int = 8) -> sl.Network:
    """A kernel of so many delays after some epochs on n movies."""
    events, labels = movies(n, seed)
    net, drawn = network(delays, seed), np.random.default_rng(seed)
    for _ in range(epochs):
        for part in np.array_split(drawn.permutation(n), n // 8):
            net.learner.optim_zero_grad()
            logits = evidence(net, events[part])
            wanted = F.one_hot(torch.as_tensor(labels[part]), DIRECTIONS)[None, :, :, None].float().expand_as(logits)
            F.binary_cross_entropy_with_logits(logits, wanted).backward()
            net.learner.optim_step()
    return net


def shortened(net: sl.Network, delays: int) -> sl.Network:
    """The network with the first so many delays of its kernel."""
    new = copy.deepcopy(net)
    for k in range(delays, DELAYS):
        getattr(new, f"delay{k}").assembly_hide()
    return new


def accuracies(seed: int, n: int = MOVIES, epochs: int = 8) -> dict[str, float]:
    """What the whole kernel reaches, what is left of it reaches, and a kernel that never had delays."""
    test, whole = movies(n, 1000), trained(DELAYS, seed, n, epochs)
    nets = {"all 11 delays": whole, "no delay": trained(1, seed, n, epochs)}
    nets |= {f"pruned to {share:.0%}": prune(whole, 1 - share)[0] for share in (0.1, 0.03)}
    nets |= {f"cut to {count}": shortened(whole, count) for count in (3, 1)}
    return {way: accuracy(net, *test) for way, net in nets.items()}


def outcome(seeds: int = 3) -> Outcome:
    each = []
    for seed in range(seeds):
        each.append(accuracies(seed))
        print(each[-1], flush=True)
    mean = {way: statistics.mean(one[way] for one in each) for way in each[0]}
    whole = mean["all 11 delays"]
    return Outcome(
        name="motion",
        paper="Heterogeneous delays for the detection of motion (paper 44)",
        data=f"{MOVIES} movies of 1/f textures in 8 directions to train, as many to test, 20 x 20 pixels, 48 steps",
        baseline=f"no delay {mean['no delay']:.3f}, chance 0.125",
        result=f"{whole:.3f}, with 10 % of the weights {mean['pruned to 10%']:.3f}",
        gate="all >= 3 x no delay; pruned to 10 % >= all - 0.05; cut to 3 delays < all - 0.05",
        holds=whole >= 3 * mean["no delay"] and mean["pruned to 10%"] >= whole - 0.05 > mean["cut to 3"],
        head=["kernel", f"accuracy, mean of {seeds}", "each"],
        rows=[[way, f"{value:.3f}", ", ".join(f"{one[way]:.3f}" for one in each)] for way, value in mean.items()],
    )


if __name__ == "__main__":
    report(__doc__, outcome, seeds={"type": int, "default": 3, "help": "how many kernels are trained"})
