"""Units: one consistent system, checked by dimension, with the equation, the part and both units in the message."""

import re

import numpy as np
import pytest

import spikeloom as sl
from spikeloom.equations.dimensions import UNITS, Dimension
from spikeloom.ops import NumpyOps

PLAIN = {"v_rest": -70.0, "R": 10.0, "tau": 20.0}
MEMBRANE = "dv/dt = (v_rest - v + R*i)/tau : mV"
SI = {"s": 1.0, "V": 1.0, "A": 1.0, "m": 1.0}


@pytest.mark.parametrize(
    ("product", "unit"),
    [
        ("mV / nA", "Mohm"), ("nA / mV", "uS"), ("nA * ms / mV", "nF"), ("nF * Mohm", "ms"), ("uS * mV", "nA"),
        ("1 / ms", "kHz"), ("nF / uS", "ms"), ("volt / amp", "ohm"), ("amp * second / volt", "farad"),
        ("second**-1", "hertz"), ("siemens * ohm", "1"), ("pF * Gohm", "ms"), ("uF / cm**2 * (10*um)**2", "pF"),
        ("mS * ohm", "1e-3"), ("cm", "1e4*um"), ("metre", "meter"), ("mamp", "mA"), ("ampere", "amp"),
    ],
)  # fmt: skip
def test_the_system_of_units_is_consistent(product, unit):
    """Each product, worked out in SI, is 1 of its unit; so it is here."""
    neuron = sl.custom_model("dx/dt = 0 : 1", parameters={}, initial={"x": f"({product}) / ({unit})"})
    scale = {"uF / cm**2 * (10*um)**2": 1.0}.get(product, 1.0)
    assert neuron.initial().x == pytest.approx(scale, rel=1e-12)


def test_no_unit_is_a_single_letter():
    assert all(len(name) > 1 for name in UNITS)
    assert UNITS["mV"].scale == UNITS["ms"].scale == UNITS["nA"].scale == UNITS["Mohm"].scale == 1


@pytest.mark.parametrize(
    ("text", "value", "unit"),
    [
        ("20*ms", 20.0, "ms"), ("20 ms", 20.0, "ms"), ("-70 mV", -70.0, "mV"), ("0.02*second", 20.0, "ms"),
        ("1e-3 volt", 1.0, "mV"), ("200 pA", 0.2, "nA"), ("10*nS", 0.01, "uS"), ("100 Mohm", 100.0, "Mohm"),
        ("250*pF", 0.25, "nF"), ("10*Hz", 0.01, "1/ms"), ("3", 3.0, "1"), ("2*mV/nA", 2.0, "Mohm"),
        ("5*mV**2", 5.0, "mV**2"), ("log(exp(2))*mV", 2.0, "mV"), ("(1 + 1)*mV/ms", 2.0, "mV/ms"),
        ("4*mV**(1/2)", 4.0, "mV**(1/2)"),
        ("2 \u00b5S", 2.0, "uS"), ("1 M\u03a9", 1.0, "Mohm"), ("1*nA/um**2", 1.0, "nA/um**2"),
    ],
)  # fmt: skip
def test_a_parameter_with_its_unit(text, value, unit):
    neuron = sl.custom_model("dx/dt = a/a/ms : 1", parameters={"a": text})
    assert neuron.a == pytest.approx(value, rel=1e-14)
    assert neuron.units["a"] == unit
    again = sl.custom_model("dx/dt = a/a/ms : 1", parameters={"a": f"{neuron.a!r}*({unit})"})
    assert again.units == neuron.units


def test_a_plain_number_takes_the_unit_that_the_equations_ask_for():
    neuron = sl.custom_model(MEMBRANE, threshold="v > v_th", reset="v = v_r", parameters={**PLAIN, "v_th": 3, "v_r": 2})
    assert neuron.units == {
        "v": "mV", "i": "nA", "v_rest": "mV", "R": "Mohm", "tau": "ms", "v_th": "mV", "v_r": "mV"
    }  # fmt: skip


def test_a_model_without_electrical_units_has_an_input_without_one():
    neuron = sl.custom_model("dv/dt = (a*i - v)/tau : 1", parameters={"tau": 8.0, "a": 2.0})
    assert neuron.units == {"v": "1", "i": "1", "tau": "ms", "a": "1"}


def test_units_follow_each_other_through_named_parts():
    neuron = sl.custom_model(
        "dv/dt = (leak + i)/C : mV\nleak = g*(e - v) : nA", parameters={"C": 0.2, "g": 0.01, "e": "-70*mV"}
    )
    assert (neuron.units["C"], neuron.units["g"]) == ("nF", "uS")


