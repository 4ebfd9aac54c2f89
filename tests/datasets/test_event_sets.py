"""Published sets of event cameras, on tiny files whose bytes are assembled by hand."""

import hashlib
import io
import struct
import tarfile
import zipfile

import numpy as np
import pytest

from spikeloom.datasets import DATASETS
from spikeloom.datasets.event_sets import dvs_gesture
from spikeloom.datasets.event_sets.cifar10_dvs import CIFAR10DVS, CLASSES, last_of_each
from spikeloom.datasets.event_sets.daily_dvs import DailyDVS200, persons
from spikeloom.datasets.event_sets.dvs_gesture import DVS128Gesture
from spikeloom.datasets.event_sets.ncaltech101 import NCaltech101
from spikeloom.datasets.event_sets.nmnist import NMNIST
from spikeloom.errors import DataError, ParameterError, StorageError
from spikeloom.events import Events
from spikeloom.events.files import write_events
from spikeloom.events.representations import ToFrames


def bin_records(*records):
    """N-MNIST's records of (x, y, polarity, time): 8 + 8 + 1 + 23 bits, the highest first."""
    return b"".join((x << 32 | y << 24 | p << 23 | t).to_bytes(5, "big") for x, y, p, t in records)


# 240 as y: no event, but 2**13 us for this and all later times.
DIGIT = bin_records((1, 2, 1, 10), (33, 33, 0, 8000), (0, 240, 0, 0), (5, 6, 1, 20), (7, 8, 0, 100_000))


def put(path, content=DIGIT):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def nmnist(root, part="Train"):
    for digit in range(10):
        for number in range(3):
            put(root / part / str(digit) / f"{number:05d}.bin")
    return root


def test_nmnist_reads_records_of_five_bytes_with_their_overflows(tmp_path):
    dataset = NMNIST(nmnist(tmp_path))
    assert len(dataset) == 30
    assert dataset.labels.tolist() == [digit for digit in range(10) for _ in range(3)]
    events, label = dataset[4]
    assert label == 1
    assert events.sensor_size == (34, 34)
    assert events.t.tolist() == [10, 8000, 20 + 8192, 100_000 + 8192]
    assert events.x.tolist() == [1, 33, 5, 7]
    assert events.y.tolist() == [2, 33, 6, 8]
    assert events.p.tolist() == [1, 0, 1, 0]


def test_nmnist_gives_its_test_part_the_first_saccade_and_batches_of_frames(tmp_path):
    nmnist(tmp_path, "Test")
    first = NMNIST(tmp_path, False, first_saccade_only=True)
    assert first[0][0].t.tolist() == [10, 8000, 8212]
    frames = NMNIST(tmp_path, False, transform=ToFrames(window=100.0, start=0.0, end=300.0))
    data, _ = frames.batch([0, 29])
    assert data.shape == (2, 3, 2, 34, 34)
    assert data.sum(axis=(2, 3, 4)).tolist() == [[3, 1, 0]] * 2


def test_nmnist_tells_what_lacks_and_where_it_is_to_be_had(tmp_path):
    with pytest.raises(
        DataError, match=r"NMNIST.root .* lacks the folder Train. download=True .*train.zip from https://"
    ):
        NMNIST(tmp_path)
    nmnist(tmp_path)
    with pytest.raises(DataError, match="lacks the folder Test"):
        NMNIST(tmp_path, is_train=False)
    for file in (tmp_path / "Train" / "7").iterdir():
        file.unlink()
    with pytest.raises(DataError, match=r"expected files .bin in .*Train/7, got none"):
        NMNIST(tmp_path)


def test_an_archive_that_was_put_there_is_not_unpacked_unless_it_is_the_published_one(tmp_path):
    with zipfile.ZipFile(tmp_path / "train.zip", "w") as packed:
        packed.writestr("Train/0/00001.bin", DIGIT)
    with pytest.raises(DataError, match="expected the md5 20959b8e626244a1b502305a9e6e2031"):
        NMNIST(tmp_path, download=True)
    assert {file.name for file in tmp_path.iterdir()} == {"train.zip"}


