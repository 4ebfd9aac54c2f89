"""Directions of past activity that weights stay off from, learned by a Hebbian rule (HLOP).

Beside the weights W of a connection stand lateral ones H, (rows, inputs), that grow into the principal directions of
what flows into it (Xiao, Meng, Zhang, Wang and Lin 2024, ICLR; Oja's subspace rule),

    y = H x,   dH = eta mean(y (x - H^T y)^T),   eta = 0.5 / mean |x|^2

Later changes of the weights leave these directions out: dW (1 - H^T H). A weight's change being a sum of outer products
with x, that is x - H^T H x in place of x in each of them, whatever credit made them. It is applied to the step of the
optimizer, whose momentum, decay or scaling would else leave what the gradient keeps to. In the end the rows are made
orthonormal, as they are in the limit of the rule, so that 1 - H^T H takes out all that lies along them. A bias is the
weight of an input that is always 1, and as such has a column in H.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..errors import DataError, UnsupportedError
from ..network import Connection
from ..network.links import Conv, Ends, Full, Link
from ..network.links.link import Wanted

STEPS, MOMENTUM = 5, 0.9
"""How often the rule is applied to a batch, and its momentum: those of the authors' code."""


class Inner(NamedTuple):
    """A connection as it leads to n units that see what each of its own targets sees."""

    link: Link
    ends: Ends


def lateral(connection: Connection, n: int) -> Inner:
    """The lateral units of a connection; UnsupportedError where its targets do not see all the same inputs."""
    link, pre = connection.link, connection.ends.pre
    if connection.extras or not isinstance(link, (Full, Conv)) or (isinstance(link, Conv) and link.groups != 1):
        what = f"with {connection.extras}" if connection.extras else f"of type {link.name!r}"
        raise UnsupportedError(
            f"connection {connection.path!r} {what} has no subspace; only 'full' and 'conv' without groups have one: "
            "name the connections, rows={net.a: 40}"
        )
    if isinstance(link, Full):
        return Inner(link, Ends(pre, (n,)))
    plain = replace(link, out_channels=n, pool=None, pool_kernel_size=(2, 2), pool_stride=None, pool_padding=0)
    return Inner(plain, Ends(pre, plain.target(f"connection {connection.path!r}", pre)))


def n_inputs(connection: Connection) -> int:
    """How many inputs a unit of a connection has, its bias among them."""
    return sum(int(np.prod(shape[1:])) for shape in _shapes(connection).values())


def as_weights(connection: Connection, rows: Tensor) -> dict[str, Tensor]:
    """Rows (n, inputs) as the weights of so many units, by name."""
    shapes = _shapes(connection)
    parts = torch.split(rows, [int(np.prod(shape[1:])) for shape in shapes.values()], 1)
    return {name: part.reshape(len(rows), *shapes[name][1:]) for name, part in zip(shapes, parts, strict=True)}


def as_rows(weights: Mapping[str, Tensor]) -> Tensor:
    """The weights of units, by name, as rows (n, inputs)."""
    return torch.cat([weight.reshape(len(weight), -1) for weight in weights.values()], 1)


def _shapes(connection: Connection) -> dict[str, tuple[int, ...]]:
    specs = {spec.name.rpartition(".")[2]: spec.shape for spec in connection.parameter_specs()}
    return {name: specs[name] for name in ("weight", "bias") if name in specs}


def orthonormal(n: int, old: NDArray[Any], generator: np.random.Generator) -> NDArray[Any]:
    """n random orthonormal rows, at right angles to the old ones (m, inputs)."""
    drawn = generator.standard_normal((n, old.shape[1]))
    drawn -= drawn @ old.T @ old
    return np.linalg.qr(drawn.T)[0].T


class Growth:
    """The rows of a connection on their way into the principal directions; the first n_old stay as they are."""

    def __init__(self, connection: Connection, rows: Tensor, n_old: int) -> None:
        self.connection, self.rows, self._n_old = connection, rows, n_old
        self._inner = lateral(connection, len(rows))
        self._seen = False

    def learn(self, signal: Tensor) -> None:
        """Applies the rule to what flowed in, (T, B, *shape); momentum does not outlive it, or few samples diverge."""
        link, ends = self._inner
        energy, velocity = self._energy(signal), torch.zeros_like(self.rows[self._n_old :])
        if not energy:
            return
        self._seen = True
        for _ in range(STEPS):
            weights = as_weights(self.connection, self.rows)
            y, _ = link.product(signal, weights, ends)
            outer = as_rows(link.gradients(signal, weights, ends, y, Wanted(False, list(weights))).weights)
            y = y.movedim(2, 0).flatten(1)
            change = (outer - (y @ y.t()) @ self.rows)[self._n_old :] / y.shape[1]
            velocity = MOMENTUM * velocity + change * (0.5 / energy)
            self.rows = torch.cat([self.rows[: self._n_old], self.rows[self._n_old :] + velocity])

    def learnt(self) -> Tensor:
        """The rows, the new ones made orthonormal, which the rule does in the limit only; DataError where nothing
        flowed in."""
        if not self._seen:
            raise DataError(
                f"Learner.protect: nothing flowed into connection {self.connection.path!r}, so that it has no "
                "directions; give larger inputs, a longer time, or rows= for the other connections"
            )
        old, new = self.rows[: self._n_old], self.rows[self._n_old :]
        return torch.cat([old, torch.linalg.qr((new - new @ old.t() @ old).t())[0].t()])

    def _energy(self, signal: Tensor) -> float:
        """The mean of |x|^2 over steps, samples and places."""
        link, ends = lateral(self.connection, 1)
        ones = as_weights(self.connection, torch.ones_like(self.rows[:1]))
        return float(link.product(signal * signal, ones, ends)[0].mean())
