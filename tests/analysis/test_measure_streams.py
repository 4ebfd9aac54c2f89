"""A recording read window by window gives what each of its runs gives as a whole."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spikeloom.analysis import measures as m
from spikeloom.analysis.measures.bins import bin_of
from spikeloom.analysis.windows import Window, accumulate, windows_of
from spikeloom.recording import SpikeBatch
from spikeloom.spikes import Spikes

DT, N = 0.5, 3


def cut(spikes, begin, end):
    """The steps begin .. end - 1 of some spikes, from step 0 on."""
    return Spikes.from_raster(spikes.raster()[begin:end], spikes.dt)


@st.composite
def recordings(draw):
    """Runs (raster (T, B, N)) and the windows that a recording of them is read in."""
    generator = np.random.default_rng(draw(st.integers(0, 10**6)))
    runs, batches, at = [], [], 0
    for n_steps in draw(st.lists(st.integers(1, 60), min_size=1, max_size=4)):
        shape = n_steps, draw(st.integers(1, 2)), N
        spikes = Spikes.from_raster((generator.random(shape) < generator.choice([0.05, 0.3])).astype(np.int8), DT)
        cuts = [0, *sorted(draw(st.sets(st.integers(1, n_steps), max_size=4)) - {n_steps}), n_steps]
        for first, last in pairwise(cuts):
            windows = () if first else (last - first,)
            batches.append(SpikeBatch(at + first, cut(spikes, first, last), windows))
        runs.append(spikes)
        at += n_steps
    return runs, joined(batches, draw(st.booleans()))


def joined(batches, together):
    """The batches, or those that begin a run and have as many samples as one before joined with it."""
    if not together:
        return list(windows_of(batches))
    found = [batches[0]]
    for batch in batches[1:]:
        if batch.windows and batch.n_samples == found[-1].n_samples and found[-1].windows:
            of_both = found[-1].windows + batch.windows
            found[-1] = replace(SpikeBatch.joined([found[-1], batch]), windows=of_both)
        else:
            found.append(batch)
    return list(windows_of(found))


def measured(accumulator, windows):
    accumulate(windows, accumulator)
    return accumulator.result()


@settings(max_examples=40)
@given(recordings())
def test_rates_of_windows_are_those_of_the_runs(recording):
    runs, windows = recording
    n_spikes, time = sum(run.n_spikes for run in runs), sum(run.duration * len(run) for run in runs)
    assert measured(m.MeanRateAccumulator(), windows) == pytest.approx(n_spikes / time / N * 1000)


@settings(max_examples=40)
@given(recordings(), st.floats(0.4, 20))
def test_bins_go_on_over_the_borders_of_windows_and_begin_anew_with_each_run(recording, bin_ms):
    runs, windows = recording
    found, begin, at = measured(m.PopulationRateAccumulator(bin_ms), windows), 0.0, 0
    for run in runs:
        whole = m.population_rate(run, bin_ms)
        some = slice(at, at + len(whole.start))
        np.testing.assert_allclose(found.start[some], whole.start + begin, atol=1e-9)
        np.testing.assert_allclose(found.width[some], whole.width, atol=1e-9)
        np.testing.assert_allclose(found.rate[: len(run), some], whole.rate, rtol=1e-9)
        assert np.isnan(found.rate[len(run) :, some]).all()
        begin, at = begin + run.duration, some.stop
    assert at == len(found.start)


@settings(max_examples=40)
@given(recordings())
def test_intervals_go_on_over_the_borders_of_windows_and_not_of_runs(recording):
    runs, windows = recording
    values = np.concatenate([m.inter_spike_intervals(run).values for run in runs])
    assert sorted(measured(m.IntervalsAccumulator(), windows).values) == sorted(values)
    found = measured(m.IsiHistogramAccumulator(1.0, 10.0), windows)
    places = np.floor(values + 1e-9)
    assert found.counts.tolist() == [int((places == k).sum()) for k in range(10)]
    assert (found.beyond, found.n_intervals) == ((places > 9).sum(), len(values))
    if len(values):
        assert (found.mean_ms, found.std_ms) == pytest.approx((values.mean(), values.std()), abs=1e-9)


@pytest.mark.parametrize(
    ("accumulator", "function"),
    [
        (m.CvAccumulator, m.cv),
        (m.Cv2Accumulator, m.cv2),
        (m.LocalVariationAccumulator, m.local_variation),
        (m.RevisedLocalVariationAccumulator, m.revised_local_variation),
    ],
)
@settings(max_examples=40)
@given(recordings())
def test_variation_is_the_mean_over_the_trains_of_all_runs_and_samples(accumulator, function, recording):
    runs, windows = recording
    each = np.array([function(run[b]).values for run in runs for b in range(len(run))])
    found, known = measured(accumulator(), windows), ~np.isnan(each)
    assert found.n_trains == known.sum()
    if known.any():
        assert found.mean == pytest.approx(each[known].mean(), abs=1e-9)
    for neuron in range(N):
        mean = each[known[:, neuron], neuron].mean() if known[:, neuron].any() else np.nan
        assert found.values[neuron] == pytest.approx(mean, abs=1e-9, nan_ok=True)


@settings(max_examples=40)
@given(recordings())
def test_measures_that_share_the_sorting_say_what_each_says_alone(recording):
    _, windows = recording
    makers = [lambda: m.CvAccumulator(), lambda: m.Cv2Accumulator(), lambda: m.BurstAccumulator(3, 4, 2, 1, 2)]
    shared = measured(m.SharedIntervals(*(make() for make in makers)), windows)
    for one, make in zip(shared, makers, strict=True):
        alone = measured(make(), windows)
        for ours, theirs in zip(one, alone, strict=True):
            np.testing.assert_array_equal(ours, theirs)


def table(found, run=0, begin=0.0, sample=0):
    rows = zip(found.neuron, found.sample, found.run, found.start_ms, found.duration_ms, found.n_spikes, strict=True)
    return [
        (int(n), int(b) + sample, int(r) + run, round(s + begin, 6), round(d, 6), int(k)) for n, b, r, s, d, k in rows
    ]


@settings(max_examples=40)
@given(recordings(), st.sampled_from([(3, 4, 2, 1, 2), (1, 4, 5, 0, 3), (0.5, 0.5, 0, 0, 2), (2, 20, 1, 3, 4)]))
def test_bursts_go_on_over_the_borders_of_windows(recording, limits):
    runs, windows = recording
    found, expected, begin = measured(m.BurstAccumulator(*limits), windows), [], 0.0
    for number, run in enumerate(runs):
        expected += table(m.bursts(run, *limits), number, begin)
        begin += run.duration
    assert table(found) == expected
    assert found.n_spikes_of_all == sum(run.n_spikes for run in runs)


@settings(max_examples=40)
@given(recordings(), st.floats(0.4, 5))
def test_avalanches_go_on_over_the_borders_of_windows(recording, bin_ms):
    runs, windows = recording
    found = measured(m.AvalancheAccumulator(bin_ms), windows)
    each = [m.avalanches(run, bin_ms) for run in runs]
    sizes = np.concatenate([one.sizes for one in each])
    assert sorted(found.sizes) == sorted(sizes)
    assert sorted(found.durations_ms) == pytest.approx(sorted(np.concatenate([one.durations_ms for one in each])))
    if len(sizes):
        ratios = sum(one.branching_ratio * len(one.sizes) for one in each if len(one.sizes))
        assert found.branching_ratio == pytest.approx(ratios / len(sizes))


@settings(max_examples=40)
@given(recordings(), st.floats(0.5, 20))
def test_counts_of_the_fano_factor_go_on_over_the_borders_of_windows(recording, window_ms):
    runs, windows = recording
    long = [run for run in runs if run.duration >= window_ms * (1 - 1e-9)]
    rows = np.concatenate([np.zeros((0, N)), *(m.spike_counts(run, window_ms).counts.reshape(-1, N) for run in long)])
    found = measured(m.FanoFactorAccumulator(window_ms), windows)
    for neuron in range(N):
        mean = rows[:, neuron].mean() if len(rows) else 0
        expected = rows[:, neuron].var() / mean if mean and len(rows) > 1 else np.nan
        assert found[neuron] == pytest.approx(expected, nan_ok=True, abs=1e-9)


@settings(max_examples=40)
@given(recordings(), st.lists(st.floats(0, 60), min_size=1, max_size=5))
def test_the_response_to_events_is_that_of_each_run_alone(recording, events):
    runs, windows = recording
    found = measured(m.PsthAccumulator(events, 4.0, 7.0, 1.5), windows)
    counts, covered, n_events, begin = np.zeros((7, N)), np.zeros(7), 0, 0.0
    for run in runs:
        whole = m.psth(run, np.array(events) - begin, 4.0, 7.0, 1.5)
        counts, covered, n_events = counts + whole.counts, covered + whole.covered_ms, n_events + whole.n_events
        begin += run.duration
    np.testing.assert_array_equal(found.counts, counts)
    np.testing.assert_allclose(found.covered_ms, covered, atol=1e-9)
    assert found.n_events == n_events


@settings(max_examples=40)
@given(recordings())
def test_activity_is_that_of_the_runs(recording):
    runs, windows = recording
    found = measured(m.ActivityAccumulator(), windows)
    assert found.counts.tolist() == sum(run.counts().reshape(-1, N).sum(0) for run in runs).tolist()
    assert found.n_steps == sum(run.n_steps * len(run) for run in runs)


def test_nothing_was_measured_before_the_first_window():
    assert np.isnan(m.MeanRateAccumulator().result())
    assert m.PopulationRateAccumulator(1.0).result().rate.shape == (0, 0)
    assert m.CvAccumulator().result().n_trains == 0
    assert np.isnan(m.CvAccumulator().result().mean)
    assert m.IsiHistogramAccumulator(1.0, 2.0).result().n_intervals == 0
    assert m.IntervalsAccumulator().result().values.size == 0
    assert m.FirstSpikeLatencyAccumulator().result().size == 0
    assert m.BurstAccumulator().result().neuron.size == 0
    assert m.AvalancheAccumulator(1.0).result().sizes.size == 0
    assert m.FanoFactorAccumulator(1.0).result().size == 0
    assert m.ActivityAccumulator().result().counts.size == 0


def test_a_result_on_the_way_changes_nothing():
    spikes = Spikes.from_raster((np.random.default_rng(0).random((40, 1, N)) < 0.4).astype(np.int8), DT)
    batches = [SpikeBatch(0, cut(spikes, 0, 17)), SpikeBatch(17, cut(spikes, 17, 40))]
    for make in (
        lambda: m.BurstAccumulator(2, 3, 1, 1, 2), lambda: m.AvalancheAccumulator(1.5), lambda: m.CvAccumulator(),
        lambda: m.PopulationRateAccumulator(1.5), lambda: m.FanoFactorAccumulator(1.5),
        lambda: m.PsthAccumulator([9.0], 3, 3, 1),
    ):  # fmt: skip
        asked, plain = make(), make()
        for window in windows_of(batches):
            asked.add(window)
            asked.result()
            plain.add(window)
        for ours, theirs in zip(parts(asked.result()), parts(plain.result()), strict=True):
            np.testing.assert_array_equal(ours, theirs)


def parts(result):
    return result if isinstance(result, tuple) else (result,)


def test_a_window_with_a_gap_before_it_begins_anew():
    one = Spikes.from_steps([9], [0], 1, 10, 1.0)
    batches = [SpikeBatch(0, one), SpikeBatch(15, replace(one, step=np.array([0], np.int32)))]
    assert measured(m.IsiHistogramAccumulator(1.0, 10.0), list(windows_of(batches))).n_intervals == 0


def test_a_run_knows_nothing_of_those_before_it_in_its_window():
    # neuron 0 fires in the first run, which ends in the second window, and then again in the third
    windows = [
        Window(0, Spikes.from_steps([1, 3], [0, 0], 2, 5, 1.0), np.array([[0, 5]]), False),
        Window(5, Spikes.from_steps([0, 4, 6, 7], [0, 1, 1, 1], 2, 10, 1.0), np.array([[0, 5], [5, 10]]), True),
        Window(15, Spikes.from_steps([2, 2, 4], [0, 1, 0], 2, 5, 1.0), np.array([[0, 5]]), True),
    ]
    # intervals of neuron 0: 2, 2 | 2; of neuron 1: none | 1, 5
    assert measured(m.IsiHistogramAccumulator(1.0, 6.0), windows).counts.tolist() == [0, 1, 3, 0, 0, 1]
    assert measured(m.CvAccumulator(), windows).n_trains == 2
    assert table(measured(m.BurstAccumulator(2, 2, 1, 0, 2), windows)) == [
        (0, 0, 0, 1.0, 4.0, 3), (0, 0, 1, 17.0, 2.0, 2), (1, 0, 1, 11.0, 1.0, 2),
    ]  # fmt: skip


def test_an_event_has_nothing_to_do_with_another_run():
    spikes = Spikes.from_steps([4, 5, 6], [0, 0, 0], 1, 10, 1.0)
    for event, counts, covered in ((4.0, [0, 1, 0], [2, 1, 0]), (5.0, [0, 2, 0], [0, 2, 2])):
        found = measured(m.PsthAccumulator([event], 2, 4, 2), [Window.of(spikes, np.array([[0.0, 5.0], [5.0, 10.0]]))])
        assert found.counts[:, 0].tolist() == counts
        assert found.covered_ms.tolist() == covered


def test_spikes_outside_of_all_runs_count_for_nothing():
    spikes = Spikes.from_steps([1, 3, 12, 14, 25, 26], [0] * 6, 1, 30, 1.0)
    window = Window.of(spikes, np.array([[0.0, 10.0], [20.0, 30.0]]))
    assert window.run_of_spikes().tolist() == [0, 0, -1, -1, 1, 1]
    assert window.trial_ms == 20
    assert m.inter_spike_intervals(spikes, [(0, 10), (20, 30)]).values.tolist() == [2, 1]
    assert m.population_rate(spikes, 5, [(0, 10), (20, 30)]).rate.tolist() == [[400, 0, 0, 400]]
    fano = m.FanoFactorAccumulator(5)
    fano.add(window)
    assert fano.result().tolist() == [1]
    assert fano.n_counts == 4


@settings(max_examples=60)
@given(st.integers(0, 2**31), st.sampled_from([0.1, 0.3, 0.7, 1.1, 50.0]))
def test_a_time_that_is_so_many_bins_is_in_the_bin_behind_them(k, bin_ms):
    assert bin_of(np.array([k * bin_ms]), bin_ms)[0] == k
    assert bin_of(np.array([(k + 0.999) * bin_ms]), bin_ms)[0] == k
