"""Seeds, weights over edits, backends, and runs that are refused with the way out."""

import numpy as np
import pytest
import torch

import spikeloom as sl
from spikeloom.errors import DataError, DeviceError, ParameterError, ShapeError, StateError
from spikeloom.network import Constant


def random_net(seed=7, extra=False):
    net = sl.Network()
    net.input = sl.Encoder(8)
    net.hidden = sl.NeuronGroup(6, "lif")
    if extra:
        net.other = sl.Connection(net.input, net.hidden, link_type="full", w_mean=0.0, w_std=0.0)
    net.c1 = sl.Connection(net.input, net.hidden, link_type="full", w_std=0.5)
    net.out = sl.NeuronGroup(4, "clif")
    net.c2 = sl.Connection(net.hidden, net.out, link_type="full", w_mean=0.1)
    net.mon = sl.StateMonitor(net.out, "V")
    net.decoder = sl.Decoder(dec_target=net.out)
    if seed is not None:
        net.set_random_seed(seed)
    return net


DATA = np.random.default_rng(0).random((3, 8))


def test_equal_seeds_give_equal_weights_and_results():
    results = []
    for seed in (7, 7, 8):
        net = random_net(seed)
        net.input(DATA)
        net.run(5.0)
        results.append((net.c1.weight.value.detach(), net.mon.values))
    assert torch.equal(results[0][0], results[1][0])
    np.testing.assert_array_equal(results[0][1], results[1][1])
    assert not torch.equal(results[0][0], results[2][0])
    assert not np.array_equal(results[0][1], results[2][1])


def test_a_seed_that_was_not_set_is_drawn_once_and_can_be_used_again():
    first = random_net(None)
    seed = first.seed
    assert seed == first.seed
    second = random_net(seed)
    for net in (first, second):
        net.input(DATA)
        net.run(2.0)
    np.testing.assert_array_equal(first.mon.values, second.mon.values)
    assert random_net(None).seed != seed


@pytest.mark.parametrize("seed", [-1, 1.5, "7", None, True])
def test_a_seed_that_is_no_whole_number_is_refused(seed):
    with pytest.raises(ParameterError, match="seed must be a whole number from 0 on"):
        sl.Network().set_random_seed(seed)


def test_weights_do_not_depend_on_what_else_is_in_the_network():
    alone, beside = random_net(), random_net(extra=True)
    for net in (alone, beside):
        net.build()
    for name in ("c1", "c2"):
        assert torch.equal(getattr(alone, name).weight.value, getattr(beside, name).weight.value)


def test_editing_after_a_run_keeps_what_was_learned_and_draws_what_is_new():
    net = random_net()
    net.input(DATA)
    net.run(2.0)
    with torch.no_grad():
        net.c1.weight.value.add_(1.0)
    kept, parameter = net.c1.weight.value.detach().clone(), net.c1.weight.value
    net.more = sl.NeuronGroup(2, "lif")
    net.c3 = sl.Connection(net.hidden, net.more, link_type="full")
    net.run(2.0)
    assert net.c1.weight.value is parameter
    assert torch.equal(net.c1.weight.value, kept)
    assert net.c3.weight.value.shape == (2, 6)
    del net.c3, net.more
    net.run(2.0)
    assert torch.equal(net.c1.weight.value, kept)
    assert "c3.weight" not in net.store
    net.set_backend_dt(0.5)
    net.set_backend(sl.TorchBackend(dtype=torch.float64, dt=0.5))
    net.run(2.0)
    assert torch.equal(net.c1.weight.value, kept.double())
    assert net.mon.values.shape == (3, 4, 4)


