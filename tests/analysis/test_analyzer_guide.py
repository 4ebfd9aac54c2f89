"""The analysis programs of the guide to EvoSpikeNet's recordings (seed 001), with the package's name changed only.

Lines that its text has lost to comments are put back as its other sections have them.
"""

import numpy as np
import pytest

from spikeloom.recording import RecorderConfig, SimulationRecorder

BASIC = """
from spikeloom.sim_analyzer import SimulationAnalyzer

analyzer = SimulationAnalyzer("./sim_recordings/sim_20251206_001234")

# Show recorded nodes
nodes = analyzer.get_recorded_nodes()
print(f"Recorded nodes: {nodes}")
# Show layers for each node
for node_id in nodes:
    layers = analyzer.get_recorded_layers(node_id)
    print(f"{node_id}: {layers}")
# Get spike data
timestamps, spike_arrays = analyzer.get_spike_data("pfc-0", "output")
print(f"Recorded {len(spike_arrays)} timesteps")
# Calculate firing rate
stats = analyzer.compute_firing_rate("pfc-0", "output")
print(f"Mean firing rate: {stats['mean_rate_hz']:.2f} Hz")
print(f"Total spikes: {stats['total_spikes']:,}")
# Finish analysis
analyzer.close()
"""

VISUALIZATION = """
from spikeloom.sim_analyzer import SimulationAnalyzer

with SimulationAnalyzer("./sim_recordings/sim_20251206_001234") as analyzer:
    # spy cluster plot
    analyzer.plot_spike_raster(
        node_id="pfc-0",
        layer_name="output",
        max_neurons=100, # Maximum number of neurons to display
        save_path="./pfc_raster.png"
    )
    # Firing rate time series plot
    analyzer.plot_firing_rate_timeline(
        node_id="pfc-0",
        layer_name="output",
        bin_size_ms=50.0, # Aggregated in 50ms bins
        save_path="./pfc_timeline.png"
    )
    # Summary report generation
    report = analyzer.generate_summary_report("./analysis_report.txt")
    print(report)
"""

BEHAVIOR = """
from spikeloom.sim_analyzer import SimulationAnalyzer

analyzer = SimulationAnalyzer("./sim_recordings/sim_20251206_001234")
control_states = analyzer.load_control_states()
print(f"Total control records: {len(control_states)}")
# Node operation statistics
behavior = analyzer.analyze_node_behavior("pfc-0")
print(f"Task active ratio: {behavior['task_active_ratio']:.2%}")
print(f"Unique statuses: {behavior['unique_statuses']}")
print(f"Step range: {behavior['step_range']}")
analyzer.close()
"""

COOPERATION = """
from spikeloom.sim_analyzer import SimulationAnalyzer

analyzer = SimulationAnalyzer("./sim_recordings/multi_node_test")

# Compare the behavior of all nodes
for node_id in analyzer.get_recorded_nodes():
    behavior = analyzer.analyze_node_behavior(node_id)
    print(f"\\n{node_id}:")
    print(f" Task active: {behavior['task_active_ratio']:.2%}")

    for layer in analyzer.get_recorded_layers(node_id):
        stats = analyzer.compute_firing_rate(node_id, layer)
        print(f" {layer}: {stats['mean_rate_hz']:.2f} Hz")
"""


def record(name, nodes):
    """Records 100 steps of 1 ms: every tenth step, all of a node's three neurons fire; its task lasts 30 steps."""
    config = RecorderConfig(enable_recording=True, session_name=name)
    with SimulationRecorder(config) as recorder:
        for step in range(100):
            for node, layer in nodes:
                if step in (0, 50, 80, 99):
                    task = "solve" if step == 50 else None
                    recorder.record_control_state(node, "pfc", "Processing" if task else "Idle", task, step)
                recorder.record_spike_data(node, layer, np.full(3, step % 10 == 0, np.int8))


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Runs a program of the guide in an empty folder with its recordings; what it prints."""
    monkeypatch.chdir(tmp_path)
    record("sim_20251206_001234", [("pfc-0", "output"), ("visual-0", "lif")])
    record("multi_node_test", [("pfc-0", "output"), ("visual-0", "lif"), ("lang-main-0", "lif")])

    def printed(program):
        exec(compile(program, "guide", "exec"), {})
        return capsys.readouterr().out.splitlines()

    return printed


def test_basic_analysis(run):
    assert run(BASIC) == [
        "Recorded nodes: ['pfc-0', 'visual-0']",
        "pfc-0: ['output']",
        "visual-0: ['lif']",
        "Recorded 100 timesteps",
        "Mean firing rate: 100.00 Hz",
        "Total spikes: 30",
    ]


def test_visualization(run, tmp_path):
    lines = run(VISUALIZATION)
    assert "  output: 3 neurons, 30 spikes, 100.0 Hz in 1 sample, 0.100 s in all" in lines
    assert (tmp_path / "analysis_report.txt").read_text().splitlines() == lines[:-1]
    for name in ("pfc_raster.png", "pfc_timeline.png"):
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")


def test_analyzing_node_behavior(run):
    ratio = f"Task active ratio: {30 / 99:.2%}"
    assert run(BEHAVIOR) == [
        "Total control records: 8",
        ratio,
        "Unique statuses: ['Idle', 'Processing']",
        "Step range: (0, 99)",
    ]


def test_cooperative_behavior_of_several_nodes(run):
    lines = [line for line in run(COOPERATION) if line]
    assert lines == [
        line
        for node, layer in (("lang-main-0", "lif"), ("pfc-0", "output"), ("visual-0", "lif"))
        for line in (f"{node}:", f" Task active: {30 / 99:.2%}", f" {layer}: 100.00 Hz")
    ]
