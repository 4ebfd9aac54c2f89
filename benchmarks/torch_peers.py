"""What the peers on PyTorch share: layers with the workload's weights, a training and an inference step."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeVar

import torch
import torch.nn.functional as F
from measuring import measured, options, report
from torch import Tensor, nn
from workloads import KERNEL, LEARNING_RATE, Weights, data, weights

Layer = TypeVar("Layer", bound=nn.Module)


class Model(NamedTuple):
    """A network, its pass from a raster (T, B, *shape) to output spikes (T, B, classes), and what forgets its state."""

    module: nn.Module
    forward: Callable[[Tensor], Tensor]
    reset: Callable[[], Any] = lambda: None


Builder = Callable[[list[Weights]], Model]
Forms = Mapping[str, Mapping[str, Builder]]
"""The ways in which a network can be written, by name; each has a builder for a kind of workload."""


def compiled(builders: Mapping[str, Builder]) -> dict[str, Builder]:
    """The same networks through torch.compile."""

    def made(builder: Builder, given: list[Weights]) -> Model:
        model = builder(given)
        return model._replace(forward=torch.compile(model.forward, dynamic=False))

    return {kind: lambda given, builder=builder: made(builder, given) for kind, builder in builders.items()}


def linear(given: Weights, kind: Callable[..., Any] = nn.Linear, scale: float = 1.0, **more: Any) -> Any:
    """A full connection with these weights and biases, times `scale`."""
    return _filled(kind(given.weight.shape[1], given.weight.shape[0], **more), given, scale)


def convolution(given: Weights, kind: Callable[..., Any] = nn.Conv2d, scale: float = 1.0, **more: Any) -> Any:
    """A convolution with these weights and biases, times `scale`."""
    return _filled(kind(given.weight.shape[1], given.weight.shape[0], KERNEL, **more), given, scale)


def _filled(layer: Layer, given: Weights, scale: float) -> Layer:
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(given.weight) * scale)
        layer.bias.copy_(torch.from_numpy(given.bias) * scale)
    return layer


def over_time(layer: Callable[[Tensor], Tensor], sequence: Tensor) -> Tensor:
    """A layer without state on all steps at once, (T, B, ...) to (T, B, ...)."""
    return layer(sequence.flatten(0, 1)).unflatten(0, sequence.shape[:2])


def main(description: str | None, framework: str, forms: Forms) -> None:
    """Measures the workload that the command line names."""
    args, workload = options(description, list(forms))
    torch.set_num_threads(1)
    raster, labels = map(torch.from_numpy, data(workload))
    model = forms[args.form][workload.kind](weights(workload))
    optimizer = torch.optim.Adam(model.module.parameters(), lr=LEARNING_RATE, fused=True)
    model.module.train(args.mode == "train")

    def train() -> Tensor:
        model.reset()
        optimizer.zero_grad(set_to_none=True)
        rates = model.forward(raster).mean(0)
        F.cross_entropy(rates, labels).backward()
        optimizer.step()
        return rates.detach()

    def infer() -> Tensor:
        with torch.no_grad():
            model.reset()
            return model.forward(raster).mean(0)

    found = measured(train if args.mode == "train" else infer, args.repeats)
    report(args, framework, (framework, "torch", "numpy"), **found)
