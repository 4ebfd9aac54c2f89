"""e-prop against its equations in NumPy, forward in time: eligibility vectors, filtered traces, learning signals.

Bellec et al. 2020, Nature Communications 11:3625: eq. 1 (the sum), 5-8 (LIF, ALIF), 21-25 (eligibility), 28 (read-out).
"""

import zlib

import numpy as np
import pytest
import torch

from spikeloom import Connection, Decoder, Encoder, Learner, Network, NeuronGroup, Spikes, TorchBackend
from spikeloom.errors import ParameterError, UnsupportedError
from spikeloom.network import Merge
from spikeloom.network.credit import Credit
from spikeloom.neurons import Emission, Subtract

B, K, H, N, T, DT = 3, 6, 5, 2, 30, 1.0
TAU_M, TAU_OUT, TAU_A, BETA, ALPHA, V_TH = 8.0, 12.0, 40.0, 0.3, 1.5, 1.0
DRAWN = np.random.default_rng(4)
W_IN, W_REC, W_OUT = (DRAWN.normal(m, s, n) for m, s, n in ((0.3, 0.4, (H, K)), (0, 0.5, (H, H)), (0, 0.6, (N, H))))
INPUT = DRAWN.random((T, B, K)) < 0.3
TARGET = DRAWN.normal(size=(T, B, N))


def network(model: str, credit, *, schedule: str = "auto", readout: str = "li") -> Network:
    net = Network("eprop")
    with net:
        net.source = Encoder(K, coding_method="null")
        options = {"tau_m": TAU_M, "v_th": V_TH}
        options |= {"tau_a": TAU_A, "beta": BETA} if model == "alif" else {"emission": Emission(reset=Subtract())}
        net.hidden = NeuronGroup(H, model=model, **options)
        net.out = NeuronGroup(N, model=readout, tau_m=TAU_OUT)
        net.a = Connection(net.source, net.hidden, link_type="full", weight=W_IN)
        net.r = Connection(net.hidden, net.hidden, link_type="full", weight=W_REC)
        net.b = Connection(net.hidden, net.out, link_type="full", weight=W_OUT)
        net.answer = Decoder(dec_target=net.out, coding_method="v_t")
        net.learner = Learner(trainable=net, algorithm="sbp", surrogate="triangle", alpha=ALPHA, credit=credit)
    net.set_backend(TorchBackend(dt=DT, dtype=torch.float64, schedule=schedule))
    return net


def gradients(net: Network) -> dict[str, np.ndarray]:
    for parameter in net.parameters():
        parameter.grad = None
    net.source(Spikes.from_raster(INPUT.astype(np.int8), DT))
    net.run(T * DT)
    (0.5 * (net.answer.predict - torch.from_numpy(TARGET)).square().sum()).backward()
    return {name: p.grad.numpy().copy() for name, p in net.named_parameters()}


def drawn_feedback(seed: int = 0) -> np.ndarray:
    return np.random.default_rng([seed, zlib.crc32(b"b")]).standard_normal(W_OUT.shape)


def by_hand(model: str, feedback: np.ndarray, w_out: np.ndarray = W_OUT) -> tuple[dict[str, np.ndarray], float]:
    """The gradients of e-prop, forward in time, and how many spikes there were."""
    alpha, kappa, rho = (np.exp(-DT / tau) for tau in (TAU_M, TAU_OUT, TAU_A))
    beta = BETA if model == "alif" else 0.0
    v, a, z, y = np.zeros((B, H)), np.zeros((B, H)), np.zeros((B, H)), np.zeros((B, N))
    pre = {"a.weight": np.zeros((B, K)), "r.weight": np.zeros((B, H))}
    eps_a, filtered = ({name: np.zeros((B, H, x.shape[1])) for name, x in pre.items()} for _ in range(2))
    z_filtered, n_spikes = np.zeros((B, H)), 0.0
    found = {"a.weight": np.zeros((H, K)), "r.weight": np.zeros((H, H)), "b.weight": np.zeros((N, H))}
    for x, target in zip(INPUT.astype(float), TARGET, strict=True):
        pre = {"a.weight": alpha * pre["a.weight"] + x, "r.weight": alpha * pre["r.weight"] + z}
        v = alpha * v + x @ W_IN.T + z @ W_REC.T
        d = v - V_TH - beta * a
        psi = np.maximum(0, 1 - np.abs(d) / ALPHA) / ALPHA
        z = (d >= 0).astype(float)
        v, a = v - V_TH * z, rho * a + z
        y = kappa * y + z @ w_out.T
        z_filtered = kappa * z_filtered + z
        signal = (y - target) @ feedback
        for name, eps_v in pre.items():
            e = psi[:, :, None] * (eps_v[:, None, :] - beta * eps_a[name])
            eps_a[name] = rho * eps_a[name] + e
            filtered[name] = kappa * filtered[name] + e
            found[name] += np.einsum("bj,bji->ji", signal, filtered[name])
        found["b.weight"] += (y - target).T @ z_filtered
        n_spikes += z.sum()
    return found, n_spikes


