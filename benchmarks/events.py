"""Filters, transforms and pictures of event streams in spikeloom, eventcv and Tonic, one thread each.

    python benchmarks/events.py [--tasks "voxel grid" ...] [--events 10000000] [--repeats 5]

The stream has a million events a second at random pixels of a sensor of 640 x 480, 1 % of them at 50 hot ones, sorted
by time, in the form that each framework keeps it in: `Events`, eventcv's `EventStream`, Tonic's structured array. A
task is a fresh process, in which it is done some times; the least CPU time counts, and the most memory above that of
the stream. Tonic's slow tasks get a shorter stream. The table goes into RESULTS.md beside this file, with events.png.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from results import HERE, Record, Records, machine, peer_python, run_process, table, version_lines, write_section

WIDTH, HEIGHT, RATE, HOT = 640, 480, 10**6, 50
FRAMEWORKS = ("spikeloom", "eventcv", "tonic")
PACKAGES = {"spikeloom": ("spikeloom", "numpy"), "eventcv": ("eventcv",), "tonic": ("tonic", "numpy")}
Run = Callable[[Any], object]


class Task(NamedTuple):
    """The same work in each framework; None where it has none. Tonic gets `most` events at the most."""

    spikeloom: Run
    eventcv: Run | None
    tonic: Run | None
    most: int = 10**9


def stream(n: int) -> dict[str, np.ndarray[Any, Any]]:
    """The arrays t (us), x, y, p of n events, of which one in a hundred is of a hot pixel."""
    rng = np.random.default_rng(0)
    t = np.sort(rng.integers(0, n * 10**6 // RATE, n))
    hot_x, hot_y = rng.integers(0, (WIDTH, HEIGHT), (HOT, 2), np.int16).T
    x, y = rng.integers(0, WIDTH, n, np.int16), rng.integers(0, HEIGHT, n, np.int16)
    chosen, which = rng.random(n) < 0.01, rng.integers(0, HOT, n)
    x, y = np.where(chosen, hot_x[which], x), np.where(chosen, hot_y[which], y)
    return {"t": t, "x": x, "y": y, "p": rng.integers(0, 2, n, np.int8)}


def loaded(framework: str, n: int) -> Any:
    """The stream in the framework's own form."""
    arrays = stream(n)
    if framework == "spikeloom":
        from spikeloom.events import Events

        return Events.from_arrays(*arrays.values(), (WIDTH, HEIGHT))
    if framework == "eventcv":
        import eventcv

        columns = np.stack([arrays[name] for name in "xytp"], 1)
        return eventcv.from_numpy(columns, sensor_size=(WIDTH, HEIGHT), time_unit="us")
    array = np.empty(n, [("x", np.int16), ("y", np.int16), ("t", np.int64), ("p", np.int8)])
    for name, values in arrays.items():
        array[name] = values
    return array


def tonic(name: str, **parameters: Any) -> Run:
    """A transform of Tonic; those that want a sensor_size get it."""

    def run(events: Any) -> object:
        import inspect

        from tonic import transforms

        kind = getattr(transforms, name)
        if "sensor_size" in inspect.signature(kind).parameters:
            parameters["sensor_size"] = (WIDTH, HEIGHT, 2)
        return kind(**parameters)(events)

    return run


def ours(name: str, *arguments: Any, **named: Any) -> Run:
    """A function of spikeloom.events, by its name there; the random ones get a generator."""

    def run(events: Any) -> object:
        from spikeloom.events import filters, representations, transforms

        place = next(m for m in (filters, transforms, representations) if hasattr(m, name))
        given = {k: np.random.default_rng(0) if k == "generator" else v for k, v in named.items()}
        return getattr(place, name)(events, *arguments, **given)

    return run


def each(name: str, **named: Any) -> Run:
    """A generator of spikeloom, of which each result is let go before the next one."""

    def run(events: Any) -> int:
        return sum(1 for _ in ours(name, **named)(events))  # type: ignore[attr-defined]

    return run


