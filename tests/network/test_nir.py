"""NIR: what others wrote computes the same here, what we write the same when it is read, and nothing is run."""

from itertools import pairwise
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

import spikeloom as sl
from spikeloom.errors import DataError, ParameterError, StorageError, UnsupportedError
from spikeloom.network import nir_file
from spikeloom.neurons import CubaLIF, Graded, NoReset, Subtract

HERE = Path(__file__).parent / "nir_fixtures"
T, B = 30, 3


def answer(net: sl.Network, inputs: np.ndarray) -> np.ndarray:
    """What a network gives to inputs (T, B, ...): (T, B, N) of its decoder's target."""
    (decoder,), (encoder,) = net.decoders, net.encoders
    seen = sl.StateMonitor(decoder.target, "spikes")
    net.watch = seen
    encoder(np.swapaxes(inputs, 0, 1))
    net.run(len(inputs) * net.backend.dt)
    del net.watch
    return np.moveaxis(np.asarray(seen.values), -1, 0)


def spikes(*shape: int, p: float = 0.4) -> np.ndarray:
    return (np.random.default_rng(0).random((T, B, *shape)) < p).astype(np.float32)


@pytest.mark.parametrize("name", ["dense", "synaptic", "recurrent", "convolutional"])
def test_a_network_that_snntorch_exported_fires_the_same_spikes_here(name):
    recorded = np.load(HERE / f"{name}.npz")
    net = sl.Network.from_nir(HERE / f"{name}.nir", dt=0.1, integration="euler")
    found = answer(net, recorded["inputs"])
    assert 0.1 < recorded["outputs"].mean() < 0.5
    assert np.array_equal(found, recorded["outputs"])


def chain(net: sl.Network) -> None:
    net.input = sl.Encoder(6, coding_method="null")
    net.a = sl.NeuronGroup(5, model="lif", tau_m=np.linspace(3, 9, 5), v_rest=0.1, v_reset=-0.2)
    net.c = sl.Connection(net.input, net.a, link_type="full", w_std=0.8, bias=np.linspace(-0.1, 0.2, 5))
    net.b = sl.NeuronGroup(5, model="lif", scale_input=True, v_th=0.4)
    net.d = sl.Connection(net.a, net.b, link_type="one_to_one", w_mean=2.0, w_std=0.3)
    net.output = sl.Decoder(dec_target=net.b)


def mixed(net: sl.Network) -> None:
    net.input = sl.Encoder(6, coding_method="null")
    net.a = sl.NeuronGroup(5, model="if", v_th=1.5)
    net.c = sl.Connection(net.input, net.a, link_type="sparse", density=0.6, w_mean=0.6, delay=2.0)
    net.b = sl.NeuronGroup(4, model="lif", tau_m=4.0, v_th=0.8)
    net.fast = sl.Connection(net.a, net.b, link_type="full", w_std=0.5)
    net.slow = sl.Connection(net.a, net.b, link_type="full", w_mean=0.3, filter=sl.LowPass(tau=3.0))
    net.back = sl.Connection(net.b, net.a, link_type="full", w_mean=-0.2)
    net.out = sl.NeuronGroup(3, model="li", tau_m=7.0)
    net.read = sl.Connection(net.b, net.out, link_type="full", w_std=1.0)
    net.output = sl.Decoder(dec_target=net.out, coding_method="v_t")


def image(net: sl.Network) -> None:
    net.input = sl.Encoder(shape=(2, 8, 8), coding_method="null")
    net.a = sl.NeuronGroup(model="lif", shape=(3, 8, 8), v_th=0.7)
    net.c = sl.Connection(net.input, net.a, link_type="conv", padding=1, w_std=0.4, bias=True)
    net.b = sl.NeuronGroup(model="if", shape=(3, 4, 4), v_th=2.0)
    net.d = sl.Connection(net.a, net.b, link_type="pool", pool="avg", scale=4.0)
    net.e = sl.NeuronGroup(model="lif", shape=(4, 1, 1))
    net.f = sl.Connection(net.b, net.e, link_type="conv", pool="avg", w_std=0.5)
    net.g = sl.NeuronGroup(model="lif", shape=(2, 2))
    net.h = sl.Connection(net.e, net.g, link_type="full", w_mean=0.5)
    net.output = sl.Decoder(dec_target=net.g)


