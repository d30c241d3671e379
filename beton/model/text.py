"""The only place that turns numbers and dates into text.

``assets/grid.js`` holds the same formats for grid cells; a browser test compares the two.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from datetime import date as Date
from datetime import datetime

MISSING = "–"
MINUS = "−"
INFINITY = "∞"

_SYMBOLS = {"USD": "$", "EUR": "€", "GBP": "£", "JPY": "¥"}
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

_NEARLY_CERTAIN = 1 - 1e-9

Number = int | float


def money(amount: Number | None, currency: str = "USD", *, signed: bool = False) -> str:
    """Return a whole amount: ``$27,000``; ``signed`` also writes the plus: ``+$129,600``."""
    return _signed(amount, lambda size: _priced(f"{_whole(size):,}", currency), signed)


def money_short(amount: Number | None, currency: str = "USD", *, signed: bool = False) -> str:
    """Return an amount in at most three figures: ``$950``, ``$5.2K``, ``$378K``, ``$1.2M``, ``$3.4B``."""
    return _signed(amount, lambda size: _priced(_short(size), currency), signed)


def count(number: Number | None) -> str:
    """Return a whole number with thousands separators: ``1,247``."""
    return _signed(number, lambda size: f"{_whole(size):,}")


def decimal(number: Number | None, digits: int = 1) -> str:
    """Return a number with a fixed number of decimals: ``14.3``."""
    return _signed(number, lambda size: f"{size:,.{digits}f}")


def percent(rate: float | None, digits: int = 1) -> str:
    """Return a rate in [0, 1] as percent: ``14.2%``. Rates that would round to none or all say so."""
    if rate is not None and 0 < rate < 0.5 * 10 ** -(digits + 2):
        return f"< {10**-digits:.{digits}f}%"
    if rate is not None and 1 - 0.5 * 10 ** -(digits + 2) < rate < 1:
        return f"> {100 - 10**-digits:.{digits}f}%"
    return _signed(rate, lambda size: f"{100 * size:,.{digits}f}%")


def below_certain(rate: float) -> float:
    """Return a confidence as it may be shown: nothing is certain, though the nearest number may be 1."""
    return min(rate, _NEARLY_CERTAIN)


def confidence(rate: float | None) -> str:
    """Return a confidence in [0, 1] as percent: ``98.8%``, at most ``> 99.9%``."""
    return percent(None if rate is None else below_certain(rate))


def points(difference: float | None, digits: int = 1) -> str:
    """Return a difference of two rates in percentage points: ``+10.8 pp``."""
    return _signed(difference, lambda size: f"{100 * size:.{digits}f} pp", signed=True)


def lift(ratio: float | None) -> str:
    """Return a risk ratio: ``4.2x``, ``0.84x``, ``120x``, ``∞`` (1 means no effect)."""
    return _signed(ratio, lambda size: f"{_ratio(size)}x")


def interval(low: str, high: str) -> str:
    """Return two formatted limits as one range: ``3.5x – 5.0x``."""
    return f"{low} – {high}"


def p_value(p: float | None) -> str:
    """Return a p-value: ``< 0.001``, else three significant figures (``0.0123``, ``0.500``)."""
    if p is None or math.isnan(p):
        return MISSING
    if p < 0.001:
        return "< 0.001"
    rounded = float(f"{p:.2e}")
    return f"{rounded:.{2 - math.floor(math.log10(rounded))}f}"


def p_limit(p: float, digits: int = 2) -> str:
    """Return a p-value written out however small, in ``digits`` significant figures: ``0.0021``, ``0.000018``."""
    if p == 0:
        return "0"
    rounded = float(f"{p:.{digits - 1}e}")
    return f"{rounded:.{max(0, digits - 1 - math.floor(math.log10(rounded)))}f}"


def ordinal(number: int) -> str:
    """Return a place in a row: ``1st``, ``2nd``, ``7th``, ``12th``."""
    ending = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{count(number)}{ending}"


def days(number: Number | None) -> str:
    """Return a duration: ``1 day``, ``14 days``, ``2.5 days``."""
    if number is None or math.isnan(number):
        return MISSING
    text = count(number) if float(number).is_integer() or math.isinf(number) else decimal(number)
    return f"{text} day" if text == "1" else f"{text} days"


def duration(seconds: float) -> str:
    """Return how long something took: ``2.9 s``, ``45 s``, ``12 min 5 s``."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = _whole(seconds)
    return f"{whole} s" if whole < 60 else f"{whole // 60} min {whole % 60} s"


