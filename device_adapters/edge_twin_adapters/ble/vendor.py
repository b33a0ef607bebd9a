"""Decodes and encodes the characteristics that a vendor map describes; see :mod:`vendor_map`."""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from datetime import datetime
from decimal import Context, Decimal

from edge_twin.observation import DeviceEvent, DeviceEventKind, Quality, as_utc, observe
from edge_twin_adapters.ble.frame import DecodeContext, Item, Reader
from edge_twin_adapters.ble.vendor_map import Quantity, Remark, VendorCharacteristic
from edge_twin_adapters.errors import AdapterError, DecodeError

# An own context: the application's must not change what a reading means.
_ARITHMETIC = Context(prec=34, traps=[])

Number = int | float


def decode_vendor(
    described: VendorCharacteristic, payload: bytes, received: datetime, context: DecodeContext
) -> list[Item]:
    """One observation for each quantity, taken at ``received``; a special value becomes a ``GAP``.

    Attributes of every observation: ``calibration``, ``field``, and those that the map names.

    Raises:
        DecodeError: ``truncated``, ``trailing_bytes``, ``too_long``, or ``not_a_number``.
        ObservationError: ``naive_time`` for a ``received`` without time zone.
    """
    reader = Reader(payload)
    numbers = struct.unpack(described.layout, reader.take(described.size, described.name))
    reader.finish()
    offsets = _offsets(described.layout)
    time = as_utc(received)
    remarks, quality = _remarks(described, numbers)
    items: list[Item] = []
    for field, number, offset in zip(described.fields, numbers, offsets, strict=True):
        if not isinstance(field, Quantity):
            continue
        if number in field.special:
            detail = f"{field.special[number]} {field.code.name}"
            items.append(DeviceEvent(DeviceEventKind.GAP, time, context.source, detail, time))
            continue
        reading = observe(
            field.code,
            _value(field, number, offset),
            time,
            source=context.source,
            quality=quality,
            attributes=remarks | {"field": field.name},
            sequence=offset,
        )
        items.append(reading)
    return items


def _offsets(layout: str) -> list[int]:
    """Where each number begins; nothing is aligned, since the layout names its byte order."""
    return [struct.calcsize(layout[:index]) for index in range(1, len(layout)) if layout[index] != "x"]


def _remarks(described: VendorCharacteristic, numbers: Sequence[Number]) -> tuple[dict[str, str], Quality]:
    remarks, quality = {"calibration": described.calibration}, Quality.GOOD
    for field, number in zip(described.fields, numbers, strict=True):
        if isinstance(field, Remark):
            remarks[field.name] = str(number)
            quality = _lowered(quality, field, number)
    return remarks, quality


def _lowered(quality: Quality, field: Remark, number: Number) -> Quality:
    # Masks are only accepted for whole numbers.
    if field.invalid and int(number) & field.invalid:
        return Quality.INVALID
    if field.questionable and int(number) & field.questionable and quality is Quality.GOOD:
        return Quality.QUESTIONABLE
    return quality


def _value(field: Quantity, number: Number, offset: int) -> float:
    # repr gives the shortest decimal of a float; a whole number is exact anyway.
    scaled = _ARITHMETIC.multiply(Decimal(repr(number)), field.scale)
    value = float(_ARITHMETIC.add(scaled, field.offset))
    if not math.isfinite(value):
        raise DecodeError(f"{field.name} is no finite number", reason="not_a_number", offset=offset)
    return value


def encode_vendor(described: VendorCharacteristic, numbers: Sequence[Number]) -> bytes:
    """The payload that a device sends: raw numbers in the order of the map.

    Raises:
        AdapterError: ``out_of_range`` for a number that does not fit its place, or another number of them.
    """
    try:
        return struct.pack(described.layout, *numbers)
    except (struct.error, OverflowError) as error:
        raise AdapterError(f"not a payload of {described.name}: {error}", reason="out_of_range") from error
