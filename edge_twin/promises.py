"""What a forecast and a flag promise, and how a promise fares against what came: pure functions on JSON values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from edge_twin.contract import Forecast, TwinInput, TwinOutput
from edge_twin.flags.life import Form
from edge_twin.low_count import WindowStart
from edge_twin.observation import Observation
from edge_twin.program import Program

Says = Mapping[str, Any]
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Cover:
    """What trust is earned for, at one site.

    Attributes:
        program: id of the disease program.
        version: of the program.
        bundle: name and version of the reduced model; empty without one.
    """

    program: str
    version: int
    bundle: str

    @property
    def text(self) -> str:
        """One word."""
        return f"{self.program}/{self.version}/{self.bundle}"


def cover_of(program: Program, bundle: str) -> Cover:
    """The cover of what a program says with a model."""
    return Cover(program.id, program.version, bundle)


def forecast_promise(given: TwinInput, output: TwinOutput) -> dict[str, Any] | None:
    """What the forecast of a step promises; None without one.

    For every day from now to the end of the forecast: median and 95 % interval of a measured count (10*9/L); and the
    probability of the low count until a stated time. Values are linear between the days.
    """
    forecast = output.forecast
    if forecast is None:
        return None
    days = _days_ahead(forecast, output.now)
    curves = {name: _at(forecast, name, days) for name in ("median", "lower", "upper")}
    return {
        "cover": cover_of(given.program, output.model_id).text,
        "origin": forecast.origin,
        "days": [round(float(day), 4) for day in days],
        **curves,
        "event": forecast.event.probability_name,
        "threshold": forecast.event.threshold,
        "probability": round(forecast.p_below, 4),
        "until": window_end(given, output.now),
        "basis": _basis(given, output),
    }


def _days_ahead(forecast: Forecast, now: datetime) -> np.ndarray[Any, Any]:
    first, last = (now - forecast.origin) / _DAY, float(forecast.days[-1])
    return np.append(np.arange(first, last, 1.0), last) if first < last else np.array([last])


def _at(forecast: Forecast, name: str, days: np.ndarray[Any, Any]) -> list[float]:
    return [float(f"{value:.4g}") for value in np.interp(days, forecast.days, getattr(forecast, name))]


def window_end(given: TwinInput, now: datetime) -> datetime:
    """Until when a low count is foretold."""
    rule, window = given.program.count, timedelta(days=given.program.threshold("forecast", "window_days"))
    doses = [dose.time for dose in given.doses if dose.time <= now]
    return (max(doses) if doses and rule.window_from is WindowStart.LAST_DOSE else now) + window


def _basis(given: TwinInput, output: TwinOutput) -> list[Any]:
    """What a forecast rests on; while it is the same, the forecast is chained only now and then."""
    forecast = output.forecast
    known = sum(dose.time <= output.now for dose in given.doses)
    return [known, forecast.counts_used, round(forecast.interval_widening, 3)] if forecast else []


def is_due(newest: Says | None, entered: datetime | None, promise: Says, now: datetime, every: timedelta) -> bool:
    """Whether a promise has to be chained: the first, on another basis, or ``every`` after the newest one."""
    if newest is None or entered is None or not timedelta(0) <= now - entered < every:
        return True
    return any(newest.get(name) != promise[name] for name in ("cover", "basis"))


def flag_promise(number: int, key: str, form: Form, cover: Cover) -> dict[str, Any]:
    """What a flag promises when it is raised."""
    names = ("kind", "urgency", "origin", "time", "probability", "horizon")
    learned = bool(form.get("contributions"))
    return {"flag": number, "key": key, "cover": cover.text, "learned": learned, **{n: form[n] for n in names}}


def count_outcome(count: Observation, promise: Says | None) -> dict[str, Any]:
    """A measured count beside the interval that was promised for it; without an interval where none was."""
    band = None if promise is None else band_at(promise, count.time)
    fact = {"value": count.value, "sign": count.limit_sign, "time": count.time}
    if promise is None or band is None:
        return fact
    lower, upper = band
    # A limit contradicts the interval only when all of the interval lies above it.
    value = min(count.value, upper) if count.limit_sign else count.value
    return {**fact, "cover": promise["cover"], "lower": lower, "upper": upper, "inside": lower <= value <= upper}


def band_at(promise: Says, moment: datetime) -> tuple[float, float] | None:
    """The promised 95 % interval at a moment, linear between days; None outside of the promised days."""
    day = (moment - datetime.fromisoformat(str(promise["origin"]))) / _DAY
    days = promise["days"]
    if not days or not days[0] - 1e-4 <= day <= days[-1] + 1e-4:
        return None
    lower, upper = (round(float(np.interp(day, days, promise[name])), 6) for name in ("lower", "upper"))
    return lower, upper


@dataclass(frozen=True, slots=True)
class Counted:
    """A count that came.

    Attributes:
        time: of the sample.
        low: whether it was below the threshold; a limit ("less than") of the threshold or less is.
    """

    time: datetime
    low: bool


def came(counts: Iterable[Counted], begin: datetime, end: datetime, now: datetime, enough: int) -> bool | None:
    """Whether a low count that was foretold came.

    Args:
        counts: measured, in any order.
        begin: when it was foretold; the counts after it decide.
        end: of the window.
        now: the moment of asking.
        enough: so many counts within a window that is over, none of them low, mean "no".

    Returns:
        None while, or because, it cannot be known.
    """
    within = [count for count in counts if begin < count.time <= end]
    if any(count.low for count in within):
        return True
    return False if now >= end and len(within) >= enough else None
