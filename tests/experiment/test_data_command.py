"""The command `spikeloom data`: what it prints, writes and returns, for every kind of data."""

import io
import json
import os
import signal

import numpy as np
import pytest
from data_files import EVENTS, WRITABLE, caption_folder, every_kind
from PIL import Image

import spikeloom.terminal
from spikeloom.analysis import data_plots
from spikeloom.cli import main
from spikeloom.datasets import DATASETS
from spikeloom.datasets.describe import KINDS, describe
from spikeloom.events import Events
from spikeloom.events.files import FORMATS, read_events, write_events


@pytest.fixture
def command(tmp_path, monkeypatch, capsys):
    """Runs `spikeloom data` in an empty folder: its code, what it printed, its messages."""
    monkeypatch.chdir(tmp_path)

    def run(*words):
        with pytest.raises(SystemExit) as stop:
            main(["data", *map(str, words)])
        return stop.value.code or 0, *capsys.readouterr()

    return run


def is_drawn(path):
    """Whether a picture has something on its white ground."""
    with Image.open(path) as image:
        pixels = np.asarray(image.convert("L"))
    return pixels.shape[0] > 100 and pixels.shape[1] > 100 and (pixels < 128).mean() > 0.001


@pytest.mark.parametrize("kind", list(KINDS))
def test_info_prints_what_describe_returns_in_words_and_as_one_json_object(kind, command, tmp_path):
    path = every_kind(tmp_path)[kind]
    expected = describe(path)
    code, out, err = command("info", path, "--json")
    assert (code, err, json.loads(out)) == (0, "", json.loads(json.dumps(expected.as_json())))
    code, out, err = command("info", path)
    assert (code, out, err) == (0, f"{expected}\n", "")
    assert kind in out


@pytest.mark.parametrize("kind", sorted(set(KINDS) - {"text", "table"}))
def test_show_draws_every_kind_that_has_a_picture_and_says_where(kind, command, tmp_path):
    path = every_kind(tmp_path)[kind]
    code, out, err = command("show", path, "--out", "made/drawn.png")
    assert (code, out, err) == (0, "picture made/drawn.png\n", "")
    assert is_drawn("made/drawn.png")


@pytest.mark.parametrize("kind", ["text", "table"])
def test_what_is_better_read_than_drawn_is_refused(kind, command, tmp_path):
    code, out, err = command("show", every_kind(tmp_path)[kind])
    assert (code, out) == (1, "")
    assert f"a {kind} has no picture; `spikeloom data info` tells of it" in err


def test_the_picture_of_a_picture_stands_beside_it(command, tmp_path):
    content = every_kind(tmp_path)["image"].read_bytes()
    assert command("show", "picture.png")[:2] == (0, "picture picture-shown.png\n")
    assert (tmp_path / "picture.png").read_bytes() == content
    code, _, err = command("show", "picture.png")
    assert code == 1
    assert "picture-shown.png is there already; give another name, or --force" in err
    assert command("show", "picture.png", "--force")[0] == 0


def test_show_draws_data_sets_by_name_from_a_sample_on(command):
    assert command("show", "digits", "--sample", "40")[:2] == (0, "picture digits.png\n")
    assert is_drawn("digits.png")
    assert command("show", "yin_yang", "--sample", "7")[:2] == (0, "picture yin_yang.png\n")
    assert is_drawn("yin_yang.png")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("digits", "--sample", "1797"), "sample must be from 0 to 1796, got 1797"),
        (("{image}", "--sample", "1"), "sample must be 0: the file holds one image, got 1"),
        (("{spikes}", "--sample", "3"), "sample must be from 0 to 2, got 3"),
        (("{idx}", "--sample", "-1"), "sample must be from 0 to 2, got -1"),
        (("{folder}", "--sample", "4"), "sample must be from 0 to 3"),
    ],
)
def test_a_sample_that_there_is_not_is_refused(words, message, command, tmp_path):
    paths = every_kind(tmp_path)
    code, out, err = command("show", *(word.format(**paths) for word in words))
    assert (code, out) == (1, "")
    assert message in err
    assert [path.name for path in tmp_path.glob("*.png")] == ["picture.png"]


@pytest.mark.parametrize("name", WRITABLE)
def test_convert_writes_every_format_and_the_events_come_back(name, command, tmp_path):
    write_events("source.npz", EVENTS)
    code, out, _ = command("convert", "source.npz", "target.bin", "--to", name)
    size = (tmp_path / "target.bin").stat().st_size
    assert (code, out) == (0, f"wrote target.bin, {size:,} bytes\n")
    found = read_events("target.bin", name, EVENTS.sensor_size)
    assert all(np.array_equal(getattr(found, axis), getattr(EVENTS, axis)) for axis in "xyp")
    assert np.array_equal(found.t - found.t[0], EVENTS.t - EVENTS.t[0])
    assert describe("source.npz").events == 4
    assert FORMATS[name]().writable


