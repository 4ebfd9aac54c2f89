"""Measures against the values that Elephant 1.2.1 and PySpike 0.9.0 gave; `make oracles` computes these anew."""

import json
from pathlib import Path

import pytest
from measured import differs, of_case

ORACLES = json.loads((Path(__file__).parent / "oracle_values.json").read_text())


@pytest.mark.parametrize("name", ORACLES["cases"])
def test_every_measure_says_what_elephant_said(name):
    ours, stored = of_case(ORACLES["cases"][name]), ORACLES["values"][name]
    assert ours.keys() == stored.keys()
    assert {measure: why for measure in stored if (why := differs(ours[measure], stored[measure]))} == {}


def test_a_value_that_differs_in_the_ninth_digit_is_told():
    assert differs([1.0, None], [1.0, None]) is None
    assert "at (1,), expected 2.0; 1 of 2 differ" in differs([1.0, 2.00000001], [1.0, 2.0])
    assert "nan at (0,), expected 1.0" in differs([None], [1.0])
    assert differs([1.0], 1.0) == "shape (1,), expected ()"
