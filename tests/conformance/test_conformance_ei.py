"""Conformance 11: excitation and inhibition keep their signs through training, divide safely, and stay finite."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import spikeloom as sl

ROOT = Path(__file__).parents[2]


@pytest.fixture
def ei(monkeypatch):
    for folder in ("benchmarks", "recipes"):
        monkeypatch.syspath_prepend(str(ROOT / folder))
    import ei

    yield ei
    for name in ("ei", "common", "recipe", "results"):
        sys.modules.pop(name, None)


def test_no_weight_is_negative_after_100_steps_and_a_sample_of_zeros_gives_finite_answers(ei):
    net, generator = ei.network("E-I", 2, 0), np.random.default_rng(0)
    images, labels = generator.random((64, 64), np.float32), torch.from_numpy(generator.integers(0, 10, 64))
    ei.calibrate(net, images, 2, 0)
    before = {name: p.detach().clone() for name, p in net.named_parameters()}
    for _ in range(100):
        net.image(images)
        net.run(ei.STEPS)
        net.learner.optim_zero_grad()
        torch.nn.functional.cross_entropy(net.answer.predict, labels).backward()
        net.learner.optim_step()
    net.image(np.concatenate([np.zeros((1, 64), np.float32), images]))
    with torch.no_grad():
        net.run(ei.STEPS)
    assert torch.isfinite(net.answer.predict).all()
    weights = {name: p.detach() for name, p in net.named_parameters() if "bias" not in name}
    assert all(bool((p >= 0).all()) for p in weights.values())
    assert sum(bool((p == 0).any()) for p in weights.values()) >= 3  # some have met the bound
    # the last layer does not divide
    moved = {name for name, p in weights.items() if bool((p != before[name]).any())}
    assert weights.keys() - moved == {"balance_2.gain_i", "balance_2.gain_e"}


def test_a_shunt_of_zero_becomes_the_smallest_of_its_sample_and_lets_gradients_through(ei):
    shunt = torch.tensor([[2.0, 0.0, 0.5], [0.0, 0.0, 0.0]], requires_grad=True)
    filled = ei.filled(shunt)
    assert filled.tolist() == [[2.0, 0.5, 0.5], [1.0, 1.0, 1.0]]
    filled.sum().backward()
    assert shunt.grad.tolist() == [[1.0] * 3] * 2


def test_a_first_layer_is_calibrated_to_a_mean_of_0_and_a_deviation_near_1(ei):
    """g_I makes the shunt the deviation of the balanced current, which W_ei = 1 / n_I centres: here over many draws."""
    found, images = [], np.random.default_rng(1).random((400, 64), np.float32)
    for seed in range(8):
        net = ei.network("E-I", 1, seed)
        net.current = sl.StateMonitor(net.layer_0, "i_syn")
        ei.calibrate(net, images, 1, seed)
        net.image(images)
        with torch.no_grad():
            net.run(1.0)
        found.append(net.current.values)
    found = np.concatenate(found, 1)
    assert abs(found.mean()) < 0.15
    assert 0.6 < found.std() < 1.4
