"""Who carries a signal, in parts of a list, and everything on one user."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from journeys import Journeys

from beton.bootstrap import build_services
from beton.config import Settings
from beton.errors import InputError, NoDataError
from beton.model.signal import from_dict
from beton.model.unit_facts import MOST_ID, CarrierPage, CarrierQuery, DayCount
from beton.records.database import sqlite_url
from beton.services import Services
from beton.services.units import LONGEST_SPAN_DAYS, SHORTEST_SPAN_DAYS

DID_X = {"name": "Did x", "when": {"event": "x", "within_days": 3}}
HOSTILE = "'; DROP TABLE users; --"


def day(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("company")
    people = Journeys(folder, data_end="2024-06-01")
    people.company("acme", size=80, name="Acme Inc").company("globex", size=9)
    people.user("won", signed_up="2024-01-02", company="acme", plan="pro", role="founder").did("x", after_days=1)
    people.did("y", after_days=40).contact().won(after_days=20, amount=900, currency="EUR", created_after_days=4)
    people.user("mate", signed_up="2024-01-12", company="acme").did("x", after_days=2).contact()
    people.user("waits", signed_up="2024-02-01", company="globex", plan="free").did("x", after_days=0.5).contact()
    people.user("late", signed_up="2024-05-20").did("x", after_days=0.25).did("x", after_days=-1).contact()
    people.user("never", signed_up="2024-02-01").did("y", after_days=1).contact()
    people.user("tester", signed_up="2024-02-01", company="globex", internal=True).did("x", after_days=1).contact()
    people.user("stranger", signed_up="2024-02-01").did("x", after_days=1)
    people.user(HOSTILE, signed_up="2024-03-01").did("x", after_days=1, page_path="/p" * 300).contact()
    people.publish()
    return folder


@pytest.fixture
def company(data_dir: Path, tmp_path: Path) -> Services:
    """Services over one company for all tests, with an app database of the test's own."""
    return build_services(Settings(data_dir=data_dir, database_url=sqlite_url(tmp_path / "app.sqlite3")))


def carriers(services: Services, definition: dict[str, Any] = DID_X, **wanted: Any) -> CarrierPage:
    return services.units.carriers(services.signals.save(from_dict(definition)).id, CarrierQuery(**wanted))


def who(page: CarrierPage) -> list[str]:
    return [each.unit_id for each in page.rows]


# ---- who carries a signal


def test_the_list_holds_whom_the_export_holds_newest_match_first(company: Services) -> None:
    page = carriers(company)
    saved = company.signals.save(from_dict(DID_X))
    exported = csv.DictReader(io.StringIO(company.signals.export_csv(saved.id)[1]))

    assert who(page) == ["late", HOSTILE, "waits", "mate", "won"]
    assert {row["user_id"].removeprefix("'") for row in exported} == {each.removeprefix("'") for each in who(page)}
    assert (page.unit, page.matching, page.total) == ("user", 5, 5)


def test_a_row_says_when_it_matched_and_how_it_ended(company: Services) -> None:
    late, _, waits, mate, won = carriers(company).rows

    assert (won.email, won.company, won.traits) == ("won@acme.example", "Acme Inc", {"plan": "pro", "role": "founder"})
    assert (won.matched_at, won.matched_after_days) == (day("2024-01-03"), 1.0)
    assert (won.standing, won.outcome_at, won.is_open) == ("in the backtest", day("2024-01-22"), False)
    assert mate.outcome_at == won.outcome_at  # the deal is the account's
    assert (waits.company, waits.outcome_at, waits.is_open) == ("globex", None, False)
    assert (late.company, late.standing, late.is_open, late.matched_after_days) == (None, "not yet mature", True, 0.25)


