"""Draws the spikes of a `.pt` file of neuron data: a raster, and below it the rate over time.

python examples/visualize_spikes.py 4_layer_snn_data_lif.pt --dt 1.0 --out spikes.png
"""

import argparse
from pathlib import Path

from spikeloom.analysis import plots
from spikeloom.datasets import read_neuron_data
from spikeloom.errors import SpikeloomError


def arguments():
    parser = argparse.ArgumentParser(description="Draws the spikes (T, N) of a .pt file as a raster and a rate.")
    parser.add_argument("data", type=Path, help="the .pt file: a dictionary of tensors with spikes (T, N)")
    parser.add_argument("--dt", type=float, help="the time of a step in ms (default: what the file says, else 1)")
    parser.add_argument("--bin", type=float, help="the bins of the rate in ms (default: a fiftieth of the recording)")
    parser.add_argument("--max-neurons", type=int, help="how many neurons the raster shows (default: all)")
    parser.add_argument("--transposed", action="store_true", help="the file holds (N, T)")
    parser.add_argument("--out", type=Path, help="the raster, .png or .svg; the rate lies beside it as <name>_rate")
    return parser.parse_args()


def main():
    given = arguments()
    data = read_neuron_data(given.data, transposed=given.transposed)
    dt = given.dt or (float(data["dt"]) if "dt" in data.tensors else 1.0)
    spikes = data.to_spikes(dt)
    out = given.out or given.data.with_name(f"{given.data.stem}_spikes.png")
    title = f"Spikes of {given.data.name}"
    raster = plots.raster(spikes, max_neurons=given.max_neurons, title=title)
    rate = plots.rate_timeline(spikes, given.bin or max(dt, spikes.duration / 50), title=f"Rate of {given.data.name}")
    print(plots.save(raster, out))
    print(plots.save(rate, out.with_name(f"{out.stem}_rate{out.suffix}")))


if __name__ == "__main__":
    try:
        main()
    except (SpikeloomError, OSError) as error:
        raise SystemExit(f"error: {error}") from error
