r"""Rules that come at the end of a run: calibration after the first, and rates that are kept run by run.

Their traces sum over a run: filters so slow that they forget nothing.
"""

from __future__ import annotations

from statistics import NormalDist
from typing import Any

from ..errors import ParameterError
from ..filters import LowPass
from .normalise import plain_number
from .rule import Change, Rule, Trace

SUM = LowPass(tau=1e12)
"""The sum of a run."""


def calibrated_gain(*, level: float = 1.0, **options: Any) -> Rule:
    r"""After the first run the weights are scaled, neuron by neuron, until the potential has a root mean square.

        w <- w level / sqrt(<v^2>)

    For connections that start too weak: with weights of 1/sqrt(n) and a threshold of 1 nothing fires behind the first
    layer. The mean is over the steps of the run and its batch, of potentials that rest at 0; neurons that nothing
    reached stay as they are, so calibrate layer by layer, the first first. The mean square is exact for neurons that
    did not fire. For connections in which no weight is shared; samples of a batch are averaged by their factors.
    """
    return Rule(
        traces={
            "square": Trace(end="post", of="v * v", filter=SUM),
            "n": Trace(end="post", of="1 + 0 * s", filter=SUM),
        },
        changes=(
            Change(
                trigger="first", weight="w",
                post="where(square > 0, level * sqrt(n / maximum(square, 1e-30)) - 1, 0 * s)",
            ),
        ),
        parameters={"level": level}, **options,
    )  # fmt: skip


def calibrated_threshold(*, rate: float = 0.05, v_th: float = 1.0, **options: Any) -> Rule:
    r"""After the first run each threshold is set where a neuron's potential was above it in a share of the steps.

        v_th <- <v> + z sqrt(<v^2> - <v>^2)    with z the quantile of 1 - rate of a normal distribution

    rate: that share; v_th: the threshold of the first run. The potential of a leaky neuron with many inputs is nearly
    normal as long as it does not fire, so start with a threshold out of reach; spikes that reset it make the rate lower
    than the share.
    """
    if not 0 < plain_number("calibrated_threshold: rate", rate) < 1:
        raise ParameterError(f"calibrated_threshold: rate must be a share of the steps, 0 < rate < 1, got {rate!r}")
    return Rule(
        traces={
            "total": Trace(end="post", of="v", filter=SUM),
            "square": Trace(end="post", of="v * v", filter=SUM),
            "n": Trace(end="post", of="1 + 0 * s", filter=SUM),
        },
        changes=(
            Change(
                trigger="first", target="v_th",
                post="total / n + z * sqrt(maximum(square / n - (total / n)**2, 0)) - start",
            ),
        ),
        parameters={"z": -NormalDist().inv_cdf(rate), "start": v_th}, **options,
    )  # fmt: skip


def rate_modulation(*, target: float, lr: float = 1e-3, **options: Any) -> Rule:
    r"""After each run weights move against what a neuron fired too much, or too little.

        w += lr (target - n_post) n_pre

    n: the spikes of a run. SPAIC's `rate_modulate`, which there is a loss lr |n_post - target| that nothing adds to the
    training: this is the step that lessens it, where n_post grows with the input.
    """
    target = plain_number("rate_modulation: target", target, least=0.0)
    return Rule(
        traces={"fired": Trace(end="pre", filter=SUM), "answered": Trace(end="post", filter=SUM)},
        changes=(Change(trigger="run", pre="fired", post="target - answered"),),
        parameters={"target": target}, lr=lr, **options,
    )  # fmt: skip
