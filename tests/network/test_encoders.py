"""Encoders in a network: spike lists, windows of time, sizes from data, options, and what is refused."""

import numpy as np
import pytest
import torch

import spikeloom as sl
from spikeloom.datasets import ArrayDataset, Dataloader
from spikeloom.errors import DataError, ParameterError, ShapeError, StateError
from spikeloom.network import CODINGS

RANDOM = np.random.default_rng


def encoded(encoder, data, n_steps=10, dt=0.1):
    """The signal of a batch as an array (T or 1, B, *shape)."""
    encoder(data)
    signal = encoder.encode(n_steps, dt, RANDOM(0))
    return signal.raster(np.float32) if isinstance(signal, sl.Spikes) else signal


SAMPLES = [[[0.0, 0.3, 0.31, 0.9], [1, 0, 0, 1]], [[], []], (np.array([0.55]), torch.tensor([1]))]


def test_lists_of_times_and_ids_become_spikes_and_none_is_lost():
    raster = encoded(sl.Encoder(2, "mstb"), SAMPLES)
    expected = np.zeros((10, 3, 2))
    expected[0, 0, 1] = expected[9, 0, 1] = expected[5, 2, 1] = 1
    expected[3, 0, 0] = 2  # two spikes of a neuron in one step
    np.testing.assert_array_equal(raster, expected)


def test_what_two_spikes_in_a_step_become_is_asked_for():
    assert encoded(sl.Encoder(2, "mstb", collisions="merge"), SAMPLES).sum() == 4
    with pytest.raises(DataError, match=r"encoder 'e': .*neuron 0 fires twice in step 3 of sample 0"):
        encoded(sl.Encoder(2, "mstb", collisions="error", name="e"), SAMPLES)


def test_spikes_given_to_mstb_are_summed_in_the_same_way():
    spikes = sl.Spikes.from_times([0.0, 0.31, 0.3], [1, 0, 0], 2, 1.0)
    assert encoded(sl.Encoder(2, "mstb"), spikes)[3, 0, 0] == 2


@pytest.mark.parametrize("path", ["auto", "torch"])
def test_several_spikes_in_a_step_bring_as_many_currents(path):
    net = sl.Network()
    net.set_backend(sl.TorchBackend(path=path))
    net.x = sl.Encoder(2, "mstb")
    net.layer = sl.NeuronGroup(1, "li")
    net.c = sl.Connection(net.x, net.layer, link_type="full", weight=[[0.5, 1.0]])
    net.i, net.spikes = sl.StateMonitor(net.layer, "i_syn"), sl.SpikeMonitor(net.x)
    net.x(SAMPLES)
    net.run(1.0)
    np.testing.assert_allclose(net.i.values[0, 0], [1.0, 0, 0, 1.0, 0, 0, 0, 0, 0, 1.0])
    assert net.spikes.spk_count.tolist() == [[1, 2], [0, 0], [0, 1]]


@pytest.mark.parametrize(
    ("data", "error", "message"),
    [
        ("spikes", DataError, "takes a list of samples"),
        (3, DataError, "takes a list of samples"),
        ([[0.1, 0.2, 0.3]], ShapeError, r"sample 0 must be a pair \[times, ids\]"),
        ([[[0.1], [0, 1]]], ShapeError, "sample 0 must hold times and ids, as many of one as of the other"),
        ([[["a"], [0]]], ShapeError, "sample 0 must hold times and ids"),
        ([[[0.1], [0.5]]], DataError, "the ids of sample 0 must be whole numbers"),
        ([[[0.1], [2]]], DataError, r"Spikes\.ids\[0\] must be an integer from 0 to below 2"),
        ([[[-0.1], [0]]], DataError, r"Spikes\.time\[0\] must be in 0 <= time"),
        ([[[np.nan], [0]]], DataError, "NaN or infinity"),
    ],
)
def test_a_wrong_list_of_spikes_is_refused_and_the_last_batch_is_kept(data, error, message):
    encoder = sl.Encoder(2, "mstb", name="e")
    encoder(SAMPLES)
    with pytest.raises(error, match=f"encoder 'e'.*{message}"):
        encoder(data)
    assert encoder.batch_size == 3


