"""The played patient: recorded beats of a real person; counts, temperatures and steps simulated.

Recorded: RR intervals (Welltory/hrv-covid19, CC0), one person on 24 consecutive days around a real
infection. Simulated: neutrophil counts from the teacher (full pharmacokinetics, adaptive integration) with
the published residual error; temperatures and steps around stated courses with noise.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

import numpy as np

from edge_twin.contract import Dose
from edge_twin.exposure import DoseEvent
from edge_twin_adapters.recordings import DAYS, Window, load_recordings, windows_for_day
from edge_twin_models.friberg import DDMODEL00000224, Patient, measure, simulate_patient

ZONE = ZoneInfo("Europe/Berlin")
FIRST_DAY = date(2026, 4, 25)  # the recordings' own month and day, six years on
SEED = 20260424  # one draw of the noise; tests/clinical counts over many
BODY_SURFACE_M2 = 1.8
DOSE_DAY = 8  # eight nights of run-in give the personal baseline; the recorded illness begins on day 16
CYCLE_DAYS = 21
COUNT_DAYS = (-1, 1, 2, 3, 4, 5, 7, 9, 11, 15)  # after the dose; the early ones as by a finger-prick counter
# A sensitive patient: baseline and transit time typical, drug effect one standard deviation (0.36) above.
SENSITIVE = Patient(
    circ0=DDMODEL00000224.typical.circ0,
    mtt=DDMODEL00000224.typical.mtt,
    slope=DDMODEL00000224.typical.slope * 1.43,
    gamma=DDMODEL00000224.typical.gamma,
)
RESIDUAL_LOG_SD = 0.424  # the published residual error of the same row

USUAL_CEL, EVENING_CEL, READING_SD_CEL = 36.5, 36.8, 0.08
# Oral temperatures of the illness, by day and time of day; it starts with the recorded rise of the pulse.
ILLNESS_CEL = {(16, "evening"): 37.6, (17, "morning"): 38.5, (17, "evening"): 38.9, (18, "morning"): 38.1,
               (18, "evening"): 37.8, (19, "morning"): 37.3}  # fmt: skip
USUAL_STEPS, ILL_STEPS, STEPS_SD = 6500.0, 1200.0, 900.0
ILL_DAYS = range(16, 21)


class Deed(StrEnum):
    """What happens at a moment of the course."""

    WEAR = "wear"  # the strap is worn and sends a window of beats
    TAKE_OFF = "take_off"
    TEMPERATURE = "temperature"
    COUNT = "count"
    STEPS = "steps"


@dataclass(frozen=True, slots=True)
class Moment:
    """One deed of the course.

    Attributes:
        time: when, aware UTC.
        deed: what.
        value: °C, 10*9/L or steps; 0 where there is none.
        window: the recording, for WEAR.
    """

    time: datetime
    deed: Deed
    value: float = 0.0
    window: Window | None = None


def dose() -> Dose:
    """The first cycle: docetaxel 75 mg/m² over one hour, the usual dose every three weeks."""
    return Dose(_local(DOSE_DAY, time(9)), "docetaxel", 75.0 * BODY_SURFACE_M2, timedelta(hours=1))


def next_dose() -> Dose:
    """The second cycle as planned."""
    first = dose()
    return Dose(first.time + timedelta(days=CYCLE_DAYS), first.drug, first.amount_mg, first.infusion)


def course() -> tuple[Moment, ...]:
    """Everything that happens in the 24 days, in order."""
    moments = [*_beats(), *_temperatures(), *_counts(), *_steps()]
    return tuple(sorted(moments, key=lambda moment: moment.time))


def true_counts(days: np.ndarray) -> np.ndarray:
    """What the teacher says this patient's count is, without measurement error, at days after the dose."""
    first = dose()
    event = DoseEvent(0.0, first.amount_mg, first.infusion / timedelta(days=1))
    return np.asarray(simulate_patient(SENSITIVE, (event,), days))


def _beats() -> Iterator[Moment]:
    """Night, morning and evening windows; the strap comes off after the morning one."""
    recordings = load_recordings()
    for day in range(DAYS):
        for window in windows_for_day(recordings, day):
            start = _local(day, window.start)
            yield Moment(start, Deed.WEAR, window=window)
            if window.name == "morning":
                yield Moment(start + timedelta(minutes=10), Deed.TAKE_OFF)


def _temperatures() -> Iterator[Moment]:
    noise = np.random.default_rng([SEED, 1])
    for day in range(DAYS):
        for name, at, usual in (("morning", time(8, 15), USUAL_CEL), ("evening", time(21, 15), EVENING_CEL)):
            value = ILLNESS_CEL.get((day, name), usual) + READING_SD_CEL * float(noise.standard_normal())
            yield Moment(_local(day, at), Deed.TEMPERATURE, round(value, 1))


def _counts() -> Iterator[Moment]:
    days = np.array(COUNT_DAYS, dtype=np.float64) + 1.0 / 24.0  # drawn one hour after the hour of the dose
    measured = measure(true_counts(days), RESIDUAL_LOG_SD, SEED)
    for day, value in zip(days, measured, strict=True):
        yield Moment(dose().time + timedelta(days=float(day)), Deed.COUNT, round(float(value), 2))


def _steps() -> Iterator[Moment]:
    noise = np.random.default_rng([SEED, 2])
    for day in range(DAYS):
        usual = ILL_STEPS if day in ILL_DAYS else USUAL_STEPS
        value = max(0.0, usual + STEPS_SD * float(noise.standard_normal()))
        yield Moment(_local(day, time(22)), Deed.STEPS, float(round(value)))


def _local(day: int, at: time) -> datetime:
    return datetime.combine(FIRST_DAY + timedelta(days=day), at, tzinfo=ZONE).astimezone(UTC)
