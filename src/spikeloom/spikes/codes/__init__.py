"""Neural codes: each an encoder with its decoder, and the error between them."""

from ...registry import Registry
from .bens_spiker import BensSpiker
from .bursts import Burst, Phase
from .changes import Delta, LevelCrossing, MovingWindow, StepForward, Threshold
from .code import Reconstruction, SignalCode, ValueCode
from .population import GaussianFields
from .rate import Bernoulli, Poisson, Regular
from .time_adaptive import TimeAdaptive
from .timing import RankOrder, TimeToFirstSpike

VALUE_CODES: Registry[type[ValueCode]] = Registry("code of values")
VALUE_CODES.add("regular", Regular)
VALUE_CODES.add("bernoulli", Bernoulli)
VALUE_CODES.add("poisson", Poisson)
VALUE_CODES.add("time_to_first_spike", TimeToFirstSpike)
VALUE_CODES.add("rank_order", RankOrder)
VALUE_CODES.add("phase", Phase)
VALUE_CODES.add("burst", Burst)
VALUE_CODES.add("gaussian_fields", GaussianFields)

SIGNAL_CODES: Registry[type[SignalCode]] = Registry("code of signals")
SIGNAL_CODES.add("delta", Delta)
SIGNAL_CODES.add("level_crossing", LevelCrossing)
SIGNAL_CODES.add("step_forward", StepForward)
SIGNAL_CODES.add("moving_window", MovingWindow)
SIGNAL_CODES.add("bens_spiker", BensSpiker)
SIGNAL_CODES.add("threshold", Threshold)

__all__ = [
    "SIGNAL_CODES",
    "VALUE_CODES",
    "BensSpiker",
    "Bernoulli",
    "Burst",
    "Delta",
    "GaussianFields",
    "LevelCrossing",
    "MovingWindow",
    "Phase",
    "Poisson",
    "RankOrder",
    "Reconstruction",
    "Regular",
    "SignalCode",
    "StepForward",
    "Threshold",
    "TimeAdaptive",
    "TimeToFirstSpike",
    "ValueCode",
]
