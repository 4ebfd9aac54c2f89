"""What a network says of itself against a recount of every synapse from the unrolled matrix of each connection."""

import json

import numpy as np
import pytest
import torch

from spikeloom import Connection, Encoder, Generator, Merge, Network, NeuronGroup
from spikeloom.backends.described import describe, fan_out


def network(pre, post, **link):
    """An encoder joined to a population, built, with every third weight put to zero."""
    net = Network()
    net.input = Encoder(shape=pre, coding_method="null")
    net.layer = NeuronGroup(shape=post, model="lif")
    net.way = Connection(net.input, net.layer, name="way", **link)
    net.set_random_seed(3)
    net.build("torch", "cpu")
    weights = net._built().weights[net.way.path]
    if "weight" in weights:
        with torch.no_grad():
            weights["weight"].view(-1)[::3] = 0
    return net


def unrolled(net):
    """The matrix (pre, post) of what a lone spike of each neuron causes, through the link alone."""
    connection, weights = net.connections[0], net._built().weights[net.connections[0].path]
    ends, plain = connection.ends, {k: w for k, w in weights.items() if k != "bias"}
    n = int(np.prod(ends.pre))
    with torch.no_grad():
        current, _ = connection.link.product(torch.eye(n).view(n, 1, *ends.pre), plain, ends)
    return current.reshape(n, -1).numpy()


