"""A convolutional network with batch normalisation and average pooling in spikeloom and SpikingJelly, one thread each.

    python benchmarks/normalised.py [--turns 3] [--repeats 7] [--print]

Twice convolution 3 x 3, batch normalisation, LIF and mean of 2 x 2 (32 and 64 maps), then 128 LIF neurons and 10 votes,
over events on 2 x 32 x 32 pixels; T = 10, batches of 16, Adam. Both have the same weights and see the same events, so
that their losses are equal, which is looked at in the first step and in the last. The frameworks take turns, each time
in a fresh process. Writes a section of RESULTS.md.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from measuring import cpu_seconds, memory_mb, stay_on_one_core, versions
from results import HERE, Record, machine, peer_python, run_process, table, version_lines, write_section
from torch.nn import functional as F

T, BATCH, SIDE, MAPS, HIDDEN, CLASSES, V_TH = 10, 16, 32, (32, 64), 128, 10, 0.3
PACKAGES = {"spikeloom": ("spikeloom", "torch"), "spikingjelly": ("spikingjelly", "torch")}
Step = Callable[[bool], float]


def drawn() -> tuple[list[np.ndarray[Any, Any]], np.ndarray[Any, Any], torch.Tensor]:
    """The weights, the raster (T, B, 2, 32, 32) and the labels."""
    rng = np.random.default_rng(0)
    shapes = [(MAPS[0], 2, 3, 3), (MAPS[1], MAPS[0], 3, 3), (HIDDEN, MAPS[1] * (SIDE // 4) ** 2), (CLASSES, HIDDEN)]
    weights = [rng.normal(0, math.sqrt(2 / math.prod(s[1:])), s).astype(np.float32) for s in shapes]
    raster = (rng.random((T, BATCH, 2, SIDE, SIDE)) < 0.1).astype(np.float32)
    return weights, raster, torch.from_numpy(rng.integers(0, CLASSES, BATCH))


def in_spikeloom() -> Step:
    import spikeloom as sl

    weights, raster, labels = drawn()
    fires = {"model": "lif", "tau_m": 1 / math.log(2), "v_th": V_TH, "scale_input": True}
    net = sl.Network()
    with net:
        net.source = sl.Encoder(shape=(2, SIDE, SIDE), coding_method="null")
        net.one = sl.NeuronGroup(shape=(MAPS[0], SIDE, SIDE), **fires)
        net.two = sl.NeuronGroup(shape=(MAPS[1], SIDE // 2, SIDE // 2), **fires)
        net.hidden, net.votes = sl.NeuronGroup(HIDDEN, **fires), sl.NeuronGroup(CLASSES, model="null")
        conv = {"link_type": "conv", "kernel_size": 3, "padding": 1}
        net.a = sl.Connection(net.source, net.one, syn_type=["conv", "batch_norm"], weight=weights[0], **conv)
        net.b = sl.Connection(net.one, net.two, syn_type=["avgpool", "conv", "batch_norm"], weight=weights[1], **conv)
        pooled = {"link_type": "full", "syn_type": ["avgpool", "basic"]}
        net.c = sl.Connection(net.two, net.hidden, weight=weights[2], **pooled)
        net.d = sl.Connection(net.hidden, net.votes, link_type="full", weight=weights[3])
        net.answer = sl.Decoder(dec_target=net.votes, coding_method="null")
        net.learner = sl.Learner(net, "sbp", surrogate="arctan")
    net.set_backend_dt(1.0)
    net.learner.set_optimizer("Adam", 1e-3)
    spikes = sl.Spikes.from_raster(raster, 1.0)

    def step(train: bool) -> float:
        net.train(train)
        net.source(spikes)
        with torch.set_grad_enabled(train):
            net.run(float(T))
            loss = F.cross_entropy(net.answer.predict.mean(0), labels)
        if train:
            net.learner.optim_zero_grad()
            loss.backward()
            net.learner.optim_step()
        return loss.item()

    return step


def in_spikingjelly() -> Step:
    from spikingjelly.activation_based import functional, layer, neuron, surrogate

    weights, raster, labels = drawn()

    def fires() -> Any:
        return neuron.LIFNode(
            tau=2.0, v_threshold=V_TH, v_reset=0.0, surrogate_function=surrogate.ATan(), step_mode="m"
        )

    conv = {"kernel_size": 3, "padding": 1, "bias": False, "step_mode": "m"}
    net = torch.nn.Sequential(
        layer.Conv2d(2, MAPS[0], **conv), layer.BatchNorm2d(MAPS[0], step_mode="m"), fires(),
        layer.AvgPool2d(2, step_mode="m"),
        layer.Conv2d(*MAPS, **conv), layer.BatchNorm2d(MAPS[1], step_mode="m"), fires(),
        layer.AvgPool2d(2, step_mode="m"), layer.Flatten(step_mode="m"),
        layer.Linear(weights[2].shape[1], HIDDEN, bias=False, step_mode="m"), fires(),
        layer.Linear(HIDDEN, CLASSES, bias=False, step_mode="m"),
    )  # fmt: skip
    with torch.no_grad():
        for part, weight in zip((net[0], net[4], net[9], net[11]), weights, strict=True):
            part.weight.copy_(torch.from_numpy(weight))
    optimizer, events = torch.optim.Adam(net.parameters(), 1e-3), torch.from_numpy(raster)

    def step(train: bool) -> float:
        net.train(train)
        functional.reset_net(net)
        with torch.set_grad_enabled(train):
            loss = F.cross_entropy(net(events).mean(0), labels)
        if train:
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        return loss.item()

    return step


FRAMEWORKS = {"spikeloom": in_spikeloom, "spikingjelly": in_spikingjelly}


def measure(framework: str, repeats: int) -> None:
    """Prints the record of this process: CPU ms of a step, MB beyond what was there, the losses."""
    torch.set_num_threads(1)
    stay_on_one_core()
    step, record = FRAMEWORKS[framework](), {"framework": framework, "versions": versions(PACKAGES[framework])}
    base, losses = memory_mb("VmRSS"), []
    for mode, train in (("train", True), ("infer", False)):
        taken = []
        for _ in range(2 + repeats):
            before = cpu_seconds()
            losses.append(step(train))
            taken.append(1000 * (cpu_seconds() - before))
        record[mode] = statistics.median(taken[2:])
        record[f"{mode} MB"] = memory_mb("VmHWM") - base
    print(json.dumps(record | {"losses": losses}), flush=True)


def compared(records: list[Record]) -> str:
    """The table of the medians of all turns; ends with an error where the losses tell that two networks were run."""
    first, last = ([r["losses"][k] for r in records] for k in (0, -1))
    silent = abs(first[0] - math.log(CLASSES)) < 0.01
    if silent or max(first) - min(first) > 1e-3 or max(last) - min(last) > 0.05 * max(first):
        raise SystemExit(f"the frameworks do not run the same network: losses {first} at first, {last} at last")
    rows = []
    for what in ("train", "infer", "train MB"):
        own, peer = (statistics.median(r[what] for r in records if r["framework"] == name) for name in FRAMEWORKS)
        rows.append([what if "MB" in what else f"{what}, ms", f"{own:.1f}", f"{peer:.1f}", f"{peer / own:.2f}x"])
    head = ["a step", *FRAMEWORKS, "SpikingJelly / spikeloom"]
    ends = f"in the last from {min(last):.4f} to {max(last):.4f}"
    return f"{table(head, rows)}\n\nLoss {first[0]:.4f} in the first step of all, {ends}."


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, default=3, help="processes of each framework (default 3)")
    parser.add_argument("--repeats", type=int, default=7, help="steps measured a process (default 7)")
    parser.add_argument("--print", action="store_true", help="do not write RESULTS.md")
    parser.add_argument("--framework", choices=FRAMEWORKS, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.framework:
        measure(args.framework, args.repeats)
        return
    records = []
    for turn in range(args.turns):
        for name in FRAMEWORKS:
            python = sys.executable if name == "spikeloom" else str(peer_python(name))
            record = run_process([python, __file__, "--framework", name, "--repeats", str(args.repeats)])
            print(
                f"turn {turn + 1}, {name}: train {record['train']:.1f} ms, infer {record['infer']:.1f} ms", flush=True
            )
            records.append(record)
    text = "\n".join(
        [
            f"`python benchmarks/normalised.py`\n\n- {machine()}; one thread",
            *version_lines(records),
            "",
            compared(records),
        ]
    )
    print(text)
    if not args.print:
        write_section(HERE / "RESULTS.md", "normalised", "Convolutions, batch normalisation and pooling", text)


if __name__ == "__main__":
    main()
