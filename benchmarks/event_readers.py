"""Reads an event file with one reader, ours or a peer's, in the environment that has it: what it reads, and how fast.

`event_readers.py columns READER FORMAT FILE OUT` saves t, x, y and p as an .npz file; `event_readers.py seconds READER
FORMAT FILE` prints the CPU seconds of each of several readings of the whole file, and how many events they gave. The
last line is JSON. The file is in the page cache; each reading makes its events anew.
"""

import argparse
import importlib.metadata
import json
import os
import platform
import time
from pathlib import Path

import numpy as np

WARM = 2
SENSOR = (640, 480)


class Spikeloom:
    package = "spikeloom"

    def read(self, path, form):
        from spikeloom.events.files import read_events

        return read_events(path, form)

    def columns(self, events):
        return events.t, events.x, events.y, events.p


class Structured:
    """A reader that gives a structured array."""

    names = ("t", "x", "y", "p")

    def columns(self, events):
        return tuple(events[name] for name in self.names)


class Expelliarmus(Structured):
    package = "expelliarmus"

    def read(self, path, form):
        from expelliarmus import Wizard

        return Wizard(encoding=form, buff_size=1 << 16).read(path)


class Faery(Structured):
    package = "faery"
    names = ("t", "x", "y", "on")

    def read(self, path, form):
        import faery

        version = {"evt2": "evt2", "evt3": "evt3", "dat": "dat2"}.get(form)
        fallback = {"dimensions_fallback": SENSOR, "version_fallback": version} if version else {}
        return list(faery.events_stream_from_file(path, **fallback))

    def columns(self, events):
        return super().columns(np.concatenate(events))


class EventStream(Structured):
    package = "event_stream"
    names = ("t", "x", "y", "on")
    height = 0

    def read(self, path, form):
        import event_stream

        with event_stream.Decoder(str(path)) as decoder:
            self.height = decoder.height
            return list(decoder)

    def columns(self, events):
        """Rows are counted from the bottom, as the file has them."""
        t, x, y, p = super().columns(np.concatenate([part for part in events if len(part)]))
        return t, x, self.height - 1 - y.astype(np.int64), p


class Evt3:
    package = "evt3"

    def read(self, path, form):
        import evt3

        return evt3.decode_file(str(path))

    def columns(self, events):
        return events.timestamp, events.x, events.y, events.polarity


class EventCV:
    package = "eventcv"

    def read(self, path, form):
        import eventcv

        return eventcv.load(str(path), sensor_size=SENSOR, time_unit="microseconds")

    def columns(self, events):
        x, y, t, p = events.numpy().T
        return np.rint(t), x, y, p > 0


class Evlib:
    package = "evlib"

    def read(self, path, form):
        import evlib

        return evlib.load_events(str(path), sort=False).collect()

    def columns(self, events):
        t = events["t"].dt.total_microseconds().to_numpy()
        return t, events["x"].to_numpy(), events["y"].to_numpy(), events["polarity"].to_numpy() > 0


class Tonic(Structured):
    package = "tonic"

    def read(self, path, form):
        from tonic import io

        if form == "nmnist":
            return io.read_mnist_file(str(path), dtype=io.events_struct)
        return io.read_davis_346(str(path))[2]


READERS = {
    reader.package: reader for reader in (Spikeloom, Expelliarmus, Faery, EventStream, Evt3, EventCV, Evlib, Tonic)
}


def seconds(reader, path, form, repeats):
    """CPU seconds of each reading, and the number of events."""
    found = []
    for _ in range(WARM + repeats):
        start = time.process_time()
        events = reader.read(path, form)
        found.append(time.process_time() - start)
        n_events = len(reader.columns(events)[0])
        del events
    return {"seconds": found[WARM:], "n_events": n_events}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("task", choices=("columns", "seconds"))
    parser.add_argument("reader", choices=READERS)
    parser.add_argument("format")
    parser.add_argument("file", type=Path)
    parser.add_argument("out", type=Path, nargs="?")
    parser.add_argument("--repeats", type=int, default=7)
    args = parser.parse_args()
    reader = READERS[args.reader]()
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    record = {"reader": args.reader, "format": args.format}
    record["versions"] = {
        args.reader: importlib.metadata.version(reader.package),
        "python": platform.python_version(),
    }
    try:
        if args.task == "seconds":
            record |= seconds(reader, args.file, args.format, args.repeats)
        else:
            t, x, y, p = reader.columns(reader.read(args.file, args.format))
            np.savez(args.out, t=np.asarray(t, np.int64), x=np.asarray(x), y=np.asarray(y), p=np.asarray(p, np.int8))
            record["n_events"] = len(t)
    except Exception as error:  # noqa: BLE001
        record["missing"] = f"{type(error).__name__}: {error}"[:200]
    print(json.dumps(record), flush=True)


if __name__ == "__main__":
    main()
