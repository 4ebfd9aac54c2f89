"""Monitors: which neurons and steps they keep, for how long, in how much memory, and the gradients of what they see."""

import copy

import numpy as np
import pytest
import torch

import spikeloom as sl
from spikeloom.errors import ParameterError, ShapeError, StateError
from spikeloom.network import Tap, describe, network_from

PATHS = ["auto", "torch"]
T, B = 20, 3


def network(path="auto", model="clif", shape=(2, 3), dt=0.5, loop=False):
    """encoder -> hidden (2, 3) -> out (2,), in double precision."""
    net = sl.Network()
    net.set_backend(sl.TorchBackend(dt=dt, dtype=torch.float64, path=path))
    net.set_random_seed(5)
    net.x = sl.Encoder(4, "constant_current")
    net.hidden = sl.NeuronGroup(model=model, shape=shape)
    net.out = sl.NeuronGroup(2, "li", tau_m=5.0)
    net.a = sl.Connection(net.x, net.hidden, link_type="full", w_mean=0.3, w_std=0.2)
    net.b = sl.Connection(net.hidden, net.out, link_type="full", w_mean=0.3, w_std=0.2)
    if loop:
        net.back = sl.Connection(net.hidden, net.hidden, link_type="full", w_std=0.3)
    net.answer = sl.Decoder(dec_target=net.out, coding_method="voltage_sum")
    net.x(np.random.default_rng(0).random((B, 4)))
    return net


def ran(net, time=10.0):
    net.run(time)
    return net


@pytest.mark.parametrize("path", PATHS)
def test_an_index_selects_neurons_from_what_is_seen(path):
    net = network(path)
    net.whole = sl.StateMonitor(net.hidden, "v")
    net.some = sl.StateMonitor(net.hidden, "v", index=[1, 3])
    net.places = sl.StateMonitor(net.hidden, "v", index=[[0, 1], [2, 0]])
    net.row = sl.StateMonitor(net.hidden, "v", index=[1, [0, 2]])
    whole = ran(net).whole.values
    assert whole.shape == (B, 2, 3, T)
    flat = whole.reshape(B, 6, T)
    np.testing.assert_array_equal(net.some.values, flat[:, [1, 3]])
    np.testing.assert_array_equal(net.places.values, flat[:, [2, 3]])
    np.testing.assert_array_equal(net.row.values, whole[:, 1, [0, 2]])


def test_the_index_of_spaic_selects_neurons_of_a_flat_population():
    net = network(shape=6)
    net.whole, net.some = sl.StateMonitor(net.hidden, "V"), sl.StateMonitor(net.hidden, "V", index=[[1, 3]])
    np.testing.assert_array_equal(ran(net).some.values, net.whole.values[:, [1, 3]])


def test_a_monitor_with_a_dt_of_its_own_keeps_the_steps_that_end_at_its_multiples():
    net = network()
    net.whole, net.strided = sl.StateMonitor(net.hidden, "v"), sl.StateMonitor(net.hidden, "v", dt=1.5)
    net.run(2.5)
    np.testing.assert_allclose(net.strided.times, [1.5])
    net.run_continue(4.0)
    np.testing.assert_allclose(net.whole.times, np.arange(1, 14) * 0.5)
    np.testing.assert_allclose(net.strided.times, [1.5, 3.0, 4.5, 6.0])
    np.testing.assert_array_equal(net.strided.values, net.whole.values[..., [2, 5, 8, 11]])


def test_a_dt_that_is_no_multiple_of_the_step_stops_the_run_before_it_starts():
    net = network()
    net.m = sl.StateMonitor(net.hidden, "v", dt=0.75)
    with pytest.raises(ParameterError, match=r"monitor 'm': dt 0.75 ms is not a whole number of steps of 0.5 ms"):
        net.run(3.0)


def test_strided_and_indexed_monitors_hold_only_what_they_show():
    net = network()
    net.m = sl.StateMonitor(net.hidden, "v", index=[4], dt=2.5)
    net.run(10.0)
    (window,) = net.m._record.values._windows
    assert window.untyped_storage().nbytes() == 4 * B * 1 * 8
    assert net.m.values.shape == (B, 1, 4)
    net.s = sl.StateMonitor(net.hidden, "v", dt=2.5)
    net.run(10.0)
    assert net.s._record.values._windows[0].untyped_storage().nbytes() == 4 * B * 6 * 8


