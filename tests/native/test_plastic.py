"""The plastic kernel against loops over single synapses, written from the equations, at every instruction-set level."""

import math
from dataclasses import dataclass, field, replace
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spikeloom import native
from spikeloom.errors import DataError, ParameterError, ShapeError
from spikeloom.kernels import constants, evaluate, trace_rule
from spikeloom.native.events import EventRows
from spikeloom.native.plastic import Functor, Leaky, Learning, Plastic
from spikeloom.ops import NumpyOps
from spikeloom.plasticity import Change, Rule, Trace

LIF = """
struct Leaky {
  static constexpr int states = 1, inlets = 2, coefficients = 3, kept = 0, synaptic = 0;
  template <class Real>
  SPIKELOOM_INLINE Mask<Real> forward(const Vec<Real>* s, const Vec<Real>* x, const Vec<Real>* c, Vec<Real>* after,
                                      Vec<Real>*, Vec<Real>&) {
    const Vec<Real> v = s[0] * c[0] + x[0] - x[1];
    const Mask<Real> fires = v - c[1] >= 0;
    after[0] = fires ? c[2] : v;
    return fires;
  }
};
"""
DECAY, V_TH, V_RESET = 0.9, 1.0, -0.25
FUNCTOR = Functor(source=LIF, struct="Leaky", coefficients=(DECAY, V_TH, V_RESET), parameters={"v_th": 1})
NEVER, SOON = Leaky(1.0, 0.0), Leaky(0.8, 1.0)


@dataclass(frozen=True)
class Pair:
    """The numbers of a pair rule: at a pre spike amount * (post trace - offset) * room ** mu, at a post spike likewise.

    room: the distance to the bound that a positive, or negative, amount tends to. theta: what a spike adds to the
    threshold, and how it decays.
    """

    at_pre: tuple[float, float] = (-0.02, 0.0)
    at_post: tuple[float, float] = (0.05, 0.0)
    mu: float = 0.0
    nearest: bool = False
    before: bool = False
    bounds: tuple[float, float] = (0.0, 1.0)
    pre: Leaky = SOON
    post: Leaky = SOON
    theta: Leaky = NEVER
    normalise: dict = field(default_factory=dict)

    @property
    def learning(self):
        step = traced(self.mu, self.nearest, self.before)
        (a_pre, o_pre), (a_post, o_post) = self.at_pre, self.at_post
        rule = Rule(
            parameters={"a": a_pre, "b": o_pre, "p": a_post, "q": o_post}, w_min=self.bounds[0], w_max=self.bounds[1]
        )
        return Learning(
            source=step.source, numbers=evaluate(step.numbers, constants(rule, 1.0), NumpyOps()), pre=[self.pre],
            post=[self.post], offsets={2: self.theta}, w_min=self.bounds[0], w_max=self.bounds[1], **self.normalise,
        )  # fmt: skip


@cache
def traced(mu, nearest, before):
    powers = {0.0: "1", 1.0: "{}", 0.4: "maximum({}, 1e-30)**0.4"}[mu]
    trace = {"nearest": nearest, "before": before}
    rule = Rule(
        traces={"x": Trace(end="pre", **trace), "y": Trace(end="post", **trace)},
        changes=(
            Change(trigger="pre", post="a * (y - b)", weight=powers.format("(w - w_min)")),
            Change(trigger="post", pre="p * (x - q)", weight=powers.format("(w_max - w)")),
            Change(trigger="post", target="v_th"),
        ),
        parameters={"a": 1.0, "b": 1.0, "p": 1.0, "q": 1.0}, w_min=0.0, w_max=1.0,
    )  # fmt: skip
    return trace_rule(rule, ["v"], FUNCTOR.parameters)


PLAIN = Pair()
ONES = np.ones(3)
REALS = [np.float64, np.float32]


@pytest.fixture(params=native.available())
def level(request):
    with native.using(request.param):
        yield request.param


