"""Which paths gradients take: conformance test 5 of the credit hooks, and each method against its equation by hand."""

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
from spikeloom.errors import DataError, ParameterError, UnknownNameError, UnsupportedError
from spikeloom.filters import LowPass
from spikeloom.network.credit import BPTT, CREDITS, Credit
from spikeloom.training import fit
from spikeloom.training.checkpoint import load_checkpoint, save_checkpoint
from spikeloom.training.losses import LOSSES
from spikeloom.training.windows import Windows, whole_run

B, K, H, N, T = 4, 6, 5, 3, 8


def spikes(seed: int = 0, n_steps: int = T) -> Spikes:
    raster = np.random.default_rng(seed).random((n_steps, B, K)) < 0.4
    return Spikes.from_raster(raster.astype(np.int8), 1.0)


def network(credit="bptt", *, tau_m: float = 4.0, loop: bool = False, filter=None, path: str = "auto") -> Network:
    drawn = np.random.default_rng(1)
    net = Network("credit")
    with net:
        net.source = Encoder(K, coding_method="null")
        net.hidden = NeuronGroup(H, model="lif", tau_m=tau_m)
        net.out = NeuronGroup(N, model="lif", tau_m=tau_m)
        net.a = Connection(
            net.source, net.hidden, link_type="full", weight=drawn.normal(0.4, 0.4, (H, K)), filter=filter
        )
        net.b = Connection(net.hidden, net.out, link_type="full", weight=drawn.normal(0.4, 0.5, (N, H)))
        if loop:
            net.c = Connection(net.hidden, net.hidden, link_type="full", weight=drawn.normal(0.0, 0.4, (H, H)))
        net.answer = Decoder(dec_target=net.out, coding_method="spike_counts")
        net.learner = Learner(trainable=net, algorithm="sbp", surrogate="arctan", credit=credit)
    net.set_backend(TorchBackend(dt=1.0, dtype=torch.float64, path=path))
    return net


LABELS = np.array([0, 1, 2, 1])
CROSS_ENTROPY = LOSSES["cross_entropy"]


def gradients(net: Network, run, n_steps: int = T) -> dict[str, np.ndarray]:
    for parameter in net.parameters():
        parameter.grad = None
    run(net, spikes(n_steps=n_steps), LABELS, float(n_steps), CROSS_ENTROPY)
    return {name: p.grad.numpy().copy() for name, p in net.named_parameters()}


def per_step_loss(net: Network) -> dict[str, np.ndarray]:
    """The gradients of the mean over steps of the loss of each step, in one run with one graph."""
    net.each = Decoder(dec_target=net.out, coding_method="null")
    for parameter in net.parameters():
        parameter.grad = None
    net.source(spikes())
    net.run(float(T))
    labels = torch.from_numpy(LABELS)
    sum(CROSS_ENTROPY(step, labels) / T for step in net.each.predict).backward()
    return {name: p.grad.numpy().copy() for name, p in net.named_parameters()}


@pytest.mark.parametrize("path", ["auto", "torch"])
def test_sltt_step_by_step_equals_sltt_in_one_graph(path):
    stepwise = gradients(network(filter=LowPass(tau=3.0), path=path), Windows(1.0).run)
    at_once = per_step_loss(network("sltt", filter=LowPass(tau=3.0)))
    assert stepwise.keys() == at_once.keys()
    for name in stepwise:
        np.testing.assert_allclose(stepwise[name], at_once[name], rtol=1e-9, atol=1e-12)
        assert np.abs(stepwise[name]).max() > 1e-4


def test_the_weights_of_a_loop_get_the_error_of_the_step_their_current_arrives_in():
    found = per_step_loss(network("sltt", loop=True))
    delta, sent = by_hand(loop=True)
    np.testing.assert_allclose(found["c.weight"], np.einsum("tbh,tbk->hk", delta[1:], sent[:-1]), rtol=1e-9, atol=1e-12)
    assert np.abs(found["c.weight"]).max() > 1e-5
    with pytest.raises(UnsupportedError, match="'c' takes 1 steps"):
        gradients(network(loop=True), Windows(1.0).run)


def test_sltt_differs_from_bptt_and_equals_it_where_nothing_is_kept_between_steps():
    assert not np.allclose(per_step_loss(network("sltt"))["a.weight"], per_step_loss(network("bptt"))["a.weight"])
    for name, grad in per_step_loss(network("sltt", tau_m=0.01)).items():
        np.testing.assert_allclose(grad, per_step_loss(network("bptt", tau_m=0.01))[name], rtol=1e-9, atol=1e-12)


