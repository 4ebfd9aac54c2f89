"""Synapses that are drawn: by probability, by degree, by distance; and weights that follow distance."""

import copy
import math
import subprocess
import sys

import numpy as np
import pytest
import scipy.sparse
import scipy.spatial
import scipy.stats
import torch

import spikeloom as sl
from spikeloom.errors import DataError, ParameterError, ShapeError, SpikeloomError
from spikeloom.network import Normal, describe, network_from
from spikeloom.network.links import Distance, Ends, Local, Random, SpikeRows, Wanted, distance, sparse
from spikeloom.network.links.positions import Space

ENDS = Ends((40,), (30,))
SQUARE = Ends((25,), (25,))


def synapses(link, ends=ENDS, key=(7,)):
    link.check("c", ends)
    post, pre = link.synapses(ends, key)
    assert np.all(np.diff(post) >= 0)
    return post, pre


def counts(link, ends=ENDS, key=(7,)):
    """How many synapses each target gets, and each source sends."""
    post, pre = synapses(link, ends, key)
    return np.bincount(post, minlength=math.prod(ends.post)), np.bincount(pre, minlength=math.prod(ends.pre))


def pairs_of(link, ends, key):
    post, pre = synapses(link, ends, key)
    return post * math.prod(ends.pre) + pre


def test_a_fixed_in_degree_gives_each_target_so_many_different_sources():
    post, pre = synapses(Random(in_degree=12))
    assert counts(Random(in_degree=12))[0].tolist() == [12] * 30
    assert len(set(zip(post, pre, strict=True))) == len(post)


def test_a_fixed_out_degree_gives_each_source_so_many_different_targets():
    post, pre = synapses(Random(out_degree=5))
    assert counts(Random(out_degree=5))[1].tolist() == [5] * 40
    assert len(set(zip(post, pre, strict=True))) == len(post)


def test_with_multapses_sources_repeat_as_often_as_chance_says():
    link = Random(in_degree=200, multapses=True)
    received, sent = counts(link)
    assert received.tolist() == [200] * 30
    assert scipy.stats.chisquare(sent).pvalue > 1e-3


@pytest.mark.parametrize("rule", [{"in_degree": 12}, {"out_degree": 9}, {"probability": 0.3}])
def test_every_pair_is_joined_equally_often(rule):
    ends, n = Ends((10,), (12,)), 600
    seen = np.zeros(120)
    for key in range(n):
        seen[pairs_of(Random(**({"in_degree": 3} if "in_degree" in rule else rule)), ends, (key,))] += 1
    expected = {"in_degree": 3 / 10, "out_degree": 9 / 12, "probability": 0.3}[next(iter(rule))]
    error = math.sqrt(expected * (1 - expected) / n)
    assert np.abs(seen / n - expected).max() < 4.5 * error


@pytest.mark.parametrize("probability", [0.02, 0.5, 1.0])
def test_a_probability_joins_pairs_independently(probability):
    found = [len(synapses(Random(probability=probability), ENDS, (key,))[0]) for key in range(400)]
    mean, std = 1200 * probability, math.sqrt(1200 * probability * (1 - probability))
    assert np.mean(found) == pytest.approx(mean, abs=4 * std / 20 + 1e-12)
    assert np.std(found) == pytest.approx(std, rel=0.2, abs=1e-12)


@pytest.mark.parametrize("rule", [{"in_degree": 24}, {"out_degree": 24}, {"probability": 1.0}, {"probability": 0.4}])
def test_without_self_connections_no_neuron_is_its_own_source_and_all_others_may_be(rule):
    post, pre = synapses(Random(self_connections=False, **rule), SQUARE)
    assert not np.any(post == pre)
    if rule != {"probability": 0.4}:
        assert len(post) == 25 * 24
    with_self = synapses(Random(in_degree=25), SQUARE)
    assert np.sum(with_self[0] == with_self[1]) == 25


