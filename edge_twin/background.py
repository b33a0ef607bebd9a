"""Which older readings the rules look at beside those of today, and which readings call for a step at once.

They come from the store by code and time, so that a step reads a few hundred rows and not the whole record. Nothing is
distilled from them: their days have their features already.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta

from edge_twin import codes
from edge_twin.observation import Observation
from edge_twin.store import Store

_HOUR, _DAY = timedelta(hours=1), timedelta(days=1)

STREAMED = frozenset((codes.HEART_RATE,))
"""Too many a day to be part of the step's input: the background holds their newest, those of today included."""

# At least as long as the longest time in which a rule of the packs looks at such a reading.
LOOK_BACK: Mapping[codes.Code, timedelta] = {
    codes.RESPIRATORY_RATE: _DAY,
    codes.OXYGEN_SATURATION: 12 * _HOUR,
    codes.OXYGEN_FLOW: _DAY,
    codes.SYSTOLIC_PRESSURE: _DAY,
    codes.PULSE_RATE: 12 * _HOUR,
    codes.PULSE_RATE_CUFF: _DAY,
    codes.HEART_RATE: timedelta(minutes=65),  # a strap sends one a second: enough to see that it is stuck
    codes.STEPS: _HOUR,
    codes.CONSCIOUSNESS: _DAY,
    codes.BODY_WEIGHT: 183 * _DAY,
    codes.BODY_HEIGHT: 3660 * _DAY,
    codes.BODY_MASS_INDEX: 183 * _DAY,
    codes.NEUTROPHILS: 3 * _DAY,
    codes.PLATELETS: 3 * _DAY,
    codes.HAEMOGLOBIN: 3 * _DAY,
    codes.LYMPHOCYTES: 3 * _DAY,
    codes.CREATININE: 3 * _DAY,
    codes.CREATININE_MOLAR: 3 * _DAY,
    codes.QTC_INTERVAL: 8 * _DAY,
    codes.QTC_INTERVAL_FRIDERICIA: 8 * _DAY,
    codes.GLUCOSE_CAPILLARY: 6 * _HOUR,
    codes.GLUCOSE_CAPILLARY_MOLAR: 6 * _HOUR,
    codes.GLUCOSE_BLOOD: 6 * _HOUR,
    codes.GLUCOSE_BLOOD_MOLAR: 6 * _HOUR,
    codes.GLUCOSE_PLASMA: 6 * _HOUR,
    codes.GLUCOSE_PLASMA_MOLAR: 6 * _HOUR,
    codes.GLUCOSE_INTERSTITIAL: 6 * _HOUR,
    codes.GLUCOSE_INTERSTITIAL_MOLAR: 6 * _HOUR,
    **dict.fromkeys(codes.DIARY, 60 * _DAY),
    **dict.fromkeys(codes.SURVEY, 60 * _DAY),
    **dict.fromkeys(codes.MARKERS, 3660 * _DAY),  # the lowest value may be years old
}

# Single measurements call for an answer at once; beats and movement are distilled with the next step.
PROMPT = frozenset(
    (
        codes.LEUKOCYTES,
        codes.BODY_TEMPERATURE,
        codes.OXYGEN_FLOW,
        codes.SYSTOLIC_PRESSURE,
        codes.CONSCIOUSNESS,
        codes.NEUTROPHILS,
        codes.PLATELETS,
        codes.HAEMOGLOBIN,
        codes.LYMPHOCYTES,
        codes.CREATININE,
        codes.CREATININE_MOLAR,
        codes.QTC_INTERVAL,
        codes.QTC_INTERVAL_FRIDERICIA,
        codes.GLUCOSE_CAPILLARY,
        codes.GLUCOSE_CAPILLARY_MOLAR,
        codes.GLUCOSE_BLOOD,
        codes.GLUCOSE_BLOOD_MOLAR,
        codes.GLUCOSE_PLASMA,
        codes.GLUCOSE_PLASMA_MOLAR,
        *codes.DIARY,
        *codes.SURVEY,
        *codes.MARKERS,
    )
)
# What a sensor may send every second calls for an answer after this long; the rules wait for three minutes anyway.
OFTEN = frozenset(
    (codes.OXYGEN_SATURATION, codes.RESPIRATORY_RATE, codes.GLUCOSE_INTERSTITIAL, codes.GLUCOSE_INTERSTITIAL_MOLAR)
)
PAUSE = timedelta(minutes=3)


def read_background(store: Store, now: datetime, until: datetime) -> tuple[Observation, ...]:
    """Older readings that a rule may look at.

    Args:
        store: of the device.
        now: moment of the step.
        until: readings from here on are part of the input already.
    """
    return tuple(_older(store, now, until))


def _older(store: Store, now: datetime, until: datetime) -> Iterator[Observation]:
    for code, span in LOOK_BACK.items():
        end = now if code in STREAMED else until
        if now - span < end:
            yield from store.observations(since=now - span, until=end, code=code)


def is_prompt(reading: Observation, since_last: timedelta) -> bool:
    """Whether a reading calls for a step at once.

    Args:
        reading: new in the store.
        since_last: time since the last step.
    """
    return reading.code in PROMPT or (reading.code in OFTEN and since_last >= PAUSE)
