"""Text: loaders of documents, tokenizers, and sequences for language models."""

from .aozora import AozoraBunkoLoader
from .document import Document, TextLoader
from .local_file import LocalFileLoader
from .sequences import SequenceDataset, text_sequences
from .tokenizers import BPETokenizer, CharacterTokenizer, Tokenizer, load_tokenizer
from .wikipedia import WikipediaLoader
from .wikitext import plain_text

__all__ = [
    "AozoraBunkoLoader",
    "BPETokenizer",
    "CharacterTokenizer",
    "Document",
    "LocalFileLoader",
    "SequenceDataset",
    "TextLoader",
    "Tokenizer",
    "WikipediaLoader",
    "load_tokenizer",
    "plain_text",
    "text_sequences",
]
