"""Neural codes: hand-counted trains, bounds of the error, and what does not fit."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from spikeloom.errors import DataError, ParameterError, ShapeError
from spikeloom.spikes import Spikes
from spikeloom.spikes.codes import (
    SIGNAL_CODES,
    VALUE_CODES,
    BensSpiker,
    Bernoulli,
    Burst,
    Delta,
    GaussianFields,
    LevelCrossing,
    MovingWindow,
    Phase,
    Poisson,
    RankOrder,
    Regular,
    StepForward,
    Threshold,
    TimeAdaptive,
    TimeToFirstSpike,
)

VALUES = hnp.arrays(np.float64, st.tuples(st.integers(1, 3), st.integers(1, 5)), elements=st.floats(0, 1))
SIGNALS = hnp.arrays(
    np.float64, st.tuples(st.integers(1, 30), st.integers(1, 2), st.integers(1, 2)), elements=st.floats(-5, 5)
)


def trains(spikes: Spikes) -> list[list[int]]:
    """The steps of each neuron of the first sample."""
    return [spikes.step[spikes.ids == i].tolist() for i in range(spikes.n_neurons)]


def column(*x: float) -> np.ndarray:
    return np.array(x)[:, None, None]


def test_regular_spikes_are_spread_over_the_window():
    assert trains(Regular().encode([[0.0, 0.2, 0.5, 1.0]], 10, 1.0)) == [[], [2, 7], [1, 3, 5, 7, 9], list(range(10))]


@given(VALUES, st.integers(1, 40))
def test_a_regular_code_errs_by_half_a_spike_at_most(x, n_steps):
    assert Regular().round_trip(x, n_steps).largest <= 0.5 / n_steps + 1e-12


@given(VALUES, st.integers(2, 40))
def test_the_time_of_a_spike_errs_by_half_a_step_at_most(x, n_steps):
    seen = TimeToFirstSpike().round_trip(x, n_steps)
    assert seen.largest <= 0.5 / (n_steps - 1) + 1e-12
    assert seen.spikes.n_spikes == np.count_nonzero(x)


def test_the_first_spike_comes_when_a_discharging_membrane_meets_the_threshold():
    spikes = TimeToFirstSpike(tau=10.0).encode([[1.0, np.exp(-0.5), np.exp(-1.5), 0.0]], 10, 1.0)
    assert trains(spikes) == [[0], [5], [], []]
    assert np.allclose(TimeToFirstSpike(tau=10.0).decode(spikes), [[1.0, np.exp(-0.5), 0.0, 0.0]])


def test_a_value_at_the_threshold_is_silent():
    assert TimeToFirstSpike(threshold=0.5).encode([[0.5, 0.6]], 11, 1.0).counts().tolist() == [[0, 1]]


def test_ranks_follow_the_values_and_equal_values_share_one():
    spikes = RankOrder().encode([[0.2, 0.9, 0.2, 0.0, 0.5], [0, 0, 0, 0, 0.1]], 5, 1.0)
    assert trains(spikes[0]) == [[2], [0], [2], [], [1]]
    assert trains(spikes[1]) == [[], [], [], [], [0]]
    assert np.allclose(RankOrder(modulation=0.5).decode(spikes)[0], [0.25, 1, 0.25, 0, 0.5])


def test_more_ranks_than_steps_are_refused():
    with pytest.raises(ParameterError, match="3 ranks do not fit 2 steps"):
        RankOrder().encode([[0.1, 0.2, 0.3]], 2, 1.0)


def test_phases_are_the_binary_digits_of_the_value():
    assert trains(Phase(n_phases=4).encode([[0.0, 0.5, 0.6875, 1.0]], 4, 1.0)) == [[], [0], [0, 2, 3], [0, 1, 2, 3]]


@given(VALUES, st.integers(1, 12), st.integers(0, 30))
def test_a_phase_code_errs_by_half_a_digit_but_at_the_top(x, n_phases, more):
    seen = Phase(n_phases=n_phases).round_trip(x, n_phases + more)
    bound = np.where(x > 1 - 0.5**n_phases, 0.5**n_phases, 0.5 ** (n_phases + 1))
    assert (np.abs(seen.decoded - x) <= bound + 1e-12).all()


def test_a_period_that_does_not_fit_the_window_is_refused_and_a_part_of_one_is_silent():
    with pytest.raises(ParameterError, match="7 steps hold no period of 8"):
        Phase().encode([[0.5]], 7, 1.0)
    assert trains(Phase(n_phases=2).encode([[0.75]], 5, 1.0)) == [[0, 1, 2, 3]]


def test_bursts_have_more_and_nearer_spikes_the_larger_the_value():
    # Guo et al. 2021: 5 x spikes, 10 - 8 x apart, both rounded up.
    spikes = Burst().encode([[0.0, 0.2, 0.4, 0.5, 1.0]], 20, 1.0)
    assert trains(spikes) == [[], [0], [0, 7], [0, 6, 12], [0, 2, 4, 6, 8]]


@given(VALUES)
def test_a_burst_errs_by_half_of_what_number_and_distance_leave_open(x):
    seen = Burst(n_max=5, isi_min=2.0, isi_max=10.0).round_trip(x, 60)
    several = seen.spikes.counts() > 1
    assert (np.abs(seen.decoded - x) <= np.where(several, 1 / 16, 1 / 10) + 1e-9).all()


def test_a_burst_longer_than_the_window_is_refused():
    with pytest.raises(DataError, match=r"x = 0.5 takes 13 steps, the window has 12"):
        Burst().encode([[0.5]], 12, 1.0)
    with pytest.raises(ParameterError, match="use a smaller dt"):
        Burst().encode([[0.5]], 12, 10.0)


def test_more_spikes_than_a_burst_has_are_the_largest_value():
    assert Burst().decode(Spikes.from_steps(range(20), [0] * 20, 1, 20, 1.0)).item() == 1.0


def test_receptive_fields_lie_where_bohte_puts_them():
    fields = GaussianFields(n_fields=6)
    assert np.allclose(fields.centres, [-0.125, 0.125, 0.375, 0.625, 0.875, 1.125])
    assert np.isclose(fields.width, 1 / 6)
    spikes = fields.encode([[0.375]], 101, 1.0)
    assert spikes.shape == (1, 6)
    # Excited by exp(-0.5 (0.25 * 6) ** 2) = 0.325 beside the centre: step 68; by 0.011 two fields away: not at all.
    assert trains(spikes) == [[], [68], [0], [68], [], []]


@settings(max_examples=40)
@given(VALUES, st.integers(4, 10))
def test_a_population_gives_the_value_back_as_finely_as_its_grid(x, n_fields):
    assert GaussianFields(n_fields=n_fields).round_trip(x, 2001).largest < 0.01 / (n_fields - 2)


def test_fields_that_leave_a_value_a_single_neuron_are_refused():
    # At a centre the next field is excited by exp(-beta ** 2 / 2): 0.135 for 2, 0.011 for 3.
    assert GaussianFields(beta=2.0).round_trip(np.linspace(0, 1, 200)[None], 2001).largest < 0.002
    with pytest.raises(ParameterError, match=r"by 0.0111, below the threshold of 0.1; use a smaller beta"):
        GaussianFields(beta=3.0)
    assert GaussianFields(beta=3.0, threshold=0.01).threshold == 0.01


def test_a_bernoulli_code_errs_as_the_binomial_law_says():
    x = np.full((1, 4000), 0.3)
    seen = Bernoulli().round_trip(x, 50, generator=np.random.default_rng(0))
    expected = np.sqrt(0.3 * 0.7 / 50)
    assert abs(seen.rmse / expected - 1) < 5 / np.sqrt(2 * 4000)
    assert abs(seen.decoded.mean() - 0.3) < 5 * expected / np.sqrt(4000)


def test_a_poisson_code_has_the_rate_asked_for_and_knows_that_a_step_shows_one_spike():
    x = np.full((1, 2000), 0.5)
    seen = Poisson(max_rate=400.0).round_trip(x, 500, dt=2.0, generator=np.random.default_rng(1))
    p = 1 - np.exp(-0.4)
    assert abs(seen.spikes.counts().mean() / 500 - p) < 5 * np.sqrt(p * (1 - p) / 500 / 2000)
    assert abs(seen.decoded.mean() - 0.5) < 0.01
    assert Poisson(max_rate=1e6).round_trip([[1.0]], 10, generator=np.random.default_rng(1)).decoded.item() == 1.0


@pytest.mark.parametrize("name", [n for n in VALUE_CODES if VALUE_CODES[n].random])
def test_a_random_code_needs_a_generator_and_repeats_with_its_seed(name):
    code = VALUE_CODES[name]()
    with pytest.raises(ParameterError, match="draws at random; give generator="):
        code.encode([[0.5]], 10, 1.0)
    first, second = (code.encode([[0.5] * 50], 30, 1.0, np.random.default_rng(3)) for _ in range(2))
    assert first.equals(second)
    assert not first.equals(code.encode([[0.5] * 50], 30, 1.0, np.random.default_rng(4)))


@pytest.mark.parametrize("name", list(VALUE_CODES))
def test_no_code_of_values_takes_what_is_no_value_from_zero_to_one(name):
    code, generator = VALUE_CODES[name](), np.random.default_rng(0)
    for bad, text in (([[1.5]], "in 0..1"), ([[-0.1]], "in 0..1"), ([[np.nan]], "in 0..1")):
        with pytest.raises(DataError, match=text):
            code.encode(bad, 200, 1.0, generator)
    with pytest.raises(ShapeError, match="one sample is x"):
        code.encode([0.5], 200, 1.0, generator)
    with pytest.raises(ParameterError, match="n_steps"):
        code.encode([[0.5]], 0, 1.0, generator)
    with pytest.raises(ParameterError, match="dt"):
        code.encode([[0.5]], 200, -1.0, generator)


@pytest.mark.parametrize("name", list(VALUE_CODES))
def test_batches_without_samples_and_silent_ones_are_decoded(name):
    code, generator = VALUE_CODES[name](), np.random.default_rng(0)
    assert code.decode(code.encode(np.zeros((0, 3)), 200, 1.0, generator)).shape == (0, 3)
    shape = (2, 3, 8) if name == "gaussian_fields" else (2, 3)
    silent = Spikes.from_steps([], [], shape[1:], 200, 1.0, n_samples=2)
    assert code.decode(silent).tolist() == np.zeros((2, 3)).tolist()


@pytest.mark.parametrize("name", list(VALUE_CODES))
def test_values_of_spikes_are_not_lost_in_decoding(name):
    twice = Spikes.from_steps([0, 0], [0, 0], (1, 8), 200, 1.0, collisions="sum")
    with pytest.raises(DataError, match="decode takes spikes without values"):
        VALUE_CODES[name]().decode(twice)


def test_a_batch_without_samples_has_no_error():
    for seen in (Regular().round_trip(np.zeros((0, 3)), 5), LevelCrossing(1.0).round_trip(np.zeros((4, 0, 2)))):
        assert (seen.rmse, seen.largest, seen.snr_db) == (0.0, 0.0, np.inf)


@pytest.mark.parametrize(("make", "text"), [
    (lambda: Threshold(float("nan")), "Threshold.threshold must be a finite number"),
    (lambda: Threshold("a"), "must be a finite number"),
    (lambda: RankOrder(modulation="a"), "RankOrder.modulation must be a number above 0 and below 1"),
    (lambda: GaussianFields(threshold=1), "GaussianFields.threshold must be a number above 0 and below 1"),
    (lambda: TimeToFirstSpike(threshold=None), "TimeToFirstSpike.threshold must be a number"),
])  # fmt: skip
def test_wrong_parameters_of_a_code_are_named(make, text):
    with pytest.raises(ParameterError, match=text):
        make()


def test_the_filter_of_bens_spiker_may_be_an_array():
    assert BensSpiker(filter=np.array([0.5, 0.5])) == BensSpiker(filter=(0.5, 0.5))


def test_delta_spikes_tell_the_sign_of_a_change():
    spikes = Delta(threshold=1.0).encode(column(0, 0.5, 1.5, 1.6, 0.2), 1.0)
    assert spikes.step.tolist() == [2, 4]
    assert spikes.values().tolist() == [1, -1]
    assert Delta(threshold=1.0).decode(spikes, start=[[3.0]])[:, 0, 0].tolist() == [3, 3, 4, 4, 3]


def test_a_step_forward_base_follows_one_threshold_at_a_time():
    spikes = StepForward(threshold=1.0).encode(column(0, 2.5, 2.5, 2.5, -3), 1.0)
    assert list(zip(spikes.step.tolist(), spikes.values().tolist(), strict=True)) == [(1, 1), (2, 1), (4, -1)]


def test_a_moving_window_is_the_mean_of_the_steps_before():
    # The first two are held against 0.5; then 4 against 0.5, 4 against 2.5, 4 against 4, 0 against 4, 0 against 2.
    spikes = MovingWindow(threshold=1.4, width=2).encode(column(0, 1, 4, 4, 4, 0, 0), 1.0)
    assert list(zip(spikes.step.tolist(), spikes.values().tolist(), strict=True)) == [(2, 1), (3, 1), (5, -1), (6, -1)]
    assert MovingWindow(1.4, 2).decode(spikes, [[1.0]])[:, 0, 0] == pytest.approx([1, 1, 2.4, 3.8, 3.8, 2.4, 1])
    assert MovingWindow(threshold=0.4, width=9).encode(column(0, 1), 1.0).values().tolist() == [-1, 1]
    with pytest.raises(ParameterError, match="width must be an integer of at least 1"):
        MovingWindow(1.0, 0)


def test_level_crossings_are_counted_in_the_value_of_a_spike():
    spikes = LevelCrossing(level=0.5).encode(column(1.0, 1.4, 2.6, 2.4, 2.0, 0.0), 1.0)
    assert list(zip(spikes.step.tolist(), spikes.values().tolist(), strict=True)) == [(2, 3), (4, -1), (5, -4)]
    with pytest.raises(DataError, match="step 1 crosses 200 levels"):
        LevelCrossing(level=1.0).encode(column(0, 200), 1.0)


@given(SIGNALS, st.floats(0.1, 3))
def test_level_crossings_follow_a_signal_to_within_a_level(x, level):
    assert LevelCrossing(level=level).round_trip(x).largest <= level * (1 + 1e-9)


@given(SIGNALS, st.floats(0.1, 3))
def test_step_forward_follows_a_signal_that_moves_by_less_than_its_threshold(x, threshold):
    slow = np.cumsum(np.clip(x, -0.9 * threshold, 0.9 * threshold), axis=0)
    assert StepForward(threshold=threshold).round_trip(slow).largest <= threshold * (1 + 1e-9)


def test_a_signal_made_by_its_filter_comes_back_from_bens_spiker():
    taps = (0.1, 0.5, 0.3, 0.1)
    raster = np.zeros((40, 1, 1))
    raster[[2, 9, 17, 18, 30]] = 1
    made = np.convolve(raster[:, 0, 0], taps)[:40, None, None]
    seen = BensSpiker(filter=taps).round_trip(made)
    assert seen.spikes.step.tolist() == [2, 9, 17, 18, 30]
    assert seen.largest < 1e-12


def test_bens_spiker_follows_a_slow_signal():
    t = np.arange(400)
    seen = BensSpiker().round_trip((0.5 + 0.4 * np.sin(t / 30))[:, None, None])
    assert np.abs(seen.decoded - (0.5 + 0.4 * np.sin(t / 30))[:, None, None])[20:380].max() < 0.15
    assert seen.snr_db > 15


def test_a_signal_below_zero_is_no_signal_for_bens_spiker():
    with pytest.raises(DataError, match="at least 0"):
        BensSpiker().encode(column(0, -1), 1.0)
    with pytest.raises(ParameterError, match="positive sum"):
        BensSpiker(filter=(-1.0,))


def test_threshold_spikes_say_where_a_signal_is_high():
    assert Threshold(0.5).encode(column(0, 0.5, 0.7, 0.4), 1.0).step.tolist() == [1, 2]


@pytest.mark.parametrize("name", list(SIGNAL_CODES))
def test_no_code_of_signals_takes_what_is_no_signal(name):
    fields = SIGNAL_CODES[name].__dataclass_fields__
    code = SIGNAL_CODES[name](**{n: 0.5 for n in ("threshold", "level") if n in fields})
    with pytest.raises(ShapeError, match=r"one recording is x\[:, None\]"):
        code.encode([[0.5]], 1.0)
    with pytest.raises(DataError, match="a finite number"):
        code.encode(column(0, np.inf), 1.0)


@pytest.mark.parametrize("code", [Delta, LevelCrossing, MovingWindow, StepForward])
def test_a_threshold_of_a_change_is_positive(code):
    for bad in (0, -1, np.nan, "a", True):
        with pytest.raises(ParameterError, match="must be a positive number"):
            code(bad)


def test_a_start_of_another_shape_is_refused():
    with pytest.raises(ShapeError, match=r"start must be a number or have shape \(1, 1\)"):
        Delta(1.0).decode(Delta(1.0).encode(column(0, 1), 1.0), [0.0, 1.0])


def test_the_error_is_reported_in_three_measures():
    seen = Threshold(0.5).round_trip(column(1.0, 0.0, 1.0, 0.8))
    assert np.isclose(seen.rmse, 0.1)
    assert np.isclose(seen.largest, 0.2)
    assert np.isclose(seen.snr_db, 10 * np.log10(2.64 / 0.04))
    assert str(seen) == "3 spikes, error 0.1 (root mean square), 0.2 at most, signal to noise 18.2 dB"
    assert Threshold(0.5).round_trip(column(1.0)).snr_db == np.inf


def test_positions_within_the_capacity_all_come_back_and_one_more_is_refused():
    rng = np.random.default_rng(0)
    table = rng.standard_normal((100, 32))
    for step, n_steps in ((1.0, 16), (1.0, 40), (0.1, 16), (0.25, 12)):
        code = TimeAdaptive(phase_step=step)
        most = code.capacity(n_steps)
        ids = rng.integers(100, size=(4, most))
        assert (code.tokens(code.encode(table[ids], n_steps, 1.0), table) == ids).all()
        with pytest.raises(ParameterError, match=f"{most + 1} positions do not fit {n_steps} steps"):
            code.encode(np.zeros((1, most + 1, 2)), n_steps, 1.0)


@pytest.mark.parametrize("size", [0.01, 0.05, 0.3, 1.0, 5.0])
@pytest.mark.parametrize(("step", "n_steps"), [(1.0, 16), (0.25, 24), (1.0, 120)])
def test_every_row_of_a_table_comes_back_at_every_position_of_its_capacity(size, step, n_steps):
    """At the first position beyond it, if there is one, two rows have the same spikes: an error, never another row."""
    table = size * np.random.default_rng(0).standard_normal((300, 16))
    code = TimeAdaptive(phase_step=step)
    most = code.capacity(n_steps, table)
    ids = np.repeat(np.arange(300)[:, None], max(1, most), axis=1)
    if most:
        assert (code.tokens(code.encode(table[ids], n_steps, 1.0), table) == ids).all()
    if most < code.capacity(n_steps):
        ids = np.repeat(np.arange(300)[:, None], most + 1, axis=1)
        with pytest.raises(DataError, match=r"of the table have the same spikes at position \d+"):
            code.tokens(code.encode(table[ids], n_steps, 1.0), table)


def test_a_table_of_small_numbers_has_a_smaller_capacity():
    # Rates 1/2 and 5/8 differ by 1 spike in 8 steps; 1/2 and 33/64, 32 and 33 in 64, both round to the same in 8.
    code = TimeAdaptive()
    assert code.capacity(64, [[0.0], [np.log(5 / 3)]]) == code.capacity(64) == 57
    assert code.capacity(8, [[0.0], [np.log(33 / 31)]]) == 0
    assert code.capacity(64, [[0.0], [np.log(33 / 31)]]) >= 1
    assert code.capacity(64, [[1.0], [2.0], [1.0]]) == 0


def test_spikes_of_more_positions_than_the_window_has_are_not_decoded():
    code, spikes = TimeAdaptive(), Spikes.from_steps([], [], (4, 2), 10, 1.0)
    for decode in (code.decode, lambda s: code.tokens(s, np.eye(2))):
        with pytest.raises(ParameterError, match="4 positions do not fit 10 steps, which have room for 3"):
            decode(spikes)
    with pytest.raises(ShapeError, match=r"takes spikes \(S, D\) and a table \(V, D\)"):
        code.tokens(spikes[:1], np.eye(3))
    with pytest.raises(DataError, match="decode takes spikes without values"):
        code.decode(Spikes.from_steps([0, 0], [0, 0], (1, 2), 10, 1.0, collisions="sum"))


def test_embeddings_far_from_zero_fire_always_or_never():
    assert TimeAdaptive().encode([[[-1000.0, 1000.0]]], 10, 1.0).counts().tolist() == [[[0, 10]]]


def test_the_capacity_leaves_the_last_position_its_steps():
    assert TimeAdaptive().capacity(16) == 9
    assert TimeAdaptive(phase_step=0.1).capacity(10) == 30
    assert TimeAdaptive().capacity(7) == 0
    assert TimeAdaptive(phase_step=3.0).capacity(16) == 3


def test_time_adaptive_spikes_follow_each_other_from_the_phase_of_their_position():
    spikes = TimeAdaptive(phase_step=2.0, least_left=4).encode([[[0.0], [np.log(3)]]], 10, 1.0)
    assert trains(spikes) == [[0, 1, 2, 3, 4], [2, 3, 4, 5, 6, 7]]
    assert np.allclose(TimeAdaptive(phase_step=2.0, least_left=4).decode(spikes), [[[0.0], [np.log(3)]]])
