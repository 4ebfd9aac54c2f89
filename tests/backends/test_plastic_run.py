"""A plastic run: the kernel path against the torch path, windows, homeostasis, and what is refused."""

import doctest
import logging
import math
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch

from spikeloom.backends import PlasticRun, TorchOps, plastic
from spikeloom.backends.plastic_loop import PlasticModel, step_window
from spikeloom.errors import DataError, ParameterError, ShapeError, UnsupportedError
from spikeloom.filters import LowPass
from spikeloom.native.events import EventRows, rows_of_raster
from spikeloom.neurons import CLIF, IF, LI, LIF, Emission, Graded, Scale, Subtract
from spikeloom.ops import NumpyOps
from spikeloom.plasticity import Change, Normalise, Rule, Trace, integer_stdp, stdp
from spikeloom.spikes import Spikes

K, N, T = 90, 70, 60
V_TH = 3.0
NEURONS = {
    "lif": LIF(tau_m=20.0, v_th=V_TH),
    "scaled lif with rest": LIF(tau_m=5.0, v_th=0.5, v_rest=0.1, v_reset=-0.2, scale_input=True),
    "lif, subtract": LIF(v_th=V_TH, emission=Emission(reset=Subtract())),
    "lif, scale": LIF(v_th=V_TH, emission=Emission(reset=Scale(0.25))),
    "lif, own thresholds": LIF(v_th=np.linspace(1.0, 5.0, N)),
    "if": IF(v_th=V_TH, constant_decay=0.01),
    "clif": CLIF(v_th=4.0),
}
PAIR = stdp(a_plus=1e-2, a_minus=1e-4)
RULES = {
    "additive": PAIR,
    "nearest, before, every step": stdp(
        a_plus=1e-2, a_minus=1e-4, nearest=True, before=True, normalise=Normalise(total=8.0, every=1)
    ),
    "weight dependent": stdp(a_minus=0.02, mu_minus=1.0, a_plus=0.05, mu_plus=0.2, lr=0.5),
    "own time constants": Rule(
        traces={
            "x": Trace(end="pre", filter=LowPass(tau=np.linspace(2.0, 30.0, K), normalise=True)),
            "y": Trace(end="post", filter=LowPass(tau=3.0)),
        },
        changes=(Change(trigger="pre", post="-1e-4 * y"), Change(trigger="post", pre="1e-2 * (x - 0.3)")),
        w_min=-1.0, w_max=2.0, normalise=Normalise(total=8.0),
    ),
}  # fmt: skip


def modulated(rule):
    return replace(rule, changes=tuple(replace(change, modulator="m") for change in rule.changes))


def rising(rule, by, tau=1e7):
    """The rule, by which a spike raises the threshold too."""
    return replace(
        rule, changes=(*rule.changes, Change(trigger="post", post=f"{by}", target="v_th", relax=LowPass(tau=tau)))
    )


def drawn(seed=0, dtype=torch.float64, n=N, k=K, n_steps=T, density=0.1):
    """Weights (n, k) and pre spikes."""
    rng = np.random.default_rng(seed)
    weights = torch.tensor(rng.uniform(0, 0.3, (n, k)), dtype=dtype)
    raster = (rng.random((n_steps, 1, k)) < density).astype(np.int8)
    return weights, Spikes.from_raster(raster, 1.0)


def part(spikes, first, last):
    return Spikes.from_raster(spikes.raster()[first:last], 1.0)


def both(neuron, rule, weights, **options):
    """The same run on the kernel path and on the torch path."""
    kernel, loop = (PlasticRun(neuron, rule, weights, dt=1.0, path=path, **options) for path in ("auto", "torch"))
    assert (kernel.path, loop.path) == ("kernel path", "torch path")
    return kernel, loop


def assert_close(a, b, tolerance):
    pairs = {"weights": (a.weights, b.weights)}
    for kind in ("traces", "eligible", "offsets"):
        assert getattr(a, kind).keys() == getattr(b, kind).keys()
        pairs |= {f"{kind} {name}": (value, getattr(b, kind)[name]) for name, value in getattr(a, kind).items()}
    pairs |= {f"state {k}": pair for k, pair in enumerate(zip(a.neurons, b.neurons, strict=True))}
    for name, (x, y) in pairs.items():
        torch.testing.assert_close(x, y, rtol=tolerance, atol=tolerance, msg=lambda m, name=name: f"{name}: {m}")


