"""Hair cells, fibres and bushy cells against the published equations, integrated by scipy, and closed forms."""

import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.stats import binom

from spikeloom.datasets.audio import BushyCell, HairCell
from spikeloom.datasets.audio.hair_cells import Channels, _binomial
from spikeloom.errors import ParameterError, ShapeError
from spikeloom.native.compiled import compiled

RATE = 20_000
RELAY = BushyCell(n_fibres=1, tau_syn=1e-3, tau_m=1e-3, t_ref=0.05, weight=20.0)
"""Fires in the very step in which its fibre does."""


def integrated(velocity, times, hair, max_step=np.inf):
    """q, c, w at some times in s, from rest, by an independent solver; velocity is a function of time in s."""

    def slope(t, y):
        q, c, w = y
        a = velocity(t) + hair.A
        k = hair.g * a / (a + hair.B) if a > 0 else 0.0
        made = hair.y * (1 - q) + hair.x * w - k * q
        return [made, k * q - (hair.l + hair.r) * c, hair.r * c - hair.x * w]

    return solve_ivp(slope, (0, times[-1]), hair.steady(), t_eval=times, rtol=1e-8, atol=1e-12, max_step=max_step).y


def run(channels, velocity, generator):
    """The spikes of all channels, which hear the same velocity."""
    sound = np.broadcast_to(np.asarray(velocity, np.float32), (channels.n, len(velocity)))
    return channels.hear(sound, generator.random(sound.shape, np.float32))


def test_a_resting_cell_with_the_published_values_fires_at_65_hz():
    _, c, _ = HairCell().steady()
    k = 2000 * 5 / 305
    assert c == pytest.approx(5.05 * k / (2500 * k + 5.05 * 9080))
    assert HairCell().h * c == pytest.approx(64.8, abs=0.1)


def test_a_cell_that_hears_nothing_stays_as_it_is():
    channels = Channels(3, HairCell(), BushyCell(), RATE)
    before = channels.state[:3].copy()
    run(channels, np.zeros(1000), np.random.default_rng(0))
    np.testing.assert_allclose(channels.state[:3], before, rtol=1e-9)


@pytest.mark.parametrize("amplitude", [10.0, 100.0, 1000.0])
def test_transmitter_follows_the_equations_of_meddis(amplitude):
    hair, rate = HairCell(), 400_000
    time = np.arange(round(rate * 0.0205)) / rate  # to the top of a period
    velocity = amplitude * np.sin(2 * np.pi * 500 * time)
    channels = Channels(1, hair, BushyCell(), rate)
    run(channels, velocity, np.random.default_rng(0))
    ends = [0.0, len(time) / rate]
    expected = integrated(lambda t: amplitude * np.sin(2 * np.pi * 500 * t), ends, hair, 1e-4)[:, -1]
    np.testing.assert_allclose(channels.state[:3, 0], expected, rtol=0.01)


@pytest.mark.parametrize("velocity", [0.0, 20.0, 200.0])
def test_the_steady_state_is_where_integration_ends(velocity):
    np.testing.assert_allclose(
        integrated(lambda _: velocity, [0.0, 2.0], HairCell())[:, -1], HairCell().steady(velocity), rtol=1e-5
    )


def test_the_rate_adapts_after_an_onset_by_the_ratio_of_the_equations():
    """The chance of the first ms is 1 - exp(-integral of h c), the rate later h c / (1 + h c t_ref)."""
    hair, n, steps = HairCell(), 4000, 2000
    when, _ = run(Channels(n, hair, RELAY, RATE), np.full(steps, 100.0), np.random.default_rng(1))
    rate = hair.h * integrated(lambda _: 100.0, np.arange(steps + 1) / RATE, hair)[1, 1:]
    onset = np.count_nonzero(when < 20) / n * 1000
    sustained = np.count_nonzero(when >= 1400) / n / 0.03
    expected_onset = (1 - np.exp(-rate[:20].mean() * 1e-3)) * 1000
    expected_sustained = np.mean(rate[1400:] / (1 + rate[1400:] * 1e-3))
    assert sustained == pytest.approx(expected_sustained, rel=0.03)
    assert onset == pytest.approx(expected_onset, rel=0.05)
    assert onset / sustained > 4


def test_a_spontaneous_fibre_has_its_rate_and_rests_after_each_spike():
    n, steps = 200, 20_000
    when, where = run(Channels(n, HairCell(), RELAY, RATE), np.zeros(steps), np.random.default_rng(2))
    assert len(when) / n == pytest.approx(64.8 / (1 + 0.0648), rel=0.03)
    gaps = np.concatenate([np.diff(np.sort(when[where == channel])) for channel in range(n)])
    assert gaps.min() >= 20


