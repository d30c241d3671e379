"""Opening a saved signal or a run of the history as a draft, as the address of the Backtest page asks.

A draft remembers what it was made from, so an address that stays the same opens once and later edits are kept. The
result of a run fills a form that nobody has touched yet: whoever follows a link sees what was asked.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

from beton.errors import BetonError
from beton.model.signal import SignalDefinition, from_dict
from beton.services import Services
from layouts.routes import Page, Route
from store import draft as visual
from store import sql_draft as sql
from store.draft import Draft
from store.origin import Origin
from store.sql_draft import SqlDraft

Kept = TypeVar("Kept", Draft, SqlDraft)


@dataclass(frozen=True)
class Source:
    """What the address names."""

    origin: Origin
    definition: SignalDefinition


def asked(route: Route) -> Origin | None:
    """Return what the address names, without its name; None where it names nothing."""
    if route.page is not Page.BACKTEST:
        return None
    if route.signal_id:
        return Origin("signal", route.signal_id)
    run_id = route.copy_id or route.run_id
    return Origin("run", run_id) if run_id else None


def source(route: Route, services: Services) -> Source | None:
    """Return what the address names; raises BetonError where there is no such signal or run."""
    origin = asked(route)
    if origin is None:
        return None
    if origin.kind == "signal":
        saved = services.signals.read(origin.id)
        return Source(Origin("signal", saved.id, saved.definition.name, saved.version), saved.definition)
    definition = from_dict(dict(services.backtests.status(origin.id).definition))
    return Source(Origin("run", origin.id, definition.name), definition)


def opened(kept: Kept, found: Source | None, route: Route) -> Kept:
    """Return the draft that the form shows: what was found, or what was kept where that is not for this form."""
    if found is None or bool(found.definition.sql) is not isinstance(kept, SqlDraft) or not _opens(kept, route):
        return kept
    read = sql.from_definition if isinstance(kept, SqlDraft) else visual.from_definition
    made: Kept = read(found.definition, found.origin)  # type: ignore[assignment]  # of the kind that was kept
    return made


def as_drawn(kept: Kept, route: Route, services: Services) -> Kept:
    """Return the draft as the form was drawn, for the writer that hears of its first change."""
    if not _opens(kept, route):
        return kept
    try:
        return opened(kept, source(route, services), route)
    except BetonError:
        return kept


def _opens(kept: Draft | SqlDraft, route: Route) -> bool:
    origin = asked(route)
    if origin is None or origin.is_same(kept.origin):
        return False
    is_asked_for = bool(route.signal_id or route.copy_id)
    return is_asked_for or kept == type(kept)()


def version_target(definition: SignalDefinition, *drafts: Draft | SqlDraft) -> Origin | None:
    """Return the saved signal that a run of ``definition`` could be a new version of: that which the draft it was made
    with was made from."""
    for draft in drafts:
        checked = sql.check(draft) if isinstance(draft, SqlDraft) else visual.check(draft)
        if draft.origin is not None and draft.origin.kind == "signal" and checked.definition == definition:
            return draft.origin
    return None
