"""The recipe of delays that learn, in a small setting."""

import sys
from pathlib import Path

import numpy as np
import pytest

RECIPES = Path(__file__).parents[2] / "recipes"


@pytest.fixture(autouse=True)
def _recipes_can_be_imported(monkeypatch):
    monkeypatch.syspath_prepend(str(RECIPES.parent / "benchmarks"))
    monkeypatch.syspath_prepend(str(RECIPES))
    yield
    for name in ("dcls", "recipe"):
        sys.modules.pop(name, None)


def test_delays_that_learn_tell_patterns_apart_that_a_network_without_delays_cannot():
    import dcls

    (none,) = dcls.accuracies("none", 0, n=800, epochs=10)
    _, learned = dcls.accuracies("learned", 0, n=800, epochs=10)
    assert learned >= none + 0.12


def test_timing_patterns_have_equal_rates_and_differ_in_their_lags_alone():
    import dcls

    data = dcls.patterns(4000, 3)
    rasters, labels = data.batch(np.arange(4000))
    rates = np.array([np.asarray(rasters)[np.asarray(labels) == k].sum((1, 2)).mean() for k in range(dcls.CLASSES)])
    assert np.ptp(rates) < 0.1
    assert rates.mean() == pytest.approx(15.0, abs=0.3)  # three spikes a channel, but where two fall together
