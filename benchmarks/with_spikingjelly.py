"""The workloads in SpikingJelly: `python with_spikingjelly.py W1 train` measures one of them, as a line of JSON."""

from __future__ import annotations

from functools import partial

import torch
from loguru import logger
from spikingjelly.activation_based import functional, layer, neuron, surrogate
from torch import Tensor, nn
from torch_peers import Model, compiled, convolution, linear, main
from workloads import DECAY, POOL, THRESHOLD, Weights


def leaky(detach: bool, step_mode: str = "m") -> nn.Module:
    return neuron.LIFNode(
        tau=1 / (1 - DECAY), decay_input=False, v_threshold=THRESHOLD, v_reset=None, step_mode=step_mode,
        surrogate_function=surrogate.ATan(), detach_reset=detach,
    )  # fmt: skip


def feedforward(given: list[Weights], detach: bool) -> Model:
    layers = [part for w in given for part in (linear(w, layer.Linear, step_mode="m"), leaky(detach))]
    return built(nn.Sequential(*layers))


def recurrent(given: list[Weights], detach: bool) -> Model:
    return built(Recurrent(given, detach))


class Recurrent(nn.Module):
    """The hidden population goes step by step, the rest over all steps at once."""

    def __init__(self, given: list[Weights], detach: bool) -> None:
        super().__init__()
        self.first, self.last = (linear(given[i], layer.Linear, step_mode="m") for i in (0, 2))
        self.loop, self.hidden, self.output = linear(given[1]), leaky(detach, "s"), leaky(detach)

    def forward(self, raster: Tensor) -> Tensor:
        currents = self.first(raster)
        spike, spikes = torch.zeros_like(currents[0]), []
        for current in currents:
            spike = self.hidden(current + self.loop(spike))
            spikes.append(spike)
        return self.output(self.last(torch.stack(spikes)))


def conv(given: list[Weights], detach: bool) -> Model:
    *kernels, last = given
    layers: list[nn.Module] = []
    for kernel in kernels:
        pool = layer.MaxPool2d(POOL, step_mode="m")
        layers += [convolution(kernel, layer.Conv2d, step_mode="m"), pool, leaky(detach)]
    layers += [layer.Flatten(step_mode="m"), linear(last, layer.Linear, step_mode="m"), leaky(detach)]
    return built(nn.Sequential(*layers))


def built(module: nn.Module) -> Model:
    return Model(module, module.forward, lambda: functional.reset_net(module))


def builders(detach: bool) -> dict[str, partial[Model]]:
    """detach: whether the gradient through the reset is left out."""
    kinds = {
        "feedforward": feedforward,
        "recurrent": lambda given, detach: built(Recurrent(given, detach)),
        "conv": conv,
    }
    return {kind: partial(builder, detach=detach) for kind, builder in kinds.items()}


FORMS = {"layered": builders(False), "detached": builders(True), "compiled": compiled(builders(True))}

if __name__ == "__main__":
    logger.remove()
    main(__doc__, "spikingjelly", FORMS)
