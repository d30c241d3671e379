"""Signals as code: what is exported can be applied, what is applied is all or nothing, and twice changes nothing."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from journeys import Journeys

from beton.errors import InputError
from beton.model.signal import SignalDefinition, from_dict
from beton.model.signal_file import load, write
from beton.services import Services
from beton.services.signal_files import LONGEST_STEM, MOST_FILES, Step, apply, export, file_stem, plan


def signal(name: str = "Did x", days: float = 3, **more: Any) -> SignalDefinition:
    return from_dict({"name": name, "when": {"event": "x", "within_days": days}} | more)


def query(name: str = "Asked", **more: Any) -> SignalDefinition:
    return from_dict({"name": name, "sql": "SELECT user_id FROM events"} | more)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "signals as code"
    made.mkdir()
    return made


def put(folder: Path, definition: SignalDefinition, stem: str) -> Path:
    ending, text = write(definition)
    path = folder / f"{stem}{ending}"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def fates(steps: tuple[Step, ...]) -> dict[str, str]:
    return {step.definition.name: step.fate for step in steps}


def state(services: Services) -> list[Any]:
    return [(services.signals.versions(each.id), each) for each in services.signals.all()]


def problems_of(services: Services, folder: Path, **more: Any) -> dict[str, str]:
    """Return what a plan objects to; nothing may have changed."""
    before = state(services)
    with pytest.raises(InputError) as refusal:
        plan(services, folder, **more)
    assert state(services) == before
    return refusal.value.fields


# --- apply


def test_a_folder_is_planned_then_applied_and_then_there_is_nothing_to_do(services: Services, folder: Path) -> None:
    kept = services.signals.save(signal("Kept", 1))
    changed = services.signals.save(signal("Changed", 2))
    reworded = services.signals.save(signal("Reworded", 4))
    services.signals.save(signal("Elsewhere", 5))
    put(folder, signal("Kept", 1), "deep/down/kept")
    put(folder, signal("Changed", 6), "b")
    put(folder, signal("Reworded", 4, description="Why."), "c")
    put(folder, query("New"), "d")

    before = state(services)
    steps = plan(services, folder)
    assert state(services) == before
    assert [(step.fate, step.file, step.version, step.is_wording) for step in steps] == [
        ("change", "b.yaml", 2, False),
        ("change", "c.yaml", 2, True),
        ("create", "d.sql", 1, False),
        ("unchanged", "deep/down/kept.yaml", 1, False),
        ("left alone", None, 1, False),
    ]
    assert [bool(step.difference) for step in steps] == [True, True, False, False, False]
    assert steps[0].difference.splitlines()[:2] == [f"--- {changed.id} version 1", "+++ b.yaml"]

    apply(services, steps)
    now = {each.definition.name: each for each in services.signals.all()}
    assert (now["Changed"].id, now["Changed"].version, now["Changed"].definition) == (
        changed.id, 2, signal("Changed", 6),
    )  # fmt: skip
    assert (now["Reworded"].id, now["Reworded"].definition.description) == (reworded.id, "Why.")
    assert (now["Kept"], now["New"].definition, now["New"].enabled) == (kept, query("New"), True)

    again = plan(services, folder)
    assert set(fates(again).values()) == {"unchanged", "left alone"}
    before = state(services)
    apply(services, again)
    assert state(services) == before


def test_pruning_switches_off_what_has_no_file_and_only_that(services: Services, folder: Path) -> None:
    for name, days in (("Mine", 1), ("Gone", 2), ("Off", 3)):
        services.signals.save(signal(name, days))
    services.signals.set_enabled(services.signals.all()[2].id, False)
    put(folder, signal("Mine", 1), "mine")

    assert fates(plan(services, folder)) == {"Mine": "unchanged", "Gone": "left alone", "Off": "left alone"}
    steps = plan(services, folder, prune=True)
    assert fates(steps) == {"Mine": "unchanged", "Gone": "disable", "Off": "left alone"}
    apply(services, steps)
    assert [each.enabled for each in services.signals.all()] == [True, False, False]
    assert "disable" not in fates(plan(services, folder, prune=True)).values()


def test_a_file_that_means_what_a_signal_without_file_means_gives_it_a_new_name(
    services: Services, folder: Path
) -> None:
    saved = services.signals.save(signal("did x"))
    put(folder, signal("Did X"), "did-x")
    [step] = plan(services, folder)
    assert (step.fate, step.saved, step.is_wording, step.version) == ("change", saved, True, 2)

    apply(services, (step,))
    assert [(each.id, each.definition.name) for each in services.signals.all()] == [(saved.id, "Did X")]


def test_a_name_goes_before_a_meaning(services: Services, folder: Path) -> None:
    """The meanings of two signals are exchanged: each file is still the signal of its name."""
    one, two = services.signals.save(signal("One", 1)), services.signals.save(signal("Two", 2))
    put(folder, signal("One", 2), "one")
    put(folder, signal("Two", 1), "two")
    steps = plan(services, folder)
    apply(services, steps)

    assert [step.saved for step in steps] == [one, two]
    assert [each.definition for each in services.signals.all()] == [signal("One", 2), signal("Two", 1)]


def test_what_discovery_found_is_kept_once_a_file_changes_it(services: Services, folder: Path) -> None:
    services.signals.save_found([signal("Found").to_dict(), signal("Other", 9).to_dict()], "run 1")
    put(folder, signal("Found", description="Ours now."), "found")
    apply(services, plan(services, folder))
    services.signals.save_found([], "run 2")

    [kept] = services.signals.all()
    assert (kept.definition.description, kept.enabled, kept.discovered) == ("Ours now.", True, False)


@pytest.mark.parametrize("ending", [".yml", ".YAML", ".json"])
def test_every_ending_is_read_and_what_is_hidden_or_none_of_them_is_not(
    services: Services, folder: Path, ending: str
) -> None:
    (folder / f"a{ending}").write_text(json.dumps(signal("A").to_dict()), encoding="utf-8")
    for name in (".git/config.yaml", ".hidden.sql", "README.md", "a.yaml.orig"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("name: [")
    (folder / "folder.yaml").mkdir()
    os.mkfifo(folder / "pipe.sql")

    assert fates(plan(services, folder)) == {"A": "create"}


def test_every_problem_of_every_file_is_said_and_nothing_is_applied(services: Services, folder: Path) -> None:
    services.signals.save(signal("Twice", 7))
    services.signals.save(signal("Twice", 8))
    put(folder, signal("Fine", 30), "fine")
    put(folder, signal("Twice"), "twice")
    put(folder, signal("Same", 1), "same 1")
    put(folder, signal("Same", 2), "same 2")
    put(folder, signal("Twin of fine", 30), "twin")
    (folder / "broken.yaml").write_text("name: [", encoding="utf-8")
    (folder / "wrong.yaml").write_text("name: a\nunit: team\nwhen: {event: ''}\n", encoding="utf-8")
    (folder / "line.sql").write_text("-- name: a\n-- unit: team\nSELECT 1", encoding="utf-8")
    (folder / "bad\x1b[31m.sql").write_text("", encoding="utf-8")

    found = problems_of(services, folder)
    assert set(found) == {
        "'bad\\x1b[31m.sql'", "broken.yaml", "line.sql", "same 2.yaml", "twice.yaml", "twin.yaml", "wrong.yaml",
    }  # fmt: skip
    assert "not valid YAML at line 1" in found["broken.yaml"]
    assert "unit: use one of user, account" in found["wrong.yaml"]
    assert "when.event: choose an event" in found["wrong.yaml"]
    assert found["line.sql"] == "line 2: unit: use one of user, account"
    assert found["same 2.yaml"] == "'Same' is the name of the signal in same 1.yaml too; rename one of them"
    assert found["twice.yaml"] == "sig_001 and sig_002 are both called 'Twice'; rename one of them"
    assert found["twin.yaml"] == "this means the same as fine.yaml; keep one of them"


def test_the_current_data_has_to_know_what_a_file_asks_for(services: Services, tmp_path: Path, folder: Path) -> None:
    put(folder, signal("Fine"), "fine")
    put(folder, from_dict({"name": "Lost", "when": {"all": [{"event": "y"}, {"property": "z", "value": 1}]}}), "lost")
    assert set(fates(plan(services, folder))) == {"Fine", "Lost"}, "without data there is nothing to ask"

    people = Journeys(tmp_path, data_end="2024-12-31").user("u").did("x", after_days=1).user("v").did("x", after_days=1)
    people.build()
    found = problems_of(services, folder)
    assert list(found) == ["lost.yaml"]
    assert "no event is called 'y'" in found["lost.yaml"]
    assert "'z'" in found["lost.yaml"]


@pytest.mark.parametrize("has_data", [False, True])
def test_a_query_that_may_not_be_run_stops_all(
    services: Services, tmp_path: Path, folder: Path, has_data: bool
) -> None:
    if has_data:
        Journeys(tmp_path).user("u").did("x", after_days=1).build()
    put(folder, signal("Fine"), "a")
    put(folder, query("Fine too"), "b")
    put(folder, query("Theft", sql="SELECT user_id\nFROM read_csv('x.csv')"), "c")

    found = problems_of(services, folder)
    assert list(found) == ["c.sql"]
    assert "read_csv" in found["c.sql"]
    assert found["c.sql"].endswith("(line 2 of the query)")


def test_a_plan_that_somebody_else_overtook_is_not_applied(services: Services, folder: Path) -> None:
    services.signals.save(signal("Changed", 2))
    put(folder, signal("Changed", 3), "changed")
    put(folder, signal("New", 4), "new")
    steps = plan(services, folder)
    apply(services, plan(services, folder))
    before = state(services)

    with pytest.raises(InputError, match="changed elsewhere"):
        apply(services, steps)
    assert state(services) == before
    with pytest.raises(InputError, match="Another signal is called 'New'"):
        apply(services, steps[1:])
    assert state(services) == before


def test_a_folder_without_signals_is_refused_before_it_switches_everything_off(
    services: Services, folder: Path, tmp_path: Path
) -> None:
    services.signals.save(signal())
    (folder / "readme.md").write_text("hello")
    for wrong, sentence in (
        (folder, "there is no signal file in"),
        (folder / "nowhere", "No such file"),
        (folder / "readme.md", "Not a directory"),
    ):
        with pytest.raises(InputError, match=sentence):
            plan(services, wrong, prune=True)


def test_a_folder_of_too_many_files_is_refused(services: Services, folder: Path) -> None:
    for number in range(MOST_FILES + 1):
        (folder / f"{number}.json").write_text("[]")
    with pytest.raises(InputError, match=r"holds more than 1,000 signal files"):
        plan(services, folder)


# --- export


def test_what_is_exported_is_what_is_saved(services: Services, tmp_path: Path) -> None:
    for each in (
        signal("Équipe: prête? #1"),
        signal("../../etc/passwd", 4),
        query("Asked"),
        signal("équipe prete 1", 5),
    ):
        services.signals.save(each)
    target = tmp_path / "new" / "folder"
    done = export(services, target)

    assert done.written == ("equipe-prete-1.yaml", "etc-passwd.yaml", "asked.sql", "equipe-prete-1-2.yaml")
    assert sorted(path.name for path in target.iterdir()) == sorted(done.written)
    assert [load(target / file) for file in done.written] == [each.definition for each in services.signals.all()]
    assert set(fates(plan(services, target)).values()) == {"unchanged"}
    assert export(services, target) == type(done)((), done.written, ())


def test_only_enabled_signals_are_exported_under_the_names_they_always_have(services: Services, folder: Path) -> None:
    for days in (1, 2, 3):
        services.signals.save(signal("Same name", days))
    services.signals.set_enabled("sig_002", False)

    assert export(services, folder, enabled_only=True).written == ("same-name.yaml", "same-name-3.yaml")
    assert export(services, folder).written == ("same-name-2.yaml",)


def test_a_file_of_another_signal_is_not_overwritten(services: Services, folder: Path, tmp_path: Path) -> None:
    services.signals.save(signal("One", 1))
    services.signals.save(signal("Two", 2))
    services.signals.save(signal("Three", 3))
    services.signals.save(signal("Four", 4))
    outside = tmp_path / "outside.yaml"
    outside.write_text("name: Two\nwhen: {event: x}\n")
    (folder / "two.yaml").symlink_to(outside)
    (folder / "one.yaml").write_text("precious")
    (folder / "three.yaml").write_text("name: Mine\nwhen: {event: x}\n")
    before = {path.name: path.read_text() for path in folder.iterdir()}

    with pytest.raises(InputError, match="in the way, so nothing was written") as refusal:
        export(services, folder)
    assert list(refusal.value.fields) == ["one.yaml", "two.yaml", "three.yaml"]
    assert "holds no signal" in refusal.value.fields["one.yaml"]
    assert refusal.value.fields["two.yaml"] == "this is a link"
    assert refusal.value.fields["three.yaml"] == "this holds the signal 'Mine', not 'Three'"
    assert {path.name: path.read_text() for path in folder.iterdir()} == before


def test_a_changed_signal_is_written_again_and_other_files_are_named_and_left_alone(
    services: Services, folder: Path
) -> None:
    saved = services.signals.save(signal("One", 1))
    services.signals.save(signal("Two", 2))
    export(services, folder)
    services.signals.apply([], [(saved, query("One"))], [])
    done = export(services, folder)

    assert (done.written, done.unchanged, done.others) == (("one.sql",), ("two.yaml",), ("one.yaml",))
    assert "'One' is the name of the signal in one.sql too" in problems_of(services, folder)["one.yaml"]


def test_a_folder_that_cannot_be_made_is_named(services: Services, folder: Path) -> None:
    services.signals.save(signal())
    (folder / "file").write_text("")
    with pytest.raises(InputError, match="choose another folder"):
        export(services, folder / "file" / "below")


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("Onboarded fast, mid-size company", "onboarded-fast-mid-size-company"),
        ("CON", "con-signal"),
        ("lpt1", "lpt1-signal"),
        ("console", "console"),
        ("...", ""),
        ("資料", ""),
        ("ﬁle Ⅷ", "file-viii"),
        ("a/b\\c:d*e", "a-b-c-d-e"),
        ("--help", "help"),
        ("x" * 200, "x" * LONGEST_STEM),
    ],
)
def test_a_file_is_named_so_that_every_system_takes_it(name: str, stem: str) -> None:
    assert file_stem(name) == stem


@given(st.text())
def test_no_name_leads_out_of_the_folder(name: str) -> None:
    stem = file_stem(name)
    assert set(stem) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")
    assert not stem.startswith("-")


def test_a_name_without_a_latin_letter_is_called_by_its_id(services: Services, folder: Path) -> None:
    services.signals.save(signal("資料"))
    assert export(services, folder).written == ("sig_001.yaml",)
