"""Networks with one of everything, for the tests of descriptions and files."""

import numpy as np
import torch

import spikeloom as sl
from spikeloom.network import KaimingUniform, Normal
from spikeloom.neurons import Gaussian, Subtract

T, B = 8, 2


def dense(net: sl.Network) -> None:
    net.input = sl.Encoder(6, encoding="poisson", unit_conversion=0.5)
    net.a = sl.NeuronGroup(5, model="clif", tau_m=np.linspace(15, 25, 5))
    net.c = sl.Connection(net.input, net.a, link_type="full", weight=np.linspace(0, 1, 30).reshape(5, 6), bias=True)
    net.b = sl.NeuronGroup(5, model="lif", v_th=0.3, emission=sl.Emission(surrogate=Gaussian(0.1), reset=Subtract()))
    net.d = sl.Connection(net.a, net.b, link_type="one_to_one", w_mean=0.4)
    net.output = sl.Decoder(dec_target=net.b)


def sparse(net: sl.Network) -> None:
    net.input = sl.Encoder(6)
    net.a = sl.NeuronGroup(5, model="if", parameter_variables=["v_th"])
    net.b = sl.NeuronGroup(4, model="lif")
    net.c = sl.Connection(net.input, net.a, link_type="sparse", density=0.5, w_mean=0.8, bias=np.full(5, 0.1))
    weight = np.random.default_rng(0).random((4, 5)) * (np.arange(20).reshape(4, 5) % 3 == 0)
    net.d = sl.Connection(net.a, net.b, link_type="sparse", weight=weight)
    net.e = sl.Connection(net.a, net.b, link_type="sparse", indices=np.array([[0, 3, 3], [1, 2, 4]]), w_mean=0.9)
    net.output = sl.Decoder(dec_target=net.b, coding_method="spike_rate")


def image(net: sl.Network) -> None:
    net.input = sl.Encoder(shape=(2, 6, 6), coding_method="bernoulli", max_prob=0.9)
    net.a = sl.NeuronGroup(model="lif", shape=(4, 6, 6), scale_input=True)
    net.b = sl.NeuronGroup(model="lif", shape=(4, 3, 3), v_th=0.5)
    net.c = sl.Connection(net.input, net.a, link_type="conv", padding=1, groups=2, weight=KaimingUniform(3.0))
    net.d = sl.Connection(net.a, net.b, link_type="pool", pool="avg", kernel_size=(2, 2), scale=2.0)
    net.out = sl.NeuronGroup(3, model="li")
    net.e = sl.Connection(net.b, net.out, link_type="full", weight=Normal(0.2, 0.3))
    net.output = sl.Decoder(dec_target=net.out, coding_method="v_t")


def looped(net: sl.Network) -> None:
    net.block = sl.Assembly()
    net.back = sl.Assembly()
    a, b = sl.NeuronGroup(5, model="lif"), sl.NeuronGroup(4, model="lif")
    net.input = sl.Encoder(6)
    net.block.c1 = sl.Connection(net.input, a, link_type="full", w_std=1.0)
    net.back.c2 = sl.Connection(b, a, link_type="full", w_std=0.8, delay=2.0)
    sos = [[0.2, 0.1, 0.05, 1.0, -0.5, 0.1]]
    net.block.c3 = sl.Connection(a, b, link_type="full", w_std=1.0, filter=sl.LowPass(tau=np.linspace(2, 5, 4)))
    net.c4 = sl.Connection(a, b, link_type="full", w_std=1.0, filter=sl.SecondOrderSections(sos=sos))
    net.block.a, net.block.b = a, b
    net.output = sl.Decoder(dec_target=b, pop_size=2)
    net.mon_v, net.mon_o = sl.StateMonitor(a, "V"), sl.SpikeMonitor(b)
    net.learner = sl.Learner(trainable=[net.block], algorithm="SBP", surrogate=Gaussian(0.3), lr=0.05)
    net.learner.set_optimizer("Adam", betas=(0.9, 0.99))
    net.learner.set_schedule("StepLR", 10)


NETWORKS = [dense, sparse, image, looped]


def made(build, name: str | None = "net") -> sl.Network:
    net = sl.Network(name)
    build(net)
    net.set_backend_dt(1.0)
    net.set_random_seed(3)
    return net


def answer(net: sl.Network) -> torch.Tensor:
    net.set_random_seed(7)
    net.input(np.random.default_rng(1).random((B, *net.input.shape)))
    net.run(T)
    return net.output.predict


def trained(net: sl.Network) -> sl.Network:
    """The network after one step of plain gradient descent."""
    answer(net).square().sum().backward()
    with torch.no_grad():
        for parameter in net.parameters():
            if parameter.grad is not None:
                parameter -= 0.01 * parameter.grad.sign()
    return net
