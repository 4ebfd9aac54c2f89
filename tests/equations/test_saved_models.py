"""Models from equations in files: as their texts, read again under the same limits."""

import copy
import json

import numpy as np
import pytest
import torch
from test_custom_neurons import EXPONENTIAL_CURRENT, HODGKIN_HUXLEY
from test_syntax import HOSTILE
from twins import adaptive, izhikevich, lif

import spikeloom as sl
from spikeloom.network.description import describe, network_from
from spikeloom.neurons.custom import custom_from, describe_custom

MODELS = {
    "lif": lif,
    "izhikevich": izhikevich,
    "adaptive threshold": lambda: adaptive(surrogate="sigmoid", detach_reset=True, trains=["tau", "jump"]),
    "exponential current": lambda: sl.custom_model(**EXPONENTIAL_CURRENT, name="Exponential"),
    "hodgkin huxley": lambda: sl.custom_model(**HODGKIN_HUXLEY, method="rk4"),
    "one number a neuron": lambda: sl.custom_model("dv/dt = (i - v)/tau : 1", parameters={"tau": np.linspace(3, 5, 4)}),
    "declared units": lambda: sl.custom_model(
        "dv/dt = (v_0 - v + i*Mohm)/tau : volt\ntau : second\nv_0 : volt", initial={"v": 0.01},
        parameters={"tau": 0.02, "v_0": -0.07},
    ),
}  # fmt: skip


def network(model):
    net = sl.Network()
    net.x = sl.Encoder(5, coding_method="null")
    net.a = sl.NeuronGroup(4, model)
    net.c = sl.Connection(net.x, net.a, link_type="full", w_mean=1.0, w_std=1.0)
    net.v = sl.StateMonitor(net.a, model.State._fields[0])
    net.set_random_seed(1)
    net.set_backend(sl.TorchBackend(dt=0.1, dtype=torch.float64, path="torch"))
    return net


def values(net):
    net.x(np.random.default_rng(0).random((2, 20, 5)))
    net.run(2.0)
    return np.asarray(net.v.values)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("form", ["json", "yaml"])
def test_a_loaded_network_is_the_one_that_was_saved(tmp_path, name, form):
    net = network(MODELS[name]())
    loaded = sl.network_load(sl.network_save(net, "net", tmp_path, trans_format=form))
    again = sl.network_save(loaded, "again", tmp_path, trans_format=form)
    assert describe(loaded) == describe(net) == describe(sl.network_load(again))
    assert str(loaded.a.neuron) == str(net.a.neuron)
    assert type(loaded.a.neuron) is type(net.a.neuron)
    loaded.set_backend(sl.TorchBackend(dt=0.1, dtype=torch.float64, path="torch"))
    np.testing.assert_array_equal(values(loaded), values(net))


def test_the_file_holds_the_texts(tmp_path):
    file = sl.network_save(network(sl.custom_model(**EXPONENTIAL_CURRENT)), "net", tmp_path)
    with open(file) as opened:
        group = json.load(opened)["components"]["a"]
    assert group["model"] == "custom"
    definition = group["parameters"]["definition"]
    assert definition["equations"] == EXPONENTIAL_CURRENT["equations"]
    assert definition["units"]["tau_x"] == "ms"
    assert (group["parameters"]["tau_x"], group["parameters"]["t_r"]) == (4.0, 3.0)


def test_a_refractory_period_of_the_group_is_kept(tmp_path):
    net = sl.Network()
    net.a = sl.NeuronGroup(4, lif(), t_ref=2.5)
    loaded = sl.network_load(sl.network_save(net, "net", tmp_path))
    assert loaded.a.neuron == net.a.neuron
    assert loaded.a.neuron.t_ref == 2.5


def test_what_was_trained_is_kept(tmp_path):
    net = network(adaptive(trains=["tau"]))
    values(net)
    net.store.assign("a.tau", np.array(4.25))
    loaded = sl.network_load(sl.network_save(net, "net", tmp_path))
    assert loaded.a.get_value("tau") == 4.25
    assert loaded.a.neuron.tau == 9.5  # where it began


# ---- hostile files


def described():
    return describe(network(sl.custom_model(**EXPONENTIAL_CURRENT)))


def with_definition(**changes):
    description = copy.deepcopy(described())
    description["components"]["a"]["parameters"]["definition"].update(changes)
    return description


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("where", ["equations", "threshold", "reset", "refractory", "on_input", "initial", "units"])
def test_a_hostile_text_in_a_file_is_a_clear_error(name, where):
    text = HOSTILE[name][0]
    whole = {
        "equations": f"{EXPONENTIAL_CURRENT['equations']}\ny = {text} : 1",
        "reset": f"v = {text}",
        "on_input": f"v = {text}",
        "initial": {"v": text},
        "units": {**dict.fromkeys(EXPONENTIAL_CURRENT["parameters"], "ms"), "tau": text},
    }.get(where, text)
    if where in ("threshold", "refractory", "units") and not text:
        return  # no threshold, no period; a unit that is to be found
    with pytest.raises(sl.DataError, match=r"components\.a: ") as caught:
        network_from(with_definition(**{where: whole}))
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "__class__"}, "name must be a name"),
        ({"name": "x" * 1000}, "name must be a name"),
        ({"name": 3}, "name must be a name"),
        ({"equations": 3}, "equations must be a text"),
        ({"equations": "dv/dt = -v/ms : 1\n" * 5000}, "at most 20000"),
        ({"threshold": ["v > 3"]}, "threshold must be a text"),
        ({"method": "magic"}, "unknown method 'magic'"),
        ({"units": [1]}, "units must be a mapping"),
        ({"units": {"__class__": "1"}}, "must map names to texts"),
        ({"units": {"tau": 3}}, "must map names to texts"),
        ({"units": {f"p{k}": "1" for k in range(500)}}, "500 parameters"),
        ({"units": {"update": "1"}}, "cannot be called 'update'|is no variable"),
        ({"initial": {"v": 3}}, "must map names to texts"),
        ({"initial": {"x.y": "3"}}, "must map names to texts"),
        ({"trains": "tau"}, "trains must be a list"),
        ({"trains": ["x.y"]}, "trains must be a list"),
        ({"trains": ["nothing"]}, "there is no parameter 'nothing'"),
        ({"more": 3}, "must be a mapping with just"),
    ],
)
def test_a_wrong_definition_in_a_file_is_told(changes, message):
    with pytest.raises(sl.DataError, match=message):
        network_from(with_definition(**changes))


def test_wrong_parameters_in_a_file_are_told():
    for change, message in (
        ({"tau": "20*ms"}, "tau must be a number"),
        ({"tau": None}, "tau must be a number"),
        ({"tau": 0.0}, "division by zero"),
        ({"tau": [1.0, 2.0]}, "must be a number or have shape"),
        ({"more": 3.0}, "unknown parameters"),
        ({"emission": {"threshold": "v_th"}}, "is not complete"),
        ({"definition": None}, "must be a mapping with just"),
    ):
        description = copy.deepcopy(described())
        description["components"]["a"]["parameters"].update(change)
        with pytest.raises(sl.DataError, match=message):
            network_from(description)
    for parameters in (None, [], {}, {"tau": 3}):
        with pytest.raises(sl.DataError, match="with its definition"):
            custom_from(parameters)


def test_a_missing_parameter_in_a_file_is_told():
    description = describe_custom(lif())
    del description["tau_m"]
    with pytest.raises(sl.DataError, match="lacks tau_m"):
        custom_from(description)
