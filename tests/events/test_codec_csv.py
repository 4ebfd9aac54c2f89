"""CSV: columns, numbers, units and damage; the compiled lines against Python's."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from spikeloom.errors import DataError, ParameterError
from spikeloom.events import Events
from spikeloom.events.files import EventFile, csv, read_events, write_events
from spikeloom.events.files.csv import CSV
from spikeloom.events.files.csv_reference import layout_of, reference_decode, reference_encode

TWO = [[1, 2, 3, 0], [40, 5, 6, 1]]


@pytest.fixture(params=["compiled", "python"], autouse=True)
def way(request, monkeypatch):
    if request.param == "python":
        monkeypatch.setattr(csv, "compiled", lambda header: None)


def rows_of(path, text, format=None):
    path = path / "recording"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    events = read_events(path, format)
    return np.stack([events.t, events.x, events.y, events.p], axis=1).tolist()


@pytest.mark.parametrize(
    "text",
    [
        "1,2,3,0\n40,5,6,1\n",
        "1,2,3,0\n40,5,6,1",
        "1 2 3 0\r\n40 5 6 1\r\n",
        "  1   2\t3  0\n 40 5 6 1  \n",
        "1\t2\t3\t-1\n40\t5\t6\t1\n",
        "1; 2; 3; False\n40; 5; 6; True\n",
        "t,x,y,p\n1,2,3,0\n\n40,5,6,1\n\n",
        "p,y,x,t\n0,3,2,1\n1,6,5,40\n",
        '"t", "x", "y", "p"\n1,2,3,0\n40,5,6,1\n',
        "Timestamp,frame,X,Y,Polarity\n1,left,2,3,0\n40,,5,6,1\n",
        "# a comment\n# t x y p\n1 2 3 0\n40 5 6 1\n",
        "# x y p t\n2.000e+00 3.000e+00 0.000e+00 1.000e+00\n5.000e+00 6.000e+00 1.000e+00 4.000e+01\n",
        "ts,xs,ys,on\n1.0,2,3,0\n4e1,5,6,1\n",
        "+1,02,3.,0\n400.00e-1,.5e1,6,1\n",
    ],
)
def test_lines_of_many_kinds_give_the_same_events(tmp_path, text):
    assert rows_of(tmp_path, text) == TWO
    assert rows_of(tmp_path, text, "csv") == TWO


def test_the_sizes_behind_at_signs_are_the_sensor(tmp_path):
    path = tmp_path / "recording"
    path.write_bytes(b"t,x@640,y@480,on\r\n1,2,3,0\r\n")
    assert read_events(path).sensor_size == (640, 480)


def test_columns_are_as_asked_where_the_file_names_none(tmp_path):
    assert rows_of(tmp_path, "2,3,1,0\n5,6,40,1\n", CSV(columns="xytp")) == TWO
    assert rows_of(tmp_path, "9,2,3,1,0\n8,5,6,40,1\n", CSV(columns=("frame", "x", "y", "t", "p"))) == TWO
    assert rows_of(tmp_path, "a,b,c,d\n2,3,1,0\n5,6,40,1\n", CSV(columns="xytp")) == TWO


@pytest.mark.parametrize(
    ("unit", "time", "us"),
    [
        ("s", "0.000001", 1),
        ("s", "1.4999994", 1_499_999),
        ("s", "1.4999995", 1_500_000),
        ("s", "-1.4999995", -1_500_000),
        ("s", "1600000000.123456", 1_600_000_000_123_456),
        ("s", "1.600000000123456000e+09", 1_600_000_000_123_456),
        ("s", "0.10000000000000000555111512312578270211815834045410156250", 100_000),
        ("ms", "12.5", 12_500),
        ("ms", "1234567890123456.78951", 1_234_567_890_123_456_790),
        ("ns", "1499", 1),
        ("ns", "1500", 2),
        ("us", "9223372036854775807", 2**63 - 1),
        ("us", "-9223372036854775807", -(2**63) + 1),
        ("us", "0e99999999999999999999", 0),
        ("s", "1e-99999", 0),
    ],
)
def test_times_of_a_unit_are_rounded_to_microseconds_halves_away_from_zero(tmp_path, unit, time, us):
    assert rows_of(tmp_path, f"{time},2,3,1\n", CSV(time_unit=unit)) == [[us, 2, 3, 1]]


@pytest.mark.parametrize(
    "line",
    ["1,2,3", "1,2,3,4,5", "1,2,3,2", "1.5,2,3,1", "1,2.5,3,1", "a,2,3,1", "1,,3,1", "1,2,3,1x", "1 2,2,3,1",
     "1,2,3,-2", "1e,2,3,1", ".,2,3,1", "9223372036854775808,2,3,1", "1e19,2,3,1", "nan,2,3,1", "0x1,2,3,1",
     "1,2,3,1" + " " * 2000, "1,2,3,truetrue"],
)  # fmt: skip
def test_a_line_that_is_none_of_events_is_damage_at_its_byte(tmp_path, line):
    path = tmp_path / "recording"
    path.write_text(f"0,1,1,0\n5,6,7,1\n{line}\n7,8,9,1\n")
    with pytest.raises(DataError, match="byte 16: expected"):
        read_events(path, "csv")
    assert read_events(path, "csv", errors="keep").t.tolist() == [0, 5]


def test_fractions_of_a_microsecond_point_to_the_unit(tmp_path):
    with pytest.raises(DataError, match="time_unit"):
        rows_of(tmp_path, "1,2,3,1\n1.25,2,3,1\n", "csv")


def test_an_address_that_no_sensor_has_is_damage_at_its_byte(tmp_path):
    path = tmp_path / "recording"
    for bad in ("-1,3", "2,40000", "2,99999999999999999999"):
        path.write_text(f"t,x,y,p\n1,2,3,1\n2,{bad},1\n")
        with pytest.raises(DataError, match="byte 16: expected"):
            read_events(path, "csv")


@pytest.mark.parametrize("text", ["a,b,c,d\n1,2,3,1\n", "t,x,y\n1,2,3\n", "t,x,1,p\n1,2,3,1\n", "t,x,y,p,1\n"])
def test_a_first_line_that_is_neither_numbers_nor_all_names_is_an_error(tmp_path, text):
    with pytest.raises(DataError, match="byte 0: expected"):
        rows_of(tmp_path, text, "csv")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"time_unit": "mss"}, "did you mean 'ms'"),
        ({"delimiter": "ab"}, "CSV.delimiter"),
        ({"columns": "xyt"}, "lack"),
    ],
)
def test_options_are_checked(options, said):
    with pytest.raises(ParameterError, match=said):
        CSV(**options)


def test_what_is_written_is_as_asked(tmp_path):
    events = Events.from_arrays([1_500_000, -7], [2, 5], [3, 6], [0, 1])
    path = tmp_path / "recording.csv"
    write_events(path, events)
    assert path.read_text() == "t,x,y,p\n1500000,2,3,0\n-7,5,6,1\n"
    format = CSV(columns="xytp", delimiter=" ", time_unit="s")
    write_events(path, events, format)
    assert path.read_text() == "x y t p\n2 3 1.500000 0\n5 6 -0.000007 1\n"
    assert read_events(path, format).equals(events)
    write_events(path, events, CSV(time_unit="ns"))
    assert path.read_text() == "t,x,y,p\n1500000000,2,3,0\n-7000,5,6,1\n"
    with pytest.raises(ParameterError, match="only t, x, y and p"):
        write_events(path, events, CSV(columns=("t", "x", "y", "p", "more")))


def test_a_file_of_numpy_is_read(tmp_path):
    rows = np.array(TWO, float)
    np.savetxt(tmp_path / "recording.txt", rows)
    with EventFile(tmp_path / "recording.txt") as file:
        assert np.array_equal(np.stack([getattr(file.read(), name) for name in "txyp"], 1), rows)


numbers = st.from_regex(r"[-+]?[0-9]{0,22}(\.[0-9]{0,24})?([eE][-+]?[0-9]{1,3})?", fullmatch=True)
fragments = st.one_of(numbers, st.sampled_from(["true", "False", " ", "", "\t", "x", "1", "0", "-1", "12"]))
delimiters = st.sampled_from(list(",;\t |"))
units = st.sampled_from(list(csv.UNITS.values()))


def both(data, layout, final):
    """What the compiled and the Python way make of the bytes."""
    found = []
    for reference in (False, True):
        out = csv.Columns(data.count(b"\n") + 1)
        if reference:
            used, bad = reference_decode(data, layout, final, out)
        else:
            done = CSV().decode(np.frombuffer(data, np.uint8), layout, out, final)
            used, bad = done.used, done.damage is not None
        found.append((used, bad, *(getattr(out, name)[: out.n].tolist() for name in "txyp")))
    return found


@given(
    st.lists(st.lists(fragments, min_size=3, max_size=6), max_size=6),
    delimiters, units, st.permutations(range(4)), st.booleans(), st.booleans(),
)  # fmt: skip
@example([["9223372036854775807.4999999999", "1", "1", "1"]], ",", 0, [0, 1, 2, 3], True, True)
@example([["1234567890123456789.5", "1", "1", "1"]], ",", 3, [0, 1, 2, 3], True, True)
def test_compiled_lines_equal_those_of_python(lines, delimiter, power, order, wide, final):
    names = [*(("t", "x", "y", "p")[k] for k in order), *(["more"] if wide else [])]
    layout = layout_of(names, delimiter, power)
    data = "\n".join(delimiter.join(line) for line in lines).encode()
    compiled, python = both(data, layout, final)
    assert compiled == python


@given(st.binary(max_size=60), delimiters, units, st.booleans())
def test_compiled_lines_equal_those_of_python_on_any_bytes(data, delimiter, power, final):
    compiled, python = both(data, layout_of("txyp", delimiter, power), final)
    assert compiled == python


@given(st.integers(-(2**63) + 1, 2**63 - 1), units)
def test_a_written_time_is_exact(t, power):
    events = Events.from_arrays([t], [1], [2], [1])
    layout = layout_of("txyp", ",", power)
    lines, _ = CSV().encode(events, layout)
    assert lines.tobytes() == reference_encode(events, layout)
    assert Fraction(lines.tobytes().decode().split(",")[0]) * Fraction(10) ** power == t
