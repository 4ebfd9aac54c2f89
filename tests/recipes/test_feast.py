"""The features of recipe feast, with fewer events and twice its steps."""

import numpy as np
import pytest


def test_thresholds_keep_misses_where_theory_says_and_all_neurons_in_use():
    import feast

    from spikeloom.plasticity import feast as rule

    found = feast.measured(rule(eta=0.02, delta_i=0.006, delta_e=0.002), 0, n_events=8000, n_clips=40)
    assert found["missed"] == pytest.approx(3 / (3 + feast.N), abs=0.02)
    assert found["spread"] < 1.5
    assert found["told"] >= 0.9
    alone = feast.measured(rule(eta=0.02, delta_i=0.0, delta_e=0.0), 0, n_events=3000, n_clips=40)
    assert alone["silent"] >= 12
    assert alone["told"] < 0.6


def test_orientations_are_told_from_shares_of_winners_and_not_where_all_are_won_alike():
    import feast

    known = [(k, np.array([k] * 8 + [7] * n)) for k in range(4) for n in range(4)]
    assert feast.told(known, [(k, np.array([7, k, -1, k])) for k in range(4)]) == 1.0
    alike = [(k, np.zeros(8, int)) for k, _ in known]
    assert feast.told(alike, alike) == 0.25


def test_surfaces_of_bars_have_length_one_and_are_greatest_at_their_event():
    import feast

    for _, (_, surfaces) in zip(range(2), feast.clips(np.random.default_rng(0)), strict=False):
        np.testing.assert_allclose(np.linalg.norm(surfaces, axis=1), 1.0)
        assert (surfaces.max(1) == surfaces[:, surfaces.shape[1] // 2]).all()
