"""Merges and torch modules between populations, against plain torch."""

import copy
import math

import numpy as np
import pytest
import torch
from torch import nn

import spikeloom as sl
from spikeloom.errors import DataError, ParameterError, ShapeError, StateError, UnsupportedError
from spikeloom.network import Connection, Encoder, Merge, Module, NeuronGroup

T, B, DT = 7, 3, 1.0
DECAY = math.exp(-DT / 20.0)
DATA = np.random.default_rng(0).random((B, T, 4))
BACKENDS = [{}, {"path": "torch"}, {"schedule": "step"}]


def network(**options):
    net = sl.Network()
    net.set_backend(sl.TorchBackend(dt=DT, dtype=torch.float64, **options))
    net.set_random_seed(1)
    net.input = Encoder(4, "null")
    return net


def full(net, name, pre, post, scale=0.5):
    """A full connection, and a torch tensor of its own with the same weight."""
    weight = np.random.default_rng(len(name)).normal(0, scale, (math.prod(post.shape), math.prod(pre.shape)))
    net.add(name, Connection(pre, post, link_type="full", weight=weight))
    return torch.tensor(weight, requires_grad=True)


def integrated(currents):
    """The potential of leaky integrators, (T, B, n), in plain torch."""
    v, found = torch.zeros_like(currents[0]), []
    for current in currents:
        v = v * DECAY + current
        found.append(v)
    return torch.stack(found)


def answer(net):
    net.input(DATA)
    net.run(T * DT)
    return net.out.predict


def check_gradients(net, expected, leaves):
    """Whether answer and gradients equal those of plain torch."""
    found = answer(net)
    torch.testing.assert_close(found, expected, rtol=1e-11, atol=1e-12)
    found.square().sum().backward()
    expected.square().sum().backward()
    ours = dict(net.named_parameters())
    for name, leaf in leaves.items():
        torch.testing.assert_close(ours[name].grad, leaf.grad, rtol=1e-9, atol=1e-11, msg=lambda m, n=name: f"{n}: {m}")


OPERATIONS = {
    "sum": ({}, lambda a, b: a + b, (2, 3)),
    "product": ({}, lambda a, b: a * b, (2, 3)),
    "ratio": ({"offset": 2.5}, lambda a, b: a / (b + 2.5), (2, 3)),
    "concatenation": ({"axis": 1}, lambda a, b: torch.cat([a, b], 3), (2, 6)),
    "matmul": ({"scale": 0.5, "transpose": True}, lambda a, b: 0.5 * a.transpose(2, 3) @ b, (3, 3)),
}


def merged(operation, **backend):
    """Two populations of 2 x 3, a merge of them, and one behind it; the same in plain torch."""
    options, formula, shape = OPERATIONS[operation]
    net = network(**backend)
    net.a, net.b, net.end = (NeuronGroup(shape=s, model="li") for s in ((2, 3), (2, 3), (5,)))
    net.m = Merge(net.a, net.b, operation=operation, **options)
    assert net.m.shape == shape
    leaves = {name: full(net, name, *ends) for name, ends in {
        "in_a": (net.input, net.a), "in_bb": (net.input, net.b), "outwards": (net.m, net.end)}.items()}  # fmt: skip
    net.out = sl.Decoder(None, net.end, "v_t")
    x = torch.from_numpy(DATA).transpose(0, 1)
    a, b = (integrated(x @ leaves[name].t()).view(T, B, 2, 3) for name in ("in_a", "in_bb"))
    expected = integrated(formula(a, b).flatten(2) @ leaves["outwards"].t())
    return net, expected, {f"{name}.weight": leaf for name, leaf in leaves.items()}