def test_a_spike_after_the_run_is_refused():
    with pytest.raises(DataError, match=r"encoder 'e': a spike at 1.2 ms lies beyond the window of 1 ms; run longer"):
        encoded(sl.Encoder(2, "mstb", name="e"), [[[0.1, 1.2], [0, 0]]])


def test_spike_times_of_each_neuron_are_one_hot():
    raster = encoded(sl.Encoder(shape=(1, 3), coding_method="sstb"), [[[0.0, 0.3, 0.99]]])
    assert np.argwhere(raster).tolist() == [[0, 0, 0, 0], [3, 0, 0, 1], [9, 0, 0, 2]]


@pytest.mark.parametrize("as_tensor", [False, True])
def test_samples_are_scaled_to_the_same_mean_where_asked(as_tensor):
    data = np.array([[1.0, -3.0], [0.5, 0.5], [0.0, 0.0]])
    encoder = sl.Encoder(2, "float", input_norm=True, amp=3.0)
    found = encoded(encoder, torch.from_numpy(data) if as_tensor else data)
    np.testing.assert_allclose(found, [[[1.5, -4.5], [3.0, 3.0], [0.0, 0.0]]])


@pytest.mark.parametrize("coding", ["poisson", "latency", "constant_current", "uniform", "sstb"])
def test_an_encoder_with_a_time_encodes_over_that_window_and_is_silent_after_it(coding):
    data = np.array([[0.1, 0.35, 0.39]])
    whole = encoded(sl.Encoder(3, coding), data, n_steps=4)
    window = encoded(sl.Encoder(3, coding, time=0.4), data, n_steps=10)
    np.testing.assert_array_equal(window[:4], np.broadcast_to(whole, (4, 1, 3)))
    assert window.shape == (10, 1, 3)
    assert not window[4:].any()


GIVEN = {
    "float32": lambda: np.full((2, 3), 0.8, np.float32),
    "float64": lambda: np.full((2, 3), 0.8),
    "whole numbers": lambda: np.ones((2, 3), np.int64),
    "a tensor": lambda: torch.full((2, 3), 0.8),
    "a tensor of an array": lambda: torch.from_numpy(np.full((2, 3), 0.8)),
}


@pytest.mark.parametrize("given", GIVEN)
@pytest.mark.parametrize("made", ["constant_current", "latency", "poisson", "an input population"])
def test_what_becomes_of_an_array_after_it_was_given_changes_nothing(made, given):
    encoder = sl.Population(sl.PoissonInput(), 3) if made == "an input population" else sl.Encoder(3, made)
    data = GIVEN[given]()
    expected = np.asarray(encoded(encoder, data))
    assert expected.any()
    encoder(data)
    data[:] = 0
    again = encoder.encode(10, 0.1, RANDOM(0))
    np.testing.assert_array_equal(again.raster(np.float32) if isinstance(again, sl.Spikes) else again, expected)


def test_a_window_of_values_keeps_their_gradient():
    data = torch.ones(1, 2, requires_grad=True)
    signal = encoded(sl.Encoder(2, "constant_current", coding_time=0.3), data)
    (grad,) = torch.autograd.grad(signal.sum(), data)
    assert grad.tolist() == [[3.0, 3.0]]
    assert signal[:, 0, 0].tolist() == [1.0] * 3 + [0.0] * 7


def test_a_window_longer_than_the_run_and_another_time_step_are_refused():
    with pytest.raises(ParameterError, match=r"'e' encodes over 2.0 ms, the run lasts 10 steps of 0.1 ms; run longer"):
        encoded(sl.Encoder(2, time=2.0, name="e"), np.ones((1, 2)))
    with pytest.raises(ParameterError, match=r"'e' was made for dt 0.5 ms, the network has 0.1 ms; call net.set_back"):
        encoded(sl.Encoder(2, dt=0.5, name="e"), np.ones((1, 2)))
    assert encoded(sl.Encoder(2, dt=0.1, time=1.0, max_prob=1.0, encoding="bernoulli"), np.ones((1, 2))).all()
    with pytest.raises(ParameterError, match="time must be a positive time step in ms, got -1"):
        sl.Encoder(2, time=-1)
    with pytest.raises(ParameterError, match="time was given twice"):
        sl.Encoder(2, time=1.0, coding_time=2.0)


