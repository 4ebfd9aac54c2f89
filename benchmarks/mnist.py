"""A recipe: MNIST with 784-400-10 spiking neurons, 97.5 % or more on the test images after five epochs.

    python benchmarks/mnist.py FOLDER [--seeds 3]

FOLDER holds the four idx files. Grey values enter as constant currents for 16 steps; two layers of leaky neurons count
their spikes; the arctan surrogate, Adam with a cosine schedule, cross entropy with smoothed labels. The table goes into
RESULTS.md.
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path

import numpy as np
import torch
from results import HERE, machine, table, write_section
from torch import Tensor
from torch.nn import functional as F

import spikeloom as sl

STEPS, EPOCHS, BATCH = 16, 5, 64


def loss(counts: Tensor, label: Tensor) -> Tensor:
    """Cross entropy of the firing rates, times 10, with a tenth of each label spread over all classes."""
    return F.cross_entropy(counts * (10 / STEPS), label, label_smoothing=0.1)


def network(seed: int) -> sl.Network:
    net = sl.Network("mnist")
    net.set_random_seed(seed)
    net.set_backend_dt(1.0)
    net.image = sl.Encoder(784, coding_method="constant_current")
    net.hidden = sl.NeuronGroup(400, model="lif", tau_m=3.0)
    net.votes = sl.NeuronGroup(10, model="lif", tau_m=3.0)
    net.to_hidden = sl.Connection(net.image, net.hidden, link_type="full", w_mean=0.0, w_std=0.036, bias=True)
    net.to_votes = sl.Connection(net.hidden, net.votes, link_type="full", w_mean=0.0, w_std=0.15, bias=True)
    net.answer = sl.Decoder(dec_target=net.votes, coding_method="spike_counts")
    net.learner = sl.Learner(net, algorithm="sbp", surrogate="arctan", alpha=2.0)
    net.learner.set_optimizer("Adam", 0.002)
    net.learner.set_schedule("CosineAnnealingLR", T_max=EPOCHS)
    return net


def one_run(root: Path, seed: int) -> dict[str, float]:
    """Test accuracy after the last epoch, wall and CPU seconds of training."""
    train, test = (sl.MNIST(root, is_train=is_train) for is_train in (True, False))
    net = network(seed)
    loader = sl.Dataloader(train, batch_size=BATCH, shuffle=True, generator=np.random.default_rng(seed))
    wall, cpu = time.perf_counter(), time.process_time()
    sl.fit(net, loader, epochs=EPOCHS, time=float(STEPS), loss=loss)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    found = sl.evaluate(net, sl.Dataloader(test, batch_size=1000), time=float(STEPS), loss=loss)
    return {"seed": seed, "accuracy": found.accuracy, "rate": found.rate_hz, "wall": wall, "cpu": cpu}


def main() -> None:
    """Runs every seed and writes the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path, metavar="FOLDER", help="where MNIST's idx files are")
    parser.add_argument("--seeds", type=int, default=3, help="how many seeds (default 3)")
    args = parser.parse_args()
    torch.set_num_threads(1)
    runs = [one_run(args.root, seed) for seed in range(args.seeds)]
    rows = [
        [str(r["seed"]), f"{r['accuracy']:.2%}", f"{r['rate']:.0f}", f"{r['wall']:.0f}", f"{r['cpu']:.0f}"]
        for r in runs
    ]
    mean = {key: statistics.mean(r[key] for r in runs) for key in ("accuracy", "rate", "wall", "cpu")}
    rows.append(["**mean**", f"**{mean['accuracy']:.2%}**", *(f"{mean[k]:.0f}" for k in ("rate", "wall", "cpu"))])
    text = (
        f"Command: `make recipes MNIST=FOLDER`. {machine()}\n\n"
        f"784-400-10 leaky neurons, {STEPS} steps, {EPOCHS} epochs of training, one thread.\n\n"
        + table(["seed", "test accuracy", "mean rate, Hz", "training, wall s", "CPU s"], rows)
    )
    write_section(HERE / "RESULTS.md", "mnist", "Recipe: MNIST", text)
    print(text)


if __name__ == "__main__":
    main()
