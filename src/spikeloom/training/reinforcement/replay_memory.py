"""What an agent remembers: the last so many transitions, of which batches are drawn."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...errors import ParameterError, ShapeError, StateError
from ...neurons.surrogates import is_number


class Transitions(NamedTuple):
    """A batch of transitions; a next state that is the end is zeros, with `ended` True."""

    states: NDArray[Any]
    actions: NDArray[np.int64]
    next_states: NDArray[Any]
    rewards: NDArray[np.float32]
    ended: NDArray[np.bool_]


class ReplayMemory:
    """`ReplayMemory(10000, generator)`: the last `capacity` transitions; `sample` draws each of them equally often.

    Its arrays are made at the first `push`, for all it may ever hold, in the shape and type of the state given there.
    """

    def __init__(self, capacity: int = 10_000, generator: np.random.Generator | None = None) -> None:
        if not isinstance(capacity, int) or isinstance(capacity, bool) or capacity < 1:
            raise ParameterError(f"ReplayMemory.capacity must be a whole number from 1 on, got {capacity!r}")
        self.capacity, self.generator = capacity, generator
        self._held: Transitions | None = None
        self._next = self._n = 0

    def push(self, state: Any, action: int, next_state: Any, reward: float) -> None:
        """Remembers a transition in place of the oldest where it is full; next_state: None where that is the end."""
        state = np.asarray(state)
        like = state if self._held is None else self._held.states[0]
        for value in (state, *([] if next_state is None else [np.asarray(next_state)])):
            _check_state(value, like)
        if not isinstance(action, (int, np.integer)) or not is_number(reward):
            raise ParameterError(
                f"ReplayMemory: an action must be a whole number, a reward a number, got {action!r} and {reward!r}"
            )
        held = self._made(state)
        k = self._next
        held.states[k], held.actions[k], held.rewards[k] = state, action, reward
        held.next_states[k], held.ended[k] = 0 if next_state is None else next_state, next_state is None
        self._next, self._n = (k + 1) % self.capacity, min(self._n + 1, self.capacity)

    def sample(self, batch_size: int, generator: np.random.Generator | None = None) -> Transitions:
        """So many different transitions, each set of them as likely as any other."""
        generator = self.generator if generator is None else generator
        if generator is None:
            raise ParameterError("ReplayMemory.sample: give generator=, what it draws from")
        if not isinstance(batch_size, (int, np.integer)) or isinstance(batch_size, bool):
            raise ParameterError(f"ReplayMemory.sample: batch_size must be a whole number, got {batch_size!r}")
        if self._held is None or not 1 <= batch_size <= self._n:
            raise StateError(f"ReplayMemory holds {self._n} transitions, {batch_size} cannot be drawn; push more first")
        chosen = generator.choice(self._n, batch_size, replace=False)
        held: tuple[NDArray[Any], ...] = self._held
        return Transitions(*(part[chosen] for part in held))

    def __len__(self) -> int:
        return self._n

    def _made(self, state: NDArray[Any]) -> Transitions:
        if self._held is None:
            n, many = self.capacity, (self.capacity, *state.shape)
            try:
                self._held = Transitions(
                    np.zeros(many, state.dtype), np.zeros(n, np.int64), np.zeros(many, state.dtype),
                    np.zeros(n, np.float32), np.zeros(n, np.bool_),
                )  # fmt: skip
            except (MemoryError, ValueError) as error:
                raise ParameterError(f"ReplayMemory: capacity {n} does not fit into memory; give less") from error
        return self._held

    def arrays(self) -> dict[str, NDArray[Any]]:
        """What it holds by name, and `next`, the place of the one that comes."""
        if self._held is None:
            return {}
        held = {name: part[: self._n] for name, part in self._held._asdict().items()}
        return held | {"next": np.array([self._next])}

    def load(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Takes what `arrays` gave in place of what it holds; ShapeError where that does not fit."""
        if not arrays:
            self._held, self._n, self._next = None, 0, 0
            return
        found, place = _checked(arrays, self.capacity)
        self._held, self._n, self._next = None, len(found.actions), place
        for part, given in zip(self._made(found.states[0]), found, strict=True):
            part[: self._n] = given


def _check_state(value: NDArray[Any], like: NDArray[Any]) -> None:
    """Raises ShapeError or ParameterError for a state that is not kept exactly where others are like this one."""
    if value.dtype.kind not in "biuf":
        raise ParameterError(f"ReplayMemory: states must be arrays of numbers, got dtype {value.dtype}")
    if value.shape != like.shape:
        raise ShapeError(f"ReplayMemory: states have shape {like.shape}, got {value.shape}")
    if not np.can_cast(value.dtype, like.dtype, "same_kind"):
        raise ParameterError(f"ReplayMemory: states are of {like.dtype}, got {value.dtype}, which would be rounded")


_KINDS = {"actions": np.int64, "rewards": np.float32, "ended": np.bool_, "next": np.int64}


def _checked(arrays: Mapping[str, NDArray[Any]], capacity: int) -> tuple[Transitions, int]:
    """The transitions in arrays and the place of the next one; ShapeError where they are not those of a memory."""
    if set(arrays) != {*Transitions._fields, "next"}:
        raise ShapeError(f"ReplayMemory: needs {', '.join(Transitions._fields)} and next, got {', '.join(arrays)}")
    found = Transitions(*(arrays[name] for name in Transitions._fields))
    for name, kind in (_KINDS | {"next_states": found.states.dtype}).items():
        if arrays[name].dtype != kind:
            raise ShapeError(f"ReplayMemory: {name} must be of {np.dtype(kind)}, got {arrays[name].dtype}")
    n, place = len(found.actions), arrays["next"]
    flat = all(part.shape == (n,) for part in (found.actions, found.rewards, found.ended))
    if not flat or found.states.shape != found.next_states.shape or len(found.states) != n or place.shape != (1,):
        raise ShapeError(f"ReplayMemory: its arrays differ in length: {[part.shape for part in found]}")
    first, last = (0, capacity - 1) if n == capacity else (n, n)
    if not 1 <= n <= capacity or not first <= int(place[0]) <= last:
        raise ShapeError(
            f"ReplayMemory: {n} transitions, the next at {int(place[0])}, do not fit a capacity of {capacity}"
        )
    return found, int(place[0])
