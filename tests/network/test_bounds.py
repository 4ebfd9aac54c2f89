"""Weights keep their sign and their bounds from the start and through every step of any optimizer."""

import numpy as np
import pytest
import torch

import spikeloom as sl
from spikeloom.datasets import ArrayDataset, Dataloader
from spikeloom.errors import DataError, ParameterError, ShapeError, UnsupportedError
from spikeloom.network import Constant, Normal, describe, network_from

PRE, POST, T = 8, 5, 10
DALE = np.array([1, 1, -1, 1, -1, 1, 1, -1])


def network(link="full", model="li", pre=(PRE,), post=(POST,), **options):
    net = sl.Network()
    net.input = sl.Encoder(shape=pre, coding_method="null")
    net.a = sl.NeuronGroup(shape=post, model=model)
    net.c = sl.Connection(net.input, net.a, link_type=link, **options)
    net.output = sl.Decoder(dec_target=net.a, coding_method="v_t")
    net.set_random_seed(1)
    net.set_backend_dt(1.0)
    return net


def pull(net, target=3.0, seed=0):
    """The gradient of weights towards a target potential; both signs of it occur among them."""
    x = (np.random.default_rng(seed).random((4, T, *net.input.shape)) < 0.5).astype(float)
    net.input(x)
    net.run(float(T))
    towards = target * torch.from_numpy(np.random.default_rng(6).choice([-1.0, 1.0], net.a.num)).float()
    return ((net.output.predict - towards) ** 2).mean()


def signs(net):
    """The sign that each entry of the weight must have."""
    if "c.indices" in net.store:
        return torch.as_tensor(DALE)[net.store["c.indices"][1]]
    shape = net.c.weight.value.shape
    return torch.as_tensor(DALE).expand(shape) if len(shape) == 2 else torch.as_tensor(DALE)


LINKS = {
    "full": {},
    "one_to_one": {"post": (PRE,)},
    "sparse": {"density": 0.6},
    "random": {"in_degree": 5},
    "random with multapses": {"link": "random", "in_degree": 20, "multapses": True},
}


@pytest.mark.parametrize("name", LINKS)
@pytest.mark.parametrize("optimizer", ["SGD", "Adam"])
def test_every_neuron_keeps_its_sign_through_every_step(name, optimizer):
    options = {"link": name} | LINKS[name]
    net = network(sign=DALE, weight=Normal(0.0, 0.3), **options)
    net.learner = sl.Learner(net, "STBP")
    net.learner.set_optimizer(optimizer, 0.2)
    net.build()
    assert torch.all(net.c.weight.value * signs(net) > 0)
    zero_once = torch.zeros(net.c.weight.value.shape, dtype=torch.bool)
    for seed in range(6):
        net.learner.optim_zero_grad()
        pull(net, seed=seed).backward()
        net.learner.optim_step()
        assert torch.all(net.c.weight.value * signs(net) >= 0)
        zero_once |= net.c.weight.value == 0
    assert zero_once.any()  # some would have crossed


@pytest.mark.parametrize("sign", [1, -1])
def test_one_sign_holds_for_convolutions_too(sign):
    for link in ("conv", "conv_transpose"):
        post = (3, 4, 4) if link == "conv" else (3, 8, 8)
        net = network(link, pre=(2, 6, 6), post=post, sign=sign, w_std=0.2)
        net.learner = sl.Learner(net, "STBP")
        net.learner.set_optimizer("SGD", 0.5)
        pull(net, -3.0 * sign).backward()
        net.learner.optim_step()
        weight = net.c.weight.value * sign
        assert torch.all(weight >= 0)
        assert (weight == 0).any()


