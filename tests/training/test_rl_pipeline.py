"""The loop of network and environment: its order counted by hand, seeds, resume bit for bit, Ctrl-C, hostile files."""

import json
import os
import signal

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

gymnasium = pytest.importorskip("gymnasium", reason="the extra rl")

import spikeloom as sl  # noqa: E402
from spikeloom.errors import DataError, ParameterError, ShapeError, StateError, StorageError  # noqa: E402
from spikeloom.training import Interrupted  # noqa: E402


class Counting(gymnasium.Env):
    """Shows the number of the step one-hot; the reward of step k is k + 1; it ends after `n` steps."""

    action_space = gymnasium.spaces.Discrete(2)

    def __init__(self, n=4, cut=False):
        self.observation_space = gymnasium.spaces.Box(0.0, 1.0, (n + 1,), np.float32)
        self.n, self.cut, self.seeds, self.actions, self.shown = n, cut, [], [], 0

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.seeds.append(seed)
        self.k = 0
        return np.eye(self.n + 1, dtype=np.float32)[0], {}

    def step(self, action):
        self.actions.append(action)
        self.k += 1
        done = self.k == self.n
        return np.eye(self.n + 1, dtype=np.float32)[self.k], float(self.k), done and not self.cut, done and self.cut, {}

    def render(self):
        self.shown += 1


def network(n, seed=0, **action):
    net = sl.Network("agent")
    with net:
        net.seen = sl.Encoder(n, coding_method="constant_current")
        net.hidden = sl.NeuronGroup(16, model="lif", tau_m=4.0)
        net.out = sl.NeuronGroup(2, model="li", tau_m=4.0)
        net.a = sl.Connection(net.seen, net.hidden, link_type="full", w_mean=0.0, w_std=1.0, bias=True)
        net.b = sl.Connection(net.hidden, net.out, link_type="full", w_mean=0.0, w_std=0.5)
        net.values = sl.Decoder(dec_target=net.out, coding_method="final_step_voltage")
        net.action = sl.Action(dec_target=net.out, **({"coding_method": "highest_voltage_action"} | action))
        net.learner = sl.Learner(trainable=net, algorithm="sbp")
    net.set_backend(sl.TorchBackend(dt=1.0))
    net.set_random_seed(seed)
    net.learner.set_optimizer("Adam", 0.01)
    net.learner.set_schedule("StepLR", 50)
    return net


def pipeline(world, **options):
    world = sl.GymEnvironment(world, clip_rewards=False)
    net = options.pop("net", None) or network(world.num, epsilon=options.pop("epsilon", 0.0))
    return sl.RLPipeline(net, world, 4.0, **({"progress": False} | options))


def test_rewards_are_summed_and_what_was_seen_is_remembered():
    found = pipeline(Counting(), num_episodes=3, replay_memory=True, memory_capacity=100)
    assert found.run() == [10.0] * 3 == found.reward_list
    assert len(found.memory_pool) == 12
    arrays = found.memory_pool.arrays()
    assert arrays["states"].argmax(1).tolist() == [0, 1, 2, 3] * 3
    assert arrays["ended"].tolist() == [False, False, False, True] * 3
    assert arrays["next_states"].sum(1).tolist() == [1, 1, 1, 0] * 3
    assert arrays["rewards"].tolist() == [1, 2, 3, 4] * 3
    assert arrays["actions"].tolist() == found.environment.environment.actions


def test_an_episode_that_is_cut_off_has_not_ended():
    found = pipeline(Counting(cut=True), num_episodes=1, replay_memory=True)
    found.run()
    assert not found.memory_pool.arrays()["ended"].any()
    assert found.memory_pool.arrays()["next_states"].argmax(1).tolist() == [1, 2, 3, 4]


def test_a_delayed_reward_comes_later_and_none_is_lost():
    found = pipeline(Counting(), num_episodes=1, replay_memory=True, reward_delay=2)
    assert found.run() == [10.0]
    assert found.memory_pool.arrays()["rewards"].tolist() == [0, 0, 1, 9]


