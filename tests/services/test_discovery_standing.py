"""How discovery stands: a job whose worker died is never shown as running, and can be cancelled without one."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from beton.bootstrap import build_services
from beton.clock import now
from beton.config import Settings
from beton.jobs.queue import Jobs
from beton.jobs.worker import LEASE_S
from beton.model.discovery import DiscoverySettings
from beton.records.database import Database
from beton.services.discovery import Discovery


@pytest.fixture
def jobs(database: Database) -> Jobs:
    return Jobs(database)


@pytest.fixture
def discovery(tmp_path: Path, database: Database) -> Discovery:
    return build_services(Settings(data_dir=tmp_path)).discovery


def test_who_asks_again_gets_the_same_job(discovery: Discovery) -> None:
    assert (discovery.standing().job, discovery.cancel()) == (None, None)
    first = discovery.request(DiscoverySettings())
    assert discovery.request(DiscoverySettings()).id == first.id
    standing = discovery.standing()
    assert standing.job is not None
    assert (standing.job.id, standing.job.status, standing.is_next) == (first.id, "queued", False)


def test_a_job_says_how_long_its_worker_has_been_silent(discovery: Discovery, jobs: Jobs) -> None:
    discovery.request(DiscoverySettings())
    assert jobs.claim("ann", now() - timedelta(seconds=12), LEASE_S) is not None
    standing = discovery.standing()
    assert standing.job is not None
    assert (standing.job.status, standing.lease_s) == ("running", LEASE_S)
    assert 12 <= standing.silent_s < LEASE_S


def test_a_job_of_a_dead_worker_waits_again_and_is_cancelled_at_once(discovery: Discovery, jobs: Jobs) -> None:
    job = discovery.request(DiscoverySettings())
    assert jobs.claim("ann", now() - timedelta(seconds=LEASE_S + 1), LEASE_S) is not None
    assert jobs.read(job.id).status == "running", "no worker has looked since"
    standing = discovery.standing()
    assert standing.job is not None
    assert (standing.job.status, standing.job.attempts, standing.silent_s) == ("queued", 1, 0.0)

    cancelled = discovery.cancel()
    assert cancelled is not None
    assert (cancelled.id, cancelled.status) == (job.id, "cancelled")
    assert discovery.request(DiscoverySettings()).id != job.id


def test_a_job_that_waits_for_another_says_so(discovery: Discovery, jobs: Jobs) -> None:
    discovery.request(DiscoverySettings())
    assert jobs.claim("ann", now(), LEASE_S) is not None
    discovery.request(DiscoverySettings(max_signals=5))
    standing = discovery.standing()
    assert standing.job is not None
    assert (standing.job.status, standing.is_next) == ("queued", True)
