"""Neurons from equations beside those written by hand: alone, in networks, on both compute paths."""

import copy
import itertools
import pickle
import re
from dataclasses import replace

import numpy as np
import pytest
import sympy as sp
import torch
from kernel_networks import reader
from twins import LIF_VALUES, TWINS, adaptive, izhikevich, lif, lif_by_input

import spikeloom as sl
from spikeloom.backends.ops import TorchOps, fire
from spikeloom.errors import ParameterError
from spikeloom.neurons import LIF, Emission, Sigmoid, Subtract, SubtractValue, ToValue, advance, with_refractory
from spikeloom.neurons.custom import Custom
from spikeloom.ops import NumpyOps, SympyOps

XP = NumpyOps()
EXPONENTIAL_CURRENT = {
    "equations": "dv/dt = (v_rest - v + R*x)/tau : mV (unless refractory)\ndx/dt = -x/tau_x : nA",
    "on_input": "x += i",
    "threshold": "v > v_th",
    "reset": "v = v_r",
    "refractory": "t_r",
    "parameters": {"v_rest": -70, "R": 90.0, "tau": 9.0, "tau_x": 4.0, "v_th": -50.0, "v_r": -68.0, "t_r": "3*ms"},
    "initial": {"v": "v_rest"},
}
HODGKIN_HUXLEY = {
    "equations": """
    dv/dt = (i + g_na*m**3*h*(e_na - v) + g_k*n**4*(e_k - v) + g_l*(e_l - v))/c : mV
    dm/dt = a_m*(1 - m) - b_m*m : 1
    dh/dt = a_h*(1 - h) - b_h*h : 1
    dn/dt = a_n*(1 - n) - b_n*n : 1
    a_m = 1/exprel(-(v + 40*mV)/(10*mV))/ms : Hz
    b_m = 4*exp(-(v + 65*mV)/(18*mV))/ms : Hz
    a_h = 0.07*exp(-(v + 65*mV)/(20*mV))/ms : Hz
    b_h = 1/(1 + exp(-(v + 35*mV)/(10*mV)))/ms : Hz
    a_n = 0.1/exprel(-(v + 55*mV)/(10*mV))/ms : Hz
    b_n = 0.125*exp(-(v + 65*mV)/(80*mV))/ms : Hz
    """,
    "threshold": "v > -20*mV",
    "refractory": "v > -20*mV",
    "parameters": {"g_na": 1.2, "g_k": 0.36, "g_l": "3*nS", "e_na": 50, "e_k": -77, "e_l": -54.4, "c": "10*pF"},
    "initial": {"v": -65, "m": 0.05, "h": 0.6, "n": 0.32},
}


def run(neuron, inputs, dt=1.0, xp=XP, fires=None):
    """Outputs and states over some steps."""
    like = inputs[0] if isinstance(inputs[0], torch.Tensor) else np.asarray(inputs[0], dtype=float)
    state = neuron.State(*(0.0 * like + v for v in neuron.initial()))
    outputs, states = [], []
    for given in inputs:
        output, state = advance(neuron, state, given, dt, xp, *([fires] if fires else []))
        outputs.append(output)
        states.append(state)
    return np.array([np.asarray(o) for o in outputs]), states


def drive(gain, shape=(200, 5), seed=0):
    return gain * np.random.default_rng(seed).uniform(-0.4, 1.0, shape)


