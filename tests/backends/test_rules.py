"""Rules inside runs of a network, against loops over single synapses written by hand."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from spikeloom import Connection, Decoder, Encoder, Learner, Network, NeuronGroup, Spikes, StateMonitor, TorchBackend
from spikeloom.errors import DataError, ParameterError, ShapeError, StateError, UnsupportedError
from spikeloom.filters import LowPass
from spikeloom.network.parameters import as_array
from spikeloom.neurons import Emission, Graded, NoReset
from spikeloom.plasticity import Normalise, Rule
from spikeloom.plasticity.rule import Change, Trace

D = math.exp(-1 / 20.0)
TAU_M, V_TH = 10.0, 1.0

PAIRS = Rule(
    traces={"x": Trace(end="pre"), "y": Trace(end="post")},
    changes=(Change(trigger="pre", post="-0.03 * y"), Change(trigger="post", pre="0.1 * x")),
    w_min=0.0,
    w_max=1.0,
)


def raster(seed, n_steps, batch, shape, rate=0.3):
    return (np.random.default_rng(seed).random((n_steps, batch, *shape)) < rate).astype(np.int8)


def network(pre=(5,), post=(4,), rule=PAIRS, *, link="full", learner=None, dt=1.0, path="torch", **link_options):
    if link == "full" and "weight" not in link_options:
        link_options["weight"] = np.random.default_rng(7).uniform(0.1, 0.9, (math.prod(post), math.prod(pre)))
    net = Network()
    net.source = Encoder(shape=pre, coding_method="null")
    net.cells = NeuronGroup(shape=post, model="lif", tau_m=TAU_M, v_th=V_TH)
    net.c = Connection(net.source, net.cells, link_type=link, **link_options)
    if rule is not None:
        net.learner = Learner(net.c, rule, **(learner or {}))
    net.set_backend(TorchBackend(dt=dt, dtype=torch.float64, path=path))
    net.set_random_seed(3)
    return net


def show(net, train):
    net.source(Spikes.from_raster(train, net.backend.dt))
    net.run(len(train) * net.backend.dt)


def weights(net):
    return as_array(net.c.weight.value).copy()


def learnt(net, train):
    show(net, train)
    return weights(net)


def synapses(kind, pre, post, options):
    """Each synapse as (place in the flat weight, post neuron, pre neuron)."""
    if kind == "full":
        return [(i * math.prod(pre) + j, i, j) for i in range(math.prod(post)) for j in range(math.prod(pre))]
    if kind == "sparse":
        return [(q, i, j) for q, (i, j) in enumerate(options["indices"].T)]
    if kind == "one_to_one":
        return [(j, j, j) for j in range(math.prod(pre))]
    (channels, height, width), (out, rows, columns), k = pre, post, options["kernel_size"]
    found = []
    for o in range(out):
        for r in range(rows):
            for c in range(columns):
                for ch in range(channels):
                    for a in range(k):
                        for b in range(k):
                            place = ((o * channels + ch) * k + a) * k + b
                            found.append((place, (o * rows + r) * columns + c, (ch * height + r + a) * width + c + b))
    return found


def by_hand(wired, w, train, n_post, a_plus=0.1, a_minus=0.03):
    """Weights and spikes (T, N) of LIF neurons behind STDP synapses, one sample, synapse by synapse."""
    w = np.array(w, float).ravel()
    train = train.reshape(len(train), -1).astype(float)
    x, y, v = np.zeros(train.shape[1]), np.zeros(n_post), np.zeros(n_post)
    fired = []
    for s in train:
        current = np.zeros(n_post)
        for q, i, j in wired:
            current[i] += w[q] * s[j]
        v = v * math.exp(-1 / TAU_M) + current
        out = (v >= V_TH).astype(float)
        v = np.where(out > 0, 0.0, v)
        by = np.zeros_like(w)
        for q, i, j in wired:
            by[q] -= a_minus * y[i] * s[j]
        w = np.clip(w + by, 0, 1)
        by = np.zeros_like(w)
        for q, i, j in wired:
            by[q] += a_plus * x[j] * out[i]
        w = np.clip(w + by, 0, 1)
        x, y = D * x + s, D * y + out
        fired.append(out)
    return w, np.array(fired)


@st.composite
def wirings(draw):
    kind = draw(st.sampled_from(["full", "sparse", "one_to_one", "conv"]))
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    if kind == "conv":
        k = draw(st.integers(1, 2))
        pre = (draw(st.integers(1, 2)), k + draw(st.integers(0, 2)), k + draw(st.integers(0, 2)))
        out = draw(st.integers(1, 2))
        post = (out, pre[1] - k + 1, pre[2] - k + 1)
        return kind, pre, post, {"kernel_size": k, "out_channels": out, "weight": rng.random((out, pre[0], k, k))}
    pre = (draw(st.integers(1, 4)), draw(st.integers(1, 2)))
    post = pre if kind == "one_to_one" else (draw(st.integers(1, 4)),)
    if kind == "sparse":
        n_pre, n_post = math.prod(pre), math.prod(post)
        chosen = rng.permutation(n_pre * n_post)[: draw(st.integers(1, n_pre * n_post))]
        indices = np.stack([chosen // n_pre, chosen % n_pre]).astype(np.int64)
        return kind, pre, post, {"indices": indices, "weight": rng.random(len(chosen))}
    shape = (math.prod(pre),) if kind == "one_to_one" else (math.prod(post), math.prod(pre))
    return kind, pre, post, {"weight": rng.random(shape)}


class TestStructures:
    @settings(max_examples=40, deadline=None)
    @given(wirings(), st.integers(0, 10**6))
    def test_any_structure_learns_as_its_synapses_one_by_one(self, wiring, seed):
        kind, pre, post, options = wiring
        train = raster(seed, 25, 1, pre, 0.4)
        net = network(pre, post, link=kind, **options)
        net.out = Decoder(dec_target=net.cells, coding_method="null")
        show(net, train)
        w, fired = by_hand(synapses(kind, pre, post, options), options["weight"], train, math.prod(post))
        np.testing.assert_array_equal(as_array(net.out.predict).reshape(25, -1), fired)
        np.testing.assert_allclose(weights(net).ravel(), w, atol=1e-12)

    def test_the_synapses_of_the_loop_do_learn_and_do_fire(self):
        train = raster(1, 40, 1, (5,))
        w0 = weights(network())
        w, fired = by_hand(synapses("full", (5,), (4,), {}), w0, train, 4)
        assert fired.sum() > 10
        assert np.abs(w - w0.ravel()).max() > 0.3

    def test_a_connection_inside_a_loop_learns_with_the_delay_of_a_step(self):
        net = Network()
        net.source = Encoder(num=3, coding_method="null")
        net.cells = NeuronGroup(3, "lif", tau_m=TAU_M, v_th=V_TH)
        net.input = Connection(net.source, net.cells, link_type="one_to_one", weight=np.ones(3), is_parameter=False)
        start = np.random.default_rng(1).uniform(0, 0.5, (3, 3))
        net.c = Connection(net.cells, net.cells, link_type="full", weight=start)
        net.learner = Learner(net.c, PAIRS)
        net.out = Decoder(dec_target=net.cells, coding_method="null")
        net.set_backend(TorchBackend(dt=1.0, dtype=torch.float64, path="torch"))
        train = raster(2, 30, 1, (3,))
        show(net, train)
        w, v, last, x = start.copy(), np.zeros(3), np.zeros(3), np.zeros(3)
        for t, s in enumerate(train[:, 0].astype(float)):
            v = v * math.exp(-1 / TAU_M) + s + w @ last
            last = (v >= V_TH).astype(float)
            v = np.where(last > 0, 0.0, v)
            w = np.clip(w - 0.03 * np.outer(x, last), 0, 1)
            w = np.clip(w + 0.1 * np.outer(last, x), 0, 1)
            x = D * x + last
            np.testing.assert_array_equal(as_array(net.out.predict)[t].ravel(), last)
        np.testing.assert_allclose(weights(net), w, atol=1e-12)
        assert np.abs(w - start).max() > 0.1

    def test_a_delayed_connection_brings_its_current_later(self):
        train = raster(3, 20, 1, (5,))
        start = weights(network())
        net = network(delay=3.0, learner={"lr": 0.0}, weight=start)
        net.out = Decoder(dec_target=net.cells, coding_method="null")
        other = network(rule=None, weight=start)
        other.out = Decoder(dec_target=other.cells, coding_method="null")
        show(net, train)
        show(other, train)
        np.testing.assert_array_equal(as_array(net.out.predict)[3:], as_array(other.out.predict)[:-3])


class TestForm:
    """Each field of a record, in closed form: one synapse, spikes at chosen steps."""

    def one(self, rule, pre, post=(), w=0.5, n_steps=12, **learner):
        """One synapse: pre spikes at these steps; the cell is made to fire at those of post by a strong other input."""
        net = Network()
        net.source = Encoder(num=1, coding_method="null")
        net.teacher = Encoder(num=1, coding_method="null")
        net.cells = NeuronGroup(1, "lif", tau_m=1e-3, v_th=50.0)
        net.c = Connection(net.source, net.cells, link_type="full", weight=np.array([[w]]))
        net.t = Connection(net.teacher, net.cells, link_type="full", weight=[[100.0]], is_parameter=False)
        net.learner = Learner(net.c, rule, **learner)
        net.set_backend(TorchBackend(dt=1.0, dtype=torch.float64, path="torch"))
        for encoder, steps in ((net.source, pre), (net.teacher, post)):
            train = np.zeros((n_steps, 1, 1), np.int8)
            train[list(steps)] = 1
            encoder(Spikes.from_raster(train, 1.0))
        net.run(float(n_steps))
        return net

    def change(self, rule, pre, post=(), w=0.5, **options):
        return weights(self.one(rule, pre, post, w, **options)).item() - w

    def test_a_pair_is_worth_its_trace(self):
        assert self.change(PAIRS, [2], [5]) == pytest.approx(0.1 * D**2)
        assert self.change(PAIRS, [5], [2]) == pytest.approx(-0.03 * D**2)

    def test_a_product_of_two_traces_is_a_triplet(self):
        rule = Rule(
            traces={"x": Trace(end="pre"), "y": Trace(end="post", filter=LowPass(tau=40.0))},
            changes=(Change(trigger="post", pre="x", post="y"),),
        )
        slow = math.exp(-1 / 40)
        expected = D ** (8 - 1 - 1) * slow ** (8 - 3 - 1)  # at step 8; at step 3 there was no post spike yet
        assert self.change(rule, [1], [3, 8]) == pytest.approx(expected)

    def test_a_trace_of_a_trace_is_a_filter_of_second_order(self):
        rule = Rule(
            traces={"x": Trace(end="pre"), "z": Trace(end="pre", of="x", filter=LowPass(tau=40.0))},
            changes=(Change(trigger="post", pre="z"),),
        )
        x, z = 0.0, 0.0
        for t in range(6):
            x = D * x + (t == 1)
            z = math.exp(-1 / 40) * z + x
        assert self.change(rule, [1], [6]) == pytest.approx(z)

    def test_eligibility_decays_until_the_modulator_reads_it_in_every_step(self):
        rule = Rule(
            traces={"x": Trace(end="pre")},
            changes=(Change(trigger="post", pre="x", modulator="0.5 * m", eligibility=LowPass(tau=5.0)),),
        )
        e = D**2
        expected = 0.5 * 2.0 * sum(e * math.exp(-n / 5) for n in range(12 - 5))
        assert self.change(rule, [2], [5], modulator=2.0) == pytest.approx(expected)
        assert self.change(rule, [2], [5], modulator=0.0) == 0.0

    def test_the_factor_of_the_weight_sees_the_weight_of_each_step(self):
        rule = Rule(changes=(Change(trigger="pre", weight="w_max - w"),), lr=0.25, w_max=1.0, w_min=0.0)
        assert self.change(rule, [1, 2, 3], w=0.2) == pytest.approx(1 - 0.8 * 0.75**3 - 0.2)

    def test_a_change_at_every_step_and_one_at_the_end_of_a_run(self):
        assert self.change(Rule(changes=(Change(trigger="step", weight="-0.1 * w"),)), []) == pytest.approx(
            0.5 * 0.9**12 - 0.5
        )
        counted = Rule(
            traces={"n": Trace(end="pre", filter=LowPass(tau=1e12))}, changes=(Change(trigger="run", pre="n"),)
        )
        assert self.change(counted, [0, 3, 4, 9]) == pytest.approx(4.0)

    def test_a_change_on_the_first_run_comes_once(self):
        net = self.one(Rule(changes=(Change(trigger="first", weight="w"),)), [])
        assert weights(net).item() == 1.0
        net.run(5.0)
        assert weights(net).item() == 1.0

    def test_variables_of_both_ends_can_be_read(self):
        net = Network()
        net.source = Encoder(num=1, coding_method="null")
        net.a = NeuronGroup(1, "lif", tau_m=5.0, v_th=100.0)
        net.b = NeuronGroup(1, "lif", tau_m=5.0, v_th=100.0)
        net.i = Connection(net.source, net.a, link_type="full", weight=[[1.0]], is_parameter=False)
        net.c = Connection(net.a, net.b, link_type="full", weight=[[0.0]])
        net.learner = Learner(net.c, Rule(changes=(Change(trigger="step", pre="v", post="v + 1"),)))
        net.set_backend(TorchBackend(dt=1.0, dtype=torch.float64, path="torch"))
        show(net, np.array([1, 0, 1, 0], np.int8).reshape(4, 1, 1))
        d, v, total = math.exp(-1 / 5.0), 0.0, 0.0
        for s in (1, 0, 1, 0):
            v = d * v + s
            total += v
        assert weights(net).item() == pytest.approx(total)

    def test_what_goes_back_through_the_weights_finds_the_principal_component(self):
        """Oja's rule for a subspace: w += lr y (x - w y), here with graded neurons, against the same in NumPy."""
        rng = np.random.default_rng(0)
        data = rng.normal(size=(60, 1, 3)) * [3.0, 1.0, 0.3]
        rule = Rule(changes=(Change(trigger="step", pre="s - back", post="s"),), lr=0.02)
        start = np.array([[0.5, 0.5, 0.5]])
        net = Network()
        net.source = Encoder(num=3, coding_method="null")
        net.cells = NeuronGroup(1, "lif", tau_m=1e-3, v_th=1e9)
        net.c = Connection(net.source, net.cells, link_type="full", weight=start)
        net.learner = Learner(net.c, Rule(changes=(Change(trigger="step", pre="s - back", post="v"),), lr=rule.lr))
        net.set_backend(TorchBackend(dt=1.0, dtype=torch.float64, path="torch"))
        net.source(torch.from_numpy(data).permute(1, 0, 2))
        net.run(60.0)
        w = start.copy()
        for x in data[:, 0]:
            y = w @ x
            w = w + rule.lr * np.outer(y, x - w.T @ y)
        np.testing.assert_allclose(weights(net), w, atol=1e-12)
        assert abs(w[0, 0]) > 0.9

    def test_two_rules_at_one_connection_follow_each_other_in_each_step(self):
        net = network(rule=Rule(changes=(Change(trigger="pre"),), lr=0.1), weight=np.zeros((4, 5)))
        net.second = Learner(net.c, Rule(changes=(Change(trigger="step", weight="-0.5 * w"),)))
        train = raster(4, 10, 1, (5,))
        w = np.zeros((4, 5))
        for s in train[:, 0]:
            w = 0.5 * (w + 0.1 * s)
        np.testing.assert_allclose(learnt(net, train), w, atol=1e-12)

    def test_neurons_with_a_refractory_period_have_a_threshold_that_learns(self):
        net = network(rule=Rule(changes=(Change(trigger="post", target="v_th", post="0.25"),)))
        net.cells = NeuronGroup(4, "lif", tau_m=TAU_M, v_th=V_TH, t_ref=2.0)
        net.c = Connection(net.source, net.cells, link_type="full", weight=np.full((4, 5), 0.7))
        net.learner = Learner(net.c, Rule(changes=(Change(trigger="post", target="v_th", post="0.25"),)))
        net.out = Decoder(dec_target=net.cells, coding_method="spike_counts")
        show(net, raster(4, 40, 1, (5,)))
        assert as_array(net.out.predict).min() > 2
        np.testing.assert_allclose(net.learner.get_value("cells_v_th"), 0.25 * as_array(net.out.predict)[0])

    def test_count_is_the_activity_of_the_population(self):
        net = network(rule=Rule(changes=(Change(trigger="step", pre="count"),)), weight=np.zeros((4, 5)))
        train = raster(4, 10, 1, (5,))
        np.testing.assert_allclose(learnt(net, train), np.full((4, 5), train.sum()))


