"""Event files of any format: recognised, streamed, searched by time, written whole or not at all."""

import logging
import os
import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from spikeloom.errors import DataError, ParameterError, ShapeError, StateError, StorageError, UnknownNameError
from spikeloom.events import Events
from spikeloom.events.files import (
    FORMATS,
    EventFile,
    columns,
    convert,
    es,
    evt3,
    evt21,
    read_events,
    words,
    write_events,
)

REAL = Path(__file__).parents[2] / "../shared/data/events/dvs.es"
T = np.arange(0, 100_000, 10)
EVENTS = Events.from_arrays(T, T % 320, T % 240, T // 10 % 2, (320, 240))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "events.es"


@pytest.fixture
def file(path):
    """An open file of EVENTS in blocks of about 200 of them."""
    write_events(path, EVENTS)
    with EventFile(path, block_bytes=1000) as opened:
        yield opened


def test_the_facts_of_the_real_recording_are_those_that_are_published():
    if not REAL.exists():
        pytest.skip(f"{REAL} is not there")
    with EventFile(REAL) as file:
        summary = file.summary()
    assert (summary.format, summary.n_events, summary.sensor_size) == ("es", 473_225, (320, 240))
    assert (summary.start, summary.end) == (0.0, 999.0)


def test_blocks_are_bounded_and_hold_all_events_in_their_order(file):
    blocks = list(file)
    assert max(len(block) for block in blocks) == 200
    assert Events.concatenate(blocks).equals(EVENTS)
    assert all(block.is_sorted for block in blocks)


def test_reading_by_time_reads_only_the_blocks_that_hold_it(file, monkeypatch):
    assert file.read(50, 50.1).t.tolist() == list(range(50_000, 50_100, 10))
    offsets = []
    read = file._source._read
    monkeypatch.setattr(file._source, "_read", lambda offset: offsets.append(offset) or read(offset))
    assert len(file.read(50, 54)) == 400
    assert len(offsets) == 3
    assert len(file.read(200, 300)) == len(offsets) - 3 == 0


def test_memory_stays_bounded_while_a_file_is_written_streamed_and_searched(path):
    n, length = 5000, 300
    blocks = (EVENTS[:n].with_arrays(t=EVENTS.t[:n] + k * 60_000) for k in range(length))
    tracemalloc.start()
    try:
        write_events(path, blocks)
        with EventFile(path) as file:
            counted = sum(len(block) for block in file)
            part = file.read(60.0 * 200, 60.0 * 200 + 1)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (counted, len(part)) == (n * length, 100)
    assert peak < 7 * 2**20 < path.stat().st_size


def test_order_is_told_also_of_blocks_that_are_sorted_each(path):
    words = [0x80000002, *[0x10000000] * 15, 0x80000001, *[0x10000000] * 15]
    path.write_bytes(b"% evt 2.0\n% end\n" + np.array(words, "<u4").tobytes())
    with EventFile(path, block_bytes=64) as file:
        assert [block.is_sorted for block in file] == [True, True]
        assert not file.read().is_sorted
        assert not file.read(0, 1).is_sorted
        assert len(file.read(0.1, 1)) == 15


def test_progress_is_told_up_to_the_end(path):
    write_events(path, EVENTS)
    told = []
    with EventFile(path, block_bytes=10_000, progress=told.append) as file:
        file.read(1, 2)
    assert told == sorted(told)
    assert told[-1] == 1.0
    assert len(told) > 3


def test_nothing_is_read_from_a_closed_file(file):
    file.close()
    file.close()
    for call in (file.read, file.summary, lambda: next(iter(file))):
        with pytest.raises(StateError, match="is closed"):
            call()


def test_the_sensor_is_as_given_else_as_the_file_says_else_as_large_as_its_events_need(tmp_path):
    path = tmp_path / "a.raw"
    write_events(path, EVENTS[:100], "evt2")
    assert read_events(path).sensor_size == (320, 240)
    assert read_events(path, sensor_size=(640, 480)).sensor_size == (640, 480)
    path.write_bytes(path.read_bytes().replace(b"% geometry 320x240\n", b"").replace(b";height=240;width=320", b""))
    assert read_events(path).sensor_size == (311, 231)
    with EventFile(path, block_bytes=64) as file:
        assert {block.sensor_size for block in file} == {file.sensor_size} == {(311, 231)}
    with pytest.raises(DataError, match="expected an event within 200 x 240 pixels"):
        read_events(path, sensor_size=(200, 240))


def test_keeping_errors_gives_the_events_before_the_damage_and_tells_of_it_once(path, caplog):
    write_events(path, EVENTS)
    content = bytearray(path.read_bytes())
    content[20 + 5 * 1000 + 2] = 0xFF
    path.write_bytes(content)
    with caplog.at_level(logging.WARNING), EventFile(path, errors="keep", block_bytes=1000) as file:
        assert file.read().equals(EVENTS[:1000])
        assert Events.concatenate(list(file)).equals(EVENTS[:1000])
        assert len(file.read(9.9, 20)) == 10
        assert file.summary().damage == file.damage
        assert (file.damage.offset, file.damage.unit) == (20 + 5000, "byte")
    assert len(caplog.records) == 1
    assert "events.es is damaged, byte 5020" in caplog.text
    with pytest.raises(DataError, match=r"events\.es, byte 5020: expected an event within 320 x 240 pixels, got x"):
        read_events(path)


def test_a_file_of_no_known_content_is_refused_with_the_formats(tmp_path):
    path = tmp_path / "x.raw"
    for content, got in (
        (b"\x89PNG\r\n\x1a\n" * 3, "89 50 4e 47"),
        (b"", "an empty file"),
        (b"% \n" * 30_000, "25 20 0a"),
    ):
        path.write_bytes(content)
        with pytest.raises(DataError, match=rf"x\.raw, byte 0: expected .*evt2, evt2.1, evt3.* got the bytes .*{got}"):
            read_events(path)


def test_the_format_is_found_by_name_with_synonyms_and_suggestions(path):
    write_events(path, EVENTS)
    assert len(read_events(path, "ES")) == len(read_events(path, "Event Stream")) == len(EVENTS)
    with pytest.raises(UnknownNameError, match="did you mean 'evt2'"):
        read_events(path, "evtt2")
    assert [FORMATS.name_of(name) for name in ("EVT21", "evt-3.0", "EVT2.0")] == ["evt2.1", "evt3", "evt2"]


@pytest.mark.parametrize(
    ("name", "text"),
    [("a.raw", "'.raw' belongs to several; give format=, one of: evt2"), ("a.mp4", "no format has the suffix '.mp4'")],
)
def test_a_suffix_that_does_not_tell_the_format_is_an_error(tmp_path, name, text):
    with pytest.raises(ParameterError, match=text):
        write_events(tmp_path / name, EVENTS)


def test_paths_that_hold_no_file_are_storage_errors_or_data_errors(tmp_path):
    with pytest.raises(StorageError, match=r"cannot read .*absent"):
        read_events(tmp_path / "absent")
    with pytest.raises(DataError, match="no regular file"):
        read_events(tmp_path)
    with pytest.raises(StorageError, match="cannot write"):
        write_events(tmp_path / "absent" / "a.es", EVENTS)


def test_a_pipe_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for form in (None, "es"):
        with pytest.raises(DataError, match="no regular file"):
            read_events(tmp_path / "pipe", form)


def test_an_iterable_of_blocks_is_written_as_it_comes(path):
    write_events(path, (EVENTS[k : k + 7] for k in range(0, len(EVENTS), 7)))
    assert read_events(path).equals(EVENTS)
    write_events(path, iter([]), sensor_size=(4, 3))
    assert (len(read_events(path)), read_events(path).sensor_size) == (0, (4, 3))
    with pytest.raises(ParameterError, match="there are no blocks; give sensor_size"):
        write_events(path, [])


@pytest.mark.parametrize(
    ("blocks", "error", "text"),
    [
        ([EVENTS[:5], EVENTS[3:9]], DataError, "holds events in order of time from 0 on; got others among events 5 to"),
        ([EVENTS[::-1]], DataError, "in order of time.*see Events.sorted"),
        ([EVENTS.with_arrays(t=EVENTS.t - 1)], DataError, "in order of time from 0 on"),
        ([EVENTS, EVENTS.with_arrays(t=EVENTS.t + 2**35)], DataError, "es holds times below 1.71799e.07 ms"),
        ([EVENTS[:5], Events.from_arrays([10**6], [0], [0], [0], (9, 9))], ShapeError, "of one sensor size"),
        ([EVENTS, "no events"], ParameterError, "expected Events or an iterable of them, got str"),
    ],
)
def test_what_cannot_be_written_leaves_the_earlier_file_as_it_was(path, blocks, error, text):
    write_events(path, EVENTS[:10])
    with pytest.raises(error, match=text):
        write_events(path, blocks)
    assert read_events(path).equals(EVENTS[:10])
    assert [found.name for found in path.parent.iterdir()] == ["events.es"]


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        ({"t": EVENTS.t[::-1]}, "in order of time"),
        ({"t": np.where(EVENTS.t == 500, 2**35, EVENTS.t)}, "in order of time"),
        ({"x": np.where(EVENTS.t == 500, np.int16(320), EVENTS.x)}, "got x 320, y 20, p 0 as event 50"),
        ({"y": np.where(EVENTS.t == 500, np.int16(-1), EVENTS.y)}, "within 320 x 240 pixels, .* got x 180, y -1"),
        ({"p": np.where(EVENTS.t == 500, np.int8(-1), EVENTS.p)}, "of polarity 0 or 1, got x 180, y 20, p -1"),
        ({"x": EVENTS.x.astype(np.int64)}, "Events.x must be 10000 numbers of int16"),
        ({"y": EVENTS.y[:9]}, "Events.y must be"),
    ],
)
@pytest.mark.parametrize("form", ["evt2", "evt2.1", "evt3", "dat", "es"])
def test_events_that_were_made_without_checks_reach_no_encoder(form, wrong, text, tmp_path):
    made = replace(EVENTS, **wrong, is_sorted=True)
    with pytest.raises(DataError, match=text):
        write_events(tmp_path / "file", made, form)
    assert not list(tmp_path.iterdir())


