r"""Rules whose changes a modulator multiplies: a reward, an error of each neuron, an astrocyte.

m is what the learner binds as `modulator`: one number for each sample, or one for each neuron of post.
"""

from __future__ import annotations

from typing import Any

from ..errors import ParameterError
from ..filters import LowPass
from .rule import Change, Rule, Trace


def _traces(tau_plus: float, tau_minus: float, **options: Any) -> dict[str, Trace]:
    """The traces x of pre and y of post; spikes of the same step pair."""
    return {
        "x": Trace(end="pre", filter=LowPass(tau=tau_plus), before=True, **options),
        "y": Trace(end="post", filter=LowPass(tau=tau_minus), before=True, **options),
    }


def rstdp(
    *,
    a_plus: float = 1.0,
    a_minus: float = -1.0,
    tau_plus: float = 20.0,
    tau_minus: float = 20.0,
    lr: float = 0.1,
    **options: Any,
) -> Rule:
    r"""Pairs of spikes, times the reward of the step.

        at a post spike:   w += lr m a_plus  x,      at a pre spike:   w += lr m a_minus y

    MSTDP of Florian 2007, Neural Computation 19:1468, equations 21 to 24; numbers of SPAIC's `RSTDP`.
    """
    return Rule(
        traces=_traces(tau_plus, tau_minus),
        changes=(
            Change(trigger="pre", post="a_minus * y", modulator="m"),
            Change(trigger="post", pre="a_plus * x", modulator="m"),
        ),
        parameters={"a_plus": a_plus, "a_minus": a_minus}, lr=lr, **options,
    )  # fmt: skip


def rstdp_eligibility(
    *,
    a_plus: float = 1.0,
    a_minus: float = -1.0,
    tau_plus: float = 20.0,
    tau_minus: float = 20.0,
    tau_e: float = 25.0,
    tau_e_trace: float = 25.0,
    lr: float = 0.1,
    **options: Any,
) -> Rule:
    r"""Pairs of spikes that each synapse remembers until the reward comes.

        e <- exp(-dt/tau_e_trace) e + (dt/tau_e) (a_plus s_post x + a_minus y s_pre),   w += lr dt m e   in each step

    MSTDPET of Florian 2007, Neural Computation 19:1468, equations 25 and 26; numbers of SPAIC's `RSTDPET`.
    """
    memory = LowPass(tau=tau_e_trace)
    return Rule(
        traces=_traces(tau_plus, tau_minus),
        changes=(
            Change(trigger="pre", post="a_minus * y * dt / tau_e", modulator="dt * m", eligibility=memory),
            Change(trigger="post", pre="a_plus * x * dt / tau_e", modulator="dt * m", eligibility=memory),
        ),
        parameters={"a_plus": a_plus, "a_minus": a_minus, "tau_e": tau_e}, lr=lr, **options,
    )  # fmt: skip


def switch_rstdp(
    *,
    a_post_pos: float = 5e-3,
    a_pre_pos: float = -4e-3,
    a_post_neg: float = -5e-3,
    a_pre_neg: float = 4e-3,
    tau_pre: float = 20.0,
    tau_post: float = 20.0,
    w_min: float = 0.0,
    w_max: float = 0.5,
    **options: Any,
) -> Rule:
    r"""Pairs of nearest spikes whose amplitudes a reward chooses: one set for m > 0, another for m <= 0.

        at a post spike:   w += lr x (a_post_pos or a_post_neg),   at a pre spike:   w += lr y (a_pre_pos or a_pre_neg)

    SPAIC's `switch_rstdp`. Spikes of the same step pair.
    """
    return Rule(
        traces=_traces(tau_pre, tau_post, nearest=True),
        changes=(
            Change(trigger="pre", post="y", modulator="where(m > 0, a_pre_pos, a_pre_neg)"),
            Change(trigger="post", pre="x", modulator="where(m > 0, a_post_pos, a_post_neg)"),
        ),
        parameters={
            "a_post_pos": a_post_pos, "a_pre_pos": a_pre_pos, "a_post_neg": a_post_neg, "a_pre_neg": a_pre_neg
        },
        w_min=w_min, w_max=w_max, **options,
    )  # fmt: skip