class TestConstraints:
    def test_weights_stay_within_the_bounds_of_rule_and_connection(self):
        train = raster(5, 60, 1, (5,), 0.5)
        net = network(rule=Rule(changes=(Change(trigger="pre"),), lr=0.2, w_max=3.0), w_max=2.0)
        assert learnt(net, train).max() == 2.0
        net = network(rule=Rule(changes=(Change(trigger="pre"),), lr=0.2, w_max=1.5), w_max=2.0)
        assert learnt(net, train).max() == 1.5

    def test_the_sign_of_each_source_holds(self):
        sign = np.array([1, -1, 1, -1, 1])
        start = np.random.default_rng(1).uniform(0.1, 0.3, (4, 5)) * sign
        net = network(rule=Rule(changes=(Change(trigger="pre"),), lr=0.2), sign=sign, weight=start)
        found = learnt(net, raster(6, 40, 1, (5,)))
        assert (found[:, 1::2] == 0).all()
        assert (found[:, ::2] > 1).all()

    def test_bounds_that_leave_no_weight_are_an_error(self):
        net = network(
            rule=Rule(changes=(Change(trigger="pre"),), w_min=0.5, w_max=1.0), sign=-1, weight=-np.ones((4, 5))
        )
        with pytest.raises(ParameterError, match=r"no weight is within the bounds of the rule"):
            show(net, raster(0, 3, 1, (5,)))

    @pytest.mark.parametrize(("norm", "power"), [("l1", 1), ("l2", 2)])
    @pytest.mark.parametrize("every", [None, 1])
    def test_rows_have_their_norm_after_a_run(self, norm, power, every):
        rule = Rule(
            traces=PAIRS.traces,
            changes=PAIRS.changes,
            w_min=0.0,
            normalise=Normalise(total=1.7, every=every, norm=norm),
        )
        found = learnt(network(rule=rule), raster(7, 30, 1, (5,)))
        np.testing.assert_allclose((np.abs(found) ** power).sum(1), np.full(4, 1.7**power), rtol=1e-12)

    def test_the_rows_of_sparse_and_of_convolved_weights_are_those_of_a_neuron_and_of_a_kernel(self):
        rule = Rule(normalise=Normalise(total=2.0))
        indices = np.array([[0, 0, 2, 2, 2], [0, 3, 1, 2, 4]])
        net = network(rule=rule, link="sparse", indices=indices, weight=np.arange(1.0, 6.0))
        found = learnt(net, raster(8, 5, 1, (5,)))
        np.testing.assert_allclose(found, [2 / 3, 4 / 3, 6 / 12, 8 / 12, 10 / 12])
        kernels = np.random.default_rng(2).random((2, 1, 2, 2))
        net = network((1, 3, 3), (2, 2, 2), rule, link="conv", kernel_size=2, out_channels=2, weight=kernels)
        found = learnt(net, raster(8, 5, 1, (1, 3, 3)))
        np.testing.assert_allclose(found.sum((1, 2, 3)), [2.0, 2.0])

    def test_whole_numbers_stay_whole_and_are_right_on_average(self):
        rule = Rule(changes=(Change(trigger="pre"),), lr=0.3, rounding=True)
        net = network((400,), (50,), rule, weight=np.zeros((50, 400)))
        found = learnt(net, np.ones((10, 1, 400), np.int8))
        assert (found == np.round(found)).all()
        assert found.mean() == pytest.approx(3.0, abs=0.02)  # 4 standard errors: sqrt(10 * .21 / 20000) = .0102
        assert found.std() == pytest.approx(math.sqrt(10 * 0.3 * 0.7), rel=0.05)


