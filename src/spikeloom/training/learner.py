"""What is trained, with which surrogate, by which optimizer."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, fields, replace
from typing import Any, ClassVar

import numpy as np
import torch
from torch import nn

from ..datasets import Dataloader
from ..errors import DataError, ParameterError, StateError, UnsupportedError
from ..network import Attached, Component, Connection, Members, NeuronGroup, member
from ..network.credit import BPTT, Credit, credit_of
from ..network.learned_delays import learning
from ..network.parameters import ParameterSpec
from ..network.rules import Plasticity
from ..network.values import entries, mapping, named
from ..neurons import SURROGATES, Blocked, Emission, Surrogate
from ..plasticity import Rule
from ..registry import resolve_keywords
from .adam import take_step
from .algorithms import ALGORITHMS
from .optimizers import OPTIMIZERS, SCHEDULES, Left, Made, closure_of, kinds_of, make, same
from .pathway import check_pathway
from .protection import Protection
from .rules import RulePart, is_numbers, none_of, settings_from, with_rate


class Learner(Attached):
    """`Learner(trainable=net, algorithm='STCA', alpha=...)` trains components of a network.

    trainable: a network, an assembly, a component, or a list of them; only their parameters are trained. algorithm:
    'STCA', 'STBP' or 'SBP' with its options: the surrogate of every population, so that gradients also reach what is
    trained through what is not; among several learners it is that of the one that trains the population. pathway: the
    populations, or what holds them, whose spikes let gradients pass beside the trainable ones (default: all). lr: the
    learning rate of `set_optimizer` when it names none. credit: which paths gradients take, by name ('bptt', 'sltt',
    'ottt', 'feedback_alignment', 'sign_symmetric', 'eprop', 'tess') or as a Credit.

    With the name of a rule such as 'full_online_STDP', or a Rule, as its algorithm it changes the trainable connections
    in each run while the network is in training. lr: the rate of the rule, its own by default, 0 to stop. batch: what
    the samples of a batch mean to a rule: 'mean', 'sum', or 'sequential', one sample a run. modulator: what the rule
    reads as m: a number, one for each sample, a Reward, a population of one neuron, or (population, variable). lr and
    modulator can be set anew between runs. apply: False leaves the weights, and subtracts their change from `.grad` at
    the end of a run, for `optim_step`.
    """

    kind = "learner"
    mutable: ClassVar[frozenset[str]] = frozenset({"modulator", "lr"})

    def __init__(
        self,
        trainable: Component | Iterable[Component] | None = None,
        algorithm: str | Rule = "STCA",
        *,
        pathway: Component | Iterable[Component] | None = None,
        lr: float | None = None,
        credit: Credit | str = "bptt",
        batch: str | None = None,
        modulator: Any = None,
        apply: bool = True,
        name: str | None = None,
        **options: Any,
    ) -> None:
        owner = f"Learner {name!r}" if name else "Learner"
        self._credit = credit_of(credit)
        self._name = name
        self.__dict__["modulator"] = modulator
        made = self._found_algorithm(owner, algorithm, options)
        self.surrogate = made if isinstance(made, Surrogate) else Blocked()
        self._rule: RulePart | None = None
        if isinstance(made, Rule):
            made = with_rate(made, self.algorithm, self.options, lr)
            self._rule = RulePart(self, made, named=isinstance(algorithm, str), batch=batch, apply=apply)
        else:
            none_of(owner, self.algorithm, batch=batch, modulator=modulator, apply=apply)
        self.trainable = _components(f"{owner}.trainable", trainable)
        self.pathway = None if pathway is None else _components(f"{owner}.pathway", pathway)
        self._lr = None if lr is None else made.lr if isinstance(made, Rule) else _rate(owner, lr)
        self._optimizer: tuple[str, dict[str, Any]] | None = None
        self._schedule: tuple[str, dict[str, Any]] | None = None
        self._made: Made | None = None
        self._left: Left | None = None
        self._found: tuple[Any, list[nn.Parameter]] | None = None
        self._protection = Protection(self)
        super().__init__(name)

    def _found_algorithm(self, owner: str, algorithm: str | Rule, options: dict[str, Any]) -> Surrogate | Rule:
        """What the algorithm is with its options, which are kept under their own names."""
        if isinstance(algorithm, Rule):
            self.algorithm = "rule"
            self.options = resolve_keywords(f"{owner}, a rule of its own", "learner option", options, [])
            return algorithm
        self.algorithm = ALGORITHMS.name_of(algorithm)
        maker = ALGORITHMS[self.algorithm]
        known = [name for name in inspect.signature(maker).parameters if name != "lr"]
        self.options = resolve_keywords(f"{owner}, algorithm {self.algorithm!r}", "learner option", options, known)
        made = maker(**self.options)
        if isinstance(kind := self.options.get("surrogate"), type):
            self.options["surrogate"] = next((n for n in SURROGATES if SURROGATES[n] is kind), made)
        return made

    @property
    def rule(self) -> Rule | None:
        """The rule that it learns by; None where it trains by gradients."""
        return None if self._rule is None else self._rule.rule

    @property
    def lr(self) -> float | None:
        """The rate of the rule; beside gradients what `set_optimizer` takes when it names none."""
        return self._lr if self._rule is None else self._rule.rule.lr

    @lr.setter
    def lr(self, given: float) -> None:
        if self._rule is None:
            raise ParameterError(f"learner {self.name!r}: the rate of gradients is set by set_optimizer(name, lr)")
        self._rule.rule = with_rate(self._rule.rule, self.algorithm, self.options, given)
        self._lr = self._rule.rule.lr

    @property
    def modulator(self) -> Any:
        """What the rule reads as m."""
        return self.__dict__["modulator"]

    @modulator.setter
    def modulator(self, given: Any) -> None:
        if self._rule is None:
            none_of(f"learner {self.name!r}", self.algorithm, modulator=given)
        before, self.__dict__["modulator"] = self.__dict__["modulator"], given
        if not (is_numbers(before) and is_numbers(given)):
            self._changed()

    @property
    def by_gradient(self) -> bool:
        return self._rule is None

    def plasticities(self) -> list[Plasticity]:
        return [] if self._rule is None else self._rule.plasticities()

    @property
    def credit(self) -> Credit:
        """Which paths gradients take."""
        return self._credit

    def emission_for(self, group: NeuronGroup, emission: Emission) -> Emission:
        """The emission with the algorithm's surrogate, or with one that blocks gradients beside the pathway."""
        return replace(emission, surrogate=self.surrogate if self.passes(group) else Blocked())

    def passes(self, group: NeuronGroup) -> bool:
        """Whether gradients pass the spikes of a population."""
        return self.pathway is None or self.trains(group) or any(part in self.pathway for part in group.ancestors())

    def trains(self, owner: Component) -> bool:
        """Whether a component is among the trainable ones, or lies in one of them."""
        return any(part is above for above in owner.ancestors() for part in self.trainable)

    def set_optimizer(
        self, optim_name: str, optim_lr: float | None = None, *, delay_lr: float | None = None, **options: Any
    ) -> None:
        """Chooses an optimizer of torch by name in any spelling, its learning rate and its options.

        delay_lr: the learning rate of delays that learn, in ms; None: 100 times that of the weights, in steps of dt.
        """
        name = OPTIMIZERS.name_of(optim_name)
        known = [k for k in inspect.signature(OPTIMIZERS[name]).parameters if k != "params"]
        settings = _plain(resolve_keywords(f"optimizer {name!r}", "optimizer option", options, known))
        if optim_lr is not None and "lr" in settings:
            raise ParameterError(f"optimizer {name!r}: lr was given twice; give it once")
        default = self._lr if self._rule is None else None
        lr = settings.pop("lr", default) if optim_lr is None else optim_lr
        if lr is not None:
            settings["lr"] = _rate(f"optimizer {name!r}", lr)
        if delay_lr is not None:
            settings["delay_lr"] = _rate(f"optimizer {name!r}, delay_lr", delay_lr)
        self._optimizer, self._made, self._left = (name, settings), None, None

    def set_schedule(self, lr_schedule_name: str, *arguments: Any, **options: Any) -> None:
        """Chooses a schedule of the learning rate of torch by name in any spelling, with its options."""
        name = SCHEDULES.name_of(lr_schedule_name)
        known = [k for k in inspect.signature(SCHEDULES[name]).parameters if k != "optimizer"]
        positional = dict(zip(known, arguments, strict=False))
        if len(arguments) > len(known):
            raise ParameterError(f"schedule {name!r} takes {', '.join(known)}; got {len(arguments)} values")
        more = resolve_keywords(f"schedule {name!r}", "schedule option", options, known)
        if set(positional) & set(more):
            raise ParameterError(
                f"schedule {name!r}: {', '.join(set(positional) & set(more))} was given twice; give it once"
            )
        needed = [
            k for k in known if inspect.signature(SCHEDULES[name]).parameters[k].default is inspect.Parameter.empty
        ]
        if lacking := [k for k in needed if k not in positional | more]:
            raise ParameterError(f"schedule {name!r} needs {', '.join(lacking)}; give it by name")
        self._schedule, self._made, self._left = (name, _plain(positional | more)), None, None

    @property
    def parameters(self) -> list[nn.Parameter]:
        """The tensors that this learner trains."""
        module = self.network.module
        if self._found is not None and self._found[0] is module:
            return list(self._found[1])
        owners = [owner for owner in self.network.owners() if self.trains(owner)]
        names = {spec.name for owner in owners for spec in owner.parameter_specs() if spec.trainable}
        self._found = module, [p for n, p in module.named_parameters() if n in names]
        return list(self._found[1])

    @property
    def optim(self) -> torch.optim.Optimizer:
        """The torch optimizer; when an edit of the network changed what is trained, another that goes on from there."""
        return self._ready().optimizer

    @property
    def schedule(self) -> Any:
        """The torch schedule, or None."""
        return self._ready().schedule

    @property
    def watches_metric(self) -> bool:
        """Whether the schedule's step takes a figure: ReduceLROnPlateau."""
        return isinstance(self.schedule, torch.optim.lr_scheduler.ReduceLROnPlateau)

    def optim_zero_grad(self) -> None:
        """Forgets the gradients."""
        for group in self.optim.param_groups:
            for parameter in group["params"]:
                parameter.grad = None

    def optim_step(self, closure: Callable[[], Any] | None = None) -> None:
        """Moves the parameters by one step of the optimizer; weights stay within their signs and bounds.

        closure: forgets the gradients, computes the loss and its gradients anew, and returns it; LBFGS needs one.
        """
        optimizer = self.optim
        if isinstance(optimizer, torch.optim.SparseAdam) and any(_is_dense(p.grad) for p in self.parameters):
            raise UnsupportedError(
                f"learner {self.name!r}: SparseAdam takes sparse gradients, a run gives dense ones; choose 'Adam'"
            )
        if closure is None and isinstance(optimizer, torch.optim.LBFGS):
            raise StateError(
                f"learner {self.name!r}: LBFGS computes the loss several times a step; call optim_step(closure), or "
                "choose another optimizer"
            )
        with self._protection.kept_off():
            take_step(optimizer, None if closure is None else closure_of(self._ready(), closure))
        self.network.constrain()

    def optim_schedule(self, metric: float | None = None) -> None:
        """Moves the learning rate by one step of the schedule; metric: what ReduceLROnPlateau watches."""
        if self._schedule is None:
            raise StateError(f"learner {self.name!r} has no schedule; call set_schedule('StepLR', 10) first")
        if self.watches_metric is (metric is None):
            way = "give it: optim_schedule(loss)" if self.watches_metric else "leave it out: optim_schedule()"
            takes = "watches a figure" if self.watches_metric else "takes no figure"
            raise ParameterError(f"schedule {self._schedule[0]!r} {takes}; {way}")
        self.schedule.step(*([] if metric is None else [metric]))

    def protect(self, data: Dataloader, *, time: float, rows: int | Mapping[Connection, int], epochs: int = 1) -> None:
        """After a task: from now on the weights that it trains keep off the directions of what flows through them now.

        data: samples of the task, each shown for `time` ms in evaluation, `epochs` times. rows: how many directions
        each connection learns (`training.subspace`, HLOP) beside those that it has, or by connection. What a connection
        makes of inputs along them changes no more, but where signs or bounds take weights back. Parameters of neurons
        are not protected. Raises DataError where nothing flows into a connection, UnsupportedError where it is not only
        this learner's optimizer that changes it.
        """
        self._protection.learn(data, rows, time, epochs)

    def parameter_specs(self) -> list[ParameterSpec]:
        """The directions that its weights are kept off from; what its rule keeps from run to run."""
        return self._protection.specs() + ([] if self._rule is None else self._rule.specs())

    def describe(self) -> dict[str, Any]:
        """Its settings, with paths in place of components: what `from_description` takes."""
        options = dict(self.options)
        if isinstance(options.get("surrogate"), Surrogate):
            options |= {"surrogate": named(SURROGATES, self.surrogate), "alpha": self.surrogate.alpha}
        paths = [self._path(part) for part in self.trainable]
        described = {"trainable": paths, "algorithm": self.algorithm, "options": options, "lr": self._lr}
        if self._rule is not None:
            described |= self._rule.describe()
        if not self._credit.is_plain:
            described["credit"] = asdict(self._credit)
        if self.pathway is not None:
            described["pathway"] = [self._path(part) for part in self.pathway]
        if protected := self._protection.describe():
            described["protects"] = protected
        for key, chosen in (("optimizer", self._optimizer), ("schedule", self._schedule)):
            if chosen is not None:
                described[key] = {"name": chosen[0]} | chosen[1]
        return described

    def line(self) -> str:
        """Its algorithm, optimizer and learning rate, and what it trains, in one line of a printed network."""
        name, settings = self._optimizer or ("no optimizer", {})
        rate = f" lr {settings['lr']:g}" if "lr" in settings else ""
        if self._rule is not None:
            name, rate = self._rule.line(), "" if self._rule.apply else f", {name}{rate}"
        whole = self.network in self.trainable
        parts = "the whole network" if whole else ", ".join(part.path for part in self.trainable) or "nothing"
        return f"{self.kind} {self.algorithm.upper()}, {name}{rate}, trains {parts}"

    @classmethod
    def from_description(cls, description: Mapping[str, Any], members: Members) -> Learner:
        """The learner that `describe` described, with the components at its paths.

        Raises DataError for an incomplete description and for paths that are not there; ParameterError and
        UnknownNameError for wrong settings.
        """
        needed = ("trainable", "algorithm", "options", "lr")
        known = ("pathway", "optimizer", "schedule", "credit", "protects", "rule", "batch", "modulator", "apply")
        values = entries("a learner", dict(description), needed, known)
        parts = _members("trainable", values["trainable"], members)
        pathway = _members("pathway", values["pathway"], members) if "pathway" in values else None
        options = mapping("options", values["options"])
        credit = _described_credit(values["credit"]) if "credit" in values else BPTT
        settings = {"algorithm": values["algorithm"]} | settings_from(values, members)
        learner = cls(parts, pathway=pathway, lr=values["lr"], credit=credit, **settings, **options)
        if "optimizer" in values:
            options = mapping("optimizer", values["optimizer"])
            learner.set_optimizer(options.pop("name", ""), **options)
        if "schedule" in values:
            options = mapping("schedule", values["schedule"])
            learner.set_schedule(options.pop("name", ""), **options)
        learner._protection.take(values.get("protects", {}), members)
        return learner

    def _path(self, part: Component) -> str:
        if part is not self.network and part not in self.network.walk():
            raise StateError(
                f"learner {self.name!r} trains {part.name!r}, which is not in the network; assign it first"
            )
        return "network" if part is self.network else part.path

    def __getstate__(self) -> dict[str, Any]:
        left = self._left if self._made is None else self._made.left()
        return super().__getstate__() | {"_made": None, "_left": left, "_found": None}

    def _ready(self) -> Made:
        if self._optimizer is None:
            raise StateError(f"learner {self.name!r} has no optimizer; call set_optimizer('Adam', 0.001) first")
        parameters = self.parameters
        if not parameters:
            raise StateError(f"learner {self.name!r} trains nothing: its trainable components have no parameters")
        if self.pathway is not None:
            check_pathway(self)
        if (
            self._made is None
            or not same(self._made.parameters, parameters)
            or self._made.kinds != kinds_of(parameters)
        ):
            left = self._left if self._made is None else self._made.left()
            late = {f"{path}.delay" for path in learning(self.network)}
            delays = [p for p in parameters if any(p is q for n, q in self.network.named_parameters() if n in late)]
            dt = self.network.backend.dt
            self._made, self._left = make(self._optimizer, self._schedule, parameters, delays, dt), None
            if left is not None:
                self._made.resume(left)
        return self._made