LINKS = {
    "full": ((3, 2), (5,), {"link_type": "full"}),
    "full with a bias": ((4,), (5,), {"link_type": "full", "bias": True}),
    "one_to_one": ((7,), (7,), {"link_type": "one_to_one", "w_std": 0.1}),
    "sparse": ((9,), (8,), {"link_type": "sparse", "density": 0.4}),
    "random": ((9,), (8,), {"link_type": "random", "probability": 0.3}),
    "in_degree": ((9,), (8,), {"link_type": "random", "in_degree": 3}),
    "distance": ((5, 5), (5, 5), {"link_type": "distance", "scale": 1.5}),
    "local": ((6,), (6,), {"link_type": "local", "scale": 2.0}),
    "local with a cutoff": ((3, 4), (3, 4), {"link_type": "local", "cutoff": 1.5, "self_connections": False}),
    "lateral": ((6,), (6,), {"link_type": "lateral", "w_std": 0.1}),
    "null": ((6,), (2, 3), {"link_type": "null"}),
    "conv": ((2, 5, 6), (3, 5, 6), {"link_type": "conv", "kernel_size": 3, "padding": 1}),
    "conv with a stride": ((2, 7, 6), (4, 3, 2), {"link_type": "conv", "kernel_size": 3, "stride": 2}),
    "conv in groups": ((4, 5, 5), (2, 3, 3), {"link_type": "conv", "kernel_size": 2, "dilation": 2, "groups": 2}),
    "conv_transpose": ((2, 3, 3), (3, 6, 6), {"link_type": "conv_transpose", "kernel_size": 2, "stride": 2}),
    "pool by windows apart": ((2, 4, 6), (2, 2, 3), {"link_type": "pool", "pool": "avg"}),
    "pool by windows that overlap": (
        (2, 5, 5), (2, 3, 3), {"link_type": "pool", "kernel_size": 3, "stride": 2, "padding": 1}
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", LINKS)
def test_the_fan_out_is_that_of_the_unrolled_matrix(name):
    pre, post, link = LINKS[name]
    net = network(pre, post, **link)
    reached = (unrolled(net) != 0).sum(1)
    found = describe(net._built())["connections"]["way"]
    assert np.broadcast_to(found["fan_out"], reached.shape).tolist() == reached.tolist()
    assert found["synapses"] == reached.sum()
    assert found["link"] == link["link_type"]


def test_a_convolution_reaches_less_from_its_border_and_stores_little():
    net = Network()
    net.input = Encoder(shape=(1, 3, 3), coding_method="null")
    net.layer = NeuronGroup(shape=(2, 3, 3), model="lif")
    net.way = Connection(net.input, net.layer, link_type="conv", kernel_size=3, padding=1, weight=np.ones((2, 1, 3, 3)))
    net.build()
    found = describe(net._built())["connections"]["way"]
    assert found["fan_out"] == [8, 12, 8, 12, 18, 12, 8, 12, 8]
    assert (found["synapses"], found["weights"], found["weight_bits"]) == (98, 18, 32)
    assert found["macs"] == 98


def test_pooling_of_a_current_leaves_the_synapses_as_they_are():
    plain = network((2, 6, 6), (3, 6, 6), link_type="conv", kernel_size=3, padding=1)
    pooled = network((2, 6, 6), (3, 3, 3), link_type="conv", kernel_size=3, padding=1, pool="max")
    one, other = (describe(net._built())["connections"]["way"] for net in (plain, pooled))
    assert one["fan_out"] == other["fan_out"]
    assert one["synapses"] == other["synapses"] == (unrolled(plain) != 0).sum()


def test_a_spike_counts_in_each_window_of_a_pooling_and_each_copy_of_an_upsampling_before_the_weights():
    pooled = network(
        (1, 4, 4), (3,), link_type="full", weight=np.ones((3, 4)), syn_type=["maxpool", "flatten", "basic"]
    )
    # every window of 2 x 2 is one input of the link; weights 0, 3, 6 and 9 of the twelve (post, pre) are zero
    found = describe(pooled._built())["connections"]["way"]
    assert found["fan_out"] == 2
    copied = network((1, 1, 2), (5,), link_type="full", syn_type=["upsample", "flatten", "basic"])
    assert np.broadcast_to(describe(copied._built())["connections"]["way"]["fan_out"], 2).sum() == 5 * 8 - 14


def test_every_synapse_between_one_pair_counts():
    net = network((4,), (6,), link_type="random", in_degree=9, multapses=True)
    indices = net._built().weights["way"]["indices"].numpy()
    by_hand = np.bincount(indices[1][np.arange(54) % 3 > 0], minlength=4)
    assert fan_out(net.connections[0], net._built().weights["way"]).tolist() == by_hand.tolist()


def test_zeros_are_left_out_of_the_synapses_and_not_of_the_multiplications():
    found = describe(network((3,), (4,), link_type="full")._built())["connections"]["way"]
    assert (found["weights"], found["macs"], found["synapses"]) == (12, 12, 8)


def test_an_electrical_synapse_carries_no_spikes():
    net = Network()
    net.a, net.b = NeuronGroup(3, model="lif"), NeuronGroup(3, model="lif")
    net.gap = Connection(net.a, net.b, link_type="full", syn_type="electrical")
    net.build()
    found = describe(net._built())["connections"]["gap"]
    assert (found["synapses"], found["fan_out"]) == (9, 0)


def test_layers_say_shape_model_and_threshold_as_json():
    net = Network()
    net.input = Encoder(shape=(2, 3), coding_method="poisson")
    net.noise = Generator(6, "poisson_generator", source=5.0)
    net.hidden = NeuronGroup(6, model="clif", v_th=1.5)
    net.each = NeuronGroup(6, model="lif", v_th=np.arange(1.0, 7.0))
    net.trained = NeuronGroup(6, model="lif", parameter_variables=["v_th"])
    net.way = Connection(net.input, net.hidden, link_type="full")
    net.from_noise = Connection(net.noise, net.each, link_type="one_to_one")
    net.on = Connection(net.hidden, net.trained, link_type="full")
    net.build()
    net._built().parameters["trained"]["v_th"].data.fill_(2.5)
    found = json.loads(json.dumps(describe(net._built())))
    assert (found["dt"], found["bits"]) == (0.1, 32)
    assert found["layers"] == {
        "input": {"kind": "encoder", "model": "poisson", "shape": [2, 3], "states": 0, "v_th": None},
        "noise": {"kind": "generator", "model": "poisson_generator", "shape": [6], "states": 0, "v_th": None},
        "hidden": {"kind": "group", "model": "clif", "shape": [6], "states": 4, "v_th": 1.5},
        "each": {"kind": "group", "model": "lif", "shape": [6], "states": 1, "v_th": None},
        "trained": {"kind": "group", "model": "lif", "shape": [6], "states": 1, "v_th": 2.5},
    }
    assert found["connections"]["way"] | {"fan_out": 0} == {
        "pre": "input", "post": "hidden", "link": "full", "synapses": 36, "weights": 36, "weight_bits": 32,
        "fan_out": 0, "macs": 36,
    }  # fmt: skip


def test_a_node_that_joins_populations_is_a_layer_of_its_own():
    net = Network()
    net.a, net.b, net.c = (NeuronGroup(3, model="lif") for _ in range(3))
    net.both = Merge(net.a, net.b, operation="product")
    net.way = Connection(net.both, net.c, link_type="one_to_one")
    net.build()
    found = describe(net._built())
    assert found["layers"]["both"] == {"kind": "merge", "model": "product", "shape": [3], "states": 0, "v_th": None}
    assert (found["connections"]["way"]["pre"], found["connections"]["way"]["fan_out"]) == ("both", 1)


def test_a_network_is_described_without_gradients_too():
    net = network((4,), (4,), link_type="lateral")
    with torch.inference_mode():
        assert describe(net._built())["connections"]["way"]["synapses"] == 8


def test_doubles_are_64_bits():
    net = network((3,), (4,), link_type="full")
    net.backend.dtype = torch.float64
    net.build()
    assert describe(net._built())["connections"]["way"]["weight_bits"] == 64
