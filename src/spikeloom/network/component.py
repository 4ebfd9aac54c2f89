"""Members of a network: named, owned by an assembly, gathered by an open `with` block."""

from __future__ import annotations

import sys
from collections.abc import Container, Iterable, Mapping
from contextvars import ContextVar
from copy import deepcopy
from itertools import count
from typing import TYPE_CHECKING, Any, ClassVar, Self, cast

from ..absent import absent
from ..errors import ParameterError, StateError
from ..registry import Registry, did_you_mean, resolve_keywords
from .parameters import ParameterHandle, ParameterSpec
from .relations import below, reached_from

if TYPE_CHECKING:
    from types import TracebackType

    from .connection import Connection
    from .group import NeuronGroup
    from .network import Network

EDITS: Registry[Any] = Registry("edit of an assembly")
"""What an assembly does through functions that know it: they are imported when they are asked for."""
for _edit in ("add_new", "delete", "copy_in", "replace", "merge", "select", "groups_in", "connections_in", "levels_of"):
    EDITS.add(_edit, f"spikeloom.network.assemblies:{_edit}")

_OPEN: ContextVar[tuple[tuple[Assembly, list[Component]], ...]] = ContextVar("open assemblies", default=())


class _Sealing(type):
    """The class of components: what is made is sealed once its constructor, and that of a subclass, is through."""

    def __call__(cls, *arguments: Any, **keywords: Any) -> Any:
        made = super().__call__(*arguments, **keywords)
        made.__dict__["_sealed"] = True
        return made


