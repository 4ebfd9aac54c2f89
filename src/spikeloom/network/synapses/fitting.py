"""Where a connection's link stands between its synapses, and whether all of them fit."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ...errors import ParameterError, ShapeError, UnsupportedError
from ..links import Conv, ConvTranspose, Ends, Full, Link, OneToOne, SynapseList
from ..parameters import ParameterSpec
from .batch_norm import BatchNorm
from .pipeline import Pipeline
from .shaping import AvgPool, MaxPool
from .stage import Shape

if TYPE_CHECKING:
    from ..connection import Connection


def pooled_link(link: Link, synapses: Pipeline) -> tuple[Link, Pipeline]:
    """The link and what is left of the pipeline: a convolution takes the pooling of its current into itself."""
    first = synapses.after[0] if synapses.after else None
    if not isinstance(link, Conv) or link.pool is not None or not isinstance(first, (MaxPool, AvgPool)):
        return link, synapses
    sizes: dict[str, Any] = {name: getattr(first, name) for name in ("pool_kernel_size", "pool_stride", "pool_padding")}
    return replace(link, pool=first.kind, **sizes), synapses._replace(after=synapses.after[1:])


def link_ends(owner: str, synapses: Pipeline, link: Link, pre: Shape, post: Shape) -> Ends:
    """The shapes that the link joins, between the stages before it and those behind it; ShapeError where these do not
    lead to the target."""
    for stage in synapses.before:
        pre = stage.shape(owner, pre)
    if all(stage.keeps_shape for stage in synapses.after):
        return Ends(pre, post)
    if not isinstance(link, (Conv, ConvTranspose)):
        if all(stage.keeps_shape or stage.name == "flatten" for stage in synapses.after):
            return Ends(pre, post)
        raise UnsupportedError(f"{owner}.syn_type: what changes the shape behind a {link.name} link; put it before")
    made = target = link.target(owner, pre)
    for stage in synapses.after:
        made = stage.shape(owner, made)
    if made != post:
        raise ShapeError(f"{owner}: the target must have shape {made}, got {post}; give it shape={made}")
    return Ends(pre, target)


def stage_specs(path: str, synapses: Pipeline, pre: Shape, ends: Ends) -> list[ParameterSpec]:
    """The parameters of all stages; pre: the shape of the source, ends: what the link joins."""
    found: list[ParameterSpec] = []
    for stages, shape in ((synapses.before, pre), (synapses.after, ends.post)):
        for stage in stages:
            found += stage.specs(path, shape)
            shape = stage.shape(path, shape)
    return found


def check_synapses(owner: str, connection: Connection) -> None:
    """Raises UnsupportedError or ParameterError for synapses, delays and populations that do not go together."""
    synapses = connection.synapses
    if connection.has_synapse_delays and any(isinstance(stage, BatchNorm) for stage in synapses.stages):
        raise UnsupportedError(f"{owner}: batch_norm does not go with a delay for each synapse; give one delay")
    if not synapses.electrical:
        return
    if connection.delay != 0.0 or connection.filter is not None:
        raise ParameterError(f"{owner}: an electrical synapse has neither delay nor filter; omit them")
    link, bias = connection.link, getattr(connection.link, "bias", None)
    if not isinstance(link, (Full, OneToOne, SynapseList)) or (bias is not None and bias is not False):
        raise UnsupportedError(
            f"{owner}: an electrical synapse is 'full', 'one_to_one', 'sparse' or another list of synapses, and has no "
            "bias"
        )
    for end in (connection.pre, connection.post):
        neuron = getattr(end, "neuron", None)
        if neuron is None or "v" not in neuron.State._fields:
            raise UnsupportedError(
                f"{owner}: an electrical synapse joins neuron groups with a potential v, {end.name!r} has none"
            )
