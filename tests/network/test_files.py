"""Saving and loading: nothing is lost, nothing is run, nothing is left half done."""

import copy
import json
import os
import struct
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file

import spikeloom as sl
from spikeloom.errors import DataError, ParameterError, ShapeError, StateError, UnknownNameError, UnsupportedError
from spikeloom.Library import network_save as library_save
from spikeloom.network import KaimingUniform, Normal, describe, network_from
from spikeloom.network.links import Sparse
from spikeloom.Network_saver import network_load, network_save
from spikeloom.neurons import LIF, Gaussian, Subtract

T, B = 8, 2


def dense(net: sl.Network) -> None:
    net.input = sl.Encoder(6, encoding="poisson", unit_conversion=0.5)
    net.a = sl.NeuronGroup(5, model="clif", tau_m=np.linspace(15, 25, 5))
    net.c = sl.Connection(net.input, net.a, link_type="full", weight=np.linspace(0, 1, 30).reshape(5, 6), bias=True)
    net.b = sl.NeuronGroup(5, model="lif", v_th=0.3, emission=sl.Emission(surrogate=Gaussian(0.1), reset=Subtract()))
    net.d = sl.Connection(net.a, net.b, link_type="one_to_one", w_mean=0.4)
    net.output = sl.Decoder(dec_target=net.b)


def sparse(net: sl.Network) -> None:
    net.input = sl.Encoder(6)
    net.a = sl.NeuronGroup(5, model="if", parameter_variables=["v_th"])
    net.b = sl.NeuronGroup(4, model="lif")
    net.c = sl.Connection(net.input, net.a, link_type="sparse", density=0.5, w_mean=0.8, bias=np.full(5, 0.1))
    weight = np.random.default_rng(0).random((4, 5)) * (np.arange(20).reshape(4, 5) % 3 == 0)
    net.d = sl.Connection(net.a, net.b, link_type="sparse", weight=weight)
    net.e = sl.Connection(net.a, net.b, link_type="sparse", indices=np.array([[0, 3, 3], [1, 2, 4]]), w_mean=0.9)
    net.output = sl.Decoder(dec_target=net.b, coding_method="spike_rate")


def image(net: sl.Network) -> None:
    net.input = sl.Encoder(shape=(2, 6, 6), coding_method="bernoulli", max_prob=0.9)
    net.a = sl.NeuronGroup(model="lif", shape=(4, 6, 6), scale_input=True)
    net.b = sl.NeuronGroup(model="lif", shape=(4, 3, 3), v_th=0.5)
    net.c = sl.Connection(net.input, net.a, link_type="conv", padding=1, groups=2, weight=KaimingUniform(3.0))
    net.d = sl.Connection(net.a, net.b, link_type="pool", pool="avg", kernel_size=(2, 2), scale=2.0)
    net.out = sl.NeuronGroup(3, model="li")
    net.e = sl.Connection(net.b, net.out, link_type="full", weight=Normal(0.2, 0.3))
    net.output = sl.Decoder(dec_target=net.out, coding_method="v_t")


def looped(net: sl.Network) -> None:
    net.block = sl.Assembly()
    net.back = sl.Assembly()
    a, b = sl.NeuronGroup(5, model="lif"), sl.NeuronGroup(4, model="lif")
    net.input = sl.Encoder(6)
    net.block.c1 = sl.Connection(net.input, a, link_type="full", w_std=1.0)
    net.back.c2 = sl.Connection(b, a, link_type="full", w_std=0.8, delay=2.0)
    sos = [[0.2, 0.1, 0.05, 1.0, -0.5, 0.1]]
    net.block.c3 = sl.Connection(a, b, link_type="full", w_std=1.0, filter=sl.LowPass(tau=np.linspace(2, 5, 4)))
    net.c4 = sl.Connection(a, b, link_type="full", w_std=1.0, filter=sl.SecondOrderSections(sos=sos))
    net.block.a, net.block.b = a, b
    net.output = sl.Decoder(dec_target=b, pop_size=2)
    net.mon_v, net.mon_o = sl.StateMonitor(a, "V"), sl.SpikeMonitor(b)
    net.learner = sl.Learner(trainable=[net.block], algorithm="SBP", surrogate=Gaussian(0.3), lr=0.05)
    net.learner.set_optimizer("Adam", betas=(0.9, 0.99))
    net.learner.set_schedule("StepLR", 10)


NETWORKS = [dense, sparse, image, looped]


