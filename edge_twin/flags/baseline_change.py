"""A change of daily features against this person's own baseline: the detector of ``edge_twin/detection``.

The detector is run over the daily features at hand, oldest first, so that nothing is hidden in a state: the same
features give the same flag. Doses of the program's drug give the day of the cycle.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, timedelta

from edge_twin.detection import DayRecord, DayScore, Detector
from edge_twin.detection.fusion import OWN_HISTORY
from edge_twin.features import DAY_SATURATION, DAY_STEPS, DAY_TEMPERATURE, NIGHT_HEART_RATE, Feature
from edge_twin.features.calendar import local_date
from edge_twin.flag import Bound, Contribution, Evidence, Flag, FlagKind, Sentences, Urgency
from edge_twin.flags.situation import Situation, out_of_100
from edge_twin.observation import Origin
from edge_twin.wording import Message, say

# Stream of the detector by feature, and the factor from the feature's unit to the stream's.
STREAMS = {
    NIGHT_HEART_RATE: ("resting_heart_rate", 1.0),
    DAY_STEPS: ("steps", 1.0),
    DAY_TEMPERATURE: ("temperature", 1.0),
    DAY_SATURATION: ("spo2", 0.01),
}

Days = Mapping[date, Mapping[str, Feature]]


def baseline_change_flags(situation: Situation) -> Iterator[Flag]:
    """The newest alert of the detector, as long as it stands."""
    days = _days(situation)
    if not days:
        return
    detector = Detector.shipped()
    answers = _answers(detector, days, _dose_dates(situation))
    raised = [answer for answer in answers if answer.alert]
    oldest = local_date(situation.now, situation.zone) - timedelta(days=detector.settings.alert.stands_days - 1)
    if raised and date.fromordinal(raised[-1].day) >= oldest:
        yield _flag(detector, raised[-1], days[date.fromordinal(raised[-1].day)])


def _days(situation: Situation) -> Days:
    """Features with a value, by the local day that they describe and by stream; only finished periods."""
    days: dict[date, dict[str, Feature]] = {}
    for feature in situation.features:
        if feature.name in STREAMS and feature.value is not None and feature.end <= situation.now:
            days.setdefault(local_date(feature.start, situation.zone), {})[STREAMS[feature.name][0]] = feature
    return dict(sorted(days.items()))


def _answers(detector: Detector, days: Days, doses: Sequence[date]) -> list[DayScore]:
    newest = detector.settings.onset.cycle_window_days
    return [
        detector.update(
            DayRecord(
                day.toordinal(),
                {stream: _in_stream_unit(feature) for stream, feature in streams.items()},
                _cycle_day(day, doses, newest),
            )
        )
        for day, streams in days.items()
    ]


def _in_stream_unit(feature: Feature) -> float:
    return (feature.value or 0.0) * STREAMS[feature.name][1]


def _dose_dates(situation: Situation) -> list[date]:
    drug = situation.given.program.drug
    return sorted({local_date(dose.time, situation.zone) for dose in situation.doses if dose.drug == drug})


def _cycle_day(day: date, doses: Iterable[date], longest: int) -> int | None:
    """Days since the newest dose; None before the first and when it is too long ago to be a cycle."""
    since = min(((day - dose).days for dose in doses if dose <= day), default=longest)
    return since if since < longest else None


def _flag(detector: Detector, answer: DayScore, streams: Mapping[str, Feature]) -> Flag:
    chosen = detector.settings
    probability, horizon = answer.probability or 0.0, chosen.probability.last_day
    return Flag(
        kind=FlagKind.BASELINE_CHANGE,
        time=max(feature.end for feature in streams.values()),
        urgency=Urgency.TODAY,
        origin=Origin.MODEL,
        says=_sentences(answer, streams, probability, horizon),
        probability=probability,
        horizon=timedelta(days=horizon),
        evidence=tuple(
            Evidence(f.name, f.value or 0.0, f.unit, f.end, Origin.DEVICE, f.start) for f in streams.values()
        ),
        contributions=_contributions(answer, streams),
        bound=Bound("detector.alert.threshold", chosen.alert.threshold, *chosen.threshold_origin),
    )


def _contributions(answer: DayScore, streams: Mapping[str, Feature]) -> tuple[Contribution, ...]:
    """Shapley values of the streams and the term of the person's own history, largest share first."""
    rows = []
    for name, share in sorted(answer.contributions.items(), key=lambda item: (-item[1], item[0])):
        feature = streams.get(name)
        rows.append(Contribution(name, feature.value if feature else None, feature.unit if feature else "", share))
    return tuple(rows)


def _sentences(answer: DayScore, streams: Mapping[str, Feature], probability: float, days: int) -> Sentences:
    leading = max(streams, key=lambda name: answer.contributions[name])
    moved: dict[str, str | float] = {"stream": leading, "value": streams[leading].value or 0.0}
    missing = tuple(say("change.missing", stream=name) for name in answer.missing)
    return Sentences(
        action=(say("change.action"),),
        reason=(
            say("change.reason", **moved),
            say("change.chance", probability=out_of_100(probability), days=days),
        ),
        clinician=(
            say("change.clinician", score=answer.score or 0.0, probability=probability, days=days),
            *(_share(name, share) for name, share in answer.contributions.items() if name in streams),
            _share(OWN_HISTORY, answer.contributions[OWN_HISTORY]),
        ),
        would_change=(say("change.would_change"),),
        limits=(say("change.limits"),),
        data_quality=missing,
    )


def _share(name: str, share: float) -> Message:
    return say("change.share", stream=name, share=share)
