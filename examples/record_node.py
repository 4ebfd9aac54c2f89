"""One node of a simulation: runs a network, records it, and shares the session with the nodes that name the same one.

In three terminals:

    python examples/record_node.py --node-id pfc-0 --module-type pfc --enable-recording --session-name demo
    python examples/record_node.py --node-id visual-0 --module-type visual --enable-recording --session-name demo
    python examples/record_node.py --node-id lang-0 --module-type lang-main --enable-recording --session-name demo

then `spikeloom analyze sim_recordings/demo`. Ctrl-C ends a node early; what it has recorded is whole.
"""

import signal
import sys
from argparse import Namespace

import numpy as np

import spikeloom
from spikeloom.recording.options import FlagParser, RecordingOptions

WINDOW = 50.0
"""ms that each picture is shown; after it, the node rests as long."""


def parser() -> FlagParser:
    flags = FlagParser("Runs one network as a node, and records it.")
    flags.add_argument("--node-id", default="main", help="Name of the node in the session. Default: %(default)s.")
    flags.add_argument("--module-type", default="network", help="What the node is, such as pfc or visual.")
    flags.add_argument("--network", metavar="FILE", help="A saved network; a small one is made when none is given.")
    flags.add_argument("--duration", type=float, default=1.0, help="Simulated seconds. Default: %(default)s.")
    flags.add_argument("--seed", type=int, default=0, help="Seed of weights, pictures and spikes. Default: 0.")
    RecordingOptions.add_to(flags)
    return flags


def small_network() -> spikeloom.Network:
    """64 Poisson inputs, and 40 neurons that excite 10."""
    net = spikeloom.Network("small")
    with net:
        retina = spikeloom.Encoder(64, coding_method="poisson")
        hidden = spikeloom.NeuronGroup(40, model="lif", tau_m=10.0)
        output = spikeloom.NeuronGroup(10, model="lif", tau_m=10.0)
        net.into = spikeloom.Connection(retina, hidden, link_type="full", w_mean=0.03, w_std=0.1)
        net.onward = spikeloom.Connection(hidden, output, link_type="full", w_mean=0.05, w_std=0.1)
    net.set_backend_dt(1.0)
    return net


def run(given: Namespace, net: spikeloom.Network, recorder: spikeloom.SimulationRecorder) -> None:
    """Shows one random picture after the other, and tells the recorder what the node does."""
    generator = np.random.default_rng(given.seed)
    left, n_windows, steps = given.duration * 1000, 0, 0
    while left > 1e-6:
        window, is_shown = min(WINDOW, left), n_windows % 2 == 0
        for encoder in net.encoders:
            encoder(generator.random((1, *encoder.shape)) * 0.2 * is_shown)
        recorder.record_control_state(
            node_id=given.node_id,
            module_type=given.module_type,
            status="Processing" if is_shown else "Idle",
            active_task=f"picture {n_windows // 2}" if is_shown else None,
            step_count=steps,
        )
        net.run_continue(window, record=recorder)
        left, n_windows, steps = left - window, n_windows + 1, steps + round(window / net.backend.dt)


def main() -> None:
    flags = parser()
    given = flags.parse_args()
    is_interrupted = False
    for end in (signal.SIGINT, signal.SIGTERM):
        signal.signal(end, signal.default_int_handler)
    try:
        config = RecordingOptions.of(given).config()
        net = spikeloom.network_load(given.network) if given.network else small_network()
        net.set_random_seed(given.seed)
        with spikeloom.SimulationRecorder(config, node_id=given.node_id) as recorder:
            try:
                run(given, net, recorder)
            except KeyboardInterrupt:
                is_interrupted = True
                print("interrupted", file=sys.stderr)
    except spikeloom.SpikeloomError as error:
        flags.exit(1, f"error: {error}\n")
    show(given.node_id, recorder)
    sys.exit(130 if is_interrupted else 0)


def show(node: str, recorder: spikeloom.SimulationRecorder) -> None:
    told = recorder.get_statistics()
    if told["session"] is None:
        print(f"{node} was not recorded: give --enable-recording")
        return
    print(f"{node}: {told['simulated_seconds']:g} s, {told['total_spikes_recorded']:,} spikes, {recorder.path}")
    if told["stopped_by"]:
        print(f"recording stopped by {told['stopped_by']}")


if __name__ == "__main__":
    main()