def rows(raster):
    """The pre spikes (T, K) as event rows of one sample."""
    steps, ids = np.nonzero(raster)
    start = np.searchsorted(steps, np.arange(len(raster) + 1)).astype(np.int64)
    return EventRows(start, ids.astype(np.int32), None, len(raster), 1, raster.shape[1])


def raster_of(bits, n):
    return np.unpackbits(bits.view(np.uint8), axis=1, bitorder="little")[:, :n]


def drawn(seed, n, k, n_steps, density, dtype=np.float64):
    """Weights (n, k) that let some neurons fire, and pre spikes."""
    rng = np.random.default_rng(seed)
    weights = rng.uniform(0, min(1.0, 1.5 / max(1.0, k * density)), (n, k)).astype(dtype)
    return weights, rng.random((n_steps, k)) < density


def plastic(weights, rule=PLAIN, functor=FUNCTOR, **options):
    return Plastic(functor, rule.learning, weights, np.zeros((1, len(weights)), weights.dtype), **options)


class ByHand:
    """The same in plain numbers, one synapse at a time."""

    def __init__(self, weights, rule):
        self.w, self.rule = weights.astype(float).tolist(), rule
        self.n, self.k = weights.shape
        self.v, self.x, self.y, self.h = [0.0] * self.n, [0.0] * self.k, [0.0] * self.n, [0.0] * self.n
        self.done = 0

    def step(self, pre, modulator=1.0, current=None):
        arriving = [sum(w[j] for j in range(self.k) if pre[j]) for w in self.w]
        fired = [self.integrate(i, arriving[i], current) for i in range(self.n)]
        x, y = list(self.x), list(self.y)
        self.x, self.y = self.filtered(self.rule.pre, self.x, pre), self.filtered(self.rule.post, self.y, fired)
        if self.rule.before:
            x, y = self.x, self.y
        for i in range(self.n):
            for j in range(self.k):
                if pre[j]:
                    self.w[i][j] = self.changed(self.w[i][j], self.rule.at_pre, modulator, y[i], up=False)
                if fired[i]:
                    self.w[i][j] = self.changed(self.w[i][j], self.rule.at_post, modulator, x[j], up=True)
        theta = self.rule.theta
        self.h = [theta.decay * h + theta.gain * modulator * bool(s) for h, s in zip(self.h, fired, strict=True)]
        self.done += 1
        if (every := self.rule.normalise.get("every")) and self.done % every == 0:
            self.normalise()
        return fired

    def integrate(self, i, arriving, current):
        v = self.v[i] * DECAY + arriving + (0.0 if current is None else current[0][i] - current[1][i])
        fires = v >= V_TH + self.h[i]
        self.v[i] = V_RESET if fires else v
        return fires

    def filtered(self, trace, values, spikes):
        nearest = self.rule.nearest
        kept = [0.0 if nearest and s else v * trace.decay for v, s in zip(values, spikes, strict=True)]
        return [v + trace.gain * bool(s) for v, s in zip(kept, spikes, strict=True)]

    def changed(self, w, change, modulator, trace, up):
        low, high = self.rule.bounds
        room = max(high - w if up else w - low, 1e-30) ** self.rule.mu
        amount, offset = change
        return self.clip(w + amount * modulator * (trace - offset) * room)

    def clip(self, w):
        return min(max(w, self.rule.bounds[0]), self.rule.bounds[1])

    def normalise(self):
        total, squares = self.rule.normalise["total"], self.rule.normalise.get("squares", False)
        for i, row in enumerate(self.w):
            if (norm := math.hypot(*row) if squares else sum(map(abs, row))) > 1e-30 * total:
                self.w[i] = [self.clip(w * total / norm) for w in row]


leaks = st.builds(Leaky, st.floats(0, 0.99), st.floats(0.1, 2))
amounts = st.tuples(st.floats(-0.3, 0.3), st.floats(-0.5, 0.5))
norms = st.builds(
    lambda every, squares: {"total": 2.0, "every": every, "squares": squares}, st.sampled_from([0, 1, 3]), st.booleans()
)


