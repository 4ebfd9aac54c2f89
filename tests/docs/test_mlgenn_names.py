"""The names of mlGeNN's page of data under its module paths."""

import spikeloom
import spikeloom.neurons
import spikeloom.utils.data as data


def test_the_functions_of_the_page_are_one_object_in_both_places():
    assert len(data.__all__) == 15
    for name in data.__all__:
        assert getattr(data, name) is getattr(spikeloom, name)


def test_input_models_are_at_the_top_level_and_among_the_neurons():
    models = [spikeloom.neurons.INPUTS[name].__name__ for name in spikeloom.neurons.INPUTS]
    assert models == [
        "SpikeInput", "PoissonInput", "BinarySpikeInput", "LeakyIntegrateFireInput", "IntegrateFireInput",
    ]  # fmt: skip
    for name in models:
        assert getattr(spikeloom, name) is getattr(spikeloom.neurons, name)


def test_the_package_of_the_seed_is_an_attribute():
    assert spikeloom.utils.data is data
