"""What the weights of a learner are kept off from: the directions of earlier tasks, a `subspace` a connection."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from ..datasets import Dataloader
from ..errors import DataError, ParameterError, UnsupportedError
from ..network import Connection, Encoder, Generator, Members, NeuronGroup, Tap, member
from ..network.parameters import ParameterSpec, as_array
from ..network.values import entries, mapping
from .evaluation import ends, evaluating
from .subspace import Growth, as_rows, as_weights, lateral, n_inputs, orthonormal

if TYPE_CHECKING:
    from .learner import Learner


class Protection:
    """The rows of each connection, by the name under which the parameter store keeps them."""

    def __init__(self, learner: Learner) -> None:
        self._learner = learner
        self._rows: dict[str, tuple[Connection, int]] = {}

    def specs(self) -> list[ParameterSpec]:
        """The rows (n, inputs) of each connection that is in the network."""
        return [self._spec(name, connection, n) for name, (connection, n) in self._present().items()]

    def learn(self, data: Dataloader, rows: int | Mapping[Connection, int], time: float, epochs: int) -> None:
        """Grows so many rows more on what flows into the connections while the data are shown."""
        network = self._learner.network
        wanted = self._checked(data, rows, epochs)
        network.draw_parameters()
        grown = {self._name(connection): self._begun(connection, n) for connection, n in wanted.items()}
        taps = {name: Tap(growth.connection.pre) for name, growth in grown.items()}
        with evaluating(network):
            for batch in (batch for _ in range(epochs) for batch in data):
                ends(network)[0](batch[0] if isinstance(batch, (list, tuple)) else batch)
                network.run(time, record=False)
                for name, growth in grown.items():
                    signal = taps[name].value.detach()
                    growth.learn((signal if signal.stride(0) else signal[:1]).double())  # the same in every step
        for name, growth in grown.items():
            self._rows[name] = growth.connection, len(growth.rows)
            network.store.put(f"{self._learner.path}.{name}", growth.rows.float().numpy())
        self._learner._changed()

    @contextmanager
    def kept_off(self) -> Iterator[None]:
        """Takes what lies along the rows out of the change that the weights make meanwhile."""
        found = [(c, rows, self._weights(c)) for c, rows in self._kept() if self._learner.trains(c)]
        before = [as_rows(weights).detach().clone() for _, _, weights in found]
        yield
        with torch.no_grad():
            for (connection, rows, weights), old in zip(found, before, strict=True):
                change = as_rows(weights) - old
                allowed = old + change - (change @ rows.t()) @ rows
                for name, weight in as_weights(connection, allowed).items():
                    weights[name].copy_(weight.view_as(weights[name]))

    def describe(self) -> dict[str, Any]:
        """Which connections have how many rows, by the name of these."""
        each = self._present().items()
        return {name: {"connection": c.path, "rows": n} for name, (c, n) in each}

    def take(self, described: Any, members: Members) -> None:
        """Takes what `describe` gave; the rows themselves come with the weights."""
        for name, values in mapping("protects", described).items():
            found = entries(f"protects.{name}", values, ("connection", "rows"))
            connection, n = member("connection", found["connection"], members), found["rows"]
            if not isinstance(connection, Connection) or not isinstance(n, int) or n < 1 or "." in name:
                raise DataError(f"protects.{name} must name a connection and its rows, got {values!r:.80}")
            self._rows[name] = connection, n

    def _present(self) -> dict[str, tuple[Connection, int]]:
        here = set(self._learner.network.of_kind(Connection)) if self._rows else set()
        return {name: entry for name, entry in self._rows.items() if entry[0] in here}

    def _spec(self, name: str, connection: Connection, n: int) -> ParameterSpec:
        shape = (n, n_inputs(connection))
        return ParameterSpec(f"{self._learner.path}.{name}", shape, np.zeros(shape, np.float32), trainable=False)

    def _kept(self) -> Iterator[tuple[Connection, Tensor]]:
        for name, (connection, _) in self._present().items():
            yield connection, self._learner.network.store[f"{self._learner.path}.{name}"]

    def _weights(self, connection: Connection) -> dict[str, Tensor]:
        store = self._learner.network.store
        named = {name: f"{connection.path}.{name}" for name in ("weight", "bias")}
        return {name: store[path] for name, path in named.items() if path in store}

    def _name(self, connection: Connection) -> str:
        """The name of a connection's rows, a free one where it has none yet."""
        known = [name for name, (other, _) in self._rows.items() if other is connection]
        fresh = f"rows_{connection.path.replace('.', '/')}"
        while fresh in self._rows:
            fresh += "_"
        return known[0] if known else fresh

    def _begun(self, connection: Connection, n: int) -> Growth:
        network, name = self._learner.network, f"{self._learner.path}.{self._name(connection)}"
        old = as_array(network.store[name]) if name in network.store else np.zeros((0, n_inputs(connection)))
        fresh = orthonormal(n, old, network.generator)
        return Growth(connection, torch.from_numpy(np.concatenate([old, fresh])), len(old))

    def _checked(self, data: Any, rows: Any, epochs: Any) -> dict[Connection, int]:
        """How many rows each connection is to get; an error for what cannot have them."""
        learner = self._learner
        if not isinstance(data, Dataloader):
            raise ParameterError(f"Learner.protect: data must be a Dataloader, got {type(data).__name__}; wrap it")
        _check_count("epochs", epochs)
        trained = [c for c in learner.network.connections if learner.trains(c) and c.is_parameter]
        wanted = dict(rows) if isinstance(rows, Mapping) else dict.fromkeys(trained, rows)
        for connection, n in wanted.items():
            if connection not in trained:
                raise ParameterError(f"Learner.protect.rows: learner {learner.name!r} does not train {connection!r}")
            _check_count("rows", n)
            lateral(connection, 1)
            if not isinstance(connection.pre, (NeuronGroup, Encoder, Generator)):
                raise UnsupportedError(
                    f"Learner.protect: what flows into {connection.path!r} is that of a {connection.pre.kind}, which "
                    "is not seen from outside; name other connections: rows={net.a: 40}"
                )
            taken = next((m for other, m in self._rows.values() if other is connection), 0)
            if taken + n > (most := n_inputs(connection)):
                raise ParameterError(
                    f"Learner.protect.rows: connection {connection.path!r} has {most} inputs, of which {taken} are "
                    f"taken; {n} more leave nothing to learn"
                )
        return wanted


def _check_count(name: str, value: Any) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ParameterError(f"Learner.protect.{name} must be a whole number from 1 on, got {value!r}")