def test_without_fibres_spikes_a_bushy_cell_is_silent():
    channels = Channels(5, HairCell(), BushyCell(), RATE)
    when, _ = channels.hear(np.full((5, 400), 300.0, np.float32), np.zeros((5, 400), np.float32))
    assert when.size == 0
    assert (channels.state[3:5] == 0).all()


@pytest.mark.parametrize(("weight", "fires"), [(4.6, True), (3.9, False)])
def test_a_volley_of_all_fibres_fires_a_bushy_cell_where_the_difference_of_exponentials_reaches_one(weight, fires):
    """The potential is weight tau_m tau_s / (tau_m - tau_s) (exp(-t/tau_m) - exp(-t/tau_s)), a quarter at its peak."""
    hair = HairCell(h=1e9)  # every fibre fires with certainty while the cleft holds anything
    channels = Channels(1, hair, BushyCell(weight=weight, t_ref_fibre=1000.0), 1_000_000)
    when, _ = channels.hear(np.zeros((1, 5000), np.float32), np.full((1, 5000), 0.5, np.float32))
    assert (when.size > 0) == fires
    if fires:
        assert when[0] / 1000 <= np.log(2)  # ms of the peak


def test_a_driven_bushy_cell_rests_between_its_spikes():
    when, _ = run(
        Channels(1, HairCell(), BushyCell(weight=100.0), RATE), np.full(4000, 500.0), np.random.default_rng(0)
    )
    assert len(when) > 20
    assert np.diff(when).min() > 20


@pytest.mark.parametrize("n", [1, 2, 7, 40])
@pytest.mark.parametrize("p", [1e-4, 0.03, 0.5, 1.0])
def test_the_number_of_fibres_that_fire_is_the_inverse_of_the_binomial_law(n, p):
    u = np.random.default_rng(0).random(2000)
    np.testing.assert_array_equal(_binomial(np.full(2000, float(n)), np.full(2000, p), u), binom.ppf(u, n, p))


@pytest.mark.parametrize("n", [1, 3, 8, 13, 70])
def test_the_compiled_code_equals_the_reference_bit_by_bit_in_its_spikes(n):
    library = compiled("cochlea.hpp")
    if library is None:
        pytest.skip("no C++ compiler")
    generator = np.random.default_rng(n)
    velocity = generator.normal(0, 200, (n, 700)).astype(np.float32)
    uniform = generator.random(velocity.shape, np.float32)
    fast, plain = (Channels(n, HairCell(), BushyCell(n_fibres=30, t_ref_fibre=0.7), RATE) for _ in range(2))
    for part in (slice(0, 203), slice(203, 204), slice(204, 700)):
        when, where = fast._native(library, velocity[:, part], uniform[:, part])
        expected = plain._reference(velocity[:, part], uniform[:, part])
        fast.step = plain.step = part.stop
        order = np.lexsort((where, when))
        np.testing.assert_array_equal([when[order], where[order]], expected)
        np.testing.assert_array_equal(fast.nerve, plain.nerve)
        np.testing.assert_allclose(fast.state, plain.state, rtol=1e-9, atol=1e-12)
    assert fast.state.size


@pytest.mark.parametrize("shapes", [((2, 9), (3, 9)), ((3, 9), (3, 8)), ((3,), (3,)), ((3, 2, 2), (3, 2, 2))])
def test_arrays_of_other_shapes_never_reach_the_compiled_code(shapes):
    velocity, uniform = (np.zeros(shape, np.float32) for shape in shapes)
    with pytest.raises(ShapeError, match=r"must have shape \(3, steps\)"):
        Channels(3, HairCell(), BushyCell(), RATE).hear(velocity, uniform)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: HairCell(h=0.0), "HairCell.h must be a positive number"),
        (lambda: HairCell(A=-1.0), "HairCell.A must be a positive number"),
        (lambda: BushyCell(tau_m=np.nan), "BushyCell.tau_m must be a positive number"),
        (lambda: BushyCell(n_fibres=2.5), "BushyCell.n_fibres must be an integer from 1 to 1000"),
        (lambda: BushyCell(n_fibres=1001), "got 1001"),
    ],
)
def test_a_wrong_parameter_is_named(make, message):
    with pytest.raises(ParameterError, match=message):
        make()
