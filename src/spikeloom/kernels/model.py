"""A population's model as compiled functions."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from .. import native
from ..native.library import Library
from . import printer
from .adjoint import Adjoint, adjoint
from .graph import in_order
from .trace import Step


@dataclass(frozen=True)
class Model:
    """A step with its adjoint for a choice of trained coefficients; synaptic: with the synaptic input as a trace."""

    step: Step
    trained: tuple[int, ...] = ()
    synaptic: bool = False

    @cached_property
    def adjoint(self) -> Adjoint:
        """The way back."""
        return adjoint(self.step, self.trained, synaptic=self.synaptic)

    @cached_property
    def functor(self) -> str:
        """The C++ functor."""
        return printer.functor(self.step, self.adjoint, synaptic=self.synaptic)

    @property
    def spikes(self) -> bool:
        """Whether the output is spikes, as bits; else it is values."""
        return self.step.distance is not None

    @property
    def planes(self) -> int:
        """How many planes (T, B, N) the way back needs: kept values, in whose place the inlets' gradients come."""
        return max(len(self.adjoint.kept), self.step.n_inlets)

    @cached_property
    def operations(self) -> int:
        """How many operations a step takes, about; a function or a division counts as ten."""
        step = self.step
        nodes = in_order([*step.after, step.output], slopes=False)
        return sum(10 if n.op in _SLOW else n.op not in ("symbol", "const") for n in nodes)

    def source(self, real: str, width: int) -> str:
        """The source of the library for a real type, 'float' or 'double', and a tile width."""
        return printer.source(self.functor, real, width)

    def library(self, real: str, width: int) -> Library:
        """The compiled library; CompilerError where it has to be compiled and cannot be."""
        return native.load(self.source(real, width))


_SLOW = frozenset({"div", "exp", "log", "tanh", "sqrt"})


def width_for(n: int) -> int:
    """The tile width for n neurons."""
    return next((w for w in printer.WIDTHS if n <= w), printer.WIDTHS[-1])
