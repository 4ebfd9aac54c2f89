import contextlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spikeloom.datasets import (
    Dataloader,
    TextTable,
    client_splits,
    read_text_table,
    write_client_tables,
    write_text_table,
)
from spikeloom.errors import DataError, ParameterError

TABLE = 'text,label\n"good, really",pos\nbad,neg\n"two\nlines ""x""",pos\n,neg\n'


def file(folder, content, name="t.csv"):
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def rng(seed=0):
    return np.random.default_rng(seed)


def test_texts_and_labels_are_read(tmp_path):
    table = read_text_table(file(tmp_path, TABLE))
    assert table.texts == ("good, really", "bad", 'two\nlines "x"', "")
    assert (list(table.classes), table.labels.tolist()) == (["neg", "pos"], [1, 0, 1, 0])
    assert table[0] == ("good, really", 1)
    assert table.select([2, 1]).texts == ('two\nlines "x"', "bad")
    batches = list(Dataloader(table, batch_size=3))
    assert [texts for texts, _ in batches] == [list(table.texts[:3]), [""]]
    assert batches[0][1].tolist() == [1, 0, 1]


def test_numbers_are_classes_as_they_are(tmp_path):
    table = read_text_table(file(tmp_path, "text,label\na,2\nb,0\n"))
    assert (table.labels.tolist(), table.n_classes) == ([2, 0], 3)


@settings(max_examples=30, deadline=None)
@given(
    st.lists(
        st.tuples(st.text(st.characters(exclude_categories=["Cs"])), st.sampled_from(["a", "b c", "é,"])), min_size=1
    )
)
def test_what_is_written_is_read_again(tmp_path_factory, rows):
    path = tmp_path_factory.getbasetemp() / "round.csv"
    classes = sorted({label for _, label in rows})
    table = TextTable([text for text, _ in rows], [classes.index(label) for _, label in rows], classes)
    write_text_table(path, table)
    back = read_text_table(path)
    # A carriage return within quotes stays; only the table's own line ends are told apart.
    assert back.texts == table.texts
    assert [back.classes[k] for k in back.labels] == [label for _, label in rows]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("text,label\na,b,c\n", r"line 2: expected a text and a label, got 3 columns: 'a,b,c'"),
        ("text,label\na,b\nc\n", "line 3: expected a text and a label, got 1 columns"),
        ("text,label\na,\n", "line 2: expected a text and a label"),
        ("label,text\na,b\n", "line 1: expected the header text,label"),
        ('text,label\n"a,b\n', "line 2: expected a text and a label, expected quoted fields, got a fault"),
        ("text,label\n", "got no row"),
        ("", "got no row"),
        (b"text,label\na,b\nc\xe9,d\n", "expected UTF-8, got the byte e9 at 16, line 3"),
    ],
)
def test_a_damaged_table_is_refused_with_its_line(tmp_path, content, message):
    with pytest.raises(DataError, match=message) as caught:
        read_text_table(file(tmp_path, content))
    assert "t.csv" in str(caught.value)


def test_a_table_beyond_the_limit_and_labels_that_do_not_fit_are_refused(tmp_path):
    with pytest.raises(DataError, match="at most 10 bytes"):
        read_text_table(file(tmp_path, TABLE), max_bytes=10)
    with pytest.raises(DataError, match="2 texts but 1 labels"):
        TextTable(["a", "b"], [0], ["x"])
    with pytest.raises(DataError, match="must be below 1"):
        TextTable(["a"], [1], ["x"])
    with pytest.raises(DataError, match="half of a surrogate pair"):
        write_text_table(tmp_path / "x", TextTable(["\ud800"], [0], ["x"]))