@pytest.mark.parametrize("name", TWINS)
@pytest.mark.parametrize("dt", [0.25, 1.0])
def test_equations_equal_the_neuron_by_hand(name, dt):
    make, twin, gain = TWINS[name]
    outputs, states = run(make(), drive(gain), dt)
    wanted, others = run(twin, drive(gain), dt)
    assert 0.003 < wanted.mean() < 0.9
    np.testing.assert_array_equal(outputs, wanted)
    for a, b in zip(states, others, strict=True):
        for x, y in zip(a, b, strict=True):
            np.testing.assert_allclose(x, y, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", TWINS)
def test_gradients_equal_those_of_the_neuron_by_hand(name):
    make, twin, gain = TWINS[name]
    found = []
    for neuron in (make(), twin):
        inputs = torch.from_numpy(drive(gain, (60, 5))).requires_grad_()
        leaves = {n: torch.tensor(float(getattr(twin, n)), dtype=torch.float64, requires_grad=True)
                  for n in type(twin).trains}  # fmt: skip
        bound = neuron.bound(leaves)
        state = bound.State(*(torch.zeros(5, dtype=torch.float64) + v for v in bound.initial()))
        total = 0.0
        for given in inputs.unbind():
            output, state = advance(bound, state, given, 1.0, TorchOps(), fire)
            total = total + output.sum() + state[0].square().sum() / gain**2
        found.append(torch.autograd.grad(total, [inputs, *leaves.values()], allow_unused=True))
    for a, b in zip(*found, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-10 * float(b.abs().max()))


def network(model, path, gain=1.0, trains=(), dt=1.0, **options):
    """Spikes, potentials and gradients of a population with a loop on a compute path."""
    net = sl.Network()
    net.x = sl.Encoder(7, coding_method="null")
    net.a = sl.NeuronGroup(13, model, parameter_variables=trains, **options)
    for k, port in enumerate(type(net.a.neuron).ports):
        setattr(net, f"c{k}", sl.Connection(net.x, net.a, link_type="full", w_mean=0.3 * gain, w_std=gain, port=port))
    net.loop = sl.Connection(net.a, net.a, link_type="full", w_std=0.2 * gain, port=type(net.a.neuron).ports[0])
    net.spikes, net.v = reader(net.a, "spikes"), reader(net.a, net.a.neuron.State._fields[0])
    net.set_backend(sl.TorchBackend(dt=dt, dtype=torch.float64, path=path))
    net.set_random_seed(3)
    net.x(np.random.default_rng(0).random((4, 40, 7)))
    net.run(40 * dt)
    (net.spikes.predict.sum() + (net.v.predict / gain).square().sum()).backward()
    grads = {name: p.grad for name, p in net.named_parameters()}
    return net, {"spikes": net.spikes.predict.detach(), "v": net.v.predict.detach()} | grads


def on_both_paths(model, **options):
    """What comes out, equal on both paths."""
    (net, found), (_, wanted) = (network(model, path, **options) for path in ("auto", "torch"))
    assert net.plan.blocks[0].path == "kernel path", net.plan
    if net.a.neuron.emission.forward.uses_surrogate:
        assert torch.equal(found["spikes"], wanted["spikes"])
    for name, value in wanted.items():
        if value is None:
            assert found[name] is None or not found[name].any(), name
        else:
            torch.testing.assert_close(found[name], value, rtol=1e-10, atol=1e-10 * float(value.abs().max()))
    return wanted


KERNELS = {
    "adaptive threshold": (adaptive(), ("tau", "tau_u", "jump", "v_th"), 1.0),
    "izhikevich": (izhikevich(), ("a", "b", "c", "d", "v_th"), 40.0),
    "exponential current": (sl.custom_model(**EXPONENTIAL_CURRENT), ("tau", "tau_x", "R", "v_th", "v_r"), 1.0),
    "hodgkin huxley": (sl.custom_model(**HODGKIN_HUXLEY), ("g_na", "c"), 0.4),
    "hodgkin huxley by rk2": (sl.custom_model(**HODGKIN_HUXLEY, method="rk2"), ("g_na", "c"), 0.4),
    "resonator": (
        sl.custom_model(
            "dv/dt = -v/tau - w/tau_w + i/tau : 1\ndw/dt = (v - w)/tau_w : 1", threshold="v > v_th and w < top",
            reset="v *= 0.3; w = w_r", parameters={"tau": 9.0, "tau_w": 5.0, "v_th": 0.4, "top": 2.0, "w_r": 0.2}),
        ("tau", "tau_w", "v_th", "w_r"), 1.0),
    "a choice of parameters": (
        sl.custom_model("dv/dt = (where(a > 1, 2, 3)*a*exprel(-v*v) - v)/tau + i/ms : 1", threshold="v > 1.5",
                        reset="v -= 1.5", parameters={"tau": 8.0, "a": 0.4}), ("tau", "a"), 1.0),
    "two ports": (
        sl.custom_model("dv/dt = (-v + e)/tau/(1 + abs(s)) : 1\ne : 1 (input)\ns : 1 (input)", threshold="v > 0.1",
                        reset="v = 0", parameters={"tau": 5.0}), ("tau",), 1.0),
    "not spiking": (sl.custom_model("dv/dt = (i - v)/tau : 1", parameters={"tau": 8.0}), ("tau",), 1.0),
    "smooth": (lif(forward="smooth"), ("tau_m", "v_reset"), 1.0),
}  # fmt: skip


@pytest.mark.parametrize("name", KERNELS)
def test_a_model_from_equations_runs_in_kernels_as_on_tensors(name):
    model, trains, gain = KERNELS[name]
    wanted = on_both_paths(model, trains=trains, gain=gain, dt=0.02 if "huxley" in name else 1.0)
    if name != "not spiking":
        assert 0.003 < wanted["spikes"].mean() < 0.9
    assert all(wanted[f"a.{parameter}"].any() for parameter in trains)


@pytest.mark.parametrize("name", TWINS)
def test_a_network_of_equations_equals_that_of_the_neuron_by_hand(name):
    make, twin, gain = TWINS[name]
    trains = type(twin).trains or ("tau_m", "v_th")
    for path in ("auto", "torch"):
        (_, found), (_, wanted) = (network(m, path, gain=gain * 1.6, trains=trains) for m in (make(), twin))
        assert wanted["spikes"].any()
        assert torch.equal(found["spikes"], wanted["spikes"])
        for key, value in wanted.items():
            torch.testing.assert_close(found[key], value, rtol=1e-9, atol=1e-10 * float(value.abs().max()))


def test_parameters_for_each_neuron():
    tau = np.linspace(3.0, 9.0, 13)
    model = replace(lif(), tau_m=tau)
    wanted = on_both_paths(model, trains=("tau_m",))
    assert wanted["a.tau_m"].shape == (13,)
    hand = network(LIF(**{**LIF_VALUES, "tau_m": tau}, scale_input=True), "torch", trains=("tau_m",))[1]
    assert torch.equal(hand["spikes"], wanted["spikes"])
    torch.testing.assert_close(hand["a.tau_m"], wanted["a.tau_m"], rtol=1e-10, atol=1e-10)


def test_what_a_model_says_to_train_is_trained():
    model = lif(trains=["tau_m"])
    assert network(model, "auto", trains=None)[1]["a.tau_m"] != 0


@pytest.mark.parametrize("name", TWINS)
def test_the_lines_of_a_model_mean_the_same_on_symbols(name):
    make, _, gain = TWINS[name]
    neuron = make()
    names = neuron.parameters()
    symbols = {n: sp.Symbol(n, real=True) for n in names}
    state = neuron.State(*sp.symbols([f"{n}_before" for n in neuron.State._fields], real=True))
    i, dt = sp.symbols("i dt", real=True)
    output, after = advance(neuron.bound(symbols), state, i, dt, SympyOps())
    step = sp.lambdify([*state, i, dt, *symbols.values()], [output, *after])
    outputs, states = run(neuron, drive(gain), 0.5)
    now = tuple(neuron.initial())
    for k, given in enumerate(drive(gain)[:20, 0]):
        fired, *now = step(*now, given, 0.5, *(getattr(neuron, n) for n in names))
        assert float(fired) == outputs[k, 0]
        assert [float(x) for x in now] == pytest.approx([x[0] for x in states[k]], rel=1e-12, abs=1e-12)


# ---- emission


@pytest.mark.parametrize(
    ("reset", "wanted"),
    [
        ("v = v_reset", ToValue("v_reset")),
        ("v = -0.5", ToValue(-0.5)),
        ("v -= v_th", Subtract()),
        ("v -= v_reset", SubtractValue("v_reset")),
        ("v *= 0.25", sl.neurons.Scale(0.25)),
        ("v = v_reset + 0*v_th", sl.neurons.NoReset()),
        ("v += 0.1", sl.neurons.NoReset()),
        ("", sl.neurons.NoReset()),
    ],
)  # fmt: skip
def test_a_plain_reset_is_that_of_the_emission(reset, wanted):
    text = "dv/dt = (i - v)/(5*ms) : 1"
    used = {n: v for n, v in {"v_reset": -0.3, "v_th": 0.7}.items() if n == "v_th" or n in reset}
    neuron = sl.custom_model(text, threshold="v > v_th", reset=reset, parameters=used)
    assert neuron.emission == Emission(variable="v", threshold="v_th", reset=wanted)


def test_statements_of_a_reset_run_in_their_order():
    text, options = "dv/dt = 0 : 1\ndw/dt = 0 : 1\ndu/dt = 0 : 1", {"on_input": "v += i", "threshold": "v >= 1"}
    for reset, wanted in (
        ("w = v; v = 0.25; u = v", (0.25, 1.5, 0.25)),
        ("v = 0.25; w = v; u += 2*w", (0.25, 0.25, 1.0)),
        ("u = 3; v /= 2; w -= u*v; w *= 2", (0.75, -4.0, 3.0)),
    ):
        neuron = sl.custom_model(text, **options, reset=reset, initial={"w": 0.25, "u": 0.5})
        _, (state,) = run(neuron, [np.array([1.5, 0.5])])
        np.testing.assert_allclose(np.array(state)[:, 0], wanted, rtol=1e-15)
        np.testing.assert_array_equal(np.array(state)[:, 1], [0.5, 0.25, 0.5])  # who does not fire


def test_at_the_threshold_a_neuron_fires_whether_it_is_reached_or_passed():
    for sign in (">", ">="):
        neuron = sl.custom_model("dv/dt = 0 : 1", on_input="v += i", threshold=f"v {sign} 0.5", reset="v = 0")
        outputs, _ = run(neuron, [np.array([0.5, np.nextafter(0.5, 0)])])
        np.testing.assert_array_equal(outputs, [[1, 0]])


def test_a_condition_beside_the_threshold_decides_too():
    neuron = sl.custom_model(
        "dv/dt = 0 : 1\ndw/dt = 0 : 1", on_input="v += i; w += 1", threshold="v > 0.5 and w < 2.5 and not w == 2",
        reset="v = 0"
    )  # fmt: skip
    outputs, states = run(neuron, np.full((4, 1), 1.0))
    np.testing.assert_array_equal(outputs[:, 0], [1, 0, 0, 0])
    assert states[-1].v == 3.0


def test_a_detached_reset_and_a_surrogate_are_those_of_the_emission():
    found = {}
    for detach in (False, True):
        neuron = adaptive(surrogate="sigmoid", detach_reset=detach)
        assert (neuron.emission.surrogate, neuron.emission.detach_reset) == (Sigmoid(), detach)
        v = torch.tensor([1.5], dtype=torch.float64, requires_grad=True)
        state = neuron.State(v, torch.zeros_like(v))
        _, after = advance(neuron, state, torch.zeros_like(v), 1.0, TorchOps(), fire)
        found[detach] = [x.requires_grad and torch.autograd.grad(x.sum(), v, retain_graph=True)[0] for x in after]
    decay = np.exp(-1 / 9.5)
    assert found[True][0].item() == pytest.approx(decay)
    assert found[True][1] is False
    slope = Sigmoid().derivative(np.array(1.5 * decay - 1.0), XP)
    assert found[False][1].item() == pytest.approx(0.2 * slope * decay)


def test_a_group_may_put_another_emission_in_place():
    given = Emission(threshold="v_th", reset=Subtract(), surrogate="triangle")
    group = sl.NeuronGroup(3, lif(), emission=given)
    assert group.neuron.emission == given
    with pytest.raises(sl.ParameterError, match="there is no 'v_reset'"):
        sl.NeuronGroup(3, adaptive(), emission=Emission())


# ---- refractory


def test_a_refractory_period_is_that_of_any_model():
    """The potential that is held is that of `t_ref` on a neuron by hand."""
    text = "dv/dt = (v_rest - v + i)/tau_m : 1 (unless refractory)"
    options = {"threshold": "v > v_th", "reset": "v = v_reset", "parameters": LIF_VALUES, "initial": {"v": "v_rest"}}
    for period, dt in ((3.0, 1.0), (3.5, 1.0), (0.3, 0.1), (0.0, 1.0), (0.5, 1.0)):
        neuron = sl.custom_model(text, **options, refractory=period)
        twin = sl.NeuronGroup(1, LIF(**LIF_VALUES, scale_input=True), t_ref=period).neuron
        inputs = drive(4.0, (100, 6))
        (outputs, states), (wanted, others) = run(neuron, inputs, dt), run(twin, inputs, dt)
        assert wanted.any()
        np.testing.assert_array_equal(outputs, wanted)
        np.testing.assert_allclose([s.v for s in states], [s.v for s in others], rtol=1e-12, atol=1e-12)


def test_a_state_that_is_not_held_goes_on_in_the_refractory_period():
    neuron = sl.custom_model(
        "dv/dt = 0/ms : 1\ndw/dt = 1/ms : 1 (unless refractory)", on_input="v += i; w += 10*i", threshold="v > 0.5",
        reset="v = 0", refractory="2*ms"
    )  # fmt: skip
    outputs, states = run(neuron, np.full((7, 1), 1.0))
    np.testing.assert_array_equal(outputs[:, 0], [1, 0, 0, 1, 0, 0, 1])
    np.testing.assert_array_equal([s.v[0] for s in states], [0, 1, 2, 0, 1, 2, 0])
    np.testing.assert_array_equal([s.w[0] for s in states], [11, 11, 11, 22, 22, 22, 33])


def test_what_depends_on_a_held_state_sees_it_held():
    """w follows v, which stands still for two steps: w' = (v - w)/5 with v constant."""
    neuron = sl.custom_model(
        "dv/dt = (5 - v - w)/(4*ms) : 1 (unless refractory)\ndw/dt = (v - w)/(5*ms) : 1", threshold="v > 1",
        reset="v = 0.5", refractory=2, initial={"v": 0.9}
    )  # fmt: skip
    outputs, states = run(neuron, np.zeros((4, 1)))
    np.testing.assert_array_equal(outputs[:, 0], [1, 0, 0, 1])
    for before, after in itertools.pairwise(states[:3]):
        assert after.v == before.v == 0.5
        assert after.w[0] == pytest.approx(0.5 + (before.w[0] - 0.5) * np.exp(-1 / 5), rel=1e-13)


@pytest.mark.parametrize("method", ["auto", "euler", "rk2", "rk4"])
def test_a_state_is_held_whatever_the_method(method):
    neuron = sl.custom_model(
        "dv/dt = (5 - v*w)/(4*ms) : 1 (unless refractory)\ndw/dt = (2 - w*w)/(3*ms) : 1", threshold="v > 1",
        reset="v = 0.5", refractory=2, initial={"v": 0.9, "w": 1}, method=method
    )  # fmt: skip
    assert neuron.methods["v"] == {"auto": "exponential_euler"}.get(method, method)
    outputs, states = run(neuron, np.zeros((4, 1)))
    np.testing.assert_array_equal(outputs[:, 0], [1, 0, 0, 1])
    np.testing.assert_array_equal([s.v[0] for s in states], [0.5, 0.5, 0.5, 0.5])
    assert np.all(np.diff([s.w[0] for s in states]) > 0)


def test_hodgkin_huxley_fires_once_a_spike_as_its_condition_says():
    neuron = sl.custom_model(**HODGKIN_HUXLEY)
    outputs, states = run(neuron, np.full((2500, 1), 0.1), dt=0.02)
    v = np.array([s.v[0] for s in states])
    crossings = np.flatnonzero((v[1:] >= -20) & (v[:-1] < -20)) + 1
    assert len(crossings) >= 3
    np.testing.assert_array_equal(np.flatnonzero(outputs[:, 0]), crossings)
    assert v.max() == pytest.approx(40, abs=5)  # Hodgkin & Huxley (1952): about 105 mV above rest


def test_an_own_refractory_period_and_that_of_the_group_are_one_too_many():
    model = sl.custom_model(**EXPONENTIAL_CURRENT)
    with pytest.raises(sl.ParameterError, match="has a refractory period of its own"):
        sl.NeuronGroup(3, model, t_ref=2.0)
    assert sl.NeuronGroup(3, lif(), t_ref=2.0).neuron.t_ref == 2.0


def test_a_refractory_period_follows_spikes_only():
    with pytest.raises(sl.ParameterError, match="refractory follows a spike, and Smooth emits none"):
        sl.custom_model(**EXPONENTIAL_CURRENT, forward="smooth")


# ---- what is wrong

TEXT = "dv/dt = (v_rest - v + R*i)/tau : mV"
GOOD = {"v_rest": -70, "R": 10, "tau": 20}
AT_REST = {"v": "v_rest"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"parameters": {**GOOD, "tua": 3}}, "nothing reads the parameter 'tua'; did you mean 'tau'"),
        ({"parameters": {"v_rest": -70, "R": 10}}, r"'tau' is no variable, parameter or unit; give parameters="),
        ({"parameters": {**GOOD, "v": 3}}, "'v' has an equation"),
        ({"parameters": {**GOOD, "ms": 3}}, "'ms' is a unit"),
        ({"parameters": {**GOOD, "update": 3}}, "cannot be called 'update'"),
        ({"parameters": {**GOOD, "emission": 3}}, "cannot be called 'emission'"),
        ({"parameters": {**GOOD, "__class__": 3}}, "'__class__' cannot be a name"),
        ({"parameters": {**GOOD, "lambda": 3}}, "'lambda' cannot be a name"),
        ({"parameters": {**GOOD, 3: 3}}, "3 cannot be a name"),
        ({"parameters": {**GOOD, "Tau": 3}}, "'Tau' is as good as 'tau'"),
        ({"parameters": [3]}, "parameters must map names to values"),
        ({"parameters": {**GOOD, "tau": "x"}}, "there is no unit 'x'"),
        ({"parameters": {**GOOD, "tau": np.nan}}, "tau must be finite"),
        ({"parameters": {**GOOD, "tau": None}}, "tau must be a number"),
        ({"parameters": {**GOOD, "tau": True}}, "tau must be a number"),
        ({"parameters": {**GOOD, "tau": 0.0}}, "the first step cannot be computed .*division by zero"),
        ({"parameters": {**GOOD, "tau": np.array([1.0, 0.0])}}, "the first step from rest gives v = "),
        ({"reset": "v = 0"}, "reset and refractory need a threshold"),
        ({"refractory": 2}, "reset and refractory need a threshold"),
        ({"threshold": "v > v_th"}, "threshold: 'v_th' is no variable"),
        ({"threshold": "tau > R*nA*ms/mV"}, "threshold: `tau` is compared with no state"),
        ({"threshold": "v > i"}, "`i` cannot depend on i"),
        ({"threshold": "v > 0 and dt > 0"}, "cannot depend on dt"),
        ({"threshold": "v > 0", "reset": "u = 0"}, "only states can be set, 'u' is none; did you mean|only states"),
        ({"threshold": "v > 0", "reset": "tau = 0"}, "only states can be set, 'tau' is none"),
        ({"threshold": "v > 0", "reset": "v = R*i"}, "cannot depend on i"),
        ({"threshold": "v > 0", "refractory": "v*ms/mV"}, "cannot depend on v"),
        ({"threshold": "v > 0", "refractory": float("nan")}, "refractory must be a finite number"),
        ({"initial": {"u": 3}}, "initial: u is no state; did you mean|initial: u is no state"),
        ({"initial": {"v": "v"}}, "it can depend on parameters only, not on v"),
        ({"initial": {"v": "exp(tau/ms)*mV"}}, "must be made of numbers and parameters"),
        ({"initial": {"v": np.nan}}, "initial: v must be a finite number"),
        ({"trains": ["tua"]}, "trains: there is no parameter 'tua'; did you mean 'tau'"),
        ({"name": "my neuron"}, "name must be a name"),
        ({"name": "__import__"}, "name must be a name"),
        ({"surrogate": "nothing"}, "unknown surrogate 'nothing'"),
        ({"on_input": "v = t"}, "'t' is no variable, parameter or unit; a model does not see the clock"),
        ({"on_input": "v += xi"}, "there is no noise in equations"),
        ({"method": "Exact"}, "unknown method 'Exact'; did you mean 'exact'"),
    ],
)  # fmt: skip
def test_a_wrong_model_is_told(options, message):
    with pytest.raises(sl.SpikeloomError, match=message):
        sl.custom_model(TEXT, **{"parameters": GOOD, **options})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = 3 : 1", "there is no differential equation"),
        ("", "there is no differential equation"),
        ("dv/dt = a : 1/ms\na = b/ms : 1\nb = a : 1", "a, b are made of each other"),
        ("dv/dt = -v/ms : 1\ntau : ms", "'tau' has no value; give parameters="),
        ("dv/dt = (i + i_syn - v)/ms : 1", "i and i_syn both stand for the synaptic current"),
        ("dv/dt = -v/ms : 1\nx = 3 : 1 (input)", "an input has no equation"),
        ("dv/dt = -v/ms : 1\nx = 3 : 1 (unless refractory)", "stands behind a differential equation"),
        ("dv/dt = -v/ms : 1 (unless refractory)", "needs refractory="),
        ("dspikes/dt = -spikes/ms : 1", "'spikes' is"),
        ("di_syn/dt = -i_syn/ms : 1", "'i_syn' is what monitors call the spikes or the input of every group"),
        (
            "dv/dt = (i + i_syn - v)/ms : 1\ni : 1 (input)\ni_syn : 1 (input)",
            "i and i_syn both stand for the synaptic current; choose another name",
        ),
        ("dv/dt = -v/ms : 1\ndV/dt = -V/ms : 1", "'V' is as good as 'v'"),
        ("ddt/dt = -dt/ms : 1", "'dt' is a word of the equations"),
        ("dexp/dt = -exp/ms : 1", "'exp' is a word of the equations"),
        ("drefractory/dt = -refractory/ms : 1", "'refractory' is a word"),
        ("dv/dt = 1/(v - v)/ms : 1", "first step from rest gives v|cannot be computed"),
        ("dv/dt = log(v)/ms : 1", "the first step from rest gives v = -inf"),
        ("dv/dt = x9/ms : 1\n" + "\n".join(f"x{k} = {'+'.join([f'x{k - 1}'] * 30)} : 1" for k in range(1, 10))
         + "\nx0 = v : 1", "nested deeper than 100 levels"),
    ],
)  # fmt: skip
def test_wrong_equations_are_told(text, message):
    with pytest.raises(sl.ParameterError, match=message):
        sl.custom_model(text)


