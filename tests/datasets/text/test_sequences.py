import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spikeloom.datasets import CharacterTokenizer, Dataloader, Document, text_sequences
from spikeloom.errors import DataError, ParameterError, StorageError

LETTERS = CharacterTokenizer("".join(map(chr, range(97, 123))))


def rng(seed=0):
    return np.random.default_rng(seed)


def test_a_sample_is_a_window_and_the_same_one_step_on():
    train, held = text_sequences(["abcdefghij"], LETTERS, 3, held_out=0.0, generator=rng())
    assert [LETTERS.decode(ids) for ids, _ in train] == ["abc", "def", "ghi"]
    assert [LETTERS.decode(following) for _, following in train] == ["bcd", "efg", "hij"]
    assert train.unused == 0
    assert len(held) == 0
    assert train.shape == (3,)
    assert train.labels.tolist() == [0, 0, 0]


def test_windows_are_a_stride_apart():
    train, _ = text_sequences(["abcdefg"], LETTERS, 3, stride=2, held_out=0.0, generator=rng())
    assert [LETTERS.decode(ids) for ids, _ in train] == ["abc", "cde"]
    assert train.unused == 1


def test_no_window_crosses_from_one_document_to_the_next():
    documents = [Document(chr(97 + k), chr(97 + k) * (5 + k), "s") for k in range(10)]
    train, held = text_sequences(documents, LETTERS, 4, stride=1, held_out=0.3, generator=rng())
    for part in (train, held):
        ids, following = part.batch(np.arange(len(part)))
        assert (ids == ids[:, :1]).all()
        assert (ids == following).all()
        assert [part.classes[k] for k in part.labels] == [chr(97 + i) for i in ids[:, 0]]


@given(
    lengths=st.lists(st.integers(0, 30), min_size=1, max_size=12).filter(lambda n: max(n) >= 14),
    length=st.integers(1, 6), stride=st.integers(1, 9), held_out=st.sampled_from([0.0, 0.1, 0.5]),
    seed=st.integers(0, 99),
)  # fmt: skip
def test_no_token_is_in_windows_of_both_parts(lengths, length, stride, held_out, seed):
    # Each token is told by its place: a tokenizer that counts on.
    class Counting:
        vocab_size, given = 10_000, 0

        def encode(self, text):
            self.given += len(text)
            return np.arange(self.given - len(text), self.given, dtype=np.int32)

    try:
        parts = text_sequences(["x" * n for n in lengths], Counting(), length, stride=stride, held_out=held_out,
                               generator=rng(seed))  # fmt: skip
    except DataError:
        return
    seen = [set(np.unique(np.concatenate(part.batch(np.arange(len(part))))).tolist()) for part in parts]
    assert not seen[0] & seen[1]
    assert seen[0]
    assert sum(map(len, seen)) + sum(part.unused for part in parts) == sum(lengths)


def test_the_held_out_part_has_its_share_and_the_end_of_a_single_document():
    documents = [Document(str(k), "".join(map(chr, rng(k).integers(97, 123, 100))), "s") for k in range(50)]
    train, held = text_sequences(documents, LETTERS, 9, held_out=0.2, generator=rng())
    assert len(set(held.labels)) == 10
    assert not set(held.labels) & set(train.labels)
    train, held = text_sequences([documents[0]], LETTERS, 9, held_out=0.3, generator=rng())
    assert LETTERS.decode(held[0][0]) == documents[0].text[70:79]
    assert [len(train), len(held)] == [7, 3]


def test_the_same_text_twice_is_never_on_both_sides():
    texts = ["abcdefghijklmnop", "qrstuvwxyzabcdef", "mnbvcxzasdfghjkl"]
    for seed in range(20):
        train, held = text_sequences(texts * 2, LETTERS, 5, held_out=0.3, generator=rng(seed))
        assert not {k % 3 for k in train.labels.tolist()} & {k % 3 for k in held.labels.tolist()}


def test_the_split_repeats_with_the_generator():
    documents = ["".join(map(chr, rng(k).integers(97, 123, 30))) for k in range(30)]
    a, b, c = (text_sequences(documents, LETTERS, 5, generator=rng(seed))[1].labels.tolist() for seed in (1, 1, 2))
    assert a == b != c


def test_a_dataloader_gives_batches_of_ids_and_next_ids(tmp_path):
    train, _ = text_sequences(
        ["abcdefghijklmnopqrstuvwxyz"], LETTERS, 5, held_out=0.0, generator=rng(), path=tmp_path / "t"
    )
    loader = Dataloader(train, batch_size=2, shuffle=True, generator=rng())
    batches = list(loader)
    assert [ids.shape for ids, _ in batches] == [(2, 5), (2, 5), (1, 5)]
    assert all(ids.dtype == following.dtype == np.int64 for ids, following in batches)
    assert all((following == ids + 1).all() for ids, following in batches)
    assert (tmp_path / "t").stat().st_size == 26 * 4
    assert isinstance(train.tokens, np.memmap)
    chosen = train.select([2, 0])
    assert LETTERS.decode(chosen[0][0]) == "klmno"


def test_documents_are_taken_one_at_a_time():
    taken = []

    def documents():
        for k in range(3):
            taken.append(k)
            yield "abcdef" * (k + 1)

    text_sequences(documents(), LETTERS, 5, held_out=0.0, generator=rng())
    assert taken == [0, 1, 2]


def test_texts_too_short_and_wrong_options_are_refused(tmp_path):
    with pytest.raises(DataError, match="no document has 6 tokens to train with, the longest has 3"):
        text_sequences(["abc", "de"], LETTERS, 5, generator=rng())
    with pytest.raises(DataError, match="got 0 documents"):
        text_sequences([], LETTERS, 5, generator=rng())
    with pytest.raises(DataError, match="got 1 documents without a token"):
        text_sequences([""], LETTERS, 5, generator=rng())
    for option, value in (("held_out", 1.0), ("stride", 0), ("generator", 3), ("length", 0)):
        with pytest.raises(ParameterError, match=f"text_sequences.{option}"):
            text_sequences(["abc"], LETTERS, **{"length": 1, "generator": rng(), option: value})
    with pytest.raises(OSError, match="cannot write"):
        text_sequences(["abc"], LETTERS, 1, generator=rng(), path=tmp_path / "no" / "t")


@pytest.mark.parametrize("stored", [False, True])
@pytest.mark.parametrize(
    ("error", "message"),
    [
        (FileNotFoundError(2, "No such file", "mine.txt"), r"text_sequences: cannot read a document: .*mine\.txt"),
        (StorageError("the server is busy"), "the server is busy"),
    ],
)
def test_a_document_that_cannot_be_read_is_not_taken_for_a_full_disk(tmp_path, stored, error, message):
    def documents():
        yield "abc" * 20
        raise error

    with pytest.raises(StorageError, match=f"^{message}"):
        text_sequences(documents(), CharacterTokenizer("abc"), 3, generator=np.random.default_rng(0),
                       path=tmp_path / "tokens" if stored else None)  # fmt: skip
    assert list(tmp_path.iterdir()) == []