def made(build, name: str | None = "net") -> sl.Network:
    net = sl.Network(name)
    build(net)
    net.set_backend_dt(1.0)
    net.set_random_seed(3)
    return net


def answer(net: sl.Network) -> torch.Tensor:
    net.set_random_seed(7)
    net.input(np.random.default_rng(1).random((B, *net.input.shape)))
    net.run(T)
    return net.output.predict


def trained(net: sl.Network) -> sl.Network:
    """The network after one step of plain gradient descent."""
    answer(net).square().sum().backward()
    with torch.no_grad():
        for parameter in net.parameters():
            if parameter.grad is not None:
                parameter -= 0.01 * parameter.grad.sign()
    return net


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize("build", NETWORKS)
@pytest.mark.parametrize("options", [{}, {"trans_format": "YML"}, {"combine": True}])
def test_a_loaded_network_gives_the_answers_of_the_saved_one(build, options):
    net = trained(made(build))
    expected = answer(net)
    assert expected.abs().sum() > 0
    loaded = sl.network_load(sl.network_save(net, "saved", **options))
    assert torch.equal(answer(loaded), expected)
    assert loaded.backend.dt == 1.0


@pytest.mark.parametrize("build", NETWORKS)
@pytest.mark.parametrize("form", ["json", "yaml"])
def test_a_loaded_network_is_saved_as_the_same_bytes(build, form, folder):
    net = trained(made(build))
    sl.network_save(net, "x", "first", form)
    sl.network_save(net, "x", "second", form)
    sl.network_save(sl.network_load("x", "first"), "x", "third", form)
    first, second, third = (contents(folder / name) for name in ("first", "second", "third"))
    assert len(first) == 2
    assert first == second == third


def test_both_text_formats_hold_the_same_values():
    net = made(looped)
    as_json = json.loads(Path(sl.network_save(net, "a", trans_format="Json")).read_text())
    as_yaml = yaml.safe_load(Path(sl.network_save(net, "b", trans_format="yaml")).read_text())
    assert as_json == as_yaml
    assert list(as_json["components"]) == list(as_yaml["components"]) == [c.path for c in net.walk()]


def test_numbers_survive_exactly():
    net = sl.Network()
    net.a = sl.NeuronGroup(2, model="lif", tau_m=0.1 + 0.2, v_rest=-1e-7, v_th=[1 / 3, 1e22])
    for form in ("json", "yaml"):
        neuron = sl.network_load(sl.network_save(net, form, trans_format=form)).a.neuron
        assert (neuron.tau_m, neuron.v_rest, *neuron.v_th) == (0.1 + 0.2, -1e-7, 1 / 3, 1e22)


def test_the_description_says_everything_about_a_small_network():
    net = sl.Network("small")
    net.input = sl.Encoder(4, coding_method="latency", max_scale=0.5)
    net.layer = sl.NeuronGroup(2, model="if", v_th=2.0)
    net.c = sl.Connection(net.input, net.layer, link_type="full", delay=3, filter=sl.LowPass(tau=5.0))
    net.set_random_seed(9)
    net.set_backend_dt(0.5)
    emission = {"variable": "v", "threshold": "v_th", "detach_reset": False, "forward": {"name": "step"}}
    emission |= {"surrogate": {"name": "arctan", "alpha": 2.0}, "reset": {"name": "to_value", "value": "v_reset"}}
    parameters = {"constant_decay": 0.0, "v_th": 2.0, "v_reset": 0.0, "emission": emission}
    link = {"weight": None, "bias": None, "w_mean": 0.005, "w_std": 0.05}
    synapse = {"filter": "low_pass", "tau": 5.0, "normalise": False}
    connection = {"kind": "connection", "pre": "input", "post": "layer", "link_type": "full", "link": link}
    assert sl.network_save(net, save=False) == {
        "format": "spikeloom.network",
        "version": 1,
        "name": "small",
        "seed": 9,
        "dt": 0.5,
        "components": {
            "input": {"kind": "encoder", "shape": [4], "coding_method": "latency", "options": {"max_scale": 0.5}},
            "layer": {"kind": "neuron_group", "shape": [2], "model": "if", "parameters": parameters, "trains": []},
            "c": connection | {"delay": 3.0, "filter": synapse, "port": "i_syn"},
        },
    }


