"""A recipe: spoken digits through a cochlea into a recurrent spiking network, 90 % or more on the official test files.

    PYTHONPATH=benchmarks python recipes/spoken_digits.py --data FOLDER [--seeds 3] [--validate]

FOLDER holds the Free Spoken Digit Dataset. The first 800 ms of each file become the spikes of 700 bushy cells, which
are counted for ten neighbouring channels in steps of 10 ms; in training each time a little faster or slower, later,
higher or lower. 512 leaky neurons that are connected to each other hear them; ten leaky integrators add up their
spikes, and the mean potential of each is the answer. --validate trains without the recordings 5 to 9 of each digit and
speaker and tests on them: the settings below were chosen so, never on the test files.
"""

from __future__ import annotations

import os
import statistics
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from recipe import Outcome, report

import spikeloom as sl
from spikeloom.datasets.audio import Cochlea, Recordings, excerpt, spoken_digits

DURATION, DT, POOL, EPOCHS, BATCH = 800.0, 10.0, 10, 25, 64
FINE = 1.0  # ms; steps in which spikes are kept
COCHLEA = Cochlea(f_max=4000.0)  # half of the files' rate


def heard(recordings: Recordings, seed: int, folder: Path | None) -> sl.Dataset:
    """The spikes that the cochlea makes of the recordings; those of a seed are always the same."""
    short = recordings.map(lambda sound: excerpt(sound, end=DURATION))
    generator = np.random.default_rng(seed)
    return short.spikes(COCHLEA, generator, folder, duration=DURATION, dt=FINE, pool=POOL, threads=2, progress=True)


class Varied(sl.Dataset):
    """The spikes of a data set in steps of DT, each time faster, later and in other channels, by chance."""

    def __init__(self, heard: sl.Dataset, generator: np.random.Generator | None) -> None:
        self.name, self.shape, self.labels, self.classes = heard.name, heard.shape, heard.labels, heard.classes
        self.heard, self.generator = heard, generator

    def __getitem__(self, index: int) -> tuple[sl.Spikes, int]:
        data, labels = self.batch([index])
        return data, int(labels[0])

    def batch(self, indices: np.typing.ArrayLike) -> tuple[sl.Spikes, np.ndarray]:
        spikes, labels = self.heard.batch(indices)
        time, ids, sample = spikes.times_ms(), spikes.ids, spikes.samples()
        if self.generator is not None:
            n = len(spikes)
            slower, later = np.exp(self.generator.normal(0, 0.1, n)), self.generator.uniform(0, 10, n)
            higher = self.generator.integers(-1, 2, n)
            time, ids = time * slower[sample] + later[sample], ids + higher[sample]
        kept = (time < DURATION) & (ids >= 0) & (ids < self.shape[0])
        step, n_steps = (time[kept] // DT).astype(int), round(DURATION / DT)
        value, which = spikes.values()[kept], {"samples": sample[kept], "n_samples": len(spikes)}
        found = sl.Spikes.from_steps(step, ids[kept], self.shape, n_steps, DT, values=value, collisions="sum", **which)
        return found, labels


def network(seed: int) -> sl.Network:
    net = sl.Network("spoken_digits")
    net.set_random_seed(seed)
    net.set_backend_dt(DT)
    n_channels = COCHLEA.n_channels // POOL
    net.ear = sl.Encoder(n_channels, coding_method="null")
    net.hidden = sl.NeuronGroup(512, model="lif", tau_m=20.0)
    net.votes = sl.NeuronGroup(10, model="li", tau_m=1000.0)
    net.hears = sl.Connection(net.ear, net.hidden, link_type="full", w_mean=0.0, w_std=n_channels**-0.5)
    net.recurrent = sl.Connection(net.hidden, net.hidden, link_type="full", w_mean=0.0, w_std=0.5 * 512**-0.5)
    net.says = sl.Connection(net.hidden, net.votes, link_type="full", w_mean=0.0, w_std=512**-0.5)
    net.answer = sl.Decoder(dec_target=net.votes, coding_method="voltage_mean")
    net.learner = sl.Learner(net, algorithm="sbp", surrogate="arctan", alpha=2.0)
    net.learner.set_optimizer("Adam", 0.003)
    net.learner.set_schedule("CosineAnnealingLR", T_max=EPOCHS)
    return net


def one_run(train: sl.Dataset, test: sl.Dataset, seed: int) -> dict[str, float]:
    """Test accuracy after the last epoch, mean rate, wall and CPU seconds of training."""
    torch.set_num_threads(1)
    net = network(seed)
    varied = Varied(train, np.random.default_rng([seed, 1]))
    loader = sl.Dataloader(varied, BATCH, shuffle=True, generator=np.random.default_rng(seed))
    wall, cpu = time.perf_counter(), time.process_time()
    sl.fit(net, loader, epochs=EPOCHS, time=DURATION, progress=seed == 0)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    found = sl.evaluate(net, sl.Dataloader(Varied(test, None), 300), time=DURATION, progress=False)
    return {"seed": seed, "accuracy": found.accuracy, "rate": found.rate_hz, "wall": wall, "cpu": cpu}


def outcome(data: Path, seeds: int, validate: bool, cache: Path | None) -> Outcome:
    recordings = spoken_digits(data, "train")
    held_out = recordings.where(recordings.indices < 10) if validate else spoken_digits(data, "test")
    rest = recordings.where(recordings.indices >= 10) if validate else recordings
    train, test = heard(rest, 0, cache), heard(held_out, 1, cache)
    with ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("spawn")) as processes:
        runs = list(processes.map(partial(one_run, train, test), range(seeds)))
    mean = statistics.mean(r["accuracy"] for r in runs)
    return Outcome(
        name="spoken_digits",
        paper="Spoken digits through a cochlea (Cramer et al. 2020)",
        data=f"{len(train)} recordings to train, {len(test)} to test, {'held out' if validate else 'official'}; "
        f"{COCHLEA.n_channels} channels, 512 recurrent neurons, {EPOCHS} epochs, a process for each seed",
        baseline="chance, 10 %",
        result=f"{mean:.1%}, mean of {seeds} seeds",
        gate="90 % or more",
        holds=mean >= 0.9,
        head=["seed", "test accuracy", "mean rate, Hz", "training, wall s", "CPU s"],
        rows=[
            [r["seed"], f"{r['accuracy']:.1%}", f"{r['rate']:.0f}", f"{r['wall']:.0f}", f"{r['cpu']:.0f}"] for r in runs
        ],
    )


if __name__ == "__main__":
    report(
        __doc__,
        outcome,
        data={"type": Path, "required": True, "metavar": "FOLDER", "help": "the Free Spoken Digit Dataset"},
        seeds={"type": int, "default": 3, "help": "how many seeds (default 3)"},
        validate={"action": "store_true", "help": "train and test on the training files alone"},
        cache={"type": Path, "metavar": "FOLDER", "help": "where the spikes are kept for the next time"},
    )
