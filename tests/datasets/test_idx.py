import contextlib
import gzip
import struct
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from spikeloom.datasets import read_idx, write_idx
from spikeloom.datasets.idx import header
from spikeloom.errors import DataError, ParameterError, ShapeError

LABELS = struct.pack(">HBBI", 0, 8, 1, 3) + b"\x05\x00\x09"


def file(folder, content, name="some-idx1-ubyte"):
    path = folder / name
    path.write_bytes(content)
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("idx")


@given(
    array=st.sampled_from(["u1", "i1", "i2", ">i2", "i4", "f4", ">f8"]).flatmap(
        lambda dtype: arrays(dtype, array_shapes(min_dims=1, max_dims=4, min_side=0, max_side=4))
    ),
    end=st.sampled_from(["", ".gz"]),
)
def test_what_is_written_is_read_again(folder, array, end):
    path = folder / f"round{end}"
    write_idx(path, array)
    back = read_idx(path)
    assert back.dtype == array.dtype.newbyteorder("=")
    assert back.shape == array.shape
    assert back.tobytes() == array.astype(back.dtype).tobytes()


def test_a_file_laid_out_by_hand_is_read(tmp_path):
    assert read_idx(file(tmp_path, LABELS)).tolist() == [5, 0, 9]
    shorts = struct.pack(">HBBIIhhhhhh", 0, 0x0B, 2, 2, 3, 1, -2, 3, -4, 5, -6)
    assert read_idx(file(tmp_path, shorts)).tolist() == [[1, -2, 3], [-4, 5, -6]]


def test_an_array_is_written_byte_for_byte_as_the_format_says(tmp_path):
    path = tmp_path / "labels"
    write_idx(path, np.array([5, 0, 9], np.uint8))
    assert path.read_bytes() == LABELS
    assert header(np.array([5, 0, 9], np.uint8)) == LABELS[:8]


def test_the_content_decides_whether_a_file_is_gzipped(tmp_path):
    assert read_idx(file(tmp_path, LABELS, "plain.gz")).tolist() == [5, 0, 9]
    assert read_idx(file(tmp_path, gzip.compress(LABELS), "packed")).tolist() == [5, 0, 9]


def test_equal_arrays_give_equal_gzip_files_under_any_name(tmp_path):
    for name in ("a.gz", "b.gz"):
        write_idx(tmp_path / name, np.arange(9, dtype=np.int32))
    assert (tmp_path / "a.gz").read_bytes() == (tmp_path / "b.gz").read_bytes()
    assert (tmp_path / "a.gz").read_bytes()[4:8] == bytes(4), "the time of writing"


def test_an_array_that_was_read_may_be_written_to(tmp_path):
    array = read_idx(file(tmp_path, LABELS))
    array[0] = 1
    assert array[0] == 1


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty file"),
        (b"\0\0\x08", "got the bytes 00 00 08"),
        (b"\x89PNG\r\n", "got the bytes 89 50 4e 47"),
        (struct.pack(">HBBI", 256, 8, 1, 1) + b"1", "01 00 08 01"),
        (struct.pack(">HBBI", 0, 0x0A, 1, 1) + b"1", "00 00 0a 01"),
        (struct.pack(">HBB", 0, 8, 0) + b"1", "00 00 08 00"),
        (struct.pack(">HBB", 0, 8, 33) + bytes(200), "00 00 08 21"),
        (LABELS[:6], r"1 dimensions of 4 bytes, got 2 bytes; the file is cut short"),
        (LABELS[:-1], r"expected 3 bytes of data for shape \(3,\) of uint8, got 2; the file is cut short"),
        (LABELS + b"\0", r"expected 3 bytes .* got more"),
        (struct.pack(">HBB3I", 0, 8, 3, *[2**32 - 1] * 3), "at most 4294967296 bytes"),
        (struct.pack(">HBB3I", 0, 8, 3, 0, *[2**32 - 1] * 2), "at most 4294967296 bytes"),
        (struct.pack(">HBBI", 0, 8, 1, 2**32 - 1) + b"1", "expected 4294967295 bytes .* got 1; the file is cut short"),
    ],
)
def test_a_damaged_file_is_refused_with_its_name_what_was_expected_and_what_came(tmp_path, pack, content, message):
    path = file(tmp_path, pack(content))
    with pytest.raises(DataError, match=message) as caught:
        read_idx(path)
    assert str(path) in str(caught.value)


@given(cut=st.integers(2, len(gzip.compress(LABELS, mtime=0)) - 1))
def test_a_gzip_file_cut_anywhere_is_refused(folder, cut):
    with pytest.raises(DataError):
        read_idx(file(folder, gzip.compress(LABELS, mtime=0)[:cut]))


@given(place=st.integers(0, 200), bit=st.integers(0, 7))
def test_a_flipped_bit_gives_an_array_or_a_data_error_and_nothing_else(folder, place, bit):
    for content in (LABELS, gzip.compress(LABELS, mtime=0)):
        damaged = bytearray(content)
        damaged[place % len(content)] ^= 1 << bit
        with contextlib.suppress(DataError):
            assert isinstance(read_idx(file(folder, bytes(damaged))), np.ndarray)


@pytest.mark.parametrize("announced", [3, 2**31])
def test_a_gzip_bomb_is_not_unpacked_beyond_what_its_header_says_and_holds(tmp_path, announced):
    zeros = 30_000_000 if announced == 3 else 1000
    path = file(tmp_path, gzip.compress(struct.pack(">HBBI", 0, 8, 1, announced) + bytes(zeros)))
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match="bytes of data"):
            read_idx(path)
        assert tracemalloc.get_traced_memory()[1] < 4_000_000
    finally:
        tracemalloc.stop()


def test_more_than_max_bytes_is_not_read(tmp_path):
    path = file(tmp_path, LABELS)
    assert read_idx(path, max_bytes=3).tolist() == [5, 0, 9]
    with pytest.raises(DataError, match="at most 2 bytes"):
        read_idx(path, max_bytes=2)


def test_a_type_that_idx_does_not_know_is_refused_and_no_file_is_left(tmp_path):
    for dtype in (np.int64, np.uint16, bool, complex, np.float16):
        with pytest.raises(ParameterError, match="idx files hold uint8, int8, int16"):
            write_idx(tmp_path / "no", np.zeros(2, dtype))
    with pytest.raises(ShapeError, match="1 to 32 dimensions"):
        write_idx(tmp_path / "no", np.uint8(3).reshape(()))
    assert not (tmp_path / "no").exists()