@pytest.mark.parametrize("deleted", [False, True], ids=["over it", "after del"])
def test_a_component_put_in_the_place_of_another_starts_from_its_own_arguments(deleted):
    net = random_net()
    net.build()
    first = net.c1.weight.value.detach().clone()
    with torch.no_grad():
        net.c1.weight.value.add_(1.0)
        net.c2.weight.value.fill_(0.5)
        net.store["out.v_0"].fill_(3.0)
    if deleted:
        del net.c2
    net.c2 = sl.Connection(net.hidden, net.out, link_type="full", w_mean=7.0, w_std=0.0)
    net.build()
    assert torch.equal(net.c2.weight.value, torch.full((4, 6), 7.0))
    net.c2 = sl.Connection(net.hidden, net.out, link_type="full", weight=np.full((4, 6), 0.25))
    assert net.c2.weight.value.tolist() == [[0.25] * 6] * 4
    net.build()
    assert torch.equal(net.c2.weight.value, torch.full((4, 6), 0.25))
    assert torch.equal(net.c1.weight.value, first + 1), "the weights of all others stay"
    with torch.no_grad():
        net.c2.weight.value.fill_(0.75)
    net.other = sl.NeuronGroup(2, "lif")
    net.build()
    assert torch.equal(net.c2.weight.value, torch.full((4, 6), 0.75)), "the given weight is a start, not a fixed value"
    assert net.out.get_value("v_0") == 3.0


def test_a_weight_that_no_longer_fits_is_drawn_anew():
    net = random_net()
    net.build()
    net.hidden = sl.NeuronGroup(5, "lif")
    net.c1 = sl.Connection(net.input, net.hidden, link_type="full")
    net.c2 = sl.Connection(net.hidden, net.out, link_type="full")
    net.build()
    assert net.c1.weight.value.shape == (5, 8)


def test_a_weight_is_read_and_set_before_and_after_the_build():
    net = random_net()
    start = np.array(net.c1.weight.value)
    net.c2.weight.value = np.full((4, 6), 0.5)
    net.input(DATA)
    net.run(1.0)
    np.testing.assert_array_equal(net.c1.weight.value.detach(), start.astype(np.float32))
    assert torch.equal(net.c2.weight.value.detach(), torch.full((4, 6), 0.5))
    parameter = net.c1.weight.value
    net.c1.weight.value = torch.ones(6, 8)
    assert net.c1.weight.value is parameter
    assert torch.equal(parameter.detach(), torch.ones(6, 8))
    with pytest.raises(ShapeError, match=r"c1\.weight must have shape \(6, 8\), got \(8, 6\)"):
        net.c1.weight.value = np.ones((8, 6))
    assert repr(net.c1.weight) == "<parameter c1.weight>"


def test_trained_parameters_of_a_model_are_among_the_parameters():
    net = random_net()
    assert net.out.get_value("v_0") == pytest.approx(6.75)
    assert {name for name, _ in net.named_parameters()} == {"c1.weight", "c2.weight", "out.v_0"}
    assert set(net.state_dict()) == set(net.store) == {"c1.weight", "c2.weight", "out.v_0"}
    assert len(list(net.parameters())) == 3
    with torch.no_grad():
        net.store["out.v_0"].fill_(2.0)
    assert net.out.get_value("V_0") == 2.0
    other = random_net(9)
    other.load_state_dict(net.state_dict())
    assert other.out.get_value("v_0") == 2.0
    assert torch.equal(other.c1.weight.value, net.c1.weight.value)


def test_train_and_eval_switch_the_module():
    net = random_net()
    assert net.eval() is net
    assert not net.module.training
    assert net.train().module.training


@pytest.mark.parametrize("name", ["PyTorch", "torch", "Torch_Backend"])
def test_a_backend_is_set_by_any_of_its_names(name):
    net = random_net()
    net.set_backend(name)
    assert type(net.backend) is sl.TorchBackend
    net.set_backend_dt(0.5)
    net.set_backend(name, "cpu")
    assert net.backend.dt == 0.5, "a backend by name keeps the time step"


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a CUDA device")
def test_a_device_that_is_not_there_is_told_with_the_way_out():
    net = random_net()
    net.set_backend("PyTorch", "cuda")
    net.input(DATA)
    with pytest.raises(DeviceError, match="no CUDA device here; use device='cpu'"):
        net.run(1.0)
    net.set_backend("PyTorch", "cpu")
    net.run(1.0)


