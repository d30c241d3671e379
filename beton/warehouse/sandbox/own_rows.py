"""Does a query look at one unit at a time? Then no other unit's future can change its answer.

Sound, not complete: a single table whose rows are kept one by one, or grouped by the unit's own id, and ``id IN (...)``
a query of the same kind. Each row then belongs to one unit, and only rows of that unit decide whether it is kept. An id
counts as the row's own only without a qualifier or with that of its own table: ``e.user_id`` within a query on ``m`` is
the id of another row, and ``properties.user_id`` is a value in JSON.
Whatever else a query has (joins, windows, limits, other subqueries), it is taken to look at others.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from beton.model.outcome import Unit
from beton.warehouse.sandbox.statement import scalar_functions, tree

ID_OF: Final[dict[Unit, str]] = {"user": "user_id", "account": "company_id"}
_TABLES_OF: Final[dict[Unit, tuple[str, ...]]] = {
    "user": ("events", "users", "deals"),
    "account": ("events", "users", "deals", "companies"),
}
_BY_ROW: Final = frozenset(
    ("COLUMN_REF", "CONSTANT", "COMPARISON", "CONJUNCTION", "BETWEEN", "OPERATOR", "FUNCTION", "CAST", "TYPE", "CASE")
)
# Whose value does not depend on the order of the rows, which is nobody's to choose.
_UNORDERED: Final = frozenset(
    ("count", "count_star", "count_if", "countif", "min", "max", "sum", "avg", "mean", "median", "bool_and", "bool_or")
)
_CLAUSES: Final = frozenset(
    ("type", "modifiers", "select_list", "from_table", "where_clause", "having", "group_expressions", "group_sets")
)
_TABLE_FIELDS: Final = frozenset(
    ("type", "alias", "table_name", "qualified_name", "query_location", "query_location_length")
)

Node = Mapping[str, Any]


@lru_cache(maxsize=256)
def reads_own_rows(sql: str, unit: Unit) -> bool:
    """Whether the answer for each unit follows from the rows of that unit alone, for a query that ``check`` allows."""
    return _is_own(tree(sql)["statements"][0]["node"], unit)


@dataclass(frozen=True)
class _Own:
    """The id of a unit in one table."""

    id: str
    table: str
    grouped: bool

    def is_id(self, node: Node) -> bool:
        if node.get("class") != "COLUMN_REF":
            return False
        *qualifier, name = (str(each).lower() for each in node["column_names"])
        return name == self.id and qualifier in ([], [self.table])


def _is_own(node: Node, unit: Unit) -> bool:
    table, groups = node.get("from_table", {}), node.get("group_expressions", ())
    own = _Own(ID_OF[unit], str(table.get("alias") or table.get("table_name")).lower(), bool(groups))
    return (
        node.get("type") == "SELECT_NODE"
        and {key for key, value in node.items() if value} - {"cte_map", "aggregate_handling"} <= _CLAUSES
        and not node.get("cte_map", {}).get("map")
        and node.get("aggregate_handling", "STANDARD_HANDLING") == "STANDARD_HANDLING"
        and _is_table(table, unit)
        and _returns_id(node.get("select_list", ()), own)
        and (not groups or any(map(own.is_id, groups)))
        and node.get("group_sets", []) == ([list(range(len(groups)))] if groups else [])
        and all(_keeps_all(each) for each in node.get("modifiers", ()))
        and all(_by_row(each, unit, own) for each in _expressions(node))
    )


def _is_table(table: Node, unit: Unit) -> bool:
    fields = {key for key, value in table.items() if value}
    known = table.get("type") == "BASE_TABLE" and str(table.get("table_name")).lower() in _TABLES_OF[unit]
    return known and fields <= _TABLE_FIELDS and str(table.get("alias")).lower() != "properties"


def _returns_id(selected: Sequence[Node], own: _Own) -> bool:
    """The column of the unit's id is the table's own, and no other column goes by its name."""
    named = [each for each in selected if str(each.get("alias") or _column(each)).lower() == own.id]
    return len(named) == 1 and own.is_id(named[0])


def _column(node: Node) -> str:
    return str(node["column_names"][-1]) if node.get("class") == "COLUMN_REF" else ""


def _keeps_all(modifier: Node) -> bool:
    """Sorting keeps every row, and so does leaving out copies; a limit does not, nor does DISTINCT ON."""
    kind = modifier.get("type")
    return kind == "ORDER_MODIFIER" or (kind == "DISTINCT_MODIFIER" and not modifier.get("distinct_on_targets"))


def _expressions(node: Node) -> Iterator[Node]:
    for clause in ("select_list", "where_clause", "having", "group_expressions", "modifiers"):
        yield from _nearest(node.get(clause))


def _nearest(value: object) -> Iterator[Node]:
    """The expressions at or below a value, without those inside of them."""
    if isinstance(value, Mapping) and "class" in value:
        yield value
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from _nearest(each)
    elif isinstance(value, list):
        for each in value:
            yield from _nearest(each)


def _by_row(node: Node, unit: Unit, own: _Own) -> bool:
    if node["class"] == "SUBQUERY":
        return _is_among_own(node, unit, own)
    if node["class"] not in _BY_ROW:
        return False
    if node["class"] == "FUNCTION":
        name = node["function_name"].lower()
        if name not in scalar_functions() and not (own.grouped and name in _UNORDERED):
            return False
    inside = [value for key, value in node.items() if key != "class"]
    return all(_by_row(each, unit, own) for each in _nearest(inside))


def _is_among_own(node: Node, unit: Unit, own: _Own) -> bool:
    """``id IN (query)`` where the query returns ids by rows of their own units."""
    inner = node.get("subquery", {}).get("node", {})
    is_in = node.get("subquery_type") == "ANY" and node.get("comparison_type") == "COMPARE_EQUAL"
    return (
        is_in and own.is_id(node.get("child", {})) and len(inner.get("select_list", ())) == 1 and _is_own(inner, unit)
    )
