"""The SQL stays within what DuckDB, Spark and ClickHouse answer alike, however deep the definition."""

from __future__ import annotations

import random
from typing import Any

import pytest
import reference
from sqlglot import exp, parse_one

from beton.model.outcome import Outcome
from beton.model.signal import from_dict
from beton.warehouse.compile import Catalogue
from beton.warehouse.landmark import Clock, cohort_sql, excluded_sql, time_to_outcome_sql

CUT = Clock(7 * 86_400, 86_400, 45 * 86_400, 1_735_600_000, 1_704_067_200)
OUTCOMES = (Outcome(), Outcome("deal created", "user"), Outcome("event", "account", "report"))

# What the engines disagree on, or one of them lacks (measured on DuckDB, ClickHouse, Spark and Sail).
BANNED: tuple[type[exp.Expression], ...] = (
    exp.Qualify, exp.Star, exp.Lateral, exp.DateDiff, exp.DateAdd, exp.DateSub, exp.Extract, exp.TimestampTrunc,
    exp.DateTrunc, exp.Interval, exp.GenerateSeries, exp.Quantile, exp.PercentileCont, exp.CurrentTimestamp,
    exp.CurrentDate, exp.Pivot, exp.Unnest, exp.Rand,
)  # fmt: skip


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory: pytest.TempPathFactory) -> Catalogue:
    world = reference.random_world(random.Random(2))
    world.acts += reference.anchor_acts()
    return Catalogue.of(reference.build(world, tmp_path_factory.mktemp("names")).manifest())


def statements(catalogue: Catalogue, dialect: str) -> list[str]:
    rng = random.Random(7)
    found = [excluded_sql("user", dialect), excluded_sql("account", dialect)]
    for outcome in OUTCOMES:
        found += [time_to_outcome_sql(unit, outcome, dialect) for unit in ("user", "account")]
        for _ in range(12):
            for kind in ("user", "account", "weekly"):
                plain: dict[str, Any] = {"name": "x", "when": reference.random_condition(rng, 15)}
                plain |= {"unit": "account", "rollup": reference.rollups(rng)} if kind == "account" else {}
                plain |= {"timing": "any time"} if kind == "weekly" else {}
                found.append(cohort_sql(from_dict(plain), outcome, CUT, catalogue, dialect))
    return found


@pytest.mark.parametrize("dialect", ["duckdb", "spark", "clickhouse"])
def test_every_statement_is_read_back_by_its_own_dialect(catalogue: Catalogue, dialect: str) -> None:
    for sql in statements(catalogue, dialect):
        assert isinstance(parse_one(sql, dialect=dialect), exp.Select)


def test_only_the_portable_subset_is_used(catalogue: Catalogue) -> None:
    for sql in statements(catalogue, "duckdb"):
        tree = parse_one(sql, dialect="duckdb")
        stars = [star for star in tree.find_all(exp.Star) if not isinstance(star.parent, exp.Count)]
        assert not stars, sql
        used = [node for node in tree.find_all(*BANNED) if not isinstance(node, exp.Star)]
        assert not used, (used, sql)
        assert "GROUP BY ALL" not in sql.upper()


def test_joins_name_their_condition(catalogue: Catalogue) -> None:
    for sql in statements(catalogue, "duckdb"):
        for join in parse_one(sql, dialect="duckdb").find_all(exp.Join):
            assert not join.args.get("using"), sql
            assert not join.args.get("method"), f"{join.args.get('method')} join: {sql}"
            assert join.args.get("on") is not None or join.kind == "CROSS", sql


def test_columns_are_qualified_and_selections_named(catalogue: Catalogue) -> None:
    for sql in statements(catalogue, "duckdb"):
        tree = parse_one(sql, dialect="duckdb")
        for column in tree.find_all(exp.Column):
            assert column.table, (column.sql(), sql)
        for select in tree.find_all(exp.Select):
            names = [item.alias_or_name for item in select.expressions]
            named = all(names) or isinstance(select.parent, exp.Exists)
            assert named or select is tree, (names, sql)
            assert len(set(names)) == len(names), (names, sql)


def test_the_left_join_trap_cannot_bite(catalogue: Catalogue) -> None:
    """ClickHouse may fill unmatched rows with 0: what comes from the right of a left join is read through COALESCE."""
    for sql in statements(catalogue, "duckdb"):
        tree = parse_one(sql, dialect="duckdb")
        for select in tree.find_all(exp.Select):
            optional = {join.this.alias_or_name for join in select.args.get("joins") or [] if join.side == "LEFT"}
            for column in select.find_all(exp.Column):
                if column.table in optional and column.parent_select is select and not column.find_ancestor(exp.Join):
                    assert column.find_ancestor(exp.Coalesce), (column.sql(), sql)


def test_a_signal_reads_the_event_table_once_per_condition(catalogue: Catalogue) -> None:
    when = {"all": [{"event": "start", "within_days": 3}, {"event": "invite", "op": "count >=", "value": 2}]}
    sql = cohort_sql(from_dict({"name": "x", "when": when}), Outcome(), CUT, catalogue)
    tables = [table.name for table in parse_one(sql, dialect="duckdb").find_all(exp.Table)]
    assert tables.count("events") == 2
    assert "deals" not in tables


def test_the_same_definition_gives_the_same_text(catalogue: Catalogue) -> None:
    assert statements(catalogue, "duckdb") == statements(catalogue, "duckdb")


def test_hostile_texts_cannot_end_their_literal_in_any_dialect(catalogue: Catalogue) -> None:
    text = "a'b\\'; DROP TABLE x; --"
    signal = from_dict({"name": "x", "when": {"property": "plan", "op": "=", "value": text}})
    for dialect in ("duckdb", "spark", "clickhouse"):
        tree = parse_one(cohort_sql(signal, Outcome(), CUT, catalogue, dialect), dialect=dialect)
        assert text in [literal.this for literal in tree.find_all(exp.Literal)], dialect