def test_damaged_records_name_the_file_and_the_byte(tmp_path):
    nmnist(tmp_path)
    file = tmp_path / "Train" / "3" / "00001.bin"
    put(file, DIGIT[:-2])
    with pytest.raises(DataError, match=r"3/00001.bin, byte 20"):
        NMNIST(tmp_path)[10]
    put(file, bin_records((34, 0, 0, 0)))
    with pytest.raises(DataError, match=r"00001.bin, byte 0: expected an event within 34 x 34 pixels"):
        NMNIST(tmp_path)[10]


def test_ncaltech101_names_its_classes_after_the_folders_in_order(tmp_path):
    for name in ("accordion", "BACKGROUND_Google", "zebra"):
        for number in (1, 2, 10):
            put(
                tmp_path / "Caltech101" / name / f"image_{number}.bin", bin_records((number, 3, 1, 5), (239, 179, 0, 6))
            )
    dataset = NCaltech101(tmp_path)
    assert list(dataset.classes) == ["BACKGROUND_Google", "accordion", "zebra"]
    assert dataset.labels.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert [int(dataset[index][0].x[0]) for index in range(3)] == [1, 2, 10]
    assert dataset[0][0].sensor_size == (240, 180)
    with pytest.raises(DataError, match="lacks the folder Caltech101"):
        NCaltech101(tmp_path / "Caltech101")


def test_ncaltech101_can_be_as_large_as_each_recording_needs(tmp_path):
    put(tmp_path / "Caltech101" / "ant" / "1.bin", bin_records((9, 4, 1, 5)))
    assert NCaltech101(tmp_path, sensor_size=None)[0][0].sensor_size == (10, 5)


def aedat2(*records):
    """A file of a DVS128: address y << 8 | x << 1 | (0 where it grew brighter), then the time, both big-endian."""
    head = b"#!AER-DAT2.0\r\n# This is a raw AE data file - do not edit\r\n# Timestamps tick is 1 us\r\n"
    return head + b"".join(struct.pack(">II", y << 8 | x << 1 | off, t) for x, y, off, t in records)


def cifar(root, n=10):
    for name in CLASSES:
        for number in range(n):
            put(root / name / f"cifar10_{name}_{number}.aedat", aedat2((3, 20, 0, number), (127, 0, 1, number + 7)))
    return root


def test_cifar10_dvs_is_upright_and_its_polarities_are_those_of_the_camera(tmp_path):
    events, label = CIFAR10DVS(cifar(tmp_path))[25]
    assert label == 2
    # Addresses count from the lower right; the camera lay on its side: x = 127 - y, y = 127 - x.
    assert events.x.tolist() == [107, 127]
    assert events.y.tolist() == [124, 0]
    assert events.p.tolist() == [1, 0]
    assert events.t.tolist() == [5, 12]
    assert events.sensor_size == (128, 128)


def test_cifar10_dvs_is_split_by_the_numbers_of_the_files(tmp_path):
    cifar(tmp_path, 12)
    whole, train, test = (CIFAR10DVS(tmp_path, part, test_fraction=0.25) for part in (None, True, False))
    assert (len(whole), len(train), len(test)) == (120, 90, 30)
    assert [int(test[index][0].t[0]) for index in range(3)] == [9, 10, 11]
    assert [int(train[index][0].t[0]) for index in range(9)] == list(range(9))
    assert np.bincount(test.labels).tolist() == [3] * 10


def test_the_last_of_each_class_are_at_least_one_and_not_all():
    labels = np.repeat([0, 1, 2], [2, 10, 29])
    assert np.bincount(labels[last_of_each(labels, 0.1)]).tolist() == [1, 1, 2]
    with pytest.raises(ParameterError, match="test_fraction must lie between 0 and 1"):
        last_of_each(labels, 1.0)


def test_cifar10_dvs_names_the_folders_that_lack(tmp_path):
    cifar(tmp_path)
    (tmp_path / "cat").rename(tmp_path / "cats")
    with pytest.raises(DataError, match=r"lacks the folders cat. .*cat.zip from https://ndownloader.figshare.com"):
        CIFAR10DVS(tmp_path)


