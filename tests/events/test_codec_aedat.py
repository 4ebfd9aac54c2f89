"""AEDAT 2.0, 3.1 and 4.0 against bytes assembled by hand from iniVation's pages and jAER's extractors."""

import struct
import sys

import numpy as np
import pytest

from spikeloom.errors import DataError, ParameterError, UnsupportedError
from spikeloom.events import Events
from spikeloom.events.files import EventFile, read_events, write_events
from spikeloom.events.files.aedat2 import AEDAT2

HEAD2 = b"#!AER-DAT2.0\r\n# This is a raw AE data file - do not edit\r\n"
DVS128 = b"# AEChip: ch.unizh.ini.jaer.chip.retina.DVS128\r\n"
DAVIS = b"# AEChip: eu.seebetter.ini.chips.davis.Davis346B\r\n"


def rows_of(events):
    return list(zip(*(getattr(events, name).tolist() for name in "txyp"), strict=True))


def recording(folder, *parts):
    path = folder / "recording"
    path.write_bytes(b"".join(parts))
    return path


@pytest.mark.parametrize("chip", [b"", DVS128], ids=["no chip", "DVS128"])
def test_addresses_of_a_dvs128_are_seen_as_jaer_shows_them(tmp_path, chip):
    words = bytes.fromhex(
        "00000000 00000001"  # chip x 0, y 0, bit 0 clear (on): right column, bottom row
        "00007fff 00000002"  # x 127, y 127, off: left column, top row
        "00008000 00000003"  # bit 15: external event
        "00000a15 00000004"  # y 10, x 10, off
    )
    with EventFile(recording(tmp_path, HEAD2, chip, words)) as file:
        assert (file.format, file.sensor_size) == ("aedat2", (128, 128))
        assert rows_of(file.read()) == [(1, 127, 127, 1), (2, 0, 0, 0), (4, 117, 117, 0)]
        assert file.summary().skipped == {"external events": 1}


def test_addresses_of_a_davis_are_seen_as_jaer_shows_them(tmp_path):
    words = struct.pack(
        ">10I",
        0 << 22 | 0 << 12 | 1 << 11, 5,  # right column, bottom row, on
        259 << 22 | 345 << 12, 6,  # left column, top row, off
        1 << 31 | 3 << 22 | 4 << 12 | 77, 7,  # sample of a frame
        1 << 10 | 2, 8,  # external event
        100 << 22 | 45 << 12 | 1 << 11, 9,
    )  # fmt: skip
    with EventFile(recording(tmp_path, HEAD2, DAVIS, words)) as file:
        assert file.sensor_size == (346, 260)
        assert rows_of(file.read()) == [(5, 345, 259, 1), (6, 0, 0, 0), (9, 300, 159, 1)]
        assert file.summary().skipped == {"samples of frames and inertial data": 1, "external events": 1}


def test_times_begin_anew_after_32_bits(tmp_path):
    words = struct.pack(">8I", 0, 0x7FFFFFFF, 0, 0x80000000, 0, 0xFFFFFFFF, 0, 3)
    events = read_events(recording(tmp_path, HEAD2, words))
    assert events.t.tolist() == [2**31 - 1, 2**31, 2**32 - 1, 2**32 + 3]


def test_a_first_event_that_begins_with_a_hash_is_no_header_line(tmp_path):
    end = b"#End Of ASCII Header\r\n"
    events = read_events(recording(tmp_path, HEAD2, DAVIS, end, b"#AAA  \r\n"))
    assert rows_of(events) == [(0x20200D0A, 345 - 20, 259 - 141, 0)]


def test_the_camera_that_is_asked_for_counts(tmp_path):
    words = struct.pack(">2I", 9 << 22 | 5 << 12 | 1 << 11, 1)
    path = recording(tmp_path, HEAD2, words)
    with pytest.raises(DataError, match=rf"byte {len(HEAD2)}: expected an address of 16 bits.*camera="):
        read_events(path)
    assert rows_of(read_events(path, AEDAT2(camera="davis240"))) == [(1, 234, 170, 1)]
    with pytest.raises(ParameterError, match="did you mean 'davis240'"):
        AEDAT2(camera="davis24")


def test_an_unknown_chip_asks_for_the_camera(tmp_path):
    path = recording(tmp_path, HEAD2, b"# AEChip: org.example.FlyEye\r\n", bytes(8))
    with pytest.raises(DataError, match=r"AEChip.*got 'org\.example\.FlyEye'"):
        read_events(path)
    assert rows_of(read_events(path, AEDAT2(camera="dvs128"))) == [(0, 127, 127, 1)]


