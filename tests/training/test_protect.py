"""Weights that keep off what was learned before: conformance 16 of HLOP, and the rule against its equation by hand."""

import copy

import numpy as np
import pytest
import torch

from spikeloom import (
    Connection,
    Dataloader,
    Decoder,
    Encoder,
    Learner,
    LocalLoss,
    Network,
    NeuronGroup,
    TorchBackend,
    network_load,
    network_save,
)
from spikeloom.datasets import ArrayDataset
from spikeloom.errors import DataError, ParameterError, StateError, UnsupportedError
from spikeloom.network.credit import Credit
from spikeloom.plasticity.hebbian import oja_subspace
from spikeloom.training import fit, subspace
from spikeloom.training.subspace import Growth, orthonormal

K, H, N, TIME = 12, 10, 3, 5.0


def network(credit="bptt", bias: bool = True, algorithm: str = "sbp") -> Network:
    net = Network("tasks")
    with net:
        net.source = Encoder(K, coding_method="constant_current")
        net.hidden = NeuronGroup(H, model="lif", tau_m=4.0)
        net.out = NeuronGroup(N, model="li", tau_m=4.0)
        net.a = Connection(net.source, net.hidden, link_type="full", w_mean=0.1, w_std=0.5, bias=bias)
        net.b = Connection(net.hidden, net.out, link_type="full", w_mean=0.0, w_std=0.4, bias=bias)
        net.answer = Decoder(dec_target=net.out, coding_method="voltage_mean")
        net.learner = Learner(trainable=net, algorithm=algorithm, credit=credit)
    net.set_backend(TorchBackend(dt=1.0))
    net.set_random_seed(0)
    net.learner.set_optimizer("SGD", 0.2, momentum=0.9)
    return net


def task(seed: int, rank: int = 4, n: int = 60) -> tuple[Dataloader, np.ndarray]:
    """Samples of three classes in a plane of so many dimensions."""
    drawn = np.random.default_rng(seed)
    plane = drawn.random((rank, K))
    values = drawn.random((n, rank)) @ plane
    return Dataloader(ArrayDataset(values, np.arange(n) % N, name="task"), n), values


def rows(net: Network, name: str) -> np.ndarray:
    return np.asarray(net.learner.get_value(f"rows_{name}"), dtype=np.float64)


def learnt(net: Network, data: Dataloader, before: dict[str, np.ndarray] | None = None) -> dict[str, np.ndarray]:
    """How the weights move in two epochs."""
    start = {name: p.detach().numpy().copy() for name, p in net.named_parameters()}
    loss = LocalLoss([net.hidden]) if net.credit.back == "none" else "cross_entropy"
    fit(net, data, epochs=2, time=TIME, loss=loss, progress=False)
    return {name: p.detach().numpy() - start[name] for name, p in net.named_parameters()}


@pytest.mark.parametrize(
    ("credit", "optimizer", "options"),
    [
        ("bptt", "SGD", {"momentum": 0.9}), ("bptt", "Adam", {"weight_decay": 0.01}), ("sltt", "SGD", {}),
        ("ottt", "SGD", {"momentum": 0.9}), ("feedback_alignment", "SGD", {}), ("sign_symmetric", "Adam", {}),
        ("tess", "SGD", {}), (Credit(carry=False, trace=0.5, back="sign"), "SGD", {}),
    ],
)  # fmt: skip
def test_rows_become_orthonormal_and_what_is_learnt_then_leaves_the_old_task_alone(credit, optimizer, options):
    net, free = network(credit), network(credit)
    (first, x_old), (second, _) = task(0), task(1)
    for each in (net, free):
        each.learner.set_optimizer(optimizer, 0.02, **options)
    net.learner.protect(first, time=TIME, rows={net.a: 5}, epochs=100)
    found = rows(net, "a")
    np.testing.assert_allclose(found @ found.T, np.eye(5), atol=1e-2)
    x_old = np.c_[x_old, np.ones(len(x_old))]  # the bias is the weight of an input of 1
    moved, free_move = (
        np.c_[change["a.weight"], change["a.bias"]] for change in (learnt(net, second), learnt(free, second))
    )
    assert np.linalg.norm(moved @ x_old.T) < 0.1 * np.linalg.norm(free_move @ x_old.T)
    assert np.linalg.norm(moved) > 0.05 * np.linalg.norm(free_move)