@pytest.mark.parametrize("backend", [3, None, torch, sl.Network])
def test_what_is_no_backend_is_refused(backend):
    with pytest.raises(ParameterError, match="takes a backend or a name, one of: torch, got"):
        sl.Network().set_backend(backend)


@pytest.mark.parametrize("device", ["gpu", "", 3.5])
def test_what_is_no_device_is_refused(device):
    net = random_net()
    net.set_backend("torch", device)
    with pytest.raises(DeviceError, match="is not a device; use 'cpu' or 'cuda'"):
        net.build()


def test_a_network_without_populations_says_what_to_add():
    net = sl.Network()
    with pytest.raises(StateError, match=r"no neuron group; add one: net\.layer1 = NeuronGroup\(10, model='lif'\)"):
        net.run(1.0)


def test_an_encoder_without_input_stops_the_run():
    with pytest.raises(StateError, match=r"encoder 'input' has no input yet; call it with a batch: net\.input\(data\)"):
        random_net().run(1.0)


def test_encoders_with_batches_of_different_sizes_stop_the_run():
    net = random_net()
    net.second = sl.Encoder(8)
    net.c4 = sl.Connection(net.second, net.hidden, link_type="full")
    net.input(DATA)
    net.second(DATA[:2])
    with pytest.raises(ShapeError, match=r"batches of different sizes \(.*second 2.*give all the same"):
        net.run(1.0)


def test_what_was_watched_keeps_no_graph():
    net = random_net()
    net.input(DATA)
    net.run(1.0)
    assert not net.mon.tensor_values.requires_grad


HUGE = 1e39
TOO_LARGE = (
    r"c1\.weight'?\[2, 1\] is -1e\+39, the network's torch\.float32 ends at 3\.40\d+e\+38; .*dtype=torch\.float64"
)


def with_one_huge(array):
    array = np.asarray(array).astype(np.float64)
    array[2, 1] = -HUGE
    return array


@pytest.mark.parametrize("weight", [with_one_huge(np.ones((6, 8))), with_one_huge(np.ones((6, 8))).tolist()])
def test_a_given_weight_beyond_the_precision_of_the_network_stops_the_build(weight):
    net = sl.Network()
    net.input = sl.Encoder(8, coding_method="null")
    net.a = sl.NeuronGroup(6, model="lif")
    net.c1 = sl.Connection(net.input, net.a, link_type="full", weight=weight)
    with pytest.raises(ParameterError, match=TOO_LARGE):
        net.build()
    net.set_backend(sl.TorchBackend(dtype=torch.float64))
    net.build()
    assert net.c1.weight.value[2, 1] == -HUGE
    parameter = net.c1.weight.value
    net.set_backend(sl.TorchBackend(dtype=torch.float32))
    with pytest.raises(ParameterError, match=TOO_LARGE):
        net.build()
    assert net.c1.weight.value is parameter
    assert parameter[2, 1] == -HUGE


@pytest.mark.parametrize("built", [False, True])
@pytest.mark.parametrize("way", ["assigned", "set", "state", "file"])
def test_a_weight_that_comes_later_is_held_to_the_precision_too(built, way, tmp_path):
    net = random_net()
    if built:
        net.build()
    before = net.store.arrays() if built else {}
    wrong = with_one_huge(net.c1.weight.value.detach() if built else net.c1.weight.value)
    wide = random_net(9)
    wide.set_backend(sl.TorchBackend(dtype=torch.float64))
    wide.build()
    wide.c1.weight.value = wrong

    def put():
        if way == "assigned":
            net.c1.weight.value = wrong
        elif way == "set":
            net.c1.set_value("weight", wrong)
        elif way == "state":
            net.state_from_dict(dict(reversed(wide.state_dict().items())))
        else:
            wide.save_state("wide", tmp_path)
            net.state_from_dict(filename="wide", direct=tmp_path)
        net.build()

    with pytest.raises((ParameterError, DataError), match=TOO_LARGE):
        put()
    if built:
        assert all(np.array_equal(before[name], value) for name, value in net.store.arrays().items())


