"""Credit: which paths gradients take on their way back, whatever stands for the derivative of a spike.

    dL/dW = sum over t of delta_t (x) pre_t
    delta_t = psi(v_t) (back^T delta_t of what follows + what comes from t + 1)

Three choices: whether anything comes from t + 1 (`carry`), what stands for the spikes of the source in a weight's
gradient (`trace`), and which weights bring the error back (`back`). The surrogate psi is the emission's; where in time
the loss stands is up to the training (`fit(window=...)`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from ..errors import ParameterError
from ..registry import Registry, did_you_mean

Back = Literal["weights", "random", "sign"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Credit:
    """What gradients pass.

    carry: from step to step within neurons, synaptic currents and loops; False keeps them within each step. trace:
    the decay per step of the sum of past spikes that stands for the spikes of the source in a weight's gradient; None:
    the spikes themselves. back: what brings the error to the source: the 'weights', fixed 'random' ones of their mean
    magnitude, or the 'sign' of the weights times it. seed: of the random ones, which a connection's path also tells
    apart.
    """

    carry: bool = True
    trace: float | None = None
    back: Back = "weights"
    seed: int = 0

    def __post_init__(self) -> None:
        if not isinstance(self.carry, bool):
            raise ParameterError(f"Credit.carry must be True or False, got {self.carry!r}")
        number = isinstance(self.trace, (int, float)) and not isinstance(self.trace, bool) and 0 <= self.trace < 1
        if self.trace is not None and not number:
            raise ParameterError(f"Credit.trace must be a decay per step, 0 <= trace < 1, or None, got {self.trace!r}")
        if self.back not in (known := get_args(Back)):
            hint = did_you_mean(str(self.back), known)
            raise ParameterError(f"Credit.back must be one of {', '.join(known)}, got {self.back!r}{hint}")
        if not isinstance(self.seed, int) or isinstance(self.seed, bool) or self.seed < 0:
            raise ParameterError(f"Credit.seed must be a whole number from 0 on, got {self.seed!r}")

    @property
    def is_plain(self) -> bool:
        """Whether it is that of backpropagation through time."""
        return self.carry and self.trace is None and self.back == "weights"


BPTT = Credit()
"""Backpropagation through time."""

CREDITS: Registry[Credit] = Registry("credit")
CREDITS.add("bptt", BPTT)
CREDITS.add("sltt", Credit(carry=False))
CREDITS.add("ottt", Credit(carry=False, trace=0.5))
CREDITS.add("feedback_alignment", Credit(back="random"))
CREDITS.add("sign_symmetric", Credit(back="sign"))


def credit_of(given: Credit | str) -> Credit:
    """The credit of a name, or itself: 'sltt' (Meng et al. 2023, ICCV), 'ottt' (Xiao et al. 2022, NeurIPS),
    'feedback_alignment' (Lillicrap et al. 2016), 'sign_symmetric' (Liao et al. 2016)."""
    if isinstance(given, str):
        return CREDITS[given]
    if not isinstance(given, Credit):
        raise ParameterError(f"credit must be a Credit or one of {', '.join(CREDITS)}, got {given!r}")
    return given