def test_an_optimizer_trains_what_was_loaded():
    net = sl.network_load(sl.network_save(made(looped), "x"))
    before = {name: value.copy() for name, value in net.store.arrays().items()}
    predict = answer(net)
    net.learner.optim_zero_grad()
    (predict.sum() + predict.square().sum()).backward()
    net.learner.optim_step()
    assert net.learner.optim.param_groups[0]["lr"] == 0.05
    assert tuple(net.learner.optim.param_groups[0]["betas"]) == (0.9, 0.99)
    assert net.learner.schedule.step_size == 10
    after = net.store.arrays()
    changed = {name for name in after if not np.array_equal(after[name], before[name].astype(np.float32))}
    assert changed == {"block.c1.weight", "block.c3.weight"}


def test_a_learner_comes_back_with_its_settings():
    net = made(looped)
    net.all = sl.Learner(trainable=[net, net.c4], algorithm="STCA", alpha=0.4)
    loaded = sl.network_load(sl.network_save(net, "x"))
    assert loaded.learner.surrogate == Gaussian(0.3)
    assert loaded.learner.trainable == [loaded.block]
    assert loaded.all.trainable == [loaded, loaded.c4]
    assert loaded.all.surrogate.alpha == 0.4


def test_a_network_saved_before_its_first_run_starts_from_the_same_weights():
    net = made(dense)
    loaded = sl.network_load(sl.network_save(net, "x"))
    assert torch.equal(answer(loaded), answer(net))


def test_without_weights_they_are_drawn_from_the_seed_and_need_not_be_there():
    net = made(image)
    file = sl.network_save(net, "x", save_weight=False)
    assert not Path("x/x.safetensors").exists()
    drawn = sl.network_load(file, load_weight=False).draw_parameters().arrays()
    assert all(np.array_equal(drawn[name], value) for name, value in net.store.arrays().items())
    with pytest.raises(DataError, match=r"x\.safetensors.*without weights"):
        sl.network_load(file)


def test_files_lie_where_the_names_say_and_the_working_folder_stays(folder):
    net = made(dense)
    assert network_save(net, "net.v1.2", "deep/er") == str(Path("deep/er/net.v1.2/net.v1.2.json"))
    assert library_save(net, trans_format="yaml") == str(Path("net/net.yml"))
    assert net.save("by.method", combine=True) == str(Path("by.method/by.method.json"))
    both = {f"deep/er/net.v1.2/net.v1.2.{end}" for end in ("json", "safetensors")}
    assert set(contents(folder)) == both | {"net/net.yml", "net/net.safetensors", "by.method/by.method.json"}
    assert Path.cwd() == folder
    for given in (("net.v1.2", "deep/er"), (folder / "net",), ("by.method/by.method.json", folder)):
        assert describe(network_load(*given)) == describe(net)


def test_a_class_gives_its_name_to_a_network_without_one():
    class Example(sl.Network):
        pass

    net = Example()
    dense(net)
    assert net.save() == str(Path("Example/Example.json"))
    assert net.save_state() == "Example.safetensors"


def test_a_save_into_an_old_folder_replaces_it_and_two_descriptions_must_be_told_apart(folder):
    sl.network_save(made(sparse), "x")
    sl.network_save(made(dense), "x")
    assert describe(sl.network_load("x")) == describe(made(dense))
    sl.network_save(made(dense), "x", trans_format="yaml")
    with pytest.raises(DataError, match=r"x\.json, x\.yml"):
        sl.network_load("x")
    sl.network_load("x/x.yml")


@pytest.mark.parametrize("fails_at", [0, 1])
@pytest.mark.parametrize("existed", [True, False])
def test_a_save_that_fails_leaves_everything_as_it_was(fails_at, existed, folder, monkeypatch):
    if existed:
        sl.network_save(made(dense), "x")
    before, replace, calls = contents(folder), os.replace, []

    def failing(source, target):
        calls.append(target)
        if len(calls) == fails_at + 1:
            raise OSError("no space left on device")
        replace(source, target)

    monkeypatch.setattr(os, "replace", failing)
    with pytest.raises(OSError, match="no space"):
        sl.network_save(made(sparse), "x")
    assert contents(folder) == before
    assert len(calls) > fails_at


def test_a_network_that_cannot_be_saved_touches_no_file(folder):
    net = made(dense)
    sl.network_save(net, "x")
    before = contents(folder)
    net.learner = sl.Learner(trainable=net)
    net.learner.set_optimizer("Adam", 0.1)
    net.learner.set_schedule("LambdaLR", lr_lambda=lambda epoch: 0.9**epoch)
    with pytest.raises(UnsupportedError, match=r"components\.learner\.schedule\.lr_lambda"):
        sl.network_save(net, "x")
    assert contents(folder) == before


