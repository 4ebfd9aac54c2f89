"""A recipe: a torch network as the start of a spiking one (paper 25: pre-training as a bridge).

    PYTHONPATH=benchmarks python recipes/pretrain.py [--seeds 3]

Claim: the accuracy of training from scratch in a fraction of the time. Data: scikit-learn's digits as constant
currents, T = 8, three convolutions of 16, 32 and 32 maps. A torch twin with x cut to 0 ... 1, the firing rate of a
neuron, where the spiking one has leaky neurons, is trained for 14 epochs; its weights are copied (`Network.from_torch`)
and tuned through time. Baselines: the same network from scratch; the weights copied without tuning, which is what makes
this differ from conversion. The gate, median of the seeds in CPU time: .985 on the test part within .9 of the time from
scratch; copied without tuning at least .10 below both.
"""

from __future__ import annotations

import math
import statistics
import time
from typing import NamedTuple

import numpy as np
import torch
from common import Part, digits, right_of_torch, train_torch
from recipe import Outcome, report
from torch import nn

import spikeloom as sl
from spikeloom.datasets import ArrayDataset
from spikeloom.neurons import LIF, Emission, Subtract

TIME, EPOCHS, WANTED, MOST = 8.0, 14, 0.985, 25


class Rate(nn.Module):
    """x cut to 0 ... 1 in torch; made spiking, neurons that such a current makes fire at about that rate."""

    neuron = LIF(tau_m=2.0, scale_input=True, v_th=0.39, emission=Emission(reset=Subtract()))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.clamp(0, 1)


class Reached(NamedTuple):
    """CPU seconds until the wanted accuracy, infinite where it was not reached, and the best accuracy."""

    seconds: float
    best: float


def images() -> tuple[Part, Part]:
    """The digits to train with and to test on, as pictures (n, 1, 8, 8), with labels."""
    (x, y), (x_test, y_test) = digits()
    return (x.reshape(-1, 1, 8, 8), y), (x_test.reshape(-1, 1, 8, 8), y_test)


def twin(seed: int) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1), Rate(), nn.Conv2d(16, 32, 3, padding=1), Rate(), nn.AvgPool2d(2),
        nn.Conv2d(32, 32, 3, padding=1), Rate(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(128, 10),
    )  # fmt: skip


def pretrained(seed: int, epochs: int = EPOCHS) -> tuple[nn.Sequential, float, float]:
    """The twin after its training, its accuracy, and the CPU seconds that it took."""
    (train, test), module, begun = images(), twin(seed), time.process_time()
    train_torch(module, train, epochs, 3e-3, batch=32)
    seconds = time.process_time() - begun
    return module, float(right_of_torch(module, test).mean()), seconds


def spiking(module: nn.Sequential, seed: int, lr: float) -> sl.Network:
    net = sl.Network.from_torch(module, (1, 8, 8), dt=1.0, coding_method="constant_current")
    last = net.output.target
    del net.output
    net.answer = sl.Decoder(dec_target=last, coding_method="voltage_mean")
    net.learner = sl.Learner(trainable=net, algorithm="sbp", surrogate="arctan")
    net.set_random_seed(seed)
    net.learner.set_optimizer("Adam", lr)
    return net


def accuracy(net: sl.Network) -> float:
    test = ArrayDataset(*images()[1], name="test")
    return sl.evaluate(net, sl.Dataloader(test, 360), time=TIME, progress=False).accuracy


def tuned(net: sl.Network, seed: int, most: int = MOST, spent: float = 0.0) -> Reached:
    """Trains through time, epoch by epoch, until the wanted accuracy; spent: CPU seconds that went before."""
    train = ArrayDataset(*images()[0], name="train")
    loader, best = sl.Dataloader(train, 32, shuffle=True, generator=np.random.default_rng(seed)), 0.0
    for _ in range(most):
        begun = time.process_time()
        sl.fit(net, loader, epochs=1, time=TIME, progress=False)
        spent += time.process_time() - begun
        best = max(best, accuracy(net))
        if best >= WANTED:
            return Reached(spent, best)
    return Reached(math.inf, best)


def outcome(seeds: int) -> Outcome:
    scratch, pipeline, copied, of_torch = [], [], [], []
    for seed in range(seeds):
        start = twin(seed)
        with torch.no_grad():
            for part in start:
                if isinstance(part, (nn.Conv2d, nn.Linear)):
                    part.weight *= 2.0  # torch's own start is too weak for spikes to come through
        scratch.append(tuned(spiking(start, seed, 3e-3), seed))
        module, found, seconds = pretrained(seed)
        net = spiking(module, seed, 2e-3)
        of_torch.append(found)
        copied.append(accuracy(net))
        pipeline.append(tuned(net, seed, spent=seconds))
        print(seed, scratch[-1], pipeline[-1], f"torch {found:.3f} copied {copied[-1]:.3f}", flush=True)
    alone, bridged = (statistics.median(r.seconds for r in each) for each in (scratch, pipeline))
    best = [statistics.median(r.best for r in each) for each in (scratch, pipeline)]
    untuned = statistics.median(copied)
    return Outcome(
        name="pretrain",
        paper="Pre-training as a bridge (paper 25)",
        data=f"scikit-learn's digits, three convolutions, T = 8, medians of {seeds} seeds",
        baseline=f"from scratch {alone:.1f} s CPU to {WANTED}; copied without tuning {untuned:.3f}",
        result=f"{bridged:.1f} s, {bridged / alone:.2f} of the time",
        gate=f"{WANTED} within .9 of the time from scratch; copied without tuning at least .10 below both",
        holds=math.isfinite(bridged) and bridged <= 0.9 * alone and untuned <= min(best) - 0.10,
        head=["way", f"CPU s to {WANTED}", "accuracy"],
        rows=[
            ["torch twin", "", f"{statistics.median(of_torch):.3f}"],
            ["copied", "", f"{untuned:.3f}"],
            ["from scratch", f"{alone:.1f}", f"{best[0]:.3f}"],
            ["copied and tuned", f"{bridged:.1f}", f"{best[1]:.3f}"],
        ],
    )


if __name__ == "__main__":
    report(__doc__, outcome, seeds={"type": int, "default": 3, "help": "how many runs of each way"})
