"""Addresses: ``parse`` reads one, ``href`` writes one, and each undoes the other.

The base path (the URL prefix under which the app is mounted) is set once per request by the app, so pages
never see it.
"""

from __future__ import annotations

import re
from contextvars import ContextVar
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, Final
from urllib.parse import parse_qs, quote, unquote, urlencode

from beton.model.unit_facts import MOST_ID

BASE_PATH: ContextVar[str] = ContextVar("base_path", default="/")

IDENTIFIER = re.compile(r"[A-Za-z0-9_-]{1,64}")


class Page(StrEnum):
    """Every page a route can name."""

    DASHBOARD = "dashboard"
    SOURCES = "sources"
    SIGNALS = "signals"
    SIGNAL = "signal"
    RUNS = "runs"
    RUN = "run"
    USER = "user"
    ACCOUNT = "account"
    BACKTEST = "backtest"
    HISTORY = "history"
    BACKTEST_COMPARE = "backtest-compare"
    PLAYBOOKS = "playbooks"
    PLAYBOOK = "playbook"
    DESTINATIONS = "destinations"
    SETTINGS = "settings"
    NOT_FOUND = "not-found"


STATUSES: Final = ("enabled", "disabled")
HARMFUL: Final = "harmful"
LIFTS: Final = ("1.5", "2", "3", HARMFUL)
EVIDENCE: Final = ("3", "2", "1", "0")
THRESHOLDS: Final = ("any", "missed")
MOST_COMPARED: Final = 3
MOST_CHARACTERS: Final = 200  # of a free text in the query


@dataclass(frozen=True)
class SignalFilter:
    """What ``/signals`` lists, as its query says it; an empty text leaves that choice open.

    Attributes:
        status: One of ``STATUSES``.
        lift: One of ``LIFTS``: the smallest lift, or ``HARMFUL`` for those below 1.
        source: Where the events come from, as the definitions say.
        evidence: One of ``EVIDENCE``: the lowest level, or "0" for those that reach none.
        thresholds: One of ``THRESHOLDS``: signals that miss the company's thresholds too, or only those.
        q: Words to find in the name, the description or the condition.
    """

    status: str = ""
    lift: str = ""
    source: str = ""
    evidence: str = ""
    thresholds: str = ""
    q: str = ""

    def query(self) -> dict[str, str]:
        """Return the choices that were made, in the order they stand in the address."""
        return {key: value for key, value in asdict(self).items() if value}


@dataclass(frozen=True)
class Route:
    """Where the reader is.

    Attributes:
        page: The page to draw.
        signal_id: The signal in ``/signals/<id>``, ``/backtest?signal=<id>`` or ``/playbooks/new?signal=<id>``.
        run_id: The backtest run in ``/backtest?run=<id>``, the discovery run in ``/runs/<id>``.
        copy_id: The backtest run in ``/backtest?copy=<id>``, whose definition is opened to be edited.
        run_ids: The backtest runs in ``/backtest/compare?run=<id>&run=<id>``, at most ``MOST_COMPARED``.
        unit_id: The user in ``/users/<id>``, the account in ``/accounts/<id>``: any text, encoded.
        path: The address that was asked for, as the browser encodes it, when ``page`` is ``NOT_FOUND``.
        filter: What ``/signals?...`` lists.
    """

    page: Page
    signal_id: str | None = None
    run_id: str | None = None
    copy_id: str | None = None
    unit_id: str | None = None
    run_ids: tuple[str, ...] = ()
    path: str = ""
    filter: SignalFilter = SignalFilter()


PATHS: dict[str, Page] = {
    "": Page.DASHBOARD,
    "sources": Page.SOURCES,
    "signals": Page.SIGNALS,
    "runs": Page.RUNS,
    "backtest": Page.BACKTEST,
    "backtest/history": Page.HISTORY,
    "backtest/compare": Page.BACKTEST_COMPARE,
    "playbooks": Page.PLAYBOOKS,
    "playbooks/new": Page.PLAYBOOK,
    "destinations": Page.DESTINATIONS,
    "settings": Page.SETTINGS,
}
_PATH_OF = {page: path for path, page in PATHS.items()}
_SIGNAL_PREFIX = "signals/"
_RUN_PREFIX = "runs/"
RUN_TABLE_PATH: Final = "/download/runs"
_UNIT_PREFIXES: Final = {"users/": Page.USER, "accounts/": Page.ACCOUNT}
_PREFIX_OF_UNIT: Final = {page: prefix for prefix, page in _UNIT_PREFIXES.items()}
_DOTS = (".", "..")  # steps of a path, whatever a browser is told about them
_SHIELD = "~"  # before an id that is one of them, or that begins with a shield itself


