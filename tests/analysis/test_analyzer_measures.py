"""The analyser's measures: those of the trains that were recorded, corrected for sub-sampling or refused."""

import inspect

import numpy as np
import pytest
import torch

import spikeloom
from spikeloom import measures
from spikeloom.analysis import SimulationAnalyzer
from spikeloom.analysis.subsampling import EFFECTS, effect_of
from spikeloom.errors import DataError, ParameterError, UnknownNameError, UnsupportedError
from spikeloom.recording import RecorderConfig, Sampling, SimulationRecorder
from spikeloom.spikes import Spikes

T, N, P, DT = 4000, 100, 0.05, 0.5
MODES = ["neurons", "steps", "spikes"]


@pytest.fixture(scope="module")
def raster():
    return (np.random.default_rng(7).random((T, 1, N)) < P).astype(np.int8)


def recorded(folder, raster, **settings):
    """An analyser of a raster (T, B, N) that was recorded in ten batches of one run."""
    config = RecorderConfig(enable_recording=True, output_dir=folder, session_name="s", seed=3, **settings)
    with SimulationRecorder(config, dt=DT) as r:
        for part in np.split(raster, 10):
            r.record_spike_data("n", "l", part[:, 0])
            r.flush_all()
    return SimulationAnalyzer(r.path)


@pytest.fixture(scope="module")
def whole(tmp_path_factory, raster):
    with recorded(tmp_path_factory.mktemp("whole"), raster) as analyzer:
        yield analyzer


@pytest.fixture(scope="module")
def thinned(tmp_path_factory, raster):
    """Analysers of a tenth of the raster, by mode."""
    found = {
        mode: recorded(tmp_path_factory.mktemp(mode), raster, spike_subsample_rate=0.1, spike_subsample_mode=mode)
        for mode in MODES
    }
    yield found
    for analyzer in found.values():
        analyzer.close()


CALLS = {
    "neuron_rates": {},
    "population_rate": {},
    "isi": {},
    "cv": {},
    "cv2": {},
    "local_variation": {},
    "revised_local_variation": {},
    "fano_factor": {},
    "bursts": {},
    "avalanches": {},
    "spike_correlations": {},
    "autocorrelation": {"max_lag_ms": 20.0},
    "synchrony": {},
    "spike_contrast": {},
    "van_rossum_distance": {},
    "victor_purpura_distance": {},
    "psth": {"events_ms": [200.0, 700.0]},
    "latency": {},
    "spike_information": {"events_ms": [200.0]},
    "spike_triggered_average": {"signal": np.zeros(T)},
}


def test_every_measure_has_a_method_and_every_method_an_entry_in_the_table():
    methods = {
        name.removeprefix("compute_")
        for name, method in inspect.getmembers(SimulationAnalyzer, inspect.isfunction)
        if name.startswith("compute_") and "layer_name" in inspect.signature(method).parameters
    }
    assert methods == set(EFFECTS)
    assert methods == set(CALLS) | {"firing_rate", "cross_correlation"}


def test_intervals_variances_and_pairs_are_spoilt_by_thinning_and_avalanches_by_any_sub_sampling():
    spoilt = {mode: {name for name in EFFECTS if effect_of(name, Sampling(mode, 0.1)) == "spoilt"} for mode in MODES}
    assert spoilt["neurons"] == {"avalanches"}
    kept = {"firing_rate", "neuron_rates", "population_rate"}
    assert set(EFFECTS) - spoilt["steps"] == kept
    assert set(EFFECTS) - spoilt["spikes"] == kept | {"psth", "spike_triggered_average"}
    assert all(effect_of(name, Sampling()) == "true" for name in EFFECTS)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("measure", CALLS)
def test_what_sub_sampling_spoils_is_refused_with_the_reason_and_all_else_is_measured(thinned, mode, measure):
    call = getattr(thinned[mode], f"compute_{measure}")
    if effect_of(measure, Sampling(mode, 0.1)) != "spoilt":
        call("n", "l", **CALLS[measure])
        return
    with pytest.raises(UnsupportedError) as refused:
        call("n", "l", **CALLS[measure])
    for word in (measure, EFFECTS[measure].reason, f"0.1 of the {mode}", "record "):
        assert word in str(refused.value)


@pytest.mark.parametrize("mode", MODES)
def test_rates_of_a_tenth_are_those_of_all_within_sampling_error(whole, thinned, raster, mode):
    kept = N * T * P * 0.1
    error = 5 * np.sqrt(1 / kept)  # five standard deviations of a binomial count of so many spikes
    rates = [analyzer.compute_firing_rate("n", "l") for analyzer in (whole, thinned[mode])]
    assert rates[0]["mean_rate_hz"] == pytest.approx(raster.mean() / DT * 1000)
    assert rates[1]["mean_rate_hz"] == pytest.approx(rates[0]["mean_rate_hz"], rel=error)
    assert rates[1]["estimated_total_spikes"] == pytest.approx(raster.sum(), rel=error)
    assert rates[1]["total_spikes"] == pytest.approx(raster.sum() / 10, rel=error)
    neurons, of_each = thinned[mode].compute_neuron_rates("n", "l")
    truth = raster[:, 0].mean(axis=0)[neurons] / DT * 1000
    part = 1 if mode == "neurons" else 0.1
    sigma = np.sqrt(P * (1 - part) / (T * part)) / DT * 1000
    assert np.abs(of_each - truth).max() < 5 * sigma + 1e-9
    assert len(neurons) == (10 if mode == "neurons" else N)
    over_time = thinned[mode].compute_population_rate("n", "l", 200.0)
    truth = raster[:, 0].reshape(10, -1).mean(axis=1) / DT * 1000
    assert over_time.rate.shape == (1, 10)
    assert over_time.rate[0] == pytest.approx(truth, rel=5 * np.sqrt(10 / kept))