def test_sensors_that_a_format_cannot_address_are_refused(tmp_path):
    events = Events.from_arrays([0], [3000], [0], [0])
    with pytest.raises(DataError, match="evt3 holds at most 2048 x 2048 pixels, got"):
        write_events(tmp_path / "a.raw", events, "evt3")


def test_a_gap_that_32_bits_cannot_tell_is_refused_by_dat(tmp_path):
    events = Events.from_arrays([0, 2**31], [0, 0], [0, 0], [0, 0])
    with pytest.raises(DataError, match=r"no gap of 2.14748e.06 ms or more"):
        write_events(tmp_path / "a.dat", events)
    long = Events.from_arrays(np.arange(9) * 2**30, [0] * 9, [0] * 9, [0] * 9)
    write_events(tmp_path / "a.dat", long)
    assert read_events(tmp_path / "a.dat", sensor_size=(1, 1)).equals(long)


def test_converting_there_and_back_keeps_every_event(path, tmp_path):
    write_events(path, EVENTS)
    for form in ("evt2", "evt2.1", "evt3", "dat"):
        convert(path, tmp_path / "other", form)
        convert(tmp_path / "other", tmp_path / "back.es")
        assert (tmp_path / "back.es").read_bytes() == path.read_bytes()


def test_converting_keeps_the_target_where_the_source_is_damaged(path, tmp_path):
    write_events(path, EVENTS)
    convert(path, tmp_path / "b.dat")
    before = (tmp_path / "b.dat").read_bytes()
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DataError, match="expected a whole event, got 4 bytes"):
        convert(path, tmp_path / "b.dat")
    assert (tmp_path / "b.dat").read_bytes() == before
    convert(path, tmp_path / "b.dat", errors="keep")
    assert read_events(tmp_path / "b.dat").equals(EVENTS[:-1])


