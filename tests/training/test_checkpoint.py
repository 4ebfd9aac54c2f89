"""A checkpoint is whole or refused, runs nothing, and survives a full disk."""

import errno
import io
import os
import pickle
import zipfile

import numpy as np
import pytest
import torch
from small_networks import learning, two_layers, two_patterns

from spikeloom.errors import DataError, StorageError
from spikeloom.training import SCHEDULES, fit
from spikeloom.training.checkpoint import load_checkpoint, save_checkpoint

STATE = {"weights": torch.linspace(0, 1, 300), "text": "a", "numbers": [1, 2.5, None, True], "nested": {"k": (1, 2)}}


@pytest.fixture
def path(tmp_path):
    save_checkpoint(tmp_path / "checkpoint.pt", STATE)
    return tmp_path / "checkpoint.pt"


def test_a_state_comes_back_as_it_was(path):
    found = load_checkpoint(path)
    assert torch.equal(found.pop("weights"), STATE["weights"])
    assert found == {
        "format": "spikeloom.checkpoint",
        "version": 1,
        **{k: v for k, v in STATE.items() if k != "weights"},
    }


@pytest.mark.parametrize("part", [0.0, 0.001, 0.1, 0.5, 0.9, 0.99])
def test_a_torn_file_is_an_error(path, part):
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * part)])
    with pytest.raises(DataError, match=r"checkpoint.pt is not a whole checkpoint: \S"):
        load_checkpoint(path)


def test_a_file_that_lacks_its_last_byte_is_an_error(path):
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DataError, match="is not a whole checkpoint"):
        load_checkpoint(path)


def test_no_flipped_byte_changes_a_value_unseen(path):
    content, generator, refused = path.read_bytes(), np.random.default_rng(0), 0
    for place in generator.choice(len(content), 120, replace=False):
        torn = bytearray(content)
        torn[place] ^= 1 << int(generator.integers(8))
        path.write_bytes(torn)
        try:
            found = load_checkpoint(path)
        except (DataError, StorageError):
            refused += 1
        else:
            assert torch.equal(found["weights"], STATE["weights"])
            assert all(found[name] == STATE[name] for name in ("text", "numbers", "nested"))
    assert refused > 40


@pytest.mark.parametrize("content", [b"", b"weights", b"\x80\x04N.", b"PK\x05\x06" + bytes(18)])
def test_what_is_no_checkpoint_is_an_error(tmp_path, content):
    path = tmp_path / "other"
    path.write_bytes(content)
    with pytest.raises(DataError, match="other is not a whole checkpoint"):
        load_checkpoint(path)


@pytest.mark.parametrize("other", [[1, 2], {"weights": torch.zeros(2)}, {"format": "other", "version": 1}])
def test_another_file_of_torch_is_an_error(tmp_path, other):
    torch.save(other, tmp_path / "model.pt")
    with pytest.raises(DataError, match=r"model.pt is not a checkpoint of a training"):
        load_checkpoint(tmp_path / "model.pt")


@pytest.mark.parametrize("version", [0, 2, "1", None])
def test_another_version_is_an_error_that_names_both(tmp_path, version):
    torch.save({"format": "spikeloom.checkpoint", "version": version}, tmp_path / "c.pt")
    with pytest.raises(DataError, match=f"is a checkpoint of version {version!r}, this release reads 1"):
        load_checkpoint(tmp_path / "c.pt")


class Runs:
    """Code that leaves a file behind where it is unpickled."""

    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return os.system, (f"touch {self.mark}",)


@pytest.mark.parametrize("archive", [True, False])
def test_code_in_a_file_is_refused_and_not_run(tmp_path, archive):
    path, mark = tmp_path / "c.pt", tmp_path / "mark"
    state = {"format": "spikeloom.checkpoint", "version": 1, "weights": Runs(mark)}
    torch.save(state, path) if archive else path.write_bytes(pickle.dumps(state))
    with pytest.raises(DataError, match="is not a whole checkpoint"):
        load_checkpoint(path)
    assert not mark.exists()
    if archive:
        torch.load(path, weights_only=False)
        assert mark.exists()


def test_a_missing_file_and_a_folder_are_errors(tmp_path):
    for path, reason in ((tmp_path / "none.pt", "No such file or directory"), (tmp_path, "Is a directory")):
        with pytest.raises(StorageError, match=f"cannot read the checkpoint {path}: {reason}"):
            load_checkpoint(path)


def test_a_full_disk_in_training_keeps_the_earlier_checkpoint(tmp_path, monkeypatch):
    path, arguments = tmp_path / "checkpoint.pt", {"time": 3, "progress": False}
    net = learning(two_layers())
    fit(net, two_patterns(), epochs=1, checkpoint=path, **arguments)
    content = path.read_bytes()

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match="No space left on device; the earlier file is intact"):
        fit(net, two_patterns(), epochs=2, checkpoint=path, resume=True, **arguments)
    monkeypatch.undo()
    assert path.read_bytes() == content
    assert os.listdir(tmp_path) == ["checkpoint.pt"]
    assert len(fit(net, two_patterns(), epochs=2, checkpoint=path, resume=True, **arguments)) == 2


OPTIONS = {
    "ConstantLR": {},
    "CosineAnnealingLR": {"T_max": 5},
    "CosineAnnealingWarmRestarts": {"T_0": np.int64(3)},
    "CyclicLR": {"base_lr": 0.1, "max_lr": 0.2},
    "ExponentialLR": {"gamma": np.float64(0.9)},
    "LambdaLR": {"lr_lambda": lambda epoch: 0.9**epoch},
    "LinearLR": {},
    "MultiStepLR": {"milestones": [1, 3]},
    "MultiplicativeLR": {"lr_lambda": lambda epoch: 0.9},
    "OneCycleLR": {"max_lr": 0.1, "total_steps": 10},
    "PolynomialLR": {},
    "ReduceLROnPlateau": {"patience": 0},
    "StepLR": {"step_size": 2},
}


@pytest.mark.parametrize("name", OPTIONS)
def test_a_training_with_every_schedule_can_be_resumed(tmp_path, name):
    rates = []
    for epochs in ((4,), (2, 4)):
        path = tmp_path / f"{len(epochs)}.pt"
        for k, last in enumerate(epochs):
            net = learning(two_layers(), optimizer="SGD", lr=0.1)
            net.learner.set_optimizer("SGD", 0.1, momentum=np.float32(0.5))
            net.learner.set_schedule(name, **OPTIONS[name])
            history = fit(net, two_patterns(), epochs=last, time=3, checkpoint=path, resume=k > 0, progress=False)
        rates.append([epoch.learning_rate for epoch in history])
    assert rates[0] == rates[1]
    assert len(rates[0]) == 4


def test_schedules_that_hold_other_schedules_are_all_that_is_not_covered():
    assert set(SCHEDULES) - set(OPTIONS) == {"ChainedScheduler", "SequentialLR"}


def test_a_checkpoint_is_an_archive_with_check_sums(path):
    with zipfile.ZipFile(io.BytesIO(path.read_bytes())) as archive:
        assert archive.testzip() is None
        assert all(entry.CRC for entry in archive.infolist() if entry.file_size > 8)
