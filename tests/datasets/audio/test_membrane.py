"""The basilar membrane against its equation, solved otherwise, and against what is known of the travelling wave."""

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from spikeloom.datasets.audio.membrane import BLOCK, HEIGHT, LENGTH, MASS, MEMORY, Membrane, resonance, velocities

RATE = 20_000


@pytest.fixture(scope="module")
def membrane():
    return Membrane(n_channels=100, f_min=100.0, f_max=7000.0, rate=RATE, damping=0.05)


def test_greenwoods_map_runs_from_20_khz_at_the_base_to_20_hz_at_the_apex():
    assert resonance(np.array([0.0, LENGTH])) == pytest.approx([20_677, 19.85], abs=1)
    assert resonance(np.array([LENGTH / 2])) == pytest.approx([165.4 * (10**1.05 - 0.88)])


def test_best_frequencies_fall_from_f_max_to_f_min(membrane):
    assert membrane.frequencies[[0, -1]] == pytest.approx([7000.0, 100.0])
    assert (np.diff(membrane.frequencies) < 0).all()


def test_a_channel_answers_most_at_its_best_frequency_with_a_gain_of_one(membrane):
    gain = np.abs(membrane.responses)
    np.testing.assert_allclose(gain.max(1), 1.0, rtol=1e-5)
    np.testing.assert_allclose(gain.argmax(1) * RATE / BLOCK, membrane.frequencies, rtol=0.01)


def test_the_response_falls_steeply_above_the_best_frequency_and_gently_below(membrane):
    gain = np.abs(membrane.responses[40])
    best = int(gain.argmax())
    above, below = (20 * np.log10(gain[round(best * ratio)]) for ratio in (2**0.5, 2**-0.5))
    assert above < -50
    assert -30 < below < -5


def test_the_wave_reaches_low_places_later(membrane):
    impulse = np.fft.irfft(membrane.responses, BLOCK, axis=1)
    delay = np.abs(impulse).argmax(1)[[0, 30, 60, 90]]
    assert (np.diff(delay) > 0).all()
    assert delay[-1] < 0.02 * RATE


def test_impulse_responses_have_died_away_within_the_memory(membrane):
    energy = np.fft.irfft(membrane.responses, BLOCK, axis=1) ** 2
    assert (energy[:, MEMORY:].sum(1) < 0.002 * energy.sum(1)).all()


@pytest.mark.parametrize("hertz", [300.0, 1000.0, 3000.0])
def test_the_wave_along_the_membrane_is_that_of_a_fine_integration(hertz):
    """p'' = 2 i w rho / (H Z) p, integrated from the apex to the base, where p is then set to 1."""
    omega = 2 * np.pi * hertz

    def impedance(x):
        omega0 = 2 * np.pi * resonance(x)
        return MASS * (1j * (omega - omega0**2 / omega) + 0.15 * omega0)

    def slope(x, y):
        return [y[1], 2j * omega / (HEIGHT * impedance(x)) * y[0]]

    end = -np.sqrt(2j * omega / (HEIGHT * impedance(LENGTH)))
    found = velocities(np.array([hertz]), 0.15)[:, 0]
    x = np.linspace(0, LENGTH, len(found))
    # The wave is tiny at the apex; towards the base it grows, so this way round the integration is stable.
    pressure = solve_ivp(slope, (LENGTH, 0), [1 + 0j, end], t_eval=x[::-1], rtol=1e-7, atol=1e-30).y[0][::-1]
    expected = pressure / pressure[0] / impedance(x)
    assert np.abs(found - expected).max() < 0.03 * np.abs(expected).max()


def test_pieces_of_a_sound_join_without_a_seam(membrane):
    waveform = np.random.default_rng(0).normal(size=30_000).astype(np.float32)
    pieces = [membrane.velocity(waveform, start) for start in range(0, 30_000, BLOCK - MEMORY)]
    velocity = np.concatenate(pieces, 1)
    assert velocity.shape == (100, 30_000)
    impulse = np.fft.irfft(membrane.responses.astype(complex), BLOCK, axis=1)
    for channel in (0, 50, 90):
        expected = np.convolve(waveform, impulse[channel, :MEMORY])[:30_000]
        error = velocity[channel] - expected
        assert np.sqrt(np.mean(error**2)) < 0.05 * np.sqrt(np.mean(expected**2))


def test_some_of_the_channels_are_those_of_all(membrane):
    waveform = np.random.default_rng(0).normal(size=1000).astype(np.float32)
    np.testing.assert_array_equal(membrane.velocity(waveform, 0, slice(10, 20)), membrane.velocity(waveform, 0)[10:20])
