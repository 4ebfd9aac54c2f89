"""A recipe: new classes learnt on a device by prototypes, after a check that the network fits (paper 18 of the seed).

    PYTHONPATH=benchmarks python recipes/edge.py [--seeds 3]

Claim: a commodity neuromorphic processor learns new classes from few samples without retraining. Data: scikit-learn's
digits; a network trained on 0 to 7 becomes spiking with weights of 4 bits, and is checked against the device's budget.
Its hidden spike counts, binary at their medians, go to slots, 5 for each of 10 classes. A sample is shown with its
class, the best slot of that class wins and turns to it: a rule, one pass. Then come 1, 5 or 20 shots of 8 and 9.
Baseline: the last layer of the network trained by SGD on the new samples alone. The gate: the old classes lose at most
.02, the new ones reach .4 at 20 shots, and a network that is too large is refused with the reason.
"""

from __future__ import annotations

import copy
import statistics

import numpy as np
import torch
from common import digits, train_torch
from numpy.typing import NDArray
from recipe import Outcome, report
from torch import nn
from torch.nn import functional as F

import spikeloom as sl
from spikeloom.neurons import Emission
from spikeloom.passes import Device, check_device, convert, quantise
from spikeloom.plasticity import feast

HIDDEN, SLOTS, ETA, STEPS = 128, 5, 0.1, 16.0
DEVICE = Device(name="edge", n_neurons=256, fan_in=128, n_weights=16_384, weight_bits=4, models=("if", "li"))
Array = NDArray[np.float32]


def trained(x: Array, y: NDArray[np.int64], hidden: int = HIDDEN) -> nn.Sequential:
    """A 64-hidden-8 network of ReLUs trained on the digits 0 to 7."""
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(64, hidden), nn.ReLU(), nn.Linear(hidden, 8))
    train_torch(module, (x, y), 30, 2e-3)
    return module.eval()


def hidden_counts(net: sl.Network, x: Array) -> Array:
    """How often each hidden neuron fires, (n, hidden)."""
    with net:
        net.watch = sl.SpikeMonitor(net.groups[0])
    net.input(x)
    net.run(STEPS)
    return net.watch.spikes.raster().sum(0).astype(np.float32)


def slots(n_features: int, seed: int) -> sl.Network:
    """Slots of all classes behind features of length 1; the best one of a step fires, and turns to what it won."""
    start = np.random.default_rng(seed).random((10 * SLOTS, n_features))
    net = sl.Network("slots")
    with net:
        net.features = sl.Encoder(n_features, coding_method="null")
        net.teacher = sl.Encoder(10 * SLOTS, coding_method="null")
        greatest = Emission(forward="winner", reset="none")
        net.best = sl.NeuronGroup(10 * SLOTS, model="lif", tau_m=1e-3, v_th=0.0, emission=greatest)
        weight = start / np.linalg.norm(start, axis=1, keepdims=True)
        net.prototypes = sl.Connection(net.features, net.best, link_type="full", weight=weight)
        net.says = sl.Connection(net.teacher, net.best, link_type="one_to_one", weight=np.full(10 * SLOTS, 10.0))
        net.learner = sl.Learner(net.prototypes, algorithm=feast(eta=ETA, delta_i=0.0, delta_e=0.0))
        net.won = sl.SpikeMonitor(net.best)
    net.set_backend(sl.TorchBackend(dt=1.0))
    return net


def show(net: sl.Network, features: Array, labels: NDArray[np.int64] | None = None) -> NDArray[np.int64]:
    """The classes of the winners, a sample a step; with labels only slots of each sample's class compete, and learn."""
    net.train(labels is not None)
    told = np.zeros((1, len(features), 10 * SLOTS))
    if labels is not None:
        told[0, np.arange(len(labels))[:, None], labels[:, None] * SLOTS + np.arange(SLOTS)] = 1
    net.teacher(told)
    net.features(features[None] / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-9))
    net.run(float(len(features)))
    found = np.full(len(features), -1)
    found[net.won.spikes.grid.step] = net.won.spikes.ids // SLOTS
    return found


