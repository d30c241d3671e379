"""The ledger: every hypothesis that people asked, in order, with the threshold that LORD++ gives it.

A hypothesis is one question of one snapshot. Asking it again is the same test; asking it of new data is another look.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from beton.model.ledger import Hypothesis, LedgerSheet, Standing
from beton.services.reading import Verdict
from beton.stats.online_fdr import lord_thresholds

if TYPE_CHECKING:
    from beton.records.rows import AskedRun
    from beton.records.runs import RunRepository


class Ledger:
    """Reads the ledger from the runs; it keeps nothing of its own."""

    def __init__(self, runs: RunRepository) -> None:
        self._runs = runs

    def standing(self, run_id: str) -> Standing | None:
        """Return how the hypothesis of a run stands; None for one that nobody asked, or that has no p-value."""
        asked = self._runs.asked_runs()
        question = next((run.request_hash for run in asked if run.id == run_id), None)
        return None if question is None else _Tests(asked).standing(question)

    def standings(self) -> dict[str, Standing]:
        """Return the standing of every asked run by its id; runs of the same question share theirs."""
        asked = self._runs.asked_runs()
        tests = _Tests(asked)
        by_question = {question: tests.standing(question) for question in tests.first}
        return {run.id: by_question[run.request_hash] for run in asked}

    def sheet(self) -> LedgerSheet:
        """Return every hypothesis in the order of the tests, under the name that it was first asked by."""
        tests = _Tests(self._runs.asked_runs())
        names = self._runs.names([run.id for run in tests.first.values()])
        entries = (Hypothesis(run.id, names[run.id], tests.standing(key)) for key, run in tests.first.items())
        return LedgerSheet(tuple(entries), float(tests.thresholds[-1]))


def corrected(verdict: Verdict, standing: Standing | None) -> Verdict:
    """Return the verdict as the ledger allows it: an Enable that does not hold among all tests is a Watch."""
    if verdict.label != "Enable" or standing is None or standing.holds:
        return verdict
    return replace(verdict, label="Watch", reason=f"{verdict.reason}. {standing.sentence}")


class _Tests:
    """The distinct questions among asked runs, in the order of their first answers, with their thresholds."""

    def __init__(self, asked: Sequence[AskedRun]) -> None:
        self.first: dict[str, AskedRun] = {}
        for run in asked:
            self.first.setdefault(run.request_hash, run)
        self._place = {question: place for place, question in enumerate(self.first)}
        self._p = np.array([run.p_value for run in self.first.values()])
        self.thresholds = lord_thresholds(self._p)
        self._found = np.cumsum(self._p <= self.thresholds[:-1])
        self._looks = self._counted()

    def _counted(self) -> list[int]:
        seen: Counter[str] = Counter()
        looks = []
        for run in self.first.values():
            seen[run.definition_hash] += 1
            looks.append(seen[run.definition_hash])
        return looks

    def standing(self, question: str) -> Standing:
        """Return how a question stands among all."""
        place = self._place[question]
        p, threshold = float(self._p[place]), float(self.thresholds[place])
        return Standing(
            number=place + 1,
            threshold=threshold,
            p_value=p,
            holds=p <= threshold,
            discoveries=int(self._found[place]),
            tested=len(self.first),
            look=self._looks[place],
        )
