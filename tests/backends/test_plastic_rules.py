"""Rules of every form in the plastic kernel, against the same rule in its own lines on tensors."""

import logging
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from spikeloom import native
from spikeloom.backends import PlasticRun
from spikeloom.filters import LowPass
from spikeloom.neurons import LIF
from spikeloom.plasticity import (
    Change,
    Normalise,
    Rule,
    Trace,
    astrocyte_stdp,
    bcm,
    diehl_cook,
    integer_stdp,
    meta_stdp,
    oja,
    oja_subspace,
    rstdp,
    rstdp_eligibility,
    stdp,
    symmetric_stdp,
    triplet_stdp,
)
from spikeloom.spikes import Spikes

V_TH = 3.0
NEURON = LIF(tau_m=20.0, v_th=V_TH)
ALL = Rule(
    traces={
        "x": Trace(end="pre", filter=LowPass(tau=8.0)),
        "xx": Trace(end="pre", of="gain * x + s * 0.1", filter=LowPass(tau=15.0, normalise=True), before=True),
        "y": Trace(end="post", filter=LowPass(tau=12.0), nearest=True),
        "u": Trace(end="post", of="where(v > 1, v, 0)", filter=LowPass(tau=5.0)),
    },
    changes=(
        Change(trigger="pre", pre="xx + 1", post="-y / (1 + u)", weight="w - w_min", eligibility=LowPass(tau=9.0)),
        Change(trigger="post", pre="x", post="tanh(u) + 0.1", weight="exp(w_max - w)", modulator="m * gain"),
        Change(trigger="step", pre="s", post="u - 0.2", eligibility=LowPass(tau=30.0, normalise=True), modulator="m"),
        Change(trigger="step", post="where(count > 2, s, -0.01)", target="v_th", relax=LowPass(tau=40.0)),
        Change(trigger="post", post="y", target="v_rest"),
        Change(trigger="step", pre="exp(-count)", post="0.01", weight="-w"),
        Change(trigger="run", pre="x", post="0.1 * y + 0.01 * v", modulator="m"),
        Change(trigger="run", post="-0.1 * s", target="v_th"),
        Change(trigger="first", post="0.02", weight="w"),
    ),
    parameters={"gain": 0.7}, w_min=-0.5, w_max=1.0, lr=0.05, normalise=Normalise(total=2.0, norm="l2"),
)  # fmt: skip
RULES = {
    "pairs": lambda a, b: stdp(a_plus=a, a_minus=b),
    "nearest pairs": lambda a, b: stdp(
        a_plus=a, a_minus=b, nearest=True, before=True, normalise=Normalise(total=4.0, every=3)
    ),
    "triplets": lambda a, b: triplet_stdp(lr=a),
    "symmetric pairs": lambda a, b: symmetric_stdp(a=a, lr=b, normalise=Normalise(total=3.0, every=2, norm="l2")),
    "weight dependence": lambda a, b: stdp(a_plus=a, a_minus=b, mu_plus=0.3, mu_minus=1.0),
    "reward": lambda a, b: rstdp(a_plus=a, a_minus=-b, w_min=-1.0, w_max=1.0),
    "reward that meets what is eligible": lambda a, b: rstdp_eligibility(a_plus=a, a_minus=-b, w_min=0.0, w_max=1.0),
    "astrocyte": lambda a, b: astrocyte_stdp(lr=a, w_min=0.0, w_max=1.0),
    "bcm": lambda a, b: bcm(lr=a, y0=b + 0.01),
    "oja": lambda a, b: oja(lr=a),
    "diehl and cook": lambda a, b: diehl_cook(nu_post=a, nu_pre=b, theta_plus=a, tau_theta=200.0, total=5.0),
    "soft bounds": lambda a, b: meta_stdp(a_plus=a, a_minus=b),
    "all at once": lambda a, b: replace(ALL, lr=a, parameters={"gain": b}),
}


