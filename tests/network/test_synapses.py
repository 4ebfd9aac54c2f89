"""What stands in a connection beside its weights: dropout, normalisation, reshaping, short-term plasticity, gap
junctions; alone, in order, in loops, in files."""

import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F

import spikeloom as sl
from spikeloom.errors import DataError, ParameterError, ShapeError, UnknownNameError, UnsupportedError
from spikeloom.network import describe, network_from
from spikeloom.network.links import Conv
from spikeloom.network.synapses import (
    AvgPool,
    BatchNorm,
    Dropout,
    ShortTermPlasticity,
    Upsample,
    Window,
    depression,
    facilitation,
)

DT, T, B = 0.5, 20, 4


def network(shape, target, link="full", dt=DT, schedule="auto", model="li", seed=2, **options):
    """A population that shows its current, behind one connection."""
    net = sl.Network()
    net.input = sl.Encoder(shape=shape, coding_method="null")
    net.a = sl.NeuronGroup(shape=target, model=model)
    net.c = sl.Connection(net.input, net.a, link_type=link, **options)
    net.monitor = sl.StateMonitor(net.a, "i_syn")
    net.output = sl.Decoder(dec_target=net.a, coding_method="v_t")
    net.set_random_seed(seed)
    net.set_backend(sl.TorchBackend(dtype=torch.float64, dt=dt, schedule=schedule))
    return net


def spikes(shape, n_steps=T, seed=0, rate=0.3):
    return (np.random.default_rng(seed).random((B, n_steps, *shape)) < rate).astype(float)


def current(net, x, run=None):
    """The current (B, T, *shape) of a run."""
    net.input(x)
    (run or net.run)(x.shape[1] * net.backend.dt)
    return np.moveaxis(net.monitor.values[..., -x.shape[1] :], -1, 1)


ONES = {"weight": np.eye(50), "syn_type": ["basic", "dropout"]}


def test_dropout_zeroes_the_share_p_and_keeps_the_mean():
    net = network((50,), (50,), syn_kwargs={"p": 0.3}, **ONES)
    found = current(net, np.ones((B, 200, 50)))
    assert sorted(np.unique(found.round(12))) == pytest.approx([0.0, 1 / 0.7])
    n = found.size
    assert np.mean(found == 0) == pytest.approx(0.3, abs=4.5 * math.sqrt(0.21 / n))
    assert found.mean() == pytest.approx(1.0, abs=4.5 * math.sqrt(0.3 / 0.7 / n))


def test_dropout_draws_anew_each_step_and_run_and_follows_the_seed():
    net = network((50,), (50,), **ONES)
    x = np.ones((B, T, 50))
    first, second = current(net, x), current(net, x)
    assert not np.array_equal(first[:, 0], first[:, 1])
    assert not np.array_equal(first, second)
    again = network((50,), (50,), **ONES)
    assert np.array_equal(current(again, x), first)
    assert np.array_equal(current(again, x), second)
    assert not np.array_equal(current(network((50,), (50,), seed=3, **ONES), x), first)


def test_dropout_stops_in_evaluation_and_an_edit_does_not_start_it():
    net = network((50,), (50,), **ONES)
    net.eval()
    x = np.ones((B, T, 50))
    assert np.array_equal(current(net, x), x)
    net.b = sl.NeuronGroup(3, model="li")
    net.d = sl.Connection(net.a, net.b, link_type="full")
    assert np.array_equal(current(net, x), x)
    assert not net.training
    assert not net.module.training
    net.train()
    assert np.mean(current(net, x) == 0) == pytest.approx(0.5, abs=0.05)


def test_dropout_before_the_product_drops_spikes_of_all_targets_at_once():
    net = network((6,), (5,), weight=np.ones((5, 6)), syn_type=["dropout", "basic"])
    found = current(net, np.eye(6)[None].repeat(B, 0))
    assert np.array_equal(found, found[..., :1].repeat(5, -1))
    assert set(np.unique(found)) == {0.0, 2.0}


def test_dropout_passes_its_mask_on_to_the_gradient():
    net = network((50,), (50,), **ONES)
    net.learner = sl.Learner(net, "STBP")
    current(net, np.ones((B, 1, 50)))
    net.output.predict.sum().backward()
    expected = net.monitor.values[..., 0].sum(0)  # each mask entry stands for one sample and one synapse k -> k
    torch.testing.assert_close(torch.diag(net.c.weight.value.grad), torch.as_tensor(expected))