@pytest.mark.parametrize(("neuron", "rule"), [*((n, "additive") for n in NEURONS), *(("lif", r) for r in RULES)])
def test_the_kernel_path_equals_the_torch_path_in_double(neuron, rule):
    weights, spikes = drawn()
    kernel, loop = both(NEURONS[neuron], RULES[rule], weights)
    fired = loop.run(spikes)
    assert 0.005 < fired.double().mean() < 0.9
    torch.testing.assert_close(kernel.run(spikes), fired, rtol=0, atol=0)
    assert_close(kernel.state, loop.state, 1e-12)
    assert not torch.equal(kernel.state.weights, weights)


@pytest.mark.parametrize("filter", [None, LowPass(tau=3.0), LowPass(tau=np.linspace(1.0, 9.0, N), normalise=True)])
def test_filter_homeostasis_modulator_and_current_are_the_same_on_both_paths(filter):
    weights, spikes = drawn(1)
    rng = np.random.default_rng(1)
    modulator, current = torch.tensor(rng.normal(size=T)), torch.tensor(rng.uniform(-0.2, 0.4, (T, N)))
    kernel, loop = both(NEURONS["lif"], rising(modulated(PAIR), 0.3, 15.0), weights, filter=filter)
    runs = [run.run(spikes, modulator=modulator, current=current) for run in (kernel, loop)]
    torch.testing.assert_close(*runs, rtol=0, atol=0)
    assert runs[0].any()
    assert_close(kernel.state, loop.state, 1e-12)
    assert len(kernel.state.neurons) == (1 if filter is None else 2)


@pytest.mark.parametrize("rule", RULES)
def test_in_float_a_spike_differs_only_at_the_threshold(rule):
    weights, spikes = drawn(2, torch.float32)
    kernel, loop = both(NEURONS["lif"], RULES[rule], weights)
    fired, expected = kernel.run(spikes), loop.run(spikes)
    assert fired.any()
    if torch.equal(fired, expected):
        assert_close(kernel.state, loop.state, 1e-5)
        return
    first = int((fired != expected).any(1).nonzero()[0])
    before = PlasticRun(NEURONS["lif"], RULES[rule], weights, dt=1.0, path="torch")
    before.run(part(spikes, 0, first), last=False)
    state = before.state
    arriving = state.weights @ torch.tensor(spikes.raster()[first, 0], dtype=torch.float32)
    v = state.neurons[0] * math.exp(-1 / 20.0) + arriving
    assert ((v - V_TH).abs()[fired[first] != expected[first]] < 1e-5).all()


def test_the_loop_on_numpy_arrays_equals_the_loop_on_tensors():
    weights, spikes = drawn(3)
    model = PlasticModel(neuron=NEURONS["clif"], rule=rising(RULES["weight dependent"], 0.05), dt=1.0)
    raster = spikes.raster()[:, 0].astype(float)
    fired, state = step_window(model, model.initial(weights.numpy(), NumpyOps()), raster, NumpyOps())
    expected, other = step_window(model, model.initial(weights, TorchOps()), torch.tensor(raster), TorchOps())
    np.testing.assert_array_equal(fired, expected)
    np.testing.assert_allclose(state.weights, other.weights, rtol=1e-12)
    assert fired.any()


def test_weights_and_traces_of_float32_stay_float32_on_numpy_arrays():
    weights, spikes = drawn(3, torch.float32)
    model = PlasticModel(neuron=NEURONS["lif"], rule=RULES["nearest, before, every step"], dt=1.0)
    fired, state = step_window(
        model, model.initial(weights.numpy(), NumpyOps()), spikes.raster()[:, 0].astype("f4"), NumpyOps()
    )
    assert {a.dtype for a in (fired, state.weights, *state.traces.values())} == {np.dtype("f4")}


def test_one_synapse_by_hand():
    # tau_m so long that nothing leaks: v = .6, .6 (silence), 1.2 -> fires at step 2, three steps after nothing else.
    spikes = Spikes.from_steps([0, 2, 4], [0, 0, 0], 1, n_steps=5, dt=1.0, n_samples=1)
    rule = stdp(a_minus=0.1, a_plus=0.2)
    d = math.exp(-1 / 20.0)
    for run in both(LIF(tau_m=1e12), rule, torch.tensor([[0.6]], dtype=torch.float64)):
        assert run.run(spikes)[:, 0].tolist() == [0, 0, 1, 0, 0]
        # step 2: the pre trace is d (one spike two steps ago, read before the update); step 4: the post trace is d
        assert run.state.weights.item() == pytest.approx(0.6 + 0.2 * d - 0.1 * d, rel=1e-9)
        assert run.state.traces["x"].item() == pytest.approx(1 + d**2 + d**4)
        assert run.state.traces["y"].item() == pytest.approx(d**2)


