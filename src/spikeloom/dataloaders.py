"""The text loaders under EvoSpikeNet's module path."""

from .datasets.text import AozoraBunkoLoader, LocalFileLoader, WikipediaLoader

__all__ = ["AozoraBunkoLoader", "LocalFileLoader", "WikipediaLoader"]