@pytest.mark.parametrize("options", [{"errors": "ignore"}, {"block_bytes": 10}, {"sensor_size": (0, 5)}])
def test_options_are_checked_at_the_door(path, options):
    write_events(path, EVENTS)
    with pytest.raises(ParameterError, match="must be"):
        EventFile(path, **options)
    with EventFile(path) as file, pytest.raises(ParameterError, match="must be a time in ms"):
        file.read("1")


def test_events_that_are_read_cannot_be_written_to(path):
    write_events(path, EVENTS)
    with pytest.raises(ValueError, match="read-only"):
        read_events(path).t[0] = 5


@pytest.mark.parametrize("form", ["evt2", "evt2.1", "evt3", "dat", "es"])
def test_without_a_compiler_files_are_the_same(form, tmp_path, monkeypatch):
    write_events(tmp_path / "native", EVENTS[:2000], form)
    for module in (columns, es, evt3, evt21, words):
        monkeypatch.setattr(module, "compiled", lambda header: None)
    write_events(tmp_path / "numpy", EVENTS[:2000], form)
    assert (tmp_path / "numpy").read_bytes() == (tmp_path / "native").read_bytes()
    with EventFile(tmp_path / "numpy", block_bytes=512) as file:
        assert Events.concatenate(list(file)).equals(EVENTS[:2000])
        assert file.read(5, 6).equals(EVENTS.between(5, 6))


def test_an_array_of_numpy_names_the_way_to_events(tmp_path):
    array = np.array([(1, 2, 3, 1)], [("t", "<i8"), ("x", "<i2"), ("y", "<i2"), ("p", "i1")])
    np.save(tmp_path / "events.npy", array)
    with pytest.raises(DataError, match=r"give np\.load\(path\) to Events\.from_structured"):
        read_events(tmp_path / "events.npy")
    assert len(Events.from_structured(np.load(tmp_path / "events.npy"))) == 1
