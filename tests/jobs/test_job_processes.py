"""Real processes: killed, overtaken by another, orphaned, and started anew."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from beton.clock import now
from beton.jobs.queue import Jobs
from beton.jobs.supervisor import LONGEST_CHECK_S, Supervisor, worker_lock

Until = Callable[[Callable[[], bool]], None]

LEASE_S = 1.0

# Runs jobs until one is over; a job is done once the file "go" is there. One that "sleeps" gives no sign of life but
# its stages, and stops its process, which then holds no lock, in the middle of the job.
WORKER = f"""
import os
import signal
import sys
from pathlib import Path
from threading import Event
import beton.jobs.worker
from beton.jobs.queue import Jobs
from beton.jobs.worker import Worker
from beton.records.database import open_database

def wait(payload, progress):
    tick = Event()
    while not Path(payload["go"]).exists():
        progress("Waiting", 0.5)
        if "sleeps" in sys.argv:
            os.kill(os.getpid(), signal.SIGSTOP)
        tick.wait(0.01)
    return {{"pid": os.getpid()}}

if "sleeps" in sys.argv:
    beton.jobs.worker.BEAT_S = 3600

worker = Worker(Jobs(open_database(sys.argv[1])), {{"wait": wait}}, lease_s={LEASE_S})
tick = Event()
while not worker.run_once():
    tick.wait(0.01)
