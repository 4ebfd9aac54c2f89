"""Inner hair cells, fibres of the auditory nerve, bushy cells: from the membrane's velocity to spikes.

A hair cell holds transmitter in three places: free q, in the cleft c, on its way back w (R. Meddis, J. Acoust. Soc. Am.
79, 1986, 702; 83, 1988, 1056; values of Meddis, Hewitt & Shackleton, J. Acoust. Soc. Am. 87, 1990, 1813, table I):

    dq/dt = y (1 - q) + x w - k q,   dc/dt = k q - (l + r) c,   dw/dt = r c - x w
    k = g (s + A) / (s + A + B) where the velocity s > -A, else 0

A fibre fires with probability h c dt in a step, but not again within `t_ref_fibre`. A bushy cell adds up the spikes of
its fibres, a current that decays with tau_syn, on a membrane that decays with tau_m, and is silent for t_ref after it
fired (Cramer et al., IEEE Trans. Neural Netw. Learn. Syst. 33, 2022, 2744, and their program Lauscher).
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...errors import ParameterError, ShapeError
from ...native.compiled import compiled
from ...native.library import Library
from ...units import steps
from .sound import check_positive

Found = tuple[NDArray[np.int32], NDArray[np.int32]]


@dataclass(frozen=True, kw_only=True)
class HairCell:
    """Rates y, g, l, r, x, h in 1/s; A and B in the units of velocity, of which an rms of 1 is 30 dB SPL."""

    y: float = 5.05
    g: float = 2000.0
    l: float = 2500.0  # noqa: E741
    r: float = 6580.0
    x: float = 66.31
    h: float = 50000.0
    A: float = 5.0
    B: float = 300.0

    def __post_init__(self) -> None:
        for field in fields(self):
            check_positive(getattr(self, field.name), f"HairCell.{field.name}")

    def steady(self, velocity: float = 0.0) -> tuple[float, float, float]:
        """q, c and w after a long time at a constant velocity above -A."""
        k = self.g * (velocity + self.A) / (velocity + self.A + self.B)
        c = self.y * k / (self.l * k + self.y * (self.l + self.r))
        return c * (self.l + self.r) / k, c, c * self.r / self.x


@dataclass(frozen=True, kw_only=True)
class BushyCell:
    """Of a channel: n_fibres fibres that rest t_ref_fibre ms, and a leaky neuron of threshold 1; times in ms.

    A spike of all fibres at once is a current of `weight` per ms.
    """

    n_fibres: int = 40
    t_ref_fibre: float = 1.0
    tau_m: float = 1.0
    tau_syn: float = 0.5
    t_ref: float = 1.0
    weight: float = 13.0

    def __post_init__(self) -> None:
        for field in fields(self):
            check_positive(getattr(self, field.name), f"BushyCell.{field.name}")
        if not isinstance(self.n_fibres, int) or self.n_fibres > 1000:
            raise ParameterError(f"BushyCell.n_fibres must be an integer from 1 to 1000, got {self.n_fibres!r}")


class Rates(NamedTuple):
    """What a step multiplies with, in the order in which the compiled code reads it."""

    made: float
    release: float
    lost: float
    back: float
    again: float
    chance: float
    A: float
    B: float
    current: float
    potential: float
    weight: float


class Channels:
    """Channels in the state that they rest in, to be moved on piece by piece."""

    def __init__(self, n: int, hair: HairCell, bushy: BushyCell, rate: float) -> None:
        self.n, self.bushy, self.step = n, bushy, 0
        dt = 1000.0 / rate
        made, out, lost, back, again, chance = (
            k / rate for k in (hair.y, hair.g, hair.l + hair.r, hair.r, hair.x, hair.h)
        )
        current, potential = np.exp(-dt / np.array([bushy.tau_syn, bushy.tau_m]))
        weight = bushy.weight * dt / bushy.n_fibres
        self.rates = Rates(made, out, lost, back, again, chance, hair.A, hair.B, current, potential, weight)
        self.fibre_steps, self.rest_steps = (max(1, steps(t, dt)) for t in (bushy.t_ref_fibre, bushy.t_ref))
        self.state = np.zeros((6, n))
        self.state[:3] = np.array(hair.steady())[:, None]
        self.nerve = np.zeros((self.fibre_steps, n))

    def hear(self, velocity: NDArray[np.float32], uniform: NDArray[np.float32]) -> Found:
        """Step and channel of each spike while the velocity (n, steps) passes; uniform, as large, decides in 0..1."""
        if velocity.shape != uniform.shape or velocity.shape[:1] != (self.n,) or velocity.ndim != 2:
            got = f"{velocity.shape} and {uniform.shape}"
            raise ShapeError(f"Channels.hear: velocity and uniform must have shape ({self.n}, steps), got {got}")
        library = compiled("cochlea.hpp")
        found = self._reference(velocity, uniform) if library is None else self._native(library, velocity, uniform)
        self.step += velocity.shape[1]
        return found

    def _native(self, library: Library, velocity: NDArray[np.float32], uniform: NDArray[np.float32]) -> Found:
        n_steps = velocity.shape[1]
        room = self.n * (n_steps // self.rest_steps + 1)
        when, where, n = np.empty(room, np.int32), np.empty(room, np.int32), np.zeros(1, np.int64)
        settings = [self.n, n_steps, self.bushy.n_fibres, self.fibre_steps, self.rest_steps, self.step, room]
        library.call(
            "cochlea_hear",
            np.ascontiguousarray(velocity, np.float32),
            np.ascontiguousarray(uniform, np.float32),
            np.array(settings, np.int64),
            np.array(self.rates),
            self.state,
            self.nerve,
            when,
            where,
            n,
        )
        return when[: n[0]], where[: n[0]]

    def _reference(self, velocity: NDArray[np.float32], uniform: NDArray[np.float32]) -> Found:
        """The same in NumPy."""
        k, found = self.rates, []
        q, c, w, current, v, rest = self.state
        for t, (s, u) in enumerate(zip(velocity.T.astype(np.float64), uniform.T, strict=True), self.step):
            a = np.maximum(s + k.A, 0.0)
            out, lost, back, again = k.release * a / (a + k.B) * q, k.lost * c, k.back * c, k.again * w
            q += k.made * np.maximum(1 - q, 0.0) - out + again
            c += out - lost
            w += back - again
            self.nerve[t % self.fibre_steps] = 0
            ready = self.bushy.n_fibres - self.nerve.sum(0)
            self.nerve[t % self.fibre_steps] = fired = _binomial(ready, np.minimum(k.chance * c, 1.0), u)
            current *= k.current
            current += fired
            v[:] = np.where(rest > 0, 0.0, v * k.potential + k.weight * current)
            rest -= 1
            over = v >= 1
            v[over], rest[over] = 0.0, self.rest_steps
            found += [(t, channel) for channel in np.flatnonzero(over)]
        when, where = np.array(found, np.int32).reshape(-1, 2).T
        return when, where


def _binomial(n: NDArray[np.float64], p: NDArray[np.float64], u: NDArray[np.float32]) -> NDArray[np.float64]:
    """The least k with P(K <= k) > u for K binomial with n and p."""
    term = (1 - p) ** n
    total, k = term.copy(), np.zeros_like(n)
    with np.errstate(divide="ignore", invalid="ignore"):
        odds = p / (1 - p)
        while (more := (u >= total) & (k < n)).any():
            term = np.where(more, term * (n - k) / (k + 1) * odds, term)
            total += np.where(more, term, 0.0)
            k += more
    return np.where(p >= 1, n, k)
