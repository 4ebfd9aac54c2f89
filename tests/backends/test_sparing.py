"""The sparing mode: the same gradients in less memory."""

import numpy as np
import pytest
import torch

import spikeloom as sl
from spikeloom.backends import windows
from spikeloom.backends.kernel_run import KernelRun


def network(*, sparing, delay=0.0):
    net = sl.Network()
    generator = np.random.default_rng(0)

    def weight(*shape):
        return generator.normal(0.1, 0.3, shape)

    net.x = sl.Encoder(12, coding_method="null")
    net.a = sl.NeuronGroup(20, "lif", tau_m=4.0, parameter_variables=["tau_m"])
    net.b = sl.NeuronGroup(5, "clif")
    net.c = sl.Connection(net.x, net.a, link_type="full", weight=weight(20, 12), bias=weight(20), delay=delay)
    net.loop = sl.Connection(net.a, net.a, link_type="full", weight=weight(20, 20), delay=delay)
    net.d = sl.Connection(net.a, net.b, link_type="full", weight=weight(5, 20), bias=weight(5), delay=delay)
    net.out = sl.Decoder(5, net.b, coding_method="spike_counts")
    net.v = sl.StateMonitor(net.a, "V")
    net.set_backend(sl.TorchBackend(dt=1.0, dtype=torch.float64, sparing=sparing))
    return net


def trained(net, n_steps):
    data = (torch.rand(11, n_steps, 12, generator=torch.Generator().manual_seed(0)) < 0.4).double().requires_grad_()
    net.x(data)
    net.run(float(n_steps))
    (net.out.predict.square() * torch.arange(5)).sum().backward()
    return {"x": data.grad, **{name: p.grad for name, p in net.module.named_parameters()}}


@pytest.mark.parametrize("delay", [0.0, 2.0])
@pytest.mark.parametrize("n_steps", [1, 2, 3, 17, 30])
def test_gradients_are_those_of_a_run_that_keeps_all(n_steps, delay):
    plain, spared = (trained(network(sparing=s, delay=delay), n_steps) for s in (False, True))
    assert set(plain) == set(spared)
    for name, grad in plain.items():
        torch.testing.assert_close(spared[name], grad, rtol=0, atol=1e-11 * max(1.0, float(grad.abs().max())), msg=name)
    if n_steps == 30:
        assert all(grad.abs().sum() > 0 for grad in plain.values())


def test_what_is_kept_is_a_fraction_and_grows_slower_than_the_steps():
    def kept(n_steps, *, sparing):
        net = network(sparing=sparing)
        trained(net, n_steps)
        (path,) = {id(p): p for p in net._build.paths}.values()
        return sum(memory.size for free in path.workspace._free.values() for memory in free)

    assert kept(1600, sparing=True) < 0.3 * kept(1600, sparing=False)
    planes = 20 * 2 * 11 * 8  # both layers' tiles of 32 and 16 neurons, at least, in bytes a step
    assert kept(1600, sparing=False) > 1600 * planes


@pytest.mark.parametrize("sparing", [False, True])
def test_a_late_bias_without_a_gradient_gets_exactly_none(sparing):
    net = network(sparing=sparing)
    net.late = sl.Connection(net.x, net.a, link_type="full", w_std=0.1, bias=True, delay=4.0)
    net.potential = sl.Decoder(dec_target=net.a, coding_method="v_t")
    net.x((torch.rand(11, 30, 12, generator=torch.Generator().manual_seed(0)) < 0.4).double())
    net.run(30.0)
    net.potential.predict[:4].square().sum().backward()  # before the bias arrives
    gradients = {name: p.grad for name, p in net.module.named_parameters()}
    assert gradients["c.bias"].abs().sum() > 0
    assert torch.equal(gradients["late.bias"], torch.zeros(20, dtype=torch.float64))


def test_sparing_must_be_true_false_or_none():
    with pytest.raises(sl.ParameterError, match="sparing must be True, False or None, got 3"):
        sl.TorchBackend(sparing=3)