def retrained(module: nn.Sequential, x: Array, y: NDArray[np.int64]) -> nn.Sequential:
    """The network with ten classes, the last layer trained on these samples alone."""
    new, last = copy.deepcopy(module), nn.Linear(module[2].in_features, 10)
    with torch.no_grad():
        last.weight[:8], last.bias[:8] = module[2].weight, module[2].bias
        hidden = module[:2](torch.from_numpy(x))
    new[2] = last
    optimizer = torch.optim.SGD(last.parameters(), 0.1)
    for _ in range(100):
        optimizer.zero_grad()
        F.cross_entropy(last(hidden), torch.from_numpy(y)).backward()
        optimizer.step()
    return new


def right(answers: NDArray[np.int64], truth: NDArray[np.int64], new: bool) -> float:
    """The share of right answers to the old classes or to the new ones."""
    chosen = (truth >= 8) == new
    return float((answers[chosen] == truth[chosen]).mean())


def measured(shots: int, seed: int) -> dict[str, float]:
    """Old classes before and after so many shots of each new one, the new ones, and the same of the baseline."""
    (x, y), (test, truth) = digits()
    old, generator = y < 8, np.random.default_rng(seed)
    module = trained(x[old], y[old])
    net, _ = quantise(convert(module, x[old])[0], 4)
    counts, unseen = hidden_counts(net, x), hidden_counts(net, test)
    middle = np.median(counts[old], axis=0)
    binary, asked = (counts > middle).astype(np.float32), (unseen > middle).astype(np.float32)
    memory = slots(binary.shape[1], seed)
    show(memory, binary[old], y[old])
    before = right(show(memory, asked), truth, new=False)
    few = np.concatenate([generator.choice(np.flatnonzero(y == k), shots, replace=False) for k in (8, 9)])
    few = generator.permutation(few)
    show(memory, binary[few], y[few])
    after = show(memory, asked)
    plain = retrained(module, x[few], y[few])(torch.from_numpy(test)).argmax(1).numpy()
    return {
        "before": before, "old": right(after, truth, new=False), "new": right(after, truth, new=True),
        "SGD, old": right(plain, truth, new=False), "SGD, new": right(plain, truth, new=True),
    }  # fmt: skip


def outcome(seeds: int) -> Outcome:
    found = {n: [measured(n, seed) for seed in range(seeds)] for n in (1, 5, 20)}
    mean = {n: {k: statistics.mean(f[k] for f in each) for k in each[0]} for n, each in found.items()}
    (x, y), _ = digits()
    large = check_device(convert(trained(x[y < 8], y[y < 8], 300), x)[0], DEVICE)
    last = mean[20]
    return Outcome(
        name="edge",
        paper="On-chip learning on commodity processors (paper 18)",
        data=f"scikit-learn's digits, 8 classes and 2 new ones, {SLOTS} slots a class, means of {seeds} seeds",
        baseline=f"the last layer by SGD on the new samples: old {last['SGD, old']:.2f}, new {last['SGD, new']:.2f}",
        result=f"old {last['before']:.3f} to {last['old']:.3f}, new {last['new']:.2f} at 20 shots",
        gate="old classes lose at most .02, new ones reach .4 at 20 shots, a network of 300 hidden neurons is refused",
        holds=last["old"] >= last["before"] - 0.02 and last["new"] >= 0.4 and not large.fits,
        head=["shots", "old before", "old after", "new", "SGD, old", "SGD, new"],
        rows=[[n, *(f"{value:.3f}" for value in m.values())] for n, m in mean.items()],
        failed=""
        if last["new"] >= last["SGD, new"] - 0.02
        else "new classes as well as SGD learns them, which forgets",
    )


if __name__ == "__main__":
    report(__doc__, outcome, seeds={"type": int, "default": 3, "help": "how many seeds (default 3)"})