@pytest.mark.parametrize("threshold", ["v > v_th", "v >= v_th", "v > v_th and v < 1*mV", "v - v_th > 0"])
def test_an_initial_state_that_fires_is_told_with_the_way_out(threshold):
    values = {"parameters": {**GOOD, "v_th": -50}, "threshold": threshold, "reset": "v = v_rest"}
    told = f"initial state fires: `{threshold}` with v = 0 mV, threshold -50 mV."
    message = re.escape(told) + r".*give initial={'v': '\.\.\.\*mV'}"
    with pytest.raises(sl.ParameterError, match=message):
        sl.custom_model(TEXT, **values)
    with pytest.raises(sl.ParameterError, match="with v = -50 mV"):  # from equality on
        sl.custom_model(TEXT, **values, initial={"v": -50})
    model = sl.custom_model(TEXT, **values, initial={"v": "-50.001*mV"})
    with pytest.raises(sl.ParameterError, match="threshold -60 mV"):
        replace(model, v_th=-60.0)
    with pytest.raises(sl.ParameterError, match="threshold -60 mV"):
        replace(with_refractory(model, 2.0), v_th=-60.0)


def test_an_initial_state_that_a_condition_keeps_from_firing_is_none_that_fires():
    neuron = sl.custom_model("dv/dt = -v/ms : 1\ndw/dt = 1/ms : 1", threshold="v > -1 and w > 3", reset="v = -2")
    assert neuron.initial() == (0.0, 0.0)
    assert sl.custom_model("dv/dt = -v/ms : 1", threshold="v > -1", forward="smooth").initial() == (0.0,)


