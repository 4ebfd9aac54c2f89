"""The loop between a network and an environment."""

from __future__ import annotations

import time as clock
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import ParameterError, ShapeError, StateError
from ...network import Action, Decoder, Encoder, Network, Reward
from ...neurons.surrogates import is_number
from ...registry import takes_only_its_own
from ...units import check_dt
from ..fit import Interrupted
from ..interrupt import StopRequest
from ..progress import Bar
from .environment import GymEnvironment, is_whole
from .replay_memory import ReplayMemory
from .session import Session, load_session, save_session

State = NDArray[np.float32]


class RLPipeline:
    """`RLPipeline(net, environment, time=8.0).run()`: a network acts in an environment, episode after episode.

    network: with one encoder, which is shown each observation for `time` ms, and one Action (or a Decoder, of which the
    greatest answer counts). Before each run every 'environment_reward' of the network gets the reward of the step
    before, 0 at first; the last one of an episode comes in a run of its own. num_episodes: how many in all.
    action_repeat: how many times in a row the same action may be chosen, then it is one at random; None: any.
    probability_random_action: of an action at random. Both hold while the network is in training, as does `learn`,
    which is called with the pipeline after each step. render_interval: every how many steps the environment is
    rendered. reward_delay: how many steps a reward is under way; what is so at the end of an episode comes with its
    last step. replay_memory: keeps the last memory_capacity transitions in `memory_pool`. keep_state: within an episode
    the network goes on where the last run ended, with its traces, instead of from rest. seed: of environment, random
    actions and memory (default: that of the network); the same seed gives the same episodes.

    checkpoint: a file written at the end of an episode, at most every checkpoint_seconds, and when Ctrl-C has asked to
    stop, which `run` does at the end of the episode (a second Ctrl-C at once); resume=True goes on from it as if
    nothing had happened, with the generator of torch too. What `learn` keeps for itself is not in it.
    """

    @takes_only_its_own("training option")
    def __init__(
        self,
        network: Network,
        environment: GymEnvironment,
        time: float,
        num_episodes: int = 100,
        action_repeat: int | None = None,
        probability_random_action: float = 0.0,
        render_interval: int | None = None,
        reward_delay: int | None = None,
        replay_memory: bool = False,
        memory_capacity: int = 10_000,
        *,
        keep_state: bool = False,
        learn: Callable[[RLPipeline], object] | None = None,
        checkpoint: str | Path | None = None,
        checkpoint_seconds: float = 30.0,
        resume: bool = False,
        progress: bool = True,
        seed: int | None = None,
    ) -> None:
        self.network, self.environment, self.time = network, environment, check_dt(time, "RLPipeline.time")
        self.num_episodes, kept = _count("num_episodes", num_episodes), _count("memory_capacity", memory_capacity)
        self.action_repeat, self.render_interval, self.reward_delay = (
            None if value is None else _count(name, value)
            for name, value in (
                ("action_repeat", action_repeat), ("render_interval", render_interval), ("reward_delay", reward_delay)
            )
        )  # fmt: skip
        self.probability_random_action, self.keep_state = _probability(probability_random_action), keep_state
        self.learn, self._shown, self.reward_list = _function(learn), progress, list[float]()
        self.encoder, self.chooser = _ends(network, environment)
        self.seed = network.seed if seed is None else int(_known("seed", seed, is_whole, "a whole number from 0 on"))
        self.generator = np.random.default_rng([self.seed, 1])
        self.memory_pool = ReplayMemory(kept, self.generator) if replay_memory else None
        self.checkpoint, self.checkpoint_seconds = _place(checkpoint), _seconds(checkpoint_seconds)
        self._begin()
        if resume:
            self.load(self._file())

    def _begin(self) -> None:
        self.accumulated_reward, self.step_count, self.action, self.action_repeat_count = 0.0, 0, -1, 0
        self.state: State | None = None
        self._under_way = deque([0.0] * (self.reward_delay or 0))

    @property
    def episode(self) -> int:
        """How many episodes are done."""
        return len(self.reward_list)

    def run(self) -> list[float]:
        """Plays what is left of num_episodes and returns the sum of rewards of each episode so far.

        Raises Interrupted when Ctrl-C has asked to stop.
        """
        written = clock.monotonic()
        with StopRequest() as stop, Bar("episodes", self.num_episodes, done=self.episode, shown=self._shown) as bar:
            while self.episode < self.num_episodes:
                self._play()
                recent = self.reward_list[-100:]
                bar.step(reward=recent[-1], mean_of_100=sum(recent) / len(recent))
                late = clock.monotonic() - written >= self.checkpoint_seconds
                if self.checkpoint is not None and (late or stop.requested or self.episode == self.num_episodes):
                    self.save(self.checkpoint)
                    written = clock.monotonic()
                if stop.requested:
                    kept = "there is no checkpoint" if self.checkpoint is None else f"go on from {self.checkpoint}"
                    raise Interrupted(f"stopped after {self.episode} episodes; {kept}")
        return list(self.reward_list)

    def _play(self) -> None:
        """One episode."""
        self.reset_pipeline()
        done = False
        while not done:
            step = self.env_step()
            self.update_step(step)
            done = step[2]

    def reset_pipeline(self) -> None:
        """Begins an episode: the network is shown the first observation."""
        self._begin()
        words = np.random.SeedSequence([self.seed, 2, self.episode]).generate_state(1)
        self.state = self.environment.reset(int(words[0]))
        self._show(self.state, 0.0, first=True)

    def env_step(self) -> tuple[State | None, float, bool]:
        """One step of the environment with the action of the network: next state (None at the end), reward, done."""
        if self.state is None:
            raise StateError("RLPipeline.env_step: no episode is under way; call reset_pipeline() first")
        if self.render_interval is not None and self.step_count % self.render_interval == 0:
            self.environment.render()
        chosen = self._chosen()
        self.action_repeat_count = self.action_repeat_count + 1 if chosen == self.action else 1
        self.action = chosen
        found = self.environment.step(chosen)
        done = found.terminated or found.truncated
        self._under_way.append(found.reward)
        reward = self._under_way.popleft() + (sum(self._under_way) if done else 0.0)
        self.accumulated_reward += reward
        if self.memory_pool is not None:
            self.memory_pool.push(self.state, chosen, None if found.terminated else found.observation, reward)
        self._last, self.state = found.observation, None if done else found.observation
        self.step_count += 1
        return self.state, reward, done

    def update_step(self, step: tuple[State | None, float, bool]) -> None:
        """Shows the network what came of `env_step`, with its reward, and calls `learn`."""
        next_state, reward, done = step
        if next_state is not None or self._rewards():
            self._show(self._last if next_state is None else next_state, reward, first=False)
        if self.learn is not None and self.network.training:
            self.learn(self)
        if done:
            self.reward_list.append(self.accumulated_reward)

    def _rewards(self) -> list[Reward]:
        return [reward for reward in self.network.running(Reward) if reward.given_whole]

    def _show(self, state: State, reward: float, *, first: bool) -> None:
        for node in self._rewards():
            node(reward)
        self.encoder(state[None])
        (self.network.run_continue if self.keep_state and not first else self.network.run)(self.time)

    def _chosen(self) -> int:
        """The action of the network, or one at random."""
        n, training = self.environment.action_num, self.network.training
        if training and self.generator.random() < self.probability_random_action:
            return int(self.generator.integers(n))
        answer = self.chooser.predict
        chosen = int(answer[0] if isinstance(self.chooser, Action) else answer[0].argmax())
        often = self.action_repeat is not None and chosen == self.action
        if training and often and self.action_repeat_count >= (self.action_repeat or 0):
            return int(self.generator.integers(n))
        return chosen

    def save(self, path: str | Path) -> None:
        """Writes what `load` goes on from, between episodes: parameters, optimizers, generators, memory, rewards."""
        save_session(Path(path), self._session())

    def load(self, path: str | Path) -> None:
        """Goes on from where a file was written; DataError, and no change, where it is torn or of another pipeline."""
        load_session(Path(path), self._session())
        self._begin()

    def _session(self) -> Session:
        settings = {
            "environment": self.environment.name, "time": float(self.time), "dt": float(self.network.backend.dt),
            "memory": None if self.memory_pool is None else self.memory_pool.capacity, "keep_state": self.keep_state,
            "reward_delay": self.reward_delay, "seed": self.seed, "observation": list(self.environment.shape),
            "actions": self.environment.action_num, "clip_rewards": self.environment.clip_rewards,
        }  # fmt: skip
        return Session(self.network, self.generator, self.memory_pool, self.reward_list, settings)

    def _file(self) -> Path:
        if self.checkpoint is None:
            raise ParameterError("RLPipeline: give checkpoint=, the file to resume from")
        return self.checkpoint


