"""Device Information (180A) and Body Sensor Location (2A38), both directions.

What a device says of itself becomes a ``STATUS`` event with one ``key=value``; the value is the rest of
the detail, spaces and all.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType

from edge_twin_adapters.ble.frame import DecodeContext, Decoder, Item, Reader
from edge_twin_adapters.ble.record import simple_record
from edge_twin_adapters.errors import AdapterError, DecodeError

# Device Information Service 1.1 section 3; UTF-8 without a length.
STRINGS: Mapping[str, str] = MappingProxyType(
    {
        "2a24": "model_number",
        "2a25": "serial_number",
        "2a26": "firmware_revision",
        "2a27": "hardware_revision",
        "2a28": "software_revision",
        "2a29": "manufacturer_name",
    }
)
SYSTEM_ID = "2a23"
_SYSTEM_ID_BYTES = 8
BODY_SENSOR_LOCATION = "2a38"
LOCATIONS = {0: "other", 1: "chest", 2: "wrist", 3: "finger", 4: "hand", 5: "ear_lobe", 6: "foot"}


def decoder_of(name: str) -> Decoder:
    """A decoder of one string: ``<name>=<text>``.

    Zeros at the end, with which some devices fill the field, are cut off. The decoder raises DecodeError
    (``too_long``, or ``bad_text`` for what is not UTF-8 or holds a control character) and
    ObservationError (``naive_time``).
    """

    def decode_string(payload: bytes, received: datetime, context: DecodeContext) -> list[Item]:
        text = _text(Reader(payload).take(len(payload), name))
        record = simple_record(received, context)
        record.status(f"{name}={text}")
        return record.items

    return decode_string


DECODERS: Mapping[str, Decoder] = MappingProxyType({uuid: decoder_of(name) for uuid, name in STRINGS.items()})


def _text(payload: bytes) -> str:
    try:
        text = payload.rstrip(b"\0").decode("utf-8")
    except UnicodeDecodeError as error:
        raise DecodeError("a string that is not UTF-8", reason="bad_text", offset=error.start) from error
    for index, character in enumerate(text):
        if not character.isprintable():
            offset = len(text[:index].encode())
            raise DecodeError("a string with a control character", reason="bad_text", offset=offset)
    return text


def decode_system_id(payload: bytes, received: datetime, context: DecodeContext) -> list[Item]:
    """One ``STATUS`` event ``system_id=<16 hex digits>``, most significant octet first.

    Raises:
        DecodeError: ``truncated``, ``trailing_bytes`` or ``too_long``.
        ObservationError: ``naive_time`` for a ``received`` without time zone.
    """
    reader = Reader(payload)
    octets = reader.take(_SYSTEM_ID_BYTES, "system id")
    reader.finish()
    record = simple_record(received, context)
    record.status(f"system_id={octets[::-1].hex()}")
    return record.items


def decode_body_sensor_location(payload: bytes, received: datetime, context: DecodeContext) -> list[Item]:
    """One ``STATUS`` event ``body_sensor_location=chest``.

    Raises:
        DecodeError: ``truncated``, ``trailing_bytes`` or ``too_long``.
        ObservationError: ``naive_time`` for a ``received`` without time zone.
    """
    reader = Reader(payload)
    location = reader.u8("body sensor location")
    reader.finish()
    record = simple_record(received, context)
    record.status(f"body_sensor_location={LOCATIONS.get(location, f'reserved_{location}')}")
    return record.items


def encode_string(text: str) -> bytes:
    """The payload of a string.

    Raises:
        AdapterError: ``bad_text`` for a control character.
    """
    if not text.isprintable():
        raise AdapterError("a control character in a string", reason="bad_text")
    return text.encode()
