"""Encoders, decoders and monitors as they are described: spellings, what they give, and what is refused."""

import numpy as np
import pytest
import torch

import spikeloom as sl
from spikeloom.errors import DataError, ParameterError, ShapeError, StateError, UnknownNameError


@pytest.fixture
def layer():
    return sl.NeuronGroup(6, model="lif")


@pytest.mark.parametrize(
    "given",
    [
        sl.Encoder(784, encoding="poisson"),
        sl.Encoder(784),
        sl.Encoder(num=784, coding_method="Poisson"),
        sl.Encoder((784,), "poisson_generator"),
        sl.Encoder(shape=784, codingMethod="poisson"),
    ],
)
def test_every_spelling_of_an_encoder_gives_it(given):
    assert (given.num, given.shape, given.coding_method) == (784, (784,), "poisson")


def test_the_options_of_a_coding_stand_beside_it():
    assert sl.Encoder(4, "poisson", unitConversion=0.5).options == {"unit_conversion": 0.5}
    assert sl.Encoder([2, 3]).shape == (2, 3)
    for wrong, message in (
        (
            {"coding_method": "poisson", "max_prob": 1},
            "coding 'poisson': unknown parameter 'max_prob'.* It has: unit",
        ),
        ({"coding_method": "poisson", "encoding": "latency"}, "coding_method was given twice"),
        ({"coding_method": "null", "amp": 1.0}, "It has: none"),
    ):
        with pytest.raises(ParameterError, match=message):
            sl.Encoder(4, **wrong)
    with pytest.raises(UnknownNameError, match="unknown encoding 'poison'; did you mean 'poisson'"):
        sl.Encoder(4, "poison")
    with pytest.raises(ParameterError, match="give num= "):
        sl.Encoder(coding_method="poisson")


@pytest.mark.parametrize("wrong", ["1", None, np.nan, np.inf, True, [1.0], np.ones(4)], ids=repr)
@pytest.mark.parametrize(
    ("coding", "option"),
    [
        ("poisson", "unit_conversion"),
        ("bernoulli", "max_prob"),
        ("latency", "max_scale"),
        ("constant_current", "amp"),
    ],
)
def test_an_option_of_a_coding_that_is_no_number_is_refused_when_it_is_given(coding, option, wrong):
    with pytest.raises(ParameterError, match=rf"Encoder 'e', coding '{coding}': {option} must be a finite number, got"):
        sl.Encoder(4, coding, name="e", **{option: wrong})
    for number in (1, 0.5, np.float32(0.5)):
        assert sl.Encoder(4, coding, **{option: number}).options == {option: number}


@pytest.mark.parametrize("data", [torch.ones(1, 4).to_sparse(), torch.ones(1, 4, dtype=torch.complex64)])
@pytest.mark.parametrize("coding", ["poisson", "constant_current"])
def test_a_tensor_that_is_sparse_or_complex_is_refused_as_input(coding, data):
    with pytest.raises(DataError, match=r"encoder 'e' takes a dense tensor of real numbers, got torch\."):
        sl.Encoder(4, coding, name="e")(data)


@pytest.mark.parametrize(
    ("coding", "data", "error", "message"),
    [
        ("poisson", np.ones((2, 5)), ShapeError, r"encoder 'e' takes a batch of shape \(B, 2, 3\), got \(2, 5\)"),
        ("poisson", np.ones((2, 3)), ShapeError, r"shape \(B, 2, 3\), got \(2, 3\)"),
        ("poisson", np.ones(6), ShapeError, r"shape \(B, 2, 3\), got \(6,\)"),
        ("poisson", 1.0, ShapeError, r"got \(\)"),
        ("null", np.ones((2, 6)), ShapeError, r"shape \(B, T, 2, 3\), got \(2, 6\)"),
        ("poisson", torch.ones(2, 5), ShapeError, r"got \(2, 5\)"),
        ("poisson", [["a"] * 6], DataError, "encoder 'e' takes real numbers, got list of dtype"),
        ("poisson", [["1"] * 6], DataError, "takes real numbers"),
        ("poisson", np.ones((1, 6), complex), DataError, "dtype complex128"),
        ("poisson", [[1.0] * 6, [1.0]], DataError, "takes an array of numbers, got list"),
        ("poisson", None, DataError, "takes real numbers, got NoneType"),
        (
            "poisson",
            np.where(np.arange(6) == 4, np.nan, 1.0)[None],
            DataError,
            r"first at index \(0, 4\)",
        ),
        ("poisson", torch.full((1, 6), torch.inf), DataError, r"NaN or infinity, first at index \(0, 0\)"),
    ],
)
def test_data_that_does_not_fit_is_refused_at_the_door_and_the_last_batch_is_kept(coding, data, error, message):
    encoder = sl.Encoder(shape=(2, 3), coding_method=coding, name="e")
    good = np.ones((4, 7, 6) if coding == "null" else (4, 6))
    encoder(good)
    with pytest.raises(error, match=message):
        encoder(data)
    assert encoder.batch_size == 4


