"""What SPAIC 0.6.3 computes, recorded by running it: one neuron, 59 steps of 1 ms, one input of weight 1.

The steps are those at which its neurons fired, less the one step that each of its connections takes; then its last
potential, in float32. v_0 is 1 where it appears, as it was in these runs. No potential came near the threshold, so that
its > is our >=.
"""

import numpy as np
import pytest
from stepping import run

from spikeloom.neurons import NEURONS

STEPS = np.arange(59)
INPUT = 1.013 * (0.5 * (STEPS % 3 == 0) + 0.25 * (STEPS % 5 == 0) - 0.4 * (STEPS % 11 == 0))
RECORDED = {
    "if": (1, {}, [5, 9, 15, 21, 30, 39, 45, 51], {"v": 0.861050009727478}),
    "ifb": (1, {"bias": 0.0625}, [3, 7, 12, 16, 20, 25, 30, 36, 40, 45, 50, 54], {"v": 0.6045500040054321}),
    "lif": (1, {}, [6, 15, 21, 30, 39, 48, 54], {"v": 0.3425510823726654}),
    "clif2k": (2, {"v_0": 1.0}, [19, 29, 39, 48, 57], {"v": 0.13028860092163086, "e": 2.3213465213775635}),
    "pclif": (
        4,
        {},
        [3, 5, 7, 9, 10, 15, 16, 18, 20, 21, 25, 27, 29, 30, 33, 36, 38, 40, 42, 45, 47, 49, 51, 53, 55, 58],
        {"v": 1.2007651329040527},
    ),
    "aclif": (2, {"v_0": 1.0}, [22, 49], {"v": 0.38496875762939453}),
    "lifm": (1, {}, [4, 7, 10, 15, 20, 25, 30, 36, 40, 45, 50, 54], {"v": 0.7003109455108643}),
    "lifstdp_ex": (
        12,
        {},
        [5, 9, 15, 20, 25, 30, 36, 40, 45, 50, 54],
        {"v": -55.94804000854492, "theta": 0.5499981641769409},
    ),
    "alifstdp_ex": (
        3,
        {},
        [3, 6, 9, 15, 18, 21, 25, 30, 31, 36, 39, 42, 48, 51, 54],
        {"v": 1.6888675689697266, "theta": 0.030199959874153137},
    ),
    "lifstdp_ih": (14, {}, [9, 15, 21, 27, 30, 39, 42, 51], {"v": -42.95772171020508}),
}


@pytest.mark.parametrize("name", RECORDED)
def test_a_neuron_does_what_spaic_does(name):
    scale, parameters, steps, last = RECORDED[name]
    spikes, states = run(NEURONS[name](**parameters), INPUT * scale, 1.0)
    assert np.flatnonzero(spikes).tolist() == steps
    for variable, value in last.items():
        assert states[variable][-1] == pytest.approx(value, rel=1e-5, abs=1e-5)


WHOLE = 900 * (np.arange(60) % 3 == 0) + 350 * (np.arange(60) % 5 == 0) - 500 * (np.arange(60) % 7 == 0)
DIEHL_AND_COOK = [
    112, 110, 108, 0, 0, 0, 0, 0, 0, 135, 185, 183, 0, 0, 0, 0, 0, 0, 135, 133, 183, 241, 238, 235, 0, 0, 0, 0, 0, 0,
    187, 184, 182, 315, 311, 284, 0, 0, 0, 0, 0, 0, 60, 59, 58, 244, 241, 238, 370, 290, 338, 469, 463, 458, 0, 0, 0,
    0, 0, 0,
]  # fmt: skip


def test_diehl_and_cook_gives_the_int32_values_of_spaic():
    spikes, states = run(NEURONS["diehlandcook"](), WHOLE.astype(float), 1.0)
    assert states["v"].tolist() == DIEHL_AND_COOK
    assert np.flatnonzero(spikes).tolist() == [3, 12, 24, 36, 54]
    assert states["thresh"][[0, 3, 12, 24, 36, 54]].tolist() == [213, 279, 345, 411, 477, 543]
    assert states["refrac_count"][:10].tolist() == [-1, -2, -3, 5, 4, 3, 2, 1, 0, -1]


def test_lifint_gives_the_int32_values_of_spaic():
    spikes, states = run(NEURONS["lifint"](thresh=900, reset_refrac=2), WHOLE.astype(float), 1.0)
    assert np.flatnonzero(spikes).tolist() == [3, 6, 9, 12, 15, 18, 24, 27, 30, 33, 36, 39, 45, 48, 51, 54, 57]
    assert states["v"][[0, 1, 2, 3, 21, 22, 23, 24, 42, 43, 44, 45]].tolist() == [750] * 3 + [0] + [400] * 3 + [0] + [
        400
    ] * 3 + [0]
    assert states["refrac_count"][:9].tolist() == [-1, -2, -3, 2, 1, 0, 2, 1, 0]