def test_a_connection_into_a_neuron_without_an_input_is_told():
    net = sl.Network()
    net.x = sl.Encoder(2, coding_method="null")
    net.a = sl.NeuronGroup(3, sl.custom_model("dv/dt = -v/(3*ms) : 1", name="Alone"))
    for options in ({}, {"port": "i_syn"}):
        with pytest.raises(sl.ParameterError, match=r"Alone takes no input: name `i` in an equation, in on_input=, or"):
            sl.Connection(net.x, net.a, link_type="full", **options)
    for neuron in (lif(), lif_by_input()):
        assert sl.Connection(net.x, sl.NeuronGroup(3, neuron), link_type="full").port == "i_syn"


@pytest.mark.parametrize("options", [{}, {"t_ref": 2.0}])
def test_a_connection_into_a_neuron_with_several_inputs_names_one(options):
    text = "dv/dt = (a - b - v)/(3*ms) : 1\na : 1 (input)\nb : 1 (input)"
    source = sl.Encoder(2, coding_method="null")
    group = sl.NeuronGroup(3, sl.custom_model(text, threshold="v > 1", name="Two"), **options)
    with pytest.raises(sl.ParameterError, match=r"Two has several inputs; give port= .*one of: a, b"):
        sl.Connection(source, group, link_type="full")
    with pytest.raises(sl.ParameterError, match="coding_var_name="):
        sl.Generator(dec_target=group, coding_method="constant_current")
    assert sl.Connection(source, group, link_type="full", port="b").port == "b"
    one = sl.custom_model("dv/dt = (a - v)/(3*ms) : 1\na : 1 (input)")
    assert sl.Connection(source, sl.NeuronGroup(3, one), link_type="full").port == "a"


