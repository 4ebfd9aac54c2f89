"""Learners that learn by a rule: names, settings, files, printing, and SPAIC's STDP end to end."""

import contextlib
import copy
import inspect
import json
import math

import numpy as np
import pytest
import torch
import yaml

from spikeloom import (
    Assembly,
    Connection,
    Dataloader,
    Encoder,
    Learner,
    Network,
    NeuronGroup,
    Spikes,
    TorchBackend,
    network_load,
    network_save,
    plasticity,
)
from spikeloom.datasets import ArrayDataset
from spikeloom.errors import DataError, ParameterError, SpikeloomError, StateError, UnknownNameError
from spikeloom.filters import LowPass
from spikeloom.network.parameters import as_array
from spikeloom.plasticity import Normalise, Rule
from spikeloom.plasticity.description import describe, rule_from
from spikeloom.plasticity.rule import Change, Trace
from spikeloom.training import fit
from spikeloom.training.rule_algorithms import RULES

OWN = Rule(
    traces={
        "x": Trace(end="pre", nearest=True, before=True),
        "y": Trace(end="post", of="s + k", filter=LowPass(tau=7.0)),
    },
    changes=(
        Change(trigger="post", pre="x", weight="(w_max - w)**2", eligibility=LowPass(tau=9.0), modulator="m"),
        Change(trigger="post", target="v_th", post="0.1", relax=LowPass(tau=np.linspace(50.0, 100.0, 4))),
        Change(trigger="first", weight="0.5 * w"),
    ),
    parameters={"k": 0.5},
    lr=0.05,
    w_min=-math.inf,
    w_max=2.0,
    normalise=Normalise(total=3.0, every=5, norm="l2"),
)


def net_of(algorithm="full_online_STDP", n=4, k=6, seed=0, model=None, **options):
    net = Network()
    net.source = Encoder(k, coding_method="poisson")
    net.cells = NeuronGroup(n, **(model or {"model": "lif", "tau_m": 20.0, "v_th": 1.5}))
    start = np.random.default_rng(5).uniform(0.2, 0.8, (n, k))
    net.c = Connection(net.source, net.cells, link_type="full", weight=start)
    net.learner = Learner(net.c, algorithm, **options)
    net.set_backend(TorchBackend(dt=1.0, dtype=torch.float64, path="torch"))
    net.set_random_seed(seed)
    return net


def show(net, x=0.4, time=40.0):
    net.source(np.full((1, net.source.shape[0]), x))
    net.run(time)
    return as_array(net.c.weight.value).copy()


MAKERS = {**RULES, **{n: getattr(plasticity, n) for n in plasticity.__all__ if n[0].islower()}}
NEEDED = {"rate_modulate": {"m_r": 1.0}, "rate_modulation": {"target": 1.0}}
NUMBERS = [-1, 0, math.nan, math.inf, -math.inf, 10**400, 2**70, -3000, 3000, 1e308, 1e-320, True]
OTHERS = ["x", "9" * 100, None, [1], {}, np.array([1.0, 2.0])]


@pytest.mark.parametrize("name", MAKERS)
def test_whatever_an_option_of_a_rule_is_given_the_answer_is_a_rule_or_an_error_of_ours(name):
    options = [option for option in inspect.signature(MAKERS[name]).parameters if option != "options"]
    made = 0
    for option in options:
        for given in [*NUMBERS, *OTHERS]:
            with contextlib.suppress(SpikeloomError):
                made += isinstance(MAKERS[name](**NEEDED.get(name, {}) | {option: given}), Rule)
    assert made < len(options) * (len(NUMBERS) + len(OTHERS))


