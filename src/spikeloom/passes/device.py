"""Whether a network fits a device: a check before it is put there, with every reason why not."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..backends.product import Term, product
from ..errors import ParameterError
from ..network import Connection, Network, NeuronGroup
from ..network.links import LINKS
from ..network.loops import strong_components
from ..neurons import NEURONS
from ..registry import Registry
from ..units import steps


@dataclass(frozen=True, kw_only=True, slots=True)
class Device:
    """What a device offers; None where it sets no limit.

    n_neurons: how many neurons in all; n_inputs: how many input lines; fan_in: the most synapses of one neuron;
    n_weights: how many weights it stores; weight_bits: signed, each connection with a scale of its own; models: the
    names of neurons it has; links: those of link types; delay_steps: the longest delay; loops: whether populations may
    lie in loops.
    """

    name: str
    n_neurons: int | None = None
    n_inputs: int | None = None
    fan_in: int | None = None
    n_weights: int | None = None
    weight_bits: int | None = None
    models: tuple[str, ...] | None = None
    links: tuple[str, ...] | None = None
    delay_steps: int | None = None
    loops: bool = True

    def __post_init__(self) -> None:
        least = {"n_neurons": 1, "n_inputs": 1, "fan_in": 1, "n_weights": 1, "weight_bits": 2, "delay_steps": 0}
        for name, lowest in least.items():
            value = getattr(self, name)
            if value is not None and (type(value) is not int or value < lowest):
                raise ParameterError(
                    f"Device.{name} must be a whole number from {lowest} on, or None for no limit, got {value!r}"
                )
        if not isinstance(self.loops, bool):
            raise ParameterError(f"Device.loops must be True or False, got {self.loops!r}")
        for name, known in (("models", NEURONS), ("links", LINKS)):
            given = getattr(self, name)
            if given is not None:
                if isinstance(given, str):
                    raise ParameterError(f"Device.{name} must be names in a tuple, or None for no limit, got {given!r}")
                object.__setattr__(self, name, tuple(known.name_of(each) for each in given))


DEVICES: Registry[Device] = Registry("device")
"""'neurocorex': two matrices of 96 x 96 weights, 90 usable neurons (NeuroCoreX, 2025); its leak is constant, which no
model here has, so that only neurons without one fit. 'sfq': superconducting counters with weights from -3 to 3."""
DEVICES.add(
    "neurocorex",
    Device(name="neurocorex", n_neurons=90, n_inputs=96, fan_in=192, n_weights=2 * 96 * 96, weight_bits=8,
           models=("if",), links=("full", "one_to_one", "sparse", "random", "lateral")),
)  # fmt: skip
DEVICES.add("sfq", Device(name="sfq", weight_bits=3, models=("if",)))


class Use(NamedTuple):
    """How much of something a network needs, and how much the device has of it."""

    what: str
    needed: int
    offered: int | None


class DeviceReport(NamedTuple):
    """What a network needs of a device, and every reason why it does not fit; str() is a table."""

    device: Device
    uses: tuple[Use, ...]
    problems: tuple[str, ...]

    @property
    def fits(self) -> bool:
        """Whether nothing speaks against it."""
        return not self.problems

    def __str__(self) -> str:
        lines = [f"{self.device.name}: {'fits' if self.fits else 'does not fit'}"]
        for what, needed, offered in self.uses:
            share = "" if offered is None else f" of {offered:,} ({needed / max(1, offered):.0%})"
            lines.append(f"  {what:<12} {needed:,}{share}")
        return "\n".join(lines + [f"  - {problem}" for problem in self.problems])


def check_device(network: Network, device: Device | str) -> DeviceReport:
    """What a network needs of a device, given by name or as a Device, and why it does not fit, if it does not."""
    found = DEVICES[device] if isinstance(device, str) else device
    if not isinstance(found, Device):
        raise ParameterError(f"check_device.device must be a Device or one of {', '.join(DEVICES)}, got {device!r}")
    network.build()
    state = network.state_dict()
    weights = {c.path: _own(state, c.path) for c in network.connections}
    uses = (
        Use("neurons", sum(group.num for group in network.groups), found.n_neurons),
        Use("inputs", sum(map(_size, (*network.encoders, *network.generators))), found.n_inputs),
        Use("fan-in", _fan_in(network, weights), found.fan_in),
        Use("weights", sum(w["weight"].numel() for w in weights.values() if "weight" in w), found.n_weights),
    )
    over = [
        f"{use.what}: {use.needed:,} are needed, {use.offered:,} are there"
        for use in uses
        if use.offered is not None and use.needed > use.offered
    ]
    return DeviceReport(found, uses, (*over, *_unknown(network, found), *_too_fine(weights, found)))


def _size(source: Any) -> int:
    return math.prod(source.shape)


def _own(state: dict[str, Tensor], path: str) -> dict[str, Tensor]:
    return {name.removeprefix(f"{path}."): value for name, value in state.items() if name.startswith(f"{path}.")}


def _fan_in(network: Network, weights: dict[str, dict[str, Tensor]]) -> int:
    """The most synapses with a weight other than zero into one neuron."""
    into = {group.path: torch.zeros(group.num) for group in network.groups}
    for connection in network.connections:
        own = {k: w for k, w in weights[connection.path].items() if k in ("weight", "indices")}
        if "weight" not in own:
            continue
        masks = {k: (w != 0).float() if w.is_floating_point() else w for k, w in own.items()}
        with torch.no_grad():
            ones = torch.ones(1, 1, *connection.ends.pre)
            into[connection.post.path] += product(Term(connection.link, connection.ends, ones, masks)).flatten()
    return int(max((counts.max().item() for counts in into.values()), default=0))


def _unknown(network: Network, device: Device) -> Iterator[str]:
    """Models, links, delays and loops that the device does not have."""
    for group in network.groups:
        if device.models is not None and (model := _model(group)) not in device.models:
            yield f"{group.path}: model {model!r} is not there; it has: {', '.join(device.models)}"
    for c in network.connections:
        if device.links is not None and c.link.name not in device.links:
            yield f"{c.path}: link type {c.link.name!r} is not there; it has: {', '.join(device.links)}"
        if device.delay_steps is not None and (longest := _delay(c, network)) > device.delay_steps:
            yield f"{c.path}: a delay of {longest} steps; the longest there is {device.delay_steps}"
    if not device.loops and (looped := _looped(network)):
        yield f"{', '.join(looped)} lie in a loop; it has none"


def _model(group: NeuronGroup) -> str:
    return next((name for name in NEURONS if NEURONS[name] is type(group.neuron)), type(group.neuron).__name__)


def _delay(connection: Connection, network: Network) -> int:
    """The longest delay in steps."""
    given: Any = network.state_dict().get(f"{connection.path}.delay", connection.delay)
    return int(steps(float(torch.as_tensor(given).max()), network.backend.dt))


def _looped(network: Network) -> list[str]:
    groups = [group.path for group in network.groups]
    edges = [(c.pre.path, c.post.path) for c in network.connections if c.pre.path in groups]
    component = strong_components(groups, edges)
    size = [list(component.values()).count(component[path]) for path in groups]
    return [path for path, n in zip(groups, size, strict=True) if n > 1 or (path, path) in edges]


def _too_fine(weights: dict[str, dict[str, Tensor]], device: Device) -> Iterator[str]:
    """Connections whose weights are no multiples of a scale, as many as the bits allow."""
    if device.weight_bits is None:
        return
    most = 2 ** (device.weight_bits - 1) - 1
    for path, own in weights.items():
        values = own["weight"].detach().flatten().double() if "weight" in own else torch.zeros(0)
        if values.numel() and not _on_grid(values, most):
            yield f"{path}: weights are finer than {device.weight_bits} bits; quantise(network, {device.weight_bits})"


def _on_grid(values: Tensor, most: int) -> bool:
    """Whether values are multiples, from -most to most, of one scale; of the greatest as `most`, or as up to 255."""
    greatest = float(values.abs().max())
    if greatest == 0:
        return True
    levels = torch.unique(values.abs() / greatest)
    for top in {*range(1, min(most, 255) + 1), most} if len(levels) <= most + 1 else ():
        scaled = levels * top
        if bool((scaled - scaled.round()).abs().max() < 1e-4 * top**0.5):
            return True
    return False
