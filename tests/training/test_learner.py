"""The learner: names, what is trained, and steps that equal those of plain torch."""

import inspect
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from small_networks import changed, learning, two_layers, values_of
from torch import nn
from torch.nn import functional as F

import spikeloom as sl
from spikeloom.errors import ParameterError, StateError, UnknownNameError
from spikeloom.network import Assembly, Connection, NeuronGroup
from spikeloom.neurons import Arctan, FastSigmoid, Gaussian, Rectangle, Subtract
from spikeloom.neurons.emission import Emission
from spikeloom.training import Learner

X = np.random.default_rng(3).uniform(0.2, 1.0, (6, 4)).astype(np.float32)
LABELS = torch.tensor([0, 1, 2, 0, 1, 2])
STEPS = 7


def optimizer_classes():
    found = (v for v in vars(torch.optim).values() if inspect.isclass(v) and issubclass(v, torch.optim.Optimizer))
    return sorted((v for v in found if v is not torch.optim.Optimizer), key=lambda v: v.__name__)


def step(net, x=X, labels=LABELS):
    net.input(x)
    net.run(STEPS)
    loss = F.cross_entropy(net.decoder.predict, labels)
    net.learner.optim_zero_grad()
    loss.backward()
    net.learner.optim_step()
    return float(loss.detach())


def drive(net, seed):
    """A step on gradients drawn for each parameter by its name."""
    named = {id(p): name for name, p in net.named_parameters()}
    for p in net.learner.parameters:
        generator = np.random.default_rng([seed, *named[id(p)].encode()])
        p.grad = torch.from_numpy(generator.normal(size=p.shape))
    net.learner.optim_step((lambda: torch.zeros(())) if type(net.learner.optim) is torch.optim.LBFGS else None)


class TestAlgorithms:
    @pytest.mark.parametrize("name", ["STCA", "stca", "S_T-C a"])
    def test_stca_is_a_rectangle_of_half_width_alpha(self, name):
        assert Learner(two_layers(), name, alpha=0.3).surrogate == Rectangle(0.3)

    @pytest.mark.parametrize("name", ["STBP", "stbp"])
    def test_stbp_is_a_gaussian_of_variance_alpha(self, name):
        assert Learner(two_layers(), name, alpha=0.3).surrogate == Gaussian(0.3)

    @pytest.mark.parametrize("name", ["SBP", "sbp", "surrogate", "SurrogateBP", "surrogate_bp"])
    def test_sbp_takes_any_surrogate_by_name_or_itself(self, name):
        assert Learner(two_layers(), name, surrogate="superspike", alpha=7.0).surrogate == FastSigmoid(7.0)
        assert Learner(two_layers(), name, surrogate=FastSigmoid(3.0)).surrogate == FastSigmoid(3.0)
        assert Learner(two_layers(), name).surrogate == Arctan()

    def test_an_alpha_beside_a_surrogate_object_is_an_error(self):
        with pytest.raises(ParameterError, match=r"has its own alpha; give alpha=3.0 to it"):
            Learner(two_layers(), "SBP", surrogate=Arctan(2.0), alpha=3.0)

    def test_an_unknown_algorithm_is_an_error_with_a_suggestion(self):
        with pytest.raises(UnknownNameError, match=r"learning algorithm 'STCX'; did you mean 'stca'\?"):
            Learner(two_layers(), "STCX")

    def test_an_unknown_option_is_an_error_with_a_suggestion(self):
        with pytest.raises(ParameterError, match=r"unknown parameter 'alfa'; did you mean 'alpha'\? It has: alpha"):
            Learner(two_layers(), "STCA", alfa=0.5)

    def test_an_unknown_surrogate_is_an_error_with_a_suggestion(self):
        with pytest.raises(UnknownNameError, match=r"surrogate 'rectange'; did you mean 'rectangle'\?"):
            Learner(two_layers(), "SBP", surrogate="rectange")

    @pytest.mark.parametrize("alpha", [0, -1.0, float("nan"), "wide"])
    def test_a_wrong_alpha_is_an_error(self, alpha):
        with pytest.raises(ParameterError, match="alpha must be a positive number"):
            Learner(two_layers(), "STCA", alpha=alpha)

    @pytest.mark.parametrize("trainable", [None, [], 5, "net", ["hidden"], X])
    def test_what_is_no_component_cannot_be_trained(self, trainable):
        with pytest.raises(ParameterError, match=r"Learner 'l'.trainable must be a network, a component or a list"):
            Learner(trainable, "STCA", name="l")

    def test_the_learner_changes_the_surrogate_and_nothing_else_of_an_emission(self):
        emission = Emission(threshold=0.7, reset=Subtract(), detach_reset=True)
        found = Learner(two_layers(), "STBP", alpha=0.2).emission_for(NeuronGroup(2, "lif"), emission)
        assert found == Emission(threshold=0.7, reset=Subtract(), detach_reset=True, surrogate=Gaussian(0.2))