class TestSpaic:
    """SPAIC's learners, against their published lines in NumPy: traces, one change a step, rows, bounds."""

    def by_hand(self, w, train, nearest, total):
        d, v = math.exp(-1 / 20), np.zeros(len(w))
        x, y = np.zeros(w.shape[1]), np.zeros(len(w))
        for t, s in enumerate(train[:, 0].astype(float)):
            v = v * math.exp(-1 / 20.0) + w @ s
            out = (v >= 1.5).astype(float)
            v = np.where(out > 0, 0.0, v)
            x = s + (1 - s) * d * x if nearest else s + d * x
            y = out + (1 - out) * d * y if nearest else out + d * y
            w = w + 5e-4 * np.outer(out, x) - 1e-4 * np.outer(y, s)
            if nearest or t + 1 == len(train):
                w = total * w / np.abs(w).sum(1, keepdims=True)
            w = np.clip(w, 0.0, 1.0)
        return w

    @pytest.mark.parametrize("name", ["nearest_online_stdp", "full_online_STDP"])
    def test_the_seed_s_stdp_is_its_equations(self, name):
        train = (np.random.default_rng(2).random((50, 1, 6)) < 0.3).astype(np.int8)
        net = net_of(name)
        net.source = Encoder(6, coding_method="null")
        net.c = Connection(net.source, net.cells, link_type="full", weight=as_array(net.c.weight.value))
        net.learner = Learner(net.c, name, w_norm=2.4, a_post=5e-4)
        start = as_array(net.c.weight.value).copy()
        net.source(Spikes.from_raster(train, 1.0))
        net.run(50.0)
        expected = self.by_hand(start, train, name.startswith("nearest"), 2.4)
        assert np.ptp(expected) > 0.1
        assert 0.3 < expected.max() < 1.0
        np.testing.assert_allclose(as_array(net.c.weight.value), expected, atol=1e-12)

    @pytest.mark.parametrize("name", ["FULL_ONLINE_STDP", "nearestonlinestdp"])
    def test_rows_sum_to_78_4_after_a_run_on_pictures_as_poisson_spikes(self, name):
        net = net_of(name, n=10, k=784, model={"model": "lif", "tau_m": 100.0, "v_th": 20.0})
        found = show(net, 0.1, 50.0)
        np.testing.assert_allclose(found.sum(1), np.full(10, 78.4), rtol=1e-12)

    def test_two_neurons_that_inhibit_each_other_learn_a_picture_each(self):
        """Two pictures without a common pixel; the weights of each neuron end on one. Without a rate they do not."""
        pictures = np.kron(np.eye(2), np.ones(8)) * 0.5
        for lr in (1.0, 0.0):
            net = Network()
            net.source = Encoder(16, coding_method="poisson")
            net.cells = NeuronGroup(2, "lif", tau_m=20.0, v_th=3.0)
            start = np.random.default_rng(1).uniform(0.2, 0.4, (2, 16))
            net.c = Connection(net.source, net.cells, link_type="full", weight=start)
            inhibition = {"weight": -40.0 * (1 - np.eye(2)), "is_parameter": False}
            net.rival = Connection(net.cells, net.cells, link_type="full", **inhibition)
            net.learner = Learner(net.c, "full_online_stdp", a_post=0.05, w_norm=5.0, lr=lr)
            net.set_backend_dt(1.0)
            net.set_random_seed(0)
            for k in range(30):
                net.source(pictures[k % 2][None])
                net.run(50.0)
            w = as_array(net.c.weight.value)
            share = w.reshape(2, 2, 8).sum(2) / w.sum(1, keepdims=True)
            if lr:
                assert sorted(share.argmax(1)) == [0, 1]
                assert share.max(1).min() > 0.9
            else:
                assert share.max() < 0.65


