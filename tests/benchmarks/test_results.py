"""What the benchmarks share: records that outlive an interruption, sections, ratios."""

import sys
import time

import contest
import growth
import numpy as np
import peers_report
import pytest
import results
import sweep
from results import Records, exponent, run_process, write_section
from workloads import WORKLOADS


def record(name, turn, ms, workload="W1", mode="train", **more):
    contender = contest.CONTENDERS[name]
    given = {"name": name, "framework": contender.framework, "workload": workload, "mode": mode, "turn": turn}
    figures = {"cpu": [ms / 1000] * 3, "first_cpu": 0.5, "growth": 10.0, "first_rate": 0.1, "changes": {}}
    return given | figures | more


def test_a_record_is_found_again_after_an_interruption(tmp_path):
    path = tmp_path / "records.jsonl"
    Records(path).add({"framework": "norse", "turn": 0, "changes": {"batch": 4}, "cpu": [1.0]})
    kept = Records(path)
    assert kept.find({"framework": "norse", "turn": 0, "changes": {"batch": 4}})["cpu"] == [1.0]
    assert kept.find({"framework": "norse", "turn": 1, "changes": {"batch": 4}}) is None
    assert kept.find({"framework": "norse", "turn": 0, "changes": {}}) is None


def test_a_case_with_a_record_is_not_run_again(tmp_path, monkeypatch):
    commands = []
    monkeypatch.setattr(
        contest, "run_process", lambda command, *_, **__: commands.append(command) or record("spyx", 0, 2)
    )
    cases = [contest.case("spyx", "W1", "train", turn) for turn in (0, 1)]
    contest.run(cases[:1], Records(tmp_path / "records"), 5)
    found = contest.run(cases, Records(tmp_path / "records"), 5)
    assert len(commands) == 2
    assert [r["turn"] for r in found] == [0, 1]


def test_a_case_that_took_too_long_is_not_tried_again_in_the_next_turn(monkeypatch):
    commands = []
    monkeypatch.setattr(
        contest, "run_process", lambda command, *_, **__: commands.append(command) or {"missing": "slow"}
    )
    cases = [contest.case("spyx", workload, "train", turn) for workload in ("W1", "W4") for turn in (0, 1)]
    found = contest.run(cases, Records(None), 5)
    assert len(commands) == 2
    assert [(r["workload"], r["turn"], r["missing"]) for r in found] == [
        (workload, turn, "slow") for workload in ("W1", "W4") for turn in (0, 1)
    ]


def test_a_failing_process_ends_the_benchmark_with_what_it_said():
    with pytest.raises(SystemExit, match="no such network"):
        run_process([sys.executable, "-c", "raise ValueError('no such network')"])


def test_a_process_that_takes_too_long_leaves_a_record_that_says_so(tmp_path):
    child = f"import time; time.sleep(1.5); open({str(tmp_path / 'alive')!r}, 'w')"
    program = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
    start = time.monotonic()
    assert run_process([sys.executable, "-c", program], 0.5) == {"missing": "it took more than 0.5 s"}
    assert time.monotonic() - start < 1.4
    time.sleep(1.5)
    assert not (tmp_path / "alive").exists()


def test_a_missing_peer_names_the_way_to_install_it():
    with pytest.raises(SystemExit, match="make bench"):
        run_process([str(results.peer_python("nobody"))])


def test_a_section_is_replaced_and_the_others_stay(tmp_path):
    path = tmp_path / "RESULTS.md"
    for name, text in (("a", "first"), ("b", "second"), ("a", r"third \1")):
        write_section(path, name, "Title", text)
    text = path.read_text()
    assert "first" not in text
    assert r"third \1" in text
    assert text.count("second") == text.count("<!-- a -->") == text.count("<!-- end of b -->") == 1


@pytest.mark.parametrize("power", [0, 1, 2.5])
def test_the_exponent_of_a_power_law_is_found(power):
    values = [1, 2, 5, 30]
    assert exponent(values, [3 * v**power for v in values]) == pytest.approx(power, abs=1e-12)


