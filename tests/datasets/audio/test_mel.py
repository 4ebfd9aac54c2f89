"""Mel features against closed forms, published frequencies and scipy."""

import numpy as np
import pytest
from scipy import fft, signal

from spikeloom.datasets.audio import MFCC, LogMel, Sound, hz_to_mel, mel_filters, mel_to_hz
from spikeloom.errors import ParameterError, ShapeError


def test_the_htk_scale_puts_1000_mels_at_1000_hz():
    assert hz_to_mel(1000.0) == pytest.approx(1000.0, abs=0.02)
    assert hz_to_mel([0.0, 700.0]) == pytest.approx([0.0, 781.17], abs=0.01)  # 2595 log10(2)


def test_the_slaney_scale_is_linear_to_1000_hz_and_has_27_steps_to_6400():
    assert hz_to_mel([0.0, 100.0, 1000.0, 6400.0], "slaney") == pytest.approx([0.0, 1.5, 15.0, 42.0])


def test_forty_frequencies_of_the_slaney_scale_are_those_that_librosa_documents():
    mels = np.linspace(0, hz_to_mel(11025.0, "slaney"), 40)
    documented = [0.0, 85.317, 170.635, 255.952, 341.269, 426.586, 511.904, 597.221, 682.538, 767.855]
    documented += [853.173, 938.49, 1024.856, 1119.114, 1222.042, 1334.436, 1457.167, 1591.187, 1737.532, 1897.337]
    documented += [2071.84, 2262.393, 2470.47, 2697.686, 2945.799, 3216.731, 3512.582, 3835.643, 4188.417, 4573.636]
    documented += [4994.285, 5453.621, 5955.205, 6502.92, 7101.009, 7754.107, 8467.272, 9246.028, 10096.408, 11025.0]
    assert mel_to_hz(mels, "slaney") == pytest.approx(documented, abs=0.001)


@pytest.mark.parametrize("scale", ["htk", "slaney"])
def test_mels_and_hz_are_inverse(scale):
    hertz = np.linspace(0, 20_000, 101)
    np.testing.assert_allclose(mel_to_hz(hz_to_mel(hertz, scale), scale), hertz, atol=1e-8)


def test_htk_triangles_add_up_to_one_between_the_first_and_the_last_centre():
    filters = mel_filters(20, 1024, 8000)
    edges = mel_to_hz(np.linspace(0, hz_to_mel(4000.0), 22))
    hertz = np.arange(513) * 8000 / 1024
    inside = (hertz >= edges[1]) & (hertz <= edges[-2])
    np.testing.assert_allclose(filters.sum(0)[inside], 1.0, atol=1e-12)


def test_slaney_triangles_have_an_area_of_one():
    filters = mel_filters(20, 1 << 16, 16000, 100.0, 7000.0, "slaney")
    np.testing.assert_allclose(filters.sum(1) * 16000 / (1 << 16), 1.0, rtol=1e-3)


def test_the_spectrogram_of_a_tone_is_loudest_where_its_filter_is():
    sound = Sound(np.sin(2 * np.pi * 1500 * np.arange(8000) / 8000), 8000)
    spectrogram = LogMel(n_mels=30, f_min=0.0)(sound)
    centres = mel_to_hz(np.linspace(0, hz_to_mel(4000.0), 32))[1:-1]
    assert (spectrogram[2:-2].argmax(1) == np.abs(centres - 1500).argmin()).all()


def test_the_power_of_each_frame_is_that_of_scipys_short_time_transform():
    sound = Sound(np.random.default_rng(0).normal(size=4000) * 0.1, 8000)
    transform = signal.ShortTimeFFT(signal.windows.hann(200, sym=False), 80, 8000, mfft=256)
    power = np.abs(transform.stft(sound.waveform.astype(np.float64), p0=0, p1=51)) ** 2
    expected = 10 * np.log10(mel_filters(40, 256, 8000, 20.0) @ power).T
    found = LogMel()(sound)
    assert found.shape == (51, 40)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-3)


def test_cepstral_coefficients_are_the_cosine_transform_of_the_spectrogram():
    sound = Sound(np.random.default_rng(1).normal(size=4000) * 0.1, 8000)
    mel = LogMel(n_mels=24)
    k, m = np.arange(13)[:, None], np.arange(24)
    by_hand = np.cos(np.pi * k * (m + 0.5) / 24) * np.sqrt(2 / 24)
    by_hand[0] /= np.sqrt(2)
    found = MFCC(mel=mel)(sound)
    np.testing.assert_allclose(found, mel(sound) @ by_hand.T, atol=1e-3)
    np.testing.assert_allclose(found, fft.dct(mel(sound), norm="ortho")[:, :13], atol=1e-4)


def test_ten_times_the_amplitude_is_20_db_more_and_only_moves_the_first_coefficient():
    waveform = np.random.default_rng(2).normal(size=4000) * 0.01
    quiet, loud = Sound(waveform, 8000), Sound(10 * waveform, 8000)
    np.testing.assert_allclose(LogMel()(loud) - LogMel()(quiet), 20.0, atol=1e-3)
    change = MFCC()(loud) - MFCC()(quiet)
    np.testing.assert_allclose(change[:, 0], 20 * np.sqrt(40), rtol=1e-4)
    np.testing.assert_allclose(change[:, 1:], 0.0, atol=1e-2)


def test_silence_has_the_floor_of_minus_100_db():
    assert (LogMel()(Sound(np.zeros(800), 8000)) == -100).all()


@pytest.mark.parametrize("n", [1, 79, 80, 81, 800])
def test_a_frame_begins_every_hop(n):
    assert len(LogMel()(Sound(np.ones(n), 8000))) == n // 80 + 1


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: LogMel(n_mels=0), "LogMel.n_mels must be an integer"),
        (lambda: LogMel(window=0.0), "LogMel.window must be a positive number"),
        (lambda: LogMel(hop=-1.0), "LogMel.hop must be a positive number"),
        (lambda: LogMel(n_fft=0), "LogMel.n_fft must be an integer"),
        (lambda: LogMel(scale="bark"), "'htk' or 'slaney', got 'bark'"),
        (lambda: MFCC(n_mfcc=41), "MFCC.n_mfcc must be an integer from 1 to 40, got 41"),
        (lambda: mel_filters(10, 256, 8000, 5000.0), "expected 0 <= f_min < f_max <= 4000 Hz"),
        (lambda: mel_filters(10, 256, 8000, 0.0, 4001.0), "got 0.0, 4001.0"),
        (lambda: mel_filters(100, 128, 8000), "no frequency of a transform of 128 samples lies in filter 0"),
        (lambda: hz_to_mel(1.0, "mel"), "got 'mel'"),
        (lambda: LogMel(n_fft=100)(Sound(np.ones(500), 8000)), "must hold the window of 200 samples, got 100"),
        (lambda: LogMel()(np.ones(500)), "LogMel expected a Sound, got ndarray"),
    ],
)
def test_a_wrong_parameter_is_named(make, message):
    with pytest.raises(ParameterError, match=message):
        make()


def test_a_sound_of_two_channels_is_refused():
    with pytest.raises(ShapeError, match=r"one channel, got 2; use sound.mono\(\)"):
        MFCC()(Sound(np.ones((500, 2)), 8000))