@settings(max_examples=60, deadline=None)
@given(
    labels=st.lists(st.integers(0, 4), min_size=8, max_size=80), n=st.integers(1, 8), seed=st.integers(0, 99),
    alpha=st.sampled_from([None, 1e-300, 1e-4, 0.1, 1.0, 1e6]), equal=st.booleans(),
)  # fmt: skip
def test_every_sample_has_exactly_one_client(labels, n, seed, alpha, equal):
    try:
        parts = client_splits(labels, n, rng(seed), alpha=alpha, equal=equal)
    except ParameterError:
        assert not equal
        return
    assert len(parts) == n
    assert sorted(np.concatenate(parts).tolist()) == list(range(len(labels)))
    assert all((np.diff(part) > 0).all() and len(part) >= 1 for part in parts)
    if equal or alpha is None:
        assert {len(part) for part in parts} <= {len(labels) // n, -(-len(labels) // n)}


def shares(parts, labels):
    return np.array([np.bincount(labels[part], minlength=5) / len(part) for part in parts])


def test_a_large_alpha_gives_every_client_the_shares_of_all_and_a_small_one_few_classes():
    labels = np.repeat(np.arange(5), [400, 300, 200, 50, 50])
    whole = np.bincount(labels) / 1000
    alike = shares(client_splits(labels, 10, rng(), alpha=1e6), labels)
    assert np.abs(alike - whole).max() < 0.15
    skewed = shares(client_splits(labels, 10, rng(), alpha=0.01), labels)
    # Of Dirichlet(0.01 p) nearly all mass lies on one class; the last clients take what is left.
    assert (skewed.max(1) > 0.95).sum() >= 6
    drawn = [shares(client_splits(labels, 10, rng(k), alpha=5.0), labels)[0] for k in range(400)]
    # The first client's expected shares are those of all: E Dirichlet(alpha p) = p.
    assert np.abs(np.mean(drawn, 0) - whole).max() < 0.03
    # Var q_k = p_k (1 - p_k) / (alpha + 1), and of counts of 100 besides: p (1 - p) ((n - 1) / (alpha + 1) + 1) / n.
    variance = whole * (1 - whole) * (99 / 6 + 1) / 100
    assert np.allclose(np.std(drawn, 0), np.sqrt(variance), rtol=0.25)


def test_free_sizes_keep_the_least_and_say_when_they_cannot():
    labels = np.repeat(np.arange(5), 40)
    parts = client_splits(labels, 4, rng(), alpha=0.5, equal=False, least=20)
    assert min(map(len, parts)) >= 20
    assert len({len(part) for part in parts}) > 1
    with pytest.raises(ParameterError, match="no draw of 1000 gave each of 10 clients 19 samples"):
        client_splits(labels, 10, rng(), alpha=0.05, equal=False, least=19)


def test_splits_repeat_with_the_generator():
    labels = rng(1).integers(0, 5, 100)
    for options in ({}, {"alpha": 0.3}, {"alpha": 0.3, "equal": False}):
        a, b, c = (np.concatenate(client_splits(labels, 5, rng(seed), **options)).tolist() for seed in (1, 1, 2))
        assert a == b != c


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_clients": 0}, "n_clients must be an integer"),
        ({"alpha": 0}, "alpha must be a positive number"),
        ({"alpha": float("nan")}, "alpha must be a positive number"),
        ({"generator": 3}, "generator expected a numpy Generator"),
        ({"least": 4}, "3 clients with 4 or more need more than 10 samples"),
    ],
)
def test_wrong_options_are_refused(options, message):
    with pytest.raises(ParameterError, match=message):
        client_splits([0] * 10, **{"n_clients": 3, "generator": rng(), **options})


def test_a_file_for_each_client_is_written(tmp_path):
    table = read_text_table(file(tmp_path, "text,label\n" + "".join(f"t{k},{'ab'[k % 2]}\n" for k in range(20))))
    paths = write_client_tables(tmp_path / "clients", table, client_splits(table.labels, 12, rng()))
    assert [path.name for path in paths][::11] == ["client_00.csv", "client_11.csv"]
    back = [read_text_table(path) for path in paths]
    assert sorted(text for part in back for text in part.texts) == sorted(table.texts)
    assert all(
        part.classes[k] == "ab"[int(t[1:]) % 2] for part in back for t, k in zip(part.texts, part.labels, strict=True)
    )


@settings(max_examples=50, deadline=None)
@given(place=st.integers(0, 500), byte=st.integers(0, 255), cut=st.integers(0, 500))
def test_a_changed_byte_or_a_cut_gives_a_table_or_a_data_error_and_nothing_else(tmp_path_factory, place, byte, cut):
    content = bytearray(TABLE.encode())
    content[place % len(content)] = byte
    for hurt in (bytes(content), bytes(content[: cut % len(content)])):
        with contextlib.suppress(DataError):
            read_text_table(file(tmp_path_factory.getbasetemp(), hurt, "hurt.csv"))


def test_labels_that_are_numbers_written_in_other_ways_stay_as_they_are(tmp_path):
    table = read_text_table(file(tmp_path, "text,label\na,1\nb,01\nc,007\n"))
    assert [table.classes[label] for label in table.labels] == ["1", "01", "007"]
