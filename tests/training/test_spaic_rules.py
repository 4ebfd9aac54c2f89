"""Every learner by a rule that SPAIC names, on a small task that it solves and that a broken rule does not."""

import numpy as np
import pytest
import torch

import spikeloom as sl
from spikeloom.errors import ParameterError, UnknownNameError
from spikeloom.plasticity.description import describe
from spikeloom.training.rule_algorithms import RULES

K, STEPS = 40, 40
HALVES = np.repeat(np.eye(2), K // 2, axis=1)
"""Two patterns: the inputs that fire much."""


def built(net, seed=0):
    net.set_random_seed(seed)
    net.set_backend(sl.TorchBackend(dtype=torch.float64, dt=1.0))
    return net


def shown(pattern, rng, steps=STEPS):
    """Spikes (1, T, K) of a pattern."""
    return (rng.random((1, steps, K)) < np.where(HALVES[pattern] > 0, 0.2, 0.01)).astype(float)


def detectors(algorithm, weight, v_th, n=2, **options):
    """n neurons behind a plastic connection, each with a teacher, in one network."""
    net = sl.Network()
    net.input = sl.Encoder(K, coding_method="null")
    net.teacher = sl.Encoder(n, coding_method="null")
    net.out = sl.NeuronGroup(n, model="lif", tau_m=5.0, v_th=v_th)
    net.plastic = sl.Connection(net.input, net.out, link_type="full", weight=np.full((n, K), float(weight)))
    teaches = {"weight": np.full(n, 1.0), "is_parameter": False}
    net.taught = sl.Connection(net.teacher, net.out, link_type="one_to_one", **teaches)
    net.answer = sl.Decoder(dec_target=net.out, coding_method="spike_counts")
    net.learner = sl.Learner(trainable=net.plastic, algorithm=algorithm, **options)
    return built(net)


def answers(net, rng, n_shown=6):
    """The spikes of the neurons for each pattern without a teacher and without learning, (2, n)."""
    net.eval()
    found = []
    for pattern in (0, 1):
        counts = 0
        for _ in range(n_shown):
            net.input(shown(pattern, rng))
            net.teacher(np.zeros((1, STEPS, net.out.num)))
            net.run(float(STEPS))
            counts = counts + net.answer.predict.detach().numpy()[0]
        found.append(counts)
    net.train()
    return np.array(found)


def drive(rows, strength, seed=0):
    """What makes some neurons fire now and then and holds others back, (1, T, n)."""
    rng = np.random.default_rng(seed)
    given = np.zeros((1, STEPS, len(rows)))
    for i, row in enumerate(rows):
        given[0, :, i] = strength * (rng.random(STEPS) < 0.2) if row else -strength
    return given


TAUGHT = {
    "nearest_online_stdp": {"w_norm": 4.0, "weight": 0.1, "v_th": 1.6},
    "full_online_STDP": {"w_norm": 4.0, "weight": 0.1, "v_th": 1.6},
    "meta_nearest_online_stdp": {"a_post": 0.01, "a_pre": 1e-3, "weight": 0.1, "v_th": 9.0},
    "postpreintstdp": {"weight": 20.0, "v_th": 1000.0},
}
FLIPPED = {
    "nearest_online_stdp": {"a_post": -0.01, "a_pre": -1e-4},
    "full_online_STDP": {"a_post": -0.01, "a_pre": -1e-4},
    "meta_nearest_online_stdp": {"a_post": -0.01, "a_pre": -1e-3},
    "postpreintstdp": {"nu0": -14, "nu1": -141},
}


def taught(name, **broken):
    """The part of the answers to a pattern that come from the neuron which was made to fire for it."""
    net = detectors(name, **(TAUGHT[name] | broken))
    rng = np.random.default_rng(1)
    for k in range(16):
        net.input(shown(k % 2, rng))
        net.teacher(drive(np.eye(2)[k % 2], 20 * TAUGHT[name]["v_th"], seed=k))
        net.run(float(STEPS))
    counts = answers(net, rng)
    return float(np.trace(counts) / max(counts.sum(), 1))


@pytest.mark.parametrize("name", TAUGHT)
def test_a_neuron_made_to_fire_for_a_pattern_comes_to_answer_to_it(name):
    assert taught(name) >= 0.9
    assert taught(name, lr=0) <= 0.6
    assert taught(name, **FLIPPED[name]) <= 0.3


def conditioned(name, *, reward=(1.0, -1.0), late=0, **options):
    """The part of the answers that go to pattern 0, after its runs were rewarded and those of pattern 1 punished.

    Noise makes the neuron fire. late: for how many steps after a run the reward comes, if not during the run.
    """
    net = detectors(name, 0.2, 4.0, n=1, **options)
    rng = np.random.default_rng(1)
    for k in range(24):
        net.input(shown(k % 2, rng))
        net.teacher(drive([True], 40.0, seed=k))
        net.learner.modulator = 0.0 if late else reward[k % 2]
        net.run(float(STEPS))
        if late:
            net.learner.modulator = reward[k % 2]
            net.input(np.zeros((1, late, K)))
            net.teacher(np.zeros((1, late, 1)))
            net.run_continue(float(late))
    counts = answers(net, rng)[:, 0]
    return float(counts[0] / max(counts.sum(), 1))


REWARDED = {
    "RSTDP": {"lr": 0.002, "a_minus": -0.5},
    "RSTDPET": {"lr": 0.006, "a_minus": -0.5, "late": 10},
    "switch_rstdp": {"a_pre_pos": -2e-3, "a_pre_neg": 2e-3},
}
LEFT_OUT = {
    "RSTDP": {"reward": (1.0, 1.0)},
    "RSTDPET": {"tau_e_trace": 0.05},
    "switch_rstdp": {"a_post_neg": 5e-3, "a_pre_neg": -2e-3},
}


@pytest.mark.parametrize("name", REWARDED)
def test_a_neuron_comes_to_answer_to_the_pattern_that_is_rewarded(name):
    options = REWARDED[name]
    assert conditioned(name, **options) >= 0.9
    assert conditioned(name, **options | {"lr": 0}) <= 0.65
    assert conditioned(name, **options, reward=(-1.0, 1.0)) <= 0.1
    assert conditioned(name, **options | LEFT_OUT[name]) <= 0.65


def fed_back(name, *, feedback=((0.9, -0.3), (-0.2, 1.1)), sign=1.0, **options):
    """The part of the answers to a pattern that come from its own neuron, to which feedback weights bring a reward."""
    net = detectors(name, 0.2, 4.0, **options)
    net.reward = sl.Encoder(2, coding_method="null")
    net.feedback = sl.NeuronGroup(2, model="li", tau_m=1e-3)
    net.back = sl.Connection(net.reward, net.feedback, link_type="full", weight=feedback, is_parameter=False)
    net.learner.modulator = (net.feedback, "v")
    rng = np.random.default_rng(1)
    for k in range(24):
        net.input(shown(k % 2, rng))
        net.teacher(drive([True, True], 40.0, seed=k))
        net.reward(np.broadcast_to(sign * (2 * np.eye(2)[k % 2] - 1), (1, STEPS, 2)).copy())
        net.run(float(STEPS))
    net.reward(np.zeros((1, STEPS, 2)))
    counts = answers(net, rng)
    return float(np.trace(counts) / max(counts.sum(), 1))


@pytest.mark.parametrize("name", ["bp_rstdp", "bp_rstdpet"])
def test_neurons_come_to_answer_to_what_feedback_rewards_them_for(name):
    options = {"lr": 0.01}
    assert fed_back(name, **options) >= 0.9
    assert fed_back(name, **options | {"lr": 0}) <= 0.6
    assert fed_back(name, **options, sign=-1.0) <= 0.1
    assert fed_back(name, **options, feedback=np.ones((2, 2))) <= 0.6


def counted(m_r, n_runs=30, **options):
    """The spikes of a neuron in a run after so many runs with the same input; it starts silent."""
    net = detectors("rate_modulate", 0.02, 4.0, n=1, m_r=m_r, **options)
    net.input(shown(0, np.random.default_rng(1)))
    net.teacher(np.zeros((1, STEPS, 1)))
    for _ in range(n_runs):
        net.run(float(STEPS))
    return float(net.answer.predict.detach().sum())


def test_a_neuron_comes_to_fire_as_often_as_it_is_told():
    assert counted(10, n_runs=1) == 0
    assert counted(10) == pytest.approx(10, abs=1)
    assert counted(20) == pytest.approx(20, abs=1)
    assert counted(10, lr=0) == 0
    assert counted(0) == 0


VERTICAL = np.zeros((8, 8))
VERTICAL[:, 4] = 1
BARS = {"upright": VERTICAL, "lying": VERTICAL.T}


def kernel(name, *, reward=(1.0, -1.0), teacher_first=False, **options):
    """How much more weight a convolution has above and below than beside, -1 to 1, after neurons fired along bars.

    Upright bars alone are shown to a rule that no reward modulates, upright and lying ones in turn to one that is.
    """
    rewarded = "rstdp" in name
    net = sl.Network()
    net.input = sl.Encoder(shape=(1, 8, 8), coding_method="null")
    net.teacher = sl.Encoder(shape=(1, 8, 8), coding_method="null")
    net.out = sl.NeuronGroup(shape=(1, 8, 8), model="lif", tau_m=1e-3)
    start = np.full((1, 1, 3, 3), 5e-4)
    net.plastic = sl.Connection(net.input, net.out, link_type="conv", padding=1, weight=start)
    net.taught = sl.Connection(net.teacher, net.out, link_type="one_to_one", weight=np.full(64, 50.0),
                               is_parameter=False)  # fmt: skip
    net.learner = sl.Learner(trainable=net.plastic, algorithm=name, **options)
    built(net)
    pre, post = np.zeros((2, 1, STEPS, 1, 8, 8))
    for k in range(6):
        bar = BARS["lying" if rewarded and k % 2 else "upright"]
        first, second = (post, pre) if teacher_first else (pre, post)
        first[0, 2::10, 0], second[0, 3::10, 0] = bar, bar
        net.input(pre)
        net.teacher(post)
        if rewarded:
            net.learner.modulator = reward[k % 2]
        net.run(float(STEPS))
    w = net.plastic.weight.value.detach().numpy()[0, 0]
    along, beside = w[0, 1] + w[2, 1], w[1, 0] + w[1, 2]
    return float((along - beside) / (abs(along) + abs(beside)))


def test_a_convolution_learns_the_bar_along_which_its_neurons_fire():
    assert kernel("conv2d_stdp", lr=2e-4) >= 0.9
    assert kernel("conv2d_stdp", lr=0) == 0
    assert kernel("conv2d_stdp", lr=2e-4, teacher_first=True) <= -0.9
    assert kernel("conv2d_stdp", lr=2e-4, a_plus=0.0, a_minus=0.0) == 0


def test_a_convolution_learns_the_bar_that_is_rewarded():
    assert kernel("conv2d_rstdp", lr=1e-4) >= 0.9
    assert kernel("conv2d_rstdp", lr=0) == 0
    assert kernel("conv2d_rstdp", lr=1e-4, reward=(-1.0, 1.0)) <= -0.9
    assert abs(kernel("conv2d_rstdp", lr=1e-4, reward=(1.0, 1.0))) <= 0.3


def test_each_rule_that_spaic_names_was_trained_above():
    trained = {*TAUGHT, *REWARDED, "bp_rstdp", "bp_rstdpet", "rate_modulate", "conv2d_stdp", "conv2d_rstdp"}
    assert trained == set(RULES)


OPTIONS = {
    "nearest_online_stdp": {"Apost": 0.02, "Apre": 2e-4, "trace_decay": 0.9, "lr": 0.5},
    "FULL_ONLINE_STDP": {"Apost": 0.02, "Apre": 2e-4, "trace_decay": 0.9, "lr": 0.5},
    "Meta-nearest-online-STDP": {"Apost": 0.02, "Apre": 2e-4, "pre_decay": 0.9, "post_decay": 0.9},
    "postpreintstdp": {"nu0": 1, "nu1": 2, "w_min": -5, "w_max": 5, "trace_decay": 30000, "shift_spike_trace": 15},
    "rstdp": {"lr": 0.2, "tau_plus": 5, "tau_minus": 6, "A_plus": 2.0, "A_minus": -2.0},
    "RSTDPet": {"lr": 0.2, "tau_e": 10, "tau_e_trace": 12, "A_plus": 2.0, "A_minus": -2.0},
    "Switch_RSTDP": {"Apost_pos": 1e-3, "Apre_pos": 1e-3, "Apost_neg": 1e-3, "Apre_neg": 1e-3, "w_max": 1.0},
    "bp_RSTDP": {"hs_r": 0.1, "tau_pre": 3, "tau_post": 4, "A_plus": 2.0, "A_minus": -1.0},
    "bp_RSTDPET": {"hs_r": 0.1, "tau_pre": 3, "tau_post": 4, "tau_et": 5, "A_plus": 2.0},
    "Rate_Modulate": {"m_r": 4, "alpha": 0.1},
    "Conv2d_STDP": {"lr": 0.2, "tau_plus": 5, "tau_minus": 6, "A_plus": 2.0, "A_minus": -2.0},
    "conv2d_RSTDP": {"lr": 0.2, "tau_plus": 5, "tau_minus": 6, "A_plus": 2.0, "A_minus": -2.0},
}


@pytest.mark.parametrize("name", OPTIONS)
def test_options_of_spaic_are_taken_in_its_spelling_and_change_the_rule(name):
    group = sl.NeuronGroup(2, model="lif")
    plain = {"m_r": 3} if name == "Rate_Modulate" else {}
    learner, other = (sl.Learner(trainable=group, algorithm=name, **given) for given in (OPTIONS[name], plain))
    told, untold = (describe(given.rule) for given in (learner, other))
    assert told != untold
    assert untold == describe(sl.Learner(trainable=group, algorithm=name, **plain).rule)
    assert learner.rule.lr == OPTIONS[name].get("lr", other.rule.lr if "alpha" not in OPTIONS[name] else 0.1)


def test_a_wrong_option_or_decay_is_answered_with_a_suggestion():
    group = sl.NeuronGroup(2, model="lif")
    with pytest.raises(ParameterError, match="unknown parameter 'tau_plux'; did you mean 'tau_plus'"):
        sl.Learner(trainable=group, algorithm="RSTDP", tau_plux=3.0)
    with pytest.raises(ParameterError, match=r"trace_decay must be a factor per ms, above 0 and below 1, got 1\.0"):
        sl.Learner(trainable=group, algorithm="nearest_online_stdp", trace_decay=1.0)
    with pytest.raises(UnknownNameError, match="did you mean 'RSTDP'"):
        sl.Learner(trainable=group, algorithm="RSTTDP")
