"""What is said of files of every kind, and what is found wrong in them."""

import json
import re
import shutil
import zipfile

import numpy as np
import pytest
from data_files import EVENTS, WRITABLE, caption_folder, class_folder, every_kind, spike_file
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from spikeloom.datasets import SHD
from spikeloom.datasets.audio import Sound, write_sound
from spikeloom.datasets.describe import KINDS, describe, faults, kind_of
from spikeloom.datasets.named import describe_dataset, named_dataset
from spikeloom.errors import DataError, ParameterError, SpikeloomError, StorageError, UnknownNameError
from spikeloom.events.files import FORMATS, write_events

KEYS = ["source", "kind", "format", "samples", "events", "sensor_size", "shape", "start", "end", "bytes", "classes",
        "details"]  # fmt: skip

EXPECTED = {
    "captions": {"format": "folder", "samples": 2, "shape": (5, 7)},
    "folder": {"samples": 4, "classes": ("cat", "dog"), "details": {"files": {"image": 4}}},
    "spikes": {"samples": 3, "events": 3, "shape": (700,), "start": 125.0, "end": 500.0, "classes": ("0", "1", "2")},
    "neuron_data": {"events": 5, "shape": (20, 4)},
    "idx": {"samples": 3, "shape": (3, 4, 5), "details": {"dtype": "uint8", "least": 0, "greatest": 59}},
    "npy": {"samples": 3, "shape": (3, 4), "details": {"dtype": "float64", "least": 0.0, "greatest": 11.0}},
    "sound": {"format": "WAV", "samples": 800, "start": 0.0, "end": 100.0},
    "image": {"format": "PNG", "shape": (5, 7)},
    "table": {"samples": 3, "classes": ("bad", "good")},
    "events": {"format": "es", "events": 4, "sensor_size": (6, 8), "start": 1.0, "end": 9.0},
    "text": {"format": "utf-8", "shape": (11,)},
}


def test_every_kind_has_a_file_here():
    assert set(EXPECTED) == set(KINDS)


@pytest.mark.parametrize("kind", EXPECTED)
def test_a_file_of_every_kind_is_known_by_its_content_and_described(kind, tmp_path):
    path = every_kind(tmp_path)[kind]
    if path.is_file():
        path = path.rename(tmp_path / "without_a_suffix")
    found = describe(path)
    assert (found.kind, found.source) == (kind, str(path))
    assert {name: getattr(found, name) for name in EXPECTED[kind]} == EXPECTED[kind]
    assert path.is_dir() or found.bytes == path.stat().st_size
    read = json.loads(json.dumps(found.as_json()))
    assert list(read) == KEYS
    assert all(line.split() for line in str(found).splitlines())
    assert list(faults(path)) == []


@pytest.mark.parametrize("name", WRITABLE)
def test_an_event_file_of_every_format_is_described_alike(name, tmp_path):
    path = tmp_path / f"file{FORMATS[name].suffixes[0]}"
    write_events(path, EVENTS, name)
    found = describe(path)
    assert (found.kind, found.format, found.events) == ("events", name, 4)
    assert found.end - found.start == 8.0


@pytest.mark.parametrize("name", ["PNG", "JPEG", "GIF", "BMP", "WEBP", "TIFF", "PPM"])
def test_a_picture_of_every_format_is_known(name, tmp_path):
    Image.fromarray(np.full((5, 7, 3), 90, np.uint8)).save(tmp_path / "picture", name)
    found = describe(tmp_path / "picture")
    assert (found.kind, found.format, found.shape) == ("image", name, (5, 7))


@pytest.mark.parametrize(("suffix", "name"), [(".wav", "WAV"), (".flac", "FLAC"), (".ogg", "Ogg"), (".mp3", "MP3")])
def test_a_sound_of_every_format_is_known(suffix, name, tmp_path):
    path = tmp_path / f"sound{suffix}"
    write_sound(path, Sound(np.zeros((4800, 2), np.float32), 48_000))
    found = describe(path.rename(tmp_path / "sound"))
    assert (found.kind, found.format, found.details["channels"], found.details["rate_hz"]) == ("sound", name, 2, 48_000)


