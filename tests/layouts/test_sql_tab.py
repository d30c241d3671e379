from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from dash.development.base_component import Component
from plotly.utils import PlotlyJSONEncoder
from shell_fakes import DEMO

from beton.model.table_facts import ColumnFacts, Preview, TableFacts
from layouts import ids
from layouts.backtest import backtest, saving
from layouts.made_from import made_from
from layouts.schema_tree import schema_tree
from layouts.sql_tab import completions, preview_rows, sql_pane
from store.draft import Draft
from store.origin import Origin
from store.sql_draft import SqlDraft

HOSTILE = '<img src=x onerror="alert(1)">'
TABLES = (
    TableFacts(
        "events",
        "what users did",
        3,
        (
            ColumnFacts("user_id", "VARCHAR", 1.0, ("u1", HOSTILE)),
            ColumnFacts("page_path", "VARCHAR", 2 / 3, (), "a path"),
        ),
    ),
    TableFacts("deals", "one row per deal", 0, (ColumnFacts("amount", "DOUBLE", None, ()),)),
)


def inside(drawn: Any) -> Iterator[Component]:
    for each in drawn if isinstance(drawn, list) else [drawn]:
        if isinstance(each, Component):
            yield each
            yield from (part for part in each._traverse() if isinstance(part, Component))


def by_id(drawn: Any) -> dict[str, Component]:
    return {str(each.id): each for each in inside(drawn) if hasattr(each, "id")}


def text(drawn: Any) -> str:
    return json.dumps(drawn, cls=PlotlyJSONEncoder, ensure_ascii=False)


def test_the_form_holds_the_draft_and_says_what_the_keys_do() -> None:
    draft = SqlDraft(HOSTILE, "account", "30", "select 1", origin=Origin("run", "a" * 32, HOSTILE))
    parts = by_id(sql_pane(draft, "Said.", DEMO, TABLES))
    assert parts[ids.SQL_NAME].value == HOSTILE
    assert parts[ids.SQL_UNIT].value == "account"
    assert parts[ids.SQL_DAYS].value == "30"
    assert parts[ids.SQL_EDITOR].value == "select 1"
    assert parts[ids.SQL_EDITOR].label == "SQL Query"
    assert parts[ids.SQL_SENTENCE].children == "Said."
    assert "Escape, then Tab" in str(parts[str(ids.part(ids.SQL_EDITOR, "help"))].children)
    assert getattr(parts[str(ids.error(ids.SQL_EDITOR))], "aria-live") == "polite"
    assert json.dumps(HOSTILE)[1:-1] in text(parts[ids.SQL_ORIGIN])


def test_the_tree_shows_rows_types_fill_rates_and_values() -> None:
    drawn = text(schema_tree(TABLES))
    for word in ("Show Schema", "3 rows", "0 rows", "user_id", "VARCHAR", "66.7%", "a path", "u1"):
        assert word in drawn
    assert json.dumps(HOSTILE)[1:-1] in drawn
    assert '"width": "66.7%"' in drawn


def test_tables_that_cannot_be_read_leave_the_form_usable() -> None:
    pane = sql_pane(SqlDraft(), "", DEMO, "The snapshot is broken: import again.")
    assert "The snapshot is broken" in text(pane)
    assert by_id(pane)[ids.SQL_EDITOR].schema == {}


def test_completion_offers_tables_columns_and_counted_values() -> None:
    offered = completions(DEMO, TABLES)
    assert [table["name"] for table in offered["tables"]] == ["events", "deals"]
    assert offered["tables"][0]["columns"][1] == {"name": "page_path", "type": "VARCHAR", "about": "a path"}
    assert offered["values"] == {"plan": ["free", "pro"], "event": ["pageview", "api_key_created"]}


def test_a_preview_says_how_many_rows_and_what_it_took() -> None:
    rows = ((HOSTILE, None),) * 2
    preview = Preview((("user_id", "VARCHAR"), ("at", "TIMESTAMP")), rows, 579, 0.0456, 61_234)
    drawn = text(preview_rows(preview))
    assert "579 rows in all, the first 2 below · 46 ms · 61.2 KB" in drawn
    assert drawn.count(json.dumps(HOSTILE)[1:-1]) == 2
    assert drawn.count('"null"') == 4  # class and words of each missing cell

    whole = text(preview_rows(Preview((("user_id", "VARCHAR"),), (("u1",),), 1, 1.25, 2)))
    assert "1 row in all · 1.2 s · 2 bytes" in whole
    nothing = text(preview_rows(Preview((("user_id", "VARCHAR"),), (), 0, 0.001, 0)))
    assert "0 rows in all" in nothing
    assert "nobody matches" in nothing


def test_the_tab_is_drawn_only_when_it_is_open() -> None:
    closed = backtest(DEMO, Draft(), "", None, None)
    assert ids.SQL_EDITOR not in by_id(closed)
    assert by_id(closed)[ids.BACKTEST_TABS].active_tab == "visual"
    assert "skeleton" in text(by_id(closed)[ids.SQL_PANE])

    opened = backtest(DEMO, Draft(), "", None, None, sql_pane(SqlDraft(), "", DEMO, TABLES))
    assert by_id(opened)[ids.BACKTEST_TABS].active_tab == "sql"
    assert getattr(by_id(opened)[ids.SQL_RUN], "data-submits") == ids.SQL_EDITOR


def test_a_version_is_offered_only_of_a_saved_signal() -> None:
    assert saving(None) == ("Save Signal", "", True)
    target = Origin("signal", "sig_001", HOSTILE, 2)
    assert saving(target) == ("Save as a new signal", f"Save as a new version of {HOSTILE}", False)
    page = by_id(backtest(DEMO, Draft(), "", None, None, target=target))
    assert page[ids.BACKTEST_MADE_FROM].data == {"kind": "signal", "id": "sig_001", "name": HOSTILE, "version": 2}
    assert page[ids.BACKTEST_SAVE_VERSION].hidden is False


def test_a_draft_says_what_it_was_made_from_and_leads_there() -> None:
    assert made_from(None, "draft") == []
    signal, run = (text(made_from(Origin(kind, "x1", "Named"), "sql")) for kind in ("signal", "run"))  # type: ignore[arg-type]
    assert "/signals/x1" in signal
    assert "/backtest?run=x1" in run
    assert '"intent": "new"' in run
