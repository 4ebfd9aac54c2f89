"""Rules by the names that SPAIC gives its learners, with its options and their defaults.

A `decay` is what remains of a trace after 1 ms (in SPAIC after a step, whatever dt is). lr multiplies every change, but
for the pull hs_r of 'bp_rstdp' and 'bp_rstdpet'; lr=0 stops that too.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from ..errors import ParameterError
from ..plasticity import Normalise, Rule, integer_stdp, meta_stdp, stdp
from ..plasticity import reward as _reward
from ..plasticity.calibration import rate_modulation
from ..plasticity.normalise import plain_number

_PER_20, _PER_30, _PER_200 = math.exp(-1 / 20), math.exp(-1 / 30), math.exp(-1 / 200)


def _tau(owner: str, decay: float) -> float:
    """The time constant in ms of what leaves this factor after 1 ms."""
    number = isinstance(decay, (int, float)) and not isinstance(decay, bool)
    if not number or not 0 < decay < 1:
        raise ParameterError(f"{owner} must be a factor per ms, above 0 and below 1, got {decay!r}")
    return -1.0 / math.log(decay)


def _pairs(
    owner: str, a_post: float, a_pre: float, decay: float, lr: float, normalise: Normalise, nearest: bool
) -> Rule:
    """SPAIC's online STDP: spikes of the same step pair, rows are normalised, weights lie from 0 to 1."""
    tau = _tau(f"{owner}: trace_decay", decay)
    return stdp(
        a_plus=a_post, a_minus=a_pre, tau_plus=tau, tau_minus=tau, nearest=nearest, before=True, lr=lr,
        normalise=normalise,
    )  # fmt: skip


def nearest_online_stdp(
    *, a_post: float = 1e-2, a_pre: float = 1e-4, trace_decay: float = _PER_20, w_norm: float = 78.4, lr: float = 1.0
) -> Rule:
    """Pairs of nearest spikes; in each step the weights into a neuron are scaled to w_norm (Diehl and Cook 2015).

    SPAIC takes lr and ignores it, and has w_norm fixed.
    """
    return _pairs("nearest_online_stdp", a_post, a_pre, trace_decay, lr, Normalise(total=w_norm, every=1), True)


def full_online_stdp(
    *, a_post: float = 1e-2, a_pre: float = 1e-4, trace_decay: float = _PER_20, w_norm: float = 78.4, lr: float = 1.0
) -> Rule:
    """All pairs of spikes; at the end of each run the weights into a neuron are scaled to w_norm.

    SPAIC takes lr and ignores it, and has w_norm fixed.
    """
    return _pairs("full_online_STDP", a_post, a_pre, trace_decay, lr, Normalise(total=w_norm), False)


def meta_nearest_online_stdp(
    *,
    a_post: float = 1e-2,
    a_pre: float = 1e-4,
    pre_decay: float = _PER_30,
    post_decay: float = _PER_200,
    level: float = 0.1,
    w_min: float = 0.0,
    w_max: float = 1.0,
    lr: float = 1.0,
) -> Rule:
    """`plasticity.meta_stdp`: soft bounds, and weights that shrink where a neuron fires more than `level`."""
    tau_plus, tau_minus = (
        _tau(f"meta_nearest_online_stdp: {name}", decay)
        for name, decay in (("pre_decay", pre_decay), ("post_decay", post_decay))
    )
    return meta_stdp(
        a_plus=a_post, a_minus=a_pre, tau_plus=tau_plus, tau_minus=tau_minus, level=level, w_min=w_min, w_max=w_max,
        lr=lr,
    )  # fmt: skip


def postpreintstdp(
    *,
    nu0: int = 14,
    nu1: int = 141,
    trace_decay: int = 31169,
    shift_spike_trace: int = 15,
    trace_scale: int = 127,
    shift: int = 14,
    max_threshold: float | None = None,
    w_min: float = 0.0,
    w_max: float = 109.0,
    lr: float = 1.0,
) -> Rule:
    """`plasticity.integer_stdp`; a trace keeps trace_decay / 2^shift_spike_trace of itself per ms.

    max_threshold (4915 in SPAIC) is for populations with a state `thresh`, such as 'diehl_and_cook'.
    """
    kept = plain_number("postpreintstdp: trace_decay", trace_decay)
    kept *= 2.0 ** -plain_number("postpreintstdp: shift_spike_trace", shift_spike_trace, least=0.0)
    tau = _tau("postpreintstdp: trace_decay / 2^shift_spike_trace", kept)
    return integer_stdp(
        nu0=nu0, nu1=nu1, trace_scale=trace_scale, shift=shift, tau=tau, max_threshold=max_threshold, w_min=w_min,
        w_max=w_max, lr=lr,
    )  # fmt: skip


def reward_stdp(
    *,
    lr: float = 0.1,
    tau_plus: float = 20.0,
    tau_minus: float = 20.0,
    a_plus: float = 1.0,
    a_minus: float = -1.0,
) -> Rule:
    """`plasticity.rstdp`, for any connection: also 'conv2d_rstdp'."""
    return _reward.rstdp(lr=lr, tau_plus=tau_plus, tau_minus=tau_minus, a_plus=a_plus, a_minus=a_minus)


