"""A recipe: deep spiking networks without batch normalisation, by lateral inhibition (paper 42 of the seed, DeepEISNN).

    PYTHONPATH=benchmarks python recipes/ei.py [--seeds 3]

Claim: layers of excitatory and inhibitory units whose weights never change sign (Dale's law) train deep, where a plain
network falls silent. A layer gives its leaky neurons the current g_E (W_ee x - W_ei i) / S + b with i = W_ie x and
S = W_ei (g_I i), all weights and gains at least 0; an entry of S that is 0 becomes the smallest of its sample that is
not. The first batch sets the scale of the weights, layer by layer. Data: scikit-learn's digits as constant currents,
widths of 128 with 32 inhibitory units, T = 4, SGD .05, gradients of norm 5, 25 epochs. Baselines: weights alone, and
batch normalisation. The gate at depth 6: .85 or more, the plain network at .3 or less, every weight at least 0.
"""

from __future__ import annotations

import math
import statistics
from itertools import pairwise

import numpy as np
import torch
from common import digits
from recipe import Outcome, report
from torch import Tensor, nn

import spikeloom as sl
from spikeloom.neurons import Emission, Subtract

WIDTH, INHIBITORY, STEPS, EPOCHS = 128, 32, 4.0, 25
WAYS = ("plain", "batch normalisation", "E-I")


class Balance(nn.Module):
    """The current of excitatory and inhibitory units, (B, n_e) and (B, n_i): balanced, and divided by the shunt."""

    def __init__(self, n_e: int, n_i: int, fan_in: int, divides: bool) -> None:
        super().__init__()
        self.fan_in, self.divides = fan_in, divides
        self.spread = nn.Parameter(torch.full((n_e, n_i), 1 / n_i))
        self.gain_i, self.gain_e = nn.Parameter(torch.ones(n_i)), nn.Parameter(torch.ones(n_e))
        self.bias = nn.Parameter(torch.zeros(n_e))

    def forward(self, excitation: Tensor, inhibition: Tensor) -> Tensor:
        with torch.no_grad():
            for weight in (self.spread, self.gain_i, self.gain_e):
                weight.clamp_(min=0)
        small = self.spread / self.fan_in  # a gradient that is divided by the fan-in
        spread = small + (self.spread - small).detach()
        balanced = excitation - inhibition @ spread.T
        if not self.divides:
            return balanced + self.bias
        return self.gain_e * balanced / filled((inhibition * self.gain_i) @ spread.T) + self.bias


def filled(shunt: Tensor) -> Tensor:
    """The shunt (B, n) with the smallest entry of its sample in place of those that are 0, 1 where all are."""
    least = torch.where(shunt > 0, shunt, math.inf).amin(1, keepdim=True)
    least = torch.where(least < math.inf, least, 1.0)
    return shunt + torch.where(shunt > 0, 0.0, least - shunt).detach()