def test_a_column_beyond_the_sensor_is_damage_at_its_byte(tmp_path):
    words = struct.pack(">4I", 0, 1, 400 << 12, 2)
    path = recording(tmp_path, HEAD2, DAVIS, words)
    with pytest.raises(DataError, match=f"byte {len(HEAD2 + DAVIS) + 8}: expected an event within 346 x 260"):
        read_events(path)


@pytest.mark.parametrize(("size", "chip"), [((128, 128), DVS128), ((346, 260), DAVIS)])
def test_new_files_name_the_camera_of_their_size(tmp_path, size, chip):
    path = tmp_path / "a.aedat2"
    write_events(path, Events.from_arrays([5], [size[0] - 1], [size[1] - 1], [1], size))
    content = path.read_bytes()
    assert chip in content
    assert content[-8:] == struct.pack(">2I", 0 if size[0] == 128 else 1 << 11, 5)


def test_a_camera_of_another_size_is_not_written(tmp_path):
    with pytest.raises(DataError, match="240, 180"):
        write_events(tmp_path / "a", Events.from_arrays([1], [1], [1], [1], (128, 128)), AEDAT2(camera="davis240"))


@pytest.mark.parametrize("head", [b"#!AER-DAT2.1\r\n", b"#!AER-DAT2.0", b"#!AER-DAT1.0\r\n"])
def test_another_version_is_refused(tmp_path, head):
    with pytest.raises(DataError, match=r"byte 0: expected the line .#!AER-DAT2\.0."):
        read_events(recording(tmp_path, head, bytes(8)), "aedat2")


HEAD3 = (
    b"#!AER-DAT3.1\r\n#Format: RAW\r\n#Source 1: DVS128\r\n"
    b"#Start-Time: 2016-05-06 13:04:54 (TZ+0200)\r\n#!END-HEADER\r\n"
)


def packet(kind, events, size=8, overflows=0, capacity=None, offset=4):
    n = len(events)
    head = struct.pack("<2h6i", kind, 1, size, offset, overflows, n if capacity is None else capacity, n, n)
    return head + b"".join(events)


def polarity(t, x, y, p, valid=1):
    return struct.pack("<Ii", x << 17 | y << 2 | p << 1 | valid, t)


def test_polarity_packets_are_read_and_others_skipped(tmp_path):
    path = recording(
        tmp_path, HEAD3,
        packet(0, [bytes(8)] * 3),
        packet(1, [polarity(5, 1, 2, 1), polarity(6, 127, 0, 0), polarity(7, 9, 9, 1, valid=0)]),
        packet(3, [bytes(36)] * 40, size=36),
        packet(1, []),
        packet(1, [polarity(3, 0, 127, 1)], overflows=2),
    )  # fmt: skip
    for block_bytes in (64, 1 << 19):
        with EventFile(path, block_bytes=block_bytes) as file:
            assert (file.format, file.sensor_size) == ("aedat3", (128, 128))
            assert rows_of(file.read()) == [(5, 1, 2, 1), (6, 127, 0, 0), (2**32 + 3, 0, 127, 1)]
            assert file.summary().skipped == {"packets of other kinds": 2, "invalid events": 1}


def test_what_is_written_is_a_packet_for_each_overflow(tmp_path):
    path = tmp_path / "a.aedat3"
    write_events(path, Events.from_arrays([1, 2, 2**31 + 7], [3, 4, 5], [6, 7, 8], [0, 1, 1], (128, 128)))
    content = path.read_bytes()
    packets = content[content.index(b"#!END-HEADER\r\n") + 14 :]
    expected = packet(1, [polarity(1, 3, 6, 0), polarity(2, 4, 7, 1)]) + packet(1, [polarity(7, 5, 8, 1)], overflows=1)
    assert packets == expected


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (packet(1, [bytes(9)], size=9), "polarity events of 8 bytes"),
        (packet(1, [bytes(8)], overflows=-1), "overflows of 0 or more"),
        (packet(1, [bytes(8)], offset=0), "time at 4"),
        (packet(1, [bytes(8)], capacity=2), "capacity"),
        (packet(0, [bytes(8)], size=0), "one byte or more"),
        (packet(1, [bytes(8)])[:20] + struct.pack("<2i", -1, 0), "capacity"),
    ],
)
def test_a_packet_that_cannot_be_is_damage_at_its_byte(tmp_path, bad, said):
    good = packet(1, [polarity(5, 1, 2, 1)])
    path = recording(tmp_path, HEAD3, good, bad)
    with pytest.raises(DataError, match=f"byte {len(HEAD3 + good)}: expected .*{said}"):
        read_events(path)
    assert rows_of(read_events(path, errors="keep")) == [(5, 1, 2, 1)]


