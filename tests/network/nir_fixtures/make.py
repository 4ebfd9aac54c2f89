"""Writes the NIR files of this folder with snnTorch's exporter, and beside each what snnTorch computes.

Run it where snntorch 1.0.0, nirtorch 2.6 and nir 1.0.8 are installed:  python make.py
Each <name>.nir has a <name>.npz with `inputs` (T, B, ...) and the `outputs` (T, B, N) of snnTorch's network.
"""

from pathlib import Path

import nir
import numpy as np
import snntorch as snn
import torch
from snntorch.export_nir import export_to_nir
from snntorch.utils import reset
from torch import nn

HERE = Path(__file__).parent
T, B = 40, 3


def neuron(kind, *shape, **options):
    same = {"init_hidden": True, "reset_mechanism": "zero", "reset_delay": False, "threshold": torch.full(shape, 0.8)}
    betas = torch.linspace(0.7, 0.95, int(np.prod(shape))).reshape(shape)
    return kind(beta=betas, **same, **options)


def dense():
    return nn.Sequential(
        nn.Linear(6, 5), neuron(snn.Leaky, 5), nn.Linear(5, 4, bias=False), neuron(snn.Leaky, 4, output=True)
    ), (6,)  # fmt: skip


def synaptic():
    return nn.Sequential(
        nn.Linear(6, 5), neuron(snn.Synaptic, 5, alpha=torch.full((5,), 0.6)),
        nn.Linear(5, 4), neuron(snn.Leaky, 4, output=True),
    ), (6,)  # fmt: skip


def recurrent():
    return nn.Sequential(
        nn.Linear(6, 5), neuron(snn.RLeaky, 5, linear_features=5), nn.Linear(5, 4), neuron(snn.Leaky, 4, output=True)
    ), (6,)  # fmt: skip


def convolutional():
    return nn.Sequential(
        nn.Conv2d(2, 3, 3, padding=1), neuron(snn.Leaky, 3, 8, 8), nn.AvgPool2d(2), nn.Conv2d(3, 4, 3, bias=False),
        neuron(snn.Leaky, 4, 2, 2), nn.Flatten(), nn.Linear(16, 4), neuron(snn.Leaky, 4, output=True),
    ), (2, 8, 8)  # fmt: skip


def main():
    for case in (dense, synaptic, recurrent, convolutional):
        torch.manual_seed(1)
        model, shape = case()
        with torch.no_grad():
            for layer in model.modules():
                if isinstance(layer, nn.Linear | nn.Conv2d):
                    layer.weight *= 3
        inputs = (torch.rand(T, B, *shape) < 0.4).float()
        graph = export_to_nir(model, inputs[0, :1], ignore_dims=[0])
        for node in graph.nodes.values():
            for name, value in vars(node).items():
                if isinstance(value, torch.Tensor):
                    setattr(node, name, value.numpy())
        nir.write(HERE / f"{case.__name__}.nir", graph)
        reset(model)
        with torch.no_grad():
            found = [model(x) for x in inputs]
        outputs = torch.stack([f[0] if isinstance(f, tuple) else f for f in found])
        np.savez_compressed(HERE / f"{case.__name__}.npz", inputs=inputs.numpy(), outputs=outputs.numpy())


if __name__ == "__main__":
    main()
