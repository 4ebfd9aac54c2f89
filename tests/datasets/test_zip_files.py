import stat
import struct
import zipfile

import pytest

from spikeloom.datasets.zip_files import checked_members, is_inside, opened_zip, read_member
from spikeloom.errors import DataError


def made(folder, members, compression=zipfile.ZIP_DEFLATED):
    path = folder / "a.zip"
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def names(path, max_bytes=1 << 30):
    with opened_zip(path) as archive:
        return list(checked_members(archive, path, max_bytes))


def test_plain_members_are_listed_and_read(tmp_path):
    path = made(tmp_path, {"a.txt": b"abc", "b/c.txt": b"", "d/": b""})
    with opened_zip(path) as archive:
        members = checked_members(archive, path, 3)
        assert list(members) == ["a.txt", "b/c.txt"]
        assert read_member(archive, members["a.txt"], path) == b"abc"


@pytest.mark.parametrize("name", ["../a", "/a", "a/../../b", "C:/a", "a\\b", "C:a"])
def test_names_that_lead_elsewhere_are_refused(tmp_path, name):
    assert not is_inside(name)
    info = zipfile.ZipInfo("x")
    info.filename = name
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(info, b"x")
    with pytest.raises(DataError, match="must lie in the archive's own folder"):
        names(tmp_path / "a.zip")


def test_links_doubles_and_sizes_beyond_the_limit_are_refused(tmp_path):
    link = zipfile.ZipInfo("l")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with pytest.raises(DataError, match="be no link"):
        names(made(tmp_path, {link: b"/etc/passwd"}))
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as archive:
        archive.writestr("a", b"1")
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("a", b"2")
    with pytest.raises(DataError, match="is there twice"):
        names(tmp_path / "b.zip")
    with pytest.raises(DataError, match="at most 5 bytes unpacked, it declares 6"):
        names(made(tmp_path, {"a": b"123", "b": b"456"}), 5)


def test_a_bomb_is_refused_by_what_it_declares(tmp_path):
    with pytest.raises(DataError, match="at most 200 times its size, it declares 30000000 bytes"):
        names(made(tmp_path, {"a": bytes(30_000_000)}))


@pytest.mark.parametrize("declared", [1000, 3000])
def test_a_member_that_unpacks_to_another_size_than_it_declares_is_refused(tmp_path, declared):
    path = made(tmp_path, {"a": b"x" * 2000})
    path.write_bytes(path.read_bytes().replace(struct.pack("<I", 2000), struct.pack("<I", declared)))
    with pytest.raises(DataError, match=r"a\.zip"), opened_zip(path) as archive:
        read_member(archive, checked_members(archive, path, 1 << 20)["a"], path)


def test_what_is_no_zip_file_is_refused(tmp_path):
    (tmp_path / "a.zip").write_bytes(b"PK\x03\x04 nothing")
    with pytest.raises(DataError, match="whole zip file"):
        names(tmp_path / "a.zip")
    with pytest.raises(DataError, match="there is no such file"):
        names(tmp_path / "none.zip")
