import contextlib
import json
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spikeloom.datasets import BPETokenizer, CharacterTokenizer, load_tokenizer
from spikeloom.errors import DataError, ParameterError

CORPUS = ["low low low low low", "lower lower newest newest newest", "newest newest newest widest widest widest"] * 3
TRAINED = BPETokenizer.train(CORPUS, 270)


@given(st.text())
def test_characters_of_the_fitted_text_come_back(text):
    tokenizer = CharacterTokenizer.fit([text, "猫\U0001f408"])
    ids = tokenizer.encode(text)
    assert ids.dtype == np.int32
    assert tokenizer.decode(ids) == text
    assert tokenizer.vocab_size == len(set(text + "猫\U0001f408"))


def test_ids_follow_the_code_points():
    tokenizer = CharacterTokenizer.fit("cab")
    assert tokenizer.encode("abca").tolist() == [0, 1, 2, 0]
    assert CharacterTokenizer.fit("cab", unknown=True).encode("abz").tolist() == [1, 2, 0]
    assert CharacterTokenizer.fit("cab", unknown=True).decode([1, 0, 3]) == "a\ufffdc"
    assert CharacterTokenizer.fit("", unknown=True).encode("ab").tolist() == [0, 0]


def test_an_unknown_character_is_named_with_its_place():
    with pytest.raises(DataError, match="'z' at 2 is not among the 2 characters"):
        CharacterTokenizer.fit("ab").encode("abz")
    with pytest.raises(DataError, match="'a' at 0 is not among the 0"):
        CharacterTokenizer.fit("").encode("a")


@pytest.mark.parametrize("characters", ["ba", "aa", 3])
def test_characters_are_distinct_and_in_order(characters):
    with pytest.raises(ParameterError, match="distinct"):
        CharacterTokenizer(characters)


def test_the_first_merges_are_those_of_the_most_frequent_pairs():
    # Each word counts with the space before it, if there is one, as a letter of its own.
    counts = Counter(pair for text in CORPUS for pair in pairwise(text) if pair[1] != " ")
    first = tuple(letter.replace("\u0120", " ") for letter in TRAINED.merges[0])
    assert counts[first] == max(counts.values())


@given(st.text())
def test_byte_pairs_bring_any_text_back(text):
    if any("\ud800" <= c <= "\udfff" for c in text):
        return
    ids = TRAINED.encode(text)
    assert TRAINED.decode(ids) == text
    assert ids.size <= len(text.encode())
    assert ids.size == 0 or ids.max() < TRAINED.vocab_size <= 270


def test_training_is_repeatable_and_shortens_the_text():
    again = BPETokenizer.train(iter(CORPUS), 270)
    assert again == TRAINED
    assert hash(again) == hash(TRAINED)
    assert BPETokenizer.train(CORPUS, 262) != TRAINED
    assert TRAINED.encode("newest newest").size < BPETokenizer().encode("newest newest").size == 13


def test_special_tokens_have_the_first_ids_and_are_found_whole():
    tokenizer = BPETokenizer.train(CORPUS, 260, special=["<end>"])
    ids = tokenizer.encode("low<end>")
    assert ids[-1] == 0
    assert (ids[:-1] > 0).all()
    assert tokenizer.decode(ids) == "low<end>"
    assert tokenizer.vocab_size <= 260


@pytest.mark.parametrize(
    "tokenizer", [CharacterTokenizer.fit("猫\ud800ab", unknown=True), TRAINED, BPETokenizer((), ("<s>",))]
)
def test_a_saved_tokenizer_is_loaded_equal_and_saved_as_the_same_bytes(tmp_path, tokenizer):
    tokenizer.save(tmp_path / "t.json")
    loaded = load_tokenizer(tmp_path / "t.json")
    assert loaded == tokenizer
    assert hash(loaded) == hash(tokenizer)
    loaded.save(tmp_path / "u.json")
    assert (tmp_path / "t.json").read_bytes() == (tmp_path / "u.json").read_bytes()


@pytest.mark.parametrize("tokenizer", [CharacterTokenizer.fit("abc"), TRAINED])
@pytest.mark.parametrize("ids", [[-1], [270], [[0]], [0.5]])
def test_ids_out_of_range_are_refused(tokenizer, ids):
    with pytest.raises((DataError, ParameterError, ValueError), match=r"decode\.ids"):
        tokenizer.decode(ids)


@pytest.mark.parametrize("tokenizer", [CharacterTokenizer.fit("abc"), TRAINED])
def test_only_texts_are_encoded(tokenizer):
    with pytest.raises(ParameterError, match=r"encode\.text must be a text, got bytes"):
        tokenizer.encode(b"abc")


def test_half_of_a_surrogate_pair_and_a_vocabulary_too_small_are_refused():
    with pytest.raises(DataError, match="half of a surrogate pair at 1"):
        TRAINED.encode("a\ud800")
    with pytest.raises(ParameterError, match="at least 257"):
        BPETokenizer.train(CORPUS, 256, special=["<s>"])
    with pytest.raises(ParameterError, match=r"merges\[0\] must join earlier pieces"):
        BPETokenizer((("ab", "c"),))
    with pytest.raises(ParameterError, match="each token once"):
        BPETokenizer((("a", "b"), ("a", "b")))


@pytest.mark.parametrize(
    "content",
    [b"", b"{}", b"[]", b"null", b"[" * 100_000, b"\xff", b'{"format": "spikeloom.characters", "version": 1}',
     b'{"format": "spikeloom.byte_pairs", "version": 1, "merges": [["a"]], "special": []}',
     b'{"format": "spikeloom.byte_pairs", "version": 1, "merges": [], "special": [3]}',
     b'{"format": "spikeloom.characters", "version": 2, "characters": "a", "unknown": false}',
     b'{"format": "spikeloom.characters", "version": 1, "characters": "ba", "unknown": false}',
     b'{"format": ["x"], "version": 1}'],
)  # fmt: skip
def test_a_file_that_holds_no_tokenizer_is_refused(tmp_path, content):
    path = tmp_path / "t.json"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"t\.json"):
        load_tokenizer(path)


@given(place=st.integers(0, 10_000), byte=st.integers(0, 255))
def test_a_changed_byte_gives_a_tokenizer_or_a_data_error_and_nothing_else(tmp_path_factory, place, byte):
    path = tmp_path_factory.getbasetemp() / "changed.json"
    content = bytearray(json.dumps({"format": "spikeloom.byte_pairs", "version": 1, "special": ["<s>"],
                                    "merges": [["l", "o"], ["lo", "w"]]}).encode())  # fmt: skip
    content[place % len(content)] = byte
    path.write_bytes(content)
    with contextlib.suppress(DataError):
        tokenizer = load_tokenizer(path)
        assert tokenizer.decode(tokenizer.encode("low")) == "low"
