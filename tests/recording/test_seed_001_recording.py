"""Seed 001's Python programs of the recorder, as printed: only the package's name is changed.

Put back is what the printed text has lost: imports, `process_timestep` and the settings behind `...`.
"""

import json
import logging
import shutil
from types import SimpleNamespace

import h5py
import numpy as np
import pytest

import spikeloom
from spikeloom.recording import Session, get_global_recorder, set_global_recorder

PYTHON_API = """
from spikeloom.sim_recorder import SimulationRecorder, RecorderConfig
from spikeloom.sim_recorder import set_global_recorder
# Create recording settings
config = RecorderConfig(
enable_recording=True,
record_spikes=True,
record_membrane=True,
record_weights=False,
output_dir="./my_recordings",
session_name="experiment_xor_task",
spike_subsample_rate=1.0, # Record all spikes
membrane_subsample_rate=0.1, # Membrane potential is sampled at 10%
max_recording_duration=300.0 # Record up to 5 minutes
)
# Initialize recorder
recorder = SimulationRecorder(config)
# Set as global recorder (available on all nodes)
set_global_recorder(recorder)
# ... Run simulation ...
run_simulation()
# end recording
recorder.close()
"""

CUSTOM_METADATA = """
# Custom recording within ZenohBrainNode
def _process_pfc_timestep(self):
    # Existing processing...
    # Records PFC-specific metadata
    if self.recorder and self.pfc_engine:
        # Record PFC entropy
        entropy = self.pfc_engine.calculate_entropy()
        self.recorder.record_control_state(
            node_id=self.node_id,
            module_type=self.module_type,
            status="Processing",
            active_task=self.active_task,
            step_count=self.step_count,
            metadata={
                "pfc_entropy": float(entropy),
                "working_memory_size": len(self.working_memory),
                "quantum_modulation": self.pfc_engine.alpha_t
            }
        )
"""

SUBSAMPLING = """
from spikeloom.sim_recorder import RecorderConfig
# Settings for long-term simulations
config = RecorderConfig(
enable_recording=True,
record_spikes=True,
record_membrane=False, # Membrane potential is not recorded
spike_subsample_rate=0.1, # Only 10% of spikes recorded
max_recording_duration=3600.0, # up to 1 hour
buffer_size=2000, # Increase buffer size to reduce number of writes
compression="gzip", # GZIP compression
compression_level=6 # Compression level (1-9, higher is smaller but slower)
)
"""

MANUAL_FLUSH = """
recorder = SimulationRecorder(config)
for step in range(10000):
    # Simulation step execution
    process_timestep()
    # Manually flush every 100 steps
    if step % 100 == 0:
        recorder.flush_all()
        stats = recorder.get_statistics()
        print(f"Step {step}: {stats['total_spikes_recorded']:,} spikes recorded")
recorder.close()
"""

CORRUPTED = """
# Use context manager (auto close)
with SimulationRecorder(config) as recorder: # Simulation execution
    pass # automatically closed
# or explicit try-finally
recorder = SimulationRecorder(config)
try: # simulation
    pass
finally:
    recorder.close()
"""

DISK_SPACE = """
# Set maximum recording time
config = RecorderConfig(
max_recording_duration=600.0, # Automatically stops after 10 minutes
{settings}
)
recorder = SimulationRecorder(config)
# Or check your storage regularly
import shutil
disk_usage = shutil.disk_usage(config.output_dir)
if disk_usage.free < 1e9: # Less than 1GB
    recorder.close()
    logger.warning("Disk space low, stopped recording")
"""

PERFORMANCE = """
# More aggressive subsampling
config = RecorderConfig( spike_subsample_rate=0.05, # 5% only
auto_flush=False, # Disable automatic flush
{settings}
)
recorder = SimulationRecorder(config)
for step in range(3000):
    process_timestep()
    # Manually flush regularly
    if step % 1000 == 0: recorder.flush_all()
recorder.close()
"""

USE_CASE_2 = """
config = RecorderConfig( enable_recording=True, spike_subsample_rate=0.1, max_recording_duration=7200.0, # 2 hours
compression_level=6 )
"""


@pytest.fixture
def program(tmp_path, monkeypatch):
    """Runs printed programs one after the other in an empty folder, with some names known."""
    monkeypatch.chdir(tmp_path)
    names = {
        "SimulationRecorder": spikeloom.SimulationRecorder,
        "RecorderConfig": spikeloom.RecorderConfig,
        "logger": logging.getLogger("program"),
    }

    def run(text, **known):
        space = names | known
        exec(compile(text, "seed 001", "exec"), space)
        return space

    yield run
    set_global_recorder(None)


def steps(recorded, n_neurons=20):
    """A `process_timestep` that hands one step to the recorder that `recorded` returns."""
    generator = np.random.default_rng(0)

    def process_timestep():
        recorded().record_spike_data("pfc-0", "output", (generator.random(n_neurons) < 0.1).astype(np.int8))

    return process_timestep


