"""Compiled steps of Adam against torch's own, on twins of the same parameters."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook

from spikeloom.training import adam
from spikeloom.training.adam import compiled_step, take_step

KINDS = [torch.optim.Adam, torch.optim.AdamW]


def twins(kind, turned, **options):
    """An optimizer of a weight, a bias and one that gets no gradient, and torch's plain one of the same numbers."""
    drawn = torch.Generator().manual_seed(0)
    values = [torch.randn(6, 5, generator=drawn), torch.randn(6, generator=drawn), torch.ones(3)]
    ours, theirs = ([nn.Parameter(v.clone()) for v in values] for _ in range(2))
    if turned:
        ours[0].data = ours[0].data.t().contiguous().t()
    return kind(ours, fused=True, **options), kind(theirs, fused=False, foreach=False, **options), ours, theirs


def give(ours, theirs, seed):
    drawn = torch.Generator().manual_seed(seed)
    for p, twin in zip(ours[:2], theirs[:2], strict=True):
        twin.grad = torch.randn(p.shape, generator=drawn)
        p.grad = torch.empty_like(p).copy_(twin.grad)


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_steps_and_states_are_those_of_torch(kind, turned, decay):
    ours, theirs, mine, others = twins(kind, turned, lr=0.05, betas=(0.8, 0.99), weight_decay=decay)
    for seed in range(7):
        give(mine, others, seed)
        assert compiled_step(ours)
        theirs.step()
    for p, twin in zip(mine, others, strict=True):
        torch.testing.assert_close(p, twin, rtol=1e-6, atol=1e-7)
        for name, value in theirs.state.get(twin, {}).items():
            torch.testing.assert_close(ours.state[p][name], value, rtol=1e-6, atol=1e-7)
    assert mine[2] not in ours.state
    assert ours.state[mine[0]]["exp_avg"].stride() == mine[0].stride()


def test_compiled_steps_and_those_of_torch_take_turns():
    ours, theirs, mine, others = twins(torch.optim.Adam, False, lr=0.05)
    for seed in range(6):
        give(mine, others, seed)
        assert compiled_step(ours) if seed % 2 else ours.step() is None
        theirs.step()
    torch.testing.assert_close(mine[0], others[0], rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("option", [{"amsgrad": True}, {"maximize": True}, {"fused": False}])
def test_what_the_kernel_does_not_have_is_left_to_torch(option):
    ours, _, mine, others = twins(torch.optim.Adam, False, lr=0.05)
    ours.param_groups[0] |= option
    give(mine, others, 0)
    before = [p.detach().clone() for p in mine]
    assert not compiled_step(ours)
    assert all(torch.equal(p, b) for p, b in zip(mine, before, strict=True))
    assert not ours.state


def test_one_parameter_that_is_not_plain_leaves_all_to_torch():
    ours, _, mine, others = twins(torch.optim.Adam, False, lr=0.05)
    give(mine, others, 0)
    mine[1].grad = torch.ones(6).to_sparse()
    before = mine[0].detach().clone()
    assert not compiled_step(ours)
    assert torch.equal(mine[0], before)
    give(mine, others, 0)
    assert compiled_step(ours)
    ours.state[mine[0]]["exp_avg"] = torch.zeros(7, 5)
    assert not compiled_step(ours)


def test_moments_that_come_back_in_another_order_go_on_bit_by_bit():
    (again, _, mine, others), (straight, _, theirs, _) = (twins(torch.optim.Adam, True, lr=0.05) for _ in range(2))
    for seed in range(5):
        for optimizer, weights in ((again, mine), (straight, theirs)):
            give(weights, others, seed)
            take_step(optimizer)
        state = again.state[mine[0]]
        state |= {name: value.clone(memory_format=torch.contiguous_format) for name, value in state.items()}
    assert torch.equal(mine[0], theirs[0])


def test_hooks_of_a_step_are_left_to_torch():
    ours, _, mine, others = twins(torch.optim.Adam, False, lr=0.05)
    give(mine, others, 0)
    hook = ours.register_step_post_hook(lambda *_: None)
    assert not compiled_step(ours)
    hook.remove()
    assert compiled_step(ours)


def test_hooks_of_all_optimizers_are_left_to_torch():
    ours, _, mine, others = twins(torch.optim.Adam, False, lr=0.05)
    give(mine, others, 0)
    for register in (register_optimizer_step_pre_hook, register_optimizer_step_post_hook):
        hook = register(lambda *_: None)
        assert not compiled_step(ours)
        hook.remove()
    assert compiled_step(ours)


@pytest.mark.parametrize("eps", [0.0, 1e-30, 1e-10])
def test_gradients_whose_squares_are_below_all_normal_numbers_step_as_torch_does(eps):
    weights = [nn.Parameter(torch.ones(4)) for _ in range(2)]
    kinds = zip(weights, (True, False), strict=True)
    ours, theirs = (torch.optim.Adam([w], lr=0.1, eps=eps, fused=fused) for w, fused in kinds)
    for size in (1e-19, 1e-20, 3e-19):
        for w in weights:
            w.grad = torch.full((4,), size)
        if not compiled_step(ours):
            ours.step()
        theirs.step()
    torch.testing.assert_close(*weights, rtol=1e-3, atol=1e-6)  # such squares have few digits


@pytest.mark.parametrize("kind", KINDS)
def test_weight_decay_is_that_of_the_class_where_no_group_tells(kind):
    # torch keeps decoupled_weight_decay in the groups from 2.7 on.
    ours, theirs, mine, others = twins(kind, False, lr=0.05, weight_decay=0.3)
    del ours.param_groups[0]["decoupled_weight_decay"]
    give(mine, others, 0)
    assert compiled_step(ours)
    theirs.step()
    torch.testing.assert_close(mine[0], others[0], rtol=1e-6, atol=1e-7)


def test_a_graph_notices_that_its_weight_was_stepped():
    ours, _, mine, others = twins(torch.optim.Adam, False, lr=0.05)
    give(mine, others, 0)
    loss = mine[0].square().sum()
    compiled_step(ours)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def test_a_schedule_follows_compiled_steps_without_a_warning():
    ours, _, mine, others = twins(torch.optim.Adam, False, lr=0.5)
    schedule = torch.optim.lr_scheduler.ExponentialLR(ours, 0.5)
    for seed in range(2):
        give(mine, others, seed)
        assert compiled_step(ours)
        schedule.step()
    assert ours.param_groups[0]["lr"] == pytest.approx(0.125)


def test_two_threads_give_the_bits_of_one(monkeypatch):
    monkeypatch.setattr(adam, "PER_THREAD", 1000)
    found = []
    for threads in (1, 2):
        monkeypatch.setattr(torch, "get_num_threads", lambda n=threads: n)
        weight = nn.Parameter(torch.from_numpy(np.random.default_rng(0).normal(size=9001)))
        weight.grad = weight.detach() * 3
        assert compiled_step(torch.optim.Adam([weight], lr=0.1, fused=True))
        found.append(weight.detach())
    assert torch.equal(*found)
