"""The expressive leaky memory neuron against torch's own layers, and in a network."""

import math

import numpy as np
import pytest
import torch
from neuron_runs import run
from torch import nn

import spikeloom as sl
from spikeloom.errors import DataError, ParameterError, ShapeError
from spikeloom.neurons import ELM, NEURONS

N = 5


class Reference(nn.Module):
    """One neuron as the paper has it, from torch's layers: branch currents (T, B, n) in, memory (T, B, n) out."""

    def __init__(self, n, hidden, lam, bounded):
        super().__init__()
        self.mlp = nn.Sequential(nn.Linear(2 * n, hidden), nn.ReLU(), nn.Linear(hidden, n))
        self.lam, self.bounded = lam, bounded
        self.tau = torch.logspace(0, 3, n, dtype=torch.float64)

    def forward(self, x, dt=1.0):
        kappa = torch.exp(-dt / self.tau)
        gain = 1 - torch.exp(-self.lam * dt / self.tau) if self.bounded else self.lam * (1 - kappa)
        m, found = torch.zeros_like(x[0]), []
        for branches in x:
            proposal = 1.7159 * torch.tanh(2 / 3 * self.mlp(torch.cat([branches, kappa * m], dim=-1)))
            m = kappa * m + gain * proposal
            found.append(m)
        return torch.stack(found)


def matrices(reference):
    first, _, last = reference.mlp
    values = (first.weight, first.bias, last.weight, last.bias)
    return {n: v.detach().numpy() for n, v in zip(("w_in", "b_in", "w_out", "b_out"), values, strict=True)}


@pytest.mark.parametrize("bounded", [False, True])
@pytest.mark.parametrize("shape", [(N,), (3, N)])
@pytest.mark.parametrize("dt", [1.0, 0.5])
def test_its_memory_is_that_of_torch_s_own_layers(bounded, shape, dt):
    reference = Reference(N, 4, 3.0, bounded).double()
    x = torch.from_numpy(np.random.default_rng(0).normal(size=(20, 2, *shape)))
    neuron = ELM(lam=3.0, bounded=bounded, n_hidden=4, **matrices(reference)).sized(shape)
    outputs, states = run(neuron, x.numpy(), dt)
    np.testing.assert_allclose(outputs, reference(x, dt).detach(), atol=1e-12)
    np.testing.assert_array_equal(outputs, states.m)


def network(path="auto", seed=3, **keywords):
    net = sl.Network()
    net.x = sl.Encoder(8, coding_method="null")
    net.a = sl.NeuronGroup(N, "elm", **keywords)
    net.c = sl.Connection(net.x, net.a, link_type="full", w_std=0.5, filter=sl.LowPass(tau=5.0))
    net.y = sl.NeuronGroup(2, "li", tau_m=1e-3)
    net.read = sl.Connection(net.a, net.y, link_type="full", w_std=0.5, bias=True)
    net.m, net.out = sl.StateMonitor(net.a, "m"), sl.Decoder(dec_target=net.y, coding_method="v_t")
    net.set_backend(sl.TorchBackend(dt=1.0, dtype=torch.float64, path=path))
    net.set_random_seed(seed)
    return net


RASTER = (np.random.default_rng(1).random((4, 30, 8)) < 0.2).astype(np.float64)


def test_in_a_network_the_connection_is_its_synapses_and_all_of_it_is_trained():
    net = network()
    net.x(RASTER)
    net.run(30.0)
    net.out.predict.square().sum().backward()
    assert "it is coupled, by the MLP inside" in str(net.plan)
    parameters = dict(net.named_parameters())
    assert {n for n in parameters if n.startswith("a.")} == {"a.w_in", "a.b_in", "a.w_out", "a.b_out"}
    assert all(p.grad.any() for n, p in parameters.items() if not n.endswith("bias"))

    reference = Reference(N, 2 * N, 5.0, False).double()
    first, _, last = reference.mlp
    for target, name in ((first.weight, "w_in"), (first.bias, "b_in"), (last.weight, "w_out"), (last.bias, "b_out")):
        target.data = parameters[f"a.{name}"].data
    kept, trace, traces = math.exp(-1 / 5), torch.zeros(4, 8, dtype=torch.float64), []
    for spikes in torch.from_numpy(RASTER).unbind(1):
        trace = kept * trace + spikes
        traces.append(trace)
    memory = reference(torch.stack(traces) @ parameters["c.weight"].data.T)
    np.testing.assert_allclose(net.m.values, memory.permute(1, 2, 0).detach(), atol=1e-12)
    given = parameters["a.w_in"].grad.clone()
    y = memory @ parameters["read.weight"].data.T + parameters["read.bias"].data
    y.square().sum().backward()
    torch.testing.assert_close(given, first.weight.grad, rtol=1e-9, atol=1e-9)


