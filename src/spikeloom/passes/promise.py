"""What a pass promises of the network that it makes, and whether that holds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn

from ..errors import ParameterError
from ..network import Network
from ..training.evaluation import answer, evaluating
from ..units import times

Kind = Literal["equal", "close", "none"]


@dataclass(frozen=True, kw_only=True)
class Promise:
    """How the answers of a new network lie to those of the old one.

    'equal': within rounding, `tolerance`. 'close': within `tolerance`. 'none': nothing, it is a start for training.
    n_steps: from how many steps on; None: for any run. why: what it rests on.
    """

    kind: Kind
    tolerance: float = 0.0
    n_steps: int | None = None
    why: str = ""

    def __str__(self) -> str:
        within = f" to {self.tolerance:g}" if self.kind != "none" else ""
        after = f" from {self.n_steps} steps on" if self.n_steps else ""
        return f"{self.kind}{within}{after}: {self.why}"


class Verified(NamedTuple):
    """Whether a promise held, the greatest difference of two answers, and on how many samples."""

    holds: bool
    difference: float
    samples: int


def verify(
    old: Network | nn.Module, new: Network | nn.Module, data: Any, promise: Promise, *, time: float | None = None
) -> Verified:
    """Runs both on a batch and compares their answers.

    time: of the runs in ms; None: the steps that the promise names. A torch module is called with the data as a float
    tensor. Raises ParameterError for a run shorter than the promise holds for.
    """
    found, expected = (_answer(part, data, promise, time) for part in (new, old))
    if found.shape != expected.shape:
        shapes = f"{tuple(expected.shape)} and {tuple(found.shape)}"
        raise ParameterError(f"verify: both must answer in one shape, got {shapes}; decode them alike")
    difference = float((found.double() - expected.double()).abs().max()) if found.numel() else 0.0
    holds = promise.kind == "none" or difference <= promise.tolerance
    return Verified(holds, difference, len(found))


def _answer(part: Network | nn.Module, data: Any, promise: Promise, time: float | None) -> Tensor:
    if isinstance(part, Network):
        dt = part.backend.dt
        if time is None and promise.n_steps is None:
            raise ParameterError("verify: give time=, the length of the runs in ms; the promise names none")
        least = times(promise.n_steps or 0, dt)
        if time is not None and time < least:
            raise ParameterError(f"verify: the promise holds from {least:g} ms on, got time={time:g}")
        with evaluating(part):
            found = answer(part, data, least if time is None else time)
        return found.detach()
    dtype = next((p.dtype for p in part.parameters()), torch.get_default_dtype())
    was_training = part.training
    part.eval()
    try:
        with torch.no_grad():
            given: Tensor = part(torch.as_tensor(data).to(dtype))
    finally:
        part.train(was_training)
    return given
