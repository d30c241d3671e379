from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from shell_fakes import CUSTOMER, DEMO
from test_result_view import HOSTILE, inside, texts

from beton.model.playbook import PlaybookReach
from layouts import ids
from layouts.playbook import NOTHING_CHOSEN, WHY_NOT_SAVED, field_errors, playbook, reach_words, rows, sentence
from layouts.upcoming import playbooks
from store.playbook import MOST_ALTERNATIVES, Alternative, Pick, PlaybookDraft

NAMES = {"s1": "Onboarded", "s2": "Invited", "s3": HOSTILE}
REACH = PlaybookReach(1_350, 1_329, 1_131, 1_115, 22, 30, datetime(2025, 1, 1, tzinfo=UTC))


def of(*alternatives: list[str], **more: Any) -> PlaybookDraft:
    made = [
        Alternative(f"a{100 + i}", tuple(Pick(f"p{10 * i + j}", each) for j, each in enumerate(line)))
        for i, line in enumerate(alternatives)
    ]
    return PlaybookDraft(alternatives=tuple(made), next_key=999, **more)


def by_id(component: Any) -> dict[str, Any]:
    return {str(each.id): each for each in inside(component) if hasattr(each, "id")}


@pytest.mark.parametrize(
    ("draft", "words"),
    [
        (of([""]), ""),
        (of(["s1"]), "People who carry “Onboarded”."),
        (of(["s1", "s2"]), "People who carry “Onboarded” and “Invited”."),
        (of(["s1"], ["s2"]), "People who carry “Onboarded” or “Invited”."),
        (of(["s1", "s2"], ["s2"]), "People who carry (“Onboarded” and “Invited”) or “Invited”."),
        (of(["s1", "lost"], [""]), "People who carry “Onboarded”."),
    ],
)
def test_the_condition_is_said_in_words(draft: PlaybookDraft, words: str) -> None:
    assert sentence(draft, NAMES) == words


def test_the_reach_counts_people_accounts_and_who_is_left() -> None:
    assert reach_words(REACH) == (
        "1,350 people at 1,329 accounts match now, in the data until 1 Jan 2025. Not yet converted: 1,131 people at "
        "1,115 accounts. First matched in the last 30 days of the data: 22 people."
    )
    one = PlaybookReach(1, 1, 1, 1, 0, 30, REACH.data_end)
    assert reach_words(one).startswith("1 person at 1 account matches now")
    none = PlaybookReach(0, 0, 0, 0, 0, 30, REACH.data_end)
    assert reach_words(none) == "Nobody matches in the data until 1 Jan 2025."
    assert reach_words(None) == NOTHING_CHOSEN
    assert reach_words("no event is called 'x'") == "Cannot tell how many match: no event is called 'x'"


def test_the_form_shows_the_draft_and_cannot_be_saved_yet() -> None:
    draft = of(["s1", ""], ["s2"], name="Hot", slack=True, slack_channel="#sales", webhook_url="https://x.example")
    found = by_id(playbook(CUSTOMER, draft, NAMES, REACH))

    def value(name: str, key: str = "") -> Any:
        return found[str(ids.playbook_field(name, key))].value

    assert (value("signal", "p0"), value("signal", "p1"), value("signal", "p10")) == ("s1", "", "s2")
    assert (value("name"), value("slack"), value("slack_channel"), value("attio")) == ("Hot", True, "#sales", False)
    save = found[ids.PLAYBOOK_SAVE]
    assert save.disabled
    assert found[getattr(save, "aria-describedby")].children == WHY_NOT_SAVED
    assert [owner for owner, number in _counted(playbook(CUSTOMER, draft, NAMES, REACH)).items() if number > 1] == []


def _counted(component: Any) -> dict[str, int]:
    all_ids = [str(each.id) for each in inside(component) if hasattr(each, "id")]
    return {each: all_ids.count(each) for each in all_ids}


def test_demo_counts_say_so() -> None:
    for manifest, is_demo in ((DEMO, True), (CUSTOMER, False)):
        assert any("DEMO" in each for each in texts(playbook(manifest, of(["s1"]), NAMES, REACH))) is is_demo


def test_without_data_or_signals_the_form_leads_on() -> None:
    assert "No data yet" in texts(playbook(None, PlaybookDraft(), {}, None))
    assert "No signals yet" in texts(playbook(CUSTOMER, PlaybookDraft(), {}, None))


def test_a_signal_that_is_gone_leaves_its_row_empty() -> None:
    found = by_id(rows(of(["lost"]), NAMES))
    assert found[str(ids.playbook_field("signal", "p0"))].value == ""


def test_every_row_can_be_removed_by_name() -> None:
    remove = by_id(rows(of(["s1"]), NAMES))[str(ids.event("playbook", "remove", "p0"))]
    assert getattr(remove, "aria-label") == "Remove Onboarded"


def test_a_full_form_takes_no_more() -> None:
    found = by_id(rows(of(*[["s1"]] * MOST_ALTERNATIVES), NAMES))
    assert found[str(ids.event("playbook", "add-alternative", ""))].disabled
    assert not found[str(ids.event("playbook", "add-signal", "a100"))].disabled


@pytest.mark.parametrize(("address", "is_wrong"), [("", False), ("https://x.example", False), ("http://x", True)])
def test_a_webhook_is_never_plain_http(address: str, is_wrong: bool) -> None:
    assert ("webhook_url" in field_errors(PlaybookDraft(webhook_url=address))) is is_wrong


def test_hostile_names_are_text() -> None:
    page = playbook(CUSTOMER, of(["s3"], name=HOSTILE), NAMES, REACH)
    assert f"People who carry “{HOSTILE}”." in texts(page)
    assert not {type(each).__name__ for each in inside(page)} & {"Markdown", "Iframe", "Script"}


def test_the_list_of_playbooks_leads_to_the_form() -> None:
    assert "/playbooks/new" in {each.href for each in inside(playbooks()) if type(each).__name__ == "A"}