def of_neurons(found, places):
    """The parts of a result that are those of the neurons in these places of N."""
    if isinstance(found, tuple):
        return [of_neurons(part, places) for part in found]
    array = np.asarray(found)
    for axis in range(array.ndim):
        if array.shape[axis] == N:
            array = array.take(places, axis)
    return array


@pytest.mark.parametrize(
    "measure",
    [
        "neuron_rates", "cv", "cv2", "local_variation", "revised_local_variation", "fano_factor", "spike_correlations",
        "autocorrelation", "van_rossum_distance", "victor_purpura_distance", "psth", "latency", "spike_information",
        "spike_triggered_average",
    ],
)  # fmt: skip
def test_what_is_measured_of_a_tenth_of_the_neurons_is_true_of_these(whole, thinned, measure):
    ids = thinned["neurons"].compute_neuron_rates("n", "l").neurons
    options = CALLS[measure] | ({"signal": np.sin(np.arange(T) / 9)} if "triggered" in measure else {})
    found = getattr(thinned["neurons"], f"compute_{measure}")("n", "l", **options)
    truth = of_neurons(getattr(whole, f"compute_{measure}")("n", "l", **options), ids)
    if measure in ("cv", "cv2", "local_variation", "revised_local_variation"):  # then means over all trains
        found, truth = found.values, truth[0]
    parts, wholes = (list(x) if isinstance(x, (tuple, list)) else [x] for x in (found, truth))
    for one, other in zip(parts, wholes, strict=True):
        assert np.asarray(one) == pytest.approx(np.asarray(other), nan_ok=True)


@pytest.mark.parametrize("mode", ["neurons", "spikes"])
def test_responses_of_a_tenth_are_those_of_all_within_sampling_error(whole, thinned, mode):
    events = np.arange(100.0, 1900.0, 25.0)
    found = [
        analyzer.compute_psth("n", "l", events, 0.0, 20.0, 10.0).rate_hz.mean() for analyzer in (whole, thinned[mode])
    ]
    kept = len(events) * 40 * N * P * 0.1
    assert found[1] == pytest.approx(found[0], rel=5 / np.sqrt(kept))


def test_a_signal_around_a_tenth_of_the_spikes_is_that_around_all_of_them(whole, thinned, raster):
    signal = raster[:, 0].mean(axis=1) + np.sin(np.arange(T) / 30)
    found, truth = (
        analyzer.compute_spike_triggered_average("n", "l", signal, (-20.0, 5.0))
        for analyzer in (thinned["spikes"], whole)
    )
    error = signal.std() / np.sqrt(found.n_spikes)[:, None]
    assert np.abs(found.average - truth.average).max() < 5.5 * error.max()
    assert found.n_spikes.sum() == pytest.approx(truth.n_spikes.sum() / 10, rel=0.1)


def test_bins_without_a_recorded_step_have_no_rate(thinned):
    found = thinned["steps"].compute_population_rate("n", "l", DT)
    kept = np.flatnonzero(np.isfinite(found.rate[0]))
    assert np.array_equal(kept, np.arange(9, T, 10))


def test_measures_of_a_session_are_those_of_its_spikes(whole, raster):
    spikes = Spikes.from_raster(raster, DT)
    assert whole.compute_cv("n", "l").mean == pytest.approx(measures.cv(spikes).mean)
    assert whole.compute_local_variation("n", "l").mean == pytest.approx(measures.local_variation(spikes).mean)
    isi = whole.compute_isi("n", "l", 0.5, 100.0)
    assert np.array_equal(isi.counts, measures.isi_histogram(spikes, 0.5, 100.0).counts)
    assert np.nanmean(whole.compute_fano_factor("n", "l", 50.0)) == pytest.approx(measures.fano_factor(spikes, 50.0))
    pairs = whole.compute_spike_correlations("n", "l", 10.0)
    assert pairs.values == pytest.approx(measures.spike_count_correlation(spikes, 10.0))
    assert whole.compute_synchrony("n", "l", 10.0) == pytest.approx(measures.population_synchrony(spikes, 10.0))
    assert np.array_equal(whole.compute_avalanches("n", "l", 0.5).sizes, measures.avalanches(spikes, 0.5).sizes)
    assert whole.compute_latency("n", "l", 100.0) == pytest.approx(
        measures.first_spike_latency(spikes, 100.0), nan_ok=True
    )
    psth = whole.compute_psth("n", "l", [300.0, 900.0])
    assert np.array_equal(psth.counts, measures.psth(spikes, [300.0, 900.0], 50.0, 200.0, 5.0).counts)