TASKS = {
    "background activity, 10 ms": Task(
        ours("background_activity", 10.0),
        lambda s: s.background_activity_filter(10_000),
        tonic("Denoise", filter_time=10_000),
        10**6,
    ),
    "refractory time, 100 ms": Task(
        ours("refractory", 100.0),
        lambda s: s.refractory_filter(100_000),
        tonic("RefractoryPeriod", delta=100_000),
        10**6,
    ),
    "hot pixels": Task(
        ours("hot_pixels", sigma=3.0), lambda s: s.hot_pixel_filter(3.0), tonic("DropPixel", hot_pixel_frequency=10.0)
    ),
    "drop 50 pixels": Task(
        ours("drop_pixels", [(9 * k, 7 * k) for k in range(50)]),
        None,
        tonic("DropPixel", coordinates=[(9 * k, 7 * k) for k in range(50)]),
    ),
    "decimation, every 4th of a pixel": Task(
        ours("decimate", 4), lambda s: s.decimate(4), tonic("Decimation", n=4), 10**6
    ),
    "crop to 320 x 240": Task(
        ours("crop", centre=(320, 240)), lambda s: s.crop(160, 120, 320, 240), tonic("CenterCrop", size=(320, 240))
    ),
    "crop at random to 320 x 240": Task(
        ours("random_crop", (320, 240), generator=None), None, tonic("RandomCrop", target_size=(320, 240))
    ),
    "crop of half the time": Task(ours("crop_time", 0.0, 5000.0), None, tonic("CropTime", max=5_000_000)),
    "downsample to 320 x 240": Task(
        ours("downsample", factor=2), lambda s: s.scale(0.5, 0.5), tonic("Downsample", spatial_factor=0.5)
    ),
    "drop events, 20 %": Task(
        ours("drop_events", 0.2, generator=None), lambda s: s.event_drop(0.2), tonic("DropEvent", p=0.2)
    ),
    "spatial jitter, 1 pixel": Task(
        ours("spatial_jitter", 1.0, generator=None),
        lambda s: s.spatial_jitter(1.0),
        tonic("SpatialJitter", var_x=1, var_y=1, sigma_xy=0, clip_outliers=True),
    ),
    "time jitter, 1 ms, sorted": Task(
        ours("time_jitter", 1.0, generator=None),
        lambda s: s.time_jitter(1.0),
        tonic("TimeJitter", std=1000, clip_negative=False, sort_timestamps=True),
    ),
    "flip left to right": Task(ours("flip_x"), None, tonic("RandomFlipLR", p=1.0)),
    "flip polarities": Task(ours("flip_polarity"), None, tonic("RandomFlipPolarity", p=1.0)),
    "merge polarities": Task(ours("merge_polarities"), None, tonic("MergePolarities")),
    "time reversal": Task(ours("time_reversal"), None, tonic("RandomTimeReversal", p=1.0)),
    "time skew": Task(ours("time_skew", 1.1), None, tonic("TimeSkew", coefficient=1.1)),
    "drop a fifth of the time": Task(
        ours("drop_by_time", 0.2, generator=None), None, tonic("DropEventByTime", duration_ratio=0.2)
    ),
    "drop an area": Task(ours("drop_by_area", 0.2, generator=None), None, tonic("DropEventByArea", area_ratio=0.2)),
    "drop a fifth of the pixels": Task(
        ours("drop_pixels_at_random", 0.2, generator=None), None, tonic("RandomDropPixel", p=0.2), 10**4
    ),
    "uniform noise, a tenth more": Task(
        ours("uniform_noise", 10**6, generator=None), None, tonic("UniformNoise", n=10**6)
    ),
    "integrating downsampling, 10 ms": Task(
        ours("downsample_integrator", (320, 240), 10.0),
        None,
        tonic(
            "EventDownsampling", target_size=(320, 240), downsampling_method="integrator", dt=10.0, noise_threshold=1
        ),
        10**5,
    ),
    "differentiating downsampling, 10 ms": Task(
        ours("downsample_differentiator", (320, 240), 10.0),
        None,
        tonic(
            "EventDownsampling",
            target_size=(320, 240),
            downsampling_method="differentiator",
            dt=10.0,
            noise_threshold=1,
            differentiator_time_bins=2,
        ),
        10**5,
    ),
    "one image": Task(ours("accumulate", polarity="merged"), lambda s: s.count(), tonic("ToImage")),
    "100 frames": Task(ours("frames", n_bins=100), None, tonic("ToFrame", n_time_bins=100)),
    "frames of 100,000 events": Task(
        ours("frames", events_per_frame=100_000), None, tonic("ToFrame", event_count=100_000)
    ),
    "frames of 10 ms, int16": Task(
        ours("frames", window=10.0, dtype="int16"), None, tonic("ToFrame", time_window=10_000, include_incomplete=True)
    ),
    "frames of 10 ms, one at a time": Task(each("iter_frames", window=10.0), None, None),
    "voxel grid, 100 bins": Task(
        ours("voxel_grid", 100), lambda s: s.voxel(bins=100, window_ms=10_000), tonic("ToVoxelGrid", n_time_bins=100)
    ),
    "time surface at the end": Task(
        ours("time_surface", 50.0), lambda s: s.tsurf(tau_ms=50), tonic("ToTimesurface", dt=10**7, tau=50_000)
    ),
    "time surfaces every 100 ms": Task(
        ours("time_surface", 50.0, every=100.0), None, tonic("ToTimesurface", dt=100_000, tau=50_000)
    ),
    "averaged time surfaces (HATS)": Task(
        ours("averaged_time_surfaces", 10, 3, 100.0, 100.0),
        None,
        tonic("ToAveragedTimesurface", cell_size=10, surface_size=7, time_window=100_000, tau=100_000),
        20_000,
    ),
    "spikes on a grid of 1 ms": Task(ours("to_spikes", 1.0), None, None),
}


