"""Property conditions on columns: text is judged once per word, then taken by code. A missing value never matches."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from beton.model.conditions import PropertyCondition, Scalar
from beton.warehouse.core.arrays import Column

_COMPARE: Final[dict[str, Callable[[Any, Any], Any]]] = {
    "=": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}


def holds(
    column: Column, condition: PropertyCondition, rows: slice | NDArray[np.integer[Any]] = slice(None)
) -> NDArray[np.bool_]:
    """Return for each of the rows whether the condition holds; the column's kind must allow it."""
    values, wanted = column.values[rows], _wanted(condition)
    if column.kind == "text":
        chosen: NDArray[np.bool_] = matching_words(column, condition)[values]
        return chosen
    if column.kind == "boolean":
        truths = [int(str(value).lower() == "true") for value in wanted]
        return np.logical_and(_numbers(values, condition.op, truths), values >= 0)
    matching = _numbers(values, condition.op, [float(value) for value in wanted])
    if condition.op == "!=":  # the one comparison that a missing value passes
        matching &= ~np.isnan(values)
    return matching


def matching_words(column: Column, condition: PropertyCondition) -> NDArray[np.bool_]:
    """Return for every code of a text column whether the condition holds; the last entry is that of code -1."""
    of_word = np.zeros(len(column.words) + 1, dtype=bool)
    of_word[:-1] = _words(column.words, condition.op, [_text(value) for value in _wanted(condition)])
    return of_word


def _wanted(condition: PropertyCondition) -> tuple[Scalar, ...]:
    return condition.value if isinstance(condition.value, tuple) else (condition.value,)


def _text(value: Scalar) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _words(words: tuple[str, ...], op: str, wanted: list[str]) -> list[bool]:
    if op == "contains":
        # The engine lowers letter by letter; only this letter becomes an ASCII one and something more in Python.
        part = wanted[0].lower()
        return [part in word.replace("\u0130", "i").lower() for word in words]
    if op == "in list":
        return [word in wanted for word in words]
    return [_COMPARE[op](word, wanted[0]) for word in words]


def _numbers(values: NDArray[Any], op: str, wanted: list[Any]) -> NDArray[np.bool_]:
    found: NDArray[np.bool_]
    if op == "in list":
        found = np.isin(values, wanted)
    elif op == "between":
        found = (values >= wanted[0]) & (values <= wanted[1])
    else:
        found = _COMPARE[op](values, wanted[0])
    return found
