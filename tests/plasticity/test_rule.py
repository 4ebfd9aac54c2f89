"""The records of a rule: what they refuse, what their expressions may hold, and one step on arrays and on tensors."""

import math
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from spikeloom.backends import TorchOps
from spikeloom.errors import ParameterError
from spikeloom.filters import Alpha, LowPass
from spikeloom.ops import NumpyOps
from spikeloom.plasticity import Change, Normalise, Rule, Trace
from spikeloom.plasticity.stepping import Dense, Stepper

X = {"x": Trace(end="pre")}
BAD = {
    "an unknown trace": (
        lambda: Rule(traces=X, changes=[Change(trigger="post", pre="xx")]),
        "unknown name 'xx'; did you mean 'x'",
    ),
    "a trace of the other end": (
        lambda: Rule(traces=X, changes=[Change(trigger="pre", post="x")]),
        r"changes\[0\].post: `x` has",
    ),
    "a later trace": (
        lambda: Rule(traces={"a": Trace(end="pre", of="b"), "b": Trace(end="pre")}),
        r"traces\['a'\].of: `b` has an unknown name 'b'",
    ),
    "a variable that was not named": (lambda: Rule(changes=[Change(trigger="pre", post="u")]), "unknown name 'u'"),
    "the weight in a factor": (lambda: Rule(changes=[Change(trigger="pre", post="w")]), "unknown name 'w'"),
    "what goes back in a post factor": (
        lambda: Rule(changes=[Change(trigger="pre", post="back")]),
        "unknown name 'back'",
    ),
    "the modulator in a factor": (lambda: Rule(changes=[Change(trigger="pre", post="m")]), "unknown name 'm'"),
    "a unit": (lambda: Rule(changes=[Change(trigger="pre", post="mV")]), "unknown name 'mV'"),
    "a condition": (lambda: Rule(changes=[Change(trigger="pre", post="s > 0")]), "is true or false, no number"),
    "code": (lambda: Rule(changes=[Change(trigger="pre", post="s.data")]), "has no meaning in an equation"),
    "a call": (lambda: Rule(changes=[Change(trigger="pre", post="eval('1')")]), "unknown function 'eval'"),
    "no text": (lambda: Rule(changes=[Change(trigger="pre", post=2.0)]), "post must be a text, got 2.0"),
    "a bound that is not there": (
        lambda: Rule(changes=[Change(trigger="pre", weight="w_max - w")]),
        "give the rule a finite w_max",
    ),
    "an end": (lambda: Trace(end="prae"), "end must be one of pre, post, got 'prae'; did you mean 'pre'"),
    "a trigger": (lambda: Change(trigger="spike"), "trigger must be one of pre, post, step, run, first"),
    "a filter": (lambda: Trace(end="pre", filter=3.0), "filter must be a LowPass, got 3.0"),
    "another filter": (
        lambda: Change(trigger="pre", eligibility=Alpha(tau=3.0)),
        "eligibility must be a LowPass or None",
    ),
    "a flag": (lambda: Trace(end="pre", nearest=1), "nearest must be True or False"),
    "eligibility at the end of a run": (
        lambda: Change(trigger="run", eligibility=LowPass(tau=1.0)),
        "comes once a run",
    ),
    "relaxing weights": (
        lambda: Change(trigger="post", relax=LowPass(tau=1.0)),
        "is for a target that is a neuron's parameter",
    ),
    "a pre factor of a threshold": (lambda: Change(trigger="post", target="v_th", pre="x"), "has a post factor alone"),
    "a target that is no name": (lambda: Change(trigger="post", target="v th"), "Change.target: a name has letters"),
    "a name twice": (lambda: Rule(traces={"v": Trace(end="pre")}), "Rule.traces: the name 'v' is taken"),
    "a name of its own": (lambda: Rule(parameters={"s": 1.0}), "Rule.parameters: the name 's' is taken"),
    "a function's name": (lambda: Rule(parameters={"exp": 1.0}), "the name 'exp' is taken"),
    "a parameter": (lambda: Rule(parameters={"a": math.nan}), r"parameters\['a'\] must be a finite number"),
    "a rate": (lambda: Rule(lr=-1.0), "Rule.lr must be a finite number of at least 0, got -1.0"),
    "bounds": (lambda: Rule(w_min=1.0, w_max=1.0), "w_min must be below w_max"),
    "a list of traces": (lambda: Rule(traces=[Trace(end="pre")]), "traces must map names to values"),
    "a change": (lambda: Rule(changes=[Trace(end="pre")]), r"changes\[0\] must be a Change"),
    "changes": (lambda: Rule(changes=Change(trigger="pre")), "changes must be a tuple"),
    "normalisation": (lambda: Rule(normalise=78.4), "normalise must be a Normalise or None, got 78.4"),
    "a norm": (lambda: Normalise(total=1.0, norm="l3"), "norm must be one of l1, l2, got 'l3'"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_makes_no_rule_is_an_error(name):
    make, text = BAD[name]
    with pytest.raises(ParameterError, match=text):
        make()


def test_a_rule_says_what_it_reads_and_moves():
    rule = Rule(
        traces={"b": Trace(end="post", of="u")},
        changes=[Change(trigger="step", pre="v", post="b"), Change(trigger="post", target="v_th")],
        variables=("u", "v"),
    )
    assert rule.read("pre") == {"v"}
    assert rule.read("post") == {"u"}
    assert rule.targets == ("v_th",)


def test_plasticity_needs_no_torch():
    modules = "spikeloom.plasticity.stepping, spikeloom.plasticity.description"
    code = f"import sys; sys.modules['torch'] = None; import {modules}"
    subprocess.run([sys.executable, "-c", code], check=True)


PARTS = ["1", "s", "0.5 * s + 0.1", "a * x", "count / 4", "v", "where(s > 0.5, x, -0.3)", "exp(-x) * dt", "x**2"]


@st.composite
def rules(draw):
    factor = st.sampled_from(PARTS)

    def change():
        trigger = draw(st.sampled_from(["pre", "post", "step", "run", "first"]))
        slow = LowPass(tau=6.0) if trigger in ("pre", "post", "step") and draw(st.booleans()) else None
        pre, post = draw(factor), draw(factor).replace("x", "y").replace("ey", "ex")
        pre = f"{pre} - 0.1 * back" if draw(st.booleans()) else pre
        post = post.replace("eyp", "exp")
        return Change(
            trigger=trigger, pre=pre, post=post, weight=draw(st.sampled_from(["1", "w_max - w", "0.3 * w"])),
            modulator=draw(st.sampled_from(["1", "m", "1 - m"])), eligibility=slow,
        )  # fmt: skip

    flags = {"nearest": draw(st.booleans()), "before": draw(st.booleans())}
    home = Change(trigger=draw(st.sampled_from(["post", "step"])), target="v_th", post="y", relax=LowPass(tau=30.0))
    return Rule(
        traces={"x": Trace(end="pre", **flags), "y": Trace(end="post", of="a * s", **flags)},
        changes=[change() for _ in range(draw(st.integers(1, 3)))] + [home],
        parameters={"a": 0.7}, lr=0.05, w_min=-2.0, w_max=2.0,
        normalise=draw(st.sampled_from([None, Normalise(total=1.5, every=4), Normalise(total=1.5, norm="l2")])),
    )  # fmt: skip


def run(rule, xp, array, seed):
    rng = np.random.default_rng(seed)
    draw = lambda n: array((rng.random((2, n)) < 0.4).astype(float))  # noqa: E731
    weights, first = array(np.full((3, 4), 0.3)), (draw(4), draw(3))
    stepper = Stepper(rule, Dense(rule, xp), 0.5, xp, 0.5)
    state = stepper.initial(weights, *first, {"v_th": first[1][0] * 0})
    for t in range(9):
        ends = {"s": draw(4), "v": draw(4)}, {"s": draw(3), "v": draw(3)}
        m = array(rng.normal(size=(2, 1)))
        weights, state = stepper.step(weights, state, *ends, m)
        weights = stepper.normalised(weights, t + 1)
    weights, state = stepper.end(weights, state, *ends, m, first=True)
    return np.asarray(stepper.normalised(weights, 9, last=True)), np.asarray(state.offsets["v_th"])


@settings(max_examples=60, deadline=None)
@given(rules(), st.integers(0, 10**6))
def test_arrays_and_tensors_learn_alike(rule, seed):
    found = run(rule, NumpyOps(), np.asarray, seed)
    twin = run(rule, TorchOps(), torch.as_tensor, seed)
    for a, b in zip(found, twin, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-12)


@settings(max_examples=30, deadline=None)
@given(rules(), st.integers(0, 10**6))
def test_without_a_rate_nothing_changes(rule, seed):
    weights, offsets = run(replace(rule, lr=0.0), NumpyOps(), np.asarray, seed)
    np.testing.assert_array_equal(weights, np.full((3, 4), 0.3))
    assert not offsets.any()


def test_a_growth_and_a_decay_make_one_difference_where_the_decay_comes_first():
    """w += lr s (x - w), as FEAST and k-means have it."""
    rule = Rule(
        traces=X,
        changes=[
            Change(trigger="post", weight="-w"),
            Change(trigger="post", pre="x"),
        ],
        lr=0.25,
    )
    weights, traces = np.array([[0.8]]), {"x": np.array([[0.4]])}
    stepper = Stepper(rule, Dense(rule, NumpyOps()), 1.0, NumpyOps())
    state = stepper.initial(weights, np.zeros((1, 1)), np.zeros((1, 1)), {})._replace(traces=traces)
    weights, _ = stepper.step(weights, state, {"s": np.zeros((1, 1))}, {"s": np.ones((1, 1))})
    assert weights.item() == pytest.approx(0.8 + 0.25 * (0.4 - 0.8))
