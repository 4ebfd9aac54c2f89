"""The networks that are compared, against the sizes they are stated with and a plain loop in NumPy."""

import math
from dataclasses import replace

import numpy as np
import pytest
from with_spikeloom import Task, missing
from workloads import WORKLOADS, Weights, Workload, data, weights

SHAPES = {
    "W1": [(1000, 784), (10, 1000)],
    "W2": [(256, 700), (256, 256), (20, 256)],
    "W3": [(16, 2, 5, 5), (32, 16, 5, 5), (10, 800)],
    "W4": [(256, 784), (256, 256), (10, 256)],
}
SMALL = {
    "feedforward": Workload(kind="feedforward", sizes=(40, 30, 5), n_steps=12, batch=3, density=0.2, gains=(3, 4)),
    "recurrent": Workload(kind="recurrent", sizes=(40, 30, 5), n_steps=12, batch=3, density=0.2, gains=(3, 2, 4)),
    "conv": Workload(kind="conv", sizes=((2, 18, 18), 3, 4, 5), n_steps=6, batch=2, density=0.05, gains=(2, 2, 2)),
}


def leaky(currents: np.ndarray, loop: Weights | None = None) -> np.ndarray:
    """The spikes of leaky neurons at currents (T, B, ...): 0.9 v + current, threshold 1, which is subtracted.

    What comes through the loop, its bias too, takes one step.
    """
    v, spikes, out = np.zeros_like(currents[0]), np.zeros_like(currents[0]), []
    for t, current in enumerate(currents):
        v = 0.9 * v + current
        if loop is not None and t > 0:
            v = v + spikes @ loop.weight.T + loop.bias
        spikes = (v >= 1).astype(v.dtype)
        v = v - spikes
        out.append(spikes)
    return np.array(out)


def pooled(frames: np.ndarray, given: Weights) -> np.ndarray:
    """Convolution of frames (T, B, C, H, W) without padding, then the maximum of each 2 x 2 window."""
    windows = np.lib.stride_tricks.sliding_window_view(frames, (5, 5), axis=(3, 4))
    current = np.einsum("tbchwij,ocij->tbohw", windows, given.weight) + given.bias[:, None, None]
    *lead, height, width = current.shape
    current = current[..., : height // 2 * 2, : width // 2 * 2]
    return current.reshape(*lead, height // 2, 2, width // 2, 2).max((4, 6))


def loop_in_numpy(workload: Workload) -> np.ndarray:
    """The output spikes (T, B, classes) in double precision."""
    signal = data(workload)[0].astype(np.float64)
    given = [Weights(w.weight.astype(np.float64), w.bias.astype(np.float64)) for w in weights(workload)]
    if workload.kind == "recurrent":
        first, loop, last = given
        return leaky(leaky(signal @ first.weight.T + first.bias, loop) @ last.weight.T + last.bias)
    for each in given:
        if each.weight.ndim == 4:
            signal = leaky(pooled(signal, each))
        else:
            signal = leaky(signal.reshape(*signal.shape[:2], -1) @ each.weight.T + each.bias)
    return signal


@pytest.mark.parametrize("name", WORKLOADS)
def test_the_weights_have_the_shapes_that_the_sizes_ask_for(name):
    assert [w.weight.shape for w in weights(WORKLOADS[name])] == SHAPES[name]
    assert [w.bias.shape for w in weights(WORKLOADS[name])] == [(shape[0],) for shape in SHAPES[name]]


@pytest.mark.parametrize("name", WORKLOADS)
def test_weights_are_uniform_within_the_gain_over_the_root_of_fan_in(name):
    for (weight, bias), gain in zip(weights(WORKLOADS[name]), WORKLOADS[name].gains, strict=True):
        bound = 1 / math.sqrt(weight[0].size)
        assert abs(weight).max() <= gain * bound * 1.000001
        assert abs(bias).max() <= bound * 1.000001
        assert weight.std() == pytest.approx(gain * bound / math.sqrt(3), rel=0.1)


def test_the_raster_holds_zeros_and_ones_at_the_stated_density():
    workload = replace(WORKLOADS["W4"], n_steps=20, batch=16)
    raster, labels = data(workload)
    assert raster.shape == (20, 16, 784)
    assert raster.dtype == np.float32
    assert set(np.unique(raster)) == {0, 1}
    assert raster.mean() == pytest.approx(0.02, rel=0.05)
    assert labels.shape == (16,)
    assert 0 <= labels.min() <= labels.max() <= 9


def test_the_same_seed_gives_the_same_numbers_whatever_the_number_of_steps():
    short, long = (data(replace(WORKLOADS["W1"], n_steps=n, batch=4))[0] for n in (2, 5))
    np.testing.assert_array_equal(short, long[:2])


def test_varied_hidden_changes_every_hidden_population_and_no_other():
    varied = WORKLOADS["W4"].varied("hidden", 50)
    assert varied.sizes == (784, 50, 50, 10)
    assert varied.varied("density", 0.5) == replace(varied, density=0.5)


@pytest.mark.parametrize("kind", SMALL)
def test_our_network_fires_as_a_plain_loop_does(kind):
    if missing(SMALL[kind], "auto"):
        pytest.skip(missing(SMALL[kind], "auto"))
    expected = loop_in_numpy(SMALL[kind]).mean(0)
    assert 0.02 < expected.mean() < 0.6
    np.testing.assert_allclose(Task(SMALL[kind]).infer().numpy(), expected, atol=1e-6)


@pytest.mark.parametrize("kind", SMALL)
def test_training_steps_lower_the_loss_on_either_path(kind):
    if missing(SMALL[kind], "torch"):
        pytest.skip(missing(SMALL[kind], "torch"))
    for form in ("auto", "torch"):
        task = Task(SMALL[kind], form)
        task.net.learner.set_optimizer("Adam", 0.02)
        answers = [task.train() for _ in range(15)]
        losses = [-answer.log_softmax(1)[range(len(answer)), task.labels].mean() for answer in answers]
        assert losses[-1] < losses[0]