def test_sltt_k_of_all_steps_is_sltt_and_of_fewer_is_not():
    every, all_steps = gradients(network(), Windows(1.0).run), gradients(network(), Windows(1.0, T).run)
    some = gradients(network(), Windows(1.0, 2).run)
    for name in every:
        np.testing.assert_allclose(every[name], all_steps[name], rtol=1e-12)
    assert not np.allclose(every["a.weight"], some["a.weight"])


def test_one_window_as_long_as_the_run_is_backpropagation_through_all_of_it():
    whole, one = gradients(network(loop=True), whole_run), gradients(network(loop=True), Windows(float(T)).run)
    for name in whole:
        np.testing.assert_allclose(one[name], whole[name], rtol=1e-12)


def test_what_is_saved_for_the_way_back_does_not_grow_with_the_steps():
    def most_saved(n_steps: int, run) -> int:
        kept, most = 0, 0

        def pack(tensor: torch.Tensor) -> torch.Tensor:
            nonlocal kept, most
            kept += tensor.nbytes
            most = max(most, kept)
            return tensor

        def unpack(tensor: torch.Tensor) -> torch.Tensor:
            nonlocal kept
            kept = 0  # a way back has begun: what was kept for it goes
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, unpack):
            gradients(network(path="torch"), run, n_steps)
        return most

    assert most_saved(6, Windows(1.0).run) == most_saved(20, Windows(1.0).run)
    assert most_saved(20, whole_run) > 2 * most_saved(6, whole_run)