def drawn(seed, n, k, n_steps, density, dtype=torch.float64):
    """Weights (n, k) that let some neurons fire, pre spikes, a modulator and a current."""
    rng = np.random.default_rng(seed)
    weights = torch.tensor(rng.uniform(0, min(0.9, 8.0 / (k * density + 1)), (n, k)), dtype=dtype)
    raster = (rng.random((n_steps, 1, k)) < density).astype(np.int8)
    given = {"modulator": torch.tensor(rng.normal(size=n_steps) * (rng.random(n_steps) < 0.5))}
    given["current"] = torch.tensor(rng.uniform(-0.5, 1.0, (n_steps, n)), dtype=dtype)
    return weights, raster, given


def window(run, raster, given, first=0, end=None, **options):
    """The spikes of a part of what was drawn."""
    own = {name: value[first:end] for name, value in given.items()}
    return run.run(Spikes.from_raster(raster[first:end], 1.0), **own, **options)


def both(rule, weights, **options):
    kernel, loop = (PlasticRun(NEURON, rule, weights, dt=1.0, path=path, **options) for path in ("auto", "torch"))
    assert (kernel.path, loop.path) == ("kernel path", "torch path")
    return kernel, loop


def parts(state):
    """The tensors of a state by name."""
    found = {"weights": state.weights, "fired": state.fired}
    found |= {f"neurons {k}": v for k, v in enumerate(state.neurons)}
    for kind in ("traces", "eligible", "offsets"):
        found |= {f"{kind} {name}": value for name, value in getattr(state, kind).items()}
    return found


def assert_close(a, b, tolerance):
    a, b = parts(a), parts(b)
    assert a.keys() == b.keys()
    for name, value in a.items():
        torch.testing.assert_close(value, b[name], rtol=tolerance, atol=tolerance, msg=lambda m, n=name: f"{n}: {m}")


@pytest.mark.parametrize("name", RULES)
@settings(max_examples=8, deadline=None)
@given(
    st.integers(0, 2**32 - 1), st.integers(1, 70), st.integers(1, 40), st.integers(1, 40), st.floats(0, 0.6),
    st.floats(0.001, 0.3), st.floats(0.001, 0.3), st.sampled_from([0.0, 0.2]),
)  # fmt: skip
def test_the_kernel_equals_the_rule_s_own_lines(name, seed, n, k, n_steps, density, a, b, inhibition):
    weights, raster, given = drawn(seed, n, k, n_steps, density)
    kernel, loop = both(RULES[name](a, b), weights, inhibition=inhibition)
    for _ in range(2):
        fired = window(loop, raster, given)
        assert torch.equal(window(kernel, raster, given), fired)
    assert_close(kernel.state, loop.state, 1e-12)


@pytest.mark.parametrize("name", RULES)
def test_the_rules_of_the_comparison_change_weights_of_neurons_that_fire(name):
    weights, raster, given = drawn(1, 60, 40, 60, 0.2)
    run = PlasticRun(NEURON, RULES[name](0.1, 0.05), weights, dt=1.0)
    fired = window(run, raster, given)
    assert 0.01 < fired.double().mean() < 0.99
    assert (run.state.weights - weights).abs().max() > 1e-3


