"""Heart Rate Measurement (2A37), Heart Rate Service 1.0 section 3.1, both directions."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from types import MappingProxyType

from edge_twin.codes import HEART_RATE, RR_INTERVAL
from edge_twin.observation import Observation, Origin, Quality, observe
from edge_twin_adapters.ble.frame import DecodeContext, Item, Reader
from edge_twin_adapters.errors import AdapterError

CHARACTERISTIC = "2a37"

_RATE_16_BIT = 0x01
_CONTACT_DETECTED = 0x02
_CONTACT_SUPPORTED = 0x04
_CONTACT = _CONTACT_DETECTED | _CONTACT_SUPPORTED
_ENERGY = 0x08
_RR = 0x10

# The bit that says "detected" means nothing unless the sensor supports the feature.
_CONTACT_REMARKS: Mapping[int, dict[str, str]] = {
    0: {},
    _CONTACT_DETECTED: {},
    _CONTACT_SUPPORTED: {"contact": "no"},
    _CONTACT: {"contact": "yes"},
}

# RR intervals count units of 1/1024 s.
UNITS_PER_SECOND = 1024
_U16_MAX = 0xFFFF
_U8_MAX = 0xFF

# A notification carries MTU - 3 bytes and the smallest MTU is 23 (Bluetooth Core, Vol 3 Part F 3.2.8).
SMALLEST_NOTIFICATION_BYTES = 20


def decode_heart_rate(payload: bytes, received: datetime, context: DecodeContext) -> list[Item]:
    """One heart rate (per minute, at ``received``) and one RR interval (ms) for each beat, oldest first.

    The last beat ended at ``received``; each earlier one ended before it by the intervals between.
    Without skin contact, or with a heart rate of zero (the sensor found none), nothing of the packet is
    a measurement: ``INVALID``. Attributes: ``contact`` where the sensor can tell, ``energy_kj``.

    Raises:
        DecodeError: ``truncated``, ``trailing_bytes`` or ``too_long``.
        ObservationError: ``naive_time`` for a ``received`` without time zone.
    """
    reader = Reader(payload)
    flags = reader.u8("flags")
    rate = reader.u16("heart rate") if flags & _RATE_16_BIT else reader.u8("heart rate")
    energy = {"energy_kj": str(reader.u16("energy expended"))} if flags & _ENERGY else {}
    units = _read_rr(reader) if flags & _RR else ()
    reader.finish()
    attributes = _CONTACT_REMARKS[flags & _CONTACT]
    quality = Quality.INVALID if flags & _CONTACT == _CONTACT_SUPPORTED or rate == 0 else Quality.GOOD
    heart_rate = observe(
        HEART_RATE,
        float(rate),
        received,
        source=context.source,
        quality=quality,
        attributes=attributes | energy,
    )
    return [heart_rate, *_beats(units, heart_rate.time, context.source, quality, MappingProxyType(attributes))]


def _beats(
    units: Sequence[int], end: datetime, source: str, quality: Quality, attributes: Mapping[str, str]
) -> list[Observation]:
    """The beats of a packet; made without :func:`observe`, which would check their shared parts each time."""
    beats = []
    left = sum(units)
    for index, unit in enumerate(units):
        left -= unit
        interval = unit * 1000 / UNITS_PER_SECOND
        own = Quality.IMPLAUSIBLE if quality is Quality.GOOD and not RR_INTERVAL.is_plausible(interval) else quality
        time = end - timedelta(microseconds=round(left * 1_000_000 / UNITS_PER_SECOND))
        beats.append(Observation(RR_INTERVAL, interval, time, source, own, Origin.DEVICE, attributes, index))
    return beats


def _read_rr(reader: Reader) -> tuple[int, ...]:
    """At least one interval, up to the end of the payload, in units of 1/1024 s."""
    whole = reader.remaining // 2
    units = struct.unpack(f"<{whole}H", reader.take(2 * whole, "RR interval"))
    if reader.remaining or not units:
        reader.u16("RR interval")  # half an interval or none: truncated
    return units


def encode_heart_rate(bpm: int, rr_units: Sequence[int], *, contact: bool | None = True) -> bytes:
    """The payload that a sensor sends.

    Args:
        bpm: heart rate per minute, 0 to 65535; above 255 it takes two bytes.
        rr_units: RR intervals in 1/1024 s, oldest first; empty when there are none.
        contact: skin contact, or None for a sensor that cannot tell.

    Raises:
        AdapterError: ``out_of_range`` for a number that does not fit 16 bits.
    """
    if not all(0 <= number <= _U16_MAX for number in (bpm, *rr_units)):
        raise AdapterError("heart rate and RR intervals are unsigned 16-bit numbers", reason="out_of_range")
    wide = bpm > _U8_MAX
    flags = (_RATE_16_BIT if wide else 0) | (_RR if rr_units else 0)
    if contact is not None:
        flags |= _CONTACT_SUPPORTED | (_CONTACT_DETECTED if contact else 0)
    rate = bpm.to_bytes(2 if wide else 1, "little")
    return bytes([flags]) + rate + b"".join(unit.to_bytes(2, "little") for unit in rr_units)


def pack_beats(rr_ms: Sequence[float]) -> list[bytes]:
    """The notifications in which a strap sends these beats: up to nine each, quantised to 1/1024 s.

    Args:
        rr_ms: RR intervals in ms, oldest first.

    Raises:
        AdapterError: ``out_of_range`` for an interval that is not above zero or is 64 s and longer.
    """
    units = [round(interval * UNITS_PER_SECOND / 1000) for interval in rr_ms]
    if not all(0 < unit <= _U16_MAX for unit in units):
        raise AdapterError("an RR interval lies between 0 and 64 s", reason="out_of_range")
    packets: list[bytes] = []
    while units:
        count = _beats_that_fit(units)
        packets.append(encode_heart_rate(_mean_rate(units[:count]), units[:count]))
        units = units[count:]
    return packets


def seconds_of_beats(packet: bytes) -> float:
    """How long the beats of a packet from :func:`pack_beats` last, in s."""
    start = 3 if packet[0] & _RATE_16_BIT else 2
    units = (int.from_bytes(packet[at : at + 2], "little") for at in range(start, len(packet), 2))
    return sum(units) / UNITS_PER_SECOND


def _beats_that_fit(units: Sequence[int]) -> int:
    """Nine after a one-byte heart rate, eight after a two-byte one."""
    count = (SMALLEST_NOTIFICATION_BYTES - 2) // 2
    return count - 1 if _mean_rate(units[:count]) > _U8_MAX else count


def _mean_rate(units: Sequence[int]) -> int:
    return min(round(60 * UNITS_PER_SECOND * len(units) / sum(units)), _U16_MAX)
