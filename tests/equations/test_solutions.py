"""One step of equations against closed forms, SciPy's matrix exponential and its fine integration."""

import mpmath
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import solve_ivp
from scipy.linalg import expm

import spikeloom as sl
from spikeloom.backends.ops import TorchOps
from spikeloom.equations.exponential import divided, exponential, exprel
from spikeloom.neurons import advance
from spikeloom.ops import NumpyOps

XP = NumpyOps()


def after(neuron, state, inputs=0.0, dt=0.5, steps=1):
    """The state after some steps without a threshold."""
    now = neuron.State(*(np.asarray(v, dtype=np.float64) for v in state))
    for _ in range(steps):
        now = neuron.update(now, inputs, dt, XP)
    return np.array([*now])


# ---- parts

ROUND = st.floats(-30, 30).map(lambda x: round(x, 9))


@given(ROUND, ROUND, st.sampled_from([0.0, 1e-12, 1e-7, 1e-3, 1.0]))
def test_divided_differences_of_the_exponential_keep_their_digits(p, q, distance):
    q = p + distance * q
    with mpmath.workdps(60):
        a, b = mpmath.mpf(p), mpmath.mpf(q)
        wanted = mpmath.exp(a) if a == b else (mpmath.exp(a) - mpmath.exp(b)) / (a - b)
    assert divided(p, q, TorchOps()) == pytest.approx(float(wanted), rel=1e-13)


def test_exprel_at_and_beside_zero():
    x = np.array([0.0, 1e-300, 1e-9, -1e-5, 1e-2, 1.0, -40.0])
    np.testing.assert_allclose(exprel(x, XP), np.where(x == 0, 1, np.expm1(x) / np.where(x == 0, 1, x)), rtol=1e-13)