def test_pairs_of_chosen_neurons_are_those_of_their_ids(whole, thinned, raster):
    distances = whole.compute_van_rossum_distance("n", "l", neurons=[30, 4, 71])
    of_all = measures.van_rossum_distance(Spikes.from_raster(raster, DT), 10.0, [4, 30, 71])[0]
    assert np.array_equal(distances.neurons, [4, 30, 71])
    assert distances.values == pytest.approx(of_all)
    cross = whole.compute_cross_correlation("n", "l", 71, 4, max_lag_ms=10.0)
    truth = measures.cross_correlation(Spikes.from_raster(raster, DT), 71, 4, 1.0, 10.0)
    assert np.array_equal(cross.counts, truth.counts)
    ids = thinned["neurons"].compute_neuron_rates("n", "l").neurons
    pairs = thinned["neurons"].compute_spike_correlations("n", "l", 10.0, neurons=[ids[3], ids[0]])
    truth = measures.spike_count_correlation(Spikes.from_raster(raster, DT), 10.0, [ids[3], ids[0]])
    assert pairs.values == pytest.approx(truth)
    assert set(thinned["neurons"].compute_bursts("n", "l").neuron.tolist()) <= set(ids.tolist())
    missing = next(k for k in range(N) if k not in ids)
    with pytest.raises(ParameterError, match="ids of recorded neurons, 10 of 100"):
        thinned["neurons"].compute_spike_correlations("n", "l", neurons=[missing])


def test_runs_are_trains_of_their_own_and_a_batch_border_is_none(tmp_path):
    config = RecorderConfig(enable_recording=True, output_dir=tmp_path, session_name="s", batch_steps=7)
    raster = np.zeros((20, 1, 1), np.int8)
    raster[[1, 9, 17]] = 1
    with SimulationRecorder(config) as r:
        for _ in range(2):
            r.write("l", "spikes", Spikes.from_raster(raster, 1.0), 1.0)
    with SimulationAnalyzer(r.path) as analyzer:
        isi = analyzer.compute_isi("main", "l", 1.0, 20.0)
        rate = analyzer.compute_firing_rate("main", "l")
    assert (isi.n_intervals, isi.mean_ms, isi.std_ms) == (4, 8.0, 0.0)
    assert (rate["n_samples"], rate["duration_s"], rate["mean_rate_hz"]) == (2, 0.04, 150.0)


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    """A session of a run of 10 encoded inputs to 4 and then 3 neurons, and how often the inputs fired."""
    folder = tmp_path_factory.mktemp("network")
    torch.manual_seed(0)
    net = spikeloom.Network()
    with net:
        source = spikeloom.Encoder(num=10, coding_method="poisson", time=50.0)
        hidden = spikeloom.NeuronGroup(4, model="lif")
        out = spikeloom.NeuronGroup(3, model="lif")
        first = spikeloom.Connection(source, hidden, link_type="full", weight=torch.ones(4, 10))
        spikeloom.Connection(hidden, out, link_type="full", weight=torch.ones(3, 4))
    config = RecorderConfig(enable_recording=True, output_dir=folder, session_name="s")
    with SimulationRecorder(config) as r:
        source(torch.full((2, 10), 0.5))
        net.run(50.0, record=r)
    with SimulationAnalyzer(r.path) as analyzer:
        yield analyzer, source.path, first.path


def test_costs_follow_from_spikes_and_the_recorded_description(network):
    analyzer, source, first = network
    n_spikes = analyzer.compute_firing_rate("main", source)["total_spikes"]
    costs = {cost.path: cost for cost in analyzer.compute_synops("main")}
    assert costs[first].synaptic_operations == costs[first].acs == 4 * n_spikes
    assert costs[first].dense_macs == 40 * 500 * 2
    budget = analyzer.compute_bit_budget("main")[first]
    assert budget.bits == 500 * 32
    assert budget.s_ace == 500 * 32 * 40
    assert budget.ns_ace == pytest.approx(500 * 32 * 40 * n_spikes / (500 * 2 * 10))
    assert analyzer.compute_memory_volume("main").weight_bits == (40 + 12) * 32
    sent = {(c.pre, c.to): c for c in analyzer.compute_communication("main")}
    (_, to) = next(key for key in sent if key[0] == source)
    assert sent[source, to].event_bytes == -(-n_spikes * 4 // 8)
    headings = [section.heading for section in spikeloom.analysis.session_report(analyzer.session)]
    assert headings[-2] == "Costs"
    assert headings[1] == source


def test_costs_of_what_was_recorded_by_hand_are_refused_with_the_way_out(whole):
    with pytest.raises(DataError, match=r"no description of its network.*record=recorder"):
        whole.compute_synops("n")


def test_unknown_measures_and_neurons_are_refused():
    with pytest.raises(UnknownNameError, match="did you mean 'fano_factor'"):
        effect_of("fano_facto", Sampling())
