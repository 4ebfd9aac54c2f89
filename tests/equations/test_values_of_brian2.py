"""The same equations in Brian2 2.9 (NumPy 1.26, code generation in NumPy): the values that it printed."""

import numpy as np

import spikeloom as sl
from spikeloom.neurons import advance
from spikeloom.ops import NumpyOps

STEPS = (10, 44, 99, 300, 599)


def run(neuron, inputs, dt=0.1):
    """The steps at which a neuron fires, and its states after the reset of each step."""
    state = neuron.State(*(np.zeros(1) + v for v in neuron.initial()))
    fired, states = [], []
    for k, given in enumerate(inputs):
        output, state = advance(neuron, state, np.array([given]), dt, NumpyOps())
        states.append([part[0] for part in state])
        fired += [k] * int(output[0])
    return fired, np.array(states)


def test_a_leaky_neuron_with_an_exponential_current_and_a_refractory_period():
    """method='exact', refractory=1*ms: Brian2 holds the nine steps that begin within 1 ms after that of the spike."""
    neuron = sl.custom_model(
        "dv/dt = (v_rest - v + R*x)/tau : volt (unless refractory)\ndx/dt = -x/tau_x : amp",
        on_input="x += i",
        threshold="v > v_th",
        reset="v = v_r",
        refractory="0.9*ms",
        parameters={
            "v_rest": "-70*mV", "R": "90*Mohm", "tau": "9*ms", "tau_x": "4*ms", "v_th": "-50*mV", "v_r": "-68*mV"
        },
        initial={"v": "v_rest"},
    )  # fmt: skip
    assert neuron.methods == {"v": "exact", "x": "exact"}
    fired, states = run(neuron, np.random.default_rng(0).uniform(0, 0.06, 600))
    assert fired == [
        46, 78, 104, 129, 154, 179, 204, 230, 255, 280, 304, 329, 355, 382, 408, 433, 458, 484, 510, 535, 561, 588
    ]  # fmt: skip
    v = [-68.64271609082144, -51.28231377137753, -54.49806282585509, -54.458209221426634, -65.6759452692879]
    x = [0.3441030887945345, 0.8674957627436625, 1.3293556963564478, 1.3773470858664776, 1.2097962419364678]
    np.testing.assert_allclose(states[STEPS, 0], v, rtol=1e-13)
    np.testing.assert_allclose(states[STEPS, 1], x, rtol=1e-13)


def test_an_adaptive_exponential_neuron_by_euler():
    """Brette & Gerstner (2005), regular spiking, 1 nA for 200 ms."""
    neuron = sl.custom_model(
        """
        dv/dt = (gL*(EL - v) + gL*DeltaT*exp((v - VT)/DeltaT) + I - w)/C : volt
        dw/dt = (a*(v - EL) - w)/tauw : amp
        I : nA (input)
        """,
        threshold="v > Vcut",
        reset="v = Vr; w += b",
        method="euler",
        initial={"v": "EL"},
        parameters={
            "C": "281*pF", "gL": "30*nS", "tauw": "144*ms", "EL": "-70.6*mV", "VT": "-50.4*mV", "DeltaT": "2*mV",
            "a": "4*nS", "b": "0.0805*nA", "Vr": "-70.6*mV", "Vcut": "-30*mV",
        },
    )  # fmt: skip
    fired, states = run(neuron, np.ones(2000))
    assert fired == [119, 257, 418, 606, 827, 1084, 1377, 1698]
    v = [-66.88785139742938, -57.83099257200938, -47.96835057708648, -60.2633992965466, -44.51937444737274]
    w = [5.2553779680103835e-5, 8.355872871083788e-4, 3.485469514343847e-3, 0.15943607919643556, 0.21285160454020678]
    np.testing.assert_allclose(states[STEPS, 0], v, rtol=1e-11)
    np.testing.assert_allclose(states[STEPS, 1], w, rtol=1e-11)
