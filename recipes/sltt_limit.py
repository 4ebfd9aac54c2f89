"""A recipe: what gradients within each step alone cannot learn (the limit of paper 2, SLTT).

    PYTHONPATH=benchmarks python recipes/sltt_limit.py

Data: scikit-learn's digits as a current in the first step, answered after the last of six; 64-100-10, hidden neurons
that forget from step to step, a read-out that does not. Baseline: backpropagation through time (BPTT), which learns it.
The gate, by construction: every gradient of SLTT is exactly zero, so that its accuracy stays at chance.
"""

from __future__ import annotations

import numpy as np
import torch
from common import datasets
from recipe import Outcome, report

import spikeloom as sl

TIME, CHANCE = 6.0, 0.1


def network(credit: str, seed: int = 0) -> sl.Network:
    net = sl.Network("late")
    with net:
        net.image = sl.Encoder(64, coding_method="constant_current", time=1.0)
        net.hidden = sl.NeuronGroup(100, model="lif", tau_m=0.01)
        net.votes = sl.NeuronGroup(10, model="li", tau_m=20.0)
        net.a = sl.Connection(net.image, net.hidden, link_type="full", w_mean=0.1, w_std=0.5)
        net.b = sl.Connection(net.hidden, net.votes, link_type="full", w_mean=0.0, w_std=0.1)
        net.answer = sl.Decoder(dec_target=net.votes, coding_method="final_step_voltage")
        net.learner = sl.Learner(trainable=net, algorithm="sbp", surrogate="triangle", credit=credit)
    net.set_backend_dt(1.0)
    net.set_random_seed(seed)
    net.learner.set_optimizer("Adam", 3e-3)
    return net


def learnt(credit: str, epochs: int = 15) -> tuple[float, float]:
    """The greatest gradient of the first batch, and the accuracy on the test part after training."""
    train, test = datasets()
    net, loader = network(credit), sl.Dataloader(train, 64, shuffle=True, generator=np.random.default_rng(0))
    values, labels = next(iter(sl.Dataloader(train, 64)))
    net.image(values)
    net.run(TIME)
    torch.nn.functional.cross_entropy(net.answer.predict, torch.as_tensor(labels)).backward()
    greatest = max(float(p.grad.abs().max()) for p in net.parameters())
    sl.fit(net, loader, epochs=epochs, time=TIME, progress=False)
    return greatest, sl.evaluate(net, sl.Dataloader(test, 360), time=TIME, progress=False).accuracy


def outcome() -> Outcome:
    found = {credit: learnt(credit) for credit in ("bptt", "sltt")}
    (_, through_time), (gradient, within) = found.values()
    return Outcome(
        name="sltt_limit",
        paper="The limit of spatial learning through time (paper 2)",
        data="scikit-learn's digits in the first step, answered after six",
        baseline=f"BPTT {through_time:.3f}",
        result=f"{within:.3f}, greatest gradient {gradient:g}",
        gate="every gradient exactly zero, accuracy at chance, where BPTT learns",
        holds=gradient == 0.0 and within < 2 * CHANCE and through_time > 0.9,
        head=["credit", "greatest gradient", "accuracy"],
        rows=[[credit, f"{grad:.3g}", f"{reached:.3f}"] for credit, (grad, reached) in found.items()],
    )


if __name__ == "__main__":
    report(__doc__, outcome)