def feedback_rstdp(
    *,
    a_plus: float = 1.0,
    a_minus: float = -0.4,
    tau_pre: float = 5.0,
    tau_post: float = 12.0,
    homeostasis: float = 0.1,
    level: float = 0.1,
    lr: float = 0.1,
    **options: Any,
) -> Rule:
    r"""Pairs of spikes, times a reward of each neuron that feedback weights bring; and a pull to a mean rate.

        w += lr (m_i (a_plus s_post x + a_minus y s_pre) - homeostasis (y - level) x)     in each step

    x and y are averages, x <- d x + (1 - d) s. m_i, one for each neuron of post, is a reward vector through random
    feedback weights: bind a population of the size of post that gets it so. SPAIC's `bp_rstdp`.
    """
    return Rule(
        traces=_averages(tau_pre, tau_post),
        changes=(
            Change(trigger="pre", post="a_minus * y", modulator="m"),
            Change(trigger="post", pre="a_plus * x", modulator="m"),
            Change(trigger="step", pre="x", post="-homeostasis * (y - level)"),
        ),
        parameters={"a_plus": a_plus, "a_minus": a_minus, "homeostasis": homeostasis, "level": level},
        lr=lr, **options,
    )  # fmt: skip


def feedback_rstdp_eligibility(
    *,
    a_plus: float = 1.0,
    tau_pre: float = 4.0,
    tau_post: float = 10.0,
    tau_e: float = 5.0,
    homeostasis: float = 0.1,
    level: float = 0.2,
    lr: float = 0.1,
    **options: Any,
) -> Rule:
    r"""Post spikes after pre spikes that each synapse remembers until its neuron's reward comes; and a pull to a rate.

        e <- exp(-dt/tau_e) e + a_plus s_post x,   w += lr (m_i e - homeostasis y (y - level) s_pre)   in each step

    x, y and m_i as in `feedback_rstdp`. What SPAIC's `bp_rstdpet` says, which there runs `bp_rstdp` instead.
    """
    return Rule(
        traces=_averages(tau_pre, tau_post),
        changes=(
            Change(trigger="pre", post="-homeostasis * y * (y - level)"),
            Change(trigger="post", pre="a_plus * x", modulator="m", eligibility=LowPass(tau=tau_e)),
        ),
        parameters={"a_plus": a_plus, "homeostasis": homeostasis, "level": level}, lr=lr, **options,
    )  # fmt: skip


def _averages(tau_pre: float, tau_post: float) -> dict[str, Trace]:
    return {
        "x": Trace(end="pre", filter=LowPass(tau=tau_pre, normalise=True), before=True),
        "y": Trace(end="post", filter=LowPass(tau=tau_post, normalise=True), before=True),
    }


def astrocyte_stdp(
    *,
    a_plus: float = 0.15,
    trace: float = 0.1,
    tau: float = 10.0,
    sign: int = 1,
    w_min: float = 0.0,
    w_max: float = 3.0,
    **options: Any,
) -> Rule:
    r"""Pairs of spikes whose depression an astrocyte sets: the more the network fires, the more.

        excitatory:   w += lr a_plus x  at a post spike,   w -= lr m y       at a pre spike
        inhibitory:   w -= lr m x       at a post spike,   w += lr a_plus y  at a pre spike

    m is the potential of a leaky population of one, which integrates the spikes of the network and against them those
    of its input: NeuronGroup(1, model='li', tau_m=100, v_rest=0.15). trace: what a spike adds to x and y. sign: -1 for
    inhibitory synapses, with w_min=-3 and w_max=0, which m strengthens. Ivanov and Michmizos 2021, NeurIPS (NALSM).
    """
    changes = {
        1: (Change(trigger="pre", post="-y", modulator="m"), Change(trigger="post", pre="a_plus * x")),
        -1: (Change(trigger="pre", post="a_plus * y"), Change(trigger="post", pre="-x", modulator="m")),
    }
    if not isinstance(sign, int | float) or sign not in changes:
        raise ParameterError(f"astrocyte_stdp: sign must be 1, or -1 for inhibitory synapses, got {sign!r}")
    return Rule(
        traces={
            "x": Trace(end="pre", of="trace * s", filter=LowPass(tau=tau)),
            "y": Trace(end="post", of="trace * s", filter=LowPass(tau=tau)),
        },
        changes=changes[sign],
        parameters={"a_plus": a_plus, "trace": trace}, w_min=w_min, w_max=w_max, **options,
    )  # fmt: skip
