"""Runs of small networks: values by hand, monitors, decoders, continuation, and what is refused."""

import math

import numpy as np
import pytest
import torch

import spikeloom as sl
from spikeloom.errors import ParameterError, ShapeError
from spikeloom.neurons import LI, LIF

DT = 1.0
TRAINS = np.zeros((2, 6, 3))
"""Two samples, six steps, three neurons; the first step of the second sample and its last neuron are silent."""
TRAINS[0, [0, 2, 5], 0] = TRAINS[0, [2], 1] = TRAINS[0, [1, 2, 3, 4], 2] = 1
TRAINS[1, [3, 4], 0] = TRAINS[1, [1, 3], 1] = 1


def repeater(n=3, shape=None, model="if"):
    """A network whose population fires exactly when its input does."""
    net = sl.Network()
    net.input = sl.Encoder(n, "null", shape=shape)
    net.layer = sl.NeuronGroup(n, model, shape=shape)
    net.c = sl.Connection(net.input, net.layer, link_type="one_to_one", weight=np.ones(n))
    net.set_backend(sl.TorchBackend(dtype=torch.float64, dt=DT))
    return net


def played(net, trains=TRAINS):
    net.input(trains)
    net.run(trains.shape[1] * DT)
    return net


def test_a_current_gives_the_values_measured_on_spaic_without_its_step_of_delay():
    net = sl.Network()
    net.input = sl.Encoder(1, "null")
    net.layer = sl.NeuronGroup(1, "lif")
    net.c = sl.Connection(net.input, net.layer, link_type="full", weight=[[1]])
    net.v, net.i = sl.StateMonitor(net.layer, "V"), sl.StateMonitor(net.layer, "Isyn")
    net.spikes = sl.SpikeMonitor(net.layer)
    net.set_backend(sl.TorchBackend(dtype=torch.float64, dt=0.1))
    current = np.zeros((1, 10, 1))
    current[0, 3:9] = 0.4
    net.input(current)
    net.run(1.0)
    again = 0.4 * math.exp(-0.1 / 8) + 0.4
    np.testing.assert_allclose(net.v.values[0, 0], [0, 0, 0, 0.4, again, 0, 0.4, again, 0, 0], atol=1e-12)
    np.testing.assert_allclose(net.i.values[0, 0], current[0, :, 0], atol=1e-15)
    np.testing.assert_allclose(net.spikes.spk_times[0], [0.6, 0.9], atol=1e-12)


def test_monitors_and_decoder_have_the_shapes_of_spaic():
    net = sl.Network()
    net.input = sl.Encoder(20, encoding="poisson")
    net.layer = sl.NeuronGroup(10, neuron_model="clif")
    net.c = sl.Connection(net.input, net.layer, link_type="full", w_mean=0.1)
    net.mon_V, net.spk_O = sl.StateMonitor(net.layer, "V"), sl.SpikeMonitor(net.layer, "O")
    net.output = sl.Decoder(10, net.layer, coding_method="spike_counts")
    net.input(np.random.default_rng(0).random((7, 20)))
    net.run(50.0)
    assert net.mon_V.values.shape == (7, 10, 500)
    np.testing.assert_allclose(net.mon_V.times, np.arange(1, 501) * 0.1, rtol=1e-12)
    assert len(net.spk_O.spk_index) == len(net.spk_O.spk_times) == 7
    assert net.spk_O.spk_count.shape == tuple(net.output.predict.shape) == (7, 10)
    assert net.mon_V.tensor_values.shape == (7, 10, 500)
    np.testing.assert_array_equal(net.output.predict.detach(), net.spk_O.spk_count)


@pytest.mark.parametrize("looks", [(), (0,), (0, 1, 2, 3, 4, 5), (2, 5), (1, 1, 4)])
def test_a_monitor_that_is_read_between_continued_runs_shows_all_of_them(looks):
    net = repeater()
    net.monitor = sl.StateMonitor(net.layer, "spikes")
    seen = []
    for k in range(6):
        net.input(TRAINS[:, k : k + 1])
        net.run(DT) if k == 0 else net.run_continue(DT)
        seen += [(k, net.monitor.values, net.monitor.times) for _ in range(looks.count(k))]
    for k, values, times in [*seen, (5, net.monitor.values, net.monitor.times)]:
        np.testing.assert_array_equal(values, TRAINS[:, : k + 1].transpose(0, 2, 1))
        np.testing.assert_array_equal(times, np.arange(1, k + 2) * DT)
    earlier = net.monitor.values
    net.input(1 - TRAINS[:, :1])
    net.run(DT)
    np.testing.assert_array_equal(net.monitor.values, 1 - TRAINS[:, :1].transpose(0, 2, 1))
    np.testing.assert_array_equal(earlier, TRAINS.transpose(0, 2, 1))


