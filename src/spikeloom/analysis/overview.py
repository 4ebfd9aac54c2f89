"""What a session holds, in words and tables: layers, settings, gaps, and what its recorders said of themselves."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..errors import DataError
from ..recording import Run, Session
from ..recording.statistics import RecorderState
from ..recording.verify import KILLED
from .report import Table

INPUT = "input"
"""The layer of what an encoder sends, where no network is described."""
_MOST_ROWS = 200
"""A longer table is cut; its last row says so."""


def layers_of(session: Session, kind: str = "spikes") -> list[tuple[str, str]]:
    """The (node, layer) of a session, from input to output: as their network stands, else by name."""
    found = []
    for node in session.nodes():
        place = {name: k for k, name in enumerate(described(session, node))}
        names = sorted(session.layers(node, kind), key=lambda name: (name != INPUT, name == "output", _counted(name)))
        found += [(node, name) for name in sorted(names, key=lambda name: place.get(name, len(place)))]
    return found


def variables_of(session: Session) -> list[tuple[str, str, str]]:
    """The (node, layer, variable) that were recorded over time beside spikes: potentials, `v`, first."""
    potentials = [(*key, "v") for key in layers_of(session, "membrane")]
    others = [(*key, name) for key in layers_of(session, "variables") for name in session.observables(*key)]
    return [*potentials, *(found for found in others if found[2] not in ("spikes", "v"))]


def _counted(name: str) -> list[str | int]:
    """A name such that numbers in it are in order as numbers."""
    return [int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", name)]


def described(session: Session, node: str) -> Mapping[str, Mapping[str, Any]]:
    """What the network of a node said of each of its layers, in its order; empty where nothing was noted."""
    said = session.metadata(node).get("network")
    layers = said.get("layers") if isinstance(said, Mapping) else None
    if not isinstance(layers, Mapping):
        return {}
    return {name: entry for name, entry in layers.items() if isinstance(entry, Mapping)}


def is_input(session: Session, node: str, layer: str) -> bool:
    """Whether a layer is what an encoder or a generator sends: no neurons."""
    kind = described(session, node).get(layer, {}).get("kind")
    return kind != "group" if isinstance(kind, str) else layer == INPUT


def hz(rate: float) -> str:
    """A rate as text, in three digits or more."""
    return f"{rate:,.0f} Hz" if rate >= 1000 else f"{rate:.3g} Hz"


def samples(n: int) -> str:
    """A number of samples as text."""
    return f"{n:,} sample{'' if n == 1 else 's'}"


def name_in(session: Session, node: str, layer: str) -> str:
    """What a layer is called in a report: with its node where there are several."""
    return f"{node} / {layer}" if len(session.nodes()) > 1 else layer


def endings(session: Session) -> list[str]:
    """A sentence for each thing that ended a recording early: limits, full disks, recorders that never closed."""
    stopped = session.statistics().get("stopped_by")
    sentences = [_stop(str(stopped))] if stopped else []
    for recorder in session.recorders():
        if recorder.state != "recording":
            continue
        of = ", ".join(recorder.nodes) or "no node so far"
        if recorder.is_live:
            sentences.append(f"Recorder {recorder.recorder} ({of}) is still recording: what it had written is shown.")
        else:
            sentences.append(
                f"Recorder {recorder.recorder} ({of}) did not close, its process {recorder.status}: what it had "
                "written is whole, what waited in its buffer is not there."
            )
    return sentences


def _stop(reason: str) -> str:
    if reason == KILLED:
        return "The recording process was killed: what it had not written is not there."
    return f"Recording stopped by {reason}."


def gaps(session: Session) -> list[str]:
    """A sentence for each layer that was recorded during a part of its node's time only."""
    stretches = {}
    for key in [*((*layer, "spikes") for layer in layers_of(session)), *variables_of(session)]:
        try:
            stretches[key] = _joined(session.runs(*key)), session.extent(*key).dt
        except DataError:
            continue  # such a layer is named where it is missing
    ends: dict[str, float] = {}
    for (node, _, _), (found, dt) in stretches.items():
        ends[node] = max(ends.get(node, 0.0), found[-1][1] * dt if found else 0.0)
    sentences = []
    for (node, layer, kind), (found, dt) in stretches.items():
        if len(found) != 1 or found[0][0] or abs(found[0][1] * dt - ends[node]) > dt / 2:
            parts = " and ".join(f"from {start * dt:g} to {stop * dt:g}" for start, stop in found[:_MOST_PARTS])
            more = f" and in {len(found) - _MOST_PARTS} more parts" if len(found) > _MOST_PARTS else ""
            what = {"spikes": "Spikes", "v": "Potentials"}.get(kind, kind)
            at = f"{parts}{more} of {ends[node]:g} ms only" if found else "nothing"
            sentences.append(f"{what} of {name_in(session, node, layer)}: {at}.")
    return sentences


