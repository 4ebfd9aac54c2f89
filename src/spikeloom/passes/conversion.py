"""Trained torch networks made spiking: rates that come near, or signed spikes that count out the very same numbers."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..errors import ParameterError, UnsupportedError
from ..network import Decoder, Network
from ..network.from_torch import from_torch
from ..neurons import IF, LI, STBIF, Emission, Neuron, Subtract, ToValue
from ..training import evaluate
from ..units import times
from .promise import Promise

_FOREVER = 1e30
"""A time constant of a potential that keeps all it gets."""


class Neurons(nn.Module):
    """Stands for a population of a neuron model in an `nn.Sequential`."""

    def __init__(self, neuron: Neuron[Any]) -> None:
        super().__init__()
        self.neuron = neuron


class QuantisedReLU(nn.Module):
    """step * clip(floor(x / step + 1/2), 0, levels): clip, floor, shift, with a step that is learnt.

    The gradient passes as if there were no floor (Bengio et al. 2013), and to the step as in LSQ (Esser et al. 2020).
    levels: how many values there are beside 0, 2^bits - 1.
    """

    def __init__(self, levels: int = 15, step: float = 0.1) -> None:
        super().__init__()
        if not isinstance(levels, int) or isinstance(levels, bool) or levels < 1:
            raise ParameterError(f"QuantisedReLU.levels must be a whole number from 1 on, got {levels!r}")
        if not isinstance(step, (int, float)) or not 0 < step < float("inf"):
            raise ParameterError(f"QuantisedReLU.step must be a positive number, got {step!r}")
        self.levels, self.step = levels, nn.Parameter(torch.tensor(float(step)))

    def forward(self, x: Tensor) -> Tensor:
        """The quantised x, in its shape."""
        scale = (x.numel() * self.levels) ** -0.5
        step = (self.step - self.step * scale).detach() + self.step * scale
        y = torch.clamp(x / step, 0, self.levels)
        whole = y + (torch.clamp(torch.floor(x / step + 0.5), 0, self.levels) - y).detach()
        result: Tensor = whole * step
        return result


def fold_batch_norm(module: nn.Sequential) -> tuple[nn.Sequential, Promise]:
    """The module in evaluation without batch normalisation: it goes into the Linear or Conv2d before it.

    Raises UnsupportedError for one that follows anything else, or has no running statistics.
    """
    parts: list[nn.Module] = []
    for name, part in _flat(module):
        if not isinstance(part, (nn.BatchNorm1d, nn.BatchNorm2d)):
            parts.append(copy.deepcopy(part))
            continue
        before = parts[-1] if parts else None
        if not isinstance(before, (nn.Linear, nn.Conv2d)) or part.running_mean is None or part.running_var is None:
            raise UnsupportedError(
                f"fold_batch_norm: module {name!r} must follow a Linear or Conv2d and have running statistics"
            )
        _fold(before, part)
    new = nn.Sequential(*parts).eval()
    return new, Promise(kind="close", tolerance=1e-4, why="batch normalisation in evaluation is linear")


def _fold(before: nn.Linear | nn.Conv2d, part: Any) -> None:
    with torch.no_grad():
        gain = (part.running_var + part.eps) ** -0.5 * (1.0 if part.weight is None else part.weight)
        bias = torch.zeros_like(part.running_mean) if before.bias is None else before.bias
        shifted = (bias - part.running_mean) * gain + (0.0 if part.bias is None else part.bias)
        before.weight *= gain.view(-1, *[1] * (before.weight.ndim - 1))
        before.bias = nn.Parameter(shifted)


def convert(
    module: nn.Sequential,
    samples: Any,
    *,
    percentile: float = 99.9,
    reset: str = "subtract",
    dt: float = 1.0,
) -> tuple[Network, Promise]:
    """A network of integrate-and-fire neurons whose rates come near the ReLUs of a trained module.

    Thresholds are balanced on samples (n, *shape) of the training data: the weights of each layer are scaled such that
    this percentile of the ReLU's activations is 1 (Diehl et al. 2015; Rueckauer et al. 2017). The input is a constant
    current; the last layer adds up its current, and the sum after the run is the answer, T times the module's. reset:
    'subtract' keeps what is above the threshold, 'zero' loses it. The more steps, the closer; there is no bound. Batch
    normalisation is folded.
    """
    if reset not in ("subtract", "zero"):
        raise ParameterError(f"convert.reset must be 'subtract' or 'zero', got {reset!r}")
    if not isinstance(percentile, (int, float)) or not 0 < percentile <= 100:
        raise ParameterError(f"convert.percentile must be a number, 0 < percentile <= 100, got {percentile!r}")
    neuron = IF(emission=Emission(reset=Subtract() if reset == "subtract" else ToValue(0.0)))
    x, parts, before = _given(samples, module), list[nn.Module](), 1.0
    for part in _ends_linear("convert", fold_batch_norm(module)[0]):
        if isinstance(part, nn.ReLU):
            x = torch.relu(x).detach()
            top = float(np.quantile(x.numpy(), percentile / 100)) or 1.0
            _scale(parts, before / top, 1 / top)
            parts.append(Neurons(neuron))
            before = top
        else:
            with torch.no_grad():
                x = part(x)
            parts.append(copy.deepcopy(part))
    _scale(parts, before, 1.0)
    network = _network([*parts, Neurons(LI(tau_m=_FOREVER))], samples, dt)
    return network, Promise(kind="none", why=f"rates of {percentile:g} % of the activations, closer with every step")


def convert_quantised(module: nn.Sequential, samples: Any, *, dt: float = 1.0) -> tuple[Network, Promise]:
    """A network of signed integrate-and-fire neurons that counts out a module with QuantisedReLU exactly.

    The input is given once, in the first step, and the biases with it. After L n - (L - 1) steps for L layers of n
    levels, or as soon as `settled(network)`, the answer is that of the module, to the rounding of numbers.
    """
    parts: list[nn.Module] = []
    levels, x, before = list[int](), _given(samples, module)[:1], 1.0
    for part in _ends_linear("convert_quantised", fold_batch_norm(module)[0]):
        with torch.no_grad():
            x = part(x)
        if isinstance(part, QuantisedReLU):
            start = _without_bias(parts, before, x.shape[1:])
            before = float(part.step.detach())
            parts.append(Neurons(STBIF(step=before, levels=float(part.levels), start=start)))
            levels.append(part.levels)
        elif isinstance(part, nn.ReLU):
            raise UnsupportedError("convert_quantised: a ReLU has no levels; train with QuantisedReLU, or use convert")
        else:
            parts.append(copy.deepcopy(part))
    start = _without_bias(parts, before, x.shape[1:])
    network = _network([*parts, Neurons(LI(tau_m=_FOREVER, v_rest=start))], samples, dt, time=dt)
    n_steps = sum(levels) - (len(levels) - 1) if levels else 1
    return network, Promise(kind="equal", tolerance=1e-4, n_steps=n_steps, why="each layer counts out its levels")


def settled(network: Network) -> bool:
    """Whether the signed neurons have nothing more to send after the last run, so that the answer is final."""
    found = True
    for group in network.groups:
        if isinstance(neuron := group.neuron, STBIF):
            v, tracker = (network.last_state(group)[name] for name in ("v", "tracker"))
            low, high = v < 0, v >= torch.as_tensor(neuron.step).to(v)
            full = tracker == torch.as_tensor(neuron.levels).to(v)
            found = found and bool(((~low & ~high) | (low & (tracker == 0)) | (high & full)).all())
    return found


def accuracy_over_time(network: Network, data: Iterable[Any], n_steps: Iterable[int]) -> dict[int, float]:
    """The accuracy on batches [data, labels] after each of these numbers of steps."""
    dt, batches = network.backend.dt, list(data)
    return {n: evaluate(network, batches, time=times(n, dt), progress=False).accuracy for n in n_steps}


def _given(samples: Any, module: nn.Module) -> Tensor:
    """The samples as the module's numbers."""
    dtype = next((p.dtype for p in module.parameters()), torch.get_default_dtype())
    x = torch.as_tensor(np.asarray(samples)).to(dtype)
    if x.ndim < 2 or not len(x):
        raise ParameterError(f"the samples must have shape (n, *shape), at least one, got {tuple(x.shape)}")
    return x


