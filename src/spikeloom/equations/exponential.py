"""What the exact solution of x' = A x + b over a time h is made of: exp(A h) - 1, and the integral of exp(A s) b over s
from 0 to h.

Entries may be numbers, arrays, tensors or symbols; None stands for a structural zero, of which none is computed.
"""

from __future__ import annotations

from functools import lru_cache
from math import factorial

from ..ops import Array, Ops

Entry = Array | None
Vector = list[Entry]
Matrix = list[Vector]

_DOUBLINGS, _TINY = 14, 1e-8
_DEGREE = 16


def divided(p: Array, q: Array, xp: Ops[Array]) -> Array:
    """(exp(p) - exp(q)) / (p - q), without loss of digits near p = q, and exp(p) there."""
    y = xp.maximum(xp.abs(p - q) * 0.5, _TINY)
    return xp.tanh(y) / y * ((xp.exp(p) + xp.exp(q)) * 0.5)


def exprel(x: Array, xp: Ops[Array]) -> Array:
    """(exp(x) - 1) / x, without loss of digits near 0, and 1 there."""
    return divided(x, 0.0 * x, xp)


def exponential(a: Matrix, h: Array, drives: list[Vector]) -> tuple[Matrix, list[Vector]]:
    """exp(A h) - 1 and, for each drive b, the integral of exp(A s) b: by Taylor series for h / 2**14 and as many
    doublings; to 13 digits for rates up to 1e4 / h. Of plain numbers, as every step asks for, it is kept."""
    if isinstance(h, float) and all(e is None or isinstance(e, float) for row in (*a, *drives) for e in row):
        return _of_numbers(tuple(map(tuple, a)), h, tuple(map(tuple, drives)))
    return _exponential(a, h, drives)


@lru_cache(maxsize=64)
def _of_numbers(
    a: tuple[tuple[float | None, ...], ...], h: float, drives: tuple[tuple[float | None, ...], ...]
) -> tuple[Matrix, list[Vector]]:
    return _exponential([list(row) for row in a], h, [list(row) for row in drives])


def _exponential(a: Matrix, h: Array, drives: list[Vector]) -> tuple[Matrix, list[Vector]]:
    small = h * 2.0**-_DOUBLINGS
    x = [_scaled(row, small) for row in a]
    grown = _series(x)
    found = [_scaled(_mean(x, b), small) for b in drives]
    for _ in range(_DOUBLINGS):
        found = [_sum(_sum(g, g), _applied(grown, g)) for g in found]
        grown = _added(_added(grown, grown), _product(grown, grown))
    return grown, found


def _series(x: Matrix) -> Matrix:
    """exp(X) - 1 to X**16, in six products."""
    powers = [x]
    for _ in range(3):
        powers.append(_product(powers[-1], x))
    found: Matrix = [[None for _ in x] for _ in x]
    for first in range(_DEGREE - 4, -1, -4):
        found = _product(powers[3], found)
        for k, power in enumerate(powers, first + 1):
            found = _added(found, [_scaled(row, 1 / factorial(k)) for row in power])
    return found


def _mean(x: Matrix, b: Vector) -> Vector:
    """(exp(X) - 1) / X b: the mean of exp(X s) b over s from 0 to 1."""
    found = _scaled(b, 1 / factorial(_DEGREE + 1))
    for k in range(_DEGREE, 0, -1):
        found = _sum(_scaled(b, 1 / factorial(k)), _applied(x, found))
    return found


def plus(a: Entry, b: Entry) -> Entry:
    """The sum of two entries."""
    return b if a is None else a if b is None else a + b


def times(a: Entry, b: Entry) -> Entry:
    """The product of two entries."""
    return None if a is None or b is None else a * b


def _sum(a: Vector, b: Vector) -> Vector:
    return [plus(x, y) for x, y in zip(a, b, strict=True)]


def _scaled(a: Vector, factor: Array) -> Vector:
    return [times(x, factor) for x in a]


def _added(a: Matrix, b: Matrix) -> Matrix:
    return [_sum(p, q) for p, q in zip(a, b, strict=True)]


def _applied(a: Matrix, b: Vector) -> Vector:
    found: Vector = [None for _ in b]
    for i, row in enumerate(a):
        for entry, other in zip(row, b, strict=True):
            found[i] = plus(found[i], times(entry, other))
    return found


def _product(a: Matrix, b: Matrix) -> Matrix:
    columns = [_applied(a, list(column)) for column in zip(*b, strict=True)]
    return [list(row) for row in zip(*columns, strict=True)]
