"""The playbook being written: alternatives of signals, what to do with a match, and the transitions of both.

A match carries every signal of at least one alternative; with that, any mix of "and" and "or" can be said, and read in
one way only. Keys are stable names of rows, as in ``store.draft``.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

MOST_ALTERNATIVES: Final = 6
MOST_SIGNALS: Final = 8  # of one alternative
MOST_TEXT: Final = 500
CHECKS: Final = ("slack", "attio", "email", "webhook")
TEXTS: Final = ("name", "slack_channel", "webhook_url")

_NUMBERED: Final = re.compile(r"[ap](\d{1,6})", re.ASCII)


@dataclass(frozen=True)
class Pick:
    """One row: the id of a saved signal, or an empty text while none is chosen."""

    key: str
    signal_id: str = ""


@dataclass(frozen=True)
class Alternative:
    """Signals that a match carries together."""

    key: str
    picks: tuple[Pick, ...]


@dataclass(frozen=True)
class PlaybookDraft:
    """The form's state; ``next_key`` numbers rows and never goes back.

    Raises:
        ValueError: no alternative, one without rows, too many of either, a key used twice or a ``next_key`` that is
            taken, or a text without end: nothing the form makes, but a browser may send it.
    """

    name: str = ""
    alternatives: tuple[Alternative, ...] = field(default_factory=lambda: (Alternative("a1", (Pick("p2"),)),))
    next_key: int = 3
    slack: bool = False
    slack_channel: str = ""
    attio: bool = False
    email: bool = False
    webhook: bool = False
    webhook_url: str = ""

    def __post_init__(self) -> None:
        keys = [each.key for each in self.alternatives] + [row.key for each in self.alternatives for row in each.picks]
        numbers = [int(found[1]) for key in keys if (found := _NUMBERED.fullmatch(key))]
        if len(numbers) < len(keys) or len(set(keys)) < len(keys) or max(numbers, default=0) >= self.next_key:
            raise ValueError("the keys of a draft are unique, and the next one is free")
        if not 0 < len(self.alternatives) <= MOST_ALTERNATIVES or self.next_key > 10**6:
            raise ValueError("too few or too many alternatives")
        if not all(0 < len(each.picks) <= MOST_SIGNALS for each in self.alternatives):
            raise ValueError("too few or too many signals")
        if any(len(getattr(self, name)) > MOST_TEXT for name in TEXTS):
            raise ValueError("a text is too long")

    def groups(self, known: Collection[str]) -> tuple[tuple[str, ...], ...]:
        """Return the chosen signals by alternative, without empty rows, repetitions and signals not ``known``."""
        chosen = (
            tuple(dict.fromkeys(row.signal_id for row in each.picks if row.signal_id in known))
            for each in self.alternatives
        )
        return tuple(dict.fromkeys(each for each in chosen if each))

    def has(self, signal_id: str) -> bool:
        """Whether some row holds the signal."""
        return any(row.signal_id == signal_id for each in self.alternatives for row in each.picks)


def add_signal(draft: PlaybookDraft, key: str) -> PlaybookDraft:
    """Add an empty row to alternative ``key``, up to the most there may be."""
    row = Pick(f"p{draft.next_key}")
    return _changed(draft, key, row)


def add_alternative(draft: PlaybookDraft, _key: str) -> PlaybookDraft:
    """Add an alternative with one empty row, up to the most there may be."""
    if len(draft.alternatives) == MOST_ALTERNATIVES:
        return draft
    made = Alternative(f"a{draft.next_key}", (Pick(f"p{draft.next_key + 1}"),))
    return replace(draft, alternatives=(*draft.alternatives, made), next_key=draft.next_key + 2)


def remove(draft: PlaybookDraft, key: str) -> PlaybookDraft:
    """Remove a row; an alternative left empty goes too, and the last row of all is emptied instead."""
    kept = [
        replace(each, picks=tuple(row for row in each.picks if row.key != key))
        for each in draft.alternatives
        if each.key != key
    ]
    kept = [each for each in kept if each.picks]
    if kept:
        return replace(draft, alternatives=tuple(kept))
    first = Alternative(f"a{draft.next_key}", (Pick(f"p{draft.next_key + 1}"),))
    return replace(draft, alternatives=(first,), next_key=draft.next_key + 2)


TRANSITIONS: Final = {"add-signal": add_signal, "add-alternative": add_alternative, "remove": remove}


def reduce(draft: PlaybookDraft, intent: str, key: str) -> PlaybookDraft:
    """Apply a button of the form; an unknown intent fails loudly."""
    return TRANSITIONS[intent](draft, key)


def with_signal(draft: PlaybookDraft, signal_id: str) -> PlaybookDraft:
    """Return the draft with the signal in it: in its first empty row, else in a new row of the last alternative."""
    if draft.has(signal_id):
        return draft
    empty = next((row.key for each in draft.alternatives for row in each.picks if not row.signal_id), None)
    if empty is not None:
        return with_values(draft, {(empty, "signal"): signal_id})
    row = Pick(f"p{draft.next_key}", signal_id)
    return _changed(draft, draft.alternatives[-1].key, row)


def with_values(draft: PlaybookDraft, values: Mapping[tuple[str, str], object]) -> PlaybookDraft:
    """Take over what the fields hold; ``values`` maps (row, field) to the value, the form's own under ``""``."""
    alternatives = tuple(
        replace(
            each,
            picks=tuple(
                replace(row, signal_id=str(values.get((row.key, "signal"), row.signal_id) or "")) for row in each.picks
            ),
        )
        for each in draft.alternatives
    )
    texts = {name: str(values.get(("", name), getattr(draft, name)) or "")[:MOST_TEXT] for name in TEXTS}
    checks = {name: bool(values.get(("", name), getattr(draft, name))) for name in CHECKS}
    return replace(draft, alternatives=alternatives, **texts, **checks)  # type: ignore[arg-type]


def _changed(draft: PlaybookDraft, key: str, row: Pick) -> PlaybookDraft:
    alternatives = tuple(
        replace(each, picks=(*each.picks, row)) if each.key == key and len(each.picks) < MOST_SIGNALS else each
        for each in draft.alternatives
    )
    return replace(draft, alternatives=alternatives, next_key=draft.next_key + 1)
