"""The `spikeloom session` command: recorded sessions listed, shown, checked, mended, joined and exchanged."""

from __future__ import annotations

import re
from collections.abc import Container, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from math import prod
from pathlib import Path
from stat import S_ISREG
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from rich.text import Text

from .cli_watch import watch
from .errors import SpikeloomError, StorageError
from .terminal import Command, Commands, out, plain, plain_lines, waiting

if TYPE_CHECKING:
    from .recording import RecorderState, Session

session_app = typer.Typer(
    cls=Commands,
    help="Looks after recorded sessions: what there is (list, show, watch), whether it is whole (verify, repair), and "
    "other forms of it (consolidate, export, import).",
    no_args_is_help=True,
    rich_markup_mode="rich",
)

Place = Annotated[Path, typer.Argument(metavar="SESSION", help="Folder of a recorded session.")]
Force = Annotated[bool, typer.Option("--force", metavar="", help="Writes over a file that is there.")]
Format = Annotated[
    str | None,
    typer.Option("--format", help="nwb, sonata, csv, pt or neo; `import` also original (default: by ending)."),
]


@session_app.command("list", cls=Command)
def listed(
    folder: Annotated[Path, typer.Argument(help="Folder in which sessions lie.")] = Path("sim_recordings"),
) -> None:
    """Lists the sessions in a folder: whether they are being recorded, what is in them, and when they began.

    Example: `spikeloom session list sim_recordings`.
    """
    from .recording import sessions_in

    found = sessions_in(folder)
    if not found:
        out.print(f"{folder} holds no recorded session", markup=False)
        return
    table = _table("session", "state", "nodes", "recorded", "spikes", "size", "began", right=(2, 3, 4, 5))
    damaged = []
    for path in found:
        try:
            _add(table, path.name, *_line(path))
        except SpikeloomError as error:
            _add(table, path.name, "damaged", "", "", "", _bytes(_size(path)), "")
            damaged.append(f"{path.name}: {error}")
    out.print(table, soft_wrap=False)
    for line in damaged:
        out.print(plain(line), markup=False)


@session_app.command(cls=Command)
def show(session: Place) -> None:
    """Shows what was recorded of each layer, by which processes, and why they stopped.

    Example: `spikeloom session show sim_recordings/demo`.
    """
    from .recording import Session

    with Session(session) as opened:
        out.print(plain(opened.title), markup=False)
        columns = ("node", "layer", "what", "neurons", "samples", "runs", "recorded", "holds")
        layers = _table(*columns, right=(3, 4, 5, 6, 7))
        for row in _layer_rows(opened):
            _add(layers, *row)
        if layers.row_count:
            out.print(layers, soft_wrap=False)
        recorders = _table("recorder", "state", "process", "nodes", "began", "stopped by")
        for part in opened.recorders():
            _add(recorders, *_recorder_row(part))
        if recorders.row_count:
            out.print(recorders, soft_wrap=False)
        out.print(f"{len(opened.control_states()):,} control states, {_bytes(_size(session))}", markup=False)


@session_app.command(cls=Command)
def verify(session: Place) -> None:
    """Reads a session to its end and names what is damaged or missing. Code 1 if anything is.

    Example: `spikeloom session verify sim_recordings/demo`.
    """
    from .recording import verify as verified

    with waiting(f"reading {session}") as progress:
        report = verified(session, progress)
    out.print(plain_lines(report), markup=False)
    if not report.is_whole:
        raise typer.Exit(1)


@session_app.command(cls=Command)
def repair(session: Place) -> None:
    """Makes what is left of a damaged session readable; files that are changed are kept beside it as they were.

    Code 1 if something could not be read and is lost.

    Example: `spikeloom session repair sim_recordings/demo`.
    """
    from .recording import repair as repaired

    with waiting(f"mending {session}") as progress:
        report = repaired(session, progress)
    out.print(plain_lines(report), markup=False)
    if report.lost:
        raise typer.Exit(1)


