"""The recipe of delays that learn, in a small setting."""

import copy

import numpy as np
import pytest


def test_training_moves_delays_that_learn_and_no_others_and_rounding_keeps_its_promise():
    import dcls

    for way, moves in (("learned", True), ("random", False)):
        net = dcls.network(way, 0)
        net.draw_parameters()
        before = copy.deepcopy(net.state_dict())
        dcls.train(net, 0, n=128, epochs=1)
        after = net.state_dict()
        moved = {name for name in before if not np.array_equal(before[name], after[name])}
        assert "a.weight" in moved
        assert ("a.delay" in moved) is moves
    assert all(0 <= reached <= 1 for reached in dcls.accuracies("learned", 0, n=64, epochs=5))


def test_timing_patterns_have_equal_rates_and_differ_in_their_lags_alone():
    import dcls

    data = dcls.patterns(4000, 3)
    rasters, labels = data.batch(np.arange(4000))
    rates = np.array([np.asarray(rasters)[np.asarray(labels) == k].sum((1, 2)).mean() for k in range(dcls.CLASSES)])
    assert np.ptp(rates) < 0.1
    assert rates.mean() == pytest.approx(15.0, abs=0.3)  # three spikes a channel, but where two fall together
