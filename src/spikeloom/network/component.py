"""Members of a network: named, owned by an assembly, gathered by an open `with` block."""

from __future__ import annotations

import sys
from collections.abc import Container, Mapping
from contextvars import ContextVar
from copy import deepcopy
from itertools import count
from typing import TYPE_CHECKING, Any, ClassVar, Self, cast

from ..errors import ParameterError, StateError
from ..registry import did_you_mean

if TYPE_CHECKING:
    from types import TracebackType

    from .network import Network

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

    def _changed(self) -> None:
        """Tells the network that its description has changed."""
        if self._owner is not None:
            self._owner._changed()

    def _forget(self, path: str) -> None:
        """Drops what was learned by a member that is gone; a network does."""

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

    def __init__(self, name: str | None = None) -> None:
        object.__setattr__(self, "_members", {})
        super().__init__(name)

    @property
    def members(self) -> dict[str, Component]:
        """The direct members by name, in order of creation."""
        members: dict[str, Component] = self.__dict__["_members"]
        return dict(members)

    def walk(self) -> list[Component]:
        """All components below, in order of creation, depth first."""
        found: list[Component] = []
        for member in self.members.values():
            found.append(member)
            if isinstance(member, Assembly):
                found.extend(member.walk())
        return found

    def add(self, name: str, component: Component) -> None:
        """Adds a member under a name, which becomes an attribute."""
        setattr(self, name, component)

    add_assembly = add_connection = add_monitor = add_learner = add

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

    def _free_name(self, kind: str, taken: Container[str]) -> str:
        names = (f"{kind.replace(' ', '_')}{number}" for number in count(1))
        return next(name for name in names if name not in taken and not hasattr(self, name))
