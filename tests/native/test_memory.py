"""Memory of large arrays is lent again when nothing holds it any more, and never before."""

import gc
import mmap
import subprocess
import sys
import threading
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spikeloom.native import memory

LARGE = memory.LEAST


@pytest.fixture(autouse=True)
def nothing_waits():
    memory.release()
    yield
    memory.release()


def place(array):
    return array.ctypes.data


def test_memory_that_nothing_holds_is_lent_to_the_next_array():
    first = memory.empty((2, LARGE), np.int16)
    first.fill(7)
    where = place(first)
    del first
    again = memory.empty(LARGE, np.float32)
    assert (place(again), again.shape, again.dtype) == (where, (LARGE,), np.float32)
    assert place(memory.empty(LARGE, np.float32)) != where


def test_a_view_a_slice_and_a_tensor_keep_the_memory():
    torch = pytest.importorskip("torch")
    for keep in (lambda a: a[5:7], lambda a: a.view(np.int8)[::3], lambda a: a.reshape(2, -1).T, torch.from_numpy):
        first = memory.empty(LARGE, np.int64)
        where, kept = place(first), keep(first)
        del first
        gc.collect()
        other = memory.empty(LARGE, np.int64)
        assert place(other) != where
        del kept
        assert place(memory.empty(LARGE, np.int64)) == where
        del other
        memory.release()


def test_small_arrays_are_ordinary_ones():
    array = memory.empty((3, 5), np.int16)
    assert (array.shape, array.dtype, array.base) == ((3, 5), np.int16, None)
    del array
    assert not memory._waiting


def test_memory_is_not_lent_to_what_is_larger_or_far_smaller():
    first = memory.empty(8 * LARGE, np.uint8)
    where = place(first)
    del first
    assert place(memory.empty(8 * LARGE + memory.PAGE, np.uint8)) != where
    assert place(memory.empty(2 * LARGE, np.uint8)) != where
    assert place(memory.empty(5 * LARGE, np.uint8)) == where


@pytest.mark.skipif(not hasattr(mmap, "MADV_FREE"), reason="the system takes no memory that is marked as free")
@pytest.mark.parametrize("size", [100, 4 * LARGE - 3])
def test_what_is_left_of_a_shortened_array_holds_its_numbers(size, monkeypatch):
    monkeypatch.setattr(mmap, "MADV_FREE", mmap.MADV_DONTNEED)  # taken at once
    array = memory.empty(size, np.int32)
    array[:] = np.arange(size)
    kept = memory.shortened(array, size // 2)
    del array
    other = memory.empty(size, np.int32)
    other.fill(-1)
    assert np.array_equal(kept, np.arange(size // 2))


def test_no_more_memory_waits_than_is_allowed(monkeypatch):
    monkeypatch.setattr(memory, "MOST", 3 * memory.PAGE)
    arrays = [memory.empty(memory.PAGE, np.uint8) for _ in range(5)]
    del arrays
    assert [waiting.size for waiting in memory._waiting] == [memory.PAGE] * 3
    memory.release()
    assert not memory._waiting


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(LARGE, 4 * LARGE)), max_size=30))
@settings(deadline=None, max_examples=30)
def test_arrays_that_live_never_share_memory(steps):
    living = {}
    for number, (slot, size) in enumerate(steps):
        living[slot] = (number, memory.empty(size, np.uint8))
        living[slot][1][[0, -1]] = number
        assert all((array[[0, -1]] == number).all() for number, array in living.values())
    ends = sorted((place(array), place(array) + array.size) for _, array in living.values())
    assert all(end <= begin for (_, end), (begin, _) in pairwise(ends))


def test_threads_never_get_the_memory_of_each_other():
    wrong = []

    def work(number):
        for _ in range(300):
            array = memory.empty(LARGE, np.uint8)
            array[::4096] = number
            if (array[::4096] != number).any():
                wrong.append(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@pytest.mark.parametrize(("size", "left"), [(16 * LARGE, 100), (4 * LARGE, LARGE - 1), (48 * LARGE, 2 * LARGE)])
def test_few_numbers_of_a_large_array_do_not_keep_its_memory(size, left):
    array = memory.empty(size, np.uint8)
    array[:] = np.arange(size, dtype=np.uint8)
    where, kept = place(array), memory.shortened(array, left)
    assert np.array_equal(kept, np.arange(left, dtype=np.uint8))
    del array
    assert place(memory.empty(size, np.uint8)) == where


@pytest.mark.parametrize("error", [OSError(12, "Cannot allocate memory"), OverflowError("too large")])
def test_without_mappings_what_waits_is_given_back_and_the_array_is_an_ordinary_one(error, monkeypatch):
    def refused(size):
        raise error

    waits = memory.empty(LARGE, np.uint8)
    del waits
    monkeypatch.setattr(memory, "_Memory", refused)
    array = memory.empty((2, 4 * LARGE), np.uint16)
    assert (array.base, array.shape, array.dtype) == (None, (2, 4 * LARGE), np.uint16)
    assert not memory._waiting
    kept = memory.shortened(memory.empty(4 * LARGE, np.uint8), 3 * LARGE)
    assert kept.shape == (3 * LARGE,)


def test_memory_that_is_lent_until_the_interpreter_ends_makes_no_noise():
    code = """import codecs, numpy
from spikeloom.native import memory
def handler(error, kept=memory.empty(memory.LEAST, numpy.uint8)):  # outlives the modules
    return memory, kept
codecs.register_error("kept", handler)
memory.kept = memory.empty(memory.LEAST, numpy.uint8)
memory._Memory.kept = memory.empty(memory.LEAST, numpy.uint8)
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stderr == ""
