"""Text to token ids and back: single characters, or byte pairs."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol, final

import numpy as np
from numpy.typing import NDArray

from ...errors import DataError, ParameterError, UnsupportedError
from ...spikes.validate import check_indices
from ...storage import write_atomically
from ..checks import check_count, check_flag
from .decoding import read_limited

UNKNOWN = "\ufffd"
"""What the id of an unknown character is decoded to."""
MAX_FILE = 1 << 28
MAX_VOCABULARY = 1 << 24
_CHARACTERS, _BYTE_PAIRS = "spikeloom.characters", "spikeloom.byte_pairs"


class Tokenizer(Protocol):
    """Text to ids and back. Equal content makes equal tokenizers, with equal hashes."""

    @property
    def vocab_size(self) -> int:
        """How many ids there are; they run from 0."""
        ...

    def encode(self, text: str) -> NDArray[np.int32]:
        """The ids of a text, int32 (tokens,)."""
        ...

    def decode(self, ids: Any) -> str:
        """The text of ids."""
        ...

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes it as JSON, the same bytes each time."""
        ...


@final
@dataclass(frozen=True, slots=True)
class CharacterTokenizer:
    """One id for each of `characters`, in the order of their code points; `fit` makes it from texts.

    A character that is not among them is an error, or, with `unknown`, has the id 0 (the others start at 1).
    """

    characters: str
    unknown: bool = False

    def __post_init__(self) -> None:
        check_flag(self.unknown, "CharacterTokenizer.unknown")
        if not isinstance(self.characters, str) or list(self.characters) != sorted(set(self.characters)):
            raise ParameterError("CharacterTokenizer.characters must be distinct, in the order of their code points")

    @classmethod
    def fit(cls, texts: str | Iterable[str], *, unknown: bool = False) -> CharacterTokenizer:
        """The tokenizer of all characters of the texts."""
        found: set[str] = set()
        for text in [texts] if isinstance(texts, str) else texts:
            found.update(text)
        return cls("".join(sorted(found)), unknown)

    @property
    def vocab_size(self) -> int:
        """How many ids there are."""
        return len(self.characters) + self.unknown

    def encode(self, text: str) -> NDArray[np.int32]:
        """The ids of the characters of a text; DataError for an unknown one, with its place."""
        points, known = _points(_checked(text, "CharacterTokenizer.encode")), _points(self.characters)
        ids = np.minimum(np.searchsorted(known, points), max(len(known) - 1, 0))
        fits = known[ids] == points if len(known) else np.zeros(points.shape, np.bool_)
        if not self.unknown and not fits.all():
            at = int(np.argmin(fits))
            raise DataError(
                f"CharacterTokenizer.encode: {text[at]!r} at {at} is not among the {len(known)} characters; "
                "fit with it, or with unknown=True"
            )
        return np.where(fits, ids + self.unknown, 0).astype(np.int32)

    def decode(self, ids: Any) -> str:
        """The characters of ids; that of an unknown one is U+FFFD."""
        table = _points(UNKNOWN * self.unknown + self.characters)
        chosen = check_indices(ids, self.vocab_size, "CharacterTokenizer.decode.ids")
        return table[chosen].astype("<u4").tobytes().decode("utf-32-le", "surrogatepass")

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes it as JSON."""
        _write(path, {"format": _CHARACTERS, "version": 1, "unknown": self.unknown, "characters": self.characters})


@final
@dataclass(frozen=True, slots=True)
class BPETokenizer:
    """Byte pairs: `merges` of pieces, most frequent first, over the 256 bytes; `train` makes it from texts.

    Whatever the text, it comes back from its ids as it was. `special` tokens have the first ids; they are found in a
    text where it holds them. Source: R. Sennrich et al., ACL 2016; over bytes as in GPT-2 (A. Radford et al., 2019).
    """

    merges: tuple[tuple[str, str], ...] = ()
    special: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        vocabulary = _vocabulary(self)
        known = set(vocabulary)
        if len(known) != len(vocabulary):
            raise ParameterError("BPETokenizer: expected each token once, got one of merges or special twice")
        ready = set(_byte_letters())
        for place, (left, right) in enumerate(self.merges):
            if left not in ready or right not in ready:
                pair = f"{left!r} and {right!r}"
                raise ParameterError(f"BPETokenizer.merges[{place}] must join earlier pieces, got {pair}")
            ready.add(left + right)

    @classmethod
    def train(
        cls,
        texts: str | Iterable[str],
        vocab_size: int,
        *,
        special: Sequence[str] = (),
        min_frequency: int = 2,
        progress: bool = False,
    ) -> BPETokenizer:
        """The tokenizer of at most `vocab_size` ids whose merges occur `min_frequency` times or more in the texts."""
        library = _library()
        least = 256 + len(special)
        size = check_count(vocab_size, "BPETokenizer.train.vocab_size", MAX_VOCABULARY)
        if size < least:
            what = f"at least {least}, the bytes and special tokens"
            raise ParameterError(f"BPETokenizer.train.vocab_size must be {what}, got {size}")
        trainer = library.trainers.BpeTrainer(
            vocab_size=size - len(special),
            min_frequency=check_count(min_frequency, "BPETokenizer.train.min_frequency"),
            initial_alphabet=_byte_letters(),
            show_progress=check_flag(progress, "BPETokenizer.train.progress"),
        )
        empty = _made(cls())
        empty.train_from_iterator([texts] if isinstance(texts, str) else texts, trainer)
        merges = json.loads(empty.to_str())["model"]["merges"]
        return cls(tuple((left, right) for left, right in merges), tuple(special))

    @property
    def vocab_size(self) -> int:
        """How many ids there are."""
        return len(self.special) + 256 + len(self.merges)

    def encode(self, text: str) -> NDArray[np.int32]:
        """The ids of a text; DataError for half of a surrogate pair, which no UTF-8 can hold."""
        try:
            _checked(text, "BPETokenizer.encode").encode()
        except UnicodeEncodeError as error:
            at = error.start
            raise DataError(f"BPETokenizer.encode: half of a surrogate pair at {at}; clean the text") from error
        return np.array(_built(self).encode(text).ids, np.int32)

    def decode(self, ids: Any) -> str:
        """The text of ids; bytes that are no UTF-8 become U+FFFD."""
        chosen = check_indices(ids, self.vocab_size, "BPETokenizer.decode.ids")
        return str(_built(self).decode(chosen.tolist(), skip_special_tokens=False))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes it as JSON."""
        merges = [list(pair) for pair in self.merges]
        _write(path, {"format": _BYTE_PAIRS, "version": 1, "special": list(self.special), "merges": merges})


