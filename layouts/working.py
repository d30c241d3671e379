"""The recommendation in words, and the working behind it, folded away for whoever wants to check it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from dash import html

from layouts import ids
from layouts.parts.still import still

if TYPE_CHECKING:
    from beton.services.working import WorkingStep
    from layouts.result_view import Placed


def explanation(at: Placed) -> html.P:
    """Return the paragraph."""
    return html.P(at.text("explanation"), className="explanation")


def show_working(at: Placed) -> html.Details:
    """Return the steps under a line that opens them; they are one leaf."""
    steps = html.Div(at.values.get("working"), id=ids.result("working"))
    short = html.P(at.text("reason"), className="working-reason")
    return html.Details([html.Summary("Show the working"), short, steps], className="working")


def numbered(steps: Sequence[WorkingStep]) -> Any:
    """Return the steps as a numbered list that is one component: drawn as many, they would outlast the backtest."""
    return still(html.Ol([_step(each) for each in steps], className="working-steps"))


def _step(step: WorkingStep) -> html.Li:
    head = html.Div([html.Strong(step.title), html.Span(step.result, className="working-result")])
    inside: list[Any] = [head, html.Pre(step.formula, className="working-formula")]
    if step.source:
        inside.append(html.Div(step.source, className="working-source"))
    return html.Li(inside)