def test_named_parts_that_double_what_they_hold_are_no_matter():
    """Each is twice the one before: 2**29 or 2**45 of them where they stand in each other's place."""
    lines = [f"x{k} = x{k - 1} + x{k - 1} : 1" for k in range(1, 46)]
    neuron = sl.custom_model("\n".join([f"dv/dt = (i - x45/{2**45})/ms : 1", "x0 = v : 1", *lines]))
    assert neuron.methods == {"v": "exact"}
    _, (state,) = run(neuron, [np.array([0.7])])
    assert state.v[0] == pytest.approx(0.7 * (1 - np.exp(-1)), rel=1e-13)
    lines = lines[:29]
    neuron = sl.custom_model("\n".join([f"dv/dt = (-v*x29/{2**29} + i)/ms : 1", "x0 = 1 : 1", *lines]))
    assert neuron.methods == {"v": "exact"}
    _, (state,) = run(neuron, [np.array([0.7])])
    assert state.v[0] == pytest.approx(0.7 * (1 - np.exp(-1)), rel=1e-13)


# ---- as an object


def test_a_parameter_may_be_a_tensor():
    tau = torch.tensor(3.0, dtype=torch.float64, requires_grad=True)
    neuron = sl.custom_model("dv/dt = (i - v)/tau : 1", parameters={"tau": tau})
    state = neuron.State(torch.ones(2, dtype=torch.float64))
    after = neuron.update(state, torch.zeros(2, dtype=torch.float64), 0.5, TorchOps())
    (slope,) = torch.autograd.grad(after.v.sum(), tau)
    assert slope.item() == pytest.approx(2 * np.exp(-0.5 / 3) * 0.5 / 9)


