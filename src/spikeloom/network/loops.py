"""Which nodes of a directed graph lie in one loop."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from typing import TypeVar

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

K = TypeVar("K", bound=Hashable)


def strong_components(nodes: Sequence[K], edges: Iterable[tuple[K, K]]) -> dict[K, int]:
    """The number of the strongly connected component of each node; two nodes of one component lie in a loop."""
    index = {node: k for k, node in enumerate(nodes)}
    pairs = np.array([(index[a], index[b]) for a, b in edges], dtype=int).reshape(-1, 2)
    matrix = coo_matrix((np.ones(len(pairs)), pairs.T), shape=(len(index), len(index)))
    labels = connected_components(matrix, directed=True, connection="strong")[1]
    return {node: int(labels[k]) for node, k in index.items()}
