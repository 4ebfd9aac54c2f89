"""Input populations: what mlGeNN's input models do, step by step, and how they stand in a network."""

import math

import numpy as np
import pytest
import torch

import spikeloom as sl
from spikeloom.errors import DataError, ParameterError, ShapeError, StateError
from spikeloom.network import InputPopulation, Population, describe, network_from
from spikeloom.neurons import (
    INPUTS,
    BinarySpikeInput,
    IntegrateFireInput,
    LeakyIntegrateFireInput,
    PoissonInput,
    SpikeInput,
)
from spikeloom.spikes import Spikes, batch_spikes, preprocess_spikes
from spikeloom.spikes.encode import draw_keys


def encoded(model, data, n_steps=10, shape=2, dt=1.0, first=0, seed=0):
    population = Population(model, shape)
    population(data)
    return population.encode(n_steps, dt, np.random.default_rng(seed), first)


def steps_of(spikes, sample=0):
    """The steps of each neuron of a sample."""
    one = spikes[sample]
    return [one.grid.step[one.ids == n].tolist() for n in range(one.n_neurons)]


def given(*trains, **options):
    ids = [n for n, train in enumerate(trains) for _ in train]
    return preprocess_spikes([t for train in trains for t in train], ids, len(trains), **options)


class OfThePage(sl.Network):
    """The input of mlGeNN's page of data, before a layer."""

    def __init__(self):
        super().__init__()
        self.input = Population(
            LeakyIntegrateFireInput(v_thresh=1, tau_mem=20, input_frames=80, input_frame_timesteps=20), 40
        )
        self.layer = sl.NeuronGroup(10, model="lif")
        self.link = sl.Connection(self.input, self.layer, link_type="full")
        self.watch = sl.SpikeMonitor(self.input)
        self.output = sl.Decoder(dec_target=self.layer, coding_method="spike_counts")


