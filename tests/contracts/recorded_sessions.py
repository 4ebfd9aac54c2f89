"""Sessions that the tests of exchange write out and read back, with what was put into them."""

import json

import numpy as np

from spikeloom.recording import MembraneBatch, RecorderConfig, Sampling, Session, SimulationRecorder, SpikeBatch
from spikeloom.recording.writing import NodeWriter
from spikeloom.spikes import Spikes


def raster(generator, shape, rate=0.2):
    """An int8 raster of 0 and 1."""
    return (generator.random(shape) < rate).astype(np.int8)


def full_session(folder):
    """Two nodes; runs of different sizes with a gap, two samples and three, potentials, weights, control states."""
    generator = np.random.default_rng(0)
    path = folder / "whole"
    front = NodeWriter(path, "front", RecorderConfig(enable_recording=True))
    front.metadata({"seed": 3})
    for start, n_samples in ((0, 2), (20, 2), (47, 3)):
        spikes = Spikes.from_raster(raster(generator, (20, n_samples, 2, 3)), 0.1)
        front.write("hidden", SpikeBatch(start, spikes, (20,)), Sampling())
        v = generator.random((20, n_samples, 2, 3)).astype(np.float32)
        front.write("hidden", MembraneBatch(start, 20, 0.1, np.arange(20), v, (20,)), Sampling())
    front.weights("input_hidden", generator.random((3, 6)), 0.0)
    front.weights("input_hidden", generator.random((3, 6)), 2.0)
    front.close()
    back = NodeWriter(path, "back-1", RecorderConfig(enable_recording=True))
    silent = Spikes.from_raster(np.zeros((30, 1, 4), np.int8), 1.0)
    back.write("silent", SpikeBatch(0, silent), Sampling())
    back.write("votes", SpikeBatch(0, Spikes.from_raster(raster(generator, (30, 1, 5)), 1.0), (30,)), Sampling())
    back.close()
    state = {"node_id": "front", "module_type": "pfc", "status": "Idle", "timestamp": 1.6e9, "step_count": 3}
    line = json.dumps({**state, "metadata": {"entropy": 0.5, "memory": {"size": 3}}})
    (path / "control_states.front.jsonl").write_text(line + "\n")
    return path


def graded_session(folder):
    """One layer of spikes with values -3 to 3, and one of float values."""
    generator = np.random.default_rng(1)
    writer = NodeWriter(folder / "graded", "main", RecorderConfig(enable_recording=True))
    values = np.where(generator.random((25, 2, 4)) < 0.3, generator.integers(-3, 4, (25, 2, 4)), 0)
    writer.write("levels", SpikeBatch(0, Spikes.from_raster(values, 1.0), (25,)), Sampling())
    reals = np.where(generator.random((25, 1, 4)) < 0.3, generator.random((25, 1, 4)), 0).astype(np.float32)
    writer.write("reals", SpikeBatch(0, Spikes.from_raster(reals, 1.0), (25,)), Sampling())
    writer.close()
    return folder / "graded"


def thinned_session(folder, mode):
    """One layer of 20 neurons of which half was kept, by a recorder."""
    config = RecorderConfig(
        enable_recording=True,
        output_dir=folder,
        session_name=f"thinned_{mode}",
        spike_subsample_rate=0.5,
        spike_subsample_mode=mode,
    )
    with SimulationRecorder(config) as recorder:
        recorder.record_spike_data("main", "layer", raster(np.random.default_rng(2), (50, 20)))
    return recorder.path


def simple_session(folder, n_steps=40, n_neurons=6, name="simple"):
    """One node, layer, sample and run, with potentials."""
    generator = np.random.default_rng(4)
    config = RecorderConfig(enable_recording=True, record_membrane=True, output_dir=folder, session_name=name)
    with SimulationRecorder(config, dt=0.5) as recorder:
        recorder.record_spike_data("main", "layer", raster(generator, (n_steps, n_neurons)))
        recorder.record_membrane_data("main", "layer", generator.random((n_steps, n_neurons)))
    return recorder.path


def recorded(path):
    """What a session says of its spikes, batch borders aside: runs, sampling, and all spikes of all runs."""
    found = {}
    with Session(path) as session:
        for node in session.nodes():
            for layer in session.layers(node):
                events = [
                    (sample, int(step) + batch.start, int(neuron), value)
                    for batch in session.spikes(node, layer)
                    for sample, step, neuron, value in zip(
                        batch.spikes.samples().tolist(),
                        batch.spikes.grid.step.tolist(),
                        batch.spikes.ids.tolist(),
                        batch.spikes.values().tolist(),
                        strict=True,
                    )
                ]
                first = next(iter(session.spikes(node, layer)))
                sampling = session.sampling(node, layer)
                kept = None if sampling.neurons is None else sampling.neurons.tolist()
                found[node, layer] = {
                    "events": sorted(events),
                    "runs": session.runs(node, layer),
                    "shape": first.shape,
                    "dt": first.dt,
                    "sampling": (sampling.mode, sampling.rate, kept),
                }
    return found
