"""Decoders: answers counted by hand and by closed forms, their gradients by torch and by differences."""

import numpy as np
import pytest
import torch

import spikeloom as sl
from spikeloom.errors import ParameterError, ShapeError, UnsupportedError
from spikeloom.network import DECODINGS

TRAINS = np.array(
    [
        [[0, 1, 0], [0, 0, 0], [1, 1, 0], [0, 1, 0]],
        [[0, 0, 0], [1, 0, 1], [1, 0, 0], [1, 0, 1]],
    ],
    np.float32,
)
"""Two samples (B, T, n): what three neurons do in four steps."""


def decoded(coding, activity, dt=0.5, **options):
    """The answer of a coding to an activity (B, T, n), in double precision."""
    return DECODINGS[coding](**options).decode(torch.as_tensor(activity, dtype=torch.float64).swapaxes(0, 1), dt)


@pytest.mark.parametrize(
    ("coding", "options", "expected"),
    [
        ("spike_counts", {}, [[1, 3, 0], [3, 0, 2]]),
        ("spike_counts", {"bias": 1.0, "scale": 2.0}, [[4, 8, 2], [8, 2, 6]]),
        ("spike_counts", {"pop_size": 3}, [[4 / 3], [5 / 3]]),
        ("spike_counts", {"pop_size": 3, "scale": 3.0}, [[4], [5]]),
        ("spike_rate", {}, [[500, 1500, 0], [1500, 0, 1000]]),
        ("spike_rate", {"pop_size": 3, "bias": -500.0, "scale": 0.1}, [[500 / 30], [1000 / 30]]),
        ("first_spike", {}, [[0, 1, 0], [1, 0, 1]]),
        ("first_spike_time", {}, [[1.5, 0.5, 2.5], [1.0, 2.5, 1.0]]),
        ("first_spike_time", {"scale": -2.0}, [[-3, -1, -5], [-2, -5, -2]]),
        ("null", {}, TRAINS.swapaxes(0, 1)),
        ("v_t", {}, TRAINS.swapaxes(0, 1)),
        ("final_step_voltage", {}, [[0, 1, 0], [1, 0, 1]]),
        ("voltage_sum", {}, [[1, 3, 0], [3, 0, 2]]),
        ("voltage_mean", {}, [[0.25, 0.75, 0], [0.75, 0, 0.5]]),
        ("voltage_max", {}, [[1, 1, 0], [1, 0, 1]]),
    ],
)
def test_an_answer_is_what_is_counted_by_hand(coding, options, expected):
    np.testing.assert_allclose(decoded(coding, TRAINS, **options), expected, rtol=1e-12)


def test_early_spikes_count_more_as_in_spaic():
    weight = 0.1 * np.exp(-np.arange(4) / 2)
    np.testing.assert_allclose(decoded("time_spike_counts", TRAINS), np.einsum("t,btn->bn", weight, TRAINS))


def test_the_gradient_of_a_first_spike_time_is_the_difference_that_a_spike_makes():
    """The time is linear in each spike by itself: putting it in or leaving it out differs by the gradient."""
    activity = torch.tensor(np.random.default_rng(3).random((12, 5, 4)) < 0.15).double().requires_grad_()
    time = DECODINGS["first_spike_time"]()
    (grad,) = torch.autograd.grad(time.decode(activity, 0.5).sum(), activity)
    for t, b, n in np.ndindex(12, 5, 4):
        flipped = activity.detach().clone()
        flipped[t, b, n] = 1 - flipped[t, b, n]
        sign = 2 * flipped[t, b, n] - 1
        difference = time.decode(flipped, 0.5)[b, n] - time.decode(activity.detach(), 0.5)[b, n]
        assert grad[t, b, n] == pytest.approx(float(difference * sign), abs=1e-12)


@pytest.mark.parametrize("coding", sorted(set(DECODINGS) - {"first_spike"}))
def test_gradients_of_a_decoding_are_those_by_finite_differences(coding):
    values = torch.rand(5, 2, 3, dtype=torch.float64, generator=torch.manual_seed(1), requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: DECODINGS[coding]().decode(x, 0.5), (values,))


