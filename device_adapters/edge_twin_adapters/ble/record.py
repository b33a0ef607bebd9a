"""One measurement of a device: several values that share time, provenance, quality and remarks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from edge_twin.codes import Code
from edge_twin.observation import DeviceEvent, DeviceEventKind, Quality, as_utc, observe
from edge_twin_adapters.ble.date_time import DateTimeField, place
from edge_twin_adapters.ble.fields import BitNames, joined, named_bits
from edge_twin_adapters.ble.frame import DecodeContext, Item
from edge_twin_adapters.ble.ieee11073 import Number, Special
from edge_twin_adapters.ble.units import as_float

_WORST_LAST = (Quality.GOOD, Quality.QUESTIONABLE, Quality.IMPLAUSIBLE, Quality.INVALID)


@dataclass(slots=True)
class Record:
    """Collects what one measurement says.

    Attributes:
        moment: when it was taken, UTC.
        source: name of the device.
        attributes: remarks that every value carries.
        quality: the worst that a status of the device implies.
        items: the observations and events so far.
    """

    moment: datetime
    source: str
    attributes: dict[str, str]
    quality: Quality = Quality.GOOD
    items: list[Item] = field(default_factory=list)

    def doubt(self, quality: Quality) -> None:
        """Lower the quality to ``quality``; it never rises."""
        self.quality = max(self.quality, quality, key=_WORST_LAST.index)

    def note_status(
        self, attribute: str, word: int, names: BitNames, *, questionable: int = 0, invalid: int = 0
    ) -> None:
        """Keep every set bit of a status word as an attribute and let it lower the quality.

        Args:
            attribute: name of the attribute.
            word: the status.
            names: names of its bits.
            questionable: mask of the bits that make the record questionable.
            invalid: mask of the bits that make it invalid.
        """
        self.attributes[attribute] = joined(named_bits(word, names))
        if word & invalid:
            self.doubt(Quality.INVALID)
        elif word & questionable:
            self.doubt(Quality.QUESTIONABLE)

    def note_stored(self) -> None:
        """The device read it from its storage: doubtful, and not to be used where its time is not known."""
        self.attributes["recorded"] = "stored"
        known = self.attributes["time_source"] == "device"
        self.doubt(Quality.QUESTIONABLE if known else Quality.INVALID)

    def add(self, code: Code, value: Number, *, sequence: int = 0, remarks: Mapping[str, str] | None = None) -> None:
        """Add a value in the unit of ``code``; a special value becomes a gap instead.

        Args:
            code: what was measured.
            value: exactly as the device said it, after conversion.
            sequence: keeps several values of one code in one record apart.
            remarks: attributes of this value alone.
        """
        if isinstance(value, Special):
            self.gap(code.name, value.value)
            return
        observation = observe(
            code,
            as_float(value),
            self.moment,
            source=self.source,
            quality=self.quality,
            attributes={**self.attributes, **(remarks or {})},
            sequence=sequence,
        )
        self.items.append(observation)

    def add_converted(self, code: Code, value: Decimal, reported: str) -> None:
        """Add a value that was converted, with what the device showed as attribute ``reported``."""
        self.add(code, value, remarks={"reported": reported})

    def gap(self, what: str, why: str) -> None:
        """The device was to measure ``what`` at this moment and did not."""
        self._event(DeviceEventKind.GAP, f"{why} {what}", self.moment)

    def battery_low(self, detail: str) -> None:
        """The device says that its battery is low."""
        self._event(DeviceEventKind.BATTERY_LOW, detail)

    def status(self, detail: str) -> None:
        """What the device says of itself, as ``key=value`` words."""
        self._event(DeviceEventKind.STATUS, detail)

    def control(self, detail: str) -> None:
        """The answer of a control point, as ``key=value`` words."""
        self._event(DeviceEventKind.CONTROL, detail)

    def _event(self, kind: DeviceEventKind, detail: str, until: datetime | None = None) -> None:
        self.items.append(DeviceEvent(kind, self.moment, self.source, detail, until))


def start_record(
    stamp: DateTimeField | None, received: datetime, context: DecodeContext, *, clock_set: bool = True
) -> Record:
    """A record at the time that the device's clock means, where it can be believed (:func:`place`).

    A reading that waited in the device is questionable, and so is one whose clock was not set, runs
    ahead or shows no date: the time of reception is the only one it has.

    Raises:
        ObservationError: ``naive_time`` for a ``received`` without time zone.
    """
    moment, attributes = place(stamp, as_utc(received), context, clock_set=clock_set)
    record = Record(moment, context.source, attributes)
    reason = attributes.get("time_reason", "zone_unknown")
    if attributes.get("recorded") == "stored" or reason != "zone_unknown":
        record.doubt(Quality.QUESTIONABLE)
    return record


def simple_record(received: datetime, context: DecodeContext) -> Record:
    """A record of a characteristic that has no time field: taken when it came, without remarks.

    Raises:
        ObservationError: ``naive_time`` for a ``received`` without time zone.
    """
    return Record(as_utc(received), context.source, {})
