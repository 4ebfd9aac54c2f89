"""All that a pipeline needs to go on as if it had never stopped, in one file: safetensors with JSON in its header.

Nothing in the file is run; names, shapes and types are compared with those of the pipeline before any array is read.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as safetensors_bytes
from torch import Tensor

from ...errors import DataError, ParameterError, StorageError
from ...network import Action, Network
from ...network.parameters import check_fit
from ...network.values import at, entries, mapping, plain
from ...neurons.surrogates import is_number
from ...storage import write_atomically
from ..learner import Learner
from .replay_memory import ReplayMemory

FORMAT, VERSION = "spikeloom.reinforcement", 1
_PARTS = ("network", "memory", "optimizer")


@dataclass(frozen=True)
class Session:
    """What is kept of a pipeline; settings: what must be equal where it goes on. `rewards` is changed in place."""

    network: Network
    generator: np.random.Generator
    memory: ReplayMemory | None
    rewards: list[float]
    settings: Mapping[str, Any]

    def learners(self) -> Iterator[Learner]:
        """Those with an optimizer."""
        for learner in self.network.learners:
            if isinstance(learner, Learner) and learner._optimizer is not None:
                yield learner

    def tensors(self) -> dict[str, Tensor]:
        """Every array, by name."""
        found = {f"network.{name}": value for name, value in self.network.state_dict().items()}
        if self.memory is not None:
            found |= {f"memory.{name}": torch.from_numpy(part) for name, part in self.memory.arrays().items()}
        for learner in self.learners():
            for k, values in learner.optim.state_dict()["state"].items():
                found |= {f"optimizer.{learner.path}.{k}.{n}": v for n, v in values.items() if isinstance(v, Tensor)}
        return {name: value.detach().cpu().clone().contiguous() for name, value in found.items()}

    def values(self) -> dict[str, Any]:
        """Everything else, as JSON values."""
        optimizers = {
            learner.path: {
                "groups": learner.optim.state_dict()["param_groups"],
                "schedule": None if learner.schedule is None else learner.schedule.state_dict(),
            }
            for learner in self.learners()
        }
        return {
            "format": FORMAT, "version": VERSION, "settings": dict(self.settings), "rewards": list(self.rewards),
            "generators": [g.bit_generator.state for g in (self.network.generator, self.generator)],
            "epsilon": {action.path: action.epsilon for action in self.network.of_kind(Action)},
            "optimizers": optimizers,
        }  # fmt: skip

    def restore(self, values: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
        """Takes what was kept."""
        parts: dict[str, dict[str, Tensor]] = {part: {} for part in _PARTS}
        for name, value in tensors.items():
            part, _, own = name.partition(".")
            parts[part][own] = value
        self.network.load_state_dict(dict(parts["network"]))
        if self.memory is not None:
            self.memory.load({name: value.numpy() for name, value in parts["memory"].items()})
        for learner in self.learners():
            _restore_optimizer(learner, values["optimizers"][learner.path], parts["optimizer"])
        states = values["generators"]
        for generator, state in zip((self.network.generator, self.generator), states, strict=True):
            generator.bit_generator.state = state
        for action in self.network.of_kind(Action):
            action.epsilon = values["epsilon"][action.path]
        self.rewards[:] = values["rewards"]


def _restore_optimizer(learner: Learner, values: Any, tensors: Mapping[str, Tensor]) -> None:
    kept = entries("an optimizer", values, ("groups", "schedule"))
    _check_alike("groups", kept["groups"], learner.optim.state_dict()["param_groups"])
    if learner.schedule is not None:
        _check_alike("schedule", kept["schedule"], learner.schedule.state_dict())
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        path, number, own = name.rsplit(".", 2)
        if path == learner.path:
            state.setdefault(int(number), {})[own] = value
    shapes = [p.shape for group in learner.optim.param_groups for p in group["params"]]
    for k, own_values in state.items():
        if not 0 <= k < len(shapes) or any(v.shape not in (shapes[k], ()) for v in own_values.values()):
            raise DataError(f"optimizer {learner.path!r}: what it keeps of parameter {k} does not fit that parameter")
    learner.optim.load_state_dict({"state": state, "param_groups": kept["groups"]})
    if learner.schedule is not None:
        learner.schedule.load_state_dict(kept["schedule"])


def _check_alike(what: str, given: Any, own: Any) -> None:
    """Raises DataError unless given values are of the kinds, and in the structure, of those that are here."""
    if isinstance(own, Mapping):
        for name, value in entries(what, given, tuple(own)).items():
            _check_alike(f"{what}.{name}", value, own[name])
    elif isinstance(own, (list, tuple)):
        if not isinstance(given, list) or len(given) != len(own):
            raise DataError(f"{what} must be a list of {len(own)}, got {given!r:.80}")
        for k, (value, here) in enumerate(zip(given, own, strict=True)):
            _check_alike(f"{what}.{k}", value, here)
    elif not (given is None if own is None else _kind(given) is _kind(own)):
        raise DataError(f"{what} must be of the kind of {own!r:.80}, got {given!r:.80}")


def _kind(value: Any) -> type:
    return float if is_number(value) else type(value)


def save_session(path: Path, session: Session) -> None:
    """Writes a session; the earlier file stays until it is done."""
    text = json.dumps(plain("the pipeline", session.values()), allow_nan=False)
    write_atomically(path, safetensors_bytes(session.tensors(), metadata={"spikeloom": text}))


def load_session(path: Path, session: Session) -> None:
    """Puts what a file holds into a session; DataError, and no change, where it does not fit it."""
    if not path.is_file():
        raise StorageError(f"cannot read the checkpoint {path}: there is no such file")
    before = plain("the pipeline", session.values()), session.tensors()
    with at(str(path)):
        values, tensors = _read(path, session)
        try:
            session.restore(values, tensors)
        except (LookupError, TypeError, ValueError, RuntimeError, AttributeError) as error:
            session.restore(*before)
            raise DataError(f"it does not fit this pipeline: {error}") from error


def _read(path: Path, session: Session) -> tuple[dict[str, Any], dict[str, Tensor]]:
    try:
        with safe_open(path, framework="pt") as opened:
            values = _checked(json.loads((opened.metadata() or {}).get("spikeloom", "null")), session)
            names = list(opened.keys())
            shapes = {name: tuple(opened.get_slice(name).get_shape()) for name in names}
            if strays := [name for name in names if name.partition(".")[0] not in _PARTS]:
                raise DataError(f"it holds {strays[0]!r:.80}, which is no part of a pipeline")
            own = {n.partition(".")[2]: shape for n, shape in shapes.items() if n.startswith("network.")}
            check_fit(own, session.network.specs())
            return values, {name: opened.get_tensor(name) for name in names}
    except (SafetensorError, OSError, json.JSONDecodeError, RecursionError) as error:
        raise DataError(f"it is torn, or no checkpoint of a pipeline: {error}") from error


def _checked(values: Any, session: Session) -> dict[str, Any]:
    """The JSON values of a file, which are those of such a pipeline."""
    if not isinstance(values, dict) or values.get("format") != FORMAT:
        raise DataError("it is no checkpoint of a pipeline")
    if values.get("version") != VERSION:
        raise DataError(f"its version is {values.get('version')!r}, this release reads {VERSION}")
    entries("it", values, tuple(session.values()))
    for name, here in session.settings.items():
        there = mapping("settings", values["settings"]).get(name)
        if there != here:
            raise ParameterError(f"its {name} is {there!r}, here it is {here!r}")
    rewards = values["rewards"]
    numbers = isinstance(rewards, list) and all(type(r) in (int, float) and math.isfinite(r) for r in rewards)
    if not numbers or not isinstance(values["generators"], list):
        raise DataError("rewards must be a list of numbers, generators a list of states")
    for path, epsilon in mapping("epsilon", values["epsilon"]).items():
        if not is_number(epsilon) or not 0 <= epsilon <= 1:
            raise DataError(f"epsilon of {path!r:.80} must be a probability, got {epsilon!r:.80}")
    for name, own in (("epsilon", session.network.of_kind(Action)), ("optimizers", list(session.learners()))):
        if set(mapping(name, values[name])) != {part.path for part in own}:
            raise DataError(
                f"its {name} are of {', '.join(values[name]) or 'nothing'}, not of this network's components"
            )
    return values
