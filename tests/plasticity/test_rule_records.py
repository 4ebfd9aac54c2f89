"""What a record of a rule means, against tables counted by hand; what it refuses."""

import math
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import scipy.signal
import torch
from dense_rules import learn
from hypothesis import example, given, settings
from hypothesis import strategies as st

from spikeloom.backends import TorchOps
from spikeloom.errors import ParameterError
from spikeloom.filters import LowPass
from spikeloom.ops import NumpyOps
from spikeloom.plasticity import (
    Change,
    Normalise,
    Rule,
    Trace,
    calibrated_threshold,
    integer_stdp,
    rate_modulation,
    stdp,
)
from spikeloom.plasticity.stepping import Dense, Stepper

D = math.exp(-1 / 20.0)
KINDS = {"numpy": (np.array, NumpyOps()), "torch": (lambda a: torch.tensor(np.asarray(a)), TorchOps())}
FREE = {"w_min": -math.inf, "w_max": math.inf}


@pytest.fixture(params=KINDS)
def kind(request):
    return KINDS[request.param]


def one(rule, pre, post, w=0.0, **options):
    """The weight of one synapse after spikes at these steps."""
    trains = np.zeros((2, 12, 1))
    trains[0, list(pre)], trains[1, list(post)] = 1, 1
    return learn(rule, [[w]], *trains, **options)[0][0, 0]


def normalised(weights, rule, kind=KINDS["numpy"]):
    array, xp = kind
    return np.asarray(Stepper(rule, Dense(rule, xp), 1.0, xp).normalised(array(weights), 1, last=True))


# What pairs change by +1 and -1, for (pre, post) spikes at steps. Each row: all pairs read after the rules, all pairs
# read before, nearest read after, nearest read before.
PAIRS = {
    "pre first": ((2,), (5,), D**2, D**3, D**2, D**3),
    "post first": ((5,), (2,), -(D**2), -(D**3), -(D**2), -(D**3)),
    "equal time": ((4,), (4,), 0.0, 0.0, 0.0, 0.0),
    "two pre, one post": ((1, 3), (6,), D**4 + D**2, D**5 + D**3, D**2, D**3),
    "two post, one pre": ((6,), (1, 3), -(D**4 + D**2), -(D**5 + D**3), -(D**2), -(D**3)),
}


@pytest.mark.parametrize("name", PAIRS)
@pytest.mark.parametrize("before", [False, True])
@pytest.mark.parametrize("nearest", [False, True])
def test_hand_made_pairs_change_what_the_table_says(name, before, nearest):
    pre, post, *expected = PAIRS[name]
    rule = stdp(a_plus=1.0, a_minus=1.0, nearest=nearest, before=before, **FREE)
    assert one(rule, pre, post) == pytest.approx(expected[2 * nearest + before], abs=1e-14)


@pytest.mark.parametrize(("pre", "post", "change"), [(False, False, 0.0), (True, False, 3.0), (False, True, -2.0)])
def test_spikes_of_the_same_step_pair_with_the_trace_that_is_updated_before(pre, post, change):
    traces = {"x": Trace(end="pre", before=pre), "y": Trace(end="post", before=post)}
    rule = Rule(traces=traces, changes=(Change(trigger="pre", post="-2 * y"), Change(trigger="post", pre="3 * x")))
    assert one(rule, (4,), (4,)) == change


def test_changes_scale_with_learning_rate_and_modulator():
    rule = Rule(
        traces={"x": Trace(end="pre")}, changes=(Change(trigger="post", pre="0.25 * x", modulator="m"),), lr=2.0
    )
    reward = [0.0] * 5 + [-3.0] + [0.0] * 6
    assert one(rule, (4,), (5,), modulator=reward) == pytest.approx(2.0 * 0.25 * -3.0)


def test_an_offset_weakens_inputs_that_were_silent():
    rule = Rule(traces={"x": Trace(end="pre")}, changes=(Change(trigger="post", pre="0.5 * (x - 0.4)"),))
    pre, post = np.zeros((3, 2)), np.zeros((3, 1))
    pre[0, 0] = post[1, 0] = 1
    np.testing.assert_allclose(learn(rule, [[1.0, 1.0]], pre, post)[0], [[1 + 0.5 * 0.6, 1 - 0.5 * 0.4]])


