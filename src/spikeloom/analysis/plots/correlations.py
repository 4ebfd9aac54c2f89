"""How alike the trains of neurons are, pair by pair."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from ...errors import ParameterError, ShapeError
from ..style import DIVERGING, GREY, colour_bar, dress, folded, new_figure

_NAMED = 20


def correlation_matrix(
    matrix: ArrayLike, *, neurons: Sequence[int] | None = None, title: str = "Correlation of spike counts"
) -> Figure:
    """A figure of the correlations (N, N) of neurons, white where there is none; neurons that were silent are grey.

    A silent neuron has no correlation: its row and column are NaN. neurons: the ids of the N, by default 0 to N - 1.
    The colours end at the strongest correlation between two neurons, so that weak ones can be seen. Raises ShapeError
    for what is not square, ParameterError for values out of -1..1, for NaN elsewhere and for what is not symmetric.
    """
    values = np.array(matrix, float)
    n = len(values) if values.ndim else 0
    if values.shape != (n, n) or not n:
        raise ShapeError(f"correlation_matrix.matrix must have shape (N, N), got {values.shape}")
    ids = list(range(n)) if neurons is None else list(neurons)
    if len(ids) != n:
        raise ShapeError(f"correlation_matrix.neurons must be the ids of {n} neurons, got {len(ids)}")
    silent = np.isnan(values).all(axis=1)
    known = values[np.ix_(~silent, ~silent)]
    if np.isnan(known).any() or (np.abs(known) > 1 + 1e-9).any() or not np.allclose(known, known.T, atol=1e-9):
        raise ParameterError(
            "correlation_matrix.matrix must be symmetric, in -1..1, and NaN only in whole rows and columns, those of "
            "silent neurons"
        )
    pairs = known[np.triu_indices(len(known), 1)]
    top = max(float(np.abs(pairs).max(initial=0)), 1e-3) if len(pairs) else 1.0
    told = [f"mean of pairs {round(float(pairs.mean()), 3) + 0.0:.3f}"] if len(pairs) else []
    told += [f"{silent.sum()} of {n} silent (grey)"] if silent.any() else []
    figure = new_figure(5.6, 4.8)
    head = f"{folded(title, 4.6)}\n{', '.join(told)}".rstrip()
    axes = dress(figure.add_subplot(), head, "neuron", "neuron", grid=None)
    axes.set_facecolor(GREY)
    image = axes.imshow(
        np.ma.masked_invalid(values), cmap=DIVERGING, vmin=-top, vmax=top, interpolation="nearest", origin="lower"
    )
    shown = range(n) if n <= _NAMED else range(0, n, -(-n // 8))
    axes.set_xticks(shown, [str(ids[k]) for k in shown], rotation=90 if n > 8 and max(ids) > 99 else 0)
    axes.set_yticks(shown, [str(ids[k]) for k in shown])
    colour_bar(image, axes, "correlation", above=top < 1)
    return figure