class TestThresholds:
    HOME = Rule(
        changes=(*PAIRS.changes, Change(trigger="post", target="v_th", post="0.5", relax=LowPass(tau=50.0))),
        traces=PAIRS.traces,
        w_min=0.0,
        w_max=1.0,
    )

    def by_hand(self, w, trains):
        """The Diehl-Cook equations: LIF, pair rule, theta that grows by a spike and decays; theta outlives the runs."""
        theta, fired = np.zeros(len(w)), []
        for train in trains:
            x, y, v = np.zeros(w.shape[1]), np.zeros(len(w)), np.zeros(len(w))
            for s in train[:, 0].astype(float):
                v = v * math.exp(-1 / TAU_M) + w @ s
                out = (v >= V_TH + theta).astype(float)
                v = np.where(out > 0, 0.0, v)
                w = np.clip(w - 0.03 * np.outer(y, s), 0, 1)
                w = np.clip(w + 0.1 * np.outer(out, x), 0, 1)
                x, y = D * x + s, D * y + out
                theta = math.exp(-1 / 50) * theta + 0.5 * out
                fired.append(out.sum())
        return w, theta, np.array(fired)

    def test_a_threshold_grows_with_spikes_decays_and_outlives_a_run(self):
        net = network(rule=self.HOME)
        start, trains = weights(net), [raster(k, 30, 1, (5,), 0.5) for k in (1, 2)]
        for train in trains:
            show(net, train)
        w, theta, fired = self.by_hand(start, trains)
        assert fired.sum() > 10
        np.testing.assert_allclose(weights(net), w, atol=1e-12)
        np.testing.assert_allclose(net.state_dict()["learner.cells_v_th"], theta, atol=1e-12)

    def test_evaluation_uses_the_threshold_and_leaves_it(self):
        net = network(rule=self.HOME)
        net.out = Decoder(dec_target=net.cells, coding_method="spike_counts")
        train = raster(1, 40, 1, (5,), 0.6)
        show(net, train)
        theta = net.state_dict()["learner.cells_v_th"].clone()
        learnt_weights = weights(net)
        assert theta.min() > 0.3
        net.eval()
        show(net, train)
        high = float(net.out.predict.sum())
        np.testing.assert_array_equal(weights(net), learnt_weights)
        assert torch.equal(net.state_dict()["learner.cells_v_th"], theta)
        net.learner.set_value("cells_v_th", np.zeros(4))
        show(net, train)
        assert float(net.out.predict.sum()) > high

    def test_one_of_several_connections_moves_the_threshold_of_a_population(self):
        net = network(rule=None)
        net.other = Connection(net.source, net.cells, link_type="full", weight=np.zeros((4, 5)))
        net.learner = Learner(net, Rule(changes=(Change(trigger="post", target="v_th"),)))
        train = raster(1, 30, 1, (5,), 0.5)
        net.out = Decoder(dec_target=net.cells, coding_method="spike_counts")
        show(net, train)
        np.testing.assert_array_equal(net.state_dict()["learner.cells_v_th"], as_array(net.out.predict)[0])

    def test_a_connection_that_is_hidden_leaves_the_threshold_to_the_next(self):
        net = network(rule=Rule(changes=(Change(trigger="post", target="v_th", post="0.5"),)))
        net.more = Connection(net.source, net.cells, link_type="full", weight=weights(net))
        net.learner = Learner([net.c, net.more], net.learner.rule)
        net.c.assembly_hide()
        train = raster(4, 20, 1, (5,), 0.6)
        net.source(Spikes.from_raster(train, 1.0))
        net.run(20.0)
        n_spikes = net.firing_rates()["cells"] * 20 * 4 / 1000
        assert n_spikes > 4
        assert float(net.learner.get_value("cells_v_th").sum()) == pytest.approx(0.5 * n_spikes)

    @pytest.mark.parametrize("path", ["torch", "auto"])
    @pytest.mark.parametrize(("target", "step"), [("tau_m", "-6"), ("scale_input", "1")])
    def test_a_parameter_that_leaves_its_domain_is_an_error_and_stays(self, target, step, path):
        net = network(rule=Rule(changes=(Change(trigger="post", target=target, post=step),)), path=path)
        with pytest.raises((DataError, ParameterError), match=target):
            show(net, raster(5, 40, 1, (5,), 0.6))
        assert not as_array(net.learner.get_value(f"cells_{target}")).any()


