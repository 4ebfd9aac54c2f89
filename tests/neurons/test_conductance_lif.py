"""The neuron with conductances against its closed form, an adaptive solver, and in a network of two ports."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from neuron_runs import run
from scipy.integrate import solve_ivp

import spikeloom as sl
from spikeloom.errors import ParameterError
from spikeloom.filters import LowPass
from spikeloom.neurons import NEURONS, ConductanceLIF, with_refractory
from spikeloom.ops import NumpyOps

G = st.floats(0.0, 20.0)


@given(G, G, st.floats(0.01, 10.0), st.integers(1, 30))
def test_constant_conductances_draw_the_potential_to_their_mean_exactly(g_exc, g_inh, dt, n):
    neuron = ConductanceLIF(v_th=1e9)
    _, states = run(neuron, (np.full(n, g_exc), np.full(n, g_inh)), dt)
    held = (-60.0 + 0.0 * g_exc - 80.0 * g_inh) / (1 + g_exc + g_inh)
    expected = held + (-60.0 - held) * math.exp(-n * dt * (1 + g_exc + g_inh) / 20.0)
    assert states.v[-1] == pytest.approx(expected, rel=1e-9)


def conductance(spikes, tau, dt):
    """What a low-pass filter of a connection makes of weighted spikes."""
    return LowPass(tau=tau).scan(spikes, dt, NumpyOps())[0]


def test_a_coba_neuron_answers_to_spikes_as_the_equations_do():
    # Brette et al. (2007), benchmark 1: 6 nS and 67 nS over a leak of 10 nS, 5 and 10 ms, one spike at 2 and at 12 ms
    dt, t_exc, t_inh = 0.005, 2.0, 12.0

    def slope(t, y):
        g_exc = 0.6 * math.exp(-(t - t_exc) / 5) if t >= t_exc else 0.0
        g_inh = 6.7 * math.exp(-(t - t_inh) / 10) if t >= t_inh else 0.0
        return (-60 - y + g_exc * (0 - y) + g_inh * (-80 - y)) / 20

    times = dt * np.arange(1, 8001)
    truth = solve_ivp(slope, (0, 40), [-60.0], t_eval=times, rtol=1e-9, atol=1e-9, max_step=0.1).y[0]
    exc, inh = np.zeros((2, 8000))
    exc[round(t_exc / dt)], inh[round(t_inh / dt)] = 0.6, 6.7
    given = conductance(exc, 5.0, dt), conductance(inh, 10.0, dt)
    _, states = run(ConductanceLIF(), given, dt)
    np.testing.assert_allclose(states.v, truth, atol=0.02)
    assert truth.max() > -56
    assert truth.min() < -69


def test_inhibition_at_rest_shunts_and_does_not_move_the_potential():
    neuron = ConductanceLIF(e_inh=-60.0)
    exc, inh = np.full(400, 0.1), np.full(400, 3.0)
    _, alone = run(neuron, (0 * exc, inh), 0.1)
    np.testing.assert_allclose(alone.v, -60.0, atol=1e-12)
    _, driven = run(neuron, (exc, 0 * inh), 0.1)
    _, shunted = run(neuron, (exc, inh), 0.1)
    assert shunted.v[-1] + 60 < 0.4 * (driven.v[-1] + 60)


def test_a_conductance_below_zero_counts_as_none():
    _, states = run(ConductanceLIF(), (np.array([-5.0, -1.0]), np.array([-0.5, -1.0])), 0.1)
    np.testing.assert_array_equal(states.v, [-60.0, -60.0])


def test_it_fires_at_the_threshold_and_is_reset():
    outputs, states = run(ConductanceLIF(v_reset=-65.0), (np.array([1e3, 0.0]), np.zeros(2)), 1.0)
    assert outputs.tolist() == [1, 0]
    assert states.v[0] == -65.0


def test_two_connections_bring_excitation_and_inhibition_by_two_ports():
    found = {}
    for path in ("auto", "torch"):
        net = sl.Network()
        net.exc, net.inh = sl.Encoder(2, coding_method="null"), sl.Encoder(1, coding_method="null")
        net.a = sl.NeuronGroup(2, "conductance_lif")
        net.e = sl.Connection(
            net.exc, net.a, link_type="full", weight=0.6 * np.eye(2), port="excitatory", filter=LowPass(tau=5.0)
        )
        net.i = sl.Connection(
            net.inh, net.a, link_type="full", weight=[[0.0], [6.7]], port="gi", filter=LowPass(tau=10.0)
        )
        net.v = sl.StateMonitor(net.a, "v")
        net.set_backend(sl.TorchBackend(dt=0.1, dtype=torch.float64, path=path))
        raster = np.zeros((1, 200, 3))
        raster[0, 10], raster[0, 60, 2] = 1, 1
        net.exc(raster[..., :2])
        net.inh(raster[..., 2:])
        net.run(20.0)
        found[path] = net.v.values[0]
    filtered = [conductance(w * raster[0, :, k], tau, 0.1) for k, w, tau in ((0, 0.6, 5.0), (2, 6.7, 10.0))]
    for neuron, inh in ((0, 0.0), (1, 1.0)):
        _, states = run(ConductanceLIF(), (filtered[0], inh * filtered[1]), 0.1)
        for path in found:
            np.testing.assert_allclose(found[path][neuron], states.v, rtol=1e-10)


def test_the_refractory_period_of_the_benchmark_can_be_added():
    given = np.full(400, 5.0), np.zeros(400)
    free, _ = run(ConductanceLIF(), given, 0.1)
    rests, _ = run(with_refractory(ConductanceLIF(), 5.0), given, 0.1)
    assert np.diff(np.flatnonzero(rests)).min() == np.diff(np.flatnonzero(free)).min() + 50


def test_users_of_other_simulators_find_it():
    assert NEURONS["cond_lif"] is NEURONS["COBALIF"] is ConductanceLIF
    neuron = sl.NeuronGroup(2, "conductance_lif", tau_m=15.0, E_L=-65.0, Ee=5.0, E_in=-75.0, V_reset=-70.0).neuron
    assert (neuron.tau_m, neuron.v_rest, neuron.e_exc, neuron.e_inh, neuron.v_reset) == (15.0, -65.0, 5.0, -75.0, -70.0)


@pytest.mark.parametrize("wrong", [{"tau_m": 0.0}, {"e_exc": np.nan}, {"e_inh": "x"}, {"v_rest": np.inf}])
def test_a_wrong_parameter_is_refused_by_name(wrong):
    with pytest.raises(ParameterError, match=rf"ConductanceLIF\.{next(iter(wrong))} must be"):
        ConductanceLIF(**wrong)


def test_a_port_that_it_does_not_have_is_refused():
    net = sl.Network()
    net.x, net.a = sl.Encoder(2, coding_method="null"), sl.NeuronGroup(2, "conductance_lif")
    with pytest.raises(ParameterError, match=r"port must be one of g_exc, g_inh, got 'i_syn'"):
        sl.Connection(net.x, net.a, link_type="full", port="i_syn")
