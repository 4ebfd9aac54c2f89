import contextlib
import gc
import io
import os
import pickle
import shutil
import struct
import zipfile
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from spikeloom.datasets import Dataloader, captions, validate_captions
from spikeloom.datasets.captions import Limits
from spikeloom.errors import DataError, ParameterError

TABLE = """image_path,caption
images/red.png,"A red, ""bright"" square"
images/grey.png,灰色の
images/photo.jpg,"two
lines"
"""


def png(pixels):
    memory = io.BytesIO()
    Image.fromarray(pixels).save(memory, "PNG")
    return memory.getvalue()


RED = png(np.full((4, 6, 3), (255, 0, 0), np.uint8))
GREY = png(np.full((8, 8), 51, np.uint8))


def folder(root, table=TABLE, **images):
    (root / "images").mkdir(parents=True, exist_ok=True)
    (root / "captions.csv").write_bytes(table if isinstance(table, bytes) else table.encode())
    memory = io.BytesIO()
    Image.fromarray(np.full((5, 5, 3), 128, np.uint8)).save(memory, "JPEG")
    for name, content in {"red.png": RED, "grey.png": GREY, "photo.jpg": memory.getvalue(), **images}.items():
        (root / "images" / name.replace("_", ".")).write_bytes(content)
    return root


def zipped(root, path, top=""):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(root.rglob("*")):
            if file.is_file():
                archive.write(file, top + str(file.relative_to(root)))
    return path


@pytest.mark.parametrize("form", ["folder", "zip", "zip with a top folder"])
def test_images_come_scaled_with_their_captions(tmp_path, form):
    root = folder(tmp_path / "set")
    if form != "folder":
        root = zipped(root, tmp_path / "s.zip", "set/" if "top" in form else "")
    dataset = captions(root, size=(2, 3))
    assert (len(dataset), dataset.shape) == (3, (3, 2, 3))
    image, text = dataset[0]
    assert text == 'A red, "bright" square'
    assert image.dtype == np.float32
    assert np.array_equal(image, np.stack([np.ones((2, 3)), np.zeros((2, 3)), np.zeros((2, 3))]))
    assert np.allclose(dataset[1][0], 51 / 255)
    assert dataset.captions[1:] == ("灰色の", "two\nlines")
    assert np.allclose(captions(root, size=4, mode="L")[1][0], np.full((1, 4, 4), 0.2))


def test_batches_go_through_a_dataloader(tmp_path):
    dataset = captions(folder(tmp_path), size=4)
    (images, texts), (rest, _) = Dataloader(dataset, batch_size=2)
    assert images.shape == (2, 3, 4, 4)
    assert texts == list(dataset.captions[:2])
    assert rest.shape == (1, 3, 4, 4)
    chosen = dataset.select([2, 0])
    assert chosen.captions == (dataset.captions[2], dataset.captions[0])
    assert np.array_equal(chosen[1][0], dataset[0][0])
    assert [dataset.classes[label] for label in dataset.labels] == list(dataset.captions)


def test_what_is_transparent_is_shown_on_white(tmp_path):
    clear = np.zeros((2, 2, 4), np.uint8)
    dataset = captions(folder(tmp_path, "image_path,caption\nimages/c.png,x\n", c_png=png(clear)), size=2)
    assert (dataset[0][0] == 1).all()


BAD = """image_path,caption
images/red.png,first
images/red.png,again
./images/red.png,and again
images/none.png,x
images/torn.png,x
images/text.png,x
../secret.png,x
/etc/passwd,x
images\\red.png,x
images/link.png,x
images/grey.png,"  "
,x
images/grey.png,a,b
images/grey.png
images/grey.png,good
"""