@pytest.mark.parametrize(
    ("mu", "nearest", "before"), [(0.0, False, False), (0.0, True, True), (1.0, True, False), (0.4, False, True)]
)
@settings(max_examples=15, deadline=None)
@given(
    st.integers(0, 2**32 - 1), st.integers(1, 70), st.integers(1, 20), st.integers(1, 8), st.floats(0, 1),
    st.builds(Pair, amounts, amounts, bounds=st.sampled_from([(0.0, 1.0), (-0.5, 2.0)]), pre=leaks, post=leaks,
              theta=leaks, normalise=norms),
    st.sampled_from(native.available()),
)  # fmt: skip
def test_a_window_equals_the_loop_over_synapses(mu, nearest, before, seed, n, k, n_steps, density, rule, name):
    rule = replace(rule, mu=mu, nearest=nearest, before=before)
    weights, spikes = drawn(seed, n, k, n_steps, density)
    rng = np.random.default_rng(seed)
    modulator, current = rng.normal(size=n_steps), rng.uniform(-0.5, 1, (n_steps, 2, n))
    expected = ByHand(weights, rule)
    fired = [expected.step(s, m, c) for s, m, c in zip(spikes, modulator, current, strict=True)]
    with native.using(name):
        found = plastic(weights, rule)
        bits = found.run(rows(spikes), np.repeat(modulator[:, None], 3, 1), current=current)
    np.testing.assert_array_equal(raster_of(bits, n), np.array(fired).reshape(n_steps, n))
    pairs = {"weights": expected.w, "pre": [expected.x], "post": [expected.y], "state": [expected.v]}
    for name, value in (pairs | {"offsets": [expected.h]}).items():
        np.testing.assert_allclose(getattr(found, name), value, rtol=1e-10, atol=1e-12, err_msg=name)