def test_equally_great_steps_share_the_gradient_of_a_maximum():
    values = torch.tensor([[[1.0]], [[3.0]], [[3.0]], [[0.0]]], requires_grad=True)
    (grad,) = torch.autograd.grad(DECODINGS["voltage_max"]().decode(values, 1.0).sum(), values)
    assert grad.flatten().tolist() == [0.0, 0.5, 0.5, 0.0]


def read_out(decoding, path="auto", **options):
    """A network whose leaky read-out is decoded, with its input given."""
    net = sl.Network()
    net.set_backend(sl.TorchBackend(dt=1.0, dtype=torch.float64, path=path))
    net.x = sl.Encoder(3, "null")
    net.layer = sl.NeuronGroup(2, "li", tau_m=4.0)
    net.c = sl.Connection(net.x, net.layer, link_type="full", weight=[[1.0, 0.5, -1.0], [0.2, -0.3, 0.4]])
    net.out = sl.Decoder(dec_target=net.layer, coding_method=decoding, **options)
    net.v = sl.StateMonitor(net.layer, "v")
    net.x(TRAINS)
    net.run(4.0)
    return net


@pytest.mark.parametrize("path", ["auto", "torch"])
@pytest.mark.parametrize(
    ("decoding", "reduced"),
    [
        ("final_step_voltage", lambda v: v[:, :, -1]),
        ("last", lambda v: v[:, :, -1]),
        ("voltage_sum", lambda v: v.sum(2)),
        ("voltage_mean", lambda v: v.mean(2)),
        ("max_voltage", lambda v: v.max(2)),
        ("v_t", lambda v: v.transpose(2, 0, 1)),
    ],
)
def test_a_leaky_read_out_is_decoded_from_its_potential(decoding, reduced, path):
    net = read_out(decoding, path)
    decay = np.exp(-1 / 4.0)
    current = TRAINS @ np.array([[1.0, 0.5, -1.0], [0.2, -0.3, 0.4]]).T
    v = np.stack([sum(current[:, s] * decay ** (t - s) for s in range(t + 1)) for t in range(4)], axis=2)
    np.testing.assert_allclose(net.v.values, v, rtol=1e-12)
    np.testing.assert_allclose(net.out.predict.detach(), reduced(v), rtol=1e-12)
    net.out.predict.sum().backward()
    assert net.c.weight.value.grad.abs().sum() > 0


def test_a_decoder_reads_another_variable_where_it_is_named():
    net = read_out("spike_counts", coding_var_name="Isyn")
    assert net.out.variable == "i_syn"
    np.testing.assert_allclose(net.out.predict.detach(), (TRAINS @ net.c.weight.value.detach().numpy().T).sum(1))
    assert read_out("null", coding_var_name="V").out.predict.shape == (4, 2, 2)
    with pytest.raises(ParameterError, match=r"Decoder: a 'lif' group has no observable 'W'\. It has: spikes, i_"):
        sl.Decoder(dec_target=sl.NeuronGroup(2, "lif"), coding_var_name="W")
    with pytest.raises(UnsupportedError, match="Decoder: v_t reads 'v', which 'meanfield' does not have"):
        sl.Decoder(dec_target=sl.NeuronGroup(2, "meanfield"), coding_method="v_t")
    assert sl.Decoder(dec_target=sl.NeuronGroup(2, "meanfield"), coding_method="v_t", coding_var_name="u")


def test_a_decoder_whose_target_changed_its_size_does_not_fit():
    decoder = sl.Decoder(2, sl.NeuronGroup(2, "lif"), name="d")
    vars(decoder)["target"] = sl.NeuronGroup(3, "lif")
    with pytest.raises(ShapeError, match=r"Decoder 'd'\.num must be 3, what its target of 3 neurons gives, got 2"):
        decoder.check_fit()


def test_the_names_of_spaic_and_of_the_field_are_known():
    names = {"spike_rates": "spike_rate", "TimeSpike_Counts": "time_spike_counts", "ttfs": "first_spike_time"}
    for name, meant in names.items():
        assert sl.Decoder(dec_target=sl.NeuronGroup(2, "lif"), coding_method=name).coding_method == meant


def test_a_number_may_be_that_of_the_target_as_in_spaic():
    group = sl.NeuronGroup(6, model="lif")
    assert sl.Decoder(6, group, pop_size=3).num == sl.Decoder(2, group, pop_size=3).num == 2
