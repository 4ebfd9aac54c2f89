"""What a pair rule changes, against tables counted by hand, on NumPy arrays and on tensors."""

import math
import subprocess
import sys

import numpy as np
import pytest
import scipy.signal
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from spikeloom.backends import TorchOps
from spikeloom.errors import ParameterError
from spikeloom.filters import LowPass
from spikeloom.ops import NumpyOps
from spikeloom.plasticity import Change, Homeostasis, Normalise, PairRule, Trace, Traces

D = math.exp(-1 / 20.0)
KINDS = {"numpy": (np.array, NumpyOps()), "torch": (lambda a: torch.tensor(np.asarray(a)), TorchOps())}
FREE = {"w_min": -math.inf, "w_max": math.inf}


@pytest.fixture(params=KINDS)
def kind(request):
    return KINDS[request.param]


def run(rule, weights, pre, post, kind=KINDS["numpy"], modulator=None):
    """Weights (N, K) and traces after the spikes pre (T, K) and post (T, N)."""
    array, xp = kind
    weights = array(np.asarray(weights, np.float64))
    traces = Traces(rule.pre.initial(weights[0]), rule.post.initial(weights[:, 0]))
    leaks = rule.leaks(1.0, xp)
    for t, (x, s) in enumerate(zip(np.asarray(pre, np.float64), np.asarray(post, np.float64), strict=True)):
        factor = 1.0 if modulator is None else modulator[t]
        weights, traces = rule.step(weights, traces, array(x), array(s), leaks, xp, modulator=factor)
    return np.asarray(weights), traces


def one(rule, pre, post, w=0.0, **options):
    """The weight of one synapse after spikes at these steps."""
    trains = np.zeros((2, 12, 1))
    trains[0, list(pre)], trains[1, list(post)] = 1, 1
    return run(rule, [[w]], *trains, **options)[0][0, 0]


# What pairs change by at_post = +1 and at_pre = -1, for (pre, post) spikes at steps. Each row: all pairs read after the
# rules, all pairs read before, nearest read after, nearest read before.
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
def test_hand_made_pairs_change_what_the_table_says(name, before, nearest, kind):
    pre, post, *expected = PAIRS[name]
    trace = Trace(nearest=nearest, before=before)
    rule = PairRule(pre=trace, post=trace, at_pre=Change(amount=-1.0), at_post=Change(amount=1.0), **FREE)
    assert one(rule, pre, post, kind=kind) == pytest.approx(expected[2 * nearest + before], abs=1e-14)


@pytest.mark.parametrize(("pre", "post", "change"), [(False, False, 0.0), (True, False, 3.0), (False, True, -2.0)])
def test_spikes_of_the_same_step_pair_with_the_trace_that_is_updated_before(pre, post, change):
    rule = PairRule(
        pre=Trace(before=pre), post=Trace(before=post), at_pre=Change(amount=-2.0), at_post=Change(amount=3.0), **FREE
    )
    assert one(rule, (4,), (4,)) == change


def test_each_synapse_sees_its_own_spikes_only(kind):
    pre, post = np.zeros((6, 3)), np.zeros((6, 2))
    pre[1, 0] = pre[2, 2] = post[4, 1] = 1
    rule = PairRule(at_pre=Change(amount=-1.0), at_post=Change(amount=1.0), **FREE)
    weights, traces = run(rule, np.zeros((2, 3)), pre, post, kind)
    np.testing.assert_allclose(weights, [[0, 0, 0], [D**2, 0, D]], atol=1e-14)
    np.testing.assert_allclose(np.asarray(traces.pre), [D**4, 0, D**3], atol=1e-14)
    np.testing.assert_allclose(np.asarray(traces.post), [0, D], atol=1e-14)


def test_changes_scale_with_learning_rate_and_modulator():
    rule = PairRule(at_post=Change(amount=0.25), lr=2.0, **FREE)
    reward = [0.0] * 5 + [-3.0] + [0.0] * 6
    assert one(rule, (4,), (5,), modulator=reward) == pytest.approx(2.0 * 0.25 * -3.0)


