"""Edits of assemblies: parts deleted, copied, replaced, merged, selected, with the weights that stay or go along."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from copy import copy, deepcopy
from itertools import count
from typing import Any, cast

from ..errors import ParameterError, ShapeError, StateError, UnsupportedError
from ..registry import did_you_mean
from .component import _OPEN, Assembly, Component, check_name
from .connection import Connection
from .ends import stand_in
from .group import NeuronGroup
from .merge import Merge
from .module import Module
from .network import Network
from .parameters import as_array
from .projection import Projection
from .protocols import Attached
from .relations import below, family, reached_from


def groups_in(assembly: Assembly, recursive: bool) -> list[NeuronGroup]:
    """The neuron groups of an assembly."""
    return [c for c in (assembly.walk() if recursive else assembly.members.values()) if isinstance(c, NeuronGroup)]


def connections_in(assembly: Assembly, recursive: bool) -> list[Connection]:
    """The connections of an assembly."""
    return [c for c in (assembly.walk() if recursive else assembly.members.values()) if isinstance(c, Connection)]


def levels_of(assembly: Assembly) -> list[list[Component]]:
    """The assembly, its member assemblies and neuron groups, theirs, and so on."""
    levels: list[list[Component]] = [[assembly]]
    while levels[-1]:
        below = [part for above in levels[-1] if isinstance(above, Assembly) for part in above.members.values()]
        levels.append([part for part in below if isinstance(part, (NeuronGroup, Assembly))])
    return levels[:-1]


def add_new(assembly: Assembly, name: str, component: Component) -> None:
    """Adds a member under a free name."""
    _check_component("add_assembly", component)
    _check_free(assembly, name)
    assembly.add(name, component)


def delete(assembly: Assembly, given: Component | str | None, name: str | None, kind: str) -> None:
    """Deletes a component, and the connections and projections that hang on it."""
    if (given is None) == (name is None):
        raise ParameterError(f"{assembly.kind} {assembly.name!r}: give the {kind} to delete, or its name=, one of them")
    doomed = _found(assembly, cast("Component | str", given if name is None else name))
    if kind == "connection" and not isinstance(doomed, Connection):
        raise ParameterError(f"del_connection: {doomed.path!r} is a {doomed.kind}; use del_assembly")
    going, roots = {id(part) for part in family(doomed)}, [doomed]
    while hanging := list(_hanging(assembly.ancestors()[-1], going)):
        staying = [part for part in hanging if not isinstance(part, (Connection, Projection)) or _is_output(part)]
        if staying:
            raise StateError(
                f"{doomed.kind} {doomed.path!r} cannot be deleted: {_named(staying)} would hang on nothing; delete "
                "that first, or put something in its place: replace_assembly(old, new)"
            )
        roots += hanging
        going |= {id(part) for root in hanging for part in family(root)}
    for root in roots:
        if root._owner is not None and root._owner.members.get(root.name) is root:
            delattr(root._owner, root.name)


def copy_in(assembly: Assembly, name: str, original: Component) -> None:
    """Adds a copy of a component under a free name."""
    _check_component("copy_assembly", original)
    _check_free(assembly, name)
    memo = _abroad(assembly, original)
    if isinstance(original, Network):
        with _quietly():
            twin: Component = Assembly()
        memo[id(original)] = twin
        copies = {key: deepcopy(member, memo) for key, member in original.members.items()}
        for key, member in copies.items():
            twin.add(key, member)  # type: ignore[attr-defined]
    else:
        twin = deepcopy(original, memo)
    _carry(original, twin, assembly)
    assembly.add(name, twin)


def merge(assembly: Assembly, other: Assembly) -> dict[str, str]:
    """Adds copies of all members of another assembly; the names here by the names there."""
    _check_component("merge_assembly", other)
    if not isinstance(other, Assembly) or other in assembly.ancestors():
        raise ParameterError(
            f"merge_assembly takes an assembly that this one does not lie in, got {other.kind} {other.name!r}"
        )
    memo = _abroad(assembly, other) | {id(other): assembly}
    copies = {key: deepcopy(member, memo) for key, member in other.members.items()}
    names: dict[str, str] = {}
    for key, twin in copies.items():
        names[key] = _free(assembly, key)
        _carry(other.members[key], twin, assembly)
        assembly.add(names[key], twin)
    return names


def select(assembly: Assembly, given: Iterable[Component | str], name: str | None, with_connection: bool) -> Network:
    """A network with copies of some components below an assembly, and of the connections between them."""
    given = [given] if isinstance(given, (str, Component)) else list(given)
    chosen = {id(part): part for part in (_found(assembly, each) for each in given)}
    if not chosen:
        raise ParameterError("select_assembly: give at least one component to select")
    tops = [part for part in chosen.values() if not any(id(above) in chosen for above in part.ancestors()[1:])]
    inside = {id(part) for top in tops for part in family(top)}
    for top in tops:
        if cut := [part for part in top.refers_to() if id(part) not in inside]:
            raise ParameterError(f"select_assembly: {top.path!r} refers to {_named(cut)}; select that too")
    if with_connection:
        tops += _between(assembly, inside)
    twin, memo = _empty_twin(assembly, name), dict[int, Any]()
    memo.update(
        {id(part): part for top in tops for each in family(top) for part in each.refers_to() if id(part) not in inside}
    )
    for top in tops:
        made = deepcopy(top, memo)
        _carry(top, made, twin)
        pairs = list(zip(family(top), family(made), strict=True))
        for old, new in _dangling(pairs, inside):
            delattr(new._owner, old.name)
        twin.add(_free(twin, top.name), made)
    return twin


def _between(assembly: Assembly, inside: set[int]) -> list[Component]:
    """The connections and projections below an assembly that join what is inside; they are inside from here on."""
    found: list[Component] = []
    for part in assembly.walk():
        joins = isinstance(part, (Connection, Projection)) and all(id(end) in inside for end in part.refers_to())
        if joins and id(part) not in inside:
            found.append(part)
            inside |= {id(each) for each in family(part)}
    return found


def _dangling(pairs: list[tuple[Component, Component]], inside: set[int]) -> Iterator[tuple[Component, Component]]:
    """The pairs of an original and its copy of which the original refers to what is not inside, through any other."""
    for old, new in reversed(pairs[1:]):
        if any(id(part) not in inside for part in reached_from(old.refers_to())):
            yield old, new


def _empty_twin(assembly: Assembly, name: str | None) -> Network:
    """A network with the seed and the engine of the one that an assembly belongs to, as far as it has them."""
    with _quietly():
        twin = Network(name)
    top = assembly.ancestors()[-1]
    if isinstance(top, Network):
        twin._engine = copy(top._engine)
        if top._seed is not None:
            twin.set_random_seed(top._seed)
    return twin


def replace(assembly: Assembly, old: Component | str, new: Component) -> None:
    """Puts a component in the place of another, and redirects what refers to the old one."""
    old = _found(assembly, old)
    if new is old:
        return
    _check_new(old, new)
    going = {id(part) for part in family(old)}
    changed: list[tuple[Component, dict[str, Any]]] = []
    try:
        for part in _hanging(old.ancestors()[-1], going):
            changed.append((part, dict(part.__dict__)))
            _redirect(part, old, new, going)
        _check_behind(old, new)
    except (ParameterError, ShapeError, UnsupportedError) as error:
        for part, before in changed:
            part.__dict__.update(before)
        raise type(error)(f"replace_assembly: {error}") from error
    owner, name = old._owner, old.name
    assert owner is not None  # it was found below an assembly
    if new._owner is not None:
        _carry(new, new, owner)
        delattr(new._owner, new.name)
    new._name = name
    owner.add(name, new)


def _check_behind(old: Component, new: Component) -> None:
    """Raises where anything that refers to the new one, directly or through others, does not fit it."""
    going = {id(part) for part in family(old)}
    coming = {id(part) for part in family(new)}
    for part in family(old.ancestors()[-1])[1:]:
        if id(part) in going | coming or not any(id(each) in coming for each in reached_from(part.refers_to())):
            continue
        try:
            part.check_fit()
        except (ParameterError, ShapeError, UnsupportedError) as error:
            raise type(error)(f"{part.path!r} does not fit {new.name!r}: {error}") from error


def _check_new(old: Component, new: Component) -> None:
    _check_component("replace_assembly", new)
    if isinstance(new, Network) or (new._owner is not None and new.ancestors()[-1] is not old.ancestors()[-1]):
        raise ParameterError(
            f"replace_assembly: {new.kind} {new.name!r} belongs to another network; take a copy: copy_assembly"
        )
    if any(part is old for part in new.ancestors()) or any(part is new for part in old.ancestors()):
        raise ParameterError(f"replace_assembly: {old.path!r} and {new.path!r} lie in one another; take one out first")
    if any(part is each for part in reached_from(_nodes_in(new)) for each in family(old)):
        raise ParameterError(f"replace_assembly: {new.name!r} refers to {old.path!r}, which it would replace")


def _nodes_in(new: Component) -> list[Component]:
    return [part for part in family(new) if not isinstance(part, Connection)]


def _redirect(part: Component, old: Component, new: Component, going: set[int]) -> None:
    """Makes a component refer to the new one, or to its parts, wherever it refers to the old one."""
    for attribute, parts in part._references().items():
        if not any(id(each) in going for each in parts):
            continue
        held = part.__dict__[attribute]
        whole = isinstance(part, (Projection, Attached))
        put = [stand_in(each, old, new, attribute, whole) if id(each) in going else each for each in parts]
        for was, will in zip(parts, put, strict=True):
            if was.kind != will.kind and not (whole or isinstance(part, (Connection, Merge, Module))):
                raise ParameterError(f"{part.kind} {part.path!r} needs a {was.kind}, not the {will.kind} {will.name!r}")
        swap = {id(was): will for was, will in zip(parts, put, strict=True)}
        whole_of = [] if isinstance(held, Component) else [swap.get(id(each), each) for each in held]
        part.__dict__[attribute] = put[0] if isinstance(held, Component) else type(held)(whole_of)


def _carry(original: Component, twin: Component, assembly: Assembly) -> None:
    """Gives a copy, or what is about to move, the weights of the original to take along into an assembly."""
    there, here = original.ancestors()[-1], assembly.ancestors()[-1]
    if not isinstance(there, Network):
        return
    for old, new in zip(family(original), family(twin), strict=True):
        for spec in old.parameter_specs():
            key = spec.name.removeprefix(f"{old.path}.")
            if spec.name in there.store:
                new._carried[key] = as_array(there.store[spec.name]).copy()
            elif there is here:
                new._carried[key] = there.store.drawn_as(spec.name)
            elif there._seed is not None:
                new._carried[key] = as_array(there.store.require(spec, there.seed)).copy()


def _abroad(assembly: Assembly, original: Component) -> dict[int, Any]:
    """What a copy goes on to refer to outside of the original, for deepcopy; it must be of the same network."""
    parts = family(original)
    inside = {id(part) for part in parts}
    top, kept = assembly.ancestors()[-1], dict[int, Any]()
    for part in parts:
        for end in part.refers_to():
            if id(end) in inside:
                continue
            if end.ancestors()[-1] is not top:
                raise ParameterError(
                    f"{part.kind} {part.path!r} refers to {end.path!r}, which lies outside of {original.name!r} and "
                    "not in this network; copy an assembly that holds both"
                )
            kept[id(end)] = end
    return kept


def _hanging(top: Component, going: set[int]) -> Iterator[Component]:
    """What refers to a part that is going and does not go itself."""
    for part in family(top)[1:]:
        if id(part) not in going and any(id(each) in going for each in part.refers_to()):
            yield part


def _is_output(part: Component) -> bool:
    """Whether a connection is a part of the module that it leads out of."""
    return part._owner is not None and part._owner.kind == "module"


def _found(assembly: Assembly, given: Component | str) -> Component:
    """The component below an assembly that is given, itself or by name."""
    inside = below(assembly)
    if isinstance(given, Component):
        if any(part is given for part in inside.values()):
            return given
        raise ParameterError(f"{assembly.kind} {assembly.name!r} does not hold {given.kind} {given.path!r}")
    if not isinstance(given, str) or given not in inside:
        hint = did_you_mean(given, inside) if isinstance(given, str) else "."
        raise ParameterError(f"{assembly.kind} {assembly.name!r} holds no {given!r}{hint}")
    return inside[given]


def _free(assembly: Assembly, name: str) -> str:
    """The name, or the first of <name>_1, <name>_2, ... that is free."""
    names = (name if k == 0 else f"{name}_{k}" for k in count())
    return next(each for each in names if not hasattr(assembly, each))


def _check_free(assembly: Assembly, name: str) -> None:
    check_name(name)
    if name in assembly.members:
        raise ParameterError(
            f"{assembly.kind} {assembly.name!r} has a member {name!r} already; choose another name, or put this in its "
            f"place: replace_assembly({name!r}, new)"
        )


def _check_component(call: str, given: object) -> None:
    if not isinstance(given, Component):
        raise ParameterError(f"{call} takes a component, got {type(given).__name__}")


def _named(parts: Iterable[Component]) -> str:
    return ", ".join(f"{part.kind} {part.path!r}" for part in parts)


@contextmanager
def _quietly() -> Iterator[None]:
    """What is made inside is not gathered by an open `with` block."""
    token = _OPEN.set(())
    try:
        yield
    finally:
        _OPEN.reset(token)