def nested(net: sl.Network) -> None:
    net.input = sl.Encoder(6, coding_method="null")
    net.block = sl.Assembly()
    net.block.a = sl.NeuronGroup(4, model="lif", v_th=0.6)
    net.block.b = sl.NeuronGroup(4, model="if", v_th=0.9)
    net.block.c = sl.Connection(net.block.a, net.block.b, link_type="null")
    net.join = sl.Connection(net.input, net.block.a, link_type="full", w_mean=0.4)
    net.output = sl.Decoder(dec_target=net.block.b)


def synapses(net: sl.Network) -> None:
    net.input = sl.Encoder(6, coding_method="null")
    net.a = sl.NeuronGroup(4, model="lif", v_th=0.9)
    same = {"link_type": "full", "filter": sl.LowPass(tau=2.0), "w_std": 0.3}
    net.c, net.d = sl.Connection(net.input, net.a, **same), sl.Connection(net.input, net.a, **same)
    net.output = sl.Decoder(dec_target=net.a)


def made(build, dt: float = 1.0) -> sl.Network:
    net = sl.Network()
    build(net)
    net.set_backend_dt(dt)
    net.set_random_seed(3)
    return net


@pytest.mark.parametrize("integration", ["exact", "euler"])
@pytest.mark.parametrize("build", [chain, mixed, image, nested, synapses])
def test_a_network_that_is_written_and_read_gives_the_same_answers(build, integration, tmp_path):
    net = made(build)
    file = net.to_nir(tmp_path / "net.nir", integration=integration)
    back = sl.Network.from_nir(file)
    inputs = spikes(*net.input.shape)
    expected, found = answer(net, inputs), answer(back, inputs)
    assert back.backend.dt == 1.0
    assert np.abs(expected).sum() > 5
    assert np.allclose(found.reshape(expected.shape), expected, atol=1e-4)


def test_a_synaptic_current_solved_as_one_comes_back_as_it_was(tmp_path):
    net = sl.Network()
    net.input = sl.Encoder(6, coding_method="null")
    net.a = sl.NeuronGroup(4, model=CubaLIF(tau_m=7.0, tau_syn=3.0, r=2.0, w_in=5.0, v_th=0.9))
    net.c = sl.Connection(net.input, net.a, link_type="full", w_mean=0.8)
    net.output = sl.Decoder(dec_target=net.a)
    back = sl.Network.from_nir(net.to_nir(tmp_path / "net.nir"))
    assert back.a.neuron == net.a.neuron
    assert np.array_equal(answer(back, spikes(6)), answer(net, spikes(6)))
    with pytest.raises(UnsupportedError, match=r"'a' is a cubalif.*integration='exact'"):
        net.to_nir(tmp_path / "net.nir", integration="euler")


def written(**nodes) -> dict:
    """A graph in a row from an input of two neurons over the given nodes to an output."""
    whole = {"input": {"type": "Input", "shape": np.array([2])}} | nodes
    whole["output"] = {"type": "Output", "shape": np.array([2])}
    names = [*whole]
    edges = np.array([*pairwise(names)], dtype=object)
    return {"type": "NIRGraph", "nodes": whole, "edges": edges}


def read(tmp_path, graph, **options) -> sl.Network:
    nir_file.write_file(tmp_path / "x.nir", graph)
    return sl.Network.from_nir(tmp_path / "x.nir", **options)


def two(**values) -> dict:
    return {name: np.full(2, value) for name, value in values.items()}


def test_the_equations_of_nir_are_solved_exactly_for_a_constant_input(tmp_path):
    tau, r, rest, dt, steps = 0.02, 3.0, 0.5, 0.4, 25
    net = read(tmp_path, written(n={"type": "LI"} | two(tau=tau, r=r, v_leak=rest)), dt=dt)
    current = 0.7 * np.ones((steps, 1, 2), np.float32)
    t = dt / 1000 * np.arange(1, steps + 1)
    expected = rest + r * 0.7 * (1 - np.exp(-t / tau))
    assert np.allclose(answer(net, current)[:, 0], expected[:, None], atol=1e-5)