@pytest.mark.parametrize("path", ["auto", "torch"])
@pytest.mark.parametrize("model", [LIF(), LI()], ids=["spikes", "values"])
@pytest.mark.parametrize("look", ["values", "tensor_values"])
def test_what_is_done_to_the_values_of_a_monitor_changes_no_gradient(path, model, look):
    grads = []
    for edit in (False, True):
        net = sl.Network()
        net.x = sl.Encoder(7, coding_method="null")
        net.a, net.b = sl.NeuronGroup(6, model), sl.NeuronGroup(5, LIF())
        net.xa = sl.Connection(net.x, net.a, link_type="full", w_std=5.0)
        net.ab = sl.Connection(net.a, net.b, link_type="full", w_std=1.0)
        net.out = sl.Decoder(5, net.b, coding_method="spike_counts")
        monitors = [sl.StateMonitor(group, name) for group in (net.a, net.b) for name in ("spikes", "v")]
        for k, monitor in enumerate(monitors):
            setattr(net, f"monitor{k}", monitor)
        net.set_backend(sl.TorchBackend(dt=1.0, path=path))
        net.set_random_seed(3)
        net.x(np.random.default_rng(0).random((4, 9, 7)))
        net.run(9.0)
        if edit:
            for monitor in monitors:
                getattr(monitor, look)[:] = 7.0
        net.out.predict.square().sum().backward()
        grads.append([p.grad for p in net.parameters()])
    for found, wanted in zip(*reversed(grads), strict=True):
        assert wanted.any()
        assert torch.equal(found, wanted)


def test_reading_a_monitor_between_continued_runs_copies_each_step_a_few_times_only():
    monitor, copied = sl.StateMonitor(sl.NeuronGroup(1, "lif"), "v"), 0
    for k in range(1000):
        buffer = monitor._record and monitor._record.values._buffer
        monitor.observe(torch.ones(1, 1, 1), 1, DT, continued=k > 0)
        assert len(monitor.times) == k + 1
        copied += k if monitor._record.values._buffer is not buffer else 1
    assert copied < 4000


def test_a_spike_monitor_counts_what_was_put_in_by_hand():
    net = repeater()
    net.spk, net.o = sl.SpikeMonitor(net.layer), sl.StateMonitor(net.layer, "O")
    played(net)
    np.testing.assert_array_equal(net.o.values, TRAINS.swapaxes(1, 2))
    assert [index.tolist() for index in net.spk.spk_index] == [[0, 0, 0, 1, 2, 2, 2, 2], [0, 0, 1, 1]]
    assert [time.tolist() for time in net.spk.spk_times] == [[1, 3, 6, 3, 2, 3, 4, 5], [4, 5, 2, 4]]
    assert net.spk.spk_count.tolist() == [[3, 1, 4], [2, 2, 0]]
    assert net.spk.time_spk_rate.tolist() == (TRAINS.sum(0).T / 2).tolist()
    assert net.spk.time_pop_rate[0].tolist() == pytest.approx([1 / 3, 1 / 3, 1, 1 / 3, 1 / 3, 1 / 3])
    assert net.spk.times.tolist() == [1, 2, 3, 4, 5, 6]
    np.testing.assert_array_equal(net.spk.spikes.raster(), TRAINS.swapaxes(0, 1))
    assert net.spk.spikes.dt == DT


def test_monitors_of_a_shaped_population_keep_its_shape_and_count_flat():
    net = repeater(4, (2, 2))
    net.v, net.spk = sl.StateMonitor(net.layer, "v"), sl.SpikeMonitor(net.layer)
    trains = np.zeros((1, 3, 2, 2))
    trains[0, 1, 1, 0] = 1
    played(net, trains)
    assert net.v.values.shape == (1, 2, 2, 3)
    assert net.spk.spk_count.tolist() == [[0, 0, 1, 0]]
    assert (net.spk.spk_index[0].tolist(), net.spk.spk_times[0].tolist()) == ([2], [2.0])


DECODED = {
    "spike_counts": [[3, 1, 4], [2, 2, 0]],
    "spike_rate": [[500, 1000 / 6, 2000 / 3], [1000 / 3, 1000 / 3, 0]],
    "first_spike": [[1, 0, 0], [0, 1, 0]],
}


@pytest.mark.parametrize("method", DECODED)
def test_a_decoder_reads_what_was_put_in_by_hand(method):
    net = repeater()
    net.out = sl.Decoder(3, net.layer, method)
    played(net)
    np.testing.assert_allclose(net.out.predict.detach(), DECODED[method], rtol=1e-12)
    assert net.out.predict.requires_grad


def test_spike_counts_of_pairs_are_the_means_of_neighbours():
    net = repeater(4)
    net.out = sl.Decoder(2, net.layer, pop_size=2)
    played(net, np.array([[[1, 0, 1, 1], [1, 0, 0, 1], [1, 1, 0, 0]]]))
    assert net.out.predict.tolist() == [[2.0, 1.5]]


def test_the_first_spike_of_silence_is_nobody():
    net = repeater()
    net.out = sl.Decoder(3, net.layer, "first_spike")
    played(net, np.zeros((1, 4, 3)))
    assert net.out.predict.tolist() == [[0, 0, 0]]


