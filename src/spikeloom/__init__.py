"""spikeloom: spiking neural networks, from raw data to a running brain."""

import os
from importlib import import_module

import lazy_loader

from .absent import absent

# MKL, which torch multiplies with, reads this at its first call: else the last bits of a product depend on where in
# memory its numbers lie on some processors, and the same seed does not give the same result.
os.environ.setdefault("MKL_CBWR", "AUTO")

_listed, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
__version__ = "0.1.0"


def __getattr__(name: str) -> object:
    if (why := absent("name", name)) is not None:
        raise AttributeError(why)
    if name in ("IO", "utils", "Library", "Network_saver"):
        return import_module(f"{__name__}.{name}")
    return _listed(name)
