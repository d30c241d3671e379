"""What is known about one unit, and about the units that carry a signal: plain data, nothing to look up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from beton.errors import InputError
from beton.model.manifest import Manifest
from beton.model.outcome import Unit

MOST_ROWS: Final = 500  # of a list that go to a browser at once
MOST_TEXT: Final = 200  # characters of a search
MOST_PEOPLE: Final = 100  # of an account that its page lists
MOST_ID: Final = 500  # characters of a unit's id
TRAITS: Final = ("plan", "role")  # properties shown beside a user in a list, where the data have them

SortKey = Literal["who", "company", "plan", "role", "matched_at", "day", "outcome", "standing"]
SORT_KEYS: Final[tuple[SortKey, ...]] = (
    "who", "company", "plan", "role", "matched_at", "day", "outcome", "standing",
)  # fmt: skip
Converted = Literal["", "yes", "open", "no"]
CONVERTED: Final[tuple[Converted, ...]] = ("", "yes", "open", "no")


@dataclass(frozen=True, slots=True)
class CarrierQuery:
    """Which part of a list is wanted: ``rows`` of them from ``start`` on, newest match first unless ``sort`` differs.

    ``text`` is to be found in the id, the e-mail or the company; ``converted`` keeps those who did (``yes``), those
    whose outcome window is still open (``open``) or the others (``no``).

    Raises:
        InputError: a value that the list never asks for.
    """

    start: int = 0
    rows: int = 100
    sort: SortKey = "matched_at"
    is_descending: bool = True
    text: str = ""
    converted: Converted = ""

    def __post_init__(self) -> None:
        if not (0 <= self.start < 2**31 and 0 < self.rows <= MOST_ROWS):
            raise InputError(f"A list is read in parts of up to {MOST_ROWS} rows: reload the page.")
        if self.sort not in SORT_KEYS or self.converted not in CONVERTED or len(self.text) > MOST_TEXT:
            raise InputError("The list cannot be sorted or searched like this: reload the page.")


@dataclass(frozen=True, slots=True)
class Carrier:
    """One unit that carries a signal.

    ``unit_id`` is a user's id, for signals on accounts the account's; ``matched_after_days`` counts from the signup;
    ``standing`` says whether the backtest counts the unit, and if not why; ``outcome_at`` is the first outcome there
    is, in the outcome window or not; ``is_open`` whether there is none and the window has not closed.
    """

    unit_id: str
    email: str | None
    company: str | None
    traits: Mapping[str, str | None]
    matched_at: datetime
    matched_after_days: float
    standing: str
    outcome_at: datetime | None
    is_open: bool


@dataclass(frozen=True, slots=True)
class CarrierPage:
    """A part of the list: ``matching`` is how many the query leaves, ``total`` how many carry the signal."""

    unit: Unit
    rows: tuple[Carrier, ...]
    matching: int
    total: int


@dataclass(frozen=True, slots=True)
class Trait:
    """One property of a user or of the user's company.

    ``set_at`` is when it got its value; None where the data only say what it is now.
    """

    name: str
    of_company: bool
    value: str | int | float | bool | None
    set_at: datetime | None


@dataclass(frozen=True, slots=True)
class Deal:
    """One deal; ``is_own`` tells the user's own from one of the account. The amount is in ``currency``, as recorded."""

    deal_id: str
    is_own: bool
    amount: float | None
    currency: str | None
    stage: str | None
    created_at: datetime | None
    closed_at: datetime | None
    is_won: bool


@dataclass(frozen=True, slots=True)
class Carried:
    """A saved signal that the unit carries, with the moment it first matched."""

    signal_id: str
    name: str
    is_enabled: bool
    matched_at: datetime
    matched_after_days: float
    standing: str


@dataclass(frozen=True, slots=True)
class Person:
    """A user of an account."""

    user_id: str
    email: str | None
    signed_up_at: datetime
    is_internal: bool


@dataclass(frozen=True, slots=True)
class AccountFacts:
    """Everything on one account. Times are aware, UTC.

    ``first_seen_at`` is the signup of its first user, None without users; ``people`` are the first ``MOST_PEOPLE`` of
    ``people_count`` to sign up; ``carried`` are signals on accounts only. The others mean what they mean in
    ``UnitFacts``.
    """

    account_id: str
    name: str | None
    first_seen_at: datetime | None
    data_end: datetime
    is_demo: bool
    is_internal: bool
    is_identified: bool
    traits: tuple[Trait, ...]
    deals: tuple[Deal, ...]
    outcome_words: str
    outcome_at: datetime | None
    carried: tuple[Carried, ...]
    unmeasured: tuple[str, ...]
    people: tuple[Person, ...]
    people_count: int


@dataclass(frozen=True, slots=True)
class DayCount:
    """How often one event happened on one day; day 0 is the 24 hours from the signup on."""

    day: int
    event: str
    times: int


@dataclass(frozen=True, slots=True)
class EventRow:
    """One event; ``details`` are its properties that have a value."""

    at: datetime
    event: str
    after_days: float
    details: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class UnitFacts:
    """Everything on one user. Times are aware, UTC.

    ``outcome_at`` is the first outcome of ``outcome_words``; ``days`` cover ``span_days`` from the signup on,
    ``recent`` are the last events of ``event_count``, newest first; ``before_signup`` counts those before day 0.
    ``is_identified`` is False for a user without a CRM contact where contacts were imported; such users and internal
    ones carry no signal, because no backtest has them. ``unmeasured`` are names of signals the data cannot answer.
    """

    user_id: str
    email: str | None
    company_id: str | None
    company: str | None
    signed_up_at: datetime
    data_end: datetime
    is_demo: bool
    is_internal: bool
    is_identified: bool
    contact_id: str | None
    traits: tuple[Trait, ...]
    deals: tuple[Deal, ...]
    outcome_words: str
    outcome_at: datetime | None
    carried: tuple[Carried, ...]
    unmeasured: tuple[str, ...]
    span_days: int
    days: tuple[DayCount, ...]
    recent: tuple[EventRow, ...]
    event_count: int
    before_signup: int

    def after_days(self, moment: datetime) -> float:
        """Return how many days after the signup a moment is; negative before it."""
        return (moment - self.signed_up_at).total_seconds() / 86_400


def list_traits(manifest: Manifest | None) -> list[str]:
    """Return which of ``TRAITS`` the data have."""
    known = set() if manifest is None else {each.name for each in manifest.properties if each.scope == "user"}
    return [name for name in TRAITS if name in known]
