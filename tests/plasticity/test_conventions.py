"""The table of the page "Which spikes pair": counted by hand, and by all that runs a rule."""

import math
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from dense_rules import learn

import spikeloom as sl
from spikeloom.backends import PlasticRun
from spikeloom.neurons import LIF
from spikeloom.plasticity import stdp

D = math.exp(-1 / 20)
PAGE = Path(__file__).parents[2] / "docs" / "explanation" / "plasticity-conventions.md"
WAYS = [(nearest, before) for before in (False, True) for nearest in (False, True)]
"""nearest and before of the four columns."""
BY_HAND = {
    "pre first": ((2,), (5,), (D**2, D**2, D**3, D**3)),
    "post first": ((5,), (2,), (-0.5 * D**2, -0.5 * D**2, -0.5 * D**3, -0.5 * D**3)),
    "equal time": ((4,), (4,), (0.0, 0.0, 1 - 0.5, 1 - 0.5)),
    "two pre, one post": ((1, 3), (6,), (D**4 + D**2, D**2, D**5 + D**3, D**3)),
    "two post, one pre": ((6,), (1, 3), (-0.5 * (D**4 + D**2), -0.5 * D**2, -0.5 * (D**5 + D**3), -0.5 * D**3)),
}
FREE = {"w_min": -math.inf, "w_max": math.inf}
STEPS = 8


def test_the_page_says_what_is_counted_by_hand():
    rows = [line.strip("| \n").split(" | ") for line in PAGE.read_text().splitlines() if line.startswith("| ")]
    table = {row[0]: row[1:] for row in rows if len(row) == 7 and row[0] in BY_HAND}
    assert table.keys() == BY_HAND.keys()
    for name, (pre, post, changes) in BY_HAND.items():
        at = [tuple(int(n) for n in re.findall(r"\d+", cell)) for cell in table[name][:2]]
        assert at == [pre, post]
        assert table[name][2:] == [f"{change:.4f}" for change in changes]


def on_arrays(rule, pre, post):
    return learn(rule, [[0.0]], pre, post)[0][0, 0]


def in_a_network(rule, pre, post):
    net = sl.Network()
    net.input = sl.Encoder(1, coding_method="null")
    net.teacher = sl.Encoder(1, coding_method="null")
    net.out = sl.NeuronGroup(1, model="lif", tau_m=1e-3, v_th=50.0)
    net.plastic = sl.Connection(net.input, net.out, link_type="full", weight=[[0.0]])
    net.told = sl.Connection(net.teacher, net.out, link_type="full", weight=[[100.0]], is_parameter=False)
    net.learner = sl.Learner(trainable=net.plastic, algorithm=rule)
    net.set_backend(sl.TorchBackend(dtype=torch.float64, dt=1.0))
    net.input(pre[None])
    net.teacher(post[None])
    net.run(float(STEPS))
    return net.plastic.weight.value.item()


def _plastic_run(rule, pre, post, path):
    run = PlasticRun(LIF(tau_m=1e-3, v_th=50.0), rule, torch.zeros(1, 1, dtype=torch.float64), dt=1.0, path=path)
    assert run.path == ("kernel path" if path == "auto" else "torch path")
    spikes = sl.Spikes.from_raster(pre.astype(np.int8), 1.0, batched=False)
    fired = run.run(spikes, current=torch.from_numpy(100.0 * post))
    assert np.array_equal(fired.numpy(), post)
    return run.state.weights.item()


def by_the_kernel(rule, pre, post):
    return _plastic_run(rule, pre, post, "auto")


def by_the_loop(rule, pre, post):
    return _plastic_run(rule, pre, post, "torch")


@pytest.mark.parametrize("engine", [on_arrays, in_a_network, by_the_kernel, by_the_loop])
@pytest.mark.parametrize("name", BY_HAND)
def test_every_engine_gives_the_table(engine, name):
    pre, post, changes = BY_HAND[name]
    trains = np.zeros((2, STEPS, 1))
    trains[0, list(pre)], trains[1, list(post)] = 1, 1
    found = [
        engine(stdp(a_plus=1.0, a_minus=0.5, nearest=nearest, before=before, **FREE), *trains)
        for nearest, before in WAYS
    ]
    assert found == pytest.approx(changes, abs=1e-12)