def test_parts_of_the_list_follow_each_other(company: Services) -> None:
    parts = [carriers(company, start=start, rows=2) for start in (0, 2, 4, 6)]
    assert [each for part in parts for each in who(part)] == who(carriers(company))
    assert {(part.matching, part.total) for part in parts} == {(5, 5)}


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({"text": "ACME"}, ["mate", "won"]),
        ({"text": "waits@"}, ["waits"]),
        ({"text": "%"}, []),
        ({"text": HOSTILE}, [HOSTILE]),
        ({"converted": "yes"}, ["mate", "won"]),
        ({"converted": "open"}, ["late"]),
        ({"converted": "no"}, [HOSTILE, "waits"]),
        ({"converted": "no", "text": "globex"}, ["waits"]),
    ],
)
def test_a_filter_keeps_some_and_counts_all(company: Services, wanted: dict[str, Any], found: list[str]) -> None:
    page = carriers(company, **wanted)
    assert (who(page), page.matching, page.total) == (found, len(found), 5)


@pytest.mark.parametrize(
    ("sort", "ascending", "descending"),
    [
        ("who", [HOSTILE, "late", "mate", "waits", "won"], ["won", "waits", "mate", "late", HOSTILE]),
        ("company", ["mate", "won", "waits", HOSTILE, "late"], ["waits", "mate", "won", HOSTILE, "late"]),
        ("plan", ["waits", "won", HOSTILE, "late", "mate"], ["won", "waits", HOSTILE, "late", "mate"]),
        ("role", ["won", HOSTILE, "late", "mate", "waits"], ["won", HOSTILE, "late", "mate", "waits"]),
        ("day", ["late", "waits", HOSTILE, "won", "mate"], ["mate", HOSTILE, "won", "waits", "late"]),
        ("outcome", ["mate", "won", HOSTILE, "late", "waits"], ["mate", "won", HOSTILE, "late", "waits"]),
        ("standing", [HOSTILE, "mate", "waits", "won", "late"], ["late", HOSTILE, "mate", "waits", "won"]),
        ("matched_at", ["won", "mate", "waits", HOSTILE, "late"], ["late", HOSTILE, "waits", "mate", "won"]),
    ],
)
def test_every_column_sorts_and_what_is_missing_stands_last(
    company: Services, sort: str, ascending: list[str], descending: list[str]
) -> None:
    assert who(carriers(company, sort=sort, is_descending=False)) == ascending
    assert who(carriers(company, sort=sort, is_descending=True)) == descending


def test_data_without_plan_and_role_are_listed_without_them(services: Services, tmp_path: Path) -> None:
    Journeys(tmp_path, data_end="2024-06-01").user("ann").did("x", after_days=1).build()
    [row] = carriers(services, sort="plan").rows
    assert row.traits == {}


def test_accounts_are_listed_as_accounts(company: Services) -> None:
    page = carriers(company, DID_X | {"unit": "account"})
    assert page.unit == "account"
    assert [(each.unit_id, each.company, each.email, each.traits) for each in page.rows] == [
        ("globex", None, None, {}),
        ("acme", "Acme Inc", None, {}),
    ]


@pytest.mark.parametrize(
    "wanted",
    [
        {"start": -1},
        {"start": 2**31},
        {"rows": 0},
        {"rows": 501},
        {"sort": "matched_at; DROP TABLE users"},
        {"sort": ["who"]},
        {"converted": "maybe"},
        {"text": "x" * 201},
    ],
)
def test_what_no_list_asks_for_is_refused(wanted: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="reload the page"):
        CarrierQuery(**wanted)


def test_an_unknown_signal_has_no_list(company: Services) -> None:
    with pytest.raises(InputError):
        company.units.carriers("nowhere", CarrierQuery())


# ---- one user


