"""Networks of all shapes, run on either compute path, with all that comes out and flows back by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from kernel_neurons import Adaptive, Everything, Izhikevich, Refractory, TwoPorts

import spikeloom as sl
from spikeloom.network.decodings import Decoding
from spikeloom.neurons import CLIF, LI, LIF, Emission, Neuron, Rectangle, Smooth, Subtract, ToValue

DT = 1.0
Tensors = dict[str, torch.Tensor]


@dataclass(frozen=True, kw_only=True, slots=True)
class Whole(Decoding):
    """The spikes in every step, (T, B, n)."""

    def decode(self, activity: Any, dt: float) -> Any:
        return activity


class WholePotential(Whole):
    variable = "v"


class WholeCurrent(Whole):
    variable = "i_syn"


WHOLE = {"spikes": Whole(), "v": WholePotential(), "i_syn": WholeCurrent()}


def reader(group: sl.NeuronGroup, variable: str) -> sl.Decoder:
    """A decoder whose answer is a variable of a population in every step, with its gradient."""
    decoder = sl.Decoder(dec_target=group)
    vars(decoder)["decoding"] = WHOLE[variable]
    return decoder


@dataclass(frozen=True)
class Kind:
    """A kind of population: its model for n neurons, what is trained, by which ports and filters current comes in,
    what is read of it, and how much its weights are scaled."""

    make: Callable[[int], Neuron[Any]]
    trains: tuple[str, ...] = ()
    inlets: tuple[tuple[str | None, Any], ...] = ((None, None),)
    reads: tuple[str, ...] = ("spikes", "v")
    gain: float = 1.0


def _varied(n: int) -> LIF:
    random = np.random.default_rng(n)
    emission = Emission(surrogate=Rectangle(0.7), reset=ToValue("v_reset"))
    return LIF(tau_m=random.uniform(2, 12, n), v_reset=random.uniform(-0.3, 0.3, n), v_th=0.8, emission=emission)


SUBTRACT, SMOOTH = Emission(reset=Subtract()), Emission(forward=Smooth(0.4), reset=ToValue("v_reset"))
KINDS: Mapping[str, Kind] = {
    "lif": Kind(lambda n: LIF(tau_m=5.0, emission=SUBTRACT)),
    "varied": Kind(_varied, ("tau_m", "v_th"), ((None, sl.LowPass(tau=3.0)),)),
    "two filters": Kind(
        lambda n: LIF(emission=SUBTRACT), (), ((None, None), (None, sl.LowPass(tau=4.0))), ("spikes", "v", "i_syn")
    ),
    "clif": Kind(lambda n: CLIF(), ("v_0",)),
    "li": Kind(lambda n: LI(tau_m=6.0)),
    "smooth": Kind(lambda n: LIF(emission=SMOOTH), ("v_reset",)),
    "adaptive": Kind(lambda n: Adaptive(tau=np.linspace(4, 12, n)), ("tau", "tau_a", "jump_a", "jump_b", "v_th")),
    "refractory": Kind(lambda n: Refractory(), ("tau", "v_th")),
    "izhikevich": Kind(lambda n: Izhikevich(), ("a", "b", "c", "d", "v_th"), gain=40.0),
    "everything": Kind(lambda n: Everything(), ("tau", "low", "scale", "v_th"), gain=2.0),
    "two ports": Kind(lambda n: TwoPorts(), ("tau", "v_th"), (("i_exc", None), ("i_shunt", sl.LowPass(tau=3.0))),
                      ("spikes", "v", "i_syn")),
}  # fmt: skip
BUILT_IN = ("clif", "li", "lif", "smooth", "two filters", "varied")


@dataclass(frozen=True)
class Wire:
    """A connection from a layer, or from the input (-1), to a layer; inlet: the number of the kind's inlet."""

    pre: int
    post: int
    inlet: int = 0
    delay: int = 0
    bias: bool = False
    link: str = "full"


@dataclass(frozen=True)
class Case:
    """A network with its input.

    layers: (kind, n); signal: 'events', 'graded events', 'raster' (0 and 1), 'values' or 'constant'; later: how many
    steps a second run goes on for; reads: the layers of which all is read, the last one's spikes always are.
    """

    n_in: int
    layers: tuple[tuple[str, int], ...]
    wires: tuple[Wire, ...]
    steps: int = 9
    samples: int = 3
    later: int = 0
    signal: str = "raster"
    density: float = 0.3
    input_grad: bool = False
    reads: tuple[int, ...] = ()
    schedule: str = "auto"
    seed: int = 0
    dtype: torch.dtype = torch.float64

    @property
    def is_spikes(self) -> bool:
        """Whether the input is events, which get no gradient."""
        return "events" in self.signal


