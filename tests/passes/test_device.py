"""Whether a network fits a device, by hand-counted networks."""

import numpy as np
import pytest

import spikeloom as sl
from spikeloom.errors import ParameterError, UnknownNameError
from spikeloom.passes import DEVICES, Device, check_device, quantise


def network(**settings):
    """4 inputs, 3 neurons with 12 synapses, 2 neurons with 6, one neuron with one more from outside of the layers."""
    net = sl.Network("small")
    with net:
        net.source = sl.Encoder(4, coding_method="null")
        net.hidden = sl.NeuronGroup(3, model=settings.get("model", "lif"))
        net.out = sl.NeuronGroup(2, model="lif")
        net.a = sl.Connection(net.source, net.hidden, link_type="full", weight=np.linspace(-1, 1.1, 12).reshape(3, 4))
        net.b = sl.Connection(
            net.hidden,
            net.out,
            link_type="full",
            weight=np.array([[1.0, 2, 0], [3, 1, 1]]),
            delay=settings.get("delay", 0.0),
        )
        if settings.get("loop"):
            net.back = sl.Connection(net.out, net.hidden, link_type="full", weight=np.ones((3, 2)))
    net.set_backend_dt(1.0)
    return net


def needs(report):
    return {use.what: use.needed for use in report.uses}


def test_what_a_network_needs_is_counted():
    report = check_device(network(), Device(name="any"))
    assert needs(report) == {"neurons": 5, "inputs": 4, "fan-in": 4, "weights": 18}
    assert report.fits
    assert needs(check_device(network(loop=True), Device(name="any")))["fan-in"] == 4 + 2


def test_weights_of_zero_are_no_synapses():
    net = network()
    net.a.weight.value = np.zeros((3, 4))
    assert needs(check_device(net, Device(name="any")))["fan-in"] == 3


@pytest.mark.parametrize(
    ("limit", "word"),
    [
        ({"n_neurons": 4}, "neurons: 5"),
        ({"n_inputs": 3}, "inputs: 4"),
        ({"fan_in": 3}, "fan-in: 4"),
        ({"n_weights": 17}, "18"),
    ],
)
def test_each_limit_is_said(limit, word):
    report = check_device(network(), Device(name="small", **limit))
    assert not report.fits
    assert len(report.problems) == 1
    assert word in report.problems[0]
    assert check_device(network(), Device(name="enough", **{name: value + 1 for name, value in limit.items()})).fits


def test_models_links_delays_and_loops_that_it_does_not_have_are_said():
    device = Device(name="plain", models=("if",), links=("conv",), delay_steps=2, loops=False)
    problems = check_device(network(delay=3.0, loop=True), device).problems
    assert sum("model 'lif' is not there" in p for p in problems) == 2
    assert sum("link type 'full'" in p for p in problems) == 3
    assert sum("a delay of 3 steps; the longest there is 2" in p for p in problems) == 1
    assert sum("lie in a loop" in p for p in problems) == 1


@pytest.mark.parametrize("bits", [2, 4, 8, 16])
def test_weights_finer_than_its_bits_are_said_until_they_are_quantised(bits):
    device = Device(name="coarse", weight_bits=bits)
    drawn = np.random.default_rng(0).normal(size=(3, 4))
    net = network()
    net.a.weight.value = drawn
    assert any(p.startswith("a: weights are finer") for p in check_device(net, device).problems)
    assert check_device(quantise(net, bits)[0], device).fits


def test_whole_numbers_fit_the_bits_that_hold_them():
    net = network()
    net.a.weight.value = np.arange(-5.0, 7.0).reshape(3, 4)  # up to 6, which 4 bits hold and 3 do not
    assert check_device(net, Device(name="four", weight_bits=4)).fits
    assert not check_device(net, Device(name="three", weight_bits=3)).fits


def test_the_devices_of_the_papers_have_their_limits():
    assert DEVICES["NeuroCoreX"].n_neurons == 90
    report = check_device(network(), "sfq")
    assert any("model 'lif' is not there; it has: if" in p for p in report.problems)
    assert "does not fit" in str(report)
    assert str(check_device(network(), Device(name="any"))).startswith("any: fits")


def test_wrong_devices_are_refused():
    with pytest.raises(UnknownNameError, match="neurocorex"):
        check_device(network(), "neurocor")
    with pytest.raises(ParameterError, match="n_neurons must be a whole number from 1"):
        Device(name="x", n_neurons=0)
    with pytest.raises(UnknownNameError, match="lif"):
        Device(name="x", models=("lief",))
    with pytest.raises(ParameterError, match=r"Device.models must be names in a tuple, or None.*got 'lif'"):
        Device(name="x", models="lif")
    with pytest.raises(ParameterError, match=r"Device.loops must be True or False, got 'no'"):
        Device(name="x", loops="no")
    with pytest.raises(ParameterError, match="must be a Device"):
        check_device(network(), 3)
