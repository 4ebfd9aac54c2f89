"""A recipe: a quantised network counted out by signed spikes, without error (paper 35 of the seed).

    PYTHONPATH=benchmarks python recipes/stbif.py

Claim: no conversion error at all. Data: scikit-learn's digits, 64-128-128-10 with QuantisedReLU of 1 to 4 bits.
Baseline: the quantised network itself, and rates of ReLUs at as many steps (recipe convert). The gate: the answers
equal those of the quantised network to 1e-12 in double after L n - (L - 1) steps, where `settled` holds; and the
adversarial pair, which `n + L` steps get wrong, is right at 2 n - 1 = 29.
"""

from __future__ import annotations

import numpy as np
import torch
from common import digits, right_of_torch, train_torch
from recipe import Outcome, report
from torch import nn

import spikeloom as sl
from spikeloom.passes import QuantisedReLU, convert_quantised, settled, verify


def trained(bits: int, epochs: int = 40) -> nn.Sequential:
    """A 64-128-128-10 network with activations of so many bits, trained on 1437 digits."""
    torch.manual_seed(0)
    levels = 2**bits - 1
    module = nn.Sequential(
        nn.Linear(64, 128), QuantisedReLU(levels, 1.0 / levels), nn.Linear(128, 128),
        QuantisedReLU(levels, 1.0 / levels), nn.Linear(128, 10),
    )  # fmt: skip
    train_torch(module, digits()[0], epochs, 2e-3)
    return module.double().eval()


def counted_out(bits: int, epochs: int = 40) -> dict[str, float]:
    """The accuracy, the greatest difference to the quantised network, and the steps that it took."""
    module, ((x, _), (test, labels)) = trained(bits, epochs), digits()
    given = test.astype(float)
    network, promise = convert_quantised(module, x.astype(float))
    network.set_backend(sl.TorchBackend(dt=1.0, dtype=torch.float64))
    found = verify(module, network, given, promise)
    return {
        "accuracy": float(right_of_torch(module, (given, labels)).mean()),
        "difference": found.difference,
        "steps": promise.n_steps or 0,
        "settled": settled(network),
    }


def adversarial(n_steps: int) -> float:
    """What the second layer has counted after so many steps, of two units with 15 and 14, weighed by 100 and -105."""
    module = nn.Sequential(
        nn.Linear(2, 2, bias=False), QuantisedReLU(15, 1.0), nn.Linear(2, 1, bias=False), QuantisedReLU(15, 1.0),
        nn.Linear(1, 1, bias=False),
    ).double()  # fmt: skip
    with torch.no_grad():
        module[0].weight.copy_(torch.eye(2))
        module[2].weight.copy_(torch.tensor([[100.0, -105.0]]))
        module[4].weight.fill_(1.0)
    network, _ = convert_quantised(module, np.array([[15.0, 14.0]]))
    network.set_backend(sl.TorchBackend(dt=1.0, dtype=torch.float64))
    network.input(np.array([[15.0, 14.0]]))
    network.run(float(n_steps))
    return float(network.output.predict.detach())


def outcome() -> Outcome:
    found = {bits: counted_out(bits) for bits in (1, 2, 3, 4)}
    pair = {n: adversarial(n) for n in (17, 25, 29)}
    worst = max(r["difference"] for r in found.values())
    rows: list[list[object]] = [
        [f"{bits} bit", f"{r['accuracy']:.3f}", r["steps"], f"{r['difference']:.1e}", "yes" if r["settled"] else "no"]
        for bits, r in found.items()
    ]
    rows += [["adversarial pair (15)", f"{counted:g}", n, f"{abs(15 - counted):g}", ""] for n, counted in pair.items()]
    return Outcome(
        name="stbif",
        paper="Lossless conversion by signed spikes (paper 35)",
        data="scikit-learn's digits, 64-128-128-10, QuantisedReLU",
        baseline="the quantised networks themselves",
        result=f"{found[4]['accuracy']:.3f} at 4 bits, greatest difference {worst:.1e}",
        gate="equal to 1e-12 and settled; the pair right at 29 steps, wrong at 17",
        holds=worst < 1e-12 and all(r["settled"] for r in found.values()) and pair[29] == 15 != pair[17],
        head=["way", "accuracy or count", "steps", "greatest difference", "settled"],
        rows=rows,
    )


if __name__ == "__main__":
    report(__doc__, outcome)