def test_one_application_of_the_rule_equals_its_equation():
    net = network()
    net.draw_parameters()
    drawn = np.random.default_rng(3)
    x, h = drawn.random((4, 6, K)), orthonormal(5, np.zeros((0, K + 1)), drawn)
    h[3:] += 0.1 * drawn.random((2, K + 1))
    growth = Growth(net.a, torch.from_numpy(h.copy()), 2)
    growth.learn(torch.from_numpy(x))
    inputs, velocity = np.c_[x.reshape(-1, K), np.ones(24)], np.zeros((3, K + 1))
    eta, expected = 0.5 / (inputs**2).sum(1).mean(), h.copy()
    for _ in range(5):
        y = inputs @ expected.T
        change = np.mean([np.outer(of_x, v - of_x @ expected) for of_x, v in zip(y, inputs, strict=True)], 0)
        velocity = 0.9 * velocity + eta * change[2:]
        expected[2:] += velocity
    np.testing.assert_allclose(growth.rows.numpy(), expected, rtol=1e-10, atol=1e-12)
    np.testing.assert_array_equal(growth.rows.numpy()[:2], h[:2])


def test_the_rule_finds_the_principal_directions():
    net = network(bias=False)
    data, x = task(5, rank=4)
    net.learner.protect(data, time=TIME, rows={net.a: 2}, epochs=200)
    found, spectrum = rows(net, "a"), np.linalg.svd(x)[1]
    left = np.linalg.norm(x - x @ found.T @ found) ** 2
    np.testing.assert_allclose(left, (spectrum[2:] ** 2).sum(), rtol=0.02)


def test_later_rows_learn_what_the_earlier_ones_leave():
    net = network(bias=False)
    (first, _), (second, x) = task(0, rank=3), task(1, rank=3)
    net.learner.protect(first, time=TIME, rows={net.a: 3}, epochs=30)
    old = rows(net, "a")
    net.learner.protect(second, time=TIME, rows={net.a: 3}, epochs=200)
    found = rows(net, "a")
    np.testing.assert_array_equal(found[:3], old)
    np.testing.assert_allclose(found @ found.T, np.eye(6), atol=1e-2)
    assert np.linalg.norm(x - x @ found.T @ found) < 0.02 * np.linalg.norm(x)


def test_the_change_of_a_step_is_the_gradient_with_the_projected_inputs():
    """Plain SGD: dW = -lr sum delta (x - H^T H x), the weights of the loss being those without protection."""
    net = network("sltt")
    net.learner.set_optimizer("SGD", 0.1)
    data, _ = task(0)
    net.learner.protect(data, time=TIME, rows={net.a: 3}, epochs=5)
    h, (values, labels) = rows(net, "a"), next(iter(task(1)[0]))
    net.source(values)
    net.run(TIME)
    torch.nn.functional.cross_entropy(net.answer.predict, torch.as_tensor(labels)).backward()
    before = {name: p.detach().numpy().copy() for name, p in net.named_parameters()}
    grad = np.c_[net.module.a.weight.grad.numpy(), net.module.a.bias.grad.numpy()]
    assert np.abs(grad @ h.T).max() > 1e-4
    net.learner.optim_step()
    after = {name: p.detach().numpy() for name, p in net.named_parameters()}
    moved = np.c_[after["a.weight"] - before["a.weight"], after["a.bias"] - before["a.bias"]]
    np.testing.assert_allclose(moved, -0.1 * (grad - grad @ h.T @ h), atol=1e-6)
    np.testing.assert_allclose(after["b.weight"] - before["b.weight"], -0.1 * net.module.b.weight.grad, atol=1e-6)


def test_a_convolution_keeps_off_the_patches_of_the_old_task():
    drawn, net = np.random.default_rng(0), Network("images")
    with net:
        net.source = Encoder(shape=(2, 6, 6), coding_method="constant_current")
        net.hidden = NeuronGroup(shape=(4, 3, 3), model="lif", tau_m=4.0)
        net.out = NeuronGroup(N, model="li", tau_m=4.0)
        net.a = Connection(net.source, net.hidden, link_type="conv", padding=1, pool="avg", w_std=0.3, bias=True)
        net.b = Connection(net.hidden, net.out, link_type="full", w_mean=0.0, w_std=0.4)
        net.answer = Decoder(dec_target=net.out, coding_method="voltage_mean")
        net.learner = Learner(trainable=net, algorithm="sbp")
    net.set_backend(TorchBackend(dt=1.0))
    net.set_random_seed(0)
    net.learner.set_optimizer("SGD", 0.5)
    base = drawn.random((3, 2, 6, 6))
    old = np.einsum("nk,kchw->nchw", drawn.random((12, 3)), base)
    new = drawn.random((12, 2, 6, 6))
    first, second = (Dataloader(ArrayDataset(v, np.arange(12) % N, name="images"), 12) for v in (old, new))
    net.learner.protect(first, time=TIME, rows={net.a: 10}, epochs=60)
    h = rows(net, "a")
    np.testing.assert_allclose(h @ h.T, np.eye(10), atol=1e-2)
    frames = torch.nn.functional.unfold(torch.from_numpy(old), 3, padding=1)
    patches = np.concatenate([frames.numpy().transpose(0, 2, 1).reshape(-1, 18), np.ones((12 * 36, 1))], 1)
    kept = np.linalg.norm(patches - patches @ h.T @ h) ** 2 / np.linalg.norm(patches) ** 2
    best = np.linalg.svd(patches)[1]
    assert kept < 1.2 * (best[10:] ** 2).sum() / (best**2).sum() + 1e-3
    moved = learnt(net, second)
    change = np.c_[moved["a.weight"].reshape(4, 18), moved["a.bias"]]
    assert np.abs(change).max() > 1e-3
    np.testing.assert_allclose(change @ h.T, 0, atol=1e-2 * np.abs(change).max())


