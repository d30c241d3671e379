"""No query sees the future: what comes at or after the landmarks changes nothing that the cut tables say."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from reference import DAY, EVENTS, Deal, World, build, random_world, with_future

from beton.model.outcome import Unit
from beton.warehouse.reader import Warehouse
from beton.warehouse.sandbox.own_rows import reads_own_rows
from beton.warehouse.views import Cut, columns_of, cut, named, whole

QUERIES = 40
WORLDS = settings(
    max_examples=8,
    deadline=None,
    derandomize=True,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


# --- a corpus


def event(rng: random.Random) -> str:
    return f"event = '{rng.choice(EVENTS)}'"


def of_event(rng: random.Random) -> str:
    return rng.choice(
        [
            event(rng),
            f"{event(rng)} AND days_since_signup <= {rng.choice((0.5, 1, 3, 30))}",
            "page_path LIKE '/p%'",
            "properties->>'kind' = 'x'",
            f"timestamp > TIMESTAMP '2024-01-{rng.randint(1, 28):02d}'",
            "event::VARCHAR LIKE '%r%'",
        ]
    )


def of_deal(rng: random.Random) -> str:
    return rng.choice(["is_won", "NOT is_won", "closed_at IS NULL", "amount IS NULL", "created_at IS NOT NULL", "TRUE"])


def aggregate(rng: random.Random) -> str:
    return rng.choice(
        [
            f"COUNT(*) {rng.choice(('>=', '=', '<'))} {rng.randint(1, 4)}",
            "COUNT(DISTINCT event) > 1",
            "MAX(timestamp) - MIN(timestamp) > INTERVAL 2 DAY",
            "ARG_MAX(event, timestamp) <> ARG_MIN(event, timestamp)",
            "SUM(CASE WHEN page_path IS NULL THEN 1 ELSE 0 END) = 0",
            "COUNT(DISTINCT date_trunc('day', timestamp)) >= 2",
        ]
    )


def query(rng: random.Random, who: str, depth: int = 0) -> str:
    """A query that returns ``who`` (user_id or company_id), of one user at a time or of all."""
    forms = [
        f"SELECT {who} FROM events WHERE {of_event(rng)} GROUP BY {who} HAVING {aggregate(rng)}",
        f"SELECT {who} FROM users u WHERE NOT EXISTS (SELECT 1 FROM events e WHERE e.user_id = u.user_id AND"
        f" {of_event(rng)})",
        f"SELECT DISTINCT {who} FROM deals WHERE {of_deal(rng)}",
        f"SELECT u.{who} FROM users u LEFT JOIN deals d USING (user_id) GROUP BY u.{who}"
        f" HAVING COUNT(d.deal_id) {rng.choice(('=', '>'))} 0",
        f"SELECT {who} FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY user_id ORDER BY timestamp, event) AS n"
        f" FROM events) WHERE n = {rng.randint(1, 3)} AND {of_event(rng)}",
        f"SELECT {who} FROM users WHERE plan = 'free' OR seats > {rng.randint(0, 9)}",
        f"SELECT e.{who} FROM events e JOIN deals d ON d.company_id = e.company_id WHERE d.created_at < e.timestamp",
        f"SELECT {who} FROM events WHERE timestamp > (SELECT MEDIAN(timestamp) FROM events)",
        f"SELECT {who} FROM events GROUP BY {who} QUALIFY PERCENT_RANK() OVER (ORDER BY COUNT(*)) > 0.5",
        f"SELECT {who} FROM users ORDER BY signed_up_at DESC, user_id LIMIT 3",
        f"SELECT u.{who} FROM companies c JOIN users u USING (company_id) JOIN events e USING (user_id)"
        f" WHERE c.company_size >= 50 AND e.{event(rng)}",
        f"WITH firsts AS (SELECT user_id, company_id, MIN(timestamp) AS began FROM events"
        f" WHERE {of_event(rng)} GROUP BY ALL) SELECT {who} FROM firsts WHERE began < TIMESTAMP '2024-01-20'",
    ]
    made = rng.choice(forms)
    if depth < 2 and rng.random() < 0.35:
        other = query(rng, who, depth + 1)
        return rng.choice(
            [
                f"({made}) {rng.choice(('UNION', 'INTERSECT', 'EXCEPT'))} ({other})",
                f"SELECT {who} FROM ({made}) AS a WHERE {who} IN ({other})",
                f"SELECT {who} FROM ({made}) AS a WHERE {who} NOT IN"
                f" (SELECT {who} FROM ({other}) WHERE {who} IS NOT NULL)",
            ]
        )
    return made


def answer(warehouse: Warehouse, sql: str, at: Cut | None) -> Counter[tuple[object, ...]]:
    """All rows of a query, on the cut tables or on the whole ones."""
    with warehouse.connection() as connection:
        columns = columns_of(connection)
        tables = whole(columns) if at is None else cut(columns, at)
        return Counter(connection.execute(f"{named(tables)}SELECT * FROM ({sql}) AS q").fetchall())


# --- worlds


def ends(world: World, unit: Unit, landmark_s: int) -> dict[str, int]:
    """Per person the first second that nobody may see: the landmark of the person, or of the account."""
    return {
        each.id: (world.first_seen(each.company) if unit == "account" and each.company else each.t0) + landmark_s
        for each in world.people
    }


def known(world: World, end_of: dict[str, int]) -> World:
    """The world as it was at everybody's landmark: deals that closed later are open, those made later are not there."""
    deals = []
    for each in world.deals:
        concerned = [p.id for p in world.people if p.id == each.user or (each.company and p.company == each.company)]
        end = min(end_of[person] for person in concerned)
        if (each.created if each.created is not None else each.closed or 0) < end:
            is_closed = each.closed is not None and each.closed < end
            deals.append(each if is_closed else replace(each, closed=None, won=False))
    return replace(world, acts=[act for act in world.acts if act.at < end_of[act.user]], deals=deals)


