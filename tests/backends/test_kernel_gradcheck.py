"""The gradients of the kernels against finite differences, on smooth twins of every model."""

import itertools

import numpy as np
import pytest
import torch
from kernel_neurons import Adaptive, Everything, Izhikevich, TwoPorts

import spikeloom as sl
from spikeloom.backends.kernel_path import KernelPath
from spikeloom.backends.path import Call, run_block
from spikeloom.backends.plan import make_plan
from spikeloom.neurons import CLIF, IF, LI, LIF, Emission, NoReset, Scale, Smooth, Subtract, ToValue

T, B, K, N = 4, 2, 3, 3


def smooth(reset, threshold="v_th"):
    """The emission whose output is smooth, so that finite differences see what the gradient says."""
    return Emission(forward=Smooth(0.5), reset=reset, threshold=threshold)


MODELS = {
    "if": (IF(constant_decay=0.1, emission=smooth(Subtract())), ("constant_decay", "v_th")),
    "lif": (LIF(v_rest=0.1, emission=smooth(ToValue("v_reset"))), ("tau_m", "v_rest", "v_th", "v_reset")),
    "lif scaled": (LIF(tau_m=3.0, scale_input=True, emission=smooth(Scale(0.3))), ("tau_m", "v_th")),
    "clif": (CLIF(tau_m=9.0, emission=smooth(NoReset())), ("tau_m", "tau_p", "tau_q", "v_0", "v_th")),
    "li": (LI(tau_m=5.0), ("tau_m", "v_rest")),
    "adaptive": (Adaptive(emission=smooth(Subtract())), ("tau", "tau_a", "tau_b", "jump_a", "jump_b", "v_th")),
    "everything": (Everything(emission=smooth(Subtract())), ("tau", "low", "scale", "v_th")),
    "izhikevich": (
        Izhikevich(a=0.1, emission=Emission(forward=Smooth(8.0), reset=Subtract(), threshold=-50.0)), ("a", "b", "d")
    ),
    "two ports": (TwoPorts(emission=smooth(Subtract())), ("tau", "v_th")),
}  # fmt: skip


def block_of(neuron, trains, looped, filter):
    """A population with all that may lead into it: events or a dense signal, a bias, a loop, a second port."""
    net = sl.Network()
    net.x = sl.Encoder(K, coding_method="null")
    net.a = sl.NeuronGroup(N, neuron, parameter_variables=trains)
    for k, port in enumerate(type(neuron).ports):
        setattr(net, f"c{k}", sl.Connection(net.x, net.a, link_type="full", filter=filter, port=port, bias=True))
    if looped:
        net.loop = sl.Connection(net.a, net.a, link_type="full", filter=filter, delay=1.0)
    (block,) = make_plan(net, 1.0).blocks
    return block


def tensors_of(block, neuron, trains, seed=0):
    """Everything that can carry a gradient, by key: weights, input, parameters, states, currents under way."""
    random = np.random.default_rng(seed)

    def drawn(*shape, scale=0.6):
        return torch.from_numpy(scale * random.normal(size=shape)).requires_grad_()

    found = {("signal", "x"): drawn(T, B, K)}
    (layer,) = block.layers
    for route in (route for branch in layer.branches for route in branch.routes):
        path = route.connection.path
        found["weight", path, "weight"] = drawn(N, N if route.looped else K)
        if not route.looped:
            found["weight", path, "bias"] = drawn(N)
        found.update({("under way", path, k): drawn(B, N) for k in range(route.steps)})
    for name in trains:
        found["parameter", "a", name] = torch.tensor(float(getattr(neuron, name)), dtype=torch.float64).requires_grad_()
    filters = sum(b.filter is not None for b in layer.branches)
    for k, start in enumerate([*neuron.initial(), *[0.0] * filters]):
        found["state", "a", k] = (start + drawn(B, N)).detach().requires_grad_()
    return found


class Again(torch.autograd.Function):
    """A run that is run again for each way back: gradcheck takes many, a run has one."""

    @staticmethod
    def forward(ctx, run, *values):
        ctx.run, ctx.values = run, values
        return run(*(v.detach() for v in values))

    @staticmethod
    def backward(ctx, *grads):
        leaves = [v.detach().requires_grad_() for v in ctx.values]
        with torch.enable_grad():
            found = ctx.run(*leaves)
        return None, *torch.autograd.grad(found, leaves, grads, allow_unused=True)


@pytest.mark.parametrize(("name", "looped", "filter"), [
    *((name, False, None) for name in MODELS), ("lif", True, None), ("li", True, sl.LowPass(tau=2.0)),
    ("adaptive", True, sl.LowPass(tau=2.0)), ("two ports", False, sl.LowPass(tau=2.0, normalise=True)),
], ids=lambda v: v if isinstance(v, str) else "")  # fmt: skip
def test_every_gradient_equals_finite_differences(name, looped, filter):
    neuron, trains = MODELS[name]
    block, path = block_of(neuron, trains, looped, filter), KernelPath(torch.float64)
    tensors = tensors_of(block, neuron, trains)
    want = ("spikes", neuron.State._fields[0], "i_syn")

    def run(*values):
        found = run_block(path, Call(block, 1.0, T, {"a": want}, dict(zip(tensors, values, strict=True)), {}))
        return tuple(value for key, value in found.items() if key[0] != "under way" and value.is_floating_point())

    assert torch.autograd.gradcheck(lambda *v: Again.apply(run, *v), tuple(tensors.values()), atol=1e-6, rtol=1e-5)


def test_a_sum_of_losses_over_two_layers_and_a_delay_equals_finite_differences():
    net = sl.Network()
    net.x = sl.Encoder(K, coding_method="null")
    net.a = sl.NeuronGroup(17, LIF(emission=smooth(Subtract())))
    net.b = sl.NeuronGroup(2, LI())
    net.c1 = sl.Connection(net.x, net.a, link_type="full", w_std=0.8)
    net.c2 = sl.Connection(net.a, net.b, link_type="full", w_std=0.8, delay=1.0, bias=True)
    net.out = sl.Decoder(dec_target=net.b, coding_method="v_t")
    net.set_backend(sl.TorchBackend(dt=1.0, dtype=torch.float64))
    net.set_random_seed(2)
    x = torch.from_numpy(np.random.default_rng(0).normal(size=(B, 5, K)))
    scale = torch.from_numpy(np.random.default_rng(1).normal(size=(5, B, 2)))

    def loss():
        net.x(x)
        net.run(5.0)
        return (net.out.predict * scale).sum()

    loss().backward()
    for parameter in net.parameters():
        flat, grad = parameter.data.view(-1), parameter.grad.view(-1)
        for k in itertools.islice(range(len(flat)), 0, None, max(1, len(flat) // 5)):
            kept, values = flat[k].item(), []
            for step in (1e-6, -1e-6):
                flat[k] = kept + step
                values.append(loss().item())
            flat[k] = kept
            assert grad[k].item() == pytest.approx((values[0] - values[1]) / 2e-6, rel=1e-6, abs=1e-8)
