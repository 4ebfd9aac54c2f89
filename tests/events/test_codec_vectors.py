"""Every kind of word of the camera formats: bytes put together by hand from the vendors' specifications."""

import numpy as np
import pytest

from spikeloom.errors import DataError
from spikeloom.events import Events
from spikeloom.events.files import EventFile, read_events, write_events

EVT2 = b"% evt 2.0\n% geometry 640x480\n% end\n"
EVT21 = b"% evt 2.1\n% format EVT21;endianness=little;height=480;width=640\n% end\n"
EVT3 = b"% camera_integrator_name Prophesee\n% format EVT3;height=720;width=1280\n% evt 3.0\n% end\n"
DAT = b"% Data file containing CD events.\n% Version 2\n% Date 2014-03-01 8:37:47\n% Height 240\n% Width 304\n"
ES = b"Event Stream" + bytes([2, 0, 0, 1, 0x40, 0x01, 0xF0, 0x00])
"""Event Stream 2.0.0, DVS, 320 x 240."""


def read(path, content, *words, **options):
    """The (t, x, y, p) of a file, and the file after all was read."""
    path.write_bytes(content + b"".join(words))
    with EventFile(path, **options) as file:
        events = file.read()
        return [tuple(int(getattr(events, name)[k]) for name in "txyp") for k in range(len(events))], file.summary()


def words(size, *values):
    """Words of so many bytes, little-endian."""
    return b"".join(value.to_bytes(size, "little") for value in values)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "recording"


def test_evt2_has_a_word_for_each_event_and_for_each_64_microseconds(path):
    events, summary = read(path, EVT2, bytes.fromhex("01000080 c8604911 ffe08f02 02000080 0000c01f"))
    assert events == [(69, 300, 200, 1), (74, 508, 255, 0), (191, 0, 0, 1)]
    assert (summary.format, summary.sensor_size, summary.start, summary.end) == ("evt2", (640, 480), 0.069, 0.191)


def test_evt2_skips_and_counts_what_is_no_event(path):
    before, high, event = 0x114960C8, 0x80000001, 0x114960C8
    trigger, other, more, reserved = 0xA0000101, 0xE0000014, 0xF0000001, 0x50000000
    events, summary = read(path, EVT2, words(4, before, high, trigger, event, other, more, reserved, event))
    assert events == [(69, 300, 200, 1)] * 2
    assert summary.skipped == {"events without a time": 1, "triggers": 1, "other words": 3}


def test_evt2_times_grow_beyond_their_34_bits(path):
    event = 0x10000000
    events, _ = read(path, EVT2, words(4, 0x8FFFFFFF, event | 63 << 22, 0x80000000, event, 0x88000000, event))
    assert [t for t, *_ in events] == [2**34 - 1, 2**34, 2**34 + 2**33]


def test_a_time_high_that_falls_by_less_than_half_goes_back(path):
    events, _ = read(path, EVT2, words(4, 0x80000009, 0x10000000, 0x80000007, 0x10000000))
    assert [t for t, *_ in events] == [9 * 64, 7 * 64]


def test_evt21_has_up_to_32_events_in_a_word(path):
    high, vector = bytes.fromhex("00000000 01000080"), bytes.fromhex("05000080 c8004111")
    events, _ = read(path, EVT21, high, vector)
    assert events == [(69, 32, 200, 1), (69, 34, 200, 1), (69, 63, 200, 1)]


def test_evt21_of_the_older_sensors_has_the_halves_of_its_words_swapped(path):
    header = EVT21.replace(b"little", b"legacy")
    events, _ = read(path, header, bytes.fromhex("01000080 00000000 c8004111 05000080"))
    assert events == [(69, 32, 200, 1), (69, 34, 200, 1), (69, 63, 200, 1)]


def test_evt21_skips_and_counts_what_is_no_event(path):
    high, vector, trigger, other = 0x80000001 << 32, 0x114100C8 << 32 | 7, 0xA << 60, 0xE << 60
    events, summary = read(path, EVT21, words(8, vector, high, trigger, other, vector))
    assert len(events) == 3
    assert summary.skipped == {"events without a time": 3, "triggers": 1, "other words": 1}


def test_evt3_tells_what_changes(path):
    high, low, row, event = 0x8001, 0x6005, 0x00C8, 0x292C
    events, summary = read(path, EVT3, words(2, high, low, row, event, 0x0801, 0x2000, 0x6006, 0x24FF))
    assert events == [(4101, 300, 200, 1), (4101, 0, 1, 0), (4102, 1279, 1, 0)]
    assert summary.sensor_size == (1280, 720)


def test_evt3_vectors_move_their_column_on(path):
    base, twelve, eight, one = 0x3864, 0x4801, 0x5F81, 0x4001
    events, _ = read(path, EVT3, words(2, 0x8000, 0x6000, 0x0002, base, twelve, eight, one))
    assert [(x, y, p) for _, x, y, p in events] == [(x, 2, 1) for x in (100, 111, 112, 119, 120)]


