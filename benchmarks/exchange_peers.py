"""What libsonata, pynwb and NWB Inspector say of exported files: prints it as JSON.

Runs in an environment of its own, without spikeloom; its argument is a folder with out.h5 and out.nwb.
"""

import json
import sys
from importlib.metadata import version
from pathlib import Path

import libsonata
import pynwb
from nwbinspector import Importance, inspect_nwbfile

PACKAGES = ("libsonata", "pynwb", "nwbinspector")


def sonata_spikes(path: Path) -> dict[str, list]:
    """The spikes (node id, time in ms) of each population, and how it says that they are sorted."""
    reader = libsonata.SpikeReader(str(path))
    populations = {name: reader[name] for name in reader.get_population_names()}
    return {name: [str(found.sorting), found.get()] for name, found in populations.items()}


def nwb_spikes(path: Path) -> list[list]:
    """Node, layer, sample, neuron and spike times in s of each unit."""
    with pynwb.NWBHDF5IO(path, "r") as io:
        units = io.read().units.to_dataframe()
    return [[u.node, u.layer, int(u["sample"]), int(u.neuron), list(u.spike_times)] for _, u in units.iterrows()]


def main() -> None:
    folder = Path(sys.argv[1])
    serious = Importance.BEST_PRACTICE_VIOLATION
    messages = inspect_nwbfile(nwbfile_path=folder / "out.nwb", importance_threshold=serious)
    said = {
        "packages": {name: version(name) for name in PACKAGES},
        "sonata": sonata_spikes(folder / "out.h5"),
        "nwb": nwb_spikes(folder / "out.nwb"),
        "validator": [str(error) for error in pynwb.validate(path=str(folder / "out.nwb"))],
        "inspector": [f"{m.check_function_name} at {m.location}: {m.message}" for m in messages],
    }
    print(json.dumps(said))


if __name__ == "__main__":
    main()