def test_dropout_works_in_a_loop():
    net = network((4,), (4,), model="lif")
    net.loop = sl.Connection(net.a, net.a, link_type="full", weight=np.ones((4, 4)), syn_type=["basic", "dropout"])
    trained = current(net, spikes((4,), rate=0.9))
    assert np.array_equal(current(net.eval(), spikes((4,), rate=0.9)), current(net, spikes((4,), rate=0.9)))
    assert not np.array_equal(trained, current(net, spikes((4,), rate=0.9)))


IMAGE = (2, 6, 6)


def normalised(**options):
    net = network(IMAGE, (3, 4, 4), "conv", syn_type=["conv", "batchnorm2d"], w_std=0.3, **options)
    net.learner = sl.Learner(net, "STBP")
    net.learner.set_optimizer("SGD", 0.1)
    return net


def module_of(net):
    """torch's convolution and batch normalisation with the weights of a network."""
    layers = torch.nn.Sequential(torch.nn.Conv2d(2, 3, 3, bias=False), torch.nn.BatchNorm2d(3)).double()
    layers[0].weight.data.copy_(net.c.weight.value.detach())
    return layers


def test_batch_normalisation_trains_and_evaluates_as_that_of_torch_on_all_frames():
    net = normalised()
    net.module  # builds it
    layers = module_of(net)
    optimizer = torch.optim.SGD(layers.parameters(), 0.1)
    for seed in range(3):
        x = spikes(IMAGE, seed=seed)
        found = current(net, x)
        expected = layers(torch.from_numpy(x).flatten(0, 1)).view(B, T, 3, 4, 4)
        np.testing.assert_allclose(found, expected.detach(), atol=1e-12)
        net.learner.optim_zero_grad()
        optimizer.zero_grad()
        (net.output.predict**3).sum().backward()
        # v_t is the membrane of leaky integrators: v_t = k v_(t-1) + i
        keep = math.exp(-DT / net.a.neuron.tau_m)
        v, trace = 0.0, []
        for i in expected.unbind(1):
            v = keep * v + i
            trace.append(v)
        (torch.stack(trace) ** 3).sum().backward()
        torch.testing.assert_close(net.c.weight.value.grad, layers[0].weight.grad, rtol=1e-8, atol=1e-8)
        torch.testing.assert_close(net.store["c.gamma"].grad, layers[1].weight.grad, rtol=1e-8, atol=1e-8)
        net.learner.optim_step()
        optimizer.step()
    torch.testing.assert_close(net.store["c.running_mean"], layers[1].running_mean, rtol=1e-8, atol=1e-10)
    torch.testing.assert_close(net.store["c.running_var"], layers[1].running_var, rtol=1e-8, atol=1e-10)
    net.eval()
    layers.eval()
    before = net.store["c.running_mean"].clone()
    x = spikes(IMAGE, seed=9)
    expected = layers(torch.from_numpy(x).flatten(0, 1)).view(B, T, 3, 4, 4)
    np.testing.assert_allclose(current(net, x), expected.detach(), rtol=1e-6, atol=1e-8)
    assert torch.equal(net.store["c.running_mean"], before)


def test_two_runs_before_one_backward_pass_are_no_change_in_place():
    net = normalised()
    current(net, spikes(IMAGE))
    first = net.output.predict.sum()
    current(net, spikes(IMAGE, seed=1))
    (first + net.output.predict.sum()).backward()
    assert net.c.weight.value.grad is not None


def test_neurons_of_one_axis_are_normalised_one_by_one():
    net = network((6,), (5,), w_std=1.0, syn_type=["basic", "batch_norm"])
    found = current(net, spikes((6,)))
    raw = spikes((6,)) @ net.c.weight.value.detach().numpy().T
    expected = (raw - raw.mean((0, 1))) / np.sqrt(raw.var((0, 1)) + 1e-5)
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_batch_normalisation_in_a_loop_evaluates_and_refuses_to_train():
    net = network((4,), (4,), model="lif")
    net.loop = sl.Connection(net.a, net.a, link_type="full", syn_type=["basic", "batch_norm"])
    net.input(spikes((4,)))
    with pytest.raises(UnsupportedError, match=r"trained over a whole window, which a loop has not: .* net\.eval"):
        net.run(T * DT)
    net.eval()
    current(net, spikes((4,)))


