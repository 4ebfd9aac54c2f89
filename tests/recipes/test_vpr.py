"""The modules of recipe vpr: they tell places, and removing neurons that answer elsewhere does not harm."""

import sys
from pathlib import Path

import pytest

RECIPES = Path(__file__).parents[2] / "recipes"


@pytest.fixture
def vpr(monkeypatch):
    monkeypatch.syspath_prepend(str(RECIPES.parent / "benchmarks"))
    monkeypatch.syspath_prepend(str(RECIPES))
    import vpr

    yield vpr
    sys.modules.pop("vpr", None)


def test_modules_tell_places_far_above_chance(vpr):
    found = vpr.measured(0)
    every, kept = (vpr.recall(found[way], 1) for way in ("all neurons", "without hyperactive"))
    assert every > 0.3
    assert kept >= every - 0.05
