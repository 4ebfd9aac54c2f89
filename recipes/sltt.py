"""A recipe: gradients within each step alone, in memory that does not grow with the steps (SLTT; Meng et al. 2023).

    PYTHONPATH=benchmarks python recipes/sltt.py [--seeds 3]

Claim: accuracy near backpropagation through time (BPTT) at a memory independent of T. Data: scikit-learn's digits as
constant currents, 64-200-200-10 leaky neurons with tau = 1.1 steps, the loss at every step, 15 epochs. Baseline: BPTT.
SLTT-K has a gradient in K steps drawn at random. The gate: SLTT at least BPTT - 0.03, mean of the seeds, and saved
tensors of SLTT the same at T = 6 and 20. What cannot work: what comes early and is asked for late. There the gradient
of SLTT is exactly zero.
"""

from __future__ import annotations

import argparse
import math
import statistics
from typing import Any

import numpy as np
import torch
from results import HERE, machine, table, write_section

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
    data = sl.digits()
    order = np.random.default_rng(0).permutation(1797)
    train, test = data.select(order[:1437]), data.select(order[1437:])
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


def early_and_late(n_steps: int = 6) -> tuple[float, float]:
    """The greatest gradient of the first weights, of BPTT and of SLTT, of input in the first step and a late loss."""
    found = []
    for credit in ("bptt", "sltt"):
        net = sl.Network("late")
        with net:
            net.source = sl.Encoder(4, coding_method="null")
            net.hidden = sl.NeuronGroup(5, model="li", tau_m=5.0)
            net.a = sl.Connection(net.source, net.hidden, link_type="full", weight=np.full((5, 4), 0.3))
            net.answer = sl.Decoder(dec_target=net.hidden, coding_method="final_step_voltage")
            net.learner = sl.Learner(trainable=net, algorithm="sbp", credit=credit)
        net.set_backend_dt(1.0)
        net.source(sl.Spikes.from_steps([0] * 4, range(4), 4, n_steps, 1.0, n_samples=1))
        net.run(float(n_steps))
        net.answer.predict.sum().backward()
        found.append(float(net.module.a.weight.grad.abs().max()))
    return found[0], found[1]


WAYS: dict[str, dict[str, Any]] = {
    "BPTT": {},
    "SLTT": {"window": 1.0},
    "SLTT-K, K = 2": {"window": 1.0, "n_windows": 2},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3, help="how many runs of each way")
    given = parser.parse_args()
    torch.set_num_threads(1)
    rows = []
    for name, options in WAYS.items():
        reached = [statistics.mean(accuracy(s, n, **options) for s in range(given.seeds)) for n in (6, 20)]
        windows = Windows(**options) if options else None
        memory = [saved_bytes(n, windows) / 2**20 for n in (6, 20)]
        rows.append([name, *(f"{a:.3f}" for a in reached), *(f"{m:.2f}" for m in memory)])
    early, late = early_and_late()
    text = (
        f"Command: `PYTHONPATH=benchmarks python recipes/sltt.py`. {machine()}\n\n"
        f"Digits, 64-200-200-10, {EPOCHS} epochs, means of {given.seeds} seeds; saved tensors of a batch of 64.\n\n"
        + table(["way", "accuracy, T = 6", "T = 20", "saved MiB, T = 6", "T = 20"], rows)
        + f"\n\nInput in the first step, loss after the last: greatest gradient {early:.3f} (BPTT), {late:g} (SLTT)."
    )
    write_section(HERE / "RESULTS.md", "sltt", "Recipe: SLTT on digits", text)
    print(text)


if __name__ == "__main__":
    main()
