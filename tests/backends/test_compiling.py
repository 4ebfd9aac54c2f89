"""Programs that torch.compile compiles hold a run as one call."""

import subprocess
import sys

import numpy as np
import pytest
import torch

import spikeloom as sl


def network(path):
    net = sl.Network()
    generator = np.random.default_rng(0)
    net.x = sl.Encoder(12, coding_method="null")
    net.a = sl.NeuronGroup(9, "lif", tau_m=4.0)
    net.c = sl.Connection(net.x, net.a, link_type="full", weight=generator.normal(0.2, 0.3, (9, 12)))
    net.loop = sl.Connection(net.a, net.a, link_type="full", weight=generator.normal(0.0, 0.3, (9, 9)))
    net.out = sl.Decoder(9, net.a, coding_method="spike_counts")
    net.set_backend(sl.TorchBackend(dt=1.0, path=path))
    return net


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning", "ignore::FutureWarning")
@pytest.mark.parametrize("path", ["auto", "torch"])
def test_a_compiled_training_step_gives_the_gradients_of_a_plain_one(path):
    net = network(path)
    data = (torch.rand(3, 10, 12, generator=torch.Generator().manual_seed(0)) < 0.4).float()

    def loss(data):
        net.x(data)
        net.run(10.0)
        return (net.out.predict * torch.arange(9)).sum() * 2

    grads = []
    for function in (loss, torch.compile(loss, backend="eager")):
        function(data).backward()
        grads.append([p.grad.clone() for p in net.parameters()])
        for parameter in net.parameters():
            parameter.grad = None
    assert sum(float(g.abs().sum()) for g in grads[0]) > 0
    assert all(torch.equal(a, b) for a, b in zip(*grads, strict=True))


def test_a_run_without_compiling_does_not_load_the_compiler():
    program = (
        "import sys, numpy as np, torch, spikeloom as sl\n"
        "net = sl.Network()\n"
        "net.x = sl.Encoder(2, coding_method='null')\n"
        "net.a = sl.NeuronGroup(2, 'lif')\n"
        "net.c = sl.Connection(net.x, net.a, link_type='full')\n"
        "net.set_backend(sl.TorchBackend(dt=1.0))\n"
        "net.x(np.ones((1, 3, 2), np.float32))\n"
        "net.run(3.0)\n"
        "sys.exit('torch._dynamo' in sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
