"""Neurons that users write run in kernels as on tensors; what cannot become a kernel still trains, and is told."""

import logging
import re
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
import torch
from kernel_networks import KINDS, Case, Wire, on_both_paths, reader
from kernel_neurons import OneState

import spikeloom as sl
from spikeloom.backends import torch_backend
from spikeloom.native import library
from spikeloom.neurons import CLIF, IF, LI, LIF, Emission, FastSigmoid, Scale, Subtract
from spikeloom.neurons.neuron import Neuron

OWN = ("adaptive", "refractory", "izhikevich", "everything", "two ports")
SUBTRACTED = Emission(reset=Subtract())


@pytest.mark.parametrize("kind", OWN)
@pytest.mark.parametrize("looped", [False, True], ids=["forward", "loop"])
def test_a_neuron_of_a_user_equals_the_torch_path(kind, looped):
    wires = [Wire(-1, 0, k, bias=True) for k in range(len(KINDS[kind].inlets))] + [Wire(0, 0, delay=1)] * looped
    case = Case(11, ((kind, 13),), tuple(wires), steps=30, samples=6, later=4, input_grad=True, reads=(0,))
    wanted = on_both_paths(case)
    spikes = wanted["0 read0_spikes"]
    assert 0.01 < spikes.mean() < 0.9
    trained = {name for name in wanted if name.startswith("0 gradient of layer0")}
    assert len(trained) == len(KINDS[kind].trains)
    assert all(wanted[name].any() for name in trained if not name.endswith(".low"))


def test_one_port_alone_and_its_silent_neighbour():
    case = Case(11, (("two ports", 13),), (Wire(-1, 0, 1),), reads=(0,))
    wanted = on_both_paths(case)
    assert not wanted["0 read0_i_syn"].any()  # what enters the first port
    wanted = on_both_paths(replace(case, wires=(Wire(-1, 0, 0),)))
    assert wanted["0 read0_spikes"].any()


@dataclass(frozen=True, kw_only=True, slots=True)
class Hyperbolic(Neuron[OneState]):
    """A neuron that has no meaning at v = 0, where the kernels' padding stands."""

    v_th: Any = 0.9
    emission: Emission = SUBTRACTED
    State = OneState

    def initial(self):
        return OneState(1.0)

    def update(self, state, inputs, dt, xp):
        v = 0.6 * state.v + (0.3 + inputs) / state.v
        return OneState(xp.maximum(v, 0.5))


@pytest.mark.parametrize("n", [5, 65])
def test_what_the_padding_computes_reaches_nobody(n):
    """Its potentials are infinite and its gradients not numbers; no loop and no layer may take them up."""
    found = []
    for path in ("auto", "torch"):
        net = sl.Network()
        net.x = sl.Encoder(3, coding_method="null")
        net.a, net.b = sl.NeuronGroup(n, Hyperbolic()), sl.NeuronGroup(n, Hyperbolic())
        for k, (pre, post) in enumerate(((net.x, net.a), (net.a, net.b), (net.b, net.b))):
            setattr(net, f"w{k}", sl.Connection(pre, post, link_type="full", w_std=0.05))
        net.v = reader(net.b, "v")
        net.set_backend(sl.TorchBackend(dt=1.0, dtype=torch.float64, path=path))
        net.set_random_seed(2)
        net.x(np.random.default_rng(0).random((9, 8, 3)))
        net.run(8.0)
        net.v.predict.square().sum().backward()
        found.append([net.v.predict.detach(), *(p.grad for p in net.parameters())])
    for a, b in zip(*found, strict=True):
        assert b.any()
        torch.testing.assert_close(a, b, rtol=0, atol=1e-10 * float(b.abs().max()))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_a_potential_at_the_threshold_fires(dtype):
    """A quarter four times is one, exactly; and what was subtracted leaves nothing, in the potential as in the bits."""
    net = sl.Network()
    net.x = sl.Encoder(1, coding_method="constant_current")
    net.a = sl.NeuronGroup(3, IF(emission=SUBTRACTED))
    net.c = sl.Connection(net.x, net.a, link_type="full", weight=[[0.25], [0.5], [0.125]])
    net.spikes, net.v = sl.StateMonitor(net.a, "spikes"), sl.StateMonitor(net.a, "v")
    net.set_backend(sl.TorchBackend(dt=1.0, dtype=dtype))
    net.x(np.ones((1, 1)))
    net.run(8.0)
    assert net.plan.blocks[0].path == "kernel path"
    for k, period in enumerate((4, 2, 8)):
        steps = np.arange(1, 9)
        np.testing.assert_array_equal(net.spikes.values[0, k], steps % period == 0)
        np.testing.assert_array_equal(net.v.values[0, k], steps % period / period)