def test_euler_s_method_is_what_its_formula_says(tmp_path):
    tau, r, dt = 0.02, 3.0, 1.0
    net = read(tmp_path, written(n={"type": "LI"} | two(tau=tau, r=r, v_leak=0.5)), dt=dt, integration="euler")
    v, expected = 0.5, []
    for _ in range(20):
        v += dt / 1000 / tau * ((0.5 - v) + r * 0.7)
        expected.append(v)
    assert np.allclose(answer(net, 0.7 * np.ones((20, 1, 2), np.float32))[:, 0, 0], expected, atol=1e-5)


def test_an_integrator_adds_r_times_dt_in_seconds(tmp_path):
    net = read(tmp_path, written(n={"type": "I", "r": np.array([100.0, 500.0])}), dt=2.0)
    assert np.allclose(answer(net, np.ones((5, 1, 2), np.float32))[-1, 0], [1.0, 5.0], atol=1e-5)


def test_a_sum_pool_sums_and_stages_in_a_row_take_no_time(tmp_path):
    window = two(kernel_size=2, stride=2, padding=0)
    nodes = {"pool": {"type": "SumPool2d"} | {k: v.astype(int) for k, v in window.items()}}
    nodes["flat"] = {"type": "Flatten", "start_dim": 0, "end_dim": -1}
    nodes["scale"] = {"type": "Scale", "scale": np.array([2.0, 3.0])}
    nodes["dense"] = {"type": "Affine", "weight": np.array([[1.0, 1.0], [0.0, 2.0]]), "bias": np.array([0.5, 0.0])}
    graph = written(**nodes)
    graph["nodes"]["input"]["shape"] = np.array([1, 2, 4])
    net = read(tmp_path, graph)
    inputs = np.arange(8, dtype=np.float32).reshape(1, 1, 1, 2, 4)
    assert np.array_equal(answer(net, inputs)[0, 0], [2 * 10 + 3 * 18 + 0.5, 2 * 3 * 18])


def test_a_delay_is_kept_in_milliseconds(tmp_path):
    nodes = {"wait": {"type": "Delay", "delay": np.full(2, 0.003)}}
    nodes["w"] = {"type": "Linear", "weight": np.eye(2)}
    nodes["n"] = {"type": "I", "r": np.full(2, 1000.0)}
    net = read(tmp_path, written(**nodes), dt=1.0)
    pulse = np.zeros((6, 1, 2), np.float32)
    pulse[0] = 1
    assert np.array_equal(answer(net, pulse)[:, 0, 0], [0, 0, 0, 1, 1, 1])


def test_one_parameter_stands_for_all_neurons_and_takes_their_number_from_the_weights(tmp_path):
    nodes = {"w": {"type": "Linear", "weight": np.ones((3, 2))}}
    nodes["n"] = {"type": "LIF", "tau": 0.01, "r": 1.0, "v_leak": 0.0, "v_threshold": 1.0}
    net = read(tmp_path, written(**nodes))
    assert (net.n.num, net.n.neuron.tau_m, net.n.neuron.v_reset) == (3, 10.0, 0.0)
    assert net.n.neuron.scale_input


def wired(nodes: dict, pairs: list[tuple[str, str]]) -> dict:
    """A graph of the given nodes between an input and an output of two neurons, with the given edges."""
    ends = {"input": {"type": "Input", "shape": np.array([2])}, "output": {"type": "Output", "shape": np.array([2])}}
    return {"type": "NIRGraph", "nodes": ends | nodes, "edges": np.array(pairs, dtype=object)}


def counter(r: float) -> dict:
    """Neurons that fire in each step of 1 ms with an input of 1 / r or more."""
    return {"type": "IF"} | two(r=1000.0 * r, v_threshold=1.0, v_reset=0.0)


def test_several_nodes_into_one_output_are_added_and_their_spikes_counted(tmp_path):
    pairs = [("input", "a"), ("input", "b"), ("a", "output"), ("b", "output")]
    net = read(tmp_path, wired({"a": counter(1.0), "b": counter(0.5)}, pairs), dt=1.0)
    steps = np.ones((6, 1, 2), np.float32)
    assert answer(net, steps)[:, 0, 0].tolist() == [1, 2, 1, 2, 1, 2]  # a fires in each step, b in each second one
    assert net.output.predict.tolist() == [[9.0, 9.0]]
    again = sl.Network.from_nir(net.to_nir(tmp_path / "again.nir"))
    assert np.array_equal(answer(again, steps), answer(net, steps))


