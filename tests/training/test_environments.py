"""Environments and the memory: Gymnasium itself and small ones of our own as the truth."""

import builtins

import numpy as np
import pytest

gymnasium = pytest.importorskip("gymnasium", reason="the extra rl")

import spikeloom as sl  # noqa: E402
from spikeloom.errors import DataError, ParameterError, ShapeError, StateError, UnsupportedError  # noqa: E402


class Picture(gymnasium.Env):
    """Shows one image all the time and gives 7 for an action."""

    observation_space = gymnasium.spaces.Box(0, 255, (4, 4, 3), np.uint8)
    action_space = gymnasium.spaces.Discrete(2, start=3)

    def __init__(self):
        self.image = np.random.default_rng(0).integers(256, size=(4, 4, 3), dtype=np.uint8)
        self.taken = []

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return self.image, {}

    def step(self, action):
        self.taken.append(action)
        return self.image, -7.0, False, False, {}


def test_numbers_and_rewards_are_those_of_gymnasium():
    ours, theirs = sl.GymEnvironment("CartPole-v1", clip_rewards=False), gymnasium.make("CartPole-v1")
    np.testing.assert_array_equal(ours.reset(seed=5), theirs.reset(seed=5)[0])
    assert (ours.num, ours.shape, ours.action_num, ours.name) == (4, (4,), 2, "CartPole-v1")
    for action in [0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1]:
        found, expected = ours.step(action), theirs.step(action)
        np.testing.assert_array_equal(found.observation, expected[0])
        assert found[1:4] == expected[1:4]
    assert found.terminated
    assert ours.episode_step_count == 11


def test_a_discrete_observation_is_a_one_hot_vector():
    world = sl.GymEnvironment("FrozenLake-v1", is_slippery=False)
    assert world.reset(seed=0).tolist() == np.eye(16)[0].tolist()
    assert world.step(2).observation.tolist() == np.eye(16)[1].tolist()
    assert sl.GymEnvironment("FrozenLake-v1", (4, 4), flatten=False).reset(0).shape == (4, 4)


def test_an_image_becomes_gray_small_and_as_bright_as_was_asked():
    image = Picture().image / 255
    gray = image @ [0.299, 0.587, 0.114]
    np.testing.assert_allclose(sl.GymEnvironment(Picture()).reset(), gray.ravel(), rtol=1e-5)
    found = sl.GymEnvironment(Picture(), gray=False, flatten=False, max_prob=0.5).reset()
    np.testing.assert_allclose(found, image * 0.5, rtol=1e-5)
    small = gray.reshape(2, 2, 2, 2).mean((1, 3))
    np.testing.assert_allclose(sl.GymEnvironment(Picture(), (2, 2), flatten=False).reset(), small, rtol=1e-5)
    found = sl.GymEnvironment(Picture(), binary=True, max_prob=0.25).reset()
    np.testing.assert_array_equal(found, 0.25 * (gray.ravel() > 0.5))


def test_rewards_are_clipped_and_actions_are_counted_from_0():
    world = Picture()
    for clip, action, reward in ((True, 1, -1.0), (False, 0, -7.0)):
        clipped = sl.GymEnvironment(world, clip_rewards=clip)
        clipped.reset()
        assert clipped.step(action).reward == reward
    assert world.taken == [4, 3]


@pytest.mark.parametrize(
    ("name", "options", "error", "text"),
    [
        ("CartPol-v1", {}, ParameterError, "CartPol"),
        ("CartPole-v1", {"no_such": 1}, ParameterError, "no_such"),
        (3, {}, ParameterError, "must be a text"),
        ("Pendulum-v1", {}, UnsupportedError, "actions must be one of so many"),
        ("Blackjack-v1", {}, UnsupportedError, "observations must be numbers"),
        ("CartPole-v1", {"binary": True}, ParameterError, "for images"),
        ("CartPole-v1", {"shape": (3,)}, ShapeError, "not the 4 numbers"),
        ("CartPole-v1", {"shape": (-2, -2)}, ShapeError, "whole numbers from 1 on"),
        (Picture(), {"shape": (0, 4)}, ShapeError, "whole numbers from 1 on"),
        (Picture(), {"shape": (2.5, 4)}, ShapeError, "whole numbers from 1 on"),
        (Picture(), {"shape": "ab"}, ShapeError, "whole numbers from 1 on"),
        (Picture(), {"shape": 4}, ShapeError, "whole numbers from 1 on"),
        (Picture(), {"shape": (10**6, 10**6)}, ShapeError, r"at most that of an image, \(4, 4\)"),
        ("no_such_module:World-v0", {}, ParameterError, "no_such_module"),
        ("CartPole-v1", {"max_prob": 0}, ParameterError, "above 0 and at most 1"),
        ("CartPole-v1", {"flatten": 1}, ParameterError, "True or False"),
    ],
)
def test_a_wrong_environment_is_refused(name, options, error, text):
    with pytest.raises(error, match=text):
        sl.GymEnvironment(name, **options)


def test_an_action_that_is_not_there_is_refused():
    world = sl.GymEnvironment("CartPole-v1")
    world.reset(0)
    with pytest.raises(ParameterError, match="from 0 to 1, got 2"):
        world.step(2)


@pytest.mark.parametrize("action", [0.7, float("nan"), "a", None])
def test_an_action_is_a_whole_number(action):
    world = sl.GymEnvironment("CartPole-v1")
    world.reset(0)
    with pytest.raises(ParameterError, match="from 0 to 1"):
        world.step(action)


