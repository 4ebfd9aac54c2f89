"""A recipe: place recognition by small modules, of which hyperactive neurons are removed (paper 50 of the seed).

    PYTHONPATH=benchmarks python recipes/vpr.py [--seeds 3]

Claim: modules of one compact network for each region scale, once the neurons that answer to places of other regions are
left out. Data: 100 synthetic places (1/f fields of 14 x 14, ON and OFF), each view in other light and with noise, so
much that the sum of absolute differences finds .93 of them: two views to learn, one to calibrate, one to ask; 5 modules
of 20 places and 80 neurons under Diehl and Cook's triplet rule, weights of .1 a synapse on the mean, thresholds that
rise, 30 passes, and inhibition as strong as the threshold. A neuron stands for the place of its own region that it
fires most for in the views learnt. Those that answer to many places of other regions in the calibration are left out;
how many that is was chosen there; of the settings, a first look at the inhibition saw two of the worlds that count.
Baseline: all neurons, and the sum of absolute differences. The gate: recall@1 twice that of all neurons. What did not
reproduce: that gain. All neurons find .90 of the places already, where .08 was expected, those kept .92 and the sum of
absolute differences .93, so that twice is out of reach. In two other worlds, with inhibition of 1/4, 1/2, 1 and 3
thresholds, all neurons find .50, .75, .88 and .72, those kept .50, .76, .92, .90. The data are as hard as meant, but
modules learn better: within its region one finds .97, where .25 was expected. Weaker ones gain no more: after 1, 2, 5
and 10 passes all find .32, .44, .70 and .80 (two worlds), those kept .32, .46, .71 and .83; under STDP that only adds,
with inhibition of 1/10 (one world), .16 and .16 at .24 within. With 20 regions (one world) all find .82, those kept
.87, the sum of absolute differences .87.
"""

from __future__ import annotations

import statistics
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from recipe import Outcome, report

import spikeloom as sl
from spikeloom.backends import PlasticRun
from spikeloom.filters import LowPass
from spikeloom.neurons import LIF
from spikeloom.plasticity import Change, Normalise, Rule, Triplets, triplet_stdp

SIDE, REGIONS, PLACES, NEURONS, STEPS, PASSES = 14, 5, 20, 80, 60, 30
LIGHT, NOISE = 0.65, 0.4
AMPLITUDES = Triplets(a2_plus=0.0, a3_plus=1e-2, a2_minus=1e-4, a3_minus=0.0, tau_x=40.0, tau_y=40.0)
NEURON = LIF(tau_m=20.0, v_th=3.5)
RISE = Change(trigger="post", post="0.1", target="v_th", relax=LowPass(tau=1e7))
Array = NDArray[np.float64]


def field(generator: np.random.Generator, n: int, power: float = 1.0) -> Array:
    """Random fields (n, SIDE, SIDE) whose amplitudes fall with frequency, of mean 0 and deviation 1."""
    frequency = np.hypot(np.fft.fftfreq(SIDE)[:, None], np.fft.fftfreq(SIDE))
    frequency[0, 0] = np.inf
    drawn = np.fft.ifft2(np.fft.fft2(generator.normal(size=(n, SIDE, SIDE))) / frequency**power).real
    return (drawn - drawn.mean((1, 2), keepdims=True)) / drawn.std((1, 2), keepdims=True)


def views(generator: np.random.Generator, n: int = 4) -> list[Array]:
    """n views (100, 392) of all places: ON and OFF as probabilities of a spike in a step."""
    places = field(generator, REGIONS * PLACES)
    found = []
    for _ in range(n):
        seen = places + LIGHT * field(generator, len(places), 2.0) + NOISE * generator.normal(size=places.shape)
        both = np.concatenate([np.maximum(seen, 0), np.maximum(-seen, 0)], axis=1).reshape(len(places), -1)
        found.append(0.3 * both / both.max(1, keepdims=True))
    return found


def spike_counts(run: PlasticRun, seen: Array, generator: np.random.Generator) -> Array:
    """How often each neuron fires for each place, (places, neurons)."""
    found = []
    for place in seen:
        raster = (generator.random((STEPS, 1, len(place))) < place).astype(np.int8)
        run.rest()
        found.append(run.run(sl.Spikes.from_raster(raster, 1.0)).sum(0).numpy())
    return np.array(found, float)


