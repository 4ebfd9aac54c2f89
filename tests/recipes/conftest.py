"""Recipes are programs beside each other, not a package: their folders are on the path while a test of them runs."""

import sys
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parents[2]
FOLDERS = (ROOT / "recipes", ROOT / "benchmarks")


@pytest.fixture(autouse=True)
def _recipes_can_be_imported(monkeypatch):
    """What a test imports from the two folders is dropped after it: other tests may use the same names."""
    for folder in FOLDERS:
        monkeypatch.syspath_prepend(str(folder))
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if Path(getattr(sys.modules[name], "__file__", None) or "").parent in FOLDERS:
            del sys.modules[name]


@pytest.fixture(autouse=True)
def _one_thread():
    """As `recipes/all.py` runs them: small products on several threads wait for each other more than they compute."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