def test_the_running_figures_are_saved(tmp_path):
    net = normalised()
    current(net, spikes(IMAGE))
    expected = current(net.eval(), spikes(IMAGE, seed=1))
    net.save("net", tmp_path)
    again = sl.network_load("net", tmp_path).eval()
    again.set_backend(sl.TorchBackend(dtype=torch.float64, dt=DT))
    np.testing.assert_allclose(current(again, spikes(IMAGE, seed=1)), expected, atol=1e-12)


@pytest.mark.parametrize("built", [False, True])
def test_a_running_variance_below_zero_is_refused_and_changes_nothing(built):
    net = normalised()
    if built:
        net.build()
    message = r"c\.running_var must hold variances, zero or more, got -0\.5"
    wrong = np.array([1.0, -0.5, 2.0])
    with pytest.raises(ParameterError, match=message):
        net.c.set_value("running_var", wrong)
    before = {name: np.array(value) for name, value in net.save_state(save=False).items()}
    with pytest.raises(DataError, match=message):
        net.state_from_dict(before | {"c.running_var": wrong})
    if built:
        with pytest.raises(DataError, match=message):
            net.load_state_dict(net.state_dict() | {"c.running_var": torch.as_tensor(wrong)})
    after = net.save_state(save=False)
    assert all(np.array_equal(before[name], after[name]) for name in before)
    net.c.set_value("running_var", np.array([1.0, 0.0, 2.0]))
    net.eval()
    assert np.all(np.isfinite(current(net, spikes(IMAGE))))


def weights(net):
    return net.c.weight.value.detach()


def frames(x):
    return torch.from_numpy(x).flatten(0, 1)


@pytest.mark.parametrize(
    ("source", "target", "options", "reference"),
    [
        (IMAGE, (48,), {"syn_type": ["conv", "flatten"], "out_channels": 3}, lambda x, w: F.conv2d(x, w).flatten(1)),
        (
            (2, 3, 3),
            (3, 4, 4),
            {"syn_type": ["upsample", "conv"]},
            lambda x, w: F.conv2d(F.interpolate(x, scale_factor=2, mode="nearest"), w),
        ),
        (
            (2, 3, 3),
            (3, 7, 1),
            {"syn_type": ["upsample", "conv"], "upscale": (3, 1)},
            lambda x, w: F.conv2d(x.repeat_interleave(3, 2), w),
        ),
        ((2, 8, 8), (3, 2, 2), {"syn_type": ["maxpool", "conv"]}, lambda x, w: F.conv2d(F.max_pool2d(x, 2), w)),
        (
            (2, 9, 9),
            (3, 1, 1),
            {"syn_type": ["avgpool", "conv"], "pool_kernel_size": 3, "pool_padding": 1, "pool_stride": 4},
            lambda x, w: F.conv2d(F.avg_pool2d(x, 3, 4, 1), w),
        ),
        (IMAGE, (3, 2, 2), {"syn_type": ["conv", "maxpool"]}, lambda x, w: F.max_pool2d(F.conv2d(x, w), 2)),
        (
            IMAGE,
            (12,),
            {"syn_type": ["conv", "avgpool", "flatten"], "out_channels": 3},
            lambda x, w: F.avg_pool2d(F.conv2d(x, w), 2).flatten(1),
        ),
        (
            (2, 3, 3),
            (3, 2, 2),
            {"link": "conv_transpose", "syn_type": ["conv_transpose", "maxpool"], "out_channels": 3},
            lambda x, w: F.max_pool2d(F.conv_transpose2d(x, w), 2),
        ),
        (IMAGE, (5,), {"link": "full", "syn_type": ["flatten", "basic"]}, lambda x, w: x.flatten(1) @ w.t()),
        (IMAGE, (72,), {"link": "null", "syn_type": ["directpass", "flatten"]}, lambda x, w: x.flatten(1)),
        ((4,), (3,), {"link": "full", "syn_type": "basic"}, lambda x, w: x @ w.t()),
    ],
)
def test_a_pipeline_does_what_torch_does_in_its_order(source, target, options, reference):
    net = network(source, target, options.pop("link", "conv"), **options)
    found = current(net, spikes(source))
    w = None if net.c.link.name == "null" else weights(net)
    np.testing.assert_allclose(found, reference(frames(spikes(source)), w).view(found.shape), atol=1e-12)


