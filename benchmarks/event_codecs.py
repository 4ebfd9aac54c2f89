"""How fast event files are read, side by side with the best other readers: millions of events a CPU second.

Each reader reads the same file, which is in the page cache, in fresh processes of one thread on one core, in turn.
"""

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np
from results import HERE, Record, machine, peer_python, run_process, table, version_lines, write_section

from spikeloom.events import Events
from spikeloom.events.files import write_events

RATE = 1e6
"""Events a second of the recording."""
SENSOR = (640, 480)
FORMATS = {
    "evt2": ("expelliarmus", "eventcv"),
    "evt2.1": ("evlib",),
    "evt3": ("evt3", "eventcv"),
    "dat": ("expelliarmus", "eventcv"),
    "es": ("event_stream", "faery"),
}
"""The best other decoders of each format that are right (docs: benchmarks)."""
SUFFIX = {"dat": ".dat", "es": ".es"}


def recording(n_events: int) -> Events:
    """Random events of one time after the other."""
    generator = np.random.default_rng(0)
    t = np.sort(generator.integers(0, int(n_events / RATE * 1e6), n_events))
    x, y, p = (generator.integers(0, most, n_events) for most in (*SENSOR, 2))
    return Events.from_arrays(t, x, y, p, SENSOR)


def measured(reader: str, form: str, path: Path, repeats: int) -> Record:
    """The record of one process of a reader."""
    python = sys.executable if reader == "spikeloom" else str(peer_python("events"))
    command = [python, str(HERE / "event_readers.py"), "seconds", reader, form, str(path), "--repeats", str(repeats)]
    return run_process(command, limit=600)


def compared(form: str, path: Path, n_events: int, rounds: int, repeats: int) -> list[Record]:
    """The best of several processes of each reader, run in turn."""
    records: dict[str, Record] = {}
    for _ in range(rounds):
        for reader in ("spikeloom", *FORMATS[form]):
            record = measured(reader, form, path, repeats)
            if "missing" in record or record["n_events"] != n_events:
                raise SystemExit(f"{reader} does not read {form}: {record}")
            best = min(record["seconds"] + records.get(reader, {}).get("seconds", []))
            records[reader] = record | {"seconds": [best], "framework": reader}
    return list(records.values())


def row(form: str, records: list[Record], n_events: int, size: int) -> list[object]:
    """A line of the table: ours, theirs, and ours against the best of theirs."""
    ours, *others = (n_events / record["seconds"][0] / 1e6 for record in records)
    theirs = ", ".join(f"{r['reader']} {speed:.0f}" for r, speed in zip(records[1:], others, strict=True))
    return [form, f"{size / n_events:.2f}", f"{ours:.0f}", theirs, f"{ours / max(others):.2f}"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=float, default=1e7, help="events of the recording (default 1e7)")
    parser.add_argument("--rounds", type=int, default=3, help="processes of each reader (default 3)")
    parser.add_argument("--repeats", type=int, default=7, help="readings of each process (default 7)")
    parser.add_argument("--results", type=Path, default=HERE / "RESULTS.md", help="the file of results")
    parser.add_argument("--dry", action="store_true", help="print the table, write nothing")
    args = parser.parse_args()
    n_events = int(args.events)
    events = recording(n_events)
    lines, all_records = [], []
    with tempfile.TemporaryDirectory() as folder:
        for form in FORMATS:
            path = Path(folder) / f"events{SUFFIX.get(form, '.raw')}"
            write_events(path, events, form)
            records = compared(form, path, n_events, args.rounds, args.repeats)
            lines.append(row(form, records, n_events, path.stat().st_size))
            all_records += records
            print(*lines[-1], sep="\t", flush=True)
    head = ["format", "bytes an event", "spikeloom", "others", "against the best"]
    text = (
        f"Reading {n_events:.0e} events of {SENSOR[0]} x {SENSOR[1]} pixels, {RATE / 1e6:g} million a second, from the "
        f"page cache into arrays: millions of events a CPU second, one thread, best of {args.rounds} processes. "
        f"{machine()}.\n\n{table(head, lines)}\n\n" + "\n".join(sorted(set(version_lines(all_records))))
    )
    print(text)
    if not args.dry:
        write_section(args.results, "event codecs", "Event files", text)


if __name__ == "__main__":
    main()
