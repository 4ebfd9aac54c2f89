"""A saved network reads well in a diff: what changes in it changes in the file, and nothing else does."""

import difflib
import json
from pathlib import Path

import numpy as np
import pytest
from saved_networks import NETWORKS, answer, dense, looped, made

import spikeloom as sl


def saved(net: sl.Network, folder: Path, form: str = "json") -> list[str]:
    return Path(sl.network_save(net, "net", folder, form)).read_text().splitlines()


def changes(before: list[str], after: list[str]) -> list[str]:
    lines = difflib.unified_diff(before, after, lineterm="", n=0)
    return [line for line in lines if line[0] in "+-" and line[:3] not in ("+++", "---")]


@pytest.mark.parametrize("form", ["json", "yaml"])
def test_one_parameter_that_changes_is_one_line_that_changes(form, tmp_path):
    before = saved(made(looped), tmp_path, form)
    description = sl.network_save(sl.network_load("net", tmp_path), save=False)
    description["components"]["block.b"]["parameters"]["tau_m"] = 11.5
    found = changes(before, saved(sl.network_from(description), tmp_path, form))
    assert len(found) == 2
    assert "8.0" in found[0]
    assert "11.5" in found[1]


def test_a_member_that_is_added_adds_its_lines_and_changes_no_other(tmp_path):
    net = made(dense)
    before = saved(net, tmp_path)
    net.watch = sl.SpikeMonitor(net.b)
    found = changes(before, saved(net, tmp_path))
    assert [line for line in found if line.startswith("-")] in ([], ["-    }"])
    assert sum('"spike_monitor"' in line for line in found) == 1


@pytest.mark.parametrize("build", NETWORKS)
def test_keys_stand_in_one_order_the_kind_first_and_members_as_they_were_made(build, tmp_path):
    net = made(build)
    description = json.loads("\n".join(saved(net, tmp_path)))
    assert list(description) == ["format", "version", "name", "seed", "dt", "components"]
    assert list(description["components"]) == [component.path for component in net.walk()]
    assert {next(iter(values)) for values in description["components"].values()} == {"kind"}


def test_training_changes_the_weights_alone(tmp_path):
    net = made(dense)
    before = saved(net, tmp_path)
    weights = (tmp_path / "net" / "net.safetensors").read_bytes()
    answer(net)
    net.set_random_seed(3)
    net.c.weight.value = np.full((5, 6), 0.25)
    assert saved(net, tmp_path) == before
    assert (tmp_path / "net" / "net.safetensors").read_bytes() != weights
