"""A plastic connection and the neurons behind it, one sample, stepped by the kernel of plastic.hpp.

The numbers of a rule and the functor of a neuron go in; what they mean stands in `spikeloom.plasticity`, whose step is
the reference. Weights lie as (tile, pre, width), so that both a pre spike and a post spike work on whole vectors.
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
from .events import REAL, Array, EventRows, check, empty, suffix
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

    def library(self) -> Library:
        """The compiled kernel; CompilerError where it is not to be had."""
        headers = '#include "spikeloom/functions.hpp"\n#include "spikeloom/plastic.hpp"\nusing namespace spikeloom;\n'
        return load(f"{headers}{self.source}\nSPIKELOOM_PLASTIC({self.struct}, plastic)\n")


class Leaky(NamedTuple):
    """The numbers of a trace: what a step keeps and what a spike adds (nearest: sets), each one or one for each neuron.

    before: it is updated before the changes of a step read it.
    """

    decay: Any
    gain: Any
    nearest: bool = False
    before: bool = False


class Amount(NamedTuple):
    """The numbers of a change: amount * (trace - offset) * room ** mu."""

    amount: float
    offset: float = 0.0
    mu: float = 0.0


class Rule(NamedTuple):
    """The numbers of a pair rule; total and every: the sum to normalise to, each so many steps (0: never)."""

    at_pre: Amount
    at_post: Amount
    w_min: float
    w_max: float
    total: float = 1.0
    every: int = 0


class _Trace(ctypes.Structure):
    _fields_ = (
        *((name, ctypes.c_void_p) for name in ("value", "decay", "gain")),
        *((name, ctypes.c_int64) for name in ("nearest", "before")),
    )


class _Change(ctypes.Structure):
    _fields_ = tuple((name, ctypes.c_double) for name in Amount._fields)


_SIZES = ("n_steps", "n_pre", "n_post", "begin", "end", "moved", "every", "done", "at_end")
_ARRAYS = ("start", "ids", "modulator", "last", "current", "coefficients", "state", "weights", "scaled", "bits")


class _Window(ctypes.Structure):
    """plastic.hpp's Window."""

    _fields_ = (
        *((name, ctypes.c_int64) for name in _SIZES),
        *((name, ctypes.c_void_p) for name in _ARRAYS),
        *((name, _Trace) for name in ("pre", "post", "theta")),
        *((name, _Change) for name in ("at_pre", "at_post")),
        *((name, ctypes.c_double) for name in ("w_min", "w_max", "total", "inhibition")),
    )


class _Filtered(NamedTuple):
    """The padded arrays of a trace."""

    value: NDArray[Any]
    decay: NDArray[Any]
    gain: NDArray[Any]
    nearest: bool
    before: bool

    def structure(self) -> _Trace:
        return _Trace(*(address(array, "trace") for array in self[:3]), self.nearest, self.before)


