"""The picture of a network shows each member and connection, in the order of spikes, none on top of another."""

import itertools

import numpy as np
import pytest
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

import spikeloom as sl
from spikeloom.analysis.network_layout import columns, placed
from spikeloom.analysis.network_plot import plot_network
from spikeloom.errors import StateError


def area(n: int) -> sl.Assembly:
    block = sl.Assembly()
    block.layers = sl.Assembly()
    block.layers.first, block.layers.second = sl.NeuronGroup(n, model="lif"), sl.NeuronGroup(n // 2, model="clif")
    block.layers.c = sl.Connection(block.layers.first, block.layers.second, link_type="full")
    block.inhibition = sl.NeuronGroup(5, model="lif")
    block.e = sl.Connection(block.layers.second, block.inhibition, link_type="sparse", density=0.1)
    block.i = sl.Connection(block.inhibition, block.layers.second, link_type="full", delay=1.0)
    block.again = sl.Connection(block.inhibition, block.inhibition, link_type="full")
    return block


def brain() -> sl.Network:
    net = sl.Network("brain")
    net.input = sl.Encoder(784)
    net.eye, net.hand = area(40), area(20)
    net.to_eye = sl.Connection(net.input, net.eye.layers.first, link_type="full", bias=True)
    net.on = sl.Connection(net.eye.layers.second, net.hand.layers.first, link_type="full", filter=sl.LowPass(tau=5.0))
    net.on_2 = sl.Connection(net.eye.layers.second, net.hand.layers.first, link_type="full")
    net.out = sl.NeuronGroup(10, model="li")
    net.read = sl.Connection(net.hand.layers.second, net.out, link_type="full")
    net.over = sl.Connection(net.input, net.out, link_type="full")
    net.output = sl.Decoder(dec_target=net.out, coding_method="v_t")
    return net


def texts(figure) -> list[str]:
    return [text.get_text() for text in figure.axes[0].texts]


def arrows(figure) -> list[FancyArrowPatch]:
    return [patch for patch in figure.axes[0].patches if isinstance(patch, FancyArrowPatch)]


def boxes(figure) -> list[tuple[float, float, float, float]]:
    """Left, right, top and bottom of each node."""
    patches = [p for p in figure.axes[0].patches if isinstance(p, FancyBboxPatch) and p.zorder == 3]
    return sorted({(p.get_x(), p.get_x() + p.get_width(), p.get_y(), p.get_y() + p.get_height()) for p in patches})


def test_every_node_and_connection_is_drawn_and_told():
    net = brain()
    figure = plot_network(net)
    shown = texts(figure)
    for component in (net.input, *net.groups, net.output):
        assert component.name in shown
    assert {"784", "10 li", "40 lif", "poisson encoder", "v_t"} <= set(shown)
    assert len(arrows(figure)) == len(net.connections) + 1
    assert "full 40×784\n31,400 parameters" in shown
    assert "full 20×20\n400 parameters\nLowPass(tau 5)" in shown
    assert figure.axes[0].get_title(loc="left") == "brain: 110 neurons, 41,357 parameters"


def test_the_step_of_a_loop_is_told_on_its_connections_and_drawn_in_another_colour():
    net = brain()
    figure = plot_network(net)
    assert sum("1 step" in text for text in texts(figure)) == 6
    assert "full 20×5\n100 parameters\ndelay 1 ms + 1 step" in texts(figure)
    colours = [arrow.get_edgecolor() for arrow in arrows(figure)]
    assert sorted(map(colours.count, set(colours))) == [6, len(net.connections) + 1 - 6]


def test_no_node_covers_another_and_frames_hold_just_their_members():
    net = brain()
    figure = plot_network(net)
    nodes = boxes(figure)
    assert len(nodes) == len(net.groups) + 2
    for a, b in itertools.combinations(nodes, 2):
        assert a[1] <= b[0] or b[1] <= a[0] or a[3] <= b[2] or b[3] <= a[2]
    names = [*[g.path for g in net.groups], "input", "output"]
    places, frames = placed(names, edges_of(net))
    assert {frame.path for frame in frames} == {"eye", "eye.layers", "hand", "hand.layers"}
    for frame, (name, place) in itertools.product(frames, places.items()):
        inside = frame.first <= place.column <= frame.last and frame.top < place.row < frame.bottom
        assert inside == name.startswith(f"{frame.path}."), (frame.path, name)


def edges_of(net: sl.Network) -> list[tuple[str, str]]:
    return [(c.pre.path, c.post.path) for c in net.connections] + [(d.target.path, d.path) for d in net.decoders]


def test_columns_follow_the_spikes_and_a_loop_is_unrolled_where_it_is_entered():
    edges = [("in", "b"), ("b", "c"), ("c", "d"), ("d", "b"), ("d", "out"), ("in", "out"), ("x", "x")]
    found = columns(["out", "d", "c", "b", "in", "x"], edges)
    assert found == {"in": 0, "b": 1, "c": 2, "d": 3, "out": 4, "x": 0}


def test_a_connection_past_a_node_does_not_run_through_it():
    net = sl.Network()
    net.a, net.b, net.c = (sl.NeuronGroup(3, model="lif") for _ in range(3))
    net.ab, net.bc = sl.Connection(net.a, net.b, link_type="full"), sl.Connection(net.b, net.c, link_type="full")
    net.ac = sl.Connection(net.a, net.c, link_type="full")
    figure = plot_network(net)
    left, right, top, bottom = boxes(figure)[1]
    long = max(arrows(figure), key=lambda arrow: len(arrow.get_path().vertices))
    corners = max(long.get_path().to_polygons(closed_only=False), key=len)
    at = np.linspace(0, len(corners) - 1, 500)
    points = np.stack([np.interp(at, np.arange(len(corners)), side) for side in np.transpose(corners)], axis=1)
    beside = (points[:, 0] > left) & (points[:, 0] < right)
    assert beside.any()
    assert not ((points[beside, 1] > top) & (points[beside, 1] < bottom)).any()


def test_the_picture_is_written_in_the_format_of_its_ending(tmp_path):
    net = brain()
    net.plot(tmp_path / "deep" / "net.svg")
    figure = net.plot(str(tmp_path / "net.png"))
    assert (tmp_path / "net.png").read_bytes().startswith(b"\x89PNG")
    assert b"<svg" in (tmp_path / "deep" / "net.svg").read_bytes()[:2000]
    assert figure.axes


def test_merges_generators_and_a_lone_population_are_drawn_too():
    net = sl.Network()
    net.a = sl.NeuronGroup(3, model="lif")
    assert len(boxes(plot_network(net))) == 1
    net.noise = sl.Generator(3, "poisson_generator", rate=10.0)
    net.both = sl.Merge(net.a, net.noise)
    net.b = sl.NeuronGroup(3, model="lif")
    net.c = sl.Connection(net.both, net.b, link_type="one_to_one")
    figure = plot_network(net)
    assert len(boxes(figure)) == 4
    assert len(arrows(figure)) == 3
    assert {"both", "merge", "noise", "generator"} <= set(texts(figure))


def test_an_empty_network_has_no_picture():
    with pytest.raises(StateError, match="the network is empty"):
        sl.Network().plot()
