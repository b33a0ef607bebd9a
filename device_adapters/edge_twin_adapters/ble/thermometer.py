"""Temperature Measurement (2A1C) and its kin, Health Thermometer Service 1.0 section 3, both directions."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from edge_twin.codes import BODY_TEMPERATURE
from edge_twin.observation import Quality, Site
from edge_twin_adapters.ble.date_time import DateTimeField, encode_date_time, read_date_time
from edge_twin_adapters.ble.frame import DecodeContext, Item, Reader
from edge_twin_adapters.ble.ieee11073 import Number, Special, decode_float, encode_float
from edge_twin_adapters.ble.record import Record, simple_record, start_record
from edge_twin_adapters.ble.units import fahrenheit_to_celsius
from edge_twin_adapters.errors import AdapterError, DecodeError

CHARACTERISTIC = "2a1c"
INTERMEDIATE = "2a1e"
TEMPERATURE_TYPE = "2a1d"

_FAHRENHEIT = 0x01
_TIME_STAMP = 0x02
_TYPE = 0x04

# Temperature Type (2A1D), Bluetooth assigned values; the mouth is the oral site of the twin.
_SITES = {
    1: Site.ARMPIT,
    2: Site.BODY,
    3: Site.EAR,
    4: Site.FINGER,
    5: Site.GASTROINTESTINAL,
    6: Site.ORAL,
    7: Site.RECTUM,
    8: Site.TOE,
    9: Site.TYMPANUM,
}
_SITE_OCTETS = {site: octet for octet, site in _SITES.items()}


def decode_temperature(payload: bytes, received: datetime, context: DecodeContext) -> list[Item]:
    """One body temperature in Cel; degrees Fahrenheit are converted in decimal arithmetic.

    Attributes of the observation: ``site`` (:class:`edge_twin.observation.Site`) where it is known,
    ``time_source`` (``device`` or ``received``), and if the device sent a time its text as
    ``device_time`` and, if that was not used, why (``time_reason``); ``reported`` where it was
    converted. A reading that waited in the device is ``recorded = stored`` and questionable.

    Raises:
        DecodeError: ``truncated``, ``trailing_bytes``, ``too_long``, ``not_a_number`` for a special
            value, or ``invalid_time`` for a time stamp that no clock can show.
        ObservationError: ``naive_time`` for a ``received`` without time zone.
    """
    record, celsius = _read(payload, received, context)
    record.add(BODY_TEMPERATURE, celsius)
    return record.items


def decode_intermediate_temperature(payload: bytes, received: datetime, context: DecodeContext) -> list[Item]:
    """As :func:`decode_temperature`, for a value that is still settling (2A1E): kept, never used.

    Raises:
        DecodeError: as :func:`decode_temperature`.
        ObservationError: as there.
    """
    record, celsius = _read(payload, received, context)
    record.attributes["intermediate"] = "yes"
    record.doubt(Quality.INVALID)
    record.add(BODY_TEMPERATURE, celsius)
    return record.items


def decode_temperature_type(payload: bytes, received: datetime, context: DecodeContext) -> list[Item]:
    """Where the thermometer measures (2A1D), as a ``STATUS`` event ``site=...``.

    Raises:
        DecodeError: ``truncated`` or ``trailing_bytes``.
        ObservationError: ``naive_time`` for a ``received`` without time zone.
    """
    reader = Reader(payload)
    site = _SITES.get(reader.u8("temperature type"), Site.UNKNOWN)
    reader.finish()
    record = simple_record(received, context)
    record.status(f"site={site.value}")
    return record.items


def _read(payload: bytes, received: datetime, context: DecodeContext) -> tuple[Record, Decimal]:
    reader = Reader(payload)
    flags = reader.u8("flags")
    shown = _read_number(reader)
    stamp = read_date_time(reader) if flags & _TIME_STAMP else None
    site = _SITES.get(reader.u8("temperature type"), Site.UNKNOWN) if flags & _TYPE else context.site
    reader.finish()
    record = start_record(stamp, received, context)
    if site is not None:
        record.attributes["site"] = site.value
    if not flags & _FAHRENHEIT:
        return record, shown
    record.attributes["reported"] = f"{shown:f} °F"
    return record, fahrenheit_to_celsius(shown)


def _read_number(reader: Reader) -> Decimal:
    offset = reader.offset
    number = decode_float(reader.take(4, "temperature"))
    if isinstance(number, Special):
        raise DecodeError(f"the thermometer sent {number.value}", reason="not_a_number", offset=offset)
    return number


def encode_temperature(
    temperature: Number,
    *,
    site: Site | None = None,
    fahrenheit: bool = False,
    device_time: DateTimeField | None = None,
) -> bytes:
    """The payload that a thermometer sends.

    Args:
        temperature: in °C, or in °F with ``fahrenheit``; or one of the special values.
        site: where it was taken, or None to leave the type out.
        fahrenheit: the unit.
        device_time: the device's clock, or None to leave the time stamp out.

    Raises:
        AdapterError: ``not_representable`` for a number FLOAT cannot hold, ``unknown_site`` for a site
            that Temperature Type has no value for.
    """
    if site is not None and site not in _SITE_OCTETS:
        raise AdapterError(f"Temperature Type has no value for {site.value}", reason="unknown_site")
    flags = (_FAHRENHEIT if fahrenheit else 0) | (_TIME_STAMP if device_time else 0) | (_TYPE if site else 0)
    return bytes([flags]) + encode_float(temperature) + encode_date_time(device_time) + _encode_site(site)


def _encode_site(site: Site | None) -> bytes:
    return b"" if site is None else bytes([_SITE_OCTETS[site]])
