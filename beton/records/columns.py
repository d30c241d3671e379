"""How times and JSON are kept, so that what is read equals what was written on either database."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import DateTime, Dialect
from sqlalchemy.types import TypeDecorator

from beton.errors import InputError


class UtcDateTime(TypeDecorator[datetime]):
    """An aware datetime, stored as UTC and returned as UTC, also where the database knows no zones."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value.isoformat()} has no time zone: pass an aware datetime.")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def storable(value: Any, where: str) -> Any:
    """Return ``value`` unchanged if JSON can hold it exactly.

    Raises:
        InputError: JSON would refuse or silently change a part of it; ``fields`` names every such path.
    """
    problems = dict(_unstorable(value, where))
    if problems:
        path, sentence = next(iter(problems.items()))
        raise InputError(f"{path} cannot be stored: {sentence}", fields=problems)
    return value


def _unstorable(value: Any, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for key, item in value.items():
            if isinstance(key, str):
                yield from _unstorable(item, f"{path}.{key}")
            else:
                yield path, f"the key {key!r} is not text; write it as text."
    elif isinstance(value, list | tuple):
        for place, item in enumerate(value):
            yield from _unstorable(item, f"{path}.{place}")
    elif isinstance(value, float) and not math.isfinite(value):
        yield path, f"JSON has no {value}; write None, and say beside it what it means."
    elif not (value is None or isinstance(value, bool | int | float | str)):
        yield path, f"JSON has no {type(value).__name__}; write it as a number or text."
