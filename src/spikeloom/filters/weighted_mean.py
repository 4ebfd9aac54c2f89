r"""A mean over time with exponential weights: two low-pass filters in the log domain and their ratio, the WKV of RWKV.

    y_t = (sum_{i<t} exp(k_i - (t - 1 - i) w) v_i + exp(u + k_t) v_t) / (the same without v)

Numerator and denominator are filters with the decay exp(-w) of the inputs exp(k) v and exp(k). Both are kept divided by
the greatest weight so far, exp(p), so that no key overflows. Source: Peng et al., 2023, RWKV (EMNLP Findings,
arXiv:2305.13048), appendix D; Zhu et al., 2023, SpikeGPT (arXiv:2302.13939).
"""

from __future__ import annotations

import math
from typing import Any, Generic, NamedTuple

import numpy as np

from ..errors import ShapeError
from ..ops import A, Ops
from .filter import Value, checked, positive


class MeanState(NamedTuple, Generic[A]):
    """What the past adds to numerator and denominator, each (B, n), both divided by exp(p)."""

    numerator: A
    denominator: A
    p: A


def weighted_mean(
    keys: A, values: A, decay: Value, bonus: Value, xp: Ops[A], state: MeanState[A] | None = None
) -> tuple[A, MeanState[A]]:
    """The means (T, B, n) of values (T, B, n) by the weights exp(keys), and the state for what follows.

    decay: w > 0, what the logarithm of a weight loses a step; bonus: u, what that of the newest one has more; each a
    number or of shape (n,). state: of what went before, as returned; a run cut in two equals one run. Finite wherever
    keys and values are, whatever the size of the keys. Raises ShapeError for keys and values of different shapes or of
    no step, ParameterError for a decay that is not positive.
    """
    if np.shape(keys) != np.shape(values) or not np.shape(keys) or not len(keys):
        raise ShapeError(
            f"weighted_mean: keys and values must be of one shape (T, B, n), T > 0, got {np.shape(keys)} and "
            f"{np.shape(values)}"
        )
    decay, bonus = positive("weighted_mean.decay", decay, "number"), checked("weighted_mean.bonus", bonus)
    if state is None:
        nothing = xp.stop_gradient(keys[0]) * 0.0
        state = MeanState(nothing, nothing, nothing - math.inf)
    means = []
    for key, value in zip(keys, values, strict=True):
        mean, state = _step(state, key, value, decay, bonus, xp)
        means.append(mean)
    return xp.stack(means), state


def _step(state: MeanState[A], key: A, value: A, decay: Value, bonus: Value, xp: Ops[Any]) -> tuple[A, MeanState[A]]:
    largest = xp.maximum(state.p, key + bonus)
    past, newest = xp.exp(state.p - largest), xp.exp(key + bonus - largest)
    mean = (past * state.numerator + newest * value) / (past * state.denominator + newest)
    p = xp.maximum(state.p - decay, key)
    past, newest = xp.exp(state.p - decay - p), xp.exp(key - p)
    return mean, MeanState(past * state.numerator + newest * value, past * state.denominator + newest, p)
