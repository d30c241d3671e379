"""Every id of the app. Nothing else may spell one.

Three kinds: constants for things that exist once (``page-noun-part``), ``store()`` for state slices, and
``event()`` for repeated or eventful things. Event ids always carry the same four keys, because Dash only
matches dict ids whose key sets are equal.
"""

from __future__ import annotations

import json
from typing import Any

from dash import ALL, Output

Id = str | dict[str, str]

URL = "url"
SHELL = "shell"
PAGE = "page"
PAGE_FORM = "page-form"
MAIN = "main"
NAV_TOGGLE = "nav-toggle"
WORKSPACE = "shell-workspace"
TOASTS = "shell-toasts"

NAV = "nav"

# Pass as ``running=ids.BUSY`` to a writer: the page's form controls rest while it runs, so a second click
# cannot start a second answer that would overwrite the first.
BUSY: list[tuple[Output, bool, bool]] = [(Output(PAGE_FORM, "disabled"), True, False)]


def store(name: str) -> str:
    """Return the id of the ``dcc.Store`` that holds slice ``name``."""
    return f"store-{name}"


def event(slice_name: str, intent: str, key: str, at: str = "") -> dict[str, str]:
    """Return the id of one eventful component: a click on it means ``intent`` for ``key``.

    ``key`` is a domain id, never a position; ``at`` only tells twins on one page apart.
    """
    return {"slice": slice_name, "intent": intent, "key": key, "at": at}


def events(slice_name: str, intent: str | None = None) -> dict[str, Any]:
    """Return the pattern that matches every event of a slice, or only those of one intent."""
    return {"slice": slice_name, "intent": intent or ALL, "key": ALL, "at": ALL}


def part(owner: Id, name: str) -> Id:
    """Return the id of a named part of a component, such as the ``error`` line of an input.

    A dict id keeps its four keys and moves to the slice ``<slice>-<name>``, so that patterns of the
    owner's slice do not match its parts.
    """
    if isinstance(owner, str):
        return f"{owner}-{name}"
    return {**owner, "slice": f"{owner['slice']}-{name}"}


def error(owner: Id) -> Id:
    """Return the id of the error line below the labelled input ``owner``; set its ``children``."""
    return part(owner, "error")


def dom(owner: Id) -> str:
    """Return the ``id`` attribute Dash writes into the page for ``owner`` (for ``htmlFor``)."""
    return owner if isinstance(owner, str) else json.dumps(owner, sort_keys=True, separators=(",", ":"))


TOAST = store("toast")

BACKTEST_BUILDER = "backtest-builder"
BACKTEST_SENTENCE = "backtest-sentence"
BACKTEST_NAME = "backtest-name"
BACKTEST_UNIT = "backtest-unit"
BACKTEST_RUN = "backtest-run"
BACKTEST_PROGRESS = "backtest-progress"
BACKTEST_PROGRESS_TEXT = "backtest-progress-text"
BACKTEST_TICK = "backtest-tick"
BACKTEST_RESULTS = "backtest-results"
BACKTEST_SAVE = "backtest-save"
BACKTEST_ANOTHER = "backtest-another"
RUN = store("run")

SIGNALS_GRID = "signals-grid"
SIGNALS_STATUS = "signals-status"
SIGNALS_LIFT = "signals-lift"
SIGNALS_SOURCE = "signals-source"
SIGNALS_VERDICT = "signals-verdict"
SIGNALS_SEARCH = "signals-search"
SIGNALS_SUMMARY = "signals-summary"
SIGNALS_CLEAR = "signals-clear"
SIGNALS_CLEAR_EMPTY = "signals-clear-empty"
SIGNALS_EMPTY = "signals-empty"
SIGNALS_LISTED = "signals-listed"
SIGNALS_FOREST = "signals-forest"
SIGNALS_FOREST_CARD = "signals-forest-card"
SIGNALS_FOREST_TABLE = "signals-forest-table"
SIGNALS_EXPORT = "signals-export"
SIGNALS_DOWNLOAD = "signals-download"

DETAIL_TOGGLE_TEXT = "detail-toggle-text"
DETAIL_STATUS = "detail-status"
DETAIL_DOWNLOAD = "detail-download"

SETTINGS_SAVE = "settings-save"
SETTINGS_VERSION = store("settings-version")


def field(name: str, key: str = "") -> dict[str, str]:
    """Return the id of a form field; ``key`` names the row it stands in."""
    return event("field", name, key)


def setting(name: str) -> str:
    """Return the id of one input of the Settings page."""
    return f"setting-{name}"


def result(name: str) -> str:
    """Return the id of one leaf of a backtest's result."""
    return f"result-{name}"