def test_every_contender_has_the_form_it_is_compared_in():
    for name, contender in contest.CONTENDERS.items():
        for workload in WORKLOADS:
            for mode in ("train", "infer"):
                assert contest.case(name, workload, mode, 0).form in contest.FORMS[contender.framework]


def test_the_ratio_is_that_of_the_best_peer_turn_by_turn():
    ours, norse, spyx = (10, 20, 10), (31, 62, 33), (30, 80, 40)
    rows = {"spikeloom": ours, "norse": norse, "spyx": spyx}
    found = peers_report.Found([record(name, i, ms) for name, row in rows.items() for i, ms in enumerate(row)])
    assert found.ratio(("W1", "train"), contest.step_ms) == "**3.10** (3.10-3.30), Norse"


def test_what_could_not_be_measured_is_a_dash_with_its_reason():
    lacking = {"name": "spikeloom", "framework": "spikeloom", "workload": "W3", "mode": "train", "turn": 0}
    records = [lacking | {"missing": "no pooling yet"}, record("norse", 0, 7, "W3")]
    text = peers_report.figures_table(peers_report.Found(records), contest.step_ms, ".1f", True)
    assert text.splitlines()[-1] == "| W3 | train | – | 7.0 | – |"
    assert "no pooling yet" in "".join(peers_report.gaps(records))


def test_growth_takes_the_median_over_turns_at_each_value():
    costs = {32: (9, 2, 3), 64: (6, 6, 6), 128: (12, 1, 30)}
    records = [
        record("norse", turn, ms, changes={"batch": batch}, growth=2.0 * batch)
        for batch, row in costs.items()
        for turn, ms in enumerate(row)
    ]
    (line,) = growth.lines(records)
    assert (line.values, line.time, line.memory) == ([32, 64, 128], pytest.approx([3, 6, 12]), [64, 128, 256])
    assert growth.power(line.values, line.time) == "1.00"


def test_the_sweep_reaches_every_end_of_its_axes_within_its_cost():
    points = sweep.design(40)
    assert points == sweep.design(40)
    assert {p.kind for p in points} == {"feedforward", "recurrent"}
    for axis, (low, high) in sweep.AXES.items():
        values = [getattr(p, axis) for p in points]
        assert (min(values), max(values)) == (low, high)
    assert all(1 <= p.batch <= 64 and 6 * p.n**2 * p.n_steps <= sweep.TOO_MANY for p in points)


def test_a_sweep_point_has_the_batch_that_its_cost_allows():
    def batch(kind, n, n_steps):
        found = sweep.point(kind, n, 0.1, 0.1, n_steps)
        return found and found.batch

    # 3e10 operations over 6 n^2 T, twice that for a recurrent population.
    assert [batch("feedforward", *at) for at in ((16, 1), (1024, 100), (4096, 2000))] == [64, 47, 1]
    assert [batch("recurrent", *at) for at in ((16, 1), (1024, 100), (4096, 2000))] == [64, 23, None]


def test_fired_counts_what_a_hand_count_counts():
    # At 0.8, v is 0.8, then 1.52, 1.268 and 1.0412 before each reset; at 1 it is 1 in every step.
    currents = np.tile([0.8, 1.0], (4, 1, 1)).astype(np.float32)
    assert sweep.fired(currents) == (3 + 4) / 8


@pytest.mark.parametrize("rate", [0.01, 0.3])
@pytest.mark.parametrize("density", [0.01, 0.5])
def test_the_bias_of_a_sweep_point_makes_its_population_fire_as_wanted(rate, density):
    given = sweep.Point("feedforward", 200, density, rate, 100, 4)
    raster, drawn = sweep.data(given.workload)[0], sweep.tuned(given)
    assert sweep.fired(raster @ drawn[0].weight.T + drawn[0].bias) == pytest.approx(rate, rel=0.1)
