"""Populations and connections as they are described: spellings, and what is refused."""

import numpy as np
import pytest
import torch

import spikeloom as sl
from spikeloom.errors import ParameterError, ShapeError, UnknownNameError, UnsupportedError
from spikeloom.network import Constant
from spikeloom.network.links import Full
from spikeloom.neurons import CLIF, LIF, Emission, Subtract


@pytest.fixture
def layer():
    return sl.NeuronGroup(6, model="lif")


@pytest.mark.parametrize(
    "given",
    [
        sl.NeuronGroup(10, "clif"),
        sl.NeuronGroup(10, model="CLIF"),
        sl.NeuronGroup(10, neuron_model="clif"),
        sl.NeuronGroup(neuron_number=10, model="clif"),
        sl.NeuronGroup(num=10, shape=(2, 5), model="clif"),
        sl.NeuronGroup(neuron_shape=(2, 5), neuron_model="Clif"),
        sl.NeuronGroup(shape=10, model=CLIF()),
    ],
)
def test_every_spelling_of_a_population_gives_it(given):
    assert (given.num, given.model, given.neuron) == (10, "clif", CLIF())


def test_parameters_are_taken_by_any_name_from_param_and_beside_it():
    expected = LIF(tau_m=8.0, v_th=1.5)
    assert sl.NeuronGroup(3, "lif", param={"tau_m": 8, "V_th": 1.5}).neuron == expected
    assert sl.NeuronGroup(3, "lif", tauM=8, Vth=1.5).neuron == expected
    assert sl.NeuronGroup(3, "lif", param={"tau_m": 8}, threshold=np.float32(1.5)).neuron == expected
    assert sl.NeuronGroup(3, "lif", v_th=torch.tensor(1.5)).neuron.v_th == 1.5


def test_an_array_of_the_shape_of_the_population_is_taken():
    tau = torch.linspace(1, 6, 6).reshape(2, 3)
    group = sl.NeuronGroup(shape=(2, 3), model="lif", tau_m=tau)
    np.testing.assert_array_equal(group.neuron.tau_m, tau.numpy())
    with pytest.raises(ShapeError, match=r"NeuronGroup\.tau_m must be a number or have shape \(2, 3\), got shape \(6,"):
        sl.NeuronGroup(shape=(2, 3), model="lif", tau_m=np.ones(6))


def test_an_emission_takes_the_place_of_the_models():
    group = sl.NeuronGroup(3, "lif", emission=Emission(reset=Subtract()))
    assert group.neuron == LIF(emission=Emission(reset=Subtract()))
    with pytest.raises(ParameterError, match="did you mean 'v_th'"):
        sl.NeuronGroup(3, "lif", emission=Emission(threshold="v_t"))
    with pytest.raises(ParameterError, match="must be an Emission"):
        sl.NeuronGroup(3, "lif", emission="step")


