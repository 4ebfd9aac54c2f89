"""The `spikeloom data` command: what is in files and data sets, as words, pictures and other files."""

from __future__ import annotations

import json as json_text
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from .errors import ParameterError, SpikeloomError, StorageError
from .registry import did_you_mean
from .terminal import Command, Commands, err, out, waiting

data_app = typer.Typer(
    cls=Commands,
    help="Looks at data: what is in it (info), a picture of it (show), another format (convert), damage (validate).",
    no_args_is_help=True,
    rich_markup_mode="rich",
)

Source = Annotated[str, typer.Argument(help="A file, a folder, or the name of a data set such as digits or shd.")]
Root = Annotated[Path | None, typer.Option(help="Folder with the files of a data set that is given by name.")]
Part = Annotated[str | None, typer.Option(help="Part of a data set that is given by name: train, test, ...")]
Json = Annotated[bool, typer.Option("--json", metavar="", help="Prints one JSON object, for programs.")]
Place = Annotated[Path, typer.Argument(help="A file, or a folder: then every file in it.")]
Size = Annotated[str | None, typer.Option("--sensor", help="WIDTHxHEIGHT in pixels, in place of what the file says.")]
Force = Annotated[bool, typer.Option("--force", metavar="", help="Writes over a file that is there.")]


@data_app.command(cls=Command)
def info(source: Source, json: Json = False, root: Root = None, part: Part = None) -> None:
    """Tells what is in a file, a folder or a data set. The content is looked at, not the name.

    Examples: `spikeloom data info recording.raw`, `spikeloom data info mnist --root data/mnist --part test`.
    """
    from .datasets.describe import describe
    from .datasets.named import describe_dataset, named_dataset

    with waiting(f"reading {source}") as progress, _as_options():
        if _is_name(source, root, part):
            found = describe_dataset(named_dataset(source, root, part))
        else:
            found = describe(source, progress)
    if json:
        typer.echo(json_text.dumps(found.as_json(), ensure_ascii=False))
    else:
        out.print(str(found), markup=False)


@data_app.command(cls=Command)
def show(
    source: Source,
    to: Annotated[Path | None, typer.Option("--out", help="The picture to write (default: NAME.png here).")] = None,
    sample: Annotated[int, typer.Option(help="Which sample, from 0 on; of images, the first one.")] = 0,
    root: Root = None,
    part: Part = None,
    force: Force = False,
) -> None:
    """Draws a picture: events as frames over their rate, spikes as a raster, sound beside its spikes, images as a grid.

    Of a recording with more than ten million events the first ten million are drawn, and a line says so.

    Examples: `spikeloom data show speech.wav`, `spikeloom data show digits --sample 40 --out digits.png`.
    """
    from .analysis.data_plots import draw_dataset, draw_file
    from .analysis.plots import save
    from .datasets.named import named_dataset

    named = _is_name(source, root, part)
    target = to or _picture_of(source if named else Path(source))
    _check_picture(target)
    _check_new(target, force, None if named else Path(source))
    notes: list[str] = []
    with waiting(f"drawing {source}") as progress, _as_options():
        if named:
            figure = draw_dataset(named_dataset(source, root, part), sample)
        else:
            figure = draw_file(source, sample, progress=progress, tell=notes.append)
        save(figure, target)
    out.print(f"picture {target}", markup=False)
    for note in notes:
        out.print(note, markup=False)


@data_app.command(cls=Command)
def convert(
    source: Annotated[Path, typer.Argument(help="The event file to read.")],
    target: Annotated[Path, typer.Argument(help="The event file to write.")],
    source_format: Annotated[
        str | None, typer.Option("--from", help="Format of SOURCE, where its content fits several.")
    ] = None,
    target_format: Annotated[
        str | None, typer.Option("--to", help="Format of TARGET (default: by its name's end).")
    ] = None,
    sensor: Size = None,
    keep: Annotated[
        bool, typer.Option("--keep", metavar="", help="Of a damaged file, takes the events before the damage.")
    ] = False,
    force: Force = False,
) -> None:
    """Writes the recording of an event camera in another format. `spikeloom data list` names the formats.

    Files may be bigger than memory. TARGET appears whole, or, after an error or Ctrl-C, not at all.

    Examples: `spikeloom data convert recording.raw recording.es`, `... convert a.csv b.raw --to evt3 --sensor 640x480`.
    """
    from .events.files import convert as converted

    _check_new(target, force, source)
    size = None if sensor is None else _size(sensor)
    with waiting(f"writing {target}") as progress, _as_options():
        converted(source, target, target_format, size, source_format=source_format, errors="keep" if keep else "raise",
                  progress=progress)  # fmt: skip
    out.print(f"wrote {target}, {target.stat().st_size:,} bytes", markup=False)


