"""The leaky neurons of the catalogue against closed forms and fine integration."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import solve_ivp
from scipy.linalg import expm
from stepping import SILENT, fired, run

from spikeloom.errors import ParameterError
from spikeloom.network import NeuronGroup
from spikeloom.neurons import (
    ALIF,
    CLIF,
    LIFM,
    NEURONS,
    PLIF,
    ConstantCurrentLIF,
    CubaLIF,
    Emission,
    NonSpikingLIF,
    Subtract,
    advance,
    neuron_from,
)
from spikeloom.neurons.exact import overlap
from spikeloom.ops import NumpyOps

TAU = st.floats(0.5, 200.0)
DT = st.floats(0.01, 5.0)


# ---- plif


def test_the_leak_of_plif_is_a_sigmoid_of_what_is_trained():
    """v after n steps of a constant input from 0 is i (1 - (1 - 1/tau)^n)."""
    for tau in (1.5, 2.0, 10.0):
        neuron = PLIF(tau_m=tau, v_th=SILENT)
        assert 1 / (1 + math.exp(-neuron.w)) == pytest.approx(1 / tau, rel=1e-14)
        _, states = run(neuron, np.full(7, 0.6), 0.1)
        np.testing.assert_allclose(states["v"], 0.6 * (1 - (1 - 1 / tau) ** np.arange(1, 8)), rtol=1e-13)


def test_plif_as_spikingjelly_has_it_without_decay_of_the_input():
    """v <- v - (v - v_reset) / tau + x, from v_reset."""
    _, states = run(PLIF(tau_m=4.0, v_reset=-0.5, v_th=SILENT, scale_input=False), np.array([1.0, 0.0, 0.3]), 1.0)
    expected = [-0.5 + 1.0]
    for x in (0.0, 0.3):
        expected.append(expected[-1] - (expected[-1] + 0.5) / 4 + x)
    np.testing.assert_allclose(states["v"], expected, rtol=1e-14)


def test_plif_does_not_depend_on_dt_and_trains_w():
    x = np.random.default_rng(0).random(50) * 2
    np.testing.assert_array_equal(run(PLIF(), x, 0.1)[1]["v"], run(PLIF(), x, 5.0)[1]["v"])
    assert PLIF.trains == ("w",)
    assert (PLIF().tau_m, PLIF().w) == (2.0, 0.0)


def test_plif_takes_either_of_its_two_parameters():
    assert PLIF(w=math.log(0.25)).tau_m == pytest.approx(5.0)
    assert PLIF(tau_m=5.0) == neuron_from(PLIF, {"tau_m": 5.0, "w": PLIF(tau_m=5.0).w})
    many = PLIF(tau_m=np.array([2.0, 3.0]))
    np.testing.assert_allclose(many.w, [0.0, -math.log(2)], atol=1e-15)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"tau_m": 1.0}, r"PLIF\.tau_m must be a number of steps above 1, got 1\.0"),
        ({"tau_m": [2.0, 0.5]}, r"PLIF\.tau_m must be a number of steps above 1"),
        ({"tau_m": "2"}, r"PLIF\.tau_m must be"),
        ({"w": math.nan}, r"PLIF\.w must be"),
        ({"tau_m": 3.0, "w": 0.0}, r"PLIF\.tau_m = 3\.0 and w = 0\.0 do not agree; give one of them"),
        ({"tau_m": [2.0, 2.0], "w": 0.0}, r"do not agree"),
        ({"scale_input": 1}, r"PLIF\.scale_input must be True or False"),
    ],
)
def test_a_leak_that_is_none_is_refused(wrong, message):
    with pytest.raises(ParameterError, match=message):
        PLIF(**wrong)


# ---- names


@pytest.mark.parametrize(
    ("name", "model"),
    [
        ("ParametricLIFNode", PLIF), ("PLIF", PLIF), ("LSNN", ALIF), ("adaptive_lif", ALIF), ("Synaptic", LIFM),
        ("CubaLIF", CubaLIF), ("LIFCell", CubaLIF), ("nonspikinglif", NonSpikingLIF), ("lifm", LIFM),
        ("constantcurrentlif", ConstantCurrentLIF),
    ],
)  # fmt: skip
def test_names_of_spaic_and_others_lead_to_the_model(name, model):
    assert NEURONS[name] is model


def test_names_of_other_packages_lead_to_the_parameters():
    group = NeuronGroup(2, "alif", tau_mem=10.0, tau_adaptation=50.0, v_threshold=0.5)
    assert group.neuron == ALIF(tau_m=10.0, tau_a=50.0, v_th=0.5)
    assert NeuronGroup(2, "plif", init_tau=3.0, decay_input=False).neuron == PLIF(tau_m=3.0, scale_input=False)
    nir = NeuronGroup(2, "cubalif", tau_mem=8.0, tau_syn=4.0, r=2.0, v_leak=0.1, v_threshold=2.0, w_in=3.0)
    assert nir.neuron == CubaLIF(tau_m=8.0, tau_syn=4.0, r=2.0, v_rest=0.1, v_th=2.0, w_in=3.0)


# ---- lifm, constant current, read-out


def test_the_response_of_lifm_to_one_input_is_a_difference_of_exponentials():
    """A geometric sum: v_n = (b^(n+1) - a^(n+1)) / (b - a) of the factors of membrane and current."""
    a, b, n = math.exp(-0.5 / 1), math.exp(-0.5 / 10), np.arange(40)
    _, states = run(LIFM(v_th=SILENT), np.eye(1, 40)[0], 0.5)
    np.testing.assert_allclose(states["v"], (b ** (n + 1) - a ** (n + 1)) / (b - a), rtol=1e-12)
    np.testing.assert_allclose(states["i_syn"], a**n, rtol=1e-12)


@given(st.floats(1.05, 5.0), DT, TAU)
def test_a_constant_current_fires_with_the_period_of_theory(i, dt, tau_m):
    """tau dv/dt = i - v reaches 1 from 0 after tau log(i / (i - 1)); no step late, and reset at once."""
    period = max(1, math.ceil(tau_m * math.log(i / (i - 1)) / dt - 1e-9))
    if period > 200 or abs(tau_m * math.log(i / (i - 1)) / dt - round(tau_m * math.log(i / (i - 1)) / dt)) < 1e-6:
        return
    n = 3 * period
    assert fired(ConstantCurrentLIF(tau_m=tau_m), np.full(n, i), dt) == [k * period - 1 for k in (1, 2, 3)]


def test_a_read_out_follows_its_response_exactly():
    """Between steps m - s is constant: the exact solution of tau dv/dt = m - s - v."""
    neuron, dt, n = NonSpikingLIF(tau_m=3.0), 0.5, 60
    outputs, states = run(neuron, np.eye(1, n)[0], dt)
    t = np.arange(n) * dt
    drive = neuron.v_0 * (np.exp(-t / 4) - np.exp(-t / 1))
    np.testing.assert_allclose(states["m"] - states["s"], drive, atol=1e-13)
    fine = [0.0]
    for d in drive:
        fine.append(solve_ivp(lambda _, v, d=d: (d - v) / 3.0, (0, dt), fine[-1:], rtol=1e-11, atol=1e-13).y[0, -1])
    np.testing.assert_allclose(outputs, fine[1:], atol=1e-9)
    assert NonSpikingLIF().v_0 == CLIF(tau_p=4.0, tau_q=1.0).v_0


# ---- alif


def test_an_adaptive_threshold_is_what_the_paper_says():
    """Bellec et al. 2020, eq. 6-8, with the reset in the step of the spike."""
    x = np.random.default_rng(3).random(300) * 0.4
    outputs, states = run(ALIF(beta=0.3), x, 1.0)
    alpha, rho = math.exp(-1 / 20), math.exp(-1 / 200)
    v = a = z = 0.0
    for t, i in enumerate(x):
        a = rho * a + z
        v = alpha * (v - z) + i
        z = float(v >= 1.0 + 0.3 * a)
        assert outputs[t] == z
        assert states["v"][t] == pytest.approx(v - z, abs=1e-12)
    assert 5 < outputs.sum() < 60


def test_without_adaptation_alif_is_a_leaky_neuron_that_subtracts():
    x = np.random.default_rng(3).random(200) * 0.4
    plain = NEURONS["lif"](tau_m=20.0, emission=Emission(reset=Subtract()))
    assert fired(ALIF(beta=0.0), x, 1.0) == fired(plain, x, 1.0)


def test_intervals_of_an_adaptive_neuron_grow_under_a_constant_current():
    intervals = np.diff(fired(ALIF(), np.full(400, 0.3), 1.0))
    assert intervals[0] < intervals[-1]
    assert np.all(np.diff(intervals) >= -1)


def test_the_form_of_2018_scales_the_input_and_subtracts_the_raised_threshold():
    neuron = ALIF(scale_input=True, emission=Emission(reset=Subtract()), beta=0.5)
    after = neuron.State(np.array([2.0]), np.array([1.0]))
    output, state = advance(neuron, after, np.array([3.0]), 1.0, NumpyOps())
    alpha = math.exp(-1 / 20)
    assert output == 1
    assert state.v == pytest.approx(2.0 * alpha + 3.0 * (1 - alpha) - 1.5)


# ---- cubalif


@given(TAU, TAU, DT, st.floats(-2, 2), st.floats(-2, 2))
def test_cubalif_is_the_exact_solution_for_inputs_that_are_constant_over_a_step(tau_m, tau_syn, dt, r, w_in):
    """d/dt (i_syn, v, 1) is a matrix; its exponential is the step."""
    x = np.array([1.0, -0.5, 0.0, 2.0])
    neuron = CubaLIF(tau_m=tau_m, tau_syn=tau_syn, r=r, w_in=w_in, v_rest=0.3, v_th=SILENT)
    _, states = run(neuron, x, dt)
    now = np.array([0.0, 0.3, 1.0])
    for t, i in enumerate(x):
        matrix = [[-1 / tau_syn, 0, w_in * i / tau_syn], [r / tau_m, -1 / tau_m, 0.3 / tau_m], [0, 0, 0]]
        now = expm(np.array(matrix) * dt) @ now
        assert [states["i_syn"][t], states["v"][t]] == pytest.approx(now[:2].tolist(), rel=1e-9, abs=1e-11)


@pytest.mark.parametrize("difference", [0.0, 1e-12, 1e-9, 1e-6])
def test_equal_time_constants_give_the_alpha_function(difference):
    """After a jump of i_syn to 1: v = t / tau exp(-t / tau)."""
    neuron = CubaLIF(tau_m=5.0, tau_syn=5.0 + difference, v_th=SILENT)
    state = neuron.State(0.0, 1.0)
    for k in range(1, 40):
        state = neuron.update(state, 0.0, 0.5, NumpyOps())
        t = 0.5 * k
        assert state.v == pytest.approx(t / 5 * math.exp(-t / 5), rel=1e-6 if difference == 1e-6 else 1e-9)


@given(st.floats(0, 3), st.floats(0, 3), DT)
def test_an_overlap_is_the_integral_that_it_says(a, b, dt):
    s = np.linspace(0, dt, 4001)
    values = np.exp(-a * (dt - s) - b * s)
    simpson = (values[0] + values[-1] + 4 * values[1:-1:2].sum() + 2 * values[2:-1:2].sum()) * (s[1] - s[0]) / 3
    assert overlap(a, b, dt, NumpyOps()) == pytest.approx(simpson, rel=1e-9)


def test_a_very_long_step_leaves_what_the_input_sustains():
    _, states = run(CubaLIF(v_th=SILENT, r=2.0, tau_m=0.01, tau_syn=0.005), np.array([1.5]), 1e4)
    assert states["v"][0] == pytest.approx(3.0)


@pytest.mark.parametrize(
    ("model", "name"),
    [(LIFM, "tau_p"), (LIFM, "tau_m"), (ConstantCurrentLIF, "tau_m"), (NonSpikingLIF, "tau_m"), (ALIF, "tau_a"),
     (CubaLIF, "tau_syn"), (CubaLIF, "tau_m")],
)  # fmt: skip
@pytest.mark.parametrize("value", [0.0, -1.0, math.nan, "5", True])
def test_a_time_constant_that_is_no_positive_time_is_refused(model, name, value):
    with pytest.raises(ParameterError, match=rf"{model.__name__}\.{name} must be"):
        model(**{name: value})


def test_a_read_out_without_a_peak_is_refused():
    with pytest.raises(ParameterError, match=r"NonSpikingLIF\.tau_p must be greater than tau_q"):
        NonSpikingLIF(tau_p=1.0)
