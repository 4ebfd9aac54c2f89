"""ROS bags against files that the package rosbags writes with the messages' definitions of dvs_msgs."""

import sys

import numpy as np
import pytest

from spikeloom.errors import DataError, ParameterError, UnsupportedError
from spikeloom.events.files import EventFile, read_events, write_events
from spikeloom.events.files.rosbag import ROSBag

rosbag1 = pytest.importorskip("rosbags.rosbag1")
rosbag2 = pytest.importorskip("rosbags.rosbag2")
typesys = pytest.importorskip("rosbags.typesys")

EVENT = "uint16 x\nuint16 y\ntime ts\nbool polarity\n"
ARRAY = "std_msgs/Header header\nuint32 height\nuint32 width\ndvs_msgs/Event[] events\n"
SECOND = 1_600_000_000


def store_of(distribution):
    store = typesys.get_typestore(distribution)
    kinds = typesys.get_types_from_msg(EVENT, "dvs_msgs/msg/Event")
    store.register({**kinds, **typesys.get_types_from_msg(ARRAY, "dvs_msgs/msg/EventArray")})
    return store


def message(store, rows, ros1, frame="cam"):
    time, header = store.types["builtin_interfaces/msg/Time"], store.types["std_msgs/msg/Header"]
    event, array = store.types["dvs_msgs/msg/Event"], store.types["dvs_msgs/msg/EventArray"]
    events = [event(x, y, time(SECOND + t // 10**6, t % 10**6 * 1000), bool(p)) for t, x, y, p in rows]
    stamp = time(SECOND, 0)
    return array(header(0, stamp, frame) if ros1 else header(stamp, frame), 180, 240, events)


MESSAGES = [
    [(1, 239, 0, 1), (5, 0, 179, 0), (1_000_002, 7, 8, 1)],
    [],
    [(1_000_003, 1, 2, 0)],
    [(1_000_004 + k, k, 2 * k, k % 2) for k in range(20)],
]
ROWS = np.array([row for rows in MESSAGES for row in rows])


def write_bag(folder, kind, messages=MESSAGES, topics=("/dvs/events",), frame="cam"):
    ros1 = kind.startswith("ros1")
    store = store_of(typesys.Stores.ROS1_NOETIC if ros1 else typesys.Stores.ROS2_HUMBLE)
    path = folder / ("bag.bag" if ros1 else "bag")
    if ros1:
        writer = rosbag1.Writer(path)
        if kind != "ros1":
            writer.set_compression(getattr(rosbag1.Writer.CompressionFormat, kind.removeprefix("ros1 ").upper()))
    else:
        plugin = rosbag2.StoragePlugin.MCAP if kind == "mcap" else rosbag2.StoragePlugin.SQLITE3
        writer = rosbag2.Writer(path, version=9, storage_plugin=plugin)
    with writer:
        for topic in topics:
            connection = writer.add_connection(topic, "dvs_msgs/msg/EventArray", typestore=store)
            for number, rows in enumerate(messages):
                content = message(store, rows, ros1, frame)
                serialize = store.serialize_ros1 if ros1 else store.serialize_cdr
                writer.write(connection, number + 1, serialize(content, "dvs_msgs/msg/EventArray"))
    return path


@pytest.mark.parametrize("kind", ["ros1", "ros1 bz2", "ros1 lz4", "sqlite", "mcap"])
@pytest.mark.parametrize("frame", ["", "cam", "left"])
def test_the_events_of_all_messages_come_out_in_microseconds(tmp_path, kind, frame):
    path = write_bag(tmp_path, kind, frame=frame)
    events = read_events(path, None if path.is_file() else "rosbag")
    assert events.sensor_size == (240, 180)
    got = np.stack([events.t - SECOND * 10**6, events.x, events.y, events.p], axis=1)
    assert got.tolist() == ROWS.tolist()


@pytest.mark.parametrize("kind", ["sqlite", "mcap"])
def test_a_file_of_ros_2_is_read_without_its_folder(tmp_path, kind):
    path = next(file for file in write_bag(tmp_path, kind).iterdir() if file.suffix in (".mcap", ".db3"))
    with EventFile(path) as file:
        assert file.format == "rosbag"
        assert len(file.read()) == len(ROWS)


def test_reading_by_time_goes_back_to_earlier_messages(tmp_path):
    with EventFile(write_bag(tmp_path, "ros1")) as file:
        whole, begin = file.read(), SECOND * 1000
        for start in (1000.003, 0.0, 1000.004):
            assert file.read(begin + start).equals(whole.between(begin + start))
        assert file.summary().n_events == len(ROWS)


def test_one_of_several_topics_is_chosen_by_name(tmp_path):
    path = write_bag(tmp_path, "ros1", topics=("/left/events", "/right/events"))
    with EventFile(path, ROSBag(topic="/right/events")) as file:
        assert file.header["topic"] == "/right/events"
        assert len(file.read()) == len(ROWS)
    with pytest.raises(ParameterError, match="did you mean '/right/events'"):
        read_events(path, ROSBag(topic="/rigth/events"))


def test_a_bag_without_events_tells_what_it_holds(tmp_path):
    path = tmp_path / "bag.bag"
    store = typesys.get_typestore(typesys.Stores.ROS1_NOETIC)
    with rosbag1.Writer(path) as writer:
        connection = writer.add_connection("/said", "std_msgs/msg/String", typestore=store)
        text = store.serialize_ros1(store.types["std_msgs/msg/String"]("hello"), "std_msgs/msg/String")
        writer.write(connection, 1, text)
    with pytest.raises(DataError, match="std_msgs/msg/String"):
        read_events(path)


def test_a_message_that_promises_more_events_than_it_has_is_damage(tmp_path):
    path = write_bag(tmp_path, "ros1")
    content = path.read_bytes()
    count = (20).to_bytes(4, "little")
    at = content.index(count + (0).to_bytes(4, "little") + (SECOND + 1).to_bytes(4, "little"))
    path.write_bytes(content[:at] + (2**31).to_bytes(4, "little") + content[at + 4 :])
    with pytest.raises(DataError, match="message 3: expected a message with events"):
        read_events(path)
    assert len(read_events(path, errors="keep")) == 4


def test_a_bag_cut_short_is_an_error_that_names_it(tmp_path):
    path = write_bag(tmp_path, "ros1")
    content = path.read_bytes()
    for length in range(0, len(content), 97):
        path.write_bytes(content[:length])
        with pytest.raises(DataError, match=r"bag\.bag"):
            read_events(path, "rosbag")


def test_without_its_package_a_bag_tells_what_to_install(tmp_path, monkeypatch):
    path = write_bag(tmp_path, "ros1")
    monkeypatch.setitem(sys.modules, "rosbags", None)
    with pytest.raises(UnsupportedError, match=r"bag\.bag: .*pip install 'spikeloom\[formats\]'"):
        read_events(path)


def test_bags_are_not_written(tmp_path):
    events = read_events(write_bag(tmp_path, "ros1"))
    with pytest.raises(UnsupportedError, match="choose another format"):
        write_events(tmp_path / "other.bag", events)