def test_the_python_api_records_every_run_of_the_process(program, tmp_path):
    net = spikeloom.Network("xor")
    with net:
        into = spikeloom.Encoder(4, coding_method="poisson")
        layer = spikeloom.NeuronGroup(3, model="lif")
        net.wire = spikeloom.Connection(into, layer, link_type="full", w_mean=0.5)
    net.set_backend_dt(1.0)
    net.set_random_seed(0)
    net.into(np.full((1, 4), 0.5))
    program(PYTHON_API, run_simulation=lambda: net.run(100.0))
    path = tmp_path / "my_recordings" / "experiment_xor_task"
    assert {"simulation_data.h5", "control_states.jsonl", "recording_statistics.json"} >= {
        file.name for file in path.iterdir() if file.is_file() and file.name.count(".") == 1
    }
    with Session(path) as session:
        assert session.extent("main", "layer").n_steps == 100
        assert sum(len(batch.values) for batch in session.membrane("main", "layer")) == 10
    assert get_global_recorder() is None


def test_custom_metadata_is_recorded_with_a_control_state(program, tmp_path):
    space = program(CUSTOM_METADATA)
    config = spikeloom.RecorderConfig(enable_recording=True, output_dir=tmp_path, session_name="s")
    with spikeloom.SimulationRecorder(config) as recorder:
        node = SimpleNamespace(
            recorder=recorder, pfc_engine=SimpleNamespace(calculate_entropy=lambda: np.float32(0.5), alpha_t=0.25),
            node_id="pfc-0", module_type="pfc", active_task="route", step_count=7, working_memory=[1, 2, 3],
        )  # fmt: skip
        space["_process_pfc_timestep"](node)
    (state,) = [json.loads(line) for line in (tmp_path / "s" / "control_states.jsonl").read_text().splitlines()]
    assert state["metadata"] == {"pfc_entropy": 0.5, "working_memory_size": 3, "quantum_modulation": 0.25}
    assert (state["node_id"], state["active_task"], state["step_count"]) == ("pfc-0", "route", 7)


def test_a_subsampled_recording_flushed_by_hand_keeps_a_tenth_of_the_neurons(program, capsys):
    space = program(SUBSAMPLING)
    box = {}

    def made(config):
        box["recorder"] = spikeloom.SimulationRecorder(config)
        return box["recorder"]

    timestep = steps(lambda: box["recorder"])
    program(MANUAL_FLUSH, config=space["config"], SimulationRecorder=made, process_timestep=timestep)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 100
    assert lines[0].startswith("Step 0: ")
    with Session(box["recorder"].path) as session:
        assert session.extent("pfc-0", "output").n_steps == 10_000
        train = session.train("pfc-0", "output")
        assert train.n_spikes > 0
        assert set(train.ids) <= set(session.sampling("pfc-0", "output").neurons)
        assert len(session.sampling("pfc-0", "output").neurons) == 2
        assert session.metadata("pfc-0")["config"]["compression_level"] == 6


def test_a_recorder_that_is_never_closed_leaves_no_corrupted_file(program, tmp_path):
    config = spikeloom.RecorderConfig(enable_recording=True)
    program(CORRUPTED, config=config)
    recorder = spikeloom.SimulationRecorder(config)
    steps(lambda: recorder)()
    recorder.flush_all()
    shutil.copytree(recorder.path, tmp_path / "left")
    recorder.close()
    with h5py.File(tmp_path / "left" / "simulation_data.h5") as file:
        assert len(file["spikes/pfc-0/output"]) == 1


def test_the_disk_that_runs_full_stops_the_recording_by_itself_or_by_hand(program, monkeypatch, caplog):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=5e8))
    space = program(DISK_SPACE.format(settings="enable_recording=True, output_dir='.', session_name='by_hand'"))
    assert space["recorder"].get_statistics()["state"] == "closed"
    assert "Disk space low" in caplog.text
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=5e7))
    config = spikeloom.RecorderConfig(enable_recording=True, session_name="by_itself")
    with spikeloom.SimulationRecorder(config) as recorder:
        steps(lambda: recorder)()
        recorder.flush_all()
    with Session(recorder.path) as session:
        assert session.statistics()["stopped_by"].startswith("min_free_bytes")


def test_flushing_by_hand_alone_loses_nothing(program):
    box = {}

    def made(config):
        box["recorder"] = spikeloom.SimulationRecorder(config)
        return box["recorder"]

    text = PERFORMANCE.format(settings="enable_recording=True, session_name='s'")
    program(text, SimulationRecorder=made, process_timestep=steps(lambda: box["recorder"]))
    with Session("sim_recordings/s") as session:
        assert session.extent("pfc-0", "output").n_steps == 3000
        assert len(session.sampling("pfc-0", "output").neurons) == 1


def test_the_settings_of_use_case_2_are_settings(program):
    assert program(USE_CASE_2)["config"].max_recording_duration == 7200.0