def test_the_same_key_draws_the_same_synapses_and_another_one_others():
    for link in (Random(probability=0.3), Random(in_degree=4), Distance(scale=2.0, extent=30)):
        assert np.array_equal(synapses(link), synapses(link))
        assert not np.array_equal(pairs_of(link, ENDS, (7,)), pairs_of(link, ENDS, (8,)))


def test_a_few_synapses_of_many_neurons_take_memory_of_their_number():
    link, ends = Random(probability=1e-8), Ends((10**6,), (10**6,))
    post, pre = synapses(link, ends)
    assert len(post) == pytest.approx(10_000, abs=500)
    assert pre.max() > 9e5
    assert post.max() > 9e5


@pytest.mark.parametrize("dense", [True, False])
def test_several_synapses_of_a_pair_add_up_as_in_scipy(dense, monkeypatch):
    if not dense:
        monkeypatch.setattr(sparse, "_DENSE", 0)
    link = Random(in_degree=50, multapses=True, weight=Normal())
    specs = {s.name: s.start(1) for s in link.specs("c", ENDS)}
    weights = {name[2:]: torch.as_tensor(np.asarray(v)) for name, v in specs.items()}
    post, pre = specs["c.indices"]
    matrix = scipy.sparse.coo_matrix((specs["c.weight"], (post, pre)), shape=(30, 40)).tocsr()
    raster = (np.random.default_rng(0).random((6, 2, 40)) < 0.2).astype(np.int8)
    rows = SpikeRows(sl.Spikes.from_raster(raster, 1.0), 6, torch.zeros((), dtype=torch.float64))
    expected = (matrix @ raster.reshape(-1, 40).T.astype(float)).T.reshape(6, 2, 30)
    for signal in (rows, torch.from_numpy(raster).double()):
        np.testing.assert_allclose(link.product(signal, weights, ENDS)[0], expected, atol=1e-12)
        grad = torch.from_numpy(expected)
        found = link.gradients(signal, weights, ENDS, grad, Wanted(True, ["weight"]))
        outer = np.einsum("tbo,tbi->oi", expected, raster)
        np.testing.assert_allclose(found.weights["weight"], outer[post, pre], atol=1e-10)
        np.testing.assert_allclose(found.signal, expected @ matrix.toarray(), atol=1e-10)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"probability": 0.0}, r"Random\.probability must be in \(0, 1\]"),
        ({"probability": 1.1}, r"Random\.probability must be in \(0, 1\]"),
        ({"in_degree": 0}, r"Random\.in_degree must be a whole number from 1 on"),
        ({"in_degree": 2.0}, r"Random\.in_degree must be a whole number"),
        ({"out_degree": True}, r"Random\.out_degree must be a whole number"),
        ({"in_degree": 2, "out_degree": 2}, "takes one of probability, in_degree, out_degree, got in_degree and out"),
        ({"multapses": True}, "multapses needs in_degree or out_degree"),
        ({"in_degree": 1, "self_connections": 1}, "self_connections must be True or False"),
        ({"weight": np.ones(3)}, "weight must be an initializer, since the synapses are yet to be drawn"),
    ],
)
def test_a_rule_without_a_meaning_is_refused(options, message):
    with pytest.raises(ParameterError, match=message):
        Random(**options)


