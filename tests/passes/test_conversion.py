"""Trained torch networks made spiking: the numbers they count out are torch's own."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import nn

from spikeloom import TorchBackend, digits
from spikeloom.errors import ParameterError, UnsupportedError
from spikeloom.neurons import STBIF
from spikeloom.ops import NumpyOps
from spikeloom.passes import (
    QuantisedReLU,
    accuracy_over_time,
    convert,
    convert_quantised,
    fold_batch_norm,
    settled,
    verify,
)


def in_double(network):
    network.set_backend(TorchBackend(dt=network.backend.dt, dtype=torch.float64))
    return network


def mlp(levels: int, layers: int, seed: int, width: int = 12) -> nn.Sequential:
    torch.manual_seed(seed)
    sizes, parts = [8] + [width] * layers, []
    for n_in, n_out in pairwise(sizes):
        parts += [nn.Linear(n_in, n_out), QuantisedReLU(levels, 0.07)]
    return nn.Sequential(*parts, nn.Linear(width, 3)).double().eval()


@pytest.mark.parametrize(("levels", "layers"), [(1, 1), (3, 2), (15, 2), (7, 3)])
def test_signed_spikes_count_out_the_quantised_network_exactly(levels, layers):
    x = np.random.default_rng(0).normal(size=(20, 8))
    for seed in range(4):
        module = mlp(levels, layers, seed)
        network, promise = convert_quantised(module, x)
        assert promise.n_steps == layers * levels - (layers - 1)
        found = verify(module, in_double(network), x, promise)
        assert found.holds
        assert found.difference < 1e-12
        assert found.samples == 20
        assert settled(network)


def test_a_neuron_that_gives_spikes_back_needs_more_than_levels_and_layers_steps():
    # Two units with 15 and 14 of 15 levels, weighed by 100 and -105: the second layer gets what it needs at the end.
    module = nn.Sequential(nn.Linear(2, 2, bias=False), QuantisedReLU(15, 1.0), nn.Linear(2, 1, bias=False),
                           QuantisedReLU(15, 1.0), nn.Linear(1, 1, bias=False)).double()  # fmt: skip
    with torch.no_grad():
        module[0].weight.copy_(torch.eye(2))
        module[2].weight.copy_(torch.tensor([[100.0, -105.0]]))
        module[4].weight.fill_(1.0)
    x = np.array([[15.0, 14.0]])
    network, promise = convert_quantised(module, x)
    in_double(network)
    assert promise.n_steps == 29
    answers = {}
    for n_steps in (17, 25, 29):
        network.input(x)
        network.run(float(n_steps))
        answers[n_steps] = float(network.output.predict.detach())
        assert settled(network) is (n_steps == 29)
    assert answers == pytest.approx({17: 3.0, 25: 11.0, 29: 15.0})


def test_a_convolution_with_pooling_and_batch_normalisation_is_counted_out_too():
    torch.manual_seed(0)
    module = nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), QuantisedReLU(7, 0.15), nn.AvgPool2d(2),
        nn.Conv2d(4, 6, 3), nn.BatchNorm2d(6), QuantisedReLU(7, 0.1), nn.Flatten(), nn.Linear(24, 5),
    ).double()  # fmt: skip
    x = np.random.default_rng(1).random((6, 1, 8, 8))
    for _ in range(5):
        module(torch.from_numpy(x))
    module.eval()
    network, promise = convert_quantised(module, x)
    found = verify(module, in_double(network), x, promise)
    assert found.difference < 1e-9


def test_batch_normalisation_goes_into_the_weights():
    torch.manual_seed(0)
    module = nn.Sequential(
        nn.Conv2d(2, 3, 3, bias=False), nn.BatchNorm2d(3), nn.ReLU(), nn.Flatten(), nn.Linear(12, 4), nn.BatchNorm1d(4)
    ).double()
    x = torch.randn(64, 2, 4, 4, dtype=torch.float64)
    for _ in range(20):
        module(3 * x + 1)
    module.eval()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    folded, promise = fold_batch_norm(module)
    assert verify(module, folded, x, promise).difference < 1e-12
    assert not any(isinstance(part, (nn.BatchNorm1d, nn.BatchNorm2d)) for part in folded)
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
    with pytest.raises(UnsupportedError, match="module '0' must follow"):
        fold_batch_norm(nn.Sequential(nn.BatchNorm1d(3), nn.Linear(3, 2)))


def test_the_quantised_relu_rounds_and_learns_its_step():
    part = QuantisedReLU(3, 0.5)
    x = torch.tensor([-1.0, 0.2, 0.25, 0.74, 0.76, 1.3, 9.0])
    assert part(x).tolist() == [0.0, 0.0, 0.5, 0.5, 1.0, 1.5, 1.5]
    wide = torch.linspace(0, 4, 256)
    optimizer = torch.optim.Adam(part.parameters(), 0.05)
    first = float((part(wide) - wide).pow(2).mean().detach())
    for _ in range(200):
        optimizer.zero_grad()
        (part(wide) - wide).pow(2).mean().backward()
        optimizer.step()
    assert float((part(wide) - wide).pow(2).mean().detach()) < first / 5
    assert float(part.step.detach()) == pytest.approx(4 / 3.5, rel=0.1)


def trained_on_digits() -> tuple[nn.Sequential, np.ndarray, np.ndarray, np.ndarray]:
    images, labels = digits().batch(np.arange(1797))
    x, y = np.asarray(images).reshape(1797, -1).astype(np.float32), np.asarray(labels)
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
    optimizer = torch.optim.Adam(module.parameters(), 3e-3)
    given, wanted = torch.from_numpy(x[:1200]), torch.from_numpy(y[:1200]).long()
    for _ in range(150):
        optimizer.zero_grad()
        nn.functional.cross_entropy(module(given), wanted).backward()
        optimizer.step()
    return module.eval(), x[:1200], x[1200:], y[1200:]


def test_balanced_thresholds_bring_a_trained_network_within_a_point_and_better_with_every_step():
    module, train, test, labels = trained_on_digits()
    with torch.no_grad():
        of_torch = float((module(torch.from_numpy(test)).argmax(1).numpy() == labels).mean())
    assert of_torch > 0.9
    network, _ = convert(module, train)
    curve = accuracy_over_time(network, [[test, labels]], [2, 8, 32, 128])
    assert curve[32] >= of_torch - 0.01
    assert curve[128] >= of_torch - 0.01
    assert curve[2] < curve[128]
    network.input(test)
    network.run(400.0)
    rates = network.output.predict.detach() / 400
    with torch.no_grad():
        np.testing.assert_allclose(rates, module(torch.from_numpy(test)), atol=0.8)
    unbalanced = convert(module, train[:1] * 0, percentile=99.9)[0]
    assert accuracy_over_time(unbalanced, [[test, labels]], [8])[8] < curve[8]


def test_what_has_no_spiking_form_is_refused():
    x = np.zeros((2, 4))
    for module, reason in [
        (nn.Sequential(nn.Linear(4, 2), nn.ReLU()), "must end in"),
        (nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 2)), "Tanh"),
        (nn.Sequential(nn.ReLU(), nn.Linear(4, 2)), "there must be"),
    ]:
        with pytest.raises(UnsupportedError, match=reason):
            convert(module, x)
    with pytest.raises(UnsupportedError, match="train with QuantisedReLU"):
        convert_quantised(nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 2)), x)
    with pytest.raises(ParameterError, match=r"convert\.percentile"):
        convert(nn.Sequential(nn.Linear(4, 2)), x, percentile=0)
    with pytest.raises(ParameterError, match=r"QuantisedReLU\.levels"):
        QuantisedReLU(0)
    network, promise = convert_quantised(mlp(3, 2, 0), np.zeros((1, 8)))
    with pytest.raises(ParameterError, match="holds from 5 ms on"):
        verify(mlp(3, 2, 0), network, np.zeros((1, 8)), promise, time=4.0)


def test_the_signed_neuron_keeps_to_its_equations():
    neuron, xp = STBIF(step=0.5, levels=2.0, start=0.1), NumpyOps()
    state = neuron.initial()
    sent = []
    for current in (1.0, 0.0, 0.0, -2.0, 0.0, 0.0, 0.0):
        state = neuron.update(state, np.array(current), 1.0, xp)
        sent.append(float(state.output))
    assert sent == [1.0, 1.0, 0.0, -1.0, -1.0, 0.0, 0.0]
    assert float(state.tracker) == 0.0
    assert float(state.v) == pytest.approx(0.25 + 0.1 - 1.0)


def test_an_activation_that_stands_twice_is_converted_twice():
    torch.manual_seed(0)
    shared = QuantisedReLU(3, 0.1)
    module = nn.Sequential(nn.Linear(8, 6), shared, nn.Linear(6, 6), shared, nn.Linear(6, 2)).double().eval()
    x = np.random.default_rng(0).normal(size=(10, 8))
    network, promise = convert_quantised(module, x)
    assert promise.n_steps == 5
    assert verify(module, in_double(network), x, promise).difference < 1e-12
