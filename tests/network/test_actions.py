"""Actions: what is chosen of small trains of spikes by hand, and how often what is drawn comes, by chi-square."""

import numpy as np
import pytest
import torch
from scipy.stats import chisquare

import spikeloom as sl
from spikeloom.errors import DataError, ParameterError, ShapeError, StateError, UnsupportedError
from spikeloom.network import ACTION_METHODS

TRAINS = np.array(
    [
        [[0, 1, 0], [0, 1, 0], [1, 0, 0], [0, 0, 0]],
        [[0, 0, 1], [1, 0, 0], [1, 0, 0], [1, 0, 0]],
        [[0, 0, 0], [0, 0, 0], [0, 0, 1], [0, 0, 0]],
    ],
    np.float32,
)
"""Three samples (B, T, n): what three neurons do in four steps."""


def chosen(method, activity, num=3, seed=0, **options):
    """The actions for activity (B, T, n)."""
    activity = np.asarray(activity, np.float32).swapaxes(0, 1)
    return ACTION_METHODS[method](**options).choose(activity, num, np.random.default_rng(seed)).tolist()


def network(method, n=3, model="if", **options):
    net = sl.Network()
    with net:
        net.given = sl.Encoder(n, coding_method="null")
        net.out = sl.NeuronGroup(n, model=model)
        net.link = sl.Connection(net.given, net.out, link_type="one_to_one", weight=np.full(n, 1.5))
        net.action = sl.Action(dec_target=net.out, coding_method=method, **options)
    net.set_backend_dt(1.0)
    net.set_random_seed(0)
    return net


def test_the_greatest_and_the_first_are_chosen():
    assert chosen("highest_spikes_action", TRAINS) == [1, 0, 2]
    assert chosen("first_spike_action", TRAINS) == [1, 2, 2]
    assert chosen("highest_voltage_action", [[[9, 0, 0], [0.1, -1, 0.3]], [[0, 0, 0], [-3, -2, -5]]]) == [2, 1]


def frequencies(method, sample, num, n=4000, **options):
    found = chosen(method, np.repeat(np.asarray(sample, np.float32)[None], n, 0), num, **options)
    return np.bincount(found, minlength=num)


def test_a_softmax_action_comes_by_its_probability_and_not_uniformly():
    counts, temperature = np.array([2.0, 0.0, 1.0]), 0.7
    train = [[1, 0, 1], [1, 0, 0]]
    p = np.exp(counts / temperature) / np.exp(counts / temperature).sum()
    found = frequencies("softmax_action", train, 3, temperature=temperature)
    assert chisquare(found, 4000 * p).pvalue > 1e-3
    assert chisquare(found).pvalue < 1e-9


@pytest.mark.parametrize("temperature", [1e-300, 5e-324])
def test_a_softmax_action_of_almost_no_temperature_is_the_one_of_most_spikes(temperature):
    assert chosen("softmax_action", TRAINS, temperature=temperature) == [1, 0, 2]
    assert chosen("softmax_action", np.full((1, 1, 3), [[0.0, 3e38, 1.0]]), temperature=temperature) == [1]


@pytest.mark.parametrize("method", ["softmax_action", "highest_voltage_action", "pop_rate_action"])
def test_nothing_is_chosen_of_what_is_not_a_number(method):
    with pytest.raises(DataError, match="no action can be drawn"):
        chosen(method, [[[0.0, np.nan, 1.0]]])


def test_a_share_of_potentials_below_0_is_refused_by_the_name_of_the_action():
    net = network("pop_rate_action", coding_var_name="v")
    net.given(-TRAINS)
    with pytest.raises(DataError, match=r"'action'.*no action can be drawn"):
        net.run(4.0)


def test_a_population_is_drawn_by_its_share_of_the_spikes_and_any_in_silence():
    found = frequencies("pop_rate_action", [[1, 1, 0, 1], [1, 0, 0, 0]], 2)
    assert chisquare(found, [3000, 1000]).pvalue > 1e-3
    assert chisquare(frequencies("pop_rate_action", np.zeros((2, 4)), 2)).pvalue > 1e-3


