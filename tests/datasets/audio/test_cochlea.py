"""The whole cochlea: tones, levels, adaptation, repeatability."""

import numpy as np
import pytest

from spikeloom.datasets.audio import Cochlea, HairCell, Sound
from spikeloom.datasets.audio import hair_cells as module
from spikeloom.errors import DataError, ParameterError, ShapeError

RATE = 16_000
SMALL = Cochlea(n_channels=50, f_min=100.0, f_max=6000.0)


def tone(hertz: float, ms: float = 300.0, rate: int = RATE) -> Sound:
    return Sound(0.1 * np.sin(2 * np.pi * hertz * np.arange(round(rate * ms / 1000)) / rate), rate)


def heard(sound: Sound, cochlea: Cochlea = SMALL, seed: int = 0):
    return cochlea(sound, np.random.default_rng(seed))


def with_level(level):
    return Cochlea(n_channels=50, f_min=100.0, f_max=6000.0, level=level)


def test_spikes_have_times_in_the_duration_of_the_sound():
    sound = tone(500.0, 123.0)
    spikes = heard(sound)
    assert (len(spikes), spikes.shape, spikes.duration) == (1, (50,), sound.duration)
    assert spikes.n_spikes
    assert spikes.time.max() < sound.duration
    np.testing.assert_array_equal(spikes.time, np.rint(spikes.time * 20) * 0.05)


def test_channels_run_from_the_highest_frequency_to_the_lowest():
    assert SMALL.channel_frequencies[[0, -1]] == pytest.approx([6000.0, 100.0])
    assert (np.diff(SMALL.channel_frequencies) < 0).all()


def test_a_tone_excites_most_the_place_of_its_frequency():
    frequencies = [150.0, 300.0, 600.0, 1200.0, 2400.0]
    places = [heard(tone(f, 900.0), with_level(70.0)).counts()[0].argmax() for f in frequencies]
    nearest = [np.abs(np.log(SMALL.channel_frequencies / f)).argmin() for f in frequencies]
    assert (np.diff(places) < 0).all()
    np.testing.assert_allclose(places, nearest, atol=2)


def test_more_channels_than_are_computed_at_once_keep_their_places():
    many = Cochlea(n_channels=150, f_min=100.0, f_max=6000.0)
    for hertz in (200.0, 700.0, 2500.0):
        best = many.channel_frequencies[heard(tone(hertz, 600.0), many).counts()[0].argmax()]
        assert best == pytest.approx(hertz, rel=0.2)


def test_two_tones_excite_two_places_with_a_gap_between():
    both = Sound(tone(400.0, 1000.0).waveform + tone(3000.0, 1000.0).waveform, RATE)
    counts = heard(both, with_level(70.0)).counts()[0]
    low, high = (np.abs(SMALL.channel_frequencies - f).argmin() for f in (400.0, 3000.0))
    gap = counts[high + 5 : low - 5].min()
    assert counts[low - 1 : low + 2].max() > 5 * gap
    assert counts[high - 1 : high + 2].max() > 5 * gap


def test_silence_is_nearly_silent():
    spikes = heard(Sound(np.zeros(RATE), RATE))
    assert spikes.n_spikes < 2 * 50  # per second and channel, where each of forty fibres fires at 60 Hz


def test_louder_is_more_spikes_in_more_channels():
    counts = [heard(tone(1000.0), with_level(level)).counts()[0] for level in (50, 65, 80, 95)]
    assert (np.diff([c.sum() for c in counts]) > 0).all()
    assert (np.diff([(c > 10).sum() for c in counts]) > 0).all()


def test_a_level_makes_the_amplitude_of_the_file_irrelevant():
    sound = tone(700.0)
    loud = Sound(4 * sound.waveform, RATE)
    np.testing.assert_array_equal(heard(sound).time, heard(loud).time)