def date(moment: Date | datetime | str | None) -> str:
    """Return a date (ISO text is read): ``31 Dec 2024``."""
    if moment is None:
        return MISSING
    day = _moment(moment)
    return f"{day.day} {_MONTHS[day.month - 1]} {day.year}"


def date_time(moment: datetime | str | None) -> str:
    """Return a moment to the minute: ``31 Dec 2024, 06:59 UTC``. Moments without a zone are UTC."""
    if moment is None:
        return MISSING
    when = _moment(moment)
    zone = when.strftime("%Z") or "UTC"
    return f"{date(when)}, {when:%H:%M} {zone}"


def ago(moment: datetime, now: datetime) -> str:
    """Return how long ago a moment was, in whole minutes, hours or days: ``2 hours ago``, at first ``just now``."""
    seconds = int((now - moment).total_seconds())
    for size, noun in ((86_400, "day"), (3_600, "hour"), (60, "minute")):
        if seconds >= size:
            return f"{plural(seconds // size, noun)} ago"
    return "just now"


def month(moment: Date | datetime | str | None) -> str:
    """Return a calendar month; ``YYYY-MM`` is read too: ``Dec 2024``."""
    if moment is None:
        return MISSING
    day = _moment(f"{moment}-01" if isinstance(moment, str) and len(moment) == 7 else moment)
    return f"{_MONTHS[day.month - 1]} {day.year}"


def date_range(start: Date | datetime | str | None, end: Date | datetime | str | None) -> str:
    """Return a span of days: ``1 Jan 2024 – 31 Dec 2024``."""
    return interval(date(start), date(end))


def plural(number: int, noun: str) -> str:
    """Return a counted noun: ``1 row``, ``1,247 rows``."""
    return f"{count(number)} {noun}" if number == 1 else f"{count(number)} {noun}s"


def aligned(rows: Iterable[Sequence[str]], indent: str = "  ") -> str:
    """Lay rows out in columns: the first to the left, the others to the right."""
    table = [tuple(row) for row in rows]
    if not table:
        return ""
    widths = [max(len(row[i]) for row in table) for i in range(len(table[0]))]
    lines = (
        indent
        + "  ".join(
            cell.ljust(w) if i == 0 else cell.rjust(w) for i, (cell, w) in enumerate(zip(row, widths, strict=True))
        )
        for row in table
    )
    return "\n".join(line.rstrip() for line in lines)


def _signed(number: Number | None, write: Callable[[Number], str], signed: bool = False) -> str:
    if number is None or math.isnan(number):
        return MISSING
    text = INFINITY if math.isinf(number) else write(abs(number))
    is_zero = not any(figure in text for figure in "123456789∞")
    sign = "" if is_zero else MINUS if number < 0 else "+" if signed else ""
    return sign + text


def _whole(size: Number) -> int:
    """Round half up, as people and the browser do (``round`` goes to the even number)."""
    return math.floor(size + 0.5)


def _priced(figure: str, currency: str) -> str:
    symbol = _SYMBOLS.get(currency)
    return f"{symbol}{figure}" if symbol else f"{currency} {figure}"


def _short(size: Number) -> str:
    for unit, letter in ((1e9, "B"), (1e6, "M"), (1e3, "K")):
        # 999,600 is $1.0M, not $1000K: the larger unit starts where rounding would reach it.
        if size >= unit * 0.9995:
            scaled = size / unit
            return f"{scaled:.1f}{letter}" if scaled < 9.95 else f"{_whole(scaled)}{letter}"
    return str(_whole(size))


def _ratio(size: Number) -> str:
    digits = 2 if size < 0.995 else 1 if size < 99.95 else 0
    return f"{size:,.{digits}f}"


def _moment(moment: Date | datetime | str) -> datetime:
    if isinstance(moment, str):
        return datetime.fromisoformat(moment)
    return moment if isinstance(moment, datetime) else datetime(moment.year, moment.month, moment.day)