@data_app.command(cls=Command)
def validate(source: Place) -> None:
    """Reads a file, or every file in a folder, to its end and names what is wrong and where. Code 1 if anything is.

    Examples: `spikeloom data validate recording.raw`, `spikeloom data validate captions/`.
    """
    from .datasets.describe import faults, kind_of

    with waiting(f"reading {source}") as progress:
        kind, found = kind_of(source), list(faults(source, progress))
    for fault in found:
        out.print(_in_options(str(fault)), markup=False)
    if found:
        err.print(f"{source}: {len(found)} {'fault' if len(found) == 1 else 'faults'}", markup=False)
        raise typer.Exit(1)
    out.print(f"ok: {source} ({kind.replace('_', ' ')})", markup=False)


@data_app.command("list", cls=Command)
def listed(json: Json = False) -> None:
    """Lists the data sets by name, the formats of event files, and the other kinds of files that are known.

    Example: `spikeloom data list`.
    """
    from .datasets.catalogue import data_sets, event_formats, other_kinds

    tables = {"data_sets": data_sets(), "event_formats": event_formats(), "kinds": other_kinds()}
    if json:
        typer.echo(json_text.dumps(tables, ensure_ascii=False))
        return
    for title, rows in tables.items():
        table = Table(*rows[0], title=title.replace("_", " "), title_justify="left", box=None)
        for row in rows:
            table.add_row(*map(_cell, row.values()))
        out.print(table, soft_wrap=False)
        out.print()


@contextmanager
def _as_options() -> Iterator[None]:
    """Errors name the options of the command in place of those of the library."""
    try:
        yield
    except SpikeloomError as error:
        raise type(error)(_in_options(str(error))) from error


def _in_options(message: str) -> str:
    """The message with the command's options in place of the library's."""
    told = message.replace("errors='keep' reads", "convert --keep takes").replace("write_events: ", "")
    return told.replace("give format=", "give --from or --to")


def _cell(value: Any) -> str:
    return (
        ", ".join(value)
        if isinstance(value, list)
        else ("yes" if value else "no")
        if isinstance(value, bool)
        else value
    )


def _is_name(source: str, root: Path | None, part: str | None) -> bool:
    """Whether a data set is meant: a file of that name comes first, unless an option of data sets is given."""
    from .datasets import DATASETS

    asked = root is not None or part is not None
    if asked or (source in DATASETS and not Path(source).exists()):
        return True
    if Path(source).exists() or Path(source).suffix or len(Path(source).parts) > 1:
        return False
    if source == "-":
        raise StorageError("-: what comes through a pipe is not read; write it to a file first")
    raise StorageError(
        f"{source}: there is no such file or folder, and no data set of that name{did_you_mean(source, DATASETS)} "
        f"Known: {', '.join(DATASETS)}"
    )


def _picture_of(source: str | Path) -> Path:
    """The name of a picture of a data set or a file, in this folder."""
    if isinstance(source, str):
        return Path(f"{source}.png")
    name = source.resolve().stem
    return Path(f"{name}-shown.png" if source.name == f"{name}.png" else f"{name}.png")


def _check_picture(target: Path) -> None:
    """ParameterError for a name whose end is no format of pictures."""
    from matplotlib.backend_bases import FigureCanvasBase

    known = FigureCanvasBase.get_supported_filetypes()
    if target.suffix[1:].lower() not in known:
        raise ParameterError(
            f"{target}: expected a name that ends with .png, .svg, .pdf or the like; use --out NAME.png"
        )


def _check_new(target: Path, force: bool, source: Path | None = None) -> None:
    """StorageError for a file that is there, ParameterError for the source itself."""
    if source is not None and target.exists() and source.exists() and target.samefile(source):
        raise ParameterError(f"{target} is the file that is read; give another name")
    if (target.exists() or target.is_symlink()) and not force:  # a link to nothing is there too
        raise StorageError(f"{target} is there already; give another name, or --force to write over it")


def _size(sensor: str) -> tuple[int, int]:
    width, _, height = sensor.lower().partition("x")
    if not (width.isdecimal() and height.isdecimal()):
        raise ParameterError(f"--sensor must be WIDTHxHEIGHT such as 640x480, got {sensor!r}")
    return int(width), int(height)