def test_what_is_kept_is_detached():
    net = network()
    net.m = sl.StateMonitor(net.hidden, "v")
    assert not ran(net).m.tensor_values.requires_grad


@pytest.mark.parametrize("index", ["full", [0, 5]])
def test_a_weight_is_kept_once_a_run_and_shown_for_each_of_its_steps(index):
    net = network()
    net.m = sl.StateMonitor(net.a, "weight", index=index, nbatch=True)
    selected = slice(None) if index == "full" else index
    first = net.a.weight.value.copy()
    net.run(10.0)
    shown = net.m.values
    kept = first if index == "full" else first.ravel()[selected]
    assert shown.shape == (*kept.shape, T)
    np.testing.assert_array_equal(shown, np.broadcast_to(kept[..., None], shown.shape))
    assert net.m._record.values.whole.untyped_storage().nbytes() == kept.nbytes
    with torch.no_grad():
        net.a.weight.value.mul_(2.0)
    np.testing.assert_array_equal(net.m.values, shown)
    net.run_continue(5.0)
    np.testing.assert_array_equal(net.m.values[..., T:], 2 * shown[..., : T // 2])
    np.testing.assert_allclose(net.m.times, np.arange(1, 31) * 0.5)
    net.m.clear()
    net.run(1.0)
    net.run(1.0)
    assert net.m.nbatch_values.shape == (2, *kept.shape, 2)


def test_the_signal_of_an_input_is_seen_whether_it_is_spikes_or_values():
    net = network()
    net.p = sl.Encoder(4, "poisson")
    net.c = sl.Connection(net.p, net.hidden, link_type="full")
    net.p(np.full((B, 4), 1.0))
    net.values, net.spikes = sl.StateMonitor(net.x, "O", index=[2]), sl.SpikeMonitor(net.p, "O")
    raster = sl.StateMonitor(net.p, "spikes")
    net.raster = raster
    net.run(10.0)
    np.testing.assert_array_equal(net.values.values, np.repeat(net.x._given()[:, [2], None], T, axis=2))
    assert set(np.unique(raster.values)) == {0.0, 1.0}
    np.testing.assert_array_equal(net.spikes.spk_count, raster.values.sum(2))


def test_all_runs_are_kept_where_asked_and_the_last_ones_where_a_number_is_given():
    net = network()
    net.all = sl.StateMonitor(net.hidden, "v", nbatch=True)
    net.two = sl.StateMonitor(net.hidden, "v", nbatch=2)
    net.one = sl.StateMonitor(net.hidden, "v")
    seen = []
    for k in range(3):
        net.x(np.full((B, 4), 0.1 + 0.3 * k))
        net.run(10.0)
        seen.append(net.one.values)
    assert net.all.nbatch_values.shape == (3, 2, 3, T, B)
    for k in range(3):
        np.testing.assert_array_equal(net.all.nbatch_values[k], np.moveaxis(seen[k], 0, -1))
    np.testing.assert_array_equal(net.two.nbatch_values, net.all.nbatch_values[1:])
    assert net.one.nbatch_values.shape == (1, 2, 3, T, B)
    np.testing.assert_allclose(net.all.nbatch_times, np.tile(np.arange(1, T + 1) * 0.5, (3, 1)))
    net.run(5.0)
    for look in ("nbatch_values", "nbatch_times"):
        with pytest.raises(ShapeError, match=r"monitor 'all': the runs that were kept differ in length"):
            getattr(net.all, look)


def test_a_monitor_that_is_off_keeps_what_it_had_and_goes_on_with_the_right_times():
    net = network()
    net.m, net.whole = sl.StateMonitor(net.hidden, "v"), sl.StateMonitor(net.hidden, "v")
    net.run(2.0)
    kept = net.m.values
    net.m.monitor_off()
    assert not net.m.is_recording
    net.run_continue(1.0)
    np.testing.assert_array_equal(net.m.values, kept)
    net.m.monitor_on()
    net.run_continue(1.0)
    np.testing.assert_allclose(net.m.times, [0.5, 1.0, 1.5, 2.0, 3.5, 4.0])
    np.testing.assert_array_equal(net.m.values, net.whole.values[..., [0, 1, 2, 3, 6, 7]])
    net.m.monitor_off()
    net.run(1.0)
    net.m.monitor_on()
    net.run_continue(1.0)
    np.testing.assert_allclose(net.m.times, [1.5, 2.0])
    net.m.clear()
    with pytest.raises(StateError, match="monitor 'm' has seen nothing yet"):
        net.m.values


def by_hand(net, loop):
    """Gradients by potentials, spikes and currents of the hidden lif population: step by step, all kept by autograd."""
    decay = float(np.exp(-0.5 / net.hidden.neuron.tau_m))
    a, b = (c.weight.value.detach() for c in (net.a, net.b))
    back = net.back.weight.value.detach() if loop else None
    current = torch.as_tensor(net.x._given()) @ a.T
    out_decay = float(np.exp(-0.5 / 5.0))
    v = torch.zeros(B, 6, dtype=torch.float64, requires_grad=True)
    late, out, total = torch.zeros(B, 6, dtype=torch.float64), torch.zeros(B, 2, dtype=torch.float64), 0.0
    kept = {"v": [], "spikes": [], "i_syn": []}
    for _ in range(T):
        i = current + late + 0 * v
        u = v * decay + i
        spikes = _Rectangle.apply(u - 1.0)
        v = u * (1 - spikes)
        late = spikes @ back.T if loop else late
        out = out * out_decay + spikes @ b.T
        total = total + out
        for name, value in (("v", v), ("spikes", spikes), ("i_syn", i)):
            value.retain_grad()
            kept[name].append(value)
    (total**2).sum().backward()
    zero = torch.zeros(B, 6, dtype=torch.float64)
    return {n: torch.stack([zero if x.grad is None else x.grad for x in xs], -1).numpy() for n, xs in kept.items()}


class _Rectangle(torch.autograd.Function):
    @staticmethod
    def forward(ctx, d):
        ctx.save_for_backward(d)
        return (d >= 0).double()

    @staticmethod
    def backward(ctx, grad):
        return grad * (ctx.saved_tensors[0].abs() < 0.5)


@pytest.mark.parametrize("loop", [False, True])
@pytest.mark.parametrize("variable", ["v", "spikes", "i_syn"])
def test_gradients_of_what_is_watched_are_the_total_ones_of_autograd(variable, loop):
    net = network(model="lif", loop=loop)
    net.learner = sl.Learner(net, "STCA")
    net.m = sl.StateMonitor(net.hidden, variable, get_grad=True)
    net.few = sl.StateMonitor(net.hidden, variable, index=[1, 4], dt=2.0, get_grad=True)
    net.run(10.0)
    (net.answer.predict**2).sum().backward()
    truth = by_hand(net, loop)[variable]
    assert np.abs(truth).sum() > 0
    np.testing.assert_allclose(net.m.grads.reshape(B, 6, T), truth, rtol=1e-9, atol=1e-12)
    assert net.m.grads.shape == net.m.values.shape == (B, 2, 3, T)
    np.testing.assert_allclose(net.few.grad, truth[:, [1, 4]][..., 3::4], rtol=1e-9, atol=1e-12)


def test_keeping_gradients_changes_neither_answer_nor_gradients_of_weights():
    found = []
    for watch in (False, True):
        net = network()
        if watch:
            net.m = sl.SpikeMonitor(net.hidden, get_grad=True)
        net.run(10.0)
        net.answer.predict.sum().backward()
        found.append((net.answer.predict.detach(), net.a.weight.value.grad))
    torch.testing.assert_close(found[0], found[1], rtol=1e-10, atol=1e-12)
    assert net.m.spk_grad.shape == (B, 2, 3, T)
    assert "torch path (monitor m keeps gradients)" in str(net.plan)


def test_the_gradient_of_a_weight_is_that_of_the_parameter():
    net = network()
    net.m = sl.StateMonitor(net.a, "weight", get_grad=True)
    net.one = sl.StateMonitor(net.a, "weight", get_grad=True, index=[[1], [2]])
    net.run(10.0)
    with pytest.raises(StateError, match=r"monitor 'm' has no gradient yet; call backward\(\)"):
        net.m.grads
    net.answer.predict.sum().backward()
    np.testing.assert_array_equal(net.m.grads, net.a.weight.value.grad)
    np.testing.assert_array_equal(net.one.grads, net.a.weight.value.grad[1, [2]])


def test_gradients_that_were_not_asked_for_or_did_not_come_are_an_error():
    net = network()
    net.plain, net.m = sl.StateMonitor(net.hidden, "v"), sl.StateMonitor(net.hidden, "v", get_grad=True)
    net.run(1.0)
    with pytest.raises(StateError, match="monitor 'plain' keeps no gradients; make it with get_grad=True"):
        net.plain.grads
    with pytest.raises(StateError, match="monitor 'm' has no gradient yet"):
        net.m.grads
    with torch.no_grad():
        net.run(1.0)
    with pytest.raises(StateError, match="monitor 'm' has no gradient yet"):
        net.m.grads


def test_a_spike_monitor_of_some_neurons_names_them_as_the_population_does():
    net = network()
    net.all, net.some = sl.SpikeMonitor(net.hidden), sl.SpikeMonitor(net.hidden, index=[2, 5])
    net.run(30.0)
    assert net.all.spk_count.sum() > 0
    np.testing.assert_array_equal(net.some.spk_count, net.all.spk_count[:, [2, 5]])
    for sample in range(B):
        of_some = np.isin(net.all.spk_index[sample], [2, 5])
        np.testing.assert_array_equal(net.some.spk_index[sample], net.all.spk_index[sample][of_some])
        np.testing.assert_array_equal(net.some.spk_times[sample], net.all.spk_times[sample][of_some])
    np.testing.assert_allclose(net.all.spk_rate, net.all.spk_count / 0.03)
    np.testing.assert_array_equal(net.all.time, net.all.times)


def test_a_tap_gives_an_observable_with_its_gradient():
    net = network()
    tap = Tap(net.hidden)
    net.m = sl.StateMonitor(net.hidden, "O")
    net.run(10.0)
    np.testing.assert_array_equal(tap.value.detach().movedim(0, -1), net.m.values)
    np.testing.assert_allclose(tap.rates.detach(), net.m.values.sum(-1).reshape(B, 6) / 0.01)
    tap.value.sum().backward()
    assert net.a.weight.value.grad.abs().sum() > 0


def test_the_settings_of_monitors_decoders_and_inputs_survive_a_description():
    net = network()
    net.m = sl.StateMonitor(net.hidden, "v", index=[[0, 1], [2, 0]], dt=1.0, get_grad=True, nbatch=3)
    net.w, net.s = sl.StateMonitor(net.a, "weight"), sl.SpikeMonitor(net.x, nbatch=True)
    net.other = sl.Decoder(dec_target=net.hidden, coding_method="voltage_max", coding_var_name="i_syn")
    net.rate = sl.Decoder(dec_target=net.hidden, coding_method="spike_rate", pop_size=3, scale=0.5)
    net.e = sl.Encoder(4, "poisson", time=5.0, dt=0.5, start_time=1.0, end_time=None)
    net.lists = sl.Encoder(4, "mstb", collisions="merge")
    net.g = sl.Generator(6, "sin", source=[[1.0] * 6, [2.0] * 6], dec_target=net.hidden, start_time=1.0)
    net.h = sl.Generator(3, "poisson_generator")
    net.c = sl.Connection(net.h, net.out, link_type="full")
    described = describe(net)
    again = network_from(described)
    assert describe(again) == described
    assert again.m.index == (2, 3)
    assert (again.m.dt, again.m.get_grad, again.m.nbatch) == (1.0, True, 3)
    assert (again.other.variable, again.rate.decoding.scale) == ("i_syn", 0.5)
    assert (again.e.time, again.e.dt, again.e.options["start_time"]) == (5.0, 0.5, 1.0)
    assert again.g.dec_target is again.hidden
    assert again.g.batch_size is None
    assert "generator sin_generator, shape (6,), into hidden" in str(net)


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"index": [6]}, r"StateMonitor 'm'\.index must lie from 0 to 5, got \[6\]"),
        ({"index": [-1]}, "must lie from 0 to 5"),
        ({"index": []}, "must be 'full', a list of whole numbers"),
        ({"index": "all"}, "must be 'full', a list of whole numbers"),
        ({"index": [0.5]}, "must be 'full', a list of whole numbers"),
        ({"index": [True]}, "must be 'full', a list of whole numbers"),
        ({"index": 3}, "must be 'full', a list of whole numbers"),
        ({"index": [[0], [1], [2]]}, r"one list for each axis of the shape \(2, 3\)"),
        ({"index": [[0, 1], [0, 1, 2]]}, "the lists must be equally long"),
        ({"index": [[0], [3]]}, "must lie from 0 to 2"),
        ({"dt": 0.0}, r"StateMonitor 'm'\.dt must be a positive time step"),
        ({"nbatch": -1}, "nbatch must be True, False or a number of runs, got -1"),
        ({"nbatch": 1.5}, "nbatch must be True, False or a number of runs"),
        ({"get_grad": 1}, "get_grad must be True or False, got 1"),
    ],
)
def test_a_wrong_monitor_is_refused_with_the_way_out(keywords, message):
    with pytest.raises(ParameterError, match=message):
        sl.StateMonitor(sl.NeuronGroup(model="lif", shape=(2, 3)), "v", name="m", **keywords)