def test_a_convolution_takes_the_pooling_behind_it_into_itself():
    net = network(IMAGE, (3, 2, 2), "conv", syn_type=["conv", "maxpool"])
    assert (net.c.link.pool, net.c.extras) == ("max", "")
    assert net.plan.blocks[0].path == "kernel path"


def tsodyks_markram(times, U, tau_rec, tau_facil):
    """What each spike of a train sets free, from spike to spike (Markram et al., 1998)."""
    found, u, R, last = [], 0.0, 1.0, None
    for t in times:
        if last is not None:
            u *= math.exp(-(t - last) / tau_facil) if tau_facil else 0.0
            R = 1 - (1 - R) * math.exp(-(t - last) / tau_rec)
        u, last = u + U * (1 - u), t
        found.append(u * R)
        R -= u * R
    return found


RULES = {
    "depression": (0.5, 800.0, 0.0),
    "facilitation": (0.04, 100.0, 1000.0),
    "both": (0.2, 130.0, 530.0),
}


def synapse(name):
    U, tau_rec, tau_facil = RULES[name]
    return {"depression": depression(), "facilitation": facilitation()}.get(
        name, ShortTermPlasticity(U=U, tau_rec=tau_rec, tau_facil=tau_facil)
    )


@pytest.mark.parametrize("dt", [0.1, 1.0])
@pytest.mark.parametrize("name", RULES)
def test_spikes_at_any_times_set_free_what_the_exact_solution_between_them_says(name, dt):
    steps = np.array([3, 4, 60, 61, 150, 290, 300])
    x = np.zeros((1, 310, 1))
    x[0, steps] = 1.0
    net = network((1,), (1,), weight=[[2.5]], syn_type=[synapse(name), "basic"], dt=dt)
    found = current(net, x)[0, :, 0]
    np.testing.assert_allclose(found[steps], 2.5 * np.array(tsodyks_markram(steps * dt, *RULES[name])), rtol=1e-12)
    assert np.count_nonzero(found) == len(steps)


@pytest.mark.parametrize("interval", [5.0, 20.0, 100.0])
@pytest.mark.parametrize("name", RULES)
def test_a_regular_train_settles_at_the_closed_form(name, interval):
    U, tau_rec, tau_facil = RULES[name]
    n = int(interval) * 400
    x = np.zeros((1, n, 1))
    x[0, :: int(interval)] = 1.0
    stage = synapse(name)
    y, _ = stage.apply(
        torch.from_numpy(x).transpose(0, 1), stage.initial(torch.zeros(1, 1, dtype=torch.float64)), {}, _window(1.0)
    )
    falls = math.exp(-interval / tau_facil) if tau_facil else 0.0
    u = U / (1 - (1 - U) * falls)
    recovers = math.exp(-interval / tau_rec)
    R = (1 - recovers) / (1 - (1 - u) * recovers)
    assert y[-int(interval)].item() == pytest.approx(u * R, rel=1e-6)


def _window(dt):
    return Window(dt, True, torch.Generator(), False)


def test_a_depressing_synapse_gives_less_and_a_facilitating_one_more_with_each_spike():
    times = np.arange(0.0, 100.0, 20.0)
    down, up = (tsodyks_markram(times, *RULES[name]) for name in ("depression", "facilitation"))
    assert np.all(np.diff(down) < 0)
    assert np.all(np.diff(up) > 0)


@pytest.mark.parametrize("schedule", ["auto", "step"])
def test_a_cut_run_of_a_plastic_synapse_equals_one_run(schedule):
    net = network((6,), (5,), syn_type=["depression"], schedule=schedule)
    x = spikes((6,))
    whole = current(net, x)
    parts = [current(net, x[:, a:b], net.run if a == 0 else net.run_continue) for a, b in ((0, 3), (3, 4), (4, T))]
    np.testing.assert_allclose(np.concatenate(parts, 1), whole, atol=1e-12)
    np.testing.assert_allclose(current(net, x), whole, atol=1e-12)


