"""Merging of gaps that a device tells one by one: an oximeter off the finger says so every second."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from edge_twin.observation import DeviceEvent, DeviceEventKind

# A device that measures once a second may miss a packet or two and still mean one gap [A].
JOINT = timedelta(seconds=10)
# So that a gap which goes on is known while it goes on [A].
LONGEST_HELD = timedelta(seconds=60)


@dataclass(slots=True)
class _Held:
    """A gap that may grow, and whether the part up to ``start`` was handed out already."""

    start: datetime
    end: datetime
    pieces: int = 0


class GapMerger:
    """Holds a gap back while it may still grow.

    A gap is handed out when it has not grown for ``joint``, when it has lasted for ``longest``, or when
    :meth:`flush` is called; one that goes on afterwards begins where the former ended.

    Args:
        source: name of the device.
        joint: two gaps of one kind that are no further apart are one.
        longest: the longest piece.
    """

    def __init__(self, source: str, joint: timedelta = JOINT, longest: timedelta = LONGEST_HELD) -> None:
        self._source = source
        self._joint = joint
        self._longest = longest
        self._held: dict[str, _Held] = {}

    @property
    def holds(self) -> bool:
        """Whether a gap is held back."""
        return bool(self._held)

    def add(self, gap: DeviceEvent) -> list[DeviceEvent]:
        """Take in a gap; the pieces that are finished by it."""
        end = gap.until or gap.time
        done = self.passed(gap.time) + self._before(gap.detail, end)
        held = self._held.setdefault(gap.detail, _Held(gap.time, end))
        held.start, held.end = min(held.start, gap.time), max(held.end, end)
        if held.end - held.start < self._longest:
            return done
        piece = self._event(gap.detail, held)
        # What follows joins on to this piece.
        held.start, held.pieces = held.end, held.pieces + 1
        return [*done, piece]

    def passed(self, now: datetime) -> list[DeviceEvent]:
        """The gaps that did not grow for so long that they are over at ``now``."""
        return self._release([detail for detail, held in self._held.items() if now - held.end > self._joint])

    def _before(self, detail: str, end: datetime) -> list[DeviceEvent]:
        """The gap of this kind, if one that comes from storage is much older: they are two."""
        held = self._held.get(detail)
        return self._release([detail]) if held is not None and held.start - end > self._joint else []

    def flush(self) -> list[DeviceEvent]:
        """Everything that is held back."""
        return self._release(list(self._held))

    def _release(self, details: list[str]) -> list[DeviceEvent]:
        over = [(detail, self._held.pop(detail)) for detail in details]
        # A rest without length only repeats the end of the last piece.
        return [self._event(detail, held) for detail, held in over if not held.pieces or held.end > held.start]

    def _event(self, detail: str, held: _Held) -> DeviceEvent:
        return DeviceEvent(DeviceEventKind.GAP, held.start, self._source, detail, held.end)
