"""Every structure of a connection equals a dense product, on values and on events, there and back."""

import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F

import spikeloom as sl
from spikeloom.errors import ParameterError, ShapeError
from spikeloom.network import Constant, Normal
from spikeloom.network.links import (
    Conv,
    ConvTranspose,
    Distance,
    Ends,
    Full,
    Link,
    Local,
    Null,
    OneToOne,
    Pool,
    Random,
    Sparse,
    SpikeRows,
    Wanted,
)

T, B = 5, 3
LIKE = torch.zeros((), dtype=torch.float64)
IMAGE = (4, 7, 6)
MATRIX = np.random.default_rng(5).normal(size=(6, 8)) * (np.random.default_rng(6).random((6, 8)) < 0.4)
INDICES = np.array([[0, 5, 2, 2], [7, 0, 3, 4]])


def dense_product(weight, post):
    """The current through a dense matrix (post, pre)."""
    return lambda x, w: torch.einsum("tbi,oi->tbo", x.flatten(2), weight(w)).reshape(*x.shape[:2], *post)


def scattered(w):
    return LIKE.new_zeros(6, 8).index_put(tuple(w["indices"]), w["weight"], accumulate=True)


def with_bias(reference, shape):
    return lambda x, w: reference(x, w) + w["bias"].reshape(shape)


def conv(pool=lambda y: y, **options):
    def reference(x, w):
        y = pool(F.conv2d(x.flatten(0, 1), w["weight"], w.get("bias"), **options))
        return y.reshape(*x.shape[:2], *y.shape[1:])

    return reference


def transposed(**options):
    def reference(x, w):
        y = F.conv_transpose2d(x.flatten(0, 1), w["weight"], w.get("bias"), **options)
        return y.reshape(*x.shape[:2], *y.shape[1:])

    return reference


def pooled(pool, scale, *window):
    def reference(x, w):
        y = scale * pool(x.flatten(0, 1), *window)
        return y.reshape(*x.shape[:2], *y.shape[1:])

    return reference


FULL = dense_product(lambda w: w["weight"], (2, 3))
FULL_WITH_BIAS = with_bias(FULL, (2, 3))
CASES = {
    "full": (Full(), Ends((2, 4), (2, 3)), FULL),
    "full with bias": (Full(bias=Normal()), Ends((2, 4), (2, 3)), FULL_WITH_BIAS),
    "one to one": (OneToOne(w_std=1.0), Ends((2, 3), (6,)), dense_product(lambda w: torch.diag(w["weight"]), (6,))),
    "one to one with bias": (
        OneToOne(w_std=1.0, bias=Normal()),
        Ends((6,), (3, 2)),
        with_bias(dense_product(lambda w: torch.diag(w["weight"]), (3, 2)), (3, 2)),
    ),
    "sparse of a density": (Sparse(density=0.3), Ends((8,), (2, 3)), dense_product(scattered, (2, 3))),
    "sparse of a matrix": (Sparse(weight=MATRIX), Ends((2, 4), (6,)), dense_product(scattered, (6,))),
    "sparse of indices": (
        Sparse(indices=INDICES, weight=Normal(), bias=Normal()),
        Ends((8,), (6,)),
        with_bias(dense_product(scattered, (6,)), (6,)),
    ),
    "random": (
        Random(probability=0.4, bias=Normal()),
        Ends((8,), (6,)),
        with_bias(dense_product(scattered, (6,)), (6,)),
    ),
    "random with several synapses a pair": (
        Random(in_degree=9, multapses=True, weight=Normal()),
        Ends((8,), (6,)),
        dense_product(scattered, (6,)),
    ),
    "by distance": (Distance(scale=1.5, extent=6), Ends((8,), (6,)), dense_product(scattered, (6,))),
    "local within a radius": (Local(cutoff=2.0, extent=6), Ends((8,), (6,)), dense_product(scattered, (6,))),
    "local": (Local(bias=Normal()), Ends((2, 4), (2, 3)), FULL_WITH_BIAS),
    "null": (Null(), Ends((2, 3), (6,)), lambda x, w: x.flatten(2)),
    "transposed conv": (ConvTranspose(), Ends(IMAGE, (2, 9, 8)), transposed()),
    "transposed conv with all options": (
        ConvTranspose(
            bias=Normal(),
            kernel_size=[3, 2],
            stride=(2, 1),
            padding=(1, 0),
            output_padding=(1, 0),
            dilation=2,
            groups=2,
        ),
        Ends(IMAGE, (6, 16, 8)),
        transposed(stride=(2, 1), padding=(1, 0), output_padding=(1, 0), dilation=2, groups=2),
    ),
    "conv": (Conv(), Ends(IMAGE, (2, 5, 4)), conv()),
    "conv with all options": (
        Conv(bias=Normal(), kernel_size=[3, 2], stride=(2, 1), padding=(1, 2), dilation=(1, 2), groups=2),
        Ends(IMAGE, (6, 4, 8)),
        conv(stride=(2, 1), padding=(1, 2), dilation=(1, 2), groups=2),
    ),
    "conv, then max pool": (
        Conv(pool="max", bias=Normal()),
        Ends(IMAGE, (5, 2, 2)),
        conv(lambda y: F.max_pool2d(y, 2)),
    ),
    "conv, then max pool of windows that overlap": (
        Conv(pool="max", padding=1, pool_kernel_size=3, pool_stride=(2, 1), pool_padding=(1, 0)),
        Ends(IMAGE, (2, 4, 4)),
        conv(lambda y: F.max_pool2d(y, 3, (2, 1), (1, 0)), padding=1),
    ),
    "conv, then mean pool": (
        Conv(pool="avg", bias=Normal(), stride=(1, 2), pool_kernel_size=[2, 1], pool_padding=(1, 0)),
        Ends(IMAGE, (3, 3, 2)),
        conv(lambda y: F.avg_pool2d(y, (2, 1), None, (1, 0)), stride=(1, 2)),
    ),
    "conv in groups, then max pool": (
        Conv(pool="max", groups=2, dilation=(2, 1), bias=Normal()),
        Ends(IMAGE, (2, 1, 2)),
        conv(lambda y: F.max_pool2d(y, 2), groups=2, dilation=(2, 1)),
    ),
    "max pool": (Pool(), Ends(IMAGE, (4, 3, 3)), pooled(F.max_pool2d, 1.0, 2)),
    "mean pool": (
        Pool(pool="avg", kernel_size=(3, 2), stride=(2, 1), padding=(1, 0), scale=0.7),
        Ends(IMAGE, (4, 4, 5)),
        pooled(F.avg_pool2d, 0.7, (3, 2), (2, 1), (1, 0)),
    ),
}