@pytest.mark.parametrize("form", ["folder", "zip"])
def test_every_problem_row_is_named_with_its_line_and_kind(tmp_path, form):
    table = BAD.encode() + b"images/photo.jpg,caf\xe9\n" + b"images/photo.jpg,fine\n"
    root = folder(tmp_path / "set", table, torn_png=RED[:-20], text_png=b"hello")
    (tmp_path / "secret.png").write_bytes(RED)
    if form == "folder":
        os.symlink(tmp_path / "secret.png", root / "images" / "link.png")
    else:
        root = zipped(root, tmp_path / "s.zip")
    report = validate_captions(root)
    assert [(p.line, p.kind) for p in report.problems] == [
        (3, "duplicate"), (4, "duplicate"), (5, "missing"), (6, "unreadable"), (7, "unreadable"), (8, "outside"),
        (9, "outside"), (10, "outside"), (11, "outside" if form == "folder" else "missing"), (12, "empty"),
        (13, "empty"), (14, "columns"), (15, "columns"), (17, "encoding"),
    ]  # fmt: skip
    assert [row.caption for row in report.rows] == ["first", "good", "fine"]
    assert (report.n_rows, report.ok) == (17, False)
    assert "line 3: duplicate: 'images/red.png' has its caption on line 2 already" in str(report)
    with pytest.raises(DataError, match=r"line 3: duplicate.* and 9 more; validate_captions names all"):
        captions(root)
    assert len(captions(root, problems="skip", size=2)) == 3


def test_a_quote_that_is_never_closed_is_a_problem_of_its_line(tmp_path):
    report = validate_captions(folder(tmp_path, TABLE + 'images/red.png,"open\nimages/grey.png,x\n'))
    assert [(p.line, p.kind) for p in report.problems] == [(6, "table")]
    assert "unexpected end of data" in report.problems[0].message


@pytest.mark.parametrize(
    "table", [b"", b"path,text\na,b\n", b"image_path;caption\n", b"\x89PNG", b'"image_path,caption']
)
def test_another_header_is_refused(tmp_path, table):
    with pytest.raises(DataError, match=r"captions\.csv must begin with image_path,caption"):
        validate_captions(folder(tmp_path, table))


def test_a_byte_order_mark_and_windows_line_ends_are_understood(tmp_path):
    table = b"\xef\xbb\xbf" + TABLE.replace("\n", "\r\n").encode()
    assert validate_captions(folder(tmp_path, table)).ok


def test_images_beyond_the_limits_are_told_and_not_decoded(tmp_path):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 9_000, 9_000, 8, 0, 0, 0, 0))
    bomb = b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    table = "image_path,caption\nimages/bomb.png,x\nimages/red.png,y\n"
    root = folder(tmp_path, table, bomb_png=bomb)
    (problem,) = validate_captions(root).problems
    assert problem.kind == "too large"
    assert "9000 x 9000" in problem.message
    kinds = [p.kind for p in validate_captions(root, limits=Limits(max_pixels=20)).problems]
    assert kinds[1:] == ["too large"]
    kinds = [p.kind for p in validate_captions(root, limits=Limits(max_image_bytes=len(RED) - 1)).problems]
    assert kinds[-1] == "too large"


def test_a_folder_without_a_table_and_wrong_options_are_refused(tmp_path):
    with pytest.raises(DataError, match=r"expected a table captions\.csv"):
        validate_captions(tmp_path)
    with pytest.raises(DataError, match="there is no such file"):
        validate_captions(tmp_path / "none")
    with zipfile.ZipFile(tmp_path / "e.zip", "w") as archive:
        archive.writestr("a/b/captions.csv", "x")
    with pytest.raises(DataError, match=r"expected one captions\.csv, at the top or in one folder, got 0"):
        validate_captions(tmp_path / "e.zip")
    folder(tmp_path, "image_path,caption\n")
    with pytest.raises(DataError, match="at least one usable row, got none of 0"):
        captions(tmp_path)
    for option, value in (("mode", "CMYK"), ("size", 0), ("size", (1, 2, 3)), ("problems", "ignore"), ("limits", 3)):
        with pytest.raises(ParameterError, match=f"captions.{option}"):
            captions(tmp_path, **{option: value})


