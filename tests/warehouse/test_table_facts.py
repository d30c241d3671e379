from __future__ import annotations

from pathlib import Path

import pytest
from journeys import Journeys

from beton.model.table_facts import ColumnFacts, TableFacts
from beton.warehouse.reader import Warehouse
from beton.warehouse.table_facts import MOST_CHARACTERS, MOST_SAMPLES, table_facts


@pytest.fixture
def warehouse(tmp_path: Path) -> Warehouse:
    people = Journeys(tmp_path, data_end="2024-06-01")
    for number in range(8):
        people.user(f"u{number}", signed_up="2024-01-02", company="acme" if number < 2 else None)
        people.did("pageview", after_days=1.5, page_path=f"/{number}", browser="Chrome")
    people.did("api_key_created", after_days=2)
    people.won(after_days=30, amount=1234.5)
    people.company("long", size=9, name="x" * 500)
    return people.build()


def facts(warehouse: Warehouse) -> dict[str, TableFacts]:
    with warehouse.connection() as connection:
        return {table.name: table for table in table_facts(connection, warehouse.manifest())}


def column(table: TableFacts, name: str) -> ColumnFacts:
    return next(each for each in table.columns if each.name == name)


def test_the_four_tables_have_the_columns_and_types_of_their_views(warehouse: Warehouse) -> None:
    found = facts(warehouse)
    assert list(found) == ["events", "users", "companies", "deals"]
    with warehouse.connection() as connection:
        for name, table in found.items():
            described = connection.execute(f"DESCRIBE main.{name}").fetchall()
            assert [each.name for each in table.columns] == [row[0] for row in described]
            rows = connection.execute(f"SELECT count(*) FROM main.{name}").fetchone()
            assert (table.rows,) == rows
    assert column(found["events"], "event").type == "VARCHAR"
    assert column(found["events"], "timestamp").type == "TIMESTAMP"
    assert column(found["deals"], "is_won").type == "BOOLEAN"


def test_fill_rates_are_the_shares_of_rows_with_a_value(warehouse: Warehouse) -> None:
    found = facts(warehouse)
    with warehouse.connection() as connection:
        for name, table in found.items():
            for each in table.columns:
                counted = connection.execute(f'SELECT count("{each.name}") / count(*) FROM main.{name}').fetchone()
                assert (each.fill_rate,) == counted, f"{name}.{each.name}"
    assert column(found["users"], "company_id").fill_rate == 2 / 8


def test_samples_are_few_short_and_the_most_common_first(warehouse: Warehouse) -> None:
    found = facts(warehouse)
    assert column(found["events"], "event").samples == ("pageview", "api_key_created")
    assert column(found["deals"], "amount").samples == ("1234.5",)
    assert column(found["deals"], "is_won").samples == ("true",)
    every = [each for table in found.values() for each in table.columns]
    assert max(len(each.samples) for each in every) == MOST_SAMPLES
    assert max(len(sample) for each in every for sample in each.samples) == MOST_CHARACTERS
    assert "browser" in column(found["events"], "properties").about


def test_an_empty_table_has_no_fill_rate(tmp_path: Path) -> None:
    people = Journeys(tmp_path, data_end="2024-06-01").user("ann")
    people.did("pageview", after_days=1)
    deals = facts(people.build())["deals"]
    assert deals.rows == 0
    assert {(each.fill_rate, each.samples) for each in deals.columns} == {(None, ())}
