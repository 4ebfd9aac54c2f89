"""Weights rounded and taken out: what each pass may change, and that the network it started from stays."""

import numpy as np
import pytest
import torch

from spikeloom import Connection, Decoder, Encoder, Network, NeuronGroup
from spikeloom.errors import ParameterError
from spikeloom.passes import Promise, prune, quantise, verify


def network() -> Network:
    net = Network("weights")
    drawn = np.random.default_rng(0)
    with net:
        net.source = Encoder(6, coding_method="constant_current")
        net.hidden = NeuronGroup(8, model="lif", tau_m=5.0)
        net.out = NeuronGroup(3, model="lif", tau_m=5.0)
        net.a = Connection(net.source, net.hidden, link_type="full", weight=drawn.normal(0, 0.5, (8, 6)), bias=True)
        net.b = Connection(net.hidden, net.out, link_type="full", weight=drawn.normal(0, 2.0, (3, 8)))
        net.answer = Decoder(dec_target=net.out)
    net.set_backend_dt(1.0)
    return net


@pytest.mark.parametrize("per_channel", [False, True])
@pytest.mark.parametrize("bits", [2, 4, 8])
def test_quantised_weights_are_few_and_near_the_old_ones(bits, per_channel):
    old = network()
    new, promise = quantise(old, bits, per_channel=per_channel)
    for path in ("a", "b"):
        before, after = (
            (np.asarray(net.state_dict()[f"{path}.weight"], float) for net in (old, new))
            if (old.build() is None)
            else ()
        )
        most = 2 ** (bits - 1) - 1
        scale = (
            np.abs(before).max(1, keepdims=True) / most if per_channel else np.full((1, 1), np.abs(before).max() / most)
        )
        np.testing.assert_allclose(np.rint(after / scale), after / scale, atol=1e-4)
        assert np.abs(after / scale).max() <= most + 1e-4
        assert (np.abs(after - before) <= scale / 2 + 1e-6).all()
    assert promise.kind == "none"


def test_more_bits_bring_the_answers_nearer():
    x = np.random.default_rng(1).random((40, 6)) * 2
    wrong = []
    for bits in (2, 4, 12):
        old = network()
        new, _ = quantise(old, bits)
        wrong.append(verify(old, new, x, Promise(kind="close", tolerance=0.5), time=40.0).difference)
    assert wrong[0] >= wrong[1] >= wrong[2]
    assert wrong[0] > wrong[2]


def test_pruning_takes_the_smallest_weights_and_as_many_as_asked():
    old = network()
    new, promise = prune(old, 0.5)
    old.build()
    before = np.concatenate([np.abs(np.asarray(old.state_dict()[f"{p}.weight"])).ravel() for p in ("a", "b")])
    after = np.concatenate([np.abs(np.asarray(new.state_dict()[f"{p}.weight"])).ravel() for p in ("a", "b")])
    assert (after == 0).sum() == 36 == before.size // 2
    assert before[after == 0].max() <= before[after != 0].min()
    assert "36 of 72" in str(promise)
    assert not (before == 0).any()


def test_verify_says_whether_a_promise_held():
    old = network()
    same = Promise(kind="equal", tolerance=0.0)
    assert verify(old, network(), np.ones((2, 6)), same, time=20.0) == (True, 0.0, 2)
    other = network()
    other.build()
    with torch.no_grad():
        other.module.b.weight.abs_()
    assert not verify(old, other, np.ones((2, 6)), same, time=20.0).holds
    with pytest.raises(ParameterError, match="give time="):
        verify(old, other, np.ones((2, 6)), same)


def test_bad_settings_are_refused():
    with pytest.raises(ParameterError, match=r"quantise\.bits"):
        quantise(network(), 1)
    with pytest.raises(ParameterError, match=r"prune\.fraction"):
        prune(network(), 1.0)
