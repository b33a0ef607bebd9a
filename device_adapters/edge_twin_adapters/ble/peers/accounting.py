"""Holds what arrived against what was measured: each record once, in an explicit gap, refused, or missing."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import MappingProxyType

from edge_twin.observation import DeviceEvent, DeviceEventKind, Observation, Waveform
from edge_twin_adapters.ble.frame import Item
from edge_twin_adapters.ble.peers.ledger import Fate, Ledger, Measured

Values = tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Stream:
    """How the records of a stream look when they arrive.

    Attributes:
        codes: names of the codes of its values, the leading one first.
        key: attribute that identifies a record; empty where there is none, and then records are matched
            in their order by value.
    """

    codes: tuple[str, ...]
    key: str = ""


_CLOCK, _PMD = "device_time", "device_time_ns"
_KEYS = ("record_sequence", "session_minutes", _PMD, _CLOCK)
STREAMS: Mapping[str, Stream] = MappingProxyType(
    {
        "rr_interval": Stream(("rr_interval",)),
        "oxygen_saturation": Stream(("oxygen_saturation", "pulse_rate")),
        "cadence": Stream(("cadence", "distance")),
        "ambient_temperature": Stream(("ambient_temperature",)),
        "relative_humidity": Stream(("relative_humidity",)),
        "air_pressure": Stream(("air_pressure",)),
        "voc_concentration": Stream(("voc_concentration",)),
        "co2_concentration": Stream(("co2_concentration",)),
        "ecg": Stream(("ecg",), _PMD),
        "acceleration": Stream(("acceleration",), _PMD),
        "pulse_interval": Stream(("pulse_interval",), _PMD),
        "body_temperature": Stream(("body_temperature",), _CLOCK),
        "systolic_pressure": Stream(("systolic_pressure", "diastolic_pressure", "pulse_rate_cuff"), _CLOCK),
        "body_weight": Stream(("body_weight",), _CLOCK),
        "body_impedance": Stream(("body_impedance",), _CLOCK),
        "body_fat": Stream(("body_fat", "body_weight", "muscle_mass", "body_impedance"), _CLOCK),
        "glucose": Stream(("glucose_capillary",), "record_sequence"),
        "glucose_interstitial": Stream(("glucose_interstitial",), "session_minutes"),
    }
)
_SPOT = Stream(("oxygen_saturation", "pulse_rate"), _CLOCK)

COLUMNS = (
    "sensor",
    "stream",
    "measured",
    "once",
    "in_gap",
    "refused",
    "waiting",
    "repeated",
    "altered",
    "missing",
    "unknown",
)

# A record without a key is taken for one that was measured within a second, and failing that for the first
# one like it that was measured up to a minute before.
_AT_ONCE = timedelta(seconds=1)
LONGEST_DELAY = timedelta(seconds=60)


@dataclass(slots=True)
class Account:
    """The count of one stream of one sensor; the parts add up to :attr:`measured`.

    Attributes:
        sensor: its name.
        stream: name of the stream.
        measured: records in the ledger.
        once: arrived exactly once with the values that were measured.
        in_gap: did not arrive, and lie in a gap that was told.
        refused: spoilt on the way, did not arrive, and a frame was refused in that moment.
        waiting: still in the sensor's storage when the account was made.
        repeated: arrived more than once.
        altered: arrived with other values.
        missing: did not arrive and nothing tells of it.
        unknown: arrived and were never measured.
    """

    sensor: str
    stream: str
    measured: int = 0
    once: int = 0
    in_gap: int = 0
    refused: int = 0
    waiting: int = 0
    repeated: int = 0
    altered: int = 0
    missing: int = 0
    unknown: int = 0
    _unexplained: list[Measured] = field(default_factory=list)

    @property
    def is_closed(self) -> bool:
        """Whether every record arrived exactly once or lies in a gap (or was refused, or still waits)."""
        return not (self.repeated or self.altered or self.missing or self.unknown)

    @property
    def unexplained(self) -> tuple[Measured, ...]:
        """The records that are missing, for a message."""
        return tuple(self._unexplained)

    def row(self) -> dict[str, str | int]:
        """All counts by name, for a table or JSON."""
        return {name: getattr(self, name) for name in COLUMNS}

    def miss(self, entry: Measured) -> None:
        """Count a record that nothing explains."""
        self.missing += 1
        self._unexplained.append(entry)


@dataclass(frozen=True, slots=True)
class _Part:
    """A value that arrived, reduced to what is compared."""

    value: float
    sequence: int
    key: str
    time: datetime


@dataclass(frozen=True, slots=True)
class _Arrival:
    key: str
    time: datetime
    values: Values


class Arrivals:
    """What arrived from one sensor, reduced to what is compared, so that a day of it fits into memory."""

    def __init__(self) -> None:
        self._parts: dict[str, list[_Part]] = defaultdict(list)
        self._waveforms: dict[str, list[_Arrival]] = defaultdict(list)
        self.gaps: list[DeviceEvent] = []
        self.refusals: list[datetime] = []
        self.events: list[DeviceEvent] = []

    def add(self, item: Item) -> None:
        """Take in an item; call it in the order in which they come."""
        if isinstance(item, DeviceEvent):
            self._note(item)
        elif isinstance(item, Waveform):
            total = float(sum(sum(row) for row in item.samples))
            self._waveforms[item.code.name].append(
                _Arrival(_key_of(item), item.start, (float(len(item.samples)), total))
            )
        else:
            self._parts[item.code.name].append(_Part(item.value, item.sequence, _key_of(item), item.time))

    def _note(self, event: DeviceEvent) -> None:
        self.events.append(event)
        if event.kind is DeviceEventKind.GAP:
            self.gaps.append(event)
        elif event.kind is DeviceEventKind.REFUSED:
            self.refusals.append(event.time)

    def records(self, layout: Stream) -> list[_Arrival]:
        """The records of a stream, one for each copy that arrived."""
        lead = layout.codes[0]
        if not layout.key and len(layout.codes) == 1:
            return [_Arrival("", part.time, (part.value,)) for part in self._parts[lead]]
        grouped: dict[str | datetime, list[tuple[str, _Part]]] = defaultdict(list)
        for code in layout.codes:
            for part in self._parts[code]:
                grouped[part.key if layout.key else part.time].append((code, part))
        copies = [copy for together in grouped.values() for copy in _copies(together, layout)]
        return self._waveforms[lead] + copies


def _key_of(item: Observation | Waveform) -> str:
    return next((item.attributes[name] for name in _KEYS if name in item.attributes), "")


def _copies(together: Sequence[tuple[str, _Part]], layout: Stream) -> list[_Arrival]:
    """Values of one key, or of one moment, as records: copies repeat their codes and sequence numbers."""
    first = together[0][1]
    by_place: dict[tuple[int, int], list[float]] = defaultdict(list)
    for code, part in together:
        by_place[layout.codes.index(code), part.sequence].append(part.value)
    count = max(len(values) for values in by_place.values())
    return [
        _Arrival(
            first.key, first.time, tuple(by_place[at][copy] for at in sorted(by_place) if copy < len(by_place[at]))
        )
        for copy in range(count)
    ]


def account(sensor: str, ledger: Ledger, items: Iterable[Item] | Arrivals) -> list[Account]:
    """One account for each stream of a sensor.

    Args:
        sensor: its name.
        ledger: what it measured.
        items: everything that arrived from it, in order.
    """
    if isinstance(items, Arrivals):
        arrived = items
    else:
        arrived = Arrivals()
        for item in items:
            arrived.add(item)
    return [_account(Account(sensor, stream), ledger.of(stream), arrived) for stream in ledger.streams]


def _account(result: Account, entries: Sequence[Measured], arrived: Arrivals) -> Account:
    result.measured = len(entries)
    layout = STREAMS[result.stream]
    if result.stream == "oxygen_saturation" and entries and entries[0].key:
        layout = _SPOT
    match = _match_by_key if layout.key else _match_in_order
    for entry in match(result, entries, arrived.records(layout)):
        _explain(result, entry, arrived)
    return result


def _explain(result: Account, entry: Measured, arrived: Arrivals) -> None:
    """Why a record did not arrive."""
    if any(_covers(gap, entry) for gap in arrived.gaps):
        result.in_gap += 1
    elif entry.fate is Fate.STORED:
        result.waiting += 1
    elif entry.fate is Fate.CORRUPTED and any(abs(time - entry.time) <= LONGEST_DELAY for time in arrived.refusals):
        result.refused += 1
    else:
        result.miss(entry)


def _covers(gap: DeviceEvent, entry: Measured) -> bool:
    """Whether ``gap`` tells of the loss; a lost link loses nothing that the sensor still has."""
    words = dict(word.split("=", 1) for word in gap.detail.split() if "=" in word)
    if words.get("stream", entry.stream) != entry.stream:
        return False
    if entry.fate is Fate.STORED and words.get("origin") != "stored":
        return False
    return gap.time <= entry.time <= (gap.until or gap.time)


def _match_by_key(result: Account, entries: Sequence[Measured], arrivals: Sequence[_Arrival]) -> list[Measured]:
    """Count what arrived; the records that did not."""
    by_key: dict[str, list[Values]] = defaultdict(list)
    for arrival in arrivals:
        by_key[arrival.key].append(arrival.values)
    absent = []
    for entry in entries:
        copies = by_key.pop(entry.key, [])
        if not copies:
            absent.append(entry)
        elif len(copies) > 1:
            result.repeated += 1
        elif copies[0] == entry.values:
            result.once += 1
        else:
            result.altered += 1
    result.unknown = sum(len(copies) for copies in by_key.values())
    return absent


def _match_in_order(result: Account, entries: Sequence[Measured], arrivals: Sequence[_Arrival]) -> list[Measured]:
    """As :func:`_match_by_key`, for records that only their values and their time tell apart."""
    open_entries = _Open(entries)
    late = [arrival for arrival in arrivals if not open_entries.take(arrival, earliest=-_AT_ONCE, latest=_AT_ONCE)]
    unknown = [
        arrival for arrival in late if not open_entries.take(arrival, earliest=timedelta(0), latest=LONGEST_DELAY)
    ]
    result.unknown = len(unknown)
    result.once = len(arrivals) - len(unknown)
    return open_entries.left()


class _Open:
    """The entries that no arrival has been taken for yet."""

    def __init__(self, entries: Sequence[Measured]) -> None:
        self._entries = entries
        self._moments = [entry.moment for entry in entries]
        self._taken = [False] * len(entries)

    def take(self, arrival: _Arrival, *, earliest: timedelta, latest: timedelta) -> bool:
        """Take the nearest entry with these values that arrived so late (negative: too early)."""
        begin = bisect_left(self._moments, arrival.time - latest)
        end = bisect_right(self._moments, arrival.time - earliest)
        alike = [
            index
            for index in range(begin, end)
            if not self._taken[index] and self._entries[index].values == arrival.values
        ]
        if not alike:
            return False
        nearest = min(alike, key=lambda index: abs(arrival.time - self._moments[index]))
        self._taken[nearest] = True
        return True

    def left(self) -> list[Measured]:
        """The entries that were not taken."""
        return [entry for entry, taken in zip(self._entries, self._taken, strict=True) if not taken]