def test_bounds_hold_through_every_step_and_a_bias_is_free():
    net = network(w_min=-0.1, w_max=0.25, bias=True, w_mean=0.1, w_std=0.3)
    net.learner = sl.Learner(net, "STBP")
    net.learner.set_optimizer("SGD", 1.0)
    net.build()
    start = net.c.weight.value.detach().clone()
    assert start.min() == pytest.approx(-0.1)
    assert start.max() == pytest.approx(0.25)
    for seed in range(4):
        net.learner.optim_zero_grad()
        pull(net, seed=seed).backward()
        net.learner.optim_step()
        assert net.c.weight.value.min() >= -0.1
        assert net.c.weight.value.max() <= 0.25
    assert not torch.equal(net.c.weight.value, start)
    assert net.c.bias.value.abs().max() > 0.25


def test_a_step_between_the_bounds_is_that_of_torch():
    net = network(w_min=-10.0, w_max=10.0)
    net.learner = sl.Learner(net, "STBP")
    net.learner.set_optimizer("SGD", 0.01)
    pull(net).backward()
    weight, grad = net.c.weight.value.detach().clone(), net.c.weight.value.grad.clone()
    net.learner.optim_step()
    torch.testing.assert_close(net.c.weight.value.detach(), weight - 0.01 * grad, rtol=0, atol=1e-7)


def test_a_closure_of_lbfgs_is_followed_by_the_bounds_too():
    net = network(w_min=0.0, w_max=0.2, w_mean=0.1)
    net.learner = sl.Learner(net, "STBP")
    net.learner.set_optimizer("LBFGS", 1.0)

    def closure():
        net.learner.optim_zero_grad()
        loss = pull(net)
        loss.backward()
        return loss

    net.learner.optim_step(closure)
    assert net.c.weight.value.min() >= 0.0
    assert net.c.weight.value.max() <= 0.2


def test_an_optimizer_of_ones_own_is_followed_by_constrain():
    net = network(sign=1)
    net.build()
    optimizer = torch.optim.SGD(net.parameters(), 1.0)
    pull(net).backward()
    optimizer.step()
    assert (net.c.weight.value < 0).any()
    net.constrain()
    assert (net.c.weight.value >= 0).all()
    pull(net).backward()


def test_fit_keeps_them():
    net = network(model="lif", sign=DALE, w_max=0.5)
    del net.output
    net.output = sl.Decoder(dec_target=net.a, coding_method="spike_counts")
    net.learner = sl.Learner(net, "STCA", alpha=1.0)
    net.learner.set_optimizer("Adam", 0.3)
    x = (np.random.default_rng(0).random((40, T, PRE)) < 0.5).astype(np.float32)
    data = Dataloader(ArrayDataset(x, np.arange(40) % POST), 8)
    net.build()
    before = net.c.weight.value.detach().clone()
    sl.fit(net, data, epochs=2, time=float(T), progress=False)
    weight = net.c.weight.value.detach()
    assert not torch.equal(weight, before)
    assert torch.all(weight * signs(net) >= 0)
    assert weight.max() <= 0.5
    assert (weight == 0).any()


def test_drawn_weights_get_the_size_that_was_drawn_and_the_sign_that_is_wanted():
    free, signed = network(w_std=0.4, w_mean=0.0), network(w_std=0.4, w_mean=0.0, sign=DALE)
    free.build()
    signed.build()
    expected = free.c.weight.value.detach().abs() * torch.as_tensor(DALE)
    assert torch.equal(signed.c.weight.value.detach(), expected)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sign": 1, "weight": -np.ones((POST, PRE))}, r"weight\[0, 0\] is -1, which its sign="),
        ({"sign": DALE, "weight": np.ones((POST, PRE))}, r"weight\[0, 2\] is 1, which its sign="),
        ({"w_max": 0.5, "weight": np.eye(POST, PRE)}, r"weight\[0, 0\] is 1, which its sign=, w_min= and w_max="),
        ({"link": "sparse", "sign": -1, "weight": np.eye(POST, PRE)}, r"weight\[0\] is 1"),
        ({"sign": 0}, r"sign must be 1 \(excitatory\) or -1 \(inhibitory\), got 0"),
        ({"sign": "excitatory"}, "sign must be 1, -1 or an array"),
        ({"w_min": 1.0, "w_max": 0.0}, "no weight is allowed by sign=None, w_min=1.0 and w_max=0.0"),
        ({"sign": 1, "w_max": -1.0}, "no weight is allowed by sign=1"),
        ({"w_min": "0"}, "w_min must be a finite number"),
        ({"w_max": np.inf}, "w_max must be a finite number"),
        ({"is_parameter": 1}, "is_parameter must be True or False"),
    ],
)
def test_what_does_not_fit_is_refused_at_the_start(options, message):
    with pytest.raises(ParameterError, match=message):
        network(**options)


