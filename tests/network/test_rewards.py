"""Rewards: what is counted by hand of small trains of spikes, and the errors of wrong use."""

import subprocess
import sys

import numpy as np
import pytest
import torch

import spikeloom as sl
from spikeloom.errors import DataError, ParameterError, ShapeError, StateError

TRAINS = np.array(
    [
        [[1, 0, 0, 0], [1, 1, 0, 0], [0, 0, 0, 0], [0, 0, 0, 1]],
        [[0, 0, 1, 0], [0, 0, 0, 0], [0, 0, 0, 0], [0, 1, 1, 1]],
        [[0, 0, 0, 0], [0, 0, 0, 0], [1, 0, 0, 1], [0, 0, 0, 0]],
    ],
    np.float32,
)
"""Three samples (B, T, n): what four neurons do in four steps."""


def network(method, n=4, **options):
    """A population that repeats the spikes it is given, and a reward that judges it."""
    net = sl.Network()
    with net:
        net.given = sl.Encoder(n, coding_method="null")
        net.out = sl.NeuronGroup(n, model="if")
        net.link = sl.Connection(net.given, net.out, link_type="one_to_one", weight=np.full(n, 1.5))
        net.reward = sl.Reward(dec_target=net.out, coding_method=method, **options)
    net.set_backend_dt(1.0)
    return net


def judged(method, labels, trains=TRAINS, **options):
    net = network(method, trains.shape[2], **options)
    net.given(trains)
    net.reward(labels)
    net.run(float(trains.shape[1]))
    return net.reward.values.tolist()


def test_a_global_reward_says_whether_the_right_population_fires_most_and_nothing_of_a_tie():
    assert judged("global_reward", [0, 0, 0], pop_size=2, dec_sample_step=None) == [[1, -1, 0]]
    assert judged("global_reward", [1, 1, 1], pop_size=2, dec_sample_step=None) == [[-1, 1, 0]]
    found = judged("global_reward", [0, 1, 0], pop_size=2, dec_sample_step=2, reward_signal=3.0, punish_signal=-0.5)
    assert found == [[3, 3, 0], [-0.5, 3, 0]]


def test_each_step_is_judged_by_itself_unless_told_otherwise():
    assert judged("global_reward", [0, 1, 0], pop_size=2) == [[1, 1, 0], [1, 0, 0], [0, 0, 0], [-1, 1, 0]]


def test_a_dopamine_reward_is_for_the_neurons_of_the_right_population_alone():
    assert judged("da_reward", [0, 0, 0], pop_size=2, dec_sample_step=None) == [[[1, 1, 0, 0], [0] * 4, [0] * 4]]
    found = judged("da_reward", [0, 0, 0], pop_size=2, dec_sample_step=None, punish_signal=-1.0)
    assert found == [[[1, 1, -1, -1], [-1] * 4, [0] * 4]]


def test_an_xor_reward_answers_each_spike_of_any_batch_by_its_label():
    trains = np.array([[[1], [0]], [[0], [1]], [[0], [0]]], np.float32)
    assert judged("xor_reward", [1, 0, 1], trains) == [[1, 0, 0], [0, -1, 0]]
    assert judged("xor_reward", [0, 1, 0], trains) == [[-1, 0, 0], [0, 1, 0]]


def test_a_classify_reward_is_the_gradient_of_a_cross_entropy():
    """Of the softmax of standardised activity, whose memory decays from window to window."""
    found = np.array(judged("classify_reward", [0, 3, 1], dec_sample_step=2, decay=0.5))
    memory = np.zeros((3, 4))
    for k in range(2):
        memory = 0.5 * memory + TRAINS[:, 2 * k : 2 * k + 2].mean(1)
        z = torch.tensor(
            (memory - memory.mean(1)[:, None]) / (memory.std(1, ddof=1)[:, None] + 0.1), requires_grad=True
        )
        loss = torch.nn.functional.cross_entropy(z, torch.tensor([0, 3, 1]), reduction="sum")
        (grad,) = torch.autograd.grad(loss, z)
        np.testing.assert_allclose(found[k], -grad.numpy(), atol=1e-6)


def test_windows_go_on_where_a_run_ended():
    whole = judged("global_reward", [0, 1, 0], pop_size=2, dec_sample_step=3)
    net = network("global_reward", pop_size=2, dec_sample_step=3)
    net.reward([0, 1, 0])
    net.given(TRAINS[:, :2])
    net.run(2.0)
    assert net.reward.values.shape == (0, 3)
    with pytest.raises(StateError, match="no window of 3 steps ended"):
        net.reward.value
    net.given(TRAINS[:, 2:])
    net.run_continue(2.0)
    assert net.reward.values.tolist() == whole == [[1, 1, 0]]


def test_a_reward_of_the_environment_is_what_it_is_given():
    reward = sl.Reward(coding_method="environment_reward")
    reward(0.5)
    assert float(reward.value) == 0.5
    reward([1.0, -2.0])
    assert reward.value.tolist() == [1.0, -2.0]
    with pytest.raises(ShapeError, match="was given 2 numbers, the run has 3"):
        reward.given(3)


def test_several_rewards_judge_one_network_each_by_its_own_labels():
    net = network("global_reward", pop_size=2, dec_sample_step=None)
    net.other = sl.Reward(dec_target=net.out, coding_method="da", pop_size=2, dec_sample_step=None)
    net.given(TRAINS)
    net.reward([0, 0, 0])
    net.other([1, 1, 1])
    net.run(4.0)
    assert net.reward.value.tolist() == [1, -1, 0]
    assert net.other.value[:, 2].tolist() == [0, 1, 0]


