"""The recipes that take seconds, at their gates."""


def test_signed_spikes_have_no_conversion_error_and_the_adversarial_pair_takes_29_steps():
    import stbif

    found = stbif.counted_out(bits=2, epochs=5)
    assert found["difference"] < 1e-12
    assert found["settled"]
    assert found["accuracy"] > 0.9
    assert [stbif.adversarial(n) for n in (17, 25, 29)] == [3.0, 11.0, 15.0]


def test_rates_come_within_a_point_of_the_network_that_they_stand_for():
    import convert

    of_torch, curves = convert.curves(epochs=10, steps=(4, 32))
    assert of_torch > 0.94
    assert curves["subtract, 99.9 %"][32] >= of_torch - 0.01
    assert curves["subtract, 99.9 %"][4] > curves["subtract, greatest"][4]


def test_the_slack_of_homeostasis_sets_how_many_inputs_a_detector_can_miss():
    import pattern

    for slack in (0.5, 2.5, 4.5):
        measured, formula = pattern.least_overlap(slack)
        assert measured == formula
    assert [pattern.cross_response(common, 2.5) for common in (14, 18)] == [0.0, 1.0]


def test_a_bessel_filter_in_blocks_gains_what_a_causal_one_loses():
    import bessel

    found = bessel.scores(0)
    assert found["Bessel, blocks of 256 ms"] >= found["raw"] + 0.02
    assert found["Bessel, causal"] < found["raw"]
    assert found["Butterworth, blocks of 128 ms"] < found["Bessel, blocks of 128 ms"]
