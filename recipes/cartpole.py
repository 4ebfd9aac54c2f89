"""A recipe: a spiking network balances a pole (CartPole-v1), by proximal policy optimisation with surrogate gradients.

    PYTHONPATH=benchmarks python recipes/cartpole.py [--seeds 5]

Claim: surrogate gradients train a spiking policy. Task: CartPole-v1 of Gymnasium, at most 500 steps. Each of the four
numbers that are observed is the currents of 10 Gaussian receptive fields; 128 leaky neurons over T = 6 steps; the mean
potentials of three leaky read-outs are the preferences of the two actions and the value of the state. Proximal policy
optimisation (Schulman et al. 2017, arXiv:1707.06347) on 16 environments, 40 rounds of 64 steps each, with generalised
advantages. Baselines: the same network untrained, and a policy at random. The gate: a mean of at least 475 over 100
greedy episodes, of other seeds than those of training, for at least 3 of 5 seeds.
"""

from __future__ import annotations

import time
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from recipe import Outcome, report

import spikeloom as sl

TIME, LEAK, HIDDEN, RATE = 6.0, 3.0, 128, 3e-3
RANGES = np.array([2.4, 2.5, 0.21, 2.5])  # of position, speed, angle and its speed
CENTRES, WIDTH = np.linspace(-1.0, 1.0, 10), 0.25
N_WORLDS, N_STEPS, ROUNDS, EPOCHS, BATCH = 16, 64, 40, 4, 256
GAMMA, LAMBDA, CLIP, REWARD = 0.99, 0.95, 0.2, 0.1
Array = NDArray[np.float32]


def coded(observed: Array) -> Array:
    """The currents (B, 40) of the receptive fields at observations (B, 4)."""
    away = (observed / RANGES).clip(-1.2, 1.2)[:, :, None] - CENTRES
    return np.exp(-0.5 * (away / WIDTH) ** 2).reshape(len(observed), -1).astype(np.float32)


def network(seed: int, rate: float = RATE) -> sl.Network:
    net = sl.Network("cartpole")
    with net:
        net.seen = sl.Encoder(4 * len(CENTRES), coding_method="constant_current")
        net.hidden = sl.NeuronGroup(HIDDEN, model="lif", tau_m=LEAK)
        net.out = sl.NeuronGroup(3, model="li", tau_m=LEAK)
        net.a = sl.Connection(net.seen, net.hidden, link_type="full", w_mean=0.0, w_std=0.35, bias=True)
        net.b = sl.Connection(net.hidden, net.out, link_type="full", w_mean=0.0, w_std=0.02, bias=True)
        net.answer = sl.Decoder(dec_target=net.out, coding_method="voltage_mean")
        net.learner = sl.Learner(trainable=net, algorithm="sbp", surrogate="triangle")
    net.set_backend_dt(1.0)
    net.set_random_seed(seed)
    net.learner.set_optimizer("Adam", rate)
    return net


def answer(net: sl.Network, observed: Array) -> torch.Tensor:
    """The preferences of both actions and the value, (B, 3)."""
    net.seen(coded(observed))
    net.run(TIME)
    return net.answer.predict


class Round(NamedTuple):
    """What the environments gave in some steps, (T, N) each: observations, actions, their log probabilities, ..."""

    seen: Array
    actions: Array
    log_p: Array
    advantages: Array
    returns: Array


class Worlds:
    """Environments side by side; one that ends begins anew."""

    def __init__(self, n: int, seed: int) -> None:
        self.each = [sl.GymEnvironment("CartPole-v1") for _ in range(n)]
        self.seen = np.stack([world.reset(1000 * seed + k) for k, world in enumerate(self.each)])

    def step(self, actions: Array) -> tuple[Array, Array, Array]:
        """The observations before any begins anew, which ended, and which were cut off at 500 steps."""
        found = [world.step(int(action)) for world, action in zip(self.each, actions, strict=True)]
        last = np.stack([step.observation for step in found])
        ended, cut = (np.array([getattr(step, name) for step in found]) for name in ("terminated", "truncated"))
        self.seen = last.copy()
        for k in np.flatnonzero(ended | cut):
            self.seen[k] = self.each[k].reset()
        return last, ended, cut


