"""What goes into the twin and what comes out: the types of the pure step ``advance``.

The input holds everything the step may know, time included; the output always carries the forecast,
the flags with their reasons, and the refusals. A refusal never hides what could be computed.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from edge_twin.care import CareContext
from edge_twin.codes import Code
from edge_twin.discrepancy import Discrepancy
from edge_twin.exposure import DoseEvent
from edge_twin.features import Feature
from edge_twin.flag import Flag
from edge_twin.low_count import NEUTROPENIA, LowCount, checked_for
from edge_twin.observation import Observation
from edge_twin.program import Program

_NORMAL_97_5 = 1.959963984540054  # quantile of the standard normal distribution

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]


class Refusal(StrEnum):
    """Why something was not computed, or why the result deserves less trust."""

    NO_MODEL = "no_model"
    NO_DOSE = "no_dose_on_record"
    TOO_LITTLE_DATA = "too_little_data"
    STALE_DATA = "stale_data"
    OUTSIDE_ENVELOPE = "outside_validity_envelope"
    BUNDLE_EXPIRED = "bundle_expired"
    FUTURE_DATA = "observations_from_the_future"
    IMPLAUSIBLE_DATA = "implausible_observations_held"
    CONFLICTING_DOSES = "conflicting_doses"
    STUDENT_HANDED_OVER = "student_handed_over"  # some or all members computed by the mechanistic model
    REGIMEN_NOT_COVERED = "regimen_not_covered"


@dataclass(frozen=True, slots=True)
class Dose:
    """A dose that was given.

    Attributes:
        time: start of the infusion, aware UTC.
        drug: lower-case generic name.
        amount_mg: absolute amount.
        infusion: length of the infusion.
    """

    time: datetime
    drug: str
    amount_mg: float
    infusion: timedelta


@dataclass(frozen=True, slots=True)
class Coverage:
    """How earlier intervals fared on this patient: counts compared, and how many lay inside."""

    seen: int = 0
    inside: int = 0


@dataclass(frozen=True, eq=False)
class Answer:
    """Counts of an ensemble with who computed them and how sure they are of their teacher.

    Attributes:
        counts: [t, n] in 10*9/L.
        by_student: [n] whether a learned student answered for the member; nobody where there is none.
        refusals: why a student did not answer for all, as stable words; empty when it did, or there is none.
        engines: names of the engines that took part, the student's first.
        log_half_width: simultaneous 95 % half-width of ln(student) - ln(teacher), from its split-conformal
            calibration; 0 when no student answered. It says nothing about teacher against patient.
    """

    counts: Matrix
    by_student: NDArray[np.bool_]
    refusals: tuple[str, ...]
    engines: tuple[str, ...]
    log_half_width: float = 0.0

    @property
    def log_sd(self) -> Vector:
        """[n] standard deviation of ln(answer) - ln(teacher); 0 for members that no student computed."""
        return np.where(self.by_student, log_sd_of(self.log_half_width), 0.0)

    @property
    def note(self) -> str:
        """One sentence for a person."""
        if not self.refusals:
            who = "the learned student" if self.by_student.any() else "the mechanistic model"
            return f"computed by {who} ({self.engines[0]})"
        handed = int((~self.by_student).sum())
        why = ", ".join(self.refusals)
        return f"{handed} of {len(self.by_student)} members computed by the mechanistic model: {why}"


def log_sd_of(log_half_width: float) -> float:
    """The standard deviation whose 95 % interval has this half-width.

    The half-width holds for all times at once, so that for a single time the deviation is on the safe side.
    """
    return log_half_width / _NORMAL_97_5


class Model(Protocol):
    """What the twin needs of a reduced model (see ``reduced_model.ReducedModel``)."""

    @property
    def id(self) -> str:
        """Name and version of the bundle."""

    @property
    def engine_name(self) -> str:
        """The engine that runs it."""

    @property
    def expires(self) -> datetime:
        """After this time its answers carry the ``bundle_expired`` refusal."""

    @property
    def parameter_names(self) -> tuple[str, ...]:
        """Names of the patient's parameters, in order."""

    @property
    def drugs(self) -> frozenset[str]:
        """Lower-case generic names of the drugs that it covers together."""

    @property
    def residual_log_sd(self) -> float:
        """Standard deviation of ln(measured) - ln(modelled)."""

    @property
    def surrogate_log_sd(self) -> float:
        """Largest standard deviation of ln(modelled) - ln(teacher); 0 for the teacher's own equations."""

    @property
    def discrepancy(self) -> Discrepancy:
        """How far the patient's next occasion may lie from what this model carries over."""

    @property
    def log_box(self) -> tuple[Vector, Vector]:
        """Bounds of the log parameters, two arrays [parameters]: the validity envelope."""

    def prior_sample(self, members: int, seed: int) -> Matrix:
        """Log parameters of a virtual population, shape [members, parameters]."""

    def clip(self, log_parameters: Matrix) -> Matrix:
        """Log parameters moved into the validity envelope."""

    def covers_doses(self, doses: tuple[DoseEvent, ...]) -> bool:
        """Whether the dosing lies inside the validity envelope."""

    def simulate(self, log_parameters: Matrix, doses: tuple[DoseEvent, ...], times_days: Vector) -> Matrix:
        """Outputs at ``times_days``, shape [times, members], starting at steady state."""

    def answer(self, log_parameters: Matrix, doses: tuple[DoseEvent, ...], times_days: Vector) -> Answer:
        """The outputs of ``simulate`` with who computed them."""


@runtime_checkable
class DosedModel(Protocol):
    """A reduced model that can also say how much drug effect doses have."""

    def drug_effect(self, doses: tuple[DoseEvent, ...]) -> float | None:
        """Time integral of the drug effect that these doses have for a slope of one; None when it is unknown."""


