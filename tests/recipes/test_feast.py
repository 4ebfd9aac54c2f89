"""The features of recipe feast, with fewer events."""

import pytest


def test_thresholds_keep_misses_where_theory_says_and_all_neurons_in_use():
    import feast

    from spikeloom.plasticity import feast as rule

    fast = {"eta": 0.05, "delta_i": 0.015, "delta_e": 0.005}  # five times the recipe's, for a tenth of its events
    found = feast.measured(rule(**fast), n_events=4000, n_clips=1)
    assert found["missed"] == pytest.approx(3 / (3 + feast.N), abs=0.03)
    assert found["spread"] < 1.6
    alone = feast.measured(rule(eta=0.05, delta_i=0.0, delta_e=0.0), n_events=4000, n_clips=1)
    assert alone["silent"] >= 3
