"""Wiring: read, call, write. One module per page plus the router and the shell; each exports ``register``."""

from __future__ import annotations

from dash import Dash

from beton.services import Services
from callbacks import (
    backtest,
    backtest_sql,
    discovery,
    history,
    playbooks,
    proof,
    routing,
    runs,
    settings,
    shell,
    signals,
    units,
)

_MODULES = (
    routing,
    shell,
    backtest,
    backtest_sql,
    history,
    discovery,
    signals,
    runs,
    proof,
    settings,
    units,
    playbooks,
)


def register_all(app: Dash, services: Services) -> None:
    """Register every callback of the app."""
    for module in _MODULES:
        module.register(app, services)
