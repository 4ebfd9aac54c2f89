"""Texts from recordings as figures can show them."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

from matplotlib.font_manager import FontProperties, findfont, get_font

_MOST = 30


@cache
def _signs() -> frozenset[int]:
    """The characters that the font of the figures has."""
    return frozenset(get_font(findfont(FontProperties())).get_charmap())


def drawable(text: str, most: int | None = None) -> str:
    """The text with no formula in it, and '?' for what the figures' font lacks; of a longer one the first `most`."""
    shown = text if most is None or len(text) <= most else f"{text[: most - 3]}..."
    return "".join(c if ord(c) in _signs() and c.isprintable() else "?" for c in shown).replace("$", r"\$")


def distinct(texts: Iterable[str]) -> dict[str, str]:
    """A drawable name of each text, short, not empty, none twice."""
    found: dict[str, str] = {}
    for text in texts:
        name = drawable(text, _MOST).lstrip("_") or "(none)"
        taken = sum(other == name or other.startswith(f"{name} (") for other in found.values())
        found[text] = f"{name} ({taken + 1})" if taken else name
    return found
