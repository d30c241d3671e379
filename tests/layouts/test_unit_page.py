from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from test_result_view import HOSTILE, inside, texts

from beton.model.unit_facts import Carried, Carrier, CarrierPage, DayCount, Deal, EventRow, Trait, UnitFacts
from layouts import ids
from layouts.not_found import user_not_found
from layouts.unit import INTERNAL, UNIDENTIFIED, unit_page
from layouts.unit_figures import MOST_EVENTS, SIGNALS_ROW, drawn_events, last_day, timeline_figure
from layouts.unit_grid import grid_row, summary_words, who_has_it

SIGNUP = datetime(2024, 1, 2, tzinfo=UTC)


def at(days: float) -> datetime:
    return SIGNUP + timedelta(days=days)


PLAIN = UnitFacts(
    user_id="u_1",
    email=None,
    company_id=None,
    company=None,
    signed_up_at=SIGNUP,
    data_end=at(200),
    is_demo=False,
    is_internal=False,
    is_identified=True,
    contact_id=None,
    traits=(),
    deals=(),
    outcome_words="a won deal of the user",
    outcome_at=None,
    carried=(),
    unmeasured=(),
    span_days=60,
    days=(),
    recent=(),
    event_count=0,
    before_signup=0,
)
RICH = replace(
    PLAIN,
    email="ann@acme.example",
    company_id="acme/1",
    company="Acme Inc",
    is_demo=True,
    contact_id="c_7",
    traits=(
        Trait("plan", False, "pro", at(3)),
        Trait("role", False, "founder", None),
        Trait("is_admin", False, True, None),
        Trait("seats", False, None, None),
    ),
    deals=(
        Deal("d_1", True, 27_000, "EUR", "Closed Won", at(10), at(30.5), True),
        Deal("d_2", False, None, None, None, at(10), None, False),
    ),
    outcome_at=at(30.5),
    carried=(
        Carried("sig_1", "Onboarded", True, at(1), 1.0, "in the backtest"),
        Carried("sig_2", "Invited", False, at(1.02), 1.02, "in the backtest"),
        Carried("sig_3", "Slow", True, at(90), 90.0, "in the backtest"),
    ),
    unmeasured=("Gone",),
    days=(DayCount(0, "pageview", 8), DayCount(1, "onboarded", 1), DayCount(1, "pageview", 2), DayCount(59, "api", 1)),
    recent=(EventRow(at(59.25), "api", 59.25, {"path": "/v1"}), EventRow(at(0), "pageview", 0.0, {})),
    event_count=12,
    before_signup=2,
)


def all_text(component: Any) -> str:
    return " ".join(texts(component))


def test_a_user_is_shown_whole() -> None:
    words = all_text(unit_page(RICH))
    for part in (
        "ann@acme.example", "Acme Inc", "DEMO: simulated person", "1 Feb 2024", "day 30.5", "first on day 1.0", "c_7",
        "€27,000", "Closed Won", "of the account", "Open", "Onboarded", "Invited (disabled)", "2024-03-01 06:00",
        "path /v1", "The last 2 of 12 events", "Gone", "1 signal first matched outside of it.",
        "2 events before the signup not drawn.",
    ):  # fmt: skip
        assert part in words, part


def test_a_property_says_since_when_it_holds_or_that_nobody_knows() -> None:
    shown = {}
    for each in inside(unit_page(RICH)):
        if type(each).__name__ == "Div" and getattr(each, "className", "") == "fact":
            name, value = each.children
            shown[name.children] = "".join(texts(value))
    assert shown["plan"] == "pro since 5 Jan 2024"
    assert shown["role"] == "founder as imported"
    assert shown["is_admin"] == "true as imported"
    assert "seats" not in shown


def test_links_lead_to_the_signals_the_account_and_back() -> None:
    links = {each.href for each in inside(unit_page(RICH)) if type(each).__name__ == "A"}
    assert {"/signals", "/signals/sig_1", "/signals/sig_2", "/signals/sig_3", "/accounts/acme%2F1"} <= links


