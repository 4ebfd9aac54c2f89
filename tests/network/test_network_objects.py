"""A network as an object of Python: pickled, let go, and with attributes that mean nothing."""

import gc
import pickle
import weakref

import numpy as np
import pytest
import torch

import spikeloom as sl
from spikeloom.errors import ParameterError
from spikeloom.network import Tap


def network(path="auto", looped=True):
    net = sl.Network()
    net.x = sl.Encoder(6, coding_method="null")
    net.a = sl.NeuronGroup(5, model="lif")
    net.c = sl.Connection(net.x, net.a, link_type="full", w_mean=0.3, w_std=0.3)
    if looped:
        net.back = sl.Connection(net.a, net.a, link_type="random", probability=0.5, w_mean=0.1)
    net.out = sl.Decoder(dec_target=net.a)
    net.learner = sl.Learner(net, "STBP")
    net.set_backend(sl.TorchBackend(dt=1.0, path=path))
    net.set_random_seed(3)
    return net


def counts(net):
    net.x(np.random.default_rng(0).random((4, 20, 6)))
    net.run(20.0)
    return net.out.predict


@pytest.mark.parametrize("ran", [False, True])
def test_a_network_is_pickled_with_what_it_has_learned(ran):
    net = network()
    if ran:
        net.learner.set_optimizer("Adam", 0.1)
        counts(net).square().sum().backward()
        net.learner.optim_step()
        tap = Tap(net.a)
    twin = pickle.loads(pickle.dumps(net))  # noqa: S301 (what stands here was made here)
    expected = counts(net)
    assert expected.any()
    assert torch.equal(counts(twin), expected)
    assert twin.state_dict().keys() == net.state_dict().keys()
    assert all(torch.equal(twin.state_dict()[name], value) for name, value in net.state_dict().items())
    assert len(twin.taps) == 0
    assert not ran or list(net.taps) == [tap]


@pytest.mark.parametrize("path", ["auto", "torch"])
@pytest.mark.parametrize("how", ["backward", "no gradient", "not run"])
def test_a_network_that_nobody_holds_is_let_go(path, how):
    net = network(path, looped=False)
    if how == "backward":
        counts(net).sum().backward()
    elif how == "no gradient":
        with torch.no_grad():
            counts(net)
    seen = weakref.ref(net)
    del net
    gc.collect()
    assert seen() is None


@pytest.mark.parametrize(
    ("name", "way"),
    [
        ("dt", r"set_backend_dt\(dt\)"), ("backend_dt", "set_backend_dt"), ("seed", r"set_random_seed\(seed\)"),
        ("training", r"train\(\) or eval\(\)"),
        ("device", r"set_backend\('torch', device\)"), ("threads", "set_backend"),
    ],
)  # fmt: skip
def test_what_a_network_has_a_method_for_is_not_set_by_assignment(name, way):
    with pytest.raises(ParameterError, match=f"network.{name} is not set by assignment; call net.{way}"):
        setattr(sl.Network(), name, 1.0)


def test_a_class_of_ones_own_may_have_any_attribute():
    class Mine(sl.Network):
        def __init__(self):
            super().__init__()
            self.device, self.note = "mine", 3

    assert (Mine().device, Mine().note) == ("mine", 3)
    net = sl.Network()
    net.note = 3
    assert net.note == 3