def test_a_number_is_in_the_unit_that_the_equations_declare():
    text = "dv/dt = (v_0 - v)/tau : mV\ntau : second\nv_0 : volt"
    neuron = sl.custom_model(text, parameters={"tau": 0.02, "v_0": np.array([-0.07, -0.06])})
    assert neuron.tau == 20.0
    np.testing.assert_allclose(neuron.v_0, [-70, -60], rtol=1e-15)
    start = sl.custom_model("dv/dt = -v/(3*ms) : volt", initial={"v": 0.01}).initial()
    assert start.v == 10.0


@pytest.mark.parametrize(
    ("declared", "own"), [("pA", "nA"), ("amp", "nA"), ("volt", "mV"), ("nS", "uS"), ("Hz", "1/ms"), ("1e-3", "1")]
)
def test_an_input_in_another_unit_than_weights_and_monitors_is_told_with_the_way_out(declared, own):
    """Taken as it stands, 1 pA would be 1 nA: a thousand times too much."""
    text = f"dv/dt = x*1*mV/ms/(1*{own}) : mV\nx : {{}} (input)"
    message = f"equation `x : {declared} (input)`: inputs, weights and monitors are in {own}; write `x : {own} (input)`"
    with pytest.raises(sl.ParameterError, match=re.escape(message)):
        sl.custom_model(text.format(declared))
    assert sl.custom_model(text.format(own)).units["x"] == own


def test_an_input_may_be_declared_in_the_system_s_unit_under_another_name():
    neuron = sl.custom_model("dv/dt = R*x/tau : mV\nx : Gohm*nS*nA (input)", parameters={"R": "2*Mohm", "tau": "4*ms"})
    after = neuron.update(neuron.State(np.zeros(1)), np.ones(1), 1.0, NumpyOps())
    assert after.v[0] == pytest.approx(0.5, rel=1e-14)  # 2 Mohm * 1 nA * 1 ms / 4 ms


def test_units_are_told_before_what_nothing_reads():
    with pytest.raises(sl.ParameterError, match=r"threshold: in `v > -50` the units differ: `v` is in mV, `-50` in 1"):
        sl.custom_model(MEMBRANE, threshold="v > -50", reset="v = v_rest", parameters={**PLAIN, "VT": "-50*mV"})
    with pytest.raises(sl.ParameterError, match="nothing reads the parameter 'VT'"):
        sl.custom_model(MEMBRANE, parameters={**PLAIN, "VT": "-50*mV"})


@pytest.mark.parametrize(
    ("equations", "part", "units"),
    [
        ("dv/dt = v_rest - v + R*i : mV", "v_rest - v + R*i", ("is in mV", "must be in mV/ms")),
        ("dv/dt = (v_rest - v + i)/tau : mV\ni : nA (input)", "v_rest - v + i", ("`v_rest - v` is in mV", "`i` in nA")),
        ("dv/dt = (v_rest - v)/tau + exp(v)/ms : mV", "exp", ("`v` is in mV", "must be in 1")),
        ("dv/dt = (v_rest - v)/tau : nA", "(v_rest - v)", ("in mV", "in nA")),
        ("dv/dt = (v_rest - v)/tau * where(v > i, 1, 0) : mV\ni : nA (input)", "v > i", ("`v` is in mV", "`i` in nA")),
        ("dv/dt = (v_rest - v)/tau : mV\nx = tau*v : nA", "tau*v", ("is in mV*ms", "must be in nA")),
        ("dv/dt = (v_rest - v)/tau : mV\nx = tau**v : 1", "tau**v", ("`tau` is in ms", "must be in 1")),
        ("dv/dt = (v_rest - v)/tau : mV\nx = 2**v : 1", "2**v", ("`v` is in mV", "must be in 1")),
        ("dv/dt = (v_rest - v)/tau : mV\nx = minimum(v, tau) : 1", "minimum(v, tau)", ("in mV", "in ms")),
        ("dv/dt = (v_rest - v)/tau : mV\nx = clip(v, 0, tau) : mV", "clip(v, 0, tau)", ("in mV", "in ms")),
        ("dv/dt = (v_rest - v)/tau : mV\nx = where(v > 0, v, tau) : mV", "where(", ("in mV", "in ms")),
        ("dv/dt = (v_rest - v)/tau : mV\nx = sqrt(v) : mV", "sqrt(v)", ("is in mV**(1/2)", "must be in mV")),
        ("dv/dt = (v_rest - v)/tau : mV\nx = 0 + v : nA", "0 + v", ("is in mV", "must be in nA")),
        ("dv/dt = (v_rest - v)/tau : mV\nx = abs(v) : nA", "abs(v)", ("is in mV", "must be in nA")),
    ],
)
def test_units_that_do_not_fit_are_told_with_the_part_and_both(equations, part, units):
    values = {"v_rest": "-70*mV", "R": "10*Mohm", "tau": "20*ms"}
    used = {name: value for name, value in values.items() if name in equations}
    with pytest.raises(sl.ParameterError) as caught:
        sl.custom_model(equations, parameters=used)
    message = str(caught.value)
    line = next(line for line in equations.splitlines() if part in line)
    assert f"equation `{line}`" in message
    assert part in message
    assert all(unit in message for unit in units)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"threshold": "v > tau"}, r"threshold: in `v > tau` the units differ: `v` is in mV, `tau` in ms"),
        ({"threshold": "v > 1*mV and tau > v"}, r"in `tau > v` the units differ"),
        ({"threshold": "v > 1*mV and tau"}, r"`tau` is a number where a comparison"),
        ({"threshold": "(v > 1*mV) > 0"}, r"`\(?v > 1\*mV\)?` is true or false, no number; write where"),
        ({"threshold": "v > 1*mV", "reset": "v = tau"}, r"reset: `v = tau`: `tau` is in ms, it must be in mV"),
        ({"threshold": "v > 1*mV", "reset": "v += tau"}, r"`tau` is in ms, it must be in mV"),
        ({"threshold": "v > 1*mV", "reset": "v *= v"}, r"`v` is in mV, it must be in 1"),
        ({"threshold": "v > 1*mV", "reset": "v = v > 0*mV"}, r"is true or false"),
        ({"threshold": "v > 1*mV", "refractory": "v"}, r"refractory: `v` is in mV, it must be in ms"),
        ({"on_input": "v += i*mV/tau"}, r"must be in mV|differ"),
        ({"initial": {"v": "3*ms"}}, r"initial: v: `3\*ms` is in ms, it must be in mV"),
    ],
)
def test_units_of_thresholds_and_statements_are_checked(options, message):
    text = "dv/dt = (v_rest - v)/tau : mV\ni : nA (input)"
    with pytest.raises(sl.ParameterError, match=message):
        sl.custom_model(text, parameters={"v_rest": "-70*mV", "tau": "20*ms"}, **options)


