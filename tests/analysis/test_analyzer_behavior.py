"""How nodes spent their time, counted by hand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spikeloom.analysis.behavior import Stay, node_behavior
from spikeloom.errors import UnknownNameError


def state(step, status, task=None, *, node="pfc-0", t=None, timestamp=0.0):
    found = {"node_id": node, "status": status, "active_task": task, "step_count": step, "timestamp": timestamp}
    return found if t is None else found | {"t": t}


def test_irregular_records_of_several_tasks_last_until_the_next():
    states = [
        state(0, "Idle"),
        state(2, "Busy", "route"),
        state(3, "Busy", "route"),
        state(10, "Busy", "answer"),
        state(11, "Idle"),
        state(50, "Failed", "answer"),
        state(60, "Idle"),
    ]
    found = node_behavior(states, "pfc-0")
    assert found.task_active_ratio == (8 + 1 + 10) / 60
    assert found.time_in_status == {"Busy": 9, "Failed": 10, "Idle": 2 + 39}
    assert found.time_on_task == {"answer": 11, "route": 8}
    assert found.unique_tasks == ["answer", "route"]
    assert found.status_counts == {"Busy": 3, "Failed": 1, "Idle": 3}
    assert found.transitions == [
        (2, "Idle", "Busy"),
        (11, "Busy", "Idle"),
        (50, "Idle", "Failed"),
        (60, "Failed", "Idle"),
    ]
    assert found.stays == [
        Stay(0, 2, "Idle", None),
        Stay(2, 10, "Busy", "route"),
        Stay(10, 11, "Busy", "answer"),
        Stay(11, 50, "Idle", None),
        Stay(50, 60, "Failed", "answer"),
    ]
    assert (found.step_range, found.unit, found.records) == ((0, 60), "steps", 7)


def test_time_is_simulated_whatever_the_clock_on_the_wall_says():
    slow = [state(s, "Idle", "a" if s == 10 else None, timestamp=w) for s, w in ((0, 5e9), (10, 9e9), (40, 1.0))]
    fast = [state(s, "Idle", "a" if s == 10 else None, timestamp=w) for s, w in ((0, 1.0), (10, 1.1), (40, 1.2))]
    assert node_behavior(slow, "pfc-0") == node_behavior(fast, "pfc-0")
    assert node_behavior(slow, "pfc-0").task_active_ratio == 0.75


def test_where_records_tell_the_model_time_it_counts_and_not_the_steps():
    states = [state(0, "a", t=0.0), state(1, "b", "x", t=90.0), state(2, "a", t=100.0)]
    found = node_behavior(states, "pfc-0")
    assert (found.unit, found.task_active_ratio, found.time_in_status) == ("ms", 0.1, {"a": 90.0, "b": 10.0})
    assert found.step_range == (0, 2)


def test_model_times_that_stand_still_give_way_to_steps():
    found = node_behavior([state(0, "a", t=0.0), state(4, "b", t=0.0), state(5, "a", t=0.0)], "pfc-0")
    assert (found.unit, found.time_in_status) == ("steps", {"a": 4, "b": 1})


def test_of_two_records_of_one_step_the_later_counts():
    found = node_behavior([state(0, "a"), state(5, "b", "x"), state(5, "c"), state(9, "a")], "pfc-0")
    assert found.time_in_status == {"a": 5, "c": 4}
    assert found.time_on_task == {}
    assert found.transitions[:2] == [(5, "a", "b"), (5, "b", "c")]


def test_records_of_one_moment_count_as_records():
    found = node_behavior([state(5, "a", "x"), state(5, "b"), state(5, "c"), state(5, "d", "")], "pfc-0")
    assert (found.task_active_ratio, found.stays) == (0.25, [])


def test_other_nodes_do_not_count_and_an_unknown_one_is_refused():
    states = [state(0, "a"), state(0, "z", "t", node="visual-0"), state(10, "a")]
    assert node_behavior(states, "pfc-0").task_active_ratio == 0
    with pytest.raises(UnknownNameError, match="did you mean 'pfc-0'"):
        node_behavior(states, "pfc0")


@given(st.lists(st.tuples(st.integers(0, 50), st.sampled_from("abc"), st.sampled_from([None, "x", "y"])), min_size=2))
def test_stays_fill_the_range_and_their_times_add_up(records):
    found = node_behavior([state(*record) for record in records], "pfc-0")
    first, last = found.step_range
    assert sum(found.time_in_status.values()) == last - first
    assert [s.end for s in found.stays[:-1]] == [s.begin for s in found.stays[1:]]
    assert 0 <= found.task_active_ratio <= 1
    assert all(a[2:] != b[2:] for a, b in zip(found.stays[:-1], found.stays[1:], strict=True))
