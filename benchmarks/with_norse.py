"""The workloads in Norse: `python with_norse.py W1 train` measures one of them and prints a line of JSON.

Norse scales the current by dt / tau, so weights and biases are divided by it. It has no arctan surrogate: SuperSpike.
"""

from __future__ import annotations

from collections.abc import Iterable

import norse.torch as norse
import torch
from norse.torch.functional.reset import reset_subtract
from torch import Tensor, nn
from torch_peers import Model, compiled, convolution, linear, main, over_time
from workloads import DECAY, POOL, THRESHOLD, Weights

DT = 0.001
RATE = (1 - DECAY) / DT
SCALE = 1 / (1 - DECAY)
BOX = norse.LIFBoxParameters(tau_mem_inv=torch.tensor(RATE), v_th=torch.tensor(THRESHOLD), reset_method=reset_subtract)
CURRENT = norse.LIFParameters(tau_syn_inv=torch.tensor(1 / DT), tau_mem_inv=torch.tensor(RATE))
"""The neuron of Norse's LIF modules: its synaptic current is gone after a step; its reset is to zero."""


def full(given: Weights) -> nn.Module:
    return linear(given, scale=SCALE)


def pooled(given: Weights) -> nn.Module:
    return nn.Sequential(convolution(given, scale=SCALE), nn.MaxPool2d(POOL))


def products(given: list[Weights]) -> list[nn.Module]:
    """The product before each population of a network without loops."""
    *first, last = given
    hidden = [full(w) if w.weight.ndim == 2 else pooled(w) for w in first]
    return [*hidden, full(last) if first[0].weight.ndim == 2 else nn.Sequential(nn.Flatten(), full(last))]


def modules(given: list[Weights]) -> Model:
    """Norse's modules for sequences."""
    layers = [part for product in products(given) for part in (Timed(product), norse.LIF(CURRENT))]
    return built(norse.SequentialState(*layers))


def recurrent_modules(given: list[Weights]) -> Model:
    first, loop, last = given
    recurrent = norse.LIFRecurrent(first.weight.shape[1], first.weight.shape[0], CURRENT)
    with torch.no_grad():
        recurrent.input_weights.copy_(torch.from_numpy(first.weight) * SCALE)
        recurrent.recurrent_weights.copy_(torch.from_numpy(loop.weight) * SCALE)
    return built(norse.SequentialState(recurrent, full(last), norse.LIF(CURRENT)))


def cells(given: list[Weights]) -> Model:
    """Norse's cells, all layers in one step after the other."""
    layers = [part for product in products(given) for part in (product, norse.LIFBoxCell(BOX))]
    return built(norse.Lift(norse.SequentialState(*layers)))


class Timed(nn.Module):
    """A layer without state on all steps at once."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, raster: Tensor) -> Tensor:
        return over_time(self.layer, raster)


class OverSteps(nn.Module):
    """A cell in every step of its currents."""

    def __init__(self) -> None:
        super().__init__()
        self.cell = norse.LIFBoxCell(BOX)

    def forward(self, currents: Iterable[Tensor]) -> Tensor:
        state, spikes = None, []
        for current in currents:
            spike, state = self.cell(current, state)
            spikes.append(spike)
        return torch.stack(spikes)


def layered(given: list[Weights]) -> Model:
    """Norse's cells, layer after layer: the product of all steps at once, then the cell in every step."""
    module = nn.Sequential(*[part for product in products(given) for part in (Timed(product), OverSteps())])
    return Model(module, module.forward)


class LayeredRecurrent(nn.Module):
    def __init__(self, given: list[Weights]) -> None:
        super().__init__()
        self.first, self.loop, self.last = map(full, given)
        self.cell, self.output = norse.LIFBoxCell(BOX), OverSteps()

    def forward(self, raster: Tensor) -> Tensor:
        currents = self.first(raster)
        spike, state, spikes = torch.zeros_like(currents[0]), None, []
        for current in currents:
            spike, state = self.cell(current + self.loop(spike), state)
            spikes.append(spike)
        return self.output(self.last(torch.stack(spikes)))


def layered_recurrent(given: list[Weights]) -> Model:
    module = LayeredRecurrent(given)
    return Model(module, module.forward)


def built(module: nn.Module) -> Model:
    return Model(module, lambda raster: module(raster)[0])


LAYERED = {"feedforward": layered, "recurrent": layered_recurrent, "conv": layered}
FORMS = {
    "layered": LAYERED,
    "cells": {"feedforward": cells, "recurrent": layered_recurrent, "conv": cells},
    "modules": {"feedforward": modules, "recurrent": recurrent_modules, "conv": modules},
    "compiled": compiled(LAYERED),
}

if __name__ == "__main__":
    main(__doc__, "norse", FORMS)
