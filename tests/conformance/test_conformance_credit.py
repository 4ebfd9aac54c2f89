"""Conformance 5: backpropagation through time against central differences, where spikes are smooth; the other credits
against it, and what they keep for the way back."""

import numpy as np
import pytest
import torch

from spikeloom import Connection, Decoder, Encoder, Learner, Network, NeuronGroup, Spikes, TorchBackend
from spikeloom.filters import LowPass
from spikeloom.neurons import Emission, Smooth, Subtract
from spikeloom.training.losses import LOSSES
from spikeloom.training.windows import Windows, whole_run

B, K, H, N, T = 3, 5, 4, 3, 7
LABELS = np.array([0, 2, 1])
CROSS_ENTROPY = LOSSES["cross_entropy"]


def spikes(n_steps: int = T) -> Spikes:
    raster = np.random.default_rng(0).random((n_steps, B, K)) < 0.5
    return Spikes.from_raster(raster.astype(np.int8), 1.0)


def network(tau_m: float = 5.0, credit: str = "bptt", *, smooth: bool = False, path: str = "torch") -> Network:
    """Two layers, the first with a loop, behind a filter; smooth: its output is a sigmoid of the potential."""
    drawn = np.random.default_rng(1)
    fires = {"emission": Emission(forward=Smooth(0.3), reset=Subtract(), detach_reset=False)} if smooth else {}
    net = Network("smooth")
    with net:
        net.source = Encoder(K, coding_method="null")
        net.hidden = NeuronGroup(H, model="lif", tau_m=tau_m, **fires)
        net.out = NeuronGroup(N, model="lif", tau_m=tau_m, **fires)
        weight = drawn.normal(0.4, 0.4, (H, K))
        net.a = Connection(net.source, net.hidden, link_type="full", weight=weight, bias=drawn.normal(0, 0.1, H))
        weight, filter = drawn.normal(0.4, 0.5, (N, H)), LowPass(tau=3.0) if smooth else None
        net.b = Connection(net.hidden, net.out, link_type="full", weight=weight, filter=filter)
        if smooth:
            net.c = Connection(net.hidden, net.hidden, link_type="full", weight=drawn.normal(0.0, 0.4, (H, H)))
        net.answer = Decoder(dec_target=net.out, coding_method="spike_counts")
        net.learner = Learner(trainable=net, algorithm="sbp", surrogate="arctan", credit=credit)
    net.set_backend(TorchBackend(dt=1.0, dtype=torch.float64, path=path))
    return net


def loss(net: Network) -> torch.Tensor:
    net.source(spikes())
    net.run(float(T))
    return CROSS_ENTROPY(net.answer.predict, torch.from_numpy(LABELS))


@pytest.mark.parametrize("path", ["torch", "auto"])
def test_backpropagation_equals_central_differences_where_spikes_are_smooth(path):
    net, eps = network(smooth=True, path=path), 1e-5
    loss(net).backward()
    for _, parameter in list(net.named_parameters()):
        grad, flat = parameter.grad.flatten(), parameter.detach().flatten().clone()
        found = np.zeros(len(flat))
        for k in range(len(flat)):
            ends = []
            for sign in (1, -1):
                moved = flat.clone()
                moved[k] += sign * eps
                with torch.no_grad():
                    parameter.copy_(moved.view_as(parameter))
                    ends.append(float(loss(net)))
            found[k] = (ends[0] - ends[1]) / (2 * eps)
        with torch.no_grad():
            parameter.copy_(flat.view_as(parameter))
        assert np.abs(found).max() > 1e-3
        assert np.linalg.norm(grad.numpy() - found) / np.linalg.norm(found) < 1e-5


def gradients(net: Network, run, n_steps: int = T) -> dict[str, np.ndarray]:
    run(net, spikes(n_steps), LABELS, float(n_steps), CROSS_ENTROPY)
    return {name: p.grad.numpy() for name, p in net.named_parameters()}


def test_sltt_equals_bptt_as_the_leak_goes_to_0():
    """1 - cos of the gradients falls with the share exp(-1 / tau) of the potential that a step keeps."""
    gaps = []
    for tau in (1.0, 0.3, 0.05):
        flat = [
            np.concatenate([g.ravel() for g in gradients(network(tau, credit), whole_run).values()])
            for credit in ("bptt", "sltt")
        ]
        gaps.append(np.linalg.norm(flat[0] - flat[1]) / np.linalg.norm(flat[0]))
    assert gaps[0] > 1e-2
    assert gaps[0] > gaps[1] > gaps[2]
    assert gaps[2] < 1e-7


def test_sltt_k_of_all_steps_is_sltt():
    every, chosen, last = (gradients(network(), w.run) for w in (Windows(1.0), Windows(1.0, T), Windows(1.0, T, True)))
    for name in every:
        np.testing.assert_allclose(chosen[name], every[name], rtol=1e-12)
        np.testing.assert_allclose(last[name], every[name], rtol=1e-12)


def saved_bytes(n_steps: int, run) -> int:
    kept, most = 0, 0

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        nonlocal kept, most
        kept += tensor.nbytes
        most = max(most, kept)
        return tensor

    def unpack(tensor: torch.Tensor) -> torch.Tensor:
        nonlocal kept
        kept = 0
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, unpack):
        gradients(network(), run, n_steps)
    return most


def test_what_sltt_keeps_does_not_depend_on_the_steps_and_what_bptt_keeps_is_proportional_to_them():
    assert saved_bytes(6, Windows(1.0).run) == saved_bytes(24, Windows(1.0).run)
    through_time = [saved_bytes(n, whole_run) for n in (6, 12, 24)]
    growth = np.diff(through_time)
    np.testing.assert_allclose(growth[1], 2 * growth[0], rtol=0.05)
