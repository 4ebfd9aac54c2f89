"""Networks of torch: the same weights, and the spikes that the modules themselves would fire."""

import pytest
import torch
from torch import nn

import spikeloom as sl
from spikeloom.errors import ParameterError, ShapeError, UnsupportedError

T, B = 40, 3


class Leaky(nn.Module):
    """snnTorch's equations: v <- beta v + x - reset threshold, with the reset a step late where it is delayed."""

    def __init__(self, beta=0.9, threshold=1.0, mechanism="subtract", delayed=True, **more):
        super().__init__()
        self.beta, self.threshold = torch.as_tensor(beta), torch.as_tensor(threshold)
        self.reset_mechanism, self.reset_delay = mechanism, delayed
        self.__dict__.update(more)

    def run(self, current):
        v, spikes = torch.zeros_like(current[0]), []
        for x in current:
            fired = (v > self.threshold).float()
            if self.reset_mechanism == "zero":
                v = v * (1 - fired)
            v = self.beta * v + x - fired * self.threshold * (self.reset_mechanism == "subtract")
            spikes.append((v > self.threshold).float())
        return torch.stack(spikes)


class Synaptic(Leaky):
    """A current i <- alpha i + x before the membrane."""

    def run(self, current):
        i, filtered = torch.zeros_like(current[0]), []
        for x in current:
            i = self.alpha * i + x
            filtered.append(i)
        return super().run(torch.stack(filtered))


class LIFNode(nn.Module):
    """SpikingJelly's equations: v <- v + (x - (v - v_reset)) / tau, or with x beside it; fires for v >= v_threshold."""

    def __init__(self, tau=2.0, decay_input=True, v_threshold=1.0, v_reset=0.0):
        super().__init__()
        self.tau, self.decay_input, self.v_threshold, self.v_reset = tau, decay_input, v_threshold, v_reset

    def run(self, current):
        rest = self.v_reset or 0.0
        v, spikes = torch.full_like(current[0], rest), []
        for x in current:
            v = v + (x - (v - rest)) / self.tau if self.decay_input else v - (v - rest) / self.tau + x
            z = (v >= self.v_threshold).float()
            v = v - z * self.v_threshold if self.v_reset is None else torch.where(z > 0, rest, v)
            spikes.append(z)
        return torch.stack(spikes)


class IFNode(LIFNode):
    def run(self, current):
        v, spikes = torch.zeros_like(current[0]), []
        for x in current:
            v = v + x
            z = (v >= self.v_threshold).float()
            v = v - z * self.v_threshold if self.v_reset is None else v * (1 - z)
            spikes.append(z)
        return torch.stack(spikes)


def reference(module, inputs):
    """The spikes of the modules themselves, a whole window (T, B, ...) through each."""
    for part in module.modules():
        if hasattr(part, "run"):
            inputs = part.run(inputs)
        elif not isinstance(part, nn.Sequential):
            inputs = part(inputs.flatten(0, 1)).unflatten(0, inputs.shape[:2])
    return inputs


def inputs(*shape):
    return (torch.rand(T, B, *shape, generator=torch.Generator().manual_seed(0)) < 0.4).float()


def answer(net, given):
    net.input(given.transpose(0, 1))
    net.run(len(given) * net.backend.dt)
    return net.output.predict.detach()


def stronger(module, factor=3.0):
    with torch.no_grad():
        for part in module.modules():
            if isinstance(part, nn.Linear | nn.Conv2d):
                part.weight *= factor
    return module


NEURONS = {
    "leaky, subtract": lambda: Leaky(),
    "leaky, zero": lambda: Leaky(beta=0.8, threshold=0.7, mechanism="zero"),
    "leaky, none": lambda: Leaky(beta=0.5, mechanism="none"),
    "leaky, one beta a neuron": lambda: Leaky(beta=torch.linspace(0.5, 0.9, 5), mechanism="zero"),
    "synaptic": lambda: Synaptic(alpha=torch.tensor(0.6)),
    "jelly": lambda: LIFNode(v_threshold=0.4),
    "jelly, soft": lambda: LIFNode(tau=3.0, decay_input=False, v_reset=None),
    "jelly, other rest": lambda: LIFNode(tau=4.0, decay_input=False, v_reset=-0.3),
    "jelly, without leak": lambda: IFNode(v_reset=None),
}


@pytest.mark.parametrize("dt", [0.1, 1.0])
@pytest.mark.parametrize("kind", NEURONS)
def test_neurons_of_other_frameworks_fire_the_same_spikes(kind, dt):
    torch.manual_seed(2)
    module = stronger(nn.Sequential(nn.Linear(6, 5), NEURONS[kind](), nn.Sequential(nn.Linear(5, 5), NEURONS[kind]())))
    given = inputs(6)
    expected = reference(module, given).sum(0)
    net = sl.Network.from_torch(module, 6, dt=dt, coding_method="null")
    assert expected.sum() > 15
    assert torch.equal(answer(net, given), expected)
    assert net.backend.dt == dt


