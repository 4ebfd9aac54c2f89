"""Construction, descriptions and names of models: what is refused, and that nothing needs torch."""

import json
import subprocess
import sys
from dataclasses import FrozenInstanceError, dataclass

import numpy as np
import pytest

from spikeloom.errors import DataError, ParameterError, UnsupportedError
from spikeloom.neurons import (
    CLIF,
    IF,
    LI,
    LIF,
    NEURONS,
    Emission,
    Gaussian,
    NoReset,
    Scale,
    Smooth,
    Step,
    Subtract,
    Surrogate,
    ToValue,
    Triangle,
    describe,
    neuron_from,
)

CATALOGUE = [
    *(NEURONS[name]() for name in NEURONS),
    IF(constant_decay=0.25, v_reset=-1.0),
    LIF(tau_m=5, v_th=1.5, scale_input=True, emission=Emission(surrogate=Triangle(0.5), reset=Subtract())),
    LIF(emission=Emission(threshold=0.75, forward=Smooth(0.3), reset=Scale(0.125), detach_reset=True)),
    CLIF(tau_p=4.0, tau_q=1.0, v_0=3.0, emission=Emission(surrogate=Gaussian(0.25), reset=NoReset())),
    LIF(emission=Emission(reset=ToValue(-0.5))),
    LIF(emission=Emission(reset=ToValue("v_rest"))),
]


@pytest.mark.parametrize("neuron", CATALOGUE, ids=repr)
def test_a_described_model_comes_back_through_json(neuron):
    assert neuron_from(type(neuron), json.loads(json.dumps(describe(neuron)))) == neuron


def test_a_parameter_for_each_neuron_comes_back_as_an_array():
    given = LIF(tau_m=np.array([[2.0, 3.0]]), v_th=[1, 2])
    back = neuron_from(LIF, json.loads(json.dumps(describe(given))))
    np.testing.assert_array_equal(back.tau_m, [[2.0, 3.0]])
    np.testing.assert_array_equal(back.v_th, [1.0, 2.0])
    assert back.v_th.dtype == np.float64


def test_a_description_may_leave_out_what_has_a_default():
    assert neuron_from(LIF, {}) == LIF()
    assert neuron_from(LIF, {"tau_m": 3.0}) == LIF(tau_m=3.0)


EMISSION = describe(LIF())["emission"]
HOSTILE = [
    None,
    "lif",
    [],
    [["tau_m", 3.0]],
    {"tau_m": None},
    {"tau_m": "__import__('os')"},
    {"tau_m": -1.0},
    {"tau_m": float("nan")},
    {"tau_m": [1.0, "a"]},
    {"tau_m": [[1.0], [1.0, 2.0]]},
    {"tau_m": {"a": 1}},
    {"scale_input": "yes"},
    {"__class__": "x"},
    {"update": 1.0},
    {"State": 1.0},
    {3: 1.0},
    {"emission": None},
    {"emission": []},
    {"emission": {}},
    {"emission": "step"},
    {"emission": EMISSION | {"variable": "__dict__"}},
    {"emission": EMISSION | {"variable": 3}},
    {"emission": EMISSION | {"threshold": "__class__"}},
    {"emission": EMISSION | {"threshold": "update"}},
    {"emission": EMISSION | {"threshold": None}},
    {"emission": EMISSION | {"threshold": float("nan")}},
    {"emission": EMISSION | {"detach_reset": "no"}},
    {"emission": EMISSION | {"more": 1}},
    {"emission": EMISSION | {"reset": {"name": "os.system"}}},
    {"emission": EMISSION | {"reset": {"name": "to_value", "value": "emission"}}},
    {"emission": EMISSION | {"reset": {"name": "to_value", "value": [1.0]}}},
    {"emission": EMISSION | {"reset": {"name": "scale", "factor": "a"}}},
    {"emission": EMISSION | {"reset": {"value": 1.0}}},
    {"emission": EMISSION | {"reset": None}},
    {"emission": EMISSION | {"reset": {"name": 3}}},
    {"emission": EMISSION | {"surrogate": {"name": "arctan", "alpha": -1}}},
    {"emission": EMISSION | {"surrogate": {"name": "arctan", "beta": 1}}},
    {"emission": EMISSION | {"forward": {"name": "smooth", "width": "a"}}},
    {"emission": {k: v for k, v in EMISSION.items() if k != "forward"}},
]


@pytest.mark.parametrize("description", HOSTILE, ids=repr)
def test_a_description_that_does_not_fit_is_a_data_error(description):
    with pytest.raises(DataError, match="LIF"):
        neuron_from(LIF, description)


def test_a_surrogate_without_a_name_cannot_be_described():
    @dataclass(frozen=True, slots=True)
    class Own(Surrogate):
        alpha: float = 1.0

        def derivative(self, d, xp):
            return 0 * d

    with pytest.raises(UnsupportedError, match="surrogate Own has no name"):
        describe(LIF(emission=Emission(surrogate=Own())))


