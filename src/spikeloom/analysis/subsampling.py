"""What sub-sampling does to each measure, in one table.

'neurons' leaves the trains of the recorded neurons whole, so that what is measured of each or of pairs of them is true
of them. 'steps' and 'spikes' leave rates to be corrected; what rests on the times between spikes or on counts that
vary together is spoilt: thinning makes every train more like a Poisson process (Renyi 1956).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, cast

from ..errors import UnknownNameError, UnsupportedError
from ..recording import Sampling
from ..registry import did_you_mean

Effect = Literal["true", "corrected", "spoilt"]


@dataclass(frozen=True)
class Effects:
    """What each mode of sub-sampling does to a measure, and why it spoils it.

    'true': it holds of the recorded neurons as it stands. 'corrected': divided by the recorded part. 'spoilt': refused.
    """

    neurons: Effect
    steps: Effect
    spikes: Effect
    reason: str = ""


_RATE = Effects("true", "corrected", "corrected")
_TOTAL = Effects("corrected", "corrected", "corrected")


def _refused(reason: str, neurons: Effect = "true") -> Effects:
    return Effects(neurons, "spoilt", "spoilt", reason)


_INTERVALS = _refused("two recorded spikes of a neuron may have others between them")
_VARIANCE = _refused("counts of thinned trains vary like those of a Poisson process, whatever the trains did")
_TOGETHER = _refused("spikes that fell together are kept apart, so what neurons share seems smaller than it is")
_TIMES = _refused("it compares trains spike by spike, and most of the spikes are missing")

EFFECTS: dict[str, Effects] = {
    "firing_rate": _TOTAL,
    "neuron_rates": _RATE,
    "population_rate": _RATE,
    "isi": _INTERVALS,
    "cv": _INTERVALS,
    "cv2": _INTERVALS,
    "local_variation": _INTERVALS,
    "revised_local_variation": _INTERVALS,
    "fano_factor": _VARIANCE,
    "bursts": _INTERVALS,
    "avalanches": _refused("an avalanche of which spikes are missing falls apart into smaller ones", "spoilt"),
    "spike_correlations": _TOGETHER,
    "autocorrelation": _TOGETHER,
    "cross_correlation": _TOGETHER,
    "synchrony": _TOGETHER,
    "spike_contrast": _TOGETHER,
    "van_rossum_distance": _TIMES,
    "victor_purpura_distance": _TIMES,
    "psth": Effects("true", "spoilt", "corrected", "the steps that were kept need not be those around the events"),
    "latency": _refused("the first recorded spike need not be the first"),
    "spike_information": _refused("it is a mean over single spikes and their probabilities, most of which are missing"),
    "spike_triggered_average": Effects(
        "true", "spoilt", "true", "the steps that were kept may go with what is periodic in the signal"
    ),
}
"""What sub-sampling does to each measure of `SimulationAnalyzer.compute_<name>`."""


def effect_of(measure: str, sampling: Sampling) -> Effect:
    """What a layer's sampling does to a measure by name; UnknownNameError for no measure."""
    if measure not in EFFECTS:
        hint = did_you_mean(measure, EFFECTS)
        raise UnknownNameError(f"unknown measure {measure!r}{hint} There are: {', '.join(EFFECTS)}")
    return "true" if sampling.mode == "all" else cast(Effect, getattr(EFFECTS[measure], sampling.mode))


def check_measure(measure: str, sampling: Sampling, owner: str) -> None:
    """UnsupportedError, with the reason, where a layer's sampling spoils a measure."""
    if effect_of(measure, sampling) != "spoilt":
        return
    effects = EFFECTS[measure]
    way_out = "all of them" if effects.neurons == "spoilt" else "with spike_subsample_mode='neurons'"
    raise UnsupportedError(
        f"{owner}: {measure} cannot be measured where {sampling.rate:.3g} of the {sampling.mode} were recorded: "
        f"{effects.reason}; record {way_out}"
    )