class TestSeveralLearners:
    def test_the_only_learner_gives_every_population_its_surrogate(self):
        net = two_layers()
        assert net.emission_of(net.hidden) == net.hidden.neuron.emission
        net.learner = Learner(net.second, "STBP", alpha=0.2)
        for group in net.groups:
            assert net.emission_of(group) == replace(group.neuron.emission, surrogate=Gaussian(0.2))

    @pytest.mark.parametrize("swapped", [False, True])
    def test_each_population_takes_the_surrogate_of_the_learner_that_trains_it(self, swapped):
        net = two_layers()
        net.third = NeuronGroup(2, "lif")
        net.a, net.b = Learner(net.hidden, "STBP", alpha=0.2), Learner([net.output, net.second], "STCA", alpha=0.7)
        if swapped:
            a, b = net.a, net.b
            del net.a, net.b
            net.b, net.a = b, a
        assert net.emission_of(net.hidden).surrogate == Gaussian(0.2)
        assert net.emission_of(net.output).surrogate == Rectangle(0.7)
        assert net.emission_of(net.third).surrogate == Arctan()

    def test_two_that_train_a_population_must_agree(self):
        net = two_layers()
        net.a, net.b = Learner(net, "STBP", alpha=0.2), Learner(net.output, "STBP", alpha=0.2)
        assert net.emission_of(net.output).surrogate == Gaussian(0.2)
        net.c = Learner([net.output], "STCA")
        assert net.emission_of(net.hidden).surrogate == Gaussian(0.2)
        with pytest.raises(
            ParameterError, match=r"learners 'a' and 'c' both train 'output', with different surrogates"
        ):
            net.emission_of(net.output)


