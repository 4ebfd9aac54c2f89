"""What every compute path must keep: see `spikeloom.backends.path.Path`."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

import spikeloom as sl
from spikeloom.backends.path import Call, Path, run_block
from spikeloom.backends.plan import make_plan
from spikeloom.network.links import SpikeRows
from spikeloom.neurons import LIF, Emission, Rectangle, ToValue
from spikeloom.spikes import Spikes

T, B, K, N = 9, 3, 6, 4
TAU, TAU_SYN = 4.0, 3.0


class _Fire(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, d: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(d)
        return (d >= 0).to(d.dtype)

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> torch.Tensor:
        return grad * (ctx.saved_tensors[0].abs() < 0.5)


def by_hand(signal, weight, loop, tau, v0, i0, late, *, looped, dt=1.0):
    """A population as a plain loop: low-pass current, leak, fire, reset to zero; its own spikes a step later."""
    v, i, z, spikes, trace = v0, i0, torch.zeros_like(v0), [], []
    for t in range(len(signal)):
        arriving = signal[t] @ weight.T
        if looped:
            arriving = arriving + (late if t == 0 else z @ loop.T)
        i = i * math.exp(-dt / TAU_SYN) + arriving
        v = v * torch.exp(-dt / tau) + i
        z = _Fire.apply(v - 1)
        v = v * (1 - z)
        spikes.append(z)
        trace.append(v)
    return {"spikes": torch.stack(spikes), "trace": torch.stack(trace), "v": v, "i": i}


def block_of(looped: bool, trains=("tau_m",)):
    """The block of a population of LIF neurons behind a low-pass filter, with a loop or without."""
    net = sl.Network()
    net.x = sl.Encoder(K, coding_method="null")
    emission = Emission(surrogate=Rectangle(0.5), reset=ToValue(0.0))
    net.a = sl.NeuronGroup(N, LIF(tau_m=TAU, emission=emission), parameter_variables=trains)
    net.c = sl.Connection(net.x, net.a, link_type="full", filter=sl.LowPass(tau=TAU_SYN))
    if looped:
        net.loop = sl.Connection(net.a, net.a, link_type="full", filter=sl.LowPass(tau=TAU_SYN))
    (block,) = make_plan(net, 1.0).blocks
    return block


class PathContract:
    """Subclass with a fixture `path`."""

    @pytest.fixture
    def path(self) -> Path:
        raise NotImplementedError

    @pytest.fixture(params=[False, True], ids=["forward", "loop"])
    def looped(self, request):
        return request.param

    @pytest.fixture
    def leaves(self):
        generator = torch.Generator().manual_seed(0)
        shapes = {"weight": (N, K), "loop": (N, N), "v0": (B, N), "i0": (B, N), "late": (B, N)}
        drawn = {k: torch.randn(s, generator=generator, dtype=torch.float64) for k, s in shapes.items()}
        signal = (torch.rand(T, B, K, generator=generator) < 0.4).double()
        return {"signal": signal, "tau": torch.full((), TAU, dtype=torch.float64), **drawn}

    def call(self, leaves, looped, *, events=False):
        """The call for leaves by name, whose signal may come as events."""
        tensors = {
            ("weight", "c", "weight"): leaves["weight"],
            ("parameter", "a", "tau_m"): leaves["tau"],
            ("state", "a", 0): leaves["v0"],
            ("state", "a", 1): leaves["i0"],
        }
        rows = {}
        if looped:
            tensors |= {("weight", "loop", "weight"): leaves["loop"], ("under way", "loop", 0): leaves["late"]}
        if events:
            rows["x"] = SpikeRows(Spikes.from_raster(leaves["signal"].numpy(), 1.0), T, leaves["weight"])
        else:
            tensors["signal", "x"] = leaves["signal"]
        return Call(block_of(looped), 1.0, T, {"a": ("spikes", "v")}, tensors, rows)

    def run(self, path, leaves, looped, *, events=False):
        found = run_block(path, self.call(leaves, looped, events=events))
        names = {
            "spikes": ("spikes", "a"),
            "trace": ("trace", "a", "v"),
            "v": ("state", "a", 0),
            "i": ("state", "a", 1),
        }
        if looped:
            torch.testing.assert_close(
                found["under way", "loop", 0], found["spikes", "a"][-1] @ leaves["loop"].T, rtol=0, atol=1e-12
            )
        return {name: found[key] for name, key in names.items()}

    @pytest.mark.parametrize("events", [False, True], ids=["dense", "events"])
    def test_output_traces_and_last_state_equal_a_plain_loop(self, path, leaves, looped, events):
        found, expected = self.run(path, leaves, looped, events=events), by_hand(**leaves, looped=looped)
        assert expected["spikes"].sum() > 0
        assert torch.equal(found["spikes"], expected["spikes"])
        for name, value in expected.items():
            torch.testing.assert_close(found[name], value, rtol=0, atol=1e-12)

    @pytest.mark.parametrize("events", [False, True], ids=["dense", "events"])
    def test_every_gradient_equals_that_of_a_plain_loop(self, path, leaves, looped, events):
        grads = []
        for by_path in (True, False):
            own = {k: leaf.clone().requires_grad_(not (events and k == "signal")) for k, leaf in leaves.items()}
            found = self.run(path, own, looped, events=events) if by_path else by_hand(**own, looped=looped)
            scale = torch.arange(T * B * N, dtype=torch.float64).view(T, B, N).sin()
            loss = ((found["spikes"] + 0.3 * found["trace"]) * scale).sum()
            (loss + (found["v"] * scale[0] + found["i"] * scale[1]).sum()).backward()
            grads.append({k: leaf.grad for k, leaf in own.items() if leaf.grad is not None})
        assert set(grads[0]) == set(grads[1])
        assert len(grads[1]) == 7 - 2 * (not looped) - events
        for name, wanted in grads[1].items():
            assert wanted.abs().sum() > 0, name
            torch.testing.assert_close(grads[0][name], wanted, rtol=0, atol=1e-10)

    @pytest.mark.parametrize("trains", [(), ("tau_m",)], ids=["fixed", "trained"])
    def test_a_block_runs_at_one_dt_and_then_at_another(self, path, leaves, looped, trains):
        call = replace(self.call(leaves, looped), block=block_of(looped, trains))
        for dt in (1.0, 0.25):
            found = run_block(path, replace(call, dt=dt))
            expected = by_hand(**leaves, looped=looped, dt=dt)
            torch.testing.assert_close(found["trace", "a", "v"], expected["trace"], rtol=0, atol=1e-12)

    def test_only_what_is_asked_for_gets_a_gradient(self, path, leaves, looped):
        own = {k: leaf.clone().requires_grad_(k == "weight") for k, leaf in leaves.items()}
        self.run(path, own, looped)["spikes"].sum().backward()
        assert [k for k, leaf in own.items() if leaf.grad is not None] == ["weight"]

    @pytest.mark.parametrize(("steps", "samples"), [(1, 2), (4, 0)])
    def test_a_window_of_one_step_and_an_empty_batch_work(self, path, steps, samples):
        tensors = {
            ("weight", "c", "weight"): torch.ones(N, K),
            ("parameter", "a", "tau_m"): torch.tensor(TAU),
            ("state", "a", 0): torch.zeros(samples, N),
            ("state", "a", 1): torch.zeros(samples, N),
            ("signal", "x"): torch.ones(steps, samples, K),
        }
        found = run_block(path, Call(block_of(False), 1.0, steps, {"a": ("spikes",)}, tensors, {}))
        assert found["spikes", "a"].shape == (steps, samples, N)
        assert bool((found["spikes", "a"] == 1).all())

    def test_without_gradients_nothing_is_kept_for_the_way_back(self, path, leaves, looped):
        own = {k: leaf.clone().requires_grad_() for k, leaf in leaves.items()}
        kept = []
        with torch.no_grad(), torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t) or t, lambda t: t):
            found = self.run(path, own, looped)
        assert not kept
        assert not any(value.requires_grad for value in found.values())

    def test_gradients_flow_through_the_state_from_one_window_into_the_one_before(self, path, leaves):
        scale = torch.arange(B * N, dtype=torch.float64).view(B, N).cos()
        grads = []
        for cuts in ((T,), (4, T), (1, 2, T)):
            own = {k: leaf.clone().requires_grad_() for k, leaf in leaves.items()}
            call, before = self.call(own, False), 0
            for cut in cuts:
                tensors = {**call.tensors, ("signal", "x"): own["signal"][before:cut]}
                found = run_block(path, replace(call, n_steps=cut - before, tensors=tensors))
                state = {("state", "a", k): found["state", "a", k] for k in (0, 1)}
                call, before = replace(call, tensors={**call.tensors, **state}), cut
            ((found["state", "a", 0] + 0.5 * found["state", "a", 1]) * scale).sum().backward()
            grads.append({k: leaf.grad for k, leaf in own.items() if leaf.grad is not None})
        assert set(grads[0]) == {"weight", "v0", "i0", "signal", "tau"}
        for cut in grads[1:]:
            for name, wanted in grads[0].items():
                assert wanted.abs().sum() > 0, name
                torch.testing.assert_close(cut[name], wanted, rtol=0, atol=1e-12)

    def test_currents_under_way_leave_without_a_gradient(self, path, leaves):
        own = {k: leaf.clone().requires_grad_() for k, leaf in leaves.items()}
        found = run_block(path, self.call(own, True))
        late, trace = found["under way", "loop", 0], found["trace", "a", "v"]
        assert (late.requires_grad, trace.requires_grad) == (False, True)
        with pytest.raises(RuntimeError, match="does not require grad"):
            torch.autograd.grad(late.sum(), own["loop"])
        grads = [torch.autograd.grad(trace.sum() + late.sum(), list(own.values()))]
        alone = run_block(path, self.call(own, True))["trace", "a", "v"]
        grads.append(torch.autograd.grad(alone.sum(), list(own.values())))
        for a, b in zip(*grads, strict=True):
            assert torch.equal(a, b)

    def test_a_constant_signal_equals_the_same_in_every_step(self, path, leaves, looped):
        found = []
        for constant in (True, False):
            own = {k: leaf.clone().requires_grad_() for k, leaf in leaves.items()}
            x = own["signal"][:1]
            call = self.call({**own, "signal": x if constant else x.expand(T, -1, -1)}, looped)
            results = run_block(path, call)
            (results["trace", "a", "v"].square().sum() + results["spikes", "a"].sum()).backward()
            found.append([results["spikes", "a"].detach(), own["signal"].grad, own["weight"].grad])
        for a, b in zip(*found, strict=True):
            torch.testing.assert_close(a, b, rtol=0, atol=1e-10)

    def test_graded_events_equal_their_raster(self, path, leaves, looped):
        values = leaves["signal"] * torch.linspace(-2, 3, K, dtype=torch.float64).float().double()
        own = {**leaves, "signal": values}
        found = [self.run(path, own, looped, events=events) for events in (True, False)]
        for name in found[0]:
            torch.testing.assert_close(found[0][name], found[1][name], rtol=0, atol=1e-12)

    def test_nothing_that_comes_in_is_written_to(self, path, leaves, looped):
        own = {k: leaf.clone().requires_grad_() for k, leaf in leaves.items()}
        before = {k: leaf.detach().clone() for k, leaf in own.items()}
        found = self.run(path, own, looped)
        (found["trace"].sum() + found["spikes"].sum()).backward()
        for name, leaf in own.items():
            assert torch.equal(leaf, before[name]), name

    def test_tensors_of_any_stride_are_taken(self, path, leaves, looped):
        wanted = self.run(path, leaves, looped)
        strided = {k: torch.stack([leaf, leaf], -1)[..., 0] for k, leaf in leaves.items()}
        strided["signal"] = leaves["signal"].transpose(0, 1).contiguous().transpose(0, 1)
        found = self.run(path, strided, looped)
        for name, value in wanted.items():
            assert torch.equal(found[name], value), name

    @pytest.mark.parametrize("name", ["spikes", "trace", "v", "i"])
    def test_a_loss_of_one_result_alone_has_the_gradient_of_a_plain_loop(self, path, leaves, looped, name):
        grads = []
        for run in (lambda own: self.run(path, own, looped), lambda own: by_hand(**own, looped=looped)):
            own = {k: leaf.clone().requires_grad_() for k, leaf in leaves.items()}
            value = run(own)[name]
            (value * torch.arange(value.numel(), dtype=value.dtype).view(value.shape).sin()).sum().backward()
            grads.append({k: leaf.grad for k, leaf in own.items()})
        for key, wanted in grads[1].items():
            found = grads[0][key]
            if wanted is None:
                assert found is None or not found.any(), key
            else:
                torch.testing.assert_close(found, wanted, rtol=0, atol=1e-10)

    def test_bits_are_the_spikes(self, path, leaves, looped):
        found = run_block(path, self.call(leaves, looped))
        if ("bits", "a") not in found:
            return
        bits = np.unpackbits(found["bits", "a"].numpy().view(np.uint8), axis=-1, bitorder="little")
        np.testing.assert_array_equal(bits[..., :N], found["spikes", "a"].numpy())
        assert not bits[..., N:].any()

    def test_only_the_traces_that_are_asked_for_come_out(self, path, leaves, looped):
        call = self.call(leaves, looped)
        found = run_block(path, replace(call, want={"a": ()}))
        assert not [key for key in found if key[0] == "trace"]
        found = run_block(path, replace(call, want={"a": ("i_syn",)}))
        assert [key for key in found if key[0] == "trace"] == [("trace", "a", "i_syn")]
        torch.testing.assert_close(found["trace", "a", "i_syn"][-1], found["state", "a", 1], rtol=0, atol=1e-12)

    def test_a_run_is_differentiated_once(self, path, leaves, looped):
        own = {k: leaf.clone().requires_grad_() for k, leaf in leaves.items()}
        loss = self.run(path, own, looped)["spikes"].sum()
        loss.backward(retain_graph=True)
        with pytest.raises(sl.StateError, match="differentiated already"):
            loss.backward()

    def test_a_weight_changed_in_place_since_is_noticed(self, path, leaves, looped):
        own = {k: leaf.clone().requires_grad_() for k, leaf in leaves.items()}
        loss = self.run(path, own, looped)["spikes"].sum()
        with torch.no_grad():
            own["weight"].mul_(2.0)
        with pytest.raises(sl.StateError, match="changed in place"):
            loss.backward()
