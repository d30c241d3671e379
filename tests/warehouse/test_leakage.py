"""No look-ahead: what happens at or after a landmark, and whatever is bought later, changes nobody's signal value."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from reference import (
    DAY,
    Act,
    World,
    anchor_acts,
    ask,
    build,
    clock,
    random_condition,
    random_world,
    rollups,
    with_future,
)

DEFINITIONS = 8


def cuts(rng: random.Random, world: World, landmark_days: int) -> dict[str, int]:
    """Per user the moment from which the future starts: the landmark of the user, or of the whole account."""
    by_account = {company: rng.random() < 0.5 for company in world.sizes}
    return {
        person.id: (world.first_seen(person.company) if by_account.get(person.company or "") else person.t0)
        + landmark_days * DAY
        for person in world.people
    }


def past(world: World, cut_of: dict[str, int]) -> World:
    """The world as it was known at each user's cut."""
    company_cut: dict[str | None, int] = {}
    for person in world.people:
        company_cut[person.company] = min(cut_of[person.id], company_cut.get(person.company, cut_of[person.id]))
    acts = [act for act in world.acts if act.at < cut_of[act.user]] + anchor_acts()
    deals = [d for d in world.deals if (d.closed or 0) < (cut_of[d.user] if d.user else company_cut[d.company])]
    return World(world.people, world.sizes, acts, deals, world.since, world.data_end)


@settings(max_examples=6, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 10**9), landmark_days=st.sampled_from([3, 7, 10]))
def test_the_future_changes_no_signal_value_and_no_match_time(tmp_path: Path, seed: int, landmark_days: int) -> None:
    rng = random.Random(seed)
    world = random_world(rng)
    cut_of = cuts(rng, world, landmark_days)
    known = past(world, cut_of)
    later = with_future(rng, known, cut_of)
    before, after = build(known, tmp_path / "before"), build(later, tmp_path / "after")
    t0 = {person.id: person.t0 for person in world.people}

    def same(definition: dict[str, Any], is_settled: Callable[[Any], bool]) -> None:
        told = [
            {
                unit: (row.signal, row.matched_at)
                for unit, row in ask(side, definition, clock(known, definition)).items()
            }
            for side in (before, after)
        ]
        assert told[0].keys() <= told[1].keys()
        changed = {unit: (row, told[1][unit]) for unit, row in told[0].items() if row != told[1][unit]}
        leaked = {unit: rows for unit, rows in changed.items() if is_settled(unit)}
        assert not leaked, (definition, leaked)

    for _ in range(DEFINITIONS):
        when = {"name": "any", "when": random_condition(rng, landmark_days)}
        after_signup = {**when, "landmark_days": landmark_days}
        same(after_signup, lambda user: cut_of[user] >= t0[user] + landmark_days * DAY)
        same({**after_signup, "unit": "account", "rollup": rollups(rng)}, lambda account: True)
        same({**when, "timing": "any time"}, lambda week: week[1] <= cut_of[week[0]])


def test_the_worlds_of_this_test_have_a_future_that_would_matter(tmp_path: Path) -> None:
    """With the clock stopped a day later, the added events do show: the test above is able to fail."""
    rng = random.Random(5)
    world = random_world(rng)
    cut_of = {person.id: person.t0 + 3 * DAY for person in world.people}
    known = past(world, cut_of)
    before, after = build(known, tmp_path / "b"), build(with_future(rng, known, cut_of), tmp_path / "a")
    for kind in ("user", "account"):
        beyond = {
            "name": "x",
            "unit": kind,
            "when": {"event": "*", "op": "active days >=", "value": 1, "within_days": 4},
        }
        cut = clock(known, beyond)
        assert ask(before, beyond, cut) != ask(after, beyond, cut)
    weekly = {
        "name": "x",
        "timing": "any time",
        "when": {"event": "*", "op": "active days >=", "value": 1, "within_days": 3},
    }
    assert ask(before, weekly, clock(known, weekly)) != ask(after, weekly, clock(known, weekly))


def test_an_event_at_the_landmark_is_already_too_late(tmp_path: Path) -> None:
    rng = random.Random(3)
    world = random_world(rng, companies=1, lone_users=8)
    world.acts = anchor_acts()
    done = {"name": "x", "when": {"event": "start"}, "landmark_days": 3}
    at, just_before = (build(replaced(world, 3 * DAY - early), tmp_path / str(early)) for early in (0, 1))
    assert not any(row.signal for row in ask(at, done, clock(world, done)).values())
    assert all(row.signal for row in ask(just_before, done, clock(world, done)).values())


def replaced(world: World, after_s: int) -> World:
    acts = [Act(person.id, "start", person.t0 + after_s) for person in world.people[1:]]
    return World(world.people, world.sizes, anchor_acts() + acts, [], world.since, world.data_end)