class TestNames:
    def test_options_have_the_seed_s_names(self):
        rule = Learner(Encoder(1, coding_method="null"), "full_online_STDP", Apost=0.5, Apre=0.25).rule
        assert sorted(rule.parameters.values()) == [0.25, 0.5]

    def test_a_name_that_does_not_exist_is_an_error(self):
        with pytest.raises(UnknownNameError, match="did you mean 'full_online_STDP'"):
            net_of("full_onlin_STDP")
        with pytest.raises(ParameterError, match="unknown parameter 'a_pots'; did you mean 'a_post'"):
            net_of(a_pots=1.0)
        with pytest.raises(ParameterError, match="a rule of its own: unknown parameter 'a_post'"):
            net_of(OWN, a_post=1.0)
        with pytest.raises(
            ParameterError, match="batch must be one of sequential, mean, sum, got 'men'; did you mean 'mean'"
        ):
            net_of(batch="men")
        with pytest.raises(ParameterError, match="apply must be True or False"):
            net_of(apply=1)
        with pytest.raises(ParameterError, match=r"Rule.lr must be a finite number of at least 0, got -1"):
            net_of(lr=-1)

    @pytest.mark.parametrize("given", [{"batch": "mean"}, {"modulator": 1.0}, {"apply": False}])
    def test_what_is_for_rules_is_an_error_beside_gradients(self, given):
        with pytest.raises(
            ParameterError, match=f"{next(iter(given))}= is for rules; algorithm 'stca' trains by gradients"
        ):
            net_of("STCA", **given)

    def test_a_learner_says_its_rule_in_the_printed_network(self):
        assert "learner RULE, rule lr 0.05, batch mean, trains c" in str(net_of(OWN, batch="mean"))
        net = net_of(apply=False)
        net.learner.set_optimizer("SGD", 0.1)
        assert "learner FULL_ONLINE_STDP, rule lr 1, to the gradient, SGD lr 0.1, trains c" in str(net)

    def test_fit_tells_that_a_rule_learns_in_runs_alone(self):
        net = net_of()
        data = ArrayDataset(np.zeros((4, 6), np.float32), np.zeros(4, np.int64))
        with pytest.raises(StateError, match=r"has a rule, which learns in runs: net.run"):
            fit(net, Dataloader(data, batch_size=2), time=5.0, epochs=1)

    def test_the_rate_of_a_rule_can_be_set_and_is_saved(self, tmp_path):
        net = net_of("full_online_STDP")
        assert net.learner.lr == 1.0
        net.learner.lr = 0.25
        assert net.learner.rule.lr == net.learner.lr == 0.25
        network_save(net, "net", path=str(tmp_path))
        assert network_load("net", path=str(tmp_path)).learner.lr == 0.25
        with pytest.raises(ParameterError, match="lr must be a finite number of at least 0, got -1"):
            net.learner.lr = -1
        assert net.learner.lr == 0.25
        net.learner = Learner(net, "stca", lr=0.1)
        with pytest.raises(ParameterError, match="set_optimizer"):
            net.learner.lr = 0.2

    @pytest.mark.parametrize("name", ["bp_rstdp", "bp_rstdpet"])
    @pytest.mark.parametrize("lr", [0.1, 0.5, 2.0])
    def test_the_pull_to_a_rate_is_the_seed_s_whatever_the_rate_of_learning(self, name, lr):
        learner = net_of(name, lr=lr, hs_r=0.03).learner
        assert learner.rule.lr * learner.rule.parameters["homeostasis"] == pytest.approx(0.03)
        learner.lr = 0.7
        assert learner.rule.lr * learner.rule.parameters["homeostasis"] == pytest.approx(0.03)
        assert net_of(name, lr=0).learner.rule.lr == 0

    def test_a_modulator_can_be_set_between_runs_and_nothing_else(self):
        rule = Rule(changes=(Change(trigger="step", modulator="m"),))
        net = net_of(rule, modulator=0.0)
        start = as_array(net.c.weight.value).copy()
        np.testing.assert_array_equal(show(net), start)
        net.learner.modulator = 0.5
        np.testing.assert_allclose(show(net), start + 20.0)
        with pytest.raises(ParameterError, match="fixed once it is made"):
            net.learner.rule = rule


def _mappings(value):
    parts = list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []
    return ([value] if isinstance(value, dict) else []) + [m for part in parts for m in _mappings(part)]


