"""A recipe: a language model whose units speak only where they have something to say (paper 27 of the seed, EGRU).

    PYTHONPATH=benchmarks python recipes/egru.py --data FILE [--iterations 400]

Claim: a gated recurrent unit that sends its state c only where c >= theta, and loses theta then, models language nearly
as a dense one does. z = sig(W_z x + U_z y + b), r = sig(W_r x + U_r y + b), g = tanh(W_g x + r (U_g y) + b),
c <- z c + (1 - z) g, y = c H(c - theta); the derivative of H is .7 max(0, 1 - |c - theta|). FILE: an English text of
100,000 characters or more, the first nine tenths to train with. Windows of 64 characters, batches of 32, 192 units,
Adam 2e-3, 400 iterations. Baselines: characters and pairs of them by their frequency, recurrent leaky neurons, and a
GRU of torch. The gate, in bits a character: .4 below the pairs, at most .4 above the GRU, less than .7 of the units
active.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from recipe import Outcome, report
from torch import Tensor, nn
from torch.nn import functional as F

import spikeloom as sl
from spikeloom.neurons import Emission, Neuron, NoReset
from spikeloom.neurons.emission import Forward

UNITS, WINDOW, BATCH, ITERATIONS, RATE = 192, 64, 32, 400, 2e-3
HEIGHT = 0.7  # of the pseudo-derivative


def event(d, xp):
    """1 where d >= 0, else 0; its derivative is HEIGHT max(0, 1 - |d|)."""
    near = xp.minimum(xp.maximum(d, -1.0), 1.0)
    smooth = HEIGHT * (near - 0.5 * near * xp.abs(near))
    return smooth + xp.stop_gradient(xp.where(d >= 0, 1.0, 0.0) - smooth)


@dataclass(frozen=True, slots=True)
class Event(Forward):
    """The state itself where it is at the threshold or above, else 0."""

    def output(self, d, v, xp):
        return v * event(d, xp)


SPEAKS = Emission(variable="c", threshold="theta", forward=Event(), reset=NoReset())


class EGRUState(NamedTuple):
    """What a unit holds, (B, n)."""

    c: Any


@dataclass(frozen=True, kw_only=True, slots=True)
class EGRU(Neuron[EGRUState]):
    """theta: the threshold. Ports: z and r of the gates, x and u of the proposal, u gated by r."""

    theta: Any = 0.3
    emission: Emission = SPEAKS

    State = EGRUState
    ports = ("z", "r", "x", "u")

    def initial(self):
        return EGRUState(c=0.0)

    def update(self, state, inputs, dt, xp):
        gate, reset = (0.5 + 0.5 * xp.tanh(0.5 * part) for part in inputs[:2])
        return EGRUState(c=gate * state.c + (1 - gate) * xp.tanh(inputs[2] + reset * inputs[3]))

    def after_spike(self, state, spikes, dt, xp):
        return EGRUState(c=state.c - self.theta * event(state.c - self.theta, xp))


def network(way: str, n_symbols: int, theta: float = 0.3, seed: int = 0, n: int = UNITS) -> sl.Network:
    """Characters as spikes, a hidden population of a kind, 'EGRU' or 'LIF', and a score for each character."""
    small = {"link_type": "full", "weight": sl.uniform(a=-(n**-0.5), b=n**-0.5)}
    large = {"link_type": "full", "weight": sl.uniform(a=-1.0, b=1.0), "bias": True}
    net = sl.Network("language")
    with net:
        net.text = sl.Encoder(n_symbols, coding_method="null")
        thetas = np.random.default_rng(seed).beta(*concentrated(theta), n)
        net.cell = sl.NeuronGroup(n, model=EGRU(theta=thetas)) if way == "EGRU" else sl.NeuronGroup(n, "lif")
        for port in ("z", "r", "x") if way == "EGRU" else (None,):
            setattr(net, f"in_{port}", sl.Connection(net.text, net.cell, port=port, **large))
        for port in ("z", "r", "u") if way == "EGRU" else (None,):
            setattr(net, f"loop_{port}", sl.Connection(net.cell, net.cell, port=port, **small))
        net.next = sl.NeuronGroup(n_symbols, model="null")
        net.says = sl.Connection(net.cell, net.next, bias=True, **small)
        net.scores = sl.Decoder(dec_target=net.next, coding_method="null")
        net.learner = sl.Learner(trainable=net, algorithm="sbp", surrogate="arctan")
    net.set_backend_dt(1.0)
    net.set_random_seed(seed)
    net.learner.set_optimizer("Adam", RATE)
    return net


def concentrated(mean: float, width: float = 10.0) -> tuple[float, float]:
    """The two parameters of a beta distribution of that mean."""
    return mean * width, (1 - mean) * width


def spikes(text: np.ndarray, n_symbols: int) -> sl.Spikes:
    """Characters (B, T) as one spike in each step."""
    n, t = text.shape
    step, sample = np.tile(np.arange(t), n), np.repeat(np.arange(n), t)
    return sl.Spikes.from_steps(step, text.ravel(), n_symbols, t, 1.0, samples=sample, n_samples=n)


class GRU(nn.Module):
    """The dense baseline."""

    def __init__(self, n_symbols: int, n: int = UNITS) -> None:
        super().__init__()
        self.n_symbols, self.gru, self.says = n_symbols, nn.GRU(n_symbols, n), nn.Linear(n, n_symbols)
        nn.init.uniform_(self.gru.weight_ih_l0, -1.0, 1.0)  # as in the network of spikes

    def forward(self, text: Tensor) -> Tensor:
        return self.says(self.gru(F.one_hot(text.T, self.n_symbols).float())[0])


def bits(scores: Tensor, wanted: np.ndarray) -> Tensor:
    """Bits a character of scores (T, B, n) for the characters (B, T) that came."""
    return F.cross_entropy(scores.transpose(0, 1).flatten(0, 1), torch.from_numpy(wanted).flatten()) / math.log(2)


def windows(text: np.ndarray, first: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Windows (B, T) from the given places on, and what follows each character."""
    part = text[first[:, None] + np.arange(WINDOW + 1)]
    return part[:, :-1], part[:, 1:]


