"""Firing-rate regularisation: penalties counted by hand, gradients by closed forms, and its use in training."""

import gc

import numpy as np
import pytest
import torch
from small_networks import counting, learning, trains_of, two_layers, two_patterns

from spikeloom.errors import ParameterError, StateError, UnknownNameError, UnsupportedError
from spikeloom.network import NeuronGroup
from spikeloom.training import RateLoss, fit


def counted(counts, steps=4):
    """A network that has run, whose neurons fired so often in steps of 1 ms: so many times 250 Hz."""
    net = counting(len(counts[0]))
    net.input(trains_of(counts, steps))
    return net


def test_the_penalty_is_the_squared_distance_to_the_bounds():
    net = counted([[0, 2, 4], [2, 2, 2]])  # means 1, 2, 3: 250, 500, 750 Hz
    loss = RateLoss({net.copy: (300.0, 600.0)}, weight=0.01)
    net.run(4.0)
    assert loss.rates()[net.copy].tolist() == [250.0, 500.0, 750.0]
    assert float(loss.penalty.detach()) == pytest.approx(0.01 * (50**2 + 150**2) / 3)
    whole = RateLoss({net.copy: (0.0, 450.0)}, per="layer")
    with pytest.raises(StateError, match="nothing was seen of 'copy' yet; run the network first"):
        whole.penalty
    net.run(4.0)
    assert float(whole.penalty.detach()) == pytest.approx(50.0**2)


def test_the_gradient_with_respect_to_each_spike_is_the_closed_form():
    """d penalty / d spike = weight * 2 (r - high) / n * 1000 / (T dt B), the same in every step."""
    net = counted([[0, 2, 4], [2, 2, 2]])
    loss = RateLoss({net.copy: (300.0, 600.0)}, weight=0.01)
    net.run(4.0)
    spikes = next(iter(loss._taps.values())).value
    (grad,) = torch.autograd.grad(loss.penalty, spikes)
    each = 0.01 * 2 * np.array([-50.0, 0.0, 150.0]) / 3 * 1000 / (4 * 2)
    np.testing.assert_allclose(grad, np.broadcast_to(each, (4, 2, 3)), rtol=1e-5)


@pytest.mark.parametrize("path", ["auto", "torch"])
def test_the_gradient_reaches_the_weights_as_by_a_decoder_of_rates(path):
    from spikeloom.backends import TorchBackend
    from spikeloom.network import Decoder

    grads = []
    for by_hand in (False, True):
        net = two_layers()
        net.set_backend(TorchBackend(dt=1.0, dtype=torch.float64, path=path))
        net.rate = Decoder(dec_target=net.hidden, coding_method="spike_rate")
        loss = RateLoss({net.hidden: (100.0, 200.0)}, weight=1e-3)
        net.input(np.random.default_rng(0).random((6, 4)))
        net.run(20.0)
        rate = net.rate.predict.mean(0)
        square = ((rate - 200).clamp(min=0) ** 2 + (100 - rate).clamp(min=0) ** 2).mean() * 1e-3
        (square if by_hand else loss.penalty).backward()
        grads.append(net.first.weight.value.grad)
        assert net.second.weight.value.grad is None or not net.second.weight.value.grad.any()
    assert grads[0].abs().sum() > 0
    torch.testing.assert_close(grads[0], grads[1], rtol=1e-12, atol=0)


def test_training_moves_the_rates_between_the_bounds():
    net = learning(two_layers(dtype=torch.float32), optimizer="Adam", lr=0.02)
    loss = RateLoss({net.hidden: (80.0, 120.0)}, weight=1e-3)
    before = None
    for epochs in (1, 30):
        fit(net, two_patterns(samples=16), epochs=epochs, time=30.0, loss=loss, progress=False)
        after = float(loss.penalty.detach())
        before = after if before is None else before
    assert after < before / 4
    assert 60 < float(loss.rates()[net.hidden].mean().detach()) < 140


def test_a_loss_is_the_named_one_plus_the_penalty():
    net = two_layers()
    loss = RateLoss({net.hidden: (0.0, 1.0), net.output: (0.0, 1.0)}, weight=0.5, loss="normalised_cross_entropy")
    plain = RateLoss({net.hidden: (0.0, 1.0)}, weight=0.0, loss="normalised_cross_entropy")
    net.input(np.ones((2, 4)))
    net.run(20.0)
    answer, label = net.decoder.predict, torch.tensor([0, 1])
    assert float(loss(answer, label).detach()) == pytest.approx(
        float((plain(answer, label) + loss.penalty).detach()), rel=1e-12
    )
    assert float(loss.penalty.detach()) > 0


def test_a_loss_that_is_gone_asks_nothing_more_of_the_network():
    net = two_layers()
    loss = RateLoss({net.hidden: (0.0, 1.0)})
    assert len(net.taps) == 1
    del loss
    gc.collect()
    assert len(net.taps) == 0


def test_a_copy_of_the_network_has_no_loss_of_its_own():
    import copy

    net = two_layers()
    loss = RateLoss({net.hidden: (0.0, 1.0)})
    twin = copy.deepcopy(net)
    assert (len(net.taps), len(twin.taps)) == (1, 0)
    assert loss.bounds


@pytest.mark.parametrize(
    ("bounds", "options", "error", "message"),
    [
        ({}, {}, ParameterError, "must map neuron groups to"),
        (None, {}, ParameterError, "must map neuron groups to"),
        ({"hidden": (0, 1)}, {}, ParameterError, "must map neuron groups to .*, got str"),
        ((2.0, 1.0), {}, ParameterError, "the bounds of 'hidden' must be 0 <= low <= high in Hz, got"),
        ((-1.0, 1.0), {}, ParameterError, "0 <= low <= high"),
        ((1.0,), {}, ParameterError, "0 <= low <= high"),
        (("a", 1.0), {}, ParameterError, "0 <= low <= high"),
        ((0.0, float("nan")), {}, ParameterError, "0 <= low <= high"),
        ((0.0, 1.0), {"weight": -1.0}, ParameterError, "weight must be a finite number of at least 0"),
        ((0.0, 1.0), {"weight": float("inf")}, ParameterError, "weight must be a finite number of at least 0"),
        ((0.0, 1.0), {"per": "sample"}, ParameterError, "per must be 'neuron' or 'layer', got 'sample'"),
        ((0.0, 1.0), {"loss": "cross_entrpy"}, UnknownNameError, "did you mean 'cross_entropy'"),
        ((0.0, 1.0), {"loss": 3}, ParameterError, "loss must be a name or a function"),
    ],
)
def test_a_wrong_loss_is_refused(bounds, options, error, message):
    net = two_layers()
    bounds = {net.hidden: bounds} if isinstance(bounds, tuple) else bounds
    with pytest.raises(error, match=message):
        RateLoss(bounds, **options)


def test_a_population_without_spikes_or_without_a_network_has_no_rate():
    net = two_layers(model="li")
    with pytest.raises(UnsupportedError, match=r"'hidden' \(li\) emits no spikes"):
        RateLoss({net.hidden: (0.0, 1.0)})
    with pytest.raises(StateError, match="belongs to no network"):
        RateLoss({NeuronGroup(2, "lif"): (0.0, 1.0)})