def test_a_loop_written_by_hand_is_the_same_as_run():
    by_hand, by_run = pipeline(Counting(), num_episodes=2), pipeline(Counting(), num_episodes=2)
    for _ in range(2):
        by_hand.reset_pipeline()
        done = False
        while not done:
            step = by_hand.env_step()
            by_hand.update_step(step)
            done = step[2]
        assert step[0] is None
    assert by_hand.reward_list == by_run.run()
    assert by_hand.environment.environment.actions == by_run.environment.environment.actions


def test_a_reward_of_the_environment_reaches_the_network_with_the_next_observation():
    world, given = Counting(), []
    net = network(5)
    net.reward = sl.Reward(coding_method="environment_reward")
    found = pipeline(world, net=net, num_episodes=1, learn=lambda p: given.append(float(p.network.reward.value)))
    found.run()
    assert given == [1, 2, 3, 4]


def test_repeated_actions_are_broken_up_in_training_alone():
    def longest(training):
        found = pipeline(Counting(100), num_episodes=1, action_repeat=3)
        with torch.no_grad():
            for weight in found.network.parameters():
                weight.zero_()
            found.network.b.weight.value[0] = 0.1  # neuron 0 is ahead wherever the hidden ones fire
            found.network.module.a.bias.fill_(2.0)
        found.network.train(training)
        found.run()
        actions = np.array(found.environment.environment.actions)
        ends = np.flatnonzero(np.diff(actions))
        return max(np.diff([-1, *ends, len(actions) - 1])), set(actions.tolist())

    assert longest(training=False) == (100, {0})
    run, used = longest(training=True)
    assert run < 20
    assert used == {0, 1}


def test_random_actions_come_as_often_as_was_asked_in_training_alone():
    for training, expected in ((True, 0.25), (False, 0.0)):
        found = pipeline(Counting(500), num_episodes=1, probability_random_action=0.5)
        with torch.no_grad():
            for weight in found.network.parameters():
                weight.zero_()
            found.network.module.a.bias.fill_(2.0)
            found.network.b.weight.value[0] = 0.1
        found.network.train(training)
        found.run()
        assert abs(np.mean(found.environment.environment.actions) - expected) < 0.1


def test_it_renders_as_often_as_was_asked():
    world = Counting(7)
    pipeline(world, num_episodes=1, render_interval=3).run()
    assert world.shown == 3


def test_the_same_seed_gives_the_same_episodes_each_with_a_seed_of_its_own():
    def seeds(seed):
        world = Counting()
        pipeline(world, num_episodes=3, seed=seed).run()
        return world.seeds

    assert seeds(1) == seeds(1) != seeds(2)
    assert len(set(seeds(1))) == 3


def learn(pipe):
    """A step of Q-learning on a batch of what is remembered."""
    if len(pipe.memory_pool) < 16:
        return
    net, batch = pipe.network, pipe.memory_pool.sample(8)
    with torch.no_grad():
        pipe.encoder(batch.next_states)
        net.run(pipe.time)
        ahead = net.values.predict.amax(1).numpy() * ~batch.ended
    net.learner.optim_zero_grad()
    pipe.encoder(batch.states)
    net.run(pipe.time)
    found = net.values.predict.gather(1, torch.from_numpy(batch.actions)[:, None])[:, 0]
    (found - torch.from_numpy(batch.rewards + 0.9 * ahead)).square().mean().backward()
    net.learner.optim_step()
    net.learner.optim_schedule()


def cartpole(**options):
    settings = {"replay_memory": True, "memory_capacity": 40, "learn": learn, "probability_random_action": 0.2}
    return pipeline("CartPole-v1", epsilon=0.1, **(settings | options))


def end_of(pipe):
    return pipe.reward_list, {n: v.clone() for n, v in pipe.network.state_dict().items()}, pipe.memory_pool.arrays()


def assert_equal(one, other):
    assert one[0] == other[0]
    for a, b in ((one[1], other[1]), (one[2], other[2])):
        assert a.keys() == b.keys()
        for name in a:
            np.testing.assert_array_equal(np.asarray(a[name]), np.asarray(b[name]))


