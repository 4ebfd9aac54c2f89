"""validate_raster: EvoSpikeNet's form, and the first offending entry of everything else."""

import numpy as np
import pytest
import torch

from spikeloom.errors import DataError, ParameterError, ShapeError
from spikeloom.spikes import validate_raster


@pytest.mark.parametrize("shape", [(5, 3), (5, 2, 3), (0, 3), (5, 0, 3)])
def test_a_raster_in_the_right_form_comes_back_itself(shape):
    raster = torch.ones(shape, dtype=torch.int8)
    assert validate_raster(raster) is raster
    strided = torch.ones((6, 8), dtype=torch.int8)[::2, ::2].T
    assert validate_raster(strided) is strided


@pytest.mark.parametrize("value", [2, -1, 127, -128])
def test_the_first_wrong_value_is_named_with_its_index(value):
    raster = torch.zeros((4, 2, 3), dtype=torch.int8)
    raster[2, 1, 0] = raster[3, 0, 0] = value
    with pytest.raises(DataError, match=rf"raster\[2, 1, 0\] must be 0 or 1, got {value}$"):
        validate_raster(raster)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bool, torch.uint8, torch.int64])
def test_another_dtype_is_refused_with_the_way_out(dtype):
    with pytest.raises(ParameterError, match=r"torch.int8, got torch\.\w+; use raster.to\(torch.int8\)"):
        validate_raster(torch.zeros((4, 2), dtype=dtype))


@pytest.mark.parametrize("shape", [(4,), (1, 2, 3, 4), ()])
def test_another_number_of_axes_is_refused(shape):
    with pytest.raises(ShapeError, match=r"\(T, N\) or \(T, B, N\), got \("):
        validate_raster(torch.zeros(shape, dtype=torch.int8))


@pytest.mark.parametrize("raster", [np.zeros((4, 2), np.int8), [[0, 1]], None])
def test_what_is_no_tensor_is_refused(raster):
    with pytest.raises(ParameterError, match=r"must be a torch\.Tensor, got"):
        validate_raster(raster)
