"""A reward in a run, as a rule reads it step by step."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor

from ..network.rewards import Progress, Reward

if TYPE_CHECKING:
    from .path import Call, Key


class Rewarded:
    """A reward that judges spikes, on its way through a window; key: of the rule that reads it; like: (B, n) zeros."""

    def __init__(self, reward: Reward, key: str, call: Call, like: Tensor) -> None:
        reward.given(len(like))
        self.path, self._reward, self._shape = reward.target.path, reward, reward.target.shape
        self._keys: list[Key] = [("rule", key, "reward counts"), ("rule", key, "reward memory")]
        counts, memory = (call.tensors.get(name, like) for name in self._keys)
        every = reward.dec_sample_step
        self._progress = Progress(counts, 0 if every is None else call.begun % every, memory)
        self._nothing = like if reward.judgement.of_each_neuron else like[:, 0]
        self._now = self._nothing

    def step(self, output: Tensor, *, last: bool) -> None:
        """Takes what the target put out in a step, (B, *shape); last: of the run."""
        found = self._progress.add(self._reward, output.flatten(1), 1, last=last)
        self._now = self._nothing if found is None else found

    def modulation(self, n_axes: int) -> Tensor:
        """The reward of the step, so that it broadcasts to a population of so many axes, (B, *shape)."""
        if self._reward.judgement.of_each_neuron:
            return self._now.view(-1, *self._shape)
        return self._now.view(-1, *[1] * n_axes)

    def results(self) -> dict[Key, Tensor]:
        """Where it stands, for a run that continues this one."""
        return dict(zip(self._keys, (self._progress.counts, self._progress.memory), strict=True))