def aedat3(*events):
    """A file with one packet of polarity events (x, y, polarity, time)."""
    n = len(events)
    packet = struct.pack("<HHIIIIII", 1, 1, 8, 4, 0, n, n, n)
    words = b"".join(struct.pack("<II", x << 17 | y << 2 | p << 1 | 1, t) for x, y, p, t in events)
    head = b"#!AER-DAT3.1\r\n#Format: RAW\r\n#Source 1: DVS128\r\n#Start-Time: 2017-01-01 00:00:00 (TZ+0000)\r\n"
    return head + b"#!END-HEADER\r\n" + packet + words


GESTURES = aedat3((1, 2, 1, 999), (3, 4, 0, 1000), (5, 6, 1, 1999), (7, 8, 0, 2000), (127, 127, 1, 5000))
TABLE = "class,startTime_usec,endTime_usec\n1,1000,2000\n11,2000,5001\n"


def gestures(root, train=("user01_led.aedat",), test=("user24_led.aedat",), table=TABLE):
    for name in (*train, *test):
        put(root / name, GESTURES)
        put(root / name.replace(".aedat", "_labels.csv"), table.encode())
    put(root / "trials_to_train.txt", "\n".join([*train, ""]).encode())
    put(root / "trials_to_test.txt", "\r\n".join(["", *test]).encode())
    return root


@pytest.mark.parametrize("below", ["", "DvsGesture"])
@pytest.mark.parametrize("is_train", [True, False])
def test_dvs128_gesture_cuts_recordings_at_the_times_of_their_labels(tmp_path, below, is_train):
    gestures(tmp_path / below)
    dataset = DVS128Gesture(tmp_path, is_train)
    assert dataset.labels.tolist() == [0, 10]
    assert dataset.n_classes == 11
    assert dataset.classes[0] == "hand_clapping"
    first, last = dataset[0][0], dataset[1][0]
    assert (first.t.tolist(), first.x.tolist(), first.y.tolist(), first.p.tolist()) == (
        [0, 999],
        [3, 5],
        [4, 6],
        [0, 1],
    )
    assert last.t.tolist() == [0, 3000]
    assert last.sensor_size == (128, 128)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("", "line 1: expected class,startTime_usec,endTime_usec"),
        ("a,b,c\n", "line 1: expected class,startTime_usec,endTime_usec, got 'a,b,c'"),
        (TABLE + "12,1,2\n", "line 4: expected a class from 1 to 11, a start and a later end in us, got '12,1,2'"),
        (TABLE + "0,1,2\n", "line 4"),
        (TABLE + "1,2,2\n", "line 4"),
        (TABLE + "1,-2,2\n", "line 4"),
        (TABLE + "1,2\n", "line 4"),
        (TABLE + "\x1f0,1,2\n", "line 4"),
        (TABLE + "1,2,1e9\n", "line 4"),
        (TABLE + "1,2," + "9" * 5000 + "\n", "line 4"),
    ],
)
def test_dvs128_gesture_names_the_line_of_a_wrong_label(tmp_path, table, message):
    with pytest.raises(DataError, match=f"user01_led_labels.csv, {message}"):
        DVS128Gesture(gestures(tmp_path, table=table))


@pytest.mark.parametrize("name", ["../user01.aedat", "/etc/x.aedat", "user01.csv"])
def test_dvs128_gesture_reads_only_files_of_its_folder(tmp_path, name):
    gestures(tmp_path)
    put(tmp_path / "trials_to_train.txt", name.encode())
    with pytest.raises(DataError, match=r"expected names of .aedat files in its folder"):
        DVS128Gesture(tmp_path)


def test_dvs128_gesture_tells_which_file_lacks(tmp_path):
    gestures(tmp_path)
    (tmp_path / "user24_led_labels.csv").unlink()
    with pytest.raises(DataError, match=r"expected .*user24_led_labels.csv, a text"):
        DVS128Gesture(tmp_path, False)
    (tmp_path / "user24_led.aedat").unlink()
    with pytest.raises(DataError, match=r"expected the file user24_led.aedat in its folder"):
        DVS128Gesture(tmp_path, False)


