"""Convolutions whose currents are made, and taken back, for a part of the samples at a time."""

import numpy as np
import pytest
import torch

import spikeloom as sl
from spikeloom.backends import TorchBackend
from spikeloom.backends import kernel_layer as layers

T, B = 6, 21
IMAGE = (2, 9, 8)


def network(shape, path="auto", threads=1):
    """in -> a -> c with a read-out; `shape` says what else joins them."""
    net = sl.Network()
    net.set_random_seed(0)
    net.set_backend(TorchBackend(path=path, threads=threads, dtype=torch.float64, dt=1.0))
    pooled = {"link_type": "conv", "kernel_size": 3, "pool": "max", "bias": True, "w_mean": -0.1, "w_std": 0.3}
    net.x = sl.Encoder(shape=IMAGE, coding_method="null")
    net.a = sl.NeuronGroup(shape=(4, 3, 3), model="lif")
    net.xa = sl.Connection(net.x, net.a, **pooled)
    net.c = sl.NeuronGroup(shape=(6, 1, 1), model="lif")
    late = {"delay": 2.0} if shape == "late" else {}
    net.ac = sl.Connection(net.a, net.c, **pooled | {"kernel_size": 2, "w_mean": 0.5} | late)
    if shape == "two ways into one":
        net.b = sl.NeuronGroup(shape=(4, 3, 3), model="lif")
        net.xb = sl.Connection(net.x, net.b, **pooled)
        net.bc = sl.Connection(net.b, net.c, **pooled | {"kernel_size": 2, "w_mean": 0.5})
    if shape == "two ways out of one":
        net.d = sl.NeuronGroup(shape=(5, 1, 1), model="lif")
        net.ad = sl.Connection(net.a, net.d, **pooled | {"kernel_size": 2, "w_mean": 0.5})
        net.dc = sl.Connection(net.d, net.c, link_type="full", w_std=1.0)
    if shape == "a loop behind":
        net.cc = sl.Connection(net.c, net.c, link_type="full", w_std=1.0)
    net.out = sl.Decoder(num=6, dec_target=net.c, coding_method="spike_counts")
    return net


def found(net):
    raster = np.random.default_rng(1).random((T, B, *IMAGE)) < 0.2
    net.x(sl.Spikes.from_raster(raster, 1.0))
    net.run(T * 1.0)
    weight = torch.from_numpy(np.random.default_rng(2).normal(size=(B, 6)))
    (net.out.predict.view(B, 6) * weight).sum().backward()
    return {"predict": net.out.predict.detach(), **{name: p.grad for name, p in net.named_parameters()}}


SHAPES = ["a chain", "two ways into one", "two ways out of one", "late", "a loop behind"]


@pytest.mark.parametrize("near", [1, 1 << 14, 1 << 20])
@pytest.mark.parametrize("shape", SHAPES)
def test_parts_of_any_size_equal_the_torch_path(monkeypatch, shape, near):
    monkeypatch.setattr(layers, "NEAR", near)
    net = network(shape)
    expected = found(network(shape, "torch"))
    assert "torch path" not in str(net.plan)
    got = found(net)
    assert expected["predict"].any()
    for name, value in expected.items():
        assert value.any()
        torch.testing.assert_close(got[name], value, rtol=0, atol=1e-10)


@pytest.mark.parametrize("shape", SHAPES)
def test_threads_share_the_parts_and_give_the_same_bits(monkeypatch, shape):
    monkeypatch.setattr(layers, "NEAR", 1)
    one, two = (found(network(shape, threads=threads)) for threads in (1, 2))
    assert all(torch.equal(one[name], two[name]) for name in one)