def test_zero_fits_every_unit():
    neuron = sl.custom_model("dv/dt = where(v > 0, -v, 0)/(2*ms) : mV", threshold="v > 0", reset="v = 0",
                             initial={"v": -1})  # fmt: skip
    assert neuron.units["v"] == "mV"


def test_a_plain_number_cannot_have_two_units():
    with pytest.raises(sl.ParameterError, match=r"equation `du/dt = .*`: .* (is in|in) "):
        sl.custom_model("dv/dt = -v/tau : mV\ndu/dt = (tau - u)/ms : mV", parameters={"tau": 3.0})


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("20*m", r"there is no unit 'm'"),
        ("20*msec", r"there is no unit 'msec'"),
        ("20*mv", r"there is no unit 'mv'; did you mean 'mV'"),
        ("20*tau", r"there is no unit 'tau'"),
        ("mV > 1*mV", r"is true or false"),
        ("1*mV + 1*ms", r"the units differ"),
        ("mV**400", r"an exponent goes up to 64"),
        ("exp(mV)", r"`mV` is in mV, it must be in 1"),
        ("log(-2)*mV", r"is no finite number"),
        ("1e308*Gohm*Gohm", r"is no finite number"),
        ("1/(ms - ms)", r"is no number with a unit"),
        ("__import__('os')", r"unknown function"),
        ("", r"is not an expression"),
        ("ms" * 2000, r"at most 2000 characters"),
    ],
)
def test_a_wrong_value_is_told_with_its_parameter(given, message):
    with pytest.raises(sl.ParameterError, match=message) as caught:
        sl.custom_model("dx/dt = a/a/ms : 1", parameters={"a": given})
    assert "parameters: a" in str(caught.value)


@pytest.mark.parametrize("unit", ["", "v", "mV)", "2*", "tau", "mV > 1", "1e300*mV*1e300"])
def test_a_wrong_unit_of_an_equation_is_told(unit):
    with pytest.raises(sl.ParameterError, match="unit"):
        sl.custom_model(f"dv/dt = -v/ms : {unit}")


def test_dimensions_print_as_units_that_can_be_read_again():
    for text in ("mV", "1", "1/ms", "mV/ms", "uS/ms", "mV**2", "nA/um**2", "mV*ms", "ms*ms", "1/mV/nA", "Mohm*ms"):
        neuron = sl.custom_model("dx/dt = a/a/ms : 1", parameters={"a": f"1*{text}"})
        again = sl.custom_model("dx/dt = a/a/ms : 1", parameters={"a": f"1*{neuron.units['a']}"})
        assert neuron.units == again.units
    assert str(Dimension()) == "1"
