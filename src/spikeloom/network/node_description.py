"""Projections, merges and torch modules as plain values, and back."""

from __future__ import annotations

from collections.abc import Mapping
from graphlib import CycleError, TopologicalSorter
from typing import Any

from ..errors import DataError
from .component import Component
from .members import Members, Paths, member, path_of, shape_of
from .merge import MERGES, Merge
from .module import Module
from .policies import describe_policy, policy_from
from .projection import Projection
from .values import entries, made, named, settings_of

MAX_INPUTS = 1000
"""How many inputs a merge or a module in a file may have."""
NODES = 0.5
"""The stage of merges and modules, which refer to populations and to each other."""


def in_order(described: Mapping[str, Any], stages: Mapping[str, float]) -> list[str]:
    """The paths of components by stage, those of nodes after their inputs; DataError where these go in a circle."""
    nodes = {path: described[path].get("inputs") for path, stage in stages.items() if stage == NODES}
    known = {
        path: [p for p in i if isinstance(p, str) and p in nodes] if isinstance(i, list) else []
        for path, i in nodes.items()
    }
    try:
        place = {path: k for k, path in enumerate(TopologicalSorter(known).static_order())}
    except CycleError as error:
        raise DataError(f"components: the inputs of {', '.join(map(str, error.args[1]))} go in a circle") from error
    return sorted(stages, key=lambda path: (stages[path], place.get(path, 0)))


def describe_projection(projection: Projection, paths: Paths) -> dict[str, Any]:
    """The two ends and the policy; the connections stand for themselves."""
    ends = {end: path_of(projection, end, getattr(projection, end), paths) for end in ("pre", "post")}
    return ends | {"policy": None if projection.policy is None else describe_policy(projection.policy)}


def projection_from(values: dict[str, Any], members: Members) -> Projection:
    """The projection that was described, without its connections."""
    entries("a projection", values, ("pre", "post", "policy"))
    policy = None if values["policy"] is None else policy_from(values["policy"])
    pre, post = (member(end, values[end], members) for end in ("pre", "post"))
    return Projection.empty(pre, post, policy)


def inputs_of(component: Merge | Module, paths: Paths) -> dict[str, Any]:
    """The paths of the inputs of a node."""
    return {"inputs": [path_of(component, "input", part, paths) for part in component.inputs]}


def members_at(values: Mapping[str, Any], members: Members) -> list[Component]:
    """The inputs of a node at their paths."""
    inputs = values["inputs"]
    if not isinstance(inputs, list) or not 0 < len(inputs) <= MAX_INPUTS:
        raise DataError(f"inputs must be a list of 1 to {MAX_INPUTS} paths, got {inputs!r:.80}")
    return [member("inputs", path, members) for path in inputs]


def describe_merge(merge: Merge, paths: Paths) -> dict[str, Any]:
    """The inputs and the operation with its options."""
    operation = {"operation": named(MERGES, merge.operation), "options": settings_of(merge.operation)}
    return inputs_of(merge, paths) | operation


def merge_from(values: dict[str, Any], members: Members) -> Merge:
    """The merge that was described."""
    entries("a merge", values, ("inputs", "operation", "options"))
    operation = made("options", MERGES[values["operation"]], values["options"])
    merge = Merge(*members_at(values, members), operation=operation)
    shape_of({"shape": list(merge.shape)})
    return merge


def describe_module(module: Module, paths: Paths) -> dict[str, Any]:
    """The inputs, the shape and, to be read, the class of the torch module."""
    return inputs_of(module, paths) | {"shape": module.shape, "torch_module": type(module.torch_module).__name__}


def module_from(values: dict[str, Any], members: Members) -> Module:
    """The module that was described, with the torch module that the user gave."""
    entries("a module", values, ("inputs", "shape", "torch_module", "given"))
    if values["given"] is None:
        raise DataError(
            f"its torch module, a {values['torch_module']!s:.80}, is code, which no file holds; give it by the path "
            "of this component: network_load(..., modules={'...': module})"
        )
    return Module(values["given"], input_targets=members_at(values, members), shape=shape_of(values))
