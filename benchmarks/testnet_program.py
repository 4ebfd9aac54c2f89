"""The quick start's TestNet, 784-N clif trained with STCA on MNIST: one program text for SPAIC and for spikeloom.

`python testnet_program.py spaic time --neurons 10 --steps 500` runs it in the Python it is started with and prints
one line of JSON. Only the name of the imported package differs between the two frameworks.
CPU time is that of this process with all its threads and the children it waited for.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.metadata
import json
import platform
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from measuring import cpu_seconds, memory_mb

DT = 0.1
BATCH = 100


def build(spaic: Any, neurons: int, seed: int) -> Any:
    class TestNet(spaic.Network):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            # Encoding
            self.input = spaic.Encoder(num=784, coding_method="poisson")
            # NeuronGroup
            self.layer1 = spaic.NeuronGroup(num=neurons, model="clif")
            # Decoding
            self.output = spaic.Decoder(num=neurons, dec_target=self.layer1, coding_method="spike_counts")
            # Connection
            self.connection1 = spaic.Connection(pre=self.input, post=self.layer1, link_type="full")
            # Monitor
            self.mon_V = spaic.StateMonitor(self.layer1, "V")
            self.spk_O = spaic.SpikeMonitor(self.layer1, "O")
            # Learner
            self.learner = spaic.Learner(trainable=self, algorithm="STCA")
            self.learner.set_optimizer("Adam", 0.001)
            backend = spaic.Torch_Backend("cpu")
            backend.dt = DT
            self.set_backend(backend)

    np.random.seed(seed)  # noqa: NPY002 - SPAIC draws its weights from NumPy's global generator
    torch.manual_seed(seed)
    net = TestNet()
    net.set_random_seed(seed)
    return net


def normalised(output: torch.Tensor) -> torch.Tensor:
    return (output - torch.mean(output).detach()) / (torch.std(output).detach() + 0.1)


def train_step(net: Any, data: Any, label: Any, run_time: float) -> tuple[float, float]:
    """Loss and share of right answers of one batch: input, run, loss, backward, step."""
    net.input(data)
    net.output(label)
    net.run(run_time)
    output = normalised(net.output.predict)
    target = torch.tensor(label, device="cpu")
    loss = F.cross_entropy(output, target)
    net.learner.optim_zero_grad()
    loss.backward(retain_graph=False)  # type: ignore[no-untyped-call]
    net.learner.optim_step()
    return loss.item(), (torch.argmax(output, 1) == target).float().mean().item()


def right_answers(net: Any, data: Any, label: Any, run_time: float) -> list[bool]:
    net.input(data)
    net.run(run_time)
    return (torch.argmax(normalised(net.output.predict), 1) == torch.tensor(label)).tolist()


def blobs(classes: int, seed: int = 0) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Endless batches of 28 x 28 pictures of mean intensity 0.12: a Gaussian spot for each class, shifted and noisy."""
    generator = np.random.default_rng(seed)
    places = np.random.default_rng(0).uniform(6, 22, size=(classes, 2))
    y, x = np.mgrid[:28, :28]
    while True:
        labels = generator.integers(classes, size=BATCH)
        cy, cx = (places[labels] + generator.normal(0, 1, (BATCH, 2))).T[:, :, None, None]
        pictures = np.exp(-((y - cy) ** 2 + (x - cx) ** 2) / 32) + generator.uniform(0, 0.1, (BATCH, 28, 28))
        pictures *= 0.12 / pictures.mean(axis=(1, 2), keepdims=True)
        yield np.clip(pictures, 0, 1).astype(np.float32).reshape(BATCH, 784), labels


def mnist(framework: str, spaic: Any, root: str, is_train: bool) -> Any:
    """The framework's own loader of its own MNIST class; labels are below 10, for any number of neurons."""
    dataset = importlib.import_module(f"{framework}.IO.Dataset").MNIST
    return spaic.Dataloader(dataset(root, is_train=is_train), batch_size=BATCH, shuffle=is_train, drop_last=False)


def timed(net: Any, batches: Iterator[Any], run_time: float, count: int) -> dict[str, Any]:
    """CPU and wall seconds of `count` training steps each, after the first one and one more to warm up."""
    steps = []
    for _ in range(count + 2):
        data, label = next(batches)
        wall, cpu = time.perf_counter(), cpu_seconds()
        loss, _ = train_step(net, data, label, run_time)
        steps.append((cpu_seconds() - cpu, time.perf_counter() - wall, loss))
    cpu_s, wall_s, losses = zip(*steps, strict=True)
    peak = memory_mb("VmHWM")
    seen = {
        "monitor_V": np.shape(net.mon_V.values),
        "monitor_O": len(net.spk_O.spk_index),
        "predict": tuple(net.output.predict.shape),
        "spikes": float(net.output.predict.detach().sum()),
    }
    return {"first_cpu": cpu_s[0], "first_wall": wall_s[0], "cpu": cpu_s[2:], "wall": wall_s[2:], "peak": peak,
            "losses": losses, "seen": seen}  # fmt: skip


def accuracy(net: Any, framework: str, spaic: Any, args: argparse.Namespace) -> dict[str, Any]:
    """Training accuracy and CPU seconds of each epoch, then the accuracy on the whole test set."""
    run_time = args.steps * DT
    train, test = (mnist(framework, spaic, args.mnist, is_train) for is_train in (True, False))
    epochs = []
    for _ in range(args.epochs):
        start = cpu_seconds()
        results = [train_step(net, data, label, run_time) for data, label in train]
        loss, right = np.mean(results, axis=0)
        epochs.append({"loss": loss, "accuracy": right, "cpu": cpu_seconds() - start, "batches": len(results)})
    start = cpu_seconds()
    with torch.no_grad():
        answers = [answer for data, label in test for answer in right_answers(net, data, label, run_time)]
    return {"epochs": epochs, "accuracy": np.mean(answers), "tested": len(answers), "test_cpu": cpu_seconds() - start,
            "peak": memory_mb("VmHWM")}  # fmt: skip


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("framework", choices=("spaic", "spikeloom"), help="the package to import as `spaic`")
    parser.add_argument("task", choices=("time", "accuracy"))
    parser.add_argument("--neurons", type=int, default=10, help="clif neurons, and classes (default 10)")
    parser.add_argument("--steps", type=int, default=500, help="steps of 0.1 ms a batch (default 500)")
    parser.add_argument("--batches", type=int, default=5, help="training steps measured (default 5)")
    parser.add_argument("--epochs", type=int, default=1, help="epochs of task accuracy (default 1)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--mnist", metavar="FOLDER", help="the four MNIST idx files; without it, synthetic pictures")
    return parser.parse_args()


def main() -> None:
    args = arguments()
    torch.set_num_threads(1)
    start = cpu_seconds()
    spaic = importlib.import_module(args.framework)
    result = {"framework": args.framework, "task": args.task, "neurons": args.neurons, "steps": args.steps}
    result |= {"seed": args.seed, "data": "MNIST" if args.mnist else "synthetic", "import_cpu": cpu_seconds() - start}
    result["versions"] = {name: importlib.metadata.version(name) for name in (args.framework, "torch", "numpy")}
    result["versions"]["python"] = platform.python_version()
    net = build(spaic, args.neurons, args.seed)
    result["threads"], result["base"] = torch.get_num_threads(), memory_mb("VmRSS")
    if args.task == "accuracy":
        result |= accuracy(net, args.framework, spaic, args)
    else:
        source = mnist(args.framework, spaic, args.mnist, True) if args.mnist else blobs(args.neurons, args.seed)
        result |= timed(net, iter(source), args.steps * DT, args.batches)
    print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