def test_evt3_single_events_do_not_move_the_column_of_vectors(path):
    events, _ = read(path, EVT3, words(2, 0x8000, 0x6000, 0x0002, 0x3064, 0x4001, 0x2832, 0x4001))
    assert [(x, p) for _, x, _, p in events] == [(100, 0), (50, 1), (112, 0)]


def test_evt3_skips_and_counts_what_is_no_event(path):
    start = words(2, 0x0001, 0x6001, 0x2001, 0x3001, 0x4007, 0x8000, 0x4003)
    events, summary = read(path, EVT3, start, words(2, 0xA001, 0xE014, 0xF00F, 0x7003, 0x9000, 0x2002))
    assert [x for _, x, _, _ in events] == [13, 14, 2]
    assert summary.skipped == {"events without a time or row": 4, "triggers": 1, "other words": 4}


def test_evt3_sets_the_low_bits_to_zero_when_the_high_ones_change_and_only_then(path):
    events, _ = read(path, EVT3, words(2, 0x0001, 0x8001, 0x6005, 0x2000, 0x8001, 0x2000, 0x8002, 0x2000))
    assert [t for t, *_ in events] == [4101, 4101, 8192]


def test_evt3_in_the_order_of_a_sensor_has_the_times_of_specs_section_3(path):
    times = [10, 4090, 4100, 8200, 8300, 12300]
    stream = [0x0001]
    for t in times:
        stream += [0x8000 | t >> 12, 0x6000 | t & 0xFFF, 0x2000]
    events, _ = read(path, EVT3, words(2, *stream))
    assert [t for t, *_ in events] == times


def test_evt3_times_grow_beyond_their_24_bits_and_jumps_are_accepted(path):
    stream = (0x0001, 0x8FFF, 0x6FFF, 0x2000, 0x8000, 0x6000, 0x2000, 0x8800, 0x6001, 0x2000)
    events, _ = read(path, EVT3, words(2, *stream))
    assert [t for t, *_ in events] == [2**24 - 1, 2**24, 2**24 + 2**23 + 1]


def test_evt3_writes_every_time_high_over_a_gap_of_20_s(path):
    write_events(path, Events.from_arrays([0, 20_000_000], [1, 2], [3, 3], [0, 1], (640, 480)), "evt3")
    stream = np.frombuffer(path.read_bytes().partition(b"% end\n")[2], "<u2")
    highs = stream[stream >> 12 == 8] & 0xFFF
    assert highs.tolist() == [k % 4096 for k in range(20_000_000 // 4096 + 1)]
    assert [f"{word:04x}" for word in stream[stream >> 12 != 8]] == ["6000", "0003", "2001", "6d00", "2802"]


def test_evt3_writes_vectors_where_they_are_shorter(path):
    x = [10, 11, 15, 22, 33, 40, 41, 100]
    write_events(path, Events.from_arrays([7] * 8, x, [5] * 8, [1] * 8, (640, 480)), "evt3")
    stream = np.frombuffer(path.read_bytes().partition(b"% end\n")[2], "<u2")
    assert [f"{word:04x}" for word in stream[:3]] == ["8000", "6007", "0005"]
    assert [f"{word:04x}" for word in stream[3:]] == ["380a", "4023", "4801", "40c0", "2864"]


def test_dat_has_a_record_of_8_bytes_for_each_event(path):
    events, summary = read(path, DAT, bytes.fromhex("0c08 e8030000 2c013210 ffffffff 00000000 00000000 01400000"))
    assert events == [(1000, 300, 200, 1), (2**32 - 1, 0, 0, 0), (2**32, 1, 1, 0)]
    assert (summary.sensor_size, summary.header["kind"]) == ((304, 240), "CD")


def test_dat_of_n_cars_is_of_the_kind_2d_and_without_a_geometry(path):
    header = b"% Data file containing 2d events.\n% Version 2\n"
    events, summary = read(path, header, bytes.fromhex("0008 e8030000 2c013210"))
    assert events == [(1000, 300, 200, 1)]
    assert (summary.sensor_size, summary.header["kind"]) == ((301, 201), "2d")


def test_dat_version_1_has_narrower_addresses(path):
    header = DAT.replace(b"Version 2", b"Version 1")
    events, _ = read(path, header, bytes.fromhex("0c08 e8030000 2c910300"))
    assert events == [(1000, 300, 200, 1)]


def test_es_counts_time_from_event_to_event_and_rows_from_the_bottom(path):
    events, summary = read(path, ES, bytes.fromhex("0b 2c01 c800  ff ff 00 0000 ef00  fefefefefe  fc 3f01 0000"))
    assert events == [(5, 300, 39, 1), (259, 0, 0, 0), (385, 319, 239, 0)]
    assert (summary.sensor_size, summary.header["kind"]) == ((320, 240), "DVS")


def test_es_of_atis_has_its_polarity_events_read_and_its_crossings_counted(path):
    header = ES[:15] + bytes([2]) + ES[16:]
    events, summary = read(path, header, bytes.fromhex("16 2c01 c800  fe fd fc  15 0000 0000  04 0100 ef00"))
    assert events == [(5, 300, 39, 1), (5 + 126 + 63 + 5 + 1, 1, 0, 0)]
    assert summary.skipped == {"threshold crossings": 1}


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (ES[:15] + bytes([4]) + ES[16:], r"byte 15: expected DVS \(1\) or ATIS \(2\) events, got 4 \(colour\)"),
        (ES[:15] + bytes([9]) + ES[16:], r"byte 15: .* got 9 \(unknown"),
        (ES[:12] + bytes([0]) + ES[13:], r"byte 12: expected version 2, got 0\.0\.0"),
        (ES[:16] + bytes(4), r"byte 16: expected 1 to 32768 pixels a side, got 0 x 0"),
        (ES[:16] + bytes(2) + ES[18:], r"byte 16: expected 1 to 32768 pixels a side, got 0 x 240"),
        (ES[:17], r"byte 17: expected a header of 20 bytes, got the end of the file"),
    ],
)
def test_es_says_at_which_byte_its_header_is_wrong(path, content, text):
    path.write_bytes(content)
    with pytest.raises(DataError, match=f"recording, {text}"):
        read_events(path, "es")


