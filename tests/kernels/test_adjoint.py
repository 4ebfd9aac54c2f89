"""The way back against derivatives that SymPy finds, and the least that it needs against counts by hand."""

from dataclasses import dataclass
from functools import cache

import numpy as np
import pytest
import sympy as sp
import torch
from kernel_neurons import Adaptive, Counter, Everything, Izhikevich, OneState, Refractory, TwoPorts

from spikeloom.backends.ops import XP
from spikeloom.filters import LowPass, SecondOrderSections
from spikeloom.kernels import Inlet, Model, adjoint, evaluate, parameters, trace
from spikeloom.kernels.graph import in_order
from spikeloom.neurons import (
    CLIF,
    IF,
    LI,
    LIF,
    SURROGATES,
    Emission,
    Graded,
    NoReset,
    Scale,
    Sigmoid,
    Smooth,
    Subtract,
    ToValue,
    advance,
)  # fmt: skip
from spikeloom.neurons.neuron import Neuron
from spikeloom.ops import NumpyOps, SympyOps

DT, POINTS = 0.7, 40
GRADED = Emission(forward=Graded(), reset=NoReset(), threshold=1.0)
DETACHED = Emission(reset=Subtract(), detach_reset=True)
SOS = SecondOrderSections(sos=np.array([[0.3, 0.2, 0.1, 1.0, -0.5, 0.1], [1.0, 0.4, 0.0, 1.0, -0.2, 0.05]]))
STRAIGHT, FILTERED, SECTIONS = Inlet("i_syn"), Inlet("i_syn", LowPass(tau=3.0), 1), Inlet("i_syn", SOS, 4)


class Stop(sp.Function):
    """What it is given, without a derivative."""

    def fdiff(self, argindex=1):
        return sp.Integer(0)


class Symbols(SympyOps):
    """The vocabulary on SymPy's expressions, `stop_gradient` among it."""

    stop_gradient = staticmethod(Stop)


def fire_with(surrogate):
    """The step as a function of SymPy whose derivative is a surrogate."""

    class Fire(sp.Function):
        def fdiff(self, argindex=1):
            return surrogate.derivative(self.args[0], Symbols())

    def fire(d, v, emission, xp):
        return Fire(d) if emission.forward.uses_surrogate else emission.forward.output(d, v, xp)

    return fire


def step_in_sympy(neuron, inlets, names):
    """Output, next states and synaptic input, the symbols of states and inlets, and those of the parameters."""
    values = {name: sp.Symbol(name.replace(".", "_"), real=True) for name in names}
    own = {n: values[f"neuron.{n}"] for n in neuron.parameters() if f"neuron.{n}" in values}
    bound = neuron.bound(own)
    n_own = len(neuron.State._fields)
    states = sp.symbols(f"s:{n_own + sum(i.n_states for i in inlets)}", real=True)
    currents = sp.symbols(f"x:{len(inlets)}", real=True)
    ports, after, at = {}, [], n_own
    for inlet, current in zip(inlets, currents, strict=True):
        if inlet.filter is not None:
            given = states[at : at + inlet.n_states]
            current, kept = inlet.filter.step(given, current, inlet.filter.coefficients(DT, NumpyOps()))
            after += kept
            at += inlet.n_states
        ports[inlet.port] = ports.get(inlet.port, 0) + current
    inputs = [ports.get(port, sp.Integer(0)) for port in type(neuron).ports]
    fire = fire_with(neuron.emission.surrogate)
    output, state = advance(
        bound, neuron.State(*states[:n_own]), inputs[0] if len(inputs) == 1 else tuple(inputs), DT, Symbols(), fire
    )
    return [output, *state, *after, inputs[0]], [*states, *currents], values


def by_sympy(neuron, inlets, names, point, seeds):
    """The gradients of states, inlets and parameters at points, for gradients that come in."""
    roots, leaves, values = step_in_sympy(neuron, inlets, names)
    arguments = sp.symbols(f"g:{len(roots)}", real=True)
    loss = sum((g * sp.sympify(root) for g, root in zip(arguments, roots, strict=True)), sp.Integer(0))
    wanted = [*leaves, *values.values()]
    derivatives = [sp.diff(loss, leaf) for leaf in wanted]
    plain = [{"Fire": lambda d: np.where(d >= 0, 1.0, 0.0), "Stop": lambda x: x}, "numpy"]
    function = sp.lambdify([*arguments, *wanted], derivatives, plain, cse=True)
    given = [*seeds, *(point[str(leaf)] for leaf in leaves), *(point[name] for name in names)]
    return [np.broadcast_to(np.asarray(d, dtype=float), POINTS) for d in function(*given)]