def test_a_plastic_synapse_in_a_loop_and_with_a_delay_acts_on_what_is_sent():
    x = np.zeros((1, 40, 1))
    x[0, :30:3] = 1.5
    net = network((1,), (1,), model="if", weight=[[1.0]])
    net.b = sl.NeuronGroup(1, model="li")
    net.d = sl.Connection(net.a, net.b, link_type="full", weight=[[1.0]], syn_type=["depression"], delay=2.0)
    net.e = sl.Connection(net.b, net.a, link_type="full", weight=[[0.0]])  # closes a loop
    net.seen = sl.StateMonitor(net.b, "i_syn")
    current(net, x)
    expected = np.zeros(40)
    steps = np.arange(0, 30, 3)
    expected[steps + 4 + 1] = tsodyks_markram(steps * DT, *RULES["depression"])
    np.testing.assert_allclose(net.seen.values[0, 0], expected, atol=1e-12)


def test_gradients_flow_through_a_plastic_synapse():
    stage = ShortTermPlasticity(U=0.3, tau_rec=20.0, tau_facil=30.0)
    x = torch.from_numpy(spikes((2,), 6)).transpose(0, 1).contiguous().requires_grad_()
    rest = stage.initial(x[0].detach())
    assert torch.autograd.gradcheck(lambda x: stage.apply(x, rest, {}, _window(1.0))[0], (x,))


def junction(weight, schedule="auto", **options):
    net = sl.Network()
    net.input = sl.Encoder(2, coding_method="null")
    net.a = sl.NeuronGroup(2, model="lif", v_th=100.0, tau_m=6.0)
    net.b = sl.NeuronGroup(3, model="lif", v_th=100.0, tau_m=9.0)
    net.c = sl.Connection(net.input, net.a, link_type="one_to_one", weight=[1.0, 2.0])
    net.gap = sl.Connection(
        net.a, net.b, link_type=options.pop("link", "full"), weight=weight, syn_type=["electrical"], **options
    )
    net.va, net.vb = sl.StateMonitor(net.a, "v"), sl.StateMonitor(net.b, "v")
    net.set_backend(sl.TorchBackend(dtype=torch.float64, dt=DT, schedule=schedule))
    return net


W = np.array([[0.1, 0.0], [0.02, 0.05], [0.0, 0.2]])


def coupled(x, w):
    """Two leaky populations with a current w (v_pre - v_post) each way, step by step."""
    a, b, found = np.zeros(2), np.zeros(3), []
    for given in x:
        into_b, into_a = w @ a - w.sum(1) * b, w.T @ b - w.sum(0) * a
        a = a * math.exp(-DT / 6.0) + given * [1.0, 2.0] + into_a
        b = b * math.exp(-DT / 9.0) + into_b
        found.append(np.concatenate([a, b]))
    return np.array(found)


@pytest.mark.parametrize("schedule", ["auto", "step"])
@pytest.mark.parametrize("link", ["full", "sparse"])
def test_a_gap_junction_leads_current_both_ways(link, schedule):
    net, x = junction(W, schedule, link=link), np.random.default_rng(0).random((1, T, 2))
    net.input(x)
    net.run(T * DT)
    np.testing.assert_allclose(np.concatenate([net.va.values[0], net.vb.values[0]]).T, coupled(x[0], W), atol=1e-12)
    assert "electrical" in str(net.plan)


def test_a_cut_run_over_a_gap_junction_equals_one_run():
    net, x = junction(W), np.random.default_rng(0).random((1, T, 2))
    found = []
    for first, last in ((0, 1), (1, 8), (8, T)):
        net.input(x[:, first:last])
        net.run_continue((last - first) * DT)
        found.append(np.concatenate([net.va.values[0], net.vb.values[0]]).T[-(last - first) :])
    np.testing.assert_allclose(np.concatenate(found), coupled(x[0], W), atol=1e-12)


