"""The recipe eventprop on scikit-learn's digits, drawn as large as MNIST's, in place of MNIST."""

import numpy as np
import pytest

import spikeloom as sl


@pytest.fixture(scope="module")
def parts():
    images, labels = sl.digits().batch(np.random.default_rng(0).permutation(1797))
    large = np.kron(np.asarray(images).reshape(-1, 8, 8), np.ones((3, 3)))
    pixels = np.rint(np.pad(large, ((0, 0), (2, 2), (2, 2))) * 255 / large.max()).astype(np.uint8).reshape(-1, 784)
    labels = np.asarray(labels, np.int64)
    again = np.tile(np.arange(1440), 4)
    return (pixels[again], labels[again]), (pixels[1440:], labels[1440:])


def test_exact_gradients_learn_digits_in_one_pass_as_a_surrogate_does(parts):
    import eventprop

    reached = {way: eventprop.epoch(way, *parts, seed=0) for way in ("exact, input to 1 ms", "surrogate, 1 ms")}
    assert min(reached.values()) > 0.9
    assert abs(np.subtract(*reached.values())) < 0.04


def test_without_a_learning_rate_to_speak_of_nothing_is_learnt(parts, monkeypatch):
    import eventprop

    made = eventprop.network

    def still(*options, **more):
        net = made(*options, **more)
        net.learner.set_optimizer("Adam", 1e-12)
        return net

    monkeypatch.setattr(eventprop, "network", still)
    (pixels, labels), test = parts
    assert eventprop.epoch("exact, input to 1 ms", (pixels[:320], labels[:320]), test, seed=0) < 0.4


def test_a_pixel_speaks_the_earlier_the_brighter_and_a_dark_one_not_at_all():
    import eventprop

    given = eventprop.spikes(np.array([[255, 51, 52, 153]], np.uint8).repeat(196, 1), 1.0)
    assert set(np.asarray(given.step)[np.asarray(given.ids) < 196]) == {2}
    assert not ((np.asarray(given.ids) >= 196) & (np.asarray(given.ids) < 392)).any()
    assert set(np.asarray(given.step)[np.asarray(given.ids) >= 588]) == {10}
