"""Generator ``ar``: a level, autocorrelated noise, rhythms, treatment, events and an illness, added up."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_twin_models.cohorts import illness
from edge_twin_models.cohorts.events import Events, draw_events
from edge_twin_models.cohorts.further import Course, draw_further
from edge_twin_models.cohorts.illness import Response, draw_response
from edge_twin_models.cohorts.noise import autoregressive, gaps, heavy_tailed, lognormal
from edge_twin_models.cohorts.parameters import Parameters
from edge_twin_models.cohorts.table import Subject, SubjectDays

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]
SATURDAY, SUNDAY = 5, 6
SOURCES = ("wrist_a", "wrist_b", "ring_c", "wrist_d")


@dataclass(frozen=True, slots=True)
class Calendar:
    """Days of one person from the onset [days], their weekday (0 = Monday) and days since the last dose (-1: none)."""

    day: Integers
    weekday: Integers
    cycle_day: Integers
    cycle: Integers
    cycle_length: int


@dataclass(frozen=True, slots=True)
class Person:
    """What happens to one person, apart from noise."""

    calendar: Calendar
    response: Response
    events: Events

    @property
    def day(self) -> Floats:
        """From the onset of symptoms [days]."""
        return self.calendar.day.astype(np.float64)


def draw_subject(rng: np.random.Generator, name: str, p: Parameters, further: Parameters) -> SubjectDays:
    """One person's rows, missing values included."""
    calendar = draw_calendar(rng, p)
    person = Person(calendar, draw_response(rng, p), draw_events(rng, calendar.weekday, p))
    source = int(rng.integers(len(SOURCES)))
    luteal, worn = _luteal(rng, calendar.day.size, p), _worn(rng, calendar.day, p)
    anomaly = _anomaly(rng, person, p) + p["menstrual_amplitude"] * luteal
    felt = illness.activation(person.response, person.day) * (person.response.peak > 0)
    streams = {
        "resting_heart_rate": np.where(worn, _measured(rng, anomaly, source, p), np.nan),
        "steps": np.where(worn, _steps(rng, person, p), np.nan),
        "cycle_day": np.where(calendar.cycle_day >= 0, calendar.cycle_day, np.nan),
    } | draw_further(rng, Course(person.day, felt, anomaly, luteal, None, worn), further)
    return SubjectDays(_subject(name, SOURCES[source], person), calendar.day, streams)


def _subject(name: str, source: str, person: Person) -> Subject:
    days = person.calendar.day
    decoys = tuple(days[person.events.decoys()].tolist())
    ends = (int(days[0]), int(days[-1]))
    return Subject(name, source, person.response.peak > 0, person.calendar.cycle_length, decoys, ends)


def _measured(rng: np.random.Generator, anomaly: Floats, source: int, p: Parameters) -> Floats:
    """What the device writes [days]."""
    level = np.clip(p["level_mean"] + p["level_sd"] * rng.standard_normal(), *p.list("level_bounds"))
    noise = p["white_sd"] * p.list("source_noise")[source] * heavy_tailed(rng, anomaly.size, p["tail_freedom"])
    values: Floats = np.round(level + anomaly + noise, int(p.list("source_decimals")[source]))
    return values


