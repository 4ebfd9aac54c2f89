"""All that a pipeline needs to go on as if it had never stopped, in one file: safetensors with JSON in its header.

Nothing in the file is run; names, shapes and types are compared with those of the pipeline before any array is read.
"""

from __future__ import annotations

import inspect
import json
import math
from collections import Counter
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
_PARTS = ("network.", "memory.", "optimizer.", "random.torch")
_TYPES = {
    "memory.states": "F32", "memory.next_states": "F32", "memory.actions": "I64", "memory.rewards": "F32",
    "memory.ended": "BOOL", "memory.next": "I64", "random.torch": "U8",
}  # fmt: skip
_NUMBERS = {"F16", "F32", "F64", "I8", "I16", "I32", "I64", "U8", "BOOL"}


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
        found["random.torch"] = torch.get_rng_state()  # of torch modules, such as dropout
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
                "schedule": None if learner.schedule is None else _written(learner.schedule.state_dict()),
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
        parts: dict[str, dict[str, Tensor]] = {part.partition(".")[0]: {} for part in _PARTS}
        for name, value in tensors.items():
            part, _, own = name.partition(".")
            parts[part][own] = value
        self.network.load_state_dict(dict(parts["network"]))
        if self.memory is not None:
            self.memory.load({name: value.numpy() for name, value in parts["memory"].items()})
        for learner in self.learners():
            _restore_optimizer(learner, values["optimizers"][learner.path], parts["optimizer"])
        torch.set_rng_state(parts["random"]["torch"])
        states = values["generators"]
        for generator, state in zip((self.network.generator, self.generator), states, strict=True):
            generator.bit_generator.state = state
        for action in self.network.of_kind(Action):
            action.epsilon = values["epsilon"][action.path]
        self.rewards[:] = values["rewards"]


def _restore_optimizer(learner: Learner, values: Any, tensors: Mapping[str, Tensor]) -> None:
    kept = entries("an optimizer", values, ("groups", "schedule"))
    groups = _alike("groups", kept["groups"], learner.optim.state_dict()["param_groups"])
    schedule = None if learner.schedule is None else _schedule(kept["schedule"], learner.schedule)
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        path, number, own = name.rsplit(".", 2)
        if path == learner.path:
            state.setdefault(int(number), {})[own] = value
    made = _first_state(learner.optim, groups) if state else {}
    for k, values_of in state.items():
        needed = {n: (v.shape, v.dtype) for n, v in made.get(k, {}).items() if isinstance(v, Tensor)}
        if needed != {n: (v.shape, v.dtype) for n, v in values_of.items()}:
            raise DataError(f"optimizer {learner.path!r}: what it keeps of parameter {k} does not fit that parameter")
    learner.optim.load_state_dict({"state": state, "param_groups": groups})
    if schedule is not None:
        learner.schedule.load_state_dict(schedule)


def _first_state(optimizer: torch.optim.Optimizer, groups: list[dict[str, Any]]) -> dict[int, dict[str, Any]]:
    """What an optimizer with these settings keeps of each parameter after its first step, from a step of zeros."""
    twins = []
    for settings, own in zip(groups, optimizer.param_groups, strict=True):
        zeros = [torch.zeros_like(p).requires_grad_() for p in own["params"]]
        for zero in zeros:
            zero.grad = torch.zeros_like(zero)
        twins.append(settings | {"params": zeros})
    made: Any = type(optimizer)
    twin = made(twins)
    twin.step()
    found: dict[int, dict[str, Any]] = twin.state_dict()["state"]
    return found


def _schedule(given: Any, schedule: Any) -> dict[str, Any]:
    """The state of a schedule, of which what it was made with must be what it was made with here."""
    own = schedule.state_dict()
    found: dict[str, Any] = _alike("schedule", given, own)
    for name in inspect.signature(type(schedule)).parameters:
        if name in own and name != "last_epoch" and found[name] != own[name]:
            raise DataError(f"schedule.{name} is {found[name]!r:.80}, here it is {own[name]!r:.80}")
    return found


def _written(value: Any) -> Any:
    """A value as JSON can hold it: counts as a list of what was counted, infinity as a text."""
    if isinstance(value, Counter):
        return sorted(value.elements())
    if isinstance(value, Mapping):
        return {name: _written(v) for name, v in value.items()}
    return str(value) if isinstance(value, float) and math.isinf(value) else value


