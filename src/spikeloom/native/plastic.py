"""A plastic connection and the neurons behind it, one sample, stepped by the kernel of plastic.hpp.

The functors of a neuron and of a rule go in; what they mean stands in `spikeloom.plasticity`, whose step is the
reference. Weights lie as (tile, pre, width), so that both a pre spike and a post spike work on whole vectors.
"""

from __future__ import annotations

import ctypes
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError, ParameterError, ShapeError
from . import pool
from .events import REAL, Array, EventRows, check, empty
from .library import Library, address, load

LINE, WORD = 64, 64
"""How many bytes a row of a tile has, and how many neurons a word of bits holds."""


@dataclass(frozen=True, kw_only=True)
class Functor:
    """A neuron as C++: the text that defines a struct of this name, and the values of its coefficients.

    The struct has the numbers states, inlets, coefficients, kept, synaptic and a function `forward`, as the functors of
    `spikeloom.kernels`; the text may use simd.hpp and functions.hpp.

    coefficients: each a number or one for each neuron. parameters: by name the coefficient of each parameter that
    enters the step as a coefficient of its own and nowhere else, so that a rule may move it.
    """

    source: str
    struct: str = "Neuron"
    coefficients: Sequence[Any] = ()
    parameters: Mapping[str, int] = field(default_factory=dict)


class Leaky(NamedTuple):
    """What a step keeps of a filter's state and what it takes of a value, each one number or one for each neuron."""

    decay: Any = 1.0
    gain: Any = 1.0


@dataclass(frozen=True, kw_only=True)
class Learning:
    """A rule as C++: the text that defines a struct as `spikeloom.kernels.trace_rule` prints it, and its numbers.

    pre, post: the traces of each end; eligible: the changes that are kept at the synapse, in order, each one number;
    offsets: for each change of a coefficient how the offset decays, by the number of the change. total, squares: the
    norm to normalise to, of magnitudes or the root of the sum of squares; every: each so many steps, 0 for never.
    """

    source: str
    struct: str = "Learning"
    numbers: Sequence[float] = ()
    pre: Sequence[Leaky] = ()
    post: Sequence[Leaky] = ()
    eligible: Sequence[Leaky] = ()
    offsets: Mapping[int, Leaky] = field(default_factory=dict)
    w_min: float = -np.inf
    w_max: float = np.inf
    total: float = 1.0
    every: int = 0
    squares: bool = False


def library(functor: Functor, learning: Learning, real: str) -> Library:
    """The kernel of a neuron and a rule for 'float' or 'double'; CompilerError where it is not to be had."""
    headers = '#include "spikeloom/functions.hpp"\n#include "spikeloom/plastic.hpp"\nusing namespace spikeloom;\n'
    entries = f"SPIKELOOM_PLASTIC({functor.struct}, {learning.struct}, {real})\n"
    return load(f"{headers}{functor.source}\n{learning.source}\n{entries}")


_COUNTS = ("n_steps", "n_pre", "n_post", "begin", "end", "every", "done", "at_end", "squares", "rated")
_ARRAYS = (
    "start", "ids", "rates", "numbers", "eligible_leaks", "scale", "last", "current", "coefficients", "state",
    "weights", "eligible", "pre", "post", "offsets", "pre_leaks", "post_leaks", "offset_leaks", "seen", "scaled",
    "bits",
)  # fmt: skip
_REALS = ("w_min", "w_max", "total", "inhibition")


class _Window(ctypes.Structure):
    """plastic.hpp's Window."""

    _fields_ = (
        *((name, ctypes.c_int64) for name in _COUNTS),
        *((name, ctypes.c_void_p) for name in _ARRAYS),
        *((name, ctypes.c_double) for name in _REALS),
    )


class _Sizes(NamedTuple):
    states: int
    inlets: int
    coefficients: int
    pre: int
    post: int
    changes: int
    eligible: int
    targets: int
    numbers: int
    counts: int


