"""The data, the network and the loaders that a config asks for."""

from __future__ import annotations

import inspect
import math
from typing import Any, NamedTuple

import numpy as np

from ..backends import TorchBackend
from ..datasets import DATASETS, Dataloader, Dataset, digits, stratified_split
from ..errors import ParameterError
from ..network import Connection, Decoder, Encoder, Network, NeuronGroup, Normal
from ..neurons import NEURONS, Graded
from ..registry import canonical
from ..training import SCHEDULES, Learner, evaluate
from .config import TrainConfig


class Splits(NamedTuple):
    """Training and test set."""

    train: Dataset
    test: Dataset


def splits_of(config: TrainConfig) -> Splits:
    """The data sets of a run: the official split where there is one, else a stratified one drawn with the seed."""
    name = DATASETS.name_of(config.data)
    if name == "digits":
        return Splits(*stratified_split(digits(), config.test_fraction, np.random.default_rng(config.seed)))
    if config.data_dir is None:
        raise ParameterError(f"config.data_dir: give the folder that holds the files of {name!r}")
    source: Any = DATASETS[name]
    return Splits(source(config.data_dir, is_train=True), source(config.data_dir, is_train=False))


def try_out(config: TrainConfig, data: Dataset) -> None:
    """Runs a network of its own on one sample, so that a choice that does not work is an error before a run begins."""
    net = network_of(config, data)
    evaluate(net, [data.batch(np.arange(1))], time=config.time, loss=config.loss, progress=False)
    for learner in net.learners:
        if isinstance(learner, Learner):
            learner.optim_zero_grad()


def network_of(config: TrainConfig, data: Dataset) -> Network:
    """A feed-forward network for the data: encoder, hidden layers, a population of votes for each class."""
    _check_model(config.model)
    net = Network("network")
    net.set_random_seed(config.seed)
    net.set_backend(TorchBackend(config.device, dt=config.dt))
    options: dict[str, Any] = dict(config.encoding_options)
    net.input = Encoder(shape=data.shape, coding_method=config.encoding, **options)
    sizes = [*config.hidden, data.n_classes * config.pop_size]
    names = [f"hidden{k}" for k in range(1, len(sizes))] + ["output"]
    source: Any = net.input
    for name, size in zip(names, sizes, strict=True):
        group = NeuronGroup(size, config.model, param=config.parameters)
        net.add(name, group)
        weight = Normal(0.0, config.gain / math.sqrt(source.num))
        net.add(f"to_{name}", Connection(source, group, link_type="full", weight=weight))
        source = group
    net.answer = Decoder(dec_target=source, coding_method="spike_counts", pop_size=config.pop_size)
    net.learner = _learner(config, net)
    return net


def _check_model(name: str) -> None:
    """Raises ParameterError for a model that emits no spikes, which the decoder counts."""
    silent = [known for known in NEURONS if isinstance(NEURONS[known]().emission.forward, Graded)]
    if NEURONS.name_of(name) in silent:
        others = ", ".join(known for known in NEURONS if known not in silent)
        raise ParameterError(
            f"config.model: {name!r} is a neuron that does not spike, and the answer is a count of spikes; "
            f"use one of: {others}"
        )


def _learner(config: TrainConfig, net: Network) -> Learner:
    options: dict[str, Any] = dict(config.algorithm_options)
    learner = Learner(net, config.algorithm, **options)
    learner.set_optimizer(config.optimizer, config.lr)
    if config.schedule is not None:
        learner.set_schedule(config.schedule, **_schedule_options(config, config.schedule))
    return learner


def _schedule_options(config: TrainConfig, schedule: str) -> dict[str, Any]:
    """The options of the schedule; ParameterError where one is missing that it cannot do without."""
    name = SCHEDULES.name_of(schedule)
    if name == "ReduceLROnPlateau":
        raise ParameterError(
            "config.schedule: 'ReduceLROnPlateau' would watch the test set, which must choose nothing; use another, or "
            "fit() with a validation set of your own"
        )
    default = {"T_max": config.epochs} if name == "CosineAnnealingLR" else {}
    options: dict[str, Any] = dict(default if config.schedule_options is None else config.schedule_options)
    needed = [p.name for p in inspect.signature(SCHEDULES[name]).parameters.values() if p.default is p.empty][1:]
    missing = [option for option in needed if canonical("schedule option", option, options) is None]
    if missing:
        raise ParameterError(f"config.schedule_options: schedule {name!r} needs {', '.join(missing)}, got {options}")
    return options


def loaders_of(config: TrainConfig, data: Splits) -> tuple[Dataloader, Dataloader]:
    """The loader of the training set, shuffled with the seed, and that of the test set."""
    train = Dataloader(data.train, config.batch_size, shuffle=True, generator=np.random.default_rng([config.seed, 1]))
    return train, Dataloader(data.test, config.batch_size)
