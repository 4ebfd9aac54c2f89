"""Centred kernel alignment where numbers are large, small, whole or all the same."""

import numpy as np
import pytest
import torch

from spikeloom.errors import ParameterError
from spikeloom.training import linear_cka, temporal_cross_entropy


def by_hand(x: np.ndarray, y: np.ndarray) -> float:
    x, y = x - x.mean(0), y - y.mean(0)
    return np.linalg.norm(y.T @ x) ** 2 / np.linalg.norm(x.T @ x) / np.linalg.norm(y.T @ y)


@pytest.mark.parametrize("scale", [1.0, 1e-12, 1e12])
def test_alignment_does_not_depend_on_the_scale(scale):
    drawn = np.random.default_rng(0)
    x, y = drawn.normal(size=(7, 4)), drawn.normal(size=(7, 3))
    found = linear_cka(torch.from_numpy(x * scale).float(), torch.from_numpy(y).float())
    assert found.dtype == torch.float32
    assert float(found) == pytest.approx(by_hand(x, y), abs=1e-6)


def test_spikes_and_counts_are_features():
    x = np.random.default_rng(0).random((9, 4)) < 0.5
    y = x @ np.array([[1, 0], [0, 2], [1, 1], [0, 1]])
    found = linear_cka(torch.from_numpy(x), torch.from_numpy(y))
    assert float(found) == pytest.approx(by_hand(x.astype(float), y.astype(float)), abs=1e-6)


@pytest.mark.parametrize("value", [0.1, 1 / 3, 1e-9, 7e8])
@pytest.mark.parametrize("n", [2, 7, 11])
def test_what_does_not_vary_is_like_nothing(n, value):
    same = torch.full((n, 3), value)
    for other in (torch.full((n, 2), 0.3), torch.randn(n, 2, generator=torch.Generator().manual_seed(0))):
        assert float(linear_cka(same, other)) == 0.0
        assert float(linear_cka(other, same)) == 0.0


def test_a_share_beyond_one_is_refused():
    for wrong in (-0.1, 1.5, float("nan")):
        with pytest.raises(ParameterError, match="regularisation must be a share"):
            temporal_cross_entropy(torch.zeros(3, 2, 4), torch.zeros(2, dtype=torch.long), wrong)