def test_the_input_of_the_page_of_data_feeds_a_network():
    net = OfThePage()
    net.set_backend_dt(1.0)
    net.set_random_seed(0)
    spectrograms = np.random.default_rng(0).random((3, 80, 40))
    net.input(spectrograms)
    net.run(1600.0)
    assert net.output.predict.shape == (3, 10)
    v, count = np.zeros((3, 40)), np.zeros((3, 40))
    for step in range(1600):
        v = v * math.exp(-1 / 20) + spectrograms[:, step // 20]
        count += v >= 1
        v = np.where(v >= 1, v - 1, v)
    seen = np.array([np.bincount(net.watch.spikes[k].ids, minlength=40) for k in range(3)])
    np.testing.assert_array_equal(seen, count)


def test_a_loader_feeds_an_input_population_as_it_does_an_encoder():
    net = sl.Network()
    net.image = Population(PoissonInput(), 64)
    net.layer = sl.NeuronGroup(10, model="lif")
    net.link = sl.Connection(net.image, net.layer, link_type="full")
    net.counts = sl.Decoder(dec_target=net.layer, coding_method="spike_counts")
    net.set_backend_dt(1.0)
    net.set_random_seed(0)
    data = sl.digits().select(range(100))
    result = sl.evaluate(net, sl.Dataloader(data, 50), time=10.0, progress=False)
    assert 0 <= result.accuracy <= 1
    assert net.image.n_batches == 2


def test_spikes_fire_in_the_first_step_from_their_time_on_and_queue():
    """[1.0, 1.0, 1.2] fire in 1, 2, 3 and 2.5 in 3, as measured in mlGeNN."""
    assert steps_of(encoded(SpikeInput(), given([1.0, 1.0, 1.2], [2.5]))) == [[1, 2, 3], [3]]


@pytest.mark.parametrize("dt", [0.1, 0.3, 1.0])
def test_a_spike_on_the_grid_stays_on_its_step(dt):
    times = np.arange(500) * dt
    spikes = encoded(SpikeInput(), given(times), 500, 1, dt)
    assert steps_of(spikes) == [list(range(500))]


def test_a_queue_is_worked_off_in_order_for_each_neuron_of_each_sample():
    examples = [given([0, 0, 0, 7, 7.5], [5]), given([], [0, 0.5, 1, 9])]
    want = [[[0, 1, 2, 7, 8], [5]], [[], [0, 1, 2, 9]]]
    for data in (examples, batch_spikes(examples, 2)):
        spikes = encoded(SpikeInput(), data)
        assert [steps_of(spikes, k) for k in range(2)] == want


def test_queued_spikes_are_those_of_a_counter_that_lets_one_go_each_step():
    rng = np.random.default_rng(3)
    trains = [np.sort(rng.integers(0, 60, 40) / 2) for _ in range(5)]
    want = []
    for train in trains:
        waiting, fired = list(train), []
        for step in range(100):
            if waiting and waiting[0] <= step:
                fired.append(step)
                waiting.pop(0)
        want.append(fired)
    assert steps_of(encoded(SpikeInput(), given(*trains), 100, 5)) == want


def test_several_spikes_in_one_step_are_counted_merged_or_an_error_as_asked():
    data = given([1.0, 1.0, 0.5], [2.0])
    counted = encoded(SpikeInput(collisions="count"), data)
    assert steps_of(counted) == [[1], [2]]
    assert counted.value.tolist() == [3, 1]
    merged = encoded(SpikeInput(collisions="merge"), data)
    assert (steps_of(merged), merged.value) == ([[1], [2]], None)
    with pytest.raises(DataError, match="fires twice in step 1"):
        encoded(SpikeInput(collisions="error"), data)


def test_late_spikes_are_an_error_unless_they_are_to_be_dropped():
    """9.5 and 20 come after the steps 0 to 9; mlGeNN drops them silently."""
    data = given([9.0, 9.5, 20.0])
    with pytest.raises(
        DataError, match=r"neuron 0 in sample 0 at 9.5 ms falls into step 10, the run has 10; run longer"
    ):
        encoded(SpikeInput(), data, shape=1)
    assert steps_of(encoded(SpikeInput(late="drop"), data, shape=1)) == [[9]]
    with pytest.raises(DataError, match="falls into step 10"):
        encoded(SpikeInput(), given([9.0, 9.0]), shape=1)


def test_more_spikes_than_the_batch_may_have_are_an_error():
    with pytest.raises(DataError, match="3 spikes are more than max_spikes=2"):
        encoded(SpikeInput(2), [given([1.0], [2.0]), given([], [0.0])])


def test_spikes_of_the_own_kind_are_taken_too():
    on_grid = Spikes.from_steps([3, 4], [0, 1], 2, 10, 1.0, values=[-1, 2])
    spikes = encoded(SpikeInput(), on_grid)
    assert (steps_of(spikes), spikes.value.tolist()) == ([[3], [4]], [-1, 2])
    assert steps_of(encoded(SpikeInput(), Spikes.from_times([2.5], [1], 2, 5.0))) == [[], [3]]
    assert encoded(SpikeInput(), Spikes.from_times([2.5], [1], 4, 5.0), shape=(2, 2)).shape == (2, 2)


def test_integrate_and_fire_input_holds_each_frame_and_the_last_to_the_end():
    """As measured in mlGeNN: frames [[1, 0], [0, 1], [.5, .5]] of two steps."""
    spikes = encoded(IntegrateFireInput(1, 0, 0, 3, 2), [[1, 0], [0, 1], [0.5, 0.5]], n_steps=9)
    assert steps_of(spikes) == [[0, 1, 5, 7], [2, 3, 5, 7]]


def test_binary_input_fires_while_it_is_positive():
    assert steps_of(encoded(BinarySpikeInput(), [[0.1, -5.0]], 3)) == [[0, 1, 2], []]
    signed = encoded(BinarySpikeInput(signed_spikes=True), [[0.1, -5.0]], 3)
    assert (steps_of(signed), signed.values().tolist()) == ([[0, 1, 2], [0, 1, 2]], [1, -1] * 3)
    frames = encoded(BinarySpikeInput(True, 2, 3), [[1, 0], [0, -1]], 7)
    assert steps_of(frames) == [[0, 1, 2], [3, 4, 5, 6]]
    assert frames.values().tolist() == [1] * 3 + [-1] * 4


@pytest.mark.parametrize(("x", "dt"), [(0.1, 1.0), (0.5, 1.0), (1.0, 1.0), (5.0, 0.1), (0.01, 10.0)])
def test_poisson_input_fires_with_the_probability_of_an_event_in_a_step(x, dt):
    p, n = 1 - math.exp(-x * dt), 200_000
    spikes = encoded(PoissonInput(), np.full(2000, x), 100, 2000, dt)
    assert abs(spikes.n_spikes / n - p) < 5 * math.sqrt(p * (1 - p) / n)


def test_negative_poisson_input_is_silent_unless_spikes_are_signed():
    rates = np.array([[2.0, -2.0, 0.0]])
    assert [bool(train) for train in steps_of(encoded(PoissonInput(), rates, 50, 3))] == [True, False, False]
    signed = encoded(PoissonInput(signed_spikes=True), rates, 400, 3)
    assert set(zip(signed.ids.tolist(), signed.value.tolist(), strict=True)) == {(0, 1), (1, -1)}
    for neuron in (0, 1):
        assert abs((signed.ids == neuron).mean() - 0.5) < 0.1


def test_poisson_frames_have_rates_of_their_own():
    frames = np.zeros((2, 3, 500))
    frames[0, 0], frames[1, 2] = 50.0, 50.0
    spikes = encoded(PoissonInput(input_frames=3, input_frame_timesteps=4), frames, 14, 500)
    assert [sorted(set(spikes[k].grid.step.tolist())) for k in range(2)] == [[0, 1, 2, 3], [8, 9, 10, 11, 12, 13]]


def by_hand(current, n_steps, dt, tau, v_th, v_reset, relative, v=0.0, scale=False, rest=0, held=False):
    """A leaky neuron, written down once more."""
    left, fired, decay = 0, [], math.exp(-dt / tau)
    for step in range(n_steps):
        if not (held and left):
            v = v * decay + current * ((1 - decay) if scale else 1)
        if left:
            left -= 1
        elif v >= v_th:
            fired.append(step)
            v = v - (v_th - v_reset) if relative else v_reset
            left = rest
    return fired


@pytest.mark.parametrize("relative", [True, False])
@pytest.mark.parametrize("v_reset", [0.0, -0.5, 0.3])
@pytest.mark.parametrize(("refractory", "integrates"), [(None, True), (3.0, True), (3.0, False), (0.4, False)])
def test_leaky_input_is_the_neuron_with_the_input_as_its_current(relative, v_reset, refractory, integrates):
    model = LeakyIntegrateFireInput(
        v_thresh=1.2, v_reset=v_reset, v=0.1, tau_mem=10.0, tau_refrac=refractory, relative_reset=relative,
        integrate_during_refrac=integrates,
    )  # fmt: skip
    currents = np.array([0.05, 0.35, 0.9])
    spikes = encoded(model, currents, 200, 3, dt=0.5)
    rest = 0 if refractory is None else int(refractory / 0.5)
    want = [by_hand(i, 200, 0.5, 10.0, 1.2, v_reset, relative, 0.1, rest=rest, held=not integrates) for i in currents]
    assert steps_of(spikes) == want
    assert len(want[2]) > 20


def test_a_scaled_leaky_input_reaches_its_input():
    model = LeakyIntegrateFireInput(scale_i=True)
    assert steps_of(encoded(model, [0.99, 1.5], 300)) == [[], by_hand(1.5, 300, 1.0, 20.0, 1.0, 0.0, True, scale=True)]


@pytest.mark.parametrize("model", [
    BinarySpikeInput(False, 3, 2), IntegrateFireInput(input_frames=3, input_frame_timesteps=2),
    LeakyIntegrateFireInput(tau_refrac=2.0, input_frames=3, input_frame_timesteps=2),
])  # fmt: skip
def test_a_run_that_goes_on_is_the_rest_of_one_run(model):
    data = np.random.default_rng(0).random((4, 3, 2))
    whole, rest = encoded(model, data, 12), encoded(model, data, 7, first=5)
    np.testing.assert_array_equal(whole.raster()[5:], rest.raster())
    assert rest.n_spikes > 0


def test_poisson_input_that_goes_on_shows_the_frames_that_follow():
    frames = np.zeros((1, 3, 200))
    frames[:, 1] = 50.0
    spikes = encoded(PoissonInput(False, 3, 4), frames, 6, 200, first=5)
    assert sorted(set(spikes.grid.step.tolist())) == [0, 1, 2]


def test_a_network_that_goes_on_gets_spikes_once():
    net = sl.Network()
    with net:
        given_ones = Population(SpikeInput(), 2)
        layer = sl.NeuronGroup(2, model="if")
        one = sl.Connection(given_ones, layer, link_type="one_to_one", weight=np.full(2, 0.4))
        output = sl.Decoder(dec_target=layer, coding_method="spike_counts")
        watch = sl.StateMonitor(layer, "v")
    net.set_backend_dt(1.0)
    net.given_ones([given([0, 1], [3])])
    net.run(5.0)
    net.run_continue(5.0)
    assert net.watch.values[0, :, -1].tolist() == pytest.approx([0.8, 0.4])
    assert (output.target, one.pre) == (layer, given_ones)
    assert watch.target is layer


@pytest.mark.parametrize(("shape", "frames", "fits", "n"), [
    (3, 1, (3,), 1), (3, 1, (1, 3), 1), (3, 1, (4, 3), 4), (3, 2, (2, 3), 1), (3, 2, (4, 2, 3), 4),
    ((2, 3), 1, (2, 3), 1), ((2, 3), 1, (5, 2, 3), 5), ((2, 3), 1, (5, 6), 5), ((2, 3), 2, (5, 2, 2, 3), 5),
])  # fmt: skip
def test_values_are_static_or_frames_of_one_sample_or_a_batch(shape, frames, fits, n):
    population = Population(PoissonInput(input_frames=frames), shape)
    population(np.ones(fits))
    assert population.batch_size == n
    spikes = population.encode(5, 1.0, np.random.default_rng(0))
    assert (len(spikes), spikes.shape) == (n, (shape,) if isinstance(shape, int) else shape)


@pytest.mark.parametrize(("shape", "frames", "wrong"), [
    (3, 1, (4,)), (3, 1, (2, 4)), (3, 1, (2, 1, 3)), (3, 2, (3,)), (3, 2, (3, 3)), (3, 2, (4, 3, 3)), (3, 1, ()),
    ((2, 3), 1, (3, 2)), (3, 1, (0, 3)),
])  # fmt: skip
def test_other_shapes_are_refused_with_those_that_fit(shape, frames, wrong):
    population = Population(PoissonInput(input_frames=frames), shape)
    with pytest.raises(ShapeError, match=r"takes (values of shape|at least one sample)"):
        population(np.ones(wrong))


def test_what_is_no_value_or_no_spikes_is_refused():
    values, spikes = Population(PoissonInput(), 2), Population(SpikeInput(), 2)
    with pytest.raises(DataError, match=r"NaN or infinity, first at index \(0, 1\)"):
        values([[1.0, np.nan]])
    with pytest.raises(ParameterError, match="takes values, got PreprocessedSpikes; use SpikeInput"):
        values(given([1.0], [2.0]))
    with pytest.raises(ParameterError, match="takes Spikes or PreprocessedSpikes, got ndarray"):
        spikes(np.ones((1, 2)))
    with pytest.raises(ShapeError):
        spikes(given([1.0]))
    with pytest.raises(StateError, match="no input yet"):
        values.encode(5, 1.0, np.random.default_rng(0))
    values(torch.ones(2))
    assert values.batch_size == 1


@pytest.mark.parametrize(("make", "text"), [
    (lambda: PoissonInput(1), "signed_spikes must be True or False"),
    (lambda: PoissonInput(input_frames=0), "input_frames must be a whole number of at least 1"),
    (lambda: PoissonInput(input_frames=2.0), "input_frames must be a whole number"),
    (lambda: IntegrateFireInput(v_thresh="a"), "v_thresh must be a finite number"),
    (lambda: LeakyIntegrateFireInput(tau_mem=0), "tau_mem must be a positive time"),
    (lambda: LeakyIntegrateFireInput(tau_refrac=-1.0), "tau_refrac one from 0 on"),
    (lambda: LeakyIntegrateFireInput(v=None), "v must be a finite number"),
    (lambda: SpikeInput(collisions="sum"), "collisions must be one of queue, count, merge, error"),
    (lambda: SpikeInput(late="keep"), "late must be one of error, drop"),
    (lambda: SpikeInput(0), "max_spikes must be a whole number"),
    (lambda: Population(PoissonInput(), 2, signed_spikes=True), "has its parameters itself"),
    (lambda: Population(PoissonInput, 2), r"takes an input model such as PoissonInput\(\)"),
    (lambda: Population("poisson_input", 2, input_frame=3), "did you mean 'input_frames'"),
    (lambda: InputPopulation("lif", 2), "input model"),
])  # fmt: skip
def test_wrong_parameters_say_what_is_right(make, text):
    with pytest.raises((ParameterError, LookupError), match=text):
        make()


def test_other_neurons_make_neuron_groups():
    group = Population("lif", (2, 3), tau_m=12.0, name="hidden")
    assert isinstance(group, sl.NeuronGroup)
    assert (group.shape, group.get_value("tau_m")) == ((2, 3), 12.0)
    by_name = Population("PoissonInput", 4, signed_spikes=True)
    assert (by_name.neuron, by_name.coding_method) == (PoissonInput(True), "poisson_input")


@pytest.mark.parametrize("name", list(INPUTS))
def test_a_saved_population_is_the_same_again(name, tmp_path):
    net = sl.Network()
    with net:
        feed = Population(INPUTS[name](), (2, 3))
        layer = sl.NeuronGroup(2, model="lif")
        link = sl.Connection(feed, layer, link_type="full")
    again = network_from(describe(net))
    assert isinstance(again.feed, InputPopulation)
    assert (again.feed.neuron, again.feed.shape) == (feed.neuron, (2, 3))
    assert (link.pre, describe(again)) == (feed, describe(net))
    loaded = sl.network_load(net.save("saved", path=str(tmp_path)))
    assert loaded.feed.neuron == feed.neuron


def test_a_description_of_an_input_is_checked():
    net = sl.Network()
    with net:
        feed = Population(PoissonInput(), 3)
        layer = sl.NeuronGroup(2, model="lif")
    description = describe(net)
    description["components"]["feed"]["parameters"]["input_frames"] = -1
    with pytest.raises((DataError, ParameterError), match="input_frames"):
        network_from(description)
    assert (feed.num, layer.num) == (3, 2)


def test_a_value_of_low_precision_is_summed_up_in_single_precision():
    want = steps_of(encoded(IntegrateFireInput(), np.full(2, np.float32(0.0625)), 100))
    for values in (np.full(2, 0.0625, np.float16), torch.full((2,), 0.0625, dtype=torch.bfloat16)):
        assert steps_of(encoded(IntegrateFireInput(), values, 100)) == want == [list(range(15, 100, 16))] * 2
    half = np.full(2, 0.01, np.float16)
    assert steps_of(encoded(IntegrateFireInput(), half, 2000)) == steps_of(
        encoded(IntegrateFireInput(), half.astype(np.float32), 2000)
    )


def test_a_tuple_of_examples_is_a_batch_too_and_none_is_no_batch():
    spikes = encoded(SpikeInput(), (given([1.0], [2.0]), given([], [0.0])))
    assert [steps_of(spikes, k) for k in range(2)] == [[[1], [2]], [[], [0]]]
    with pytest.raises(ShapeError, match="takes at least one sample, got none"):
        encoded(SpikeInput(), [])


@pytest.mark.parametrize("model", [PoissonInput(True, 3, 4), BinarySpikeInput(True, 3, 4)])
def test_no_more_is_drawn_than_the_steps_of_a_run_that_goes_on(model, monkeypatch):
    drawn = []

    def counted(p, n_steps, generator):
        drawn.append(n_steps)
        return draw_keys(p, n_steps, generator)

    monkeypatch.setattr("spikeloom.network.input_signals.draw_keys", counted)
    frames = np.array([[[50.0, -50.0], [0.0, 50.0], [-50.0, 0.0]]])
    spikes = encoded(model, frames, 1000, first=6)
    assert drawn == [2, 998]
    assert spikes.n_steps == 1000
    assert steps_of(spikes) == [list(range(2, 1000)), [0, 1]]
    assert spikes.values().tolist() == [1, 1] + [-1] * 998


def test_given_spikes_that_a_run_leaves_come_in_the_run_that_goes_on():
    data = given([1.0, 7.0, 7.0], [9.0])
    with pytest.raises(DataError, match="late='drop', which leaves it to run_continue"):
        encoded(SpikeInput(), data, 5)
    model = SpikeInput(late="drop")
    assert steps_of(encoded(model, data, 5)) == [[1], []]
    assert steps_of(encoded(model, data, 5, first=5)) == [[2, 3], [4]]
