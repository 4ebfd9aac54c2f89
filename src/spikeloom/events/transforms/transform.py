"""Transforms: functions of events with their parameters, as frozen objects that compose."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any, ClassVar

import numpy as np

from ...errors import ParameterError
from ..container import Events
from ..filters_checks import check_events, checked, need


@dataclass(frozen=True)
class Transform:
    """A function of events with its parameters: `transform(events)`; `first | second` does one after the other.

    A random one is called with a generator, `transform(events, generator)`; the others ignore it. Parameters are
    checked when the transform is made. A concrete transform is a frozen dataclass that names its `function`, whose
    parameters are the fields.
    """

    function: ClassVar[Callable[..., Any]]

    def __post_init__(self) -> None:
        for name, value in self.parameters.items():
            checked(self.name, **{name: value})
            object.__setattr__(self, name, _plain(value))

    @property
    def name(self) -> str:
        """The name in the registry, which is the function's."""
        return str(self.function.__name__)

    @property
    def parameters(self) -> dict[str, Any]:
        """The parameters by name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @property
    def random(self) -> bool:
        """Whether a call needs a generator."""
        return "generator" in inspect.signature(self.function).parameters

    def __call__(self, events: Events, generator: np.random.Generator | None = None) -> Any:
        """What the function makes of the events."""
        check_events(events, type(self).__name__)
        if not self.random:
            return self.function(events, **self.parameters)
        return self.function(events, generator=need(generator, type(self).__name__), **self.parameters)

    def __or__(self, other: Transform) -> Compose:
        if not isinstance(other, Transform):
            return NotImplemented
        return Compose([*steps_of(self), *steps_of(other)])

    def key(self) -> dict[str, Any]:
        """Name and parameters, as JSON holds them: equal keys do the same, so that a cache can go by them."""
        return {"name": self.name, **_listed(self.parameters)}


@dataclass(frozen=True, init=False)
class Compose(Transform):
    """Transforms one after the other, in the order given. A generator is passed on to all of them."""

    transforms: tuple[Transform, ...]

    def __init__(self, transforms: Sequence[Transform]) -> None:
        if not isinstance(transforms, Iterable):
            raise ParameterError(
                f"Compose.transforms must be transforms, got {transforms!r}; one alone is [{transforms!r}]"
            )
        steps = tuple(transforms)
        for place, step in enumerate(steps):
            if not isinstance(step, Transform):
                raise ParameterError(f"Compose.transforms[{place}] must be a Transform, got {step!r}")
        object.__setattr__(self, "transforms", steps)

    @property
    def name(self) -> str:
        """The name in a key."""
        return "compose"

    @property
    def random(self) -> bool:
        """Whether any of the transforms needs a generator."""
        return any(transform.random for transform in self.transforms)

    def __call__(self, events: Events, generator: np.random.Generator | None = None) -> Any:
        """What the last transform makes of what the others made of the events."""
        result: Any = events
        if self.random:
            need(generator, "Compose")
        for transform in self.transforms:
            result = transform(result, generator)
        return result

    def __iter__(self) -> Iterator[Transform]:
        return iter(self.transforms)

    def __len__(self) -> int:
        return len(self.transforms)

    def key(self) -> dict[str, Any]:
        """The keys of the transforms in their order."""
        return {"name": self.name, "transforms": [transform.key() for transform in self.transforms]}


@dataclass(frozen=True)
class RandomApply(Transform):
    """A transform that is applied with probability p, and else leaves the events as they are."""

    transform: Transform
    p: float = 0.5

    def __post_init__(self) -> None:
        if not isinstance(self.transform, Transform):
            raise ParameterError(f"RandomApply.transform must be a Transform, got {self.transform!r}")
        object.__setattr__(self, "p", checked("random_apply", p=self.p))

    @property
    def name(self) -> str:
        """The name in the registry."""
        return "random_apply"

    @property
    def random(self) -> bool:
        """Always: whether it is applied is drawn."""
        return True

    def __call__(self, events: Events, generator: np.random.Generator | None = None) -> Any:
        """The events, or what the transform makes of them."""
        applied = need(generator, "RandomApply").random() < self.p
        return self.transform(events, generator) if applied else events

    def key(self) -> dict[str, Any]:
        """The transform's key, and the probability."""
        return {"name": self.name, "transform": self.transform.key(), "p": self.p}


def steps_of(transform: Transform) -> tuple[Transform, ...]:
    """The transforms of a composition, or the transform alone."""
    return transform.transforms if isinstance(transform, Compose) else (transform,)


def _plain(value: Any) -> Any:
    """Arrays and lists as tuples, numbers of NumPy as those of Python: values that are equal and hash as such."""
    if isinstance(value, (np.ndarray, np.generic)):
        value = value.tolist()
    return tuple(map(_plain, value)) if isinstance(value, (list, tuple)) else value


def _listed(value: Any) -> Any:
    """Tuples as lists, as JSON has them."""
    if isinstance(value, dict):
        return {name: _listed(entry) for name, entry in value.items()}
    return [_listed(entry) for entry in value] if isinstance(value, tuple) else value
