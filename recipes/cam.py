"""A recipe: a content-addressable memory of spiking populations, after CA3 of the hippocampus (paper 41 of the seed).

    PYTHONPATH=benchmarks python recipes/cam.py

Claim: memories of a cue and a content are learnt, recalled by either, and forgotten where they are overwritten. Data:
three overlapping contents of 3 of 10 cells for 3 of 5 cues; then one is overwritten. Eight populations of leaky
integrate-and-fire cells joined by fixed connections with delays, and two plastic ones, cue to content and back, under
pair STDP. Operations are separate in time: 3 ms to learn, 1 ms to recall. The gate: 6 of 6 recalls before the
overwriting, each by exactly what belongs together; the conventions of pairing beside each other. What fails is to
forget: cells of the old content fire while a cue is overwritten, and so keep their weights.
"""

from __future__ import annotations

import math

import numpy as np
from recipe import Outcome, report

import spikeloom as sl
from spikeloom.filters import LowPass
from spikeloom.plasticity import Rule, stdp

N_CUES, N_CONTENT = 5, 10
MEMORIES = {0: (0, 1, 2), 1: (1, 2, 3), 2: (2, 3, 4)}
OVERWRITTEN = {0: (7, 8, 9)}
PAUSE = 12  # steps of 1 ms between two operations
TAU_SYN = 0.3


def cells(n: int, tau_m: float, c_m: float) -> sl.NeuronGroup:
    """n cells with potentials in nA: what a current adds in a step of 1 ms is put into the threshold of 3 mV."""
    per_na = tau_m / c_m * -math.expm1(-1 / tau_m) * TAU_SYN * -math.expm1(-1 / TAU_SYN)
    return sl.NeuronGroup(n, model="lif", tau_m=tau_m, v_th=3.0 / per_na)


def memory(rule: Rule) -> sl.Network:
    net = sl.Network("memory")
    slow, fast = {"tau_m": 3.0, "c_m": 0.27}, {"tau_m": 0.5, "c_m": 0.14}
    with net:
        net.input = sl.Encoder(N_CUES + N_CONTENT, coding_method="null")
        for name in ("cue_cue", "merge_cue"):
            setattr(net, name, cells(N_CUES, **slow))
        for name in ("content_cue", "content_content", "merge_content"):
            setattr(net, name, cells(N_CONTENT, **slow))
        net.cue_content, net.condition = cells(N_CUES, **fast), cells(N_CONTENT, **fast)
        net.interneuron = cells(1, **fast)

        def join(pre: str, post: str, weight: np.ndarray, delay: float) -> sl.Connection:
            looped = 1.0 if pre == post else 0.0  # the step that a loop takes
            made = sl.Connection(
                getattr(net, pre), getattr(net, post), link_type="full", weight=weight, delay=delay - looped,
                filter=LowPass(tau=TAU_SYN),
            )  # fmt: skip
            setattr(net, f"{pre}_to_{post}", made)
            return made

        cues, contents = np.eye(N_CUES), np.eye(N_CONTENT)
        join("input", "cue_cue", 6 * np.eye(N_CUES, N_CUES + N_CONTENT), 1.0)
        join("input", "content_cue", 6 * np.eye(N_CONTENT, N_CUES + N_CONTENT, N_CUES), 1.0)
        join("cue_cue", "cue_content", 6 * cues, 2.0)
        net.others = sl.Connection(
            net.cue_cue, net.cue_content, link_type="full", weight=-6.0 * N_CONTENT * (1 - cues), delay=3.0,
            filter=LowPass(tau=TAU_SYN),
        )  # fmt: skip
        join("content_cue", "condition", 9 * contents, 1.0)
        join("cue_cue", "condition", np.full((N_CONTENT, N_CUES), -6.0), 2.0)
        join("condition", "content_content", 6 * contents, 1.0)
        join("content_cue", "interneuron", np.full((1, N_CONTENT), 6.0), 1.0)
        join("interneuron", "condition", np.full((N_CONTENT, 1), 2.0), 1.0)
        join("cue_content", "cue_content", -6.0 * N_CONTENT * (1 - cues), 2.0)
        join("cue_cue", "merge_cue", 6 * cues, 3.0)
        join("cue_content", "merge_cue", 6 * cues, 1.0)
        join("content_cue", "merge_content", 6 * contents, 3.0)
        join("content_content", "merge_content", 6 * contents, 1.0)
        plastic = [
            join("cue_cue", "content_cue", np.zeros((N_CONTENT, N_CUES)), 1.0),
            join("content_content", "cue_content", np.zeros((N_CUES, N_CONTENT)), 1.0),
        ]
        net.learner = sl.Learner(plastic, algorithm=rule)
        net.cues, net.contents = sl.SpikeMonitor(net.merge_cue), sl.SpikeMonitor(net.merge_content)
    net.set_backend(sl.TorchBackend(dt=1.0))
    return net


