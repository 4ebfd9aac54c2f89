"""A user's own neuron from a class, from its definition to a file; and from a function, as SPAIC has it."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch

import spikeloom as sl
from spikeloom.neurons import CLIF, NEURONS, Emission, FunctionNeuron, Neuron, Subtract, advance
from spikeloom.neurons.neuron import check_positive
from spikeloom.ops import NumpyOps

# ---- the example: a neuron whose leak grows with its potential


SUBTRACTED = Emission(threshold="v_th", reset=Subtract())


class QuadraticState(NamedTuple):
    """Membrane potential v, (B, *shape), in units of the threshold."""

    v: Any


@dataclass(frozen=True, kw_only=True, slots=True)
class Quadratic(Neuron[QuadraticState]):
    """tau dv/dt = -v |v|, then v += i; fires at v_th, which is subtracted. tau in ms."""

    tau: Any = 10.0
    v_th: Any = 1.0
    emission: Emission = SUBTRACTED

    State = QuadraticState

    def check(self):
        check_positive(self, "tau", "v_th")

    def initial(self):
        return QuadraticState(v=0.0)

    def update(self, state, inputs, dt, xp):
        return QuadraticState(v=state.v / (1 + xp.abs(state.v) * dt / self.tau) + inputs)


@pytest.fixture
def registered():
    """The class under a name, as a user's program registers it once."""
    NEURONS.add("quadratic", Quadratic)
    yield
    del NEURONS._entries["quadratic"]


def network(model, **parameters):
    net = sl.Network()
    net.x = sl.Encoder(5, coding_method="null")
    net.a = sl.NeuronGroup(4, model, **parameters)
    net.c = sl.Connection(net.x, net.a, link_type="full", w_mean=0.3, w_std=0.3)
    net.v, net.spikes = sl.StateMonitor(net.a, "v"), sl.StateMonitor(net.a, "spikes")
    net.set_random_seed(1)
    net.set_backend(sl.TorchBackend(dt=1.0, dtype=torch.float64))
    return net


def run(net):
    net.x(np.random.default_rng(0).random((2, 30, 5)))
    net.run(30.0)
    return np.asarray(net.v.values), np.asarray(net.spikes.values)


def test_a_class_is_a_model_like_any_other():
    net = network(Quadratic(tau=4.0))
    v, spikes = run(net)
    assert net.plan.blocks[0].path == "kernel path"
    assert spikes.any()
    weight = net.c.weight.value.detach().numpy()
    current = np.random.default_rng(0).random((2, 30, 5)) @ (weight if weight.shape == (5, 4) else weight.T)
    state = np.zeros((2, 4))
    for t in range(30):
        state = state / (1 + np.abs(state) / 4) + current[:, t]
        state = state - (state >= 1)
        np.testing.assert_allclose(v[:, :, t], state, rtol=1e-12, atol=1e-12)


def test_a_registered_class_has_a_name_and_can_be_saved(registered, tmp_path):
    net = network("quadratic", tau=4.0)
    loaded = sl.network_load(sl.network_save(net, "net", tmp_path))
    assert loaded.a.neuron == Quadratic(tau=4.0)
    assert loaded.a.model == "quadratic"
    with pytest.raises(sl.UnknownNameError, match="did you mean 'quadratic'"):
        sl.NeuronGroup(3, "quadratik")
    with pytest.raises(sl.ParameterError, match="model 'quadratic': unknown parameter 'tauu'; did you mean 'tau'"):
        sl.NeuronGroup(3, "quadratic", tauu=3.0)


def test_a_class_without_a_name_cannot_be_saved_and_says_the_way_out(tmp_path):
    with pytest.raises(sl.UnsupportedError, match="Quadratic has no name to be saved under; register the class"):
        sl.network_save(network(Quadratic()), "net", tmp_path)


def test_a_class_that_is_not_finished_is_told():
    class NoDataclass(Neuron):
        tau: float = 3.0
        State = QuadraticState
        initial = update = Quadratic.update

    with pytest.raises(
        sl.ParameterError, match=r"for its parameters tau, write @dataclass\(frozen=True, kw_only=True\)"
    ):
        NoDataclass()

    @dataclass(frozen=True, kw_only=True)
    class NoState(Neuron):
        tau: float = 3.0
        initial = update = Quadratic.update

    with pytest.raises(sl.ParameterError, match=r"NoState\.State must be the NamedTuple of its state"):
        NoState()

    @dataclass(frozen=True, kw_only=True)
    class NoThreshold(Neuron):
        tau: float = 3.0
        State = QuadraticState
        initial = update = Quadratic.update

    with pytest.raises(sl.ParameterError, match=r"NoThreshold\.emission\.threshold: there is no 'v_th'\. It has: tau"):
        NoThreshold()


# ---- from a function, as in SPAIC's examples

BETA = 12.0 / 8.0
V0 = (1 / (BETA - 1)) * (BETA ** (BETA / (BETA - 1)))
CLIF_VARIABLES = {"M": 0, "S": 0, "E": 0, "O": 0, "V": 0, "Isyn": 0, "tauM": 12.0, "tauS": 8.0, "tauE": 20.0, "Vth": 1}