class TestMerge:
    @pytest.mark.parametrize("backend", BACKENDS)
    @pytest.mark.parametrize("operation", OPERATIONS)
    def test_its_answer_and_gradients_are_those_of_plain_torch(self, operation, backend):
        check_gradients(*merged(operation, **backend))

    @pytest.mark.parametrize("backend", BACKENDS[:2])
    def test_in_a_loop_each_connection_takes_one_step_and_the_merge_none(self, backend):
        net = network(**backend)
        net.a, net.b, net.side = (NeuronGroup(3, "li") for _ in range(3))
        net.m = Merge(net.a, net.side, operation="product")
        leaves = {name: full(net, name, *ends) for name, ends in {
            "i": (net.input, net.a), "in": (net.input, net.side), "fwd": (net.m, net.b), "back": (net.b, net.a)
        }.items()}  # fmt: skip
        net.out = sl.Decoder(None, net.b, "v_t")
        x = torch.from_numpy(DATA).transpose(0, 1)
        side = integrated(x @ leaves["in"].t())
        a = b = m = torch.zeros(B, 3, dtype=torch.float64)
        found = []
        for t in range(T):
            new_a = a * DECAY + x[t] @ leaves["i"].t() + b @ leaves["back"].t()
            b = b * DECAY + m @ leaves["fwd"].t()
            a = new_a
            m = a * side[t]
            found.append(b)
        check_gradients(net, torch.stack(found), {f"{n}.weight": leaf for n, leaf in leaves.items()})
        assert "m: Product of a, side, step by step" in str(net.plan)

    def test_a_run_cut_in_two_equals_one_run_through_a_merge_with_a_delay(self):
        def made():
            net = network()
            net.a, net.end = NeuronGroup(3, "lif", v_th=0.3), NeuronGroup(2, "li")
            net.m = Merge(net.a, net.a)
            full(net, "in", net.input, net.a)
            net.late = Connection(net.m, net.end, link_type="full", w_mean=0.5, delay=2.0)
            net.out = sl.Decoder(None, net.end, "v_t")
            return net

        whole, cut = made(), made()
        whole.input(DATA)
        whole.run(T * DT)
        cut.input(DATA[:, :4])
        cut.run(4 * DT)
        first = cut.out.predict
        cut.input(DATA[:, 4:])
        cut.run_continue((T - 4) * DT)
        torch.testing.assert_close(torch.cat([first, cut.out.predict]), whole.out.predict, rtol=1e-12, atol=1e-13)
        assert whole.out.predict.abs().sum() > 0

    def test_all_paths_and_schedules_agree_on_spikes_and_their_surrogate_gradients(self):
        found = []
        for backend in BACKENDS:
            net = network(**backend)
            net.a, net.b, net.end = (NeuronGroup(n, "lif", v_th=0.3) for n in (6, 6, 4))
            net.m = Merge(net.a, net.b, operation="sum")
            for name, ends in {"x": (net.input, net.a), "xy": (net.input, net.b), "xyz": (net.m, net.end)}.items():
                full(net, name, *ends)
                net.get_elements()[name].weight.value = np.abs(net.get_elements()[name].weight.value)
            net.out = sl.Decoder(4, net.end)
            answer(net).square().sum().backward()
            found.append([net.out.predict.detach(), *(p.grad for _, p in sorted(net.named_parameters()))])
        for other in found[1:]:
            for ours, theirs in zip(found[0], other, strict=True):
                torch.testing.assert_close(ours, theirs, rtol=1e-11, atol=1e-12)
        assert found[0][0].sum() > 0
        assert all(grad.abs().sum() > 0 for grad in found[0][1:])

    def test_merges_of_merges_and_of_encoders_nest(self):
        net = network()
        net.other = Encoder(4, "constant_current")
        net.mixed = Merge(net.input, net.other, operation="product")
        net.twice = Merge(net.mixed, net.mixed, net.input)
        net.end = NeuronGroup(4, "li")
        net.c = Connection(net.twice, net.end, link_type="null")
        net.out = sl.Decoder(None, net.end, "v_t")
        constant = np.random.default_rng(3).random((B, 4))
        net.other(constant)
        x = torch.from_numpy(DATA).transpose(0, 1)
        torch.testing.assert_close(answer(net), integrated(2 * x * torch.from_numpy(constant) + x))

    def test_a_long_chain_of_merges_costs_no_more_than_its_length(self):
        net = network()
        part = net.input
        for k in range(60):
            part = Merge(part, part, operation="sum")
            net.add(f"m{k}", part)
        net.end = NeuronGroup(4, "li")
        net.c = Connection(part, net.end, link_type="one_to_one", weight=np.full(4, 2.0**-60))
        net.out = sl.Decoder(None, net.end, "v_t")
        torch.testing.assert_close(answer(net), integrated(torch.from_numpy(DATA).transpose(0, 1)))

    def test_hiding_an_input_takes_the_merge_and_what_comes_behind_out_of_the_run(self):
        net, _, _ = merged("sum")
        net.a.assembly_hide()
        assert [c.path for c in net.connections] == ["in_bb"]
        assert (answer(net) == 0).all()

    @pytest.mark.parametrize(
        ("shapes", "operation", "options", "error", "message"),
        [
            (((3,), (4,)), "sum", {}, ShapeError, r"must have one shape, got \(3,\), \(4,\)"),
            (((3,),), "sum", {}, ParameterError, r"Merge \(sum\) takes two or more inputs, got 1"),
            (((3,), (3,), (3,)), "ratio", {}, ParameterError, r"Merge \(ratio\) takes 2 inputs, got 3"),
            (((3,), (3,)), "ratio", {"offset": 0.0}, ParameterError, "offset must be a positive number, got 0.0"),
            (((3,), (3,)), "ratio", {"ofset": 1.0}, ParameterError, "'ofset'; did you mean 'offset'"),
            (((3,), (3, 1)), "concatenation", {}, ShapeError, "one shape but for axis 0"),
            (((3,), (3,)), "concatenation", {"axis": 1}, ParameterError, r"an axis of \(3,\), from 0 to 0, got 1"),
            (((3,), (3,)), "matmul", {}, ShapeError, "must be matrices"),
            (((2, 3), (2, 3)), "matmul", {}, ShapeError, "inner sizes must be equal, got 3 and 2"),
            (((2, 3), (3, 2)), "matmul", {"scale": "x"}, ParameterError, "scale must be a finite number"),
            (((3,), (3,)), "summe", {}, LookupError, "unknown merge 'summe'; did you mean 'sum'"),
        ],
    )
    def test_what_does_not_fit_is_refused_with_the_way_out(self, shapes, operation, options, error, message):
        with pytest.raises(error, match=message):
            Merge(*(NeuronGroup(shape=shape, model="li") for shape in shapes), operation=operation, **options)

    def test_what_is_no_population_is_refused(self):
        with pytest.raises(ParameterError, match="an input must be a population or a node, got int"):
            Merge(3, 4)

    def test_a_merge_or_an_input_outside_of_the_network_is_named(self):
        net, _, _ = merged("sum")
        stray = Merge(net.a, NeuronGroup(shape=(2, 3), model="li"))
        net.c = Connection(stray, net.end, link_type="full")
        with pytest.raises(StateError, match="is not in the network"):
            answer(net)

    def test_what_replaces_an_input_feeds_the_merge(self):
        net, _, _ = merged("sum")
        with pytest.raises(ShapeError, match="'m' does not fit"):
            net.replace_assembly(net.a, NeuronGroup(6, "li"))
        new = NeuronGroup(shape=(2, 3), model="li")
        net.replace_assembly(net.a, new)
        assert net.m.inputs == (new, net.b)
        before = answer(net).detach()
        assert torch.equal(before, merged("sum")[1].detach()) or torch.allclose(before, merged("sum")[1])