def test_signs_that_do_not_fit_the_link_are_refused():
    with pytest.raises(ShapeError, match=r"one sign for each of 8 pre neurons, got \(3,\)"):
        network(sign=[1, -1, 1])
    with pytest.raises(UnsupportedError, match="link type 'conv' shares its weights between neurons; give one sign"):
        network("conv", pre=(2, 6, 6), post=(3, 4, 4), sign=np.ones(72))
    with pytest.raises(UnsupportedError, match="link type 'pool' has no weight"):
        network("pool", pre=(2, 6, 6), post=(2, 3, 3), sign=1)


def test_given_weights_at_drawn_synapses_are_checked_when_these_are_drawn():
    net = network("sparse", density=0.5, weight=np.ones(20), sign=DALE)
    with pytest.raises(ParameterError, match="is 1, which its sign="):
        net.build()
    network("sparse", density=0.5, weight=np.ones(20), sign=1).build()


def test_an_assignment_outside_of_the_bounds_is_refused_and_changes_nothing():
    net = network(sign=1, w_max=1.0, weight=Constant(0.5))
    net.build()
    for wrong in (-np.ones((POST, PRE)), 2 * np.ones((POST, PRE))):
        with pytest.raises(ParameterError, match=r"c\.weight\[0, 0\] is"):
            net.c.weight.value = wrong
        with pytest.raises(ParameterError, match=r"weight.*\[0, 0\] is"):
            net.state_from_dict({"c.weight": wrong})
    assert torch.all(net.c.weight.value == 0.5)
    net.c.weight.value = np.ones((POST, PRE))
    assert torch.all(net.c.weight.value == 1.0)


def test_signs_and_bounds_are_saved_and_loaded():
    net = network("random", in_degree=4, sign=DALE, w_max=0.1, is_parameter=False)
    described = describe(net)
    again = network_from(described)
    assert describe(again) == described
    again.build()
    assert torch.all(again.c.weight.value * signs(again) >= 0)
    assert again.c.weight.value.max() <= 0.1
    assert not list(again.parameters())
    for name, wrong in (("sign", [1, 2]), ("w_min", "x"), ("w_min", 5.0), ("is_parameter", 3)):
        spoilt = describe(net)
        spoilt["components"]["c"][name] = wrong
        with pytest.raises(DataError, match=r"components\.c"):
            network_from(spoilt)


def test_weights_that_are_no_parameter_stay_as_they_are():
    net = network(is_parameter=False, bias=True)
    net.b = sl.NeuronGroup(POST, model="li")
    net.d = sl.Connection(net.a, net.b, link_type="full")
    del net.output
    net.output = sl.Decoder(dec_target=net.b, coding_method="v_t")
    net.learner = sl.Learner(net, "STBP")
    net.learner.set_optimizer("SGD", 0.5)
    net.build()
    before = {name: net.store[name].clone() for name in ("c.weight", "c.bias", "d.weight")}
    assert [name for name, _ in net.named_parameters()] == ["d.weight"]
    x = np.ones((2, T, PRE))
    net.input(x)
    net.run(float(T))
    (net.output.predict**2).sum().backward()
    net.learner.optim_step()
    assert torch.equal(net.store["c.weight"], before["c.weight"])
    assert torch.equal(net.store["c.bias"], before["c.bias"])
    assert not torch.equal(net.store["d.weight"], before["d.weight"])