def test_captions_in_a_zip_file_are_known_too(tmp_path):
    folder = caption_folder(tmp_path / "set")
    packed = shutil.make_archive(str(tmp_path / "packed"), "zip", folder)
    found = describe(packed)
    assert (found.kind, found.format, found.samples) == ("captions", "zip", 2)


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "got an empty file"), (b"\x01\x02\x03\xff\xfe\x00\x07", "got the bytes 01 02 03 ff fe 00 07")],
)
def test_what_no_kind_knows_is_an_error_that_names_the_kinds(content, message, tmp_path):
    (tmp_path / "odd").write_bytes(content)
    with pytest.raises(DataError, match=f"expected one of: captions, folder, spikes, .*{message}"):
        describe(tmp_path / "odd")


def test_nothing_and_an_empty_folder_are_said_to_be_so(tmp_path):
    with pytest.raises(StorageError, match="found nothing"):
        describe(tmp_path / "none")
    with pytest.raises(DataError, match="got an empty folder"):
        describe(tmp_path)


@pytest.mark.parametrize("kind", ["spikes", "neuron_data", "idx", "npy", "sound", "image", "events"])
def test_a_file_that_was_cut_short_has_one_fault_that_names_it(kind, tmp_path):
    path = every_kind(tmp_path)[kind]
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) * 2 // 3] if kind != "events" else whole[:-1])
    try:
        found = [str(fault) for fault in faults(path)]
    except SpikeloomError as error:
        found = [str(error)]
    assert len(found) == 1
    assert str(path) in found[0]


EVENT_LINES = {
    "cut in a line": ("t,x,y,p\n10,1,2,1\n20,1,2", "byte 17: .* got '20,1,2'"),
    "not a number": ("t,x,y,p\n10,1,2,1\n20,nan,2,1\n30,1,2,1\n", "byte 17: .* got '20,nan,2,1'"),
    "a polarity of 2": ("# t, x, y, p\n10,3,2,2\n", "byte 13: .* got '10,3,2,2'"),
    "seconds": ("t,x,y,p\n0.5,1,2,1\n", r"byte 8: .*times in ms or s are read with format=CSV\(time_unit="),
    "a mark": ("\ufefft,x,y,p\n10,1,2,nan\n", "byte 11: .* got '10,1,2,nan'"),
    "no names": ("10 1 2 1\n20 1 two 1\n", "byte 9: .* got '20 1 two 1'"),
}


@pytest.mark.parametrize("name", EVENT_LINES)
def test_a_damaged_file_of_event_lines_is_no_text(name, tmp_path):
    content, message = EVENT_LINES[name]
    for path in (tmp_path / "a.csv", tmp_path / "below" / "b.csv"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(content)
        assert kind_of(path) == "events"
    for place in (tmp_path / "a.csv", tmp_path / "below"):
        (fault,) = faults(place)
        assert re.search(message, str(fault)), fault


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        ("\ufefft,x,y,p\n10,1,2,1\n", "events"), ("t,x,y,p\n", "events"), ("text,label\ngood,1\n", "table"),
        ("a,b\n1,2\n", "text"), ("1,2,3,4\n10,1,2,1\n", "text"), ("# only a remark\n", "text"), ("\ufeff", "text"),
    ],
)  # fmt: skip
def test_lines_of_a_table_are_what_their_names_or_the_first_of_them_say(content, kind, tmp_path):
    path = tmp_path / "lines.csv"
    path.write_text(content, encoding="utf-8")
    assert kind_of(path) == kind
    assert list(faults(path)) == []


@pytest.mark.parametrize("suffix", [".es", ".raw", ".PNG", ".wav", ".npy"])
def test_a_file_that_is_called_what_no_text_is_is_not_taken_for_text(suffix, tmp_path):
    path = tmp_path / f"file{suffix}"
    path.write_text("Event St")
    with pytest.raises(DataError, match=r"expected one of: .* got the bytes 45 76 65 6e"):
        kind_of(path)
    assert kind_of(path.rename(tmp_path / "file.txt")) == "text"


