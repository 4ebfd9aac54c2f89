"""What a neuron's lines become against the lines themselves on NumPy arrays."""

import math
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import pytest
from kernel_neurons import SUBTRACT, Adaptive, Counter, Everything, Izhikevich, OneState, Refractory, TwoPorts

from spikeloom.filters import LowPass, SecondOrderSections
from spikeloom.kernels import Inlet, TraceError, evaluate, parameters, trace
from spikeloom.kernels.graph import in_order
from spikeloom.neurons import CLIF, IF, LI, LIF, Emission, Graded, Scale, Smooth, Subtract, ToValue, advance
from spikeloom.neurons.neuron import Neuron
from spikeloom.ops import NumpyOps

B, N, DT = 7, 5, 0.7
SOS = SecondOrderSections(sos=np.array([[0.3, 0.2, 0.1, 1.0, -0.5, 0.1], [1.0, 0.4, 0.0, 1.0, -0.2, 0.05]]))


class Ops(NumpyOps):
    """The vocabulary of NumPy, plain numbers as the engines have them."""

    @staticmethod
    def exp(x):
        return math.exp(x) if isinstance(x, float) else np.exp(x)


def per_neuron(low, high, seed=0):
    return np.random.default_rng(seed).uniform(low, high, N)


CASES = {
    "if": (IF(constant_decay=0.1), [Inlet("i_syn")]),
    "lif": (LIF(v_rest=0.1, v_reset=-0.2), [Inlet("i_syn")]),
    "lif scaled": (LIF(tau_m=5.0, scale_input=True, emission=Emission(reset=Subtract())), [Inlet("i_syn")]),
    "lif per neuron": (LIF(tau_m=per_neuron(2, 9), v_th=per_neuron(0.5, 2)), [Inlet("i_syn", LowPass(tau=3.0), 1)]),
    "lif, filter per neuron": (LIF(), [Inlet("i_syn", LowPass(tau=per_neuron(1, 9), normalise=True), 1)]),
    "lif, two filters": (LIF(), [Inlet("i_syn", LowPass(tau=3.0), 1), Inlet("i_syn"), Inlet("i_syn", SOS, 4)]),
    "lif, no input": (LIF(), []),
    "lif, scale": (LIF(emission=Emission(reset=Scale(0.3))), [Inlet("i_syn")]),
    "lif, own threshold": (LIF(emission=Emission(threshold=0.4, reset=ToValue(0.25))), [Inlet("i_syn")]),
    "lif, smooth": (LIF(emission=Emission(forward=Smooth(0.2), reset=Subtract())), [Inlet("i_syn")]),
    "lif, graded": (LIF(emission=Emission(forward=Graded(), reset=Subtract())), [Inlet("i_syn")]),
    "clif": (CLIF(), [Inlet("i_syn")]),
    "li": (LI(), [Inlet("i_syn", SOS, 4)]),
    "adaptive": (Adaptive(), [Inlet("i_syn")]),
    "refractory": (Refractory(), [Inlet("i_syn")]),
    "another variable": (
        Refractory(emission=Emission(variable="u", threshold=0.5, reset=Subtract())),
        [Inlet("i_syn")],
    ),
    "izhikevich": (Izhikevich(), [Inlet("i_syn")]),
    "everything": (Everything(), [Inlet("i_syn")]),
    "two ports": (TwoPorts(), [Inlet("i_shunt"), Inlet("i_exc", LowPass(tau=3.0), 1)]),
    "one of two ports": (TwoPorts(), [Inlet("i_exc")]),
}


@pytest.fixture(params=list(CASES))
def case(request):
    return CASES[request.param]