def trained(way: str, train: np.ndarray, test: np.ndarray, n_symbols: int, iterations: int, **options) -> tuple:
    """Bits a character on the test text, and the share of units that are active in a step."""
    generator = np.random.default_rng(0)
    torch.manual_seed(0)
    model = GRU(n_symbols) if way == "GRU" else network(way, n_symbols, **options)
    optimizer = torch.optim.Adam(model.parameters(), RATE) if way == "GRU" else None

    def scored(x: np.ndarray, y: np.ndarray) -> Tensor:
        if way == "GRU":
            return bits(model(torch.from_numpy(x)), y)
        model.text(spikes(x, n_symbols))
        model.run(float(WINDOW))
        return bits(model.scores.predict, y)

    for k in range(iterations):
        loss = scored(*windows(train, generator.integers(0, len(train) - WINDOW - 1, BATCH)))
        (optimizer.zero_grad if optimizer else model.learner.optim_zero_grad)()
        loss.backward()
        (optimizer.step if optimizer else model.learner.optim_step)()
        if (k + 1) % 100 == 0:
            print(way, k + 1, f"{float(loss.detach()):.3f}", flush=True)
    places = np.arange(0, len(test) - WINDOW - 1, WINDOW)
    seen = None if way == "GRU" else sl.network.Tap(model.cell)
    with torch.no_grad():
        found = float(scored(*windows(test, places)))
    return found, math.nan if seen is None else float((seen.value != 0).float().mean())


def by_frequency(train: np.ndarray, test: np.ndarray, n_symbols: int) -> tuple[float, float]:
    """Bits a character by the frequency of characters, and of pairs, each counted once more."""
    pairs = np.ones((n_symbols, n_symbols))
    np.add.at(pairs, (train[:-1], train[1:]), 1)
    single = pairs.sum(0) / pairs.sum()
    given = pairs / pairs.sum(1, keepdims=True)
    return float(-np.log2(single[test]).mean()), float(-np.log2(given[test[:-1], test[1:]]).mean())


def parts(path: Path) -> tuple[np.ndarray, np.ndarray, int]:
    """The first nine tenths of a text and the rest, as numbers of its characters, and how many there are."""
    symbols, text = np.unique(list(path.read_text(encoding="utf-8")), return_inverse=True)
    return text[: len(text) * 9 // 10], text[len(text) * 9 // 10 :], len(symbols)


def outcome(data: Path, iterations: int) -> Outcome:
    train, test, n = parts(data)
    single, pairs = by_frequency(train, test, n)
    found = {way: trained(way, train, test, n, iterations) for way in ("LIF", "EGRU", "GRU")}
    sweep = {theta: trained("EGRU", train, test, n, iterations // 4, theta=theta) for theta in (0.1, 0.3, 0.6)}
    (reached, active), (dense, _) = found["EGRU"], found["GRU"]
    rows: list[list[object]] = [["characters", "", f"{single:.3f}", ""], ["pairs of them", "", f"{pairs:.3f}", ""]]
    rows += [[way, iterations, f"{b:.3f}", "" if way == "GRU" else f"{a:.2f}"] for way, (b, a) in found.items()]
    rows += [[f"EGRU, mean theta {m}", iterations // 4, f"{b:.3f}", f"{a:.2f}"] for m, (b, a) in sweep.items()]
    return Outcome(
        name="egru",
        paper="EGRU language model (paper 27)",
        data=f"a text of {len(train) + len(test)} characters, {n} symbols, one seed",
        baseline=f"pairs of characters {pairs:.3f} bits, GRU {dense:.3f}",
        result=f"{reached:.3f} bits a character, {active:.2f} of the units active",
        gate="at most pairs - .4 and GRU + .4, less than .7 active",
        holds=reached <= min(pairs - 0.4, dense + 0.4) and active < 0.7,
        head=["way", "iterations", "bits / character", "active"],
        rows=rows,
    )


if __name__ == "__main__":
    text = {"type": Path, "required": True, "help": "an English text of 100,000 characters or more"}
    report(__doc__, outcome, data=text, iterations={"type": int, "default": ITERATIONS, "help": "of training"})