def test_a_monitor_that_would_lose_spikes_or_has_no_gradient_is_refused():
    group, encoder = sl.NeuronGroup(2, "lif"), sl.Encoder(2)
    with pytest.raises(ParameterError, match="SpikeMonitor sees every step, so that no spike is lost"):
        sl.SpikeMonitor(group, dt=1.0)
    with pytest.raises(ParameterError, match="the signal of an encoder has no gradient"):
        sl.StateMonitor(encoder, "O", get_grad=True)
    connection = sl.Connection(encoder, group, link_type="full")
    with pytest.raises(ParameterError, match="a connection has no observable 'wieght'; did you mean 'weight'"):
        sl.StateMonitor(connection, "wieght")


def test_a_copied_network_watches_itself():
    net = ran(network())
    net.m = sl.StateMonitor(net.hidden, "v")
    net.run(1.0)
    twin = copy.deepcopy(net)
    np.testing.assert_array_equal(twin.m.values, net.m.values)
    twin.run(2.0)
    assert (twin.m.values.shape[-1], net.m.values.shape[-1]) == (4, 2)


def test_a_weight_is_drawn_as_an_image_and_its_rows_as_fields():
    pytest.importorskip("matplotlib")
    net = network()
    net.a = sl.Connection(net.x, net.hidden, link_type="full", weight=np.arange(24.0).reshape(6, 4))
    net.m, net.v = sl.StateMonitor(net.a, "weight"), sl.StateMonitor(net.hidden, "v")
    net.run(1.0)
    image = net.m.plot_weight(cmap="viridis")
    np.testing.assert_array_equal(image.get_array(), np.arange(24.0).reshape(6, 4))
    net.small = sl.StateMonitor(net.a, "weight", index=list(range(16)))
    net.run(1.0)
    image = net.small.plot_weight(reshape=True, n_sqrt=2, side=2)
    np.testing.assert_array_equal(image.get_array()[:2], [[0, 1, 4, 5], [2, 3, 6, 7]])
    assert net.small.plot_weight(reshape=True, n_sqrt=2, side=2, im=image) is image
    for options, error in (
        ({"reshape": True}, ParameterError),
        ({"reshape": True, "n_sqrt": 3, "side": 2}, ShapeError),
    ):
        with pytest.raises(error, match="plot_weight"):
            net.m.plot_weight(**options)
    with pytest.raises(ParameterError, match="monitor 'v' watches a neuron group; plot_weight shows connections"):
        net.v.plot_weight()


def test_a_population_without_spikes_has_no_spike_monitor_and_no_firing_rate():
    net = ran(network())
    with pytest.raises(ParameterError, match="a 'li' group emits its potential, no spikes; use StateMonitor"):
        net.spikes = sl.SpikeMonitor(net.out)
    assert set(net.firing_rates()) == {"hidden"}