@pytest.mark.parametrize("name", ["i", "I", "i_syn", "Isyn"])
def test_a_port_is_called_as_the_model_calls_it(name):
    source = sl.Encoder(2, coding_method="null")
    one = sl.NeuronGroup(3, sl.custom_model(f"dv/dt = ({name} - v)/(3*ms) : 1"))
    two = sl.NeuronGroup(3, sl.custom_model(f"dv/dt = ({name} + k - v)/(3*ms) : 1\n{name} : 1 (input)\nk : 1 (input)"))
    with pytest.raises(ParameterError, match=rf"port must be one of {name}, got 'x'$"):
        sl.Connection(source, one, link_type="full", port="x")
    with pytest.raises(ParameterError, match=rf"port must be one of {name}, k, got 'x'$"):
        sl.Connection(source, two, link_type="full", port="x")
    with pytest.raises(ParameterError, match=rf"give port= .*one of: {name}, k$"):
        sl.Connection(source, two, link_type="full")
    assert sl.Connection(source, two, link_type="full", port=name).port == "i_syn"


def test_each_input_comes_in_by_its_own_port():
    neuron = sl.custom_model("dv/dt = (a - 3*b)/dt : 1\na : 1 (input)\nb : 1 (input)")
    assert neuron.ports == ("a", "b")
    state = neuron.update(neuron.State(np.zeros(2)), (np.array([1.0, 2.0]), np.array([0.5, 4.0])), 0.5, XP)
    np.testing.assert_allclose(state.v, [-0.5, -10.0], rtol=1e-14)


