"""What the hidden state of generator ``state`` emits: epochs of a night, bouts of a day, and their daily summaries."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_twin_models.cohorts.further import Course, draw_further
from edge_twin_models.cohorts.noise import gaps, heavy_tailed, lognormal
from edge_twin_models.cohorts.parameters import Parameters
from edge_twin_models.cohorts.semi_markov import (
    STRESSED,
    Calendar,
    Illness,
    draw_calendar,
    draw_illness,
    draw_states,
    followed,
)
from edge_twin_models.cohorts.table import Subject, SubjectDays

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]
SOURCES = ("band_e", "band_f", "ring_g", "band_h")
WEEKEND = (5, 6)


@dataclass(frozen=True, slots=True)
class Person:
    """The hidden state of one person."""

    calendar: Calendar
    states: Integers
    illness: Illness

    @property
    def days(self) -> int:
        """Simulated."""
        return self.states.size


def draw_subject(rng: np.random.Generator, name: str, p: Parameters, further: Parameters) -> SubjectDays:
    """One person's rows, missing values included."""
    calendar = draw_calendar(rng, p)
    states = draw_states(rng, calendar.weekday, p)
    person = Person(calendar, states, draw_illness(rng, calendar.day.astype(np.float64), p))
    source = int(rng.integers(len(SOURCES)))
    luteal, worn = _luteal(rng, person.days, p), _worn(rng, person, p)
    background = _background(rng, person, p)
    anomaly = background + person.illness.heart_rate + _wander(rng, person, p) + _warmth(luteal, p)
    nightly = resting(rng, anomaly, source, p)
    fever = person.illness.fever
    course = Course(calendar.day.astype(np.float64), _felt(person), anomaly, luteal, fever, worn)
    streams = {
        "resting_heart_rate": np.where(worn, nightly, np.nan),
        "steps": np.where(worn, _steps(rng, person, p), np.nan),
        "cycle_day": np.where(calendar.cycle_day >= 0, calendar.cycle_day, np.nan),
    } | draw_further(rng, course, further)
    return SubjectDays(_subject(name, SOURCES[source], person, background), calendar.day, streams)


def _subject(name: str, source: str, person: Person, background: Floats) -> Subject:
    days = person.calendar.day
    decoys = tuple(days[(background >= 1.0) & (person.calendar.cycle_length == 0)].tolist())
    return Subject(
        name, source, person.illness.responds, person.calendar.cycle_length, decoys, (int(days[0]), int(days[-1]))
    )


def _felt(person: Person) -> Floats:
    return person.illness.drive * float(person.illness.responds)


def _background(rng: np.random.Generator, person: Person, p: Parameters) -> Floats:
    """What states, vaccination and treatment add to the heart rate, bpm [days]."""
    size = np.exp(p["state_heart_rate_log_sd"] * rng.standard_normal(person.days))
    entered = np.maximum.accumulate(np.where(np.diff(person.states, prepend=-1) != 0, np.arange(person.days), 0))
    of_state = p.list("state_heart_rate")[person.states] * size[entered]  # one intensity for each stay
    added: Floats = of_state + _vaccination(rng, person.days, p) + _treatment(rng, person.calendar, p)
    return added


def _vaccination(rng: np.random.Generator, days: int, p: Parameters) -> Floats:
    given = np.zeros(days)
    given[int(rng.integers(days))] = float(rng.random() < p["vaccination_share"])
    response = followed(followed(given, p["vaccination_days"]), p["vaccination_days"])
    size = lognormal(rng, p["vaccination_heart_rate"], p["vaccination_log_sd"])
    return size * response / max(float(response.max()), 1e-9)


def _treatment(rng: np.random.Generator, calendar: Calendar, p: Parameters) -> Floats:
    size = lognormal(rng, p["dose_heart_rate"], p["dose_log_sd"])
    decay = np.exp(-calendar.cycle_day / p["dose_days"]) * (calendar.cycle_day >= 0)
    return size * decay + p["cycle_heart_rate_drift"] * calendar.cycle


def _wander(rng: np.random.Generator, person: Person, p: Parameters) -> Floats:
    """The level's walk and what differs between nights, bpm [days]."""
    scale = lognormal(rng, 1.0, p["person_noise_log_sd"])
    walk = np.cumsum(p["level_walk"] * rng.standard_normal(person.days))
    values: Floats = scale * (walk - walk.mean() + p["night_sd"] * heavy_tailed(rng, person.days, p["night_freedom"]))
    return values


