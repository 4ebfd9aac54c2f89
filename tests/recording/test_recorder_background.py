"""The thread that writes: nothing is lost, nothing is unbounded, and what fails in it stops the recording alone."""

import errno
import os
import pickle
import re
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from spikeloom.errors import DataError, ShapeError, StateError
from spikeloom.recording import RecorderConfig, Run, Session, SimulationRecorder
from spikeloom.recording.background import Background, Task
from spikeloom.recording.hdf5_file import Hdf5File
from spikeloom.recording.writing import NodeWriter
from spikeloom.spikes import PackedSpikes, Spikes


def recorder(folder, session="s", **settings):
    settings = {"flush_interval": 1000, **settings}
    return SimulationRecorder(
        RecorderConfig(enable_recording=True, output_dir=folder, session_name=session, **settings)
    )


def raster_of(seed, n_steps=60, n_samples=1, n=70, p=0.1):
    return (np.random.default_rng(seed).random((n_steps, n_samples, n)) < p).astype(np.int8)


def packed(raster):
    bits = np.packbits(raster.reshape(*raster.shape[:2], -1), axis=-1, bitorder="little")
    bits = np.pad(bits, [(0, 0), (0, 0), (0, -bits.shape[-1] % 8)])
    return PackedSpikes(np.ascontiguousarray(bits).view("<u8"), raster.shape[2:], 1.0)


@pytest.fixture
def slow_disk(monkeypatch):
    """A disk whose flushes wait until they are let go."""
    gate, flush = threading.Event(), NodeWriter.flush
    opened = []

    def slow(self):
        if opened:
            gate.wait(30)
        opened.append(self)
        flush(self)

    monkeypatch.setattr(NodeWriter, "flush", slow)
    return gate


