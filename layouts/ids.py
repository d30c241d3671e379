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
BACKTEST_SEARCH = "backtest-search"
BACKTEST_RESULTS = "backtest-results"
BACKTEST_SAVE = "backtest-save"
BACKTEST_ANOTHER = "backtest-another"
BACKTEST_TABS = "backtest-tabs"
BACKTEST_SAVE_VERSION = "backtest-save-version"
BACKTEST_RULE = "backtest-rule"
BACKTEST_MADE_FROM = store("made-from")
RUN = store("run")

SQL_PANE = "sql-pane"
SQL_NAME = "sql-name"
SQL_UNIT = "sql-unit"
SQL_DAYS = "sql-days"
SQL_EDITOR = "sql-editor"
SQL_SENTENCE = "sql-sentence"
SQL_ORIGIN = "sql-origin"
SQL_RUN = "sql-run"
SQL_ORDER = store("sql-order")
SQL_PROBLEM = store("sql-problem")
SQL_PREVIEW = "sql-preview"
SQL_PREVIEW_ROWS = "sql-preview-rows"

HISTORY_GRID = "history-grid"
HISTORY_SEARCH = "history-search"
HISTORY_VERDICT = "history-verdict"
HISTORY_KIND = "history-kind"
HISTORY_ASKED = "history-asked"
HISTORY_SUMMARY = "history-summary"
HISTORY_COMPARE = "history-compare"
HISTORY_CLEAR = "history-clear"
HISTORY_OLDER = "history-older"
HISTORY_LEDGER = "history-ledger"
HISTORY_LAST = store("history-last")
COMPARED = "compared"
COMPARED_RUNS = store("compared-runs")

SIGNALS_GRID = "signals-grid"
SIGNALS_STATUS = "signals-status"
SIGNALS_LIFT = "signals-lift"
SIGNALS_SOURCE = "signals-source"
SIGNALS_EVIDENCE = "signals-evidence"
SIGNALS_THRESHOLDS = "signals-thresholds"
SIGNALS_SEARCH = "signals-search"
SIGNALS_SUMMARY = "signals-summary"
SIGNALS_CLEAR = "signals-clear"
SIGNALS_CLEAR_EMPTY = "signals-clear-empty"
SIGNALS_EMPTY = "signals-empty"
SIGNALS_BELOW = "signals-below"
SIGNALS_NONE = "signals-none"
SIGNALS_SOME = "signals-some"
SIGNALS_LISTED = "signals-listed"
SIGNALS_FOREST = "signals-forest"
SIGNALS_FOREST_CARD = "signals-forest-card"
SIGNALS_FOREST_TABLE = "signals-forest-table"
SIGNALS_EXPORT = "signals-export"
SIGNALS_DOWNLOAD = "signals-download"

DISCOVERY = "discovery"
DISCOVERY_RUN = "discovery-run"
DISCOVERY_RUN_EMPTY = "discovery-run-empty"
DISCOVERY_CANCEL = "discovery-cancel"
DISCOVERY_HEADLINE = "discovery-headline"
DISCOVERY_DETAIL = "discovery-detail"
DISCOVERY_PROGRESS = "discovery-progress"
DISCOVERY_BAR = "discovery-bar"
DISCOVERY_ELAPSED = "discovery-elapsed"
DISCOVERY_RESULT = "discovery-result"
DISCOVERY_LAST = "discovery-last"
DISCOVERY_LAST_LINK = "discovery-last-link"
DISCOVERY_TICK = "discovery-tick"
DISCOVERY_NEWEST = "discovery-newest"

DETAIL_TOGGLE_TEXT = "detail-toggle-text"
DETAIL_STATUS = "detail-status"
DETAIL_DOWNLOAD = "detail-download"
DETAIL_YAML = "detail-yaml"

PROOF_OF = store("proof-of")
PROOF_AGAIN = "proof-again"
PROOF_BADGE = "proof-badge"
PROOF_LADDER = "proof-ladder"
PROOF_FIGURES = "proof-figures"
PROOF_CURVES = "proof-curves"
PROOF_DOUBTS = "proof-doubts"
PROOF_STATISTICS = "proof-statistics"

DISCOVERY_VOLCANO = "discovery-volcano"
DISCOVERY_PRIOR = "discovery-prior"
SHUFFLE_OF = "shuffle-of"
SHUFFLE_RUN = "shuffle-run"
SHUFFLE_CANCEL = "shuffle-cancel"
SHUFFLE_WORDS = "shuffle-words"
SHUFFLE_COUNTS = "shuffle-counts"
SHUFFLE_BAR = "shuffle-bar"
SHUFFLE_TICK = "shuffle-tick"

CARRIERS_OF = store("carriers-of")
CARRIERS_GRID = "carriers-grid"
CARRIERS_SEARCH = "carriers-search"
CARRIERS_CONVERTED = "carriers-converted"
CARRIERS_SUMMARY = "carriers-summary"
UNIT_TIMELINE = "unit-timeline"

PLAYBOOK_ROWS = "playbook-rows"
PLAYBOOK_SAVE = "playbook-save"
PLAYBOOK_SENTENCE = "playbook-sentence"
PLAYBOOK_COUNT = "playbook-count"

SETTINGS_SAVE = "settings-save"
SETTINGS_VERSION = store("settings-version")


def field(name: str, key: str = "") -> dict[str, str]:
    """Return the id of a form field; ``key`` names the row it stands in."""
    return event("field", name, key)


def playbook_field(name: str, key: str = "") -> dict[str, str]:
    """Return the id of a field of the playbook form; ``key`` names the row it stands in."""
    return event("playbook-field", name, key)


def setting(name: str) -> str:
    """Return the id of one input of the Settings page."""
    return f"setting-{name}"


def result(name: str) -> str:
    """Return the id of one leaf of a backtest's result."""
    return f"result-{name}"
