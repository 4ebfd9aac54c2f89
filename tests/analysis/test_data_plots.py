"""What the figures of data show: every sample's name, labelled axes, and only what there is."""

import numpy as np
import pytest
from data_files import caption_folder, class_folder, neuron_file, spike_file

from spikeloom.analysis.data_plots import draw_array, draw_dataset, draw_file, draw_images, draw_sound
from spikeloom.datasets import ArrayDataset, digits
from spikeloom.datasets.audio import Sound
from spikeloom.errors import ParameterError, UnsupportedError


def titles(figure):
    return [axes.get_title() for axes in figure.axes if axes.get_title()]


def tone(duration):
    return Sound(0.3 * np.sin(2 * np.pi * 1000 * np.arange(int(duration * 8)) / 8000), 8000)


def test_a_sound_is_drawn_on_three_panels_with_one_axis_of_time_and_high_frequencies_on_top():
    figure = draw_sound(tone(200.0), np.random.default_rng(0), title="tone")
    wave, mel, cochlea = figure.axes[:3]
    assert (wave.get_ylabel(), mel.get_ylabel()) == ("amplitude", "frequency (Hz)")
    assert (cochlea.get_xlabel(), cochlea.get_ylabel()) == ("time (ms)", "best frequency (Hz)")
    assert wave.get_xlim() == mel.get_xlim() == cochlea.get_xlim() == (0.0, 200.0)
    times, channels = cochlea.collections[0].get_offsets().T
    assert len(times) > 0
    assert times.max() < 200.0
    bottom, top = cochlea.get_ylim()
    assert bottom > channels.max() >= channels.min() > top  # channel 0 is the highest frequency
    ticks = [float(label.get_text().replace(",", "")) for label in mel.get_yticklabels()]
    assert ticks == sorted(ticks)


def test_the_brightest_band_of_a_tone_stands_at_its_frequency():
    mel = draw_sound(tone(200.0), np.random.default_rng(0)).axes[1]
    band = int(np.argmax(mel.images[0].get_array().mean(1)))
    ticks = [float(label.get_text().replace(",", "")) for label in mel.get_yticklabels()]
    assert np.interp(band, mel.get_yticks(), ticks) == pytest.approx(1000, rel=0.05)


def test_of_a_long_sound_the_first_seconds_are_shown_and_the_title_says_so():
    figure = draw_sound(tone(5200.0), np.random.default_rng(0), title="tone")
    assert figure.get_suptitle() == "tone, the first 5 s"
    assert figure.axes[0].get_xlim() == (0.0, 5000.0)


def test_images_of_a_data_set_stand_in_a_grid_under_their_classes():
    data = digits()
    figure = draw_dataset(data, 40)
    assert titles(figure) == [str(label) for label in data.labels[40:64]]
    shown = figure.axes[0].images[0].get_array()
    np.testing.assert_array_equal(shown, data.data[40].reshape(8, 8))
    assert titles(draw_dataset(data, 1795)) == [str(label) for label in data.labels[1795:]]


def test_captions_and_folders_of_classes_name_their_images(tmp_path):
    assert titles(draw_file(caption_folder(tmp_path / "a"))) == ["a dark corner", "another one"]
    assert titles(draw_file(class_folder(tmp_path / "b"))) == ["cat", "cat", "dog", "dog"]


def test_a_long_caption_takes_two_lines():
    (title,) = titles(draw_images([np.zeros((4, 4))] * 2, ["word " * 30, ""]))
    assert len(title.split("\n")) == 2
    assert title.endswith("...")


def test_a_spike_file_shows_the_spikes_of_the_sample_with_its_class(tmp_path):
    axes = draw_file(spike_file(tmp_path / "x.h5"), 2).axes[0]
    assert axes.get_title(loc="left") == "x.h5, sample 2 of 3: 0"
    assert axes.collections[0].get_offsets().tolist() == [[125.0, 12.0]]


def test_neuron_data_shows_every_spike_and_the_potentials_of_those_that_fire_most(tmp_path):
    spikes, potentials = draw_file(neuron_file(tmp_path / "x.pt")).axes
    assert spikes.collections[0].get_offsets().tolist() == [[t, 1] for t in range(0, 20, 4)]
    assert potentials.lines[0].get_label() == "neuron 1"
    assert set(potentials.lines[0].get_ydata()) == {1.0}
    assert potentials.get_xlabel() == "step"


@pytest.mark.parametrize("shape", [(50,), (6, 9), (4, 5, 6), (4, 3, 5, 6), (4, 2, 5, 6)])
def test_numbers_of_one_to_four_dimensions_are_drawn(shape):
    figure = draw_array(np.arange(np.prod(shape)).reshape(shape))
    assert figure.axes[0].images or figure.axes[0].patches


@pytest.mark.parametrize("array", [np.zeros((0, 3)), np.zeros((1,) * 5), np.array(["a"]), np.array([1j])])
def test_what_is_no_picture_of_numbers_is_refused(array):
    with pytest.raises(UnsupportedError, match="only real numbers of 1 to 4 dimensions"):
        draw_array(array)


def test_a_sample_beyond_the_data_set_and_samples_without_a_picture_are_refused():
    with pytest.raises(ParameterError, match="sample must be from 0 to 1796"):
        draw_dataset(digits(), -1)
    with pytest.raises(UnsupportedError, match="samples of class ndarray have no picture"):
        draw_dataset(ArrayDataset(np.zeros((3, 5)), [0, 1, 0]))
