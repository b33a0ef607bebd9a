"""The control point of Polar Measurement Data (FB005C81): requests, responses, settings and features.

Source: polar-ble-sdk, ``PmdControlPointCommand.kt``, ``PmdControlPointResponse.kt``, ``PmdSetting.kt`` and
``PmdMeasurementType.fromByteArray``. An H10 streams until its battery is empty unless ECG and ACC are
stopped: send :func:`stop_request` before leaving.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from types import MappingProxyType
from typing import TypeVar

from edge_twin.observation import DeviceEvent, DeviceEventKind, as_utc
from edge_twin_adapters.ble.frame import DecodeContext, Item, Reader
from edge_twin_adapters.ble.polar_stream import Measurement, PmdStream
from edge_twin_adapters.errors import AdapterError, DecodeError

CHARACTERISTIC = "fb005c81-02e7-f387-1cad-8acd2d8df0c8"

_FEATURES = 0x0F
RESPONSE = 0xF0

STOPPED = 0x01
_TYPE_MASK = 0x3F


class Command(IntEnum):
    """What a client asks for."""

    GET_SETTINGS = 1
    START = 2
    STOP = 3
    GET_SDK_MODE_SETTINGS = 4
    GET_STATUS = 5
    GET_SDK_MODE_STATUS = 6
    GET_OFFLINE_TRIGGER = 7
    SET_OFFLINE_TRIGGER_MODE = 8
    SET_OFFLINE_TRIGGER_SETTINGS = 9


class Status(IntEnum):
    """What the sensor answers."""

    SUCCESS = 0
    INVALID_OP_CODE = 1
    INVALID_MEASUREMENT_TYPE = 2
    NOT_SUPPORTED = 3
    INVALID_LENGTH = 4
    INVALID_PARAMETER = 5
    ALREADY_IN_STATE = 6
    INVALID_RESOLUTION = 7
    INVALID_SAMPLE_RATE = 8
    INVALID_RANGE = 9
    INVALID_MTU = 10
    INVALID_NUMBER_OF_CHANNELS = 11
    INVALID_STATE = 12
    DEVICE_IN_CHARGER = 13
    DISK_FULL = 14


class Setting(IntEnum):
    """Kinds of settings; the value of FACTOR is the 32 bits of a single precision number."""

    SAMPLE_RATE = 0
    RESOLUTION = 1
    RANGE = 2
    RANGE_MILLI = 3
    CHANNELS = 4
    FACTOR = 5
    SECURITY = 6


_SETTING_BYTES: Mapping[Setting, int] = MappingProxyType(
    {
        Setting.SAMPLE_RATE: 2,
        Setting.RESOLUTION: 2,
        Setting.RANGE: 2,
        Setting.RANGE_MILLI: 4,
        Setting.CHANNELS: 1,
        Setting.FACTOR: 4,
        Setting.SECURITY: 16,
    }
)

Settings = Mapping[Setting, tuple[int, ...]]
_Code = TypeVar("_Code", bound=IntEnum)
_TYPES = MappingProxyType({kind.value: kind for kind in Measurement})


@dataclass(frozen=True, slots=True)
class Response:
    """An answer of the control point.

    Attributes:
        command: what it answers.
        measurement: the measurement type, or None for a command without one that the SDK knows.
        status: whether it was done.
        more: whether another packet with more parameters follows.
        parameters: as sent, empty unless the status is success; join those of all packets before reading
            them with :func:`read_settings`.
    """

    command: Command
    measurement: Measurement | None
    status: Status
    more: bool
    parameters: bytes


def settings_request(measurement: Measurement) -> bytes:
    """Ask which settings a measurement offers."""
    return bytes([Command.GET_SETTINGS, measurement])


def start_request(measurement: Measurement, settings: Mapping[Setting, int]) -> bytes:
    """Start a stream with these settings; FACTOR is the sensor's to say and is left out.

    Raises:
        AdapterError: ``out_of_range`` for a value that does not fit its setting.
    """
    chosen: dict[Setting, tuple[int, ...]] = {
        setting: (value,) for setting, value in settings.items() if setting is not Setting.FACTOR
    }
    return bytes([Command.START, measurement]) + encode_settings(chosen)


def stop_request(measurement: Measurement) -> bytes:
    """Stop a stream."""
    return bytes([Command.STOP, measurement])


def read_response(payload: bytes) -> Response:
    """Read an indication of the control point that starts with F0.

    Raises:
        DecodeError: ``truncated``, ``too_long``, or ``not_a_response``, ``unknown_command``,
            ``unknown_status`` for a value that the SDK does not know.
    """
    reader = Reader(payload)
    if reader.u8("response code") != RESPONSE:
        raise DecodeError("no response of the control point", reason="not_a_response", offset=0)
    command = _known(Command, reader, "command")
    kind = reader.u8("measurement type") & _TYPE_MASK
    status = _known(Status, reader, "status")
    more = bool(reader.u8("more")) if reader.remaining else False
    parameters = reader.take(reader.remaining, "parameters")
    if status is not Status.SUCCESS:
        more, parameters = False, b""
    return Response(command, _TYPES.get(kind), status, more, parameters)


def _known(codes: type[_Code], reader: Reader, field: str) -> _Code:
    offset, value = reader.offset, reader.u8(field)
    try:
        return codes(value)
    except ValueError as error:
        raise DecodeError(f"unknown {field} {value}", reason=f"unknown_{field}", offset=offset) from error


def read_settings(parameters: bytes) -> Settings:
    """Read the parameters of a settings or start response: [kind][count][values], without the sign of a value.

    A single byte or none is an answer without settings, as the SDK reads it.

    Raises:
        DecodeError: ``truncated``, ``unknown_setting``, or ``duplicate_setting``.
    """
    reader = Reader(parameters)
    found: dict[Setting, tuple[int, ...]] = {}
    if len(parameters) <= 1:
        return found
    while reader.remaining:
        offset = reader.offset
        kind = _known(Setting, reader, "setting")
        if kind in found:
            raise DecodeError(f"{kind.name} comes twice", reason="duplicate_setting", offset=offset)
        raw = reader.take(reader.u8("count") * (size := _SETTING_BYTES[kind]), kind.name)
        found[kind] = tuple(int.from_bytes(raw[at : at + size], "little") for at in range(0, len(raw), size))
    return MappingProxyType(found)


def encode_settings(settings: Mapping[Setting, Sequence[int]]) -> bytes:
    """The bytes of settings, in the order in which they are given.

    Raises:
        AdapterError: ``out_of_range`` for a value that does not fit its setting, or more than 255 values.
    """
    parts = []
    for kind, values in settings.items():
        try:
            raw = b"".join(value.to_bytes(_SETTING_BYTES[kind], "little") for value in values)
            parts.append(bytes([kind, len(values)]) + raw)
        except (OverflowError, ValueError) as error:
            raise AdapterError(f"no such {kind.name}: {values}", reason="out_of_range") from error
    return b"".join(parts)


def factor_bits(factor: float) -> int:
    """The 32 bits as which FACTOR is sent.

    Raises:
        AdapterError: ``out_of_range`` for a number beyond single precision.
    """
    try:
        return int.from_bytes(struct.pack("<f", factor), "little")
    except OverflowError as error:
        raise AdapterError(f"{factor} is no single precision number", reason="out_of_range") from error


def stream_of(requested: Mapping[Setting, int], started: Response) -> PmdStream:
    """What is known of a stream once it runs: the rate that was asked for and the FACTOR that came back.

    Raises:
        DecodeError: as :func:`read_settings`, ``invalid_factor`` for a FACTOR that is no positive number, or
            ``out_of_range`` for a rate or FACTOR that no sensor has.
    """
    answered = read_settings(started.parameters)
    bits = answered.get(Setting.FACTOR, ())
    factor = struct.unpack("<f", bits[0].to_bytes(4, "little"))[0] if bits else None
    if factor is not None and not (math.isfinite(factor) and factor > 0):
        raise DecodeError(f"FACTOR {factor} gives no unit", reason="invalid_factor", offset=0)
    # An answer may name the rate without a value.
    rate = (answered.get(Setting.SAMPLE_RATE) or (requested.get(Setting.SAMPLE_RATE),))[0]
    try:
        return PmdStream(None if rate is None else float(rate), factor)
    except AdapterError as error:
        raise DecodeError(str(error), reason=error.reason, offset=0) from error


def encode_response(response: Response) -> bytes:
    """The indication that a sensor sends; no parameters follow an error."""
    kind = 0 if response.measurement is None else response.measurement
    head = bytes([RESPONSE, response.command, kind, response.status, response.more])
    return head + response.parameters if response.status is Status.SUCCESS else head


def read_features(payload: bytes) -> frozenset[Measurement]:
    """Which measurements a sensor offers, from a read of the control point: 0F, then a bit for each type.

    Bits without a meaning in the SDK are left aside; sensors fill the value up to 17 bytes.

    Raises:
        DecodeError: ``truncated``, ``too_long``, or ``not_features``.
    """
    reader = Reader(payload)
    if reader.u8("feature code") != _FEATURES:
        raise DecodeError("no feature value of the control point", reason="not_features", offset=0)
    bits = int.from_bytes(reader.take(2, "features"), "little")
    reader.take(reader.remaining, "reserved")
    return frozenset(kind for kind in Measurement if bits >> kind & 1)


def encode_features(measurements: frozenset[Measurement]) -> bytes:
    """The 17 bytes that a sensor's control point is read as."""
    bits = sum(1 << kind for kind in measurements)
    return bytes([_FEATURES]) + bits.to_bytes(2, "little") + bytes(14)


