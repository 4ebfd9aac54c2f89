"""Tables of labelled texts, `text,label`, and their split among the clients of federated learning."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Sequence
from math import isfinite
from pathlib import Path
from typing import Any, final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import DataError, ParameterError, StorageError
from ..storage import write_atomically
from .caption_report import table_rows
from .checks import check_count, check_generator, positions
from .dataset import Dataset, Labels, class_numbers
from .text.decoding import read_limited

MAX_BYTES = 1 << 30
_TRIES = 1000


@final
class TextTable(Dataset):
    """Texts with labels: sample i is (text, label). `classes` are the labels as they were written, or numbers."""

    def __init__(self, texts: Sequence[str], labels: ArrayLike, classes: Sequence[str] | Sequence[int], *,
                 name: str = "texts") -> None:  # fmt: skip
        self.texts, self.labels = tuple(texts), class_numbers(labels, name)
        self.classes, self.name, self.shape = classes, name, ()
        if len(self.texts) != len(self.labels):
            raise DataError(f"{name}: {len(self.texts)} texts but {len(self.labels)} labels; give one label per text")
        if self.labels.max(initial=-1) >= len(classes):
            raise DataError(f"{name}.labels must be below {len(classes)}, the classes, got {self.labels.max()}")

    def __getitem__(self, index: int) -> tuple[Any, int]:
        texts, labels = self.batch([index])
        return texts[0], int(labels[0])

    def batch(self, indices: ArrayLike) -> tuple[Any, Labels]:
        """The texts at `indices`, a list, and their labels (B,)."""
        chosen = positions(indices, len(self), self.name)
        return [self.texts[index] for index in chosen], self.labels[chosen]

    def select(self, indices: ArrayLike) -> TextTable:
        """The texts at `indices`, in that order."""
        texts, labels = self.batch(indices)
        return TextTable(texts, labels, self.classes, name=self.name)


def read_text_table(path: str | os.PathLike[str], *, max_bytes: int = MAX_BYTES) -> TextTable:
    """The table of a CSV file with the columns text and label, in UTF-8, quoted as RFC 4180 says.

    Labels that are all numbers from 0, without leading zeros, are taken as they are; others are numbered in
    alphabetical order. Raises DataError for another header, a row without both, an empty label, and bytes that are no
    UTF-8, with the line. Memory: some 20 times the file.
    """
    file = Path(path)
    data = read_limited(file, check_count(max_bytes, "read_text_table.max_bytes"), "read_text_table")
    try:
        content = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise DataError(
            f"{file}: expected UTF-8, got the byte {data[error.start]:02x} at {error.start}, line {line}"
        ) from error
    texts: list[str] = []
    written: list[str] = []
    for number, (line, fields, fault) in enumerate(table_rows(content)):
        if fault or len(fields) != 2 or not fields[1].strip():
            got = fault or f"got {len(fields)} columns: {','.join(fields)!r:.80}"
            raise DataError(f"{file}, line {line}: expected a text and a label, {got}")
        if number:
            texts.append(fields[0])
            written.append(fields[1].strip())
        elif [field.strip() for field in fields] != ["text", "label"]:
            raise DataError(f"{file}, line {line}: expected the header text,label, got {','.join(fields)!r:.80}")
    if not texts:
        raise DataError(f"{file}: expected a header text,label and rows below it, got no row")
    labels, classes = _numbered(written)
    return TextTable(texts, labels, classes, name=file.stem)


def write_text_table(path: str | os.PathLike[str], table: TextTable, indices: ArrayLike | None = None) -> None:
    """Writes the samples at `indices` (None: all) as a CSV file text,label, its labels as they were written."""
    rows = range(len(table)) if indices is None else positions(indices, len(table), "write_text_table.indices")
    text = io.StringIO(newline="")
    writer = csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\n")
    writer.writerow(["text", "label"])
    writer.writerows([table.texts[row], table.classes[table.labels[row]]] for row in rows)
    try:
        content = text.getvalue().encode()
    except UnicodeEncodeError as error:
        raise DataError(f"write_text_table: half of a surrogate pair in a text ({error.reason}); clean it") from error
    write_atomically(Path(path), content)


def write_client_tables(folder: str | os.PathLike[str], table: TextTable, splits: Sequence[ArrayLike]) -> list[Path]:
    """Writes the samples of each client as `client_<number>.csv` into a folder; the paths, in the order of `splits`."""
    place, digits = Path(folder), len(str(max(len(splits) - 1, 0)))
    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"write_client_tables: cannot make the folder {place}: {error}") from error
    paths = [place / f"client_{number:0{digits}}.csv" for number in range(len(splits))]
    for path, chosen in zip(paths, splits, strict=True):
        write_text_table(path, table, chosen)
    return paths


def client_splits(
    labels: ArrayLike,
    n_clients: int,
    generator: np.random.Generator,
    *,
    alpha: float | None = None,
    equal: bool = True,
    least: int = 1,
) -> list[NDArray[np.int64]]:
    """The samples of each client, ascending; every sample has one client.

    Without `alpha` clients draw alike (IID). With it each client's shares of the classes are drawn from
    Dirichlet(alpha * p), p being the shares of all samples: small alpha, few classes a client (T.-M. H. Hsu, H. Qi,
    M. Brown, arXiv:1909.06335). Their clients have equally many samples, one more or less; of a class that is used up
    the others take the share. `equal=False` divides each class by a draw from Dirichlet(alpha) over the clients
    instead (M. Yurochkin et al., ICML 2019), drawn anew until each client has `least` samples.
    """
    numbers = class_numbers(labels, "client_splits")
    check_count(n_clients, "client_splits.n_clients")
    check_count(least, "client_splits.least")
    check_generator(generator, "client_splits.generator")
    if alpha is not None and not (isinstance(alpha, (int, float)) and isfinite(alpha) and alpha > 0):
        raise ParameterError(f"client_splits.alpha must be a positive number or None, got {alpha!r}")
    if n_clients * least > len(numbers):
        raise ParameterError(
            f"client_splits: {n_clients} clients with {least} or more need more than {len(numbers)} samples"
        )
    if alpha is None:
        parts = np.array_split(generator.permutation(len(numbers)), n_clients)
    elif equal:
        parts = _equal_sizes(numbers, n_clients, alpha, generator)
    else:
        parts = _free_sizes(numbers, n_clients, alpha, least, generator)
    return [np.sort(part).astype(np.int64) for part in parts]


def _equal_sizes(labels: Labels, n_clients: int, alpha: float, generator: np.random.Generator) -> list[NDArray[Any]]:
    """Each client draws its shares of the classes, then its samples one by one, of classes that have some left."""
    piles = [generator.permutation(np.flatnonzero(labels == k)) for k in np.unique(labels)]
    left = np.array([len(pile) for pile in piles])
    prior = left / left.sum()
    parts = []
    for client in range(n_clients):
        size = len(labels) // n_clients + (client < len(labels) % n_clients)
        shares = _dirichlet(alpha * prior, generator)
        taken = np.zeros(len(piles), np.int64)
        while (missing := size - int(taken.sum())) > 0:
            open_shares = np.where(left > taken, shares, 0)
            # Where all that it wanted is used up, what is left is drawn as it lies there.
            open_shares = open_shares if open_shares.sum() > 0 else (left - taken).astype(float)
            drawn = generator.multinomial(missing, open_shares / open_shares.sum())
            taken = np.minimum(taken + drawn, left)
        ends = left - taken
        parts.append(np.concatenate([pile[a:b] for pile, a, b in zip(piles, ends, left, strict=True)]))
        left = ends
    return parts


def _free_sizes(
    labels: Labels, n_clients: int, alpha: float, least: int, generator: np.random.Generator
) -> list[NDArray[Any]]:
    """Each class is divided among the clients by shares of its own."""
    for _ in range(_TRIES):
        clients = np.empty(len(labels), np.int64)
        for k in np.unique(labels):
            pile = generator.permutation(np.flatnonzero(labels == k))
            ends = np.rint(np.cumsum(_dirichlet(np.full(n_clients, alpha), generator)) * len(pile)).astype(np.int64)
            clients[pile] = np.searchsorted(ends[:-1], np.arange(len(pile)), side="right")
        if np.bincount(clients, minlength=n_clients).min() >= least:
            return [np.flatnonzero(clients == client) for client in range(n_clients)]
    raise ParameterError(
        f"client_splits: no draw of {_TRIES} gave each of {n_clients} clients {least} samples; raise alpha, or take "
        "equal=True"
    )


def _dirichlet(weights: NDArray[np.float64], generator: np.random.Generator) -> NDArray[np.float64]:
    """Shares that sum to 1; for weights so small that all would underflow, one class alone, drawn by its weight."""
    shares = generator.standard_gamma(weights)
    if not shares.sum() > 0:
        shares = np.zeros(len(weights))
        shares[generator.choice(len(weights), p=weights / weights.sum())] = 1
    return np.asarray(shares / shares.sum())


def _numbered(written: list[str]) -> tuple[list[int], Sequence[str] | Sequence[int]]:
    """(labels, classes) of labels as they were written."""
    if all(label.isascii() and label.isdecimal() and len(label) < 7 and label == str(int(label)) for label in written):
        numbers = [int(label) for label in written]
        return numbers, range(max(numbers) + 1)
    classes = sorted(set(written))
    place = {label: number for number, label in enumerate(classes)}
    return [place[label] for label in written], classes
