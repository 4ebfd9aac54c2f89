"""Spoken digits from files that the test writes, and the published ones where they are."""

from pathlib import Path

import numpy as np
import pytest

from spikeloom.datasets import DATASETS, Dataloader
from spikeloom.datasets.audio import (
    Cochlea,
    LogMel,
    Recordings,
    Sound,
    excerpt,
    spoken_digits,
    trim_silence,
    write_sound,
)
from spikeloom.errors import DataError, ParameterError, UnsupportedError

pytest.importorskip("soundfile", reason="the extra audio is not installed")

PUBLISHED = Path(__file__).parents[4] / "shared" / "data" / "fsdd"


@pytest.fixture
def folder(tmp_path):
    """Two digits by two speakers, seven times each; the recording k of digit d has 80 (d + 1) + k samples."""
    for digit in (0, 7):
        for speaker in ("ann", "bob_2"):
            for index in range(7):
                waveform = 0.1 * np.sin(np.arange(80 * (digit + 1) + index))
                write_sound(tmp_path / f"{digit}_{speaker}_{index}.wav", Sound(waveform, 8000))
    return tmp_path


def test_the_first_five_recordings_of_each_digit_and_speaker_are_the_test_part(folder):
    train, test, every = (spoken_digits(folder, part) for part in ("train", "test", "all"))
    assert (len(train), len(test), len(every)) == (8, 20, 28)
    assert train.indices.tolist() == [5, 6] * 4
    assert sorted(set(test.indices.tolist())) == [0, 1, 2, 3, 4]


def test_labels_speakers_and_files_come_from_the_names(folder):
    train = spoken_digits(folder)
    assert train.labels.tolist() == [0, 0, 0, 0, 7, 7, 7, 7]
    assert train.speakers.tolist() == ["ann", "ann", "bob_2", "bob_2"] * 2
    assert train.files[2].name == "0_bob_2_5.wav"
    sound, label = train[6]
    assert (len(sound), sound.rate, label) == (645, 8000, 7)
    assert train.n_classes == 10


def test_indices_are_sorted_as_numbers(tmp_path):
    for index in range(12):
        write_sound(tmp_path / f"3_ann_{index}.wav", Sound(np.full(10, index / 100), 8000))
    assert spoken_digits(tmp_path, "all").indices.tolist() == list(range(12))


def test_the_folder_may_hold_the_folder_recordings(folder):
    (folder / "recordings").mkdir()
    for file in folder.glob("*.wav"):
        file.rename(folder / "recordings" / file.name)
    assert len(spoken_digits(folder)) == 8


def test_files_are_resampled_when_asked(folder):
    assert {sound.rate for sound, _ in spoken_digits(folder, rate=16000)} == {16000}


def test_a_damaged_file_is_named(folder):
    file = folder / "7_ann_6.wav"
    file.write_bytes(file.read_bytes()[:200])
    with pytest.raises(DataError, match=r"7_ann_6\.wav.*cut short"):
        spoken_digits(folder)
    assert len(spoken_digits(folder, "test")) == 20


@pytest.mark.parametrize("name", ["7_bob_2_3.wav", "0_ann_0.wav"])
def test_a_missing_file_is_named(folder, name):
    (folder / name).unlink()
    with pytest.raises(DataError, match=f"{name} is missing, 1 of 28 in all"):
        spoken_digits(folder)


@pytest.mark.parametrize("name", ["seven_ann_0.wav", "7_ann.wav", "77_ann_0.wav", "7_ann_0_.wav", "7_ann_x.wav"])
def test_a_file_with_another_name_is_named(folder, name):
    (folder / name).write_bytes(b"")
    with pytest.raises(DataError, match=rf"{name}: expected a name such as 0_jackson_0\.wav"):
        spoken_digits(folder)


def test_a_folder_without_recordings_is_an_error(tmp_path):
    for root in (tmp_path, tmp_path / "none"):
        with pytest.raises(DataError, match="expected a folder with files such as"):
            spoken_digits(root)
    write_sound(tmp_path / "0_ann_0.wav", Sound([0.0], 8000))
    with pytest.raises(DataError, match="expected recordings of the train part, got none among 1"):
        spoken_digits(tmp_path)


@pytest.mark.parametrize(("wrong", "name"), [({"part": "dev"}, "part"), ({"rate": 0}, "rate")])
def test_a_wrong_parameter_is_named_before_any_file_is_read(wrong, name):
    with pytest.raises(ParameterError, match=f"spoken_digits.{name} must be"):
        spoken_digits("nowhere", **wrong)


