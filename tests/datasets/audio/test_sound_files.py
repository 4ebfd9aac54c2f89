"""Files of sound, written by the test itself or by soundfile."""

import struct
import sys
import wave

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spikeloom.datasets.audio import Sound, read_sound, write_sound
from spikeloom.errors import DataError, ParameterError, StorageError, UnsupportedError

pytest.importorskip("soundfile", reason="the extra audio is not installed")

TONE = 0.5 * np.sin(2 * np.pi * 440 * np.arange(8000) / 8000)


def pcm(path, samples, rate=8000, channels=1):
    """A 16-bit .wav file by the standard library."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(np.asarray(samples, "<i2").tobytes())
    return path


def test_integers_are_scaled_by_their_range(tmp_path):
    sound = read_sound(pcm(tmp_path / "a.wav", [0, 16384, -32768, 32767]))
    assert sound.waveform.tolist() == [0.0, 0.5, -1.0, 32767 / 32768]
    assert sound.rate == 8000


def test_a_file_assembled_by_hand_from_the_riff_specification_is_read(tmp_path):
    data = struct.pack("<3f", 0.25, -0.5, 1.5)
    form = struct.pack("<HHIIHH", 3, 1, 22050, 22050 * 4, 4, 32)
    body = b"WAVE" + b"fmt " + struct.pack("<I", 16) + form + b"data" + struct.pack("<I", 12) + data
    (tmp_path / "a.wav").write_bytes(b"RIFF" + struct.pack("<I", len(body)) + body)
    sound = read_sound(tmp_path / "a.wav")
    assert (sound.waveform.tolist(), sound.rate) == ([0.25, -0.5, 1.5], 22050)


def test_channels_are_averaged_or_kept(tmp_path):
    path = pcm(tmp_path / "a.wav", [16384, -16384, 8192, 0], channels=2)
    assert read_sound(path).waveform.tolist() == [0.0, 0.125]
    assert read_sound(path, channels="all").waveform.tolist() == [[0.5, -0.5], [0.25, 0.0]]


def test_a_file_is_resampled_when_it_is_read(tmp_path):
    sound = read_sound(pcm(tmp_path / "a.wav", TONE * 32767), rate=16000)
    assert (sound.rate, len(sound)) == (16000, 16000)


@pytest.mark.parametrize(("name", "tolerance"), [("a.wav", 2**-15), ("a.flac", 2**-15), ("a.ogg", 0.02)])
def test_what_is_written_is_read_again(tmp_path, name, tolerance):
    write_sound(tmp_path / name, Sound(TONE, 8000))
    again = read_sound(tmp_path / name)
    assert again.rate == 8000
    np.testing.assert_allclose(again.waveform[400:7600], TONE[400:7600], atol=tolerance)


def test_mp3_keeps_the_tone_but_not_its_beginning(tmp_path):
    write_sound(tmp_path / "a.mp3", Sound(TONE, 8000))
    again = read_sound(tmp_path / "a.mp3").waveform
    assert np.abs(np.fft.rfft(again[1000:5000])).argmax() == 220  # 440 Hz in half a second
    assert np.abs(again[1000:5000]).max() == pytest.approx(0.5, abs=0.05)


@settings(max_examples=20, deadline=None)
@given(
    waveform=st.lists(st.floats(-4, 4, width=32), min_size=1, max_size=40),
    rate=st.sampled_from([1, 8000, 11025, 48000]),
)
def test_floats_come_back_exactly(tmp_path_factory, waveform, rate):
    path = tmp_path_factory.mktemp("sound") / "a.wav"
    write_sound(path, Sound(waveform, rate), subtype="FLOAT")
    again = read_sound(path)
    np.testing.assert_array_equal(again.waveform, np.array(waveform, np.float32))
    assert again.rate == rate


def test_samples_that_integers_cannot_hold_are_not_cut_off(tmp_path):
    with pytest.raises(ParameterError, match=r"must lie from -1 to 1, got one of 1\.5"):
        write_sound(tmp_path / "a.wav", Sound([0.0, -1.5], 8000))
    assert not (tmp_path / "a.wav").exists()


@pytest.mark.parametrize(
    ("name", "subtype", "message"),
    [
        ("a.xyz", None, "ends with .wav, .flac, .ogg or .mp3, got '.xyz'"),
        ("a", None, "got ''"),
        ("a.raw", None, "got '.raw'"),
        ("a.flac", "FLOAT", "FLAC has no subtype 'FLOAT'; it has: .*PCM_16"),
    ],
)
def test_a_format_that_there_is_not_is_refused(tmp_path, name, subtype, message):
    with pytest.raises(ParameterError, match=message):
        write_sound(tmp_path / name, Sound(TONE, 8000), subtype)


def test_a_folder_that_is_not_there_is_a_storage_error(tmp_path):
    with pytest.raises(StorageError, match="cannot be written"):
        write_sound(tmp_path / "none" / "a.wav", Sound(TONE, 8000))
    with pytest.raises(StorageError, match=r"a\.wav: expected a sound file, found nothing"):
        read_sound(tmp_path / "a.wav")
    with pytest.raises(StorageError, match="found a folder"):
        read_sound(tmp_path)


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.ogg"])
@pytest.mark.parametrize("part", [0.02, 0.3, 0.6, 0.97])
def test_a_file_that_was_cut_short_is_named(tmp_path, name, part):
    noise = Sound(np.random.default_rng(0).uniform(-0.5, 0.5, 8000), 8000)
    write_sound(tmp_path / name, noise)
    whole = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(whole[: int(part * len(whole))])
    with pytest.raises(DataError, match=name):
        read_sound(tmp_path / name)


@pytest.mark.parametrize("content", [b"", b"RIFF", b"no sound at all, only text", bytes(100)])
@pytest.mark.parametrize("name", ["a.wav", "a.mp3", "a.raw"])
def test_what_is_no_sound_is_named(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=name):
        read_sound(tmp_path / name)


def test_a_header_that_announces_more_than_there_is_takes_no_memory_for_it(tmp_path):
    path = pcm(tmp_path / "a.wav", np.zeros(100))
    content = bytearray(path.read_bytes())
    content[40:44] = struct.pack("<I", 0x70000000)
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"expected 1879048192 bytes of samples, got 200; the file was cut short"):
        read_sound(path)


def test_more_samples_than_asked_for_are_refused(tmp_path):
    path = pcm(tmp_path / "a.wav", np.zeros(100), channels=2)
    assert len(read_sound(path, max_samples=100)) == 50
    with pytest.raises(DataError, match="at most 99 samples are read, got 50 x 2"):
        read_sound(path, max_samples=99)


def test_numbers_that_are_not_finite_are_found_in_the_file(tmp_path):
    write_sound(tmp_path / "a.wav", Sound([0.0, 0.5], 8000), subtype="FLOAT")
    content = (tmp_path / "a.wav").read_bytes()
    (tmp_path / "a.wav").write_bytes(content.replace(struct.pack("<f", 0.5), struct.pack("<f", np.nan)))
    with pytest.raises(DataError, match=r"a\.wav: Sound.waveform\[1\] must be a finite"):
        read_sound(tmp_path / "a.wav")


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_a_file_with_changed_bytes_gives_a_sound_or_an_error_of_ours(tmp_path_factory, data):
    path = pcm(tmp_path_factory.mktemp("sound") / "a.wav", np.arange(60))
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    try:
        sound = read_sound(path)
    except (DataError, ParameterError):
        return
    assert sound.waveform.size <= 2 * len(content)


def test_unknown_channels_are_refused():
    with pytest.raises(ParameterError, match=r"read_sound\.channels must be 'mono' or 'all', got 'left'"):
        read_sound("a.wav", channels="left")


def test_without_soundfile_the_way_out_is_told(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "soundfile", None)
    with pytest.raises(UnsupportedError, match=r"pip install 'spikeloom\[audio\]'"):
        read_sound(tmp_path / "a.wav")