def load_tokenizer(path: str | os.PathLike[str]) -> CharacterTokenizer | BPETokenizer:
    """The tokenizer that was saved there; DataError for a file that holds none."""
    file = Path(path)
    try:
        held = json.loads(read_limited(file, MAX_FILE, "load_tokenizer"))
        kinds: dict[str, Callable[[dict[str, Any]], CharacterTokenizer | BPETokenizer]] = {
            _CHARACTERS: lambda d: CharacterTokenizer(d["characters"], d["unknown"]),
            _BYTE_PAIRS: lambda d: BPETokenizer(
                tuple((_text(left), _text(right)) for left, right in d["merges"]), tuple(_text(s) for s in d["special"])
            ),
        }
        if held["version"] != 1:
            raise DataError(f"{file}: expected a tokenizer of version 1, got {held['version']!r:.40}")
        return kinds[held["format"]](held)
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{file}: expected a tokenizer that was saved, got something else ({error!s:.200})") from error


def _checked(text: str, owner: str) -> str:
    if not isinstance(text, str):
        raise ParameterError(f"{owner}.text must be a text, got {type(text).__name__}")
    return text


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError(f"a token must be a text, got {value!r:.40}")
    return value


def _points(text: str) -> NDArray[np.uint32]:
    """The code points of a text."""
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), "<u4")


def _write(path: str | os.PathLike[str], content: dict[str, Any]) -> None:
    write_atomically(Path(path), (json.dumps(content, indent=1) + "\n").encode())


def _library() -> Any:
    try:
        import tokenizers
    except ImportError as error:
        raise UnsupportedError("BPETokenizer needs the package tokenizers; install spikeloom[text]") from error
    return tokenizers


@lru_cache(maxsize=1)
def _byte_letters() -> list[str]:
    """The letter that stands for each byte, in the order of the letters, as GPT-2 chose them."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    return sorted([chr(byte) for byte in printable] + [chr(256 + k) for k in range(len(others))])


def _vocabulary(tokenizer: BPETokenizer) -> list[str]:
    return [*tokenizer.special, *_byte_letters(), *(left + right for left, right in tokenizer.merges)]


@lru_cache(maxsize=8)
def _built(tokenizer: BPETokenizer) -> Any:
    """The library's tokenizer with this content, one for equal ones, which nobody may train."""
    return _made(tokenizer)


def _made(tokenizer: BPETokenizer) -> Any:
    """A new tokenizer of the library with this content."""
    library = _library()
    vocabulary = {token: number for number, token in enumerate(_vocabulary(tokenizer))}
    made = library.Tokenizer(library.models.BPE(vocab=vocabulary, merges=list(tokenizer.merges)))
    made.pre_tokenizer = library.pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    made.decoder = library.decoders.ByteLevel()
    if tokenizer.special:
        made.add_special_tokens(list(tokenizer.special))
    return made