def played(net: sl.Network, worlds: Worlds, generator: np.random.Generator) -> Round:
    """Steps of the policy, with the advantages of what it did."""
    kept: list[list[Array]] = [[] for _ in range(6)]
    for _ in range(N_STEPS):
        seen, found = worlds.seen, answer(net, worlds.seen)
        log_p, value = found[:, :2].log_softmax(1).numpy(), found[:, 2].numpy()
        actions = (generator.random(len(seen)) < np.exp(log_p[:, 1])).astype(np.int64)
        last, ended, cut = worlds.step(actions)
        reward = np.full(len(seen), REWARD, np.float32)
        if cut.any():  # the pole still stands: what would have come is the value of where it is
            reward[cut] += GAMMA * answer(net, last)[:, 2].numpy()[cut]
        chosen = log_p[np.arange(len(seen)), actions]
        for part, new in zip(kept, (seen, actions, chosen, value, reward, ended | cut), strict=True):
            part.append(new)
    seen, actions, chosen, values, rewards, done = (np.stack(part) for part in kept)
    after = np.concatenate([values[1:], answer(net, worlds.seen)[:, 2].numpy()[None]])
    advantages, so_far = np.zeros_like(values), np.zeros(len(worlds.each), np.float32)
    for t in reversed(range(N_STEPS)):
        surprise = rewards[t] + GAMMA * after[t] * ~done[t] - values[t]
        so_far = surprise + GAMMA * LAMBDA * so_far * ~done[t]
        advantages[t] = so_far
    return Round(seen, actions, chosen, advantages, advantages + values)


def improve(net: sl.Network, found: Round, generator: np.random.Generator) -> None:
    """Epochs of clipped policy gradients over a round."""
    flat = Round(*(torch.as_tensor(part.reshape(-1, *part.shape[2:])) for part in found))
    for _ in range(EPOCHS):
        for chosen in np.split(generator.permutation(len(flat.seen)), range(BATCH, len(flat.seen), BATCH)):
            seen, actions, log_p, advantages, returns = (part[chosen] for part in flat)
            net.learner.optim_zero_grad()
            out = answer(net, seen.numpy())
            ratio = (out[:, :2].log_softmax(1).gather(1, actions[:, None])[:, 0] - log_p).exp()
            better = (advantages - advantages.mean()) / (advantages.std() + 1e-8)
            gain = torch.min(ratio * better, ratio.clamp(1 - CLIP, 1 + CLIP) * better).mean()
            (0.5 * (out[:, 2] - returns).square().mean() - gain).backward()
            torch.nn.utils.clip_grad_norm_(list(net.parameters()), 0.5)
            net.learner.optim_step()


def trained(seed: int, rounds: int = ROUNDS, rate: float = RATE) -> sl.Network:
    net, worlds, generator = network(seed, rate), Worlds(N_WORLDS, seed), np.random.default_rng(seed)
    for k in range(rounds):
        for group in net.learner.optim.param_groups:
            group["lr"] = rate * (1 - k / rounds)
        with torch.no_grad():
            found = played(net, worlds, generator)
        improve(net, found, generator)
    return net


def mean_length(net: sl.Network | None, n: int = 100, seed: int = 10**6) -> float:
    """Of n episodes with the better action in each step, or with random ones; reward 1 a step."""
    worlds, lengths, alive = Worlds(n, seed), np.zeros(n), np.ones(n, bool)
    generator = np.random.default_rng(seed)
    while alive.any():
        with torch.no_grad():
            best = None if net is None else answer(net, worlds.seen)[:, :2].argmax(1).numpy()
        _, ended, cut = worlds.step(generator.integers(2, size=n) if best is None else best)
        lengths += alive
        alive &= ~(ended | cut)
    return float(lengths.mean())


def outcome(seeds: int) -> Outcome:
    rows, reached = [], []
    random = mean_length(None)
    for seed in range(seeds):
        begun, before = time.process_time(), mean_length(network(seed))
        reached.append(mean_length(trained(seed)))
        seconds = time.process_time() - begun
        rows.append([seed, f"{before:.1f}", f"{reached[-1]:.1f}", f"{seconds:.0f}"])
        print(*rows[-1], flush=True)
    enough = sum(length >= 475 for length in reached)
    return Outcome(
        name="cartpole",
        paper="Proximal policy optimisation (Schulman et al. 2017) of a spiking policy",
        data=f"CartPole-v1, {ROUNDS * N_STEPS * N_WORLDS} steps of training, 100 greedy episodes",
        baseline=f"random actions {random:.1f} steps, the network untrained {np.mean([float(r[1]) for r in rows]):.1f}",
        result=f"{np.mean(reached):.1f} steps, mean of {seeds} seeds; {enough} of {seeds} reach 475",
        gate="at least 475 over 100 greedy episodes for at least 3 of 5 seeds",
        holds=enough >= 0.6 * seeds,
        head=["seed", "untrained", "trained, steps", "seconds of CPU"],
        rows=rows,
    )


if __name__ == "__main__":
    report(__doc__, outcome, seeds={"type": int, "default": 5, "help": "how many networks are trained"})