def later(rng: random.Random, before: World, world: World, end_of: dict[str, int]) -> World:
    """What was known, and then anything: the deals that closed later, new ones, and events, but nobody new."""
    after = with_future(rng, before, end_of)
    ids = {person.id for person in before.people}
    last = max(end_of.values())
    closing = {
        id(old): replace(old, closed=last + rng.randint(0, 9) * DAY, won=True) for old in before.deals if not old.closed
    }
    deals = [closing.get(id(each), each) for each in before.deals]
    deals += [Deal(p.id, p.company, last + n * DAY, last + 2 * n * DAY, True) for n, p in enumerate(world.people[1:9])]
    return replace(after, people=before.people, acts=[act for act in after.acts if act.user in ids], deals=deals)


@WORLDS
@given(seed=st.integers(0, 10**9), unit=st.sampled_from(("user", "account")), landmark_days=st.sampled_from([3, 7, 14]))
def test_no_query_changes_its_answer_when_later_events_or_deals_are_added(
    tmp_path: Path, seed: int, unit: Unit, landmark_days: int
) -> None:
    rng = random.Random(seed)
    world = random_world(rng)
    at = Cut(unit, landmark_days * DAY)
    end_of = ends(world, unit, at.landmark_s)
    before = known(world, end_of)
    after = later(rng, before, world, end_of)
    sides = build(before, tmp_path / "before"), build(after, tmp_path / "after")
    for _ in range(QUERIES):
        sql = query(rng, "user_id" if unit == "user" else "company_id")
        told = [answer(side, sql, at) for side in sides]
        assert told[0] == told[1], sql


def test_the_corpus_would_notice_the_future(tmp_path: Path) -> None:
    """Asked of the whole tables, more than half of the queries do change: the test above is able to fail."""
    rng = random.Random(11)
    world = random_world(rng)
    end_of = ends(world, "user", 7 * DAY)
    before = known(world, end_of)
    sides = build(before, tmp_path / "b"), build(later(rng, before, world, end_of), tmp_path / "a")
    queries = [query(rng, "user_id") for _ in range(60)]
    changed = [sql for sql in queries if answer(sides[0], sql, None) != answer(sides[1], sql, None)]
    assert len(changed) > 30
    assert sum(bool(answer(sides[0], sql, Cut("user", 7 * DAY))) for sql in queries) > 30


def test_queries_taken_to_look_at_one_user_do_not_notice_that_others_are_gone(tmp_path: Path) -> None:
    rng = random.Random(8)
    world = random_world(rng)
    left = {person.id for person in world.people if person.internal or rng.random() < 0.4}
    fewer = replace(
        world,
        people=[person for person in world.people if person.id in left],
        acts=[act for act in world.acts if act.user in left],
        deals=[
            deal if deal.user in left else replace(deal, user=None)
            for deal in world.deals
            if deal.user in left or deal.company is not None
        ],
    )
    sides = build(world, tmp_path / "all"), build(fewer, tmp_path / "fewer")
    at, compared = Cut("user", 7 * DAY), 0
    for _ in range(300):
        sql = query(rng, "user_id")
        if not reads_own_rows(sql, "user"):
            continue
        told = [{row[0] for row in answer(side, sql, at)} & left for side in sides]
        assert told[0] == told[1], sql
        compared += bool(told[0])
    assert compared > 20


@pytest.mark.parametrize("unit", ["user", "account"])
def test_without_a_future_to_hide_the_cut_tables_are_whole(tmp_path: Path, unit: Unit) -> None:
    """With a landmark after the end of everything only internal users and what came before a signup are left out."""
    world = random_world(random.Random(4))
    side = build(world, tmp_path)
    far = Cut(unit, 4_000 * DAY)
    people = "SELECT user_id FROM users WHERE user_id <> 'anchor' AND user_id NOT IN ('')"
    internal = {person.id for person in world.people if person.internal}
    lone = {person.id for person in world.people if person.company is None} if unit == "account" else set()
    found = {row[0] for row in answer(side, people, far)}
    assert found == {row[0] for row in answer(side, people, None)} - internal - lone
    deals = "SELECT DISTINCT deal_id, is_won, closed_at, amount FROM deals"
    assert answer(side, deals, far) <= answer(side, deals, None)
    assert answer(side, deals, far)