class TestBatches:
    def test_a_batch_is_the_mean_or_the_sum_of_its_samples(self):
        rule = Rule(traces=PAIRS.traces, changes=PAIRS.changes)
        start = np.random.default_rng(7).uniform(0.1, 0.9, (4, 5))
        one_step = raster(9, 1, 3, (5,), 0.9)
        train = np.concatenate([raster(10, 1, 3, (5,), 0.9), one_step])
        each = [learnt(network(rule=rule, weight=start), train[:, k : k + 1]) - start for k in range(3)]
        summed = learnt(network(rule=rule, weight=start, learner={"batch": "sum"}), train) - start
        mean = learnt(network(rule=rule, weight=start, learner={"batch": "mean"}), train) - start
        assert np.abs(summed).max() > 0.1
        np.testing.assert_allclose(mean, summed / 3, atol=1e-12)
        np.testing.assert_allclose(summed, sum(each), atol=1e-12)

    @pytest.mark.parametrize("batch", [None, "sequential"])
    def test_a_batch_without_a_meaning_is_an_error_and_changes_nothing(self, batch):
        net = network(learner={"batch": batch})
        with pytest.raises(ParameterError, match="batch='mean'" if batch is None else "one sample a run, got 2"):
            show(net, raster(1, 5, 2, (5,)))
        net.eval()
        show(net, raster(1, 5, 2, (5,)))

    @pytest.mark.parametrize("eligibility", [None, LowPass(tau=8.0)])
    def test_each_sample_has_its_own_modulator(self, eligibility):
        rule = Rule(
            traces={"x": Trace(end="pre")},
            changes=(Change(trigger="post", pre="x", modulator="m", eligibility=eligibility),),
        )
        start = np.full((4, 5), 0.5)
        train = np.repeat(raster(11, 6, 1, (5,), 0.6), 3, axis=1)
        one = learnt(network(rule=rule, weight=start, learner={"modulator": 1e-6}), train[:, :1]) - start
        rewards = torch.tensor([1e-6, -2e-6, 4e-6])
        found = learnt(network(rule=rule, weight=start, learner={"batch": "sum", "modulator": rewards}), train) - start
        assert np.abs(one).max() > 1e-7
        np.testing.assert_allclose(found, 3 * one, rtol=1e-4, atol=1e-12)

    def test_a_modulator_of_another_size_is_an_error(self):
        rule = Rule(changes=(Change(trigger="pre", modulator="m"),))
        net = network(rule=rule, learner={"batch": "sum", "modulator": torch.ones(2)})
        with pytest.raises(ShapeError, match=r"one for each of 3 samples, got shape \(2,\)"):
            show(net, raster(1, 5, 3, (5,)))


