"""Calls into compiled libraries: what arrives there, and what is refused before."""

import ctypes

import numpy as np
import pytest
import torch

from spikeloom import native
from spikeloom.errors import DataError

SOURCE = """
#include <stdint.h>
#define EXPORT extern "C" __attribute__((visibility("default")))
EXPORT void take(int64_t i, double d, const double* x, int64_t n, const void* none, double* out) {
  out[0] = double(i >> 40), out[1] = d, out[2] = none == nullptr, out[3] = 0;
  for (int64_t k = 0; k < n; k++) out[3] += x[k];
}
EXPORT void second(const int64_t* pair, int64_t* out) { *out = pair[1]; }
"""


class Pair(ctypes.Structure):
    _fields_ = (("first", ctypes.c_int64), ("second", ctypes.c_int64))


@pytest.fixture(scope="module")
def library():
    return native.load(SOURCE, "portable")


@pytest.mark.parametrize("make", [np.array, lambda x: torch.tensor(x, dtype=torch.float64)])
def test_numbers_none_and_arrays_arrive_as_they_are(make, library):
    x, out = make([1.0, 2.0, 3.5]), make([0.0] * 4)
    library.call("take", 3 << 40, 0.1, x, 3, None, out)
    assert out.tolist() == [3.0, 0.1, 1.0, 6.5]


def test_an_array_that_cannot_be_written_arrives_as_well(library):
    x, out = np.array([1.0, 2.0, 3.5]), np.zeros(4)
    x.flags.writeable = False
    library.call("take", 7 << 40, 0.5, x[1:], 2, None, out)
    assert out.tolist() == [7.0, 0.5, 1.0, 5.5]


def test_structures_arrive_by_their_address(library):
    out = np.zeros(2, np.int64)
    library.call("second", Pair(1, 2), out)
    library.call("second", (ctypes.c_int64 * 2)(3, 4), out[1:])
    assert out.tolist() == [2, 4]


def test_an_empty_array_is_no_error(library):
    for empty in (np.zeros(0), torch.zeros(0, dtype=torch.float64)):
        out = np.ones(4)
        library.call("take", 0, 0.0, empty, 0, None, out)
        assert out[3] == 0


def freed():
    tensor = torch.zeros(4, dtype=torch.float64)
    tensor.untyped_storage().resize_(0)
    return tensor


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (np.zeros((4, 4))[:, 0], "must be a contiguous array, got strides"),
        (np.zeros((4, 4)).T, "must be a contiguous array"),
        (torch.zeros(4, 4)[:, 0], "must be a contiguous tensor on the CPU"),
        (torch.zeros(4, device="meta"), "must be a contiguous tensor on the CPU, got meta"),
        (freed(), "whose memory was freed"),
        ([1.0, 2.0], "must be an int, a float, None or an array, got list"),
        (np.float32(1.0), "got float32"),
        ("text", "got str"),
    ],
)
def test_what_is_no_contiguous_array_on_the_cpu_is_refused_with_its_place(wrong, message, library):
    with pytest.raises(DataError, match=f"take, argument 2 .*{message}"):
        library.call("take", 0, 0.0, wrong, 4, None, np.zeros(4))


def test_a_library_is_loaded_once():
    assert native.load(SOURCE, "portable") is native.load(SOURCE, "portable")
