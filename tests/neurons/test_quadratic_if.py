"""The quadratic integrate-and-fire neuron against its closed forms."""

import math

import kernel_networks
import numpy as np
import pytest
import torch
from kernel_networks import Case, Kind, Wire, on_both_paths
from neuron_runs import run, times_of

import spikeloom as sl
from spikeloom.errors import ParameterError
from spikeloom.neurons import NEURONS
from spikeloom.neurons.quadratic_if import QuadraticIF


@pytest.mark.parametrize("current", [0.5, 1.0, 4.0])
def test_the_period_is_that_of_the_closed_form(current):
    root, dt = math.sqrt(current), 0.005
    period = 10.0 / root * (math.atan(10.0 / root) + math.atan(10.0 / root))
    times = times_of(run(QuadraticIF(), np.full(round(4.5 * period / dt), current), dt)[0], dt)
    assert len(times) == 4
    assert np.diff(times).mean() == pytest.approx(period, rel=2e-3)


def test_below_the_bifurcation_it_comes_to_rest_at_the_stable_root():
    outputs, states = run(QuadraticIF(v_0=-3.0), np.full(4000, -0.25), 0.1)
    assert not outputs.any()
    assert states.v[-1] == pytest.approx(-0.5, abs=1e-9)


def test_above_the_unstable_root_it_fires_even_so():
    outputs, _ = run(QuadraticIF(v_0=0.51), np.full(4000, -0.25), 0.1)
    assert outputs.sum() == 1


def test_a_step_that_overshoots_stays_finite():
    _, states = run(QuadraticIF(), np.full(50, 1e3), 5.0)
    assert np.isfinite(states.v).all()


@pytest.mark.parametrize("wrong", [{"v_peak": 0.0}, {"tau_m": -1.0}, {"v_reset": float("nan")}])
def test_a_parameter_without_meaning_is_refused(wrong):
    with pytest.raises(ParameterError, match=f"QuadraticIF.{next(iter(wrong))} must be"):
        QuadraticIF(**wrong)


def test_a_network_knows_it_by_name():
    assert NEURONS["quadratic_if"] is QuadraticIF
    assert sl.NeuronGroup(3, model="QuadraticIF", v_peak=30.0).neuron == QuadraticIF(v_peak=30.0)


@pytest.mark.parametrize("looped", [False, True], ids=["forward", "loop"])
def test_in_kernels_it_is_what_it_is_on_tensors(monkeypatch, looped):
    kind = Kind(lambda n: QuadraticIF(v_peak=3.0, v_reset=-2.0), ("tau_m", "v_peak", "v_reset"), gain=4.0)
    monkeypatch.setattr(kernel_networks, "KINDS", kernel_networks.KINDS | {"quadratic_if": kind})
    wires = (Wire(-1, 0, bias=True), *[Wire(0, 0, delay=1)] * looped)
    wanted = on_both_paths(Case(11, (("quadratic_if", 13),), wires, samples=5, later=3, input_grad=True, reads=(0,)))
    assert wanted["0 read0_spikes"].any()
    assert all(torch.isfinite(value).all() for value in wanted.values())
