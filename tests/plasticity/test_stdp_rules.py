"""Rules of spike timing, against changes counted spike by spike and against the measurements they were fitted to."""

import math

import numpy as np
import pytest
from dense_rules import learn
from hypothesis import given, settings
from hypothesis import strategies as st
from spike_pairs import each, pairs, triplets

from spikeloom.errors import ParameterError, UnknownNameError
from spikeloom.plasticity import (
    TRIPLETS,
    Normalise,
    Triplets,
    diehl_cook,
    integer_stdp,
    meta_stdp,
    stdp,
    symmetric_stdp,
    triplet_stdp,
)

FREE = {"w_min": -math.inf, "w_max": math.inf}
D = math.exp(-1 / 20)


def rasters(seed=0, steps=60, n=3, k=4, rate=0.15):
    rng = np.random.default_rng(seed)
    return rng.random((steps, k)) < rate, rng.random((steps, n)) < rate


def trains(pre, post, steps=12):
    found = np.zeros((2, steps, 1))
    found[0, list(pre)], found[1, list(post)] = 1, 1
    return found


def one(rule, pre, post, w=0.0, steps=12, **options):
    """The weight of one synapse after spikes at these steps."""
    return learn(rule, [[w]], *trains(pre, post, steps), **options)[0][0, 0]


@pytest.mark.parametrize("nearest", [False, True])
@pytest.mark.parametrize("before", [False, True])
def test_pairs_are_counted_one_by_one(nearest, before):
    pre, post = rasters()
    amounts = {"a_plus": 0.7, "a_minus": 0.4, "tau_plus": 12.0, "tau_minus": 25.0}
    way = {"nearest": nearest, "before": before}
    expected = each(pre, post, lambda p, s: pairs(p, s, **amounts, **way))
    assert np.abs(expected).max() > 0.5
    found, _ = learn(stdp(**amounts, **way, **FREE), np.zeros((3, 4)), pre, post)
    np.testing.assert_allclose(found, expected, atol=1e-12)


@pytest.mark.parametrize("fit", list(TRIPLETS))
def test_triplets_are_counted_one_by_one(fit):
    pre, post = rasters(rate=0.1)
    nearest = "nearest" in fit
    numbers = TRIPLETS[fit]._asdict()
    expected = each(pre, post, lambda p, s: triplets(p, s, numbers, 16.8, 33.7, nearest))
    found, _ = learn(triplet_stdp(fit, **FREE), np.zeros((3, 4)), pre, post)
    np.testing.assert_allclose(found, expected, atol=1e-14)


MEASURED = {  # of Sjoestroem et al. 2001, as in table 1 of Pfister and Gerstner 2006: change and its standard error
    (0.1, 10): (-0.04, 0.05), (10, 10): (0.14, 0.10), (20, 10): (0.29, 0.14), (40, 10): (0.53, 0.11),
    (50, 10): (0.56, 0.26), (0.1, -10): (-0.29, 0.08), (10, -10): (-0.41, 0.11), (20, -10): (-0.34, 0.10),
    (40, -10): (0.56, 0.32), (50, -10): (0.74, 0.19),
}  # fmt: skip


def times(rate, lag):
    """The steps of 60 pairs at a rate in Hz, post `lag` ms after pre; after 300 ms the next pair is a lone one."""
    starts = 5 + np.arange(60) * min(round(1000 / rate), 300)
    return (starts + max(-lag, 0)).tolist(), (starts + max(lag, 0)).tolist()


def errors(changes):
    """How far the changes are from the measurements, in standard errors."""
    values, deviations = np.array(list(MEASURED.values())).T
    return (np.asarray(changes) - values) / deviations


def test_the_triplet_rule_explains_how_plasticity_depends_on_the_rate_and_pairs_cannot():
    rule = triplet_stdp("cortex_minimal", **FREE)
    trains_of = {where: times(*where) for where in MEASURED}
    found = {where: one(rule, *both, steps=max(map(max, both)) + 1) for where, both in trains_of.items()}
    assert np.mean(errors(list(found.values())) ** 2) < 1.0
    assert found[50, -10] > 0.3 > -0.2 > found[10, -10]
    way = {"tau_plus": 16.8, "tau_minus": 33.7, "nearest": False, "before": False}
    of_pairs = np.array([[pairs(*both, a, b, **way) for a, b in ((1, 0), (0, 1))] for both in trains_of.values()])
    weighted = of_pairs / np.array(list(MEASURED.values()))[:, 1:]
    best = np.linalg.lstsq(weighted, -errors(np.zeros(len(MEASURED))), rcond=None)[0]
    assert np.mean(errors(of_pairs @ best) ** 2) > 5.0


