"""CSV that a spreadsheet opens without running anything."""

from __future__ import annotations

import csv
import io
import unicodedata
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Final

# What Excel, LibreOffice and Sheets take for the start of a formula, with the full-width forms of some input methods.
_FORMULA_STARTS: Final = "=+-@|＝＋－＠"
# Quotes, spaces and marks without width, behind which a formula still starts when a cell is opened or pasted.
_IGNORED: Final = ("Zs", "Zl", "Zp", "Cc", "Cf")


def safe_cell(value: object) -> object:
    """Return text that would start a formula with an apostrophe before it; numbers stay numbers, None is empty."""
    if value is None or isinstance(value, int | float | Decimal):
        return "" if value is None else value
    text = str(value)
    for character in text:
        if character in "\t\r\n" or character in _FORMULA_STARTS:
            return f"'{text}"
        if character not in "\"'" and unicodedata.category(character) not in _IGNORED:
            return text
    return text


def csv_text(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return the whole file: every text quoted, CRLF line ends (RFC 4180)."""
    out = io.StringIO()
    writer = csv.writer(out, quoting=csv.QUOTE_NONNUMERIC)
    writer.writerow([safe_cell(cell) for cell in header])
    writer.writerows([safe_cell(cell) for cell in row] for row in rows)
    return out.getvalue()
