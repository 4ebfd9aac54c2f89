"""Where the parts of a session lie.

<session>/nodes/<node>.h5               one writer each; /spikes/<node>/<layer>/t_<ns>, /membrane and /weights
                                        likewise, /metadata the settings, as JSON texts
<session>/simulation_data.h5            links to all nodes, always complete: moved into place
<session>/control_states.<node>.jsonl   one control state a line, joined as control_states.jsonl
<session>/recording_statistics.json     counts, and why recording stopped
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py

from ..errors import DataError, ParameterError
from ..storage import write_atomically

FORMAT = 1
"""The version of the layout, under /metadata/format."""
KINDS = ("spikes", "membrane", "weights")
"""The recorded variables: groups at the top of a node's file."""
_NAME = re.compile(r"\w(?:[\w.\- ]{0,98}[\w\-])?")
_KEY = re.compile(r"t_(\d{1,19})")


def check_name(name: str, owner: str) -> str:
    """The name, when it can name a file and a group; ParameterError otherwise."""
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ParameterError(
            f"{owner} must be 1 to 100 letters, digits, '_', '-', '.' or blanks that begin with a letter, digit "
            f"or '_' and do not end in '.' or a blank, got {name!r}"
        )
    return name


def is_name(name: str) -> bool:
    """Whether a name found in a file is one that a recorder can have written."""
    return _NAME.fullmatch(name) is not None


def batch_key(t_start: float) -> str:
    """`t_<ns>`, the name of the batch that begins at a model time in ms."""
    return f"t_{round(t_start * 1e6)}"


def key_time(key: str) -> int | None:
    """The model time in ns that a batch's name states, or None for another name."""
    found = _KEY.fullmatch(key)
    return int(found[1]) if found else None


def node_file(session: Path, node: str) -> Path:
    """The HDF5 file of a node."""
    return session / "nodes" / f"{node}.h5"


def control_file(session: Path, node: str) -> Path:
    """The control states of a node."""
    return session / f"control_states.{node}.jsonl"


def node_names(session: Path) -> list[str]:
    """The nodes that have a file, sorted."""
    return sorted(path.stem for path in (session / "nodes").glob("*.h5") if is_name(path.stem))


def write_links(session: Path) -> None:
    """Writes simulation_data.h5 with a link to each part of every node's file."""
    content = io.BytesIO()
    with h5py.File(content, "w") as file:
        for node in node_names(session):
            name = f"nodes/{node}.h5"
            for kind in KINDS:
                file[f"{kind}/{node}"] = h5py.ExternalLink(name, f"/{kind}/{node}")
            file[f"metadata/{node}"] = h5py.ExternalLink(name, "/metadata")
    write_atomically(session / "simulation_data.h5", content.getvalue())


def write_control_states(session: Path) -> None:
    """Joins the control states of all nodes, where there are any, in control_states.jsonl."""
    states = read_control_states(session)
    if not states:
        return
    text = "".join(json_text(state, "control state") + "\n" for state in states)
    write_atomically(session / "control_states.jsonl", text.encode())


def write_statistics(session: Path, statistics: Mapping[str, Any]) -> None:
    """Writes recording_statistics.json."""
    text = json.dumps(statistics, indent=2, ensure_ascii=False) + "\n"
    write_atomically(session / "recording_statistics.json", text.encode())


def read_control_states(session: Path) -> list[dict[str, Any]]:
    """The control states of all nodes in the order of their timestamps; a last line that was cut off is left out."""
    files = sorted(session.glob("control_states.*.jsonl")) or sorted(session.glob("control_states.jsonl"))
    states: list[dict[str, Any]] = []
    for path in files:
        for number, line in enumerate(path.read_bytes().splitlines(keepends=True), start=1):
            if line.endswith(b"\n"):
                states.append(_control_state(line, f"{path.name}, line {number}"))
    return sorted(states, key=lambda state: float(state["timestamp"]))


def _control_state(line: bytes, owner: str) -> dict[str, Any]:
    try:
        state = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{owner} must be one control state in JSON, got {line[:60]!r}") from error
    if not (
        isinstance(state, dict)
        and isinstance(state.get("node_id"), str)
        and isinstance(state.get("status"), str)
        and isinstance(state.get("timestamp"), (int, float))
        and isinstance(state.get("step_count"), int)
    ):
        raise DataError(f"{owner} must hold node_id, status, step_count and timestamp, got {line[:60]!r}")
    return state


def json_text(value: Any, owner: str) -> str:
    """The value as JSON, NumPy numbers and arrays included; ParameterError for what JSON cannot hold."""
    try:
        return json.dumps(value, default=_plain, ensure_ascii=False)
    except (TypeError, ValueError) as error:
        raise ParameterError(f"{owner} must consist of numbers, texts, lists and mappings: {error}") from error


def _plain(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, (tuple, set, frozenset)):
        return sorted(value)
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} {value!r} is not JSON")