class Twisted(nn.Module):
    """Two inputs, a frozen parameter, shared weights in a list: more than a Sequential has."""

    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(6, 6), nn.Linear(6, 6)])
        self.frozen = nn.Parameter(torch.full((6,), 0.5), requires_grad=False)

    def forward(self, a, b):
        return torch.tanh(self.layers[0](a) * self.layers[1](b)) + self.frozen


def with_module(module, n_inputs=1, **backend):
    """One or two populations, a torch module behind them, and a population that takes its current."""
    net = network(**backend)
    net.a, net.b, net.end = NeuronGroup(6, "li"), NeuronGroup(6, "li"), NeuronGroup(6, "li")
    leaves = {"in.weight": full(net, "in", net.input, net.a), "to_b.weight": full(net, "to_b", net.input, net.b)}
    net.mod = Module(module, input_targets=[net.a, net.b][:n_inputs], output_targets=net.end)
    net.out = sl.Decoder(None, net.end, "v_t")
    return net, leaves


def seeded(make):
    torch.manual_seed(0)
    return make().double()


class TestModule:
    @pytest.mark.parametrize("backend", BACKENDS)
    @pytest.mark.parametrize(
        ("make", "n"),
        [(lambda: nn.Sequential(nn.Linear(6, 9), nn.ReLU(), nn.Linear(9, 6)), 1), (Twisted, 2)],
    )
    def test_its_answer_and_gradients_are_those_of_plain_torch(self, make, n, backend):
        module = seeded(make)
        plain = copy.deepcopy(module)
        net, leaves = with_module(module, n, **backend)
        x = torch.from_numpy(DATA).transpose(0, 1)
        parts = [integrated(x @ leaf.t()) for leaf in leaves.values()][:n]
        expected = integrated(plain(*parts))
        if n == 1:
            del leaves["to_b.weight"]
        trained = {f"mod.{name}": p for name, p in plain.named_parameters() if p.requires_grad}
        check_gradients(net, expected, leaves | trained)

    def test_an_image_goes_through_a_convolution_with_time_in_the_batch(self):
        net = network()
        conv = seeded(lambda: nn.Conv2d(1, 2, 2))
        net.frame, net.end = NeuronGroup(shape=(1, 2, 2), model="li"), NeuronGroup(shape=(2, 1, 1), model="li")
        net.c = Connection(net.input, net.frame, link_type="null")
        net.mod = Module(conv, input_targets=net.frame, output_targets=net.end)
        net.out = sl.Decoder(None, net.end, "v_t")
        frames = integrated(torch.from_numpy(DATA).transpose(0, 1)).reshape(T * B, 1, 2, 2)
        expected = integrated(conv(frames).reshape(T, B, 2))
        torch.testing.assert_close(answer(net), expected)

    def test_in_a_loop_it_is_called_step_by_step(self):
        linear = seeded(lambda: nn.Linear(6, 6))
        net = network()
        net.a = NeuronGroup(6, "li")
        leaf = full(net, "in", net.input, net.a)
        net.mod = Module(linear, input_targets=net.a, output_targets=net.a)
        net.out = sl.Decoder(None, net.a, "v_t")
        plain = copy.deepcopy(linear)
        x, v, late, found = torch.from_numpy(DATA).transpose(0, 1), 0.0, 0.0, []
        for t in range(T):
            v = v * DECAY + x[t] @ leaf.t() + late
            late = plain(v)
            found.append(v)
        names = {f"mod.{name}": p for name, p in plain.named_parameters()}
        check_gradients(net, torch.stack(found), {"in.weight": leaf} | names)

    def test_its_tensors_are_parameters_of_the_network_and_those_of_the_users_module(self):
        module = seeded(lambda: nn.Sequential(nn.Linear(6, 6), nn.BatchNorm1d(6)))
        net, _ = with_module(module)
        net.build()
        ours = dict(net.named_parameters())
        for name, parameter in module.named_parameters():
            assert ours[f"mod.{name}"] is parameter
        assert {n for n in net.state_dict() if n.startswith("mod.")} == {f"mod.{n}" for n in module.state_dict()}

    def test_a_learner_trains_it_and_nothing_else_when_told_so(self):
        module = seeded(Twisted)
        net, _ = with_module(module, 2)
        net.learner = sl.Learner(net.mod, "STCA")
        net.learner.set_optimizer("SGD", 0.1)
        net.build()
        before = {name: value.clone() for name, value in net.state_dict().items()}
        answer(net).square().sum().backward()
        net.learner.optim_step()
        changed = {name for name, value in net.state_dict().items() if not torch.equal(value, before[name])}
        assert changed == {f"mod.{name}" for name, p in module.named_parameters() if p.requires_grad}
        assert "mod.frozen" not in changed

    def test_eval_reaches_it_and_running_statistics_are_kept(self):
        module = seeded(lambda: nn.BatchNorm1d(6, momentum=None))
        net, leaves = with_module(module)
        answer(net)
        x = torch.from_numpy(DATA).transpose(0, 1)
        seen = integrated(x @ leaves["in.weight"].detach().t()).flatten(0, 1)
        torch.testing.assert_close(net.state_dict()["mod.running_mean"], seen.mean(0))
        net.eval()
        assert not module.training
        mean = module.running_mean.clone()
        answer(net)
        assert torch.equal(module.running_mean, mean)

    def test_float_modules_run_in_the_precision_of_the_backend_as_the_same_parameters(self):
        module = nn.Linear(6, 6)
        weight = module.weight
        net, _ = with_module(module)
        answer(net)
        assert module.weight is weight
        assert weight.dtype == torch.float64

    def test_without_targets_connections_start_from_it(self):
        net = network()
        module = seeded(lambda: nn.Linear(6, 3))
        net.a, net.end = NeuronGroup(6, "li"), NeuronGroup(2, "li")
        leaf = full(net, "in", net.input, net.a)
        net.mod = Module(module, input_targets=[net.a], shape=(3,))
        end = full(net, "end_c", net.mod, net.end)
        net.out = sl.Decoder(None, net.end, "v_t")
        plain = copy.deepcopy(module)
        x = torch.from_numpy(DATA).transpose(0, 1)
        check_gradients(
            net, integrated(plain(integrated(x @ leaf.t())) @ end.t()), {"in.weight": leaf, "mod.weight": plain.weight}
        )

    def test_a_copy_of_a_network_has_a_module_of_its_own(self):
        net, _ = with_module(seeded(lambda: nn.Linear(6, 6)))
        one = answer(net).detach()
        twin = copy.deepcopy(net)
        assert torch.equal(answer(twin), one)
        with torch.no_grad():
            twin.mod.torch_module.weight.add_(1.0)
        assert not torch.equal(answer(twin), one)
        assert torch.equal(answer(net), one)

    def test_it_is_copied_and_replaced_like_any_part(self):
        net, _ = with_module(seeded(lambda: nn.Linear(6, 6)))
        answer(net)
        net.copy_assembly("twin", net.mod)
        assert (net.twin.inputs, net.twin.out.post) == ((net.a,), net.end)
        assert torch.equal(net.twin.torch_module.weight, net.mod.torch_module.weight)
        assert net.twin.torch_module is not net.mod.torch_module
        with pytest.raises(StateError, match="module 'mod', module 'twin' would hang on nothing"):
            net.del_assembly(net.a)
        net.del_assembly(net.mod)
        net.del_assembly(net.twin)
        net.del_assembly(net.a)
        assert "end" in net

    def test_a_module_that_gives_something_else_is_refused_at_the_run(self):
        net, _ = with_module(nn.LSTM(6, 6))
        with pytest.raises(UnsupportedError, match="module 'mod' must give one tensor, got tuple"):
            answer(net)
        net, _ = with_module(nn.Linear(6, 5))
        with pytest.raises(ShapeError, match=r"'mod' must give \(21, 6\), T \* B and .* got \(21, 5\)"):
            answer(net)

    @pytest.mark.parametrize(
        ("keywords", "message"),
        [
            ({"module": 3}, "must be a torch.nn.Module, got int"),
            ({"module": nn.LazyLinear(3)}, "call it once on data of the right shape first"),
            ({"input_targets": []}, "input_targets must be a component or a list"),
            ({"output_targets": Encoder(6)}, "output_targets must be neuron groups, got Encoder"),
            ({"output_targets": []}, "output_targets must be a component"),
            ({"output_targets": [NeuronGroup(6, "li"), NeuronGroup(5, "li")]}, r"must be of one size, got \[5, 6\]"),
            ({"input_var_names": ["V"]}, "must be 'O', the output of its inputs, got 'V'"),
            ({"input_var_names": ["O", "O"]}, "input_var_names must be a name, or one for each of 1"),
            ({"output_var_names": ["nothing"]}, "port must be one of"),
        ],
    )
    def test_a_wrong_module_is_refused_with_the_way_out(self, keywords, message):
        given = {
            "module": nn.Linear(6, 6),
            "input_targets": NeuronGroup(6, "li"),
            "output_targets": NeuronGroup(6, "li"),
        }
        with pytest.raises(ParameterError, match=message):
            Module(**(given | keywords))

    def test_the_signature_of_spaic_is_taken(self):
        a, b = NeuronGroup(6, "li"), NeuronGroup(6, "li")
        mod = Module(nn.Linear(6, 6), "named", [a], ["O[updated]"], [b], ["Isyn"])
        assert (mod.name, mod.inputs, mod.out.post) == ("named", (a,), b)


