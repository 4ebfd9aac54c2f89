"""What stands around a product (pooling, normalisation, dropout, ...) leaves the population behind it in its kernel:
equal to the torch path in all that comes out and flows back."""

import numpy as np
import pytest
import torch

import spikeloom as sl
from spikeloom.backends import TorchBackend

T, B, IMAGE = 7, 5, (2, 6, 8)
CONV = {"link_type": "conv", "kernel_size": 3, "padding": 1, "w_mean": 0.1, "w_std": 0.5}
FULL = {"link_type": "full", "w_mean": 0.1, "w_std": 0.4, "bias": np.linspace(-0.1, 0.2, 4)}
STAGES = {
    "normalised": (["conv", "batch_norm"], {}, CONV, (3, 6, 8)),
    "mean of windows": (["avgpool", "conv", "batch_norm"], {}, CONV, (3, 3, 4)),
    "maximum of windows": (["maxpool", "conv"], {}, CONV, (3, 3, 4)),
    "overlapping windows": (
        ["avgpool", "conv"], {"pool_kernel_size": 3, "pool_stride": 2, "pool_padding": 1}, CONV, (3, 3, 4)
    ),
    "dropout of spikes and windows": (["dropout", "avgpool", "conv"], {}, CONV, (3, 3, 4)),
    "dropout of currents": (["conv", "dropout"], {"p": 0.3}, CONV, (3, 6, 8)),
    "enlarged": (["upsample", "conv"], {}, CONV, (2, 12, 16)),
    "windows of a current": (["conv", "batch_norm", "maxpool"], {}, CONV | {"out_channels": 3}, (3, 3, 4)),
    "a full product": (["avgpool", "flatten", "basic", "dropout"], {}, FULL, (4,)),
    "depression": (["depression", "conv"], {}, CONV, (3, 6, 8)),
    "no weights": (["flatten", "directpass"], {}, {"link_type": "null"}, (96,)),
}  # fmt: skip
SIGNALS = ["events", "raster", "a population", "potentials"]
PAIRS = [(n, s) for n in STAGES for s in SIGNALS if (n, s) != ("depression", "potentials")]  # which are no spikes


def network(name, signal, path="auto", delay=0.0):
    """in -> (before ->) a by the stages -> out, and a decoder of each step's potential of out."""
    syn_type, settings, link, shape = STAGES[name]
    net = sl.Network()
    net.x = pre = sl.Encoder(shape=IMAGE, coding_method="null")
    if signal in ("a population", "potentials"):
        net.before = pre = sl.NeuronGroup(shape=IMAGE, model="lif" if signal == "a population" else "li")
        weight = np.random.default_rng(0).uniform(0, 1, 96)
        net.to_before = sl.Connection(net.x, net.before, link_type="one_to_one", weight=weight)
    net.a = sl.NeuronGroup(shape=shape, model="lif", tau_m=4.0, v_th=0.5, parameter_variables=["tau_m"])
    net.c = sl.Connection(pre, net.a, syn_type=syn_type, syn_kwargs=settings, delay=delay, **link)
    net.out = sl.NeuronGroup(5, model="li")
    net.d = sl.Connection(net.a, net.out, link_type="full", w_std=0.5)
    net.answer = sl.Decoder(dec_target=net.out, coding_method="v_t")
    net.count = sl.Decoder(dec_target=net.a, coding_method="spike_counts")
    net.set_random_seed(1)
    net.set_backend(TorchBackend(path=path, dtype=torch.float64, dt=1.0))
    return net


def runs(net, signal, continued=True):
    """All that comes out of two runs and flows back in each, by name."""
    found = {}
    for k in range(2):
        raster = (np.random.default_rng(k).random((T, B, *IMAGE)) < 0.4).astype(float)
        x = torch.from_numpy(raster.swapaxes(0, 1).copy()).requires_grad_()
        net.x(sl.Spikes.from_raster(raster, 1.0) if signal == "events" else x)
        (net.run_continue if k and continued else net.run)(float(T))
        answer, count = net.answer.predict, net.count.predict
        weight = torch.from_numpy(np.random.default_rng(9).normal(size=answer.shape))
        for parameter in net.parameters():
            parameter.grad = None
        ((answer * weight).sum() + count.square().sum()).backward()
        found |= {f"{k} answer": answer.detach(), f"{k} count": count.detach(), f"{k} input": x.grad}
        found |= {f"{k} {name}": p.grad.clone() for name, p in net.named_parameters()}
        found |= {f"{k} {name}": b.clone() for name, b in net.state_dict().items() if "running" in name}
    return {name: value for name, value in found.items() if value is not None}