def test_a_user_is_read_whole(company: Services) -> None:
    saved = company.signals.save(from_dict(DID_X))
    company.signals.save(from_dict({"name": "Did z", "when": {"event": "y", "within_days": 3}}))
    facts = company.units.read("won")

    assert (facts.user_id, facts.email, facts.company_id, facts.company) == (
        "won", "won@acme.example", "acme", "Acme Inc",
    )  # fmt: skip
    assert (facts.signed_up_at, facts.outcome_at) == (day("2024-01-02"), day("2024-01-22"))
    assert facts.after_days(day("2024-01-22")) == 20
    [deal] = facts.deals
    assert (deal.is_own, deal.amount, deal.currency, deal.is_won) == (True, 900, "EUR", True)
    assert (deal.created_at, deal.closed_at) == (day("2024-01-06"), day("2024-01-22"))
    [carried] = facts.carried
    assert (carried.signal_id, carried.name, carried.matched_at, carried.matched_after_days) == (
        saved.id, "Did x", day("2024-01-03"), 1.0,
    )  # fmt: skip
    assert facts.days == (DayCount(1, "x", 1), DayCount(40, "y", 1))
    assert [(each.event, each.after_days) for each in facts.recent] == [("y", 40.0), ("x", 1.0)]
    assert facts.event_count == 2


def test_the_unit_agrees_with_the_list_on_every_match(company: Services) -> None:
    saved = company.signals.save(from_dict(DID_X))
    for row in carriers(company).rows:
        [carried] = company.units.read(row.unit_id).carried
        assert (carried.signal_id, carried.matched_at, carried.matched_after_days, carried.standing) == (
            saved.id, row.matched_at, row.matched_after_days, row.standing,
        )  # fmt: skip
    assert company.units.read("never").carried == ()


def test_a_colleague_shares_the_deal_of_the_account(company: Services) -> None:
    mate = company.units.read("mate")
    assert [(each.is_own, each.amount) for each in mate.deals] == [(False, 900)]
    assert mate.outcome_at == day("2024-01-22")
    assert company.units.read("waits").deals == ()


def test_properties_say_since_when_or_that_nobody_knows(services: Services, tmp_path: Path) -> None:
    people = Journeys(tmp_path, data_end="2024-06-01").company("acme", size=80)
    people.user("ann", company="acme", role="founder").did("x", after_days=1).became(after_days=2, plan="pro").build()
    traits = {each.name: each for each in services.units.read("ann").traits}

    assert (traits["plan"].value, traits["plan"].set_at) == ("pro", day("2024-01-03"))
    assert (traits["role"].value, traits["role"].set_at, traits["role"].of_company) == ("founder", None, False)
    assert (traits["company_size"].value, traits["company_size"].of_company) == (80, True)


def test_whoever_is_left_out_of_backtests_is_labelled(company: Services) -> None:
    company.signals.save(from_dict(DID_X))
    company.signals.save(from_dict(DID_X | {"name": "Account", "unit": "account"}))
    tester, stranger = company.units.read("tester"), company.units.read("stranger")

    assert (tester.is_internal, tester.carried) == (True, ())
    assert (stranger.is_internal, stranger.is_identified, stranger.contact_id, stranger.carried) == (
        False, False, None, (),
    )  # fmt: skip
    assert company.units.read("won").is_identified


def test_a_signal_on_accounts_is_carried_by_its_users(company: Services) -> None:
    company.signals.save(from_dict(DID_X | {"unit": "account"}))
    [carried] = company.units.read("mate").carried
    # the account's clock started ten days before this user's
    assert (carried.matched_at, carried.matched_after_days) == (day("2024-01-03"), -9.0)


def test_a_signal_the_data_cannot_answer_is_named(company: Services) -> None:
    company.signals.save(from_dict({"name": "Gone", "when": {"event": "nothing_like_it"}}))
    assert company.units.read("won").unmeasured == ("Gone",)


def test_events_before_the_signup_are_counted_and_not_drawn(company: Services) -> None:
    late = company.units.read("late")
    assert (late.event_count, late.before_signup) == (2, 1)
    assert late.days == (DayCount(0, "x", 1),)
    assert late.recent[-1].after_days == -1


def test_the_span_reaches_the_outcome_within_bounds(services: Services, tmp_path: Path) -> None:
    people = Journeys(tmp_path, data_end="2025-06-01")
    for name, waited in (("soon", 3), ("later", 100), ("last", 400)):
        people.user(name).did("x", after_days=1).won(after_days=waited)
    people.build()
    assert [services.units.read(name).span_days for name in ("soon", "later", "last")] == [
        SHORTEST_SPAN_DAYS, 105, LONGEST_SPAN_DAYS,
    ]  # fmt: skip


