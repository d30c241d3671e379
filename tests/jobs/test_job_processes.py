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
from beton.jobs.supervisor import Supervisor, worker_lock

Until = Callable[[Callable[[], bool]], None]

LEASE_S = 1.0

# Runs jobs until one is over; a job is done once the file "go" is there.
WORKER = f"""
import sys
from pathlib import Path
from threading import Event
from beton.jobs.queue import Jobs
from beton.jobs.worker import Worker
from beton.records.database import open_database

def wait(payload, progress):
    tick = Event()
    while not Path(payload["go"]).exists():
        progress("Waiting", 0.5)
        tick.wait(0.01)
    return {{"went": True}}

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
    assert (done.status, done.attempts, done.result) == ("done", 2, {"went": True})


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


def test_a_supervisor_leaves_the_worker_of_another_alone(tmp_path: Path) -> None:
    with worker_lock(tmp_path) as is_ours:
        assert is_ours
        supervisor = Supervisor(tmp_path, check_s=0.01)
        supervisor._check()
        assert supervisor._child is None