@pytest.mark.parametrize(
    ("keywords", "error", "message"),
    [
        ({"model": "lif"}, ParameterError, "give num= .* or shape="),
        ({"num": 3}, ParameterError, "give model=, one of: if, lif, clif, li"),
        ({"num": 3, "model": "liff"}, UnknownNameError, "unknown neuron model 'liff'; did you mean 'lif'"),
        ({"num": 3, "model": 5}, UnknownNameError, "neuron model must be a name"),
        ({"num": 3, "model": LIF}, UnknownNameError, "neuron model must be a name"),
        ({"num": 0, "model": "lif"}, ParameterError, "positive whole numbers, got 0"),
        ({"num": 2.0, "model": "lif"}, ParameterError, "positive whole numbers, got 2.0"),
        ({"num": True, "model": "lif"}, ParameterError, "positive whole numbers"),
        ({"num": 3, "shape": (2, 2), "model": "lif"}, ParameterError, r"shape \(2, 2\) has 4 neurons, num says 3"),
        ({"shape": (), "model": "lif"}, ParameterError, "positive whole numbers"),
        ({"shape": (2, -1), "model": "lif"}, ParameterError, "positive whole numbers"),
        (
            {"num": 3, "neuron_number": 3, "model": "lif"},
            ParameterError,
            "num was given twice, once as 'neuron_n",
        ),
        ({"num": 3, "model": "lif", "neuron_model": "lif"}, ParameterError, "model was given twice"),
        ({"num": 3, "model": "lif", "tau_n": 1}, ParameterError, "unknown parameter 'tau_n'; did you mean 'tau_m'"),
        (
            {"num": 3, "model": "lif", "param": {"vht": 1}},
            ParameterError,
            "parameter 'vht'; did you mean 'v_th'",
        ),
        ({"num": 3, "model": "lif", "tau_m": -1}, ParameterError, r"LIF\.tau_m must be a positive time in ms, got -1"),
        ({"num": 3, "model": "lif", "tau_m": "a"}, ParameterError, r"LIF\.tau_m must be"),
        ({"num": 3, "model": "lif", "tau_m": [[1], [1, 2]]}, ParameterError, r"LIF\.tau_m must be"),
        (
            {"num": 3, "model": "lif", "param": {"v_th": 1}, "Vth": 2},
            ParameterError,
            "v_th is given in param=",
        ),
        ({"shape": 2.5, "model": "lif"}, ParameterError, r"positive whole numbers, got 2\.5"),
        ({"shape": "ab", "model": "lif"}, ParameterError, "positive whole numbers, got 'ab'"),
        ({"num": 3, "model": "lif", "param": [1]}, ParameterError, r"param must map names to values, got \[1\]"),
        ({"num": 3, "model": "lif", "param": {1: 2}}, ParameterError, "neuron parameter: a name must be a text, got 1"),
        ({"num": 3, "model": "lif", "parameter_variables": 3}, ParameterError, "must be a list of names, got 3"),
        ({"num": 3, "model": "lif", "parameter_variables": [3]}, ParameterError, "must be a text, got 3"),
        ({"num": 3, "model": "lif", "tau_m": torch.ones(3).to_sparse()}, ParameterError, "tau_m must be an array"),
        ({"num": 3, "model": LIF(), "tau_m": 2}, ParameterError, "given as an object; give tau_m to it"),
        ({"num": 3, "model": "lif", "parameter_variables": ["tau"]}, None, ""),
        ({"num": 3, "model": "lif", "parameter_variables": ["tua"]}, ParameterError, "parameter_variables: unknown"),
        ({"num": 3, "model": "lif", "parameter_variables": ["scale_input"]}, ParameterError, "unknown parameter"),
    ],
)
def test_a_wrong_population_is_refused_with_the_way_out(keywords, error, message):
    if error is None:
        assert sl.NeuronGroup(**keywords).trains == ("tau_m",)
    else:
        with pytest.raises(error, match=message):
            sl.NeuronGroup(**keywords)


def test_a_name_stands_in_the_message():
    with pytest.raises(ParameterError, match=r"NeuronGroup 'l1', model 'lif': unknown parameter 'x'\. It has: tau_m"):
        sl.NeuronGroup(3, "lif", name="l1", x=1)


def test_a_population_shows_what_can_be_watched_and_what_it_trains():
    group = sl.NeuronGroup(3, "clif")
    assert group.observables == ("spikes", "i_syn", "v", "m", "s", "e")
    assert group.trains == ("v_0",)
    assert sl.NeuronGroup(3, "clif", parameter_variables=[]).trains == ()
    assert sl.NeuronGroup(3, "lif", parameter_variables="TauM").trains == ("tau_m",)
    assert group.get_value("V0") == pytest.approx(6.75)
    with pytest.raises(ParameterError, match="did you mean"):
        group.get_value("tau_n")


@pytest.mark.parametrize(
    ("keywords", "error", "message"),
    [
        ({}, ParameterError, "give link_type=, one of: full, one_to_one, sparse, conv, pool"),
        ({"link_type": "ful"}, UnknownNameError, "unknown link type 'ful'; did you mean 'full'"),
        ({"link_type": ("full", "conv")}, UnknownNameError, "link type must be a name"),
        ({"link_type": "full", "linkType": "conv"}, ParameterError, "link_type was given twice"),
        (
            {"link_type": "full", "w_maen": 1},
            ParameterError,
            "'full': unknown parameter 'w_maen'; did you mean",
        ),
        ({"link_type": "full", "delay": -1.0}, ParameterError, "delay must be a time in ms, zero or more, got -1.0"),
        ({"link_type": "full", "delay": float("nan")}, ParameterError, "delay must be"),
        ({"link_type": "full", "delay": "1"}, ParameterError, "delay must be"),
        ({"link_type": "full", "delay": True}, ParameterError, "delay must be"),
        ({"link_type": "full", "filter": 5.0}, ParameterError, r"filter must be a Filter such as LowPass\(tau=5.0\)"),
        ({"link_type": "full", "filter": sl.LogSpaced(tau_min=1, tau_max=2, n=3)}, UnsupportedError, "use LowPass"),
        ({"link_type": "full", "port": "exc"}, ParameterError, "port must be one of i_syn, got 'exc'"),
        ({"link_type": "full", "port": 0}, ParameterError, "observable: a name must be a text, got 0"),
        ({"link_type": "full", "delay": 1e300}, None, ""),
        ({"link_type": "full", "weight": np.ones((6, 4)), "w_std": 3}, ParameterError, "leave w_std without effect"),
        ({"link_type": "full", "weight": Constant(1.0), "WMean": 3}, ParameterError, "leave w_mean without effect"),
        ({"link_type": "conv", "weight": np.ones(3), "w_std": 3}, ParameterError, "leave w_std without effect"),
        (
            {"link_type": "sparse", "weight": np.ones((6, 4)), "density": 0.5},
            ParameterError,
            "leave density without eff",
        ),
        (
            {"link_type": "sparse", "indices": [[0], [0]], "density": 0.5},
            ParameterError,
            "leave density without effect",
        ),
        ({"link_type": "sparse", "weight": Constant(1.0), "density": 0.5}, None, ""),
        ({"link_type": "full", "weight": None, "w_std": 3}, None, ""),
        (
            {"link_type": "full", "weight": torch.ones(6, 4).to_sparse()},
            ParameterError,
            "weight must be an array of num",
        ),
        ({"link_type": Full(), "w_mean": 1.0}, ParameterError, "given as an object; give w_mean to it"),
        (
            {"link_type": "full", "weight": np.ones((4, 6))},
            ShapeError,
            r"'c'\.weight must have shape \(6, 4\)",
        ),
        (
            {"link_type": "one_to_one"},
            ShapeError,
            r"Connection 'c' \(one_to_one\): one_to_one joins populations",
        ),
    ],
)
def test_a_wrong_connection_is_refused_with_the_way_out(layer, keywords, error, message):
    if error is None:
        sl.Connection(sl.Encoder(4), layer, name="c", **keywords)
        return
    with pytest.raises(error, match=message):
        sl.Connection(sl.Encoder(4), layer, name="c", **keywords)


