"""The neurons with a double-exponential kernel against closed forms."""

import math

import numpy as np
import pytest
from stepping import SILENT, fired, run

from spikeloom.errors import ParameterError
from spikeloom.neurons import CLIF, CLIF2K, NEURONS, PCLIF, AdaptiveCLIF


def test_the_response_of_clif2k_is_that_of_its_two_time_constants_with_a_peak_of_one():
    _, states = run(CLIF2K(v_th=SILENT), np.eye(1, 900)[0], 0.1)
    t = np.arange(900) * 0.1
    gain = (20 / 12) ** ((20 / 12) / (20 / 12 - 1)) / (20 / 12 - 1)
    np.testing.assert_allclose(states["v"], gain * (np.exp(-t / 20) - np.exp(-t / 12)), atol=1e-12)
    assert states["v"].max() == pytest.approx(1.0, abs=1e-5)
    # d/dt (exp(-t/20) - exp(-t/12)) = 0
    assert states["v"].argmax() == round(math.log(20 / 12) * 20 * 12 / (20 - 12) / 0.1)


def test_clif2k_is_clif_whose_slow_part_and_reset_share_a_time_constant():
    x = np.random.default_rng(0).random(300)
    twin = CLIF(tau_m=20.0, tau_p=20.0, tau_q=12.0)
    np.testing.assert_array_equal(run(CLIF2K(), x, 0.5)[1]["v"], run(twin, x, 0.5)[1]["v"])
    assert CLIF2K.trains == CLIF.trains == ("v_0",)


def test_the_response_of_pclif_is_a_difference_of_powers():
    _, states = run(PCLIF(v_th=SILENT), np.eye(1, 30)[0], 0.1)
    n = np.arange(1, 31)
    np.testing.assert_allclose(states["v"], 0.9**n - 0.6**n, atol=1e-15)
    np.testing.assert_array_equal(states["v"], run(PCLIF(v_th=SILENT), np.eye(1, 30)[0], 5.0)[1]["v"])
    assert PCLIF.trains == ("tau_m", "tau_s")


def test_the_reset_of_pclif_is_a_sum_of_powers():
    x = np.full(60, 0.7)
    spikes = np.array(fired(PCLIF(v_th=0.5), x, 0.1))
    _, states = run(PCLIF(v_th=0.5), x, 0.1)
    assert len(spikes) > 5
    assert states["e"][-1] == pytest.approx(0.5 * (0.9 ** (59 - spikes)).sum(), rel=1e-12)


def test_aclif_without_adaptation_is_clif():
    x = np.random.default_rng(0).random(300)
    np.testing.assert_array_equal(run(AdaptiveCLIF(beta_adaptive=0.0), x, 0.5)[1]["v"], run(CLIF(), x, 0.5)[1]["v"])


def test_the_adaptation_of_aclif_lowers_the_potential_by_the_spikes_that_it_remembers():
    x = np.full(400, 0.3)
    outputs, states = run(AdaptiveCLIF(tau_a=50.0, beta_adaptive=0.2), x, 0.5)
    spikes = np.flatnonzero(outputs)
    assert len(spikes) > 5
    remembered = np.exp(-(399 - spikes) * 0.5 / 50).sum()
    assert states["a"][-1] == pytest.approx(remembered, rel=1e-12)
    before = np.exp(-(398 - spikes[spikes < 399]) * 0.5 / 50).sum()
    e_before = np.exp(-(398 - spikes[spikes < 399]) * 0.5 / 20).sum()
    assert states["v"][-1] == pytest.approx(states["m"][-1] - states["s"][-1] - e_before - 0.2 * before, rel=1e-10)
    assert len(spikes) < len(fired(CLIF(), x, 0.5))


@pytest.mark.parametrize("value", [1.5, -0.1, math.nan, "0.9", True, [0.5, 20.0]])
@pytest.mark.parametrize("name", ["tau_m", "tau_s"])
def test_a_factor_that_is_a_time_is_refused_in_pclif(name, value):
    with pytest.raises(ParameterError, match=rf"PCLIF\.{name} must be"):
        PCLIF(**{name: value})


def test_a_kernel_without_a_peak_is_refused_by_the_name_of_the_model():
    with pytest.raises(ParameterError, match=r"CLIF2K\.tau_m must be greater than tau_s"):
        CLIF2K(tau_m=12.0)
    with pytest.raises(ParameterError, match=r"AdaptiveCLIF\.tau_p must be greater than tau_q"):
        AdaptiveCLIF(tau_p=8.0)
    with pytest.raises(ParameterError, match=r"AdaptiveCLIF\.tau_a must be"):
        AdaptiveCLIF(tau_a=0.0)


def test_the_names_of_spaic_lead_to_the_models():
    assert [NEURONS[name] for name in ("CLIF2k", "pclif", "aCLIF")] == [CLIF2K, PCLIF, AdaptiveCLIF]
