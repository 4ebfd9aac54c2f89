"""What every compute path must keep: see `spikeloom.backends.path.Path`."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from spikeloom.backends.path import Drive, LayerState, Path, Window, layer_window
from spikeloom.backends.product import Term
from spikeloom.filters import LowPass
from spikeloom.network.links import Ends, Full, SpikeRows
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


def by_hand(x, weight, tau, v0, i0):
    """The layer as a plain loop: low-pass current, leak, fire, reset to zero."""
    v, i, spikes, trace = v0, i0, [], []
    for t in range(len(x)):
        i = i * math.exp(-1 / TAU_SYN) + x[t] @ weight.T
        v = v * torch.exp(-1 / tau) + i
        z = _Fire.apply(v - 1)
        v = v * (1 - z)
        spikes.append(z)
        trace.append(v)
    return torch.stack(spikes), torch.stack(trace), v, i


class PathContract:
    """Subclass with a fixture `path`."""

    @pytest.fixture
    def path(self) -> Path:
        raise NotImplementedError

    @pytest.fixture(params=["events", "dense"])
    def case(self, request):
        generator = torch.Generator().manual_seed(0)
        x = (torch.rand(T, B, K, generator=generator) < 0.4).double()
        signal = SpikeRows(Spikes.from_raster(x.numpy(), 1.0), T, x) if request.param == "events" else x
        weight = torch.randn(N, K, generator=generator, dtype=torch.float64)
        tau = torch.full((), TAU, dtype=torch.float64)
        v0 = torch.rand(B, N, generator=generator, dtype=torch.float64)
        i0 = torch.rand(B, N, generator=generator, dtype=torch.float64)
        return x, signal, weight, tau, v0, i0

    def run(self, path, signal, weight, tau, v0, i0, want=("v",)):
        neuron = LIF(tau_m=TAU, emission=Emission(surrogate=Rectangle(0.5), reset=ToValue(0.0)))
        term = Term(Full(), Ends((K,), (N,)), signal, {"weight": weight})
        drive = Drive(0, LowPass(tau=TAU_SYN), (term,))
        window = Window(neuron, 1.0, T, tuple(want))
        return layer_window(path, window, [drive], {"tau_m": tau}, LayerState((v0,), ((i0,),)))

    def test_output_traces_and_last_state_equal_a_plain_loop(self, path, case):
        x, signal, *rest = case
        spikes, traces, state = self.run(path, signal, *rest)
        expected = by_hand(x, *rest)
        assert expected[0].sum() > 0
        assert torch.equal(spikes, expected[0])
        for got, wanted in zip((traces["v"], state.neuron[0], state.filters[0][0]), expected[1:], strict=True):
            torch.testing.assert_close(got, wanted, rtol=0, atol=1e-12)

    def test_every_gradient_equals_that_of_a_plain_loop(self, path, case):
        x, signal, *rest = case
        found = []
        for make in (lambda *leaves: self.run(path, signal, *leaves), None):
            leaves = [leaf.clone().requires_grad_() for leaf in rest]
            if make is None:
                spikes, trace, v, i = by_hand(x, *leaves)
            else:
                spikes, traces, state = make(*leaves)
                trace, v, i = traces["v"], state.neuron[0], state.filters[0][0]
            scale = torch.arange(spikes.numel(), dtype=torch.float64).view_as(spikes).sin()
            ((spikes + 0.3 * trace) * scale).sum().add((v * scale[0] + i * scale[1]).sum()).backward()
            found.append([leaf.grad for leaf in leaves])
        for got, wanted in zip(*found, strict=True):
            assert wanted.abs().sum() > 0
            torch.testing.assert_close(got, wanted, rtol=0, atol=1e-10)

    def test_the_gradient_of_a_dense_signal_equals_that_of_a_plain_loop(self, path, case):
        x, _, *rest = case
        grads = []
        for by_path in (True, False):
            signal = x.clone().requires_grad_()
            spikes = self.run(path, signal, *rest)[0] if by_path else by_hand(signal, *rest)[0]
            spikes.square().sum().backward()
            grads.append(signal.grad)
        torch.testing.assert_close(*grads, rtol=0, atol=1e-10)

    def test_a_window_of_one_step_and_an_empty_batch_work(self, path):
        for steps, samples in ((1, 2), (4, 0)):
            neuron = LIF()
            term = Term(Full(), Ends((K,), (N,)), torch.ones(steps, samples, K), {"weight": torch.ones(N, K)})
            state = LayerState((torch.zeros(samples, N),), ((),))
            spikes, _, _ = layer_window(path, Window(neuron, 1.0, steps, ()), [Drive(0, None, (term,))], {}, state)
            assert spikes.shape == (steps, samples, N)
            assert bool((spikes == 1).all())

    def test_without_gradients_nothing_is_kept(self, path, case):
        _, signal, *rest = case
        with torch.no_grad():
            spikes, _, _ = self.run(path, signal, *rest)
        assert spikes.grad_fn is None
        assert not spikes.requires_grad