@pytest.mark.parametrize("path", ["auto", "torch"])
@pytest.mark.parametrize("rule", RULES)
def test_a_run_cut_into_windows_equals_one_run_bit_for_bit(path, rule):
    weights, spikes = drawn(4, torch.float32)
    options = {"dt": 1.0, "path": path, "filter": LowPass(tau=2.0)}
    whole, cut = (PlasticRun(NEURONS["lif"], rising(RULES[rule], 0.1), weights, **options) for _ in range(2))
    expected = whole.run(spikes)
    windows = [(t, t + 1) for t in range(20)] + [(20, 33), (33, T)]
    parts = [cut.run(part(spikes, a, b), last=b == T) for a, b in windows]
    assert torch.equal(torch.cat(parts), expected)
    assert expected.any()
    assert_close(cut.state, whole.state, 0.0)
    assert cut.state.done == whole.state.done == T


@pytest.mark.parametrize("path", ["auto", "torch"])
def test_a_rule_that_normalises_at_the_end_does_so_once_a_run(path):
    weights, spikes = drawn(5)
    run = PlasticRun(NEURONS["lif"], stdp(normalise=Normalise(total=6.0)), weights, dt=1.0, path=path)
    run.run(part(spikes, 0, 30), last=False)
    assert ((run.state.weights.sum(1) - 6.0).abs() > 0.1).any()
    run.run(part(spikes, 30, T))
    torch.testing.assert_close(run.state.weights.sum(1), torch.full((N,), 6.0, dtype=torch.float64))


@pytest.mark.parametrize("path", ["auto", "torch"])
def test_rest_forgets_the_sample_and_keeps_what_was_learnt(path):
    weights, spikes = drawn(6)
    run = PlasticRun(LIF(v_th=V_TH, v_rest=0.25), rising(PAIR, 0.05), weights, dt=1.0, path=path)
    run.run(spikes)
    before = run.state
    run.rest()
    after = run.state
    assert torch.equal(after.weights, before.weights)
    assert torch.equal(after.offsets["v_th"], before.offsets["v_th"])
    assert before.offsets["v_th"].any()
    assert (after.neurons[0] == 0.25).all()
    assert not after.traces["x"].any()
    assert not after.traces["y"].any()


@pytest.mark.parametrize("path", ["auto", "torch"])
def test_the_caller_s_weights_and_the_state_that_was_read_stay_as_they_are(path):
    weights, spikes = drawn(7)
    given = weights.clone()
    run = PlasticRun(NEURONS["lif"], PAIR, weights, dt=1.0, path=path)
    at_start = run.state
    weights += 0.1
    run.run(spikes)
    assert torch.equal(weights, given + 0.1)
    assert torch.equal(at_start.weights, given)
    expected = PlasticRun(NEURONS["lif"], PAIR, given, dt=1.0, path=path)
    expected.run(spikes)
    assert torch.equal(run.state.weights, expected.state.weights)
    assert not torch.equal(run.state.weights, given)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_row_too_small_to_be_scaled_is_silent_on_both_paths(dtype):
    least = torch.finfo(dtype).tiny
    small = torch.linspace(1, 9, K, dtype=dtype) * least
    weights = torch.stack([small, -small, small * 2e-5, torch.full((K,), 0.5, dtype=dtype)])
    silence = Spikes.from_raster(np.zeros((4, 1, K), np.int8), 1.0)
    rule = stdp(w_min=-math.inf, w_max=math.inf, normalise=Normalise(total=9.0, every=2))
    for run in both(LIF(), rule, weights):
        assert not run.run(silence).any()
        found = run.state.weights
        assert torch.equal(found[:2], weights[:2])
        assert bool(
            ((found[2] == weights[2]) | (found[2] == 0)).all()
        )  # below the normal numbers: kernels take it as 0
        torch.testing.assert_close(found[3], torch.full((K,), 0.1, dtype=dtype))