def _flat(module: nn.Module, path: str = "") -> list[tuple[str, nn.Module]]:
    if not isinstance(module, nn.Sequential):
        raise ParameterError(f"a pass over torch modules takes an nn.Sequential, got {type(module).__name__}")
    found: list[tuple[str, nn.Module]] = []
    for name, part in module._modules.items():  # named_children leaves out a module that comes again
        if part is None:
            continue
        inner = isinstance(part, nn.Sequential)
        found += _flat(part, f"{path}{name}.") if inner else [(f"{path}{name}", part)]
    return found


def _ends_linear(owner: str, module: nn.Sequential) -> list[nn.Module]:
    parts = [part for part in module if not isinstance(part, (nn.Dropout, nn.Identity))]
    if not parts or not isinstance(parts[-1], (nn.Linear, nn.Conv2d)):
        raise UnsupportedError(f"{owner}: the module must end in a Linear or Conv2d, the answers before a softmax")
    for part in parts:
        if isinstance(part, nn.MaxPool2d):
            raise UnsupportedError(f"{owner}: spikes cannot be max-pooled; train with AvgPool2d")
    return parts


def _weighted(parts: list[nn.Module]) -> Any:
    """The last module with weights since the last neurons."""
    for part in reversed(parts):
        if isinstance(part, (nn.Linear, nn.Conv2d)):
            return part
        if isinstance(part, Neurons):
            break
    raise UnsupportedError("between two activations, and before the first, there must be a Linear or Conv2d")


def _scale(parts: list[nn.Module], weight: float, bias: float) -> None:
    last = _weighted(parts)
    with torch.no_grad():
        last.weight *= weight
        if last.bias is not None:
            last.bias *= bias


def _without_bias(parts: list[nn.Module], step: float, shape: Any) -> Any:
    """Takes the bias from the last module with weights, and scales these by the worth of a spike that comes in.

    The bias is given back, one number or one for each neuron of the shape."""
    last = _weighted(parts)
    bias = last.bias
    with torch.no_grad():
        last.weight *= step
        last.bias = None
    if bias is None:
        return 0.0
    each = bias.detach().double()
    spread = each.view(-1, *[1] * (len(shape) - 1)).expand(*shape) if isinstance(last, nn.Conv2d) else each
    if tuple(spread.shape) != tuple(shape):
        raise UnsupportedError("convert_quantised: pooling must stand before the weights, or the bias is lost in it")
    return spread.numpy().copy()


def _network(parts: list[nn.Module], samples: Any, dt: float, time: float | None = None) -> Network:
    """The network of these parts, the last of which adds up; its final potential is the answer."""
    network = from_torch(nn.Sequential(*parts), tuple(np.shape(samples)[1:]), dt, time=time)
    decoder = network.decoders[0]
    network.del_assembly(decoder)
    network.add(decoder.name, Decoder(dec_target=decoder.target, coding_method="final_step_voltage"))
    return network
