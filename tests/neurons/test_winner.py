"""The emission of which a population has one winner."""

import numpy as np
import pytest
import torch

import spikeloom as sl
from spikeloom.backends import TorchOps
from spikeloom.neurons import LIF, Emission, NoReset, Winner
from spikeloom.ops import NumpyOps

KINDS = {"numpy": (np.array, NumpyOps()), "torch": (torch.tensor, TorchOps())}


@pytest.mark.parametrize("kind", KINDS)
def test_the_greatest_of_those_that_reach_their_threshold_fires_alone(kind):
    array, xp = KINDS[kind]
    v = array([[1.0, 3.0, 2.0], [0.0, -0.1, 0.2], [5.0, 5.0, 1.0], [-3.0, -2.0, -1.0]])
    thresholds = array([0.0, 4.0, 0.5])
    spikes = Winner().output(v - thresholds, v, xp)
    assert spikes.tolist() == [[0, 0, 1], [1, 0, 0], [1, 0, 0], [0, 0, 0]]
    assert spikes.dtype == v.dtype


def test_a_population_of_any_shape_has_one_winner():
    v = np.zeros((2, 3, 4))
    v[0, 1, 2], v[1, 2, 0] = 2.0, 3.0
    assert np.argwhere(Winner().output(v - 1, v, NumpyOps())).tolist() == [[0, 1, 2], [1, 2, 0]]


def test_a_network_with_a_winner_runs_on_the_torch_path_and_says_why():
    net = sl.Network()
    net.input = sl.Encoder(3, coding_method="null")
    net.out = sl.NeuronGroup(3, model="lif", tau_m=1e-3, emission=Emission(forward="winner", reset=NoReset()))
    net.c = sl.Connection(net.input, net.out, link_type="full", weight=np.eye(3))
    net.answer = sl.Decoder(dec_target=net.out, coding_method="spike_counts")
    net.set_backend_dt(1.0)
    net.input(np.array([[[2.0, 3.0, 0.0], [0.5, 0.2, 0.1], [0.0, 1.0, 4.0]]]))
    net.run(3.0)
    assert net.answer.predict.tolist() == [[0, 1, 1]]
    assert "it is coupled, by the winner" in str(net.plan)
    assert LIF(emission=Emission(forward="winner")).emission.forward == Winner()
