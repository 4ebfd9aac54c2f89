"""Neurons without a leak, and the empty model, against hand counts."""

import numpy as np
import pytest
from stepping import SILENT, fired, run

from spikeloom.errors import ParameterError
from spikeloom.neurons import IF, IFB, NEURONS, Emission, IFSoftReset, NonSpikingIFB, Null, ToValue


def test_a_soft_reset_keeps_what_was_above_the_threshold():
    outputs, states = run(IFSoftReset(), np.full(10, 0.75), 1.0)
    # 0.75 1.5 1.25 1.0 0.75 ... before the reset
    assert outputs.tolist() == [0, 1, 1, 1, 0, 1, 1, 1, 0, 1]
    assert states["v"].tolist() == [0.75, 0.5, 0.25, 0.0, 0.75, 0.5, 0.25, 0.0, 0.75, 0.5]


@pytest.mark.parametrize("i", [0.1, 0.3, 0.77, 1.0])
def test_the_rate_of_a_soft_reset_is_the_input_and_that_of_a_hard_reset_is_less(i):
    """Rueckauer et al. 2017: the count of n steps is floor(i n); a hard reset fires every ceil(1 / i) steps."""
    i, n = i + 1e-9, 200
    assert len(fired(IFSoftReset(), np.full(n, i), 1.0)) == int(i * n)
    assert len(fired(IF(), np.full(n, i), 1.0)) == n // int(np.ceil(1 / i))


def test_the_constant_decay_of_a_soft_reset_is_lost_in_every_step():
    _, states = run(IFSoftReset(constant_decay=0.25, v_th=SILENT), np.array([1.0, 0.5, 0.0]), 1.0)
    assert states["v"].tolist() == [0.75, 1.0, 0.75]


def test_a_bias_alone_drives_a_neuron():
    outputs, states = run(IFB(bias=0.25, v_reset=-0.25), np.zeros(9), 1.0)
    assert outputs.tolist() == [0, 0, 0, 1, 0, 0, 0, 0, 1]
    assert states["v"].tolist() == [0.25, 0.5, 0.75, -0.25, 0.0, 0.25, 0.5, 0.75, -0.25]


def test_an_adder_without_spikes_emits_the_sum_of_all_that_came_in():
    x = np.random.default_rng(0).normal(size=(40, 3))
    outputs, _ = run(NonSpikingIFB(bias=0.5), x, 1.0)
    np.testing.assert_allclose(outputs, np.cumsum(x + 0.5, axis=0), atol=1e-12)


def test_the_empty_model_passes_on_what_comes_in():
    x = np.random.default_rng(0).normal(size=(5, 2))
    outputs, _ = run(Null(), x, 1.0)
    np.testing.assert_array_equal(outputs, x)


def test_another_emission_takes_the_place_of_the_soft_reset():
    neuron = IFSoftReset(v_reset=0.5, emission=Emission(reset=ToValue("v_reset")))
    assert run(neuron, np.array([2.0]), 1.0)[1]["v"].tolist() == [0.5]


@pytest.mark.parametrize("name", ["ifsoftreset", "IF_Soft_Reset", "ifb", "nonspikingifb", "null", "IFNode"])
def test_names_of_spaic_and_others_lead_to_the_model(name):
    assert NEURONS[name]().initial() == (0.0,)


@pytest.mark.parametrize(
    ("model", "name"), [(IFB, "bias"), (IFB, "v_th"), (NonSpikingIFB, "bias"), (IFSoftReset, "v_th")]
)
@pytest.mark.parametrize("value", [np.nan, "1", None, True])
def test_what_is_no_finite_number_is_refused_by_name(model, name, value):
    with pytest.raises(ParameterError, match=rf"{model.__name__}\.{name} must be"):
        model(**{name: value})
