"""ROS bags, of ROS 1 (.bag) and ROS 2 (.mcap, .db3, or a folder), with messages dvs_msgs/EventArray.

    std_msgs/Header header, uint32 height, uint32 width, then Event[]: uint16 x, uint16 y, time ts, bool polarity

Read with the package `rosbags` (pip install 'spikeloom[formats]'); the messages' bytes are decoded here. Those of
prophesee_event_msgs, which are the same, are read too. Of several topics the first by name is read, or the one that is
asked for. The memory that a compressed chunk of a bag takes is decided by that package. Sources: the definitions of
dvs_msgs; ROS 1 serialization; OMG, "DDS X-Types", plain CDR. A folder is read with format='rosbag'.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from ...errors import DataError, ParameterError, UnsupportedError
from ...registry import did_you_mean
from ..container import LARGEST_SIDE, Events
from .bounded import BoundedPath
from .columns import Columns
from .format import Damage, Format, Size, Source, Step

ROS1, MCAP, SQLITE = b"#ROSBAG V2.0\n", b"\x89MCAP0\r\n", b"SQLite format 3\0"
MESSAGES = ("dvs_msgs/msg/EventArray", "prophesee_event_msgs/msg/EventArray")

_NAMES, _FORMATS = ["x", "y", "s", "ns", "p"], ["{}u2", "{}u2", "{}u4", "{}u4", "u1"]
_PACKED, _FIRST, _ALIGNED = (0, 2, 4, 8, 12), (0, 2, 4, 8, 12), (0, 2, 6, 10, 14)
"""Where the fields of an event stand: in ROS 1; in ROS 2 in the first event, and in the others, 16 bytes apart."""


@dataclass(frozen=True, kw_only=True)
class ROSBag(Format):
    """Bags of ROS, which are only read. `topic` is the one to read, by default the first with events."""

    topic: str | None = None

    name = "rosbag"
    suffixes = (".bag", ".mcap", ".db3")
    ordered = False
    memory_per_byte = 256
    writable = False

    def recognises(self, head: bytes, size: int) -> bool:
        return head.startswith((ROS1, MCAP, SQLITE))

    def open(self, path: Path, block_bytes: int) -> Source:
        return RosSource(path, self.topic)

    def write(self, file: IO[bytes], blocks: Iterable[Events], sensor_size: Size) -> None:
        raise UnsupportedError("rosbag can only be read; choose another format")


class RosSource(Source):
    """An open bag. A place is the number of a message of the topic."""

    unit = "message"
    begin = 0

    def __init__(self, path: Path, topic: str | None) -> None:
        try:
            from rosbags import rosbag1, rosbag2
        except ImportError as error:
            raise UnsupportedError(
                f"{path}: reading rosbag needs a package; pip install 'spikeloom[formats]'"
            ) from error
        self._is_ros1 = _is_ros1(path)
        self._messages: Iterator[Any] = iter(())
        self._next = 0
        try:
            self._reader: Any = rosbag1.Reader(BoundedPath(path)) if self._is_ros1 else _ros2(path, rosbag2)
            self._reader.open()
        except Exception as error:
            raise DataError(f"{path}: expected a ROS bag, got what the package rosbags refuses: {error!r}") from error
        try:
            self._topic = self._chosen(topic)
            first = self._message(0)
            self.sensor_size = None if first is None else self._size(first)
        except DataError as error:
            self._reader.close()
            raise DataError(f"{path}, {error}") from error
        self.header = {"topic": self._topic[0].topic, "message": self._topic[0].msgtype}

    def block(self, place: int, out: Columns) -> Step:
        try:
            data = self._message(place)
            if data is None:
                return Step(place, True)
            self._size(data)
            events = _events(data, self._is_ros1)
        except DataError as error:
            return Step(place, True, Damage(place, "a message with events", str(error), self.unit))
        out.put(
            events["s"].astype(np.int64) * 1_000_000 + events["ns"] // 1000,
            events["x"].astype(np.int64),
            events["y"].astype(np.int64),
            events["p"] > 0,
        )
        return Step(place + 1, False)

    def done(self, place: int) -> float:
        return place / max(sum(int(connection.msgcount) for connection in self._topic), 1)

    def where(self, place: int, event: int) -> int:
        return place

    def close(self) -> None:
        self._reader.close()

    def _chosen(self, topic: str | None) -> list[Any]:
        """The connections of the topic."""
        with_events = [each for each in self._reader.connections if each.msgtype in MESSAGES]
        names = sorted({each.topic for each in with_events})
        if topic is not None and topic not in names:
            self._reader.close()
            raise ParameterError(f"ROSBag.topic: the bag has no topic {topic!r} with events"
                                 f"{did_you_mean(topic, names)} It has: {', '.join(names) or 'none'}")  # fmt: skip
        if not names:
            kinds = ", ".join(sorted({each.msgtype for each in self._reader.connections}))
            raise DataError(f"connections: expected messages {' or '.join(MESSAGES)}, got {kinds or 'none'}")
        return [each for each in with_events if each.topic == (topic or names[0])]

    def _message(self, number: int) -> NDArray[np.uint8] | None:
        """The bytes of the message of that number, None behind the last one."""
        try:
            if number < self._next or not self._next:
                self._messages, self._next = self._reader.messages(connections=self._topic), 0
            data = None
            while self._next <= number:
                found = next(self._messages, None)
                self._next += 1
                data = None if found is None else found[2]
        except Exception as error:
            self._next = 0
            raise DataError(
                f"message {number}: expected one, got what the package rosbags refuses: {error!r}"
            ) from error
        return None if data is None else np.frombuffer(data, np.uint8)

    def _size(self, data: NDArray[np.uint8]) -> Size:
        """The sensor's size as a message tells it."""
        at, order = _behind_header(data, self._is_ros1)
        height, width = (int(side) for side in data[at : at + 8].view(f"{order}u4"))
        if not (1 <= width <= LARGEST_SIDE and 1 <= height <= LARGEST_SIDE):
            raise DataError(f"message: expected 1 to {LARGEST_SIDE} pixels a side, got {width} x {height}")
        return width, height


