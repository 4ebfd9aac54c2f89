"""Optimizer steps against torch.optim."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from spikeloom import native
from spikeloom.errors import DataError, ParameterError, ShapeError
from spikeloom.native.optimizer import adam_step, sgd_step

every_level = pytest.mark.parametrize("level", native.available())
reals = pytest.mark.parametrize(("real", "tolerance"), [(torch.float32, 1e-6), (torch.float64, 1e-12)])
few = settings(deadline=None, max_examples=12)
sizes, seeds, flags = st.sampled_from([0, 1, 7, 100, 4096, 4097, 9000]), st.integers(0, 1000), st.booleans()
decays = st.sampled_from([0.0, 0.01, 0.3])


def start(size, seed, real):
    """A parameter and five gradients of very different sizes."""
    random = torch.Generator().manual_seed(seed)
    scale = 10 ** torch.empty(size, dtype=real).uniform_(-3, 0, generator=random)
    gradients = [torch.randn(size, dtype=real, generator=random) * scale for _ in range(5)]
    return torch.randn(size, dtype=real, generator=random), gradients


def by_torch(optimizer, parameter, gradients):
    """The parameter after the steps of a torch optimizer, and its state."""
    trained = parameter.clone().requires_grad_()
    stepping = optimizer([trained])
    for gradient in gradients:
        trained.grad = gradient.clone()
        stepping.step()
    return trained.detach(), stepping.state[trained]


def same(got, expected, tolerance):
    torch.testing.assert_close(got, expected, rtol=tolerance, atol=tolerance)


@every_level
@reals
@few
@given(
    size=sizes,
    seed=seeds,
    decay=decays,
    decoupled=flags,
    lr=st.sampled_from([1e-4, 0.1]),
    betas=st.sampled_from([(0.9, 0.999), (0.5, 0.9), (0.0, 0.99)]),
)
def test_adam_steps_are_those_of_torch(level, real, tolerance, size, seed, decay, decoupled, lr, betas):
    parameter, gradients = start(size, seed, real)
    # A gradient that the decay cancels, up to rounding, is all rounding after Adam's division by its size.
    parameter = parameter + parameter.sign()
    gradients = [gradient.abs() * parameter.sign() for gradient in gradients] if decay else gradients
    kind = torch.optim.AdamW if decoupled else torch.optim.Adam
    expected, state = by_torch(
        lambda p: kind(p, lr=lr, betas=betas, eps=1e-7, weight_decay=decay, foreach=False), parameter, gradients
    )
    mean, square = torch.zeros_like(parameter), torch.zeros_like(parameter)
    options = {"lr": lr, "betas": betas, "eps": 1e-7, "weight_decay": decay, "decoupled": decoupled}
    with native.using(level):
        for step, gradient in enumerate(gradients):
            adam_step(parameter, gradient, mean, square, step=step + 1, **options)
    same(parameter, expected, tolerance)
    same(mean, state["exp_avg"], tolerance)
    same(square, state["exp_avg_sq"], tolerance)


@every_level
@reals
@few
@given(size=sizes, seed=seeds, decay=decays, momentum=st.sampled_from([0.0, 0.5, 0.9]), nesterov=flags)
def test_sgd_steps_are_those_of_torch(level, real, tolerance, size, seed, decay, momentum, nesterov):
    parameter, gradients = start(size, seed, real)
    options = {"lr": 0.05, "momentum": momentum, "weight_decay": decay, "nesterov": nesterov and momentum > 0}
    expected, state = by_torch(lambda p: torch.optim.SGD(p, foreach=False, **options), parameter, gradients)
    velocity = torch.zeros_like(parameter) if momentum else None
    with native.using(level):
        for gradient in gradients:
            sgd_step(parameter, gradient, velocity, **options)
    same(parameter, expected, tolerance)
    if velocity is not None:
        same(velocity, state["momentum_buffer"], tolerance)


@every_level
@pytest.mark.parametrize("real", [np.float32, np.float64])
def test_two_threads_give_the_same_bits_as_one(level, real):
    rng = np.random.default_rng(0)
    given_arrays = [rng.random(20_001).astype(real) for _ in range(4)]
    results = []
    with native.using(level):
        for threads in (1, 2):
            p, g, m, v = (array.copy() for array in given_arrays)
            adam_step(p, g, m, v, step=3, threads=threads)
            sgd_step(m, g, v, momentum=0.9, threads=threads)
            results.append((p, g, m, v))
    assert all(np.array_equal(one, other) for one, other in zip(*results, strict=True))
    assert np.array_equal(results[0][1], given_arrays[1])


def test_an_array_of_any_shape_is_stepped_in_place():
    parameter, gradient = torch.ones(3, 4, 5), torch.ones(3, 4, 5)
    sgd_step(parameter, gradient, lr=0.25)
    assert torch.equal(parameter, torch.full((3, 4, 5), 0.75))
    scalar = np.array(1.0)
    sgd_step(scalar, np.array(2.0), lr=0.25)
    assert scalar == 0.5


def refused(error, **change):
    arrays = {name: np.ones(8, np.float32) for name in ("parameter", "gradient", "mean", "square")}
    with pytest.raises(error):
        adam_step(**(arrays | {"step": 1} | change))


@pytest.mark.parametrize("name", ["parameter", "gradient", "mean", "square"])
def test_arrays_that_do_not_fit_are_refused(name):
    refused(DataError, **{name: np.ones(16, np.float32)[::2]})
    refused(DataError, **{name: np.ones(8, np.float16)})
    refused(DataError, **{name: [1.0] * 8})
    refused((DataError, ShapeError), **{name: np.ones(9, np.float32)})
    refused((DataError, ShapeError), **{name: np.ones((2, 4), np.float32)})


@pytest.mark.parametrize("name", ["parameter", "mean", "square"])
def test_an_array_that_cannot_be_written_is_refused(name):
    fixed = np.ones(8, np.float32)
    fixed.flags.writeable = False
    refused(DataError, **{name: fixed})


@pytest.mark.parametrize("step", [0, -1, 1.5, None])
def test_steps_count_from_one(step):
    refused(ParameterError, step=step)


def test_a_velocity_goes_with_momentum_and_only_with_it():
    parameter, gradient = np.ones(4), np.ones(4)
    for velocity, momentum, nesterov in ((None, 0.9, False), (np.zeros(4), 0.0, False), (None, 0.0, True)):
        with pytest.raises(ParameterError):
            sgd_step(parameter, gradient, velocity, momentum=momentum, nesterov=nesterov)
