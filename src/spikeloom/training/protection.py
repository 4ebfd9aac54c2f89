"""What the weights of a learner are kept off from: the directions of earlier tasks, a `subspace` a connection."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..datasets import Dataloader
from ..errors import DataError, ParameterError, StateError, UnsupportedError
from ..network import Component, Connection, Encoder, Generator, Members, NeuronGroup, Tap, member
from ..network.parameters import ParameterSpec, as_array
from ..network.values import entries, mapping
from .evaluation import ends, evaluating
from .subspace import Growth, as_rows, as_weights, lateral, n_inputs, orthonormal

if TYPE_CHECKING:
    from .learner import Learner


class Protection:
    """The rows of each connection as learned, by the name under which the parameter store keeps them."""

    def __init__(self, learner: Learner) -> None:
        self._learner = learner
        self._rows: dict[str, tuple[Connection, NDArray[np.float32]]] = {}

    def specs(self) -> list[ParameterSpec]:
        """The rows (n, inputs) of each connection that is in the network."""
        here = self._present().items()
        return [ParameterSpec(self._key(name), rows.shape, rows, trainable=False) for name, (_, rows) in here]

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
        for name, found in {name: growth.learnt() for name, growth in grown.items()}.items():
            self._rows[name] = grown[name].connection, found.float().numpy()
            network.store.put(self._key(name), self._rows[name][1].copy())
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
        return {name: {"connection": c.path, "rows": len(rows)} for name, (c, rows) in each}

    def take(self, described: Any, members: Members) -> None:
        """Takes what `describe` gave; the rows themselves come with the weights."""
        for name, values in mapping("protects", described).items():
            found = entries(f"protects.{name}", values, ("connection", "rows"))
            connection, n = member("connection", found["connection"], members), found["rows"]
            counted = isinstance(n, int) and not isinstance(n, bool) and bool(name) and "." not in name
            fresh = all(connection is not c for c, _ in self._rows.values())
            if not isinstance(connection, Connection) or not (counted and fresh) or not 1 <= n <= n_inputs(connection):
                raise DataError(
                    f"protects.{name} must name a connection once, and as many rows as it has inputs at most, "
                    f"got {values!r:.80}"
                )
            self._rows[name] = connection, np.zeros((n, n_inputs(connection)), np.float32)

    def _present(self) -> dict[str, tuple[Connection, NDArray[np.float32]]]:
        here = set(self._learner.network.of_kind(Connection)) if self._rows else set()
        return {name: entry for name, entry in self._rows.items() if entry[0] in here}

    def _key(self, name: str) -> str:
        return f"{self._learner.path}.{name}"

    def _kept(self) -> Iterator[tuple[Connection, Tensor]]:
        for name, (connection, _) in self._present().items():
            rows = self._learner.network.store[self._key(name)]
            if not rows.any():
                raise StateError(
                    f"learner {self._learner.name!r} keeps {connection.path!r} off directions that are not there; load "
                    "the weights that were saved with the network"
                )
            yield connection, rows

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
        network, key = self._learner.network, self._key(self._name(connection))
        old = as_array(network.store[key]) if key in network.store else np.zeros((0, n_inputs(connection)))
        fresh = orthonormal(n, old, network.generator)
        return Growth(connection, torch.from_numpy(np.concatenate([old, fresh])), len(old))

    def _checked(self, data: Any, rows: Any, epochs: Any) -> dict[Connection, int]:
        """How many rows each connection is to get; an error for what cannot have them."""
        learner = self._learner
        if not isinstance(data, Dataloader):
            raise ParameterError(f"Learner.protect: data must be a Dataloader, got {type(data).__name__}; wrap it")
        if len(data) == 0:
            raise DataError("Learner.protect: data gives no batches; it holds fewer samples than one batch")
        _check_count("epochs", epochs)
        trained = [c for c in learner.network.connections if learner.trains(c) and c.is_parameter]
        wanted = dict(rows) if isinstance(rows, Mapping) else dict.fromkeys(trained, rows)
        if not wanted:
            raise ParameterError(f"Learner.protect.rows: no connection that learner {learner.name!r} trains is named")
        for connection, n in wanted.items():
            if not isinstance(connection, Connection) or connection not in trained:
                what = connection.name if isinstance(connection, Component) else connection
                raise ParameterError(f"Learner.protect.rows: learner {learner.name!r} trains no connection {what!r}")
            _check_count("rows", n)
            self._check_kept_off(connection)
            taken = next((len(found) for other, found in self._rows.values() if other is connection), 0)
            if taken + n > (most := n_inputs(connection)):
                raise ParameterError(
                    f"Learner.protect.rows: connection {connection.path!r} has {most} inputs, of which {taken} are "
                    f"taken; {n} more leave nothing to learn"
                )
        return wanted

    def _check_kept_off(self, connection: Connection) -> None:
        """Raises UnsupportedError where inputs are not seen, or not all changes of the weights are those of its own
        optimizer."""
        lateral(connection, 1)
        if not isinstance(connection.pre, (NeuronGroup, Encoder, Generator)):
            raise UnsupportedError(
                f"Learner.protect: what flows into {connection.path!r} is that of a {connection.pre.kind}, which "
                "is not seen from outside; name other connections: rows={net.a: 40}"
            )
        learners, path = self._learner.network.learners, connection.path
        rules = [p for learner in learners for p in learner.plasticities() if p.connection is connection and p.apply]
        moved = [f"learner {p.learner!r} changes {path!r} by its rule" for p in rules]
        others = [other for other in learners if other is not self._learner and other.by_gradient]
        moved += [f"learner {other.path!r} trains {path!r} too" for other in others if other.trains(connection)]
        if moved:
            raise UnsupportedError(
                f"Learner.protect: {moved[0]}, and only what the optimizer of {self._learner.name!r} does keeps off "
                "directions; let that alone train it"
            )


def _check_count(name: str, value: Any) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ParameterError(f"Learner.protect.{name} must be a whole number from 1 on, got {value!r}")
