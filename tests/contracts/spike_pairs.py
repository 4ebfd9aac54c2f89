"""Changes of one weight counted from the times of spikes, without traces: what rules of spike timing must give."""

import math
from collections.abc import Callable, Sequence

import numpy as np

Steps = Sequence[int]


def _lagged(own: int, others: Steps, tau: float, *, nearest: bool, before: bool) -> float:
    """What a spike at step `own` finds of the other spikes: exp(-lag/tau) each, at steps of 1 ms."""
    earlier = [o for o in others if o < own or (before and o == own)]
    if nearest:
        earlier = earlier[-1:]
    return sum(math.exp(-(own - o - (0 if before else 1)) / tau) for o in earlier)


def pairs(
    pre: Steps, post: Steps, a_plus: float, a_minus: float, tau_plus: float, tau_minus: float, **options: bool
) -> float:
    """The change by pairs of spikes, each counted by itself."""
    gained = sum(a_plus * _lagged(t, pre, tau_plus, **options) for t in post)
    lost = sum(a_minus * _lagged(t, post, tau_minus, **options) for t in pre)
    return gained - lost


def triplets(pre: Steps, post: Steps, a: dict[str, float], tau_plus: float, tau_minus: float, nearest: bool) -> float:
    """The change by pairs and triplets, eqs. 3 and 4 of Pfister and Gerstner 2006."""
    way = {"nearest": nearest, "before": False}
    gained = sum(
        _lagged(t, pre, tau_plus, **way) * (a["a2_plus"] + a["a3_plus"] * _lagged(t, post, a["tau_y"], **way))
        for t in post
    )
    lost = sum(
        _lagged(t, post, tau_minus, **way) * (a["a2_minus"] + a["a3_minus"] * _lagged(t, pre, a["tau_x"], **way))
        for t in pre
    )
    return gained - lost


def each(pre: np.ndarray, post: np.ndarray, change: Callable[[Steps, Steps], float]) -> np.ndarray:
    """The changes (N, K) for the rasters pre (T, K) and post (T, N)."""
    found = np.zeros((post.shape[1], pre.shape[1]))
    for i in range(post.shape[1]):
        for j in range(pre.shape[1]):
            found[i, j] = change(np.flatnonzero(pre[:, j]).tolist(), np.flatnonzero(post[:, i]).tolist())
    return found
