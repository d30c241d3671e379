"""Rows that cannot be used: kept, numbered, counted, each with its reason."""

from __future__ import annotations

import json

import pytest
from company_files import Files, csv

from beton.warehouse.imports import RejectCount
from beton.warehouse.reader import Warehouse
from beton.warehouse.staging import REJECT_REASONS

USER, EVENT = "ann,2024-01-01", "ann,login,2024-01-02"
USERS = "user_id,signed_up_at"
EVENTS = "user_id,event,timestamp"
DEALS = "deal_id,user_id,company_id,amount,created_at,closed_at,is_won"
DEAL = "ok,ann,,10,2024-02-01,2024-03-01,true"

ONE_BAD_ROW = {
    "users missing id": ("users", USERS, USER, " ,2024-01-01", "missing_value"),
    "users missing signup": ("users", USERS, USER, "bob,", "missing_value"),
    "users bad signup": ("users", USERS, USER, "bob,31.12.2024", "bad_time"),
    "users impossible day": ("users", USERS, USER, "bob,2024-02-30", "bad_time"),
    "users time before 1970": ("users", USERS, USER, "bob,1969-12-31", "bad_time"),
    "users infinite time": ("users", USERS, USER, "bob,infinity", "bad_time"),
    "users number that is no epoch": ("users", USERS, USER, "bob,20240101", "bad_time"),
    "users duplicate": ("users", USERS, USER, "ann ,2024-05-05", "duplicate_id"),
    "users bad test flag": ("users", "user_id,signed_up_at,test", USER + ",no", "bob,2024-01-01,maybe", "bad_boolean"),
    "users too few cells": ("users", USERS, USER, "bob", "malformed_row"),
    "users too many cells": ("users", USERS, USER, "bob,2024-01-01,2024-01-01", "malformed_row"),
    "users text behind a quote": ("users", USERS, USER, '"bob"x,2024-01-01', "malformed_row"),
    "users large cell": ("users", USERS, USER, "x" * 1_000_001 + ",2024-01-01", "cell_too_large"),
    "companies missing id": ("companies", "company_id,company_size", "c,1", ",5", "missing_value"),
    "companies size": ("companies", "company_id,company_size", "c,1", "d,51-200", "bad_number"),
    "companies infinite size": ("companies", "company_id,company_size", "c,1", "d,inf", "bad_number"),
    "companies duplicate": ("companies", "company_id,company_size", "c,1", "c,2", "duplicate_id"),
    "companies created": ("companies", "company_id,created_at", "c,2024-01-01", "d,soon", "bad_time"),
    "contacts missing e-mail": ("contacts", "contact_id,email", "p,a@b.example", "q,", "missing_value"),
    "contacts duplicate": ("contacts", "contact_id,email", "p,a@b.example", "p,c@d.example", "duplicate_id"),
    "events missing user": ("events", EVENTS, EVENT, ",login,2024-01-02", "missing_value"),
    "events missing name": ("events", EVENTS, EVENT, "ann, ,2024-01-02", "missing_value"),
    "events bad time": ("events", EVENTS, EVENT, "ann,login,noon", "bad_time"),
    "events unknown user": ("events", EVENTS, EVENT, "zoe,login,2024-01-02", "unknown_user"),
    "events too far away": ("events", EVENTS, EVENT, "ann,login,2199-01-02", "time_out_of_range"),
    "events bad json": ("events", EVENTS + ",props", EVENT + ",{}", EVENT + ",[1]", "bad_json"),
    "events cut json": ("events", EVENTS + ",props", EVENT + ",{}", EVENT + ',"{""a"":"', "bad_json"),
    "deals duplicate": ("deals", DEALS, DEAL, DEAL, "duplicate_id"),
    "deals amount": ("deals", DEALS, DEAL, "d,ann,,12 000,2024-02-01,2024-03-01,true", "bad_number"),
    "deals won flag": ("deals", DEALS, DEAL, "d,ann,,1,2024-02-01,2024-03-01,won", "bad_boolean"),
    "deals nobody's": ("deals", DEALS, DEAL, "d,,,1,2024-02-01,2024-03-01,true", "missing_owner"),
    "deals unknown user": ("deals", DEALS, DEAL, "d,zoe,,1,2024-02-01,2024-03-01,true", "unknown_user"),
    "deals won without close": ("deals", DEALS, DEAL, "d,ann,,1,2024-02-01,,true", "won_without_close"),
    "deals backwards": ("deals", DEALS, DEAL, "d,ann,,1,2024-02-03,2024-02-01,true", "closed_before_created"),
}


