"""What a recorder takes of the runs of a network, against the monitors of the same runs."""

import json

import numpy as np
import pytest
import torch

from spikeloom import RecorderConfig, SimulationRecorder
from spikeloom.backends import TorchBackend, kernel_layer
from spikeloom.datasets import ArrayDataset, Dataloader
from spikeloom.errors import ParameterError, StateError, UnknownNameError
from spikeloom.network import Connection, Decoder, Encoder, Network, NeuronGroup, StateMonitor
from spikeloom.recording import Run, Session, get_global_recorder, set_global_recorder
from spikeloom.recording.chosen import Chosen
from spikeloom.training import Learner, evaluate, fit

N_STEPS = 40


def recorder(folder, session="s", **settings):
    settings = {"flush_interval": 1000, **settings}
    return SimulationRecorder(
        RecorderConfig(enable_recording=True, output_dir=folder, session_name=session, **settings)
    )


def network(path="auto", model="lif", *, watched=False):
    net = Network()
    net.input = Encoder(6, coding_method="poisson")
    net.hidden = NeuronGroup(70, model=model)
    net.out = NeuronGroup(3, model="lif")
    net.up = Connection(net.input, net.hidden, link_type="full", weight=np.full((70, 6), 0.5))
    net.down = Connection(net.hidden, net.out, link_type="full")
    net.decoder = Decoder(3, net.out, coding_method="spike_counts")
    if watched:
        net.spikes = StateMonitor(net.hidden, "spikes")
        net.v = StateMonitor(net.hidden, "v")
    net.set_backend(TorchBackend(dt=1.0, path=path))
    net.set_random_seed(3)
    return net


def feed(net, n_samples=2):
    net.input(torch.full((n_samples, 6), 0.3))


@pytest.fixture(autouse=True)
def no_global_recorder():
    yield
    set_global_recorder(None)


def test_both_paths_record_the_spikes_that_a_monitor_sees(tmp_path):
    found = {}
    for path in ("auto", "torch"):
        net = network(path, watched=True)
        feed(net)
        with recorder(tmp_path, path, record_membrane=True) as r:
            net.run(N_STEPS, record=r)
        with Session(r.path) as session:
            (batch,) = session.spikes("main", "hidden")
            (v,) = session.membrane("main", "hidden")
        seen = np.moveaxis(np.asarray(net.spikes.values), -1, 0)
        assert seen.sum() > 100
        assert np.array_equal(batch.spikes.raster(), seen)
        np.testing.assert_allclose(v.values, np.moveaxis(np.asarray(net.v.values), -1, 0), rtol=1e-6)
        found[path] = batch.spikes
    assert found["auto"].equals(found["torch"])


def test_spikes_that_only_a_recorder_takes_never_become_a_tensor_in_the_kernels(tmp_path, monkeypatch):
    net = Network()
    net.input = Encoder(6, coding_method="poisson")
    net.hidden = NeuronGroup(70, model="lif")
    net.up = Connection(net.input, net.hidden, link_type="full", weight=np.full((70, 6), 0.5))
    net.set_backend(TorchBackend(dt=1.0))
    net.build()
    assert "kernel path" in str(net.plan)
    feed(net)
    made = []
    original = kernel_layer.bits_to_raster
    monkeypatch.setattr(kernel_layer, "bits_to_raster", lambda *a: (made.append(a[1]), original(*a)))
    with recorder(tmp_path) as r:
        net.run(N_STEPS, record=r)
        assert made == []
    with Session(r.path) as session:
        assert session.train("main", "hidden").n_spikes > 0
    net.watch = StateMonitor(net.hidden, "spikes")
    net.run(N_STEPS)
    assert made == [70]


def test_graded_output_is_recorded_with_its_values(tmp_path):
    net = network("torch", model="li")
    feed(net, 1)
    net.v = StateMonitor(net.hidden, "v")
    with recorder(tmp_path) as r:
        net.run(N_STEPS, record=r)
    with Session(r.path) as session:
        raster = session.train("main", "hidden").raster()[:, 0]
    np.testing.assert_allclose(raster, np.asarray(net.v.values)[0].T, rtol=1e-5)


