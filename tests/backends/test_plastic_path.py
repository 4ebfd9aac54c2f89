"""Runs of a network whose plastic stage is in the plastic kernel, against the same network on the torch path."""

import logging
from dataclasses import replace

import numpy as np
import pytest
import torch

from spikeloom import (
    Connection,
    Encoder,
    Learner,
    Network,
    NeuronGroup,
    SpikeMonitor,
    Spikes,
    StateMonitor,
    TorchBackend,
)
from spikeloom.filters import LowPass
from spikeloom.network.parameters import as_array
from spikeloom.plasticity import (
    Change,
    Normalise,
    Rule,
    bcm,
    diehl_cook,
    oja_subspace,
    rstdp_eligibility,
    stdp,
    triplet_stdp,
)

K, N, T = 30, 12, 40
PAIRS = stdp(a_plus=0.05, a_minus=0.02)
RULES = {
    "pairs": PAIRS,
    "normalised each so many steps": replace(PAIRS, normalise=Normalise(total=4.0, every=3)),
    "triplets": triplet_stdp(lr=0.5),
    "thresholds that rise": diehl_cook(nu_post=0.05, theta_plus=0.2, tau_theta=300.0, total=5.0),
    "eligibility": rstdp_eligibility(lr=0.02, w_min=0.0, w_max=1.0),
    "sliding threshold": bcm(lr=0.1, y0=0.5),
    "ends of runs": replace(
        PAIRS, changes=(*PAIRS.changes, Change(trigger="run", post="0.01 * y"), Change(trigger="first", weight="w / 9"))
    ),
}


def trains(seed=0, k=K, n_steps=T, rate=0.15, batch=1):
    raster = np.random.default_rng(seed).random((n_steps, batch, k)) < rate
    return Spikes.from_raster(raster.astype(np.int8), 1.0)


def network(
    path, rule=PAIRS, *, v_th=2.0, dtype=torch.float64, shape=(N,), lateral=None, filter=None, more=False, **learner
):
    """An input, a plastic connection, neurons; lateral: how they inhibit each other; more: what else drives them."""
    net = Network()
    net.source = Encoder(shape=(K,), coding_method="null")
    net.cells = NeuronGroup(shape=shape, model="lif", tau_m=10.0, v_th=v_th)
    weight = np.random.default_rng(3).uniform(0.1, 0.6, (N, K))
    net.c = Connection(net.source, net.cells, link_type="full", weight=weight, filter=filter, w_min=0.0)
    if more:
        net.other = Encoder(shape=(5,), coding_method="null")
        net.d = Connection(net.other, net.cells, link_type="full", is_parameter=False, w_mean=0.2, delay=3.0)
        net.e = Connection(
            net.other, net.cells, link_type="full", is_parameter=False, w_mean=0.1, filter=LowPass(tau=4.0)
        )
    if lateral == "lateral":
        net.l = Connection(net.cells, net.cells, link_type="lateral", w_mean=-0.4, is_parameter=False, filter=filter)
    elif lateral == "full":
        weight = -0.4 * (1 - np.eye(N))
        net.l = Connection(net.cells, net.cells, link_type="full", weight=weight, is_parameter=False, filter=filter)
    net.learner = Learner(net.c, rule, **learner)
    net.set_backend(TorchBackend(dt=1.0, dtype=dtype, path=path))
    net.set_random_seed(5)
    net.m = SpikeMonitor(net.cells)
    return net


def show(net, train, other=None, *, run="run"):
    net.source(train)
    if other is not None:
        net.other(other)
    getattr(net, run)(float(train.grid.n_steps))
    return net.m.spikes.raster()[-train.grid.n_steps :]


def learnt(net):
    return as_array(net.c.weight.value).copy()


def kept(net):
    """All tensors of a build by name."""
    return {name: np.asarray(tensor.detach()) for name, tensor in net.state_dict().items()}


