"""Costs against a recount from unrolled weights, hand counts and printed formulas."""

import copy

import numpy as np
import pytest
import torch

from spikeloom import Connection, Encoder, Network, NeuronGroup
from spikeloom.analysis.measures import (
    Activity,
    ActivityAccumulator,
    activity,
    bit_budget,
    communication_volume,
    connection_costs,
    effective_macs,
    energy_proxy_pj,
    memory_volume,
    synaptic_operations,
)
from spikeloom.analysis.windows import Window
from spikeloom.backends.described import describe
from spikeloom.errors import DataError, ParameterError, ShapeError, UnknownNameError
from spikeloom.spikes import Spikes


@pytest.fixture(scope="module")
def network():
    """A convolution into a population, which is joined to two others."""
    net = Network()
    net.input = Encoder(shape=(2, 6, 6), coding_method="null")
    net.maps = NeuronGroup(shape=(3, 3, 3), model="lif")
    net.left, net.right = NeuronGroup(4, model="lif"), NeuronGroup(5, model="lif")
    net.conv = Connection(net.input, net.maps, link_type="conv", kernel_size=3, stride=2, padding=1)
    net.to_left = Connection(net.maps, net.left, link_type="full")
    net.to_right = Connection(net.maps, net.right, link_type="sparse", density=0.5)
    net.set_random_seed(1)
    net.build()
    with torch.no_grad():
        net._built().weights["conv"]["weight"].view(-1)[::4] = 0
    return net


def spikes_of(shape, seed, **keywords):
    raster = (np.random.default_rng(seed).random((20, 2, *shape)) < 0.2).astype(np.int8)
    return Spikes.from_raster(raster, 1.0, **keywords)


def test_synaptic_operations_are_what_every_spike_causes_in_the_unrolled_weights(network):
    build, spikes = network._built(), spikes_of((2, 6, 6), 0)
    described = describe(build)
    costs = {cost.path: cost for cost in connection_costs(described, {"input": activity(spikes)})}
    link, ends, weights = network.conv.link, network.conv.ends, build.weights["conv"]
    caused = 0
    for step in torch.from_numpy(spikes.raster().astype(np.float32)).flatten(0, 1):
        for place in torch.nonzero(step):
            alone = torch.zeros(1, 1, *ends.pre)
            alone[0, 0, *place] = 1
            caused += int(torch.count_nonzero(link.product(alone, weights, ends)[0]))
    assert list(costs) == ["conv"]
    found = costs["conv"]
    assert found.synaptic_operations == found.acs == caused
    assert (found.n_spikes, found.macs) == (spikes.n_spikes, 0)
    assert found.energy_proxy_pj == pytest.approx(0.9 * caused)


def test_dense_multiplications_are_those_of_every_step(network):
    found = effective_macs(spikes_of((4,), 1), 5, macs_per_step=20)
    assert found.dense_macs == 20 * 20 * 2
    assert found.share == found.acs / 800


def test_operations_are_those_counted_by_hand():
    spikes = Spikes.from_steps([0, 1, 5, 5], [0, 2, 2, 1], 3, 10, 1.0, samples=[0, 0, 0, 1])
    found = synaptic_operations(spikes, [10, 7, 1])
    assert found == (10 + 1 + 1 + 7, 19 / 4, 19 / 0.020)
    assert synaptic_operations(spikes, 5).total == 20


def test_graded_spikes_are_multiplied_and_signs_are_added():
    spikes = Spikes.from_steps([0, 1, 2, 3], [0, 0, 1, 1], 2, 4, 1.0, values=[1.0, 0.5, -1.0, 2.0])
    found = effective_macs(spikes, [3, 10], macs_per_step=13)
    assert (found.acs, found.macs, found.dense_macs) == (13, 13, 52)
    assert energy_proxy_pj(found.acs, found.macs) == pytest.approx(13 * 0.9 + 13 * 4.6)
    assert energy_proxy_pj(10, 10, ac_pj=0.1, mac_pj=3.2) == pytest.approx(33)