def test_spikes_of_another_size_are_refused_and_the_last_batch_is_kept():
    encoder = sl.Encoder(4, name="e")
    encoder(np.ones((3, 4)))
    with pytest.raises(ShapeError, match=r"encoder 'e' has shape \(4,\), the spikes have \(5,\)"):
        encoder(sl.Spikes.from_steps([0], [0], 5, 3, 0.1))
    assert encoder.batch_size == 3


def test_an_encoder_without_input_says_how_to_call_it():
    net = sl.Network()
    net.e = sl.Encoder(4)
    with pytest.raises(StateError, match=r"encoder 'e' has no input yet; call it with a batch: net\.e\(data\)"):
        net.e.batch_size


@pytest.mark.parametrize("flat", [True, False])
def test_flat_and_shaped_batches_are_the_same(flat):
    encoder = sl.Encoder(shape=(2, 3), coding_method="constant_current", amp=2.0)
    data = np.arange(12.0).reshape((2, 6) if flat else (2, 2, 3))
    encoder(data)
    signal = encoder.encode(5, 0.1, np.random.default_rng(0))
    np.testing.assert_array_equal(signal, 2 * np.arange(12.0).reshape(1, 2, 2, 3))


def test_values_keep_their_precision_and_their_gradient():
    encoder = sl.Encoder(2, "constant_current")
    encoder([[0.1, 0.2]])
    assert encoder.encode(1, 0.1, None).tolist() == [[[0.1, 0.2]]]
    encoder(np.ones((1, 2), np.float32))
    assert encoder.encode(1, 0.1, None).dtype == np.float32
    data = torch.ones(1, 2, requires_grad=True)
    encoder(data)
    assert encoder.encode(1, 0.1, None).requires_grad


def test_latency_gives_the_steps_measured_on_spaic():
    encoder = sl.Encoder(6, "latency")
    encoder(np.linspace(0, 1, 12).reshape(2, 6))
    spikes = encoder.encode(50, 0.1, np.random.default_rng(0))
    first = spikes[0]
    assert first.step[np.argsort(first.ids)].tolist() == [49, 44, 40, 35, 31, 26]


@pytest.mark.parametrize(("coding", "p"), [("poisson", 0.03), ("bernoulli", 0.3)])
def test_random_codings_fire_with_their_probability(coding, p):
    encoder = sl.Encoder(200, coding)
    encoder(np.full((5, 200), 0.3))
    spikes = encoder.encode(300, 0.1, np.random.default_rng(0))
    n = 5 * 200 * 300
    assert spikes.n_spikes == pytest.approx(n * p, abs=5 * (n * p * (1 - p)) ** 0.5)


def test_an_error_of_a_coding_names_the_encoder():
    encoder = sl.Encoder(2, "bernoulli", name="e")
    encoder([[0.5, 2.0]])
    with pytest.raises(DataError, match=r"encoder 'e': bernoulli\.x"):
        encoder.encode(5, 0.1, np.random.default_rng(0))
    encoder = sl.Encoder(2, "null", name="e")
    encoder(np.ones((3, 4, 2)))
    with pytest.raises(ShapeError, match=r"encoder 'e': .* \(B, T, \*shape\) with T = 5, got \(3, 4, 2\)"):
        encoder.encode(5, 0.1, np.random.default_rng(0))


def test_spikes_pass_through_in_the_shape_of_the_encoder():
    encoder = sl.Encoder(shape=(2, 3), name="e")
    encoder(sl.Spikes.from_times([0.0, 0.4], [5, 0], 6, 0.5))
    spikes = encoder.encode(5, 0.1, np.random.default_rng(0))
    assert (spikes.shape, spikes.step.tolist(), spikes.ids.tolist()) == ((2, 3), [0, 4], [5, 0])
    with pytest.raises(DataError, match=r"the spikes last 5 steps, the run only 4; run at least 0\.5 ms"):
        encoder.encode(4, 0.1, np.random.default_rng(0))


