"""New classes by prototypes, as recipe edge learns them."""


def test_twenty_shots_teach_new_classes_and_old_ones_stay():
    import edge

    found = edge.measured(20, 0)
    assert found["old"] >= found["before"] - 0.02
    assert found["new"] >= 0.4
    assert found["SGD, old"] < 0.5


def test_a_network_that_is_too_large_is_refused_with_the_reason():
    import edge

    (x, y), _ = edge.digits()
    large = edge.convert(edge.trained(x[:64], y[:64] % 8, 300), x[:64])[0]
    assert any(
        "neurons: 308 are needed, 256 are there" in problem
        for problem in edge.check_device(large, edge.DEVICE).problems
    )
