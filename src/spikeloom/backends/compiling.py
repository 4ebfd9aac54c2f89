"""A place for a run in programs that torch.compile compiles: it stands between their graphs, as one call."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


def outside_of_compile(function: Callable[P, R]) -> Callable[P, R]:
    """The function, which torch.compile calls as it is instead of tracing its lines.

    torch.compiler.disable does that too, but loads the whole compiler, which takes seconds, where nobody asked for it.
    """
    disabled: list[Callable[P, R]] = []

    @wraps(function)
    def called(*args: P.args, **kwargs: P.kwargs) -> R:
        if (compiler := sys.modules.get("torch._dynamo")) is None:
            return function(*args, **kwargs)
        if not disabled:
            disabled.append(compiler.disable(function))
        return disabled[0](*args, **kwargs)

    called._torchdynamo_disable = True  # type: ignore[attr-defined]
    return called
