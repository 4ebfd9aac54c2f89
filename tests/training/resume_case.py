"""A training that is cut by a signal, and the same one uncut.

Run as a program with a folder and cuts such as `9:4`, it trains once for each cut, into <folder>/<cut>.pt, and gets
signal 9 while the loss is computed for the 4th time: between two checkpoints, in training or in validation.
"""

import os
import sys
import traceback
from pathlib import Path

import numpy as np
from small_networks import two_layers
from torch.nn import functional as F

from spikeloom.datasets import ArrayDataset, Dataloader
from spikeloom.training import Learner, fit

EPOCHS, TRAIN_BATCHES, LOSSES_AN_EPOCH = 3, 4, 6


def loader(samples, seed, shift):
    data = np.random.default_rng(7 + shift).uniform(0.2, 0.8, (samples, 4)).astype(np.float32)
    return Dataloader(ArrayDataset(data, np.arange(samples) % 3), 4, True, generator=np.random.default_rng(seed))


def network(seed):
    net = two_layers(model="clif", coding="poisson", seed=seed)
    net.learner = Learner(net, "STCA")
    net.learner.set_optimizer("AdamW", 0.005)
    net.learner.set_schedule("CosineAnnealingLR", EPOCHS * 2)
    return net


def train(checkpoint, *, seed=1, resume=False, cut=None, epochs=EPOCHS):
    """Network and history of a training with shuffled, Poisson coded data, and a checkpoint after every step."""
    calls = 0

    def loss(answer, label):
        nonlocal calls
        calls += 1
        if cut is not None and calls == cut[1]:
            os.kill(os.getpid(), cut[0])
        return F.cross_entropy(answer, label)

    net, validation = network(seed), loader(6, seed + 20, 1)
    next(iter(validation))  # a look at a batch before training
    history = fit(
        net, loader(14, seed + 10, 0), epochs=epochs, time=10, loss=loss, validation=validation,
        checkpoint=checkpoint, checkpoint_seconds=0, resume=resume, progress=False,
    )  # fmt: skip
    return net, history


def main(folder, cuts):
    network(1).learner.optim  # what torch imports for its first optimizer is then there in every child
    for cut in cuts:
        number, call = map(int, cut.split(":"))
        child = os.fork()
        if child == 0:
            try:
                train(Path(folder) / f"{cut}.pt", cut=(number, call))
            except KeyboardInterrupt:
                traceback.print_exc()
            os._exit(0)
        sys.stdout.write(f"{cut} {os.waitpid(child, 0)[1]}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
