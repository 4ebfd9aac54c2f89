"""NIR, the Neuromorphic Intermediate Representation (Pedersen et al., 2024, Nature Communications 15:8122).

What stands for what, for steps of dt, with decay = exp(-dt / tau), in the file times in s and R = r:

    if        IF, R = 1 / dt; I where it emits its potential
    lif, li   LIF, LI: tau = tau_m, v_leak = v_rest, R = 1 / (1 - decay), or 1 with scale_input
    cubalif   CubaLIF, for 'exact'
    LowPass   for 'euler' part of CubaLIF where every input of a lif has the same: w_in = 1 / (1 - decay), or 1 with
              normalise; else an LI of its own behind the weights
    full, sparse, random, ...   Linear, Affine: those with lists of synapses as the matrix
    one_to_one    Scale; null and populations of `null` are edges
    conv          Conv2d, with AvgPool2d behind it for pool='avg'
    pool          AvgPool2d; SumPool2d where its scale is the size of the window
    delay         Delay before the weights; Flatten where a shape becomes flat
    encoder       Input; decoder: Output; without decoders one Output for each population at the end; what flows into
                  an Output from several nodes, an Input or a Delay is added by a population of `null` before it

Not in NIR, and an error that names the component: clif and every other model, resets other than to a value, maximum
pooling, filters other than LowPass, delays and settings of single synapses, a bias that comes late with its delay or
loop. Encodings, monitors and learners stay behind.

The promise: a reader that integrates by the named method in steps of dt, takes its inputs without further delay, and
carries what flows back in a loop over one step, has our potentials to the rounding of its numbers, and our spikes but
where a potential meets its threshold exactly (NIR fires for v > v_threshold, we for v >= v_th) or to that rounding.
'euler' is what snnTorch reads and writes, with dt = 0.1 ms; 'exact' is the solution of the equations for inputs that
are constant over a step. The methods differ by (dt / tau_m)^2 / 2 a step.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import DataError, ParameterError, UnsupportedError
from .graph import network_of
from .network import Network
from .nir_export import Export
from .nir_file import read_file, write_file
from .nir_import import parts_of
from .nir_time import MS, Clock
from .values import at

Name = str | os.PathLike[str]


def to_nir(network: Network, path: Name | None = None, integration: str = "exact") -> Any:
    """The network as a `nir.NIRGraph`; with a path the file that was written, for which `nir` need not be there.

    integration: the method of the reader, 'exact' or 'euler'. Raises UnsupportedError, which names the component, for
    what NIR does not have, and where no path is given and the package `nir` is not there.
    """
    graph = Export(network, Clock(network.backend.dt, integration)).graph()
    if path is None:
        return _package().dict2NIRNode(graph)
    file = Path(path)
    write_file(file, graph)
    return str(file)


def from_nir(
    source: Any, dt: float | None = None, integration: str | None = None, coding_method: str = "null"
) -> Network:
    """The network of a NIR graph: a `nir.NIRGraph`, or a file.

    dt in ms and integration ('exact' or 'euler'): how the graph becomes steps; by default what the file was written
    for where it says so, else 0.1 ms and 'exact'. coding_method: how the encoders take their data. A node between
    weights and weights becomes a population without memory. Raises DataError, which names the node, for what is wrong.
    """
    if isinstance(source, str | os.PathLike):
        graph: Any = read_file(Path(source))
    elif hasattr(source, "to_dict"):
        graph = source.to_dict()
    else:
        raise ParameterError(f"Network.from_nir takes a nir.NIRGraph or the path of a file, got {source!r:.80}")
    where = str(source) if isinstance(source, str | os.PathLike) else "NIR"
    with at(where):
        own_dt, own_integration = _written_for(graph)
    clock = Clock(own_dt if dt is None else dt, integration or own_integration)
    with at(where):
        nodes, edges = parts_of(graph, clock)
        network = network_of(nodes, edges, coding_method)
    network.set_backend_dt(clock.dt)
    return network


def _written_for(graph: Mapping[str, Any]) -> tuple[float, str]:
    """dt in ms and integration that a graph of ours was written for, else the defaults."""
    metadata = graph.get("metadata")
    if not isinstance(metadata, Mapping) or metadata.get("producer") != "spikeloom":
        return 0.1, "exact"
    dt, integration = metadata.get("dt"), metadata.get("integration")
    if not isinstance(dt, float | np.floating) or not isinstance(integration, str):
        raise DataError(f"metadata must hold dt in s and integration, got {dt!r:.80} and {integration!r:.80}")
    return round(float(dt) * MS, 12), integration


def _package() -> Any:
    try:
        import nir
    except ImportError as error:
        raise UnsupportedError(
            "Network.to_nir without a path gives a nir.NIRGraph, for which the package nir must be installed: "
            "pip install 'spikeloom[nir]'; with a path the file is written without it"
        ) from error
    return nir
