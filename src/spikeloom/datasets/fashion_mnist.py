"""Fashion-MNIST, from files that are there or fetched."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from .checks import check_flag
from .dataset import ArrayDataset
from .download import Archive, fetch, hash_of
from .mnist import idx_options, images_as_dataset, names_of, places_of, read_pair

CLASSES = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")
URL = "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/"
_MD5 = {
    "train-images-idx3-ubyte.gz": "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
    "train-labels-idx1-ubyte.gz": "25c81989df183df01b3e8a0aad5dffbe",
    "t10k-images-idx3-ubyte.gz": "bef4ecab320f06d8554ea6380940ec79",
    "t10k-labels-idx1-ubyte.gz": "bb300cfdad3c16e7a12a480ee83cd310",
}


def FashionMNIST(  # noqa: N802
    root: str | os.PathLike[str],
    is_train: bool = True,
    flat: bool = True,
    max_num: int | None = None,
    class_number: int | None = None,
    *,
    download: bool = False,
    progress: bool = False,
    **spellings: Any,
) -> ArrayDataset:
    """Articles of clothing of 28 x 28 pixels, 60,000 to train or 10,000 to test, grey values scaled to [0, 1].

    `root`, shapes and options are those of MNIST. download: fetches the two files that lack. `verified` tells whether
    both files are the gzipped ones that are published; unpacked ones have no published checksum. Raises DataError for
    missing or damaged files. Source: H. Xiao, K. Rasul, R. Vollgraf, arXiv 1708.07747 (2017).
    """
    given = {"is_train": is_train, "flat": flat, "max_num": max_num, "class_number": class_number}
    options = idx_options("FashionMNIST", given, spellings)
    archives = {
        name: Archive(name=f"{name}.gz", url=f"{URL}{name}.gz", checksum=f"md5:{_MD5[name + '.gz']}", most=1 << 26)
        for name in names_of(options["is_train"])
    }
    shown = check_flag(progress, "FashionMNIST.progress")
    if check_flag(download, "FashionMNIST.download"):
        for name, archive in archives.items():
            if not places_of(Path(root), name):
                fetch(archive, Path(root), progress=shown)
    way_out = "download=True fetches them: " + ", ".join(archive.url for archive in archives.values())
    images, labels, files = read_pair("FashionMNIST", root, options["is_train"], way_out)
    verified = all(_MD5.get(file.name) == hash_of(file, "md5") for file in files)
    return images_as_dataset("FashionMNIST", images, labels, options, CLASSES, verified)