def test_ottt_is_the_error_of_each_step_times_the_trace_of_the_source():
    net = network(Credit(carry=False, trace=0.5))
    plain = network("sltt")
    found, instant = per_step_loss(net), per_step_loss(plain)
    assert not np.allclose(found["a.weight"], instant["a.weight"])
    raster = spikes().raster().astype(float)
    trace, delta = np.zeros_like(raster), by_hand()[0]
    trace[0] = raster[0]
    for t in range(1, T):
        trace[t] = 0.5 * trace[t - 1] + raster[t]
    np.testing.assert_allclose(found["a.weight"], np.einsum("tbh,tbk->hk", delta, trace), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(instant["a.weight"], np.einsum("tbh,tbk->hk", delta, raster), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("link", ["full", "one_to_one", "sparse"])
def test_the_trace_of_a_constant_current_is_that_of_the_same_current_in_every_step(link):
    values, found = np.random.default_rng(4).random((B, H)), []
    for coding, given in (("constant_current", values), ("null", np.repeat(values[:, None], T, 1))):
        net = Network("constant")
        with net:
            net.source = Encoder(H, coding_method=coding)
            net.out = NeuronGroup(H, model="lif", tau_m=4.0)
            net.a = Connection(net.source, net.out, link_type=link, w_mean=0.5, w_std=0.2)
            net.answer = Decoder(dec_target=net.out)
            net.learner = Learner(trainable=net, algorithm="sbp", credit="ottt")
        net.set_backend(TorchBackend(dt=1.0, dtype=torch.float64))
        net.set_random_seed(0)
        net.source(given)
        net.run(float(T))
        net.answer.predict.sum().backward()
        found.append(net.module.a.weight.grad)
    assert found[0].abs().max() > 0.1
    torch.testing.assert_close(found[0], found[1])


@pytest.mark.parametrize("credit", ["ottt", "feedback_alignment", "sign_symmetric"])
def test_every_credit_passes_convolutions_with_pooling_and_links_without_weights(credit):
    drawn, grads = np.random.default_rng(0), []
    given = Spikes.from_raster((drawn.random((T, B, 2, 10, 10)) < 0.1).astype(np.int8), 1.0)
    for dtype in (torch.float32, torch.float64):
        net = Network("images")
        with net:
            net.source = Encoder(shape=(2, 10, 10), coding_method="null")
            net.first = NeuronGroup(shape=(3, 4, 4), model="lif")
            net.second, net.third = NeuronGroup(shape=(3, 2, 2), model="lif"), NeuronGroup(12, model="lif")
            net.out = NeuronGroup(N, model="lif")
            net.a = Connection(net.source, net.first, link_type="conv", kernel_size=3, pool="max", w_mean=0.4)
            net.b = Connection(net.first, net.second, link_type="pool")
            net.c = Connection(net.second, net.third, link_type="null")
            net.d = Connection(net.third, net.out, link_type="full", w_mean=0.5)
            net.answer = Decoder(dec_target=net.out)
            net.learner = Learner(trainable=net, algorithm="sbp", credit=credit)
        net.set_backend(TorchBackend(dt=1.0, dtype=dtype))
        net.set_random_seed(0)
        net.source(given)
        net.run(float(T))
        net.answer.predict.sum().backward()
        grads.append(net.module.a.weight.grad.double())
    assert grads[0].abs().max() > 1e-4
    torch.testing.assert_close(grads[0], grads[1], rtol=1e-3, atol=1e-6)


def test_traces_go_on_where_a_run_is_continued():
    whole, cut = network("ottt", tau_m=0.01), network("ottt", tau_m=0.01)
    expected = per_step_loss(whole)
    cut.each = Decoder(dec_target=cut.out, coding_method="null")
    for begin, end in ((0, 3), (3, T)):
        cut.source(spikes().window(begin, end))
        (cut.run if begin == 0 else cut.run_continue)(float(end - begin))
        labels = torch.from_numpy(LABELS)
        sum(CROSS_ENTROPY(step, labels) / T for step in cut.each.predict).backward()
    for name, parameter in cut.named_parameters():
        np.testing.assert_allclose(parameter.grad.numpy(), expected[name], rtol=1e-9, atol=1e-12)


def test_random_weights_on_the_way_back_follow_their_seed():
    one, other = (per_step_loss(network(Credit(back="random", seed=seed)))["a.weight"] for seed in (0, 1))
    np.testing.assert_array_equal(one, per_step_loss(network("feedback_alignment"))["a.weight"])
    assert not np.allclose(one, other)
    with pytest.raises(ParameterError, match=r"Credit\.seed must be a whole number"):
        Credit(seed=-1)


def test_a_loop_that_is_not_trained_may_take_as_long_as_a_window():
    net = network(loop=True)
    del net.learner
    net.learner = Learner(trainable=[net.a, net.b], algorithm="sbp", surrogate="arctan")
    net.set_backend(TorchBackend(dt=1.0))
    net.source(spikes())
    Windows(1.0).run(net, spikes(), LABELS, float(T), CROSS_ENTROPY)
    assert net.module.a.weight.grad.abs().max() > 0


def test_a_fit_of_drawn_windows_goes_on_from_its_checkpoint_bit_for_bit(tmp_path):
    given = np.random.default_rng(0).random((12, K))
    data = ArrayDataset(given, np.arange(12) % N, name="random")

    def trained(epochs: int, **options) -> list[np.ndarray]:
        net = network(path="torch")
        del net.source, net.a
        net.source = Encoder(K, coding_method="poisson")
        net.a = Connection(net.source, net.hidden, link_type="full", w_mean=0.5)
        net.set_random_seed(3)
        net.learner.set_optimizer("Adam", 0.05)
        loader = Dataloader(data, 4, shuffle=True, generator=np.random.default_rng(1))
        fit(net, loader, epochs=epochs, time=8.0, window=2.0, n_windows=2, progress=False, **options)
        return [p.detach().numpy().copy() for p in net.parameters()]

    whole = trained(2)
    trained(1, checkpoint=tmp_path / "half")
    for one, other in zip(whole, trained(2, checkpoint=tmp_path / "half", resume=True), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_checkpoint_older_than_windows_fits_a_training_without_them_and_no_other(tmp_path):
    data = Dataloader(ArrayDataset(np.random.default_rng(0).random((6, K)), np.arange(6) % N, name="random"), 3)

    def train(**options) -> None:
        net = network()
        del net.source, net.a
        net.source = Encoder(K, coding_method="poisson")
        net.a = Connection(net.source, net.hidden, link_type="full", w_mean=0.5)
        net.learner.set_optimizer("Adam", 0.05)
        fit(net, data, epochs=1, time=8.0, progress=False, checkpoint=path, **options)

    path = tmp_path / "old"
    train()
    state = load_checkpoint(path)
    del state["settings"]["windows"]
    save_checkpoint(path, state)
    train(resume=True)
    with pytest.raises(DataError, match="its windows is 'None'"):
        train(resume=True, window=2.0)


def by_hand(*, loop: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """dL/d(current) of the hidden neurons in each step without carry, and their spikes, (T, B, H): the equations."""
    net = network(loop=loop)
    net.draw_parameters()
    a, b = (np.asarray(net.store[f"{name}.weight"]) for name in ("a", "b"))
    c = np.asarray(net.store["c.weight"]) if loop else np.zeros((H, H))
    decay, x = np.exp(-1 / 4.0), spikes().raster().astype(float)
    v, u, s, found, sent = np.zeros((B, H)), np.zeros((B, N)), np.zeros((B, H)), [], []
    one_hot = np.eye(N)[LABELS]

    def psi(d: np.ndarray) -> np.ndarray:
        return 1.0 / (1 + (np.pi * d) ** 2)

    for t in range(T):
        v = v * decay + x[t] @ a.T + s @ c.T
        s = (v >= 1).astype(float)
        u = u * decay + s @ b.T
        o = (u >= 1).astype(float)
        soft = np.exp(o) / np.exp(o).sum(1, keepdims=True)
        of_out = (soft - one_hot) / B / T * psi(u - 1)
        found.append((of_out @ b) * psi(v - 1))
        sent.append(s)
        v, u = v * (1 - s), u * (1 - o)
    return np.array(found), np.array(sent)


@pytest.mark.parametrize("name", ["feedback_alignment", "sign_symmetric"])
def test_other_weights_bring_the_error_back_and_their_own_gradients_stay_those_of_the_weights(name):
    plain, other = per_step_loss(network("bptt", tau_m=0.01)), per_step_loss(network(name, tau_m=0.01))
    np.testing.assert_allclose(other["b.weight"], plain["b.weight"], rtol=1e-12)
    assert not np.allclose(other["a.weight"], plain["a.weight"])
    if name == "sign_symmetric":
        net = network("bptt", tau_m=0.01)
        net.draw_parameters()
        b = np.asarray(net.store["b.weight"])
        # The errors of the same forward pass, brought back by sign(b) mean |b|.
        np.testing.assert_allclose(other["a.weight"], backward_by(np.sign(b) * np.abs(b).mean()), rtol=1e-9, atol=1e-12)


def backward_by(back: np.ndarray) -> np.ndarray:
    net = network()
    net.draw_parameters()
    a, b = (np.asarray(net.store[f"{name}.weight"]) for name in ("a", "b"))
    x, total = spikes().raster().astype(float), np.zeros((H, K))
    for t in range(T):
        v = x[t] @ a.T
        u = (v >= 1) @ b.T
        o = (u >= 1).astype(float)
        soft = np.exp(o) / np.exp(o).sum(1, keepdims=True)
        of_out = (soft - np.eye(N)[LABELS]) / B / T / (1 + (np.pi * (u - 1)) ** 2)
        total += ((of_out @ back) / (1 + (np.pi * (v - 1)) ** 2)).T @ x[t]
    return total


@pytest.mark.parametrize("credit", [name for name in CREDITS if name != "bptt"])
def test_every_credit_learns_to_tell_three_patterns(credit):
    drawn = np.random.default_rng(0)
    patterns = drawn.random((3, K)) * 0.9
    labels = np.tile(np.arange(3), 30)
    data = ArrayDataset(patterns[labels], labels, name="patterns")
    read_out, coding = ("lif", "spike_counts") if CREDITS[credit].relay else ("li", "voltage_mean")
    net = Network("patterns")
    with net:
        net.source = Encoder(K, coding_method="poisson")
        net.hidden = NeuronGroup(40, model="lif", tau_m=4.0)
        net.out = NeuronGroup(3, model=read_out, tau_m=4.0)
        net.a = Connection(net.source, net.hidden, link_type="full", w_mean=0.1, w_std=0.5)
        net.b = Connection(net.hidden, net.out, link_type="full", w_mean=0.0, w_std=0.2)
        net.answer = Decoder(dec_target=net.out, coding_method=coding)
        net.learner = Learner(trainable=net, algorithm="sbp", surrogate="arctan", credit=credit)
    net.set_backend_dt(1.0)
    net.set_random_seed(0)
    net.learner.set_optimizer("Adam", 0.05)
    window = {"window": 1.0} if not CREDITS[credit].carry else {}
    loss = LocalLoss(net.hidden) if CREDITS[credit].back == "none" else "cross_entropy"
    history = fit(
        net,
        Dataloader(data, 30, shuffle=True, generator=np.random.default_rng(0)),
        epochs=8,
        time=12.0,
        loss=loss,
        progress=False,
        **window,
    )
    assert history[-1].train.accuracy > 0.85


def test_bad_credits_and_windows_are_refused():
    with pytest.raises(ParameterError, match=r"Credit\.trace must be a decay"):
        Credit(trace=1.5)
    with pytest.raises(ParameterError, match="did you mean 'random'"):
        Credit(back="randm")
    with pytest.raises(UnknownNameError, match="did you mean 'sltt'"):
        network("slt")
    with pytest.raises(ParameterError, match="at most 8"):
        gradients(network(), Windows(1.0, 9).run)
    net = network()
    net.learner2 = Learner(trainable=net.a, algorithm="sbp", surrogate="arctan", credit="sltt")
    net.source(spikes())
    with pytest.raises(ParameterError, match="differ in their credit"):
        net.run(float(T))
    net = network("ottt")
    net.d = Connection(net.source, net.out, link_type="full", syn_type=["basic", "dropout"], syn_kwargs={"p": 0.2})
    net.source(spikes())
    with pytest.raises(UnsupportedError, match="only credit 'bptt'"):
        net.run(float(T))


def test_a_learner_keeps_its_credit_through_a_file(tmp_path):
    from spikeloom import network_load, network_save

    net = network(Credit(carry=False, trace=0.25, back="sign"))
    network_save(net, "saved", path=str(tmp_path))
    assert network_load("saved", path=str(tmp_path)).learner.credit == Credit(carry=False, trace=0.25, back="sign")
    assert network().learner.credit == BPTT
