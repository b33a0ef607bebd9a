"""Resting heart rate of the night above the personal baseline.

The red rule of NightSignal (Alavi et al., Nat Med 2022;28:175): whole beats per minute; baseline is the
median of all nights so far, today included; two consecutive nights at least 4 above it. Their nightly
value is a mean over motionless minutes; ours is the lowest window heart rate of the night, since a strap
that is worn in windows has no motionless minutes to average.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from edge_twin.features import NIGHT_HEART_RATE, Feature
from edge_twin.features.calendar import local_date
from edge_twin.features.feature import middle
from edge_twin.flag import Evidence, Flag, FlagKind, Sentences, Urgency
from edge_twin.flags.situation import Situation
from edge_twin.observation import Origin
from edge_twin.wording import say


def heart_rate_flags(situation: Situation) -> Iterator[Flag]:
    """The red rule on the newest nights."""
    nights = [f for f in situation.features if f.name == NIGHT_HEART_RATE and f.value is not None]
    nights = [night for night in nights if night.end <= situation.now]
    if len(nights) < situation.threshold("resting_heart_rate", "nights_needed"):
        return
    if situation.now - nights[-1].end > situation.span("resting_heart_rate", "fresh_hours"):
        return
    if not _red(situation, nights):
        return
    yield _flag(situation, nights)


def _red(situation: Situation, nights: Sequence[Feature]) -> bool:
    needed = int(situation.threshold("resting_heart_rate", "consecutive_nights"))
    dates = [local_date(night.start, situation.zone) for night in nights[-needed:]]
    consecutive = (dates[-1] - dates[0]).days == needed - 1
    return consecutive and all(_excess(nights[: len(nights) - k]) >= _limit(situation) for k in range(needed))


def _excess(nights: Sequence[Feature]) -> int:
    """Whole beats per minute of the last night above the median of all nights up to it."""
    return _beats(nights[-1]) - _baseline(nights)


def _beats(night: Feature) -> int:
    return int(night.value or 0.0)


def _baseline(nights: Sequence[Feature]) -> int:
    return int(middle([_beats(night) for night in nights]))


def _limit(situation: Situation) -> float:
    return situation.threshold("resting_heart_rate", "excess_per_min")


def _flag(situation: Situation, nights: Sequence[Feature]) -> Flag:
    last = nights[-1]
    found = {"rate": _beats(last), "excess": _excess(nights), "baseline": _baseline(nights), "nights": len(nights)}
    return Flag(
        kind=FlagKind.RESTING_HEART_RATE,
        time=last.end,
        urgency=Urgency.TODAY,
        origin=Origin.DEVICE,
        says=Sentences(
            action=(say("heart.action"),),
            reason=(say("heart.above", **found),),
            would_change=(say("heart.would_change"),),
            limits=(say("heart.limits"),),
        ),
        evidence=tuple(Evidence(n.name, n.value or 0.0, n.unit, n.end, Origin.DEVICE, n.start) for n in nights[-2:]),
        bound=situation.bound("resting_heart_rate", "excess_per_min"),
    )