def _ros2(path: Path, package: Any) -> Any:
    return package.Reader(BoundedPath(path) if path.suffix == ".mcap" else path)


def _is_ros1(path: Path) -> bool:
    if path.is_dir():
        return False
    with path.open("rb") as file:
        return file.read(len(ROS1)) == ROS1


def _behind_header(data: NDArray[np.uint8], is_ros1: bool) -> tuple[int, str]:
    """The byte behind the message's header, where height, width and the number of events follow, and the byte order."""
    order = "<" if is_ros1 or data.size < 2 or data[1] & 1 else ">"
    at = 12
    if data.size < at + 4:
        raise DataError(f"message: expected a header of {at + 4} bytes, got {data.size}")
    at += 4 + int(data[at : at + 4].view(f"{order}u4")[0])
    at += 0 if is_ros1 else -at % 4
    if data.size < at + 12:
        raise DataError(f"message: expected {at + 12} bytes or more, got {data.size}")
    return at, order


def _events(data: NDArray[np.uint8], is_ros1: bool) -> NDArray[Any]:
    """The events of a message."""
    at, order = _behind_header(data, is_ros1)
    n = int(data[at + 8 : at + 12].view(f"{order}u4")[0])
    begin, offsets, step = at + 12, _PACKED, 13
    needed = 13 * n if is_ros1 else 16 * n - 3
    if n and data.size - begin < needed:
        raise DataError(f"message: expected {needed} bytes of {n} events, got {data.size - begin}")
    if is_ros1 or not n:
        return data[begin : begin + 13 * n].view(_record(order, offsets, step))
    first = data[begin : begin + 13].view(_record(order, _FIRST, 13))
    rest = np.zeros(16 * (n - 1), np.uint8)
    body = data[begin + 14 : begin + needed]
    rest[: body.size] = body
    return np.concatenate([first, rest.view(_record(order, _ALIGNED, 16)).astype(first.dtype)])


def _record(order: str, offsets: tuple[int, ...], size: int) -> np.dtype[Any]:
    """The type of an event whose fields stand at the offsets."""
    formats = [kind.format(order) for kind in _FORMATS]
    return np.dtype({"names": _NAMES, "formats": formats, "offsets": list(offsets), "itemsize": size})
