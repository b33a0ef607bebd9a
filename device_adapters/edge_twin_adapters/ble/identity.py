"""By what a record that a device sends twice is recognised, and the numbers by which it can be asked for."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

from edge_twin.observation import Observation, Waveform
from edge_twin_adapters.ble import cgm, glucose, glucose_context, polar
from edge_twin_adapters.ble.frame import Item
from edge_twin_adapters.ble.state import MOST_DIGESTS

# Each of their records carries a number of its own, so that equal bytes are the same record.
_NUMBERED = frozenset((glucose.CHARACTERISTIC, glucose_context.CHARACTERISTIC, cgm.CHARACTERISTIC))

_DIGEST_BYTES = 16
_NUMBER_BYTES = slice(1, 3)


def records_in(characteristic: str, payload: bytes) -> list[bytes]:
    """The records of a notification that was decoded without an error; only a CGM packs several into one.

    Args:
        characteristic: short UUID.
        payload: the value.
    """
    if characteristic != cgm.CHARACTERISTIC:
        return [payload]
    records = []
    while payload:
        records.append(payload[: payload[0]])
        payload = payload[payload[0] :]
    return records


def record_number(characteristic: str, record: bytes) -> int | None:
    """The number by which a whole record can be asked for: sequence, or minutes of the session; None without one."""
    if characteristic == glucose.CHARACTERISTIC:
        return int.from_bytes(record[_NUMBER_BYTES], "little")
    if characteristic == cgm.CHARACTERISTIC:
        return int.from_bytes(record[4:6], "little")
    return None


def digest_of(characteristic: str, record: bytes, epoch: bytes, items: Sequence[Item]) -> bytes | None:
    """What stays the same when a record is sent again; None where two equal ones may be two measurements.

    A numbered record is its bytes. Of another the device's time and the values count, since a device marks
    what it sends from storage. A heart rate has neither, and a clock that the device itself calls unset may
    stand still: such values are never taken for one another.

    Args:
        characteristic: short UUID.
        record: its bytes.
        epoch: what the record's numbers count from.
        items: what was decoded from it.
    """
    digest = hashlib.blake2b(characteristic.encode(), digest_size=_DIGEST_BYTES)
    if characteristic == cgm.CHARACTERISTIC:
        digest.update(epoch)
    if characteristic in _NUMBERED or any(_is_timed_waveform(item) for item in items):
        digest.update(record)
        return digest.digest()
    readings = [item for item in items if isinstance(item, Observation)]
    if not readings or not all(map(_has_device_time, readings)):
        return None
    for one in readings:
        shown = one.attributes.get("device_time_ns") or one.attributes["device_time"]
        digest.update(f"|{one.code.code}|{one.sequence}|{one.value!r}|{shown}".encode())
    return digest.digest()


def _is_timed_waveform(item: Item) -> bool:
    return isinstance(item, Waveform) and item.attributes.get("device_time_ns", "0") != "0"


def _has_device_time(reading: Observation) -> bool:
    attributes = reading.attributes
    if attributes.get("time_reason") == "device_clock_not_set":
        return False
    if "device_time_ns" in attributes:
        return attributes["device_time_ns"] != "0"
    date = attributes.get("device_time", "0000")
    return not date.startswith("0000") and "-00" not in date


class Duplicates:
    """The records that came lately, and those of them that a restart must remember.

    Args:
        known: digests of an earlier run, oldest first.
    """

    def __init__(self, known: Iterable[bytes] = ()) -> None:
        self._seen: dict[bytes, None] = dict.fromkeys(known)
        self._fresh: list[bytes] = []

    def is_new(self, digest: bytes, *, remember: bool) -> bool:
        """Note a record; False when it came before.

        Args:
            digest: of the record.
            remember: hand it out with :meth:`take_fresh`.
        """
        if digest in self._seen:
            return False
        self._seen[digest] = None
        if len(self._seen) > MOST_DIGESTS:
            del self._seen[next(iter(self._seen))]
        if remember:
            self._fresh.append(digest)
        return True

    def take_fresh(self) -> list[bytes]:
        """The digests to keep over a restart that were not taken yet."""
        fresh, self._fresh = self._fresh, []
        return fresh


def is_stream(characteristic: str) -> bool:
    """Whether values come all the time and are never sent again after a restart."""
    return characteristic == polar.CHARACTERISTIC
