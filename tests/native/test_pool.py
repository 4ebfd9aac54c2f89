"""Work split over threads."""

import os
import signal
import threading
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spikeloom.errors import ParameterError
from spikeloom.native import pool


@settings(deadline=None, max_examples=60)
@given(n_units=st.integers(0, 40), threads=st.integers(1, 6))
def test_every_unit_is_done_once(n_units, threads):
    done = [0] * n_units

    def work(begin, end):
        assert begin < end
        for unit in range(begin, end):
            done[unit] += 1

    pool.run(work, n_units, threads)
    assert done == [1] * n_units


def test_ranges_differ_by_one_unit_at_most():
    sizes = []
    pool.run(lambda begin, end: sizes.append(end - begin), 11, 3)
    assert sorted(sizes) == [3, 4, 4]


def test_two_threads_work_at_the_same_time():
    meeting = threading.Barrier(2, timeout=20)
    pool.run(lambda begin, end: meeting.wait(), 2, 2)


def test_one_thread_is_a_direct_call_in_the_callers_thread():
    calls = []
    pool.run(lambda begin, end: calls.append((begin, end, threading.current_thread())), 5, 1)
    assert calls == [(0, 5, threading.current_thread())]


def test_no_units_are_no_call():
    pool.run(lambda begin, end: pytest.fail("called"), 0, 2)


@pytest.mark.parametrize("wrong", [0, 1])
def test_an_error_reaches_the_caller_when_all_are_done(wrong):
    done, begun = threading.Event(), threading.Event()

    def work(begin, end):
        if begin == wrong:
            begun.wait(20)
            raise ZeroDivisionError
        begun.set()
        time.sleep(0.05)
        done.set()

    with pytest.raises(ZeroDivisionError):
        pool.run(work, 2, 2)
    assert done.is_set()
    assert pool._pool.submit(lambda begin, end: None, 0, 1).result(20) is None


def test_work_may_split_its_own_work():
    calls = []

    def work(begin, end):
        pool.run(lambda b, e: calls.append((b, e)), 8, 8)

    pool.run(work, 20, 20)
    assert sum(end - begin for begin, end in calls) == 20 * 8


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_forked_child_has_threads_of_its_own():
    pool.run(lambda begin, end: None, 2, 2)
    child = os.fork()
    if child == 0:
        meeting = threading.Barrier(2, timeout=20)
        signal.alarm(20)
        try:
            pool.run(lambda begin, end: meeting.wait(), 2, 2)
        finally:
            os._exit(int(meeting.broken))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_fewer_than_one_thread_is_refused():
    with pytest.raises(ParameterError):
        pool.run(lambda begin, end: None, 2, 0)