class TestModulators:
    def built(self, rule, modulator, n=1):
        net = Network()
        net.source = Encoder(num=3, coding_method="null")
        net.cells = NeuronGroup(2, "lif", tau_m=TAU_M, v_th=V_TH)
        net.after = NeuronGroup(n, "lif", tau_m=7.0, v_th=100.0)
        net.c = Connection(net.source, net.cells, link_type="full", weight=np.full((2, 3), 0.6))
        net.d = Connection(net.cells, net.after, link_type="full", weight=np.ones((n, 2)), is_parameter=False)
        net.learner = Learner(net.c, rule, modulator=modulator(net))
        net.set_backend(TorchBackend(dt=1.0, dtype=torch.float64, path="torch"))
        return net

    def test_a_population_behind_the_plastic_one_modulates_in_the_same_step(self):
        rule = Rule(changes=(Change(trigger="pre", modulator="m"),), lr=1e-3)
        net = self.built(rule, lambda net: (net.after, "v"))
        train = raster(3, 20, 1, (3,), 0.6)
        show(net, train)
        w, v, u = np.full((2, 3), 0.6), np.zeros(2), 0.0
        for s in train[:, 0].astype(float):
            v = v * math.exp(-1 / TAU_M) + w @ s
            out = (v >= V_TH).astype(float)
            v = np.where(out > 0, 0.0, v)
            u = u * math.exp(-1 / 7.0) + out.sum()
            w = w + 1e-3 * u * s
        assert u > 1
        np.testing.assert_allclose(weights(net), w, atol=1e-12)
        assert len(net.plan.blocks) == 1

    def test_a_population_of_the_same_shape_modulates_each_neuron(self):
        for eligibility in (None, LowPass(tau=3.0)):
            rule = Rule(changes=(Change(trigger="pre", modulator="m", eligibility=eligibility),), lr=1e-3)
            net = self.built(rule, lambda net: (net.after, "v"), n=2)
            net.d.weight.value = [[1.0, 0.0], [0.0, 0.0]]
            show(net, raster(3, 20, 1, (3,), 0.6))
            moved = weights(net) - 0.6
            assert (moved[0] > 0).all()
            assert (moved[1] == 0).all()

    @pytest.mark.parametrize(
        ("given", "text"), [("much", "one for each sample"), (math.nan, "must hold finite numbers")]
    )
    def test_what_is_no_number_is_an_error_and_changes_nothing(self, given, text):
        net = network(rule=Rule(changes=(Change(trigger="pre", modulator="m"),)), learner={"modulator": given})
        net.build()
        before = weights(net)
        with pytest.raises(ParameterError, match=text):
            show(net, raster(1, 5, 1, (5,)))
        np.testing.assert_array_equal(weights(net), before)

    def test_a_hidden_population_cannot_modulate(self):
        net = self.built(Rule(changes=(Change(trigger="pre"),)), lambda net: net.after)
        net.after.assembly_hide()
        with pytest.raises(StateError, match="its modulator 'after' is hidden"):
            net.run(3.0)

    def test_what_has_no_value_cannot_modulate(self):
        net = self.built(Rule(changes=(Change(trigger="pre"),)), lambda net: net.source)
        with pytest.raises(ParameterError, match="has no value; give a Reward"):
            net.run(3.0)
        net = self.built(Rule(changes=(Change(trigger="pre"),)), lambda net: (net.after, "vv"))
        with pytest.raises(ParameterError, match="shows no 'vv'"):
            net.run(3.0)
        net = self.built(Rule(changes=(Change(trigger="pre"),)), lambda net: net.after, n=5)
        with pytest.raises(ParameterError, match="population of one neuron"):
            net.run(3.0)

    def test_a_tuple_of_numbers_is_as_good_as_a_list(self):
        train = raster(6, 20, 2, (5,))
        rule = replace(PAIRS, changes=[replace(change, modulator="m") for change in PAIRS.changes])
        found = [
            learnt(network(rule=rule, learner={"batch": "sum", "modulator": given}), train)
            for given in ((0.5, -1.0), [0.5, -1.0])
        ]
        np.testing.assert_array_equal(*found)

    @pytest.mark.parametrize("given", [(), (1.0, 2.0, 3.0), ("a", "b"), 10**400, [[1.0], [2.0, 3.0]]])
    def test_what_cannot_modulate_is_an_error_when_the_network_runs_or_is_saved(self, given, tmp_path):
        net = network(learner={"modulator": given})
        assert "rule lr 1" in repr(net)
        with pytest.raises((ParameterError, ShapeError), match="modulator"):
            show(net, raster(0, 5, 1, (5,)))
        if given not in ((), (1.0, 2.0, 3.0)):
            with pytest.raises((ParameterError, UnsupportedError), match="modulator"):
                net.save(tmp_path / "net")

    @pytest.mark.parametrize(
        "given", [lambda cells: (cells,), lambda cells: (cells, "v", 1), lambda cells: ("v", cells)]
    )
    def test_a_population_comes_with_one_of_its_variables(self, given):
        net = network()
        net.learner.modulator = given(net.cells)
        with pytest.raises(ParameterError, match=r"give .*\(group, 'v'\)"):
            show(net, raster(0, 5, 1, (5,)))

    @pytest.mark.parametrize("path", ["torch", "auto"])
    def test_the_rate_can_be_set_between_runs_also_of_one_that_continues(self, path):
        rule = Rule(changes=(Change(trigger="pre"),))
        net, train = network(rule=rule, path=path), np.ones((3, 1, 5), np.int8)
        start = weights(net)
        for lr, runs in ((1.0, net.run), (0.25, net.run_continue), (0.0, net.run_continue), (2.0, net.run)):
            net.source(Spikes.from_raster(train, 1.0))
            net.learner.lr = lr
            runs(3.0)
            np.testing.assert_allclose(weights(net) - start, 3 * lr)
            start = weights(net)

    @pytest.mark.parametrize("path", ["torch", "auto"])
    @pytest.mark.parametrize(
        ("modulator", "m", "expected"),
        [
            ("where(m > 0, 1 / m, 0.25)", 0.0, 0.25),
            ("where(m > 0, log(m), 0.25)", -1.0, 0.25),
            ("where(m < 0, exp(m), 0.25)", 1e4, 0.25),
            ("1 / (m - 1)", 5.0, 0.25),
            ("1 / m", 0.0, None),
            ("sqrt(m)", -1.0, None),
            ("m**m**m**m", 9.0, None),
            ("exp(m)", 1e4, None),
        ],
    )
    def test_a_modulator_without_a_finite_value_counts_only_where_it_is_chosen(self, modulator, m, expected, path):
        rule = Rule(changes=(Change(trigger="step", pre="s", modulator=modulator),))
        net = network(rule=rule, path=path, learner={"modulator": m})
        net.build()
        before = weights(net)
        if expected is None:
            with pytest.raises(DataError, match="NaN or infinite"):
                show(net, np.eye(5, dtype=np.int8)[:, None])
            expected = 0
        else:
            show(net, np.eye(5, dtype=np.int8)[:, None])
        np.testing.assert_allclose(weights(net) - before, expected)

    @pytest.mark.parametrize("path", ["torch", "auto"])
    @pytest.mark.parametrize(
        "change",
        [
            {"post": "a / b"},
            {"pre": "log(b)"},
            {"post": "exp(c) * s"},
            {"weight": "w + a / b"},
            {"modulator": "floor(c**9) * m"},
        ],
    )
    def test_numbers_of_a_rule_that_have_no_value_are_an_error(self, change, path):
        rule = Rule(changes=(Change(trigger="post", **change),), parameters={"a": 0.5, "b": 0.0, "c": 1e40})
        net = network(rule=rule, path=path)
        with pytest.raises((ParameterError, DataError), match=r"no finite value|NaN or infinite"):
            show(net, raster(2, 20, 1, (5,)))

    def test_two_rules_that_round_draw_numbers_of_their_own(self):
        rule = Rule(changes=(Change(trigger="pre", post="0.5"),), rounding=True)
        ups = Rule(changes=(Change(trigger="pre", post="-0.5"),), rounding=True)
        net = network((40,), (30,), rule, weight=np.zeros((30, 40)))
        net.second = Learner(net.c, ups)
        found = learnt(net, np.ones((1, 1, 40), np.int8))
        assert set(found.reshape(-1)) == {-1.0, 0.0, 1.0}