def test_many_threads_record_at_once_and_every_spike_is_there(tmp_path):
    n_threads, n_steps = 6, 300
    with recorder(tmp_path, batch_steps=50, buffer_size=120, record_membrane=True, flush_interval=0.01) as r:

        def work(k):
            row = np.zeros(8, np.int8)
            row[k] = 1
            for step in range(n_steps):
                r.record_spike_data("shared", "all", row)
                r.record_spike_data("own", f"l{k}", row if step % 2 else 1 - row)
                r.record_membrane_data("own", f"l{k}", np.full(2, step))

        threads = [threading.Thread(target=work, args=(k,)) for k in range(n_threads)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        r.flush_all()
        found = r.get_statistics()
    assert found["total_spikes_recorded"] == n_threads * n_steps * (1 + 4)
    assert found["total_membrane_values"] == n_threads * n_steps * 2
    assert found["steps"]["shared"]["all"] == n_threads * n_steps
    with Session(r.path) as session:
        train = session.train("shared", "all")
        assert train.grid.n_steps == n_threads * n_steps
        assert train.counts()[0].tolist() == [n_steps] * n_threads + [0, 0]
        for k in range(n_threads):
            raster = session.train("own", f"l{k}").raster()[:, 0]
            assert np.array_equal(raster[1::2, k], np.ones(n_steps // 2))
            assert raster.sum() == n_steps * 4
            v = np.concatenate([b.values for b in session.membrane("own", f"l{k}")])
            assert v[:, 0, 0].tolist() == list(range(n_steps))


def test_who_brings_more_than_the_buffer_holds_waits_and_loses_nothing(tmp_path, slow_disk):
    r = recorder(tmp_path, batch_steps=4, buffer_size=10)
    done = []

    def work():
        for k in range(30):
            r.record_spike_data("main", "l", np.array([1, k % 2], np.int8))
            done.append(k)

    thread = threading.Thread(target=work)
    thread.start()
    time.sleep(0.3)
    assert len(done) == 10
    assert thread.is_alive()
    slow_disk.set()
    thread.join(30)
    r.close()
    assert len(done) == 30
    assert r.get_statistics()["blocked_seconds"] > 0.1
    with Session(r.path) as session:
        assert session.train("main", "l").raster()[:, 0].tolist() == [[1, k % 2] for k in range(30)]


def test_ctrl_c_reaches_a_caller_that_waits_for_the_disk(tmp_path, slow_disk):
    r = recorder(tmp_path, batch_steps=2, buffer_size=4)
    for _ in range(4):
        r.record_spike_data("main", "l", np.ones(2, np.int8))
    threading.Timer(0.3, signal.pthread_kill, (threading.main_thread().ident, signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt):
        r.record_spike_data("main", "l", np.ones(2, np.int8))
    slow_disk.set()
    r.close()
    with Session(r.path) as session:
        assert session.train("main", "l").grid.n_steps == 4


def test_a_long_wait_is_told_once(tmp_path, monkeypatch, caplog):
    with recorder(tmp_path, batch_steps=1, buffer_size=1) as r:
        r._intake.background.blocked_seconds = 2.0
        for _ in range(5):
            r.record_spike_data("main", "l", np.ones(2, np.int8))
    assert caplog.text.count("the simulation has waited 2.0 s") == 1


@pytest.mark.parametrize("what", ["spikes", "bits", "v"])
@pytest.mark.parametrize("n_samples", [1, 3])
def test_a_window_longer_than_a_batch_is_cut_and_is_one_run(tmp_path, what, n_samples):
    raster = raster_of(1, 57, n_samples)
    with recorder(tmp_path, batch_steps=10, buffer_size=25, record_membrane=True) as r:
        for continued in (False, True, False):
            if what == "v":
                r.write("l", "v", raster * 0.5, 1.0, continued=continued)
            else:
                data = packed(raster) if what == "bits" else Spikes.from_raster(raster, 1.0)
                r.write("l", "spikes", data, 1.0, continued=continued)
    with Session(r.path) as session:
        if what == "v":
            values = np.concatenate([b.values for b in session.membrane("main", "l")])
            assert np.array_equal(values, np.concatenate([raster] * 3) * 0.5)
            return
        batches = list(session.spikes("main", "l"))
        assert max(b.n_steps for b in batches) == 10
        assert session.runs("main", "l") == [Run(0, 114, n_samples), Run(114, 171, n_samples)]
        assert np.array_equal(np.concatenate([b.spikes.raster() for b in batches]), np.concatenate([raster] * 3))


def test_runs_that_go_on_step_by_step_are_one_run(tmp_path):
    raster = raster_of(2, 200)
    with recorder(tmp_path, batch_steps=64) as r:
        for k, row in enumerate(raster):
            form = packed(row[None]) if k % 3 else Spikes.from_raster(row[None], 1.0)
            r.write("l", "spikes", form, 1.0, continued=k % 100 > 0)
        assert r.get_statistics()["steps"] == {"main": {"l": 200}}
    with Session(r.path) as session:
        assert session.runs("main", "l") == [Run(0, 100, 1), Run(100, 200, 1)]
        assert np.array_equal(session.train("main", "l").raster(), raster)


def test_single_steps_keep_their_order_among_other_calls(tmp_path):
    raster = raster_of(3, 90)
    with recorder(tmp_path, batch_steps=20) as r:
        for k, row in enumerate(raster):
            if k % 7 == 3:
                r.record_spike_data("main", "l", row[0])
            else:
                r.write("l", "spikes", packed(row[None]), 1.0, continued=True)
    with Session(r.path) as session:
        assert np.array_equal(session.train("main", "l").raster(), raster)


def test_what_waits_is_written_after_a_while_without_a_call(tmp_path):
    with recorder(tmp_path, flush_interval=0.05) as r:
        r.record_spike_data("main", "l", np.ones(3, np.int8))
        for _ in range(200):
            if r.get_statistics()["batches_written"]:
                break
            time.sleep(0.05)
        with Session(r.path) as session:
            assert session.train("main", "l").n_spikes == 3


@pytest.mark.parametrize("where", ["dataset", "flush"])
@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "no space left on device"), ZeroDivisionError("a bug")])
def test_what_fails_in_the_thread_stops_the_recording_and_nothing_else(tmp_path, monkeypatch, where, error):
    raster = raster_of(4, 40)
    r = recorder(tmp_path, batch_steps=10)
    r.write("l", "spikes", Spikes.from_raster(raster[:20], 1.0), 1.0)
    r.flush_all()

    def refuse(*_, **__):
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(Hdf5File, where, refuse)
        for row in raster[20:]:
            r.record_spike_data("main", "l", row[0])
        r.metadata({"a": 1})
        r.flush_all()
        assert str(error) in r.stopped_by
        assert r.wants("l") == frozenset()
        assert r.get_statistics()["state"] == "stopped"
    r.close()
    with Session(r.path) as session:
        found = session.train("main", "l").raster()
    assert np.array_equal(found[:20], raster[:20])
    assert np.array_equal(found, raster[: len(found)])


def test_a_disk_that_is_full_from_the_start_stops_the_recording_and_not_the_program(tmp_path, monkeypatch):
    r = recorder(tmp_path)
    monkeypatch.setattr(os, "pwrite", lambda *_: (_ for _ in ()).throw(OSError(errno.ENOSPC, "no space left")))
    r.record_spike_data("main", "l", np.ones(3, np.int8))
    assert "no space left" in r.stopped_by
    r.record_spike_data("main", "l", np.ones(3, np.int8))
    r.close()


@pytest.mark.parametrize(
    ("spikes", "expected"),
    [
        (np.array([0.0, np.nan]), r"DataError: spikes\[1\] must be 0 or 1"),
        (np.array([0, 300]), r"DataError: spikes\[1\] must be 0 or 1 .*got 300"),
        (np.array([200], np.uint8), r"DataError: spikes\[0\] must be 0 or 1"),
        (np.array([1, 0, 5], np.int8), r"DataError: spikes\[2\] must be 0 or 1"),
        (np.array([[0, 1], [0.5, 1]]), r"DataError: spikes\[1, 0\] must be 0 or 1 .*got 0.5"),
        (np.zeros(0), "ShapeError"),
        (np.zeros((2, 0)), "ShapeError"),
    ],
)
def test_bad_spikes_are_refused_at_the_call(tmp_path, spikes, expected):
    with recorder(tmp_path) as r, pytest.raises((DataError, ShapeError)) as error:
        r.record_spike_data("main", "l", spikes)
    assert re.match(expected, f"{error.typename}: {error.value}")


def test_single_steps_end_at_the_longest_duration(tmp_path):
    raster = raster_of(5, n_steps=200)
    with recorder(tmp_path, max_recording_duration=0.1) as r:
        for k, row in enumerate(raster):
            r.write("l", "spikes", packed(row[None]), 1.0, continued=k > 0)
        r.write("other", "spikes", packed(raster[:1]), 1.0)
        r.flush_all()
        assert r.get_statistics()["steps"] == {"main": {"l": 100, "other": 1}}
    with Session(r.path) as session:
        assert np.array_equal(session.train("main", "l").raster(), raster[:100])


def test_potentials_of_any_type_are_float32_in_the_file(tmp_path):
    with recorder(tmp_path, record_membrane=True) as r:
        for dtype in (np.int8, np.uint8, bool, np.float16, np.float64):
            r.record_membrane_data("main", np.dtype(dtype).name, np.ones((2, 3), dtype))
    with Session(r.path) as session:
        for layer in session.layers("main", "membrane"):
            (batch,) = session.membrane("main", layer)
            assert (batch.values.dtype, batch.values.tolist()) == (np.float32, [[[1, 1, 1]]] * 2)


CTRL_C = """
import faulthandler, random, signal, sys
import numpy as np
from spikeloom.recording import RecorderConfig, SimulationRecorder
from spikeloom.spikes import PackedSpikes
faulthandler.dump_traceback_later(60, exit=True)
def stop(*_):
    raise KeyboardInterrupt
signal.signal(signal.SIGALRM, stop)
random.seed(0)
row = PackedSpikes(np.ones((1, 1, 1), np.uint64), (3,), 1.0)
for k in range(30):
    r = SimulationRecorder(
        RecorderConfig(
            enable_recording=True, output_dir=sys.argv[1], session_name=f"s{k}", min_free_bytes=0,
            buffer_size=random.choice((1, 8, 8000)), batch_steps=random.choice((1, 10)),
        )
    )
    n = 0
    try:
        signal.setitimer(signal.ITIMER_REAL, random.uniform(0.001, 0.02))
        for n in range(1, 301):
            r.write("l", "spikes", row, 1.0)
        signal.setitimer(signal.ITIMER_REAL, 0)
    except KeyboardInterrupt:
        pass
    for _ in range(20):
        r.write("after", "spikes", row, 1.0)
    r.close()
    found = r.get_statistics()
    steps = found["steps"]["main"]
    print(found["stopped_by"], n - 1 <= steps.get("l", 0) <= n, found["total_spikes_recorded"] - sum(steps.values()))
"""


def test_after_ctrl_c_at_any_moment_the_recorder_goes_on_and_holds_all_steps(tmp_path):
    found = run(CTRL_C, tmp_path)
    assert found.returncode == 0, found.stderr
    assert set(found.stdout.splitlines()) == {"None True 0"}


def test_an_array_may_be_used_again_after_the_call(tmp_path):
    row, v = np.zeros(4, np.int8), np.zeros(4, np.float32)
    with recorder(tmp_path, record_membrane=True, record_weights=True) as r:
        for k in range(4):
            row[:], v[:] = 0, k
            row[k] = 1
            r.record_spike_data("main", "l", row)
            r.record_membrane_data("main", "l", v)
            r.record_weight_data("main", "w", v, t=k)
    with Session(r.path) as session:
        assert np.array_equal(session.train("main", "l").raster()[:, 0], np.eye(4))
        (batch,) = session.membrane("main", "l")
        assert batch.values[:, 0, 0].tolist() == [0, 1, 2, 3]
        assert [s.weights[0] for s in session.weights("main", "w")] == [0, 1, 2, 3]


PROGRAM = """
import numpy as np, os, sys
from spikeloom.recording import RecorderConfig, SimulationRecorder, set_global_recorder
r = SimulationRecorder(RecorderConfig(enable_recording=True, output_dir=sys.argv[1], session_name="s"))
for k in range(30):
    r.record_spike_data("main", "l", np.ones(3, np.int8))
"""


def run(program, folder):
    return subprocess.run([sys.executable, "-c", program, str(folder)], capture_output=True, text=True, timeout=120)


def test_an_interpreter_that_ends_without_close_loses_nothing(tmp_path):
    found = run(PROGRAM + "raise SystemExit(3)", tmp_path)
    assert (found.returncode, found.stderr) == (3, "")
    with Session(tmp_path / "s") as session:
        assert session.train("main", "l").n_spikes == 90
        assert session.statistics()["recorders"][0]["state"] == "closed"


def test_a_fork_that_uses_its_parents_recorder_is_told_so_and_the_parents_is_whole(tmp_path):
    program = PROGRAM + (
        "set_global_recorder(r)\n"
        "if os.fork() == 0:\n"
        "    from spikeloom.recording import get_global_recorder\n"
        "    print(get_global_recorder())\n"
        "    calls = r.flush_all, r.close, lambda: r.wants('l'), lambda: r.record_control_state('n', 'm', 'Idle')\n"
        "    for call in calls:\n"
        "        try:\n"
        "            call()\n"
        "        except RuntimeError as error:\n"
        "            print(type(error).__name__, str(error)[-46:])\n"
        "    sys.exit()\n"
        "os.wait()\n"
        "r.record_spike_data('main', 'l', np.ones(3, np.int8))\n"
        "r.close()\n"
    )
    found = run(program, tmp_path)
    assert found.stderr == ""
    assert found.stdout.splitlines() == ["None"] + ["StateError with the same session_name and another node_id"] * 4
    with Session(tmp_path / "s") as session:
        assert session.train("main", "l").n_spikes == 93


def test_a_recorder_cannot_be_sent_to_another_process(tmp_path):
    with recorder(tmp_path) as r, pytest.raises(StateError, match="cannot be sent to another process; make a recorder"):
        pickle.dumps(r)


def test_the_same_seed_keeps_the_same_spikes_however_they_come(tmp_path):
    raster = raster_of(5, 120, 1, 50, 0.3)
    for mode in ("neurons", "spikes", "steps"):
        found = []
        for name, batch_steps in (("a", 7), ("b", 100)):
            settings = {"spike_subsample_rate": 0.3, "mode": mode, "seed": 4, "batch_steps": batch_steps}
            with recorder(tmp_path, f"{mode}-{name}", **settings) as r:
                for row in raster if name == "a" else ():
                    r.record_spike_data("main", "l", row[0])
                if name == "b":
                    r.write("l", "spikes", Spikes.from_raster(raster, 1.0), 1.0)
            with Session(r.path) as session:
                found.append(session.train("main", "l").raster())
        assert np.array_equal(*found)
        assert 0 < found[0].sum() < raster.sum()


def test_two_threads_may_close_at_once(tmp_path):
    r = recorder(tmp_path)
    r.record_spike_data("main", "l", np.ones(3, np.int8))
    threads = [threading.Thread(target=r.close) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert r.get_statistics()["state"] == "closed"
    with pytest.raises(StateError, match="closed"):
        r.record_spike_data("main", "l", np.ones(3, np.int8))


def test_tasks_are_done_in_order_and_their_room_is_free_after_them():
    done, failures = [], []
    background = Background(
        "test", most_steps=3, most_bytes=10, interval=None, collect=lambda: None, failed=failures.append
    )
    background.start()
    for k in range(20):
        with background.lock:
            background.wait_for_room(2, 7)
            background.hold(2, 7)
            background.submit(Task(lambda k=k: done.append(1 // (k - 5) * 0 + k), 2, 7))
    background.drain()
    assert done == [*range(5), *range(6, 20)]
    assert [type(error) for error in failures] == [ZeroDivisionError]
    with background.lock:
        assert background.has_room(0, 1000)
        background.hold(0, 1000)
        assert not background.has_room(0, 1)
    background.end()


def test_what_fails_while_waiting_data_are_collected_is_told_and_the_thread_goes_on():
    failed, done = [], threading.Event()

    def collect():
        raise ValueError("torn")

    background = Background("test", most_steps=10, most_bytes=10, interval=0.01, collect=collect, failed=failed.append)
    background.start()
    while not failed:
        time.sleep(0.001)
    with background.lock:
        background.submit(Task(done.set))
    assert done.wait(10)
    background.end()
    assert str(failed[0]) == "torn"
