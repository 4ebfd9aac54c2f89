"""The base of what stands in a connection beside its link, before or after the product with the weights."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor

from ..links.link import Link
from ..parameters import ParameterSpec

Shape = tuple[int, ...]


class Window(NamedTuple):
    """What a stage is told about a run: dt in ms; whether the network is in training; what random numbers are drawn
    from; whether it is called step by step."""

    dt: float
    training: bool
    generator: torch.Generator
    stepped: bool


@dataclass(frozen=True, kw_only=True, eq=False)
class Stage(ABC):
    """Turns a signal or a current (T, B, *shape) into another.

    parameters: the names of what `specs` asks for. needs_signal: it acts on what is sent, before the weights.
    keeps_shape: the shape stays. draws: it draws random numbers in training.
    """

    name: ClassVar[str]
    parameters: ClassVar[tuple[str, ...]] = ()
    needs_signal: ClassVar[bool] = False
    keeps_shape: ClassVar[bool] = True
    draws: ClassVar[bool] = False

    def shape(self, owner: str, shape: Shape) -> Shape:
        """The shape that it turns a shape into; ShapeError where it does not fit."""
        return shape

    def specs(self, path: str, shape: Shape) -> list[ParameterSpec]:
        """The parameters that it needs, named `<path>.<name>`."""
        return []

    def initial(self, x: Tensor) -> tuple[Tensor, ...]:
        """Its state at rest, for an input of one step (B, *shape)."""
        return ()

    def link(self) -> Link | None:
        """The link that does the same to events faster, where there is one and the stage has no state."""
        return None

    @abstractmethod
    def apply(
        self, x: Tensor, state: tuple[Tensor, ...], weights: Mapping[str, Tensor], window: Window
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """The output for x (T, B, *shape) and the state after it; differentiable."""
