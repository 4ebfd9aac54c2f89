"""Products of values with lists of synapses, most of them zero, against the dense matrix."""

import numpy as np
import pytest
import torch

import spikeloom as sl
from spikeloom.network.links import Ends, Sparse, sparse

N_PRE, N_POST = 60, 50


def synapses(seed=0, n=400):
    """Weights by name, and the matrix (post, pre) of the same synapses."""
    random = np.random.default_rng(seed)
    places = random.choice(N_PRE * N_POST, n, replace=False)
    matrix = np.zeros(N_PRE * N_POST)
    matrix[places] = random.normal(size=n)
    indices = torch.from_numpy(np.stack(np.divmod(places, N_PRE)))
    return {"indices": indices, "weight": torch.from_numpy(matrix[places])}, matrix.reshape(N_POST, N_PRE)


@pytest.fixture(autouse=True)
def by_synapses(monkeypatch):
    """No product is made with a dense matrix."""
    monkeypatch.setattr(sparse, "_DENSE", 0)


@pytest.mark.parametrize("block", [1, 7, 1 << 22])
@pytest.mark.parametrize("density", [0.0, 0.01, 0.2, 0.5, 1.0])
def test_a_product_with_few_values_is_that_of_the_matrix(monkeypatch, density, block):
    monkeypatch.setattr(sparse, "_BLOCK", block)
    random, (weights, matrix) = np.random.default_rng(1), synapses()
    values = random.normal(size=(4, 3, N_PRE)) * (random.random((4, 3, N_PRE)) < density)
    found, _ = Sparse().product(torch.from_numpy(values), weights, Ends((N_PRE,), (N_POST,)))
    np.testing.assert_allclose(found, values @ matrix.T, rtol=0, atol=1e-12)


def test_a_product_with_few_values_has_the_derivative_of_the_matrix():
    weights, matrix = synapses()
    signal = torch.zeros(1, 1, N_PRE, dtype=torch.float64)
    signal[..., 7] = 2.0
    signal.requires_grad_()
    found, _ = Sparse().product(signal, weights, Ends((N_PRE,), (N_POST,)))
    (grad,) = torch.autograd.grad(found.sum(), signal)
    np.testing.assert_allclose(grad[0, 0], matrix.sum(0), rtol=0, atol=1e-12)


def test_a_link_that_gets_other_synapses_goes_by_them():
    link, ends, signal = Sparse(), Ends((N_PRE,), (N_POST,)), torch.zeros(1, 1, N_PRE, dtype=torch.float64)
    signal[..., [3, 20, 41]] = 1.0
    lists = [synapses(seed) for seed in range(7)]
    for weights, matrix in lists + lists[::-1]:
        found, _ = link.product(signal, weights, ends)
        np.testing.assert_allclose(found[0, 0], matrix[:, [3, 20, 41]].sum(1), rtol=0, atol=1e-12)
    weights, matrix = lists[0]
    weights["indices"][1] = (weights["indices"][1] + 1) % N_PRE  # in place: every synapse has the next source
    found, _ = link.product(signal, weights, ends)
    np.testing.assert_allclose(found[0, 0], matrix[:, [2, 19, 40]].sum(1), rtol=0, atol=1e-12)
    with torch.inference_mode():
        inside = {name: weight.clone() for name, weight in weights.items()}
        assert torch.equal(link.product(signal, inside, ends)[0], found)


def test_a_loop_of_few_spikes_looks_at_their_synapses_alone(monkeypatch):
    looked = []
    real = sparse._current_of

    def seen(link, sent, *rest):
        looked.append(len(sent))
        return real(link, sent, *rest)

    monkeypatch.setattr(sparse, "_current_of", seen)
    net = sl.Network()
    net.x = sl.Encoder(40, coding_method="null")
    net.a = sl.NeuronGroup(40, model="lif", v_th=0.9)
    net.c = sl.Connection(net.x, net.a, link_type="one_to_one", weight=np.ones(40))
    net.back = sl.Connection(net.a, net.a, link_type="random", probability=0.2, w_mean=0.0)
    net.seen = sl.SpikeMonitor(net.a)
    net.set_backend_dt(1.0)
    net.x((np.random.default_rng(0).random((1, 30, 40)) < 0.05).astype(float))
    net.run(30.0)
    assert len(looked) == 30
    assert sum(looked) == net.seen.spikes.n_spikes > 20
