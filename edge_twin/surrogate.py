"""The course student as a model, with its guards: what it may not answer goes to the mechanistic model.

The answer names who gave it. Members outside the envelope are handed over one by one; a schedule that
is not a course of equal cycles is handed over whole and never rounded to one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial

import numpy as np
from numpy.typing import NDArray

from edge_twin.bundle import Bundle, uncovered_drugs
from edge_twin.contract import Answer, Model, log_sd_of
from edge_twin.course import CLOCK_SLACK_DAYS, Course, equal_course
from edge_twin.discrepancy import Discrepancy
from edge_twin.engines.buffers import Buffers
from edge_twin.engines.course_network import CourseEngine
from edge_twin.exposure import DoseEvent
from edge_twin.student import CalendarBasis, Student, schedule_features

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]
Booleans = NDArray[np.bool_]
Integers = NDArray[np.intp]

MECHANISTIC = "mechanistic"
_MEMBERS_OUTSIDE = "members_outside_envelope"
MEMBERS_TOGETHER = 250
_KEPT_CALENDARS = 16


@dataclass(eq=False)
class SurrogateModel:
    """A student with the interface of ``contract.Model`` and a mechanistic model behind it.

    Attributes:
        bundle: of the student; student: its content; engine: chosen for it.
        fallback: the mechanistic model of the same teacher and parameters.
    """

    bundle: Bundle
    student: Student
    engine: CourseEngine
    fallback: Model
    _calendars: dict[tuple[Course, bytes], CalendarBasis] = field(default_factory=dict)
    _memory: Buffers = field(default_factory=partial(Buffers, np.float64))

    @property
    def id(self) -> str:
        """Name and version of the bundle."""
        return f"{self.bundle.id}@{self.bundle.version}"

    @property
    def engine_name(self) -> str:
        """The engine that runs the student."""
        return self.engine.name

    @property
    def expires(self) -> datetime:
        """The earlier expiry of the student and of the model behind it."""
        return min(self.bundle.expires, self.fallback.expires)

    @property
    def drugs(self) -> frozenset[str]:
        """Lower-case generic names of the drugs that it covers together."""
        return self.bundle.drugs

    @property
    def parameter_names(self) -> tuple[str, ...]:
        """Names of the patient's parameters, in order."""
        return self.bundle.parameter_names

    @property
    def residual_log_sd(self) -> float:
        """Standard deviation of ln(measured) - ln(modelled)."""
        return self.bundle.residual_log_sd

    @property
    def surrogate_log_sd(self) -> float:
        """Standard deviation of ln(student) - ln(teacher), from the conformal half-width.

        The half-width is of ln(count / baseline + floor); for counts far above the floor that is ln(count).
        """
        return log_sd_of(self.student.log_half_width)

    @property
    def discrepancy(self) -> Discrepancy:
        """How far the patient's next occasion may lie from what this model carries over."""
        return self.fallback.discrepancy

    @property
    def log_box(self) -> tuple[Floats, Floats]:
        """Bounds of the log parameters of the mechanistic model, which answers where the student may not."""
        return self.fallback.log_box

    def prior_sample(self, members: int, seed: int) -> Floats:
        """Log parameters of a virtual population, shape [members, parameters]."""
        return self.fallback.prior_sample(members, seed)

    def clip(self, log_parameters: Floats) -> Floats:
        """Log parameters moved into the envelope of the mechanistic model, which is the wider one."""
        return self.fallback.clip(log_parameters)

    def covers_doses(self, doses: Sequence[DoseEvent]) -> bool:
        """Whether student or mechanistic model covers the dosing."""
        return self.fallback.covers_doses(tuple(doses))

    def schedule_refusals(self, doses: Sequence[DoseEvent], times_days: Floats) -> tuple[str, ...]:
        """Why the student may not answer for this schedule, as stable words; empty when it may.

        Words: ``schedule_not_equal_cycles``, ``single_dose``, ``cycles``, ``infusion_length``, ``dose_amount``,
        ``dose_interval``, ``horizon``, ``before_first_dose``, ``drug_not_covered``.
        """
        if uncovered_drugs(self.bundle, doses):
            return ("drug_not_covered",)
        course = self._course(doses)
        if course is None:
            return ("schedule_not_equal_cycles",)
        if course.interval_days is None:
            return ("single_dose",)
        days = np.asarray(times_days, np.float64) - course.start_day
        envelope, grid = self.student.envelope, self.student.grid
        with np.errstate(divide="ignore"):
            dose, interval = schedule_features(course)
        checks = {
            "cycles": course.cycles <= grid.cycles,
            "infusion_length": abs(course.infusion_days - envelope.infusion_days) <= CLOCK_SLACK_DAYS,
            "dose_amount": bool(envelope.low[3] <= dose <= envelope.high[3]),
            "dose_interval": bool(envelope.low[4] <= interval <= envelope.high[4]),
            "horizon": bool((days <= grid.covered_until(course)).all()),
            "before_first_dose": bool((days >= 0.0).all()),
        }
        return tuple(word for word, kept in checks.items() if not kept)

    def answer(self, log_parameters: Floats, doses: Sequence[DoseEvent], times_days: Floats) -> Answer:
        """Counts of every member, each by the model that may give them.

        Args:
            log_parameters: [n, p].
            doses: in any order.
            times_days: [t] strictly increasing.

        Raises:
            BundleError: what the mechanistic model refuses too.
        """
        parameters = np.asarray(log_parameters, np.float64)
        refusals = self.schedule_refusals(doses, times_days)
        course = self._course(doses)
        if refusals or course is None:
            counts = self.fallback.simulate(parameters, tuple(doses), times_days)
            return Answer(counts, np.zeros(len(parameters), np.bool_), refusals, (self._behind,))
        inside = self.members_inside(parameters, course)
        if inside.all():
            counts = self._by_student(parameters, course, times_days)
            return Answer(counts, inside, (), (self.engine.name,), self.student.log_half_width)
        return self._shared(parameters, course, doses, times_days, inside)

    def members_inside(self, log_parameters: Floats, course: Course) -> Booleans:
        """[n] whether the student may answer for each member; a value that is not a number never is inside."""
        low, high = (np.log(bound) for bound in (self.bundle.parameters[0].low, self.bundle.parameters[0].high))
        baseline = (log_parameters[:, 0] >= low) & (log_parameters[:, 0] <= high)
        features = self.student.features(log_parameters, course, self._memory)
        return np.asarray(baseline & self.student.envelope.inside(features, self._memory))

    def simulate(self, log_parameters: Floats, doses: Sequence[DoseEvent], times_days: Floats) -> Floats:
        """The counts of ``answer``, [t, n] in 10*9/L."""
        return self.answer(log_parameters, doses, times_days).counts

    def fast_counts(self, log_parameters: Floats, course: Course, times_days: Floats) -> Singles:
        """Counts straight from the engine's buffer, valid until the next call; the caller has checked the guards.

        Args:
            log_parameters: [n, p], all inside.
            course: covered by the student.
            times_days: [t] on the axis of the course.
        """
        return self.engine.counts(log_parameters, course, self._calendar(course, times_days))

    def _course(self, doses: Sequence[DoseEvent]) -> Course | None:
        return equal_course(doses, self.student.envelope.offsets_days)

    @property
    def _behind(self) -> str:
        return f"{MECHANISTIC} ({self.fallback.engine_name})"

    def _by_student(self, parameters: Floats, course: Course, times_days: Floats) -> Floats:
        counts = np.empty((len(times_days), len(parameters)))
        self._write_by_student(counts, np.arange(len(parameters)), parameters, course, times_days)
        return counts

    def _write_by_student(
        self, counts: Floats, members: Integers, parameters: Floats, course: Course, times_days: Floats
    ) -> None:
        """Fill the columns ``members`` of ``counts``, some at a time: the engine's buffers stay small."""
        for first in range(0, len(members), MEMBERS_TOGETHER):
            some = members[first : first + MEMBERS_TOGETHER]
            counts[:, some] = self.fast_counts(parameters[some], course, times_days)

    def _shared(
        self, parameters: Floats, course: Course, doses: Sequence[DoseEvent], times_days: Floats, inside: Booleans
    ) -> Answer:
        counts = np.empty((len(times_days), len(parameters)))
        if inside.any():
            self._write_by_student(counts, np.flatnonzero(inside), parameters, course, times_days)
        counts[:, ~inside] = self.fallback.simulate(parameters[~inside], tuple(doses), times_days)
        if not inside.any():
            return Answer(counts, inside, (_MEMBERS_OUTSIDE,), (self._behind,))
        engines = self.engine.name, self._behind
        return Answer(counts, inside, (_MEMBERS_OUTSIDE,), engines, self.student.log_half_width)

    def _calendar(self, course: Course, times_days: Floats) -> CalendarBasis:
        """The basis at the requested days; the last few schedules are kept."""
        key = course, np.asarray(times_days, np.float64).tobytes()
        if key not in self._calendars:
            if len(self._calendars) >= _KEPT_CALENDARS:
                self._calendars.pop(next(iter(self._calendars)))
            self._calendars[key] = self.student.calendar(course, np.asarray(times_days) - course.start_day)
        return self._calendars[key]
