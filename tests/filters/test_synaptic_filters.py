"""Second-order synaptic currents are what their closed forms say, on every kind of array."""

import json

import numpy as np
import pytest
import torch

import spikeloom as sl
from spikeloom.backends.ops import TorchOps
from spikeloom.errors import ParameterError, ShapeError
from spikeloom.filters import (
    Alpha,
    DoubleExponential,
    LowPass,
    describe,
    filter_from,
    first_order_synapse,
    second_order_synapse,
)
from spikeloom.ops import NumpyOps

DT, N = 0.1, 600
T = np.arange(N) * DT


def response(system, dt=DT, n=N):
    """The output to an input of 1 in the first step."""
    x = np.zeros((n, 1, 1))
    x[0] = 1.0
    return system.scan(x, dt, NumpyOps())[0].ravel()


def test_a_first_order_synapse_decays_from_one_with_two_ms():
    assert first_order_synapse() == LowPass(tau=2.0)
    np.testing.assert_allclose(response(first_order_synapse()), np.exp(-T / 2), atol=1e-13)


def test_a_second_order_synapse_is_a_decay_of_nine_ms_less_one_of_two():
    np.testing.assert_allclose(response(second_order_synapse()), np.exp(-T / 9) - np.exp(-T / 2), atol=1e-13)


def test_the_area_under_a_second_order_synapse_is_the_difference_of_its_time_constants():
    fine = response(DoubleExponential(tau_r=9.0, tau_d=2.0), 0.01, 20_000)
    assert fine.sum() * 0.01 == pytest.approx(9.0 - 2.0, rel=1e-4)


@pytest.mark.parametrize(("tau_r", "tau_d"), [(9.0, 2.0), (5.0, 4.9), (100.0, 0.5)])
def test_a_normalised_response_peaks_at_one_at_the_time_of_the_closed_form(tau_r, tau_d):
    system = DoubleExponential(tau_r=tau_r, tau_d=tau_d, normalise=True)
    peak = tau_r * tau_d / (tau_r - tau_d) * np.log(tau_r / tau_d)
    found = response(system, peak / 50, 200)
    assert found.argmax() == 50
    assert found[50] == pytest.approx(1.0, rel=1e-12)


def test_an_alpha_function_peaks_at_one_after_its_time_constant():
    found = response(Alpha(tau=3.0))
    np.testing.assert_allclose(found, T / 3 * np.exp(1 - T / 3), atol=1e-13)
    assert found.argmax() == 30
    assert found.max() == pytest.approx(1.0)


def test_spikes_add_up():
    x = np.zeros((N, 1, 1))
    x[[0, 40, 41]] = 1.0
    for system in (second_order_synapse(), Alpha(tau=3.0)):
        one, all_three = response(system), system.scan(x, DT, NumpyOps())[0].ravel()
        shifted = [np.concatenate([np.zeros(k), one])[:N] for k in (0, 40, 41)]
        np.testing.assert_allclose(all_three, sum(shifted), atol=1e-12)


@pytest.mark.parametrize("system", [DoubleExponential(tau_r=9.0, tau_d=2.0, normalise=True), Alpha(tau=3.0)])
def test_the_time_constants_get_the_gradient_of_finite_differences(system):
    x = torch.zeros(40, 1, 1, dtype=torch.float64)
    x[3] = 1.0
    values = {k: torch.tensor(v, dtype=torch.float64, requires_grad=True) for k, v in system.parameters().items()}

    def total(*given):
        bound = system.bound(dict(zip(values, given, strict=True)))
        return (bound.scan(x, 0.5, TorchOps())[0] * torch.arange(40.0, dtype=torch.float64)[:, None, None]).sum()

    assert torch.autograd.gradcheck(total, tuple(values.values()))


def test_arrays_of_time_constants_stand_for_neurons():
    system = DoubleExponential(tau_r=[9.0, 5.0], tau_d=[2.0, 1.0])
    x = np.zeros((N, 1, 2))
    x[0] = 1.0
    found = system.scan(x, DT, NumpyOps())[0][:, 0]
    for k, (tau_r, tau_d) in enumerate([(9.0, 2.0), (5.0, 1.0)]):
        np.testing.assert_allclose(found[:, k], np.exp(-T / tau_r) - np.exp(-T / tau_d), atol=1e-13)
    with pytest.raises(ShapeError, match=r"DoubleExponential\.tau_r of shape \(2,\) must broadcast"):
        system.initial(np.zeros((1, 3)))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: DoubleExponential(tau_r=2.0, tau_d=9.0), "tau_r must be longer than tau_d, got 2.0 and 9.0; .* Alpha"),
        (lambda: DoubleExponential(tau_r=2.0, tau_d=2.0), "tau_r must be longer than tau_d"),
        (lambda: DoubleExponential(tau_r=[3.0, 1.0], tau_d=2.0), "tau_r must be longer than tau_d"),
        (lambda: DoubleExponential(tau_r=-1.0, tau_d=2.0), "tau_r must be a positive time"),
        (lambda: Alpha(tau=0.0), "Alpha.tau must be a positive time"),
    ],
)
def test_time_constants_without_a_meaning_are_refused(make, message):
    with pytest.raises(ParameterError, match=message):
        make()


@pytest.mark.parametrize("system", [second_order_synapse(4.0, 1.0), Alpha(tau=[1.0, 2.0])])
def test_it_survives_being_written_as_json(system):
    assert filter_from(json.loads(json.dumps(describe(system)))) == system


@pytest.mark.parametrize("system", [sl.second_order_synapse(), sl.Alpha(tau=3.0)])
def test_the_kernel_path_gives_what_the_torch_path_gives(system):
    found = []
    for path in ("auto", "torch"):
        net = sl.Network()
        net.input = sl.Encoder(4, coding_method="null")
        net.a = sl.NeuronGroup(3, model="lif")
        net.c = sl.Connection(net.input, net.a, link_type="full", filter=system, w_std=0.5)
        net.output = sl.Decoder(dec_target=net.a, coding_method="spike_counts")
        net.learner = sl.Learner(net, "STBP")
        net.monitor = sl.StateMonitor(net.a, "v")
        net.set_random_seed(3)
        net.set_backend(sl.TorchBackend(dtype=torch.float64, path=path))
        net.input(np.random.default_rng(0).random((2, 80, 4)) < 0.2)
        net.run(8.0)
        assert (net.plan.blocks[0].path == "kernel path") is (path == "auto"), net.plan
        net.output.predict.sum().backward()
        found.append((net.monitor.values, net.c.weight.value.grad))
    np.testing.assert_allclose(found[0][0], found[1][0], rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(found[0][1], found[1][1], rtol=1e-10, atol=1e-12)
