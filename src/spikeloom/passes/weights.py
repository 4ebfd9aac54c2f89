"""Passes over weights: rounded to few bits, or the smallest set to zero."""

from __future__ import annotations

import copy
from collections.abc import Iterator

import torch
from torch import Tensor

from ..errors import ParameterError
from ..network import Connection, Network
from .promise import Promise


def quantise(network: Network, bits: int, *, per_channel: bool = False) -> tuple[Network, Promise]:
    """The network with every weight rounded to a multiple of a scale, of which it is at most 2^(bits-1) - 1.

    The scale is that of the greatest magnitude of a connection, or with per_channel of each of its output neurons or
    channels. Each weight moves by at most half a scale; of the answers nothing can be promised.
    """
    if not isinstance(bits, int) or isinstance(bits, bool) or not 2 <= bits <= 32:
        raise ParameterError(f"quantise.bits must be a whole number from 2 to 32, got {bits!r}")
    most = 2 ** (bits - 1) - 1
    new, moved = _copy(network), 0.0
    for _, weight in _weights(new):
        rows = weight.flatten(1) if per_channel and weight.ndim > 1 else weight.reshape(1, -1)
        scale = rows.abs().amax(1, keepdim=True) / most
        rounded = torch.where(scale > 0, torch.round(rows / torch.where(scale > 0, scale, 1.0)) * scale, rows)
        moved = max(moved, float((rounded - rows).abs().max()))
        weight.copy_(rounded.view(weight.shape))
    return new, Promise(kind="none", why=f"weights of {bits} bits, moved by at most {moved:.3g}")


def prune(network: Network, fraction: float) -> tuple[Network, Promise]:
    """The network with that fraction of all its weights set to zero, the smallest magnitudes first.

    Weights of equal magnitude go together only as far as the fraction allows, in the order of connections.
    """
    number = isinstance(fraction, (int, float)) and not isinstance(fraction, bool)
    if not number or not 0 <= fraction < 1:
        raise ParameterError(f"prune.fraction must be a number, 0 <= fraction < 1, got {fraction!r}")
    new = _copy(network)
    weights = [weight for _, weight in _weights(new)]
    flat = torch.cat([weight.flatten().abs() for weight in weights]) if weights else torch.zeros(0)
    gone = torch.zeros(len(flat), dtype=torch.bool)
    gone[torch.argsort(flat, stable=True)[: int(fraction * len(flat))]] = True
    for weight, part in zip(weights, torch.split(gone, [w.numel() for w in weights]), strict=True):
        weight[part.view(weight.shape)] = 0.0
    return new, Promise(kind="none", why=f"{int(gone.sum())} of {len(flat)} weights set to zero")


def _copy(network: Network) -> Network:
    new = copy.deepcopy(network)
    new.build()
    return new


def _weights(network: Network) -> Iterator[tuple[Connection, Tensor]]:
    """The weight of each connection that has one."""
    state = network.state_dict()
    for connection in network.connections:
        weight = state.get(f"{connection.path}.weight")
        if weight is not None and weight.is_floating_point():
            yield connection, weight.detach()
