"""Memory of the kernel path: nobody gets what a run may still need, and nothing is kept that no run needs."""

import gc
import weakref
from dataclasses import replace

import numpy as np
import pytest
import torch
from kernel_networks import Case, Wire, assert_equal, network_of, results, run_of

import spikeloom as sl
from spikeloom.backends.kernel_layer import KernelLayer
from spikeloom.backends.workspace import Workspace

CASE = Case(
    9, (("varied", 20), ("li", 6)), (Wire(-1, 0), Wire(0, 0), Wire(0, 1, bias=True, delay=1)),
    samples=10, later=4, input_grad=True, reads=(0, 1), seed=3,
)  # fmt: skip


def gradients(net, loss):
    loss.backward()
    found = {name: p.grad for name, p in net.named_parameters()}
    forget_gradients(net)
    return found


def forget_gradients(net):
    for parameter in net.parameters():
        parameter.grad = None


@pytest.fixture
def no_collector():
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.fixture
def leases(monkeypatch):
    """References to all leases that are taken, which keep none of them alive."""
    made, lease = [], Workspace.lease

    def noted(workspace):
        new = lease(workspace)
        made.append(weakref.ref(new))
        return new

    monkeypatch.setattr(Workspace, "lease", noted)
    return made


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_runs_that_wait_for_their_way_back_do_not_disturb_each_other(order):
    wanted = []
    for seed in range(3):
        net = network_of(CASE, "torch")
        wanted.append(gradients(net, run_of(net, replace(CASE, seed=CASE.seed + seed))[1]))
    net = network_of(CASE, "auto")
    losses = [run_of(net, replace(CASE, seed=CASE.seed + seed))[1] for seed in range(3)]
    for k in order:
        assert_equal(gradients(net, losses[k]), wanted[k], 1e-10)


@pytest.mark.parametrize("sparing", [False, True], ids=["kept", "sparing"])
def test_nothing_that_a_run_gives_lies_in_memory_that_it_gave_back(monkeypatch, sparing):
    wanted = results(CASE, sparing=sparing)
    give_back = Workspace.give_back

    def spoiled(workspace, memory):
        for part in memory:
            part[...] = 0xFF
        give_back(workspace, memory)

    monkeypatch.setattr(Workspace, "give_back", spoiled)
    found = results(CASE, sparing=sparing)
    assert found.keys() == wanted.keys()
    assert all(torch.equal(found[name], wanted[name]) for name in wanted)


def test_memory_comes_back_after_the_way_back_though_the_loss_lives_on(no_collector, leases):
    net = network_of(CASE, "auto")
    _, loss, _ = run_of(net, CASE)
    assert leases[-1]() is not None
    loss.backward()
    assert leases[-1]() is None
    assert loss.grad_fn is not None


def test_memory_comes_back_when_the_loss_is_dropped(no_collector, leases):
    net = network_of(CASE, "auto")
    answers, loss, x = run_of(net, CASE)
    for decoder in net.decoders:
        decoder.forget()
    assert leases[-1]() is not None
    del answers, loss, x
    net.x(torch.zeros(1, 1, 9, dtype=torch.float64))
    assert leases[-1]() is None


def test_memory_comes_back_at_once_where_no_gradient_is_wanted(no_collector, leases):
    net = network_of(replace(CASE, input_grad=False), "auto")
    with torch.no_grad():
        run_of(net, replace(CASE, input_grad=False))
    assert len(leases) == 1
    assert leases[0]() is None


def test_the_next_run_uses_the_memory_of_the_last_one(monkeypatch):
    net, take, places = network_of(CASE, "auto"), Workspace.take, []

    def noted(workspace, n_bytes):
        memory = take(workspace, n_bytes)
        places[-1].add(memory.ctypes.data)
        return memory

    monkeypatch.setattr(Workspace, "take", noted)
    for _ in range(3):
        places.append(set())
        gradients(net, run_of(net, CASE)[1])
    assert len(places[0]) > 5
    assert places[0] == places[1] == places[2]


def test_a_second_way_back_is_refused_and_leaves_the_network_in_order():
    net = network_of(CASE, "auto")
    wanted = gradients(net, run_of(net, CASE)[1])
    _, loss, _ = run_of(net, CASE)
    loss.backward(retain_graph=True)
    with pytest.raises(sl.StateError, match="this run was differentiated already"):
        loss.backward()
    forget_gradients(net)
    assert_equal(gradients(net, run_of(net, CASE)[1]), wanted, 0.0)