def _alike(what: str, given: Any, own: Any) -> Any:
    """Given values as they were before `_written`; DataError unless they fit those that are here.

    Numbers may differ, from 0 on where they are settings of an optimizer; switches and names may not.
    """
    if isinstance(own, Counter):
        if not isinstance(given, list) or not all(type(k) is int for k in given):
            raise DataError(f"{what} must be a list of whole numbers, got {given!r:.80}")
        return Counter(given)
    if isinstance(own, Mapping):
        return {name: _alike(f"{what}.{name}", v, own[name]) for name, v in entries(what, given, tuple(own)).items()}
    if isinstance(own, (list, tuple)):
        if not isinstance(given, list) or len(given) != len(own):
            raise DataError(f"{what} must be a list of {len(own)}, got {given!r:.80}")
        fixed = what.endswith(".params")
        return [_same(f"{what}.{k}", *two) if fixed else _alike(f"{what}.{k}", *two)
                for k, two in enumerate(zip(given, own, strict=True))]  # fmt: skip
    if type(own) not in (int, float):
        return _same(what, given, own)
    of_optimizer = what.startswith("groups.")
    if given in ("inf", "-inf") and not of_optimizer:
        return float(given)
    if not is_number(given) or (of_optimizer and own >= 0 > given):
        raise DataError(f"{what} must be of the kind of {own!r:.80}, got {given!r:.80}")
    return given


def _same(what: str, given: Any, own: Any) -> Any:
    if type(given) is not type(own) or given != own:
        raise DataError(f"{what} is {given!r:.80}, here it is {own!r:.80}")
    return own


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
        except Exception as error:
            session.restore(*before)
            raise DataError(f"it does not fit this pipeline: {error}") from error


def _read(path: Path, session: Session) -> tuple[dict[str, Any], dict[str, Tensor]]:
    try:
        with safe_open(path, framework="pt") as opened:
            values = _checked(json.loads((opened.metadata() or {}).get("spikeloom", "null")), session)
            names = list(opened.keys())
            shapes = {name: tuple(opened.get_slice(name).get_shape()) for name in names}
            if strays := [name for name in names if not name.startswith(_PARTS)]:
                raise DataError(f"it holds {strays[0]!r:.80}, which is no part of a pipeline")
            own = {n.partition(".")[2]: shape for n, shape in shapes.items() if n.startswith("network.")}
            check_fit(own, session.network.specs())
            _check_arrays(session, opened, names)
            tensors = {name: opened.get_tensor(name) for name in names}
    except (SafetensorError, OSError, json.JSONDecodeError, RecursionError) as error:
        raise DataError(f"it is torn, or no checkpoint of a pipeline: {error}") from error
    for name, value in tensors.items():
        if not value.isfinite().all():
            raise DataError(f"{name!r:.80} holds NaN or infinity")
    return values, tensors


def _check_arrays(session: Session, opened: Any, names: list[str]) -> None:
    """Raises DataError for a type, states that are none of this environment, actions that it lacks, or a stray."""
    paths = {learner.path for learner in session.learners()}
    for name in names:
        part, shape = opened.get_slice(name), session.settings["observation"]
        if part.get_dtype() not in ({_TYPES[name]} if name in _TYPES else _NUMBERS):
            raise DataError(f"{name!r:.80} must be of {_TYPES.get(name, 'a usual type')}, got {part.get_dtype()}")
        if name in ("memory.states", "memory.next_states") and part.get_shape()[1:] != shape:
            raise DataError(f"{name} must be of shape (n, {str(shape)[1:-1]}), got {tuple(part.get_shape())}")
        if name.startswith("optimizer.") and name.count(".") >= 3:
            path = name.removeprefix("optimizer.").rsplit(".", 2)[0]
            if path not in paths:
                raise DataError(f"the network has no learner {path!r:.80} for {name!r:.80}")
    if "memory.actions" in names:
        actions = opened.get_tensor("memory.actions")
        if actions.numel() and not 0 <= int(actions.min()) <= int(actions.max()) < session.settings["actions"]:
            raise DataError(f"memory.actions must be from 0 to {session.settings['actions'] - 1}")


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
