"""The modules of recipe vpr: they tell places, and removing neurons that answer elsewhere does not harm."""


def test_modules_tell_places_far_above_chance():
    import vpr

    found = vpr.measured(0)
    every, kept = (vpr.recall(found[way], 1) for way in ("all neurons", "without hyperactive"))
    assert every > 0.8
    assert kept >= every - 0.05