@pytest.mark.parametrize("dtype", REALS)
def test_every_level_gives_the_same_to_rounding(level, dtype):
    weights, spikes = drawn(1, 130, 100, 60, 0.1, dtype)
    with native.using("portable"):
        expected = plastic(weights, replace(PLAIN, normalise={"every": 7, "total": 20.0}))
        bits = expected.run(rows(spikes), ONES)
    found = plastic(weights, replace(PLAIN, normalise={"every": 7, "total": 20.0}))
    np.testing.assert_array_equal(found.run(rows(spikes), ONES), bits)
    assert bits.any()
    tolerance = 1e-12 if dtype == np.float64 else 1e-5
    np.testing.assert_allclose(found.weights, expected.weights, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("dtype", REALS)
def test_windows_of_one_step_equal_one_window_bit_for_bit(level, dtype):
    weights, spikes = drawn(2, 40, 50, 40, 0.1, dtype)
    rule = Pair(
        (-0.02, 0.1), mu=0.4, nearest=False, before=True, theta=Leaky(0.99, 0.1), normalise={"total": 10.0, "every": 6}
    )
    rates = np.random.default_rng(0).normal(size=(40, 3))
    whole, cut = (plastic(weights, rule) for _ in range(2))
    bits = whole.run(rows(spikes), rates)
    parts = [cut.run(rows(spikes[t : t + 1]), rates[t : t + 1]) for t in range(40)]
    np.testing.assert_array_equal(np.concatenate(parts), bits)
    assert bits.any()
    for name in ("weights", "state", "pre", "post", "offsets"):
        np.testing.assert_array_equal(getattr(cut, name), getattr(whole, name), err_msg=name)


def test_threads_change_no_bit(level):
    weights, spikes = drawn(3, 200, 60, 50, 0.1)
    one, three = (plastic(weights, Pair(mu=0.4, before=True)) for _ in range(2))
    for window in (rows(spikes[:20]), rows(spikes[20:])):
        np.testing.assert_array_equal(one.run(window, ONES), three.run(window, ONES, threads=3))
    for name in ("weights", "state", "pre", "post"):
        np.testing.assert_array_equal(getattr(one, name), getattr(three, name), err_msg=name)


@pytest.mark.parametrize("n", [1, 15, 17, 64, 65])
def test_no_bit_is_set_beyond_the_last_neuron(n, level):
    always = replace(FUNCTOR, coefficients=(DECAY, -1.0, 0.0))
    bits = plastic(np.zeros((n, 3)), functor=always).run(rows(np.zeros((2, 3), bool)), ONES)
    assert bits.shape == (2, -(-n // 64))
    assert [sum(int(word).bit_count() for word in row) for row in bits] == [n, n]
    assert raster_of(bits, n).all()


def test_the_last_step_of_a_run_normalises_where_it_is_asked_to():
    weights, spikes = drawn(4, 5, 30, 10, 0.1)
    found = plastic(weights, replace(PLAIN, normalise={"total": 2.0}))
    found.run(rows(spikes[:5]), ONES)
    assert not np.allclose(found.weights.sum(1), 2.0)
    found.run(rows(spikes[5:]), ONES, at_end=True)
    np.testing.assert_allclose(found.weights.sum(1), 2.0)


def test_traces_that_are_all_zero_change_nothing_and_cost_no_weight():
    weights, _ = drawn(5, 20, 40, 1, 0.1)
    pre = np.zeros((3, 40), bool)
    pre[0, 33] = True
    current = np.zeros((3, 2, 20))
    current[1, 0, 7] = 10.0
    found = plastic(weights)
    found.run(rows(pre), ONES, current=current)
    expected = weights.copy()
    expected[7, 33] = min(1.0, weights[7, 33] + 0.05)
    np.testing.assert_allclose(found.weights, expected, rtol=1e-14)


def test_rest_puts_neurons_and_traces_back_and_keeps_what_was_learnt():
    weights, spikes = drawn(6, 8, 30, 20, 0.2)
    found = plastic(weights, replace(PLAIN, theta=Leaky(1.0, 0.1)))
    found.run(rows(spikes), ONES)
    learnt, theta = found.weights, found.offsets
    assert theta.any()
    found.rest(np.full((1, 8), 0.5))
    assert (found.state == 0.5).all()
    assert not found.pre.any()
    assert not found.post.any()
    np.testing.assert_array_equal(found.weights, learnt)
    np.testing.assert_array_equal(found.offsets, theta)


def test_a_decay_below_the_smallest_normal_number_ends_at_zero():
    found = plastic(np.zeros((1, 1), np.float32), replace(PLAIN, pre=Leaky(0.5, 1.0)))
    spikes = np.zeros((140, 1), bool)
    spikes[0] = True
    found.run(rows(spikes), ONES)
    assert found.pre[0, 0] == 0.0  # 2^-139 is not normal in float32


def test_each_neuron_may_have_its_own_numbers():
    taus = np.array([2.0, 5.0, 11.0])
    rule = replace(PLAIN, pre=Leaky(np.exp(-1 / taus), np.array([1.0, 2.0, 3.0])))
    found = plastic(np.zeros((2, 3)), rule)
    found.run(rows(np.array([[1, 1, 1], [0, 0, 0], [0, 0, 1]], bool)), ONES)
    d = np.exp(-2 / taus)
    np.testing.assert_allclose(found.pre[0], [d[0], 2 * d[1], 3 * d[2] + 3])


class TestBadInput:
    def test_arrays_that_do_not_fit_are_refused(self):
        weights = np.zeros((4, 6))
        for make, error in {
            lambda: plastic(weights.astype(np.float16)): DataError,
            lambda: plastic(weights[:, ::2]): DataError,
            lambda: plastic(weights[0]): ShapeError,
            lambda: plastic(np.zeros((0, 3))): ShapeError,
            lambda: plastic(np.zeros((3, 0))): ShapeError,
            lambda: Plastic(FUNCTOR, PLAIN.learning, weights, np.zeros((2, 4))): ShapeError,
            lambda: Plastic(FUNCTOR, PLAIN.learning, weights, np.zeros((1, 4), np.float32)): DataError,
            lambda: Plastic(FUNCTOR, replace(PLAIN.learning, numbers=()), weights, np.zeros((1, 4))): ShapeError,
            lambda: Plastic(FUNCTOR, replace(PLAIN.learning, post=()), weights, np.zeros((1, 4))): ShapeError,
            lambda: Plastic(
                FUNCTOR, replace(PLAIN.learning, offsets={3: NEVER}), weights, np.zeros((1, 4))
            ): ParameterError,
            lambda: plastic(weights, functor=replace(FUNCTOR, coefficients=(1.0, 1.0))): ShapeError,
            lambda: plastic(weights, functor=replace(FUNCTOR, coefficients=(1.0, 1.0, np.zeros(3)))): ShapeError,
            lambda: plastic(weights, replace(PLAIN, pre=Leaky(np.zeros(5), 1.0))): ShapeError,
            lambda: plastic(weights).put(pre=np.zeros((2, 6))): ShapeError,
            lambda: plastic(weights).put(weights=np.zeros((4, 6), np.float32)): DataError,
            lambda: plastic(weights).rest(np.zeros((1, 5))): ShapeError,
        }.items():
            with pytest.raises(error):
                make()

    def test_events_of_another_population_or_batch_are_refused(self):
        found, empty = plastic(np.zeros((4, 6))), np.zeros(0, np.int32)
        for rows_of_another in (
            EventRows(np.zeros(4, np.int64), empty, None, 3, 1, 5),
            EventRows(np.zeros(7, np.int64), empty, None, 3, 2, 6),
        ):
            with pytest.raises(ShapeError, match="one sample of the 6 pre neurons"):
                found.run(rows_of_another, ONES)

    def test_graded_events_are_refused(self):
        graded = EventRows(np.array([0, 1]), np.zeros(1, np.int32), np.ones(1), 1, 1, 6)
        with pytest.raises(DataError, match="plain spikes"):
            plastic(np.zeros((4, 6))).run(graded, ONES)

    @pytest.mark.parametrize("ids", [[1, 1, 0], [2, 1, 0], [0, 3, 3]])
    def test_a_neuron_that_fires_twice_in_a_step_is_refused(self, ids):
        events = EventRows(np.array([0, 0, 3, 3]), np.array(ids, np.int32), None, 3, 1, 6)
        with pytest.raises(DataError, match="ascend within a step"):
            plastic(np.zeros((4, 6))).run(events, ONES)

    def test_ids_may_fall_from_step_to_step(self):
        events = EventRows(np.array([0, 0, 2, 2, 3, 3]), np.array([3, 5, 0], np.int32), None, 5, 1, 6)
        found = plastic(np.zeros((4, 6)), replace(PLAIN, pre=Leaky(1.0, 1.0)))
        found.run(events, ONES)
        np.testing.assert_array_equal(found.pre[0], [1, 0, 0, 1, 0, 1])

    def test_rates_or_a_current_of_another_size_or_type_is_refused(self):
        found, events = plastic(np.zeros((4, 6))), rows(np.zeros((3, 6), bool))
        for options, error in (
            ({"rates": np.ones(2)}, ShapeError),
            ({"rates": np.ones((4, 3))}, ShapeError),
            ({"rates": np.ones(3, np.float32)}, DataError),
            ({"current": np.ones((3, 1, 4))}, ShapeError),
            ({"current": np.ones((3, 2, 5))}, ShapeError),
            ({"current": np.ones((3, 2, 4), np.float32)}, DataError),
            ({"threads": 0}, ParameterError),
        ):
            with pytest.raises(error):
                found.run(events, **{"rates": ONES, **options})

    def test_a_window_without_steps_changes_nothing(self):
        found = plastic(np.ones((4, 6)))
        assert found.run(rows(np.zeros((0, 6), bool)), ONES).shape == (0, 1)
        assert found.done == 0
        assert math.isclose(found.weights.sum(), 24.0)
