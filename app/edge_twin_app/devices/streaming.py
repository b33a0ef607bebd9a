"""``edge-twin devices stream``: many devices at once, as a live table or as JSON lines.

What is shown here is not kept, and cursors of stored records do not move. A sensor that deletes a record once it
was confirmed (thermometer, cuff, scale) has then handed it to this command and not to the twin.
"""

from __future__ import annotations

import asyncio
import json
import random
import shutil
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import aclosing, asynccontextmanager, contextmanager, suppress
from typing import Any, Protocol
from zoneinfo import ZoneInfo

from edge_twin.jsonform import time_text, waveform_form
from edge_twin.observation import DeviceEvent, Waveform
from edge_twin_adapters.ble.finder import Finder
from edge_twin_adapters.ble.fleet import Fleet
from edge_twin_adapters.ble.frame import DecodeContext, Item
from edge_twin_adapters.ble.link import LinkSecurity, Pairing
from edge_twin_adapters.ble.profiles import PROFILES
from edge_twin_adapters.ble.source import BleSource
from edge_twin_app.devices.board import Board
from edge_twin_app.devices.known import source_name
from edge_twin_app.devices.radio import Air
from edge_twin_app.devices.table import lines
from edge_twin_app.errors import AppError
from edge_twin_app.settings import Sensor

COLUMNS = (
    "device",
    "link",
    "stream",
    "per_second",
    "last",
    "unit",
    "quality",
    "gaps",
    "refused",
    "battery_percent",
    "wear",
)
_REFRESH_S = 1.0


class Display(Protocol):
    """Where a session is shown."""

    def item(self, item: Item) -> None:
        """One item came."""

    def refresh(self, rows: list[dict[str, Any]]) -> None:
        """A second has passed."""

    def end(self, rows: list[dict[str, Any]]) -> None:
        """The session is over."""


class LiveTable:
    """The table, drawn anew each second on a terminal and once at the end elsewhere."""

    def __init__(self) -> None:
        self._drawn = 0
        self._live = sys.stdout.isatty()

    def item(self, item: Item) -> None:
        """See :class:`Display`."""

    def refresh(self, rows: list[dict[str, Any]]) -> None:
        """See :class:`Display`."""
        if self._live:
            self._draw(rows)

    def end(self, rows: list[dict[str, Any]]) -> None:
        """See :class:`Display`."""
        self._draw(rows)

    def _draw(self, rows: list[dict[str, Any]]) -> None:
        text = lines(rows, COLUMNS)
        if self._live:
            text = fitted_lines(text)
        # Cursor up, then clear to the end of the screen (ECMA-48).
        back = f"\x1b[{self._drawn}A\x1b[J" if self._live and self._drawn else ""
        self._drawn = len(text)
        sys.stdout.write(back + "\n".join(text) + "\n")
        sys.stdout.flush()


def fitted_lines(text: list[str]) -> list[str]:
    """As much as the terminal can show: what has scrolled away cannot be drawn again."""
    width, height = shutil.get_terminal_size()
    most = max(2, height - 2)
    hidden = len(text) - most
    shown = [*text[:most], f"({hidden} more lines; a taller window shows them)"] if hidden > 0 else text
    return [line[: width - 1] for line in shown]


class JsonLines:
    """Each item as one JSON object in a line, and the table as the last one."""

    def item(self, item: Item) -> None:
        """See :class:`Display`."""
        self._write(item_form(item))

    def refresh(self, rows: list[dict[str, Any]]) -> None:
        """See :class:`Display`."""

    def end(self, rows: list[dict[str, Any]]) -> None:
        """See :class:`Display`."""
        self._write({"rows": rows})

    def _write(self, form: dict[str, Any]) -> None:
        sys.stdout.write(json.dumps(form, separators=(",", ":")) + "\n")
        sys.stdout.flush()