@pytest.mark.parametrize("path", ["auto", "torch"])
def test_without_reward_nothing_is_learnt(path):
    weights, spikes = drawn(8)
    run = PlasticRun(NEURONS["lif"], modulated(PAIR), weights, dt=1.0, path=path)
    assert run.run(spikes, modulator=torch.zeros(T)).any()
    assert torch.equal(run.state.weights, weights)


def test_each_spike_raises_the_threshold_so_that_intervals_grow():
    # v grows by 1 a step and is reset to 0; the threshold is 2.5, 3.5, 4.5 ...: intervals of 3, 4, 5 ... steps
    silence = Spikes.from_raster(np.zeros((20, 1, 1), np.int8), 1.0)
    for run in both(IF(v_th=2.5), rising(PAIR, 1.0, 1e15), torch.zeros(1, 1, dtype=torch.float64)):
        fired = run.run(silence, current=torch.ones(20, 1, dtype=torch.float64))
        assert fired[:, 0].nonzero()[:, 0].tolist() == [2, 6, 11, 17]
        assert run.state.offsets["v_th"].item() == pytest.approx(4.0)


def test_a_neuron_learns_the_pattern_that_is_repeated():
    rng = np.random.default_rng(10)
    raster = rng.random((800, 1, K)) < 0.02
    pattern = rng.permutation(K)[:20]
    raster[::20, 0, pattern] = True
    rule = stdp(a_minus=0.005, a_plus=0.02, normalise=Normalise(total=9.0, every=20))
    run = PlasticRun(LIF(v_th=1.5), rule, torch.full((1, K), 0.1), dt=1.0)
    run.run(Spikes.from_raster(raster.astype(np.int8), 1.0))
    learnt = run.state.weights[0]
    others = np.setdiff1d(np.arange(K), pattern)
    assert learnt[pattern].mean() > 2.5 * learnt[others].mean()


def test_event_rows_are_read_as_spikes_are():
    weights, spikes = drawn(11)
    rows = rows_of_raster(spikes.raster())
    expected = PlasticRun(NEURONS["lif"], PAIR, weights, dt=1.0).run(spikes)
    for run in both(NEURONS["lif"], PAIR, weights):
        assert torch.equal(run.run(rows), expected)


def test_threads_change_no_bit():
    weights, spikes = drawn(12, n=200)
    one, two = (PlasticRun(NEURONS["lif"], PAIR, weights, dt=1.0, threads=t) for t in (1, 2))
    assert torch.equal(one.run(spikes), two.run(spikes))
    assert torch.equal(one.state.weights, two.state.weights)


def test_a_window_without_steps_gives_no_spikes():
    weights, _ = drawn()
    empty = EventRows(np.zeros(1, np.int64), np.zeros(0, np.int32), None, 0, 1, K)
    for run in both(NEURONS["lif"], stdp(normalise=Normalise(total=1.0)), weights):
        assert run.run(empty).shape == (0, N)
        assert torch.equal(run.state.weights, weights)


def test_a_neuron_whose_lines_cannot_become_a_kernel_runs_on_the_torch_path_and_the_log_says_so_once(caplog):
    @dataclass(frozen=True, kw_only=True, slots=True)
    class Branching(LIF):
        def update(self, state, inputs, dt, xp):
            return LIF.update(self, state, inputs if bool((inputs > -1e9).all()) else inputs * 0, dt, xp)

    weights, spikes = drawn(13)
    with caplog.at_level(logging.WARNING):
        runs = [PlasticRun(Branching(v_th=V_TH), PAIR, weights, dt=1.0) for _ in range(2)]
    assert [run.path for run in runs] == ["torch path"] * 2
    assert len(caplog.records) == 1
    assert "Branching" in caplog.text
    expected = PlasticRun(LIF(v_th=V_TH), PAIR, weights, dt=1.0).run(spikes)
    assert torch.equal(runs[0].run(spikes), expected)


