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
STREAMS: Mapping[str, Stream] = MappingProxyType(
    {
        "rr_interval": Stream(("rr_interval",)),
        "oxygen_saturation": Stream(("oxygen_saturation", "pulse_rate")),
        "cadence": Stream(("cadence", "distance")),
        "ambient_temperature": Stream(("ambient_temperature",)),
        "relative_humidity": Stream(("relative_humidity",)),
        "air_pressure": Stream(("air_pressure",)),
        "voc_concentration": Stream(("voc_concentration",)),
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


def account(sensor: str, ledger: Ledger, items: Sequence[Item]) -> list[Account]:
    """One account for each stream of a sensor.

    Args:
        sensor: its name.
        ledger: what it measured.
        items: everything that arrived from it, in order.
    """
    gaps = [item for item in items if isinstance(item, DeviceEvent) and item.kind is DeviceEventKind.GAP]
    refusals = [item.time for item in items if isinstance(item, DeviceEvent) and item.kind is DeviceEventKind.REFUSED]
    return [_account(Account(sensor, stream), ledger.of(stream), items, gaps, refusals) for stream in ledger.streams]


def _account(
    result: Account,
    entries: Sequence[Measured],
    items: Sequence[Item],
    gaps: Sequence[DeviceEvent],
    refusals: Sequence[datetime],
) -> Account:
    result.measured = len(entries)
    layout = STREAMS[result.stream]
    if result.stream == "oxygen_saturation" and entries and entries[0].key:
        layout = _SPOT
    match = _match_by_key if layout.key else _match_in_order
    for entry in match(result, entries, _arrivals(items, layout)):
        _explain(result, entry, gaps, refusals)
    return result


def _explain(result: Account, entry: Measured, gaps: Sequence[DeviceEvent], refusals: Sequence[datetime]) -> None:
    """Why a record did not arrive."""
    if any(_covers(gap, entry) for gap in gaps):
        result.in_gap += 1
    elif entry.fate is Fate.CORRUPTED and any(abs(time - entry.time) <= LONGEST_DELAY for time in refusals):
        result.refused += 1
    elif entry.fate is Fate.STORED:
        result.waiting += 1
    else:
        result.miss(entry)


def _covers(gap: DeviceEvent, entry: Measured) -> bool:
    words = dict(word.split("=", 1) for word in gap.detail.split() if "=" in word)
    if words.get("stream", entry.stream) != entry.stream:
        return False
    return gap.time <= entry.time <= (gap.until or gap.time)


@dataclass(frozen=True, slots=True)
class _Arrival:
    key: str
    time: datetime
    values: Values


def _arrivals(items: Iterable[Item], layout: Stream) -> list[_Arrival]:
    """The records that arrived, one for each copy, in order."""
    grouped: dict[str | datetime, list[Observation]] = defaultdict(list)
    arrivals: list[_Arrival] = []
    for item in items:
        if isinstance(item, Waveform) and item.code.name == layout.codes[0]:
            total = float(sum(sum(row) for row in item.samples))
            arrivals.append(
                _Arrival(item.attributes.get(layout.key, ""), item.start, (float(len(item.samples)), total))
            )
        elif isinstance(item, Observation) and item.code.name in layout.codes:
            if len(layout.codes) == 1 and not layout.key:
                arrivals.append(_Arrival("", item.time, (item.value,)))
            else:
                grouped[item.attributes.get(layout.key, "") if layout.key else item.time].append(item)
    for together in grouped.values():
        arrivals += _copies(together, layout)
    return arrivals


def _copies(together: Sequence[Observation], layout: Stream) -> list[_Arrival]:
    """Observations of one key, or of one moment, as records: copies repeat its codes and sequence numbers."""
    key, time = together[0].attributes.get(layout.key, ""), together[0].time
    by_place: dict[tuple[str, int], list[float]] = defaultdict(list)
    for item in together:
        by_place[item.code.name, item.sequence].append(item.value)
    places = sorted(by_place, key=lambda place: (layout.codes.index(place[0]), place[1]))
    count = max(len(values) for values in by_place.values())
    return [
        _Arrival(key, time, tuple(by_place[place][copy] for place in places if copy < len(by_place[place])))
        for copy in range(count)
    ]


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