@pytest.mark.parametrize(
    ("link", "ends", "error", "message"),
    [
        (Random(in_degree=41), ENDS, ParameterError, r"c\.in_degree is 41, more than there are .* \(40\)"),
        (Random(out_degree=31), ENDS, ParameterError, r"c\.out_degree is 31, more than there are .* \(30\)"),
        (Random(in_degree=25, self_connections=False), SQUARE, ParameterError, r"in_degree is 25, .* \(24\)"),
        (Random(self_connections=False), ENDS, ShapeError, "is for a population joined to itself"),
        (Random(in_degree=1, multapses=True, self_connections=False), Ends((1,), (1,)), ParameterError, "no neuron to"),
        (Random(probability=1.0), Ends((10**6,), (10**6,)), ParameterError, "synapses are too many"),
        (Distance(self_connections=False, extent=5), ENDS, ShapeError, "is for a population joined to itself"),
        (Distance(), Ends((5,), (3, 3)), ShapeError, r"shape \(5,\) has no grid of 2 axes; give its positions"),
        (Distance(pre_positions=np.zeros((3, 2))), ENDS, ShapeError, r"pre_positions must have shape \(40, axes\)"),
        (Distance(pre_positions=np.zeros((40, 2))), ENDS, ShapeError, "give extent=, the lengths of the 2 axes"),
        (Distance(extent=(2, 3)), ENDS, ShapeError, "extent must have 1 lengths, one for each axis"),
    ],
)
def test_populations_that_do_not_fit_a_rule_are_refused(link, ends, error, message):
    with pytest.raises(error, match=message):
        link.check("c", ends)


PROFILES = {
    "gaussian": lambda d: 0.8 * np.exp(-0.5 * (d / 2) ** 2),
    "exponential": lambda d: 0.8 * np.exp(-d / 2),
    "box": lambda d: 0.8 * (d <= 2),
}


@pytest.mark.parametrize("periodic", [False, True])
@pytest.mark.parametrize("profile", PROFILES)
def test_pairs_are_joined_with_the_probability_of_their_distance(profile, periodic):
    link, ends = Distance(profile=profile, scale=2.0, probability=0.8, periodic=periodic), Ends((6, 5), (6, 5))
    grid = np.stack(np.meshgrid(np.arange(6), np.arange(5), indexing="ij"), -1).reshape(-1, 2).astype(float)
    apart = np.abs(grid[:, None] - grid[None])
    apart = np.minimum(apart, np.array([6, 5]) - apart) if periodic else apart
    expected, n = PROFILES[profile](np.linalg.norm(apart, axis=2)), 500
    seen = np.zeros((30, 30))
    for key in range(n):
        seen[synapses(link, ends, (key,))] += 1
    error = np.sqrt(expected * (1 - expected) / n)
    assert np.all(np.abs(seen / n - expected) <= 4.8 * error + 1e-12 + (expected < 1e-3) * 0.01)


@pytest.mark.parametrize("share", [0.0, 1.0])
@pytest.mark.parametrize("extent", [None, (7.0, 4.5, 30.0)])
@pytest.mark.parametrize("radius", [1e-3, 1.0, 3.0, 25.0])
def test_near_pairs_are_those_of_all_distances_in_order(share, extent, radius, monkeypatch):
    rng = np.random.default_rng(5)
    pre, post = rng.integers(-9, 9, size=(300, 3)) / 1.0, rng.integers(-9, 9, size=(200, 3)) / 1.0
    pre[:40], post[:40] = rng.normal(size=(40, 3)) * 1e3, -1e-17 * rng.random((40, 3))
    apart = np.abs(post[:, None] - pre[None])
    if extent is not None:
        apart = np.mod(apart, extent)
        apart = np.minimum(apart, np.array(extent) - apart)
    distances = np.linalg.norm(apart, axis=2)
    expected = np.nonzero(distances <= radius)
    monkeypatch.setattr("spikeloom.network.links.positions._SPARSE", share)
    monkeypatch.setattr("spikeloom.network.links.positions.ENTRIES", 500)
    space = Space(pre, post, None if extent is None else np.array(extent))
    parts = list(space.near(radius))
    assert len(parts) >= len(expected[0]) / 500
    found = [np.concatenate(each) for each in zip(*parts, strict=True)]
    assert np.array_equal(found[:2], expected)
    np.testing.assert_allclose(found[2], distances[expected], rtol=1e-12)