@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
@pytest.mark.parametrize(("name", "signal"), PAIRS)
def test_stages_on_the_kernel_path_equal_those_on_the_torch_path(name, signal, training):
    fast, slow = (network(name, signal, path).train(training) for path in ("auto", "torch"))
    found, wanted = runs(fast, signal), runs(slow, signal)
    assert {block.path for block in fast.plan.blocks} == {"kernel path"}, str(fast.plan)
    assert found.keys() == wanted.keys()
    assert ("0 input" in found) == (signal != "events")
    for key, value in wanted.items():
        torch.testing.assert_close(found[key], value, rtol=1e-10, atol=1e-10, msg=lambda m, key=key: f"{key}: {m}")
        assert value.any() or "running" in key or "tau_m" in key, key


def test_a_gradient_of_the_input_stays_when_the_memory_is_used_again():
    net = network("no weights", "raster")
    x = torch.rand(B, T, *IMAGE, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).requires_grad_()
    kept = []
    for factor in (1.0, -3.0):
        net.x(x)
        net.run(float(T))
        (grad,) = torch.autograd.grad(factor * net.answer.predict.sum(), x)
        kept.append((grad, grad.clone()))
    assert all(torch.equal(grad, copy) for grad, copy in kept)
    assert kept[0][0].any()


def test_two_runs_go_back_after_both_were_made():
    found = {}
    for path in ("auto", "torch"):
        net = network("mean of windows", "raster", path)
        answers = []
        for k in range(2):
            net.x(torch.rand(B, T, *IMAGE, dtype=torch.float64, generator=torch.Generator().manual_seed(k)).round())
            net.run(float(T))
            answers.append(net.answer.predict.sum())
        (answers[0] - 2 * answers[1]).backward()
        found[path] = {name: p.grad for name, p in net.named_parameters()}
    for name, value in found["torch"].items():
        torch.testing.assert_close(found["auto"][name], value, rtol=1e-10, atol=1e-10)


def test_what_takes_no_window_at_once_keeps_the_torch_path():
    delayed, looped = (network("dropout of currents", "a population", delay=delay) for delay in (2.0, 0.0))
    assert "torch path" not in str(looped.plan)
    assert "before by c (conv, dropout)" in str(looped.plan)
    looped.back = sl.Connection(looped.a, looped.a, link_type="full", w_std=0.1, syn_type=["basic", "dropout"])
    assert "torch path (c: a synapse with dropout)" in str(delayed.plan)
    assert "torch path (back: a synapse with dropout)" in str(looped.plan)
    stepped = network("dropout of currents", "a population")
    stepped.set_backend(TorchBackend(schedule="step", dt=1.0))
    assert "torch path (c: a synapse with dropout)" in str(stepped.plan)


def test_running_means_move_once_where_a_kernel_cannot_be_compiled(monkeypatch, tmp_path):
    """The run finds no kernel for the potentials that a monitor asks for when that of `a` has all its current."""
    found = {}
    for path in ("auto", "torch"):
        net = network("normalised", "raster", path)
        runs(net, "raster", continued=False)
        net.monitor = sl.StateMonitor(net.out, "i_syn")
        with monkeypatch.context() as patch:
            patch.setenv("CXX", str(tmp_path / "no compiler"))
            patch.setenv("SPIKELOOM_CACHE", str(tmp_path / "empty"))
            runs(net, "raster", continued=False)
        if path == "auto":
            assert "torch path" in str(net.plan)
        found[path] = net.state_dict()["c.running_mean"]
    torch.testing.assert_close(found["auto"], found["torch"], rtol=1e-10, atol=1e-10)
