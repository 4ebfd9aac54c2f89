"""Metrics and answers of a network whose counts are known beforehand."""

import numpy as np
import pytest
import torch
from small_networks import changed, counting, learning, trains_of, two_layers, values_of

from spikeloom.datasets import ArrayDataset, Dataloader
from spikeloom.errors import DataError, ParameterError, ShapeError, StateError, UnknownNameError
from spikeloom.network import Connection, Decoder, Encoder, Network, NeuronGroup
from spikeloom.spikes import Spikes
from spikeloom.training import Metrics, evaluate, predict

COUNTS = np.array([[5, 2, 0], [1, 4, 1], [0, 3, 6], [2, 0, 1], [0, 0, 7]])
LABELS = np.array([0, 1, 1, 2, 2])
T = 10


def loader(batch_size=2, counts=COUNTS, labels=LABELS):
    return Dataloader(ArrayDataset(trains_of(counts, T), labels), batch_size)


def cross_entropies(counts, labels):
    scores = counts.astype(float)
    return np.log(np.exp(scores).sum(1)) - scores[np.arange(len(labels)), labels]


@pytest.mark.parametrize("batch_size", [1, 2, 5])
def test_metrics_are_means_over_samples_whatever_the_batches(batch_size):
    found = evaluate(counting(), loader(batch_size), time=T, progress=False)
    assert found.loss == pytest.approx(cross_entropies(COUNTS, LABELS).mean(), abs=1e-6)
    assert found.accuracy == 3 / 5
    assert found.rate_hz == pytest.approx(COUNTS.sum() / (5 * 3) / (T / 1000), abs=1e-4)
    assert found.samples == 5


def test_a_loss_of_ones_own_is_averaged_with_the_weight_of_its_batch():
    found = evaluate(counting(), loader(2), time=T, loss=lambda a, y: a.sum() / len(y), progress=False)
    assert found.loss == pytest.approx(COUNTS.sum() / 5)


def test_populations_that_do_not_spike_have_no_part_in_the_rate():
    net = counting()
    net.graded = type(net.copy)(num=9, model="li")
    net.wire2 = type(net.wire)(net.copy, net.graded, link_type="full", w_mean=5.0)
    assert net.spiking == [net.copy]
    found = evaluate(net, loader(), time=T, progress=False)
    assert found.rate_hz == pytest.approx(COUNTS.sum() / (5 * 3) / (T / 1000), abs=1e-4)


def test_a_network_that_does_not_spike_at_all_has_rate_zero():
    net = counting()
    del net.wire, net.decoder, net.copy
    net.copy = NeuronGroup(3, model="li")
    net.wire = Connection(net.input, net.copy, link_type="full", w_mean=5.0)
    net.decoder = Decoder(dec_target=net.copy)
    assert evaluate(net, loader(), time=T, progress=False).rate_hz == 0.0


def test_the_rate_is_the_mean_over_all_neurons_of_all_populations():
    net = counting()
    net.silent = type(net.copy)(num=9, model="if")
    found = evaluate(net, loader(), time=T, progress=False)
    assert found.rate_hz == pytest.approx(COUNTS.sum() / (5 * 12) / (T / 1000), abs=1e-4)


def test_predict_gives_the_answers_in_the_order_of_the_data():
    answers = predict(counting(), loader(), time=T, progress=False)
    np.testing.assert_array_equal(answers, COUNTS)
    data_alone = [trains_of(COUNTS[:3], T), Spikes.from_raster(trains_of(COUNTS[3:], T).swapaxes(0, 1), 1.0)]
    np.testing.assert_array_equal(predict(counting(), data_alone, time=T, progress=False), COUNTS)


def test_predict_of_nothing_is_an_array_without_samples():
    assert predict(counting(), [], time=T, progress=False).shape == (0, 3)


def test_evaluation_of_nothing_is_an_error():
    used_up = iter(loader())
    list(used_up)
    with pytest.raises(DataError, match=r"the data gave no samples; a generator that was used up"):
        evaluate(counting(), used_up, time=T, progress=False)


def test_nothing_is_learned_and_no_gradient_is_kept():
    net = learning(two_layers(inputs=3, dtype=torch.float32, coding="null"))
    net.build()
    before = values_of(net)
    evaluate(net, loader(), time=T, progress=False)
    predict(net, loader(), time=T, progress=False)
    assert not net.decoder.predict.requires_grad
    assert changed(before, net.state_dict()) == set()
    assert all(p.grad is None for p in net.parameters())


