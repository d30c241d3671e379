from __future__ import annotations

import subprocess
import sys
from copy import deepcopy
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from beton.errors import InputError
from beton.model.mapping import Column, Constant, InternalRule, WonRule, joined_company_column, load_mapping
from beton.model.mapping_check import parse_mapping

COMPLETE = """
version: 1
name: Northwind Analytics
demo: true
currency: USD
time_zone: Europe/Berlin
data_end: 2024-12-31
outcomes_since: 2024-01-01T00:00:00Z
tables:
  users:
    file: users.parquet
    columns: {user_id: id, email: mail, company_id: org, signed_up_at: created, plan: plan}
    properties: {role_name: role, seats: n_seats, source: {value: import}}
    set_at: {plan: plan_changed_at}
    internal: {email_domains: ["@Northwind.example"], column: is_test}
  companies:
    file: [a.csv, b.csv]
    columns: {company_id: id, name: name, company_size: size}
    properties: [tier]
  contacts:
    file: contacts.jsonl.gz
    columns: {contact_id: id, email: mail}
  events:
    file: events-*.parquet
    columns: {user_id: who, event: what, timestamp: when}
    properties: {plan_seen: p}
    properties_json: props
  deals:
    file: deals.csv
    columns: {deal_id: id, company_id: org, closed_at: closed, stage: stage}
    won: {column: stage, values: [Closed Won, true, 7]}
"""

MINIMAL: dict[str, Any] = {
    "version": 1,
    "name": "Acme",
    "tables": {
        "users": {"file": "users.csv", "columns": {"user_id": "id", "signed_up_at": "created"}},
        "events": {"file": "events.csv", "columns": {"user_id": "id", "event": "what", "timestamp": "at"}},
    },
}
DEALS = {"file": "deals.csv", "columns": {"deal_id": "id", "user_id": "who", "closed_at": "closed", "is_won": "won"}}


def changed(path: str, value: object) -> dict[str, Any]:
    """Return the minimal mapping, with deals, and one entry set; None takes it away."""
    document = deepcopy({**MINIMAL, "tables": {**MINIMAL["tables"], "deals": DEALS}})
    *folders, last = path.split("/")
    at = document
    for folder in folders:
        at = at.setdefault(folder, {})
    if value is None:
        del at[last]
    else:
        at[last] = value
    return document


def problems(document: object) -> dict[str, str]:
    with pytest.raises(InputError) as refused:
        parse_mapping(document, Path("."))
    assert "\n" not in str(refused.value)
    return refused.value.fields


def test_a_complete_mapping_is_read_as_written(tmp_path: Path) -> None:
    (tmp_path / "mapping.yaml").write_text(COMPLETE)
    mapping = load_mapping(tmp_path / "mapping.yaml")
    assert (mapping.name, mapping.demo, mapping.currency, mapping.time_zone, mapping.base_dir) == (
        *("Northwind Analytics", True, "USD", "Europe/Berlin"),
        tmp_path,
    )
    assert mapping.data_end == datetime(2024, 12, 31, 23, tzinfo=UTC)
    assert mapping.outcomes_since == datetime(2024, 1, 1, tzinfo=UTC)
    users, companies, events = (mapping.tables[name] for name in ("users", "companies", "events"))
    assert users.properties == {"role_name": Column("role"), "seats": Column("n_seats"), "source": Constant("import")}
    assert users.internal == InternalRule(("northwind.example",), "is_test")
    assert users.set_at == {"plan": "plan_changed_at"}
    assert companies.files == ("a.csv", "b.csv")
    assert companies.properties == {"tier": Column("tier")}
    assert events.properties_json == "props"
    assert mapping.tables["deals"].won == WonRule("stage", ("Closed Won", "true", "7"))


def test_every_column_that_is_read_is_known_with_the_place_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "mapping.yaml").write_text(COMPLETE)
    users = load_mapping(tmp_path / "mapping.yaml").tables["users"]
    assert users.source_columns() == {
        "id": "tables.users.columns.user_id",
        "mail": "tables.users.columns.email",
        "org": "tables.users.columns.company_id",
        "created": "tables.users.columns.signed_up_at",
        "plan": "tables.users.columns.plan",
        "role": "tables.users.properties.role_name",
        "n_seats": "tables.users.properties.seats",
        "plan_changed_at": "tables.users.set_at.plan",
        "is_test": "tables.users.internal.column",
    }


def test_the_content_does_not_depend_on_where_the_files_lie() -> None:
    first, second = (parse_mapping(MINIMAL, Path(folder)) for folder in ("/a", "/b"))
    assert first.content() == second.content()
    assert first.content() != parse_mapping({**MINIMAL, "currency": "EUR"}, Path("/a")).content()


