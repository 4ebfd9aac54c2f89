"""The recording flags: seed 001's table, their twins, and what is refused."""

from argparse import Namespace
from dataclasses import fields
from typing import Annotated

import pytest
import typer
from typer.testing import CliRunner

from spikeloom.errors import ParameterError
from spikeloom.recording import RecorderConfig, RecordingOptions
from spikeloom.recording.options import FLAGS, FlagParser, with_recording_options

SEED_001 = {
    "--enable-recording": ("enable_recording", False),
    "--record-spikes": ("record_spikes", True),
    "--record-membrane": ("record_membrane", False),
    "--record-weights": ("record_weights", False),
    "--record-control": ("record_control", True),
    "--recording-dir": ("output_dir", "./sim_recordings"),
    "--session-name": ("session_name", None),
}
"""Seed 001, "Command line arguments": flag, setting, default."""


def parsed(*words):
    parser = FlagParser("A program.")
    RecordingOptions.add_to(parser)
    parser.add_argument("--node-id", default="main")
    return parser.parse_args(words)


def config(*words):
    return RecordingOptions.of(parsed(*words)).config()


@pytest.mark.parametrize("flag", SEED_001)
def test_a_flag_of_the_seed_has_the_seed_s_default(flag):
    setting, default = SEED_001[flag]
    assert getattr(config(), setting) == default


@pytest.mark.parametrize("flag", [flag for flag, (_, default) in SEED_001.items() if isinstance(default, bool)])
def test_a_switch_is_turned_on_and_off(flag):
    setting, _ = SEED_001[flag]
    assert getattr(config(flag), setting) is True
    assert getattr(config(flag.replace("--", "--no-", 1)), setting) is False


def test_every_setting_has_a_flag_with_its_default():
    assert sorted(flag.setting for flag in FLAGS.values()) == sorted(field.name for field in fields(RecorderConfig))
    assert config() == RecorderConfig()


def test_flags_give_the_settings():
    found = config(
        *("--enable-recording", "--recording-dir", "out", "--session-name", "my_experiment_001"),
        *("--spike-subsample-rate", "0.1", "--spike-subsample-mode", "steps", "--membrane-subsample-rate", "0.5"),
        *("--max-recording-duration", "600", "--max-wall-seconds", "9.5", "--min-free-bytes", "1000"),
        *("--buffer-size", "50", "--batch-steps", "20", "--compression", "none", "--compression-level", "9"),
        *("--no-auto-flush", "--flush-interval", "2", "--weight-interval", "5", "--fsync", "--recording-seed", "3"),
    )
    assert found == RecorderConfig(
        enable_recording=True,
        output_dir="out",
        session_name="my_experiment_001",
        spike_subsample_rate=0.1,
        spike_subsample_mode="steps",
        membrane_subsample_rate=0.5,
        max_recording_duration=600.0,
        max_wall_seconds=9.5,
        min_free_bytes=1000,
        buffer_size=50,
        batch_steps=20,
        compression=None,
        compression_level=9,
        auto_flush=False,
        flush_interval=2.0,
        weight_interval=5.0,
        fsync=True,
        seed=3,
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--record-spike"], "unknown option '--record-spike'; did you mean '--record-spikes'"),
        (["--enable"], "unknown option '--enable'"),
        (["--session-nam=x"], "did you mean '--session-name'"),
        (["--buffer-size", "many"], "--buffer-size: invalid int value: 'many'"),
        (["--session-name"], "expected one argument"),
    ],
)
def test_words_that_are_no_flags_end_the_program(words, message, capsys):
    with pytest.raises(SystemExit) as stop:
        parsed(*words)
    assert stop.value.code == 2
    assert message in capsys.readouterr().err


def test_a_value_that_no_recording_can_have_names_its_flag():
    for words, message in (
        (["--spike-subsample-rate", "2"], r"^--spike-subsample-rate must be a fraction in \(0, 1\], got 2.0"),
        (["--spike-subsample-mode", "step"], "--spike-subsample-mode must be one of .* did you mean 'steps'"),
        (["--session-name", "../x"], "--session-name must be"),
        (["--recording-dir", ""], "--recording-dir must be a folder"),
        (["--recording-seed", "-1"], "--recording-seed must be"),
    ):
        with pytest.raises(ParameterError, match=message):
            config(*words)


def test_options_take_known_names_only():
    assert RecordingOptions(enable_recording=True, recording_dir="x").config().output_dir == "x"
    with pytest.raises(ParameterError, match="unknown option 'record_spike'; did you mean 'record_spikes'"):
        RecordingOptions(record_spike=True)


def test_other_values_of_a_parser_are_left_alone():
    assert RecordingOptions.of(Namespace(node_id="a", record_membrane=True)).given == {"record_membrane": True}


def test_help_names_every_flag_and_its_twin(capsys):
    with pytest.raises(SystemExit):
        parsed("--help")
    text = capsys.readouterr().out
    assert all(f"--{name.replace('_', '-')}" in text for name in FLAGS)
    assert "--no-record-spikes" in text


def test_a_typer_command_gets_the_same_flags():
    app, seen = typer.Typer(), []

    @app.command()
    @with_recording_options
    def program(recording: RecordingOptions, node_id: Annotated[str, typer.Option()] = "main") -> None:
        seen.append((node_id, recording.config()))

    words = ["--node-id", "a", "--enable-recording", "--no-record-spikes", "--max-recording-duration", "3"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    expected = RecorderConfig(enable_recording=True, record_spikes=False, max_recording_duration=3.0)
    assert seen == [("a", expected)]
    assert CliRunner().invoke(app, ["--record-spike"]).exit_code == 2
