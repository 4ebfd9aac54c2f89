"""What every registered event format keeps: events come back, in any blocks; damage neither crashes, hangs nor swells.

A format adds, where its files cannot hold any event, the limits in its class (`largest_side`, `latest`, `ordered`).
"""

import os
import tracemalloc

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from spikeloom.errors import DataError
from spikeloom.events import Events
from spikeloom.events.files import FORMATS, EventFile, read_events, write_events

MOST_EVENTS = 60
BLOCKS = 4 << 20
"""What a few blocks and the interpreter take, in bytes."""

slow = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)


@st.composite
def events_for(draw, name, min_size=0):
    """Events that the format holds; dense ones, and such that lie far from each other."""
    chosen = FORMATS[name]()
    width = draw(st.integers(1, min(chosen.largest_side, 1300)))
    height = draw(st.integers(1, min(chosen.largest_side, chosen.largest_rows, 800)))
    n = draw(st.integers(min_size, MOST_EVENTS))
    latest = min(chosen.latest, 1 << 45)
    gap = draw(st.sampled_from([1, 50, 5000, 200_000]))
    t = draw(hnp.arrays(np.int64, n, elements=st.integers(0, gap))).cumsum()
    t += draw(st.integers(0, min(latest, 1 << 26) - 1))
    if n and chosen.latest > 1 << 27 and draw(st.booleans()):
        t[draw(st.integers(0, n - 1)) :] += 20_000_000
    if not chosen.ordered:
        t = draw(st.permutations(t.tolist()).map(lambda values: np.array(values, np.int64)))
    t = np.minimum(t, latest - 1)
    x, y, p = (draw(hnp.arrays(np.int64, n, elements=st.integers(0, most - 1))) for most in (width, height, 2))
    if n and draw(st.booleans()):  # rows of neighbours, which some formats put into one word
        x, y, p = np.arange(n) * draw(st.integers(1, 13)) % width, y[:1].repeat(n), p[:1].repeat(n)
        t = t[np.arange(n) // 20 * 20]
    return Events.from_arrays(t, x, y, p, (width, height))


@st.composite
def damaged(draw, content):
    """The bytes of a file with some changed, cut or put in."""
    data = bytearray(content)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, max(0, len(data) - 1)))
        kind = draw(st.sampled_from(["bit", "byte", "cut", "insert", "double"]))
        if kind == "bit" and data:
            data[at] ^= 1 << draw(st.integers(0, 7))
        elif kind == "byte" and data:
            data[at] = draw(st.integers(0, 255))
        elif kind == "cut":
            del data[at:]
        elif kind == "insert":
            data[at:at] = draw(st.binary(max_size=40))
        else:
            data[at:at] = data[at : at + draw(st.integers(0, 200))]
    return bytes(data)


def file_of(folder, name, events, blocks=None):
    """A file of the format, whose name says nothing."""
    path = folder / "recording"
    write_events(path, events if blocks is None else blocks, name, events.sensor_size)
    return path


