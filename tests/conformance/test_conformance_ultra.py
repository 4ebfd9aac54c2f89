"""Conformance 18: the soft maximum lies within eps log 2 of the maximum, and as eps -> 0 UltraLIF becomes LIF-max."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spikeloom import Connection, Emission, Encoder, Network, NeuronGroup, StateMonitor
from spikeloom.neurons.ultralif import EPS_LIMITS, soft_maximum
from spikeloom.ops import NumpyOps

OPS = NumpyOps()
NUMBERS = st.floats(-1e3, 1e3)


@given(NUMBERS, NUMBERS, st.floats(1e-3, 20.0))
def test_a_soft_maximum_lies_above_the_maximum_by_eps_log_2_at_most(a, b, eps):
    found = soft_maximum((np.array(a), np.array(b)), eps, OPS)
    slack = 1e-12 * max(1.0, abs(a), abs(b))
    assert -slack <= found - max(a, b) <= eps * math.log(2) + slack


@given(NUMBERS, st.floats(1e-3, 20.0))
def test_of_two_equal_numbers_it_is_above_by_exactly_eps_log_2(a, eps):
    np.testing.assert_allclose(soft_maximum((np.array(a), np.array(a)), eps, OPS) - a, eps * math.log(2), atol=1e-9)


def potentials(scale: float) -> tuple[np.ndarray, np.ndarray]:
    """The potentials of hardened UltraLIF neurons of the least eps, over inputs of a scale, and the inputs."""
    current = np.random.default_rng(0).normal(0.0, scale, (3, 40, 6))
    hard = Emission(variable="a", threshold=0.0, forward="step", reset="none")
    net = Network()
    with net:
        net.source = Encoder(6, coding_method="null")
        net.cells = NeuronGroup(6, model="ultralif", log_eps=math.log(EPS_LIMITS[0]), v_th=scale, emission=hard)
        net.link = Connection(net.source, net.cells, link_type="one_to_one", weight=np.ones(6))
        net.v = StateMonitor(net.cells, "v")
    net.set_backend_dt(1.0)
    net.source(current.astype(np.float32))
    net.run(40.0)
    return np.moveaxis(net.v.values, 2, 1), current


@pytest.mark.parametrize("scale", [10.0, 100.0, 1000.0])
def test_as_eps_becomes_small_beside_the_inputs_the_dynamics_become_those_of_the_maximum(scale):
    """v <- max(v + log tau, i), set to 0 where v >= v_th: what is left of eps in units of the inputs bounds the gap."""
    found, current = potentials(scale)
    v, spikes = np.zeros((3, 6)), 0
    for t in range(40):
        v = np.maximum(v + math.log(0.9), current[:, t])
        fires = v >= scale
        spikes += int(fires.sum())
        v = np.where(fires, 0.0, v)
        gap = np.abs(found[:, t] - v)
        near = gap > scale / 2  # eps made a neuron at its threshold fire, or not
        assert gap[~near].max() <= (t + 1) * EPS_LIMITS[0] * math.log(2) + 1e-4 * scale
        assert near.mean() <= (0.1 if scale == 10 else 0.0)
        v = np.where(near, found[:, t], v)
    assert 50 < spikes < 600