def test_a_user_of_whom_little_is_known_says_so() -> None:
    words = all_text(unit_page(PLAIN))
    for part in (
        "u_1", "Not converted", "Not yet", "as of 20 Jul 2024", "No event is recorded", "Carries none of the saved",
        "No deal is in the data", "No event of this person", "Contacts were not imported",
    ):  # fmt: skip
        assert part in words, part
    assert "DEMO" not in words
    assert ids.UNIT_TIMELINE not in {getattr(each, "id", None) for each in inside(unit_page(PLAIN))}


@pytest.mark.parametrize(
    ("facts", "notice"),
    [
        (replace(PLAIN, is_internal=True, is_identified=False), INTERNAL),
        (replace(PLAIN, is_identified=False), UNIDENTIFIED),
        (PLAIN, None),
    ],
)
def test_whoever_is_left_out_is_labelled(facts: UnitFacts, notice: str | None) -> None:
    shown = {each for each in texts(unit_page(facts)) if each in (INTERNAL, UNIDENTIFIED)}
    assert shown == ({notice} if notice else set())


def test_the_timeline_has_dots_signals_and_the_outcome() -> None:
    figure = timeline_figure(RICH)
    dots, diamonds = figure["data"]
    axis = figure["layout"]["yaxis"]
    row = dict(zip(axis["ticktext"], axis["tickvals"], strict=True))

    assert axis["ticktext"] == [SIGNALS_ROW, "pageview", "onboarded", "api"]
    assert list(zip(dots["x"], dots["y"], strict=True)) == [
        (0.5, row["pageview"]), (1.5, row["onboarded"]), (1.5, row["pageview"]), (59.5, row["api"]),
    ]  # fmt: skip
    sizes = dots["marker"]["size"]
    assert sizes[0] > sizes[2] > sizes[1] == sizes[3]
    assert dots["text"][0] == "pageview<br>day 0: 8 times"
    # two signals of the same tenth of a day share a diamond; one after the span is not drawn
    assert diamonds["x"] == [1.0]
    assert diamonds["text"] == ["Onboarded: first matched on day 1.0<br>Invited: first matched on day 1.0"]
    assert [(each["x0"], each["line"]["dash"]) for each in figure["layout"]["shapes"]] == [
        (1.0, "dot"), (1.02, "dot"), (30.5, "solid"),
    ]  # fmt: skip
    assert figure["layout"]["annotations"][0]["text"] == "outcome, day 30.5"


def test_a_signal_of_the_account_may_have_matched_before_the_signup() -> None:
    older = replace(
        RICH, outcome_at=None, carried=(Carried("sig_1", "Account", True, at(-9), -9.0, "in the backtest"),)
    )
    figure = timeline_figure(older)
    assert figure["data"][1]["x"] == [-9.0]
    assert figure["layout"]["xaxis"]["range"] == [-10.0, 60]


def test_an_event_may_have_the_name_of_the_row_of_signals() -> None:
    named = replace(RICH, days=(DayCount(0, SIGNALS_ROW, 1),))
    figure = timeline_figure(named)
    assert figure["layout"]["yaxis"]["ticktext"] == [SIGNALS_ROW, SIGNALS_ROW]
    assert figure["data"][0]["y"] == [-1]
    assert set(figure["data"][1]["y"]) == {0}


@pytest.mark.parametrize(("day", "side"), [(3, "left"), (30, "center"), (58, "right"), (0, "left")])
def test_the_words_of_the_outcome_stay_inside(day: float, side: str) -> None:
    figure = timeline_figure(replace(RICH, outcome_at=at(day), carried=()))
    assert [each["xanchor"] for each in figure["layout"]["annotations"]] == [side]


def test_the_axis_ends_with_the_data() -> None:
    assert last_day(RICH) == 60
    assert last_day(replace(RICH, data_end=at(20.3))) == 21
    assert last_day(replace(RICH, data_end=at(1))) == 7


def test_a_late_outcome_is_said_below_the_chart() -> None:
    late = replace(RICH, outcome_at=at(140))
    assert "The outcome lies outside, on day 140.0." in all_text(unit_page(late))
    figure = timeline_figure(late)
    assert figure["layout"]["annotations"] == []
    assert [each["line"]["dash"] for each in figure["layout"]["shapes"]] == ["dot", "dot"]