class Component(metaclass=_Sealing):
    """Anything that can be a member of a network. Its name is given by the attribute or variable that holds it.

    Once made, its public attributes are fixed, but for those named in `mutable`: to change a component, make a new one
    and assign it. A copy (`copy.deepcopy`) belongs to no assembly.
    """

    kind = "component"
    mutable: ClassVar[frozenset[str]] = frozenset()

    def __init__(self, name: str | None = None) -> None:
        if name is not None:
            check_name(name)
        self._name = name
        self._owner: Assembly | None = None
        self._hidden = False
        self._carried: dict[str, Any] = {}
        if _OPEN.get():
            _OPEN.get()[-1][1].append(self)

    @property
    def name(self) -> str:
        """The name within its assembly; a text in brackets before it has one."""
        return self._name or f"<unnamed {self.kind}>"

    @property
    def path(self) -> str:
        """The name within its network: `block.layer1`."""
        owner = self._owner
        return self.name if owner is None or owner._owner is None else f"{owner.path}.{self.name}"

    def ancestors(self) -> list[Component]:
        """The component, the assembly it lies in, and so on to the outermost."""
        found = [self]
        while (owner := found[-1]._owner) is not None:
            found.append(owner)
        return found

    @property
    def network(self) -> Network:
        """The network it belongs to; StateError where it belongs to none."""
        top = self.ancestors()[-1]
        if top.kind != "network":
            raise StateError(
                f"{self.kind} {self.name!r} belongs to no network; assign it: net.{self._name or 'x'} = ..."
            )
        return cast("Network", top)

    def walk(self) -> list[Component]:
        """All components below, in order of creation, depth first; none but in an assembly."""
        return []

    def refers_to(self) -> list[Component]:
        """The components that it was made of, such as the two ends of a connection."""
        return [part for values in self._references().values() for part in values]

    def _references(self) -> dict[str, list[Component]]:
        """The components in its attributes, by attribute."""
        values = {name: value for name, value in self.__dict__.items() if not name.startswith("_")}
        return {name: found for name, value in values.items() if (found := _components_in(value))}

    def check_fit(self) -> None:
        """Raises where what it refers to does not fit it; what is edited is checked again."""

    def parameter_specs(self) -> list[ParameterSpec]:
        """What the parameter store keeps for it."""
        return []

    def get_value(self, name: str) -> Any:
        """The value of one of its parameters, such as 'weight', in any spelling."""
        return self._parameter_handle(name).value

    def set_value(self, name: str, value: Any) -> None:
        """Copies a value into one of its parameters."""
        self._parameter_handle(name).value = value

    def _parameter_handle(self, name: str) -> ParameterHandle:
        specs = {spec.name.removeprefix(f"{self.path}."): spec for spec in self.parameter_specs()}
        (found,) = resolve_keywords(f"{self.kind} {self.name!r}", "neuron parameter", {name: 0}, specs)
        return ParameterHandle(self.network.store, specs[found], self.network.seed)

    @property
    def is_hidden(self) -> bool:
        """Whether it, or an assembly that it lies in, is hidden."""
        return any(part._hidden for part in self.ancestors())

    @property
    def takes_part(self) -> bool:
        """Whether a run has it: neither it nor anything that it refers to is hidden."""
        return not any(part.is_hidden for part in reached_from([self]))

    def assembly_hide(self) -> None:
        """Takes it, with all that lies in it or refers to it, out of the next runs; weights stay as they are."""
        self._hidden = True
        self._changed()

    def assembly_show(self) -> None:
        """Brings back what was hidden, with its weights; what lies in it and was hidden by itself stays hidden."""
        self._hidden = False
        self._changed()

    def _changed(self) -> None:
        """Tells the network that its description has changed."""
        if self._owner is not None:
            self._owner._changed()

    def _forget(self, path: str) -> None:
        """Drops what was learned by a member that is gone; a network does."""

    def _settle(self, component: Component) -> None:
        """Takes over the weights that a new member brings along; a network does."""

    def __setattr__(self, name: str, value: object) -> None:
        if "_sealed" in self.__dict__ and not name.startswith("_") and name not in self.mutable:
            raise ParameterError(self._refusal(name))
        object.__setattr__(self, name, value)

    def _refusal(self, name: str) -> str:
        """Why an attribute cannot be set, and what to do."""
        known = [known for known in dir(self) if not known.startswith("_")] + self._settings()
        if name not in known:
            return f"{self.kind} {self.name!r} has no {name!r}{did_you_mean(name, known)}"
        made = f"net.{self._name or 'x'} = {type(self).__name__}(...)"
        return f"{self.kind} {self.name!r}: {name} is fixed once it is made; make a new one and assign it: {made}"

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            raise AttributeError(absent("attribute", name) or f"{type(self).__name__} has no attribute {name!r}")

    def _settings(self) -> list[str]:
        """The names of what it was made of, beside its attributes."""
        return []

    def __getstate__(self) -> dict[str, Any]:
        """What a copy takes along."""
        return dict(self.__dict__)

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        twin = object.__new__(type(self))
        memo[id(self)] = twin
        twin.__dict__.update(deepcopy(self.__getstate__() | {"_owner": None}, memo))
        return twin


def check_name(name: str) -> None:
    """Raises ParameterError unless the name is an identifier without a leading underscore."""
    if not isinstance(name, str) or not name.isidentifier() or name.startswith("_"):
        raise ParameterError(f"a component's name must be a plain identifier such as 'layer1', got {name!r}")


def _components_in(value: object) -> list[Component]:
    if isinstance(value, Component):
        return [value]
    return [part for part in value if isinstance(part, Component)] if isinstance(value, (list, tuple)) else []


def _hides_components(value: object, depth: int = 3) -> bool:
    """Whether a container, or one of those in it, holds a component that belongs to no assembly."""
    if isinstance(value, Component):
        return value._owner is None
    parts = list(value.values()) if isinstance(value, Mapping) else value
    inside = depth > 0 and isinstance(parts, (list, tuple, set, frozenset))
    return inside and any(_hides_components(part, depth - 1) for part in parts)  # type: ignore[attr-defined]


