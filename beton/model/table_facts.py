"""What a person who writes SQL is shown: the tables there are, and the first rows that a query returns."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ColumnFacts:
    """One column of a table.

    ``fill_rate`` is the share of rows that have a value, 0..1, None where the table is empty; ``samples`` are up to
    five values as text.
    """

    name: str
    type: str
    fill_rate: float | None
    samples: tuple[str, ...]
    about: str = ""


@dataclass(frozen=True, slots=True)
class TableFacts:
    """One table that a query may name, with its number of rows."""

    name: str
    about: str
    rows: int
    columns: tuple[ColumnFacts, ...]


@dataclass(frozen=True, slots=True)
class Preview:
    """The first rows of a query's answer.

    ``columns`` are (name, type); ``rows`` are at most 50, their cells text of at most 200 characters and None where
    there is no value; ``total_rows`` counts all rows, ``seconds`` and ``bytes`` are what the query took.
    """

    columns: tuple[tuple[str, str], ...]
    rows: tuple[tuple[str | None, ...], ...]
    total_rows: int
    seconds: float
    bytes: int
