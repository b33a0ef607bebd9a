"""Other causes of a raised heart rate: alcohol, hard training, vaccination, strain; all of them false alarms."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_twin_models.cohorts.noise import lognormal
from edge_twin_models.cohorts.parameters import Parameters

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Events:
    """What the events add on each day: heart rate in bpm, log steps, both [days]."""

    heart_rate: Floats
    log_steps: Floats

    def decoys(self) -> NDArray[np.intp]:
        """Rows of the days on which an event raises the heart rate by a beat or more."""
        return np.flatnonzero(self.heart_rate >= 1.0)


def draw_events(rng: np.random.Generator, weekday: NDArray[np.int64], p: Parameters) -> Events:
    """All events of one person; ``weekday`` [days] is 0 for Monday."""
    events = Events(np.zeros(weekday.size), np.zeros(weekday.size))
    _alcohol(rng, weekday, events, p)
    _exercise(rng, events, p)
    _vaccination(rng, events, p)
    _strain(rng, events, p)
    return events


def _alcohol(rng: np.random.Generator, weekday: NDArray[np.int64], events: Events, p: Parameters) -> None:
    """The night belongs to the morning's date: Friday's glass is in Saturday's value."""
    drinks = rng.random() < p["alcohol_share"]
    chance = np.where((weekday == 5) | (weekday == 6), p["alcohol_weekend"], p["alcohol_weekday"])  # noqa: PLR2004 - days of the week
    nights = (rng.random(weekday.size) < chance) & drinks
    size = p["alcohol_heart_rate"] * np.exp(p["alcohol_log_sd"] * rng.standard_normal(weekday.size))
    events.heart_rate[:] += nights * size


def _exercise(rng: np.random.Generator, events: Events, p: Parameters) -> None:
    """More steps on the day, a higher heart rate in the night after."""
    length = events.heart_rate.size
    trained = rng.random(length) < p["exercise_rate"]
    size = p["exercise_heart_rate"] * np.exp(p["exercise_log_sd"] * rng.standard_normal(length))
    events.log_steps[:] += trained * p["exercise_steps"]
    events.heart_rate[1:] += (trained * size)[:-1]


def _vaccination(rng: np.random.Generator, events: Events, p: Parameters) -> None:
    length = events.heart_rate.size
    given, day = rng.random() < p["vaccination_share"], int(rng.integers(length))
    size = lognormal(rng, p["vaccination_heart_rate"], p["vaccination_log_sd"])
    if given:
        _add(events, day, size * p.list("vaccination_shape"), p["vaccination_steps"] * p.list("vaccination_shape"))


def _strain(rng: np.random.Generator, events: Events, p: Parameters) -> None:
    low, high = p.list("strain_days")
    for day in np.flatnonzero(rng.random(events.heart_rate.size) < p["strain_rate"]).tolist():
        days = int(rng.integers(int(low), int(high) + 1))
        size = lognormal(rng, p["strain_heart_rate"], p["strain_log_sd"])
        steps = p["strain_steps_sd"] * rng.standard_normal()
        _add(events, day, np.full(days, size), np.full(days, steps))


def _add(events: Events, day: int, heart_rate: Floats, log_steps: Floats) -> None:
    room = min(heart_rate.size, events.heart_rate.size - day)
    events.heart_rate[day : day + room] += heart_rate[:room]
    events.log_steps[day : day + room] += log_steps[:room]
