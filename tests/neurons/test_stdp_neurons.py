"""The neurons of networks that learn by STDP against the lines of their source."""

import math

import numpy as np
import pytest
from stepping import SILENT, run

import spikeloom as sl
from spikeloom.errors import ParameterError
from spikeloom.neurons import NEURONS, ALIFSTDPEx, LIFSTDPEx, LIFSTDPIh


@pytest.mark.parametrize(("model", "decay"), [(LIFSTDPEx, 0.99), (ALIFSTDPEx, 0.99), (LIFSTDPIh, math.exp(-0.1))])
def test_the_potential_falls_back_to_rest_by_a_factor_a_step(model, decay):
    neuron = model(decay_v=decay, v_th=SILENT)
    _, states = run(neuron, 5.0 * np.eye(1, 30)[0], 0.1)
    np.testing.assert_allclose(states["v"], neuron.v_rest + 5.0 * decay ** np.arange(30), rtol=1e-12)


def test_each_spike_raises_the_threshold_by_the_increment():
    outputs, states = run(LIFSTDPEx(decay_th=0.9), np.full(50, 4.0), 1.0)
    spikes = np.flatnonzero(outputs)
    assert len(spikes) > 10
    assert states["theta"][-1] == pytest.approx(0.05 * (0.9 ** (49 - spikes)).sum(), rel=1e-12)
    assert (states["v"][spikes] == -60.0).all()


def test_each_spike_raises_the_threshold_by_a_part_of_it():
    """Without decay the threshold after n spikes is v_th (1 + th_inc)^n, and each spike takes v_reset from v."""
    outputs, states = run(ALIFSTDPEx(decay_th=1.0, decay_v=1.0, th_inc=0.01), np.full(60, 1.3), 1.0)
    count = np.cumsum(outputs)
    np.testing.assert_allclose(2.0 + states["theta"], 2.0 * 1.01**count, rtol=1e-12)
    np.testing.assert_allclose(states["v"], 1.3 * np.arange(1, 61) - 2.0 * count, atol=1e-12)
    assert count[-1] > 20


def test_an_inhibitory_neuron_does_not_adapt():
    outputs, states = run(LIFSTDPIh(), np.full(40, 12.0), 1.0)
    assert len(set(np.diff(np.flatnonzero(outputs)))) == 1
    assert states["v"].max() < -40.0


def test_a_decay_is_that_of_one_step_whatever_the_step_is():
    x = np.random.default_rng(0).random(40) * 6
    for model in (LIFSTDPEx, ALIFSTDPEx, LIFSTDPIh):
        np.testing.assert_array_equal(run(model(), x, 0.1)[1]["v"], run(model(), x, 1.0)[1]["v"])


@pytest.mark.parametrize("value", [100.0, -0.1, math.nan, "a", None])
def test_a_decay_that_is_a_time_is_refused(value):
    for model, name in (
        (LIFSTDPEx, "decay_v"),
        (LIFSTDPEx, "decay_th"),
        (ALIFSTDPEx, "decay_v"),
        (LIFSTDPIh, "decay_v"),
    ):
        with pytest.raises(ParameterError, match=rf"{model.__name__}\.{name} must be"):
            model(**{name: value})


def test_the_names_of_spaic_lead_to_the_models():
    names = ("lifstdp_ex", "alifstdp_ex", "lifstdp_ih")
    assert [NEURONS[name] for name in names] == [LIFSTDPEx, ALIFSTDPEx, LIFSTDPIh]


@pytest.mark.parametrize(("model", "state"), [("lifstdp_ex", "theta"), ("alifstdp_ex", "theta"), ("aclif", "a")])
def test_a_run_forgets_what_spikes_have_added_and_a_continued_one_keeps_it(model, state):
    net = sl.Network()
    net.input = sl.Encoder(1, coding_method="null")
    net.layer = sl.NeuronGroup(1, model=model)
    net.connection = sl.Connection(net.input, net.layer, link_type="one_to_one", weight=[40.0])
    net.seen = sl.StateMonitor(net.layer, state)
    net.set_backend_dt(1.0)
    net.input(np.ones((1, 20, 1)))
    net.run(20.0)
    learnt = net.seen.values[0, 0, -1]
    net.input(np.zeros((1, 20, 1)))
    net.run_continue(20.0)  # the pause between two samples
    assert net.seen.values[0, 0, -1] > 0.9 * learnt
    assert learnt > 0
    net.run(20.0)
    assert (net.seen.values == 0).all()
