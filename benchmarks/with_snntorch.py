"""The workloads in snnTorch: `python with_snntorch.py W1 train` measures one of them and prints a line of JSON."""

from __future__ import annotations

from collections.abc import Iterable

import snntorch
import torch
from snntorch import surrogate
from torch import Tensor, nn
from torch_peers import Model, compiled, convolution, linear, main, over_time
from workloads import DECAY, POOL, THRESHOLD, Weights

SETTINGS = {"beta": DECAY, "threshold": THRESHOLD, "reset_mechanism": "subtract", "spike_grad": surrogate.atan()}


def leaky() -> nn.Module:
    return snntorch.Leaky(**SETTINGS)


def recurrent_leaky(given: Weights) -> nn.Module:
    layer = snntorch.RLeaky(linear_features=len(given.bias), **SETTINGS)
    layer.recurrent = linear(given)
    return layer


def over_steps(neuron: nn.Module, currents: Iterable[Tensor]) -> Tensor:
    """The spikes of a population in every step."""
    membrane, spikes = neuron.reset_mem(), []
    for current in currents:
        spike, membrane = neuron(current, membrane)
        spikes.append(spike)
    return torch.stack(spikes)


class Stepped(nn.Module):
    """All layers in one step after the other, as in snnTorch's tutorials; a layer is a product and a neuron."""

    def __init__(self, products: list[nn.Module]) -> None:
        super().__init__()
        self.products = nn.ModuleList(products)
        self.neurons = nn.ModuleList(leaky() for _ in products)

    def forward(self, raster: Tensor) -> Tensor:
        membranes, spikes = [neuron.reset_mem() for neuron in self.neurons], []
        for signal in raster:
            for i, (product, neuron) in enumerate(zip(self.products, self.neurons, strict=True)):
                signal, membranes[i] = neuron(product(signal), membranes[i])
            spikes.append(signal)
        return torch.stack(spikes)


class Layered(Stepped):
    """Layer after layer: the product of all steps at once, then the neuron in every step."""

    def forward(self, raster: Tensor) -> Tensor:
        for product, neuron in zip(self.products, self.neurons, strict=True):
            raster = over_steps(neuron, over_time(product, raster))
        return raster


class SteppedRecurrent(nn.Module):
    def __init__(self, given: list[Weights]) -> None:
        super().__init__()
        self.first, self.last = linear(given[0]), linear(given[2])
        self.recurrent, self.output = recurrent_leaky(given[1]), leaky()

    def forward(self, raster: Tensor) -> Tensor:
        (hidden, membrane), last, spikes = self.recurrent.reset_mem(), self.output.reset_mem(), []
        for signal in raster:
            hidden, membrane = self.recurrent(self.first(signal), hidden, membrane)
            spike, last = self.output(self.last(hidden), last)
            spikes.append(spike)
        return torch.stack(spikes)


class LayeredRecurrent(SteppedRecurrent):
    def forward(self, raster: Tensor) -> Tensor:
        (hidden, membrane), spikes = self.recurrent.reset_mem(), []
        for current in self.first(raster):
            hidden, membrane = self.recurrent(current, hidden, membrane)
            spikes.append(hidden)
        return over_steps(self.output, self.last(torch.stack(spikes)))


def convolutions(given: list[Weights]) -> list[nn.Module]:
    *kernels, last = given
    return [
        *[nn.Sequential(convolution(w), nn.MaxPool2d(POOL)) for w in kernels],
        nn.Sequential(nn.Flatten(), linear(last)),
    ]


def built(module: nn.Module) -> Model:
    return Model(module, module.forward)


STEPPED = {
    "feedforward": lambda given: built(Stepped([linear(w) for w in given])),
    "recurrent": lambda given: built(SteppedRecurrent(given)),
    "conv": lambda given: built(Stepped(convolutions(given))),
}
LAYERED = {
    "feedforward": lambda given: built(Layered([linear(w) for w in given])),
    "recurrent": lambda given: built(LayeredRecurrent(given)),
    "conv": lambda given: built(Layered(convolutions(given))),
}
FORMS = {
    "stepped": STEPPED, "layered": LAYERED, "compiled": compiled(STEPPED), "compiled layered": compiled(LAYERED)
}  # fmt: skip

if __name__ == "__main__":
    main(__doc__, "snntorch", FORMS)