def assert_same(a, b, tolerance=1e-12):
    a, b = kept(a), kept(b)
    assert a.keys() == b.keys()
    for name, value in a.items():
        np.testing.assert_allclose(value, b[name], rtol=tolerance, atol=tolerance, err_msg=name)


@pytest.mark.parametrize("rule", RULES)
def test_a_network_learns_the_same_on_both_paths_run_after_run(rule):
    fast, slow = (network(path, RULES[rule]) for path in ("auto", "torch"))
    assert "plastic path" in str(fast.plan)
    start = learnt(fast)
    for seed, run in ((0, "run"), (1, "run"), (2, "run_continue"), (3, "run_continue"), (4, "run")):
        fired, expected = (show(net, trains(seed), run=run) for net in (fast, slow))
        np.testing.assert_array_equal(fired, expected)
        assert_same(fast, slow)
        assert "plastic path" in str(fast.plan)
    assert 0 < expected.mean() < 0.98
    assert np.abs(learnt(fast) - start).max() > 1e-3


@pytest.mark.parametrize("filter", [None, LowPass(tau=3.0)])
@pytest.mark.parametrize("lateral", ["lateral", "full"])
def test_neurons_that_inhibit_each_other_are_the_same_on_both_paths(lateral, filter):
    fast, slow = (network(path, lateral=lateral, filter=filter) for path in ("auto", "torch"))
    free = network("auto", filter=filter)
    assert "plastic path" in str(fast.plan)
    for seed, run in ((0, "run"), (1, "run_continue"), (2, "run_continue"), (3, "run")):
        fired, expected, alone = (show(net, trains(seed), run=run) for net in (fast, slow, free))
        np.testing.assert_array_equal(fired, expected)
        assert_same(fast, slow)
        assert "plastic path" in str(fast.plan)
    assert 0 < expected.sum() < alone.sum()


@pytest.mark.parametrize("filter", [None, LowPass(tau=3.0)])
def test_other_connections_bring_their_current_with_their_delays_and_filters(filter):
    fast, slow = (network(path, filter=filter, more=True) for path in ("auto", "torch"))
    for seed, run in ((0, "run"), (1, "run_continue"), (2, "run")):
        given = trains(seed), trains(seed + 9, k=5, rate=0.5)
        fired, expected = (show(net, *given, run=run) for net in (fast, slow))
        np.testing.assert_array_equal(fired, expected)
        assert_same(fast, slow)
        assert "plastic path" in str(fast.plan)
    assert "plastic path" in str(fast.plan)
    assert not np.array_equal(fired, show(network("auto", filter=filter), trains(2)))


def test_populations_with_a_shape_and_a_block_as_the_source():
    nets = []
    for path in ("auto", "torch"):
        thresholds = np.linspace(1.0, 3.0, N).reshape(3, 4)
        net = network(path, RULES["thresholds that rise"], shape=(3, 4), v_th=thresholds)
        net.next = NeuronGroup(shape=(2, 3), model="lif", tau_m=5.0, v_th=0.5)
        net.f = Connection(net.cells, net.next, link_type="full", w_mean=0.3)
        net.teacher = Learner(net.f, RULES["eligibility"], modulator=0.5)
        nets.append(net)
    fast, slow = nets
    assert str(fast.plan).count("plastic path") == 2
    for seed in range(3):
        np.testing.assert_array_equal(*(show(net, trains(seed)) for net in nets))
        assert_same(fast, slow)
    assert "torch path" not in str(fast.plan)


@pytest.mark.parametrize(("rule", "tolerance"), [("pairs", 0.0), ("thresholds that rise", 0.0), ("eligibility", 1e-12)])
def test_a_run_cut_in_two_equals_one_run(rule, tolerance):
    rule = replace(RULES[rule], normalise=Normalise(total=4.0, every=7))
    whole, cut = (network("auto", rule, lateral="lateral") for _ in range(2))
    raster = trains(0).raster()
    expected = show(whole, trains(0))
    first = show(cut, Spikes.from_raster(raster[:13], 1.0))
    second = show(cut, Spikes.from_raster(raster[13:], 1.0), run="run_continue")
    np.testing.assert_array_equal(np.concatenate([first, second]), expected)
    assert_same(whole, cut, tolerance)