def by_adjoint(neuron, inlets, names, point, seeds):
    """The same from the adjoint; the chain from coefficients to parameters by torch."""
    step = trace(neuron, inlets)
    model = Model(step, step.depending_on(names), synaptic=True)
    back = model.adjoint
    values = {**parameters(neuron, inlets), "dt": DT}
    leaves = {name: torch.tensor(float(values[name]), dtype=torch.float64, requires_grad=True) for name in names}
    coefficients = evaluate(step.coefficients, {**values, **leaves}, XP)
    numbers = {f"c{k}": c.item() if isinstance(c, torch.Tensor) else c for k, c in enumerate(coefficients)}
    forward = {k: v for k, v in point.items() if k[0] in "sx"} | numbers
    kept = evaluate(back.kept, forward, NumpyOps())
    given = {f"k{k}": np.asarray(v, dtype=float) for k, v in enumerate(kept)} | numbers
    given |= {"g": seeds[0], "y": seeds[-1], **{f"n{k}": seed for k, seed in enumerate(seeds[1:-1])}}
    found = evaluate([*back.states, *back.inlets, *back.coefficients], given, NumpyOps())
    n_plain = len(back.states) + len(back.inlets)
    totals = [np.broadcast_to(f, POINTS) for f in found[n_plain:]]
    gradients = [np.zeros(POINTS) for _ in names]
    for k, total in zip(model.trained, totals, strict=True):
        slopes = torch.autograd.grad(coefficients[k], list(leaves.values()), retain_graph=True, allow_unused=True)
        for gradient, slope in zip(gradients, slopes, strict=True):
            gradient += 0.0 if slope is None else total * slope.item()
    return [np.broadcast_to(f, POINTS) for f in found[:n_plain]] + gradients


def check(neuron, inlets, names=(), seed=0, spread=1.0):
    step = trace(neuron, inlets)
    generator = np.random.default_rng(seed)
    start = [*neuron.initial(), *[0.0] * len(step.after)]
    point = {f"s{k}": start[k] + spread * generator.normal(size=POINTS) for k in range(len(step.after))}
    point |= {f"x{k}": generator.normal(size=POINTS) for k in range(step.n_inlets)}
    seeds = [generator.normal(size=POINTS) for _ in range(len(step.after) + 2)]
    values = parameters(neuron, inlets)
    wanted = by_sympy(neuron, inlets, names, point | {name: values[name] for name in names}, seeds)
    found = by_adjoint(neuron, inlets, names, point, seeds)
    assert len(found) == len(wanted)
    assert any(np.abs(w).max() > 0 for w in wanted)
    for a, b in zip(found, wanted, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-11 * max(1.0, np.abs(b).max()))


RESETS = {"to zero": ToValue(0.0), "to value": ToValue("v_reset"), "subtract": Subtract(), "scale": Scale(0.3)}


@pytest.mark.parametrize("detach", [False, True], ids=["through the reset", "detached"])
@pytest.mark.parametrize("reset", RESETS)
@pytest.mark.parametrize("surrogate", list(SURROGATES))
def test_every_surrogate_with_every_reset(surrogate, reset, detach):
    emission = Emission(surrogate=surrogate, reset=RESETS[reset], detach_reset=detach)
    check(LIF(v_rest=0.1, v_reset=-0.2, emission=emission), [STRAIGHT], ["neuron.tau_m", "neuron.v_th"])


@cache
def cases():
    own = {
        "if": (IF(constant_decay=0.1), ("constant_decay", "v_th", "v_reset")),
        "lif scaled": (LIF(tau_m=5.0, v_rest=0.1, scale_input=True), ("tau_m", "v_rest", "v_reset", "v_th")),
        "clif": (CLIF(), ("tau_m", "tau_p", "tau_q", "v_0", "v_th")),
        "li": (LI(v_rest=0.2), ("tau_m", "v_rest")),
        "adaptive": (Adaptive(), ("tau", "tau_a", "tau_b", "jump_a", "jump_b", "v_th")),
        "everything": (Everything(), ("tau", "low", "scale", "v_th")),
    }
    return {name: (neuron, [f"neuron.{n}" for n in names]) for name, (neuron, names) in own.items()}


