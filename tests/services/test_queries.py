"""A signal in SQL goes everywhere that a signal of conditions goes, with the same figures."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from journeys import Journeys

from beton.bootstrap import build_services
from beton.config import Settings
from beton.errors import InputError, NoDataError, SqlError
from beton.model.evidence import Measured
from beton.model.examination import CannotExamine, Examination
from beton.model.signal import SignalDefinition, from_dict
from beton.model.unit_facts import CarrierQuery
from beton.services import Services
from beton.services.backtests import Report

EXPORTED = "SELECT user_id, MIN(timestamp) AS matched_at FROM events WHERE event = 'export' GROUP BY user_id"


def sql_signal(sql: str = EXPORTED, **more: Any) -> SignalDefinition:
    return from_dict({"name": "Exported", "sql": sql, "landmark_days": 7} | more)


def built_signal(**more: Any) -> SignalDefinition:
    return from_dict({"name": "Exported", "when": {"event": "export"}, "landmark_days": 7} | more)


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    """240 users in pairs over eight months: those who export buy more often."""
    folder = tmp_path_factory.mktemp("queries")
    people = Journeys(folder, data_end="2024-12-31")
    for number in range(240):
        signed_up = f"2024-{1 + number % 8:02d}-{1 + number % 28:02d}"
        people.user(f"u{number:03d}", signed_up=signed_up, company=f"c{number // 2}", company_size=number)
        people.did("login", after_days=0.5)
        if number % 3 == 0:
            people.did("export", after_days=2 + number % 4)
        if number % (6 if number % 3 == 0 else 20) == 0:
            people.won(after_days=20, amount=900)
    people.build()
    made = build_services(Settings(data_dir=folder, sql_seconds=2))
    yield made
    made.queries.close()


def without_words(report: Report) -> dict[str, Any]:
    """The evidence but for what says how the signal is written."""
    plain = report.evidence.to_json()
    return {key: value for key, value in plain.items() if key not in ("passport", "notes")}


@pytest.mark.parametrize("more", [{}, {"outcome": {"source": "deal won", "belongs_to": "user"}}])
def test_a_query_and_its_condition_have_the_same_evidence(services: Services, more: dict[str, Any]) -> None:
    asked, built = (services.backtests.run(each(**more)) for each in (sql_signal, built_signal))
    assert isinstance(asked.evidence.result, Measured)
    assert without_words(asked) == without_words(built)
    assert (asked.evidence.passport.engine, built.evidence.passport.engine) == ("sandbox-1", "core-1")
    assert asked.evidence.passport.sql == EXPORTED
    assert services.backtests.report(asked.run_id).evidence == asked.evidence


def test_accounts_too(services: Services) -> None:
    query = "SELECT company_id, MIN(timestamp) AS matched_at FROM events WHERE event = 'export' GROUP BY company_id"
    asked, built = (
        services.backtests.run(each) for each in (sql_signal(query, unit="account"), built_signal(unit="account"))
    )
    assert without_words(asked) == without_words(built)


def test_a_saved_query_is_listed_exported_and_reaches_people(services: Services) -> None:
    asked, built = services.signals.save(sql_signal()), services.signals.save(built_signal())
    carriers = [services.units.carriers(each.id, CarrierQuery()) for each in (asked, built)]
    assert carriers[0] == carriers[1]
    assert carriers[0].total == 80
    assert services.signals.export_csv(asked.id)[1] == services.signals.export_csv(built.id)[1]
    reaches = [services.playbooks.reach([[each.id]]) for each in (asked, built)]
    assert reaches[0] == reaches[1]
    assert services.playbooks.reach([[asked.id, built.id]]) == reaches[0]
    carried = services.units.read("u000").carried
    assert [each.name for each in carried] == ["Exported", "Exported"]
    assert carried[0].matched_at == carried[1].matched_at


def test_a_query_is_examined_like_its_condition(services: Services) -> None:
    asked, built = (services.examinations.of(each) for each in (sql_signal(), built_signal()))
    assert isinstance(asked, Examination)
    assert isinstance(built, Examination)
    assert (asked.train, asked.held_out, asked.rung) == (built.train, built.held_out, built.rung)
    of_accounts = services.examinations.of(sql_signal("SELECT company_id FROM users", unit="account"))
    assert isinstance(of_accounts, CannotExamine)
    assert "accounts" in of_accounts.reason


def test_the_answer_is_kept_so_that_a_second_look_asks_no_sandbox(services: Services) -> None:
    services.backtests.run(sql_signal())
    asked = []
    sandbox = services.queries._sandbox
    kept, sandbox.run = sandbox.run, lambda *given, **named: asked.append(given)  # type: ignore[method-assign]
    try:
        services.backtests.run(sql_signal())
    finally:
        sandbox.run = kept  # type: ignore[method-assign]
    assert not asked


@pytest.mark.parametrize(
    ("sql", "line"),
    [("SELECT user_id\nFROM evnts", 2), ("SELECT user_id\nFROM events\nWHERE evnt = 'export'", 3), ("SELECT", None)],
)
def test_a_faulty_query_says_where_and_the_run_says_why(services: Services, sql: str, line: int | None) -> None:
    run_id = "0123456789abcdef" * 2 if line == 2 else None
    with pytest.raises(SqlError) as refused:
        services.backtests.run(sql_signal(sql), run_id)
    assert line is None or refused.value.line == line


def test_a_run_that_failed_keeps_its_sentence(services: Services) -> None:
    run_id = "ab" * 16
    with pytest.raises(SqlError):
        services.backtests.run(sql_signal("SELECT user_id FROM events WHERE nothing > 1"), run_id)
    with pytest.raises(InputError, match="nothing"):
        services.backtests.report(run_id)


def test_a_query_has_no_other_dialect(services: Services) -> None:
    assert services.backtests.sql(sql_signal()) == EXPORTED
    with pytest.raises(InputError, match="no other dialect"):
        services.backtests.sql(sql_signal(), "spark")


def test_a_preview_shows_what_the_backtest_will_read(services: Services) -> None:
    found = services.queries.preview(sql_signal("SELECT * FROM events WHERE event = 'export' ORDER BY user_id"))
    assert found.columns[0] == ("user_id", "VARCHAR")
    assert (found.total_rows, len(found.rows), found.rows[0][0]) == (80, 50, "u000")
    short = services.queries.preview(sql_signal("SELECT * FROM events WHERE event = 'export'", landmark_days=3))
    assert short.total_rows == 20


def test_the_tables_are_described(services: Services) -> None:
    tables = {table.name: table for table in services.queries.tables()}
    assert list(tables) == ["events", "users", "companies", "deals"]
    assert tables["users"].rows == 240


def test_without_data_there_is_nothing_to_ask(tmp_path: Path) -> None:
    empty = build_services(Settings(data_dir=tmp_path))
    for ask in (empty.queries.tables, lambda: empty.queries.preview(sql_signal())):
        with pytest.raises(NoDataError):
            ask()
    empty.queries.close()


def test_while_one_person_hangs_others_go_on(services: Services) -> None:
    """A hung query holds one process until its deadline; another person's query and backtest are answered meanwhile."""
    hung = sql_signal("SELECT u.user_id FROM users u, range(100000000) a, range(1000) b WHERE a.range + b.range < 0")
    ended: list[SqlError] = []

    def hang() -> None:
        with pytest.raises(SqlError) as stopped:
            services.queries.preview(hung, "bob")
        ended.append(stopped.value)

    thread = threading.Thread(target=hang)
    thread.start()
    found = services.queries.preview(sql_signal("SELECT user_id FROM users"), "ann")
    services.backtests.run(built_signal())
    assert found.total_rows == 240
    assert not ended
    thread.join(30)
    assert "within 2 s" in str(ended[0])
