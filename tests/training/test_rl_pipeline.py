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


@pytest.mark.parametrize(
    ("optimizer", "schedule", "options"),
    [
        ("SGD", "MultiStepLR", {"milestones": [5, 9, 9, 30]}),
        ("Adafactor", "StepLR", {"step_size": 5}),
        ("NAdam", "OneCycleLR", {"max_lr": 0.1, "total_steps": 1000}),
        ("Adam", "ReduceLROnPlateau", {"patience": 3}),
    ],
)
def test_every_optimizer_and_schedule_goes_on_as_if_it_had_never_stopped(tmp_path, optimizer, schedule, options):
    def made(**more):
        net = network(4, epsilon=0.1)
        net.learner.set_optimizer(optimizer, 0.01)
        net.learner.set_schedule(schedule, **options)

        def taught(pipe):
            if schedule != "ReduceLROnPlateau":
                learn(pipe)
                return
            net.learner.optim_zero_grad()
            pipe.encoder(pipe._last[None])
            net.run(4.0)
            loss = net.values.predict.square().sum()
            loss.backward()
            net.learner.optim_step()
            if pipe.episode:  # until then its best is infinite
                net.learner.optim_schedule(loss.item())

        return pipeline("CartPole-v1", net=net, replay_memory=True, memory_capacity=40, learn=taught, **more)

    file = tmp_path / "agent.safetensors"
    whole, half = made(num_episodes=4), made(num_episodes=1 if "Plateau" in schedule else 2, checkpoint=file)
    whole.run()
    half.run()
    resumed = made(num_episodes=4, checkpoint=file, resume=True)
    resumed.run()
    assert_equal(end_of(whole), end_of(resumed))
    for a, b in zip(whole.network.learner.optim.param_groups, resumed.network.learner.optim.param_groups, strict=True):
        assert a["lr"] == b["lr"]
    assert resumed.network.learner.schedule.state_dict() == whole.network.learner.schedule.state_dict()


def test_what_torch_modules_draw_goes_on_too(tmp_path):
    def made(**more):
        net = network(4)
        with net:
            net.drop = sl.Module(torch.nn.Dropout(0.5), input_targets=net.seen, shape=(4,))
            net.c = sl.Connection(net.drop, net.out, link_type="full", w_mean=0.0, w_std=3.0)
        return pipeline("CartPole-v1", net=net, replay_memory=True, memory_capacity=100, **more)

    file = tmp_path / "agent.safetensors"
    torch.manual_seed(0)
    whole = made(num_episodes=4)
    whole.run()
    torch.manual_seed(0)
    made(num_episodes=2, checkpoint=file).run()
    torch.rand(3)
    resumed = made(num_episodes=4, checkpoint=file, resume=True)
    resumed.run()
    assert_equal(end_of(whole), end_of(resumed))


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"clip_rewards": True}, "clip_rewards is False, here it is True"),
        ({"shape": (2, 2), "flatten": False}, r"observation is \[4\], here it is \[2, 2\]"),
    ],
)
def test_another_view_of_the_environment_is_not_gone_on_with(file, options, text):
    world = sl.GymEnvironment("CartPole-v1", **({"clip_rewards": False} | options))
    net = network(4, epsilon=0.1)
    with pytest.raises(DataError, match=text):
        sl.RLPipeline(net, world, 4.0, replay_memory=True, memory_capacity=40, checkpoint=file, resume=True)


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
    if isinstance(values.get("optimizers"), tuple):
        part, name, value = values.pop("optimizers")
        kept = meta["optimizers"]["learner"][part]
        (kept[0] if part == "groups" else kept)[name] = value
    if values.get("generators") == "negative":
        meta["generators"][0]["state"]["state"], _ = -1, values.pop("generators")
    arrays = load_file(file)
    n = len(arrays["memory.actions"])
    wrong = {"actions": torch.full((n,), 99), "states": torch.zeros(n, 10**4), "nan": torch.full((n,), torch.nan)}
    for name, value in (tensors or {}).items():
        arrays[name] = wrong[value].clone() if isinstance(value, str) else value
    broken = file.with_name("broken.safetensors")
    arrays = {name: value for name, value in arrays.items() if value is not None}
    save_file(arrays, broken, {"spikeloom": json.dumps(meta | values)})
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
        ({}, {"generators": "negative"}, "does not fit this pipeline"),
        ({}, {"optimizers": ("groups", "lr", float("nan"))}, "lr"),
        ({}, {"optimizers": ("groups", "lr", -1.0)}, "groups.0.lr"),
        ({}, {"optimizers": ("groups", "lr", float("inf"))}, "groups.0.lr"),
        ({}, {"optimizers": ("groups", "lr", "inf")}, "groups.0.lr"),
        ({"optimizer.learner.0.exp_avg": torch.full((16, 4), float("nan"))}, {}, "exp_avg.*holds NaN"),
        ({"memory.rewards": "nan"}, {}, "memory.rewards.*holds NaN"),
        ({}, {"optimizers": ("groups", "params", [0, 0, 0])}, "groups.0.params.1 is 0, here it is 1"),
        ({}, {"optimizers": ("groups", "amsgrad", True)}, "groups.0.amsgrad is True, here it is False"),
        ({}, {"optimizers": ("schedule", "step_size", 0)}, "schedule.step_size is 0, here it is 50"),
        ({"memory.actions": "actions"}, {}, "actions must be from 0 to 1"),
        ({"memory.states": "states", "memory.next_states": "states"}, {}, r"states must be of shape \(n, 4\)"),
        ({"optimizer.learner.0.exp_avg": torch.zeros(16, 4, dtype=torch.int64)}, {}, "does not fit that parameter"),
        ({"optimizer.learner.0.exp_avg": None}, {}, "does not fit that parameter"),
        ({"optimizer.learner.0.more": torch.zeros(())}, {}, "does not fit that parameter"),
        ({"optimizer.ghost.0.step": torch.zeros(())}, {}, "no learner 'ghost'"),
        ({"random.torch": torch.zeros(8, dtype=torch.uint8)}, {}, "does not fit this pipeline"),
        ({"random.torch": None}, {}, "does not fit this pipeline"),
        ({"random.other": torch.zeros(3)}, {}, "'random.other', which is no part"),
        ({"network.a.weight": torch.zeros(16, 4).to(torch.float8_e4m3fn)}, {}, "network.a.weight.*got F8_E4M3"),
        ({"memory.actions": torch.zeros(3, dtype=torch.complex64)}, {}, "memory.actions' must be of I64, got C64"),
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
        (lambda: network(5), {"seed": -1}, ParameterError, "seed must be a whole number from 0 on"),
        (lambda: network(5), {"seed": "a"}, ParameterError, "seed must be a whole number from 0 on"),
        (lambda: network(5), {"learn": 3}, ParameterError, "learn must be a function"),
        (lambda: network(5), {"checkpoint": 3}, ParameterError, "checkpoint must be a path"),
        (
            lambda: network(5),
            {"checkpoint": "/no/such/folder/agent"},
            ParameterError,
            "there is no folder /no/such/folder",
        ),
        (lambda: network(5), {"checkpoint": "/"}, ParameterError, "is a folder"),
        (lambda: network(5), {"checkpoint_seconds": -1}, ParameterError, "checkpoint_seconds must be"),
        (lambda: network(5), {"checkpoint_seconds": "a"}, ParameterError, "checkpoint_seconds must be"),
        (lambda: network(5), {"memory_capacity": 0}, ParameterError, "memory_capacity must be a whole number"),
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
