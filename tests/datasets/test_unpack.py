"""Archives: what is unpacked, and what is refused without leaving anything behind."""

import io
import os
import struct
import tarfile
import zipfile

import pytest

from spikeloom.datasets import unpack as module
from spikeloom.datasets.unpack import unpack
from spikeloom.errors import DataError, StorageError

TREE = {"Train/0/00001.bin": b"one", "Train/1/00002.bin": b"two" * 1000, "readme.txt": b""}


def a_zip(path, content=None):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, data in (TREE if content is None else content).items():
            packed.writestr(name, data)
    return path


def a_tar(path, content=None, mode="w:gz"):
    with tarfile.open(path, mode) as packed:
        for name, data in (TREE if content is None else content).items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            packed.addfile(info, io.BytesIO(data))
    return path


MAKERS = {
    "a.zip": a_zip,
    "a.tar": lambda path, content=None: a_tar(path, content, "w"),
    "a.tar.gz": a_tar,
    "a.tar.bz2": lambda path, content=None: a_tar(path, content, "w:bz2"),
    "a.tar.xz": lambda path, content=None: a_tar(path, content, "w:xz"),
}


@pytest.fixture(params=MAKERS)
def made(request, tmp_path):
    """Makes an archive of a kind, outside of the folder that it is unpacked into."""
    (tmp_path / "out").mkdir()
    return lambda content=None: MAKERS[request.param](tmp_path / request.param, content)


def found(folder):
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def test_all_files_are_unpacked_below_the_folder(made, tmp_path):
    unpack(made(), tmp_path / "out", 1 << 20)
    assert found(tmp_path / "out") == TREE


def test_what_is_there_stays_and_gets_the_new_files(made, tmp_path):
    (tmp_path / "out" / "Train" / "0").mkdir(parents=True)
    (tmp_path / "out" / "Train" / "0" / "own.txt").write_bytes(b"own")
    unpack(made(), tmp_path / "out", 1 << 20)
    assert found(tmp_path / "out") == TREE | {"Train/0/own.txt": b"own"}


def test_the_folder_itself_may_be_a_member(tmp_path):
    (tmp_path / "out").mkdir()
    with tarfile.open(tmp_path / "a.tar", "w") as packed:
        for name, kind in (("./", tarfile.DIRTYPE), ("./Train", tarfile.DIRTYPE), ("./Train/a.bin", tarfile.REGTYPE)):
            info = tarfile.TarInfo(name)
            info.type = kind
            packed.addfile(info)
    unpack(tmp_path / "a.tar", tmp_path / "out", 10)
    assert found(tmp_path / "out") == {"Train/a.bin": b""}


@pytest.mark.parametrize(
    "name",
    ["../out.txt", "a/../../b", "/etc/out.txt", "C:\\out.txt", "a\\..\\..\\b", "\\\\host\\share", "..", "d/..", "c:x"],
)
def test_names_that_lead_elsewhere_are_refused(made, tmp_path, name):
    with pytest.raises(DataError, match="expected names below the archive's folder, got"):
        unpack(made({"good.txt": b"x", name: b"y"}), tmp_path / "out", 1 << 20)
    assert found(tmp_path / "out") == {}
    assert {path.name for path in tmp_path.iterdir()} <= {"out", *MAKERS}


def test_more_bytes_than_allowed_are_refused_whatever_the_archive_says(made, tmp_path):
    archive = made({"bomb": bytes(1 << 22)})
    with pytest.raises(DataError, match="expected fewer bytes when unpacked, got more at bomb"):
        unpack(archive, tmp_path / "out", 1 << 20)
    assert list((tmp_path / "out").iterdir()) == []


def test_more_files_than_allowed_are_refused(made, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "MOST_FILES", 2)
    with pytest.raises(DataError, match="expected at most 2 files"):
        unpack(made(), tmp_path / "out", 1 << 20)


def test_an_archive_that_was_cut_is_refused_and_leaves_nothing(made, tmp_path):
    archive = made({"big": os.urandom(200_000)})
    archive.write_bytes(archive.read_bytes()[:100_000])
    with pytest.raises((DataError, StorageError), match=r"damaged|cannot unpack"):
        unpack(archive, tmp_path / "out", 1 << 20)
    assert list((tmp_path / "out").iterdir()) == []


def test_a_file_where_a_folder_stands_is_in_the_way(made, tmp_path):
    (tmp_path / "out" / "readme.txt").mkdir()
    with pytest.raises(DataError, match=r"readme.txt is in the way"):
        unpack(made(), tmp_path / "out", 1 << 20)


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_in_a_tar_are_refused(kind, tmp_path):
    (tmp_path / "out").mkdir()
    with tarfile.open(tmp_path / "a.tar", "w") as packed:
        info = tarfile.TarInfo("link")
        info.type, info.linkname = kind, "/etc/passwd"
        packed.addfile(info)
    with pytest.raises(DataError, match="got link, a link or device"):
        unpack(tmp_path / "a.tar", tmp_path / "out", 1 << 20)


def test_a_link_in_a_zip_is_refused(tmp_path):
    (tmp_path / "out").mkdir()
    info = zipfile.ZipInfo("link")
    info.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as packed:
        packed.writestr(info, "/etc/passwd")
    with pytest.raises(DataError, match="got link, a link or device"):
        unpack(tmp_path / "a.zip", tmp_path / "out", 1 << 20)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_file_that_is_in_an_archive_twice_is_refused(tmp_path):
    (tmp_path / "out").mkdir()
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as packed:
        packed.writestr("a.txt", "1")
        packed.writestr("a.txt", "2")
    with pytest.raises(DataError, match="expected each file once"):
        unpack(tmp_path / "a.zip", tmp_path / "out", 1 << 20)


def test_a_zip_whose_content_has_another_checksum_is_refused(tmp_path):
    (tmp_path / "out").mkdir()
    archive = tmp_path / "a.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        packed.writestr("a.txt", "content")
    archive.write_bytes(archive.read_bytes().replace(b"content", b"Content"))
    with pytest.raises(DataError, match="a damaged one"):
        unpack(archive, tmp_path / "out", 1 << 20)


def test_an_encrypted_zip_is_refused(tmp_path):
    (tmp_path / "out").mkdir()
    archive = a_zip(tmp_path / "a.zip", {"a.txt": b"x"})
    data = bytearray(archive.read_bytes())
    for place in (data.index(b"PK\x03\x04") + 6, data.index(b"PK\x01\x02") + 8):
        struct.pack_into("<H", data, place, 1)
    archive.write_bytes(data)
    with pytest.raises(DataError, match=r"a damaged one .*encrypted"):
        unpack(archive, tmp_path / "out", 1 << 20)


@pytest.mark.parametrize(
    "content", [b"<html>not found</html>" * 100, b"", b"PK", b"\x1f\x8b\x08", b"BZh9", b"\xfd7zXZ\0"]
)
def test_what_is_no_archive_is_refused(tmp_path, content):
    (tmp_path / "out").mkdir()
    (tmp_path / "a.zip").write_bytes(content)
    with pytest.raises(DataError, match="expected a whole archive, got a damaged one"):
        unpack(tmp_path / "a.zip", tmp_path / "out", 1 << 20)
