"""TESS as credit and a local loss: equal to its equations by hand, in memory that does not depend on the steps."""

import numpy as np
import pytest
import torch

from spikeloom import (
    Connection,
    Dataloader,
    Decoder,
    Encoder,
    Learner,
    LocalLoss,
    Network,
    NeuronGroup,
    Spikes,
    TorchBackend,
)
from spikeloom.datasets import ArrayDataset
from spikeloom.errors import ParameterError, ShapeError, StateError, UnsupportedError
from spikeloom.filters import LowPass
from spikeloom.network.credit import Credit
from spikeloom.neurons import Emission, SubtractValue
from spikeloom.training import evaluate, fit
from spikeloom.training.local_loss import square_waves
from spikeloom.training.windows import Windows, whole_run, windows_of

B, K, H, N, T = 4, 7, 6, 3, 9
GAMMA, THETA, PRE, POST = 0.5, 0.6, 0.5, 0.2
LABELS = np.array([0, 1, 2, 1])


def spikes(n_steps: int = T) -> Spikes:
    raster = np.random.default_rng(0).random((n_steps, B, K)) < 0.4
    return Spikes.from_raster(raster.astype(np.int8), 1.0)


def network(credit="tess", path: str = "auto", **connection) -> Network:
    drawn, tau = np.random.default_rng(1), -1 / np.log(GAMMA)
    fires = {"tau_m": tau, "v_th": THETA, "emission": Emission(reset=SubtractValue(THETA / GAMMA))}
    net = Network("local")
    with net:
        net.source = Encoder(K, coding_method="null")
        net.one = NeuronGroup(H, model="lif", **fires)
        net.two = NeuronGroup(H, model="lif", **fires)
        net.out = NeuronGroup(N, model="li", tau_m=0.01)
        net.a = Connection(net.source, net.one, link_type="full", weight=drawn.normal(0.2, 0.4, (H, K)), **connection)
        net.b = Connection(net.one, net.two, link_type="full", weight=drawn.normal(0.2, 0.5, (H, H)))
        net.c = Connection(net.two, net.out, link_type="full", weight=drawn.normal(0.0, 0.5, (N, H)))
        net.answer = Decoder(dec_target=net.out, coding_method="final_step_voltage")
        net.learner = Learner(trainable=net, algorithm="sbp", surrogate="triangle", credit=credit)
    net.set_backend(TorchBackend(dt=1.0, dtype=torch.float64, path=path))
    return net


def gradients(net: Network, windows: Windows, n_steps: int = T) -> dict[str, np.ndarray]:
    loss = LocalLoss([net.one, net.two])
    windows.run(net, spikes(n_steps), LABELS, float(n_steps), loss)
    return {name: p.grad.numpy() for name, p in net.named_parameters()}


def by_hand(n_last: int, post: float) -> dict[str, np.ndarray]:
    """u_t = gamma u + W x - theta s; tr_pre, psi and its trace; m = B^T (softmax(B s) - y), in the last steps alone."""
    net = network()
    net.draw_parameters()
    weights = [np.asarray(net.store[f"{name}.weight"]) for name in "abc"]
    one_hot, feedback = np.eye(N)[LABELS], square_waves(N, H)
    u, s = [np.zeros((B, H)) for _ in range(2)], [np.zeros((B, H)) for _ in range(2)]
    pre, psi_trace = [np.zeros((B, K)), np.zeros((B, H)), np.zeros((B, H))], [np.zeros((B, H)) for _ in range(2)]
    found = [np.zeros_like(w) for w in weights]
    for t, x in enumerate(spikes().raster().astype(float)):
        for k in range(2):
            pre[k] = PRE * pre[k] + x
            u[k] = GAMMA * u[k] + x @ weights[k].T - THETA * s[k]
            s[k] = (u[k] >= THETA).astype(float)
            psi = 0.3 * np.maximum(0, 1 - np.abs(u[k] - THETA))
            psi_trace[k] = POST * psi_trace[k] + psi
            m = (softmax(s[k] @ feedback.T) - one_hot) @ feedback
            if t >= T - n_last:
                found[k] += (m * psi).T @ pre[k] + post * (m * psi_trace[k]).T @ x
            x = s[k]
        pre[2] = PRE * pre[2] + x
        if t >= T - n_last:
            found[2] += (softmax(x @ weights[2].T) - one_hot).T @ pre[2]
    return {f"{name}.weight": grad / B / n_last for name, grad in zip("abc", found, strict=True)}


def softmax(x: np.ndarray) -> np.ndarray:
    return np.exp(x) / np.exp(x).sum(1, keepdims=True)


@pytest.mark.parametrize("n_last", [T, 4])
@pytest.mark.parametrize("both", [True, False])
def test_tess_equals_its_equations(n_last, both):
    credit = "tess" if both else Credit(carry=False, trace=PRE, back="none")
    found = gradients(network(credit), Windows(1.0, n_last, last=True))
    expected = by_hand(n_last, 1.0 if both else 0.0)
    assert found.keys() == expected.keys()
    for name in found:
        np.testing.assert_allclose(found[name], expected[name], rtol=0, atol=1e-12)
        assert np.abs(found[name]).max() > 1e-4


def test_at_once_tess_gives_what_it_gives_step_by_step():
    net = network()
    net.each = Decoder(dec_target=net.out, coding_method="null")
    loss = LocalLoss([net.one, net.two])
    net.source(spikes())
    net.run(float(T))
    labels = torch.from_numpy(LABELS)
    of_answer = sum(loss.loss(step, labels) for step in net.each.predict) / T
    (loss(net.answer.predict, labels) - loss.loss(net.answer.predict, labels) + of_answer).backward()
    for name, grad in gradients(network(), Windows(1.0)).items():
        np.testing.assert_allclose(dict(net.named_parameters())[name].grad.numpy(), grad, rtol=1e-9, atol=1e-13)


