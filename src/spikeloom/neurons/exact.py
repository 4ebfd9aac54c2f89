"""Integrals that the exact solution of linear equations over one step is made of."""

from __future__ import annotations

from ..ops import Array, Ops

_TINY = 1e-8


def overlap(a: Array, b: Array, dt: float, xp: Ops[Array]) -> Array:
    """The integral of exp(-a (dt - s)) exp(-b s) over s from 0 to dt: what a leak of rate a makes of an input that
    decays with rate b. Rates in 1/ms; exact, and without loss of digits, also where they are equal or 0.
    """
    # (exp(-b dt) - exp(-a dt)) / (a - b), as the mean of both exponentials times tanh(y) / y
    y = xp.maximum(xp.abs(a - b) * (dt / 2), _TINY)
    return dt * xp.tanh(y) / y * ((xp.exp(-a * dt) + xp.exp(-b * dt)) * 0.5)
