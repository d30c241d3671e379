"""Whom a combination of signals reaches: people once, accounts once, converted ones told apart."""

from __future__ import annotations

from pathlib import Path

import pytest
from journeys import Journeys

from beton.bootstrap import build_services
from beton.config import Settings
from beton.errors import InputError, NoDataError
from beton.model.signal import from_dict
from beton.services import Services
from beton.services.playbooks import MOST_SIGNALS

SIGNALS = {
    "x": {"name": "x", "when": {"event": "x", "within_days": 3}},
    "y": {"name": "y", "when": {"event": "y", "within_days": 3}},
    "z": {"name": "z", "when": {"event": "z", "within_days": 3}},
    "account": {"name": "account x", "unit": "account", "when": {"event": "x", "within_days": 3}},
    "gone": {"name": "gone", "when": {"event": "nothing_like_it", "within_days": 3}},
}


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Services:
    folder = tmp_path_factory.mktemp("reach")
    people = Journeys(folder, data_end="2024-06-01")
    people.user("both", company="acme").did("x", after_days=1).did("y", after_days=2).contact().won(after_days=30)
    people.user("only x", company="acme").did("x", after_days=1).contact()
    people.user("only y", company="globex").did("y", after_days=1).contact()
    people.user("alone", signed_up="2024-05-20").did("x", after_days=1).did("z", after_days=1).contact()
    people.user("tester", company="initech", internal=True).did("x", after_days=1).did("y", after_days=1).contact()
    people.user("stranger", company="hooli").did("x", after_days=1)
    people.user("quiet", company="acme").did("w", after_days=1).contact()
    people.publish()
    return build_services(Settings(data_dir=folder))


def reach(services: Services, *alternatives: str) -> tuple[int, int, int, int, int]:
    ids = {name: services.signals.save(from_dict(about)).id for name, about in SIGNALS.items()}
    found = services.playbooks.reach([[ids[name] for name in each.split()] for each in alternatives])
    return found.users, found.accounts, found.open_users, found.open_accounts, found.recent_users


@pytest.mark.parametrize(
    ("alternatives", "expected"),
    [
        (["x"], (3, 1, 1, 0, 1)),  # both and only x share an account, whose deal is won; alone has none
        (["y"], (2, 2, 1, 1, 0)),
        (["x y"], (1, 1, 0, 0, 0)),
        (["x", "y"], (4, 2, 2, 1, 1)),
        (["x y", "z"], (2, 1, 1, 0, 1)),
        (["x y", "x y"], (1, 1, 0, 0, 0)),
        (["y z"], (0, 0, 0, 0, 0)),
        (["account"], (3, 1, 0, 0, 0)),  # everybody of the account, also those without the event
        (["account y"], (1, 1, 0, 0, 0)),
    ],
)
def test_a_person_counts_once_and_so_does_an_account(
    services: Services, alternatives: list[str], expected: tuple[int, ...]
) -> None:
    assert reach(services, *alternatives) == expected


def test_one_signal_reaches_whom_its_list_holds(services: Services) -> None:
    saved = services.signals.save(from_dict(SIGNALS["x"]))
    _, rows = services.backtests.members(saved.definition)
    assert services.playbooks.reach([[saved.id]]).users == len(rows)


def test_both_together_are_a_signal_of_both(services: Services) -> None:
    both = {"name": "both", "when": {"all": [SIGNALS["x"]["when"], SIGNALS["y"]["when"]]}}
    _, rows = services.backtests.members(from_dict(both))
    assert reach(services, "x y")[0] == len(rows)


@pytest.mark.parametrize("alternatives", [[], [[]], [["sig_001"], []], [["sig_001"] * (MOST_SIGNALS + 1)]])
def test_nothing_to_match_is_an_error(services: Services, alternatives: list[list[str]]) -> None:
    with pytest.raises(InputError, match="Choose between one and"):
        services.playbooks.reach(alternatives)


def test_signals_that_cannot_be_answered_say_why(services: Services) -> None:
    with pytest.raises(InputError, match="no event is called 'nothing_like_it'"):
        reach(services, "x gone")
    with pytest.raises(InputError):
        services.playbooks.reach([["nowhere"]])


def test_without_data_nobody_is_reached(tmp_path: Path) -> None:
    empty = build_services(Settings(data_dir=tmp_path))
    saved = empty.signals.save(from_dict(SIGNALS["x"]))
    with pytest.raises(NoDataError):
        empty.playbooks.reach([[saved.id]])