def test_a_link_to_nothing_is_there_and_stays(command, tmp_path):
    write_events("source.es", EVENTS)
    (tmp_path / "link.npz").symlink_to("nothing.npz")
    code, _, err = command("convert", "source.es", "link.npz")
    assert (code, "link.npz is there already" in err, (tmp_path / "link.npz").is_symlink()) == (1, True, True)


@pytest.mark.parametrize("pipe", ["-", os.devnull])
def test_what_is_no_file_is_to_be_written_to_one_first(pipe, command):
    code, _, err = command("info", pipe)
    assert (code, "to a file first" in err) == (1, True)


def test_convert_takes_the_sensor_and_the_formats_as_they_are_given(command):
    write_events("source.es", EVENTS)
    assert command("convert", "source.es", "target.npz", "--from", "ES", "--sensor", "64x48")[0] == 0
    assert read_events("target.npz").sensor_size == (64, 48)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("source.es", "source.es", "--force"), "is the file that is read"),
        (("source.es", "there.npz"), "there.npz is there already; give another name, or --force"),
        (("source.es", "target.raw"), "belongs to several; give --from or --to, one of: evt2, evt2.1, evt3"),
        (("source.es", "target.xyz"), "no format has the suffix '.xyz'; give --from or --to"),
        (("source.es", "target.npz", "--to", "evt4"), "unknown event format 'evt4'; did you mean 'evt3'"),
        (("source.es", "target.npz", "--sensor", "64"), "--sensor must be WIDTHxHEIGHT such as 640x480, got '64'"),
        (("source.es", "target.npz", "--sensor", "4x4"), "expected an event within 4 x 4 pixels"),
        (("none.es", "target.npz"), "none.es"),
        (("cut.es", "target.npz"), "cut.es, byte"),
    ],
)
def test_what_cannot_be_converted_is_one_line_and_leaves_no_file(words, message, command, tmp_path):
    write_events("source.es", EVENTS)
    (tmp_path / "there.npz").write_bytes(b"mine")
    (tmp_path / "cut.es").write_bytes((tmp_path / "source.es").read_bytes()[:-1])
    before = sorted(os.listdir())
    code, out, err = command("convert", *words)
    assert (code, out, len(err.splitlines())) == (1, "", 1)
    assert message in err
    assert sorted(os.listdir()) == before
    assert (tmp_path / "there.npz").read_bytes() == b"mine"


def test_with_force_a_file_is_written_over_and_with_keep_what_is_whole_is_taken(command, tmp_path):
    write_events("source.es", EVENTS)
    (tmp_path / "cut.es").write_bytes((tmp_path / "source.es").read_bytes()[:-1])
    (tmp_path / "there.npz").write_bytes(b"mine")
    code, _, _ = command("convert", "cut.es", "there.npz")
    assert code == 1
    assert command("convert", "cut.es", "there.npz", "--force", "--keep")[0] == 0
    assert len(read_events("there.npz")) == 3
    assert command("convert", "cut.es", "other.npz")[2].count("--keep takes the events before it") == 1


def test_an_interruption_while_writing_leaves_nothing_and_ends_with_130(command, monkeypatch, tmp_path):
    write_events("source.es", EVENTS)

    def interrupted(self, done):
        os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(spikeloom.terminal.Waiting, "__call__", interrupted)
    code, out, err = command("convert", "source.es", "target.npz")
    assert (code, out, err) == (130, "", "interrupted; nothing was left half-written\n")
    assert os.listdir(tmp_path) == ["source.es"]


@pytest.mark.parametrize("kind", list(KINDS))
def test_validate_says_ok_of_what_is_whole(kind, command, tmp_path):
    path = every_kind(tmp_path)[kind]
    assert command("validate", path) == (0, f"ok: {path} ({kind.replace('_', ' ')})\n", "")


def test_validate_names_each_fault_and_returns_1(command, tmp_path):
    folder = caption_folder(tmp_path / "set", missing=True)
    code, out, err = command("validate", folder)
    assert (code, err) == (1, f"{folder}: 1 fault\n")
    assert out == f"{folder}/captions.csv: line 4: missing: there is no file 'images/2.png'\n"
    write_events("source.es", EVENTS)
    (tmp_path / "source.es").write_bytes((tmp_path / "source.es").read_bytes()[:-1])
    code, out, _ = command("validate", "source.es")
    assert code == 1
    assert "source.es, byte" in out
    assert "expected" in out
    assert "got" in out


