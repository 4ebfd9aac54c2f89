"""The product of a connection with synapses around it on the kernel path: pooling, normalisation, dropout, plasticity.

What stands around the product runs as torch operations over the whole window, whose derivatives autograd finds; the
product is that of the link, and the population behind it runs in its kernel.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor

from ..network import Connection
from ..network.links import Gradients, Signal, SpikeRows
from .transmission import Transmission

if TYPE_CHECKING:
    from .path import Call, Key
    from .plan import Route


def is_windowed(route: Route) -> bool:
    """Whether what a connection has beside its link are stages that take a window at once."""
    connection = route.connection
    return bool(connection.synapses.stages) and not (route.steps or connection.has_synapse_delays)


class Staged:
    """What `Term` is for a link alone: the current of a window, and once, on the way back, the gradients.

    signal: what is sent, (T or 1, B, *shape) or events; to_signal, names: whether it gets a gradient, and which of the
    weights do, by name.
    """

    def __init__(
        self,
        connection: Connection,
        signal: Signal,
        weights: Mapping[str, Tensor],
        call: Call,
        to_signal: bool,
        names: Collection[str],
    ) -> None:
        leaves = {name: w.detach().requires_grad_(name in names) for name, w in weights.items()}
        self._leaves = {name: leaves[name] for name in names}
        before, stands_in = connection.synapses.before, None
        if isinstance(signal, SpikeRows) and before and before[0].link() is None:
            signal = signal.dense()
        if to_signal and isinstance(signal, SpikeRows):
            self._leaves[_SIGNAL] = stands_in = _standing_in(signal)
        elif to_signal:
            self._leaves[_SIGNAL] = signal = cast(Tensor, signal).detach().requires_grad_()
        self._signal = signal
        self._transmission = Transmission(connection, leaves, call, stands_in)
        self._current: Tensor | None = None

    def product(self, keep: bool = True) -> Tensor:
        """The current (T, B, *post shape); keep: whether `gradients` will be asked for."""
        with torch.set_grad_enabled(keep):
            current = self._transmission.current(self._signal)
        self._current = current if current.requires_grad else None
        return current.detach()

    def gradients(self, grad: Tensor, to_signal: bool, names: Collection[str]) -> Gradients:
        """What a gradient of the current, (T, B, *post shape), gives to the signal and to the weights; once."""
        if self._current is None:
            return Gradients(None, {})
        made, self._current = self._current, None
        leaves = {name: leaf for name, leaf in self._leaves.items() if to_signal or name != _SIGNAL}
        found = torch.autograd.grad(made, list(leaves.values()), grad.reshape(made.shape), allow_unused=True)
        each = {name: g for name, g in zip(leaves, found, strict=True) if g is not None}
        return Gradients(each.pop(_SIGNAL, None), each)

    def states(self) -> dict[Key, Tensor]:
        """The states of its synapses, as a run that continues takes them."""
        return {key: part.detach() for key, part in self._transmission.results().items()}

    def forward_in_parts(self, *_: Any) -> None:
        """It has no product for some samples at a time."""

    def backward_in_parts(self, *_: Any) -> None:
        """Nor gradients."""


_SIGNAL = ""
"""The signal among the names of weights."""


def _standing_in(events: SpikeRows) -> Tensor:
    """What gets the gradient of events under autograd: one number in the shape of all."""
    size = (events.n_steps, events.n_samples, *events.shape)
    return events.like.new_zeros(()).expand(size).detach().requires_grad_()
