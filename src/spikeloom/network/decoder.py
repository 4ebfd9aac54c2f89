"""The output of a network: the activity of a population as an answer."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from ..errors import ParameterError, ShapeError, StateError, UnsupportedError
from ..registry import fill_keywords, resolve_keywords
from .component import Component
from .decodings import DECODINGS, FirstSpikeTime
from .group import NeuronGroup
from .monitors import observable_of


class Decoder(Component):
    """`Decoder(num, dec_target=group, coding_method='spike_counts', **options)`: an answer from a population.

    num: how many answers, which must be what the target gives (default: that). coding_method: 'spike_counts' (default),
    'spike_rate', 'time_spike_counts', 'first_spike', 'first_spike_time', 'final_step_voltage', 'voltage_sum',
    'voltage_mean', 'voltage_mean_exp', 'voltage_max', 'v_t', 'null'. coding_var_name: the observable that is decoded,
    in place of the coding's own. After a run `.predict` holds the answer with its gradients; after `run_continue` that
    of the window run last.
    """

    kind = "decoder"
    mutable = frozenset({"label"})

    def __init__(
        self,
        num: int | None = None,
        dec_target: NeuronGroup | None = None,
        coding_method: str | None = None,
        *,
        coding_var_name: str | None = None,
        name: str | None = None,
        **options: Any,
    ) -> None:
        owner = f"Decoder {name!r}" if name else "Decoder"
        own: dict[str, Any] = {"dec_target": dec_target, "coding_method": coding_method}
        own, options = fill_keywords(owner, "decoder", own, options)
        target, method = own["dec_target"], own["coding_method"]
        if not isinstance(target, NeuronGroup):
            raise ParameterError(f"{owner}.dec_target must be the neuron group to decode, got {type(target).__name__}")
        self.target, self.coding_method = target, DECODINGS.name_of("spike_counts" if method is None else method)
        coding = DECODINGS[self.coding_method]
        known = [f.name for f in fields(coding)]
        self.decoding = coding(
            **resolve_keywords(f"{owner}, coding {self.coding_method!r}", "coding option", options, known)
        )
        self._variable = None if coding_var_name is None else observable_of(owner, target, coding_var_name)
        width = self.decoding.width(target.num)
        self.num = width if num is None or num == target.num else num  # SPAIC's num is that of the target
        self.label: Any = None
        self._predict: Any = None
        super().__init__(name)
        self.check_fit()

    def check_fit(self) -> None:
        """Raises UnsupportedError where its target lacks what it reads, ShapeError where num is not what that gives."""
        owner = f"Decoder {self._name!r}" if self._name else "Decoder"
        if self.variable not in self.target.observables:
            raise UnsupportedError(
                f"{owner}: {self.coding_method} reads {self.variable!r}, which {self.target.model!r} does not have"
            )
        width = self.decoding.width(self.target.num)
        if self.num != width:
            n = self.target.num
            raise ShapeError(f"{owner}.num must be {width}, what its target of {n} neurons gives, got {self.num}")

    @property
    def variable(self) -> str:
        """The observable of its target that it decodes."""
        return self.decoding.variable if self._variable is None else self._variable

    @property
    def dec_target(self) -> NeuronGroup:
        """The neuron group that is decoded."""
        return self.target

    def __call__(self, label: Any) -> None:
        """Keeps the labels of the batch, for those who ask for them."""
        self.label = label

    @property
    def predict(self) -> Any:
        """The answer of the last run; StateError before the first."""
        if self._predict is None:
            raise StateError(f"decoder {self.name!r} has no answer yet; run the network first: net.run(time)")
        return self._predict

    def __getstate__(self) -> dict[str, Any]:
        return super().__getstate__() | {"_predict": None}

    def forget(self) -> None:
        """Drops the answer of the last run, and with it the graph behind it."""
        self._predict = None

    @property
    def takes_times(self) -> bool:
        """Whether its answer can be made from the exact times of first spikes."""
        return isinstance(self.decoding, FirstSpikeTime) and self.variable == "spikes"

    def decode_times(self, first: Any) -> None:
        """Makes the answer from the exact times (B, *shape) in ms of first spikes."""
        self._predict = first.flatten(1) * self.decoding.scale  # type: ignore[attr-defined]

    def decode(self, activity: Any, dt: float) -> None:
        """Makes the answer from what was observed of the target, (T, B, *shape)."""
        self._predict = self.decoding.decode(activity.flatten(2), dt)