def memory(entry: str) -> float:
    """VmRSS, what the process holds, or VmHWM, the most that it held, in MB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(entry)) / 1024


def measure(framework: str, task: str, n: int, repeats: int) -> Record:
    """The record of a task in this process: CPU seconds, the least of `repeats`, and the most memory it took in MB."""
    given = TASKS[task]
    run = getattr(given, framework)
    n = min(n, given.most) if framework == "tonic" else n
    events = loaded(framework, n)
    before = memory("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the most held so far is forgotten
    taken: list[float] = []
    while len(taken) < repeats and sum(taken) < 20:
        start = time.process_time()
        result = run(events)
        taken.append(time.process_time() - start)
        del result
    return {
        "framework": framework,
        "task": task,
        "events": n,
        "cpu": min(taken),
        "memory": memory("VmHWM") - before,
        "versions": {name: version(name) for name in PACKAGES[framework]},
    }


def measured(args: argparse.Namespace) -> list[Record]:
    """A record of each task and framework, in turn."""
    records, found = Records(args.records), []
    for task in args.tasks:
        for framework in FRAMEWORKS:
            if getattr(TASKS[task], framework) is None:
                continue
            key = {"framework": framework, "task": task}
            python = sys.executable if framework == "spikeloom" else str(peer_python("events"))
            sizes = ["--events", str(args.events), "--repeats", str(args.repeats)]
            command = [python, __file__, "--measure", framework, "--tasks", task, *sizes]
            record = records.find(key) or records.add(run_process(command, 900.0, RAYON_NUM_THREADS="1"))
            found.append(record)
            print(f"{task:32} {framework:10} {speed(record):10.2f} Mev/s {record['memory']:8.0f} MB", flush=True)
    return found


def speed(record: Record) -> float:
    """Million events a second of CPU time."""
    return float(record["events"] / record["cpu"] / 1e6)


def section(records: list[Record], args: argparse.Namespace, load: float) -> str:
    """What RESULTS.md says."""
    by = {(r["task"], r["framework"]): r for r in records}
    rows = []
    for task in args.tasks:
        mine, *others = (by.get((task, framework)) for framework in FRAMEWORKS)
        assert mine is not None
        speeds = ["-" if r is None else number(speed(r)) for r in (mine, *others)]
        more = ["-" if r is None else f"{number(speed(mine) / speed(r))}x" for r in others]
        held = ["-" if r is None else f"{r['memory']:.0f}" for r in (mine, *others)]
        rows.append([task, *speeds, *more, *held])
    head = ["Mev/s", *FRAMEWORKS, "against eventcv", "against Tonic", *(f"MB, {name}" for name in FRAMEWORKS)]
    fewer = ", ".join(f"{task}: {by[task, 'tonic']['events']:,}" for task in args.tasks
                      if (task, "tonic") in by and by[task, "tonic"]["events"] < args.events)  # fmt: skip
    lines = [
        f"`python benchmarks/events.py --events {args.events} --repeats {args.repeats}`",
        "",
        f"- {machine()}; load average {load:.1f} at the start; one thread",
        *version_lines(records),
        "",
        f"Million events a second of CPU time, {args.events:,} events at {WIDTH} x {HEIGHT} and {RATE:,} a second, "
        f"1 % of them at {HOT} hot pixels; the best of {args.repeats} (fewer where these take 20 s). MB: the most "
        "memory beyond that of the stream. Frames are int32 where nothing else is said, Tonic's are int16. Large "
        "results of spikeloom are made in the memory of earlier ones, so the first of the repeats is slower. eventcv's "
        "decimation counts events, not those of a pixel, "
        f"and its frames stay in its own memory. Tonic got fewer events for: {fewer or 'none'}.",
        "",
        table(head, rows),
        "",
        "![Million events a second by task](events.png)",
    ]
    return "\n".join(lines)


def number(value: float) -> str:
    """Three digits."""
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2g}"


def picture(records: list[Record], tasks: list[str], path: Path) -> None:
    """Draws the speeds as dots, a row for each task."""
    from spikeloom.analysis.plots import save
    from spikeloom.analysis.style import BLUE, GREEN, GRID, ORANGE, dress, legend, new_figure

    figure = new_figure(8, 1.2 + 0.3 * len(tasks))
    axes = dress(figure.add_subplot(), "Event streams, one thread", "million events a second of CPU time", "", grid="x")
    for framework, colour, marker in zip(FRAMEWORKS, (BLUE, ORANGE, GREEN), "oDs", strict=True):
        mine = [r for r in records if r["framework"] == framework]
        rows = [tasks.index(r["task"]) for r in mine]
        axes.plot([speed(r) for r in mine], rows, marker, color=colour, label=framework, markersize=7)
    for row in range(len(tasks)):
        axes.axhline(row, color=GRID, linewidth=0.8, zorder=0)
    axes.set(xscale="log", yticks=range(len(tasks)), yticklabels=tasks, ylim=(len(tasks) - 0.5, -0.5))
    legend(axes, loc="lower right", bbox_to_anchor=(1, 1), ncols=3)
    save(figure, path, dpi=100)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", nargs="+", choices=list(TASKS), default=list(TASKS), metavar="TASK")
    parser.add_argument("--events", type=int, default=10**7, help="events of the stream (default 10 million)")
    parser.add_argument("--repeats", type=int, default=5, help="how often a task is done (default 5)")
    parser.add_argument("--measure", choices=FRAMEWORKS, help="do one task here and print a line of JSON")
    parser.add_argument("--records", metavar="FILE", type=Path, help="JSON lines: what is in it is not measured again")
    parser.add_argument(
        "--results", metavar="FILE", type=Path, default=HERE / "RESULTS.md", help="default: RESULTS.md beside this file"
    )
    return parser.parse_args()


def main() -> None:
    args = arguments()
    if args.measure:
        print(json.dumps(measure(args.measure, args.tasks[0], args.events, args.repeats)))
        return
    load = os.getloadavg()[0]
    records = measured(args)
    text = section(records, args, load)
    picture(records, args.tasks, args.results.with_name("events.png"))
    print(f"\n{text}")
    write_section(args.results, "events", "Event streams: filters, transforms and pictures", text)


if __name__ == "__main__":
    main()