def item_form(item: Item) -> dict[str, Any]:
    """An item as JSON values; ``item`` says what it is."""
    if isinstance(item, Waveform):
        return {"item": "waveform", **waveform_form(item)}
    if isinstance(item, DeviceEvent):
        until = None if item.until is None else time_text(item.until)
        told = {"kind": item.kind.value, "time": time_text(item.time), "until": until}
        return {"item": "event", **told, "source": item.source, "detail": item.detail}
    return {
        "item": "observation",
        "id": item.id,
        "name": item.code.name,
        "value": item.value,
        "unit": item.code.unit,
        "time": time_text(item.time),
        "source": item.source,
        "quality": item.quality.value,
        "attributes": dict(item.attributes),
    }


def sources(sensors: Sequence[Sensor], radio: Air, zone: ZoneInfo | None) -> list[BleSource]:
    """A source for each sensor; they share one scan.

    Raises:
        AppError: ``unknown_sensor``.
    """
    finder = Finder(radio.backends)
    return [_source(sensor, radio, zone, finder) for sensor in sensors]


def _source(sensor: Sensor, radio: Air, zone: ZoneInfo | None, finder: Finder) -> BleSource:
    if sensor.kind not in PROFILES:
        raise AppError(f"no sensor kind {sensor.kind!r}; there are {', '.join(PROFILES)}", reason="unknown_sensor")
    return BleSource(
        sensor.address,
        PROFILES[sensor.kind],
        clock=radio.clock,
        rng=random.Random(sensor.address),  # noqa: S311 - jitter of the back-off, not a secret
        context=DecodeContext(source=source_name(sensor), patient_zone=zone),
        backends=radio.backends,
        # Pairing is what `edge-twin devices pair` is for, with an account of it.
        security=LinkSecurity(Pairing.NEVER),
        finder=finder,
    )


async def watch(devices: Sequence[BleSource], radio: Air, seconds: float | None, display: Display) -> bool:
    """Read until the time is over or somebody interrupts; then stop every sensor and disconnect.

    Args:
        devices: to read.
        radio: its clock names the events of the fleet.
        seconds: how long; None until interrupted.
        display: shows it.

    Returns:
        Whether the link to every device came up at least once.
    """
    fleet = Fleet(devices, clock=radio.clock)
    board = Board(tuple(device.name for device in devices), time.monotonic())

    def rows() -> list[dict[str, Any]]:
        return board.rows(time.monotonic(), fleet.states)

    with _interrupts() as interrupted:
        async with _refreshing(lambda: display.refresh(rows())):
            reading = asyncio.create_task(_read(fleet, board, display))
            stopping = asyncio.create_task(interrupted.wait())
            await asyncio.wait({reading, stopping}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            stopping.cancel()
            ended = rows()
            await fleet.aclose()
            await reading
    display.end(ended)
    return board.all_connected


async def _read(fleet: Fleet, board: Board, display: Display) -> None:
    async with aclosing(fleet.stream()) as stream:
        async for item in stream:
            board.note(item, time.monotonic())
            display.item(item)


@asynccontextmanager
async def _refreshing(refresh: Callable[[], None]) -> AsyncIterator[None]:
    async def again() -> None:
        while True:
            await asyncio.sleep(_REFRESH_S)
            refresh()

    task = asyncio.create_task(again())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


@contextmanager
def _interrupts() -> Iterator[asyncio.Event]:
    """An event that Ctrl-C sets, so that sensors are stopped in order and not in the middle of something."""
    interrupted, loop = asyncio.Event(), asyncio.get_running_loop()
    numbers = (signal.SIGINT, signal.SIGTERM)
    # The event loop of Windows has no handlers of signals; there Ctrl-C cancels, which disconnects too.
    with suppress(NotImplementedError):
        for number in numbers:
            loop.add_signal_handler(number, interrupted.set)
    try:
        yield interrupted
    finally:
        with suppress(NotImplementedError):
            for number in numbers:
                loop.remove_signal_handler(number)