def test_the_offset_weakens_inputs_that_were_silent():
    rule = PairRule(at_pre=Change(amount=0.0), at_post=Change(amount=0.5, offset=0.4), **FREE)
    pre, post = np.zeros((3, 2)), np.zeros((3, 1))
    pre[0, 0] = post[1, 0] = 1
    np.testing.assert_allclose(run(rule, [[1.0, 1.0]], pre, post)[0], [[1 + 0.5 * 0.6, 1 - 0.5 * 0.4]])


def test_the_offset_of_the_change_at_pre_spikes_is_taken_from_the_post_trace():
    rule = PairRule(at_pre=Change(amount=-0.5, offset=0.4), at_post=Change(amount=0.0), **FREE)
    assert one(rule, (5,), (4,), w=1.0) == pytest.approx(1 - 0.5 * (1 - 0.4))
    assert one(rule, (4,), (5,), w=1.0) == pytest.approx(1 + 0.5 * 0.4)


@pytest.mark.parametrize("mu", [0.2, 1.0, 2.0])
def test_a_change_depends_on_the_room_to_the_bound_it_tends_to(mu, kind):
    rule = PairRule(
        at_pre=Change(amount=-0.1, mu=mu), at_post=Change(amount=0.1, mu=mu), w_min=-1.0, w_max=2.0, normalise=None
    )
    assert one(rule, (4,), (5,), w=0.25, kind=kind) == pytest.approx(0.25 + 0.1 * 1.75**mu)
    assert one(rule, (5,), (4,), w=0.25, kind=kind) == pytest.approx(0.25 - 0.1 * 1.25**mu)
    assert one(rule, (4,), (5,), w=2.0, kind=kind) == 2.0
    assert one(rule, (5,), (4,), w=-1.0, kind=kind) == -1.0


def test_weights_are_clipped_after_the_pre_spikes_and_after_the_post_spikes():
    trace = Trace(before=True)
    rule = PairRule(pre=trace, post=trace, at_pre=Change(amount=-5.0), at_post=Change(amount=0.3))
    assert one(rule, (4,), (4,), w=0.9) == pytest.approx(0.3)  # clipped to 0 before the post spike adds


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0, 1), st.floats(-1, 0.5), st.floats(0.6, 2))
@example(seed=237, density=0.5, w_min=2.225073858507e-311, w_max=1.0)
def test_weights_never_leave_the_bounds(seed, density, w_min, w_max):
    rng = np.random.default_rng(seed)
    pre, post = (rng.random((20, n)) < density for n in (4, 3))
    changes = {"at_pre": Change(amount=-0.5, mu=0.5), "at_post": Change(amount=0.9)}
    rule = PairRule(**changes, w_min=w_min, w_max=w_max, normalise=Normalise(total=3.0))
    weights = run(rule, rng.uniform(w_min, w_max, (3, 4)), pre, post)[0]
    for found in (weights, rule.normalised(weights, NumpyOps())):
        assert (found >= w_min).all()
        assert (found <= w_max).all()


def test_normalised_weights_sum_to_the_total_and_silent_rows_stay(kind):
    array, xp = kind
    weights = array([[0.1, 0.2, 0.3], [0.0, 0.0, 0.0], [-0.5, 0.5, 1.0]])
    rule = PairRule(normalise=Normalise(total=0.6), **FREE)
    found = np.asarray(rule.normalised(weights, xp))
    np.testing.assert_allclose(found, [[0.1, 0.2, 0.3], [0, 0, 0], [-0.15, 0.15, 0.3]])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_row_too_small_to_be_scaled_is_silent_and_stays(kind, dtype):
    array, xp = kind
    least = np.finfo(dtype).smallest_subnormal
    small = [[least, -3 * least, 0], [5e-30, -1e-30, 0], [0, 0, 0]]
    rows = np.array([*small, [0.25, -0.5, 0.25], [1e-28, 0, 0]], dtype)
    rule = PairRule(normalise=Normalise(total=8.0), **FREE)
    found = np.asarray(rule.normalised(array(rows), xp))
    assert found.dtype == dtype
    np.testing.assert_array_equal(found[:3], rows[:3])
    np.testing.assert_allclose(found[3:], [[2.0, -4.0, 2.0], [8.0, 0, 0]], rtol=1e-6)