@pytest.mark.parametrize("seed", [-1, 0.5, "a"])
def test_a_seed_is_a_whole_number(seed):
    with pytest.raises(ParameterError, match="seed must be a whole number from 0 on"):
        sl.GymEnvironment("CartPole-v1").reset(seed)


def test_a_step_comes_between_the_reset_and_the_end():
    world = sl.GymEnvironment("CartPole-v1")
    with pytest.raises(StateError, match="call reset"):
        world.step(0)
    world.reset(0)
    while not world.step(0).terminated:
        pass
    with pytest.raises(StateError, match="call reset"):
        world.step(0)


@pytest.mark.parametrize(("reward", "clip"), [(np.nan, True), (np.nan, False), (np.inf, False)])
def test_a_reward_that_is_no_number_is_told(monkeypatch, reward, clip):
    monkeypatch.setattr(Picture, "step", lambda self, action: (self.image, reward, False, False, {}))
    world = sl.GymEnvironment(Picture(), clip_rewards=clip)
    world.reset()
    with pytest.raises(DataError, match="gave the reward"):
        world.step(0)


def test_without_gymnasium_the_error_names_the_extra(monkeypatch):
    there = builtins.__import__

    def gone(name, *more, **named):
        if name == "gymnasium":
            raise ImportError(name)
        return there(name, *more, **named)

    monkeypatch.setattr(builtins, "__import__", gone)
    with pytest.raises(UnsupportedError, match=r"pip install 'spikeloom\[rl\]'"):
        sl.GymEnvironment("CartPole-v1")


def filled(n, capacity=5):
    memory = sl.ReplayMemory(capacity, np.random.default_rng(0))
    for k in range(n):
        memory.push(np.full(2, k, np.float32), k % 3, None if k % 4 == 3 else np.full(2, k + 1, np.float32), k / 2)
    return memory


def test_a_memory_keeps_the_last_transitions_whole():
    memory = filled(8)
    found = memory.sample(5)
    assert sorted(found.states[:, 0]) == [3, 4, 5, 6, 7]
    for state, action, after, reward, ended in zip(*found, strict=True):
        k = int(state[0])
        assert (action, reward, ended) == (k % 3, k / 2, k % 4 == 3)
        assert after.tolist() == ([0, 0] if ended else [k + 1, k + 1])
    assert len(memory) == 5


def test_every_transition_is_drawn_equally_often():
    memory = filled(7, capacity=20)
    drawn = np.concatenate([memory.sample(3).states[:, 0] for _ in range(3000)])
    counts = np.bincount(drawn.astype(int))
    assert counts.sum() == 9000
    assert abs(counts - 9000 / 7).max() < 5 * np.sqrt(9000 / 7)


def test_a_memory_that_is_loaded_goes_on_as_the_other():
    one = filled(8)
    other = sl.ReplayMemory(5, np.random.default_rng(0))
    other.load(one.arrays())
    for memory in (one, other):
        memory.push(np.zeros(2, np.float32), 0, None, 9.0)
    for a, b in zip(one.sample(4), other.sample(4), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_memory_rounds_nothing_and_keeps_numbers_alone():
    memory = sl.ReplayMemory(3)
    with pytest.raises(ParameterError, match="numbers"):
        memory.push([object()], 0, None, 0.0)
    with pytest.raises(ShapeError):
        memory.push(np.zeros(2), 0, np.zeros(3), 0.0)
    memory.push(np.zeros(3, np.int64), 0, None, 0.0)  # what was refused has left no shape behind
    with pytest.raises(ParameterError, match=r"int64.*float64"):
        memory.push(np.full(3, 0.5), 0, None, 0.0)
    with pytest.raises(ParameterError, match="action"):
        memory.push(np.zeros(3, np.int64), 1.7, None, 0.0)
    assert len(memory) == 1


def test_a_memory_too_large_for_the_machine_says_so():
    with pytest.raises(ParameterError, match="capacity"):
        sl.ReplayMemory(10**15).push(np.zeros(4, np.float32), 0, None, 0.0)


@pytest.mark.parametrize("name", ["actions", "rewards", "ended", "next", "next_states"])
def test_a_memory_loads_no_other_kind_of_numbers(name):
    arrays = filled(4).arrays()
    with pytest.raises(ShapeError, match=name):
        filled(1).load(arrays | {name: arrays[name].astype(np.float16)})


def test_a_memory_refuses_what_does_not_fit():
    memory = filled(2)
    with pytest.raises(StateError, match="holds 2 transitions, 3 cannot be drawn"):
        memory.sample(3)
    with pytest.raises(ShapeError, match=r"states have shape \(2,\), got \(3,\)"):
        memory.push(np.zeros(3), 0, None, 0.0)
    for wrong in (1.0, True, "a"):
        with pytest.raises(ParameterError, match="batch_size must be a whole number"):
            memory.sample(wrong)
    with pytest.raises(ParameterError, match="give generator="):
        sl.ReplayMemory(3).sample(1)
    with pytest.raises(ParameterError, match="from 1 on, got 0"):
        sl.ReplayMemory(0)
    arrays = filled(4).arrays()
    for name, wrong in (("actions", np.zeros(3, np.int64)), ("next", np.array([7])), ("states", np.zeros((4, 3)))):
        with pytest.raises(ShapeError):
            memory.load(arrays | {name: wrong})
    with pytest.raises(ShapeError, match="do not fit a capacity of 3"):
        sl.ReplayMemory(3).load(arrays)