def _own_model(net: sl.Network) -> None:
    class Mine(LIF):
        pass

    net.mine = sl.NeuronGroup(2, model=Mine())


def _outside(net: sl.Network) -> None:
    net.lost = sl.Connection(sl.NeuronGroup(2, model="lif"), net.a, link_type="full")


def _outside_learner(net: sl.Network) -> None:
    net.learner = sl.Learner(trainable=sl.NeuronGroup(2, model="lif"))


def _own_component(net: sl.Network) -> None:
    class Mine(sl.NeuronGroup):
        pass

    net.mine = Mine(2, model="lif")


def _no_synapse(net: sl.Network) -> None:
    net.none = sl.Connection(net.input, net.a, link_type="sparse", weight=np.zeros((5, 6)))


@pytest.mark.parametrize(
    ("edit", "error", "match"),
    [
        (_own_model, UnsupportedError, "neuron model Mine"),
        (_own_component, UnsupportedError, "kind of component Mine"),
        (_outside, StateError, "'lost'.*pre .*not in the network"),
        (_outside_learner, StateError, "'learner' trains .*not in the network"),
        (_no_synapse, UnsupportedError, "'none' has no synapse"),
    ],
)
def test_what_a_file_cannot_hold_is_refused(edit, error, match):
    net = made(dense)
    edit(net)
    with pytest.raises(error, match=match):
        sl.network_save(net, "x")


@pytest.mark.parametrize(
    ("arguments", "error", "match"),
    [
        ({"trans_format": "jason"}, UnknownNameError, "did you mean 'json'"),
        ({"trans_format": None}, UnknownNameError, "one of: json"),
        ({"filename": ".."}, ParameterError, "filename"),
        ({"filename": "/"}, ParameterError, "filename"),
        ({"net": "x"}, ParameterError, "must be a Network"),
    ],
)
def test_wrong_arguments_of_a_save_are_refused(arguments, error, match):
    with pytest.raises(error, match=match):
        sl.network_save(**({"net": made(dense)} | arguments))


# What was saved, spoilt by hand.

SAVED = {build.__name__: describe(made(build)) for build in NETWORKS}


def spoilt(name: str, path: str, value: object) -> dict:
    """A copy of a description with another value at a path such as `components/c/link/w_mean`."""
    description = copy.deepcopy(SAVED[name])
    *way, last = path.split("/")
    place = description
    for key in way:
        place = place[key]
    if value is KeyError:
        del place[last]
    else:
        place[last] = value
    return description


