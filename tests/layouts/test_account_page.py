from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from test_result_view import HOSTILE, inside, texts

from beton.model.unit_facts import AccountFacts, Carried, Deal, Person, Trait
from layouts.account import INTERNAL, NO_SIGNAL, UNIDENTIFIED, account_page
from layouts.not_found import account_not_found


def on(month: int, day: int) -> datetime:
    return datetime(2024, month, day, tzinfo=UTC)


PLAIN = AccountFacts(
    account_id="c/1",
    name=None,
    first_seen_at=None,
    data_end=on(6, 1),
    is_demo=False,
    is_internal=False,
    is_identified=True,
    traits=(),
    deals=(),
    outcome_words="a won deal of the user's account",
    outcome_at=None,
    carried=(),
    unmeasured=(),
    people=(),
    people_count=0,
)
RICH = replace(
    PLAIN,
    name="Acme Inc",
    is_demo=True,
    first_seen_at=on(1, 2),
    traits=(Trait("company_name", True, "Acme Inc", None), Trait("company_size", True, 80, None)),
    deals=(Deal("d_1", False, 900, "EUR", "Closed Won", on(1, 4), on(1, 12), True),),
    outcome_at=on(1, 12),
    carried=(Carried("sig_1", "Invited", True, on(1, 3), 1.0, "in the backtest"),),
    unmeasured=("Gone",),
    people=(Person("ann/1", "ann@acme.example", on(1, 2), False), Person("bob", None, on(1, 5), True)),
    people_count=200,
)


def test_an_account_is_shown_with_its_people() -> None:
    page = account_page(RICH)
    words = " ".join(texts(page))
    for part in (
        "Acme Inc", "DEMO: simulated account", "12 Jan 2024", "day 10.0", "first on day 1.0", "as imported", "€900",
        "of the account", "ann@acme.example", "internal", "The first 2 of 200 users", "Gone",
    ):  # fmt: skip
        assert part in words, part
    links = {each.href for each in inside(page) if type(each).__name__ == "A"}
    assert {"/users/ann%2F1", "/users/bob", "/signals/sig_1", "/signals"} <= links


def test_an_account_of_which_little_is_known_says_so() -> None:
    words = " ".join(texts(account_page(PLAIN)))
    for part in ("c/1", "Not converted", "no user yet", NO_SIGNAL, "No deal is in the data", "No user of this account"):
        assert part in words, part
    assert "DEMO" not in words


@pytest.mark.parametrize(
    ("account", "notice"),
    [
        (replace(PLAIN, is_internal=True, is_identified=False), INTERNAL),
        (replace(PLAIN, is_identified=False), UNIDENTIFIED),
        (PLAIN, None),
    ],
)
def test_an_account_that_is_left_out_is_labelled(account: AccountFacts, notice: str | None) -> None:
    shown = {each for each in texts(account_page(account)) if each in (INTERNAL, UNIDENTIFIED)}
    assert shown == ({notice} if notice else set())


def test_hostile_data_are_text() -> None:
    hostile = replace(RICH, name=HOSTILE, account_id=HOSTILE, people=(Person(HOSTILE, HOSTILE, on(1, 2), False),))
    for page in (account_page(hostile), account_not_found(HOSTILE)):
        assert HOSTILE in texts(page)
        assert not {type(each).__name__ for each in inside(page)} & {"Markdown", "Iframe", "Script"}
