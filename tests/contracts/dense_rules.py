"""A rule stepped over the spikes of both ends, on NumPy weights (N, K)."""

import numpy as np

from spikeloom.ops import NumpyOps
from spikeloom.plasticity import Rule
from spikeloom.plasticity.stepping import Dense, Stepper


def learn(
    rule: Rule, weights, pre, post, *, dt=1.0, modulator=None, seed=0, first=True, variables=None, thresholds=None
):
    """Weights, and what was added to parameters, after a run with pre (T, K) and post (T, N).

    modulator: (T,) or (T, N); variables: of post, by name, (T, N); thresholds: offsets to start from.
    """
    weights = np.array(weights, float)
    pre, post = (np.asarray(raster, float)[:, None] for raster in (pre, post))
    generator, xp = np.random.default_rng(seed), NumpyOps()
    stepper = Stepper(rule, Dense(rule, xp, lambda like: generator.random(like.shape)), dt, xp)
    offsets = {target: np.zeros(post.shape[2]) for target in rule.targets} | (thresholds or {})
    state = stepper.initial(weights, pre[0], post[0], offsets)
    for t in range(len(pre)):
        shown = {name: np.asarray(values, float)[t][None] for name, values in (variables or {}).items()}
        ends = {"s": pre[t]}, {"s": post[t], **shown}
        m = 1.0 if modulator is None else np.atleast_1d(np.asarray(modulator, float)[t])[None]
        weights, state = stepper.step(weights, state, *ends, m)
        weights = stepper.normalised(weights, t + 1)
    weights, state = stepper.end(weights, state, *ends, m, first=first)
    return stepper.normalised(weights, len(pre), last=True), state.offsets
