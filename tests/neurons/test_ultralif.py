"""The neurons of the max-plus algebra against SciPy's logsumexp, their limits, and finite differences."""

import math

import numpy as np
import pytest
import torch
from neuron_runs import run
from scipy.special import expit, logsumexp

import spikeloom as sl
from spikeloom.errors import ParameterError
from spikeloom.neurons import NEURONS, Emission, UltraDLIF, UltraLIF

INPUTS = np.random.default_rng(0).normal(scale=1.5, size=(12, 3, 7))


def lse(parts, eps):
    return eps * logsumexp(np.stack(parts) / eps, axis=0)


def by_hand(eps, tau, v_th, spread):
    """Outputs and potentials of the three forms, in the order of the description of the method."""
    v, outputs, potentials = np.zeros((3, 7)), [], []
    for i in INPUTS:
        if spread is None:
            v = above = lse([v + math.log(tau), i], eps)
        elif spread:
            v = above = lse([np.roll(v, 1, -1), v, np.roll(v, -1, -1)], eps) + i
        else:
            v = tau * v + i
            above = lse([np.roll(v, 1, -1), v, np.roll(v, -1, -1)], eps)
        s = expit((above - v_th) / eps)
        v = v * (1 - s)
        outputs.append(s)
        potentials.append(v)
    return np.array(outputs), np.array(potentials)


@pytest.mark.parametrize("v_th", [0.0, 1.0])
@pytest.mark.parametrize("eps", [0.1, 1.0, 3.0])
@pytest.mark.parametrize("spread", [None, False, True], ids=["ultralif", "ultradlif", "ultradlif that diffuses"])
def test_its_steps_are_those_of_the_method(eps, v_th, spread):
    keywords = {"tau": 0.8, "log_eps": math.log(eps), "v_th": v_th}
    neuron = UltraLIF(**keywords) if spread is None else UltraDLIF(**keywords, diffuses=spread)
    outputs, states = run(neuron, INPUTS, 1.0)
    expected, potentials = by_hand(eps, 0.8, v_th, spread)
    np.testing.assert_allclose(outputs, expected, atol=1e-13)
    np.testing.assert_allclose(states.v, potentials, atol=1e-12)


def test_the_temperature_stays_within_its_limits():
    for log_eps, eps in ((-9.0, 0.1), (9.0, 20.0), (0.0, 1.0)):
        _, states = run(UltraLIF(log_eps=log_eps, v_th=1e9, tau=1.0), np.array([0.0]), 1.0)
        assert states.v[0] == pytest.approx(eps * math.log(2), rel=1e-12)


def test_a_soft_maximum_is_above_the_maximum_by_no_more_than_eps_log_n():
    _, states = run(UltraLIF(log_eps=math.log(0.1), v_th=1e9), INPUTS[:1], 1.0)
    above = states.v[0] - np.maximum(math.log(0.9), INPUTS[0])
    assert (above >= 0).all()
    assert (above <= 0.1 * math.log(2) + 1e-15).all()


@pytest.mark.parametrize("neuron", [UltraLIF(log_eps=-9.0), UltraDLIF(log_eps=-9.0), UltraDLIF(diffuses=True)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_huge_inputs_do_not_overflow(neuron, dtype):
    outputs, states = run(neuron, 1e4 * INPUTS.astype(dtype), 1.0)
    assert np.isfinite(outputs).all()
    assert all(np.isfinite(part).all() for part in states)


def test_neighbours_lie_on_a_ring():
    inputs = np.zeros((1, 1, 5))
    inputs[0, 0, 0] = 50.0
    outputs, _ = run(UltraDLIF(v_th=25.0), inputs, 1.0)
    assert (outputs[0, 0] > 0.5).tolist() == [True, True, False, False, True]


def test_hardened_it_spikes_where_the_graded_output_is_a_half_or_more():
    hard = Emission(variable="a", threshold=0.0, forward="step", reset="none")
    graded, _ = run(UltraLIF(v_th=0.5), INPUTS[:1], 1.0)
    spikes, _ = run(UltraLIF(v_th=0.5, emission=hard), INPUTS[:1], 1.0)
    np.testing.assert_array_equal(spikes, graded >= 0.5)
    assert 0 < spikes.mean() < 1


def network(model, **keywords):
    net = sl.Network()
    net.x = sl.Encoder(5, coding_method="null")
    net.a = sl.NeuronGroup(6, model, **keywords)
    net.c = sl.Connection(net.x, net.a, link_type="full", w_std=0.7)
    net.out = sl.Decoder(dec_target=net.a, coding_method="spike_rate")
    net.set_backend(sl.TorchBackend(dt=1.0, dtype=torch.float64))
    net.set_random_seed(1)
    return net


@pytest.mark.parametrize(
    ("model", "keywords"), [("ultralif", {}), ("ultradlif", {}), ("ultradlif", {"diffuses": True})]
)
def test_the_gradient_of_the_temperature_and_of_the_weights_is_that_of_finite_differences(model, keywords):
    net = network(model, **keywords)
    x = np.random.default_rng(2).normal(size=(4, 6, 5))

    def loss():
        net.x(x)
        net.run(6.0)
        return net.out.predict.square().sum()

    loss().backward()
    assert sorted(name for name, _ in net.named_parameters()) == ["a.log_eps", "c.weight"]
    for _, parameter in net.named_parameters():
        flat, gradient = parameter.data.reshape(-1), parameter.grad.reshape(-1)
        for place in range(min(3, len(flat))):
            found = []
            for sign in (1, -1):
                flat[place] += sign * 1e-6
                found.append(loss().item())
                flat[place] -= sign * 1e-6
            assert gradient[place].item() == pytest.approx((found[0] - found[1]) / 2e-6, rel=1e-5, abs=1e-8)


def test_only_the_coupled_one_leaves_the_kernel_path():
    assert "kernel path" in str(network("ultralif").plan)
    assert "torch path (a: UltraDLIF cannot become a kernel: it is coupled, each neuron to its two neighbours)" in str(
        network("ultradlif").plan
    )


def test_names_in_any_spelling_stand_for_them():
    assert NEURONS["UltraLIF"] is NEURONS["ultratlif"] is UltraLIF
    assert NEURONS["Ultra_DLIF"] is UltraDLIF
    assert sl.NeuronGroup(2, "ultralif", tau=0.5).neuron.tau == 0.5


@pytest.mark.parametrize("wrong", [{"tau": 0.0}, {"tau": -1.0}, {"log_eps": np.nan}, {"v_th": "x"}, {"diffuses": 1}])
def test_a_wrong_parameter_is_refused_by_name(wrong):
    with pytest.raises(ParameterError, match=rf"UltraDLIF\.{next(iter(wrong))} must be"):
        UltraDLIF(**wrong)
