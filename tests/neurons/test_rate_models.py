"""Rate models against closed forms: the mean field, and the stationary bump of the continuous attractor."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from neuron_runs import run

import spikeloom as sl
from spikeloom.errors import ParameterError
from spikeloom.neurons import CANN, NEURONS, MeanField


@given(st.floats(-5, 5), st.floats(-5, 5), st.floats(0.01, 10.0), st.integers(1, 50))
def test_a_mean_field_approaches_its_input_exactly_and_emits_what_is_above_zero(synaptic, external, dt, n):
    outputs, states = run(MeanField(tau=3.0, rho=0.2), (np.full(n, synaptic), np.full(n, external)), dt)
    u = (0.2 * synaptic + external) * -math.expm1(-n * dt / 3.0)
    assert states.u[-1] == pytest.approx(u, rel=1e-9, abs=1e-12)
    assert outputs[-1] == states.r[-1] == max(states.u[-1], 0.0)


def test_the_rates_of_a_continuous_attractor_divide_by_the_sum_over_each_population_of_a_batch():
    u = np.random.default_rng(0).normal(size=(3, 4, 5))
    neuron = CANN(tau=1e-3, rho=0.5, k=0.3)  # at once where the input is
    outputs, states = run(neuron, (np.zeros((1, 3, 4, 5)), u[None]), 1.0)
    square = np.maximum(u, 0) ** 2
    for sample in range(3):
        expected = square[sample] / (1 + 0.3 * 0.5 * square[sample].sum())
        np.testing.assert_allclose(outputs[0, sample], expected, rtol=1e-12)
    np.testing.assert_allclose(states.u[0], u, rtol=1e-12)


N, RANGE, JUMP, DX = 64, 0.5, 1.0, 2 * math.pi / 64


def ring():
    """Places on a ring, and the Gaussian connection of Wu, Hamaguchi & Amari between them, times dx."""
    x = (np.arange(N) - N // 2) * DX
    apart = (x[:, None] - x[None] + math.pi) % (2 * math.pi) - math.pi
    weight = JUMP / (math.sqrt(2 * math.pi) * RANGE) * np.exp(-(apart**2) / (2 * RANGE**2))
    return x, weight * DX


def bump(x, rho, k):
    """Their stationary state: the synaptic input and the rate of a bump at 0, for k below k_c."""
    critical = rho * JUMP**2 / (8 * math.sqrt(2 * math.pi) * RANGE)
    assert k < critical
    root = 1 + math.sqrt(1 - k / critical)
    u = root * JUMP / (4 * RANGE * k * math.sqrt(math.pi)) * np.exp(-(x**2) / (4 * RANGE**2))
    r = root / (2 * RANGE * k * rho * math.sqrt(2 * math.pi)) * np.exp(-(x**2) / (2 * RANGE**2))
    return u, r


def test_a_bump_of_the_continuous_attractor_stays_as_the_paper_gives_it():
    # rho in the paper is neurons for each unit of x; DX is in the weights here, and once more in the sum of squares.
    x, weight = ring()
    rho, k = 1.0, 0.05
    u, r = bump(x, rho, k)
    neuron = CANN(tau=1.0, rho=rho, k=k * DX)
    state = neuron.State(u[None], r[None])
    for _ in range(400):
        outputs, states = run(neuron, ((state.r @ weight.T)[None], np.zeros((1, 1, N))), 0.1, state)
        state = neuron.State(states.u[0], states.r[0])
    np.testing.assert_allclose(state.u[0], u, atol=2e-3 * u.max())
    np.testing.assert_allclose(outputs[0, 0], r, atol=2e-3 * r.max())


def test_without_excitation_enough_the_bump_dies():
    x, weight = ring()
    neuron = CANN(tau=1.0, rho=1.0, k=0.12 * DX)  # k_c = 0.0997
    state = neuron.State(2 * np.exp(-(x**2))[None], 0.0 * x[None])
    for _ in range(800):
        _, states = run(neuron, ((state.r @ weight.T)[None], np.zeros((1, 1, N))), 0.1, state)
        state = neuron.State(states.u[0], states.r[0])
    assert state.r.max() < 0.02


def attractor(path):
    """A network on the ring, driven at one place by its second port."""
    x, weight = ring()
    net = sl.Network()
    net.x = sl.Encoder(N, coding_method="constant_current")
    net.a = sl.NeuronGroup(N, "cann_field", rho=1.0, k=0.05 * DX, tau=1.0)
    net.drive = sl.Connection(net.x, net.a, link_type="one_to_one", weight=np.ones(N), port="Iext")
    net.around = sl.Connection(net.a, net.a, link_type="full", weight=weight)
    net.rate = sl.StateMonitor(net.a, "r")
    net.out = sl.Decoder(dec_target=net.a, coding_method="spike_rate")
    net.set_backend(sl.TorchBackend(dt=0.1, dtype=torch.float64, path=path))
    drive = np.exp(-((x - 1.0) ** 2) / (4 * RANGE**2))[None]
    net.x(torch.from_numpy(drive))
    net.run(10.0)
    return net, x


def test_a_coupled_model_runs_and_trains_on_the_torch_path_and_says_why():
    net, x = attractor("auto")
    assert "torch path (a: CANN cannot become a kernel: it is coupled, by the sum over the population" in str(net.plan)
    rate = net.rate.values[0, :, -1]
    assert abs(x[rate.argmax()] - 1.0) < DX
    net.out.predict.square().sum().backward()
    assert net.around.weight.value.grad.isfinite().all()
    assert net.around.weight.value.grad.any()
    reference, _ = attractor("torch")
    np.testing.assert_array_equal(reference.rate.values, net.rate.values)


def test_names_of_other_frameworks_stand_for_them():
    assert NEURONS["cann_field"] is NEURONS["CANN"] is CANN
    assert NEURONS["mean_field"] is MeanField


@pytest.mark.parametrize(
    ("model", "wrong"),
    [
        (MeanField, {"tau": 0.0}),
        (MeanField, {"rho": np.nan}),
        (CANN, {"tau": -1.0}),
        (CANN, {"k": "x"}),
        (CANN, {"rho": None}),
    ],
)
def test_a_wrong_parameter_is_refused_by_name(model, wrong):
    with pytest.raises(ParameterError, match=rf"{model.__name__}\.{next(iter(wrong))} must be"):
        model(**wrong)
