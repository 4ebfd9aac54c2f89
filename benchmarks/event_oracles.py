"""Event files, written and read by spikeloom, against other decoders: event by event, or it fails.

Streams: a real recording (../shared/data/events/dvs.es, where it is: as it is, and written anew), dense and sparse
random ones, rows of neighbours that become vectors, gaps of 20 s, and 6 hours, over which the times of EVT2 and DAT
overflow. What a decoder is known to get wrong is not asked of it: expelliarmus misreads EVT3 and the overflow of EVT2,
eventcv that of DAT, evlib that of EVT2.1, and both eventcv and faery misread EVT2.1.
"""

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from results import HERE, peer_python, run_process

from spikeloom.events import Events
from spikeloom.events.files import EventFile, read_events, write_events

ORACLES = {
    "evt2": ("expelliarmus", "eventcv", "faery"),
    "evt2.1": ("evlib",),
    "evt3": ("evt3", "faery", "eventcv"),
    "dat": ("expelliarmus", "faery", "eventcv"),
    "es": ("event_stream", "faery"),
    "aedat4": ("eventcv", "faery", "evlib"),
    "csv": ("eventcv", "faery"),
    "hdf5": ("eventcv", "evlib"),
}
BY_TONIC = {"nmnist": (34, 34), "aedat2": (346, 260)}
"""Formats, and the sensors, that Tonic reads."""
OVERFLOWS = {"evt2": ("eventcv", "faery"), "dat": ("expelliarmus", "faery")}
"""Those that know that times overflow."""
HOUR = 3_600_000_000
SUFFIX = {"dat": ".dat", "es": ".es", "aedat4": ".aedat4", "csv": ".csv", "hdf5": ".h5", "nmnist": ".bin",
          "aedat2": ".aedat"}  # fmt: skip
REAL = HERE.parent.parent / "shared" / "data" / "events" / "dvs.es"


def streams() -> dict[str, Events]:
    """The streams by name."""
    generator = np.random.default_rng(1)
    found = {
        "dense": random_events(generator, np.sort(generator.integers(0, 200_000, 200_000))),
        "sparse": random_events(generator, np.cumsum(generator.integers(0, 30_000, 5_000))),
        "gaps of 20 s": random_events(generator, np.cumsum(generator.choice([1, 400, 5000, 20_000_000], 400))),
        "vectors": rows_of_neighbours(generator),
        "6 hours": random_events(generator, np.arange(0, 6 * HOUR, HOUR // 4)),
    }
    if REAL.exists():
        found["dvs.es"] = read_events(REAL)
    else:
        print(f"{REAL} is not there: it is left out")
    return found


def random_events(generator: np.random.Generator, t: np.ndarray, size: tuple[int, int] = (640, 480)) -> Events:
    x, y, p = (generator.integers(0, most, t.size) for most in (*size, 2))
    return Events.from_arrays(t, x, y, p, size)


def rows_of_neighbours(generator: np.random.Generator) -> Events:
    """Rows in which a part of the columns has events of one time and polarity, from left to right."""
    times = np.cumsum(generator.integers(0, 900, 3_000))
    parts = []
    for t in times:
        x = np.flatnonzero(generator.random(640) < generator.choice([0.01, 0.2, 0.9]))
        parts.append((np.full(x.size, t), x, np.full(x.size, t % 480), np.full(x.size, t & 1)))
    t, x, y, p = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    return Events.from_arrays(t, x, y, p, (640, 480))


def difference(events: Events, columns: dict[str, np.ndarray]) -> str | None:
    """How columns differ from events, in words; None: they do not."""
    if len(columns["t"]) != len(events):
        return f"{len(columns['t'])} events, expected {len(events)}"
    for name in "txyp":
        ours, theirs = getattr(events, name), columns[name]
        if (places := np.flatnonzero(ours != theirs)).size:
            return f"{name}[{places[0]}] is {theirs[places[0]]}, expected {ours[places[0]]}; {places.size} differ"
    return None


def asked(reader: str, form: str, path: Path, out: Path) -> dict[str, np.ndarray] | str:
    """What another decoder reads, or why it does not."""
    command = [str(peer_python("events")), str(HERE / "event_readers.py"), "columns", reader, form, str(path), str(out)]
    record = run_process(command, limit=600)
    if "missing" in record:
        return str(record["missing"])
    with np.load(out) as file:
        return {name: file[name] for name in "txyp"}


def written(name: str, events: Events, form: str, folder: Path, readers: Sequence[str]) -> list[str]:
    """Complaints about one stream in one format."""
    path = folder / f"stream{SUFFIX.get(form, '.raw')}"
    write_events(path, events, form)
    found = []
    with EventFile(path, sensor_size=events.sensor_size, block_bytes=4096) as file:
        blocks = Events.concatenate(list(file))
    if not (events.equals(read_events(path, sensor_size=events.sensor_size)) and events.equals(blocks)):
        found.append(f"{form}, {name}: spikeloom reads other events than it wrote")
    return found + read_by_others(name, events, form, path, readers)


def read_by_others(name: str, events: Events, form: str, path: Path, readers: Sequence[str]) -> list[str]:
    """Complaints about what other decoders read from a file of the events."""
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for reader in readers:
            columns = asked(reader, form, path, Path(folder) / "columns.npz")
            why = columns if isinstance(columns, str) else difference(events, columns)
            print(f"{form}\t{name}\t{len(events)} events\t{reader}\t{why or 'equal'}", flush=True)
            if why:
                found.append(f"{form}, {name}: {reader} reads other events: {why}")
    return found


def main() -> int:
    complaints = []
    if REAL.exists():
        complaints += read_by_others("dvs.es as it is", read_events(REAL), "es", REAL, ORACLES["es"])
    with tempfile.TemporaryDirectory() as folder:
        for name, events in streams().items():
            for form, readers in (OVERFLOWS if name == "6 hours" else ORACLES).items():
                complaints += written(name, events, form, Path(folder), readers)
        for form, size in BY_TONIC.items():
            events = random_events(np.random.default_rng(2), np.arange(0, 20_000_000, 400), size)
            complaints += written("random", events, form, Path(folder), ("tonic",))
    print("\n".join(complaints) or "all decoders agree")
    return min(1, len(complaints))


if __name__ == "__main__":
    sys.exit(main())