def test_an_initializer_beyond_the_precision_stops_the_build():
    net = sl.Network()
    net.input = sl.Encoder(8, coding_method="null")
    net.a = sl.NeuronGroup(6, model="lif")
    net.c = sl.Connection(net.input, net.a, link_type="full", weight=Constant(HUGE), bias=np.array([HUGE] + [0.0] * 5))
    with pytest.raises(ParameterError, match=r"c\.weight\[0, 0\] is 1e\+39"):
        net.build()
    net.c.weight.value = np.ones((6, 8))
    with pytest.raises(ParameterError, match=r"c\.bias\[0\] is 1e\+39"):
        net.build()


def test_the_largest_number_of_the_precision_is_a_weight():
    net = random_net()
    net.build()
    largest = float(torch.finfo(torch.float32).max)
    net.c1.weight.value = np.full((6, 8), largest)
    assert torch.all(net.c1.weight.value == largest)


def spontaneous(path="auto", schedule="auto"):
    """Two groups behind each other that fire without input: from 0 to 2 with tau 8, the threshold 1.5 is reached after
    8 ln 4 ms, in the 12th step."""
    net = sl.Network()
    net.input = sl.Encoder(4, coding_method="null")
    for name in ("a", "b"):
        net.add(name, sl.NeuronGroup(3, "lif", tau_m=8.0, v_rest=2.0, v_th=1.5, v_reset=0.0))
    net.c = sl.Connection(net.input, net.a, link_type="full", weight=np.ones((3, 4)))
    net.d = sl.Connection(net.a, net.b, link_type="full", weight=np.ones((3, 3)))
    net.spikes = sl.StateMonitor(net.b, "O")
    net.o = sl.Decoder(dec_target=net.b, coding_method="spike_counts")
    net.set_backend(sl.TorchBackend(dt=1.0, path=path, schedule=schedule, dtype=torch.float64))
    net.input(np.ones((1, 26, 4)))
    return net


def firing(net):
    net.run(26.0)
    assert net.o.predict.tolist() == [[3.0] * 3]
    return np.nonzero(net.spikes.values[0, 0])[0].tolist()


@pytest.mark.parametrize("path", ["auto", "torch"])
@pytest.mark.parametrize("schedule", ["auto", "step"])
@pytest.mark.parametrize("deleted", ["d", "cd", "dc"])
@pytest.mark.parametrize("ran", [False, True])
def test_groups_whose_connections_are_deleted_run_without_input(path, schedule, deleted, ran, tmp_path):
    net = spontaneous(path, schedule)
    if ran:
        net.run(26.0)
    for name in deleted:
        net.del_connection(getattr(net, name))
    net.build()
    assert firing(net) == [0, 12, 24]
    net.input(np.ones((1, 26, 4)))
    net.run_continue(26.0)
    assert np.nonzero(net.spikes.values[0, 0])[0].tolist() == [0, 12, 24, 36, 48]
    assert f"{2 - len(deleted)} connection" in repr(net)
    assert set(net.state_dict()) == {"c.weight", "d.weight"} - {f"{name}.weight" for name in deleted}
    net.save("net", tmp_path)
    again = sl.network_load("net", tmp_path)
    again.set_backend(sl.TorchBackend(dt=1.0, path=path, schedule=schedule, dtype=torch.float64))
    again.input(np.ones((1, 26, 4)))
    assert firing(again) == [0, 12, 24]