def test_a_packet_cut_between_events_is_damage(tmp_path):
    content = HEAD3 + packet(1, [polarity(5, 1, 2, 1), polarity(6, 1, 2, 0)])
    with pytest.raises(DataError, match=f"byte {len(content) - 8}: expected 8 more bytes of a packet"):
        read_events(recording(tmp_path, content[:-8]))


@pytest.mark.parametrize(
    ("head", "said"),
    [
        (HEAD3.replace(b"3.1", b"3.0"), "3.1"),
        (HEAD3.replace(b"RAW", b"Serial-TS"), "RAW"),
        (HEAD3[:-16], "#!END-HEADER"),
    ],
)
def test_a_header_that_is_another_is_refused(tmp_path, head, said):
    with pytest.raises(DataError, match=said):
        read_events(recording(tmp_path, head, packet(1, [polarity(1, 1, 1, 1)])), "aedat3")


def flatbuffer(events):
    """EventPacket as `flatc` lays it out for this schema: root, identifier, vtable, table, vector of records."""
    body = struct.pack("<I4s2x3HiII", 16, b"EVTS", 6, 8, 4, 6, 4, len(events))
    return body + b"".join(struct.pack("<qhh?3x", t, x, y, bool(p)) for t, x, y, p in events)


ROWS4 = [(k * 3, k % 320, k % 240, k % 2) for k in range(10_000)]


def written4(folder):
    path = folder / "a.aedat4"
    write_events(path, Events.from_arrays(*zip(*ROWS4, strict=True), (320, 240)))
    return path


def test_a_new_file_of_dv_is_packets_of_flatbuffers(tmp_path):
    content = written4(tmp_path).read_bytes()
    length = int.from_bytes(content[14:18], "little")
    assert (content[:14], content[22:26]) == (b"#!AER-DAT4.0\r\n", b"IOHE")
    packets = b""
    for part in (ROWS4[:8192], ROWS4[8192:]):
        body = flatbuffer(part)
        packets += struct.pack("<iiI", 0, len(body) + 4, len(body)) + body
    assert content[18 + length :] == packets


def test_the_package_aedat_reads_what_is_written(tmp_path):
    aedat = pytest.importorskip("aedat")
    decoder = aedat.Decoder(str(written4(tmp_path)))
    assert decoder.id_to_stream() == {0: {"type": "events", "width": 320, "height": 240}}
    found = np.concatenate([packet["events"] for packet in decoder])
    assert [tuple(int(value) for value in event) for event in found] == ROWS4


def dv_file(folder, packets, compression=0, node=None, end=-1):
    """A file laid out as DV's own: the table of IOHeader with its fields in another order than ours."""
    text = node if node is not None else (
        b'<dv version="2.0"><node name="outInfo" path="/mainloop/Recorder/outInfo/">'
        b'<node name="0" path="/o/0/"><attr key="typeIdentifier" type="string">IMUS</attr></node>'
        b'<node path="/o/3/" name="3"><attr type="string" key="typeIdentifier">EVTS</attr>'
        b'<node name="info" path="/o/3/info/"><attr key="sizeX" type="int">320</attr>'
        b'<attr key="sizeY" type="int">240</attr></node></node></node></dv>'
    )  # fmt: skip
    table = struct.pack("<iIqI", 12, 0, end, 8) + struct.pack("<i", compression)
    head = struct.pack("<I4s", 20, b"IOHE") + struct.pack("<5H2x", 10, 24, 20, 8, 16) + table
    head += struct.pack("<I", len(text)) + text + b"\0"
    body = b"".join(struct.pack("<ii", stream, len(data)) + data for stream, data in packets)
    return recording(folder, b"#!AER-DAT4.0\r\n", struct.pack("<I", len(head)), head, body)


def sized(body):
    return struct.pack("<I", len(body)) + body


@pytest.mark.parametrize("compression", [0, 1, 3])
def test_packets_of_the_event_stream_are_unpacked_and_others_skipped(tmp_path, compression):
    pack = bytes
    if compression == 1:
        pack = pytest.importorskip("lz4.frame").compress
    if compression == 3:
        pack = pytest.importorskip("backports.zstd").compress
    packets = [(0, b"anything"), (3, pack(sized(flatbuffer(ROWS4[:5])))), (3, pack(sized(flatbuffer([])))), (0, b"")]
    path = dv_file(tmp_path, [*packets, (3, pack(sized(flatbuffer(ROWS4[5:90]))))], compression)
    with EventFile(path) as file:
        assert (file.format, file.sensor_size) == ("aedat4", (320, 240))
        assert rows_of(file.read()) == ROWS4[:90]
        assert rows_of(file.read(0.21)) == ROWS4[70:90]
        assert rows_of(file.read(0, 0.01)) == ROWS4[:4]
        assert file.summary().skipped == {"packets of other streams": 2}


