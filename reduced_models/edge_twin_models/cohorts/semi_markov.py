"""Generator ``state``: hidden states with their own durations, an inflammatory drive, and what follows from it.

Nothing of ``ar`` is used: heart rate and steps are not an added curve but what epochs of a night and bouts of a day
leave after summarising, and the illness acts through temperature, a slow rebound and fatigue.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_twin_models.cohorts.noise import lognormal, saturated
from edge_twin_models.cohorts.parameters import Parameters

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
WELL, STRESSED, TRAINED, SOCIAL = range(4)
FRIDAY, SATURDAY = 4, 5


@dataclass(frozen=True, slots=True)
class Calendar:
    """Days of one person from the onset [days], weekday (0 = Monday), days since the last dose, number of doses."""

    day: Integers
    weekday: Integers
    cycle_day: Integers
    cycle: Integers
    cycle_length: int


@dataclass(frozen=True, slots=True)
class Illness:
    """What the infection does on each day [days].

    Attributes:
        drive: inflammatory, 1 at the peak.
        fever: °C over the level.
        heart_rate: bpm, through temperature, directly, and the later rebound below the level.
        fatigue: slow response to the drive.
        log_steps: change of log steps.
        responds: whether the heart rate answers at all.
    """

    drive: Floats
    fever: Floats
    heart_rate: Floats
    fatigue: Floats
    log_steps: Floats
    responds: bool


def draw_calendar(rng: np.random.Generator, p: Parameters) -> Calendar:
    """Length, weekday of the onset and treatment of one person."""
    span = "short_before" if rng.random() < p["short_share"] else "days_before"
    day = np.arange(-int(rng.uniform(*p.list(span))), int(rng.uniform(*p.list("days_after"))) + 1)
    weekday = (day + int(rng.integers(7))) % 7
    if rng.random() >= p["chemotherapy_share"]:
        return Calendar(day, weekday, np.full(day.size, -1), np.zeros(day.size, dtype=np.int64), 0)
    length = int(rng.choice(p.list("cycle_lengths")))
    since = day - day[0] + int(rng.integers(length))
    return Calendar(day, weekday, since % length, since // length, length)


def draw_states(rng: np.random.Generator, weekday: Integers, p: Parameters) -> Integers:
    """Background state of each day [days]; every state but the first returns to it."""
    states = np.zeros(weekday.size, dtype=np.int64)
    day, state = -int(rng.integers(7)), WELL
    while day < weekday.size:
        stay = max(1, round(lognormal(rng, p.list("sojourn_median")[state], p.list("sojourn_log_sd")[state])))
        states[max(day, 0) : max(day + stay, 0)] = state
        day += stay
        state = _next(rng, state, int(weekday[min(max(day, 0), weekday.size - 1)]), p)
    return states


def _next(rng: np.random.Generator, state: int, weekday: int, p: Parameters) -> int:
    if state != WELL:
        return WELL
    weights = p.list("next_state").copy()
    weights[SOCIAL] *= p["weekend_social"] if weekday in {FRIDAY, SATURDAY} else 1.0
    return int(rng.choice(weights.size, p=weights / weights.sum()))


def draw_illness(rng: np.random.Generator, day: Floats, p: Parameters) -> Illness:
    """Course of one person's infection; exposure lies one incubation before the onset of symptoms."""
    incubation = lognormal(rng, p["incubation_median"], p["incubation_log_sd"])
    prodrome = incubation * rng.uniform(*p.list("prodrome_share"))
    peak = rng.uniform(*p.list("peak_delay"))
    fall = lognormal(rng, p["fall_median"], p["fall_log_sd"])
    drive = _drive(day, prodrome, peak, fall, p["rise_share"])
    responds = bool(rng.random() < p["responders"])
    height = responds * lognormal(rng, p["temperature_peak"], p["temperature_log_sd"])
    fever = saturated(height, p["temperature_limit"]) * drive
    beats = lognormal(rng, p["beats_per_degree"], p["beats_log_sd"])
    rebound = lognormal(rng, p["rebound"], p["rebound_log_sd"])
    slow = followed(drive, p["rebound_days"])
    fatigue = followed(followed(drive, p["fatigue_days"]), p["fatigue_days"])
    heart_rate = beats * fever + responds * (p["direct_heart_rate"] * drive - rebound * slow)
    tired = lognormal(rng, 1.0, p["fatigue_log_sd"])
    log_steps = tired * (p["fatigue_steps"] * fatigue + p["drive_steps"] * drive)
    return Illness(drive, fever, heart_rate, fatigue, log_steps, responds)


def followed(drive: Floats, days: float) -> Floats:
    """First-order response to a drive that is constant over each day [days], exact at the end of each day."""
    kept = float(np.exp(-1 / days))
    response = np.empty(drive.size)
    value = 0.0
    for number, driven in enumerate(drive.tolist()):
        value = kept * value + (1 - kept) * driven
        response[number] = value
    return response


def _drive(day: Floats, prodrome: float, peak: float, fall: float, rise_share: float) -> Floats:
    """Exponential growth from the beginning of the prodrome to the peak, exponential decay after it."""
    tau = rise_share * prodrome
    t = np.minimum(day, peak)
    grown = np.expm1((t + prodrome) / tau) / np.expm1((peak + prodrome) / tau)
    return np.where(day < -prodrome, 0.0, np.where(day < peak, grown, np.exp(-np.maximum(day - peak, 0) / fall)))
