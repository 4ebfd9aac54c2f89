"""The liquid of recipe nalsm, with fewer digits."""


def test_an_astrocyte_halves_the_activity_that_plasticity_alone_would_raise():
    import nalsm

    found = {way: nalsm.measured(way, 1, n=200) for way in nalsm.WAYS}
    drawn, alone, both = (found[way]["spikes"] for way in nalsm.WAYS)
    assert alone > 3 * drawn
    assert both <= 0.5 * alone