def _warmth(luteal: Floats, p: Parameters) -> Floats:
    """The luteal rise of temperature raises the heart rate as fever does."""
    warmth: Floats = p["beats_per_degree"] * p["luteal_temperature"] * luteal
    return warmth


def _luteal(rng: np.random.Generator, days: int, p: Parameters) -> Floats:
    """1 in the luteal phase, 0 else, with two days of change [days]."""
    cycles = rng.random() < p["luteal_share"]
    length = rng.uniform(*p.list("luteal_length"))
    left = length - (np.arange(days) + rng.uniform(0, length)) % length  # days until the next menstruation
    return np.clip((14.0 - left) / 2, 0, 1) * np.clip(left / 2, 0, 1) * float(cycles)


def resting(rng: np.random.Generator, anomaly: Floats, source: int, p: Parameters) -> Floats:
    """Low quantile over the worn epochs of each night, as the device writes it [days].

    Args:
        rng: of the person.
        anomaly: true heart rate minus the person's level [days].
        source: number of the device in ``SOURCES``.
        p: parameters.
    """
    level = np.clip(p["level_mean"] + p["level_sd"] * rng.standard_normal(), *p.list("level_bounds"))
    epochs = int(p["epochs"])
    noise = _epoch_noise(rng, anomaly.size, epochs, p)
    hours = np.arange(epochs) / 12
    profile = np.interp(hours, np.arange(8) + 0.5, p.list("night_profile"))
    partial = rng.random(anomaly.size) < p["partial_share"]
    worn = np.where(partial, _uniform(rng, p.list("partial_epochs"), anomaly.size), epochs)
    night = np.where(np.arange(epochs) < worn[:, None], profile + noise, np.nan)
    low = np.nanquantile(night, p.list("quantile")[source], axis=1)
    values: Floats = np.round(level + anomaly + low, int(p.list("decimals")[source]))
    return values


def _epoch_noise(rng: np.random.Generator, nights: int, epochs: int, p: Parameters) -> Floats:
    """AR(1) within each night [nights, epochs]; all nights go forward together."""
    shocks = p["epoch_sd"] * rng.standard_normal((nights, epochs))
    kept = p["epoch_correlation"]
    for epoch in range(1, epochs):
        shocks[:, epoch] = kept * shocks[:, epoch - 1] + (1 - kept**2) ** 0.5 * shocks[:, epoch]
    return shocks


def _steps(rng: np.random.Generator, person: Person, p: Parameters) -> Floats:
    """Steps of the bouts with the device on [days], NaN on days worn by night alone."""
    calendar = person.calendar
    weekend = p["weekend_bouts_sd"] * rng.standard_normal() * np.isin(calendar.weekday, WEEKEND)
    week = p.list("weekday_bouts")[calendar.weekday] + weekend
    dosed = p["dose_steps"] * followed((calendar.cycle_day == 0).astype(np.float64), p["dose_steps_days"])
    log_rate = week + p.list("state_steps")[person.states] + person.illness.log_steps + dosed
    usual = lognormal(rng, p["bouts"], p["bouts_log_sd"])
    count = rng.poisson(usual * np.exp(log_rate) * _uniform(rng, p.list("wear_by_day"), person.days))
    minutes = p["bout_minutes"] * np.exp(p["bout_log_sd"] * rng.standard_normal(int(count.sum())))
    walked = np.bincount(np.repeat(np.arange(person.days), count), minutes, minlength=person.days)
    lost = rng.random(person.days) < p["off_by_day"]
    return np.where(lost, np.nan, np.round(p["cadence"] * walked))


def _uniform(rng: np.random.Generator, bounds: Floats, days: int) -> Floats:
    return rng.uniform(bounds[0], bounds[1], days)


def _worn(rng: np.random.Generator, person: Person, p: Parameters) -> Flags:
    """Nights with the device on [days]: less often when ill, tired or stressed."""
    off = gaps(rng, person.days, rng.uniform(*p.list("off_share")), p["off_length"])
    ill = person.illness
    chance = p["off_per_drive"] * ill.drive + p["off_per_fatigue"] * ill.fatigue
    chance = chance + p["off_stressed"] * (person.states == STRESSED)
    worn: Flags = ~(off | (rng.random(person.days) < chance))
    return worn
