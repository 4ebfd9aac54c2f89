"""A recipe: gradients within each step alone, in memory that does not grow with the steps (SLTT; Meng et al. 2023).

    PYTHONPATH=benchmarks python recipes/sltt.py [--seeds 3]

Claim: accuracy near backpropagation through time (BPTT) at a memory independent of T. Data: scikit-learn's digits as
constant currents, 64-200-200-10 leaky neurons with tau = 1.1 steps, the loss at every step, 15 epochs. Baseline: BPTT.
SLTT-K has a gradient in K steps drawn at random. The gate: SLTT at least BPTT - 0.03, mean of the seeds, and saved
tensors of SLTT the same at T = 6 and 20. What cannot work, what comes early and is asked for late, is recipe
`sltt_limit`; of the time of BPTT only SLTT-K saves a part.
"""

from __future__ import annotations

import math
import statistics
from typing import Any

import numpy as np
import torch
from common import datasets
from recipe import Outcome, report

import spikeloom as sl
from spikeloom.training.losses import LOSSES
from spikeloom.training.windows import Windows, whole_run

EPOCHS, GAIN = 15, 5.0
LEAK = -1.0 / math.log(1 - 1 / 1.1)  # ms; 1 - 1 / tau of the potential stay in a step, tau = 1.1


def network(seed: int, path: str = "auto") -> sl.Network:
    net = sl.Network("digits")
    with net:
        net.image = sl.Encoder(64, coding_method="constant_current")
        net.one = sl.NeuronGroup(200, model="lif", tau_m=LEAK)
        net.two = sl.NeuronGroup(200, model="lif", tau_m=LEAK)
        net.votes = sl.NeuronGroup(10, model="li", tau_m=LEAK)
        net.a = sl.Connection(net.image, net.one, link_type="full", w_mean=0.0, w_std=GAIN / 8, bias=True)
        net.b = sl.Connection(net.one, net.two, link_type="full", w_mean=0.0, w_std=0.2, bias=True)
        net.c = sl.Connection(net.two, net.votes, link_type="full", w_mean=0.0, w_std=0.1, bias=True)
        net.answer = sl.Decoder(dec_target=net.votes, coding_method="voltage_mean")
        net.learner = sl.Learner(trainable=net, algorithm="sbp", surrogate="triangle", alpha=1.0)
    net.set_backend(sl.TorchBackend(dt=1.0, path=path))
    net.set_random_seed(seed)
    net.learner.set_optimizer("Adam", 1e-3)
    return net


def accuracy(seed: int, n_steps: int, epochs: int = EPOCHS, **windows: Any) -> float:
    """On the test part of the digits after training; windows: of `fit`, none for BPTT."""
    train, test = datasets()
    net, time = network(seed), float(n_steps)
    loader = sl.Dataloader(train, 64, shuffle=True, generator=np.random.default_rng(seed))
    sl.fit(net, loader, epochs=epochs, time=time, progress=False, **windows)
    return sl.evaluate(net, sl.Dataloader(test, 360), time=time, progress=False).accuracy


def saved_bytes(n_steps: int, windows: Windows | None) -> int:
    """The most bytes that autograd keeps at once for the way back of one batch of 64."""
    kept, most = 0, 0

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        nonlocal kept, most
        kept += tensor.nbytes
        most = max(most, kept)
        return tensor

    def unpack(tensor: torch.Tensor) -> torch.Tensor:
        nonlocal kept
        kept = 0
        return tensor

    values, labels = sl.digits().batch(np.arange(64))
    run = whole_run if windows is None else windows.run
    with torch.autograd.graph.saved_tensors_hooks(pack, unpack):
        run(network(0, "torch"), values, labels, float(n_steps), LOSSES["cross_entropy"])
    return most


WAYS: dict[str, dict[str, Any]] = {
    "BPTT": {},
    "SLTT": {"window": 1.0},
    "SLTT-K, K = 2": {"window": 1.0, "n_windows": 2},
}


def outcome(seeds: int) -> Outcome:
    reached, saved, rows = {}, {}, []
    for name, options in WAYS.items():
        reached[name] = [statistics.mean(accuracy(s, n, **options) for s in range(seeds)) for n in (6, 20)]
        windows = Windows(**options) if options else None
        saved[name] = [saved_bytes(n, windows) / 2**20 for n in (6, 20)]
        rows.append([name, *(f"{a:.3f}" for a in reached[name]), *(f"{m:.2f}" for m in saved[name])])
        print(*rows[-1], flush=True)
    near = all(s >= b - 0.03 for s, b in zip(reached["SLTT"], reached["BPTT"], strict=True))
    return Outcome(
        name="sltt",
        paper="Spatial learning through time (paper 2)",
        data=f"scikit-learn's digits, 64-200-200-10, {EPOCHS} epochs, means of {seeds} seeds; saved by 64 samples",
        baseline=f"BPTT {reached['BPTT'][0]:.3f} at T = 6, {reached['BPTT'][1]:.3f} at T = 20",
        result=f"{reached['SLTT'][0]:.3f} and {reached['SLTT'][1]:.3f}, in {saved['SLTT'][1]:.2f} MiB at any T",
        gate="at least BPTT - .03, saved tensors the same at T = 6 and 20",
        holds=near and saved["SLTT"][0] == saved["SLTT"][1] < saved["BPTT"][0],
        head=["way", "accuracy, T = 6", "T = 20", "saved MiB, T = 6", "T = 20"],
        rows=rows,
    )


if __name__ == "__main__":
    report(__doc__, outcome, seeds={"type": int, "default": 3, "help": "how many runs of each way"})