def test_runs_that_continue_one_another_are_one_run(tmp_path):
    net = network(watched=True)
    feed(net)
    with recorder(tmp_path) as r:
        net.run(5, record=r)
        for _ in range(20):
            net.run_continue(1.0, record=r)
        net.run(7, record=r)
    with Session(r.path) as session:
        assert session.runs("main", "hidden") == [Run(0, 25, 2), Run(25, 32, 2)]
        assert session.runs("main", "input") == [Run(0, 25, 2), Run(25, 32, 2)]


def test_only_takes_what_is_chosen_and_no_more(tmp_path):
    net = network(model="cubalif")
    feed(net)
    with recorder(tmp_path, record_spikes=False) as r:
        chosen = r.only({"hidden": ("v", "current"), "out": "spike"})
        net.run(N_STEPS, record=chosen)
        net.run(N_STEPS, record=r.only({"hidden": ["v", "current"], "out": "spike"}))
        assert chosen == r.only({"out": "spike", "hidden": ("current", "v")})
    with Session(r.path) as session:
        assert session.layers("main", "spikes") == ["out"]
        assert session.observables("main", "hidden") == ["v", "i_syn"]
        assert session.layers("main", "variables") == ["hidden"]
        assert session.statistics()["steps"] == {"main": {"hidden": 2 * N_STEPS, "out": 2 * N_STEPS}}


def test_an_observable_of_only_equals_what_a_monitor_sees(tmp_path):
    net = network(model="cubalif")
    net.watch = StateMonitor(net.hidden, "i_syn")
    feed(net)
    with recorder(tmp_path) as r:
        net.run(N_STEPS, record=r.only({"hidden": "i_syn"}))
    import h5py

    with h5py.File(r.path / "simulation_data.h5") as file:
        (values,) = (d[()] for d in file["variables/main/hidden/i_syn"].values())
    np.testing.assert_allclose(values, np.moveaxis(np.asarray(net.watch.values), -1, 0), rtol=1e-6)


def test_a_choice_that_the_network_does_not_have_is_an_error_with_a_suggestion(tmp_path):
    net = network()
    feed(net)
    with recorder(tmp_path) as r:
        with pytest.raises(UnknownNameError, match="no layer 'hiden'; did you mean 'hidden'"):
            net.run(5, record=r.only({"hiden": "spikes"}))
        with pytest.raises(ParameterError, match="hidden has no observable 'spices'; did you mean 'spikes'"):
            net.run(5, record=r.only({"hidden": "spices"}))
        for wrong in ({}, {"hidden": ()}, "hidden", {"a/b": "spikes"}):
            with pytest.raises(ParameterError, match=r"SimulationRecorder\.only"):
                r.only(wrong)


def test_the_global_recorder_takes_every_run_that_names_none(tmp_path):
    net = network()
    feed(net)
    with recorder(tmp_path) as r, recorder(tmp_path, "other") as other:
        set_global_recorder(r)
        assert get_global_recorder() is r
        net.run(5)
        net.run_continue(5)
        net.run(5, record=False)
        net.run(5, record=other)
        assert r.get_statistics()["steps"]["main"]["hidden"] == 10
        assert other.get_statistics()["steps"]["main"]["hidden"] == 5
        set_global_recorder(r.only({"out": "spikes"}))
        net.run(5)
        assert isinstance(get_global_recorder(), Chosen)
        assert r.get_statistics()["steps"]["main"] == {"input": 10, "hidden": 10, "out": 15}
    assert get_global_recorder() is None
    net.run(5)