def test_the_worlds_of_the_tests_spike():
    for model in ("lif", "alif"):
        assert 0.05 < by_hand(model, W_OUT)[1] / (T * B * H) < 0.6


@pytest.mark.parametrize("schedule", ["auto", "step"])
@pytest.mark.parametrize("model", ["lif", "alif"])
@pytest.mark.parametrize("back", ["weights", "random", "adaptive"])
def test_gradients_are_those_of_e_prop_by_hand(model, back, schedule):
    feedback = {
        "weights": W_OUT,
        "random": drawn_feedback() * np.abs(W_OUT).mean(),
        "adaptive": W_OUT + drawn_feedback() / np.sqrt(H),
    }[back]
    expected, _ = by_hand(model, feedback)
    credit = "eprop" if back == "weights" else Credit(relay=False, back=back)
    found = gradients(network(model, credit, schedule=schedule))
    for name, value in expected.items():
        assert np.abs(value).max() > 0.1
        np.testing.assert_allclose(found[name], value, rtol=1e-10, atol=1e-10)


def test_backpropagation_through_time_is_another_gradient():
    found = gradients(network("lif", "bptt"))
    expected, _ = by_hand("lif", W_OUT)
    np.testing.assert_allclose(found["b.weight"], expected["b.weight"], rtol=1e-10)
    assert np.abs(found["r.weight"] - expected["r.weight"]).max() > 0.01 * np.abs(expected["r.weight"]).max()


def test_without_recurrence_and_reset_e_prop_is_backpropagation_through_time():
    found = []
    for credit in ("bptt", "eprop"):
        net = network("alif", credit)
        del net.r, net.hidden, net.a, net.b, net.learner, net.answer
        net.hidden = NeuronGroup(H, model="alif", tau_m=TAU_M, emission=Emission(reset="none"))
        net.a = Connection(net.source, net.hidden, link_type="full", weight=W_IN)
        net.b = Connection(net.hidden, net.out, link_type="full", weight=W_OUT)
        net.answer = Decoder(dec_target=net.out, coding_method="v_t")
        net.learner = Learner(trainable=net, algorithm="sbp", surrogate="triangle", alpha=ALPHA, credit=credit)
        found.append(gradients(net))
    for name, value in found[0].items():
        assert np.abs(value).max() > 0.1
        np.testing.assert_allclose(found[1][name], value, rtol=1e-10, atol=1e-10)


def test_adaptive_feedback_moves_as_the_weights_do():
    net = network("lif", Credit(relay=False, back="adaptive"))
    gradients(net)
    net.learner.set_optimizer("SGD", 0.01)
    offset = drawn_feedback() / np.sqrt(H)
    net.learner.optim_step()
    moved = net.module.b.weight.detach().numpy().copy()
    assert np.abs(moved - W_OUT).max() > 0.1
    with torch.no_grad():
        net.module.a.weight.copy_(torch.from_numpy(W_IN))
        net.module.r.weight.copy_(torch.from_numpy(W_REC))
    expected, _ = by_hand("lif", moved + offset, moved)
    np.testing.assert_allclose(gradients(net)["r.weight"], expected["r.weight"], rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("sign", [1, -1])
def test_e_prop_learns_a_pattern_in_time_and_with_the_sign_turned_it_does_not(sign):
    net = network("lif", Credit(relay=False, back="random", seed=3))
    net.learner.set_optimizer("Adam", 0.02)
    net.source(Spikes.from_raster(INPUT.astype(np.int8), DT))
    wave = np.sin(np.arange(T) / 4)[:, None, None] * np.ones((T, B, N))
    losses = []
    for _ in range(60):
        net.learner.optim_zero_grad()
        net.run(T * DT)
        loss = (net.answer.predict - torch.from_numpy(wave)).square().mean()
        (sign * loss).backward()
        losses.append(loss.item())
        net.learner.optim_step()
    assert losses[-1] < 0.3 * losses[0] if sign > 0 else losses[-1] > losses[0]


def test_a_read_out_teaches_through_a_merge_what_a_connection_of_the_sum_would_teach():
    merged, plain = network("lif", "eprop"), network("lif", "eprop")
    del merged.b
    merged.both = Merge(merged.hidden, merged.hidden)
    merged.b = Connection(merged.both, merged.out, link_type="full", weight=W_OUT / 2)
    found, expected = gradients(merged), gradients(plain)
    for name in ("a.weight", "r.weight"):
        assert np.abs(expected[name]).max() > 0
        assert found[name] == pytest.approx(expected[name], abs=1e-12)


def test_a_population_that_no_read_out_teaches_is_refused():
    net = network("lif", "eprop", readout="lif")
    del net.answer
    net.answer = Decoder(dec_target=net.out, coding_method="spike_counts")
    net.source(Spikes.from_raster(INPUT.astype(np.int8), DT))
    with pytest.raises(UnsupportedError, match=r"'hidden' leads to no read-out.*model 'li'"):
        net.run(T * DT)
    with pytest.raises(ParameterError, match=r"Credit.relay must be True or False, got 1"):
        Credit(relay=1)
    with pytest.raises(ParameterError, match="adaptive"):
        Credit(back="adaptiv")
