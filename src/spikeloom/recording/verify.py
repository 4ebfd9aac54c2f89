"""Whether a session is whole, and if not, what is damaged and what is missing."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from ..errors import DataError
from ..units import times
from .config import RecorderConfig
from .consolidate import Progress
from .examine import Found, examine, nodes_in, value_of
from .hdf5_salvage import lost_bytes
from .layout import LINKS, is_control_state, is_name, key_time, node_file
from .session import is_session
from .statistics import RecorderState, read_recorders

KILLED = "killed"
"""Why a recorder stopped, where it did not say so itself."""
_MOST_LOOKS = 3
_MOST_LINES = 100
"""Of a kind, in the text of a report."""


class Layer(NamedTuple):
    """What is there of an observable of a layer: batches, all steps below the last step, dt in ms."""

    node: str
    layer: str
    observable: str
    n_batches: int
    last_step: int
    dt: float

    def __str__(self) -> str:
        until = f"step {self.last_step} ({times(self.last_step, self.dt):g} ms)"
        batches = f"{self.n_batches} batch{'es' * (self.n_batches != 1)}"
        return f"{self.node}/{self.layer} {self.observable}: {batches}, to {until}"


class Missing(NamedTuple):
    """Steps [begin, end) of some layers that were not recorded or cannot be read.

    at_most: how many steps of the layers together that are, where not all of each; end is None for those at the end.
    """

    layers: tuple[str, ...]
    begin: int
    end: int | None
    at_most: int
    reason: str

    def __str__(self) -> str:
        names = ", ".join(self.layers) or "its layers"
        if self.end is None:
            return f"at most {self.at_most} steps, counted over {names} together, after their last ones: {self.reason}"
        return f"{names}: steps {self.begin} to {self.end}: {self.reason}"


@dataclass(frozen=True)
class VerifyReport:
    """What `verify` found.

    problems: of files, a sentence each. missing: what was handed over and is not there. gaps: where nothing was
    recorded, as the session itself says. layers: what is there. not_closed: the recorders that did not close, as
    sentences; those that are still recording are among them.
    """

    session: Path
    problems: tuple[str, ...]
    missing: tuple[Missing, ...]
    gaps: tuple[Missing, ...]
    layers: tuple[Layer, ...]
    not_closed: tuple[str, ...]

    @property
    def is_whole(self) -> bool:
        """Whether nothing is damaged and nothing is missing."""
        return not self.problems and not self.missing

    def __str__(self) -> str:
        parts: dict[str, Sequence[object]] = {
            "problem": self.problems,
            "missing": self.missing,
            "gap": self.gaps,
            "recorder": self.not_closed,
            "there": self.layers,
        }
        lines = [f"{self.session}: {'whole' if self.is_whole else 'not whole'}"]
        for title, found in parts.items():
            lines += [f"  {title}: {line}" for line in found[:_MOST_LINES]]
            if (n_more := len(found) - _MOST_LINES) > 0:
                lines.append(f"  {title}: and {n_more} more")
        if self.problems:
            lines.append(f"  `spikeloom session repair {self.session}` mends what can be mended")
        return "\n".join(lines)


def verify(session: str | Path, progress: Progress | None = None) -> VerifyReport:
    """Reads every batch of a session, and the files that join its nodes; damage is reported, and never raised.

    The files are read in a process of their own. progress: is told the share of the bytes that were read. DataError for
    a folder that is no recorded session.
    """
    path = check_session(session)
    nodes = all_nodes(path)
    recorders, problems = recorders_of(path)
    live = {node for part in recorders if part.is_live for node in part.nodes}
    found = _examined(path, nodes, any(part.is_live for part in recorders), progress)
    linked = nodes_in(found.pop(LINKS, []))
    for node in nodes:
        problems += node_problems(path, node, found[node])
    problems += _folder_problems(path, sorted(set(nodes) - linked), live)
    told = [gap for node in nodes for gap in _stated_gaps(node, found[node])]
    missing = [gap for node in nodes for gap in _gaps(found[node], told)]
    missing += _ends(path, recorders, found)
    layers = [layer for node in nodes for layer in _layers(found[node])]
    not_closed = [_told(part) for part in recorders if part.state != "closed"]
    return VerifyReport(path, tuple(problems), tuple(missing), tuple(told), tuple(layers), tuple(not_closed))


def check_session(session: str | Path) -> Path:
    """The folder of a session; DataError for another folder."""
    path = Path(session)
    if not is_session(path) and not all_nodes(path):
        raise DataError(f"session must be the folder of a recorded session with nodes/<node>.h5, got {path}")
    return path


def all_nodes(session: Path) -> list[str]:
    """The nodes that have a file, be it empty, sorted."""
    return sorted(path.stem for path in (session / "nodes").glob("*.h5") if is_name(path.stem) and path.is_file())


def recorders_of(session: Path) -> tuple[list[RecorderState], list[str]]:
    """What the recorders said of themselves, and the problems with that."""
    try:
        return read_recorders(session), []
    except DataError as error:
        return [], [str(error)]


def node_problems(session: Path, node: str, found: Sequence[Found]) -> list[str]:
    """What is damaged in a node's file, a sentence each."""
    path = node_file(session, node)
    lost = lost_bytes(path)
    whole = f"nodes/{path.name}"
    problems = [f"{whole} was cut off: {lost} bytes are missing at its end"] if lost else []
    if not path.stat().st_size:
        problems.append(f"{whole} is empty")
    return problems + [f"{whole} /{each.name}: {each.problem}" for each in found if each.problem is not None]


