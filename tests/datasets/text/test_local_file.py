import contextlib
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spikeloom.datasets import Document, LocalFileLoader
from spikeloom.datasets.text.decoding import decode
from spikeloom.errors import DataError, ParameterError, StorageError

JAPANESE = "吾輩は猫である。名前はまだ無い。"


@pytest.mark.parametrize(
    ("data", "text", "encoding"),
    [
        (b"plain", "plain", "utf-8"),
        (JAPANESE.encode(), JAPANESE, "utf-8"),
        (b"\xef\xbb\xbf" + JAPANESE.encode(), JAPANESE, "utf-8"),
        (b"\xff\xfe" + JAPANESE.encode("utf-16-le"), JAPANESE, "utf-16-le"),
        (b"\xfe\xff" + JAPANESE.encode("utf-16-be"), JAPANESE, "utf-16-be"),
        (b"\xff\xfe\0\0" + JAPANESE.encode("utf-32-le"), JAPANESE, "utf-32-le"),
        ("The cat. 猫".encode("utf-16-le"), "The cat. 猫", "utf-16-le"),
        ("The cat. 猫".encode("utf-16-be"), "The cat. 猫", "utf-16-be"),
        (JAPANESE.encode("cp932"), JAPANESE, "cp932"),
        (JAPANESE.encode("euc_jp"), JAPANESE, "euc_jp"),
        ("①髙﨑のカフェ".encode("cp932"), "①髙﨑のカフェ", "cp932"),
        (b"", "", "utf-8"),
    ],
)
def test_the_encoding_is_found_out(data, text, encoding):
    assert decode(data, "f") == (text, encoding)


@given(st.text(alphabet="あいうえおかきくけこアイウエオ漢字猫犬。、\n", min_size=8))
def test_japanese_in_each_of_its_encodings_is_read_or_refused_but_never_misread(text):
    for name in ("utf-8", "cp932", "euc_jp"):
        with contextlib.suppress(DataError):
            assert decode(text.encode(name), "f")[0] == text


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("déjà vu à Paris".encode("latin-1"), "undecided: not UTF-8, for the byte e9 at 1 .*it may be .*latin-1"),
        ("ｱｲｳｴｵｶｷ か".encode("cp932"), "undecided.*byte b1 at 0.*it may be cp932"),
        ("かな".encode("cp932") + b"\xff", "undecided.*byte 82 at 0.*it may be cp932"),
        ("漢字".encode("euc_jp"), "undecided.*byte b4 at 0.*it may be .*euc_jp"),
        (b"\x89PNG\r\n\x1a\n\0\0", "binary data: the byte 1a at 6"),
        (b"abc\x00def", "binary data: the byte 00 at 3"),
        (bytes(100), "binary data: the byte 00 at 0"),
        (b"\xff\xfea", "expected utf-16-le text, got the bytes 61 at 2"),
    ],
)
def test_what_is_undecided_or_binary_is_refused_with_the_offset(data, message):
    with pytest.raises(DataError, match=message) as caught:
        decode(data, "some.txt")
    assert "some.txt" in str(caught.value)


def test_a_fallback_is_taken_only_where_nothing_else_fits():
    assert decode("déjà vu".encode("latin-1"), "f", fallback="latin-1") == ("déjà vu", "latin-1")
    assert decode("déjà".encode(), "f", fallback="latin-1") == ("déjà", "utf-8")
    assert decode(JAPANESE.encode("cp932"), "f", fallback="latin-1") == (JAPANESE, "cp932")


def test_a_given_encoding_is_kept_to():
    assert decode(b"\xe9", "f", "latin-1") == ("é", "latin-1")
    assert decode(b"\xef\xbb\xbfa", "f", "utf-8")[0] == "a"
    with pytest.raises(DataError, match="expected ascii text, got the bytes e3 81 82 at 1"):
        decode("aあ".encode(), "f", "ascii")