class TestBadInput:
    def test_weights_that_do_not_fit_are_refused(self):
        for weights, error in (
            (np.zeros((2, 3)), ParameterError),
            (torch.zeros(2, 3, dtype=torch.float16), ParameterError),
            (torch.zeros(3), ShapeError),
            (torch.zeros(0, 3), ShapeError),
            (torch.full((2, 3), 1.5), DataError),
            (torch.full((2, 3), math.nan), DataError),
        ):
            with pytest.raises(error, match=r"PlasticRun\.weights"):
                PlasticRun(LIF(), PAIR, weights, dt=1.0)

    def test_models_that_do_not_fit_are_refused(self):
        weights = torch.zeros(2, 3)
        for neuron, options, error in (
            (LIF(), {"path": "gpu"}, ParameterError),
            (LIF(), {"dt": 0.0}, ParameterError),
            (LIF(), {"filter": Trace(end="pre")}, ParameterError),
            (LIF(), {"rule": "stdp"}, ParameterError),
            (LIF(), {"rule": Rule(changes=(Change(trigger="post", target="v_treshold"),))}, ParameterError),
            (LIF(), {"rule": Rule(changes=(Change(trigger="post", pre="v"),))}, ParameterError),
            (LIF(), {"rule": Rule(changes=(Change(trigger="post", post="u"),), variables=("u",))}, ParameterError),
            (LIF(), {"rule": integer_stdp()}, ParameterError),
            (LIF(emission=Emission(threshold=2.0)), {"rule": rising(PAIR, 0.05)}, ParameterError),
            ("lif", {}, ParameterError),
            (LI(emission=Emission(forward=Graded(), threshold=1.0, reset=Subtract())), {}, UnsupportedError),
        ):
            with pytest.raises(error):
                PlasticRun(neuron, weights=weights, **{"dt": 1.0, "rule": PAIR, **options})

    @pytest.mark.parametrize("path", ["auto", "torch"])
    def test_inputs_that_do_not_fit_are_refused(self, path):
        run = PlasticRun(LIF(), PAIR, torch.zeros(2, 3), dt=1.0, path=path)
        fitting = Spikes.from_raster(np.zeros((4, 1, 3), np.int8), 1.0)
        for pre, options, error in (
            (Spikes.from_raster(np.zeros((4, 1, 2), np.int8), 1.0), {}, ShapeError),
            (Spikes.from_raster(np.zeros((4, 2, 3), np.int8), 1.0), {}, ShapeError),
            (Spikes.from_raster(np.zeros((4, 1, 3), np.int8), 0.5), {}, ParameterError),
            (Spikes.from_steps([0], [0], 3, 4, 1.0, values=[2], n_samples=1), {}, DataError),
            (fitting, {"modulator": torch.ones(3)}, ShapeError),
            (fitting, {"current": torch.ones(4, 3)}, ShapeError),
        ):
            with pytest.raises(error, match=r"PlasticRun\.run"):
                run.run(pre, **options)


def test_the_example_of_the_docstring_runs():
    assert doctest.testmod(plastic).failed == 0


@pytest.mark.parametrize("filter", [None, LowPass(tau=3.0)])
def test_neurons_that_inhibit_each_other_are_the_same_on_both_paths_however_a_run_is_cut(filter):
    weights, spikes = drawn(4)
    kernel, loop = both(NEURONS["lif"], rising(PAIR, 0.1), weights, threads=2, filter=filter, inhibition=0.4)
    free = PlasticRun(NEURONS["lif"], RULES["additive"], weights, dt=1.0, filter=filter)
    fired = loop.run(spikes)
    torch.testing.assert_close(
        torch.cat([kernel.run(part(spikes, 0, 23)), kernel.run(part(spikes, 23, T))]), fired, rtol=0, atol=0
    )
    assert_close(kernel.state, loop.state, 1e-12)
    torch.testing.assert_close(kernel.state.fired, loop.state.fired, rtol=0, atol=0)
    assert 0 < fired.sum() < 0.8 * free.run(spikes).sum()


def test_a_spike_inhibits_all_neurons_but_itself_in_the_next_step():
    neuron = LIF(tau_m=1e9, v_th=1.0)
    spikes = Spikes.from_raster(np.zeros((2, 1, 3), np.int8), 1.0)
    current = torch.tensor([[1.0, 0.0, 0.0], [0.5, 0.5, 0.5]], dtype=torch.float64)
    for path in ("auto", "torch"):
        run = PlasticRun(neuron, PAIR, torch.zeros(3, 3, dtype=torch.float64), dt=1.0, inhibition=0.2, path=path)
        run.run(spikes, current=current)
        torch.testing.assert_close(run.state.neurons[0], torch.tensor([0.5, 0.3, 0.3], dtype=torch.float64))
        run.rest()
        assert not run.state.fired.any()
    with pytest.raises(ParameterError, match=r"PlasticRun\.inhibition"):
        PlasticRun(neuron, PAIR, torch.zeros(3, 3), dt=1.0, inhibition=math.inf)
