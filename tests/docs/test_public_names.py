"""The top level: every name that its stub lists is there, and importing it is cheap."""

import ast
import subprocess
import sys
from pathlib import Path

import spikeloom

STUB = Path(spikeloom.__file__).with_suffix(".pyi")


def listed() -> dict[str, str]:
    tree = ast.parse(STUB.read_text())
    return {a.name: node.module for node in tree.body if isinstance(node, ast.ImportFrom) for a in node.names}


def test_every_listed_name_is_the_object_of_its_home():
    names = listed()
    assert len(names) > 40
    for name, module in names.items():
        home = __import__(f"spikeloom.{module}", fromlist=[name])
        assert getattr(spikeloom, name) is getattr(home, name)
        assert name in dir(spikeloom)


def test_the_names_that_programs_of_other_frameworks_use_are_at_the_top_level():
    names = (
        "Network Encoder Decoder NeuronGroup Connection StateMonitor SpikeMonitor Learner Torch_Backend Dataloader "
        "network_save network_load SimulationRecorder RecorderConfig SimulationAnalyzer set_global_recorder Assembly"
    )
    missing = set(names.split()) - set(listed())
    assert not missing


def test_every_name_of_the_engines_that_runs_something_is_at_the_top_level():
    assert (
        listed().items() >= {"TorchBackend": "backends", "Torch_Backend": "backends", "PlasticRun": "backends"}.items()
    )


def test_importing_the_package_loads_neither_torch_nor_matplotlib():
    code = "import sys, spikeloom; sys.exit('torch' in sys.modules or 'matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_the_ground_works_where_torch_cannot_be_imported():
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from spikeloom import errors, registry, units, ops, filters\n"
        "import spikeloom.neurons\n"
        "assert spikeloom.neurons.LIF().tau_m == 8.0"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_modules_of_the_seeds_are_attributes_of_the_package():
    code = "import spikeloom as s; s.Library.ExampleNet, s.Library.network_save, s.Network_saver.network_save"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
