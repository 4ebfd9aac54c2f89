"""Losses by name against their formulas."""

import numpy as np
import pytest
import torch

from spikeloom.errors import UnknownNameError
from spikeloom.training import LOSSES

ANSWERS = np.array([[3.0, 1.0, 0.0], [0.0, 5.0, 2.0], [1.0, 1.0, 1.0], [4.0, 0.0, 2.0]])
LABELS = np.array([0, 1, 2, 2])


def cross_entropy(scores):
    """-log softmax of the true class, mean over the batch, by NumPy."""
    log_softmax = scores - np.log(np.exp(scores).sum(1, keepdims=True))
    return -log_softmax[np.arange(len(LABELS)), LABELS].mean()


def test_cross_entropy_is_the_mean_negative_log_softmax_of_the_true_class():
    found = LOSSES["cross_entropy"](torch.tensor(ANSWERS), torch.tensor(LABELS))
    assert float(found) == pytest.approx(cross_entropy(ANSWERS), abs=1e-12)


def test_normalised_cross_entropy_is_that_of_spaics_examples():
    scaled = (ANSWERS - ANSWERS.mean()) / (ANSWERS.std(ddof=1) + 0.1)
    found = LOSSES["Normalised Cross-Entropy"](torch.tensor(ANSWERS), torch.tensor(LABELS))
    assert float(found) == pytest.approx(cross_entropy(scaled), abs=1e-12)


def test_mean_and_deviation_pass_no_gradient():
    answer = torch.tensor(ANSWERS, requires_grad=True)
    LOSSES["normalised_cross_entropy"](answer, torch.tensor(LABELS)).backward()
    deviation = ANSWERS.std(ddof=1) + 0.1
    scaled = (ANSWERS - ANSWERS.mean()) / deviation
    softmax = np.exp(scaled) / np.exp(scaled).sum(1, keepdims=True)
    expected = (softmax - np.eye(3)[LABELS]) / len(LABELS) / deviation
    np.testing.assert_allclose(answer.grad.numpy(), expected, rtol=0, atol=1e-12)


def test_a_silent_network_gives_the_loss_of_guessing():
    for name in set(LOSSES) - {"tempotron"}:  # which measures what lacks to the threshold, 1
        assert float(LOSSES[name](torch.zeros(4, 3), torch.tensor(LABELS))) == pytest.approx(np.log(3), abs=1e-6)


def test_an_unknown_loss_is_an_error_with_a_suggestion():
    with pytest.raises(UnknownNameError, match=r"loss 'cross_entropie'; did you mean 'cross_entropy'\?"):
        LOSSES["cross_entropie"]