def test_convolutions_pooling_and_dropout_give_the_values_of_the_modules():
    torch.manual_seed(3)
    module = nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1, stride=(1, 2), groups=2), nn.MaxPool2d(2), nn.Identity(), nn.Dropout(0.5),
        nn.Conv2d(4, 3, (3, 1), bias=False, dilation=(1, 1)), nn.AvgPool2d(2, stride=1, padding=1), nn.Flatten(),
        nn.Linear(27, 5),
    ).eval()  # fmt: skip
    given = torch.randn(4, B, 2, 8, 8)
    net = sl.Network.from_torch(module, (2, 8, 8), coding_method="null")
    expected = module(given.flatten(0, 1)).unflatten(0, (4, B))
    assert net.output.coding_method == "v_t"
    assert torch.allclose(answer(net, given), expected, atol=1e-5)


def test_a_relu_becomes_a_rate_within_one_spike_of_it():
    torch.manual_seed(4)
    module = nn.Sequential(nn.Linear(6, 50), nn.ReLU())
    with torch.no_grad():
        module[0].weight /= 2
    given = torch.rand(B, 6)
    net = sl.Network.from_torch(module, 6, dt=1.0)
    for steps in (10, 100):
        net.input(given)
        net.run(steps)
        rate = net.output.predict.detach() / steps
        assert (rate - module(given).clamp(0, 1)).abs().max() <= 1 / steps + 1e-6
    assert rate.max() > 0.3


def test_a_deeper_network_of_relus_answers_as_its_spikes_add_up():
    torch.manual_seed(5)
    module = nn.Sequential(nn.Linear(6, 20), nn.ReLU(), nn.Linear(20, 20), nn.ReLU(), nn.Linear(20, 3))
    with torch.no_grad():
        module[0].weight /= 2
    assert module[:4](torch.rand(B, 6)).max() < 1
    given = torch.rand(B, 6)
    net = sl.Network.from_torch(module, 6, dt=1.0)
    errors = []
    for steps in (200, 2000):
        net.input(given)
        net.run(steps)
        errors.append(float((net.output.predict.mean(0) - module(given)).detach().abs().max()))
    assert errors[1] < 0.03
    assert errors[1] < errors[0] / 4


def test_the_weights_are_copied_and_can_be_trained():
    module = nn.Sequential(nn.Linear(6, 4), Leaky())
    before = module[0].weight.detach().clone()
    net = sl.Network.from_torch(module, (6,))
    net.learner = sl.Learner(trainable=net, algorithm="STCA")
    net.learner.set_optimizer("SGD", 0.1)
    (connection,) = net.connections
    net.input(torch.ones(B, 6))
    net.run(2.0)
    (net.output.predict - 3).square().sum().backward()
    net.learner.optim_step()
    assert not torch.equal(connection.weight.value, before)
    assert torch.equal(module[0].weight, before)


def named(part):
    return nn.Sequential(nn.Linear(6, 4), nn.Sequential(nn.Flatten(), part))


@pytest.mark.parametrize(
    ("part", "message"),
    [
        (nn.BatchNorm1d(4), r"module '1.1' \(BatchNorm1d\): it has no counterpart; known are: Linear"),
        (nn.LSTM(4, 4), r"module '1.1' \(LSTM\)"),
        (nn.Conv2d(1, 1, 3, padding="same"), "padding must be given in numbers"),
        (nn.Conv2d(1, 1, 3, padding_mode="circular"), "be of zeros"),
        (nn.MaxPool2d(2, ceil_mode=True), "ceil_mode must be False, got True"),
        (nn.AvgPool2d(2, count_include_pad=False), "count_include_pad must be True"),
        (nn.MaxPool2d(2, dilation=2), "dilation must be 1, got 2"),
        (Leaky(beta=1.0), "beta must lie between 0 and 1, got 1.0"),
        (Leaky(inhibition=True), "inhibition has no counterpart"),
        (Leaky(beta=torch.tensor([0.1, 0.2, 0.3, 0.4])), "give reset_delay=False"),
        (Synaptic(alpha=torch.tensor(0.5), mechanism="zero"), "give reset_delay=False"),
        (LIFNode(tau=1.0), "1 - 1 / tau must lie between 0 and 1"),
        (IFNode(v_reset=-1.0), "v_reset must be 0 or None"),
    ],
)
def test_an_unknown_module_is_an_error_with_its_place(part, message):
    with pytest.raises(UnsupportedError, match=message):
        sl.Network.from_torch(named(part), 6)


