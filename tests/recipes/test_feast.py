"""The features of recipe feast, with fewer events."""

import sys
from pathlib import Path

import pytest

RECIPES = Path(__file__).parents[2] / "recipes"


@pytest.fixture
def feast(monkeypatch):
    monkeypatch.syspath_prepend(str(RECIPES.parent / "benchmarks"))
    monkeypatch.syspath_prepend(str(RECIPES))
    import feast

    yield feast
    sys.modules.pop("feast", None)


def test_thresholds_keep_misses_where_theory_says_and_all_neurons_in_use(feast):
    from spikeloom.plasticity import feast as rule

    found = feast.measured(rule(eta=0.01, delta_i=3e-3, delta_e=1e-3), n_events=8000, n_clips=4)
    assert found["missed"] == pytest.approx(3 / (3 + feast.N), abs=0.02)
    assert found["silent"] == 0
    alone = feast.measured(rule(eta=0.01, delta_i=0.0, delta_e=0.0), n_events=2000, n_clips=4)
    assert alone["silent"] >= feast.N / 2
