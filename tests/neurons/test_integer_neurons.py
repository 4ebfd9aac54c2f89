"""Neurons in whole numbers against Python's integers."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from stepping import run

from spikeloom.backends import TorchOps
from spikeloom.backends.ops import fire
from spikeloom.errors import ParameterError
from spikeloom.neurons import NEURONS, DiehlAndCook, LIFInt
from spikeloom.neurons.integer_lif import cut, whole
from spikeloom.ops import NumpyOps

INPUTS = st.lists(st.integers(-40000, 40000), min_size=1, max_size=60)


@given(INPUTS, st.sampled_from([torch.float32, torch.float64]))
def test_diehl_and_cook_is_exact_in_whole_numbers(inputs, real):
    spikes, states = run(DiehlAndCook(), torch.tensor(inputs, dtype=real)[:, None], 1.0, TorchOps(), fire)
    assert states["v"].dtype == str(real).removeprefix("torch.")
    v, thresh, rest = 0, 213, 0
    for t, i in enumerate(inputs):
        thresh = thresh >> 1 if thresh > 4915 else thresh
        v = (1013 * v) >> 10
        if rest <= 0:
            v += (154 * max(-32767, min(32767, i))) >> 10
        rest -= 1
        if fires := v > thresh:
            v, rest, thresh = 0, 5, thresh + 66
        v = max(v, -32767)
        assert (spikes[t, 0], states["v"][t, 0]) == (fires, v)
        assert (states["thresh"][t, 0], states["refrac_count"][t, 0]) == (thresh, rest)


@given(INPUTS, st.integers(0, 3), st.integers(-5, 5), st.integers(0, 4))
def test_lifint_is_exact_in_whole_numbers(inputs, decay, v_rest, refrac):
    neuron = LIFInt(thresh=700, decay=decay, v_rest=v_rest, v_reset=-3, reset_refrac=refrac)
    inputs = [max(-900, min(900, i)) for i in inputs][:12]
    spikes, states = run(neuron, np.array(inputs, dtype=float)[:, None], 1.0)
    v, rest = 0, 0
    for t, i in enumerate(inputs):
        v = decay * (v - v_rest) + v_rest + (0 if rest > 0 else i)
        rest -= 1
        if fires := v >= 700:
            v, rest = -3, refrac
        assert (spikes[t, 0], states["v"][t, 0], states["refrac_count"][t, 0]) == (fires, v, rest)


@given(st.integers(-(2**22), 2**22), st.integers(0, 12))
def test_the_floor_of_a_quotient_is_a_shift_below_zero_too(k, shift):
    for real in (np.float32, np.float64):
        assert whole(np.array([k], dtype=real) * 0.5**shift, NumpyOps())[0] == k >> shift


def test_an_input_is_cut_towards_zero_as_a_conversion_to_integers_does():
    x = np.array([1.9, 1.0, 0.5, 0.0, -0.5, -1.0, -1.9])
    np.testing.assert_array_equal(cut(x, NumpyOps()), np.trunc(x))
    _, states = run(LIFInt(thresh=100.0), np.array([2.75, -1.5]), 1.0)
    assert states["v"].tolist() == [2.0, 1.0]


def test_a_threshold_that_is_reached_does_not_fire_in_diehl_and_cook_and_does_in_lifint():
    neuron = DiehlAndCook(thresh=154.0)
    assert run(neuron, np.array([1024.0]), 1.0)[0].tolist() == [0]  # v = 154, as in the source: v > thresh
    assert run(neuron, np.array([1031.0]), 1.0)[0].tolist() == [1]
    assert run(LIFInt(thresh=5.0), np.array([5.0]), 1.0)[0].tolist() == [1]


def test_no_potential_is_below_its_bound():
    _, states = run(DiehlAndCook(), np.full(12, -40000.0), 1.0)
    assert states["v"][0] == (154 * -32767) >> 10
    assert states["v"][-1] == -32767
    assert run(DiehlAndCook(lbound=-100.0), np.full(3, -2000.0), 1.0)[1]["v"].tolist() == [-100.0] * 3


def test_a_threshold_that_is_too_high_is_halved():
    _, states = run(DiehlAndCook(thresh=4917.0), np.zeros(2), 1.0)
    assert states["thresh"].tolist() == [2458.0, 2458.0]


def test_the_gradient_passes_a_floor_as_if_it_were_not_there():
    x = torch.tensor([2.7, -2.7], dtype=torch.float64, requires_grad=True)
    for function in (whole, cut):
        y = function(x, TorchOps())
        (gradient,) = torch.autograd.grad(y.sum(), x)
        assert gradient.tolist() == [1.0, 1.0]


@pytest.mark.parametrize(
    ("model", "wrong", "message"),
    [
        (LIFInt, {"thresh": 1.5}, r"LIFInt\.thresh must be a whole number, got 1\.5"),
        (LIFInt, {"decay": [1.0, 0.5]}, r"LIFInt\.decay must be a whole number"),
        (LIFInt, {"reset_refrac": "2"}, r"LIFInt\.reset_refrac must be"),
        (DiehlAndCook, {"thresh_plus": 0.1}, r"DiehlAndCook\.thresh_plus must be a whole number, got 0\.1"),
        (DiehlAndCook, {"shift_voltage": 10.0}, r"DiehlAndCook\.shift_voltage must be a whole number from 0 to 30"),
        (DiehlAndCook, {"shift_weight_sum_coef": 31}, r"shift_weight_sum_coef must be a whole number from 0 to 30"),
        (DiehlAndCook, {"shift_voltage": True}, r"shift_voltage must be a whole number from 0 to 30"),
        (DiehlAndCook, {"weight_sum_min": 40000}, r"weight_sum_min must not be above weight_sum_max"),
    ],
)
def test_what_is_no_whole_number_is_refused(model, wrong, message):
    with pytest.raises(ParameterError, match=message):
        model(**wrong)


def test_the_names_of_spaic_lead_to_the_models():
    assert [NEURONS[name] for name in ("lifint", "diehlAndCook", "diehlandcook")] == [
        LIFInt,
        DiehlAndCook,
        DiehlAndCook,
    ]
