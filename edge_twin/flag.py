"""A flag: a signal for a person, not a decision, with its reason, its evidence and what would change it.

Who says it is part of it (``origin``). Only a laboratory value may name a CTCAE range, and no flag assigns a grade:
that is a clinician's act (docs/clinical-rules.md, "Wording").
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from edge_twin.errors import FlagError
from edge_twin.observation import Origin
from edge_twin.wording import Text, english


class Urgency(StrEnum):
    """How soon a person should act."""

    NOW = "now"  # call now
    TODAY = "today"  # do something, or tell the team, today
    THIS_WEEK = "this_week"  # tell the team at the next occasion, within a week
    NOTE = "note"  # for the record and the next visit

    @property
    def rank(self) -> int:
        """0 for the most urgent."""
        return tuple(Urgency).index(self)


class FlagKind(StrEnum):
    """What can be raised (closed: a new kind is a new version of the case file)."""

    FEVER = "fever_under_chemotherapy"
    FEVER_REPEAT = "fever_repeat_reading"
    ORAL_READING_NEEDED = "oral_reading_needed"
    NEUTROPHILS_LOW = "anc_below_0_5_measured"
    NEUTROPENIA_FORECAST = "anc_below_0_5_within_7_days"
    LEUKOCYTES_LOW = "wbc_below_1_0_measured"
    LEUKOPENIA_FORECAST = "wbc_below_1_0_in_this_cycle"
    RESTING_HEART_RATE = "resting_heart_rate_above_baseline"
    FORECAST_MISMATCH = "forecast_mismatch"
    BASELINE_CHANGE = "change_from_baseline"
    EARLY_WARNING_SCORE = "early_warning_score"
    SEPSIS_SCREEN = "sepsis_screen_positive"
    CYTOKINE_RELEASE = "cytokine_release_criteria_met"
    CHECK_MISSED = "check_missed_after_cell_therapy"
    OPIOID_DEPRESSION = "opioid_respiratory_depression"
    DEHYDRATION = "dehydration_signs"
    WEIGHT_LOSS = "weight_loss"
    GLUCOSE_HIGH = "glucose_high"
    GLUCOSE_LOW = "glucose_low"
    QTC_PROLONGED = "qtc_prolonged"
    LABORATORY_VALUE = "laboratory_value"
    SYMPTOM_WORSENING = "patient_reported_worsening"
    SYMPTOM_RELAPSE = "symptom_based_relapse_rule"
    BIOMARKER_RISE = "biomarker_rise"
    IMAGING_PROGRESSION = "imaging_progression"
    DATA_QUALITY = "data_quality"
    RUNTIME_STOPPED = "runtime_stopped"


class CtcaeVersion(StrEnum):
    """Version of the Common Terminology Criteria for Adverse Events; the grades of a term differ between them."""

    V5 = "5.0"
    V6 = "6.0"


@dataclass(frozen=True, slots=True)
class CtcaeTerm:
    """A term of CTCAE that a flag touches.

    Attributes:
        term: the term's own wording.
        ctcae_version: the version that the wording and the range come from.
        grade_range: the grade whose numeric range a laboratory value lies in, "to be confirmed by a clinician";
            None for anything but a laboratory value. It is never an assigned grade.

    Raises:
        FlagError: ``ctcae_version_missing`` without a known version, ``bad_grade`` outside 1 to 4.
    """

    term: str
    ctcae_version: CtcaeVersion
    grade_range: int | None = None

    def __post_init__(self) -> None:
        """See the class."""
        if not isinstance(self.ctcae_version, CtcaeVersion):
            raise FlagError(f"{self.term} names no known version of CTCAE", reason="ctcae_version_missing")
        if self.grade_range is not None and self.grade_range not in {1, 2, 3, 4}:
            raise FlagError(f"{self.grade_range} is no grade range", reason="bad_grade")


@dataclass(frozen=True, slots=True)
class Evidence:
    """One thing that a flag rests on.

    Attributes:
        name: of the observation's code, or of the feature.
        value: in ``unit``.
        unit: UCUM.
        time: when it was measured, or the end of the period that it describes.
        origin: who says it.
        start: start of the period that it describes; None for a reading.
    """

    name: str
    value: float
    unit: str
    time: datetime
    origin: Origin
    start: datetime | None = None


@dataclass(frozen=True, slots=True)
class Contribution:
    """What one input adds to a learned score: its exact Shapley value.

    Attributes:
        name: of the input.
        value: of the input, in ``unit``; None when it is missing, and then ``share`` is 0.
        unit: UCUM.
        share: Shapley value in units of the score (log odds); all shares and the base value add up to the score.
    """

    name: str
    value: float | None
    unit: str
    share: float


@dataclass(frozen=True, slots=True)
class Bound:
    """The threshold that decided.

    Attributes:
        id: table and name of the threshold, joined by a dot.
        value: as in force.
        mark: see :class:`~edge_twin.program.Threshold`.
        source: where it comes from.
    """

    id: str
    value: float
    mark: str
    source: str


@dataclass(frozen=True, slots=True)
class Sentences:
    """What a flag says, as messages that any language can render.

    Attributes:
        action: for the patient: what to do.
        reason: for the patient: why, with values, times and how sure.
        clinician: for a clinician: the finding in the field's terms, with definition and values.
        would_change: what would change the answer.
        limits: what this signal cannot know, and whether its figures were counted.
        data_quality: what was missing, doubtful or old.
    """

    action: Text
    reason: Text
    clinician: Text = ()
    would_change: Text = ()
    limits: Text = ()
    data_quality: Text = ()


@dataclass(frozen=True, slots=True)
class Flag:
    """A signal for a person, not a decision.

    Attributes:
        kind: what was found.
        time: when it became true (time of the reading or night that raised it), aware UTC.
        urgency: how soon to act.
        origin: who says it.
        says: the sentences.
        topic: what it is about where a kind can stand for several things at once (a laboratory value, a stream).
        probability: of the event, between 0 and 1; None for a rule on measured values.
        horizon: the time within which the event may come; None without a probability of an event.
        evidence: the values behind it.
        contributions: exact Shapley values of a learned score's inputs.
        bound: the threshold that decided.
        ctcae: the terms that it touches, all of one version.

    Raises:
        FlagError: ``ctcae_versions_mixed``, ``bad_probability``, or ``no_action`` without action and reason.
    """

    kind: FlagKind
    time: datetime
    urgency: Urgency
    origin: Origin
    says: Sentences
    topic: str = ""
    probability: float | None = None
    horizon: timedelta | None = None
    evidence: tuple[Evidence, ...] = ()
    contributions: tuple[Contribution, ...] = ()
    bound: Bound | None = None
    ctcae: tuple[CtcaeTerm, ...] = ()

    def __post_init__(self) -> None:
        """See the class."""
        if len({term.ctcae_version for term in self.ctcae}) > 1:
            raise FlagError(f"{self.kind} mixes versions of CTCAE", reason="ctcae_versions_mixed")
        if self.probability is not None and not 0.0 <= self.probability <= 1.0:
            raise FlagError(f"{self.kind} has probability {self.probability}", reason="bad_probability")
        if not (self.says.action and self.says.reason):
            raise FlagError(f"{self.kind} says neither what to do nor why", reason="no_action")

    @property
    def key(self) -> str:
        """What makes two flags the same: kind and topic."""
        return f"{self.kind}/{self.topic}" if self.topic else str(self.kind)

    @property
    def action(self) -> str:
        """What to do, in the reference language."""
        return english(self.says.action)

    @property
    def reason(self) -> str:
        """Why, in the reference language."""
        return english(self.says.reason)

    @property
    def clinician(self) -> str:
        """The clinician's sentence in the reference language; the patient's reason where there is no other."""
        return english(self.says.clinician or self.says.reason)
