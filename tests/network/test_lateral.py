"""Lateral links: a full one without its diagonal."""

import numpy as np
import pytest
import torch

import spikeloom as sl
from spikeloom.errors import ShapeError
from spikeloom.network.links import Ends, SpikeRows, Wanted
from spikeloom.network.links.lateral import Lateral

N, ENDS = 4, Ends((2, 2), (4,))
RASTER = (np.random.default_rng(0).random((5, 3, 2, 2)) < 0.4).astype(float)


def weights():
    random = np.random.default_rng(1)
    return {"weight": torch.from_numpy(random.normal(size=(N, N - 1))), "bias": torch.from_numpy(random.normal(size=N))}


def full_of(weight):
    """The matrix by hand: a zero put into row k at place k."""
    return torch.stack([torch.cat([row[:k], row.new_zeros(1), row[k:]]) for k, row in enumerate(weight)])


@pytest.mark.parametrize("events", [False, True])
def test_it_is_a_full_link_without_the_diagonal(events):
    given, x = weights(), torch.from_numpy(RASTER)
    signal = SpikeRows(sl.Spikes.from_raster(RASTER, 1.0), 5, torch.zeros((), dtype=torch.float64)) if events else x
    link = Lateral(bias=True)
    current, _ = link.product(signal, given, ENDS)
    leaf = {k: w.clone().requires_grad_() for k, w in given.items()}
    expected = x.flatten(2) @ full_of(leaf["weight"]).t() + leaf["bias"]
    torch.testing.assert_close(current, expected.detach(), rtol=0, atol=1e-12)
    grad = torch.from_numpy(np.random.default_rng(2).normal(size=(5, 3, N)))
    expected.backward(grad)
    found = link.gradients(signal, given, ENDS, grad, Wanted(True, ("weight", "bias")))
    for name, part in found.weights.items():
        torch.testing.assert_close(part, leaf[name].grad, rtol=0, atol=1e-12)
    torch.testing.assert_close(found.signal.flatten(2), grad @ full_of(given["weight"]), rtol=0, atol=1e-12)


def test_winners_silence_the_others_and_not_themselves():
    net = sl.Network()
    net.set_backend_dt(1.0)
    net.x = sl.Encoder(3, coding_method="constant_current")
    net.a = sl.NeuronGroup(3, model="if")
    net.xa = sl.Connection(net.x, net.a, link_type="one_to_one", w_mean=1.0)
    net.aa = sl.Connection(net.a, net.a, link_type="lateral", w_mean=-5.0)
    net.spikes = sl.SpikeMonitor(net.a)
    net.x(np.array([[0.5, 0.4, 0.3]], np.float32))
    net.run(20.0)
    assert net.spikes.spk_count.tolist() == [[10, 0, 0]]
    assert net.aa.weight.value.shape == (3, 2)


def test_it_is_saved_and_loaded(tmp_path):
    net = sl.Network("side")
    net.a = sl.NeuronGroup(3, model="lif")
    net.aa = sl.Connection(net.a, net.a, link_type="lateral", w_std=0.1)
    net.save("side", tmp_path)
    again = sl.network_load("side", tmp_path)
    assert np.array_equal(np.asarray(again.aa.weight.value), np.asarray(net.aa.weight.value))


@pytest.mark.parametrize("ends", [Ends((3,), (4,)), Ends((1,), (1,))])
def test_populations_of_other_sizes_or_of_one_neuron_are_refused(ends):
    with pytest.raises(ShapeError, match="lateral joins populations of one size, of two neurons or more"):
        Lateral().check("connection 'c'", ends)