def test_silence_costs_nothing():
    silent = Spikes.from_steps([], [], 3, 10, 1.0, n_samples=1)
    assert synaptic_operations(silent, 4)[0] == 0
    assert np.isnan(synaptic_operations(silent, 4).per_spike)
    assert effective_macs(silent, 4, 12) == (0, 0, 120)
    assert np.isnan(effective_macs(silent, 4, 0).share)


def test_spikes_at_times_have_operations_but_no_steps():
    spikes = Spikes.from_times([1.5, 2.5], [0, 1], 2, 10.0)
    assert synaptic_operations(spikes, 3).total == 6
    with pytest.raises(ParameterError, match="call on_grid"):
        effective_macs(spikes, 3, 6)


def test_a_recorded_tenth_of_the_neurons_stands_for_all():
    measure = ActivityAccumulator(n_neurons=10, neurons=[7], recorded_fraction=0.1)
    measure.add(Window.of(Spikes.from_steps([1, 2, 3], [0, 0, 0], 1, 10, 1.0)))
    found = measure.result()
    assert found.counts.tolist() == [0] * 7 + [3, 0, 0]
    assert synaptic_operations(found, 4) == (120, 4, 120 / 0.010)


@pytest.mark.parametrize("fan_out", [[1, 2], 1.5, -1, [1, 2, -3], [[1, 2, 3]]])
def test_a_fan_out_is_one_whole_number_or_one_for_each_neuron(fan_out):
    spikes = Spikes.from_steps([0], [0], 3, 4, 1.0)
    with pytest.raises((ParameterError, ShapeError), match="fan_out must"):
        synaptic_operations(spikes, fan_out)


def test_the_bit_budget_is_the_same_for_steps_weights_and_spikes():
    assert bit_budget(8, 1).bits == bit_budget(1, 8).bits == bit_budget(1, 1, 8).bits == bit_budget(2, 2, 2).bits == 8
    found = bit_budget(4, 8, 1, macs_per_step=1000, firing_share=0.05)
    assert found == (32, 32_000, 1600)
    assert np.isnan(bit_budget(4, 8).s_ace)
    assert np.isnan(bit_budget(4, 8, firing_share=0.5).ns_ace)


@pytest.mark.parametrize("arguments", [(0, 1), (1, 0), (1, 1, 0), (1.5, 1), (True, 1)])
def test_a_bit_budget_is_of_whole_numbers(arguments):
    with pytest.raises(ParameterError, match="must be a whole number from 1 on"):
        bit_budget(*arguments)


def test_a_firing_share_and_an_energy_have_a_range():
    with pytest.raises(ParameterError, match="firing_share must be in"):
        bit_budget(1, 1, firing_share=1.1)
    with pytest.raises(ParameterError, match="acs must be a finite number"):
        energy_proxy_pj(-1, 0)


def test_memory_is_weights_states_and_a_step_of_spikes(network):
    found = memory_volume(describe(network._built()))
    sparse = round(0.5 * 27 * 5)
    assert found.weight_bits == 32 * (3 * 2 * 9 + 27 * 4 + sparse)
    assert found.state_bits == 32 * (27 + 4 + 5)
    assert found.spike_bits == 72 + 27 + 4 + 5