class TestOptimizers:
    @pytest.mark.parametrize("lr", ["abc", 0, -1.0, math.nan, True, [0.1]])
    def test_a_wrong_learning_rate_of_the_learner_is_an_error_at_once(self, lr):
        with pytest.raises(ParameterError, match=r"Learner 'l': the learning rate must be a positive number, got"):
            Learner(two_layers(), "STCA", lr=lr, name="l")

    @pytest.mark.parametrize("kind", optimizer_classes(), ids=lambda kind: kind.__name__)
    @pytest.mark.parametrize("spell", [str, str.lower, str.upper, lambda n: "_".join(n)], ids=["", "low", "up", "_"])
    def test_every_optimizer_of_torch_is_found_in_any_spelling(self, kind, spell):
        net = learning(two_layers(), optimizer=spell(kind.__name__), lr=0.03)
        assert type(net.learner.optim) is kind
        assert net.learner.optim.param_groups[0]["lr"] == 0.03

    @pytest.mark.parametrize("kind", optimizer_classes(), ids=lambda kind: kind.__name__)
    def test_a_step_equals_that_of_the_optimizer_of_torch(self, kind):
        net = learning(two_layers(), optimizer=kind.__name__, lr=0.03)
        ours = net.learner.parameters
        twins = [nn.Parameter(p.detach().clone()) for p in ours]
        for p, twin in zip(ours, twins, strict=True):
            grad = torch.linspace(-1, 1, p.numel(), dtype=p.dtype).view_as(p)
            p.grad, twin.grad = (grad.to_sparse(), grad.to_sparse()) if "Sparse" in kind.__name__ else (grad, grad)
        closure = (lambda: torch.zeros(())) if kind is torch.optim.LBFGS else None
        net.learner.optim_step(closure)
        kind(twins, lr=0.03).step(closure)
        ours_rounds = kind in (torch.optim.Adam, torch.optim.AdamW)  # compiled, in its own order
        for p, twin in zip(ours, twins, strict=True):
            torch.testing.assert_close(p, twin, rtol=1e-12 * ours_rounds, atol=1e-14 * ours_rounds)
        assert kind is torch.optim.LBFGS or not torch.equal(twins[0], two_layers().module.get_parameter("first.weight"))

    @pytest.mark.parametrize("name", ["Adam", "AdamW", "SGD"])
    @pytest.mark.parametrize("other", ["gradient", "moments", "parameter"])
    def test_a_step_does_not_depend_on_how_numbers_lie_in_memory(self, name, other):
        net = learning(two_layers(), optimizer=name, lr=0.03)
        weight = net.learner.parameters[0]
        twin = nn.Parameter(weight.detach().clone())
        plain = getattr(torch.optim, name)([twin], lr=0.03, foreach=False, fused=False)
        for seed in range(4):
            if seed == 2 and other == "parameter":
                weight.data = weight.data.t().contiguous().t()
            drive(net, seed)
            twin.grad = weight.grad.clone()
            plain.step()
            if seed == 1 and other == "moments":
                state = net.learner.optim.state[weight]
                state |= {k: v.t().contiguous().t() for k, v in state.items() if v.ndim == 2}
            if seed == 1 and other == "gradient":
                net.learner.optim_zero_grad()
                weight.grad = torch.linspace(-1, 1, weight.numel(), dtype=weight.dtype).view(weight.T.shape).T
                twin.grad = weight.grad.clone()
                net.learner.optim_step()
                plain.step()
        torch.testing.assert_close(weight, twin, rtol=1e-6, atol=1e-8)

    def test_what_lies_between_the_numbers_of_a_parameter_is_left_alone(self):
        net, beside = learning(two_layers(), optimizer="Adam", lr=0.03), torch.ones(5, 8, dtype=torch.float64)
        net.module.get_parameter("first.weight").data = beside[:, :4]
        drive(net, 0)
        assert (beside[:, 4:] == 1).all()
        assert (beside[:, :4] != 1).all()

    def test_gradients_of_all_that_the_optimizer_moves_are_forgotten(self):
        net, more = learning(two_layers()), nn.Parameter(torch.ones(3))
        net.learner.optim.add_param_group({"params": [more]})
        more.grad = torch.ones(3)
        net.learner.optim_zero_grad()
        assert more.grad is None

    @pytest.mark.parametrize(("name", "kind"), [("Rpop", "Rprop"), ("Adamx", "Adamax"), ("adam", "Adam")])
    def test_the_spellings_of_spaic_are_known(self, name, kind):
        assert type(learning(two_layers(), optimizer=name).learner.optim).__name__ == kind

    def test_options_reach_the_optimizer(self):
        net = learning(two_layers())
        net.learner.set_optimizer("SGD", 0.1, Momentum=0.9, weight_decay=np.float64(0.01))
        group = net.learner.optim.param_groups[0]
        assert (group["lr"], group["momentum"], group["weight_decay"]) == (0.1, 0.9, 0.01)
        assert type(group["weight_decay"]) is float

    def test_the_learner_gives_the_rate_that_the_optimizer_does_not_name(self):
        net = learning(two_layers(), lr=None)
        net.learner2 = Learner(net, "STCA", lr=0.25)
        for given, rate in (({}, 0.25), ({"optim_lr": 0.5}, 0.5), ({"lr": 0.5}, 0.5), ({"optim_lr": np.float32(1)}, 1)):
            net.learner2.set_optimizer("Adam", **given)
            assert net.learner2.optim.param_groups[0]["lr"] == rate

    def test_an_unknown_optimizer_is_an_error_with_a_suggestion(self):
        with pytest.raises(UnknownNameError, match=r"optimizer 'Adm'; did you mean 'Adam'\?"):
            learning(two_layers(), optimizer="Adm")

    def test_an_unknown_option_is_an_error_with_a_suggestion(self):
        with pytest.raises(ParameterError, match=r"optimizer 'Adam': unknown parameter 'beta'; did you mean 'betas'\?"):
            learning(two_layers()).learner.set_optimizer("Adam", 0.1, beta=(0.9, 0.99))

    @pytest.mark.parametrize("lr", [0, -0.1, math.inf, math.nan, True, "fast"])
    @pytest.mark.parametrize("key", ["optim_lr", "lr"])
    def test_a_wrong_learning_rate_is_an_error(self, lr, key):
        with pytest.raises(ParameterError, match="the learning rate must be a positive number"):
            learning(two_layers()).learner.set_optimizer("Adam", **{key: lr})

    def test_a_rate_given_twice_is_an_error(self):
        with pytest.raises(ParameterError, match="lr was given twice"):
            learning(two_layers()).learner.set_optimizer("Adam", 0.1, lr=0.1)

    def test_what_torch_refuses_is_an_error_that_names_the_optimizer(self):
        net = learning(two_layers())
        net.learner.set_optimizer("Adam", 0.1, betas=(2.0, 3.0))
        with pytest.raises(ParameterError, match="optimizer 'Adam': Invalid beta parameter"):
            net.learner.optim

    def test_a_learner_without_optimizer_says_how_to_get_one(self):
        net = two_layers()
        net.learner = Learner(net)
        with pytest.raises(StateError, match=r"'learner' has no optimizer; call set_optimizer\('Adam', 0.001\)"):
            net.learner.optim_step()

    def test_lbfgs_without_a_closure_says_what_it_needs(self):
        with pytest.raises(StateError, match=r"LBFGS .* call optim_step\(closure\)"):
            learning(two_layers(), optimizer="LBFGS").learner.optim_step()


