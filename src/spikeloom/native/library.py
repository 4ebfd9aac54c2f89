"""Calls into compiled libraries: plain C functions on arrays."""

from __future__ import annotations

import ctypes
from functools import cache
from typing import Any

import numpy as np

from ..errors import CompilerError, DataError
from . import compiler, levels


class Library:
    """A loaded library. Its functions take int64_t, double, const char* and pointers, and return nothing."""

    def __init__(self, path: str) -> None:
        self._library = ctypes.CDLL(path)

    def entry(self, name: str) -> int:
        """The address of a function, for a library that calls another one."""
        return ctypes.cast(getattr(self._library, name), ctypes.c_void_p).value or 0

    def call(self, name: str, *arguments: Any) -> None:
        """Calls a function: int as int64_t, float as double, None as a null pointer, an array by its address.

        Arrays (NumPy or torch, on the CPU) must be contiguous; they live at least as long as the call. Raises DataError
        for one that is not.
        """
        getattr(self._library, name)(*[_as_c(name, k, a) for k, a in enumerate(arguments)])


def _as_c(name: str, position: int, value: Any) -> Any:
    kind = type(value)
    if kind is np.ndarray and value.flags.c_contiguous:  # the most frequent
        return ctypes.c_void_p(start(value))
    if kind is int:
        return ctypes.c_int64(value)
    if kind is float:
        return ctypes.c_double(value)
    if value is None:
        return ctypes.c_void_p(None)
    if isinstance(value, int):
        return ctypes.c_int64(value)
    if isinstance(value, float):
        return ctypes.c_double(value)
    if isinstance(value, (ctypes.Structure, ctypes.Array)):
        return ctypes.byref(value)
    return ctypes.c_void_p(address(value, f"{name}, argument {position}"))


def address(array: Any, what: str) -> int:
    """Where the numbers of an array start; DataError unless it is a contiguous array on the CPU."""
    if hasattr(array, "data_ptr"):
        if array.device.type != "cpu" or not array.is_contiguous():
            raise DataError(f"{what} must be a contiguous tensor on the CPU, got {array.device}, {array.stride()}")
        place = int(array.data_ptr())
        if not place and array.numel():
            raise DataError(f"{what} must hold its numbers, got a tensor whose memory was freed")
        return place
    if not hasattr(array, "ctypes"):
        raise DataError(f"{what} must be an int, a float, None or an array, got {type(array).__name__}")
    if not array.flags.c_contiguous:
        raise DataError(f"{what} must be a contiguous array, got strides {array.strides}")
    return start(array)


def start(array: Any) -> int:
    """Where the numbers of a contiguous array start: `array.ctypes.data`, in a third of the time where it can be."""
    try:
        return ctypes.addressof(ctypes.c_char.from_buffer(array))
    except (TypeError, ValueError):  # one that is read-only, or empty
        return int(array.ctypes.data)


def load(source: str, level: str | None = None) -> Library:
    """The library of a source for a level (default: the one in use), compiled where it is found nowhere.

    One in the cache that does not load, such as another machine's, is compiled again. CompilerError where it is not to
    be had.
    """
    return _load(source, levels.level() if level is None else level)


@cache
def _load(source: str, level: str) -> Library:
    path = compiler.find(source, level)
    try:
        return Library(str(path))
    except OSError as error:
        path = compiler.renew(path, source, level, str(error))
    try:
        return Library(str(path))
    except OSError as error:
        raise CompilerError(f"the kernel {path} was just compiled and does not load: {error}") from error


def include(header: str) -> str:
    """The source of a library that is one of the package's headers, such as 'events.hpp'."""
    return f'#include "spikeloom/{header}"\n'
