"""The liquid of recipe nalsm, with fewer digits."""

import sys
from pathlib import Path

import pytest

RECIPES = Path(__file__).parents[2] / "recipes"


@pytest.fixture
def nalsm(monkeypatch):
    monkeypatch.syspath_prepend(str(RECIPES.parent / "benchmarks"))
    monkeypatch.syspath_prepend(str(RECIPES))
    import nalsm

    yield nalsm
    sys.modules.pop("nalsm", None)


def test_an_astrocyte_halves_the_activity_that_plasticity_alone_would_raise(nalsm):
    found = {way: nalsm.measured(way, 0, n=128, n_shown=60) for way in nalsm.WAYS}
    drawn, alone, both = (found[way]["spikes"] for way in nalsm.WAYS)
    assert alone > 1.5 * drawn
    assert both <= 0.5 * alone