@sl.NeuronGroup.custom_model(
    input_vars=["M", "S", "E", "O", "Isyn", "tauM", "tauS", "tauE", "Vth"],
    output_vars=["V", "M", "S", "E"],
    new_vars_dict=CLIF_VARIABLES,
    equation_type="exp_euler_iterative",
)
def custom_clif(M, S, E, O, Isyn, tauM, tauS, tauE, Vth):  # noqa: E741
    M = tauM * M + V0 * Isyn
    S = tauS * S + V0 * Isyn
    E = tauE * E + Vth * O
    V = M - S - E
    return V, M, S, E


def test_a_function_of_spaic_is_a_neuron():
    """The reset kernel takes the spike one step later than the built-in clif, whose E is that after its decay."""
    net = network(custom_clif)
    _, spikes = run(net)
    assert net.plan.blocks[0].path == "kernel path"
    assert net.a.model == "custom_clif"
    assert spikes.any()
    neuron, state = CLIF(), None
    outputs, e = [], np.zeros((2, 4))
    current = np.random.default_rng(0).random((2, 30, 5)) @ _rows(net)
    state = neuron.State(*(np.zeros((2, 4)) for _ in range(4)))
    fired = np.zeros((2, 4))
    for t in range(30):
        state = neuron.update(state._replace(e=np.zeros((2, 4))), current[:, t], 1.0, NumpyOps())
        e = e * np.exp(-1 / 20) + fired
        fired = np.where(state.v - e >= 1, 1.0, 0.0)
        outputs.append(fired)
    np.testing.assert_array_equal(spikes.transpose(2, 0, 1), outputs)


def _rows(net):
    weight = net.c.weight.value.detach().numpy()
    return weight if weight.shape == (5, 4) else weight.T


@pytest.mark.parametrize(
    ("equation_type", "factor"),
    [("iterative", 8.0), ("euler_iterative", 0.5 / 8), ("exp_euler_iterative", np.exp(-0.5 / 8))],
)
def test_a_time_constant_comes_as_the_factor_that_the_type_of_equation_says(equation_type, factor):
    @sl.NeuronGroup.custom_model(["V", "WgtSum", "tau"], ["V"], {"V": 0.5, "tau": 8.0, "Vth": 99}, equation_type)
    def leaky(V, WgtSum, tau):
        return V * tau + WgtSum

    assert isinstance(leaky, FunctionNeuron)
    _, state = advance(leaky, leaky.initial(), np.array([0.25]), 0.5, NumpyOps())
    np.testing.assert_allclose(state.V, 0.5 * factor + 0.25, rtol=1e-14)
    assert leaky.tau == 8.0


def test_marks_of_spaic_and_a_neuron_without_a_threshold():
    options = {"input_vars": ["V", "Isyn[updated]", "gain"], "output_vars": ["V"], "add_threshold": False}

    @sl.NeuronGroup.custom_model(**options, new_vars_dict={"V": 0, "gain[constant]": 3.0}, custom_function_name="own")
    def function(V, i, gain):
        return V + i * gain

    output, _ = advance(function, function.initial(), np.array([2.0]), 1.0, NumpyOps())
    assert output == [6.0]
    assert type(function).__name__ == "own"
    assert not network(function).spiking


def test_torch_functions_run_on_the_torch_path():
    @sl.NeuronGroup.custom_model(["V", "Isyn"], ["V"], {"V": 0, "Vth": 1})
    def function(V, i):
        return torch.sigmoid(V) + i

    net = network(function)
    run_net = run(net)
    assert run_net[0].any()
    assert net.plan.blocks[0].path == "torch path"
    assert "sigmoid" in net.plan.blocks[0].why


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"equation_type": "ode"}, r"'ode' solves no equation in SPAIC; write the equations as a text"),
        ({"equation_type": "euler"}, r"equation_type must be one of 'iterative', 'euler_iterative'"),
        ({"equation_type": ("iterative", "ode")}, r"equation_type must be one of"),
        ({"backend": "jax"}, "leave them out"),
        ({"base_model": object()}, "leave them out"),
        ({"new_vars_dict": {"V": 0}}, "'Vth' must be in new_vars_dict"),
        ({"output_vars": ["Vth"]}, "'V' must be in output_vars"),
        ({"input_vars": ["U"]}, "'U' is not in new_vars_dict"),
        ({"input_vars": ["__class__"]}, "cannot be the name of a variable"),
        ({"new_vars_dict": {"V": 0, "Vth": 1, "update": 2}}, "'update' cannot be the name"),
        ({"new_vars_dict": {"V": 0, "Vth": "high"}}, "Vth must be a number"),
        ({"new_vars_dict": {"V": 0, "Vth": 1, "tau": 0.0}, "equation_type": "euler_iterative"}, "tau must be"),
    ],
)  # fmt: skip
def test_a_wrong_function_model_is_told(change, message):
    given = {"input_vars": ["V", "Isyn"], "output_vars": ["V"], "new_vars_dict": {"V": 0, "Vth": 1}}
    with pytest.raises(sl.SpikeloomError, match=message):
        sl.NeuronGroup.custom_model(**{**given, **change})(lambda V, i: V + i)


def test_a_function_that_returns_too_little_is_told():
    model = sl.NeuronGroup.custom_model(["V", "U"], ["V", "U"], {"V": 0, "U": 0, "Vth": 1})(lambda V, U: V)
    with pytest.raises(sl.ParameterError, match="the function must return V, U, got 1 values"):
        run(network(model))


def test_a_function_is_no_file_and_says_so(tmp_path):
    with pytest.raises(sl.UnsupportedError, match="custom_clif has no name to be saved under; register the class"):
        sl.network_save(network(custom_clif), "net", tmp_path)