def test_hostile_ids_find_their_user_and_no_other(company: Services) -> None:
    found = company.units.read(HOSTILE)
    assert found.user_id == HOSTILE
    assert len(found.recent[0].details["page_path"]) == 200
    assert company.units.read("won").user_id == "won"


@pytest.mark.parametrize("user_id", ["", "nobody", "' OR '1'='1", "won\x00", "x" * (MOST_ID + 1), "%", "WON"])
def test_a_missing_user_is_an_error_with_a_next_step(company: Services, user_id: str) -> None:
    with pytest.raises(InputError, match="open a user from a signal's list"):
        company.units.read(user_id)


def test_without_data_nobody_is_read(services: Services) -> None:
    with pytest.raises(NoDataError):
        services.units.read("ann")


def test_another_outcome_is_read_by_its_own_rule(services: Services, tmp_path: Path) -> None:
    people = Journeys(tmp_path, data_end="2024-06-01").user("ann").did("paid", after_days=9).did("x", after_days=1)
    people.build()
    definition = DID_X | {"outcome": {"source": "event", "event": "paid"}}
    [row] = carriers(services, definition).rows
    assert row.outcome_at == day("2024-01-10")
    assert services.units.read("ann").outcome_at is None  # the workspace still counts won deals


# ---- one account


def test_an_account_is_read_whole(company: Services) -> None:
    company.signals.save(from_dict(DID_X))
    saved = company.signals.save(from_dict(DID_X | {"name": "Account", "unit": "account"}))
    acme = company.units.read_account("acme")

    assert (acme.account_id, acme.name, acme.first_seen_at) == ("acme", "Acme Inc", day("2024-01-02"))
    assert (acme.is_internal, acme.is_identified, acme.outcome_at) == (False, True, day("2024-01-22"))
    assert [(each.user_id, each.signed_up_at, each.is_internal) for each in acme.people] == [
        ("won", day("2024-01-02"), False),
        ("mate", day("2024-01-12"), False),
    ]
    assert acme.people_count == 2
    assert [(each.deal_id, each.is_own, each.amount) for each in acme.deals] == [("deal-1", False, 900)]
    assert {each.name: each.value for each in acme.traits} == {"company_name": "Acme Inc", "company_size": 80}
    [carried] = acme.carried  # the signal on users is on the pages of the users
    assert (carried.signal_id, carried.matched_at, carried.matched_after_days) == (saved.id, day("2024-01-03"), 1.0)


def test_an_account_agrees_with_the_list_on_every_match(company: Services) -> None:
    about = DID_X | {"unit": "account"}
    for row in carriers(company, about).rows:
        [carried] = company.units.read_account(row.unit_id).carried
        assert (carried.matched_at, carried.matched_after_days, carried.standing) == (
            row.matched_at, row.matched_after_days, row.standing,
        )  # fmt: skip


@pytest.mark.parametrize("account_id", ["", "nobody", "' OR '1'='1", "x" * (MOST_ID + 1), "won"])
def test_a_missing_account_is_an_error_with_a_next_step(company: Services, account_id: str) -> None:
    with pytest.raises(InputError, match="open one from a signal's list"):
        company.units.read_account(account_id)


def test_an_internal_account_and_one_without_users_carry_nothing(services: Services, tmp_path: Path) -> None:
    people = Journeys(tmp_path, data_end="2024-06-01").company("empty", size=3)
    people.user("ann").did("x", after_days=1).user("me", company="ours", internal=True).did("x", after_days=1).build()
    services.signals.save(from_dict(DID_X | {"unit": "account"}))
    ours, empty = services.units.read_account("ours"), services.units.read_account("empty")

    assert (ours.is_internal, ours.carried, ours.people_count) == (True, (), 1)
    assert (empty.first_seen_at, empty.carried, empty.people, empty.people_count) == (None, (), (), 0)