def _is_dense(grad: torch.Tensor | None) -> bool:
    return grad is not None and grad.layout is torch.strided


def _rate(owner: str, lr: Any) -> float:
    """The learning rate as a float; ParameterError unless it is a positive number."""
    number = isinstance(lr, (int, float, np.number)) and not isinstance(lr, bool)
    if not number or not 0 < lr < float("inf"):
        raise ParameterError(f"{owner}: the learning rate must be a positive number, got {lr!r}")
    return float(lr)


def _components(owner: str, trainable: Any) -> list[Component]:
    many = isinstance(trainable, Iterable) and not isinstance(trainable, Component)
    parts = list(trainable) if many else [trainable]
    if not parts or not all(isinstance(part, Component) for part in parts):
        raise ParameterError(f"{owner} must be a network, a component or a list of them, got {trainable!r}")
    return parts


def _members(what: str, paths: Any, members: Members) -> list[Component]:
    if not isinstance(paths, list):
        raise DataError(f"{what} must be a list of paths, got {paths!r:.80}")
    return [member(what, path, members) for path in paths]


def _described_credit(values: Any) -> Credit:
    known = [f.name for f in fields(Credit)]
    return Credit(**entries("credit", mapping("credit", values), known, ()))


def _plain(options: dict[str, Any]) -> dict[str, Any]:
    """The options with Python's numbers in place of NumPy's, which a checkpoint does not hold."""
    return {name: value.item() if isinstance(value, np.generic) else value for name, value in options.items()}
