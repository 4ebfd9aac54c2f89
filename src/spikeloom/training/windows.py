"""Where in time the loss of a training step stands: at the end of the run, or at the end of each window of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..errors import ParameterError, StateError, UnsupportedError
from ..network import Network, Sink
from ..spikes import Spikes
from ..units import check_dt, duration_steps
from .evaluation import answer, ends, labels_for, mean_rate, read, scored
from .losses import Loss


class Given(NamedTuple):
    """What a batch gave, with its gradients in the parameters: loss, answer (B, n), labels (B,), mean rate in Hz."""

    loss: float
    answer: Tensor
    labels: Tensor
    rate_hz: float


def whole_run(network: Network, values: Any, label: Any, time: float, loss: Loss, record: Sink | None = None) -> Given:
    """Runs a batch for `time` ms, with the loss at the end, and its gradients back through all of it."""
    found = answer(network, values, time, record)
    labels = labels_for(network, found, label)
    value = scored(loss, found, labels)
    _backward(network, value)
    return Given(float(value.detach()), found, labels, mean_rate(network))


@dataclass(frozen=True)
class Windows:
    """Runs a batch window by window: gradients end where a window begins, and are gone when it ends.

    What is still under way on a connection when a window ends brings no gradient to its weights.

    window: in ms; n_windows: how many, drawn anew for each batch, or with last=True the last ones, have a gradient;
    None: all.
    """

    window: float
    n_windows: int | None = None
    last: bool = False

    def run(
        self, network: Network, values: Any, label: Any, time: float, loss: Loss, record: Sink | None = None
    ) -> Given:
        """Runs a batch for `time` ms; the loss is the mean over the windows that have a gradient."""
        dt = network.backend.dt
        n_steps, each = duration_steps(time, dt, "fit: time"), duration_steps(self.window, dt, "fit: window")
        _check_delays(network, each)
        starts = range(0, n_steps, each)
        chosen = self._chosen(network, len(starts))
        encoder, decoder = ends(network)
        encoder(values)
        signal = None if encoder.goes_on else encoder.encode(n_steps, dt, network.generator)
        if signal is not None and not isinstance(signal, Spikes):
            raise UnsupportedError(
                f"fit.window: encoder {encoder.path!r} gives values of the whole run ({encoder.coding_method}); use "
                "spikes, or leave window= out"
            )
        total, mean, rate, labels = 0.0, torch.zeros(()), 0.0, torch.zeros(0)
        for k, start in enumerate(starts):
            length = min(each, n_steps - start)
            if signal is not None:
                encoder(signal.window(start, start + length))
            with torch.set_grad_enabled(k in chosen):
                (network.run if k == 0 else network.run_continue)(length * dt, record=record)
                found = read(decoder)
                labels = labels_for(network, found, label)
                if k in chosen:
                    value = scored(loss, found, labels) / len(chosen)
                    _backward(network, value)
                    total += float(value.detach())
            mean = mean + found.detach() * (length / n_steps)
            rate += mean_rate(network) * length / n_steps
        return Given(total, mean, labels, rate)

    def _chosen(self, network: Network, n: int) -> set[int]:
        if self.n_windows is None:
            return set(range(n))
        if self.n_windows > n:
            raise ParameterError(f"fit.n_windows must be at most {n}, the windows of a run, got {self.n_windows}")
        if self.last:
            return set(range(n - self.n_windows, n))
        return {int(k) for k in network.generator.choice(n, self.n_windows, replace=False)}


def windows_of(window: float | None, n_windows: int | None, last_windows: bool) -> Windows | None:
    """The windows that `fit` was asked for, or None; ParameterError for what makes none."""
    if not isinstance(last_windows, bool):
        raise ParameterError(f"fit.last_windows must be True or False, got {last_windows!r}")
    if last_windows and n_windows is None:
        raise ParameterError("fit.last_windows needs n_windows=, how many have a gradient")
    if window is None:
        if n_windows is not None:
            raise ParameterError("fit.n_windows needs window=, the length of one in ms")
        return None
    whole = isinstance(n_windows, int) and not isinstance(n_windows, bool) and n_windows >= 1
    if n_windows is not None and not whole:
        raise ParameterError(f"fit.n_windows must be a whole number from 1 on or None, got {n_windows!r}")
    return Windows(check_dt(window, "fit.window"), n_windows, last_windows)


def _check_delays(network: Network, n_steps: int) -> None:
    """Raises UnsupportedError where no current of a trained connection arrives in the window that it was sent in."""
    layers = (layer for block in network.plan.blocks for layer in block.layers)
    for route in (route for layer in layers for branch in layer.branches for route in branch.routes):
        if route.steps >= n_steps and any(learner.trains(route.connection) for learner in network.learners):
            raise UnsupportedError(
                f"fit.window: connection {route.connection.path!r} takes {route.steps} steps, so its weights have no "
                f"gradient in windows of {n_steps}; use longer ones, or Learner(credit='sltt') without window="
            )


def _backward(network: Network, loss: Tensor) -> None:
    if not loss.requires_grad:
        names = ", ".join(learner.name for learner in network.learners)
        raise StateError(
            f"the loss depends on nothing that learner {names!r} trains; check its trainable= and the connections to "
            "the decoder"
        )
    loss.backward()  # type: ignore[no-untyped-call]