class TestSchedules:
    @pytest.mark.parametrize(
        ("given", "named"), [((2, 0.5), {}), ((2,), {"gamma": 0.5}), ((), {"Step_Size": 2, "gamma": 0.5})]
    )
    def test_step_lr_halves_the_rate_every_two_epochs(self, given, named):
        net = learning(two_layers(), lr=0.8)
        net.learner.set_schedule("steplr", *given, **named)
        rates = []
        for _ in range(5):
            rates.append(net.learner.optim.param_groups[0]["lr"])
            step(net)
            net.learner.optim_schedule()
        assert rates == [0.8, 0.8, 0.4, 0.4, 0.2]

    def test_reduce_on_plateau_takes_the_figure_that_it_watches(self):
        net = learning(two_layers(), lr=0.8)
        net.learner.set_schedule("ReduceLROnPlateau", factor=0.5, patience=0)
        for figure, rate in ((1.0, 0.8), (0.5, 0.8), (0.6, 0.4)):
            net.learner.optim_schedule(figure)
            assert net.learner.optim.param_groups[0]["lr"] == rate
        with pytest.raises(ParameterError, match=r"watches a figure; give it: optim_schedule\(loss\)"):
            net.learner.optim_schedule()

    def test_a_figure_for_a_schedule_that_watches_none_is_an_error(self):
        net = learning(two_layers())
        net.learner.set_schedule("StepLR", 10)
        with pytest.raises(ParameterError, match="'StepLR' takes no figure; leave it out"):
            net.learner.optim_schedule(0.3)

    def test_a_schedule_of_the_user_moves_the_rate_of_the_optimizer(self):
        net = learning(two_layers(), lr=0.8)
        schedule = torch.optim.lr_scheduler.ExponentialLR(net.learner.optim, 0.5)
        step(net)
        schedule.step()
        step(net)
        assert net.learner.optim.param_groups[0]["lr"] == 0.4

    def test_unknown_names_are_errors_with_suggestions(self):
        learner = learning(two_layers()).learner
        with pytest.raises(UnknownNameError, match=r"schedule 'StepRL'; did you mean 'StepLR'\?"):
            learner.set_schedule("StepRL", 10)
        with pytest.raises(
            ParameterError, match=r"'StepLR': unknown parameter 'stepsizes'; did you mean 'step_size'\?"
        ):
            learner.set_schedule("StepLR", stepsizes=10)

    def test_too_many_values_twice_given_ones_and_refused_ones_are_errors(self):
        learner = learning(two_layers()).learner
        with pytest.raises(ParameterError, match="'StepLR' takes step_size, gamma, last_epoch; got 4 values"):
            learner.set_schedule("StepLR", 1, 2, 3, 4)
        with pytest.raises(ParameterError, match="step_size was given twice"):
            learner.set_schedule("StepLR", 10, step_size=10)
        learner.set_schedule("MultiStepLR", milestones=5)
        with pytest.raises(ParameterError, match=r"schedule 'MultiStepLR': .*int"):
            learner.schedule

    def test_moving_a_schedule_that_is_not_there_is_an_error(self):
        with pytest.raises(StateError, match=r"has no schedule; call set_schedule\('StepLR', 10\)"):
            learning(two_layers()).learner.optim_schedule()