def test_an_unknown_fit_is_answered_with_the_known_ones():
    with pytest.raises(UnknownNameError, match="did you mean 'cortex_minimal'"):
        triplet_stdp("cortex_minimum")
    with pytest.raises(ParameterError, match="fit must be Triplets or one of cortex_full"):
        triplet_stdp(3)
    own = Triplets(0.0, 1e-2, 0.0, 0.0, 100.0, 40.0)
    assert one(triplet_stdp(own, **FREE), (4,), (2, 6)) == pytest.approx(1e-2 * math.exp(-1 / 16.8) * math.exp(-3 / 40))


def test_symmetric_pairs_potentiate_in_either_order():
    pre, post = rasters()
    expected = each(pre, post, lambda p, s: pairs(p, s, 5e-4, -5e-4, 20.0, 20.0, nearest=False, before=False))
    found, _ = learn(symmetric_stdp(w_max=9.0), np.full((3, 4), 0.5), pre, post)
    assert (expected > 0).all()
    np.testing.assert_allclose(found - 0.5, expected, atol=1e-14)


@pytest.mark.parametrize("mu", [0.0, 0.2, 1.0, 2.0])
def test_a_change_depends_on_the_room_to_the_bound_it_tends_to(mu):
    rule = stdp(a_plus=0.1, a_minus=0.1, mu_plus=mu, mu_minus=mu, w_min=-1.0, w_max=2.0)
    assert one(rule, (4,), (5,), w=0.25) == pytest.approx(0.25 + 0.1 * 1.75**mu)
    assert one(rule, (5,), (4,), w=0.25) == pytest.approx(0.25 - 0.1 * 1.25**mu)
    assert one(rule, (4,), (5,), w=2.0) == 2.0
    assert one(rule, (5,), (4,), w=-1.0) == -1.0


def test_weights_that_depend_on_their_room_come_to_one_value_and_others_to_the_bounds():
    # van Rossum et al.: additive potentiation, multiplicative depression give one mode at a_plus / a_minus
    rng = np.random.default_rng(1)
    pre, post = rng.random((3000, 60)) < 0.05, rng.random((3000, 1)) < 0.05
    start = rng.uniform(0, 1, (1, 60))
    amounts = {"a_plus": 0.02, "a_minus": 0.04}
    soft, _ = learn(stdp(**amounts, mu_minus=1.0), start, pre, post)
    hard, _ = learn(stdp(a_plus=0.05, a_minus=0.05), start, pre, post)
    assert soft.mean() == pytest.approx(0.5, abs=0.06)
    assert np.mean((hard < 0.1) | (hard > 0.9)) > 2 * np.mean((soft < 0.1) | (soft > 0.9))


def test_the_rule_of_diehl_and_cook_counts_post_spikes_that_follow_post_spikes():
    rule = diehl_cook(total=None, nu_pre=0.25, nu_post=0.5)
    assert one(rule, (2,), (4,), w=0.5) == 0.5  # no post spike before: y2 is 0
    slow = math.exp(-1 / 40)
    assert one(rule, (2,), (4, 7), w=0.25) == pytest.approx(0.25 + 0.5 * D**4 * slow**2)
    assert one(rule, (7,), (4,), w=0.5) == pytest.approx(0.5 - 0.25 * D**2)


def test_the_rule_of_diehl_and_cook_raises_thresholds_and_normalises_at_the_end():
    pre, post = rasters(steps=100, k=50)
    weights, offsets = learn(diehl_cook(total=5.0, theta_plus=0.05), np.full((3, 50), 0.3), pre, post)
    np.testing.assert_allclose(weights.sum(1), 5.0)
    np.testing.assert_allclose(offsets["v_th"], 0.05 * post.sum(0), rtol=1e-4)
    relaxed = learn(diehl_cook(theta_plus=1.0, tau_theta=20.0), np.full((1, 1), 0.3), *trains((), (2, 9)))[1]["v_th"]
    np.testing.assert_allclose(relaxed, D**9 + D**2)


