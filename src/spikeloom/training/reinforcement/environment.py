"""Environments of Gymnasium with observations as an encoder takes them."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import adaptive_avg_pool2d

from ...errors import DataError, ParameterError, ShapeError, StateError, UnsupportedError
from ...neurons.surrogates import is_number

_LUMINANCE = np.array([0.299, 0.587, 0.114])
"""How bright red, green and blue are (ITU-R BT.601)."""


class Step(NamedTuple):
    """What a step of an environment gave, in the order of Gymnasium."""

    observation: NDArray[np.float32]
    reward: float
    terminated: bool
    truncated: bool
    info: dict[str, Any]


class GymEnvironment:
    """`GymEnvironment('CartPole-v1')`: an environment of Gymnasium with discrete actions.

    name: what `gymnasium.make` takes, with its options beside it (render_mode, ...), or an environment that is made.
    Observations are float32 arrays: numbers as they are, a discrete one as one-hot vector, images (uint8) as values
    from 0 to max_prob. gray: colour images become gray. shape: that of an observation; an image is averaged down to
    (height, width). binary: pixels above half become max_prob, others 0. flatten: one axis. clip_rewards: rewards
    become -1, 0 or 1. Needs the package gymnasium: pip install 'spikeloom[rl]'.
    """

    def __init__(
        self,
        name: Any,
        shape: tuple[int, ...] | None = None,
        *,
        binary: bool = False,
        gray: bool = True,
        flatten: bool = True,
        max_prob: float = 1.0,
        clip_rewards: bool = True,
        **options: Any,
    ) -> None:
        self.environment = _made(name, options)
        self.name = name if isinstance(name, str) else str(getattr(self.environment.spec, "id", type(name).__name__))
        self.binary, self.gray, self.flatten, self.clip_rewards = binary, gray, flatten, clip_rewards
        owner = f"GymEnvironment {self.name!r}"
        self.max_prob, self._given = max_prob, None if shape is None else _sizes(owner, shape)
        for option in ("binary", "gray", "flatten", "clip_rewards"):
            if not isinstance(getattr(self, option), bool):
                raise ParameterError(f"{owner}.{option} must be True or False, got {getattr(self, option)!r}")
        if not is_number(max_prob) or not 0 < max_prob <= 1:
            raise ParameterError(f"{owner}.max_prob must be above 0 and at most 1, got {max_prob!r}")
        self._check_spaces(owner)
        self.episode_step_count, self._under_way = 0, False

    def _check_spaces(self, owner: str) -> None:
        spaces, space = _gymnasium().spaces, self.environment.observation_space
        self._n_values = int(space.n) if isinstance(space, spaces.Discrete) else 0
        self._image = isinstance(space, spaces.Box) and space.dtype == np.uint8 and len(space.shape) in (2, 3)
        if not isinstance(space, (spaces.Box, spaces.Discrete)):
            raise UnsupportedError(f"{owner}: observations must be numbers or one of so many, got {space}; wrap it")
        if not isinstance(self.environment.action_space, spaces.Discrete):
            raise UnsupportedError(
                f"{owner}: actions must be one of so many (Discrete), got {self.environment.action_space}; wrap it"
            )
        if not self._image and (self.binary or self.max_prob != 1.0):
            raise ParameterError(
                f"{owner}: binary and max_prob are for images, its observations are {space}; omit them"
            )
        if self._image and self._given is not None and len(self._given) != 2:
            raise ShapeError(f"{owner}.shape must be (height, width) for images, got {self._given}")
        if self._image and self._given is not None and any(map(int.__gt__, self._given, space.shape)):
            raise ShapeError(f"{owner}.shape must be at most that of an image, {space.shape[:2]}, got {self._given}")
        seen = np.zeros((self._n_values,) if self._n_values else space.shape)
        if not self._image and self._given is not None and math.prod(self._given) != seen.size:
            raise ShapeError(f"{owner}.shape {self._given} has not the {seen.size} numbers of an observation; omit it")
        self._first_action = int(self.environment.action_space.start)
        self.shape = self._seen(0 if self._n_values else seen.astype(space.dtype)).shape

    @property
    def action_num(self) -> int:
        """How many actions there are."""
        return int(self.environment.action_space.n)

    @property
    def num(self) -> int:
        """How many numbers an observation has: that of an encoder."""
        return math.prod(self.shape)

    def reset(self, seed: int | None = None) -> NDArray[np.float32]:
        """The first observation of an episode; seed: of all that is random in it."""
        if seed is not None and not is_whole(seed):
            raise ParameterError(f"{self.name}: seed must be a whole number from 0 on, got {seed!r}")
        observation, _ = self.environment.reset(seed=seed)
        self.episode_step_count, self._under_way = 0, True
        return self._seen(observation)

    def step(self, action: int) -> Step:
        """What an action, 0 to action_num - 1, brings; StateError before the first reset and after the end."""
        if not is_whole(action) or action >= self.action_num:
            raise ParameterError(f"{self.name}: an action must be from 0 to {self.action_num - 1}, got {action!r}")
        if not self._under_way:
            raise StateError(f"{self.name}: no episode is under way; call reset() first")
        observation, reward, terminated, truncated, info = self.environment.step(int(action) + self._first_action)
        self.episode_step_count += 1
        self._under_way = not (terminated or truncated)
        given, reward = reward, float(np.sign(reward)) if self.clip_rewards else float(reward)
        if not math.isfinite(reward):
            raise DataError(f"{self.name} gave the reward {given}, which is no finite number")
        return Step(self._seen(observation), reward, bool(terminated), bool(truncated), info)

    def render(self) -> Any:
        """What its render_mode shows."""
        return self.environment.render()

    def close(self) -> None:
        """Ends it."""
        self.environment.close()

    def _seen(self, observation: Any) -> NDArray[np.float32]:
        """The observation as an encoder takes it."""
        if self._n_values:
            seen = np.zeros(self._n_values, np.float32)
            seen[int(observation) - int(self.environment.observation_space.start)] = 1.0
        else:
            seen = np.asarray(observation, np.float32)
        seen = self._picture(seen) if self._image else seen if self._given is None else seen.reshape(self._given)
        return seen.reshape(-1) if self.flatten else seen

    def _picture(self, seen: NDArray[np.float32]) -> NDArray[np.float32]:
        """The image from 0 to max_prob, (H, W) or (H, W, C)."""
        seen = seen / np.float32(255)
        if self.gray and seen.ndim == 3 and seen.shape[2] == 3:
            seen = (seen @ _LUMINANCE).astype(np.float32)
        if self._given is not None:
            height, width = self._given
            planes = torch.from_numpy(seen if seen.ndim == 3 else seen[:, :, None]).permute(2, 0, 1)
            smaller = adaptive_avg_pool2d(planes, (height, width)).permute(1, 2, 0).numpy()
            seen = smaller.reshape(height, width, *seen.shape[2:])
        if self.binary:
            seen = (seen > 0.5).astype(np.float32)
        return seen * np.float32(self.max_prob)


def is_whole(value: Any, least: int = 0) -> bool:
    """Whether it is a whole number, of NumPy too, of at least so much."""
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool) and bool(value >= least)


def _sizes(owner: str, shape: Any) -> tuple[int, ...]:
    if not isinstance(shape, (tuple, list)) or not shape or not all(is_whole(n, 1) for n in shape):
        raise ShapeError(f"{owner}.shape must be whole numbers from 1 on, such as (84, 84), got {shape!r}")
    return tuple(int(n) for n in shape)


def _gymnasium() -> Any:
    try:
        import gymnasium
    except ImportError as error:
        raise UnsupportedError(
            "environments are those of the package gymnasium: pip install 'spikeloom[rl]'"
        ) from error
    return gymnasium


def _made(name: Any, options: dict[str, Any]) -> Any:
    """The environment of a name, or the one that is given."""
    gymnasium = _gymnasium()
    if isinstance(name, gymnasium.Env):
        if options:
            raise ParameterError(f"GymEnvironment: {', '.join(options)} are for an environment given by its name")
        return name
    if not isinstance(name, str):
        raise ParameterError(f"GymEnvironment: name must be a text such as 'CartPole-v1', got {type(name).__name__}")
    try:
        return gymnasium.make(name, **options)
    except (gymnasium.error.Error, ImportError, TypeError, ValueError) as error:
        raise ParameterError(f"GymEnvironment {name!r}: {error}") from error
