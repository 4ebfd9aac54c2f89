"""The tempotron: its gradient is its rule, and it learns decisions on the times of spikes."""

import functools

import numpy as np
import pytest
import torch

import spikeloom as sl
from spikeloom.training.losses import LOSSES, tempotron

K, STEPS, TAU, TAU_S = 30, 60, 20.0, 5.0


def network(weight=None, decoding="voltage_max"):
    """A read-out of two neurons that do not spike behind K inputs."""
    net = sl.Network()
    net.input = sl.Encoder(K, coding_method="null")
    net.out = sl.NeuronGroup(2, model="li", tau_m=TAU)
    given = {"w_mean": 0.0, "w_std": 0.02} if weight is None else {"weight": weight}
    net.c = sl.Connection(net.input, net.out, link_type="full", filter=sl.LowPass(tau=TAU_S), **given)
    net.answer = sl.Decoder(dec_target=net.out, coding_method=decoding)
    net.learner = sl.Learner(trainable=net.c, algorithm="Tempotron")
    net.set_random_seed(0)
    net.set_backend(sl.TorchBackend(dtype=torch.float64, dt=1.0))
    return net


def patterns(n=12, seed=0):
    """Samples (n, T, K) in which each input fires once, and their labels by chance."""
    rng = np.random.default_rng(seed)
    times = rng.integers(0, STEPS - 10, (n, K))
    return (times[:, None] == np.arange(STEPS)[None, :, None]).astype(float), torch.from_numpy(rng.permutation(n) % 2)


def test_the_gradient_is_the_postsynaptic_potential_at_the_time_of_the_greatest_potential():
    samples, labels = patterns(4)
    rng = np.random.default_rng(1)
    w = rng.normal(size=(2, K)) * 0.3
    net = network(w)
    net.input(samples)
    net.run(float(STEPS))
    LOSSES["tempotron"](net.answer.predict, labels).backward()
    lag = np.arange(STEPS)[:, None] - np.arange(STEPS)
    rise = np.exp(-1 / TAU) - np.exp(-1 / TAU_S)  # of the sum over one step, which scales both kernels alike
    kernel = np.where(lag >= 0, (np.exp(-(lag + 1) / TAU) - np.exp(-(lag + 1) / TAU_S)) / rise, 0.0)
    potentials = np.einsum("ts,bsk->btk", kernel, samples)
    v = potentials @ w.T
    np.testing.assert_allclose(net.answer.predict.detach(), v.max(1), rtol=1e-9)
    expected = np.zeros((2, K))
    for b, label in enumerate(labels.tolist()):
        for i in (0, 1):
            t = v[b, :, i].argmax()
            fires = v[b, t, i] >= 1.0
            if fires != (i == label):
                expected[i] += (1 if fires else -1) * potentials[b, t] / len(samples)
    assert np.abs(expected).max() > 0
    np.testing.assert_allclose(net.c.weight.value.grad, expected, rtol=1e-9)


def decisions(decoding="voltage_max", sign=1.0, lr=0.04, epochs=40):
    """The part of the patterns for which just the neuron of the label reaches the threshold, after training."""
    samples, labels = patterns()
    net = network(decoding=decoding)
    net.learner.set_optimizer("SGD", lr)
    for _ in range(epochs):
        net.input(samples)
        net.run(float(STEPS))
        net.learner.optim_zero_grad()
        (sign * tempotron(net.answer.predict, labels)).backward()
        net.learner.optim_step()
    seen = network(net.c.weight.value.detach().numpy())
    seen.input(samples)
    seen.run(float(STEPS))
    fired = (seen.answer.predict >= 1.0).numpy()
    return float((fired == np.eye(2, dtype=bool)[labels.numpy()]).all(1).mean())


def test_it_learns_to_fire_for_patterns_that_differ_in_time_alone():
    assert decisions() == 1.0
    assert decisions(lr=1e-12) == 0.0
    assert decisions(sign=-1.0) == 0.0
    assert decisions(decoding="final_step_voltage") <= 0.6


def test_another_threshold_is_given_to_the_loss():
    answer, label = torch.tensor([[3.0, 12.0]]), torch.tensor([0])
    assert float(functools.partial(tempotron, v_th=10.0)(answer, label)) == pytest.approx(7.0 + 2.0)