"""

# A web server's stand-in: it starts a worker as the supervisor does, and then waits for its own end.
PARENT = """
import os, subprocess, sys
child = subprocess.Popen([sys.executable, "-m", "beton", "worker", "--parent", str(os.getpid())])
print(child.pid, flush=True)
sys.stdin.readline()
"""


@contextmanager
def process(*command: str, data_dir: Path) -> Iterator[subprocess.Popen[str]]:
    environment = os.environ | {"BETON_DATA_DIR": str(data_dir), "BETON_DATABASE_URL": ""}
    pipe = subprocess.PIPE
    with subprocess.Popen(
        [sys.executable, *command], stdin=pipe, stdout=pipe, stderr=pipe, env=environment, text=True
    ) as running:
        try:
            yield running
        finally:
            running.kill()


def is_held(data_dir: Path) -> bool:
    with worker_lock(data_dir) as is_free:
        return not is_free


def killed_while_it_works(jobs: Jobs, job_id: str, attempt: int, url: str, folder: Path, until: Until) -> None:
    with process("-c", WORKER, url, data_dir=folder) as worker:
        until(lambda: (jobs.read(job_id).attempts, jobs.read(job_id).progress) == (attempt, 0.5))
        worker.send_signal(signal.SIGKILL)
        assert worker.wait(timeout=30) == -signal.SIGKILL
    assert jobs.read(job_id).status == "running"


def test_a_killed_job_is_done_by_the_next_worker(jobs: Jobs, url: str, tmp_path: Path, until: Until) -> None:
    job = jobs.enqueue("wait", "key", {"go": str(tmp_path / "go")}, now())
    killed_while_it_works(jobs, job.id, 1, url, tmp_path, until)
    (tmp_path / "go").touch()
    with process("-c", WORKER, url, data_dir=tmp_path) as worker:
        assert worker.wait(timeout=30) == 0
    done = jobs.read(job.id)
    assert (done.status, done.attempts, done.result) == ("done", 2, {"pid": worker.pid})


def test_a_worker_that_slept_past_its_lease_leaves_the_job_to_the_next(
    jobs: Jobs, url: str, tmp_path: Path, until: Until
) -> None:
    job = jobs.enqueue("wait", "key", {"go": str(tmp_path / "go")}, now())
    with process("-c", WORKER, url, "sleeps", data_dir=tmp_path) as sleeper:
        until(lambda: os.waitpid(sleeper.pid, os.WNOHANG | os.WUNTRACED)[0] == sleeper.pid)
        assert (jobs.read(job.id).status, jobs.read(job.id).stage) == ("running", "Waiting")
        (tmp_path / "go").touch()
        with process("-c", WORKER, url, data_dir=tmp_path) as next_:
            assert next_.wait(timeout=30) == 0
        done = jobs.read(job.id)
        assert (done.status, done.attempts, done.result) == ("done", 2, {"pid": next_.pid})
        sleeper.send_signal(signal.SIGCONT)
        _, err = sleeper.communicate(timeout=30)
    assert (sleeper.returncode, jobs.read(job.id)) == (0, done)
    assert "no longer this worker's" in err


def test_the_next_worker_takes_the_job_of_a_dead_one_before_its_lease_is_over(
    jobs: Jobs, tmp_path: Path, until: Until
) -> None:
    job = jobs.enqueue("sorcery", "key", {}, now())
    with process("-m", "beton", "worker", data_dir=tmp_path) as first:
        until(lambda: jobs.read(job.id).status == "failed")
        first.kill()
    name = (tmp_path / "worker.lock").read_text(encoding="ascii")
    held = jobs.enqueue("sorcery", "key", {}, now())
    assert jobs.claim(name, now(), lease_s=3600) is not None
    with process("-m", "beton", "worker", data_dir=tmp_path):
        until(lambda: jobs.read(held.id).status == "failed")
    assert jobs.read(held.id).attempts == 2


def test_a_job_that_is_killed_twice_is_interrupted(jobs: Jobs, url: str, tmp_path: Path, until: Until) -> None:
    job = jobs.enqueue("wait", "key", {"go": str(tmp_path / "go")}, now())
    killed_while_it_works(jobs, job.id, 1, url, tmp_path, until)
    killed_while_it_works(jobs, job.id, 2, url, tmp_path, until)
    until(lambda: jobs.claim("third", now(), LEASE_S) is None and not jobs.read(job.id).is_open)
    assert (jobs.read(job.id).status, jobs.read(job.id).attempts) == ("interrupted", 2)


def test_the_command_runs_jobs_alone_and_ends_when_told(jobs: Jobs, tmp_path: Path, until: Until) -> None:
    job = jobs.enqueue("sorcery", "key", {}, now())
    with process("-m", "beton", "worker", data_dir=tmp_path) as first:
        until(lambda: jobs.read(job.id).status == "failed")
        assert "'sorcery'" in str(jobs.read(job.id).error)
        with process("-m", "beton", "worker", data_dir=tmp_path) as second:
            out, err = second.communicate(timeout=30)
        assert (second.returncode, out, err.count("\n")) == (0, "", 1)
        assert "Another worker" in err
        first.terminate()
        assert first.wait(timeout=30) == 0
    assert not is_held(tmp_path)


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM])
def test_a_worker_ends_with_its_parent(tmp_path: Path, until: Until, end: signal.Signals) -> None:
    with process("-c", PARENT, data_dir=tmp_path) as parent:
        assert parent.stdout is not None
        assert int(parent.stdout.readline()) > 0
        until(lambda: is_held(tmp_path))
        parent.send_signal(end)
        until(lambda: not is_held(tmp_path))


def test_the_supervisor_keeps_one_worker(jobs: Jobs, tmp_path: Path, until: Until) -> None:
    supervisors = [Supervisor(tmp_path, check_s=0.05) for _ in range(2)]
    for supervisor in supervisors:
        supervisor.start()
    try:
        for n in range(2):
            job = jobs.enqueue("sorcery", f"key {n}", {}, now())
            until(lambda job_id=job.id: jobs.read(job_id).status == "failed")  # type: ignore[misc]
            assert is_held(tmp_path)
            if n == 0:
                # The last to hold the lock is the one that worked; end every child, and a new one has to come.
                for supervisor in supervisors:
                    child = supervisor._child
                    if child is not None:
                        child.kill()
    finally:
        for supervisor in supervisors:
            supervisor.stop()
    assert not is_held(tmp_path)


def test_a_worker_that_cannot_start_is_tried_less_and_less_often(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = [sys.executable, "-c", "raise SystemExit(3)"]
    start = subprocess.Popen
    monkeypatch.setattr(subprocess, "Popen", lambda command, env: start(broken, env=env))
    supervisor = Supervisor(tmp_path, check_s=1.0)
    pauses, starts = [], []
    for _ in range(6):
        supervisor._check()
        pauses.append(supervisor._pause_s())
        starts.append(supervisor._child is not None)
        if supervisor._child is not None:
            supervisor._child.wait(timeout=30)
    assert starts == [True, True, False, True, False, True]
    assert pauses == [1.0, 1.0, 4.0, 1.0, 8.0, 1.0]
    supervisor._child, supervisor._failures = None, 5000
    assert supervisor._pause_s() == LONGEST_CHECK_S


def test_a_supervisor_leaves_the_worker_of_another_alone(tmp_path: Path) -> None:
    with worker_lock(tmp_path) as is_ours:
        assert is_ours
        supervisor = Supervisor(tmp_path, check_s=0.01)
        supervisor._check()
        assert supervisor._child is None
