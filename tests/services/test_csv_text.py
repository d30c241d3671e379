"""CSV for spreadsheets: nothing in it runs, everything in it comes back."""

from __future__ import annotations

import csv
import io
from datetime import date, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beton.services.csv_text import csv_text, safe_cell

FORMULAS = [
    "=1+1",
    "+1",
    "-1",
    "@SUM(A1)",
    "|calc",
    "=cmd|' /C calc'!A0",
    '=HYPERLINK("http://x","y")',
    " =1+1",
    "\t=1+1",
    "\r=1+1",
    "\n=1+1",
    "\x0b=1",
    "\t",
    "\rname",
    "'=1+1",
    '"=1+1',
    " \"' =1+1",
    "\u00a0=1",
    "\u3000=1",
    "\u200b=1",
    "\ufeff=1",
    "\x00=1",
    "＝1+1",
    "＋1",
    "－1",
    "＠SUM",
    "＝",
]


@pytest.mark.parametrize("text", FORMULAS)
def test_a_cell_that_would_run_gets_an_apostrophe(text: str) -> None:
    assert safe_cell(text) == f"'{text}"


@pytest.mark.parametrize(
    "text", ["", " ", "Anna", "a=b", "x@example.org", "3-4", "'quoted'", '"', "d'Or", "Ärger", "1+1", "100%", "日本"]
)
def test_other_text_stays_as_it_is(text: str) -> None:
    assert safe_cell(text) == text


@pytest.mark.parametrize("number", [0, -5, -1.5, 10**20, True, Decimal("-3.20")])
def test_numbers_stay_numbers(number: object) -> None:
    assert safe_cell(number) is number


def test_none_is_an_empty_cell_and_other_values_are_text() -> None:
    assert safe_cell(None) == ""
    assert safe_cell(date(2024, 1, 31)) == "2024-01-31"
    assert safe_cell(datetime(2024, 1, 31, 8)) == "2024-01-31 08:00:00"


@pytest.mark.parametrize("value", [["-1"], {"=": 1}])
def test_a_structure_is_written_as_text_that_does_not_run(value: object) -> None:
    assert safe_cell(value) == str(value)


def test_an_object_that_prints_a_formula_is_caught() -> None:
    class Sly:
        def __str__(self) -> str:
            return "=1+1"

    assert safe_cell(Sly()) == "'=1+1"


def test_a_header_cannot_run_either() -> None:
    assert csv_text(["user_id", "=cmd"], []) == '"user_id","\'=cmd"\r\n'


def test_the_file_is_written_by_the_book() -> None:
    text = csv_text(["id", "name", "n"], [["u1", 'A "B", C', -2], ["u2", None, 1.5]])

    assert text == '"id","name","n"\r\n"u1","A ""B"", C",-2\r\n"u2","",1.5\r\n'


cells = st.text(st.characters(exclude_categories=("Cs",)), max_size=20)


@given(st.lists(st.lists(cells, min_size=2, max_size=2), max_size=5))
def test_every_cell_comes_back(rows: list[list[str]]) -> None:
    read = list(csv.reader(io.StringIO(csv_text(["a", "b"], rows), newline="")))

    assert read == [["a", "b"], *[[safe_cell(cell) for cell in row] for row in rows]]
    assert all(
        back in (cell, f"'{cell}")
        for row, line in zip(rows, read[1:], strict=True)
        for cell, back in zip(row, line, strict=True)
    )


@given(cells)
def test_no_cell_starts_like_a_formula(text: str) -> None:
    assert str(safe_cell(text)).strip(' "\u00a0\ufeff\t\r\n')[:1] not in tuple("=+-@|＝＋－＠")