def test_an_image_that_went_away_is_told(tmp_path):
    dataset = captions(folder(tmp_path), size=2)
    shutil.rmtree(tmp_path / "images")
    with pytest.raises(DataError, match="it was there when the set was read"):
        dataset[0]


@settings(max_examples=40, deadline=None)
@given(place=st.integers(0, 5000), byte=st.integers(0, 255), cut=st.integers(0, 5000), data=st.data())
def test_a_changed_byte_or_a_cut_gives_a_report_or_a_data_error_and_nothing_else(
    tmp_path_factory, place, byte, cut, data
):
    base = tmp_path_factory.getbasetemp() / "captions"
    root = folder(base / "set")
    which = data.draw(st.sampled_from(["captions.csv", "images/red.png", "images/photo.jpg", "zip"]))
    target = zipped(root, base / "s.zip") if which == "zip" else root / which
    content = bytearray(target.read_bytes())
    content[place % len(content)] = byte
    target.write_bytes(content[: 1 + cut] if cut % 2 else content)
    with contextlib.suppress(DataError):
        report = validate_captions(target if which == "zip" else root)
        assert report.n_rows == len(report.rows) + len(report.problems)


def test_a_photograph_is_turned_and_sixteen_bits_stay(tmp_path):
    turned, memory = Image.Exif(), io.BytesIO()
    turned[0x0112] = 6
    pixels = np.arange(12, dtype=np.uint8).reshape(3, 4)
    Image.fromarray(pixels).save(memory, "PNG", exif=turned)
    deep = png(np.full((4, 3), 6553, np.uint16))
    table = "image_path,caption\nimages/a.png,turned\nimages/b.png,deep\n"
    dataset = captions(folder(tmp_path, table, a_png=memory.getvalue(), b_png=deep), size=(4, 3), mode="L")
    assert dataset[0][0][0] * 255 == pytest.approx(np.rot90(pixels, -1), abs=1e-4)
    assert dataset[1][0] == pytest.approx(6553 / 65535)


def test_an_image_that_was_damaged_since_is_named(tmp_path):
    dataset = captions(folder(tmp_path), size=2)
    (tmp_path / "images" / "grey.png").write_bytes(GREY[:-30])
    with pytest.raises(DataError, match=r"'images/grey\.png': expected a picture"):
        dataset[1]


@pytest.mark.parametrize("problems", ["error", "skip"])
def test_a_table_that_cannot_be_read_to_its_end_is_refused_even_where_rows_may_be_skipped(tmp_path, problems):
    root = folder(tmp_path, 'image_path,caption\nimages/red.png,"a" b\nimages/grey.png,c\n')
    with pytest.raises(DataError, match=r"line 2: table: .*the rows after it are not read"):
        captions(root, problems=problems)


def test_a_zip_file_is_opened_once_for_all_batches_and_anew_after_a_pickle(tmp_path, monkeypatch):
    dataset = captions(zipped(folder(tmp_path / "set"), tmp_path / "s.zip"), size=2)
    opened, opens = [], zipfile.ZipFile
    monkeypatch.setattr(zipfile, "ZipFile", lambda *a, **k: opened.append(1) or opens(*a, **k))
    images = np.concatenate([batch for batch, _ in Dataloader(dataset, workers=2)])
    assert len(opened) <= 2  # two threads may both be first
    dataset.batch([0, 1])
    n = len(opened)
    assert np.array_equal(pickle.loads(pickle.dumps(dataset)).batch([0, 1, 2])[0], images)  # noqa: S301
    assert len(opened) == n + 1


def test_a_zip_file_that_is_let_go_is_closed(tmp_path):
    dataset = captions(zipped(folder(tmp_path / "set"), tmp_path / "s.zip"), size=2)
    dataset.batch([0])
    archive = dataset._source[1].archive.fp
    del dataset
    gc.collect()
    assert archive.closed
