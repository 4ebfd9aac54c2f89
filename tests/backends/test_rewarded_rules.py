"""Rules that a Reward modulates: weights written out by hand, and a choice that is learned by reward alone."""

import numpy as np
import pytest

import spikeloom as sl
from spikeloom.errors import ParameterError, ShapeError, StateError
from spikeloom.plasticity import Change, Rule

PRE = np.array([[[1, 0], [1, 1], [0, 1], [1, 0]]], np.float32)
FIRE = np.array([[[1, 0], [0, 1], [1, 1], [1, 0]]], np.float32)
HEBB = Rule(changes=(Change(trigger="step", pre="s", post="s", modulator="m"),), lr=0.01)
"""w += 0.01 m s_post s_pre in each step."""


def network(rule=HEBB, batch="sequential", **reward):
    """Two neurons that fire when they are told to, with a plastic connection beside that does not move them."""
    net = sl.Network()
    with net:
        net.pre = sl.Encoder(2, coding_method="null")
        net.told = sl.Encoder(2, coding_method="null")
        net.out = sl.NeuronGroup(2, model="if")
        net.plastic = sl.Connection(net.pre, net.out, link_type="full", weight=np.zeros((2, 2)))
        net.drive = sl.Connection(net.told, net.out, link_type="one_to_one", weight=np.full(2, 3.0), is_parameter=False)
        net.reward = sl.Reward(dec_target=net.out, **({"coding_method": "global_reward"} | reward))
        net.learner = sl.Learner(trainable=net.plastic, algorithm=rule, batch=batch, modulator=net.reward)
    net.set_backend(sl.TorchBackend(dt=1.0))
    return net


def learnt(net, labels, pre=PRE, fire=FIRE, cut=None):
    net.reward(labels)
    for k, part in enumerate([slice(0, cut), slice(cut, None)] if cut else [slice(None)]):
        net.pre(pre[:, part])
        net.told(fire[:, part])
        (net.run_continue if k else net.run)(float(pre[:, part].shape[1]))
    return net.plastic.weight.value.detach().numpy()


def test_each_step_s_reward_scales_the_change_of_that_step():
    """Label 0: neuron 0 fires alone in steps 0 and 3 (+1), neuron 1 in step 1 (-1), both in step 2 (0)."""
    reward = np.array([1, -1, 0, 1])
    expected = 0.01 * np.einsum("t,ti,tj->ij", reward, FIRE[0], PRE[0])
    np.testing.assert_allclose(learnt(network(), [0]), expected, atol=1e-7)


def test_a_window_s_reward_comes_in_its_last_step_also_where_a_run_was_cut():
    """Windows of 3 steps, label 0: 2 spikes to 2 in steps 0 to 2, so 0; whole run: 3 to 2, so +1 in step 3."""
    assert not learnt(network(dec_sample_step=3), [0]).any()
    expected = 0.01 * np.outer(FIRE[0, 3], PRE[0, 3])
    np.testing.assert_allclose(learnt(network(dec_sample_step=4), [0]), expected, atol=1e-7)
    np.testing.assert_allclose(learnt(network(dec_sample_step=4), [0], cut=1), expected, atol=1e-7)
    np.testing.assert_allclose(learnt(network(dec_sample_step=None), [0]), expected, atol=1e-7)


def test_between_windows_the_reward_is_0():
    """Windows of 2 steps: neuron 0 fires most in the first, which pays in step 1 alone; the second is even."""
    fire = np.array([[[1, 0], [1, 0], [1, 1], [0, 0]]], np.float32)
    expected = 0.01 * np.outer(fire[0, 1], PRE[0, 1])
    np.testing.assert_allclose(learnt(network(dec_sample_step=2), [0], fire=fire), expected, atol=1e-7)


def test_a_reward_of_each_neuron_scales_the_rows():
    """Label 0 with dopamine: +1 for neuron 0 in steps 0 and 3, punish -0.5 for all else but in the tie of step 2."""
    reward = np.array([[1, -0.5], [-0.5, -0.5], [0, 0], [1, -0.5]])
    expected = 0.01 * np.einsum("ti,ti,tj->ij", reward, FIRE[0], PRE[0])
    found = learnt(network(coding_method="da_reward", punish_signal=-0.5), [0])
    np.testing.assert_allclose(found, expected, atol=1e-7)


def test_samples_of_a_batch_have_rewards_of_their_own():
    pre, fire = np.repeat(PRE, 2, 0), np.repeat(FIRE, 2, 0)
    alone = [learnt(network(), [label]).copy() for label in (0, 1)]
    np.testing.assert_allclose(learnt(network(batch="sum"), [0, 1], pre, fire), sum(alone), atol=1e-7)
    np.testing.assert_allclose(learnt(network(batch="mean"), [0, 0], pre, fire), alone[0], atol=1e-7)