def test_evaluation_uses_what_was_learnt_and_changes_nothing():
    fast, slow = (network(path, RULES["thresholds that rise"]) for path in ("auto", "torch"))
    for net in (fast, slow):
        show(net, trains(0))
        net.eval()
    before = kept(fast)
    fired, expected = (show(net, trains(1)) for net in (fast, slow))
    np.testing.assert_array_equal(fired, expected)
    assert expected.any()
    for name, value in kept(fast).items():
        np.testing.assert_array_equal(value, before[name], err_msg=name)
    assert "plastic path" in str(fast.plan)


def test_the_reward_of_each_run_is_read():
    for path in ("auto", "torch"):
        net = network(path, RULES["eligibility"], modulator=0.0)
        before = learnt(net)
        show(net, trains(0))
        np.testing.assert_array_equal(learnt(net), before)
        net.learner.modulator = 2.0
        show(net, trains(0))
        assert not np.array_equal(learnt(net), before)


def test_in_float_both_paths_agree_to_rounding():
    fast, slow = (network(path, dtype=torch.float32, lateral="lateral") for path in ("auto", "torch"))
    np.testing.assert_array_equal(*(show(net, trains(0)) for net in (fast, slow)))
    assert_same(fast, slow, 1e-5)


@pytest.mark.parametrize(
    ("reason", "options"),
    [
        ("a sum over all post neurons", {"rule": oja_subspace(w_min=0.0, w_max=1.0)}),
        ("apply is False", {"apply": False}),
        ("one rule at one connection", {"twice": True}),
        ("of loops the plastic kernel takes one", {"loops": 2}),
        ("a full connection from outside, without a delay", {"delay": 2.0}),
    ],
)
def test_the_plan_says_what_keeps_a_stage_from_the_kernel(reason, options):
    own = {k: v for k, v in options.items() if k in ("rule", "apply")}
    net = network("auto", **own)
    if "twice" in options:
        net.second = Learner(net.c, PAIRS)
    for k in range(options.get("loops", 0)):
        setattr(net, f"loop{k}", Connection(net.cells, net.cells, link_type="lateral", is_parameter=False))
    if "delay" in options:
        del net.learner
        net.late = Connection(net.source, net.cells, link_type="full", delay=options["delay"])
        net.second = Learner(net.late, PAIRS)
    assert "torch path" in str(net.plan)
    assert reason in str(net.plan)
    show(net, trains(0))


def test_a_run_that_asks_for_more_goes_on_the_torch_path_and_the_plan_says_why(caplog):
    watched = network("auto")
    watched.v = StateMonitor(watched.cells, "v")
    batch = network("auto", batch="mean")
    graded = network("auto")
    uneven = network("auto", lateral="full")
    show(uneven, trains(0))
    with torch.no_grad():
        uneven.l.weight.value[0, 1] = -0.1
    for net, train, why in (
        (watched, trains(0), "v is watched in each step"),
        (batch, trains(0, batch=2), "one sample a run"),
        (graded, Spikes.from_steps([3], [1], K, T, 1.0, values=[2], n_samples=1), "graded values"),
        (uneven, trains(1), "one weight between all neurons"),
    ):
        with caplog.at_level(logging.WARNING):
            show(net, train)
        assert why in str(net.plan)
        assert "torch path" in str(net.plan)
    assert "v is watched in each step" in caplog.text
    show(batch, trains(0))
    assert "plastic path" in str(batch.plan)


def test_a_rule_of_one_connection_moves_a_threshold_that_others_read():
    rule = Rule(changes=(Change(trigger="post", post="0.3", target="v_th"),))
    fast, slow = (network(path, rule) for path in ("auto", "torch"))
    before = learnt(fast)
    np.testing.assert_array_equal(*(show(net, trains(0)) for net in (fast, slow)))
    assert_same(fast, slow)
    np.testing.assert_array_equal(learnt(fast), before)
