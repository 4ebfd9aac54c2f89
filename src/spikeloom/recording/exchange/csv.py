"""CSV: one spike, or one value of a potential, a line; what the lines cannot say lies beside in a second file.

Spikes have the columns node, layer, sample, run, time_ms, neuron and, where they are graded, value; potentials have a
column variable besides. time_ms is the beginning of the step on the clock of the layer, and is printed such that it
reads back exactly. `<file>-metadata.json` describes the table (W3C, "Metadata Vocabulary for Tabular Data") and holds
the population shapes, dt, runs and sampling; with it the session can be imported again.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator
from itertools import islice, repeat
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import DataError, UnsupportedError
from ...storage import atomic_file, write_atomically
from ...units import steps, times
from ..batches import MembraneBatch, SpikeBatch
from ..consolidate import Progress
from .content import Content, Signal, Train, per_run
from .description import clocks, description_text, parsed
from .folder import Import
from .formats import Exchange
from .hdf5 import opened

_SPIKES = ("node", "layer", "sample", "run", "time_ms", "neuron")
_SIGNALS = ("node", "layer", "variable", "sample", "run", "time_ms", "neuron", "value")
_TYPES = {"sample": "integer", "run": "integer", "neuron": "integer", "time_ms": "double", "value": "double"}
_BLOCK = 1 << 16
"""Lines that are held at once."""
_MOST_DESCRIPTION = 1 << 28


def write_csv(content: Content, path: Path, progress: Progress) -> list[str]:
    """Writes spikes, or potentials, line by line."""
    if content.trains and content.signals:
        raise UnsupportedError(
            "a CSV file holds spikes or potentials; ask for one of them with kinds=['spikes'] or kinds=['membrane'], on"
            " the command line with --kinds"
        )
    graded = any(train.values for train in content.trains)
    columns = _SIGNALS if content.signals else (*_SPIKES, "value") if graded else _SPIKES
    rows = _signal_rows(content, progress) if content.signals else _spike_rows(content, graded, progress)
    with atomic_file(path) as whole:
        text = io.TextIOWrapper(whole, encoding="utf-8", newline="")
        lines = csv.writer(text, lineterminator="\n")
        lines.writerow(columns)
        for block in rows:
            lines.writerows(block)
        text.flush()
        text.detach()
        write_atomically(_beside(path), _metadata(content, path, columns))
    return content.sampled_notes()


def read_csv(path: Path, into: Import) -> None:
    """Reads a table of spikes: with the file beside it as it was, without it after `dt`."""
    tables: dict[tuple[str, str], list[list[NDArray[Any]]]] = {}
    for names, columns in _blocks(path, into.progress):
        present = sorted(set(names))
        for key in present:
            mine = [name == key for name in names] if len(present) > 1 else slice(None)
            tables.setdefault(key, []).append([column[mine] for column in columns])
    joined = {key: [np.concatenate(parts) for parts in zip(*found, strict=True)] for key, found in tables.items()}
    if _beside(path).exists():
        _described(joined, path, into)
        return
    dt = into.stated_dt(f"{_beside(path).name} is missing, and the table has times and no steps")
    for (node, layer), (sample, at, neuron, *value) in joined.items():
        into.undescribed(node, layer, steps(at, dt), neuron, sample, value[0].astype(np.float32) if value else None)


def _beside(path: Path) -> Path:
    return path.with_name(f"{path.name}-metadata.json")


def _metadata(content: Content, path: Path, columns: Iterable[str]) -> bytes:
    table = {
        "@context": "http://www.w3.org/ns/csvw",
        "url": path.name,
        "tableSchema": {"columns": [{"name": c, "titles": c, "datatype": _TYPES.get(c, "string")} for c in columns]},
        "notes": [json.loads(description_text(content))],
    }
    return json.dumps(table, ensure_ascii=False).encode()


def _spike_rows(content: Content, graded: bool, progress: Progress) -> Iterator[Iterable[tuple[Any, ...]]]:
    for train, batch in content.batches(progress):
        for begin in range(0, batch.size, _BLOCK):
            yield zip(*_columns(train, batch, slice(begin, begin + _BLOCK), graded), strict=False)


def _columns(train: Train, batch: SpikeBatch, part: slice, graded: bool) -> list[Iterable[Any]]:
    spikes = batch.spikes
    step = spikes.grid.step[part].astype(np.int64)
    columns: list[Iterable[Any]] = [
        repeat(train.node),
        repeat(train.layer),
        spikes.samples()[part].tolist(),
        per_run(train.runs, step + batch.start).tolist(),
        times(step + batch.start, train.dt).tolist(),
        spikes.ids[part].tolist(),
    ]
    return [*columns, spikes.values()[part].astype(str).tolist()] if graded else columns


def _signal_rows(content: Content, progress: Progress) -> Iterator[Iterable[tuple[Any, ...]]]:
    for done, signal in enumerate(content.signals):
        for batch in content.session.values(signal.node, signal.layer, signal.variable):
            for k in range(len(batch.step)):
                for sample in range(batch.n_samples):
                    yield _values_row(signal, batch, k, sample)
        progress((done + 1) / len(content.signals))


def _values_row(signal: Signal, batch: MembraneBatch, k: int, sample: int) -> Iterable[tuple[Any, ...]]:
    """The lines of one step and sample: one a neuron."""
    step = int(batch.step[k]) + batch.start
    run = int(per_run(signal.runs, np.array([step]))[0])
    values = batch.values[k, sample].ravel().astype(str).tolist()
    head = (signal.node, signal.layer, signal.variable, sample, run, times(step, signal.dt))
    return ((*head, neuron, value) for neuron, value in enumerate(values))


def _blocks(path: Path, progress: Progress) -> Iterator[tuple[list[tuple[str, str]], list[NDArray[Any]]]]:
    """Blocks of lines: the layer of each, and columns sample, time_ms, neuron and, where there is one, value."""
    size = max(1, path.stat().st_size)
    with opened(path) as raw, io.TextIOWrapper(raw, encoding="utf-8", newline="") as text:
        rows = csv.reader(text, strict=True)
        try:
            header = tuple(next(rows, ()))
            if header not in (_SPIKES, (*_SPIKES, "value")):
                raise DataError(f"{path}: the first line must be {','.join(_SPIKES)}[,value], got {header!r:.200}")
            while block := list(islice(rows, _BLOCK)):
                yield _parsed_block(block, len(header), f"{path}, lines until {rows.line_num}")
                progress(raw.tell() / size)
        except (csv.Error, UnicodeDecodeError) as error:
            raise DataError(f"{path}, line {rows.line_num}: {error}") from error


def _parsed_block(block: list[list[str]], width: int, owner: str) -> tuple[list[tuple[str, str]], list[NDArray[Any]]]:
    if any(len(row) != width for row in block):
        raise DataError(f"{owner}: every line must have {width} fields")
    node, layer, sample, _, at, neuron, *value = zip(*block, strict=True)
    try:
        numbers = [np.fromiter(map(int, column), np.int64, len(block)) for column in (sample, neuron)]
        reals = [np.fromiter(map(float, column), np.float64, len(block)) for column in (at, *value)]
    except (ValueError, OverflowError) as error:
        raise DataError(f"{owner}: {error}") from error
    if not all(np.isfinite(column).all() for column in reals) or min(reals[0].min(), *(n.min() for n in numbers)) < 0:
        raise DataError(f"{owner}: samples, times and neurons must be finite numbers of at least 0")
    return list(zip(node, layer, strict=True)), [numbers[0], reals[0], numbers[1], *reals[1:]]


def _described(tables: dict[tuple[str, str], list[NDArray[Any]]], path: Path, into: Import) -> None:
    beside = _beside(path)
    if beside.stat().st_size > _MOST_DESCRIPTION:
        raise DataError(f"{beside} must be at most {_MOST_DESCRIPTION} bytes, got {beside.stat().st_size}")
    try:
        notes = json.loads(beside.read_bytes())["notes"]
        description = parsed(json.dumps(notes[0]).encode(), str(beside))
    except (ValueError, TypeError, KeyError, IndexError, RecursionError) as error:
        raise DataError(f"{beside} must be the description that an export wrote: {error!r:.200}") from error
    nothing = [np.zeros(0, np.int64), np.zeros(0), np.zeros(0, np.int64), np.zeros(0)]
    for clock in clocks(description, str(beside)):
        sample, at, neuron, *value = tables.pop((clock.node, clock.layer), nothing)
        if clock.values and not value:
            raise DataError(f"{path}: the spikes of {clock.name} have values, but there is no such column")
        values = value[0].astype(clock.values) if clock.values else None
        into.spikes(clock, steps(at, clock.dt), neuron, sample, values)
        into.described(description, clock)
    if tables:
        raise DataError(f"{path} has spikes of {'/'.join(next(iter(tables)))}, which {beside.name} does not describe")


FORMAT = Exchange("csv", (".csv",), ("spikes", "membrane", "variables"), write_csv, read_csv)
