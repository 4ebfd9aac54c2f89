"""Bit-packed rasters: round trip, layout, and bad input."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from spikeloom.errors import DataError, ParameterError, ShapeError
from spikeloom.spikes import pack_bits, unpack_bits

shapes = hnp.array_shapes(min_dims=3, max_dims=4, min_side=1, max_side=10)


@given(hnp.arrays(np.int8, shapes, elements=st.integers(0, 1)))
def test_a_raster_survives_packing(raster):
    n_neurons = np.prod(raster.shape[2:])
    bits = pack_bits(raster)
    assert bits.shape == (*raster.shape[:2], -(-n_neurons // 8))
    assert np.array_equal(unpack_bits(bits, raster.shape[2:]), raster)
    one = pack_bits(raster[:, 0], batched=False)
    assert np.array_equal(unpack_bits(one, raster.shape[2:]), raster[:, 0])


def test_neuron_i_is_bit_i_mod_8_of_byte_i_div_8():
    raster = np.zeros((1, 1, 11), bool)
    raster[0, 0, [1, 8, 10]] = True
    assert pack_bits(raster).tolist() == [[[0b10, 0b101]]]


def test_bad_input_to_packing_is_named():
    with pytest.raises(DataError, match=r"raster\[0, 0, 1\] must be 0 or 1, got 2"):
        pack_bits(np.array([[[0, 2]]]))
    with pytest.raises(ShapeError, match="2 axes before"):
        pack_bits(np.zeros((2, 2)))
    with pytest.raises(ParameterError, match="must hold numbers"):
        pack_bits([[["a"]]])


def test_bits_that_do_not_fit_the_population_are_refused():
    bits = np.array([[[0b1000]]], np.uint8)
    assert unpack_bits(bits, 4).tolist() == [[[0, 0, 0, 1]]]
    with pytest.raises(DataError, match="0 beyond neuron 2"):
        unpack_bits(bits, 3)
    with pytest.raises(ShapeError, match="uint8 with 2 bytes on the last axis"):
        unpack_bits(bits, (3, 3))
    with pytest.raises(ShapeError, match="got int64"):
        unpack_bits(bits.astype(np.int64), 4)
