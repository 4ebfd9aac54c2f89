"""Names of SPAIC that are not here, in one table: why, and what to use.

A name is either dropped, or comes later. Registries, constructors and attributes raise what `absent` gives for it. The
left side is folded as in `synonyms`: without case, underscores, hyphens and spaces.
"""

from collections.abc import Mapping
from typing import NamedTuple

from .synonyms import folded


class Absent(NamedTuple):
    """Why a name is not here; later: whether it will be."""

    why: str
    later: bool = False


_COMPLEX = "it needs complex-valued neurons, which model no neuron; use spike_counts or first_spike_time"
_CHIP = "it is the fixed-point arithmetic of one chip; use model='lif' or 'clif', or 'lifint' for whole numbers"
_TRUE = "it needs a learning rule that SPAIC has removed; use model='clif' with Learner(algorithm='STCA')"
_DATA = "this data set has no reader yet; read it into arrays and give them to ArrayDataset(data, labels)"
_MODULE = "modules of the original's layout are not copied; import the classes from spikeloom"
_SPIKEPROP = "it needs SpikeProp, which SPAIC has removed; use first_spike_time"
_DEVICE = "one network runs on one device; choose it in set_backend('torch', device)"
_HOOK = "SPAIC never called it; write an algorithm and register it with ALGORITHMS.add(name, function)"
_OPERATIONS = "a network is no list of operations; write a neuron as a class, or an nn.Module and Module(it)"

SETTERS: Mapping[str, str] = {
    "dt": "set_backend_dt(dt)",
    "backend_dt": "set_backend_dt(dt)",
    "seed": "set_random_seed(seed)",
    "random_seed": "set_random_seed(seed)",
    "training": "train() or eval()",
    "backend": "set_backend('torch')",
    "device": "set_backend('torch', device)",
    "threads": "set_backend(TorchBackend(threads=...))",
}
"""What a network has a method for: setting an attribute of the name would do nothing."""

