"""Lines that cannot become a kernel are named: the file, the line, the function, the text, and the way out."""

import inspect
import math
from dataclasses import dataclass, make_dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from kernel_neurons import SUBTRACT, OneState

from spikeloom.errors import UnsupportedError
from spikeloom.filters import LogSpaced, StateSpace
from spikeloom.kernels import Inlet, TraceError, trace
from spikeloom.neurons import LIF, Emission, Forward, Reset, Surrogate
from spikeloom.neurons.neuron import Neuron


@dataclass(frozen=True, kw_only=True)
class Base(Neuron[OneState]):
    v_th: Any = 1.0
    n: Any = 3.0
    emission: Emission = SUBTRACT
    State = OneState

    def initial(self):
        return OneState(0.0)


# Each of these stands in place of `update`; its first line (of `branches` the second) cannot be traced.
def branches(self, state, inputs, dt, xp):
    v = state.v
    if state.v > 1:
        v = v * 0.5
    return OneState(v + inputs)


def joins_by_python(self, state, inputs, dt, xp):
    low = state.v > 0 and state.v < 1
    return OneState(xp.where(low, state.v, inputs))


def chains_comparisons(self, state, inputs, dt, xp):
    low = 0 < state.v < 1
    return OneState(xp.where(low, state.v, inputs))


def takes_the_maximum_of_python(self, state, inputs, dt, xp):
    v = max(state.v, 0.0)
    return OneState(v + inputs)


def uses_math(self, state, inputs, dt, xp):
    leak = math.exp(state.v)
    return OneState(leak + inputs)


def uses_math_of_a_parameter(self, state, inputs, dt, xp):
    leak = math.exp(-dt / self.n)
    return OneState(state.v * leak + inputs)


def takes_a_remainder(self, state, inputs, dt, xp):
    v = state.v % 1.0
    return OneState(v + inputs)


def divides_to_the_floor(self, state, inputs, dt, xp):
    v = state.v // 2
    return OneState(v + inputs)


def uses_a_numpy_function(self, state, inputs, dt, xp):
    v = np.exp(state.v)
    return OneState(v + inputs)


def clips_by_numpy(self, state, inputs, dt, xp):
    v = np.clip(state.v, 0.0, 1.0)
    return OneState(v + inputs)


def chooses_by_numpy(self, state, inputs, dt, xp):
    v = np.where(state.v > 0, state.v, 0.0)
    return OneState(v + inputs)


def sums_by_numpy(self, state, inputs, dt, xp):
    v = np.sum(state.v)
    return OneState(v + inputs)


def indexes(self, state, inputs, dt, xp):
    v = state.v[..., 0]
    return OneState(v + inputs)


def goes_through(self, state, inputs, dt, xp):
    v = sum(part for part in state.v)
    return OneState(v + inputs)


def uses_a_method(self, state, inputs, dt, xp):
    v = state.v.clamp(min=0)
    return OneState(v + inputs)


def counts_by_a_number(self, state, inputs, dt, xp):
    steps = range(int(self.n))
    return OneState(state.v + len(steps) * inputs)


def counts_by_a_value(self, state, inputs, dt, xp):
    steps = range(state.v)
    return OneState(state.v + len(steps) * inputs)


def stacks(self, state, inputs, dt, xp):
    both = xp.stack([state.v, inputs])
    return OneState(both)


def raises_to_a_fraction(self, state, inputs, dt, xp):
    v = state.v**1.5
    return OneState(v + inputs)


def raises_to_a_value(self, state, inputs, dt, xp):
    v = state.v**inputs
    return OneState(v + inputs)


def raises_a_number(self, state, inputs, dt, xp):
    v = 2.0**state.v
    return OneState(v + inputs)


def joins_numbers(self, state, inputs, dt, xp):
    both = xp.logical_and(state.v, inputs > 0)
    return OneState(xp.where(both, state.v, inputs))


def chooses_by_a_number(self, state, inputs, dt, xp):
    v = xp.where(state.v, inputs, 0.0)
    return OneState(v)


def takes_an_unknown_function(self, state, inputs, dt, xp):
    v = xp.sin(state.v)
    return OneState(v + inputs)


def takes_an_unknown_state(self, state, inputs, dt, xp):
    v = state.u + inputs
    return OneState(v)


def divides_by_nothing(self, state, inputs, dt, xp):
    v = state.v + xp.log(0.0)
    return OneState(v + inputs)


