"""What came from each device so far, one line for each stream: the table of ``edge-twin devices stream``."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from edge_twin.observation import DeviceEvent, DeviceEventKind, Observation, Waveform
from edge_twin_adapters.ble.frame import Item
from edge_twin_adapters.ble.link import LinkState

# A strap sends once a second and a room sensor once a minute: long enough for a steady figure of the first [C].
RATE_WINDOW_S = 10.0


@dataclass(slots=True)
class StreamLine:
    """One quantity of one device.

    Attributes:
        unit: of its values.
        count: values so far; samples of a waveform.
        usable: those of them that may reach a feature.
        last: the last value; the first channel of a waveform.
        quality: of the last value.
    """

    unit: str
    count: int = 0
    usable: int = 0
    last: float | None = None
    quality: str = ""
    _arrivals: deque[tuple[float, int]] = field(default_factory=deque)

    def note(self, item: Observation | Waveform, now_s: float) -> None:
        """Take in a value that came at ``now_s``."""
        many = len(item.samples) if isinstance(item, Waveform) else 1
        self.count += many
        self.usable += many * (item.quality.value in {"good", "questionable"})
        self.last = item.samples[-1][0] if isinstance(item, Waveform) else item.value
        self.quality = item.quality.value
        self._arrivals.append((now_s, many))
        self._forget(now_s)

    def per_second(self, now_s: float, since_s: float) -> float:
        """Values a second, over the last :data:`RATE_WINDOW_S` or since ``since_s``."""
        self._forget(now_s)
        length_s = min(RATE_WINDOW_S, now_s - since_s)
        return sum(many for _, many in self._arrivals) / length_s if length_s > 0.0 else 0.0

    def _forget(self, now_s: float) -> None:
        while self._arrivals and self._arrivals[0][0] < now_s - RATE_WINDOW_S:
            self._arrivals.popleft()


@dataclass(slots=True)
class DeviceLines:
    """One device: its streams and what was told of it.

    Attributes:
        streams: by the name of the quantity.
        connections: how often the link came up.
        gaps, gap_time: periods told as missing, and their length.
        refused: frames that could not be decoded.
    """

    streams: dict[str, StreamLine] = field(default_factory=dict)
    connections: int = 0
    gaps: int = 0
    gap_time: timedelta = timedelta()
    refused: int = 0

    def note_event(self, event: DeviceEvent) -> None:
        """Take in what is no value."""
        self.connections += event.kind is DeviceEventKind.CONNECTED
        self.refused += event.kind is DeviceEventKind.REFUSED
        if event.kind is DeviceEventKind.GAP:
            self.gaps += 1
            self.gap_time += (event.until or event.time) - event.time


class Board:
    """Everything that came.

    Args:
        devices: names of the sources, in the order of the table.
        started_s: a steady clock at the beginning.
    """

    def __init__(self, devices: tuple[str, ...], started_s: float) -> None:
        self._devices = {name: DeviceLines() for name in devices}
        self._started_s = started_s

    def note(self, item: Item, now_s: float) -> None:
        """Take in an item that came at ``now_s`` of the steady clock."""
        device = self._devices.setdefault(item.source, DeviceLines())
        if isinstance(item, DeviceEvent):
            device.note_event(item)
            return
        line = device.streams.setdefault(item.code.name, StreamLine(item.code.unit))
        line.note(item, now_s)

    @property
    def all_connected(self) -> bool:
        """Whether the link to every device came up at least once."""
        return all(device.connections for device in self._devices.values())

    def rows(self, now_s: float, states: tuple[LinkState, ...]) -> list[dict[str, Any]]:
        """A row for each stream, and one for a device that has none yet."""
        links = {state.name: state for state in states}
        return [
            self._row(name, device, stream, links.get(name), now_s)
            for name, device in self._devices.items()
            for stream in (sorted(device.streams) or [""])
        ]

    def _row(self, name: str, device: DeviceLines, stream: str, link: LinkState | None, now_s: float) -> dict[str, Any]:
        line = device.streams.get(stream, StreamLine(""))
        return {
            "device": name,
            "stream": stream,
            "link": link_word(link),
            "per_second": round(line.per_second(now_s, self._started_s), 2),
            "values": line.count,
            "usable_share": line.usable / line.count if line.count else None,
            "last": line.last,
            "unit": line.unit,
            "quality": line.quality,
            "connections": device.connections,
            "gaps": device.gaps,
            "gap_seconds": device.gap_time.total_seconds(),
            "refused": device.refused,
            **_link_figures(link),
        }


def link_word(link: LinkState | None) -> str:
    """Whether the link is up, and why not."""
    if link is None:
        return ""
    return "up" if link.connected else (link.last_reason or "connecting")


def _link_figures(link: LinkState | None) -> dict[str, Any]:
    return {
        "battery_percent": None if link is None else link.battery_percent,
        "wear": "" if link is None else link.wear.value,
        "rssi_dbm": None if link is None else link.rssi_dbm,
        "encrypted": None if link is None else link.encrypted,
    }
