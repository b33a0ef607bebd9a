"""Pulse-to-pulse intervals of Polar's optical sensors (PPI, frame type 0), both directions.

Six bytes a pulse: heart rate u8, interval u16 ms, error estimate u16 ms, flags (bit 0 blocker: moved too
much; bit 1 skin contact; bit 2 contact is supported). Source: polar-ble-sdk, ``PpiData.kt``.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from edge_twin.codes import HEART_RATE, PULSE_INTERVAL
from edge_twin.observation import Quality, observe
from edge_twin_adapters.ble.frame import DecodeContext, Item, Reader
from edge_twin_adapters.ble.polar_time import place
from edge_twin_adapters.errors import AdapterError, DecodeError

_PULSE = struct.Struct("<BHHB")
_BLOCKER, _CONTACT, _CONTACT_SUPPORTED = 0x01, 0x02, 0x04


@dataclass(frozen=True, slots=True)
class Pulse:
    """One pulse as the sensor says it.

    Attributes:
        rate: heart rate per minute; 0 until the sensor has one, after that it changes every 5 s.
        interval_ms: since the pulse before.
        error_ms: the sensor's estimate of the interval's error.
        blocker: it moved too much for the interval to be right.
        contact: skin contact, or None when the sensor cannot tell.
    """

    rate: int
    interval_ms: int
    error_ms: int = 0
    blocker: bool = False
    contact: bool | None = None

    @property
    def is_trusted(self) -> bool:
        """Polar's rule: discard with the blocker, or where contact is supported and there is none."""
        return not self.blocker and self.contact is not False


def read_pulses(reader: Reader, time_ns: int, received: datetime, context: DecodeContext) -> list[Item]:
    """A heart rate and an interval (ms) for each pulse, oldest first; those not trusted are invalid.

    A heart rate of 0, which means that the sensor has none yet, is invalid as well. The last pulse was at the
    frame's time, each earlier one before it by the intervals between. Attributes: ``blocker``
    (``yes``/``no``), ``contact`` where the sensor can tell, ``error_ms``, and those of
    :func:`polar_time.place`. A Verity Sense without contact is known to say that it has some.

    Raises:
        DecodeError: ``no_samples``, or ``trailing_bytes`` for a part of a pulse.
        ObservationError: ``naive_time``.
    """
    start = reader.offset
    if not reader.remaining:
        raise DecodeError("a frame without pulses", reason="no_samples", offset=start)
    whole = reader.take(reader.remaining // _PULSE.size * _PULSE.size, "pulses")
    reader.finish()
    pulses = [_pulse(*fields) for fields in _PULSE.iter_unpack(whole)]
    last, attributes = place(time_ns, received, context)
    items: list[Item] = []
    for index, pulse in enumerate(pulses):
        later_ms = sum(following.interval_ms for following in pulses[index + 1 :])
        items += _observations(pulse, index, last - timedelta(milliseconds=later_ms), attributes, context)
    return items


def _pulse(rate: int, interval_ms: int, error_ms: int, flags: int) -> Pulse:
    contact = bool(flags & _CONTACT) if flags & _CONTACT_SUPPORTED else None
    return Pulse(rate, interval_ms, error_ms, bool(flags & _BLOCKER), contact)


def _observations(
    pulse: Pulse, index: int, time: datetime, attributes: dict[str, str], context: DecodeContext
) -> list[Item]:
    remarks = attributes | {"blocker": "yes" if pulse.blocker else "no", "error_ms": str(pulse.error_ms)}
    if pulse.contact is not None:
        remarks["contact"] = "yes" if pulse.contact else "no"
    trusted = Quality.GOOD if pulse.is_trusted else Quality.INVALID
    values = (
        (HEART_RATE, pulse.rate, trusted if pulse.rate else Quality.INVALID),
        (PULSE_INTERVAL, pulse.interval_ms, trusted),
    )
    return [
        observe(
            code,
            float(value),
            time,
            source=context.source,
            quality=quality,
            attributes=remarks,
            sequence=index,
        )
        for code, value, quality in values
    ]


def encode_pulses(pulses: Sequence[Pulse]) -> bytes:
    """The content of a PPI frame, to follow :func:`polar.encode_header`.

    Raises:
        AdapterError: ``out_of_range`` for a number that does not fit its field.
    """
    try:
        return b"".join(_PULSE.pack(p.rate, p.interval_ms, p.error_ms, _flags(p)) for p in pulses)
    except struct.error as error:
        raise AdapterError(f"no such pulse: {error}", reason="out_of_range") from error


def _flags(pulse: Pulse) -> int:
    supported = 0 if pulse.contact is None else _CONTACT_SUPPORTED
    return (_BLOCKER if pulse.blocker else 0) | supported | (_CONTACT if pulse.contact else 0)
