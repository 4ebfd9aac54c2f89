"""The table of SPAIC's names: what it says is kept is there, and what it says is not raises just what it says."""

import re
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

import pytest
from torch import nn

import spikeloom as sl
from spikeloom.absent import ABSENT, absent
from spikeloom.network import ACTION_METHODS, CODINGS, DECODINGS, INITIALIZERS, LINKS, REWARDS
from spikeloom.network.generations import GENERATORS
from spikeloom.network.policies import POLICIES
from spikeloom.network.synapses.pipeline import SYNAPSES
from spikeloom.neurons import NEURONS, SURROGATES
from spikeloom.synonyms import folded
from spikeloom.training import OPTIMIZERS, SCHEDULES
from spikeloom.training.algorithms import ALGORITHMS


class Row(NamedTuple):
    section: str
    name: str
    state: str
    here: str


def rows() -> list[Row]:
    found, section = [], ""
    for line in (Path(__file__).parents[2] / "docs" / "names.md").read_text().splitlines():
        if line.startswith("## "):
            section = line[3:]
        elif cells := re.fullmatch(r"\| `(\w+)` \| (kept|later|dropped) \| (.+) \|", line):
            found.append(Row(section, cells[1], cells[2], cells[3].strip("`") if cells[2] == "kept" else cells[3]))
        else:
            assert not line.startswith("| `"), line
    return found


REGISTRIES = {
    "Neuron models": NEURONS, "Link types": LINKS, "Synapses (`syn_type`)": SYNAPSES, "Connect policies": POLICIES,
    "Initializers": INITIALIZERS, "Encodings": CODINGS, "Generators": GENERATORS, "Decodings": DECODINGS,
    "Learning algorithms": ALGORITHMS, "Optimizers": OPTIMIZERS, "Schedules": SCHEDULES,
    "Surrogates of `sbp`": SURROGATES, "Rewards": REWARDS, "Actions": ACTION_METHODS,
}  # fmt: skip


def group(**options) -> sl.NeuronGroup:
    given = {"model": "lif", "num": 4} | options
    for other, own in (("neuron_model", "model"), ("neuron_number", "num"), ("neuron_shape", "num"), ("shape", "num")):
        if other in options:
            del given[own]
    return sl.NeuronGroup(**given)


def connection(**options) -> sl.Connection:
    return sl.Connection(group(), group(), **({"link_type": "full"} | options))


def encoder(**options) -> sl.Encoder:
    return sl.Encoder(**({} if "shape" in options else {"num": 4}) | options)


def decoder(**options) -> sl.Decoder:
    return sl.Decoder(**({} if {"target", "dec_target"} & options.keys() else {"dec_target": group()}) | options)


def reward(**options) -> sl.Reward:
    given = {name: value for name, value in options.items() if value is not None}
    return sl.Reward(**({"dec_target": group(), "coding_method": "global_reward"} | given))


def action(**options) -> sl.Action:
    given = {name: value for name, value in options.items() if value is not None}
    return sl.Action(**({"dec_target": group(), "coding_method": "softmax_action"} | given))


def learner(**options) -> sl.Learner:
    return sl.Learner(**({"trainable": group()} | options))


def agent() -> dict[str, object]:
    """The arguments that a pipeline needs."""
    world, net = sl.GymEnvironment("CartPole-v1"), sl.Network()
    with net:
        net.seen = sl.Encoder(world.num)
        net.out = group(num=world.action_num)
        net.action = action(dec_target=net.out)
    return {"network": net, "environment": world, "time": 1.0}


def network() -> sl.Network:
    net = sl.Network()
    net.layer = group()
    return net


PROJECTION = {"pre": group(), "post": group(), "policies": [sl.IncludedTypePolicy()], "link_type": "full"}
MODULE = {"module": nn.Linear(4, 4), "input_targets": group(), "output_targets": group()}
FUNCTION = {"input_vars": ["V"], "output_vars": ["V"], "new_vars_dict": {"V": 0.0, "Vth": 1.0}}
MAKERS = {
    "Arguments of Network.set_backend": lambda **options: network().set_backend(**({"backend": "torch"} | options)),
    "Arguments of Network.build": lambda **options: network().build(**({"backend": "torch"} | options)),
    "Arguments of Network.save_state": lambda **options: network().save_state(**options),
    "Arguments of Network.state_from_dict": lambda **options: network().state_from_dict({}, **options),
    "Arguments of IncludedTypePolicy": sl.IncludedTypePolicy,
    "Arguments of StateMonitor": lambda **options: sl.StateMonitor(**({"target": group(), "var_name": "V"} | options)),
    "Arguments of Projection": lambda **options: sl.Projection(**(PROJECTION | options)),
    "Arguments of Module": lambda **options: sl.Module(**(MODULE | options)),
    "Arguments of custom_model": lambda **options: sl.NeuronGroup.custom_model(**(FUNCTION | options))(lambda V: V),
    "Arguments of NeuronGroup": group, "Arguments of Connection": connection, "Arguments of Encoder": encoder,
    "Arguments of Decoder": decoder, "Arguments of Learner": learner, "Arguments of Reward": reward,
    "Arguments of Action": action, "Arguments of RLPipeline": lambda **options: sl.RLPipeline(**(agent() | options)),
}  # fmt: skip
VALUES = {
    "model": "clif", "neuron_model": "clif", "shape": (2, 2), "neuron_shape": (2, 2), "neuron_type": ["excitatory"],
    "name": "a", "parameter_variables": [], "link_type": "full", "syn_type": ["basic"], "weight": [[0.5] * 4] * 4,
    "bias": True, "w_min": -1.0, "w_max": 1.0, "is_parameter": True, "coding_method": None, "encoding": "poisson",
    "decoding": "spike_counts", "coding_var_name": "O", "algorithm": "STCA", "param": {"tau_m": 5.0}, "lr": 0.1,
    "backend": "torch", "device": "cpu", "pre_types": "excitatory", "post_types": ["inhibitory"],
    "var_name": "V", "index": [[1, 3]], "get_grad": True, "nbatch": True,
    "policies": [sl.IncludedTypePolicy()], "ConnectionParameters": {"w_mean": 0.1}, "module": nn.Linear(4, 4),
    "input_var_names": "O[updated]", "output_var_names": "Isyn", "input_vars": ["V"], "output_vars": ["V"],
    "new_vars_dict": {"V": 0.0, "Vth": 1.0}, "equation_type": "iterative", "custom_function_name": "custom",
    "base_model": None, "add_threshold": True,
    "pop_size": 2, "probability_random_action": 0.1, "replay_memory": True,
    "time": 10.0, "coding_time": 10.0, "dt": 0.1, "w_mean": 0.1, "w_std": 0.1,
}  # fmt: skip
"""A value for each argument that is not simply 4."""