def test_every_bad_row_of_captions_is_a_fault_with_its_line(tmp_path):
    folder = caption_folder(tmp_path / "set", missing=True)
    (folder / "images/1.png").write_bytes(b"none")
    found = [str(fault) for fault in faults(folder)]
    assert len(found) == 2
    assert "captions.csv: line 3: unreadable" in found[0]
    assert "captions.csv: line 4: missing" in found[1]


def test_a_folder_is_read_through_and_each_bad_file_named(tmp_path):
    folder, seen = class_folder(tmp_path / "set"), []
    (folder / "cat/2.bin").write_bytes(b"\x01\x02\xff\x00")
    (folder / "dog/0.png").write_bytes((folder / "dog/0.png").read_bytes()[:50])
    (folder / ".hidden").write_bytes(b"\x01\x02\xff\x00")
    found = sorted(fault.source for fault in faults(folder, seen.append))
    assert found == [str(folder / "cat/2.bin"), str(folder / "dog/0.png")]
    assert seen == sorted(seen)
    assert seen[-1] == 1.0
    assert describe(folder).details == {"files": {"image": 4, "unknown": 1}}


BEGINS = [b"", b"PK\x03\x04", b"\x89HDF\r\n\x1a\n", b"\x93NUMPY\x01\x00", b"RIFF", b"\x00\x00\x08\x02", b"\x1f\x8b\x08",
          b"\x89PNG\r\n\x1a\n", b"BM"]  # fmt: skip


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=200), st.sampled_from(BEGINS))
def test_no_content_makes_anything_but_a_description_or_an_error_that_names_the_file(tmp_path, content, begin):
    path = tmp_path / "file"
    path.write_bytes(begin + content)
    try:
        told = describe(path).source
    except SpikeloomError as error:
        told = str(error)
    assert str(path) in told


def test_a_pickle_in_a_file_of_numpy_is_not_run(tmp_path):
    np.save(tmp_path / "odd.npy", np.array([{"a": 1}], object), allow_pickle=True)
    with pytest.raises(DataError, match=r"expected a whole \.npy file of numbers"):
        describe(tmp_path / "odd.npy")


def test_numbers_that_are_not_finite_are_texts_in_json(tmp_path):
    np.save(tmp_path / "odd.npy", np.array([1.0, np.inf]))
    details = json.loads(json.dumps(describe(tmp_path / "odd.npy").as_json(), allow_nan=False))["details"]
    assert details == {"dtype": "float64", "least": 1.0, "greatest": "inf"}


def test_a_zip_file_of_other_things_is_unknown(tmp_path):
    with zipfile.ZipFile(tmp_path / "odd.zip", "w") as archive:
        archive.writestr("a", "b")
    with pytest.raises(DataError, match="expected one of"):
        kind_of(tmp_path / "odd.zip")


def test_a_data_set_by_name_is_described(tmp_path):
    digits = describe_dataset(named_dataset("digits"))
    assert (digits.kind, digits.samples, digits.shape, digits.format) == ("data set", 1797, (64,), "array")
    assert sum(digits.details["of_each_class"]) == 1797
    spike_file(tmp_path / "shd_test.h5")
    shd = describe_dataset(named_dataset("SHD", tmp_path, "test"))
    assert (shd.samples, shd.shape, shd.format, shd.end) == (3, (700,), "spikes", 1400.0)
    assert len(SHD(tmp_path, is_train=False)) == 3
    assert describe_dataset(named_dataset("yin_yang")).samples == 5000


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (("mnist",), ParameterError, "is read from files; give --root FOLDER"),
        (("digits", "x"), ParameterError, "takes no root"),
        (("digits", None, "test"), ParameterError, "has no parts, got --part test"),
        (("mnist", "x", "valid"), ParameterError, "has the parts train and test, got --part valid"),
        (("saccades",), ParameterError, "is made of images, labels; use it from Python"),
        (("digit",), UnknownNameError, "did you mean 'digits'"),
    ],
)
def test_what_a_data_set_does_not_take_or_lacks_is_refused(arguments, error, message):
    with pytest.raises(error, match=message):
        named_dataset(*arguments)