def small(path):
    """A size of blocks of which a small file has several, and a long one not too many."""
    return max(64, path.stat().st_size // 30)


class EventFormatContract:
    """Run with a fixture or a parameter `name`: that of a writable format."""

    @slow
    @given(st.data())
    def test_events_come_back_from_a_file_without_a_telling_name(self, name, tmp_path, data):
        events = data.draw(events_for(name, min_size=1))
        path = file_of(tmp_path, name, events)
        assert read_events(path, name, events.sensor_size).equals(events)
        with EventFile(path, name) as file:
            assert file.format == name
            assert file._source.sensor_size in (None, events.sensor_size)

    @slow
    @given(st.data())
    def test_how_events_are_cut_into_blocks_leaves_no_trace_in_what_is_read(self, name, tmp_path, data):
        events = data.draw(events_for(name))
        cuts = sorted(data.draw(st.lists(st.integers(0, len(events)), max_size=4)))
        blocks = [events[a:b] for a, b in zip([0, *cuts], [*cuts, len(events)], strict=True)]
        path = file_of(tmp_path, name, events, blocks)
        assert read_events(path, name, events.sensor_size).equals(events)
        with EventFile(
            path, name, events.sensor_size, block_bytes=data.draw(st.integers(64, 200)) + small(path)
        ) as file:
            got = list(file)
            assert all(len(block) for block in got)
            assert not events.t.size or Events.concatenate(got).equals(events)

    @slow
    @given(st.data())
    def test_reading_by_time_equals_cutting_what_was_read_wholly(self, name, tmp_path, data):
        events = data.draw(events_for(name, min_size=1))
        path = file_of(tmp_path, name, events)
        last = events.t.max() / 1000 + 1
        bounds = st.one_of(st.none(), st.floats(-1, last), st.sampled_from((events.t / 1000).tolist()))
        with EventFile(path, name, events.sensor_size, block_bytes=small(path)) as file:
            for _ in range(3):
                start, end = data.draw(bounds), data.draw(bounds)
                assert file.read(start, end).equals(events.between(start, end))
            summary = file.summary()
        assert (summary.n_events, summary.format) == (len(events), name)
        assert (summary.start, summary.end) == (events.t.min() / 1000, events.t.max() / 1000)

    def test_its_file_is_recognised_by_content_as_it_and_no_other(self, name, tmp_path):
        t = np.arange(0, 40_000, 20)
        events = Events.from_arrays(t, t % 34, t // 7 % 34, t // 20 % 2, (34, 34))
        with EventFile(file_of(tmp_path, name, events)) as file:
            assert file.format == name

    @slow
    @given(st.data())
    def test_a_damaged_file_gives_the_events_before_the_damage_or_an_error(self, name, tmp_path, data):
        events = data.draw(events_for(name, min_size=1))
        path = file_of(tmp_path, name, events)
        path.write_bytes(data.draw(damaged(path.read_bytes())))
        check_hostile(path, name)

    @slow
    @given(st.data())
    def test_random_bytes_behind_a_header_neither_crash_nor_swell(self, name, tmp_path, data):
        events = data.draw(events_for(name, min_size=1))
        path = file_of(tmp_path, name, events)
        content = path.read_bytes()
        path.write_bytes(content[: data.draw(st.integers(0, len(content)))] + data.draw(st.binary(max_size=3000)))
        check_hostile(path, name)

    def test_a_file_cut_at_any_byte_gives_a_beginning_of_the_events(self, name, tmp_path):
        t = np.arange(5, 100, 7) * 100
        events = Events.from_arrays(t, t % 30, t % 29, t // 100 % 2, (34, 34))
        path = file_of(tmp_path, name, events)
        content = path.read_bytes()
        for length in {*range(0, len(content), max(1, len(content) // 60)), *range(len(content) - 18, len(content))}:
            path.write_bytes(content[: max(0, length)])
            check_hostile(path, name)
            if not FORMATS[name].crash_safe:
                continue
            try:
                got = read_events(path, name, (34, 34), errors="keep")
            except DataError:
                continue
            assert got.equals(events[: len(got)])


def check_hostile(path, name):
    """`check_reading`; for a format that a C library reads, in a process of its own, which that may crash."""
    if FORMATS[name].crash_safe:
        check_reading(path, name)
        return
    child = os.fork()
    if not child:
        code = 1
        try:
            check_reading(path, name)
            code = 0
        finally:
            os._exit(code)
    status = os.waitpid(child, 0)[1]
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0, "see what check_reading raises"


def check_reading(path, name):
    """Reading ends in events or a DataError that names the file, in bounded memory; the two ways of errors agree."""
    size = path.stat().st_size
    tracemalloc.start()
    try:
        kept, damage = read_kept(path, name)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak <= FORMATS[name].memory_per_byte * size + BLOCKS, f"{peak} bytes for a file of {size}"
    try:
        whole = read_events(path, name)
    except DataError as error:
        named, whole = str(path) in str(error), None
    else:
        named = True
    assert named, "an error names its file"
    assert (whole is None) == (kept is None or damage is not None)
    assert whole is None or whole.equals(kept)


def read_kept(path, name):
    """The events before any damage (None: the header is damaged) and the damage; by blocks they are the same."""
    try:
        with EventFile(path, name, errors="keep") as file:
            events = file.read()
            damage = file.damage
        with EventFile(path, name, events.sensor_size, errors="keep", block_bytes=small(path)) as file:
            blocks = list(file)
    except DataError:
        return None, None
    assert sum(len(block) for block in blocks) == len(events)
    return events, damage
