"""Times in ms and integer steps: k * dt is step k, for any dt and any length."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spikeloom.errors import ParameterError
from spikeloom.units import check_dt, duration_steps, steps, times

DT = st.one_of(st.sampled_from([0.1, 0.025, 0.001, 0.3, 1.0, 1 / 3]), st.floats(1e-4, 50.0))
STEP = st.integers(0, 10**9)


@given(STEP, DT)
def test_a_time_that_is_k_steps_long_is_step_k(k, dt):
    assert steps(k * dt, dt) == k
    assert steps(times(k, dt), dt) == k


@given(st.integers(-(10**6), 10**6), DT, st.floats(0.01, 0.99))
def test_a_time_between_two_steps_belongs_to_the_one_before(k, dt, part):
    assert steps((k + part) * dt, dt) == k


@given(st.integers(1, 10**6), DT)
def test_a_sum_of_steps_is_its_number(k, dt):
    # cumsum rounds once for each of its terms: sqrt(k) units in the last place, far below 1e-6 of a step
    k = k % 2000 + 1
    assert list(steps(np.cumsum(np.full(k, dt)), dt)) == list(range(1, k + 1))


@given(st.integers(0, 2**20), st.sampled_from([0.1, 0.025, 0.3, 0.001]))
def test_a_time_in_single_precision_keeps_its_step(k, dt):
    assert steps(np.array([np.float32(k * dt)]), dt)[0] == k


def test_forty_three_tenths_are_forty_three_steps():
    assert 43 * 0.1 / 0.1 < 43
    assert steps(43 * 0.1, 0.1) == 43


def test_an_array_gives_integers_and_is_not_written_to():
    time = np.array([[0.0, 0.1], [0.25, 4.3]])
    kept = time.copy()
    found = steps(time, 0.1)
    assert found.dtype == np.int64
    np.testing.assert_array_equal(found, [[0, 1], [2, 43]])
    np.testing.assert_array_equal(time, kept)
    assert isinstance(steps(0.3, 0.1), int)
    assert steps(np.array([3, 4]), 0.5).tolist() == [6, 8]


@given(st.integers(1, 10**6), DT)
def test_a_duration_of_k_steps_takes_k_steps(k, dt):
    assert duration_steps(k * dt, dt) == k


@given(st.integers(0, 10**6), DT, st.floats(0.01, 0.99))
def test_a_part_of_a_step_takes_a_step_more(k, dt, part):
    assert duration_steps((k + part) * dt, dt) == k + 1


def test_the_shortest_duration_takes_one_step():
    assert duration_steps(1e-12, 0.1) == 1


@pytest.mark.parametrize("duration", [0, -1.0, np.nan, np.inf, "50", None, True, pytest.param(10**400, id="10^400")])
def test_a_duration_that_is_no_positive_time_is_refused(duration):
    with pytest.raises(ParameterError, match=r"run: time must be a positive time in ms, got"):
        duration_steps(duration, 0.1, "run: time")


@pytest.mark.parametrize("duration", [1e300, 1e17, 2.0**31 * 0.1 + 1])
def test_a_duration_that_would_never_end_is_refused(duration):
    with pytest.raises(ParameterError, match=r"run: time must be at most 2147483648 steps of 0.1 ms, got .* shorter"):
        duration_steps(duration, 0.1, "run: time")
    assert duration_steps(2.0**31, 1.0) == 2**31


@pytest.mark.parametrize("time", [1e300, -1e300, np.array([0.0, 1e300])])
def test_a_time_beyond_all_steps_is_refused(time):
    with pytest.raises(ParameterError, match=r"times must be at most 2\*\*53 steps of 0.1 ms"):
        steps(time, 0.1)


@pytest.mark.parametrize("dt", [0, -0.1, np.nan, np.inf, "0.1", None, True])
def test_a_time_step_that_is_no_positive_time_is_refused(dt):
    with pytest.raises(ParameterError, match=r"backend\.dt must be a positive time step in ms, got"):
        check_dt(dt, "backend.dt")
    with pytest.raises(ParameterError):
        steps(1.0, dt)
    with pytest.raises(ParameterError):
        times(np.arange(3), dt)
    with pytest.raises(ParameterError):
        times(3, dt)


@pytest.mark.parametrize("dt", [1, np.float32(0.5), np.int64(2)])
def test_a_time_step_comes_back_as_a_float(dt):
    assert type(check_dt(dt)) is float


@pytest.mark.parametrize("time", [np.nan, np.inf, [1.0, -np.inf]])
def test_times_that_are_not_finite_are_refused(time):
    with pytest.raises(ParameterError, match="finite"):
        steps(np.array(time), 0.1)


def test_steps_become_times():
    assert times(3, 0.5) == 1.5
    np.testing.assert_array_equal(times(np.array([0, 43]), 0.1), [0.0, 43 * 0.1])