def test_a_parameter_beyond_the_real_type_is_infinite_without_a_word():
    """A threshold that nobody reaches, in float, where 1e100 is infinite."""
    for path in ("auto", "torch"):
        _, found = trained(LIF(v_th=1e100), path, dtype=torch.float32)
        assert not found["spikes"].any()
        assert found["v"].isfinite().all()


# ---- what is trained


@dataclass(frozen=True, kw_only=True, slots=True)
class Gained(Neuron[OneState]):
    """A leaky neuron with a gain that no check makes a float; held: without its gradient."""

    gain: Any = 2
    held: bool = False
    v_th: Any = 1.0
    emission: Emission = SUBTRACTED
    State = OneState

    def initial(self):
        return OneState(0.0)

    def update(self, state, inputs, dt, xp):
        gain = xp.stop_gradient(self.gain) if self.held else self.gain
        return OneState(state.v * 0.9 + inputs * gain)


def trained(model, path, n=5, trains=(), filter=None, shape=None, dtype=torch.float64):
    """Spikes, potentials and gradients of one population of a model."""
    net = sl.Network()
    net.x = sl.Encoder(7, coding_method="null")
    net.a = sl.NeuronGroup(shape=(n,) if shape is None else shape, model=model, parameter_variables=trains)
    net.c = sl.Connection(net.x, net.a, link_type="full", w_std=1.0, filter=filter)
    net.spikes, net.v = reader(net.a, "spikes"), reader(net.a, "v")
    net.set_backend(sl.TorchBackend(dt=1.0, dtype=dtype, path=path))
    net.set_random_seed(3)
    net.x(np.random.default_rng(0).random((4, 9, 7)))
    net.run(9.0)
    (net.spikes.predict.sum() + net.v.predict.square().sum()).backward()
    grads = {name: p.grad for name, p in net.named_parameters()}
    return net, {"spikes": net.spikes.predict.detach(), "v": net.v.predict.detach()} | grads


def assert_trains_alike(*arguments, **options):
    (net, found), (_, wanted) = (trained(*arguments[:1], path, **options) for path in ("auto", "torch"))
    assert net.plan.blocks[0].path == "kernel path", net.plan
    for name, value in wanted.items():
        if value is None:
            assert found[name] is None or not found[name].any(), name
        else:
            torch.testing.assert_close(found[name], value, rtol=1e-10, atol=1e-10 * float(value.abs().max()))
    return wanted


def test_a_whole_number_that_is_trained_is_a_number():
    assert assert_trains_alike(Gained(gain=2), trains=["gain"])["a.gain"] != 0


def test_a_trained_parameter_whose_gradient_is_stopped_gets_none():
    assert assert_trains_alike(Gained(gain=2.0, held=True), trains=["gain"])["a.gain"] is None


def test_a_trained_parameter_of_which_nothing_depends_gets_none():
    assert assert_trains_alike(LI(), trains=["tau_m", "v_rest"])["a.tau_m"].any()
    assert_trains_alike(LIF(emission=Emission(threshold=0.5, reset=Subtract())), trains=["v_th", "v_reset"])


def test_the_start_depends_on_a_trained_parameter():
    wanted = assert_trains_alike(LIF(v_rest=0.3, tau_m=3.0), trains=["v_rest", "tau_m", "v_th", "v_reset"])
    assert all(wanted[f"a.{name}"] != 0 for name in ("v_rest", "tau_m", "v_th"))


def test_parameters_and_filters_of_any_population_shape():
    tau, tau_syn = np.linspace(2, 9, 6).reshape(2, 3), np.linspace(1, 5, 6).reshape(2, 3)
    wanted = assert_trains_alike(LIF(tau_m=tau), shape=(2, 3), trains=["tau_m"], filter=sl.LowPass(tau=tau_syn))
    assert wanted["a.tau_m"].shape == (2, 3)