def test_spikes_and_a_current_into_one_output_are_added_step_by_step(tmp_path):
    nodes = {"a": counter(1.0), "w": {"type": "Linear", "weight": np.array([[0.5, 0.0], [0.0, 0.25]])}}
    pairs = [("input", "a"), ("input", "w"), ("a", "output"), ("w", "output")]
    net = read(tmp_path, wired(nodes, pairs), dt=1.0)
    answer(net, np.ones((3, 1, 2), np.float32))
    assert net.output.predict[:, 0].tolist() == [[1.5, 1.25]] * 3


def test_a_delay_before_an_output_is_waited_for(tmp_path):
    nodes = {"a": counter(1.0), "wait": {"type": "Delay", "delay": np.full(2, 0.002)}}
    net = read(tmp_path, wired(nodes, [("input", "a"), ("a", "wait"), ("wait", "output")]), dt=1.0)
    pulse = np.zeros((5, 1, 2), np.float32)
    pulse[1] = 1
    assert answer(net, pulse)[:, 0, 0].tolist() == [0, 0, 0, 1, 0]
    assert net.output.predict.tolist() == [[1.0, 1.0]]


def test_an_input_into_an_output_comes_out_as_it_is(tmp_path):
    given = spikes(2)
    net = read(tmp_path, wired({}, [("input", "output")]), dt=1.0)
    assert np.array_equal(answer(net, given), given)
    assert np.array_equal(net.output.predict, given)


def test_nodes_of_several_sizes_into_one_output_are_an_error_that_says_they_are_added(tmp_path):
    nodes = {"a": counter(1.0), "w": {"type": "Linear", "weight": np.ones((3, 2))}}
    pairs = [("input", "a"), ("input", "w"), ("a", "output"), ("w", "output")]
    with pytest.raises(DataError, match=r"node 'output': it adds what flows in, .* got \[\(2,\), \(3,\)\]"):
        read(tmp_path, wired(nodes, pairs))


def test_graphs_within_graphs_become_assemblies(tmp_path):
    inner = written(n={"type": "IF"} | two(r=1e4, v_threshold=1.0))
    net = read(tmp_path, written(block=inner | {"edges": inner["edges"]}))
    assert [group.path for group in net.groups] == ["block.n"]


def test_two_saves_of_one_network_are_equal_bytes(tmp_path):
    for name in ("a", "b"):
        made(mixed).to_nir(tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    made(mixed).to_nir(tmp_path / "a", integration="euler")
    assert (tmp_path / "a").read_bytes() != (tmp_path / "b").read_bytes()


def test_a_network_that_was_read_learns():
    net = sl.Network.from_nir(HERE / "dense.nir", integration="euler")
    net.learner = sl.Learner(trainable=net, algorithm="sbp")
    net.learner.set_optimizer("SGD", 0.1)
    net.input(np.swapaxes(spikes(6), 0, 1))
    net.run(T * 0.1)
    before = {name: value.copy() for name, value in net.store.arrays().items()}
    net.output.predict.square().sum().backward()
    net.learner.optim_step()
    assert any(not np.array_equal(before[name], value) for name, value in net.store.arrays().items())


def group_of(**options) -> sl.Network:
    net = sl.Network()
    net.input = sl.Encoder(4)
    net.a = sl.NeuronGroup(4, **options)
    net.c = sl.Connection(net.input, net.a, link_type="full")
    return net


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"model": "clif"}, "'a' is a CLIF, for which NIR has no node"),
        ({"model": "lif", "emission": sl.Emission(reset=Subtract())}, "'a' emits by Step and resets by Subtract"),
        ({"model": "lif", "emission": sl.Emission(forward=Graded(), reset=NoReset())}, None),
        ({"model": "if", "constant_decay": 0.1}, "'a' has a constant_decay"),
    ],
)
def test_what_nir_does_not_have_is_an_error_that_names_it(options, message, tmp_path):
    net = group_of(**options)
    if message is None:
        assert net.to_nir(tmp_path / "x.nir")
    else:
        with pytest.raises(UnsupportedError, match=message):
            net.to_nir(tmp_path / "x.nir")
        assert not (tmp_path / "x.nir").exists()


