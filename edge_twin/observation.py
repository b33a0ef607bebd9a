"""Observations: what every source turns its data into, and the only thing the twin accepts.

An observation is one number with a code, a UCUM unit, an aware UTC time, a quality and a provenance.
Its ``id`` is a hash of what was measured, by what and when, so the same reading that arrives twice
(a re-sent notification, a re-read file) is one observation.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import cached_property
from types import MappingProxyType

from edge_twin.codes import Code
from edge_twin.errors import ObservationError


def _nothing() -> Mapping[str, str]:
    return MappingProxyType({})


class Quality(StrEnum):
    """How far a value may be trusted; only ``GOOD`` and ``QUESTIONABLE`` reach a feature."""

    GOOD = "good"
    QUESTIONABLE = "questionable"  # the device itself doubts it (from storage, early estimate, ...)
    INVALID = "invalid"  # the device calls it no measurement (no contact, movement, test data); kept, never used
    IMPLAUSIBLE = "implausible"  # outside the plausible range of its code; kept, never used


class Origin(StrEnum):
    """Who says it (docs/clinical-rules: every statement names its origin)."""

    DEVICE = "device"
    LAB = "lab"
    PATIENT_REPORTED = "patient_reported"
    CLINICIAN = "clinician"
    MODEL = "model"


class Site(StrEnum):
    """Where a temperature was taken; a skin or armpit reading is never an oral one."""

    ORAL = "oral"
    ARMPIT = "armpit"
    EAR = "ear"
    TYMPANUM = "tympanum"
    SKIN = "skin"
    FINGER = "finger"
    TOE = "toe"
    RECTUM = "rectum"
    GASTROINTESTINAL = "gastrointestinal"
    BODY = "body"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Observation:
    """One measured value.

    Attributes:
        code: what was measured; fixes the unit.
        value: in ``code.unit``, exactly as the source said it (never rounded, never clamped).
        time: when it was measured, aware UTC.
        source: name of the device or system, e.g. ``"strap:AA:BB"`` or ``"fhir:lab"``; no patient data.
        quality: see :class:`Quality`.
        origin: see :class:`Origin`.
        attributes: the source's own remarks as text (``site``, ``contact``, ``recorded`` ...).
        sequence: number within one notification or file, so that equal neighbours stay distinct.
    """

    code: Code
    value: float
    time: datetime
    source: str
    quality: Quality = Quality.GOOD
    origin: Origin = Origin.DEVICE
    attributes: Mapping[str, str] = field(default_factory=_nothing, hash=False)
    sequence: int = 0

    @cached_property
    def id(self) -> str:
        """Stable 128-bit hex id; equal for the same reading however often it arrives."""
        parts = (self.code.code, self.source, self.time.isoformat(), repr(self.value), str(self.sequence))
        return hashlib.blake2b("|".join(parts).encode(), digest_size=16).hexdigest()

    @property
    def is_usable(self) -> bool:
        """Whether a feature or the twin may use the value."""
        return self.quality is Quality.GOOD or self.quality is Quality.QUESTIONABLE

    @property
    def site(self) -> Site:
        """Where a temperature was taken; ``UNKNOWN`` when the source did not say."""
        return Site(self.attributes.get("site", Site.UNKNOWN))


def observe(  # noqa: PLR0913 - one keyword for each field of an observation, named at every call
    code: Code,
    value: float,
    time: datetime,
    *,
    source: str,
    origin: Origin = Origin.DEVICE,
    quality: Quality = Quality.GOOD,
    attributes: Mapping[str, str] | None = None,
    sequence: int = 0,
) -> Observation:
    """Make an observation from untrusted parts.

    A value outside the plausible range becomes ``IMPLAUSIBLE`` (kept for the record), unless its device
    already calls it ``INVALID``; what is not a number or has no time zone cannot be kept at all.

    Raises:
        ObservationError: ``not_a_number`` for NaN or infinity, ``naive_time`` without a time zone.
    """
    if not math.isfinite(value):
        raise ObservationError(f"{code.name} is not a finite number", reason="not_a_number")
    if quality is not Quality.INVALID and not code.is_plausible(value):
        quality = Quality.IMPLAUSIBLE
    frozen = MappingProxyType(dict(attributes or {}))
    return Observation(code, value, as_utc(time), source, quality, origin, frozen, sequence)


CORRECTED = frozenset(("amended", "corrected"))  # FHIR R4 ObservationStatus


def without_superseded(observations: Iterable[Observation]) -> tuple[Observation, ...]:
    """Readings without those whose record was amended or corrected by its own source.

    A laboratory sends a corrected result under the identity of the first one (attribute ``record``) with a
    status that says so (attribute ``status``). Which of the two arrived first plays no part.
    """
    readings = tuple(observations)
    amended = {_record(o) for o in readings if "record" in o.attributes and o.attributes.get("status") in CORRECTED}
    return tuple(o for o in readings if _record(o) not in amended or o.attributes.get("status") in CORRECTED)


def _record(observation: Observation) -> tuple[str, str, str | None]:
    return observation.source, observation.code.code, observation.attributes.get("record")


def as_utc(time: datetime) -> datetime:
    """``time`` in UTC.

    Raises:
        ObservationError: ``naive_time`` when the time has no zone; it is never guessed.
    """
    if time.tzinfo is None or time.utcoffset() is None:
        raise ObservationError("a time without a time zone cannot be placed", reason="naive_time")
    return time.astimezone(UTC)


def days_between(start: datetime, end: datetime) -> float:
    """``end - start`` in float days, exact to the microsecond (so that shifting both changes nothing)."""
    return (end - start) / timedelta(days=1)


class DeviceEventKind(StrEnum):
    """What a device can tell besides values."""

    CONNECTED = "connected"
    DISCONNECTED = "disconnected"
    GAP = "gap"  # data expected between ``time`` and ``until`` did not arrive
    REFUSED = "refused"  # a frame or record that could not be decoded; ``detail`` says why
    BATTERY_LOW = "battery_low"
    STATUS = "status"  # what a device says of itself: name, clock, session, sensor; ``detail`` holds key=value words
    CONTROL = "control"  # the answer of a control point to a command; ``detail`` holds key=value words


@dataclass(frozen=True, slots=True)
class DeviceEvent:
    """Something that happened at a source and is not a value.

    Attributes:
        kind: what happened.
        time: when, aware UTC.
        source: name of the device.
        detail: the reason, machine-readable first word.
        until: end of the period, for a gap.
    """

    kind: DeviceEventKind
    time: datetime
    source: str
    detail: str = ""
    until: datetime | None = None
