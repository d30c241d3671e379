"""Signals as code: write the saved signals as files, and make the saved signals what the files of a folder say.

A file stands for the saved signal of its name. One whose name no saved signal has, but whose meaning one has that no
other file stands for, is that signal under a new name.
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from beton.errors import InputError, NoDataError, SqlError
from beton.model.signal import SignalDefinition
from beton.model.signal_file import ENDINGS, difference, load, write
from beton.services.signals import is_same

if TYPE_CHECKING:
    from beton.services import Services
    from beton.services.signals import SavedSignal

MOST_FILES: Final = 1_000
LONGEST_STEM: Final = 80

# Names that Windows keeps for devices, whatever their ending.
_DEVICES: Final = frozenset(["con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(10))])

Fate = Literal["create", "change", "disable", "unchanged", "left alone"]
PENDING: Final = ("create", "change", "disable")


@dataclass(frozen=True)
class Step:
    """What becomes of one signal.

    ``file`` is relative to the folder, None where there is none; ``saved`` is the signal as it is, None where it is to
    be created. ``is_wording`` marks a change that leaves the meaning as it is, and with it the evidence.
    """

    fate: Fate
    definition: SignalDefinition
    file: str | None = None
    saved: SavedSignal | None = None

    @property
    def is_wording(self) -> bool:
        """Whether the change leaves the meaning as it is, and with it the evidence."""
        if self.fate != "change" or self.saved is None:
            return False
        return self.saved.definition.meaning_hash() == self.definition.meaning_hash()

    @property
    def version(self) -> int:
        """The version that the signal has afterwards."""
        now = 0 if self.saved is None else self.saved.version
        return now + (self.fate in ("create", "change"))

    @property
    def difference(self) -> str:
        """A unified diff of the change; empty where nothing of the definition changes."""
        if self.fate != "change" or self.saved is None:
            return ""
        return difference(
            self.saved.definition, self.definition, (f"{self.saved.id} version {self.saved.version}", self.file or "")
        )

    def to_json(self) -> dict[str, Any]:
        """Return the step for machines; the shape is documented in docs/guide/json.md."""
        return {
            "fate": self.fate,
            "name": self.definition.name,
            "file": self.file,
            "signal": None if self.saved is None else self.saved.id,
            "version": self.version,
            "enabled": self.saved is None or (self.saved.enabled and self.fate != "disable"),
            "wording_only": self.is_wording,
            "difference": self.difference,
        }


@dataclass(frozen=True)
class Exported:
    """Files that an export wrote, those that were as they should be, and signal files it has nothing to do with."""

    written: tuple[str, ...]
    unchanged: tuple[str, ...]
    others: tuple[str, ...]


def plan(services: Services, folder: Path, prune: bool = False) -> tuple[Step, ...]:
    """Return what has to be done for the saved signals to be those of the folder's files; nothing is changed.

    Signals without a file are left alone, or switched off if ``prune`` is set.

    Raises:
        InputError: a file cannot be used, or it is not clear which signal it stands for; ``fields`` has every problem
            by file.
    """
    problems: dict[str, str] = {}
    files = _read(folder, problems)
    _check(services, files, problems)
    saved = services.signals.all()
    steps = _matched(files, saved, problems)
    if problems:
        count = f"{len(problems)} of the files" if len(problems) > 1 else "one of the files"
        raise InputError(f"{count} cannot be used, so nothing was applied; correct what is said of it", problems)
    kept = {step.saved.id for step in steps if step.saved is not None}
    rest = (
        Step("disable" if prune and each.enabled else "left alone", each.definition, saved=each)
        for each in saved
        if each.id not in kept
    )
    return (*steps, *rest)


def apply(services: Services, steps: Sequence[Step]) -> None:
    """Do what a plan says: all of it, or nothing.

    Raises:
        InputError: a signal was changed elsewhere since the plan was made; make another.
    """
    services.signals.apply(
        [step.definition for step in steps if step.fate == "create"],
        [(step.saved, step.definition) for step in steps if step.fate == "change" and step.saved],
        [step.saved for step in steps if step.fate == "disable" and step.saved],
    )


def export(services: Services, folder: Path, enabled_only: bool = False) -> Exported:
    """Write every saved signal (or every enabled one) as a file of ``folder``, which is made if it is missing.

    A file that holds another signal, or none, is never overwritten.

    Raises:
        InputError: a file is in the way or cannot be written; in the first case nothing was.
    """
    texts = {
        file: (saved, text) for saved, file, text in _named(services.signals.all()) if saved.enabled or not enabled_only
    }
    _refuse_others(folder, {file: saved for file, (saved, _) in texts.items()})
    try:
        folder.mkdir(parents=True, exist_ok=True)
        written = [file for file, (_, text) in texts.items() if _write(folder / file, text)]
    except OSError as problem:
        raise InputError(f"cannot write to {folder} ({problem.strerror}); choose another folder") from problem
    others = [file for file in map(shown_path, _paths(folder)) if file not in texts]
    return Exported(tuple(written), tuple(file for file in texts if file not in written), tuple(others))


def shown_path(path: Path) -> str:
    """Return a path as it may be printed, whatever its characters."""
    text = path.as_posix()
    return text if text.isprintable() else ascii(text)


def _paths(folder: Path) -> Iterator[Path]:
    """Yield the signal files of a folder and those below it, as relative paths; what is hidden stays so."""

    def refuse(problem: OSError) -> None:
        raise InputError(f"cannot read {problem.filename} ({problem.strerror}); check the folder") from problem

    for parent, below, names in os.walk(folder, onerror=refuse):
        below[:] = sorted(name for name in below if not name.startswith("."))
        for name in sorted(names):
            path = Path(parent, name)
            if not name.startswith(".") and path.suffix.lower() in ENDINGS and path.is_file():
                yield path.relative_to(folder)


def _read(folder: Path, problems: dict[str, str]) -> dict[str, SignalDefinition]:
    found: dict[str, SignalDefinition] = {}
    for number, path in enumerate(_paths(folder), start=1):
        if number > MOST_FILES:
            raise InputError(f"{folder} holds more than {MOST_FILES:,} signal files; choose a folder of signals only")
        try:
            found[shown_path(path)] = load(folder / path)
        except InputError as problem:
            problems[shown_path(path)] = _sentences(problem).removeprefix(f"{folder / path}: ")
    if not found and not problems:
        raise InputError(f"there is no signal file in {folder} (one of {', '.join(ENDINGS)}); check the folder")
    return found


def _check(services: Services, files: dict[str, SignalDefinition], problems: dict[str, str]) -> None:
    """Ask whether each query may be run, and whether the current data knows what is named, if there is any."""
    for file, definition in files.items():
        try:
            services.backtests.check(definition)
        except NoDataError:
            continue
        except InputError as problem:
            problems[file] = _sentences(problem)


def _sentences(problem: InputError) -> str:
    """Return everything an error says, on one line."""
    first = str(problem)
    if isinstance(problem, SqlError) and problem.line is not None:
        first += f" (line {problem.line} of the query)"
    more = [f"{path}: {sentence}" for path, sentence in problem.fields.items() if sentence not in first]
    return "; ".join([first, *more])


def _matched(
    files: dict[str, SignalDefinition], saved: Sequence[SavedSignal], problems: dict[str, str]
) -> tuple[Step, ...]:
    """Return a step for each file, in their order."""
    file_of: dict[str, str] = {}
    for file, definition in files.items():
        first = file_of.setdefault(definition.name, file)
        if first != file:
            problems[file] = f"{definition.name!r} is the name of the signal in {first} too; rename one of them"
    known: dict[str, SavedSignal] = {}
    for each in saved:
        older = known.setdefault(each.definition.name, each)
        if older is not each and each.definition.name in file_of:
            why = f"{older.id} and {each.id} are both called {each.definition.name!r}; rename one of them"
            problems[file_of[each.definition.name]] = why
    free = {each.definition.meaning_hash(): each for each in reversed(saved) if each.definition.name not in file_of}
    steps = []
    for file, definition in files.items():
        same = known.get(definition.name) or free.pop(definition.meaning_hash(), None)
        steps.append(_step(file, definition, same))
    _refuse_twins(steps, problems)
    return tuple(steps)


def _step(file: str, definition: SignalDefinition, same: SavedSignal | None) -> Step:
    if same is None:
        return Step("create", definition, file)
    return Step("unchanged" if is_same(same.definition, definition) else "change", definition, file, same)


def _refuse_twins(steps: Sequence[Step], problems: dict[str, str]) -> None:
    """Refuse to create a signal that means what another file's means: its evidence would be listed twice."""
    first: dict[str, Step] = {}
    for step in sorted(steps, key=lambda step: step.fate == "create"):
        twin = first.setdefault(step.definition.meaning_hash(), step)
        if twin is not step and step.fate == "create" and step.file is not None:
            problems.setdefault(step.file, f"this means the same as {twin.file}; keep one of them")


