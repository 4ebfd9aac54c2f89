"""The memory of recipe cam: what was learnt is recalled by either end, and by nothing else."""


def test_all_six_recalls_are_right_and_none_without_learning():
    import cam

    from spikeloom.plasticity import stdp

    common = {"tau_plus": 3.0, "tau_minus": 3.0, "w_max": 6.0}
    by_cue, by_content, _ = cam.recalls(stdp(a_plus=6.0, a_minus=6.0, before=True, **common))
    assert (by_cue, by_content) == (3, 3)
    assert cam.recalls(stdp(lr=0.0, **common))[:2] == (0, 0)
    assert cam.recalls(stdp(a_plus=-6.0, a_minus=-6.0, before=True, **common))[0] < 3
