"""The description of a network; it knows no engine."""

from .codings import CODINGS
from .component import Assembly, Component
from .connection import Connection
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
from .protocols import Attached, Build, Engine, Sink
from .synapses import SYNAPSES

__all__ = [
    "ATTACHED",
    "BACKENDS",
    "CODINGS",
    "DECODINGS",
    "GENERATORS",
    "INITIALIZERS",
    "LINKS",
    "MERGES",
    "SYNAPSES",
    "Assembly",
    "Attached",
    "Build",
    "Component",
    "ConnectPolicy",
    "Connection",
    "Constant",
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
    "Sink",
    "SparseNormal",
    "SpikeMonitor",
    "StateMonitor",
    "Tap",
    "TruncatedNormal",
    "Uniform",
    "XavierNormal",
    "XavierUniform",
    "constant",
    "describe",
    "kaiming_normal",
    "kaiming_uniform",
    "member",
    "network_from",
    "network_load",
    "network_save",
    "normal",
    "orthogonal",
    "sparse",
    "truncated_normal",
    "uniform",
    "xavier_normal",
    "xavier_uniform",
]  # fmt: skip
