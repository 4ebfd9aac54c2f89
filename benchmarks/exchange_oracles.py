"""Exported files as other programs read them: libsonata, pynwb with its validator, NWB Inspector.

Fails where one of them reads other spikes than the session has, or finds a violation of the format or of best practice.
"""

import sys
import tempfile
from pathlib import Path

from results import HERE, peer_python, run_process

sys.path.insert(0, str(HERE.parent / "tests" / "contracts"))
from recorded_sessions import full_session, recorded

from spikeloom.recording.exchange import export

TOLERANCE_MS = 1e-9


def differs(found: list[tuple[float, int]], expected: list[tuple[float, int]]) -> bool:
    """Whether two lists of (time in ms, neuron) are not the same."""
    pairs = zip(sorted(found), sorted(expected), strict=False)
    return len(found) != len(expected) or any(abs(a - b) > TOLERANCE_MS or n != m for (a, n), (b, m) in pairs)


def complaints(session: dict, said: dict) -> list[str]:
    """What is wrong with what the peers read."""
    found = [f"pynwb's validator: {text}" for text in said["validator"]]
    found += [f"NWB Inspector: {text}" for text in said["inspector"]]
    nwb: dict[tuple, list] = {}
    for node, layer, sample, neuron, times in said["nwb"]:
        nwb.setdefault((node, layer, sample), []).extend((t * 1000, neuron) for t in times)
    for (node, layer), about in session.items():
        for sample in range(max(run.n_samples for run in about["runs"])):
            expected = [(step * about["dt"], neuron) for b, step, neuron, _ in about["events"] if b == sample]
            sorting, spikes = said["sonata"].get(f"{node}:{layer}:{sample}", ("missing", []))
            if sorting != "by_time" or differs([(t, n) for n, t in spikes], expected):
                found.append(f"libsonata reads other spikes of {node}/{layer}, sample {sample}")
            if differs(nwb.get((node, layer, sample), []), expected):
                found.append(f"pynwb reads other spikes of {node}/{layer}, sample {sample}")
    return found


def main() -> int:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = full_session(folder)
        export(path, folder / "out.nwb")
        export(path, folder / "out.h5", kinds=["spikes"])
        session = recorded(path)
        said = run_process([str(peer_python("analysis")), str(HERE / "exchange_peers.py"), name], limit=300)
    found = complaints(session, said)
    versions = ", ".join(" ".join(package) for package in said["packages"].items())
    print("\n".join(found) or f"exported files are read as they were by {versions}")
    return min(1, len(found))


if __name__ == "__main__":
    sys.exit(main())
