"""Hold one saved signal against everything that could speak against it."""

from __future__ import annotations

from collections.abc import Iterable

from beton.discovery.comparisons import comparisons
from beton.discovery.curves import curves
from beton.discovery.doubts import doubts, e_values, homogeneity_p
from beton.discovery.heat_map import heat_map
from beton.discovery.subject import Study, Subject, brief, tables_by
from beton.model.evidence import Note
from beton.model.examination import Examination, Overlap
from beton.model.signal import SignalDefinition
from beton.warehouse.landmark import Clock


def examine(study: Study, about: Subject, clock: Clock) -> Examination:
    """Return the whole examination of a signal; ``clock`` is that of its cohort."""
    figures, cohort = brief(study, about), about.cohort
    facts = cohort.facts(0)
    rows = cohort.frame
    strata = tables_by(
        cohort.stratum, int(cohort.stratum.max(initial=0)) + 1, rows.converted, about.entry.units, rows.eligible
    )
    heat = heat_map(study, about.signal)
    with_signal, without = curves(cohort, about.entry.units, clock)
    return Examination(
        **vars(figures),
        snapshot_version=study.manifest.version,
        train_period=facts.train,
        held_out_period=facts.holdout,
        purged=facts.purged,
        homogeneity_p=homogeneity_p(strata),
        e_value=e_values(figures.adjusted),
        comparisons=comparisons(study, about, figures),
        with_signal=with_signal,
        without_signal=without,
        heat_map=heat,
        doubts=doubts(study, about, figures, facts.holdout),
        notes=_notes(study, about, heat is not None),
    )


def _notes(study: Study, about: Subject, has_heat_map: bool) -> tuple[Note, ...]:
    notes = []
    if study.listing is None:
        text = "No discovery run has seen this data with this outcome, so there is no shrunk lift and no confidence yet"
        notes.append(Note("no_run", text))
    elif about.finding is None:
        text = "The latest discovery run does not list this signal: its q-value is that of a single test"
        notes.append(Note("not_listed", text))
    if about.cohort.frame.unit.size > about.cohort.frame.cluster.max(initial=-1) + 1:
        text = (
            "Intervals by kind of user and by month, those of the heat map and the bands of the curves count users of "
            "one account as independent; so do cautious lift and confidence"
        )
        notes.append(Note("independent_users", text))
    if has_heat_map:
        text = "The heat map looks at the later cohorts once for each cell: the largest of its lifts is partly luck"
        notes.append(Note("many_looks", text))
    return tuple(notes)


def overlaps(study: Study, about: Subject, others: Iterable[tuple[str, SignalDefinition]]) -> tuple[Overlap, ...]:
    """Return the overlap with each other signal (id, definition) among the eligible units, the most alike first."""
    rows, own = about.cohort.frame, about.entry.units[about.cohort.frame.eligible]
    found = []
    for signal_id, other in others:
        theirs = study.carriers(other)[rows.unit][rows.eligible]
        both = int((own & theirs).sum())
        found.append(Overlap(signal_id, other.name, both, int(own.sum()) - both, int(theirs.sum()) - both))
    return tuple(sorted(found, key=lambda each: (-each.jaccard, each.signal_id)))