def draw_calendar(rng: np.random.Generator, p: Parameters) -> Calendar:
    """Length, weekday of the onset and treatment of one person."""
    short = rng.random() < p["short_share"]
    before = int(rng.uniform(*p.list("short_before" if short else "days_before")))
    day = np.arange(-before, int(rng.uniform(*p.list("days_after"))) + 1)
    weekday = (day + int(rng.integers(7))) % 7
    treated = rng.random() < p["chemotherapy_share"]
    length = int(rng.choice(p.list("cycle_lengths")))
    since = day - day[0] + int(rng.integers(length))
    cycle_day = since % length if treated else np.full(day.size, -1)
    return Calendar(day, weekday, cycle_day, since // length * int(treated), length if treated else 0)


def _anomaly(rng: np.random.Generator, who: Person, p: Parameters) -> Floats:
    """True heart rate minus the person's level [days], the menstrual cycle apart."""
    calendar = who.calendar
    length = calendar.day.size
    person = lognormal(rng, 1.0, p["person_noise_log_sd"])
    slow = p["slow_sd"] * autoregressive(rng, length, p["slow_correlation"])
    shocks = heavy_tailed(rng, length, p["tail_freedom"])
    fast = p["fast_sd"] * autoregressive(rng, length, p["fast_correlation"], shocks)
    weekend = (p["weekend_heart_rate"] + p["weekend_heart_rate_sd"] * rng.standard_normal()) * np.isin(
        calendar.weekday, (SATURDAY, SUNDAY)
    )
    season = p["season_amplitude"] * np.sin(2 * np.pi * (calendar.day + rng.uniform(0, 365)) / 365)
    ill = illness.heart_rate(who.response, who.day, p)
    return person * (slow + fast) + weekend + season + who.events.heart_rate + ill + _dose_heart_rate(rng, calendar, p)


def _dose_heart_rate(rng: np.random.Generator, calendar: Calendar, p: Parameters) -> Floats:
    size = lognormal(rng, 1.0, p["dose_heart_rate_log_sd"])
    return size * _after_dose(calendar, p.list("dose_heart_rate")) + p["cycle_heart_rate_drift"] * calendar.cycle


def _after_dose(calendar: Calendar, shape: Floats) -> Floats:
    """A shape that starts on each day of a dose [days]; 0 without treatment."""
    padded = np.append(shape, 0.0)
    return padded[np.where(calendar.cycle_day >= 0, np.minimum(calendar.cycle_day, shape.size), shape.size)]


def _luteal(rng: np.random.Generator, length: int, p: Parameters) -> Floats:
    """Share of the luteal rise [days], 0 for people without ovulatory cycles."""
    cycles = rng.random() < p["women"] * p["menstrual_share"]
    cycle = rng.uniform(*p.list("menstrual_length"))
    phase = ((np.arange(length) + rng.uniform(0, cycle)) % cycle) / cycle
    rise: Floats = np.interp(phase, [0.0, 0.45, 0.6, 0.9, 1.0], [0.1, 0.0, 1.0, 1.0, 0.1])
    return rise * float(cycles)


def _steps(rng: np.random.Generator, who: Person, p: Parameters) -> Floats:
    """Whole steps [days], NaN where the device was off by day, too few on days of partial wear."""
    calendar, length = who.calendar, who.day.size
    level = np.log(p["steps_median"]) + p["steps_log_sd_between"] * rng.standard_normal()
    habit = p["steps_log_sd_within"] * autoregressive(rng, length, p["steps_correlation"])
    weekend = np.array([p["steps_saturday"], p["steps_sunday"]]) + p["steps_weekend_sd"] * rng.standard_normal(2)
    week = weekend[0] * (calendar.weekday == SATURDAY) + weekend[1] * (calendar.weekday == SUNDAY)
    treated = _after_dose(calendar, p.list("dose_steps")) + p["cycle_steps_drift"] * calendar.cycle
    ill = illness.log_steps(who.response, who.day, p)
    partial = np.where(rng.random(length) < p["partial_day"], np.log(rng.uniform(0.15, 0.8, length)), 0.0)
    count = np.round(np.exp(level + habit + week + treated + ill + who.events.log_steps + partial))
    return np.where(rng.random(length) >= p["missing_steps"], count, np.nan)


def _worn(rng: np.random.Generator, day: Integers, p: Parameters) -> Flags:
    """Nights with a value [days]."""
    missing = gaps(rng, day.size, rng.uniform(*p.list("missing_share")), p["missing_length"])
    missing |= day - day[0] < int(rng.uniform(*p.list("start_up_days")))
    off = rng.uniform(*p.list("off_when_ill_days")) * (rng.random() < p["off_when_ill_share"])
    return ~(missing | ((day >= 0) & (day < off)))
