"""What activity costs: synaptic operations, multiplications, bits. Counts are exact; energies are proxies.

A synaptic operation is one spike that reaches one synapse with a weight other than zero. It is an addition (AC) where
the spike is 1 or -1 and a multiplication and addition (MAC) where it is graded, as in NeuroBench (Yik et al., 2025,
Nat Commun 16), spike by spike. What a neuron itself does in a step is not counted.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...errors import ParameterError, ShapeError
from ...spikes import Spikes
from .activity import Activity, activity

MAC_PJ, AC_PJ = 4.6, 0.9
"""Picojoules of a 32-bit floating-point MAC and addition in 45 nm at 0.9 V (Horowitz, 2014, ISSCC: 3.7 + 0.9, 0.9)."""


class SynapticOperations(NamedTuple):
    """How many in all samples; how many each spike causes, on average, and one sample in a second of model time."""

    total: int
    per_spike: float
    per_second: float


class EffectiveOperations(NamedTuple):
    """Additions and multiplications that spikes cause, and the multiplications of a dense network in the same steps.

    All in all samples together.
    """

    acs: int
    macs: int
    dense_macs: int

    @property
    def share(self) -> float:
        """The part of the dense multiplications that is left, as additions or multiplications."""
        return (self.acs + self.macs) / self.dense_macs if self.dense_macs else np.nan


class BitBudget(NamedTuple):
    """T * weight bits * spike bits, and with it the arithmetic effort: of all synapses, and of those that carry spikes.

    NaN where macs or the firing share was not given.
    """

    bits: int
    s_ace: float
    ns_ace: float


def synaptic_operations(spikes: Spikes | Activity, fan_out: int | ArrayLike) -> SynapticOperations:
    """The sum over spikes of the fan-out: how many synapses a spike of each neuron reaches, one number or (N,)."""
    found = _activity(spikes)
    total, n_spikes = _reached(found.counts, fan_out, found), found.counts.sum() / found.recorded_fraction
    per_second = total / found.trial_ms * 1000 if found.trial_ms else np.nan
    return SynapticOperations(total, float(total / n_spikes) if n_spikes else np.nan, per_second)


def effective_macs(spikes: Spikes | Activity, fan_out: int | ArrayLike, macs_per_step: int) -> EffectiveOperations:
    """The operations that spikes cause, against those of a dense network.

    fan_out: as for `synaptic_operations`. macs_per_step: the multiplications that the connection takes for one step of
    one sample when nothing is left out for being zero. ParameterError for spikes that are not on a grid.
    """
    found = _activity(spikes)
    macs = _reached(found.graded, fan_out, found)
    acs = _reached(found.counts - found.graded, fan_out, found)
    return EffectiveOperations(acs, macs, whole("effective_macs.macs_per_step", macs_per_step, 0) * found.n_steps)


def energy_proxy_pj(acs: float, macs: float, *, ac_pj: float = AC_PJ, mac_pj: float = MAC_PJ) -> float:
    """A proxy of the energy in pJ: so many additions and multiplications at what each would take.

    The defaults are those of 32-bit floating point in 45 nm (Horowitz, 2014). Memory and wires, which cost more in most
    chips, are left out: compare networks by it, never chips.
    """
    for name, value in (("acs", acs), ("macs", macs), ("ac_pj", ac_pj), ("mac_pj", mac_pj)):
        if not math.isfinite(value) or value < 0:
            raise ParameterError(f"energy_proxy_pj.{name} must be a finite number, zero or more, got {value!r}")
    return float(acs * ac_pj + macs * mac_pj)


def bit_budget(
    n_steps: int,
    weight_bits: int,
    spike_bits: int = 1,
    *,
    macs_per_step: int | None = None,
    firing_share: float | None = None,
) -> BitBudget:
    """T b_w b_s of a connection (Shen et al., 2023, arXiv 2311.10802), equal for a step more and a bit more.

    macs_per_step: the multiplications of one step, which make it the synaptic arithmetic computation effort, S-ACE;
    firing_share: the part of neurons and steps that fires, which makes it NS-ACE, the part of it that spikes cause.
    """
    bits = 1
    for name, value in (("n_steps", n_steps), ("weight_bits", weight_bits), ("spike_bits", spike_bits)):
        bits *= whole(f"bit_budget.{name}", value, 1)
    s_ace = np.nan if macs_per_step is None else float(bits * whole("bit_budget.macs_per_step", macs_per_step, 0))
    if firing_share is not None and not 0 <= firing_share <= 1:
        raise ParameterError(f"bit_budget.firing_share must be in 0 .. 1, got {firing_share!r}")
    return BitBudget(bits, s_ace, np.nan if firing_share is None else s_ace * firing_share)


def _activity(spikes: Spikes | Activity) -> Activity:
    return activity(spikes) if isinstance(spikes, Spikes) else spikes


def _reached(counts: NDArray[np.int64], fan_out: int | ArrayLike, found: Activity) -> int:
    """The synapses that so many spikes of each neuron reach."""
    reach = np.asarray(fan_out)
    if reach.dtype.kind not in "iu" or (reach < 0).any():
        raise ParameterError(f"fan_out must hold whole numbers, zero or more, got {fan_out!r:.80}")
    if reach.shape not in ((), counts.shape):
        raise ShapeError(f"fan_out must be one number or have shape {counts.shape}, got {reach.shape}")
    if float((counts * reach.astype(np.float64)).sum()) >= 1 << 62:
        raise ParameterError(f"fan_out makes more than {1 << 62} operations, got {fan_out!r:.80}")
    total = int((counts * reach.astype(np.int64)).sum())
    return total if found.recorded_fraction == 1 else round(total / found.recorded_fraction)


def whole(owner: str, value: int, least: int) -> int:
    """A whole number as an int; ParameterError unless it is one from the least on."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
        raise ParameterError(f"{owner} must be a whole number from {least} on, got {value!r}")
    return int(value)
