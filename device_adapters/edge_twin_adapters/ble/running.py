"""RSC Measurement (2A53), Running Speed and Cadence Service 1.0 section 3.1, both directions."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from edge_twin.codes import CADENCE, DISTANCE, SPEED, STRIDE_LENGTH
from edge_twin_adapters.ble.fields import read_unsigned, write_optional, write_unsigned
from edge_twin_adapters.ble.frame import DecodeContext, Item, Reader
from edge_twin_adapters.ble.record import simple_record
from edge_twin_adapters.ble.units import times

CHARACTERISTIC = "2a53"

_STRIDE_LENGTH = 0x01
_TOTAL_DISTANCE = 0x02
_RUNNING = 0x04

_SPEED_STEP = "0.00390625"  # 1/256 m/s


@dataclass(frozen=True, slots=True)
class RunningReading:
    """The counts of one measurement.

    Attributes:
        speed_256: speed in 1/256 m/s.
        cadence: steps per minute.
        stride_cm: length of a stride in cm, None when it was not sent.
        distance_dm: total distance in 0.1 m, None when it was not sent.
        running: False for walking.
    """

    speed_256: int
    cadence: int
    stride_cm: int | None = None
    distance_dm: int | None = None
    running: bool = False


def decode_running(payload: bytes, received: datetime, context: DecodeContext) -> list[Item]:
    """Speed (m/s) and cadence (/min), and if sent stride length (m) and total distance (m).

    The attribute ``gait`` is ``running`` or ``walking``. The distance is a total that the pod keeps: only
    differences between two readings mean something.

    Raises:
        DecodeError: ``truncated``, ``trailing_bytes`` or ``too_long``.
        ObservationError: ``naive_time`` for a ``received`` without time zone.
    """
    reading = read_running(payload)
    record = simple_record(received, context)
    record.attributes["gait"] = "running" if reading.running else "walking"
    record.add(SPEED, times(reading.speed_256, _SPEED_STEP))
    record.add(CADENCE, Decimal(reading.cadence))
    if reading.stride_cm is not None:
        record.add(STRIDE_LENGTH, times(reading.stride_cm, "0.01"))
    if reading.distance_dm is not None:
        record.add(DISTANCE, times(reading.distance_dm, "0.1"))
    return record.items


def read_running(payload: bytes) -> RunningReading:
    """The counts of a payload.

    Raises:
        DecodeError: ``truncated``, ``trailing_bytes`` or ``too_long``.
    """
    reader = Reader(payload)
    flags = reader.u8("flags")
    reading = RunningReading(
        speed_256=reader.u16("speed"),
        cadence=reader.u8("cadence"),
        stride_cm=reader.u16("stride length") if flags & _STRIDE_LENGTH else None,
        distance_dm=read_unsigned(reader, 4, "total distance") if flags & _TOTAL_DISTANCE else None,
        running=bool(flags & _RUNNING),
    )
    reader.finish()
    return reading


def encode_running(reading: RunningReading) -> bytes:
    """The payload of a reading.

    Raises:
        AdapterError: ``out_of_range``.
    """
    flags = (
        (_STRIDE_LENGTH if reading.stride_cm is not None else 0)
        | (_TOTAL_DISTANCE if reading.distance_dm is not None else 0)
        | (_RUNNING if reading.running else 0)
    )
    head = bytes([flags]) + write_unsigned(reading.speed_256, 2, "speed")
    head += write_unsigned(reading.cadence, 1, "cadence")
    tail = write_optional(reading.stride_cm, 2, "stride length")
    return head + tail + write_optional(reading.distance_dm, 4, "total distance")
