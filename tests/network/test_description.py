"""Descriptions of networks: complete, and refused with their place when they are spoilt."""

import copy
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from saved_networks import NETWORKS, made

import spikeloom as sl
from spikeloom.errors import DataError
from spikeloom.network import describe, network_from
from spikeloom.network.links import Sparse


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
    assert describe(net) == {
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


def test_the_number_of_given_synapses_comes_back_for_any_number():
    for n in range(1, 36):
        net = sl.Network()
        net.a, net.b = sl.NeuronGroup(5, model="lif"), sl.NeuronGroup(7, model="lif")
        where = np.stack(np.divmod(np.arange(n), 5))
        net.c = sl.Connection(net.a, net.b, link_type=Sparse(indices=where))
        assert network_from(describe(net)).c.parameter_specs()[0].shape == (2, n)


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
    ("dense", "components/..\\..\\x", {"kind": "assembly"}, r"components\.\.\."),
    ("dense", "components/__class__", {"kind": "assembly"}, "components.__class__"),
    ("dense", "components/run", {"kind": "assembly"}, "components.run"),
    ("dense", "components/store", {"kind": "assembly"}, "components.store"),
    ("dense", "components/network", {"kind": "assembly"}, "'network' is the network itself"),
    ("dense", "components/network.x", {"kind": "assembly"}, "no assembly 'network'"),
    ("dense", "components/a.b", {"kind": "assembly"}, "no assembly 'a'"),
    ("dense", "components/x", {"kind": "os.system"}, r"components\.x: unknown kind 'os.system'"),
    ("dense", "components/x", {}, "'kind'"),
    ("dense", "components/x", 3, "'kind'"),
    ("dense", "components/a/shape", [10**9, 10**9], "more than 10000000 neurons"),
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
    ("looped", "components/block.c3/filter", {"filter": "log_spaced", "tau_min": 1, "tau_max": 2, "n": 10**12}, "Log"),
    ("looped", "components/mon_v/variable", "__dict__", r"components\.mon_v.*__dict__"),
    ("looped", "components/mon_o/variable", "v", r"components\.mon_o.*StateMonitor"),
    ("looped", "components/learner/trainable", "block", r"components\.learner.*trainable"),
    ("looped", "components/learner/trainable", ["blokc"], "did you mean 'block'"),
    ("looped", "components/learner/options/surrogate", "sgima", r"components\.learner"),
    ("looped", "components/learner/optimizer/name", "RMSprp", "did you mean 'RMSprop'"),
    ("looped", "components/learner/optimizer/lr", "big", r"components\.learner.*learning rate"),
    ("looped", "components/learner/schedule", {"name": "StepLR", "step": 1}, r"components\.learner.*'step'"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "path", "value", "match"), [row for row in HOSTILE if row[3]])
def test_a_spoilt_description_is_refused_with_its_place(name, path, value, match):
    with pytest.raises(DataError, match=match):
        network_from(spoilt(name, path, value))


@pytest.mark.parametrize("path", ["../../x", "/etc/passwd", "a/../b", "", ".", "a.", ".a", "a b", "1a"])
def test_a_path_that_is_no_path_of_names_is_refused(path):
    description = copy.deepcopy(SAVED["dense"])
    description[C][path] = {"kind": "assembly"}
    with pytest.raises(DataError, match=re.escape(f"components.{path}:")):
        network_from(description)


def test_nesting_without_end_is_refused():
    endless: list = []
    endless.append(endless)
    with pytest.raises(DataError, match=r"description\.name"):
        network_from(spoilt("dense", "name", endless))


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


@settings(max_examples=200, deadline=None)
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
