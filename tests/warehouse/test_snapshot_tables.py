"""What lies in a snapshot, to the row."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from journeys import Journeys

from beton.errors import NoDataError
from beton.model.manifest import Manifest, PropertyFacts
from beton.model.mapping_check import parse_mapping
from beton.warehouse.imports import build_from_tables
from beton.warehouse.reader import Warehouse

PRD_QUERY = """
SELECT DISTINCT user_id
FROM events
WHERE event = 'onboarding_completed'
  AND days_since_signup <= 3
  AND user_id IN (
    SELECT user_id FROM users
    WHERE company_size BETWEEN 50 AND 500
  )
"""


def ask(warehouse: Warehouse, query: str) -> list[tuple[Any, ...]]:
    with warehouse.connection() as connection:
        return connection.execute(query).fetchall()


def columns(warehouse: Warehouse, table: str) -> list[str]:
    return [row[0] for row in ask(warehouse, f"DESCRIBE {table}")]


@pytest.fixture
def acme(tmp_path: Path) -> Warehouse:
    return (
        Journeys(tmp_path, data_end="2024-12-31")
        .user("bob", signed_up="2024-01-05", company="acme")
        .did("login", after_days=0)
        .user("ann", signed_up="2024-01-01 12:00", company="acme", company_size=80, plan="free", seats=3)
        .became(role="admin", after_days=20)
        .did("onboarding_completed", after_days=2.5)
        .did("login", after_days=-1)
        .did("login", after_days=1, page_path="/late")
        .did("login", after_days=0, page_path="/first")
        .won(after_days=30, amount=1200, currency="EUR", created_after_days=10)
        .user("eve", signed_up="2024-02-01", internal=True)
        .did("login", after_days=0.5, browser="Chrome")
        .won(after_days=3, on="user")
        .build()
    )


def test_users_are_numbered_by_signup_and_carry_their_company(acme: Warehouse) -> None:
    found = ask(
        acme,
        """SELECT user_key, user_id, company_key, signed_up_at, t0_s, account_offset_s, is_internal, is_matched,
            plan, role, role__set_s, seats, company_size FROM store.users ORDER BY user_key""",
    )
    ann_t0_s = 1_704_110_400
    assert found == [
        (
            0,
            "ann",
            0,
            datetime(2024, 1, 1, 12),
            ann_t0_s,
            0,
            False,
            True,
            "free",
            "admin",
            ann_t0_s + 20 * 86400,
            3,
            80,
        ),
        (1, "bob", 0, datetime(2024, 1, 5), ann_t0_s + 302400, 302400, False, True, None, None, None, None, 80),
        (2, "eve", None, datetime(2024, 2, 1), 1_706_745_600, 0, True, True, None, None, None, None, None),
    ]


def test_events_count_from_signup_and_those_before_it_have_no_ordinal(acme: Warehouse) -> None:
    found = ask(acme, "SELECT event, user_key, rel_s, n, page_path, browser FROM store.events ORDER BY rowid")
    assert found == [
        ("login", 0, -86400, 0, None, None),
        ("login", 0, 0, 1, "/first", None),
        ("login", 0, 86400, 2, "/late", None),
        ("login", 1, 0, 1, None, None),
        ("login", 2, 43200, 1, None, "Chrome"),
        ("onboarding_completed", 0, 216000, 1, None, None),
    ]


def test_the_first_signup_is_the_first_sight_of_a_company(acme: Warehouse) -> None:
    found = ask(acme, "SELECT company_key, company_id, company_size, first_seen_at, t0_s FROM store.companies")
    assert found == [(0, "acme", 80, datetime(2024, 1, 1, 12), 1_704_110_400)]


def test_a_deal_of_a_user_belongs_to_the_users_company(tmp_path: Path) -> None:
    warehouse = (
        Journeys(tmp_path)
        .user("ann", company="acme")
        .did("login", after_days=1)
        .won(after_days=2, on="user", amount=5)
        .lost(after_days=3, on="company")
        .open_deal(on="both")
        .build()
    )
    found = ask(
        warehouse,
        "SELECT deal_id, company_key, user_key, amount, closed_s, is_won FROM store.deals ORDER BY deal_id",
    )
    assert found == [
        ("deal-1", 0, 0, 5.0, 1_704_240_000, True),
        ("deal-2", 0, None, None, 1_704_326_400, False),
        ("deal-3", 0, 0, None, None, False),
    ]


def test_companies_that_only_deals_know_get_a_row_without_first_sight(tmp_path: Path) -> None:
    journeys = Journeys(tmp_path).user("ann").did("login", after_days=1)
    warehouse = journeys.deal(company_id="unseen", closed_at=datetime(2024, 5, 1), is_won=True, on="company").build()
    assert ask(warehouse, "SELECT company_id, first_seen_at, t0_s FROM store.companies") == [("unseen", None, None)]


def test_contacts_match_users_by_e_mail_whatever_its_case(tmp_path: Path) -> None:
    warehouse = (
        Journeys(tmp_path)
        .user("ann", company="acme")
        .did("login", after_days=1)
        .contact("  ANN@Acme.example ", company_id="acme")
        .contact("ann@acme.example")
        .user("bob")
        .contact("stranger@acme.example")
        .build()
    )
    users = ask(warehouse, "SELECT user_id, is_matched, contact_id FROM store.users ORDER BY user_id")
    assert users == [("ann", True, "contact-1"), ("bob", False, None)]
    contacts = ask(warehouse, "SELECT contact_id, company_key, user_key FROM store.contacts ORDER BY contact_id")
    assert contacts == [("contact-1", 0, 0), ("contact-2", None, 0), ("contact-3", None, None)]
    facts = warehouse.manifest().contacts
    assert facts is not None
    assert (facts.total, facts.matched) == (3, 2)


def test_events_of_one_moment_keep_the_order_of_arrival(tmp_path: Path) -> None:
    journeys = Journeys(tmp_path).user("ann")
    for page in ("/c", "/a", "/b"):
        journeys.did("view", after_days=1, page_path=page)
    found = ask(journeys.build(), "SELECT n, page_path FROM store.events ORDER BY rowid")
    assert found == [(1, "/c"), (2, "/a"), (3, "/b")]


def test_parts_of_a_second_never_move_an_event_before_its_landmark_or_signup(tmp_path: Path) -> None:
    journeys = Journeys(tmp_path).user("ann", signed_up="2024-01-01T00:00:00.700")
    for at in ("2023-12-31T23:59:59.999", "2024-01-01T00:00:00.700", "2024-01-03T23:59:59.999", "2024-01-04T00:00:00"):
        journeys.did("login", at=at)
    found = ask(journeys.build(), "SELECT rel_s, n FROM store.events ORDER BY rowid")
    assert found == [(-1, 0), (0, 1), (3 * 86400 - 1, 2), (3 * 86400, 3)]


def test_views_have_the_canonical_columns_and_then_every_property(acme: Warehouse) -> None:
    assert columns(acme, "users") == [
        *("user_id", "email", "company_id", "signed_up_at", "plan", "role", "country"),
        *("company_name", "company_size", "industry", "seats"),
    ]
    assert columns(acme, "companies") == ["company_id", "name", "domain", "company_size", "industry", "country"]
    assert columns(acme, "events") == [
        *("user_id", "company_id", "event", "timestamp", "days_since_signup", "page_path", "properties")
    ]
    assert columns(acme, "deals") == [
        *("deal_id", "company_id", "user_id", "amount", "currency", "stage", "created_at", "closed_at", "is_won")
    ]


def test_views_speak_in_ids_days_and_json(acme: Warehouse) -> None:
    query = """SELECT user_id, company_id, days_since_signup, properties->>'$.browser' FROM events
        WHERE event = 'login' AND days_since_signup <> 0 ORDER BY user_id, timestamp"""
    assert ask(acme, query) == [
        ("ann", "acme", -1.0, None),
        ("ann", "acme", 1.0, None),
        ("eve", None, 0.5, "Chrome"),
    ]
    assert ask(acme, "SELECT company_id, user_id, amount, currency FROM deals ORDER BY deal_id") == [
        ("acme", "ann", 1200.0, "EUR"),
        (None, "eve", None, None),
    ]


def test_the_query_of_the_product_description_runs_verbatim(acme: Warehouse) -> None:
    assert ask(acme, PRD_QUERY) == [("ann",)]


def test_the_manifest_counts_what_is_there_and_survives_a_round_trip(acme: Warehouse) -> None:
    manifest = acme.manifest()
    assert manifest.tables == {"users": 3, "companies": 1, "contacts": 0, "events": 6, "deals": 2}
    assert [(facts.name, facts.rows, facts.users) for facts in manifest.events] == [
        ("login", 5, 3),
        ("onboarding_completed", 1, 1),
    ]
    assert manifest.range.start.isoformat() == "2023-12-31T12:00:00+00:00"
    assert manifest.data_end.isoformat() == "2024-12-31T00:00:00+00:00"
    assert manifest.internal_users == 1
    assert manifest.contacts is None
    assert {facts.name: facts for facts in manifest.properties} == {
        "plan": PropertyFacts("plan", "user", "text", False, ("free",), 1),
        "role": PropertyFacts("role", "user", "text", True, ("admin",), 1),
        "seats": PropertyFacts("seats", "user", "number", False, (3,), 1),
        "company_size": PropertyFacts("company_size", "company", "number", False, (80,), 1),
        "page_path": PropertyFacts("page_path", "event", "text", False, ("/first", "/late"), 2),
        "browser": PropertyFacts("browser", "event", "text", False, ("Chrome",), 1),
    }
    assert Manifest.from_json(manifest.to_json()) == manifest


def test_a_property_lists_its_twenty_most_common_values(tmp_path: Path) -> None:
    journeys = Journeys(tmp_path)
    for number in range(30):
        journeys.user(f"u{number}", team=f"team {min(number, 24):02d}").did("login", after_days=1)
    (team,) = (facts for facts in journeys.build().manifest().properties if facts.name == "team")
    assert team.distinct == 25
    assert team.values == ("team 24", *(f"team {number:02d}" for number in range(19)))


def test_the_same_journeys_make_the_same_version(tmp_path: Path) -> None:
    versions = [Journeys(tmp_path / folder).user("ann").did("login", after_days=1).build().version() for folder in "ab"]
    assert versions[0] == versions[1]


def test_many_events_in_any_order_come_out_sorted_with_running_ordinals(tmp_path: Path) -> None:
    rng = np.random.default_rng(7)
    users, events = 3_000, 300_000
    start_s = np.sort(rng.integers(1_700_000_000, 1_710_000_000, users))
    user = rng.integers(0, users, events)
    event = rng.integers(0, 20, events)
    at_s = start_s[user] + rng.integers(-1_000, 5_000_000, events)
    tables = {
        "users": pa.table({"user_id": [f"u{key:05d}" for key in range(users)], "signed_up_at": pa.array(start_s)}),
        "events": pa.table({"user_id": [f"u{key:05d}" for key in user], "event": [f"e{x:02d}" for x in event],
                            "timestamp": pa.array(at_s)}),
    }  # fmt: skip
    document = {
        "version": 1,
        "name": "Many",
        "tables": {
            name: {"file": f"{name}.parquet", "columns": {column: column for column in table.column_names}}
            for name, table in tables.items()
        },
    }
    build_from_tables(tmp_path, tables, parse_mapping(document, tmp_path))
    with Warehouse(tmp_path).connection() as connection:
        stored = connection.execute(
            "SELECT event::VARCHAR AS event, user_key, rel_s, n FROM store.events ORDER BY rowid"
        ).fetchnumpy()
    order = np.lexsort((at_s, user, event))
    expected_rel_s = (at_s - start_s[user])[order]
    assert np.array_equal(stored["user_key"], user[order])
    assert np.array_equal(stored["rel_s"], expected_rel_s)
    assert np.array_equal(stored["event"].astype(str), np.char.add("e", np.char.zfill(event[order].astype(str), 2)))
    n = np.zeros(events, np.int64)
    previous = None
    for row, key in enumerate(zip(event[order].tolist(), user[order].tolist(), strict=True)):
        n[row] = int(expected_rel_s[row] >= 0) + (n[row - 1] if key == previous else 0)
        previous = key
    assert np.array_equal(stored["n"], n)


def test_without_a_snapshot_the_fix_is_named(tmp_path: Path) -> None:
    with pytest.raises(NoDataError, match="beton demo"):
        Warehouse(tmp_path).manifest()