def network(way: str, depth: int, seed: int) -> sl.Network:
    """The hidden layers `layer_k` and the answer; where way is 'E-I', of links into units `e_k` and `i_k`."""
    net = sl.Network("deep")
    with net:
        net.image = sl.Encoder(64, coding_method="constant_current")
        sizes = [64, *[WIDTH] * depth, 10]
        emission, before = Emission(reset=Subtract(), detach_reset=True), net.image
        for k, (n_in, n_out) in enumerate(pairwise(sizes)):
            last = k == depth
            spiking = {"model": "lif", "tau_m": 1 / math.log(2), "emission": emission}
            group = sl.NeuronGroup(n_out, **({"model": "null"} if last else spiking))
            setattr(net, f"layer_{k}", group)
            if way == "E-I":
                inhibitory(net, k, before, group, max(1, n_out // 4), not last)
            else:
                norm = {"syn_type": ["basic", "batch_norm"]} if way != "plain" and not last else {}
                start = sl.network.initializers.Uniform(a=-(n_in**-0.5), b=n_in**-0.5)
                link = sl.Connection(before, group, link_type="full", weight=start, bias=True, **norm)
                setattr(net, f"link_{k}", link)
            before = group
        net.answer = sl.Decoder(dec_target=before, coding_method="voltage_mean")
        net.learner = sl.Learner(trainable=net, algorithm="sbp", surrogate="sigmoid", alpha=4.0)
    net.set_backend_dt(1.0)
    net.set_random_seed(seed)
    net.learner.set_optimizer("SGD", 0.05, momentum=0.9)
    return net


def inhibitory(net: sl.Network, k: int, before, group: sl.NeuronGroup, n_i: int, divides: bool) -> None:
    """A layer of linear units of both kinds and what joins them, into a group."""
    fan_in = before.num
    for kind, n in (("e", group.num), ("i", n_i)):
        units = sl.NeuronGroup(n, model="null")
        setattr(net, f"{kind}_{k}", units)
        setattr(net, f"to_{kind}_{k}", sl.Connection(before, units, link_type="full", w_mean=0.0, w_std=0.1, sign=1))
    ends = [getattr(net, f"e_{k}"), getattr(net, f"i_{k}")]
    balance = Balance(group.num, n_i, fan_in, divides)
    setattr(net, f"balance_{k}", sl.Module(balance, input_targets=ends, output_targets=group))


def calibrate(net: sl.Network, images: np.ndarray, depth: int, seed: int) -> None:
    """Sets weights and gains by what a first batch makes of the layers before, layer by layer."""
    generator = np.random.default_rng(seed)
    watched = [sl.StateMonitor(getattr(net, f"layer_{k}"), "O") for k in range(depth)]
    for k, monitor in enumerate(watched):
        setattr(net, f"watch_{k}", monitor)
    with torch.no_grad():
        for k in range(depth + 1):
            net.image(images)
            net.run(STEPS)
            x = images if k == 0 else np.moveaxis(watched[k - 1].values, -1, 1).reshape(-1, WIDTH)
            mean, variance, square, fan_in = x.mean(), x.var(0).mean(), (x**2).mean(), x.shape[1]
            scale = math.sqrt(variance / (fan_in * (square + variance)))
            for kind in "ei":
                weight = getattr(net, f"to_{kind}_{k}").weight
                weight.value = generator.exponential(scale, tuple(weight.value.shape))
            gain = math.sqrt(square + variance) / (mean * math.sqrt(fan_in))
            dict(net.named_parameters())[f"balance_{k}.gain_i"].fill_(gain)
    for k in range(depth):
        delattr(net, f"watch_{k}")


def accuracy(way: str, depth: int, seed: int, epochs: int = EPOCHS) -> tuple[float, sl.Network]:
    """On the 360 test digits after training, and the network."""
    (x, y), (test, wanted) = digits()
    net, generator = network(way, depth, seed), torch.Generator().manual_seed(seed)
    if way == "E-I":
        calibrate(net, x[:128], depth, seed)
    for _ in range(epochs):
        for part in torch.randperm(len(x), generator=generator).split(64):
            net.image(x[part])
            net.run(STEPS)
            net.learner.optim_zero_grad()
            nn.functional.cross_entropy(net.answer.predict, torch.from_numpy(y[part])).backward()
            nn.utils.clip_grad_norm_(net.learner.parameters, 5.0)
            net.learner.optim_step()
    loader = sl.Dataloader(sl.ArrayDataset(test, wanted), 360)
    return sl.evaluate(net, loader, time=STEPS, progress=False).accuracy, net


def least_weight(net: sl.Network) -> float:
    """The least of all weights and gains that have a sign."""
    return min(float(p.detach().min()) for name, p in net.named_parameters() if "bias" not in name)


def outcome(seeds: int) -> Outcome:
    found: dict[tuple[str, int], list[float]] = {}
    least = math.inf
    for depth in (2, 6):
        for way in WAYS:
            runs = [accuracy(way, depth, seed) for seed in range(seeds)]
            found[way, depth] = [reached for reached, _ in runs]
            least = min([least, *(least_weight(net) for _, net in runs if way == "E-I")])
            print(way, depth, *(f"{a:.3f}" for a in found[way, depth]), flush=True)
    means = {key: statistics.mean(each) for key, each in found.items()}
    plain, normed, balanced = (means[way, 6] for way in WAYS)
    return Outcome(
        name="ei",
        paper="Deep networks without normalisation, by lateral inhibition (paper 42)",
        data=f"scikit-learn's digits, layers of {WIDTH} with {INHIBITORY} inhibitory units, {EPOCHS} epochs",
        baseline=f"at depth 6 weights alone {plain:.3f}, batch normalisation {normed:.3f}",
        result=f"{balanced:.3f} at depth 6, least weight {least:g}",
        gate="at depth 6 at least .85, weights alone at most .3, no weight below 0",
        holds=balanced >= 0.85 and plain <= 0.3 and least >= 0,
        head=["way", "depth 2", "depth 6", "depth 6, each seed"],
        rows=[
            [way, f"{means[way, 2]:.3f}", f"{means[way, 6]:.3f}", ", ".join(f"{a:.3f}" for a in found[way, 6])]
            for way in WAYS
        ],
        failed="accuracy level with batch normalisation" if balanced < normed - 0.01 else "",
    )


if __name__ == "__main__":
    report(__doc__, outcome, seeds={"type": int, "default": 3, "help": "how many runs of each way"})
