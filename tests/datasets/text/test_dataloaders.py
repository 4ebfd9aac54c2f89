from pathlib import Path

import pytest

import spikeloom
from spikeloom import dataloaders, datasets


@pytest.mark.parametrize("name", ["AozoraBunkoLoader", "LocalFileLoader", "WikipediaLoader"])
def test_the_seed_s_names_are_in_its_module_at_the_top_level_and_in_their_package(name):
    assert getattr(dataloaders, name) is getattr(spikeloom, name) is getattr(datasets, name)


def test_the_seed_s_module_only_names_them():
    assert Path(dataloaders.__file__).read_text().count("\n") < 30
