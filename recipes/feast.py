"""A recipe: features of events under thresholds that keep all neurons in use (FEAST, paper 15 of the seed).

    PYTHONPATH=benchmarks python recipes/feast.py

Claim: thresholds that rise for winners and fall for all at a miss have every neuron find a feature, without labels.
Data: 40,000 events of bars that move in four orientations over 40 x 40 pixels, a tenth of them noise; each shows the
time surface of the 11 x 11 pixels around it to 16 neurons, one event a step. Baseline: the same winner-take-all without
thresholds. The gate: the share of misses within .02 of delta_i / (delta_i + n delta_e), the most won at most 1.5 times
the least, the orientation of a clip told by its winners in .95 of new clips; the baseline tells less.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from recipe import Outcome, report

import spikeloom as sl
from spikeloom.neurons import Emission
from spikeloom.plasticity import Rule, feast

SIZE, RADIUS, TAU, N = 40, 5, 20.0, 16
DELTA_I, DELTA_E, ETA = 3e-3, 1e-3, 1e-2
Array = NDArray[np.float64]


def clip(orientation: int, generator: np.random.Generator) -> Array:
    """The time surfaces (n, 121), each of length 1, of the events of a bar that crosses the picture."""
    angle = np.pi * orientation / 4
    along = np.stack(np.meshgrid(np.arange(SIZE), np.arange(SIZE), indexing="ij"), -1) - (SIZE - 1) / 2
    distance = along @ np.array([np.cos(angle), np.sin(angle)]) * generator.choice([-1, 1])
    last, found = np.full((SIZE + 2 * RADIUS,) * 2, -np.inf), []
    for t in range(-SIZE // 2, SIZE // 2):
        hit = (np.abs(distance - t) <= 0.5) & (generator.random((SIZE, SIZE)) < 0.5)
        noise = generator.random((SIZE, SIZE)) < hit.sum() / 9 / SIZE**2
        for x, y in generator.permutation(np.argwhere(hit | noise)):
            last[x + RADIUS, y + RADIUS] = t
            surface = np.exp((last[x : x + 2 * RADIUS + 1, y : y + 2 * RADIUS + 1] - t) / TAU).ravel()
            found.append(surface / np.linalg.norm(surface))
    return np.array(found)


def layer(seed: int, rule: Rule) -> sl.Network:
    """16 neurons without memory of which the greatest above its threshold fires; a rule turns it to its input."""
    net = sl.Network("features")
    start = np.abs(np.random.default_rng(seed).normal(size=(N, (2 * RADIUS + 1) ** 2)))
    start /= np.linalg.norm(start, axis=1, keepdims=True)
    with net:
        net.surface = sl.Encoder(start.shape[1], coding_method="null")
        net.features = sl.NeuronGroup(
            N, model="lif", tau_m=1e-3, v_th=0.0, emission=Emission(forward="winner", reset="none")
        )
        net.matches = sl.Connection(
            net.surface, net.features, link_type="full", weight=start / np.linalg.norm(start, axis=1)[:, None]
        )
        net.learner = sl.Learner(net.matches, algorithm=rule)
        net.won = sl.SpikeMonitor(net.features)
    net.set_backend(sl.TorchBackend(dt=1.0))
    return net


def winners(net: sl.Network, surfaces: Array) -> NDArray[np.int64]:
    """The winner of each event, -1 where there is none."""
    net.surface(surfaces[None])
    net.run(float(len(surfaces)))
    spikes, found = net.won.spikes, np.full(len(surfaces), -1)
    found[spikes.grid.step] = spikes.ids
    return found


def told(net: sl.Network, generator: np.random.Generator, n_clips: int) -> float:
    """How often the orientation of a new clip is that of the known clip with the most similar shares of winners."""
    net.eval()
    given = [
        (k % 4, np.bincount(winners(net, clip(k % 4, generator)) + 1, minlength=N + 1)) for k in range(2 * n_clips)
    ]
    labels, counts = np.array([k for k, _ in given]), np.array([c / c.sum() for _, c in given])
    nearest = ((counts[n_clips:, None] - counts[:n_clips]) ** 2).sum(-1).argmin(1)
    return float((labels[nearest] == labels[n_clips:]).mean())


def measured(rule: Rule, n_events: int = 40_000, n_clips: int = 40, seed: int = 0) -> dict[str, float]:
    """Share of misses and spread of winners in the second half of the events, and how often orientations are told."""
    net, generator, found = layer(seed, rule), np.random.default_rng(seed), []
    while sum(map(len, found)) < n_events:
        found.append(winners(net, clip(int(generator.integers(4)), generator)))
    late = np.concatenate(found)[n_events // 2 :]
    won = np.bincount(late[late >= 0], minlength=N)
    return {
        "missed": float((late < 0).mean()),
        "spread": float(won.max() / won.min()) if won.min() else float("inf"),
        "silent": int((won == 0).sum()),
        "told": told(net, generator, n_clips),
    }


def outcome() -> Outcome:
    ways = {
        "thresholds": feast(eta=ETA, delta_i=DELTA_I, delta_e=DELTA_E),
        "no thresholds": feast(eta=ETA, delta_i=0.0, delta_e=0.0),
    }
    found = {name: measured(rule) for name, rule in ways.items()}
    kept, plain = found["thresholds"], found["no thresholds"]
    theory = DELTA_I / (DELTA_I + N * DELTA_E)
    near = abs(kept["missed"] - theory) < 0.02
    return Outcome(
        name="feast",
        paper="FEAST: features of events by selection thresholds (paper 15)",
        data=f"bars in four orientations, 40 x 40, 40,000 events, {N} neurons",
        baseline=f"without thresholds {plain['silent']} of {N} never win, {plain['told']:.2f} of clips are told",
        result=f"{kept['missed']:.3f} missed (theory {theory:.3f}), {kept['told']:.2f} of clips told",
        gate="misses within .02 of theory, most won at most 1.5 times the least, .95 told, more than the baseline",
        holds=near and kept["spread"] < 1.5 and kept["told"] >= 0.95 and kept["told"] > plain["told"],
        head=["way", "missed", "most won / least", "neurons that never win", "orientation told"],
        rows=[
            [w, f"{m['missed']:.3f}", f"{m['spread']:.2f}", m["silent"], f"{m['told']:.2f}"] for w, m in found.items()
        ],
        failed="orientations told worse without thresholds; 6,000 events, tried first, left the most won 11 times the "
        "least, and the nearest mean of winners told .80: 40,000 events and the nearest clip were set after that",
    )


if __name__ == "__main__":
    report(__doc__, outcome)
