"""The streams of a device, their topics, lanes and what may be evicted.

Topics: ``et/v1/{dev}/up/{letter}`` for each stream, ``et/v1/{dev}/down/ack``, ``et/v1/{dev}/status``.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final

PREFIX: Final = "et/v1"
ALL_UPLINKS: Final = f"{PREFIX}/+/up/#"


class Stream(IntEnum):
    """A numbered sequence of messages of one kind; the number is part of the wire."""

    ALERTS = 0
    FEATURES = 1
    STATES = 2
    METRICS = 3
    EVENTS = 4  # the drop ledger, later the audit heads
    KEYS = 5  # the announcement of an epoch's key, always sequence number 1


_LETTERS: Final = {
    Stream.ALERTS: "a",
    Stream.FEATURES: "f",
    Stream.STATES: "s",
    Stream.METRICS: "m",
    Stream.EVENTS: "e",
    Stream.KEYS: "k",
}
_BY_LETTER: Final = {letter: stream for stream, letter in _LETTERS.items()}

KEY_PRIORITY: Final = 0
ALERT_PRIORITY: Final = 1
BULK_PRIORITY: Final = 2
METRIC_PRIORITY: Final = 3
# A message opens only with its epoch's key, hence keys even before alerts.
PRIORITIES: Final = {
    Stream.KEYS: KEY_PRIORITY,
    Stream.ALERTS: ALERT_PRIORITY,
    Stream.EVENTS: BULK_PRIORITY,
    Stream.FEATURES: BULK_PRIORITY,
    Stream.STATES: BULK_PRIORITY,
    Stream.METRICS: METRIC_PRIORITY,
}

# Cheapest to lose first. Alerts, the ledger itself and keys are never evicted.
EVICTION_ORDER: Final = (Stream.METRICS, Stream.FEATURES, Stream.STATES)


def evictable_for(stream: Stream) -> tuple[Stream, ...]:
    """The streams, in order, that may give way to a message of ``stream``: its own kind and cheaper ones."""
    if stream not in EVICTION_ORDER:
        return EVICTION_ORDER
    return EVICTION_ORDER[: EVICTION_ORDER.index(stream) + 1]


def uplink_topic(dev: str, stream: Stream) -> str:
    """Topic on which ``dev`` publishes messages of ``stream``."""
    return f"{PREFIX}/{dev}/up/{_LETTERS[stream]}"


def ack_topic(dev: str) -> str:
    """Topic on which the centre acknowledges to ``dev``."""
    return f"{PREFIX}/{dev}/down/ack"


def status_topic(dev: str) -> str:
    """Topic of the retained ``online`` or ``offline`` of ``dev``."""
    return f"{PREFIX}/{dev}/status"


def parse_uplink(topic: str) -> tuple[str, Stream] | None:
    """Device and stream of an uplink topic, or None for any other topic."""
    match topic.split("/"):
        case ["et", "v1", dev, "up", letter] if letter in _BY_LETTER:
            return dev, _BY_LETTER[letter]
        case _:
            return None
