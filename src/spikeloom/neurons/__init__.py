"""Neuron models: one model a file, each written once in the vocabulary of `spikeloom.ops`."""

from typing import Any

from ..registry import Registry
from .alif import ALIF, ALIFState
from .clif import CLIF, CLIFState
from .clif_variants import CLIF2K, PCLIF, AdaptiveCLIF, AdaptiveCLIFState
from .conductance_lif import ConductanceLIF, ConductanceLIFState
from .cubalif import CubaLIF
from .custom import CUSTOM, Custom, custom_from, custom_model, describe_custom
from .description import describe, neuron_from
from .elm import ELM, ELMState
from .emission import (
    FORWARDS,
    RESETS,
    Emission,
    Forward,
    Graded,
    NoReset,
    Reset,
    Scale,
    Smooth,
    Step,
    Subtract,
    SubtractValue,
    ToValue,
    Winner,
)
from .exponential_if import AdEx, AdExState, ExponentialIF, ExponentialIFState
from .from_function import FunctionNeuron, function_model
from .glif import GLIF5, GLIF5State
from .hodgkin_huxley import HodgkinHuxley, HodgkinHuxleyState
from .inputs import (
    INPUTS,
    BinarySpikeInput,
    InputModel,
    IntegrateFireInput,
    LeakyIntegrateFireInput,
    PoissonInput,
    SpikeInput,
)
from .integer_lif import DiehlAndCook, DiehlAndCookState, IntegerState, LIFInt
from .integrate_and_fire import IF, IFB, IFSoftReset, IFState, NonSpikingIFB
from .izhikevich import Izhikevich, IzhikevichState
from .leaky_integrator import LI
from .lif import LIF, LIFState
from .lif_variants import LIFM, ConstantCurrentLIF, CurrentState, NonSpikingLIF, Null, ResponseState
from .neuron import Neuron, advance
from .plif import PLIF
from .population import CANN, MeanField, RateState
from .refractory import Refractory, refractory_model, with_refractory, without_refractory
from .resonate_and_fire import BalancedResonateAndFire, BalancedState, ResonateAndFire, ResonateState
from .stbif import STBIF, STBIFState
from .stdp_lif import ALIFSTDPEx, LIFSTDPEx, LIFSTDPIh, ThetaState
from .surrogates import (
    SURROGATES,
    Arctan,
    Blocked,
    FastSigmoid,
    Gate,
    Gaussian,
    QuadraticGate,
    Rectangle,
    ReLU,
    Sigmoid,
    Surrogate,
    Triangle,
)
from .ultralif import UltraDLIF, UltraLIF, UltraState

NEURONS: Registry[type[Neuron[Any]]] = Registry("neuron model")
NEURONS.add("if", IF)
NEURONS.add("lif", LIF)
NEURONS.add("clif", CLIF)
NEURONS.add("li", LI)
NEURONS.add("if_soft_reset", IFSoftReset)
NEURONS.add("ifb", IFB)
NEURONS.add("non_spiking_ifb", NonSpikingIFB)
NEURONS.add("plif", PLIF)
NEURONS.add("alif", ALIF)
NEURONS.add("cubalif", CubaLIF)
NEURONS.add("lifm", LIFM)
NEURONS.add("constant_current_lif", ConstantCurrentLIF)
NEURONS.add("non_spiking_lif", NonSpikingLIF)
NEURONS.add("null", Null)
NEURONS.add("clif2k", CLIF2K)
NEURONS.add("pclif", PCLIF)
NEURONS.add("aclif", AdaptiveCLIF)
NEURONS.add("glif5", GLIF5)
NEURONS.add("lifint", LIFInt)
NEURONS.add("diehl_and_cook", DiehlAndCook)
NEURONS.add("lifstdp_ex", LIFSTDPEx)
NEURONS.add("alifstdp_ex", ALIFSTDPEx)
NEURONS.add("lifstdp_ih", LIFSTDPIh)
NEURONS.add("izhikevich", Izhikevich)
NEURONS.add("exponential_if", ExponentialIF)
NEURONS.add("adex", AdEx)
NEURONS.add("hodgkin_huxley", HodgkinHuxley)
NEURONS.add("conductance_lif", ConductanceLIF)
NEURONS.add("resonate_and_fire", ResonateAndFire)
NEURONS.add("balanced_resonate_and_fire", BalancedResonateAndFire)
NEURONS.add("meanfield", MeanField)
NEURONS.add("cann", CANN)
NEURONS.add("ultralif", UltraLIF)
NEURONS.add("ultradlif", UltraDLIF)
NEURONS.add("elm", ELM)
NEURONS.add("stbif", STBIF)
NEURONS.add("quadratic_if", "spikeloom.neurons.quadratic_if:QuadraticIF")

__all__ = [
    "ALIF",
    "CANN",
    "CLIF",
    "CLIF2K",
    "CUSTOM",
    "ELM",
    "FORWARDS",
    "GLIF5",
    "IF",
    "IFB",
    "INPUTS",
    "LI",
    "LIF",
    "LIFM",
    "NEURONS",
    "PCLIF",
    "PLIF",
    "RESETS",
    "STBIF",
    "SURROGATES",
    "ALIFSTDPEx",
    "ALIFState",
    "AdEx",
    "AdExState",
    "AdaptiveCLIF",
    "AdaptiveCLIFState",
    "Arctan",
    "BalancedResonateAndFire",
    "BalancedState",
    "BinarySpikeInput",
    "Blocked",
    "CLIFState",
    "ConductanceLIF",
    "ConductanceLIFState",
    "ConstantCurrentLIF",
    "CubaLIF",
    "CurrentState",
    "Custom",
    "DiehlAndCook",
    "DiehlAndCookState",
    "ELMState",
    "Emission",
    "ExponentialIF",
    "ExponentialIFState",
    "FastSigmoid",
    "Forward",
    "FunctionNeuron",
    "GLIF5State",
    "Gate",
    "Gaussian",
    "Graded",
    "HodgkinHuxley",
    "HodgkinHuxleyState",
    "IFSoftReset",
    "IFState",
    "InputModel",
    "IntegerState",
    "IntegrateFireInput",
    "Izhikevich",
    "IzhikevichState",
    "LIFInt",
    "LIFSTDPEx",
    "LIFSTDPIh",
    "LIFState",
    "LeakyIntegrateFireInput",
    "MeanField",
    "Neuron",
    "NoReset",
    "NonSpikingIFB",
    "NonSpikingLIF",
    "Null",
    "PoissonInput",
    "QuadraticGate",
    "RateState",
    "ReLU",
    "Rectangle",
    "Refractory",
    "Reset",
    "ResonateAndFire",
    "ResonateState",
    "ResponseState",
    "STBIFState",
    "Scale",
    "Sigmoid",
    "Smooth",
    "SpikeInput",
    "Step",
    "Subtract",
    "SubtractValue",
    "Surrogate",
    "ThetaState",
    "ToValue",
    "Triangle",
    "UltraDLIF",
    "UltraLIF",
    "UltraState",
    "Winner",
    "advance",
    "custom_from",
    "custom_model",
    "describe",
    "describe_custom",
    "function_model",
    "neuron_from",
    "refractory_model",
    "with_refractory",
    "without_refractory",
]
