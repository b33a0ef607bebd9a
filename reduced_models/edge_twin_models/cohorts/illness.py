"""The onset-locked response of the generator ``ar``: heart rate leads, steps lag, people differ."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_twin_models.cohorts.noise import lognormal
from edge_twin_models.cohorts.parameters import Parameters

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Response:
    """How one person's body answers the infection.

    Attributes:
        peak: of the heart rate over the person's level, bpm; 0 without a response.
        lead: days before the onset of symptoms at which the rise begins.
        peak_day: day of the peak; 0 = onset.
        fall: days from the peak back to the level.
        undershoot: bpm below the level afterwards.
        undershoot_days: length of that.
        late_rise: bpm of the second, small peak about four weeks later.
        steps_factor: on the median fall of log steps; 0 for people who move as before.
    """

    peak: float
    lead: float
    peak_day: float
    fall: float
    undershoot: float
    undershoot_days: float
    late_rise: float
    steps_factor: float


def draw_response(rng: np.random.Generator, p: Parameters) -> Response:
    """One person's response."""
    responds = float(rng.random() < p["responders"])
    moves_less = float(rng.random() < p["ill_steps_share"])
    severity = rng.standard_normal()  # strong responders of the heart rate also move less
    return Response(
        peak=responds * p["peak_heart_rate"] * float(np.exp(p["peak_log_sd"] * severity)),
        lead=lognormal(rng, p["lead_days"], p["lead_log_sd"]),
        peak_day=rng.uniform(*p.list("peak_day")),
        fall=rng.uniform(*p.list("fall_days")),
        undershoot=responds * lognormal(rng, p["undershoot"], p["undershoot_log_sd"]),
        undershoot_days=rng.uniform(*p.list("undershoot_days")),
        late_rise=responds * lognormal(rng, p["late_rise"], p["undershoot_log_sd"]),
        steps_factor=moves_less * float(np.exp(p["ill_steps_log_sd"] * (severity + rng.standard_normal()) / 2**0.5)),
    )


def activation(response: Response, day: Floats) -> Floats:
    """Share of the peak on each day [days], 0..1: a concave rise before onset and a smooth fall."""
    rise = np.clip((day + response.lead) / (response.peak_day + response.lead), 0, 1)
    fall = np.clip((day - response.peak_day) / response.fall, 0, 1)
    return (1 - (1 - rise) ** 1.5) * (1 - _smooth(fall))


def heart_rate(response: Response, day: Floats, p: Parameters) -> Floats:
    """Beats per minute to add on each day [days]."""
    back = response.peak_day + 0.6 * response.fall  # the undershoot begins while the peak fades
    within = np.clip((day - back) / response.undershoot_days, 0, 1)
    under = np.sin(np.pi * within**0.7)
    late = np.exp(-0.5 * ((day - p["late_rise_day"]) / p["late_rise_width"]) ** 2)
    return response.peak * activation(response, day) - response.undershoot * under + response.late_rise * late


def log_steps(response: Response, day: Floats, p: Parameters) -> Floats:
    """Change of log steps on each day [days]."""
    curve = p.list("ill_steps")
    first = -2.0
    return response.steps_factor * np.interp(day, first + np.arange(curve.size), curve, left=0.0, right=0.0)


def _smooth(x: Floats) -> Floats:
    return x * x * (3 - 2 * x)
