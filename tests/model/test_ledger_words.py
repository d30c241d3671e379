from __future__ import annotations

import pytest

from beton.model import text


@pytest.mark.parametrize(
    ("p", "written"),
    [
        (0.0021, "0.0021"),
        (0.05, "0.050"),
        (1.0, "1.0"),
        (0, "0"),
        (1.8e-5, "0.000018"),
        (0.0999, "0.10"),
        (9.96e-4, "0.0010"),
    ],
)
def test_a_small_p_value_is_written_out_in_two_figures(p: float, written: str) -> None:
    assert text.p_limit(p) == written


def test_more_or_fewer_figures_can_be_asked_for() -> None:
    assert [text.p_limit(0.0021366, digits) for digits in (1, 3, 4)] == ["0.002", "0.00214", "0.002137"]
    assert [text.p_limit(10.0**-power, 1) for power in range(4)] == ["1", "0.1", "0.01", "0.001"]


@pytest.mark.parametrize(
    ("number", "written"),
    [
        (1, "1st"),
        (2, "2nd"),
        (3, "3rd"),
        (4, "4th"),
        (7, "7th"),
        (11, "11th"),
        (12, "12th"),
        (13, "13th"),
        (21, "21st"),
        (102, "102nd"),
        (111, "111th"),
        (1_013, "1,013th"),
        (1_023, "1,023rd"),
    ],
)
def test_places_in_a_row(number: int, written: str) -> None:
    assert text.ordinal(number) == written
