"""The error tree: one root, and a standard Python error beside it for those who know only that."""

import re

import pytest

from spikeloom import errors

TREE = {
    errors.ParameterError: ValueError,
    errors.ShapeError: ValueError,
    errors.DataError: ValueError,
    errors.UnknownNameError: LookupError,
    errors.UnsupportedError: TypeError,
    errors.StateError: RuntimeError,
    errors.StorageError: OSError,
    errors.DeviceError: RuntimeError,
    errors.CompilerError: RuntimeError,
}


@pytest.mark.parametrize(("error", "standard"), TREE.items())
def test_an_error_is_caught_by_the_root_and_by_its_standard_kind(error, standard):
    for caught in (errors.SpikeloomError, standard):
        with pytest.raises(caught, match="the way out"):
            raise error("the way out")


def test_the_tree_in_the_docstring_is_the_tree_of_the_module():
    classes = {v for v in vars(errors).values() if isinstance(v, type)}
    assert classes == {errors.SpikeloomError, *TREE}
    drawn = dict(re.findall(r"── (\w+) .*\((\w+)\)", errors.__doc__))
    assert drawn == {error.__name__: standard.__name__ for error, standard in TREE.items()}


def test_a_value_error_does_not_catch_a_wrong_call_at_a_time():
    assert not issubclass(errors.StateError, ValueError)
    assert not issubclass(errors.UnknownNameError, ValueError)