def test_the_rarest_kinds_of_events_are_counted_instead_of_drawn() -> None:
    many = replace(RICH, days=tuple(DayCount(0, f"e{i}", i + 1) for i in range(MOST_EVENTS + 2)))
    assert drawn_events(many) == [f"e{i}" for i in range(2, MOST_EVENTS + 2)]
    assert "2 rarer kinds of event are not drawn." in all_text(unit_page(many))


def test_hostile_data_are_text_on_the_page_and_in_the_chart() -> None:
    hostile = replace(
        RICH,
        user_id=HOSTILE,
        email=HOSTILE,
        company=HOSTILE,
        traits=(Trait(HOSTILE, False, HOSTILE, None),),
        deals=(Deal(HOSTILE, True, 1.0, "<b>", HOSTILE, None, None, False),),
        carried=(Carried("sig_1", HOSTILE, True, at(1), 1.0, "in the backtest"),),
        days=(DayCount(0, HOSTILE, 1),),
        recent=(EventRow(at(0), HOSTILE, 0.0, {HOSTILE: HOSTILE}),),
    )
    page = unit_page(hostile)
    assert not {type(each).__name__ for each in inside(page)} & {"Markdown", "Iframe", "Script"}
    figure = timeline_figure(hostile)
    drawn = str([figure["data"][0]["text"], figure["data"][1]["text"], figure["layout"]["yaxis"]["ticktext"]])
    assert "&lt;img" in drawn
    assert "<img" not in drawn


def test_a_missing_user_is_told_in_a_sentence() -> None:
    words = all_text(user_not_found(HOSTILE))
    assert HOSTILE in words
    assert "A newer import may have dropped them" in words


# ---- who has it

ANN = Carrier(
    "ann/1", "ann@acme.example", "Acme", {"plan": "pro", "role": None}, at(1), 1.0, "in the backtest", at(9), False
)


def test_a_row_is_read_as_it_stands_and_leads_to_its_page() -> None:
    assert grid_row(ANN, "user") == {
        "id": "ann/1",
        "who": "ann@acme.example",
        "company": "Acme",
        "plan": "pro",
        "matched_at": "2024-01-03",
        "day": "1.0",
        "outcome": "2024-01-11",
        "standing": "In the backtest",
        "href": "/users/ann%2F1",
    }
    assert grid_row(replace(ANN, email=None), "user")["who"] == "ann/1"
    assert grid_row(ANN, "account")["href"] == "/accounts/ann%2F1"
    assert "href" not in grid_row(replace(ANN, unit_id="x" * 501), "user")


@pytest.mark.parametrize(("is_open", "words"), [(True, "Not yet"), (False, "No")])
def test_an_open_window_is_no_refusal(is_open: bool, words: str) -> None:
    assert grid_row(replace(ANN, outcome_at=None, is_open=is_open), "user")["outcome"] == words


@pytest.mark.parametrize(
    ("matching", "total", "words"),
    [
        (0, 0, "Nobody carries this signal in the current data."),
        (1, 1, "1 user carries this signal"),
        (4_043, 4_043, "4,043 users carry this signal"),
        (65, 4_043, "4,043 users carry this signal · 65 match the filters"),
    ],
)
def test_the_summary_counts_all_and_what_is_left(matching: int, total: int, words: str) -> None:
    assert summary_words(CarrierPage("user", (), matching, total)) == words


@pytest.mark.parametrize(
    ("unit", "traits", "fields"),
    [
        ("user", ("plan", "role"), ["who", "company", "plan", "matched_at", "day", "outcome", "standing"]),
        ("user", (), ["who", "company", "matched_at", "day", "outcome", "standing"]),
        ("account", ("plan",), ["who", "company", "matched_at", "day", "outcome", "standing"]),
    ],
)
def test_the_grid_asks_for_its_rows_and_has_the_columns_of_the_data(unit: Any, traits: Any, fields: list[str]) -> None:
    [grid] = [
        each for each in inside(who_has_it("sig_1", unit, traits)) if getattr(each, "id", "") == ids.CARRIERS_GRID
    ]
    assert [each["field"] for each in grid.columnDefs] == fields
    assert (grid.rowModelType, hasattr(grid, "rowData")) == ("infinite", False)
    options = grid.dashGridOptions
    assert options["cacheBlockSize"] * options["maxBlocksInCache"] <= 500
    assert options["maxConcurrentDatasourceRequests"] == 1