@pytest.mark.parametrize(("emission", "inlets"), [
    ("own", [STRAIGHT]), ("own", [FILTERED]), ("own", [SECTIONS, STRAIGHT]), ("smooth", [STRAIGHT]),
    ("graded", [STRAIGHT]), ("detached", [FILTERED]),
], ids=lambda v: v if isinstance(v, str) else str(len(v)))  # fmt: skip
@pytest.mark.parametrize("name", ["if", "lif scaled", "clif", "li", "adaptive", "everything"])
def test_every_model_with_every_emission_and_filter(name, emission, inlets):
    neuron, names = cases()[name]
    given = {
        "own": neuron.emission,
        "smooth": Emission(forward=Smooth(0.4), reset=neuron.emission.reset, threshold=neuron.emission.threshold),
        "graded": Emission(forward=Graded(), reset=NoReset(), threshold=neuron.emission.threshold),
        "detached": Emission(
            surrogate=Sigmoid(), reset=neuron.emission.reset, detach_reset=True, threshold=neuron.emission.threshold
        ),
    }
    check(neuron.bound({"emission": given[emission]}), inlets, names)


@pytest.mark.parametrize("n_trained", [0, 1, 2])
def test_only_some_parameters_trained(n_trained):
    names = ["neuron.tau_m", "neuron.v_rest", "neuron.v_th"][:n_trained]
    check(LIF(v_rest=0.1, scale_input=True), [FILTERED], names)


def test_izhikevich_a_refractory_counter_and_two_ports():
    check(Izhikevich(), [STRAIGHT], ["neuron.a", "neuron.b", "neuron.c", "neuron.d", "neuron.v_th"], spread=20.0)
    check(Refractory(), [STRAIGHT], ["neuron.tau", "neuron.v_th"])
    check(TwoPorts(), [Inlet("i_exc"), Inlet("i_shunt", LowPass(tau=3.0), 1)], ["neuron.tau", "neuron.v_th"])
    check(TwoPorts(), [Inlet("i_exc")], ["neuron.tau"])


# ---- equal arguments, where a derivative is a convention: as torch has it


@dataclass(frozen=True, kw_only=True, slots=True)
class Words(Neuron[OneState]):
    """A neuron of one word of the vocabulary."""

    word: str
    emission: Emission = GRADED
    State = OneState

    def initial(self):
        return OneState(0.0)

    def update(self, state, inputs, dt, xp):
        made = {
            "maximum": lambda: xp.maximum(state.v, inputs),
            "minimum": lambda: xp.minimum(state.v, inputs),
            "maximum of a number": lambda: xp.maximum(state.v, 0.5) * inputs,
            "minimum of a number": lambda: xp.minimum(0.5, state.v) * inputs,
            "abs": lambda: xp.abs(state.v - inputs),
            "where": lambda: xp.where(state.v >= inputs, state.v * 2, inputs * 3),
            "equal": lambda: xp.where(state.v == inputs, state.v * 2, inputs * 3),
            "tanh": lambda: xp.tanh(state.v * inputs),
            "log": lambda: xp.log(state.v * state.v + 1) * inputs,
            "sqrt": lambda: xp.sqrt(xp.exp(state.v)) * inputs,
            "quotient": lambda: state.v / (inputs + 3),
            "power": lambda: state.v**3 + inputs**-2 + (state.v + 9) ** 0.5,
            "stopped": lambda: state.v * xp.stop_gradient(inputs * state.v),
            "comparison as a number": lambda: state.v * (state.v > inputs),
        }
        return OneState(made[self.word]())


@pytest.mark.parametrize("word", [
    "maximum", "minimum", "maximum of a number", "minimum of a number", "abs", "where", "equal", "tanh", "log", "sqrt",
    "quotient", "power", "stopped", "comparison as a number",
])  # fmt: skip
def test_every_word_goes_back_as_in_torch_equal_arguments_too(word):
    neuron = Words(word=word)
    v = torch.tensor([-1.0, 0.5, 0.5, 2.0, -0.25, 3.0], dtype=torch.float64, requires_grad=True)
    x = torch.tensor([1.0, 0.5, 2.0, 0.5, -0.25, -1.0], dtype=torch.float64, requires_grad=True)
    g = torch.tensor([1.0, 2.0, -3.0, 4.0, 5.0, 6.0], dtype=torch.float64)
    _, state = advance(neuron, OneState(v), x, DT, XP)
    wanted = torch.autograd.grad(state.v, [v, x], g, allow_unused=True)
    back = adjoint(trace(neuron, [STRAIGHT]))
    forward = {"s0": v.detach().numpy(), "x0": x.detach().numpy()}
    kept = {f"k{k}": e for k, e in enumerate(evaluate(back.kept, forward, NumpyOps()))}
    found = evaluate([*back.states, *back.inlets], {**kept, "n0": g.numpy(), "g": np.zeros(6)}, NumpyOps())
    for a, b in zip(found, wanted, strict=True):
        np.testing.assert_allclose(np.broadcast_to(a, 6), 0 if b is None else b.numpy(), rtol=1e-14, atol=0)