@pytest.mark.parametrize(
    ("path", "value", "where", "fix"),
    [
        ("version", 2, "version", "version: 1"),
        ("name", "  ", "name", "1 to 100 characters"),
        ("name", "x" * 101, "name", "1 to 100 characters"),
        ("demo", "yes", "demo", "true or false"),
        ("currency", "dollars", "currency", "three-letter"),
        ("time_zone", "Europe/Berln", "time_zone", "did you mean 'Europe/Berlin'?"),
        ("time_zone", "../../etc/passwd", "time_zone", "IANA"),
        ("data_end", "the end", "data_end", "2024-12-31"),
        ("data_end", 20241231, "data_end", "2024-12-31"),
        ("conversion", 5, "conversion", ""),
        ("colour", "red", "colour", "unknown key"),
        ("tabels", {}, "tabels", "did you mean 'tables'?"),
        ("tables", [], "tables", "name: column"),
        ("tables/users", None, "tables.users", "required"),
        ("tables/event", {}, "tables.event", "did you mean 'events'?"),
        ("tables/users/file", None, "tables.users.file", "file name"),
        ("tables/users/file", [], "tables.users.file", "file name"),
        ("tables/users/file", "users.xlsx", "tables.users.file", ".parquet"),
        ("tables/users/file", ["a.csv", "b.parquet"], "tables.users.file", "one kind"),
        ("tables/users/colums", {}, "tables.users.colums", "did you mean 'columns'?"),
        ("tables/users/columns/user_idd", "id", "tables.users.columns.user_idd", "did you mean 'user_id'?"),
        ("tables/users/columns/user_id", None, "tables.users.columns.user_id", "required"),
        ("tables/users/columns/email", ["a"], "tables.users.columns.email", "name of a column"),
        ("tables/users/columns/email", {"value": None}, "tables.users.columns.email", "name of a column"),
        ("tables/users/properties", {"Job Title": "x"}, "tables.users.properties.Job Title", "'job_title: Job Title'"),
        ("tables/users/properties", {"a__b": "x"}, "tables.users.properties.a__b", "lower-case"),
        ("tables/users/properties", ["email"], "tables.users.properties.email", "tables.users.columns"),
        ("tables/users/properties", ["t0_s"], "tables.users.properties.t0_s", "choose another"),
        ("tables/users/properties", ["industry"], "tables.users.properties.industry", "tables.companies"),
        ("tables/events/properties", ["rel_s"], "tables.events.properties.rel_s", "choose another"),
        ("tables/users/set_at", {"plan": "x"}, "tables.users.set_at.plan", "unknown key"),
        ("tables/users/internal", {"email_domains": ["a.example"]}, "tables.users.internal.email_domains", "e-mail"),
        ("tables/users/internal", {"domains": ["a"]}, "tables.users.internal.domains", "email_domains"),
        ("tables/deals/columns/is_won", None, "tables.deals.won", "say what is a conversion"),
        ("tables/deals/won", {"column": "s", "values": ["x"]}, "tables.deals.won", "remove one"),
        ("tables/deals/columns/user_id", None, "tables.deals.columns.company_id", "whose deal"),
        ("tables/deals/columns/closed_at", None, "tables.deals.columns.closed_at", "required"),
        ("tables/deals/properties", ["x"], "tables.deals.properties", "unknown key"),
    ],
)  # fmt: skip
def test_a_problem_names_its_place_and_its_fix(path: str, value: object, where: str, fix: str) -> None:
    found = problems(changed(path, value))
    assert where in found
    assert fix in found[where]


def test_all_problems_are_named_at_once() -> None:
    document = changed("currency", "x")
    document["tables"]["users"]["columns"] = {"user": "id"}
    found = problems(document)
    assert set(found) == {
        "currency",
        "tables.users.columns.user",
        "tables.users.columns.user_id",
        "tables.users.columns.signed_up_at",
    }
    with pytest.raises(InputError, match=r"\(3 more problems\)"):
        parse_mapping(document, Path("."))


def test_won_needs_its_values() -> None:
    document = changed("tables/deals/columns/is_won", None)
    document["tables"]["deals"]["won"] = {"column": "stage", "values": []}
    assert set(problems(document)) == {"tables.deals.won.values"}


@pytest.mark.parametrize("joined", ["company_tier", "company_size", "company_key"])
def test_names_of_user_and_company_properties_do_not_clash_after_the_join(joined: str) -> None:
    document = changed("tables/users/properties", ["company_tier"])
    document["tables"]["companies"] = {
        "file": "c.csv",
        "columns": {"company_id": "id"},
        "properties": [joined.removeprefix("company_")],
    }
    assert problems(document)


def test_company_columns_carry_one_prefix_at_the_users() -> None:
    names = ("name", "company_size", "industry", "country", "tier", "company_tier")
    assert [joined_company_column(name) for name in names] == [
        *("company_name", "company_size", "industry", "company_country", "company_tier", "company_tier")
    ]


def test_dates_of_yaml_and_of_json_mean_the_same() -> None:
    ends = {parse_mapping({**MINIMAL, "data_end": end}, Path()).data_end for end in (date(2024, 12, 31), "2024-12-31")}
    assert ends == {datetime(2025, 1, 1, tzinfo=UTC)}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "No mapping file at"),
        (b"version: [1", r"not valid YAML at line 1"),
        (b"- a\n- b\n", "start it with 'version: 1'"),
        (b"", "start it with 'version: 1'"),
        (b"name: \xff", "not UTF-8"),
        (b"#" * 1_000_001, "larger than 1 MB"),
        (b"!!python/object/apply:os.system ['true']", "not valid YAML"),
        (b"version: 2024-99-99", "not valid YAML"),
        (b"[" * 5_000, "not valid YAML"),
    ],
    ids=["missing", "cut", "list", "empty", "latin-1", "large", "code", "odd date", "deep"],
)
def test_a_file_that_is_no_mapping(tmp_path: Path, content: bytes | None, message: str) -> None:
    path = tmp_path / "mapping.yaml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=message) as refused:
        load_mapping(path)
    assert "\n" not in str(refused.value)


def test_a_folder_is_not_a_mapping(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is a folder"):
        load_mapping(tmp_path)


def test_the_model_imports_nothing_heavy() -> None:
    code = (
        "import sys, beton.model.mapping, beton.model.mapping_check, beton.model.manifest;"
        "print(sorted({'yaml', 'numpy', 'duckdb', 'pyarrow', 'pandas'} & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
