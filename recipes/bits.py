"""A recipe: time steps and bits are one budget (paper 3 of the seed; Shen et al. 2023, Bit Budget).

    PYTHONPATH=benchmarks python recipes/bits.py [--seeds 3]

Claim: T steps of b_s-bit spikes through b_w-bit weights are priced T b_w b_s, and on still images steps buy nothing
that bits do not. Data: scikit-learn's digits as constant currents, 64-64-64-10, 30 epochs, every split of a budget
of 8. Neuron: LIF that keeps half of v in a step, emits s = round(clip(v, 0, 1) n) / n, n = 2^b_s - 1, and loses s.
Weights are quantised in training, in steps that are learned (Esser et al. 2020), one bit by sign. The gate: the best
split with T = 1 at least the best with T >= 4, less .01, both the best on the test samples. For balance the same digits
row by row, where steps could be needed: eight steps of eight pixels, and one step of their sum.
"""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from common import digits
from recipe import Outcome, report
from torch import Tensor, nn

import spikeloom as sl
from spikeloom.neurons import Emission, Subtract
from spikeloom.neurons.emission import Forward

EPOCHS, TAU = 30, 1 / math.log(2)  # ms; half of the potential stays in a step
SPLITS = (
    (8, 1, 1), (4, 2, 1), (4, 1, 2), (2, 4, 1), (2, 2, 2), (2, 1, 4), (1, 8, 1), (1, 4, 2), (1, 2, 4), (1, 1, 8),
    (4, 32, 1), (1, 32, 1),
)  # fmt: skip
"""Steps, bits of a weight, bits of a spike; 32 bits of a weight are not quantised."""


@dataclass(frozen=True, slots=True)
class Levels(Forward):
    """The potential between 0 and 1, rounded to one of so many steps above 0; its derivative is that of clip."""

    n: int

    def output(self, d, v, xp):
        clipped = xp.minimum(xp.maximum(v, 0.0), 1.0)
        return clipped + xp.stop_gradient(xp.floor(clipped * self.n + 0.5) / self.n - clipped)


class Quantised(nn.Linear):
    """A linear map with weights of so many bits, in steps of a learned size; of one bit: sign times the mean."""

    def __init__(self, n_in: int, n_out: int, bits: int, generator: torch.Generator) -> None:
        super().__init__(n_in, n_out)
        with torch.no_grad():
            self.weight.normal_(0.0, math.sqrt(2 / n_in), generator=generator)
            self.bias.zero_()
        self.most, size = 2 ** (bits - 1) - 1, float(self.weight.detach().abs().mean())
        self.step = nn.Parameter(torch.tensor(2 * size / math.sqrt(max(self.most, 1))))

    def quantised(self) -> Tensor:
        if self.most == 0:
            size = self.weight.abs().mean()
            return (torch.sign(self.weight.detach()) - self.weight / size).detach() * size + self.weight
        share = 1 / math.sqrt(self.weight.numel() * self.most)
        step = self.step * share + (self.step * (1 - share)).detach()
        level = (self.weight / step).clamp(-self.most, self.most)
        return (level + (level.round() - level).detach()) * step

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.linear(x, self.weight if self.most > 2**20 else self.quantised(), self.bias)


def network(split: tuple[int, int, int], seed: int, n_in: int = 64) -> sl.Network:
    _, weight_bits, spike_bits = split
    generator = torch.Generator().manual_seed(seed)
    emission = Emission(forward=Levels(2**spike_bits - 1), reset=Subtract())
    net = sl.Network("bits")
    with net:
        net.image = sl.Encoder(n_in, coding_method="constant_current" if n_in == 64 else "null")
        net.one = sl.NeuronGroup(64, model="lif", tau_m=TAU, emission=emission)
        net.two = sl.NeuronGroup(64, model="lif", tau_m=TAU, emission=emission)
        net.votes = sl.NeuronGroup(10, model="null")
        ends = (net.image, net.one, net.two, net.votes)
        for k, (pre, post) in enumerate(pairwise(ends)):
            linear = Quantised(pre.num, post.num, weight_bits, generator)
            setattr(net, f"link_{k}", sl.Module(linear, input_targets=pre, output_targets=post))
        net.fired = sl.StateMonitor(net.one, "O")
        net.answer = sl.Decoder(dec_target=net.votes, coding_method="voltage_mean")
        net.learner = sl.Learner(trainable=net, algorithm="sbp")
    net.set_backend_dt(1.0)
    net.set_random_seed(seed)
    net.learner.set_optimizer("Adam", 2e-3)
    net.learner.set_schedule("CosineAnnealingLR", T_max=EPOCHS)
    return net


