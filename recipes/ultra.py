"""A recipe: neurons of the max-plus algebra, without a surrogate (paper 4 of the seed; Minoza 2026, UltraLIF).

    PYTHONPATH=benchmarks python recipes/ultra.py [--seeds 3]

Claim: better than leaky neurons with a surrogate gradient, most at T = 1. Data: scikit-learn's digits, each pixel a
spike of probability x / 2 in a step, hidden 64, 40 epochs, Adam 1e-3. Baseline: `lif` with tau .9 a step and the arctan
surrogate. The output of `ultralif` and `ultradlif` is graded; hardened, the same weights with s = 1 where the potential
is above 0, they spike, and only that may be compared with a spiking network. The gate: all train to finite figures, the
temperature eps moves, and hardened accuracy is told.
"""

from __future__ import annotations

import math
import statistics
from typing import Any, NamedTuple

import numpy as np
from common import datasets
from recipe import Outcome, report

import spikeloom as sl
from spikeloom.neurons import Emission

EPOCHS, HIDDEN, STEPS = 40, 64, (1, 10)
HARD = Emission(variable="a", threshold=0.0, forward="step", reset="none")
WAYS: dict[str, dict[str, Any]] = {
    "LIF": {"model": "lif", "tau_m": -1 / math.log(0.9)},
    "UltraLIF": {"model": "ultralif"},
    "UltraDLIF": {"model": "ultradlif"},
    "UltraDLIF, potential spreads": {"model": "ultradlif", "diffuses": True},
}


class Found(NamedTuple):
    """Accuracy as trained, and hardened; eps after training, 1 before; the last loss."""

    graded: float
    hard: float
    eps: float
    loss: float


def network(way: str, seed: int, **emission: Any) -> sl.Network:
    net = sl.Network("ultra")
    with net:
        net.image = sl.Encoder(64, coding_method="bernoulli", max_prob=0.5)
        net.hidden = sl.NeuronGroup(HIDDEN, **WAYS[way], **emission)
        net.votes = sl.NeuronGroup(10, model="null")
        bounds = {"weight": sl.uniform(a=-0.125, b=0.125), "bias": True}
        net.a = sl.Connection(net.image, net.hidden, link_type="full", **bounds)
        net.b = sl.Connection(net.hidden, net.votes, link_type="full", **bounds)
        net.answer = sl.Decoder(dec_target=net.votes, coding_method="voltage_mean")
        net.learner = sl.Learner(trainable=net, algorithm="sbp", surrogate="arctan")
    net.set_backend_dt(1.0)
    net.set_random_seed(seed)
    net.learner.set_optimizer("Adam", 1e-3)
    return net


def trained(way: str, n_steps: int, seed: int, epochs: int = EPOCHS) -> Found:
    """A network trained and tested on digits, and tested again with neurons that spike."""
    train, test = datasets()
    net, time = network(way, seed), float(n_steps)
    loader = sl.Dataloader(train, 128, shuffle=True, generator=np.random.default_rng(seed))
    history = sl.fit(net, loader, epochs=epochs, time=time, progress=False)
    graded = hard = sl.evaluate(net, sl.Dataloader(test, 360), time=time, progress=False).accuracy
    eps = math.nan
    if way != "LIF":
        eps = math.exp(float(net.hidden.get_value("log_eps")))
        twin = network(way, seed, emission=HARD)
        twin.build()
        twin.load_state_dict(net.state_dict())
        hard = sl.evaluate(twin, sl.Dataloader(test, 360), time=time, progress=False).accuracy
    return Found(graded, hard, eps, history[-1].train.loss)


def outcome(seeds: int) -> Outcome:
    rows: list[list[object]] = []
    found: dict[tuple[str, int], list[Found]] = {}
    for n_steps in STEPS:
        for way in WAYS:
            runs = found[way, n_steps] = [trained(way, n_steps, seed) for seed in range(seeds)]
            graded, hard, eps, loss = (statistics.mean(each) for each in zip(*runs, strict=True))
            rows.append([n_steps, way, f"{graded:.3f}", f"{hard:.3f}", f"{eps:.2f}", f"{loss:.2f}"])
            print(*rows[-1], flush=True)
    best = {n: max((float(str(row[3])), str(row[1])) for row in rows if row[0] == n and row[1] != "LIF") for n in STEPS}
    plain = {n: next(str(row[2]) for row in rows if row[:2] == [n, "LIF"]) for n in STEPS}
    better = all(a > float(plain[n]) + 0.01 for n, (a, _) in best.items())
    gains = [f"{a - float(plain[n]):+.3f} at T = {n}" for n, (a, _) in best.items()]
    runs = [run for (way, _), each in found.items() for run in each if way != "LIF"]
    return Outcome(
        name="ultra",
        paper="UltraLIF: neurons differentiable without a surrogate (paper 4)",
        data=f"scikit-learn's digits as spikes, hidden {HIDDEN}, {EPOCHS} epochs, means of {seeds} seeds",
        baseline=f"LIF {plain[1]} at T = 1, {plain[10]} at T = 10",
        result=", ".join(f"{way} hardened {a:.3f} at T = {n}" for n, (a, way) in best.items()),
        gate="finite, eps moves, hardened accuracy told",
        holds=all(math.isfinite(run.loss) and abs(run.eps - 1) > 0.01 for run in runs),
        head=["T", "neuron", "accuracy", "hardened", "eps", "last loss"],
        rows=rows,
        failed=f"an advantage over LIF; hardened, the best differs by {', '.join(gains)}" if not better else "",
    )


if __name__ == "__main__":
    report(__doc__, outcome, seeds={"type": int, "default": 3, "help": "how many runs of each way"})