class Assembly(Component):
    """A named collection of components; assignment to an attribute adds a member, `del` removes it."""

    kind = "assembly"
    refers: ClassVar[tuple[str, ...]] = ()
    """The attributes that hold components which are not its members."""

    def __init__(self, name: str | None = None) -> None:
        object.__setattr__(self, "_members", {})
        super().__init__(name)

    @property
    def members(self) -> dict[str, Component]:
        """The direct members by name, in order of creation."""
        members: dict[str, Component] = self.__dict__["_members"]
        return dict(members)

    def walk(self) -> list[Component]:
        found: list[Component] = []
        for member in self.members.values():
            found.append(member)
            found.extend(member.walk())
        return found

    def add(self, name: str, component: Component) -> None:
        """Adds a member under a name, which becomes an attribute."""
        setattr(self, name, component)

    def add_assembly(self, name: str, assembly: Component) -> None:
        """Adds a member under a name that is free; ParameterError for one that is taken."""
        EDITS["add_new"](self, name, assembly)

    add_connection = add_projection = add_monitor = add_learner = add_assembly

    def del_assembly(self, assembly: Component | str | None = None, name: str | None = None) -> None:
        """Deletes a component below this one, given itself or by name, and the connections and projections on it.

        Raises StateError, and changes nothing, where anything else hangs on it: a decoder, a monitor, a learner.
        """
        EDITS["delete"](self, assembly, name, "component")

    def del_connection(self, connection: Component | str | None = None, name: str | None = None) -> None:
        """Deletes a connection below this assembly, given itself or by name."""
        EDITS["delete"](self, connection, name, "connection")

    def copy_assembly(self, name: str, assembly: Component) -> None:
        """Adds a copy of an assembly, or of any component, under a free name; a network becomes an assembly.

        The copy starts with the weights that the original has now, or will draw; where the original belongs to a
        network without a seed, those that are not drawn yet are drawn for the copy alone. What refers to a component
        outside of the original goes on to do so, which must be of this network, else ParameterError.
        """
        EDITS["copy_in"](self, name, assembly)

    def replace_assembly(self, old: Component | str, new: Component) -> None:
        """Puts a component in the place and under the name of another; all that refers to the old one then refers to
        the new one, with its weights where the shapes fit.

        Parts of an old assembly are stood for by the parts of the same name; else, and for a population in place of an
        assembly or the other way, by the only entrance or exit. A new one that is a member already moves. Raises
        ParameterError or ShapeError, and changes nothing, where something does not fit.
        """
        EDITS["replace"](self, old, new)

    def merge_assembly(self, assembly: Assembly) -> dict[str, str]:
        """Adds copies of all members of another assembly, with their weights; the names here by the names there.

        A name that is taken gets the first free one of `<name>_1`, `<name>_2`, ... What refers to the other assembly as
        a whole, such as its learner, refers to this one. The other assembly stays as it is.
        """
        return cast("dict[str, str]", EDITS["merge"](self, assembly))

    def select_assembly(
        self, assemblies: Iterable[Component | str], name: str | None = None, with_connection: bool = True
    ) -> Network:
        """A network of its own with copies of components below this one, their weights, and the connections between
        them; this assembly stays as it is. What refers to a component that is not selected is left out."""
        return cast("Network", EDITS["select"](self, assemblies, name, with_connection))

    def get_groups(self, recursive: bool = True) -> list[NeuronGroup]:
        """The neuron groups in it, hidden or not; with recursive=False only those that are direct members."""
        return cast("list[NeuronGroup]", EDITS["groups_in"](self, recursive))

    def get_connections(self, recursive: bool = True) -> list[Connection]:
        """The connections in it, hidden or not; with recursive=False only those that are direct members."""
        return cast("list[Connection]", EDITS["connections_in"](self, recursive))

    def get_assemblies(self, recursive: bool = True) -> list[Assembly]:
        """The assemblies in it; with recursive=False only those that are direct members."""
        return [c for c in (self.walk() if recursive else self.members.values()) if isinstance(c, Assembly)]

    def get_leveled_groups(self) -> list[list[Component]]:
        """The assembly itself, the assemblies and neuron groups that are its members, theirs, and so on."""
        return cast("list[list[Component]]", EDITS["levels_of"](self))

    def get_elements(self) -> dict[str, Component]:
        """All components below by their path in the network."""
        return {component.path: component for component in self.walk()}

    def __contains__(self, component: object) -> bool:
        """Whether a component, or one of that name, lies below."""
        return component in below(self) if isinstance(component, str) else any(c is component for c in self.walk())

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any: ...

    def __setattr__(self, name: str, value: object) -> None:
        if isinstance(value, Component) and not name.startswith("_"):
            self._adopt(name, value)
        elif name in self.__dict__.get("_members", {}):
            raise ParameterError(f"{self.kind}.{name} is a component; `del` it before it becomes something else")
        elif not name.startswith("_") and _hides_components(value):
            raise ParameterError(
                f"{self.kind}.{name} is a {type(value).__name__} of components, which would not be members; add each: "
                "net.add(f'layer{k}', component)"
            )
        object.__setattr__(self, name, value)

    def __delattr__(self, name: str) -> None:
        member = self.__dict__["_members"].pop(name, None)
        object.__delattr__(self, name)
        if member is not None:
            self._release(member)
            self._changed()

    def _release(self, member: Component) -> None:
        """Lets a member go, with what it has learned."""
        path, member._owner = member.path, None
        self.ancestors()[-1]._forget(path)

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        twin = super().__deepcopy__(memo)
        for member in twin.members.values():
            member._owner = twin
        return twin

    def _adopt(self, name: str, component: Component) -> None:
        if "_members" not in self.__dict__:
            raise StateError(f"{type(self).__name__}: call super().__init__() before adding {name!r}")
        check_name(name)
        if hasattr(type(self), name):
            raise ParameterError(
                f"{name!r} is taken by {type(self).__name__} itself; choose another name for this {component.kind}"
            )
        if component.kind == "network":
            raise ParameterError(
                f"a network cannot be a member of another; take a copy: copy_assembly({name!r}, network)"
            )
        if component in self.ancestors() or component._owner not in (None, self):
            raise ParameterError(
                f"{component.kind} {component.name!r} already belongs to an assembly and cannot be {name!r} too"
            )
        if component._owner is self and self.members.get(component.name) is component and component.name != name:
            raise ParameterError(f"{component.kind} {component.name!r} is already a member and cannot be {name!r} too")
        previous = self.members.get(name)
        if previous is not None and previous is not component:
            self._release(previous)
        component._name, component._owner = name, self
        self.__dict__["_members"][name] = component
        self.ancestors()[-1]._settle(component)
        self._changed()

    def __enter__(self) -> Assembly:
        _OPEN.set((*_OPEN.get(), (self, [])))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        *rest, (_, pending) = _OPEN.get()
        _OPEN.set(tuple(rest))
        if kind is not None:
            return
        variables = sys._getframe(1).f_locals
        found: dict[str, Component] = {}
        for component in pending:
            if component._owner is None and component is not self:
                variable = next((n for n, v in variables.items() if v is component and not n.startswith("_")), None)
                name = component._name or variable or self._free_name(component.kind, found)
                if name in found:
                    raise ParameterError(f"two components are to be called {name!r}; give each a name of its own")
                found[name] = component
        for name, component in found.items():
            self.add(name, component)

    def _references(self) -> dict[str, list[Component]]:
        return {name: _components_in(self.__dict__[name]) for name in self.refers if name in self.__dict__}

    def _free_name(self, kind: str, taken: Container[str]) -> str:
        names = (f"{kind.replace(' ', '_')}{number}" for number in count(1))
        return next(name for name in names if name not in taken and not hasattr(self, name))