def test_maximum_pooling_other_filters_and_late_biases_are_errors_that_name_the_connection(tmp_path):
    net = sl.Network()
    net.input, net.a = sl.Encoder(shape=(1, 4, 4)), sl.NeuronGroup(shape=(1, 2, 2), model="lif")
    net.pool = sl.Connection(net.input, net.a, link_type="pool")
    with pytest.raises(UnsupportedError, match="'pool' pools by 'max'"):
        net.to_nir(tmp_path / "x.nir")
    net = group_of(model="lif")
    net.c = sl.Connection(net.input, net.a, link_type="full", filter=sl.SecondOrderSections(sos=[[1, 0, 0, 1, 0, 0]]))
    with pytest.raises(UnsupportedError, match="'c' has a SecondOrderSections"):
        net.to_nir(tmp_path / "x.nir")
    net.c = sl.Connection(net.input, net.a, link_type="full", bias=np.ones(4), delay=1.0)
    with pytest.raises(UnsupportedError, match="'c' has a bias"):
        net.to_nir(tmp_path / "x.nir")


LIF = {"type": "LIF"} | two(tau=0.01, r=1.0, v_leak=0.0, v_threshold=1.0)


@pytest.mark.parametrize(
    ("node", "message"),
    [
        ({"type": "Lif"}, "node 'n': unknown type 'Lif'; did you mean 'LIF'"),
        ({"type": "Conv1d"}, "node 'n': unknown type 'Conv1d'"),
        ({k: v for k, v in LIF.items() if k != "tau"}, "node 'n': it lacks tau"),
        (LIF | {"tau": np.array([0.01, np.nan])}, "node 'n': tau must hold finite"),
        (LIF | {"tau": np.array([0.01, -0.01])}, "node 'n': tau must be a finite, positive time"),
        (LIF | {"r": np.ones(3)}, "node 'n': its parameters must have one shape"),
        (LIF | {"r": "one"}, "node 'n': r must be"),
        ({"type": "Linear", "weight": np.ones((2, 3))}, r"node 'n': the weight must have shape \(post, 2\)"),
        ({"type": "Scale", "scale": np.ones(3)}, "node 'n': the scale must have shape"),
        ({"type": "Delay", "delay": np.array([0.001, 0.002])}, "node 'n': delays that differ"),
        ({"type": "SumPool2d"} | {k: np.array([2, 2]) for k in ("kernel_size", "stride", "padding")}, "node 'n'.*chan"),
        ({"type": "Input", "shape": np.array([2])}, "nothing flows into an input"),
    ],
)
def test_a_wrong_node_is_an_error_that_names_it(node, message, tmp_path):
    with pytest.raises(DataError, match=message):
        read(tmp_path, written(n=node, m=LIF))


def test_euler_needs_a_step_shorter_than_every_time_constant(tmp_path):
    with pytest.raises(DataError, match=r"node 'n': tau must be greater than dt \(10.0 ms\)"):
        read(tmp_path, written(n=LIF), dt=10.0, integration="euler")
    with pytest.raises(ParameterError, match="integration must be 'exact' or 'euler', got 'rk4'"):
        made(chain).to_nir("x.nir", integration="rk4")
    with pytest.raises(ParameterError, match="integration must be 'exact' or 'euler', got 'rk4'"):
        read(tmp_path, written(n=LIF), integration="rk4")


def test_edges_to_nothing_and_nodes_that_lead_nowhere_are_errors(tmp_path):
    graph = written(n=LIF)
    graph["edges"] = np.array([["input", "n"], ["n", "m"]], dtype=object)
    with pytest.raises(DataError, match=r"edge \('n', 'm'\): there is no node 'm'"):
        read(tmp_path, graph)
    graph["edges"] = np.array([["input", "n"]], dtype=object)
    with pytest.raises(DataError, match="node 'output': nothing flows into it"):
        read(tmp_path, graph)


def test_a_loop_through_two_stages_is_an_error_that_says_what_to_do(tmp_path):
    matrix = {"type": "Linear", "weight": np.eye(2)}
    graph = written(n=LIF) | {"edges": None}
    graph["nodes"] |= {"a": matrix, "b": matrix}
    pairs = [("input", "n"), ("n", "output"), ("n", "a"), ("a", "b"), ("b", "n")]
    graph["edges"] = np.array(pairs, dtype=object)
    with pytest.raises(DataError, match="node 'a' lies in a loop where two stages follow each other"):
        read(tmp_path, graph)


def hostile(path: Path, change) -> Path:
    nir_file.write_file(path, written(n=LIF))
    with h5py.File(path, "r+") as file:
        change(file)
    return path