def test_a_filter_that_is_made_for_a_dt_runs_at_that_and_no_other():
    sos = np.array([[0.3, 0.2, 0.1, 1.0, -0.5, 0.1]])
    assert_trains_alike(LIF(), filter=sl.SecondOrderSections(sos=sos, dt=1.0))
    for path in ("auto", "torch"):
        with pytest.raises(sl.ParameterError, match=r"designed for dt = 0\.5 ms, got 1\.0"):
            trained(LIF(), path, filter=sl.SecondOrderSections(sos=sos, dt=0.5))


def test_only_what_still_needs_a_gradient_is_trained():
    """A frozen parameter needs another kernel than a trained one, and the same network runs on either."""
    found = []
    for path in ("auto", "torch"):
        net, _ = trained(CLIF(), path, trains=["v_0", "tau_m"])
        parameters = dict(net.named_parameters())
        for parameter in parameters.values():
            parameter.grad = None
        parameters["a.v_0"].requires_grad_(False)
        net.run(9.0)
        net.v.predict.square().sum().backward()
        found.append({name: p.grad for name, p in parameters.items()})
    assert found[0]["a.v_0"] is None
    for name in ("a.tau_m", "c.weight"):
        torch.testing.assert_close(found[0][name], found[1][name], rtol=1e-10, atol=1e-10)


def test_a_population_without_any_input():
    found = []
    for path in ("auto", "torch"):
        net = sl.Network()
        net.a = sl.NeuronGroup(5, LIF(v_rest=1.3, tau_m=3.0), parameter_variables=["v_rest", "tau_m"])
        net.v = reader(net.a, "v")
        net.set_backend(sl.TorchBackend(dt=1.0, dtype=torch.float64, path=path))
        net.run(9.0)
        net.v.predict.square().sum().backward()
        found.append([net.v.predict.detach(), *(p.grad for p in net.parameters())])
    for a, b in zip(*found, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-12)


# ---- what cannot become a kernel


@dataclass(frozen=True, kw_only=True, slots=True)
class Branching(Neuron[OneState]):
    """A neuron whose lines depend on its values in a way that only tensors of one number allow."""

    v_th: Any = 1.0
    emission: Emission = SUBTRACTED
    State = OneState

    def initial(self):
        return OneState(0.0)

    def update(self, state, inputs, dt, xp):
        v = state.v.clamp(min=-1.0) * 0.9
        return OneState(v + inputs)


PLACE = r"test_kernel_neurons\.py, line \d+, in update: `v = state\.v\.clamp\(min=-1\.0\) \* 0\.9`"


def layered(path, middle):
    """Three populations, of which the middle one is given."""
    net = sl.Network()
    net.x = sl.Encoder(7, coding_method="null")
    net.a, net.b, net.c = (sl.NeuronGroup(n, model) for n, model in ((6, LIF()), (5, middle), (4, LIF())))
    net.xa = sl.Connection(net.x, net.a, link_type="full", w_std=1.0)
    net.ab = sl.Connection(net.a, net.b, link_type="full", w_std=1.0, delay=1.0)
    net.bc = sl.Connection(net.b, net.c, link_type="full", w_std=1.0, bias=True)
    net.ac = sl.Connection(net.a, net.c, link_type="full", w_std=1.0)
    net.out = reader(net.c, "v")
    net.set_backend(sl.TorchBackend(dt=1.0, dtype=torch.float64, path=path))
    net.set_random_seed(3)
    net.x(np.random.default_rng(0).random((4, 9, 7)))
    return net


@pytest.fixture
def untold(monkeypatch):
    monkeypatch.setattr(torch_backend, "_told", set())


def test_a_refused_neuron_trains_on_the_torch_path_between_kernels(untold):
    found = []
    for path in ("auto", "torch"):
        net = layered(path, Branching())
        net.run(9.0)
        net.out.predict.square().sum().backward()
        found.append([net.out.predict.detach(), *(p.grad for p in net.parameters())])
        ways = [block.path for block in net.plan.blocks]
        assert ways == (["kernel path", "torch path", "kernel path"] if path == "auto" else ["torch path"] * 3)
    for a, b in zip(*found, strict=True):
        assert b.any()
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-10)