@pytest.mark.parametrize("method", ["highest_spikes_action", "first_spike_action", "highest_voltage_action"])
def test_what_is_even_is_drawn_evenly(method):
    found = frequencies(method, [[0, 1, 1]], 3)
    assert found[0] == 0
    assert chisquare(found[1:]).pvalue > 1e-3


@pytest.mark.parametrize("method", ["first_spike_action", "random_action"])
def test_a_silent_network_does_anything(method):
    assert chisquare(frequencies(method, np.zeros((3, 3)), 3)).pvalue > 1e-3


def test_a_run_leaves_an_action_for_each_sample():
    net = network("highest_spikes_action")
    with pytest.raises(StateError, match="was not chosen yet"):
        net.action.action
    net.given(TRAINS)
    net.run(4.0)
    assert net.action.action.tolist() == [1, 0, 2]
    assert net.action.predict is net.action.action
    assert net.action.action.dtype == torch.int64


def test_the_network_s_seed_decides_what_is_drawn():
    def drawn(seed):
        net = network("random_action")
        net.set_random_seed(seed)
        net.given(np.repeat(TRAINS, 20, 0))
        net.run(4.0)
        return net.action.action.tolist()

    assert drawn(3) == drawn(3) != drawn(4)


def test_epsilon_explores_in_training_alone_and_can_be_changed():
    net = network("highest_spikes_action", epsilon=1.0)
    net.given(np.repeat(TRAINS[:1], 3000, 0))
    net.run(4.0)
    assert chisquare(np.bincount(net.action.action, minlength=3)).pvalue > 1e-3
    net.action.epsilon = 0.5
    net.run(4.0)
    assert chisquare(np.bincount(net.action.action, minlength=3), [500, 2000, 500]).pvalue > 1e-3
    net.eval()
    net.run(4.0)
    assert set(net.action.action.tolist()) == {1}


def test_a_saved_action_is_the_same_one_again(tmp_path):
    net = network("softmax_action", temperature=0.5, epsilon=0.1)
    net.other = sl.Action(num=1, dec_target=net.out, coding_method="pop_rate")
    again = sl.network_load(net.save("n", tmp_path))
    assert (again.action.choice, again.action.epsilon, again.action.num) == (net.action.choice, 0.1, 3)
    assert again.other.num == 1
    assert "action softmax_action of out, 3, epsilon 0.1, temperature 0.5" in str(again)


OUT = sl.NeuronGroup(4, model="lif")


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({}, LookupError, "action method must be a name"),
        ({"coding_method": "softmx_action"}, LookupError, "did you mean 'softmax_action'"),
        ({"coding_method": "softmax_action", "dec_target": None}, ParameterError, "dec_target must be a neuron group"),
        ({"coding_method": "softmax_action", "num": 2}, ShapeError, "an action for each neuron.*pop_rate_action"),
        ({"coding_method": "pop_rate_action", "num": 3}, ShapeError, "4 neurons cannot stand for 3 actions"),
        ({"coding_method": "softmax_action", "temperature": 0}, ParameterError, "a number above 0"),
        ({"coding_method": "softmax_action", "epsilon": 1.5}, ParameterError, "probability, 0 to 1"),
        ({"coding_method": "random_action", "seed": 1}, ParameterError, "unknown parameter 'seed'"),
    ],
)
def test_a_wrong_action_is_refused_with_a_way_out(options, error, text):
    with pytest.raises(error, match=text):
        sl.Action(**({"dec_target": OUT} | options))


def test_an_action_by_potential_needs_neurons_that_have_one():
    with pytest.raises(UnsupportedError, match="reads 'v', which 'elm' does not have"):
        sl.Action(dec_target=sl.NeuronGroup(2, model="elm"), coding_method="highest_voltage_action")