def test_the_step_is_a_name_too():
    """An input over dt is that input as a jump, as long as nothing leaks."""
    neuron = sl.custom_model("dv/dt = i/dt : 1", threshold="v > 9", reset="v = 0")
    _, (_, state) = run(neuron, np.full((2, 1), 0.75), dt=0.2)
    assert state.v[0] == pytest.approx(1.5, rel=1e-14)


def test_equal_definitions_make_equal_neurons():
    assert lif() == lif()
    assert type(lif()) is type(lif())
    assert lif() != replace(lif(), tau_m=3.0)
    assert type(lif()) is not type(adaptive())


def test_a_neuron_can_be_copied_and_pickled():
    for neuron in (lif(), sl.custom_model(**HODGKIN_HUXLEY), replace(lif(), tau_m=np.array([3.0, 4.0]))):
        for twin in (copy.deepcopy(neuron), copy.copy(neuron), pickle.loads(pickle.dumps(neuron))):  # noqa: S301
            assert type(twin) is type(neuron)
            assert str(twin) == str(neuron)


def test_a_neuron_prints_what_it_is():
    text = str(sl.custom_model(TEXT, parameters=GOOD, threshold="v > -50*mV", initial=AT_REST, name="Leaky"))
    assert text == (
        "Leaky\n  dv/dt = (v_rest - v + R*i)/tau : mV\n  i : nA (input)\n  v_rest = -70.0 mV\n  R = 10.0 Mohm\n"
        "  tau = 20.0 ms\n  solved v: exact"
    )