def layers(*, density, sparing):
    """Two populations without a loop, events of the density in, and a run of 40 steps of 11 samples."""
    net, generator = sl.Network(), np.random.default_rng(3)
    net.x = sl.Encoder(12, coding_method="null")
    net.a = sl.NeuronGroup(20, "lif", tau_m=4.0)
    net.b = sl.NeuronGroup(5, "clif")
    net.c = sl.Connection(net.x, net.a, link_type="full", weight=generator.normal(0.1, 0.3, (20, 12)))
    net.d = sl.Connection(net.a, net.b, link_type="full", weight=generator.normal(0.1, 0.3, (5, 20)))
    net.out = sl.Decoder(5, net.b, coding_method="spike_counts")
    net.set_backend(sl.TorchBackend(dt=1.0, dtype=torch.float64, sparing=sparing))
    raster = generator.random((40, 11, 12)) < density
    net.x(sl.Spikes.from_raster(raster, 1.0))
    net.run(40.0)
    (net.out.predict.square() * torch.arange(5)).sum().backward()
    return {name: p.grad for name, p in net.module.named_parameters()}


@pytest.fixture
def windows_made(monkeypatch):
    """How many windows each run of kernels went back in."""
    made, backward = [], KernelRun.backward

    def counted(run, grads):
        made.append(len(run.windows))
        return backward(run, grads)

    monkeypatch.setattr(KernelRun, "backward", counted)
    return made


def test_by_itself_a_run_goes_back_in_windows_where_planes_are_large_and_events_few(monkeypatch, windows_made):
    whole = layers(density=0.3, sparing=None)
    a_step = (32 + 2 * 16) * 11 * 8  # bytes of both layers' tiles, in one plane and in two
    monkeypatch.setattr(windows, "WINDOW", 20 * a_step)
    parts = layers(density=0.3, sparing=None)
    layers(density=0.3, sparing=False)
    assert windows_made[0] == windows_made[2] == 1 < windows_made[1] <= 40 / windows.LEAST_STEPS
    dear = {"OPERATIONS_AT_MOST": 8.0, "OVER_WEIGHTS": 1e9, "LEAST_STEPS": 21, "LEAST_SAMPLES": 12}
    for name, value in dear.items():
        with monkeypatch.context() as patched:
            patched.setattr(windows, name, value)
            layers(density=0.3, sparing=None)
    assert windows_made[3:] == [1] * len(dear)
    for name, grad in whole.items():
        assert grad.abs().sum() > 0
        torch.testing.assert_close(parts[name], grad, rtol=0, atol=1e-11 * max(1.0, float(grad.abs().max())), msg=name)


def test_a_loop_keeps_all_by_itself(monkeypatch, windows_made):
    monkeypatch.setattr(windows, "WINDOW", 20 * (32 + 2 * 16) * 11 * 8)
    trained(network(sparing=None), 40)
    layers(density=0.3, sparing=None)
    assert windows_made[0] == 1 < windows_made[1]


@pytest.mark.parametrize(("batch", "n_steps"), [(150, 10), (256, 40)])
def test_convolutions_of_many_samples_go_back_in_whole_parts(batch, n_steps):
    """How many samples go back together is a multiple of the part that a convolution sums up, whatever fits a cache."""
    found = []
    raster = torch.rand(n_steps, batch, 2, 8, 8, generator=torch.Generator().manual_seed(0)) < 0.2
    for path in ("auto", "torch"):
        net = sl.Network()
        net.x = sl.Encoder(shape=(2, 8, 8), coding_method="null")
        net.a = sl.NeuronGroup(shape=(8, 8, 8), model="lif", tau_m=4.0)
        weight = np.random.default_rng(1).normal(0.1, 0.3, (8, 2, 3, 3))
        net.c = sl.Connection(net.x, net.a, link_type="conv", kernel_size=3, padding=1, weight=weight)
        net.out = sl.Decoder(dec_target=net.a, coding_method="spike_counts")
        net.set_backend(sl.TorchBackend(dt=1.0, dtype=torch.float64, path=path, threads=3 if path == "auto" else None))
        net.x(sl.Spikes.from_raster(raster.numpy(), 1.0))
        net.run(float(n_steps))
        net.out.predict.square().sum().backward()
        found.append({name: p.grad for name, p in net.module.named_parameters()})
    for name, grad in found[1].items():
        assert grad.abs().sum() > 0
        torch.testing.assert_close(found[0][name], grad, rtol=1e-9, atol=1e-9)
