"""The same filters on torch tensors, with gradients, and on SymPy symbols."""

import numpy as np
import pytest
import scipy.signal
import sympy as sp
import torch

from spikeloom.errors import ParameterError, UnsupportedError
from spikeloom.filters import LogSpaced, LowPass, SecondOrderSections, StateSpace, describe, filter_from
from spikeloom.ops import NumpyOps, SympyOps


class TorchOps(NumpyOps):
    exp, abs = staticmethod(torch.exp), staticmethod(torch.abs)

    @staticmethod
    def stop_gradient(x):
        return x.detach()

    @staticmethod
    def stack(arrays, axis=0):
        return torch.stack(arrays, axis)


XP = TorchOps()
SYSTEMS = [
    LowPass(tau=7.0, normalise=True),
    LowPass(tau=[2.0, 5.0, 11.0]),
    LogSpaced(tau_min=1.0, tau_max=100.0, n=4),
    StateSpace(A=-np.eye(2) + np.eye(2, k=1), B=np.ones((2, 3)), C=[[1.0, -1.0]], D=[[0.1, 0.2, 0.3]]),
    SecondOrderSections(sos=scipy.signal.bessel(3, 20.0, fs=1000.0, output="sos")),
]
every_system = pytest.mark.parametrize("system", SYSTEMS, ids=lambda s: type(s).__name__)


@pytest.fixture
def x():
    return torch.randn(12, 2, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(5))


def on_torch(system, requires_grad=False):
    values = {name: torch.tensor(v, dtype=torch.float64) for name, v in system.parameters().items()}
    return system.bound({name: v.requires_grad_(requires_grad) for name, v in values.items()})


@every_system
def test_tensors_give_what_arrays_give(system, x):
    y, state = on_torch(system).scan(x, 0.7, XP)
    expected, last = system.scan(x.numpy(), 0.7, NumpyOps())
    assert y.dtype == torch.float64
    np.testing.assert_allclose(y, expected, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(torch.stack(state), last, rtol=1e-12, atol=1e-12)


@every_system
def test_gradients_of_parameters_input_and_state_equal_finite_differences(system, x):
    system = on_torch(system, requires_grad=True)
    names, values = zip(*system.parameters().items(), strict=True)
    x = x[:4].requires_grad_()
    state = tuple(torch.rand_like(z).requires_grad_() for z in system.initial(x[0].detach()))

    def outputs(x, *rest):
        bound = system.bound(dict(zip(names, rest[: len(names)], strict=True)))
        return bound.scan(x, 0.7, XP, rest[len(names) :])[0]

    assert torch.autograd.gradcheck(outputs, (x, *values, *state))


@pytest.mark.parametrize("dt", [0.1, 1.0, 20.0])
def test_gradient_of_tau_equals_the_closed_form(dt):
    """The response to an impulse is exp(-t / tau); its derivative is t / tau^2 exp(-t / tau)."""
    tau, t = torch.tensor(4.0, dtype=torch.float64, requires_grad=True), np.arange(30) * dt
    impulse = torch.zeros(30, 1, dtype=torch.float64)
    impulse[0] = 1.0
    y, _ = LowPass(tau=tau).scan(impulse, dt, XP)
    weights = np.cos(t)
    (y[:, 0] * torch.from_numpy(weights)).sum().backward()
    np.testing.assert_allclose(tau.grad, (weights * t / 16 * np.exp(-t / 4)).sum(), rtol=1e-12)


def test_gradient_flows_through_a_run_cut_in_two(x):
    def gradient(cut):
        tau = torch.full((3,), 5.0, dtype=torch.float64, requires_grad=True)
        system, state = LowPass(tau=tau), None
        for part in (x[:cut], x[cut:]) if cut else (x,):
            y, state = system.scan(part, 1.0, XP, state)
        return torch.autograd.grad(y[-1].sum(), tau)[0]

    torch.testing.assert_close(gradient(5), gradient(0), rtol=1e-12, atol=0.0)


def test_the_backward_pass_of_a_scan_makes_no_node_of_the_full_length_for_each_step(x):
    """Indexing x[t] would fill a gradient of T steps at each step; one split gives one node for all of them."""
    y, _ = LowPass(tau=5.0).scan(x.requires_grad_(), 1.0, XP)
    names, todo = [], {y.grad_fn}
    seen = set(todo)
    while todo:
        node = todo.pop()
        names.append(node.name())
        new = {n for n, _ in node.next_functions if n is not None} - seen
        seen |= new
        todo |= new
    assert names.count("UnbindBackward0") == 1
    assert not any("Select" in name or "Slice" in name or "Copy" in name for name in names)


def test_a_constructor_takes_tensors_and_checks_them():
    tau = torch.tensor([1.0, 2.0], requires_grad=True)
    assert LowPass(tau=tau).tau is tau
    for wrong in ([1.0, 0.0], [1.0, float("nan")]):
        with pytest.raises(ParameterError, match=r"LowPass\.tau must be"):
            LowPass(tau=torch.tensor(wrong))


def test_filters_that_learn_apart_are_not_equal():
    tau = torch.tensor(2.0)
    assert LowPass(tau=tau) == LowPass(tau=tau)
    assert LowPass(tau=tau) != LowPass(tau=tau.clone())
    assert LowPass(tau=tau) != LowPass(tau=2.0)


def test_a_learnt_filter_is_described_by_its_values():
    tau = torch.tensor([1.5, 2.0], requires_grad=True)
    assert filter_from(describe(LowPass(tau=tau))) == LowPass(tau=[1.5, 2.0])


@pytest.mark.parametrize("system", SYSTEMS[1:4], ids=lambda s: type(s).__name__)
def test_arrays_and_tensors_are_not_mixed(system, x):
    with pytest.raises(UnsupportedError, match=r"is a ndarray and the input a Tensor; convert one of them"):
        system.scan(x, 1.0, XP)
    with pytest.raises(UnsupportedError, match=r"is a Tensor and the input a ndarray; convert one of them"):
        on_torch(system).scan(x.numpy(), 1.0, NumpyOps())


@pytest.mark.parametrize("system", [SYSTEMS[0], SYSTEMS[4]], ids=lambda s: type(s).__name__)
def test_plain_numbers_need_no_binding_and_keep_double_precision(system, x):
    expected = system.scan(x.numpy(), 0.7, NumpyOps())[0]
    np.testing.assert_allclose(system.scan(x, 0.7, XP)[0], expected, rtol=1e-12, atol=1e-12)
    assert system.scan(x.float(), 0.7, XP)[0].dtype == torch.float32


def test_spikes_of_small_integers_become_floats():
    y, _ = LowPass(tau=1.0).scan(torch.tensor([[1], [0]], dtype=torch.int8), 1.0, XP)
    torch.testing.assert_close(y[:, 0], torch.tensor([1.0, np.exp(-1.0)], dtype=torch.float32))


def test_one_step_on_symbols_is_the_equation():
    tau, dt, x, h = sp.symbols("tau dt x h", positive=True)
    system = LowPass(tau=1.0, normalise=True).bound({"tau": tau})
    y, state = system.step((h,), x, system.coefficients(dt, SympyOps()))
    assert sp.simplify(y - (sp.exp(-dt / tau) * h + (1 - sp.exp(-dt / tau)) * x)) == 0
    assert state == (y,)
    assert LowPass(tau=2.0).coefficients(dt, SympyOps()).decay == sp.exp(-dt / 2.0)
