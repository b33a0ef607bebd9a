"""Flags on the program's blood count: measured low, forecast low, and a forecast that reality contradicts."""

from __future__ import annotations

import math
from collections.abc import Iterator

from edge_twin.contract import Flag, FlagKind, Forecast, Urgency
from edge_twin.flags.situation import Situation, evidence, is_below, out_of_100
from edge_twin.observation import Origin

NOMINAL_OUTSIDE = 0.05  # share of counts that a 95 % interval may miss


def measured_flags(situation: Situation) -> Iterator[Flag]:
    """A fresh count below the program's threshold, or one reported as less than that."""
    count, rule = situation.fresh_count(), situation.given.program.count
    if count is None or not is_below(count, situation.given.program.low_threshold):
        return
    yield Flag(
        kind=FlagKind(rule.measured_flag),
        time=count.time,
        urgency=Urgency.SOON,
        action="Tell your team today, and measure your temperature by mouth as your plan says.",
        reason=f"{rule.label.capitalize()} {count.limit_sign}{count.value:g} ×10⁹/L at {situation.local(count.time)}: "
        "in the CTCAE v5 grade 4 range; grade to be confirmed by a clinician.",
        origin=Origin.LAB,
        evidence=(evidence(count),),
    )


def forecast_flags(situation: Situation) -> Iterator[Flag]:
    """A low count expected within the program's window."""
    forecast = situation.forecast
    if forecast is None or forecast.p_below < situation.threshold("forecast", "raise_probability"):
        return
    latest = situation.latest_count()
    yield Flag(
        kind=FlagKind(situation.given.program.count.forecast_flag),
        time=situation.now,
        urgency=Urgency.SOON,
        action="Tell your team today that low counts are expected.",
        reason=_why(forecast),
        origin=Origin.MODEL,
        probability=forecast.p_below,
        evidence=(evidence(latest),) if latest else (),
    )


def _why(forecast: Forecast) -> str:
    basis = (
        f"{forecast.counts_used} of your counts" if forecast.counts_used else "other patients, no count of yours yet"
    )
    counted = "counted on your own data" if forecast.interval_counted else "not yet validated for you"
    low, high = _interval_at(forecast)
    event = forecast.event
    return (
        f"{event.label.capitalize()} expected below {event.threshold:g} ×10⁹/L {event.period}: "
        f"chance {out_of_100(forecast.p_below)}. "
        f"Lowest expected {forecast.nadir:.2f} ×10⁹/L (95 % interval {low:.2f} to {high:.2f}, {counted}) "
        f"about day {forecast.nadir_day:.0f} after the first dose. Based on the model and {basis}."
    )


def _interval_at(forecast: Forecast) -> tuple[float, float]:
    index = int(abs(forecast.days - forecast.nadir_day).argmin())
    return float(forecast.state_lower[index]), float(forecast.state_upper[index])


def mismatch_flags(situation: Situation) -> Iterator[Flag]:
    """The forecast is doubtful and says so.

    Either more counts lay outside their 95 % intervals than chance allows, or the counts together are
    stranger than those of nearly all patients that the model itself makes.
    """
    tail, why = min(_misses(situation), _misfit(situation))
    if tail > situation.threshold("forecast", "mismatch_probability"):
        return
    yield Flag(
        kind=FlagKind.FORECAST_MISMATCH,
        time=situation.now,
        urgency=Urgency.ATTENTION,
        action="Do not rely on the forecast until your team has looked at it.",
        reason=why,
        origin=Origin.MODEL,
        probability=tail,
    )


def _misses(situation: Situation) -> tuple[float, str]:
    """Probability of so many counts outside their intervals, and the sentence that says so."""
    coverage = situation.given.coverage
    outside = coverage.seen - coverage.inside
    why = f"{outside} of {coverage.seen} counts fell outside the interval that was forecast for them."
    return binomial_tail(coverage.seen, outside, NOMINAL_OUTSIDE), why


def _misfit(situation: Situation) -> tuple[float, str]:
    """Probability of counts that fit the model so badly, and the sentence that says so."""
    forecast = situation.forecast
    if forecast is None:
        return 1.0, ""
    why = (
        "Your counts do not fit the course that the model expects of any patient; "
        f"its intervals were made {forecast.interval_widening:.1f} times as wide."
    )
    return forecast.p_mismatch, why


def binomial_tail(trials: int, at_least: int, share: float) -> float:
    """P(X >= at_least) for X ~ Binomial(trials, share)."""
    return sum(math.comb(trials, k) * share**k * (1.0 - share) ** (trials - k) for k in range(at_least, trials + 1))