def test_weights_are_clipped_after_the_pre_spikes_and_after_the_post_spikes():
    rule = stdp(a_minus=5.0, a_plus=0.3, before=True)
    assert one(rule, (4,), (4,), w=0.9) == pytest.approx(0.3)  # clipped to 0 before the post spike adds


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0, 1), st.floats(-1, 0.5), st.floats(0.6, 2))
@example(seed=237, density=0.5, w_min=2.225073858507e-311, w_max=1.0)
def test_weights_never_leave_the_bounds(seed, density, w_min, w_max):
    rng = np.random.default_rng(seed)
    pre, post = (rng.random((20, n)) < density for n in (4, 3))
    rule = stdp(a_minus=0.5, a_plus=0.9, mu_minus=0.5, w_min=w_min, w_max=w_max, normalise=Normalise(total=3.0))
    weights = rng.uniform(w_min, w_max, (3, 4))
    for found in (learn(replace(rule, normalise=None), weights, pre, post)[0], learn(rule, weights, pre, post)[0]):
        assert (found >= w_min).all()
        assert (found <= w_max).all()


def test_normalised_weights_sum_to_the_total_and_silent_rows_stay(kind):
    weights = [[0.1, 0.2, 0.3], [0.0, 0.0, 0.0], [-0.5, 0.5, 1.0]]
    found = normalised(weights, Rule(normalise=Normalise(total=0.6)), kind)
    np.testing.assert_allclose(found, [[0.1, 0.2, 0.3], [0, 0, 0], [-0.15, 0.15, 0.3]])


def test_normalised_weights_have_the_length_that_is_asked_for(kind):
    found = normalised([[0.3, 0.4], [0.0, 0.0], [-5.0, 12.0]], Rule(normalise=Normalise(total=2.0, norm="l2")), kind)
    np.testing.assert_allclose(found, [[1.2, 1.6], [0, 0], [-10 / 13, 24 / 13]])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_row_too_small_to_be_scaled_is_silent_and_stays(kind, dtype):
    least = np.finfo(dtype).smallest_subnormal
    small = [[least, -3 * least, 0], [5e-30, -1e-30, 0], [0, 0, 0]]
    rows = np.array([*small, [0.25, -0.5, 0.25], [1e-28, 0, 0]], dtype)
    found = normalised(rows, Rule(normalise=Normalise(total=8.0)), kind)
    assert found.dtype == dtype
    np.testing.assert_array_equal(found[:3], rows[:3])
    np.testing.assert_allclose(found[3:], [[2.0, -4.0, 2.0], [8.0, 0, 0]], rtol=1e-6)


def test_normalised_weights_are_clipped():
    rule = Rule(normalise=Normalise(total=3.0), w_min=0.0, w_max=1.0)
    np.testing.assert_allclose(normalised([[0.1, 0.9]], rule), [[0.3, 1.0]])


def test_normalisation_is_due_each_so_many_steps_or_at_the_end():
    assert [n for n in range(1, 8) if Normalise(total=1.0, every=3).due(n, last=n == 7)] == [3, 6]
    assert [n for n in range(1, 8) if Normalise(total=1.0).due(n, last=n == 7)] == [7]


def test_the_rule_of_spaic_s_nearest_online_stdp():
    # x = pre + (1 - pre) e^(-1/20) x, y likewise; dw = Apost post x - Apre y pre; row sums of 78.4, then within 0 .. 1
    rng = np.random.default_rng(5)
    weights, steps, n, k = rng.uniform(0.05, 0.2, (5, 784)), 40, 5, 784  # away from the bounds
    pre, post = rng.random((steps, k)) < 0.05, rng.random((steps, n)) < 0.1
    expected, x, y = weights.copy(), np.zeros(k), np.zeros(n)
    for p, s in zip(pre.astype(float), post.astype(float), strict=True):
        x, y = p + (1 - p) * D * x, s + (1 - s) * D * y
        expected += 1e-2 * np.outer(s, x) - 1e-4 * np.outer(y, p)
        expected = np.clip(78.4 * expected / np.abs(expected).sum(1, keepdims=True), 0, 1)
    rule = stdp(a_plus=1e-2, a_minus=1e-4, nearest=True, before=True, normalise=Normalise(total=78.4, every=1))
    np.testing.assert_allclose(learn(rule, weights, pre, post)[0], expected, rtol=1e-12, atol=1e-14)


def test_a_trace_that_adds_is_the_low_pass_filter_of_the_spikes():
    spikes = (np.random.default_rng(2).random((50, 3)) < 0.2).astype(float)
    rule = Rule(traces={"x": Trace(end="pre", filter=LowPass(tau=[3.0, 7.0, 20.0]))})
    stepper = Stepper(rule, Dense(rule, NumpyOps()), 0.5, NumpyOps())
    nothing = np.zeros((1, 1))
    state = stepper.initial(np.zeros((1, 3)), spikes[:1], nothing, {})
    for s in spikes:
        _, state = stepper.step(np.zeros((1, 3)), state, {"s": s[None]}, {"s": nothing})
    expected = [
        scipy.signal.lfilter([1], [1, -math.exp(-0.5 / tau)], spikes[:, k])[-1] for k, tau in enumerate((3, 7, 20))
    ]
    np.testing.assert_allclose(state.traces["x"][0], expected, rtol=1e-12)