def test_a_declared_input_is_printed_once():
    text = str(sl.custom_model("dv/dt = (a - b)/ms : nA\na : nA (input)\nb : nA (input)"))
    assert text == ("CustomNeuron\n  dv/dt = (a - b)/ms : nA\n  a : nA (input)\n  b : nA (input)\n  solved v: exact")


def test_a_group_takes_it_under_both_names():
    options = {"parameters": GOOD, "threshold": "v > -50*mV", "initial": AT_REST}
    model = sl.NeuronGroup.custom_model(TEXT, **options)
    assert isinstance(model, Custom)
    group = sl.NeuronGroup(10, model=model)
    assert (group.num, group.observables) == (10, ("spikes", "i_syn", "v"))
    assert group.get_value("tau") == 20.0
    same = sl.NeuronGroup.custom_model(equations=TEXT, **options)
    assert same == model


@pytest.mark.parametrize(("period", "values"), [("-2*ms", {}), ("t_r", {"t_r": "-1*ms"})])
def test_a_refractory_period_below_zero_is_refused(period, values):
    with pytest.raises(ParameterError, match=r"refractory must be a time in ms from 0 on, got `"):
        sl.custom_model(
            "dv/dt = i/tau : 1", threshold="v > 1", reset="v = 0", refractory=period,
            parameters={"tau": "1*ms", **values},
        )  # fmt: skip
