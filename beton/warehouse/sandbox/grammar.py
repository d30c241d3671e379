"""The kinds of nodes in DuckDB's parsed tree that a query may have, each with the fields it may have.

Fields at their default are left out of the tree, so a field that a later DuckDB adds is refused only where it is used.
"""

from __future__ import annotations

from typing import Final

_PLACE: Final = ("class", "type", "alias", "query_location", "query_location_length")


def _fields(table: dict[str, str]) -> dict[str, frozenset[str]]:
    return {kind: frozenset(fields.split()).union(_PLACE) for kind, fields in table.items()}


# Expressions: class -> the types it may have.
EXPRESSIONS: Final = {
    name: frozenset(types.split())
    for name, types in {
        "BETWEEN": "COMPARE_BETWEEN",
        "CASE": "CASE_EXPR",
        "CAST": "OPERATOR_CAST",
        "COLLATE": "COLLATE",
        "COLUMN_REF": "COLUMN_REF",
        "COMPARISON": "COMPARE_EQUAL COMPARE_NOTEQUAL COMPARE_LESSTHAN COMPARE_LESSTHANOREQUALTO COMPARE_GREATERTHAN"
        " COMPARE_GREATERTHANOREQUALTO COMPARE_DISTINCT_FROM COMPARE_NOT_DISTINCT_FROM",
        "CONJUNCTION": "CONJUNCTION_AND CONJUNCTION_OR",
        "CONSTANT": "VALUE_CONSTANT",
        "FUNCTION": "FUNCTION",
        "LAMBDA": "LAMBDA",
        "OPERATOR": "ARRAY_CONSTRUCTOR ARRAY_EXTRACT ARRAY_SLICE COMPARE_IN COMPARE_NOT_IN GROUPING_FUNCTION"
        " OPERATOR_COALESCE OPERATOR_IS_NOT_NULL OPERATOR_IS_NULL OPERATOR_NOT OPERATOR_TRY OPERATOR_UNPACK"
        " STRUCT_EXTRACT",
        "POSITIONAL_REFERENCE": "POSITIONAL_REFERENCE",
        "STAR": "STAR",
        "SUBQUERY": "SUBQUERY",
        "TYPE": "TYPE",
        "WINDOW": "WINDOW_AGGREGATE WINDOW_CUME_DIST WINDOW_FILL WINDOW_FIRST_VALUE WINDOW_LAG WINDOW_LAST_VALUE"
        " WINDOW_LEAD WINDOW_NTH_VALUE WINDOW_NTILE WINDOW_PERCENT_RANK WINDOW_RANK WINDOW_RANK_DENSE"
        " WINDOW_ROW_NUMBER",
    }.items()
}
EXPRESSION_FIELDS: Final = _fields(
    {
        "BETWEEN": "input lower upper",
        "CASE": "case_checks else_expr",
        "CAST": "child try_cast type_expr",
        "COLLATE": "child collation",
        "COLUMN_REF": "column_names",
        "COMPARISON": "left right",
        "CONJUNCTION": "children",
        "CONSTANT": "literal",
        "FUNCTION": "arguments distinct filter function_name is_operator order_bys qualified_name",
        "LAMBDA": "expr lhs syntax_type",
        "OPERATOR": "children",
        "POSITIONAL_REFERENCE": "index",
        "STAR": "columns exclude_list expr qualified_exclude_list relation_name rename_list replace_list",
        "SUBQUERY": "child comparison_type subquery subquery_type",
        "TYPE": "children qualified_name type_name",
        "WINDOW": "arg_orders arguments distinct end end_expr exclude_clause filter_expr function_name has_ignore_nulls"
        " ignore_nulls orders partitions qualified_name start start_expr",
    }
)

# Query nodes, things to read from, and what modifies a query: type -> fields.
NODES: Final = _fields(
    {
        "RECURSIVE_CTE_NODE": "aliases cte_map cte_name left right union_all",
        "SELECT_NODE": "aggregate_handling cte_map from_table group_expressions group_sets having modifiers qualify"
        " select_list where_clause",
        "SET_OPERATION_NODE": "children cte_map modifiers setop_all setop_type",
    }
)
_PARTS: Final = _fields(
    {
        "BASE_TABLE": "column_name_alias qualified_name table_name",
        "EMPTY": "",
        "EXPRESSION_LIST": "values",
        "JOIN": "condition is_implicit join_type left ref_type right using_columns",
        "SUBQUERY": "column_name_alias subquery",
        "TABLE_FUNCTION": "column_name_alias function with_ordinality",
        "DISTINCT_MODIFIER": "distinct_on_targets",
        "LIMIT_MODIFIER": "limit limit_type offset",
        "ORDER_MODIFIER": "orders",
        "ASCENDING": "expression null_order",
        "DESCENDING": "expression null_order",
        "ORDER_DEFAULT": "expression null_order",
    }
)
PARTS: Final = NODES | _PARTS
# What lies between nodes: literals, arguments, branches of CASE, entries of WITH, lists of names.
PLAIN_FIELDS: Final = frozenset(
    "aliases column expression key kind map materialized name named_param_map node path query_node table text then_expr"
    " value when_expr".split()
)

TYPES: Final = frozenset(
    "array bigint bignum binary bit bitstring blob bool boolean bpchar bytea char date datetime dec decimal double enum"
    " float float4 float8 guid hugeint int int1 int128 int16 int2 int32 int4 int64 int8 integer integral interval json"
    " list logical long map numeric nvarchar real row short signed smallint string struct text time time_ns timestamp"
    " timestamp_ms timestamp_ns timestamp_s timestamp_us timestamptz timestamptz_ns timetz tinyint tuple ubigint"
    " uhugeint uint128 uint16 uint32 uint64 uint8 uinteger union usmallint utinyint uuid varbinary varchar variant"
    " varint".split()
).union(("timestamp with time zone", "time with time zone"))

# What is refused by name, by the kind of the node or by the field, and what to write instead.
_NO_PIVOT: Final = "PIVOT and UNPIVOT are not available: use count(*) FILTER (WHERE ...) with GROUP BY."
_NO_SHOW: Final = "SHOW, DESCRIBE and SUMMARIZE are not available: write SELECT * FROM events LIMIT 10 to see columns."
_NO_PARAMETERS: Final = "A query has no parameters: write the value itself in place of ? or $1."
REFUSED_KINDS: Final = {
    "PARAMETER": _NO_PARAMETERS,
    "DEFAULT": "DEFAULT has no meaning in a query: write the value itself.",
    "PIVOT": _NO_PIVOT,
    "SHOW_REF": _NO_SHOW,
}
# By field: the sentence, and a word of the text to point at.
REFUSED_FIELDS: Final = {
    # A seed alone does not make it repeatable: which rows are drawn also depends on the order the threads read them in.
    "sample": (
        "TABLESAMPLE is not available, as it may draw other rows each time: use WHERE hash(user_id) % 10 = 0.",
        "SAMPLE",
    ),
    "at_clause": ("AT is not available: there is one state of the data. Remove it.", "AT ("),
    "key_targets": ("USING KEY is not available: write the recursive query with UNION ALL.", "USING"),
    "export_state": ("EXPORT_STATE is not available: use the aggregate itself.", "EXPORT_STATE"),
}
REFUSED_WORDS: Final = {
    **dict.fromkeys(("PIVOT", "PIVOT_WIDER", "PIVOT_LONGER", "UNPIVOT"), _NO_PIVOT),
    **dict.fromkeys(("SHOW", "DESCRIBE", "DESC", "SUMMARIZE"), _NO_SHOW),
}