@pytest.mark.parametrize(
    ("form", "content", "text"),
    [
        ("dat", DAT + bytes([14, 8]), r"byte \d+: expected the kind of event, 00 \(2d\) or 0c \(CD\), .*got 0e 08"),
        ("dat", DAT, r"byte \d+: .* got the end of the file"),
        ("dat", DAT.replace(b"Version 2", b"Version 7") + b"\x0c\x08", "expected version 1 or 2 of DAT, got '7'"),
        ("dat", DAT.replace(b"Width 304", b"Width 99999") + b"\x0c\x08", "expected a geometry of 1 to 32768 pixels"),
        ("evt2", EVT3, "byte 0: expected a header of EVT 2.0, got one of EVT 3.0"),
        ("evt3", EVT3.replace(b"1280", b"wide"), "expected a geometry of 1 to 32768 pixels a side, got wide x 720"),
        ("evt3", b"% key value\n" * 6000, r"byte \d+: expected the end of the header within 65536 bytes"),
    ],
)
def test_headers_of_prophesee_that_are_wrong_are_refused_by_name(path, form, content, text):
    path.write_bytes(content)
    with pytest.raises(DataError, match=text):
        read_events(path, form)


@pytest.mark.parametrize(
    ("header", "form", "size"),
    [
        (b"% Date 2019-01-01\n% evt 2.0\n% Width 100\n% Height 50\n", "evt2", (100, 50)),
        (b"% evt 2.0\n% geometry 1280x720\n% system_ID 49\n", "evt2", (1280, 720)),
        (b"% format EVT2;height=5;width=6\n% end\n", "evt2", (6, 5)),
        (b"% evt 3.0\r\n% geometry 64x32\r\n% end\r\n", "evt3", (64, 32)),
        (b"% format EVT21;endianness=legacy;height=5;width=6\n% end\n", "evt2.1", (6, 5)),
    ],
)
def test_the_ways_in_which_cameras_tell_encoding_and_geometry_are_understood(path, header, form, size):
    path.write_bytes(header)
    with EventFile(path) as file:
        assert (file.format, file.sensor_size, len(file.read())) == (form, size, 0)


@pytest.mark.parametrize(
    ("form", "content", "byte", "got"),
    [
        ("evt2", EVT2 + words(4, 0x80000000, 0x10000000, 0x10000000 | 640 << 11), len(EVT2) + 8, "x 640, y 0"),
        (
            "evt2.1",
            EVT21 + words(8, 0x8 << 60, 1 << 60 | 608 << 43 | 1, 1 << 60 | 480 << 32 | 3),
            len(EVT21) + 16,
            "480",
        ),
        ("evt3", EVT3 + words(2, 0x8000, 0x6000, 0x0001, 0x2001, 0x34FF, 0x4003), len(EVT3) + 10, "x 1280, y 1"),
        ("dat", DAT + b"\x0c\x08" + words(8, 0, 304 << 32), len(DAT) + 10, "x 304, y 0"),
        ("es", ES + bytes.fromhex("00 0000 0000 ff 00 4001 0000"), len(ES) + 6, "x 320, y 239"),
    ],
)
def test_an_event_outside_of_the_sensor_is_damage_at_the_byte_of_its_word(path, form, content, byte, got):
    path.write_bytes(content)
    with pytest.raises(DataError, match=rf"recording, byte {byte}: expected an event within .* pixels, got .*{got}"):
        read_events(path)
    kept = read_events(path, errors="keep")
    assert len(kept) == {"evt3": 2}.get(form, 1)


@pytest.mark.parametrize(("form", "header", "size"), [("evt2", EVT2, 4), ("evt2.1", EVT21, 8), ("evt3", EVT3, 2)])
def test_a_word_that_is_cut_is_damage_where_it_begins(path, form, header, size):
    path.write_bytes(header + bytes(size) + b"\1" * (size - 1))
    with pytest.raises(DataError, match=f"byte {len(header) + size}: expected a whole event, got {size - 1} bytes"):
        read_events(path, form)