def torn_lines(path: Path) -> list[int]:
    """The numbers of the lines of a file of control states that hold none, from 1 on."""
    with path.open("rb") as lines:
        return [number for number, line in enumerate(lines, start=1) if not is_control_state(line)]


def files_of(session: Path, nodes: Sequence[str]) -> dict[str, Path]:
    """The HDF5 files of a session, by node, and the one that links to them, which has its own name."""
    links = {LINKS: session / LINKS} if nodes and (session / LINKS).exists() else {}
    return {node: node_file(session, node) for node in nodes} | links


def _examined(session: Path, nodes: Sequence[str], is_live: bool, progress: Progress | None) -> dict[str, list[Found]]:
    """What is in each file; looked at again where a recorder may have written meanwhile."""
    found: dict[str, list[Found]] = {}
    for _ in range(_MOST_LOOKS if is_live else 1):
        files = files_of(session, nodes)
        again = [name for name in files if any(each.problem for each in found.get(name, [Found("", "unread")]))]
        if again:
            found |= dict(zip(again, examine([files[name] for name in again], progress), strict=True))
    return found


def _folder_problems(session: Path, unlinked: Sequence[str], live: Collection[str]) -> list[str]:
    """What is wrong with the files that join the nodes, and with the control states."""
    problems = [f"{LINKS} has no link to {node}" for node in unlinked]
    for path in sorted(session.glob("control_states.*.jsonl")):
        is_live = path.name.split(".", 1)[1].removesuffix(".jsonl") in live
        if not is_live and (numbers := torn_lines(path)):
            problems.append(f"{path.name}: {len(numbers)} lines are no control state, the first is line {numbers[0]}")
    return problems


def _batches(found: Sequence[Found]) -> dict[tuple[str, ...], list[Found]]:
    """The batches by the names of their groups, in the order of time."""
    layers: dict[tuple[str, ...], list[Found]] = {}
    for each in found:
        *group, last = each.name.split("/")
        if group and group[0] in ("spikes", "membrane", "variables") and key_time(last) is not None:
            layers.setdefault(tuple(group), []).append(each)
    for batches in layers.values():
        batches.sort(key=lambda each: key_time(each.name.rpartition("/")[2]) or 0)
    return layers


def _layers(found: Sequence[Found]) -> list[Layer]:
    layers = []
    for group, batches in sorted(_batches(found).items()):
        good = [each for each in batches if each.problem is None]
        if good and len(group) > 2:
            last = max(each.start + each.n_steps for each in good)
            layers.append(Layer(group[1], group[2], _observable(group), len(good), last, good[0].dt))
    return layers


def _observable(group: Sequence[str]) -> str:
    return {"spikes": "spikes", "membrane": "v"}.get(group[0]) or group[-1]