def test_without_a_level_the_waveform_is_a_pressure():
    """One pascal is 94 dB SPL; the middle ear passes a tone far above its corner."""
    pascal = Sound(np.sqrt(2) * np.sin(2 * np.pi * 5000 * np.arange(RATE // 4) / RATE), RATE)
    quiet = Sound(pascal.waveform * 10 ** ((70 - 94) / 20), RATE)
    ears = [Cochlea(n_channels=50, f_min=100.0, f_max=6000.0, middle_ear=50.0, level=level) for level in (None, 70.0)]
    as_pressure, as_level = (heard(quiet, ear).n_spikes for ear in ears)
    assert as_pressure == pytest.approx(as_level, rel=0.02)
    assert heard(pascal, ears[0]).n_spikes > 1.3 * as_pressure


def test_the_onset_of_a_tone_fires_more_than_what_follows():
    counts = np.zeros(2)
    for seed in range(3):
        spikes = heard(tone(1000.0, 400.0), with_level(65.0), seed)
        near = np.abs(np.log2(SMALL.channel_frequencies[spikes.ids] / 1000)) < 0.2
        counts += [np.sum(near & (spikes.time < 30)), np.sum(near & (spikes.time >= 300) & (spikes.time < 390)) / 3]
    assert counts[0] > 1.2 * counts[1]


def test_spikes_lock_to_the_phase_of_a_low_tone():
    spikes = heard(tone(250.0), with_level(65.0))
    best = np.abs(SMALL.channel_frequencies - 250).argmin()
    phase = 2 * np.pi * 0.25 * spikes.time[spikes.ids == best]
    assert np.abs(np.exp(1j * phase).mean()) > 0.8


def test_low_places_hear_clicks_later():
    clicks = np.zeros(RATE)
    clicks[:: RATE // 10] = 1.0
    spikes = heard(Sound(clicks, RATE), with_level(75.0))
    after = spikes.time % 100
    delay = [np.median(after[(spikes.ids // 10 == group) & (after < 30)]) for group in range(5)]
    assert (np.diff(delay) > 0).all()


def test_equal_seeds_give_equal_spikes_and_others_do_not():
    one, same, other = (heard(tone(800.0), seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal([one.time, one.ids], [same.time, same.ids])
    assert one.n_spikes != other.n_spikes or (one.time != other.time).any()


def test_a_sound_longer_than_a_block_is_heard_evenly():
    spikes = heard(tone(500.0, 2000.0), with_level(90.0))
    parts = np.histogram(spikes.time, np.arange(300, 2000, 100))[0]
    assert parts.min() > 0.7 * parts.mean()
    assert parts.max() < 1.3 * parts.mean()


def test_the_numpy_reference_hears_the_same(monkeypatch):
    sound, small = tone(900.0, 30.0), Cochlea(n_channels=9)
    expected = heard(sound, small)
    monkeypatch.setattr(module, "compiled", lambda header: None)
    found = heard(sound, small)
    np.testing.assert_array_equal([found.time, found.ids], [expected.time, expected.ids])


def test_a_batch_is_the_same_for_any_number_of_threads():
    sounds = [tone(f, ms) for f, ms in ((200.0, 40.0), (900.0, 70.0), (3000.0, 55.0))]
    batches = [SMALL.batch(sounds, np.random.default_rng(3), threads=n) for n in (1, 2)]
    assert (len(batches[0]), batches[0].duration) == (3, 70.0)
    np.testing.assert_array_equal(batches[0].time, batches[1].time)
    for k in range(3):
        assert batches[0][k].time.max() < sounds[k].duration


def test_a_batch_on_a_grid_counts_every_spike():
    sounds = [tone(400.0, 60.0), tone(2000.0, 90.0)]
    plain, pooled = (
        SMALL.batch(sounds, np.random.default_rng(0), duration=100.0, **options)
        for options in ({}, {"dt": 5.0, "pool": 10})
    )
    assert (pooled.shape, pooled.n_steps, pooled.dt) == ((5,), 20, 5.0)
    expected = np.zeros((20, 2, 5), np.int8)
    np.add.at(expected, ((plain.time // 5).astype(int), plain.samples(), plain.ids // 10), 1)
    np.testing.assert_array_equal(pooled.raster(), expected)


def test_a_sound_longer_than_the_batch_is_an_error_and_not_cut():
    with pytest.raises(ParameterError, match="got 50 ms and sound 1 of 60 ms; cut or trim it first"):
        SMALL.batch([tone(400.0, 40.0), tone(400.0, 60.0)], np.random.default_rng(0), duration=50.0)


def test_progress_goes_to_standard_error_alone(capsys):
    SMALL.batch([tone(400.0, 20.0)], np.random.default_rng(0), progress=True)
    out, err = capsys.readouterr()
    assert out == ""
    assert "cochlea" in err
    SMALL.batch([tone(400.0, 20.0)], np.random.default_rng(0))
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Cochlea(n_channels=1), "Cochlea.n_channels must be an integer from 2 to 10000, got 1"),
        (lambda: Cochlea(n_channels=2.5), "got 2.5"),
        (lambda: Cochlea(f_min="a"), "f_min must be a positive number, got 'a'"),
        (lambda: Cochlea(f_max=None), "f_max must be a positive number, got None"),
        (lambda: Cochlea(f_min=20.0), "expected 30 <= f_min < f_max <= 8000 Hz, got 20.0"),
        (lambda: Cochlea(f_max=8001.0), "got 100.0 and 8001.0"),
        (lambda: Cochlea(f_min=np.nan), "got nan"),
        (lambda: Cochlea(rate=8000), "Cochlea.rate must be at least 10000 steps/s, got 8000"),
        (lambda: Cochlea(rate=20_000.0), "Cochlea.rate must be a whole number"),
        (lambda: Cochlea(level=np.nan), "Cochlea.level must be None or from -50 to 140 dB SPL"),
        (lambda: Cochlea(ramp=-1.0), "Cochlea.ramp must be a time in ms"),
        (lambda: Cochlea(middle_ear=0.0), "Cochlea.middle_ear must be a positive number"),
        (lambda: Cochlea(middle_ear=10_000.0), "Cochlea.middle_ear must lie below 10000 Hz"),
        (lambda: Cochlea(damping=0.31), "Cochlea.damping must be at most 0.3"),
        (lambda: Cochlea(damping=0.0), "Cochlea.damping must be a positive number"),
        (lambda: Cochlea(f_min=30.0, damping=0.05), "the ringing of a place at f_min"),
        (lambda: heard(np.zeros(10)), "Cochlea expected a Sound, got ndarray"),
        (lambda: SMALL(tone(400.0), 7), "Cochlea.generator must be a numpy.random.Generator"),
        (lambda: SMALL.batch([], np.random.default_rng(0)), "at least one sound, got none"),
        (lambda: SMALL.batch([tone(400.0)], 7), "Cochlea.generator must be a numpy.random.Generator"),
        (lambda: SMALL.batch([tone(400.0)], np.random.default_rng(0), pool=3), "Cochlea.pool must divide 50"),
        (lambda: SMALL.batch([tone(400.0)], np.random.default_rng(0), pool=0), "Cochlea.pool must be an integer"),
        (lambda: SMALL.batch([tone(400.0)], np.random.default_rng(0), threads=0), "Cochlea.threads must be"),
        (lambda: SMALL.batch([tone(400.0)], np.random.default_rng(0), duration=0.0), "Cochlea.duration must be"),
        (lambda: SMALL.batch([tone(400.0)], np.random.default_rng(0), dt=-1.0), "dt must be a positive"),
    ],
)
def test_a_wrong_parameter_is_named(make, message):
    with pytest.raises(ParameterError, match=message):
        make()


def test_a_sound_of_two_channels_is_refused():
    with pytest.raises(ShapeError, match=r"Cochlea expected a sound of one channel, got 2"):
        heard(Sound(np.zeros((100, 2)), RATE))


def test_cells_that_change_faster_than_a_step_are_refused():
    for fast in ({"l": 1e5}, {"g": 1e5}, {"x": 1e6}, {"y": 1e5}):
        with pytest.raises(ParameterError, match="must be at most rate = 20000 /s"):
            Cochlea(hair_cell=HairCell(**fast))


def test_a_waveform_without_a_level_that_no_ear_bears_is_refused():
    sound = Sound(np.random.default_rng(0).standard_normal(4000).astype(np.float32) * 1e4, 8000)
    with pytest.raises(DataError, match="at most 140 dB SPL, got an rms of"):
        Cochlea(n_channels=8, level=None)(sound, np.random.default_rng(0))
