"""Kills recorders at random moments and looks what is left: nothing that was acknowledged may be missing.

    python tools/stress.py [--kills 200] [--processes 1] [--seed 0] [--folder FOLDER] [--results FILE]

Each round records a session in so many processes, whose spikes are known beforehand, and sends SIGKILL: to all of them,
or in every second round of several to one, after which the others close. Then h5py, as it comes, opens the session and
finds every spike before the last `flush_all` that returned; `verify` tells no less than what is missing; `repair`, in
every fifth round, leaves a session with nothing damaged and all of that. Last, recorders fill a small disk, in turn a
tmpfs, where one can be mounted, and a limit on the size of files: each stops with a reason, and what it had flushed is
there.
"""

import argparse
import logging
import mmap
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from contextlib import contextmanager
from pathlib import Path

import h5py
import numpy as np

from spikeloom.errors import DataError
from spikeloom.recording import RecorderConfig, SimulationRecorder
from spikeloom.recording.repair import repair
from spikeloom.recording.verify import verify

N_NEURONS = 60
LAYERS = ("a", "b")
BUFFER = 400
MOST_SECONDS = 0.3
HANDED, FLUSHED = 0, 1
FULL_BYTES = 1 << 20


def main() -> int:
    options = arguments()
    logging.disable(logging.WARNING)
    generator = np.random.default_rng(options.seed)
    tally: Counter[str] = Counter()
    began, longest = time.monotonic(), 0
    for number in range(options.kills):
        with tempfile.TemporaryDirectory(dir=options.folder) as folder:
            longest = max(longest, one_round(Path(folder), number, options.processes, generator, tally))
        if number % 10 == 9 or number + 1 == options.kills:
            print(f"{summary(number + 1, options, tally, longest)}; {time.monotonic() - began:.0f} s", flush=True)
    for number in range(max(1, options.kills // 10)):
        full_disk(options.folder, number, tally)
    text = f"full disk: {tally['full']} recorders stopped with a reason, {tally['full_lost']} lost what was flushed"
    print(text)
    if options.results is not None:
        write_results(options, f"{summary(options.kills, options, tally, longest)}. A {text}.")
    return sum(tally[name] for name in ("lost", "unread", "untrue", "full_lost"))


def summary(n_kills: int, options: argparse.Namespace, tally: Counter[str], longest: int) -> str:
    return (
        f"{n_kills}/{options.kills} kills of {options.processes} processes: "
        f"{tally['acknowledged']} acknowledged steps, {tally['lost']} lost; "
        f"at most {longest} of {BUFFER} layer-steps of a recorder missing; "
        f"{tally['unread']} unreadable sessions, {tally['untrue']} untrue reports; "
        f"{tally['early']} kills before the first file"
    )


def write_results(options: argparse.Namespace, text: str) -> None:
    sys.path.append(str(Path(__file__).parents[1] / "benchmarks"))
    from results import write_section

    title = f"Recorders killed at random: `python tools/stress.py --processes {options.processes}`"
    write_section(options.results, f"stress {options.processes}", title, f"{text}\n")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, help="where the sessions lie for as long as they are looked at")
    parser.add_argument("--results", type=Path, help="a file of results that gets a section")
    return parser.parse_args()


def raster(process: int, layer: int, first: int, last: int) -> np.ndarray:
    """The spikes (T, N) of steps [first, last), which both sides know."""
    steps, ids = np.arange(first, last)[:, None], np.arange(N_NEURONS)
    return (steps * 2654435761 + ids * 40503 + process * 977 + layer * 7919) // 128 % 11 == 0


def config(folder: Path) -> RecorderConfig:
    return RecorderConfig(
        enable_recording=True,
        output_dir=folder,
        session_name="stress",
        buffer_size=BUFFER,
        batch_steps=50,
        flush_interval=0.05,
        min_free_bytes=0,
        record_weights=True,
    )


def one_round(folder: Path, number: int, processes: int, generator: np.random.Generator, tally: Counter[str]) -> int:
    """Records, kills, and looks; the largest number of layer-steps that one recorder had taken and that are missing."""
    counts = np.frombuffer(mmap.mmap(-1, processes * 32), np.int64).reshape(processes, 2, 2)
    stop = mmap.mmap(-1, 1)
    children = [forked(lambda p=p: record(folder, p, counts[p], stop)) for p in range(processes)]
    time.sleep(generator.uniform(0, MOST_SECONDS))
    one_only = processes > 1 and number % 2 == 1
    killed = [int(generator.integers(processes))] if one_only else list(range(processes))
    for process in killed:
        os.kill(children[process], signal.SIGKILL)
    stop[0] = 1
    codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    if any(code for process, code in enumerate(codes) if process not in killed):
        tally["unread"] += 1
        print(f"round {number}: a recorder that was not killed failed: {codes}", flush=True)
    found = np.frombuffer(mmap.mmap(-1, 64), np.int64)
    looking = forked(lambda: look(folder / "stress", counts, killed, found, number % 5 == 0))
    if (code := os.waitstatus_to_exitcode(os.waitpid(looking, 0)[1])) != 0:
        tally["unread"] += 1
        print(f"round {number}: looking at it ended with {code}", flush=True)
    tally["acknowledged"] += int(counts[:, FLUSHED].sum())
    for name, n in zip(("lost", "untrue", "early"), found[1:], strict=False):
        tally[name] += int(n)
    return int(found[0])


def forked(do) -> int:
    """The process that does this; it leaves without what Python does at an end."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            do()
            code = 0
        finally:
            if code:
                traceback.print_exc()
            os._exit(code)
    return child


def record(folder: Path, process: int, counts: np.ndarray, stop: mmap.mmap) -> None:
    """Records until told to stop; says in shared memory how many steps were handed over, and flushed."""
    generator = np.random.default_rng([process, os.getpid()])
    recorder = SimulationRecorder(config(folder), node_id=f"node{process}")
    steps = [0] * len(LAYERS)
    while not stop[0]:
        for number, layer in enumerate(LAYERS):
            n_steps = int(generator.integers(1, 120))
            spikes = raster(process, number, steps[number], steps[number] + n_steps)
            recorder.record_spike_data(f"node{process}", layer, spikes)
            steps[number] += n_steps
            counts[HANDED, number] = steps[number]
        if generator.random() < 0.2:
            recorder.record_weight_data(f"node{process}", "w", generator.random((5, 5)))
        recorder.record_control_state(f"node{process}", "pfc", "Active", None, steps[0])
        if generator.random() < 0.3:
            recorder.flush_all()
            counts[FLUSHED] = counts[HANDED]
    recorder.close()
    counts[FLUSHED] = counts[HANDED]


def look(session: Path, counts: np.ndarray, killed: list[int], found: np.ndarray, mend: bool) -> None:
    """What is missing at most, and how many are lost, untrue and early, into `found`; repairs the session if asked."""
    found[3] = not session.exists() or not any(session.glob("nodes/*.h5"))
    if found[3]:
        found[1] = int(counts[:, FLUSHED].sum())
        return
    found[1] += lost_steps(session, counts)
    try:
        report = verify(session)
    except DataError:
        found[2] += 1
        return
    last = {(layer.node, layer.layer): layer.last_step for layer in report.layers}
    for process in range(len(counts)):
        written = [last.get((f"node{process}", layer), 0) for layer in LAYERS]
        missing = int(np.maximum(counts[process, HANDED] - written, 0).sum())
        stated = max((each.at_most for each in report.missing if is_of(each.layers, f"node{process}")), default=0)
        found[0] = max(found[0], missing)
        if missing > (stated if process in killed else 0) or stated > BUFFER:
            complain(found, f"{missing} of node{process} are missing, killed: {killed}", report)
    if any("no link" not in problem and "no control state" not in problem for problem in report.problems):
        complain(found, "it is damaged", report)
    if mend:
        mended = repair(session)
        again = verify(session)
        found[1] += lost_steps(session, counts)
        if again.problems or mended.lost or repair(session).done:
            complain(found, f"after {mended}", again)


def is_of(layers: tuple[str, ...], node: str) -> bool:
    return not layers or any(layer.startswith(f"{node}/") for layer in layers)


def complain(found: np.ndarray, what: str, report: object) -> None:
    found[2] += 1
    print(f"{what}\n{report}", flush=True)


def lost_steps(session: Path, counts: np.ndarray) -> int:
    """The flushed steps of which h5py does not find exactly the spikes that were recorded."""
    lost = 0
    for process in range(len(counts)):
        for number, layer in enumerate(LAYERS):
            flushed = int(counts[process, FLUSHED, number])
            if flushed:
                expected = raster(process, number, 0, flushed)
                with h5py.File(session / "nodes" / f"node{process}.h5") as file:
                    got = read(file[f"spikes/node{process}/{layer}"], flushed)
                lost += int((got != expected).any(axis=1).sum())
    return lost


def read(group: h5py.Group, n_steps: int) -> np.ndarray:
    """The spikes of the first steps that a group of batches holds."""
    found = np.zeros((n_steps, N_NEURONS), bool)
    for batch in group.values():
        events = batch[()]
        steps = events["step"].astype(int) + round(float(batch.attrs["t_start"]))
        kept = steps < n_steps
        found[steps[kept], events["id"][kept]] = True
    return found


def full_disk(folder: Path | None, number: int, tally: Counter[str]) -> None:
    """A recorder fills a disk: it stops with a reason, takes all that comes after, and what was flushed is there."""
    counts = np.frombuffer(mmap.mmap(-1, 32), np.int64).reshape(1, 2, 2)
    size = FULL_BYTES + 4096 * 7 * number
    with small_disk(folder, size, number % 2 == 0) as (place, limit):
        child = forked(lambda: fill(place, counts, limit))
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if code or lost_steps(place / "stress", counts) or verify(place / "stress").problems:
            tally["full_lost"] += 1
            print(f"full disk {number}: exit code {code}; {verify(place / 'stress')}", flush=True)
        tally["full"] += 1


@contextmanager
def small_disk(folder: Path | None, size: int, mount: bool):
    """A folder on a disk of so many bytes, or else, or where none can be mounted, a limit for the files in it."""
    with tempfile.TemporaryDirectory(dir=folder) as place:
        command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", place]
        mounted = (
            mount
            and shutil.which("mount")
            and subprocess.run(command, capture_output=True, check=False).returncode == 0
        )
        try:
            yield Path(place), None if mounted else size
        finally:
            if mounted:
                subprocess.run(["umount", place], check=True)


def fill(place: Path, counts: np.ndarray, limit: int | None) -> None:
    if limit is not None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    recorder, steps = SimulationRecorder(config(place), node_id="node0"), 0
    while recorder.get_statistics()["stopped_by"] is None:
        for number, layer in enumerate(LAYERS):
            recorder.record_spike_data("node0", layer, raster(0, number, steps, steps + 50))
        steps += 50
        recorder.flush_all()
        if recorder.get_statistics()["stopped_by"] is None:
            counts[:, FLUSHED] = steps
    recorder.record_spike_data("node0", LAYERS[0], raster(0, 0, steps, steps + 50))
    recorder.close()
    reason = recorder.get_statistics()["stopped_by"]
    if not reason.startswith(("the disk: ", "min_free_bytes: ")):
        raise RuntimeError(reason)


if __name__ == "__main__":
    sys.exit(min(main(), 100))