def test_packets_end_where_the_table_of_packets_begins(tmp_path):
    path = dv_file(tmp_path, [(3, sized(flatbuffer(ROWS4[:5])))])
    content = path.read_bytes()
    at = content.index(struct.pack("<q", -1))
    path.write_bytes(content[:at] + struct.pack("<q", len(content)) + content[at + 8 :] + b"a table")
    assert rows_of(read_events(path)) == ROWS4[:5]
    path.write_bytes(content[:at] + struct.pack("<q", len(content) + 20) + content[at + 8 :])
    with pytest.raises(DataError, match=f"byte {len(content)}: expected a packet, got 0 bytes"):
        read_events(path)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (sized(flatbuffer(ROWS4[:2]))[:-1], "one of 60 bytes in 63"),
        (sized(flatbuffer(ROWS4[:2]).replace(b"EVTS", b"FRME")), "FRME"),
        (sized(struct.pack("<I4s2x3HiII", 16, b"EVTS", 6, 8, 4, 6, 4, 2**31)), "2147483648 elements"),
        (sized(struct.pack("<I4s2x3HiII", 2**31, b"EVTS", 6, 8, 4, 6, 4, 0)), "a number at byte"),
        (sized(struct.pack("<I4s2x3HiII", 16, b"EVTS", 6, 8, 4, 60, 4, 0)), "a number at byte"),
        (b"", "a number at byte 0 of 0"),
    ],
)
def test_a_flatbuffer_that_leads_outside_of_itself_is_damage(tmp_path, body, said):
    good = sized(flatbuffer(ROWS4[:3]))
    path = dv_file(tmp_path, [(3, good), (3, body)])
    at = path.stat().st_size - len(body) - 8
    with pytest.raises(DataError, match=f"byte {at}: expected a packet, got .*{said}"):
        read_events(path)
    assert rows_of(read_events(path, errors="keep")) == ROWS4[:3]


def test_a_packet_that_swells_is_refused(tmp_path):
    zstd = pytest.importorskip("backports.zstd")
    path = dv_file(tmp_path, [(3, zstd.compress(bytes(1 << 24)))], compression=3)
    with pytest.raises(DataError, match="more than 256 times"):
        read_events(path)


@pytest.mark.parametrize(
    ("node", "said"),
    [
        (b"<dv>", "XML"),
        (b"\xff\xfe", "XML"),
        (b'<!DOCTYPE a [<!ENTITY b "bb">]><a>&b;</a>', "document type"),
        (b"<dv></dv>", "stream of events"),
        (b'<node name="outInfo"><node name="0"><attr key="typeIdentifier">EVTS</attr></node></node>', "pixels a side"),
    ],
)
def test_a_text_about_the_streams_that_tells_of_no_events_is_refused(tmp_path, node, said):
    with pytest.raises(DataError, match=f"byte 14: expected .*{said}"):
        read_events(dv_file(tmp_path, [], node=node))


def test_a_packet_of_dv_cut_short_keeps_those_before_it(tmp_path):
    path = written4(tmp_path)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DataError, match=r"byte \d+: expected a packet, got one of 28960 bytes, of which 28959"):
        read_events(path)
    assert rows_of(read_events(path, errors="keep")) == ROWS4[:8192]


@pytest.mark.parametrize(
    "content", [b"#!AER-DAT4.0\r\n", b"#!AER-DAT4.0\r\n\xff\xff\xff\xff123", b"#!AER-DAT4.1\r\n1234"]
)
def test_a_header_of_dv_that_is_longer_than_the_file_is_refused(tmp_path, content):
    with pytest.raises(DataError, match=r"recording, byte (0|14): expected"):
        read_events(recording(tmp_path, content), "aedat4")


@pytest.mark.parametrize(("compression", "module"), [(1, "lz4.frame"), (4, "backports.zstd")])
def test_without_its_package_a_compressed_file_tells_what_to_install(tmp_path, monkeypatch, compression, module):
    monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.setitem(sys.modules, "compression.zstd", None)
    with pytest.raises(UnsupportedError, match=r"recording, packets .*pip install 'spikeloom\[formats\]'"):
        read_events(dv_file(tmp_path, [], compression))
