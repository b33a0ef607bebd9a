"""Temperature Measurement (2A1C), Health Thermometer Service 1.0 section 3.1, both directions."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from decimal import Context, Decimal

from edge_twin.codes import BODY_TEMPERATURE
from edge_twin.observation import Quality, Site, as_utc, observe
from edge_twin_adapters.ble.frame import DecodeContext, Item, Reader
from edge_twin_adapters.ble.ieee11073 import Number, Special, decode_float, encode_float
from edge_twin_adapters.errors import AdapterError, DecodeError

CHARACTERISTIC = "2a1c"

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

# An own context: the application's must not change what a reading means.
_ARITHMETIC = Context(prec=34, traps=[])

# GATT Date Time (2A08): years from 1582, 0 where year, month or day is unknown.
_FIRST_YEAR = 1582


@dataclass(frozen=True, slots=True)
class DateTimeField:
    """A GATT Date Time (2A08) as the device wrote it: local, without zone, perhaps without date."""

    year: int
    month: int
    day: int
    hour: int
    minute: int
    second: int

    @property
    def text(self) -> str:
        """ISO 8601 form without zone; unknown parts of the date are zeros."""
        date = f"{self.year:04}-{self.month:02}-{self.day:02}"
        return f"{date}T{self.hour:02}:{self.minute:02}:{self.second:02}"

    @property
    def has_date(self) -> bool:
        """Whether year, month and day are all known."""
        return bool(self.year and self.month and self.day)

    def within(self, zone: tzinfo) -> list[datetime]:
        """The moments, in UTC, at which clocks in ``zone`` showed this: none, one, or two in autumn."""
        moments = []
        for fold in (0, 1):
            local = datetime(
                self.year, self.month, self.day, self.hour, self.minute, self.second, fold=fold, tzinfo=zone
            )
            moment = local.astimezone(UTC)
            if moment.astimezone(zone).replace(tzinfo=None) == local.replace(tzinfo=None):
                moments.append(moment)
        return moments


def decode_temperature(payload: bytes, received: datetime, context: DecodeContext) -> list[Item]:
    """One body temperature in Cel; degrees Fahrenheit are converted in decimal arithmetic.

    Attributes of the observation: ``site`` (:class:`edge_twin.observation.Site`) where it is known,
    ``time_source`` (``device`` or ``received``), and if the device sent a time its text as
    ``device_time`` and, if that was not used, why (``time_reason``). A reading that waited in the
    device is ``recorded = stored`` and questionable.

    Raises:
        DecodeError: ``truncated``, ``trailing_bytes``, ``too_long``, ``not_a_number`` for a special
            value, or ``invalid_time`` for a time stamp that no clock can show.
        ObservationError: ``naive_time`` for a ``received`` without time zone.
    """
    reader = Reader(payload)
    flags = reader.u8("flags")
    celsius = _read_celsius(reader, fahrenheit=bool(flags & _FAHRENHEIT))
    stamp = read_date_time(reader) if flags & _TIME_STAMP else None
    site = _SITES.get(reader.u8("temperature type"), Site.UNKNOWN) if flags & _TYPE else context.site
    reader.finish()
    moment, attributes = _place(stamp, as_utc(received), context)
    if site is not None:
        attributes["site"] = site.value
    stored = attributes.get("recorded") == "stored"
    reading = observe(
        BODY_TEMPERATURE,
        float(celsius),
        moment,
        source=context.source,
        quality=Quality.QUESTIONABLE if stored else Quality.GOOD,
        attributes=attributes,
    )
    return [reading]


def _read_celsius(reader: Reader, *, fahrenheit: bool) -> Decimal:
    offset = reader.offset
    number = decode_float(reader.take(4, "temperature"))
    if isinstance(number, Special):
        raise DecodeError(f"the thermometer sent {number.value}", reason="not_a_number", offset=offset)
    return fahrenheit_to_celsius(number) if fahrenheit else number


def fahrenheit_to_celsius(fahrenheit: Decimal) -> Decimal:
    """Convert in decimal arithmetic: 100.4 °F is exactly 38.0 °C."""
    difference = _ARITHMETIC.subtract(fahrenheit, Decimal(32))
    return _ARITHMETIC.divide(_ARITHMETIC.multiply(difference, Decimal(5)), Decimal(9))


def read_date_time(reader: Reader) -> DateTimeField:
    """Read a GATT Date Time (7 bytes).

    Raises:
        DecodeError: ``truncated``, or ``invalid_time`` when a part is out of its range.
    """
    offset = reader.offset
    year = reader.u16("year")
    month, day, hour, minute, second = reader.take(5, "month to second")
    stamp = DateTimeField(year, month, day, hour, minute, second)
    if not _is_valid(stamp):
        raise DecodeError(f"no clock shows {stamp.text}", reason="invalid_time", offset=offset)
    return stamp


def _is_valid(stamp: DateTimeField) -> bool:
    if stamp.year and stamp.year < _FIRST_YEAR:
        return False
    try:
        # A leap year stands in for an unknown year, so that 29 February is accepted.
        datetime(
            stamp.year or 2000, stamp.month or 1, stamp.day or 1, stamp.hour, stamp.minute, stamp.second, tzinfo=UTC
        )
    except ValueError:
        return False
    return True


def _place(stamp: DateTimeField | None, received: datetime, context: DecodeContext) -> tuple[datetime, dict[str, str]]:
    """When the reading was taken, and the attributes that say how this is known."""
    if stamp is None:
        return received, {"time_source": "received"}
    attributes = {"device_time": stamp.text}
    moment = _device_moment(stamp, received, context)
    if isinstance(moment, str):
        return received, attributes | {"time_source": "received", "time_reason": moment}
    if received - moment > context.clock_tolerance:
        attributes["recorded"] = "stored"
    return moment, attributes | {"time_source": "device"}


def _device_moment(stamp: DateTimeField, received: datetime, context: DecodeContext) -> datetime | str:
    """The moment that the device's clock means, or the reason why it is not believed."""
    if context.patient_zone is None:
        return "zone_unknown"
    if not stamp.has_date:
        return "date_unknown"
    # Years far away are settled first: they can leave the range of datetime when converted.
    if abs(stamp.year - received.year) > 1 + context.max_age // timedelta(days=365):
        return "device_clock_ahead" if stamp.year > received.year else "device_clock_unset"
    moments = stamp.within(context.patient_zone)
    if not moments:
        return "no_such_local_time"
    believable = [moment for moment in moments if moment - received <= context.clock_tolerance]
    if not believable:
        return "device_clock_ahead"
    latest = max(believable)
    return latest if received - latest <= context.max_age else "device_clock_unset"


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
    return bytes([flags]) + encode_float(temperature) + _encode_time(device_time) + _encode_site(site)


def _encode_time(stamp: DateTimeField | None) -> bytes:
    if stamp is None:
        return b""
    rest = (stamp.month, stamp.day, stamp.hour, stamp.minute, stamp.second)
    return stamp.year.to_bytes(2, "little") + bytes(rest)


def _encode_site(site: Site | None) -> bytes:
    return b"" if site is None else bytes([_SITE_OCTETS[site]])