@pytest.mark.parametrize("name", ["wire0.weight", "wire2.bias", "layer0.tau_m"])
def test_what_was_changed_in_place_since_the_run_is_noticed(name):
    net = network_of(CASE, "auto")
    _, loss, x = run_of(net, CASE)
    tensors = dict(net.named_parameters())
    with torch.no_grad():
        tensors[name].mul_(1.5)
    with pytest.raises(sl.StateError, match="changed in place between the run and backward"):
        loss.backward()
    with torch.no_grad():
        tensors[name].div_(1.5)
    net.x(x.detach())
    gradients(net, run_of(net, CASE)[1])


def test_an_input_that_was_changed_in_place_since_the_run_has_the_gradients_of_the_run():
    net = network_of(CASE, "auto")
    wanted = gradients(net, run_of(net, CASE)[1])
    forget_gradients(net)
    _, loss, x = run_of(net, CASE)
    with torch.no_grad():
        x.mul_(1.5)
    assert_equal(gradients(net, loss), wanted, 0.0)


@pytest.mark.parametrize("way", ["run", "run_back", "own_gradients", "prepare"])
def test_a_failure_in_the_middle_loses_nothing(monkeypatch, no_collector, leases, way):
    case = replace(CASE, wires=tuple(w for w in CASE.wires if w.pre != w.post))
    net = network_of(case, "auto")
    wanted = gradients(net, run_of(net, case)[1])
    state = net._built().state

    class FailureError(Exception):
        pass

    def fail(*arguments):
        raise FailureError

    with monkeypatch.context() as patch:
        patch.setattr(KernelLayer, way, fail)
        with pytest.raises(FailureError):
            gradients(net, run_of(net, case)[1])
    if way in ("run", "prepare"):
        assert net._built().state is state
    forget_gradients(net)
    for decoder in net.decoders:
        decoder.forget()
    assert all(lease() is None for lease in leases)
    assert_equal(gradients(net, run_of(net, case)[1]), wanted, 0.0)


def test_a_workspace_gives_what_it_got_by_size_and_never_twice():
    workspace = Workspace()
    lease, other = workspace.lease(), workspace.lease()
    arrays = [lease.empty((3, 5), np.float64), lease.zeros((7,), np.float32), other.empty((3, 5), np.float64)]
    places = [(a.ctypes.data, a.ctypes.data + a.nbytes) for a in arrays]
    assert all(start % 64 == 0 for start, _ in places)
    assert all(a[1] <= b[0] or b[1] <= a[0] for k, a in enumerate(places) for b in places[:k])
    assert arrays[0].shape == (3, 5)
    assert arrays[1].dtype == np.float32
    assert not arrays[1].any()
    del lease
    again = workspace.lease()
    assert again.empty((5, 3), np.float64).ctypes.data == places[0][0]
    assert again.empty((5, 3), np.float64).ctypes.data not in (places[0][0], places[2][0])
    assert other.empty((0, 4), np.float64).shape == (0, 4)


def test_a_workspace_keeps_no_more_than_twice_what_a_lease_took():
    workspace = Workspace()
    for size in range(100, 200):
        lease = workspace.lease()
        lease.empty((size, 8), np.float64)
        del lease
    kept = sum(part.size for parts in workspace._free.values() for part in parts)
    assert kept == workspace._n_free
    assert kept <= 2 * 199 * 64


def test_the_sparing_mode_takes_about_the_square_root_of_the_memory(monkeypatch):
    case = Case(5, (("lif", 64), ("varied", 64)), (Wire(-1, 0), Wire(0, 1, delay=2)), steps=400, samples=4, reads=(0,))
    taken, take = [0], Workspace.take

    def counted(workspace, n_bytes):
        taken[0] += n_bytes
        return take(workspace, n_bytes)

    monkeypatch.setattr(Workspace, "take", counted)
    sizes = {}
    for sparing in (False, True):
        net = network_of(case, "auto", sparing=sparing)
        taken[0] = 0
        gradients(net, run_of(net, case)[1])
        sizes[sparing] = taken[0]
    planes = 400 * 4 * 64 * 8 * (1 + 2)
    assert sizes[False] > planes
    assert sizes[True] < sizes[False] - 0.8 * planes
