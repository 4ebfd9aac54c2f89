"""Compiled kernels: the C++ headers, the choice of the instruction set, the compiler and its cache.

Each entry has a reference in NumPy or torch that the tests compare with. Nothing here imports torch.
"""

from .levels import available, level, using
from .library import Library, include, load

__all__ = ["Library", "available", "include", "level", "load", "using"]
