"""Codecs whose files are words of one size: native code where there is a compiler, else the NumPy reference."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ...native.compiled import compiled
from ..container import Events
from .codec import Bytes, Codec, Decoded
from .columns import HEADER, Columns


class WordCodec(Codec):
    """A codec of words. The decoder's state is an array of int64, that of the encoder a whole number."""

    word: ClassVar[str]
    """The words' dtype, such as '<u4'."""
    native: ClassVar[str]
    """How the functions of event_codecs.hpp begin."""

    @abstractmethod
    def reference_decode(self, words: NDArray[Any], state: NDArray[np.int64], out: Columns) -> NDArray[np.int64]:
        """Adds the events of the words and returns the state behind them, in plain NumPy."""

    @abstractmethod
    def reference_encode(self, events: Events, state: Any) -> NDArray[Any]:
        """The words of the events, in plain NumPy."""

    @abstractmethod
    def most_words(self, events: Events, state: Any) -> int:
        """How many words the events take at most."""

    @abstractmethod
    def after(self, events: Events, state: Any) -> Any:
        """The encoder's state behind the events, of which there are some."""

    def words(self, data: Bytes) -> NDArray[Any]:
        """The whole words of a piece of a file."""
        size = np.dtype(self.word).itemsize
        return data[: data.size // size * size].view(self.word)

    def decode(self, data: Bytes, state: NDArray[np.int64], out: Columns, final: bool) -> Decoded:
        words = self.words(data)
        if (library := compiled(HEADER)) is None:
            return Decoded(words.nbytes, self.reference_decode(words, state, out))
        state, n = state.copy(), np.array([out.n], np.int64)
        library.call(f"{self.native}_decode", words, words.size, state, out.t, out.x, out.y, out.p, n)
        out.n = int(n[0])
        return Decoded(words.nbytes, state)

    def encode(self, events: Events, state: Any) -> tuple[Bytes, Any]:
        if not len(events):
            return np.empty(0, np.uint8), state
        after = self.after(events, state)
        if (library := compiled(HEADER)) is None:
            return self.reference_encode(events, state).view(np.uint8), after
        words, n = np.empty(self.most_words(events, state), self.word), np.zeros(1, np.int64)
        columns = (np.ascontiguousarray(getattr(events, name)) for name in "txyp")
        library.call(f"{self.native}_encode", *columns, len(events), self.encoder_state(state), words, n)
        return words[: n[0]].view(np.uint8), after

    def encoder_state(self, state: Any) -> Any:
        """The encoder's state as the native function takes it."""
        return state