@pytest.mark.parametrize(
    "source",
    [
        ArrayDataset(np.zeros((4, 2, 3)), np.zeros(4, int)),
        Dataloader(ArrayDataset(np.zeros((4, 2, 3)), np.zeros(4, int)), 2),
        torch.utils.data.TensorDataset(torch.zeros(4, 2, 3), torch.zeros(4)),
        Dataloader([(np.zeros((2, 3)), 0)], 1),
    ],
    ids=["data set", "loader", "torch", "pairs"],
)
def test_a_data_set_or_loader_says_how_many_inputs_there_are(source):
    assert sl.Encoder(source, encoding="latency").shape == (2, 3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num": "784"}, r"num must be how many inputs there are, such as 784, a shape, .* got the text '784'"),
        ({"num": b"12"}, r"num must be how many inputs there are, .* got the text b'12'"),
        ({"num": "784", "name": "e"}, "Encoder 'e': num must be"),
        ({"num": 3, "coding_method": "mstb", "collisions": 1}, "collisions must be a str, got 1"),
        ({"num": 3, "coding_method": "latency", "cut_off": 1}, "cut_off must be a bool, got 1"),
        ({"num": 3, "coding_method": "poisson", "end_time": "1"}, "end_time must be a finite number, got '1'"),
        ({"num": 3, "coding_var_name": "V"}, "an encoder gives out 'spikes', got coding_var_name='V'"),
    ],
)
def test_a_wrong_encoder_is_refused(arguments, message):
    with pytest.raises(ParameterError, match=message):
        sl.Encoder(**arguments)


def test_the_codings_of_spaic_are_known_by_their_names():
    names = ["poisson", "bernoulli", "latency", "relative_latency", "constant_current", "float", "uniform", "sstb"]
    for name in [*names, "mstb", "null"]:
        assert sl.Encoder(2, name, coding_var_name="O").coding_method in CODINGS


@pytest.mark.parametrize(
    ("encoder", "data", "message"),
    [
        (sl.Encoder(784, name="e"), np.zeros((0, 784)), r"\(B, 784\) with at least one sample, got \(0, 784\)"),
        (sl.Encoder((2, 3), name="e"), torch.zeros(0, 6), r"\(B, 2, 3\) with at least one sample, got \(0, 6\)"),
        (
            sl.Encoder(3, "null", name="e"),
            np.zeros((0, 5, 3)),
            r"\(B, T, 3\) with at least one sample, got \(0, 5, 3\)",
        ),
        (
            sl.Encoder(3, name="e"),
            sl.Spikes.from_raster(np.zeros((5, 0, 3)), 0.1),
            "at least one sample, got a batch of 0",
        ),
    ],
)
def test_an_empty_batch_is_refused_with_the_shape_and_the_last_batch_is_kept(encoder, data, message):
    with pytest.raises(ShapeError, match=rf"encoder 'e' takes .*{message}"):
        encoder(data)
    with pytest.raises(StateError, match="has no input yet"):
        _ = encoder.batch_size


