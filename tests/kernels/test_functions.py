"""The vector functions of the kernels against NumPy in double precision, over all floats."""

import numpy as np
import pytest

from spikeloom import native

WORDS = ("exp", "log", "tanh", "sqrt", "abs", "max", "min", "select")

_BODY = """
template <class Real> void apply(int64_t word, const Real* a, const Real* b, Real* out, int64_t n) {
  for (int64_t i = 0; i < n; i += lanes<Real>) {
    const Vec<Real> x = load(a + i), y = load(b + i);
    Vec<Real> r = x;
    switch (word) {
      case 0: r = vexp<Real>(x); break;
      case 1: r = vlog<Real>(x); break;
      case 2: r = vtanh<Real>(x); break;
      case 3: r = vsqrt<Real>(x); break;
      case 4: r = vabs<Real>(x); break;
      case 5: r = vmax<Real>(x, y); break;
      case 6: r = vmin<Real>(x, y); break;
      default: r = select<Real>(x < y, x, y);
    }
    store(out + i, r);
  }
}
"""
SOURCE = f"""#include "spikeloom/functions.hpp"
using namespace spikeloom;
{_BODY}
SPIKELOOM_EXPORT void apply_f32(int64_t word, const float* a, const float* b, float* out, int64_t n) {{
  apply<float>(word, a, b, out, n);
}}
SPIKELOOM_EXPORT void apply_f64(int64_t word, const double* a, const double* b, double* out, int64_t n) {{
  apply<double>(word, a, b, out, n);
}}
"""

TINY = float(np.finfo(np.float32).tiny)


@pytest.fixture(scope="module", params=native.available())
def apply(request):
    library = native.load(SOURCE, request.param)

    def call(word, a, b=None):
        a = np.asarray(a)
        rest = -len(a) % 16
        padded = np.concatenate([a, np.ones(rest, a.dtype)])
        other = np.zeros_like(padded) if b is None else np.concatenate([b, np.ones(rest, a.dtype)])
        out = np.empty_like(padded)
        library.call(f"apply_f{a.itemsize * 8}", WORDS.index(word), padded, other, out, len(padded))
        return out[: len(a)]

    return call


def every_kind_of_float(n=400_000):
    """Floats of all exponents and both signs, equally often, and what lies close to 0 and 1."""
    generator = np.random.default_rng(0)
    drawn = generator.integers(0, 2**32, n, dtype=np.uint64).astype(np.uint32).view(np.float32)
    near = np.concatenate([generator.normal(size=n), generator.uniform(-100, 100, n)]).astype(np.float32)
    edges = np.array([0.0, -0.0, 1.0, -1.0, 0.25, -0.25, TINY, -TINY, 88.0, -87.0, 88.7, -87.3], np.float32)
    found = np.concatenate([drawn, near, edges, np.nextafter(edges, np.float32(np.inf))])
    return found[np.isfinite(found)]


def ulps(found, wanted):
    """How many floats lie between what was found and the true value, in units of the last place of the true one."""
    unit = np.spacing(np.maximum(np.abs(wanted).astype(np.float32), np.float32(TINY))).astype(np.float64)
    return np.abs(found.astype(np.float64) - wanted) / unit


def test_exp_in_float_is_within_two_units_in_the_last_place(apply):
    x = every_kind_of_float()
    with np.errstate(over="ignore", under="ignore"):
        wanted = np.exp(x.astype(np.float64))
    found = apply("exp", x)
    inside = (x >= -87) & (x <= 88)
    assert ulps(found[inside], wanted[inside]).max() <= 2
    assert (found[x < -87.4] == 0).all()  # below the smallest normal number
    assert np.abs(found[x < -87]).max() <= 2 * TINY
    assert (found[x > 88.73] == np.inf).all()


def test_exp_in_float_keeps_what_a_float_can_hold(apply):
    """exp(88.5) is 2.7e38, which is no infinity."""
    x = np.array([88.1, 88.5, 88.7], np.float32)
    np.testing.assert_allclose(apply("exp", x), np.exp(x.astype(np.float64)), rtol=3e-7)


def test_exp_of_nothing_is_one(apply):
    np.testing.assert_array_equal(apply("exp", np.array([0.0, -0.0], np.float32)), 1)


def test_tanh_in_float_is_within_two_units_in_the_last_place(apply):
    x = every_kind_of_float()
    found, wanted = apply("tanh", x), np.tanh(x.astype(np.float64))
    assert ulps(found, wanted).max() <= 2
    assert (np.abs(found) <= 1).all()
    np.testing.assert_array_equal(found, -apply("tanh", -x))
    order = np.sort(x[np.abs(x) < 12])
    assert np.diff(apply("tanh", order)).min() >= -4 * 2.0**-24


@pytest.mark.parametrize(("word", "bound"), [("log", 1), ("sqrt", 0.5)])
def test_log_and_sqrt_in_float_are_those_of_the_library(apply, word, bound):
    x = every_kind_of_float()
    x = x[x >= TINY]
    assert ulps(apply(word, x), getattr(np, word)(x.astype(np.float64))).max() <= bound


@pytest.mark.parametrize("word", ["exp", "log", "tanh", "sqrt"])
def test_in_double_they_are_those_of_numpy(apply, word):
    x = np.random.default_rng(1).uniform(-700, 700, 50_000)
    x = np.concatenate([x, x / 1000, [0.0, 1e-300, 1e300]])
    x = np.abs(x) if word in ("log", "sqrt") else x
    with np.errstate(divide="ignore", over="ignore"):
        np.testing.assert_allclose(apply(word, x), getattr(np, word)(x), rtol=5e-16, atol=0)


@pytest.mark.parametrize("real", [np.float32, np.float64])
def test_choices_are_those_of_numpy(apply, real):
    a, b = np.random.default_rng(2).normal(size=(2, 1000)).astype(real)
    b[::3] = a[::3]
    np.testing.assert_array_equal(apply("abs", a), np.abs(a))
    np.testing.assert_array_equal(apply("max", a, b), np.maximum(a, b))
    np.testing.assert_array_equal(apply("min", a, b), np.minimum(a, b))
    np.testing.assert_array_equal(apply("select", a, b), np.where(a < b, a, b))


@pytest.mark.parametrize("real", [np.float32, np.float64])
@pytest.mark.parametrize("word", ["exp", "log", "tanh", "sqrt", "abs", "max", "min"])
def test_what_is_not_a_number_stays_so(apply, word, real):
    """A network that diverges shows it, as it does on torch operations."""
    nan, one = np.full(3, np.nan, real), np.ones(3, real)
    assert np.isnan(apply(word, nan, one)).all()
    if word in ("max", "min"):
        assert np.isnan(apply(word, one, nan)).all()


@pytest.mark.parametrize("real", [np.float32, np.float64])
def test_infinities_are_those_of_numpy(apply, real):
    x = np.array([np.inf, -np.inf], real)
    np.testing.assert_array_equal(apply("exp", x), [np.inf, 0])
    np.testing.assert_array_equal(apply("tanh", x), [1, -1])
    np.testing.assert_array_equal(apply("abs", x), [np.inf, np.inf])
    np.testing.assert_array_equal(apply("log", np.array([np.inf, 0.0], real)), [np.inf, -np.inf])
    np.testing.assert_array_equal(apply("max", x, np.zeros(2, real)), [np.inf, 0])