def by_hand(neuron, inlets, states, currents):
    """Output and all next states by the neuron's and the filters' own lines."""
    states, ports, after = list(states), {}, []
    own = neuron.State(*(states.pop(0) for _ in neuron.State._fields))
    for inlet, current in zip(inlets, currents, strict=True):
        if inlet.filter is not None:
            parts = tuple(states.pop(0) for _ in range(inlet.n_states))
            current, kept = inlet.filter.step(parts, current, inlet.filter.coefficients(DT, Ops()))
            after += kept
        ports[inlet.port] = ports[inlet.port] + current if inlet.port in ports else current
    given = [ports.get(port, np.zeros((B, N))) for port in type(neuron).ports]
    output, state = advance(neuron, own, given[0] if len(given) == 1 else tuple(given), DT, Ops())
    return [output, *state, *after, given[0]]


def coefficients(step, neuron, inlets):
    return evaluate(step.coefficients, {**parameters(neuron, inlets, (N,)), "dt": DT}, Ops())


def drawn(step, neuron, seed=0):
    generator = np.random.default_rng(seed)
    spread = 40.0 if isinstance(neuron, Izhikevich) else 1.0
    start = [*neuron.initial(), *[0.0] * len(step.after)]
    values = {f"s{k}": start[k] + spread * generator.normal(size=(B, N)) for k in range(len(step.after))}
    return values | {f"x{k}": generator.normal(size=(B, N)) for k in range(step.n_inlets)}


def test_the_expressions_equal_the_neurons_own_lines_bit_by_bit(case):
    neuron, inlets = case
    step = trace(neuron, inlets, (N,))
    values = drawn(step, neuron)
    symbols = values | {f"c{k}": c for k, c in enumerate(coefficients(step, neuron, inlets))}
    found = evaluate([step.output, *step.after, step.synaptic], symbols, Ops())
    states = [values[f"s{k}"] for k in range(len(step.after))]
    wanted = by_hand(neuron, inlets, states, [values[f"x{k}"] for k in range(step.n_inlets)])
    assert len(found) == len(wanted)
    for a, b in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(np.broadcast_to(a, (B, N)), b)


def test_a_spike_is_where_the_distance_is_not_negative(case):
    neuron, inlets = case
    step = trace(neuron, inlets, (N,))
    if not neuron.emission.forward.uses_surrogate:
        assert step.distance is None
        return
    symbols = drawn(step, neuron) | {f"c{k}": c for k, c in enumerate(coefficients(step, neuron, inlets))}
    distance, output = evaluate([step.distance, step.output], symbols, Ops())
    assert 0 < np.mean(output) < 1
    np.testing.assert_array_equal(distance >= 0, output == 1)


def test_what_depends_on_no_value_of_the_run_is_a_coefficient(case):
    neuron, inlets = case
    step = trace(neuron, inlets, (N,))
    known = {*parameters(neuron, inlets, (N,)), "dt"}
    for coefficient in step.coefficients:
        names = {n.value for n in in_order([coefficient]) if n.op == "symbol"}
        assert names
        assert names <= known
    roots = [step.output, *step.after, step.synaptic]
    nodes = in_order(roots if step.distance is None else [*roots, step.distance])
    names = {n.value for n in nodes if n.op == "symbol"}
    assert all(name[0] in "sxc" and name[1:].isdigit() for name in names)
    for node in nodes:  # the largest such part: no operation is left on coefficients and numbers alone
        fixed = [a.is_constant or (a.op == "symbol" and a.value[0] == "c") for a in node.args]
        assert not fixed or not all(fixed) or node.is_bool


def test_no_two_coefficients_are_the_same(case):
    step = trace(*case, (N,))
    assert len(set(map(id, step.coefficients))) == len(step.coefficients)


def test_a_leak_is_one_coefficient_wherever_it_stands():
    step = trace(LIF(scale_input=True), [Inlet("i_syn")])
    texts = [repr(c) for c in step.coefficients]
    decay = "exp(div(neg(dt), neuron.tau_m))"
    assert texts.count(decay) == 1
    assert f"sub(1.0, {decay})" in texts