def test_what_is_sent_is_counted_once_for_each_target(network):
    spikes = spikes_of((3, 3, 3), 2)
    found = {way.to: way for way in communication_volume(describe(network._built()), {"maps": activity(spikes)})}
    assert found.keys() == {"left", "right"}
    # 27 neurons have addresses of 5 bits
    assert found["left"][2:] == (spikes.n_spikes, -(-27 * 40 // 8), -(-spikes.n_spikes * 5 // 8))
    assert found["left"][2:] == found["right"][2:]


def test_what_stays_on_a_node_is_not_sent_and_a_node_gets_it_once(network):
    described, spikes = describe(network._built()), activity(spikes_of((3, 3, 3), 2))
    apart = {"input": "a", "maps": "a", "left": "b", "right": "b"}
    assert [(w.pre, w.to) for w in communication_volume(described, {"maps": spikes}, apart)] == [("maps", "b")]
    assert communication_volume(described, {"maps": spikes}, dict.fromkeys(apart, "a")) == ()
    with pytest.raises(UnknownNameError, match="layer 'right' has no node"):
        communication_volume(described, {"maps": spikes}, {"maps": "a", "left": "b", "input": "a"})


def test_values_of_graded_spikes_are_sent_too(network):
    described = describe(network._built())
    values = Spikes.from_steps([0, 1], [3, 4], (3, 3, 3), 8, 1.0, values=[0.5, 1.0])
    assert communication_volume(described, {"maps": activity(values)}, value_bits=16)[0].event_bytes == -(-26 // 8)


HOSTILE = [
    ("connections", None),
    ("connections", {"conv": 3}),
    ("connections", {"conv": {"pre": "input"}}),
    ("layers", {"input": {"shape": [2, -6, 6]}}),
    ("layers", {"input": {"shape": "2, 6, 6"}}),
    ("layers", {"input": {"shape": [2.0, 6, 6]}}),
    ("layers", {"input": {"shape": [1 << 30] * 32}}),
    ("layers", {}),
]


@pytest.mark.parametrize(("part", "value"), HOSTILE)
def test_a_description_of_a_foreign_file_is_checked(network, part, value):
    described = describe(network._built()) | {part: value}
    with pytest.raises(DataError, match="description: "):
        connection_costs(described, {"input": activity(spikes_of((2, 6, 6), 0))})


@pytest.mark.parametrize("fan_out", [None, "9", [1, 2], [1.5] * 72, -3, [True] * 72, 1 << 70])
def test_the_fan_out_of_a_foreign_file_is_checked(network, fan_out):
    described = copy.deepcopy(describe(network._built()))
    described["connections"]["conv"]["fan_out"] = fan_out
    with pytest.raises(DataError, match="fan_out of 'conv' must be a whole number"):
        connection_costs(described, {"input": activity(spikes_of((2, 6, 6), 0))})


def test_more_operations_than_a_number_holds_are_refused(network):
    described = copy.deepcopy(describe(network._built()))
    described["connections"]["conv"]["fan_out"] = (1 << 40) - 1
    many = activity(spikes_of((2, 6, 6), 0))._replace(counts=np.full(72, 1 << 40))
    with pytest.raises(DataError, match="fan_out of 'conv' makes"):
        connection_costs(described, {"input": many})
    with pytest.raises(ParameterError, match="fan_out makes"):
        synaptic_operations(many, (1 << 40) - 1)


def test_a_layer_of_a_foreign_file_has_a_size(network):
    described = describe(network._built()) | {"layers": {"input": {"shape": [1 << 30] * 32, "states": 1}}}
    with pytest.raises(DataError, match=r"layer 'input' has .* neurons or more"):
        memory_volume(described)


@pytest.mark.parametrize("bits", [None, "8", -1, 2.0, 1 << 200])
def test_the_bits_of_a_weight_of_a_foreign_file_are_checked(network, bits):
    described = copy.deepcopy(describe(network._built()))
    described["connections"]["conv"]["weight_bits"] = bits
    with pytest.raises(DataError, match="weight_bits of 'conv' must be a whole number"):
        connection_costs(described, {"input": activity(spikes_of((2, 6, 6), 0))})


@pytest.mark.parametrize("measure", [connection_costs, communication_volume])
def test_an_activity_of_another_layer_is_refused(network, measure):
    with pytest.raises(DataError, match="layer 'input' has 72 neurons, its activity 4"):
        measure(describe(network._built()), {"input": activity(spikes_of((4,), 0))})


def test_the_bits_of_a_value_are_a_whole_number(network):
    with pytest.raises(ParameterError, match="value_bits must be a whole number from 0 on, got -1"):
        communication_volume(describe(network._built()), {}, value_bits=-1)


def test_an_activity_says_what_it_was_counted_from():
    found = activity(spikes_of((4,), 3))
    assert isinstance(found, Activity)
    assert (found.trial_ms, found.dt_ms, found.n_steps) == (40.0, 1.0, 40)
    with pytest.raises(ParameterError, match="recorded_fraction must be in"):
        ActivityAccumulator(recorded_fraction=0)