def test_the_global_recorder_takes_the_runs_of_training_and_of_evaluation(tmp_path):
    net = network()
    net.learner = Learner(trainable=net, algorithm="STCA")
    net.learner.set_optimizer("Adam", 0.01)
    data = ArrayDataset(np.full((6, 6), 0.3, np.float32), np.array([0, 1, 2, 0, 1, 2]))
    with recorder(tmp_path, record_weights=True, weight_interval=15.0) as r:
        set_global_recorder(r)
        fit(net, Dataloader(data, 2), epochs=1, time=10.0, progress=False)
        assert r.get_statistics()["steps"]["main"]["hidden"] == 30
        evaluate(net, Dataloader(data, 3), time=10.0, progress=False)
        assert r.get_statistics()["steps"]["main"]["hidden"] == 50
    with Session(r.path) as session:
        snapshots = list(session.weights("main", "down"))
        assert [s.t for s in snapshots] == [0, 20, 40]
        assert not np.array_equal(snapshots[0].weights, snapshots[1].weights)
        assert np.array_equal(snapshots[2].weights, net.store["down.weight"].detach().numpy())


def test_weights_are_taken_at_the_start_and_every_interval_of_model_time(tmp_path):
    net = network()
    net.build()
    with recorder(tmp_path, record_weights=True, weight_interval=20.0, record_spikes=False) as r:
        for k in range(6):
            feed(net)
            with torch.no_grad():
                net.store["up.weight"].fill_(k)
            net.run(10, record=r)
    with Session(r.path) as session:
        assert [(s.t, s.weights[0, 0]) for s in session.weights("main", "up")] == [(0, 0), (20, 2), (40, 4)]
        assert session.layers("main", "weights") == ["down", "up"]


def test_the_network_describes_itself_once_for_each_build(tmp_path):
    net = network()
    feed(net)
    with recorder(tmp_path) as r:
        for _ in range(3):
            net.run(5, record=r)
        net.extra = NeuronGroup(4, model="lif")
        net.more = Connection(net.hidden, net.extra, link_type="full")
        feed(net)
        net.run(5, record=r)
    with Session(r.path) as session:
        said = session.metadata("main")["network"]
    assert said["dt"] == 1.0
    assert said["seed"] == 3
    assert said["layers"]["hidden"]["shape"] == [70]
    assert {"spikes", "v"} <= set(said["layers"]["hidden"]["observables"])
    assert said["connections"]["up"]["synapses"] == 420
    assert set(said["layers"]) == {"input", "hidden", "out", "extra"}
    assert json.dumps(said)


@pytest.mark.parametrize("wrong", [True, "recorder", 3, object()])
def test_what_is_no_recorder_is_refused(wrong):
    net = network()
    feed(net)
    with pytest.raises(ParameterError, match="record must be a SimulationRecorder, False for none"):
        net.run(5, record=wrong)
    with pytest.raises(ParameterError, match="set_global_recorder takes a SimulationRecorder or None"):
        set_global_recorder(wrong)


def test_a_closed_recorder_that_a_run_names_is_an_error(tmp_path):
    net = network()
    feed(net)
    with recorder(tmp_path) as r:
        pass
    with pytest.raises(StateError, match="closed"):
        net.run(5, record=r)


@pytest.mark.parametrize("window", [None, 4.0])
def test_fit_records_every_run_of_training_and_learns_the_same(tmp_path, window):
    data = ArrayDataset(np.random.default_rng(0).random((6, 6)), np.arange(6) % 3)

    def trained(**options):
        net = network(watched=True)
        net.learner = Learner(net, "STCA")
        net.learner.set_optimizer("Adam", 1e-2)
        loader = Dataloader(data, 2, shuffle=True, generator=np.random.default_rng(1))
        history = fit(net, loader, epochs=2, time=12.0, window=window, progress=False, **options)
        return net, history

    alone, figures = trained()
    with recorder(tmp_path) as r:
        net, recorded = trained(record=r)
    assert recorded == figures
    for name, values in alone.state_dict().items():
        assert torch.equal(values, net.state_dict()[name])
    with Session(r.path) as session:
        batches = list(session.spikes("main", "hidden"))
        seen = np.moveaxis(np.asarray(net.spikes.values), -1, 0)
        last = batches[-1].spikes.raster()
        steps = sum(batch.spikes.grid.n_steps for batch in batches)
    assert steps == 2 * 3 * 12
    assert np.array_equal(last[-len(seen) :], seen)
