"""Numbers and dates to text. The engine's command line writes them too, so their home is ``beton.model.text``."""

from __future__ import annotations

from beton.model.text import *  # noqa: F403
