"""Observations and waveforms: what every source turns its data into; only observations reach the twin.

An observation is one number with a code, a UCUM unit, an aware UTC time, a quality and a provenance.
Its ``id`` is a hash of what was measured, by what and when, so the same reading that arrives twice
(a re-sent notification, a re-read file) is one observation.
"""

from __future__ import annotations

import hashlib
import math
import struct
from collections.abc import Iterable, Mapping, Sequence
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


UPPER_LIMIT_SIGNS = ("<", "<=")
"""Values of the attribute ``comparator`` (FHIR R4 QuantityComparator) that make a value an upper limit."""


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
        value = f"{self.limit_sign}{self.value!r}"
        parts = (self.code.code, self.source, self.time.isoformat(), value, str(self.sequence))
        return hashlib.blake2b("|".join(parts).encode(), digest_size=16).hexdigest()

    @property
    def is_usable(self) -> bool:
        """Whether a feature or the twin may use the value."""
        return self.quality is Quality.GOOD or self.quality is Quality.QUESTIONABLE

    @property
    def limit_sign(self) -> str:
        """The sign "<" or "<=" when the laboratory gave a limit below which the value lies, else an empty text."""
        sign = self.attributes.get("comparator", "")
        return sign if sign in UPPER_LIMIT_SIGNS else ""

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


@dataclass(frozen=True)
class Waveform:
    """Equally spaced samples of one or more channels, as a device sent them in one frame.

    The runtime counts waveforms and does not keep them: what the twin uses of them is distilled before.

    Attributes:
        code: what was sampled; fixes the unit of every channel but ``status``.
        start: when the first sample was taken, aware UTC.
        period_s: seconds from one sample to the next.
        channels: names of the channels; one called ``status`` holds the device's own status words.
        samples: one row for each moment, oldest first, with one value for each channel; in ``code.unit``,
            exactly as the device said it (never rounded, never clamped).
        source: name of the device, without patient data.
        quality: see :class:`Quality`; holds for the whole frame.
        attributes: the source's own remarks as text (``time_source``, ``rate_source`` ...).
    """

    code: Code
    start: datetime
    period_s: float
    channels: tuple[str, ...]
    samples: tuple[tuple[float, ...], ...]
    source: str
    quality: Quality = Quality.GOOD
    attributes: Mapping[str, str] = field(default_factory=_nothing, hash=False)

    @cached_property
    def id(self) -> str:
        """Stable 128-bit hex id; equal for the same frame however often it arrives."""
        parts = (self.code.code, self.source, self.start.isoformat(), repr(self.period_s), *self.channels)
        digest = hashlib.blake2b("|".join(parts).encode(), digest_size=16)
        for row in self.samples:
            digest.update(struct.pack(f"<{len(row)}d", *row))
        return digest.hexdigest()

    @property
    def end(self) -> datetime:
        """When the last sample was taken, aware UTC."""
        return self.time_of(len(self.samples) - 1)

    def time_of(self, index: int) -> datetime:
        """When the sample with this index was taken, to the microsecond."""
        return self.start + timedelta(seconds=index * self.period_s)

    def channel(self, name: str) -> tuple[float, ...]:
        """The samples of one channel.

        Raises:
            KeyError: there is no channel of this name.
        """
        if name not in self.channels:
            raise KeyError(name)
        column = self.channels.index(name)
        return tuple(row[column] for row in self.samples)


def sample(  # noqa: PLR0913 - one keyword for each field of a waveform, named at every call
    code: Code,
    samples: Sequence[Sequence[float]],
    *,
    start: datetime,
    period_s: float,
    channels: Sequence[str],
    source: str,
    quality: Quality = Quality.GOOD,
    attributes: Mapping[str, str] | None = None,
) -> Waveform:
    """Make a waveform from untrusted parts.

    Raises:
        ObservationError: ``no_samples``, ``wrong_channels`` when a row has another length than ``channels``,
            ``not_a_number`` for a sample or a period that cannot be one, ``naive_time``.
    """
    rows = tuple(map(tuple, samples))
    if not rows:
        raise ObservationError(f"a {code.name} waveform without samples", reason="no_samples")
    if set(map(len, rows)) != {len(channels)}:
        raise ObservationError(f"a row of {code.name} does not fit its channels", reason="wrong_channels")
    if not (period_s > 0 and math.isfinite(period_s) and _all_finite(rows)):
        raise ObservationError(f"a {code.name} sample or period is no finite number", reason="not_a_number")
    frozen = MappingProxyType(dict(attributes or {}))
    return Waveform(code, as_utc(start), period_s, tuple(channels), rows, source, quality, frozen)


def _all_finite(rows: tuple[tuple[float, ...], ...]) -> bool:
    """One sum tells it nearly always; a sum can overflow, so each number is asked before a refusal."""
    return math.isfinite(sum(map(sum, rows))) or all(math.isfinite(value) for row in rows for value in row)


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
    MODEL = "model"  # another version of the reduced model runs from here on; ``detail`` says why
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
