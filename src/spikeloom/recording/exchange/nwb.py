"""Neurodata Without Borders: units with spike times, potentials, weights and control states in one file."""

from __future__ import annotations

from pathlib import Path

from ..consolidate import Progress
from .content import Content
from .formats import Exchange, optional
from .nwb_reading import read_nwb


def write_nwb(content: Content, path: Path, progress: Progress) -> list[str]:
    """Writes all kinds; potentials and weights are streamed, spikes are sorted by unit in a file beside."""
    optional("pynwb")
    from .nwb_writing import write

    write(content, path, progress)
    return content.sampled_notes()


FORMAT = Exchange("nwb", (".nwb",), ("spikes", "membrane", "weights", "variables", "control"), write_nwb, read_nwb)
