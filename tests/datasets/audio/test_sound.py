"""Sound: what it holds, resampling, trimming."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.io import wavfile

from spikeloom.datasets.audio import Sound, excerpt, resample, trim_silence
from spikeloom.errors import DataError, ParameterError, ShapeError


def tone(frequency: float, rate: int, seconds: float = 0.5) -> np.ndarray:
    return np.sin(2 * np.pi * frequency * np.arange(round(rate * seconds)) / rate)


def test_a_sound_keeps_a_copy_that_nobody_can_change():
    waveform = np.array([0.5, -0.5], np.float32)
    sound = Sound(waveform, 8000)
    waveform[:] = 0
    assert sound.waveform.tolist() == [0.5, -0.5]
    assert sound.waveform.dtype == np.float32
    with pytest.raises(ValueError, match="read-only"):
        sound.waveform[0] = 1


def test_duration_and_channels_are_those_of_the_waveform():
    sound = Sound(np.zeros((4000, 2)), 8000)
    assert (len(sound), sound.duration, sound.n_channels) == (4000, 500.0, 2)
    assert repr(sound) == "<Sound: 500 ms, 2 x 8000 Hz>"


def test_mono_is_the_mean_of_the_channels():
    assert Sound([[0.25, 0.75], [-1.0, 0.5]], 8000).mono().waveform.tolist() == [0.5, -0.25]


@pytest.mark.parametrize(
    ("waveform", "error", "message"),
    [
        ([], ShapeError, r"got \(0,\)"),
        (np.zeros((3, 0)), ShapeError, "none zero"),
        (0.5, ShapeError, r"got \(\)"),
        (np.zeros((2, 2, 2)), ShapeError, r"got \(2, 2, 2\)"),
        ([0.0, np.nan], DataError, r"Sound.waveform\[1\] must be a finite"),
        ([0.0, 1e39], DataError, r"got 1e\+39"),
        (["a"], ParameterError, "must hold numbers"),
        ([0, 1000], DataError, r"int16, int32, got int64; divide it by its full scale"),
        ([True, False], DataError, "got bool"),
        (np.zeros((1, 8000)), ShapeError, r"\(samples, channels\), got \(1, 8000\).*transpose it: waveform.T"),
        (np.zeros((2, 65), np.int16), ShapeError, "transpose"),
    ],
)
def test_what_is_no_waveform_is_refused(waveform, error, message):
    with pytest.raises(error, match=message):
        Sound(waveform, 8000)


@pytest.mark.parametrize("dtype", ["uint8", "int16", "int32"])
def test_integers_are_what_soundfile_reads_of_the_file_that_scipy_writes(tmp_path, dtype):
    soundfile = pytest.importorskip("soundfile", reason="the extra audio is not installed")
    span = np.iinfo(dtype)
    waveform = np.random.default_rng(0).integers(span.min, span.max, (500, 2), dtype, endpoint=True)
    waveform[:2] = [[span.min], [span.max]]
    wavfile.write(tmp_path / "a.wav", 8000, waveform)
    expected, _ = soundfile.read(tmp_path / "a.wav", dtype="float32")
    rate, given = wavfile.read(tmp_path / "a.wav")
    assert given.dtype == dtype
    np.testing.assert_array_equal(Sound(given, rate).waveform, expected)


def test_many_channels_are_channels_where_there_are_more_samples():
    assert Sound(np.zeros((1000, 128)), 8000).n_channels == 128
    assert Sound(np.zeros((2, 64)), 8000).n_channels == 64


@pytest.mark.parametrize("rate", [0, -8000, 8000.5, "8000", None, True, 10_000_001])
def test_a_rate_is_a_whole_number_of_samples(rate):
    with pytest.raises(ParameterError, match=r"Sound.rate must be a whole number"):
        Sound([0.0], rate)
    with pytest.raises(ParameterError, match=r"resample.rate must be a whole number"):
        resample(Sound([0.0], 8000), rate)


@pytest.mark.parametrize(("rate", "other"), [(8000, 20000), (44100, 16000), (16000, 8000)])
def test_a_tone_stays_the_same_tone_at_another_rate(rate, other):
    sound = resample(Sound(tone(440.0, rate), rate), other)
    inside = slice(other // 20, -other // 20)
    np.testing.assert_allclose(sound.waveform[inside], tone(440.0, other)[inside], atol=0.005)


def test_what_a_lower_rate_cannot_hold_is_taken_away():
    sound = resample(Sound(tone(3000.0, 16000), 16000), 4000)
    assert np.abs(sound.waveform[200:-200]).max() < 0.01


def test_channels_are_resampled_one_by_one():
    both = np.stack([tone(440.0, 8000), tone(200.0, 8000)], 1)
    resampled = resample(Sound(both, 8000), 12000)
    for channel in (0, 1):
        alone = resample(Sound(both[:, channel], 8000), 12000)
        np.testing.assert_array_equal(resampled.waveform[:, channel], alone.waveform)


@given(n=st.integers(1, 500), rate=st.integers(50, 500), other=st.integers(50, 500))
def test_the_number_of_samples_follows_the_rate(n, rate, other):
    assert len(resample(Sound(np.zeros(n), rate), other)) == -(-n * other // rate)


def test_rates_that_would_make_a_sound_too_large_or_a_filter_too_long_are_refused():
    with pytest.raises(DataError, match="more than 268435456 samples"):
        resample(Sound(np.zeros(100_000), 1), 10_000)
    with pytest.raises(ParameterError, match="use rounder rates"):
        resample(Sound(np.zeros(10), 1_000_003), 1_000_001)


def test_trimming_takes_the_silence_at_both_ends_and_nothing_in_the_middle():
    loud = np.concatenate([np.full(160, 0.5), np.zeros(800), np.full(160, -0.5)])
    sound = Sound(np.concatenate([np.full(320, 1e-4), loud, np.full(480, 1e-4)]), 8000)
    np.testing.assert_array_equal(trim_silence(sound).waveform, loud.astype(np.float32))


def test_the_threshold_of_trimming_is_in_db_below_the_loudest_frame():
    waveform = np.concatenate([np.full(160, 0.1), np.full(160, 1.0), np.full(100, 0.01)])
    assert len(trim_silence(Sound(waveform, 8000), threshold=19.0)) == 160
    assert len(trim_silence(Sound(waveform, 8000), threshold=21.0)) == 320
    assert len(trim_silence(Sound(waveform, 8000), threshold=41.0)) == 420


def test_a_sound_that_is_silent_throughout_is_not_cut():
    assert len(trim_silence(Sound(np.zeros((500, 2)), 8000))) == 500


@pytest.mark.parametrize("wrong", [{"threshold": 0.0}, {"threshold": np.nan}, {"frame": -1.0}, {"frame": "long"}])
def test_parameters_of_trimming_are_positive(wrong):
    with pytest.raises(ParameterError, match=f"trim_silence.{next(iter(wrong))} must be a positive number"):
        trim_silence(Sound(np.ones(10), 8000), **wrong)


def test_an_excerpt_is_cut_at_times_in_ms():
    sound = Sound(np.arange(100) / 100, 1000)
    assert excerpt(sound, 10.0, 12.0).waveform.tolist() == pytest.approx([0.1, 0.11])
    assert len(excerpt(sound, 90.0)) == 10
    assert len(excerpt(sound, end=500.0)) == 100
    assert len(excerpt(sound, 0.0, 0.2)) == 1


@pytest.mark.parametrize(("start", "end"), [(-1.0, 5.0), (5.0, 5.0), (100.0, None), (0.0, np.inf), (np.nan, None)])
def test_an_excerpt_lies_within_the_sound(start, end):
    with pytest.raises(ParameterError, match="excerpt: expected 0 <= start < end in ms, start below 100"):
        excerpt(Sound(np.zeros(100), 1000), start, end)
