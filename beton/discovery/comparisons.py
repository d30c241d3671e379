"""The rows of the forest plot: one lift again and again, over periods, kinds of users, and months of signup."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from beton.discovery.cohorts import SIZE_EDGES
from beton.discovery.findings import estimates
from beton.discovery.subject import Study, Subject, tables_by
from beton.model import text
from beton.model.examination import Brief, Comparison
from beton.stats.proportions import TwoByTwo
from beton.warehouse.core.arrays import Column

MAX_PROPERTIES: Final = 4
MAX_VALUES: Final = 5
MAX_DISTINCT: Final = 30
MIN_KNOWN: Final = 0.5
SIZE: Final = "company_size"
REST: Final = "other or unknown"


@dataclass(frozen=True)
class Groups:
    """Rows of a cohort in groups: ``code`` (rows,) points into ``labels``."""

    by: str
    labels: tuple[str, ...]
    code: NDArray[np.int64]


def comparisons(study: Study, about: Subject, figures: Brief) -> tuple[Comparison, ...]:
    """Return the lift of earlier and later cohorts, adjusted, in each segment and in each month of signup.

    Segments and months hold all eligible units of the cohort; each set of them adds up to the table of the backtest.
    """
    months = month_groups(about)
    rows = [
        Comparison("period", "period", "Discovery (earlier cohorts)", figures.train),
        Comparison("period", "period", "Held out (later cohorts)", figures.held_out),
    ]
    if figures.adjusted is not None:
        rows.append(Comparison("adjusted", "adjusted", "Alike in activity, signup and account size", figures.adjusted))
    grouped = [("segment", each) for each in segments(study, about)] + [("month", months)]
    tables = [grouped_tables(about, each) for _, each in grouped]
    made = iter(estimates([table for each in tables for table in each]))
    for group, each in grouped:
        rows += [
            Comparison("month" if group == "month" else "segment", each.by, label, next(made)) for label in each.labels
        ]
    return tuple(rows)


def grouped_tables(about: Subject, groups: Groups) -> list[TwoByTwo]:
    """Return the table of each group among the eligible units."""
    rows = about.cohort.frame
    return tables_by(groups.code, len(groups.labels), rows.converted, about.entry.units, rows.eligible)


def month_groups(about: Subject) -> Groups:
    """Return the months of signup of the eligible units, in order."""
    rows = about.cohort.frame
    months = np.unique(rows.month[rows.eligible])
    labels = tuple(text.month(f"{month // 100:04d}-{month % 100:02d}") for month in months.tolist())
    # Rows that are not eligible may be of other months; they are not counted.
    code = np.minimum(np.searchsorted(months, rows.month), max(months.size - 1, 0))
    return Groups("signup month", labels, code)


def segments(study: Study, about: Subject) -> list[Groups]:
    """Choose the traits to compare by, without a look at outcomes: account size, then those with fewest values.

    Left out are traits that the signal itself asks for, those known for under half of the units, and those with a time
    at which they were set: what such a value replaced is unknown, and may give the outcome away.
    """
    asked = {leaf.property for leaf in about.signal.properties}
    properties = sorted(study.manifest.properties, key=lambda each: (each.name != SIZE, each.distinct))
    chosen: list[Groups] = []
    for info in properties:
        column = study.core.users.columns.get(info.name)
        if info.scope == "event" or info.name in asked or column is None or column.set_s is not None:
            continue
        is_size = info.name == SIZE and column.kind == "number"
        if not is_size and (column.kind == "number" or not 2 <= info.distinct <= MAX_DISTINCT):
            continue
        made = _groups(about, info.name, column)
        if made is not None:
            chosen.append(made)
    return chosen[:MAX_PROPERTIES]


def _groups(about: Subject, name: str, column: Column) -> Groups | None:
    """The most common values among the eligible units, the rest as one; None where nothing is to be compared."""
    rows = about.cohort.frame
    values, labels = _coded(column, rows.unit)
    seen = np.bincount(values[rows.eligible & (values >= 0)], minlength=len(labels))
    if int(seen.sum()) < MIN_KNOWN * int(rows.eligible.sum()) or int((seen > 0).sum()) < 2:
        return None
    common = np.argsort(-seen, kind="stable")[:MAX_VALUES]
    common = common[seen[common] > 0]
    if column.kind == "number":
        common = np.sort(common)
    place = np.full(len(labels) + 1, common.size)  # the last is that of value -1
    place[common] = np.arange(common.size)
    code = place[values]
    shown = [labels[at] for at in common.tolist()]
    return Groups(name, (*shown, REST) if (code[rows.eligible] == common.size).any() else tuple(shown), code)


def _coded(column: Column, units: NDArray[np.int32]) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Each unit's value as a code into labels, -1 where unknown; numbers in the bands of the adjustment."""
    values = column.values[units]
    if column.kind == "text":
        return values.astype(np.int64), column.words
    if column.kind == "boolean":
        return values.astype(np.int64), ("no", "yes")
    band = np.where(np.isfinite(values), np.searchsorted(SIZE_EDGES, values, side="right"), -1)
    return band.astype(np.int64), size_labels()


def size_labels() -> tuple[str, ...]:
    """Return the bands of employees in words."""
    first, last = SIZE_EDGES[0], SIZE_EDGES[-1]
    between = [f"{low:,}–{high - 1:,}" for low, high in pairwise(SIZE_EDGES)]
    return (f"up to {first - 1:,}", *between, f"{last:,} or more")
