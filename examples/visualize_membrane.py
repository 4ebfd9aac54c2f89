"""Draws membrane potentials of a `.pt` file of neuron data: one panel a neuron.

python examples/visualize_membrane.py 4_layer_snn_data_lif.pt --neurons 0 5 7 --threshold 1.0
"""

import argparse
from pathlib import Path

import numpy as np

from spikeloom.analysis import plots
from spikeloom.datasets import read_neuron_data
from spikeloom.errors import SpikeloomError


def arguments():
    parser = argparse.ArgumentParser(description="Draws the membrane potentials (T, N) of a .pt file.")
    parser.add_argument("data", type=Path, help="the .pt file: a dictionary of tensors with membrane_potential (T, N)")
    parser.add_argument("--dt", type=float, help="the time of a step in ms (default: what the file says, else 1)")
    parser.add_argument("--neurons", type=int, nargs="+", help="which neurons (default: the three that fire most)")
    parser.add_argument("--threshold", type=float, help="a threshold to draw as a line")
    parser.add_argument("--transposed", action="store_true", help="the file holds (N, T)")
    parser.add_argument("--out", type=Path, help="the picture, .png or .svg (default: <name>_membrane.png)")
    return parser.parse_args()


def main():
    given = arguments()
    data = read_neuron_data(given.data, transposed=given.transposed)
    dt = given.dt or (float(data["dt"]) if "dt" in data.tensors else 1.0)
    v = np.asarray(data["membrane_potential"], float)
    # An exported session has no value (NaN) where no potential was kept.
    kept = ~np.isnan(v).all(axis=1)
    step = np.asarray(data["step"]) if "step" in data.tensors else np.arange(len(v))
    busiest = np.argsort(-np.asarray(data.spikes).sum(axis=0, dtype=int), kind="stable")[:3]
    figure = plots.membrane_traces(
        v[kept],
        dt,
        time=step[kept] * dt,
        neurons=given.neurons or sorted(busiest.tolist()),
        threshold=given.threshold,
        title=f"Membrane potential, {given.data.name}",
    )
    print(plots.save(figure, given.out or given.data.with_name(f"{given.data.stem}_membrane.png")))


if __name__ == "__main__":
    try:
        main()
    except (SpikeloomError, OSError) as error:
        raise SystemExit(f"error: {error}") from error