def test_one_to_one_and_sparse_stay_what_they_are_in_training():
    net = network("one_to_one", post=(PRE,), w_mean=0.5)
    net.learner = sl.Learner(net, "STBP")
    net.learner.set_optimizer("SGD", 0.5)
    pull(net).backward()
    net.learner.optim_step()
    assert net.c.weight.value.shape == (PRE,)
    one = np.eye(PRE)[:, None, :]
    net.input(one)
    net.run(1.0)
    found = net.output.predict[0].detach()
    assert torch.equal(found, torch.diag(net.c.weight.value.detach()))


def test_bounds_of_a_kernel_network_hold_on_the_kernel_path():
    net = network(model="lif", sign=DALE, w_max=0.4, w_std=0.3)
    net.learner = sl.Learner(net, "STCA", alpha=1.0)
    net.learner.set_optimizer("SGD", 0.5)
    for seed in range(3):
        net.learner.optim_zero_grad()
        pull(net, seed=seed).backward()
        net.learner.optim_step()
    assert net.plan.blocks[0].path == "kernel path"
    assert torch.all(net.c.weight.value * signs(net) >= 0)


@pytest.mark.parametrize("sign", [True, np.True_, np.ones(PRE, bool), [1] * 7 + [True], torch.ones(PRE) > 0])
def test_a_boolean_is_no_sign(sign):
    with pytest.raises(ParameterError, match=r"sign must be 1, -1 or an array .*, got booleans: .*; give numbers"):
        network(sign=sign)


@pytest.mark.parametrize("shape", [(1, PRE), (PRE, 1), (2, 4), (POST, PRE)])
def test_a_sign_of_another_shape_than_the_pre_neurons_is_refused(shape):
    given = str(shape).replace("(", r"\(").replace(")", r"\)")
    with pytest.raises(
        ShapeError, match=rf"sign must have one sign for each of 8 pre neurons, got {given}; give shape"
    ):
        network(sign=np.ones(shape))


def test_signs_in_the_shape_of_the_population_are_those_of_its_neurons():
    flat, shaped = network(sign=DALE, pre=(2, 4)), network(sign=DALE.reshape(2, 4), pre=(2, 4))
    assert np.array_equal(flat.c.weight.value, shaped.c.weight.value)
    assert np.all(np.sign(shaped.c.weight.value) == DALE)
    with pytest.raises(ShapeError, match=r"give shape \(8,\), or that of the population, \(2, 4\)"):
        network(sign=DALE.reshape(4, 2), pre=(2, 4))


@pytest.mark.parametrize("kind", [np.float64, np.float32, np.float16, np.int64, np.int8])
def test_bounds_are_numbers_of_any_kind(kind):
    net = network(w_min=kind(-1), w_max=kind(2), weight=Normal(0.0, 5.0))
    net.build()
    weight = net.c.weight.value
    assert (weight.min(), weight.max()) == (-1.0, 2.0)
    assert type(net.c.w_min) in (int, float)
    again = network_from(describe(net))
    assert (again.c.w_min, again.c.w_max) == (-1, 2)


@pytest.mark.parametrize("wrong", [np.float32("nan"), np.float64("inf"), np.True_, True, np.complex64(1)])
def test_what_is_no_finite_number_is_no_bound(wrong):
    with pytest.raises(ParameterError, match=r"w_max must be a finite number, got"):
        network(w_max=wrong)


def test_settings_of_links_initializers_and_synapses_are_numbers_of_any_kind():
    for kind in (np.float64, np.float32):
        net = network("random", probability=kind(0.5), w_mean=kind(0.25), w_std=kind(0.0))
        assert np.all(np.asarray(net.c.weight.value) == 0.25)
        net = network(weight=Constant(kind(0.5)), syn_type=["basic", "dropout"], syn_kwargs={"p": kind(0.25)})
        assert np.all(np.asarray(net.c.weight.value) == 0.5)
        assert net.c.synapses.after[0].p == 0.25
        assert describe(network_from(describe(net))) == describe(net)