def _stated_gaps(node: str, found: Sequence[Found]) -> list[Missing]:
    """The stretches of which the node's file itself says that nothing was recorded in them."""
    return [
        Missing((f"{node}/{layer} {observable}",), gap[0], gap[1], gap[1] - gap[0], "not in what it was imported from")
        for layer, observables in value_of(found, "gaps").items()
        for observable, gaps in (observables.items() if isinstance(observables, dict) else ())
        for gap in (gaps if isinstance(gaps, list) else ())
        if isinstance(gap, list) and len(gap) == 2 and all(type(step) is int for step in gap) and 0 <= gap[0] < gap[1]
    ]


def _gaps(found: Sequence[Found], told: Collection[Missing]) -> list[Missing]:
    """The stretches of steps before the last batch that no readable batch holds, and damaged batches at the end.

    told: the stretches that nothing was recorded in.
    """
    missing: list[Missing] = []
    stated: dict[str, list[Missing]] = {}
    for gap in told:
        stated.setdefault(gap.layers[0], []).append(gap)
    for group, batches in sorted(_batches(found).items()):
        name, end = f"{'/'.join(group[1:3])} {_observable(group)}", 0
        damaged = False
        for each in batches:
            if each.problem is not None:
                damaged = True
                continue
            if each.start > end:
                reason = "damaged" if damaged else "not in the file"
                missing += [
                    Missing((name,), *gap, gap[1] - gap[0], reason)
                    for gap in _outside(end, each.start, stated.get(name, []))
                ]
            end, damaged = max(end, each.start + each.n_steps), False
        if damaged:
            missing.append(Missing((name,), end, None, buffer_size(value_of(found, "config")), "damaged"))
    return missing


def _outside(begin: int, end: int, stated: Sequence[Missing]) -> Iterator[tuple[int, int]]:
    """What of steps [begin, end) lies in none of the stated gaps."""
    for gap in sorted(stated):
        if gap.end is not None and begin < gap.end and gap.begin < end:
            if begin < gap.begin:
                yield begin, gap.begin
            begin = gap.end
    if begin < end:
        yield begin, end


def _ends(session: Path, recorders: Sequence[RecorderState], found: Mapping[str, list[Found]]) -> list[Missing]:
    """What recorders that were killed held in memory: at most their buffer, over all of their layers together."""
    killed = [part for part in recorders if part.status == "died" or part.stopped_by == KILLED]
    missing = [
        _end(part.nodes, found, buffer_size(part.config), f"recorder {part.recorder} was killed, or its machine was")
        for part in killed
    ]
    for part in recorders:
        if part.state == "closed":
            missing += _short(part, found)
    unknown = sorted(set(found) - {node for part in recorders for node in part.nodes})
    if killed or (not recorders and (session / "recording_statistics.json").exists()):
        return missing
    reason = "no recorder says that it closed the file"
    return missing + [_end([node], found, buffer_size(value_of(found[node], "config")), reason) for node in unknown]


def _short(part: RecorderState, found: Mapping[str, list[Found]]) -> list[Missing]:
    """The layers that end before the step that their recorder, when it closed, said it had recorded."""
    last: dict[tuple[str, str], int] = {}
    for layer in (layer for node in part.nodes for layer in _layers(found.get(node, []))):
        key = (layer.node, layer.layer)
        last[key] = max(last.get(key, 0), layer.last_step)
    told = {(node, layer): n_steps for node, layers in part.steps.items() for layer, n_steps in layers.items()}
    reason = f"recorder {part.recorder} said that it recorded them"
    return [
        Missing(("/".join(key),), last.get(key, 0), n_steps, n_steps - last.get(key, 0), reason)
        for key, n_steps in told.items()
        if last.get(key, 0) < n_steps
    ]


def _end(nodes: Sequence[str], found: Mapping[str, list[Found]], at_most: int, reason: str) -> Missing:
    layers = [layer for node in nodes for layer in _layers(found.get(node, []))]
    names = dict.fromkeys(f"{layer.node}/{layer.layer}" for layer in layers)
    return Missing(tuple(names), 0, None, at_most, reason)


def buffer_size(config: Mapping[str, Any]) -> int:
    """How many layer-steps a recorder of these settings holds in memory at most."""
    size = config.get("buffer_size")
    return size if isinstance(size, int) and size > 0 else RecorderConfig().buffer_size


def _told(part: RecorderState) -> str:
    reason = f" ({part.stopped_by})" if part.stopped_by else ""
    return f"{part.recorder} of {', '.join(part.nodes) or 'no node yet'}: {part.status}{reason}"
