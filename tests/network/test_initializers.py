"""How weights start, under the names and with the arguments of SPAIC and of torch."""

import math

import numpy as np
import pytest
import scipy.stats
import torch

import spikeloom as sl
from spikeloom.errors import ParameterError, ShapeError
from spikeloom.network import INITIALIZERS, Orthogonal, TruncatedNormal, XavierUniform, describe, network_from
from spikeloom.network.initializers import rectifier_gain

SHAPE = (400, 250)
OPTIONS = [(), (0.0, "fan_out"), (0.3, "fan_in", "leaky_relu"), (0.0, "fan_in", "tanh"), (0.0, "fan_out", "relu")]


def drawn(initializer, shape=SHAPE, seed=0):
    return initializer.draw(shape, np.random.default_rng(seed))


def same_law(values, others):
    return scipy.stats.ks_2samp(np.ravel(values), np.ravel(others)).pvalue > 1e-3


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("name", ["kaiming_uniform", "kaiming_normal"])
def test_a_kaiming_law_is_that_of_torch(name, options):
    torch.manual_seed(0)
    expected = getattr(torch.nn.init, f"{name}_")(torch.empty(SHAPE, dtype=torch.float64), *options)
    found = drawn(getattr(sl, name)(*options))
    assert found.std() == pytest.approx(expected.std().item(), rel=0.01)
    assert same_law(found, expected)


@pytest.mark.parametrize("shape", [(40, 30, 3, 3), (400, 250)])
@pytest.mark.parametrize("name", ["xavier_uniform", "xavier_normal", "kaiming_normal"])
def test_a_law_counts_the_kernel_as_torch_does(name, shape):
    torch.manual_seed(0)
    expected = getattr(torch.nn.init, f"{name}_")(torch.empty(shape, dtype=torch.float64))
    assert drawn(getattr(sl, name)(), shape).std() == pytest.approx(expected.std().item(), rel=0.03)


@pytest.mark.parametrize("nonlinearity", ["linear", "conv2d", "sigmoid", "tanh", "relu", "selu"])
def test_gains_are_those_of_torch(nonlinearity):
    assert rectifier_gain(0.0, nonlinearity) == pytest.approx(torch.nn.init.calculate_gain(nonlinearity))
    assert rectifier_gain(0.2) == pytest.approx(torch.nn.init.calculate_gain("leaky_relu", 0.2))


@pytest.mark.parametrize(
    "bounds", [(0.0, 1.0, -2.0, 2.0), (1.0, 0.5, 0.9, 1.2), (0.0, 1.0, 6.0, 7.0), (0.0, 1.0, -9, -8)]
)
def test_a_truncated_normal_is_that_of_scipy(bounds):
    mean, std, a, b = bounds
    values = drawn(TruncatedNormal(mean, std, a, b))
    law = scipy.stats.truncnorm((a - mean) / std, (b - mean) / std, mean, std)
    assert values.min() >= a
    assert values.max() <= b
    assert scipy.stats.kstest(values.ravel()[:20_000], law.cdf).pvalue > 1e-3


@pytest.mark.parametrize("shape", [(30, 20), (20, 30), (8, 3, 5, 5)])
def test_an_orthogonal_weight_has_orthonormal_rows_or_columns_times_gain(shape):
    matrix = drawn(Orthogonal(2.0), shape).reshape(shape[0], -1)
    small = matrix @ matrix.T if matrix.shape[0] < matrix.shape[1] else matrix.T @ matrix
    np.testing.assert_allclose(small, 4.0 * np.eye(len(small)), atol=1e-12)


def test_orthogonal_matrices_are_uniform_over_all():
    first = np.array([drawn(Orthogonal(), (2, 2), seed)[:, 0] for seed in range(2000)])
    angle = np.arctan2(first[:, 1], first[:, 0])
    assert scipy.stats.kstest(angle, scipy.stats.uniform(-math.pi, 2 * math.pi).cdf).pvalue > 1e-3


def test_a_sparse_start_has_so_many_zeros_on_the_way_to_each_output():
    values = drawn(sl.sparse(0.9, 0.5), (50, 33))
    assert np.count_nonzero(values == 0, axis=1).tolist() == [30] * 50
    assert values[values != 0].std() == pytest.approx(0.5, rel=0.15)


def test_names_of_the_top_level_take_the_arguments_of_spaic():
    assert sl.uniform(-1, 2) == INITIALIZERS["uniform"](-1, 2)
    assert sl.normal(0.1, 0.2) == INITIALIZERS["normal"](mean=0.1, std=0.2)
    assert sl.xavier_uniform(gain=2.0) == XavierUniform(2.0)
    assert sl.constant(constant_value=0.5).draw((2,), np.random.default_rng()).tolist() == [0.5, 0.5]


@pytest.mark.parametrize("name", list(INITIALIZERS))
def test_every_initializer_starts_a_connection_and_is_saved_with_it(name):
    net = sl.Network()
    net.input, net.a = sl.Encoder(6), sl.NeuronGroup(5, model="lif")
    net.c = sl.Connection(net.input, net.a, link_type="full", weight=INITIALIZERS[name]())
    net.set_random_seed(3)
    again = network_from(describe(net))
    assert np.array_equal(np.asarray(again.c.weight.value), np.asarray(net.c.weight.value))


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: sl.truncated_normal(0.0, 1.0, 2.0, 2.0), ParameterError, "must have a < b and std > 0"),
        (lambda: sl.truncated_normal(std=0.0), ParameterError, "must have a < b and std > 0"),
        (lambda: sl.sparse(1.5), ParameterError, r"SparseNormal\.sparsity must be at most 1"),
        (lambda: sl.kaiming_normal(mode="fanin"), ParameterError, r"KaimingNormal\.mode must be 'fan_in' or 'fan_out'"),
        (
            lambda: sl.kaiming_uniform(nonlinearity="rely"),
            ParameterError,
            "'rely'; did you mean 'relu'",
        ),
        (lambda: drawn(sl.orthogonal(), (5,)), ShapeError, r"takes weights of two axes or more, got shape \(5,\)"),
    ],
)
def test_a_wrong_setting_is_refused(make, error, message):
    with pytest.raises(error, match=message):
        make()