TIMES = [(IF, ()), (LIF, ("tau_m",)), (LI, ("tau_m",)), (CLIF, ("tau_m", "tau_p", "tau_q"))]


@pytest.mark.parametrize(("model", "name"), [(model, name) for model, names in TIMES for name in names])
@pytest.mark.parametrize("value", [0, -1.0, np.nan, np.inf, "5", True, None, [1.0, 0.0], ["a"], [[1], []]], ids=repr)
def test_a_time_constant_that_is_no_positive_time_is_refused_by_name(model, name, value):
    with pytest.raises(ParameterError, match=rf"{model.__name__}\.{name} must be"):
        model(**{name: value})


@pytest.mark.parametrize(
    ("model", "name"),
    [(IF, "v_th"), (IF, "v_reset"), (IF, "constant_decay"), (LIF, "v_th"), (LIF, "v_rest"), (LIF, "v_reset"),
     (CLIF, "v_th"), (CLIF, "v_0"), (LI, "v_rest")],
)  # fmt: skip
@pytest.mark.parametrize("value", [np.nan, np.inf, "1", True, [1.0, np.nan], 1j], ids=repr)
def test_a_potential_that_is_no_finite_number_is_refused_by_name(model, name, value):
    with pytest.raises(ParameterError, match=rf"{model.__name__}\.{name} must be"):
        model(**{name: value})


@pytest.mark.parametrize("value", [None, 1, "yes", [True]], ids=repr)
@pytest.mark.parametrize("model", [LIF, LI])
def test_a_switch_that_is_not_true_or_false_is_refused(model, value):
    with pytest.raises(ParameterError, match=rf"{model.__name__}\.scale_input must be True or False"):
        model(scale_input=value)


@pytest.mark.parametrize(("tau_p", "tau_q"), [(8.0, 8.0), (4.0, 8.0), ([12.0, 8.0], 8.0)])
def test_a_kernel_without_a_peak_is_refused(tau_p, tau_q):
    with pytest.raises(ParameterError, match=r"CLIF\.tau_p must be greater than tau_q"):
        CLIF(tau_p=tau_p, tau_q=tau_q)


@pytest.mark.parametrize(
    ("emission", "message"),
    [
        (Emission(threshold="v_thr"), r"LIF\.emission\.threshold: there is no 'v_thr'; did you mean 'v_th'\?"),
        (Emission(variable="u"), r"LIF\.emission\.variable: there is no 'u'\. It has: v"),
        (Emission(reset=ToValue("v_rst")), r"LIF\.emission\.reset: there is no 'v_rst'; did you mean"),
        ("step", r"LIF\.emission must be an Emission, got 'step'"),
    ],
)
def test_an_emission_that_names_what_the_model_lacks_is_refused(emission, message):
    with pytest.raises(ParameterError, match=message):
        LIF(emission=emission)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"threshold": None}, r"Emission\.threshold must be a finite number or the name"),
        ({"threshold": True}, r"Emission\.threshold"),
        ({"variable": 1}, r"Emission\.variable must be a str"),
        ({"forward": Step}, r"Emission\.forward must be a Forward, got"),
        ({"surrogate": 2.0}, r"Emission\.surrogate must be a Surrogate, got 2.0"),
        ({"reset": None}, r"Emission\.reset must be a Reset, got None"),
        ({"detach_reset": 1}, r"Emission\.detach_reset must be a bool, got 1"),
    ],
)
def test_an_emission_of_wrong_parts_is_refused(wrong, message):
    with pytest.raises(ParameterError, match=message):
        Emission(**wrong)


@pytest.mark.parametrize("wrong", [np.nan, None, "a", 0.0, -1.0, True])
def test_a_wrong_width_and_a_wrong_factor_are_refused(wrong):
    with pytest.raises(ParameterError, match=r"Smooth\.width must be a positive number"):
        Smooth(wrong)
    if wrong not in (0.0, -1.0):
        with pytest.raises(ParameterError, match=r"Scale\.factor must be a finite number"):
            Scale(wrong)


def test_a_model_is_frozen_and_takes_only_what_it_has():
    with pytest.raises(FrozenInstanceError):
        LIF().tau_m = 3.0
    with pytest.raises(TypeError, match="tau_mem"):
        LIF(tau_mem=3.0)


def test_a_model_owns_its_arrays():
    tau = np.array([1.0, 2.0])
    neuron = LIF(tau_m=tau)
    tau[0] = -1.0
    assert neuron.tau_m[0] == 1.0


def test_the_ground_and_the_neurons_import_where_there_is_no_torch():
    program = (
        "import sys; sys.modules['torch'] = None\n"
        "import spikeloom, spikeloom.errors, spikeloom.registry, spikeloom.units, spikeloom.ops\n"
        "import spikeloom.filters, spikeloom.neurons\n"
        "from spikeloom.neurons import NEURONS, advance\n"
        "from spikeloom.ops import NumpyOps\n"
        "n = NEURONS['clif']()\n"
        "print(advance(n, n.initial(), 1.0, 0.1, NumpyOps())[0])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["0.0"]
