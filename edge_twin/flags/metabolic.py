"""Weight loss, glucose and QTc: single measured values against published thresholds."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import timedelta
from typing import NamedTuple

from edge_twin import codes
from edge_twin.care import MedicineKind
from edge_twin.features.feature import middle
from edge_twin.flag import Flag, FlagKind, Sentences, Urgency
from edge_twin.flags import phrases
from edge_twin.flags.data_quality import faulty_features
from edge_twin.flags.situation import Situation, evidence
from edge_twin.observation import Observation, Origin
from edge_twin.wording import Message, Values, say


class _Loss(NamedTuple):
    """Weight now and at its highest (medians of a few readings), kg, the loss in percent, and the readings."""

    newest: Observation
    highest: Observation
    now_kg: float
    highest_kg: float
    percent: float
    readings: tuple[Observation, ...]


def weight_flags(situation: Situation) -> Iterator[Flag]:
    """Criteria of cachexia (Fearon et al., Lancet Oncol 2011;12:489) on weights of the last six months."""
    if not situation.has("weight_loss"):
        return
    if (jump := unit_jump(situation)) is not None:
        yield _unit_flag(situation, *jump)
        return
    loss = _loss(situation)
    if loss is None or _is_unit_loss(situation, loss):
        return
    index = body_mass_index(situation, loss.now_kg)
    thin = index is not None and index < situation.threshold("weight_loss", "body_mass_index_below")
    name = "percent_above_low_bmi" if thin else "percent_above"
    if loss.percent > situation.threshold("weight_loss", name):
        yield _weight_flag(situation, loss, index, name)


def _weights(situation: Situation) -> list[Observation]:
    """Weights of the last six months, oldest first; none when the newest is old."""
    oldest = situation.now - timedelta(days=situation.threshold("weight_loss", "months_as_days"))
    weights = [o for o in situation.readings(codes.BODY_WEIGHT) if o.time >= oldest]
    fresh = weights and situation.now - weights[-1].time <= situation.span("weight_loss", "fresh_days")
    return weights if fresh else []


def _loss(situation: Situation) -> _Loss | None:
    """The newest weight is the median of the last few; the highest is that of any few in a row."""
    weights, few = _weights(situation), int(situation.threshold("weight_loss", "readings_needed"))
    if len(weights) <= few:
        return None
    smooth = [middle([o.value for o in weights[k : k + few]]) for k in range(len(weights) - few + 1)]
    top = max(range(len(smooth)), key=lambda k: smooth[k])
    percent = 100.0 * (smooth[top] - smooth[-1]) / smooth[top]
    readings = tuple(dict.fromkeys((*weights[top : top + few], *weights[-few:])))
    return _Loss(weights[-1], weights[top], smooth[-1], smooth[top], percent, readings)


def _is_unit_loss(situation: Situation, loss: _Loss) -> bool:
    return loss.percent >= situation.threshold("weight_loss", "unit_suspected_percent")


def unit_jump(situation: Situation) -> tuple[Observation, Observation] | None:
    """The newest weight and the newest earlier one that it cannot follow in one unit; None without such a jump."""
    loss, weights = _loss(situation), _weights(situation)
    if not (_is_unit_of_day(situation) or (loss is not None and _is_unit_loss(situation, loss))):
        return None
    newest, share = weights[-1:], situation.threshold("weight_loss", "unit_suspected_percent") / 100.0
    far = (o for o in reversed(weights) if abs(o.value - newest[0].value) >= share * max(o.value, newest[0].value))
    before = next(far, None)
    return None if before is None else (newest[0], before)


def body_mass_index(situation: Situation, weight_kg: float) -> float | None:
    """From the weight and the newest height, else as a scale said it; None when neither is known."""
    height = situation.newest(codes.BODY_HEIGHT)
    if height is not None:
        return weight_kg / height.value**2
    told = situation.newest(codes.BODY_MASS_INDEX)
    return told.value if told else None


def _weight_flag(situation: Situation, loss: _Loss, index: float | None, name: str) -> Flag:
    found: Values = {
        "percent": loss.percent,
        "value": loss.now_kg,
        "before": loss.highest_kg,
        "readings": situation.threshold("weight_loss", "readings_needed"),
        "time": situation.local(loss.newest.time),
        "since": situation.local(loss.highest.time),
    }
    said_index = say("weight.index", index=index) if index is not None else say("weight.index_unknown")
    return Flag(
        kind=FlagKind.WEIGHT_LOSS,
        time=loss.newest.time,
        urgency=Urgency.THIS_WEEK,
        origin=Origin.DEVICE,
        says=Sentences(
            action=(say("weight.action"),),
            reason=(say("weight.found", **found),),
            clinician=(say("weight.clinician", **found), said_index),
            would_change=(say("weight.would_change"),),
            limits=(say("weight.limits"),),
            data_quality=() if index is not None else (say("weight.index_unknown"),),
        ),
        evidence=tuple(evidence(reading) for reading in loss.readings),
        bound=situation.bound("weight_loss", name),
    )


def _is_unit_of_day(situation: Situation) -> bool:
    """Whether the features of the day suspect it."""
    if not situation.has("data_quality"):
        return False
    return any("weight" in feature.name for feature in faulty_features(situation, "unit_change_suspected"))


def _unit_flag(situation: Situation, newest: Observation, before: Observation) -> Flag:
    return Flag(
        kind=FlagKind.DATA_QUALITY,
        topic="body_weight_unit",
        time=newest.time,
        urgency=Urgency.NOTE,
        origin=newest.origin,
        says=Sentences(
            action=(say("weight.action_unit"),),
            reason=(
                say(
                    "weight.unit_suspected",
                    value=newest.value,
                    time=situation.local(newest.time),
                    before=before.value,
                    since=situation.local(before.time),
                ),
            ),
        ),
        evidence=(evidence(before), evidence(newest)),
        bound=situation.bound("weight_loss", "unit_suspected_percent"),
    )


# ---- glucose -------------------------------------------------------------------------------------------

_MASS, _MOLAR = "mg_per_dl", "mmol_per_l"
_GLUCOSE: Mapping[codes.Code, str] = {
    codes.GLUCOSE_CAPILLARY: _MASS,
    codes.GLUCOSE_BLOOD: _MASS,
    codes.GLUCOSE_PLASMA: _MASS,
    codes.GLUCOSE_INTERSTITIAL: _MASS,
    codes.GLUCOSE_CAPILLARY_MOLAR: _MOLAR,
    codes.GLUCOSE_BLOOD_MOLAR: _MOLAR,
    codes.GLUCOSE_PLASMA_MOLAR: _MOLAR,
    codes.GLUCOSE_INTERSTITIAL_MOLAR: _MOLAR,
}
_SENSOR = (codes.GLUCOSE_INTERSTITIAL, codes.GLUCOSE_INTERSTITIAL_MOLAR)
_Beyond = Callable[[float], bool]


def glucose_flags(situation: Situation) -> Iterator[Flag]:
    """The newest glucose, too low or too high; that of a continuous sensor must have lasted."""
    if not situation.has("glucose"):
        return
    oldest = situation.now - situation.span("glucose", "active_hours")
    readings = [o for code in _GLUCOSE for o in situation.readings(code) if o.time >= oldest]
    newest = max(readings, key=lambda o: (o.time, o.id), default=None)
    if newest is not None:
        of_its_kind = [o for o in readings if o.code == newest.code and o.source == newest.source]
        yield from _glucose(situation, newest, of_its_kind)


def _glucose(situation: Situation, newest: Observation, readings: Sequence[Observation]) -> Iterator[Flag]:
    for level, urgency in (("very_low_below", Urgency.NOW), ("low_below", Urgency.TODAY)):
        limit = _level(situation, level, newest)
        if _lasted(situation, readings, lambda value, limit=limit: value < limit):  # type: ignore[misc]
            yield _glucose_flag(situation, newest, FlagKind.GLUCOSE_LOW, level, urgency)
            return
    for level in ("very_high_above", "high_above"):
        limit = _level(situation, level, newest)
        lately = situation.span("glucose", "steroid_acts_hours")
        steroid_excluded = situation.care.is_excluded(MedicineKind.STEROID, situation.now, lately)
        if level == "high_above" and steroid_excluded:
            return
        if _lasted(situation, readings, lambda value, limit=limit: value > limit):  # type: ignore[misc]
            yield _glucose_flag(situation, newest, FlagKind.GLUCOSE_HIGH, level, Urgency.TODAY)
            return


def _level(situation: Situation, level: str, reading: Observation) -> float:
    return situation.threshold("glucose", f"{level}_{_GLUCOSE[reading.code]}")


def _lasted(situation: Situation, readings: Sequence[Observation], beyond: _Beyond) -> bool:
    """Whether the newest reading is beyond, and with a continuous sensor all of the last quarter of an hour."""
    newest = readings[-1]
    if not beyond(newest.value) or newest.code not in _SENSOR:
        return beyond(newest.value)
    first = newest
    for reading in reversed(readings[:-1]):
        if not beyond(reading.value) or first.time - reading.time > situation.span("glucose", "gap_minutes"):
            break
        first = reading
    return newest.time - first.time >= situation.span("glucose", "sustained_minutes")


def _glucose_flag(situation: Situation, newest: Observation, kind: FlagKind, level: str, urgency: Urgency) -> Flag:
    table, limit = "glucose", _level(situation, level, newest)
    side = "low" if kind is FlagKind.GLUCOSE_LOW else "high"
    found = say(
        f"glucose.{side}",
        value=newest.value,
        unit=newest.code.unit,
        time=situation.local(newest.time),
        limit=limit,
    )
    return Flag(
        kind=kind,
        time=newest.time,
        urgency=urgency,
        origin=newest.origin,
        says=Sentences(
            action=(say(f"glucose.action_{side}_{urgency.value}"),),
            reason=(found,),
            clinician=(found, _recorded(situation, side)),
            would_change=(say("glucose.would_change"),),
            limits=(say("glucose.limits"),),
            data_quality=() if situation.care.diabetes is not None else (say("glucose.diabetes_unknown"),),
        ),
        evidence=(evidence(newest),),
        bound=situation.bound(table, f"{level}_{_GLUCOSE[newest.code]}"),
    )


def _recorded(situation: Situation, side: str) -> Message:
    """Medicines that lower glucose beside a low value, and those that raise it beside a high one."""
    if side == "low":
        return phrases.medicines(situation, (MedicineKind.INSULIN_OR_ANTIDIABETIC,))
    return phrases.medicines(situation, (MedicineKind.STEROID,), situation.span("glucose", "steroid_acts_hours"))


# ---- QTc -----------------------------------------------------------------------------------------------


def qtc_flags(situation: Situation) -> Iterator[Flag]:
    """The newest QTc above 500 ms, or 60 ms and more over the value before treatment."""
    if not situation.has("qtc"):
        return
    readings = [o for c in (codes.QTC_INTERVAL, codes.QTC_INTERVAL_FRIDERICIA) for o in situation.readings(c)]
    newest = max(readings, key=lambda o: (o.time, o.id), default=None)
    if newest is None or situation.now - newest.time > situation.span("qtc", "fresh_days"):
        return
    before = situation.care.value_before(newest.code.name)
    if newest.value > situation.threshold("qtc", "above_ms"):
        yield _qtc_flag(situation, newest, before, "above_ms")
    elif before is not None and newest.value - before >= situation.threshold("qtc", "rise_at_least_ms"):
        yield _qtc_flag(situation, newest, before, "rise_at_least_ms")


def fridericia(qt_ms: float, rr_ms: float) -> float:
    """QTcF, ms: QT divided by the cube root of RR in seconds (Fridericia 1920)."""
    return qt_ms / math.cbrt(rr_ms / 1000.0)


def _qtc_flag(situation: Situation, newest: Observation, before: float | None, name: str) -> Flag:
    fridericias = newest.code == codes.QTC_INTERVAL_FRIDERICIA
    found = say("qtc.found", value=newest.value, time=situation.local(newest.time))
    compared = say("qtc.before", before=before) if before is not None else say("qtc.before_unknown")
    limit = say(f"qtc.{name}", limit=situation.threshold("qtc", name))
    return Flag(
        kind=FlagKind.QTC_PROLONGED,
        time=newest.time,
        urgency=Urgency.TODAY,
        origin=newest.origin,
        says=Sentences(
            action=(say("qtc.action"),),
            reason=(found, limit, compared),
            clinician=(
                found,
                limit,
                compared,
                phrases.medicines(situation, (MedicineKind.QT_PROLONGING,)),
            ),
            would_change=(say("qtc.would_change"),),
            limits=(say("qtc.limits"),),
            data_quality=() if fridericias else (say("qtc.correction_unknown"),),
        ),
        evidence=(evidence(newest),),
        bound=situation.bound("qtc", name),
    )


__all__ = ["body_mass_index", "fridericia", "glucose_flags", "qtc_flags", "weight_flags"]