def answers(net: sl.Network, ids: list[int], n_steps: int) -> tuple[set[int], set[int]]:
    """The cues and the contents that answer to so many steps of input, and the pause behind it."""
    raster = np.zeros((n_steps + PAUSE, 1, N_CUES + N_CONTENT), np.int8)
    raster[:n_steps, 0, ids] = 1
    net.input(sl.Spikes.from_raster(raster, 1.0))
    net.run(float(len(raster)))
    return set(net.cues.spikes.ids.tolist()), set(net.contents.spikes.ids.tolist())


def learn(net: sl.Network, memories: dict[int, tuple[int, ...]]) -> None:
    for cue, content in memories.items():
        answers(net, [cue, *(N_CUES + c for c in content)], 3)


def recalls(rule: Rule) -> tuple[int, int, int]:
    """How many of 3 recalls by cue and of 3 by a fragment of the content are right, and of 2 after an overwriting."""
    net = memory(rule)
    learn(net, MEMORIES)
    net.eval()
    by_cue = sum(answers(net, [cue], 1) == ({cue}, set(content)) for cue, content in MEMORIES.items())
    holders = {cell: {cue for cue, content in MEMORIES.items() if cell in content} for cell in (0, 2, 4)}
    by_content = sum(answers(net, [N_CUES + cell], 1)[0] == cues for cell, cues in holders.items())
    net.train()
    learn(net, OVERWRITTEN)
    net.eval()
    after = (answers(net, [0], 1) == ({0}, set(OVERWRITTEN[0]))) + (answers(net, [1], 1)[1] == set(MEMORIES[1]))
    return by_cue, by_content, after


def outcome() -> Outcome:
    common = {"a_plus": 6.0, "a_minus": 6.0, "tau_plus": 3.0, "tau_minus": 3.0, "w_max": 6.0}
    rules = {
        "all pairs, equal times count": stdp(before=True, **common),
        "nearest pairs, equal times count": stdp(before=True, nearest=True, **common),
        "all pairs, equal times do not count": stdp(**common),
        "nearest pairs, equal times do not count": stdp(nearest=True, **common),
        "no learning": stdp(lr=0.0, **common),
    }
    found = {name: recalls(rule) for name, rule in rules.items()}
    by_cue, by_content, after = found["all pairs, equal times count"]
    return Outcome(
        name="cam",
        paper="A content-addressable memory after CA3 (paper 41)",
        data="3 overlapping memories of 3 of 10 cells under 3 of 5 cues; cue 0 overwritten",
        baseline=f"the same without learning, {sum(found['no learning'][:2])} of 6",
        result=f"{by_cue + by_content} of 6 before, {after} of 2 after the overwriting",
        gate="6 of 6 before the overwriting",
        holds=by_cue + by_content == 6,
        head=["pairs", "by cue, of 3", "by content, of 3", "after overwriting, of 2"],
        rows=[[name, *numbers] for name, numbers in found.items()],
        failed="" if after == 2 else "forgetting: an overwritten cue recalls the old content beside the new",
    )


if __name__ == "__main__":
    report(__doc__, outcome)