TARGETS = ("trainable", "pathway", "dec_target", "target", "input_targets", "output_targets", "pre", "post")
"""The arguments that are populations."""


def value_of(name: str) -> dict[str, object]:
    if name in ("network", "environment"):
        return {name: agent()[name]}
    if name == "syn_kwargs":
        return {"syn_type": ["basic", "dropout"], name: {"p": 0.5}}
    if name == "min_delay":
        return {"max_delay": 4.0, name: 2.0}
    return {name: group() if name in TARGETS else VALUES.get(name, 4)}


def monitored(kind) -> object:
    return kind(group(), "v" if kind is sl.StateMonitor else "O")


OWNERS = {
    "Attributes of Library": lambda: sl.Library, "Attributes of Dataloader": lambda: sl.Dataloader,
    "Attributes of Network": sl.Network, "Attributes of Assembly": sl.Assembly, "Attributes of Learner": learner,
    "Attributes of Action": lambda: sl.Action, "Attributes of RLPipeline": lambda: sl.RLPipeline(**agent()),
    "Attributes of NeuronGroup": group, "Attributes of Connection": connection, "Attributes of Decoder": decoder,
    "Attributes of StateMonitor": lambda: monitored(sl.StateMonitor),
    "Attributes of SpikeMonitor": lambda: monitored(sl.SpikeMonitor),
}  # fmt: skip


def ask(row: Row) -> object:
    """What the name stands for, or the error that it raises."""
    if row.section in REGISTRIES:
        return REGISTRIES[row.section][row.name]
    if row.section in MAKERS:
        return MAKERS[row.section](**value_of(row.name))
    if row.section in OWNERS:
        return getattr(OWNERS[row.section](), row.name)
    assert row.section in ("Names of the package", "Names of mlGeNN's page of data")
    return getattr(sl, row.name)


ROWS = rows()


@pytest.mark.parametrize("row", [r for r in ROWS if r.state == "kept"], ids=lambda r: f"{r.section}: {r.name}")
def test_a_kept_name_is_there_under_the_name_that_the_table_gives(row):
    if row.section in REGISTRIES:
        assert REGISTRIES[row.section].name_of(row.name) == row.here
        assert ask(row) is not None
    elif row.section in OWNERS:
        owner, _, name = row.here.partition(".")
        assert hasattr(getattr(sl, owner), name)
    elif row.section in MAKERS:
        assert row.here == f"{row.name}="
        ask(row)
    elif row.name in ("Library", "Network_saver"):
        assert import_module(row.here).network_save is sl.network_save
    else:
        assert row.here == f"spikeloom.{row.name}"
        assert ask(row) is not None


@pytest.mark.parametrize("row", [r for r in ROWS if r.state != "kept"], ids=lambda r: f"{r.section}: {r.name}")
def test_a_dropped_or_later_name_raises_the_text_of_the_table(row):
    with pytest.raises((AttributeError, LookupError, ValueError)) as raised:
        ask(row)
    text = raised.value.args[0]
    assert text == row.here
    assert {"later": "comes later", "dropped": "is dropped"}[row.state] in text.partition(":")[0]


def test_the_table_has_every_name_that_is_not_here_and_each_name_once():
    names = [(row.section, row.name) for row in ROWS]
    assert len(names) == len(set(names)) > 300
    told = {folded(row.name) for row in ROWS if row.state != "kept"}
    assert told == {name for kind in ABSENT.values() for name in kind}


def test_an_absent_name_is_told_in_any_spelling_and_other_names_still_get_a_suggestion():
    with pytest.raises(LookupError, match=r"'Darwin-CLIF' is dropped: .* use model='lif'"):
        group(model="Darwin-CLIF")
    with pytest.raises(LookupError, match="did you mean 'clif'"):
        group(model="cliff")
    assert absent("neuron model", "lif") is None
    assert absent("neuron model", 3) is None