def test_a_gap_junction_keeps_what_flows_out_equal_to_what_flows_in_and_starts_from_unequal_rest():
    net = sl.Network()
    net.a, net.b = (sl.NeuronGroup(1, model="lif", v_rest=rest, v_th=90.0, tau_m=1e9) for rest in (-1.0, 3.0))
    net.gap = sl.Connection(net.a, net.b, link_type="one_to_one", weight=[0.125], syn_type="electrical")
    net.va, net.vb = sl.StateMonitor(net.a, "v"), sl.StateMonitor(net.b, "v")
    net.set_backend(sl.TorchBackend(dtype=torch.float64, dt=DT))
    net.run(T * DT)
    a, b = net.va.values[0, 0], net.vb.values[0, 0]
    np.testing.assert_allclose(a + b, 2.0, atol=1e-6)
    np.testing.assert_allclose(b - a, 4.0 * 0.75 ** np.arange(1, T + 1), rtol=1e-6)


def test_the_conductance_of_a_gap_junction_gets_the_gradient_of_finite_differences():
    x = np.random.default_rng(0).random((1, 8, 2))

    def total(w, learn=False):
        net = junction(w)
        net.output = sl.Decoder(dec_target=net.b, coding_method="v_t")
        net.learner = sl.Learner(net, "STBP")
        net.input(x)
        net.run(8 * DT)
        loss = (net.output.predict**2).sum() if hasattr(net.output.predict, "sum") else None
        if learn:
            loss.backward()
            return net.gap.weight.value.grad.numpy()
        return loss.item()

    net = junction(W)
    net.output = sl.Decoder(dec_target=net.b, coding_method="final_step_voltage")
    gradient, step = total(W, learn=True), 1e-6
    for place in np.ndindex(W.shape):
        shift = np.zeros(W.shape)
        shift[place] = step
        assert gradient[place] == pytest.approx((total(W + shift) - total(W - shift)) / (2 * step), rel=1e-5, abs=1e-8)


@pytest.mark.parametrize(
    ("syn_type", "name"),
    [
        ("1_order_synapse", sl.first_order_synapse()),
        (["basic", "2_order_synapse"], sl.second_order_synapse()),
        (["first_order_synapse"], sl.LowPass(tau=2.0)),
    ],
)
def test_synapses_of_an_order_are_the_filter_of_the_connection(syn_type, name):
    assert network((3,), (2,), syn_type=syn_type).c.filter == name


def test_settings_reach_the_synapse_that_has_them():
    net = network((3,), (2,), syn_type=["dropout", "basic", "2_order_synapse"], syn_kwargs={"p": 0.1, "tau_r": 5.0})
    assert net.c.synapses.before[0].p == 0.1
    assert net.c.filter == sl.DoubleExponential(tau_r=5.0, tau_d=2.0)
    each = [{"p": 0.2}, {}, {"p": 0.4}]
    net = network((3,), (2,), syn_type=["dropout", "basic", "dropout"], syn_kwargs=each)
    assert [stage.p for stage in net.c.synapses.stages] == [0.2, 0.4]
    net = network((3,), (2,), syn_type=["basic", Dropout(p=0.3)], w_mean=0.2)
    assert (net.c.synapses.after[0].p, net.c.link.w_mean) == (0.3, 0.2)


