"""A track record counted on virtual patients: each goes through a store and a ledger of its own, like a real one.

It is marked as simulated; a device of the production profile refuses a grant that rests on it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from functools import reduce
from pathlib import Path

from edge_twin.contract import Dose, Model, TwinInput
from edge_twin.flags.alarm_rules import alarm_rules
from edge_twin.flags.lifecycle import follow
from edge_twin.observation import Observation, Origin, observe
from edge_twin.program import Program, load_program
from edge_twin.store import Store
from edge_twin.track_record import TrackRecord
from edge_twin.trust import SiteTrust
from edge_twin.trusting import Bookkeeper
from edge_twin.twin import advance
from edge_twin_app.evaluation.forecast_calibration import COURSES, SMALLEST, START, Course, Virtual, own_patients
from edge_twin_app.models import load_models
from edge_twin_app.trusting import record_of

FOLLOWED = timedelta(days=21)


def simulated_record(
    program_name: str, patients: int, seed: int, tick: Callable[[], object] = lambda: None
) -> TrackRecord:
    """Follow virtual patients of the program's own model through one cycle.

    Args:
        program_name: of a program with a course.
        patients: how many.
        seed: of patients and laboratory.
        tick: called after each patient.
    """
    course = next(course for course in COURSES if course.program == program_name)
    program = load_program(program_name)
    model = load_models(program)[0]
    records = []
    for patient in own_patients(model, course, patients, seed):
        records.append(_followed(patient, course, program, model))
        tick()
    return reduce(lambda all_, one: all_.plus(one), records)


def _followed(patient: Virtual, course: Course, program: Program, model: Model) -> TrackRecord:
    """One patient: a step a day, each count entered on its day before the step."""
    with tempfile.TemporaryDirectory() as folder, closing(Store(Path(folder) / "virtual.db")) as store:
        book = Bookkeeper(store.ledger, program, SiteTrust(), model.id)
        infusion = timedelta(days=course.infusion_days)
        doses = tuple(
            Dose(START + timedelta(days=d.start_day), program.drug, d.amount_mg, infusion) for d in patient.doses
        )
        came = [
            _count(program, day, float(value)) for day, value in zip(course.count_days, patient.measured, strict=True)
        ]
        for day in range(FOLLOWED.days):
            now = START + timedelta(days=day, hours=2)
            known = tuple(count for count in came if count.time <= now)
            new = [count for count in known if count.time > now - timedelta(days=1)]
            _step(store, book, TwinInput(now, "UTC", program, model, known, doses=doses), new)
        return record_of(store, program, model.id, START + FOLLOWED, simulated=True)


def _count(program: Program, day: float, value: float) -> Observation:
    time = START + timedelta(days=day, hours=1)
    return observe(program.count.code, max(value, SMALLEST), time, source="laboratory", origin=Origin.LAB)


def _step(store: Store, book: Bookkeeper, given: TwinInput, new: list[Observation]) -> None:
    """As the runtime does: the count beside what was promised for it, then the next promise and the flags."""
    with store.transaction():
        book.came(new, given.now)
        output = advance(given)
        book.record(given, output)
        before = store.flags.lives()
        moved = follow(before, output.flags, given.now, alarm_rules(given.program), book.held_back)
        store.flags.keep(before, moved)
        book.raised(moved.events, given.now)