def test_what_is_no_sequential_or_runs_in_no_time_is_an_error():
    with pytest.raises(ParameterError, match=r"takes an nn\.Sequential, got Linear"):
        sl.Network.from_torch(nn.Linear(2, 2), 2)
    with pytest.raises(ParameterError, match="dt"):
        sl.Network.from_torch(nn.Sequential(nn.Linear(6, 4), Leaky()), 6, dt=0.0)


@pytest.mark.parametrize("module", [nn.Sequential(), nn.Sequential(nn.Flatten(), nn.Dropout())])
def test_a_sequential_without_weights_and_neurons_is_an_error_that_speaks_of_its_modules(module):
    with pytest.raises(ParameterError, match=r"the nn\.Sequential has no module with weights or neurons"):
        sl.Network.from_torch(module, 4)


@pytest.mark.parametrize(
    ("parts", "shape", "message"),
    [
        ([nn.Linear(6, 4), Leaky()], 7, r"module '0' \(Linear\) does not fit the data, shape=\(7,\)"),
        (
            [nn.Conv2d(1, 2, 3)],
            16,
            r"module '0' \(Conv2d\) does not fit the data, shape=\(16,\): .*\(1, height, width\)",
        ),
        ([nn.Conv2d(1, 2, 7)], (1, 5, 5), r"module '0' \(Conv2d\) does not fit .*: shape \(2, -1, -1\) must be of 1"),
        (
            [nn.Linear(6, 3), nn.ReLU(), nn.Linear(4, 2)],
            6,
            r"'2' \(Linear\) does not fit the result of '1', of shape \(3,\)",
        ),
        ([nn.Linear(6, 3), Leaky(beta=torch.full((4,), 0.5).cumsum(0) / 4, delayed=False)], 6, None),
    ],
)
def test_a_module_that_does_not_fit_what_flows_into_it_is_named_with_both(parts, shape, message):
    message = message or r"module '1' \(Leaky\) has parameters for 4 neurons, which do not fit the result of '0'"
    with pytest.raises(ShapeError, match=message):
        sl.Network.from_torch(nn.Sequential(*parts), shape)


def test_modules_of_snntorch_fire_the_same_spikes():
    snntorch = pytest.importorskip("snntorch", reason="the package snntorch is not installed")
    torch.manual_seed(6)
    options = {"init_hidden": True}
    module = stronger(
        nn.Sequential(
            nn.Conv2d(2, 3, 3), snntorch.Leaky(beta=0.9, **options), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(27, 6),
            snntorch.Synaptic(alpha=0.6, beta=0.8, **options), nn.Linear(6, 4),
            snntorch.Leaky(beta=0.7, reset_mechanism="zero", **options),
        )
    )  # fmt: skip
    given = inputs(2, 8, 8)
    with torch.no_grad():
        expected = torch.stack([module(x) for x in given]).sum(0)
    net = sl.Network.from_torch(module, (2, 8, 8), coding_method="null")
    assert expected.sum() > 10
    assert torch.equal(answer(net, given), expected)


def test_modules_of_spikingjelly_fire_the_same_spikes():
    jelly = pytest.importorskip("spikingjelly.activation_based.neuron", reason="spikingjelly is not installed")
    torch.manual_seed(7)
    module = stronger(
        nn.Sequential(
            nn.Linear(6, 8), jelly.LIFNode(tau=2.5), nn.Linear(8, 8), jelly.IFNode(v_reset=None), nn.Linear(8, 4),
            jelly.ParametricLIFNode(init_tau=3.0, decay_input=False),
        )
    )  # fmt: skip
    given = inputs(6)
    with torch.no_grad():
        expected = torch.stack([module(x) for x in given]).sum(0)
    assert expected.sum() > 10
    assert torch.equal(answer(sl.Network.from_torch(module, 6, coding_method="null"), given), expected)


def test_a_module_that_comes_again_is_there_again():
    again = nn.ReLU()
    net = sl.Network.from_torch(nn.Sequential(nn.Linear(4, 4), again, nn.Linear(4, 4), again, nn.Linear(4, 2)), (4,))
    assert [group.path for group in net.groups] == ["if1", "if3", "null4_out"]
    shared = nn.Linear(4, 4)
    with pytest.raises(UnsupportedError, match="module '2' is '0' once more; weights cannot be shared"):
        sl.Network.from_torch(nn.Sequential(shared, nn.ReLU(), shared, nn.ReLU()), (4,))


@pytest.mark.parametrize("axes", [(0, -1), (2, -1), (1, 2)])
def test_flatten_takes_all_but_the_batch(axes):
    with pytest.raises(UnsupportedError, match=rf"module '0' \(Flatten\): it flattens axes {axes[0]} to {axes[1]}"):
        sl.Network.from_torch(nn.Sequential(nn.Flatten(*axes), nn.ReLU()), (2, 3, 4))
