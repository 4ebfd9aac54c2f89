"""What a training run is: every choice of `spikeloom train`, checked at the door."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator

from ..errors import DataError, ParameterError, StorageError
from ..registry import did_you_mean
from ..units import duration_steps

_MAX_BYTES = 1 << 20
_MAX_STEPS = 1_000_000
"""How many steps a sample may have."""


class TrainConfig(BaseModel):
    """The settings of a training run; times in ms.

    data: 'digits', or 'mnist' with data_dir. hidden: the sizes of the hidden layers. gain: weights start normal with
    standard deviation gain / sqrt(fan in). pop_size: neurons that vote for one class. record_seconds: how much of the
    test is recorded, in seconds of model time (each batch lasts `time`).
    """

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=(), allow_inf_nan=False)

    data: str = "digits"
    data_dir: str | None = None
    test_fraction: float = Field(0.25, gt=0, lt=1)
    encoding: str = "poisson"
    encoding_options: dict[str, float] = {}
    hidden: tuple[int, ...] = (200,)
    model: str = "lif"
    parameters: dict[str, float] = {"tau_m": 5.0}
    gain: float = Field(1.0, gt=0)
    pop_size: int = Field(10, ge=1)
    dt: float = Field(1.0, gt=0)
    time: float = Field(30.0, gt=0)
    algorithm: str = "STCA"
    algorithm_options: dict[str, float] = {}
    optimizer: str = "AdamW"
    lr: float = Field(5e-3, gt=0)
    schedule: str | None = "CosineAnnealingLR"
    schedule_options: dict[str, int | float | str | list[float]] | None = None
    loss: str = "cross_entropy"
    epochs: int = Field(20, ge=1)
    batch_size: int = Field(64, ge=1)
    record_seconds: float = Field(0.3, gt=0)
    seed: int = Field(0, ge=0)
    device: str = "cpu"
    threads: int = Field(1, ge=1)

    @field_validator("*", mode="before")
    @classmethod
    def _without_booleans(cls, value: Any, info: ValidationInfo) -> Any:
        """The value; no setting is a yes or no, and Python would take True for 1."""
        inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else [value]
        if any(isinstance(v, bool) for v in inside):
            raise ValueError("must not be true or false; give a number or a name")
        return value

    @field_validator("hidden", mode="before")
    @classmethod
    def _layers(cls, value: Any) -> list[int]:
        """Sizes from one size, from several, or from a text of them such as '400,200'."""
        sizes = value.split(",") if isinstance(value, str) else value if isinstance(value, (list, tuple)) else [value]
        texts = [str(size).strip() for size in sizes]
        if not all(text.isdecimal() and int(text) > 0 for text in texts):
            raise ValueError("must be sizes of layers, whole numbers from 1 on, such as 200 or 400,200")
        return [int(text) for text in texts]

    @field_validator("time")
    @classmethod
    def _at_most_a_million_steps(cls, time: float, info: ValidationInfo) -> float:
        dt = info.data.get("dt")
        if dt is not None and duration_steps(time, dt) > _MAX_STEPS:
            raise ValueError(f"must be at most {_MAX_STEPS:,} steps of dt = {dt:g} ms a sample")
        return time


def config_from(values: Mapping[str, Any]) -> TrainConfig:
    """The settings with defaults in place; ParameterError that names each wrong one."""
    try:
        return TrainConfig(**dict(values))
    except ValidationError as error:
        raise ParameterError("; ".join(_sentence(e) for e in error.errors())) from error


def _sentence(error: Any) -> str:
    name = ".".join(map(str, error["loc"]))
    if error["type"] == "extra_forbidden":
        known = TrainConfig.model_fields
        return f"config: unknown setting {name!r}{did_you_mean(name, known)} It has: {', '.join(known)}"
    message = error["msg"].removeprefix("Value error, ")
    return f"config.{name}: {message[:1].lower()}{message[1:]}, got {error['input']!r}"


def read_config(path: str | Path) -> dict[str, Any]:
    """The settings in a JSON or YAML file, as they stand there; DataError where it is neither."""
    path = Path(path)
    try:
        text = path.read_bytes()
    except OSError as error:
        raise StorageError(f"cannot read the config {path}: {error.strerror or error}") from error
    if len(text) > _MAX_BYTES:
        raise DataError(f"{path} has {len(text)} bytes; a config has at most {_MAX_BYTES}")
    try:
        values = json.loads(text) if path.suffix == ".json" else yaml.safe_load(text)
    except (json.JSONDecodeError, yaml.YAMLError, UnicodeDecodeError) as error:
        raise DataError(f"{path} is not a JSON or YAML file: {error}") from error
    if not isinstance(values, dict) or not all(isinstance(key, str) for key in values):
        raise DataError(f"{path} must hold settings by name, got {type(values).__name__}")
    return values