@pytest.mark.parametrize("profile", ["gaussian", "exponential"])
def test_pairs_too_far_to_be_looked_at_one_by_one_are_joined_with_their_probability_too(profile, monkeypatch):
    monkeypatch.setitem(distance._FAR, profile, 0.5)  # so that chance shows what is beyond
    test_pairs_are_joined_with_the_probability_of_their_distance(profile, False)
    test_pairs_are_joined_with_the_probability_of_their_distance(profile, True)


@pytest.mark.parametrize("link", [Distance(profile="box"), Distance(scale=0.3), Local(cutoff=1.0, normalise=True)])
def test_near_synapses_of_many_neurons_are_found_without_a_look_at_all_pairs(link, monkeypatch):
    monkeypatch.setattr(Space, "blocks", None)
    n, ends = 300, Ends((300, 300), (300, 300))
    post, pre = link.synapses(ends, (7,)) if isinstance(link, Distance) else link._kernel(ends)[0]
    steps = np.abs(post // n - pre // n) + np.abs(post % n - pre % n)
    assert np.sum(steps == 0) == n * n
    if link.profile == "box" or isinstance(link, Local):
        assert np.sum(steps == 1) == 4 * n * (n - 1)
        assert steps.max() == 1


def test_given_positions_are_used_and_blocks_of_targets_do_not_matter(monkeypatch):
    rng = np.random.default_rng(3)
    pre, post = rng.normal(size=(40, 3)), rng.normal(size=(30, 3))
    link = Distance(profile="box", scale=1.5, pre_positions=pre, post_positions=post)
    expected = np.nonzero(scipy.spatial.distance.cdist(post, pre) <= 1.5)
    assert np.array_equal(synapses(link), expected)
    monkeypatch.setattr("spikeloom.network.links.positions.ENTRIES", 100)
    assert np.array_equal(synapses(link), expected)


def test_grids_of_different_fineness_fill_the_same_space():
    link = Distance(profile="box", scale=0.51, extent=4.0)
    post, pre = synapses(link, Ends((8,), (4,)))
    # sources at 0.25, 0.75, ..., targets at 0.5, 1.5, 2.5, 3.5
    assert np.column_stack([post, pre]).tolist() == [[k, 2 * k + j] for k in range(4) for j in (0, 1)]


def kernel(link, ends):
    """The weights of a local link as a matrix."""
    values = {s.name: np.asarray(s.start(1)) for s in link.specs("c", ends)}
    if "c.indices" not in values:
        return values["c.weight"]
    return scipy.sparse.coo_matrix(
        (values["c.weight"], tuple(values["c.indices"])), shape=(math.prod(ends.post), math.prod(ends.pre))
    ).toarray()


def test_a_ring_attractor_has_the_circulant_weights_of_its_kernel():
    n = 32
    x = np.minimum(np.arange(n), n - np.arange(n)) * (2 * np.pi / n)
    row = 0.7 * np.exp(-0.5 * (x / 0.5) ** 2)
    link = Local(amplitude=0.7, scale=0.5, extent=2 * np.pi, periodic=True)
    np.testing.assert_allclose(kernel(link, Ends((n,), (n,))), scipy.linalg.circulant(row), atol=1e-12)


def test_inhibition_is_taken_off_and_a_cutoff_leaves_far_pairs_out():
    ends = Ends((7, 7), (7, 7))
    grid = np.stack(np.meshgrid(np.arange(7.0), np.arange(7.0), indexing="ij"), -1).reshape(-1, 2)
    d = scipy.spatial.distance.cdist(grid, grid)
    expected = 2.0 * np.exp(-0.5 * d**2) - 0.5 * np.exp(-0.5 * (d / 3) ** 2)
    link = Local(amplitude=2.0, scale=1.0, inhibition=0.5, inhibition_scale=3.0)
    np.testing.assert_allclose(kernel(link, ends), expected, atol=1e-12)
    link = Local(amplitude=2.0, inhibition=0.5, inhibition_scale=3.0, cutoff=2.5, self_connections=False)
    np.testing.assert_allclose(kernel(link, ends), expected * (d <= 2.5) * (d > 0), atol=1e-12)
    assert link.specs("c", ends)[1].shape == (np.sum((d <= 2.5) & (d > 0)),)


def test_normalised_weights_of_every_target_sum_to_amplitude_less_inhibition():
    link = Local(amplitude=2.0, inhibition=0.5, inhibition_scale=3.0, cutoff=2.0, normalise=True)
    np.testing.assert_allclose(kernel(link, Ends((5, 6), (5, 6))).sum(1), 1.5, atol=1e-12)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Distance(profile="gauss"), "Distance.profile must be one of gaussian, exponential, box, got 'gauss'"),
        (lambda: Distance(scale=0), "Distance.scale must be a positive length"),
        (lambda: Distance(probability=2), "Distance.probability must be in"),
        (lambda: Distance(periodic=1), "Distance.periodic must be True or False"),
        (lambda: Distance(extent=-1.0), "Distance.extent must be a positive length"),
        (lambda: Local(amplitude=math.nan), "Local.amplitude must be a finite number"),
        (lambda: Local(inhibition=1.0), "inhibition and inhibition_scale go together"),
        (lambda: Local(cutoff=0.0), "Local.cutoff must be a positive length"),
    ],
)
def test_a_kernel_without_a_meaning_is_refused(make, message):
    with pytest.raises(ParameterError, match=message):
        make()