class TestFiles:
    def test_a_rule_comes_back_from_its_description(self):
        written = json.loads(json.dumps(describe(OWN)))
        assert rule_from(written) == OWN

    @pytest.mark.parametrize(
        ("broken", "text"),
        [
            (3, "a rule must be a mapping"),
            ({"lr": 1.0, "learning": 2}, "unknown entry 'learning'"),
            ({"changes": [{}]}, "a change lacks trigger"),
            ({"changes": {}}, "its changes a list"),
            ({"traces": {"x": {"end": "pre", "filter": {"filter": "low_pass"}}}}, "lacks tau"),
            ({"variables": "v"}, "variables must be a list"),
        ],
    )
    def test_a_broken_description_is_an_error(self, broken, text):
        with pytest.raises(DataError, match=text):
            rule_from(broken)

    def test_an_expression_in_a_file_is_never_run(self):
        with pytest.raises(ParameterError, match="unknown function"):
            rule_from({"changes": [{"trigger": "pre", "pre": "open('x')"}]})

    @pytest.mark.parametrize(
        ("entry", "value", "text"),
        [
            ("options", {"algorithm": "stca"}, "algorithm"),
            ("batch", "men", "did you mean 'mean'"),
            ("apply", 3, "apply must be True or False"),
            ("modulator", {"observable": "v"}, "lacks component"),
            ("modulator", {"numbers": "all"}, "numbers must be a number or a list"),
            ("modulator", {"component": "nowhere"}, "nowhere"),
            ("rule", {"changes": [{"trigger": "never"}]}, "trigger must be one of"),
            ("algorithm", "rule", "unknown learning algorithm 'rule'"),
        ],
    )
    def test_a_broken_learner_in_a_file_is_an_error(self, entry, value, text, tmp_path):
        network_save(net_of(), "net", path=str(tmp_path))
        file = next(p for p in tmp_path.rglob("*") if p.suffix in (".yaml", ".yml", ".json"))
        described = yaml.safe_load(file.read_text())
        learner = next(each for each in _mappings(described) if each.get("algorithm") == "full_online_STDP")
        learner[entry] = value
        file.write_text(json.dumps(described))
        with pytest.raises((DataError, ParameterError), match=text):
            network_load("net", path=str(tmp_path))

    @pytest.mark.parametrize("path", ["torch", "auto"])
    @pytest.mark.parametrize("algorithm", ["nearest_online_stdp", OWN])
    def test_a_saved_network_goes_on_as_the_one_that_was_saved(self, algorithm, path, tmp_path):
        net = net_of(algorithm, **({"modulator": 2.0} if algorithm is OWN else {"w_norm": 2.0}))
        net.set_backend(TorchBackend(dt=1.0, dtype=torch.float64, path=path))
        before = show(net)
        network_save(net, "net", path=str(tmp_path))
        twin = network_load("net", path=str(tmp_path))
        twin.set_backend(TorchBackend(dt=1.0, dtype=torch.float64, path=path))
        assert ("plastic path" in str(twin.plan)) is (path == "auto")
        np.testing.assert_array_equal(as_array(twin.c.weight.value), before)
        for each in (net, twin):
            each.set_random_seed(11)
        np.testing.assert_array_equal(show(net), show(twin))
        assert np.abs(show(net) - before).max() > 1e-6
        assert twin.learner.rule == net.learner.rule
        if algorithm is OWN:
            assert net.state_dict()["learner.cells_v_th"].abs().max() > 0
            assert torch.equal(net.state_dict()["learner.runs"], torch.tensor(3))

    def test_a_modulator_comes_back_as_the_component_that_it_was(self, tmp_path):
        net = net_of(OWN)
        net.critic = NeuronGroup(1, "lif")
        net.learner = Learner(net.c, OWN, modulator=(net.critic, "v"))
        network_save(net, "net", path=str(tmp_path))
        twin = network_load("net", path=str(tmp_path))
        assert twin.learner.modulator == (twin.critic, "v")
        net.learner = Learner(net.c, OWN, modulator=torch.tensor([1.0, 2.0]))
        network_save(net, "net", path=str(tmp_path))
        assert network_load("net", path=str(tmp_path)).learner.modulator == [1.0, 2.0]

    def test_a_copy_of_a_network_learns_on_its_own(self):
        net = net_of(OWN, modulator=1.0)
        first = show(net)
        twin = copy.deepcopy(net)
        second = show(twin)
        assert np.abs(second - first).max() > 1e-6
        np.testing.assert_array_equal(as_array(net.c.weight.value), first)

    def test_thresholds_that_were_learnt_go_along_with_a_copy_of_an_assembly(self):
        net = Network()
        net.part = Assembly()
        with net.part:
            net.part.source = Encoder(6, coding_method="null")
            net.part.cells = NeuronGroup(4, "lif", v_th=0.5)
            net.part.c = Connection(net.part.source, net.part.cells, link_type="full", weight=np.full((4, 6), 0.3))
            net.part.learner = Learner(net.part.c, OWN)
        net.set_backend_dt(1.0)
        net.part.source(np.ones((1, 20, 6)))
        net.run(20.0)
        net.copy_assembly("twin", net.part)
        learnt = as_array(net.part.learner.get_value("cells_v_th"))
        assert learnt.min() > 0
        np.testing.assert_array_equal(as_array(net.twin.learner.get_value("cells_v_th")), learnt)