ABSENT: Mapping[str, Mapping[str, Absent]] = {
    "name": {
        "synapse": Absent(_MODULE + "; synapses are Connection(..., syn_type=[...])"),
        "neuronmodel": Absent("a model is a dataclass with one update; subclass spikeloom.Neuron"),
        "node": Absent("it has no use of its own; use Encoder, Generator or Decoder"),
        "encoders": Absent(_MODULE),
        "decoders": Absent(_MODULE),
        "generators": Absent(_MODULE),
        "rewards": Absent(_MODULE + "; a method is named: Reward(..., coding_method='global_reward')"),
        "actions": Absent(_MODULE + "; a method is named: Action(..., coding_method='softmax_action')"),
        "backend": Absent("an engine is any class with the methods of spikeloom.network.Engine; use TorchBackend"),
        "ratemodulate": Absent("an algorithm is named: Learner(connection, 'rate_modulate', m_r=10)"),
        "stca": Absent("an algorithm is named: Learner(trainable=net, algorithm='STCA', alpha=0.5)"),
        "adam": Absent("an optimizer is named: learner.set_optimizer('Adam', lr)"),
        "synapsemodel": Absent("a synapse is a frozen dataclass; spikeloom.network.SYNAPSES.add gives it its name"),
        "surrogatebp": Absent("an algorithm is named: Learner(trainable=net, algorithm='sbp')"),
        "customdataset": Absent("it is ArrayDataset(data, labels)"),
        "octmnist": Absent(_DATA, later=True),
        "pathmnist": Absent(_DATA, later=True),
        "mnistvoices": Absent(_DATA, later=True),
        "cifar10": Absent(_DATA, later=True),
        "baseinitializer": Absent("it is spikeloom.network.Initializer"),
        "networkloader": Absent(_MODULE + "; it is network_load"),
        "op": Absent(_OPERATIONS),
        "fewspikereluinput": Absent("few-spike codes need neurons that read them; use PoissonInput or a latency code"),
        "basemodule": Absent("it has no use of its own; all components are spikeloom.network.Component"),
    },
    "neuron model": {
        "qlif": Absent(_TRUE),
        "selif": Absent(_TRUE),
        "slif": Absent(_TRUE),
        "darwinclif": Absent(_CHIP),
        "darwinalif": Absent(_CHIP),
        "darwinrandom": Absent(_CHIP),
    },
    "neuron parameter": {
        "preferdevice": Absent(_DEVICE),
        "outlayer": Absent("the place in a network follows from the connections; omit it"),
        "varibleranges": Absent("ranges of trained values are not built yet; clamp them after optim_step", later=True),
        "neuronposition": Absent("positions belong to the connection: link_type='distance', pre_positions="),
        "type": Absent("it is neuron_type="),
    },
    "link type": {
        "complexattention": Absent("it needs complex-valued neurons, which model no neuron; use Module(nn.Module)"),
        "spike2mass": Absent("it is a low-pass filter with a fixed dt; use link_type='full', filter=LowPass(tau=6.0)"),
        "mass2spike": Absent("it is a low-pass filter with a fixed dt; use link_type='full', filter=LowPass(tau=6.0)"),
    },
    "link parameter": {
        "sparsewithmask": Absent("a sparse connection stays sparse while it learns; omit it"),
        "issparse": Absent("it is link_type='sparse'"),
        "prevarname": Absent("a connection carries the output of its source; omit it"),
        "postvarname": Absent("it is port=, the name of an input of the neuron"),
        "preferdevice": Absent(_DEVICE),
        "weightquantization": Absent("quantised weights are not built yet", later=True),
        "flatten": Absent("link_type='full' flattens by itself; omit it"),
    },
    "synapse": {
        "delaycomplexsynapse": Absent("it needs complex-valued neurons; use delay= with one time for each synapse"),
        "mixordersynapse": Absent("it needs complex-valued neurons; use second_order_synapse"),
    },
    "coding option": {
        "nodetype": Absent("the class says what a node is; omit it"),
        "dt": Absent("a network has one step: net.set_backend_dt(dt)"),
        "dectarget": Absent("an encoder is joined by connections; a Generator takes dec_target="),
        "rewardshape": Absent("the method says whether a reward is one for each sample or for each neuron; omit it"),
    },
    "network option": {
        "partition": Absent("one network runs on one device; omit it"),
        "strategy": Absent("only a connection in a loop carries a step, whatever the order of creation; omit it"),
        "hdf5": Absent("weights are written as safetensors, which other programs read too; omit it"),
        "device": Absent("weights go to where the network is built; choose it in set_backend('torch', device)"),
        "fullenablegrad": Absent("gradients reach all that a Learner trains: Learner(trainable=[...])"),
    },
    "connect policy option": {
        "level": Absent("labels are looked for at every level; IndexConnectPolicy takes pairs (level, number)"),
    },
    "decoding": {
        "timesoftmax": Absent(_SPIKEPROP),
        "spikeconv": Absent("it failed for want of a dt; use Module(nn.Conv1d(...)) or the decoding null"),
        "complexconv": Absent(_COMPLEX),
        "complexcount": Absent(_COMPLEX),
        "complexphase": Absent(_COMPLEX),
        "complexlatency": Absent(_COMPLEX),
        "complextimingdistance": Absent(_COMPLEX),
        "complextrajectory": Absent(_COMPLEX),
    },
    "learning algorithm": {
        "resume": Absent("it was an empty stub; use algorithm='STCA'"),
        "force": Absent("it was an empty stub; use algorithm='STCA'"),
        "truespikeprop": Absent("SPAIC has removed it; use algorithm='STCA'"),
        "biohash": Absent("SPAIC has removed it; use algorithm='STCA'"),
    },
    "learner option": {
        "paramrunupdate": Absent("gradients change weights at optim_step(), rules in each run; omit it"),
    },
    "attribute": {
        "train": Absent("a whole network is trained: net.train()"),
        "eval": Absent("a whole network is evaluated: net.eval()"),
        "reset": Absent("run starts from rest by itself, run_continue where the last run ended; omit it"),
        "initrun": Absent("run starts from rest by itself; omit it"),
        "enablefullgrad": Absent("gradients reach all that a Learner trains: Learner(trainable=[...])"),
        "getassemblykey": Absent("a member knows its name: member.name, member.path"),
        "getsuperassemblies": Absent("a member lies in one assembly: member.ancestors()"),
        "addtype": Absent("types are given at the start: NeuronGroup(..., neuron_type='excitatory')"),
        "structurecopy": Absent("it is copy_assembly"),
        "initrecord": Absent("each run begins a record by itself; omit it"),
        "pushspiketrain": Absent("spikes are made by Spikes.from_times and given to an Encoder"),
        "customrule": Absent(_HOOK),
        "connectionrule": Absent(_HOOK),
        "neuronrule": Absent(_HOOK),
    },
}  # fmt: skip


def absent(kind: str, name: object) -> str | None:
    """The text of the error for a name of a kind that SPAIC has and we do not; None for any other."""
    found = ABSENT.get(kind, {}).get(folded(name)) if isinstance(name, str) else None
    if found is None:
        return None
    return f"{kind} {name!r} {'comes later' if found.later else 'is dropped'}: {found.why}"
