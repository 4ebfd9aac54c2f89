"""Sequences for language models: windows of token ids, and the ids that come next."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any, final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...errors import DataError, ParameterError, StorageError
from ...storage import atomic_file
from ..checks import check_count, check_flag, check_generator, positions
from ..dataset import Dataset
from ..progress_meter import Meter
from .document import Document
from .tokenizers import Tokenizer

Spans = list[tuple[int, int, int]]
"""(document, first token, token behind the last) of each stretch that windows may lie in."""


@final
class SequenceDataset(Dataset):
    """Windows of `length` ids: sample i is (ids, next ids), int64 (L,) each, the second one step further on.

    `batch` gives (B, L) and (B, L), as an embedding and a cross-entropy take them. `labels` tells the document of each
    window; `tokens`, int32, may lie on disk; `starts` are the first tokens of the windows, `unused` how many tokens are
    in none.
    """

    def __init__(self, tokens: NDArray[np.int32], starts: NDArray[np.int64], documents: NDArray[np.int64],
                 length: int, titles: list[str], *, name: str, vocab_size: int, unused: int = 0) -> None:  # fmt: skip
        self.tokens, self.starts, self.labels = tokens, starts, documents
        self.length, self.classes, self.name = length, titles, name
        self.vocab_size, self.unused = vocab_size, unused
        self.shape = (length,)

    def __repr__(self) -> str:
        return f"<{self.name}: {len(self)} windows of {self.length} of {self.vocab_size} tokens, {self.unused} unused>"

    def __getitem__(self, index: int) -> tuple[NDArray[Any], Any]:
        ids, following = self.batch([index])
        return ids[0], following[0]

    def batch(self, indices: ArrayLike) -> tuple[NDArray[Any], NDArray[np.int64]]:
        """The windows at `indices` (B, L), and the ids that follow each of theirs (B, L)."""
        starts = self.starts[positions(indices, len(self), self.name)]
        rows = self.tokens[starts[:, None] + np.arange(self.length + 1)].astype(np.int64)
        return rows[:, :-1], rows[:, 1:]

    def select(self, indices: ArrayLike) -> SequenceDataset:
        """The windows at `indices`, in that order, of the same tokens."""
        chosen = positions(indices, len(self), self.name)
        return SequenceDataset(
            self.tokens, self.starts[chosen], self.labels[chosen], self.length, list(map(str, self.classes)),
            name=self.name, vocab_size=self.vocab_size,
        )  # fmt: skip


def text_sequences(
    documents: Iterable[Document | str],
    tokenizer: Tokenizer,
    length: int,
    *,
    stride: int | None = None,
    held_out: float = 0.1,
    generator: np.random.Generator,
    path: str | os.PathLike[str] | None = None,
    progress: bool = False,
) -> tuple[SequenceDataset, SequenceDataset]:
    """(train, held out): windows of `length` ids, `stride` apart (by default `length`), none across two documents.

    Documents are drawn with the generator into the held-out part until it has `held_out` of all tokens; at least one
    stays for training, and equal documents come into one part. Of a single document the held-out part is its end. No
    token is in windows of both parts. Tokens are read from the disk: from `path`, int32 in the machine's byte order,
    or a temporary file, so that documents need not fit into memory. Raises DataError where no window fits.
    """
    length = check_count(length, "text_sequences.length")
    stride = length if stride is None else check_count(stride, "text_sequences.stride")
    check_generator(generator, "text_sequences.generator")
    if not isinstance(held_out, (int, float)) or isinstance(held_out, bool) or not 0 <= held_out < 1:
        raise ParameterError(f"text_sequences.held_out must be a share from 0 to below 1, got {held_out!r}")
    shown = check_flag(progress, "text_sequences.progress")
    tokens, ends, titles, groups = _stored(documents, tokenizer, path, shown)
    bounds = np.concatenate(([0], ends))
    parts = _split(bounds, groups, held_out, generator)
    made = [
        _windows(tokens, spans, length, stride, titles, name, tokenizer.vocab_size)
        for name, spans in zip(("train", "held out"), parts, strict=True)
    ]
    if not len(made[0]):
        longest = int(np.diff(bounds).max(initial=0))
        raise DataError(f"text_sequences: no document has {length + 1} tokens to train with, the longest has {longest}")
    return made[0], made[1]


def _stored(
    documents: Iterable[Document | str], tokenizer: Tokenizer, path: str | os.PathLike[str] | None, shown: bool
) -> tuple[NDArray[np.int32], NDArray[np.int64], list[str], list[bytes]]:
    """All tokens, mapped from a file, where each document ends, its title and the digest of its tokens."""
    if path is None:
        try:
            with TemporaryFile() as file:
                return _written(file, documents, tokenizer, shown)
        except StorageError:
            raise
        except OSError as error:
            raise StorageError(f"text_sequences: cannot write a temporary file: {error}; give path=") from error
    with atomic_file(Path(path)) as file:
        return _written(file, documents, tokenizer, shown)


def _written(
    file: IO[bytes], documents: Iterable[Document | str], tokenizer: Tokenizer, shown: bool
) -> tuple[NDArray[np.int32], NDArray[np.int64], list[str], list[bytes]]:
    ends: list[int] = []
    titles: list[str] = []
    digests: list[bytes] = []
    with Meter("tokens", None, unit="documents", shown=shown) as meter:
        for number, document in enumerate(_readable(documents)):
            title, text = (str(number), document) if isinstance(document, str) else (document.title, document.text)
            ids = np.ascontiguousarray(tokenizer.encode(text), np.int32)
            file.write(ids.data)
            ends.append((ends[-1] if ends else 0) + ids.size)
            titles.append(title)
            digests.append(hashlib.sha256(ids.data).digest())
            meter.to(ends[-1])
    if not ends or not ends[-1]:
        raise DataError(f"text_sequences.documents: expected texts, got {len(ends)} documents without a token")
    file.flush()
    tokens: NDArray[np.int32] = np.memmap(file, np.int32, "r", shape=(ends[-1],))
    return tokens, np.array(ends, np.int64), titles, digests


def _readable(documents: Iterable[Document | str]) -> Iterator[Document | str]:
    """The documents; StorageError where one cannot be read, which is no fault of the file of tokens."""
    try:
        yield from documents
    except StorageError:
        raise
    except OSError as error:
        raise StorageError(f"text_sequences: cannot read a document: {error}") from error


def _split(
    bounds: NDArray[np.int64], digests: list[bytes], held_out: float, generator: np.random.Generator
) -> tuple[Spans, Spans]:
    """The spans of the part to train with and of the part held out."""
    numbers = {digest: number for number, digest in enumerate(dict.fromkeys(digests))}
    groups = np.array([numbers[digest] for digest in digests])
    spans = [(k, int(bounds[k]), int(bounds[k + 1])) for k in range(len(digests))]
    wanted = held_out * int(bounds[-1])
    if len(numbers) == 1:
        cut = int(bounds[1]) - round(held_out * int(bounds[1]))
        return [(k, a, a + cut) for k, a, _ in spans], [(k, a + cut, b) for k, a, b in spans]
    sizes = np.bincount(groups, np.diff(bounds), len(numbers))
    order = generator.permutation(len(numbers))
    before = np.cumsum(sizes[order]) - sizes[order]
    held = set(order[:-1][before[:-1] < wanted].tolist())
    return [s for s in spans if groups[s[0]] not in held], [s for s in spans if groups[s[0]] in held]


def _windows(tokens: NDArray[np.int32], spans: Spans, length: int, stride: int, titles: list[str], name: str,
             vocab_size: int) -> SequenceDataset:  # fmt: skip
    """The windows of a part: every `stride` tokens one, as long as it and the token behind it fit."""
    starts = [np.arange(a, b - length, stride, dtype=np.int64) for _, a, b in spans]
    of = [np.full(len(found), k, np.int64) for (k, _, _), found in zip(spans, starts, strict=True)]
    covered = sum((min(stride, length + 1) * (len(f) - 1) + length + 1) for f in starts if len(f))
    total = sum(b - a for _, a, b in spans)
    empty = np.zeros(0, np.int64)
    return SequenceDataset(
        tokens, np.concatenate([empty, *starts]), np.concatenate([empty, *of]), length, titles,
        name=name, vocab_size=vocab_size, unused=total - covered,
    )  # fmt: skip
