"""The recipe of delays that see motion, in a small setting."""

import sys
from pathlib import Path

import numpy as np
import pytest

RECIPES = Path(__file__).parents[2] / "recipes"


@pytest.fixture(autouse=True)
def _recipes_can_be_imported(monkeypatch):
    monkeypatch.syspath_prepend(str(RECIPES.parent / "benchmarks"))
    monkeypatch.syspath_prepend(str(RECIPES))
    yield
    for name in ("motion", "recipe"):
        sys.modules.pop(name, None)


def test_directions_are_seen_with_delays_and_not_without():
    import motion

    found = motion.accuracies(0, n=32, epochs=6)
    assert found["all 11 delays"] >= max(0.4, 2 * found["no delay"])
    assert found["cut to 1"] < found["all 11 delays"] - 0.15


def test_a_movie_moves_in_its_direction():
    import motion

    events, labels = motion.movies(8, 0)
    assert labels.tolist() == list(range(8))
    light = events[:, :, 0] - events[:, :, 1]
    for k, label in enumerate(labels):  # events two steps, a pixel, later are most like those a pixel further on
        dx, dy = np.rint(np.cos(np.pi * label / 4)), np.rint(np.sin(np.pi * label / 4))
        moved = [
            float((np.roll(light[k, :-3], (int(s * dy), int(s * dx)), (1, 2)) * light[k, 3:])[:, 4:-4, 4:-4].sum())
            for s in (1, -1)
        ]
        assert moved[0] > moved[1]
