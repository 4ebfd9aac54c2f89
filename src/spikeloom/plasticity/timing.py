r"""Rules of spike-timing dependent plasticity, which no reward modulates.

x and y are the traces of the spikes of pre and of post; x_j and y_i stand for d^n, n steps of d = exp(-dt/tau) after a
spike. What counts as a pair, at equal times too, is told in "Which spikes pair" of the explanations.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from ..errors import ParameterError
from ..filters import LowPass
from ..registry import Registry
from .normalise import Normalise, plain_number
from .rule import Change, Rule, Trace

_LEAST_ROOM = 1e-30  # a power of 0 is exp(mu log 0)


def stdp(
    *,
    a_plus: float = 0.01,
    a_minus: float = 0.0105,
    tau_plus: float = 20.0,
    tau_minus: float = 20.0,
    nearest: bool = False,
    before: bool = False,
    mu_plus: float = 0.0,
    mu_minus: float = 0.0,
    w_min: float = 0.0,
    w_max: float = 1.0,
    **options: Any,
) -> Rule:
    r"""Pairs of spikes: potentiation where pre comes first, depression where post does.

        at a post spike:   w += lr a_plus  x (w_max - w)^mu_plus
        at a pre spike:    w -= lr a_minus y (w - w_min)^mu_minus

    nearest: each spike pairs with the last spike of the other end alone, not with all earlier ones. before: spikes of
    the same step pair. mu_plus, mu_minus: how a change depends on the room to the bound: 0 additive (Song, Miller and
    Abbott 2000), 1 and 1 multiplicative, 0 and 1 after van Rossum, Bi and Turrigiano 2000, between them Guetig et al.
    2003. options: lr, normalise. Defaults after Song, Miller and Abbott.
    """
    trace: dict[str, Any] = {"nearest": nearest, "before": before}
    return Rule(
        traces={
            "x": Trace(end="pre", filter=LowPass(tau=tau_plus), **trace),
            "y": Trace(end="post", filter=LowPass(tau=tau_minus), **trace),
        },
        changes=(
            Change(trigger="pre", post="-a_minus * y", weight=_room("w - w_min", "mu_minus", mu_minus)),
            Change(trigger="post", pre="a_plus * x", weight=_room("w_max - w", "mu_plus", mu_plus)),
        ),
        parameters={"a_plus": a_plus, "a_minus": a_minus}, w_min=w_min, w_max=w_max, **options,
    )  # fmt: skip


def _room(room: str, name: str, mu: float) -> str:
    """The room to a bound to the power of mu, as an expression; no factor for 0."""
    mu = plain_number(f"stdp: {name}", mu, least=0.0)
    if mu == int(mu):
        return f"({room})**{int(mu)}" if mu else "1"
    return f"maximum({room}, {_LEAST_ROOM!r})**{mu!r}"


class Triplets(NamedTuple):
    """The amplitudes of the triplet rule, and the time constants in ms of its slow traces."""

    a2_plus: float
    a3_plus: float
    a2_minus: float
    a3_minus: float
    tau_x: float
    tau_y: float


TRIPLETS: Registry[Triplets] = Registry("fit of the triplet rule")
"""What Pfister and Gerstner fitted, of the visual cortex (their table 3) and of the hippocampus (table 4)."""
TRIPLETS.add("cortex_full", Triplets(5e-10, 6.2e-3, 7e-3, 2.3e-4, 101.0, 125.0))
TRIPLETS.add("cortex_minimal", Triplets(0.0, 6.5e-3, 7.1e-3, 0.0, 101.0, 114.0))
TRIPLETS.add("cortex_nearest_full", Triplets(8.8e-11, 5.3e-2, 6.6e-3, 3.1e-3, 714.0, 40.0))
TRIPLETS.add("cortex_nearest_minimal", Triplets(0.0, 5e-2, 8e-3, 0.0, 714.0, 40.0))
TRIPLETS.add("hippocampus_full", Triplets(6.1e-3, 6.7e-3, 1.6e-3, 1.4e-3, 946.0, 27.0))
TRIPLETS.add("hippocampus_minimal", Triplets(5.3e-3, 8e-3, 3.5e-3, 0.0, 946.0, 40.0))
TRIPLETS.add("hippocampus_nearest_full", Triplets(4.6e-3, 9.1e-3, 3e-3, 7.5e-9, 575.0, 47.0))
TRIPLETS.add("hippocampus_nearest_minimal", Triplets(4.6e-3, 9.1e-3, 3e-3, 0.0, 575.0, 48.0))


def triplet_stdp(
    fit: str | Triplets = "cortex_minimal",
    *,
    tau_plus: float = 16.8,
    tau_minus: float = 33.7,
    nearest: bool | None = None,
    w_min: float = 0.0,
    w_max: float = 1.0,
    **options: Any,
) -> Rule:
    r"""Triplets of spikes: pairs that count more the more the same end fired before.

        at a post spike:   w += lr x1 (a2_plus  + a3_plus  y2)
        at a pre spike:    w -= lr y1 (a2_minus + a3_minus x2)

    with fast traces x1 (tau_plus) and y1 (tau_minus) and slow ones x2 (tau_x) and y2 (tau_y), which do not hold the
    spike itself: Pfister and Gerstner 2006, Journal of Neuroscience 26:9673, equations 2 to 4. fit: a name of TRIPLETS
    or amplitudes of one's own; the minimal fits leave two of the four terms out. nearest: by default as the fit says.
    """
    amplitudes = TRIPLETS[fit] if isinstance(fit, str) else fit
    if not isinstance(amplitudes, Triplets):
        raise ParameterError(f"triplet_stdp: fit must be Triplets or one of {', '.join(TRIPLETS)}, got {fit!r}")
    numbers = amplitudes._asdict()
    slow = {name: LowPass(tau=numbers.pop(name)) for name in ("tau_x", "tau_y")}
    if nearest is None:
        nearest = isinstance(fit, str) and "nearest" in TRIPLETS.name_of(fit)
    return Rule(
        traces={
            "x1": Trace(end="pre", filter=LowPass(tau=tau_plus), nearest=nearest),
            "x2": Trace(end="pre", filter=slow["tau_x"], nearest=nearest),
            "y1": Trace(end="post", filter=LowPass(tau=tau_minus), nearest=nearest),
            "y2": Trace(end="post", filter=slow["tau_y"], nearest=nearest),
        },
        changes=(
            Change(trigger="pre", pre="a2_minus + a3_minus * x2", post="-y1"),
            Change(trigger="post", pre="x1", post="a2_plus + a3_plus * y2"),
        ),
        parameters=numbers, w_min=w_min, w_max=w_max, **options,
    )  # fmt: skip


def symmetric_stdp(
    *, a: float = 0.1, tau: float = 20.0, lr: float = 5e-3, w_min: float = 0.0, w_max: float = 1.0, **options: Any
) -> Rule:
    r"""Pairs of spikes in either order, both of which potentiate.

        at a post spike:   w += lr a x,       at a pre spike:   w += lr a y

    Nothing but `normalise` takes weights back: give Normalise(total=0.1 * n_pre), as the source does. Hao et al. 2020,
    Neural Networks 121:387, whose amplitudes these are.
    """
    return Rule(
        traces={"x": Trace(end="pre", filter=LowPass(tau=tau)), "y": Trace(end="post", filter=LowPass(tau=tau))},
        changes=(Change(trigger="pre", post="a * y"), Change(trigger="post", pre="a * x")),
        parameters={"a": a}, lr=lr, w_min=w_min, w_max=w_max, **options,
    )  # fmt: skip


def integer_stdp(
    *,
    nu0: int = 14,
    nu1: int = 141,
    trace_scale: int = 127,
    shift: int = 14,
    tau: float = 20.0,
    w_min: float = 0.0,
    w_max: float = 109.0,
    max_threshold: float | None = None,
    threshold: str = "thresh",
    **options: Any,
) -> Rule:
    r"""Pairs of nearest spikes for whole weights: SPAIC's `postpreintstdp`, as chips have it.

        at a pre spike:    w -= round(nu0 trace_scale 2^-shift y)
        at a post spike:   w += round(nu1 trace_scale 2^-shift x)

    rounded up with the probability of the fraction, so that the mean is exact. Spikes of the same step pair. With
    max_threshold the weights of a neuron whose state `threshold` is above it are halved, downwards, in each step. (In
    SPAIC the traces are whole too, which makes them up to one of trace_scale smaller, and both changes add.)
    """
    trace: dict[str, Any] = {"filter": LowPass(tau=tau), "nearest": True, "before": True}
    changes = [Change(trigger="pre", post="-a_minus * y"), Change(trigger="post", pre="a_plus * x")]
    scale = plain_number("integer_stdp: trace_scale", trace_scale)
    scale *= 2.0 ** -plain_number("integer_stdp: shift", shift, least=0.0)
    parameters = {
        name: plain_number(f"integer_stdp: {nu}", value) * scale
        for name, nu, value in (("a_minus", "nu0", nu0), ("a_plus", "nu1", nu1))
    }
    variables: tuple[str, ...] = ()
    if max_threshold is not None:
        over = f"where({threshold} > max_threshold, 1, 0)"
        changes.append(Change(trigger="step", post=over, weight="floor(w / 2) - w"))
        parameters["max_threshold"], variables = max_threshold, (threshold,)
    return Rule(
        traces={"x": Trace(end="pre", **trace), "y": Trace(end="post", **trace)}, changes=tuple(changes),
        parameters=parameters, variables=variables, w_min=w_min, w_max=w_max, rounding=True, **options,
    )  # fmt: skip


def diehl_cook(
    *,
    nu_pre: float = 1e-4,
    nu_post: float = 1e-2,
    tau_pre: float = 20.0,
    tau_post: float = 20.0,
    tau_post_slow: float = 40.0,
    theta_plus: float = 0.05,
    tau_theta: float = 1e7,
    total: float | None = 78.4,
    w_max: float = 1.0,
    **options: Any,
) -> Rule:
    r"""Triplets of nearest spikes, weights that are normalised after each run, and thresholds that rise.

        at a pre spike:    w -= lr nu_pre y1
        at a post spike:   w += lr nu_post x y2,   v_th += lr theta_plus
        in each step:      the offset of v_th decays with tau_theta

    y2 is the slow trace before the spike. Diehl and Cook 2015, Frontiers in Computational Neuroscience 9:99, in the
    numbers of their program. total: what the weights into a neuron sum to after a run, None to leave them.
    """
    return Rule(
        traces={
            "x": Trace(end="pre", filter=LowPass(tau=tau_pre), nearest=True),
            "y1": Trace(end="post", filter=LowPass(tau=tau_post), nearest=True),
            "y2": Trace(end="post", filter=LowPass(tau=tau_post_slow), nearest=True),
        },
        changes=(
            Change(trigger="pre", post="-nu_pre * y1"),
            Change(trigger="post", pre="nu_post * x", post="y2"),
            Change(trigger="post", post="theta_plus", target="v_th", relax=LowPass(tau=tau_theta)),
        ),
        parameters={"nu_pre": nu_pre, "nu_post": nu_post, "theta_plus": theta_plus}, w_min=0.0, w_max=w_max,
        normalise=None if total is None else Normalise(total=total), **options,
    )  # fmt: skip


def meta_stdp(
    *,
    a_plus: float = 1e-2,
    a_minus: float = 1e-4,
    tau_plus: float = 30.0,
    tau_minus: float = 200.0,
    balance: float = 0.2,
    level: float = 0.1,
    softness: float = 0.2,
    w_min: float = 0.0,
    w_max: float = 1.0,
    **options: Any,
) -> Rule:
    r"""Pairs of nearest spikes with soft bounds, and weights that shrink where a neuron fires much, else grow.

        at a pre spike:    w -= lr a_minus y exp(-softness / (w - w_min))
        at a post spike:   w += lr a_plus  x exp(-softness / (w_max - w))
        in each step:      w += lr balance a_minus (level - y) w

    SPAIC's `meta_nearest_online_stdp`. (There the mean of y over the population takes the place of level, and the mean
    weight of a neuron moves instead of its weights.) Spikes of the same step pair.
    """
    trace: dict[str, Any] = {"nearest": True, "before": True}
    return Rule(
        traces={
            "x": Trace(end="pre", filter=LowPass(tau=tau_plus), **trace),
            "y": Trace(end="post", filter=LowPass(tau=tau_minus), **trace),
        },
        changes=(
            Change(trigger="pre", post="-a_minus * y", weight="exp(-softness / maximum(w - w_min, 1e-4))"),
            Change(trigger="post", pre="a_plus * x", weight="exp(-softness / maximum(w_max - w, 1e-4))"),
            Change(trigger="step", post="balance * a_minus * (level - y)", weight="w"),
        ),
        parameters={
            "a_plus": a_plus, "a_minus": a_minus, "balance": balance, "level": level, "softness": softness
        },
        w_min=w_min, w_max=w_max, **options,
    )  # fmt: skip
