"""AEDAT 2.0: an address and a time of 32 bits each, most significant byte first, behind a header of text.

    DVS128  15 external event, 14-8 y, 7-1 x, 0 polarity: 0 where the light grew
    DAVIS   31 sample of a frame or of inertial data, 30-22 y, 21-12 x, 11 polarity: 1 where it grew, 10 external event

The chip counts y from the bottom and x from the right, in these files: both are turned round, as jAER shows them.
Times wrap after 71.6 minutes. Sources: iniVation, "AEDAT 2.0"; the event extractors of jAER's classes DVS128 and
DavisBaseCamera (iniVation's page has the polarity of DVS128 the other way round; jAER wrote the files).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...errors import DataError, ParameterError
from ...registry import did_you_mean
from ..container import Events
from .codec import Bytes, Codec, Decoded, Header
from .columns import Columns
from .format import Damage, Size
from .inivation import CAMERAS, DVS128, camera_of, header_lines, size_line, told_size
from .prophesee import unwrapped

RECORD = 8
TIME_BITS = 32
END = "#End Of ASCII Header"
CHIPS = {
    (128, 128): "ch.unizh.ini.jaer.chip.retina.DVS128",
    (240, 180): "eu.seebetter.ini.chips.davis.DAVIS240C",
    (346, 260): "eu.seebetter.ini.chips.davis.Davis346B",
    (640, 480): "eu.seebetter.ini.chips.davis.Davis640",
}
"""The chip classes that new files of these sensor sizes name."""

State = tuple[int, int, bool, Size, int, int]
"""Wraps so far, the last time (-1: none), whether it is a DAVIS, the sensor's size, samples and external events."""


@dataclass(frozen=True, kw_only=True)
class AEDAT2(Codec):
    """jAER's files, as CIFAR10-DVS has them. `camera` is one of CAMERAS, by default the one that the header names.

    A header without AEChip is taken as that of a DVS128, the only camera before there was such a line.
    """

    camera: str | None = None

    name = "aedat2"
    suffixes = (".aedat", ".aedat2")
    largest_side = 1024
    largest_rows = 512
    latest = 1 << 31
    bytes_per_event = RECORD
    memory_per_byte = 4

    def __post_init__(self) -> None:
        if self.camera is not None and self.camera not in CAMERAS:
            hint = did_you_mean(str(self.camera), CAMERAS)
            raise ParameterError(f"AEDAT2.camera: unknown camera {self.camera!r}{hint} Known: {', '.join(CAMERAS)}")

    def recognises(self, head: bytes, size: int) -> bool:
        return head.startswith(b"#!AER-DAT2.")

    def header(self, head: bytes, size: int) -> Header:
        length, lines = header_lines(head, "2.0", END)
        facts = dict(line.split(": ", 1) for line in lines if ": " in line)
        own = told_size(lines)
        chip = facts.get("AEChip", "" if own else DVS128)
        camera = self.camera or camera_of(chip)
        if camera is None and (own is None or "AEChip" in facts):
            raise DataError(f"byte 0: expected one of these as AEChip: {', '.join(CAMERAS)}; got {chip!r}; "
                            "give the camera with format=AEDAT2(camera=...)")  # fmt: skip
        size_ = own or CAMERAS[camera or DVS128]
        state: State = (0, -1, camera != DVS128, size_, 0, 0)
        return Header(length, state, size_, facts)

    def skipped(self, state: State) -> dict[str, int]:
        return {"samples of frames and inertial data": state[4], "external events": state[5]}

    def decode(self, data: Bytes, state: State, out: Columns, final: bool) -> Decoded:
        words = data[: data.size // RECORD * RECORD].view(">u4")
        address, time = words[::2].astype(np.uint32), words[1::2].astype(np.int64)
        epoch, last, davis, (width, height), samples, external = state
        damage = None
        if not davis and (address >> 16).any():
            bad = int((address >> 16 != 0).argmax())
            got = f"{address[bad]:#010x}; another camera is given with format=AEDAT2(camera=...)"
            damage = Damage(bad * RECORD, "an address of 16 bits, as a DVS128 has", got)
            address, time = address[:bad], time[:bad]
        if not address.size:
            return Decoded(0, state, damage)
        t = unwrapped(time, epoch, last, TIME_BITS)
        is_sample, is_external, x, y, p = _davis(address) if davis else _dvs128(address)
        kept = ~(is_sample | is_external)
        events = t, width - 1 - x, height - 1 - y, p
        out.put(*(events if kept.all() else (part[kept] for part in events)))
        counts = samples + int(is_sample.sum()), external + int((is_external & ~is_sample).sum())
        behind: State = (int(t[-1]) >> TIME_BITS, int(time[-1]), davis, (width, height), *counts)
        return Decoded(address.size * RECORD, behind, damage)

    def head(self, sensor_size: Size) -> tuple[bytes, tuple[bool, Size]]:
        if self.camera is not None and CAMERAS[self.camera] != sensor_size:
            raise DataError(f"write_events: a {self.camera} has {CAMERAS[self.camera]} pixels, got {sensor_size}")
        chip = CHIPS.get(sensor_size)
        davis = (self.camera or camera_of(chip or "")) != DVS128
        named = f"# AEChip: {chip}\r\n" if chip and self.camera in (None, camera_of(chip)) else size_line(sensor_size)
        text = (
            "#!AER-DAT2.0\r\n# This is a raw AE data file - do not edit\r\n"
            "# Data format is int32 address, int32 timestamp (8 bytes total), repeated for each event\r\n"
            f"# Timestamps tick is 1 us\r\n{named}{END}\r\n"
        )
        return text.encode(), (davis, sensor_size)

    def encode(self, events: Events, state: tuple[bool, Size]) -> tuple[Bytes, tuple[bool, Size]]:
        davis, (width, height) = state
        p, x, y = (
            events.p.astype(np.int64),
            width - 1 - events.x.astype(np.int64),
            height - 1 - events.y.astype(np.int64),
        )
        address = y << 22 | x << 12 | p << 11 if davis else y << 8 | x << 1 | 1 - p
        return np.stack((address, events.t), axis=1).astype(">u4").view(np.uint8).ravel(), state


Parts = tuple[NDArray[np.bool_], NDArray[np.bool_], NDArray[np.int32], NDArray[np.int32], NDArray[np.int32]]
"""Whether a word is a sample, whether it is an external event; x and y as the chip counts them, and the polarity."""


def _davis(address: NDArray[np.uint32]) -> Parts:
    x, y, p = (part.astype(np.int32) for part in (address >> 12 & 0x3FF, address >> 22 & 0x1FF, address >> 11 & 1))
    return address >> 31 > 0, address >> 10 & 1 > 0, x, y, p


def _dvs128(address: NDArray[np.uint32]) -> Parts:
    x, y, p = (part.astype(np.int32) for part in (address >> 1 & 0x7F, address >> 8 & 0x7F, 1 - (address & 1)))
    external = address >> 15 & 1 > 0
    return np.zeros_like(external), external, x, y, p
