"""A file is there wholly or not at all."""

import errno
import os
import subprocess
import sys

import pytest

from spikeloom.errors import StorageError
from spikeloom.storage import write_atomically


def full(*_):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_what_was_written_is_read_and_nothing_else_is_left(tmp_path):
    for content in (b"", b"first", b"\x00" * 100_000):
        write_atomically(str(tmp_path / "file"), content)
        assert (tmp_path / "file").read_bytes() == content
        assert os.listdir(tmp_path) == ["file"]


@pytest.mark.parametrize("call", ["fsync", "replace", "chmod"])
@pytest.mark.parametrize("earlier", [None, b"earlier"])
def test_a_full_disk_leaves_the_earlier_file_and_no_other(tmp_path, monkeypatch, call, earlier):
    path = tmp_path / "file"
    if earlier is not None:
        path.write_bytes(earlier)
    monkeypatch.setattr(os, call, full)
    with pytest.raises(StorageError) as caught:
        write_atomically(path, b"later")
    kept = "; the earlier file is intact" if earlier is not None else ""
    assert str(caught.value) == f"cannot write {path}: No space left on device{kept}"
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == ({"file": earlier} if earlier else {})


def test_a_limit_on_the_size_of_files_is_the_same_as_a_full_disk(tmp_path):
    program = (
        "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "from spikeloom.storage import write_atomically\n"
        "write_atomically(sys.argv[1], b'e' * 1000)\n"
        "write_atomically(sys.argv[1], b'l' * 100000)\n"
    )
    run = subprocess.run([sys.executable, "-c", program, tmp_path / "file"], capture_output=True, text=True)
    assert run.stderr.endswith(
        f"StorageError: cannot write {tmp_path}/file: File too large; the earlier file is intact\n"
    )
    assert (tmp_path / "file").read_bytes() == b"e" * 1000
    assert os.listdir(tmp_path) == ["file"]


def test_an_interrupt_while_writing_leaves_no_temporary_file(tmp_path, monkeypatch):
    def interrupted(_):
        raise KeyboardInterrupt

    (tmp_path / "file").write_bytes(b"earlier")
    monkeypatch.setattr(os, "fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_atomically(tmp_path / "file", b"later")
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == {"file": b"earlier"}


def test_the_new_content_is_on_the_disk_before_it_takes_the_name(tmp_path, monkeypatch):
    order, fsync, replace = [], os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda f: (order.append("fsync"), fsync(f)))
    monkeypatch.setattr(os, "replace", lambda a, b: (order.append("replace"), replace(a, b)))
    write_atomically(tmp_path / "file", b"content")
    assert order == ["fsync", "replace"]


def test_a_missing_folder_and_a_folder_in_the_place_of_the_file_are_errors(tmp_path):
    with pytest.raises(StorageError, match="No such file or directory"):
        write_atomically(tmp_path / "nowhere" / "file", b"content")
    (tmp_path / "folder").mkdir()
    with pytest.raises(StorageError, match=r"cannot write .*folder"):
        write_atomically(tmp_path / "folder", b"content")
    assert os.listdir(tmp_path) == ["folder"]
