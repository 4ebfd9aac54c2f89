"""Wrong usage of the command, from a misspelt word to a setting that cannot work: a short message, nothing left."""

import json
from importlib.metadata import version

import pytest

from spikeloom.cli import main


@pytest.fixture
def command(tmp_path, monkeypatch, capsys):
    """Runs the command in an empty folder: its code, what it printed, its messages."""
    monkeypatch.chdir(tmp_path)

    def run(*words):
        with pytest.raises(SystemExit) as stop:
            main(list(words))
        return stop.value.code, *capsys.readouterr()

    return run


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("trian",), "trian"),
        (("train", "--bogus"), "--bogus"),
        (("train", "--epochs", "abc"), "--epochs"),
        (("train", "extra"), "extra"),
        (("analyze",), "session"),
    ],
)
def test_wrong_usage_is_a_short_message_with_code_2(words, message, command):
    code, out, err = command(*words)
    assert code == 2
    assert out == ""
    assert err.startswith("Usage: ")
    assert message in err
    assert len(err.splitlines()) < 10


def test_no_command_shows_the_help(command):
    code, out, err = command()
    assert code in (0, 2)
    assert "train" in out + err
    assert "Traceback" not in err


def test_the_help_of_train_names_the_defaults_of_the_settings(command):
    import inspect

    from spikeloom.cli import train
    from spikeloom.experiment import TrainConfig

    defaults = TrainConfig()
    for name in ("data", "hidden", "model", "epochs", "batch_size", "lr", "time", "seed", "threads"):
        annotation = inspect.signature(train, eval_str=True).parameters[name].annotation
        default = getattr(defaults, name)
        shown = ",".join(map(str, default)) if isinstance(default, tuple) else str(default).removesuffix(".0")
        assert f"(default: {shown})" in annotation.__metadata__[0].help, name


@pytest.mark.parametrize("words", [(), ("train",), ("analyze",), ("info",)])
def test_no_flag_is_said_to_take_a_value(words, command):
    code, out, _ = command(*words, "--help")
    assert code == 0
    assert "--help" in out
    assert "bool" not in out.lower()


def test_version_is_that_of_the_package(command):
    assert command("--version") == (0, f"spikeloom {version('spikeloom')}\n", "")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("train", "--hidden", "20,"), "config.hidden: must be sizes of layers"),
        (("train", "--hidden", ""), "config.hidden: must be sizes of layers"),
        (("train", "--hidden", "0"), "config.hidden: must be sizes of layers"),
        (("train", "--time", "1e9"), "config.time: must be at most 1,000,000 steps of dt = 1 ms a sample"),
        (("train", "--time", "inf"), "config.time"),
        (("train", "--resume", "nothere"), "no run at nothere"),
        (("train", "--data", "digits", "--mnist", "there"), "--mnist goes with --data mnist"),
        (("train", "--resume", "there", "--runs", "elsewhere"), "--resume takes its settings from the run"),
        (("train", "--name", ""), "must be the name of one folder"),
        (("train", "--model", "li"), "does not spike"),
        (("analyze", "there", "--report", "page.html", "--no-plots"), "--report goes with pictures"),
    ],
)
def test_options_that_cannot_work_are_one_line_and_leave_no_run(words, message, command, tmp_path):
    code, out, err = command(*words)
    assert code == 1
    assert out == ""
    assert err.startswith("error: ")
    assert message in err
    assert err.count("\n") == 1
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"epochs": True}, "config.epochs: must not be true or false"),
        ({"parameters": {"tau_m": True}}, "config.parameters: must not be true or false"),
        ({"hidden": [20, True]}, "config.hidden"),
        ({"hidden": [[20]]}, "config.hidden"),
        ({"device": "cuda:77"}, "cuda:77"),
        ({"loss": "cros_entropy"}, "did you mean 'cross_entropy'?"),
        ({"schedule": "ReduceLROnPlateau"}, "would watch the test set, which must choose nothing"),
        ({"patience": 3}, "unknown setting 'patience'"),
        ({"schedule": "StepLR"}, "config.schedule_options: schedule 'StepLR' needs step_size"),
        ({"encoding": "null"}, "takes a batch of shape"),
        ({"lr": 1e30}, "lower the learning rate"),
    ],
)
def test_a_start_that_fails_leaves_the_name_free(settings, message, command, tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"hidden": 20, "time": 5, "epochs": 1} | settings))
    code, _, err = command("train", "--config", "config.json", "--name", "n")
    assert code == 1
    assert message in err
    assert not (tmp_path / "runs" / "n").exists()


def test_a_single_number_is_one_hidden_layer_and_options_of_a_schedule_keep_their_kind(command, tmp_path):
    settings = {"hidden": 7, "time": 3, "epochs": 1, "schedule": "OneCycleLR"}
    settings["schedule_options"] = {"max_lr": 0.01, "total_steps": 4, "anneal_strategy": "linear"}
    (tmp_path / "config.json").write_text(json.dumps(settings))
    code, _, err = command("train", "--config", "config.json", "--name", "n")
    assert code == 0, err
    effective = json.loads((tmp_path / "runs" / "n" / "config.effective.json").read_text())
    assert effective["hidden"] == [7]
    assert effective["schedule_options"] == settings["schedule_options"]