@pytest.mark.parametrize(
    "make",
    [
        lambda g: sl.Decoder(6, g),
        lambda g: sl.Decoder(dec_target=g),
        lambda g: sl.Decoder(decoding="spike_counts", target=g),
        lambda g: sl.Decoder(num=6, dec_target=g, coding_method="SpikeCounts"),
    ],
)
def test_every_spelling_of_a_decoder_gives_it(layer, make):
    decoder = make(layer)
    assert (decoder.num, decoder.dec_target, decoder.coding_method) == (6, layer, "spike_counts")


@pytest.mark.parametrize(
    ("keywords", "error", "message"),
    [
        ({"num": 5}, ShapeError, r"num must be 6, what its target of 6 neurons gives, got 5"),
        ({"num": 4, "pop_size": 2}, ShapeError, "num must be 3"),
        ({"num": 6, "pop_size": 2}, None, ""),
        ({"pop_size": True}, ParameterError, "pop_size must be a whole number from 1 on, got True"),
        ({"pop_size": 4}, ParameterError, "pop_size 4 does not divide 6 neurons"),
        ({"pop_size": 0}, ParameterError, "pop_size must be a whole number from 1 on"),
        ({"pop_size": 1.5}, ParameterError, "pop_size must be a whole number from 1 on"),
        ({"popsize": 2, "num": 3}, None, ""),
        ({"coding_method": "spike_count"}, UnknownNameError, "did you mean 'spike_counts'"),
        ({"coding_method": "v_t", "pop_size": 2}, ParameterError, "coding 'v_t': unknown parameter"),
        ({"target": "layer"}, ParameterError, "dec_target was given twice"),
        ({"offset": 1}, ParameterError, "unknown parameter 'offset'"),
        ({"bias": np.nan}, ParameterError, "spike_counts.bias must be a finite number, got nan"),
        ({"scale": "1"}, ParameterError, "spike_counts.scale must be a finite number, got '1'"),
    ],
)
def test_a_wrong_decoder_is_refused_with_the_way_out(layer, keywords, error, message):
    if error is None:
        assert sl.Decoder(dec_target=layer, **keywords).num == 3
    else:
        with pytest.raises(error, match=message):
            sl.Decoder(dec_target=layer, **keywords)


@pytest.mark.parametrize("target", [None, 3, "layer", sl.Encoder(3)])
def test_a_decoder_reads_a_population(target):
    with pytest.raises(ParameterError, match="dec_target must be the neuron group to decode, got"):
        sl.Decoder(dec_target=target)


def test_a_decoder_keeps_labels_and_has_no_answer_before_a_run(layer):
    decoder = sl.Decoder(dec_target=layer, name="out")
    decoder([1, 2])
    assert decoder.label == [1, 2]
    with pytest.raises(StateError, match=r"decoder 'out' has no answer yet; run the network first"):
        decoder.predict


@pytest.mark.parametrize(("name", "found"), [("V", "v"), ("O", "spikes"), ("Isyn", "i_syn"), ("spike", "spikes")])
def test_a_monitor_takes_an_observable_in_any_spelling(layer, name, found):
    assert sl.StateMonitor(layer, name).var_name == found


def test_a_wrong_monitor_is_refused_with_the_way_out(layer):
    with pytest.raises(ParameterError, match=r"a 'lif' group has no observable 'W'\. It has: spikes, i_syn, v"):
        sl.StateMonitor(layer, "W")
    with pytest.raises(ParameterError, match="target must be a neuron group, an input or a connection, got Decoder"):
        sl.StateMonitor(sl.Decoder(dec_target=layer), "V")
    with pytest.raises(ParameterError, match=r"an encoder has no observable 'V'\. It has: spikes"):
        sl.StateMonitor(sl.Encoder(3), "V")
    with pytest.raises(ParameterError, match="SpikeMonitor watches spikes, got 'V'; use StateMonitor for 'v'"):
        sl.SpikeMonitor(layer, "V")
    monitor = sl.SpikeMonitor(layer, name="m")
    for attribute in ("times", "spikes", "spk_times", "spk_index", "spk_count", "time_spk_rate", "time_pop_rate"):
        with pytest.raises(StateError, match="monitor 'm' has seen nothing yet; run the network first"):
            getattr(monitor, attribute)