@pytest.mark.parametrize("level", native.available())
@pytest.mark.parametrize("name", ["triplets", "reward that meets what is eligible", "all at once"])
def test_every_level_gives_the_same_to_rounding(name, level):
    weights, raster, given = drawn(2, 130, 50, 60, 0.1)
    loop = PlasticRun(NEURON, RULES[name](0.1, 0.05), weights, dt=1.0, path="torch")
    fired = window(loop, raster, given)
    with native.using(level):
        kernel = PlasticRun(NEURON, RULES[name](0.1, 0.05), weights, dt=1.0)
        assert torch.equal(window(kernel, raster, given), fired)
    assert fired.any()
    assert_close(kernel.state, loop.state, 1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", RULES)
def test_windows_cut_anywhere_and_threads_change_no_bit(name, dtype):
    weights, raster, given = drawn(3, 150, 30, 40, 0.15, dtype)
    rule = RULES[name](0.1, 0.05)
    whole, cut = (PlasticRun(NEURON, rule, weights, dt=1.0, threads=threads) for threads in (1, 2))
    assert whole.path == "kernel path"
    fired = window(whole, raster, given)
    cuts = [(0, 1), (1, 2), (2, 17), (17, 40)]
    found = torch.cat([window(cut, raster, given, a, b, last=b == 40) for a, b in cuts])
    assert torch.equal(found, fired)
    assert_close(cut.state, whole.state, 0.0)


def test_what_is_eligible_stays_right_when_its_scale_is_put_back_to_one():
    # tau 3 ms: after 200 steps the shared scale has passed 2^-60 four times
    weights, raster, given = drawn(4, 20, 30, 200, 0.05)
    rule = rstdp_eligibility(tau_e_trace=3.0, w_min=0.0, w_max=1.0)
    kernel, loop = both(rule, weights)
    assert torch.equal(window(kernel, raster, given), window(loop, raster, given))
    assert_close(kernel.state, loop.state, 1e-12)
    assert kernel.state.eligible[0].abs().max() > 1e-3


def test_one_eligible_synapse_by_hand():
    # pre at 0, post at 2: the change reads the trace of the step before, d; a reward of 2 comes at step 5 alone
    d, e = math.exp(-1 / 20), math.exp(-1 / 10)
    rule = Rule(
        traces={"x": Trace(end="pre")},
        changes=(Change(trigger="post", pre="x", modulator="m", eligibility=LowPass(tau=10.0)),),
    )
    spikes = Spikes.from_steps([0], [0], 1, n_steps=7, dt=1.0, n_samples=1)
    current = torch.zeros(7, 1, dtype=torch.float64)
    current[2] = 10.0
    reward = torch.tensor([0, 0, 0, 0, 0, 2.0, 0])
    for run in both(rule, torch.zeros(1, 1, dtype=torch.float64)):
        assert run.run(spikes, modulator=reward, current=current)[:, 0].tolist() == [0, 0, 1, 0, 0, 0, 0]
        assert run.state.weights.item() == pytest.approx(2 * d * e**3)
        assert run.state.eligible[0].item() == pytest.approx(d * e**4)


def test_the_first_run_alone_is_calibrated_and_each_run_has_its_end():
    rule = Rule(changes=(Change(trigger="run", post="0.25"), Change(trigger="first", post="1", weight="w")))
    silence = Spikes.from_raster(np.zeros((2, 1, 1), np.int8), 1.0)
    for run in both(rule, torch.ones(1, 1, dtype=torch.float64)):
        run.run(silence, last=False)
        assert run.state.weights.item() == 1.0
        run.run(silence)
        assert run.state.weights.item() == 2.5  # (1 + 0.25), doubled
        run.rest()
        run.run(silence)
        assert run.state.weights.item() == 2.75


def test_a_learning_rate_of_0_stops_all_that_a_rule_does():
    weights, raster, given = drawn(5, 20, 30, 30, 0.2)
    for run in both(replace(ALL, lr=0.0), weights):
        assert window(run, raster, given).any()
        assert torch.equal(run.state.weights, weights)
        assert not run.state.offsets


@pytest.mark.parametrize(
    ("rule", "reason", "options"),
    [
        (oja_subspace(w_min=-1.0, w_max=1.0), "a sum over all post neurons", {}),
        (integer_stdp(), "draws no random numbers", {"generator": np.random.default_rng(0)}),
        (
            Rule(changes=(Change(trigger="post", eligibility=LowPass(tau=np.array([[5.0, 6.0, 7.0]]))),)),
            "several time constants",
            {},
        ),
        (Rule(changes=(Change(trigger="post", pre="s", target="weight", weight="(w + 1)**20"),)), None, {}),
        (Rule(changes=(Change(trigger="post", target="tau_m"),)), "no coefficient that is 'tau_m' alone", {}),
    ],
)
def test_what_the_kernel_cannot_take_runs_in_its_own_lines_and_the_log_says_why(rule, reason, options, caplog):
    weights = torch.full((2, 3), 0.4, dtype=torch.float64)
    with caplog.at_level(logging.WARNING):
        run = PlasticRun(NEURON, rule, weights, dt=1.0, **options)
    assert run.path == ("kernel path" if reason is None else "torch path")
    assert reason is None or reason in caplog.text
    run.run(Spikes.from_raster(np.ones((5, 1, 3), np.int8), 1.0))
    assert not torch.equal(run.state.weights, weights) or rule.targets