def test_no_label_is_needed_before_something_asks_for_the_reward():
    net = network("global_reward")
    net.build()
    net.given(TRAINS)
    net.run(4.0)
    with pytest.raises(StateError, match=r"judged nothing yet; give it labels and run the network: net\.reward"):
        net.reward.value
    net.reward([0, 1])
    net.run(4.0)
    with pytest.raises(StateError, match="was given 2 labels, the last run had 3 samples"):
        net.reward.value


def test_a_saved_reward_is_the_same_one_again(tmp_path):
    net = network("da_reward", pop_size=2, punish_signal=-0.25, dec_sample_step=5)
    net.free = sl.Reward(coding_method="environment_reward")
    again = sl.network_load(net.save("n", tmp_path))
    assert again.reward.judgement == net.reward.judgement
    assert (again.reward.dec_sample_step, again.reward.target.path, again.free.target) == (5, "out", None)
    assert "reward da_reward of out, every 5 steps, pop_size 2, punish_signal -0.25" in str(again)
    assert sl.network_load(net.save("m", tmp_path, trans_format="yaml")).reward.judgement == net.reward.judgement


def test_a_target_that_is_not_in_the_network_is_an_error():
    net = network("global_reward")
    net.reward = sl.Reward(dec_target=sl.NeuronGroup(2, model="lif"), coding_method="global_reward")
    net.given(TRAINS)
    with pytest.raises(StateError, match="reward 'reward': its target '<unnamed neuron group>' is not in the network"):
        net.run(4.0)


OUT = sl.NeuronGroup(4, model="lif")


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({}, LookupError, "reward method must be a name"),
        ({"coding_method": "globl_reward"}, LookupError, "did you mean 'global_reward'"),
        ({"coding_method": "global_reward", "dec_target": None}, ParameterError, "dec_target must be a neuron group"),
        ({"coding_method": "global_reward", "pop_size": 3}, ParameterError, "3 does not divide 4"),
        ({"coding_method": "global_reward", "pop_size": 4}, ParameterError, "none can fire most.*xor_reward"),
        ({"coding_method": "global_reward", "pop_size": 0}, ParameterError, "whole number from 1 on"),
        ({"coding_method": "global_reward", "reward_signal": np.nan}, ParameterError, "finite number"),
        ({"coding_method": "global_reward", "punish": 0}, ParameterError, "did you mean 'punish_signal'"),
        ({"coding_method": "global_reward", "num": 5}, ShapeError, "its target has 4 neurons"),
        ({"coding_method": "global_reward", "dec_sample_step": 0}, ParameterError, "from 1 on, or None"),
        ({"coding_method": "global_reward", "coding_var_name": "v"}, ParameterError, "a reward reads 'spikes'"),
        ({"coding_method": "global_reward", "reward_shape": (1,)}, ParameterError, "'reward_shape' is dropped"),
        ({"coding_method": "classify_reward", "decay": 2.0}, ParameterError, "from 0 to 1"),
    ],
)
def test_a_wrong_reward_is_refused_with_a_way_out(options, error, text):
    with pytest.raises(error, match=text):
        sl.Reward(**({"dec_target": OUT} | options))


@pytest.mark.parametrize(
    ("labels", "error", "text"),
    [
        ([0, 4], DataError, "from 0 to 3, got 0 to 4"),
        ([0.5], DataError, "whole numbers, got torch.float"),
        ("a", DataError, "takes numbers"),
        ([[0], [1]], ShapeError, r"shape \(2, 1\)"),
        ([], ShapeError, r"shape \(0,\)"),
    ],
)
def test_wrong_labels_are_refused(labels, error, text):
    with pytest.raises(error, match=text):
        sl.Reward(dec_target=OUT, coding_method="global_reward")(labels)


def test_labels_beyond_every_whole_number_of_torch_are_refused():
    with pytest.raises(DataError, match="from 0 to 3"):
        sl.Reward(dec_target=OUT, coding_method="global_reward")(np.array([2**63 + 1, 0], np.uint64))


def test_a_reward_for_another_batch_says_of_which():
    net = network("global_reward")
    net.given(TRAINS)
    net.reward([0, 1])
    net.run(4.0)
    with pytest.raises(StateError, match="was given 2 labels, the last run had 3 samples"):
        net.reward.values
    net.reward([0, 1, 2])
    net.run(4.0)
    assert net.reward.values.shape == (4, 3)


def test_a_reward_of_the_environment_must_be_real():
    with pytest.raises(DataError, match="finite real number"):
        sl.Reward(coding_method="environment_reward")(1j)


def test_rewards_and_actions_need_no_gymnasium():
    code = (
        "import sys; sys.modules['gymnasium'] = None\n"
        "import spikeloom as sl, torch\n"
        "net = sl.Network()\n"
        "with net:\n"
        "    net.x = sl.Encoder(2, coding_method='null')\n"
        "    net.out = sl.NeuronGroup(2, model='if')\n"
        "    net.c = sl.Connection(net.x, net.out, link_type='one_to_one', weight=[1.5, 1.5])\n"
        "    net.reward = sl.Reward(dec_target=net.out, coding_method='global_reward')\n"
        "    net.action = sl.Action(dec_target=net.out, coding_method='highest_spikes_action')\n"
        "net.set_backend_dt(1.0)\n"
        "net.x(torch.tensor([[[0., 1.]]])); net.reward([1]); net.run(1.0)\n"
        "print(net.reward.value.tolist(), net.action.action.tolist(), sl.ReplayMemory(1).capacity)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout == "[1.0] [1] 1\n", done.stderr


def test_a_reward_of_the_environment_must_be_finite():
    with pytest.raises(DataError, match="finite real number"):
        sl.Reward(coding_method="environment_reward")(float("nan"))