def windows(lengths, again=None, dt=1.0, **options):
    """What an encoder of one input gives in a run and the runs that continue it; again: a batch for the second one."""
    data = options.pop("data", np.array([[1.0]]))
    net = sl.Network()
    net.set_random_seed(0)
    net.x = sl.Encoder(1, **options)
    net.a = sl.NeuronGroup(1, model="null")
    net.c = sl.Connection(net.x, net.a, link_type="full", weight=[[1.0]])
    net.seen = sl.StateMonitor(net.a, "i_syn")
    net.set_backend_dt(dt)
    net.x(data)
    for k, length in enumerate(lengths):
        if k == 1 and again is not None:
            net.x(again)
        (net.run_continue if k else net.run)(length)
    return net.seen.values.ravel().tolist()


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"coding_method": "poisson"}, [1] * 8),
        ({"coding_method": "poisson", "start_time": 2.0, "end_time": 6.0}, [0, 0, 1, 1, 1, 1, 0, 0]),
        ({"coding_method": "poisson", "start_time": 5.0}, [0, 0, 0, 0, 0, 1, 1, 1]),
        ({"coding_method": "poisson", "end_time": 2.0}, [1, 1, 0, 0, 0, 0, 0, 0]),
        ({"coding_method": "poisson", "time": 2.0}, [1, 1, 0, 0, 0, 0, 0, 0]),
        ({"coding_method": "bernoulli"}, [1] * 8),
        ({"coding_method": "constant_current"}, [1] * 8),
        ({"coding_method": "noisy_current", "sigma": 0.0}, [1] * 8),
        ({"coding_method": "constant_current", "time": 3.0}, [1, 1, 1, 0, 0, 0, 0, 0]),
        ({"coding_method": "constant_current", "time": 3.0, "data": torch.ones(1, 1)}, [1, 1, 1, 0, 0, 0, 0, 0]),
        ({"coding_method": "sstb"}, [0, 1, 0, 0, 0, 0, 0, 0]),
        ({"coding_method": "mstb", "data": [[[1.0, 2.0], [0, 0]]]}, [0, 1, 1, 0, 0, 0, 0, 0]),
        ({"data": sl.Spikes.from_times([0.0, 2.0], [0, 0], 1, 3.0)}, [1, 0, 1, 0, 0, 0, 0, 0]),
        ({"coding_method": "null", "time": 3.0, "data": np.ones((1, 3, 1))}, [1, 1, 1, 0, 0, 0, 0, 0]),
    ],
)
@pytest.mark.parametrize("lengths", [(8.0,), (3.0, 5.0), (4.0, 1.0, 3.0)])
def test_a_run_that_is_continued_goes_on_with_the_batch(options, expected, lengths):
    assert windows(lengths, **options) == expected


@pytest.mark.parametrize("coding", ["latency", "relative_latency", "uniform"])
def test_what_an_encoding_says_of_a_batch_it_says_in_the_first_run_of_it(coding):
    first = windows((4.0,), coding_method=coding, data=np.array([[0.7]]))
    assert windows((4.0, 3.0, 5.0), coding_method=coding, data=np.array([[0.7]])) == first + [0.0] * 8


def test_a_new_batch_begins_its_own_times_and_a_new_run_all_of_them():
    options = {"coding_method": "poisson", "start_time": 1.0, "end_time": 3.0}
    assert windows((4.0, 2.0, 2.0), again=np.array([[1.0]]), **options) == [0, 1, 1, 0, 0, 1, 1, 0]
    assert windows((3.0, 3.0), again=np.array([[2.0]]), coding_method="sstb") == [0, 1, 0, 0, 0, 1]
    net = sl.Network()
    net.x, net.a = sl.Encoder(1, end_time=2.0), sl.NeuronGroup(1, model="null")
    net.c = sl.Connection(net.x, net.a, link_type="full", weight=[[1.0]])
    net.seen = sl.StateMonitor(net.a, "i_syn")
    net.set_backend_dt(1.0)
    net.x(np.array([[1.0]]))
    net.run(3.0)
    net.x(np.array([[1.0]]))
    for run in (net.run_continue, net.run):
        run(3.0)
    assert net.seen.values.ravel().tolist() == [1, 1, 0]


def test_a_run_that_fails_leaves_the_times_of_a_batch_as_they_were():
    net = sl.Network()
    net.x, net.a = sl.Encoder(1, start_time=2.0), sl.NeuronGroup(1, model="null")
    net.y = sl.Encoder(1, "null")
    net.c, net.d = (sl.Connection(x, net.a, link_type="full", weight=[[1.0]]) for x in (net.x, net.y))
    net.seen = sl.StateMonitor(net.a, "i_syn")
    net.set_backend_dt(1.0)
    net.x(np.array([[1.0]]))
    net.y(np.zeros((1, 1, 1)))
    net.run(1.0)
    for part in (net.x, net.y):
        part(part._given())
    net.run_continue(1.0)
    for run in (net.run_continue, net.run):
        net.y(np.zeros((1, 9, 1)))
        with pytest.raises(ShapeError, match="T = 3"):
            run(3.0)
    net.y(np.zeros((1, 3, 1)))
    net.run_continue(3.0)
    assert net.seen.values.ravel().tolist() == [0, 0, 0, 1, 1]