def huge(file):
    file.create_dataset("node/nodes/n/big", shape=(10**9,), dtype="f8", chunks=(10**6,))


def hollow(file):
    file.create_dataset("node/nodes/n/big", shape=(5 * 10**7,), dtype="f8", chunks=(10**5,))


def outward(file):
    file["node/nodes/n/other"] = h5py.ExternalLink("/etc/passwd", "/")


def looped_group(file):
    file["node/nodes/n/again"] = file["node"]


def objects(file):
    file.create_dataset("node/nodes/n/ref", data=file["node"].ref, dtype=h5py.ref_dtype)


def elsewhere(file):
    file.create_dataset("node/nodes/n/raw", shape=(4,), dtype="f8", external=[("/etc/passwd", 0, 32)])


def long_text(file):
    file["node/nodes/n/note"] = "x" * 2000


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (huge, "at most 100000000 numbers"),
        (hollow, "stands for more numbers than the file holds"),
        (outward, "links to another place"),
        (looped_group, "deep|at most 100000 groups"),
        (objects, "real numbers or texts"),
        (elsewhere, "lie in the file"),
        (long_text, "texts of at most 1000 letters"),
    ],
)
def test_a_hostile_file_is_an_error_that_names_the_place(change, message, tmp_path):
    with pytest.raises(DataError, match=message):
        sl.Network.from_nir(hostile(tmp_path / "x.nir", change))


def test_files_that_are_missing_torn_or_something_else_are_errors(tmp_path):
    with pytest.raises(StorageError, match="no file"):
        sl.Network.from_nir(tmp_path / "none.nir")
    whole = (HERE / "dense.nir").read_bytes()
    for name, content in (("torn", whole[: len(whole) // 2]), ("text", b"hello"), ("empty", b"")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(DataError, match="cannot be read"):
            sl.Network.from_nir(tmp_path / name)
    with h5py.File(tmp_path / "other", "w") as file:
        file["data"] = 1
    with pytest.raises(DataError, match="is no NIR file"):
        sl.Network.from_nir(tmp_path / "other")
    with pytest.raises(ParameterError, match=r"takes a nir\.NIRGraph or the path"):
        sl.Network.from_nir(3)


def test_without_the_package_a_graph_in_memory_is_an_error_that_says_what_to_install(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "nir", None)
    with pytest.raises(UnsupportedError, match=r"pip install 'spikeloom\[nir\]'"):
        made(chain).to_nir()


def test_the_package_nir_reads_and_checks_what_we_write(tmp_path):
    nir = pytest.importorskip("nir", reason="the package nir is not installed")
    for build in (chain, mixed, image, nested):
        net = made(build)
        graph = nir.read(net.to_nir(tmp_path / "x.nir"))
        inputs = spikes(*net.input.shape)
        for source in (graph, net.to_nir()):
            found = answer(sl.Network.from_nir(source), inputs)
            assert torch.allclose(torch.tensor(found.reshape(T, -1)), torch.tensor(answer(net, inputs).reshape(T, -1)))


def test_snntorch_s_importer_fires_our_spikes(tmp_path):
    nir = pytest.importorskip("nir", reason="the package nir is not installed")
    importer = pytest.importorskip("snntorch.import_nir", reason="the package snntorch is not installed")
    net = sl.Network()
    net.input = sl.Encoder(6, coding_method="null")
    net.a, net.b = sl.NeuronGroup(5, model="lif", tau_m=1.0), sl.NeuronGroup(4, model="lif", tau_m=0.7, v_th=0.9)
    net.c = sl.Connection(net.input, net.a, link_type="full", w_std=0.6, bias=np.full(5, 0.05))
    net.d = sl.Connection(net.a, net.b, link_type="full", w_std=0.9, filter=sl.LowPass(tau=0.4))
    net.output = sl.Decoder(dec_target=net.b)
    net.set_random_seed(3)
    theirs = importer.import_from_nir(nir.read(net.to_nir(tmp_path / "x.nir", integration="euler")))
    inputs, state, found = spikes(6), None, []
    with torch.no_grad():
        for x in torch.from_numpy(inputs):
            result, state = theirs(x, state)
            found.append((result[0] if isinstance(result, tuple) else result).numpy())
    assert np.mean(found) > 0.05
    assert np.array_equal(np.stack(found), answer(net, inputs))