class Plastic:
    """The weights, states and traces of one connection in the kernel's layout; `run` moves them on in place.

    weights (N, K) and state (n_states, N): float32 or float64, both alike, copied. The connection is inlet 0 of the
    functor. pre, post: the traces; theta: what is added to the coefficient `moved`, the threshold's. inhibition: what a
    spike takes from the next input of every other neuron. Raises ShapeError, DataError or ParameterError for what does
    not fit the functor or each other.
    """

    def __init__(
        self,
        functor: Functor,
        weights: NDArray[Any],
        state: NDArray[Any],
        rule: Rule,
        pre: Leaky,
        post: Leaky,
        *,
        theta: Leaky | None = None,
        moved: int = -1,
        inhibition: float = 0.0,
    ) -> None:
        self._library = functor.library()
        sizes = np.empty(3, np.int64)
        self._library.call("plastic_sizes", sizes)
        n_states, self.n_inlets, n_coefficients = sizes.tolist()
        check(weights, "weights", REAL, (None, None))
        if 0 in weights.shape:
            raise ShapeError(f"weights must join at least one neuron to another, got shape {weights.shape}")
        check(state, "state", str(weights.dtype), (n_states, weights.shape[0]))
        if len(functor.coefficients) != n_coefficients:
            got = len(functor.coefficients)
            raise ShapeError(f"{functor.struct} must be given its {n_coefficients} coefficients, got {got}")
        if theta is not None and not 0 <= moved < n_coefficients:
            raise ParameterError(f"moved must be one of the {n_coefficients} coefficients, got {moved}")
        self.shape: tuple[int, int] = weights.shape
        self.dtype, self.done, self.words = weights.dtype, 0, -(-weights.shape[0] // WORD)
        n_post, n_pre = self.shape
        self._width, self._entry = LINE // self.dtype.itemsize, f"plastic_{suffix(weights)}"
        self._weights, self._state = self._tiled(weights.T), self._tiled(state)
        rows = [self._spread(c, n_post, f"coefficient {k}") for k, c in enumerate(functor.coefficients)]
        self._coefficients = self._tiled(np.array(rows, self.dtype).reshape(-1, n_post))
        self._pre, self._post = self._trace(pre, n_pre, self._width), self._trace(post, n_post, WORD)
        self._theta = None if theta is None else self._trace(theta, n_post, WORD)
        self._last = np.zeros(self.words, np.uint64)
        self._window = self._filled(rule, moved)
        self._window.inhibition = inhibition

    def run(
        self,
        events: EventRows,
        *,
        modulator: Array | None = None,
        current: Array | None = None,
        at_end: bool = False,
        threads: int = 1,
    ) -> NDArray[np.uint64]:
        """The spikes of a window as bits (T, words), for the pre spikes of T steps of one sample.

        modulator: float64 (T,); current: what else comes in, (T, n_inlets, N). at_end: normalise after the last step.
        The result does not depend on `threads`, nor on how a run is cut into windows.
        """
        n_steps, before = events.n_steps, self._pre.value.copy()
        _check_events(events, self.shape[1])
        if modulator is not None:
            check(modulator, "modulator", "float64", (n_steps,))
        padded = None if current is None else self._padded(current, n_steps)
        bits = np.empty((n_steps, self.words), np.uint64)
        given = {"start": events.start, "ids": events.ids, "modulator": modulator, "current": padded, "bits": bits}
        given["last"] = self._last

        def work(begin: int, end: int) -> None:
            window = _Window.from_buffer_copy(self._window)
            window.n_steps, window.begin, window.end = n_steps, begin, end
            window.done, window.at_end = self.done, at_end
            scaled, pre = empty(before.shape, self.dtype), self._pre.value
            if begin > 0:  # the pre trace is moved on by each range for itself
                pre = empty(before.shape, self.dtype)
                pre[:] = before
            _put(window, {**given, "scaled": scaled})
            window.pre.value = address(pre, "pre trace")
            self._library.call(self._entry, window)

        pool.run(work, self.words, 1 if self._window.inhibition else threads)
        self.done += n_steps
        self._last[:] = bits[-1] if n_steps else self._last
        return bits

    @property
    def weights(self) -> NDArray[Any]:
        """The weights (N, K)."""
        return self._untiled(self._weights).T.copy()

    @property
    def state(self) -> NDArray[Any]:
        """The neurons' state (n_states, N)."""
        return self._untiled(self._state).copy()

    @property
    def pre(self) -> NDArray[Any]:
        """The pre trace (K,)."""
        return self._pre.value[: self.shape[1]].copy()

    @property
    def post(self) -> NDArray[Any]:
        """The post trace (N,)."""
        return self._post.value[: self.shape[0]].copy()

    @property
    def theta(self) -> NDArray[Any] | None:
        """What is added to the thresholds (N,), None where they do not move."""
        return None if self._theta is None else self._theta.value[: self.shape[0]].copy()

    @property
    def last(self) -> NDArray[np.uint64]:
        """Who fired in the last step, as bits (words,)."""
        return self._last.copy()

    def rest(self, state: NDArray[Any]) -> None:
        """Puts the neurons into a state (n_states, N) and both traces to 0; weights and thresholds stay."""
        check(state, "state", str(self.dtype), (self._state.shape[1], self.shape[0]))
        self._state[:] = self._tiled(state)
        self._pre.value[:] = self._post.value[:] = 0
        self._last[:] = 0

    def _tiled(self, rows: NDArray[Any]) -> NDArray[Any]:
        """Rows (n, N) as (tile, n, width) up to a whole word; the last neuron fills the padding."""
        n_post = self.shape[0]
        filled = np.pad(rows, ((0, 0), (0, self.words * WORD - n_post)), mode="edge")
        tiled = empty((self.words * WORD // self._width, len(rows), self._width), self.dtype)
        tiled[:] = filled.reshape(len(rows), -1, self._width).transpose(1, 0, 2)
        return tiled

    def _untiled(self, tiled: NDArray[Any]) -> NDArray[Any]:
        return tiled.transpose(1, 0, 2).reshape(tiled.shape[1], -1)[:, : self.shape[0]]

    def _trace(self, leaky: Leaky, n: int, multiple: int) -> _Filtered:
        """A trace of n neurons at 0, padded."""
        value, decay, gain = (empty((-(-n // multiple) * multiple,), self.dtype) for _ in range(3))
        for array, numbers in ((value, 0.0), (decay, leaky.decay), (gain, leaky.gain)):
            array[:n], array[n:] = self._spread(numbers, n, "decay and gain of a trace"), 0
        return _Filtered(value, decay, gain, leaky.nearest, leaky.before)

    def _spread(self, numbers: Any, n: int, what: str) -> NDArray[Any]:
        """A number, or one for each of n neurons, as (n,)."""
        array = np.asarray(numbers, self.dtype)
        if array.shape not in ((), (1,), (n,)):
            raise ShapeError(f"{what} must be one number or one for each of {n} neurons, got shape {array.shape}")
        return np.broadcast_to(array, n)

    def _padded(self, current: Array, n_steps: int) -> NDArray[Any]:
        check(current, "current", str(self.dtype), (n_steps, self.n_inlets, self.shape[0]))
        padded = np.zeros((n_steps, self.n_inlets, self.words * WORD), self.dtype)
        padded[:, :, : self.shape[0]] = np.asarray(current)
        return padded

    def _filled(self, rule: Rule, moved: int) -> _Window:
        """The window with all that stays from run to run."""
        window = _Window(n_pre=self.shape[1], n_post=self.shape[0], moved=moved, every=rule.every)
        window.at_pre, window.at_post = _Change(*rule.at_pre), _Change(*rule.at_post)
        window.w_min, window.w_max, window.total = rule.w_min, rule.w_max, rule.total
        window.pre, window.post = self._pre.structure(), self._post.structure()
        if self._theta is not None:
            window.theta = self._theta.structure()
        _put(window, {"coefficients": self._coefficients, "state": self._state, "weights": self._weights})
        return window


def _put(window: _Window, arrays: Mapping[str, Array | None]) -> None:
    for name, array in arrays.items():
        setattr(window, name, None if array is None else address(array, name))


def _check_events(events: EventRows, n_pre: int) -> None:
    """Raises ShapeError or DataError unless the events are plain spikes of one sample of the pre neurons."""
    if events.n_samples != 1 or events.n != n_pre:
        got = f"{events.n_samples} samples of {events.n} neurons"
        raise ShapeError(f"events must be those of one sample of the {n_pre} pre neurons, got {got}")
    if events.values is not None:
        raise DataError("events must be plain spikes, got values; a pair rule has no meaning for graded ones")
    falls = events.ids[1:] <= events.ids[:-1]
    inner = events.start[1:-1]
    falls[inner[(inner > 0) & (inner < events.ids.size)] - 1] = False
    if falls.any():
        at = int(np.argmax(falls)) + 1
        raise DataError(f"events.ids must ascend within a step, a neuron fires once; got {events.ids[at]} at {at}")
