"""Rules in runs of networks: each equals its step on NumPy arrays, and does what its paper says it is for."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from dense_rules import learn
from hypothesis import given, settings
from hypothesis import strategies as st

import spikeloom as sl
from spikeloom.neurons import Emission
from spikeloom.plasticity import (
    Normalise,
    Triplets,
    astrocyte_stdp,
    bcm,
    calibrated_gain,
    calibrated_threshold,
    diehl_cook,
    feast,
    feedback_rstdp,
    feedback_rstdp_eligibility,
    meta_stdp,
    oja,
    oja_subspace,
    rate_modulation,
    rstdp,
    rstdp_eligibility,
    stdp,
    switch_rstdp,
    symmetric_stdp,
    triplet_stdp,
)

FAMILY = {
    "pairs": stdp(a_plus=0.05, a_minus=0.04, mu_plus=0.5, mu_minus=1.0),
    "nearest pairs": stdp(
        a_plus=0.05, a_minus=0.04, nearest=True, before=True, normalise=Normalise(total=2.0, every=7)
    ),
    "triplets": triplet_stdp(Triplets(0.01, 0.05, 0.02, 0.03, 50.0, 50.0)),
    "symmetric": symmetric_stdp(normalise=Normalise(total=1.5)),
    "Diehl and Cook": diehl_cook(nu_pre=0.01, nu_post=0.1, total=2.0),
    "meta": meta_stdp(a_plus=0.05, a_minus=0.05),
    "reward": rstdp(lr=0.02),
    "reward, eligibility": rstdp_eligibility(lr=0.02),
    "switch": switch_rstdp(w_max=1.0),
    "feedback": feedback_rstdp(),
    "feedback, eligibility": feedback_rstdp_eligibility(),
    "astrocyte": astrocyte_stdp(),
    "BCM": bcm(lr=0.1),
    "Oja": oja(lr=0.05),
    "Oja's subspace": oja_subspace(lr=0.05),
    "rates": rate_modulation(target=5),
}


def built(net, dtype=torch.float64, seed=0):
    net.set_random_seed(seed)
    net.set_backend(sl.TorchBackend(dtype=dtype, dt=1.0))
    return net


def forced(rule, weights, sign=None, **options):
    """Neurons behind a plastic connection that a teacher makes fire when it wants."""
    n, k = np.shape(weights)
    net = sl.Network()
    net.input = sl.Encoder(k, coding_method="null")
    net.teacher = sl.Encoder(n, coding_method="null")
    net.out = sl.NeuronGroup(n, model="lif", tau_m=1e-3, v_th=50.0)
    net.plastic = sl.Connection(net.input, net.out, link_type="full", weight=weights, sign=sign)
    net.taught = sl.Connection(
        net.teacher, net.out, link_type="one_to_one", weight=np.full(n, 100.0), is_parameter=False
    )
    net.learner = sl.Learner(trainable=net.plastic, algorithm=rule, **options)
    return built(net)


@pytest.mark.parametrize("name", FAMILY)
def test_a_run_of_a_network_changes_weights_as_the_rule_on_arrays_does(name):
    rng = np.random.default_rng(0)
    pre, post = ((rng.random((60, n)) < 0.2).astype(float) for n in (5, 3))
    start = rng.uniform(0.2, 0.6, (3, 5))
    net = forced(FAMILY[name], start, modulator=0.7)
    net.input(pre[None])
    net.teacher(post[None])
    net.run(60.0)
    expected, _ = learn(FAMILY[name], start, pre, post, modulator=np.full(60, 0.7))
    assert np.abs(expected - start).max() > 1e-3
    np.testing.assert_allclose(net.plastic.weight.value.detach(), expected, rtol=1e-10, atol=1e-12)


FREE = {"w_min": -math.inf, "w_max": math.inf}
UNBOUNDED = {
    "pairs": stdp(a_plus=0.5, a_minus=0.6, **FREE),
    "reward": rstdp(lr=0.5),
    "reward, eligibility": rstdp_eligibility(lr=0.5),
    "feedback": feedback_rstdp(lr=0.5),
    "rates": rate_modulation(target=4, lr=0.1),
}


@settings(max_examples=15, deadline=None)
@given(st.sampled_from(sorted(UNBOUNDED)), st.integers(0, 2**32 - 1), st.sampled_from([None, 1, 3]))
def test_signed_weights_keep_their_sign_after_every_step_and_sums_are_exact_where_normalised(name, seed, every):
    rng = np.random.default_rng(seed)
    sign = np.array([1, -1, 1, 1, -1])
    at_end = name == "rates"  # what changes at the end of a run is normalised there
    norm = None if every is None else Normalise(total=2.5, every=None if at_end else every)
    net = forced(
        replace(UNBOUNDED[name], normalise=norm), sign * rng.uniform(0.1, 1, (3, 5)), modulator=-0.8, sign=sign
    )
    net.monitor = sl.StateMonitor(net.plastic, "weight")
    pre, post = ((rng.random((1, 15, n)) < 0.3).astype(float) for n in (5, 3))
    net.input(pre)
    net.teacher(post)
    net.run(15.0)
    seen = np.asarray(net.monitor.values)
    seen = seen.reshape(3, 5, 15)
    assert (seen * sign[:, None] >= 0).all()
    assert (net.plastic.weight.value.detach().numpy() * sign >= 0).all()
    if every is not None:
        sums = np.abs(seen[..., -1] if at_end else seen[..., every - 1 :: every]).sum(1)
        np.testing.assert_allclose(sums[sums > 0], 2.5, rtol=1e-12)


def linear(rule, start, inputs):
    """The weights behind inputs (T, K) of linear neurons that learn in each step."""
    net = sl.Network()
    net.input = sl.Encoder(inputs.shape[1], coding_method="null")
    net.out = sl.NeuronGroup(len(start), model="li", tau_m=1e-3)
    net.plastic = sl.Connection(net.input, net.out, link_type="full", weight=start)
    net.learner = sl.Learner(trainable=net.plastic, algorithm=rule)
    built(net)
    net.input(inputs[None])
    net.run(float(len(inputs)))
    return net.plastic.weight.value.detach().numpy()


@pytest.mark.parametrize("n", [1, 2])
def test_linear_neurons_find_the_principal_components_by_oja_s_rules(n):
    rng = np.random.default_rng(0)
    axes = np.linalg.qr(rng.normal(size=(6, 6)))[0]
    inputs = (rng.normal(size=(3000, 6)) * [3.0, 2.0, 0.5, 0.3, 0.2, 0.1]) @ axes.T
    start = rng.normal(size=(n, 6)) * 0.3
    first = axes[:, :n] @ axes[:, :n].T
    for rule in (oja_subspace(lr=0.003), *([oja(lr=0.003)] if n == 1 else [])):
        w = linear(rule, start, inputs)
        np.testing.assert_allclose(w @ w.T, np.eye(n), atol=0.05)
        np.testing.assert_allclose(w.T @ w, first, atol=0.07)
    still = linear(oja_subspace(lr=0.0), start, inputs[:50])
    assert np.abs(still.T @ still - first).max() > 0.3


def features(rule, n=16, steps=6000, seed=0):
    """Misses and winners of the second half of the inputs: noisy prototypes of length 1, one a step."""
    rng = np.random.default_rng(seed)
    shown = np.abs(rng.normal(size=(4, 25)))[rng.integers(0, 4, steps)] + 0.3 * rng.random((steps, 25))
    start = rng.random((n, 25))
    net = sl.Network()
    net.input = sl.Encoder(25, coding_method="null")
    emission = Emission(forward="winner", reset="none")
    net.out = sl.NeuronGroup(n, model="lif", tau_m=1e-3, v_th=0.5, emission=emission)
    start = start / np.linalg.norm(start, axis=1, keepdims=True)
    net.plastic = sl.Connection(net.input, net.out, link_type="full", weight=start)
    net.learner = sl.Learner(trainable=net.plastic, algorithm=rule)
    net.monitor = sl.StateMonitor(net.out, "O")
    built(net)
    net.input((shown / np.linalg.norm(shown, axis=1, keepdims=True))[None])
    net.run(float(steps))
    won = np.asarray(net.monitor.values)[0].T[steps // 2 :]
    assert won.sum(1).max() == 1
    weights = net.plastic.weight.value.detach().numpy()
    np.testing.assert_allclose(np.linalg.norm(weights, axis=1), 1.0, rtol=1e-9)
    return 1 - won.sum(1).mean(), won.sum(0)


def test_thresholds_of_feast_come_to_miss_the_share_that_its_rates_say_and_use_every_neuron():
    missed, won = features(feast(eta=0.01, delta_i=0.003, delta_e=0.001))
    assert missed == pytest.approx(0.003 / (0.003 + 16 * 0.001), abs=0.02)
    assert won.max() / won.min() < 1.5
    missed, won = features(feast(eta=0.01, delta_i=0.0, delta_e=0.0), steps=2000)
    assert missed == 0
    assert (won == 0).sum() >= 8  # winner takes all without thresholds that move: most never win


def shown(rates, steps, rng):
    return (rng.random((1, steps, len(rates))) < rates).astype(float)


def selectivity(rule, runs=40):
    """How one neuron's answers to two patterns differ, 0 to 1, after they were shown in turn."""
    rng = np.random.default_rng(0)
    rates = [np.repeat(half, 10) for half in ([0.25, 0.02], [0.02, 0.25])]
    net = sl.Network()
    net.input = sl.Encoder(20, coding_method="null")
    net.out = sl.NeuronGroup(1, model="lif", tau_m=5.0, v_th=3.0)
    start = np.full((1, 20), 0.4)
    start[0, :10] += 0.05
    net.plastic = sl.Connection(net.input, net.out, link_type="full", weight=start)
    net.answer = sl.Decoder(dec_target=net.out, coding_method="spike_counts")
    net.learner = sl.Learner(trainable=net.plastic, algorithm=rule)
    built(net)
    net.input(shown(rates[0], 100, rng))
    net.run(100.0)
    for k in range(1, runs):
        net.input(shown(rates[k % 2], 100, rng))
        net.run_continue(100.0)
    net.eval()
    counts = []
    for pattern in rates:
        net.input(shown(pattern, 400, rng))
        net.run(400.0)
        counts.append(float(net.answer.predict.detach()))
    return abs(counts[0] - counts[1]) / max(sum(counts), 1)