def test_what_is_protected_goes_through_a_file_and_a_longer_training(tmp_path):
    net = network()
    net.learner.protect(task(0)[0], time=TIME, rows=3)
    fit(net, task(1)[0], epochs=1, time=TIME, progress=False, checkpoint=tmp_path / "checkpoint")
    network_save(net, "saved", path=str(tmp_path))
    loaded = network_load("saved", path=str(tmp_path))
    loaded.set_backend(TorchBackend(dt=1.0))
    for name in "ab":
        np.testing.assert_array_equal(rows(loaded, name), rows(net, name))
    net.learner.set_optimizer("SGD", 0.2)
    loaded.learner.set_optimizer("SGD", 0.2)
    mine, its = learnt(net, task(1)[0]), learnt(loaded, task(1)[0])
    for name in mine:
        np.testing.assert_allclose(its[name], mine[name], atol=1e-6)
    assert "protects" not in network().learner.describe()


def test_a_connection_under_another_name_keeps_its_rows_and_one_that_is_gone_has_none():
    net = network()
    net.learner.protect(task(0)[0], time=TIME, rows=3)
    del net.b
    assert [spec.name for spec in net.learner.parameter_specs()] == ["learner.rows_a"]
    net.b = Connection(net.hidden, net.out, link_type="full")
    net.learner.protect(task(1)[0], time=TIME, rows={net.b: 2})
    assert [spec.shape for spec in net.learner.parameter_specs()] == [(3, K + 1), (2, H)]


def test_what_cannot_be_protected_is_refused():
    net, (data, _) = network(), task(0)
    with pytest.raises(ParameterError, match="data must be a Dataloader"):
        net.learner.protect(data.dataset, time=TIME, rows=2)
    for wrong in (0, 1.5, True):
        with pytest.raises(ParameterError, match="rows must be a whole number"):
            net.learner.protect(data, time=TIME, rows=wrong)
    with pytest.raises(ParameterError, match="epochs must be a whole number"):
        net.learner.protect(data, time=TIME, rows=2, epochs=0)
    net.learner.protect(data, time=TIME, rows={net.a: 8})
    with pytest.raises(ParameterError, match="13 inputs, of which 8 are taken"):
        net.learner.protect(data, time=TIME, rows={net.a: 6})
    with pytest.raises(ParameterError, match="trains no connection"):
        net.learner.protect(data, time=TIME, rows={network().a: 2})
    net.c = Connection(net.hidden, net.out, link_type="sparse", density=0.5)
    with pytest.raises(UnsupportedError, match="'c' of type 'sparse' has no subspace"):
        net.learner.protect(data, time=TIME, rows=2)
    for wrong in ({}, {net.hidden: 2}):
        with pytest.raises(ParameterError, match=r"Learner\.protect\.rows"):
            net.learner.protect(data, time=TIME, rows=wrong)
    few = Dataloader(data.dataset, 100, drop_last=True)
    with pytest.raises(DataError, match="gives no batches"):
        net.learner.protect(few, time=TIME, rows={net.a: 2})
    bare, dark = network(bias=False), Dataloader(ArrayDataset(np.zeros((6, K)), np.arange(6) % N, name="dark"), 6)
    with pytest.raises(DataError, match="nothing flowed into connection 'a'"):
        bare.learner.protect(dark, time=TIME, rows={bare.a: 2})
    assert not bare.learner.parameter_specs()