LINES = [
    branches, joins_by_python, chains_comparisons, takes_the_maximum_of_python, uses_math, uses_math_of_a_parameter,
    takes_a_remainder, divides_to_the_floor, uses_a_numpy_function, clips_by_numpy, chooses_by_numpy, sums_by_numpy,
    indexes, goes_through, uses_a_method, counts_by_a_number, counts_by_a_value, stacks, raises_to_a_fraction,
    raises_to_a_value, raises_a_number, joins_numbers, chooses_by_a_number, takes_an_unknown_function,
    takes_an_unknown_state, divides_by_nothing,
]  # fmt: skip

WAYS_OUT = {
    "branches": r"use xp\.where\(condition, a, b\)",
    "joins_by_python": r"use xp\.where\(condition, a, b\)",
    "uses_math": r"use the functions of xp, such as xp\.exp",
    "counts_by_a_number": r"use the functions of xp",
    "raises_to_a_fraction": r"the power 1\.5 is not a whole number up to 8; use xp\.exp and xp\.log",
    "uses_a_method": r"has no 'clamp'; use the functions of xp",
    "stacks": r"not elementwise",
    "joins_numbers": r"takes comparisons, not numbers",
    "chooses_by_a_number": r"the condition of xp\.where must be a comparison",
}


def neuron_with(lines):
    return type("Odd", (Base,), {"update": lines})()


@pytest.mark.parametrize("lines", LINES, ids=lambda f: f.__name__)
def test_the_line_that_cannot_be_traced_is_named(lines):
    text, first = inspect.getsourcelines(lines)
    at = 2 if lines is branches else 1
    with pytest.raises(TraceError) as caught:
        trace(neuron_with(lines), [Inlet("i_syn")])
    place = f"{Path(__file__).name}, line {first + at}, in {lines.__name__}: `{text[at].strip()}`: "
    start = f"Odd cannot become a kernel: {place}"
    assert str(caught.value).startswith(start)
    assert len(str(caught.value)) > len(start)
    assert isinstance(caught.value, UnsupportedError)


@pytest.mark.parametrize(("name", "way_out"), WAYS_OUT.items())
def test_the_way_out_is_told(name, way_out):
    with pytest.raises(TraceError, match=way_out):
        trace(neuron_with(globals()[name]), [Inlet("i_syn")])


def test_lines_of_a_surrogate_a_reset_and_an_output_are_named_too():
    class OddSurrogate(Surrogate):
        def derivative(self, d, xp):
            return 1.0 if d > 0 else 0.0

    class OddReset(Reset):
        def after(self, v, threshold, spikes, neuron):
            return v.masked_fill(spikes, 0.0)

    class OddForward(Forward):
        def output(self, d, v, xp):
            return np.tanh(d)

    for emission, place in (
        (Emission(surrogate=OddSurrogate(1.0)), r"in derivative: `return 1\.0 if d > 0 else 0\.0`"),
        (Emission(reset=OddReset()), r"in after: `return v\.masked_fill\(spikes, 0\.0\)`"),
        (Emission(forward=OddForward()), r"in output: `return np\.tanh\(d\)`"),
    ):
        with pytest.raises(TraceError, match=rf"LIF cannot become a kernel: test_refusals\.py, line \d+, {place}"):
            trace(LIF(emission=emission), [Inlet("i_syn")])


FILTERS = [StateSpace(A=[[-0.1]], B=[[1.0]]), LogSpaced(tau_min=1.0, tau_max=9.0, n=3)]


@pytest.mark.parametrize("filter", FILTERS, ids=lambda f: type(f).__name__)
def test_a_filter_that_is_not_elementwise_is_refused(filter):
    with pytest.raises(TraceError, match=r"LIF cannot become a kernel: .*\.py, line \d+, in \w+: `.+`: "):
        trace(LIF(), [Inlet("i_syn", filter, 1)], (1,))


def test_a_flag_decides_like_in_plain_python_and_leaves_no_trace():
    def flagged(self, state, inputs, dt, xp):
        keep = xp.logical_and(self.flag, state.v > 0)
        both = xp.logical_or(xp.logical_not(self.flag), keep)
        return OneState(xp.where(both, state.v, 0.0) + xp.where(self.flag, inputs, 2 * inputs))

    kind = make_dataclass("Flagged", [("flag", bool, True)], bases=(Base,), frozen=True, kw_only=True,
                          namespace={"update": flagged})  # fmt: skip
    for flag, start in ((True, "sub(add(where(gt(s0, 0.0), s0, 0.0), x0), "), (False, "sub(add(s0, mul(2.0, x0)), ")):
        (v,) = trace(kind(flag=flag), [Inlet("i_syn")]).after
        assert repr(v).startswith(start)
