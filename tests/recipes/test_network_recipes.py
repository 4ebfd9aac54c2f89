"""The recipes that are networks, smaller than they are, and their neurons against equations written by hand."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F

import spikeloom as sl

ROOT = Path(__file__).parents[2]


def test_levels_and_weights_have_as_many_values_as_their_bits_say():
    import bits

    v = np.linspace(-1, 2, 301)
    for n in (1, 3, 15):
        found = bits.Levels(n).output(v - 1, v, sl.ops.NumpyOps())
        np.testing.assert_allclose(found, np.floor(np.clip(v, 0, 1) * n + 0.5) / n)
    for of_weight in (1, 2, 4):
        weight = bits.Quantised(64, 64, of_weight, torch.Generator().manual_seed(0)).quantised()
        found = len(torch.unique((weight.detach() * 1e4).round()))
        assert found == (2 if of_weight == 1 else 2**of_weight - 1)


def test_the_gradient_of_levels_is_that_of_clip_on_both_paths():
    import bits

    grads = []
    for path in ("torch", "auto"):
        net = bits.network((4, 4, 2), 0)
        net.set_backend(sl.TorchBackend(dt=1.0, dtype=torch.float64, path=path))
        net.image(np.random.default_rng(0).random((8, 64)))
        net.run(4.0)
        net.answer.predict.square().sum().backward()
        grads.append([p.grad for p in net.parameters()])
    assert all(float(g.abs().max()) > 0 for g in grads[0])
    for of_torch, of_kernel in zip(*grads, strict=True):
        torch.testing.assert_close(of_kernel, of_torch, rtol=1e-9, atol=1e-12)


def test_one_step_of_two_bits_reads_digits_and_rows_need_their_steps():
    import bits

    assert bits.accuracy((1, 4, 2), 0, epochs=6)[0] > 0.93
    in_time, at_once = (
        np.mean([bits.accuracy(split, seed, epochs=6, way=way)[0] for seed in range(3)])
        for way, split in (("rows", (8, 4, 2)), ("sum", (1, 4, 2)))
    )
    assert in_time > at_once + 0.03


def test_a_deep_network_with_inhibition_learns_where_a_plain_one_is_silent():
    import ei

    plain, (balanced, net) = ei.accuracy("plain", 6, 0, epochs=2)[0], ei.accuracy("E-I", 6, 0, epochs=6)
    assert plain <= 0.3
    assert balanced > 0.6
    assert ei.least_weight(net) >= 0


@pytest.mark.parametrize("way", ["UltraLIF", "UltraDLIF", "UltraDLIF, potential spreads"])
def test_ultra_neurons_train_their_temperature_and_read_digits_hardened(way):
    import ultra

    found = ultra.trained(way, 4, 0, epochs=25)
    assert math.isfinite(found.loss)
    assert abs(found.eps - 1) > 0.01
    assert found.hard > 0.25


def test_long_memories_hold_pixels_that_recurrent_leaky_neurons_lose():
    import elm

    recurrent, memories = (elm.accuracy(way, 0, epochs=5) for way in (elm.WAYS[0], elm.WAYS[2]))
    assert memories > recurrent + 0.05


def test_the_matrices_of_the_memory_hold_a_window_of_the_input():
    """The sum of all memories is the input a window before, that with alternating signs the input now."""
    import l2mu

    a, b = l2mu.legendre(8, 64.0)
    time, m, found = np.arange(400), np.zeros(8), []
    u = np.sin(2 * np.pi * time / 128)
    for x in u:
        m = a @ m + b * x
        found.append((m.sum(), (m * (-1.0) ** np.arange(8)).sum()))
    before, now = np.array(found[200:]).T
    np.testing.assert_allclose(before, u[200 - 63 : 400 - 63], atol=0.03)
    np.testing.assert_allclose(now, u[200:], atol=0.06)


def test_a_memory_of_spikes_beats_recurrent_neurons_whose_reset_is_detached():
    import l2mu

    memory, plain = (l2mu.accuracy(way, 0)[0] for way in l2mu.WAYS)
    assert memory > plain + 0.03


def test_attention_alone_lets_a_token_see_the_others_and_merged_maps_equal_the_separate_ones():
    import sdsa

    x = np.asarray(sdsa.recall(100, np.random.default_rng(0)).batch(np.arange(100))[0])
    others = np.concatenate([x[::-1, :-1], x[:, -1:]], axis=1)  # the same token asks, the tokens before it are not
    for mixes in (True, False):
        net, answers = sdsa.network(0, mixes), []
        for tokens in (x, others):  # norms of the batch, which holds the same tokens in another order
            net.tokens(tokens)
            with torch.no_grad():
                net.run(sdsa.STEPS)
            answers.append(net.answer.predict)
        assert (float((answers[0] - answers[1]).abs().max()) > 1e-2) is mixes
        assert 0 < sdsa.share(net) < 0.3
    _, net = sdsa.trained(0, epochs=1, n=400)
    assert sdsa.merging_error(net) < 1e-4


def test_a_normalised_layer_is_the_neuron_of_the_paper():
    """v <- beta v + (1 - beta) w * x; a spike where v / |w|^2 >= b, which takes b |w|^2 off."""
    import gestures

    net = gestures.network(0)
    net.set_backend(sl.TorchBackend(dt=1.0, dtype=torch.float64))
    tap = sl.network.Tap(net.layer_1)
    x = np.random.default_rng(0).choice([-1.0, 0.0, 1.0], (2, 30, 1, 32, 32), p=[0.1, 0.8, 0.1])
    net.camera(x)
    with torch.no_grad():
        net.run(30.0)
        parameters = dict(net.named_parameters())
        w, b = parameters["conv_1.weight"], parameters["conv_1.log_b"].exp()[:, None, None]
        norm, v, fired = w.square().sum((1, 2, 3))[:, None, None] + 1e-8, torch.zeros(()), []
        for t in range(30):
            v = 0.75 * v + 0.25 * F.conv2d(torch.from_numpy(x[:, t]), w, stride=2, padding=1)
            s = (v / norm - b >= 0).double()
            v = v - s * b * norm
            fired.append(s)
    assert 0.01 < float(tap.value.mean()) < 0.5
    torch.testing.assert_close(tap.value, torch.stack(fired))


def test_gestures_show_their_direction_in_time_alone():
    import gestures

    x, labels = gestures.gestures(220, np.random.default_rng(0))
    assert x.shape == (220, 30, 1, 32, 32)
    assert set(np.unique(x)) == {-1.0, 0.0, 1.0}
    places = np.arange(32) - 15.5

    def drift(k: int) -> float:
        """How far to the right events move from the first half to the second."""
        count = np.abs(x[labels == k][:, :, 0]).sum((0, 2))
        middle = (count * places).sum(1) / count.sum(1)
        return float(middle[15:].mean() - middle[:15].mean())

    assert drift(0) > 3 > -3 > drift(4)
    assert max(abs(drift(k)) for k in (2, 6, 8, 9, 10)) < 2
    data = gestures.parts(0, 220)
    right, active = gestures.trained(data, 0, epochs=3)
    assert right.mean() > 0.2
    assert all(0 < a < 0.5 for a in active)


def test_an_egru_follows_its_equations_with_the_gradients_of_the_pseudo_derivative():
    import egru

    net = egru.network("EGRU", 7, n=6)
    net.set_backend(sl.TorchBackend(dt=1.0, dtype=torch.float64))
    text = np.random.default_rng(0).integers(0, 7, (3, 12))
    net.text(egru.spikes(text, 7))
    net.run(12.0)
    net.scores.predict.square().sum().backward()
    own = dict(net.named_parameters())
    p = {name: w.detach().clone().requires_grad_() for name, w in own.items()}
    theta = torch.as_tensor(net.cell.neuron.theta)

    class Spike(torch.autograd.Function):
        @staticmethod
        def forward(ctx, d):
            ctx.save_for_backward(d)
            return (d >= 0).to(d.dtype)

        @staticmethod
        def backward(ctx, grad):
            return grad * 0.7 * torch.clamp(1 - ctx.saved_tensors[0].abs(), min=0)

    c = y = torch.zeros(3, 6, dtype=torch.float64)
    total, n_events = 0, 0
    for t in range(12):
        x = F.one_hot(torch.from_numpy(text[:, t]), 7).double()
        z, r, g = (x @ p[f"in_{k}.weight"].T + p[f"in_{k}.bias"] for k in "zrx")
        z, r = torch.sigmoid(z + y @ p["loop_z.weight"].T), torch.sigmoid(r + y @ p["loop_r.weight"].T)
        c = z * c + (1 - z) * torch.tanh(g + r * (y @ p["loop_u.weight"].T))
        e = Spike.apply(c - theta)
        y, c = c * e, c - theta * e
        n_events += int(e.sum())
        total = total + (y @ p["says.weight"].T + p["says.bias"]).square().sum()
    total.backward()
    assert 10 < n_events < 150
    torch.testing.assert_close(net.scores.predict.detach().square().sum(), total.detach())
    for name, w in own.items():
        assert float(p[name].grad.abs().max()) > 0
        torch.testing.assert_close(w.grad, p[name].grad, rtol=1e-8, atol=1e-10)


def test_an_egru_learns_a_text_of_this_repository_below_the_entropy_of_its_characters():
    import egru

    train, test, n = egru.parts(ROOT / "docs" / "howto" / "training.md")
    single, pairs = egru.by_frequency(train, test, n)
    assert pairs < single
    found, active = egru.trained("EGRU", train, test, n, 40)
    assert found < single
    assert 0.05 < active < 0.7


def test_images_of_digits_never_seen_find_their_sound_more_often_than_by_chance():
    import zero_shot

    found = zero_shot.scores(0, iterations=200)
    assert found.image_probe > 0.85
    assert found.seen > 0.9
    assert found.unseen > 0.55
    assert found.unseen_of_ten < 0.3
