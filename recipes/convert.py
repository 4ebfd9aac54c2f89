"""A recipe: a trained network with ReLUs as integrate-and-fire neurons (paper 19 of the seed; Rueckauer et al. 2017).

    PYTHONPATH=benchmarks python recipes/convert.py

Data: scikit-learn's digits, 64-128-128-10. Baseline: the torch network. The gate: with reset by subtraction and
thresholds at the 99.9th percentile, within .01 of the torch network after 32 steps. In one table with the reset to
zero, and with thresholds at the greatest activation.
"""

from __future__ import annotations

import torch
from common import digits, right_of_torch, train_torch
from recipe import Outcome, report
from torch import nn

from spikeloom.passes import accuracy_over_time, convert

STEPS = (4, 8, 16, 32, 64, 256)


def trained(epochs: int = 40) -> nn.Sequential:
    """A network of ReLUs trained on 1437 digits."""
    torch.manual_seed(0)
    module = nn.Sequential(
        nn.Linear(64, 128), nn.ReLU(), nn.Dropout(0.2), nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, 10)
    )
    train_torch(module, digits()[0], epochs, 2e-3)
    return module.eval()


def curves(epochs: int = 40, steps: tuple[int, ...] = STEPS) -> tuple[float, dict[str, dict[int, float]]]:
    """The accuracy of the torch network on the last 360 digits, and that of each conversion over steps."""
    module, ((x, _), test) = trained(epochs), digits()
    ways = {
        "subtract, 99.9 %": {},
        "subtract, greatest": {"percentile": 100.0},
        "to zero, 99.9 %": {"reset": "zero"},
    }
    found = {}
    for name, options in ways.items():
        network, _ = convert(module, x, **options)
        found[name] = accuracy_over_time(network, [[*test]], steps)
    return float(right_of_torch(module, test).mean()), found


def outcome() -> Outcome:
    of_torch, found = curves()
    best = found["subtract, 99.9 %"]
    return Outcome(
        name="convert",
        paper="Gestures on Loihi: thresholds balanced by data (paper 19)",
        data="scikit-learn's digits, 64-128-128-10 with ReLU",
        baseline=f"the torch network, {of_torch:.3f}",
        result=f"{best[8]:.3f} at T = 8, {best[32]:.3f} at T = 32",
        gate="within .01 of the torch network after 32 steps",
        holds=best[32] >= of_torch - 0.01,
        head=["reset, thresholds", *(f"T = {n}" for n in STEPS)],
        rows=[[name, *(f"{curve[n]:.3f}" for n in STEPS)] for name, curve in found.items()],
    )


if __name__ == "__main__":
    report(__doc__, outcome)
