"""Steps of torch's Adam and AdamW in one pass over memory by a compiled kernel, of whatever layout the weights have.

The kernel, as torch's own fused steps, takes a parameter, its gradient and its moments number by number as they lie in
memory: torch does not look whether they lie in one order, here they are brought into it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.autograd.graph import increment_version
from torch.optim.optimizer import _global_optimizer_post_hooks, _global_optimizer_pre_hooks

from ..errors import CompilerError
from ..native.library import include, load
from ..native.optimizer import adam_at

PER_THREAD = 2**18
"""How many numbers are worth a thread."""

LEAST_EPS = 1e-10
"""From here on the root of a square below the smallest normal number, which the kernel takes as zero, adds nothing."""

_KINDS = {torch.float32: "f32", torch.float64: "f64"}


def take_step(optimizer: torch.optim.Optimizer, closure: Callable[[], Any] | None = None) -> None:
    """Takes a step: the compiled one where there is such, else torch's own, with numbers in the order it assumes."""
    if closure is None and compiled_step(optimizer):
        return
    lay_out(optimizer)
    if closure is None and compiled_step(optimizer):  # it goes on bit by bit from moments that come in another order
        return
    optimizer.step(*([] if closure is None else [closure]))


def compiled_step(optimizer: torch.optim.Optimizer) -> bool:
    """Takes the step that a fused torch.optim.Adam or AdamW would take; False, with nothing done, where it cannot.

    It cannot take one with hooks, sparse gradients, amsgrad, maximize, an eps below LEAST_EPS or numbers off the CPU.
    """
    if type(optimizer) not in (torch.optim.Adam, torch.optim.AdamW) or not _is_compiled():
        return False
    own = optimizer._optimizer_step_pre_hooks, optimizer._optimizer_step_post_hooks
    if any((*own, _global_optimizer_pre_hooks, _global_optimizer_post_hooks)):
        return False
    work: list[tuple[Tensor, dict[str, Any], dict[str, Any]]] = []
    for group in optimizer.param_groups:
        if not group["fused"] or group["amsgrad"] or group["maximize"]:
            return False
        if type(group["lr"]) is not float or group["eps"] < LEAST_EPS:
            return False
        for parameter in group["params"]:
            if parameter.grad is not None:
                state = optimizer.state.get(parameter) or _begun(parameter)
                if not _is_plain(parameter, state):
                    return False
                work.append((parameter, state, group))
    for parameter, state, group in work:
        optimizer.state[parameter] = state
        _step(parameter, state, group, decoupled=type(optimizer) is torch.optim.AdamW)
    optimizer._opt_called = True  # type: ignore[attr-defined]  # what torch's schedules look at
    return True


def lay_out(optimizer: torch.optim.Optimizer) -> None:
    """Brings gradients and moments into the order of their parameters in memory, where a fused step would mix them."""
    for group in optimizer.param_groups:
        for parameter in group["params"] if group.get("fused") else ():
            if (grad := parameter.grad) is not None and grad.layout is torch.strided:
                parameter.grad = _laid_out(grad, parameter)
            state = optimizer.state.get(parameter, {})
            for name, value in state.items():
                if isinstance(value, Tensor) and value.shape == parameter.shape:
                    state[name] = _laid_out(value, parameter)


def _laid_out(value: Tensor, parameter: Tensor) -> Tensor:
    if value.stride() == parameter.stride():
        return value
    return torch.empty_like(parameter.data, dtype=value.dtype, memory_format=torch.preserve_format).copy_(value)


def _begun(parameter: Tensor) -> dict[str, Tensor]:
    """What torch keeps of a parameter before the first step."""
    return {
        "step": torch.zeros((), dtype=torch.float32),
        "exp_avg": torch.zeros_like(parameter.data, memory_format=torch.preserve_format),
        "exp_avg_sq": torch.zeros_like(parameter.data, memory_format=torch.preserve_format),
    }


def _step(parameter: Tensor, state: dict[str, Any], group: dict[str, Any], *, decoupled: bool) -> None:
    """decoupled: whether weight decay is, where the group does not tell, as before torch 2.7."""
    arrays = (parameter, parameter.grad, state["exp_avg"], state["exp_avg_sq"])
    step, size = int(state["step"]) + 1, parameter.numel()
    state["step"].fill_(step)
    adam_at(
        _KINDS[parameter.dtype], tuple(array.data_ptr() for array in arrays), size,  # type: ignore[union-attr]
        step=step, lr=group["lr"], betas=group["betas"], eps=group["eps"], weight_decay=group["weight_decay"],
        decoupled=group.get("decoupled_weight_decay", decoupled),
        threads=min(torch.get_num_threads(), 1 + size // PER_THREAD),
    )  # fmt: skip
    increment_version(parameter)


def _is_plain(parameter: Tensor, state: dict[str, Any]) -> bool:
    """Whether a parameter, its gradient and its moments fill memory in one order, as numbers of one kind."""
    dtype, shape, stride = parameter.dtype, parameter.shape, parameter.stride()
    grad: Any = parameter.grad
    if dtype not in _KINDS or not parameter.is_cpu or grad.layout is not torch.strided or grad.stride() != stride:
        return False
    if not (parameter.is_contiguous() or (len(shape) == 2 and parameter.t().is_contiguous())):
        return False
    moments = state["exp_avg"], state["exp_avg_sq"]
    return all(m.is_cpu and m.dtype is dtype and m.shape == shape and m.stride() == stride for m in moments)


@cache
def _is_compiled() -> bool:
    try:
        load(include("optimizer.hpp"))
    except CompilerError:
        return False
    return True