class Plastic:
    """The weights, states and traces of one connection in the kernel's layout; `run` moves them on in place.

    weights (N, K) and state (n_states, N): float32 or float64, both alike, copied. The connection is inlet 0 of the
    functor. inhibition: what a spike takes from the next input of every other neuron. Raises ShapeError, DataError or
    ParameterError for what does not fit the functors or each other.
    """

    def __init__(
        self,
        functor: Functor,
        learning: Learning,
        weights: NDArray[Any],
        state: NDArray[Any],
        *,
        inhibition: float = 0.0,
    ) -> None:
        check(weights, "weights", REAL, (None, None))
        self._library = library(functor, learning, "float" if weights.itemsize == 4 else "double")
        numbers = np.empty(len(_Sizes._fields), np.int64)
        self._library.call("plastic_sizes", numbers)
        self.sizes = _Sizes(*numbers.tolist())
        if 0 in weights.shape:
            raise ShapeError(f"weights must join at least one neuron to another, got shape {weights.shape}")
        check(state, "state", str(weights.dtype), (self.sizes.states, weights.shape[0]))
        _check_sizes(self.sizes, functor, learning)
        self.shape: tuple[int, int] = weights.shape
        self.dtype, self.done, self.words = weights.dtype, 0, -(-weights.shape[0] // WORD)
        n_post = self.shape[0]
        self._width = LINE // self.dtype.itemsize
        self._arrays = self._allocated(learning)
        self._arrays |= {"weights": self._tiled(weights.T), "state": self._tiled(state)}
        rows = [self._spread(c, n_post, f"coefficient {k}") for k, c in enumerate(functor.coefficients)]
        self._arrays["coefficients"] = self._tiled(np.array(rows, self.dtype).reshape(-1, n_post))
        self._window = _Window(n_pre=self.shape[1], n_post=n_post, every=learning.every, squares=learning.squares)
        self._window.w_min, self._window.w_max, self._window.total = learning.w_min, learning.w_max, learning.total
        self._window.inhibition = inhibition
        _put(self._window, self._arrays)

    def run(
        self,
        events: EventRows,
        rates: NDArray[np.float64],
        *,
        current: Array | None = None,
        at_end: bool = False,
        threads: int = 1,
    ) -> NDArray[np.uint64]:
        """The spikes of a window as bits (T, words), for the pre spikes of T steps of one sample.

        rates: the learning rate of each change times its modulator, of each step (T, n_changes) or of all (n_changes,).
        current: what else comes in, (T, n_inlets, N). at_end: normalise after the last step. The result does not
        depend on `threads`, nor on how a run is cut into windows.
        """
        n_steps, changes = events.n_steps, (self.sizes.changes,)
        _check_events(events, self.shape[1])
        check(rates, "rates", "float64", changes if rates.ndim == 1 else (n_steps, *changes))
        padded = None if current is None else self._padded(current, n_steps)
        bits = np.empty((n_steps, self.words), np.uint64)
        given = {"start": events.start, "ids": events.ids, "rates": rates, "current": padded, "bits": bits}
        threads = 1 if self._window.inhibition or self.sizes.counts else min(threads, self.words)
        before = {name: self._arrays[name].copy() for name in ("pre", "scale")} if threads > 1 else {}

        def work(begin: int, end: int) -> None:
            window = _Window.from_buffer_copy(self._window)
            window.n_steps, window.begin, window.end = n_steps, begin, end
            window.done, window.at_end, window.rated = self.done, at_end, rates.ndim > 1
            own = given | self._scratch()
            if begin > 0:  # what all ranges move on, each for itself
                own |= {name: self._like(array) for name, array in before.items()}
            _put(window, own)
            self._library.call("plastic_run", window)

        pool.run(work, self.words, threads)
        self.done += n_steps
        if n_steps:
            self._arrays["last"][:] = bits[-1]
        return bits

    @property
    def inhibition(self) -> float:
        """What a spike takes from the next input of every other neuron."""
        return float(self._window.inhibition)

    @inhibition.setter
    def inhibition(self, value: float) -> None:
        self._window.inhibition = value

    @property
    def weights(self) -> NDArray[Any]:
        """The weights (N, K)."""
        return self._untiled(self._arrays["weights"]).T.copy()

    @property
    def state(self) -> NDArray[Any]:
        """The neurons' state (n_states, N)."""
        return self._untiled(self._arrays["state"]).copy()

    @property
    def pre(self) -> NDArray[Any]:
        """The traces of the pre end (n_traces, K)."""
        return self._arrays["pre"][:, : self.shape[1]].copy()

    @property
    def post(self) -> NDArray[Any]:
        """The traces of the post end (n_traces, N)."""
        return self._arrays["post"][:, : self.shape[0]].copy()

    @property
    def eligible(self) -> NDArray[Any]:
        """What is eligible for each change that keeps it (n_eligible, N, K)."""
        found = [self._untiled(tiled).T * scale for tiled, scale in zip(*self._eligible(), strict=True)]
        return np.array(found, self.dtype).reshape(-1, *self.shape)

    @property
    def offsets(self) -> NDArray[Any]:
        """What is added to the coefficients that the rule moves (n_targets, N)."""
        return self._arrays["offsets"][:, : self.shape[0]].copy()

    @property
    def last(self) -> NDArray[np.uint64]:
        """Who fired in the last step, as bits (words,)."""
        return self._arrays["last"].copy()

    def put(self, **given: NDArray[Any]) -> None:
        """Puts weights, state, pre, post, eligible, offsets or last in place, as the properties give them."""
        shapes = {name: getattr(self, name).shape for name in given}
        for name, array in given.items():
            check(array, name, "uint64" if name == "last" else str(self.dtype), shapes[name])
            own = self._arrays[name]
            if name in ("weights", "state"):
                own[:] = self._tiled(array.T if name == "weights" else array)
            elif name == "eligible":
                self._arrays["scale"][:] = 1
                for tiled, values in zip(own, array, strict=True):
                    tiled[:] = self._tiled(values.T)
            else:
                own[..., : array.shape[-1]] = array

    def rest(self, state: NDArray[Any]) -> None:
        """Puts the neurons into a state (n_states, N) and all traces to 0; weights and offsets stay."""
        self.put(state=state)
        for name in ("pre", "post", "eligible", "last"):
            self._arrays[name][:] = 0
        self._arrays["scale"][:] = 1

    def _eligible(self) -> tuple[NDArray[Any], NDArray[Any]]:
        return self._arrays["eligible"], self._arrays["scale"]

    def _allocated(self, learning: Learning) -> dict[str, NDArray[Any]]:
        """The arrays that a rule needs, at 0."""
        (n_post, n_pre), sizes = self.shape, self.sizes
        tiles = self.words * WORD // self._width
        found = {
            "pre": self._zeros(sizes.pre, self._cached), "post": self._zeros(sizes.post, self.words * WORD),
            "offsets": self._zeros(sizes.targets, self.words * WORD),
            "eligible": self._zeros(sizes.eligible, tiles, n_pre, self._width),
            "pre_leaks": self._leaks(learning.pre, n_pre, self._cached),
            "post_leaks": self._leaks(learning.post, n_post, self.words * WORD),
            "offset_leaks": self._leaks(
                [learning.offsets.get(k, Leaky()) for k in range(sizes.changes)], n_post, self.words * WORD
            ),
        }  # fmt: skip
        return found | {
            "numbers": np.array(learning.numbers, np.float64), "scale": np.ones(sizes.eligible),
            "eligible_leaks": np.array([[float(e[k]) for e in learning.eligible] for k in (0, 1)], np.float64),
            "last": np.zeros(self.words, np.uint64),
        }  # fmt: skip

    @property
    def _cached(self) -> int:
        """How many pre neurons fill whole cache lines."""
        return -(-self.shape[1] // self._width) * self._width

    def _scratch(self) -> dict[str, NDArray[Any]]:
        return {"seen": self._zeros(self._cached), "scaled": empty((self.sizes.changes, self._cached), self.dtype)}

    def _zeros(self, *shape: int) -> NDArray[Any]:
        found = empty(shape, self.dtype)
        found[:] = 0
        return found

    @staticmethod
    def _like(array: NDArray[Any]) -> NDArray[Any]:
        found = empty(array.shape, array.dtype)
        found[:] = array
        return found

    def _leaks(self, given: Sequence[Leaky], n: int, padded: int) -> NDArray[Any]:
        """The leaks of n neurons as (2 each, padded)."""
        found = self._zeros(2 * len(given), padded)
        for k, numbers in enumerate(number for leaky in given for number in leaky):
            found[k, :n] = self._spread(numbers, n, "decay and gain of a trace")
        return found

    def _tiled(self, rows: NDArray[Any]) -> NDArray[Any]:
        """Rows (n, N) as (tile, n, width) up to a whole word; the last neuron fills the padding."""
        n_post = self.shape[0]
        filled = np.pad(rows, ((0, 0), (0, self.words * WORD - n_post)), mode="edge")
        tiled = empty((self.words * WORD // self._width, len(rows), self._width), self.dtype)
        tiled[:] = filled.reshape(len(rows), -1, self._width).transpose(1, 0, 2)
        return tiled

    def _untiled(self, tiled: NDArray[Any]) -> NDArray[Any]:
        return tiled.transpose(1, 0, 2).reshape(tiled.shape[1], -1)[:, : self.shape[0]]

    def _spread(self, numbers: Any, n: int, what: str) -> NDArray[Any]:
        """A number, or one for each of n neurons, as (n,)."""
        array = np.asarray(numbers, self.dtype)
        if array.shape not in ((), (1,), (n,)):
            raise ShapeError(f"{what} must be one number or one for each of {n} neurons, got shape {array.shape}")
        return np.broadcast_to(array, n)

    def _padded(self, current: Array, n_steps: int) -> NDArray[Any]:
        check(current, "current", str(self.dtype), (n_steps, self.sizes.inlets, self.shape[0]))
        padded = np.zeros((n_steps, self.sizes.inlets, self.words * WORD), self.dtype)
        padded[:, :, : self.shape[0]] = np.asarray(current)
        return padded


def _check_sizes(sizes: _Sizes, functor: Functor, learning: Learning) -> None:
    """Raises ShapeError or ParameterError unless the functors come with what they are about."""
    if len(functor.coefficients) != sizes.coefficients:
        got = len(functor.coefficients)
        raise ShapeError(f"{functor.struct} must be given its {sizes.coefficients} coefficients, got {got}")
    for name in ("pre", "post", "eligible", "numbers"):
        if len(given := getattr(learning, name)) != (wanted := getattr(sizes, name)):
            raise ShapeError(f"Learning.{name} must hold the {wanted} of {learning.struct}, got {len(given)}")
    if not all(0 <= k < sizes.changes for k in learning.offsets):
        raise ParameterError(f"Learning.offsets must be of the {sizes.changes} changes, got {[*learning.offsets]}")


def _put(window: _Window, arrays: Mapping[str, Array | None]) -> None:
    for name, array in arrays.items():
        setattr(window, name, None if array is None else address(array, name))


def _check_events(events: EventRows, n_pre: int) -> None:
    """Raises ShapeError or DataError unless the events are plain spikes of one sample of the pre neurons."""
    if events.n_samples != 1 or events.n != n_pre:
        got = f"{events.n_samples} samples of {events.n} neurons"
        raise ShapeError(f"events must be those of one sample of the {n_pre} pre neurons, got {got}")
    if events.values is not None:
        raise DataError("events must be plain spikes, got values; the kernel takes no graded ones")
    falls = events.ids[1:] <= events.ids[:-1]
    inner = events.start[1:-1]
    falls[inner[(inner > 0) & (inner < events.ids.size)] - 1] = False
    if falls.any():
        at = int(np.argmax(falls)) + 1
        raise DataError(f"events.ids must ascend within a step, a neuron fires once; got {events.ids[at]} at {at}")
