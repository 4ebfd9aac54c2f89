"""What stands at the ends of a network as plain values, and back: inputs, decoders, monitors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from ..errors import DataError
from .actions import ACTION_METHODS, Action
from .component import Component
from .decoder import Decoder
from .decodings import DECODINGS
from .encoder import Encoder
from .generator import Generator
from .members import Members, Paths, member, path_of, shape_of
from .monitors import SpikeMonitor, StateMonitor
from .population import InputPopulation
from .rewards import REWARDS, Reward
from .values import entries, made, mapping, settings_of

GENERATOR, WATCHER = 0.25, 1.5
"""The stages at which these are made: generators after the populations they write into and before the connections that
start from them, monitors after connections."""


def describe_encoder(encoder: Encoder, paths: Paths) -> dict[str, Any]:
    """Shape, coding and options, and the window and time step where they are given."""
    given = {"time": encoder.time, "dt": encoder.dt}
    return _coding(encoder) | {name: value for name, value in given.items() if value is not None}


def encoder_from(values: dict[str, Any], members: Members) -> Encoder:
    """The encoder that was described."""
    entries("an encoder", values, ("shape", "coding_method", "options"), ("time", "dt"))
    given = {name: values[name] for name in ("time", "dt") if name in values}
    return Encoder(shape=shape_of(values), coding_method=_method(values), **given, **_options(values, ("time", "dt")))


def describe_input(population: InputPopulation, paths: Paths) -> dict[str, Any]:
    """Shape, input model and its parameters."""
    return {"shape": population.shape, "model": population.coding_method, "parameters": asdict(population.neuron)}


def input_from(values: dict[str, Any], members: Members) -> InputPopulation:
    """The input population that was described."""
    entries("an input population", values, ("shape", "model", "parameters"))
    parameters = mapping("parameters", values["parameters"])
    if not isinstance(values["model"], str) or "name" in parameters:
        raise DataError(f"model must be the name of an input model with its parameters, got {values['model']!r:.80}")
    return InputPopulation(values["model"], shape_of(values), **parameters)


def describe_generator(generator: Generator, paths: Paths) -> dict[str, Any]:
    """Shape, coding and options, its source, and the target and port that it writes into, where it has them."""
    described = _coding(generator)
    if generator.source is not None:
        described["source"] = generator.source.tolist()
    if generator.target is not None:
        described["target"] = path_of(generator, "target", generator.target, paths)
        described["port"] = generator.wires[0].port
    return described


def generator_from(values: dict[str, Any], members: Members) -> Generator:
    """The generator that was described."""
    entries("a generator", values, ("shape", "coding_method", "options"), ("source", "target", "port"))
    target: Any = member("target", values["target"], members) if "target" in values else None
    port = values.get("port")
    if not isinstance(port, (str, type(None))):
        raise DataError(f"port must be a name, got {port!r:.80}")
    aside = {"shape": shape_of(values), "source": values.get("source"), "dec_target": target, "coding_var_name": port}
    return Generator(coding_method=_method(values), **aside, **_options(values, aside))


def describe_decoder(decoder: Decoder, paths: Paths) -> dict[str, Any]:
    """Target, coding and options, and what it reads where that is not the coding's own choice."""
    target = path_of(decoder, "target", decoder.target, paths)
    described = {"target": target, "coding_method": decoder.coding_method, "options": settings_of(decoder.decoding)}
    own = decoder.variable == decoder.decoding.variable
    return described if own else described | {"coding_var_name": decoder.variable}


def decoder_from(values: dict[str, Any], members: Members) -> Decoder:
    """The decoder that was described."""
    entries("a decoder", values, ("target", "coding_method", "options"), ("coding_var_name",))
    options = settings_of(made("options", DECODINGS[values["coding_method"]], values["options"]))
    target: Any = member("target", values["target"], members)
    variable = values.get("coding_var_name")
    return Decoder(dec_target=target, coding_method=values["coding_method"], coding_var_name=variable, **options)


