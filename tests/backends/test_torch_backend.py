"""What a user meets at the engine: edits, continued runs, autograd's rules, memory."""

import gc

import numpy as np
import pytest
import torch

import spikeloom as sl
from spikeloom.backends import TorchOps
from spikeloom.neurons import Emission, Smooth


def network(**options) -> sl.Network:
    net = sl.Network()
    net.x = sl.Encoder(4, coding_method="null")
    net.a = sl.NeuronGroup(5, model="lif", emission=Emission(forward=Smooth(0.3)))
    net.b = sl.NeuronGroup(3, model="lif", emission=Emission(forward=Smooth(0.3)))
    net.c = sl.Connection(net.x, net.a, link_type="full", w_std=1.0)
    net.d = sl.Connection(net.a, net.b, link_type="full", w_std=1.0)
    net.out = sl.Decoder(dec_target=net.b)
    net.set_backend(sl.TorchBackend(**({"dt": 1.0, "dtype": torch.float64} | options)))
    net.set_random_seed(1)
    net.x(np.random.default_rng(0).random((2, 6, 4)))
    return net


def test_a_weight_that_is_assigned_between_run_and_backward_is_an_error():
    net = network()
    net.run(6.0)
    net.d.weight.value = np.zeros((3, 5))
    with pytest.raises(sl.StateError, match=r"changed in place between the run and backward"):
        net.out.predict.sum().backward()


def test_second_derivatives_are_refused():
    net = network()
    net.run(6.0)
    with pytest.raises(sl.UnsupportedError, match="second derivatives"):
        torch.autograd.grad(net.out.predict.sum(), net.d.weight.value, create_graph=True)


def test_the_input_may_be_overwritten_after_the_run():
    grads = []
    for overwritten in (False, True):
        net, x = network(dtype=torch.float32), np.ones((2, 6, 4), np.float32)
        net.x(x)
        net.run(6.0)
        if overwritten:
            x[:] = 0
        net.out.predict.sum().backward()
        grads.append(net.c.weight.value.grad)
    assert grads[0].abs().sum() > 0
    assert torch.equal(*grads)


def test_a_run_that_fails_leaves_the_state_of_the_one_before():
    whole, parted = network(), network()
    for net in (whole, parted):
        net.mon = sl.StateMonitor(net.a, "v")
    x = np.random.default_rng(1).random((2, 6, 4))
    whole.x(x)
    whole.run(6.0)
    parted.x(x[:, :2])
    parted.run(2.0)
    parted.x(np.zeros((2, 9, 4)))
    with pytest.raises(sl.ShapeError):
        parted.run_continue(4.0)
    with pytest.raises(sl.StateError, match="no answer yet"):
        _ = parted.out.predict
    parted.x(x[:, 2:])
    parted.run_continue(4.0)
    np.testing.assert_allclose(parted.mon.values, whole.mon.values, rtol=0, atol=1e-12)


def test_a_run_cannot_be_continued_after_an_edit():
    net = network()
    net.run(6.0)
    net.mon = sl.StateMonitor(net.a, "v")
    with pytest.raises(sl.StateError, match="edited since the last run"):
        net.run_continue(6.0)
    net.run(6.0)
    net.x(net.x._given())
    net.run_continue(6.0)
    assert net.mon.values.shape == (2, 5, 12)


def test_an_edit_of_the_backend_takes_effect_at_the_next_run():
    net = network()
    net.run(6.0)
    assert net.out.predict.dtype == torch.float64
    parameter = net.c.weight.value
    before = parameter.detach().clone()
    net.backend.dtype = torch.float32
    net.run(6.0)
    assert net.out.predict.dtype == torch.float32
    assert net.c.weight.value is parameter
    torch.testing.assert_close(net.c.weight.value.detach(), before.float())
    net.backend.schedule = "step"
    net.run(6.0)
    assert net.plan.blocks[0].stages[0].stepped


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"Dt": 0.1}, "did you mean 'dt'"),
        ({"dtype": torch.int8}, "float32 or"),
        ({"schedule": "steps"}, "'auto' or 'step'"),
    ],
)
def test_a_wrong_setting_of_the_backend_is_an_error(change, message):
    net = network()

    def run() -> None:
        for name, value in change.items():
            setattr(net.backend, name, value)
        net.run(6.0)

    with pytest.raises(sl.ParameterError, match=message):
        run()


def test_nothing_of_a_run_outlives_the_next_one_even_without_the_garbage_collector():
    net, alive = network(), []
    gc.collect()
    gc.disable()
    try:
        for _ in range(4):
            net.run(6.0)
            alive.append(sum(issubclass(type(o), torch.Tensor) for o in gc.get_objects()))
    finally:
        gc.enable()
    assert alive[1] == alive[3], alive


def test_a_network_built_under_inference_mode_can_be_trained():
    net = network()
    with torch.inference_mode():
        net.run(6.0)
    net.x(net.x._given())
    net.run_continue(6.0)
    net.run(6.0)
    net.out.predict.sum().backward()
    assert net.c.weight.value.grad.abs().sum() > 0


def test_gradients_end_where_a_run_ends():
    net = network()
    net.run(6.0)
    net.x(net.x._given())
    net.run_continue(6.0)
    net.out.predict.sum().backward()
    one = net.c.weight.value.grad.clone()
    net.c.weight.value.grad = None
    with torch.no_grad():
        net.run(6.0)
    net.x(net.x._given())
    net.run_continue(6.0)
    net.out.predict.sum().backward()
    torch.testing.assert_close(net.c.weight.value.grad, one, rtol=0, atol=1e-12)


def test_a_time_constant_that_training_took_below_zero_is_an_error():
    net = sl.Network()
    net.x = sl.Encoder(4, coding_method="constant_current")
    net.a = sl.NeuronGroup(3, model="lif", parameter_variables=["tau_m"])
    net.c = sl.Connection(net.x, net.a, link_type="full")
    net.x(np.ones((2, 4)))
    net.run(1.0)
    with torch.no_grad():
        net.module.a.tau_m -= 9.0
    with pytest.raises(
        sl.ParameterError, match=r"a was trained to where .*LIF.tau_m must be a positive time in ms, got -1"
    ):
        net.run(1.0)


@pytest.mark.parametrize("name", ["minimum", "maximum"])
def test_of_two_numbers_either_may_be_a_float(name):
    ours, theirs = getattr(TorchOps(), name), getattr(np, name)
    a = np.array([-1.0, 0.5, 2.0])
    tensor = torch.from_numpy(a)
    for found in (ours(tensor, 0.5), ours(0.5, tensor), ours(tensor, torch.full((3,), 0.5, dtype=torch.float64))):
        assert found.dtype == torch.float64
        np.testing.assert_array_equal(found.numpy(), theirs(a, 0.5))
    assert ours(0.5, -1.0) == theirs(0.5, -1.0)
