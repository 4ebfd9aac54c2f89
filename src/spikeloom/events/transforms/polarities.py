"""Transforms of the polarities."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..container import Events
from ..filters_checks import checked, need
from ..filters_native import array_of, library
from .random_numbers import bound_of, draw_key, random_bits


def flip_polarity(events: Events, p: float = 1.0, generator: np.random.Generator | None = None) -> Events:
    """The events with other polarities: all of them, or each by itself with probability p, by a generator."""
    share = checked("flip_polarity", p=p)
    if share == 1:
        return replace(events, p=events.p ^ np.int8(1))
    key, bound = draw_key(need(generator, "flip_polarity")), bound_of(share)
    if (native := library()) is None:
        return replace(events, p=events.p ^ (random_bits(key, len(events)) < np.uint64(bound)))
    flipped = np.empty(len(events), np.int8)
    native.call("flip_polarities", array_of(events, "p"), len(events), key, bound, flipped)
    return replace(events, p=flipped)


def merge_polarities(events: Events) -> Events:
    """The events with the polarity 1, whatever they had. (Tonic gives them all 0.)"""
    return replace(events, p=np.ones(len(events), np.int8))