def test_an_array_of_steps_that_was_run_to_its_end_asks_for_the_next_one():
    with pytest.raises(StateError, match=r"encoder 'x': all 2 steps of its batch have been run; .*net\.x\(data\)"):
        windows((2.0, 2.0), coding_method="null", data=np.ones((1, 2, 1)))
    steps = [np.arange(k, k + 2.0).reshape(1, 2, 1) for k in (1, 3)]
    assert windows((2.0, 2.0), again=steps[1], coding_method="null", data=steps[0]) == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("method", "options", "steps"),
    [
        ("regular", {}, [[], [2, 7], [1, 3, 5, 7, 9]]),
        ("time_to_first_spike", {}, [[], [7], [5]]),
        ("time_to_first_spike", {"threshold": 0.3}, [[], [], [5]]),
        ("rank_order", {}, [[], [1], [0]]),
        ("phase", {"n_phases": 5}, [[], [2, 3, 7, 8], [0, 5]]),
        ("burst", {"isi_min": 1.0, "isi_max": 3.0}, [[], [0], [0, 2, 4]]),
    ],
)
def test_codes_of_values_are_encodings(method, options, steps):
    net = sl.Network()
    net.x = sl.Encoder(3, coding_method=method, **options)
    net.a = sl.NeuronGroup(3, "if")
    net.c = sl.Connection(net.x, net.a, link_type="one_to_one", weight=np.ones(3))
    net.seen = sl.SpikeMonitor(net.x)
    net.set_backend_dt(1.0)
    net.x([[0.0, 0.2, 0.5]])
    net.run(10.0)
    times, ids = net.seen.spk_times[0], net.seen.spk_index[0]
    assert [(np.sort(times[ids == i]) - 1).tolist() for i in range(3)] == steps


def saturation(caplog, image, times=1, dt=1.0, coding="poisson", **options):
    """What the log says of an input that was encoded so often."""
    caplog.clear()
    with sl.Network() as net:
        net.image = sl.Encoder(image[0].size, coding, **options)
    for _ in range(times):
        net.image(image.reshape(len(image), -1))
        with caplog.at_level("WARNING", "spikeloom"):
            net.image.encode(20, dt, RANDOM(0))
    return [record.getMessage() for record in caplog.records]


def test_a_raw_image_that_fires_in_every_step_is_told_once_an_encoder(caplog):
    image = RANDOM(0).integers(0, 256, (3, 64)).astype(np.uint8)
    (message,) = saturation(caplog, image, times=3)
    assert "encoder 'image': most of the non-zero input has a rate above 1 spike a step" in message
    assert f"largest {image.max()})" in message
    assert "divide the input by its maximum" in message
    assert not saturation(caplog, image / 255)
    assert not saturation(caplog, image, unit_conversion=1 / 255)
    assert not saturation(caplog, image, unit_conversion=0.01, dt=0.5)
    assert len(saturation(caplog, image / 255, unit_conversion=100.0)) == 1


def test_an_image_of_zeros_and_ones_and_a_few_high_rates_are_not_told(caplog):
    binary = RANDOM(0).integers(0, 2, (3, 64))
    assert not saturation(caplog, binary)
    few = np.full((1, 64), 0.5)
    few[0, :30] = 5.0
    few[0, 62:] = 0
    assert not saturation(caplog, few)
    few[0, :32] = 5.0
    assert len(saturation(caplog, few)) == 1
    assert not saturation(caplog, np.zeros((1, 64)))
    assert not saturation(caplog, np.full((1, 64), 9.0), coding="constant_current")
