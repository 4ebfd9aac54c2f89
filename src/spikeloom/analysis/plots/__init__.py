"""Figures of spikes, potentials, weights and training; each function returns a matplotlib `Figure` of its own.

No global state of matplotlib is used: nothing is shown, and nothing has to be closed. `save` writes a file.
"""

from .avalanches import avalanche_sizes
from .correlations import correlation_matrix
from .intervals import isi_histogram
from .nodes import Span, node_timeline
from .potentials import membrane_traces
from .rasters import RasterAccumulator, raster
from .rates import neuron_rate_bars, population_rate, rate_timeline
from .saving import save
from .sensors import activity_animation, counts_image
from .training import confusion_matrix, inputs_beside_spikes, training_curve, training_curves
from .weights import weights_histogram, weights_matrix, weights_over_time

__all__ = [
    "RasterAccumulator",
    "Span",
    "activity_animation",
    "avalanche_sizes",
    "confusion_matrix",
    "correlation_matrix",
    "counts_image",
    "inputs_beside_spikes",
    "isi_histogram",
    "membrane_traces",
    "neuron_rate_bars",
    "node_timeline",
    "population_rate",
    "raster",
    "rate_timeline",
    "save",
    "training_curve",
    "training_curves",
    "weights_histogram",
    "weights_matrix",
    "weights_over_time",
]
