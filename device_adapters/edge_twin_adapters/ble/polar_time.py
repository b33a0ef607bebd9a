"""When the samples of a Polar PMD frame were taken.

A frame carries the device's time of its last sample, in ns since 2000-01-01 of whatever time the device was
set to; it knows no zone, and a sensor that was never set counts from 2019-01-01 (H10). Sources:
polar-ble-sdk, ``PmdTimeStampUtils.kt`` (spacing) and ``documentation/TimeSystemExplained.md`` (epoch).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo

from edge_twin_adapters.ble.frame import DecodeContext
from edge_twin_adapters.ble.polar_stream import PmdStream

EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
NS_PER_SECOND = 1_000_000_000
_NS_PER_US = 1000

# A lost notification takes all its samples, so that the step doubles at least; clocks differ by far less.
_LARGEST_STRETCH = 1.5
_SMALLEST_STRETCH = 0.5


@dataclass(frozen=True, slots=True)
class Spacing:
    """How the samples of a frame follow each other.

    Attributes:
        step_ns: from one sample to the next.
        source: ``previous`` (the previous frame's time), ``settings`` (the rate that was chosen) or
            ``assumed`` (the sensor's usual rate).
        missing: samples that were lost since the previous frame.
    """

    step_ns: float
    source: str
    missing: int = 0


def spacing(time_ns: int, count: int, stream: PmdStream, usual_rate_hz: float) -> Spacing:
    """The step between samples: (time - previous) / count, else 1 / rate.

    The previous time is not used where it says that the clock was set meanwhile. Where it says that frames
    were lost, and the rate is known, the rate gives the step and the lost samples are counted; stretching
    the samples over the hole would make a slow heart of it.

    Args:
        time_ns: device time of the last sample.
        count: samples in the frame.
        stream: rate and previous time.
        usual_rate_hz: used when nothing else is known.
    """
    nominal = NS_PER_SECOND / (stream.rate_hz or usual_rate_hz)
    without_previous = Spacing(nominal, "settings" if stream.rate_hz else "assumed")
    if stream.previous_ns is None or stream.previous_ns >= time_ns:
        return without_previous
    since = time_ns - stream.previous_ns
    stretch = since / count / nominal
    if stream.rate_hz is None or _SMALLEST_STRETCH <= stretch <= _LARGEST_STRETCH:
        return Spacing(since / count, "previous")
    missing = max(0, round(since / nominal) - count)
    return Spacing(nominal, "settings", missing)


def place(time_ns: int, received: datetime, context: DecodeContext) -> tuple[datetime, dict[str, str]]:
    """When the last sample was taken, aware UTC, and the attributes that say how this is known.

    A stream is live: a device time that is further from ``received`` than the tolerance, in either
    direction, is a clock that was set wrongly or never, and then ``received`` is used.

    Attributes: ``device_time_ns``, ``time_source`` (``device`` or ``received``), and ``time_reason`` when the
    device's time was not used (``device_clock_absent``, ``zone_unknown``, ``no_such_local_time``,
    ``device_clock_off``).
    """
    attributes = {"device_time_ns": str(time_ns)}
    found = _moment(time_ns, received, context)
    if isinstance(found, str):
        return received, attributes | {"time_source": "received", "time_reason": found}
    return found, attributes | {"time_source": "device"}


def _moment(time_ns: int, received: datetime, context: DecodeContext) -> datetime | str:
    if time_ns == 0:
        return "device_clock_absent"
    reading = device_reading(time_ns)
    if context.clock_offset is not None:
        candidates = _shifted(reading, context.clock_offset)
    elif context.patient_zone is None:
        return "zone_unknown"
    else:
        candidates = _within(reading, context.patient_zone)
        if not candidates:
            return "no_such_local_time"
    believable = [moment for moment in candidates if abs(moment - received) <= context.clock_tolerance]
    if not believable:
        return "device_clock_off"
    return min(believable, key=lambda moment: abs(moment - received))


def device_reading(time_ns: int) -> datetime:
    """What the device's clock shows, written as if it were UTC; to the microsecond."""
    return EPOCH + timedelta(microseconds=time_ns // _NS_PER_US)


def _shifted(reading: datetime, offset: timedelta) -> list[datetime]:
    try:
        return [reading + offset]
    except OverflowError:
        return []


def _within(reading: datetime, zone: tzinfo) -> list[datetime]:
    """The moments, in UTC, at which clocks in ``zone`` showed ``reading``: none, one, or two in autumn."""
    moments = []
    for fold in (0, 1):
        local = reading.replace(tzinfo=zone, fold=fold)
        moment = local.astimezone(UTC)
        if moment.astimezone(zone).replace(tzinfo=None) == local.replace(tzinfo=None):
            moments.append(moment)
    return moments