class TestTrainable:
    def test_only_what_is_listed_changes(self):
        cases = {
            "network": (lambda net: net, {"first.weight", "second.weight", "hidden.v_0", "output.v_0"}),
            "connection": (lambda net: net.second, {"second.weight"}),
            "group": (lambda net: net.hidden, {"hidden.v_0"}),
            "list": (lambda net: [net.first, net.output], {"first.weight", "output.v_0"}),
        }
        for name, (chosen, expected) in cases.items():
            net = two_layers(model="clif")
            learning(net, chosen(net), lr=0.01)
            before = values_of(net)
            step(net)
            assert changed(before, net.state_dict()) == expected, name

    def test_an_assembly_is_trained_with_all_that_lies_in_it(self):
        net = two_layers()
        del net.decoder, net.second, net.output
        net.block = Assembly()
        net.block.layer = NeuronGroup(3, "clif")
        net.block.link = Connection(net.hidden, net.block.layer, link_type="full", w_mean=0.4, bias=True)
        net.decoder = type(two_layers().decoder)(3, net.block.layer)
        learning(net, net.block)
        before = values_of(net)
        step(net)
        assert changed(before, net.state_dict()) == {"block.layer.v_0", "block.link.weight", "block.link.bias"}

    def test_gradients_reach_the_first_layer_through_an_untrained_second(self):
        both, first = learning(two_layers()), two_layers()
        learning(first, first.first)
        step(both)
        step(first)
        assert torch.equal(first.first.weight.value.grad, both.first.weight.value.grad)
        assert first.first.weight.value.grad.abs().sum() > 0
        assert first.second.weight.value.grad is None

    def test_a_learner_of_what_has_no_parameters_is_an_error(self):
        net = two_layers(model="lif")
        learning(net, net.hidden)
        with pytest.raises(StateError, match="trains nothing: its trainable components have no parameters"):
            net.learner.optim

    @pytest.mark.parametrize("optimizer", ["Adam", "SGD", "RMSprop", "LBFGS"])
    def test_an_edit_does_not_change_how_the_rest_is_trained(self, optimizer):
        nets = [learning(two_layers(), optimizer=optimizer, lr=0.1) for _ in range(2)]
        for net in nets:
            net.learner.set_optimizer(optimizer, 0.1, **({"momentum": 0.9} if optimizer == "SGD" else {}))
            net.learner.set_schedule("StepLR", 3, 0.5)
        for k in range(7):
            for net in nets:
                drive(net, k)
                net.learner.optim_schedule()
            if k == 3:
                nets[1].extra = NeuronGroup(2, "clif")
                assert nets[1].learner.optim.param_groups[0]["lr"] == 0.05
        assert nets[1].learner.schedule.last_epoch == 7
        kept = [net.learner.optim.param_groups[0]["lr"] for net in nets]
        assert kept == [0.025, 0.025]
        if optimizer != "LBFGS":  # whose state is one vector over all parameters
            ours, edited = values_of(nets[0]), values_of(nets[1])
            assert all(torch.equal(ours[name], edited[name]) for name in ours)

    def test_a_schedule_may_move_right_after_an_edit(self):
        net = learning(two_layers(), lr=0.8)
        net.learner.set_schedule("StepLR", 1, 0.5)
        step(net)
        net.extra = NeuronGroup(2, "clif")
        net.learner.optim_schedule()
        assert net.learner.optim.param_groups[0]["lr"] == 0.4

    def test_a_component_in_the_place_of_another_starts_without_the_others_moments(self):
        net = learning(two_layers())
        step(net)
        net.second = Connection(net.hidden, net.output, link_type="full", w_mean=0.4)
        state = net.learner.optim.state
        assert net.first.weight.value in state
        assert net.second.weight.value not in state

    def test_a_new_optimizer_starts_anew(self):
        net = learning(two_layers())
        step(net)
        net.learner.set_optimizer("Adam", 0.3)
        assert len(net.learner.optim.state) == 0

    def test_the_parameters_are_looked_up_once_a_build(self, monkeypatch):
        net = learning(two_layers())
        first = net.learner.parameters
        monkeypatch.setattr(Connection, "parameter_specs", None)
        second = net.learner.parameters
        assert [id(p) for p in first] == [id(p) for p in second]
        assert first is not second

    def test_whether_a_component_is_trained_is_told_without_a_walk(self, monkeypatch):
        net = learning(two_layers())
        monkeypatch.setattr(Assembly, "walk", None)
        assert net.learner.trains(net.first)
        assert not net.learner.trains(NeuronGroup(2, "lif"))

    def test_an_edit_keeps_the_weights_and_makes_the_optimizer_anew(self):
        net = learning(two_layers())
        step(net)
        before, optimizer = values_of(net), net.learner.optim
        assert net.learner.optim is optimizer
        net.extra = NeuronGroup(2, "lif")
        net.branch = Connection(net.hidden, net.extra, link_type="full", w_mean=0.4)
        kept = {name: net.state_dict()[name] for name in before}
        assert changed(before, kept) == set()
        assert net.learner.optim is not optimizer
        step(net)
        assert changed(before, net.state_dict()) == {"first.weight", "second.weight"}
        assert {id(p) for p in net.learner.parameters} == {
            id(p) for g in net.learner.optim.param_groups for p in g["params"]
        }

    def test_a_rebuild_with_the_same_parameters_keeps_the_optimizer(self):
        net = learning(two_layers())
        step(net)
        optimizer = net.learner.optim
        net.build()
        assert net.learner.optim is optimizer