def parse(pathname: str | None, search: str | None = "") -> Route:
    """Return the route of an address; anything unknown is ``NOT_FOUND``, unknown query keys are ignored."""
    path = _below_base(pathname or "/")
    if path is None:
        return Route(Page.NOT_FOUND, path=pathname or "/")
    name = path.strip("/")
    if name.startswith(_SIGNAL_PREFIX) and IDENTIFIER.fullmatch(name[len(_SIGNAL_PREFIX) :]):
        return Route(Page.SIGNAL, signal_id=name[len(_SIGNAL_PREFIX) :])
    if name.startswith(_RUN_PREFIX) and IDENTIFIER.fullmatch(name[len(_RUN_PREFIX) :]):
        return Route(Page.RUN, run_id=name[len(_RUN_PREFIX) :])
    for prefix, page in _UNIT_PREFIXES.items():
        if name.startswith(prefix) and (unit_id := _unit_id(name[len(prefix) :])):
            return Route(page, unit_id=unit_id)
    if name not in PATHS:
        return Route(Page.NOT_FOUND, path=path)
    return _queried(PATHS[name], parse_qs((search or "").removeprefix("?")))


def _queried(page: Page, query: dict[str, list[str]]) -> Route:
    """Return the route of a page of ``PATHS`` with what its query names."""
    if page is Page.SIGNALS:
        return Route(Page.SIGNALS, filter=_filter(query))
    if page is Page.BACKTEST:
        signal_id, run_id, copy_id = (_identifier(query, key) for key in ("signal", "run", "copy"))
        return Route(Page.BACKTEST, signal_id=signal_id, run_id=run_id, copy_id=copy_id)
    if page is Page.BACKTEST_COMPARE:
        return Route(Page.BACKTEST_COMPARE, run_ids=_identifiers(query, "run"))
    if page is Page.PLAYBOOK:
        return Route(Page.PLAYBOOK, signal_id=_identifier(query, "signal"))
    return Route(page)


def href(route: Route) -> str:
    """Return the address of a route, base path included."""
    base = BASE_PATH.get().rstrip("/")
    if route.page is Page.NOT_FOUND:
        return f"{base}/{route.path.lstrip('/')}"
    if route.page is Page.SIGNAL:
        return f"{base}/{_SIGNAL_PREFIX}{route.signal_id}"
    if route.page is Page.RUN:
        return f"{base}/{_RUN_PREFIX}{route.run_id}"
    if route.page in _PREFIX_OF_UNIT:
        return f"{base}/{_PREFIX_OF_UNIT[route.page]}{_unit_segment(route.unit_id or '')}"
    query: dict[str, Any] = {}
    if route.page is Page.PLAYBOOK:
        query = {"signal": route.signal_id}
    if route.page is Page.BACKTEST:
        query = {"run": route.run_id, "signal": route.signal_id, "copy": route.copy_id}
    elif route.page is Page.BACKTEST_COMPARE:
        query = {"run": route.run_ids}
    elif route.page is Page.SIGNALS:
        query = {**route.filter.query()}
    given = urlencode({key: value for key, value in query.items() if value}, doseq=True)
    return f"{base}/{_PATH_OF[route.page]}" + (f"?{given}" if given else "")


def _unit_segment(unit_id: str) -> str:
    shield = _SHIELD if unit_id in _DOTS or unit_id.startswith(_SHIELD) else ""
    return quote(f"{shield}{unit_id}", safe="")


def _unit_id(segment: str) -> str | None:
    """Return the id that a path segment stands for; None where it is none: empty, in parts, too long, not UTF-8."""
    if "/" in segment:
        return None
    try:
        written = unquote(segment, errors="strict")
    except UnicodeDecodeError:
        return None
    unit_id = written.removeprefix(_SHIELD)
    return unit_id if len(unit_id) <= MOST_ID else None


def run_table_href(run_id: str, table: str, extension: str) -> str:
    """Return the address at which a table of a discovery run is downloaded, base path included."""
    return f"{BASE_PATH.get().rstrip('/')}{RUN_TABLE_PATH}/{run_id}/{table}.{extension}"


def _below_base(pathname: str) -> str | None:
    base = BASE_PATH.get().rstrip("/")
    if pathname == base or pathname.startswith(base + "/"):
        return pathname[len(base) :] or "/"
    return None


def _identifier(query: dict[str, list[str]], key: str) -> str | None:
    values = query.get(key, [])
    return values[0] if values and IDENTIFIER.fullmatch(values[0]) else None


def _identifiers(query: dict[str, list[str]], key: str) -> tuple[str, ...]:
    known = dict.fromkeys(value for value in query.get(key, []) if IDENTIFIER.fullmatch(value))
    return tuple(known)[:MOST_COMPARED]


def _filter(query: dict[str, list[str]]) -> SignalFilter:
    return SignalFilter(
        status=_one_of(query, "status", STATUSES),
        lift=_one_of(query, "lift", LIFTS),
        source=_text(query, "source"),
        evidence=_one_of(query, "evidence", EVIDENCE),
        thresholds=_one_of(query, "thresholds", THRESHOLDS),
        q=_text(query, "q"),
    )


def _one_of(query: dict[str, list[str]], key: str, known: tuple[str, ...]) -> str:
    value = _text(query, key)
    return value if value in known else ""


def _text(query: dict[str, list[str]], key: str) -> str:
    value = query.get(key, [""])[0]
    return value if len(value) <= MOST_CHARACTERS else ""
