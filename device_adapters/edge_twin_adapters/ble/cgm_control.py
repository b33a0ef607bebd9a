"""CGM Specific Ops Control Point (2AAC), CGMS 1.0.2 section 3.7: commands encoded, answers decoded."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum

from edge_twin_adapters.ble.cgm_feature import sample_remarks
from edge_twin_adapters.ble.crc import CRC_BYTES, with_crc, without_crc
from edge_twin_adapters.ble.fields import joined, named_bits, read_sfloat, write_sfloats, write_unsigned
from edge_twin_adapters.ble.frame import DecodeContext, Item, Reader
from edge_twin_adapters.ble.ieee11073 import Number, Special
from edge_twin_adapters.ble.record import simple_record
from edge_twin_adapters.errors import DecodeError

CHARACTERISTIC = "2aac"


class Op(IntEnum):
    """Op codes; an answer stands two above the command that sets, one above the command that gets."""

    SET_INTERVAL = 1
    GET_INTERVAL = 2
    INTERVAL = 3
    SET_CALIBRATION = 4
    GET_CALIBRATION = 5
    CALIBRATION = 6
    SET_PATIENT_HIGH = 7
    GET_PATIENT_HIGH = 8
    PATIENT_HIGH = 9
    SET_PATIENT_LOW = 10
    GET_PATIENT_LOW = 11
    PATIENT_LOW = 12
    SET_HYPO = 13
    GET_HYPO = 14
    HYPO = 15
    SET_HYPER = 16
    GET_HYPER = 17
    HYPER = 18
    SET_FALL = 19
    GET_FALL = 20
    FALL = 21
    SET_RISE = 22
    GET_RISE = 23
    RISE = 24
    RESET_ALERT = 25
    START_SESSION = 26
    STOP_SESSION = 27
    RESPONSE = 28


RESPONSES = {
    1: "success",
    2: "op_not_supported",
    3: "invalid_operand",
    4: "not_completed",
    5: "out_of_range",
}
CALIBRATION_STATUS = {0: "rejected", 1: "out_of_range", 2: "pending"}

_LEVELS = {Op.PATIENT_HIGH, Op.PATIENT_LOW, Op.HYPO, Op.HYPER, Op.FALL, Op.RISE}
# Bytes of the operand of each answer.
_OPERAND_BYTES = {Op.INTERVAL: 1, Op.CALIBRATION: 10, Op.RESPONSE: 2} | dict.fromkeys(_LEVELS, 2)


@dataclass(frozen=True, slots=True)
class Calibration:
    """A calibration record.

    Attributes:
        concentration: glucose of the reference in mg/dL.
        minutes: when it was taken, since the session began.
        type_and_location: specimen in the low nibble, location in the high one.
        next_minutes: when the next one is due.
        number: record number.
        status: 8 bits, :data:`CALIBRATION_STATUS`.
    """

    concentration: Number
    minutes: int
    type_and_location: int
    next_minutes: int
    number: int
    status: int


def decode_cgm_control(payload: bytes, received: datetime, context: DecodeContext) -> list[Item]:
    """One ``CONTROL`` event, for instance ``cgm_control answer=hypo mg_dl=70``.

    A command without a value is answered ``answer=response request=start_session result=success``.
    The E2E-CRC is required where the feature of the context has it, refused where it has not, and
    checked if it is there where the feature is not known.

    Raises:
        DecodeError: ``truncated``, ``trailing_bytes``, ``too_long``, ``wrong_crc``, or ``unknown_op``
            for what is not an answer.
        ObservationError: ``naive_time`` for a ``received`` without time zone.
    """
    crc = None if context.cgm_feature is None else context.cgm_feature.has_crc
    words = _read_words(payload, crc=crc)
    record = simple_record(received, context)
    record.control("cgm_control " + " ".join(f"{key}={value}" for key, value in words.items()))
    return record.items


def _read_words(payload: bytes, *, crc: bool | None) -> dict[str, str]:
    op = _read_op(Reader(payload))
    ends_with_crc = len(payload) == 1 + _OPERAND_BYTES[op] + CRC_BYTES if crc is None else crc
    reader = Reader(without_crc(payload) if ends_with_crc else payload)
    reader.u8("op code")
    words = {"answer": op.name.lower()} | _operand_words(op, reader)
    reader.finish()
    return words


def _read_op(reader: Reader) -> Op:
    number = reader.u8("op code")
    if number not in set(_OPERAND_BYTES):
        raise DecodeError(f"op code {number} is no answer", reason="unknown_op", offset=0)
    return Op(number)


def _operand_words(op: Op, reader: Reader) -> dict[str, str]:
    if op is Op.INTERVAL:
        return {"minutes": str(reader.u8("interval"))}
    if op is Op.RESPONSE:
        request, code = reader.u8("request"), reader.u8("response code")
        known = Op(request).name.lower() if request in set(Op) else f"reserved_{request}"
        return {"request": known, "result": RESPONSES.get(code, f"reserved_{code}")}
    if op is Op.CALIBRATION:
        return _calibration_words(read_calibration(reader))
    return {"mg_dl_min" if op in {Op.FALL, Op.RISE} else "mg_dl": _text(read_sfloat(reader, "level"))}


def read_calibration(reader: Reader) -> Calibration:
    """The ten bytes of a calibration record.

    Raises:
        DecodeError: ``truncated``.
    """
    return Calibration(
        concentration=read_sfloat(reader, "concentration"),
        minutes=reader.u16("calibration time"),
        type_and_location=reader.u8("type and sample location"),
        next_minutes=reader.u16("next calibration time"),
        number=reader.u16("record number"),
        status=reader.u8("calibration status"),
    )


def _calibration_words(one: Calibration) -> dict[str, str]:
    return {
        "mg_dl": _text(one.concentration),
        "session_minutes": str(one.minutes),
        **sample_remarks(one.type_and_location),
        "next_minutes": str(one.next_minutes),
        "record_number": str(one.number),
        "status": joined(named_bits(one.status, CALIBRATION_STATUS)),
    }


def _text(number: Number) -> str:
    return number.value if isinstance(number, Special) else f"{number:f}"


def encode_cgm_command(op: Op, operand: bytes = b"", *, crc: bool = False) -> bytes:
    """A command, or an answer of a virtual sensor.

    Args:
        op: op code.
        operand: :func:`level_operand`, :func:`calibration_operand`, :func:`response_operand`, one byte
            of minutes for an interval, or nothing.
        crc: end with an E2E-CRC.
    """
    body = bytes([op]) + operand
    return with_crc(body) if crc else body


def level_operand(level: Number) -> bytes:
    """An alert level in mg/dL, or a rate in mg/dL per minute.

    Raises:
        AdapterError: ``not_representable``.
    """
    return write_sfloats(level)


def calibration_operand(one: Calibration) -> bytes:
    """The ten bytes of a calibration record.

    Raises:
        AdapterError: ``not_representable`` or ``out_of_range``.
    """
    return (
        write_sfloats(one.concentration)
        + write_unsigned(one.minutes, 2, "calibration time")
        + write_unsigned(one.type_and_location, 1, "type and sample location")
        + write_unsigned(one.next_minutes, 2, "next calibration time")
        + write_unsigned(one.number, 2, "record number")
        + write_unsigned(one.status, 1, "calibration status")
    )


def response_operand(request: Op, code: int) -> bytes:
    """The answer to ``request``: one of :data:`RESPONSES`.

    Raises:
        AdapterError: ``out_of_range``.
    """
    return bytes([request]) + write_unsigned(code, 1, "response code")
