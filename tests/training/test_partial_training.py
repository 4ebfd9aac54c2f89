"""Training of parts: what is not trainable stays bit for bit and gets no gradient, a pathway lets pass only its own."""

import numpy as np
import pytest
import torch
from small_networks import changed, learning, two_layers, two_patterns, values_of

from spikeloom.backends import TorchBackend
from spikeloom.errors import DataError, ParameterError, UnsupportedError
from spikeloom.network import (
    Assembly,
    Connection,
    Decoder,
    Encoder,
    Network,
    NeuronGroup,
    Tap,
    describe,
    network_from,
)
from spikeloom.neurons import SURROGATES, Gate, QuadraticGate, Rectangle, ReLU, Sigmoid, Triangle
from spikeloom.training import Learner, fit

PATHS = ["auto", "torch"]


def branched(path="auto", model="clif"):
    """encoder -> first -> left and right -> out: two ways from the trained connection to the answer."""
    net = Network()
    net.set_backend(TorchBackend(dt=1.0, dtype=torch.float64, path=path))
    net.set_random_seed(2)
    net.input = Encoder(num=4, coding_method="constant_current")
    net.ways = Assembly()
    for name, size in (("first", 6), ("left", 5), ("right", 4)):
        net.ways.add(name, NeuronGroup(size, model))
    net.out = NeuronGroup(3, "li")
    net.a = Connection(net.input, net.ways.first, link_type="full", w_mean=0.4, w_std=0.3)
    net.b = Connection(net.ways.first, net.ways.left, link_type="full", w_mean=0.4, w_std=0.3)
    net.c = Connection(net.ways.first, net.ways.right, link_type="full", w_mean=0.4, w_std=0.3)
    net.d = Connection(net.ways.left, net.out, link_type="full", w_mean=0.4, w_std=0.3)
    net.e = Connection(net.ways.right, net.out, link_type="full", w_mean=0.4, w_std=0.3)
    net.decoder = Decoder(dec_target=net.out, coding_method="voltage_mean")
    net.input(np.random.default_rng(1).random((3, 4)))
    return net


def gradients(net):
    """The gradients of a run by the names of the parameters; None where none was made."""
    net.run(20.0)
    (net.decoder.predict**2).sum().backward()
    return {name: p.grad for name, p in net.module.named_parameters()}


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("name", ["a", "b", "e", "ways", "out"])
def test_only_what_is_trainable_changes_and_nothing_else_gets_a_gradient(name, path):
    net = branched(path)
    part = getattr(net, name)
    if name == "out":
        part = [net.e, net.ways.left]
    net.learner = Learner(trainable=part)
    net.learner.set_optimizer("Adam", 0.05)
    own = {"ways": {"ways.first", "ways.left", "ways.right"}, "out": {"e", "ways.left"}}.get(name, {name})
    before = values_of(net)
    for _ in range(3):
        net.learner.optim_zero_grad()
        found = gradients(net)
        net.learner.optim_step()
    trained = {n for n, _ in net.named_parameters()}
    assert {n.rpartition(".")[0] for n in trained} == own
    assert changed(before, values_of(net)) == trained
    assert {n for n, grad in found.items() if grad is not None} == trained


def test_a_layer_below_what_is_trained_needs_no_gradient_of_its_own():
    net = branched("torch")
    net.learner = Learner(trainable=net.e)
    below, own = Tap(net.ways.first), Tap(net.out, "v")
    net.run(5.0)
    assert not below.value.requires_grad
    assert own.value.requires_grad


@pytest.mark.parametrize("path", PATHS)
def test_a_gradient_through_what_is_not_trained_is_the_whole_one(path):
    whole, part = branched(path), branched(path)
    whole.learner, part.learner = Learner(whole), Learner(part.a)
    torch.testing.assert_close(gradients(part)["a.weight"], gradients(whole)["a.weight"], rtol=1e-12, atol=0)


@pytest.mark.parametrize("path", PATHS)
def test_a_pathway_lets_gradients_pass_its_own_populations_only(path):
    """The way back is linear in what comes back: the gradients by the two ways add up to that by both."""
    found = {}
    for names in (["left"], ["right"], ["left", "right"]):
        net = branched(path)
        net.learner = Learner(net.a, pathway=[net.ways.first, *(getattr(net.ways, name) for name in names)])
        found["+".join(names)] = gradients(net)["a.weight"]
    torch.testing.assert_close(found["left"] + found["right"], found["left+right"], rtol=1e-10, atol=1e-14)
    assert found["left"].abs().sum() > 0 < found["right"].abs().sum()
    whole = branched(path)
    whole.learner = Learner(whole.a)
    torch.testing.assert_close(found["left+right"], gradients(whole)["a.weight"], rtol=1e-12, atol=0)


