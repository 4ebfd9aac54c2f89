"""The recipe of symmetric STDP, at its gate with one seed."""


def test_symmetric_stdp_with_scaling_learns_digits_in_one_pass_and_without_scaling_does_not():
    import symstdp

    train, test = symstdp.digits()
    reached = symstdp.accuracy(symstdp.taught(train, 100, seed=0), test)
    without = symstdp.accuracy(symstdp.taught(train, 100, seed=0, scaling=False), test)
    assert reached >= 0.70
    assert without <= reached - 0.1
