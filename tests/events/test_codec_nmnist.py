"""N-MNIST's records against bytes assembled by hand, and against the rules of `Read_Ndataset.m`, a record at a time."""

from pathlib import Path

import numpy as np
import pytest

from spikeloom.errors import DataError
from spikeloom.events import Events
from spikeloom.events.files import EventFile, read_events, write_events

SAMPLE = Path(__file__).parents[2] / "../shared/data/events/sample_nmnist.bin"

RECORDS = bytes.fromhex(
    "03 05 80 0001"  # x 3, y 5, on, 1 us
    "21 00 7fffff"  # x 33, y 0, off, 2^23 - 1 us
    "00 f0 000000"  # y 240: 2^13 us more from here on
    "0a 14 ffffff"  # x 10, y 20, on, 2^23 - 1 + 2^13 us
    "00 f0 000000"
    "00 f0 000000"
    "ff ef 000002"  # x 255, y 239, off, 2 + 3 * 2^13 us
)
EVENTS = [(1, 3, 5, 1), (8388607, 33, 0, 0), (8396799, 10, 20, 1), (24578, 255, 239, 0)]


def matlab(data):
    """The events as `Read_Ndataset.m` finds them."""
    over, rows = 0, []
    for at in range(0, len(data), 5):
        x, y, high, middle, low = data[at : at + 5]
        if y == 240:
            over += 1 << 13
        else:
            rows.append((((high & 127) << 16 | middle << 8 | low) + over, x, y, high >> 7))
    return rows


def rows_of(events):
    return list(zip(*(getattr(events, name).tolist() for name in "txyp"), strict=True))


def test_records_are_read_and_markers_add_to_the_time(tmp_path):
    path = tmp_path / "recording"
    path.write_bytes(RECORDS)
    assert rows_of(read_events(path, "nmnist")) == EVENTS == matlab(RECORDS)


def test_events_in_order_are_written_as_these_records(tmp_path):
    path = tmp_path / "recording.bin"
    write_events(path, Events.from_arrays(*zip(*EVENTS[:3], strict=True), (34, 34)))
    assert path.read_bytes() == RECORDS[:20]


def test_what_is_written_is_what_the_data_set_s_own_reader_reads(tmp_path):
    t = np.cumsum(np.random.default_rng(0).integers(0, 300_000, 200))
    events = Events.from_arrays(t, t % 34, t // 5 % 34, t // 3 % 2, (34, 34))
    path = tmp_path / "recording.bin"
    write_events(path, [events[:90], events[90:]])
    assert matlab(path.read_bytes()) == rows_of(events)


def test_a_record_cut_short_is_damage_at_its_byte(tmp_path):
    path = tmp_path / "recording"
    path.write_bytes(RECORDS[:12])
    with pytest.raises(DataError, match="byte 10: expected a whole event, got 2 bytes"):
        read_events(path, "nmnist")
    assert rows_of(read_events(path, "nmnist", errors="keep")) == EVENTS[:2]


@pytest.mark.parametrize("content", [b"", b"hello", b"1,2,3,0\n40,5,6,1\n1234", bytes(range(0, 250, 2)), RECORDS[:-1]])
def test_what_is_no_such_file_is_not_taken_for_one(tmp_path, content):
    path = tmp_path / "recording"
    path.write_bytes(content)
    with pytest.raises(DataError):
        read_events(path)


def test_rows_from_240_on_cannot_be_written(tmp_path):
    with pytest.raises(DataError, match="256 x 240"):
        write_events(tmp_path / "a.bin", Events.from_arrays([1], [1], [240], [1], (256, 241)))


@pytest.mark.skipif(not SAMPLE.is_file(), reason="needs ../shared/data/events")
def test_a_sample_of_the_data_set_is_read_wholly():
    with EventFile(SAMPLE) as file:
        events, summary = file.read(), file.summary()
    assert (file.format, summary.n_events, events.sensor_size) == ("nmnist", 4325, (34, 34))
    assert rows_of(events) == matlab(SAMPLE.read_bytes())
