"""The compiled functions of this package, or none: then the NumPy references run."""

from ..native.compiled import compiled

__all__ = ["compiled"]