def _ends(network: Any, environment: Any) -> tuple[Encoder, Action | Decoder]:
    """What shows the network an observation and what chooses its action; StateError and ShapeError where they do not
    fit the environment."""
    if not isinstance(network, Network) or not isinstance(environment, GymEnvironment):
        raise ParameterError(
            "RLPipeline takes a Network and a GymEnvironment, got "
            f"{type(network).__name__} and {type(environment).__name__}"
        )
    choosers: list[Action | Decoder] = [*network.running(Action)] or [*network.decoders]
    for kind, found in (("encoder", network.encoders), ("Action (or one decoder)", choosers)):
        if len(found) != 1:
            names = ", ".join(c.path for c in found) or "none"
            raise StateError(f"RLPipeline needs one {kind} in the network, found {names}")
    encoder, chooser = network.encoders[0], choosers[0]
    if encoder.num != environment.num:
        raise ShapeError(
            f"encoder {encoder.path!r} has {encoder.num} inputs, an observation of {environment.name} has "
            f"{environment.num} numbers"
        )
    if chooser.num != environment.action_num:
        raise ShapeError(
            f"{chooser.kind} {chooser.path!r} gives {chooser.num} actions, {environment.name} has "
            f"{environment.action_num}"
        )
    return encoder, chooser


def _place(given: Any) -> Path | None:
    """The path of a checkpoint, in a folder that is there, so that hours of play do not end in an error."""
    if given is None:
        return None
    if not isinstance(given, (str, Path)):
        raise ParameterError(f"RLPipeline.checkpoint must be a path, got {given!r}")
    place = Path(given)
    if place.is_dir() or not place.parent.is_dir():
        what = f"{place} is a folder" if place.is_dir() else f"there is no folder {place.parent}"
        raise ParameterError(f"RLPipeline.checkpoint must be a file in a folder that is there; {what}")
    return place


def _known(name: str, value: Any, holds: Callable[[Any], object], what: str) -> Any:
    if not holds(value):
        raise ParameterError(f"RLPipeline.{name} must be {what}, got {value!r:.80}")
    return value


def _count(name: str, value: Any) -> int:
    return int(_known(name, value, lambda n: is_whole(n, 1), "a whole number from 1 on"))


def _function(value: Callable[[RLPipeline], object] | None) -> Callable[[RLPipeline], object] | None:
    return value if value is None else _known("learn", value, callable, "a function of the pipeline")


def _seconds(value: Any) -> float:
    return float(_known("checkpoint_seconds", value, lambda s: is_number(s) and s >= 0, "a number from 0 on"))


def _probability(value: Any) -> float:
    return float(_known("probability_random_action", value, lambda p: is_number(p) and 0 <= p <= 1, "from 0 to 1"))
