"""Builds the simulated company and writes its files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from beton.demo import files, truth
from beton.demo.adoption import draw_adoption
from beton.demo.behaviour import Events, draw_events
from beton.demo.deals import draw_wins, make_deals
from beton.demo.model import Rng
from beton.demo.people import make_people
from beton.demo.sessions import draw_sessions
from beton.demo.signals import PLANTED, SIGNALS
from beton.demo.sizes import CompanySize

_STAGES = ("people", "adoption", "wins", "sessions", "events", "names", "wording")


def _streams(seed: int) -> dict[str, Rng]:
    """One independent generator per stage, so that a change in one leaves the draws of the others alone."""
    children = np.random.SeedSequence(seed).spawn(len(_STAGES))
    return {stage: np.random.Generator(np.random.PCG64(child)) for stage, child in zip(_STAGES, children, strict=True)}


def buyers(seed: int = 42, size: CompanySize | None = None) -> truth.World:
    """Return the company of ``write`` without its events: who buys does not depend on them."""
    return _buyers(_streams(seed), size or CompanySize())


def _buyers(streams: dict[str, Rng], size: CompanySize) -> truth.World:
    people = make_people(streams["people"], size)
    adoption = draw_adoption(streams["adoption"], people)
    wins = draw_wins(streams["wins"], people, adoption)
    return truth.World(people, adoption, wins, make_deals(streams["wins"], people, wins, size), Events.none())


def write(
    directory: Path,
    seed: int = 42,
    on_progress: Callable[[float, str], None] | None = None,
    size: CompanySize | None = None,
) -> None:
    """Write the company into ``directory`` (created if missing; files of an earlier run are replaced).

    ``on_progress`` receives the fraction of the work that is done, in [0, 1], and the name of the stage that
    starts. The same ``seed`` and ``size`` give the same bytes.
    """
    report = on_progress or (lambda _fraction, _stage: None)
    size = size or CompanySize()
    directory.mkdir(parents=True, exist_ok=True)
    streams = _streams(seed)

    # The fractions are shares of measured time.
    report(0.0, "Inventing people and companies, and who buys")
    world = _buyers(streams, size)
    people, adoption, wins = world.people, world.adoption, world.wins
    report(0.03, "Simulating a year of usage")
    won_s = world.deals.first_win_s(len(people.companies.size))
    sessions = draw_sessions(streams["sessions"], people, wins, won_s)
    world = replace(world, events=draw_events(streams["events"], people, adoption, wins, sessions, size))
    report(0.45, "Writing users, companies, contacts and deals")
    files.write_people(directory, streams["names"], people, world.first_win_s(), size)
    files.write_deals(directory, world.deals)
    report(0.6, "Writing events")
    files.write_events(directory, streams["wording"], world.events, size.users)
    report(0.9, "Working out the planted truth")
    document = truth.describe(world, seed)
    files.write_texts(directory, document, {"signals": SIGNALS, "signals-planted": PLANTED})
    report(1.0, "Done")
