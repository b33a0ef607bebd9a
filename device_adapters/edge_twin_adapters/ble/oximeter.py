"""PLX Spot-Check (2A5E) and Continuous Measurement (2A5F), Pulse Oximeter Service 1.0.1, both directions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from edge_twin.codes import OXYGEN_SATURATION, PERFUSION_INDEX, PULSE_RATE
from edge_twin_adapters.ble.date_time import DateTimeField, encode_date_time, read_date_time
from edge_twin_adapters.ble.fields import read_sfloat, read_unsigned, write_optional, write_sfloats
from edge_twin_adapters.ble.frame import DecodeContext, Item, Reader
from edge_twin_adapters.ble.ieee11073 import Number
from edge_twin_adapters.ble.record import Record, start_record

SPOT_CHECK = "2a5e"
CONTINUOUS = "2a5f"

_SPOT_TIME_STAMP = 0x01
_SPOT_MEASUREMENT_STATUS = 0x02
_SPOT_SENSOR_STATUS = 0x04
_SPOT_PERFUSION = 0x08
_SPOT_CLOCK_NOT_SET = 0x10

_FAST = 0x01
_SLOW = 0x02
_MEASUREMENT_STATUS = 0x04
_SENSOR_STATUS = 0x08
_PERFUSION = 0x10

_FROM_STORAGE = 1 << 9

# PLXS 1.0.1 table 3.4.
MEASUREMENT_STATUS = {
    5: "ongoing",
    6: "early_estimate",
    7: "validated",
    8: "fully_qualified",
    9: "from_storage",
    10: "demonstration",
    11: "test",
    12: "calibration",
    13: "unavailable",
    14: "questionable",
    15: "invalid",
}
# PLXS 1.0.1 table 3.5.
SENSOR_STATUS = {
    0: "extended_display",
    1: "equipment_malfunction",
    2: "signal_irregular",
    3: "signal_inadequate",
    4: "signal_poor",
    5: "low_perfusion",
    6: "signal_erratic",
    7: "not_pulsatile",
    8: "questionable_pulse",
    9: "analysis_ongoing",
    10: "interference",
    11: "not_connected_to_user",
    12: "unknown_sensor",
    13: "sensor_displaced",
    14: "sensor_malfunction",
    15: "sensor_disconnected",
}

# What each bit does to the quality: chosen here. The other bits say nothing against the value.
_MEASUREMENT_INVALID = 1 << 10 | 1 << 11 | 1 << 12 | 1 << 13 | 1 << 15
_MEASUREMENT_QUESTIONABLE = 1 << 6 | 1 << 14
_SENSOR_INVALID = 1 << 1 | 1 << 3 | 1 << 7 | 1 << 11 | 1 << 13 | 1 << 14 | 1 << 15
_SENSOR_QUESTIONABLE = 1 << 2 | 1 << 4 | 1 << 5 | 1 << 6 | 1 << 8 | 1 << 10 | 1 << 12


@dataclass(frozen=True, slots=True)
class Oximetry:
    """One pair of readings.

    Attributes:
        saturation: SpO2 in %, or a special value.
        pulse: pulse rate per minute, or a special value.
    """

    saturation: Number
    pulse: Number


def decode_spot_check(payload: bytes, received: datetime, context: DecodeContext) -> list[Item]:
    """SpO2 (%), pulse rate (/min) and, if sent, perfusion index (%); a special value is a ``GAP``.

    Attributes: ``measurement_status`` and ``sensor_status`` (names of all bits that are set), the time
    attributes of :func:`edge_twin_adapters.ble.date_time.place`, ``recorded = stored``. A device that
    says that its clock is not set gets the time of reception and is questionable.

    Raises:
        DecodeError: ``truncated``, ``trailing_bytes``, ``too_long`` or ``invalid_time``.
        ObservationError: ``naive_time`` for a ``received`` without time zone.
    """
    reader = Reader(payload)
    flags = reader.u8("flags")
    pair = _read_pair(reader)
    stamp = read_date_time(reader) if flags & _SPOT_TIME_STAMP else None
    status = _read_status(
        reader,
        measurement=bool(flags & _SPOT_MEASUREMENT_STATUS),
        sensor=bool(flags & _SPOT_SENSOR_STATUS),
    )
    perfusion = read_sfloat(reader, "pulse amplitude index") if flags & _SPOT_PERFUSION else None
    reader.finish()
    record = start_record(stamp, received, context, clock_set=not flags & _SPOT_CLOCK_NOT_SET)
    return _finish(record, status, [("normal", pair)], perfusion)


def decode_continuous(payload: bytes, received: datetime, context: DecodeContext) -> list[Item]:
    """As :func:`decode_spot_check`, at ``received``; fast and slow pairs follow the normal one.

    The attribute ``response`` of each SpO2 and pulse rate is ``normal``, ``fast`` or ``slow``.

    Raises:
        DecodeError: ``truncated``, ``trailing_bytes`` or ``too_long``.
        ObservationError: ``naive_time`` for a ``received`` without time zone.
    """
    reader = Reader(payload)
    flags = reader.u8("flags")
    pairs = [("normal", _read_pair(reader))]
    pairs += [(name, _read_pair(reader)) for bit, name in ((_FAST, "fast"), (_SLOW, "slow")) if flags & bit]
    status = _read_status(reader, measurement=bool(flags & _MEASUREMENT_STATUS), sensor=bool(flags & _SENSOR_STATUS))
    perfusion = read_sfloat(reader, "pulse amplitude index") if flags & _PERFUSION else None
    reader.finish()
    return _finish(start_record(None, received, context), status, pairs, perfusion)


def _read_pair(reader: Reader) -> Oximetry:
    return Oximetry(read_sfloat(reader, "SpO2"), read_sfloat(reader, "pulse rate"))


def _read_status(reader: Reader, *, measurement: bool, sensor: bool) -> tuple[int | None, int | None]:
    return (
        reader.u16("measurement status") if measurement else None,
        read_unsigned(reader, 3, "device and sensor status") if sensor else None,
    )


def _finish(
    record: Record,
    status: tuple[int | None, int | None],
    pairs: Sequence[tuple[str, Oximetry]],
    perfusion: Number | None,
) -> list[Item]:
    _note(record, *status)
    for sequence, (response, pair) in enumerate(pairs):
        record.add(OXYGEN_SATURATION, pair.saturation, sequence=sequence, remarks={"response": response})
        record.add(PULSE_RATE, pair.pulse, sequence=sequence, remarks={"response": response})
    if perfusion is not None:
        record.add(PERFUSION_INDEX, perfusion)
    return record.items


def _note(record: Record, measurement: int | None, sensor: int | None) -> None:
    if measurement is not None:
        record.note_status(
            "measurement_status",
            measurement,
            MEASUREMENT_STATUS,
            questionable=_MEASUREMENT_QUESTIONABLE,
            invalid=_MEASUREMENT_INVALID,
        )
        if measurement & _FROM_STORAGE:
            record.note_stored()
    if sensor is not None:
        record.note_status(
            "sensor_status", sensor, SENSOR_STATUS, questionable=_SENSOR_QUESTIONABLE, invalid=_SENSOR_INVALID
        )


def encode_spot_check(  # noqa: PLR0913 - one keyword for each field of the characteristic
    pair: Oximetry,
    *,
    device_time: DateTimeField | None = None,
    measurement_status: int | None = None,
    sensor_status: int | None = None,
    perfusion: Number | None = None,
    clock_set: bool = True,
) -> bytes:
    """The payload of a spot check; a field that is None is left out.

    Args:
        pair: SpO2 and pulse rate.
        device_time: what the device's clock shows.
        measurement_status: 16 bits, :data:`MEASUREMENT_STATUS`.
        sensor_status: 24 bits, :data:`SENSOR_STATUS`.
        perfusion: pulse amplitude index in %.
        clock_set: False sets the flag that the clock was not set.

    Raises:
        AdapterError: ``not_representable``, ``out_of_range`` or ``invalid_time``.
    """
    flags = (
        (_SPOT_TIME_STAMP if device_time is not None else 0)
        | (_SPOT_MEASUREMENT_STATUS if measurement_status is not None else 0)
        | (_SPOT_SENSOR_STATUS if sensor_status is not None else 0)
        | (_SPOT_PERFUSION if perfusion is not None else 0)
        | (0 if clock_set else _SPOT_CLOCK_NOT_SET)
    )
    head = bytes([flags]) + write_sfloats(pair.saturation, pair.pulse) + encode_date_time(device_time)
    return head + _encode_tail(measurement_status, sensor_status, perfusion)


def encode_continuous(  # noqa: PLR0913 - one keyword for each field of the characteristic
    pair: Oximetry,
    *,
    fast: Oximetry | None = None,
    slow: Oximetry | None = None,
    measurement_status: int | None = None,
    sensor_status: int | None = None,
    perfusion: Number | None = None,
) -> bytes:
    """The payload of a continuous measurement; arguments and errors as :func:`encode_spot_check`.

    Args:
        pair: the normal pair.
        fast: the pair of the fast response.
        slow: the pair of the slow response.
        measurement_status: 16 bits.
        sensor_status: 24 bits.
        perfusion: pulse amplitude index in %.
    """
    flags = (
        (_FAST if fast is not None else 0)
        | (_SLOW if slow is not None else 0)
        | (_MEASUREMENT_STATUS if measurement_status is not None else 0)
        | (_SENSOR_STATUS if sensor_status is not None else 0)
        | (_PERFUSION if perfusion is not None else 0)
    )
    pairs = b"".join(write_sfloats(one.saturation, one.pulse) for one in (pair, fast, slow) if one is not None)
    return bytes([flags]) + pairs + _encode_tail(measurement_status, sensor_status, perfusion)


def _encode_tail(measurement: int | None, sensor: int | None, perfusion: Number | None) -> bytes:
    status = write_optional(measurement, 2, "measurement status")
    return status + write_optional(sensor, 3, "device and sensor status") + write_sfloats(perfusion)