def encode_stopped(measurements: Sequence[Measurement]) -> bytes:
    """The indication by which a sensor tells that it stopped streams of its own accord."""
    return bytes([STOPPED, *measurements])


def decode_control_point(payload: bytes, received: datetime, context: DecodeContext) -> list[Item]:
    """What the control point says, as events.

    A ``CONTROL`` for an answer (``command= stream= status=``, the status in snake_case), a ``STATUS`` for the
    features (``measurements=``), and a ``GAP`` without end for each stream that the sensor stopped of its own
    accord (``measurement_stopped stream=``).

    Raises:
        DecodeError: see :func:`read_response` and :func:`read_features`; ``truncated`` for a stop that
            names no stream.
        ObservationError: ``naive_time``.
    """
    received = as_utc(received)
    first = Reader(payload).u8("code")
    if first == STOPPED:
        return _stopped(payload, received, context)
    if first == _FEATURES:
        names = ",".join(kind.name.lower() for kind in sorted(read_features(payload))) or "none"
        return [DeviceEvent(DeviceEventKind.STATUS, received, context.source, f"measurements={names}")]
    response = read_response(payload)
    stream = "none" if response.measurement is None else response.measurement.name.lower()
    detail = f"command={response.command.name.lower()} stream={stream} status={response.status.name.lower()}"
    return [DeviceEvent(DeviceEventKind.CONTROL, received, context.source, detail)]


def _stopped(payload: bytes, received: datetime, context: DecodeContext) -> list[Item]:
    reader = Reader(payload)
    reader.u8("code")
    kinds = [reader.u8("measurement type") & _TYPE_MASK, *reader.take(reader.remaining, "measurement types")]
    names = [_TYPES[kind].name.lower() if kind in _TYPES else str(kind) for kind in kinds]
    return [
        DeviceEvent(DeviceEventKind.GAP, received, context.source, f"measurement_stopped stream={name}")
        for name in names
    ]