class Keeps:
    """A sink that keeps all that it is given."""

    def __init__(self):
        self.windows = []

    def wants(self, layer):
        return {"copy": frozenset({"spikes"}), "wire": frozenset({"weights"})}.get(layer, frozenset())

    def describe(self, description):
        self.description = description

    def write(self, layer, variable, data, dt, *, continued=False):
        self.windows.append((layer, variable, data, dt))

    def weights(self, connection, values, duration):
        self.described = connection in self.description["connections"]

    def metadata(self, values):
        raise AssertionError("evaluation has no settings to write")


def test_a_recorder_gets_the_window_of_every_batch():
    sink = Keeps()
    evaluate(counting(), loader(2), time=T, record=sink, progress=False)
    assert [(layer, variable, dt) for layer, variable, _, dt in sink.windows] == [("copy", "spikes", 1.0)] * 3
    assert sink.described
    rasters = [(data if isinstance(data, Spikes) else data.spikes()).raster() for *_, data, _ in sink.windows]
    np.testing.assert_array_equal(np.concatenate(rasters, axis=1).sum(0), COUNTS)


def test_labels_beyond_the_answers_are_an_error_that_names_the_decoder():
    with pytest.raises(DataError, match=r"labels must lie from 0 to 2, what decoder 'decoder' answers; got 2 to 3"):
        evaluate(counting(), loader(labels=LABELS + 1), time=T, progress=False)


def test_labels_of_a_wrong_shape_or_kind_are_errors():
    data = trains_of(COUNTS, T)
    with pytest.raises(ShapeError, match=r"labels must have shape \(5,\), one a sample, got \(4,\)"):
        evaluate(counting(), [(data, LABELS[:4])], time=T, progress=False)
    with pytest.raises(DataError, match=r"labels must be whole numbers, the classes, got torch.float64"):
        evaluate(counting(), [(data, LABELS + 0.5)], time=T, progress=False)


def test_an_answer_in_time_is_an_error_that_names_the_decoder():
    net = counting()
    net.decoder = Decoder(dec_target=net.copy, coding_method="v_t")
    for function in (evaluate, predict):
        with pytest.raises(
            ShapeError, match=r"decoder 'decoder' \(v_t\) answers with shape \(10, 2, 3\), not \(B, n\)"
        ):
            function(net, loader(), time=T, progress=False)


def test_several_decoders_or_encoders_or_none_are_errors():
    net = counting()
    net.other = Decoder(dec_target=net.copy)
    with pytest.raises(StateError, match="needs one decoder in the network, found decoder, other"):
        evaluate(net, loader(), time=T, progress=False)
    del net.decoder, net.other
    with pytest.raises(StateError, match="needs one decoder in the network, found none"):
        predict(net, loader(), time=T, progress=False)
    two = counting()
    two.second = Encoder(3, "null")
    with pytest.raises(StateError, match="needs one encoder in the network, found input, second"):
        evaluate(two, loader(), time=T, progress=False)
    with pytest.raises(StateError, match="found none"):
        evaluate(Network(), loader(), time=T, progress=False)


def test_a_loss_that_is_none_is_an_error():
    for loss, error, message in (
        ("hinge", UnknownNameError, "unknown loss 'hinge'"),
        (3, ParameterError, "loss must be a name or a function of answer and labels, got 3"),
        (lambda a, y: a, ShapeError, r"a tensor of one number, got shape \(2, 3\); return its mean"),
        (lambda a, y: 0.5, ShapeError, r"a tensor of one number, got 0.5"),
    ):
        with pytest.raises(error, match=message):
            evaluate(counting(), loader(), time=T, loss=loss, progress=False)


def test_metrics_cannot_be_changed():
    with pytest.raises(AttributeError):
        Metrics(0.0, 0.0, 0.0, 0).loss = 1.0


def test_the_bar_goes_to_standard_error_and_only_when_asked_for(capfd):
    evaluate(counting(), loader(), time=T, progress=False)
    predict(counting(), loader(), time=T, progress=False)
    assert capfd.readouterr() == ("", "")
    evaluate(counting(), loader(), time=T)
    out, err = capfd.readouterr()
    assert out == ""
    assert "test" in err
    assert "100%" in err


def test_a_data_set_that_is_not_in_batches_is_told_how():
    from spikeloom import ArrayDataset

    data = ArrayDataset(np.zeros((4, 3), np.float32), [0, 1, 0, 1], name="four")
    for function in (evaluate, predict):
        with pytest.raises(ParameterError, match=r"four is a data set of single samples; wrap it: Dataloader"):
            function(counting(), data, time=T)