def module(seen: list[Array], region: slice, seed: int) -> PlasticRun:
    """A module that has learnt the places of its region; its weights and thresholds are held."""
    generator = np.random.default_rng(seed)
    normalise = Normalise(total=0.1 * 2 * SIDE**2)
    rule = triplet_stdp(AMPLITUDES, tau_plus=20.0, tau_minus=20.0, nearest=True, normalise=normalise)
    weights = torch.from_numpy(generator.random((NEURONS, 2 * SIDE**2))) * 0.3
    rule = replace(rule, changes=(*rule.changes, RISE))
    run = PlasticRun(NEURON, rule, weights, dt=1.0, inhibition=NEURON.v_th)
    for _ in range(PASSES):
        for view in seen:
            spike_counts(run, generator.permutation(view[region]), generator)
    state = run.state
    still = LIF(tau_m=NEURON.tau_m, v_th=(NEURON.v_th + state.offsets["v_th"]).numpy())
    return PlasticRun(still, Rule(lr=0.0), state.weights, dt=1.0, inhibition=NEURON.v_th)


def recall(scores: Array, n: int) -> float:
    """How often the right place is among the n best of its row."""
    best = np.argsort(-scores, axis=1)[:, :n]
    return float((best == np.arange(len(scores))[:, None]).any(1).mean())


def measured(seed: int) -> dict[str, Array]:
    """The scores (asked, place) of all neurons, of those that are kept, and of the sum of absolute differences."""
    generator = np.random.default_rng(seed)
    first, second, calibration, asked = views(generator)
    regions = [slice(k * PLACES, (k + 1) * PLACES) for k in range(REGIONS)]
    learnt, elsewhere, answers = [], [], []
    for k, region in enumerate(regions):
        run = module([first, second], region, seed * REGIONS + k)
        own = sum(spike_counts(run, view[region], generator) for view in (first, second))
        found = [spike_counts(run, view, generator) for view in (calibration, asked)]
        learnt.append(own.argmax(0))
        elsewhere.append((np.delete(found[0], np.r_[region], axis=0) > 0).sum(0))
        answers.append(found)

    def scores(view: int, most: int) -> Array:
        found = np.zeros((REGIONS * PLACES, REGIONS * PLACES))
        for region, own, away, counts in zip(regions, learnt, elsewhere, answers, strict=True):
            for place in range(PLACES):
                kept = (own == place) & (away < most)
                if kept.any():
                    found[:, region.start + place] = counts[view][:, kept].mean(1)
        return found

    limits = range(5, (REGIONS - 1) * PLACES + 6, 5)
    most = max(limits, key=lambda limit: recall(scores(0, limit), 1))
    differences = -np.abs(asked[:, None] - first[None]).sum(-1)
    return {"all neurons": scores(1, 10**9), "without hyperactive": scores(1, most), "SAD": differences}


def outcome(seeds: int) -> Outcome:
    found = [measured(seed) for seed in range(seeds)]
    mean = {way: [statistics.mean(recall(f[way], n) for f in found) for n in (1, 5)] for way in found[0]}
    every, kept, sad = mean.values()
    missed = [f"twice the recall@1, {kept[0] / every[0]:.2f} times here"] if kept[0] < 2 * every[0] else []
    missed += [f"recall@5, {kept[1]:.2f} of {every[1]:.2f} before"] if kept[1] < every[1] else []
    missed += ["competitiveness: the sum of absolute differences is better"] if kept[0] < sad[0] else []
    return Outcome(
        name="vpr",
        paper="Ensembles of compact networks for place recognition (paper 50)",
        data=f"{REGIONS * PLACES} synthetic places in {REGIONS} regions, means of {seeds} worlds",
        baseline=f"all neurons {every[0]:.2f} at 1, {every[1]:.2f} at 5; sum of absolute differences {sad[0]:.2f}",
        result=f"{kept[0]:.2f} at 1, {kept[1]:.2f} at 5",
        gate="recall@1 twice that of all neurons",
        holds=kept[0] >= 2 * every[0],
        head=["way", "recall@1", "recall@5"],
        rows=[[way, *(f"{value:.2f}" for value in values)] for way, values in mean.items()],
        failed="; ".join(missed),
    )


if __name__ == "__main__":
    report(__doc__, outcome, seeds={"type": int, "default": 3, "help": "how many worlds (default 3)"})
