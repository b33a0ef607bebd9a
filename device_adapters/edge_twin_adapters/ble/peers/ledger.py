"""What a virtual sensor measured: one entry for each record, so that a test can account for every one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Fate(StrEnum):
    """What became of a record on the sensor's side."""

    SENT = "sent"
    """Handed to the link while a central listened, and confirmed where it is an indication."""
    LOST = "lost"
    """Nobody listened, and the sensor keeps nothing."""
    STORED = "stored"
    """Kept by the sensor until it is asked for, or until it is confirmed."""
    DROPPED = "dropped"
    """Left out by an injected fault."""
    CORRUPTED = "corrupted"
    """Damaged by an injected fault, so that the receiver has to refuse it."""


@dataclass(slots=True)
class Measured:
    """One record of a sensor.

    Attributes:
        stream: what was measured, for instance ``rr_interval``.
        number: running number within the stream, from 0.
        time: simulated moment at which the record was complete and ready to be sent, UTC.
        moment: where a receiver puts the record that gets it at once; a beat lies before the end of the
            notification that carries it.
        key: what identifies the record on the air (device time, sequence number, session minute); empty
            where the characteristic carries nothing of the kind.
        values: the numbers in the unit of the decoder's code. Of a waveform: the number of its samples
            and their sum.
        fate: see :class:`Fate`.
    """

    stream: str
    number: int
    time: datetime
    moment: datetime
    key: str
    values: tuple[float, ...]
    fate: Fate


class Ledger:
    """All records of one sensor, in the order in which they were measured."""

    def __init__(self) -> None:
        self._entries: dict[str, list[Measured]] = {}

    def __iter__(self) -> Iterator[Measured]:
        for entries in self._entries.values():
            yield from entries

    def __len__(self) -> int:
        return sum(len(entries) for entries in self._entries.values())

    @property
    def streams(self) -> tuple[str, ...]:
        """Names of the streams, in the order in which they began."""
        return tuple(self._entries)

    def of(self, stream: str) -> tuple[Measured, ...]:
        """The records of one stream; none for a stream that never began."""
        return tuple(self._entries.get(stream, ()))

    def add(  # noqa: PLR0913 - the parts of a record, by name
        self,
        stream: str,
        time: datetime,
        values: tuple[float, ...],
        *,
        key: str = "",
        fate: Fate = Fate.STORED,
        moment: datetime | None = None,
    ) -> Measured:
        """Enter a record; ``moment`` is ``time`` unless it is given."""
        entries = self._entries.setdefault(stream, [])
        entry = Measured(stream, len(entries), time, moment or time, key, values, fate)
        entries.append(entry)
        return entry

    def fates(self, stream: str) -> dict[Fate, int]:
        """How many records of a stream met each fate."""
        return dict(Counter(entry.fate for entry in self._entries.get(stream, ())))
