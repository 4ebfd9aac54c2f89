"""The recording flags of a program, and the settings that they stand for."""

from __future__ import annotations

import inspect
from argparse import ArgumentParser, BooleanOptionalAction, Namespace
from collections.abc import Callable
from dataclasses import fields
from functools import wraps
from typing import Annotated, Any, NamedTuple, NoReturn, TypeVar

from ..errors import ParameterError
from ..registry import did_you_mean
from .config import RecorderConfig

R = TypeVar("R")


class Flag(NamedTuple):
    """A flag of a setting: the type of its value, and its help. Of type bool it has a twin `--no-...`."""

    setting: str
    type: type
    help: str

    @property
    def default(self) -> Any:
        """The setting's own."""
        return next(field.default for field in fields(RecorderConfig) if field.name == self.setting)


def _flags(*flags: Flag) -> dict[str, Flag]:
    renamed = {"output_dir": "recording_dir", "seed": "recording_seed"}
    return {renamed.get(flag.setting, flag.setting): flag for flag in flags}


FLAGS = _flags(
    Flag("enable_recording", bool, "Record at all."),
    Flag("record_spikes", bool, "Record spikes."),
    Flag("record_membrane", bool, "Record membrane potentials."),
    Flag("record_weights", bool, "Record snapshots of the weights."),
    Flag("record_control", bool, "Record the control states of nodes."),
    Flag("output_dir", str, "Folder in which sessions lie."),
    Flag("session_name", str, "Name of the session; processes that name the same one record into it together."),
    Flag("spike_subsample_rate", float, "Fraction of the spikes to keep, 0 < rate <= 1."),
    Flag("spike_subsample_mode", str, "Of what that fraction is kept: neurons, steps or spikes."),
    Flag("membrane_subsample_rate", float, "Fraction of the steps at which potentials are kept, 0 < rate <= 1."),
    Flag("max_recording_duration", float, "Simulated seconds after which a layer is recorded no further."),
    Flag("max_wall_seconds", float, "Seconds by the clock on the wall after which recording stops."),
    Flag("min_free_bytes", int, "Recording stops once the disk has less free space."),
    Flag("buffer_size", int, "Steps of layers that may be in memory and not yet on disk."),
    Flag("batch_steps", int, "Steps in the longest batch."),
    Flag("compression", str, "gzip or none."),
    Flag("compression_level", int, "1 (fast) to 9 (small)."),
    Flag("auto_flush", bool, "Write batches as they fill up."),
    Flag("flush_interval", float, "Seconds after which what waits is written, be it less than a batch."),
    Flag("weight_interval", float, "Simulated ms between snapshots of the weights."),
    Flag("fsync", bool, "Make each batch safe from a loss of power."),
    Flag("seed", int, "Seed of the random choice of neurons or spikes to keep."),
)
"""By the flag's name, with underscores."""


class RecordingOptions:
    """The recording flags that were given, by name; those that were not have the default of the setting.

    The names are those of RecorderConfig, but for `recording_dir` (output_dir) and `recording_seed` (seed).
    Raises ParameterError for a name that is no flag.
    """

    def __init__(self, **given: Any) -> None:
        for name in given:
            if name not in FLAGS:
                hint = did_you_mean(name, FLAGS)
                raise ParameterError(f"RecordingOptions: unknown option {name!r}{hint} It has: {', '.join(FLAGS)}")
        self.given = given

    @classmethod
    def of(cls, namespace: Namespace) -> RecordingOptions:
        """Those among the values of a parser."""
        return cls(**{name: value for name, value in vars(namespace).items() if name in FLAGS})

    @staticmethod
    def add_to(parser: ArgumentParser) -> None:
        """Gives a parser all recording flags; those that can be on have a twin `--no-...`."""
        group = parser.add_argument_group("recording")
        for name, flag in FLAGS.items():
            shown = f"{flag.help} Default: %(default)s."
            if flag.type is bool:
                group.add_argument(_dashed(name), action=BooleanOptionalAction, default=flag.default, help=shown)
            else:
                shown = flag.help if flag.default is None else shown
                group.add_argument(_dashed(name), type=flag.type, default=flag.default, help=shown, metavar="X")

    def config(self) -> RecorderConfig:
        """The settings; ParameterError names the flag of a value that a recording cannot have."""
        settings = {FLAGS[name].setting: value for name, value in self.given.items()}
        if settings.get("compression") == "none":
            settings["compression"] = None
        try:
            return RecorderConfig(**settings)
        except ParameterError as error:
            message = str(error)
            for name, flag in FLAGS.items():
                message = message.replace(f"RecorderConfig.{flag.setting} ", f"{_dashed(name)} ")
            raise ParameterError(message) from error


class FlagParser(ArgumentParser):
    """A parser that takes flags by their whole names only, and suggests the nearest for one that it does not know."""

    def __init__(self, description: str) -> None:
        super().__init__(description=description, allow_abbrev=False)

    def error(self, message: str) -> NoReturn:
        """Ends the program with the message and code 2."""
        label, _, words = message.partition(": ")
        if label == "unrecognized arguments":
            known = [flag for action in self._actions for flag in action.option_strings]
            unknown = words.split()[0]
            message = f"unknown option {unknown!r}{did_you_mean(unknown.partition('=')[0], known)}"
        super().error(message)


def with_recording_options(command: Callable[..., R]) -> Callable[..., R]:
    """A typer command with the recording flags as further options: its parameter `recording` gets RecordingOptions."""
    import typer

    @wraps(command)
    def called(**given: Any) -> R:
        recording = {name: given.pop(name) for name in FLAGS}
        return command(recording=RecordingOptions(**recording), **given)

    own = [p for p in inspect.signature(command, eval_str=True).parameters.values() if p.name != "recording"]
    kind = inspect.Parameter.KEYWORD_ONLY
    flags = [
        inspect.Parameter(
            name,
            kind,
            default=flag.default,
            annotation=Annotated[
                flag.type if flag.default is not None else flag.type | None, typer.Option(help=flag.help)
            ],
        )
        for name, flag in FLAGS.items()
    ]
    called.__signature__ = inspect.Signature([*(p.replace(kind=kind) for p in own), *flags])  # type: ignore[attr-defined]
    return called


def _dashed(name: str) -> str:
    return "--" + name.replace("_", "-")