@session_app.command(cls=Command)
def consolidate(
    session: Place,
    to: Annotated[
        Path | None, typer.Option("--out", help="The file to write (default: simulation_data.h5 of the session).")
    ] = None,
    layout: Annotated[
        str, typer.Option(help="'batches' of events, or 'steps': one data set a step, as in the original's files.")
    ] = "batches",
    sample: Annotated[int, typer.Option(help="With --layout steps, which sample.")] = 0,
    force: Force = False,
) -> None:
    """Writes all that the nodes of a session recorded into one HDF5 file that needs no other.

    The file appears whole, or, after an error or Ctrl-C, not at all.

    Example: `spikeloom session consolidate sim_recordings/demo --out demo.h5`.
    """
    from .recording import consolidate as consolidated

    if to is not None:
        _check_new(to, force)
    with waiting(f"writing {to or session}") as progress:
        path = consolidated(session, to, layout=layout, sample=sample, progress=progress)  # type: ignore[arg-type]
    out.print(f"wrote {path}, {_bytes(path.stat().st_size)}", markup=False)


@session_app.command(cls=Command)
def export(
    session: Place,
    target: Annotated[Path, typer.Argument(help="The file to write.")],
    format: Format = None,
    kinds: Annotated[
        str | None, typer.Option(help="What of it: spikes,membrane,weights,variables,control (default: all).")
    ] = None,
    force: Force = False,
) -> None:
    """Writes a session as a file of another program: NWB, SONATA, CSV, .pt, Neo.

    Examples: `spikeloom session export sim_recordings/demo demo.nwb`, `... export demo demo.csv --kinds spikes`.
    """
    from .recording.exchange import export as exported

    _check_new(target, force)
    with waiting(f"writing {target}") as progress, _as_options():
        report = exported(session, target, format, kinds=kinds and kinds.split(","), progress=progress)
    out.print(plain_lines(report), markup=False)


@session_app.command("import", cls=Command)
def imported(
    source: Annotated[Path, typer.Argument(help="The file, or a session folder of EvoSpikeNet.")],
    folder: Annotated[Path, typer.Argument(help="The session folder to make.")],
    format: Format = None,
    dt: Annotated[float | None, typer.Option(help="Time of a step in ms, where the file does not state it.")] = None,
    membrane_dt: Annotated[
        float | None, typer.Option(help="Time between two potentials in ms, where it is another.")
    ] = None,
    collisions: Annotated[
        str, typer.Option(help="What two spikes of a neuron in one step are: 'error', 'merge' or 'sum'.")
    ] = "error",
) -> None:
    """Makes a session of a file of another program.

    Example: `spikeloom session import units.nwb sim_recordings/units --dt 0.1`.
    """
    from .recording.exchange import import_session

    with waiting(f"reading {source}") as progress, _as_options():
        report = import_session(
            source,
            folder,
            format,
            dt=dt,
            membrane_dt=membrane_dt,
            collisions=collisions,  # type: ignore[arg-type]
            progress=progress,
        )
    out.print(plain_lines(report), markup=False)


def _line(path: Path) -> list[str]:
    """What the list says of a session beside its name."""
    from .recording import Session

    with Session(path) as session:
        nodes = session.nodes()
        layers = [(node, layer) for node in nodes for layer in session.layers(node)]
        told = session.statistics()
        end = max((e.n_steps * e.dt for e in (session.extent(*key) for key in layers)), default=0.0)
        began = min((part.started for part in session.recorders()), default=None)
        spikes = f"{int(told.get('total_spikes_recorded', 0)):,}"
        return [_state(session), str(len(nodes)), _seconds(end), spikes, _bytes(_size(path)), _clock(began)]


