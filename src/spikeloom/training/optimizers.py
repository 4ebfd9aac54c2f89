"""The optimizer of a learner and its schedule, and how another goes on from where they were left."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
from torch import nn

from ..errors import ParameterError, StateError
from ..registry import Registry


def _torch_classes(kind: str, module: Any, base: type[Any]) -> Registry[type[Any]]:
    registry: Registry[type[Any]] = Registry(kind)
    for name, value in sorted(vars(module).items()):
        if inspect.isclass(value) and issubclass(value, base) and value is not base and not name.startswith("_"):
            registry.add(name, value)
    return registry


OPTIMIZERS = _torch_classes("optimizer", torch.optim, torch.optim.Optimizer)
SCHEDULES = _torch_classes("schedule", torch.optim.lr_scheduler, torch.optim.lr_scheduler.LRScheduler)


class Left(NamedTuple):
    """Where an optimizer and its schedule were left: what goes on in those that are made in their place."""

    parameters: list[nn.Parameter]
    states: dict[torch.Tensor, Any]
    groups: list[dict[str, Any]]
    schedule: dict[str, Any] | None
    stepped: bool


class Made(NamedTuple):
    """An optimizer of parameters, with its schedule."""

    parameters: list[nn.Parameter]
    optimizer: torch.optim.Optimizer
    schedule: Any
    kinds: list[tuple[torch.dtype, torch.device]]

    def left(self) -> Left:
        """Where they are now."""
        groups = [{k: v for k, v in group.items() if k != "params"} for group in self.optimizer.param_groups]
        schedule = None if self.schedule is None else self.schedule.state_dict()
        stepped = getattr(self.optimizer, "_opt_called", False)
        return Left(self.parameters, dict(self.optimizer.state), groups, schedule, stepped)

    def resume(self, left: Left) -> None:
        """Goes on from where others were left, with the states of the parameters that are still there."""
        if not isinstance(self.optimizer, torch.optim.LBFGS) or same(self.parameters, left.parameters):
            self.optimizer.state.update({p: _alike(left.states[p], p) for p in self.parameters if p in left.states})
        if len(left.groups) != len(self.optimizer.param_groups):
            raise StateError(
                "delays that learn came to the weights in training, or went; call the learner's set_optimizer anew"
            )
        for group, values in zip(self.optimizer.param_groups, left.groups, strict=True):
            group.update(values)
        if left.stepped:
            self.optimizer._opt_called = True  # type: ignore[attr-defined]  # else torch warns at the schedule's step
        if self.schedule is not None:
            self.schedule.load_state_dict(left.schedule)


Choice = tuple[str, dict[str, Any]]
"""The name of an optimizer or a schedule, and its options."""

DELAY_RATE = 100.0
"""How many times the learning rate of weights that of delays is, in steps (Hammouamri et al. 2023)."""


def make(
    optimizer: Choice, schedule: Choice | None, parameters: list[nn.Parameter], delays: list[nn.Parameter], dt: float
) -> Made:
    """The optimizer of parameters, with its schedule; delays: those among them that are learned delays in ms.

    These are a second group, with the learning rate `delay_lr` of the options and without weight decay.
    """
    name, options = optimizer
    subject: Any = parameters
    if delays:
        subject = _groups(name, options, parameters, delays, dt)
        _check_schedule(schedule)
    elif "delay_lr" in options:
        raise ParameterError(f"optimizer {name!r}: delay_lr is given, but no delay that learns is trained; omit it")
    own = {k: v for k, v in options.items() if k != "delay_lr"}
    made = _from_torch(OPTIMIZERS, name, _fused(name, own, parameters), subject)
    follows = None if schedule is None else _from_torch(SCHEDULES, *schedule, made)
    return Made(parameters, made, follows, kinds_of(parameters))


def _groups(
    name: str, options: Mapping[str, Any], parameters: list[nn.Parameter], delays: list[nn.Parameter], dt: float
) -> list[dict[str, Any]]:
    """Weights and all else, and delays: 100 times the learning rate in steps unless `delay_lr` names another."""
    if name == "LBFGS":
        raise ParameterError(
            "optimizer 'LBFGS' has one learning rate for all, delays that learn need their own: 'Adam'"
        )
    known, late = inspect.signature(OPTIMIZERS[name]).parameters, {id(p) for p in delays}
    lr = options.get("lr", known["lr"].default)
    own = {"lr": options.get("delay_lr", DELAY_RATE * lr * dt)} | (
        {"weight_decay": 0.0} if "weight_decay" in known else {}
    )
    return [{"params": [p for p in parameters if id(p) not in late]}, {"params": delays, **own}]


def _check_schedule(schedule: Choice | None) -> None:
    """Raises ParameterError where one number would set the learning rate of weights and delays alike."""
    name, options = schedule or ("", {})
    for option in ("max_lr", "base_lr"):
        if option in options and not isinstance(options[option], (list, tuple)):
            raise ParameterError(
                f"schedule {name!r}: {option} must be [that of weights, that of delays], since delays learn, got "
                f"{options[option]!r}"
            )


def _fused(name: str, options: Mapping[str, Any], parameters: list[nn.Parameter]) -> dict[str, Any]:
    """The options, with torch's fused step (one pass over a parameter and its moments) where nothing speaks against.

    Fused SGD with momentum fails on parameters of which some were trained before. Where a parameter's numbers lie apart
    in memory, fused steps change what is between them.
    """
    own = {"fused", "foreach", "differentiable"} | ({"momentum"} if name == "SGD" else set())
    if name not in _HAVE_FUSED or own & set(options):
        return dict(options)
    return {**options, "fused": all(p.is_floating_point() and _is_dense(p) for p in parameters)}


def _is_dense(parameter: nn.Parameter) -> bool:
    """Whether the numbers of a parameter fill memory, in some order."""
    strided = parameter.layout is torch.strided
    return strided and torch.empty_like(parameter, device="meta").stride() == parameter.stride()


_HAVE_FUSED = ("Adam", "AdamW", "SGD")


def kinds_of(parameters: list[nn.Parameter]) -> list[tuple[torch.dtype, torch.device]]:
    """The precision and the place of parameters, which a backend may change."""
    return [(p.dtype, p.device) for p in parameters]


def _alike(state: Mapping[str, Any], parameter: nn.Parameter) -> dict[str, Any]:
    """What an optimizer keeps of a parameter, in the precision and on the device that this has by now."""
    moves = {k: v for k, v in state.items() if isinstance(v, torch.Tensor) and v.shape == parameter.shape}
    return {**state, **{k: v.to(parameter) for k, v in moves.items()}}


def closure_of(made: Made, closure: Callable[[], Any]) -> Callable[[], Any]:
    """The closure as the optimizer takes it: LBFGS takes no gradients in another layout, as the event path gives."""
    if not isinstance(made.optimizer, torch.optim.LBFGS):
        return closure

    def by_rows() -> Any:
        loss = closure()
        for parameter in made.parameters:
            if parameter.grad is not None:
                parameter.grad = parameter.grad.contiguous()
        return loss

    return by_rows


def same(some: list[nn.Parameter], others: list[nn.Parameter]) -> bool:
    """Whether these are the very same parameters in one order."""
    return [id(p) for p in some] == [id(p) for p in others]


def _from_torch(kinds: Registry[type[Any]], name: str, options: dict[str, Any], subject: Any) -> Any:
    """The optimizer or schedule of that name for its subject; ParameterError where torch refuses the options."""
    try:
        return kinds[name](subject, **options)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ParameterError(f"{kinds.kind} {name!r}: {error}") from error
