"""The instruction sets that kernels are compiled for, and the best one that this processor has."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from ..errors import ParameterError

FLAGS = {
    "x86-64-v4": ("-march=x86-64-v4", "-mprefer-vector-width=512"),
    "x86-64-v3": ("-march=x86-64-v3",),
    "x86-64-v2": ("-march=x86-64-v2",),
    "portable": (),
}
"""The compiler's flags of each level, the best first."""

SETTING = "SPIKELOOM_LEVEL"
"""The environment variable that asks for a lower level than the processor has."""

CPU_INFO = Path("/proc/cpuinfo")
_V2 = {"cx16", "lahf_lm", "popcnt", "sse4_1", "sse4_2", "ssse3"}
_V3 = _V2 | {"abm", "avx2", "bmi1", "bmi2", "f16c", "fma", "movbe"}
_V4 = _V3 | {"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"}
_NEEDS = {"x86-64-v4": _V4, "x86-64-v3": _V3, "x86-64-v2": _V2}

_asked: list[str] = []


def is_x86() -> bool:
    """Whether this is a 64-bit x86 machine, which has levels of its own."""
    return platform.machine() in ("x86_64", "AMD64")


@cache
def available() -> tuple[str, ...]:
    """The levels that this processor has, the best first; 'portable' where it is no x86-64 or does not tell."""
    if not is_x86():
        return ("portable",)
    lines = CPU_INFO.read_text().splitlines() if CPU_INFO.is_file() else []
    has = set(next((line.partition(":")[2].split() for line in lines if line.startswith("flags")), []))
    return (*(level for level in FLAGS if level in _NEEDS and _NEEDS[level] <= has), "portable")


def level() -> str:
    """The level in use: the best one, or the one that `using` or the environment asks for."""
    asked = _asked[-1] if _asked else os.environ.get(SETTING) or None
    return available()[0] if asked is None else _checked(asked)


@contextmanager
def using(name: str) -> Iterator[None]:
    """Kernels of another level within the block, such as a lower one to compare with."""
    _asked.append(_checked(name))
    try:
        yield
    finally:
        _asked.pop()


def _checked(name: str) -> str:
    if name not in available():
        raise ParameterError(
            f"instruction set {name!r} (by {SETTING} or `native.using`) is not to be had here; "
            f"there is: {', '.join(available())}"
        )
    return name