C = "components"
HOSTILE = [
    ("dense", "format", "something", "description.*format"),
    ("dense", "version", 2, "version 2"),
    ("dense", "version", KeyError, "version None"),
    ("dense", "seed", -1, "description.*seed"),
    ("dense", "seed", "1", "description.*seed"),
    ("dense", "dt", 0, "description.*dt"),
    ("dense", "dt", KeyError, "lacks dt"),
    ("dense", "name", "../../x", "description.*'../../x'"),
    ("dense", "code", "import os", "unknown entry 'code'"),
    ("dense", C, [], "components must be a mapping"),
    ("dense", "components/../../x", {"kind": "assembly"}, r"components\.\.\./\.\./x"),
    ("dense", "components/__class__", {"kind": "assembly"}, "components.__class__"),
    ("dense", "components/run", {"kind": "assembly"}, "components.run"),
    ("dense", "components/store", {"kind": "assembly"}, "'store' is taken"),
    ("dense", "components/network", {"kind": "assembly"}, "'network' is the network itself"),
    ("dense", "components/network.x", {"kind": "assembly"}, "no assembly 'network'"),
    ("dense", "components/a.b", {"kind": "assembly"}, "no assembly 'a'"),
    ("dense", "components/x", {"kind": "os.system"}, r"components\.x: unknown kind 'os.system'"),
    ("dense", "components/x", {}, "'kind'"),
    ("dense", "components/x", 3, "'kind'"),
    ("dense", "components/a/shape", [10**9, 10**9], r"components\.a.*shape"),
    ("dense", "components/a/shape", [True], r"components\.a.*shape"),
    ("dense", "components/a/shape", [], r"components\.a.*shape"),
    ("dense", "components/a/shape", 5.0, r"components\.a.*shape"),
    ("dense", "components/a/model", "clip", "did you mean 'clif'"),
    ("dense", "components/a/model", "os:system", "os:system"),
    ("dense", "components/a/parameters/tau_m", "8", r"components\.a.*tau_m"),
    ("dense", "components/a/parameters/tau_m", [1, [2]], r"components\.a.*tau_m"),
    ("dense", "components/a/parameters/tau_m", [1.0, 2.0], r"components\.a.*tau_m"),
    ("dense", "components/a/parameters/tau_m", float("inf"), r"tau_m must be a finite number"),
    ("dense", "components/a/parameters/emission/threshold", "__class__", r"components\.a.*emission"),
    ("dense", "components/a/parameters/emission/reset", {"name": "eval"}, r"components\.a.*emission"),
    ("dense", "components/a/parameters/emission/surrogate/alpha", -1, r"components\.a.*alpha"),
    ("dense", "components/a/trains", "v_0", r"components\.a.*trains"),
    ("dense", "components/a/trains", ["v0", "update"], r"components\.a.*'update'"),
    ("dense", "components/a/emission", {}, r"components\.a.*'emission'"),
    ("dense", "components/c/pre", "inptu", "did you mean 'input'"),
    ("dense", "components/c/pre", ["input"], r"components\.c.*pre"),
    ("dense", "components/c/pre", "output", r"components\.c.*pre"),
    ("dense", "components/c/post", "network", r"components\.c.*post"),
    ("dense", "components/c/post", KeyError, "lacks post"),
    ("dense", "components/c/delay", True, r"components\.c.*delay"),
    ("dense", "components/c/delay", -1.0, r"components\.c.*delay"),
    ("dense", "components/c/port", "w", r"components\.c.*port"),
    ("dense", "components/c/link_type", "ful", "did you mean 'full'"),
    ("dense", "components/c/link/w_mean", "0", r"components\.c.*w_mean"),
    ("dense", "components/c/link/weigth", None, "did you mean 'weight'"),
    ("dense", "components/c/link/weight", [[1.0]], r"components\.c.*weight"),
    ("dense", "components/c/link/bias", 1, r"components\.c.*bias"),
    ("dense", "components/c/link/weight", {"initializer": "pickle"}, r"components\.c.*pickle"),
    ("dense", "components/c/link/weight", {"initializer": "normal", "std": []}, r"components\.c.*std"),
    ("dense", "components/c/link", None, r"components\.c.*link"),
    ("dense", "components/input/options", {"unit": 1}, r"components\.input.*'unit'"),
    ("dense", "components/input/options", {"unit_conversion": []}, r"components\.input.*unit_conversion"),
    ("dense", "components/input/coding_method", None, r"components\.input.*coding_method"),
    ("dense", "components/output/options/pop_size", 3, r"components\.output.*pop_size"),
    ("dense", "components/output/target", "input", r"components\.output.*dec_target"),
    ("dense", "weights", [], "weights: .*mapping"),
    ("dense", "weights", {"c.weight": [[1, 2], [3]]}, "weights"),
    ("sparse", "components/c/link/density", 1e-30, None),
    ("sparse", "components/c/link/density", 2, r"components\.c.*density"),
    ("sparse", "components/c/link/indices", [[0], [10**9]], r"components\.c.*indices"),
    ("image", "components/c/link/kernel_size", [10**6, 10**6], r"components\.c"),
    ("image", "components/c/link/stride", 0, r"components\.c.*stride"),
    ("image", "components/c/link/padding", [1, -1], r"components\.c.*padding"),
    ("image", "components/c/link/groups", 3.0, r"components\.c.*groups"),
    ("image", "components/d/link/pool", "min", r"components\.d.*'min'"),
    ("looped", "components/block.c3/filter/tau", 0, r"components\.block\.c3.*tau"),
    ("looped", "components/block.c3/filter", {"filter": "exec"}, r"components\.block\.c3.*exec"),
    ("looped", "components/block.c3/filter", {"filter": "log_spaced", "tau_min": 1, "tau_max": 2, "n": 10**12}, "block"),
    ("looped", "components/mon_v/variable", "__dict__", r"components\.mon_v.*__dict__"),
    ("looped", "components/mon_o/variable", "v", r"components\.mon_o.*StateMonitor"),
    ("looped", "components/learner/trainable", "block", r"components\.learner.*trainable"),
    ("looped", "components/learner/trainable", ["blokc"], "did you mean 'block'"),
    ("looped", "components/learner/options/surrogate", "sgima", r"components\.learner"),
    ("looped", "components/learner/optimizer/name", "Adma", "did you mean 'Adam'"),
    ("looped", "components/learner/optimizer/lr", "big", r"components\.learner.*learning rate"),
    ("looped", "components/learner/schedule", {"name": "StepLR", "step": 1}, r"components\.learner.*'step'"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "path", "value", "match"), [row for row in HOSTILE if row[3]])