def test_whole_weights_stay_whole_and_their_mean_change_is_exact():
    rule = integer_stdp(nu0=140, nu1=141, w_max=1e6)
    k = 20_000
    pre, post = np.zeros((9, k)), np.zeros((9, 1))
    pre[1] = post[4] = 1
    found, _ = learn(rule, np.full((1, k), 50.0), pre, post)
    assert np.array_equal(found, np.round(found))
    change = 141 * 127 / 2**14 * D**3
    assert found.mean() - 50 == pytest.approx(change, abs=4 * 0.5 / math.sqrt(k))
    assert set(np.unique(found - 50)) == {math.floor(change), math.ceil(change)}
    lowered, _ = learn(rule, np.full((1, k), 50.0), np.roll(pre, 5, 0), post)
    assert 50 - lowered.mean() == pytest.approx(140 * 127 / 2**14 * D**2, abs=4 * 0.5 / math.sqrt(k))
    again, _ = learn(rule, np.full((1, k), 50.0), pre, post)
    assert np.array_equal(found, again)
    assert not np.array_equal(found, learn(rule, np.full((1, k), 50.0), pre, post, seed=1)[0])


def test_whole_weights_are_halved_where_the_threshold_is_too_high():
    rule = integer_stdp(max_threshold=100.0)
    silent = np.zeros((1, 3)), np.zeros((1, 2))
    found, _ = learn(rule, [[9.0, 4.0, 1.0]] * 2, *silent, variables={"thresh": [[100.0, 101.0]]})
    assert found.tolist() == [[9, 4, 1], [4, 2, 0]]


def test_meta_stdp_has_soft_bounds_and_balances_who_fires():
    rule = meta_stdp(a_plus=0.1, a_minus=0.2, balance=0.0)
    assert one(rule, (3,), (5,), w=0.5) == pytest.approx(0.5 + 0.1 * math.exp(-2 / 30) * math.exp(-0.2 / 0.5))
    assert one(rule, (5,), (3,), w=0.25) == pytest.approx(0.25 - 0.2 * math.exp(-2 / 200) * math.exp(-0.2 / 0.25))
    still = np.zeros((200, 4))
    busy = np.zeros((200, 2))
    busy[::10, 0] = 1
    found, _ = learn(meta_stdp(a_minus=0.01, a_plus=0.0), np.full((2, 4), 0.5), still, busy)
    assert (found[0] < 0.5).all()
    assert (found[1] > 0.5).all()


RULES = {
    "pairs": lambda **o: stdp(a_plus=0.4, a_minus=0.5, **o),
    "soft pairs": lambda **o: stdp(a_plus=0.4, a_minus=0.5, mu_plus=0.3, mu_minus=0.3, **o),
    "triplets": lambda **o: triplet_stdp(Triplets(0.1, 0.5, 0.2, 0.3, 50.0, 50.0), **o),
    "symmetric": lambda **o: symmetric_stdp(a=0.3, lr=1.0, **o),
    "meta": lambda **o: meta_stdp(a_plus=0.5, a_minus=0.5, **o),
}


@settings(max_examples=20, deadline=None)
@given(
    st.sampled_from(sorted(RULES)), st.integers(0, 2**32 - 1), st.sampled_from([(0.0, 1.0), (-2.0, 0.0), (-1.0, 3.0)])
)
def test_weights_keep_their_bounds_and_so_their_sign_after_each_run(name, seed, bounds):
    low, high = bounds
    rule = RULES[name](w_min=low, w_max=high)
    weights = np.random.default_rng(seed).uniform(low, high, (3, 4))
    for run in range(3):
        weights, _ = learn(rule, weights, *rasters(seed + run, steps=15, rate=0.4))
        assert (low <= weights).all()
        assert (weights <= high).all()


@settings(max_examples=20, deadline=None)
@given(st.sampled_from(sorted(RULES)), st.integers(0, 2**32 - 1), st.floats(0.1, 2.0))
def test_sums_are_exact_after_normalisation(name, seed, total):
    rule = RULES[name](w_max=50.0, normalise=Normalise(total=total))
    weights, _ = learn(rule, np.random.default_rng(seed).uniform(0, 1, (3, 4)), *rasters(seed, steps=15, rate=0.4))
    sums = np.abs(weights).sum(1)
    np.testing.assert_allclose(sums[sums > 0], total, rtol=1e-12)
