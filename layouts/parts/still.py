"""Parts of a page that never change, handed to the browser whole.

Dash wraps every component so that callbacks could reach it, which costs milliseconds each. A table of hundreds of cells
without an id needs none of that: ``still`` packs it into one component, drawn by ``assets/12-still.js``.
"""

from __future__ import annotations

from typing import Any, Final

from dash import html
from dash.development.base_component import Component

_HTML: Final[str] = html.Div._namespace


class Still(Component):
    """One component that draws a whole tree of plain HTML: ``[tag, attributes, children]`` within each other."""

    _namespace = "beton_components"
    _type = "Still"

    def __init__(self, tree: list[Any]) -> None:
        self._prop_names = ["tree"]
        self._valid_wildcard_attributes: list[str] = []
        self.available_properties = self._prop_names
        self.available_wildcard_properties: list[str] = []
        super().__init__(tree=tree)  # type: ignore[no-untyped-call]


def still(drawn: Any) -> Any:
    """Return ``drawn`` with every part that holds only HTML without ids packed; what callbacks reach stays as it is."""
    if isinstance(drawn, (list, tuple)):
        return [still(each) for each in drawn]
    if not isinstance(drawn, Component):
        return drawn
    if _is_plain(drawn):
        return Still(_tree(drawn))
    if hasattr(drawn, "children"):
        drawn.children = still(drawn.children)
    return drawn


def _is_plain(component: Component) -> bool:
    parts = (component, *component._traverse())  # type: ignore[no-untyped-call]
    return all(each._namespace == _HTML and not hasattr(each, "id") for each in parts if isinstance(each, Component))


def _tree(component: Component) -> list[Any]:
    attributes = dict(component.to_plotly_json()["props"])  # type: ignore[no-untyped-call]
    children = attributes.pop("children", None)
    listed = children if isinstance(children, (list, tuple)) else [children]
    inside = [_tree(each) if isinstance(each, Component) else each for each in listed]
    return [component._type.lower(), attributes, [each for each in inside if each is not None]]