def test_a_pipeline_that_is_resumed_ends_as_one_that_never_stopped(tmp_path):
    whole = cartpole(num_episodes=6)
    whole.run()
    file = tmp_path / "agent.safetensors"
    cartpole(num_episodes=3, checkpoint=file).run()
    resumed = cartpole(num_episodes=6, checkpoint=file, resume=True)
    assert resumed.episode == 3
    resumed.run()
    assert_equal(end_of(whole), end_of(resumed))
    assert resumed.network.learner.optim.param_groups[0]["lr"] == whole.network.learner.optim.param_groups[0]["lr"]


def test_ctrl_c_ends_with_the_episode_and_leaves_a_whole_checkpoint(tmp_path):
    file = tmp_path / "agent.safetensors"

    def interrupting(pipe):
        learn(pipe)
        if pipe.episode == 2 and pipe.step_count == 3:
            os.kill(os.getpid(), signal.SIGINT)

    stopped = cartpole(num_episodes=5, checkpoint=file, learn=interrupting)
    with pytest.raises(Interrupted, match=r"stopped after 3 episodes; go on from .*agent\.safetensors"):
        stopped.run()
    resumed, whole = cartpole(num_episodes=5, checkpoint=file, resume=True), cartpole(num_episodes=5)
    resumed.run()
    whole.run()
    assert_equal(end_of(whole), end_of(resumed))


def changed(file, tensors=None, **values):
    from safetensors import safe_open

    with safe_open(file, "pt") as opened:
        meta = json.loads(opened.metadata()["spikeloom"])
    broken = file.with_name("broken.safetensors")
    save_file(load_file(file) | (tensors or {}), broken, {"spikeloom": json.dumps(meta | values)})
    return broken


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("sessions") / "agent.safetensors"
    cartpole(num_episodes=2, checkpoint=path).run()
    return path


@pytest.mark.parametrize(
    ("tensors", "values", "text"),
    [
        ({}, {"format": "other"}, "no checkpoint of a pipeline"),
        ({}, {"version": 2}, "version is 2"),
        (
            {},
            {"settings": {"environment": "FrozenLake-v1"}},
            "environment is 'FrozenLake-v1', here it is 'CartPole-v1'",
        ),
        ({}, {"rewards": ["a"]}, "rewards must be a list of numbers"),
        ({}, {"generators": [{}, {}]}, "does not fit this pipeline"),
        ({}, {"generators": []}, "does not fit this pipeline"),
        ({}, {"epsilon": {}}, "epsilon are of nothing"),
        ({}, {"epsilon": {"action": 7}}, "must be a probability, got 7"),
        ({}, {"optimizers": {"learner": {"groups": 3, "schedule": {}}}}, "groups must be a list of 1"),
        ({}, {"more": 1}, "unknown entry 'more'"),
        ({"network.a.weight": torch.zeros(3)}, {}, "a.weight"),
        ({"network.new": torch.zeros(3)}, {}, "new"),
        ({"memory.next": torch.tensor([99])}, {}, "do not fit a capacity of 40"),
        ({"memory.more": torch.zeros(3)}, {}, "ReplayMemory: needs"),
        ({"optimizer.learner.0.exp_avg": torch.zeros(3)}, {}, "does not fit that parameter"),
        ({"optimizer.learner.9.exp_avg": torch.zeros(3)}, {}, "does not fit that parameter"),
        ({"optimizer.x": torch.zeros(3)}, {}, "does not fit this pipeline"),
        ({"else.x": torch.zeros(3)}, {}, "'else.x', which is no part"),
    ],
)
def test_a_file_that_does_not_fit_changes_nothing(file, tensors, values, text):
    pipe = cartpole(num_episodes=1)
    pipe.run()
    before = end_of(pipe)
    with pytest.raises(DataError, match=text) as raised:
        pipe.load(changed(file, tensors, **values))
    assert "broken.safetensors" in str(raised.value)
    assert_equal(before, end_of(pipe))


