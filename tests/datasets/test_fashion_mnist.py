import hashlib

import numpy as np
import pytest

from spikeloom.datasets import fashion_mnist as module
from spikeloom.datasets import write_idx
from spikeloom.datasets.fashion_mnist import FashionMNIST
from spikeloom.errors import DataError, ParameterError

IMAGES = np.random.default_rng(0).integers(0, 256, (12, 28, 28), dtype=np.uint8)
LABELS = np.array([5, 0, 4, 1, 9, 2, 1, 3, 1, 4, 3, 5], np.uint8)


def write(folder, end=".gz"):
    write_idx(folder / f"train-images-idx3-ubyte{end}", IMAGES)
    write_idx(folder / f"train-labels-idx1-ubyte{end}", LABELS)
    return folder


@pytest.mark.parametrize("end", ["", ".gz"])
def test_images_are_read_as_those_of_mnist_with_names_of_their_own(tmp_path, end):
    dataset = FashionMNIST(write(tmp_path, end), flat=False)
    assert np.array_equal(np.rint(dataset.data * 255).astype(np.uint8), IMAGES)
    assert dataset.labels.tolist() == LABELS.tolist()
    assert dataset.classes[9] == "Ankle boot"
    assert not dataset.verified
    assert FashionMNIST(tmp_path, maxNum=3, class_number=2).labels.tolist() == [0, 1, 1]
    assert list(FashionMNIST(tmp_path, class_number=2).classes) == ["T-shirt/top", "Trouser"]


def test_the_gzipped_files_are_verified_by_their_checksums(tmp_path, monkeypatch):
    write(tmp_path)
    sums = {file.name: hashlib.md5(file.read_bytes()).hexdigest() for file in tmp_path.iterdir()}
    monkeypatch.setattr(module, "_MD5", module._MD5 | sums)
    assert FashionMNIST(tmp_path).verified
    assert len(FashionMNIST(tmp_path, download=True)) == 12


def test_missing_files_are_named_with_the_addresses(tmp_path):
    with pytest.raises(
        DataError, match=r"FashionMNIST.root .* lacks t10k-images-idx3-ubyte and .*https://raw.githubuser"
    ):
        FashionMNIST(write(tmp_path), is_train=False)
    with pytest.raises(ParameterError, match="FashionMNIST: unknown parameter 'max_nums'; did you mean 'max_num'"):
        FashionMNIST(tmp_path, max_nums=3)
    with pytest.raises(ParameterError, match=r"FashionMNIST.is_train must be True or False"):
        FashionMNIST(tmp_path, is_train="test")


def test_a_file_of_another_content_is_not_taken_for_the_download(tmp_path):
    write(tmp_path)
    (tmp_path / "t10k-images-idx3-ubyte.gz").write_bytes(b"x")
    (tmp_path / "t10k-labels-idx1-ubyte.gz").write_bytes(b"x")
    with pytest.raises(DataError, match="expected an idx file"):
        FashionMNIST(tmp_path, is_train=False, download=True)
