"""Credit: which paths gradients take on their way back, whatever stands for the derivative of a spike.

    dL/dW = sum over t of delta_t (x) pre_t
    delta_t = psi(v_t) (back^T delta_t of what follows + what comes from t + 1)

Five choices: whether anything comes from t + 1 (`carry`), whether spikes pass errors on (`relay`), what stands for the
spikes of the source in a weight's gradient (`trace`) and for psi (`post_trace`), and which weights bring the error back
(`back`). The surrogate psi is the emission's; where in time the loss stands is up to the training (`fit(window=...)`).

Without relay this is e-prop (Bellec et al. 2020, eq. 1, 13, 24 and 28): what comes from t + 1 then is the neuron's own
memory alone, so that the sum over t of delta_t (x) pre_t is that of L_t F(psi_t eps_t), with the eligibility vector eps
of the neuron, the filter F of the read-out, and the learning signal L, the error of read-outs times `back`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from ..errors import ParameterError
from ..registry import Registry, did_you_mean

Back = Literal["weights", "random", "adaptive", "sign", "none"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Credit:
    """What gradients pass.

    carry: from step to step within neurons, synaptic currents and loops; False keeps them within each step. relay:
    through spikes; False: a population that fires is taught by the read-outs that it leads to, and by a loss of its own
    spikes, but not by what it makes fire, nor through its reset. trace: the decay per step of the sum of past spikes
    that stands for the spikes of the source in a weight's gradient; None: the spikes themselves. post_trace: the decay
    per step of the sum of past psi, which the spikes of this step are counted with too: e_t (psi_t (x) trace of pre_t +
    trace of psi_t (x) pre_t), e_t the error of the neuron's spikes; None: they are not. back: what brings the error to
    the source: the 'weights', fixed 'random' ones of their mean magnitude, 'adaptive' ones that move as the weights do
    (off them by random numbers of variance 1 / fan-in), the 'sign' of the weights times it, or 'none', so that a
    population learns from losses of its own alone (`LocalLoss`). seed: of the random ones, which a connection's path
    also tells apart.
    """

    carry: bool = True
    relay: bool = True
    trace: float | None = None
    post_trace: float | None = None
    back: Back = "weights"
    seed: int = 0

    def __post_init__(self) -> None:
        for name, flag in (("carry", self.carry), ("relay", self.relay)):
            if not isinstance(flag, bool):
                raise ParameterError(f"Credit.{name} must be True or False, got {flag!r}")
        for name, value in (("trace", self.trace), ("post_trace", self.post_trace)):
            number = isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < 1
            if value is not None and not number:
                raise ParameterError(f"Credit.{name} must be a decay per step, 0 <= {name} < 1, or None, got {value!r}")
        if self.back not in (known := get_args(Back)):
            hint = did_you_mean(str(self.back), known)
            raise ParameterError(f"Credit.back must be one of {', '.join(known)}, got {self.back!r}{hint}")
        if not isinstance(self.seed, int) or isinstance(self.seed, bool) or self.seed < 0:
            raise ParameterError(f"Credit.seed must be a whole number from 0 on, got {self.seed!r}")

    @property
    def is_plain(self) -> bool:
        """Whether it is that of backpropagation through time."""
        return self.carry and self.relay and self.trace is None and self.post_trace is None and self.back == "weights"


BPTT = Credit()
"""Backpropagation through time."""

CREDITS: Registry[Credit] = Registry("credit")
CREDITS.add("bptt", BPTT)
CREDITS.add("sltt", Credit(carry=False))
CREDITS.add("ottt", Credit(carry=False, trace=0.5))
CREDITS.add("feedback_alignment", Credit(back="random"))
CREDITS.add("sign_symmetric", Credit(back="sign"))
CREDITS.add("eprop", Credit(relay=False))
CREDITS.add("tess", Credit(carry=False, trace=0.5, post_trace=0.2, back="none"))


def credit_of(given: Credit | str) -> Credit:
    """The credit of a name, or itself: 'sltt' (Meng et al. 2023, ICCV), 'ottt' (Xiao et al. 2022, NeurIPS),
    'feedback_alignment' (Lillicrap et al. 2016), 'sign_symmetric' (Liao et al. 2016), 'eprop' (Bellec et al.
    2020, Nature Communications 11:3625; random feedback: Credit(relay=False, back="random")), 'tess' (Apolinario et
    al. 2025)."""
    if isinstance(given, str):
        return CREDITS[given]
    if not isinstance(given, Credit):
        raise ParameterError(f"credit must be a Credit or one of {', '.join(CREDITS)}, got {given!r}")
    return given