def _state(session: Session) -> str:
    """What the recorders of a session are at, in a word or two."""
    found = {part.status for part in session.recorders()}
    for status in ("recording", *sorted(s for s in found if s.startswith("recording on")), "died", "stopped"):
        if status in found:
            return status
    return "closed" if found or session.statistics() else "unknown"


def _layer_rows(session: Session) -> list[list[str]]:
    rows = []
    for node in session.nodes():
        layers = {layer for kind in ("spikes", "membrane", "variables") for layer in session.layers(node, kind)}
        for layer in sorted(layers):
            observables = session.observables(node, layer)
            rows += [[node, layer, *_layer_row(session, node, layer, observable)] for observable in observables]
        for layer in session.layers(node, "weights"):
            taken = session.weight_times(node, layer)
            end = _seconds(max(taken, default=0.0))
            rows.append([node, layer, "weights", "", "", "", end, _count(len(taken), "snapshot")])
    return rows


def _layer_row(session: Session, node: str, layer: str, observable: str) -> list[str]:
    from .recording import runs_of

    batches = list(session.stretches(node, layer, observable))
    if not batches:
        return [observable, "", "", "", "", ""]
    what = observable
    if observable == "spikes" and (sampling := session.sampling(node, layer)).mode != "all":
        what += f" ({sampling.rate:g} of {sampling.mode})"
    samples = sorted({batch.n_samples for batch in batches})
    return [
        what,
        f"{prod(batches[0].shape):,}",
        " to ".join(str(n) for n in sorted({samples[0], samples[-1]})),
        f"{len(runs_of(batches)):,}",
        _seconds(batches[-1].stop * batches[-1].dt),
        _count(sum(batch.size for batch in batches), "spike" if observable == "spikes" else "value"),
    ]


def _recorder_row(part: RecorderState) -> list[str]:
    where = f"{part.pid} on {part.host}"
    return [part.recorder, part.status, where, ", ".join(part.nodes), _clock(part.started), part.stopped_by or ""]


session_app.command(cls=Command)(watch)


def _table(*columns: str, right: Container[int] = ()) -> Table:
    table = Table(box=None, pad_edge=False)
    for k, name in enumerate(columns):
        table.add_column(name, justify="right" if k in right else "left", overflow="fold", no_wrap=k == 0)
    return table


def _add(table: Table, *cells: str) -> None:
    table.add_row(*(Text(plain(cell)) for cell in cells))


def _count(n: int, noun: str) -> str:
    return f"{n:,} {noun}{'' if n == 1 else 's'}"


def _size(session: Path) -> int:
    """The bytes of the files of a session; of those that a recorder moves meanwhile, none."""
    n_bytes = 0
    for path in session.rglob("*"):
        with suppress(FileNotFoundError):
            status = path.lstat()
            n_bytes += status.st_size if S_ISREG(status.st_mode) else 0
    return n_bytes


def _bytes(n: float) -> str:
    for unit in ("B", "kB", "MB"):
        if n < 1000:
            return f"{n:.3g} {unit}" if unit != "B" else f"{n:.0f} B"
        n /= 1000
    return f"{n:.3g} GB"


def _seconds(ms: float) -> str:
    return f"{ms / 1000:g} s"


def _clock(seconds: float | None) -> str:
    try:
        return "" if seconds is None else f"{datetime.fromtimestamp(seconds):%Y-%m-%d %H:%M}"
    except (ValueError, OverflowError, OSError):
        return ""


def _check_new(target: Path, force: bool) -> None:
    if target.exists() and not force:
        raise StorageError(f"{target} is there already; give another name, or --force to write over it")


@contextmanager
def _as_options() -> Iterator[None]:
    """Errors name the options of the command in place of the parameters of the library."""
    try:
        yield
    except SpikeloomError as error:
        message = str(error)
        for name in ("kinds", "format", "membrane_dt", "collisions", "dt"):
            message = re.sub(rf"\b{name}= ?", f"--{name.replace('_', '-')} ", message)
        raise type(error)(message) from error
