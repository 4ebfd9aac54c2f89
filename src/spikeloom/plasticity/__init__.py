"""Plasticity: rules as records, over traces of the spikes of both ends of a connection.

What a rule does in one step is plain array code in the vocabulary of `spikeloom.ops`, on NumPy arrays and on tensors;
the compiled kernel (`spikeloom.native.plastic`) is its twin. `spikeloom.backends.PlasticRun` runs either.
"""

from .calibration import calibrated_gain, calibrated_threshold, rate_modulation
from .hebbian import bcm, feast, oja, oja_subspace
from .normalise import Normalise
from .reward import (
    astrocyte_stdp,
    feedback_rstdp,
    feedback_rstdp_eligibility,
    rstdp,
    rstdp_eligibility,
    switch_rstdp,
)
from .rule import Change, Rule, Trace
from .timing import (
    TRIPLETS,
    Triplets,
    diehl_cook,
    integer_stdp,
    meta_stdp,
    stdp,
    symmetric_stdp,
    triplet_stdp,
)

__all__ = [
    "TRIPLETS",
    "Change",
    "Normalise",
    "Rule",
    "Trace",
    "Triplets",
    "astrocyte_stdp",
    "bcm",
    "calibrated_gain",
    "calibrated_threshold",
    "diehl_cook",
    "feast",
    "feedback_rstdp",
    "feedback_rstdp_eligibility",
    "integer_stdp",
    "meta_stdp",
    "oja",
    "oja_subspace",
    "rate_modulation",
    "rstdp",
    "rstdp_eligibility",
    "stdp",
    "switch_rstdp",
    "symmetric_stdp",
    "triplet_stdp",
]