@pytest.mark.parametrize("case", ONE_BAD_ROW)
def test_a_bad_row_is_rejected_with_its_reason_and_the_good_one_stays(files: Files, case: str) -> None:
    table, header, good, bad, reason = ONE_BAD_ROW[case]
    keys = {}
    if "test" in header.split(","):
        keys = {"columns": {name: name for name in USERS.split(",")}, "internal": {"column": "test"}}
    if "props" in header:
        keys = {"properties_json": "props"}
    files.table(table, f"{table}.csv", csv(header, [good, bad]), **keys)
    assert files.rejects(table) == [(2, reason)]
    assert files.rows(f"SELECT count(*) FROM store.{table}") == [(1,)]
    assert Warehouse(files.data_dir).manifest().rejects == {table: {reason: 1}}


def test_every_reason_is_covered_above() -> None:
    assert {reason for *_, reason in ONE_BAD_ROW.values()} == set(REJECT_REASONS)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("{", "malformed_row"),
        ("[1]", "malformed_row"),
        ("null", "malformed_row"),
        ('{"user_id": "ann"}', "missing_value"),
    ],
)
def test_json_lines_that_are_no_event(files: Files, line: str, reason: str) -> None:
    good = json.dumps({"user_id": "ann", "event": "x", "timestamp": "2024-01-02"})
    columns = {name: name for name in EVENTS.split(",")}
    files.table("events", "events.jsonl", "\n".join([good, line, "", good]), columns=columns)
    assert files.rejects("events") == [(2, reason)]
    assert files.rows("SELECT n FROM store.events ORDER BY rowid") == [(1,), (2,)]


@pytest.mark.parametrize("megabytes", [10, 40])
@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_a_huge_cell_costs_its_own_row_only(files: Files, megabytes: int, kind: str) -> None:
    huge = "x" * megabytes * 1_000_000
    columns = {name: name for name in EVENTS.split(",")}
    rows = [EVENT, f"ann,{huge},2024-01-02", EVENT]
    if kind == "csv":
        files.table("events", "events.csv", csv(EVENTS, rows))
    else:
        lines = [json.dumps(dict(zip(columns, row.split(","), strict=True))) for row in rows]
        files.table("events", "events.jsonl", "\n".join(lines), columns=columns)
    assert files.rejects("events") == [(2, "cell_too_large")]
    (example,) = next(table for table in files.preview().tables if table.name == "events").rejects
    assert len(example.example) <= 2_000
    assert files.rows("SELECT n FROM store.events ORDER BY rowid") == [(1,), (2,)]


def test_a_huge_cell_in_a_column_that_is_not_mapped_does_not_matter(files: Files) -> None:
    rows = [f"{EVENT},{'x' * 10_000_000}"]
    files.table("events", "events.csv", csv(EVENTS + ",junk", rows), columns={n: n for n in EVENTS.split(",")})
    assert files.rejects("events") == []


def test_the_first_problem_of_a_row_is_the_one_that_is_named(files: Files) -> None:
    files.table("events", "events.csv", csv(EVENTS, [EVENT, ",,never"]))
    (counted,) = next(table for table in files.preview().tables if table.name == "events").rejects
    assert counted == RejectCount(
        reason="missing_value",
        sentence=REJECT_REASONS["missing_value"],
        rows=1,
        example_file="events.csv",
        example_row=2,
        example='{"user_id":null,"event":null,"timestamp":"never"}',
    )


def test_a_rejected_user_takes_no_id_and_his_events_are_unknown(files: Files) -> None:
    files.table("users", "users.csv", csv(USERS, ["ann,bad", "ann,2024-01-01", "bob,bad"]))
    files.table("events", "events.csv", csv(EVENTS, [EVENT, "bob,login,2024-01-02"]))
    assert files.rejects("users") == [(1, "bad_time"), (3, "bad_time")]
    assert files.rejects("events") == [(2, "unknown_user")]


def test_a_deal_of_an_unknown_user_stays_with_its_company(files: Files) -> None:
    files.table("deals", "deals.csv", csv(DEALS, ["d,zoe,c1,1,2024-02-01,2024-03-01,true"]))
    assert files.rows("SELECT company_id, user_id FROM deals") == [("c1", None)]
    assert files.rejects("deals") == []


def test_a_deal_may_close_on_the_date_it_was_created(files: Files) -> None:
    files.table("deals", "deals.csv", csv(DEALS, ["d,ann,,1,2024-02-01 18:30,2024-02-01,true"]))
    assert files.rejects("deals") == []


def test_rejects_name_the_file_that_they_come_from(files: Files) -> None:
    for name in ("a", "b"):
        files.table("events", f"{name}.csv", csv(EVENTS, [EVENT, EVENT, f"{name},login,2024-01-02"]))
    files.document["tables"]["events"]["file"] = ["a.csv", "b.csv"]
    (counted,) = next(table for table in files.preview().tables if table.name == "events").rejects
    assert (counted.rows, counted.example_file, counted.example_row) == (2, "a.csv", 3)
    assert json.loads(counted.example)["user_id"] == "a"
