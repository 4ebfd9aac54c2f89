"""What a recipe writes down: a missed gate stays one in its record, whatever kind of truth it was."""

import json
import math
import sys

import numpy as np
import pytest


@pytest.mark.parametrize("holds", [False, np.bool_(False)])
def test_a_missed_gate_is_recorded_as_missed(tmp_path, monkeypatch, holds):
    from recipe import Outcome, report

    record = tmp_path / "records.jsonl"
    told = {"name": "x", "paper": "p", "data": "d", "baseline": "b", "result": "r", "gate": "g"}
    results = tmp_path / "RESULTS.md"
    results.write_text("# Results\n")
    monkeypatch.setattr(sys, "argv", ["x.py", "--results", str(results), "--record", str(record)])
    report("text", lambda: Outcome(**told, holds=holds, head=["a"], rows=[[1]]))
    assert json.loads(record.read_text())["holds"] is False
    assert "is **missed**" in results.read_text()


def test_two_ways_that_never_arrive_are_no_gain_of_time(monkeypatch):
    import pretrain

    monkeypatch.setattr(pretrain, "tuned", lambda *_, **__: pretrain.Reached(math.inf, 0.9))
    monkeypatch.setattr(pretrain, "pretrained", lambda seed: (pretrain.twin(seed), 0.9, 1.0))
    monkeypatch.setattr(pretrain, "accuracy", lambda _: 0.4)
    assert not pretrain.outcome(1).holds
