"""The description of a network; it knows no engine."""

from .codings import CODINGS
from .component import Assembly, Component
from .connection import Connection
from .decoder import Decoder
from .decodings import DECODINGS
from .description import ATTACHED, Members, describe, member, network_from
from .encoder import Encoder
from .files import network_load, network_save
from .group import NeuronGroup
from .initializers import INITIALIZERS, Constant, Initializer, KaimingUniform, Normal, Uniform, XavierUniform
from .links import LINKS
from .monitors import Monitor, SpikeMonitor, StateMonitor
from .network import BACKENDS, Network
from .parameters import ParameterStore
from .protocols import Attached, Build, Engine, Sink

__all__ = [
    "ATTACHED", "BACKENDS", "CODINGS", "DECODINGS", "INITIALIZERS", "LINKS", "Assembly", "Attached", "Build",
    "Component", "Connection", "Constant", "Decoder", "Encoder", "Engine", "Initializer", "KaimingUniform",
    "Members", "Monitor", "Network", "NeuronGroup", "Normal", "ParameterStore", "Sink", "SpikeMonitor",
    "StateMonitor", "Uniform", "XavierUniform", "describe", "member", "network_from", "network_load", "network_save",
]  # fmt: skip
