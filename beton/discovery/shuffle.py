"""The shuffle test: with outcomes dealt out anew within signup months, the whole search should list nothing."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from beton.discovery.candidates import candidates
from beton.discovery.run import OnStep, Question, ShouldStop, search_cohorts
from beton.discovery.sweep import Stopped
from beton.model.discovery import ShuffleTest
from beton.model.outcome import Outcome, Unit
from beton.warehouse.compile import NEVER
from beton.warehouse.core.arrays import Core
from beton.warehouse.core.frame import Frame, frame, with_outcomes
from beton.warehouse.landmark import NOT_AT_RISK, Clock


def shuffle_test(
    question: Question, rounds: int, on_step: OnStep, should_stop: ShouldStop = lambda: False
) -> ShuffleTest:
    """Search ``rounds`` shuffled worlds, drawn from the seed of the settings, and count what each would list.

    Raises:
        InputError: the history is too short or holds too few conversions; the text says what to import.
        Stopped: ``should_stop`` said so.
    """
    settings = question.settings
    first = question.clock_of(min((*settings.windows_days, settings.activity_days)))
    rows = frame(question.core, "user", question.outcome, first)
    pool = candidates(question.core, rows.unit, question.manifest, settings, question.threads)
    listed = []
    for each in range(rounds):
        if should_stop():
            raise Stopped
        on_step("Searching shuffled worlds", each / rounds)
        world = replace(question, frame_of=Shuffled(rows, settings.seed, each))
        listed.append(len(search_cohorts(world, pool, should_stop).pruned.kept))
    return ShuffleTest(rounds, settings.seed, tuple(listed))


@dataclass(frozen=True)
class Shuffled:
    """Cohorts in which units take the outcome, with the time they waited for it, of others of their signup month.

    Only units at risk at the first landmark, that of ``rows``, take part: the others are in no cohort. One draw serves
    all landmarks.
    """

    rows: Frame
    seed: int
    round: int

    def __call__(self, core: Core, unit: Unit, outcome: Outcome, clock: Clock) -> Frame:
        wait_s, at_s = self._wait_s(), self.rows.t0_s
        return with_outcomes(frame(core, unit, outcome, clock), np.where(wait_s < NEVER, at_s + wait_s, NEVER), clock)

    def _wait_s(self) -> NDArray[np.int64]:
        rows = self.rows
        wait_s = np.where(rows.outcome_at_s < NEVER, rows.outcome_at_s - rows.t0_s, NEVER)
        random = np.random.default_rng([self.seed, self.round])
        takes_part = rows.status != NOT_AT_RISK
        for month in np.unique(rows.month).tolist():
            members = np.flatnonzero(takes_part & (rows.month == month))
            wait_s[members] = wait_s[random.permutation(members)]
        return wait_s
