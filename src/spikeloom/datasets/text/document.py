"""What every text loader gives: documents, one after another."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from ..checks import check_count


@dataclass(frozen=True, slots=True)
class Document:
    """A text with its title, where it came from (a path or a URL) and what else is known of it."""

    title: str
    text: str
    source: str
    metadata: Mapping[str, Any] = field(default_factory=dict)


class TextLoader(ABC):
    """Documents, read when they are asked for; each `for` loop reads them anew."""

    @abstractmethod
    def __iter__(self) -> Iterator[Document]: ...

    def documents(self, limit: int | None = None) -> Iterator[Document]:
        """The documents, or the first `limit` of them; nothing more is read than what is taken."""
        most = None if limit is None else check_count(limit, f"{type(self).__name__}.documents.limit")
        return islice(self, most)

    def text(self, limit: int | None = None) -> str:
        """The texts of the documents, or of the first `limit` of them, with an empty line between."""
        return "\n\n".join(document.text for document in self.documents(limit))