@pytest.mark.parametrize("pathway", ["left", "first"])
def test_a_pathway_that_no_gradient_comes_along_is_refused(pathway):
    net = branched()
    net.learner = Learner(net.a, pathway=getattr(net.ways, pathway))
    net.learner.set_optimizer("Adam", 0.01)
    with pytest.raises(
        ParameterError, match=r"no gradient reaches 'a', since pathway= leaves out populations .*'ways.f"
    ):
        net.learner.optim_zero_grad()


def test_a_pathway_survives_a_description():
    net = branched()
    net.learner = Learner(net.a, pathway=[net.ways.first, net.ways.left], algorithm="sbp", surrogate_func="QGateGrad")
    described = describe(net)
    assert described["components"]["learner"]["pathway"] == ["ways.first", "ways.left"]
    again = network_from(described)
    assert again.learner.pathway == [again.ways.first, again.ways.left]
    assert describe(again) == described
    described["components"]["learner"]["pathway"] = "ways"
    with pytest.raises(DataError, match="pathway must be a list of paths"):
        network_from(described)


def test_a_pathway_of_something_else_is_refused():
    with pytest.raises(ParameterError, match=r"Learner\.pathway must be a network, a component or a list of them"):
        Learner(branched().a, pathway=["left"])


@pytest.mark.parametrize(
    ("named", "expected"),
    [
        ("GateGrad", Gate()),
        ("QGateGrad", QuadraticGate()),
        ("ReLUGrad", ReLU()),
        (Triangle, Triangle()),
        (Sigmoid(3.0), Sigmoid(3.0)),
    ],
)
def test_sbp_takes_the_surrogates_of_spaic_by_name_class_or_object(named, expected):
    net = learning(two_layers())
    net.learner = Learner(net, algorithm="sbp", surrogate_func=named)
    assert net.emission_of(net.hidden).surrogate == expected
    assert network_from(describe(net)).learner.surrogate == expected


@pytest.mark.parametrize("surrogate", list(SURROGATES))
def test_gradients_with_every_surrogate_are_the_same_on_both_paths(surrogate):
    found = []
    for path in PATHS:
        net = branched(path, model="lif")
        net.learner = Learner(net, algorithm="sbp", surrogate=surrogate)
        found.append(gradients(net))
        assert ("kernel path" in str(net.plan)) is (path == "auto")
    assert any(grad.abs().sum() > 0 for grad in found[0].values())
    for name, grad in found[0].items():
        torch.testing.assert_close(grad, found[1][name], rtol=1e-9, atol=1e-12)


def test_a_gate_of_spaic_trains_as_the_rectangle_it_is():
    grads = []
    for surrogate in (Gate(4.0), Rectangle(0.25)):
        net = branched()
        net.learner = Learner(net, algorithm="sbp", surrogate=surrogate)
        grads.append(gradients(net)["a.weight"])
    assert torch.equal(*grads)


def test_sparse_adam_is_refused_where_gradients_are_dense():
    net = learning(two_layers(), optimizer="SparseAdam")
    with pytest.raises(UnsupportedError, match="SparseAdam takes sparse gradients, a run gives dense ones; choose 'Ad"):
        fit(net, two_patterns(), epochs=1, time=5.0, progress=False)


def test_lbfgs_with_a_closure_lowers_the_loss():
    net = learning(two_layers(), optimizer="LBFGS", lr=0.5)
    net.input(np.random.default_rng(0).random((6, 4)))
    losses = []

    def closure():
        net.learner.optim_zero_grad()
        net.run(15.0)
        loss = ((net.decoder.predict - 4.0) ** 2).mean()
        loss.backward()
        losses.append(float(loss.detach()))
        return loss

    for _ in range(3):
        net.learner.optim_step(closure)
    assert min(losses[1:]) < losses[0]


def test_a_plateau_halves_the_learning_rate():
    net = learning(two_layers(), optimizer="SGD", lr=0.8)
    net.learner.set_schedule("reduce_lr_on_plateau", factor=0.5, patience=0)
    for loss in (1.0, 1.0, 1.0):
        net.learner.optim_schedule(loss)
    assert net.learner.optim.param_groups[0]["lr"] == 0.2


@pytest.mark.parametrize("decoding", ["final_step_voltage", "voltage_sum", "voltage_mean", "voltage_max"])
def test_fit_trains_a_leaky_read_out(decoding):
    net = branched()
    net.decoder = Decoder(dec_target=net.out, coding_method=decoding)
    net.learner = Learner(net)
    net.learner.set_optimizer("Adam", 0.02)
    history = fit(net, two_patterns(samples=16), epochs=12, time=15.0, progress=False)
    assert history[-1].train.loss < history[0].train.loss
    assert history[-1].train.accuracy == 1.0