def describe_action(action: Action, paths: Paths) -> dict[str, Any]:
    """Target, number, method and options, epsilon, and what it reads where that is not the method's own choice."""
    described = {"target": path_of(action, "target", action.target, paths), "num": action.num}
    described |= {"coding_method": action.coding_method, "options": settings_of(action.choice)}
    described |= {"epsilon": action.epsilon} if action.epsilon else {}
    own = action.variable == action.choice.variable
    return described if own else described | {"coding_var_name": action.variable}


def action_from(values: dict[str, Any], members: Members) -> Action:
    """The action that was described."""
    entries("an action", values, ("target", "num", "coding_method", "options"), ("epsilon", "coding_var_name"))
    options = settings_of(made("options", ACTION_METHODS[values["coding_method"]], values["options"]))
    aside = {name: values[name] for name in ("num", "epsilon", "coding_var_name") if name in values}
    target: Any = member("target", values["target"], members)
    return Action(dec_target=target, coding_method=values["coding_method"], **aside, **options)


def describe_reward(reward: Reward, paths: Paths) -> dict[str, Any]:
    """Target, method and options, and every how many steps it judges; labels are not kept."""
    target = {} if reward.target is None else {"target": path_of(reward, "target", reward.target, paths)}
    described = {"coding_method": reward.coding_method, "options": settings_of(reward.judgement)}
    return target | described | {"dec_sample_step": reward.dec_sample_step}


def reward_from(values: dict[str, Any], members: Members) -> Reward:
    """The reward that was described."""
    entries("a reward", values, ("coding_method", "options", "dec_sample_step"), ("target",))
    options = settings_of(made("options", REWARDS[values["coding_method"]], values["options"]))
    target: Any = member("target", values["target"], members) if "target" in values else None
    every = values["dec_sample_step"]
    return Reward(dec_target=target, coding_method=values["coding_method"], dec_sample_step=every, **options)


_MONITOR = {"index": None, "dt": None, "get_grad": False, "nbatch": False}
"""The settings of a monitor that a file leaves out where they are these."""


def describe_monitor(monitor: StateMonitor | SpikeMonitor, paths: Paths) -> dict[str, Any]:
    """Target and observable, and the settings that are not the usual ones."""
    described = {"target": path_of(monitor, "target", monitor.target, paths), "variable": monitor.variable}
    given = {name: getattr(monitor, name) for name in _MONITOR}
    return described | {name: value for name, value in given.items() if value != _MONITOR[name]}


def monitor_from(kind: type[Any]) -> Callable[[dict[str, Any], Members], Component]:
    """What makes the monitor of a class that was described."""

    def build(values: dict[str, Any], members: Members) -> Component:
        entries("a monitor", values, ("target", "variable"), _MONITOR)
        if not isinstance(values["variable"], str):
            raise DataError(f"variable must be the name of an observable, got {values['variable']!r:.80}")
        if not isinstance(values.get("index", []), list):
            raise DataError(f"index must be a list of neurons, got {values['index']!r:.80}")
        given = {name: values[name] for name in _MONITOR if name in values}
        monitor: Component = kind(member("target", values["target"], members), values["variable"], **given)
        return monitor

    return build


def _coding(part: Encoder | Generator) -> dict[str, Any]:
    return {"shape": part.shape, "coding_method": part.coding_method, "options": part.options}


def _method(values: Mapping[str, Any]) -> str:
    if not isinstance(values["coding_method"], str):
        raise DataError(f"coding_method must be a name, got {values['coding_method']!r:.80}")
    return values["coding_method"]


def _options(values: Mapping[str, Any], aside: Any) -> dict[str, Any]:
    """The options of a coding; none of them may stand for another argument."""
    options = mapping("options", values["options"])
    for name, value in options.items():
        if name in (*aside, "num", "name", "coding_method", "shape"):
            raise DataError(f"options.{name} is no option of a coding")
        if not isinstance(value, (bool, int, float, str, type(None))):
            raise DataError(f"options.{name} must be a number or a text, got {value!r:.80}")
    return options
