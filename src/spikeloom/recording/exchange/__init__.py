"""Exchange: a whole session written for other programs, and their files read into a session."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from ...errors import DataError, ParameterError, StateError, UnsupportedError
from ...spikes.container import Collisions
from ...units import check_dt
from ..consolidate import Progress
from ..session import Session
from .content import Content, kinds_in, survey
from .folder import ImportReport, new_session
from .formats import FORMATS, KINDS, Exchange
from .neo import from_neo, to_neo
from .recognise import recognised


@dataclass(frozen=True)
class ExportReport:
    """What was written where, and what other readers of the file do not see."""

    path: Path
    format: str
    kinds: tuple[str, ...]
    n_spikes: int
    notes: tuple[str, ...]

    def __str__(self) -> str:
        head = f"{self.path}: {', '.join(self.kinds)} as {self.format}, {self.n_spikes} spikes"
        return "\n".join([head, *(f"  {note}" for note in self.notes)])


def export(
    session: Session | str | Path,
    path: str | Path,
    format: str | None = None,
    *,
    kinds: Iterable[str] | None = None,
    session_start_time: datetime | None = None,
    progress: Progress | None = None,
) -> ExportReport:
    """Writes a session, all nodes, layers, samples and runs of it, as a file of a format, by default by ending.

    kinds: which of 'spikes', 'membrane', 'weights', 'variables' and 'control' to write, by default all that was
    recorded; UnsupportedError where the format cannot hold one of them. session_start_time, with a time zone, is when
    the recording began by the clock on the wall, by default the earliest that the session states. The file is there
    wholly or not at all; what it replaces stays until then. StateError for a session that is being recorded.
    """
    if not isinstance(session, Session):
        with Session(session) as opened:
            return export(opened, path, format, kinds=kinds, session_start_time=session_start_time, progress=progress)
    if session.is_live:
        raise StateError(f"export: session {session.path} is being recorded; wait for its end")
    path = Path(path)
    entry = FORMATS[_by_ending(path) if format is None else format]
    if entry.write is None:
        raise UnsupportedError(f"{entry.name} is read and not written; use one of {', '.join(_written())}")
    chosen = _chosen(session, entry, kinds)
    content = survey(session, chosen, session_start_time)
    notes = entry.write(content, path, progress or _silent)
    return ExportReport(path, entry.name, tuple(chosen), content.n_spikes, tuple(notes))


def import_session(
    source: str | Path,
    folder: str | Path,
    format: str | None = None,
    *,
    dt: float | None = None,
    membrane_dt: float | None = None,
    collisions: Collisions = "error",
    progress: Progress | None = None,
) -> ImportReport:
    """Makes a new session folder from a file (or a session folder of EvoSpikeNet), by default of the format it shows.

    dt in ms is the time of a step, needed where the file does not state it; membrane_dt that of potentials where it is
    another. collisions says what two spikes of a neuron in one step become, as in `Spikes.from_steps`. What had to be
    assumed stands in the report's notes, and with the session. The folder is there wholly or not at all.
    """
    source, folder = Path(source), Path(folder)
    if not source.exists():
        raise DataError(f"import_session.source must be a file or a folder, got {source}, which is not there")
    entry = FORMATS[recognised(source) if format is None else format]
    if entry.read is None:
        raise UnsupportedError(f"{entry.name} is written and not read; use one of {', '.join(_read())}")
    stated = {name: None if at is None else check_dt(at, f"import_session.{name}") for name, at in
              (("dt", dt), ("membrane_dt", membrane_dt))}  # fmt: skip
    with new_session(folder, progress or _silent, collisions=collisions, **stated) as made:
        entry.read(source, made)
        return made.report(folder, source.name, entry.name)


def _chosen(session: Session, entry: Exchange, kinds: Iterable[str] | None) -> list[str]:
    """The kinds to write, all of them held by the format."""
    there = kinds_in(session)
    if not there:
        raise DataError(f"export: session {session.path} holds no data")
    if kinds is None:
        chosen = there
    else:
        chosen = [kinds] if isinstance(kinds, str) else list(kinds)
        for kind in chosen:
            if kind not in KINDS:
                raise ParameterError(f"export.kinds must be of {', '.join(KINDS)}, got {kind!r}")
            if kind not in there:
                raise ParameterError(f"export.kinds: the session has no {kind}; it has {', '.join(there)}")
    held = [kind for kind in chosen if kind in entry.holds]
    if held != chosen:
        raise UnsupportedError(
            f"{entry.name} cannot hold {', '.join(k for k in chosen if k not in held)}; choose with "
            f"kinds= from {', '.join(entry.holds)}, or another format"
        )
    return chosen


def _by_ending(path: Path) -> str:
    for name in FORMATS:
        entry = FORMATS[name]
        if entry.write is not None and path.suffix.lower() in entry.endings:
            return name
    known = ", ".join(ending for name in _written() for ending in FORMATS[name].endings)
    raise ParameterError(f"export: {path.name} must end in one of {known}, or format= must name one")


def _written() -> list[str]:
    return [name for name in FORMATS if FORMATS[name].write is not None]


def _read() -> list[str]:
    return [name for name in FORMATS if FORMATS[name].read is not None]


def _silent(_: float) -> None:
    pass


__all__ = [
    "FORMATS", "KINDS", "Content", "Exchange", "ExportReport", "ImportReport", "export", "from_neo", "import_session",
    "to_neo",
]  # fmt: skip
