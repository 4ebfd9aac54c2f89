"""An image of a weight matrix, or of its rows as fields."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ParameterError, ShapeError


def plot_weight(
    weight: NDArray[Any],
    *,
    reshape: bool = False,
    n_sqrt: int | None = None,
    side: int | None = None,
    im: Any = None,
    cmap: str = "hot_r",
    wmin: float | None = None,
    wmax: float | None = None,
    figsize: tuple[float, float] = (5.0, 5.0),
) -> Any:
    """A matplotlib image of a weight (post, pre); its `.figure` can be shown or saved.

    reshape: each row as a square of side x side inputs, in n_sqrt rows and columns of squares. wmin, wmax: the weights
    at the ends of the colour map (default: the least and the greatest). im: an image made before, to be updated.
    """
    from matplotlib.figure import Figure

    shown = _fields(weight, n_sqrt, side) if reshape else weight
    if shown.ndim != 2:
        raise ShapeError(f"plot_weight shows a weight (post, pre), got shape {shown.shape}")
    if im is not None:
        im.set_data(shown)
        return im
    axes = Figure(figsize=figsize, layout="constrained").add_subplot()
    image = axes.imshow(shown, cmap=cmap, vmin=wmin, vmax=wmax, aspect="auto", interpolation="nearest")
    axes.set_xticks([])
    axes.set_yticks([])
    image.figure.colorbar(image, ax=axes)
    return image


def _fields(weight: NDArray[Any], n_sqrt: int | None, side: int | None) -> NDArray[Any]:
    if n_sqrt is None or side is None:
        raise ParameterError("plot_weight: reshape=True needs n_sqrt (squares a row) and side (inputs a row)")
    if weight.size != (n_sqrt * side) ** 2:
        raise ShapeError(f"plot_weight: {n_sqrt} x {n_sqrt} squares of {side} x {side} are not shape {weight.shape}")
    squares = np.reshape(weight, (n_sqrt, n_sqrt, side, side)).transpose(0, 2, 1, 3)
    return squares.reshape(n_sqrt * side, n_sqrt * side)