class TestRuns:
    RULE = Rule(
        traces=PAIRS.traces,
        changes=(
            *PAIRS.changes,
            Change(trigger="post", pre="0.01 * x", eligibility=LowPass(tau=9.0)),
            Change(trigger="post", target="v_th", post="0.05", relax=LowPass(tau=30.0)),
        ),
        w_min=0.0,
        w_max=1.0,
        normalise=Normalise(total=2.0, every=7),
    )

    def test_a_run_cut_in_two_equals_one_run(self):
        train = raster(12, 40, 1, (5,), 0.5)
        whole, cut = network(rule=self.RULE), network(rule=self.RULE)
        show(whole, train)
        cut.source(Spikes.from_raster(train[:17], 1.0))
        cut.run(17.0)
        cut.source(Spikes.from_raster(train[17:], 1.0))
        cut.run_continue(23.0)
        np.testing.assert_array_equal(weights(cut), weights(whole))
        assert torch.equal(cut.state_dict()["learner.cells_v_th"], whole.state_dict()["learner.cells_v_th"])

    def test_a_new_run_forgets_traces_and_not_what_was_learnt(self):
        train, silent = raster(12, 20, 1, (5,), 0.5), np.zeros((20, 1, 5), np.int8)
        net = network(rule=Rule(traces={"x": Trace(end="pre")}, changes=(Change(trigger="step", pre="x"),), lr=1e-3))
        first = learnt(net, train)
        np.testing.assert_array_equal(learnt(net, silent), first)

    def test_without_a_rate_or_in_evaluation_a_network_runs_as_without_the_rule(self):
        train = raster(13, 40, 2, (5,), 0.5)
        plain = network(rule=None)
        plain.out = Decoder(dec_target=plain.cells, coding_method="null")
        show(plain, train)
        assert as_array(plain.out.predict).sum() > 10
        for still in ("lr", "eval"):
            net = network(rule=self.RULE, learner={"batch": "mean", "lr": 0.0 if still == "lr" else None})
            net.out = Decoder(dec_target=net.cells, coding_method="null")
            net.train(still == "lr")
            show(net, train)
            np.testing.assert_array_equal(as_array(net.out.predict), as_array(plain.out.predict))
            np.testing.assert_array_equal(weights(net), weights(plain))

    def test_a_run_that_fails_on_the_way_changes_nothing(self, monkeypatch):
        net = network(rule=self.RULE)
        first = learnt(net, raster(14, 20, 1, (5,), 0.5))
        theta = net.state_dict()["learner.cells_v_th"].clone()
        model, steps = type(net.cells.neuron), []
        update = model.update

        def fails(*given):
            steps.append(None)
            if len(steps) == 15:
                raise RuntimeError("on the way")
            return update(*given)

        monkeypatch.setattr(model, "update", fails)
        with pytest.raises(RuntimeError, match="on the way"):
            net.run(20.0)
        np.testing.assert_array_equal(weights(net), first)
        assert torch.equal(net.state_dict()["learner.cells_v_th"], theta)

    def test_weights_without_a_bound_that_run_away_are_an_error_and_stay(self):
        net = network(rule=Rule(changes=(Change(trigger="step", weight="w * w"),), lr=1e3))
        net.build()
        before = weights(net)
        with pytest.raises(DataError, match="'c' became NaN or infinite in this run"):
            show(net, raster(1, 20, 1, (5,)))
        np.testing.assert_array_equal(weights(net), before)

    def test_the_tensor_of_the_weight_stays_the_same_object(self):
        net = network()
        show(net, raster(1, 3, 1, (5,)))
        tensor = net.c.weight.value
        show(net, raster(2, 20, 1, (5,)))
        assert net.c.weight.value is tensor

    def test_the_plan_says_why_a_plastic_stage_is_stepped_and_the_rest_takes_kernels(self):
        net = network(path="auto", link="one_to_one", post=(5,), weight=np.ones(5))
        net.next = NeuronGroup(3, "lif")
        net.d = Connection(net.cells, net.next, link_type="full", is_parameter=False)
        text = str(net.plan)
        assert "torch path (a rule changes c in each step: " in text
        assert "cells: LIF (5,), step by step, a rule changes c" in text
        assert "kernel path" in text

    def test_the_compiled_path_learns_as_the_torch_path(self):
        trains = [raster(k, 40, 1, (5,), 0.5) for k in (1, 2)]
        found = []
        for path in ("torch", "auto"):
            net = network(rule=TestThresholds.HOME, path=path)
            for train in trains:
                show(net, train)
            net.eval()
            show(net, trains[0])
            found.append((weights(net), as_array(net.learner.get_value("cells_v_th"))))
        assert found[0][1].min() > 0
        for a, b in zip(*found, strict=True):
            np.testing.assert_allclose(a, b, atol=1e-12)

    def test_a_monitor_sees_the_weight_of_every_step_and_last_what_the_run_left(self):
        rule = Rule(changes=(Change(trigger="pre"),), lr=0.1, normalise=Normalise(total=3.0))
        net = network(rule=rule, weight=np.zeros((4, 5)))
        net.seen = StateMonitor(net.c, "weight")
        train = raster(15, 10, 1, (5,))
        show(net, train)
        expected = 0.1 * np.cumsum(train[:, 0], 0)
        expected[-1] *= 3.0 / expected[-1].sum()
        np.testing.assert_allclose(np.asarray(net.seen.values)[0].T, expected, atol=1e-12)
        np.testing.assert_array_equal(np.asarray(net.seen.values)[..., -1], weights(net))


