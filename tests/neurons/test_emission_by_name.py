"""Parts of an emission by name."""

import pytest

import spikeloom as sl
from spikeloom.neurons import Emission, FastSigmoid, Rectangle, Sigmoid, Smooth, Subtract


def test_a_name_stands_for_the_part_with_its_defaults():
    named = Emission(surrogate="superspike", reset="Subtract", forward="smooth")
    assert named == Emission(surrogate=FastSigmoid(), reset=Subtract(), forward=Smooth())
    group = sl.NeuronGroup(3, "lif", emission=Emission(surrogate="sigmoid", reset="subtract"))
    assert group.neuron.emission.surrogate == Sigmoid()


@pytest.mark.parametrize(("part", "hint"), [("surrogate", "rectangle"), ("reset", "subtract"), ("forward", "smooth")])
def test_an_unknown_name_is_an_error_with_a_suggestion(part, hint):
    with pytest.raises(sl.UnknownNameError, match=f"did you mean '{hint}'"):
        Emission(**{part: hint[:-1] + "x"})


def test_an_object_stays_as_it_is():
    assert Emission(surrogate=Rectangle(0.25)).surrogate == Rectangle(0.25)
