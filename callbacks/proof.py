"""The proof on Signal Detail arrives after the page: it compares far more than the page's own backtest."""

from __future__ import annotations

import logging
from typing import Any

from dash import Dash, Input, Output
from dash.exceptions import PreventUpdate

from beton.errors import BetonError
from beton.model.examination import CannotExamine
from beton.services import Services
from callbacks import guards
from layouts import ids
from layouts.parts.still import still
from layouts.proof import SLOTS, failed, slots

log = logging.getLogger("beton.web")


def register(app: Dash, services: Services) -> None:
    """Register the callback that fills the page's slots; the page starts it by bringing its signal's id."""

    @app.callback(
        *[Output(slot, "children") for slot in SLOTS],
        Output(ids.part(ids.PROOF_AGAIN, "box"), "hidden"),
        Input(ids.PROOF_OF, "data"),
        Input(ids.PROOF_AGAIN, "n_clicks"),
    )
    def _fill(signal_id: Any, _clicks: Any) -> tuple[Any, ...]:
        known = guards.text(signal_id)
        if not known:
            raise PreventUpdate
        return proof(services, known)


def proof(services: Services, signal_id: str) -> tuple[Any, ...]:
    """Return the children of every slot, and whether trying again is of no use.

    A failure is shown in the page and logged, whatever it is: the rest of the page holds without it.
    """
    try:
        found = services.examinations.of(services.signals.read(signal_id))
        return *map(still, slots(found, services.examinations.overlaps(signal_id))), True
    except BetonError as problem:
        return *slots(CannotExamine(str(problem)), ()), True
    except Exception:
        log.exception("the examination of a signal failed")
        return *failed(), False
