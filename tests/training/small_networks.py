"""Networks and data for the tests of training: small enough to be known by heart."""

import numpy as np
import torch

from spikeloom.backends import TorchBackend
from spikeloom.datasets import ArrayDataset, Dataloader
from spikeloom.network import Connection, Decoder, Encoder, Network, NeuronGroup
from spikeloom.training import Learner


def two_layers(*, inputs=4, hidden=5, outputs=3, model="lif", coding="constant_current", dtype=torch.float64, seed=1):
    """encoder -> hidden -> output, full connections of wide weights, dt 1 ms."""
    net = Network("two_layers")
    net.set_backend(TorchBackend(dt=1.0, dtype=dtype))
    net.set_random_seed(seed)
    net.input = Encoder(num=inputs, coding_method=coding)
    net.hidden = NeuronGroup(num=hidden, model=model)
    net.output = NeuronGroup(num=outputs, model=model)
    net.first = Connection(net.input, net.hidden, link_type="full", w_mean=0.3, w_std=0.3)
    net.second = Connection(net.hidden, net.output, link_type="full", w_mean=0.4, w_std=0.3)
    net.decoder = Decoder(num=outputs, dec_target=net.output, coding_method="spike_counts")
    return net


def learning(net, trainable=None, optimizer="Adam", lr=0.01, **options):
    """The network with a learner and its optimizer."""
    net.learner = Learner(trainable=trainable or net, algorithm="STCA", **options)
    net.learner.set_optimizer(optimizer, lr)
    return net


def counting(inputs=3):
    """A network without anything to learn by: its answer is how many spikes came in at each input."""
    net = Network("counting")
    net.set_backend(TorchBackend(dt=1.0))
    net.input = Encoder(num=inputs, coding_method="null")
    net.copy = NeuronGroup(num=inputs, model="if", v_th=1.0)
    net.wire = Connection(net.input, net.copy, link_type="one_to_one", weight=np.ones(inputs))
    net.decoder = Decoder(dec_target=net.copy)
    return net


def trains_of(counts, steps):
    """Spike trains (B, T, N) with these counts (B, N), all from the first step on."""
    counts = np.asarray(counts)
    return (np.arange(steps)[None, :, None] < counts[:, None, :]).astype(np.float32)


def two_patterns(samples=8, batch_size=4, shuffle=False, seed=0):
    """A loader of two patterns that do not overlap, labels 0 and 1, in turn."""
    labels = np.arange(samples) % 2
    data = np.where(labels[:, None] == np.array([0, 0, 1, 1]), 0.8, 0.0).astype(np.float32)
    return Dataloader(ArrayDataset(data, labels), batch_size, shuffle, generator=np.random.default_rng(seed))


def values_of(net):
    """Copies of all parameters and buffers."""
    return {name: value.clone() for name, value in net.state_dict().items()}


def changed(before, after):
    """The names of what is no longer bit-equal."""
    return {name for name in before if not torch.equal(before[name], after[name])}