def test_the_voltage_decoder_gives_every_step():
    net = repeater(model="li")
    net.out, net.v = sl.Decoder(3, net.layer, "v_t"), sl.StateMonitor(net.layer, "v")
    played(net)
    assert net.out.predict.shape == (6, 2, 3)
    np.testing.assert_array_equal(net.out.predict.detach().permute(1, 2, 0), net.v.values)
    expected = sum(TRAINS[:, t] * math.exp(-(5 - t) * DT / 20) for t in range(6))
    np.testing.assert_allclose(net.out.predict[-1].detach(), expected, rtol=1e-12)


def test_two_runs_give_the_same():
    net = repeater(model="lif")
    net.v = sl.StateMonitor(net.layer, "v")
    played(net, 0.3 * TRAINS)
    first = net.v.values
    played(net, 0.3 * TRAINS)
    np.testing.assert_array_equal(net.v.values, first)
    assert net.v.times.tolist() == [1, 2, 3, 4, 5, 6]


def test_a_run_cut_in_two_equals_one_run():
    net = repeater(model="clif")
    net.v, net.spk = sl.StateMonitor(net.layer, "v"), sl.SpikeMonitor(net.layer)
    trains = np.random.default_rng(1).random((2, 20, 3))
    played(net, trains)
    whole, counts = net.v.values, net.spk.spk_count
    assert counts.sum() > 0
    net.input(trains[:, :7])
    net.run(7.0)
    net.input(trains[:, 7:])
    net.run_continue(13.0)
    np.testing.assert_array_equal(net.v.values, whole)
    np.testing.assert_array_equal(net.spk.spk_count, counts)
    assert net.v.times.tolist() == list(range(1, 21))


def test_continuing_before_any_run_starts_one():
    net = repeater()
    net.spk = sl.SpikeMonitor(net.layer)
    net.input(TRAINS)
    net.run_continue(6.0)
    assert net.spk.spk_count.tolist() == [[3, 1, 4], [2, 2, 0]]


def test_the_batch_size_may_change_between_runs():
    net = repeater()
    net.spk = sl.SpikeMonitor(net.layer)
    played(net)
    played(net, TRAINS[1:])
    assert net.spk.spk_count.tolist() == [[2, 2, 0]]
    played(net)
    assert net.spk.spk_count.shape == (2, 3)


def test_a_run_cannot_be_continued_with_another_batch_size():
    net = played(repeater())
    net.input(TRAINS[1:])
    with pytest.raises(ShapeError, match="a run of 2 samples cannot be continued with a batch of 1"):
        net.run_continue(6.0)


def test_events_on_an_image_reach_a_convolution_from_flat_spikes():
    net = sl.Network()
    net.input = sl.Encoder(shape=(1, 3, 3))
    net.layer = sl.NeuronGroup(shape=(1, 1, 1), model="li")
    net.c = sl.Connection(net.input, net.layer, link_type="conv", weight=np.arange(9.0).reshape(1, 1, 3, 3))
    net.out = sl.Decoder(dec_target=net.layer, coding_method="v_t")
    net.set_backend(sl.TorchBackend(dtype=torch.float64, dt=DT))
    net.input(sl.Spikes.from_steps([0, 0], [5, 8], 9, 1, DT))
    net.run(1.0)
    assert net.out.predict.tolist() == [[[13.0]]]


def test_pooled_events_are_as_precise_as_the_network():
    net = sl.Network()
    net.input = sl.Encoder(shape=(1, 3, 3))
    net.layer = sl.NeuronGroup(shape=(1, 1, 1), model="li")
    net.c = sl.Connection(net.input, net.layer, link_type="pool", pool="avg", kernel_size=3)
    net.out = sl.Decoder(dec_target=net.layer, coding_method="v_t")
    net.set_backend(sl.TorchBackend(dtype=torch.float64, dt=DT))
    net.input(sl.Spikes.from_steps([0], [5], 9, 1, DT))
    net.run(1.0)
    assert net.out.predict.item() == pytest.approx(1 / 9, abs=1e-15)


def test_a_population_that_nothing_reaches_rests():
    net = repeater()
    net.idle = sl.NeuronGroup(2, "lif", v_rest=0.25)
    net.v, net.i = sl.StateMonitor(net.idle, "v"), sl.StateMonitor(net.idle, "i_syn")
    played(net)
    np.testing.assert_array_equal(net.v.values, np.full((2, 2, 6), 0.25))
    assert not net.i.values.any()


@pytest.mark.parametrize("time", [0, -1.0, float("nan"), "50", None])
def test_a_time_that_is_no_positive_time_is_refused(time):
    with pytest.raises(ParameterError, match=r"Network\.run: time must be a positive time in ms, got"):
        played(repeater()).run(time)


def test_encoded_data_of_another_length_stops_the_run():
    net = repeater()
    net.input(TRAINS)
    with pytest.raises(ShapeError, match=r"encoder 'input': .* with T = 5"):
        net.run(5.0)