def test_dvs128_gesture_is_unpacked_from_the_archive_that_a_person_got(tmp_path, monkeypatch):
    with pytest.raises(StorageError, match=f"get it from https://.*, put it at {tmp_path}/DvsGesture.tar.gz"):
        DVS128Gesture(tmp_path, download=True)
    gestures(tmp_path / "made" / "DvsGesture")
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as packed:
        packed.add(tmp_path / "made" / "DvsGesture", "DvsGesture")
    put(tmp_path / "DvsGesture.tar.gz", content.getvalue())
    with pytest.raises(DataError, match="expected the md5 8a5c71fb11e24e5ca5b11866ca6c00a1"):
        DVS128Gesture(tmp_path, download=True)
    md5 = "md5:" + hashlib.md5(content.getvalue(), usedforsecurity=False).hexdigest()
    own = dvs_gesture.Archive(name="DvsGesture.tar.gz", url="https://x", checksum=md5, most=1 << 20,
                              most_unpacked=1 << 20, by_hand=True)  # fmt: skip
    monkeypatch.setattr(dvs_gesture, "_ARCHIVE", own)
    assert len(DVS128Gesture(tmp_path, download=True)) == 2


ACTION = Events.from_arrays([5, 9], [0, 319], [239, 0], [1, 0], (320, 240))


def daily(root, lines, split="train"):
    (root / f"{split}.txt").write_text("\n".join(lines))
    for line in lines:
        path = root / line.rpartition(" ")[0].strip()
        path.parent.mkdir(parents=True, exist_ok=True)
        write_events(path, ACTION, format="es" if path.suffix == ".es" else "npz")
    return root


def test_dailydvs200_follows_its_lists(tmp_path):
    root = daily(tmp_path, ["11_11/3/C0P3M0S1_20231111_09_11_23.es 0", "a b/C199P46M1S2_x.es 199"])
    dataset = DailyDVS200(root)
    assert dataset.labels.tolist() == [0, 199]
    assert dataset.n_classes == 200
    assert dataset[1][0].equals(ACTION)
    assert persons(dataset.recordings.paths) == {3, 46}


@pytest.mark.parametrize(
    "line", ["C0P1M0S0.es 200", "C0P1M0S0.es -1", "C0P1M0S0.es", "../C0P1M0S0.es 0", "/x.es 0", " 3"]
)
def test_dailydvs200_names_the_line_that_is_wrong(tmp_path, line):
    (tmp_path / "val.txt").write_text(f"\n{line}\n")
    with pytest.raises(
        DataError, match=r"val.txt, line 2: expected a path below its folder and an action from 0 to 199"
    ):
        DailyDVS200(tmp_path, "val")


def test_dailydvs200_refuses_an_action_that_the_name_contradicts_and_a_file_that_lacks(tmp_path):
    (tmp_path / "test.txt").write_text("C7P1M0S0_x.aedat4 8")
    with pytest.raises(DataError, match="line 1: expected action 7, as the name tells, got 8"):
        DailyDVS200(tmp_path, "test")
    (tmp_path / "test.txt").write_text("C7P1M0S0_x.aedat4 7")
    with pytest.raises(DataError, match=r"line 1: expected the file C7P1M0S0_x.aedat4 below its folder"):
        DailyDVS200(tmp_path, "test")
    with pytest.raises(DataError, match=r"lacks val.txt; get the data by hand from https://"):
        DailyDVS200(tmp_path, "val")
    with pytest.raises(ParameterError, match="split must be one of train, val, test, got 'valid'"):
        DailyDVS200(tmp_path, "valid")


def test_every_set_is_found_by_its_name():
    named = {"nmnist": NMNIST, "ncaltech101": NCaltech101, "cifar10dvs": CIFAR10DVS, "dvs128gesture": DVS128Gesture,
             "dailydvs200": DailyDVS200}  # fmt: skip
    assert {name: DATASETS[name] for name in named} == named
