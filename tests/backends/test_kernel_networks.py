"""Networks of all shapes give on the kernel path what they give on the torch path: spikes, traces, gradients."""

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from kernel_networks import BUILT_IN, KINDS, Case, Wire, assert_equal, on_both_paths, reader, results

import spikeloom as sl
from spikeloom.neurons import LI, LIF, Emission, Subtract

SIZES = st.sampled_from([1, 2, 3, 7, 15, 16, 17, 31, 33, 48, 63, 64, 65, 96, 127, 128, 130])
DENSITIES = st.sampled_from([0.0, 0.02, 0.3, 0.7, 1.0])
SIGNALS = st.sampled_from(["events", "graded events", "raster", "values", "constant"])
DELAYS = st.sampled_from([0, 0, 0, 1, 3, 14])
QUICK = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])


@st.composite
def wires(draw, layers):
    """Every inlet of every layer is fed; there may be skips, sparse ones too, or loops."""
    found = []

    def wire(pre, post, inlet, link="full"):
        found.append(Wire(pre, post, inlet, draw(DELAYS), draw(st.booleans()), link))

    looped = draw(st.booleans())
    for k, (kind, _) in enumerate(layers):
        n_inlets = len(KINDS[kind].inlets)
        for inlet in range(n_inlets):
            wire(draw(st.integers(-1, k - 1)) if inlet else k - 1, k, inlet)
        if draw(st.booleans()):
            wire(draw(st.integers(-1, k - 1)), k, 0, "full" if looped else draw(st.sampled_from(["full", "sparse"])))
        if looped and draw(st.booleans()):
            wire(k, k, draw(st.integers(0, n_inlets - 1)))
        if looped and k and draw(st.booleans()):
            wire(k, k - 1, 0)
    return tuple(found)


@st.composite
def cases(draw):
    layers = tuple((draw(st.sampled_from(BUILT_IN)), draw(SIZES)) for _ in range(draw(st.integers(1, 3))))
    joined = draw(wires(layers))
    step = draw(st.booleans()) and all(w.link == "full" for w in joined)
    return Case(
        draw(SIZES), layers, joined, steps=draw(st.integers(1, 12)), samples=draw(st.integers(1, 20)),
        later=draw(st.sampled_from([0, 0, 1, 5])), signal=draw(SIGNALS), density=draw(DENSITIES),
        input_grad=draw(st.booleans()), reads=tuple(k for k in range(len(layers)) if draw(st.booleans())),
        schedule="step" if step else "auto", seed=draw(st.integers(0, 99)),
    )  # fmt: skip


@given(case=cases(), sparing=st.booleans())
@example(case=Case(5, (("clif", 3),), (Wire(-1, 0),), samples=1, signal="constant"), sparing=False)
@example(case=Case(5, (("li", 3),), (Wire(-1, 0, delay=14),), signal="constant", input_grad=True), sparing=False)
@example(case=Case(5, (("li", 3),), (Wire(-1, 0, delay=14, bias=True),), later=7), sparing=True)
@example(
    case=Case(3, (("clif", 1),), (Wire(-1, 0), Wire(-1, 0, link="sparse")), samples=2, density=0.0, input_grad=True),
    sparing=False,
)
@example(
    case=Case(70, (("li", 65), ("li", 66)), (Wire(-1, 0), Wire(0, 1), Wire(1, 0, delay=1)), samples=9), sparing=True
)
@settings(QUICK, max_examples=100)
def test_any_network_gives_equal_spikes_traces_and_gradients(case, sparing):
    on_both_paths(case, sparing=sparing)


@given(
    kind=st.sampled_from(["lif", "two filters"]), n=SIZES, n_in=SIZES, steps=st.integers(1, 12),
    samples=st.integers(1, 20), density=DENSITIES, signal=SIGNALS, seed=st.integers(0, 99),
)  # fmt: skip
@settings(QUICK, max_examples=40)
def test_in_float_a_spike_differs_at_the_threshold_only(kind, n, n_in, steps, samples, density, signal, seed):
    inlets = tuple(Wire(-1, 0, k, bias=True) for k in range(len(KINDS[kind].inlets)))
    case = Case(n_in, ((kind, n),), inlets, steps=steps, samples=samples, density=density, signal=signal, seed=seed,
                reads=(0,), dtype=torch.float32)  # fmt: skip
    found, wanted = results(case), results(case, "torch")
    spikes = wanted["0 read0_spikes"]
    differ = found["0 read0_spikes"] != spikes
    before = wanted["0 read0_v"] + spikes * 1.0  # v_th was subtracted from v
    first = differ & (differ.cumsum(0) == 1)
    assert bool(((before[first] - 1.0).abs() < 1e-5).all())
    if not differ.any():
        assert_equal(found, wanted, 1e-5)


# ---- structures that the drawn networks do not have

SUBTRACTED = Emission(reset=Subtract())


def assert_both_paths_agree(build, inputs, n_steps):
    """Runs what `build` puts into a network on both paths; inputs: what each encoder is given."""
    found = []
    for path in ("auto", "torch"):
        net = sl.Network()
        build(net)
        net.set_backend(sl.TorchBackend(dt=1.0, dtype=torch.float64, path=path))
        net.set_random_seed(4)
        leaves = {k: x if isinstance(x, sl.Spikes) else torch.from_numpy(x).requires_grad_() for k, x in inputs.items()}
        for name, leaf in leaves.items():
            getattr(net, name)(leaf)
        net.run(float(n_steps))
        if path == "auto":
            assert {block.path for block in net.plan.blocks} == {"kernel path"}, net.plan
        random = torch.Generator().manual_seed(0)
        answers = [d.predict for d in net.decoders]
        sum((a * torch.randn(a.shape, generator=random, dtype=a.dtype)).sum() for a in answers).backward()
        grads = [p.grad for p in net.parameters()]
        grads += [leaf.grad for leaf in leaves.values() if not isinstance(leaf, sl.Spikes)]
        found.append([a.detach() for a in answers] + grads)
    for a, b in zip(*found, strict=True):
        assert b.any()
        torch.testing.assert_close(a, b, rtol=0, atol=1e-10 * float(b.abs().max()))