def test_a_neuron_becomes_selective_by_the_sliding_threshold_of_bcm():
    assert selectivity(bcm(lr=0.1)) >= 0.9
    assert selectivity(bcm(lr=0.0)) <= 0.3
    assert selectivity(bcm(lr=0.1, y0=1e9)) <= 0.1  # no threshold: both patterns grow


def owners(rule, n=4, runs=60):
    """Which of n competing neurons, one of them too easy to excite, answers most to each of four patterns, after a pass
    in which none was told."""
    rng = np.random.default_rng(0)
    rates = [np.where(np.arange(40) // 10 == p, 0.3, 0.01) for p in range(4)]
    net = sl.Network()
    net.input = sl.Encoder(40, coding_method="null")
    net.out = sl.NeuronGroup(n, model="lif", tau_m=10.0, v_th=np.array([2.0, 4.0, 4.0, 4.0]))
    net.plastic = sl.Connection(net.input, net.out, link_type="full", weight=0.2 + 0.1 * rng.random((n, 40)))
    lateral = {"weight": -8.0 * (1 - np.eye(n)), "is_parameter": False}
    net.others = sl.Connection(net.out, net.out, link_type="full", **lateral)
    net.answer = sl.Decoder(dec_target=net.out, coding_method="spike_counts")
    net.learner = sl.Learner(trainable=net.plastic, algorithm=rule)
    built(net)
    for k in range(runs):
        net.input(shown(rates[k % 4], 50, rng))
        net.run(50.0)
    net.eval()
    found = []
    for pattern in rates:
        net.input(shown(pattern, 200, rng))
        net.run(200.0)
        found.append(int(net.answer.predict.argmax()))
    return found


def test_neurons_that_compete_share_the_patterns_out_by_the_rule_of_diehl_and_cook():
    options = {"nu_post": 0.1, "nu_pre": 1e-3, "total": 8.0}
    assert len(set(owners(diehl_cook(theta_plus=0.2, **options)))) == 4
    assert len(set(owners(diehl_cook(theta_plus=0.2, lr=0.0, **options)))) <= 3
    assert len(set(owners(diehl_cook(theta_plus=0.0, **options)))) <= 3  # who fires first wins all


def triplets(a3_plus=1e-3, **options):
    amplitudes = Triplets(0.0, a3_plus, 5e-4, 0.0, 101.0, 100.0)
    return triplet_stdp(amplitudes, normalise=Normalise(total=4.0), **options)


def symmetric(**options):
    return symmetric_stdp(**{"lr": 0.05, "normalise": Normalise(total=4.0)} | options)


def taught(rule):
    """The part of the answers to a pattern that come from the neuron which was made to fire for it."""
    rng = np.random.default_rng(0)
    rates = [np.repeat(half, 20) for half in ([0.2, 0.01], [0.01, 0.2])]
    net = sl.Network()
    net.input = sl.Encoder(40, coding_method="null")
    net.teacher = sl.Encoder(2, coding_method="null")
    net.out = sl.NeuronGroup(2, model="lif", tau_m=5.0, v_th=3.0)
    net.plastic = sl.Connection(net.input, net.out, link_type="full", weight=np.full((2, 40), 0.1))
    net.told = sl.Connection(net.teacher, net.out, link_type="one_to_one", weight=np.ones(2), is_parameter=False)
    net.answer = sl.Decoder(dec_target=net.out, coding_method="spike_counts")
    net.learner = sl.Learner(trainable=net.plastic, algorithm=rule)
    built(net)
    for k in range(16):
        told = np.full((1, 40, 2), -60.0)
        told[0, :, k % 2] = 60.0 * (rng.random(40) < 0.2)
        net.input(shown(rates[k % 2], 40, rng))
        net.teacher(told)
        net.run(40.0)
    net.eval()
    net.teacher(np.zeros((1, 400, 2)))
    counts = np.zeros((2, 2))
    for p in (0, 1):
        net.input(shown(rates[p], 400, rng))
        net.run(400.0)
        counts[p] = net.answer.predict.detach().numpy()[0]
    return float(np.trace(counts) / max(counts.sum(), 1))


def test_a_neuron_made_to_fire_for_a_pattern_comes_to_answer_to_it_by_triplets():
    assert taught(triplets()) >= 0.9
    assert taught(triplets(lr=0.0)) <= 0.6
    assert taught(triplets(a3_plus=0.0)) <= 0.6


def test_a_neuron_made_to_fire_for_a_pattern_comes_to_answer_to_it_by_symmetric_pairs():
    assert taught(symmetric()) >= 0.9
    assert taught(symmetric(lr=0.0)) <= 0.6
    assert taught(symmetric(a=-0.1)) <= 0.1
    assert taught(symmetric(normalise=None)) <= 0.75  # nothing takes weights back


def liquid(modulated, plastic=True, n=60, runs=30):
    """Spikes a step of a recurrent network in its last runs, whose depression an astrocyte sets or a constant."""
    rng = np.random.default_rng(0)
    net = sl.Network()
    net.input = sl.Encoder(20, coding_method="null")
    net.out = sl.NeuronGroup(n, model="lif", tau_m=20.0, v_th=10.0)
    start = 3.0 * (rng.random((n, 20)) < 0.15)
    net.source = sl.Connection(net.input, net.out, link_type="full", weight=4 * start, is_parameter=False)
    net.plastic = sl.Connection(net.out, net.out, link_type="full", weight=1.0 * (rng.random((n, n)) < 0.2))
    net.glia = sl.NeuronGroup(1, model="li", tau_m=100.0, v_rest=0.15, scale_input=True)
    w = 0.25
    net.to_glia = sl.Connection(net.out, net.glia, link_type="full", weight=np.full((1, n), w), is_parameter=False)
    net.against = sl.Connection(net.input, net.glia, link_type="full", weight=np.full((1, 20), -w), is_parameter=False)
    net.answer = sl.Decoder(dec_target=net.out, coding_method="spike_counts")
    rule = astrocyte_stdp(lr=1.0 if plastic else 0.0)
    net.learner = sl.Learner(trainable=net.plastic, algorithm=rule, modulator=(net.glia, "v") if modulated else 0.15)
    built(net)
    fired = 0.0
    for k in range(runs):
        net.input(shown(np.full(20, 0.1), 40, rng))
        net.run(40.0)
        fired += float(net.answer.predict.detach().sum()) if k >= runs - 5 else 0.0
    return fired / (5 * 40)


def test_an_astrocyte_keeps_the_activity_that_plasticity_lets_rise():
    assert liquid(modulated=True) <= 0.5 * liquid(modulated=False)
    assert liquid(modulated=True, plastic=False) > 0.5 * liquid(modulated=False)


def deep(*rules, runs=3):
    """Mean rates, in spikes a step, of two layers whose weights are 1/sqrt(n) to start; a rule for each of them."""
    rng = np.random.default_rng(0)
    net = sl.Network()
    net.input = sl.Encoder(100, coding_method="null")
    net.a = sl.NeuronGroup(80, model="lif", tau_m=5.0)
    net.b = sl.NeuronGroup(60, model="lif", tau_m=5.0)
    net.x = sl.Connection(net.input, net.a, link_type="full", weight=rng.normal(size=(80, 100)) * 0.1)
    net.y = sl.Connection(net.a, net.b, link_type="full", weight=rng.normal(size=(60, 80)) * 0.1)
    net.first = sl.Decoder(dec_target=net.a, coding_method="spike_counts")
    net.second = sl.Decoder(dec_target=net.b, coding_method="spike_counts")
    for name, rule in zip(("x", "y"), rules, strict=False):
        setattr(net, f"of_{name}", sl.Learner(trainable=getattr(net, name), algorithm=rule))
        built(net)
        net.input(shown(np.full(100, 0.05), 200, rng))
        net.run(200.0)
    built(net)
    net.eval()
    net.input(shown(np.full(100, 0.05), 400, rng))
    net.run(400.0)
    return float(net.first.predict.detach().mean()) / 400, float(net.second.predict.detach().mean()) / 400


def test_calibration_on_the_first_run_wakes_a_dead_network_layer_by_layer():
    asleep = deep()
    assert asleep[0] < 0.01
    assert asleep[1] == 0
    for rule in (calibrated_gain(level=0.7), calibrated_threshold(rate=0.1)):
        awake = deep(rule, rule)
        assert 0.02 < awake[0] < 0.2
        assert 0.02 < awake[1] < 0.2
        assert deep(rule)[1] < 0.5 * awake[1]
