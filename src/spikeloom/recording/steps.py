"""Single steps of a run that goes on: kept as they came out, and made parts of tracks later, many at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..spikes import PackedSpikes, Spikes
from .batches import SpikeBatch
from .parts import Part, cut
from .track import Key, Track

if TYPE_CHECKING:
    from .intake import Intake

_FEW = 1 << 13
"""How many words of bits and spikes a step has at most that is kept for later."""


class Steps:
    """Takes the spikes that some layers had in one step, with one call for all; what the steps are is seen to later.

    inputs, groups: the shape of each layer; inputs give Spikes, groups the integers (1, B, words) of their kernel.
    """

    def __init__(
        self,
        intake: Intake,
        node: str,
        inputs: Mapping[str, tuple[int, ...]],
        groups: Mapping[str, tuple[int, ...]],
        dt: float,
    ) -> None:
        self._intake, self._dt, self._n_inputs = intake, dt, len(inputs)
        self._layers = {Key("spikes", node, path): shape for path, shape in (*inputs.items(), *groups.items())}
        self._tracks: list[Track] = []
        self._n_samples = self._n_words = 0

    def __call__(self, found: Sequence[Any], n_samples: int) -> bool:
        """Takes a step, which goes on where the one before ended; False where it must be handed over by itself."""
        if n_samples != self._n_samples and not self._begin(n_samples):
            return False
        size = self._n_words
        for k in range(self._n_inputs):
            spikes = found[k]
            if type(spikes) is not Spikes or spikes.dt != self._dt or spikes.n_steps != 1:
                return False
            size += spikes.ids.size
        return size <= _FEW and self._intake.add_step(self, found, len(found), 8 * size)

    def _begin(self, n_samples: int) -> bool:
        """Finds the tracks, which an earlier window has made; False where one is missing or is of another kind."""
        tracks = {key: self._intake.tracks.get(key) for key in self._layers}
        known = [t for key, t in tracks.items() if t and t.dt == self._dt and t.shape == self._layers[key]]
        if len(known) < len(tracks):
            return False
        words = sum(-(-int(np.prod(track.shape)) // 64) for track in known[self._n_inputs :])
        self._tracks, self._n_samples, self._n_words = known, n_samples, n_samples * words
        return True

    def parts(self, taken: Sequence[Sequence[Any]]) -> Iterator[tuple[Track, Part]]:
        """Steps that follow one another, as one part of each layer."""
        for k, track in enumerate(self._tracks):
            each = [found[k] for found in taken]
            if k < self._n_inputs:
                yield track, part_of(SpikeBatch.joined([SpikeBatch(at, s) for at, s in enumerate(each)]).spikes)
            else:
                bits = np.concatenate([tensor.numpy() for tensor in each]).view(np.uint64)
                yield track, part_of(PackedSpikes.of_kernel(bits, track.shape, track.dt))


def part_of(data: Any) -> Part:
    """Spikes that go on, as a part; its bytes are those that its steps were counted with."""
    nbytes = data.bits.nbytes if isinstance(data, PackedSpikes) else 8 * data.ids.size
    return Part(data, data.n_steps, data.n_samples, nbytes, False)


def divided(part: Part, n_steps: int) -> tuple[Part, Part]:
    """The first steps of such a part, and the others."""
    return part_of(cut(part.data, 0, n_steps)), part_of(cut(part.data, n_steps, part.n_steps))
