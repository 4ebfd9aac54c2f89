"""The workloads in spikeloom: `python with_spikeloom.py W1 train` measures one of them and prints a line of JSON.

The input comes as Spikes on the grid, as a loader gives them. Of what this version cannot do the record tells why.
"""

from __future__ import annotations

import argparse
import inspect
import math
from dataclasses import fields
from typing import Any

import torch
import torch.nn.functional as F
from measuring import cpu_seconds, measured, options, report
from torch import Tensor
from workloads import DECAY, KERNEL, LEARNING_RATE, POOL, Weights, Workload, data, weights

from spikeloom import Connection, Decoder, Emission, Encoder, Learner, Network, NeuronGroup, Spikes, TorchBackend
from spikeloom.network.links import Conv
from spikeloom.neurons import LIF, Arctan, Subtract

DT = 1.0
PACKAGES = ("spikeloom", "torch", "numpy")
FORMS = ("auto", "torch")
"""Which compute path: what the backend chooses, or the torch path."""

LEAKY = LIF(tau_m=-DT / math.log(DECAY), emission=Emission(surrogate=Arctan(alpha=2.0), reset=Subtract()))


def missing(workload: Workload, form: str) -> str | None:
    """What this version of spikeloom lacks for the workload, if anything."""
    if workload.kind == "conv" and "pool" not in {field.name for field in fields(Conv)}:
        return "link_type 'conv' cannot pool its current yet: it has no option 'pool'"
    if form != "auto" and "path" not in inspect.signature(TorchBackend).parameters:
        return "TorchBackend cannot be told its compute path yet: it has no option 'path'"
    return None


def network(workload: Workload, given: list[Weights], form: str = "auto") -> Network:
    """The workload's network with the weights; its answer is `net.output`, its optimizer `net.learner`."""
    net, remaining = Network(), iter(given)
    net.input = source = Encoder(shape=workload.input_shape, coding_method="null")
    for i, shape in enumerate(workload.population_shapes):
        group = NeuronGroup(shape=shape, model=LEAKY)
        setattr(net, f"layer{i}", group)
        setattr(net, f"connection{i}", connection(source, group, next(remaining)))
        if workload.kind == "recurrent" and i == 0:
            net.loop = connection(group, group, next(remaining))
        source = group
    net.output = Decoder(dec_target=source, coding_method="spike_counts")
    net.learner = Learner(trainable=net, algorithm="SBP", surrogate="arctan", alpha=2.0)
    net.learner.set_optimizer("Adam", LEARNING_RATE, fused=True)
    net.set_backend(TorchBackend(dt=DT) if form == "auto" else TorchBackend(dt=DT, path=form))
    return net


def connection(source: Any, group: NeuronGroup, given: Weights) -> Connection:
    weight: dict[str, Any] = {"weight": given.weight, "bias": given.bias}
    if given.weight.ndim == 2:
        return Connection(source, group, link_type="full", **weight)
    return Connection(source, group, link_type="conv", kernel_size=KERNEL, pool="max", pool_kernel_size=POOL, **weight)


class Task:
    """A network with a batch: a training or an inference step, each giving the mean output (B, classes)."""

    def __init__(self, workload: Workload, form: str = "auto", given: list[Weights] | None = None) -> None:
        raster, labels = data(workload)
        self.net = network(workload, weights(workload) if given is None else given, form)
        self.spikes, self.labels = Spikes.from_raster(raster, DT), torch.from_numpy(labels)
        self.n_steps = workload.n_steps

    def rates(self) -> Tensor:
        self.net.input(self.spikes)
        self.net.run(self.n_steps * DT)
        return self.net.output.predict / self.n_steps

    def train(self) -> Tensor:
        rates = self.rates()
        loss = F.cross_entropy(rates, self.labels)
        self.net.learner.optim_zero_grad()
        loss.backward()
        self.net.learner.optim_step()
        return rates.detach()

    def infer(self) -> Tensor:
        with torch.no_grad():
            return self.rates()

    def firing_rates(self) -> dict[str, float]:
        """The mean output of each population in the last run, in spikes a neuron and step."""
        return {path: hz * DT / 1000 for path, hz in self.net.firing_rates().items()}


def run(args: argparse.Namespace, workload: Workload) -> dict[str, Any]:
    if why := missing(workload, args.form):
        return {"missing": why}
    task = Task(workload, args.form)
    start = cpu_seconds()
    task.net.build()
    build = cpu_seconds() - start
    _ = task.net.learner.optim  # made before anything is measured, as the peers' is: torch loads its compiler for it
    found = measured(task.train if args.mode == "train" else task.infer, args.repeats)
    return found | {"first_cpu": build + found["first_cpu"], "rates": task.firing_rates()}


def main() -> None:
    args, workload = options(__doc__, FORMS)
    torch.set_num_threads(1)
    report(args, "spikeloom", PACKAGES, **run(args, workload))


if __name__ == "__main__":
    main()