@pytest.fixture(params=CASES)
def case(request):
    return CASES[request.param]


def drawn(link, ends, seed=1):
    """The weights of a link by name, in double precision."""
    values = {spec.name: torch.as_tensor(np.array(spec.start(seed))) for spec in link.specs("c", ends)}
    return {name.rpartition(".")[2]: w.double() if w.is_floating_point() else w for name, w in values.items()}


def product(link, signal, weights, ends):
    return link.product(signal, weights, ends)[0]


def gradients(link, signal, weights, ends, grad, to_signal=True, names=None):
    """All gradients, or those asked for, with what the product kept."""
    names = [k for k, w in weights.items() if w.is_floating_point()] if names is None else names
    _, kept = link.product(signal, weights, ends, keep=True)
    return link.gradients(signal, weights, ends, grad, Wanted(to_signal, names), kept)


def values(ends, n_steps=T, n_samples=B):
    return torch.from_numpy(np.random.default_rng(2).normal(size=(n_steps, n_samples, *ends.pre)))


def events(ends, valued=False, n_samples=B):
    """Events and the same as a raster; the last sample and the last step are silent."""
    generator = np.random.default_rng(3)
    raster = (generator.random((T, n_samples, *ends.pre)) < 0.3).astype(np.int8)
    if valued:
        raster *= generator.integers(-3, 4, raster.shape, dtype=np.int8)
    raster[-1] = 0
    raster[:, -1:] = 0
    return SpikeRows(sl.Spikes.from_raster(raster, 1.0), T, LIKE), torch.from_numpy(raster).double()


def test_a_product_equals_the_dense_one(case):
    link, ends, reference = case
    link.check("c", ends)
    w, x = drawn(link, ends), values(ends)
    current = product(link, x, w, ends)
    assert current.shape == (T, B, *ends.post)
    torch.testing.assert_close(current, reference(x, w), rtol=1e-12, atol=1e-12)


