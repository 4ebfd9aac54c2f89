"""The description of a network; it knows no engine."""

from .actions import ACTION_METHODS, Action
from .codings import CODINGS
from .component import Assembly, Component
from .connection import Connection
from .credit import CREDITS, Credit
from .decoder import Decoder
from .decodings import DECODINGS
from .description import ATTACHED, describe, network_from
from .encoder import Encoder
from .files import network_load, network_save
from .generations import GENERATORS
from .generator import Generator
from .group import NeuronGroup
from .initializers import (
    INITIALIZERS,
    Constant,
    Initializer,
    KaimingNormal,
    KaimingUniform,
    Normal,
    Orthogonal,
    SparseNormal,
    TruncatedNormal,
    Uniform,
    XavierNormal,
    XavierUniform,
    constant,
    kaiming_normal,
    kaiming_uniform,
    normal,
    orthogonal,
    sparse,
    truncated_normal,
    uniform,
    xavier_normal,
    xavier_uniform,
)
from .learned_delays import LearnedDelays, narrow_delays
from .links import LINKS
from .members import Members, member
from .merge import MERGES, Merge
from .module import Module
from .monitors import Monitor, SpikeMonitor, StateMonitor, Tap
from .network import BACKENDS, Network
from .parameters import ParameterStore
from .policies import ConnectPolicy, ExcludedTypePolicy, IncludedTypePolicy, IndexConnectPolicy
from .population import InputPopulation, Population
from .projection import Projection
from .protocols import Attached, Build, Engine, Sink, StepSink
from .rewards import REWARDS, Reward
from .sinks import Record, global_sink, set_global_sink
from .synapses import SYNAPSES

__all__ = [
    "ACTION_METHODS",
    "ATTACHED",
    "BACKENDS",
    "CODINGS",
    "CREDITS",
    "DECODINGS",
    "GENERATORS",
    "INITIALIZERS",
    "LINKS",
    "MERGES",
    "REWARDS",
    "SYNAPSES",
    "Action",
    "Assembly",
    "Attached",
    "Build",
    "Component",
    "ConnectPolicy",
    "Connection",
    "Constant",
    "Credit",
    "Decoder",
    "Encoder",
    "Engine",
    "ExcludedTypePolicy",
    "Generator",
    "IncludedTypePolicy",
    "IndexConnectPolicy",
    "Initializer",
    "InputPopulation",
    "KaimingNormal",
    "KaimingUniform",
    "LearnedDelays",
    "Members",
    "Merge",
    "Module",
    "Monitor",
    "Network",
    "NeuronGroup",
    "Normal",
    "Orthogonal",
    "ParameterStore",
    "Population",
    "Projection",
    "Record",
    "Reward",
    "Sink",
    "SparseNormal",
    "SpikeMonitor",
    "StateMonitor",
    "StepSink",
    "Tap",
    "TruncatedNormal",
    "Uniform",
    "XavierNormal",
    "XavierUniform",
    "constant",
    "describe",
    "global_sink",
    "kaiming_normal",
    "kaiming_uniform",
    "member",
    "narrow_delays",
    "network_from",
    "network_load",
    "network_save",
    "normal",
    "orthogonal",
    "set_global_sink",
    "sparse",
    "truncated_normal",
    "uniform",
    "xavier_normal",
    "xavier_uniform",
]  # fmt: skip
