"""Flags on the program's blood count: measured low, forecast low, and a forecast that reality contradicts."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import timedelta

from edge_twin.contract import Forecast
from edge_twin.flag import Flag, FlagKind, Sentences, Urgency
from edge_twin.flags.situation import Situation, evidence, is_below, out_of_100
from edge_twin.low_count import WindowStart
from edge_twin.observation import Origin
from edge_twin.wording import Message, Text, Values, say

NOMINAL_OUTSIDE = 0.05  # share of counts that a 95 % interval may miss


def measured_flags(situation: Situation) -> Iterator[Flag]:
    """A fresh count below the program's threshold, or one reported as less than that."""
    count, rule = situation.fresh_count(), situation.given.program.count
    if count is None or not is_below(count, situation.given.program.low_threshold):
        return
    from edge_twin.flags.laboratory import said_range  # noqa: PLC0415 - loaded with the first low count

    threshold = situation.given.program.low_threshold
    grade, said_grade = said_range(situation, count)
    said: Values = {
        "label": rule.label,
        "sign": count.limit_sign,
        "value": count.value,
        "time": situation.local(count.time),
    }
    yield Flag(
        kind=FlagKind(rule.measured_flag),
        time=count.time,
        urgency=Urgency.TODAY,
        origin=Origin.LAB,
        says=Sentences(
            action=(say("counts.measured_action"),),
            reason=(say("counts.measured", **said), said_grade),
            clinician=(say("counts.measured_clinician", **said, threshold=threshold), said_grade),
            would_change=(say("counts.measured_would_change"),),
        ),
        evidence=(evidence(count),),
        bound=situation.bound("forecast", rule.threshold_name),
        ctcae=(grade.as_term,) if grade else (),
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
        urgency=Urgency.TODAY,
        origin=Origin.MODEL,
        says=Sentences(
            action=(say("counts.forecast_action"),),
            reason=_why(forecast),
            would_change=(say("counts.forecast_would_change"),),
            limits=(say("counts.forecast_limits"),),
        ),
        probability=forecast.p_below,
        horizon=_horizon(situation),
        evidence=(evidence(latest),) if latest else (),
        bound=situation.bound("forecast", "raise_probability"),
    )


def _horizon(situation: Situation) -> timedelta:
    """From now to the end of the program's window."""
    rule, window = situation.given.program.count, situation.span("forecast", "window_days")
    last_dose = situation.doses[-1].time if rule.window_from is WindowStart.LAST_DOSE else situation.now
    return max(last_dose + window - situation.now, timedelta(0))


def _why(forecast: Forecast) -> Text:
    event, (low, high) = forecast.event, _interval_at(forecast)
    counted = say("counts.counted" if forecast.interval_counted else "counts.not_validated")
    own = say("counts.own_counts", number=forecast.counts_used)
    return (
        say(
            "counts.expected",
            label=event.label,
            threshold=event.threshold,
            period=event.period,
            chance=out_of_100(forecast.p_below),
        ),
        say("counts.lowest", value=forecast.nadir, low=low, high=high, counted=counted, day=forecast.nadir_day),
        say("counts.basis", basis=own if forecast.counts_used else say("counts.no_count")),
    )


def _interval_at(forecast: Forecast) -> tuple[float, float]:
    index = int(abs(forecast.days - forecast.nadir_day).argmin())
    return float(forecast.state_lower[index]), float(forecast.state_upper[index])


def mismatch_flags(situation: Situation) -> Iterator[Flag]:
    """The forecast is doubtful and says so.

    Either more counts lay outside their 95 % intervals than chance allows, or the counts together are
    stranger than those of nearly all patients that the model itself makes.
    """
    tail, why = min(_misses(situation), _misfit(situation), key=lambda found: found[0])
    if tail > situation.threshold("forecast", "mismatch_probability"):
        return
    yield Flag(
        kind=FlagKind.FORECAST_MISMATCH,
        time=situation.now,
        urgency=Urgency.THIS_WEEK,
        origin=Origin.MODEL,
        says=Sentences(
            action=(say("counts.mismatch_action"),),
            reason=(why,),
            would_change=(say("counts.mismatch_would_change"),),
        ),
        probability=tail,
        bound=situation.bound("forecast", "mismatch_probability"),
    )


def _misses(situation: Situation) -> tuple[float, Message]:
    """Probability of so many counts outside their intervals, and the sentence that says so."""
    coverage = situation.given.coverage
    outside = coverage.seen - coverage.inside
    tail = binomial_tail(coverage.seen, outside, NOMINAL_OUTSIDE)
    return tail, say("counts.misses", outside=outside, seen=coverage.seen)


def _misfit(situation: Situation) -> tuple[float, Message]:
    """Probability of counts that fit the model so badly, and the sentence that says so."""
    forecast = situation.forecast
    if forecast is None:
        return 1.0, say("counts.misfit", widening=1.0)
    return forecast.p_mismatch, say("counts.misfit", widening=forecast.interval_widening)


def binomial_tail(trials: int, at_least: int, share: float) -> float:
    """P(X >= at_least) for X ~ Binomial(trials, share)."""
    return sum(math.comb(trials, k) * share**k * (1.0 - share) ** (trials - k) for k in range(at_least, trials + 1))
