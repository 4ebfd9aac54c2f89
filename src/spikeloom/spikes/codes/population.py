"""A population code: overlapping receptive fields."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...errors import ParameterError
from ..container import Spikes
from ..validate import Numbers, check_count
from .code import Real, ValueCode, checked_values, first_steps, positive, trains, window, within


@dataclass(frozen=True, slots=True)
class GaussianFields(ValueCode):
    """Each value excites `n_fields` neurons with Gaussian receptive fields; the more, the earlier they fire.

    x (B, *shape) becomes spikes of shape (*shape, n_fields). The centres are (2 i - 3) / (2 (n_fields - 2)) for
    i = 1 .. n_fields, the width is 1 / (beta (n_fields - 2)); an excitation a fires in step round((1 - a) (T - 1)),
    one below `threshold` not at all; each value must excite two neurons by that. Decoded from the two that fire first,
    exactly but for the grid. S. M. Bohte, H. La Poutre, J. N. Kok, IEEE Trans. Neural Netw. 13 (2002) 426.
    """

    n_fields: int = 8
    beta: float = 1.5
    threshold: float = 0.1

    def __post_init__(self) -> None:
        check_count(self.n_fields, "GaussianFields.n_fields", least=3)
        positive("GaussianFields", beta=self.beta)
        within("GaussianFields", 0, 1, threshold=self.threshold)
        if (least := float(np.exp(-(self.beta**2) / 2))) < self.threshold:
            raise ParameterError(
                f"GaussianFields: with beta {self.beta:g} a value at a centre excites the next field by {least:.3g}, "
                f"below the threshold of {self.threshold:g}; use a smaller beta or threshold"
            )

    @property
    def centres(self) -> Real:
        """The centres of the fields, (n_fields,)."""
        return (2 * np.arange(1, self.n_fields + 1) - 3) / (2 * (self.n_fields - 2))

    @property
    def width(self) -> float:
        """The standard deviation of a field."""
        return 1 / (self.beta * (self.n_fields - 2))

    def encode(self, x: Numbers, n_steps: int, dt: float, generator: np.random.Generator | None = None) -> Spikes:
        """The spikes of x, (B, *shape, n_fields)."""
        n_steps, dt = window(n_steps, dt)
        values = checked_values(x, "GaussianFields")
        excited = np.exp(-0.5 * ((values[..., None] - self.centres) / self.width) ** 2)
        neuron = np.flatnonzero(excited >= self.threshold)
        step = np.floor((1 - excited.ravel()[neuron]) * (n_steps - 1) + 0.5).astype(np.int64)
        return trains(step, neuron, excited.shape, n_steps, dt)

    def decode(self, spikes: Spikes) -> Real:
        """The values (B, *shape), in 0..1; one neuron alone gives its centre."""
        n_steps = spikes.grid.n_steps
        first = first_steps(spikes)
        order = np.argsort(first, axis=-1, kind="stable")[..., :2]
        when = np.take_along_axis(first, order, -1)
        heard = when < n_steps
        excited = np.maximum(1 - when / max(1, n_steps - 1), 0.5 / n_steps)
        near, next_one = np.moveaxis(self.centres[order], -1, 0)
        apart = self.width**2 * np.log(excited[..., 0] / excited[..., 1]) / (near - next_one)
        value = np.where(heard[..., 1], (near + next_one) / 2 + apart, near)
        return np.where(heard[..., 0], np.clip(value, 0.0, 1.0), 0.0)
