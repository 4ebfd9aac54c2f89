"""Unpacking: what numcodecs 0.16 (c-blosc 1.21), h5py, lz4 and Zstandard packed, and hostile bytes."""

import struct
import zlib
from base64 import b85decode

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spikeloom.errors import UnsupportedError
from spikeloom.events.files.packed import (
    reference_unlzf,
    unblosc,
    unlz4,
    unlz4_block,
    unlzf,
    unshuffled,
    unzip,
    unzstd,
)

NUMBERS = (np.arange(2048) // 64 * 3).astype("<i8").tobytes()
BLOSC = {
    "lz4 1": (
        "0s$ci06+i$06+i$SOEY46aWAKrT_o{9{>RWEFS{_04yH{0RSu?2>}2s9}EEiEFTX604yI80RSu?6#)P&9~c1uEFT*I04yIK0RSu?"
        "Aprm^A0z<)EFUKU04yIW0RSu?Edc;5A20y`EFUug04yIi0RSu?IROAHA3Om7EFV7s04yIu0RSu?MF9XTA4mZJEFVh&04yI)0RSu?"
        "Q2_ufA5;MVEFV_^04yI`0RSu?T>$_mP+eVJU0o6Y0018V0RaF1|NsC0|L#x#000005&!@I9{>RW|NsC0|NsB)Pyhe`000sI0018V"
        "0RaF1|NsC0|L#x#000005&!@I9{>RW|NsC0|NsB)Pyhe`000sI0018V0RaF1|NsC0|L#x#000005&!@I9{>RW|NsC0|NsB)Pyhe`"
        "000sI0018V0RaF1|NsC0|L#x#00000"
    ),
    "zlib 2": (
        "0s&+Q06+i$06+i$6#)PM6aWAKKmY&$c-muNfPnu{z%au3=;9+qp44z5WY195k4qo1;YzBxgVlag-9@gs|49S`<xX0K6RrF|T)}8~"
        "QWpRKx40z+7XSbNc-muN7zLwX6pVsVFbYP&NCN-}0003O0001Z+GAiC1*2dTjDk@x3P!<50{{pB009>O004N}V_+BsqhJ(_f>AIE"
        "M!`q}00;m80T%!O0C?JCU>F6XU=)mkQ7{Td!AJuD2mk;97XSbNc-muN7zLwX6pVsVFbYP&NCN-}0003O0001Z+GAiC1*2dTjDk@x"
        "3P!<50{{pB009>O004N}V_+BsqhJ(_f>AIEM!`q}00;m80R"
    ),
    "zstd 1": (
        "0s)Z-06+i$01yBGzyJUMAOHXWNB{r;Z~y=Rm;e9(Bme*aD77#BU;q!*002k;0|p5U4-yps2~Yt5{PihOqC|-jB}$Y6Bme*aD77#B"
        "U;q!*002lB8y+DfCn_xf2~Yt5{PihOqC|-jB}$Y6Bme*aD77#BU;q!*002lZGd4LqKSD(S2~Yt5{PihOqC|-jB}$Y6Bme*aD77#B"
        "U;q!*002lxOHNT#S6W>F2~Yt5{PihOqC|-jB}$Y6"
    ),
    "lz4 0": (
        "0s$Zh06+i$06+i$hyefq6aWAKCjbBd9{>RW|Lqe400IvP0RQF_1^@yN2mt@)6A1tU4+sGN;ZOho0000h0000Y3;+QD4+sGN<`NJ8"
        "0S^cO|K}4D00IvP0RQF_6#xPc2mt@#Pyhe`001ih001Hw0096G2mt@)5*z;k4+sGN=Mx?P0uKlP|K<}R00IvP0RQ1o0000004o3h"
        "03sv+0RRsO0RQF^C;tHt2mt@*6Dj}#4+sGN<`XRd0uKlP|KU&o00000D*ylhA}{~}01pTN|K<`i{{asO0RQI`HUI(-2mt@)6FC3^"
        "4+sGN;ZOho0000h0000YJOBXz4+sGN<`O^u0S^cO|K}4z00IvP0RQF_MF0X12mt@#Pyhe`001ih001IL0096G2mt@)5=;L94+sGN"
        "=Mzo<0uKlP|K<}>00IvP0RQ1o0000004o3h03uWX0RRsO0RQF^SN{PI2mt@*6IuWQ4+sGN<`Z220uKlP|KU&o00000"
    ),
}
"""NUMBERS as packed by `numcodecs.Blosc(codec, 9, shuffle, 4096).encode`."""

CUT = {
    ("lz4 1", 9000, 640): (
        "0s$ciKp6o500031`vCv|7ytkO#Q^{SU;qFB9{>RW|Nm|u0|5a4|85@!0RaF1ZXXE&0RR7P9}EEi|Nm|u4*>xG|85@=0RaF1ZXXo^"
        "0RR7P9~c1u|Nm|u8vy|S|85^10RaF1ZXY250RR7PA0z<)|L9O8BqSsxD*ylh9{>RW|NsC0|NsC0|NsC0|NsC0|NsC0|NsC0|NsC0"
        "|NsC02T%Y20000h0000V00991|NsC0|NsC0|NsC0|NsC0|NsC0|NsC0|NsC0|Ns97Pyhe`001ih0018V0RaF1|NsC0|NsC0|NsC0"
        "|NsC0|NsC0|NsC0|NsC0|NjS20000004o3h03QGW0RR90|NsC0|NsC0|NsC0|NsC0|NsC0|NsC0|NsC0{|8V200000D*ylh9{>RW"
        "|NsC0|NsC0|NsC0|NsC0|NsC0|NsC0|NsC0|NsC02T%Y20000h0000V00991|NsC0|NsC0|NsC0|NsC0|NsC0|NsC0|NsC0|Ns97"
        "Pyhe`001ih0018V0RaF1|NsC0|NsC0|NsC0|NsC0|NsC0|NsC0|NsC0|NjS20000005Sjo03Rd)0Bj#80RaF1ZXYTE02Chp0RaF1"
        "|NsC0|NsC0|NsC0|NsC0|NsC06;J>G0000"
    ),
    ("zlib 2", 517, 64): (
        "0s(XgC=dVu00IC2`v3p{GynhqMgRZ+S^xk5aR2}SiU0rrp#T5?wg3PC&;S4c=>Px#4gdfEc-muN7zHC400062009sH004N}`~M#m"
        "FpPo`1psVG5AhQK004N}V_<-Q|7d_=6pRP}0PMOC@f8370C?K_{~rPv(7=Bj;-g@A0RZf}5AhQK004N}V_-l9|Iq-"
        "$C>YiN0Bt%C@eu$30C?K_{~teK7zM)`007s6AK?}N004N}V_<-Q|4_hy25^awg5d!GZ8{I}6#xJLc-"
        "s5_9|9Pl;6DNWC>UM<00M>==?(w@0C?JyV1NJ#0yF>%XaIQ"
    ),
}
"""n numbers, of which so many are equal, in blocks of which the last is shorter: not split; no multiple of eight."""

texts = st.one_of(st.binary(max_size=300), st.binary(min_size=1, max_size=4).map(lambda piece: piece * 200))


@pytest.mark.parametrize("name", list(BLOSC))
def test_blosc_of_numcodecs_is_unpacked(name):
    if name.startswith("lz4"):
        pytest.importorskip("lz4.block")
    if name.startswith("zstd"):
        pytest.importorskip("backports.zstd")
    packed = b85decode(BLOSC[name])
    assert unblosc(packed, len(NUMBERS)) == NUMBERS
    with pytest.raises(ValueError, match="Blosc"):
        unblosc(packed, len(NUMBERS) - 1)
    for cut in range(0, len(packed), 7):
        with pytest.raises(ValueError, match=r"Blosc|LZ4|zlib|Zstandard"):
            unblosc(packed[:cut], len(NUMBERS))
        with pytest.raises(ValueError, match=r"Blosc|LZ4|zlib|Zstandard"):
            unblosc(packed[:12] + struct.pack("<I", cut) + packed[16:cut], len(NUMBERS))


@pytest.mark.parametrize(("name", "n", "each"), list(CUT))
def test_a_last_block_of_blosc_that_is_shorter_is_unpacked(name, n, each):
    if name.startswith("lz4"):
        pytest.importorskip("lz4.block")
    numbers = (np.arange(n) // each * 3).astype("<i8").tobytes()
    assert unblosc(b85decode(CUT[name, n, each]), 8 * n) == numbers


def test_bytes_behind_the_last_shuffled_number_stay_where_they_are():
    assert unshuffled(bytes([1, 3, 2, 4, 9]), 2) == bytes([1, 2, 3, 4, 9])


def test_blocks_of_blosc_are_no_longer_than_what_they_become():
    # 20,000 blocks that all begin at the same byte, of which each would be copied whole.
    body, n = zlib.compress(b"a" * 16) + bytes(1000), 20_000
    head = struct.pack("<4B3I", 2, 1, 0x70, 1, 16 * n, 16, 20 + 4 * n + len(body)) + struct.pack("<I", 16 + 4 * n) * n
    with pytest.raises(ValueError, match=r"Blosc: expected up to 16 bytes, got 10.."):
        unblosc(head + struct.pack("<I", len(body)) + body, 16 * n)


def test_bytes_that_blosc_did_not_pack_come_back():
    assert unblosc(struct.pack("<4B3I", 2, 1, 0x32, 4, 5, 5, 21) + b"abcde", 5) == b"abcde"
    with pytest.raises(ValueError, match="Blosc: expected 4 bytes, got 5"):
        unblosc(struct.pack("<4B3I", 2, 1, 0x32, 4, 4, 4, 21) + b"abcde", 5)


def test_a_codec_of_blosc_that_is_not_unpacked_is_named():
    head = struct.pack("<4B3I", 2, 1, 0x01, 4, 64, 64, 16)
    with pytest.raises(UnsupportedError, match="blosclz"):
        unblosc(head, 64)
    with pytest.raises(UnsupportedError, match="snappy"):
        unblosc(head[:2] + b"\x41" + head[3:], 64)


@settings(deadline=None)
@given(texts)
def test_lzf_as_h5py_packs_it_is_unpacked(content):
    numbers = np.frombuffer(content or b"\0", np.uint8)
    with h5py.File("memory", "w", driver="core", backing_store=False) as file:
        data = file.create_dataset("a", data=numbers, chunks=numbers.shape, compression="lzf")
        mask, packed = data.id.read_direct_chunk((0,))
    if not mask:
        for unpack in (unlzf, reference_unlzf):
            assert unpack(bytes(packed), numbers.size) == numbers.tobytes()
            with pytest.raises(ValueError, match="LZF"):
                unpack(bytes(packed), numbers.size - 1)


@pytest.mark.parametrize(
    "packed", [b"\x02ab", b"\x00a\x20", b"\x00a\xe0", b"\x00a\xe0\x00", b"\x20\x00", b"\x00a\x20\x01", b"\x1f"]
)
@pytest.mark.parametrize("unpack", [unlzf, reference_unlzf])
def test_lzf_that_leads_outside_of_itself_is_refused(unpack, packed):
    with pytest.raises(ValueError, match="LZF"):
        unpack(packed, 1000)
    assert unpack(b"\x00a\xe0\x00\x00", 10) == b"a" * 10


@given(st.binary(max_size=200))
def test_both_ways_of_lzf_agree_on_any_bytes(content):
    results = []
    for unpack in (unlzf, reference_unlzf):
        try:
            results.append(unpack(content, 500))
        except ValueError:
            results.append(None)
    assert results[0] == results[1]


@given(texts, st.integers(1, 100))
def test_blocks_of_lz4_as_hdf5_has_them_are_unpacked(content, block):
    pack = pytest.importorskip("lz4.block").compress
    pieces = [content[k : k + block] for k in range(0, len(content), block)]
    packed = [min(pack(piece, store_size=False), piece, key=len) for piece in pieces]
    chunk = struct.pack(">QI", len(content), block) + b"".join(struct.pack(">I", len(p)) + p for p in packed)
    assert unlz4(chunk, len(content)) == content
    for cut in range(0, len(chunk), 9):
        with pytest.raises(ValueError, match="LZ4"):
            unlz4(chunk[:cut], len(content))
    with pytest.raises(ValueError, match="LZ4"):
        unlz4(struct.pack(">QI", 2**60, block) + chunk[12:], len(content))


def test_a_little_that_becomes_much_is_cut():
    assert len(unzip(zlib.compress(bytes(1 << 24)), 1000)) == 1001
    zstd = pytest.importorskip("backports.zstd")
    assert len(unzstd(zstd.compress(bytes(1 << 24)), 1000)) == 1001


HOSTILE = st.one_of(
    st.binary(max_size=200),
    st.builds(lambda head, rest: struct.pack("<4B3I", *head, 16 + len(rest)) + rest,
              st.tuples(st.sampled_from([1, 2]), st.just(1), st.integers(0, 255), st.integers(0, 255),
                        st.integers(0, 1100), st.integers(0, 1100)), st.binary(max_size=200)),
)  # fmt: skip


@pytest.mark.parametrize("unpack", [unblosc, unlz4, unlz4_block, unlzf, unzip, unzstd, reference_unlzf])
@given(HOSTILE)
def test_hostile_bytes_become_no_more_than_was_asked_for(unpack, content):
    try:
        found = unpack(content, 1000)
    except (ValueError, UnsupportedError):
        return
    assert len(found) <= 1001