def test_its_numbers_are_drawn_by_the_seed_of_the_network_within_what_torch_s_layers_draw():
    drawn = [dict(network(seed=seed).named_parameters()) for seed in (3, 3, 4)]
    for name, columns in (("a.w_in", 2 * N), ("a.b_in", 2 * N), ("a.w_out", 2 * N), ("a.b_out", 2 * N)):
        first, again, other = (d[name] for d in drawn)
        assert torch.equal(first, again)
        assert not torch.equal(first, other)
        assert first.abs().max() <= columns**-0.5
        assert first.abs().max() > 0.4 * columns**-0.5
    assert drawn[0]["a.w_in"].shape == (2 * N, 2 * N)
    assert dict(network(n_hidden=3).named_parameters())["a.w_out"].shape == (N, 3)


def test_it_learns_to_remember_where_short_time_constants_forget():
    def loss_after(tau_m):
        net = network(**({} if tau_m is None else {"tau_m": tau_m}))
        raster = np.zeros((16, 40, 8))
        raster[np.arange(16), 2, np.arange(16) % 2] = 1.0  # the answer comes 38 steps later
        target = torch.tensor([[1.0, -1.0], [-1.0, 1.0]], dtype=torch.float64).repeat(8, 1)
        optimizer = torch.optim.Adam(net.parameters(), lr=0.02)
        for _ in range(25):
            net.x(raster)
            net.run(40.0)
            loss = (net.out.predict[-1] - target).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        return loss.item()

    assert loss_after(None) < 0.2
    assert loss_after(1.0) > 0.7


def test_its_time_constants_are_spread_from_1_ms_to_1_s():
    np.testing.assert_allclose(sl.NeuronGroup(4, "elm").neuron.tau_m, [1, 10, 100, 1000])
    np.testing.assert_allclose(sl.NeuronGroup(shape=(2, 4), model="elm").neuron.tau_m[1], [1, 10, 100, 1000])
    assert sl.NeuronGroup(4, "elm", tau_m=7.0).neuron.tau_m == 7.0


def test_given_numbers_are_kept_and_may_be_held_fixed():
    given = matrices(Reference(N, 2 * N, 5.0, False).double())
    net = network(**given, parameter_variables=[])
    net.x(RASTER)
    net.run(30.0)
    assert not any(name.startswith("a.") for name, _ in net.named_parameters())
    trained = network(**given)
    trained.x(RASTER)
    trained.run(30.0)
    trained.c.weight.value = net.c.weight.value
    trained.run(30.0)
    np.testing.assert_allclose(trained.m.values, net.m.values, atol=1e-12)


def test_numbers_that_nobody_gives_or_draws_are_an_error():
    with pytest.raises(ParameterError, match=r"NeuronGroup\.w_in is drawn where it is trained; give its values"):
        sl.NeuronGroup(4, "elm", parameter_variables=["tau_m"])


def test_a_network_with_one_comes_back_from_a_file(tmp_path):
    net = network()
    net.x(RASTER)
    net.run(30.0)
    sl.network_save(net, "elm", tmp_path)
    back = sl.network_load("elm", tmp_path)
    back.set_backend(sl.TorchBackend(dt=1.0, dtype=torch.float64))
    back.x(RASTER)
    back.run(30.0)
    np.testing.assert_array_equal(back.out.predict.detach(), net.out.predict.detach())


@pytest.mark.parametrize(
    ("wrong", "error", "message"),
    [
        ({"lam": 0.0}, ParameterError, r"ELM\.lam must be a positive number"),
        ({"bounded": 1}, ParameterError, r"ELM\.bounded must be True or False"),
        ({"n_hidden": 0}, ParameterError, r"ELM\.n_hidden must be a positive whole number or None, got 0"),
        ({"n_hidden": True}, ParameterError, r"ELM\.n_hidden must be"),
        ({"tau_m": 0.0}, ParameterError, r"ELM\.tau_m must be a positive time"),
        ({"w_in": "x"}, ParameterError, r"ELM\.w_in must be"),
        ({"w_in": np.full((2, 4), np.nan)}, ParameterError, r"ELM\.w_in must be finite"),
        ({"w_in": np.zeros((8, 4))}, ShapeError, r"ELM\.w_in must have shape \(8, 8\) for 4 units, got \(8, 4\)"),
        ({"b_out": np.zeros(3)}, ShapeError, r"ELM\.b_out must have shape \(4,\)"),
        ({"tau_m": [1.0, 2.0]}, ShapeError, r"tau_m must be a number or have shape \(4,\)"),
    ],
)
def test_a_wrong_parameter_is_refused_by_name(wrong, error, message):
    with pytest.raises(error, match=message):
        sl.NeuronGroup(4, "elm", **wrong)


def test_a_description_with_matrices_of_a_wrong_size_is_refused():
    from spikeloom.neurons import describe, neuron_from

    values = describe(ELM()) | {"w_in": [[1.0, "a"]]}
    with pytest.raises(DataError, match="ELM"):
        neuron_from(ELM, values)
    assert NEURONS["ELM"] is ELM
    assert sl.NeuronGroup(4, "elm", lambda_value=2.0).neuron.lam == 2.0