REFUSED = [
    ({"syn_type": ["dropoot"]}, UnknownNameError, "unknown synapse 'dropoot'; did you mean 'dropout'"),
    ({"syn_type": [3]}, UnknownNameError, "synapse must be a name"),
    ({"syn_type": ["dropout"], "syn_kwargs": {"q": 0.1}}, ParameterError, "unknown parameter 'q'"),
    ({"syn_type": ["dropout"], "syn_kwargs": {"p": 1.0}}, ParameterError, r"Dropout\.p must be in \[0, 1\)"),
    ({"syn_type": ["dropout"], "syn_kwargs": 3}, ParameterError, "syn_kwargs must be a mapping or a list"),
    ({"syn_type": ["dropout"], "syn_kwargs": [{}, {}]}, ParameterError, "one mapping for each of 1 synapses"),
    (
        {"syn_type": ["dropout"], "syn_kwargs": {"p": 0.1}, "p": 0.2},
        ParameterError,
        "p is given in .* and beside",
    ),
    ({"syn_kwargs": {"p": 0.1}}, ParameterError, "give it too"),
    ({"syn_type": ["basic", "basic"]}, ParameterError, "the product with the weights stands there 2 times"),
    ({"syn_type": ["conv"]}, ParameterError, "is for link_type='conv', got 'full'"),
    ({"syn_type": ["directpass"]}, ParameterError, "is for link_type='null', got 'full'"),
    ({"syn_type": ["1_order_synapse", "dropout"]}, ParameterError, "a filter such as LowPass must be the last"),
    ({"syn_type": ["1_order_synapse"], "filter": sl.LowPass(tau=1.0)}, ParameterError, "give one of them"),
    ({"syn_type": ["basic", "depression"]}, ParameterError, "short_term_plasticity acts on spikes; put it before"),
    ({"syn_type": ["batch_norm", "batch_norm"]}, UnsupportedError, "one batch_norm at most"),
    ({"syn_type": ["electrical", "dropout"]}, ParameterError, "'electrical' stands alone"),
    ({"syn_type": ["electrical"]}, UnsupportedError, "joins neuron groups with a potential v, .* has none"),
    ({"syn_type": ["delay_complex_synapse"]}, UnknownNameError, "complex-valued neurons; use delay="),
    ({"syn_type": ["mix_order_synapse"]}, UnknownNameError, "complex-valued neurons; use second_order_synapse"),
    ({"syn_type": ["upsample", "basic"]}, ShapeError, r"upsample takes shape \(channels, height, width\), got \(3,\)"),
    ({"syn_type": ["basic", "maxpool"]}, UnsupportedError, "changes the shape behind a full link; put it before"),
    (
        {"syn_type": ["basic", "batch_norm"], "delay": np.zeros((2, 3))},
        UnsupportedError,
        "batch_norm does not go with a delay for each synapse",
    ),
]


@pytest.mark.parametrize(("options", "error", "message"), REFUSED)
def test_what_does_not_fit_into_a_connection_is_refused(options, error, message):
    with pytest.raises(error, match=message):
        network((3,), (2,), **options)


def test_a_pipeline_that_leads_to_another_shape_is_refused_with_the_right_one():
    with pytest.raises(ShapeError, match=r"the target must have shape \(48,\), got \(47,\); give it shape=\(48,\)"):
        network(IMAGE, (47,), "conv", syn_type=["conv", "flatten"], out_channels=3)
    with pytest.raises(ParameterError, match="give out_channels="):
        network(IMAGE, (48,), "conv", syn_type=["conv", "flatten"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"delay": 1.0}, "neither delay nor filter"),
        ({"filter": sl.LowPass(tau=1.0)}, "neither delay nor filter"),
        ({"bias": True}, "has no bias"),
    ],
)
def test_a_gap_junction_has_no_delay_no_filter_and_no_bias(options, message):
    with pytest.raises((ParameterError, UnsupportedError), match=message):
        junction(W, **options)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ShortTermPlasticity(U=0.0), r"ShortTermPlasticity\.U must be in \(0, 1\]"),
        (lambda: ShortTermPlasticity(tau_rec=0.0), r"tau_rec must be a positive time"),
        (lambda: ShortTermPlasticity(tau_facil=-1.0), r"tau_facil must be a time in ms, zero or more"),
        (lambda: BatchNorm(momentum=0.0), r"BatchNorm\.momentum must be in"),
        (lambda: BatchNorm(eps=-1.0), r"BatchNorm\.eps must be a positive number"),
        (lambda: Upsample(upscale=0), r"Upsample\.upscale must be a whole number from 1 on"),
        (lambda: AvgPool(pool_padding=2), r"pool_padding must be at most half"),
    ],
)
def test_settings_without_a_meaning_are_refused(make, message):
    with pytest.raises(ParameterError, match=message):
        make()


def everything():
    net = network(IMAGE, (48,), "conv", syn_type=["conv", "dropout", "flatten", "batchnorm2d"], out_channels=3, p=0.2)
    net.b, net.e = sl.NeuronGroup(48, model="lif"), sl.NeuronGroup(48, model="lif")
    net.ae = sl.Connection(net.a, net.e, link_type="one_to_one")
    net.d = sl.Connection(net.e, net.b, link_type="one_to_one", syn_type=[ShortTermPlasticity(U=0.3, tau_facil=9.0)])
    net.gap = sl.Connection(net.b, net.b, link_type="sparse", syn_type="electrical", density=0.1, w_mean=0.01)
    return net


