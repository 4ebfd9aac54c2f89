"""The kernels of every instruction set and for any number of threads; what they leave to chance: nothing."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from kernel_networks import Case, Wire, assert_equal, on_both_paths, results

import spikeloom as sl
from spikeloom import native
from spikeloom.backends.workspace import Lease
from spikeloom.neurons import IF, LIF, Emission, Scale, ToValue

LOOPED = Case(
    33, (("two filters", 65), ("two filters", 70)),
    (Wire(-1, 0, 0, bias=True), Wire(-1, 0, 1), Wire(0, 1, 0), Wire(0, 1, 1, delay=2), Wire(1, 0, 1, bias=True),
     Wire(1, 1)),
    steps=11, samples=19, later=3, density=0.2, input_grad=True, reads=(0, 1),
)  # fmt: skip
FORWARD = replace(LOOPED, wires=tuple(w for w in LOOPED.wires if w.pre < w.post), signal="events", input_grad=False)
DENSE = replace(FORWARD, signal="values", density=0.9)
GRADED = Case(9, (("li", 70), ("lif", 33)), (Wire(-1, 0), Wire(0, 1, bias=True)), samples=9, steps=5)
CONSTANT = replace(FORWARD, signal="constant")


@pytest.fixture(scope="module", params=native.available())
def level(request):
    with native.using(request.param):
        yield request.param


def test_every_instruction_set_gives_what_the_torch_path_gives(level):
    for case in (LOOPED, FORWARD, DENSE):
        wanted = on_both_paths(case)
        assert 0.05 < wanted["0 read1_spikes"].mean() < 0.95


def test_a_membrane_rounds_as_the_lines_do_on_tensors(level):
    """Each product stands alone in the sum it is added to: bit by bit, so that a spike at the threshold is one."""
    models = (
        LIF(tau_m=3.0, v_rest=0.1, scale_input=True, emission=Emission(reset=ToValue(-0.07))),
        IF(constant_decay=0.013, emission=Emission(reset=Scale(0.3))),
    )
    for model in models:
        found = []
        for path in ("auto", "torch"):
            net = sl.Network()
            net.x = sl.Encoder(64, coding_method="null")
            net.a = sl.NeuronGroup(64, model)
            net.c = sl.Connection(net.x, net.a, link_type="one_to_one", weight=np.linspace(0.1, 4.3, 64))
            net.v, net.spikes = sl.StateMonitor(net.a, "v"), sl.StateMonitor(net.a, "spikes")
            net.set_backend(sl.TorchBackend(dt=1.0, dtype=torch.float64, path=path))
            net.x(np.random.default_rng(0).random((4, 60, 64)))
            net.run(60.0)
            found.append((net.v.values, net.spikes.values))
        assert 0.05 < found[1][1].mean() < 0.95
        np.testing.assert_array_equal(found[0][1], found[1][1])
        np.testing.assert_array_equal(found[0][0], found[1][0])


@pytest.mark.parametrize("case", [LOOPED, FORWARD, DENSE], ids=["loop", "events", "dense"])
@pytest.mark.parametrize("sparing", [False, True], ids=["kept", "sparing"])
def test_any_number_of_threads_gives_the_same_bits(case, sparing):
    one = results(case, threads=1, sparing=sparing)
    for threads in (2, 3):
        other = results(case, threads=threads, sparing=sparing)
        assert one.keys() == other.keys()
        for name, value in one.items():
            assert torch.equal(value, other[name]), (threads, name)


@pytest.mark.parametrize("sparing", [False, True], ids=["kept", "sparing"])
@pytest.mark.parametrize(
    "case", [LOOPED, FORWARD, DENSE, GRADED, CONSTANT], ids=["loop", "events", "dense", "graded", "constant"]
)
def test_what_memory_held_before_changes_no_bit(monkeypatch, case, sparing):
    """Padding and rows that nobody writes may hold anything: NaN, or numbers whose sum is infinite."""
    taken = Lease.empty
    found = []
    for fill in ([0], [0xFF], [0xEF, 0x7F]):

        def filled(lease, shape, dtype, fill=fill):
            array = taken(lease, shape, dtype)
            array.reshape(-1).view(np.uint8)[:] = np.resize(fill, array.nbytes)
            return array

        monkeypatch.setattr(Lease, "empty", filled)
        found.append(results(case, sparing=sparing))
    for other in found[1:]:
        for name, value in found[0].items():
            assert torch.equal(value, other[name]), name


@pytest.mark.parametrize("case", [LOOPED, FORWARD, DENSE], ids=["loop", "events", "dense"])
@pytest.mark.parametrize("steps", [1, 2, 11, 12])
def test_the_sparing_mode_gives_what_keeping_gives(case, steps):
    case = replace(case, steps=steps)
    assert_equal(results(case, sparing=True), results(case), 1e-12)