def network_of(case: Case, path: str, **options: Any) -> sl.Network:
    """The network of a case on a compute path; equal weights whatever the path."""
    net = sl.Network()
    net.x = sl.Encoder(case.n_in, coding_method="constant_current" if case.signal == "constant" else "null")
    groups = []
    for k, (kind, n) in enumerate(case.layers):
        made = KINDS[kind]
        groups.append(sl.NeuronGroup(n, made.make(n), parameter_variables=made.trains))
        setattr(net, f"layer{k}", groups[k])
    for k, wire in enumerate(case.wires):
        setattr(net, f"wire{k}", _connection(case, wire, net.x, groups))
    for k, group in enumerate(groups):
        reads = KINDS[case.layers[k][0]].reads if k in case.reads else ()
        for name in dict.fromkeys([*reads, *(["spikes"] if k == len(groups) - 1 else [])]):
            setattr(net, f"read{k}_{name}", reader(group, name))
    net.set_backend(sl.TorchBackend(dt=DT, dtype=case.dtype, schedule=case.schedule, path=path, **options))
    net.set_random_seed(case.seed)
    return net


def _connection(case: Case, wire: Wire, encoder: Any, groups: list[Any]) -> sl.Connection:
    pre, post = encoder if wire.pre < 0 else groups[wire.pre], groups[wire.post]
    kind = KINDS[case.layers[wire.post][0]]
    port, filter = kind.inlets[wire.inlet]
    active = max(1.0, pre.num * (case.density if wire.pre < 0 else 0.3))
    weights = {"w_mean": kind.gain * 0.3 / active, "w_std": kind.gain * 1.3 / active**0.5}
    bias = {"bias": np.linspace(-0.2, 0.3, post.num)} if wire.bias else {}
    delay = wire.delay * DT
    return sl.Connection(pre, post, link_type=wire.link, delay=delay, filter=filter, port=port, **weights, **bias)


def signal_of(case: Case, n_steps: int, seed: int) -> Any:
    """What the encoder is given: a batch of so many steps."""
    random = np.random.default_rng(seed)
    shape = (n_steps, case.samples, case.n_in)
    x = (random.random(shape) < case.density).astype(np.float64)
    if case.signal not in ("events", "raster"):
        x *= random.normal(size=shape).astype(np.float32)
    if case.is_spikes:
        return sl.Spikes.from_raster(x, DT)
    x = x[0] if case.signal == "constant" else x.swapaxes(0, 1)
    return torch.from_numpy(x.copy()).to(case.dtype).requires_grad_(case.input_grad)


def run_of(net: sl.Network, case: Case, number: int = 0) -> tuple[Tensors, torch.Tensor, Any]:
    """The answers of a run (0) or of one that continues it (1), a loss of all of them, and the input."""
    n_steps = case.later if number else case.steps
    x = signal_of(case, n_steps, case.seed + number)
    net.x(x)
    (net.run_continue if number else net.run)(n_steps * DT)
    answers = {d.name: d.predict for d in net.decoders}
    random = torch.Generator().manual_seed(number)
    loss = sum((a * torch.randn(a.shape, generator=random, dtype=a.dtype)).sum() for a in answers.values())
    return answers, loss, x


def results(case: Case, path: str = "auto", **options: Any) -> Tensors:
    """All answers of a case, and the gradients of a loss of all of them, by name."""
    net = network_of(case, path, **options)
    found: Tensors = {}
    for number in (0, 1) if case.later else (0,):
        answers, loss, x = run_of(net, case, number)
        if path == "auto":
            assert {block.path for block in net.plan.blocks} == {"kernel path"}, str(net.plan)
        if loss.requires_grad:
            loss.backward()
        found |= {f"{number} {name}": a.detach() for name, a in answers.items()}
        for name, parameter in net.named_parameters():
            if parameter.grad is not None:
                found[f"{number} gradient of {name}"], parameter.grad = parameter.grad, None
        if case.input_grad and not case.is_spikes and x.grad is not None:
            found[f"{number} gradient of the input"] = x.grad
    return found


def assert_equal(found: Tensors, wanted: Tensors, tolerance: float) -> None:
    """Equal spikes, and all else within a tolerance relative to the largest number of its kind, or to a little of the
    largest of all where a sum cancels to nothing; no gradient is as good as one of zeros."""
    least = 1e-4 * max((float(b.abs().max()) for b in wanted.values() if b.numel()), default=0.0)
    for name in sorted(wanted.keys() | found.keys()):
        nothing = torch.zeros_like(wanted[name] if name in wanted else found[name])
        a, b = found.get(name, nothing), wanted.get(name, nothing)
        assert a.shape == b.shape, name
        if not b.numel():
            continue
        if name.endswith("spikes") and bool(((b == 0) | (b == 1)).all()):
            assert torch.equal(a, b), name
        scale = max(float(b.abs().max()), least, 1e-6)
        error = float((a - b).abs().max())
        assert error <= tolerance * scale, f"{name}: differs by {error} where the largest is {scale}"


def on_both_paths(case: Case, tolerance: float = 1e-10, **options: Any) -> Tensors:
    """The results of the torch path, to which those of the kernel path are equal."""
    wanted = results(case, "torch")
    assert_equal(results(case, "auto", **options), wanted, tolerance)
    return wanted