def test_synapses_are_saved_and_loaded():
    net = everything()
    expected = current(net, spikes(IMAGE))
    described = describe(net)
    again = network_from(described)
    assert describe(again) == described
    assert isinstance(again.c.link, Conv)
    assert again.gap.synapses.electrical
    again.set_backend(sl.TorchBackend(dtype=torch.float64, dt=DT))
    np.testing.assert_allclose(current(again, spikes(IMAGE)), expected, atol=1e-12)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("after", [{"synapse": "os.system"}], r"after\[0\]\.synapse must be one of dropout"),
        ("after", [{"synapse": "dropout", "p": "0.5"}], "p must be a number"),
        ("after", [{"synapse": "dropout", "p": 3.0}], "Dropout.p must be in"),
        ("after", {"synapse": "dropout"}, "after must be a list of synapses"),
        ("before", [{"synapse": "dropout", "q": 1}], "unknown entry 'q'"),
        ("electrical", "yes", "electrical must be true or false"),
    ],
)
def test_spoilt_synapses_in_a_file_are_refused(name, value, message):
    described = describe(everything())
    described["components"]["c"][name] = value
    with pytest.raises(DataError, match=message):
        network_from(described)


def test_a_file_cannot_ask_for_enormous_frames_between_small_populations():
    described = describe(everything())
    connection = described["components"]["c"]
    connection["before"] = [{"synapse": "upsample", "upscale": 10**5}]
    connection["link"]["stride"] = 150_000
    with pytest.raises(DataError, match="more than 10000000 neurons"):
        network_from(described)


def test_the_plan_and_the_print_say_what_keeps_a_connection_from_the_kernels():
    net = everything()
    assert "torch path (gap: an electrical synapse)" in str(net.plan)
    assert "<- input by c (conv, dropout, flatten, batch_norm)" in str(net.plan)
    assert "dropout, flatten, batch_norm" in str(net)


def test_evaluation_and_prediction_are_without_dropout_and_training_with_it():
    net = network((6,), (6,), model="lif", syn_type=["basic", "dropout"], weight=2 * np.eye(6))
    del net.output
    net.output = sl.Decoder(dec_target=net.a, coding_method="spike_counts")
    net.learner = sl.Learner(net, "STCA")
    net.learner.set_optimizer("SGD", 1e-9)
    x = np.ones((8, T, 6), np.float32)
    data = sl.Dataloader(sl.ArrayDataset(x, np.arange(8) % 6), 4)
    assert np.all(sl.predict(net, data, time=T * DT, progress=False) == T)
    assert sl.evaluate(net, data, time=T * DT, progress=False).rate_hz == pytest.approx(1000 / DT)
    assert net.training
    net.eval()
    (epoch,) = sl.fit(net, data, epochs=1, time=T * DT, validation=data, progress=False)
    assert epoch.train.rate_hz == pytest.approx(500 / DT, rel=0.1)
    assert epoch.validation.rate_hz == pytest.approx(1000 / DT)


def test_both_schedules_give_equal_synapses_between_two_populations():
    found = []
    for schedule in ("auto", "step"):
        net = network((6,), (5,), model="lif", schedule=schedule, w_mean=0.5)
        net.b = sl.NeuronGroup(4, model="lif")
        net.d = sl.Connection(net.a, net.b, link_type="full", w_std=1.0, syn_type=["facilitation", "basic"], delay=1.0)
        net.output = sl.Decoder(dec_target=net.b, coding_method="v_t")
        net.learner = sl.Learner(net, "STBP", alpha=1.0)
        current(net, spikes((6,)))
        net.output.predict.pow(2).sum().backward()
        found.append([net.output.predict.detach(), net.c.weight.value.grad, net.d.weight.value.grad])
    assert all(part.abs().sum() > 0 for part in found[0])
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("size", [3.0, -1.0])
def test_short_term_plasticity_takes_no_signal_that_is_no_share_of_a_spike(size):
    net = sl.Network()
    net.x = sl.Encoder(1, coding_method="null")
    net.a = sl.NeuronGroup(1, model="lif")
    net.c = sl.Connection(net.x, net.a, link_type="full", weight=[[1.0]], syn_type=["depression"])
    net.x(np.full((1, 5, 1), size))
    with pytest.raises(DataError, match="the source must send spikes, or values from 0 to 1"):
        net.run(0.5)