def network(seed=5, **options):
    net = sl.Network()
    net.input = sl.Encoder(20, coding_method="null")
    net.a = sl.NeuronGroup(15, model="lif")
    net.b = sl.NeuronGroup(10, model="lif")
    net.c = sl.Connection(net.input, net.a, link_type="random", probability=0.3, w_mean=0.5, **options)
    net.d = sl.Connection(net.a, net.b, link_type="random", in_degree=6, multapses=True, w_mean=0.4)
    net.e = sl.Connection(net.b, net.b, link_type="distance", scale=2.0, self_connections=False, w_mean=-0.1)
    net.output = sl.Decoder(dec_target=net.b, coding_method="spike_counts")
    net.set_random_seed(seed)
    net.set_backend_dt(1.0)
    return net


def run(net):
    net.input((np.random.default_rng(0).random((3, 30, 20)) < 0.3).astype(float))
    net.run(30.0)
    return net.output.predict


def test_the_seed_of_the_network_decides_in_a_new_process_too():
    first = network()
    run(first)
    lists = [first.store[f"{name}.indices"].tolist() for name in "cde"]
    program = (
        "import sys; sys.path.insert(0, 'tests/network'); from test_drawn_synapses import network, run\n"
        "net = network(); run(net); print([net.store[f'{n}.indices'].tolist() for n in 'cde'])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == str(lists), done.stderr
    other = network(seed=6)
    run(other)
    assert other.store["c.indices"].tolist() != lists[0]


def test_synapses_that_are_drawn_stay_when_the_seed_changes_or_another_member_comes():
    net = network()
    run(net)
    before = {name: net.store[f"{name}.indices"].clone() for name in "cde"}
    net.set_random_seed(99)
    net.f = sl.NeuronGroup(2, model="lif")
    net.g = sl.Connection(net.b, net.f, link_type="random")
    run(net)
    for name, kept in before.items():
        assert torch.equal(net.store[f"{name}.indices"], kept)


def test_training_moves_the_weights_and_never_the_synapses():
    net = network()
    net.learner = sl.Learner(net, "STBP", alpha=1.0)
    net.learner.set_optimizer("SGD", 0.1)
    before = None
    for _ in range(2):
        answer = run(net)
        before = before or {n: (net.store[f"{n}.indices"].clone(), net.store[f"{n}.weight"].clone()) for n in "cde"}
        net.learner.optim_zero_grad()
        (answer**2).sum().backward()
        net.learner.optim_step()
    for name, (indices, weight) in before.items():
        assert torch.equal(net.store[f"{name}.indices"], indices)
        assert not torch.equal(net.store[f"{name}.weight"], weight)
        assert net.store[f"{name}.weight"].shape == (indices.shape[1],)


def test_a_random_connection_is_saved_and_loaded_with_its_synapses(tmp_path):
    net = network()
    expected = run(net)
    net.set_random_seed(123)  # what was drawn is drawn
    name = net.save("net", tmp_path)
    again = sl.network_load("net", tmp_path)
    assert torch.equal(run(again), expected)
    assert describe(again) == describe(net)
    assert again.save("other", tmp_path) != name
    files = [sorted(f for f in tmp_path.rglob("*.json") if f.stem == n) for n in ("net", "other")]
    assert files[0][0].read_text() == files[1][0].read_text()


def test_without_its_weights_a_loaded_network_draws_the_same_synapses():
    net = network()
    run(net)
    again = network_from(describe(net))
    run(again)
    assert torch.equal(again.store["c.indices"], net.store["c.indices"])


def test_a_copy_has_the_same_synapses():
    net = network()
    twin = copy.deepcopy(net)
    run(net)
    run(twin)
    assert torch.equal(twin.store["e.indices"], net.store["e.indices"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"link": {"probability": 1.0}}, "pairs of neurons to choose from; a file may ask for at most"),
        ({"drawn_from": [1]}, "drawn_from must be two whole numbers"),
        ({"drawn_from": "x"}, "drawn_from must be two whole numbers"),
        ({"link": {"weight": [1.0]}}, "link.weight must be an initializer or null"),
        ({"sign": 2}, "sign must be 1"),
        ({"extra": 2}, "unknown entry 'extra'"),
    ],
)
def test_a_spoilt_description_of_a_random_connection_is_refused(change, message):
    described = describe(network())
    if "link" in change and "probability" in change["link"]:
        for name in ("input", "a"):
            described["components"][name]["shape"] = [10**6]
    values = described["components"]["c"]
    for name, value in change.items():
        values[name] = values[name] | value if name == "link" else value
    with pytest.raises(DataError, match=message):
        network_from(described)