def test_what_a_description_must_say_of_rows():
    net = network()
    net.learner.protect(task(0)[0], time=TIME, rows={net.a: 8})
    wrong = [{"rows_a": {"connection": "a", "rows": n}} for n in (-1, 0, True, 2.0, K + 2, 10**12)]
    wrong += [{name: {"connection": "a", "rows": 2}} for name in ("", "a.b")]
    wrong += [
        {name: {"connection": "a", "rows": 2} for name in ("one", "two")},
        {"x": {"connection": "net", "rows": 2}},
    ]
    for described in wrong:
        with pytest.raises(DataError, match="must name a connection once"):
            Learner.from_description(
                net.learner.describe() | {"protects": described}, {"net": net, "network": net, "a": net.a}
            )


def test_what_other_learners_change_cannot_be_protected():
    data, _ = task(0)
    net = network()
    net.other = Learner(trainable=net.a, algorithm="sbp")
    with pytest.raises(UnsupportedError, match="learner 'other' trains 'a' too"):
        net.learner.protect(data, time=TIME, rows={net.a: 2})
    net.learner.protect(data, time=TIME, rows={net.b: 2})
    net = network()
    net.learner = Learner(trainable=net.a, algorithm="full_online_STDP", batch="mean")
    with pytest.raises(UnsupportedError, match="changes 'a' by its rule"):
        net.learner.protect(data, time=TIME, rows={net.a: 2})


@pytest.mark.parametrize("n", [1, 7])
def test_rows_of_small_batches_are_orthonormal_and_no_change_lies_along_them(n):
    net = network()
    first, _ = task(0)
    net.learner.protect(Dataloader(first.dataset, n), time=TIME, rows={net.a: 4}, epochs=3)
    net.learner.protect(Dataloader(task(2)[0].dataset, n), time=TIME, rows={net.a: 2})
    h = rows(net, "a")
    np.testing.assert_allclose(h @ h.T, np.eye(6), atol=1e-6)
    change = learnt(net, task(1)[0])
    moved = np.c_[change["a.weight"], change["a.bias"]]
    assert np.linalg.norm(moved) > 1e-3
    assert np.linalg.norm(moved @ h.T) < 1e-5 * np.linalg.norm(moved)


def test_a_learner_under_another_name_and_a_copy_keep_their_rows():
    net = network()
    net.learner.protect(task(0)[0], time=TIME, rows=3)
    before, twin, learner = rows(net, "a"), copy.deepcopy(net), net.learner
    twin.learner.protect(task(1)[0], time=TIME, rows=1)
    assert rows(twin, "a").shape == (4, K + 1)
    np.testing.assert_array_equal(rows(twin, "a")[:3], before)
    del net.learner
    net.teacher = learner
    net.draw_parameters()
    np.testing.assert_array_equal(net.teacher.get_value("rows_a"), before)


def test_a_description_without_its_weights_does_not_train_unprotected():
    net = network()
    net.learner.protect(task(0)[0], time=TIME, rows=3)
    other = network()
    described = net.learner.describe()
    other.learner = Learner.from_description(described, {"network": other, "a": other.a, "b": other.b})
    with pytest.raises(StateError, match="keeps 'a' off directions that are not there"):
        learnt(other, task(1)[0])


def test_the_rule_is_that_of_the_subspace_record_on_a_lateral_connection(monkeypatch):
    """One application without momentum equals a step of `oja_subspace` in a network whose lateral units are real."""
    monkeypatch.setattr(subspace, "STEPS", 1)
    drawn = np.random.default_rng(3)
    x, h = drawn.random((6, K)), orthonormal(4, np.zeros((0, K)), drawn)
    growth = Growth(network(bias=False).a, torch.from_numpy(h), 0)
    growth.connection.network.draw_parameters()
    growth.learn(torch.from_numpy(x)[None])
    net = Network("lateral")
    with net:
        net.source = Encoder(K, coding_method="null")
        net.lateral = NeuronGroup(4, model="li", tau_m=1e-3)
        net.h = Connection(net.source, net.lateral, link_type="full", weight=h)
        rule = oja_subspace(lr=0.5 / (x**2).sum(1).mean(), w_min=-np.inf, w_max=np.inf)
        net.learner = Learner(trainable=net.h, algorithm=rule, batch="mean")
    net.set_backend(TorchBackend(dt=1.0, dtype=torch.float64))
    net.source(x[:, None])
    net.run(1.0)
    np.testing.assert_allclose(net.h.weight.value.detach().numpy(), growth.rows.numpy(), rtol=1e-9, atol=1e-12)
    assert np.abs(growth.rows.numpy() - h).max() > 1e-3
