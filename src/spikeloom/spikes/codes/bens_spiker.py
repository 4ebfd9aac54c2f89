"""Ben's spiker algorithm: spikes from which a linear filter gives the signal back."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from ...errors import ParameterError
from ..container import Spikes
from ..validate import Numbers, check_each
from .code import Real, SignalCode, checked_signal

_HANN = tuple(float(h) for h in (1 - np.cos(2 * np.pi * np.arange(1, 12) / 12)) / 12)


@dataclass(frozen=True, slots=True)
class BensSpiker(SignalCode):
    """A spike wherever taking the filter from the signal makes it smaller by at least `threshold`.

    The measure is the sum of absolute values over the filter's length. `filter` are the taps of a finite impulse
    response (default: a Hann window of 11 taps, whose sum is 1); signals are at least 0, and no larger than the sum of
    the taps, which is what a spike in every step gives. The decoder is the filter. B. Schrauwen, J. Van Campenhout,
    Proc. IJCNN 4 (2003) 2825.
    """

    filter: tuple[float, ...] = field(default=_HANN)
    threshold: float = 0.8

    def __post_init__(self) -> None:
        taps = np.asarray(self.filter, np.float64)
        if taps.ndim != 1 or not taps.size or not np.isfinite(taps).all() or taps.sum() <= 0:
            raise ParameterError(f"BensSpiker.filter must be finite taps of a positive sum, got {self.filter!r:.80}")
        object.__setattr__(self, "filter", tuple(taps.tolist()))
        if not 0 <= self.threshold < np.inf:
            raise ParameterError(f"BensSpiker.threshold must be a number of at least 0, got {self.threshold!r}")

    def encode(self, x: Numbers, dt: float) -> Spikes:
        """The spikes of x; the steps before the end in which the filter does not fit are silent."""
        signal = checked_signal(x, "BensSpiker")
        check_each(signal, signal >= 0, "BensSpiker.x", "at least 0 (add an offset)")
        rest, fired = signal.copy(), np.zeros(signal.shape, np.int8)
        taps = np.asarray(self.filter).reshape(-1, *[1] * (signal.ndim - 1))
        for t in range(len(signal) - len(taps) + 1):
            ahead = rest[t : t + len(taps)]
            without = ahead - taps
            fires = np.abs(without).sum(0) <= np.abs(ahead).sum(0) - self.threshold
            ahead[:] = np.where(fires, without, ahead)
            fired[t] = fires
        return Spikes.from_raster(fired, dt)

    def decode(self, spikes: Spikes, start: Numbers = 0.0) -> Real:
        """The filter's answer to the spikes."""
        raster = spikes.raster().astype(np.float64)
        signal = np.zeros_like(raster)
        for k, tap in enumerate(self.filter[: len(raster)]):
            signal[k:] += tap * raster[: len(raster) - k]
        return signal
