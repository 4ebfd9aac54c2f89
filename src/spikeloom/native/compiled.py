"""The compiled functions of a header, or none: then the NumPy references run."""

from __future__ import annotations

import logging
from functools import cache

from ..errors import CompilerError
from .library import Library, include, load

_log = logging.getLogger(__name__)


@cache
def compiled(header: str) -> Library | None:
    """The library of one of the package's headers; None, told once, where it cannot be compiled here."""
    try:
        return load(include(header))
    except CompilerError as error:
        _log.warning("%s runs as NumPy code, which is slower: %s", header, error)
        return None