def derivatives(name, alpha):
    """What the surrogates are, after the papers that the catalogue names."""
    return {
        "rectangle": lambda d: (d.abs() < alpha).to(d.dtype),
        "gaussian": lambda d: torch.exp(-(d**2) / (2 * alpha)) / math.sqrt(2 * math.pi * alpha),
        "arctan": lambda d: alpha / 2 / (1 + (math.pi * alpha * d / 2) ** 2),
        "sigmoid": lambda d: alpha * torch.sigmoid(alpha * d) * torch.sigmoid(-alpha * d),
        "triangle": lambda d: F.relu(1 - d.abs() / alpha) / alpha,
        "fast_sigmoid": lambda d: 1 / (1 + alpha * d.abs()) ** 2,
    }[name]


def by_hand(x, weights, derivative, tau=8.0):
    """The spike counts (B, n) of layers of lif neurons, as a plain loop."""

    class Fire(torch.autograd.Function):
        @staticmethod
        def forward(ctx, d):
            ctx.save_for_backward(d)
            return (d >= 0).to(d.dtype)

        @staticmethod
        def backward(ctx, grad):
            return grad * derivative(ctx.saved_tensors[0])

    v = [torch.zeros(len(x), len(w), dtype=x.dtype) for w in weights]
    counts = 0
    for _ in range(STEPS):
        z = x
        for k, w in enumerate(weights):
            u = v[k] * math.exp(-1 / tau) + z @ w.T
            z = Fire.apply(u - 1)
            v[k] = u * (1 - z)
        counts = counts + z
    return counts


def twins_of(net):
    """Copies of the two weights, to be trained by plain torch."""
    net.build()
    return [nn.Parameter(c.weight.value.detach().clone()) for c in (net.first, net.second)]