@dataclass(frozen=True, kw_only=True, slots=True)
class Twice(Neuron[OneState]):
    """Writes down one and the same part several times."""

    v_th: Any = 1.0
    emission: Emission = SUBTRACT
    State = OneState

    def initial(self):
        return OneState(0.0)

    def update(self, state, inputs, dt, xp):
        def part():
            return xp.exp(-(state.v * state.v)) + inputs

        return OneState(part() * part() + xp.exp(-(state.v * state.v)))


def test_a_part_that_stands_in_several_places_is_computed_once():
    step = trace(Twice(), [Inlet("i_syn")])
    nodes = in_order([step.output, *step.after, step.distance], slopes=False)
    assert sum(n.op == "exp" for n in nodes) == 1
    assert sum(repr(n).startswith("add(exp") for n in nodes) == 1


def test_flags_and_whole_numbers_are_structure():
    assert "neuron.scale_input" not in parameters(LIF(), [])
    assert len(trace(LIF(scale_input=True), [Inlet("i_syn")]).coefficients) == 1 + len(
        trace(LIF(), [Inlet("i_syn")]).coefficients
    )
    for times in (1, 3):
        step = trace(Counter(times=times), [Inlet("i_syn")])
        (v,) = step.after
        assert sum(n.op == "add" for n in in_order([v])) == times
        assert not any("times" in repr(c) for c in step.coefficients)


def test_numbers_of_the_emission_and_of_the_filter_are_parameters():
    emission = Emission(threshold=0.7, reset=Scale(0.25), forward=Smooth(0.3))
    found = parameters(LIF(emission=emission), [Inlet("i_syn", LowPass(tau=4.0), 1)])
    assert found == {
        "neuron.tau_m": 8.0, "neuron.v_rest": 0.0, "neuron.v_th": 1.0, "neuron.v_reset": 0.0,
        "emission.threshold": 0.7, "emission.forward.width": 0.3, "emission.surrogate.alpha": 2.0,
        "emission.reset.factor": 0.25, "inlet0.tau": 4.0,
    }  # fmt: skip


def test_other_numbers_give_the_same_expressions():
    """One kernel serves all values of the parameters."""
    one = trace(LIF(), [Inlet("i_syn", LowPass(tau=3.0), 1)], (N,))
    other = trace(
        LIF(tau_m=per_neuron(2, 9), v_rest=0.5, v_th=2.0), [Inlet("i_syn", LowPass(tau=per_neuron(1, 2)), 1)], (N,)
    )
    assert repr(one.after) == repr(other.after)
    assert repr(one.coefficients) == repr(other.coefficients)


def test_the_coefficients_that_a_parameter_moves_are_found_by_its_name():
    step = trace(LIF(scale_input=True), [Inlet("i_syn")])
    for names in (["neuron.tau_m"], ["neuron.v_th"], ["neuron.tau_m", "neuron.v_rest"], []):
        found = step.depending_on(names)
        assert list(found) == [k for k, c in enumerate(step.coefficients) if any(n in repr(c) for n in names)]


def test_an_array_that_is_not_one_value_a_neuron_is_refused():
    neuron = Adaptive(tau=np.ones(3))
    with pytest.raises(TraceError, match=r"Adaptive cannot become a kernel: kernel_neurons.py, line \d+, in update"):
        trace(neuron, [Inlet("i_syn")], (N,))
    assert trace(neuron, [Inlet("i_syn")], (3,)).coefficients


def test_a_long_chain_of_operations_is_no_matter():
    step = trace(Counter(times=3000), [Inlet("i_syn")])
    (v,) = evaluate(step.after, {"s0": 1.0, "x0": 0.5, "c0": 1.0}, Ops())
    assert v == 1501.0


def test_tracing_leaves_the_neuron_as_it_was():
    neuron = LIF(tau_m=per_neuron(2, 9))
    before = {field.name: getattr(neuron, field.name) for field in fields(neuron)}
    trace(neuron, [Inlet("i_syn")], (N,))
    assert all(getattr(neuron, name) is value for name, value in before.items())