def test_a_spoilt_description_is_refused_with_its_place(name, path, value, match):
    with pytest.raises(DataError, match=match):
        network_from(spoilt(name, path, value))


def test_a_huge_dense_connection_is_refused_before_anything_is_allocated():
    description = copy.deepcopy(SAVED["dense"])
    for name in ("input", "a"):
        description[C][name]["shape"] = [10**6]
    description[C]["a"]["parameters"]["tau_m"] = 10.0
    for name in ("b", "d", "output"):
        del description[C][name]
    with pytest.raises(DataError, match=r"components\.c: .*1000000"):
        network_from(description)


def places(value, path=()):
    if isinstance(value, dict):
        for key, part in value.items():
            yield (*path, key)
            yield from places(part, (*path, key))


junk = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 10**13) | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=2),
    max_leaves=4,
)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_other_value_anywhere_gives_a_network_or_a_data_error(data):
    name = data.draw(st.sampled_from(sorted(SAVED)))
    path = data.draw(st.sampled_from(sorted(places(SAVED[name]))))
    value = data.draw(st.just(KeyError) | junk)
    try:
        net = network_from(spoilt(name, "/".join(path), value))
    except DataError:
        return
    assert describe(net)["format"] == "spikeloom.network"


@pytest.mark.parametrize(
    ("suffix", "text", "match"),
    [
        (".json", '{"format": "spikeloom.network", ', "cannot be read"),
        (".json", "", "cannot be read"),
        (".json", "[" * 100_000, "cannot be read"),
        (".json", "[" * 100 + "]" * 100, "description"),
        (".json", '{"dt": NaN}', "NaN"),
        (".json", '{"dt": 1, "dt": 2}', "stand once"),
        (".json", "\udcff", "cannot be read"),
        (".yml", "!!python/object/apply:os.system ['touch owned']", "tags"),
        (".yml", "!!python/name:os.system", "tags"),
        (".yml", "a: !!timestamp x", "tags"),
        (".yml", "a: &a [1]\nb: [*a, *a]", "aliases"),
        (".yml", "a: 1\na: 2", "stand once"),
        (".yml", "? [1]\n: 2", "stand once"),
        (".yml", "a: 2024-01-01", "finite number"),
        (".yml", "<<: {a: 1}", "cannot be read"),
        (".yml", "--- 1\n--- 2", "cannot be read"),
        (".yml", "[" * 5000, "cannot be read"),
        (".yml", "3", "no description"),
        (".yml", "", "no description"),
    ],
)
def test_text_that_is_no_description_is_refused_with_its_file(suffix, text, match, folder):
    file = folder / f"x{suffix}"
    file.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(DataError, match=match) as caught:
        sl.network_load(file)
    assert str(file) in str(caught.value)
    assert not (folder / "owned").exists()


def test_a_description_of_a_size_that_nobody_writes_is_not_read(folder, monkeypatch):
    monkeypatch.setattr("spikeloom.network.files.MAX_DESCRIPTION", 100)
    (folder / "x.json").write_text(" " * 101)
    with pytest.raises(DataError, match="at most 100 bytes"):
        sl.network_load("x.json")
    with pytest.raises(DataError, match="combine=False"):
        sl.network_save(made(dense), "y")


@pytest.mark.parametrize("name", ["nothing", "nothing.json", "empty", "x.txt"])
def test_a_name_without_a_network_is_refused(name, folder):
    (folder / "empty").mkdir()
    (folder / "x.txt").write_text("{}")
    with pytest.raises(DataError, match=name):
        sl.network_load(name)


# Weights.


def saved_weights(build) -> tuple[str, Path, dict[str, np.ndarray]]:
    file = sl.network_save(made(build), "x")
    weights = Path(file).with_suffix(".safetensors")
    return file, weights, load_file(weights)


