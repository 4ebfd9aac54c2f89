"""The output of a network: the activity of a population as an answer."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from ..errors import ParameterError, ShapeError, StateError, UnsupportedError
from ..registry import fill_keywords, resolve_keywords
from .component import Component
from .decodings import DECODINGS
from .group import NeuronGroup


class Decoder(Component):
    """`Decoder(num, dec_target=group, coding_method='spike_counts', **options)`: an answer from a population.

    num: how many answers, which must be what the target gives (default: that). coding_method: 'spike_counts' (default),
    'spike_rate', 'first_spike', 'v_t'. After a run `.predict` holds the answer with its gradients; after `run_continue`
    that of the window run last.
    """

    kind = "decoder"
    mutable = frozenset({"label"})

    def __init__(
        self,
        num: int | None = None,
        dec_target: NeuronGroup | None = None,
        coding_method: str | None = None,
        *,
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
        if coding.variable not in target.observables:
            raise UnsupportedError(
                f"{owner}: {self.coding_method} reads {coding.variable!r}, which {target.model!r} does not have"
            )
        width = self.decoding.width(target.num)
        if num is not None and num != width:
            raise ShapeError(f"{owner}.num must be {width}, what its target of {target.num} neurons gives, got {num}")
        self.num = width
        self.label: Any = None
        self._predict: Any = None
        super().__init__(name)

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

    def decode(self, activity: Any, dt: float) -> None:
        """Makes the answer from what was observed of the target, (T, B, *shape)."""
        self._predict = self.decoding.decode(activity.flatten(2), dt)