def test_a_threshold_rises_with_each_spike_and_decays():
    rule = Rule(changes=(Change(trigger="post", post="0.5", target="v_th", relax=LowPass(tau=20.0)),))
    post = np.array([1.0, 0.0, 1.0, 0.0])[:, None]
    np.testing.assert_allclose(learn(rule, [[0.0]], post * 0, post)[1]["v_th"], [0.5 * (D**3 + D)])


def changed(**options):
    return Rule(changes=(Change(**{"trigger": "post", **options}),))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Trace(end="both"), "Trace.end must be one of pre, post"),
        (lambda: Trace(end="pre", filter=20.0), "Trace.filter must be a LowPass"),
        (lambda: Trace(end="pre", nearest=1), "Trace.nearest must be True or False"),
        (lambda: Change(trigger="spike"), "Change.trigger must be one of"),
        (lambda: Change(trigger="post", relax=LowPass(tau=2.0)), "Change.relax is for a target"),
        (lambda: Change(trigger="pre", target="v_th"), "has a post factor alone"),
        (lambda: Change(trigger="run", eligibility=LowPass(tau=2.0)), "comes once a run"),
        (lambda: changed(pre="x"), "unknown name 'x'"),
        (lambda: changed(weight="w_max - w"), "give the rule a finite w_max"),
        (lambda: changed(post="__import__('os')"), "unknown function"),
        (lambda: changed(post="s.real"), "has no meaning in an equation"),
        (lambda: Normalise(total=0.0), "Normalise.total must be positive"),
        (lambda: Normalise(total=1.0, every=0), "Normalise.every must be a number of steps"),
        (lambda: Normalise(total=1.0, every=2.5), "Normalise.every must be a number of steps"),
        (lambda: Normalise(total=1.0, norm="l3"), "Normalise.norm must be one of l1, l2"),
        (lambda: Rule(traces={"x": LowPass(tau=2.0)}), "must be a Trace"),
        (lambda: Rule(traces={"s": Trace(end="pre")}), "the name 's' is taken"),
        (lambda: Rule(changes=(0.01,)), "must be a Change"),
        (lambda: Rule(normalise=78.4), "Rule.normalise must be a Normalise"),
        (lambda: Rule(w_min=1.0, w_max=1.0), "Rule.w_min must be below w_max"),
        (lambda: Rule(w_max=math.nan), "Rule.w_max must be a number"),
        (lambda: Rule(lr=-1.0), "Rule.lr must be a finite number of at least 0"),
    ],
)
def test_wrong_records_are_refused_by_name(make, message):
    with pytest.raises(ParameterError, match=message):
        make()


def test_rules_work_where_torch_cannot_be_imported():
    code = "import sys; sys.modules['torch'] = None\nfrom spikeloom.plasticity import Rule\nRule(lr=0.5)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


@pytest.mark.parametrize(
    ("part", "many"),
    [
        ("traces", {f"t{k}": Trace(end="pre") for k in range(101)}),
        ("changes", [Change(trigger="post")] * 101),
        ("parameters", {f"p{k}": 1.0 for k in range(101)}),
        ("variables", [f"v{k}" for k in range(101)]),
    ],
)
def test_a_rule_has_a_bounded_number_of_parts(part, many):
    with pytest.raises(ParameterError, match=rf"Rule.{part} has at most 100 entries, got 101"):
        Rule(**{part: many})


@pytest.mark.parametrize("kind", [np.float32, np.float64, np.int64])
def test_numbers_of_numpy_are_numbers_of_python_in_a_rule(kind):
    rule = stdp(a_plus=kind(2), mu_plus=kind(2), lr=kind(3), w_max=kind(4), normalise=Normalise(total=kind(5)))
    assert rule == stdp(a_plus=2.0, mu_plus=2.0, lr=3.0, w_max=4.0, normalise=Normalise(total=5.0))
    held = (rule.lr, rule.w_max, rule.parameters["a_plus"], rule.normalise.total)
    assert {type(number) for number in held} <= {int, float}


@pytest.mark.parametrize(
    "make",
    [
        lambda: Rule(lr=10**400),
        lambda: Rule(parameters={"p": 10**400}),
        lambda: Rule(w_max=10**400),
        lambda: Normalise(total=10**400),
        lambda: calibrated_threshold(rate="a"),
        lambda: integer_stdp(nu0="a"),
        lambda: integer_stdp(shift=-2000),
        lambda: rate_modulation(target="a"),
    ],
)
def test_what_is_no_number_or_too_large_is_an_error_that_says_what_was_expected(make):
    with pytest.raises(ParameterError, match="must be a"):
        make()


def test_an_error_shows_the_beginning_of_a_long_text():
    with pytest.raises(ParameterError) as caught:
        Change(trigger="x" * 100_000)
    assert len(str(caught.value)) < 300