# ---- the least that is kept, counted by hand


def kept(neuron, inlets=(STRAIGHT,), names=()):
    step = trace(neuron, list(inlets))
    return Model(step, step.depending_on(f"neuron.{n}" for n in names))


@pytest.mark.parametrize("surrogate", list(SURROGATES))
@pytest.mark.parametrize("reset", RESETS)
@pytest.mark.parametrize("detach", [False, True])
def test_a_lif_keeps_its_potential_before_the_reset_and_no_more(surrogate, reset, detach):
    emission = Emission(surrogate=surrogate, reset=RESETS[reset], detach_reset=detach)
    assert len(kept(LIF(emission=emission)).adjoint.kept) == 1


@pytest.mark.parametrize(("what", "case"), {
    "a graded integrator is linear: nothing": (lambda: kept(LI()), 0),
    "and so behind a filter": (lambda: kept(LI(), (SECTIONS,)), 0),
    "a filter costs nothing": (lambda: kept(LIF(), (FILTERED,)), 1),
    "nor do two": (lambda: kept(LIF(), (FILTERED, SECTIONS)), 1),
    "clif: v before the reset": (lambda: kept(CLIF()), 1),
    "its gain: the input": (lambda: kept(CLIF(), names=["v_0"]), 2),
    "a smooth output: v": (lambda: kept(LIF(emission=Emission(forward=Smooth(), reset=Subtract()))), 1),
    "a moving threshold: v and the threshold, for the reset": (lambda: kept(Adaptive()), 2),
    "detached: v minus the threshold": (lambda: kept(Adaptive(emission=DETACHED)), 1),
    "tau of a lif: v before the step too": (lambda: kept(LIF(), names=["tau_m"]), 2),
    "its threshold: no more": (lambda: kept(LIF(emission=Emission(reset=Subtract())), names=["v_th"]), 1),
    "tau behind a filter: v before the step and the current": (
        lambda: kept(LIF(scale_input=True), (FILTERED,), names=["tau_m"]), 2),
    "the tau of a linear integrator: v before the step": (lambda: kept(LI(), names=["tau_m"]), 1),
    "a counter: it, and v": (lambda: kept(Refractory()), 2),
    "no threshold, no reset, linear": (lambda: kept(Counter(emission=GRADED)), 0),
}.items(), ids=lambda v: v if isinstance(v, str) else "")  # fmt: skip
def test_the_planes_that_are_kept_are_those_counted_by_hand(what, case):
    made, count = case
    assert len(made().adjoint.kept) == count


def test_a_plane_for_each_inlet_takes_the_gradients():
    assert kept(LI()).planes == 1
    assert kept(LIF(), (FILTERED, SECTIONS)).planes == 2
    assert kept(Adaptive()).planes == 2


@dataclass(frozen=True, kw_only=True, slots=True)
class Gate(Neuron[OneState]):
    """Either of two lines, by a comparison of two values: one bit is all that the way back needs."""

    emission: Emission = GRADED
    State = OneState

    def initial(self):
        return OneState(0.0)

    def update(self, state, inputs, dt, xp):
        return OneState(xp.where(state.v > inputs, state.v * 2, inputs * 3))


def test_a_comparison_that_is_kept_is_a_number():
    back = kept(Gate()).adjoint
    assert [repr(e) for e in back.kept] == ["where(gt(s0, x0), 1.0, 0.0)"]
    found = evaluate([*back.states, *back.inlets], {"k0": np.array([1.0, 0.0]), "n0": 5.0, "g": 0.0}, NumpyOps())
    np.testing.assert_array_equal(found, [[10, 0], [0, 15]])


def test_the_adjoint_holds_nothing_of_the_way_forward_but_what_is_kept():
    for neuron, names in cases().values():
        step = trace(neuron, [FILTERED, SECTIONS])
        back = Model(step, step.depending_on(names), synaptic=True).adjoint
        for node in in_order([*back.states, *back.inlets, *back.coefficients]):
            assert node.op != "symbol" or node.value[0] in "kgnyc"