def shown(images: np.ndarray, way: str) -> np.ndarray:
    """Digits (n, 64) as the network gets them: 'still', 'rows' (n, 8, 8) in time, or 'sum' (n, 1, 8) of the rows."""
    rows = images.reshape(-1, 8, 8)
    return {"still": images, "rows": rows, "sum": rows.sum(1, keepdims=True)}[way]


def accuracy(split: tuple[int, int, int], seed: int, epochs: int = EPOCHS, way: str = "still") -> tuple[float, float]:
    """On the 360 digits after training, and the share of neurons and steps that fire."""
    train, test = (sl.ArrayDataset(shown(images, way), labels) for images, labels in digits())
    net, time = network(split, seed, 64 if way == "still" else 8), float(split[0])
    loader = sl.Dataloader(train, 64, shuffle=True, generator=np.random.default_rng(seed))
    sl.fit(net, loader, epochs=epochs, time=time, progress=False)
    found = sl.evaluate(net, sl.Dataloader(test, 360), time=time, progress=False)
    return found.accuracy, float((net.fired.values != 0).mean())


def of_seeds(split: tuple[int, int, int], seeds: int, way: str = "still") -> tuple[float, float]:
    """The mean accuracy of the seeds, and the mean share that fires."""
    found = [accuracy(split, seed, way=way) for seed in range(seeds)]
    print(way, split, *(f"{a:.3f}" for a, _ in found), flush=True)
    return statistics.mean(a for a, _ in found), statistics.mean(f for _, f in found)


def outcome(seeds: int) -> Outcome:
    found = {split: of_seeds(split, seeds) for split in SPLITS}
    rows: list[list[object]] = []
    for (steps, of_weight, of_spike), (reached, share) in found.items():
        budget = sl.measures.bit_budget(steps, of_weight, of_spike, macs_per_step=64 * 64, firing_share=share)
        figures = f"{reached:.3f}", f"{share:.2f}", budget.bits, f"{budget.ns_ace:.3g}"
        rows.append(["still", steps, of_weight, of_spike, *figures])
    in_time = {}
    for way, split in (("rows", (8, 1, 1)), ("rows", (8, 4, 2)), ("sum", (1, 4, 2))):
        reached, share = of_seeds(split, seeds, way)
        in_time[way, split] = reached
        rows.append([way, *split, f"{reached:.3f}", f"{share:.2f}", sl.measures.bit_budget(*split).bits, ""])
    whole = {split: a for split, (a, _) in found.items() if split[1] < 32}
    once = max((s for s in whole if s[0] == 1), key=whole.__getitem__)
    long = max((s for s in whole if s[0] >= 4), key=whole.__getitem__)
    stepped, summed = in_time["rows", (8, 1, 1)], in_time["sum", (1, 4, 2)]
    missed = f"that steps are needed row by row: at a budget of 8 {stepped:.3f} with eight, {summed:.3f} with one"
    return Outcome(
        name="bits",
        paper="Bit Budget: steps, weight bits and spike bits as one price (paper 3)",
        data=f"scikit-learn's digits, 64-64-64-10, {EPOCHS} epochs, means of {seeds} seeds; sum: of the rows, one step",
        baseline=f"the best split with T >= 4, {long}: {whole[long]:.3f}",
        result=f"the best with T = 1, {once}: {whole[once]:.3f}",
        gate="the best with T = 1 at least the best with T >= 4, less .01",
        holds=whole[once] >= whole[long] - 0.01,
        head=["digits", "T", "weight bits", "spike bits", "accuracy", "firing share", "budget", "NS-ACE of 64 x 64"],
        rows=rows,
        failed="" if stepped > summed + 0.05 else missed,
    )


if __name__ == "__main__":
    report(__doc__, outcome, seeds={"type": int, "default": 3, "help": "how many runs of each split"})