def test_validate_tells_where_a_recording_of_n_mnist_was_cut(command, tmp_path):
    t = np.arange(20)
    write_events("cut.bin", Events.from_arrays(t * 50, t, t, t % 2, (34, 34)), "nmnist")
    content = (tmp_path / "cut.bin").read_bytes()
    (tmp_path / "cut.bin").write_bytes(content[:-2])
    code, out, err = command("validate", "cut.bin")
    assert (code, err) == (1, "cut.bin: 1 fault\n")
    assert out == (
        "cut.bin, byte 95: expected a whole event, got 3 bytes, which make none; "
        "convert --keep takes the events before it\n"
    )


def test_validate_of_what_is_unknown_or_not_there_is_an_error(command, tmp_path):
    (tmp_path / "odd").write_bytes(b"\x01\x02\xff\x00")
    for name, message in (("odd", "expected one of: captions"), ("none", "found nothing")):
        code, out, err = command("validate", name)
        assert (code, out, len(err.splitlines())) == (1, "", 1)
        assert message in err


def test_list_names_all_that_there_is(command):
    code, out, _ = command("list", "--json")
    found = json.loads(out)
    assert code == 0
    assert [row["name"] for row in found["data_sets"]] == list(DATASETS)
    assert [row["name"] for row in found["event_formats"]] == list(FORMATS)
    assert [row["name"] for row in found["kinds"]] == list(KINDS)
    code, out, _ = command("list")
    assert code == 0
    assert all(name in out for name in [*DATASETS, *FORMATS, *KINDS])


def test_a_name_that_is_neither_file_nor_data_set_is_an_error_that_names_the_data_sets(command):
    code, out, err = command("info", "digit")
    assert (code, out) == (1, "")
    assert "digit: there is no such file or folder, and no data set of that name; did you mean 'digits'?" in err
    assert "Known: digits, mnist" in err


def test_a_file_with_the_name_of_a_data_set_comes_first(command, tmp_path):
    (tmp_path / "digits").write_text("one\ntwo\n")
    assert json.loads(command("info", "digits", "--json")[1])["kind"] == "text"


@pytest.mark.parametrize("name", ["x.foo", "x", "."])
def test_a_picture_whose_name_tells_no_format_is_refused_and_nothing_written(name, command, tmp_path):
    (tmp_path / "x.png").write_bytes(b"mine")
    code, _, told = command("show", "digits", "--out", name, "--force")
    assert (code, (tmp_path / "x.png").read_bytes(), len(list(tmp_path.iterdir()))) == (1, b"mine", 1)
    assert "expected a name that ends with .png" in told


@pytest.mark.parametrize("word", ["info", "show", "convert", "validate", "list"])
def test_the_help_of_each_command_has_an_example(word, command):
    code, out, _ = command(word, "--help")
    assert code == 0
    assert f"spikeloom data {word}" in out
    assert "bool" not in out.lower()


def test_a_bar_appears_only_after_a_second_and_goes_away(monkeypatch):
    clock, screen = [0.0], io.StringIO()
    console = spikeloom.terminal.Console(file=screen, force_terminal=True, width=80)
    monkeypatch.setattr(spikeloom.terminal, "err", console)
    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    with spikeloom.terminal.waiting("reading x") as bar:
        clock[0] = 0.9
        bar(0.1)
        assert screen.getvalue() == ""
        clock[0] = 1.5
        bar(0.5)
        assert "reading x" in screen.getvalue()


def test_a_folder_shows_its_first_file_that_has_a_picture(command, tmp_path):
    folder = tmp_path / "mixed"
    folder.mkdir()
    (folder / "README.md").write_text("what is here\n")
    write_events(folder / "some.es", Events.from_arrays([5, 9], [0, 1], [0, 1], [1, 0], (4, 3)))
    assert command("show", str(folder), "--out", "seen.png")[0] == 0
    assert is_drawn(tmp_path / "seen.png")


def test_of_a_long_recording_the_first_part_is_shown_and_the_command_says_so(command, monkeypatch):
    monkeypatch.setattr(data_plots, "_MOST_EVENTS", 30)
    t = np.arange(100) * 1000
    write_events("long.es", Events.from_arrays(t, t % 30, t % 20, t % 2, (34, 34)))
    code, out, _ = command("show", "long.es")
    assert (code, out) == (0, "picture long.png\nshown are the first 30 events, 29 ms\n")
    monkeypatch.setattr(data_plots, "_MOST_EVENTS", 100)
    assert command("show", "long.es", "--force")[1] == "picture long.png\n"


def test_a_recording_is_never_written_over_by_its_picture(command, tmp_path):
    write_events(tmp_path / "some.raw", Events.from_arrays([5], [0], [0], [1], (4, 3)), "evt2")
    before = (tmp_path / "some.raw").read_bytes()
    code, _, err = command("show", "some.raw", "--out", "some.raw", "--force")
    assert code == 1
    assert "is the file that is read" in err
    assert (tmp_path / "some.raw").read_bytes() == before