@pytest.mark.parametrize("size", [1, 2, 3, 5])
@pytest.mark.parametrize("scale", [1e-6, 0.1, 1.0, 30.0])
def test_the_matrix_exponential_and_its_integral_equal_scipy(size, scale):
    random = np.random.default_rng(size)
    a = random.normal(size=(size, size)) * scale
    a -= np.eye(size) * np.abs(a).sum()  # all modes decay
    grown, integral = exponential([list(row) for row in a], 0.7, [list(row) for row in np.eye(size)])
    block = expm(0.7 * np.block([[a, np.eye(size)], [np.zeros((size, 2 * size))]]))
    np.testing.assert_allclose(np.eye(size) + grown, block[:size, :size], rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(np.transpose(integral), block[:size, size:], rtol=1e-12, atol=1e-13 / scale)


@pytest.mark.parametrize("rate", [1e3, 1e4, 1e5])
def test_a_fast_decay_beside_a_slow_one_has_reached_its_end(rate):
    """x follows y, which decays slowly, at once: x = rate / (rate - 0.1) y."""
    grown, _ = exponential([[-rate, rate], [None, -0.1]], 1.0, [])
    left = np.exp(-0.1)
    wanted = [[0.0, rate / (rate - 0.1) * left], [0.0, left]]
    found = [[1.0 * (i == j) + (g or 0.0) for j, g in enumerate(row)] for i, row in enumerate(grown)]
    np.testing.assert_allclose(found, wanted, rtol=1e-11, atol=1e-12)


# ---- linear equations

STAGES = "dx/dt = (i - x)/a : 1\ndy/dt = (x - y)/b : 1\ndz/dt = (y - z)/c : 1"
SYSTEMS = {
    "a leak": ("dv/dt = (e + r*i - v)/a : 1", ["v"], [[-1 / 7.0]], [0.3 / 7.0], [2.0 / 7.0]),
    "an integrator": ("dv/dt = r*i/a : 1", ["v"], [[0.0]], [0.0], [2.0 / 7.0]),
    "growth": ("dv/dt = (v + i)/a : 1", ["v"], [[1 / 7.0]], [0.0], [1 / 7.0]),
    "a current that decays": (
        "dv/dt = (e - v + x)/a : 1\ndx/dt = -x/b : 1", ["v", "x"], [[-1 / 7.0, 1 / 7.0], [0, -1 / 3.0]],
        [0.3 / 7.0, 0.0], [0.0, 0.0]),
    "two of one rate": (
        "dv/dt = (e - v + r*x)/a : 1\ndx/dt = -x/a : 1", ["v", "x"], [[-1 / 7.0, 2.0 / 7.0], [0, -1 / 7.0]],
        [0.3 / 7.0, 0.0], [0.0, 0.0]),
    "an alpha function": (
        "dx/dt = (i - x)/a : 1\ndy/dt = (x - y)/a : 1", ["x", "y"], [[-1 / 7.0, 0], [1 / 7.0, -1 / 7.0]], [0.0, 0.0],
        [1 / 7.0, 0.0]),
    "a chain": (
        STAGES, ["x", "y", "z"], [[-1 / 7.0, 0, 0], [1 / 3.0, -1 / 3.0, 0], [0, 0.5, -0.5]], [0, 0, 0],
        [1 / 7.0, 0, 0]),
    "a resonator": (
        "dv/dt = (-v - r*w + i)/a : 1\ndw/dt = (v - w + e)/b : 1", ["v", "w"],
        [[-1 / 7.0, -2.0 / 7.0], [1 / 3.0, -1 / 3.0]], [0.0, 0.1], [1 / 7.0, 0.0]),
    "a choice of parameters": (
        "dv/dt = where(r > 1, -v, v)/a + where(e > 1, 1, i)/a : 1", ["v"], [[-1 / 7.0]], [0.0], [1 / 7.0]),
    "named parts": (
        "dv/dt = leak + drive : 1\nleak = rate*(e - v) : Hz\nrate = 1/a : Hz\ndrive = r*i*rate : Hz", ["v"],
        [[-1 / 7.0]], [0.3 / 7.0], [2 / 7.0]),
}  # fmt: skip
VALUES = {"a": 7.0, "b": 3.0, "c": 2.0, "r": 2.0, "e": 0.3}


def made(text, **options):
    given_ = {n: v for n, v in VALUES.items() if any(f"{op}{n}{end}" in f" {text} " for op in "( /*+-"
              for end in " )*-+\n:")}  # fmt: skip
    units = {"a": "ms", "b": "ms", "c": "ms", "r": "1", "e": "1"}
    return sl.custom_model(text, parameters={n: f"{v}*{units[n]}" for n, v in given_.items()}, **options)


@pytest.mark.parametrize("name", SYSTEMS)
@pytest.mark.parametrize("dt", [0.001, 0.5, 20.0])
def test_linear_equations_are_solved_exactly_for_every_dt(name, dt):
    text, names, rates, rest, gain = SYSTEMS[name]
    neuron = made(text)
    assert set(neuron.methods.values()) == {"exact"}
    assert neuron.State._fields == tuple(names)
    n, i = len(names), 0.6
    start = np.linspace(0.2, 1.0, n)
    drive = np.array(rest) + np.array(gain) * i
    block = expm(dt * np.block([[np.array(rates), drive[:, None]], [np.zeros((1, n + 1))]]))
    np.testing.assert_allclose(after(neuron, start, i, dt), (block @ [*start, 1.0])[:n], rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("name", SYSTEMS)
def test_the_lines_of_a_system_mean_the_same_on_tensors(name):
    neuron = made(SYSTEMS[name][0])
    start = np.random.default_rng(0).random((len(neuron.State._fields), 3, 4))
    found = neuron.update(
        neuron.State(*torch.from_numpy(start)), torch.full((3, 4), 0.6, dtype=torch.float64), 0.5, TorchOps()
    )
    for k, part in enumerate(after(neuron, start, 0.6)):
        np.testing.assert_allclose(found[k], part, rtol=1e-12, atol=1e-14)


def test_a_system_of_too_many_coupled_equations_goes_by_exponential_euler():
    lines = [f"dx{k}/dt = (x{k - 1} - x{k})/ms : 1" for k in range(1, 12)]
    text = "\n".join(["dx0/dt = -x0/ms : 1", *lines])
    assert set(sl.custom_model(text).methods.values()) == {"exponential_euler"}
    with pytest.raises(sl.ParameterError, match=r"'x0' is not linear .*at most 10 coupled.*use method='auto'"):
        sl.custom_model(text, method="exact")


def test_a_linear_part_of_a_model_is_exact_whatever_reads_it():
    text = "dv/dt = (-v + v**2/3 + x)/(7*ms) : 1\ndx/dt = -x/(3*ms) : 1"
    neuron = sl.custom_model(text)
    assert neuron.methods == {"v": "euler", "x": "exact"}
    assert after(neuron, [0.1, 0.8])[1] == pytest.approx(0.8 * np.exp(-0.5 / 3), rel=1e-14)


def test_what_is_linear_in_a_variable_that_is_not_solved_exactly_is_not_either():
    neuron = sl.custom_model("dv/dt = (1 - v*v)/ms : 1\ndw/dt = (v - w)/ms : 1\ndu/dt = (w - u)/ms : 1")
    assert neuron.methods == {"v": "euler", "w": "exponential_euler", "u": "exponential_euler"}
    target = 0.4 + (0.2 - 0.4) * np.exp(-0.5)
    assert after(neuron, [0.4, 0.2, 0.1])[1] == pytest.approx(target, rel=1e-13)


def test_a_conductance_times_the_potential_is_exact_for_a_conductance_that_is_constant_over_the_step():
    neuron = sl.custom_model("dv/dt = (g_l*(e - v) + g*(0*mV - v))/c : mV\ng : uS (input)",
                             parameters={"g_l": "10*nS", "e": "-70*mV", "c": "0.2*nF"})  # fmt: skip
    assert neuron.methods == {"v": "exact"}
    rate, target = (0.01 + 0.05) / 0.2, 0.01 * -70 / 0.06
    wanted = target + (-60 - target) * np.exp(-rate * 0.5)
    assert after(neuron, [-60.0], 0.05) == pytest.approx(wanted, rel=1e-13)


# ---- other equations

SATURATING = "dv/dt = (-v + tanh(w) + i)/(5*ms) : 1\ndw/dt = (v*v - w)/(8*ms) : 1"


def reference(duration):
    found = solve_ivp(lambda t, x: [(-x[0] + np.tanh(x[1]) + 0.7) / 5, (x[0] ** 2 - x[1]) / 8], (0, duration),
                      [0.1, 0.4], rtol=1e-12, atol=1e-14)  # fmt: skip
    return found.y[:, -1]


@pytest.mark.parametrize(
    ("method", "order"), [("euler", 1), ("exponential_euler", 1), ("auto", 1), ("rk2", 2), ("rk4", 4)]
)
def test_a_method_converges_with_its_order(method, order):
    neuron = sl.custom_model(SATURATING, method=method)
    wanted = reference(8.0)
    errors = [
        np.abs(after(neuron, [0.1, 0.4], 0.7, dt, round(8 / dt)) - wanted).max() for dt in (1.0, 0.5, 0.25, 0.125)
    ]
    rates = np.log2(np.array(errors[:-1]) / errors[1:])
    assert np.all(np.abs(rates[1:] - order) < 0.35), rates


def test_exponential_euler_is_the_solution_with_the_other_variables_held():
    neuron = sl.custom_model(SATURATING)
    assert neuron.methods == {"v": "exponential_euler", "w": "exponential_euler"}
    v, w, i, dt = 0.1, 0.4, 0.7, 2.0
    target = np.tanh(w) + i
    wanted = [target + (v - target) * np.exp(-dt / 5), v**2 + (w - v**2) * np.exp(-dt / 8)]
    np.testing.assert_allclose(after(neuron, [v, w], i, dt), wanted, rtol=1e-13)


def test_a_rate_of_zero_is_no_exception():
    neuron = sl.custom_model("dv/dt = g*(1 - v)/ms + i/ms : 1\ndg/dt = -g*g/ms : 1")
    assert neuron.methods == {"v": "exponential_euler", "g": "euler"}
    np.testing.assert_allclose(after(neuron, [0.3, 0.0], 0.5, 2.0), [1.3, 0.0], rtol=1e-14)


@pytest.mark.parametrize(
    "slope",
    ["1/(1 + v)", "where(v > 0, -v, -2*v)", "where(w > 0, -v, -v*v)", "v*(1 - v)", "v**2", "exp(-v)", "maximum(v, w)",
     "abs(v)", "p", "w/p", "where(p > 0, 1, 2)"],
)  # fmt: skip
def test_what_is_not_linear_is_not_taken_for_it(slope):
    neuron = sl.custom_model(f"dv/dt = ({slope})/(3*ms) : 1\ndw/dt = (1 - w)/(2*ms) : 1\np = v*v + 1 : 1")
    assert neuron.methods == {"v": "euler", "w": "exact"}


def test_a_choice_by_another_variable_is_linear_in_its_own():
    neuron = sl.custom_model("dv/dt = where(w > 0, 1 - v, -2*v)/(3*ms) : 1\ndw/dt = -w*w/ms : 1")
    assert neuron.methods == {"v": "exponential_euler", "w": "euler"}
    for w, wanted in ((1.0, 1 - 0.6 * np.exp(-0.5 / 3)), (-1.0, 0.4 * np.exp(-1 / 3))):
        assert after(neuron, [0.4, w])[0] == pytest.approx(wanted, rel=1e-13)


def test_the_method_is_shown():
    assert "solved v: exponential_euler, w: exponential_euler" in str(sl.custom_model(SATURATING))
    assert sl.custom_model(SATURATING, method="rk4").methods == {"v": "rk4", "w": "rk4"}


@pytest.mark.parametrize(
    ("text", "method", "message"),
    [
        (SATURATING, "exact", "equation of 'v' is not linear"),
        ("dv/dt = -v*v/ms : 1", "exponential_euler", "equation of 'v' is not linear in its own variable"),
        ("dv/dt = -v/ms : 1", "heun", "unknown method 'heun'"),
        ("dv/dt = -v/ms : 1", "rk5", r"unknown method 'rk5'; did you mean 'rk[24]'"),
    ],
)
def test_a_method_that_does_not_hold_is_told(text, method, message):
    with pytest.raises(sl.ParameterError, match=message):
        sl.custom_model(text, method=method)


# ---- values of expressions

EXPRESSIONS = {
    "exp(x) + log(y)": lambda x, y: np.exp(x) + np.log(y),
    "tanh(x) - sqrt(y) * abs(x)": lambda x, y: np.tanh(x) - np.sqrt(y) * np.abs(x),
    "minimum(x, y) / maximum(x, y)": lambda x, y: np.minimum(x, y) / np.maximum(x, y),
    "clip(x, -0.5, 0.5)": lambda x, y: np.clip(x, -0.5, 0.5),
    "where(x > 0 and not y < 1, 0.1, 0.2)": lambda x, y: np.where((x > 0) & (y >= 1), 0.1, 0.2),
    "where(x > 0 or y == 1, y, 0.2)": lambda x, y: np.where((x > 0) | (y == 1), y, 0.2),
    "where(0 <= x < 0.5, 1, 0)": lambda x, y: np.where((x >= 0) & (x < 0.5), 1.0, 0.0),
    "where(2 > 1, x, y)": lambda x, y: x,
    "floor(3*x)": lambda x, y: np.floor(3 * x),
    "exprel(x)": lambda x, y: np.expm1(x) / x,
    "x**3 - x**-2 + y**0.5 + y**1.7 + 2**x + y**x": lambda x, y: x**3.0 - x**-2.0 + y**0.5 + y**1.7 + 2**x + y**x,
    "y**12 + y**-9 + x**12 - x**-9 + x**64 + x**0": lambda x, y: y**12 + y**-9.0 + x**12 - x**-9.0 + x**64 + 1,
    "-x + +y": lambda x, y: y - x,
    "20*ms/second + 5*mV/volt": lambda x, y: 0.025 + 0 * x,
}


@pytest.mark.parametrize("text", EXPRESSIONS)
def test_expressions_have_the_value_of_numpy(text):
    neuron = sl.custom_model(f"dx/dt = 0 : 1\ndy/dt = 0 : 1\ndz/dt = ({text})/ms : 1\n", method="euler",
                             initial={"x": 0.5, "y": 1.5})  # fmt: skip
    random = np.random.default_rng(1)
    x, y = random.uniform(-1, 1, 50), random.uniform(0.1, 2, 50)
    wanted = EXPRESSIONS[text](x, y)
    np.testing.assert_allclose(after(neuron, [x, y, 0 * x], dt=1.0)[2], wanted, rtol=1e-13, atol=1e-15)
    tensors = neuron.State(*map(torch.from_numpy, (x, y, 0 * x)))
    found, _ = advance(neuron, tensors, 0.0 * tensors[0], 1.0, TorchOps())
    z = neuron.update(tensors, 0.0 * tensors[0], 1.0, TorchOps()).z
    assert z.dtype == torch.float64
    np.testing.assert_allclose(z, wanted, rtol=1e-13, atol=1e-15)
    assert found.shape == (50,)
