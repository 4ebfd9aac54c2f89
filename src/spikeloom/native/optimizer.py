"""Optimizer steps in one pass over the numbers, in place, equal to torch.optim's.

Arrays are contiguous float32 or float64, NumPy or torch, all of one dtype and size.
"""

from __future__ import annotations

from math import prod

from ..errors import ParameterError
from . import pool
from .events import REAL, Array, check, check_out, count, dtype_name, suffix
from .library import address, include, load

GRAIN = 4096
"""Numbers a unit of work: few enough to split, a whole number of cache lines."""


def adam_step(
    parameter: Array,
    gradient: Array,
    mean: Array,
    square: Array,
    *,
    step: int,
    lr: float = 1e-3,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    decoupled: bool = False,
    threads: int = 1,
) -> None:
    """The `step`-th step (from 1) of Adam, or of AdamW where `decoupled`: changes parameter, mean and square.

    mean and square are torch's exp_avg and exp_avg_sq; all options mean what they mean in torch.optim.
    """
    _check(parameter, gradient, mean=mean, square=square)
    places, size = _places(parameter, gradient, mean, square)
    adam_at(
        suffix(parameter), places, size, step=count(step, "adam_step.step", 1), lr=lr, betas=betas, eps=eps,
        weight_decay=weight_decay, decoupled=decoupled, threads=threads,
    )  # fmt: skip


def adam_at(
    kind: str,
    places: tuple[int | None, ...],
    size: int,
    *,
    step: int,
    lr: float,
    betas: tuple[float, float],
    eps: float,
    weight_decay: float,
    decoupled: bool,
    threads: int,
) -> None:
    """`adam_step` for checked arrays of `size` numbers of a kind, 'f32' or 'f64', by the places where they start."""
    low, high = betas
    corrected, root = lr / (1 - low**step), (1 - high**step) ** -0.5
    shrink, added = (1 - lr * weight_decay, 0.0) if decoupled else (1.0, weight_decay)
    settings = tuple(map(float, (corrected, root, low, high, eps, shrink, added)))
    _run(f"adam_{kind}", places, size, settings, threads)


def sgd_step(
    parameter: Array,
    gradient: Array,
    velocity: Array | None = None,
    *,
    lr: float = 1e-3,
    momentum: float = 0.0,
    weight_decay: float = 0.0,
    nesterov: bool = False,
    threads: int = 1,
) -> None:
    """A step of SGD: changes parameter, and velocity, torch's momentum_buffer, which starts at zeros.

    velocity is needed with momentum, and only then; all options mean what they mean in torch.optim.
    """
    if (velocity is None) != (momentum == 0.0) or (nesterov and velocity is None):
        raise ParameterError(f"sgd_step takes a velocity with momentum and only then, got momentum {momentum}")
    _check(parameter, gradient, **({} if velocity is None else {"velocity": velocity}))
    settings = (float(lr), float(momentum), float(weight_decay), float(nesterov))
    _run(f"sgd_{suffix(parameter)}", *_places(parameter, gradient, velocity), settings, threads)


def _check(parameter: Array, gradient: Array, **states: Array) -> None:
    shape = (None,) * len(getattr(parameter, "shape", ()))
    check_out(parameter, "parameter", REAL, shape)
    for name, array in {"gradient": gradient, **states}.items():
        (check if name == "gradient" else check_out)(array, name, dtype_name(parameter), parameter.shape)


def _places(*arrays: Array | None) -> tuple[tuple[int | None, ...], int]:
    """Where arrays start, and how many numbers the first of them has."""
    places = tuple(None if array is None else address(array, "an optimizer's array") for array in arrays)
    return places, prod(arrays[0].shape)  # type: ignore[union-attr]


def _run(name: str, places: tuple[int | None, ...], size: int, settings: tuple[float, ...], threads: int) -> None:
    native = load(include("optimizer.hpp"))

    def step(begin: int, end: int) -> None:
        native.call(name, *places, *settings, begin * GRAIN, min(size, end * GRAIN))

    pool.run(step, -(-size // GRAIN), threads)