def test_weights_with_synapses_that_are_not_there_are_refused():
    net = network()
    run(net)
    arrays = net.store.arrays()
    wrong = arrays | {"c.indices": arrays["c.indices"] + 100}
    with pytest.raises(ShapeError, match="synapses must be"):
        net.state_from_dict(wrong)
    wrong = arrays | {"c.indices": np.repeat(arrays["c.indices"][:, :1], arrays["c.indices"].shape[1], 1)}
    with pytest.raises(ParameterError, match="pair once"):
        net.state_from_dict(wrong)
    repeated = arrays | {"d.indices": np.repeat(arrays["d.indices"][:, :1], arrays["d.indices"].shape[1], 1)}
    net.state_from_dict(repeated)


def test_feed_forward_random_connections_run_on_the_kernel_path_as_on_the_torch_path():
    found = []
    for path in ("auto", "torch"):
        net = network()
        del net.e
        net.set_backend(sl.TorchBackend(dtype=torch.float64, dt=1.0, path=path))
        answer = run(net)
        answer.sum().backward()
        assert (net.plan.blocks[0].path == "kernel path") is (path == "auto"), net.plan
        found.append((answer.detach(), net.c.weight.value.grad))
    assert torch.equal(found[0][0], found[1][0])
    torch.testing.assert_close(found[0][1], found[1][1], rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(("indices", "error"), [([[0, 0], [1, 1]], "twice"), ([[0, 9], [1, 1]], "pairs below")])
def test_synapses_that_are_assigned_are_checked_as_given_ones(indices, error):
    net = sl.Network()
    net.a = sl.NeuronGroup(4, model="lif")
    net.c = sl.Connection(net.a, net.a, link_type="sparse", indices=np.array([[0, 1], [1, 2]]))
    with pytest.raises(SpikeloomError, match=error):
        net.c.set_value("indices", np.array(indices))