def test_a_link_type_that_is_not_named_is_refused_with_its_name(layer):
    with pytest.raises(ParameterError, match="after pre and post, give each by name: link_type='full'"):
        sl.Connection(sl.Encoder(4), layer, "full")


def test_a_population_may_be_huge_and_its_weights_may_not():
    huge = sl.NeuronGroup(10**12, "lif")
    for filter in (None, sl.LowPass(tau=5.0)):
        with pytest.raises(ParameterError, match="more than 17179869184 entries"):
            sl.Connection(sl.Encoder(4), huge, link_type="full", filter=filter)


@pytest.mark.parametrize("wrong", [3, None, ["v"]])
def test_an_observable_that_is_no_text_is_refused(layer, wrong):
    with pytest.raises(ParameterError, match="observable: a name must be a text"):
        sl.StateMonitor(layer, wrong)


def test_a_connection_goes_from_a_source_to_a_population(layer):
    with pytest.raises(ParameterError, match="post must be a neuron group, got Encoder"):
        sl.Connection(layer, sl.Encoder(4), link_type="full")
    for wrong in (3, None, sl.Decoder(dec_target=layer), sl.Network()):
        with pytest.raises(ParameterError, match="pre must be an encoder or a neuron group, got"):
            sl.Connection(wrong, layer, link_type="full")


@pytest.mark.parametrize("link_type", ["full", "Full", "full_connection", "dense"])
def test_a_link_type_is_taken_in_any_spelling(layer, link_type):
    assert sl.Connection(sl.Encoder(4), layer, link_type=link_type, W_Mean=0.5).link.w_mean == 0.5


def test_a_delay_is_a_whole_number_of_steps(layer):
    connection = sl.Connection(sl.Encoder(4), layer, link_type="full", delay=np.float32(0.5), name="c")
    assert connection.delay_steps(0.1) == 5
    assert connection.delay_steps(0.5) == 1
    with pytest.raises(
        ParameterError, match=r"connection 'c': delay 0\.5 ms is not a whole number of steps of 0\.2 ms"
    ):
        connection.delay_steps(0.2)


def test_a_connection_owns_its_weights(layer):
    weight = np.ones((6, 4))
    net = sl.Network()
    net.input, net.layer = sl.Encoder(4), layer
    net.c = sl.Connection(net.input, layer, link_type="full", weight=weight)
    weight[:] = 7.0
    np.testing.assert_array_equal(net.c.weight.value, np.ones((6, 4)))


def test_a_connection_without_a_bias_says_so(layer):
    connection = sl.Connection(sl.Encoder(4), layer, link_type="full", name="c")
    with pytest.raises(ParameterError, match=r"connection 'c' \(full\) has no bias"):
        connection.bias


def test_an_initializer_is_taken_as_a_weight(layer):
    net = sl.Network()
    net.input, net.layer = sl.Encoder(4), layer
    net.c = sl.Connection(net.input, layer, link_type="full", weight=Constant(0.25), bias=True)
    net.build()
    assert torch.equal(net.c.weight.value, torch.full((6, 4), 0.25))
    assert torch.equal(net.c.bias.value, torch.zeros(6))
