"""Sub-sampling: which spikes and which steps of a layer are kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Mode = Literal["all", "neurons", "steps", "spikes"]


def is_kept(step: NDArray[Any], rate: float) -> NDArray[np.bool_]:
    """Which steps a rate in (0, 1] keeps: step s when floor((s + 1) rate) exceeds floor(s rate), evenly spread."""
    kept: NDArray[np.bool_] = np.floor((step + 1) * rate + 1e-9) > np.floor(step * rate + 1e-9)
    return kept


@dataclass(frozen=True)
class Sampling:
    """How one layer was thinned.

    mode 'all' keeps everything; 'neurons' what belongs to the neurons `neurons` (sorted ids); 'steps' every step
    that `is_kept`; 'spikes' each spike with probability `rate`.
    """

    mode: Mode = "all"
    rate: float = 1.0
    neurons: NDArray[np.int64] | None = None

    @classmethod
    def drawn(cls, mode: Mode, rate: float, n_neurons: int, generator: np.random.Generator) -> Sampling:
        """A sampling at this rate; mode 'neurons' draws round(rate n_neurons) of the neurons, at least one."""
        if rate >= 1:
            return cls()
        if mode != "neurons":
            return cls(mode, rate)
        chosen = generator.choice(n_neurons, size=max(1, round(rate * n_neurons)), replace=False)
        return cls(mode, rate, np.sort(chosen))

    @property
    def keeps_intervals(self) -> bool:
        """Whether the spikes of a recorded neuron are complete, so that intervals between them are true."""
        return self.mode in ("all", "neurons")

    def keeps(self, step: NDArray[Any], ids: NDArray[Any], generator: np.random.Generator) -> NDArray[np.bool_]:
        """Which of the spikes at these steps of the layer's clock, from these neurons, are kept."""
        if self.mode == "steps":
            return is_kept(step, self.rate)
        if self.mode == "spikes":
            return generator.random(len(ids)) < self.rate
        return np.ones(len(ids), bool) if self.neurons is None else np.isin(ids, self.neurons)

    def recorded_fraction(self, start: int, stop: int, n_neurons: int) -> float:
        """The expected part of the spikes of steps [start, stop) that was kept: what a count is divided by."""
        if self.neurons is not None:
            return len(self.neurons) / n_neurons
        if self.mode == "steps":
            return float(is_kept(np.arange(start, stop), self.rate).mean())
        return self.rate
