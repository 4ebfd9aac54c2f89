"""The recipe of CartPole in a small setting: what a few rounds teach, and an update that moves nothing does not."""

import pytest

pytest.importorskip("gymnasium", reason="the extra rl")


def test_a_spiking_policy_learns_to_balance_the_pole_and_a_frozen_one_does_not():
    import cartpole

    assert cartpole.mean_length(cartpole.trained(0, rounds=10), n=20) > 150
    assert cartpole.mean_length(cartpole.trained(0, rounds=2, rate=1e-12), n=20) < 50