class TestWithGradients:
    def both(self):
        net = Network()
        net.source = Encoder(num=5, coding_method="null")
        net.cells = NeuronGroup(4, "lif", tau_m=TAU_M, v_th=V_TH)
        net.read = NeuronGroup(2, "lif", tau_m=TAU_M, v_th=V_TH)
        net.c = Connection(net.source, net.cells, link_type="full", weight=np.full((4, 5), 0.5))
        net.d = Connection(net.cells, net.read, link_type="full", weight=np.full((2, 4), 0.4))
        net.out = Decoder(dec_target=net.read, coding_method="spike_counts")
        net.slow = Learner(net.d, "STBP")
        net.rule = Learner(net.c, PAIRS, batch="mean")
        net.slow.set_optimizer("SGD", 0.1)
        net.set_backend(TorchBackend(dt=1.0, dtype=torch.float64, path="torch"))
        return net

    def test_a_rule_and_a_gradient_learn_in_one_run(self):
        net = self.both()
        train = raster(16, 20, 2, (5,), 0.5)
        show(net, train)
        frozen = network(rule=None, weight=np.full((4, 5), 0.5))
        frozen.learner = Learner(frozen.c, PAIRS, batch="mean")
        np.testing.assert_array_equal(weights(net), learnt(frozen, train))
        before = net.d.weight.value.detach().clone()
        net.out.predict.sum().backward()
        assert net.c.weight.value.grad is None
        net.slow.optim_step()
        assert (net.d.weight.value < before).all()

    def test_the_gradient_passes_a_plastic_connection_with_the_weights_of_each_step(self):
        """Against autograd through the same equations, with smooth neurons in float64."""
        net = Network()
        net.source = Encoder(num=2, coding_method="null")
        graded = Emission(forward=Graded(), reset=NoReset())
        net.a = NeuronGroup(2, "lif", tau_m=5.0, emission=graded)
        net.b = NeuronGroup(1, "lif", tau_m=5.0, emission=graded)
        net.i = Connection(net.source, net.a, link_type="full", weight=np.array([[0.3, 0.1], [0.2, 0.5]]))
        net.c = Connection(net.a, net.b, link_type="full", weight=np.array([[0.4, 0.7]]))
        net.out = Decoder(dec_target=net.b, coding_method="null")
        net.slow = Learner(net.i, "STBP")
        net.rule = Learner(net.c, Rule(changes=(Change(trigger="step", pre="s", post="s"),), lr=0.05))
        net.set_backend(TorchBackend(dt=1.0, dtype=torch.float64, path="torch"))
        train = raster(17, 8, 1, (2,), 0.6)
        show(net, train)
        net.out.predict.sum().backward()
        wi = torch.tensor([[0.3, 0.1], [0.2, 0.5]], dtype=torch.float64, requires_grad=True)
        w, a, b, total, d = (
            torch.tensor([[0.4, 0.7]], dtype=torch.float64),
            0.0,
            0.0,
            0.0,
            math.exp(-1 / 5),
        )
        for s in torch.from_numpy(train[:, 0].astype(float)):
            a = d * a + wi @ s
            b = d * b + w @ a
            total = total + b.sum()
            w = w + 0.05 * torch.outer(b.detach(), a.detach())
        total.backward()
        np.testing.assert_allclose(net.i.weight.value.grad, wi.grad, atol=1e-12)
        np.testing.assert_allclose(weights(net), w, atol=1e-12)

    @pytest.mark.parametrize("credit", ["sltt", "ottt", "feedback_alignment"])
    def test_any_credit_of_another_learner_leaves_a_rule_alone(self, credit):
        train = raster(16, 20, 2, (5,), 0.5)
        net, plain = self.both(), self.both()
        net.slow = Learner(net.d, "STBP", credit=credit)
        for each in (net, plain):
            show(each, train)
            each.out.predict.sum().backward()
        np.testing.assert_array_equal(weights(net), weights(plain))

    def test_exact_spike_times_and_a_rule_exclude_each_other(self):
        net = self.both()
        net.slow = Learner(net.cells, "eventprop")
        net.set_backend(TorchBackend(dt=1.0))
        with pytest.raises(UnsupportedError, match="changes c in each step; exact derivatives take fixed weights"):
            net.run(3.0)

    def test_one_connection_cannot_be_changed_by_a_rule_and_by_gradients(self):
        net = self.both()
        net.slow = Learner(net, "STBP")
        with pytest.raises(ParameterError, match=r"changed by the rule of learner 'rule' and trained by gradients"):
            net.run(3.0)

    def test_a_change_that_is_not_applied_becomes_a_gradient(self):
        rule = Rule(traces=PAIRS.traces, changes=PAIRS.changes)
        train = raster(18, 2, 2, (5,), 0.8)
        net, direct = (network(rule=rule, learner={"apply": a, "batch": "sum"}) for a in (False, True))
        start = weights(direct)
        moved = learnt(direct, train) - start
        np.testing.assert_array_equal(learnt(net, train), start)
        np.testing.assert_allclose(net.c.weight.value.grad, -moved, atol=1e-12)
        assert np.abs(moved).max() > 0.01
        net.learner.set_optimizer("SGD", 1.0)
        net.learner.optim_step()
        np.testing.assert_allclose(weights(net), start + moved, atol=1e-12)


class TestRefusals:
    def test_a_learner_without_a_connection_to_change_is_an_error(self):
        net = network(rule=None)
        net.learner = Learner(net.cells, PAIRS)
        with pytest.raises(ParameterError, match="trainable= holds none that has trained ones; give it a connection"):
            net.run(1.0)

    def test_a_connection_that_no_rule_fits_is_an_error(self):
        net = network((1, 4, 4), (1, 2, 2), link="pool", kernel_size=2)
        with pytest.raises((UnsupportedError, ParameterError), match="weight"):
            net.run(1.0)
        net = network(delay=np.ones((4, 5)))
        with pytest.raises(UnsupportedError, match="a delay for each synapse"):
            net.run(1.0)

    def test_what_a_population_does_not_have_is_an_error(self):
        net = network(rule=Rule(changes=(Change(trigger="pre", pre="v"),)))
        with pytest.raises(ParameterError, match="reads 'v' of pre, which encoder 'source' has not"):
            net.run(1.0)
        net = network(rule=Rule(changes=(Change(trigger="post", target="v_tg"),)))
        with pytest.raises(ParameterError, match="moves 'v_tg', which 'cells' has not; did you mean 'v_th'"):
            net.run(1.0)
