"""Fuzzes every reader of files with atheris: hostile bytes end in a SpikeloomError, soon, in bounded memory.

    python tools/fuzz.py [--seconds 600] [--only evt2 csv ...]

The time is shared by the readers. Each runs in a process of its own, from the inputs in .fuzz/NAME/, which are valid
files at first and grow with every run. An input that fails is kept in .fuzz/failed/; `--again FILE --only NAME` runs
one.
"""

import argparse
import contextlib
import hashlib
import logging
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / ".fuzz"
LONGEST = 1 << 14
SECONDS_AN_INPUT = 20
RESIDENT_MB = 1500
ADDRESSES = 16 << 30
"""Bytes of address space: an allocation that believes a hostile length fails."""
OTHERS = ("idx", "shd")
CHILD = "--child"
QUIET = os.environ | {"RUST_BACKTRACE": "0", "OMP_NUM_THREADS": "1"}
SUFFIXES = {b"\x89MCAP0\r\n": ".mcap", b"SQLite format 3\0": ".db3"}

sys.path += [str(ROOT / "tests" / folder) for folder in ("contracts", "events", "datasets")]


def main() -> int:
    if sys.argv[1:2] == [CHILD]:
        fuzz(sys.argv[2], sys.argv[3:])
    options = arguments()
    names = options.only or all_names()
    if options.again:
        reader(names[0])(options.again.read_bytes())
        return 0
    failed = []
    for name in names:
        corpus = FOLDER / name
        corpus.mkdir(parents=True, exist_ok=True)
        for number, content in enumerate(seeds(name)):
            (corpus / f"seed-{number}").write_bytes(content)
        log = FOLDER / f"{name}.log"
        limits = [f"-max_total_time={max(1, options.seconds // len(names))}", f"-timeout={SECONDS_AN_INPUT}",
                  f"-rss_limit_mb={RESIDENT_MB}", f"-max_len={LONGEST}", "-use_value_profile=1",
                  f"-artifact_prefix={FOLDER}/"]  # fmt: skip
        command = [sys.executable, __file__, CHILD, name, *limits, str(corpus)]
        with log.open("w") as out:
            code = subprocess.run(command, stdout=out, stderr=subprocess.STDOUT, env=QUIET, check=False).returncode
        text = log.read_text(errors="replace")
        runs = next((line for line in reversed(text.splitlines()) if "\tDONE" in line), "it ended before its time")
        print(f"{name}\t{'ok' if code == 0 else 'FAILED'}\t{runs}", flush=True)
        if code:
            failed.append(name)
            print("\n".join(text.splitlines()[-40:]), flush=True)
            keep(name)
    return len(failed)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=600)
    parser.add_argument("--only", nargs="+", choices=all_names())
    parser.add_argument("--again", type=Path)
    return parser.parse_args()


def all_names() -> list[str]:
    from document_files import READERS

    from spikeloom.events.files import FORMATS

    return [*FORMATS, *OTHERS, *READERS]


def fuzz(name: str, options: list[str]) -> None:
    """Runs until the time is over; does not return. Only what is imported from here on is watched by atheris."""
    import atheris

    with atheris.instrument_imports(include=["spikeloom", "rosbags"]):
        run = reader(name)
        run(seeds(name)[0])
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESSES, ADDRESSES))
    atheris.Setup([name, *options], run)
    atheris.Fuzz()


def reader(name: str) -> Callable[[bytes], None]:
    """What reads bytes as a file of that name, and lets nothing through that is no SpikeloomError."""
    from spikeloom.errors import SpikeloomError

    read = reading(name)
    logging.disable(logging.CRITICAL)
    folder = last(name)
    folder.mkdir(parents=True, exist_ok=True)

    def run(content: bytes) -> None:
        suffix = next((ending for start, ending in SUFFIXES.items() if content.startswith(start)), "")
        path = folder / f"input{suffix}"
        path.write_bytes(content)
        with contextlib.suppress(SpikeloomError):
            read(path)
        path.unlink()

    return run


def reading(name: str) -> Callable[[Path], object]:
    """The function that reads a file of that name; only what it needs is imported."""
    from spikeloom.events.files import FORMATS

    if name in FORMATS:
        from event_format_contract import check_reading

        return lambda path: check_reading(path, name)
    if name == "idx":
        from spikeloom.datasets.idx import read_idx

        return lambda path: read_idx(path, max_bytes=1 << 20)
    if name == "shd":
        from spikeloom.datasets import read_spike_hdf5

        return lambda path: read_spike_hdf5(path, dt=1.0)
    from document_files import READERS

    return READERS[name]


def last(name: str) -> Path:
    """The folder of the input that is being read: whatever ends the process, it is there afterwards."""
    return FOLDER / "last" / name


def keep(name: str) -> None:
    """Keeps the input on which a reader failed."""
    for path in last(name).glob("input*"):
        target = FOLDER / "failed" / f"{name}-{hashlib.sha256(path.read_bytes()).hexdigest()[:12]}{path.suffix}"
        target.parent.mkdir(exist_ok=True)
        path.rename(target)
        print(f"{name}\tpython tools/fuzz.py --only {name} --again {target.relative_to(ROOT)}", flush=True)


def seeds(name: str) -> list[bytes]:
    """Valid files: those that the package writes, and those of others that it only reads."""
    import numpy as np

    from spikeloom.events import Events
    from spikeloom.events.files import FORMATS, write_events

    if name == "idx":
        from spikeloom.datasets.idx import header

        arrays = [np.arange(12, dtype=kind).reshape(3, 4) for kind in ("u1", ">i2", ">f8")]
        return [header(array) + array.tobytes() for array in arrays]
    if name not in (*FORMATS, *OTHERS):
        from document_files import valid

        return valid(name)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "seed"
        if name == "shd":
            from test_spike_hdf5 import written

            packed = ({}, {"compression": "gzip", "shuffle": True}, {"compression": "lzf"})
            return [written(path, **options).read_bytes() for options in packed]
        if name == "hdf5":
            from test_codec_hdf5 import columns, recording

            rows, whole = {"chunks": (3,)}, {"chunks": (200,)}
            kinds = ({}, rows, rows | {"compression": "gzip", "shuffle": True}, whole | {"fletcher32": True},
                     whole | {"compression": "lzf"})  # fmt: skip
            longer = {name: np.tile(values, 50) for name, values in columns().items()}
            return [recording(Path(folder), longer, **options).read_bytes() for options in kinds]
        if name == "rosbag":
            from test_codec_rosbag import write_bag

            kinds = ("ros1", "ros1 lz4", "sqlite", "mcap")
            bags = [write_bag(Path(tempfile.mkdtemp(dir=folder)), kind) for kind in kinds]
            files = [file for bag in bags for file in ([bag] if bag.is_file() else bag.iterdir())]
            return [file.read_bytes() for file in files if file.suffix in (".bag", ".db3", ".mcap")]
        found = []
        for size, gap, n in [((34, 34), 50, 30), ((240, 180), 300_000, 8), ((128, 128), 0, 40)]:
            t = np.arange(n) * gap + 5
            events = Events.from_arrays(t, np.arange(n) % size[0], t % size[1], np.arange(n) % 2, size)
            write_events(path, events, FORMATS[name]())
            found.append(path.read_bytes())
        return found


if __name__ == "__main__":
    sys.exit(main())