def test_several_encoders_feed_several_populations():
    def build(net):
        net.spikes = sl.Encoder(20, coding_method="null")
        net.current = sl.Encoder(5, coding_method="constant_current")
        net.a = sl.NeuronGroup(33, LIF(emission=SUBTRACTED))
        net.b = sl.NeuronGroup(4, LIF(emission=SUBTRACTED))
        net.c = sl.NeuronGroup(3, LI())
        ways = [(pre, post) for post in (net.a, net.b) for pre in (net.spikes, net.current)]
        for k, (pre, post) in enumerate([*ways, (net.a, net.c), (net.b, net.c), (net.spikes, net.c)]):
            setattr(net, f"w{k}", sl.Connection(pre, post, link_type="full", w_std=0.6, delay=float(k % 3), bias=True))
        net.out, net.seen = reader(net.c, "v"), reader(net.a, "spikes")

    random = np.random.default_rng(0)
    spikes = sl.Spikes.from_raster((random.random((8, 5, 20)) < 0.2).astype(np.int8), 1.0)
    assert_both_paths_agree(build, {"spikes": spikes, "current": random.normal(size=(5, 5))}, 8)


@pytest.mark.parametrize("events", [False, True], ids=["raster", "events"])
def test_images_through_convolution_and_pooling(events):
    def build(net):
        net.x = sl.Encoder(shape=(2, 8, 8), coding_method="null")
        net.a = sl.NeuronGroup(shape=(3, 6, 6), model=LIF(emission=SUBTRACTED))
        net.p = sl.NeuronGroup(shape=(3, 3, 3), model=LIF(v_th=0.5, emission=SUBTRACTED))
        net.c = sl.NeuronGroup(5, LI())
        net.conv = sl.Connection(net.x, net.a, link_type="conv", kernel_size=(3, 3), w_std=0.5, bias=True)
        net.pool = sl.Connection(net.a, net.p, link_type="pool", pool="max", kernel_size=(2, 2))
        net.full = sl.Connection(net.p, net.c, link_type="full", w_std=0.5, delay=1.0)
        net.same = sl.Connection(net.p, net.p, link_type="full", w_std=0.2)
        net.out = reader(net.c, "v")

    raster = (np.random.default_rng(0).random((7, 3, 2, 8, 8)) < 0.3).astype(np.float64)
    x = sl.Spikes.from_raster(raster, 1.0) if events else raster.swapaxes(0, 1).copy()
    assert_both_paths_agree(build, {"x": x}, 7)


def test_a_loop_of_three_populations():
    def build(net):
        net.x = sl.Encoder(6, coding_method="null")
        groups = [sl.NeuronGroup(n, LIF(tau_m=4.0, emission=SUBTRACTED)) for n in (17, 5, 64)]
        for k, group in enumerate(groups):
            setattr(net, f"g{k}", group)
        net.first = sl.Connection(net.x, groups[0], link_type="full", w_std=1.0)
        for k in range(3):
            post = groups[(k + 1) % 3]
            setattr(net, f"w{k}", sl.Connection(groups[k], post, link_type="full", w_std=0.8, delay=float(k)))
        net.out = reader(groups[2], "v")

    assert_both_paths_agree(build, {"x": np.random.default_rng(1).random((9, 12, 6))}, 12)


@pytest.mark.parametrize("n", [5, 16, 65])
def test_what_pads_a_tile_is_silent(n):
    """Neurons that fire by themselves, so that those beyond the population would fire too."""

    def build(net):
        net.x = sl.Encoder(3, coding_method="null")
        net.a = sl.NeuronGroup(n, LIF(v_rest=1.8, tau_m=2.0, emission=SUBTRACTED))
        net.b = sl.NeuronGroup(4, LI())
        net.c = sl.Connection(net.x, net.a, link_type="full", w_std=0.1)
        net.d = sl.Connection(net.a, net.b, link_type="full", w_std=0.2)
        net.loop = sl.Connection(net.a, net.a, link_type="full", w_mean=-0.1 / n, w_std=0.1)
        net.out = reader(net.b, "v")
        built.append(net)

    built = []
    assert_both_paths_agree(build, {"x": np.ones((2, 20, 3))}, 20)
    rates = [net.firing_rates()["a"] for net in built]
    assert rates[0] == pytest.approx(rates[1])
    assert 100 < rates[0] < 900


def test_the_answers_of_the_decoders_are_those_of_the_torch_path():
    def build(net):
        net.x = sl.Encoder(6, coding_method="null")
        net.a = sl.NeuronGroup(8, LIF(emission=SUBTRACTED))
        net.c = sl.Connection(net.x, net.a, link_type="full", w_std=1.0)
        net.counts = sl.Decoder(dec_target=net.a, pop_size=2)
        net.rate = sl.Decoder(dec_target=net.a, coding_method="spike_rate")
        net.first = sl.Decoder(dec_target=net.a, coding_method="first_spike")
        net.trace = sl.Decoder(dec_target=net.a, coding_method="v_t")

    assert_both_paths_agree(build, {"x": np.random.default_rng(1).random((9, 12, 6))}, 12)