def test_a_refusal_is_logged_once_and_shown_in_the_plan(untold, caplog):
    with caplog.at_level(logging.WARNING, "spikeloom"):
        for _ in range(2):
            net = layered("auto", Branching())
            net.run(9.0)
            net.run(9.0)
    told = [record.getMessage() for record in caplog.records]
    assert len(told) == 1
    assert re.match(r"runs on the torch path, which is slower: b: Branching cannot become a kernel: " + PLACE, told[0])
    assert re.search(r"2\. torch path \(b: Branching cannot become a kernel: " + PLACE, str(net.plan))


@pytest.mark.parametrize("what", ["nothing", "a monitor", "a frozen parameter", "a new population"])
def test_without_a_compiler_a_network_still_trains(untold, caplog, monkeypatch, tmp_path, what):
    """What was compiled before is used; whatever needs another kernel runs on the torch path, which is told once."""
    found, rare = [], Emission(surrogate=FastSigmoid(), reset=Scale(0.9))
    for path in ("auto", "torch"):
        net = layered(path, CLIF(emission=rare))
        net.run(9.0)
        with monkeypatch.context() as patch:
            patch.setenv("CXX", str(tmp_path / "no compiler"))
            patch.setenv("SPIKELOOM_CACHE", str(tmp_path / "empty"))
            if what == "a monitor":
                net.monitor = sl.StateMonitor(net.b, "i_syn")
            elif what == "a frozen parameter":
                dict(net.named_parameters())["b.v_0"].requires_grad_(False)
            elif what == "a new population":
                net.d = sl.NeuronGroup(3, LIF(emission=Emission(reset=Scale(0.123), detach_reset=True)))
                net.cd = sl.Connection(net.c, net.d, link_type="full", w_std=1.0)
            for _ in range(2):
                net.x(np.random.default_rng(0).random((4, 9, 7)))
                net.run(9.0)
            net.out.predict.square().sum().backward()
        found.append([net.out.predict.detach(), net.xa.weight.value.grad, net.bc.bias.value.grad])
    for a, b in zip(*found, strict=True):
        assert b.any()
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-10)
    told = [r.getMessage() for r in caplog.records if "torch path" in r.getMessage()]
    assert len(told) == (what != "nothing")
    assert all("'" + str(tmp_path / "no compiler") + "', which is no program here" in message for message in told)


@pytest.mark.parametrize("frozen", [False, True])
def test_the_plan_shows_the_path_of_the_last_run(untold, monkeypatch, tmp_path, frozen):
    net = layered("auto", CLIF(emission=Emission(surrogate=FastSigmoid(), reset=Scale(0.8))))
    assert "torch path" not in str(net.plan)
    v_0 = dict(net.named_parameters())["b.v_0"]
    with monkeypatch.context() as patch:
        patch.setenv("CXX", str(tmp_path / "no compiler"))
        patch.setenv("SPIKELOOM_CACHE", str(tmp_path / "empty"))
        if frozen:
            v_0.requires_grad_(False)
        else:
            net.monitor = sl.StateMonitor(net.b, "i_syn")
        net.x(np.random.default_rng(0).random((4, 9, 7)))
        assert "torch path" not in str(net.plan)
        net.run(9.0)
        lines = str(net.plan).splitlines()
    assert re.match(r"1\. torch path \(CXX names '.*no compiler', which is no program here; name a C\+\+", lines[1])
    assert not any("kernel path" in line for line in lines)
    v_0.requires_grad_(True)
    net.run(9.0)
    assert "torch path" not in str(net.plan)