def test_recordings_are_chosen_by_a_mask(folder):
    every = spoken_digits(folder, "all")
    ann = every.where(every.speakers == "ann")
    assert (len(ann), set(ann.speakers)) == (14, {"ann"})
    assert isinstance(ann, Recordings)
    for wrong in ([0, 1], np.zeros(3, bool)):
        with pytest.raises(ParameterError, match=r"where expected 28 booleans"):
            every.where(wrong)


def test_a_function_of_sounds_gives_recordings_or_arrays(folder):
    train = spoken_digits(folder)
    trimmed = train.map(trim_silence)
    assert isinstance(trimmed, Recordings)
    assert trimmed.labels.tolist() == train.labels.tolist()
    mel = LogMel(n_mels=10)
    spectrograms = train.map(lambda sound: mel(excerpt(sound, end=10.0)))
    assert spectrograms.shape == (2, 10)
    data, labels = next(iter(Dataloader(spectrograms, 8)))
    assert (data.shape, data.dtype, labels.tolist()) == ((8, 2, 10), np.float32, train.labels.tolist())


def test_sounds_of_unequal_length_make_no_batch_but_say_what_does(folder):
    train = spoken_digits(folder)
    with pytest.raises(UnsupportedError, match=r"use .map\(transform\), .spikes\(cochlea, generator\) or a collate_fn"):
        next(iter(Dataloader(train, 4)))
    lengths = next(iter(Dataloader(train, 4, collate_fn=lambda pairs: [len(sound) for sound, _ in pairs])))
    assert lengths == [85, 86, 85, 86]


def test_the_spikes_of_a_cochlea_are_a_data_set(folder):
    cochlea = Cochlea(n_channels=20, f_max=4000.0)
    test = spoken_digits(folder, "test")
    heard = [test.spikes(cochlea, np.random.default_rng(1), duration=100.0, dt=5.0, pool=2) for _ in range(2)]
    data, labels = heard[0].batch(range(20))
    assert (data.shape, data.n_steps, labels.tolist()) == ((10,), 20, test.labels.tolist())
    np.testing.assert_array_equal(data.raster(), heard[1].data.raster())
    with pytest.raises(ParameterError, match="cut or trim it first"):
        test.spikes(cochlea, np.random.default_rng(1), duration=50.0)


def test_spikes_are_kept_in_a_folder_until_something_they_depend_on_changes(folder, monkeypatch):
    test, times = spoken_digits(folder, "test"), []
    batch = Cochlea.batch
    monkeypatch.setattr(Cochlea, "batch", lambda *given, **options: times.append(0) or batch(*given, **options))

    def heard(n_channels=20, seed=1, recordings=test, **options):
        cochlea = Cochlea(n_channels=n_channels, f_max=4000.0)
        chosen = {"duration": 100.0, "dt": 5.0, "pool": 2} | options
        return recordings.spikes(cochlea, np.random.default_rng(seed), folder / "cache", **chosen)

    first, _ = heard().batch(range(20))
    again, labels = heard(threads=2).batch(range(20))
    assert len(times) == 1
    np.testing.assert_array_equal(first.raster(), again.raster())
    assert labels.tolist() == test.labels.tolist()
    uncached = test.spikes(
        Cochlea(n_channels=20, f_max=4000.0), np.random.default_rng(1), duration=100.0, dt=5.0, pool=2
    )
    np.testing.assert_array_equal(uncached.batch(range(20))[0].raster(), first.raster())
    times.clear()

    def shorter(sound):
        return excerpt(sound, end=9.0)

    for change in ({"seed": 2}, {"n_channels": 40}, {"pool": 4}, {"dt": 10.0}, {"recordings": test.map(shorter)}):
        heard(**change)
    assert len(times) == 5


def test_an_unknown_option_of_spikes_is_named(folder):
    with pytest.raises(ParameterError, match="spikes: unknown parameter 'time'; it has: duration, dt, pool"):
        spoken_digits(folder).spikes(Cochlea(), np.random.default_rng(0), time=100.0)


def test_the_data_set_has_a_name(folder):
    assert len(DATASETS["spoken_digits"](folder)) == 8


@pytest.mark.skipif(not PUBLISHED.is_dir(), reason="the Free Spoken Digit Dataset is not there")
def test_the_published_recordings_have_the_official_split():
    test = spoken_digits(PUBLISHED, "test")
    assert np.bincount(test.labels).tolist() == [30] * 10
    assert sorted(set(test.speakers)) == ["george", "jackson", "lucas", "nicolas", "theo", "yweweler"]
    assert {sound.rate for sound, _ in test} == {8000}
