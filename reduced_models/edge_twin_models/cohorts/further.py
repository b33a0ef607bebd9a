"""Further streams of both generators, driven by the illness and by how far the heart rate is from its level."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_twin_models.cohorts.noise import lognormal, saturated
from edge_twin_models.cohorts.parameters import Parameters

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Course:
    """What drives the further streams of one person.

    Attributes:
        day: from the onset of symptoms [days].
        illness: share of the body's peak response [days], 0..1; all 0 without a response.
        anomaly: true heart rate minus the person's level, bpm [days].
        luteal: share of the luteal rise [days], 0..1.
        fever: °C over the level [days] where the generator computes it itself; drawn here without it.
        worn: nights with the device on [days].
    """

    day: Floats
    illness: Floats
    anomaly: Floats
    luteal: Floats
    fever: Floats | None
    worn: Flags


def draw_further(rng: np.random.Generator, course: Course, p: Parameters) -> dict[str, Floats]:
    """Temperature, SpO2, RMSSD, respiration, sleep, weight and symptoms of one person [days], NaN where missing."""
    drawn = {
        "temperature": _temperature(rng, course, p),
        "spo2": _spo2(rng, course, p),
        "rmssd": _rmssd(rng, course, p),
        "respiration_rate": _respiration(rng, course, p),
        "sleep_hours": _sleep(rng, course, p),
    }
    shares = ("temperature_missing", "spo2_missing", "rmssd_missing", "respiration_missing", "sleep_missing")
    for (name, values), share in zip(drawn.items(), shares, strict=True):
        lost = rng.random(values.size) < p[share]
        drawn[name] = np.where(course.worn & ~lost, values, np.nan)
    return drawn | {"weight": _weight(rng, course, p), "symptom_score": _symptoms(rng, course, p)}


def _temperature(rng: np.random.Generator, course: Course, p: Parameters) -> Floats:
    has_fever = rng.random() < p["fever_share"]
    height = saturated(lognormal(rng, p["fever_height"], p["fever_log_sd"]), p["fever_limit"]) * has_fever
    drawn = height * np.interp(course.day - p["fever_lag"], course.day, course.illness)
    fever = drawn if course.fever is None else course.fever
    level = p["temperature_level"] + p["temperature_sd_between"] * rng.standard_normal()
    noise = p["temperature_sd_within"] * rng.standard_normal(course.day.size)
    values: Floats = level + noise + fever + p["luteal_temperature"] * course.luteal
    return values


def _spo2(rng: np.random.Generator, course: Course, p: Parameters) -> Floats:
    affected = rng.random() < p["spo2_ill_share"]
    level = p["spo2_level"] + p["spo2_sd_between"] * rng.standard_normal()
    noise = p["spo2_sd_within"] * rng.standard_normal(course.day.size)
    return np.minimum(level + noise + affected * p["spo2_ill"] * course.illness, 1.0)


def _rmssd(rng: np.random.Generator, course: Course, p: Parameters) -> Floats:
    level = np.log(p["rmssd_median"]) + p["rmssd_log_sd_between"] * rng.standard_normal()
    noise = p["rmssd_log_sd_within"] * rng.standard_normal(course.day.size)
    values: Floats = np.exp(level + noise + p["rmssd_per_beat"] * course.anomaly)
    return values


def _respiration(rng: np.random.Generator, course: Course, p: Parameters) -> Floats:
    level = max(p["respiration_level"] + p["respiration_sd_between"] * rng.standard_normal(), 9.0)
    noise = level * p["respiration_variation"] * rng.standard_normal(course.day.size)
    rise = lognormal(rng, p["respiration_ill"], p["respiration_log_sd"]) * course.illness
    return level + noise + rise + p["respiration_per_beat"] * course.anomaly


def _sleep(rng: np.random.Generator, course: Course, p: Parameters) -> Floats:
    level = p["sleep_level"] + p["sleep_sd_between"] * rng.standard_normal()
    noise = p["sleep_sd_within"] * rng.standard_normal(course.day.size)
    return np.clip(level + noise + p["sleep_ill"] * course.illness, 2.0, 14.0)


def _weight(rng: np.random.Generator, course: Course, p: Parameters) -> Floats:
    low, high = p.list("weight_bounds")
    level = np.clip(p["weight_level"] + p["weight_sd_between"] * rng.standard_normal(), low, high)
    walk = np.cumsum(p["weight_walk"] * rng.standard_normal(course.day.size))
    lost = p["weight_ill"] * np.clip(np.cumsum(course.illness) / 4, 0, 1) * np.exp(-np.maximum(course.day, 0) / 30)
    measured = rng.random(course.day.size) < p["weight_measured"]
    noise = p["weight_noise"] * rng.standard_normal(course.day.size)
    return np.where(measured, level + walk + lost + noise, np.nan)


def _symptoms(rng: np.random.Generator, course: Course, p: Parameters) -> Floats:
    shape = p.list("symptom_shape")
    peak = lognormal(rng, p["symptom_onset"], p["symptom_log_sd"])
    mean = p["symptom_background"] + peak * np.interp(course.day, np.arange(shape.size), shape, left=0.0, right=0.0)
    score = np.minimum(rng.poisson(mean), 10).astype(np.float64)
    return np.where(rng.random(course.day.size) < p["symptom_missing"], np.nan, score)