@pytest.mark.parametrize("spoil", [lambda b: b[:-1], lambda b: b + b"0", lambda b: b[:20], lambda b: b""])
def test_torn_and_lengthened_weights_are_refused(spoil):
    file, weights, _ = saved_weights(dense)
    weights.write_bytes(spoil(weights.read_bytes()))
    with pytest.raises(DataError, match=r"x\.safetensors.*torn"):
        sl.network_load(file)


def test_weights_of_a_type_that_numpy_lacks_are_refused():
    file, weights, arrays = saved_weights(dense)
    header = {
        name: {"dtype": "BF16", "shape": list(array.shape), "data_offsets": [0, 0]} for name, array in arrays.items()
    }
    end = 0
    for name, array in arrays.items():
        header[name]["data_offsets"] = [end, end := end + 2 * array.size]
    text = json.dumps(header).encode()
    weights.write_bytes(struct.pack("<Q", len(text)) + text + bytes(end))
    with pytest.raises(DataError, match="bfloat16"):
        sl.network_load(file)


@pytest.mark.parametrize(
    ("build", "edit", "match"),
    [
        (dense, lambda w: w.pop("c.weight"), "'c.weight' is missing"),
        (dense, lambda w: w.update({"c.wieght": w.pop("c.weight")}), "'c.wieght'; did you mean 'c.weight'"),
        (dense, lambda w: w.update({"c.weight": w["c.weight"].T.copy()}), r"'c.weight' must have shape \(5, 6\)"),
        (dense, lambda w: w.update({"c.weight": w["c.weight"].astype(int)}), "'c.weight' must hold real numbers"),
        (sparse, lambda w: w.update({"c.indices": w["c.indices"] + 99}), "'c.indices'"),
        (sparse, lambda w: w.update({"c.indices": w["c.indices"] - 99}), "'c.indices'"),
        (sparse, lambda w: w.update({"c.indices": w["c.indices"] * 1.0}), "'c.indices' must be int64"),
    ],
)
def test_weights_that_do_not_fit_are_refused_by_name(build, edit, match):
    file, weights, arrays = saved_weights(build)
    edit(arrays)
    save_file(arrays, weights)
    with pytest.raises(DataError, match=match):
        sl.network_load(file)
    net = made(build)
    before = net.draw_parameters().arrays()
    with pytest.raises((DataError, ParameterError, ShapeError), match=match):
        net.state_from_dict(arrays)
    assert all(np.array_equal(before[name], value) for name, value in net.store.arrays().items())


def test_a_state_holds_the_weights_alone_and_goes_back_in_place(folder):
    net = trained(made(looped))
    file = net.save_state("run.1", "states")
    assert file == str(Path("states/run.1.safetensors"))
    expected, kept = answer(net), net.save_state(save=False)
    tensors = dict(net.named_parameters())
    trained(net)
    assert not torch.equal(answer(net), expected)
    for given in ({"filename": file}, {"filename": "run.1", "direct": "states"}, {"state": kept}):
        trained(net).state_from_dict(**given)
        assert torch.equal(answer(net), expected)
        assert all(tensors[name] is value for name, value in net.named_parameters())
    assert list(contents(folder)) == ["states/run.1.safetensors"]


def test_a_state_goes_into_a_network_that_was_never_built_and_is_copied():
    net = trained(made(dense))
    other = made(dense)
    other.state_from_dict(net.state_dict())
    assert torch.equal(answer(other), answer(net))
    expected = answer(net)
    trained(trained(other))
    assert torch.equal(answer(net), expected)


@pytest.mark.parametrize("given", [{}, {"state": {}, "filename": "x"}, {"state": 3}])
def test_a_state_is_given_once_and_as_a_mapping(given):
    with pytest.raises(ParameterError, match="state_from_dict"):
        made(dense).state_from_dict(**given)


def test_a_missing_file_of_a_state_is_named():
    with pytest.raises(DataError, match=r"nowhere\.safetensors"):
        made(dense).state_from_dict(filename="nowhere")


def test_the_number_of_given_synapses_comes_back_for_any_number():
    for n in range(1, 36):
        net = sl.Network()
        net.a, net.b = sl.NeuronGroup(5, model="lif"), sl.NeuronGroup(7, model="lif")
        where = np.stack(np.divmod(np.arange(n), 5))
        net.c = sl.Connection(net.a, net.b, link_type=Sparse(indices=where))
        assert network_from(describe(net)).c.parameter_specs()[0].shape == (2, n)
