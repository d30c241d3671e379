"""Build the services from settings: the only place that picks real parts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from beton.config import Settings
from beton.errors import InputError
from beton.services import Services

if TYPE_CHECKING:
    from beton.jobs.worker import Handler, Worker
    from beton.records.database import Database


def build_services(settings: Settings) -> Services:
    """Open the app database (migrating it if needed) and the warehouse, and wire the use cases to them.

    Raises:
        InputError: the data directory cannot be used.
    """
    from beton.jobs.queue import Jobs
    from beton.records.discoveries import DiscoveryRepository
    from beton.records.runs import RunRepository
    from beton.records.settings import SettingsRepository
    from beton.records.signals import SignalRepository
    from beton.services.backtests import Backtests
    from beton.services.discovery import Discovery
    from beton.services.discovery_runs import DiscoveryRuns
    from beton.services.examinations import Examinations
    from beton.services.history import History
    from beton.services.ledger import Ledger
    from beton.services.playbooks import Playbooks
    from beton.services.queries import Queries
    from beton.services.settings import SettingsService
    from beton.services.signals import Signals
    from beton.services.units import Units
    from beton.services.workspace import Workspace
    from beton.warehouse.reader import Warehouse
    from beton.warehouse.sandbox.pool import Sandbox
    from beton.warehouse.sandbox.process import Limits

    database = _open_database(settings)
    warehouse = Warehouse(settings.data_dir, threads=settings.warehouse_threads)
    kept_settings = SettingsRepository(database)
    queries = Queries(warehouse, Sandbox(warehouse.database, Limits(query_s=settings.sql_seconds)))
    runs, kept_signals = RunRepository(database), SignalRepository(database)
    ledger = Ledger(runs)
    backtests = Backtests(warehouse, runs, kept_settings, queries, ledger)
    signals = Signals(kept_signals, backtests)
    discoveries = DiscoveryRepository(database)
    return Services(
        workspace=Workspace(settings.data_dir, warehouse, signals),
        settings=SettingsService(kept_settings),
        backtests=backtests,
        signals=signals,
        discovery=Discovery(settings.data_dir, warehouse, discoveries, kept_settings, signals, Jobs(database)),
        discovery_runs=DiscoveryRuns(settings.data_dir, discoveries, signals),
        examinations=Examinations(warehouse, discoveries, kept_settings, signals, queries),
        units=Units(warehouse, backtests, signals),
        playbooks=Playbooks(warehouse, backtests, signals),
        queries=queries,
        ledger=ledger,
        history=History(warehouse, runs, kept_signals, kept_settings, backtests, ledger),
    )


def build_worker(settings: Settings) -> Worker:
    """Open the app database (migrating it if needed) and wire the handler of every kind of job to it.

    Raises:
        InputError: the data directory cannot be used.
    """
    from beton.jobs.queue import Jobs
    from beton.jobs.worker import Worker
    from beton.services.discovery import JOB, SHUFFLE_JOB

    discovery = build_services(settings).discovery
    handlers: dict[str, Handler] = {JOB: discovery.work, SHUFFLE_JOB: discovery.work_shuffle}
    return Worker(Jobs(_open_database(settings)), handlers, warm=discovery.warm)


def _open_database(settings: Settings) -> Database:
    from beton.records.database import open_database, sqlite_url

    try:
        settings.data_dir.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        why = f"{settings.data_dir} is no directory that can be written to ({problem.strerror})"
        raise InputError(f"{why}; set BETON_DATA_DIR to one") from problem
    return open_database(settings.database_url or sqlite_url(settings.data_dir.resolve() / "app.sqlite3"))
