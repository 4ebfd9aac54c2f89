r"""Short-term depression and facilitation (Tsodyks & Markram, 1997, PNAS; Markram et al., 1998, PNAS).

    between spikes:   du/dt = -u / tau_facil,   dR/dt = (1 - R) / tau_rec          (exact for any dt)
    at a spike:       u <- u + U (1 - u),   what is sent is u R,   R <- R - u R

u is the share of resources that a spike uses, R the share that is ready. The same for all synapses of a source, so that
it acts on what the source sends, and the weight stands for the synapse's absolute strength.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from ...errors import DataError, ParameterError
from ...neurons.surrogates import is_number
from .stage import Stage, Window


@dataclass(frozen=True, kw_only=True, eq=False)
class ShortTermPlasticity(Stage):
    """The spikes of a source, each as large as the resources that it sets free.

    U: what a first spike uses; tau_rec: the time in which resources recover; tau_facil: the time in which the use falls
    back, 0 for none; both in ms. A graded spike of size s from 0 to 1 acts as the fraction s of a spike; what is off by
    more than a hundredth has no meaning and is a DataError.
    """

    U: float = 0.5
    tau_rec: float = 800.0
    tau_facil: float = 0.0

    name = "short_term_plasticity"
    needs_signal = True

    def __post_init__(self) -> None:
        if not is_number(self.U) or not 0 < self.U <= 1:
            raise ParameterError(f"ShortTermPlasticity.U must be in (0, 1], got {self.U!r}")
        if not is_number(self.tau_rec) or self.tau_rec <= 0:
            raise ParameterError(f"ShortTermPlasticity.tau_rec must be a positive time in ms, got {self.tau_rec!r}")
        if not is_number(self.tau_facil) or self.tau_facil < 0:
            raise ParameterError(
                f"ShortTermPlasticity.tau_facil must be a time in ms, zero or more, got {self.tau_facil!r}"
            )

    def initial(self, x: Tensor) -> tuple[Tensor, ...]:
        return torch.zeros_like(x), torch.ones_like(x)

    def apply(
        self, x: Tensor, state: tuple[Tensor, ...], weights: Mapping[str, Tensor], window: Window
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        low, high = map(float, x.detach().aminmax()) if x.numel() else (0.0, 1.0)
        if not -0.01 <= low <= high <= 1.01:
            raise DataError(
                f"{self.name}: the source must send spikes, or values from 0 to 1, got {low:g} to {high:g}; put a "
                "larger size into the weight"
            )
        (used, ready), sent = state, []
        falls = math.exp(-window.dt / self.tau_facil) if self.tau_facil > 0 else 0.0
        recovers = math.exp(-window.dt / self.tau_rec)
        for spikes in x.unbind(0):
            used, ready = falls * used, 1 - recovers * (1 - ready)
            used = used + self.U * (1 - used) * spikes
            sent.append(used * ready * spikes)
            ready = ready - sent[-1]
        return torch.stack(sent), (used, ready)


def depression(U: float = 0.5, tau_rec: float = 800.0) -> ShortTermPlasticity:
    """A depressing synapse; defaults of Tsodyks, Uziel & Markram, 2000, J Neurosci, between excitatory neurons."""
    return ShortTermPlasticity(U=U, tau_rec=tau_rec)


def facilitation(U: float = 0.04, tau_rec: float = 100.0, tau_facil: float = 1000.0) -> ShortTermPlasticity:
    """A facilitating synapse; defaults of Tsodyks, Uziel & Markram, 2000, J Neurosci, onto inhibitory neurons."""
    return ShortTermPlasticity(U=U, tau_rec=tau_rec, tau_facil=tau_facil)