def test_a_reward_of_the_environment_scales_a_whole_run():
    def weights(**more):
        net = network(coding_method="environment_reward", **more)
        return learnt(net, -2.0)

    np.testing.assert_allclose(weights(), -0.02 * np.einsum("ti,tj->ij", FIRE[0], PRE[0]), atol=1e-7)


def test_a_population_downstream_can_be_judged_for_the_one_before_it():
    """The judged population fires a step with the hidden one, through a connection of its own."""
    net = network()
    net.last = sl.NeuronGroup(2, model="if")
    net.on = sl.Connection(net.out, net.last, link_type="one_to_one", weight=np.full(2, 3.0), is_parameter=False)
    net.reward = sl.Reward(dec_target=net.last, coding_method="global_reward")
    net.learner = sl.Learner(trainable=net.plastic, algorithm=HEBB, batch="sequential", modulator=net.reward)
    expected = 0.01 * np.einsum("t,ti,tj->ij", np.array([1, -1, 0, 1]), FIRE[0], PRE[0])
    np.testing.assert_allclose(learnt(net, [0]), expected, atol=1e-7)


def test_a_rule_without_its_labels_or_with_those_of_another_batch_does_not_run():
    net = network()
    net.pre(PRE)
    net.told(FIRE)
    with pytest.raises(StateError, match=r"reward 'reward' was given nothing; give it labels: net\.reward"):
        net.run(4.0)
    net.reward([0, 1])
    with pytest.raises(ShapeError, match="was given 2 numbers, the run has 1 samples"):
        net.run(4.0)
    assert not net.plastic.weight.value.any()
    net.eval()
    net.run(4.0)


def test_a_reward_of_each_neuron_of_another_population_is_refused():
    net = network()
    net.wide = sl.NeuronGroup(4, model="if")
    net.reward = sl.Reward(dec_target=net.wide, coding_method="da_reward")
    net.learner = sl.Learner(trainable=net.plastic, algorithm=HEBB, batch="sequential", modulator=net.reward)
    with pytest.raises(ParameterError, match=r"each neuron of 'wide', \(4,\), a reward and cannot modulate 'out'"):
        learnt(net, [0])


def test_a_saved_learner_keeps_its_reward(tmp_path):
    again = sl.network_load(network(dec_sample_step=2).save("n", tmp_path))
    assert again.learner.modulator is again.reward
    assert "modulated by reward" in str(again)


OTHERS = -np.kron(1 - np.eye(2), np.ones((5, 5)))


def chooser(algorithm, lr, every, method="global_reward"):
    """Two populations that inhibit each other choose by the cue, with a reward for the right one."""
    net = sl.Network()
    with net:
        net.cue = sl.Encoder(20, coding_method="poisson", unit_conversion=0.1)
        net.out = sl.NeuronGroup(10, model="lif", tau_m=10.0)
        net.a = sl.Connection(net.cue, net.out, link_type="full", w_mean=0.15, w_std=0.01, w_min=0.0, w_max=0.4)
        net.b = sl.Connection(net.out, net.out, link_type="full", weight=OTHERS, is_parameter=False)
        net.reward = sl.Reward(dec_target=net.out, coding_method=method, pop_size=5, dec_sample_step=every)
        net.action = sl.Action(num=2, dec_target=net.out, coding_method="pop_rate_action")
        net.learner = sl.Learner(
            trainable=net.a, algorithm=algorithm, lr=lr, batch="mean", modulator=net.reward, a_minus=0.0
        )
    net.set_backend_dt(1.0)
    net.set_random_seed(0)
    return net


def show(net, labels):
    net.cue(np.kron(np.eye(2)[labels], np.ones(10)))
    net.run(40.0)


def right(net, wrong_way=False):
    """How often the right population is chosen after 20 batches of 8 trials; wrong_way: rewarded for the other one."""
    generator = np.random.default_rng(1)
    for _ in range(20):
        labels = generator.integers(2, size=8)
        net.reward(1 - labels if wrong_way else labels)
        show(net, labels)
    net.eval()
    labels = generator.integers(2, size=100)
    show(net, labels)
    return (net.action.action.numpy() == labels).mean()


@pytest.mark.parametrize(
    ("algorithm", "lr", "every", "method"),
    [
        ("RSTDP", 0.02, 1, "global_reward"),
        ("RSTDPET", 0.1, None, "global_reward"),
        ("RSTDPET", 0.1, None, "da_reward"),
    ],
)
def test_a_choice_is_learned_by_reward_and_not_without(algorithm, lr, every, method):
    assert right(chooser(algorithm, lr, every, method)) > 0.9
    assert right(chooser(algorithm, 0.0, every, method)) < 0.7


def test_a_choice_rewarded_the_wrong_way_round_is_learned_so():
    assert right(chooser("RSTDPET", 0.1, None), wrong_way=True) < 0.1
