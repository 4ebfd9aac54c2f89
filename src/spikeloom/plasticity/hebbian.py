r"""Hebbian rules of rates and of graded activity.

What an end shows is an expression: `s`, its output in a step (a spike, or the potential of a graded neuron), unless
told otherwise.
"""

from __future__ import annotations

from typing import Any

from ..filters import LowPass
from .normalise import Normalise
from .rule import Change, Rule, Trace


def bcm(
    *,
    tau: float = 50.0,
    tau_theta: float = 1000.0,
    y0: float = 0.1,
    lr: float = 1e-3,
    w_min: float = 0.0,
    w_max: float = 1.0,
    **options: Any,
) -> Rule:
    r"""Growth above a threshold that slides with the square of the rate, decline below it.

        w += lr x y (y - theta)    in each step,   theta = <y^2> / y0

    x and y are averages of the spikes over tau ms, in spikes a step; theta averages over tau_theta ms. A neuron comes
    to answer to few of its inputs, at a mean square of y0 <y>. Bienenstock, Cooper and Munro 1982, Journal of
    Neuroscience 2:32, with the threshold of Intrator and Cooper 1992. tau_theta must be shorter than what lr makes of
    the weights, else they run away.
    """
    return Rule(
        traces={
            "x": Trace(end="pre", filter=LowPass(tau=tau, normalise=True), before=True),
            "y": Trace(end="post", filter=LowPass(tau=tau, normalise=True), before=True),
            "theta": Trace(end="post", of="y * y / y0", filter=LowPass(tau=tau_theta, normalise=True)),
        },
        changes=(Change(trigger="step", pre="x", post="y * (y - theta)"),),
        parameters={"y0": y0}, lr=lr, w_min=w_min, w_max=w_max, **options,
    )  # fmt: skip


def oja(*, pre: str = "s", post: str = "s", lr: float = 1e-2, **options: Any) -> Rule:
    r"""Hebb's growth with a decay that keeps the weights into each neuron at length 1.

        w += lr y (x - y w)    in each step

    for a linear neuron y = w x: its weights turn to the first principal component of x. Oja 1982, Journal of
    Mathematical Biology 15:267. pre, post: the expressions that x and y are.
    """
    return Rule(
        changes=(
            Change(trigger="step", post=f"-({post}) * ({post})", weight="w"),
            Change(trigger="step", pre=pre, post=post),
        ),
        lr=lr, **options,
    )  # fmt: skip


def oja_subspace(*, pre: str = "s", post: str = "s", lr: float = 1e-2, **options: Any) -> Rule:
    r"""Hebb's growth of what the neurons together do not yet explain.

        W += lr y (x - W^T y)^T    in each step

    for linear neurons y = W x: the rows of W come to be orthonormal, and to span the first principal components of x.
    Oja 1989, International Journal of Neural Systems 1:61; in HLOP (Xiao et al. 2024) it finds what to protect.
    """
    return Rule(changes=(Change(trigger="step", pre=f"({pre}) - back", post=post),), lr=lr, **options)


def feast(*, eta: float = 1e-2, delta_i: float = 3e-3, delta_e: float = 1e-3, **options: Any) -> Rule:
    r"""Features of events: the winner turns to what it won, and thresholds that keep all neurons in use.

        winner:     w <- norm(w + eta (c - w)),   v_th += delta_i
        no winner:  every v_th -= delta_e

    Each step shows one input c of length 1, graded; a step without one is a miss too. The neurons are those of
    `NeuronGroup(model='lif', emission=Emission(forward='winner', reset='none'))` without memory (a tau_m far below
    dt). In equilibrium delta_i (1 - m) = n delta_e m, so that n neurons miss m = delta_i / (delta_i + n delta_e) of the
    inputs. Afshar et al. 2020, Sensors 20:1600.
    """
    return Rule(
        changes=(
            Change(trigger="post", post="-eta", weight="w"),
            Change(trigger="post", pre="s", post="eta"),
            Change(trigger="step", post="where(count > 0, delta_i * s, -delta_e)", target="v_th"),
        ),
        parameters={"eta": eta, "delta_i": delta_i, "delta_e": delta_e},
        normalise=Normalise(total=1.0, every=1, norm="l2"), **options,
    )  # fmt: skip
