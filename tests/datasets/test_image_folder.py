"""Pictures in folders of classes."""

import struct
import warnings
import zlib

import numpy as np
import pytest
from PIL import Image

from spikeloom.datasets import Dataloader
from spikeloom.datasets.cache import cached
from spikeloom.datasets.image_folder import image_folder
from spikeloom.errors import DataError, ParameterError

GREY = np.arange(12, dtype=np.uint8).reshape(3, 4) * 20
COLOUR = np.random.default_rng(0).integers(0, 256, (3, 4, 3), dtype=np.uint8)


def save(path, pixels=GREY, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **options)


@pytest.fixture
def root(tmp_path):
    for name in ("cat_10", "cat_9"):
        for number in (2, 10, 1):
            save(tmp_path / "set" / name / f"{number}.png", GREY // np.uint8(number))
    (tmp_path / "set" / "cat_9" / "notes.txt").write_text("no picture")
    return tmp_path / "set"


def test_pictures_come_in_natural_order_with_the_class_of_their_folder(root):
    dataset = image_folder(root)
    assert list(dataset.classes) == ["cat_9", "cat_10"]
    assert dataset.labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert [path.stem for path in dataset.paths] == ["1", "2", "10"] * 2
    picture, label = dataset[1]
    assert picture.dtype == np.float32
    assert picture == pytest.approx((GREY // 2) / 255)
    assert label == 0
    assert dataset.shape == (3, 4)


def test_colours_stand_before_rows_and_columns(tmp_path):
    save(tmp_path / "a" / "1.png", COLOUR)
    dataset = image_folder(tmp_path, mode="RGB")
    assert dataset.shape == (3, 3, 4)
    assert dataset[0][0] == pytest.approx(COLOUR.transpose(2, 0, 1) / 255)
    # ITU-R 601: 0.299, 0.587 and 0.114 of red, green and blue.
    assert image_folder(tmp_path)[0][0] * 255 == pytest.approx(COLOUR @ [0.299, 0.587, 0.114], abs=1)


def test_pictures_are_scaled_to_one_size(root):
    dataset = image_folder(root, size=(6, 2))
    data, _ = dataset.batch([0, 5])
    assert data.shape == (2, 6, 2)
    assert data[0].mean() == pytest.approx(GREY.mean() / 255, abs=0.02)
    assert image_folder(root, size=5).shape == (5, 5)


def test_sixteen_bits_stay(tmp_path):
    save(tmp_path / "a" / "1.png", np.array([[0, 300], [40_000, 65_535]], np.uint16))
    assert image_folder(tmp_path)[0][0] * 65535 == pytest.approx(np.array([[0, 300], [40_000, 65_535]]), abs=0.1)
    assert image_folder(tmp_path, mode="RGB")[0][0].shape == (3, 2, 2)


def test_a_photograph_is_turned_as_it_tells(tmp_path):
    turned = Image.Exif()
    turned[0x0112] = 6
    save(tmp_path / "a" / "1.png", GREY, exif=turned)
    assert image_folder(tmp_path)[0][0] == pytest.approx(np.rot90(GREY, -1) / 255)


def test_it_goes_through_a_loader_and_a_cache(root, tmp_path):
    dataset = image_folder(root)
    assert [data.shape for data, _ in Dataloader(dataset, batch_size=4)] == [(4, 3, 4), (2, 3, 4)]
    again = cached(dataset, tmp_path / "cache")
    assert np.array_equal(again.batch([3, 1])[0], dataset.batch([3, 1])[0])
    save(root / "cat_9" / "1.png", GREY[::-1])
    assert np.array_equal(cached(dataset, tmp_path / "cache")[0][0], dataset[0][0])


def test_a_picture_of_another_size_is_named(root):
    save(root / "cat_10" / "10.png", GREY[:2])
    with pytest.raises(DataError, match=r"10.png: expected \(height, width\) \(3, 4\) as of 1.png, got \(2, 4\); give"):
        image_folder(root)[5]


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def bomb(width, height):
    """A PNG that claims a size and holds nothing."""
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (bomb(10_000, 8_000), "expected at most 33554432 pixels, got 10000 x 8000"),
        (bomb(12_000, 12_000), "(cannot be read|at most).*"),
        (bomb(60_000, 60_000), "(cannot be read|at most).*"),
        (bomb(4, 3), "expected a picture"),
        (b"", "expected a picture"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "expected a picture"),
        (b"GIF89a" + b"\0" * 20, "expected a picture"),
        (b"BM" + b"\xff" * 60, "expected a picture"),
        (b"II*\0" + b"\xff" * 60, "expected a picture"),
    ],
)
def test_what_is_no_picture_or_too_large_is_named_and_found(root, content, message):
    file = root / "cat_9" / "2.png"
    file.write_bytes(content)
    dataset = image_folder(root)
    with pytest.raises(DataError, match=f"{file}: .*{message}"):
        dataset[1]
    assert list(dataset.unreadable()) == [file]
    assert dataset[0][1] == 0


def test_a_cut_picture_is_named(tmp_path):
    for number, suffix in enumerate(("png", "jpg", "gif", "bmp", "tif")):
        save(tmp_path / suffix / "1.png", GREY)
        file = tmp_path / suffix / f"2.{suffix}"
        save(file, np.random.default_rng(0).integers(0, 256, (40, 40), dtype=np.uint8))
        file.write_bytes(file.read_bytes()[:-200])
        dataset = image_folder(tmp_path, size=3)
        with pytest.raises(DataError, match=f"2.{suffix}: expected a picture"):
            dataset[2 * sorted(["png", "jpg", "gif", "bmp", "tif"][: number + 1]).index(suffix) + 1]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mode": "CMYK"}, "mode must be one of L, RGB, got 'CMYK'"),
        ({"size": 0}, "size must be an integer from 1 to 32768"),
        ({"size": (3, 4, 5)}, "size must be"),
        ({"size": 2.5}, "size must be an integer"),
        ({"max_pixels": 0}, "max_pixels must be an integer"),
    ],
)
def test_a_wrong_option_is_refused(root, options, message):
    with pytest.raises(ParameterError, match=message):
        image_folder(root, **options)


def test_folders_that_lack_are_named(root, tmp_path):
    with pytest.raises(DataError, match=r"expected the folder .*nowhere, got none"):
        image_folder(tmp_path / "nowhere")
    with pytest.raises(DataError, match=r"expected the folder .*dog, got none"):
        image_folder(root, classes=["cat_9", "dog"])
    with pytest.raises(DataError, match="expected folders of classes"):
        image_folder(root / "cat_9")


def test_what_is_transparent_is_shown_on_white(tmp_path):
    save(tmp_path / "a" / "1.png", np.zeros((2, 2, 4), np.uint8))
    assert (image_folder(tmp_path, mode="RGB")[0][0] == 1).all()


def test_filters_of_warnings_which_all_threads_share_stay_as_they_are(root, monkeypatch):
    before, seen = list(warnings.filters), []
    opens = Image.open
    monkeypatch.setattr(Image, "open", lambda *a, **k: seen.append(list(warnings.filters)) or opens(*a, **k))
    assert image_folder(root)[0][1] == 0
    assert seen == [before] * len(seen) != []


def test_a_part_is_taken_without_reading_a_picture(root):
    whole = image_folder(root)
    whole.paths[4].write_bytes(b"no picture")
    part = whole.select([5, 0])
    assert (len(part), part.labels.tolist(), part.classes) == (2, [1, 0], whole.classes)
    assert np.array_equal(part[1][0], whole[0][0])
    assert [path.stem for path in whole.select(whole.labels == 1).paths] == ["1", "2", "10"]