def test_a_product_takes_values_whose_axes_were_swapped(case):
    link, ends, reference = case
    w, x = drawn(link, ends), values(ends, B, T).swapaxes(0, 1)
    torch.testing.assert_close(product(link, x, w, ends), reference(x, w), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("valued", [False, True], ids=["spikes", "valued spikes"])
def test_events_give_what_the_raster_gives(case, valued):
    link, ends, reference = case
    w = drawn(link, ends)
    rows, raster = events(ends, valued)
    assert torch.equal(rows.dense(), raster)
    torch.testing.assert_close(product(link, rows, w, ends), reference(raster, w), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("n_samples", [0, 1])
def test_silence_and_no_samples_at_all_give_a_current_of_the_right_shape(case, n_samples):
    link, ends, reference = case
    w = drawn(link, ends)
    silent = torch.zeros(T, n_samples, *ends.pre, dtype=torch.float64)
    rows = SpikeRows(sl.Spikes.from_steps([], [], ends.pre, T, 1.0, n_samples=n_samples), T, LIKE)
    for signal in (rows, silent):
        current = product(link, signal, w, ends)
        assert current.shape == (T, n_samples, *ends.post)
        found = gradients(link, signal, w, ends, torch.ones_like(current)).weights
        assert all(not found[k].any() or k == "bias" for k in found)
    if n_samples:
        torch.testing.assert_close(product(link, rows, w, ends), reference(silent, w))


@pytest.mark.parametrize("kind", ["values", "spikes", "valued spikes"])
def test_gradients_equal_those_of_the_dense_product(case, kind):
    link, ends, reference = case
    w = drawn(link, ends)
    signal, x = events(ends, kind == "valued spikes") if kind != "values" else (values(ends),) * 2
    grad = torch.from_numpy(np.random.default_rng(4).normal(size=(T, B, *ends.post)))
    leaves = {k: v.clone().requires_grad_(v.is_floating_point()) for k, v in w.items()}
    x = x.clone().requires_grad_()
    inputs = {"signal": x} | {k: v for k, v in leaves.items() if v.requires_grad}
    expected = dict(zip(inputs, torch.autograd.grad(reference(x, leaves), [*inputs.values()], grad), strict=True))
    found = gradients(link, signal, w, ends, grad)
    assert set(found.weights) == set(inputs) - {"signal"}
    for name, given in found.weights.items():
        torch.testing.assert_close(given, expected[name], rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(found.signal, expected["signal"], rtol=1e-12, atol=1e-12)


def test_no_gradient_of_the_signal_is_made_unasked(case):
    link, ends, _ = case
    w, x = drawn(link, ends), values(ends)
    assert (
        gradients(link, x, w, ends, torch.ones(T, B, *ends.post, dtype=torch.float64), to_signal=False).signal is None
    )


def test_a_sparse_link_cut_into_blocks_gives_the_same(monkeypatch):
    from spikeloom.network.links import sparse

    link, ends, reference = CASES["sparse of a matrix"]
    w, x = drawn(link, ends), values(ends)
    monkeypatch.setattr(sparse, "_BLOCK", 2 * T * B)
    monkeypatch.setattr(sparse, "_DENSE", 0)
    torch.testing.assert_close(product(link, x, w, ends), reference(x, w), rtol=1e-12, atol=1e-12)
    for kind in ("values", "spikes", "valued spikes"):
        test_gradients_equal_those_of_the_dense_product((link, ends, reference), kind)
    monkeypatch.setattr(sparse, "_BLOCK", 7)
    test_events_give_what_the_raster_gives((link, ends, reference), True)
    test_gradients_equal_those_of_the_dense_product((link, ends, reference), "valued spikes")


@pytest.mark.parametrize("name", [name for name in CASES if name.startswith("sparse")])
@pytest.mark.parametrize("kind", ["values", "spikes", "valued spikes"])
def test_a_sparse_link_of_many_pairs_gives_the_same_without_a_dense_matrix(monkeypatch, name, kind):
    from spikeloom.network.links import sparse

    monkeypatch.setattr(sparse, "_DENSE", 0)
    monkeypatch.setattr(sparse, "_as_matrix", None)
    test_a_product_equals_the_dense_one(CASES[name])
    test_gradients_equal_those_of_the_dense_product(CASES[name], kind)


def test_events_through_a_sparse_link_of_few_pairs_never_become_a_raster(monkeypatch):
    link, ends, _ = CASES["sparse of a matrix"]
    w, (rows, _) = drawn(link, ends), events(ends)
    monkeypatch.setattr(SpikeRows, "dense", None)
    current = product(link, rows, w, ends)
    gradients(link, rows, w, ends, torch.ones_like(current))


def test_synapses_of_a_density_are_that_many_and_each_its_own():
    w = drawn(Sparse(density=0.25), Ends((20,), (30,)))
    pairs = set(map(tuple, w["indices"].T.tolist()))
    assert len(pairs) == w["weight"].numel() == 150
    assert all(0 <= post < 30 and 0 <= pre < 20 for post, pre in pairs)


def test_a_matrix_gives_one_synapse_for_each_entry_that_is_not_zero():
    w = drawn(Sparse(weight=MATRIX), Ends((8,), (6,)))
    np.testing.assert_array_equal(scattered(w), MATRIX)
    assert w["weight"].numel() == np.count_nonzero(MATRIX)


def test_a_matrix_of_zeros_is_a_connection_without_synapses():
    link, ends = Sparse(weight=np.zeros((6, 8))), Ends((8,), (6,))
    w, x = drawn(link, ends), values(ends)
    assert not product(link, x, w, ends).any()
    found = gradients(link, x, w, ends, torch.ones(T, B, 6, dtype=torch.float64))
    assert found.weights["weight"].shape == (0,)
    assert not found.signal.any()


@pytest.mark.parametrize("optimizer", [torch.optim.SGD, torch.optim.Adam])
@pytest.mark.parametrize("link_type", ["sparse", "one_to_one"])
def test_absent_synapses_stay_absent_while_training(link_type, optimizer):
    net = sl.Network()
    net.input = sl.Encoder(6, coding_method="constant_current")
    net.layer = sl.NeuronGroup(6, model="li")
    options = {"density": 0.2} if link_type == "sparse" else {}
    net.c = sl.Connection(net.input, net.layer, link_type=link_type, **options)
    net.out = sl.Decoder(dec_target=net.layer, coding_method="v_t")
    net.set_backend(sl.TorchBackend(dtype=torch.float64, dt=1.0))
    data = torch.eye(6, dtype=torch.float64)

    def reached():
        net.input(data)
        net.run(1.0)
        return net.out.predict[0].detach() != 0

    before = reached()
    assert before.sum() == (7 if link_type == "sparse" else 6)
    made = optimizer(net.parameters(), lr=0.1)
    for _ in range(3):
        net.input(data)
        net.run(3.0)
        made.zero_grad()
        (net.out.predict - 1.0).square().mean().backward()
        made.step()
    assert torch.equal(reached(), before)


ENDS = Ends((8,), (6,))
WRONG = [
    (OneToOne(), ENDS, r"one_to_one joins populations of one size, got \(8,\) and \(6,\); use link_type='full'"),
    (Sparse(weight=np.ones((8, 6))), ENDS, r"must have shape \(6, 8\) \(post, pre\), got \(8, 6\)"),
    (Sparse(weight=np.ones((5, 8))), ENDS, r"must have shape \(6, 8\)"),
    (Sparse(indices=[[0, 6], [0, 0]]), ENDS, r"pairs below \(6, 8\)"),
    (Sparse(indices=[[0, 1], [0, -1]]), ENDS, r"pairs below"),
    (Sparse(indices=[0, 1]), ENDS, r"whole numbers \(2, n\)"),
    (Sparse(indices=[[0, 1, 2]]), ENDS, r"whole numbers \(2, n\)"),
    (Sparse(indices=[[0.0], [1.0]]), ENDS, r"whole numbers \(2, n\)"),
    (Conv(), Ends((8,), (2, 5, 4)), r"source must have shape \(channels, height, width\), got \(8,\); give it shape="),
    (Conv(), Ends(IMAGE, (2, 5, 5)), r"target must have shape \(2, 5, 4\), got \(2, 5, 5\); give it shape=\(2, 5, 4\)"),
    (Conv(), Ends(IMAGE, (40,)), r"target must have shape \(40, 5, 4\)"),
    (Conv(out_channels=3), Ends(IMAGE, (2, 5, 4)), r"target must have shape \(3, 5, 4\)"),
    (Conv(in_channels=3), Ends(IMAGE, (2, 5, 4)), r"in_channels is 3, but the source has shape \(4, 7, 6\)"),
    (Conv(kernel_size=9), Ends(IMAGE, (2, 1, 1)), "kernel is larger than the source"),
    (Conv(groups=3), Ends(IMAGE, (3, 5, 4)), "groups is 3 and must divide the channels 4 and 3"),
    (Conv(pool="max"), Ends(IMAGE, (2, 5, 4)), r"target must have shape \(2, 2, 2\), got \(2, 5, 4\); give it shape="),
    (Conv(pool="avg", pool_kernel_size=6), Ends(IMAGE, (2, 1, 1)), "kernel is larger than the source"),
    (Pool(), Ends(IMAGE, (4, 2, 2)), r"target must have shape \(4, 3, 3\), got \(4, 2, 2\)"),
    (Pool(), Ends((8,), (4,)), "source must have shape"),
]


@pytest.mark.parametrize(("link", "ends", "message"), WRONG, ids=lambda p: type(p).__name__)
def test_populations_that_do_not_fit_are_refused_with_the_shape_that_would(link, ends, message):
    with pytest.raises(ShapeError, match=message):
        link.check("Connection 'c'", ends)


def test_a_synapse_that_stands_twice_is_refused():
    with pytest.raises(ParameterError, match=r"Connection 'c'\.indices must hold each \(post, pre\) pair once"):
        Sparse(indices=[[0, 1, 0], [3, 3, 3]]).check("Connection 'c'", ENDS)
    Sparse(indices=np.array([[0, 1, 0], [3, 3, 2]], np.uint8)).check("Connection 'c'", ENDS)


@pytest.mark.parametrize("link", [Full(), Full(weight=Normal()), Sparse(density=0.5)])
def test_weights_beyond_all_memory_are_refused_before_they_are_made(link):
    with pytest.raises(
        ParameterError, match=r"c\.weight would have shape .*, more than 17179869184 entries; join small"
    ):
        link.specs("c", Ends((10**6,), (10**6,)))


def test_a_padding_above_half_of_the_kernel_is_refused():
    with pytest.raises(ParameterError, match=r"c\.pool_padding must be at most half of the kernel"):
        Conv(pool="max", pool_padding=(2, 1)).check("c", Ends(IMAGE, (2, 4, 4)))
    with pytest.raises(ParameterError, match="padding must be at most half of the kernel"):
        Pool(padding=2).check("c", Ends(IMAGE, (4, 3, 3)))


@pytest.mark.parametrize("value", [0, -1, 1.5, "3", None, (1, 2, 3), (0, 1), True], ids=repr)
@pytest.mark.parametrize(
    ("kind", "name"),
    [(Conv, "kernel_size"), (Conv, "stride"), (Conv, "dilation"), (Conv, "pool_kernel_size"), (Pool, "kernel_size")],
)
def test_a_window_that_is_no_positive_whole_number_is_refused(kind, name, value):
    with pytest.raises(ParameterError, match=rf"{kind.__name__}\.{name} must be a whole number from 1 on"):
        kind(**{name: value})


@pytest.mark.parametrize(
    ("kind", "wrong", "message"),
    [
        (Conv, {"padding": -1}, r"Conv\.padding must be a whole number from 0 on"),
        (Conv, {"groups": 0}, r"Conv\.groups"),
        (Conv, {"groups": 1.0}, r"Conv\.groups"),
        (Conv, {"groups": True}, r"Conv\.groups"),
        (Conv, {"groups": None}, r"Conv\.groups"),
        (Conv, {"out_channels": 0}, r"Conv\.out_channels must be a whole number from 1 on, got 0"),
        (Conv, {"out_channels": 2.0}, r"Conv\.out_channels"),
        (Conv, {"in_channels": 0}, r"Conv\.in_channels"),
        (Conv, {"pool": "sum"}, r"Conv\.pool must be 'max', 'avg' or None, got 'sum'"),
        (Conv, {"pool": "max", "pool_stride": 0}, r"Conv\.pool_stride must be a whole number from 1 on"),
        (Conv, {"pool": "max", "pool_padding": -1}, r"Conv\.pool_padding must be a whole number from 0 on"),
        (Conv, {"pool_stride": 2}, r"Conv\.pool is None, so that its pool_ settings have no effect; give pool='max'"),
        (Conv, {"pool_kernel_size": 3}, r"pool_ settings have no effect"),
        (Pool, {"scale": "2"}, r"Pool\.scale must be a finite number, got '2'"),
        (Pool, {"scale": None}, r"Pool\.scale"),
        (Pool, {"scale": math.nan}, r"Pool\.scale"),
        (Sparse, {"density": True}, r"Sparse\.density"),
        (Sparse, {"density": math.nan}, r"Sparse\.density"),
        (Pool, {"stride": 0}, r"Pool\.stride"),
        (Pool, {"pool": "sum"}, r"Pool\.pool must be 'max' or 'avg', got 'sum'"),
        (Sparse, {"density": 0.0}, r"Sparse\.density must be in \(0, 1\]"),
        (Sparse, {"density": 1.5}, r"Sparse\.density"),
        (Sparse, {"density": "0.1"}, r"Sparse\.density"),
    ],
)
def test_a_wrong_setting_of_a_link_is_refused_by_name(kind, wrong, message):
    with pytest.raises(ParameterError, match=message):
        kind(**wrong)


WEIGHTS = [
    (Full(weight=np.ones((8, 6))), ENDS, ShapeError, r"c\.weight must have shape \(6, 8\) \(post, pre\), got \(8, 6\)"),
    (Full(weight=[[1.0, 2.0]]), ENDS, ShapeError, r"got \(1, 2\)"),
    (Full(weight=np.full((6, 8), np.nan)), ENDS, ParameterError, "finite numbers"),
    (Full(weight="xavier"), ENDS, ParameterError, "must be an array of numbers or an initializer such as normal"),
    (Full(weight=[[1.0], [1.0, 2.0]]), ENDS, ParameterError, "must be an array of numbers"),
    (Full(bias=np.ones(8)), ENDS, ShapeError, r"c\.bias must have shape \(6,\), got \(8,\)"),
    (OneToOne(weight=np.ones(3)), Ends((8,), (8,)), ShapeError, r"must have shape \(8,\), got \(3,\)"),
    (Sparse(indices=INDICES, weight=np.ones(3)), ENDS, ShapeError, r"must have shape \(4,\), got \(3,\)"),
    (Conv(weight=np.ones((2, 4, 3, 2))), Ends(IMAGE, (2, 5, 4)), ShapeError, r"must have shape \(2, 4, 3, 3\), got"),
    (Conv(bias=[1.0]), Ends(IMAGE, (2, 5, 4)), ShapeError, r"must have shape \(2,\)"),
]


@pytest.mark.parametrize(("link", "ends", "error", "message"), WEIGHTS)
def test_a_weight_that_does_not_fit_is_refused_with_the_shape_that_would(link, ends, error, message):
    with pytest.raises(error, match=message):
        link.specs("c", ends)


@pytest.mark.parametrize(("given", "start"), [(True, 0.0), (Constant(0.5), 0.5), (np.full(6, 2), 2.0)], ids=repr)
def test_a_bias_starts_as_asked(given, start):
    assert torch.equal(drawn(Full(bias=given), ENDS)["bias"], torch.full((6,), start, dtype=torch.float64))
    assert "bias" not in drawn(Full(bias=False), ENDS)


def test_the_default_adjoint_serves_a_link_of_ones_own():
    class Doubled(Link):
        name = "doubled"

        def check(self, owner, ends):
            pass

        def specs(self, path, ends):
            return []

        def product(self, signal, weights, ends, keep=False):
            x = signal.dense() if isinstance(signal, SpikeRows) else signal
            return 2 * x * weights["weight"], None

    w = {"weight": torch.tensor([3.0, 5.0], dtype=torch.float64)}
    x, grad = torch.ones(T, B, 2, dtype=torch.float64), torch.ones(T, B, 2, dtype=torch.float64)
    found = gradients(Doubled(), x, w, Ends((2,), (2,)), grad)
    assert found.weights["weight"].tolist() == [2.0 * T * B] * 2
    assert torch.equal(found.signal, 2 * w["weight"].expand(T, B, 2))


def test_rows_hold_events_that_end_before_the_run_does():
    spikes = sl.Spikes.from_steps([0, 1], [2, 0], 3, 2, 1.0)
    rows = SpikeRows(spikes, 4, LIKE)
    assert rows.n_spikes == 2
    expected = torch.zeros(4, 1, 3, dtype=torch.float64)
    expected[0, 0, 2] = expected[1, 0, 0] = 1.0
    assert torch.equal(rows.dense(), expected)
    table = torch.arange(6, dtype=torch.float64).view(3, 2)
    torch.testing.assert_close(rows.times(table), expected @ table)
    assert math.prod(rows.transposed_times(torch.ones(4, 1, 5, dtype=torch.float64)).shape) == 15