class TestFiles:
    def saved(self, net, tmp_path, **options):
        answer(net)
        return net.save("net", tmp_path, **options)

    @pytest.mark.parametrize("trans_format", ["json", "yaml"])
    def test_merges_come_back_with_their_options(self, tmp_path, trans_format):
        for operation in OPERATIONS:
            net, expected, _ = merged(operation)
            again = sl.network_load(self.saved(net, tmp_path, trans_format=trans_format))
            again.set_backend(sl.TorchBackend(dt=DT, dtype=torch.float64))
            torch.testing.assert_close(answer(again), expected, rtol=1e-11, atol=1e-12)
            assert sl.network.describe(again) == sl.network.describe(net)

    def test_a_network_with_a_module_needs_it_given_and_gets_its_weights(self, tmp_path):
        net, _ = with_module(seeded(Twisted), 2)
        file = self.saved(net, tmp_path)
        with pytest.raises(DataError, match=r"components\.mod: its torch module, a Twisted, is code, .*modules=\{"):
            sl.network_load(file)
        with pytest.raises(DataError, match=r"there is no Module 'mot'; did you mean 'mod'"):
            sl.network_load(file, modules={"mot": Twisted()})
        other = Twisted()
        again = sl.network_load(file, modules={"mod": other})
        again.set_backend(sl.TorchBackend(dt=DT, dtype=torch.float64))
        assert torch.equal(answer(again), answer(net))
        assert torch.equal(other.layers[0].weight, net.mod.torch_module.layers[0].weight)
        with pytest.raises(DataError, match=r"no 'mod\.|'mod\..*missing"):
            sl.network_load(file, modules={"mod": nn.Linear(6, 6)})

    @pytest.mark.parametrize(
        ("spoil", "message"),
        [
            (
                lambda c: c["m"].update(inputs=["a", "nothing"]),
                r"components\.m: inputs: there is no component 'nothing'",
            ),
            (lambda c: c["m"].update(inputs=[]), "inputs must be a list of 1 to 1000 paths"),
            (lambda c: c["m"].update(inputs=["m", "a"]), "go in a circle"),
            (lambda c: c["m"].update(operation="eval"), "unknown merge 'eval'"),
            (lambda c: c["m"].update(options={"x": 1}), "unknown entry 'x'"),
            (lambda c: c["m"].update(extra=1), "unknown entry 'extra'"),
            (lambda c: c["m"].update(inputs=["a", "outwards"]), "no component 'outwards'|must be a population"),
            (lambda c: c["m"].update(inputs=["a"] * 1001), "1 to 1000 paths"),
            (lambda c: c["m"].update(hidden="yes"), "hidden must be true or left out"),
        ],
    )
    def test_a_spoilt_merge_is_refused_with_its_place(self, spoil, message):
        described = sl.network.describe(merged("sum")[0])
        spoil(described["components"])
        with pytest.raises(DataError, match=message):
            sl.network_from(described)