def test_normalised_weights_are_clipped():
    rule = PairRule(normalise=Normalise(total=3.0))
    np.testing.assert_allclose(rule.normalised(np.array([[0.1, 0.9]]), NumpyOps()), [[0.3, 1.0]])


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
    trace = Trace(nearest=True, before=True)
    rule = PairRule(pre=trace, post=trace, normalise=Normalise(total=78.4, every=1))
    found, traces = weights, Traces(np.zeros(k), np.zeros(n))
    for p, s in zip(pre.astype(float), post.astype(float), strict=True):
        found, traces = rule.step(found, traces, p, s, rule.leaks(1.0, NumpyOps()), NumpyOps())
        found = rule.normalised(found, NumpyOps())
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-14)


def test_a_trace_that_adds_is_the_low_pass_filter_of_the_spikes():
    spikes = (np.random.default_rng(2).random((50, 3)) < 0.2).astype(float)
    trace = Trace(filter=LowPass(tau=[3.0, 7.0, 20.0]))
    leak, value = trace.filter.coefficients(0.5, NumpyOps()), trace.initial(spikes[0])
    for s in spikes:
        value = trace.step(value, s, leak)
    expected = [
        scipy.signal.lfilter([1], [1, -math.exp(-0.5 / tau)], spikes[:, k])[-1] for k, tau in enumerate((3, 7, 20))
    ]
    np.testing.assert_allclose(value, expected, rtol=1e-12)


def test_a_nearest_trace_is_the_decay_since_the_last_spike():
    trace = Trace(nearest=True)
    leak, value = trace.filter.coefficients(1.0, NumpyOps()), np.zeros(2)
    for s in ([1, 1], [0, 1], [1, 0], [0, 0], [0, 0]):
        value = trace.step(value, np.array(s, float), leak)
    np.testing.assert_allclose(value, [D**2, D**3])


def test_a_threshold_rises_with_each_spike_and_decays():
    home = Homeostasis(theta_plus=0.5, filter=LowPass(tau=20.0))
    theta, leak = np.zeros(1), home.filter.coefficients(1.0, NumpyOps())
    for s in (1.0, 0.0, 1.0, 0.0):
        theta = home.step(theta, np.array([s]), leak)
    np.testing.assert_allclose(theta, [0.5 * (D**3 + D)])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Trace(filter=20.0), "Trace.filter must be a LowPass"),
        (lambda: Trace(nearest=1), "Trace.nearest must be True or False"),
        (lambda: Change(amount=math.nan), "Change.amount must be a finite number"),
        (lambda: Change(amount=1.0, mu=-1.0), "Change.mu must be a finite number of at least 0"),
        (lambda: Change(amount="much"), "Change.amount"),
        (lambda: Normalise(total=0.0), "Normalise.total must be positive"),
        (lambda: Normalise(total=1.0, every=0), "Normalise.every must be a number of steps"),
        (lambda: Normalise(total=1.0, every=2.5), "Normalise.every must be a number of steps"),
        (lambda: PairRule(pre=LowPass(tau=2.0)), "PairRule.pre must be a Trace"),
        (lambda: PairRule(at_post=0.01), "PairRule.at_post must be a Change"),
        (lambda: PairRule(normalise=78.4), "PairRule.normalise must be a Normalise"),
        (lambda: PairRule(w_min=1.0, w_max=1.0), "PairRule.w_min must be below w_max"),
        (lambda: PairRule(w_max=math.nan), "PairRule.w_max must be a number"),
        (lambda: PairRule(lr=-1.0), "PairRule.lr must be a finite number of at least 0"),
        (lambda: PairRule(at_post=Change(amount=1.0, mu=1.0), **FREE), "needs a finite w_max"),
        (lambda: PairRule(at_pre=Change(amount=-1.0, mu=1.0), **FREE), "needs a finite w_min"),
        (lambda: Homeostasis(theta_plus=math.inf), "Homeostasis.theta_plus must be a finite number"),
        (lambda: Homeostasis(filter=None), "Homeostasis.filter must be a LowPass"),
    ],
)
def test_wrong_numbers_are_refused_by_name(make, message):
    with pytest.raises(ParameterError, match=message):
        make()


def test_rules_work_where_torch_cannot_be_imported():
    code = "import sys; sys.modules['torch'] = None\nfrom spikeloom.plasticity import PairRule\nPairRule(lr=0.5)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
