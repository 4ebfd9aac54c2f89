"""Single steps of runs that go on, which a recorder keeps and looks at later: none is lost, late or out of order."""

import os
import signal
import threading
import time

import numpy as np
import pytest
import torch

from spikeloom import RecorderConfig, SimulationRecorder
from spikeloom.backends import TorchBackend
from spikeloom.network import Connection, Encoder, Network, NeuronGroup, StateMonitor
from spikeloom.recording import Run, Session
from spikeloom.recording.batches import SpikeBatch
from spikeloom.recording.steps import Steps
from spikeloom.recording.track import Track

LAYERS = ("input", "hidden")


def recorder(folder, session="s", node_id="main", **settings):
    settings = {"flush_interval": 1000, "min_free_bytes": 0, **settings}
    config = RecorderConfig(enable_recording=True, output_dir=folder, session_name=session, **settings)
    return SimulationRecorder(config, node_id=node_id)


def network(seed=3, n_samples=2):
    net = Network()
    net.input = Encoder(6, coding_method="poisson")
    net.hidden = NeuronGroup(70, model="lif")
    net.up = Connection(net.input, net.hidden, link_type="full", weight=np.full((70, 6), 0.5))
    net.set_backend(TorchBackend(dt=1.0))
    net.set_random_seed(seed)
    net.input(torch.full((n_samples, 6), 0.3))
    return net


def stepped(net, n_steps, record):
    net.run(1.0, record=record)
    for _ in range(n_steps - 1):
        net.run_continue(1.0, record=record)


def truth(n_steps, seed=3, n_samples=2):
    """What monitors see of the same steps, by layer."""
    net = network(seed, n_samples)
    net.i, net.h = StateMonitor(net.input, "spikes"), StateMonitor(net.hidden, "spikes")
    stepped(net, 1, False)
    seen = [[np.asarray(m.values)] for m in (net.i, net.h)]
    for _ in range(n_steps - 1):
        net.run_continue(1.0, record=False)
        for each, m in zip(seen, (net.i, net.h), strict=True):
            each.append(np.asarray(m.values)[..., -1:])
    return [np.moveaxis(np.concatenate(each, -1), -1, 0) for each in seen]


def found(path, node="main"):
    with Session(path) as session:
        return [np.concatenate([batch.spikes.raster() for batch in session.spikes(node, layer)]) for layer in LAYERS]


def same(a, b):
    return all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


@pytest.fixture
def kept(monkeypatch):
    """How many steps were kept for later."""
    taken, call = [], Steps.__call__

    def counted(self, *given):
        taken.append(call(self, *given))
        return taken[-1]

    monkeypatch.setattr(Steps, "__call__", counted)
    return taken


@pytest.mark.parametrize("n_samples", [1, 2])
@pytest.mark.parametrize("settings", [{}, {"batch_steps": 7}, {"buffer_size": 12}, {"auto_flush": False}])
def test_single_steps_are_recorded_in_order_whatever_the_buffer(tmp_path, settings, n_samples, kept):
    with recorder(tmp_path, **settings) as r:
        stepped(network(n_samples=n_samples), 300, r)
        assert sum(kept) > 100
    assert same(found(r.path), truth(300, n_samples=n_samples))
    with Session(r.path) as session:
        assert session.runs("main", "hidden") == [Run(0, 300, n_samples)]


def test_what_is_kept_is_counted_at_once_and_on_the_disk_after_flush_all(tmp_path, kept):
    with recorder(tmp_path) as r:
        stepped(network(), 10, r)
        assert kept == [True] * 9
        assert r.get_statistics()["steps"]["main"] == dict.fromkeys(LAYERS, 10)
        r.flush_all()
        assert same(found(r.path), truth(10))


def test_what_is_kept_is_on_the_disk_after_the_flush_interval_without_a_call(tmp_path):
    with recorder(tmp_path, flush_interval=0.05) as r:
        stepped(network(), 10, r)
        for _ in range(400):
            if r._intake.background._n_steps == 0:
                break
            threading.Event().wait(0.05)
        assert same(found(r.path), truth(10))


def test_a_duration_cuts_kept_steps_at_its_step(tmp_path, kept):
    with recorder(tmp_path, max_recording_duration=0.033) as r:
        stepped(network(), 50, r)
        assert sum(kept) == 49
        assert r.get_statistics()["steps"]["main"] == dict.fromkeys(LAYERS, 33)
        assert r.stopped_by.startswith("max_recording_duration")
        assert r._intake.background._n_steps == 66
        r.flush_all()
        assert r._intake.background._n_steps == r._intake.background._nbytes == 0
    assert same(found(r.path), truth(33))


def test_other_data_of_a_layer_comes_after_the_steps_that_are_kept(tmp_path):
    with recorder(tmp_path) as r:
        stepped(network(n_samples=1), 5, r)
        r.record_spike_data("main", "hidden", np.ones(70, np.int8))
    raster = found(r.path)[1]
    assert np.array_equal(raster[:5], truth(5, n_samples=1)[1])
    assert raster[5:].all()
    assert len(raster) == 6


def test_two_threads_step_their_networks_into_one_recorder(tmp_path, monkeypatch):
    """While one looks at what was kept, which takes a while here, the other loses none of its steps."""
    parts = Steps.parts

    def slow(steps, taken):
        time.sleep(0.02)
        return parts(steps, taken)

    monkeypatch.setattr(Steps, "parts", slow)
    with recorder(tmp_path) as r:
        other = network(5)
        nets = [network(3), other]
        layers = [{"hidden": "spikes"}, {"input": "spikes"}]
        threads = [
            threading.Thread(target=stepped, args=(net, 200, r.only(choice)))
            for net, choice in zip(nets, layers, strict=True)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    inputs, hidden = found(r.path)
    assert np.array_equal(hidden, truth(200, 3)[1])
    assert np.array_equal(inputs, truth(200, 5)[0])


def test_a_program_that_fails_leaves_the_steps_before(tmp_path):
    def program():
        with recorder(tmp_path) as r:
            stepped(network(), 8, r)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        program()
    assert same(found(tmp_path / "s"), truth(8))


@pytest.mark.parametrize("where", [(Track, "add"), (SpikeBatch, "joined"), (Track, "_fits")])
def test_ctrl_c_while_kept_steps_are_looked_at_loses_none_and_doubles_none(tmp_path, monkeypatch, where):
    owner, name = where
    original, calls = getattr(owner, name), []

    def interrupted(*given):
        calls.append(name)
        if len(calls) == (1 if name == "joined" else 3):
            os.kill(os.getpid(), signal.SIGINT)
        return original(*given)

    with recorder(tmp_path, batch_steps=5) as r:
        stepped(network(), 40, r)
        monkeypatch.setattr(owner, name, staticmethod(interrupted) if name == "joined" else interrupted)
        for _ in range(4):
            try:
                r.get_statistics()
            except KeyboardInterrupt:
                calls.append("interrupted")
                break
        monkeypatch.undo()
        assert calls[-1] == "interrupted"
    assert same(found(r.path), truth(40))