_MOST_PARTS = 6


def _joined(runs: Iterable[Run]) -> list[tuple[int, int]]:
    """The stretches that runs cover, those that meet as one."""
    found: list[tuple[int, int]] = []
    for start, stop, _ in runs:
        found = [*found[:-1], (found[-1][0], stop)] if found and found[-1][1] == start else [*found, (start, stop)]
    return found


def settings(session: Session) -> dict[str, Table]:
    """Tables of what was set and said: recorders, the settings of each node, the network's layers and connections."""
    tables = {}
    if recorders := session.recorders():
        tables["Recorders"] = _recorders(recorders)
    nodes = session.nodes()
    for node in nodes:
        of = f" of {node}" if len(nodes) > 1 else ""
        said = session.metadata(node)
        if isinstance(config := said.get("config"), dict):
            tables[f"Settings of the recording{of}"] = _pairs(config)
        network = said.get("network")
        if isinstance(network, dict):
            for part in ("layers", "connections"):
                if isinstance(network.get(part), dict) and network[part]:
                    tables[f"{part.capitalize()} of the network{of}"] = _entries(part[:-1], network[part])
        others = {name: value for name, value in said.items() if name not in ("config", "network", "format")}
        if others:
            tables[f"What else was noted{of}"] = _pairs(others)
    return tables


def _recorders(recorders: Sequence[RecorderState]) -> Table:
    columns = ("recorder", "nodes", "state", "stopped by", "host", "process")
    rows = [(r.recorder, ", ".join(r.nodes), r.status, r.stopped_by or "", r.host, r.pid) for r in recorders]
    return Table(columns, _cut(rows))


def _pairs(values: Mapping[str, Any]) -> Table:
    return Table(("name", "value"), _cut([(name, _told(value)) for name, value in sorted(values.items())]))


def _entries(label: str, entries: Mapping[str, Any]) -> Table:
    """A table with a row for each entry and a column for each of its fields."""
    known = {name: entry for name, entry in entries.items() if isinstance(entry, dict)}
    columns = list(dict.fromkeys(field for entry in known.values() for field in entry))[:_MOST_COLUMNS]
    rows = [(name, *(_told(entry.get(column, "")) for column in columns)) for name, entry in known.items()]
    return Table((label, *columns), _cut(rows))


_MOST_COLUMNS = 12
_MOST_TEXT = 120


def _told(value: Any) -> str:
    """A value as short text."""
    if isinstance(value, list) and len(value) > 8:
        return f"{len(value)} values"
    text = "" if value is None else str(value)
    return text if len(text) <= _MOST_TEXT else f"{text[:_MOST_TEXT]}..."


def _cut(rows: Sequence[tuple[Any, ...]]) -> Sequence[tuple[Any, ...]]:
    if len(rows) <= _MOST_ROWS:
        return rows
    more = (f"and {len(rows) - _MOST_ROWS} more", *("" for _ in rows[0][1:]))
    return [*rows[:_MOST_ROWS], more]
