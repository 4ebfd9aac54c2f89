"""Distances between spike trains: of van Rossum, of Victor and Purpura.

Both take trains of neurons of one sample, or of one neuron in several samples, and give a matrix for each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...errors import ParameterError
from ...native.compiled import compiled
from ...registry import did_you_mean
from ...spikes import Spikes
from .bins import check_positive, check_size
from .pairs import MOST, Trains, chosen_neurons

Array = NDArray[np.float64]
Across = Literal["neurons", "samples"]
HEADER = "train_pairs.hpp"


def van_rossum_distance(
    spikes: Spikes, tau_ms: float, neurons: ArrayLike | None = None, *, across: Across = "neurons"
) -> Array:
    """The van Rossum distances between the trains of the neurons in each sample, (B, n, n).

    The distance is the norm of the difference of two trains that are filtered with exp(-t / tau_ms), scaled so that one
    spike is at 1 from none (van Rossum 2001 divides by the square root of 2 more) and at sqrt(2 - 2 exp(-dt / tau_ms))
    from another one dt ms away. across="samples" compares each neuron's samples: (n, B, B). Exact, and linear in
    spikes x n (Houghton and Kreuz 2012). Raises ParameterError.
    """
    tau = check_positive(tau_ms, "van_rossum_distance.tau_ms")
    return _matrices(spikes, neurons, across, "van_rossum_distance", lambda trains: _van_rossum(trains, tau))


def victor_purpura_distance(
    spikes: Spikes, cost_per_ms: float, neurons: ArrayLike | None = None, *, across: Across = "neurons"
) -> Array:
    """The Victor-Purpura distances between the trains of the neurons in each sample, (B, n, n).

    The distance is the least cost of making one train of the other: 1 for a spike put in or taken out, cost_per_ms * dt
    for one that is shifted by dt ms (Victor and Purpura 1996). across="samples" compares each neuron's samples:
    (n, B, B). Exact; the time of a pair grows with the spikes that lie within 2 / cost_per_ms of one another. A cost of
    0 counts spikes only. Raises ParameterError.
    """
    is_number = isinstance(cost_per_ms, (int, float, np.number)) and not isinstance(cost_per_ms, bool)
    if not is_number or not np.isfinite(cost_per_ms) or cost_per_ms < 0:
        expected = "victor_purpura_distance.cost_per_ms must be a finite cost of at least 0 per ms"
        raise ParameterError(f"{expected}, got {cost_per_ms!r}")
    cost = float(cost_per_ms)
    return _matrices(spikes, neurons, across, "victor_purpura_distance", lambda trains: _victor_purpura(trains, cost))


def _matrices(
    spikes: Spikes, neurons: ArrayLike | None, across: str, owner: str, distances: Callable[[Trains], Array]
) -> Array:
    """The distances of each set of trains, one after the other."""
    sets = list(_sets(spikes, neurons, across, owner))
    return np.stack([distances(trains) for trains in sets])


def _sets(spikes: Spikes, neurons: ArrayLike | None, across: str, owner: str) -> Iterator[Trains]:
    if across not in ("neurons", "samples"):
        hint = did_you_mean(str(across), ("neurons", "samples"))
        raise ParameterError(f"{owner}.across must be 'neurons' or 'samples', got {across!r}{hint}")
    chosen = chosen_neurons(neurons, spikes.n_neurons, owner, MOST if across == "neurons" else spikes.n_neurons)
    if across == "samples" and len(spikes) > MOST:
        raise ParameterError(f"{owner} compares at most {MOST} samples, got {len(spikes)}; take some: spikes[:{MOST}]")
    ends = (len(spikes), chosen.size) if across == "neurons" else (chosen.size, len(spikes))
    check_size(ends[0] * ends[1] ** 2, owner, "fewer neurons or samples")
    trains = Trains.of(spikes, chosen)
    rows = np.arange(len(spikes) * chosen.size).reshape(len(spikes), chosen.size)
    for row in rows if across == "neurons" else rows.T:
        yield trains.pick(row)


def _van_rossum(trains: Trains, tau: float) -> Array:
    """With K the decayed pairs and C those of one time: d2(u, v) = sum over both of C + 2 K, less that of the mixed."""
    n = len(trains)
    of = np.repeat(np.arange(n), np.diff(trains.start))
    order = np.argsort(trains.time, kind="stable")
    before, together = decayed_pairs(trains.time[order], of[order], n, tau)
    sums = together + 2 * before
    own = sums.diagonal()
    return np.sqrt(np.maximum(own[:, None] + own - (sums + sums.T), 0))


def decayed_pairs(time: Array, of: NDArray[np.int64], n: int, tau: float) -> tuple[Array, Array]:
    """Sums over pairs of spikes of trains u, v of exp(-(t - s) / tau), s of v before t of u; and pairs at one time.

    time: all spikes in the order of time; of: the train of each, 0 .. n - 1. Both sums are (n, n).
    """
    trace, before, together = np.zeros(n), np.zeros((n, n)), np.zeros((n, n))
    if (library := compiled(HEADER)) is not None:
        library.call("decayed_pairs", time, of, time.size, n, tau, trace, before, together)
        return before, together
    moments, first = np.unique(time, return_index=True)
    decays = np.exp(-np.diff(moments, prepend=moments[:1]) / tau)
    for decay, members in zip(decays, np.split(of, first[1:]), strict=False):
        trace *= decay
        present = np.bincount(members, minlength=n)
        here = np.unique(members)
        before[here] += present[here, None] * trace
        together[here] += present[here, None] * present
        trace += present
    return before, together


def _victor_purpura(trains: Trains, cost: float) -> Array:
    """The matrix, a train after the other."""
    n, library = len(trains), compiled(HEADER)
    distances, best = np.zeros((n, n)), np.empty(np.diff(trains.start).max(initial=0) + 1)
    for k in range(n):
        if library is not None:
            library.call("victor_purpura", trains.time, trains.start, n, k, cost, best, distances[k])
        else:
            distances[k, k + 1 :] = [_cost(trains[k], trains[other], cost) for other in range(k + 1, n)]
    return distances + distances.T


def _cost(a: Array, b: Array, cost: float) -> float:
    """The distance of two trains, spike by spike of a: least[j] is that of the spikes so far from the first j of b."""
    j = np.arange(b.size + 1)
    least = j.astype(float)
    for t in a:
        direct = least + 1
        direct[1:] = np.minimum(direct[1:], least[:-1] + cost * np.abs(t - b))
        least = np.minimum.accumulate(direct - j) + j
    return float(least[-1])
