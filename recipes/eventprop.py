"""A recipe: exact derivatives of spike times on MNIST, 784-128-10, beside a surrogate on the same network.

    PYTHONPATH=benchmarks python recipes/eventprop.py FOLDER [--seeds 3]

FOLDER holds MNIST's four idx files. Each pixel above 51 sends one spike, at 2 to 18 ms, the earlier the brighter; 128
leaky neurons behind exponential synapses (20 and 5 ms) and ten leaky integrators, whose mean potential over 20 ms is
the answer. One epoch in batches of 32 with Adam. The surrogate steps the very same network by 1 ms, and by 0.1 ms,
where its spikes are nearer to the exact ones. Steps of both are timed in turn, CPU of one thread, the data encoded
before.
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from results import HERE, machine, table, write_section
from torch.nn import functional as F

import spikeloom as sl
from spikeloom.filters import LowPass
from spikeloom.training.progress import Bar

STOP, BATCH, SCALE = 20.0, 32, 10.0


def network(algorithm: str, dt: float, seed: int) -> sl.Network:
    net, synapse = sl.Network("mnist"), LowPass(tau=5.0)
    with net:
        net.image = sl.Encoder(784, coding_method="null")
        net.hidden = sl.NeuronGroup(128, model="lif", tau_m=20.0, scale_input=True)
        net.votes = sl.NeuronGroup(10, model="li", tau_m=20.0, scale_input=True)
        net.a = sl.Connection(net.image, net.hidden, link_type="full", w_mean=0.045, w_std=0.03, filter=synapse)
        net.b = sl.Connection(net.hidden, net.votes, link_type="full", w_mean=0.2, w_std=0.37, filter=synapse)
        net.answer = sl.Decoder(dec_target=net.votes, coding_method="voltage_mean")
        net.learner = sl.Learner(trainable=net, algorithm=algorithm)
    net.set_backend_dt(dt)
    net.set_random_seed(seed)
    net.learner.set_optimizer("Adam", 3e-3)
    return net


def spikes(images: NDArray[np.uint8], dt: float) -> sl.Spikes:
    """A spike for each pixel above 51, between 2 and 18 ms."""
    sample, pixel = np.nonzero(images > 51)
    late = 2 + 16 * (255 - images[sample, pixel].astype(float)) / (255 - 51)
    step = np.floor(late / dt + 1e-9).astype(np.int64)
    return sl.Spikes.from_steps(step, pixel, 784, round(STOP / dt), dt, samples=sample, n_samples=len(images))


def step(net: sl.Network, given: sl.Spikes, labels: torch.Tensor) -> None:
    net.image(given)
    net.run(STOP)
    loss = F.cross_entropy(net.answer.predict * SCALE, labels)
    net.learner.optim_zero_grad()
    loss.backward()
    net.learner.optim_step()


def accuracy(net: sl.Network, images: NDArray[np.uint8], labels: NDArray[np.int64]) -> float:
    right = 0
    with torch.no_grad():
        for k in range(0, len(images), 500):
            net.image(spikes(images[k : k + 500], 1.0))
            net.run(STOP)
            right += int((net.answer.predict.argmax(1).numpy() == labels[k : k + 500]).sum())
    return right / len(images)


def epoch(train: tuple, test: tuple, seed: int) -> dict[str, float]:
    """Test accuracy after one epoch of exact training, and its CPU time an example, encoding apart."""
    images, labels = train
    net, order, taken = network("eventprop", 1.0, seed), np.random.default_rng(seed).permutation(len(images)), 0.0
    with Bar(f"seed {seed}", len(order) // BATCH) as bar:
        for k in range(0, len(order), BATCH):
            chosen = order[k : k + BATCH]
            given = spikes(images[chosen], 1.0), torch.from_numpy(labels[chosen])
            before = time.process_time()
            step(net, *given)
            taken += time.process_time() - before
            bar.step()
    return {"seed": seed, "accuracy": accuracy(net, *test), "us": taken / len(order) * 1e6, "rate": rate(net)}


def rate(net: sl.Network) -> float:
    return net.firing_rates()["hidden"]


def side_by_side(train: tuple, repeats: int) -> dict[str, float]:
    """The median CPU time of a training step an example in microseconds, exact and by surrogates, in turn."""
    images, labels = train
    ways = {"exact": ("eventprop", 1.0), "surrogate, 1 ms": ("sbp", 1.0), "surrogate, 0.1 ms": ("sbp", 0.1)}
    nets = {name: network(*way, seed=0) for name, way in ways.items()}
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for k in range(repeats + 20):
        chosen = slice(k * BATCH, (k + 1) * BATCH)
        for name, (_, dt) in ways.items():
            given = spikes(images[chosen], dt), torch.from_numpy(labels[chosen])
            before = time.process_time()
            step(nets[name], *given)
            taken[name].append((time.process_time() - before) / BATCH * 1e6)
    return {name: statistics.median(all_of[20:]) for name, all_of in taken.items()}


def pixels(folder: Path, *, is_train: bool) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    data = sl.MNIST(folder, is_train=is_train)
    values, labels = data.batch(np.arange(len(data)))
    return np.rint(np.asarray(values).reshape(len(data), 784) * 255).astype(np.uint8), np.asarray(labels)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="folder of MNIST's four idx files")
    parser.add_argument("--seeds", type=int, default=3, help="how many runs")
    given = parser.parse_args()
    torch.set_num_threads(1)
    train, test = pixels(given.folder, is_train=True), pixels(given.folder, is_train=False)
    times = side_by_side(train, 300)
    runs = [epoch(train, test, seed) for seed in range(given.seeds)]
    rows = [[r["seed"], f"{r['accuracy']:.2%}", f"{r['rate']:.1f}", f"{r['us']:.0f}"] for r in runs]
    rows.append(["**mean**", f"**{statistics.mean(r['accuracy'] for r in runs):.2%}**", "", ""])
    ratios = [[name, f"{us:.1f}", f"{us / times['exact']:.2f}"] for name, us in times.items()]
    text = (
        f"Command: `make recipes MNIST=FOLDER`. {machine()}\n\n"
        "784-128-10, latency coded, batches of 32, one epoch, one thread.\n\n"
        + table(["seed", "test accuracy", "rate of the hidden layer, Hz", "us an example"], rows)
        + "\n\nA training step, CPU microseconds an example, medians of steps in turn:\n\n"
        + table(["way", "us an example", "times the exact"], ratios)
    )
    write_section(HERE / "RESULTS.md", "eventprop", "Recipe: EventProp on MNIST", text)
    print(text)


if __name__ == "__main__":
    main()
