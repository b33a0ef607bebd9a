"""The PSA rules on 72 men under intermittent androgen suppression (Bruchovsky et al. 2006, 2007; tests/data/README.md).

``python -m tests.clinical.psa_cohort`` prints the table of docs/clinical-rules.md.

The data name three outcomes (relapse, metastasis, neither) and no date of either. A rule is asked at every value, with
the values up to then. "Whole record": the clinic states no start, so that the lowest value is of any cycle. "Each
treatment period": it states the start of the period on treatment, which is what PCWG3 is about.
"""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from edge_twin import codes
from edge_twin.care import CareContext
from edge_twin.features.feature import middle
from edge_twin.flag import Urgency
from edge_twin.observation import Observation, Origin, observe
from edge_twin.program import Program
from tests.rule_packs import flags_of, program_with

DATA = Path(__file__).resolve().parents[1] / "data" / "psa_bruchovsky.csv"
DAY_0 = datetime(1970, 1, 1, 12, 0, tzinfo=UTC)
OUTCOMES = ("relapse", "metastasis", "none")
RULES = ("psa_phoenix", "psa_pcwg3")


@dataclass(frozen=True, slots=True)
class Value:
    """One PSA: day of the calendar, ng/mL, cycle of treatment, whether on treatment."""

    day: float
    psa: float
    cycle: int
    on_treatment: bool


@dataclass(frozen=True, slots=True)
class Patient:
    """One man: number, outcome as the data name it, values in order of time."""

    number: int
    outcome: str
    values: tuple[Value, ...]

    def periods_on_treatment(self) -> Iterator[tuple[Value, ...]]:
        """The values of each period on treatment."""
        periods: dict[int, list[Value]] = defaultdict(list)
        for value in self.values:
            if value.on_treatment:
                periods[value.cycle].append(value)
        return (tuple(period) for period in periods.values())


@dataclass(frozen=True, slots=True)
class Firing:
    """When a rule first spoke: day of the first note and of the first confirmed flag; None for never."""

    noted: float | None
    confirmed: float | None


def patients() -> tuple[Patient, ...]:
    """Everybody, by number."""
    rows: dict[tuple[int, str], list[Value]] = defaultdict(list)
    with DATA.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            value = Value(float(row["day"]), float(row["psa_ng_per_ml"]), int(row["cycle"]), row["on_treatment"] == "1")
            rows[int(row["patient"]), row["outcome"]].append(value)
    return tuple(Patient(*key, tuple(sorted(values, key=lambda v: v.day))) for key, values in sorted(rows.items()))


def program_of(rule: str) -> Program:
    """A program with one of the two definitions alone."""
    with TemporaryDirectory() as folder:
        program = program_with(Path(folder), "biomarkers")
    others = set(RULES) - {rule}
    return replace(program, thresholds={name: rows for name, rows in program.thresholds.items() if name not in others})


def firing(program: Program, values: tuple[Value, ...], since: float | None = None) -> Firing:
    """Ask the rule at every value from ``since`` on with those up to it.

    Args:
        program: with one definition.
        values: oldest first, up to the last day that counts.
        since: day of the start that the clinic states; None when it states none.
    """
    noted: float | None = None
    readings: list[Observation] = []
    care = CareContext(markers_since=None if since is None else _moment(since))
    for value in values:
        readings.append(_reading(value))
        up = flags_of(program, readings[-1].time, readings, care)
        if up and noted is None:
            noted = value.day
        if up and up[0].urgency is Urgency.THIS_WEEK:
            return Firing(noted, value.day)
    return Firing(noted, None)


def _moment(day: float) -> datetime:
    return DAY_0 + timedelta(days=day)


def _reading(value: Value) -> Observation:
    return observe(
        codes.PROSTATE_SPECIFIC_ANTIGEN, value.psa, _moment(value.day), source="laboratory", origin=Origin.LAB
    )


def in_a_period(program: Program, patient: Patient) -> Firing:
    """The first confirmed flag within one period on treatment, or else the first note."""
    found = [
        firing(program, tuple(v for v in patient.values if v.day <= period[-1].day), since=period[0].day)
        for period in patient.periods_on_treatment()
    ]
    confirmed = min((f.confirmed for f in found if f.confirmed is not None), default=None)
    return Firing(min((f.noted for f in found if f.noted is not None), default=None), confirmed)


def table() -> Iterator[tuple[str, str, str, int, int, int, float | None]]:
    """Rows of rule, values looked at, outcome, men, noted, confirmed, median days from that to the last value."""
    for rule in RULES:
        program = program_of(rule)
        for scope, ask in (("whole record", _whole), ("each treatment period", in_a_period)):
            for outcome in OUTCOMES:
                group = [patient for patient in patients() if patient.outcome == outcome]
                yield rule, scope, outcome, len(group), *_summary(group, [ask(program, p) for p in group])


def _whole(program: Program, patient: Patient) -> Firing:
    return firing(program, patient.values)


def _summary(group: list[Patient], fired: list[Firing]) -> tuple[int, int, float | None]:
    left = [p.values[-1].day - f.confirmed for p, f in zip(group, fired, strict=True) if f.confirmed is not None]
    return sum(f.noted is not None for f in fired), len(left), middle(left) if left else None


if __name__ == "__main__":
    print("rule | values | outcome | men | noted | confirmed | median days from confirmed to the last value")
    for line in table():
        print(" | ".join("-" if cell is None else str(cell) for cell in line))
