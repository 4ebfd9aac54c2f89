"""Where the parts of a session lie.

<session>/nodes/<node>.h5                     one writer each; /spikes/<node>/<layer>/t_<ns>, /membrane and /weights
                                              likewise, /variables/<node>/<layer>/<observable>/t_<ns>, /metadata the
                                              settings, as JSON texts
<session>/simulation_data.h5                  links to all nodes, always complete: moved into place
<session>/control_states.<node>.jsonl         one control state a line, joined as control_states.jsonl
<session>/recording_statistics.<8 hex>.json   what each recorder says of itself, joined as recording_statistics.json
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable, Mapping, Sequence
from math import isfinite
from pathlib import Path
from stat import S_ISREG
from typing import Any, TextIO, TypeVar

import h5py

from ..errors import DataError, ParameterError
from ..storage import write_atomically

FORMAT = 2
"""The version of the layout, under /metadata/format; 1 did not pad the names of batches with zeros."""
LINKS = "simulation_data.h5"
"""The file that links to those of all nodes."""
KINDS = ("spikes", "membrane", "weights", "variables")
"""The recorded variables: groups at the top of a node's file."""
OWN_KINDS = {"spikes": "spikes", "v": "membrane"}
"""The kinds of the observables that have one of their own; all others are variables."""
_NAME = re.compile(r"\w(?:[\w.\- ]{0,98}[\w\-])?")
_KEY = re.compile(r"t_(\d{1,19})")
_MOST_LOOKS = 100

T = TypeVar("T")


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
    """`t_<ns>`, 19 digits, the name of the batch that begins at a model time in ms: names are in the order of time."""
    return f"t_{nanoseconds(t_start):019}"


def nanoseconds(t: float) -> int:
    """A model time in ms in whole ns."""
    return round(t * 1e6)


def key_time(key: str) -> int | None:
    """The model time in ns that a batch's name states, or None for another name."""
    found = _KEY.fullmatch(key)
    return int(found[1]) if found else None


def observable_path(node: str, layer: str, observable: str) -> tuple[str, ...]:
    """Node, kind and the names below, where an observable of a layer, or its 'weights', lie in the node's file."""
    if observable == "weights":
        return node, "weights", layer
    kind = OWN_KINDS.get(observable)
    return (node, "variables", layer, observable) if kind is None else (node, kind, layer)


def node_file(session: Path, node: str) -> Path:
    """The HDF5 file of a node."""
    return session / "nodes" / f"{node}.h5"


def control_file(session: Path, node: str) -> Path:
    """The control states of a node."""
    return session / f"control_states.{node}.jsonl"


def new_control_file(session: Path, node: str) -> TextIO:
    """The file of a node's control states, empty; ParameterError when there is one, which is another recorder's."""
    try:
        return control_file(session, node).open("x", encoding="utf-8")
    except FileExistsError as error:
        raise node_taken(session, node) from error


def node_taken(session: Path, node: str) -> ParameterError:
    """The error of a node that another recorder of the session records or has recorded."""
    return ParameterError(
        f"session {session.name!r} holds a recording of node {node!r} already; "
        "choose another RecorderConfig.session_name or node_id"
    )


def node_names(session: Path) -> list[str]:
    """The nodes that have a file of their own with something in it, sorted; a writer's file is empty for a moment."""
    # A folder that changes while it is listed may name a file twice.
    found = {path for path in (session / "nodes").glob("*.h5") if is_name(path.stem) and _has_content(path)}
    return sorted(path.stem for path in found)


def _has_content(path: Path) -> bool:
    """Whether a path is a file with something in it, and no link; one that has just gone is none."""
    try:
        status = path.lstat()
    except OSError:
        return False
    return S_ISREG(status.st_mode) and status.st_size > 0


def write_links(session: Path) -> None:
    """Writes simulation_data.h5 with a link to each part of every node's file, those that appear meanwhile included."""

    def write(nodes: Sequence[str]) -> None:
        write_atomically(session / LINKS, _links(nodes))

    write_settled(lambda: node_names(session), write)


def _links(nodes: Sequence[str]) -> bytes:
    content = io.BytesIO()
    with h5py.File(content, "w") as file:
        for node in nodes:
            name = f"nodes/{node}.h5"
            for kind in KINDS:
                file[f"{kind}/{node}"] = h5py.ExternalLink(name, f"/{kind}/{node}")
            file[f"metadata/{node}"] = h5py.ExternalLink(name, "/metadata")
    return content.getvalue()


def write_control_states(session: Path) -> None:
    """Joins the control states of all nodes, where there are any, in control_states.jsonl.

    A recorder calls it once its own are written and it has said that it stopped or closed.
    """

    def write(_: object) -> None:
        text = "".join(json_text(state, "control state") + "\n" for state in read_control_states(session))
        write_atomically(session / "control_states.jsonl", text.encode())

    if any(session.glob("control_states.*.jsonl")):
        write_settled(lambda: _said(session), write)


def _said(session: Path) -> list[tuple[str, int, int]]:
    """What changes when a recorder of the session says something of itself, and not with each control state."""
    parts = [(path.name, path.stat()) for path in session.glob("recording_statistics.*.json")]
    return sorted((name, stat.st_ino, stat.st_mtime_ns) for name, stat in parts)


def write_statistics(session: Path, statistics: Mapping[str, Any]) -> None:
    """Writes recording_statistics.json."""
    text = json.dumps(statistics, indent=2, ensure_ascii=False) + "\n"
    write_atomically(session / "recording_statistics.json", text.encode())


def write_settled(look: Callable[[], T], write: Callable[[T], None]) -> None:
    """Writes what is made of what `look` sees, again while it then sees something else, a few times at most.

    Of several processes that do so, each after a change of its own, the last one to write has seen all changes.
    """
    seen: list[T] = []
    while len(seen) < _MOST_LOOKS and (now := look()) not in seen[-1:]:
        write(now)
        seen.append(now)


def read_control_states(session: Path) -> list[dict[str, Any]]:
    """The control states of all nodes in the order of model time and step; a last line that was cut off is left out.

    States of which some do not tell the model time `t` in ms are in the order of their timestamps.
    """
    files = sorted(session.glob("control_states.*.jsonl")) or sorted(session.glob("control_states.jsonl"))
    states: list[dict[str, Any]] = []
    for path in files:
        with path.open("rb") as lines:
            for number, line in enumerate(lines, start=1):
                if line.endswith(b"\n"):
                    states.append(_control_state(line, f"{path.name}, line {number}"))
    if all("t" in state for state in states):
        return sorted(states, key=lambda state: (state["t"], state["step_count"], state["timestamp"]))
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
        and _is_time(state.get("timestamp"))
        and isinstance(state.get("step_count"), int)
        and _is_time(state.get("t", 0))
    ):
        raise DataError(f"{owner} must hold node_id, status, step_count and timestamp, got {line[:60]!r}")
    return state


def is_control_state(line: bytes) -> bool:
    """Whether a line of a file of control states holds one, and was not cut off."""
    try:
        _control_state(line, "line")
    except DataError:
        return False
    return line.endswith(b"\n")


def _is_time(value: object) -> bool:
    return isinstance(value, (int, float)) and abs(value) < 1 << 62 and isfinite(value)


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
