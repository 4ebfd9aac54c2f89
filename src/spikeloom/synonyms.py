"""Every synonym that is understood, in one table.

Names are compared without case, underscores, hyphens and spaces, so that `V_th`, `v_th` and `Vth` are one
name already; the table holds only names that differ beyond that. The left side is what users of other
frameworks write, the right side the name used here.
"""

from collections.abc import Mapping

SYNONYMS: Mapping[str, Mapping[str, str]] = {
    "backend": {"pytorch": "torch", "torchbackend": "torch"},
    "neuron model": {"izh": "izhikevich", "aeif": "adex", "leakyintegrator": "li", "nonspikinglif": "li"},
    "neuron parameter": {
        "vthresh": "v_th",
        "vthreshold": "v_th",
        "threshold": "v_th",
        "taumem": "tau_m",
        "tau": "tau_m",
    },
    "neuron group": {"neuronmodel": "model", "neuronnumber": "num", "neuronshape": "shape", "n": "num"},
    "observable": {
        "o": "spikes",
        "s": "spikes",
        "spike": "spikes",
        "z": "spikes",
        "i": "i_syn",
        "current": "i_syn",
        "membranepotential": "v",
        "u": "v",
    },
    "link type": {
        "fullconnection": "full",
        "dense": "full",
        "onetooneconnection": "one_to_one",
        "convconnection": "conv",
        "poolconnection": "pool",
        "sparseconnection": "sparse",
        "sparseconnect": "sparse",
    },
    "encoding": {
        "poissongenerator": "poisson",
        "float": "constant_current",
        "ccgenerator": "constant_current",
        "constant": "constant_current",
        "ttfs": "latency",
    },
    "encoder": {"encoding": "coding_method"},
    "decoding": {"counts": "spike_counts", "rate": "spike_rate", "spikerates": "spike_rate", "ttfs": "first_spike"},
    "decoder": {"decoding": "coding_method", "target": "dec_target"},
    "learning algorithm": {"surrogate": "sbp", "surrogatebp": "sbp"},
    "surrogate": {
        "rect": "rectangle",
        "rectanglegrad": "rectangle",
        "boxcar": "rectangle",
        "atan": "arctan",
        "atangrad": "arctan",
        "sigmoidgrad": "sigmoid",
        "gauss": "gaussian",
        "superspike": "fast_sigmoid",
        "triangular": "triangle",
    },
    "optimizer": {"rpop": "Rprop", "adamx": "Adamax"},
    "schedule": {},
    "initializer": {},
    "data set": {"sklearndigits": "digits"},
}


def folded(name: str) -> str:
    """The name without case, underscores, hyphens and spaces: what names are compared by."""
    return name.lower().replace("_", "").replace("-", "").replace(" ", "")