def _named(saved: Iterable[SavedSignal]) -> Iterator[tuple[SavedSignal, str, str]]:
    """Yield each signal with the name and the text of its file; older signals keep their name when others join."""
    taken: set[str] = set()
    for each in saved:
        ending, text = write(each.definition)
        first = stem = file_stem(each.definition.name) or each.id
        number = 1
        while stem in taken:
            number += 1
            stem = f"{first}-{number}"
        taken.add(stem)
        yield each, f"{stem}{ending}", text


def file_stem(name: str) -> str:
    """Return a file name that every system takes: small letters and digits of ASCII, with dashes between words."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    words = re.sub(r"[^a-z0-9]+", "-", plain)[:LONGEST_STEM].strip("-")
    return f"{words}-signal" if words in _DEVICES else words


def _refuse_others(folder: Path, files: dict[str, SavedSignal]) -> None:
    in_the_way = {file: _objection(folder / file, saved.definition.name) for file, saved in files.items()}
    problems = {file: why for file, why in in_the_way.items() if why}
    if problems:
        raise InputError(f"files of {folder} are in the way, so nothing was written; move them away", problems)


def _objection(path: Path, name: str) -> str:
    """Say why an export may not write to ``path``, if so."""
    if path.is_symlink():
        return "this is a link"
    if not path.exists():
        return ""
    try:
        found = load(path).name
    except InputError as problem:
        return f"this holds no signal ({str(problem).removeprefix(f'{path}: ')})"
    return "" if found == name else f"this holds the signal {found!r}, not {name!r}"


def _write(path: Path, text: str) -> bool:
    """Write a file unless it says so already; return whether it was written."""
    raw = text.encode("utf-8")
    if path.exists() and path.read_bytes() == raw:
        return False
    path.write_bytes(raw)
    return True