@pytest.mark.parametrize("cut", [0, 7, 100, -1])
def test_a_torn_file_is_told(file, cut):
    torn = file.with_name("torn.safetensors")
    torn.write_bytes(file.read_bytes()[:cut])
    with pytest.raises(DataError, match=r"torn\.safetensors: it is torn"):
        cartpole(num_episodes=1).load(torn)


def test_a_file_that_is_not_there_is_told(tmp_path):
    with pytest.raises(StorageError, match="there is no such file"):
        cartpole(num_episodes=1, checkpoint=tmp_path / "x", resume=True)


def without(*names):
    net = network(5)
    for name in names:
        delattr(net, name)
    return net


@pytest.mark.parametrize(
    ("net", "options", "error", "text"),
    [
        (lambda: network(4), {}, ShapeError, "encoder 'seen' has 4 inputs, an observation of Counting has 5 numbers"),
        (lambda: without("action", "values"), {}, StateError, r"one Action \(or one decoder\).*found none"),
        (lambda: network(5, num=1, coding_method="pop_rate_action"), {}, ShapeError, "gives 1 actions, Counting has 2"),
        (lambda: "net", {}, ParameterError, "takes a Network and a GymEnvironment, got str"),
        (lambda: network(5), {"num_episodes": 0}, ParameterError, "num_episodes must be a whole number"),
        (lambda: network(5), {"reward_delay": 0}, ParameterError, "reward_delay must be a whole number"),
        (lambda: network(5), {"probability_random_action": 2}, ParameterError, "from 0 to 1, got 2"),
        (lambda: network(5), {"memory": 3}, ParameterError, "did you mean 'replay_memory'|did you mean"),
        (lambda: network(5), {"resume": True}, ParameterError, "give checkpoint="),
    ],
)
def test_a_wrong_pipeline_is_refused(net, options, error, text):
    with pytest.raises(error, match=text):
        pipeline(Counting(), net=net(), **options)


def test_a_step_needs_an_episode():
    with pytest.raises(StateError, match="call reset_pipeline"):
        pipeline(Counting()).env_step()


class Cues(gymnasium.Env):
    """Shows one of two cues; the action of its number gives 1, the other -1, and ends it."""

    observation_space = gymnasium.spaces.Discrete(3)
    action_space = gymnasium.spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.cue = int(self.np_random.integers(2))
        return self.cue, {}

    def step(self, action):
        return 2, 1.0 if action == self.cue else -1.0, True, False, {}


def agent(lr):
    """Two populations that inhibit each other; what they did is rewarded in the run that follows."""
    net = sl.Network("cues")
    with net:
        net.cue = sl.Encoder(3, coding_method="poisson", unit_conversion=0.5)
        net.out = sl.NeuronGroup(10, model="lif", tau_m=10.0)
        net.a = sl.Connection(net.cue, net.out, link_type="full", w_mean=0.35, w_std=0.01, w_min=0.0, w_max=1.0)
        others = -np.kron(1 - np.eye(2), np.ones((5, 5)))
        net.b = sl.Connection(net.out, net.out, link_type="full", weight=others, is_parameter=False)
        net.action = sl.Action(num=2, dec_target=net.out, coding_method="pop_rate_action")
        net.reward = sl.Reward(coding_method="environment_reward")
        net.learner = sl.Learner(
            trainable=net.a, algorithm="RSTDPET", lr=lr, batch="sequential", modulator=net.reward, a_minus=0.0
        )
    net.set_backend(sl.TorchBackend(dt=1.0))
    net.set_random_seed(0)
    return net


def test_an_agent_learns_by_what_its_environment_gives_and_not_without():
    """Its synapses remember what they did until the reward comes (keep_state)."""

    def late(lr):
        pipe = sl.RLPipeline(agent(lr), sl.GymEnvironment(Cues()), 25.0, 120, keep_state=True, progress=False)
        return np.mean(pipe.run()[-40:])

    assert late(0.02) > 0.7
    assert abs(late(0.0)) < 0.5
