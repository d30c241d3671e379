"""Client state: one frozen dataclass per ``dcc.Store`` slice, and its pure transitions. No Dash in here.

A slice holds this browser's choices only (a draft, filters, ids), never facts or evidence.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from store.codec import Slice
from store.draft import Draft
from store.playbook import PlaybookDraft
from store.sql_draft import SqlDraft
from store.tab import Tab

# Name -> slice. The shell draws one store for each and the router hands their states to the pages.
SLICES: Mapping[str, Slice[Any]] = MappingProxyType(
    {
        "draft": Slice(Draft, "session"),
        "sql": Slice(SqlDraft, "session", max_bytes=70_000),
        "tab": Slice(Tab, "session"),
        "playbook": Slice(PlaybookDraft, "local"),
    }
)