class TestAgainstPlainTorch:
    @pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-6), (torch.float64, 1e-12)])
    def test_three_steps_equal_a_plain_loop_with_adam(self, dtype, tolerance):
        net = learning(two_layers(dtype=dtype))
        weights = twins_of(net)
        adam, x = torch.optim.Adam(weights, lr=0.01), torch.from_numpy(X).to(dtype)
        for _ in range(3):
            counts = by_hand(x, weights, derivatives("rectangle", 0.5))
            loss = F.cross_entropy(counts, LABELS)
            adam.zero_grad()
            loss.backward()
            adam.step()
            assert counts.sum() > 0
            assert step(net) == pytest.approx(float(loss.detach()), abs=tolerance)
        for c, weight in zip((net.first, net.second), weights, strict=True):
            torch.testing.assert_close(c.weight.value, weight, rtol=0, atol=tolerance)

    def test_a_step_of_lbfgs_equals_that_of_a_plain_loop(self):
        net = learning(two_layers(), optimizer="LBFGS", lr=0.3)
        weights = twins_of(net)
        lbfgs, x = torch.optim.LBFGS(weights, lr=0.3), torch.from_numpy(X).double()
        net.input(X)

        def ours():
            net.run(STEPS)
            loss = F.cross_entropy(net.decoder.predict, LABELS)
            net.learner.optim_zero_grad()
            loss.backward()
            return loss

        def plain():
            loss = F.cross_entropy(by_hand(x, weights, derivatives("rectangle", 0.5)), LABELS)
            lbfgs.zero_grad()
            loss.backward()
            return loss

        before = values_of(net)
        net.learner.optim_step(ours)
        lbfgs.step(plain)
        assert changed(before, net.state_dict()) == {"first.weight", "second.weight"}
        for c, weight in zip((net.first, net.second), weights, strict=True):
            torch.testing.assert_close(c.weight.value, weight, rtol=0, atol=1e-12)

    @pytest.mark.parametrize("name", ["rectangle", "gaussian", "arctan", "sigmoid", "triangle", "fast_sigmoid"])
    def test_the_gradient_of_each_surrogate_equals_its_formula(self, name):
        net = two_layers()
        net.learner = Learner(net, "SurrogateBP", surrogate=name, alpha=0.8)
        net.input(X)
        net.run(STEPS)
        weights = twins_of(net)
        counts = by_hand(torch.from_numpy(X).double(), weights, derivatives(name, 0.8))
        for answer in (counts, net.decoder.predict):
            (answer * torch.tensor([1.0, -2.0, 0.5])).sum().backward()
        for c, weight in zip((net.first, net.second), weights, strict=True):
            assert weight.grad.abs().sum() > 0
            torch.testing.assert_close(c.weight.value.grad, weight.grad, rtol=0, atol=1e-12)


@pytest.mark.parametrize("algorithm", ["STCA", "STBP"])
def test_learners_of_connections_choose_the_surrogate_of_what_they_lead_to(algorithm):
    net = sl.Network()
    net.x = sl.Encoder(3)
    net.a, net.b = sl.NeuronGroup(3, model="lif"), sl.NeuronGroup(2, model="lif")
    net.xa = sl.Connection(net.x, net.a, link_type="full")
    net.ab = sl.Connection(net.a, net.b, link_type="full")
    net.first = sl.Learner(net.xa, algorithm, alpha=0.2)
    net.second = sl.Learner(net.ab, "sbp")
    assert net.emission_of(net.a).surrogate == net.first.surrogate
    assert net.emission_of(net.b).surrogate == net.second.surrogate


def test_an_optimizer_goes_on_in_another_precision():
    net = sl.Network()
    net.x, net.a = sl.Encoder(3, coding_method="constant_current"), sl.NeuronGroup(2, model="lif")
    net.xa = sl.Connection(net.x, net.a, link_type="full", w_mean=1.0)
    net.out = sl.Decoder(dec_target=net.a)
    net.learner = sl.Learner(net)
    net.learner.set_optimizer("Adam", 0.1)
    for dtype in (torch.float32, torch.float64, torch.float32):
        net.set_backend(sl.TorchBackend(dt=1.0, dtype=dtype))
        net.x(np.ones((2, 3)))
        net.run(5.0)
        net.learner.optim_zero_grad()
        net.out.predict.sum().backward()
        net.learner.optim_step()
        (state,) = net.learner.optim.state.values()
        assert state["exp_avg"].dtype == net.xa.weight.value.dtype == dtype
    assert int(state["step"]) == 3


def test_a_schedule_that_lacks_an_option_is_refused_when_it_is_chosen():
    learner = sl.Learner(trainable=sl.Network(), algorithm="STCA")
    with pytest.raises(ParameterError, match="schedule 'StepLR' needs step_size"):
        learner.set_schedule("StepLR")