def test_files_come_with_line_feeds_and_composed(tmp_path):
    (tmp_path / "a.txt").write_bytes("e\u0301ﬁ\r\nb\rc\n".encode())
    (document,) = LocalFileLoader(tmp_path / "a.txt")
    assert document == Document("a", "éﬁ\nb\nc\n", str(tmp_path / "a.txt"), {"encoding": "utf-8"})
    assert LocalFileLoader(tmp_path / "a.txt", normal_form="NFKC").text() == "éfi\nb\nc\n"
    assert LocalFileLoader(tmp_path / "a.txt", normal_form=None).text() == "e\u0301ﬁ\nb\nc\n"


def test_a_folder_gives_the_files_that_fit_sorted_and_only_as_they_are_taken(tmp_path):
    (tmp_path / "sub").mkdir()
    for name in ("b.txt", "a.md", "sub/C.TXT", "d.csv"):
        (tmp_path / name).write_text(name)
    (tmp_path / "e.txt").write_bytes(b"\0")
    documents = LocalFileLoader(str(tmp_path)).documents()
    assert [next(documents).text for _ in range(2)] == ["a.md", "b.txt"]
    with pytest.raises(DataError, match=r"e\.txt: expected text, got binary"):
        next(documents)
    assert [d.title for d in LocalFileLoader(tmp_path, pattern="*.csv")] == ["d"]
    assert LocalFileLoader([tmp_path / "b.txt", tmp_path / "a.md"]).text(1) == "b.txt"


def test_progress_is_told_on_standard_error_where_asked(tmp_path, capfd):
    (tmp_path / "a.txt").write_text("a")
    LocalFileLoader(tmp_path).text()
    assert capfd.readouterr() == ("", "")
    LocalFileLoader(tmp_path, progress=True).text()
    out, err = capfd.readouterr()
    assert out == ""
    assert "1 documents" in err


def test_a_link_out_of_the_folder_is_refused(tmp_path):
    (tmp_path / "secret.txt").write_text("x")
    (tmp_path / "in").mkdir()
    os.symlink(tmp_path / "secret.txt", tmp_path / "in" / "a.txt")
    with pytest.raises(DataError, match="links out of the folder"):
        list(LocalFileLoader(tmp_path / "in"))


def test_a_file_too_large_or_not_there_and_an_empty_folder_are_errors(tmp_path):
    (tmp_path / "a.txt").write_text("x" * 100)
    with pytest.raises(DataError, match="at most 99 bytes, got 100; see max_bytes"):
        list(LocalFileLoader(tmp_path, max_bytes=99))
    with pytest.raises(DataError, match="there is none"):
        list(LocalFileLoader(tmp_path / "b.txt"))
    with pytest.raises(DataError, match=r"no file that fits \*\.html"):
        list(LocalFileLoader(tmp_path, pattern="*.html"))
    with pytest.raises(DataError, match="there is none"):
        list(LocalFileLoader("/dev/zero"))


@pytest.mark.parametrize("option", ["encoding", "fallback", "normal_form", "max_bytes", "progress", "paths"])
def test_wrong_options_are_refused(option):
    with pytest.raises(ParameterError, match=f"LocalFileLoader.{option}"):
        LocalFileLoader(**{"paths": "a", option: [] if option == "paths" else "no such"})
    with pytest.raises(ParameterError, match=r"documents\.limit"):
        LocalFileLoader("a").documents(0)


@given(st.binary(max_size=60))
def test_any_bytes_are_text_or_refused_and_nothing_else(data):
    with contextlib.suppress(DataError):
        text, encoding = decode(data, "f")
        assert isinstance(text, str)
        assert text.encode(encoding) in (data, data[2:], data[3:], data[4:])


def test_a_pattern_fits_in_either_case(tmp_path):
    (tmp_path / "a.TXT").write_text("a")
    (tmp_path / "b.txt").write_text("b")
    for pattern in ("*.TXT", "*.txt"):
        assert [d.title for d in LocalFileLoader(tmp_path, pattern=pattern)] == ["a", "b"]


def test_a_folder_that_cannot_be_read_is_named_and_not_skipped(tmp_path, monkeypatch):
    (tmp_path / "a.txt").write_text("a")
    (tmp_path / "closed").mkdir()
    scandir = os.scandir

    def closed(path):
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", closed)
    with pytest.raises(StorageError, match=r"cannot read .*closed: Permission denied"):
        list(LocalFileLoader(tmp_path))