def test_no_error_comes_from_the_populations_behind():
    plain, other = network(), network()
    other.c.weight.value = np.random.default_rng(5).normal(0, 2, (N, H))
    one, two = gradients(plain, Windows(1.0)), gradients(other, Windows(1.0))
    for name in ("a.weight", "b.weight"):
        np.testing.assert_array_equal(one[name], two[name])
    assert not np.allclose(one["c.weight"], two["c.weight"])


def saved(n_steps: int, credit: str, run) -> int:
    kept, most = 0, 0

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        nonlocal kept, most
        kept += tensor.nbytes
        most = max(most, kept)
        return tensor

    def unpack(tensor: torch.Tensor) -> torch.Tensor:
        nonlocal kept
        kept = 0
        return tensor

    net = network(credit, path="torch")
    with torch.autograd.graph.saved_tensors_hooks(pack, unpack):
        run(net, spikes(n_steps), LABELS, float(n_steps), LocalLoss([net.one, net.two]))
    return most


def test_what_tess_keeps_does_not_grow_with_the_steps():
    assert saved(6, "tess", Windows(1.0).run) == saved(24, "tess", Windows(1.0).run)
    assert saved(24, "bptt", whole_run) > 3 * saved(6, "bptt", whole_run)


def test_a_constant_current_has_the_traces_of_the_same_current_in_every_step():
    values, found = np.random.default_rng(4).random((B, K)), []
    for coding, given in (("constant_current", values), ("null", np.repeat(values[:, None], T, 1))):
        net = network(Credit(carry=False, post_trace=POST, back="none"))
        del net.a, net.source
        net.source = Encoder(K, coding_method=coding)
        net.a = Connection(net.source, net.one, link_type="full", weight=np.full((H, K), 0.2))
        loss = LocalLoss([net.one])
        net.source(given)
        net.run(float(T))
        loss(net.answer.predict, torch.from_numpy(LABELS)).backward()
        found.append(net.module.a.weight.grad)
    assert found[0].abs().max() > 1e-4
    torch.testing.assert_close(found[0], found[1])


def test_square_waves_have_the_frequencies_of_the_classes():
    waves = square_waves(3, 1000, 5.0, 15.0)
    assert waves.shape == (3, 1000)
    np.testing.assert_allclose(np.unique(np.abs(waves[:, 1:])), [1e-3])
    spectra = np.abs(np.fft.rfft(waves))
    assert [int(spectrum.argmax()) for spectrum in spectra] == [5, 10, 15]


def test_what_tess_cannot_do_is_refused():
    net = network()
    with pytest.raises(ParameterError, match="must be neuron groups"):
        LocalLoss([net.a])
    with pytest.raises(ParameterError, match="must be a positive number"):
        LocalLoss([net.one], weight=0)
    with pytest.raises(ParameterError, match=r"Credit\.post_trace must be a decay"):
        Credit(post_trace=1.0)
    with pytest.raises(ParameterError, match="needs n_windows"):
        windows_of(1.0, None, True)
    with pytest.raises(ParameterError, match="must be True or False"):
        windows_of(1.0, 2, "last")
    for options in ({"filter": LowPass(tau=3.0)}, {"delay": 2.0}):
        net = network(**options)
        net.source(spikes())
        with pytest.raises(UnsupportedError, match="post_trace takes connections without"):
            net.run(float(T))


def test_a_loss_belongs_to_the_populations_of_the_network_that_is_trained():
    net, other = network(), network()
    assert LocalLoss(net.one).populations == [net.one]
    with pytest.raises(ParameterError, match="each once"):
        LocalLoss([net.one, net.one])
    with pytest.raises(UnsupportedError, match=r"'out' .* emits no spikes"):
        LocalLoss([net.one, net.out])
    loss, data = LocalLoss([other.one]), Dataloader(ArrayDataset(spikes().raster()[:, 0], [0] * T, name="rows"), T)
    other.source(spikes())
    other.run(float(T))
    for train in (fit, evaluate):
        with pytest.raises(ParameterError, match="population 'one' is not in the network that is run"):
            train(net, data, time=1.0, loss=loss, progress=False, **({"epochs": 1} if train is fit else {}))
    with pytest.raises(ShapeError, match="had 4 samples, there are 2 labels"):
        loss(torch.zeros(2, N), torch.zeros(2, dtype=torch.long))


def test_what_no_loss_teaches_is_not_passed_over_in_silence():
    net, labels = network(), np.arange(6) % N
    del net.a, net.source
    net.source = Encoder(K, coding_method="constant_current")
    net.a = Connection(net.source, net.one, link_type="full", weight=np.full((H, K), 0.2))
    net.learner.set_optimizer("SGD", 0.1)
    data = Dataloader(ArrayDataset(np.random.default_rng(0).random((6, K)), labels, name="values"), 6)
    for loss in ("cross_entropy", LocalLoss(net.one)):
        with pytest.raises(StateError, match="give fit loss=LocalLoss"):
            fit(net, data, epochs=1, time=3.0, loss=loss, progress=False)
    fit(net, data, epochs=1, time=3.0, loss=LocalLoss([net.one, net.two]), progress=False)
    evaluate(net, data, time=3.0, progress=False)