def reward_stdp_eligibility(
    *,
    lr: float = 0.1,
    tau_plus: float = 20.0,
    tau_minus: float = 20.0,
    tau_e: float = 25.0,
    tau_e_trace: float = 25.0,
    a_plus: float = 1.0,
    a_minus: float = -1.0,
) -> Rule:
    """`plasticity.rstdp_eligibility`."""
    return _reward.rstdp_eligibility(
        lr=lr, tau_plus=tau_plus, tau_minus=tau_minus, tau_e=tau_e, tau_e_trace=tau_e_trace, a_plus=a_plus,
        a_minus=a_minus,
    )  # fmt: skip


def switch_rstdp(
    *,
    a_post_pos: float = 5e-3,
    a_pre_pos: float = -4e-3,
    a_post_neg: float = -5e-3,
    a_pre_neg: float = 4e-3,
    pre_decay: float = _PER_20,
    post_decay: float = _PER_20,
    w_min: float = 0.0,
    w_max: float = 0.5,
    lr: float = 1.0,
) -> Rule:
    """`plasticity.switch_rstdp`. SPAIC takes w_max and clips at 0.1."""
    tau_pre, tau_post = (
        _tau(f"switch_rstdp: {name}", d) for name, d in (("pre_decay", pre_decay), ("post_decay", post_decay))
    )
    return _reward.switch_rstdp(
        a_post_pos=a_post_pos, a_pre_pos=a_pre_pos, a_post_neg=a_post_neg, a_pre_neg=a_pre_neg, tau_pre=tau_pre,
        tau_post=tau_post, w_min=w_min, w_max=w_max, lr=lr,
    )  # fmt: skip


def bp_rstdp(
    *,
    lr: float = 0.1,
    hs_r: float = 0.01,
    tau_pre: float = 5.0,
    tau_post: float = 12.0,
    a_plus: float = 1.0,
    a_minus: float = -0.4,
) -> Rule:
    """`plasticity.feedback_rstdp`: the modulator is a population that brings each neuron its reward."""
    return _reward.feedback_rstdp(
        lr=lr,
        homeostasis=_per_rate("bp_rstdp", hs_r, lr),
        tau_pre=tau_pre,
        tau_post=tau_post,
        a_plus=a_plus,
        a_minus=a_minus,
    )


def bp_rstdpet(
    *,
    lr: float = 0.1,
    hs_r: float = 0.01,
    tau_pre: float = 4.0,
    tau_post: float = 10.0,
    tau_et: float = 5.0,
    a_plus: float = 1.0,
) -> Rule:
    """`plasticity.feedback_rstdp_eligibility`: 'bp_rstdp' with a memory of each synapse."""
    return _reward.feedback_rstdp_eligibility(
        lr=lr, homeostasis=_per_rate("bp_rstdpet", hs_r, lr), tau_pre=tau_pre, tau_post=tau_post, tau_e=tau_et,
        a_plus=a_plus,
    )  # fmt: skip


def _per_rate(owner: str, hs_r: float, lr: float) -> float:
    """What lr multiplies in place of hs_r, which it does not; anything where lr stops all."""
    pull, rate = plain_number(f"{owner}: hs_r", hs_r), plain_number(f"{owner}: lr", lr, least=0.0)
    return pull / rate if rate else pull


def rate_modulate(*, m_r: float, alpha: float = 1e-3) -> Rule:
    """`plasticity.rate_modulation`: after each run weights move until a neuron fires m_r times a run."""
    return rate_modulation(target=m_r, lr=alpha)


def conv2d_stdp(
    *,
    lr: float = 0.1,
    tau_plus: float = 20.0,
    tau_minus: float = 20.0,
    a_plus: float = 1.0,
    a_minus: float = -1.0,
) -> Rule:
    """Pairs of nearest spikes without bounds, for any connection; a_minus as SPAIC has it: negative depresses."""
    return stdp(
        a_plus=a_plus, a_minus=-plain_number("conv2d_stdp: a_minus", a_minus), tau_plus=tau_plus, tau_minus=tau_minus,
        nearest=True, before=True, w_min=-math.inf, w_max=math.inf, lr=lr,
    )  # fmt: skip


RULES: Mapping[str, Callable[..., Rule]] = {
    "nearest_online_stdp": nearest_online_stdp,
    "full_online_STDP": full_online_stdp,
    "meta_nearest_online_stdp": meta_nearest_online_stdp,
    "postpreintstdp": postpreintstdp,
    "RSTDP": reward_stdp,
    "RSTDPET": reward_stdp_eligibility,
    "switch_rstdp": switch_rstdp,
    "bp_rstdp": bp_rstdp,
    "bp_rstdpet": bp_rstdpet,
    "rate_modulate": rate_modulate,
    "conv2d_stdp": conv2d_stdp,
    "conv2d_rstdp": reward_stdp,
}
"""The rules that a learner takes by name; a Rule of one's own is given as it is."""