@dataclass(frozen=True)
class TwinInput:
    """Everything the step may know.

    Attributes:
        now: the moment of the answer, aware UTC; observations after it are not used.
        time_zone: the patient's IANA time zone, from which nights and days are cut.
        program: the disease program.
        model: the reduced model, or None when the device has none that it may run.
        observations: readings not yet distilled into ``features``, in any order.
        features: distilled earlier from older readings.
        doses: what was given, in any order.
        coverage: how earlier forecasts of this patient fared.
        seed: of the virtual population.
        members: size of the ensemble; the program's when None.
        further_models: asked, in this order, when the drugs on record are not all known to ``model``.
        care: what the clinic knows about the patient that rules need.
        background: older readings that rules look at and that are already in ``features``; nothing is distilled
            from them.
        days: local dates of which ``observations`` hold every reading; readings of other dates only help, and
            numbers of these dates that they no longer give are withdrawn. None when each date that has a
            reading is whole.
        distilled: codes whose readings are in ``features`` already; those among ``observations`` are looked at by
            flags and refusals and make no feature.
    """

    now: datetime
    time_zone: str
    program: Program
    model: Model | None
    observations: tuple[Observation, ...] = ()
    features: tuple[Feature, ...] = ()
    doses: tuple[Dose, ...] = ()
    coverage: Coverage = Coverage()
    seed: int = 1
    members: int | None = None
    further_models: tuple[Model, ...] = ()
    care: CareContext = field(default_factory=CareContext)
    background: tuple[Observation, ...] = ()
    days: frozenset[date] | None = None
    distilled: frozenset[Code] = frozenset()

    @property
    def models(self) -> tuple[Model, ...]:
        """Every model at hand, in order of preference."""
        return self.further_models if self.model is None else (self.model, *self.further_models)

    def with_members(self, members: int) -> TwinInput:
        """The same input with an ensemble of another size."""
        return replace(self, members=members)


@dataclass(frozen=True, slots=True)
class Forecast:
    """The program's blood count in 10*9/L over time.

    Attributes:
        origin: day 0, the first dose, aware UTC.
        days: float days since ``origin``, shape [t].
        median, state_lower, state_upper: the patient's own count, 95 % interval, shape [t].
        lower, upper: 95 % prediction interval for a *measured* count (adds the residual error), shape [t].
        p_below: probability that the count falls below the program's threshold between now and the end of its
            window; in JSON under the name that ``event`` gives it.
        nadir_day, nadir: day and value of the lowest median from the last dose on.
        counts_used: number of counts assimilated.
        interval_counted: whether coverage was counted on this patient; otherwise "not yet validated".
        interval_widening: factor, at least 1, on the log half-width of every interval, from misses counted on
            this patient and from counts that do not fit the model.
        p_mismatch: probability that counts look at least as strange as these when the model is right.
        surrogate_log_half_width: 95 % half-width of ln(student) - ln(teacher), 0 without a student; it is inside
            all intervals and ``p_below``.
        residual_log_sd: standard deviation of ln(measured) - ln(teacher), inside ``lower`` and ``upper``.
        event: what ``p_below`` is the probability of.
    """

    origin: datetime
    days: Vector
    median: Vector
    lower: Vector
    upper: Vector
    state_lower: Vector
    state_upper: Vector
    p_below: float
    nadir_day: float
    nadir: float
    counts_used: int
    interval_counted: bool
    interval_widening: float = 1.0
    p_mismatch: float = 1.0
    surrogate_log_half_width: float = 0.0
    residual_log_sd: float = 0.0
    event: LowCount = NEUTROPENIA

    @property
    def p_anc_below_0_5(self) -> float:
        """``p_below`` of neutrophils below 0.5.

        Raises:
            AttributeError: the forecast is about another event.
        """
        checked_for(self.event, "p_anc_below_0_5")
        return self.p_below

    def band_at(self, moment: datetime) -> tuple[float, float]:
        """The prediction interval for a count measured at ``moment`` (linear between grid points)."""
        day = (moment - self.origin) / timedelta(days=1)
        return float(np.interp(day, self.days, self.lower)), float(np.interp(day, self.days, self.upper))


@dataclass(frozen=True)
class Posterior:
    """What the counts taught about the patient's parameters (log scale)."""

    names: tuple[str, ...]
    log_parameters: Matrix  # [members, parameters]

    @property
    def mean(self) -> Vector:
        """Mean of the log parameters, shape [parameters]."""
        return np.asarray(self.log_parameters.mean(axis=0))

    @property
    def covariance(self) -> Matrix:
        """Covariance of the log parameters, shape [parameters, parameters]."""
        return np.atleast_2d(np.cov(self.log_parameters, rowvar=False))


@dataclass(frozen=True)
class TwinOutput:
    """What the step says; nothing here was clamped or hidden.

    Attributes:
        now: the moment of the answer.
        features, flags, refusals, forecast, posterior: see their types.
        model_id: name and version of the bundle of the model that answered, or would have; empty without one.
        engine: who computed the forecast, joined by commas; a hand-over is named ``mechanistic (...)``.
        handed_over: why a learned student did not answer for all members, as stable words of its guards.
        uncovered_drugs: drugs on record that no model at hand knows, with the refusal ``regimen_not_covered``.
    """

    now: datetime
    features: tuple[Feature, ...]
    flags: tuple[Flag, ...]
    refusals: tuple[Refusal, ...]
    forecast: Forecast | None = None
    posterior: Posterior | None = None
    model_id: str = ""
    engine: str = ""
    handed_over: tuple[str, ...] = ()
    uncovered_drugs: tuple[str, ...] = ()