@pytest.mark.parametrize(("complaint", "shown"), [
    ("In file included from $f:1:\nsimd.hpp:3:1: warning: odd\n$f:7:3: error: no sin\n$f:8:1: error: more",
     r"refused a kernel (code 1): kernel.cpp:7:3: error: no sin)"),
    ("simd.hpp:9:1: fatal error: no such file", "refused a kernel (code 1): simd.hpp:9:1: fatal error: no such file)"),
    ("killed", "refused a kernel (code 1):)"),
], ids=["error", "fatal error", "no error"])  # fmt: skip
def test_the_plan_shows_the_error_of_a_compiler_that_refuses(untold, monkeypatch, tmp_path, complaint, shown):
    program = tmp_path / "c++"
    lines = "; ".join(f'echo "{line}" >&2' for line in complaint.split("\n"))
    program.write_text(f"#!/bin/sh\nfor f; do :; done; {lines}; exit 1\n")
    program.chmod(0o755)
    monkeypatch.setenv("CXX", str(program))
    monkeypatch.setenv("SPIKELOOM_CACHE", str(tmp_path / "cache"))
    library._load.cache_clear()
    (first,) = [line for line in str(layered("auto", Hyperbolic()).plan).splitlines() if line.startswith("2.")]
    assert first == f"2. torch path ({program} {shown}"


def test_a_loop_of_sparse_links_is_refused_by_name(untold):
    net = layered("auto", LIF())
    net.back = sl.Connection(net.b, net.a, link_type="sparse", density=0.5)
    assert "torch path (back: a loop of link type sparse)" in str(net.plan)


@pytest.mark.parametrize(("filters", "why"), [
    ([sl.LowPass(tau=1.0 + k) for k in range(9)], "b: more than 8 different filters and ports"),
    ([sl.SecondOrderSections(sos=np.tile([[0.5, 0.0, 0.0, 1.0, 0.1, 0.0]], (12, 1)))], "b: more than 23 states"),
], ids=["inlets", "states"])  # fmt: skip
def test_what_is_too_much_for_a_kernel_is_refused_by_name(untold, filters, why):
    net = layered("auto", LIF())
    for k, filter in enumerate(filters):
        setattr(net, f"more{k}", sl.Connection(net.x, net.b, link_type="full", filter=filter))
    assert f"torch path ({why})" in str(net.plan)
    net.run(9.0)


SOS = np.array([[0.3, 0.2, 0.1, 1.0, -0.5, 0.1], [1.0, 0.4, 0.0, 1.0, -0.2, 0.05]])


@pytest.mark.parametrize(
    ("shape", "filter"),
    [
        ((9,), sl.LowPass(tau=[3.0])),
        ((1,), sl.LowPass(tau=[3.0], normalise=True)),
        ((3, 4), sl.LowPass(tau=[3.0])),
        ((3, 4), sl.LowPass(tau=[[3.0]], normalise=True)),
        ((2, 6), sl.SecondOrderSections(sos=SOS)),
        ((1, 6), sl.SecondOrderSections(sos=SOS[:1])),
    ],
    ids=["one tau", "one tau, one neuron", "one tau, a sheet", "one tau in two axes", "sections", "one section"],
)
def test_a_filter_is_a_kernel_whatever_the_shapes_of_its_numbers_and_of_the_population(untold, shape, filter):
    found = []
    for path in ("auto", "torch"):
        net = sl.Network()
        net.x = sl.Encoder(7, coding_method="null")
        net.a = sl.NeuronGroup(model=LIF(scale_input=True), shape=shape, parameter_variables=["tau_m"])
        net.c = sl.Connection(net.x, net.a, link_type="full", w_std=5.0, filter=filter)
        net.m, net.out = sl.StateMonitor(net.a, "i_syn"), reader(net.a, "v")
        net.set_backend(sl.TorchBackend(dt=1.0, dtype=torch.float64, path=path))
        net.set_random_seed(3)
        net.x(np.random.default_rng(0).random((4, 9, 7)))
        net.run(9.0)
        assert ("torch path" in str(net.plan)) == (path == "torch"), net.plan
        net.out.predict.square().sum().backward()
        found.append([torch.tensor(net.m.values), *(p.grad for p in net.parameters())])
    for a, b in zip(*found, strict=True):
        assert b.any()
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-10)


def test_the_torch_path_is_to_be_had(untold, caplog):
    net = layered("torch", Branching())
    assert {block.path for block in net.plan.blocks} == {"torch path"}
    assert not caplog.records
    with pytest.raises(sl.ParameterError, match=r"TorchBackend\.path must be 'auto' or 'torch', got 'fast'"):
        sl.TorchBackend(path="fast")
    with pytest.raises(sl.ParameterError, match=r"TorchBackend\.threads must be a whole number from 1 on or None"):
        sl.TorchBackend(threads=0)
